"""Every field of every instruction, as parameter of a Reservation update and as answer of an assignment callback.

Reference: events and callbacks, sections 8, 9 and 10; REST contract, section 9.
"""

import json
from urllib.parse import parse_qs, urlsplit

import pytest
from support.errors import refused
from support.world import CALLER, inbound

URL = "https://app.example.org/twiml"
UNKNOWN_ACTIVITY = "WA" + "0" * 32

# instruction, what the Task has, whether the Worker has a telephone, JSON of the callback, and the code
REFUSALS = {
    "call without to": ("call", {}, False, {"from": "+15550100", "url": URL}, 40110),
    "call without from": ("call", {}, True, {"url": URL}, 40111),
    "call without url": ("call", {}, True, {"from": "+15550100"}, 40112),
    "call with a bad url": ("call", {}, True, {"from": "+15550100", "url": "not a url"}, 40112),
    "call with a bad status callback": (
        "call", {}, True, {"from": "+15550100", "url": URL, "status_callback_url": "x"}, 40158
    ),
    "redirect without url": ("redirect", {}, True, {"call_sid": CALLER}, 40120),
    "redirect without a call": ("redirect", {}, True, {"url": URL}, 40121),
    "redirect of what is no call": ("redirect", {}, True, {"url": URL, "call_sid": "WT1"}, 40121),
    "dequeue without a call": ("dequeue", {}, True, {}, 40140),
    "dequeue without a call, of a bad timeout": ("dequeue", {}, True, {"timeout": 1000}, 40140),
    "dequeue without to": ("dequeue", {"call_sid": CALLER, "to": "+15550100"}, False, {}, 40131),
    "dequeue without from": ("dequeue", {"call_sid": CALLER}, True, {}, 40132),
    "dequeue with an unknown activity": (
        "dequeue", {"call_sid": CALLER, "to": "1"}, True, {"post_work_activity_sid": UNKNOWN_ACTIVITY}, 40130
    ),
    "dequeue with unknown events": (
        "dequeue", {"call_sid": CALLER, "to": "1"}, True, {"status_callback_events": "sung"}, 40134
    ),
    "dequeue with a bad status callback": (
        "dequeue", {"call_sid": CALLER, "to": "1"}, True, {"status_callback_url": "ftp://x"}, 40157
    ),
    "conference without a call": ("conference", {}, True, {"from": "1"}, 40142),
    "conference without a call, with a bad status callback": (
        "conference", {}, True, {"from": "1", "status_callback": "nope"}, 40142
    ),
    "conference without to": ("conference", {"call_sid": CALLER, "to": "1"}, False, {}, 40137),
    "conference without from": ("conference", {"call_sid": CALLER}, True, {}, 40138),
    "conference with a bad status callback": (
        "conference", {"call_sid": CALLER, "to": "1"}, True, {"status_callback": "x"}, 40159
    ),
}  # fmt: skip

# The parameter of the Reservation update for a field of the callback.
NAMES = {
    "call": {"from": "CallFrom", "url": "CallUrl", "status_callback_url": "CallStatusCallbackUrl"},
    "redirect": {"call_sid": "RedirectCallSid", "url": "RedirectUrl"},
    "dequeue": {
        "post_work_activity_sid": "DequeuePostWorkActivitySid",
        "status_callback_events": "DequeueStatusCallbackEvent",
        "status_callback_url": "DequeueStatusCallbackUrl",
        "timeout": "DequeueTimeout",
    },
    "conference": {"from": "From", "status_callback": "StatusCallback"},
}


def path_of(office, task, reservation) -> str:
    return f"/v1/Workspaces/{office.sid}/Tasks/{task.sid}/Reservations/{reservation.sid}"


@pytest.mark.parametrize("row", REFUSALS.values(), ids=REFUSALS)
def test_a_faulty_instruction_is_refused_and_changes_nothing(office, virtual_wire, row):
    instruction, attributes, reachable, fields, code = row
    if reachable:
        office.reachable(office.ann)
    task = office.create("support", **attributes)
    reservation = office.offer(task)
    parameters = {NAMES[instruction][name]: value for name, value in fields.items()}
    answer = virtual_wire(
        "POST", path_of(office, task, reservation), data={"Instruction": instruction, **parameters}
    )
    assert (answer.status_code, answer.json()["code"]) == (400, code), answer.text
    assert office.offer(task).sid == reservation.sid, "the offer stands"


