"""The test table of expressions, row by row, wherever the API takes an expression.

Reference: routing, section 1. Each way below is one place; `test_every_row_is_told_somewhere` counts what they cover.
"""

import json
import re
from datetime import timedelta

import pytest
from conftest import Wire
from support.client import connect
from support.clock import Clock
from support.errors import refused
from support.expression_rows import (
    HOUR,
    MINUTE,
    READ_BUILT_INS,
    READ_THE_TIME,
    ROWS,
    TASK,
    WEEKDAY,
    WORKER,
    Fault,
)
from support.server import Server
from support.world import World

VALID = [row for row in ROWS if not isinstance(row.outcome, Fault)]
FAULTY = [row for row in ROWS if isinstance(row.outcome, Fault)]
OF_TASKS = [row for row in VALID if row.place in ("X2", "X8")]
OF_WORKERS = [row for row in VALID if row.place in ("X1", "X7")]
#: In a list an empty parameter is none at all, so that the empty expression needs a TaskQueue.
OF_WORKERS_IN_LISTS = [row for row in OF_WORKERS if row.expression]
OF_STEPS = [row for row in VALID if row.place == "X3"]
OF_SKIPS = [row for row in VALID if row.place == "X4"]
#: Every way that answers true or false, with its rows.
WAYS = {
    "filter of a Workflow": OF_TASKS,
    "list of Tasks": OF_TASKS,
    "TaskQueue": OF_WORKERS,
    "list of Workers": OF_WORKERS_IN_LISTS,
    "list of TaskQueues, by members": OF_WORKERS_IN_LISTS,
    "list of TaskQueues, by attributes": OF_WORKERS,
    "target of a Workflow": OF_STEPS,
    "skip_if of a Workflow": OF_SKIPS,
}


class Table(World):
    """The objects of the table: the Task that waits, Ann and three others, and the queues that tell what was chosen."""

    def __init__(self, client, clock: Clock):
        super().__init__(client)
        self.move_time(clock)
        self.activity("Focus", available=True)
        self.activity("Break", available=False)
        self.ann = self.worker("ann", WORKER)
        for name, activity in (("bea", "Focus"), ("cid", "Break"), ("dov", "Break")):
            self.worker(name, activity=activity)
        self.only_ann = self.queue("Only Ann", "friendly_name == 'ann'")
        self.everybody = self.queue("Everybody", "1==1")
        self.nobody = self.queue("Nobody", "1==2")
        self.other = self.queue("Other", "1==2")
        self.load("voice", capacity=1, accepted=1)
        self.load("chat", capacity=3, accepted=1, pending=1)
        self.load("sms", capacity=0)
        self.load("default", capacity=50)
        self.attributes = json.loads(self.named(json.dumps(TASK)))
        self.waiting = self.task(self.attributes, routing_target=self.nobody.sid)
        self.decoy = self.task({}, routing_target=self.nobody.sid)

    @staticmethod
    def move_time(clock: Clock) -> None:
        """To the minute of the week that the table is about."""
        now = clock.now()
        then = now.replace(hour=HOUR, minute=MINUTE, second=0, microsecond=0)
        while then < now or then.weekday() != WEEKDAY:
            then += timedelta(days=1)
        clock.advance((then - now).total_seconds())

    def load(self, channel: str, capacity: int, accepted: int = 0, pending: int = 0) -> None:
        """Gives Ann that much to do on a channel."""
        self.context.workers(self.ann.sid).worker_channels(channel).update(capacity=capacity)
        for number in range(accepted + pending):
            task = self.task({}, routing_target=self.ann.sid, task_channel=channel, ignore_capacity="false")
            if number < accepted:
                self.accept(task)

    def named(self, text: str) -> str:
        """With the SIDs of the server for those of the table."""
        unknown = "WA" + "9" * 32
        for written, meant in (
            ("WK01", self.ann.sid),
            ("WA01", self.activities["Available"]),
            ("WA99", unknown),
        ):
            text = text.replace(written, meant)
        return text

    def routed(self, filters: list, default=None):
        """A Task like the table's, routed by these rules, after the matching."""
        rules = {"filters": filters, **({"default_filter": {"queue": default.sid}} if default else {})}
        workflow = self.workflow("Rules", rules)
        task = self.task(self.attributes, workflow_sid=workflow.sid)
        found = self.fetch(task)
        self.context.tasks(task.sid).delete()
        self.context.workflows(workflow.sid).delete()
        return found

    def gets_to_ann(self, queue) -> bool:
        """Whether Ann is offered what waits in that queue, and nobody else is."""
        task = self.task({}, routing_target=queue.sid)
        offered = [reservation.worker_name for reservation in self.reservations(task)]
        self.context.tasks(task.sid).delete()
        assert offered in ([], ["ann"]), offered
        return offered != []


