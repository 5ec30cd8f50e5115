"""Files that the server may have open: connections, those to receivers of callbacks among them. Docs: operations."""

import re
import socket
import time
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from conftest import Wire
from support.client import connect
from support.receiver import NO_CONTENT
from support.server import Server
from support.world import World

FILES_MAX = 160
SECONDS_MAX = 30.0


@pytest.fixture
def limited(tmp_path):
    """A server of which the system lets few files be open."""
    server = Server(tmp_path / "data", "--log-level", "warn,pointsman_server::callback_client=debug")
    server.prefix = ["prlimit", f"--nofile=100:{FILES_MAX}"]
    server.start()
    yield server
    server.kill()


def open_files(server: Server) -> int:
    return len(list(Path(f"/proc/{server.process.pid}/fd").iterdir()))


def until(is_so) -> None:
    deadline = time.monotonic() + SECONDS_MAX
    while not is_so():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_the_server_takes_what_the_system_allows_and_says_when_it_is_little(limited):
    limits = Path(f"/proc/{limited.process.pid}/limits").read_text()
    assert re.search(rf"^Max open files +{FILES_MAX} +{FILES_MAX} ", limits, re.MULTILINE), limits
    assert "fewer files may be open than the server may need" in limited.log()


def test_a_callback_for_which_no_file_is_free_waits_for_one(limited, receiver):
    receiver.answers["/events"] = NO_CONTENT
    world = World(connect(limited.url))
    wire = Wire(limited.url)
    path = f"/v1/Workspaces/{world.sid}"
    # What the server opens for the first event and keeps, and the connection over which it is asked.
    assert wire("POST", path, data={"FriendlyName": "Before"}).status_code == 200
    assert wire("GET", path + "/Events").status_code == 200
    address = urlsplit(limited.url)
    idle = []
    try:
        while open_files(limited) < FILES_MAX:
            idle.append(socket.create_connection((address.hostname, address.port)))
            if FILES_MAX <= len(idle):
                until(lambda: open_files(limited) == FILES_MAX)
        callback_url = f"{receiver.url}/events#rc=0"
        assert wire("POST", path, data={"EventCallbackUrl": callback_url}).status_code == 200
        until(lambda: "a callback waits for a file" in limited.log())
        assert receiver.callbacks("/events") == []
    finally:
        for connection in idle:
            connection.close()
    until(lambda: receiver.callbacks("/events"))
    deliveries = wire("GET", f"/pointsman{path}/Deliveries").json()
    assert deliveries["counters"]["dead"] == 0, deliveries
