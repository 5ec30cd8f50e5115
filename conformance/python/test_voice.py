"""Instructions that place and move calls, through a voice API in this process that plays the provider.

Reference: events and callbacks, sections 8, 9 and 11; routing, section 5.
"""

import json
import re
import threading
from types import SimpleNamespace
from urllib.parse import parse_qs, quote, urlsplit

import pytest
import requests
from support.client import connect
from support.clock import Clock
from support.errors import refused
from support.server import AUTH_TOKEN, Server
from support.voice import AUTH_TOKEN as VOICE_TOKEN
from support.voice import CONFERENCE
from support.world import CALLER, Office, inbound
from twilio.request_validator import RequestValidator

ALL_CALL_EVENTS = ["initiated", "ringing", "answered", "completed"]


def attributes_of(desk, task) -> dict:
    return json.loads(desk.fetch(task).attributes)


def status_of(desk, task, reservation) -> str:
    return desk.context.tasks(task.sid).reservations(reservation.sid).fetch().reservation_status


def worker_call(desk, task) -> str:
    return attributes_of(desk, task)["worker_call_sid"]


def hung_up(voice, call: str) -> list[str]:
    """What was asked of a call that is to end."""
    return [asked["Status"] for asked in voice.asked(f"/Calls/{call}")]


OTHER = "CA" + "e" * 32
"""A call that no answer of the voice API has named."""


# Dequeue


def dequeued(desk, voice, **parameters):
    """A Task whose reservation was told to dequeue, and the request for the Worker's call."""
    task = inbound(desk)
    reservation = desk.offer(task)
    desk.happened()
    updated = reservation.update(instruction="dequeue", **parameters)
    assert updated.reservation_status == "pending", "it is accepted when the Worker answers"
    desk.clock.quiet()
    (request,) = voice.asked("/Calls")
    return task, reservation, request


def test_dequeue_calls_the_worker(desk, voice):
    task, reservation, request = dequeued(desk, voice)
    assert request["To"] == "client:ann"
    assert request["From"] == "+15550100", "the number that the caller dialled"
    assert request["Timeout"] == "60"
    assert request["Record"] == "false"
    assert request.all("StatusCallbackEvent") == ALL_CALL_EVENTS
    assert f"/pointsman/v1/voice/worker-leg/{reservation.sid}" in request["Url"]
    assert f"/pointsman/v1/voice/status/{reservation.sid}" in request["StatusCallback"]
    assert attributes_of(desk, task)["worker_call_sid"].startswith("CA")
    assert desk.happened() == ["task.updated"]
    assert status_of(desk, task, reservation) == "pending"


def test_dequeue_passes_its_parameters_on_and_rings_no_longer_than_the_voice_api_allows(desk, voice):
    parameters = {"dequeue_to": "sip:ann@example.com", "dequeue_from": "+15550199", "dequeue_timeout": 999}
    _, _, request = dequeued(desk, voice, **parameters, dequeue_record="record-from-answer")
    assert request["To"] == "sip:ann@example.com"
    assert request["From"] == "+15550199"
    assert request["Timeout"] == "600"
    assert request["Record"] == "true"


def test_a_worker_who_answers_is_connected_with_the_caller(desk, voice):
    task, reservation, request = dequeued(desk, voice)
    desk.happened()
    call = worker_call(desk, task)
    voice.report(request, call, "ringing")
    assert status_of(desk, task, reservation) == "pending"
    voice.report(request, call, "in-progress")
    assert status_of(desk, task, reservation) == "accepted"
    leg = voice.send(request["Url"], CallSid=call, CallStatus="in-progress")
    assert leg.headers["Content-Type"] == "text/xml; charset=utf-8"
    assert f">{reservation.sid}</Conference>" in leg.text
    desk.clock.quiet()
    (moved,) = voice.asked(f"/Calls/{CALLER}")
    assert f">{reservation.sid}</Conference>" in moved["Twiml"]
    assert desk.happened() == ["reservation.accepted Ann"]
    assert desk.fetch(task).assignment_status == "assigned"


def test_the_worker_is_connected_even_when_its_leg_asks_before_the_report_comes(desk, voice):
    task, reservation, request = dequeued(desk, voice)
    call = worker_call(desk, task)
    leg = voice.send(request["Url"], CallSid=call, CallStatus="in-progress")
    assert f">{reservation.sid}</Conference>" in leg.text
    voice.report(request, call, "in-progress")
    desk.clock.quiet()
    assert status_of(desk, task, reservation) == "accepted"
    assert len(voice.asked(f"/Calls/{CALLER}")) == 1, "the caller is moved once"


def test_the_end_of_the_call_is_the_begin_of_wrapping_up(desk, voice):
    after_call = desk.activity("After call", available=False)
    task, reservation, request = dequeued(desk, voice, dequeue_post_work_activity_sid=after_call.sid)
    call = worker_call(desk, task)
    voice.report(request, call, "in-progress")
    desk.clock.quiet()
    desk.happened()
    voice.report(request, call, "completed", CallDuration="31")
    assert status_of(desk, task, reservation) == "wrapping"
    assert desk.fetch(task).assignment_status == "wrapping"
    assert desk.happened() == [
        "task.wrapup",
        "reservation.wrapup Ann",
        "worker.activity.update Ann Available->After call",
    ]


@pytest.mark.parametrize("ending", ["busy", "no-answer", "failed", "canceled"])
def test_a_worker_who_is_not_reached_loses_the_offer(desk, voice, ending):
    task, reservation, request = dequeued(desk, voice)
    desk.happened()
    desk.move(desk.ann, "Focus")
    desk.happened()
    voice.report(request, worker_call(desk, task), ending, ErrorCode="13223")
    assert status_of(desk, task, reservation) == "canceled"
    happened = desk.happened()
    assert happened[0] == "reservation.canceled Ann"
    assert desk.fetch(task).assignment_status == "reserved", "it is offered again at once"
    (event,) = desk.events(reservation_sid=reservation.sid, event_type="reservation.canceled")
    assert event.event_data["reservation_reason_code"] == "13223"
    step = desk.events(task_sid=task.sid, event_type="workflow.target-matched")[-1]
    assert step.event_data["task_re_evaluated_reason"] == "reservation_canceled"


def test_a_call_that_the_voice_api_refuses_cancels_the_offer_with_its_code(desk, voice):
    task = inbound(desk)
    reservation = desk.offer(task)
    voice.answers["/Calls"] = (400, {"code": 21215, "message": "Geo permission denied", "status": 400})
    reservation.update(instruction="dequeue")
    desk.clock.quiet()
    assert status_of(desk, task, reservation) == "canceled"
    (event,) = desk.events(reservation_sid=reservation.sid, event_type="reservation.canceled")
    assert event.event_data["reservation_reason_code"] == "21215"


@pytest.mark.parametrize("ending", ["wrapping", "completed"])
def test_the_post_work_activity_waits_for_the_end_of_the_call_even_when_the_work_is_over(desk, voice, ending):
    after_call = desk.activity("After call", available=False)
    task, reservation, request = dequeued(desk, voice, dequeue_post_work_activity_sid=after_call.sid)
    call = worker_call(desk, task)
    voice.report(request, call, "in-progress")
    desk.clock.quiet()
    assert status_of(desk, task, reservation) == "accepted"
    desk.context.tasks(task.sid).update(assignment_status=ending)
    assert desk.context.workers(desk.ann.sid).fetch().activity_name == "Available", "the call goes on"
    voice.report(request, call, "completed")
    assert desk.context.workers(desk.ann.sid).fetch().activity_name == "After call"


@pytest.mark.parametrize("is_engaged", [False, True])
def test_a_call_that_ends_late_moves_no_worker_who_is_offered_another_task(voice_server, voice, is_engaged):
    """A single-tasking Worker who was moved away would lose the other Task."""
    desk = Office(connect(voice_server.url), Clock(voice_server.url), multi_task_enabled=False)
    desk.reachable(desk.ann)
    after_call = desk.activity("After call", available=False)
    task, _, request = dequeued(desk, voice, dequeue_post_work_activity_sid=after_call.sid)
    call = worker_call(desk, task)
    voice.report(request, call, "in-progress")
    desk.clock.quiet()
    desk.complete(task)
    desk.move(desk.ann, "Available")
    if is_engaged:
        desk.move(desk.bob, "Break")
        following = inbound(desk)
        assert desk.offered_to(following) == "Ann"
    voice.report(request, call, "completed")
    found = desk.context.workers(desk.ann.sid).fetch().activity_name
    assert found == ("Reserved" if is_engaged else "After call")
    if is_engaged:
        assert desk.offered_to(following) == "Ann"
    desk.delete()


@pytest.mark.parametrize("told_by", ["status", "dial"])
def test_a_worker_who_was_deleted_before_the_call_ends_goes_nowhere(desk, voice, told_by):
    """The application has ended the work, so nothing keeps it from deleting the Worker while the call goes on."""
    after_call = desk.activity("After call", available=False)
    if told_by == "status":
        task, _, request = dequeued(desk, voice, dequeue_post_work_activity_sid=after_call.sid)
        call, url = worker_call(desk, task), request["StatusCallback"]
        voice.report(request, call, "in-progress")
        desk.clock.quiet()
    else:
        task, call = inbound(desk), "CA" + "9" * 32
        base = desk.clock.url.removesuffix("/Clock")
        dial = f"{base}/voice/dial-reservation/{desk.offer(task).sid}?postWorkActivitySid={after_call.sid}"
        url = action_of(voice.send(dial, CallSid=call).text)
    desk.complete(task)
    desk.move(desk.ann, "Break")
    desk.context.workers(desk.ann.sid).delete()
    desk.happened()
    answer = voice.send(url, CallSid=call, CallStatus="completed")
    assert answer.status_code == (204 if told_by == "status" else 200)
    assert desk.happened() == []
    assert desk.fetch(task).assignment_status == "completed"


@pytest.mark.parametrize("answer", [{}, {"sid": ""}, {"sid": "CA12"}, {"sid": "CF" + "1" * 32}, {"sid": 7}])
def test_an_answer_of_the_voice_api_that_names_no_call_is_a_failure(desk, voice, answer):
    """Nobody would hear of the end of such a call; the offer would wait for ten minutes."""
    voice.answers["/Calls"] = (201, answer)
    task = inbound(desk)
    reservation = desk.offer(task)
    reservation.update(instruction="dequeue")
    desk.clock.quiet()
    assert status_of(desk, task, reservation) == "canceled"


def test_while_the_worker_is_called_the_reservation_does_not_time_out_and_takes_no_other_answer(desk, voice):
    task, reservation, request = dequeued(desk, voice)
    with refused(400, 20001, matching="cannot be updated to .onHold"):
        reservation.update(reservation_status="accepted")
    with refused(400, 20001, matching="cannot be updated to .onHold"):
        reservation.update(instruction="conference")
    desk.clock.advance(300)
    assert status_of(desk, task, reservation) == "pending"
    desk.clock.advance(301)
    assert status_of(desk, task, reservation) == "canceled", "given up after ten minutes"
    (hung_up,) = voice.asked(f"/Calls/{worker_call(desk, task)}")
    assert hung_up["Status"] == "completed"


def test_a_task_that_is_canceled_meanwhile_lets_the_telephone_ring_no_longer(desk, voice):
    task, reservation, request = dequeued(desk, voice)
    call = worker_call(desk, task)
    desk.context.tasks(task.sid).update(assignment_status="canceled", reason="changed my mind")
    desk.clock.quiet()
    (hung_up,) = voice.asked(f"/Calls/{call}")
    assert hung_up["Status"] == "completed"
    voice.report(request, call, "in-progress")
    leg = voice.send(request["Url"], CallSid=call)
    assert "<Hangup/>" in leg.text
    assert status_of(desk, task, reservation) == "canceled"


def test_a_deleted_task_lets_the_telephone_ring_no_longer(desk, voice):
    task, _, request = dequeued(desk, voice)
    call = worker_call(desk, task)
    desk.context.tasks(task.sid).delete()
    desk.clock.quiet()
    assert [request["Status"] for request in voice.asked(f"/Calls/{call}")] == ["completed"]
    assert voice.send(request["StatusCallback"], CallSid=call, CallStatus="completed").status_code == 404
    leg = voice.send(request["Url"], CallSid=call, CallStatus="in-progress")
    assert (leg.status_code, "<Hangup/>" in leg.text) == (200, True), "who has answered all the same is let go"


def test_a_deleted_workspace_lets_its_telephones_ring_no_longer(desk, voice):
    task, _, _ = dequeued(desk, voice)
    call = worker_call(desk, task)
    desk.context.delete()
    desk.clock.quiet()
    assert [request["Status"] for request in voice.asked(f"/Calls/{call}")] == ["completed"]


GONE = [(404, {"code": 20404, "message": "not found"}), (400, {"code": 21220, "message": "Call is not in-progress"})]


@pytest.mark.parametrize("answer", GONE)
@pytest.mark.parametrize("instruction", ["dequeue", "conference"])
def test_a_caller_who_has_hung_up_is_not_waited_for(desk, voice, instruction, answer):
    task, reservation, request = instructed(desk, voice, instruction)
    voice.answers[f"/Calls/{CALLER}"] = answer
    voice.report(request, call_of(voice, request), "in-progress")
    desk.clock.quiet()
    (hung_up,) = voice.asked(f"/Calls/{call_of(voice, request)}")
    assert hung_up["Status"] == "completed"
    if instruction == "dequeue":
        voice.report(request, call_of(voice, request), "completed")
        assert status_of(desk, task, reservation) == "wrapping", "the Worker is not kept busy by a call that is over"
        return
    assert status_of(desk, task, reservation) == "canceled"
    fetched = desk.fetch(task)
    assert (fetched.assignment_status, fetched.reason) == ("canceled", "hangup")


