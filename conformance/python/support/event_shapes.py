"""What each event must and may carry, written from the tables of the reference and from nothing else.

Reference: events and callbacks, sections 2 (fields), 3 (types, resources, descriptions) and 3.8 (parameters by shape).
Names are those of the form callback.
"""

import json
import re


def names(text: str) -> frozenset[str]:
    return frozenset(text.split())


ENVELOPE = names(
    "Sid EventType AccountSid WorkspaceSid WorkspaceName EventDescription ResourceType ResourceSid Timestamp"
    " TimestampMs"
)
#: In the envelope, so properties of the Event resource itself, and not in its `event_data`.
OUTSIDE_DATA = ENVELOPE - names("WorkspaceSid WorkspaceName")
QUEUE = names("TaskQueueSid TaskQueueName TaskQueueTargetExpression TaskQueueEnteredDate")
WORKFLOW = names("WorkflowSid WorkflowName")
CHANNEL = names("TaskChannelSid TaskChannelUniqueName")
TASK = (
    names(
        "OperatingUnitSid TaskSid TaskAttributes TaskAge TaskPriority TaskAssignmentStatus TaskVersion TaskDateCreated"
        " TaskVirtualStartTime TaskIgnoreCapacity"
    )
    | CHANNEL
    | QUEUE
    | WORKFLOW
)
TASK_OPTIONAL = names("TaskRoutingTarget TaskCanceledReason TaskCompletedReason Reason KnownWorkerSid")
STEP = names("WorkflowFilterName WorkflowFilterExpression")
STEP_OPTIONAL = names("WorkflowFilterTargetName WorkflowFilterTargetExpression TaskReEvaluatedReason")
CHANGE = names("PreviousTaskQueueSid PreviousTaskQueueName PreviousTaskPriority TargetChangedReason")
WORKER = names("WorkerSid WorkerName WorkerAttributes WorkerActivitySid WorkerActivityName WorkerVersion")
RESERVATION = names(
    "ReservationSid ReservationVersion ReservationStatus ReservationTimeout WorkerChannelCapacity"
    " WorkerChannelConsumedCapacity"
)
ACTIVITY_CHANGE = names(
    "WorkerPreviousActivitySid WorkerPreviousActivityName WorkerTimeInPreviousActivity WorkerTimeInPreviousActivityMs"
)
WORKER_CHANNEL = CHANNEL | names(
    "WorkerChannelAvailable WorkerChannelCapacity WorkerChannelPreviousCapacity WorkerChannelAvailableCapacity"
    " WorkerChannelTaskCount"
)
ACTIVITY = names("ActivitySid ActivityName ActivityAvailable")
TASK_CHANNEL = names("TaskChannelSid TaskChannelName TaskChannelUniqueName TaskChannelOptimizedRouting")
QUEUE_DEFINITION = names("TaskQueueSid TaskQueueName TaskQueueTargetExpression")
UNIT = names("OperatingUnitSid")
NOTHING: frozenset[str] = frozenset()

TASK_TYPES = names(
    "task.created task.updated task.canceled task.wrapup task.completed task.deleted task.system-deleted"
    " task-queue.entered task-queue.moved task-queue.timeout workflow.entered workflow.target-matched workflow.timeout"
    " workflow.skipped reservation.failed"
)
RESERVATION_TYPES = names(
    "reservation.created reservation.accepted reservation.rejected reservation.timeout reservation.canceled"
    " reservation.rescinded reservation.wrapup reservation.completed"
)
#: Made by the client SDK's routes only, which are no part of the v1 REST API.
TRANSFER_TYPES = names(
    "task.transfer-initiated task.transfer-attempt-failed task.transfer-failed task.transfer-canceled"
    " task.transfer-completed"
)
WITH_LAST_WORKER = names("task.wrapup task.completed task.deleted task.system-deleted")
WITH_STEP = names("workflow.target-matched task-queue.entered")

#: Type: what it must carry and what it may carry, beside the envelope.
OTHER_SHAPES: dict[str, frozenset[str]] = {
    "worker.created": UNIT | WORKER,
    "worker.deleted": UNIT | WORKER,
    "worker.attributes.update": UNIT | WORKER,
    "worker.activity.update": UNIT | WORKER | ACTIVITY_CHANGE,
    "worker.capacity.update": UNIT | WORKER | WORKER_CHANNEL,
    "worker.channel.availability.update": UNIT | WORKER | WORKER_CHANNEL,
    "task-queue.created": QUEUE_DEFINITION | UNIT,
    "task-queue.deleted": QUEUE_DEFINITION,
    "task-queue.expression.updated": QUEUE_DEFINITION,
    **{f"activity.{verb}": ACTIVITY for verb in ("created", "updated", "deleted")},
    **{f"task-channel.{verb}": TASK_CHANNEL for verb in ("created", "updated", "deleted")},
    **{f"workflow.{verb}": WORKFLOW for verb in ("created", "updated", "deleted")},
    **{f"workspace.{verb}": NOTHING for verb in ("created", "updated", "deleted")},
}
TYPES = TASK_TYPES | RESERVATION_TYPES | TRANSFER_TYPES | frozenset(OTHER_SHAPES)
assert len(TYPES) == 49

