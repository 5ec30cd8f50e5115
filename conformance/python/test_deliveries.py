"""Callbacks that failed for good: shown, counted, sent again. Reference: extensions, section 10; events and callbacks, section 6."""

import json
import threading
from datetime import datetime, timedelta

import pytest
import requests
from support.client import connect
from support.clock import Clock
from support.deliveries import Deliveries
from support.server import ACCOUNT_SID, Server
from support.world import World

FAILURE = (503, "text/plain", "no")


@pytest.fixture
def desk(virtual_client, virtual_server, clock, receiver):
    """A workspace whose receiver answers 503 to everything so far."""
    receiver.answers["/events"] = FAILURE
    callback = receiver.url.replace("http://", "http://user:secret@") + "/events#rc=2&rp=5xx"
    desk = World(virtual_client, event_callback_url=callback)
    desk.clock, desk.receiver = clock, receiver
    desk.queue = desk.queue("Q", "1==2")
    desk.deliveries = Deliveries(virtual_server.url, desk.sid)
    yield desk
    desk.delete()


def make(desk) -> str:
    sid = desk.context.tasks.create(routing_target=desk.queue.sid).sid
    desk.clock.quiet()
    return sid


def test_what_failed_for_good_is_listed_with_its_reason(desk):
    task = make(desk)
    letters = desk.deliveries.list()
    assert sorted(letter["sid"] for letter in letters) == sorted(event.sid for event in desk.events())
    (created,) = [letter for letter in letters if letter["event_type"] == "task.created"]
    (event,) = desk.events(event_type="task.created")
    assert created == {
        "sid": event.sid,
        "account_sid": ACCOUNT_SID,
        "workspace_sid": desk.sid,
        "kind": "event",
        "status": "dead",
        "event_sid": event.sid,
        "event_type": "task.created",
        "task_sid": task,
        "worker_sid": None,
        "callback_url": desk.receiver.url + "/events#rc=2&rp=5xx",
        "attempts": 3,
        "last_status": 503,
        "last_error": "answered with status 503",
        "date_created": created["date_created"],
        "date_failed": created["date_failed"],
        "url": f"{desk.deliveries.url}/{event.sid}",
    }
    assert created["date_created"].startswith(event.event_date.strftime("%Y-%m-%dT%H:%M:%S."))
    assert desk.deliveries.session.get(created["url"], timeout=30).json() == created
    assert desk.deliveries.counters() == {
        "waiting": 0,
        "delivered": 0,
        "dead": len(letters),
    }


def test_a_receiver_that_cannot_be_reached_has_no_status(desk):
    desk.context.update(event_callback_url="http://127.0.0.1:1/events")
    make(desk)
    (letter,) = desk.deliveries.list(EventType="task.created")
    assert (letter["last_status"], letter["attempts"]) == (None, 2)
    assert letter["last_error"]


def test_filters_and_pages(desk):
    tasks = [make(desk) for _ in range(4)]
    everything = desk.deliveries.list()
    assert [letter["task_sid"] for letter in desk.deliveries.list(EventType="task.created")] == tasks
    assert desk.deliveries.list(TaskSid=tasks[1]) == [x for x in everything if x["task_sid"] == tasks[1]]
    first = desk.deliveries.page(PageSize=3)
    second = desk.deliveries.session.get(first["meta"]["next_page_url"], timeout=30).json()
    assert first["deliveries"] + second["deliveries"] == everything[:6]
    back = desk.deliveries.session.get(second["meta"]["previous_page_url"], timeout=30).json()
    assert back["deliveries"] == first["deliveries"]
    assert first["meta"]["key"] == "deliveries"


def test_a_replay_keeps_sid_and_idempotency_token(desk):
    make(desk)
    (letter,) = desk.deliveries.list(EventType="task.created")
    assert desk.deliveries.replay(letter["sid"]) == {**letter, "status": "waiting"}
    desk.clock.quiet()
    again = desk.deliveries.list(EventType="task.created")
    assert again == [{**letter, "attempts": 6}], "it has failed again"
    desk.receiver.answers["/events"] = (204, "application/json", "")
    desk.deliveries.replay(letter["sid"])
    desk.clock.quiet()
    told = [callback for callback in desk.receiver.callbacks("/events") if callback["Sid"] == letter["sid"]]
    assert len(told) == 3 + 3 + 1
    assert len({callback.headers["i-twilio-idempotency-token"] for callback in told}) == 1
    assert len({json.dumps(callback.parameters) for callback in told}) == 1
    assert all(callback.is_signed() for callback in told)
    assert desk.deliveries.session.get(letter["url"], timeout=30).status_code == 404
    assert desk.deliveries.session.post(letter["url"], data={"Replay": "true"}, timeout=30).status_code == 404
    assert desk.deliveries.counters()["delivered"] == 1