def instructed(desk, voice, instruction):
    return dequeued(desk, voice) if instruction == "dequeue" else conferenced(desk, voice)


@pytest.mark.parametrize("instruction", ["dequeue", "conference"])
@pytest.mark.parametrize("answer", [(500, {}), (400, {"code": 21218, "message": "Invalid TwiML"}), (429, {})])
def test_a_caller_who_cannot_be_moved_keeps_no_worker(desk, voice, instruction, answer):
    task, reservation, request = instructed(desk, voice, instruction)
    voice.answers[f"/Calls/{CALLER}"] = answer
    desk.happened()
    voice.report(request, call_of(voice, request), "in-progress")
    desk.clock.quiet()
    asked = voice.asked(f"/Calls/{CALLER}")
    moves = [request for request in asked if "Twiml" in request.names()]
    assert len(moves) == (3 if answer[0] == 500 else 1)
    assert len({move.token for move in moves}) == 1, "the same request is made again"
    onwards = [request["Url"] for request in asked if "Url" in request.names()]
    if instruction == "dequeue" and answer[0] < 500:
        (onward,) = onwards
        assert f"/enqueue-result/{task.sid}" in onward and "QueueResult=error" in onward, "nobody waits any longer"
    else:
        assert onwards == []
    assert [asked["Status"] for asked in voice.asked(f"/Calls/{call_of(voice, request)}")] == ["completed"]
    if instruction == "dequeue":
        voice.report(request, call_of(voice, request), "completed")
        assert status_of(desk, task, reservation) == "wrapping"
        return
    assert status_of(desk, task, reservation) == "canceled"
    assert desk.fetch(task).assignment_status == "reserved", "it is offered again at once"
    assert desk.happened()[0] == "reservation.canceled Ann"


@pytest.mark.parametrize("instruction", ["dequeue", "conference"])
def test_a_caller_is_moved_although_the_voice_api_fails_at_first(desk, voice, instruction):
    task, reservation, request = instructed(desk, voice, instruction)
    answers = iter([(503, {}), (200, {"sid": CALLER})])
    voice.answers[f"/Calls/{CALLER}"] = lambda _request: next(answers)
    voice.report(request, call_of(voice, request), "in-progress")
    desk.clock.quiet()
    assert len(voice.asked(f"/Calls/{CALLER}")) == 2
    assert voice.asked(f"/Calls/{call_of(voice, request)}") == [], "the Worker is not hung up"
    assert status_of(desk, task, reservation) == ("accepted" if instruction == "dequeue" else "pending")


@pytest.mark.parametrize("refusal", [(504, {}), (502, {}), (500, {}), (429, {}), (400, {"code": 21218})])
def test_a_conversation_goes_on_although_the_move_that_began_it_is_refused(desk, voice, refusal):
    """The first answer was lost on its way through a gateway; reports have shown that the caller came."""
    task, reservation, request = conferenced(desk, voice)
    call, told = call_of(voice, request), []

    def answer(_request):
        if not told:
            told.append("participant-join")
            voice.conference(request, CONFERENCE, told[0], CallSid=CALLER, FriendlyName=task.sid)
            assert status_of(desk, task, reservation) == "accepted"
        return refusal

    voice.answers[f"/Calls/{CALLER}"] = answer
    voice.report(request, call, "in-progress")
    desk.clock.quiet()
    moves = voice.asked(f"/Calls/{CALLER}")
    assert all("Twiml" in move.names() for move in moves), "the caller is not sent on"
    assert hung_up(voice, call) == []
    assert status_of(desk, task, reservation) == "accepted"


@pytest.mark.parametrize("refusal", [(500, {}), (429, {})])
def test_a_caller_who_has_gone_on_is_left_alone_when_the_move_is_refused_late(desk, voice, refusal):
    task, _, _ = enqueued(desk, voice)
    desk.offer(task).update(instruction="dequeue")
    desk.clock.quiet()
    (request,) = voice.asked()

    def answer(move):
        after = voice.send(action_of(move["Twiml"]), CallSid=CALLER, CallStatus="in-progress")
        assert "QueueResult=bridged" in after.text
        return refusal

    voice.answers[f"/Calls/{CALLER}"] = answer
    voice.report(request, call_of(voice, request), "in-progress")
    desk.clock.quiet()
    assert all("Twiml" in move.names() for move in voice.asked(f"/Calls/{CALLER}"))


@pytest.mark.parametrize("status", [502, 504])
@pytest.mark.parametrize("instruction", ["dequeue", "conference"])
def test_a_move_that_a_gateway_does_not_know_the_end_of_is_not_made_again(desk, voice, instruction, status):
    """It may have been carried out, like one that is not answered in time."""
    task, reservation, request = instructed(desk, voice, instruction)
    voice.answers[f"/Calls/{CALLER}"] = (status, {})
    voice.report(request, call_of(voice, request), "in-progress")
    desk.clock.quiet()
    assert len(voice.asked(f"/Calls/{CALLER}")) == 1
    assert hung_up(voice, call_of(voice, request)) == []
    assert status_of(desk, task, reservation) == ("accepted" if instruction == "dequeue" else "pending")


def test_attributes_that_change_while_the_worker_is_called_do_not_change_who_waits(desk, voice):
    task, reservation, request = dequeued(desk, voice, dequeue_to="ann")
    assert request["To"] == "client:ann", "a bare identity is that of a client"
    call = worker_call(desk, task)
    desk.context.tasks(task.sid).update(attributes='{"type":"support"}')
    voice.report(request, call, "in-progress")
    desk.clock.quiet()
    assert len(voice.asked(f"/Calls/{CALLER}")) == 1


def test_a_call_that_no_filter_matches_is_not_left_waiting(desk, voice):
    desk.route(default=False)
    url = f"{desk.clock.url.removesuffix('/Clock')}/voice/enqueue/{desk.flow.sid}"
    answer = voice.send(url, CallSid=CALLER, From="+15550111", To="+15550100")
    assert (answer.status_code, answer.json()["code"]) == (400, 14222)


def test_the_application_is_told_of_the_events_that_it_asked_for(desk, voice, receiver):
    task, _, request = dequeued(
        desk,
        voice,
        dequeue_status_callback_url=f"{receiver.url}/progress?mine=1",
        dequeue_status_callback_event=["ringing", "completed"],
    )
    call = worker_call(desk, task)
    for status in ("initiated", "ringing", "in-progress", "completed"):
        voice.report(request, "CA" + "7" * 32, status)
        voice.report(request, call, status)
    desk.clock.quiet()
    told = receiver.wait_for("/progress", 2)
    assert [callback.method for callback in told] == ["GET", "GET"]
    queries = [parse_qs(urlsplit(callback.url).query) for callback in told]
    assert [query["CallStatus"] for query in queries] == [["ringing"], ["completed"]]
    for callback, query in zip(told, queries, strict=True):
        assert query["taskCallSid"] == [CALLER]
        assert query["mine"] == ["1"]
        assert query["CallSid"] == [call]
        signature = callback.headers["x-twilio-signature"]
        assert RequestValidator(AUTH_TOKEN).validate(callback.url, {}, signature)


def test_a_report_that_comes_twice_is_passed_on_once(desk, voice, receiver):
    """A provider that heard no answer in time reports again, with the same number."""
    task, _, request = dequeued(
        desk,
        voice,
        dequeue_status_callback_url=f"{receiver.url}/progress",
        dequeue_status_callback_event=["initiated", "ringing", "completed"],
    )
    call = worker_call(desk, task)
    for number, status in [(0, "initiated"), (1, "ringing"), (1, "ringing"), (0, "initiated"), (2, "no-answer")]:
        voice.report(request, call, status, SequenceNumber=str(number))
    voice.report(request, call, "no-answer", SequenceNumber="2")
    desk.clock.quiet()
    told = receiver.wait_for("/progress", 3)
    statuses = [parse_qs(urlsplit(callback.url).query)["CallStatus"] for callback in told]
    assert statuses == [["initiated"], ["ringing"], ["no-answer"]]


def test_the_attributes_name_the_call_of_the_worker_who_has_answered(desk, voice):
    desk.context.task_queues(desk.support_queue.sid).update(max_reserved_workers=2)
    task = inbound(desk)
    ann, bob = desk.reservations(task)
    for reservation in (ann, bob):
        reservation.update(instruction="dequeue")
        desk.clock.quiet()
    requests_made = voice.asked("/Calls")
    assert worker_call(desk, task) == call_of(voice, requests_made[1]), "that of the last who was called"
    desk.happened()
    voice.report(requests_made[0], call_of(voice, requests_made[0]), "in-progress")
    desk.clock.quiet()
    assert worker_call(desk, task) == call_of(voice, requests_made[0])
    assert desk.happened() == ["task.updated", "reservation.accepted Ann", "reservation.rescinded Bob"]


def test_attributes_stay_in_the_words_of_who_wrote_them_but_for_the_call(desk, voice):
    written = f'{{"type": "support", "to":"+1", "call_sid":"{CALLER}", "id": 9007199254740993, "price":10.10'
    task = desk.context.tasks.create(workflow_sid=desk.flow.sid, attributes=written + "}")
    for _ in range(2):
        offer = desk.offer(task)
        offer.update(instruction="dequeue")
        desk.clock.quiet()
        request = voice.asked("/Calls")[-1]
        assert desk.fetch(task).attributes == f'{written},"worker_call_sid":"{call_of(voice, request)}"}}'
        voice.report(request, call_of(voice, request), "busy")
    given = quote('{"type":"support","z":10.10,"a":{"y":[1.0],"x":9007199254740993}}')
    voice.send(enqueue_url(desk, f"?task={given}"), CallSid="CA" + "8" * 32)
    (enqueued_task,) = [other for other in desk.context.tasks.list() if other.sid != task.sid]
    assert enqueued_task.attributes.endswith(',"type":"support","z":10.10,"a":{"y":[1.0],"x":9007199254740993}}')


@pytest.mark.parametrize("ending", ["busy", "completed"])
def test_a_call_that_is_over_is_not_hung_up(desk, voice, ending):
    task, reservation, request = dequeued(desk, voice)
    call = worker_call(desk, task)
    voice.report(request, call, ending)
    desk.clock.quiet()
    assert status_of(desk, task, reservation) == "canceled"
    assert voice.asked(f"/Calls/{call}") == []


def test_a_call_that_is_answered_after_its_offer_has_ended_is_hung_up_once(desk, voice):
    task, _, request = dequeued(desk, voice)
    call = worker_call(desk, task)
    desk.context.tasks(task.sid).update(assignment_status="canceled", reason="changed my mind")
    voice.report(request, call, "in-progress")
    voice.send(request["Url"], CallSid=call, CallStatus="in-progress")
    desk.clock.quiet()
    assert [asked["Status"] for asked in voice.asked(f"/Calls/{call}")] == ["completed"]


def test_a_telephone_that_rings_for_an_offer_that_has_ended_is_hung_up_once_it_is_known(desk, voice):
    """The voice API placed the call, but did not answer."""
    task = inbound(desk)
    reservation = desk.offer(task)
    voice.answers["/Calls"] = (503, {})
    reservation.update(instruction="dequeue")
    desk.clock.quiet()
    assert status_of(desk, task, reservation) == "canceled"
    (request,) = voice.asked("/Calls")
    call = voice.new_sid("CA")
    for status in ("initiated", "ringing", "in-progress", "completed"):
        voice.report(request, call, status)
        desk.clock.quiet()
        assert [asked["Status"] for asked in voice.asked(f"/Calls/{call}")] == ["completed"], status


@pytest.mark.parametrize("status", ["ringing", "in-progress"])
def test_a_report_of_the_caller_is_not_one_of_the_worker(desk, voice, status):
    task = inbound(desk)
    reservation = desk.offer(task)

    def answer(request):
        voice.report(request, CALLER, status, SequenceNumber="2")
        return 201, {"sid": voice.calls.setdefault(request.token, voice.new_sid("CA"))}

    voice.answers["/Calls"] = answer
    reservation.update(instruction="dequeue")
    desk.clock.quiet()
    (request,) = voice.asked("/Calls")
    assert worker_call(desk, task) == call_of(voice, request)
    voice.report(request, call_of(voice, request), "in-progress", SequenceNumber="2")
    desk.clock.quiet()
    assert status_of(desk, task, reservation) == "accepted"


def is_told_before_the_answer(voice, call, status):
    """The provider reports a call before it answers the request for it."""

    def answer(request):
        voice.report(request, call, status)
        return 201, {"sid": voice.calls.setdefault(request.token, voice.new_sid("CA"))}

    voice.answers["/Calls"] = answer


