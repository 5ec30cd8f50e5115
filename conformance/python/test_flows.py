"""The events of every flow, word by word, as callbacks and as the Events resource, against `conformance/golden/`.

Reference: events and callbacks, sections 2 to 4 and 14. The sets of parameters, their forms and what follows from the
type are checked by `support/event_shapes.py`, which is written from the tables; the golden files hold the rest and were
read against the reference before they were kept. `UPDATE_GOLDEN=1` writes them anew: read the difference.
"""

import difflib
import json
import os
import re
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path

import pytest
from conftest import Wire
from support.client import connect
from support.clock import Clock
from support.errors import refused
from support.event_shapes import (
    CHANNEL,
    NOTHING,
    OUTSIDE_DATA,
    QUEUE,
    TRANSFER_TYPES,
    TYPES,
    WORKFLOW,
    faults,
    names,
    snake,
)
from support.receiver import NO_CONTENT
from support.server import ACCOUNT_SID, Server
from support.transcript import Transcript
from support.world import CALLER, Office, inbound

GOLDEN = Path(__file__).resolve().parents[1] / "golden"
JSON = "application/json"
COLLECTIONS = {
    "task": "Tasks",
    "worker": "Workers",
    "task-queue": "TaskQueues",
    "workflow": "Workflows",
    "activity": "Activities",
    "task-channel": "TaskChannels",
}


class Flow:
    """The office with a receiver of all its events, and what happens in it since `begin`."""

    def __init__(self, stage, receiver, **parameters):
        self.clock = Clock(stage.url)
        self.wire = Wire(stage.url)
        self.receiver = receiver
        self.office = Office(connect(stage.url), self.clock, event_callback_url=receiver.url + "/events", **parameters)
        self.context = self.office.context
        self.context.update(friendly_name="Office")
        self.base = f"{stage.url}/v1/Workspaces/{self.office.sid}"
        self.steps: list[tuple[int, str]] = []
        self.told_assignments: list[tuple[int, dict]] = []
        self.zero_ms = 0

    def begin(self) -> None:
        """The scene is set: what happens from now on is told. Second 0 is a whole one."""
        fraction = self.clock.now().microsecond // 1000
        if fraction:
            self.clock.advance((1000 - fraction) / 1000)
        self.office.started = self.clock.now()
        self.zero_ms = round(self.office.started.timestamp() * 1000)
        self.clock.quiet()
        self.first = len(self.events())

    def events(self) -> list[dict]:
        """All events of the Events resource, oldest first."""
        found, url = [], f"{self.base}/Events?Minutes=100000&PageSize=1000"
        while url:
            page = self.wire("GET", url).json()
            found += page["events"]
            url = page["meta"]["next_page_url"]
        return found[::-1]

    def at(self, seconds: float, text: str) -> None:
        """Time passes; what then happens is told below the text."""
        self.steps.append((len(self.events()), f"at {seconds}: {text}"))
        self.office.at(seconds)

    def now(self, text: str) -> None:
        self.steps.append((len(self.events()), text))

    def skip_to_last(self, count: int, text: str) -> None:
        """Leaves out all that happened so far but the last events."""
        self.first = len(self.events()) - count
        self.steps = [(self.first, text)]

    def tell_assignments(self) -> None:
        """Tells the assignment callbacks so far, each once."""
        self.clock.quiet()
        known = len(self.told_assignments)
        for callback in self.receiver.callbacks("/assign")[known:]:
            self.told_assignments.append((len(self.events()), callback.parameters))

    def text(self, events: list[dict]) -> str:
        """The golden text."""
        transcript = Transcript(self.zero_ms)
        steps, assignments = list(self.steps), list(self.told_assignments)
        for index in range(self.first, len(events) + 1):
            while assignments and assignments[0][0] == index:
                transcript.tell("assignment callback", assignments.pop(0)[1])
            while steps and steps[0][0] == index:
                transcript.say(steps.pop(0)[1])
            if index < len(events):
                event = events[index]
                cause = f"a request from {event['source_ip_address']}" if event["source_ip_address"] else "no request"
                transcript.tell(f"{event['event_type']}, by {cause}", as_form(event))
        assert not steps and not assignments
        return transcript.text()

    def delete(self) -> None:
        self.office.delete()


