"""The numbers of the statistics endpoints after a short, exactly timed day. Reference: statistics, sections 3 to 8."""

from datetime import timedelta

import pytest
from support.errors import refused


@pytest.fixture
def day(office):
    """One Task accepted after 10 s and completed, one canceled after 20 s, one rejected and waiting again."""
    office.route(first_steps=[{"queue": "support"}], second_steps=[{"queue": "sales"}])
    office.on_break(office.bob, office.cid)
    office.at(0)
    office.first = office.create("support")
    office.at(10)
    office.accept(office.first)
    office.second = office.create("sales", priority=5)
    office.at(30)
    office.context.tasks(office.second.sid).update(assignment_status="canceled", reason="gone")
    office.complete(office.first)
    office.third = office.create("support", task_channel="voice")
    office.at(40)
    office.answer(office.third, "rejected", worker_activity_sid=office.activities["Break"])
    office.at(50)
    return office


def test_cumulative_counts_of_the_workspace(day):
    figures = day.context.cumulative_statistics().fetch(minutes=10, split_by_wait_time="5,15")
    assert (figures.tasks_created, figures.tasks_completed, figures.tasks_canceled) == (3, 1, 1)
    assert (figures.tasks_deleted, figures.tasks_moved, figures.tasks_timed_out_in_workflow) == (0, 0, 0)
    assert (figures.reservations_created, figures.reservations_accepted, figures.reservations_rejected) == (2, 1, 1)
    assert (figures.reservations_timed_out, figures.reservations_canceled, figures.reservations_rescinded) == (0, 0, 0)
    assert figures.avg_task_acceptance_time == 10
    assert figures.wait_duration_until_accepted == {"avg": 10, "min": 10, "max": 10, "total": 10}
    assert figures.wait_duration_until_canceled == {"avg": 20, "min": 20, "max": 20, "total": 20}
    assert figures.split_by_wait_time == {
        "5": {
            "above": {"tasks_canceled": 1, "reservations_accepted": 1},
            "below": {"tasks_canceled": 0, "reservations_accepted": 0},
        },
        "15": {
            "above": {"tasks_canceled": 1, "reservations_accepted": 0},
            "below": {"tasks_canceled": 0, "reservations_accepted": 1},
        },
    }
    assert (figures.end_time - figures.start_time) == timedelta(minutes=10)


def test_cumulative_counts_of_queue_and_workflow(day):
    queue = day.context.task_queues(day.support_queue.sid).cumulative_statistics().fetch()
    assert (queue.tasks_entered, queue.tasks_completed, queue.tasks_canceled) == (2, 1, 0)
    assert (queue.reservations_created, queue.reservations_accepted, queue.reservations_rejected) == (2, 1, 1)
    assert queue.wait_duration_in_queue_until_accepted == {"avg": 10, "min": 10, "max": 10, "total": 10}
    assert queue.split_by_wait_time is None
    workflow = day.context.workflows(day.flow.sid).cumulative_statistics().fetch()
    assert (workflow.tasks_entered, workflow.tasks_completed, workflow.tasks_canceled) == (3, 1, 1)


def test_real_time_figures_of_the_workspace(day):
    figures = day.context.real_time_statistics().fetch()
    assert figures.tasks_by_status == {"pending": 1, "reserved": 0, "assigned": 0, "wrapping": 0}
    assert figures.tasks_by_priority == {"0": 1}
    assert (figures.total_tasks, figures.total_workers) == (1, 3)
    assert (figures.longest_task_waiting_age, figures.longest_task_waiting_sid) == (20, day.third.sid)
    assert {entry["friendly_name"]: entry["workers"] for entry in figures.activity_statistics} == {
        "Offline": 0, "Unavailable": 0, "Available": 0, "Focus": 0, "Break": 3,
    }  # fmt: skip


def test_real_time_figures_of_a_queue(day):
    figures = day.context.task_queues(day.support_queue.sid).real_time_statistics().fetch()
    assert (figures.total_eligible_workers, figures.total_available_workers, figures.total_tasks) == (2, 0, 1)
    day.move(day.bob, "Available")
    figures = day.context.task_queues(day.support_queue.sid).real_time_statistics().fetch()
    assert figures.total_available_workers == 1
    assert figures.tasks_by_status["reserved"] == 1


def test_bulk_figures_come_in_the_order_of_the_request_with_unknown_queues_as_zeros(day):
    class Body:
        def to_dict(self):
            return {"queueSids": [day.sales_queue.sid, "WQ" + "0" * 32, day.support_queue.sid, day.sales_queue.sid]}

    figures = day.context.task_queues.bulk_real_time_statistics.create(body=Body())
    assert figures.task_queue_response_count == 3
    assert [entry["task_queue_sid"] for entry in figures.task_queue_data] == [
        day.sales_queue.sid, "WQ" + "0" * 32, day.support_queue.sid,
    ]  # fmt: skip
    assert [entry["total_tasks"] for entry in figures.task_queue_data] == [0, 0, 1]
    assert all(entry["workers"] == 0 for entry in figures.task_queue_data[1]["activity_statistics"])


