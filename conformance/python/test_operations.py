"""Every one of the 61 operations through the official library: method, path, status, members and types.

Reference: REST contract, sections 5 and 6.
"""

import re

import pytest
from support import shapes
from support.client import connect, last
from support.shapes import SCOPE, assert_shape
from support.world import World, unique


class Body:
    """The library calls `to_dict` on the body of the bulk statistics and sends the result as JSON."""

    def __init__(self, **members):
        self.members = members

    def to_dict(self):
        return self.members


class Furnished(World):
    """A workspace with one of everything, and a Task that waits for an answer."""

    def __init__(self, client):
        super().__init__(client)
        self.a_queue = self.queue("Everything")
        self.a_workflow = self.workflow("Straight", {"default_filter": {"queue": self.a_queue.sid}})
        self.a_channel = self.context.task_channels.create(friendly_name="Fax", unique_name="fax")
        self.a_worker = self.worker("Ada", {"skills": ["fax"]})
        self.a_task = self.task({"type": "letter"})
        self.a_reservation = self.offer(self.a_task)
        self.an_activity = self.activity("Lunch", available=False)
        self.an_event = self.events()[0]

    def spare_activity(self):
        return self.context.activities.create(friendly_name=unique("Spare"))

    def spare_channel(self):
        return self.context.task_channels.create(friendly_name="Spare", unique_name=unique("spare").replace(" ", "_"))

    def spare_queue(self):
        return self.queue(unique("Spare"))

    def spare_worker(self):
        return self.worker(unique("Spare"), activity="Offline")

    def spare_offer(self):
        """A pending reservation made for the operation alone: a Task routed straight to Ada, whatever her load."""
        return self.offer(self.task({"type": "direct"}, routing_target=self.a_worker.sid))

    def spare_workflow(self):
        return self.workflow(unique("Spare"), {"default_filter": {"queue": self.a_queue.sid}})


@pytest.fixture(scope="module")
def w(server):
    world = Furnished(connect(server.url))
    yield world
    world.delete()


W = "/v1/Workspaces/{WorkspaceSid}"

STATISTICS_INTERVAL = {"minutes": 60, "split_by_wait_time": "5,30"}

