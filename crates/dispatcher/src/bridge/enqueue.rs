//! Calls that come in and wait, and how they go on. Reference: events-and-callbacks, sections 11.1 and 11.2.

use std::sync::Arc;

use pointsman_api::json::Object;
use pointsman_api::parameters::is_absolute_url;
use pointsman_api::{Answer, ApiError, Target, errors, rejections};
use pointsman_engine::limits::TASK_TIMEOUT_SECONDS_MAX;
use pointsman_engine::{
    Command, CreateTask, Id, Priority, Reply, Reservation, Sid, State, Task, TaskStatus, Timestamp, Turn, Workflow,
};
use pointsman_expression::Attributes;

use super::addresses::{ReservationCallback, VoiceCallback, VoiceCallbackKind};
use super::members::{self, Member};
use super::reports::is_over;
use super::{Bridge, HANG_UP, VoiceApi, cancel_task, requests, twiml};
use crate::limits::{ENQUEUE_AGAIN_MS, TWIML_CHARS_MAX};

/// Parameters of a call, as the provider names them and as attributes of the Task (section 11.2).
const CALL_ATTRIBUTES: [(&str, &str); 25] = [
    ("FromCountry", "from_country"),
    ("Called", "called"),
    ("ToCountry", "to_country"),
    ("ToCity", "to_city"),
    ("ToState", "to_state"),
    ("CallerCountry", "caller_country"),
    ("CallStatus", "call_status"),
    ("CallSid", "call_sid"),
    ("AccountSid", "account_sid"),
    ("FromZip", "from_zip"),
    ("From", "from"),
    ("Direction", "direction"),
    ("CalledZip", "called_zip"),
    ("CallerState", "caller_state"),
    ("ToZip", "to_zip"),
    ("CalledCountry", "called_country"),
    ("FromCity", "from_city"),
    ("CalledCity", "called_city"),
    ("CallerZip", "caller_zip"),
    ("ApiVersion", "api_version"),
    ("CalledState", "called_state"),
    ("FromState", "from_state"),
    ("Caller", "caller"),
    ("CallerCity", "caller_city"),
    ("To", "to"),
];

/// Makes a Task of a call and lets it wait.
pub(super) fn enqueue(
    bridge: &mut Bridge<'_, '_>,
    callback: &VoiceCallback,
    workflow: Sid<Workflow>,
) -> Result<Answer, ApiError> {
    let call = callback.call().ok_or_else(|| {
        let message = "CallSid is missing or not the SID of a call".to_string();
        ApiError::new(&errors::VOICE_QUERY, &[("message", &message)])
    })?;
    let action = callback.query_value("action");
    if let Some(action) = action {
        check_action(bridge.state(), bridge.api, action)?;
    }
    let timeout_max = i64::from(TASK_TIMEOUT_SECONDS_MAX);
    let create = CreateTask {
        attributes: call_attributes(callback)?,
        workflow: Some(workflow),
        timeout_seconds: whole_number(callback, "timeout", 1..=timeout_max)?.map(|seconds| seconds as u32),
        priority: whole_number(callback, "priority", 0..=i64::from(i32::MAX))?.map(|value| Priority(value as u32)),
        task_channel: Some("voice".to_string()),
        enqueue_action: action.map(Arc::from),
        ..CreateTask::default()
    };
    let task = match made_before(bridge.state(), workflow, call) {
        Some(task) => task,
        None => make_task(bridge.turn, create, workflow)?,
    };
    let mut result =
        requests::callback_url(bridge.api, VoiceCallbackKind::EnqueueResult(task), bridge.state().workspace().sid);
    if let Some(action) = action {
        result = requests::with_query(&result, [("action", action)]);
    }
    // An empty one is silence, which is not the music of none.
    let wait_url = callback.query.iter().find(|(name, _)| name == "waitUrl").map(|(_, url)| url.as_str());
    Ok(twiml(&requests::enqueue_twiml(&workflow.to_string(), &result, wait_url)))
}