#: Type: how its description begins and ends, with parameters in braces. Those that are not here follow DESCRIBED_BY.
DESCRIPTIONS = {
    "reservation.timeout": "Reservation {ReservationSid} timed out",
    "reservation.failed": "Task {TaskSid} reservation failed",
    "task-queue.entered": "Task {TaskSid} entered TaskQueue {TaskQueueName}",
    "task-queue.moved": "Task {TaskSid} moved to TaskQueue *",
    "task-queue.timeout": "Task {TaskSid} timed out of TaskQueue {TaskQueueName}",
    "task-queue.expression.updated": "TaskQueue {TaskQueueName} expression updated",
    "workflow.entered": "Task {TaskSid} entered Workflow {WorkflowName}",
    "workflow.target-matched": "Task {TaskSid} matched a workflow target",
    "workflow.timeout": "Task {TaskSid} timed out of Workflow {WorkflowName}",
    "workflow.skipped": "Task {TaskSid} skipped Workflow {WorkflowName}",
    "worker.activity.update": "Worker {WorkerName} updated to {WorkerActivityName} Activity",
    "worker.attributes.update": "Worker {WorkerName} attributes updated",
    "worker.capacity.update": "Worker {WorkerName} capacity updated on channel {TaskChannelUniqueName}",
    "worker.channel.availability.update": "Worker {WorkerName} channel {TaskChannelUniqueName} availability updated",
}
DESCRIBED_BY = {
    "task": "Task {TaskSid}",
    "reservation": "Reservation {ReservationSid}",
    "worker": "Worker {WorkerName}",
    "task-queue": "TaskQueue {TaskQueueName}",
    "workflow": "Workflow {WorkflowName}",
    "activity": "Activity {ActivityName}",
    "task-channel": "TaskChannel {TaskChannelName}",
    "workspace": "Workspace {WorkspaceName}",
}
SID_OF = {
    "task": "TaskSid",
    "reservation": "ReservationSid",
    "worker": "WorkerSid",
    "task-queue": "TaskQueueSid",
    "workflow": "WorkflowSid",
    "activity": "ActivitySid",
    "task-channel": "TaskChannelSid",
    "workspace": "WorkspaceSid",
}
TTL_EXCEEDED = "Task TTL Exceeded"

#: The status of the Task where the type alone decides it (without transfers).
TASK_STATUS = {
    "task.created": "pending",
    "workflow.entered": "pending",
    "workflow.target-matched": "pending",
    "task-queue.entered": "pending",
    "task-queue.moved": "pending",
    "task-queue.timeout": "pending",
    "workflow.timeout": "canceled",
    "workflow.skipped": "canceled",
    "task.canceled": "canceled",
    "task.wrapup": "wrapping",
    "task.completed": "completed",
    "reservation.failed": "canceled",
    "reservation.created": "reserved",
    "reservation.accepted": "assigned",
    "reservation.rescinded": "assigned",
}
RESERVATION_STATUS = {
    "reservation.created": "pending",
    "reservation.accepted": "accepted",
    "reservation.rejected": "rejected",
    "reservation.timeout": "timeout",
    "reservation.canceled": "canceled",
    "reservation.rescinded": "rescinded",
    "reservation.wrapup": "wrapping",
    "reservation.completed": "completed",
}
RE_EVALUATED = names(
    "reservation_rejected reservation_timeout reservation_canceled target_timeout target_skipped task_updated"
    " workflow_updated"
)

DIGITS = r"\d+"
FORMS = {
    r".*Sid": r"[A-Z]{2}[0-9a-f]{32}",
    r"Timestamp|TaskDateCreated|TaskVirtualStartTime|TaskQueueEnteredDate": r"\d{10}",
    r"TimestampMs": r"\d{13}",
    r"TaskAge|TaskPriority|.*Version|ReservationTimeout|PreviousTaskPriority|WorkerTimeIn.*": DIGITS,
    r"WorkerChannel(Consumed|Previous)?Capacity|WorkerChannelTaskCount": DIGITS,
    r"WorkerChannelAvailableCapacity": r"\d|[1-9]\d|100",
    r"WorkerChannelAvailable": r"[01]",
    r"TaskIgnoreCapacity|ActivityAvailable|TaskChannelOptimizedRouting": r"true|false",
    r"TaskAssignmentStatus": r"pending|reserved|assigned|wrapping|completed|canceled",
    r"TaskReEvaluatedReason": "|".join(RE_EVALUATED),
    r"TargetChangedReason": "|".join([*RE_EVALUATED, "transfer"]),
}


def resource_type(event_type: str) -> str:
    """The kind of object that an event of this type is about."""
    if event_type in TASK_TYPES:
        return "task"
    return event_type.split(".")[0]