def test_worker_figures(day):
    one = day.context.workers(day.ann.sid).statistics().fetch(minutes=10).cumulative
    assert (one["reservations_created"], one["reservations_accepted"], one["reservations_rejected"]) == (2, 1, 1)
    durations = {entry["friendly_name"]: entry["total"] for entry in one["activity_durations"]}
    assert durations["Break"] == 10
    everyone = day.context.workers.statistics().fetch(friendly_name="aNN")
    assert everyone.cumulative["reservations_created"] == 2
    assert everyone.realtime["total_workers"] == 1
    members = day.context.workers.statistics().fetch(task_queue_name="qsup")
    assert members.realtime["total_workers"] == 2
    assert day.context.workers.real_time_statistics().fetch().total_workers == 3
    assert day.context.workers.cumulative_statistics().fetch().reservations_created == 2


def test_figures_by_channel(day):
    assert day.context.cumulative_statistics().fetch(task_channel="voice").tasks_created == 1
    assert day.context.real_time_statistics().fetch(task_channel="default").total_tasks == 0


def test_the_list_of_queue_statistics_filters_by_name_and_pages(day):
    everything = day.context.task_queues.statistics.list(page_size=1)
    assert [entry.task_queue_sid for entry in everything] == [
        day.support_queue.sid,
        day.sales_queue.sid,
        day.all_queue.sid,
    ]
    assert everything[0].cumulative["tasks_entered"] == 2
    assert [e.task_queue_sid for e in day.context.task_queues.statistics.list(friendly_name="qsal")] == [
        day.sales_queue.sid
    ]
    assert day.context.task_queues.statistics.list(friendly_name="nothing") == []


def test_the_combined_endpoints_agree_with_the_separate_ones(day):
    combined = day.context.statistics().fetch(minutes=10)
    separate = day.context.cumulative_statistics().fetch(minutes=10)
    for name in ("tasks_created", "tasks_completed", "reservations_created", "avg_task_acceptance_time"):
        assert combined.cumulative[name] == getattr(separate, name)
    assert combined.realtime["total_tasks"] == 1


@pytest.mark.parametrize("parameters, code", [
    ({"minutes": 0}, 20001), ({"minutes": "soon"}, 20001), ({"minutes": 43201}, 14241),
    ({"task_channel": "telegraph"}, 20001), ({"split_by_wait_time": "5,,6"}, 20001), ({"split_by_wait_time": "-1"}, 20001),
    ({"split_by_wait_time": "five"}, 20001), ({"start_date": "yesterday"}, 20001),
    ({"start_date": "2024-02-30T00:00:00Z"}, 20001), ({"start_date": "2001-01-01T00:00:00Z"}, 14241),
])  # fmt: skip
def test_intervals_and_filters_that_make_no_sense_are_refused(timed_world, parameters, code):
    with refused(400, code):
        timed_world.context.cumulative_statistics().fetch(**parameters)


def test_a_start_after_the_end_is_refused(timed_world, clock):
    now = clock.now()
    with refused(400, 20001):
        timed_world.context.cumulative_statistics().fetch(start_date=now, end_date=now - timedelta(minutes=1))


def test_unknown_queues_of_worker_statistics_are_refused(timed_world):
    for parameters in ({"task_queue_sid": "WQ" + "0" * 32}, {"task_queue_sid": "WQ1"}, {"task_queue_name": "Nowhere"}):
        with refused(400, 20001):
            timed_world.context.workers.statistics().fetch(**parameters)
    assert timed_world.context.workers.statistics().fetch(friendly_name="nobody").realtime["total_workers"] == 0


@pytest.mark.parametrize("sids", [[], ["WQ1"], ["WQ" + "0" * 32] * 51, "WQ" + "0" * 32, [1]])
def test_bulk_statistics_take_1_to_50_well_formed_sids(world, wire, sids):
    path = f"/v1/Workspaces/{world.sid}/TaskQueues/RealTimeStatistics"
    if isinstance(sids, list) and len(sids) == 51:
        sids = [f"WQ{number:032x}" for number in range(51)]
        assert wire("POST", path, json={"QueueSids": sids[:50]}).json()["task_queue_response_count"] == 50
    answer = wire("POST", path, json={"queueSids": sids})
    assert (answer.status_code, answer.json()["code"]) == (400, 20001)


def test_bulk_statistics_take_every_documented_spelling(world, wire):
    path = f"/v1/Workspaces/{world.sid}/TaskQueues/RealTimeStatistics"
    queue = world.queue("Q")
    for body in ({"queueSids": [queue.sid]}, {"QueueSids": [queue.sid]}, {"body": {"queueSids": [queue.sid]}}):
        answer = wire("POST", path, json=body)
        assert answer.status_code == 200
        assert answer.json()["task_queue_data"][0]["task_queue_sid"] == queue.sid
    for body in ("[]", "{}", "{", "null"):
        answer = wire("POST", path, data=body, headers={"Content-Type": "application/json"})
        assert (answer.status_code, answer.json()["code"]) == (400, 20001)
    assert wire("POST", path, data={"queueSids": queue.sid}).status_code == 415
    assert wire("GET", path).status_code == 405