def as_form(event: dict) -> dict[str, str]:
    """The parameters that the callback of an event of the Events resource must have, by the naming rule."""
    seconds = event["event_date_ms"] // 1000
    return {
        "Sid": event["sid"],
        "EventType": event["event_type"],
        "AccountSid": event["account_sid"],
        "EventDescription": event["description"],
        "ResourceType": event["resource_type"],
        "ResourceSid": event["resource_sid"],
        "Timestamp": str(seconds),
        "TimestampMs": str(event["event_date_ms"]),
        **{pascal(key): value for key, value in event["event_data"].items()},
    }


def pascal(key: str) -> str:
    name = "".join(word.capitalize() for word in key.split("_"))
    assert snake(name) == key
    return name


def check_callbacks(flow: Flow, events: list[dict]) -> None:
    """Every event was told exactly once, as the Events resource has it, in order for each Task and each Worker."""
    callbacks = flow.receiver.callbacks("/events")
    by_sid = {callback["Sid"]: callback for callback in callbacks}
    assert len(by_sid) == len(callbacks) == len(events)
    for event in events:
        callback = by_sid[event["sid"]]
        assert callback.is_signed()
        assert callback.parameter_count == len(callback.parameters)
        assert callback.parameters == as_form(event)
    assert by_key(callbacks) == by_key([by_sid[event["sid"]] for event in events])


def by_key(callbacks) -> dict[str, list[str]]:
    """The order that a receiver may rely on."""
    keys = defaultdict(list)
    for callback in callbacks:
        parameters = callback.parameters
        key = parameters.get("TaskSid") or parameters.get("WorkerSid") or parameters["WorkspaceSid"]
        keys[key].append(callback["Sid"])
    return keys


def check_resource(base: str, event: dict) -> None:
    """What the Events resource says beside the parameters. Reference: events and callbacks, section 5."""
    workspace_sid = base.rsplit("/", 1)[1]
    kind, sid, data = event["resource_type"], event["resource_sid"], event["event_data"]
    if kind == "workspace":
        resource_url = base
    elif kind == "reservation":
        resource_url = f"{base}/Tasks/{data['task_sid']}/Reservations/{sid}"
    else:
        resource_url = f"{base}/{COLLECTIONS[kind]}/{sid}"
    envelope = {snake(name) for name in OUTSIDE_DATA}
    assert not envelope & set(data), "the envelope stands beside the data"
    assert {
        name: value for name, value in event.items() if name not in ("event_data", "description", "event_type")
    } == {
        "account_sid": ACCOUNT_SID,
        "workspace_sid": workspace_sid,
        "sid": event["sid"],
        "resource_type": kind,
        "resource_sid": sid,
        "resource_url": resource_url,
        "actor_type": "workspace",
        "actor_sid": workspace_sid,
        "actor_url": base,
        "source": "twilio",
        "source_ip_address": event["source_ip_address"],
        "event_date": event["event_date"],
        "event_date_ms": event["event_date_ms"],
        "url": f"{base}/Events/{event['sid']}",
    }
    assert event["source_ip_address"] in (None, "127.0.0.1")
    assert data["workspace_sid"] == workspace_sid


def compare(name: str, text: str) -> None:
    """Compares with the golden file, or writes it."""
    path = GOLDEN / f"{name}.txt"
    if os.environ.get("UPDATE_GOLDEN"):
        GOLDEN.mkdir(exist_ok=True)
        path.write_text(text, encoding="utf-8")
    golden = path.read_text(encoding="utf-8") if path.exists() else ""
    if text != golden:
        difference = difflib.unified_diff(golden.splitlines(), text.splitlines(), "reference", "server", lineterm="")
        pytest.fail("\n".join(difference), pytrace=False)


# The flows. Ann is idle longest, then Bob, then Cid; the first filter goes to QSup for 30 s, then to QAll for 60 s.

FLOWS: dict[str, tuple[Callable[[Flow], None], frozenset[str], dict]] = {}


def flow_of(*, without: frozenset[str] = NOTHING, **parameters):
    """Registers a flow.

    - `without`: what some of its Tasks have not, so that their events omit it.
    - `parameters`: of the Workspace.
    """

    def register(function):
        FLOWS[function.__name__.replace("_", "-")] = (function, without, parameters)
        return function

    return register


