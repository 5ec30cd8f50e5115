"""Fixtures: two servers for the whole run (one on the system's clock, one on a virtual one), a workspace per test."""

import pytest
import requests
from support.client import connect
from support.clock import Clock
from support.receiver import Receiver
from support.server import ACCOUNT_SID, AUTH_TOKEN, Server, binary
from support.voice import VoiceServer
from support.world import Office, World


def pytest_configure(config):
    if not config.option.collectonly and not binary().is_file():
        pytest.exit(
            f"{binary()} does not exist: build it (cargo build --release) or set POINTSMAN_BINARY", returncode=2
        )


@pytest.fixture(scope="session")
def server(tmp_path_factory):
    """A server on the system's clock. Stopping it must end with exit code 0."""
    server = Server(tmp_path_factory.mktemp("system") / "data").start()
    yield server
    assert server.stop() == 0, server.log()


@pytest.fixture(scope="session")
def virtual_server(tmp_path_factory):
    """A server whose time moves only when told to."""
    server = Server(tmp_path_factory.mktemp("virtual") / "data", "--clock", "virtual").start()
    yield server
    assert server.stop() == 0, server.log()


@pytest.fixture
def own_server(tmp_path):
    """A server of the test's own, which the test may stop, kill and start again; none survives the test."""
    server = Server(tmp_path / "data").start()
    yield server
    server.kill()


@pytest.fixture
def client(server):
    return connect(server.url)


@pytest.fixture
def virtual_client(virtual_server):
    return connect(virtual_server.url)


@pytest.fixture
def clock(virtual_server):
    return Clock(virtual_server.url)


@pytest.fixture
def world(client):
    """An empty multi-tasking workspace."""
    world = World(client)
    yield world
    world.delete()


@pytest.fixture
def timed_world(virtual_client):
    """An empty workspace under the virtual clock."""
    world = World(virtual_client)
    yield world
    world.delete()


@pytest.fixture
def office(virtual_client, clock):
    """Ann, Bob and Cid, under the virtual clock."""
    office = Office(virtual_client, clock)
    yield office
    office.delete()


@pytest.fixture
def receiver():
    receiver = Receiver()
    yield receiver
    receiver.close()


class Wire:
    """Plain HTTP, for what the official library hides."""

    def __init__(self, base_url: str):
        self.base_url = base_url
        self.session = requests.Session()
        self.session.auth = (ACCOUNT_SID, AUTH_TOKEN)

    def __call__(self, method: str, path: str, **arguments) -> requests.Response:
        arguments.setdefault("timeout", 30)
        arguments.setdefault("allow_redirects", False)
        url = path if path.startswith("http") else self.base_url + path
        return self.session.request(method, url, **arguments)


@pytest.fixture
def wire(server):
    return Wire(server.url)


@pytest.fixture
def virtual_wire(virtual_server):
    return Wire(virtual_server.url)


@pytest.fixture(scope="session")
def voice_api():
    voice = VoiceServer()
    yield voice
    voice.close()


@pytest.fixture(scope="session")
def voice_server(tmp_path_factory, voice_api):
    server = Server(
        tmp_path_factory.mktemp("voice") / "data", "--clock", "virtual", environment=voice_api.environment()
    ).start()
    yield server
    assert server.stop() == 0, server.log()


@pytest.fixture
def voice(voice_api):
    voice_api.clear()
    return voice_api


@pytest.fixture
def desk(voice_server):
    """The office of the scenarios, in which everybody can be called."""
    desk = Office(connect(voice_server.url), Clock(voice_server.url))
    for worker in (desk.ann, desk.bob, desk.cid):
        desk.reachable(worker)
    desk.happened()
    yield desk
    desk.delete()


@pytest.fixture
def voice_wire(voice_server):
    return Wire(voice_server.url)