def codes_logged(server, reservation) -> list[str]:
    """The codes of the lines that name a reservation."""
    logged = [line for line in server.log().splitlines() if reservation.sid in line]
    return [word.removeprefix("code=") for line in logged for word in line.split() if word.startswith("code=")]


@pytest.mark.parametrize("row", REFUSALS.values(), ids=REFUSALS)
def test_a_faulty_instruction_of_a_callback_is_logged_with_its_code(office, receiver, virtual_server, row):
    instruction, attributes, reachable, fields, code = row
    if reachable:
        office.reachable(office.ann)
    receiver.answers["/assign"] = (200, "application/json", json.dumps({"instruction": instruction, **fields}))
    office.context.workflows(office.flow.sid).update(assignment_callback_url=receiver.url + "/assign")
    task = office.create("support", **attributes)
    office.clock.quiet()
    reservation = office.offer(task)
    assert codes_logged(virtual_server, reservation) == [str(code)]


@pytest.mark.parametrize(
    "answer",
    [
        {"instruction": "é" * 30_000},
        {"instruction": "reject", "activity_sid": "é" * 30_000},
        {"instruction": "conference", "beep": "é" * 30_000},
    ],
    ids=lambda answer: ", ".join(answer),
)
def test_the_log_shows_little_of_an_answer(office, receiver, virtual_server, answer):
    receiver.answers["/assign"] = (200, "application/json", json.dumps(answer, ensure_ascii=False))
    office.context.workflows(office.flow.sid).update(assignment_callback_url=receiver.url + "/assign")
    task = office.create("support", call_sid=CALLER)
    office.clock.quiet()
    reservation = office.offer(task)
    (line,) = [line for line in virtual_server.log().splitlines() if reservation.sid in line]
    assert "assignment instruction not carried out" in line
    assert 0 < line.count("é") <= 200


FAULTY_FIELDS = [{"timeout": 1000}, {"to": {}}, {"status_callback_url": "nope"}]


@pytest.mark.parametrize("fields", FAULTY_FIELDS, ids=str)
def test_a_callback_that_asks_too_late_is_told_so_whatever_its_fields(office, receiver, virtual_server, fields):
    answer = (200, "application/json", json.dumps({"instruction": "dequeue", **fields}))

    def accept_first(callback):
        reservations = office.context.tasks(callback["TaskSid"]).reservations
        reservations(callback["ReservationSid"]).update(reservation_status="accepted")
        return answer

    office.reachable(office.ann)
    receiver.answers["/assign"] = accept_first
    office.context.workflows(office.flow.sid).update(assignment_callback_url=receiver.url + "/assign")
    task = office.create("support", call_sid=CALLER, to="1")
    office.clock.quiet()
    (reservation,) = office.reservations(task)
    assert codes_logged(virtual_server, reservation) == ["40135"]


@pytest.mark.parametrize("fields", FAULTY_FIELDS, ids=str)
def test_a_callback_about_a_task_without_a_call_is_told_so_whatever_its_fields(
    office, receiver, virtual_server, fields
):
    receiver.answers["/assign"] = (200, "application/json", json.dumps({"instruction": "dequeue", **fields}))
    office.context.workflows(office.flow.sid).update(assignment_callback_url=receiver.url + "/assign")
    task = office.create("support")
    office.clock.quiet()
    assert codes_logged(virtual_server, office.offer(task)) == ["40140"]


@pytest.mark.parametrize("activity", [UNKNOWN_ACTIVITY, "whatever"])
def test_an_activity_after_a_conference_is_ignored_where_it_means_nothing_and_the_log_says_so(
    office, virtual_wire, virtual_server, activity
):
    office.reachable(office.ann)
    task = office.create("support", call_sid=CALLER, to="+15550100")
    reservation = office.offer(task)
    answer = virtual_wire(
        "POST",
        path_of(office, task, reservation),
        data={"Instruction": "conference", "PostWorkActivitySid": activity},
    )
    assert answer.status_code == 200, answer.text
    logged = [line for line in virtual_server.log().splitlines() if reservation.sid in line]
    assert any("code=40139" in line and "ignored" in line for line in logged), logged