def test_a_second_call_of_a_request_is_hung_up_and_meets_nobody(desk, voice):
    """A provider that does not know the token of a request that is made again places another call."""
    task = inbound(desk)
    reservation = desk.offer(task)
    is_told_before_the_answer(voice, OTHER, "ringing")
    reservation.update(instruction="dequeue")
    desk.clock.quiet()
    (request,) = voice.asked("/Calls")
    second = call_of(voice, request)
    assert worker_call(desk, task) == OTHER, "the first that was told of"
    assert hung_up(voice, second) == ["completed"]
    third = "CA" + "f" * 32
    voice.report(request, third, "ringing")
    voice.report(request, OTHER, "in-progress")
    desk.clock.quiet()
    assert hung_up(voice, third) == ["completed"]
    voice.report(request, third, "completed")
    for call in (second, third):
        assert "<Hangup/>" in voice.send(request["Url"], CallSid=call, CallStatus="in-progress").text
    assert f">{reservation.sid}</Conference>" in voice.send(request["Url"], CallSid=OTHER).text
    assert hung_up(voice, OTHER) == []
    assert status_of(desk, task, reservation) == "accepted"


def test_a_former_call_that_nobody_knew_is_hung_up_when_it_is_told_of(desk, voice):
    task = inbound(desk)
    reservation = desk.offer(task)
    voice.answers["/Calls"] = (504, {})
    reservation.update(instruction="call", call_from="+15550100", call_url="https://a.example/x")
    desk.clock.quiet()
    (former,) = voice.asked("/Calls")
    del voice.answers["/Calls"]
    reservation.update(instruction="dequeue")
    desk.clock.quiet()
    _, request = voice.asked("/Calls")
    voice.report(former, OTHER, "ringing")
    desk.clock.quiet()
    assert hung_up(voice, OTHER) == ["completed"]
    voice.report(former, OTHER, "completed")
    voice.report(former, call_of(voice, request), "ringing")
    desk.clock.quiet()
    assert (hung_up(voice, OTHER), hung_up(voice, call_of(voice, request))) == (["completed"], [])
    assert status_of(desk, task, reservation) == "pending"


@pytest.mark.parametrize("instruction", ["dequeue", "conference", "call"])
def test_a_call_that_was_told_of_goes_on_although_the_answer_is_lost(desk, voice, instruction):
    task = inbound(desk)
    reservation = desk.offer(task)

    def answer(request):
        voice.report(request, OTHER, "in-progress")
        return 504, {}

    path = f"/Conferences/{task.sid}/Participants" if instruction == "conference" else "/Calls"
    voice.answers[path] = answer
    more = {"call_from": "+1", "call_url": "https://a.example/x", "call_accept": True} if instruction == "call" else {}
    reservation.update(instruction=instruction, **more)
    desk.clock.quiet()
    assert hung_up(voice, OTHER) == []
    assert status_of(desk, task, reservation) == ("pending" if instruction == "conference" else "accepted")
    assert len(voice.asked(f"/Calls/{CALLER}")) == (0 if instruction == "call" else 1)


@pytest.mark.parametrize("call", ["nonsense", "CA12", "CB" + "1" * 32, "CA" + "1" * 32 + "/../x"])
def test_a_report_of_no_call_changes_nothing(desk, voice, call):
    task = inbound(desk)
    reservation = desk.offer(task)
    is_told_before_the_answer(voice, call, "in-progress")
    reservation.update(instruction="dequeue")
    desk.clock.quiet()
    (request,) = voice.asked()
    assert worker_call(desk, task) == call_of(voice, request)
    assert status_of(desk, task, reservation) == "pending"


@pytest.mark.parametrize("until", ["called", "deleted"])
def test_hanging_up_is_tried_again_and_told_of_when_it_is_in_vain(desk, voice, voice_server, until):
    task, reservation, request = dequeued(desk, voice)
    call = worker_call(desk, task)
    voice.answers[f"/Calls/{call}"] = (503, {"message": f"not now: {until}"})
    if until == "deleted":
        desk.context.tasks(task.sid).delete()
    else:
        desk.context.tasks(task.sid).update(assignment_status="canceled", reason="changed my mind")
    desk.clock.quiet()
    assert hung_up(voice, call) == ["completed"] * 3
    assert len({asked.token for asked in voice.asked(f"/Calls/{call}")}) == 1
    told = [line for line in voice_server.log().splitlines() if reservation.sid in line and f"not now: {until}" in line]
    assert len(told) == 1, "the operator is told that a telephone rings on"


def test_a_call_that_is_placed_for_nobody_is_not_that_of_the_attributes(desk, voice):
    task = inbound(desk)
    reservation = desk.offer(task)

    def answer(request):
        desk.move(desk.ann, "Break", reject_pending_reservations=True)
        return 201, {"sid": voice.calls.setdefault(request.token, voice.new_sid("CA"))}

    voice.answers["/Calls"] = answer
    reservation.update(instruction="dequeue")
    desk.clock.quiet()
    assert status_of(desk, task, reservation) == "rejected"
    assert "worker_call_sid" not in attributes_of(desk, task)


# Call and redirect


def test_call_without_accept_leaves_the_offer_to_the_application(desk, voice):
    task = desk.create("support")
    reservation = desk.offer(task)
    url = "https://app.example.org/twiml"
    reservation.update(instruction="call", call_from="+15550100", call_url=url, call_timeout=20)
    desk.clock.quiet()
    (request,) = voice.asked("/Calls")
    assert (request["To"], request["From"], request["Url"]) == ("client:ann", "+15550100", url)
    assert request["Timeout"] == "20"
    call = worker_call(desk, task)
    voice.report(request, call, "in-progress")
    assert status_of(desk, task, reservation) == "pending"
    reservation.update(reservation_status="accepted")
    voice.report(request, call, "completed")
    assert status_of(desk, task, reservation) == "wrapping"


def test_call_with_accept_accepts_once_the_call_is_placed(desk, voice):
    task = desk.create("support")
    reservation = desk.offer(task)
    reservation.update(instruction="call", call_from="+15550100", call_url="https://a.example/x", call_accept=True)
    desk.clock.quiet()
    assert status_of(desk, task, reservation) == "accepted"


def test_the_end_of_a_call_that_was_replaced_is_not_that_of_the_one_in_its_place(desk, voice):
    task = inbound(desk)
    reservation = desk.offer(task)
    reservation.update(instruction="call", call_from="+15550100", call_url="https://a.example/x")
    desk.clock.quiet()
    (former,) = voice.asked("/Calls")

    def answer(request):
        # The provider tells of the former call before it has answered for the new one.
        voice.report(former, call_of(voice, former), "completed")
        return 201, {"sid": voice.calls.setdefault(request.token, voice.new_sid("CA"))}

    voice.answers["/Calls"] = answer
    reservation.update(instruction="dequeue")
    desk.clock.quiet()
    assert status_of(desk, task, reservation) == "pending"
    _, request = voice.asked("/Calls")
    voice.report(request, call_of(voice, request), "in-progress")
    desk.clock.quiet()
    assert status_of(desk, task, reservation) == "accepted"


@pytest.mark.parametrize("accept, expected", [(False, "pending"), (True, "canceled")])
def test_a_call_that_cannot_be_placed(desk, voice, accept, expected):
    task = desk.create("support")
    reservation = desk.offer(task)
    voice.answers["/Calls"] = (400, {"code": 13223, "message": "invalid number"})
    reservation.update(instruction="call", call_from="+15550100", call_url="https://a.example/x", call_accept=accept)
    desk.clock.quiet()
    assert status_of(desk, task, reservation) == expected


@pytest.mark.parametrize("accept, expected", [(False, "pending"), (True, "accepted")])
def test_redirect_sends_the_call_elsewhere(desk, voice, accept, expected):
    task = inbound(desk)
    reservation = desk.offer(task)
    url = "https://app.example.org/voicemail"
    reservation.update(
        instruction="redirect", redirect_call_sid=CALLER, redirect_url=url, redirect_accept=accept
    )
    desk.clock.quiet()
    (request,) = voice.asked(f"/Calls/{CALLER}")
    assert (request["Url"], request["Method"]) == (url, "POST")
    assert status_of(desk, task, reservation) == expected


@pytest.mark.parametrize("accept", [False, True])
def test_redirecting_a_call_that_is_over_leaves_the_reservation_as_it_was(desk, voice, accept):
    task = inbound(desk)
    reservation = desk.offer(task)
    voice.answers[f"/Calls/{CALLER}"] = (404, {"code": 20404, "message": "not found"})
    reservation.update(
        instruction="redirect", redirect_call_sid=CALLER, redirect_url="https://a.example/x", redirect_accept=accept
    )
    desk.clock.quiet()
    assert status_of(desk, task, reservation) == "pending"
    assert reservation.update(reservation_status="accepted").reservation_status == "accepted"


@pytest.mark.parametrize("accept", [False, True])
@pytest.mark.parametrize("moved", [(200, {}), (404, {"code": 20404, "message": "not found"})])
def test_a_redirect_moves_the_caller_and_leaves_the_call_of_the_worker_alone(desk, voice, receiver, accept, moved):
    task = inbound(desk)
    reservation = desk.offer(task)
    url, told = "https://app.example.org/twiml", f"{receiver.url}/called"
    reservation.update(instruction="call", call_from="+15550100", call_url=url, call_status_callback_url=told)
    desk.clock.quiet()
    (request,) = voice.asked("/Calls")
    call = call_of(voice, request)
    voice.answers[f"/Calls/{CALLER}"] = moved
    reservation.update(
        instruction="redirect", redirect_call_sid=CALLER, redirect_url=url, redirect_accept=accept
    )
    desk.clock.quiet()
    assert len(voice.asked(f"/Calls/{CALLER}")) == 1
    assert voice.asked(f"/Calls/{call}") == [], "the Worker is not hung up"
    if status_of(desk, task, reservation) == "pending":
        reservation.update(reservation_status="accepted")
    voice.report(request, call, "in-progress", SequenceNumber="2")
    voice.report(request, call, "completed", SequenceNumber="3")
    assert status_of(desk, task, reservation) == "wrapping"
    desk.clock.quiet()
    (callback,) = receiver.callbacks("/called")
    assert parse_qs(urlsplit(callback.url).query)["CallStatus"] == ["completed"]


# Conference


def conferenced(desk, voice, task=None, **parameters):
    task = task or inbound(desk)
    reservation = desk.offer(task)
    reservation.update(instruction="conference", **parameters)
    desk.clock.quiet()
    (request,) = voice.asked(f"/Conferences/{task.sid}/Participants")
    return task, reservation, request


def test_conference_brings_the_worker_and_then_the_customer(desk, voice):
    task, reservation, request = conferenced(
        desk,
        voice,
        end_conference_on_exit=True,
        end_conference_on_customer_exit=True,
        beep_on_customer_entrance=False,
        muted=True,
        max_participants=5,
        record="record-from-start",
        region="ie1",
        wait_url="https://app.example.org/wait",
    )
    assert request["To"] == "client:ann"
    assert request["From"] == "+15550100"
    assert request["EndConferenceOnExit"] == "true"
    assert request["Muted"] == "true"
    assert request["MaxParticipants"] == "5"
    assert request["Record"] == "true"
    assert request["Region"] == "ie1"
    assert request["WaitUrl"] == "https://app.example.org/wait"
    assert request.all("StatusCallbackEvent") == ALL_CALL_EVENTS
    assert request["ConferenceStatusCallbackEvent"] == "start end join leave"
    unknown = {"EndConferenceOnCustomerExit", "BeepOnCustomerEntrance", "PostWorkActivitySid", "RoomName"}
    assert not unknown & request.names(), "the voice API does not know these"
    desk.happened()
    conference = "CF" + "d" * 32
    (asked,) = voice.asked()
    voice.report(request, call_of(voice, request), "in-progress")
    desk.clock.quiet()
    (moved,) = voice.asked(f"/Calls/{CALLER}")
    assert '<Conference beep="false" endConferenceOnExit="true" statusCallback="' in moved["Twiml"]
    assert f'" statusCallbackEvent="start end join leave">{task.sid}</Conference>' in moved["Twiml"]
    assert status_of(desk, task, reservation) == "pending", "until both are there"
    voice.conference(request, conference, "participant-join", CallSid=call_of(voice, request))
    assert status_of(desk, task, reservation) == "pending"
    voice.conference(request, conference, "participant-join", CallSid=CALLER)
    assert status_of(desk, task, reservation) == "accepted"
    assert attributes_of(desk, task)["conference"] == {
        "room_name": task.sid,
        "sid": conference,
        "participants": {"worker": call_of(voice, request), "customer": CALLER},
    }
    assert desk.happened() == ["task.updated", "reservation.accepted Ann"]
    voice.conference(request, conference, "participant-leave", CallSid=call_of(voice, request))
    assert status_of(desk, task, reservation) == "wrapping"


def call_of(voice, request) -> str:
    """The call that was made for a request: the voice API numbers them."""
    return voice.calls[request.token]


def test_an_outbound_conference_calls_the_customer_once_the_worker_is_there(desk, voice):
    task = desk.create("support", outbound_to="+15550123", **{"from": "+15550100"})
    task, reservation, request = conferenced(desk, voice, task)
    assert request["From"] == "+15550100"
    voice.report(request, call_of(voice, request), "in-progress")
    desk.clock.quiet()
    _, customer = voice.asked(f"/Conferences/{task.sid}/Participants")
    assert (customer["To"], customer["From"], customer["EarlyMedia"]) == ("+15550123", "+15550100", "true")
    assert (customer["Beep"], customer["EndConferenceOnExit"]) == ("true", "false")
    assert status_of(desk, task, reservation) == "accepted"
    participants = attributes_of(desk, task)["conference"]["participants"]
    assert participants == {"worker": call_of(voice, request), "customer": call_of(voice, customer)}


