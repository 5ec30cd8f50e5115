//! What the voice provider, or TwiML of the application, asks of the bridge. Reference: events-and-callbacks, sections
//! 11.1, 11.2, 11.5 to 11.7.

use std::collections::BTreeMap;
use std::sync::Arc;

use pointsman_api::instruction::{FieldValue, VoiceInstruction, VoiceVerb};
use pointsman_api::json::Object;
use pointsman_api::parameters::is_absolute_url;
use pointsman_api::{Answer, ApiError, Header, Target, errors, rejections};
use pointsman_engine::limits::TASK_TIMEOUT_SECONDS_MAX;
use pointsman_engine::{
    Command, CreateTask, Id, Priority, Reply, Reservation, ReservationStatus, Sid, State, Task, TaskStatus, Timestamp,
    Turn, VoiceCall, Workflow, Workspace,
};
use pointsman_expression::Attributes;
use pointsman_record::delivery::{Delivery, Form, ReportMethod};

use super::members::Member;
use super::{Leg, VoiceApi, cancel_task, is_call_sid, members, requests};
use crate::limits::{ENQUEUE_AGAIN_MS, TWIML_CHARS_MAX};

/// A request to the bridge, its signature checked.
#[derive(Clone, Debug)]
pub struct VoiceCallback {
    pub kind: VoiceCallbackKind,
    /// The path as sent, for errors.
    pub path: Arc<str>,
    pub query: Vec<(String, String)>,
    pub form: Vec<(String, String)>,
}

/// What is asked, and about what.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum VoiceCallbackKind {
    /// A call comes in: it becomes a Task and waits.
    Enqueue(Sid<Workflow>),
    /// The waiting is over, or given up.
    EnqueueResult(Sid<Task>),
    /// The Worker answered: what is the leg to do?
    WorkerLeg(Sid<Reservation>),
    /// Progress of the Worker's call.
    Status(Sid<Reservation>),
    /// Something happened in the Task's conference.
    Conference(Sid<Reservation>),
    /// A Worker who called in takes the caller of a reservation.
    DialReservation(Sid<Reservation>),
    /// Their conversation is over.
    DialResult(Sid<Reservation>),
}

impl VoiceCallbackKind {
    /// What every address of the bridge begins with; a word and a SID follow.
    pub const PREFIX: &str = "/pointsman/v1/voice/";

    /// Reads a path that [`VoiceCallbackKind::path`] wrote; a single `/` at its end is tolerated.
    pub fn of(path: &str) -> Option<Self> {
        let rest = path.strip_prefix(Self::PREFIX)?;
        let (word, sid) = rest.strip_suffix('/').unwrap_or(rest).split_once('/')?;
        let reservation = Sid::parse(sid);
        let kinds = [
            Sid::parse(sid).map(Self::Enqueue),
            Sid::parse(sid).map(Self::EnqueueResult),
            reservation.map(Self::WorkerLeg),
            reservation.map(Self::Status),
            reservation.map(Self::Conference),
            reservation.map(Self::DialReservation),
            reservation.map(Self::DialResult),
        ];
        kinds.into_iter().flatten().find(|kind| kind.word() == word)
    }

    pub(super) fn path(self) -> String {
        let (prefix, word) = (Self::PREFIX, self.word());
        match self {
            Self::Enqueue(sid) => format!("{prefix}{word}/{sid}"),
            Self::EnqueueResult(sid) => format!("{prefix}{word}/{sid}"),
            Self::WorkerLeg(sid)
            | Self::Status(sid)
            | Self::Conference(sid)
            | Self::DialReservation(sid)
            | Self::DialResult(sid) => format!("{prefix}{word}/{sid}"),
        }
    }

