//! What is asked of the voice API, and the TwiML that calls are told. Reference: events-and-callbacks, sections 11.3
//! and 11.4.

use std::fmt::Write as _;
use std::sync::Arc;

use pointsman_api::instruction::{FieldValue, VoiceInstruction};
use pointsman_engine::{Sid, Task, Workspace};
use pointsman_record::delivery::Form;

use super::addresses::{ReservationCallback, VoiceCallbackKind};
use super::{ReservationCall, VoiceApi};
use crate::limits::{
    HANG_UP_OVERRIDES, MOVE_OVERRIDES, PARTICIPANT_RING_SECONDS_MIN, RING_SECONDS_DEFAULT, VOICE_RING_SECONDS_MAX,
};

const CALL_EVENTS: [&str; 4] = ["initiated", "ringing", "answered", "completed"];
/// What the bridge itself has to know of a conference.
const CONFERENCE_EVENTS: [&str; 4] = ["start", "end", "join", "leave"];

pub(super) fn form<'t>(pairs: impl IntoIterator<Item = (&'t str, &'t str)>) -> Form {
    pairs.into_iter().map(|(name, value)| (name.into(), value.into())).collect()
}

pub(super) fn calls_url(api: &VoiceApi) -> String {
    format!("{}/Calls.json", api.account_url)
}

pub(super) fn call_url(api: &VoiceApi, call: &str) -> String {
    format!("{}/Calls/{}.json", api.account_url, escaped(call))
}

/// Where a call is hung up. The request may be made again: it is over all the same.
pub(super) fn hang_up_url(api: &VoiceApi, call: &str) -> String {
    format!("{}#{HANG_UP_OVERRIDES}", call_url(api, call))
}

/// Where a caller is moved. The request is made again where it was surely not carried out, as a Worker is waiting.
pub(super) fn move_url(api: &VoiceApi, call: &str) -> String {
    format!("{}#{MOVE_OVERRIDES}", call_url(api, call))
}

pub(super) fn participants_url(api: &VoiceApi, conference: &str) -> String {
    format!("{}/Conferences/{}/Participants.json", api.account_url, escaped(conference))
}

/// A segment of a path: room names are whatever an application likes.
fn escaped(segment: &str) -> String {
    form_urlencoded::byte_serialize(segment.as_bytes()).collect::<String>().replace('+', "%20")
}

/// An address of the bridge. The Workspace is named so that its thread is found at once.
pub(super) fn callback_url(api: &VoiceApi, kind: VoiceCallbackKind, workspace: Sid<Workspace>) -> String {
    format!("{}{}?workspace={workspace}", api.callback_url, kind.path())
}

/// Where the provider asks how a caller goes on after the conversation, or tells that the caller has hung up.
pub(super) fn afterwards_url(
    api: &VoiceApi,
    workspace: Sid<Workspace>,
    task: Sid<Task>,
    action: Option<&str>,
    waited_seconds: i64,
) -> String {
    let url = callback_url(api, VoiceCallbackKind::EnqueueResult(task), workspace);
    let waited_seconds = waited_seconds.to_string();
    with_query(&url, action.map(|action| ("action", action)).into_iter().chain([("queueTime", &*waited_seconds)]))
}

