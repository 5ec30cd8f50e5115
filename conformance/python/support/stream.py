"""Reads `/pointsman/v1/Workspaces/{Sid}/EventStream`, as lines of JSON or as server-sent events."""

import json
import threading
from collections.abc import Iterator
from typing import Self

import requests

from .server import ACCOUNT_SID, AUTH_TOKEN

NDJSON = "application/x-ndjson"
SERVER_SENT_EVENTS = "text/event-stream"


class Stream:
    """One open stream. `events` yields each CloudEvent as a dictionary; half a minute without one is a failure."""

    def __init__(
        self,
        base_url: str,
        workspace_sid: str,
        accept: str = NDJSON,
        last_event_id: str | None = None,
        credentials: tuple[str, str] = (ACCOUNT_SID, AUTH_TOKEN),
        **query,
    ):
        headers = {"Accept": accept}
        if last_event_id is not None:
            headers["Last-Event-ID"] = last_event_id
        self.accept = accept
        self.response = requests.get(
            f"{base_url}/pointsman/v1/Workspaces/{workspace_sid}/EventStream",
            params=query, headers=headers, auth=credentials, stream=True, timeout=30,
        )  # fmt: skip
        assert self.response.status_code == 200, self.response.text
        assert self.response.headers["Content-Type"] == accept
        self.events = self._events()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_) -> None:
        self.response.close()

    def lines(self) -> Iterator[str]:
        # Pieces of one byte would be slow, larger ones would wait for more: read what has arrived.
        pending = b""
        while piece := self.response.raw.read1(65536, decode_content=True):
            *whole, pending = (pending + piece).split(b"\n")
            for line in whole:
                yield line.decode()
        assert pending == b"", "the stream ends with a whole line"

    def _events(self) -> Iterator[dict]:
        identifier, silent = None, 0
        for line in self.lines():
            if line in ("", ":"):
                silent += line == (":" if self.accept == SERVER_SENT_EVENTS else "")
                assert silent < 3, "nothing happens"
                continue
            silent = 0
            if self.accept == NDJSON:
                yield json.loads(line)
            elif line.startswith("id: "):
                identifier = line.removeprefix("id: ")
            else:
                assert line.startswith("data: "), line
                event = json.loads(line.removeprefix("data: "))
                assert event["id"] == identifier
                yield event

    def take(self, count: int) -> list[dict]:
        """The next events, which must come."""
        found = []
        while len(found) < count:
            event = next(self.events, None)
            assert event is not None, (
                f"the stream ended after {len(found)} of {count} events"
            )
            found.append(event)
        return found


class Follower:
    """Reads a stream in a thread, from break to break, going on where it broke off."""

    def __init__(self, workspace_sid: str, accept: str = NDJSON):
        self.workspace_sid = workspace_sid
        self.accept = accept
        self.seen: list[str] = []
        self.arrived = threading.Condition()
        self.thread: threading.Thread | None = None
        self.failure: BaseException | None = None

    def follow(self, base_url: str) -> None:
        """Begins, or goes on, with the server at this address, until the connection ends."""
        self.thread = threading.Thread(target=self._read, args=(base_url,), daemon=True)
        self.thread.start()

    def _read(self, base_url: str) -> None:
        try:
            place = {"last_event_id": self.seen[-1]} if self.seen else {"From": "start"}
            with Stream(base_url, self.workspace_sid, self.accept, **place) as stream:
                for event in stream.events:
                    with self.arrived:
                        self.seen.append(event["id"])
                        self.arrived.notify_all()
        except (requests.RequestException, OSError, AssertionError) as error:
            # A process that was killed cuts lines and bodies anywhere.
            self.failure = error
        except Exception as error:
            if type(error).__module__.split(".")[0] != "urllib3":
                raise
            self.failure = error

    def wait_for(self, count: int, seconds: float = 30.0) -> None:
        with self.arrived:
            complete = self.arrived.wait_for(lambda: len(self.seen) >= count, seconds)
        assert complete, (
            f"{len(self.seen)} of {count} events arrived within {seconds} s; {self.failure!r}"
        )

    def ended(self) -> None:
        assert self.thread is not None
        self.thread.join(30)
        assert not self.thread.is_alive()