    const fn word(self) -> &'static str {
        match self {
            Self::Enqueue(_) => "enqueue",
            Self::EnqueueResult(_) => "enqueue-result",
            Self::WorkerLeg(_) => "worker-leg",
            Self::Status(_) => "status",
            Self::Conference(_) => "conference",
            Self::DialReservation(_) => "dial-reservation",
            Self::DialResult(_) => "dial-result",
        }
    }

    /// Whether the Workspace has what it is about.
    fn is_in(self, state: &State) -> bool {
        match self {
            Self::Enqueue(sid) => state.find_workflow(sid).is_some(),
            Self::EnqueueResult(sid) => state.find_task(sid).is_some(),
            Self::WorkerLeg(sid)
            | Self::Status(sid)
            | Self::Conference(sid)
            | Self::DialReservation(sid)
            | Self::DialResult(sid) => state.find_reservation(sid).is_some(),
        }
    }
}

impl VoiceCallback {
    /// The Workspace, where the address names it.
    pub fn workspace(&self) -> Option<Sid<Workspace>> {
        self.query_value("workspace").and_then(Sid::parse)
    }

    /// Whether it is this Workspace that answers.
    pub(crate) fn is_for(&self, state: &State) -> bool {
        let Some(named) = self.workspace() else { return self.kind.is_in(state) };
        // A caller goes on after a conversation that has outlived its Task.
        let is_here = matches!(self.kind, VoiceCallbackKind::EnqueueResult(_)) || self.kind.is_in(state);
        named == state.workspace().sid && is_here
    }

    fn query_value(&self, name: &str) -> Option<&str> {
        value(&self.query, name)
    }

    /// What the provider tells: in the form, or with GET in the query.
    fn value(&self, name: &str) -> Option<&str> {
        value(&self.form, name).or_else(|| self.query_value(name))
    }
}

fn value<'a>(fields: &'a [(String, String)], name: &str) -> Option<&'a str> {
    fields.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str()).filter(|value| !value.is_empty())
}

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

const HANG_UP: &str = "<Response><Hangup/></Response>";

/// Does what the provider asks.
///
/// - Returns what to answer at once, and what is to be sent once the turn is durable.
pub(crate) fn called(turn: &mut Turn<'_>, api: &VoiceApi, callback: &VoiceCallback) -> (Answer, Vec<Arc<Delivery>>) {
    let reservation = |turn: &Turn<'_>, sid| turn.state().find_reservation(sid).map(|found| found.id);
    let outcome = match callback.kind {
        VoiceCallbackKind::Enqueue(workflow) => {
            enqueue(turn, api, callback, workflow).map(|answer| (answer, Vec::new()))
        }
        VoiceCallbackKind::EnqueueResult(task) => Ok(enqueue_result(turn, api, callback, task)),
        VoiceCallbackKind::WorkerLeg(sid)
        | VoiceCallbackKind::Status(sid)
        | VoiceCallbackKind::Conference(sid)
        | VoiceCallbackKind::DialReservation(sid)
        | VoiceCallbackKind::DialResult(sid) => match reservation(turn, sid) {
            None => Err(ApiError::not_found(&callback.path)),
            Some(id) => of_reservation(turn, api, callback, id),
        },
    };
    outcome.unwrap_or_else(|error| (error.answer(), Vec::new()))
}

/// What to answer when there is no Workspace that knows what is asked about: a caller goes on all the same.
pub(crate) fn called_in_vain(callback: &VoiceCallback) -> Answer {
    match callback.kind {
        // Addresses of ours name the Workspace. Where none is named another thread may know it.
        VoiceCallbackKind::EnqueueResult(_) if callback.workspace().is_some() => how_to_go_on(callback),
        _ => ApiError::not_found(&callback.path).answer(),
    }
}

