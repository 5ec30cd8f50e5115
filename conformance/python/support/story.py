"""Tells a scenario to a running server: each command is one request, each step one advance of the virtual clock."""

import json
import re
from datetime import datetime, timedelta, timezone

from .scenario import Check, Line, Plan, Step, pair, split_word, unquoted, words

#: Where the objects of a kind are, and what names them in an answer.
COLLECTIONS = {
    "activity": "Activities",
    "task-channel": "TaskChannels",
    "worker": "Workers",
    "queue": "TaskQueues",
    "workflow": "Workflows",
    "task": "Tasks",
}
BY_PREFIX = {"WA": "activity", "TC": "task-channel", "WK": "worker", "WQ": "queue", "WW": "workflow", "WT": "task"}
#: Parameters whose values are SIDs.
SIDS = (
    "ActivitySid", "WorkerActivitySid", "DefaultActivitySid", "TimeoutActivitySid", "ReservationActivitySid",
    "AssignmentActivitySid", "WorkflowSid", "TaskQueueSid", "RoutingTarget",
)  # fmt: skip
#: Members of answers behind the keys of `state` and `answer`; a list looks for the first that is there.
FACTS = {
    "queue": "task_queue_sid",
    "workflow": "workflow_sid",
    "channel": "task_channel_unique_name",
    "queue_entered": "task_queue_entered_date",
    "updated": "date_updated",
    "status_changed": "date_status_changed",
}
BARE = {
    "task": "assignment_status",
    "worker": "activity_sid",
    "queue": "friendly_name",
    "workflow": "friendly_name",
    "activity": "friendly_name",
    "task-channel": "unique_name",
    "reservation": "reservation_status",
    "channel": "available",
}
VERBS = {"accept": "accepted", "reject": "rejected", "wrap": "wrapping", "complete": "completed", "cancel": "canceled"}
INSTANT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z")
UNIX_SECONDS = re.compile(r"\d{10}")
EVENT_PAGE = 20


