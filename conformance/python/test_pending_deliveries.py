"""Kill -9 while callbacks are on their way: after the start every event is told, the same one with the same token, and
assignment callbacks of reservations that are still pending are made again.

Reference: events and callbacks, sections 6 (restart, ordering, duplicates) and 7.2. `POINTSMAN_CRASH_SEED` repeats the
choices of the random test, `POINTSMAN_CRASH_ROUNDS` makes it longer.
"""

import os
import random
import threading
from collections import Counter, defaultdict

import pytest
import requests
from conftest import Wire
from support.client import connect
from support.clock import Clock
from support.receiver import NO_CONTENT, Callback, Receiver
from support.server import Server
from support.world import World

JSON = "application/json"
ROUNDS = int(os.environ.get("POINTSMAN_CRASH_ROUNDS", "6"))
SEED = int(os.environ.get("POINTSMAN_CRASH_SEED", random.SystemRandom().randrange(2**32)))
#: Nothing here takes anywhere near as long.
SECONDS_MAX = 60.0
TOKEN = "i-twilio-idempotency-token"


class Shop(World):
    """One queue, two Workers with room for 100 Tasks, and a receiver of all events."""

    def __init__(self, client, receiver: Receiver, **callback_urls):
        super().__init__(client)
        everybody = self.queue("Everybody")
        self.flow = self.workflow("Flow", {"default_filter": {"queue": everybody.sid}}, **callback_urls)
        for name in ("Ann", "Bob"):
            worker = self.worker(name)
            self.context.workers(worker.sid).worker_channels("default").update(capacity=50)
        self.context.update(event_callback_url=receiver.url + "/events")

    def after(self, server: Server) -> "Shop":
        """The same Workspace on a server that was started again."""
        self.client = connect(server.url)
        self.workspaces = self.client.taskrouter.v1.workspaces
        return self

    def told_events(self) -> list:
        """The events that the receiver must know: from the one that set the URL."""
        events = self.events()
        first = next(index for index, event in enumerate(events) if event.event_type == "workspace.updated")
        return events[first:]


class Gate:
    """Answers of a receiver that are held back until `open`; what was answered is in `answered`."""

    def __init__(self, answer=NO_CONTENT):
        self.answer = answer
        self.opened = threading.Event()
        self.answered: list[Callback] = []

    def open(self) -> None:
        self.opened.set()

    def __call__(self, callback: Callback):
        self.opened.wait(SECONDS_MAX)
        self.answered.append(callback)
        return self.answer


@pytest.fixture
def quiet_receiver():
    """A receiver whose answers may come when the server is gone."""
    receiver = Receiver()
    yield receiver
    receiver.close()


@pytest.fixture
def virtual_servers(tmp_path):
    """Makes servers of the test's own under a virtual clock; none survives the test."""
    servers = []

    def start(**environment) -> Server:
        directory = tmp_path / f"data{len(servers)}"
        servers.append(Server(directory, "--clock", "virtual", environment=environment).start())
        return servers[-1]

    yield start
    for server in servers:
        server.kill()


def key_of(callback: Callback) -> str:
    """What the order holds for."""
    parameters = callback.parameters
    return parameters.get("TaskSid") or parameters.get("WorkerSid") or parameters["WorkspaceSid"]


def assert_told(events: list, callbacks: list[Callback]) -> int:
    """Every event was told at least once, and first in its order for each key; repetitions are the same request.

    Returns how many were told more than once.
    """
    by_sid = defaultdict(list)
    for callback in callbacks:
        by_sid[callback["Sid"]].append(callback)
    happened = [event.sid for event in events]
    assert set(by_sid) <= set(happened), "an event was told that never happened"
    assert set(by_sid) >= set(happened), f"{len(set(happened) - set(by_sid))} of {len(happened)} events were not told"
    tokens = set()
    for repeated in by_sid.values():
        assert len({callback.headers[TOKEN] for callback in repeated}) == 1, "a repetition has another token"
        assert all(callback.parameters == repeated[0].parameters for callback in repeated)
        assert all(callback.is_signed() for callback in repeated)
        tokens.add(repeated[0].headers[TOKEN])
    assert len(tokens) == len(by_sid), "two events have one token"
    first_told, expected = defaultdict(list), defaultdict(list)
    for sid, repeated in by_sid.items():
        first_told[key_of(repeated[0])].append(sid)
    for sid in happened:
        expected[key_of(by_sid[sid][0])].append(sid)
    assert first_told == expected
    return sum(len(repeated) > 1 for repeated in by_sid.values())


def wait_until_told(receiver: Receiver, shop: Shop) -> list:
    """Waits until every event has arrived, and returns the events."""
    events = shop.told_events()
    happened = {event.sid for event in events}
    receiver.wait_until(
        lambda callbacks: happened <= {callback["Sid"] for callback in callbacks if callback.path == "/events"},
        SECONDS_MAX,
    )
    return events


# Events