impl ReservationCall<'_, '_, '_> {
    /// An address for what comes of the next request. Its number tells it from those of an instruction before.
    pub(super) fn callback_url(&self, about: ReservationCallback) -> String {
        let kind = VoiceCallbackKind::Reservation(self.reservation().sid, about);
        let url = callback_url(self.bridge.api, kind, self.state().workspace().sid);
        format!("{url}&request={}", self.call.requests + 1)
    }

    /// Reports of a call come here first. Those of the Worker's are passed on from here.
    pub(super) fn status_callback(&self, form: &mut Form, about: ReservationCallback) {
        form.push(("StatusCallback".into(), self.callback_url(about).into()));
        form.extend(CALL_EVENTS.map(|event| ("StatusCallbackEvent".into(), event.into())));
    }

    pub(super) fn dequeue_form(&self, instruction: &VoiceInstruction) -> Form {
        let mut form = worker_form(instruction);
        form.push(("Url".into(), self.callback_url(ReservationCallback::WorkerLeg).into()));
        self.status_callback(&mut form, ReservationCallback::Status);
        form
    }

    pub(super) fn call_form(&self, instruction: &VoiceInstruction) -> Form {
        let mut form = worker_form(instruction);
        form.extend(instruction.text("url").map(|url| ("Url".into(), url.into())));
        self.status_callback(&mut form, ReservationCallback::Status);
        form
    }

    pub(super) fn conference_form(&self, instruction: &VoiceInstruction) -> Form {
        let mut form = Form::new();
        for field in instruction.verb.fields().iter().filter(|field| field.is_passed_on) {
            let Some(value) = instruction.fields.get(field.json) else { continue };
            let text: Arc<str> = match (field.json, value) {
                ("record", FieldValue::Text(word)) => records(word).to_string().into(),
                ("to", FieldValue::Text(text)) => contact(text).into(),
                (_, FieldValue::Text(text)) => text.clone(),
                (_, FieldValue::Bool(truth)) => truth.to_string().into(),
                (_, FieldValue::Integer(number)) => number.to_string().into(),
                (_, FieldValue::List(words)) => words.join(",").into(),
            };
            form.push((field.spec.name.into(), text));
        }
        let ring = ring_seconds(instruction).max(PARTICIPANT_RING_SECONDS_MIN);
        form.push(("Timeout".into(), ring.to_string().into()));
        self.status_callback(&mut form, ReservationCallback::Status);
        form.push(("ConferenceStatusCallback".into(), self.callback_url(ReservationCallback::Conference).into()));
        let asked = instruction.list("conference_status_callback_event").unwrap_or_default();
        let more = asked.iter().copied().filter(|event| !CONFERENCE_EVENTS.contains(event));
        let events = CONFERENCE_EVENTS.into_iter().chain(more).collect::<Vec<_>>();
        form.push(("ConferenceStatusCallbackEvent".into(), events.join(" ").into()));
        form
    }

    /// `None`: a whisper needs the call of the Worker who is to hear it.
    pub(super) fn supervise_form(&self, instruction: &VoiceInstruction) -> Option<Form> {
        let from = self.attribute(&["from"]).unwrap_or_default();
        let to = contact(instruction.text("to").unwrap_or_default());
        let mut form = form([("From", &*from), ("To", &*to)]);
        match instruction.text("supervisor_mode") {
            Some("whisper") => {
                let known = self.call.worker_call.clone().filter(|_| !self.call.is_over);
                let call = known.or_else(|| self.attribute(&["conference", "participants", "worker"]))?;
                form.push(("Coaching".into(), "true".into()));
                form.push(("CallSidToCoach".into(), call));
            }
            Some("barge") => {}
            Some(_) | None => form.push(("Muted".into(), "true".into())),
        }
        Some(form)
    }
}

/// What every call of a Worker has.
fn worker_form(instruction: &VoiceInstruction) -> Form {
    let ring = ring_seconds(instruction).to_string();
    let record = records(instruction.text("record").unwrap_or_default()).to_string();
    let to = contact(instruction.text("to").unwrap_or_default());
    let from = instruction.text("from").unwrap_or_default();
    form([("To", &*to), ("From", from), ("Timeout", &ring), ("Record", &record)])
}

/// TaskRouter lets it ring for 999 seconds, the voice API for 600.
fn ring_seconds(instruction: &VoiceInstruction) -> i64 {
    instruction.integer("timeout").unwrap_or(RING_SECONDS_DEFAULT).min(VOICE_RING_SECONDS_MAX)
}

/// A contact as the voice API takes it: a bare identity is that of a client (section 8).
fn contact(text: &str) -> String {
    let is_number = text.starts_with(|first: char| first == '+' || first.is_ascii_digit());
    if is_number || text.contains(':') { text.to_string() } else { format!("client:{text}") }
}

fn records(word: &str) -> bool {
    matches!(word, "true" | "record-from-answer" | "record-from-start")
}

/// Both parties of a dequeue meet in a conference of two, named by the reservation.
///
/// - `afterwards`: what is asked how the call goes on when the conversation is over; otherwise it ends.
pub(super) fn bridge_twiml(conference: &str, afterwards: Option<&str>) -> String {
    let options = r#"beep="false" startConferenceOnEnter="true" endConferenceOnExit="true""#;
    dial_twiml(conference, options, afterwards)
}

