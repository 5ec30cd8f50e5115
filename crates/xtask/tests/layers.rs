//! The direction of dependencies, as ARCHITECTURE.md draws it. A new arrow is a decision: make it there first.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

/// Each crate with the crates of ours that it may use.
const ARROWS: &[(&str, &[&str])] = &[
    ("expression", &[]),
    ("engine", &["expression"]),
    ("record", &["engine", "expression"]),
    ("store", &[]),
    ("token", &[]),
    ("api", &["engine", "expression"]),
    ("dispatcher", &["api", "engine", "expression", "record", "token"]),
    ("server", &["api", "dispatcher", "engine", "record", "store", "token"]),
    ("pointsman", &["api", "server"]),
    ("simulator", &["dispatcher", "engine", "expression", "record", "store"]),
    ("bench", &["engine", "expression"]),
    ("xtask", &["api"]),
];

/// The crates of ours below `[dependencies]` of a manifest; those of tests and build scripts are free.
fn used(manifest: &str) -> BTreeSet<String> {
    let section = manifest.split("\n[").find(|section| section.starts_with("dependencies]")).unwrap_or_default();
    let names = section.lines().filter_map(|line| line.strip_prefix("pointsman-"));
    names.map(|rest| rest.chars().take_while(char::is_ascii_lowercase).collect()).collect()
}

#[test]
fn no_crate_uses_one_that_stands_above_it() {
    let crates = Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("below crates/");
    let allowed: BTreeMap<&str, BTreeSet<String>> =
        ARROWS.iter().map(|(name, uses)| (*name, uses.iter().map(ToString::to_string).collect())).collect();
    for folder in std::fs::read_dir(crates).unwrap() {
        let folder = folder.unwrap().path();
        let Ok(manifest) = std::fs::read_to_string(folder.join("Cargo.toml")) else { continue };
        let name = folder.file_name().unwrap().to_str().unwrap().to_string();
        let allowed = allowed.get(name.as_str()).unwrap_or_else(|| panic!("{name} is not in the list of crates"));
        let extra: Vec<_> = used(&manifest).difference(allowed).cloned().collect();
        assert!(extra.is_empty(), "{name} must not use {extra:?}");
    }
}

#[test]
fn an_arrow_that_is_not_allowed_would_be_seen() {
    let manifest = "[package]\nname = \"x\"\n\n[dependencies]\npointsman-api = { workspace = true }\n\n[dev-dependencies]\npointsman-store = { workspace = true }\n";
    assert_eq!(used(manifest), BTreeSet::from(["api".to_string()]));
}

#[test]
fn the_lowest_crates_are_without_the_standard_library() {
    let crates = Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("below crates/");
    for name in ["expression", "engine"] {
        let root = std::fs::read_to_string(crates.join(name).join("src/lib.rs")).unwrap();
        assert!(root.contains("#![no_std]") && root.contains("#![forbid(unsafe_code)]"), "{name}");
    }
}
