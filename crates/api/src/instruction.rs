//! Assignment instructions: what a Reservation update or the answer of an assignment callback asks for.
//!
//! One table per instruction gives each field its name in JSON, its parameter, and the error that tells of a bad value.
//! Reference: events-and-callbacks, sections 7.2, 8 and 9; rest-contract, section 6.10.

use std::collections::BTreeMap;
use std::sync::Arc;

use pointsman_engine::{
    Activity, Command, Entity, Id, Instruction as EngineInstruction, Rejection, Reservation, ReservationStatus, Sid,
    State, Task, Worker,
};
use pointsman_expression::Value as Json;

use crate::errors::{self, ApiError, ErrorCode};
use crate::execute::Instructed;
use crate::json::Object;
use crate::limits::{RING_SECONDS_MAX, ROOM_NAME_CHARS_MAX};
use crate::parameters::{Case, Empty, HTTP_METHODS, Kind, Spec, Value, parse_sid};
use crate::rejections;
use crate::target::Target;

/// An instruction, read but not yet held against the state.
#[derive(Clone, Debug, PartialEq)]
pub enum Instruction {
    Accept,
    /// `activity`: where the Worker goes.
    Reject {
        activity: Option<Sid<Activity>>,
    },
    /// One that needs telephony.
    Voice(VoiceInstruction),
}

/// An instruction that needs telephony. Its fields have the names of the callback's JSON.
#[derive(Clone, Debug, PartialEq)]
pub struct VoiceInstruction {
    pub verb: VoiceVerb,
    pub fields: BTreeMap<&'static str, FieldValue>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum VoiceVerb {
    Dequeue,
    Call,
    Redirect,
    Conference,
    Supervise,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FieldValue {
    Text(Arc<str>),
    Bool(bool),
    Integer(i64),
    List(Vec<&'static str>),
}

/// A field of an instruction.
#[derive(Debug)]
pub struct InstructionField {
    /// Key in the callback's answer.
    pub json: &'static str,
    /// A second key that is accepted there.
    pub alias: Option<&'static str>,
    /// The parameter of the Reservation update.
    pub spec: Spec,
    /// What a bad value is answered with; otherwise the parameter's own error.
    pub fault: Option<&'static ErrorCode>,
    /// Taken as it is: whether it matters shows only with the Workspace.
    is_checked_later: bool,
    /// A parameter of the Worker's participant of the voice API, with the same name. Otherwise it is for whoever bridges
    /// calls.
    pub is_passed_on: bool,
}

const CALL_EVENTS: &[&str] = &["initiated", "ringing", "answered", "completed"];
const CONFERENCE_EVENTS: &[&str] = &["start", "end", "join", "leave", "mute", "hold", "speaker"];
const LEG_RECORDS: &[&str] = &["do-not-record", "record-from-answer"];
const BEEPS: &[&str] = &["true", "false", "onEnter", "onExit"];
const RECORDS: &[&str] = &["true", "false", "record-from-answer", "record-from-start", "do-not-record"];
const CONFERENCE_RECORDS: &[&str] = &["true", "false", "record-from-start", "do-not-record"];
const TRIMS: &[&str] = &["trim-silence", "do-not-trim"];
const CHANNELS: &[&str] = &["mono", "dual"];
const REGIONS: &[&str] = &["us1", "us2", "ie1", "de1", "sg1", "br1", "au1", "jp1"];
const BUFFERS: &[&str] = &["small", "medium", "large", "off"];
const SUPERVISOR_MODES: &[&str] = &["monitor", "whisper", "barge"];

const TEXT: Kind = Kind::Text { max: crate::limits::TEXT_CHARS_MAX };
const RING: Kind = Kind::Integer { from: 1, to: RING_SECONDS_MAX as i64 };
const METHOD: Kind = Kind::HttpMethod;
const ACTIVITY: Kind = Kind::Sid(Activity::PREFIX);

const fn words(words: &'static [&'static str]) -> Kind {
    Kind::Choice { words, case: Case::Exact, published: false }
}

const fn row(json: &'static str, name: &'static str, kind: Kind, doc: &'static str) -> InstructionField {
    let spec = Spec { name, doc, kind, required: false, empty: Empty::Absent, published: true, deferred: true };
    InstructionField { json, alias: None, spec, fault: None, is_checked_later: false, is_passed_on: false }
}

const fn passed_on(json: &'static str, name: &'static str, kind: Kind, doc: &'static str) -> InstructionField {
    InstructionField { is_passed_on: true, ..row(json, name, kind, doc) }
}

impl InstructionField {
    const fn fault(mut self, fault: &'static ErrorCode) -> Self {
        self.fault = Some(fault);
        self
    }

    const fn alias(mut self, alias: &'static str) -> Self {
        self.alias = Some(alias);
        self
    }

