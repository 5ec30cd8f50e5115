"""Versions, ETag and If-Match of Tasks and Reservations; those of Workers are in test_update_worker.

Reference: REST contract, section 2.
"""

import json
import re
from concurrent.futures import ThreadPoolExecutor

import pytest
from support.client import connect, last
from support.errors import assert_delete, refused
from support.world import version_of
from twilio.base.exceptions import TwilioRestException


@pytest.fixture
def shop(world):
    """One queue, one workflow, Ada available."""
    world.everything = world.queue("Everything")
    world.flow = world.workflow("Flow", {"default_filter": {"queue": world.everything.sid}})
    world.ada = world.worker("Ada")
    return world


def waiting(shop, attributes=None, **parameters):
    """A Task that stays pending: nobody is available for it."""
    shop.move(shop.ada, "Unavailable")
    return shop.task(attributes, **parameters)


def task_version(shop, task) -> int:
    return shop.version("tasks", task.sid)


def reservation_version(shop, task) -> int:
    reservation = shop.reservations(task)[-1]
    return version_of(shop.context.tasks(task.sid).reservations(reservation.sid).fetch_with_http_info().headers)


def test_a_fresh_task_has_version_0_although_it_went_through_its_workflow(shop):
    shop.move(shop.ada, "Unavailable")
    created = shop.context.tasks.create_with_http_info(attributes="{}")
    assert created.status_code == 201
    assert version_of(created.headers) == 0
    assert task_version(shop, created.data) == 0
    canceled = shop.context.tasks(created.data.sid).update_with_http_info(if_match="0", assignment_status="canceled")
    assert version_of(canceled.headers) == 1


def test_the_answer_to_a_creation_shows_the_task_before_its_reservation(shop):
    created = shop.context.tasks.create_with_http_info(attributes="{}")
    assert created.data.assignment_status == "pending"
    assert version_of(created.headers) == 0
    assert shop.fetch(created.data).assignment_status == "reserved"
    assert task_version(shop, created.data) == 1


def test_a_task_that_ends_at_once_is_born_with_version_1(shop):
    flow = shop.workflow("Nothing matches", {"filters": [
        {"expression": "1==2", "targets": [{"queue": shop.everything.sid}]}]})  # fmt: skip
    created = shop.context.tasks.create_with_http_info(workflow_sid=flow.sid)
    assert created.status_code == 201
    assert created.data.assignment_status == "canceled"
    assert created.data.reason == "Task canceled on Workflow timeout"
    assert created.data.task_queue_sid is None
    assert version_of(created.headers) == 1


def test_one_request_raises_the_version_by_one_however_many_fields(shop):
    task = waiting(shop, {"a": 1})
    reply = shop.context.tasks(task.sid).update_with_http_info(attributes='{"a":2}', priority=7, reason="later")
    assert version_of(reply.headers) == 1
    assert task_version(shop, task) == 1


def test_a_request_that_changes_nothing_raises_nothing(shop):
    task = waiting(shop, {"a": 1}, priority=5)
    events = shop.event_types()
    for parameters in ({}, {"attributes": '{ "a": 1 }'}, {"priority": 5}):
        reply = shop.context.tasks(task.sid).update_with_http_info(**parameters)
        assert version_of(reply.headers) == 0, parameters
    assert shop.event_types() == events


def test_the_life_of_a_task_in_versions(shop):
    task = shop.task({})
    assert task_version(shop, task) == 1, "reserved"
    shop.accept(task)
    assert task_version(shop, task) == 2, "assigned"
    shop.context.tasks(task.sid).update(assignment_status="wrapping")
    assert task_version(shop, task) == 3, "wrapping"
    shop.complete(task)
    assert task_version(shop, task) == 4, "completed"


def test_the_life_of_a_reservation_in_versions(shop):
    task = shop.task({})
    assert reservation_version(shop, task) == 0
    reply = (
        shop.context.tasks(task.sid)
        .reservations(shop.offer(task).sid)
        .update_with_http_info(reservation_status="accepted")
    )
    assert version_of(reply.headers) == 1
    shop.reservations(task)[0].update(reservation_status="wrapping")
    assert reservation_version(shop, task) == 2
    shop.complete(task)
    assert reservation_version(shop, task) == 3


def test_both_addresses_of_a_reservation_show_the_same_version(shop):
    task = shop.task({})
    offer = shop.offer(task)
    by_task = shop.context.tasks(task.sid).reservations(offer.sid)
    by_worker = shop.context.workers(shop.ada.sid).reservations(offer.sid)
    by_task.update(reservation_status="accepted", if_match="0")
    assert (
        version_of(by_worker.fetch_with_http_info().headers) == version_of(by_task.fetch_with_http_info().headers) == 1
    )
    with refused(412, 20412):
        by_worker.update(reservation_status="wrapping", if_match="0")
    assert by_worker.update(reservation_status="wrapping", if_match="1").reservation_status == "wrapping"