fn of_reservation(
    turn: &mut Turn<'_>,
    api: &VoiceApi,
    callback: &VoiceCallback,
    id: Id<Reservation>,
) -> Result<(Answer, Vec<Arc<Delivery>>), ApiError> {
    match callback.kind {
        VoiceCallbackKind::DialReservation(_) => return dial_reservation(turn, api, callback, id),
        VoiceCallbackKind::Conference(_) => return Ok((Answer::no_content(), conference(turn, api, callback, id))),
        _ => {}
    }
    let mut leg = Leg::of(turn, api, id);
    let is_former = leg.is_former(callback);
    let answer = match callback.kind {
        VoiceCallbackKind::WorkerLeg(_) if is_former => twiml(HANG_UP),
        VoiceCallbackKind::Status(_) if is_former => Answer::no_content(),
        VoiceCallbackKind::WorkerLeg(_) => {
            leg.progress(callback, "in-progress");
            leg.worker_leg()
        }
        VoiceCallbackKind::Status(_) => {
            if !leg.knows_call_report(callback) {
                leg.progress(callback, callback.value("CallStatus").unwrap_or_default());
                leg.report_call(callback);
            }
            Answer::no_content()
        }
        VoiceCallbackKind::DialResult(_) => {
            leg.worker_is_gone(None);
            twiml(HANG_UP)
        }
        VoiceCallbackKind::Enqueue(_)
        | VoiceCallbackKind::EnqueueResult(_)
        | VoiceCallbackKind::DialReservation(_)
        | VoiceCallbackKind::Conference(_) => unreachable!("handled before"),
    };
    Ok((answer, leg.end()))
}

/// Something happened in a conference. The provider tells the address that came with its first participant; it is for
/// every reservation that meets there.
fn conference(
    turn: &mut Turn<'_>,
    api: &VoiceApi,
    callback: &VoiceCallback,
    id: Id<Reservation>,
) -> Vec<Arc<Delivery>> {
    let mut leg = Leg::of(turn, api, id);
    let room = callback.value("FriendlyName").map_or_else(|| leg.room_name(), Arc::from);
    if !leg.is_former(callback) {
        if leg.knows_conference_report(callback) {
            return leg.end();
        }
        leg.conference_event(callback);
        leg.report_conference(callback);
    }
    let others = with_calls(leg.turn.state(), leg.task(), &room);
    let mut sends = leg.end();
    for other in others.into_iter().filter(|other| *other != id) {
        if turn.state().reservation(other).is_none() {
            continue;
        }
        let mut leg = Leg::of(turn, api, other);
        if leg.meets_in(&room, callback) {
            leg.conference_event(callback);
        }
        sends.extend(leg.end());
    }
    sends
}

/// Reservations that may meet in a conference: those of the Task, or if the application has named it, those of all.
///
/// - Cost: Tasks of the Workspace if it has such a name; otherwise reservations of the Task.
fn with_calls(state: &State, task: &Task, room: &str) -> Vec<Id<Reservation>> {
    let is_shared = room != task.sid.to_string();
    let tasks = state.tasks().filter(|other| is_shared && other.id != task.id && !other.active.is_empty());
    let reservations = std::iter::once(task).chain(tasks).flat_map(|task| &task.reservations);
    let reservations = reservations.filter_map(|id| state.reservation(*id));
    reservations.filter(|reservation| reservation.call.is_some()).map(|reservation| reservation.id).collect()
}

