"""Kill -9 under load, at random moments, again and again on one data directory: no acknowledged change is ever lost.

The seed is printed; `POINTSMAN_CRASH_SEED` repeats a run's choices, `POINTSMAN_CRASH_ROUNDS` makes it longer.
"""

import json
import os
import random
import threading
import time
from dataclasses import dataclass, field

import pytest
import requests
from support.client import connect
from support.world import World, version_of
from twilio.base.exceptions import TwilioRestException

ROUNDS = int(os.environ.get("POINTSMAN_CRASH_ROUNDS", "20"))
SEED = int(os.environ.get("POINTSMAN_CRASH_SEED", random.SystemRandom().randrange(2**32)))
CLIENTS = 4
CAPACITY = 3
TASK_LIFE_SECONDS = 2
# A finished Task is removed after five minutes; older ones are not asked for.
FINISHED_SECONDS_MAX = 270


@dataclass
class Known:
    """What was acknowledged about one Task."""

    attributes: str
    version: int | None  # None: the change had no answer, so nobody told us
    status: str  # "open" (pending or reserved), "assigned", "completed", "canceled", "deleted"
    since: float = field(default_factory=time.monotonic)


@dataclass
class Flight:
    """The one request of a client that had no answer when the process was killed."""

    kind: str
    sid: str | None = None
    attributes: str = ""
    status: str = ""


STATUSES = {
    "open": {"pending", "reserved"},
    "assigned": {"assigned"},
    "completed": {"completed"},
    "canceled": {"canceled"},
}
FINAL = ("completed", "canceled", "deleted")