    const fn checked_later(mut self) -> Self {
        self.is_checked_later = true;
        self
    }

    const fn unpublished(mut self) -> Self {
        self.spec.published = false;
        self
    }

    /// The fault of a value of JSON that is no text where one is needed: `{}` or `true` is nobody's telephone number.
    fn fault_of(&self, value: &Json) -> Option<&'static ErrorCode> {
        let is_text = matches!(self.spec.kind, Kind::Text { .. } | Kind::Url | Kind::Sid(_));
        self.fault.filter(|_| is_text && !matches!(value, Json::Null | Json::Text(_) | Json::Number(_)))
    }
}

/// Calls the Worker and bridges with the caller who waits.
pub static DEQUEUE: [InstructionField; 8] = [
    row("post_work_activity_sid", "DequeuePostWorkActivitySid", ACTIVITY, "Activity after the call.")
        .fault(&errors::DEQUEUE_POST_WORK_ACTIVITY),
    row("from", "DequeueFrom", TEXT, "Caller ID of the call to the Worker.").fault(&errors::DEQUEUE_FROM),
    row("record", "DequeueRecord", words(LEG_RECORDS), "Whether the call is recorded."),
    row("timeout", "DequeueTimeout", RING, "Seconds to ring."),
    row("to", "DequeueTo", TEXT, "Whom to call; the Worker's `contact_uri` by default.").fault(&errors::DEQUEUE_TO),
    row("status_callback_url", "DequeueStatusCallbackUrl", Kind::Url, "Told of the progress of the call.")
        .fault(&errors::DEQUEUE_STATUS_CALLBACK),
    row(
        "status_callback_events",
        "DequeueStatusCallbackEvent",
        Kind::Choices { words: CALL_EVENTS, published: false },
        "Which progress is told.",
    )
    .fault(&errors::DEQUEUE_EVENTS),
    // The spelling of the browser SDK (section 9.2 [sdk]).
    row(
        "status_callback_events",
        "DequeueStatusCallbackEvents",
        Kind::Choices { words: CALL_EVENTS, published: false },
        "Which progress is told.",
    )
    .fault(&errors::DEQUEUE_EVENTS)
    .unpublished(),
];

/// Calls the Worker with TwiML of the application.
pub static CALL: [InstructionField; 7] = [
    row("from", "CallFrom", TEXT, "Caller ID of the call to the Worker.").fault(&errors::CALL_FROM),
    row("record", "CallRecord", words(LEG_RECORDS), "Whether the call is recorded."),
    row("timeout", "CallTimeout", RING, "Seconds to ring."),
    row("to", "CallTo", TEXT, "Whom to call; the Worker's `contact_uri` by default.").fault(&errors::CALL_TO),
    row("url", "CallUrl", Kind::Url, "TwiML to run when the Worker answers.").fault(&errors::CALL_URL),
    row("status_callback_url", "CallStatusCallbackUrl", Kind::Url, "Told when the call is over.")
        .fault(&errors::CALL_STATUS_CALLBACK),
    row("accept", "CallAccept", Kind::Bool, "Accept the reservation along with the call."),
];

/// Sends the Task's live call to other TwiML.
pub static REDIRECT: [InstructionField; 3] = [
    row("call_sid", "RedirectCallSid", Kind::Sid("CA"), "Call to redirect.").fault(&errors::REDIRECT_CALL_SID),
    row("accept", "RedirectAccept", Kind::Bool, "Accept the reservation as well."),
    row("url", "RedirectUrl", Kind::Url, "TwiML to send the call to.").fault(&errors::REDIRECT_URL),
];

