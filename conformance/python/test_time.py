"""Timeouts, escalation, skips, order and choice under the virtual clock: scenarios of the routing reference, section 8.

Names of tests carry the scenario's number; times are seconds after its start.
"""

import json
from datetime import timedelta

import pytest
from support.errors import refused
from support.world import Office

NEW = ["task.created", "workflow.entered", "workflow.target-matched"]


def entering(queue: str) -> list[str]:
    return [*NEW, f"task-queue.entered {queue}"]


def moving(left: str, entered: str) -> list[str]:
    return ["workflow.target-matched", f"task-queue.moved {left}", f"task-queue.entered {entered}"]


AGAIN = "workflow.target-matched"


# Creation, acceptance, completion


def test_s01_a_new_task_goes_to_the_worker_idle_longest(office):
    task = office.create("support")
    assert office.happened() == [*entering("QSup"), "reservation.created Ann"]
    assert office.fetch(task).assignment_status == "reserved"


def test_s02_a_completed_task_is_removed_after_five_minutes(office):
    task = office.create("support")
    office.at(5)
    office.accept(task)
    office.happened()
    office.at(60)
    office.complete(task)
    assert office.happened() == ["task.completed", "reservation.completed Ann", "task.updated"]
    office.at(359.999)
    assert office.fetch(task).assignment_status == "completed"
    office.at(360)
    assert office.happened() == ["task.system-deleted"]
    with refused(404, 20404):
        office.fetch(task)


def test_s03_a_worker_who_becomes_available_takes_a_waiting_task(office):
    office.on_break(office.ann, office.bob)
    task = office.create("support")
    assert office.happened() == entering("QSup")
    office.at(10)
    office.move(office.bob, "Available")
    assert office.happened() == ["worker.activity.update Bob Break->Available", "reservation.created Bob"]
    assert office.offered_to(task) == "Bob"


def test_s04_steps_escalate_and_the_workflow_ends(office):
    office.on_break(office.ann, office.bob, office.cid)
    task = office.create("support")
    office.happened()
    office.at(29.999)
    assert office.happened() == []
    office.at(30)
    assert office.happened() == ["task-queue.timeout QSup", *moving("QSup", "QAll")]
    waiting = office.fetch(task)
    assert (waiting.priority, waiting.task_queue_friendly_name) == (10, "QAll")
    office.at(90)
    assert office.happened() == ["task-queue.timeout QAll", "workflow.timeout", "task.canceled"]
    ended = office.fetch(task)
    assert (ended.assignment_status, ended.reason) == ("canceled", "Task canceled on Workflow timeout")


def test_s05_a_task_lives_no_longer_than_its_timeout(office):
    office.on_break(office.ann, office.bob, office.cid)
    task = office.create("other")
    assert office.happened() == entering("QAll")
    office.at(86_399.999)
    assert office.fetch(task).assignment_status == "pending"
    office.at(86_400)
    assert office.happened() == ["task.canceled"]
    assert office.fetch(task).reason == "Task TTL Exceeded"


def test_s06_a_task_that_nothing_matches_is_canceled_at_once(office):
    office.route(filters=[{"expression": "type == 'sales'", "targets": [{"queue": "sales"}]}], default=False)
    task = office.create("other")
    assert (task.assignment_status, task.reason) == ("canceled", "Task canceled on Workflow timeout")
    assert office.happened() == ["task.created", "workflow.entered", "workflow.timeout", "task.canceled"]


def test_s07_the_first_matching_filter_is_taken(office):
    office.route(filters=[
        {"expression": "vip == true", "targets": [{"queue": "sales"}]},
        {"expression": "type == 'support'", "targets": [{"queue": "support"}]},
    ])  # fmt: skip
    task = office.create("support", vip=True)
    assert task.task_queue_friendly_name == "QSal"
    assert office.offered_to(task) == "Ann"