def test_an_outbound_customer_is_called_with_the_options_for_customers(desk, voice):
    task = desk.create("support", outbound_to="+15550123", **{"from": "+15550100"})
    options = {"beep_on_customer_entrance": False, "end_conference_on_customer_exit": True}
    _, _, request = conferenced(desk, voice, task, **options)
    voice.report(request, call_of(voice, request), "in-progress")
    desk.clock.quiet()
    _, customer = voice.asked(f"/Conferences/{task.sid}/Participants")
    assert (customer["Beep"], customer["EndConferenceOnExit"]) == ("false", "true")


def test_an_outbound_customer_who_cannot_be_called_ends_the_task(desk, voice):
    task = desk.create("support", outbound_to="+15550123", **{"from": "+15550100"})
    task, reservation, request = conferenced(desk, voice, task)
    desk.happened()
    path = f"/Conferences/{task.sid}/Participants"
    voice.answers[path] = (400, {"code": 13224, "message": "invalid number"})
    voice.report(request, call_of(voice, request), "in-progress")
    desk.clock.quiet()
    assert desk.happened()[:2] == ["reservation.canceled Ann", "task.canceled"]
    (hung_up,) = voice.asked(f"/Calls/{call_of(voice, request)}")
    assert hung_up["Status"] == "completed"


def outbound(desk):
    return desk.create("support", outbound_to="+15550123", **{"from": "+15550100"})


def customer_called(desk, voice):
    """An outbound Task whose Worker has answered: what `conferenced` gives, and the request for the customer."""
    task, reservation, request = conferenced(desk, voice, outbound(desk))
    voice.report(request, call_of(voice, request), "in-progress")
    desk.clock.quiet()
    _, customer = voice.asked(f"/Conferences/{task.sid}/Participants")
    assert status_of(desk, task, reservation) == "accepted"
    return task, reservation, request, customer


@pytest.mark.parametrize("ending", ["busy", "no-answer", "failed", "canceled", "completed"])
def test_an_outbound_customer_who_is_not_reached_keeps_no_worker(desk, voice, ending):
    task, reservation, request, customer = customer_called(desk, voice)
    assert f"/customer-status/{reservation.sid}" in customer["StatusCallback"]
    call = call_of(voice, request)
    voice.report(customer, call_of(voice, customer), "ringing")
    desk.clock.quiet()
    assert hung_up(voice, call) == []
    voice.report(customer, call_of(voice, customer), ending)
    desk.clock.quiet()
    assert hung_up(voice, call) == ["completed"]
    assert status_of(desk, task, reservation) == "accepted", "until the call is over"
    voice.report(request, call, "completed")
    desk.clock.quiet()
    assert status_of(desk, task, reservation) == "wrapping"
    assert hung_up(voice, call_of(voice, customer)) == [], "it is over"


@pytest.mark.parametrize("ending, expected", [("completed", []), ("busy", ["completed"])])
def test_a_customer_who_was_in_the_conference_leaves_the_worker_there(desk, voice, ending, expected):
    """With early media the sound of a busy line may come into the conference, but nobody has."""
    task, reservation, request, customer = customer_called(desk, voice)
    voice.conference(request, CONFERENCE, "participant-join", CallSid=call_of(voice, customer))
    voice.conference(request, CONFERENCE, "participant-leave", CallSid=call_of(voice, customer))
    voice.report(customer, call_of(voice, customer), ending)
    desk.clock.quiet()
    assert hung_up(voice, call_of(voice, request)) == expected
    assert status_of(desk, task, reservation) == "accepted"


def test_an_outbound_customer_who_is_busy_before_the_voice_api_has_answered_ends_the_task(desk, voice):
    task, reservation, request = conferenced(desk, voice, outbound(desk))
    desk.happened()

    def answer(customer):
        call = voice.calls.setdefault(customer.token, voice.new_sid("CA"))
        voice.report(customer, call, "busy", ErrorCode="13223")
        return 201, {"call_sid": call, "conference_sid": CONFERENCE}

    voice.answers[f"/Conferences/{task.sid}/Participants"] = answer
    voice.report(request, call_of(voice, request), "in-progress")
    desk.clock.quiet()
    assert desk.happened()[:2] == ["reservation.canceled Ann", "task.canceled"]
    assert desk.fetch(task).reason == "the call of the customer has ended: busy"
    (event,) = desk.events(reservation_sid=reservation.sid, event_type="reservation.canceled")
    assert event.event_data["reservation_reason_code"] == "13223"
    assert hung_up(voice, call_of(voice, request)) == ["completed"]


@pytest.mark.parametrize("has_come", [False, True])
def test_a_customer_whose_telephone_rings_for_nobody_is_hung_up(desk, voice, has_come):
    task, reservation, request, customer = customer_called(desk, voice)
    voice.report(customer, call_of(voice, customer), "ringing", SequenceNumber="1")
    # With early media the sound of ringing is in the conference.
    voice.conference(request, CONFERENCE, "participant-join", CallSid=call_of(voice, customer))
    if has_come:
        voice.report(customer, call_of(voice, customer), "in-progress", SequenceNumber="2")
    voice.report(request, call_of(voice, request), "completed")
    desk.clock.quiet()
    assert status_of(desk, task, reservation) == "wrapping"
    assert hung_up(voice, call_of(voice, customer)) == ([] if has_come else ["completed"])


def customer_told_of(desk, voice, tell, answer=None):
    """As `customer_called`; `tell(customer, call)` is called before the voice API gives its answer, by default success."""
    task, reservation, request = conferenced(desk, voice, outbound(desk))

    def answered(customer):
        call = voice.calls.setdefault(customer.token, voice.new_sid("CA"))
        tell(customer, call)
        return answer or (201, {"call_sid": call, "conference_sid": CONFERENCE})

    voice.answers[f"/Conferences/{task.sid}/Participants"] = answered
    voice.report(request, call_of(voice, request), "in-progress")
    desk.clock.quiet()
    _, customer = voice.asked(f"/Conferences/{task.sid}/Participants")
    return task, reservation, request, customer


@pytest.mark.parametrize("first", ["join", "report"])
@pytest.mark.parametrize("leaving", ["worker", "customer"])
def test_reports_of_a_customer_that_come_before_the_answer_of_the_voice_api_count(desk, voice, leaving, first):
    def tell(customer, call):
        (request,) = [asked for asked in voice.asked() if "ConferenceStatusCallback" in asked.names()]
        if first == "report":
            voice.report(customer, call, "ringing", SequenceNumber="1")
        voice.conference(request, CONFERENCE, "participant-join", CallSid=call, SequenceNumber="3")
        voice.report(customer, call, "in-progress", SequenceNumber="2")

    task, reservation, request, customer = customer_told_of(desk, voice, tell)
    call, worker = call_of(voice, customer), call_of(voice, request)
    assert status_of(desk, task, reservation) == "accepted"
    assert attributes_of(desk, task)["conference"]["participants"] == {"worker": worker, "customer": call}
    if leaving == "worker":
        voice.report(request, worker, "completed")
    else:
        voice.conference(request, CONFERENCE, "participant-leave", CallSid=call, SequenceNumber="4")
        voice.report(customer, call, "completed", SequenceNumber="4")
    desk.clock.quiet()
    assert hung_up(voice, call) == hung_up(voice, worker) == []


@pytest.mark.parametrize("status", ["ringing", "in-progress"])
@pytest.mark.parametrize("answer", [(504, {}), (500, {}), (429, {}), (404, {})])
def test_a_call_of_a_customer_that_is_told_of_goes_on_although_its_answer_is_lost(desk, voice, answer, status):
    told = []

    def tell(customer, call):
        told.append(call)
        voice.report(customer, call, status, SequenceNumber="1")

    task, reservation, request, customer = customer_told_of(desk, voice, tell, answer)
    (call,) = told
    assert status_of(desk, task, reservation) == "accepted"
    assert attributes_of(desk, task)["conference"]["participants"]["customer"] == call
    assert hung_up(voice, call) == hung_up(voice, call_of(voice, request)) == []
    voice.report(customer, call, "busy", SequenceNumber="3")
    desk.clock.quiet()
    assert hung_up(voice, call_of(voice, request)) == ["completed"], "its end is followed"


def test_a_call_of_a_customer_that_is_told_of_after_its_answer_was_lost_is_hung_up(desk, voice):
    task, reservation, request, customer = customer_told_of(desk, voice, lambda *_: None, (504, {}))
    assert status_of(desk, task, reservation) == "canceled"
    assert hung_up(voice, call_of(voice, request)) == ["completed"]
    voice.report(customer, call_of(voice, customer), "in-progress")
    desk.clock.quiet()
    assert hung_up(voice, call_of(voice, customer)) == ["completed"]


def test_an_answer_that_names_another_call_than_was_told_of_lets_no_second_telephone_ring(desk, voice):
    def tell(customer, _call):
        voice.report(customer, OTHER, "ringing")

    task, _, request, customer = customer_told_of(desk, voice, tell)
    assert attributes_of(desk, task)["conference"]["participants"]["customer"] == OTHER
    assert hung_up(voice, call_of(voice, customer)) == ["completed"]
    assert hung_up(voice, OTHER) == hung_up(voice, call_of(voice, request)) == []


def test_a_customer_whose_call_is_over_is_called_again_for_the_next_worker(desk, voice):
    """Ann hangs up while the voice API calls the customer, who is busy; its answer comes when Bob is there."""
    task, (ann, bob), calls = conferenced_with_two(desk, voice, outbound)
    path, arrived, go_on, told = f"/Conferences/{task.sid}/Participants", threading.Event(), threading.Event(), []

    def answer(request):
        call = voice.calls.setdefault(request.token, voice.new_sid("CA"))
        told.append((request, call))
        if len(told) == 1:
            arrived.set()
            assert go_on.wait(10)
        return 201, {"call_sid": call, "conference_sid": CONFERENCE}

    voice.answers[path] = answer
    voice.report(calls[0], call_of(voice, calls[0]), "in-progress")
    assert arrived.wait(10)
    voice.report(calls[0], call_of(voice, calls[0]), "completed")
    voice.report(*told[0], "busy")
    voice.report(calls[1], call_of(voice, calls[1]), "in-progress")
    go_on.set()
    desk.clock.quiet()
    assert [status_of(desk, task, offer) for offer in (ann, bob)] == ["canceled", "accepted"]
    (_, following) = [call for request, call in told if request["To"] == "+15550123"]
    participants = attributes_of(desk, task)["conference"]["participants"]
    assert participants == {"worker": call_of(voice, calls[1]), "customer": following}
    assert hung_up(voice, following) == hung_up(voice, call_of(voice, calls[1])) == []


def test_a_second_call_of_a_customer_is_hung_up(desk, voice):
    task, _, _, customer = customer_called(desk, voice)
    voice.report(customer, OTHER, "ringing")
    desk.clock.quiet()
    assert hung_up(voice, OTHER) == ["completed"]
    assert hung_up(voice, call_of(voice, customer)) == []


def moving(voice):
    """Lets the voice API wait with its answer to a move: an event for its begin, and one for it to go on."""
    arrived, go_on = threading.Event(), threading.Event()

    def answer(request):
        if "Twiml" in request.names():
            arrived.set()
            assert go_on.wait(10)
        return 200, {"sid": CALLER}

    voice.answers[f"/Calls/{CALLER}"] = answer
    return arrived, go_on


@pytest.mark.parametrize("instruction", ["dequeue", "conference"])
def test_a_caller_who_is_moved_to_nobody_goes_on(desk, voice, instruction):
    """The Worker hangs up, or the Task is canceled, while the voice API moves the caller."""
    task, _, _ = enqueued(desk, voice)
    reservation = desk.offer(task)
    reservation.update(instruction=instruction)
    desk.clock.quiet()
    (request,) = voice.asked()
    arrived, go_on = moving(voice)
    voice.report(request, call_of(voice, request), "in-progress")
    assert arrived.wait(10)
    if instruction == "dequeue":
        voice.report(request, call_of(voice, request), "completed")
        assert status_of(desk, task, reservation) == "wrapping"
    else:
        desk.context.tasks(task.sid).update(assignment_status="canceled", reason="changed my mind")
    go_on.set()
    desk.clock.quiet()
    _, onward = voice.asked(f"/Calls/{CALLER}")
    assert onward["Method"] == "POST"
    after = voice.send(onward["Url"], CallSid=CALLER, CallStatus="in-progress")
    assert f"<Redirect>{NEXT}&amp;QueueResult=bridged" in after.text


def test_a_caller_who_has_gone_on_is_left_alone_when_the_move_is_answered_late(desk, voice):
    task, _, _ = enqueued(desk, voice)
    desk.offer(task).update(instruction="dequeue")
    desk.clock.quiet()
    (request,) = voice.asked()
    arrived, go_on = moving(voice)
    voice.report(request, call_of(voice, request), "in-progress")
    assert arrived.wait(10)
    (moved,) = voice.asked(f"/Calls/{CALLER}")
    voice.report(request, call_of(voice, request), "completed")
    after = voice.send(action_of(moved["Twiml"]), CallSid=CALLER, CallStatus="in-progress", DialCallStatus="completed")
    assert "QueueResult=bridged" in after.text
    go_on.set()
    desk.clock.quiet()
    assert len(voice.asked(f"/Calls/{CALLER}")) == 1, "the conversation was short, and the caller is elsewhere now"