/// Refuses an address that no caller could be sent to after a conversation.
fn check_action(state: &State, api: &VoiceApi, action: &str) -> Result<(), ApiError> {
    let refused = |message: String| ApiError::new(&errors::VOICE_QUERY, &[("message", &message)]);
    if !is_absolute_url(action) {
        return Err(refused(format!("action must be an absolute URL of http or https, not {action:.100}")));
    }
    // As long as any will be: a call waits for no more than two weeks.
    let (task, waited_seconds) = (Sid::from_bytes([0; 16]), i64::from(TASK_TIMEOUT_SECONDS_MAX));
    let url = requests::afterwards_url(api, state.workspace().sid, task, Some(action), waited_seconds);
    let twiml = requests::bridge_twiml(&Sid::<Reservation>::from_bytes([0; 16]).to_string(), Some(&url));
    let length = twiml.chars().count();
    if TWIML_CHARS_MAX < length {
        let message =
            format!("action makes TwiML of {length} characters, of which a voice API takes {TWIML_CHARS_MAX}");
        return Err(refused(message));
    }
    Ok(())
}

fn make_task(turn: &mut Turn<'_>, create: CreateTask, workflow: Sid<Workflow>) -> Result<Sid<Task>, ApiError> {
    match turn.apply(Command::CreateTask(create)) {
        Ok(Reply::Task(id)) => {
            let task = turn.state().task(id).expect("just created");
            if task.status.is_terminal() {
                return Err(ApiError::new(&errors::VOICE_NO_MATCH, &[("workflow", &workflow)]));
            }
            Ok(task.sid)
        }
        Ok(other) => unreachable!("creating a Task gives a Task, not {other:?}"),
        Err(rejection) => Err(rejections::error(&rejection, turn.state(), Target::Workspace)),
    }
}

/// The Task that waits for a call already: a provider that heard no answer asks again.
///
/// - Cost: Tasks that were made in the last [`ENQUEUE_AGAIN_MS`].
fn made_before(state: &State, workflow: Sid<Workflow>, call: &str) -> Option<Sid<Task>> {
    let since = Timestamp(state.now().0 - ENQUEUE_AGAIN_MS);
    let workflow = state.find_workflow(workflow)?.id;
    let recent = state.tasks().rev().take_while(|task| since <= task.date_created);
    let of_call = |task: &&Task| {
        // One who has spoken to somebody and comes back does not wait yet.
        matches!(task.status, TaskStatus::Pending | TaskStatus::Reserved)
            && task.workflow == Some(workflow)
            && task.attributes.value().member("call_sid").as_text() == Some(call)
    };
    recent.filter(of_call).last().map(|task| task.sid)
}

/// Those of the call, with those that the TwiML gives: the latter win, but for what identifies the call.
fn call_attributes(callback: &VoiceCallback) -> Result<Attributes, ApiError> {
    let invalid = |message: String| ApiError::new(&errors::VOICE_QUERY, &[("message", &message)]);
    let given = callback.query_value("task").unwrap_or("{}");
    let given =
        Attributes::parse(given).map_err(|error| ApiError::new(&errors::VOICE_ATTRIBUTES, &[("message", &error)]))?;
    let mut merged = String::new();
    let mut object = Object::open(&mut merged);
    for (parameter, attribute) in CALL_ATTRIBUTES {
        let wins = matches!(attribute, "call_sid" | "account_sid");
        if wins || given.value().as_object().is_none_or(|object| object.get(attribute).is_none()) {
            object.text(attribute, callback.value(parameter).unwrap_or_default());
        }
    }
    for Member { name, value } in members::members(given.text()) {
        if !matches!(name.as_str(), "call_sid" | "account_sid") {
            object.raw(&name, &given.text()[value]);
        }
    }
    object.close();
    Attributes::parse(&merged).map_err(|error| invalid(format!("the attributes of the task do not fit: {error}")))
}

fn whole_number(
    callback: &VoiceCallback,
    name: &str,
    range: std::ops::RangeInclusive<i64>,
) -> Result<Option<i64>, ApiError> {
    let Some(text) = callback.query_value(name) else { return Ok(None) };
    let number = text.parse().ok().filter(|number| range.contains(number)).ok_or_else(|| {
        let message = format!("{name} must be a whole number from {} to {}", range.start(), range.end());
        ApiError::new(&errors::VOICE_QUERY, &[("message", &message)])
    })?;
    Ok(Some(number))
}

