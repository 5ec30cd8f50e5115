"""UpdateWorker, row by row. Reference: REST contract, section 6.4."""

import json
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from support.client import connect, last
from support.errors import assert_delete, refused
from support.server import ACCOUNT_SID, Server
from support.world import World, version_of
from twilio.base.exceptions import TwilioRestException

MISSING_WORKER = "WK" + "0" * 32
MISSING_ACTIVITY = "WA" + "0" * 32


@pytest.fixture
def desk(world):
    """A workspace with one queue, one workflow, and Ada at her desk with room for three chats."""
    world.activity("Lunch", available=False)
    world.activity("Focus", available=True)
    world.everything = world.queue("Everything")
    world.flow = world.workflow("Flow", {"default_filter": {"queue": world.everything.sid}})
    world.ada = world.worker("Ada", {"skills": ["billing"], "level": 1})
    world.context.workers(world.ada.sid).worker_channels("chat").update(capacity=3)
    return world


def worker(world):
    return world.context.workers(world.ada.sid)


def version(world) -> int:
    return world.version("workers", world.ada.sid)


def worker_events(world) -> list[str]:
    return [kind for kind in world.event_types(worker_sid=world.ada.sid)]


# The request, field by field


def test_all_fields_in_one_request_are_one_change(desk):
    before = version(desk)
    reply = worker(desk).update_with_http_info(
        if_match=str(before),
        activity_sid=desk.activities["Lunch"],
        attributes='{"skills":["billing","fr"]}',
        friendly_name="Ada L.",
        reject_pending_reservations=True,
    )
    assert reply.status_code == 200
    assert version_of(reply.headers) == before + 1
    changed = reply.data
    assert changed.friendly_name == "Ada L."
    assert changed.attributes == '{"skills":["billing","fr"]}'
    assert (changed.activity_sid, changed.activity_name, changed.available) == (
        desk.activities["Lunch"],
        "Lunch",
        False,
    )
    assert changed.links["activity"].endswith("/Activities/" + desk.activities["Lunch"])
    assert worker(desk).fetch().friendly_name == "Ada L."


def test_an_empty_body_changes_nothing_and_still_honours_if_match(desk):
    before, events = version(desk), worker_events(desk)
    reply = worker(desk).update_with_http_info()
    assert reply.status_code == 200
    assert version_of(reply.headers) == before
    assert reply.data.friendly_name == "Ada"
    assert worker(desk).update(if_match=str(before)).friendly_name == "Ada"
    with refused(412, 20412):
        worker(desk).update(if_match=str(before + 1))
    assert worker_events(desk) == events


def test_absent_fields_are_kept(desk):
    worker(desk).update(friendly_name="Augusta")
    kept = worker(desk).fetch()
    assert json.loads(kept.attributes) == {"skills": ["billing"], "level": 1}
    assert kept.activity_name == "Available"


def test_an_empty_activity_is_absent(desk):
    before = version(desk)
    reply = worker(desk).update_with_http_info(activity_sid="")
    assert reply.data.activity_name == "Available"
    assert version_of(reply.headers) == before


def test_the_current_activity_is_no_change(desk):
    before, events, status_date = version(desk), worker_events(desk), worker(desk).fetch().date_status_changed
    reply = worker(desk).update_with_http_info(activity_sid=desk.activities["Available"])
    assert version_of(reply.headers) == before
    assert reply.data.date_status_changed == status_date
    assert worker_events(desk) == events


@pytest.mark.parametrize("bad", ["WAxxx", "WK" + "0" * 32, "Lunch", "WA" + "g" * 32])
def test_a_malformed_activity_is_refused_by_name(desk, bad):
    with refused(400, 20001, f"Invalid value '{bad}' for ActivitySid"):
        worker(desk).update(activity_sid=bad)


def test_an_unknown_or_foreign_activity_is_refused_by_name(desk, client):
    with refused(400, 20001, f"ActivitySid {MISSING_ACTIVITY} does not exist in workspace {desk.sid}"):
        worker(desk).update(activity_sid=MISSING_ACTIVITY)
    other = client.taskrouter.v1.workspaces.create(friendly_name="Other")
    with refused(400, 20001, matching=other.default_activity_sid):
        worker(desk).update(activity_sid=other.default_activity_sid)
    other.delete()