@pytest.fixture(scope="module")
def stage(tmp_path_factory):
    """A server of their own, whose time stays where the table wants it."""
    server = Server(tmp_path_factory.mktemp("expressions") / "data", "--clock", "virtual", "--in-memory").start()
    yield server
    assert server.stop() == 0, server.log()


@pytest.fixture(scope="module")
def table(stage):
    return Table(connect(stage.url), Clock(stage.url))


def tell(rows, outcome) -> None:
    """Compares every row of one way with what the server makes of it."""
    differences = [str(row) for row in rows if outcome(row) is not row.outcome]
    assert not differences, "\n".join(differences)


def test_what_the_table_is_about_is_there(table):
    channels = {c.task_channel_unique_name: c for c in table.context.workers(table.ann.sid).worker_channels.list()}
    counted = {
        name: (channel.configured_capacity, channel.assigned_tasks, channel.available_capacity_percentage)
        for name, channel in channels.items()
        if name in ("voice", "chat", "sms")
    }
    assert counted == {"voice": (1, 1, 0), "chat": (3, 1, 33), "sms": (0, 0, 0)}
    members = table.context.workers.list(target_workers_expression="1==1")
    assert sorted(worker.available for worker in members) == [False, False, True, True]


def test_every_row_is_told_somewhere():
    told = {row.number for rows in WAYS.values() for row in rows}
    told |= {row.number for row in FAULTY}
    assert told == {f"E{number:02}" for number in range(1, 111)} == {row.number for row in ROWS}
    for way, rows in WAYS.items():
        print(f"{way}: {len(rows)} rows")
    print(f"refused: {len(FAULTY)} rows in {len(PLACES)} places")


def test_a_filter_takes_the_tasks_for_which_it_is_true(table):
    def is_taken(row) -> bool:
        rule = {"expression": table.named(row.expression), "targets": [{"queue": table.nobody.sid}]}
        queue = table.routed([rule], default=table.other).task_queue_sid
        assert queue in (table.nobody.sid, table.other.sid)
        return queue == table.nobody.sid

    tell(WAYS["filter of a Workflow"], is_taken)


def test_the_list_of_tasks_takes_those_for_which_it_is_true(table):
    def is_listed(row) -> bool:
        found = table.context.tasks.list(evaluate_task_attributes=table.named(row.expression))
        is_found = table.waiting.sid in [task.sid for task in found]
        if row.number in READ_THE_TIME:
            assert not is_found, "a list knows no time"
            return row.outcome
        return is_found

    tell(WAYS["list of Tasks"], is_listed)


def test_a_queue_takes_the_workers_for_which_it_is_true(table):
    def is_member(row) -> bool:
        queue = table.queue(f"Queue {row.number}", table.named(row.expression))
        assert (queue.target_workers or "") == table.named(row.expression)
        return table.gets_to_ann(queue)

    tell(WAYS["TaskQueue"], is_member)


def test_a_queue_that_is_changed_takes_other_workers(table):
    queue = table.queue("Changed", "1==2")

    def is_member(row) -> bool:
        table.context.task_queues(queue.sid).update(target_workers=table.named(row.expression))
        return table.gets_to_ann(queue)

    tell(WAYS["TaskQueue"], is_member)


def test_the_list_of_workers_takes_those_for_which_it_is_true(table):
    def is_listed(row) -> bool:
        found = table.context.workers.list(target_workers_expression=table.named(row.expression))
        assert len(found) < 2
        return [worker.sid for worker in found] == [table.ann.sid]

    tell(WAYS["list of Workers"], is_listed)


def test_the_list_of_queues_takes_those_with_a_member_for_which_it_is_true(table):
    def is_listed(row) -> bool:
        found = table.context.task_queues.list(evaluate_worker_attributes=table.named(row.expression))
        sids = [queue.sid for queue in found]
        assert table.nobody.sid not in sids, "a queue without members"
        return table.only_ann.sid in sids

    tell(WAYS["list of TaskQueues, by members"], is_listed)