/// The customer joins the conference of the Task.
///
/// - `told`: what is told of the conference if the customer is the first there.
pub(super) fn customer_twiml(
    room: &str,
    instruction: &VoiceInstruction,
    afterwards: &str,
    told: Option<&str>,
) -> String {
    let (beep, ends) = customer_options(instruction);
    let mut options = format!(r#"beep="{beep}" endConferenceOnExit="{ends}""#);
    if let Some(url) = told {
        let (url, events) = (xml(url), CONFERENCE_EVENTS.join(" "));
        let _ = write!(options, r#" statusCallback="{url}" statusCallbackEvent="{events}""#);
    }
    dial_twiml(room, &options, Some(afterwards))
}

fn dial_twiml(conference: &str, options: &str, afterwards: Option<&str>) -> String {
    let action = afterwards.map(|url| format!(r#" action="{}""#, xml(url))).unwrap_or_default();
    let conference = xml(conference);
    format!("<Response><Dial{action}><Conference {options}>{conference}</Conference></Dial></Response>")
}

/// A customer who is called into the conference.
pub(super) fn customer_form(from: &str, to: &str, instruction: &VoiceInstruction) -> Form {
    let (beep, ends) = customer_options(instruction);
    form([
        ("From", from),
        ("To", to),
        ("EarlyMedia", "true"),
        ("Beep", &beep.to_string()),
        ("EndConferenceOnExit", &ends.to_string()),
    ])
}

/// Whether a beep tells of the customer, and whether the conference ends with that leg.
fn customer_options(instruction: &VoiceInstruction) -> (bool, bool) {
    let beep = instruction.fields.get("beep_on_customer_entrance") != Some(&FieldValue::Bool(false));
    (beep, instruction.is_set("end_conference_on_customer_exit"))
}

/// The caller waits in the provider's queue.
pub(super) fn enqueue_twiml(queue: &str, action: &str, wait_url: Option<&str>) -> String {
    let mut twiml = format!(r#"<Response><Enqueue action="{}""#, xml(action));
    if let Some(url) = wait_url {
        let _ = write!(twiml, r#" waitUrl="{}""#, xml(url));
    }
    let _ = write!(twiml, ">{}</Enqueue></Response>", xml(queue));
    twiml
}

pub(super) fn redirect_twiml(url: &str) -> String {
    format!("<Response><Redirect>{}</Redirect></Response>", xml(url))
}

fn xml(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&apos;"),
            // What XML 1.0 cannot hold at all, escaped or not.
            '\0'..='\x08' | '\x0b' | '\x0c' | '\x0e'..='\x1f' | '\u{fffe}' | '\u{ffff}' => {
                out.push(char::REPLACEMENT_CHARACTER);
            }
            _ => out.push(character),
        }
    }
    out
}

/// A URL with more in its query. The fragment stays at its end: it holds connection overrides.
pub(super) fn with_query<'t>(url: &str, pairs: impl IntoIterator<Item = (&'t str, &'t str)>) -> String {
    let (url, fragment) = url.split_once('#').map_or((url, None), |(url, fragment)| (url, Some(fragment)));
    let query = form_urlencoded::Serializer::new(String::new()).extend_pairs(pairs).finish();
    let separator = match (query.is_empty(), url.contains('?')) {
        (true, _) => "",
        (false, true) => "&",
        (false, false) => "?",
    };
    let mut out = format!("{url}{separator}{query}");
    if let Some(fragment) = fragment {
        out.push('#');
        out.push_str(fragment);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_query_goes_before_the_fragment() {
        assert_eq!(with_query("https://a.example/x", [("a", "1 2")]), "https://a.example/x?a=1+2");
        assert_eq!(with_query("https://a.example/x?y=1#rc=2", [("a", "é")]), "https://a.example/x?y=1&a=%C3%A9#rc=2");
        assert_eq!(with_query("https://a.example/x#rc=2", []), "https://a.example/x#rc=2");
    }

    #[test]
    fn names_cannot_break_out_of_a_path_or_of_twiml() {
        assert_eq!(escaped("a/b c?d"), "a%2Fb%20c%3Fd");
        assert!(bridge_twiml("</Conference><Hangup/>", None).contains(">&lt;/Conference&gt;&lt;Hangup/&gt;<"));
        assert!(
            enqueue_twiml("q", "https://a/?x=\"1\"&y", None).contains(r#"action="https://a/?x=&quot;1&quot;&amp;y""#)
        );
        assert_eq!(xml("\t\u{0}a\u{1f}\u{fffd}\u{fffe}\u{ffff}é"), "\t\u{fffd}a\u{fffd}\u{fffd}\u{fffd}\u{fffd}é");
    }
}
