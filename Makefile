# Two commands: `make run` starts the server, `make test` runs everything that must pass.

SHELL := bash
.ONESHELL:
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.PHONY: help build run test

help:
	@echo "make run    build the server and start it on http://127.0.0.1:8420, data in ./pointsman-data"
	echo "make test   format, lints, tests, doc tests, release build, official client libraries"
	echo "make build  build target/release/pointsman"

build:
	@.ci/tools build
	export PATH="$$PATH:$$HOME/.cargo/bin"
	if [[ ! -x $${CARGO_TARGET_DIR:-target}/release/pointsman ]]; then
	  echo "building the server: four minutes on two cores, once"
	fi
	cargo build --release -p pointsman

# Settings come from POINTSMAN_* variables as always. Where no account was chosen, one is kept in a file that only its
# owner may read, so that it is still there at the second start.
run: build
	@data=$${POINTSMAN_DATA_DIR:-./pointsman-data}
	account=$$data/account
	if [[ -z $${POINTSMAN_ACCOUNT_SID:-} && ! -e $$data/journal.sqlite && ! -e $$account ]]; then
	  mkdir -p -m 700 "$$data"
	  random() { od -An -N16 -tx1 /dev/urandom | tr -d ' \n'; }
	  (umask 077; printf 'export POINTSMAN_ACCOUNT_SID=AC%s POINTSMAN_AUTH_TOKEN=%s\n' "$$(random)" "$$(random)" >"$$account")
	fi
	listen=$${POINTSMAN_LISTEN:-127.0.0.1:8420}
	echo
	echo "Pointsman on http://$$listen, data in $$data; Ctrl-C stops it."
	if [[ -z $${POINTSMAN_ACCOUNT_SID:-} && -e $$account ]]; then
	  source "$$account"
	  echo "The account is in $$account. In another terminal:"
	  echo "  source $$account"
	elif [[ -n $${POINTSMAN_ACCOUNT_SID:-} ]]; then
	  echo "The account is $$POINTSMAN_ACCOUNT_SID, from the environment. In another terminal:"
	else
	  echo "The account was shown at the first start; \`pointsman account create\` makes another. In another terminal:"
	fi
	echo "  curl -u \"\$$POINTSMAN_ACCOUNT_SID:\$$POINTSMAN_AUTH_TOKEN\" -d FriendlyName=Support http://$$listen/v1/Workspaces"
	echo
	exec "$${CARGO_TARGET_DIR:-target}/release/pointsman" serve

test:
	@exec .ci/stages