/// Worker and customer in a conference named by the Task.
pub static CONFERENCE: [InstructionField; 35] = [
    passed_on("to", "To", TEXT, "Whom to call; the Worker's `contact_uri` by default.").fault(&errors::CONFERENCE_TO),
    passed_on("from", "From", TEXT, "Caller ID of the call to the Worker.").fault(&errors::CONFERENCE_FROM),
    row("status_callback", "StatusCallback", Kind::Url, "Told of the progress of the Worker's call.")
        .alias("status_callback_url")
        .fault(&errors::CONFERENCE_STATUS_CALLBACK),
    row("status_callback_method", "StatusCallbackMethod", METHOD, "How it is told."),
    row(
        "status_callback_event",
        "StatusCallbackEvent",
        Kind::Choices { words: CALL_EVENTS, published: true },
        "Which progress is told.",
    )
    .alias("status_callback_events"),
    row("timeout", "Timeout", RING, "Seconds to ring."),
    passed_on("record", "Record", Kind::PublishedBool(RECORDS), "Whether the Worker's leg is recorded."),
    passed_on("muted", "Muted", Kind::Bool, "The Worker joins muted."),
    passed_on("beep", "Beep", words(BEEPS), "When a beep tells of the Worker."),
    passed_on(
        "start_conference_on_enter",
        "StartConferenceOnEnter",
        Kind::Bool,
        "The conference starts with the Worker.",
    ),
    passed_on("end_conference_on_exit", "EndConferenceOnExit", Kind::Bool, "The conference ends with the Worker."),
    passed_on("wait_url", "WaitUrl", Kind::Url, "What is played before the start."),
    passed_on("wait_method", "WaitMethod", METHOD, "How that is asked for."),
    passed_on("early_media", "EarlyMedia", Kind::Bool, "Sound before the answer is let through."),
    passed_on("max_participants", "MaxParticipants", Kind::Integer { from: 2, to: 250 }, "Size of the conference."),
    row("conference_status_callback", "ConferenceStatusCallback", Kind::Url, "Told of what happens in the conference."),
    row("conference_status_callback_method", "ConferenceStatusCallbackMethod", METHOD, "How it is told."),
    row(
        "conference_status_callback_event",
        "ConferenceStatusCallbackEvent",
        Kind::Choices { words: CONFERENCE_EVENTS, published: true },
        "What is told.",
    ),
    passed_on(
        "conference_record",
        "ConferenceRecord",
        words(CONFERENCE_RECORDS),
        "Whether the conference is recorded.",
    ),
    passed_on("conference_trim", "ConferenceTrim", words(TRIMS), "Whether silence is cut off the recording."),
    passed_on("recording_channels", "RecordingChannels", words(CHANNELS), "Channels of the recording."),
    passed_on("recording_status_callback", "RecordingStatusCallback", Kind::Url, "Told of the recording of the leg."),
    passed_on("recording_status_callback_method", "RecordingStatusCallbackMethod", METHOD, "How it is told."),
    passed_on(
        "conference_recording_status_callback",
        "ConferenceRecordingStatusCallback",
        Kind::Url,
        "Told of the recording of the conference.",
    ),
    passed_on(
        "conference_recording_status_callback_method",
        "ConferenceRecordingStatusCallbackMethod",
        METHOD,
        "How it is told.",
    ),
    passed_on("region", "Region", words(REGIONS), "Where the conference is mixed."),
    passed_on("sip_auth_username", "SipAuthUsername", TEXT, "User name of the SIP call."),
    passed_on("sip_auth_password", "SipAuthPassword", TEXT, "Password of the SIP call."),
    row(
        "post_work_activity_sid",
        "PostWorkActivitySid",
        ACTIVITY,
        "Activity after the conference; single-tasking only.",
    )
    .checked_later()
    .fault(&errors::CONFERENCE_POST_WORK_ACTIVITY),
    row("end_conference_on_customer_exit", "EndConferenceOnCustomerExit", Kind::Bool, "It ends with the customer."),
    row("beep_on_customer_entrance", "BeepOnCustomerEntrance", Kind::Bool, "A beep tells of the customer."),
    passed_on("jitter_buffer_size", "JitterBufferSize", words(BUFFERS), "Jitter buffer of the Worker's leg."),
    passed_on("transcribe", "Transcribe", Kind::Bool, "Passed on.").unpublished(),
    passed_on("transcription_configuration", "TranscriptionConfiguration", TEXT, "Passed on.").unpublished(),
    row("room_name", "RoomName", TEXT, "Name of the conference instead of the Task's SID.").unpublished(),
];

/// Adds a listener to the Task's conference.
pub static SUPERVISE: [InstructionField; 2] = [
    row(
        "supervisor_mode",
        "SupervisorMode",
        Kind::Choice { words: SUPERVISOR_MODES, case: Case::Exact, published: true },
        "How the supervisor takes part.",
    ),
    row("supervisor", "Supervisor", TEXT, "SID or contact of the supervisor.").fault(&errors::SUPERVISE_CONTACT),
];

impl VoiceVerb {
    /// The fields of the instruction.
    pub fn fields(self) -> &'static [InstructionField] {
        match self {
            Self::Dequeue => &DEQUEUE,
            Self::Call => &CALL,
            Self::Redirect => &REDIRECT,
            Self::Conference => &CONFERENCE,
            Self::Supervise => &SUPERVISE,
        }
    }

    pub const fn name(self) -> &'static str {
        match self {
            Self::Dequeue => "dequeue",
            Self::Call => "call",
            Self::Redirect => "redirect",
            Self::Conference => "conference",
            Self::Supervise => "supervise",
        }
    }

    /// As the engine knows it; supervision is no set-up.
    pub const fn engine(self) -> Option<EngineInstruction> {
        match self {
            Self::Dequeue => Some(EngineInstruction::Dequeue),
            Self::Call => Some(EngineInstruction::Call),
            Self::Redirect => Some(EngineInstruction::Redirect),
            Self::Conference => Some(EngineInstruction::Conference),
            Self::Supervise => None,
        }
    }
}

