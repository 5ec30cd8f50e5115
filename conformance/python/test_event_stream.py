"""Events as a stream of CloudEvents. Reference: extensions, section 9; events and callbacks, section 13."""

import json
import random
import socket
import threading
from urllib.parse import urlsplit

import pytest
import requests
from support.client import connect
from support.server import ACCOUNT_SID, AUTH_TOKEN
from support.stream import NDJSON, SERVER_SENT_EVENTS, Follower, Stream
from support.world import World

INTEGERS = {
    "task_age", "task_age_in_queue", "task_priority", "task_timeout", "task_version", "reservation_timeout", "reservation_reason_code",
    "reservation_version", "worker_version", "worker_channel_available", "worker_channel_capacity", "worker_channel_available_capacity",
    "worker_channel_previous_capacity", "worker_channel_consumed_capacity", "worker_channel_task_count",
    "worker_time_in_previous_activity", "worker_time_in_previous_activity_ms", "previous_task_priority",
}  # fmt: skip
BOOLEANS = {
    "worker_available",
    "activity_available",
    "task_channel_optimized_routing",
    "task_ignore_capacity",
}
DATES = {
    "timestamp", "task_date_created", "task_queue_entered_date", "task_virtual_start_time", "transfer_started",
    "worker_date_created", "worker_date_updated", "worker_last_status_change", "worker_channel_last_reserved_date",
}  # fmt: skip
RESERVATION_PAYLOAD = {
    "worker_available", "event_description", "task_channel_unique_name", "task_priority", "workspace_sid", "workflow_sid",
    "task_assignment_status", "task_add_on_attributes", "task_queue_target_expression", "eventtype", "worker_version", "task_channel_sid",
    "task_virtual_start_time", "timestamp", "task_queue_sid", "worker_name", "resource_type", "reservation_timeout",
    "worker_channel_capacity", "workflow_name", "task_queue_name", "task_version", "reservation_sid", "worker_activity_sid",
    "workspace_name", "task_age", "operating_unit_sid", "resource_sid", "account_sid", "task_timeout", "task_attributes",
    "reservation_version", "worker_channel_consumed_capacity", "task_date_created", "task_sid", "worker_sid", "sid", "worker_attributes",
    "task_age_in_queue", "worker_activity_name", "reservation_status", "task_queue_entered_date",
}  # fmt: skip


@pytest.fixture
def shop(world):
    world.everything = world.queue("Everything")
    world.flow = world.workflow(
        "Flow", {"default_filter": {"queue": world.everything.sid}}
    )
    world.ada = world.worker("Ada")
    return world


def stored(world) -> list[str]:
    return [event.sid for event in world.events()]


def path_of(world) -> str:
    return f"/pointsman/v1/Workspaces/{world.sid}/EventStream"


def finite(wire, world, **query) -> list[dict]:
    answer = wire("GET", path_of(world), params={"Follow": "false", **query})
    assert answer.status_code == 200, answer.text
    return [json.loads(line) for line in answer.text.splitlines()]


def test_every_event_is_a_cloud_event_with_the_documented_envelope(shop, wire):
    task = shop.task({"lang": "fr"}, workflow_sid=shop.flow.sid)
    shop.accept(task)
    shop.complete(task)
    events = shop.events()
    streamed = finite(wire, shop)
    assert [event["id"] for event in streamed] == [event.sid for event in events]
    for cloud_event, event in zip(streamed, events, strict=True):
        data, payload = cloud_event["data"], cloud_event["data"]["payload"]
        assert cloud_event["specversion"] == "1.0"
        assert cloud_event["type"] == "com.twilio.taskrouter." + event.event_type
        assert cloud_event["source"] == urlsplit(event.resource_url).path
        assert (
            cloud_event["dataschema"]
            == "https://events-schemas.twilio.com/TaskRouter.WDSEvent/4"
        )
        assert cloud_event["datacontenttype"] == "application/json"
        assert cloud_event["time"] == data["timestamp"] == payload["timestamp"]
        assert data["sid"] == payload["sid"] == event.sid
        assert data["name"] == "".join(
            word.title() for word in event.event_type.replace("-", ".").split(".")
        )
        assert data["group"] == event.event_type.split(".")[0]
        assert (data["level"], data["product_name"]) == ("INFO", "TaskRouter")
        assert (data["publisher"], data["publisher_metadata"]) == (
            shop.workspace.friendly_name,
            "{}",
        )
        assert data["payload_type"] == "application/json"
        assert payload["eventtype"] == event.event_type
        assert payload["event_description"] == event.description
        assert (payload["resource_type"], payload["resource_sid"]) == (
            event.resource_type,
            event.resource_sid,
        )