impl Leg<'_, '_, '_> {
    /// Whether its parties meet in the conference that is told of: the one that it knows, or one with its name.
    fn meets_in(&self, room: &str, callback: &VoiceCallback) -> bool {
        let is_it = match (&self.call.conference, callback.value("ConferenceSid")) {
            (Some(known), Some(told)) => **known == *told,
            // It has not heard of a beginning: what ends there is an earlier conference of that name.
            (None, Some(_)) if is_event(callback, "conference-end") => false,
            _ => *self.room_name() == *room,
        };
        self.verb() == Some(VoiceVerb::Conference) && is_it
    }

    /// Whether it tells of a conference that is not the one where the parties meet now.
    fn is_of_another(&self, callback: &VoiceCallback) -> bool {
        let (known, told) = (self.call.conference.as_deref(), callback.value("ConferenceSid"));
        known.is_some() && told.is_some() && known != told
    }

    /// Whether it tells of a call that an earlier instruction of the reservation has made.
    fn is_former(&self, callback: &VoiceCallback) -> bool {
        let request = callback.query_value("request").and_then(|number| number.parse::<u64>().ok());
        request.is_some_and(|number| number <= self.call.requests_before)
    }

    /// Whether a report of the Worker's call was told before: a provider that heard no answer tells it again. From here
    /// on it is known.
    fn knows_call_report(&mut self, callback: &VoiceCallback) -> bool {
        // The first report may come before the answer to the request for the call.
        let call = callback.value("CallSid");
        let is_own = match &self.call.worker_call {
            Some(known) => Some(&**known) == call,
            None => call != self.call.customer_call.as_deref(),
        };
        is_own && is_known(&mut self.call.call_reports, callback)
    }

    /// The same of a report of the conference.
    fn knows_conference_report(&mut self, callback: &VoiceCallback) -> bool {
        self.learn_conference(callback);
        !self.is_of_another(callback) && is_known(&mut self.call.conference_reports, callback)
    }

    /// Another conference of that name counts its reports from the beginning. What ends an earlier one may come late.
    fn learn_conference(&mut self, callback: &VoiceCallback) {
        let conference = callback.value("ConferenceSid");
        let is_end = is_event(callback, "conference-end") || is_event(callback, "participant-leave");
        if conference.is_some() && conference != self.call.conference.as_deref() && !is_end {
            self.call.conference_reports = 0;
            self.call.customer_report = 0;
            self.call.conference = conference.map(Arc::from);
        }
    }

    /// Follows the Worker's call. What is told of another call, or late, changes nothing.
    fn progress(&mut self, callback: &VoiceCallback, status: &str) {
        let Some(call) = callback.value("CallSid") else { return };
        if self.call.customer_call.as_deref() == Some(call) {
            if is_over(status) {
                self.caller_is_gone();
            }
            return;
        }
        if self.call.worker_call.is_none() && !self.call.instruction.is_empty() {
            self.learn_worker_call(call);
            // The offer ended before anybody knew what to hang up.
            if !self.reservation().status.is_active() && !is_over(status) {
                self.hang_up();
            }
        }
        if self.call.worker_call.as_deref() != Some(call) {
            return;
        }
        match status {
            "in-progress" | "answered" => self.worker_has_answered(),
            status if is_over(status) => {
                let code = callback.value("ErrorCode").and_then(|code| code.parse().ok());
                self.worker_is_gone(code);
            }
            _ => {}
        }
    }

    /// What a Worker who has answered is connected to.
    fn worker_leg(&self) -> Answer {
        let reservation = self.reservation();
        let is_wanted = reservation.status == ReservationStatus::Accepted || self.call.is_answered && self.is_held();
        if is_wanted && !self.call.is_over {
            twiml(&requests::bridge_twiml(&reservation.sid.to_string(), None))
        } else {
            twiml(HANG_UP)
        }
    }

    fn conference_event(&mut self, callback: &VoiceCallback) {
        self.learn_conference(callback);
        if self.is_of_another(callback) {
            return;
        }
        let call = callback.value("CallSid");
        let is_customer = call.is_some() && call == self.call.customer_call.as_deref();
        match callback.value("StatusCallbackEvent") {
            Some("participant-join") if is_customer => {
                self.note_customer(callback, true);
                if self.call.is_customer_there && self.call.is_answered && self.is_held() {
                    self.note_conference();
                    self.accept();
                }
            }
            Some("participant-leave") if is_customer => {
                self.note_customer(callback, false);
                // One who is on the line still was sent elsewhere. Where nobody says so, that is not to be believed of
                // an offer that has ended.
                let is_gone = callback.value("ParticipantCallStatus").map_or(self.is_held(), is_over);
                if is_gone {
                    self.caller_is_gone();
                }
            }
            Some("participant-leave") if call.is_some() && call == self.call.worker_call.as_deref() => {
                self.worker_is_gone(None);
            }
            Some("conference-end") => {
                self.call.is_customer_there = false;
                if self.call.is_answered {
                    self.worker_is_gone(None);
                } else {
                    // One whose telephone still rings was not in it, and will begin another.
                    self.call.conference = None;
                }
            }
            Some(_) | None => {}
        }
    }

    /// Where the customer is: what was told later counts, also when it comes first.
    fn note_customer(&mut self, callback: &VoiceCallback, is_there: bool) {
        let number = callback.value("SequenceNumber").and_then(|number| number.parse::<u64>().ok());
        if number.is_none_or(|number| self.call.customer_report <= number) {
            self.call.customer_report = number.unwrap_or(self.call.customer_report);
            self.call.is_customer_there = is_there;
        }
    }

    /// Passes the progress of the Worker's call on, as far as the application wants to know.
    fn report_call(&mut self, callback: &VoiceCallback) {
        let Some(instruction) = self.instruction.clone() else { return };
        // Of another call, say that of an instruction before.
        if callback.value("CallSid") != self.call.worker_call.as_deref() {
            return;
        }
        let event = match callback.value("CallStatus") {
            Some("queued" | "initiated") => "initiated",
            Some("ringing") => "ringing",
            Some("in-progress") => "answered",
            Some(_) => "completed",
            None => return,
        };
        let is_wanted = |field| instruction.list(field).map_or(event == "completed", |list| list.contains(&event));
        if let Some(url) = instruction.text("status_callback_url").filter(|_| is_wanted("status_callback_events")) {
            let task_call = self.attribute(&["call_sid"]).unwrap_or_default();
            let pairs = callback.form.iter().map(|(name, value)| (name.as_str(), value.as_str()));
            let url = requests::with_query(url, pairs.chain([("taskCallSid", &*task_call)]));
            self.report(ReportMethod::Get, url, Form::new());
        }
        if let Some(url) = instruction.text("status_callback").filter(|_| is_wanted("status_callback_event")) {
            self.pass_on(callback, url, instruction.text("status_callback_method"));
        }
    }

    fn report_conference(&mut self, callback: &VoiceCallback) {
        let Some(instruction) = self.instruction.clone() else { return };
        let event = match callback.value("StatusCallbackEvent") {
            Some("conference-start") => "start",
            Some("conference-end") => "end",
            Some("participant-join") => "join",
            Some("participant-leave") => "leave",
            Some("participant-mute" | "participant-unmute") => "mute",
            Some("participant-hold" | "participant-unhold") => "hold",
            Some("participant-speech-start" | "participant-speech-stop") => "speaker",
            Some(_) | None => return,
        };
        let wanted = instruction.list("conference_status_callback_event").unwrap_or(&["start", "end"]);
        if let Some(url) = instruction.text("conference_status_callback").filter(|_| wanted.contains(&event)) {
            self.pass_on(callback, url, instruction.text("conference_status_callback_method"));
        }
    }

    /// The same form, by the method that the application chose.
    fn pass_on(&mut self, callback: &VoiceCallback, url: &str, method: Option<&str>) {
        if method == Some("GET") {
            let pairs = callback.form.iter().map(|(name, value)| (name.as_str(), value.as_str()));
            self.report(ReportMethod::Get, requests::with_query(url, pairs), Form::new());
        } else {
            let form = callback.form.iter().map(|(name, value)| (name.as_str().into(), value.as_str().into()));
            self.report(ReportMethod::Post, url.to_string(), form.collect());
        }
    }
}