@flow_of()
def happy_path(flow):
    flow.receiver.answers["/assign"] = NO_CONTENT
    flow.context.workflows(flow.office.flow.sid).update(assignment_callback_url=flow.receiver.url + "/assign")
    flow.begin()
    flow.now("a Task is made")
    task = flow.office.create("support", name="Zoë & Co")
    flow.tell_assignments()
    flow.at(5.25, "Ann accepts")
    flow.office.accept(task)
    flow.at(60, "wrap up")
    flow.context.tasks(task.sid).update(assignment_status="wrapping", reason="after call work")
    flow.at(90, "complete")
    flow.office.complete(task, reason="solved")
    flow.at(390, "five minutes later it is gone")


@flow_of()
def completed_through_its_reservation(flow):
    flow.begin()
    task = flow.office.create("support")
    offer = flow.office.accept(task)
    reservation = flow.context.tasks(task.sid).reservations(offer.sid)
    flow.at(10, "Ann wraps up her reservation")
    reservation.update(reservation_status="wrapping")
    flow.at(20, "Ann completes her reservation")
    reservation.update(reservation_status="completed")


@flow_of(multi_task_enabled=False, without=CHANNEL)
def single_tasking(flow):
    office = flow.office
    for queue in (office.support_queue, office.all_queue):
        flow.context.task_queues(queue.sid).update(
            reservation_activity_sid=office.activities["Reserved"], assignment_activity_sid=office.activities["Busy"]
        )
    flow.context.task_queues(office.support_queue.sid).update(max_reserved_workers=2)
    flow.begin()
    flow.now("a Task is offered to two")
    task = office.create("support")
    flow.at(5, "Ann rejects, Bob accepts")
    of_ann, of_bob = office.reservations(task)
    of_ann.update(reservation_status="rejected")
    of_bob.update(reservation_status="accepted")
    flow.at(20, "complete")
    office.complete(task)
    flow.now("the next goes to Ann, who lets it run out")
    office.create("support")
    flow.at(140, "the offer runs out")


@flow_of()
def rejected(flow):
    flow.begin()
    flow.now("a Task is made")
    task = flow.office.create("support")
    flow.at(3, "Ann rejects")
    flow.office.answer(task, "rejected")
    flow.at(6, "Bob rejects and goes on break")
    flow.office.answer(task, "rejected", worker_activity_sid=flow.office.activities["Break"])


@flow_of()
def reservation_timeout(flow):
    flow.office.on_break(flow.office.bob, flow.office.cid)
    flow.office.route(first_steps=[{"queue": "support"}])
    flow.begin()
    flow.now("a Task is made")
    flow.office.create("support")
    flow.at(120, "Ann did not answer")
    flow.at(130, "Bob comes back")
    flow.office.move(flow.office.bob, "Available")


@flow_of()
def multi_reservation(flow):
    office = flow.office
    flow.context.task_queues(office.all_queue.sid).update(max_reserved_workers=5)
    flow.begin()
    flow.now("a Task is offered to three")
    task = office.create(None)
    of_ann, of_bob, of_cid = office.reservations(task)
    flow.at(2, "Cid rejects: it stays reserved")
    of_cid.update(reservation_status="rejected")
    flow.at(4, "Bob accepts, Ann is too late")
    of_bob.update(reservation_status="accepted")
    with refused(410, 20410):
        of_ann.update(reservation_status="accepted")


@flow_of()
def canceled_while_reserved(flow):
    office = flow.office
    flow.context.task_queues(office.all_queue.sid).update(max_reserved_workers=2)
    flow.begin()
    flow.now("one is canceled with a reason")
    task = office.create(None)
    flow.context.tasks(task.sid).update(assignment_status="canceled", reason="no longer needed")
    flow.now("one is canceled without")
    task = office.create("support")
    flow.context.tasks(task.sid).update(assignment_status="canceled")


@flow_of()
def lifetime_exceeded(flow):
    flow.begin()
    flow.now("a Task that lives for a minute")
    flow.office.create("support", timeout=60)
    flow.at(60, "its minute is over while it is offered")
    flow.at(360, "five minutes later it is gone")


