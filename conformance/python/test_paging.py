"""Lists of 120 items: in one go, with a limit, page by page in both directions. Reference: REST contract, section 3."""

import json
from urllib.parse import parse_qs, urlsplit

import pytest
from support.client import connect, last
from support.errors import refused
from support.world import World

COUNT = 120


@pytest.fixture(scope="module")
def crowd(server):
    """120 Tasks that nobody takes, 120 unavailable Workers, 120 queues and 120 workflows."""
    world = World(connect(server.url))
    world.names = [f"n{index:03}" for index in range(COUNT)]
    queue = world.queue("q")
    flow = world.workflow("w", {"default_filter": {"queue": queue.sid}})
    world.tasks = [
        world.task({"n": name}, workflow_sid=flow.sid, priority=index % 3).sid for index, name in enumerate(world.names)
    ]
    world.workers = [world.worker(name, activity="Offline").sid for name in world.names]
    yield world
    world.delete()


def test_list_returns_everything_in_order_of_creation(crowd):
    assert [task.sid for task in crowd.context.tasks.list()] == crowd.tasks
    assert [worker.friendly_name for worker in crowd.context.workers.list()] == crowd.names


def test_list_returns_everything_with_any_page_size(crowd):
    for page_size in (1, 7, 40, 60, 120, 121, 1000):
        assert [task.sid for task in crowd.context.tasks.list(page_size=page_size)] == crowd.tasks, page_size


def test_list_with_a_limit_above_the_largest_page_is_not_refused(crowd):
    assert len(crowd.context.tasks.list(limit=5000)) == COUNT
    assert last(crowd.client).json["meta"]["page_size"] == 1000
    assert parse_qs(urlsplit(last(crowd.client).json["meta"]["url"]).query)["PageSize"] == ["1000"]


@pytest.mark.parametrize("limit", [1, 49, 50, 51, 119, 120, 121])
def test_stream_ends_at_the_limit(crowd, limit):
    assert [task.sid for task in crowd.context.tasks.stream(limit=limit)] == crowd.tasks[:limit]
    assert [task.sid for task in crowd.context.tasks.stream(limit=limit, page_size=17)] == crowd.tasks[:limit]


def test_pages_go_forwards_and_backwards(crowd):
    page = crowd.context.workers.page(page_size=50)
    pages = []
    while page is not None:
        pages.append([worker.friendly_name for worker in page])
        previous, page = page, page.next_page()
    assert pages == [crowd.names[:50], crowd.names[50:100], crowd.names[100:]]

    page, backwards = previous, []
    while page is not None:
        page = page.previous_page()
        if page is not None:
            backwards.append([worker.friendly_name for worker in page])
    assert backwards == [crowd.names[50:100], crowd.names[:50]]


def test_the_envelope_of_each_page(crowd):
    base = f"{crowd.client.http_client.base_url}/v1/Workspaces/{crowd.sid}/Workers"
    crowd.context.workers.page(page_size=50)
    first = last(crowd.client).json["meta"]
    assert first["page"] == 0
    assert first["page_size"] == 50
    assert first["first_page_url"] == f"{base}?PageSize=50&Page=0"
    assert first["url"] == f"{base}?PageSize=50&Page=0"
    assert first["previous_page_url"] is None
    assert first["next_page_url"].startswith(f"{base}?PageSize=50&Page=1&PageToken=PA{crowd.workers[49]}")

    middle = crowd.client.request("GET", first["next_page_url"])
    second = json.loads(middle.text)["meta"]
    assert second["page"] == 1
    assert second["url"] == first["next_page_url"]
    assert second["first_page_url"] == first["first_page_url"]
    assert second["previous_page_url"].startswith(f"{base}?PageSize=50&Page=0&PageToken=PB{crowd.workers[50]}")
    third = json.loads(crowd.client.request("GET", second["next_page_url"]).text)["meta"]
    assert third["next_page_url"] is None
    assert third["page"] == 2


def test_filters_are_part_of_the_paging_urls(crowd):
    page = crowd.context.tasks.page(priority=1, assignment_status=["pending", "reserved"], page_size=15)
    meta = last(crowd.client).json["meta"]
    for name in ("url", "first_page_url", "next_page_url"):
        query = parse_qs(urlsplit(meta[name]).query)
        assert query["Priority"] == ["1"]
        assert query["AssignmentStatus"] == ["pending", "reserved"]
    found = [task.sid for task in page]
    while (page := page.next_page()) is not None:
        found += [task.sid for task in page]
    assert found == crowd.tasks[1::3]


