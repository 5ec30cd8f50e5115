"""Event and assignment callbacks against a receiver in this process, signatures checked by the official validator.

Reference: events and callbacks, sections 6, 7 and 12.
"""

import json

import pytest
from support.receiver import NO_CONTENT, Receiver

JSON = "application/json"

ENVELOPE = {
    "Sid", "EventType", "AccountSid", "WorkspaceSid", "WorkspaceName", "EventDescription", "ResourceType",
    "ResourceSid", "Timestamp", "TimestampMs",
}  # fmt: skip
TASK = ENVELOPE | {
    "OperatingUnitSid", "TaskSid", "TaskAttributes", "TaskAge", "TaskPriority", "TaskAssignmentStatus", "TaskChannelSid",
    "TaskChannelUniqueName", "TaskVersion", "TaskDateCreated", "TaskVirtualStartTime", "TaskIgnoreCapacity",
    "TaskQueueSid", "TaskQueueName", "TaskQueueTargetExpression", "TaskQueueEnteredDate", "WorkflowSid", "WorkflowName",
}  # fmt: skip
WORKER = {
    "WorkerSid", "WorkerName", "WorkerAttributes", "WorkerActivitySid", "WorkerActivityName", "WorkerVersion",
}  # fmt: skip
RESERVATION = TASK | WORKER | {
    "ReservationSid", "ReservationVersion", "ReservationStatus", "ReservationTimeout", "WorkerChannelCapacity",
    "WorkerChannelConsumedCapacity",
}  # fmt: skip
STEP = {"WorkflowFilterName", "WorkflowFilterExpression"}
ASSIGNMENT = {
    "AccountSid", "WorkspaceSid", "WorkflowSid", "TaskQueueSid", "TaskSid", "TaskAttributes", "TaskAge", "TaskPriority",
    "WorkerSid", "WorkerAttributes", "ReservationSid", "Timestamp",
}  # fmt: skip


@pytest.fixture
def subscribed(office, receiver):
    """Ann, Bob and Cid with every event sent to the receiver."""
    office.context.update(event_callback_url=f"{receiver.url}/events?tenant=7")
    office.clock.quiet()
    office.first_event = len(receiver.callbacks("/events"))
    office.receiver = receiver
    return office


def told(office) -> list:
    """What the receiver was told since the fixture was ready, once nothing is on its way."""
    office.clock.quiet()
    return office.receiver.callbacks("/events")[office.first_event :]


def assigned_by(office, receiver, *, primary=None, fallback=None, **parameters):
    """Gives the fixture's workflow callback URLs and answers."""
    urls = {}
    if primary is not None:
        receiver.answers["/assign"] = primary
        urls["assignment_callback_url"] = receiver.url + "/assign"
    if fallback is not None:
        receiver.answers["/fallback"] = fallback
        urls["fallback_assignment_callback_url"] = receiver.url + "/fallback"
    office.context.workflows(office.flow.sid).update(**urls, **parameters)
    office.happened()


def instruction(**members):
    return (200, JSON, json.dumps(members))


# Event callbacks


def test_every_event_of_a_life_arrives_in_order_and_signed(subscribed):
    task = subscribed.create("support", name="Zoë & Co")
    subscribed.accept(task)
    subscribed.context.tasks(task.sid).update(assignment_status="wrapping")
    subscribed.complete(task)
    callbacks = told(subscribed)
    assert [callback["EventType"] for callback in callbacks] == subscribed.event_types(task_sid=task.sid)
    assert [callback["Sid"] for callback in callbacks] == [event.sid for event in subscribed.events(task_sid=task.sid)]
    for callback in callbacks:
        assert callback.method == "POST"
        assert callback.is_signed(), callback
        assert callback.headers["content-type"] == "application/x-www-form-urlencoded; charset=UTF-8"
        assert callback.headers["user-agent"] == "TwilioProxy/1.1"
        assert callback.headers["accept"] == "*/*"
        assert callback.url.endswith("/events?tenant=7")
        assert callback.parameter_count == len(callback.parameters), "no parameter is repeated"
    tokens = [callback.headers["i-twilio-idempotency-token"] for callback in callbacks]
    assert len(set(tokens)) == len(tokens)