impl VoiceInstruction {
    pub fn text(&self, field: &str) -> Option<&str> {
        match self.fields.get(field) {
            Some(FieldValue::Text(text)) => Some(text),
            Some(FieldValue::Bool(_) | FieldValue::Integer(_) | FieldValue::List(_)) | None => None,
        }
    }

    /// The instruction as an assignment callback would answer it; [`VoiceInstruction::from_json`] reads it.
    pub fn to_json(&self) -> String {
        let mut out = String::new();
        let mut object = Object::open(&mut out);
        object.text("instruction", self.verb.name());
        for (name, value) in &self.fields {
            match value {
                FieldValue::Text(text) => object.text(name, text),
                FieldValue::Bool(truth) => object.raw(name, if *truth { "true" } else { "false" }),
                FieldValue::Integer(number) => object.integer(name, *number),
                FieldValue::List(words) => object.text(name, &words.join(",")),
            }
        }
        object.close();
        out
    }

    /// Reads what [`VoiceInstruction::to_json`] wrote; `None` for anything else.
    pub fn from_json(text: &str) -> Option<Self> {
        match parse_callback_answer(Some("application/json"), text.as_bytes()) {
            CallbackAnswer::Instruction(Instruction::Voice(instruction)) => Some(instruction),
            CallbackAnswer::Instruction(Instruction::Accept | Instruction::Reject { .. })
            | CallbackAnswer::NoInstruction
            | CallbackAnswer::NotJson { .. }
            | CallbackAnswer::FaultyField { .. }
            | CallbackAnswer::Refused { .. } => None,
        }
    }

    pub fn integer(&self, field: &str) -> Option<i64> {
        match self.fields.get(field) {
            Some(FieldValue::Integer(number)) => Some(*number),
            Some(FieldValue::Text(_) | FieldValue::Bool(_) | FieldValue::List(_)) | None => None,
        }
    }

    pub fn list(&self, field: &str) -> Option<&[&'static str]> {
        match self.fields.get(field) {
            Some(FieldValue::List(words)) => Some(words),
            Some(FieldValue::Text(_) | FieldValue::Bool(_) | FieldValue::Integer(_)) | None => None,
        }
    }

    pub fn is_set(&self, field: &str) -> bool {
        self.fields.get(field) == Some(&FieldValue::Bool(true))
    }

    /// Whether the reservation is on hold while it is carried out.
    pub fn holds(&self) -> bool {
        match self.verb {
            VoiceVerb::Dequeue | VoiceVerb::Conference => true,
            VoiceVerb::Call | VoiceVerb::Redirect => self.is_set("accept"),
            VoiceVerb::Supervise => false,
        }
    }
}

impl Instructed {
    /// What the engine is asked for it at once.
    pub fn command(&self) -> Option<Command> {
        let instruction = self.instruction.verb.engine().filter(|_| self.held)?;
        Some(Command::BeginSetup { reservation: self.reservation, instruction })
    }
}

/// Which instruction a word names, in any case; `supervise` only where it is allowed.
pub(crate) enum Word {
    Accept,
    Reject,
    Voice(VoiceVerb),
}

pub(crate) fn word(text: &str) -> Option<Word> {
    const VERBS: [VoiceVerb; 5] =
        [VoiceVerb::Dequeue, VoiceVerb::Call, VoiceVerb::Redirect, VoiceVerb::Conference, VoiceVerb::Supervise];
    match text.to_ascii_lowercase().as_str() {
        "accept" => Some(Word::Accept),
        "reject" => Some(Word::Reject),
        text => VERBS.into_iter().find(|verb| verb.name() == text).map(Word::Voice),
    }
}

/// Reads the fields of an instruction from wherever they are given.
///
/// - `given`: the texts of a field, by its row; empty when it is absent.
pub(crate) fn read_fields(
    verb: VoiceVerb,
    given: impl Fn(&InstructionField) -> Vec<String>,
) -> Result<VoiceInstruction, ApiError> {
    let mut fields = BTreeMap::new();
    for field in verb.fields() {
        let texts = given(field);
        let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
        let kind = if field.is_checked_later { TEXT } else { field.spec.kind };
        let value = match (Spec { deferred: false, kind, ..field.spec }).read(&texts) {
            Ok(Some(value)) => field_value(field, value),
            Ok(None) => continue,
            Err(error) => return Err(field.fault.map_or(error, |fault| ApiError::new(fault, &[]))),
        };
        fields.entry(field.json).or_insert(value);
    }
    Ok(VoiceInstruction { verb, fields })
}