def test_the_hexadecimal_part_of_a_sid_may_be_upper_case(desk):
    sid = desk.activities["Lunch"]
    assert worker(desk).update(activity_sid=sid[:2] + sid[2:].upper()).activity_sid == sid
    assert desk.context.workers("WK" + desk.ada.sid[2:].upper()).fetch().sid == desk.ada.sid


def test_attributes_are_replaced_not_merged(desk):
    changed = worker(desk).update(attributes='{ "languages" : ["fr"] }')
    assert changed.attributes == '{ "languages" : ["fr"] }'


def test_equal_attributes_keep_the_stored_text(desk):
    worker(desk).update(attributes='{"a": 1, "b": [1, 2]}')
    before, events, date = version(desk), worker_events(desk), worker(desk).fetch().date_updated
    reply = worker(desk).update_with_http_info(attributes='{"b":[1,2],"a":1.0}')
    assert reply.data.attributes == '{"a": 1, "b": [1, 2]}'
    assert version_of(reply.headers) == before
    assert reply.data.date_updated == date
    assert worker_events(desk) == events
    reply = worker(desk).update_with_http_info(attributes='{"b":[2,1],"a":1}')
    assert version_of(reply.headers) == before + 1


def test_empty_attributes_are_refused(desk):
    with refused(400, 20001, matching="^Attributes is not a valid JSON object"):
        worker(desk).update(attributes="")


@pytest.mark.parametrize("bad", ["{", "[]", '"text"', "1", "null", "{'a': 1}", '{"a":1} x'])
def test_attributes_that_are_no_json_object_are_refused(desk, bad):
    with refused(400, 20001, matching="^Attributes is not a valid JSON object"):
        worker(desk).update(attributes=bad)


def test_attributes_have_at_most_4096_characters(desk):
    longest = '{"text":"' + "é" * (4096 - 11) + '"}'
    assert len(longest) == 4096
    assert worker(desk).update(attributes=longest).attributes == longest
    with refused(400, 20001, "Attributes must be at most 4096 characters"):
        worker(desk).update(attributes=longest.replace(":", ": "))


def test_attributes_have_at_most_200_levels(desk):
    def nested(levels: int) -> str:
        return '{"a":' * (levels - 1) + "{}" + "}" * (levels - 1)

    deepest = '{"a":' + "[" * 199 + "]" * 199 + "}"
    assert worker(desk).update(attributes=deepest).attributes == deepest
    assert worker(desk).update(attributes=nested(200)).attributes == nested(200)
    with refused(400, 20001, "Attributes must not be nested deeper than 200 levels"):
        worker(desk).update(attributes=nested(201))


def test_the_last_of_duplicate_keys_wins(desk):
    worker(desk).update(attributes='{"lang":"fr","lang":"es"}')
    found = desk.context.workers.list(target_workers_expression="lang == 'es'")
    assert [w.sid for w in found] == [desk.ada.sid]


@pytest.mark.parametrize("bad", ["", " ", "x" * 65])
def test_a_name_that_is_empty_blank_or_too_long_is_refused(desk, bad):
    with refused(400, 20002, "FriendlyName must be between 1 and 64 characters"):
        worker(desk).update(friendly_name=bad)


def test_a_name_of_64_characters_is_kept(desk):
    assert worker(desk).update(friendly_name="ñ" * 64).friendly_name == "ñ" * 64


def test_a_name_taken_by_another_worker_is_refused_whatever_its_case(desk):
    desk.worker("Grace")
    with refused(400, 20001, f"Worker named gRACE already exists for workspace {desk.sid} for account {ACCOUNT_SID}"):
        worker(desk).update(friendly_name="gRACE")


def test_the_case_of_the_own_name_may_change(desk):
    before = version(desk)
    reply = worker(desk).update_with_http_info(friendly_name="ADA")
    assert reply.data.friendly_name == "ADA"
    assert version_of(reply.headers) == before + 1


