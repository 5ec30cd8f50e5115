"""Receivers of callbacks that behave badly, each in one way, on plain sockets in the test process."""

import contextlib
import socket
import threading
from collections.abc import Callable

HUGE_BYTES = 10 << 20
CHUNK = b"x" * (16 << 10)
SECONDS_OF_SLOW = 0.2
SECONDS_BETWEEN_DRIPS = 0.05


class BadReceiver:
    """Listens, and treats every connection in the way that it was made with; `close` ends all of them.

    A way is a function of (receiver, connection); the connection is closed when it returns.
    """

    def __init__(self, way: Callable[["BadReceiver", socket.socket], None] | None):
        self.way = way
        self.closed = threading.Event()
        self.requests: list[str] = []
        #: Bytes of each body that were taken, as far as the ways count them.
        self.bodies: list[int] = []
        self.connections_max = 0
        self._open: set[socket.socket] = set()
        self._lock = threading.Lock()
        self._listener = socket.socket()
        # Small buffers, so that what was sent is near to what was read.
        self._listener.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 64 << 10)
        self._listener.bind(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        if way is not None:
            self._listener.listen(256)
            threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        while not self.closed.is_set():
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        with self._lock:
            self._open.add(connection)
            self.connections_max = max(self.connections_max, len(self._open))
        # The other side may end the connection at any moment.
        with contextlib.suppress(OSError), connection:
            self.way(self, connection)
        with self._lock:
            self._open.discard(connection)

    def close(self) -> None:
        self.closed.set()
        # Closing alone would leave `accept` waiting.
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        with self._lock:
            for connection in self._open:
                with contextlib.suppress(OSError):
                    connection.shutdown(socket.SHUT_RDWR)

    def read(self, connection: socket.socket) -> None:
        """Reads one request with its body and remembers its target."""
        with connection.makefile("rb") as stream:
            target = stream.readline().decode("latin-1").split(" ")[1:2]
            length = 0
            while (line := stream.readline()) not in (b"\r\n", b""):
                name, _, value = line.decode("latin-1").partition(":")
                if name.lower() == "content-length":
                    length = int(value)
            stream.read(length)
        if target:
            with self._lock:
                self.requests.append(target[0])

    def count_body(self, size: int) -> None:
        with self._lock:
            self.bodies.append(size)


def closes_after_answering(seconds: float):
    """Answers as it should, and closes the connection a moment later without having said so."""

    def act(receiver, connection):
        receiver.read(connection)
        connection.sendall(b"HTTP/1.1 204 No Content\r\n\r\n")
        receiver.closed.wait(seconds)

    return act


def hangs(receiver, connection):
    receiver.read(connection)
    receiver.closed.wait()


def is_slow(receiver, connection):
    receiver.read(connection)
    receiver.closed.wait(SECONDS_OF_SLOW)
    connection.sendall(b"HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n")


def drips(receiver, connection):
    receiver.read(connection)
    connection.sendall(b"HTTP/1.1 200 OK\r\nX-Drip: ")
    while not receiver.closed.wait(SECONDS_BETWEEN_DRIPS):
        connection.sendall(b"x")


def closes_at_once(receiver, connection):
    pass


def closes_unanswered(receiver, connection):
    receiver.read(connection)


def closes_halfway(receiver, connection):
    receiver.read(connection)
    connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n{")


def answers_garbage(receiver, connection):
    receiver.read(connection)
    connection.sendall(bytes(range(256)) * 4)


def answers_500(receiver, connection):
    receiver.read(connection)
    connection.sendall(b"HTTP/1.1 500 Internal Server Error\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")


def redirects(receiver, connection):
    receiver.read(connection)
    location = f"{receiver.url}/elsewhere".encode()
    connection.sendall(
        b"HTTP/1.1 307 Temporary Redirect\r\nLocation: "
        + location
        + b"\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
    )


def answers_huge(receiver, connection):
    receiver.read(connection)
    connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n" % HUGE_BYTES)
    taken = 0
    try:
        while taken < HUGE_BYTES:
            taken += connection.send(CHUNK)
    finally:
        receiver.count_body(taken)


def answers_without_end(receiver, connection):
    receiver.read(connection)
    connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n")
    taken = 0
    try:
        while not receiver.closed.is_set():
            connection.sendall(b"%x\r\n%b\r\n" % (len(CHUNK), CHUNK))
            taken += len(CHUNK)
    finally:
        receiver.count_body(taken)


#: Every way; none at all is a receiver that is down.
WAYS = {
    "is down": None,
    "hangs": hangs,
    "is slow": is_slow,
    "drips": drips,
    "closes at once": closes_at_once,
    "closes unanswered": closes_unanswered,
    "closes halfway": closes_halfway,
    "answers garbage": answers_garbage,
    "answers 500": answers_500,
    "redirects": redirects,
    "answers 10 MB": answers_huge,
    "answers without end": answers_without_end,
}
