"""A small HTTP server in the test process that records callbacks and answers as told."""

import ssl
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qsl

from twilio.request_validator import RequestValidator

from .server import AUTH_TOKEN


@dataclass(frozen=True)
class Callback:
    """One request that the server under test sent."""

    url: str
    path: str
    method: str
    headers: dict[str, str]
    parameters: dict[str, str]
    parameter_count: int
    #: When it came, in seconds of the system's clock.
    arrived: float = 0.0

    def is_signed(self) -> bool:
        """Whether the official validator accepts its signature."""
        signature = self.headers.get("x-twilio-signature", "")
        return RequestValidator(AUTH_TOKEN).validate(self.url, self.parameters, signature)

    def __getitem__(self, name: str) -> str:
        return self.parameters[name]


class QuietServer(ThreadingHTTPServer):
    """Says nothing about senders that are gone; tests kill them."""

    # Connections that come at once wait their turn: a longer queue than any test needs, so that none is refused.
    request_queue_size = 1024

    def handle_error(self, request, client_address):
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(request, client_address)


Answer = tuple[int, str, str | bytes]
NO_CONTENT: Answer = (204, "application/json", "")


class Receiver:
    """`answers` maps a path to what is answered there: (status, content type, body), or a function of the callback.

    One that is not `listening` has an address and refuses connections until `listen`.
    """

    def __init__(self, listening: bool = True, tls: ssl.SSLContext | None = None):
        self.answers: dict[str, Answer | Callable[[Callback], Answer]] = {}
        self._callbacks: list[Callback] = []
        self._arrived = threading.Condition()
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            wbufsize = -1  # Head and body leave in one packet: two small ones would wait for each other's receipt.

            def do_POST(self):
                length = int(self.headers.get("Content-Length", 0))
                body = self.rfile.read(length)
                if len(body) < length:
                    self.close_connection = True  # The sender was killed while it sent.
                    return
                pairs = parse_qsl(body.decode(), keep_blank_values=True, strict_parsing=bool(body))
                callback = Callback(
                    url=receiver.url + self.path,
                    path=self.path.split("?")[0],
                    method=self.command,
                    headers={name.lower(): value for name, value in self.headers.items()},
                    parameters=dict(pairs),
                    parameter_count=len(pairs),
                    arrived=time.time(),
                )
                with receiver._arrived:
                    receiver._callbacks.append(callback)
                    receiver._arrived.notify_all()
                answer = receiver.answers.get(callback.path, NO_CONTENT)
                status, content_type, body = answer(callback) if callable(answer) else answer
                body = body.encode() if isinstance(body, str) else body
                self.send_response(status)
                if status != 204:
                    self.send_header("Content-Type", content_type)
                    self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            do_GET = do_POST

            def log_message(self, *_):
                pass

        self._http = QuietServer(("127.0.0.1", 0), Handler, bind_and_activate=False)
        self._http.daemon_threads = True
        self._http.server_bind()
        self._thread: threading.Thread | None = None
        if tls is not None:
            self._http.socket = tls.wrap_socket(self._http.socket, server_side=True, do_handshake_on_connect=False)
        self.url = f"{'https' if tls else 'http'}://127.0.0.1:{self._http.server_port}"
        if listening:
            self.listen()

    def listen(self) -> None:
        """Begins to take connections."""
        self._http.server_activate()
        self._thread = threading.Thread(target=self._http.serve_forever, args=(0.02,), daemon=True)
        self._thread.start()

    def close(self) -> None:
        if self._thread is not None:
            self._http.shutdown()
            self._thread.join()
        self._http.server_close()

    def callbacks(self, path: str) -> list[Callback]:
        """What arrived at this path so far, in order of arrival."""
        with self._arrived:
            return [callback for callback in self._callbacks if callback.path == path]

    def wait_until(self, is_enough: Callable[[list[Callback]], bool], seconds: float) -> None:
        """Waits until what has arrived, at whatever path, is enough."""
        with self._arrived:
            complete = self._arrived.wait_for(lambda: is_enough(self._callbacks), seconds)
            assert complete, f"{len(self._callbacks)} callbacks within {seconds} s were not enough"

    def wait_for(self, path: str, count: int, seconds: float = 10.0) -> list[Callback]:
        """Waits until `count` callbacks have arrived at this path."""
        with self._arrived:
            complete = self._arrived.wait_for(
                lambda: len([c for c in self._callbacks if c.path == path]) >= count, seconds
            )
            found = [callback for callback in self._callbacks if callback.path == path]
        assert complete, f"{len(found)} of {count} callbacks arrived at {path} within {seconds} s"
        return found
