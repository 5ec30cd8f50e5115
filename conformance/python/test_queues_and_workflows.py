"""TaskChannels, TaskQueues and Workflows. Reference: REST contract, sections 6.6 to 6.8."""

import json

import pytest
from support.errors import refused

# TaskChannels


def test_a_task_channel_is_addressed_by_sid_and_by_unique_name(world):
    fax = world.context.task_channels.create(friendly_name="Fax", unique_name="fax")
    assert fax.channel_optimized_routing is False
    assert world.context.task_channels("fax").fetch().sid == fax.sid
    changed = world.context.task_channels("fax").update(friendly_name="Telefax", channel_optimized_routing=True)
    assert (changed.friendly_name, changed.channel_optimized_routing) == ("Telefax", True)
    assert changed.url.endswith("/TaskChannels/" + fax.sid)
    assert world.context.task_channels("fax").delete() is True
    with refused(404, 20404):
        world.context.task_channels(fax.sid).fetch()


def test_unique_names_compare_with_case(world):
    for name in ("fax", "Fax", "my-channel", "x" * 64):
        world.context.task_channels.create(friendly_name="Same", unique_name=name)
    with refused(404, 20404):
        world.context.task_channels("FAX").fetch()


@pytest.mark.parametrize("bad", ["a b", "a/b", "a\tb", "x" * 65, "TC" + "0" * 32])
def test_a_unique_name_that_cannot_be_addressed_is_refused(world, bad):
    with refused(400, 20001):
        world.context.task_channels.create(friendly_name="Refused", unique_name=bad)


def test_a_workspace_has_at_most_15_task_channels(world):
    for number in range(10):
        world.context.task_channels.create(friendly_name="More", unique_name=f"more{number}")
    with refused(400, 20001, matching=f"^Cannot create .*channel because workspace {world.sid} already has 15 "):
        world.context.task_channels.create(friendly_name="More", unique_name="more10")


# TaskQueues


def test_a_task_queue_needs_only_a_name(world):
    queue = world.context.task_queues.create(friendly_name="Q")
    assert (queue.target_workers, queue.max_reserved_workers, queue.task_order) == ("1==1", 1, "FIFO")
    assert queue.reservation_activity_sid is queue.reservation_activity_name is None
    assert queue.assignment_activity_sid is queue.assignment_activity_name is None
    assert "reservation_activity" not in queue.links
    assert "assignment_activity" not in queue.links


def test_every_property_of_a_task_queue_can_change(world):
    lunch = world.activity("Lunch", available=False)
    queue = world.queue("Q")
    changed = world.context.task_queues(queue.sid).update(
        friendly_name="R", target_workers="a == 1", reservation_activity_sid=lunch.sid,
        assignment_activity_sid=lunch.sid, max_reserved_workers=50, task_order="lifo",
    )  # fmt: skip
    assert (changed.friendly_name, changed.target_workers) == ("R", "a == 1")
    assert (changed.max_reserved_workers, changed.task_order) == (50, "LIFO")
    assert changed.reservation_activity_name == changed.assignment_activity_name == "Lunch"
    assert changed.links["reservation_activity"].endswith(lunch.sid)
    cleared = world.context.task_queues(queue.sid).update(reservation_activity_sid="", assignment_activity_sid="")
    assert cleared.reservation_activity_sid is cleared.assignment_activity_sid is None


@pytest.mark.parametrize("text", ["", "  "])
def test_an_empty_target_means_nobody_and_shows_null(world, text):
    world.worker("Ada")
    queue = world.context.task_queues.create(friendly_name="Nobody", target_workers=text)
    assert queue.target_workers is None
    assert world.context.workers.list(task_queue_sid=queue.sid) == []


def test_a_new_target_binds_workers_at_once(world):
    world.worker("Ada", {"skills": ["fr"]})
    queue = world.queue("French", "skills HAS 'es'")
    task = world.task({}, routing_target=queue.sid)
    assert world.reservations(task) == []
    before = len(world.events())
    world.context.task_queues(queue.sid).update(target_workers="skills HAS 'fr'")
    assert world.offered_to(task) == "Ada"
    assert world.event_types()[before:] == ["task-queue.expression.updated", "reservation.created"]


def test_task_queues_are_listed_by_each_filter(world):
    ada = world.worker("Ada", {"skills": ["fr"], "level": 3})
    for name, expression in (
        ("All", "1==1"),
        ("French", "skills HAS 'fr'"),
        ("Spanish", "skills HAS 'es'"),
        ("Senior", "level > 5"),
    ):
        world.queue(name, expression)

    def found(**filters):
        return [queue.friendly_name for queue in world.context.task_queues.list(**filters)]

    assert found() == ["All", "French", "Spanish", "Senior"]
    assert found(friendly_name="french") == ["French"]
    assert found(friendly_name="Fren") == []
    assert found(worker_sid=ada.sid) == ["All", "French"]
    assert found(worker_sid="WK" + "0" * 32) == []
    assert found(evaluate_worker_attributes='{"skills":["es"],"level":9}') == ["All", "Spanish", "Senior"]
    assert found(evaluate_worker_attributes="level == 3") == ["All", "French"]