@pytest.mark.parametrize("instruction", ["supervise", "Supervise"])
def test_supervision_needs_an_accepted_reservation_a_telephone_and_a_caller_id(office, instruction):
    office.reachable(office.bob)
    task = office.create("support")
    reservation = office.offer(task)
    with refused(400, 40146):
        reservation.update(instruction=instruction, supervisor=office.bob.sid)
    reservation.update(reservation_status="accepted")
    with refused(400, 40148):
        reservation.update(instruction=instruction, supervisor=office.bob.sid)
    office.context.tasks(task.sid).update(attributes=json.dumps({"from": "+15550111"}))
    with refused(400, 40147):
        reservation.update(instruction=instruction, supervisor=office.cid.sid)
    with refused(400, 40147):
        reservation.update(instruction=instruction)
    assert reservation.update(instruction=instruction, supervisor=office.bob.sid).reservation_status == "accepted"


def test_supervision_is_not_for_the_path_of_the_worker(office):
    task = office.create("support")
    reservation = office.accept(task)
    with refused(400, 55555):
        office.context.workers(office.ann.sid).reservations(reservation.sid).update(instruction="supervise")


# What the voice API gets of each parameter of a conference.
PASSED = {
    "To": ("client:zoe", "client:zoe"),
    "From": ("+15550177", "+15550177"),
    "Timeout": ("999", "600"),
    "Record": ("record-from-answer", "true"),
    "Muted": ("true", "true"),
    "Beep": ("onEnter", "onEnter"),
    "StartConferenceOnEnter": ("false", "false"),
    "EndConferenceOnExit": ("true", "true"),
    "WaitUrl": (URL, URL),
    "WaitMethod": ("GET", "GET"),
    "EarlyMedia": ("false", "false"),
    "MaxParticipants": ("2", "2"),
    "ConferenceRecord": ("record-from-start", "record-from-start"),
    "ConferenceTrim": ("do-not-trim", "do-not-trim"),
    "RecordingChannels": ("dual", "dual"),
    "RecordingStatusCallback": (URL, URL),
    "RecordingStatusCallbackMethod": ("GET", "GET"),
    "ConferenceRecordingStatusCallback": (URL, URL),
    "ConferenceRecordingStatusCallbackMethod": ("GET", "GET"),
    "Region": ("de1", "de1"),
    "SipAuthUsername": ("ann", "ann"),
    "SipAuthPassword": ("secret", "secret"),
    "JitterBufferSize": ("small", "small"),
    "Transcribe": ("true", "true"),
    "TranscriptionConfiguration": ("GT1", "GT1"),
}


def test_the_parameters_of_a_conference_reach_the_voice_api(desk, voice, voice_wire):
    task = inbound(desk)
    reservation = desk.offer(task)
    data = {"Instruction": "conference"} | {name: given for name, (given, _) in PASSED.items()}
    answer = voice_wire("POST", path_of(desk, task, reservation), data=data)
    assert answer.status_code == 200, answer.text
    desk.clock.quiet()
    (request,) = voice.asked(f"/Conferences/{task.sid}/Participants")
    own = {"StatusCallback", "StatusCallbackEvent", "ConferenceStatusCallback", "ConferenceStatusCallbackEvent"}
    assert {name: request[name] for name in request.names() - own} == {
        name: expected for name, (_, expected) in PASSED.items()
    }


def test_lists_may_be_repeated_or_separated_by_commas_and_have_the_name_of_the_browser_library(
    desk, voice, voice_wire, receiver
):
    for number, events in enumerate(
        (
            {"DequeueStatusCallbackEvent": ["ringing", "answered"]},
            {"DequeueStatusCallbackEvents": "ringing,answered"},
            {"DequeueStatusCallbackEvent": "ringing, answered"},
        )
    ):
        task = inbound(desk)
        path = f"/progress/{number}"
        data = {"Instruction": "dequeue", "DequeueStatusCallbackUrl": receiver.url + path, **events}
        answer = voice_wire("POST", path_of(desk, task, desk.offer(task)), data=data)
        assert answer.status_code == 200, answer.text
        desk.clock.quiet()
        request = voice.asked("/Calls")[-1]
        for status in ("initiated", "ringing", "in-progress", "completed"):
            voice.report(request, voice.calls[request.token], status)
            desk.clock.quiet()
        desk.complete(task)
        desk.clock.quiet()
        told = [parse_qs(urlsplit(callback.url).query)["CallStatus"] for callback in receiver.callbacks(path)]
        assert told == [["ringing"], ["in-progress"]]