# operation id, method, path, status, shape (None: no body), call. `list` operations return a list of instances.
OPERATIONS = [
    ("ListWorkspace", "GET", "/v1/Workspaces", 200, shapes.WORKSPACE, lambda w: w.workspaces.list(limit=5)),
    ("CreateWorkspace", "POST", "/v1/Workspaces", 201, shapes.WORKSPACE,
     lambda w: w.workspaces.create(friendly_name=unique("Created"), template="FIFO", prioritize_queue_order="LIFO")),
    ("FetchWorkspace", "GET", W, 200, shapes.WORKSPACE, lambda w: w.context.fetch()),
    ("UpdateWorkspace", "POST", W, 200, shapes.WORKSPACE, lambda w: w.context.update(events_filter="task.created")),
    ("DeleteWorkspace", "DELETE", W, 204, None, lambda w: w.workspaces.create(friendly_name=unique("Deleted")).delete()),

    ("ListActivity", "GET", f"{W}/Activities", 200, shapes.ACTIVITY, lambda w: w.context.activities.list()),
    ("CreateActivity", "POST", f"{W}/Activities", 201, shapes.ACTIVITY,
     lambda w: w.context.activities.create(friendly_name=unique("On call"), available=True)),
    ("FetchActivity", "GET", f"{W}/Activities/{{Sid}}", 200, shapes.ACTIVITY, lambda w: w.context.activities(w.an_activity.sid).fetch()),
    ("UpdateActivity", "POST", f"{W}/Activities/{{Sid}}", 200, shapes.ACTIVITY,
     lambda w: w.context.activities(w.an_activity.sid).update(friendly_name="Dinner")),
    ("DeleteActivity", "DELETE", f"{W}/Activities/{{Sid}}", 204, None, lambda w: w.spare_activity().delete()),

    ("ListEvent", "GET", f"{W}/Events", 200, shapes.EVENT, lambda w: w.context.events.list(limit=20)),
    ("FetchEvent", "GET", f"{W}/Events/{{Sid}}", 200, shapes.EVENT, lambda w: w.context.events(w.an_event.sid).fetch()),

    ("ListTask", "GET", f"{W}/Tasks", 200, shapes.TASK, lambda w: w.context.tasks.list(limit=5)),
    ("CreateTask", "POST", f"{W}/Tasks", 201, shapes.TASK, lambda w: w.task({"type": "parcel"}, task_channel="voice", priority=3, timeout=600)),
    ("FetchTask", "GET", f"{W}/Tasks/{{Sid}}", 200, shapes.TASK, lambda w: w.context.tasks(w.a_task.sid).fetch()),
    ("UpdateTask", "POST", f"{W}/Tasks/{{Sid}}", 200, shapes.TASK, lambda w: w.context.tasks(w.a_task.sid).update(priority=4)),
    ("DeleteTask", "DELETE", f"{W}/Tasks/{{Sid}}", 204, None, lambda w: w.task({"type": "dropped"}).delete()),

    ("ListTaskReservation", "GET", f"{W}/Tasks/{{TaskSid}}/Reservations", 200, shapes.RESERVATION, lambda w: w.reservations(w.a_task)),
    ("FetchTaskReservation", "GET", f"{W}/Tasks/{{TaskSid}}/Reservations/{{Sid}}", 200, shapes.RESERVATION,
     lambda w: w.context.tasks(w.a_task.sid).reservations(w.a_reservation.sid).fetch()),
    ("UpdateTaskReservation", "POST", f"{W}/Tasks/{{TaskSid}}/Reservations/{{Sid}}", 200, shapes.RESERVATION,
     lambda w: w.spare_offer().update(reservation_status="accepted")),

    ("ListTaskChannel", "GET", f"{W}/TaskChannels", 200, shapes.TASK_CHANNEL, lambda w: w.context.task_channels.list()),
    ("CreateTaskChannel", "POST", f"{W}/TaskChannels", 201, shapes.TASK_CHANNEL,
     lambda w: w.context.task_channels.create(friendly_name="Back office", unique_name="backoffice", channel_optimized_routing=True)),
    ("FetchTaskChannel", "GET", f"{W}/TaskChannels/{{Sid}}", 200, shapes.TASK_CHANNEL, lambda w: w.context.task_channels(w.a_channel.sid).fetch()),
    ("UpdateTaskChannel", "POST", f"{W}/TaskChannels/{{Sid}}", 200, shapes.TASK_CHANNEL,
     lambda w: w.context.task_channels(w.a_channel.sid).update(friendly_name="Telefax")),
    ("DeleteTaskChannel", "DELETE", f"{W}/TaskChannels/{{Sid}}", 204, None, lambda w: w.spare_channel().delete()),

    ("ListTaskQueue", "GET", f"{W}/TaskQueues", 200, shapes.TASK_QUEUE, lambda w: w.context.task_queues.list()),
    ("CreateTaskQueue", "POST", f"{W}/TaskQueues", 201, shapes.TASK_QUEUE,
     lambda w: w.context.task_queues.create(friendly_name=unique("Billing"), target_workers="skills HAS 'billing'", task_order="LIFO", max_reserved_workers=2)),
    ("FetchTaskQueue", "GET", f"{W}/TaskQueues/{{Sid}}", 200, shapes.TASK_QUEUE, lambda w: w.context.task_queues(w.a_queue.sid).fetch()),
    ("UpdateTaskQueue", "POST", f"{W}/TaskQueues/{{Sid}}", 200, shapes.TASK_QUEUE,
     lambda w: w.context.task_queues(w.a_queue.sid).update(max_reserved_workers=1)),
    ("DeleteTaskQueue", "DELETE", f"{W}/TaskQueues/{{Sid}}", 204, None, lambda w: w.spare_queue().delete()),

    ("CreateTaskQueueBulkRealTimeStatistics", "POST", f"{W}/TaskQueues/RealTimeStatistics", 200,
     {**SCOPE, "task_queue_data": lambda value: len(value) == 1 and not shapes.problems(value[0], shapes.TASK_QUEUE_BULK_ELEMENT),
      "task_queue_response_count": shapes.integer},
     lambda w: w.context.task_queues.bulk_real_time_statistics.create(body=Body(queueSids=[w.a_queue.sid]))),
    ("ListTaskQueuesStatistics", "GET", f"{W}/TaskQueues/Statistics", 200, shapes.TASK_QUEUES_STATISTICS_ELEMENT,
     lambda w: w.context.task_queues.statistics.list(**STATISTICS_INTERVAL)),
    ("FetchTaskQueueCumulativeStatistics", "GET", f"{W}/TaskQueues/{{TaskQueueSid}}/CumulativeStatistics", 200,
     {**SCOPE, "task_queue_sid": shapes.sid("WQ"), **shapes.TASK_QUEUE_CUMULATIVE},
     lambda w: w.context.task_queues(w.a_queue.sid).cumulative_statistics().fetch(**STATISTICS_INTERVAL)),
    ("FetchTaskQueueRealTimeStatistics", "GET", f"{W}/TaskQueues/{{TaskQueueSid}}/RealTimeStatistics", 200,
     {**SCOPE, "task_queue_sid": shapes.sid("WQ"), **shapes.TASK_QUEUE_REAL_TIME},
     lambda w: w.context.task_queues(w.a_queue.sid).real_time_statistics().fetch(task_channel="default")),
    ("FetchTaskQueueStatistics", "GET", f"{W}/TaskQueues/{{TaskQueueSid}}/Statistics", 200,
     {**SCOPE, "task_queue_sid": shapes.sid("WQ"), "realtime": shapes.as_json(shapes.TASK_QUEUE_REAL_TIME),
      "cumulative": shapes.as_json(shapes.TASK_QUEUE_CUMULATIVE)},
     lambda w: w.context.task_queues(w.a_queue.sid).statistics().fetch(**STATISTICS_INTERVAL)),

    ("ListWorker", "GET", f"{W}/Workers", 200, shapes.WORKER, lambda w: w.context.workers.list()),
    ("CreateWorker", "POST", f"{W}/Workers", 201, shapes.WORKER, lambda w: w.worker(unique("Grace"), {"skills": []}, activity="Offline")),
    ("FetchWorker", "GET", f"{W}/Workers/{{Sid}}", 200, shapes.WORKER, lambda w: w.context.workers(w.a_worker.sid).fetch()),
    ("UpdateWorker", "POST", f"{W}/Workers/{{Sid}}", 200, shapes.WORKER,
     lambda w: w.context.workers(w.a_worker.sid).update(friendly_name="Ada L.")),
    ("DeleteWorker", "DELETE", f"{W}/Workers/{{Sid}}", 204, None, lambda w: w.spare_worker().delete()),

    ("ListWorkerChannel", "GET", f"{W}/Workers/{{WorkerSid}}/Channels", 200, shapes.WORKER_CHANNEL,
     lambda w: w.context.workers(w.a_worker.sid).worker_channels.list()),
    ("FetchWorkerChannel", "GET", f"{W}/Workers/{{WorkerSid}}/Channels/{{Sid}}", 200, shapes.WORKER_CHANNEL,
     lambda w: w.context.workers(w.a_worker.sid).worker_channels("chat").fetch()),
    ("UpdateWorkerChannel", "POST", f"{W}/Workers/{{WorkerSid}}/Channels/{{Sid}}", 200, shapes.WORKER_CHANNEL,
     lambda w: w.context.workers(w.a_worker.sid).worker_channels("chat").update(capacity=3, available=True)),

    ("ListWorkerReservation", "GET", f"{W}/Workers/{{WorkerSid}}/Reservations", 200, shapes.RESERVATION,
     lambda w: w.context.workers(w.a_worker.sid).reservations.list()),
    ("FetchWorkerReservation", "GET", f"{W}/Workers/{{WorkerSid}}/Reservations/{{Sid}}", 200, shapes.RESERVATION,
     lambda w: w.context.workers(w.a_worker.sid).reservations(w.a_reservation.sid).fetch()),
    ("UpdateWorkerReservation", "POST", f"{W}/Workers/{{WorkerSid}}/Reservations/{{Sid}}", 200, shapes.RESERVATION,
     lambda w: w.context.workers(w.a_worker.sid).reservations(w.spare_offer().sid).update(reservation_status="rejected")),

    ("FetchWorkerInstanceStatistics", "GET", f"{W}/Workers/{{WorkerSid}}/Statistics", 200,
     {**SCOPE, "worker_sid": shapes.sid("WK"), "cumulative": shapes.as_json(shapes.WORKERS_CUMULATIVE)},
     lambda w: w.context.workers(w.a_worker.sid).statistics().fetch(minutes=60)),
    ("FetchWorkerStatistics", "GET", f"{W}/Workers/Statistics", 200,
     {**SCOPE, "realtime": shapes.as_json(shapes.WORKERS_REAL_TIME), "cumulative": shapes.as_json(shapes.WORKERS_CUMULATIVE)},
     lambda w: w.context.workers.statistics().fetch(minutes=60, task_queue_sid=w.a_queue.sid)),
    ("FetchWorkersCumulativeStatistics", "GET", f"{W}/Workers/CumulativeStatistics", 200, {**SCOPE, **shapes.WORKERS_CUMULATIVE},
     lambda w: w.context.workers.cumulative_statistics().fetch(minutes=60)),
    ("FetchWorkersRealTimeStatistics", "GET", f"{W}/Workers/RealTimeStatistics", 200, {**SCOPE, **shapes.WORKERS_REAL_TIME},
     lambda w: w.context.workers.real_time_statistics().fetch(task_channel="voice")),

    ("ListWorkflow", "GET", f"{W}/Workflows", 200, shapes.WORKFLOW, lambda w: w.context.workflows.list()),
    ("CreateWorkflow", "POST", f"{W}/Workflows", 201, shapes.WORKFLOW,
     lambda w: w.workflow(unique("Inbound"), {"default_filter": {"queue": w.a_queue.sid}}, task_reservation_timeout=30,
                          assignment_callback_url="http://127.0.0.1:9/assign")),
    ("FetchWorkflow", "GET", f"{W}/Workflows/{{Sid}}", 200, shapes.WORKFLOW, lambda w: w.context.workflows(w.a_workflow.sid).fetch()),
    ("UpdateWorkflow", "POST", f"{W}/Workflows/{{Sid}}", 200, shapes.WORKFLOW,
     lambda w: w.context.workflows(w.a_workflow.sid).update(task_reservation_timeout=60)),
    ("DeleteWorkflow", "DELETE", f"{W}/Workflows/{{Sid}}", 204, None, lambda w: w.spare_workflow().delete()),

    ("FetchWorkflowCumulativeStatistics", "GET", f"{W}/Workflows/{{WorkflowSid}}/CumulativeStatistics", 200,
     {**SCOPE, "workflow_sid": shapes.sid("WW"), **shapes.WORKFLOW_CUMULATIVE},
     lambda w: w.context.workflows(w.a_workflow.sid).cumulative_statistics().fetch(**STATISTICS_INTERVAL)),
    ("FetchWorkflowRealTimeStatistics", "GET", f"{W}/Workflows/{{WorkflowSid}}/RealTimeStatistics", 200,
     {**SCOPE, "workflow_sid": shapes.sid("WW"), **shapes.WORKFLOW_REAL_TIME},
     lambda w: w.context.workflows(w.a_workflow.sid).real_time_statistics().fetch()),
    ("FetchWorkflowStatistics", "GET", f"{W}/Workflows/{{WorkflowSid}}/Statistics", 200,
     {**SCOPE, "workflow_sid": shapes.sid("WW"), "realtime": shapes.as_json(shapes.WORKFLOW_REAL_TIME),
      "cumulative": shapes.as_json(shapes.WORKFLOW_CUMULATIVE)},
     lambda w: w.context.workflows(w.a_workflow.sid).statistics().fetch(**STATISTICS_INTERVAL)),

    ("FetchWorkspaceCumulativeStatistics", "GET", f"{W}/CumulativeStatistics", 200, {**SCOPE, **shapes.WORKSPACE_CUMULATIVE},
     lambda w: w.context.cumulative_statistics().fetch(**STATISTICS_INTERVAL)),
    ("FetchWorkspaceRealTimeStatistics", "GET", f"{W}/RealTimeStatistics", 200, {**SCOPE, **shapes.WORKSPACE_REAL_TIME},
     lambda w: w.context.real_time_statistics().fetch()),
    ("FetchWorkspaceStatistics", "GET", f"{W}/Statistics", 200,
     {**SCOPE, "realtime": shapes.as_json(shapes.WORKSPACE_REAL_TIME), "cumulative": shapes.as_json(shapes.WORKSPACE_CUMULATIVE)},
     lambda w: w.context.statistics().fetch(**STATISTICS_INTERVAL)),
]  # fmt: skip