class Clerk:
    """One client with a queue and a Worker of its own, who writes down what the server acknowledged."""

    def __init__(self, world: World, number: int):
        self.number = number
        self.queue = world.queue(f"Queue {number}", f"desk == {number}")
        self.worker = world.worker(f"Worker {number}", {"desk": number, "count": 0})
        world.context.workers(self.worker.sid).worker_channels("default").update(capacity=CAPACITY)
        self.workspace_sid = world.sid
        self.tasks: dict[str, Known] = {}
        self.count = 0
        self.worker_version = 0
        self.flight: Flight | None = None
        self.acknowledged = 0
        self.failure: BaseException | None = None

    def work(self, base_url: str, rng: random.Random, killed: threading.Event) -> None:
        """Sends requests until the server is gone."""
        context = connect(base_url).taskrouter.v1.workspaces(self.workspace_sid)
        try:
            while True:
                self.step(context, rng)
                self.flight = None
                self.acknowledged += 1
        except (requests.ConnectionError, requests.Timeout, requests.exceptions.ChunkedEncodingError) as error:
            if not killed.is_set():
                self.failure = error
        except BaseException as error:
            self.failure = error

    def of_status(self, status: str) -> list[str]:
        return [sid for sid, known in self.tasks.items() if known.status == status]

    def step(self, context, rng: random.Random) -> None:
        kind = rng.choice(("create", "create", "accept", "accept", "complete", "write", "cancel", "delete", "worker"))
        if kind == "create":
            attributes = json.dumps({"clerk": self.number, "text": f"{rng.random():.12f}"})
            self.flight = Flight("create", attributes=attributes, status="open")
            reply = context.tasks.create_with_http_info(attributes=attributes, routing_target=self.queue.sid)
            self.tasks[reply.data.sid] = Known(attributes, version_of(reply.headers), "open")
        elif kind == "accept":
            offers = context.workers(self.worker.sid).reservations.list(reservation_status="pending", limit=1)
            for offer in offers:
                self.flight = Flight("accept", offer.task_sid, status="assigned")
                context.workers(self.worker.sid).reservations(offer.sid).update(reservation_status="accepted")
                self.tasks[offer.task_sid].status = "assigned"
        elif kind == "complete":
            for sid in self.of_status("assigned")[:1]:
                self.change(context, sid, "completed", assignment_status="completed", reason="done")
        elif kind == "cancel":
            for sid in self.of_status("open")[:1]:
                self.change(context, sid, "canceled", assignment_status="canceled", reason="no more")
        elif kind == "write":
            candidates = self.of_status("open") + self.of_status("assigned")
            if candidates:
                sid = rng.choice(candidates)
                attributes = json.dumps({"clerk": self.number, "text": f"{rng.random():.12f}"})
                self.change(context, sid, self.tasks[sid].status, attributes=attributes)
        elif kind == "delete":
            candidates = [sid for sid, known in self.tasks.items() if known.status != "deleted"]
            if len(candidates) > 20:
                sid = rng.choice(candidates)
                if self.tasks[sid].status in FINAL and time.monotonic() - self.tasks[sid].since > FINISHED_SECONDS_MAX:
                    return
                self.flight = Flight("delete", sid, status="deleted")
                context.tasks(sid).delete()
                self.tasks[sid].status = "deleted"
        else:
            self.flight = Flight("worker")
            reply = context.workers(self.worker.sid).update_with_http_info(
                attributes=json.dumps({"desk": self.number, "count": self.count + 1})
            )
            self.count += 1
            self.worker_version = version_of(reply.headers)

    def change(self, context, sid: str, status: str, **parameters) -> None:
        known = self.tasks[sid]
        self.flight = Flight("change", sid, parameters.get("attributes", known.attributes), status)
        reply = context.tasks(sid).update_with_http_info(**parameters)
        if status != known.status:
            known.since = time.monotonic()
        known.status, known.version = status, version_of(reply.headers)
        known.attributes = parameters.get("attributes", known.attributes)

    # After the restart

    def check(self, client, rng: random.Random) -> None:
        """Compares the server with the notes; where a request had no answer, either outcome is right, whole."""
        context = client.taskrouter.v1.workspaces(self.workspace_sid)
        found = {task.sid: task for task in context.tasks.list(routing_target=self.queue.sid, page_size=1000)}
        self.settle(found)
        now = time.monotonic()
        expected = {
            sid
            for sid, known in self.tasks.items()
            if known.status != "deleted" and not (known.status in FINAL and now - known.since > FINISHED_SECONDS_MAX)
        }
        missing = expected - set(found)
        assert not missing, (
            f"{len(missing)} acknowledged tasks are gone: {[(sid, self.tasks[sid]) for sid in list(missing)[:3]]}"
        )
        resurrected = set(found) - {sid for sid, known in self.tasks.items() if known.status != "deleted"}
        assert not resurrected, f"tasks that nobody made, or that were deleted: {resurrected}"
        for sid in expected:
            known, task = self.tasks[sid], found[sid]
            assert task.assignment_status in STATUSES[known.status], (sid, known, task.assignment_status)
            assert task.attributes == known.attributes, (sid, known, task.attributes)
        for sid in rng.sample(sorted(expected), min(25, len(expected))):
            known = self.tasks[sid]
            version = version_of(context.tasks(sid).fetch_with_http_info().headers)
            if known.version is not None and known.status in FINAL:
                assert version == known.version, (sid, known)
            elif known.version is not None:
                assert version >= known.version, (sid, known, version)
        worker = context.workers(self.worker.sid).fetch_with_http_info()
        assert json.loads(worker.data.attributes) == {"desk": self.number, "count": self.count}
        assert version_of(worker.headers) >= self.worker_version
        self.check_capacity(context, found)

    def check_capacity(self, context, found: dict) -> None:
        """The Worker holds no more than it can, and what it holds agrees with the Tasks."""
        reservations = context.workers(self.worker.sid).reservations.list(page_size=1000)
        accepted = sorted(r.task_sid for r in reservations if r.reservation_status == "accepted")
        pending = sorted(r.task_sid for r in reservations if r.reservation_status == "pending")
        assert len(accepted) + len(pending) <= CAPACITY
        assert accepted == sorted(sid for sid, task in found.items() if task.assignment_status == "assigned")
        assert pending == sorted(sid for sid, task in found.items() if task.assignment_status == "reserved")
        waiting = [sid for sid, task in found.items() if task.assignment_status == "pending"]
        assert not waiting or len(accepted) + len(pending) == CAPACITY, "a free worker and a waiting task coexist"

    def settle(self, found: dict) -> None:
        """Learns what became of the request that had no answer."""
        flight, self.flight = self.flight, None
        if flight is None:
            return
        if flight.kind == "create":
            new = [task for sid, task in found.items() if sid not in self.tasks]
            assert len(new) <= 1, new
            for task in new:
                assert task.attributes == flight.attributes
                self.tasks[task.sid] = Known(task.attributes, None, "open")
        elif flight.kind == "delete":
            if flight.sid not in found:
                self.tasks[flight.sid].status = "deleted"
        elif flight.kind in ("accept", "change"):
            known, task = self.tasks[flight.sid], found[flight.sid]
            happened = task.assignment_status in STATUSES[flight.status] and (
                flight.kind == "accept" or task.attributes == flight.attributes
            )
            if happened and (flight.status, flight.attributes or known.attributes) != (known.status, known.attributes):
                known.status = flight.status
                known.attributes = task.attributes
                known.version = None
                known.since = time.monotonic()

    def settle_worker(self, client) -> None:
        """The same for the Worker, whose notes are a counter."""
        if self.flight is not None and self.flight.kind == "worker":
            worker = client.taskrouter.v1.workspaces(self.workspace_sid).workers(self.worker.sid).fetch()
            count = json.loads(worker.attributes)["count"]
            assert count in (self.count, self.count + 1)
            self.count = count
            self.flight = None


