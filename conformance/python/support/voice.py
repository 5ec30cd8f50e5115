"""A voice API on loopback that answers as told, and plays the provider's part: it reports on the calls it was asked for.

It checks what the server under test sends (credentials) and signs what it sends itself, as the real one does.
"""

import base64
import itertools
import json
import threading
from collections.abc import Callable
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler
from urllib.parse import parse_qsl, unquote

import requests
from twilio.request_validator import RequestValidator

from .receiver import QuietServer

ACCOUNT_SID = "ACfedcba9876543210fedcba9876543210"
AUTH_TOKEN = "0a1b2c3d4e5f60718293a4b5c6d7e8f9"
CONFERENCE = "CF" + "d" * 32
"""The conference of every room, unless a test says otherwise."""
PREFIX = f"/2010-04-01/Accounts/{ACCOUNT_SID}"


@dataclass(frozen=True)
class Request:
    """One request that the server under test made; `path` is that after the account, as text."""

    path: str
    form: list[tuple[str, str]]
    token: str

    def __getitem__(self, name: str) -> str:
        (value,) = self.all(name)
        return value

    def all(self, name: str) -> list[str]:
        return [value for known, value in self.form if known == name]

    def names(self) -> set[str]:
        return {name for name, _ in self.form}


Answer = tuple[int, dict]


class VoiceServer:
    """`answers` maps a path to (status, body) or a function of the request; otherwise every request succeeds."""

    def __init__(self):
        self.answers: dict[str, Answer | Callable[[Request], Answer]] = {}
        self.calls: dict[str, str] = {}
        """The call that was made for a request, by the request's idempotency token."""
        self._requests: list[Request] = []
        self._lock = threading.Lock()
        self._numbers = itertools.count(1)
        voice = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            wbufsize = -1

            def do_POST(self):
                body = self.rfile.read(int(self.headers.get("Content-Length", 0))).decode()
                status, answer = voice._answer(self.path, body, self.headers)
                text = json.dumps(answer).encode()
                self.send_response(status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(text)))
                self.end_headers()
                self.wfile.write(text)

            def log_message(self, *_):
                pass

        self._http = QuietServer(("127.0.0.1", 0), Handler)
        self._http.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._http.server_port}"
        self._thread = threading.Thread(target=self._http.serve_forever, daemon=True)
        self._thread.start()

    def close(self) -> None:
        self._http.shutdown()
        self._http.server_close()
        self._thread.join()

    def clear(self) -> None:
        """Forgets what was asked and how to answer it."""
        with self._lock:
            self._requests.clear()
            self.answers.clear()

    def environment(self) -> dict[str, str]:
        """What a server needs to use this one."""
        return {
            "POINTSMAN_VOICE_BASE_URL": self.url,
            "POINTSMAN_VOICE_ACCOUNT_SID": ACCOUNT_SID,
            "POINTSMAN_VOICE_AUTH_TOKEN": AUTH_TOKEN,
        }

    def _answer(self, path: str, body: str, headers) -> Answer:
        expected = "Basic " + base64.b64encode(f"{ACCOUNT_SID}:{AUTH_TOKEN}".encode()).decode()
        if headers.get("Authorization") != expected:
            return 401, {"code": 20003, "message": "Authenticate", "status": 401}
        if not path.startswith(PREFIX) or not path.endswith(".json"):
            return 404, {"code": 20404, "message": f"no such path {path}", "status": 404}
        token = headers.get("I-Twilio-Idempotency-Token", "")
        form = parse_qsl(body, keep_blank_values=True, strict_parsing=True)
        request = Request(unquote(path.removeprefix(PREFIX).removesuffix(".json")), form, token)
        with self._lock:
            self._requests.append(request)
            answer = self.answers.get(request.path, self._success)
        return answer(request) if callable(answer) else answer

    def _success(self, request: Request) -> Answer:
        if request.path == "/Calls":
            return 201, {"sid": self._call(request), "status": "queued"}
        if request.path.endswith("/Participants"):
            return 201, {"call_sid": self._call(request), "conference_sid": CONFERENCE, "status": "queued"}
        return 200, {"sid": request.path.split("/")[-1], "status": "in-progress"}

    def _call(self, request: Request) -> str:
        return self.calls.setdefault(request.token, self.new_sid("CA"))

    def new_sid(self, prefix: str) -> str:
        return f"{prefix}{next(self._numbers):032x}"

    def asked(self, path: str | None = None) -> list[Request]:
        """What was asked so far, in order, of this path or in all."""
        with self._lock:
            return [request for request in self._requests if path in (None, request.path)]

    # The provider's part

    def send(self, url: str, method: str = "POST", token: str = AUTH_TOKEN, **form) -> requests.Response:
        """Sends a signed request to an address that the server under test gave."""
        signed = form if method == "POST" else {}
        signature = RequestValidator(token).compute_signature(url, signed)
        headers = {"X-Twilio-Signature": signature}
        data = form if method == "POST" else None
        return requests.request(method, url, data=data, headers=headers, timeout=30, allow_redirects=False)

    def report(self, request: Request, call: str, status: str, **more) -> None:
        """Reports the progress of a call to the address that its request named."""
        form = {"CallSid": call, "AccountSid": ACCOUNT_SID, "CallStatus": status, "From": request["From"]}
        form |= {"To": request["To"], "Direction": "outbound-api", "ApiVersion": "2010-04-01"}
        answer = self.send(request["StatusCallback"], **form, CallbackSource="call-progress-events", **more)
        assert answer.status_code == 204, answer.text

    def conference(self, request: Request, conference: str, event: str, **more) -> None:
        """Reports what happened in a conference to the address that the request of its first participant named."""
        form = {"ConferenceSid": conference, "AccountSid": ACCOUNT_SID, "StatusCallbackEvent": event}
        answer = self.send(request["ConferenceStatusCallback"], **form, **more)
        assert answer.status_code == 204, answer.text