@flow_of()
def offered_too_often(flow):
    office = flow.office
    office.on_break(office.bob, office.cid)
    flow.receiver.answers["/assign"] = (200, JSON, '{"instruction":"reject"}')
    flow.context.workflows(office.flow.sid).update(assignment_callback_url=flow.receiver.url + "/assign")
    flow.begin()
    office.create("support")
    flow.clock.quiet()
    flow.skip_to_last(4, "the application rejects for Ann, a thousand times")


@flow_of()
def deleted(flow):
    office = flow.office
    office.on_break(office.bob, office.cid)
    flow.context.workers(office.ann.sid).worker_channels("default").update(capacity=3)
    flow.begin()
    flow.now("three Tasks for Ann: offered, accepted, wrapped up; a fourth waits")
    offered, accepted, wrapped, waiting = (office.create("support", number=number) for number in range(4))
    office.accept(accepted)
    office.accept(wrapped)
    flow.context.tasks(wrapped.sid).update(assignment_status="wrapping")
    for text, task in (("waiting", waiting), ("offered", offered), ("accepted", accepted), ("wrapped up", wrapped)):
        flow.now(f"the one that is {text} is deleted")
        flow.context.tasks(task.sid).delete()


@flow_of()
def pending_reservations_rejected(flow):
    office = flow.office
    flow.context.workers(office.ann.sid).worker_channels("default").update(capacity=2)
    office.on_break(office.bob)
    flow.begin()
    flow.now("two Tasks are offered to Ann")
    office.create("support", number=1)
    office.create("support", number=2)
    flow.now("Bob comes back")
    office.move(office.bob, "Available")
    flow.at(5, "Ann leaves and rejects what she was offered")
    office.move(office.ann, "Break", reject_pending_reservations=True)


@flow_of()
def target_timeout(flow):
    office = flow.office
    office.on_break(office.ann, office.bob, office.cid)
    steps = [
        {"queue": "support", "timeout": 30, "target_friendly_name": "at once"},
        {"queue": "support", "timeout": 20, "priority": 5, "expression": "worker.lvl > 3"},
        {"queue": "all", "priority": 10},
    ]
    office.route(first_steps=steps)
    flow.begin()
    flow.now("a Task is made while nobody is there")
    office.create("support")
    flow.at(30, "the first step runs out: the same queue again")
    flow.at(50, "the second step runs out: another queue")
    flow.at(55, "Cid comes back")
    office.move(office.cid, "Available")


@flow_of()
def end_of_workflow(flow):
    office = flow.office
    office.on_break(office.ann, office.bob, office.cid)
    office.route(first_steps=[{"queue": "support", "timeout": 10}])
    flow.begin()
    flow.now("a Task is made while nobody is there")
    office.create("support")
    flow.at(10, "its only step runs out")


@flow_of()
def skipped(flow):
    office = flow.office
    office.on_break(office.ann, office.bob, office.cid)
    office.route(
        first_steps=[
            {"queue": "support", "skip_if": "1==1", "priority": 3},
            {"queue": "sales", "skip_if": "workers.available == 0"},
        ],
        default=False,
    )
    flow.begin()
    flow.now("a Task is made while nobody is there: it is skipped on, and out")
    office.create("support")


@flow_of(without=QUEUE)
def nothing_matched(flow):
    flow.office.route(default=False)
    flow.begin()
    flow.now("a Task is made that no filter takes")
    flow.office.create("other")


@flow_of(without=WORKFLOW)
def direct_worker(flow):
    office = flow.office
    flow.context.task_queues(office.all_queue.sid).update(target_workers="1==2")
    flow.context.task_queues(office.support_queue.sid).update(target_workers="1==2")
    office.workflow("Second", {"default_filter": {"queue": office.all_queue.sid}})
    office.on_break(office.ann)
    flow.begin()
    flow.now("a Task for Ann, who is on break, and she rejects it")
    rejected = office.task({"for": "Ann"}, routing_target=office.ann.sid)
    office.answer(rejected, "rejected")
    flow.now("another, in a queue, that she does not answer")
    office.task({"for": "Ann"}, routing_target=office.ann.sid, task_queue_sid=office.support_queue.sid)
    flow.at(120, "the offer runs out")
    flow.now("one that keeps to her capacity, and is never offered")
    office.task({"for": "Ann"}, routing_target=office.ann.sid, ignore_capacity="false", timeout=60)
    flow.at(180, "its time is over")
    flow.now("two for Ann, one of them offered; she is deleted")
    office.task({"for": "Ann"}, routing_target=office.ann.sid, task_channel="chat")
    office.task({"for": "Ann"}, routing_target=office.ann.sid, ignore_capacity="false")
    flow.context.workers(office.ann.sid).delete()


