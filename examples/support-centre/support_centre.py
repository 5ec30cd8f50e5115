"""A support centre for an afternoon: forty customers, two languages, five people, one VIP promise.

Everything goes through the official `twilio` library; only the base URL is another one. The clock is Pointsman's own
extension: with a virtual clock the five minutes of this story take a few seconds.
"""

import csv
import heapq
import itertools
import json
import os
import random
import sys
import time
import unicodedata
from collections import defaultdict
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path

from twilio.http.http_client import TwilioHttpClient
from twilio.rest import Client

HERE = Path(__file__).resolve().parent

LANGUAGES = {"en": "English", "es": "Spanish"}
RESERVATION_TIMEOUT = 15
STEP_TIMEOUTS = (20, 40)

# name, languages, level, capacity per channel
PEOPLE = [
    ("Ana", ["en", "es"], 3, {"voice": 1, "chat": 2}),
    ("Ben", ["en"], 2, {"voice": 1, "chat": 3}),
    ("Carmen", ["es"], 1, {"voice": 1, "chat": 2}),
    ("Dev", ["en"], 1, {"voice": 0, "chat": 4}),
    ("Elena", ["en", "es"], 3, {"voice": 1, "chat": 1}),
]
# Ben steps away from his desk and does not see his third offer.
OVERLOOKED = {("Ben", 3)}
AWAY_SECONDS = 30
# People sit down before the first call; so nobody's idle time ties with the first offer.
OPENING_SECONDS = 60


class BaseUrlClient(TwilioHttpClient):
    """The library's own HTTP client; scheme and host are replaced, nothing else."""

    def __init__(self, base_url: str):
        super().__init__(timeout=330)
        self.base_url = base_url.rstrip("/")

    def request(self, method, url, *args, **kwargs):
        return super().request(method, url.replace("https://taskrouter.twilio.com", self.base_url, 1), *args, **kwargs)


class Clock:
    """The server's clock: moved when it is virtual, waited for when it is the system's."""

    def __init__(self, client: Client, base_url: str):
        self.client = client
        self.url = f"{base_url.rstrip('/')}/pointsman/v1/Clock"
        self.virtual = self.read("GET")["mode"] == "virtual"
        self.restart()

    def read(self, method: str, **form) -> dict:
        headers = {"Content-Type": "application/x-www-form-urlencoded"} if form else {}
        answer = self.client.request(method, self.url, data=form, headers=headers)
        if answer.status_code != 200:
            raise SystemExit(f"the clock answered {answer.status_code}: {answer.text}")
        return json.loads(answer.text)

    def restart(self) -> None:
        """The story begins now."""
        self.start = datetime.fromisoformat(self.read("GET")["now"])

    def next_deadline(self) -> float:
        """Seconds of the story at which the server does something by itself."""
        deadline = self.read("GET")["next_deadline"]
        return self.seconds(datetime.fromisoformat(deadline)) if deadline else float("inf")

    def seconds(self, moment: datetime) -> float:
        return (moment - self.start).total_seconds()

    def move_to(self, second: float) -> None:
        if self.virtual:
            self.read("POST", Until=(self.start + timedelta(seconds=second)).isoformat(timespec="milliseconds"))
        else:
            time.sleep(max(0.0, second - self.seconds(datetime.fromisoformat(self.read("GET")["now"]))))


@dataclass
class Ticket:
    """One row of tasks.csv and what became of it."""

    number: int
    row: dict[str, str]
    sid: str = ""
    queue: str = ""
    filter: str = ""
    step: str = ""
    step_number: int = 0
    waiting: bool = True
    missed_by: str = ""
    worker: str = ""
    waited: float = 0.0
    done: bool = False

    @property
    def vip(self) -> bool:
        return self.row["tier"] == "vip"

    @property
    def arrives(self) -> float:
        return float(self.row["arrives"])


@dataclass
class Person:
    name: str
    sid: str
    offers: int = 0
    taken: int = 0
    busy_seconds: float = 0.0
    spans: list = field(default_factory=list)


# Printing

COLUMNS = [
    ("time", 6),
    ("task", 5),
    ("customer", 18),
    ("channel", 8),
    ("queue", 9),
    ("step", 7),
    ("worker", 8),
    ("why", 0),
]
COLORS = {"dim": "2", "bold": "1", "red": "31", "green": "32", "yellow": "33"}