impl Leg<'_, '_, '_> {
    /// Whether it is the call of a `call` whose TwiML leads here.
    fn is_called(&self, callback: &VoiceCallback) -> bool {
        let Some(call) = callback.value("CallSid") else { return false };
        let is_its = match &self.call.worker_call {
            Some(known) => &**known == call,
            // It may ask before the voice API has answered with its name. A Worker who calls in is inbound.
            None => callback.value("Direction").is_some_and(|direction| direction.starts_with("outbound")),
        };
        self.verb() == Some(VoiceVerb::Call) && is_its && !self.call.is_over
    }

    /// The call that asks is the Worker's from now on, as if a `dequeue` had made it.
    fn take_in(&mut self, callback: &VoiceCallback, activity: Option<&str>) {
        let mut instruction = VoiceInstruction { verb: VoiceVerb::Dequeue, fields: BTreeMap::new() };
        let call = if self.is_called(callback) {
            // Its reports go on to count, and to be passed on.
            self.learn_worker_call(callback.value("CallSid").unwrap_or_default());
            let told = self.instruction.as_ref().and_then(|call| call.fields.get_key_value("status_callback_url"));
            instruction.fields.extend(told.map(|(name, url)| (*name, url.clone())));
            self.call.clone()
        } else {
            // Where a `call` lets a telephone ring, nobody will answer it.
            self.hang_up();
            let worker_call = callback.value("CallSid").map(Arc::from);
            let requests = self.call.requests;
            VoiceCall { worker_call, requests, requests_before: requests, ..VoiceCall::default() }
        };
        let activity = activity.map(|sid| ("post_work_activity_sid", FieldValue::Text(sid.into())));
        instruction.fields.extend(activity);
        self.call = VoiceCall {
            instruction: instruction.to_json().into(),
            customer_call: self.attribute(&["call_sid"]),
            is_answered: true,
            ..call
        };
        self.instruction = Some(instruction);
    }
}