def test_a_caller_who_has_come_is_not_sent_on_when_the_move_is_answered_late(desk, voice):
    """The Worker has left since; a supervisor talks on with the caller."""
    task, _, _ = enqueued(desk, voice)
    reservation = desk.offer(task)
    reservation.update(instruction="conference")
    desk.clock.quiet()
    (request,) = voice.asked()
    arrived, go_on = moving(voice)
    voice.report(request, call_of(voice, request), "in-progress")
    assert arrived.wait(10)
    voice.conference(request, CONFERENCE, "participant-join", CallSid=CALLER, FriendlyName=task.sid)
    assert status_of(desk, task, reservation) == "accepted"
    voice.report(request, call_of(voice, request), "completed")
    assert status_of(desk, task, reservation) == "wrapping"
    go_on.set()
    desk.clock.quiet()
    assert len(voice.asked(f"/Calls/{CALLER}")) == 1


@pytest.mark.parametrize("ending", ["wrapping", "completed"])
def test_a_conversation_goes_on_although_the_work_is_over_before_the_caller_is_moved(desk, voice, ending):
    task, _, request = dequeued(desk, voice)
    arrived, go_on = moving(voice)
    voice.report(request, call_of(voice, request), "in-progress")
    assert arrived.wait(10)
    desk.context.tasks(task.sid).update(assignment_status=ending)
    go_on.set()
    desk.clock.quiet()
    assert len(voice.asked(f"/Calls/{CALLER}")) == 1


def test_a_caller_who_comes_into_an_empty_conference_meets_the_next_worker(desk, voice):
    """The conference that the caller begins is told of at the address in the caller's own TwiML."""
    task, _, request, _ = moved_into_the_conference(desk, voice)
    call = call_of(voice, request)
    (moved,) = voice.asked(f"/Calls/{CALLER}")
    told = re.search(r'statusCallback="([^"]+)"', moved["Twiml"])[1].replace("&amp;", "&")
    for event, more in (("participant-leave", {"CallSid": call}), ("conference-end", {})):
        voice.conference(request, CONFERENCE, event, FriendlyName=task.sid, **more)
    voice.report(request, call, "completed")
    desk.clock.quiet()
    reservation, following = desk.offer(task), "CF" + "e" * 32
    voice.answers[f"/Conferences/{task.sid}/Participants"] = lambda request: (
        201,
        {"call_sid": voice.calls.setdefault(request.token, voice.new_sid("CA")), "conference_sid": following},
    )
    reservation.update(instruction="conference")
    desk.clock.quiet()
    again = {"ConferenceSid": following, "FriendlyName": task.sid, "CallSid": CALLER}
    assert voice.send(told, StatusCallbackEvent="participant-join", SequenceNumber="1", **again).status_code == 204
    _, request = voice.asked(f"/Conferences/{task.sid}/Participants")
    voice.report(request, call_of(voice, request), "in-progress")
    desk.clock.quiet()
    assert status_of(desk, task, reservation) == "accepted"
    assert attributes_of(desk, task)["conference"]["sid"] == following
    assert len(voice.asked(f"/Calls/{CALLER}")) == 1, "the caller is there"


def test_a_move_that_is_not_answered_in_time_is_not_made_again(desk, voice):
    """It may have been carried out: a second one would take the caller out of the conversation."""
    task, reservation, request = conferenced(desk, voice)
    call, done = call_of(voice, request), threading.Event()
    voice.answers[f"/Calls/{CALLER}"] = lambda _request: (done.wait(30), (200, {"sid": CALLER}))[1]
    voice.report(request, call, "in-progress")
    try:
        desk.clock.quiet()
    finally:
        done.set()
    assert len(voice.asked(f"/Calls/{CALLER}")) == 1
    assert hung_up(voice, call) == []
    assert status_of(desk, task, reservation) == "pending"
    voice.conference(request, CONFERENCE, "participant-join", CallSid=CALLER)
    assert status_of(desk, task, reservation) == "accepted"


def test_a_move_whose_connection_breaks_is_not_made_again(desk, voice):
    """The voice API has moved the caller, and closes the connection instead of answering."""
    task, reservation, request = dequeued(desk, voice)

    def answer(_request):
        raise ConnectionResetError("carried out, and the connection lost before the answer")

    voice.answers[f"/Calls/{CALLER}"] = answer
    voice.report(request, worker_call(desk, task), "in-progress")
    desk.clock.quiet()
    assert len(voice.asked(f"/Calls/{CALLER}")) == 1
    assert hung_up(voice, worker_call(desk, task)) == []
    assert status_of(desk, task, reservation) == "accepted"


def test_conference_callbacks_are_relayed_unchanged_filtered_and_signed(desk, voice, receiver):
    task, _, request = conferenced(
        desk,
        voice,
        status_callback=f"{receiver.url}/leg",
        status_callback_event=["answered"],
        conference_status_callback=f"{receiver.url}/room",
        conference_status_callback_event=["join", "mute"],
    )
    assert request["ConferenceStatusCallbackEvent"] == "start end join leave mute"
    call, conference = call_of(voice, request), "CF" + "d" * 32
    voice.report(request, call, "ringing")
    voice.report(request, call, "in-progress")
    for event in ("conference-start", "participant-join", "participant-mute"):
        voice.conference(request, conference, event, CallSid=call, FriendlyName=task.sid)
    desk.clock.quiet()
    (leg,) = receiver.callbacks("/leg")
    assert leg.method == "POST"
    assert leg["CallStatus"] == "in-progress"
    assert leg.is_signed()
    room = receiver.callbacks("/room")
    assert [callback["StatusCallbackEvent"] for callback in room] == ["participant-join", "participant-mute"]
    assert all(callback.is_signed() and callback["FriendlyName"] == task.sid for callback in room)


def test_a_report_of_a_conference_that_comes_twice_is_passed_on_once(desk, voice, receiver):
    _, _, request = conferenced(
        desk,
        voice,
        conference_status_callback=f"{receiver.url}/room",
        conference_status_callback_event=["start", "mute"],
    )
    first, second, call = "CF" + "d" * 32, "CF" + "e" * 32, call_of(voice, request)
    voice.report(request, call, "in-progress")
    for conference, number, event in [
        (first, 1, "conference-start"), (first, 2, "participant-mute"), (first, 2, "participant-mute"),
        (first, 70, "participant-mute"), (first, 1, "conference-start"), (second, 1, "conference-start"),
    ]:  # fmt: skip
        voice.conference(request, conference, event, CallSid=call, SequenceNumber=str(number))
    desk.clock.quiet()
    room = [(callback["ConferenceSid"], callback["SequenceNumber"]) for callback in receiver.callbacks("/room")]
    assert room == [(first, "1"), (first, "2"), (first, "70"), (second, "1")]


def moved_into_the_conference(desk, voice):
    """A caller on the way from the queue to a Worker who has answered; nobody has told of the arrival."""
    task, reservation, request = conferenced(desk, voice)
    call = call_of(voice, request)
    voice.report(request, call, "in-progress")
    desk.clock.quiet()
    (moved,) = voice.asked(f"/Calls/{CALLER}")
    return task, reservation, request, action_of(moved["Twiml"])


@pytest.mark.parametrize("told_by", ["dial", "conference", "status"])
def test_a_caller_who_hangs_up_on_the_way_to_the_conference_ends_the_task(desk, voice, told_by):
    task, reservation, request, after = moved_into_the_conference(desk, voice)
    desk.happened()
    if told_by == "dial":
        assert voice.send(after, CallSid=CALLER, CallStatus="completed").text.endswith("?><Response/>")
    elif told_by == "conference":
        voice.conference(request, "CF" + "d" * 32, "participant-leave", CallSid=CALLER)
    else:
        voice.report(request, CALLER, "completed")
    fetched = desk.fetch(task)
    assert (fetched.assignment_status, fetched.reason) == ("canceled", "hangup")
    assert status_of(desk, task, reservation) == "canceled"
    assert desk.happened()[:2] == ["task.canceled", "reservation.canceled Ann"]
    desk.clock.quiet()
    assert [asked["Status"] for asked in voice.asked(f"/Calls/{call_of(voice, request)}")] == ["completed"]


def test_a_caller_who_is_still_on_the_line_has_not_hung_up(desk, voice):
    task, reservation, request, after = moved_into_the_conference(desk, voice)
    conference = "CF" + "d" * 32
    voice.send(after, CallSid=CALLER, CallStatus="in-progress", DialCallStatus="completed")
    voice.conference(request, conference, "participant-leave", CallSid=CALLER, ParticipantCallStatus="in-progress")
    voice.report(request, CALLER, "in-progress")
    assert status_of(desk, task, reservation) == "pending"
    voice.conference(request, conference, "participant-join", CallSid=CALLER)
    assert status_of(desk, task, reservation) == "accepted"
    voice.send(after, CallSid=CALLER, CallStatus="completed")
    assert status_of(desk, task, reservation) == "accepted", "a conference is over when its Worker leaves"


def test_a_caller_who_hangs_up_on_the_way_to_a_worker_who_has_accepted_leaves_nobody_waiting(desk, voice):
    task, reservation, request = dequeued(desk, voice)
    call = worker_call(desk, task)
    voice.report(request, call, "in-progress")
    desk.clock.quiet()
    (moved,) = voice.asked(f"/Calls/{CALLER}")
    voice.send(action_of(moved["Twiml"]), CallSid=CALLER, CallStatus="completed")
    desk.clock.quiet()
    assert [asked["Status"] for asked in voice.asked(f"/Calls/{call}")] == ["completed"]
    assert status_of(desk, task, reservation) == "accepted", "until the call is over"
    voice.report(request, call, "completed")
    assert status_of(desk, task, reservation) == "wrapping"
    assert desk.fetch(task).assignment_status == "wrapping"


def conferenced_with_two(desk, voice, task_of=inbound):
    """A Task that is offered to Ann and to Bob, who are both being called: their reservations and the requests."""
    desk.context.task_queues(desk.support_queue.sid).update(max_reserved_workers=2)
    task = task_of(desk)
    reservations = desk.reservations(task)
    assert [reservation.worker_name for reservation in reservations] == ["Ann", "Bob"]
    for reservation in reservations:
        reservation.update(instruction="conference")
        desk.clock.quiet()
    calls = voice.asked(f"/Conferences/{task.sid}/Participants")
    assert [request["To"] for request in calls] == ["client:ann", "client:bob"]
    return task, reservations, calls


@pytest.mark.parametrize("timeout, expected", [(1, "5"), (5, "5"), (999, "600")])
def test_a_participant_rings_as_long_as_the_voice_api_allows(desk, voice, timeout, expected):
    _, _, request = conferenced(desk, voice, timeout=timeout)
    assert request["Timeout"] == expected


@pytest.mark.parametrize("told", [0, 1], ids=["told at the first address", "told at the second address"])
@pytest.mark.parametrize("answering", [0, 1], ids=["the first answers", "the second answers"])
def test_events_of_a_conference_reach_every_reservation_that_waits_on_it(desk, voice, answering, told):
    """A provider tells them to one address only, whose participant need not be the one who has answered."""
    task, reservations, calls = conferenced_with_two(desk, voice)
    call, other = call_of(voice, calls[answering]), call_of(voice, calls[1 - answering])
    voice.report(calls[answering], call, "in-progress")
    voice.conference(calls[told], CONFERENCE, "participant-join", CallSid=call, FriendlyName=task.sid)
    voice.conference(calls[told], CONFERENCE, "participant-join", CallSid=CALLER, FriendlyName=task.sid)
    statuses = [status_of(desk, task, reservation) for reservation in reservations]
    assert (statuses[answering], statuses[1 - answering]) == ("accepted", "rescinded")
    conference = attributes_of(desk, task)["conference"]
    assert conference["sid"] == CONFERENCE
    assert conference["participants"] == {"worker": call, "customer": CALLER}
    desk.clock.quiet()
    assert [asked["Status"] for asked in voice.asked(f"/Calls/{other}")] == ["completed"], "the other rings no longer"
    voice.conference(calls[told], CONFERENCE, "participant-leave", CallSid=call, FriendlyName=task.sid)
    assert status_of(desk, task, reservations[answering]) == "wrapping"


def test_the_caller_is_moved_once_when_two_workers_answer(desk, voice):
    task, reservations, calls = conferenced_with_two(desk, voice)
    for request in reversed(calls):
        voice.report(request, call_of(voice, request), "in-progress")
    desk.clock.quiet()
    assert len(voice.asked(f"/Calls/{CALLER}")) == 1
    assert [status_of(desk, task, reservation) for reservation in reservations] == ["pending", "pending"]
    # Who was the first to answer leaves before the caller arrives.
    voice.report(calls[1], call_of(voice, calls[1]), "completed")
    assert status_of(desk, task, reservations[1]) == "canceled"
    voice.conference(calls[1], CONFERENCE, "participant-join", CallSid=CALLER)
    assert status_of(desk, task, reservations[0]) == "accepted"
    assert len(voice.asked(f"/Calls/{CALLER}")) == 1