def test_s08_canceling_a_reserved_task(office):
    task = office.create("support")
    offer = office.offer(task)
    office.happened()
    office.at(5)
    office.context.tasks(task.sid).update(assignment_status="canceled", reason="gone")
    assert office.happened() == ["task.canceled", "reservation.canceled Ann", "task.updated"]
    with refused(
        400, 20001, f"Reservation {offer.sid} is already in state [canceled] and cannot be updated to [accepted]"
    ):
        offer.update(reservation_status="accepted")
    assert office.offered_to(office.create("support")) == "Bob", "Ann was reserved most recently, yet she is free"


def test_s11_a_wrapping_task_uses_capacity(office):
    office.on_break(office.bob, office.cid)
    first = office.create("support")
    office.at(5)
    office.accept(first)
    office.at(6)
    second = office.create("x")
    office.happened()
    office.at(30)
    office.context.tasks(first.sid).update(assignment_status="wrapping")
    assert office.happened() == ["task.wrapup", "reservation.wrapup Ann", "task.updated"]
    office.at(40)
    office.complete(first)
    assert office.happened() == [
        "task.completed", "reservation.completed Ann", "task.updated", "reservation.created Ann",
    ]  # fmt: skip
    assert office.offered_to(second) == "Ann"


def test_s12_completing_through_the_reservation(office):
    task = office.create("support")
    office.at(5)
    reservation = office.accept(task)
    office.happened()
    office.at(30)
    reservation.update(reservation_status="completed")
    assert office.happened() == ["task.completed", "reservation.completed Ann"]
    assert office.fetch(task).reason == "All reservations were completed"


# Rejection, timeout, limits


def test_s13_a_rejecting_worker_goes_to_the_back(office):
    task = office.create("support")
    office.happened()
    office.at(5)
    office.answer(task, "rejected")
    assert office.happened() == ["reservation.rejected Ann", AGAIN, "reservation.created Bob"]
    office.at(6)
    office.answer(task, "rejected")
    assert office.happened() == ["reservation.rejected Bob", AGAIN, "reservation.created Ann"]


def test_s15_a_rejection_with_an_activity_moves_the_worker(office):
    office.on_break(office.bob, office.cid)
    task = office.create("support")
    office.happened()
    office.at(5)
    office.answer(task, "rejected", worker_activity_sid=office.activities["Break"])
    assert office.happened() == ["reservation.rejected Ann", "worker.activity.update Ann Available->Break", AGAIN]
    office.at(30)
    assert office.happened() == ["task-queue.timeout QSup", *moving("QSup", "QAll")]


def test_s16_a_reservation_that_times_out_moves_the_worker_to_the_timeout_activity(office):
    office.context.workflows(office.flow.sid).update(task_reservation_timeout=20)
    office.happened()
    task = office.create("support")
    office.happened()
    office.at(20)
    assert office.happened() == [
        "reservation.timeout Ann", "worker.activity.update Ann Available->Offline", AGAIN, "reservation.created Bob",
    ]  # fmt: skip
    assert [r.reservation_status for r in office.reservations(task)] == ["timeout", "pending"]


def test_s17_deadlines_that_passed_while_reserved_are_passed_over(office):
    office.on_break(office.bob)
    task = office.create("support")
    office.happened()
    office.at(120)
    assert office.happened() == [
        "reservation.timeout Ann", "worker.activity.update Ann Available->Offline",
        "task-queue.timeout QSup", "workflow.timeout", "task.canceled",
    ]  # fmt: skip
    assert office.fetch(task).reason == "Task canceled on Workflow timeout"


def test_s19_two_timers_at_one_instant(office):
    office.context.workflows(office.flow.sid).update(task_reservation_timeout=30)
    office.on_break(office.bob)
    office.create("support")
    office.happened()
    office.at(30)
    assert office.happened() == [
        "reservation.timeout Ann", "worker.activity.update Ann Available->Offline",
        "task-queue.timeout QSup", *moving("QSup", "QAll"), "reservation.created Cid",
    ]  # fmt: skip


def test_s20_the_lifetime_ends_a_reserved_task(office):
    task = office.create("support", timeout=50)
    office.happened()
    office.at(50)
    assert office.happened() == ["task.canceled", "reservation.canceled Ann"]
    assert office.fetch(task).reason == "Task TTL Exceeded"
    assert office.context.workers(office.ann.sid).fetch().activity_name == "Available"