@pytest.mark.slow
def test_no_acknowledged_change_is_lost_by_kill_9(own_server):
    print(f"seed {SEED}, {ROUNDS} rounds")
    rng = random.Random(SEED)
    server = own_server
    world = World(connect(server.url))
    clerks = [Clerk(world, number) for number in range(CLIENTS)]
    nobody = world.queue("Nobody", "1==2")
    timed: list[str] = []
    for round_number in range(ROUNDS):
        client = connect(server.url)
        timed.append(
            client.taskrouter.v1.workspaces(world.sid)
            .tasks.create(routing_target=nobody.sid, timeout=TASK_LIFE_SECONDS)
            .sid
        )
        killed = threading.Event()
        threads = [
            threading.Thread(target=clerk.work, args=(server.url, random.Random(rng.random()), killed))
            for clerk in clerks
        ]
        for thread in threads:
            thread.start()
        delay = rng.uniform(0.05, 1.5)
        # The moment of the kill is the subject of this test, so it is a matter of time and nothing else.
        threading.Event().wait(delay)
        killed.set()
        server.kill()
        for thread in threads:
            thread.join(60)
            assert not thread.is_alive()
        for clerk in clerks:
            if clerk.failure is not None:
                raise clerk.failure
        server.start()
        client = connect(server.url)
        for clerk in clerks:
            clerk.settle_worker(client)
            clerk.check(client, rng)
        print(
            f"round {round_number}: killed after {delay:.3f} s, {sum(clerk.acknowledged for clerk in clerks)} acknowledged so far"
        )

    client = connect(server.url)
    workspace = client.taskrouter.v1.workspaces(world.sid)
    check_timers(workspace, timed)
    created = {
        event.resource_sid for event in workspace.events.list(event_type="task.created", minutes=60, page_size=1000)
    }
    known = {sid for clerk in clerks for sid in clerk.tasks} | set(timed)
    assert known <= created, f"{len(known - created)} acknowledged tasks have no event"
    assert len(known) > ROUNDS, "there was hardly any load: the test proves nothing"
    assert server.stop() == 0


def check_timers(workspace, timed: list[str]) -> None:
    """Each Task's own lifetime ended it, not before its time, whatever happened in between."""
    deadline = time.monotonic() + TASK_LIFE_SECONDS + 10
    for sid in timed:
        while (task := fetched(workspace, sid)) is not None and task.assignment_status == "pending":
            assert time.monotonic() < deadline, f"the timer of {sid} has stopped"
        if task is not None:
            assert (task.assignment_status, task.reason) == ("canceled", "Task TTL Exceeded")
            assert (task.date_updated - task.date_created).total_seconds() >= TASK_LIFE_SECONDS - 1


def fetched(workspace, sid: str):
    """The Task, or None when it has been removed five minutes after its end."""
    try:
        return workspace.tasks(sid).fetch()
    except TwilioRestException as error:
        assert error.status == 404
        return None


def test_a_reservation_timer_goes_on_over_a_kill(own_server):
    """The offer made before the kill times out after it, at the time that was set."""
    server = own_server
    world = World(connect(server.url))
    queue = world.queue("Q")
    world.workflow("W", {"default_filter": {"queue": queue.sid}}, task_reservation_timeout=3)
    world.worker("Ada")
    task = world.task({})
    offer = world.offer(task)
    server.kill()
    server.start()
    workspace = connect(server.url).taskrouter.v1.workspaces(world.sid)
    reservation = workspace.tasks(task.sid).reservations(offer.sid)
    deadline = time.monotonic() + 15
    while (state := reservation.fetch()).reservation_status == "pending":
        assert time.monotonic() < deadline, "the timer has stopped"
    assert state.reservation_status == "timeout"
    assert 2 <= (state.date_updated - state.date_created).total_seconds() <= 6
    assert workspace.workers(offer.worker_sid).fetch().activity_name == "Offline"
    assert server.stop() == 0


def test_deadlines_that_pass_while_the_server_is_down_fire_at_the_start(own_server):
    server = own_server
    world = World(connect(server.url))
    queue = world.queue("Q", "1==2")
    task = world.task({}, routing_target=queue.sid, timeout=1)
    server.kill()
    threading.Event().wait(1.5)
    server.start()
    ended = connect(server.url).taskrouter.v1.workspaces(world.sid).tasks(task.sid).fetch()
    assert (ended.assignment_status, ended.reason) == ("canceled", "Task TTL Exceeded")
    assert server.stop() == 0


# A log that cannot be written


def pipe_without_a_reader() -> int:
    reading, writing = os.pipe()
    os.close(reading)
    return writing


@pytest.mark.parametrize("make_log", [lambda: "/dev/full", pipe_without_a_reader], ids=["full", "gone"])
def test_a_log_that_cannot_be_written_stops_nothing(own_server, make_log):
    server = own_server
    server.stop()
    server.log_to = make_log()
    server.start()
    world = World(connect(server.url))
    assert requests.get(f"{server.url}/v1/Workspaces", timeout=30).status_code == 401, "a line is due"
    task = world.task(workflow_sid=world.workflow("W", {"default_filter": {"queue": world.queue("Q").sid}}).sid)
    assert world.fetch(task).assignment_status == "pending"
    assert server.stop() == 0