@pytest.mark.parametrize("first_leaves", [None, "on the way", "afterwards"])
@pytest.mark.parametrize("second", ["dequeue", "dial"])
def test_a_caller_is_sent_to_one_worker_at_a_time(desk, voice, first_leaves, second):
    """Ann has answered and the caller is on the way to her, when Bob answers."""
    desk.context.task_queues(desk.support_queue.sid).update(max_reserved_workers=2)
    task = inbound(desk)
    ann, bob = desk.reservations(task)
    ann.update(instruction="conference")
    desk.clock.quiet()
    (for_ann,) = voice.asked(f"/Conferences/{task.sid}/Participants")
    if second == "dequeue":
        bob.update(instruction="dequeue")
        desk.clock.quiet()
        (for_bob,) = voice.asked("/Calls")
    moving, go_on, places = threading.Event(), threading.Event(), []

    def answer(request):
        moving.set()
        assert go_on.wait(10)
        places.append(re.search(r">(\w+)</Conference>", request["Twiml"])[1])
        return 200, {"sid": CALLER}

    voice.answers[f"/Calls/{CALLER}"] = answer
    voice.report(for_ann, call_of(voice, for_ann), "in-progress")
    assert moving.wait(10)
    if second == "dequeue":
        voice.report(for_bob, call_of(voice, for_bob), "in-progress")
    else:
        base = desk.clock.url.removesuffix("/Clock")
        assert voice.send(f"{base}/voice/dial-reservation/{bob.sid}", CallSid="CA" + "9" * 32).status_code == 200
    if first_leaves == "on the way":
        voice.report(for_ann, call_of(voice, for_ann), "completed")
    go_on.set()
    desk.clock.quiet()
    if first_leaves == "afterwards":
        voice.report(for_ann, call_of(voice, for_ann), "completed")
        desk.clock.quiet()
    assert places == [task.sid, bob.sid], "one after the other, and last to the one who has the Task"
    assert [status_of(desk, task, reservation) for reservation in (ann, bob)] == ["rescinded", "accepted"]


@pytest.mark.parametrize("refused", [False, True])
@pytest.mark.parametrize("second_answers", ["before", "after"])
def test_a_customer_who_is_called_for_a_worker_who_hangs_up_is_that_of_the_next(desk, voice, refused, second_answers):
    def outbound(desk):
        return desk.create("support", outbound_to="+15550123", **{"from": "+15550100"})

    task, (ann, bob), calls = conferenced_with_two(desk, voice, outbound)
    path, arrived, go_on = f"/Conferences/{task.sid}/Participants", threading.Event(), threading.Event()

    def answer(request):
        arrived.set()
        assert go_on.wait(10)
        if refused:
            return 400, {"code": 13224, "message": "invalid number"}
        return 201, {"call_sid": voice.calls.setdefault(request.token, voice.new_sid("CA")), "conference_sid": CONFERENCE}

    voice.answers[path] = answer
    voice.report(calls[0], call_of(voice, calls[0]), "in-progress")
    assert arrived.wait(10), "the customer is called"
    if second_answers == "before":
        voice.report(calls[1], call_of(voice, calls[1]), "in-progress")
    voice.report(calls[0], call_of(voice, calls[0]), "completed")
    if second_answers == "after":
        voice.report(calls[1], call_of(voice, calls[1]), "in-progress")
    assert [status_of(desk, task, offer) for offer in (ann, bob)] == ["canceled", "pending"]
    go_on.set()
    desk.clock.quiet()
    _, _, customer = voice.asked(path)
    assert customer["To"] == "+15550123", "called once"
    if refused:
        assert status_of(desk, task, bob) == "canceled"
        assert desk.fetch(task).assignment_status == "canceled"
        assert [asked["Status"] for asked in voice.asked(f"/Calls/{call_of(voice, calls[1])}")] == ["completed"]
    else:
        assert status_of(desk, task, bob) == "accepted"
        assert voice.asked(f"/Calls/{call_of(voice, customer)}") == [], "the customer stays"
        participants = attributes_of(desk, task)["conference"]["participants"]
        assert participants == {"worker": call_of(voice, calls[1]), "customer": call_of(voice, customer)}


def test_a_caller_who_cannot_be_moved_lets_no_worker_wait(desk, voice):
    task, reservations, calls = conferenced_with_two(desk, voice)
    arrived = threading.Event()

    def refuse(_request):
        assert arrived.wait(10)
        return 403, {"code": 20403, "message": "forbidden"}

    voice.answers[f"/Calls/{CALLER}"] = refuse
    for request in calls:
        voice.report(request, call_of(voice, request), "in-progress")
    arrived.set()
    desk.clock.quiet()
    assert [status_of(desk, task, reservation) for reservation in reservations] == ["canceled", "canceled"]
    assert len(voice.asked(f"/Calls/{CALLER}")) == 1
    for request in calls:
        assert [asked["Status"] for asked in voice.asked(f"/Calls/{call_of(voice, request)}")] == ["completed"]


def test_a_caller_who_is_in_the_conference_already_is_not_moved_again(desk, voice):
    """The Worker has left before the caller arrived; the next one finds the caller there."""
    task, reservation, request, _ = moved_into_the_conference(desk, voice)
    voice.report(request, call_of(voice, request), "completed")
    assert status_of(desk, task, reservation) == "canceled"
    voice.conference(request, CONFERENCE, "participant-join", CallSid=CALLER)
    following = desk.offer(task)
    following.update(instruction="conference")
    desk.clock.quiet()
    _, request = voice.asked(f"/Conferences/{task.sid}/Participants")
    voice.report(request, call_of(voice, request), "in-progress")
    assert status_of(desk, task, following) == "accepted"
    desk.clock.quiet()
    assert len(voice.asked(f"/Calls/{CALLER}")) == 1


@pytest.mark.parametrize("named", [True, False])
@pytest.mark.parametrize("until", ["called", "answered", "accepted"])
def test_a_conference_that_is_over_does_not_end_the_next_one_of_its_name(desk, voice, until, named):
    """Ann leaves before the caller arrives; the end of her conference is told when the next Worker is at work."""
    task, _, former, _ = moved_into_the_conference(desk, voice)
    name = {"FriendlyName": task.sid} if named else {}
    voice.conference(former, CONFERENCE, "conference-start", SequenceNumber="1", **name)
    voice.report(former, call_of(voice, former), "completed")
    reservation = desk.offer(task)
    path, following = f"/Conferences/{task.sid}/Participants", "CF" + "e" * 32

    def answer(request):
        return 201, {"call_sid": voice.calls.setdefault(request.token, voice.new_sid("CA")), "conference_sid": following}

    voice.answers[path] = answer
    reservation.update(instruction="conference")
    desk.clock.quiet()
    _, request = voice.asked(path)
    call = call_of(voice, request)
    if until != "called":
        voice.report(request, call, "in-progress")
    if until == "accepted":
        voice.conference(request, following, "participant-join", CallSid=CALLER, SequenceNumber="2", **name)
    expected = "accepted" if until == "accepted" else "pending"
    assert status_of(desk, task, reservation) == expected
    voice.conference(former, CONFERENCE, "conference-end", SequenceNumber="4", **name)
    voice.conference(former, CONFERENCE, "participant-leave", CallSid=CALLER, SequenceNumber="3", **name)
    assert status_of(desk, task, reservation) == expected
    if until == "accepted":
        voice.conference(former, following, "conference-end", SequenceNumber="5", **name)
        assert status_of(desk, task, reservation) == "wrapping", "that is its own"
    else:
        voice.report(request, call, "in-progress")
        voice.conference(request, following, "participant-join", CallSid=CALLER, SequenceNumber="2", **name)
        assert attributes_of(desk, task)["conference"]["sid"] == following
        assert status_of(desk, task, reservation) == "accepted"


@pytest.mark.parametrize("name, is_taken", [(".", False), ("..", False), ("x" * 65, False), ("é" * 64, True)])
def test_the_name_of_a_room_is_a_part_of_a_path(desk, voice, voice_wire, name, is_taken):
    task = inbound(desk)
    path = f"/v1/Workspaces/{desk.sid}/Tasks/{task.sid}/Reservations/{desk.offer(task).sid}"
    answer = voice_wire("POST", path, data={"Instruction": "conference", "RoomName": name})
    desk.clock.quiet()
    if is_taken:
        assert answer.status_code == 200
        assert [request.path for request in voice.asked()] == [f"/Conferences/{name}/Participants"]
    else:
        assert (answer.status_code, answer.json()["code"]) == (400, 20001)
        assert voice.asked() == []
        assert desk.offer(task).reservation_status == "pending"


def test_twiml_with_a_room_name_is_no_longer_than_the_voice_api_takes(desk, voice, voice_wire):
    action = "https://app.example.org/".ljust(3_600, "x")
    task, _, _ = enqueued(desk, voice, f"?action={quote(action)}")
    for name, expected in (("'" * 64, "canceled"), ("x" * 30, "pending")):
        reservation = desk.offer(task)
        path = f"/v1/Workspaces/{desk.sid}/Tasks/{task.sid}/Reservations/{reservation.sid}"
        voice_wire("POST", path, data={"Instruction": "conference", "RoomName": name})
        desk.clock.quiet()
        assert status_of(desk, task, reservation) == expected
    (request,) = voice.asked()
    voice.report(request, call_of(voice, request), "in-progress")
    desk.clock.quiet()
    (moved,) = voice.asked(f"/Calls/{CALLER}")
    assert len(moved["Twiml"]) <= 4_000
    assert "statusCallback" not in moved["Twiml"], "there is no place for it"


@pytest.mark.parametrize("elsewhere", ["told late", "redirected"])
def test_a_caller_who_has_left_the_conference_is_moved_again(desk, voice, elsewhere):
    task, _, request, _ = moved_into_the_conference(desk, voice)
    voice.report(request, call_of(voice, request), "completed")
    following = desk.offer(task)

    def tell(event, number):
        more = {"ParticipantCallStatus": "in-progress", "SequenceNumber": str(number)}
        voice.conference(request, CONFERENCE, event, CallSid=CALLER, FriendlyName=task.sid, **more)

    if elsewhere == "told late":
        tell("participant-leave", 5)
        tell("participant-join", 4)
    else:
        tell("participant-join", 4)
        # Nobody has told yet that the caller left.
        following.update(instruction="redirect", redirect_call_sid=CALLER, redirect_url="https://a.example/park")
        desk.clock.quiet()
    before = len(voice.asked(f"/Calls/{CALLER}"))
    following.update(instruction="conference")
    desk.clock.quiet()
    _, request = voice.asked(f"/Conferences/{task.sid}/Participants")
    voice.report(request, call_of(voice, request), "in-progress")
    desk.clock.quiet()
    assert status_of(desk, task, following) == "pending"
    assert len(voice.asked(f"/Calls/{CALLER}")) == before + 1
    tell("participant-join", 6)
    assert status_of(desk, task, following) == "accepted"


@pytest.mark.parametrize("status", ["completed", "in-progress", None])
def test_a_caller_who_leaves_the_conference_between_two_offers_ends_the_task(desk, voice, status):
    task, _, request, _ = moved_into_the_conference(desk, voice)
    voice.report(request, call_of(voice, request), "completed")
    voice.conference(request, CONFERENCE, "participant-join", CallSid=CALLER)
    following = desk.offer(task)
    more = {"ParticipantCallStatus": status} if status else {}
    voice.conference(request, CONFERENCE, "participant-leave", CallSid=CALLER, **more)
    fetched = desk.fetch(task)
    if status == "completed":
        assert (fetched.assignment_status, fetched.reason) == ("canceled", "hangup")
        assert status_of(desk, task, following) == "canceled"
    else:
        assert fetched.assignment_status == "reserved", "the caller may have been sent elsewhere"


def test_tasks_that_meet_in_one_room_hear_of_it_both(desk, voice, receiver):
    answer = {"instruction": "conference", "room_name": "all hands"}
    receiver.answers["/assign"] = (200, "application/json", json.dumps(answer))
    desk.context.workflows(desk.flow.sid).update(assignment_callback_url=receiver.url + "/assign")
    callers, tasks = [CALLER, "CA" + "8" * 32], []
    for caller in callers:
        tasks.append(inbound(desk, call_sid=caller))
        desk.clock.quiet()
    calls = voice.asked("/Conferences/all hands/Participants")
    for request, caller in zip(calls, callers, strict=True):
        voice.report(request, call_of(voice, request), "in-progress")
        voice.conference(calls[0], CONFERENCE, "participant-join", CallSid=caller, FriendlyName="all hands")
    assert [desk.fetch(task).assignment_status for task in tasks] == ["assigned", "assigned"]


def test_a_supervisor_joins_silently_unless_told_otherwise(desk, voice):
    task, reservation, request = conferenced(desk, voice)
    call, conference = call_of(voice, request), "CF" + "d" * 32
    voice.report(request, call, "in-progress")
    voice.conference(request, conference, "participant-join", CallSid=CALLER)
    path = f"/Conferences/{conference}/Participants"
    for mode in (None, "whisper", "barge"):
        more = {"supervisor_mode": mode} if mode else {}
        desk.context.tasks(task.sid).reservations(reservation.sid).update(
            instruction="supervise", supervisor=desk.bob.sid, **more
        )
        desk.clock.quiet()
    monitor, whisper, barge = voice.asked(path)
    assert (monitor["To"], monitor["From"], monitor["Muted"]) == ("client:bob", "+15550111", "true")
    assert (whisper["Coaching"], whisper["CallSidToCoach"]) == ("true", call)
    assert barge.names() == {"To", "From"}


