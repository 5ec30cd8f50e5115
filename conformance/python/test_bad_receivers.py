"""Receivers that are slow, down or broken delay neither routing nor the callbacks of anybody else, and lose nothing
where delivery is guaranteed.

Reference: events and callbacks, sections 6, 7.2 and 12.4.
"""

import json
import threading
from collections import Counter, defaultdict
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from conftest import Wire
from support.bad_receiver import WAYS, BadReceiver, closes_after_answering, hangs
from support.client import connect
from support.clock import Clock
from support.deliveries import Deliveries
from support.receiver import NO_CONTENT, Receiver
from support.server import Server
from support.world import World

JSON = "application/json"
TASKS_OF_BAD = 75
TASKS_OF_GOOD = 100
CLIENTS = 4
#: Nothing here takes anywhere near as long; a server that waits for bad receivers takes longer.
SECONDS_MAX = 60.0
#: Mostly what systems keep in buffers on the way; far below what is sent.
BODY_BYTES_MAX = 4 << 20
MEMORY_MAX = 512 << 20

LIFE = [
    "task.created",
    "workflow.entered",
    "workflow.target-matched",
    "task-queue.entered",
    "reservation.created",
    "reservation.accepted",
    "task.completed",
    "reservation.completed",
    "task.updated",
]


class Shop(World):
    """A Workspace with room for 200 Tasks and two Workflows: one that asks its receiver, one that does not."""

    def __init__(self, client, url: str):
        super().__init__(client)
        self.everybody = self.queue("Everybody")
        self.plain = self.workflow("Plain", {"default_filter": {"queue": self.everybody.sid}})
        self.asked = self.workflow(
            "Asked", {"default_filter": {"queue": self.everybody.sid}}, assignment_callback_url=url + "/assign"
        )
        for number in range(4):
            worker = self.worker(f"Worker {number}")
            self.context.workers(worker.sid).worker_channels("default").update(capacity=50)
        self.context.update(event_callback_url=url + "/events")


def all_of(wire: Wire, path: str, key: str, **parameters) -> list[dict]:
    """Every page of a list."""
    found, url = [], path
    parameters = {"PageSize": "1000", **parameters}
    while url:
        answer = wire("GET", url, params=parameters)
        assert answer.status_code == 200, answer.text
        page = answer.json()
        found += page[key]
        url, parameters = page["meta"]["next_page_url"], None
    return found