class Story:
    """One scenario in a workspace of its own. `tell` returns the differences as text, empty when there are none."""

    def __init__(self, wire, clock, plan: Plan):
        self.wire = wire
        self.clock = clock
        self.plan = plan
        self.sids: dict[str, str] = {}
        self.names: dict[str, str] = {}
        self.counts: dict[str, int] = {}
        self.workspace = ""
        self.zero = datetime.now(timezone.utc)
        self.now = self.zero
        self.seen: str | None = None

    def tell(self) -> str:
        self._choose_zero()
        for step in self.plan.steps:
            differences = self._step(step)
            if differences:
                return "\n".join([str(step.line), *differences])
        return ""

    def close(self) -> None:
        if self.workspace:
            self.wire("DELETE", self.workspace)

    def _choose_zero(self) -> None:
        """The next week in which the whole scenario lies ahead of the clock."""
        now = self.clock.now()
        earliest = min([0.0, *(step.seconds for step in self.plan.steps if not step.is_relative)])
        monday = (now - timedelta(days=now.weekday())).replace(hour=0, minute=0, second=0, microsecond=0)
        zero = monday + timedelta(days=self.plan.weekday, seconds=self.plan.second_of_day)
        while zero + timedelta(seconds=earliest) < now:
            zero += timedelta(days=7)
        self.zero = zero
        self.now = zero + timedelta(seconds=earliest)

    def _step(self, step: Step) -> list[str]:
        start = self.now if step.is_relative else self.zero
        self.now = max(self.now, start + timedelta(seconds=step.seconds))
        self._until(self.now)
        # What time made happen is named before the command speaks of it.
        events = self._events() if self.workspace else []
        answer = self._command(step)
        events += self._events() if self.workspace else []
        if step.given:
            refused = answer is not None and answer.status_code >= 400
            return [f"set-up was refused: {answer.status_code} {answer.text}"] if refused else []
        return self._compare(step, answer, events)

    def _until(self, instant: datetime) -> None:
        text = instant.isoformat(timespec="milliseconds").replace("+00:00", "Z")
        answer = self.wire("POST", "/pointsman/v1/Clock", data={"Until": text})
        assert answer.status_code == 200, answer.text

    # Requests.

    def _command(self, step: Step):
        given = words(step.command)
        if not given:
            return None
        form, plain = {}, []
        for word in given:
            if word.startswith("{"):
                form["Attributes"] = self.expand(word)
            elif (found := pair(word)) is not None:
                form[found[0]] = self._value(*found)
            else:
                plain.append(word)
        headers = {"If-Match": f'"{form.pop("If-Match")}"'} if "If-Match" in form else {}
        if step.rules:
            form["Configuration"] = self._configuration(step.rules)
        return self._send(plain, form, headers)

    def _send(self, plain: list[str], form: dict[str, str], headers: dict[str, str]):
        match plain:
            case ["create", "workspace"]:
                answer = self.wire("POST", "/v1/Workspaces", data={"FriendlyName": self.plan.name, **form})
                assert answer.status_code == 201, answer.text
                self.workspace = f"/v1/Workspaces/{answer.json()['sid']}"
                self._name_what_is_there()
                self._events()
                return answer
            case ["create", kind, name]:
                form.setdefault("FriendlyName", name)
                if kind == "task-channel":
                    form.setdefault("UniqueName", name)
                if kind == "task":
                    form.pop("FriendlyName")
                answer = self.wire("POST", f"{self.workspace}/{COLLECTIONS[kind]}", data=form, headers=headers)
                if answer.status_code == 201:
                    self._name(name, answer.json()["sid"])
                return answer
            case ["update", "workspace"]:
                return self.wire("POST", self.workspace, data=form, headers=headers)
            case ["delete", "workspace"]:
                return self.wire("DELETE", self.workspace, headers=headers)
            case ["update", _, name]:
                return self.wire("POST", self._path(name), data=form, headers=headers)
            case ["delete", _, name]:
                return self.wire("DELETE", self._path(name), headers=headers)
            case [verb, name] if "(" in name:
                form["ReservationStatus"] = VERBS[verb]
                return self.wire("POST", self._path(name), data=form, headers=headers)
            case [verb, name, *reason]:
                form |= {"AssignmentStatus": VERBS[verb]} | ({"Reason": unquoted(reason[0])} if reason else {})
                return self.wire("POST", self._path(name), data=form, headers=headers)
        raise AssertionError(f"unknown command: {' '.join(plain)}")

    def _value(self, key: str, value: str) -> str:
        if key in SIDS and value:
            return self.sid(value)
        if key == "VirtualStartTime":
            instant = self.zero + timedelta(seconds=float(value))
            return instant.isoformat(timespec="milliseconds").replace("+00:00", "Z")
        return self.expand(value)

    def _configuration(self, rules: list[Line]) -> str:
        """The configuration that the lines below a Workflow say."""
        filters: list[dict] = []
        routing: dict = {"filters": filters}
        for line in rules:
            keyword, rest = split_word(line.text)
            if keyword == "configuration":
                return self.expand(rest)
            if keyword == "filter":
                name, expression = split_word(rest)
                filters.append({"filter_friendly_name": name, "expression": self.expand(expression), "targets": []})
            elif keyword == "target":
                last = filters[-1]
                name = f"{last['filter_friendly_name']}#{len(last['targets'])}"
                last["targets"].append({"target_friendly_name": name, **self._target(rest)})
            else:
                routing["default_filter"] = self._target(rest)
        return json.dumps({"task_routing": routing}, ensure_ascii=False)

    def _target(self, text: str) -> dict:
        members: dict = {}
        for word in words(text):
            found = pair(word)
            if found is None:
                members["queue"] = self.sid(word)
            else:
                key, value = found
                members[key] = json.loads(value) if key in ("timeout", "priority") else self.expand(value)
        return members

    def _path(self, name: str) -> str:
        if "." in name and "(" not in name:
            worker, channel = name.split(".")
            return f"{self._path(worker)}/Channels/{channel}"
        sid = self.sid(name)
        if sid.startswith("WR"):
            task = name[name.index("(") + 1 : name.index(",")]
            return f"{self._path(task)}/Reservations/{sid}"
        return f"{self.workspace}/{COLLECTIONS[BY_PREFIX[sid[:2]]]}/{sid}"

    # Names.

    def _name(self, name: str, sid: str) -> None:
        self.sids[name] = sid
        self.names[sid] = name

    def sid(self, name: str) -> str:
        name = re.sub(r"^([RX])1\(", r"\1(", name)
        if name not in self.sids and len(name) == 34:
            return name
        return self.sids[name]

    def name(self, sid: str | None) -> str:
        return self.names.get(sid or "", sid or "?")

    def expand(self, text: str) -> str:
        """Puts SIDs for `$Name`."""
        return re.sub(r"\$([A-Za-z0-9]+)", lambda match: self.sid(match[1]), text)

    def shorten(self, text: str) -> str:
        """Puts `$Name` for SIDs."""
        return " ".join(f"${self.names[word]}" if word in self.names else word for word in text.split(" "))

    def _name_what_is_there(self) -> None:
        for collection, key in (("Activities", "activities"), ("TaskChannels", "channels")):
            for item in self.wire("GET", f"{self.workspace}/{collection}").json()[key]:
                self._name(item["unique_name"] if "unique_name" in item else item["friendly_name"], item["sid"])

    def _follow(self, event: dict) -> None:
        """Names reservations and transfers as their first events come by."""
        data = event["event_data"]
        if event["event_type"] == "reservation.created":
            self._count("R", f"({self.name(data['task_sid'])},{self.name(data['worker_sid'])})", event["resource_sid"])
        if event["event_type"] == "task.transfer-initiated":
            self._count("X", f"({self.name(data['task_sid'])})", data["task_transfer_sid"])

    def _count(self, letter: str, of: str, sid: str) -> None:
        count = self.counts[letter + of] = self.counts.get(letter + of, 0) + 1
        self._name(f"{letter}{count if count > 1 else ''}{of}", sid)

    # What happened.

    def _events(self) -> list[dict]:
        """The events since the last look, oldest first."""
        fresh: list[dict] = []
        url = f"{self.workspace}/Events?Minutes=40000&PageSize={EVENT_PAGE}"
        while url:
            answer = self.wire("GET", url)
            if answer.status_code == 404:
                break
            page = answer.json()
            for event in page["events"]:
                if event["sid"] == self.seen:
                    url = None
                    break
                fresh.append(event)
            else:
                url = page["meta"]["next_page_url"]
        if fresh:
            self.seen = fresh[0]["sid"]
        fresh.reverse()
        for event in fresh:
            self._follow(event)
        return fresh

    def _event_line(self, event: dict) -> str:
        kind, data = event["event_type"], event["event_data"]

        def named(key: str) -> str:
            return self.name(data.get(key))

        def quoted(text: str | None) -> str:
            return f' "{self.shorten(text)}"' if text else ""

        task = named("task_sid")
        reason = quoted(data.get("task_canceled_reason") or data.get("task_completed_reason") or data.get("reason"))
        match kind.split("."):
            case ["task", "canceled" | "wrapup" | "completed"] | ["reservation", "failed"]:
                subject = task + reason
            case ["task", change] if change.startswith("transfer-"):
                subject = named("task_transfer_sid") + quoted(data.get("transfer_failed_reason"))
            case ["task", _]:
                subject = task
            case ["reservation", _]:
                code = data.get("reservation_reason_code")
                subject = named("reservation_sid") + (f" code {code}" if code else "")
            case ["task-queue", "entered" | "moved" | "timeout"]:
                subject = f"{task} {named('task_queue_sid')}"
            case ["task-queue", *_]:
                subject = named("task_queue_sid")
            case ["workflow", "entered" | "timeout" | "skipped"]:
                subject = f"{task} {named('workflow_sid')}"
            case ["workflow", "target-matched"]:
                # A target that has no name of its own can only be told by its filter.
                unnamed = f"{data.get('workflow_filter_name')}#0"
                step = data.get("workflow_filter_target_name") or unnamed.replace("Default#0", "default")
                cause = data.get("task_re_evaluated_reason")
                subject = f"{task} {step}" + (f" because {cause}" if cause else "")
            case ["workflow", _]:
                subject = named("workflow_sid")
            case ["worker", "activity", "update"]:
                subject = (
                    f"{named('worker_sid')} {named('worker_previous_activity_sid')}->{named('worker_activity_sid')}"
                )
            case ["worker", "capacity", "update"]:
                change = f"{data['worker_channel_previous_capacity']}->{data['worker_channel_capacity']}"
                subject = f"{named('worker_sid')} {data['task_channel_unique_name']} {change}"
            case ["worker", "channel", "availability", "update"]:
                available = str(bool(int(data["worker_channel_available"]))).lower()
                subject = f"{named('worker_sid')} {data['task_channel_unique_name']} {available}"
            case ["workspace", _]:
                subject = "workspace"
            case _:
                subject = self.name(event["resource_sid"])
        return f"{kind} {subject}"

    def _with_members(self, check: Check, event: dict) -> str:
        shown = self._event_line(event)
        _, separator, members = check.text.partition(" with ")
        if separator:
            shown += " with"
            for word in words(members):
                key, expected = pair(word)
                value = event["event_data"].get(key)
                if key.startswith("workflow_filter") and key.endswith("expression") and value is not None:
                    # Expressions stand in a list of at most one.
                    value = next(iter(json.loads(value)), None)
                shown += f" {key}={quote(self._show(value, expected) if value is not None else 'absent')}"
        return shown

    def _show(self, value, expected: str) -> str:
        """A value of an answer as scenarios write it. The API shows instants to the second."""
        if value is None:
            return "none"
        if isinstance(value, bool):
            return str(value).lower()
        text = str(value)
        if text in self.names:
            return self.names[text]
        if INSTANT.fullmatch(text) or UNIX_SECONDS.fullmatch(text):
            instant = float(text) if text.isdigit() else datetime.fromisoformat(text).timestamp()
            after = instant - self.zero.timestamp()
            return expected if is_number(expected) and float(expected) // 1 == after else f"{after:g}"
        if is_number(expected) and "." in expected and text.isdigit():
            return expected if int(float(expected)) == int(text) else text
        return self.shorten(text)

    # Comparisons.

    def _compare(self, step: Step, answer, events: list[dict]) -> list[str]:
        expected = [check for check in step.checks if check.kind == "expect"]
        rows = []
        if step.command == "delete workspace":
            # Its history is gone with it.
            expected = []
        for index in range(max(len(expected), len(events))):
            said = f"expect {normal(expected[index].text)}" if index < len(expected) else ""
            check = expected[index] if index < len(expected) else Check(step.line, "expect", "")
            done = f"expect {self._with_members(check, events[index])}" if index < len(events) else ""
            rows.append((said, done))
        rows += self._refusal(step, answer)
        for check in step.checks:
            if check.kind == "answer":
                kind = self._kind(answer.json()["sid"]) if answer.status_code < 300 else ""
                facts = self._facts(kind, answer.json(), answer.headers, check.text)
                rows.append((f"answer {normal(check.text)}", f"answer {facts}"))
            if check.kind == "state":
                rows.append((f"state {normal(check.text)}", f"state {self._state(check)}"))
            if check.kind == "next":
                rows.append((f"next {check.text}", f"next {self._next()}"))
        if all(said == done for said, done in rows):
            return []
        return [
            f"  {' ' if said == done else '!'} {said or '(nothing)'}\n    {done or '(nothing)'}" for said, done in rows
        ]

    def _refusal(self, step: Step, answer) -> list[tuple[str, str]]:
        expected = next((check.text for check in step.checks if check.kind == "refused"), "")
        refused = answer is not None and answer.status_code >= 400
        if not refused:
            return [(f"refused {expected}", "")] if expected else []
        status, text = split_word(expected)
        message = answer.json()["message"]
        same = status == str(answer.status_code) and text.lower() in self.shorten(message).lower()
        return [(f"refused {expected}", f"refused {expected if same else f'{answer.status_code} {message}'}")]

    def _kind(self, sid: str) -> str:
        return "reservation" if sid.startswith("WR") else BY_PREFIX[sid[:2]]

    def _state(self, check: Check) -> str:
        name, asked = split_word(check.text)
        try:
            path = self._path(name)
        except KeyError:
            return f"{name} was never there"
        answer = self.wire("GET", path)
        if answer.status_code == 404:
            return f"{name} gone"
        kind = "channel" if "." in name and "(" not in name else self._kind(self.sid(name))
        return f"{name} {self._facts(kind, answer.json(), answer.headers, asked)}".strip()

    def _facts(self, kind: str, body: dict, headers, asked: str) -> str:
        shown = []
        for word in words(asked):
            found = pair(word)
            if found is None:
                shown.append(self._show(body[BARE[kind]], word))
                continue
            key, expected = found
            member = FACTS.get(key, key)
            if key == "version":
                value = headers["ETag"].strip('"')
            elif key == "reason":
                value = body["reason"]
            else:
                value = body[member]
            shown.append(f"{key}={quote(self._show(value, expected))}")
        return " ".join(shown)

    def _next(self) -> str:
        deadline = self.clock.read()["next_deadline"]
        if deadline is None:
            return "none"
        return f"{(datetime.fromisoformat(deadline) - self.zero).total_seconds():g}"


def is_number(text: str) -> bool:
    return re.fullmatch(r"-?\d+(\.\d+)?", text) is not None


def quote(value: str) -> str:
    """A value as it is written in a scenario."""
    plain = value and not re.search(r'[\s"]', value)
    return value if plain or value.startswith("{") else '"' + value.replace('"', '\\"') + '"'


def normal(text: str) -> str:
    """`R1(` is `R(`. Values are quoted only where they need to be."""
    found = [word if pair(word) is None else f"{pair(word)[0]}={quote(pair(word)[1])}" for word in words(text)]
    return re.sub(r" ([RX])1\(", r" \1(", " ".join(found))
