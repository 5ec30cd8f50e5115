"""Every row of the REST contract's sections 8.1 to 8.5 that a client can cause, with code and text as the library raises them.

Rows about UpdateWorker, paging and Workflow configurations are in the files of those subjects.
"""

import json
from datetime import UTC, datetime, timedelta

import pytest
from support.client import connect
from support.errors import refused
from support.server import ACCOUNT_SID
from support.world import World
from twilio.base.exceptions import TwilioRestException


@pytest.fixture
def shop(world):
    """One queue, one workflow, Ada available."""
    world.everything = world.queue("Everything")
    world.flow = world.workflow("Flow", {"default_filter": {"queue": world.everything.sid}})
    world.ada = world.worker("Ada")
    return world


def unknown(prefix: str) -> str:
    return prefix + "0" * 32


def pending(shop):
    """A Task that nobody takes."""
    shop.move(shop.ada, "Unavailable")
    return shop.task({})


def assigned(shop):
    task = shop.task({})
    shop.accept(task)
    return task


# The shape of an error


def test_what_the_library_raises(shop):
    with pytest.raises(TwilioRestException) as raised:
        shop.context.workers(unknown("WK")).fetch()
    error = raised.value
    assert type(error) is TwilioRestException
    assert (error.status, error.code, error.method) == (404, 20404, "GET")
    assert (
        error.msg
        == f"Unable to fetch record: The requested resource /Workspaces/{shop.sid}/Workers/{unknown('WK')} was not found"
    )
    assert error.details is None


# 8.1 Parameters

MISSING = [
    ("workspaces", "/v1/Workspaces", {}, "FriendlyName"),
    ("activities", "{w}/Activities", {}, "FriendlyName"),
    ("workers", "{w}/Workers", {"Attributes": "{}"}, "FriendlyName"),
    ("task channels: friendly name", "{w}/TaskChannels", {"UniqueName": "fax"}, "FriendlyName"),
    ("task channels: unique name", "{w}/TaskChannels", {"FriendlyName": "Fax"}, "UniqueName"),
    ("task channels: empty unique name", "{w}/TaskChannels", {"FriendlyName": "Fax", "UniqueName": ""}, "UniqueName"),
    ("task queues", "{w}/TaskQueues", {}, "FriendlyName"),
    ("workflows: name", "{w}/Workflows", {"Configuration": "{}"}, "FriendlyName"),
    ("workflows: configuration", "{w}/Workflows", {"FriendlyName": "W"}, "Configuration"),
    ("workflows: empty configuration", "{w}/Workflows", {"FriendlyName": "W", "Configuration": ""}, "Configuration"),
]


@pytest.mark.parametrize("path, form, name", [row[1:] for row in MISSING], ids=[row[0] for row in MISSING])
def test_a_required_parameter_that_is_absent(world, wire, path, form, name):
    answer = wire("POST", path.format(w=f"/v1/Workspaces/{world.sid}"), data=form)
    assert answer.status_code == 400
    assert answer.json() == {
        "code": 20001,
        "message": f"Missing required parameter {name} in the post body",
        "more_info": "https://www.twilio.com/docs/errors/20001",
        "status": 400,
    }


@pytest.mark.parametrize("bad", ["", " \t", "x" * 65], ids=["empty", "blank", "long"])
@pytest.mark.parametrize("kind", ["activities", "workers", "task_channels"])
def test_a_friendly_name_of_a_wrong_length(world, kind, bad):
    extra = {"unique_name": "fax"} if kind == "task_channels" else {}
    with refused(400, 20002, "FriendlyName must be between 1 and 64 characters"):
        getattr(world.context, kind).create(friendly_name=bad, **extra)


@pytest.mark.parametrize("resource", ["worker", "task"])
def test_attributes_that_are_wrong(shop, resource):
    def create(attributes):
        if resource == "worker":
            return shop.context.workers.create(friendly_name="New", attributes=attributes)
        return shop.context.tasks.create(attributes=attributes)

    for bad in ("{", "[1]", "null", '"a"'):
        with refused(400, 20001, matching="^Attributes is not a valid JSON object"):
            create(bad)
    with refused(400, 20001, "Attributes must be at most 4096 characters"):
        create('{"a":"' + "x" * 4096 + '"}')
    with refused(400, 20001, "Attributes must not be nested deeper than 200 levels"):
        create('{"a":' * 201 + "1" + "}" * 201)


