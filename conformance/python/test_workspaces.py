"""Workspaces and Activities. Reference: REST contract, sections 6.1 and 6.2."""

import json

import pytest
from support.errors import refused
from support.server import ACCOUNT_SID
from support.world import World, unique


def test_a_new_workspace_has_three_activities_and_five_channels(world):
    activities = world.context.activities.list()
    assert [(a.friendly_name, a.available) for a in activities] == [
        ("Offline", False),
        ("Unavailable", False),
        ("Available", True),
    ]
    channels = world.context.task_channels.list()
    assert [(c.unique_name, c.friendly_name) for c in channels] == [
        ("default", "Default"),
        ("voice", "Voice"),
        ("sms", "SMS"),
        ("chat", "Programmable Chat"),
        ("video", "Video"),
    ]
    assert world.context.task_queues.list() == []
    assert world.context.workflows.list() == []
    workspace = world.context.fetch()
    assert workspace.default_activity_name == workspace.timeout_activity_name == "Offline"
    assert workspace.default_activity_sid == workspace.timeout_activity_sid == activities[0].sid
    assert workspace.account_sid == ACCOUNT_SID


def test_the_defaults_of_a_workspace(world):
    workspace = world.context.fetch()
    assert workspace.event_callback_url == ""
    assert workspace.events_filter is None
    assert workspace.multi_task_enabled is True
    assert workspace.prioritize_queue_order == "FIFO"


def test_the_fifo_template_makes_a_queue_and_a_workflow(client):
    world = World(client, template="FIFO")
    (queue,) = world.context.task_queues.list()
    assert (queue.friendly_name, queue.target_workers) == ("Sample Queue", "1==1")
    (workflow,) = world.context.workflows.list()
    assert (workflow.friendly_name, workflow.task_reservation_timeout) == ("Default Fifo Workflow", 120)
    assert workflow.assignment_callback_url is None
    routing = json.loads(workflow.configuration)["task_routing"]
    assert routing["filters"][0]["expression"] == "1==1"
    assert routing["filters"][0]["targets"][0]["queue"] == routing["default_filter"]["queue"] == queue.sid
    assert world.event_types() == ["workspace.created"]
    task = world.task({})
    assert (task.task_queue_sid, task.workflow_sid) == (queue.sid, workflow.sid)
    world.delete()


def test_the_event_of_the_creation_names_the_client(world):
    (created,) = world.events(event_type="workspace.created")
    assert created.source_ip_address == "127.0.0.1"


def test_a_single_tasking_workspace(client):
    world = World(client, multi_task_enabled=False, template="FIFO")
    assert world.context.fetch().multi_task_enabled is False
    assert [(a.friendly_name, a.available) for a in world.context.activities.list()] == [
        ("Offline", False),
        ("Idle", True),
        ("Reserved", False),
        ("Busy", False),
    ]
    (queue,) = world.context.task_queues.list()
    assert (queue.reservation_activity_name, queue.assignment_activity_name) == ("Reserved", "Busy")
    assert set(queue.links) >= {"reservation_activity", "assignment_activity"}
    assert world.context.update(multi_task_enabled=True).multi_task_enabled is True
    world.delete()


def test_an_unknown_template_is_refused(client):
    with refused(400, 20001):
        client.taskrouter.v1.workspaces.create(friendly_name="Refused", template="LIFO")


def test_enumerations_are_read_without_regard_to_case(client):
    workspace = client.taskrouter.v1.workspaces.create(
        friendly_name="Case", template="fifo", prioritize_queue_order="lifo"
    )
    assert workspace.prioritize_queue_order == "LIFO"
    workspace.delete()


def test_event_callback_and_filter_can_be_set_and_cleared(world):
    changed = world.context.update(
        event_callback_url="http://127.0.0.1:9/events#rc=2", events_filter="task.created, task.updated"
    )
    assert changed.event_callback_url == "http://127.0.0.1:9/events#rc=2"
    assert changed.events_filter == "task.created, task.updated"
    cleared = world.context.update(event_callback_url="", events_filter="")
    assert cleared.event_callback_url == ""
    assert cleared.events_filter == ""


@pytest.mark.parametrize("bad", ["nonsense", "ftp://host/", "http://", "/events", "http//host"])
def test_a_callback_url_that_is_no_url_is_refused(world, bad):
    with refused(400, 20001, f"Invalid value '{bad}' for EventCallbackUrl: expected an absolute http or https URL"):
        world.context.update(event_callback_url=bad)


