"""Tasks, Reservations and Events as resources. Reference: REST contract, sections 6.9 to 6.11."""

import json
from datetime import UTC, datetime, timedelta

import pytest
from support.client import last
from support.errors import refused


@pytest.fixture
def shop(world):
    """Two queues and two workflows; Ada is available, Bob is not."""
    world.support = world.queue("Support", "skills HAS 'support'")
    world.sales = world.queue("Sales", "skills HAS 'sales'")
    world.flow = world.workflow("Flow", {
        "filters": [
            {"filter_friendly_name": "vip", "expression": "vip == true", "targets": [{"queue": world.support.sid, "priority": 10}]},
            {"filter_friendly_name": "sales", "expression": "type == 'sales'", "targets": [{"queue": world.sales.sid}]},
        ],
        "default_filter": {"queue": world.support.sid},
    })  # fmt: skip
    world.other_flow = world.workflow("Other", {"default_filter": {"queue": world.sales.sid}})
    world.ada = world.worker("Ada", {"skills": ["support"]})
    world.bob = world.worker("Bob", {"skills": ["sales"]}, activity="Offline")
    return world


def create(shop, attributes=None, **parameters):
    parameters.setdefault("workflow_sid", shop.flow.sid)
    return shop.task(attributes, **parameters)


def test_the_answer_to_a_creation_is_already_routed(shop):
    task = create(shop, {"vip": True}, task_channel="voice")
    assert task.assignment_status == "pending"
    assert task.priority == 10
    assert (task.workflow_sid, task.workflow_friendly_name) == (shop.flow.sid, "Flow")
    assert (task.task_queue_sid, task.task_queue_friendly_name) == (shop.support.sid, "Support")
    assert task.task_channel_unique_name == "voice"
    assert task.task_queue_entered_date == task.date_created == task.date_updated == task.virtual_start_time
    assert (task.age, task.timeout, task.reason, task.routing_target) == (0, 86400, None, None)
    assert task.ignore_capacity is False
    assert task.addons == "{}"
    assert set(task.links) == {"task_queue", "workflow", "workspace", "reservations"}


def test_a_task_needs_nothing_when_there_is_one_workflow(world):
    queue = world.queue("Q")
    workflow = world.workflow("W", {"default_filter": {"queue": queue.sid}})
    task = world.context.tasks.create()
    assert (task.workflow_sid, task.attributes, task.task_channel_unique_name) == (workflow.sid, "{}", "default")
    assert world.context.tasks.create(attributes="").attributes == "{}"


def test_without_exactly_one_workflow_its_sid_is_required(shop, world):
    with refused(400, 20001, "WorkflowSid field is required"):
        shop.context.tasks.create()


def test_no_workflow_at_all(world):
    with refused(400, 20001, "WorkflowSid field is required"):
        world.context.tasks.create()


@pytest.mark.parametrize("parameters", [
    {"timeout": 0}, {"timeout": -1}, {"timeout": 1_209_601}, {"timeout": "1h"},
    {"priority": -1}, {"priority": 2_147_483_648}, {"priority": "high"}, {"priority": "1.0"},
    {"task_channel": "telegraph"}, {"task_channel": "TC" + "0" * 32},
    {"workflow_sid": "WW123"}, {"workflow_sid": "WW" + "0" * 32},
    {"routing_target": "WK" + "0" * 32}, {"routing_target": "WQ" + "0" * 32}, {"routing_target": "WT" + "0" * 32},
    {"ignore_capacity": "true"}, {"attributes": "[]"}, {"attributes": "x"},
])  # fmt: skip
def test_parameters_out_of_range_are_refused(shop, parameters):
    with refused(400, 20001):
        shop.context.tasks.create(**{"workflow_sid": shop.flow.sid, **parameters})
    assert shop.context.tasks.list() == []


@pytest.mark.parametrize(
    "parameters", [{"timeout": 1}, {"timeout": 1_209_600}, {"priority": 0}, {"priority": 2_147_483_647}]
)
def test_parameters_at_their_limits_are_taken(shop, parameters):
    task = create(shop, **parameters)
    for name, value in parameters.items():
        assert getattr(task, name) == value