def test_validation_is_all_or_nothing(desk):
    before, events = version(desk), worker_events(desk)
    with refused(400, 20001):
        worker(desk).update(friendly_name="Changed", attributes='{"changed":true}', activity_sid="WAxxx")
    with refused(400, 20001):
        worker(desk).update(friendly_name="Changed", activity_sid=desk.activities["Lunch"], attributes="nonsense")
    with refused(400, 20001):
        worker(desk).update(friendly_name="Changed", attributes='{"changed":true}', reject_pending_reservations=True)
    kept = worker(desk).fetch()
    assert (kept.friendly_name, kept.activity_name) == ("Ada", "Available")
    assert json.loads(kept.attributes) == {"skills": ["billing"], "level": 1}
    assert version(desk) == before
    assert worker_events(desk) == events


# RejectPendingReservations


def three_offers(desk) -> list:
    return [desk.task({"n": n}, task_channel="chat") for n in range(3)]


def statuses(desk, tasks) -> list[str]:
    return [desk.reservations(task)[-1].reservation_status for task in tasks]


@pytest.mark.parametrize("flag", [None, False])
def test_without_the_flag_pending_reservations_stay(desk, flag):
    tasks = three_offers(desk)
    parameters = {} if flag is None else {"reject_pending_reservations": flag}
    for activity in ("Focus", "Lunch"):
        desk.move(desk.ada, activity, **parameters)
        assert statuses(desk, tasks) == ["pending"] * 3
    late = desk.task({"n": "late"})
    assert desk.reservations(late) == []
    assert desk.answer(tasks[0], "accepted").reservation_status == "accepted"


def test_with_the_flag_every_pending_reservation_is_rejected(desk):
    tasks = three_offers(desk)
    moved = desk.move(desk.ada, "Lunch", reject_pending_reservations=True)
    assert moved.activity_name == "Lunch"
    assert statuses(desk, tasks) == ["rejected"] * 3
    assert [desk.fetch(task).assignment_status for task in tasks] == ["pending"] * 3


def test_the_rejected_tasks_go_to_another_worker(desk):
    tasks = three_offers(desk)
    bob = desk.worker("Bob", activity="Offline")
    desk.context.workers(bob.sid).worker_channels("chat").update(capacity=3)
    desk.move(bob, "Available")
    desk.move(desk.ada, "Lunch", reject_pending_reservations=True)
    assert [desk.offered_to(task) for task in tasks] == ["Bob"] * 3


def test_accepted_and_wrapping_reservations_are_untouched(desk):
    first, second, third = three_offers(desk)
    desk.accept(first)
    desk.accept(second).update(reservation_status="wrapping")
    desk.move(desk.ada, "Lunch", reject_pending_reservations=True)
    assert statuses(desk, [first, second, third]) == ["accepted", "wrapping", "rejected"]
    assert desk.complete(first).assignment_status == "completed"


def test_the_flag_with_an_available_activity_is_refused(desk):
    tasks = three_offers(desk)
    text = "Unable to reject pending reservations when updating to an Available activity state."
    with refused(400, 20001, text):
        desk.move(desk.ada, "Focus", reject_pending_reservations=True)
    with refused(400, 20001, text):
        worker(desk).update(reject_pending_reservations=True)
    assert statuses(desk, tasks) == ["pending"] * 3


def test_the_flag_without_an_activity_counts_the_current_one(desk):
    tasks = three_offers(desk)
    desk.move(desk.ada, "Lunch")
    assert worker(desk).update(reject_pending_reservations=True).activity_name == "Lunch"
    assert statuses(desk, tasks) == ["rejected"] * 3


def test_the_activity_is_that_of_the_request_not_the_timeout_activity(desk):
    three_offers(desk)
    desk.move(desk.ada, "Lunch", reject_pending_reservations=True)
    assert worker(desk).fetch().activity_name == "Lunch"


# Effects


def test_events_come_in_the_documented_order(desk):
    tasks = three_offers(desk)
    before = len(desk.events())
    worker(desk).update(
        activity_sid=desk.activities["Lunch"], attributes='{"skills":[]}', reject_pending_reservations=True
    )
    happened = [
        event for event in desk.events()[before:] if event.event_type.split(".")[0] in ("worker", "reservation")
    ]
    assert [event.event_type for event in happened] == [
        "worker.attributes.update",
        "worker.activity.update",
        "reservation.rejected",
        "reservation.rejected",
        "reservation.rejected",
    ]
    assert [event.event_data["task_sid"] for event in happened[2:]] == [task.sid for task in tasks]
    activity = happened[1].event_data
    assert activity["worker_previous_activity_name"] == "Available"
    assert activity["worker_activity_name"] == "Lunch"
    assert (
        int(activity["worker_time_in_previous_activity"])
        == int(activity["worker_time_in_previous_activity_ms"]) // 1000
    )