/// The caller has left the queue, or a conversation that followed on it, and asks how to go on.
pub(super) fn enqueue_result(bridge: &mut Bridge<'_, '_>, callback: &VoiceCallback, task: Sid<Task>) -> Answer {
    let task = bridge.state().find_task(task).expect("found in this turn").id;
    match callback.value("QueueResult") {
        Some(result @ ("hangup" | "leave" | "queue-full" | "error" | "system-error")) => {
            cancel_task(bridge.turn, task, result);
        }
        // The end of a conversation, or of the way to it, is told without a result of the queue.
        None if callback.value("CallStatus").is_some_and(is_over) => hung_up(bridge, task),
        None => gone_on(bridge, task, callback),
        Some(_) => {}
    }
    how_to_go_on(callback)
}

/// A caller who was sent to a Worker goes on from there: whatever the voice API answers later, nobody is on the way.
fn gone_on(bridge: &mut Bridge<'_, '_>, id: Id<Task>, callback: &VoiceCallback) {
    let state = bridge.state();
    let is_on_the_way = |reservation: &&Reservation| {
        let call = reservation.call.as_deref().filter(|call| call.is_customer_sent_for);
        call.is_some_and(|call| call.customer_call.as_deref() == callback.call())
    };
    let reservations = &state.task(id).expect("found in this turn").reservations;
    let reservations = reservations.iter().filter_map(|id| state.reservation(*id)).filter(is_on_the_way);
    for reservation in reservations.map(|reservation| reservation.id).collect::<Vec<_>>() {
        bridge.with(reservation, |call| call.call.is_customer_sent_for = false);
    }
}

/// A caller who was sent to a Worker has hung up.
fn hung_up(bridge: &mut Bridge<'_, '_>, id: Id<Task>) {
    cancel_task(bridge.turn, id, "hangup");
    let state = bridge.state();
    let task = state.task(id).expect("found in this turn");
    let reservations: Vec<_> = state.active_reservations(task).map(|reservation| reservation.id).collect();
    for reservation in reservations {
        bridge.with(reservation, |call| {
            call.caller_is_gone();
        });
    }
}

impl VoiceCallback {
    /// What to answer when no Workspace knows what is asked about: a caller goes on all the same.
    pub fn answer_in_vain(&self) -> Answer {
        match self.kind {
            // Addresses of ours name the Workspace.
            VoiceCallbackKind::EnqueueResult(_) if self.workspace().is_some() => how_to_go_on(self),
            // That of a TwiML of the application does not.
            VoiceCallbackKind::Enqueue(workflow) if self.workspace().is_none() => {
                ApiError::new(&errors::VOICE_WORKFLOW, &[("workflow", &workflow)]).answer()
            }
            // Nor does anybody wait for a Worker any more.
            VoiceCallbackKind::Reservation(_, ReservationCallback::WorkerLeg | ReservationCallback::DialResult) => {
                twiml(HANG_UP)
            }
            VoiceCallbackKind::Enqueue(_)
            | VoiceCallbackKind::EnqueueResult(_)
            | VoiceCallbackKind::Reservation(
                _,
                ReservationCallback::Status
                | ReservationCallback::Conference
                | ReservationCallback::CustomerStatus
                | ReservationCallback::DialReservation,
            ) => ApiError::not_found(&self.path).answer(),
        }
    }
}

fn how_to_go_on(callback: &VoiceCallback) -> Answer {
    let result = callback.value("QueueResult").unwrap_or("bridged");
    let told = [
        ("QueueResult", Some(result)),
        ("QueueSid", callback.value("QueueSid")),
        ("QueueTime", callback.value("QueueTime").or_else(|| callback.query_value("queueTime"))),
    ];
    let pairs = told.into_iter().filter_map(|(name, value)| value.map(|value| (name, value)));
    match callback.query_value("action") {
        // It is on its way to somebody: what it does after that, it asks then.
        _ if result == "redirected" => twiml("<Response/>"),
        Some(action) => twiml(&requests::redirect_twiml(&requests::with_query(action, pairs))),
        None => twiml("<Response/>"),
    }
}