fn field_value(field: &InstructionField, value: Value) -> FieldValue {
    match (value, field.spec.kind) {
        (Value::Text(text), _) => FieldValue::Text(text),
        (Value::Bool(truth), _) => FieldValue::Bool(truth),
        (Value::Integer(number), _) => FieldValue::Integer(number),
        (Value::Sid(bytes), Kind::Sid(prefix)) => {
            let mut text = String::new();
            crate::table::write_sid(&mut text, prefix, bytes);
            FieldValue::Text(text.into())
        }
        (Value::Choice(index), Kind::Choice { words, .. } | Kind::PublishedBool(words)) => {
            FieldValue::Text(words[index].into())
        }
        (Value::Choice(index), Kind::HttpMethod) => FieldValue::Text(HTTP_METHODS[index].into()),
        (Value::Choices(indexes), Kind::Choices { words, .. }) => {
            FieldValue::List(indexes.into_iter().map(|index| words[index]).collect())
        }
        (value, kind) => unreachable!("{} cannot be {value:?} of {kind:?}", field.json),
    }
}

/// What an assignment callback answered, apart from failures of the transport (section 7.2).
#[derive(Clone, Debug, PartialEq)]
pub enum CallbackAnswer {
    /// Nothing to do: the reservation waits for the API.
    NoInstruction,
    Instruction(Instruction),
    /// A body that is not called JSON: warning 40000, and the fallback's turn.
    NotJson {
        content_type: Option<String>,
    },
    /// An instruction with a bad field, which is told of unless something goes before it ([`check_state`]).
    FaultyField {
        verb: VoiceVerb,
        error: ApiError,
    },
    /// JSON, but nothing that can be done. `code` is for the log: 40001, 40005, 40100 or 55555.
    Refused {
        code: u32,
        message: String,
    },
}

/// Reads the body of a 2xx answer.
///
/// - Only a body that is called JSON has to be UTF-8: any other is the fallback's, in whatever encoding it is.
/// - Values may be JSON or text: `true` and `"true"`, `60` and `"60"`, lists as arrays or separated by commas.
pub fn parse_callback_answer(content_type: Option<&str>, body: &[u8]) -> CallbackAnswer {
    let refused = |code, message: &str| CallbackAnswer::Refused { code, message: message.to_string() };
    let text = std::str::from_utf8(body);
    if text.is_ok_and(|text| text.trim().is_empty()) {
        return CallbackAnswer::NoInstruction;
    }
    let media_type = content_type.unwrap_or_default().split(';').next().unwrap_or_default();
    if !media_type.trim().eq_ignore_ascii_case("application/json") {
        return CallbackAnswer::NotJson { content_type: content_type.map(str::to_string) };
    }
    let Ok(text) = text else { return refused(40001, "the answer is not UTF-8 text") };
    let document = match Json::parse_json(text) {
        Ok(document) => document,
        Err(problem) => return refused(40001, &format!("the answer is not JSON: {problem}")),
    };
    let Some(members) = document.as_object() else { return refused(40001, "the answer is not a JSON object") };
    if members.is_empty() {
        return CallbackAnswer::NoInstruction;
    }
    let Some(named) = document.member("instruction").as_text().filter(|named| !named.is_empty()) else {
        return refused(40005, "the answer has no instruction");
    };
    match word(named) {
        None => refused(55555, &format!("unknown instruction '{named}'")),
        Some(Word::Accept) => CallbackAnswer::Instruction(Instruction::Accept),
        Some(Word::Reject) => {
            let activity = match document.member("activity_sid") {
                Json::Null => None,
                Json::Text(text) if text.is_empty() => None,
                Json::Text(text) if Sid::<Activity>::parse(text).is_some() => Sid::parse(text),
                other => return refused(40100, &format!("invalid activity_sid {other}")),
            };
            CallbackAnswer::Instruction(Instruction::Reject { activity })
        }
        // Only through the Reservation resource (section 8.7).
        Some(Word::Voice(VoiceVerb::Supervise)) => refused(55555, "supervise is no instruction of a callback"),
        Some(Word::Voice(verb)) => {
            let given = |field: &InstructionField| match (document.member(field.json), field.alias) {
                (Json::Null, Some(alias)) => document.member(alias),
                (value, _) => value,
            };
            if let Some(fault) = verb.fields().iter().find_map(|field| field.fault_of(given(field))) {
                return CallbackAnswer::FaultyField { verb, error: ApiError::new(fault, &[]) };
            }
            match read_fields(verb, |field| texts(given(field))) {
                Ok(instruction) => CallbackAnswer::Instruction(Instruction::Voice(instruction)),
                Err(error) => CallbackAnswer::FaultyField { verb, error },
            }
        }
    }
}