def test_a_rename_publishes_attributes_update_with_the_new_name(desk):
    before = len(desk.events())
    worker(desk).update(friendly_name="Augusta")
    (event,) = desk.events()[before:]
    assert event.event_type == "worker.attributes.update"
    assert event.event_data["worker_name"] == "Augusta"


def test_an_activity_change_moves_only_the_date_of_the_status(office):
    office.clock.advance(60)
    before = office.context.workers(office.ann.sid).fetch()
    moved = office.move(office.ann, "Break")
    assert moved.date_status_changed > before.date_status_changed
    assert moved.date_updated == before.date_updated
    office.clock.advance(60)
    renamed = office.context.workers(office.ann.sid).update(friendly_name="Anna")
    assert renamed.date_updated > moved.date_updated
    assert renamed.date_status_changed == moved.date_status_changed


def test_new_attributes_change_eligibility_at_once(desk):
    french = desk.queue("French", "languages HAS 'fr'")
    assert [q.friendly_name for q in desk.context.task_queues.list(worker_sid=desk.ada.sid)] == ["Everything"]
    task = desk.task({}, routing_target=french.sid)
    assert desk.fetch(task).assignment_status == "pending"
    worker(desk).update(attributes='{"languages":["fr"]}')
    assert [q.friendly_name for q in desk.context.task_queues.list(worker_sid=desk.ada.sid)] == ["Everything", "French"]
    assert desk.offered_to(task) == "Ada"


def test_becoming_available_takes_waiting_tasks(desk):
    desk.move(desk.ada, "Lunch")
    task = desk.task({})
    assert desk.reservations(task) == []
    reply = worker(desk).update_with_http_info(activity_sid=desk.activities["Available"])
    assert desk.offered_to(task) == "Ada"
    assert version(desk) == version_of(reply.headers) + 1, "the answer shows the Worker before the reservation"


# If-Match and races


def test_the_first_version_is_0(world):
    created = world.context.workers.create_with_http_info(friendly_name="New")
    assert version_of(created.headers) == 0
    assert world.version("workers", created.data.sid) == 0


@pytest.mark.parametrize("form", ["{0}", '"{0}"', 'W/"{0}"', '"99" , "{0}"', "99,{0}", 'W/"98",W/"{0}"', "*"])
def test_if_match_is_read_liberally(desk, form):
    before = version(desk)
    assert worker(desk).update(if_match=form.format(before), friendly_name="Matched").friendly_name == "Matched"


@pytest.mark.parametrize("form", ["99", '"99"', "abc", '"', "-0", "00", '"98", "99"'])
def test_an_if_match_that_does_not_match_changes_nothing(desk, form):
    before, events = version(desk), worker_events(desk)
    if form == "00":
        assert before != 0
    with refused(412, 20412):
        worker(desk).update(if_match=form, friendly_name="Never")
    assert worker(desk).fetch().friendly_name == "Ada"
    assert version(desk) == before
    assert worker_events(desk) == events


def test_the_text_of_412_names_both_versions(desk):
    before = version(desk)
    with refused(412, 20412, f"Precondition failed: If-Match 77 does not match the current version {before}"):
        worker(desk).update(if_match="77")


def test_404_wins_over_412_and_412_over_400(desk):
    with refused(404, 20404):
        desk.context.workers(MISSING_WORKER).update(if_match="77")
    with refused(412, 20412):
        worker(desk).update(if_match="77", activity_sid="WAxxx")


def test_an_absent_or_empty_if_match_is_unconditional(desk):
    assert worker(desk).update(friendly_name="One").friendly_name == "One"
    assert worker(desk).update(if_match="", friendly_name="Two").friendly_name == "Two"


def test_a_reservation_raises_the_version(desk):
    before = version(desk)
    desk.task({})
    assert version(desk) == before + 1
    with refused(412, 20412):
        worker(desk).update(if_match=str(before), friendly_name="Late")