class Page:
    """Aligned columns; color only on a terminal that wants it."""

    def __init__(self):
        self.color = sys.stdout.isatty() and "NO_COLOR" not in os.environ and os.environ.get("TERM") != "dumb"

    def paint(self, text: str, *styles: str) -> str:
        codes = ";".join(COLORS[style] for style in styles if style)
        return f"\033[{codes}m{text}\033[0m" if self.color and codes else text

    def line(self, *cells: str, style: str = "", worker_style: str = "") -> None:
        parts = []
        for (name, width), cell in zip(COLUMNS, cells, strict=True):
            text = fit(cell, width) if width else cell
            parts.append(self.paint(text, worker_style or style) if name == "worker" else self.paint(text, style))
        print("  ".join(parts).rstrip())

    def heading(self) -> None:
        self.line(*(name.upper() for name, _ in COLUMNS), style="bold")
        self.line(*("─" * (width or 58) for _, width in COLUMNS), style="dim")

    def title(self, text: str) -> None:
        print(f"\n{self.paint(text, 'bold')}\n")

    def table(self, headers: list[str], rows: list[list[str]]) -> None:
        """The first column to the left, numbers to the right."""
        widths = [max(len(row[index]) for row in [headers, *rows]) for index in range(len(headers))]
        for position, row in enumerate([headers, *rows]):
            cells = [
                cell.ljust(width) if index == 0 else cell.rjust(width)
                for index, (cell, width) in enumerate(zip(row, widths, strict=True))
            ]
            print("  " + self.paint("   ".join(cells), "bold" if position == 0 else ""))
        print()


def fit(text: str, width: int) -> str:
    """Exactly this many characters, with an ellipsis where something is cut."""
    text = unicodedata.normalize("NFC", text)
    return text.ljust(width) if len(text) <= width else text[: width - 1] + "…"


def clock_text(seconds: float) -> str:
    whole = int(seconds)
    return f"{whole // 60:02}:{whole % 60:02}"


def span(seconds: float) -> str:
    return f"{round(seconds)} s"


# The centre