def test_the_virtual_start_time_may_not_be_ahead_nor_before_1900(shop):
    now = datetime.now(UTC).replace(microsecond=0)
    past = now - timedelta(hours=3)
    assert create(shop, virtual_start_time=past).virtual_start_time == past
    with refused(400, 20001, "VirtualStartTime cannot be in the future"):
        create(shop, virtual_start_time=now + timedelta(hours=1))
    with refused(400, 20001, "VirtualStartTime cannot be before 1900"):
        create(shop, virtual_start_time="1899-12-31T23:59:59Z")
    with refused(400, 20001):
        create(shop, virtual_start_time="yesterday")


def test_a_malformed_routing_target_is_refused_in_the_words_of_the_service(shop):
    with refused(400, 20001, f"Value 'nobody' provided for WorkflowSid as RoutingTarget has an invalid format. "
                             f"WorkspaceSid: {shop.sid}, AccountSid: {shop.workspace.account_sid}"):  # fmt: skip
        shop.context.tasks.create(routing_target="nobody")


def test_a_task_routed_to_a_worker_is_reserved_whatever_its_state(shop):
    task = shop.task({}, workflow_sid=shop.flow.sid, routing_target=shop.bob.sid, task_queue_sid=shop.support.sid)
    assert (task.routing_target, task.ignore_capacity) == (shop.bob.sid, True)
    assert task.task_queue_sid == shop.support.sid
    assert shop.offered_to(task) == "Bob"
    refusing = shop.task({}, workflow_sid=shop.flow.sid, routing_target=shop.bob.sid, ignore_capacity="false")
    assert refusing.ignore_capacity is False
    assert shop.reservations(refusing) == []


def test_a_task_routed_to_a_queue_has_no_workflow_steps(shop):
    task = shop.task({"vip": True}, routing_target=shop.sales.sid)
    assert (task.task_queue_sid, task.priority, task.workflow_sid) == (shop.sales.sid, 0, None)
    assert task.routing_target == shop.sales.sid
    assert "workflow" not in task.links
    assert shop.event_types(task_sid=task.sid) == ["task.created", "task-queue.entered"]


def test_a_workflow_as_routing_target_is_the_same_as_its_sid(shop):
    task = shop.task({}, routing_target=shop.other_flow.sid)
    assert (task.workflow_sid, task.routing_target) == (shop.other_flow.sid, None)
    with refused(400, 20001):
        shop.task({}, routing_target=shop.other_flow.sid, workflow_sid=shop.flow.sid)


def test_tasks_are_listed_by_each_filter(shop):
    vip = create(shop, {"vip": True, "language": "en", "rating": 5.5})
    sale = create(shop, {"type": "sales", "language": "fr"}, priority=3)
    other = create(shop, {"language": "de"}, workflow_sid=shop.other_flow.sid)
    direct = shop.task({}, routing_target=shop.sales.sid)
    shop.accept(vip)
    label = {vip.sid: "vip", sale.sid: "sale", other.sid: "other", direct.sid: "direct"}

    def found(**filters):
        return [label[task.sid] for task in shop.context.tasks.list(**filters)]

    assert found() == ["vip", "sale", "other", "direct"]
    assert found(priority=3) == ["sale"]
    assert found(assignment_status="assigned") == ["vip"]
    assert found(assignment_status=["assigned", "pending"]) == ["vip", "sale", "other", "direct"]
    assert found(assignment_status="pending,assigned") == ["vip", "sale", "other", "direct"]
    assert found(assignment_status="canceled") == []
    assert found(workflow_sid=shop.flow.sid) == ["vip", "sale"]
    assert found(workflow_name="oTHER") == ["other"]
    assert found(task_queue_sid=shop.sales.sid) == ["sale", "other", "direct"]
    assert found(task_queue_name="SUPPORT") == ["vip"]
    assert found(evaluate_task_attributes="language == 'en' AND rating >= 5.1") == ["vip"]
    assert found(evaluate_task_attributes='(language == "en" OR language == "fr")') == ["vip", "sale"]
    assert found(routing_target=shop.sales.sid) == ["direct"]
    assert found(has_addons=True) == []
    assert found(has_addons=False) == ["vip", "sale", "other", "direct"]
    assert found(ordering="Priority:desc,DateCreated:asc") == ["vip", "sale", "other", "direct"]
    assert found(ordering="DateCreated:desc") == ["direct", "other", "sale", "vip"]
    assert found(workflow_name="Nowhere") == found(task_queue_sid="WQ" + "0" * 32) == []