def test_what_was_on_its_way_is_told_after_the_start(own_server, quiet_receiver):
    gate = Gate()
    quiet_receiver.answers["/events"] = gate
    shop = Shop(connect(own_server.url), quiet_receiver)
    for _ in range(20):
        shop.task()
    # One of each Task and that of the Workspace are held; all others wait behind them.
    held = quiet_receiver.wait_for("/events", 21, SECONDS_MAX)
    own_server.kill()
    assert gate.answered == []
    gate.open()
    shop.after(own_server.start())
    events = wait_until_told(quiet_receiver, shop)
    quiet_receiver.wait_for("/events", len(held) + len(events), SECONDS_MAX)
    repeated = assert_told(events, quiet_receiver.callbacks("/events"))
    assert repeated == len(held) == 21
    print(f"{len(events)} events told, {repeated} of them twice")
    assert own_server.stop() == 0


def test_what_a_guaranteed_delivery_waits_for_survives_kills(virtual_servers, quiet_receiver):
    server = virtual_servers(POINTSMAN_CALLBACKS_GUARANTEED="true")
    is_up = threading.Event()
    answered = []

    def answer(callback):
        if not is_up.is_set():
            return (503, JSON, "")
        answered.append(callback)
        return NO_CONTENT

    quiet_receiver.answers["/events"] = answer
    shop = Shop(connect(server.url), quiet_receiver)
    for round_number in range(3):
        for number in range(5):
            shop.accept(shop.task({"round": round_number, "number": number}))
        Clock(server.url).advance(60)
        server.kill()
        shop.after(server.start())
    is_up.set()
    Clock(server.url).advance(300)
    events = shop.told_events()
    attempts = quiet_receiver.callbacks("/events")
    assert_told(events, attempts)
    assert sorted(callback["Sid"] for callback in answered) == sorted(event.sid for event in events), "once each"
    print(f"{len(events)} events told in {len(attempts)} attempts over 3 kills")
    assert server.stop() == 0


def test_the_clock_names_the_end_of_the_pause_of_a_callback_that_failed(virtual_servers, quiet_receiver):
    server = virtual_servers(POINTSMAN_CALLBACKS_GUARANTEED="true")
    quiet_receiver.answers["/events"] = (503, JSON, "")
    shop = Shop(connect(server.url), quiet_receiver)
    shop.task()
    clock = Clock(server.url)
    told_by_move = clock.quiet()["next_deadline"]
    attempts = len(quiet_receiver.callbacks("/events"))
    until = clock.read()["next_deadline"]
    assert until is not None
    assert until == told_by_move
    clock.session.post(clock.url, data={"Until": until}, timeout=60)
    assert attempts < len(quiet_receiver.callbacks("/events")), "there it goes on"


def test_a_receiver_that_is_down_at_the_kill_is_told_when_it_is_up_again(virtual_servers):
    server = virtual_servers(POINTSMAN_CALLBACKS_GUARANTEED="true")
    receiver = Receiver(listening=False)
    try:
        shop = Shop(connect(server.url), receiver)
        for _ in range(10):
            shop.accept(shop.task())
        Clock(server.url).advance(10)
        server.kill()
        receiver.listen()
        shop.after(server.start())
        Clock(server.url).advance(300)
        assert assert_told(shop.told_events(), receiver.callbacks("/events")) == 0
    finally:
        receiver.close()


def test_what_failed_for_good_is_not_told_again(virtual_servers, quiet_receiver):
    server = virtual_servers()
    quiet_receiver.answers["/events"] = (500, JSON, "")
    shop = Shop(connect(server.url), quiet_receiver)
    shop.task()
    Clock(server.url).quiet()
    attempts = len(quiet_receiver.callbacks("/events"))
    assert attempts == len(shop.told_events())
    quiet_receiver.answers["/events"] = NO_CONTENT
    assert server.stop() == 0
    shop.after(server.start())
    shop.task()
    Clock(server.url).quiet()
    told = quiet_receiver.callbacks("/events")[attempts:]
    assert [callback["EventType"] for callback in told] == [
        "task.created", "workflow.entered", "workflow.target-matched", "task-queue.entered", "reservation.created",
    ]  # fmt: skip
    assert assert_told(shop.told_events(), quiet_receiver.callbacks("/events")) == 0


@pytest.mark.slow
def test_kills_at_random_moments_lose_no_callback(own_server, quiet_receiver):
    print(f"seed {SEED}, {ROUNDS} rounds")
    rng = random.Random(SEED)
    shop = Shop(connect(own_server.url), quiet_receiver)
    for _ in range(ROUNDS):
        killed = threading.Event()
        clerks = [threading.Thread(target=make_tasks, args=(own_server.url, shop, killed)) for _ in range(2)]
        for clerk in clerks:
            clerk.start()
        # The moment is chosen by what has been told, not by time.
        quiet_receiver.wait_for("/events", len(quiet_receiver.callbacks("/events")) + rng.randint(1, 150), SECONDS_MAX)
        killed.set()
        own_server.kill()
        for clerk in clerks:
            clerk.join(SECONDS_MAX)
            assert not clerk.is_alive()
        own_server.start()
    shop.after(own_server)
    events = wait_until_told(quiet_receiver, shop)
    repeated = assert_told(events, quiet_receiver.callbacks("/events"))
    print(f"{len(events)} events told over {ROUNDS} kills, {repeated} more than once")
    assert own_server.stop() == 0