def test_a_task_update_with_empty_attributes(shop):
    task = pending(shop)
    with refused(400, 20001, matching="^Attributes is not a valid JSON object"):
        shop.context.tasks(task.sid).update(attributes="")


def test_sids_in_filters_that_are_malformed(shop):
    cases = [
        (shop.context.workers, "activity_sid", "WAxxx", "ActivitySid"),
        (shop.context.workers, "task_queue_sid", "WK" + "0" * 32, "TaskQueueSid"),
        (shop.context.tasks, "workflow_sid", "WW1", "WorkflowSid"),
        (shop.context.tasks, "task_queue_sid", "queue", "TaskQueueSid"),
        (shop.context.task_queues, "worker_sid", "WK-", "WorkerSid"),
        (shop.context.events, "task_sid", "WT", "TaskSid"),
        (shop.context.events, "worker_sid", "x", "WorkerSid"),
        (shop.context.events, "reservation_sid", "x", "ReservationSid"),
    ]
    for resource, parameter, bad, name in cases:
        with refused(400, 20001, f"Invalid value '{bad}' for {name}"):
            resource.list(**{parameter: bad})


def test_sids_in_bodies_that_name_nothing(shop):
    with refused(400, 20001, f"ActivitySid {unknown('WA')} does not exist in workspace {shop.sid}"):
        shop.context.workers.create(friendly_name="New", activity_sid=unknown("WA"))
    with refused(400, 20001, f"WorkflowSid {unknown('WW')} does not exist in workspace {shop.sid}"):
        shop.context.tasks.create(workflow_sid=unknown("WW"))
    with refused(400, 20001, f"ReservationActivitySid {unknown('WA')} does not exist in workspace {shop.sid}"):
        shop.queue("New", reservation_activity_sid=unknown("WA"))
    with refused(400, 20001, f"DefaultActivitySid {unknown('WA')} does not exist in workspace {shop.sid}"):
        shop.context.update(default_activity_sid=unknown("WA"))
    with refused(400, 20001, f"TaskQueueSid {unknown('WQ')} does not exist in workspace {shop.sid}"):
        shop.context.tasks.create(routing_target=shop.ada.sid, task_queue_sid=unknown("WQ"))


def test_an_enumeration_with_another_value(shop, client):
    with refused(400, 20001, "Invalid value 'RANDOM' for TaskOrder: expected FIFO or LIFO"):
        shop.queue("New", task_order="RANDOM")
    with refused(400, 20001, "Invalid value 'x' for PrioritizeQueueOrder: expected FIFO or LIFO"):
        shop.context.update(prioritize_queue_order="x")
    with refused(400, 20001, matching="^Invalid value 'Pending' for AssignmentStatus"):
        shop.context.tasks.list(assignment_status="Pending")
    with refused(400, 20001, matching="^Invalid value 'done' for ReservationStatus"):
        shop.context.workers(shop.ada.sid).reservations.list(reservation_status="done")


@pytest.mark.parametrize("bad", [0, 51, -3, "many", "2.0"])
def test_a_number_out_of_range(shop, bad):
    with refused(400, 20001, "MaxReservedWorkers must be an integer between 1 and 50"):
        shop.queue("New", max_reserved_workers=bad)


def test_an_empty_number_is_absent_and_a_sign_and_blanks_are_read(shop, wire):
    path = f"/v1/Workspaces/{shop.sid}/TaskQueues"
    assert wire("POST", path, data={"FriendlyName": "A", "MaxReservedWorkers": ""}).json()["max_reserved_workers"] == 1
    assert (
        wire("POST", path, data={"FriendlyName": "B", "MaxReservedWorkers": " +7 "}).json()["max_reserved_workers"] == 7
    )