fn texts(value: &Json) -> Vec<String> {
    match value {
        Json::Null => Vec::new(),
        Json::Text(text) => vec![text.to_string()],
        Json::Array(items) => items.iter().flat_map(texts).collect(),
        Json::Bool(_) | Json::Number(_) | Json::Object(_) => vec![value.to_string()],
    }
}

/// Holds a voice instruction against the state and fills in its defaults (`to`, `from`).
///
/// - `reservation`: one that exists.
/// - Order of faults: state of the reservation, attributes of the Task, fields of the instruction (rest-contract,
///   section 8.2 [decide]).
pub fn check_instruction(
    state: &State,
    reservation: Id<Reservation>,
    mut instruction: VoiceInstruction,
) -> Result<Instructed, ApiError> {
    check_state(state, reservation, instruction.verb)?;
    let found = state.reservation(reservation).expect("found in this turn");
    let task = state.task(found.task).expect("a reservation has its Task");
    let worker = state.worker(found.worker).expect("a reservation keeps its Worker");
    let contact = || attribute(worker.attributes.value(), &["contact_uri"]);
    let task_text = |names: &[&str]| attribute(task.attributes.value(), names);
    let outbound = task_text(&["call_sid"]).is_none() && task_text(&["outbound_to"]).is_some();
    let caller = || task_text(&[if outbound { "from" } else { "to" }]);
    let mut ignored = None;
    match instruction.verb {
        VoiceVerb::Dequeue => {
            default(&mut instruction, "to", contact(), &errors::DEQUEUE_TO)?;
            default(&mut instruction, "from", task_text(&["to"]), &errors::DEQUEUE_FROM)?;
            check_activity(state, &instruction, &errors::DEQUEUE_POST_WORK_ACTIVITY)?;
        }
        VoiceVerb::Call => {
            default(&mut instruction, "to", contact(), &errors::CALL_TO)?;
            default(&mut instruction, "from", None, &errors::CALL_FROM)?;
            default(&mut instruction, "url", None, &errors::CALL_URL)?;
        }
        VoiceVerb::Redirect => {
            default(&mut instruction, "url", None, &errors::REDIRECT_URL)?;
            default(&mut instruction, "call_sid", None, &errors::REDIRECT_CALL_SID)?;
        }
        VoiceVerb::Conference => {
            default(&mut instruction, "to", contact(), &errors::CONFERENCE_TO)?;
            default(&mut instruction, "from", caller(), &errors::CONFERENCE_FROM)?;
            if state.is_multitask() {
                // Not valid here, and a call must not fail for it (section 9.3 [decide]).
                let given = instruction.fields.remove("post_work_activity_sid");
                ignored = given.map(|_| &errors::CONFERENCE_POST_WORK_ACTIVITY);
            }
            check_activity(state, &instruction, &errors::CONFERENCE_POST_WORK_ACTIVITY)?;
            check_room_name(&instruction)?;
        }
        VoiceVerb::Supervise => supervisor(state, &mut instruction)?,
    }
    let held = instruction.holds();
    Ok(Instructed { reservation, instruction, held, ignored })
}

/// The faults that come before those of the fields: state of the reservation, then attributes of the Task.
///
/// - `reservation`: one that exists.
pub fn check_state(state: &State, reservation: Id<Reservation>, verb: VoiceVerb) -> Result<(), ApiError> {
    let found = state.reservation(reservation).expect("found in this turn");
    let task = state.task(found.task).expect("a reservation has its Task");
    check_reservation(state, found, task, verb)?;
    check_attributes(verb, task, state.open_transfer(task).is_some())
}

fn check_reservation(state: &State, reservation: &Reservation, task: &Task, verb: VoiceVerb) -> Result<(), ApiError> {
    let rejection = match verb.engine() {
        None if reservation.status != ReservationStatus::Accepted => {
            return Err(ApiError::new(&errors::SUPERVISE_STATUS, &[("reservation", &reservation.sid)]));
        }
        Some(instruction) if reservation.status != ReservationStatus::Pending => {
            Rejection::InstructionNotPending { instruction }
        }
        Some(_) if reservation.is_on_hold() => Rejection::ReservationOnHold,
        Some(EngineInstruction::Call | EngineInstruction::Dequeue | EngineInstruction::Redirect)
            if state.open_transfer(task).is_some() =>
        {
            Rejection::InstructionDuringTransfer
        }
        Some(_) | None => return Ok(()),
    };
    Err(rejections::error(&rejection, state, Target::TaskReservation(reservation.id)))
}