def faults(parameters: dict[str, str], without: frozenset[str] = NOTHING) -> list[str]:
    """What is wrong with the parameters of one event; nothing is right.

    - `without`: what its shape asks for and its Task has not: a queue, a Workflow, a channel.
    """
    kind = parameters["EventType"]
    found = set(parameters)
    required, allowed = sets_of(kind, found)
    required -= without
    problems = [f"lacks {name}" for name in sorted(required - found)]
    problems += [f"has {name}" for name in sorted(found - allowed - required)]
    problems += [f"has {name}, which was said to be absent" for name in sorted(found & without)]
    problems += form_faults(parameters)
    if not problems:
        problems += value_faults(kind, parameters)
    return [f"{kind} {problem}" for problem in problems]


def sets_of(kind: str, found: set[str]) -> tuple[set[str], set[str]]:
    """What an event of this type must have and what it may have. Groups come whole or not at all."""
    if kind in OTHER_SHAPES:
        required = set(ENVELOPE | OTHER_SHAPES[kind])
        return required, required
    required, optional = set(ENVELOPE | TASK), set(TASK_OPTIONAL)
    if kind in RESERVATION_TYPES:
        required |= WORKER | RESERVATION
        optional |= {"ReservationReasonCode"}
    if kind in WITH_LAST_WORKER and found & WORKER:
        required |= WORKER
    if kind == "workflow.target-matched" or (kind in WITH_STEP and found & (STEP | STEP_OPTIONAL)):
        required |= STEP
        optional |= STEP_OPTIONAL
    if kind in WITH_STEP and found & CHANGE:
        required |= CHANGE
    if kind not in ("task.canceled", "task.completed", "task.wrapup"):
        optional -= {"Reason"}
    return required, required | optional


def form_faults(parameters: dict[str, str]) -> list[str]:
    problems = []
    for name, value in parameters.items():
        if not isinstance(value, str):
            problems.append(f"has {name} as {type(value).__name__}")
        elif not value:
            problems.append(f"has an empty {name}")
        else:
            for pattern, form in FORMS.items():
                if re.fullmatch(pattern, name) and not re.fullmatch(form, value):
                    problems.append(f"has {name}={value}")
            if name.endswith("Attributes") and not isinstance(json.loads(value), dict):
                problems.append(f"has {name}={value}")
            if re.fullmatch(r"WorkflowFilter(Target)?Expression", name) and not isinstance(json.loads(value), list):
                problems.append(f"has {name}={value}")
    return problems


def value_faults(kind: str, parameters: dict[str, str]) -> list[str]:
    """What follows from the type and from the other parameters."""
    resource = resource_type(kind)
    wanted = {
        "ResourceType": resource,
        "ResourceSid": parameters[SID_OF[resource]],
        "EventDescription": described(kind, parameters),
        "Timestamp": str(int(parameters["TimestampMs"]) // 1000),
    }
    if "TaskSid" in parameters:
        status = parameters["TaskAssignmentStatus"]
        created = int(parameters["TaskDateCreated"])
        wanted["TaskAssignmentStatus"] = TASK_STATUS.get(kind, status)
        wanted["TaskAge"] = str(int(parameters["Timestamp"]) - created)
        for name, of_status in (("TaskCanceledReason", "canceled"), ("TaskCompletedReason", "completed")):
            if name in parameters and status != of_status:
                wanted[name] = None
            elif "Reason" in parameters and status == of_status:
                wanted[name] = parameters["Reason"]
    if kind in RESERVATION_STATUS:
        wanted["ReservationStatus"] = RESERVATION_STATUS[kind]
    if kind == "worker.channel.availability.update":
        wanted["WorkerChannelPreviousCapacity"] = parameters["WorkerChannelCapacity"]
    if kind == "worker.activity.update":
        milliseconds = parameters["WorkerTimeInPreviousActivityMs"]
        wanted["WorkerTimeInPreviousActivity"] = str(int(milliseconds) // 1000)
    problems = []
    for name, value in wanted.items():
        if parameters.get(name) != value:
            problems.append(f"has {name}={parameters.get(name)}, not {value}")
    if kind == "worker.activity.update" and parameters["WorkerPreviousActivitySid"] == parameters["WorkerActivitySid"]:
        problems.append("changes nothing")
    return problems


def described(kind: str, parameters: dict[str, str]) -> str:
    """The description that an event of this type must have."""
    if kind == "task.canceled" and parameters.get("Reason") == TTL_EXCEEDED:
        return TTL_EXCEEDED
    text = DESCRIPTIONS.get(kind) or f"{DESCRIBED_BY[resource_type(kind)]} {kind.split('.')[-1]}"
    if text.endswith("*"):
        beginning = text[:-1].format(**parameters)
        return parameters["EventDescription"] if parameters["EventDescription"].startswith(beginning) else beginning
    return text.format(**parameters)


def snake(name: str) -> str:
    """The key in `event_data` of a parameter."""
    return re.sub(r"(?<!^)(?=[A-Z])", "_", name).lower()