class SupportCentre:
    def __init__(self, client: Client, clock: Clock, page: Page):
        self.client, self.clock, self.page = client, clock, page
        workspaces = client.taskrouter.v1.workspaces
        self.sid = workspaces.create(friendly_name=f"Support centre {clock.start:%H:%M:%S}").sid
        self.context = workspaces(self.sid)
        self.tickets: dict[str, Ticket] = {}
        self.people: dict[str, Person] = {}
        self.agenda: list[tuple[float, int, object]] = []
        self.order = itertools.count()
        self.seen: str | None = None
        self.random = random.Random(40)

    def set_up(self) -> None:
        """Activities, five people, three queues and the workflow."""
        activities = {activity.friendly_name: activity.sid for activity in self.context.activities.list()}
        self.available = activities["Available"]
        away = self.context.activities.create(friendly_name="Away", available=False)
        self.context.update(timeout_activity_sid=away.sid)
        for name, languages, level, capacities in PEOPLE:
            worker = self.context.workers.create(
                friendly_name=name,
                activity_sid=self.available,
                attributes=json.dumps({"languages": languages, "level": level}),
            )
            self.people[name] = Person(name, worker.sid)
            for channel, capacity in capacities.items():
                self.context.workers(worker.sid).worker_channels(channel).update(capacity=capacity)
        queues = {
            code: self.context.task_queues.create(friendly_name=name, target_workers=f"languages HAS '{code}'").sid
            for code, name in LANGUAGES.items()
        }
        floor = self.context.task_queues.create(friendly_name="Everyone", target_workers="1==1").sid
        self.context.workflows.create(
            friendly_name="Support",
            configuration=json.dumps({"task_routing": self.configuration(queues, floor)}),
            task_reservation_timeout=RESERVATION_TIMEOUT,
        )

    @staticmethod
    def configuration(queues: dict[str, str], floor: str) -> dict:
        """VIPs: seniors for 20 s, then everyone who speaks the language for 40 s, then the whole floor."""
        filters = []
        for code, name in LANGUAGES.items():
            filters.append({
                "filter_friendly_name": f"VIP {name}",
                "expression": f"language == '{code}' AND tier == 'vip'",
                "targets": [
                    {"target_friendly_name": f"seniors who speak {name}", "queue": queues[code],
                     "expression": "worker.level >= 3", "priority": 50, "timeout": STEP_TIMEOUTS[0]},
                    {"target_friendly_name": f"everyone who speaks {name}", "queue": queues[code],
                     "priority": 100, "timeout": STEP_TIMEOUTS[1]},
                    {"target_friendly_name": "the whole floor", "queue": floor, "priority": 200},
                ],
            })  # fmt: skip
        for code, name in LANGUAGES.items():
            filters.append({
                "filter_friendly_name": name,
                "expression": f"language == '{code}'",
                "targets": [{"target_friendly_name": f"everyone who speaks {name}", "queue": queues[code]}],
            })  # fmt: skip
        return {"filters": filters, "default_filter": {"queue": floor}}

    # Time

    def plan(self, second: float, action) -> None:
        heapq.heappush(self.agenda, (second, next(self.order), action))

    def run(self, rows: list[dict[str, str]]) -> None:
        """Goes from one thing that happens to the next, ours or the server's."""
        for number, row in enumerate(rows, start=1):
            self.plan(float(row["arrives"]), lambda number=number, row=row: self.arrive(number, row))
        self.read_events(0.0)
        while not (len(self.tickets) == len(rows) and all(ticket.done for ticket in self.tickets.values())):
            ours = self.agenda[0][0] if self.agenda else float("inf")
            now = min(ours, self.clock.next_deadline())
            if now == float("inf"):
                raise SystemExit("customers wait and nothing is going to happen")
            self.clock.move_to(now)
            self.read_events(now)
            while self.agenda and self.agenda[0][0] <= now:
                heapq.heappop(self.agenda)[2]()
                self.read_events(now)
        self.end = now

    def arrive(self, number: int, row: dict[str, str]) -> None:
        attributes = {name: row[name] for name in ("customer", "language", "tier", "subject")}
        task = self.context.tasks.create(
            attributes=json.dumps(attributes, ensure_ascii=False), task_channel=row["channel"]
        )
        self.tickets[task.sid] = Ticket(number, row, task.sid)

    # What the server says

    def read_events(self, now: float) -> None:
        """Everything that happened since the last look, oldest first."""
        new = []
        for event in self.context.events.stream(page_size=50):
            if event.sid == self.seen:
                break
            new.append(event)
        if new:
            self.seen = new[0].sid
        for event in reversed(new):
            at = event.event_date_ms / 1000 - self.clock.start.timestamp()
            handler = getattr(self, "on_" + event.event_type.replace(".", "_").replace("-", "_"), None)
            if handler is not None:
                handler(at, event.event_data)

    def on_workflow_target_matched(self, at: float, data: dict) -> None:
        ticket = self.tickets[data["task_sid"]]
        ticket.queue, ticket.filter = data["task_queue_name"], data["workflow_filter_name"]
        step = data.get("workflow_filter_target_name", "")
        if step == ticket.step:
            return
        ticket.step, ticket.step_number, ticket.missed_by = step, ticket.step_number + 1, ""
        if ticket.step_number > 1:
            self.show(at, ticket, "", f"VIP waited {span(at - ticket.arrives)}: escalated to {step}", style="yellow")

    def on_reservation_created(self, at: float, data: dict) -> None:
        ticket, person = self.tickets[data["task_sid"]], self.people[data["worker_name"]]
        person.offers += 1
        ticket.waiting = False
        ticket.reason = self.reason(at, ticket)
        if (person.name, person.offers) in OVERLOOKED:
            return
        sid = data["reservation_sid"]
        self.plan(at + self.random.choice((1, 2, 2, 3)), lambda: self.accept(ticket, sid))

    def on_reservation_timeout(self, at: float, data: dict) -> None:
        ticket, person = self.tickets[data["task_sid"]], self.people[data["worker_name"]]
        ticket.waiting, ticket.missed_by = True, person.name
        self.show(
            at, ticket, person.name, f"no answer within {RESERVATION_TIMEOUT} s: {person.name} is now Away", style="red"
        )
        self.plan(at + AWAY_SECONDS, lambda: self.come_back(person))

    def on_reservation_accepted(self, at: float, data: dict) -> None:
        ticket, person = self.tickets[data["task_sid"]], self.people[data["worker_name"]]
        ticket.worker, ticket.waited = person.name, at - ticket.arrives
        person.taken += 1
        handle = float(ticket.row["handle"])
        person.spans.append((at, at + handle))
        self.show(at, ticket, person.name, ticket.reason, style="bold" if ticket.vip else "", worker_style="green")
        self.plan(at + handle, lambda: self.complete(ticket))

    def on_task_canceled(self, at: float, data: dict) -> None:
        ticket = self.tickets[data["task_sid"]]
        ticket.done = True
        self.show(at, ticket, "", f"gave up: {data.get('reason', 'canceled')}", style="red")

    # What people do

    def accept(self, ticket: Ticket, reservation_sid: str) -> None:
        self.context.tasks(ticket.sid).reservations(reservation_sid).update(reservation_status="accepted")

    def complete(self, ticket: Ticket) -> None:
        self.context.tasks(ticket.sid).update(assignment_status="completed", reason="solved")
        ticket.done = True

    def come_back(self, person: Person) -> None:
        self.context.workers(person.sid).update(activity_sid=self.available)

    # Words

    def reason(self, at: float, ticket: Ticket) -> str:
        """Why this Worker got this Task at this moment, from what the events told."""
        waited = at - ticket.arrives
        if ticket.missed_by:
            return f"{ticket.missed_by} did not answer: offered to the next of {ticket.step}"
        if ticket.step_number > 1:
            return f"VIP waited {span(waited)}: escalated to {ticket.step}"
        if waited < 1:
            return f"at once: idle longest of {ticket.step}"
        overtaken = [
            other for other in self.tickets.values()
            if other.waiting and not other.vip and other.arrives < ticket.arrives
            and other.queue == ticket.queue and other.row["channel"] == ticket.row["channel"]
        ]  # fmt: skip
        if ticket.vip and overtaken:
            return f"waited {span(waited)}: VIP goes before {len(overtaken)} who came earlier"
        return f"waited {span(waited)} for {ticket.step}"

    def show(self, at: float, ticket: Ticket, worker: str, why: str, **styles: str) -> None:
        steps = 1 + len(STEP_TIMEOUTS) if ticket.vip else 1
        step = f"{'VIP ' if ticket.vip else ''}{ticket.step_number}/{steps}"
        self.page.line(
            clock_text(at), f"#{ticket.number:02}", ticket.row["customer"], ticket.row["channel"], ticket.queue, step,
            worker or "–", why, **styles,
        )  # fmt: skip

    # The end

    def totals(self) -> None:
        page, tickets = self.page, list(self.tickets.values())
        answered = [ticket for ticket in tickets if ticket.worker]
        waits = [ticket.waited for ticket in answered]
        page.title("Totals")
        print(
            f"  {len(tickets)} customers in {clock_text(self.end)}: {len(answered)} answered, {len(tickets) - len(answered)} lost; "
            f"wait {span(sum(waits) / len(waits))} on average, {span(max(waits))} at most.\n"
        )
        groups: dict[str, list[Ticket]] = defaultdict(list)
        for ticket in answered:
            groups[f"{LANGUAGES[ticket.row['language']]}, {'VIP' if ticket.vip else 'standard'}"].append(ticket)
        rows = []
        for name in sorted(groups):
            group = groups[name]
            steps = [sum(1 for ticket in group if ticket.step_number == number) for number in (1, 2, 3)]
            times = [ticket.waited for ticket in group]
            escalated = [str(count) for count in steps[1:]] if "VIP" in name else ["", ""]
            rows.append(
                [name, str(len(group)), span(sum(times) / len(times)), span(max(times)), str(steps[0]), *escalated]
            )
        page.table(["customers", "answered", "average wait", "longest wait", "first step", "second", "third"], rows)
        rows = []
        for person in self.people.values():
            busy = covered(person.spans, self.end)
            rows.append(
                [person.name, str(person.offers), str(person.taken), clock_text(busy), f"{100 * busy / self.end:.0f} %"]
            )
        page.table(["worker", "offers", "taken", "busy", "of the time"], rows)
        figures = self.context.cumulative_statistics().fetch(minutes=60)
        print(
            f"  The server's own statistics: {figures.tasks_created} tasks created, {figures.tasks_completed} completed, "
            f"{figures.reservations_created} offers, {figures.reservations_timed_out} timed out, "
            f"{figures.avg_task_acceptance_time} s to acceptance on average.\n"
        )
        agrees = (figures.tasks_created, figures.reservations_accepted) == (len(tickets), len(answered))
        if not agrees:
            raise SystemExit("the server's statistics and this timeline disagree")