def test_an_update_replaces_attributes_and_routes_a_pending_task_again(shop):
    task = create(shop, {"type": "sales"})
    changed = shop.context.tasks(task.sid).update(attributes='{"type":"sales","vip":true}')
    assert (changed.task_queue_friendly_name, changed.priority) == ("Support", 10)


def test_a_priority_set_by_the_step_wins(shop):
    shop.move(shop.ada, "Offline")
    task = create(shop, {"vip": True})
    before = shop.version("tasks", task.sid)
    assert shop.context.tasks(task.sid).update(priority=99).priority == 10
    assert shop.version("tasks", task.sid) == before


def test_the_channel_of_a_task_can_change(shop):
    task = create(shop, task_channel="voice")
    assert shop.context.tasks(task.sid).update(task_channel="chat").task_channel_unique_name == "chat"
    channels = shop.context.workers(shop.ada.sid).worker_channels
    assert channels("voice").fetch().available_capacity_percentage == 100
    assert channels("chat").fetch().available_capacity_percentage == 0


def test_a_reason_is_kept_until_another_comes(shop):
    task = create(shop)
    shop.accept(task)
    update = shop.context.tasks(task.sid).update
    assert update(reason="first").reason == "first"
    assert update(assignment_status="wrapping").reason == "first"
    assert update(assignment_status="completed", reason="last").reason == "last"


def test_status_and_attributes_may_come_in_one_request(shop):
    task = create(shop, {"a": 1})
    shop.accept(task)
    done = shop.context.tasks(task.sid).update(assignment_status="completed", reason="done", attributes='{"a":2}')
    assert (done.assignment_status, done.attributes) == ("completed", '{"a":2}')


def test_deleting_a_task_works_in_any_status_and_frees_the_worker(shop):
    task = create(shop)
    shop.accept(task)
    assert shop.context.tasks(task.sid).delete() is True
    with refused(404, 20404):
        shop.context.tasks(task.sid).fetch()
    with refused(404, 20404):
        shop.context.tasks(task.sid).delete()
    with refused(404, 20404):
        shop.context.tasks(task.sid).reservations.list()
    assert shop.context.workers(shop.ada.sid).worker_channels("default").fetch().available_capacity_percentage == 100
    assert shop.event_types(task_sid=task.sid)[-2:] == ["task.deleted", "reservation.completed"]


# Reservations


def test_a_reservation_has_two_addresses_and_shows_the_one_used(shop):
    task = create(shop)
    offer = shop.offer(task)
    by_task = shop.context.tasks(task.sid).reservations(offer.sid).fetch()
    by_worker = shop.context.workers(shop.ada.sid).reservations(offer.sid).fetch()
    assert f"/Tasks/{task.sid}/Reservations/{offer.sid}" in by_task.url
    assert f"/Workers/{shop.ada.sid}/Reservations/{offer.sid}" in by_worker.url
    for reservation in (by_task, by_worker):
        assert (reservation.task_sid, reservation.worker_sid, reservation.worker_name) == (
            task.sid,
            shop.ada.sid,
            "Ada",
        )
    with refused(404, 20404):
        shop.context.workers(shop.bob.sid).reservations(offer.sid).fetch()


def test_a_reservation_shows_the_current_name_of_its_worker(shop):
    task = create(shop)
    shop.context.workers(shop.ada.sid).update(friendly_name="Augusta")
    assert shop.offer(task).worker_name == "Augusta"


def test_reservations_are_listed_by_status_and_worker(shop):
    task = create(shop)
    shop.answer(task, "rejected")
    reservations = shop.context.tasks(task.sid).reservations
    assert [r.reservation_status for r in reservations.list()] == ["rejected", "pending"]
    assert [r.reservation_status for r in reservations.list(reservation_status="rejected")] == ["rejected"]
    assert len(reservations.list(worker_sid=shop.ada.sid)) == 2
    assert reservations.list(worker_sid=shop.bob.sid) == []
    of_ada = shop.context.workers(shop.ada.sid).reservations
    assert [r.reservation_status for r in of_ada.list()] == ["rejected", "pending"]
    assert [r.reservation_status for r in of_ada.list(reservation_status="pending")] == ["pending"]