def test_accepting_rejecting_and_completing_do_not_raise_the_version(desk):
    task = desk.task({})
    before = version(desk)
    desk.accept(task)
    assert worker(desk).update(if_match=str(before)).friendly_name == "Ada"
    desk.complete(task)
    assert version(desk) == before
    other = desk.task({})
    before = version(desk)
    desk.move(desk.ada, "Lunch")
    desk.answer(other, "rejected")
    assert version(desk) == before + 1, "only the Activity change counts"


def test_capacity_and_availability_each_raise_the_version(desk):
    before = version(desk)
    channel = worker(desk).worker_channels("voice")
    channel.update(capacity=2)
    assert version(desk) == before + 1
    channel.update(available=False)
    assert version(desk) == before + 2
    channel.update(capacity=3, available=True)
    assert version(desk) == before + 4
    channel.update(capacity=3, available=True)
    assert version(desk) == before + 4
    with refused(412, 20412):
        worker(desk).update(if_match=str(before))


def test_delete_honours_if_match(desk):
    desk.move(desk.ada, "Lunch")
    text = f"Precondition failed: If-Match 77 does not match the current version {version(desk)}"
    assert_delete(desk.client, desk.ada.url, "77", 412, text)
    assert_delete(desk.client, desk.ada.url, f'"{version(desk)}"', 204)
    with refused(404, 20404):
        worker(desk).fetch()


def test_of_two_updates_with_the_same_version_exactly_one_wins(desk, server):
    for attempt in range(20):
        before = version(desk)
        gate = threading.Barrier(2)

        def update(name, before=before, gate=gate):
            client = connect(server.url)
            gate.wait()
            try:
                client.taskrouter.v1.workspaces(desk.sid).workers(desk.ada.sid).update(
                    if_match=str(before), friendly_name=name
                )
            except TwilioRestException as error:
                return (error.status, error.code)
            return (200, None)

        with ThreadPoolExecutor(2) as pool:
            results = sorted(pool.map(update, (f"left {attempt}", f"right {attempt}")))
        assert results == [(200, None), (412, 20412)]
        assert version(desk) == before + 1


def test_200_concurrent_updates_with_if_match_lose_none(desk, server):
    """Eight clients append 25 numbers each to one attribute by read, change, conditional write, repeat on 412."""
    worker(desk).update(attributes='{"numbers":[]}')
    before = version(desk)
    conflicts = []

    def append(first: int):
        client = connect(server.url)
        mine = client.taskrouter.v1.workspaces(desk.sid).workers(desk.ada.sid)
        for number in range(first, first + 25):
            while True:
                read = mine.fetch_with_http_info()
                numbers = json.loads(read.data.attributes)["numbers"]
                try:
                    mine.update(
                        if_match=str(version_of(read.headers)), attributes=json.dumps({"numbers": [*numbers, number]})
                    )
                    break
                except TwilioRestException as error:
                    assert (error.status, error.code) == (412, 20412)
                    conflicts.append(number)

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(append, range(0, 200, 25)))
    numbers = json.loads(worker(desk).fetch().attributes)["numbers"]
    assert sorted(numbers) == list(range(200))
    assert version(desk) == before + 200
    for first in range(0, 200, 25):
        mine = [number for number in numbers if first <= number < first + 25]
        assert mine == sorted(mine), "each client's own writes keep their order"
    assert conflicts, "the clients never met: the test proves nothing"


def test_200_simultaneous_updates_with_one_version_have_one_winner(desk, server):
    before = version(desk)

    def update(number: int) -> int:
        client = connect(server.url)
        try:
            client.taskrouter.v1.workspaces(desk.sid).workers(desk.ada.sid).update(
                if_match=str(before), attributes=json.dumps({"winner": number})
            )
        except TwilioRestException as error:
            return error.status
        return 200

    with ThreadPoolExecutor(16) as pool:
        results = list(pool.map(update, range(200)))
    assert sorted(set(results)) == [200, 412]
    assert results.count(200) == 1
    assert json.loads(worker(desk).fetch().attributes) == {"winner": results.index(200)}