def test_a_payload_is_that_of_the_event_with_types(shop, wire):
    task = shop.task({"lang": "fr"}, workflow_sid=shop.flow.sid)
    shop.context.workers(shop.ada.sid).worker_channels("voice").update(capacity=3)
    shop.move(shop.ada, "Offline", reject_pending_reservations=True)
    shop.context.tasks(task.sid).update(assignment_status="canceled", reason="hangup")
    for cloud_event, event in zip(finite(wire, shop), shop.events(), strict=True):
        payload = cloud_event["data"]["payload"]
        for name, value in payload.items():
            expected = int if name in INTEGERS else bool if name in BOOLEANS else str
            assert type(value) is expected, (name, value)
            if name in DATES:
                assert value.endswith("Z") and len(value) == len(
                    "2026-01-01T00:00:00.000Z"
                ), (name, value)
        for name, text in event.event_data.items():
            value = payload[name]
            if name in BOOLEANS:
                assert text == str(value).lower()
            elif name not in DATES:
                assert text == str(value), name


def test_a_reservation_shows_what_was_seen_of_real_ones(shop, wire):
    shop.task({"lang": "fr"}, workflow_sid=shop.flow.sid)
    (event,) = finite(wire, shop, EventTypes="reservation.created")
    assert set(event["data"]["payload"]) >= RESERVATION_PAYLOAD


@pytest.mark.parametrize("accept", [NDJSON, SERVER_SENT_EVENTS])
def test_catching_up_goes_over_to_live_without_a_gap(shop, server, accept):
    for _ in range(30):
        shop.task({}, workflow_sid=shop.flow.sid)
    with Stream(server.url, shop.sid, accept, From="start") as stream:
        writer = threading.Thread(
            target=lambda: [
                shop.task({}, workflow_sid=shop.flow.sid) for _ in range(30)
            ]
        )
        writer.start()
        first = stream.take(50)
        writer.join()
        expected = stored(shop)
        rest = stream.take(len(expected) - 50)
    assert [event["id"] for event in first + rest] == expected


def test_a_stream_shows_what_happens_soon(shop, server):
    with Stream(server.url, shop.sid, SERVER_SENT_EVENTS) as stream:
        shop.task({}, workflow_sid=shop.flow.sid)
        types = [
            event["type"].removeprefix("com.twilio.taskrouter.")
            for event in stream.take(5)
        ]
    assert types == [
        "task.created", "workflow.entered", "workflow.target-matched", "task-queue.entered", "reservation.created",
    ]  # fmt: skip


def test_a_silent_stream_shows_that_it_lives(shop, server):
    for accept in (NDJSON, SERVER_SENT_EVENTS):
        with Stream(server.url, shop.sid, accept) as stream:
            assert next(stream.lines()) == (":" if accept == SERVER_SENT_EVENTS else "")


def test_where_a_stream_may_begin(shop, wire):
    expected = stored(shop)
    assert [event["id"] for event in finite(wire, shop, After=expected[3])] == expected[
        4:
    ]
    assert finite(wire, shop, After=expected[-1]) == []
    assert finite(wire, shop, From="now") == []
    assert finite(wire, shop, From="2098-01-01T00:00:00Z") == []
    assert len(finite(wire, shop, From="2001-01-01T00:00:00+01:00")) == len(expected)
    answer = wire(
        "GET",
        path_of(shop),
        params={"Follow": "false"},
        headers={"Last-Event-ID": expected[3]},
    )
    assert [json.loads(line)["id"] for line in answer.text.splitlines()] == expected[4:]