def test_s22_an_assigned_task_is_deleted_after_24_hours(office):
    task = office.create("support")
    office.at(5)
    office.accept(task)
    office.happened()
    office.at(86_405)
    assert office.happened() == ["task.system-deleted", "reservation.completed Ann"]
    with refused(404, 20404):
        office.fetch(task)


def test_s23_deleting_a_task_ends_its_reservation(office):
    first = office.create("support")
    office.accept(first)
    office.happened()
    first.delete()
    assert office.happened() == ["task.deleted", "reservation.completed Ann"]
    second = office.create("support")
    office.happened()
    second.delete()
    assert office.happened() == ["task.deleted", "reservation.canceled Bob"]


def test_s24_a_worker_already_unavailable_stays_where_it_is(office):
    office.on_break(office.bob)
    office.create("support")
    office.move(office.ann, "Break")
    office.happened()
    office.at(120)
    assert office.happened() == [
        "reservation.timeout Ann",
        "task-queue.timeout QSup",
        "workflow.timeout",
        "task.canceled",
    ]


# Order of Tasks


def served(office, tasks: dict) -> list[str]:
    """Lets the one available Worker take and finish everything, and tells in which order."""
    names = {task.sid: name for name, task in tasks.items()}
    order = []
    while len(order) < len(names):
        (offer,) = office.context.workers(office.ann.sid).reservations.list(reservation_status="pending")
        order.append(names[offer.task_sid])
        offer.update(reservation_status="accepted")
        office.context.tasks(offer.task_sid).update(assignment_status="completed", reason="served")
    return order


def test_s25_priority_then_age(office):
    office.on_break(office.ann, office.bob, office.cid)
    tasks = {}
    for second, (name, priority) in enumerate((("T1", 0), ("T2", 5), ("T3", 5))):
        office.at(second)
        tasks[name] = office.create("x", priority=priority)
    office.at(10)
    office.move(office.ann, "Available")
    assert served(office, tasks) == ["T2", "T3", "T1"]


def test_s26_priority_across_queues(office):
    office.on_break(office.ann, office.bob, office.cid)
    first = office.create("support")
    office.at(5)
    second = office.create("sales", priority=1)
    office.at(10)
    office.move(office.ann, "Available")
    assert office.offered_to(second) == "Ann"
    assert office.reservations(first) == []


def test_s27_a_task_without_a_worker_blocks_nothing(office):
    office.on_break(office.ann, office.bob, office.cid)
    first = office.create("support")
    office.at(1)
    second = office.create("sales")
    office.at(5)
    office.move(office.cid, "Available")
    assert office.offered_to(second) == "Cid"
    assert office.reservations(first) == []


def test_s28_a_lifo_queue_serves_the_newest_and_ignores_priority(office):
    office.context.task_queues(office.all_queue.sid).update(task_order="LIFO")
    office.on_break(office.ann, office.bob, office.cid)
    tasks = {}
    for second, (name, priority) in enumerate((("T1", 9), ("T2", 0), ("T3", 0))):
        office.at(second)
        tasks[name] = office.create("x", priority=priority)
    office.at(10)
    office.move(office.ann, "Available")
    assert served(office, tasks) == ["T3", "T2", "T1"]


@pytest.mark.parametrize("order, expected", [("FIFO", ["T1", "T3", "T4", "T2"]), ("LIFO", ["T4", "T2", "T1", "T3"])])
def test_s29_the_workspace_says_which_kind_of_queue_comes_first(office, order, expected):
    office.context.update(prioritize_queue_order=order)
    office.context.task_queues(office.sales_queue.sid).update(task_order="LIFO")
    office.route(first_steps=[{"queue": "support"}])
    office.on_break(office.ann, office.bob, office.cid)
    tasks = {}
    for second, (name, kind) in enumerate((("T1", "support"), ("T2", "sales"), ("T3", "support"), ("T4", "sales"))):
        office.at(second)
        tasks[name] = office.create(kind)
    office.at(10)
    office.move(office.ann, "Available")
    assert served(office, tasks) == expected