def test_default_and_timeout_activity_can_change(world):
    lunch = world.activity("Lunch", available=False)
    changed = world.context.update(default_activity_sid=world.activities["Available"], timeout_activity_sid=lunch.sid)
    assert (changed.default_activity_name, changed.timeout_activity_name) == ("Available", "Lunch")
    assert world.context.workers.create(friendly_name="New").activity_name == "Available"
    world.context.activities(lunch.sid).update(friendly_name="Dinner")
    assert world.context.fetch().timeout_activity_name == "Dinner"
    for parameter in ("default_activity_sid", "timeout_activity_sid"):
        with refused(400, 20001):
            world.context.update(**{parameter: "WA" + "0" * 32})


def test_an_empty_update_changes_nothing(world):
    before = world.context.fetch()
    after = world.context.update()
    assert after.date_updated == before.date_updated
    assert world.event_types() == ["workspace.created"]


def test_workspaces_are_found_by_name_without_regard_to_case(client):
    name = unique("Found")
    workspace = client.taskrouter.v1.workspaces.create(friendly_name=name)
    assert [w.sid for w in client.taskrouter.v1.workspaces.list(friendly_name=name.upper())] == [workspace.sid]
    assert client.taskrouter.v1.workspaces.list(friendly_name=name[:-1]) == []
    workspace.delete()


def test_a_name_has_1_to_64_characters(client):
    workspaces = client.taskrouter.v1.workspaces
    longest = workspaces.create(friendly_name="w" * 64)
    longest.delete()
    for bad in ("", "  ", "w" * 65):
        with refused(400, 20002, "FriendlyName must be between 1 and 64 characters"):
            workspaces.create(friendly_name=bad)


def test_deleting_a_workspace_removes_everything_in_it(client):
    world = World(client, template="FIFO")
    worker = world.worker("Ada")
    task = world.task({})
    world.accept(task)
    assert world.context.delete() is True
    for gone in (
        lambda: world.context.fetch(),
        lambda: world.context.delete(),
        lambda: world.context.workers(worker.sid).fetch(),
        lambda: world.context.tasks(task.sid).fetch(),
        lambda: world.context.workers.list(),
        lambda: world.context.events.list(),
    ):
        with refused(404, 20404):
            gone()


def test_an_activity_is_made_renamed_filtered_and_deleted(world):
    lunch = world.context.activities.create(friendly_name="Lunch")
    assert lunch.available is False
    assert world.context.activities.create(friendly_name="Focus", available=True).available is True
    assert world.context.activities(lunch.sid).update(friendly_name="Dinner").friendly_name == "Dinner"
    assert [a.friendly_name for a in world.context.activities.list(friendly_name="DINNER")] == ["Dinner"]
    assert [a.friendly_name for a in world.context.activities.list(friendly_name="Din")] == []
    assert [a.friendly_name for a in world.context.activities.list(available="true")] == ["Available", "Focus"]
    assert [a.friendly_name for a in world.context.activities.list(available="yes")] == ["Available", "Focus"]
    assert [a.friendly_name for a in world.context.activities.list(available="0")] == [
        "Offline",
        "Unavailable",
        "Dinner",
    ]
    assert world.context.activities(lunch.sid).delete() is True
    with refused(404, 20404):
        world.context.activities(lunch.sid).fetch()


@pytest.mark.parametrize(
    "value, expected", [("true", True), ("TRUE", True), ("1", True), ("Yes", True), ("false", False), ("on", False)]
)
def test_booleans_are_read_by_one_rule(world, wire, value, expected):
    answer = wire("POST", f"/v1/Workspaces/{world.sid}/Activities", data={"FriendlyName": "Read", "Available": value})
    assert answer.status_code == 201
    assert answer.json()["available"] is expected


def test_availability_of_an_activity_is_immutable_and_posting_it_no_error(world, wire):
    lunch = world.activity("Lunch", available=False)
    answer = wire("POST", f"/v1/Workspaces/{world.sid}/Activities/{lunch.sid}", data={"Available": "true"})
    assert answer.status_code == 200
    assert answer.json()["available"] is False


def test_a_worker_shows_a_renamed_activity(world):
    ada = world.worker("Ada")
    world.context.activities(world.activities["Available"]).update(friendly_name="Ready")
    assert world.context.workers(ada.sid).fetch().activity_name == "Ready"


def test_a_workspace_has_at_most_100_activities(world):
    for number in range(97):
        world.context.activities.create(friendly_name=f"Activity {number}")
    with refused(400, 20001, f"Cannot create activity because workspace {world.sid} already has 100 activities"):
        world.context.activities.create(friendly_name="One too many")