@pytest.mark.parametrize("form", ["{0}", '"{0}"', 'W/"{0}"', '"7","{0}"', "*"])
def test_if_match_of_a_task_is_read_liberally(shop, form):
    task = waiting(shop)
    assert shop.context.tasks(task.sid).update(if_match=form.format(0), priority=3).priority == 3


def test_a_stale_if_match_changes_nothing(shop):
    task = waiting(shop)
    shop.context.tasks(task.sid).update(priority=1)
    events = shop.event_types()
    with refused(412, 20412, "Precondition failed: If-Match 0 does not match the current version 1"):
        shop.context.tasks(task.sid).update(if_match="0", priority=2)
    with refused(412, 20412):
        shop.context.tasks(task.sid).update(if_match="0", assignment_status="completed")
    assert_delete(
        shop.client, task.url, "0", 412, "Precondition failed: If-Match 0 does not match the current version 1"
    )
    assert shop.fetch(task).priority == 1
    assert shop.event_types() == events
    assert_delete(shop.client, task.url, "1", 204)


def test_a_missing_task_is_404_whatever_if_match_says(shop):
    task = waiting(shop)
    task.delete()
    with refused(404, 20404):
        shop.context.tasks(task.sid).update(if_match="0", priority=1)
    assert_delete(shop.client, task.url, "99", 404)


def test_if_match_is_ignored_on_resources_without_a_version(shop):
    answers = [
        shop.client.request("POST", shop.context.fetch().url, headers={"If-Match": "99"}),
        shop.client.request("POST", shop.everything.url, headers={"If-Match": "99"}),
        shop.client.request("POST", shop.flow.url, headers={"If-Match": "99"}),
    ]
    assert [answer.status_code for answer in answers] == [200] * 3
    assert not any(name.lower() == "etag" for answer in answers for name in answer.headers)


def test_other_conditional_headers_are_ignored(shop):
    task = waiting(shop)
    for headers in (
        {"If-None-Match": '"0"'},
        {"If-None-Match": "*"},
        {"If-Modified-Since": "Wed, 01 Jan 2098 00:00:00 GMT"},
    ):
        assert shop.client.request("GET", task.url, headers=headers).status_code == 200


def test_lists_carry_a_weak_tag(shop):
    shop.task({})
    for call in (lambda: shop.context.tasks.list(), lambda: shop.context.workers.list()):
        call()
        headers = {name.lower(): value for name, value in last(shop.client).headers.items()}
        assert re.fullmatch(r'W/"[0-9a-f]+"', headers["etag"])


def test_attribute_changes_that_reroute_count_twice_and_the_answer_shows_it(shop):
    sales = shop.queue("Sales")
    flow = shop.workflow("Two", {"filters": [{"expression": "type == 'sales'", "targets": [{"queue": sales.sid}]}],
                                 "default_filter": {"queue": shop.everything.sid}})  # fmt: skip
    task = waiting(shop, {"type": "support"}, workflow_sid=flow.sid)
    reply = shop.context.tasks(task.sid).update_with_http_info(attributes='{"type":"sales"}')
    assert reply.data.task_queue_friendly_name == "Sales"
    assert version_of(reply.headers) == 2
    assert shop.context.tasks(task.sid).update(if_match="2", priority=1).priority == 1


def test_200_concurrent_conditional_updates_of_a_task_lose_none(shop, server):
    task = waiting(shop, {"numbers": []})

    def append(first: int):
        mine = connect(server.url).taskrouter.v1.workspaces(shop.sid).tasks(task.sid)
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

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(append, range(0, 200, 25)))
    assert sorted(json.loads(shop.fetch(task).attributes)["numbers"]) == list(range(200))
    assert task_version(shop, task) == 200


def test_of_many_acceptances_exactly_one_succeeds(shop, server):
    task = shop.task({})
    offer = shop.offer(task)

    def accept(_):
        client = connect(server.url)
        try:
            client.taskrouter.v1.workspaces(shop.sid).tasks(task.sid).reservations(offer.sid).update(
                reservation_status="accepted"
            )
        except TwilioRestException as error:
            return (error.status, error.code)
        return (200, None)

    with ThreadPoolExecutor(8) as pool:
        results = list(pool.map(accept, range(40)))
    assert results.count((200, None)) == 1
    assert results.count((400, 20001)) == 39