def test_a_rejection_can_move_the_worker(shop):
    task = create(shop)
    shop.answer(task, "rejected", worker_activity_sid=shop.activities["Unavailable"])
    assert shop.context.workers(shop.ada.sid).fetch().activity_name == "Unavailable"
    assert shop.fetch(task).assignment_status == "pending"


def test_the_instruction_accept_and_reject(shop):
    task = create(shop)
    assert shop.offer(task).update(instruction="Reject").reservation_status == "rejected"
    assert shop.offer(task).update(instruction="accept", reservation_status="rejected").reservation_status == "accepted"
    assert shop.fetch(task).assignment_status == "assigned"


# Events


def test_an_event_tells_what_happened(shop):
    task = create(shop, {"vip": True})
    (event,) = shop.context.events.list(event_type="reservation.created")
    offer = shop.offer(task)
    assert event.resource_type == "reservation"
    assert event.resource_sid == offer.sid
    assert event.resource_url == offer.url
    assert event.actor_type == "workspace"
    assert event.actor_sid == shop.sid
    assert event.description == f"Reservation {offer.sid} created"
    assert event.event_date == datetime.fromtimestamp(event.event_date_ms // 1000, UTC)
    data = event.event_data
    assert data["task_sid"] == task.sid
    assert data["task_attributes"] == task.attributes
    assert data["task_assignment_status"] == "reserved"
    assert data["task_priority"] == "10"
    assert data["task_queue_name"] == "Support"
    assert data["worker_name"] == "Ada"
    assert data["workspace_name"] == shop.workspace.friendly_name
    assert "event_type" not in data
    assert shop.context.events(event.sid).fetch().event_data == data


def test_events_are_found_by_everything_they_name(shop):
    task = create(shop)
    other = create(shop, {"type": "sales"}, task_channel="voice")
    offer = shop.offer(task)

    def found(**filters):
        return shop.event_types(**filters)

    routed = ["task.created", "workflow.entered", "workflow.target-matched", "task-queue.entered"]
    assert found(task_sid=task.sid) == [*routed, "reservation.created"]
    assert found(task_sid=other.sid) == routed
    assert found(reservation_sid=offer.sid) == ["reservation.created"]
    assert found(worker_sid=shop.ada.sid) == ["worker.created", "reservation.created"]
    assert found(workflow_sid=shop.other_flow.sid) == ["workflow.created"]
    assert found(task_queue_sid=shop.sales.sid, task_sid=other.sid) == routed
    assert found(task_channel="voice") == routed
    assert found(event_type="task.created") == ["task.created"] * 2
    one = shop.context.events.list(event_type="task.created")[0]
    assert [event.sid for event in shop.context.events.list(sid=one.sid)] == [one.sid]
    assert found(task_channel="telegraph") == found(sid="EV" + "0" * 32) == found(event_type="nothing") == []


def test_events_are_listed_for_the_last_quarter_of_an_hour_by_default(office):
    old = office.task({"type": "support"}, workflow_sid=office.flow.sid)
    office.clock.advance(14 * 60)
    assert office.context.events.list(task_sid=old.sid, event_type="task.created") != []
    office.clock.advance(60.001)
    assert office.context.events.list(task_sid=old.sid, event_type="task.created") == []
    assert office.context.events.list(task_sid=old.sid, event_type="task.created", minutes=16) != []
    start = old.date_created - timedelta(seconds=1)
    end = old.date_created + timedelta(seconds=1)
    assert office.context.events.list(task_sid=old.sid, event_type="task.created", start_date=start, end_date=end) != []
    assert office.context.events.list(task_sid=old.sid, event_type="task.created", start_date=end) == []


def test_an_unknown_event_is_404(shop):
    with refused(404, 20404):
        shop.context.events("EV" + "0" * 32).fetch()


def test_attributes_in_an_event_are_those_of_its_moment(shop):
    shop.move(shop.ada, "Offline")
    task = create(shop, {"n": 1})
    shop.context.tasks(task.sid).update(attributes='{"n":2}')
    kinds = {
        event.event_type: json.loads(event.event_data["task_attributes"]) for event in shop.events(task_sid=task.sid)
    }
    assert kinds["task.created"] == {"n": 1}
    assert kinds["task.updated"] == {"n": 2}


def test_a_list_of_tasks_shows_attributes(shop):
    create(shop, {"n": 1})
    shop.context.tasks.list()
    assert last(shop.client).json["tasks"][0]["attributes"] == '{"n": 1}'
