"""A workspace of its own for each test, and short words for what tests do with it."""

import json
import uuid
from functools import cached_property

from twilio.base.exceptions import TwilioRestException
from twilio.rest import Client

from .clock import Clock


def unique(name: str) -> str:
    return f"{name} {uuid.uuid4().hex[:8]}"


class World:
    """One workspace. The members are the official library's own objects; nothing is wrapped."""

    def __init__(self, client: Client, **parameters):
        self.client = client
        self.workspaces = client.taskrouter.v1.workspaces
        self.workspace = self.workspaces.create(friendly_name=unique("Conformance"), **parameters)
        self.sid = self.workspace.sid

    @property
    def context(self):
        return self.workspaces(self.sid)

    def delete(self) -> None:
        try:
            self.context.delete()
        except TwilioRestException as error:
            if error.status != 404:
                raise

    @cached_property
    def activities(self) -> dict[str, str]:
        """SIDs of the Activities by name, as of the first look."""
        return {activity.friendly_name: activity.sid for activity in self.context.activities.list()}

    def activity(self, friendly_name: str, available: bool):
        activity = self.context.activities.create(friendly_name=friendly_name, available=available)
        self.activities[friendly_name] = activity.sid
        return activity

    def worker(self, friendly_name: str, attributes: dict | None = None, activity: str = "Available"):
        return self.context.workers.create(
            friendly_name=friendly_name,
            attributes=json.dumps(attributes or {}),
            activity_sid=self.activities[activity],
        )

    def move(self, worker, activity: str, **parameters):
        """Moves a Worker to the Activity of that name."""
        return self.context.workers(worker.sid).update(activity_sid=self.activities[activity], **parameters)

    def queue(self, friendly_name: str, target_workers: str = "1==1", **parameters):
        return self.context.task_queues.create(friendly_name=friendly_name, target_workers=target_workers, **parameters)

    def workflow(self, friendly_name: str, configuration: dict, **parameters):
        return self.context.workflows.create(
            friendly_name=friendly_name, configuration=json.dumps({"task_routing": configuration}), **parameters
        )

    def task(self, attributes: dict | None = None, **parameters):
        return self.context.tasks.create(attributes=json.dumps(attributes or {}), **parameters)

    def fetch(self, task):
        return self.context.tasks(task.sid).fetch()

    def reservations(self, task) -> list:
        """The reservations of a Task, oldest first."""
        return self.context.tasks(task.sid).reservations.list()

    def offer(self, task):
        """The one pending reservation of a Task."""
        pending = self.context.tasks(task.sid).reservations.list(reservation_status="pending")
        assert len(pending) == 1, [(r.worker_name, r.reservation_status) for r in self.reservations(task)]
        return pending[0]

    def offered_to(self, task) -> str:
        return self.offer(task).worker_name

    def answer(self, task, status: str, **parameters):
        """Answers the one pending reservation of a Task."""
        return self.offer(task).update(reservation_status=status, **parameters)

    def accept(self, task):
        return self.answer(task, "accepted")

    def complete(self, task, reason: str = "done"):
        return self.context.tasks(task.sid).update(assignment_status="completed", reason=reason)

    def version(self, kind: str, sid: str) -> int:
        """The version of a Task or Worker, from the ETag of a GET."""
        return version_of(getattr(self.context, kind)(sid).fetch_with_http_info().headers)

    def events(self, **filters) -> list:
        """Every event of the last days, oldest first."""
        return list(reversed(self.context.events.list(minutes=100_000, page_size=1000, **filters)))

    def event_types(self, **filters) -> list[str]:
        return [event.event_type for event in self.events(**filters)]


def version_of(headers) -> int:
    """The version in an answer's ETag, which is a strong tag of decimal digits."""
    tags = [value for name, value in headers.items() if name.lower() == "etag"]
    assert len(tags) == 1, headers
    tag = tags[0]
    assert tag.startswith('"') and tag.endswith('"') and tag[1:-1].isdecimal(), tag
    return int(tag[1:-1])