def test_task_queues_can_be_ordered_by_update(office):
    for queue in (office.sales_queue, office.support_queue):
        office.clock.advance(2)
        office.context.task_queues(queue.sid).update(max_reserved_workers=2)

    def found(ordering):
        return [queue.friendly_name for queue in office.context.task_queues.list(ordering=ordering)]

    assert found("DateUpdated:asc") == ["QAll", "QSal", "QSup"]
    assert found("DateUpdated:desc") == ["QSup", "QSal", "QAll"]


def test_queue_and_workflow_names_may_have_255_characters(world):
    queue = world.queue("q" * 255)
    workflow = world.workflow("w" * 255, {"default_filter": {"queue": queue.sid}})
    assert (len(queue.friendly_name), len(workflow.friendly_name)) == (255, 255)
    with refused(400, 20002):
        world.queue("q" * 256)
    with refused(400, 20002):
        world.workflow("w" * 256, {"default_filter": {"queue": queue.sid}})


# Workflows


def test_a_configuration_is_returned_as_posted(world):
    queue = world.queue("Q")
    text = '{ "task_routing" : {"filters":[], \n"default_filter":{"queue":"%s","unknown":1}} , "note":"ü" }' % queue.sid
    workflow = world.context.workflows.create(friendly_name="W", configuration=text)
    assert workflow.configuration == text
    assert workflow.document_content_type is None
    assert (workflow.task_reservation_timeout, workflow.assignment_callback_url) == (120, None)
    assert workflow.fallback_assignment_callback_url is None


def test_a_configuration_without_its_wrapper_is_read_as_its_content(world):
    queue = world.queue("Q")
    workflow = world.context.workflows.create(
        friendly_name="W", configuration=json.dumps({"default_filter": {"queue": queue.sid}})
    )
    assert world.task({}, workflow_sid=workflow.sid).task_queue_sid == queue.sid


def test_numbers_in_a_configuration_may_be_texts(world):
    queue = world.queue("Q")
    workflow = world.workflow("W", {"filters": [
        {"friendly_name": "f", "expression": "1==1", "targets": [{"queue": queue.sid, "priority": "7", "timeout": "30"}]}]})  # fmt: skip
    assert world.task({}, workflow_sid=workflow.sid).priority == 7


def test_every_property_of_a_workflow_can_change(world):
    queue = world.queue("Q")
    workflow = world.workflow("W", {"default_filter": {"queue": queue.sid}})
    changed = world.context.workflows(workflow.sid).update(
        friendly_name="V", assignment_callback_url="http://127.0.0.1:9/a", fallback_assignment_callback_url="http://127.0.0.1:9/b",
        task_reservation_timeout=86400, configuration="",
    )  # fmt: skip
    assert (changed.friendly_name, changed.task_reservation_timeout) == ("V", 86400)
    assert changed.configuration == workflow.configuration
    assert changed.assignment_callback_url == "http://127.0.0.1:9/a"
    assert changed.fallback_assignment_callback_url == "http://127.0.0.1:9/b"
    cleared = world.context.workflows(workflow.sid).update(
        assignment_callback_url="", fallback_assignment_callback_url=""
    )
    assert cleared.assignment_callback_url is cleared.fallback_assignment_callback_url is None


@pytest.mark.parametrize("seconds", [0, -1, 86401, "soon"])
def test_a_reservation_timeout_outside_1_to_86400_is_refused(world, seconds):
    queue = world.queue("Q")
    with refused(400, 20001):
        world.workflow("W", {"default_filter": {"queue": queue.sid}}, task_reservation_timeout=seconds)


QUEUE = "<the queue>"
TARGET = {"queue": QUEUE}


def one(**parts) -> dict:
    return {"filters": [{"expression": "1==1", "targets": [TARGET], **parts}]}