def test_a_stream_begins_at_or_after_the_instant(shop, wire):
    seen = finite(wire, shop, From="start")
    last = seen[-1]["time"]
    assert len(last) == len("2025-10-09T08:53:20.523Z"), "milliseconds"
    assert finite(wire, shop, From=last) == [event for event in seen if event["time"] == last]
    assert finite(wire, shop, From=last.replace("Z", "0001Z")) == []


@pytest.mark.parametrize("query, status, code", [
    ({"After": "EV" + "0" * 32}, 410, 20410), ({"After": "x"}, 400, 20001), ({"From": "x"}, 400, 20001),
    ({"EventTypes": "task.exploded"}, 400, 20001), ({"Types": "task.created"}, 400, 20001),
    ({"From": "start", "After": "EV" + "0" * 32}, 400, 20001),
])  # fmt: skip
def test_what_makes_no_sense_is_refused(shop, wire, query, status, code):
    answer = wire("GET", path_of(shop), params=query)
    assert (answer.status_code, answer.json()["code"]) == (status, code)


@pytest.mark.parametrize("place", [b"EV\xc3\xa9", b"x"])
def test_a_place_that_cannot_be_one_is_not_taken_for_none(shop, wire, place):
    answer = wire("GET", path_of(shop), params={"Follow": "false"}, headers={"Last-Event-ID": place})
    assert (answer.status_code, answer.json()["code"]) == (400, 20001)


def test_only_the_account_sees_its_events(shop, server, wire):
    assert requests.get(server.url + path_of(shop), timeout=30).status_code == 401
    assert (
        wire("GET", f"/pointsman/v1/Workspaces/WS{'0' * 32}/EventStream").status_code
        == 404
    )
    assert wire("POST", path_of(shop)).status_code == 405


def test_a_busy_stream_ends_with_its_key(shop, server, client):
    key = client.new_keys.create()
    with Stream(server.url, shop.sid, From="start", credentials=(key.sid, key.secret)) as stream:
        stream.take(len(shop.events()))
        client.keys(key.sid).delete()
        shop.task()
        assert list(stream.events) == [], "nothing that happens later is shown"


def test_events_that_are_too_old_are_no_place_to_begin(tmp_path):
    """Under the virtual clock a month passes in a second; days are dropped within a few seconds after it."""
    from support.clock import Clock
    from support.server import Server

    server = Server(tmp_path / "data", "--clock", "virtual").start()
    try:
        world = World(connect(server.url))
        first = world.events()[0].sid
        with Stream(server.url, world.sid, After=first) as stream:
            Clock(server.url).advance(31 * 86_400)
            world.queue("Q")
            assert (
                stream.take(1)[0]["type"] == "com.twilio.taskrouter.task-queue.created"
            )
        url = f"{server.url}/pointsman/v1/Workspaces/{world.sid}/EventStream"
        gone = threading.Event()
        for _ in range(200):
            query = {"After": first, "Follow": "false"}
            answer = requests.get(
                url, params=query, auth=(ACCOUNT_SID, AUTH_TOKEN), timeout=30
            )
            if answer.status_code == 410:
                break
            assert answer.status_code == 200
            gone.wait(0.1)
        assert (answer.status_code, answer.json()["code"]) == (410, 20410)
    finally:
        server.kill()


def test_a_stream_goes_on_over_kill_9(own_server):
    """Readers follow while Tasks are made and the process is killed: nothing is missing, nothing comes twice."""
    server = own_server
    rng = random.Random(7)
    world = World(connect(server.url))
    queue = world.queue("Q", "1==2")
    followers = [Follower(world.sid, accept) for accept in (NDJSON, SERVER_SENT_EVENTS)]
    made = 0
    for _ in range(5):
        for follower in followers:
            follower.follow(server.url)
        world = reopen(world, server)
        killed = threading.Timer(rng.uniform(0.2, 0.8), server.kill)
        killed.start()
        try:
            while True:
                world.context.tasks.create(routing_target=queue.sid)
                made += 1
        except requests.RequestException:
            pass
        killed.join()
        for follower in followers:
            follower.ended()
        server.start()
    world = reopen(world, server)
    for follower in followers:
        follower.follow(server.url)
    expected = stored_all(server, world)
    assert made > 20
    for follower in followers:
        follower.wait_for(len(expected))
        assert follower.seen == expected
    assert server.stop() == 0