def test_s30_the_virtual_start_time_decides_age(office):
    office.on_break(office.ann, office.bob, office.cid)
    first = office.create("x")
    office.at(10)
    second = office.create("x", virtual_start_time=office.started.replace(microsecond=0) - timedelta(seconds=60))
    office.at(20)
    office.move(office.ann, "Available")
    assert office.offered_to(second) == "Ann"
    assert office.reservations(first) == []


def test_s31_a_priority_posted_later_counts(office):
    office.on_break(office.ann, office.bob, office.cid)
    office.create("x")
    office.at(1)
    second = office.create("x")
    office.happened()
    office.at(5)
    office.context.tasks(second.sid).update(priority=1)
    assert office.happened() == ["task.updated"]
    office.at(10)
    office.move(office.ann, "Available")
    assert office.offered_to(second) == "Ann"


def test_s32_the_priority_of_a_step_wins(office):
    office.on_break(office.ann, office.bob, office.cid)
    task = office.create("support")
    office.at(30)
    office.happened()
    before = office.version("tasks", task.sid)
    assert office.context.tasks(task.sid).update(priority=99).priority == 10
    assert office.version("tasks", task.sid) == before
    assert office.happened() == []


# Choice of Worker


def test_s33_workers_take_turns(office):
    tasks = []
    for second, expected in enumerate(("Ann", "Bob", "Cid")):
        office.at(second)
        tasks.append(office.create("x"))
        assert office.offered_to(tasks[-1]) == expected
    for task in reversed(tasks):
        office.accept(task)
    office.at(50)
    for task in reversed(tasks):
        office.complete(task)
    office.at(60)
    assert office.offered_to(office.create("x")) == "Ann"


def test_s34_a_change_of_activity_does_not_reset_idleness(office):
    office.on_break(office.cid)
    first = office.create("x")
    office.accept(first)
    office.at(5)
    office.complete(first)
    office.at(10)
    office.move(office.bob, "Break")
    office.at(500)
    office.move(office.bob, "Available")
    office.at(600)
    assert office.offered_to(office.create("x")) == "Bob"


@pytest.mark.parametrize("optimized, expected", [(True, "Bob"), (False, "Ann")])
def test_s35_channel_optimized_routing_prefers_the_idle_one_on_the_channel(office, optimized, expected):
    for worker in (office.ann, office.bob):
        office.context.workers(worker.sid).worker_channels("chat").update(capacity=2)
    office.context.task_channels("chat").update(channel_optimized_routing=optimized)
    office.on_break(office.bob, office.cid)
    busy = office.create("x", task_channel="chat")
    office.accept(busy)
    office.at(40)
    office.move(office.ann, "Break")
    office.move(office.bob, "Available")
    done = office.create("x", task_channel="chat")
    office.accept(done)
    office.complete(done)
    office.move(office.ann, "Available")
    office.at(50)
    assert office.offered_to(office.create("x", task_channel="chat")) == expected


@pytest.mark.parametrize(
    "order_by, expected", [("worker.lvl DESC", ["Bob", "Ann", "Cid"]), ("worker.lvl", ["Ann", "Bob", "Cid"])]
)
def test_s37_order_by_sorts_and_those_without_the_attribute_come_last(office, order_by, expected):
    office.route(default={"queue": "all", "order_by": order_by})
    assert [office.offered_to(office.create("x")) for _ in range(3)] == expected


def test_s38_order_by_is_ignored_when_a_value_is_no_integer(office):
    office.context.workers(office.ann.sid).update(attributes='{"skills":["support"],"lvl":"high"}')
    office.route(first_steps=[{"queue": "support", "order_by": "worker.lvl DESC"}])
    assert office.offered_to(office.create("support")) == "Ann"


def test_s40_a_step_compares_worker_and_task(office):
    office.route(first_steps=[
        {"queue": "support", "expression": "worker.lvl >= task.need", "timeout": 30}, {"queue": "all"},
    ])  # fmt: skip
    assert office.offered_to(office.create("support", need=7)) == "Bob"
    hard = office.create("support", need=9)
    assert office.reservations(hard) == []
    office.at(30)
    assert office.offered_to(hard) == "Ann"