@flow_of(without=WORKFLOW)
def direct_queue(flow):
    office = flow.office
    office.workflow("Second", {"default_filter": {"queue": office.all_queue.sid}})
    flow.begin()
    flow.now("a Task for a queue")
    task = office.task({}, routing_target=office.support_queue.sid, priority=4)
    office.accept(task)


@flow_of()
def capacity_and_availability(flow):
    office = flow.office
    office.on_break(office.bob, office.cid)
    ann = flow.context.workers(office.ann.sid).worker_channels("default")
    flow.begin()
    flow.now("two Tasks, and Ann does one at a time")
    first = office.create("support", number=1)
    office.accept(first)
    office.create("support", number=2)
    flow.at(5, "she does two, then closes the channel")
    ann.update(capacity=2)
    ann.update(available=False)
    flow.at(10, "both at once")
    ann.update(capacity=5, available=True)
    flow.now("nothing new: no event")
    ann.update(capacity=5, available=True)


@flow_of()
def target_workers_changed(flow):
    office = flow.office
    office.on_break(office.ann, office.bob)
    flow.begin()
    flow.now("a Task waits")
    office.create("support")
    flow.at(5, "Cid may do it from now on")
    flow.context.task_queues(office.support_queue.sid).update(target_workers="1==1")
    flow.now("other changes of a queue are not told")
    flow.context.task_queues(office.support_queue.sid).update(friendly_name="Help", max_reserved_workers=3)


@flow_of()
def workflow_updated(flow):
    office = flow.office
    office.on_break(office.ann, office.bob, office.cid)
    flow.begin()
    flow.now("two Tasks wait")
    office.create("support")
    office.create("sales")
    flow.at(5, "the Workflow changes, for them too")
    configuration = json.dumps({"task_routing": office.configuration(first_steps=[{"queue": "all", "priority": 7}])})
    flow.context.workflows(office.flow.sid).update(configuration=configuration, re_evaluate_tasks="true")


@flow_of()
def attributes_changed(flow):
    office = flow.office
    office.on_break(office.ann, office.bob)
    flow.begin()
    flow.now("a Task waits in QSup")
    task = flow.context.tasks(office.create("support").sid)
    flow.at(5, "a remark: it stays")
    task.update(attributes='{"type":"support","remark":"urgent"}')
    flow.at(6, "the same again: nothing")
    task.update(attributes='{"remark":"urgent","type":"support"}')
    flow.at(7, "it is about sales: Cid gets it")
    task.update(attributes='{"type":"sales"}')
    flow.at(8, "support after all: remembered while it is offered")
    task.update(attributes='{"type":"support"}', priority=3)
    flow.at(9, "Cid rejects")
    office.answer(task.fetch(), "rejected")


@flow_of()
def known_worker(flow):
    office = flow.office
    office.route(
        first_steps=[{"queue": "support", "known_worker_sid": "task.agent", "timeout": 10}, {"queue": "support"}]
    )
    office.on_break(office.bob)
    flow.begin()
    flow.now("a Task for Bob, whom it knows")
    office.create("support", agent=office.bob.sid)
    flow.at(4, "Bob comes back")
    office.move(office.bob, "Available")


@flow_of()
def callback_failed(flow):
    office = flow.office
    office.on_break(office.bob, office.cid)
    answers = iter([(500, JSON, "")])
    flow.receiver.answers["/assign"] = lambda callback: next(answers, (200, JSON, '{"instruction":"accept"}'))
    flow.context.workflows(office.flow.sid).update(assignment_callback_url=flow.receiver.url + "/assign")
    flow.begin()
    flow.now("a Task is made and the application is down")
    office.create("support")
    flow.tell_assignments()
    flow.at(1, "a second later it is up")
    flow.tell_assignments()