def test_a_callback_says_what_the_events_resource_says(subscribed):
    task = subscribed.create("support")
    events = {event.sid: event for event in subscribed.events(task_sid=task.sid)}
    callbacks = told(subscribed)
    assert len(callbacks) == len(events)

    def snake(name: str) -> str:
        return "".join("_" + letter.lower() if letter.isupper() else letter for letter in name).lstrip("_")

    for callback in callbacks:
        event = events[callback["Sid"]]
        assert callback["EventType"] == event.event_type
        assert callback["EventDescription"] == event.description
        assert (callback["ResourceType"], callback["ResourceSid"]) == (event.resource_type, event.resource_sid)
        assert int(callback["TimestampMs"]) == event.event_date_ms
        assert int(callback["Timestamp"]) == event.event_date_ms // 1000
        only_in_callback = {
            "Sid",
            "EventType",
            "AccountSid",
            "EventDescription",
            "ResourceType",
            "ResourceSid",
            "Timestamp",
            "TimestampMs",
        }
        data = {snake(name): value for name, value in callback.parameters.items() if name not in only_in_callback}
        assert data == event.event_data


def test_the_parameters_of_task_and_reservation_events(subscribed):
    task = subscribed.create("support")
    callbacks = {callback["EventType"]: set(callback.parameters) for callback in told(subscribed)}
    assert callbacks["task.created"] == TASK
    assert callbacks["workflow.entered"] == TASK
    assert callbacks["workflow.target-matched"] == TASK | STEP
    assert callbacks["task-queue.entered"] == TASK | STEP
    assert callbacks["reservation.created"] == RESERVATION
    subscribed.accept(task)
    subscribed.complete(task, reason="solved")
    callbacks = {callback["EventType"]: set(callback.parameters) for callback in told(subscribed)}
    assert callbacks["reservation.accepted"] == RESERVATION
    assert callbacks["task.completed"] == TASK | WORKER | {"TaskCompletedReason", "Reason"}
    assert callbacks["reservation.completed"] == RESERVATION | {"TaskCompletedReason"}


def test_the_parameters_of_worker_events(subscribed):
    ann = subscribed.context.workers(subscribed.ann.sid)
    subscribed.clock.advance(1.25)
    since = subscribed.context.workers(subscribed.ann.sid).fetch().date_status_changed
    ann.update(attributes="{}", activity_sid=subscribed.activities["Break"])
    ann.worker_channels("chat").update(capacity=4, available=False)
    callbacks = told(subscribed)
    base = ENVELOPE | WORKER | {"OperatingUnitSid"}
    channel = base | {
        "TaskChannelSid", "TaskChannelUniqueName", "WorkerChannelAvailable", "WorkerChannelCapacity",
        "WorkerChannelPreviousCapacity", "WorkerChannelAvailableCapacity", "WorkerChannelTaskCount",
    }  # fmt: skip
    assert [(callback["EventType"], set(callback.parameters)) for callback in callbacks] == [
        ("worker.attributes.update", base),
        ("worker.activity.update", base | {
            "WorkerPreviousActivitySid", "WorkerPreviousActivityName", "WorkerTimeInPreviousActivity",
            "WorkerTimeInPreviousActivityMs"}),
        ("worker.capacity.update", channel),
        ("worker.channel.availability.update", channel),
    ]  # fmt: skip
    activity = callbacks[1]
    assert int(activity["WorkerTimeInPreviousActivity"]) == int(activity["WorkerTimeInPreviousActivityMs"]) // 1000
    assert int(activity["Timestamp"]) - int(activity["WorkerTimeInPreviousActivity"]) - int(since.timestamp()) in (0, 1)
    assert [callback["WorkerChannelAvailable"] for callback in callbacks[2:]] == ["1", "0"]
    assert int(callbacks[3]["WorkerVersion"]) == int(callbacks[2]["WorkerVersion"]) + 1


def test_the_filter_chooses_events(subscribed):
    subscribed.context.update(events_filter="task.created, RESERVATION.CREATED,nonsense")
    assert [callback["EventType"] for callback in told(subscribed)] in ([], ["workspace.updated"])
    subscribed.first_event = len(subscribed.receiver.callbacks("/events"))
    subscribed.create("support")
    assert [callback["EventType"] for callback in told(subscribed)] == ["task.created", "reservation.created"]


def test_without_a_url_nothing_is_sent_and_events_are_kept(office, receiver):
    office.create("support")
    office.clock.quiet()
    assert receiver.callbacks("/events") == []
    assert office.happened() != []