def memory_of(server: Server) -> int:
    """The most memory that the server ever had, in bytes."""
    for line in Path(f"/proc/{server.process.pid}/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) << 10
    raise AssertionError("the system does not tell")


@pytest.fixture
def bad_receivers():
    receivers = {way: BadReceiver(act) for way, act in WAYS.items()}
    yield receivers
    for receiver in receivers.values():
        receiver.close()


def test_bad_receivers_delay_neither_routing_nor_the_callbacks_of_others(own_server, receiver, bad_receivers):
    client = connect(own_server.url)
    receiver.answers["/assign"] = (200, JSON, '{"instruction":"accept"}')
    good = Shop(client, receiver.url)
    bad = {way: Shop(client, bad_receiver.url) for way, bad_receiver in bad_receivers.items()}

    orders = interleaved(good, list(bad.values()))
    assert len(orders) == 1000
    with ThreadPoolExecutor(CLIENTS) as pool:
        created = list(pool.map(Creator(own_server.url), orders))
    tasks = defaultdict(list)
    for (shop, workflow), sid in zip(orders, created, strict=True):
        tasks[shop.sid, workflow.sid].append(sid)

    # Routing: what nobody had to be asked for is reserved, and everything was offered at least once.
    wire = Wire(own_server.url)
    for way, shop in bad.items():
        base = f"/v1/Workspaces/{shop.sid}"
        reserved = {task["sid"] for task in all_of(wire, f"{base}/Tasks", "tasks", AssignmentStatus="reserved")}
        plain, asked = tasks[shop.sid, shop.plain.sid], tasks[shop.sid, shop.asked.sid]
        assert reserved >= set(plain), way
        offers = all_of(wire, f"{base}/Events", "events", EventType="reservation.created")
        assert {offer["event_data"]["task_sid"] for offer in offers} >= set(plain) | set(asked), way

    # The good one: everything arrives, and its answers are carried out.
    mine = tasks[good.sid, good.asked.sid]
    assert len(mine) == TASKS_OF_GOOD
    wait_until(receiver, lambda counts: counts["reservation.accepted"] == TASKS_OF_GOOD)
    with ThreadPoolExecutor(CLIENTS) as pool:
        list(pool.map(Completer(own_server.url, good.sid), mine))
    wait_until(receiver, lambda counts: counts["task.updated"] == TASKS_OF_GOOD)
    by_task = defaultdict(list)
    callbacks = [callback for callback in receiver.callbacks("/events") if "TaskSid" in callback.parameters]
    for callback in callbacks:
        by_task[callback["TaskSid"]].append(callback["EventType"])
    assert by_task == {sid: LIFE for sid in mine}
    assert len({callback["Sid"] for callback in callbacks}) == len(callbacks), "an event was told twice"
    assert len(receiver.callbacks("/assign")) == TASKS_OF_GOOD

    # The bad ones were asked all the time, and nothing of theirs was taken in.
    for way, bad_receiver in bad_receivers.items():
        if bad_receiver.way is None or way == "closes at once":
            continue
        assert bad_receiver.requests, way
        assert set(bad_receiver.requests) <= {"/events", "/assign"}, "a redirection was followed"
        for size in bad_receiver.bodies:
            assert size < BODY_BYTES_MAX, f"{way}: {size} bytes of a body were taken"
    assert memory_of(own_server) < MEMORY_MAX
    lag = max(callback.arrived - int(callback["TimestampMs"]) / 1000 for callback in callbacks)
    assert lag < SECONDS_MAX
    print(f"good: {len(callbacks)} events and {TASKS_OF_GOOD} assignments told, longest lag {lag:.3f} s")
    for way, bad_receiver in bad_receivers.items():
        bodies = f", bodies up to {max(bad_receiver.bodies)} bytes" if bad_receiver.bodies else ""
        print(
            f"{way}: {len(bad_receiver.requests)} requests, {bad_receiver.connections_max} connections at once{bodies}"
        )
    print(f"memory {memory_of(own_server) >> 20} MiB")

    # It stops in time, whatever is still on its way.
    assert own_server.stop() == 0


@pytest.mark.parametrize("seconds", [0, 0.0005, 0.002, 0.01])
def test_a_receiver_that_closes_connections_after_its_answers_loses_nothing(server, client, seconds):
    bad = BadReceiver(closes_after_answering(seconds))
    try:
        shop = Shop(client, bad.url)
        for _ in range(50):
            shop.task({}, workflow_sid=shop.plain.sid)
        deliveries = Deliveries(server.url, shop.sid)
        patience = threading.Event()
        while (counters := deliveries.counters())["waiting"]:
            assert not patience.wait(0.05)
        assert counters["dead"] == 0
        assert len(bad.requests) >= counters["delivered"] > 200
        shop.delete()
    finally:
        bad.close()


def test_a_workspace_with_more_waiting_than_memory_holds_delays_nobody(own_server, receiver, bad_receivers):
    client = connect(own_server.url)
    receiver.answers["/assign"] = (200, JSON, '{"instruction":"accept"}')
    bad, good = Shop(client, bad_receivers["hangs"].url), Shop(client, receiver.url)
    own_answers = bad.workflow(
        "Answers", {"default_filter": {"queue": bad.everybody.sid}}, assignment_callback_url=receiver.url + "/assign"
    )
    with ThreadPoolExecutor(CLIENTS) as pool:
        list(pool.map(Creator(own_server.url), [(bad, bad.plain)] * 6000))
    assert Deliveries(own_server.url, bad.sid).counters()["waiting"] > 20_000
    (task,) = map(Creator(own_server.url), [(good, good.asked)])
    wait_until(receiver, lambda counts: counts["reservation.accepted"] == 1)
    told = [c["EventType"] for c in receiver.callbacks("/events") if c.parameters.get("TaskSid") == task]
    assert told == LIFE[: LIFE.index("task.completed")]
    # Nor does what nobody takes hold up what routing waits for, in the same Workspace.
    own = bad.task({}, workflow_sid=own_answers.sid, priority=10)
    bad.worker("Worker for one")
    receiver.wait_until(lambda callbacks: any(c.parameters.get("TaskSid") == own.sid for c in callbacks), SECONDS_MAX)
    assert own_server.stop() == 0


def interleaved(good: Shop, bad: list[Shop]) -> list:
    """Which Workflow each Task is for: the good Workspace's Tasks stand evenly among the others."""
    orders = []
    for number in range(TASKS_OF_BAD):
        orders += [(shop, shop.asked if number % 3 == 0 else shop.plain) for shop in bad]
    step = len(orders) / TASKS_OF_GOOD
    for number in reversed(range(TASKS_OF_GOOD)):
        orders.insert(int(number * step), (good, good.asked))
    return orders


class Creator:
    """Makes Tasks; each thread has its own connection."""

    def __init__(self, url: str):
        self.url = url
        self.local = threading.local()

    def wire(self) -> Wire:
        if not hasattr(self.local, "wire"):
            self.local.wire = Wire(self.url)
        return self.local.wire

    def __call__(self, order) -> str:
        shop, workflow = order
        answer = self.wire()("POST", f"/v1/Workspaces/{shop.sid}/Tasks", data={"WorkflowSid": workflow.sid})
        assert answer.status_code == 201, answer.text
        return answer.json()["sid"]


class Completer(Creator):
    def __init__(self, url: str, workspace_sid: str):
        super().__init__(url)
        self.workspace_sid = workspace_sid

    def __call__(self, sid: str) -> None:
        form = {"AssignmentStatus": "completed", "Reason": "done"}
        answer = self.wire()("POST", f"/v1/Workspaces/{self.workspace_sid}/Tasks/{sid}", data=form)
        assert answer.status_code == 200, answer.text


def wait_until(receiver: Receiver, is_enough) -> None:
    """Waits until the numbers of the events by type are enough."""
    receiver.wait_until(
        lambda callbacks: is_enough(Counter(c.parameters.get("EventType") for c in callbacks)), SECONDS_MAX
    )


def test_a_callback_that_waits_holds_up_its_own_task_alone(world, receiver):
    released = threading.Event()

    def answer(callback):
        if callback.parameters.get("TaskAttributes") == '{"wait": true}':
            released.wait(SECONDS_MAX)
        return NO_CONTENT

    receiver.answers["/events"] = answer
    shop = Shop(world.client, receiver.url)
    waiting = shop.task({"wait": True}, workflow_sid=shop.plain.sid)
    others = [shop.task({}, workflow_sid=shop.plain.sid) for _ in range(20)]
    try:
        wait_until(receiver, lambda counts: counts["reservation.created"] == len(others))
        by_task = Counter(c.parameters.get("TaskSid") for c in receiver.callbacks("/events"))
        assert by_task[waiting.sid] == 1
        assert {by_task[task.sid] for task in others} == {LIFE.index("reservation.accepted")}
    finally:
        released.set()
    wait_until(receiver, lambda counts: counts["reservation.created"] == len(others) + 1)
    told = [c["EventType"] for c in receiver.callbacks("/events") if c.parameters.get("TaskSid") == waiting.sid]
    assert told == LIFE[: LIFE.index("reservation.accepted")]
    shop.delete()


# Guaranteed delivery, under the virtual clock

OUTAGE_SECONDS = 3600
BACK_OFF_SECONDS_MAX = 300


@pytest.fixture
def guaranteeing(tmp_path):
    """A server that gives an event up only an hour after it happened, or 24 hours, as `hours` says."""
    servers = []

    def start(hours: int) -> Server:
        environment = {"POINTSMAN_CALLBACKS_GUARANTEED": "true", "POINTSMAN_CALLBACKS_GUARANTEED_HOURS": str(hours)}
        server = Server(tmp_path / f"data{hours}", "--clock", "virtual", environment=environment).start()
        servers.append(server)
        return server

    yield start
    for server in servers:
        server.kill()


class Outage:
    """Says what is answered while it lasts, a different failure each time, and counts attempts."""

    FAILURES = [(503, JSON, ""), (404, JSON, ""), (302, JSON, ""), (500, "text/html", "<p>" * 1000)]

    def __init__(self):
        self.is_over = False
        self.attempts = 0
        self.delivered: list = []

    def __call__(self, callback):
        self.attempts += 1
        if self.is_over:
            self.delivered.append(callback)
            return NO_CONTENT
        return self.FAILURES[self.attempts % len(self.FAILURES)]


def work_through(shop: Shop, clock: Clock, seconds: int) -> list[str]:
    """Tasks that are made, accepted and completed while time passes."""
    made = []
    for quarter in range(4):
        for number in range(5):
            task = shop.task({"quarter": quarter, "number": number}, workflow_sid=shop.plain.sid)
            shop.accept(task)
            made.append(task)
        clock.advance(seconds / 4 - 60)
        for task in made[-5:]:
            shop.complete(task)
        clock.advance(60)
    return [task.sid for task in made]


def key_of(parameters: dict[str, str]) -> str:
    """What the order holds for."""
    return parameters.get("TaskSid") or parameters.get("WorkerSid") or parameters["WorkspaceSid"]


def assert_all_told(events: list, attempts: list, delivered: list) -> None:
    """Every event was delivered once, in order for each key; every attempt of one is the same request."""
    assert len(delivered) == len({callback["Sid"] for callback in delivered}), "an event was delivered twice"
    assert {callback["Sid"] for callback in delivered} == {event.sid for event in events}
    told, happened = defaultdict(list), defaultdict(list)
    key = {}
    for callback in delivered:
        key[callback["Sid"]] = key_of(callback.parameters)
        told[key[callback["Sid"]]].append(callback["Sid"])
    for event in events:
        happened[key[event.sid]].append(event.sid)
    assert told == happened
    by_sid = defaultdict(list)
    for attempt in attempts:
        by_sid[attempt["Sid"]].append(attempt)
    tokens = set()
    for repeated in by_sid.values():
        first = repeated[0]
        for attempt in repeated:
            assert attempt.parameters == first.parameters
            assert attempt.headers["i-twilio-idempotency-token"] == first.headers["i-twilio-idempotency-token"]
            assert attempt.is_signed()
        tokens.add(first.headers["i-twilio-idempotency-token"])
    assert len(tokens) == len(by_sid), "two events have one token"
    # One that waits holds up those behind it, and them alone.
    waiting = {key: list(sids) for key, sids in happened.items()}
    done = {callback["Sid"]: callback for callback in delivered}
    for attempt in attempts:
        sids = waiting[key[attempt["Sid"]]]
        assert attempt["Sid"] == sids[0], "an event overtook another of its key"
        if attempt is done[attempt["Sid"]]:
            sids.pop(0)
    assert not any(waiting.values())


@pytest.mark.parametrize("is_listening", [True, False], ids=["that answers errors", "that is down"])
def test_an_outage_of_an_hour_loses_nothing_where_delivery_is_guaranteed(guaranteeing, is_listening):
    server = guaranteeing(24)
    clock = Clock(server.url)
    receiver = Receiver(listening=is_listening)
    outage = Outage()
    receiver.answers["/events"] = outage
    try:
        shop = Shop(connect(server.url), receiver.url)
        sids = work_through(shop, clock, OUTAGE_SECONDS)
        assert outage.delivered == []
        assert {task.assignment_status for task in shop.context.tasks.list()} == {"completed"}
        outage.is_over = True
        if not is_listening:
            receiver.listen()
        clock.advance(BACK_OFF_SECONDS_MAX)
        events = shop.events()
        # The URL was set last, and told.
        first = next(index for index, event in enumerate(events) if event.event_type == "workspace.updated")
        events = events[first:]
        attempts = receiver.callbacks("/events")
        assert_all_told(events, attempts, outage.delivered)
        assert {callback.parameters.get("TaskSid") for callback in outage.delivered} >= set(sids)
        print(f"{len(events)} events delivered in {len(attempts)} attempts; clock at {clock.now():%H:%M:%S}")
    finally:
        receiver.close()


def test_what_could_not_be_delivered_in_time_makes_room_for_what_came_later(guaranteeing):
    server = guaranteeing(1)
    clock = Clock(server.url)
    receiver = Receiver()
    outage = Outage()
    receiver.answers["/events"] = outage
    try:
        shop = Shop(connect(server.url), receiver.url)
        task = shop.task({}, workflow_sid=shop.plain.sid)
        shop.accept(task)
        clock.advance(1800)
        shop.context.tasks(task.sid).update(attributes=json.dumps({"late": True}))
        # The hour of all but the last is over, and so is the longest pause that may have begun before its end.
        clock.advance(1800 + BACK_OFF_SECONDS_MAX)
        outage.is_over = True
        clock.advance(BACK_OFF_SECONDS_MAX)
        told = [c["EventType"] for c in outage.delivered if c.parameters.get("TaskSid") == task.sid]
        assert told == ["task.updated"]
    finally:
        receiver.close()


def test_a_receiver_of_events_that_hangs_does_not_keep_the_application_from_being_asked(world, receiver):
    bad = BadReceiver(hangs)
    receiver.answers["/assign"] = (200, JSON, '{"instruction":"accept"}')
    shop = Shop(world.client, bad.url)
    try:
        shop.context.workflows(shop.asked.sid).update(assignment_callback_url=receiver.url + "/assign")
        tasks = [shop.task({}, workflow_sid=shop.asked.sid) for _ in range(100)]
        # All at once; a callback of events that hangs is given up after 15 s.
        receiver.wait_for("/assign", len(tasks), seconds=10)
    finally:
        bad.close()
        shop.delete()