fn check_attributes(verb: VoiceVerb, task: &Task, transferred: bool) -> Result<(), ApiError> {
    let text = |names: &[&str]| attribute(task.attributes.value(), names);
    let fault = match verb {
        VoiceVerb::Dequeue if text(&["call_sid"]).is_none() => &errors::DEQUEUE_WITHOUT_CALL,
        VoiceVerb::Conference if transferred && named_conference(task.attributes.value()).is_none() => {
            &errors::CONFERENCE_SID_MISSING
        }
        VoiceVerb::Conference if text(&["call_sid"]).is_none() && text(&["outbound_to"]).is_none() => {
            &errors::CONFERENCE_WITHOUT_CALL
        }
        VoiceVerb::Supervise if text(&["from"]).is_none() => &errors::SUPERVISE_FROM,
        VoiceVerb::Dequeue | VoiceVerb::Call | VoiceVerb::Redirect | VoiceVerb::Conference | VoiceVerb::Supervise => {
            return Ok(());
        }
    };
    Err(ApiError::new(fault, &[]))
}

fn check_room_name(instruction: &VoiceInstruction) -> Result<(), ApiError> {
    let Some(name) = instruction.text("room_name") else { return Ok(()) };
    if !is_path_segment(name) || ROOM_NAME_CHARS_MAX < name.chars().count() {
        let message = format!("RoomName must have 1 to {ROOM_NAME_CHARS_MAX} characters and not be '.' or '..'");
        return Err(ApiError::new(&errors::VOICE_QUERY, &[("message", &message)]));
    }
    Ok(())
}

/// Whether it can be a segment of a path: dots alone lead elsewhere.
pub fn is_path_segment(name: &str) -> bool {
    !matches!(name, "." | "..")
}

/// The conference that the attributes of a Task name.
pub fn named_conference(attributes: &Json) -> Option<Arc<str>> {
    attribute(attributes, &["conference", "sid"]).or_else(|| attribute(attributes, &["conference_sid"]))
}

/// The text under these keys, unless it is empty.
pub fn attribute(attributes: &Json, names: &[&str]) -> Option<Arc<str>> {
    let value = names.iter().fold(attributes, |value, name| value.member(name));
    value.as_text().filter(|text| !text.is_empty()).map(Arc::from)
}

fn default(
    instruction: &mut VoiceInstruction,
    field: &'static str,
    value: Option<Arc<str>>,
    fault: &'static ErrorCode,
) -> Result<(), ApiError> {
    if !instruction.fields.contains_key(field) {
        let value = value.ok_or_else(|| ApiError::new(fault, &[]))?;
        instruction.fields.insert(field, FieldValue::Text(value));
    }
    Ok(())
}

fn check_activity(state: &State, instruction: &VoiceInstruction, fault: &'static ErrorCode) -> Result<(), ApiError> {
    let Some(text) = instruction.text("post_work_activity_sid") else { return Ok(()) };
    let found = Sid::parse(text).and_then(|sid| state.find_activity(sid));
    found.map(|_| ()).ok_or_else(|| ApiError::new(fault, &[]))
}

