"""API keys through `client.new_keys` and `client.keys`. Reference: extensions, section 7."""

from datetime import UTC, datetime

import pytest
from support.client import connect, last
from support.errors import refused
from support.server import ACCOUNT_SID
from support.shapes import KEY, NEW_KEY, assert_shape


@pytest.fixture
def key(client):
    key = client.new_keys.create(friendly_name="ci")
    yield key
    if any(k.sid == key.sid for k in client.keys.list()):
        client.keys(key.sid).delete()


def test_a_new_key_shows_its_secret_once(client, key):
    exchange = last(client)
    assert (exchange.method, exchange.status) == ("POST", 201)
    assert exchange.path == f"/2010-04-01/Accounts/{ACCOUNT_SID}/Keys.json"
    assert_shape(key, exchange.json, NEW_KEY)
    assert isinstance(key.date_created, datetime)
    assert abs((datetime.now(UTC) - key.date_created).total_seconds()) < 60
    fetched = client.keys(key.sid).fetch()
    assert_shape(fetched, last(client).json, KEY)
    assert (fetched.sid, fetched.friendly_name) == (key.sid, "ci")


def test_a_key_works_like_the_account(server, key):
    workspaces = connect(server.url, key.sid, key.secret).taskrouter.v1.workspaces
    workspace = workspaces.create(friendly_name="Made with a key")
    assert workspace.account_sid == ACCOUNT_SID
    assert workspaces(workspace.sid).delete() is True


def test_a_wrong_secret_is_refused(server, key):
    with refused(401, 20003, "Authenticate"):
        connect(server.url, key.sid, key.secret[:-1] + "?").taskrouter.v1.workspaces.list(limit=1)


def test_a_key_can_be_renamed_and_deleted(client, server, key):
    assert client.keys(key.sid).update(friendly_name="nightly").friendly_name == "nightly"
    assert client.keys(key.sid).delete() is True
    assert last(client).status == 204
    with refused(404, 20404):
        client.keys(key.sid).fetch()
    with refused(401, 20003):
        connect(server.url, key.sid, key.secret).taskrouter.v1.workspaces.list(limit=1)


def test_keys_are_listed_and_page(client):
    made = [client.new_keys.create(friendly_name=f"key {number}") for number in range(12)]
    listed = [key.sid for key in client.keys.list(page_size=5)]
    assert set(key.sid for key in made) <= set(listed)
    assert len(listed) == len(set(listed))
    client.keys.page(page_size=5)
    body = last(client).json
    assert set(body) >= {
        "keys",
        "page",
        "page_size",
        "start",
        "end",
        "uri",
        "first_page_uri",
        "next_page_uri",
        "previous_page_uri",
    }
    assert body["next_page_uri"].startswith(f"/2010-04-01/Accounts/{ACCOUNT_SID}/Keys.json")
    assert "secret" not in body["keys"][0]
    for key in made:
        client.keys(key.sid).delete()


def test_a_name_is_optional_and_has_at_most_64_characters(client):
    key = client.new_keys.create()
    client.keys(key.sid).delete()
    with refused(400, 20002):
        client.new_keys.create(friendly_name="k" * 65)


def test_another_account_is_404(client):
    with refused(404, 20404):
        client.api.v2010.accounts("AC" + "f" * 32).keys.list()