@pytest.mark.parametrize(
    "bad", ["yesterday", "2024-13-01", "2024-01-01T25:00:00Z", "20240101T000000Z", "2024-01-01t00:00:00z"]
)
def test_a_date_that_is_none(shop, bad):
    with refused(400, 20001, f"Invalid value '{bad}' for StartDate: expected ISO 8601"):
        shop.context.events.list(start_date=bad)


@pytest.mark.parametrize(
    "good", ["2024-01-01", "2024-01-01T10:00:00", "2024-01-01T10:00:00.123456Z", "2024-01-01T10:00:00+02:00"]
)
def test_spellings_of_dates_that_are_accepted(shop, good):
    assert shop.context.events.list(start_date=good, limit=1) != []


def test_a_virtual_start_time_ahead_of_now_or_before_1900(shop):
    with refused(400, 20001, "VirtualStartTime cannot be in the future"):
        shop.context.tasks.create(virtual_start_time=datetime.now(UTC) + timedelta(minutes=5))
    with refused(400, 20001, "VirtualStartTime cannot be before 1900"):
        shop.context.tasks.create(virtual_start_time="1850-01-01T00:00:00Z")


@pytest.mark.parametrize("bad", ["nonsense", "mailto:a@b", "http://"])
def test_a_url_that_is_none(shop, bad):
    text = f"Invalid value '{bad}' for AssignmentCallbackUrl: expected an absolute http or https URL"
    with refused(400, 20001, text):
        shop.context.workflows(shop.flow.sid).update(assignment_callback_url=bad)


def test_expressions_with_a_syntax_error(shop):
    bad = "language =="
    with refused(400, 20001, matching="^Invalid TargetWorkers expression: "):
        shop.queue("New", bad)
    with refused(400, 20001, matching="^Invalid TargetWorkers expression: "):
        shop.context.task_queues(shop.everything.sid).update(target_workers=bad)
    assert shop.context.task_queues(shop.everything.sid).fetch().target_workers == "1==1"
    with refused(400, 20001, matching="^Invalid TargetWorkersExpression expression: "):
        shop.context.workers.list(target_workers_expression=bad)
    with refused(400, 20001, matching="^Invalid EvaluateTaskAttributes expression: "):
        shop.context.tasks.list(evaluate_task_attributes=bad)
    with refused(400, 20001, matching="^Invalid EvaluateWorkerAttributes expression: "):
        shop.context.task_queues.list(evaluate_worker_attributes=bad)


def test_ignore_capacity_without_a_worker_as_target(shop):
    for parameters in ({}, {"routing_target": shop.everything.sid}, {"routing_target": shop.flow.sid}):
        with refused(400, 20001, "IgnoreCapacity requires a Worker as RoutingTarget"):
            shop.context.tasks.create(ignore_capacity="true", **parameters)


def test_an_unknown_task_channel(shop):
    with refused(400, 20001, f"TaskChannel 'fax' does not exist in workspace {shop.sid}"):
        shop.context.tasks.create(task_channel="fax")


def test_a_multi_tasking_workspace_cannot_become_single_tasking(shop):
    with refused(400, 20001, f"Workspace {shop.sid} cannot be changed to single-tasking"):
        shop.context.update(multi_task_enabled=False)


def test_an_unknown_instruction(shop):
    task = shop.task({})
    with refused(400, 55555):
        shop.offer(task).update(instruction="dance")
    assert shop.offer(task).reservation_status == "pending"


def test_a_status_beside_an_instruction_is_ignored_whatever_it_is(shop):
    task = shop.task()
    updated = shop.offer(task).update(instruction="accept", reservation_status="done")
    assert updated.reservation_status == "accepted"


@pytest.mark.parametrize("status", ["pending", "timeout", "canceled", "rescinded", "Accepted", "nonsense"])
def test_a_reservation_status_that_cannot_be_set(shop, status):
    task = shop.task({})
    with refused(400, 20001, matching=f"^Invalid value '{status}' for ReservationStatus"):
        shop.offer(task).update(reservation_status=status)