def test_the_table_has_every_operation_once():
    identifiers = [operation[0] for operation in OPERATIONS]
    assert len(identifiers) == len(set(identifiers)) == 61


@pytest.mark.parametrize(
    "identifier, method, path, status, shape, call", OPERATIONS, ids=[row[0] for row in OPERATIONS]
)
def test_operation(w, identifier, method, path, status, shape, call):
    result = call(w)
    exchange = last(w.client)

    pattern = re.sub(r"\{\w+\}", r"[A-Za-z0-9_]+", path)
    assert exchange.method == method
    assert re.fullmatch(pattern, exchange.path), exchange.path
    assert exchange.status == status

    if shape is None:
        assert result is True
        assert exchange.text == ""
        return

    assert exchange.headers["Content-Type"] == "application/json; charset=utf-8"
    if isinstance(result, list):
        payload = exchange.json
        assert set(payload) == {"meta", payload["meta"]["key"]}
        items = payload[payload["meta"]["key"]]
        assert len(items) == len(result) > 0
        for instance, item in zip(result, items, strict=True):
            assert_shape(instance, item, shape)
    else:
        assert_shape(result, exchange.json, shape)


LISTS = {
    "ListWorkspace": "workspaces",
    "ListActivity": "activities",
    "ListEvent": "events",
    "ListTask": "tasks",
    "ListTaskReservation": "reservations",
    "ListTaskChannel": "channels",
    "ListTaskQueue": "task_queues",
    "ListTaskQueuesStatistics": "task_queues_statistics",
    "ListWorker": "workers",
    "ListWorkerChannel": "channels",
    "ListWorkerReservation": "reservations",
    "ListWorkflow": "workflows",
}


