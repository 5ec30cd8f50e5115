"""The life of a Task through the official library, on the system's clock, and the answers on the way."""

import json
import time

import pytest
from support.client import connect
from support.world import World


@pytest.fixture
def shop(world):
    world.everything = world.queue("Everything")
    world.flow = world.workflow("Flow", {"default_filter": {"queue": world.everything.sid}})
    world.ada = world.worker("Ada")
    return world


def test_create_reserve_accept_wrap_complete(shop):
    task = shop.task({"type": "call"})
    assert task.assignment_status == "pending"
    assert shop.fetch(task).assignment_status == "reserved"

    offer = shop.offer(task)
    assert (offer.worker_sid, offer.task_sid) == (shop.ada.sid, task.sid)
    assert offer.update(reservation_status="accepted").reservation_status == "accepted"
    assert shop.fetch(task).assignment_status == "assigned"

    wrapping = shop.context.tasks(task.sid).update(assignment_status="wrapping", reason="writing notes")
    assert (wrapping.assignment_status, wrapping.reason) == ("wrapping", "writing notes")
    assert shop.reservations(task)[0].reservation_status == "wrapping"

    done = shop.complete(task, reason="solved")
    assert (done.assignment_status, done.reason) == ("completed", "solved")
    assert shop.reservations(task)[0].reservation_status == "completed"

    assert shop.event_types(task_sid=task.sid) == [
        "task.created",
        "workflow.entered",
        "workflow.target-matched",
        "task-queue.entered",
        "reservation.created",
        "reservation.accepted",
        "task.wrapup",
        "reservation.wrapup",
        "task.updated",
        "task.completed",
        "reservation.completed",
        "task.updated",
    ]


def test_the_same_life_through_the_workers_reservation(shop):
    task = shop.task({})
    offer = shop.offer(task)
    reservation = shop.context.workers(shop.ada.sid).reservations(offer.sid)
    assert reservation.update(reservation_status="accepted").reservation_status == "accepted"
    assert reservation.update(reservation_status="wrapping").reservation_status == "wrapping"
    assert shop.fetch(task).assignment_status == "wrapping"
    assert reservation.update(reservation_status="completed").reservation_status == "completed"
    done = shop.fetch(task)
    assert (done.assignment_status, done.reason) == ("completed", "All reservations were completed")


def test_the_next_task_follows_a_completion(shop):
    first, second, third = (shop.task({"n": n}) for n in range(3))
    for task, following in ((first, second), (second, third), (third, None)):
        shop.accept(task)
        assert following is None or shop.reservations(following) == []
        shop.complete(task)
        assert following is None or shop.offered_to(following) == "Ada"


def test_a_real_reservation_timeout_passes_in_real_time(shop):
    shop.context.workflows(shop.flow.sid).update(task_reservation_timeout=1)
    task = shop.task({})
    offer = shop.offer(task)
    deadline = time.monotonic() + 5
    while offer.fetch().reservation_status == "pending":
        assert time.monotonic() < deadline, "the reservation did not time out"
    assert offer.fetch().reservation_status == "timeout"
    assert shop.context.workers(shop.ada.sid).fetch().activity_name == "Offline"


def test_everything_is_there_after_a_stop_and_a_start(own_server):
    """SIGTERM ends with code 0; a new process on the same directory shows the same world."""
    server = own_server
    world = World(connect(server.url))
    queue = world.queue("Q")
    world.workflow("W", {"default_filter": {"queue": queue.sid}})
    ada = world.worker("Ada", {"skills": ["x"]})
    task = world.task({"type": "call"})
    reservation = world.accept(task)

    def snapshot(client):
        context = client.taskrouter.v1.workspaces(world.sid)
        documents = [
            context.fetch(), *context.activities.list(), *context.workers.list(), *context.task_queues.list(),
            *context.workflows.list(), *context.task_channels.list(), context.tasks(task.sid).reservations(reservation.sid).fetch(),
            *context.workers(ada.sid).worker_channels.list(), *context.events.list(),
        ]  # fmt: skip
        public = [
            {name: str(value) for name, value in vars(item).items() if not name.startswith("_")} for item in documents
        ]
        return json.loads(json.dumps(public).replace(client.http_client.base_url, ""))

    before = snapshot(world.client)
    assert server.stop() == 0
    server.start()
    client = connect(server.url)
    assert snapshot(client) == before
    tasks = client.taskrouter.v1.workspaces(world.sid).tasks
    assert tasks(task.sid).update(if_match="2", assignment_status="completed").assignment_status == "completed"
    assert server.stop() == 0