def test_a_rejection_to_an_unknown_activity(shop):
    task = shop.task({})
    with refused(400, 40100):
        shop.offer(task).update(reservation_status="rejected", worker_activity_sid=unknown("WA"))
    assert shop.offer(task).reservation_status == "pending"


# 8.2 State


def test_canceling_a_task_that_is_not_pending_or_reserved(shop):
    text = "Cannot cancel task {} in workspace {} for account {} because it is not pending or reserved."
    task = assigned(shop)
    for advance in (None, "wrapping", "completed"):
        if advance:
            shop.context.tasks(task.sid).update(assignment_status=advance)
        with refused(400, 20001, text.format(task.sid, shop.sid, ACCOUNT_SID)):
            shop.context.tasks(task.sid).update(assignment_status="canceled", reason="too late")
    other = pending(shop)
    shop.context.tasks(other.sid).update(assignment_status="canceled")
    with refused(400, 20001, text.format(other.sid, shop.sid, ACCOUNT_SID)):
        shop.context.tasks(other.sid).update(assignment_status="canceled")


def test_completing_a_task_that_is_not_assigned(shop):
    text = "Cannot complete task {} in workspace {} for account {} because it is not currently assigned."
    task = shop.task({})
    with refused(400, 20001, text.format(task.sid, shop.sid, ACCOUNT_SID)):
        shop.complete(task)
    shop.accept(task)
    shop.complete(task)
    with refused(400, 20001, text.format(task.sid, shop.sid, ACCOUNT_SID)):
        shop.complete(task)
    waiting = pending(shop)
    with refused(400, 20001, text.format(waiting.sid, shop.sid, ACCOUNT_SID)):
        shop.complete(waiting)


def test_wrapping_up_a_task_that_is_not_assigned(shop):
    text = "Cannot wrap up a task {} in workspace {} for account {} because it's not currently assigned"
    task = shop.task({})
    with refused(400, 20001, text.format(task.sid, shop.sid, ACCOUNT_SID)):
        shop.context.tasks(task.sid).update(assignment_status="wrapping")
    shop.accept(task)
    shop.context.tasks(task.sid).update(assignment_status="wrapping")
    with refused(400, 20001, text.format(task.sid, shop.sid, ACCOUNT_SID)):
        shop.context.tasks(task.sid).update(assignment_status="wrapping")


@pytest.mark.parametrize("status", ["pending", "reserved", "assigned", "nonsense"])
def test_an_assignment_status_that_cannot_be_set(shop, status):
    task = shop.task({})
    with refused(400, 20001):
        shop.context.tasks(task.sid).update(assignment_status=status)


def already(reservation, now: str, wanted: str) -> str:
    return f"Reservation {reservation.sid} is already in state [{now}] and cannot be updated to [{wanted}]"


def test_accepting_or_rejecting_a_rescinded_reservation_is_gone(shop):
    shop.worker("Bob")
    shop.context.task_queues(shop.everything.sid).update(max_reserved_workers=2)
    task = shop.task({})
    first, second = shop.reservations(task)
    first.update(reservation_status="accepted")
    for wanted in ("accepted", "rejected"):
        with refused(410, 20410, already(second, "rescinded", wanted)):
            second.update(reservation_status=wanted)
        with refused(410, 20410, already(second, "rescinded", wanted)):
            shop.context.workers(second.worker_sid).reservations(second.sid).update(reservation_status=wanted)


def test_answering_a_reservation_in_another_wrong_status(shop):
    task = shop.task({})
    reservation = shop.accept(task)
    for wanted in ("accepted", "rejected"):
        with refused(400, 20001, already(reservation, "accepted", wanted)):
            reservation.update(reservation_status=wanted)
    reservation.update(reservation_status="wrapping")
    with refused(400, 20001, already(reservation, "wrapping", "wrapping")):
        reservation.update(reservation_status="wrapping")
    reservation.update(reservation_status="completed")
    for wanted in ("accepted", "rejected", "wrapping", "completed"):
        with refused(400, 20001, already(reservation, "completed", wanted)):
            reservation.update(reservation_status=wanted)


