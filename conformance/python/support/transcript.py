"""Events as text that people can read and files can keep: SIDs by order of appearance, instants from a zero.

One block an event; each line holds the parameters of one group, in the order of the reference's tables.
"""

import json
import re

SID = re.compile(r"\b[A-Z]{2}[0-9a-f]{32}\b")
UNIX_SECONDS = ("Timestamp", "TaskDateCreated", "TaskVirtualStartTime", "TaskQueueEnteredDate")
WIDTH_MAX = 116

#: Parameters by line; one that is not here gets a line of its own at the end.
LINES = [
    "Sid ResourceType ResourceSid EventDescription Timestamp TimestampMs",
    "AccountSid WorkspaceSid WorkspaceName OperatingUnitSid",
    "TaskSid TaskAttributes TaskAge TaskPriority TaskAssignmentStatus TaskVersion TaskDateCreated TaskVirtualStartTime"
    " TaskIgnoreCapacity TaskRoutingTarget KnownWorkerSid TaskCanceledReason TaskCompletedReason Reason",
    "TaskQueueSid TaskQueueName TaskQueueTargetExpression TaskQueueEnteredDate",
    "WorkflowSid WorkflowName",
    "WorkflowFilterName WorkflowFilterExpression WorkflowFilterTargetName WorkflowFilterTargetExpression"
    " TaskReEvaluatedReason",
    "PreviousTaskQueueSid PreviousTaskQueueName PreviousTaskPriority TargetChangedReason",
    "ReservationSid ReservationVersion ReservationStatus ReservationTimeout ReservationReasonCode",
    "WorkerSid WorkerName WorkerAttributes WorkerActivitySid WorkerActivityName WorkerVersion",
    "WorkerPreviousActivitySid WorkerPreviousActivityName WorkerTimeInPreviousActivity WorkerTimeInPreviousActivityMs",
    "TaskChannelSid TaskChannelName TaskChannelUniqueName TaskChannelOptimizedRouting",
    "WorkerChannelAvailable WorkerChannelCapacity WorkerChannelPreviousCapacity WorkerChannelConsumedCapacity"
    " WorkerChannelAvailableCapacity WorkerChannelTaskCount",
    "ActivitySid ActivityName ActivityAvailable",
]


class Transcript:
    def __init__(self, zero_ms: int):
        assert zero_ms % 1000 == 0, "whole seconds, so that seconds and milliseconds agree"
        self.zero_ms = zero_ms
        self.names: dict[str, str] = {}
        self.lines: list[str] = []

    def say(self, text: str) -> None:
        """Adds what was done."""
        self.lines += ["", f"== {self.named(text)}"]

    def tell(self, title: str, parameters: dict[str, str]) -> None:
        """Adds one event or request."""
        self.lines += ["", title]
        rest = dict(parameters)
        rest.pop("EventType", None)
        for group in LINES:
            told = [f"{name}={self.value(name, rest.pop(name))}" for name in group.split() if name in rest]
            self.wrap(told)
        for name in sorted(rest):
            self.wrap([f"{name}={self.value(name, rest[name])}"])

    def wrap(self, words: list[str]) -> None:
        line = ""
        for word in words:
            if line and len(line) + 1 + len(word) > WIDTH_MAX:
                self.lines.append(f"  {line}")
                line = ""
            line = f"{line} {word}" if line else word
        if line:
            self.lines.append(f"  {line}")

    def value(self, name: str, value: str) -> str:
        """A value as it is written: instants from zero, SIDs by name, quotes where there are blanks."""
        if name == "TimestampMs":
            milliseconds = int(value) - self.zero_ms
            return f"{milliseconds / 1000:+.3f}"
        if name in UNIX_SECONDS:
            return f"{int(value) - self.zero_ms // 1000:+d}"
        text = self.named(value)
        return json.dumps(text, ensure_ascii=False) if re.search(r"\s", text) and text[0] not in "{[" else text

    def named(self, text: str) -> str:
        return SID.sub(lambda found: self.name(found.group()), text)

    def name(self, sid: str) -> str:
        """`WT2` is the second Task that occurs."""
        if sid not in self.names:
            count = sum(other[:2] == sid[:2] for other in self.names)
            self.names[sid] = f"{sid[:2]}{count + 1}"
        return self.names[sid]

    def text(self) -> str:
        return "\n".join(self.lines).strip() + "\n"