def test_a_page_token_survives_the_removal_of_its_record(crowd):
    extra = [crowd.worker(f"extra{index}", activity="Offline") for index in range(4)]
    page = crowd.context.workers.page(page_size=COUNT + 2)
    extra[1].delete()
    assert [worker.friendly_name for worker in page.next_page()] == ["extra2", "extra3"]
    for worker in (extra[0], *extra[2:]):
        worker.delete()


def test_the_sid_alone_is_a_page_token(crowd, server):
    answer = crowd.client.request(
        "GET",
        f"{server.url}/v1/Workspaces/{crowd.sid}/Workers",
        params={"PageSize": 2, "Page": 1, "PageToken": f"PA{crowd.workers[9]}"},
    )
    assert [worker["sid"] for worker in json.loads(answer.text)["workers"]] == crowd.workers[10:12]


def test_a_sorted_list_pages_in_its_order(crowd):
    tasks = crowd.context.tasks.list(ordering="Priority:desc,DateCreated:asc", page_size=17)
    assert [task.sid for task in tasks] == crowd.tasks[2::3] + crowd.tasks[1::3] + crowd.tasks[0::3]
    tasks = crowd.context.tasks.list(ordering="DateCreated:desc", page_size=50)
    assert [task.sid for task in tasks] == crowd.tasks[::-1]


def test_a_token_of_another_order_is_no_place(crowd, server):
    def page(**parameters):
        answer = crowd.client.request("GET", f"{server.url}/v1/Workspaces/{crowd.sid}/Tasks", params=parameters)
        return answer.status_code, json.loads(answer.text)

    _, first = page(Ordering="Priority:desc", PageSize=1)
    token = parse_qs(urlsplit(first["meta"]["next_page_url"]).query)["PageToken"][0]
    assert page(Ordering="Priority:desc", PageSize=1, PageToken=token)[0] == 200
    for other in ("VirtualStartTime:asc", "Priority:asc", "Priority:desc,DateCreated:asc"):
        status, body = page(Ordering=other, PageSize=1, PageToken=token)
        assert (status, body["code"]) == (400, 20001), other


def test_the_filters_of_events_hold_beside_the_sid(crowd):
    event = crowd.context.events.list(event_type="task.created", limit=1)[0]

    def found(**filters):
        return [found.sid for found in crowd.context.events.list(sid=event.sid, **filters)]

    assert found() == found(event_type="task.created") == found(task_sid=event.resource_sid) == [event.sid]
    assert found(event_type="task.canceled") == found(worker_sid=crowd.workers[0]) == []
    assert found(task_sid=crowd.tasks[0]) == []


def test_events_are_newest_first_and_page(crowd):
    events = crowd.context.events.list(event_type="task.created", page_size=50)
    assert [event.resource_sid for event in events] == crowd.tasks[::-1]
    moments = [event.event_date_ms for event in crowd.context.events.list(page_size=100)]
    assert moments == sorted(moments, reverse=True)


def test_an_empty_list_has_neither_neighbour(crowd):
    assert crowd.context.workers.list(friendly_name="nobody") == []
    body = last(crowd.client).json
    assert body["workers"] == []
    assert body["meta"]["next_page_url"] is None
    assert body["meta"]["previous_page_url"] is None


def test_a_last_page_that_is_exactly_full_has_no_next_page(crowd):
    page = crowd.context.tasks.page(page_size=60).next_page()
    assert len(list(page)) == 60
    assert page.next_page_url is None


def test_page_numbers_without_a_token_are_refused(crowd):
    with refused(400, 40153):
        crowd.context.tasks.page(page_number=1, page_size=50)
    assert len(list(crowd.context.tasks.page(page_number=0, page_size=50))) == 50


@pytest.mark.parametrize("page_size", ["0", "-1", "ten", "1.5"])
def test_a_page_size_that_is_no_size_is_refused(crowd, page_size):
    with refused(400, 20001):
        crowd.context.tasks.page(page_size=page_size)


@pytest.mark.parametrize(
    "token", ["nonsense", "PA", "PAWT123", "PX" + "WT" + "0" * 32, "PAWK" + "0" * 32, "PAWT" + "0" * 32 + ".!!!"]
)
def test_a_page_token_that_is_malformed_or_of_another_type_is_refused(crowd, token):
    with refused(400, 20001):
        crowd.context.tasks.page(page_token=token)