def test_a_supervisor_of_a_dequeue_joins_where_the_parties_are(desk, voice):
    task, reservation, request = dequeued(desk, voice)
    call = worker_call(desk, task)
    voice.report(request, call, "in-progress")
    desk.clock.quiet()
    # Of an earlier conversation.
    attributes = attributes_of(desk, task) | {"conference": {"sid": "CF" + "a" * 32}}
    desk.context.tasks(task.sid).update(attributes=json.dumps(attributes))
    desk.context.tasks(task.sid).reservations(reservation.sid).update(
        instruction="supervise", supervisor=desk.bob.sid, supervisor_mode="whisper"
    )
    desk.clock.quiet()
    (whisper,) = voice.asked(f"/Conferences/{reservation.sid}/Participants")
    assert (whisper["Coaching"], whisper["CallSidToCoach"]) == ("true", call)


def test_nobody_whispers_to_a_worker_without_a_call(desk, voice):
    task = inbound(desk)
    desk.accept(task)
    (reservation,) = desk.reservations(task)

    def supervise(mode):
        reservation.update(instruction="supervise", supervisor=desk.bob.sid, supervisor_mode=mode)
        desk.clock.quiet()

    supervise("whisper")
    assert voice.asked() == [], "the supervisor would hear nobody"
    supervise("monitor")
    # The application may have brought the parties together itself.
    conference = {"sid": CONFERENCE, "participants": {"worker": "CA" + "9" * 32, "customer": CALLER}}
    task.update(attributes=json.dumps(attributes_of(desk, task) | {"conference": conference}))
    supervise("whisper")
    monitor, whisper = voice.asked()
    assert monitor.path == f"/Conferences/{task.sid}/Participants"
    assert (whisper.path, whisper["CallSidToCoach"]) == (f"/Conferences/{CONFERENCE}/Participants", "CA" + "9" * 32)


# As answers of the assignment callback


def test_an_assignment_callback_may_answer_with_an_instruction_for_telephony(desk, voice, receiver):
    answer = {"instruction": "dequeue", "from": "+15550188", "timeout": "15"}
    receiver.answers["/assign"] = (200, "application/json", json.dumps(answer))
    desk.context.workflows(desk.flow.sid).update(assignment_callback_url=receiver.url + "/assign")
    task = inbound(desk)
    desk.clock.quiet()
    (request,) = voice.asked("/Calls")
    assert (request["From"], request["Timeout"]) == ("+15550188", "15")
    voice.report(request, worker_call(desk, task), "in-progress")
    desk.clock.quiet()
    assert desk.fetch(task).assignment_status == "assigned"


# TwiML


def test_a_call_becomes_a_task_and_waits(desk, voice):
    base = desk.clock.url.removesuffix("/Clock")
    url = f"{base}/voice/enqueue/{desk.flow.sid}?task=%7B%22type%22%3A%22support%22%2C%22call_sid%22%3A%22x%22%7D"
    form = {"CallSid": CALLER, "From": "+15550111", "To": "+15550100", "FromCity": "Örebro", "CallStatus": "ringing"}
    answer = voice.send(url + "&priority=7&timeout=300&action=https%3A%2F%2Fapp.example.org%2Fnext", **form)
    assert answer.status_code == 200, answer.text
    assert f">{desk.flow.sid}</Enqueue>" in answer.text
    (task,) = desk.context.tasks.list()
    attributes = json.loads(task.attributes)
    assert attributes["call_sid"] == CALLER, "what the call says wins where it identifies the call"
    assert (attributes["type"], attributes["from"], attributes["from_city"]) == ("support", "+15550111", "Örebro")
    assert attributes["caller_zip"] == ""
    assert len(attributes) == 26
    assert (task.priority, task.timeout, task.task_channel_unique_name) == (7, 300, "voice")
    left = voice.send(action_of(answer.text), CallSid=CALLER, QueueResult="hangup", QueueTime="4")
    assert "<Redirect>https://app.example.org/next?QueueResult=hangup&amp;QueueTime=4</Redirect>" in left.text
    fetched = desk.fetch(task)
    assert (fetched.assignment_status, fetched.reason) == ("canceled", "hangup")


def enqueue_url(desk, query: str = "") -> str:
    return f"{desk.clock.url.removesuffix('/Clock')}/voice/enqueue/{desk.flow.sid}{query}"


NEXT = "https://app.example.org/next?step=2"


def enqueued(desk, voice, query: str = f"?action={quote(NEXT)}"):
    """A call that waits as a Task, its offer, and where the provider asks once the waiting is over."""
    answer = voice.send(enqueue_url(desk, query), CallSid=CALLER, From="+15550111", To="+15550100")
    assert answer.status_code == 200, answer.text
    (task,) = desk.context.tasks.list()
    return task, desk.offer(task), action_of(answer.text)


def action_of(twiml: str) -> str:
    return twiml.split('action="')[1].split('"')[0].replace("&amp;", "&")


def answered_by_the_worker(desk, voice, task, reservation, instruction) -> str:
    """The TwiML that the caller is sent to."""
    reservation.update(instruction=instruction)
    desk.clock.quiet()
    (request,) = voice.asked("/Calls" if instruction == "dequeue" else f"/Conferences/{task.sid}/Participants")
    voice.report(request, call_of(voice, request), "in-progress")
    desk.clock.quiet()
    (moved,) = voice.asked(f"/Calls/{CALLER}")
    return moved["Twiml"]


@pytest.mark.parametrize("instruction", ["dequeue", "conference"])
def test_after_the_conversation_the_caller_goes_on_where_the_enqueue_request_said(desk, voice, instruction):
    task, reservation, waiting = enqueued(desk, voice)
    desk.clock.advance(7)
    twiml = answered_by_the_worker(desk, voice, task, reservation, instruction)
    assert voice.send(waiting, CallSid=CALLER, QueueResult="redirected").text.endswith("?><Response/>")
    # The work may be over, and its Task gone, before the conversation is.
    desk.context.tasks(task.sid).delete()
    after = voice.send(action_of(twiml), CallSid=CALLER, DialCallStatus="completed")
    expected = f"{NEXT}&QueueResult=bridged&QueueTime=7".replace("&", "&amp;")
    assert f"<Response><Redirect>{expected}</Redirect></Response>" in after.text


@pytest.mark.parametrize("query", [f"?action={quote(NEXT)}", ""])
def test_a_caller_goes_on_even_when_the_workspace_is_deleted_during_the_conversation(desk, voice, query):
    task, reservation, waiting = enqueued(desk, voice, query)
    after = action_of(answered_by_the_worker(desk, voice, task, reservation, "dequeue"))
    desk.context.delete()
    answers = [
        voice.send(after, CallSid=CALLER, CallStatus="in-progress", DialCallStatus="completed"),
        voice.send(waiting, CallSid=CALLER, QueueResult="hangup"),
    ]
    for answer, result in zip(answers, ["bridged&amp;QueueTime=0", "hangup"], strict=True):
        assert answer.status_code == 200, answer.text
        body = f"<Redirect>{NEXT.replace('&', '&amp;')}&amp;QueueResult={result}</Redirect>" if query else ""
        assert answer.text.endswith(f"<Response>{body}</Response>" if query else "<Response/>")


def test_without_an_action_a_call_ends_with_its_conversation(desk, voice):
    task, reservation, waiting = enqueued(desk, voice, "")
    after = action_of(answered_by_the_worker(desk, voice, task, reservation, "dequeue"))
    assert voice.send(after, CallSid=CALLER, CallStatus="in-progress").text.endswith("?><Response/>")
    assert voice.send(waiting, CallSid=CALLER, QueueResult="leave").text.endswith("?><Response/>")


def test_an_action_is_no_longer_than_the_twiml_that_holds_it_may_be(desk, voice):
    def enqueue(length: int):
        action = "https://app.example.org/".ljust(length, "x")
        url = enqueue_url(desk, f"?action={quote(action)}")
        return voice.send(url, CallSid=CALLER, From="+15550111", To="+15550100")

    message = enqueue(4_000).json()["message"]
    longest = 4_000 - (int(re.search(r"TwiML of (\d+) characters", message)[1]) - 4_000)
    refused = enqueue(longest + 1)
    assert (refused.status_code, refused.json()["code"]) == (400, 20001), "one past it"
    assert desk.context.tasks.list() == []
    assert enqueue(longest).status_code == 200, "at the limit"
    (task,) = desk.context.tasks.list()
    twiml = answered_by_the_worker(desk, voice, task, desk.offer(task), "dequeue")
    assert 3_990 <= len(twiml) <= 4_000


@pytest.mark.parametrize("action", ["next", "/next", "javascript:x", "not a url", "ftp://a.example/x"])
def test_an_action_is_an_absolute_url(desk, voice, action):
    answer = voice.send(enqueue_url(desk, f"?action={quote(action)}"), CallSid=CALLER)
    assert (answer.status_code, answer.json()["code"]) == (400, 20001), answer.text
    assert desk.context.tasks.list() == []


def test_a_caller_who_comes_back_after_a_conversation_waits_as_another_task(desk, voice):
    task, reservation, _ = enqueued(desk, voice)
    answered_by_the_worker(desk, voice, task, reservation, "dequeue")
    assert desk.fetch(task).assignment_status == "assigned"
    assert voice.send(enqueue_url(desk), CallSid=CALLER).status_code == 200
    assert len(desk.context.tasks.list()) == 2


def test_a_conference_in_old_attributes_is_not_that_of_the_task(desk, voice):
    task = inbound(desk)
    attributes = attributes_of(desk, task) | {"conference": {"sid": "CF" + "a" * 32}}
    task.update(attributes=json.dumps(attributes))
    reservation = desk.offer(task)
    answered_by_the_worker(desk, voice, task, reservation, "conference")


@pytest.mark.parametrize("deleted", ["task", "workspace"])
@pytest.mark.parametrize("instruction", ["dequeue", "conference"])
def test_what_is_deleted_while_a_call_is_being_placed_lets_no_telephone_ring(desk, voice, instruction, deleted):
    task = inbound(desk)
    reservation = desk.offer(task)
    path = "/Calls" if instruction == "dequeue" else f"/Conferences/{task.sid}/Participants"

    def answer(request):
        (desk.context.tasks(task.sid) if deleted == "task" else desk.context).delete()
        return 201, {"call_sid": voice.calls.setdefault(request.token, voice.new_sid("CA"))}

    voice.answers[path] = answer
    reservation.update(instruction=instruction)
    desk.clock.quiet()
    (request,) = voice.asked(path)
    assert [asked["Status"] for asked in voice.asked(f"/Calls/{call_of(voice, request)}")] == ["completed"]


def test_a_customer_who_is_called_for_an_offer_that_has_ended_is_hung_up(desk, voice):
    task = desk.create("support", outbound_to="+15550123", **{"from": "+15550100"})
    task, _, request = conferenced(desk, voice, task)

    def answer(request):
        desk.context.tasks(task.sid).update(assignment_status="canceled", reason="changed my mind")
        return 201, {"call_sid": voice.calls.setdefault(request.token, voice.new_sid("CA"))}

    path = f"/Conferences/{task.sid}/Participants"
    voice.answers[path] = answer
    voice.report(request, call_of(voice, request), "in-progress")
    desk.clock.quiet()
    _, customer = voice.asked(path)
    assert [asked["Status"] for asked in voice.asked(f"/Calls/{call_of(voice, customer)}")] == ["completed"]
    assert "conference" not in attributes_of(desk, task)


def test_a_call_that_comes_in_again_within_a_minute_gets_no_second_task(desk, voice):
    first = voice.send(enqueue_url(desk), CallSid=CALLER)
    again = voice.send(enqueue_url(desk), CallSid=CALLER)
    assert (again.status_code, again.text) == (200, first.text)
    assert len(desk.context.tasks.list()) == 1
    voice.send(enqueue_url(desk), CallSid="CA" + "8" * 32)
    assert len(desk.context.tasks.list()) == 2
    desk.clock.advance(60)
    voice.send(enqueue_url(desk), CallSid=CALLER)
    assert len(desk.context.tasks.list()) == 2, "at the limit"
    desk.clock.advance(1)
    voice.send(enqueue_url(desk), CallSid=CALLER)
    assert len(desk.context.tasks.list()) == 3, "one past it"


@pytest.mark.parametrize("call", [None, "", "CA12", "CB" + "1" * 32])
def test_a_task_is_made_of_nothing_but_a_call(desk, voice, call):
    form = {} if call is None else {"CallSid": call}
    for method in ("POST", "GET"):
        answer = voice.send(enqueue_url(desk), method=method, **form)
        assert (answer.status_code, answer.json()["code"]) == (400, 20001), answer.text
        assert "CallSid" in answer.json()["message"]
    assert desk.context.tasks.list() == []


@pytest.mark.parametrize(
    ("query", "code"),
    [("?timeout=1209601", 20001), ("?timeout=0", 20001), ("?priority=-1", 20001), ("?task=%5B1%5D", 14221),
     ("?task=x", 14221)],
)  # fmt: skip
def test_an_enqueue_with_a_bad_query_makes_no_task(desk, voice, query, code):
    answer = voice.send(enqueue_url(desk, query), CallSid=CALLER)
    assert (answer.status_code, answer.json()["code"]) == (400, code), answer.text
    assert desk.context.tasks.list() == []