def test_the_list_of_queues_takes_those_that_would_serve_such_a_worker(table):
    queues = {
        row.number: table.queue(f"Would {row.number}", table.named(row.expression)).sid
        for row in WAYS["list of TaskQueues, by attributes"]
    }
    found = table.context.task_queues.list(evaluate_worker_attributes=json.dumps(WORKER))
    sids = {queue.sid for queue in found}
    listed = {number for number, sid in queues.items() if sid in sids}
    assert listed == {
        row.number
        for row in WAYS["list of TaskQueues, by attributes"]
        if row.outcome and row.number not in READ_BUILT_INS
    }


def test_a_step_offers_a_task_to_the_workers_for_which_it_is_true(table):
    def is_offered(row) -> bool:
        steps = [
            {"queue": table.only_ann.sid, "expression": table.named(row.expression), "skip_if": "1==1"},
            {"queue": table.nobody.sid},
        ]
        task = table.routed([{"expression": "1==1", "targets": steps}])
        state = (task.assignment_status, task.task_queue_sid)
        assert state in (("reserved", table.only_ann.sid), ("pending", table.nobody.sid)), state
        return task.assignment_status == "reserved"

    tell(WAYS["target of a Workflow"], is_offered)


def test_a_step_is_skipped_when_it_says_so(table):
    def is_skipped(row) -> bool:
        steps = [
            {"queue": table.everybody.sid, "expression": "1==2", "skip_if": table.named(row.expression)},
            {"queue": table.nobody.sid},
        ]
        task = table.routed([{"expression": "1==1", "targets": steps}])
        assert task.assignment_status == "pending"
        return task.task_queue_sid == table.nobody.sid

    tell(WAYS["skip_if of a Workflow"], is_skipped)


def test_a_default_step_offers_a_task_to_the_workers_for_which_it_is_true(table):
    def is_offered(row) -> bool:
        rules = {"default_filter": {"queue": table.only_ann.sid, "expression": table.named(row.expression)}}
        workflow = table.workflow("Default", rules)
        task = table.task(table.attributes, workflow_sid=workflow.sid)
        status = table.fetch(task).assignment_status
        table.context.tasks(task.sid).delete()
        table.context.workflows(workflow.sid).delete()
        return status == "reserved"

    tell(WAYS["target of a Workflow"], is_offered)


# What does not parse


def configured(queue, **places: str) -> str:
    """A configuration of two filters and a default, with these texts at their places."""
    targets = [
        {"queue": queue.sid},
        {"priority": 1, **taken(places, "expression", "target")},
        taken(places, "skip_if", "skip_if"),
    ]
    filters = [
        {"expression": places.get("first", "1==1"), "targets": [{"queue": queue.sid}]},
        {"expression": places.get("second", "1==1"), "targets": targets},
    ]
    default = {"queue": queue.sid, **taken(places, "expression", "default")}
    return json.dumps({"task_routing": {"filters": filters, "default_filter": default}})


def taken(places: dict[str, str], member: str, place: str) -> dict[str, str]:
    return {member: places[place]} if place in places else {}


#: Every place of an expression: request, parameter and, for a configuration, which of its members; and what the message
#: begins with.
PLACES = [
    ("GET Tasks", "EvaluateTaskAttributes", None, "Invalid EvaluateTaskAttributes expression: "),
    ("GET Workers", "TargetWorkersExpression", None, "Invalid TargetWorkersExpression expression: "),
    ("GET TaskQueues", "EvaluateWorkerAttributes", None, "Invalid EvaluateWorkerAttributes expression: "),
    ("POST TaskQueues", "TargetWorkers", None, "Invalid TargetWorkers expression: "),
    ("POST TaskQueues/", "TargetWorkers", None, "Invalid TargetWorkers expression: "),
    ("POST Workflows", "Configuration", "first", "Invalid Workflow configuration: filters[0].expression "),
    ("POST Workflows", "Configuration", "second", "Invalid Workflow configuration: filters[1].expression "),
    ("POST Workflows", "Configuration", "target", "Invalid Workflow configuration: filters[1].targets[1].expression "),
    ("POST Workflows", "Configuration", "skip_if", "Invalid Workflow configuration: filters[1].targets[2].skip_if "),
    ("POST Workflows", "Configuration", "default", "Invalid Workflow configuration: default_filter.expression "),
    ("POST Workflows/", "Configuration", "second", "Invalid Workflow configuration: filters[1].expression "),
]