def test_of_many_replays_at_once_one_is_carried_out(desk):
    """Only time lets the delivery fail again, and it stands still."""
    desk.context.update(event_callback_url=desk.receiver.url + "/events#rc=5&rp=5xx")
    desk.context.tasks.create(routing_target=desk.queue.sid)
    desk.clock.advance(3600)
    (letter,) = desk.deliveries.list(EventType="task.created")
    released = threading.Event()
    desk.receiver.answers["/events"] = lambda _: (released.wait(60), FAILURE)[1]
    statuses = []

    def replay():
        answer = requests.post(
            letter["url"], data={"Replay": "true"}, auth=desk.deliveries.session.auth, timeout=60
        )  # fmt: skip
        statuses.append(answer.status_code)

    threads = [threading.Thread(target=replay) for _ in range(10)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    released.set()
    assert sorted(statuses) == [200] + [404] * 9


def test_all_are_sent_again_in_order_per_task(desk):
    tasks = [make(desk) for _ in range(20)]
    for task in tasks:
        desk.context.tasks(task).update(assignment_status="canceled", reason="no more")
    desk.clock.quiet()
    letters = desk.deliveries.list()
    desk.receiver.answers["/events"] = (204, "application/json", "")
    seen = len(desk.receiver.callbacks("/events"))
    assert desk.deliveries.replay_all() == len(letters)
    desk.clock.quiet()
    told = desk.receiver.callbacks("/events")[seen:]
    assert sorted(callback["Sid"] for callback in told) == sorted(letter["sid"] for letter in letters)
    for task in tasks:
        of_task = [callback["EventType"] for callback in told if callback.parameters.get("TaskSid") == task]
        assert of_task == ["task.created", "task-queue.entered", "task.canceled", "task.updated"]
    assert desk.deliveries.list() == []
    assert desk.deliveries.replay_all() == 0


@pytest.mark.parametrize("form", [{}, {"Replay": "true"}, {"Replay": "yes"}, {"replay": "all"}])
def test_what_makes_no_sense_is_refused(desk, form):
    answer = desk.deliveries.session.post(desk.deliveries.url, data=form, timeout=30)
    assert (answer.status_code, answer.json()["code"]) == (400, 20001)


def test_only_the_account_sees_them(desk):
    assert requests.get(desk.deliveries.url, timeout=30).status_code == 401
    elsewhere = desk.deliveries.url.replace(desk.sid, "WS" + "0" * 32)
    assert desk.deliveries.session.get(elsewhere, timeout=30).status_code == 404


def test_they_survive_kill_9_and_go_with_the_events(tmp_path, receiver):
    receiver.answers["/events"] = FAILURE
    server = Server(tmp_path / "data", "--clock", "virtual").start()
    try:
        world = World(connect(server.url), event_callback_url=receiver.url + "/events")
        world.queue("Q")
        Clock(server.url).quiet()
        letters = Deliveries(server.url, world.sid).list()
        assert [letter["event_type"] for letter in letters] == [
            "workspace.created",
            "task-queue.created",
        ]
        server.kill()
        server.start()
        deliveries = Deliveries(server.url, world.sid)
        survived = deliveries.list()
        assert [letter["sid"] for letter in survived] == [letter["sid"] for letter in letters]
        # A replay is durable before it is answered: what is killed then is sent after the next start.
        receiver.answers["/events"] = (204, "application/json", "")
        receiver_is_slow = threading.Event()
        receiver.answers["/events"] = lambda _: (
            receiver_is_slow.wait(5),
            (204, "application/json", ""),
        )[1]
        deliveries.replay(letters[0]["sid"])
        server.kill()
        receiver_is_slow.set()
        seen = len(receiver.callbacks("/events"))
        server.start()
        Clock(server.url).quiet()
        told = receiver.wait_for("/events", seen + 1)
        assert told[-1]["Sid"] == letters[0]["sid"]
        deliveries = Deliveries(server.url, world.sid)
        assert [letter["sid"] for letter in deliveries.list()] == [letters[1]["sid"]]
        # Kept for thirty days to the millisecond, though whole days go from the disk later.
        failed = datetime.fromisoformat(deliveries.list()[0]["date_failed"])
        clock = Clock(server.url)
        clock.advance((failed + timedelta(days=30) - clock.now()).total_seconds())
        assert [letter["sid"] for letter in deliveries.list()] == [letters[1]["sid"]]
        clock.advance(0.001)
        assert deliveries.list() == []
        assert deliveries.counters()["dead"] == 0
        gone = f"{deliveries.url}/{letters[1]['sid']}"
        assert deliveries.session.get(gone, timeout=30).status_code == 404
        refused = deliveries.session.post(gone, data={"Replay": "true"}, timeout=30)
        assert refused.status_code == 404
        assert deliveries.replay_all() == 0
    finally:
        server.kill()


def test_the_log_names_the_receiver_once_and_no_secret(tmp_path, receiver):
    receiver.answers["/events"] = FAILURE
    server = Server(tmp_path / "data", "--clock", "virtual").start()
    try:
        callback = receiver.url.replace("http://", "http://user:secret@") + "/events?token=hidden"
        world = World(connect(server.url), event_callback_url=callback)
        queue = world.queue("Q", "1==2")
        for _ in range(20):
            world.context.tasks.create(routing_target=queue.sid)
        Clock(server.url).quiet()
        assert len(Deliveries(server.url, world.sid).list()) > 40
        server.stop()
        log = server.log_path.read_text()
    finally:
        server.kill()
    lines = [line for line in log.splitlines() if "callback failed" in line]
    assert len(lines) == 1, log
    assert receiver.url in lines[0]
    assert 'event_sid="EV' in lines[0]
    assert "secret" not in log and "hidden" not in log