def test_s41_a_known_worker_is_waited_for_then_anyone(office):
    office.route(first_steps=[{"queue": "support", "known_worker_sid": "task.agent", "timeout": 10}, {}])
    assert office.offered_to(office.create("support", agent=office.bob.sid)) == "Bob"
    office.at(1)
    second = office.create("support", agent=office.bob.sid)
    assert office.reservations(second) == []
    office.happened()
    office.at(11)
    assert office.happened() == ["task-queue.timeout QSup", "workflow.target-matched", "reservation.created Ann"]


def test_s42_a_known_worker_who_is_none_is_waited_for_too(office):
    office.route(first_steps=[{"queue": "support", "known_worker_sid": "task.agent", "timeout": 10}, {}])
    for agent in (None, office.cid.sid, "WK" + "0" * 32):
        task = office.create("support", agent=agent)
        assert office.reservations(task) == []
        office.clock.advance(10)
        office.accept(task)
        office.complete(task)


# Capacity and channels


def test_s43_capacity_bounds_reservations_and_age_decides(office):
    office.on_break(office.bob, office.cid)
    channel = office.context.workers(office.ann.sid).worker_channels("chat")
    channel.update(capacity=2)
    tasks = []
    for second in range(3):
        office.at(second)
        tasks.append(office.create("x", task_channel="chat"))
    assert office.offered_to(tasks[0]) == office.offered_to(tasks[1]) == "Ann"
    assert office.reservations(tasks[2]) == []
    state = channel.fetch()
    assert (state.available_capacity_percentage, state.assigned_tasks) == (0, 0)
    office.at(5)
    office.accept(tasks[0])
    assert channel.fetch().assigned_tasks == 1
    office.happened()
    office.at(6)
    office.answer(tasks[1], "rejected")
    assert office.happened() == ["reservation.rejected Ann", AGAIN, "reservation.created Ann"]
    assert office.offered_to(tasks[1]) == "Ann"


def test_s44_channels_are_independent(office):
    office.on_break(office.bob, office.cid)
    office.accept(office.create("x", task_channel="voice"))
    office.at(1)
    assert office.offered_to(office.create("x", task_channel="chat")) == "Ann"


def test_s47_lowering_capacity_cancels_nothing(office):
    office.on_break(office.bob, office.cid)
    channel = office.context.workers(office.ann.sid).worker_channels("chat")
    channel.update(capacity=3)
    tasks = [office.create("x", task_channel="chat") for _ in range(4)]
    for task in tasks[:3]:
        office.accept(task)
    channel.update(capacity=1)
    for task in tasks[:2]:
        office.complete(task)
        assert office.reservations(tasks[3]) == []
    office.complete(tasks[2])
    assert office.offered_to(tasks[3]) == "Ann"


def test_s49_leaving_with_rejection_moves_everything_to_another_worker(office):
    for worker in (office.ann, office.bob):
        office.context.workers(worker.sid).worker_channels("chat").update(capacity=3)
    office.on_break(office.bob, office.cid)
    tasks = [office.create("x", task_channel="chat") for _ in range(3)]
    office.move(office.bob, "Available")
    office.happened()
    office.move(office.ann, "Break", reject_pending_reservations=True)
    assert office.happened() == [
        "worker.activity.update Ann Available->Break", *["reservation.rejected Ann"] * 3, *[AGAIN] * 3,
        *["reservation.created Bob"] * 3,
    ]  # fmt: skip
    assert [office.offered_to(task) for task in tasks] == ["Bob"] * 3


def test_s50_moving_to_another_available_activity_keeps_the_offer(office):
    task = office.create("support")
    office.happened()
    office.move(office.ann, "Focus")
    assert office.happened() == ["worker.activity.update Ann Available->Focus"]
    assert office.accept(task).reservation_status == "accepted"


# Several reservations at once, single-tasking