def make_tasks(base_url: str, shop: Shop, killed: threading.Event) -> None:
    """Makes Tasks until the server is gone, and cancels half of them."""
    wire = Wire(base_url)
    path = f"/v1/Workspaces/{shop.sid}/Tasks"
    try:
        while not killed.is_set():
            task = wire("POST", path).json()
            wire("POST", f"{path}/{task['sid']}", data={"AssignmentStatus": "canceled", "Reason": "never mind"})
            wire("POST", path)
    except requests.ConnectionError:
        assert killed.is_set()
    except requests.exceptions.ChunkedEncodingError:
        assert killed.is_set()


# Assignment callbacks

ACCEPT = (200, JSON, '{"instruction":"accept"}')


def test_the_application_is_asked_again_about_what_is_pending(virtual_servers, quiet_receiver):
    server = virtual_servers()
    gate = Gate(ACCEPT)
    answers = iter([(200, JSON, "")])
    quiet_receiver.answers["/assign"] = lambda callback: next(answers, None) or gate(callback)
    shop = Shop(connect(server.url), quiet_receiver, assignment_callback_url=quiet_receiver.url + "/assign")
    answered = shop.task({"case": "answered without an instruction"})
    Clock(server.url).quiet()
    unanswered = shop.task({"case": "not answered"})
    decided = shop.task({"case": "not answered, and accepted by hand"})
    canceled = shop.task({"case": "not answered, and canceled"})
    quiet_receiver.wait_for("/assign", 4)
    shop.accept(decided)
    shop.context.tasks(canceled.sid).update(assignment_status="canceled")
    server.kill()
    gate.open()
    shop.after(server.start())
    Clock(server.url).quiet()

    asked = Counter(callback["TaskSid"] for callback in quiet_receiver.callbacks("/assign"))
    assert (asked[answered.sid], asked[unanswered.sid]) == (1, 2)
    before, again = (c for c in quiet_receiver.callbacks("/assign") if c["TaskSid"] == unanswered.sid)
    assert again.parameters == before.parameters
    assert again.is_signed()
    statuses = [shop.fetch(task).assignment_status for task in (answered, unanswered, decided, canceled)]
    assert statuses == ["reserved", "assigned", "assigned", "canceled"]
    assert server.stop() == 0


def test_a_fallback_that_was_not_answered_begins_with_the_first_url_again(virtual_servers, quiet_receiver):
    server = virtual_servers()
    gate = Gate(ACCEPT)
    quiet_receiver.answers["/assign"] = (500, JSON, "")
    quiet_receiver.answers["/fallback"] = gate
    shop = Shop(
        connect(server.url),
        quiet_receiver,
        assignment_callback_url=quiet_receiver.url + "/assign",
        fallback_assignment_callback_url=quiet_receiver.url + "/fallback",
    )
    task = shop.task()
    quiet_receiver.wait_for("/fallback", 1)
    server.kill()
    gate.open()
    shop.after(server.start())
    Clock(server.url).quiet()
    first, second = quiet_receiver.callbacks("/assign"), quiet_receiver.callbacks("/fallback")
    assert (len(first), len(second)) == (2, 2)
    assert all(callback.parameters == first[0].parameters for callback in first + second)
    assert shop.fetch(task).assignment_status == "assigned"
    assert len(shop.reservations(task)) == 1
    assert server.stop() == 0


def restarted(virtual_servers, receiver, gate, **urls):
    server = virtual_servers()
    receiver.answers["/assign"] = gate
    return server, Shop(connect(server.url), receiver, assignment_callback_url=receiver.url + "/assign")


@pytest.mark.parametrize("emptied", [False, True], ids=["as it was", "whose URL was taken away"])
def test_nobody_is_asked_again_about_what_is_decided(virtual_servers, quiet_receiver, emptied):
    gate = Gate(ACCEPT)
    server, shop = restarted(virtual_servers, quiet_receiver, gate)
    accepted, canceled = shop.task(), shop.task()
    quiet_receiver.wait_for("/assign", 2)
    if emptied:
        shop.context.workflows(shop.flow.sid).update(assignment_callback_url="")
    shop.accept(accepted)
    shop.context.tasks(canceled.sid).update(assignment_status="canceled")
    server.kill()
    gate.open()
    shop.after(server.start())
    Clock(server.url).quiet()
    asked = Counter(callback["TaskSid"] for callback in quiet_receiver.callbacks("/assign"))
    assert asked == {accepted.sid: 1, canceled.sid: 1}


def test_a_question_that_is_asked_again_has_a_new_token(virtual_servers, quiet_receiver):
    gate = Gate(ACCEPT)
    server, shop = restarted(virtual_servers, quiet_receiver, gate)
    shop.task()
    quiet_receiver.wait_for("/assign", 1)
    server.kill()
    gate.open()
    shop.after(server.start())
    Clock(server.url).quiet()
    before, again = quiet_receiver.callbacks("/assign")
    assert again.parameters == before.parameters
    assert again.headers[TOKEN] != before.headers[TOKEN]