fn is_event(callback: &VoiceCallback, event: &str) -> bool {
    callback.value("StatusCallbackEvent") == Some(event)
}

/// Whether a call with this status has ended.
fn is_over(call_status: &str) -> bool {
    matches!(call_status, "completed" | "busy" | "failed" | "no-answer" | "canceled")
}

/// Whether a report with this number was noted before; notes it. Beyond 63, which only conferences have, none is.
fn is_known(reports: &mut u64, callback: &VoiceCallback) -> bool {
    let number = callback.value("SequenceNumber").and_then(|number| number.parse::<u32>().ok());
    let Some(bit) = number.and_then(|number| 1_u64.checked_shl(number)) else { return false };
    let is_known = *reports & bit != 0;
    *reports |= bit;
    is_known
}

/// Accepts the reservation for a Worker who called in, and brings its caller along.
fn dial_reservation(
    turn: &mut Turn<'_>,
    api: &VoiceApi,
    callback: &VoiceCallback,
    id: Id<Reservation>,
) -> Result<(Answer, Vec<Arc<Delivery>>), ApiError> {
    let state = turn.state();
    let sid = state.reservation(id).expect("found in this turn").sid;
    let activity = callback.query_value("postWorkActivitySid");
    if let Some(named) = activity
        && Sid::parse(named).and_then(|sid| state.find_activity(sid)).is_none()
    {
        return Err(ApiError::new(&errors::VOICE_WORKER_NOT_MOVED, &[("value", &named)]));
    }
    let mut leg = Leg::of(turn, api, id);
    if leg.attribute(&["call_sid"]).is_none() {
        return Err(ApiError::new(&errors::VOICE_CANNOT_DEQUEUE, &[("reservation", &sid)]));
    }
    if leg.turn.apply(Command::AcceptReservation { id }).is_err() {
        return Err(ApiError::new(&errors::VOICE_NOT_ACCEPTABLE, &[("reservation", &sid)]));
    }
    leg.take_in(callback, activity);
    leg.move_caller(&requests::bridge_twiml(&sid.to_string(), Some(&leg.afterwards())));
    let over = requests::callback_url(api, VoiceCallbackKind::DialResult(sid), leg.turn.state().workspace().sid);
    Ok((twiml(&requests::bridge_twiml(&sid.to_string(), Some(&over))), leg.end()))
}