def test_s51_the_first_acceptance_rescinds_the_others(office):
    office.context.task_queues(office.support_queue.sid).update(max_reserved_workers=5)
    task = office.create("support")
    assert office.happened()[-2:] == ["reservation.created Ann", "reservation.created Bob"]
    of_ann, of_bob = office.reservations(task)
    office.at(3)
    of_bob.update(reservation_status="accepted")
    assert office.happened() == ["reservation.accepted Bob", "reservation.rescinded Ann"]
    with refused(
        410, 20410, f"Reservation {of_ann.sid} is already in state [rescinded] and cannot be updated to [accepted]"
    ):
        of_ann.update(reservation_status="accepted")


def test_s52_nobody_is_added_while_an_offer_is_open(office):
    office.context.task_queues(office.support_queue.sid).update(max_reserved_workers=5)
    task = office.create("support")
    office.happened()
    office.at(3)
    office.reservations(task)[0].update(reservation_status="rejected")
    assert office.happened() == ["reservation.rejected Ann"]
    assert office.fetch(task).assignment_status == "reserved"
    office.at(120)
    assert office.happened() == [
        "reservation.timeout Bob", "worker.activity.update Bob Available->Offline",
        "task-queue.timeout QSup", "workflow.timeout", "task.canceled",
    ]  # fmt: skip


@pytest.fixture
def single(virtual_client, clock):
    """The same people and queues where everybody does one thing at a time; queues use Reserved and Busy."""
    office = Office(virtual_client, clock, multi_task_enabled=False)
    yield office
    office.delete()


def test_s53_single_tasking_moves_activities(single):
    task = single.create("support")
    assert single.happened() == [
        *entering("QSup"),
        "reservation.created Ann",
        "worker.activity.update Ann Available->Reserved",
    ]
    single.at(5)
    single.accept(task)
    assert single.happened() == ["reservation.accepted Ann", "worker.activity.update Ann Reserved->Busy"]
    single.at(60)
    single.complete(task)
    assert single.happened() == ["task.completed", "reservation.completed Ann", "task.updated"]
    assert single.context.workers(single.ann.sid).fetch().activity_name == "Busy"
    assert single.offered_to(single.create("support")) == "Bob"
    single.at(80)
    single.move(single.ann, "Available")
    assert single.offered_to(single.create("support")) == "Ann"


def test_s54_single_tasking_returns_the_rescinded_to_where_they_were(single):
    single.context.task_queues(single.support_queue.sid).update(max_reserved_workers=2)
    task = single.create("support")
    single.happened()
    single.reservations(task)[1].update(reservation_status="accepted")
    assert single.happened() == [
        "reservation.accepted Bob",
        "reservation.rescinded Ann",
        "worker.activity.update Bob Reserved->Busy",
        "worker.activity.update Ann Reserved->Available",
    ]


def test_s55_single_tasking_returns_the_rejecting_to_where_they_were(single):
    task = single.create("support")
    single.happened()
    single.at(5)
    single.answer(task, "rejected")
    assert single.happened() == [
        "reservation.rejected Ann",
        "worker.activity.update Ann Reserved->Available",
        AGAIN,
        "reservation.created Bob",
        "worker.activity.update Bob Available->Reserved",
    ]


# Skips, filters, re-evaluation


def test_s56_a_step_is_skipped_when_nobody_fits(office):
    office.route(first_steps=[{"queue": "support", "expression": "worker.lvl > 9", "skip_if": "1==1"}, {}])
    office.create("support")
    assert office.happened() == [*entering("QSup"), "workflow.target-matched", "reservation.created Ann"]


def test_s57_workers_available_looks_at_activities_only(office):
    office.route(
        first_steps=[
            {"queue": "support", "skip_if": "workers.available == 0", "timeout": 30},
            {"queue": "all", "timeout": 60},
        ]
    )
    for task in (office.create("support"), office.create("support")):
        office.accept(task)
    waiting = office.create("support")
    assert waiting.task_queue_friendly_name == "QSup"
    office.context.tasks(waiting.sid).delete()
    office.move(office.ann, "Break")
    office.move(office.bob, "Break")
    assert office.fetch(office.create("support")).task_queue_friendly_name == "QAll"