def reopen(world, server):
    """The same workspace through a client of the server as it listens now."""
    client = connect(server.url)
    world.client, world.workspaces = client, client.taskrouter.v1.workspaces
    return world


def stored_all(server, world) -> list[str]:
    url = f"{server.url}/pointsman/v1/Workspaces/{world.sid}/EventStream"
    answer = requests.get(
        url, params={"Follow": "false"}, auth=(ACCOUNT_SID, AUTH_TOKEN), timeout=60
    )
    listed = [event.sid for event in world.events()]
    streamed = [json.loads(line)["id"] for line in answer.text.splitlines()]
    assert streamed == listed
    return listed


def make_large_tasks(server, world, queue, count: int) -> int:
    """Makes Tasks whose events are large; returns by how much the memory of the server has grown."""
    before = server.resident_bytes()
    attributes = json.dumps({"text": "x" * 4000})
    session = requests.Session()
    session.auth = (ACCOUNT_SID, AUTH_TOKEN)
    for _ in range(count):
        answer = session.post(
            f"{server.url}/v1/Workspaces/{world.sid}/Tasks",
            data={"RoutingTarget": queue.sid, "Attributes": attributes}, timeout=30,
        )  # fmt: skip
        assert answer.status_code == 201
    return server.resident_bytes() - before


def test_slow_readers_cost_no_memory_and_miss_nothing(own_server):
    """Twenty readers who take nothing while 14 MB of events pass; then one of them reads everything."""
    server = own_server
    world = World(connect(server.url))
    queue = world.queue("Q", "1==2")
    # The Tasks themselves cost memory, and what grows once does not grow again: so much without readers.
    alone = make_large_tasks(server, world, queue, 1500)
    address = urlsplit(server.url)
    request = requests.Request(
        "GET",
        f"{server.url}/pointsman/v1/Workspaces/{world.sid}/EventStream?From=now",
        auth=(ACCOUNT_SID, AUTH_TOKEN),
    ).prepare()
    head = f"GET {request.path_url} HTTP/1.1\r\nHost: x\r\nAuthorization: {request.headers['Authorization']}\r\n\r\n"
    lazy = []
    for _ in range(20):
        connection = socket.socket()
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        connection.connect((address.hostname, address.port))
        connection.sendall(head.encode())
        lazy.append(connection)
    for connection in lazy:
        # The head of the answer: the stream has its place from here on.
        connection.settimeout(30)
        assert connection.recv(15, socket.MSG_PEEK | socket.MSG_WAITALL) == b"HTTP/1.1 200 OK"
    earlier = len(world.events())
    beside = make_large_tasks(server, world, queue, 1500)
    expected = stored_all(server, world)[earlier:]
    streamed_bytes = len(expected) * 4500
    assert streamed_bytes > 12_000_000, "the streams would show this much each"
    # Each of the twenty would hold all of it otherwise.
    assert beside < alone + 3 * streamed_bytes, (
        f"{beside / 1e6:.0f} MB more, {alone / 1e6:.0f} MB without readers, for"
        f" {streamed_bytes / 1e6:.0f} MB of events and 20 readers"
    )
    lazy[0].settimeout(30)
    with lazy[0].makefile("rb") as slow:
        while slow.readline() != b"\r\n":
            pass  # The head.
        assert [
            json.loads(line)["id"] for line in chunked_lines(slow, len(expected))
        ] == expected
    for connection in lazy:
        connection.close()
    assert server.stop() == 0


def chunked_lines(body, count: int) -> list[bytes]:
    """So many lines that are not empty, out of a body in chunks."""
    lines, pending = [], b""
    while len(lines) < count:
        chunk = body.read(int(body.readline(), 16))
        body.readline()
        *whole, pending = (pending + chunk).split(b"\n")
        lines += [line for line in whole if line]
    assert pending == b""
    return lines


def test_streams_end_at_once_when_the_server_stops(own_server):
    server = own_server
    world = World(connect(server.url))
    follower = Follower(world.sid)
    follower.follow(server.url)
    follower.wait_for(1)
    assert server.stop() == 0
    follower.ended()
    assert follower.failure is None, "the body ended as it should"