def test_wrapping_or_completing_a_pending_reservation(shop):
    task = shop.task({})
    offer = shop.offer(task)
    for wanted in ("wrapping", "completed"):
        with refused(400, 20001, already(offer, "pending", wanted)):
            offer.update(reservation_status=wanted)


def test_answering_a_rejected_or_canceled_reservation(shop):
    task = shop.task({})
    rejected = shop.answer(task, "rejected", worker_activity_sid=shop.activities["Offline"])
    with refused(400, 20001, already(rejected, "rejected", "accepted")):
        rejected.update(reservation_status="accepted")
    shop.move(shop.ada, "Available")
    offer = shop.offer(task)
    shop.context.tasks(task.sid).update(assignment_status="canceled")
    with refused(400, 20001, already(offer, "canceled", "accepted")):
        offer.update(reservation_status="accepted")


INSTRUCTIONS = [
    ("call", 40114, {"call_from": "+15550100", "call_url": "http://127.0.0.1:9/"}),
    ("dequeue", 40135, {"dequeue_from": "+15550100"}),
    ("redirect", 40123, {"redirect_call_sid": "CA" + "0" * 32, "redirect_url": "http://127.0.0.1:9/"}),
    ("conference", 40136, {"from_": "+15550100"}),
]


@pytest.mark.parametrize("instruction, code, parameters", INSTRUCTIONS, ids=[row[0] for row in INSTRUCTIONS])
def test_an_instruction_on_a_reservation_that_is_not_pending(shop, instruction, code, parameters):
    task = shop.task({})
    reservation = shop.accept(task)
    text = (
        f"Unable to execute {instruction.capitalize()} instruction. "
        f"Reservation {reservation.sid} is not currently in a Pending state."
    )
    with refused(400, code, text):
        reservation.update(instruction=instruction, **parameters)


def test_conference_and_dequeue_on_a_task_without_a_call(shop):
    task = shop.task({})
    text = "The {} instruction can only be issued on a task that was created using the <Enqueue> TwiML verb."
    with refused(400, 40142, text.format("conference")):
        shop.offer(task).update(instruction="conference", from_="+15550100", to="client:ada")
    with refused(400, 40140, text.format("dequeue")):
        shop.offer(task).update(instruction="dequeue", dequeue_from="+15550100", dequeue_to="client:ada")
    assert shop.offer(task).reservation_status == "pending"


def test_wrapping_up_in_a_single_tasking_workspace(client):
    world = World(client, multi_task_enabled=False, template="FIFO")
    world.worker("Ada", activity="Idle")
    task = world.task({})
    world.accept(task)
    with refused(400, 20001, f"Cannot wrap up a task {task.sid} because workspace {world.sid} is not multi-tasking"):
        world.context.tasks(task.sid).update(assignment_status="wrapping")
    world.delete()


@pytest.mark.parametrize("final", ["completed", "canceled"])
def test_changing_the_channel_of_a_final_task(shop, final):
    task = assigned(shop) if final == "completed" else shop.task({})
    shop.context.tasks(task.sid).update(assignment_status=final)
    with refused(400, 20001, f"Cannot change the task channel of task {task.sid} because it is {final}"):
        shop.context.tasks(task.sid).update(task_channel="voice")


# 8.3 Deletions


def test_deleting_the_default_or_timeout_activity(shop):
    with refused(
        400,
        20001,
        f"Cannot delete activity {shop.activities['Offline']} because it is the default activity of workspace {shop.sid}",
    ):
        shop.context.activities(shop.activities["Offline"]).delete()
    lunch = shop.activity("Lunch", available=False)
    shop.context.update(timeout_activity_sid=lunch.sid)
    with refused(
        400, 20001, f"Cannot delete activity {lunch.sid} because it is the timeout activity of workspace {shop.sid}"
    ):
        lunch.delete()