def test_s58_skipping_out_of_the_last_filter_leads_to_the_default(office):
    office.route(filters=[{"expression": "1==1", "targets": [{"queue": "support", "skip_if": "1==1"}]}])
    office.on_break(office.ann, office.bob)
    office.create("support")
    assert office.happened() == [*entering("QSup"), *moving("QSup", "QAll"), "reservation.created Cid"]


def test_s58_without_a_default_the_workflow_is_skipped(office):
    office.route(filters=[{"expression": "1==1", "targets": [{"queue": "support", "skip_if": "1==1"}]}], default=False)
    office.on_break(office.ann, office.bob)
    task = office.create("support")
    assert office.happened() == [*entering("QSup"), "workflow.skipped", "task.canceled"]
    assert office.fetch(task).reason == "Task canceled on Workflow skip"


def test_s59_after_a_timeout_the_next_matching_filter_never_the_default(office):
    office.route(
        filters=[
            {"expression": "1==1", "targets": [{"queue": "support", "timeout": 10}]},
            {"expression": "type == 'support'", "targets": [{"queue": "all"}]},
        ],
        default={"queue": "sales"},
    )
    office.on_break(office.ann, office.bob)
    office.create("support")
    office.happened()
    office.at(10)
    assert office.happened() == ["task-queue.timeout QSup", *moving("QSup", "QAll"), "reservation.created Cid"]
    office.create("x")
    office.happened()
    office.at(20)
    assert office.happened() == ["task-queue.timeout QSup", "workflow.timeout", "task.canceled"]


def test_s61_new_attributes_send_a_waiting_task_elsewhere_with_full_timeouts(office):
    office.on_break(office.ann, office.bob, office.cid)
    task = office.create("sales")
    office.happened()
    office.at(20)
    office.context.tasks(task.sid).update(attributes='{"type":"support"}')
    assert office.happened() == ["task.updated", *moving("QSal", "QSup")]
    office.at(49.999)
    assert office.happened() == []
    office.at(50)
    assert office.happened() == ["task-queue.timeout QSup", *moving("QSup", "QAll")]
    office.at(110)
    assert office.happened()[-1] == "task.canceled"


def test_s62_harmless_new_attributes_do_not_reset_escalation(office):
    office.on_break(office.ann, office.bob, office.cid)
    task = office.create("support")
    office.happened()
    office.at(20)
    office.context.tasks(task.sid).update(attributes='{"type":"support","note":1}')
    assert office.happened() == ["task.updated"]
    office.at(30)
    assert office.happened() == ["task-queue.timeout QSup", *moving("QSup", "QAll")]


def test_s63_new_attributes_of_a_reserved_task_count_when_it_returns(office):
    task = office.create("support")
    office.happened()
    office.at(3)
    office.context.tasks(task.sid).update(attributes='{"type":"sales"}')
    assert office.happened() == ["task.updated"]
    office.at(5)
    office.answer(task, "rejected")
    assert office.happened() == ["reservation.rejected Ann", *moving("QSup", "QSal"), "reservation.created Cid"]


@pytest.mark.parametrize("re_evaluate, expected", [("false", "QSup"), ("true", "QSal")])
def test_s64_a_new_configuration_reaches_waiting_tasks_only_when_asked(office, re_evaluate, expected):
    office.on_break(office.ann, office.bob, office.cid)
    waiting = office.create("support")
    office.happened()
    office.at(10)
    configuration = json.dumps({"task_routing": office.configuration(first_steps=[{"queue": "sales"}])})
    office.context.workflows(office.flow.sid).update(configuration=configuration, re_evaluate_tasks=re_evaluate)
    moved = moving("QSup", "QSal") if re_evaluate == "true" else []
    assert office.happened() == ["workflow.updated", *moved]
    assert office.fetch(waiting).task_queue_friendly_name == expected
    assert office.create("support").task_queue_friendly_name == "QSal"


# Direct routing