def called(flow, instruction: str, task=None, **parameters):
    """A Task whose reservation was given an instruction that calls Ann; its request and her call."""
    office = flow.office
    office.reachable(office.ann)
    flow.begin()
    flow.now(f"a call comes in, and the application answers with {instruction}" if task is None else "a Task is made")
    task = task() if task else inbound(office)
    office.offer(task).update(instruction=instruction, **parameters)
    flow.clock.quiet()
    path = "/Calls" if instruction == "dequeue" else f"/Conferences/{task.sid}/Participants"
    (request,) = flow.voice.asked(path)
    return task, request, flow.voice.calls[request.token]


@flow_of()
def dequeue(flow):
    _, request, call = called(flow, "dequeue", dequeue_post_work_activity_sid=flow.office.activities["Break"])
    flow.at(4, "Ann answers")
    flow.voice.report(request, call, "in-progress")
    flow.at(64, "the conversation is over")
    flow.voice.report(request, call, "completed", CallDuration="60")


FLOWS["dequeue-single-tasking"] = (dequeue, CHANNEL, {"multi_task_enabled": False})


@flow_of()
def dequeue_not_answered(flow):
    flow.office.on_break(flow.office.bob, flow.office.cid)
    _, request, call = called(flow, "dequeue")
    flow.at(20, "Ann is busy")
    flow.voice.report(request, call, "busy", ErrorCode="13223")


@flow_of()
def conference(flow):
    _, request, call = called(flow, "conference")
    flow.at(4, "Ann answers")
    flow.voice.report(request, call, "in-progress")
    flow.at(5, "the caller has joined")
    flow.voice.conference(request, "CF" + "d" * 32, "participant-join", CallSid=CALLER)
    flow.at(65, "Ann leaves")
    flow.voice.conference(request, "CF" + "d" * 32, "participant-leave", CallSid=call)


@flow_of()
def hangup(flow):
    task, request, call = called(flow, "conference")
    flow.at(4, "Ann answers, but the caller has hung up")
    flow.voice.answers[f"/Calls/{CALLER}"] = (404, {"code": 20404, "message": "not in progress"})
    flow.voice.report(request, call, "in-progress")


@flow_of()
def outbound(flow):
    task, request, call = called(
        flow,
        "conference",
        lambda: flow.office.create("support", outbound_to="+15550123", **{"from": "+15550100"}),
    )
    flow.at(4, "Ann answers, and the customer is called")
    flow.voice.report(request, call, "in-progress")


@flow_of()
def worker(flow):
    office = flow.office
    flow.begin()
    flow.now("Dan comes")
    dan = office.worker("Dan", {"skills": ["support"]}, activity="Offline")
    flow.at(0.9, "he starts")
    office.move(dan, "Available")
    flow.at(60, "he starts again: nothing")
    office.move(dan, "Available")
    flow.now("he learns, and is renamed")
    one = flow.context.workers(dan.sid)
    one.update(attributes='{"skills":["support","sales"]}')
    one.update(friendly_name="Daniel")
    flow.now("everything at once")
    one.update(attributes="{}", friendly_name="Dan", activity_sid=office.activities["Break"])
    flow.now("Ann is deleted while she is offered a Task")
    office.create("support")
    office.move(office.ann, "Break")
    flow.context.workers(office.ann.sid).delete()


@flow_of()
def a_day_too_long(flow):
    office = flow.office
    flow.begin()
    flow.now("two Tasks are accepted; one is wrapped up")
    first = office.create("support")
    office.accept(first)
    second = office.create("support")
    office.accept(second)
    flow.context.tasks(second.sid).update(assignment_status="wrapping")
    flow.at(86_400, "a day later both are removed")


