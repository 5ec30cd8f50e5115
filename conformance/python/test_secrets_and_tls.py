"""What callbacks trust, and what the log keeps to itself. Reference: events and callbacks, section 12."""

import json
import ssl
from base64 import b64encode
from pathlib import Path

import pytest
import requests
from support.client import connect
from support.clock import Clock
from support.receiver import Receiver
from support.server import ACCOUNT_SID, AUTH_TOKEN, Server
from support.voice import AUTH_TOKEN as VOICE_TOKEN
from support.world import Office, inbound

TLS = Path(__file__).parent / "support" / "tls"


@pytest.fixture
def tls_receiver():
    """A receiver whose certificate comes from an authority that nobody knows."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(TLS / "receiver.pem", TLS / "receiver.key")
    receiver = Receiver(tls=context)
    yield receiver
    receiver.close()


@pytest.mark.parametrize(
    "environment, expected",
    [
        ({}, 0),
        ({"POINTSMAN_CALLBACKS_CA_FILE": str(TLS / "authority.pem")}, 1),
        ({"POINTSMAN_CALLBACKS_ALLOW_INSECURE": "true"}, 1),
    ],
    ids=["unknown authority", "authority configured", "checks switched off"],
)
def test_a_certificate_must_be_trusted(tmp_path, tls_receiver, environment, expected):
    server = Server(tmp_path / "data", "--clock", "virtual", environment=environment).start()
    try:
        workspaces = connect(server.url).taskrouter.v1.workspaces
        workspaces.create(friendly_name="TLS", event_callback_url=tls_receiver.url + "/events")
        Clock(server.url).quiet()
        assert len(tls_receiver.callbacks("/events")) == expected
    finally:
        server.kill()


def test_no_secret_is_ever_logged(tmp_path, voice, receiver):
    environment = {**voice.environment(), "POINTSMAN_LOG_LEVEL": "trace"}
    server = Server(tmp_path / "data", "--clock", "virtual", environment=environment).start()
    try:
        client = connect(server.url)
        key = client.api.v2010.account.new_keys.create(friendly_name="ci")
        office = Office(client, Clock(server.url))
        secret_url = receiver.url.replace("http://", "http://user:hunter2@")
        receiver.answers["/fails"] = (500, "text/plain", "")
        office.context.update(event_callback_url=secret_url + "/fails")
        office.context.workflows(office.flow.sid).update(assignment_callback_url=secret_url + "/fails")
        for worker in (office.ann, office.bob, office.cid):
            office.reachable(worker)
        office.clock.advance(5)
        task = inbound(office)
        office.clock.quiet()
        office.context.workflows(office.flow.sid).update(assignment_callback_url="")
        office.clock.advance(5)
        voice.answers["/Calls"] = (401, {"code": 20003, "message": "Authenticate"})
        office.offer(task).update(instruction="dequeue")
        office.clock.quiet()
        assert receiver.callbacks("/fails")[0].headers["authorization"] == "Basic " + b64encode(b"user:hunter2").decode()
        assert server.stop() == 0
        log = server.log_path.read_text()
        assert "callback" in log
        assert "telephony failed" in log
        for secret in (AUTH_TOKEN, VOICE_TOKEN, key.secret, "hunter2"):
            assert secret not in log
            assert b64encode(secret.encode()).decode()[:-4] not in log
        assert json.dumps(log).count("Basic ") == 0
    finally:
        server.kill()


def test_the_log_says_why_credentials_were_wrong_and_no_secret(tmp_path):
    server = Server(tmp_path / "data", environment={"POINTSMAN_LOG_LEVEL": "debug"}).start()
    wrong = "0" * 31 + "w"
    stranger, lost_key = "AC" + "9" * 32, "SK" + "9" * 32
    try:
        for user, password in [(ACCOUNT_SID, wrong), (stranger, wrong), (lost_key, wrong), (AUTH_TOKEN, ACCOUNT_SID)]:
            assert requests.get(f"{server.url}/v1/Workspaces", auth=(user, password), timeout=30).status_code == 401
        bad = requests.get(f"{server.url}/v1/Workspaces", headers={"Authorization": f"Basic {wrong}"}, timeout=30)
        assert bad.status_code == 401
        assert server.stop() == 0
        log = server.log_path.read_text()
        lines = [line for line in log.splitlines() if "auth" in line]
        for words in (
            ["wrong token of an account", ACCOUNT_SID, "is_known=true"],
            ["wrong token of an account", stranger, "is_known=false"],
            ["wrong secret of a key", lost_key, "is_known=false"],
            ["the user is neither the SID of an account nor of a key"],
            ["credentials cannot be read"],
        ):
            assert any(all(word in line for word in words) for line in lines), (words, lines)
        for secret in (AUTH_TOKEN, wrong):
            assert secret not in log
    finally:
        server.kill()