def test_the_fragment_of_the_url_is_neither_sent_nor_signed(subscribed):
    subscribed.context.update(event_callback_url=f"{subscribed.receiver.url}/fragment#rc=2&rp=all&tt=3000")
    subscribed.create("support")
    subscribed.clock.quiet()
    callbacks = subscribed.receiver.callbacks("/fragment")
    assert len(callbacks) >= 5
    assert all("#" not in callback.url and callback.is_signed() for callback in callbacks)


def test_overrides_without_effect_are_named_in_the_log_once(office, receiver, virtual_server):
    url = receiver.url.replace("://", "://ann:hidden@")
    office.context.update(event_callback_url=url + "/events?token=hidden#rc=6&rt=99&foo=hidden&ct=abc&tt=900")
    assigned_by(office, receiver, primary=instruction(instruction="accept"), fallback=NO_CONTENT)
    fallback_url = receiver.url + "/fallback#rc=9"
    office.context.workflows(office.flow.sid).update(fallback_assignment_callback_url=fallback_url)
    for _ in range(2):
        office.create("support")
    office.clock.quiet()
    assert len(receiver.callbacks("/events")) >= 2
    lines = [line for line in virtual_server.log().splitlines() if "overrides" in line and office.sid in line]
    assert all("code=11243" in line and f'receiver="{receiver.url}"' in line for line in lines), lines
    assert [line.split("keys=")[1].split()[0] for line in lines] == ['"rc,rt,foo,ct"', '"rc"']
    assert not any("hidden" in line for line in lines), lines


def test_a_failing_event_callback_is_not_sent_again_by_default(subscribed):
    subscribed.receiver.answers["/events"] = (500, "text/plain", "broken")
    task = subscribed.create("support")
    expected = subscribed.event_types(task_sid=task.sid)
    assert [callback["EventType"] for callback in told(subscribed)] == expected
    assert subscribed.offered_to(task) == "Ann", "routing does not care"


def test_retries_on_5xx_when_the_url_asks_for_them_keep_the_token(subscribed):
    refusals = iter([500, 503])

    def answer(callback):
        return (next(refusals, 204), JSON, "")

    subscribed.receiver.answers["/retried"] = answer
    subscribed.context.update(
        event_callback_url=f"{subscribed.receiver.url}/retried#rc=3&rp=5xx", events_filter="task.created"
    )
    subscribed.create("support")
    subscribed.clock.quiet()
    attempts = [c for c in subscribed.receiver.callbacks("/retried") if c["EventType"] == "task.created"]
    assert len(attempts) == 3
    assert len({attempt.headers["i-twilio-idempotency-token"] for attempt in attempts}) == 1
    assert len({attempt["Sid"] for attempt in attempts}) == 1
    assert all(attempt.is_signed() for attempt in attempts)


def test_events_of_the_engine_arrive_too(subscribed):
    subscribed.on_break(subscribed.ann, subscribed.bob, subscribed.cid)
    subscribed.create("support")
    told(subscribed)
    subscribed.first_event = len(subscribed.receiver.callbacks("/events"))
    subscribed.at(30)
    assert [(c["EventType"], c["TaskQueueName"]) for c in told(subscribed)] == [
        ("task-queue.timeout", "QSup"),
        ("workflow.target-matched", "QAll"),
        ("task-queue.moved", "QSup"),
        ("task-queue.entered", "QAll"),
    ]


def test_the_creation_and_deletion_of_a_workspace_are_told(virtual_client, clock, receiver):
    workspaces = virtual_client.taskrouter.v1.workspaces
    workspace = workspaces.create(friendly_name="Told", event_callback_url=receiver.url + "/events", template="FIFO")
    workspaces(workspace.sid).delete()
    clock.quiet()
    callbacks = receiver.callbacks("/events")
    assert [callback["EventType"] for callback in callbacks] == ["workspace.created", "workspace.deleted"]
    assert all(set(callback.parameters) == ENVELOPE and callback.is_signed() for callback in callbacks)


# Assignment callbacks


