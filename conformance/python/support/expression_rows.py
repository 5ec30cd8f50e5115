"""The test table of expressions as data, with the objects that its rows are about.

Reference: routing, section 1.9. SIDs of the table (`WK01`, `WA01`, `WA99`) stand for those that a server gives.
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class Fault:
    """Where an expression stops being one: line and column from 1, and what the message calls the offender."""

    line: int
    column: int
    fragment: str


@dataclass(frozen=True)
class Row:
    number: str
    #: The place it is written for: X1 TaskQueue, X2 filter of a Workflow, X3 target, X4 skip_if, X7 list of Workers,
    #: X8 list of Tasks.
    place: str
    expression: str
    outcome: bool | Fault

    def __str__(self) -> str:
        return f"{self.number} {self.expression}"


TASK = {
    "type": "ticket",
    "customer_value": "Gold",
    "lvl": 3,
    "lang": "en",
    "langs": ["en", "es"],
    "vip": True,
    "score": 5.1,
    "zip": "02134",
    "empty": "",
    "none": None,
    "nums": [1, 2, 3],
    "object": {"array": ["a", "b", "c"], "attr": "bar"},
    "rows": [{"k": "v1"}, {"k": "v2"}],
    "preferred": ["WK01"],
    "need": "billing",
    "q": "it's",
}

#: Named `ann`, in the Activity `Available` (WA01). Channel voice: capacity 1, 1 accepted; chat: capacity 3, 1 accepted
#: and 1 pending; sms: capacity 0.
WORKER = {
    "skills": ["support", "billing"],
    "languages": ["english", "french"],
    "level": 7,
    "email": "ann@acme.test",
    "team": "north",
    "on_break": False,
    "ratings": {"finance": 10},
    "skill-level": 5,
}

#: Tuesday, 08:05 UTC.
WEEKDAY, HOUR, MINUTE = 1, 8, 5

ROWS = [
    Row("E01", "X2", "1 == 1", True),
    Row("E02", "X2", "0 != 1", True),
    Row("E03", "X2", "1==0", False),
    Row("E04", "X2", '"apple" != "orange"', True),
    Row("E05", "X2", "type == 'ticket'", True),
    Row("E06", "X2", 'type == "ticket"', True),
    Row("E07", "X2", "type = 'ticket'", True),
    Row("E08", "X2", "type == 'Ticket'", False),
    Row("E09", "X2", "type == 'ticket' AND customer_value == 'Gold'", True),
    Row("E10", "X2", "type == 'lead' OR vip == true", True),
    Row("E11", "X2", "type == 'lead' AND vip == true OR lvl == 3", True),
    Row("E12", "X2", "type == 'lead' AND (vip == true OR lvl == 3)", False),
    Row("E13", "X2", "NOT type == 'lead'", True),
    Row("E14", "X2", "NOT (type == 'ticket' AND vip == true)", False),
    Row("E15", "X2", "customer_value IN ['Silver','Bronze']", False),
    Row("E16", "X2", 'customer_value in ["Gold"]', True),
    Row("E17", "X2", "customer_value NOT IN ['Silver','Bronze']", True),
    Row("E18", "X2", "type IN []", False),
    Row("E19", "X2", "type NOT IN []", True),
    Row("E20", "X2", 'object.array[0] == "a"', True),
    Row("E21", "X2", "object.array[2] == 'c'", True),
    Row("E22", "X2", "object.array[9] == null", True),
    Row("E23", "X2", 'object.attr == "bar"', True),
    Row("E24", "X2", "object.array HAS 'b'", True),
    Row("E25", "X2", "'b' IN object.array", True),
    Row("E26", "X2", "object.array == 'a'", False),
    Row("E27", "X2", "object.array != 'zzz'", False),
    Row("E28", "X2", "object.array != null", True),
    Row("E29", "X2", "object != null", True),
    Row("E30", "X2", "object == 'x'", False),
    Row("E31", "X2", "rows[1].k == 'v2'", True),
    Row("E32", "X2", "rows[1].zz == null", True),
    Row("E33", "X2", "missing == null", True),
    Row("E34", "X2", "none == null", True),
    Row("E35", "X2", "missing != 'x'", True),
    Row("E36", "X2", "missing == 'x'", False),
    Row("E37", "X2", "missing == false", False),
    Row("E38", "X2", "missing != true", True),
    Row("E39", "X2", "missing > 0", False),
    Row("E40", "X2", "missing IN ['a']", False),
    Row("E41", "X2", "missing NOT IN ['a']", True),
    Row("E42", "X2", "type IN missing", False),
    Row("E43", "X2", "type NOT IN missing", False),
    Row("E44", "X2", "missing HAS 'a'", False),
    Row("E45", "X2", "missing CONTAINS 'a'", False),
    Row("E46", "X2", "empty == ''", True),
    Row("E47", "X2", "empty != null", True),
    Row("E48", "X2", "lvl >= 3", True),
    Row("E49", "X2", "lvl > 3", False),
    Row("E50", "X2", "score >= 5.1", True),
    Row("E51", "X2", "lvl == 3.0", True),
    Row("E52", "X2", 'lvl == "3"', False),
    Row("E53", "X2", 'lvl != "3"', True),
    Row("E54", "X2", "zip > 2000", True),
    Row("E55", "X2", "zip == 2134", False),
    Row("E56", "X2", "type > 5", False),
    Row("E57", "X2", "lvl > -1", True),
    Row("E58", "X2", "vip == true", True),
    Row("E59", "X2", "vip == 'true'", False),
    Row("E60", "X2", "vip == TRUE", True),
    Row("E61", "X2", "type CONTAINS 'tick'", True),
    Row("E62", "X2", "langs CONTAINS 'en'", False),
    Row("E63", "X2", "langs HAS 'en'", True),
    Row("E64", "X2", "lang HAS 'en'", False),
    Row("E65", "X2", 'lang IN "english"', False),
    Row("E66", "X2", "nums HAS 2", True),
    Row("E67", "X2", "nums HAS '2'", False),
    Row("E68", "X2", "2 IN nums AND 9 NOT IN nums", True),
    Row("E69", "X2", 'q == "it\'s"', True),
    Row("E70", "X2", "q == 'it\\'s'", True),
    Row("E71", "X2", "task.type == 'ticket'", True),
    Row("E72", "X2", "worker.level == 7", False),
    Row("E73", "X2", "taskrouter.currentTime > 0800 AND taskrouter.currentTime < 1830", True),
    Row("E74", "X2", "taskrouter.currentHour > 8", False),
    Row("E75", "X2", "taskrouter.currentHour == 8", True),
    Row("E76", "X2", "taskrouter.dayOfWeek IN ['Mon','TUE']", True),
    Row("E77", "X2", "taskrouter.currentTime > 2200 AND taskrouter.currentTime < 600", False),
    Row("E78", "X1", "(skills HAS 'support') AND (languages HAS 'english')", True),
    Row("E79", "X1", "skills HAS 'sales'", False),
    Row("E80", "X1", "level >= 5 AND team == 'north'", True),
    Row("E81", "X1", "ratings.finance == 10", True),
    Row("E82", "X1", "worker.activity_name in ['Available','High Value']", True),
    Row("E83", "X1", "friendly_name == 'ann'", True),
    Row("E84", "X1", "skill-level > 3", Fault(1, 6, "evel")),
    Row("E85", "X1", "level", Fault(1, 6, "<EOF>")),
    Row("E86", "X1", "level > ", Fault(1, 9, "<EOF>")),
    Row("E87", "X1", "level HAS 'x'", False),
    Row("E88", "X1", "", False),
    Row("E89", "X3", "task.need IN worker.skills", True),
    Row("E90", "X3", "worker.skills HAS task.need", True),
    Row("E91", "X3", "worker.sid IN task.preferred", True),
    Row("E92", "X3", "worker.sid NOT IN task.absent", False),
    Row("E93", "X3", "worker.sid != task.ignoreAgent", True),
    Row("E94", "X3", "worker.channel.voice.available_capacity_percentage == 100", False),
    Row("E95", "X3", "worker.channel.voice.assigned_tasks == 0", False),
    Row("E96", "X3", "worker.channel.chat.assigned_tasks <= 1", True),
    Row("E97", "X3", "worker.channel.chat.available_capacity_percentage == 33", True),
    Row("E98", "X3", "worker.channel.sms.available_capacity_percentage == 0", True),
    Row("E99", "X3", "worker.channel.fax.assigned_tasks == 0", False),
    Row("E100", "X3", "level == 7", False),
    Row("E101", "X3", "worker.email CONTAINS '@acme.test'", True),
    Row("E102", "X3", "1==1", True),
    Row("E103", "X4", "workers.available == 0", False),
    Row("E104", "X4", "workers.available < 3 AND workers.unavailable == 2", True),
    Row("E105", "X4", "workers.WA01 < 2 OR workers.WA99 > 0", True),
    Row("E106", "X4", "1==1", True),
    Row("E107", "X7", "activity_name contains 'vail'", True),
    Row("E108", "X7", "sid == 'WK01' and level > 1", True),
    Row("E109", "X8", 'customer_value == "Gold"', True),
    Row("E110", "X2", "type == 'ticket' && vip == true", Fault(1, 18, "&")),
]

#: Time names are known in a Workflow only, and the built-ins of a Worker only where there is a Worker; elsewhere they
#: are NULL. Reference: routing, sections 1.1 and 1.7.
READ_THE_TIME = ("E73", "E74", "E75", "E76", "E77")
READ_BUILT_INS = ("E82", "E83", "E107", "E108")