REFUSED_CONFIGURATIONS = {
    "no JSON": "{",
    "no object": "[]",
    "neither filters nor default": {"task_routing": {}},
    "filters no array": {"task_routing": {"filters": {}}},
    "no expression": {"task_routing": {"filters": [{"targets": [TARGET]}]}},
    "no targets": {"task_routing": {"filters": [{"expression": "1==1"}]}},
    "empty targets": {"task_routing": one(targets=[])},
    "first target without queue": {"task_routing": one(targets=[{"timeout": 10}])},
    "default without queue": {"task_routing": {"default_filter": {}}},
    "unknown queue": {"task_routing": one(targets=[{"queue": "WQ" + "0" * 32}])},
    "unknown default queue": {"task_routing": {"default_filter": {"queue": "WQ" + "0" * 32}}},
    "bad filter expression": {"task_routing": one(expression="type ==")},
    "bad target expression": {"task_routing": one(targets=[{"queue": QUEUE, "expression": "worker.x =="}])},
    "bad skip_if": {"task_routing": one(targets=[{"queue": QUEUE, "skip_if": "("}])},
    "bad order_by": {"task_routing": one(targets=[{"queue": QUEUE, "order_by": "level SIDEWAYS"}])},
    "priority no integer": {"task_routing": one(targets=[{"queue": QUEUE, "priority": 1.5}])},
    "priority with fraction part": {"task_routing": one(targets=[{"queue": QUEUE, "priority": 10.0}])},
    "priority negative": {"task_routing": one(targets=[{"queue": QUEUE, "priority": -1}])},
    "priority boolean": {"task_routing": one(targets=[{"queue": QUEUE, "priority": True}])},
    "timeout zero": {"task_routing": one(targets=[{"queue": QUEUE, "timeout": 0}])},
    "timeout negative": {"task_routing": one(targets=[{"queue": QUEUE, "timeout": "-5"}])},
    "two known workers": {"task_routing": one(targets=[
        {"queue": QUEUE, "known_worker_sid": "task.a", "known_worker_friendly_name": "task.b"}])},
    "known worker as template": {"task_routing": one(targets=[{"queue": QUEUE, "known_worker_sid": "{{a}}"}])},
}  # fmt: skip


@pytest.mark.parametrize("configuration", REFUSED_CONFIGURATIONS.values(), ids=REFUSED_CONFIGURATIONS.keys())
def test_a_configuration_that_cannot_work_is_refused(world, configuration):
    queue = world.queue("Q")
    text = configuration if isinstance(configuration, str) else json.dumps(configuration).replace(QUEUE, queue.sid)
    with refused(400, 20001, matching="^Invalid Workflow configuration"):
        world.context.workflows.create(friendly_name="Refused", configuration=text)
    assert world.context.workflows.list() == []
    good = world.workflow("Good", {"default_filter": {"queue": queue.sid}})
    with refused(400, 20001, matching="^Invalid Workflow configuration"):
        world.context.workflows(good.sid).update(configuration=text)
    assert world.context.workflows(good.sid).fetch().configuration == good.configuration


def test_the_refusal_names_the_path_of_the_offending_member(world):
    queue = world.queue("Q")
    missing = "WQ" + "0" * 32
    filters = [one()["filters"][0], one()["filters"][0], {"expression": "1==1", "targets": [{"queue": missing}]}]
    text = json.dumps({"task_routing": {"filters": filters}}).replace(QUEUE, queue.sid)
    with refused(400, 20001, f"Invalid Workflow configuration: filters[2].targets[0].queue {missing} does not exist"):
        world.context.workflows.create(friendly_name="Refused", configuration=text)


def test_a_configuration_has_at_most_1038576_bytes(world):
    queue = world.queue("Q")
    frame = json.dumps({"task_routing": {"default_filter": {"queue": queue.sid}}, "note": ""})
    longest = frame.replace('"note": ""', '"note": "' + "n" * (1_038_576 - len(frame)) + '"')
    assert len(longest) == 1_038_576
    assert world.context.workflows.create(friendly_name="Long", configuration=longest).configuration == longest
    with refused(400, 20001, "Configuration must be at most 1038576 bytes"):
        world.context.workflows.create(friendly_name="Too long", configuration=longest.replace("nnn", "nnnn", 1))


def test_workflows_are_found_by_name(world):
    queue = world.queue("Q")
    for name in ("Inbound", "Inbound night"):
        world.workflow(name, {"default_filter": {"queue": queue.sid}})
    assert [w.friendly_name for w in world.context.workflows.list(friendly_name="INBOUND")] == ["Inbound"]


def test_the_events_of_configuration(world):
    queue = world.queue("Q")
    workflow = world.workflow("W", {"default_filter": {"queue": queue.sid}})
    world.context.workflows(workflow.sid).update(task_reservation_timeout=30)
    world.context.workflows(workflow.sid).update(task_reservation_timeout=30)
    world.context.task_queues(queue.sid).update(max_reserved_workers=3)
    world.context.workflows(workflow.sid).delete()
    world.context.task_queues(queue.sid).delete()
    fax = world.context.task_channels.create(friendly_name="Fax", unique_name="fax")
    fax.update(friendly_name="Telefax")
    fax.delete()
    lunch = world.context.activities.create(friendly_name="Lunch")
    lunch.update(friendly_name="Dinner")
    lunch.delete()
    world.context.update(friendly_name="Renamed")
    assert world.event_types() == [
        "workspace.created",
        "task-queue.created",
        "workflow.created",
        "workflow.updated",
        "workflow.deleted",
        "task-queue.deleted",
        "task-channel.created",
        "task-channel.updated",
        "task-channel.deleted",
        "activity.created",
        "activity.updated",
        "activity.deleted",
        "workspace.updated",
    ]