def test_an_assignment_callback_has_exactly_twelve_parameters(office, receiver):
    assigned_by(office, receiver, primary=(200, JSON, ""))
    task = office.create("support", note="ü")
    office.clock.quiet()
    (callback,) = receiver.callbacks("/assign")
    assert callback.is_signed()
    assert set(callback.parameters) == ASSIGNMENT
    assert callback["TaskSid"] == task.sid
    assert callback["TaskAttributes"] == task.attributes
    assert callback["WorkerSid"] == office.ann.sid
    assert callback["WorkflowSid"] == office.flow.sid
    assert callback["ReservationSid"] == office.offer(task).sid
    assert callback["Timestamp"].isdecimal()


def test_the_log_names_the_fallback_too_when_it_fails(office, receiver, virtual_server):
    fallback = Receiver()
    fallback.answers["/fallback"] = (503, "text/plain", "broken")
    try:
        assigned_by(office, receiver, primary=(500, "text/plain", "broken"))
        url = fallback.url.replace("://", "://ann:hidden@") + "/fallback?token=hidden"
        office.context.workflows(office.flow.sid).update(fallback_assignment_callback_url=url)
        office.create("support")
        office.clock.quiet()
        assert len(fallback.callbacks("/fallback")) == 1
    finally:
        fallback.close()
    lines = [line for line in virtual_server.log().splitlines() if "callback failed" in line and office.sid in line]
    assert [line.split('receiver="')[1].split('"')[0] for line in lines] == [receiver.url, fallback.url], lines
    assert "status 500" in lines[0]
    assert "status 503" in lines[1]
    assert not any("hidden" in line for line in lines), lines


def test_the_instruction_accept(office, receiver):
    assigned_by(office, receiver, primary=instruction(instruction="accept"))
    task = office.create("support")
    office.clock.quiet()
    assert office.fetch(task).assignment_status == "assigned"
    assert office.happened() == [
        "task.created", "workflow.entered", "workflow.target-matched", "task-queue.entered QSup",
        "reservation.created Ann", "reservation.accepted Ann",
    ]  # fmt: skip


def test_the_instruction_reject_with_an_activity(office, receiver):
    def answer(callback):
        if callback["WorkerSid"] == office.ann.sid:
            return instruction(instruction="Reject", activity_sid=office.activities["Break"])
        return instruction(instruction="accept")

    assigned_by(office, receiver, primary=answer)
    task = office.create("support")
    office.clock.quiet()
    assert [(r.worker_name, r.reservation_status) for r in office.reservations(task)] == [
        ("Ann", "rejected"),
        ("Bob", "accepted"),
    ]
    assert office.context.workers(office.ann.sid).fetch().activity_name == "Break"


def test_a_rejection_to_an_unknown_activity_is_not_carried_out(office, receiver):
    assigned_by(office, receiver, primary=instruction(instruction="reject", activity_sid="WA" + "0" * 32))
    task = office.create("support")
    office.clock.quiet()
    assert office.offered_to(task) == "Ann"


@pytest.mark.parametrize("answer", [
    (200, JSON, ""), (200, "text/plain", "  \n"), NO_CONTENT, (200, JSON, "{}"), (200, JSON, "not json"), (200, JSON, "[]"),
    (200, JSON, '{"to":"client:ann"}'), (200, JSON, '{"instruction":"dance"}'), (200, "text/html", "<p>hello</p>"),
], ids=["empty", "blank", "204", "empty object", "no JSON", "no object", "no instruction", "unknown instruction", "wrong type"])  # fmt: skip
def test_answers_that_leave_the_reservation_pending(office, receiver, answer):
    assigned_by(office, receiver, primary=answer)
    task = office.create("support")
    office.clock.quiet()
    assert len(receiver.callbacks("/assign")) == 1
    assert office.offered_to(task) == "Ann"
    assert office.accept(task).reservation_status == "accepted"


@pytest.mark.parametrize("answer", [
    (500, "text/plain", "broken"), (404, JSON, "{}"), (302, JSON, ""), (200, "text/html", "<p></p>"),
    (200, "text/html; charset=iso-8859-1", b"caf\xe9"), (200, "text/html", "e" + "é" * 100_000),
], ids=["500", "404", "redirect", "wrong type", "another encoding", "cut within a character"])  # fmt: skip
def test_the_fallback_is_asked_when_the_first_fails(office, receiver, answer):
    assigned_by(office, receiver, primary=answer, fallback=instruction(instruction="accept"))
    task = office.create("support")
    office.clock.quiet()
    (first,), (second,) = receiver.callbacks("/assign"), receiver.callbacks("/fallback")
    assert first.parameters == second.parameters
    assert second.is_signed()
    assert first.headers["i-twilio-idempotency-token"] != second.headers["i-twilio-idempotency-token"]
    assert office.fetch(task).assignment_status == "assigned"