#: Beside the rows: faults in later lines, behind letters of several bytes, in long lines and in every kind of token.
FURTHER_FAULTS = [
    ("(a == 1\n  AND b ==\n  )", Fault(3, 3, ")")),
    ("ort == 'Köln' AND größe >", Fault(1, 26, "<EOF>")),
    ("a == 1 b == 2", Fault(1, 8, "b")),
    ("a == 1 AND\n\tb ! 2", Fault(2, 4, "!")),
    ("a IN [1, 2", Fault(1, 11, "<EOF>")),
    ("1 < a < 3", Fault(1, 7, "<")),
    (" OR ".join(f"skill_{number} == {number}" for number in range(20)) + " OR OR", Fault(1, 341, "OR")),
]


@pytest.fixture(scope="module")
def standing(table):
    """A TaskQueue and a Workflow that refusals must leave alone."""
    queue = table.queue("Standing", "1==2")
    workflow = table.context.workflows.create(friendly_name="Standing", configuration=configured(queue))
    return {"TaskQueues/": queue, "Workflows/": workflow}


@pytest.mark.parametrize(("request_line", "parameter", "member", "beginning"), PLACES,
                         ids=[f"{line} {member or parameter}" for line, parameter, member, _ in PLACES])  # fmt: skip
def test_what_does_not_parse_is_refused_with_its_place(
    table, standing, stage, request_line, parameter, member, beginning
):
    wire = Wire(stage.url)
    method, path = request_line.split()
    if path in standing:
        path += standing[path].sid
    for text, fault in [(row.expression, row.outcome) for row in FAULTY] + FURTHER_FAULTS:
        value = text if member is None else configured(table.nobody, **{member: text})
        sent = {parameter: value, **({"FriendlyName": "Faulty"} if method == "POST" else {})}
        answer = wire(method, f"/v1/Workspaces/{table.sid}/{path}", **{"params" if method == "GET" else "data": sent})
        assert answer.status_code == 400, text
        assert answer.headers["content-type"].startswith("application/json")
        body = answer.json()
        message = body.pop("message")
        assert body == {"code": 20001, "more_info": "https://www.twilio.com/docs/errors/20001", "status": 400}
        assert message.startswith(beginning), message
        assert_shows_place(message, text, fault)


def assert_shows_place(message: str, text: str, fault: Fault) -> None:
    """The message names the offender, its line and its column, and shows that line with a caret below the column."""
    told, shown, pointer = message.split("\n")
    assert f"'{fault.fragment}'" in told, message
    assert re.search(rf"at line {fault.line} column {fault.column}\b", told), message
    line = text.split("\n")[fault.line - 1].replace("\t", " ")  # A caret below a tab would stand anywhere.
    assert pointer.strip() == "^", message
    caret = pointer.index("^")
    assert shown[caret : caret + 1] == line[fault.column - 1 : fault.column], message
    if len(line) <= 72:
        assert (shown, caret) == (line, fault.column - 1), message


def test_a_refusal_stores_nothing(table, standing):
    assert table.context.workflows.list(friendly_name="Faulty") == []
    assert table.context.task_queues.list(friendly_name="Faulty") == []
    queue, workflow = standing.values()
    assert table.context.task_queues(queue.sid).fetch().target_workers == "1==2"
    kept = table.context.workflows(workflow.sid).fetch()
    assert (kept.friendly_name, kept.configuration) == ("Standing", configured(queue))


def test_an_empty_filter_expression_is_refused_and_an_empty_target_is_as_if_absent(table):
    with refused(400, 20001, matching=r"filters\[0\]\.expression"):
        table.workflow("Empty", {"filters": [{"expression": "", "targets": [{"queue": table.only_ann.sid}]}]})
    step = {"queue": table.only_ann.sid, "expression": "", "skip_if": "", "order_by": ""}
    task = table.routed([{"expression": "1==1", "targets": [step]}])
    assert (task.assignment_status, task.task_queue_sid) == ("reserved", table.only_ann.sid)