@flow_of()
def configuration(flow):
    office, context = flow.office, flow.context
    flow.begin()
    flow.now("an Activity")
    lunch = context.activities.create(friendly_name="Lunch", available=False)
    context.activities(lunch.sid).update(friendly_name="Siesta")
    context.activities(lunch.sid).delete()
    flow.now("a TaskChannel")
    fax = context.task_channels.create(friendly_name="Fax", unique_name="fax", channel_optimized_routing=True)
    context.task_channels(fax.sid).update(friendly_name="Telefax", channel_optimized_routing=False)
    context.task_channels(fax.sid).delete()
    flow.now("a TaskQueue")
    french = office.queue("French", 'langs HAS "fr"')
    context.task_queues(french.sid).update(target_workers='langs HAS "fr" OR vip == true')
    context.task_queues(french.sid).delete()
    flow.now("a Workflow")
    inbound = office.workflow("Inbound", {"default_filter": {"queue": office.all_queue.sid}})
    context.workflows(inbound.sid).update(friendly_name="Outbound")
    context.workflows(inbound.sid).delete()
    flow.now("the Workspace")
    context.update(timeout_activity_sid=office.activities["Break"])


@flow_of(without=names("TaskQueueTargetExpression"))
def queue_without_members(flow):
    office = flow.office
    flow.begin()
    flow.now("a queue that nobody is in, and a Task for it")
    nobody = office.queue("Nobody", "")
    office.task({}, routing_target=nobody.sid, workflow_sid=office.flow.sid)
    flow.now("somebody may be in it from now on")
    flow.context.task_queues(nobody.sid).update(target_workers="friendly_name == 'Bob'")


# The tests


@pytest.fixture(scope="module")
def stage(tmp_path_factory, voice_api):
    """A server of their own: flows take days of virtual time."""
    environment = voice_api.environment()
    data = tmp_path_factory.mktemp("flows") / "data"
    server = Server(data, "--clock", "virtual", "--in-memory", environment=environment).start()
    yield server
    assert server.stop() == 0, server.log()


@pytest.mark.parametrize("name", FLOWS)
def test_a_flow_tells_what_its_golden_file_says(name, stage, receiver, voice):
    act, without, parameters = FLOWS[name]
    flow = Flow(stage, receiver, **parameters)
    flow.voice = voice
    try:
        act(flow)
        flow.clock.quiet()
        events = flow.events()
        check_callbacks(flow, events)
        for event in events:
            check_resource(flow.base, event)
        problems = [problem for event in events for problem in faults_unless_absent(as_form(event), without)]
        assert not problems, problems
        compare(name, flow.text(events))
    finally:
        flow.delete()


def faults_unless_absent(parameters: dict[str, str], without: frozenset[str]) -> list[str]:
    """What is wrong with an event of a flow some of whose Tasks lack something; others have all of it."""
    if "TaskSid" not in parameters:
        without &= {"TaskQueueTargetExpression"}
    return faults(parameters, without if without.isdisjoint(parameters) else NOTHING)


def test_the_life_of_a_workspace(stage, receiver):
    clock, wire = Clock(stage.url), Wire(stage.url)
    clock.advance((1000 - clock.now().microsecond // 1000) / 1000)
    zero_ms = round(clock.now().timestamp() * 1000)
    form = {"FriendlyName": "Support", "EventCallbackUrl": receiver.url + "/events", "Template": "FIFO"}
    base = wire("POST", "/v1/Workspaces", data=form).json()["url"]
    clock.advance(5)
    wire("POST", base, data={"FriendlyName": "Help"})
    events = wire("GET", f"{base}/Events").json()["events"][::-1]
    clock.advance(5)
    assert wire("DELETE", base).status_code == 204
    clock.quiet()
    callbacks = receiver.callbacks("/events")
    assert [callback.parameters for callback in callbacks[:2]] == [as_form(event) for event in events]
    transcript = Transcript(zero_ms)
    for callback in callbacks:
        assert faults(callback.parameters) == []
        transcript.tell(callback["EventType"], callback.parameters)
    compare("workspace", transcript.text())


def test_the_golden_files_tell_every_type_but_those_of_transfers():
    assert {path.stem for path in GOLDEN.glob("*.txt")} == {*FLOWS, "workspace"}
    told = set()
    for path in GOLDEN.glob("*.txt"):
        told |= set(re.findall(r"^([a-z.-]+)(?:, by|$)", path.read_text(encoding="utf-8"), re.MULTILINE)) & TYPES
    assert told == TYPES - TRANSFER_TYPES
