"""Fields and types of every resource, as the official library hands them to a program.

One table per resource; a field's check gets the value after the library has parsed it.
"""

import json
import re
from collections.abc import Callable
from datetime import UTC, datetime

Check = Callable[[object], bool]


def sid(prefix: str) -> Check:
    pattern = re.compile(f"^{prefix}[0-9a-f]{{32}}$")
    return lambda value: isinstance(value, str) and pattern.match(value) is not None


def text(value: object) -> bool:
    return isinstance(value, str)


def integer(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def boolean(value: object) -> bool:
    return isinstance(value, bool)


def date(value: object) -> bool:
    """The library leaves a string where the text is not exactly `YYYY-MM-DDTHH:MM:SSZ`."""
    return isinstance(value, datetime) and value.tzinfo == UTC and value.microsecond == 0


def null(value: object) -> bool:
    return value is None


def optional(check: Check) -> Check:
    return lambda value: value is None or check(value)


def one_of(*values: str) -> Check:
    return lambda value: isinstance(value, str) and value in values


def url(value: object) -> bool:
    return isinstance(value, str) and value.startswith("http")


def json_object_text(value: object) -> bool:
    return isinstance(value, str) and isinstance(json.loads(value), dict)


def object_of(*keys: str) -> Check:
    return lambda value: isinstance(value, dict) and set(value) == set(keys)


def integers(*keys: str) -> Check:
    return lambda value: object_of(*keys)(value) and all(integer(number) for number in value.values())


def links(*keys: str, maybe: tuple[str, ...] = ()) -> Check:
    def check(value: object) -> bool:
        return (
            isinstance(value, dict)
            and set(keys) <= set(value) <= set(keys) | set(maybe)
            and all(url(target) for target in value.values())
        )

    return check


def array_of(**fields: Check) -> Check:
    return lambda value: (
        isinstance(value, list)
        and all(set(item) == set(fields) and all(check(item[name]) for name, check in fields.items()) for item in value)
    )


def composite(fields: dict[str, Check]) -> Check:
    return lambda value: not problems(value, fields)


def problems(value: object, fields: dict[str, Check]) -> list[str]:
    """What is wrong with a JSON object, measured against a table."""
    if not isinstance(value, dict):
        return [f"not an object: {value!r}"]
    found = [f"missing: {name}" for name in fields if name not in value]
    found += [f"unexpected: {name}" for name in value if name not in fields]
    found += [f"{name}: {value[name]!r}" for name, check in fields.items() if name in value and not check(value[name])]
    return found


WORKSPACE = {
    "account_sid": sid("AC"),
    "date_created": date,
    "date_updated": date,
    "default_activity_name": text,
    "default_activity_sid": sid("WA"),
    "event_callback_url": text,
    "events_filter": optional(text),
    "friendly_name": text,
    "multi_task_enabled": boolean,
    "prioritize_queue_order": one_of("FIFO", "LIFO"),
    "sid": sid("WS"),
    "timeout_activity_name": text,
    "timeout_activity_sid": sid("WA"),
    "url": url,
    "links": links(
        "activities", "statistics", "real_time_statistics", "cumulative_statistics", "task_queues", "tasks",
        "workers", "workflows", "task_channels", "events",
    ),
}  # fmt: skip

ACTIVITY = {
    "account_sid": sid("AC"),
    "available": boolean,
    "date_created": date,
    "date_updated": date,
    "friendly_name": text,
    "sid": sid("WA"),
    "workspace_sid": sid("WS"),
    "url": url,
    "links": links("workspace"),
}

WORKER = {
    "account_sid": sid("AC"),
    "activity_name": text,
    "activity_sid": sid("WA"),
    "attributes": json_object_text,
    "available": boolean,
    "date_created": date,
    "date_status_changed": date,
    "date_updated": date,
    "friendly_name": text,
    "sid": sid("WK"),
    "workspace_sid": sid("WS"),
    "url": url,
    "links": links(
        "channels", "activity", "workspace", "statistics", "real_time_statistics", "cumulative_statistics",
        "worker_statistics", "worker_channels", "reservations",
    ),
}  # fmt: skip

WORKER_CHANNEL = {
    "account_sid": sid("AC"),
    "assigned_tasks": integer,
    "available": boolean,
    "available_capacity_percentage": integer,
    "configured_capacity": integer,
    "date_created": date,
    "date_updated": date,
    "sid": sid("WC"),
    "task_channel_sid": sid("TC"),
    "task_channel_unique_name": text,
    "worker_sid": sid("WK"),
    "workspace_sid": sid("WS"),
    "url": url,
}

TASK_CHANNEL = {
    "account_sid": sid("AC"),
    "channel_optimized_routing": boolean,
    "date_created": date,
    "date_updated": date,
    "friendly_name": text,
    "sid": sid("TC"),
    "unique_name": text,
    "workspace_sid": sid("WS"),
    "url": url,
    "links": links("workspace"),
}

TASK_QUEUE = {
    "account_sid": sid("AC"),
    "assignment_activity_sid": optional(sid("WA")),
    "assignment_activity_name": optional(text),
    "date_created": date,
    "date_updated": date,
    "friendly_name": text,
    "max_reserved_workers": integer,
    "reservation_activity_sid": optional(sid("WA")),
    "reservation_activity_name": optional(text),
    "sid": sid("WQ"),
    "target_workers": optional(text),
    "task_order": one_of("FIFO", "LIFO"),
    "workspace_sid": sid("WS"),
    "url": url,
    "links": links(
        "workspace", "statistics", "real_time_statistics", "cumulative_statistics", "list_statistics",
        "bulk_real_time_statistics", maybe=("assignment_activity", "reservation_activity"),
    ),
}  # fmt: skip

WORKFLOW = {
    "account_sid": sid("AC"),
    "assignment_callback_url": optional(url),
    "configuration": json_object_text,
    "date_created": date,
    "date_updated": date,
    "document_content_type": null,
    "fallback_assignment_callback_url": optional(url),
    "friendly_name": text,
    "sid": sid("WW"),
    "task_reservation_timeout": integer,
    "workspace_sid": sid("WS"),
    "url": url,
    "links": links("statistics", "real_time_statistics", "cumulative_statistics"),
}

TASK = {
    "account_sid": sid("AC"),
    "age": integer,
    "assignment_status": one_of("pending", "reserved", "assigned", "canceled", "completed", "wrapping"),
    "attributes": json_object_text,
    "addons": lambda value: value == "{}",
    "date_created": date,
    "date_updated": date,
    "task_queue_entered_date": optional(date),
    "virtual_start_time": date,
    "priority": integer,
    "reason": optional(text),
    "sid": sid("WT"),
    "task_queue_sid": optional(sid("WQ")),
    "task_queue_friendly_name": optional(text),
    "task_channel_sid": optional(sid("TC")),
    "task_channel_unique_name": optional(text),
    "timeout": integer,
    "workflow_sid": optional(sid("WW")),
    "workflow_friendly_name": optional(text),
    "workspace_sid": sid("WS"),
    "ignore_capacity": boolean,
    "routing_target": optional(text),
    "url": url,
    "links": links("workspace", "reservations", maybe=("task_queue", "workflow")),
}

RESERVATION = {
    "account_sid": sid("AC"),
    "date_created": date,
    "date_updated": date,
    "reservation_status": one_of(
        "pending", "accepted", "rejected", "timeout", "canceled", "rescinded", "wrapping", "completed"
    ),
    "sid": sid("WR"),
    "task_sid": sid("WT"),
    "worker_name": text,
    "worker_sid": sid("WK"),
    "workspace_sid": sid("WS"),
    "url": url,
    "links": links("task", "worker", "workspace"),
}

EVENT = {
    "account_sid": sid("AC"),
    "actor_sid": text,
    "actor_type": text,
    "actor_url": url,
    "description": text,
    "event_data": lambda value: isinstance(value, dict) and all(isinstance(entry, str) for entry in value.values()),
    "event_date": date,
    "event_date_ms": integer,
    "event_type": text,
    "resource_sid": text,
    "resource_type": text,
    "resource_url": url,
    "sid": sid("EV"),
    "source": lambda value: value == "twilio",
    "source_ip_address": optional(text),
    "url": url,
    "workspace_sid": sid("WS"),
}

NEW_KEY = {
    "sid": sid("SK"),
    "friendly_name": optional(text),
    "date_created": date,
    "date_updated": date,
    "secret": lambda value: isinstance(value, str) and len(value) == 32,
}
KEY = {name: check for name, check in NEW_KEY.items() if name != "secret"}

# Statistics. Building blocks, then the fifteen endpoints.

STATUSES = integers("pending", "reserved", "assigned", "wrapping")
WAIT = integers("avg", "min", "max", "total")
ACTIVITY_STATISTICS = array_of(sid=sid("WA"), friendly_name=text, workers=integer)
ACTIVITY_DURATIONS = array_of(sid=sid("WA"), friendly_name=text, avg=integer, min=integer, max=integer, total=integer)


def priorities(value: object) -> bool:
    return isinstance(value, dict) and all(key.isdecimal() and integer(count) for key, count in value.items())


def splits(value: object) -> bool:
    half = integers("tasks_canceled", "reservations_accepted")
    return isinstance(value, dict) and all(
        key.isdecimal() and set(entry) == {"above", "below"} and all(half(part) for part in entry.values())
        for key, entry in value.items()
    )


SCOPE = {"account_sid": sid("AC"), "workspace_sid": sid("WS"), "url": url}
INTERVAL = {"start_time": date, "end_time": date}
RESERVATION_COUNTS = {
    f"reservations_{outcome}": integer
    for outcome in ("created", "accepted", "rejected", "timed_out", "canceled", "rescinded")
}
WAITING = {"longest_task_waiting_age": integer, "longest_task_waiting_sid": optional(sid("WT"))}
RELATIVE_WAITING = {
    "longest_relative_task_age_in_queue": integer,
    "longest_relative_task_sid_in_queue": optional(sid("WT")),
}
TASK_FIGURES = {"tasks_by_priority": priorities, "tasks_by_status": STATUSES, "total_tasks": integer}
TASK_WAITS = {
    "avg_task_acceptance_time": integer,
    "split_by_wait_time": optional(splits),
    "wait_duration_until_accepted": WAIT,
    "wait_duration_until_canceled": WAIT,
}


def counts(*names: str) -> dict[str, Check]:
    return {f"tasks_{name}": integer for name in names}


WORKSPACE_REAL_TIME = {"activity_statistics": ACTIVITY_STATISTICS, **WAITING, **TASK_FIGURES, "total_workers": integer}
WORKSPACE_CUMULATIVE = {
    **INTERVAL,
    **RESERVATION_COUNTS,
    **TASK_WAITS,
    **counts("canceled", "completed", "created", "deleted", "moved", "timed_out_in_workflow"),
}
WORKFLOW_REAL_TIME = {**WAITING, **TASK_FIGURES}
WORKFLOW_CUMULATIVE = {
    **INTERVAL,
    **RESERVATION_COUNTS,
    **TASK_WAITS,
    **counts("canceled", "completed", "entered", "deleted", "moved", "timed_out_in_workflow"),
}
TASK_QUEUE_REAL_TIME = {
    "activity_statistics": ACTIVITY_STATISTICS,
    **WAITING,
    **RELATIVE_WAITING,
    **TASK_FIGURES,
    "total_available_workers": integer,
    "total_eligible_workers": integer,
}
TASK_QUEUE_CUMULATIVE = {
    **INTERVAL,
    **RESERVATION_COUNTS,
    **TASK_WAITS,
    "wait_duration_in_queue_until_accepted": WAIT,
    **counts("canceled", "completed", "deleted", "entered", "moved"),
}
WORKERS_REAL_TIME = {"activity_statistics": ACTIVITY_STATISTICS, "total_workers": integer}
WORKERS_CUMULATIVE = {**INTERVAL, "activity_durations": ACTIVITY_DURATIONS, **RESERVATION_COUNTS}
TASK_QUEUE_BULK_ELEMENT = {
    "task_queue_sid": sid("WQ"),
    **{name: check for name, check in TASK_QUEUE_REAL_TIME.items() if name not in RELATIVE_WAITING},
}


def as_json(fields: dict[str, Check]) -> Check:
    """A table for an object that the library passes through: dates inside it stay text."""
    stamp = re.compile(r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$")

    def iso(value: object) -> bool:
        return isinstance(value, str) and stamp.match(value) is not None

    return composite({name: iso if check is date else check for name, check in fields.items()})


TASK_QUEUES_STATISTICS_ELEMENT = {
    "account_sid": sid("AC"),
    "workspace_sid": sid("WS"),
    "task_queue_sid": sid("WQ"),
    "realtime": as_json(TASK_QUEUE_REAL_TIME),
    "cumulative": as_json(TASK_QUEUE_CUMULATIVE),
}


def assert_shape(instance: object, payload: dict, fields: dict[str, Check]) -> None:
    """The payload has exactly these members, and the library's attributes have these types."""
    assert set(payload) == set(fields), {
        "missing": sorted(set(fields) - set(payload)),
        "unexpected": sorted(set(payload) - set(fields)),
    }
    wrong = {name: getattr(instance, name) for name, check in fields.items() if not check(getattr(instance, name))}
    assert not wrong, wrong
