"""The scenario language of `scenarios/README.md`: reads files into steps. Nothing here knows HTTP."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

FOLDER = Path(__file__).resolve().parents[3] / "scenarios"
WEEKDAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
ZERO = (1, "08:05:00")
RULES = ("filter", "target", "default", "configuration")
CHECKS = ("expect", "refused", "answer", "state", "next")


@dataclass
class Line:
    file: str
    number: int
    text: str

    def __str__(self) -> str:
        return f"{self.file}:{self.number}: {self.text.strip()}"


@dataclass
class Check:
    line: Line
    kind: str
    text: str


@dataclass
class Step:
    line: Line
    #: Seconds after the scenario's zero, or after the step before.
    seconds: float
    is_relative: bool
    #: Set-up: it must not be refused, and its events are not compared.
    given: bool
    command: str
    rules: list[Line] = field(default_factory=list)
    checks: list[Check] = field(default_factory=list)

    @property
    def is_engine_only(self) -> bool:
        return self.command.startswith("engine:")


@dataclass
class Plan:
    """A scenario with everything that it uses, in order."""

    name: str
    #: Weekday (0 is Monday) and second of the day of second 0.
    weekday: int = ZERO[0]
    second_of_day: int = 0
    steps: list[Step] = field(default_factory=list)

    @property
    def is_engine_only(self) -> bool:
        return any(step.is_engine_only for step in self.steps)


def split_word(text: str) -> tuple[str, str]:
    """The first word and what follows it."""
    parts = text.strip().split(maxsplit=1)
    return (parts[0] if parts else "", parts[1] if len(parts) > 1 else "")


def words(text: str) -> list[str]:
    """Words at blanks; quoted text, `{…}`, `[…]` and `(…)` hold together."""
    found, word, depth, quoted, escaped = [], "", 0, False, False
    for character in text:
        if character.isspace() and depth == 0 and not quoted:
            if word:
                found.append(word)
            word = ""
            continue
        if character == '"' and not escaped:
            quoted = not quoted
        elif not quoted:
            depth += (character in "{[(") - (character in "}])")
        escaped = character == "\\" and not escaped
        word += character
    return [*found, word] if word else found


def pair(word: str) -> tuple[str, str] | None:
    """`Key=value`, without the quotes of a quoted value."""
    match = re.match(r"([A-Za-z][\w-]*)=(.*)", word, re.DOTALL)
    return (match[1], unquoted(match[2])) if match else None


def unquoted(text: str) -> str:
    is_quoted = len(text) > 1 and text[0] == text[-1] == '"'
    return text[1:-1].replace('\\"', '"') if is_quoted else text


class Library:
    """All blocks of all files, in order."""

    def __init__(self, folder: Path = FOLDER):
        self.blocks: dict[str, list[Line]] = {}
        self.scenarios: list[str] = []
        for path in sorted(folder.glob("*.scenario")):
            self._read(path)

    def _read(self, path: Path) -> None:
        block: list[Line] = []
        for number, text in enumerate(path.read_text().splitlines(), 1):
            if not text.strip() or text.strip().startswith("#"):
                continue
            keyword, rest = split_word(text)
            if keyword in ("fixture", "scenario"):
                name = split_word(rest)[0]
                assert name not in self.blocks, f"{path.name}:{number}: {name} exists already"
                block = self.blocks[name] = []
                if keyword == "scenario":
                    self.scenarios.append(name)
            else:
                block.append(Line(path.name, number, text))

    def plan(self, name: str) -> Plan:
        plan = Plan(name, *_zero(ZERO[1]))
        for line in self._lines(name):
            _add(plan, line)
        return plan

    def _lines(self, name: str) -> Iterator[Line]:
        """The lines of a block, with what it uses in front and what it repeats written out."""
        lines = iter(self.blocks[name])
        for line in lines:
            keyword, rest = split_word(line.text)
            if keyword == "uses":
                yield from self._lines(rest)
            elif keyword == "repeat":
                first, last = (int(number) for number in rest.split(" to "))
                body = []
                for inner in lines:
                    if inner.text.strip() == "end":
                        break
                    body.append(inner)
                for n in range(first, last + 1):
                    for inner in body:
                        text = inner.text.replace("<n+1>", str(n + 1)).replace("<n>", str(n) if n > 1 else "")
                        yield Line(inner.file, inner.number, text)
            elif keyword != "source":
                yield line


def _zero(text: str) -> tuple[int, int]:
    day, time = split_word(text)
    if not time:
        day, time = WEEKDAYS[ZERO[0]], day
    hours, minutes, seconds = (int(part) for part in time.split(":"))
    return WEEKDAYS.index(day), hours * 3600 + minutes * 60 + seconds


def _add(plan: Plan, line: Line) -> None:
    keyword, rest = split_word(line.text)
    if keyword == "zero":
        plan.weekday, plan.second_of_day = _zero(rest)
    elif keyword in ("at", "given"):
        given, seconds = keyword == "given", "+0"
        if not given:
            seconds, rest = split_word(rest)
        elif rest.startswith("at "):
            seconds, rest = split_word(rest.removeprefix("at "))
        plan.steps.append(Step(line, float(seconds), seconds.startswith("+"), given, rest))
    elif keyword in RULES:
        plan.steps[-1].rules.append(line)
    elif keyword in CHECKS:
        plan.steps[-1].checks.append(Check(line, keyword, rest))
    else:
        # What only the engine can tell.
        assert keyword == "engine:", f"{line}: unknown keyword"