/// A supervisor named by SID is called under the `contact_uri` of that Worker.
fn supervisor(state: &State, instruction: &mut VoiceInstruction) -> Result<(), ApiError> {
    let fault = || ApiError::new(&errors::SUPERVISE_CONTACT, &[]);
    let named = instruction.text("supervisor").ok_or_else(fault)?;
    let contact = if parse_sid(Worker::PREFIX, named).is_some() {
        let worker = Sid::parse(named).and_then(|sid| state.find_worker(sid));
        worker.and_then(|worker| attribute(worker.attributes.value(), &["contact_uri"])).ok_or_else(fault)?
    } else {
        named.into()
    };
    instruction.fields.insert("to", FieldValue::Text(contact));
    instruction.fields.entry("supervisor_mode").or_insert(FieldValue::Text("monitor".into()));
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn answer(body: &str) -> CallbackAnswer {
        parse_callback_answer(Some("application/json; charset=utf-8"), body.as_bytes())
    }

    fn code(body: &str) -> Option<u32> {
        match answer(body) {
            CallbackAnswer::Refused { code, message: _ } => Some(code),
            CallbackAnswer::FaultyField { verb: _, error } => Some(error.code()),
            CallbackAnswer::NoInstruction | CallbackAnswer::Instruction(_) | CallbackAnswer::NotJson { .. } => None,
        }
    }

    #[test]
    fn silence_leaves_the_reservation_pending() {
        for body in ["", " \r\n", "{}"] {
            assert_eq!(answer(body), CallbackAnswer::NoInstruction, "{body:?}");
        }
        assert_eq!(parse_callback_answer(None, b" "), CallbackAnswer::NoInstruction);
    }

    #[test]
    fn another_media_type_is_for_the_fallback() {
        let inputs: [(_, &[u8]); 3] =
            [(Some("text/plain"), b"{}"), (None, b"{}"), (Some("text/html; charset=iso-8859-1"), b"caf\xe9")];
        for (content_type, body) in inputs {
            let expected = CallbackAnswer::NotJson { content_type: content_type.map(str::to_string) };
            assert_eq!(parse_callback_answer(content_type, body), expected);
        }
        let latin = parse_callback_answer(Some("application/json"), b"\"caf\xe9\"");
        assert!(matches!(latin, CallbackAnswer::Refused { code: 40001, .. }), "{latin:?}");
    }

    #[test]
    fn what_cannot_be_done_has_a_code() {
        assert_eq!(code("{"), Some(40001));
        assert_eq!(code("[]"), Some(40001));
        assert_eq!(code(r#"{"x":1}"#), Some(40005));
        assert_eq!(code(r#"{"instruction":1}"#), Some(40005));
        assert_eq!(code(r#"{"instruction":""}"#), Some(40005));
        assert_eq!(code(r#"{"instruction":"fly"}"#), Some(55555));
        assert_eq!(code(r#"{"instruction":"supervise"}"#), Some(55555));
        assert_eq!(code(r#"{"instruction":"reject","activity_sid":"WA1"}"#), Some(40100));
        assert_eq!(code(r#"{"instruction":"dequeue","status_callback_events":"sung"}"#), Some(40134));
        assert_eq!(code(r#"{"instruction":"conference","status_callback_url":"x"}"#), Some(40159));
    }

    #[test]
    fn whom_to_call_is_a_text_or_a_number() {
        for (verb, expected) in [("dequeue", 40131), ("call", 40110), ("conference", 40137)] {
            let to = |value: &str| code(&format!(r#"{{"instruction":"{verb}","to":{value}}}"#));
            for value in ["true", "{}", r#"["+15550100"]"#] {
                assert_eq!(to(value), Some(expected), "{verb} {value}");
            }
            for value in ["15550100", r#""+15550100""#, "null"] {
                assert_eq!(to(value), None, "{verb} {value}");
            }
        }
    }

    #[test]
    fn names_are_read_in_any_case_and_values_as_json_or_text() {
        let expected = |body: &str| match answer(body) {
            CallbackAnswer::Instruction(Instruction::Voice(instruction)) => instruction,
            other => panic!("{other:?}"),
        };
        let dequeue = expected(
            r#"{"instruction":"Dequeue","timeout":"60","record":"record-from-answer","status_callback_events":"ringing, answered","other":1}"#,
        );
        assert_eq!(dequeue.verb, VoiceVerb::Dequeue);
        assert_eq!(dequeue.fields["timeout"], FieldValue::Integer(60));
        assert_eq!(dequeue.fields["status_callback_events"], FieldValue::List(vec!["ringing", "answered"]));
        let conference = expected(
            r#"{"instruction":"conference","muted":true,"record":false,"max_participants":2,"status_callback_events":["completed"]}"#,
        );
        assert_eq!(conference.fields["muted"], FieldValue::Bool(true));
        assert_eq!(conference.fields["record"], FieldValue::Text("false".into()));
        assert_eq!(conference.fields["status_callback_event"], FieldValue::List(vec!["completed"]));
        let call = expected(r#"{"instruction":"call","accept":"TRUE","url":"https://a.example"}"#);
        assert!(call.holds());
        assert!(!expected(r#"{"instruction":"redirect"}"#).holds());
    }

    #[test]
    fn an_instruction_is_written_down_and_read_back() {
        for body in [
            r#"{"instruction":"dequeue","to":"client:\"ann\"","timeout":999,"status_callback_events":"ringing,answered"}"#,
            r#"{"instruction":"call","from":"+15550100","url":"https://a.example/x","accept":true}"#,
            r#"{"instruction":"conference","record":"true","muted":true,"max_participants":2,"beep":"onEnter","region":"ie1"}"#,
        ] {
            let CallbackAnswer::Instruction(Instruction::Voice(read)) = answer(body) else { panic!("{body}") };
            assert_eq!(VoiceInstruction::from_json(&read.to_json()), Some(read));
        }
        assert_eq!(VoiceInstruction::from_json(""), None);
    }

    #[test]
    fn accept_and_reject_need_nothing_more() {
        assert_eq!(answer(r#"{"instruction":"accept"}"#), CallbackAnswer::Instruction(Instruction::Accept));
        assert_eq!(
            answer(r#"{"instruction":"REJECT"}"#),
            CallbackAnswer::Instruction(Instruction::Reject { activity: None })
        );
    }

    #[test]
    fn ringing_lasts_at_most_999_seconds() {
        assert_eq!(code(r#"{"instruction":"call","timeout":999}"#), None);
        assert_eq!(code(r#"{"instruction":"call","timeout":1000}"#), Some(20001));
    }

    proptest! {
        #[test]
        fn reading_never_panics(body in proptest::collection::vec(any::<u8>(), 0..200)) {
            parse_callback_answer(Some("application/json"), &body);
        }
    }
}