def test_a_fallback_alone_is_never_called(office, receiver):
    assigned_by(office, receiver, fallback=instruction(instruction="accept"))
    task = office.create("support")
    office.clock.quiet()
    assert receiver.callbacks("/fallback") == []
    assert office.offered_to(task) == "Ann"


def test_s80_failed_callbacks_hold_the_task_off_for_longer_and_longer(office, receiver):
    healthy = []

    def answer(callback):
        return instruction(instruction="accept") if healthy else (500, "text/plain", "")

    assigned_by(office, receiver, primary=answer)
    task = office.create("support")
    office.clock.quiet()
    assert office.happened()[-2:] == ["reservation.canceled Ann", "workflow.target-matched"]
    assert office.context.workers(office.ann.sid).fetch().activity_name == "Available"
    for at, worker in ((1, "Bob"), (3, "Ann"), (7, "Bob")):
        office.at(at - 0.001)
        assert office.happened() == []
        office.at(at)
        assert office.happened() == [
            f"reservation.created {worker}",
            f"reservation.canceled {worker}",
            "workflow.target-matched",
        ]
    healthy.append(True)
    office.at(15)
    assert office.happened() == ["reservation.created Ann", "reservation.accepted Ann"]
    assert office.fetch(task).assignment_status == "assigned"


def test_s82_the_skip_test_waits_while_a_task_is_held_off(office, receiver):
    office.route(first_steps=[{"queue": "support", "skip_if": "1==1"}, {"queue": "all"}])
    assigned_by(office, receiver, primary=(500, "text/plain", ""))
    task = office.create("support")
    office.clock.quiet()
    assert office.happened()[-2:] == ["reservation.canceled Ann", "workflow.target-matched"]
    assert office.fetch(task).task_queue_friendly_name == "QSup"
    office.at(1)
    assert office.happened() == ["reservation.created Bob", "reservation.canceled Bob", "workflow.target-matched"]


def test_s21_a_task_is_canceled_after_a_thousand_rejections(office, receiver):
    assigned_by(office, receiver, primary=instruction(instruction="reject"))
    office.on_break(office.bob, office.cid)
    task = office.create("support")
    office.clock.quiet()
    happened = office.happened()
    assert happened.count("reservation.created Ann") == happened.count("reservation.rejected Ann") == 1000
    assert happened[-2:] == ["reservation.rejected Ann", "task.canceled"]
    ended = office.fetch(task)
    assert (ended.assignment_status, ended.reason) == ("canceled", "Task TTL Exceeded or Max assignment count exceeded")
    assert len(receiver.callbacks("/assign")) == 1000


def test_every_reservation_of_a_fan_out_is_asked_for(office, receiver):
    office.context.task_queues(office.support_queue.sid).update(max_reserved_workers=2)
    assigned_by(office, receiver, primary=(200, JSON, ""))
    task = office.create("support")
    office.clock.quiet()
    asked = {callback["ReservationSid"]: callback["WorkerSid"] for callback in receiver.callbacks("/assign")}
    assert asked == {r.sid: r.worker_sid for r in office.reservations(task)}


def test_the_reservation_timer_starts_at_creation(office, receiver):
    assigned_by(office, receiver, primary=(200, JSON, ""), task_reservation_timeout=20)
    task = office.create("support")
    office.at(19.999)
    assert office.offered_to(task) == "Ann"
    office.at(20)
    assert office.offered_to(task) == "Bob"


def test_callbacks_work_on_the_systems_clock_too(world, receiver):
    receiver.answers["/assign"] = instruction(instruction="accept")
    world.context.update(event_callback_url=receiver.url + "/events", events_filter="reservation.accepted")
    queue = world.queue("Q")
    world.workflow("W", {"default_filter": {"queue": queue.sid}}, assignment_callback_url=receiver.url + "/assign")
    world.worker("Ada")
    task = world.task({})
    (event,) = [c for c in receiver.wait_for("/events", 1) if c["EventType"] == "reservation.accepted"]
    assert event["TaskSid"] == task.sid
    assert event.is_signed()
    assert world.fetch(task).assignment_status == "assigned"
