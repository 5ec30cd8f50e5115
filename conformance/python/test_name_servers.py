"""Name servers that never answer hold up the callbacks to their names and nothing else. Docs: operations.

The server has a mount namespace of its own, in which other name servers are configured.
"""

import socket
import subprocess
import time

import pytest
from conftest import Wire
from support.client import connect
from support.server import Server
from support.world import World

DEAF = "127.83.7.1"
SECONDS_MAX = 30.0
#: Nothing here takes anywhere near as long; an answer that waits for the name servers takes longer.
ANSWER_SECONDS_MAX = 10.0
#: More than one workspace may have looked up at the same time.
NAMES = 40


@pytest.fixture
def deaf(tmp_path):
    """A server whose name server takes every question and answers none."""
    name_server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    configuration = tmp_path / "resolv.conf"
    configuration.write_text(f"nameserver {DEAF}\noptions timeout:10 attempts:2\n")
    mounted = 'mount --bind "$0" /etc/resolv.conf && exec "$@"'
    prefix = ["unshare", "--map-root-user", "--mount", "sh", "-c", mounted, str(configuration)]
    try:
        name_server.bind((DEAF, 53))
        subprocess.run([*prefix, "true"], check=True)
    except (OSError, subprocess.CalledProcessError) as error:
        name_server.close()
        pytest.skip(f"the system does not let this user have name servers of its own: {error}")
    server = Server(tmp_path / "data")
    server.prefix = prefix
    server.start()
    yield server
    server.kill()
    name_server.close()


def test_names_that_are_never_found_hold_up_neither_answers_nor_the_end(deaf):
    client, wire = connect(deaf.url), Wire(deaf.url)
    slow, other = World(client), World(client)
    path = f"/pointsman/v1/Workspaces/{slow.sid}/Deliveries"
    for number in range(NAMES):
        slow.context.update(event_callback_url=f"http://name{number}.example/#ct=100&rc=0")
    deadline = time.monotonic() + SECONDS_MAX
    while (deliveries := wire("GET", path, params={"PageSize": 100}).json())["counters"]["dead"] < NAMES:
        assert time.monotonic() < deadline, deliveries["counters"]
        time.sleep(0.05)
    reasons = {letter["last_error"].rsplit(": ")[-1] for letter in deliveries["deliveries"]}
    assert reasons == {
        "the name servers have not answered",
        "too many names of this workspace are being looked up",
    }
    # The event history is read where names are not looked up, and others have places for their lookups.
    assert wire("GET", f"/v1/Workspaces/{other.sid}/Events", timeout=ANSWER_SECONDS_MAX).status_code == 200
    other.context.update(event_callback_url="http://other.example/#ct=100&rc=0")
    path = f"/pointsman/v1/Workspaces/{other.sid}/Deliveries"
    while not (letters := wire("GET", path).json()["deliveries"]):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    assert letters[0]["last_error"].endswith("the name servers have not answered")
    began = time.monotonic()
    assert deaf.stop() == 0
    assert time.monotonic() - began < ANSWER_SECONDS_MAX