def test_deleting_an_activity_in_use(shop):
    with refused(400, 20001, matching=f"^Cannot delete activity {shop.activities['Available']} because "):
        shop.context.activities(shop.activities["Available"]).delete()
    lunch = shop.activity("Lunch", available=False)
    queue = shop.queue("Named", assignment_activity_sid=lunch.sid)
    with refused(400, 20001, matching=f"^Cannot delete activity {lunch.sid} because "):
        lunch.delete()
    queue.delete()
    assert lunch.delete() is True


@pytest.mark.parametrize("name", ["default", "voice", "sms", "chat", "video"])
def test_deleting_a_built_in_channel(world, name):
    channel = world.context.task_channels(name).fetch()
    with refused(400, 20001, matching=f"^Cannot delete task channel {channel.sid} because "):
        channel.delete()


def test_deleting_a_channel_in_use(shop):
    fax = shop.context.task_channels.create(friendly_name="Fax", unique_name="fax")
    shop.move(shop.ada, "Unavailable")
    tasks = [shop.task({}, task_channel="fax") for _ in range(3)]
    with refused(400, 20001, f"Cannot delete task channel {fax.sid} because 3 tasks use it"):
        fax.delete()
    for task in tasks:
        shop.context.tasks(task.sid).update(assignment_status="canceled")
    assert fax.delete() is True
    assert shop.fetch(tasks[0]).task_channel_unique_name == "fax"


def test_deleting_a_queue_that_a_workflow_names(shop):
    with refused(
        400, 20001, f"Cannot delete task queue {shop.everything.sid} because workflow {shop.flow.sid} refers to it"
    ):
        shop.everything.delete()


def test_deleting_a_queue_in_which_tasks_wait(shop):
    shop.move(shop.ada, "Unavailable")
    queue = shop.queue("Direct")
    task = shop.task({}, routing_target=queue.sid)
    with refused(400, 20001, matching=f"^Cannot delete task queue {queue.sid} because "):
        queue.delete()
    shop.move(shop.ada, "Available")
    shop.accept(task)
    assert queue.delete() is True
    kept = shop.fetch(task)
    assert (kept.task_queue_sid, kept.task_queue_friendly_name) == (queue.sid, "Direct")


def test_deleting_a_queue_that_waiting_tasks_reach_through_an_older_configuration(shop):
    later = shop.queue("Later")
    flow = shop.workflow("Steps", {"filters": [{"expression": "1==1", "targets": [
        {"queue": shop.everything.sid, "timeout": 3600}, {"queue": later.sid}]}]})  # fmt: skip
    shop.move(shop.ada, "Unavailable")
    task = shop.task({}, workflow_sid=flow.sid)
    flow.update(configuration=json.dumps({"task_routing": {"default_filter": {"queue": shop.everything.sid}}}))
    with refused(400, 20001, matching=f"^Cannot delete task queue {later.sid} because "):
        later.delete()
    shop.context.tasks(task.sid).delete()
    assert later.delete() is True


def test_deleting_a_workflow_with_waiting_tasks(shop):
    shop.move(shop.ada, "Unavailable")
    tasks = [shop.task({}) for _ in range(4)]
    with refused(400, 20001, f"Cannot delete workflow {shop.flow.sid} because 4 tasks are pending or reserved"):
        shop.flow.delete()
    shop.move(shop.ada, "Available")
    shop.accept(tasks[0])
    for task in tasks[1:]:
        shop.context.tasks(task.sid).delete()
    assert shop.flow.delete() is True
    assert shop.fetch(tasks[0]).workflow_sid == shop.flow.sid


def test_deleting_anything_twice(shop):
    things = [
        shop.context.activities.create(friendly_name="Spare"),
        shop.context.task_channels.create(friendly_name="Spare", unique_name="spare"),
        shop.queue("Spare"),
        shop.workflow("Spare", {"default_filter": {"queue": shop.everything.sid}}),
        shop.worker("Spare", activity="Offline"),
        shop.task({}, workflow_sid=shop.flow.sid),
    ]
    for thing in things:
        assert thing.delete() is True
        with refused(404, 20404):
            thing.delete()