@pytest.mark.parametrize("identifier, key", LISTS.items(), ids=LISTS.keys())
def test_a_list_names_its_array(w, identifier, key):
    (call,) = [operation[5] for operation in OPERATIONS if operation[0] == identifier]
    call(w)
    meta = last(w.client).json["meta"]
    assert meta["key"] == key
    assert set(meta) == {"page", "page_size", "first_page_url", "previous_page_url", "url", "next_page_url", "key"}


def test_every_link_of_every_resource_leads_somewhere(w):
    resources = [
        w.context.fetch(),
        w.context.activities(w.an_activity.sid).fetch(),
        w.context.workers(w.a_worker.sid).fetch(),
        w.context.task_channels(w.a_channel.sid).fetch(),
        w.context.task_queues(w.a_queue.sid).fetch(),
        w.context.workflows(w.a_workflow.sid).fetch(),
        w.context.tasks(w.a_task.sid).fetch(),
        w.context.tasks(w.a_task.sid).reservations(w.a_reservation.sid).fetch(),
    ]
    for resource in resources:
        assert w.client.request("GET", resource.url).status_code == 200, resource.url
        for name, url in resource.links.items():
            expected = 405 if name == "bulk_real_time_statistics" else 200
            assert w.client.request("GET", url).status_code == expected, (name, url)


def test_the_urls_of_an_event_and_a_worker_channel_lead_somewhere(w):
    channel = w.context.workers(w.a_worker.sid).worker_channels("default").fetch()
    created = next(event for event in w.events(task_sid=w.a_task.sid) if event.event_type == "task.created")
    for url in (channel.url, created.url, created.resource_url, created.actor_url):
        assert w.client.request("GET", url).status_code == 200, url