def covered(spans: list[tuple[float, float]], end: float) -> float:
    """Seconds in which at least one of the spans runs."""
    total, reached = 0.0, 0.0
    for start, stop in sorted(spans):
        start, stop = max(start, reached), min(stop, end)
        if stop > start:
            total, reached = total + stop - start, stop
    return total


def main() -> None:
    base_url = os.environ["POINTSMAN_URL"]
    client = Client(
        os.environ["POINTSMAN_ACCOUNT_SID"], os.environ["POINTSMAN_AUTH_TOKEN"], http_client=BaseUrlClient(base_url)
    )
    with (HERE / "tasks.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    clock, page = Clock(client, base_url), Page()
    centre = SupportCentre(client, clock, page)
    try:
        centre.set_up()
        if clock.virtual:
            clock.move_to(OPENING_SECONDS)
        clock.restart()
        page.title("Support centre: five people, two languages, forty customers")
        seniors, speakers = STEP_TIMEOUTS
        print(
            f"  VIPs are offered to seniors of their language for {seniors} s, then to everyone who speaks it for {speakers} s, then to the whole floor."
        )
        print(
            f"  An offer that is not answered within {RESERVATION_TIMEOUT} s goes to the next, and its worker is set to Away."
        )
        if not clock.virtual:
            print("  The server's clock runs with the system: this takes about five minutes.")
        print()
        page.heading()
        centre.run(rows)
        centre.totals()
        sys.stdout.flush()
    except BrokenPipeError:
        # Whoever read the timeline has seen enough.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    finally:
        centre.context.delete()


if __name__ == "__main__":
    main()