class Office(World):
    """The fixture that the scenarios of the routing reference share: Ann, Bob and Cid, three queues, one workflow.

    Ann and Bob do support, Ann and Cid do sales; Ann is idle longest, then Bob, then Cid.
    """

    def __init__(self, client: Client, clock: Clock, **parameters):
        super().__init__(client, **parameters)
        self.clock = clock
        if "Available" not in self.activities:
            self.activity("Available", available=True)  # A single-tasking workspace starts without one.
        self.activity("Focus", available=True)
        self.activity("Break", available=False)
        self.ann = self.worker("Ann", {"skills": ["support", "sales"], "lvl": 5})
        clock.advance(100)
        self.bob = self.worker("Bob", {"skills": ["support"], "lvl": 8})
        clock.advance(100)
        self.cid = self.worker("Cid", {"skills": ["sales"]})
        clock.advance(100)
        self.support_queue = self.queue("QSup", "skills HAS 'support'")
        self.sales_queue = self.queue("QSal", "skills HAS 'sales'")
        self.all_queue = self.queue("QAll", "1==1")
        self.flow = self.workflow("WF", self.configuration(), task_reservation_timeout=120)
        self.seen = len(self.events())
        self.started = clock.now()

    def configuration(self, first_steps=None, second_steps=None, default=True, filters=None) -> dict:
        """The fixture's workflow; scenarios replace the steps of a filter, all filters, or leave the default out."""
        queues = {"support": self.support_queue.sid, "sales": self.sales_queue.sid, "all": self.all_queue.sid}

        def named(steps):
            return [{**step, **({"queue": queues[step["queue"]]} if "queue" in step else {})} for step in steps]

        if first_steps is None:
            first_steps = [{"queue": "support", "timeout": 30}, {"queue": "all", "priority": 10, "timeout": 60}]
        if filters is None:
            filters = [
                {"filter_friendly_name": "F1", "expression": "type == 'support'", "targets": first_steps},
                {
                    "filter_friendly_name": "F2",
                    "expression": "type == 'sales'",
                    "targets": second_steps or [{"queue": "sales"}],
                },
            ]
        configuration = {"filters": [{**entry, "targets": named(entry["targets"])} for entry in filters]}
        if default:
            (step,) = named([default if isinstance(default, dict) else {"queue": "all"}])
            configuration["default_filter"] = step
        return configuration

    def route(self, **changes) -> None:
        """Replaces the workflow's configuration before the first Task."""
        configuration = json.dumps({"task_routing": self.configuration(**changes)})
        self.context.workflows(self.flow.sid).update(configuration=configuration)
        self.seen = len(self.events())

    def at(self, seconds: float) -> None:
        """Moves time to this many seconds after the start of the scenario."""
        elapsed = (self.clock.now() - self.started).total_seconds()
        assert seconds >= elapsed, f"it is already {elapsed} s"
        self.clock.advance(round(seconds - elapsed, 3))

    def on_break(self, *workers) -> None:
        """Sets the scene: these Workers are unavailable from the start."""
        for worker in workers:
            self.move(worker, "Break")
        self.seen = len(self.events())

    def create(self, kind: str | None, **attributes_and_parameters):
        """A Task of this type; capital letters never occur in attributes, so parameters are told apart by name."""
        parameters = {
            name: attributes_and_parameters.pop(name)
            for name in ("priority", "timeout", "task_channel", "virtual_start_time", "routing_target")
            if name in attributes_and_parameters
        }
        for name in ("ignore_capacity", "task_queue_sid"):
            if name in attributes_and_parameters:
                parameters[name] = attributes_and_parameters.pop(name)
        return self.task({"type": kind, **attributes_and_parameters}, workflow_sid=self.flow.sid, **parameters)

    def reachable(self, worker) -> None:
        """Gives a Worker a telephone."""
        attributes = json.loads(worker.attributes) | {"contact_uri": f"client:{worker.friendly_name.lower()}"}
        self.context.workers(worker.sid).update(attributes=json.dumps(attributes))

    def happened(self) -> list[str]:
        """The events since the last call, in order, with the Worker or queue where one is meant."""
        events = self.events()
        new, self.seen = events[self.seen :], len(events)
        return [described(event) for event in new]


CALLER = "CA" + "c" * 32


def inbound(office: Office, **attributes):
    """A Task of a call that waits."""
    given = {"call_sid": CALLER, "from": "+15550111", "to": "+15550100"}
    return office.create("support", **{**given, **attributes})


def described(event) -> str:
    """An event as the scenarios write it: its type and what it is about."""
    data = event.event_data
    kind = event.event_type
    if kind.startswith("reservation.") and "worker_name" in data:
        return f"{kind} {data['worker_name']}"
    if kind == "worker.activity.update":
        return f"{kind} {data['worker_name']} {data['worker_previous_activity_name']}->{data['worker_activity_name']}"
    if kind.startswith("worker."):
        return f"{kind} {data['worker_name']}"
    if kind.startswith("task-queue."):
        return f"{kind} {data['task_queue_name']}"
    return kind