/// Makes a Task of a call and lets it wait.
fn enqueue(
    turn: &mut Turn<'_>,
    api: &VoiceApi,
    callback: &VoiceCallback,
    workflow: Sid<Workflow>,
) -> Result<Answer, ApiError> {
    let call = callback.value("CallSid").filter(|call| is_call_sid(call)).ok_or_else(|| {
        let message = "CallSid is missing or not the SID of a call".to_string();
        ApiError::new(&errors::VOICE_QUERY, &[("message", &message)])
    })?;
    let action = callback.query_value("action");
    if let Some(action) = action {
        check_action(turn.state(), api, action)?;
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
    let task = match made_before(turn.state(), workflow, call) {
        Some(task) => task,
        None => make_task(turn, create, workflow)?,
    };
    let mut result = requests::callback_url(api, VoiceCallbackKind::EnqueueResult(task), turn.state().workspace().sid);
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
fn enqueue_result(
    turn: &mut Turn<'_>,
    api: &VoiceApi,
    callback: &VoiceCallback,
    task: Sid<Task>,
) -> (Answer, Vec<Arc<Delivery>>) {
    let mut sends = Vec::new();
    if let Some(id) = turn.state().find_task(task).map(|task| task.id) {
        match callback.value("QueueResult") {
            Some(result @ ("hangup" | "leave" | "queue-full" | "error" | "system-error")) => {
                cancel_task(turn, id, result);
            }
            // The end of a conversation, or of the way to it, is told without a result of the queue.
            None if callback.value("CallStatus").is_some_and(is_over) => sends = hung_up(turn, api, id),
            Some(_) | None => {}
        }
    }
    (how_to_go_on(callback), sends)
}

/// A caller who was sent to a Worker has hung up.
fn hung_up(turn: &mut Turn<'_>, api: &VoiceApi, id: Id<Task>) -> Vec<Arc<Delivery>> {
    cancel_task(turn, id, "hangup");
    let state = turn.state();
    let task = state.task(id).expect("found in this turn");
    let reservations: Vec<_> = state.active_reservations(task).map(|reservation| reservation.id).collect();
    let end_of = |reservation| {
        let mut leg = Leg::of(turn, api, reservation);
        leg.caller_is_gone();
        leg.end()
    };
    reservations.into_iter().flat_map(end_of).collect()
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

fn twiml(body: &str) -> Answer {
    let body = format!(r#"<?xml version="1.0" encoding="UTF-8"?>{body}"#);
    Answer { status: 200, headers: vec![Header::new("Content-Type", "text/xml; charset=utf-8")], body }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_address_is_read_as_what_it_was_written_for() {
        let reservation = Sid::from_bytes([7; 16]);
        for kind in [
            VoiceCallbackKind::Enqueue(Sid::from_bytes([1; 16])),
            VoiceCallbackKind::EnqueueResult(Sid::from_bytes([2; 16])),
            VoiceCallbackKind::WorkerLeg(reservation),
            VoiceCallbackKind::Status(reservation),
            VoiceCallbackKind::Conference(reservation),
            VoiceCallbackKind::DialReservation(reservation),
            VoiceCallbackKind::DialResult(reservation),
        ] {
            assert_eq!(VoiceCallbackKind::of(&kind.path()), Some(kind));
            assert_eq!(VoiceCallbackKind::of(&format!("{}/", kind.path())), Some(kind));
        }
        let sid = "WR00000000000000000000000000000001";
        for path in [format!("/pointsman/v1/voice/enqueue/{sid}"), format!("/pointsman/v1/voice/{sid}"), String::new()]
        {
            assert_eq!(VoiceCallbackKind::of(&path), None, "{path}");
        }
    }
}