def test_s66_a_task_routed_to_a_worker_ends_with_its_rejection(office):
    office.accept(office.create("support"))
    office.move(office.ann, "Offline")
    office.happened()
    task = office.create("support", routing_target=office.ann.sid, task_queue_sid=office.support_queue.sid)
    assert task.routing_target == office.ann.sid
    assert office.happened() == ["task.created", "task-queue.entered QSup", "reservation.created Ann"]
    office.at(5)
    office.answer(task, "rejected")
    assert office.happened() == ["reservation.rejected Ann", "task.canceled"]
    assert office.fetch(task).reason == f"RoutingTarget not available for Reservation acceptance: {office.ann.sid}"


def test_s67_a_task_routed_to_a_busy_worker_may_wait(office):
    office.on_break(office.bob, office.cid)
    busy = office.create("support")
    office.accept(busy)
    waiting = office.create("x", routing_target=office.ann.sid, ignore_capacity="false", timeout=60)
    assert office.fetch(waiting).assignment_status == "pending"
    office.at(20)
    office.complete(busy)
    assert office.offered_to(waiting) == "Ann"


def test_s67_a_task_routed_to_a_worker_who_never_gets_free(office):
    office.accept(office.create("support"))
    task = office.create("x", routing_target=office.ann.sid, ignore_capacity="false", timeout=60)
    office.happened()
    office.at(60)
    assert office.happened() == ["reservation.failed", "task.canceled"]
    assert office.fetch(task).reason == "RoutingTarget SLA for Reservation creation was not met"


def test_s68_a_task_routed_to_a_queue_waits_without_steps(office):
    office.on_break(office.ann, office.bob, office.cid)
    task = office.create("support", routing_target=office.sales_queue.sid)
    assert office.happened() == ["task.created", "task-queue.entered QSal"]
    office.at(500)
    assert office.happened() == []
    office.move(office.cid, "Available")
    assert office.offered_to(task) == "Cid"


def test_s77_deleting_a_worker_frees_its_offer(office):
    task = office.create("support")
    with refused(400, 20001):
        office.ann.delete()
    office.move(office.ann, "Break")
    office.happened()
    office.ann.delete()
    assert office.happened() == ["reservation.canceled Ann", "worker.deleted Ann", AGAIN, "reservation.created Bob"]
    assert [r.reservation_status for r in office.reservations(task)] == ["canceled", "pending"]


# The clock itself


def test_the_clock_stands_still_until_told(clock):
    before = clock.read()
    assert before["mode"] == "virtual"
    assert clock.read()["now"] == before["now"]
    after = clock.advance(1.5)
    assert (clock.now() - type(clock.now()).fromisoformat(before["now"])).total_seconds() == 1.5
    assert after["now"] == clock.read()["now"]


def test_the_clock_tells_the_next_deadline(office):
    office.on_break(office.ann, office.bob, office.cid)
    office.create("support")
    deadline = type(office.started).fromisoformat(office.clock.read()["next_deadline"])
    assert (deadline - office.started).total_seconds() <= 30


@pytest.mark.parametrize("form", [{}, {"Advance": "-1"}, {"Advance": "soon"}, {"Until": "yesterday"}, {"Until": "2001-01-01T00:00:00Z"},
                                  {"Advance": "1", "Until": "2098-01-01T00:00:00Z"}, {"Advance": "31622401"}])  # fmt: skip
def test_a_move_of_the_clock_that_makes_no_sense_is_refused(clock, virtual_wire, form):
    before = clock.read()["now"]
    answer = virtual_wire("POST", "/pointsman/v1/Clock", data=form)
    assert (answer.status_code, answer.json()["code"]) == (400, 20001)
    assert clock.read()["now"] == before


def test_the_systems_clock_cannot_be_moved(wire):
    assert wire("GET", "/pointsman/v1/Clock").json()["mode"] == "system"
    answer = wire("POST", "/pointsman/v1/Clock", data={"Advance": "1"})
    assert (answer.status_code, answer.json()["code"]) == (409, 20409)
    assert answer.json()["message"] == "The clock runs with the system; start the server with --clock virtual"