def test_the_tear_down_order_of_public_scripts(client):
    world = World(client)
    queue = world.queue("Q")
    workflow = world.workflow("W", {"default_filter": {"queue": queue.sid}})
    lunch = world.activity("Lunch", available=False)
    worker = world.worker("Ada")
    world.accept(world.task({}))
    world.task({})
    for task in world.context.tasks.list():
        task.delete()
    worker.update(activity_sid=world.activities["Offline"])
    for thing in (worker, workflow, queue, lunch):
        assert thing.delete() is True
    assert world.context.delete() is True


# 8.4 Duplicates


def test_duplicate_names(shop):
    suffix = f"already exists for workspace {shop.sid} for account {ACCOUNT_SID}"
    with refused(400, 20001, f"Queue named everything {suffix}"):
        shop.queue("everything")
    with refused(400, 20001, f"Worker named ADA {suffix}"):
        shop.worker("ADA")
    with refused(400, 20001, f"Workflow named fLOW {suffix}"):
        shop.workflow("fLOW", {"default_filter": {"queue": shop.everything.sid}})
    with refused(400, 20001, f"Activity named offline {suffix}"):
        shop.context.activities.create(friendly_name="offline")
    shop.context.task_channels.create(friendly_name="Fax", unique_name="fax")
    with refused(400, 20001, f"Task channel with unique name fax {suffix}"):
        shop.context.task_channels.create(friendly_name="Fax", unique_name="fax")


def test_duplicate_names_by_update(shop):
    other = shop.queue("Other")
    with refused(400, 20001, matching="already exists"):
        other.update(friendly_name="EVERYTHING")
    assert other.update(friendly_name="OTHER").friendly_name == "OTHER"
    flow = shop.workflow("Second", {"default_filter": {"queue": other.sid}})
    with refused(400, 20001, matching="already exists"):
        flow.update(friendly_name="Flow")
    with refused(400, 20001, matching="already exists"):
        shop.context.activities(shop.activities["Available"]).update(friendly_name="Offline")


# 8.5 Lists (paging: test_paging)


@pytest.mark.parametrize("ordering", [
    "DateCreated:asc,VirtualStartTime:asc", "Name:asc", "Priority:up", "Priority", "Priority:asc,Priority:desc", ":asc",
])  # fmt: skip
def test_an_ordering_of_tasks_that_is_none(shop, ordering):
    with refused(400, 20001):
        shop.context.tasks.list(ordering=ordering)


def test_an_ordering_of_workers_or_queues_that_is_none(shop):
    for resource in (shop.context.workers, shop.context.task_queues):
        for ordering in ("FriendlyName:asc", "DateUpdated:sideways", "DateUpdated:asc,DateUpdated:desc"):
            with refused(400, 20001):
                resource.list(ordering=ordering)


def test_an_interval_of_events_that_is_none(shop):
    now = datetime.now(UTC)
    with refused(400, 20001):
        shop.context.events.list(start_date=now, end_date=now - timedelta(minutes=1))
    for minutes in (0, -5, "soon"):
        with refused(400, 20001):
            shop.context.events.list(minutes=minutes)


def test_a_list_below_something_unknown(shop, client):
    for call in (
        client.taskrouter.v1.workspaces(unknown("WS")).workers.list,
        client.taskrouter.v1.workspaces(unknown("WS")).tasks.list,
        shop.context.workers(unknown("WK")).worker_channels.list,
        shop.context.workers(unknown("WK")).reservations.list,
        shop.context.tasks(unknown("WT")).reservations.list,
        shop.context.task_queues(unknown("WQ")).statistics().fetch,
        shop.context.workflows(unknown("WW")).real_time_statistics().fetch,
        shop.context.workers(unknown("WK")).statistics().fetch,
    ):
        with refused(404, 20404):
            call()


# Authentication


def test_wrong_credentials(server):
    for username, password in ((ACCOUNT_SID, "wrong"), ("AC" + "f" * 32, "wrong"), ("SK" + "f" * 32, "wrong")):
        with refused(401, 20003, "Authenticate"):
            connect(server.url, username, password).taskrouter.v1.workspaces.list(limit=1)