def test_an_enqueued_task_may_live_as_long_as_any_other(desk, voice):
    assert voice.send(enqueue_url(desk, "?timeout=1209600"), CallSid=CALLER).status_code == 200
    (task,) = desk.context.tasks.list()
    assert task.timeout == 1_209_600


def test_a_call_for_a_workflow_that_does_not_exist_is_refused_with_the_code_for_it(desk, voice):
    url = enqueue_url(desk).replace(desk.flow.sid, "WW" + "0" * 32)
    answer = voice.send(url, CallSid=CALLER)
    assert (answer.status_code, answer.json()["code"]) == (400, 14220)


def test_silence_for_those_who_wait_is_not_the_music_of_the_provider(desk, voice):
    assert ' waitUrl=""' in voice.send(enqueue_url(desk, "?waitUrl="), CallSid=CALLER).text
    assert "waitUrl" not in voice.send(enqueue_url(desk), CallSid="CA" + "8" * 32).text


def test_voice_routes_have_the_rules_for_bodies_and_methods_of_all_routes(desk, voice):
    url = enqueue_url(desk)
    put = requests.put(url, timeout=30)
    assert (put.status_code, put.json()["code"], put.headers["Allow"]) == (405, 20004, "GET, POST")
    form = {"Content-Type": "application/x-www-form-urlencoded"}
    encoded = requests.post(url, data=b"x=1", headers=form | {"Content-Encoding": "gzip"}, timeout=30)
    assert (encoded.status_code, encoded.json()["code"]) == (415, 20422)
    large = requests.post(url, data=b"x=" + b"y" * (2 << 20), headers=form, timeout=30)
    assert (large.status_code, large.json()["code"]) == (413, 20413)


def dial_url(desk, reservation) -> str:
    return f"{desk.clock.url.removesuffix('/Clock')}/voice/dial-reservation/{reservation.sid}"


def test_a_worker_who_calls_in_takes_the_caller_of_a_reservation(desk, voice):
    task = inbound(desk)
    reservation = desk.offer(task)
    url = f"{dial_url(desk, reservation)}?postWorkActivitySid={desk.activities['Break']}"
    answer = voice.send(url, CallSid="CA" + "9" * 32)
    assert f">{reservation.sid}</Conference>" in answer.text
    assert status_of(desk, task, reservation) == "accepted"
    desk.clock.quiet()
    assert len(voice.asked(f"/Calls/{CALLER}")) == 1
    another = voice.send(url, CallSid="CA" + "8" * 32)
    assert (another.status_code, another.json()["code"]) == (400, 14217)
    again = voice.send(url, CallSid="CA" + "9" * 32)
    assert (again.status_code, again.text) == (200, answer.text), "its provider heard no answer"
    desk.clock.quiet()
    assert len(voice.asked(f"/Calls/{CALLER}")) == 1, "the caller is there already"
    voice.send(action_of(answer.text), CallSid="CA" + "9" * 32)
    again = voice.send(url, CallSid="CA" + "9" * 32)
    assert (again.status_code, again.json()["code"]) == (400, 14217), "the conversation is over"
    assert status_of(desk, task, reservation) == "wrapping"
    assert desk.context.workers(desk.ann.sid).fetch().activity_name == "Break"


def test_a_worker_may_take_the_caller_by_get(desk, voice):
    """Its parameters are in the query then."""
    task = inbound(desk)
    reservation = desk.offer(task)
    reservation.update(instruction="call", call_from="+15550100", call_url="https://a.example/x")
    desk.clock.quiet()
    (request,) = voice.asked("/Calls")
    call = call_of(voice, request)
    voice.report(request, call, "in-progress")
    query = f"?CallSid={call}&CallStatus=in-progress&Direction=outbound-api"
    answer = voice.send(dial_url(desk, reservation) + query, method="GET")
    assert f">{reservation.sid}</Conference>" in answer.text
    assert status_of(desk, task, reservation) == "accepted"
    voice.report(request, call, "completed")
    assert status_of(desk, task, reservation) == "wrapping", "it is the Worker's call that has ended"


def test_a_worker_who_calls_in_is_not_called_any_longer(desk, voice):
    task = inbound(desk)
    reservation = desk.offer(task)
    reservation.update(instruction="call", call_from="+15550100", call_url="https://a.example/x")
    desk.clock.quiet()
    (request,) = voice.asked("/Calls")
    call = call_of(voice, request)
    voice.report(request, call, "ringing")
    assert voice.send(dial_url(desk, reservation), CallSid="CA" + "9" * 32, Direction="inbound").status_code == 200
    desk.clock.quiet()
    assert [asked["Status"] for asked in voice.asked(f"/Calls/{call}")] == ["completed"]
    voice.report(request, call, "canceled")
    assert status_of(desk, task, reservation) == "accepted", "the other call goes on"


def test_a_caller_whom_a_worker_takes_goes_on_where_the_enqueue_request_said(desk, voice):
    task, reservation, _ = enqueued(desk, voice)
    desk.clock.advance(5)
    url = f"{desk.clock.url.removesuffix('/Clock')}/voice/dial-reservation/{reservation.sid}"
    answer = voice.send(url, CallSid="CA" + "9" * 32)
    assert f"/dial-result/{reservation.sid}" in action_of(answer.text), "the Worker's call has an action of its own"
    desk.clock.quiet()
    (moved,) = voice.asked(f"/Calls/{CALLER}")
    assert f">{reservation.sid}</Conference>" in moved["Twiml"]
    after = voice.send(action_of(moved["Twiml"]), CallSid=CALLER, CallStatus="in-progress")
    expected = f"{NEXT}&QueueResult=bridged&QueueTime=5".replace("&", "&amp;")
    assert f"<Response><Redirect>{expected}</Redirect></Response>" in after.text


@pytest.mark.parametrize("more", [{}, {"Direction": "inbound"}])
def test_a_call_that_takes_the_caller_before_it_is_named_is_not_hung_up(desk, voice, more):
    """The TwiML of a call may lead there before the voice API has answered the request for it."""
    task = inbound(desk)
    reservation, answers = desk.offer(task), []

    def answer(request):
        call = voice.calls.setdefault(request.token, voice.new_sid("CA"))
        answers.append(voice.send(dial_url(desk, reservation), CallSid=call, **more))
        return 201, {"sid": call}

    voice.answers["/Calls"] = answer
    reservation.update(instruction="call", call_from="+15550100", call_url="https://app.example.org/called")
    desk.clock.quiet()
    (request,) = voice.asked("/Calls")
    assert [answer.status_code for answer in answers] == [200]
    assert hung_up(voice, call_of(voice, request)) == []
    assert status_of(desk, task, reservation) == "accepted"


@pytest.mark.parametrize("is_early", [False, True])
def test_the_reports_of_a_call_whose_twiml_takes_the_caller_go_on_to_count(desk, voice, receiver, is_early):
    """Its end is told by the call itself, even if nobody tells of the end of its conversation."""
    task = inbound(desk)
    reservation = desk.offer(task)
    base = desk.clock.url.removesuffix("/Clock")
    url = f"{base}/voice/dial-reservation/{reservation.sid}?postWorkActivitySid={desk.activities['Break']}"
    answers = []

    def dial(request):
        answers.append(voice.send(url, CallSid=call_of(voice, request), Direction="outbound-api"))

    def answer(request):
        sid = voice.calls.setdefault(request.token, voice.new_sid("CA"))
        if is_early:
            dial(request)
        return 201, {"sid": sid}

    voice.answers["/Calls"] = answer
    told = f"{receiver.url}/called"
    reservation.update(instruction="call", call_from="+15550100", call_url=url, call_status_callback_url=told)
    desk.clock.quiet()
    (request,) = voice.asked("/Calls")
    call = call_of(voice, request)
    assert worker_call(desk, task) == call
    voice.report(request, call, "in-progress")
    if not is_early:
        dial(request)
    assert f">{reservation.sid}</Conference>" in answers[0].text
    assert status_of(desk, task, reservation) == "accepted"
    desk.clock.quiet()
    assert len(voice.asked(f"/Calls/{CALLER}")) == 1
    assert voice.asked(f"/Calls/{call}") == [], "the Worker is not hung up"
    voice.report(request, call, "completed", SequenceNumber="3")
    assert status_of(desk, task, reservation) == "wrapping"
    assert desk.context.workers(desk.ann.sid).fetch().activity_name == "Break"
    desk.clock.quiet()
    (callback,) = receiver.callbacks("/called")
    assert parse_qs(urlsplit(callback.url).query)["CallStatus"] == ["completed"]
    assert "<Hangup/>" in voice.send(action_of(answers[0].text), CallSid=call).text


@pytest.mark.parametrize("token", ["", "f" * 32, AUTH_TOKEN])
def test_what_the_provider_has_not_signed_is_refused(desk, voice, token):
    task, reservation, request = dequeued(desk, voice)
    answer = voice.send(request["StatusCallback"], token=token, CallSid=worker_call(desk, task), CallStatus="in-progress")
    assert answer.status_code == 401
    assert status_of(desk, task, reservation) == "pending"


@pytest.mark.parametrize("callback_url", ["http://voice.example.com", "https://voice.example.com:8443/pointsman"])
@pytest.mark.parametrize("public_url", [None, "https://router.example.com"])
def test_the_provider_signs_for_the_address_that_it_was_given(tmp_path, voice, callback_url, public_url):
    environment = voice.environment() | {"POINTSMAN_VOICE_CALLBACK_URL": callback_url}
    if public_url:
        environment["POINTSMAN_PUBLIC_URL"] = public_url
    server = Server(tmp_path / "data", "--clock", "virtual", environment=environment).start()
    try:
        desk = Office(connect(server.url), Clock(server.url))
        desk.reachable(desk.ann)
        task, reservation, request = dequeued(desk, voice)
        given, form = request["StatusCallback"], {"CallSid": worker_call(desk, task), "CallStatus": "in-progress"}
        assert given.startswith(f"{callback_url}/pointsman/v1/voice/status/{reservation.sid}?")

        def send(signed: str) -> int:
            """As a proxy passes it on that takes the path of the address away."""
            signature = RequestValidator(VOICE_TOKEN).compute_signature(signed, form)
            url = given.replace(callback_url, server.url)
            return requests.post(url, data=form, headers={"X-Twilio-Signature": signature}, timeout=30).status_code

        assert send(given.replace(callback_url, "https://other.example.com")) == 401
        assert status_of(desk, task, reservation) == "pending"
        assert send(given) == 204
        desk.clock.quiet()
        assert status_of(desk, task, reservation) == "accepted"
        # TwiML that an application writes may name the address that its clients use.
        assert send(given.replace(callback_url, public_url or server.url)) == 204
    finally:
        server.kill()


# A bad day


def test_a_request_that_was_under_way_at_a_kill_is_made_again_with_the_same_token(tmp_path, voice):
    server = Server(tmp_path / "data", "--clock", "virtual", environment=voice.environment()).start()
    try:
        desk = Office(connect(server.url), Clock(server.url))
        desk.reachable(desk.ann)
        task = inbound(desk)
        reservation = desk.offer(task)
        arrived, go_on = threading.Event(), threading.Event()

        def hang(request):
            arrived.set()
            assert go_on.wait(30)
            return 503, {}

        voice.answers["/Calls"] = hang
        reservation.update(instruction="dequeue")
        assert arrived.wait(10), "the Worker is called"
        server.kill()
        go_on.set()
        del voice.answers["/Calls"]
        server.start()
        desk = SimpleNamespace(
            context=connect(server.url).taskrouter.v1.workspaces(desk.sid), clock=Clock(server.url), sid=desk.sid
        )
        desk.clock.quiet()
        first, second = voice.asked("/Calls")
        assert first.token == second.token
        attributes = json.loads(desk.context.tasks(task.sid).fetch().attributes)
        assert attributes["worker_call_sid"] == call_of(voice, second)
        assert desk.context.tasks(task.sid).reservations(reservation.sid).fetch().reservation_status == "pending"
    finally:
        go_on.set()
        server.kill()


# Without a voice API


def test_without_a_voice_api_an_instruction_fails_like_a_leg_that_could_not_be_set_up(office):
    office.reachable(office.ann)
    for instruction, code in (("dequeue", "40133"), ("conference", "40145")):
        task = inbound(office)
        reservation = office.offer(task)
        reservation.update(instruction=instruction)
        assert status_of(office, task, reservation) == "canceled"
        (event,) = office.events(reservation_sid=reservation.sid, event_type="reservation.canceled")
        assert event.event_data["reservation_reason_code"] == code
        office.context.tasks(task.sid).delete()


def test_a_server_may_take_instructions_as_carried_out(tmp_path):
    environment = {"POINTSMAN_VOICE_ASSUME_SUCCESS": "true"}
    server = Server(tmp_path / "data", "--clock", "virtual", environment=environment).start()
    try:
        office = Office(connect(server.url), Clock(server.url))
        task = inbound(office)
        reservation = office.offer(task)
        reservation.update(instruction="dequeue", dequeue_to="client:ann")
        assert status_of(office, task, reservation) == "accepted"
        assert "worker_call_sid" not in attributes_of(office, task)
    finally:
        server.kill()