def test_leaving_with_rejection_races_with_new_tasks(desk, server):
    """Either a reservation exists and is rejected with the others, or it is never created: none stays pending."""
    desk.context.workers(desk.ada.sid).worker_channels("default").update(capacity=50)
    for _ in range(10):
        desk.move(desk.ada, "Available")
        gate = threading.Barrier(2)

        def create(gate=gate):
            client = connect(server.url)
            gate.wait()
            return [
                client.taskrouter.v1.workspaces(desk.sid).tasks.create(attributes='{"race":true}') for _ in range(10)
            ]

        def leave(gate=gate):
            client = connect(server.url)
            gate.wait()
            client.taskrouter.v1.workspaces(desk.sid).workers(desk.ada.sid).update(
                activity_sid=desk.activities["Lunch"], reject_pending_reservations=True
            )

        with ThreadPoolExecutor(2) as pool:
            created, left = pool.submit(create), pool.submit(leave)
            left.result()
            tasks = created.result()
        for task in tasks:
            assert [r.reservation_status for r in desk.reservations(task)] in ([], ["rejected"])
            assert desk.fetch(task).assignment_status == "pending"
            desk.context.tasks(task.sid).delete()


# Outcomes that are about the caller or the path


def test_too_many_requests(tmp_path):
    """Beyond a configured rate: 429, nothing processed, and the header says when to come back."""
    server = Server(tmp_path / "data", environment={"POINTSMAN_LIMITS_RATES": "Worker-Update=5"}).start()
    try:
        world = World(connect(server.url))
        ada = world.worker("Ada")
        refusals = []
        for number in range(20):
            answer = world.client.request("POST", ada.url, data={"Attributes": json.dumps({"number": number})})
            if answer.status_code == 429:
                refusals.append(answer)
        assert 5 <= len(refusals) <= 15
        for answer in refusals:
            body = json.loads(answer.text)
            assert (body["code"], body["message"]) == (20429, "Too many requests")
            assert answer.headers["Retry-After"] == "1"
            assert answer.headers["X-Rate-Limit-Limit"] == "5"
            assert answer.headers["X-Rate-Limit-Remaining"] == "0"
            assert answer.headers["X-Rate-Limit-Config"] == "Worker-Update"
        assert world.version("workers", ada.sid) == 20 - len(refusals)
        assert world.context.workers(ada.sid).fetch().friendly_name == "Ada", "other operations are not limited"
        assert server.stop() == 0
    finally:
        server.kill()


def test_without_or_with_wrong_credentials_it_is_401(desk, server):
    for client in (connect(server.url, password="wrong"), connect(server.url, username="AC" + "f" * 32)):
        with refused(401, 20003):
            client.taskrouter.v1.workspaces(desk.sid).workers(desk.ada.sid).update(friendly_name="Never")
    assert worker(desk).fetch().friendly_name == "Ada"


@pytest.mark.parametrize("sid", [MISSING_WORKER, "WQ" + "0" * 31, "WK123", "Ada", "WK" + "z" * 32])
def test_an_unknown_or_malformed_worker_is_404(desk, sid):
    with refused(404, 20404, f"The requested resource /Workspaces/{desk.sid}/Workers/{sid} was not found"):
        desk.context.workers(sid).update(friendly_name="Never")


def test_an_unknown_or_malformed_workspace_is_404(desk, client):
    for sid in ("WS" + "0" * 32, "WS1", desk.ada.sid):
        with refused(404, 20404):
            client.taskrouter.v1.workspaces(sid).workers(desk.ada.sid).update(friendly_name="Never")


def test_a_worker_of_another_workspace_is_404(desk, client):
    other = client.taskrouter.v1.workspaces.create(friendly_name="Other")
    with refused(404, 20404):
        client.taskrouter.v1.workspaces(other.sid).workers(desk.ada.sid).update(friendly_name="Never")
    other.delete()


def test_undocumented_and_unknown_parameters_are_ignored(desk, wire):
    before = version(desk)
    answer = wire("POST", f"/v1/Workspaces/{desk.sid}/Workers/{desk.ada.sid}",
                  data={"OperatingUnitSid": "OU" + "0" * 32, "Concurrency": "2", "friendlyname": "Never", "Nonsense": "1"})  # fmt: skip
    assert answer.status_code == 200
    assert answer.json()["friendly_name"] == "Ada"
    assert answer.headers["ETag"] == f'"{before}"'


def test_the_answer_carries_the_whole_worker(desk):
    worker(desk).update(friendly_name="Whole")
    updated = last(desk.client).json
    worker(desk).fetch()
    assert last(desk.client).json == updated
