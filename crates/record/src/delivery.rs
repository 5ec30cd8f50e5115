//! What is to be sent to somebody else: everything that is needed to send it, also after a restart.

use std::sync::Arc;

use pointsman_engine::{Account, PublicEvent, Reservation, Sid, Timestamp, Workspace};

use crate::error::DecodeError;
use crate::{frame, public_event};

/// One HTTP request that Pointsman owes somebody.
#[derive(Clone, Debug, PartialEq)]
pub struct Delivery {
    pub workspace: Sid<Workspace>,
    pub account: Sid<Account>,
    pub url: Arc<str>,
    pub content: Content,
    /// How it failed for good the last time; a replay is another try. `None`: not yet.
    pub failure: Option<DeliveryFailure>,
}

/// What a delivery says. How an event is put into a form is decided when it is sent.
#[derive(Clone, Debug, PartialEq)]
pub enum Content {
    /// Tells an event.
    Event(Arc<PublicEvent>),
    /// Asks what to do with the offer of a `reservation.created`.
    Assignment { event: Arc<PublicEvent>, fallback_url: Option<Arc<str>> },
    /// Asks the voice API for a step of an instruction.
    Voice { step: VoiceStep, form: Form, about: About },
    /// Tells the application of a call that an instruction made: by POST of a form, or by GET without one.
    Report { form: Option<Form>, about: About },
}

/// Parameters in the order in which they are sent.
pub type Form = Vec<(Arc<str>, Arc<str>)>;

/// What a delivery without an event is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct About {
    /// Of the delivery itself; never used twice.
    pub sid: [u8; 16],
    pub reservation: Sid<Reservation>,
    pub at: Timestamp,
}

/// Steps of an instruction that the voice API is asked for. Reference: events-and-callbacks, section 11.4.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum VoiceStep {
    /// The Worker is called.
    CallWorker,
    /// The caller who waits is sent to where the Worker is.
    MoveCaller,
    /// The customer of an outbound Task is called into the conference.
    CallCustomer,
    /// The Task's call is sent to other TwiML, for which the reservation is on hold.
    Redirect,
    /// Somebody listens in.
    Supervise,
    /// The Worker's leg is not needed any more.
    HangUp,
    /// The Task's call is sent to other TwiML, whatever becomes of the reservation.
    RedirectOnly,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeliveryFailure {
    pub attempts: u32,
    /// What happened last.
    pub reason: Arc<str>,
    /// What the last answer had, if there was one.
    pub status: Option<u16>,
}

impl VoiceStep {
    /// In the order of their numbers on the wire, from 1.
    const ALL: [Self; 7] = [
        Self::CallWorker,
        Self::MoveCaller,
        Self::CallCustomer,
        Self::Redirect,
        Self::Supervise,
        Self::HangUp,
        Self::RedirectOnly,
    ];
}

#[derive(Clone, PartialEq, prost::Message)]
struct DeliveryMessage {
    #[prost(bytes = "vec", tag = 1)]
    workspace: Vec<u8>,
    #[prost(bytes = "vec", tag = 2)]
    account: Vec<u8>,
    #[prost(bool, tag = 3)]
    assignment: bool,
    #[prost(string, optional, tag = 4)]
    fallback_url: Option<String>,
    #[prost(string, tag = 5)]
    url: String,
    /// As in a row of the history; empty where there is a `call`.
    #[prost(bytes = "vec", tag = 6)]
    event: Vec<u8>,
    #[prost(message, optional, tag = 7)]
    failure: Option<FailureMessage>,
    #[prost(message, optional, tag = 8)]
    call: Option<CallMessage>,
}

#[derive(Clone, PartialEq, prost::Message)]
struct FailureMessage {
    #[prost(uint32, tag = 1)]
    attempts: u32,
    #[prost(string, tag = 2)]
    reason: String,
    #[prost(uint32, optional, tag = 3)]
    status: Option<u32>,
}

#[derive(Clone, PartialEq, prost::Message)]
struct CallMessage {
    /// 0 is a report.
    #[prost(uint32, tag = 1)]
    step: u32,
    /// A report by GET, which has no form.
    #[prost(bool, tag = 2)]
    get: bool,
    #[prost(bytes = "vec", tag = 3)]
    sid: Vec<u8>,
    #[prost(bytes = "vec", tag = 4)]
    reservation: Vec<u8>,
    #[prost(sint64, tag = 5)]
    at: i64,
    /// Names and values in turn.
    #[prost(string, repeated, tag = 6)]
    form: Vec<String>,
}

impl Delivery {
    /// Its identifier: that of the event, or of the reservation that an assignment callback asks about.
    pub fn sid(&self) -> [u8; 16] {
        match &self.content {
            Content::Event(event) => event.sid.bytes(),
            Content::Assignment { event, .. } => offered(event).bytes(),
            Content::Voice { about, .. } | Content::Report { about, .. } => about.sid,
        }
    }

    /// The line that it stands in: events of one Task leave in order, else those of one Worker, else those of the
    /// Workspace, those to one receiver each. An assignment callback waits for nobody (reference: events-and-callbacks, section 6). Steps of one
    /// instruction go one after the other, and so do the reports about it; a caller is sent to one place after the other,
    /// whichever reservations want that, so that the last decision holds.
    pub fn line(&self) -> [u8; 16] {
        match &self.content {
            Content::Assignment { .. } => self.sid(),
            Content::Event(event) => match (&event.task, &event.worker) {
                (Some(task), _) => task.sid.bytes(),
                (None, Some(worker)) => worker.sid.bytes(),
                (None, None) => self.workspace.bytes(),
            },
            Content::Voice { step, about, .. } => {
                moved_call(*step, &self.url).unwrap_or_else(|| beside(about.reservation, 1))
            }
            Content::Report { about, .. } => beside(about.reservation, 2),
        }
    }

    /// When what it tells happened.
    pub fn at(&self) -> Timestamp {
        match &self.content {
            Content::Event(event) | Content::Assignment { event, .. } => event.at,
            Content::Voice { about, .. } | Content::Report { about, .. } => about.at,
        }
    }

    /// The event that it tells, or that caused it.
    pub fn event(&self) -> Option<&Arc<PublicEvent>> {
        match &self.content {
            Content::Event(event) | Content::Assignment { event, .. } => Some(event),
            Content::Voice { .. } | Content::Report { .. } => None,
        }
    }

    /// For the log and the metrics.
    pub const fn kind(&self) -> &'static str {
        match self.content {
            Content::Event(_) => "event",
            Content::Assignment { .. } => "assignment",
            Content::Voice { .. } => "voice",
            Content::Report { .. } => "report",
        }
    }
}

fn offered(event: &PublicEvent) -> Sid<Reservation> {
    event.reservation.as_ref().expect("an assignment callback asks about a reservation").sid
}

/// A line of the reservation beside that of its assignment callback, which has its very bytes.
fn beside(reservation: Sid<Reservation>, lane: u8) -> [u8; 16] {
    let mut bytes = reservation.bytes();
    bytes[0] ^= lane;
    bytes
}

/// The digits of the call that a step sends elsewhere: `…/Calls/CA….json`.
fn moved_call(step: VoiceStep, url: &str) -> Option<[u8; 16]> {
    let moves = matches!(step, VoiceStep::MoveCaller | VoiceStep::Redirect | VoiceStep::RedirectOnly);
    let (_, name) = url.rsplit_once("/CA").filter(|_| moves)?;
    let digits = name.split('.').next().filter(|digits| digits.len() == 32)?;
    u128::from_str_radix(digits, 16).ok().map(u128::to_be_bytes)
}

/// Writes a delivery down, for the outbox.
pub fn encode(delivery: &Delivery) -> Vec<u8> {
    let Delivery { workspace, account, url, content, failure } = delivery;
    let mut message = DeliveryMessage {
        workspace: workspace.bytes().to_vec(),
        account: account.bytes().to_vec(),
        url: url.to_string(),
        failure: failure.as_ref().map(|DeliveryFailure { attempts, reason, status }| FailureMessage {
            attempts: *attempts,
            reason: reason.to_string(),
            status: status.map(u32::from),
        }),
        ..DeliveryMessage::default()
    };
    match content {
        Content::Event(event) => message.event = public_event::encode(event),
        Content::Assignment { event, fallback_url } => {
            message.event = public_event::encode(event);
            message.assignment = true;
            message.fallback_url = fallback_url.as_deref().map(str::to_string);
        }
        Content::Voice { step, form, about } => message.call = Some(call(1 + *step as u32, false, form, about)),
        Content::Report { form, about } => {
            message.call = Some(call(0, form.is_none(), form.as_deref().unwrap_or_default(), about));
        }
    }
    frame::encode(&message)
}

fn call(step: u32, get: bool, form: &[(Arc<str>, Arc<str>)], about: &About) -> CallMessage {
    let About { sid, reservation, at } = *about;
    let form = form.iter().flat_map(|(name, value)| [name.to_string(), value.to_string()]).collect();
    CallMessage { step, get, sid: sid.to_vec(), reservation: reservation.bytes().to_vec(), at: at.0, form }
}

/// Reads what [`encode`] wrote.
pub fn decode(bytes: &[u8]) -> Result<Delivery, DecodeError> {
    let DeliveryMessage { workspace, account, assignment, fallback_url, url, event, failure, call } =
        frame::decode(bytes)?;
    let content = match call {
        Some(call) => decode_call(call)?,
        None => decode_event(Arc::new(public_event::decode(&event)?), assignment, fallback_url)?,
    };
    Ok(Delivery {
        workspace: Sid::from_bytes(sixteen(workspace, "workspace of a delivery")?),
        account: Sid::from_bytes(sixteen(account, "account of a delivery")?),
        url: url.into(),
        content,
        failure: failure.map(|FailureMessage { attempts, reason, status }| DeliveryFailure {
            attempts,
            reason: reason.into(),
            status: status.and_then(|status| u16::try_from(status).ok()),
        }),
    })
}

fn decode_event(
    event: Arc<PublicEvent>,
    assignment: bool,
    fallback_url: Option<String>,
) -> Result<Content, DecodeError> {
    if !assignment {
        return Ok(Content::Event(event));
    }
    if event.reservation.is_none() {
        return Err(DecodeError::Missing { part: "reservation of an assignment callback" });
    }
    Ok(Content::Assignment { event, fallback_url: fallback_url.map(Arc::from) })
}

fn decode_call(message: CallMessage) -> Result<Content, DecodeError> {
    let CallMessage { step, get, sid, reservation, at, form } = message;
    let about = About {
        sid: sixteen(sid, "identifier of a delivery")?,
        reservation: Sid::from_bytes(sixteen(reservation, "reservation of a delivery")?),
        at: Timestamp(at),
    };
    let (pairs, rest) = form.as_chunks::<2>();
    if !rest.is_empty() {
        return Err(DecodeError::Missing { part: "value in the form of a delivery" });
    }
    let form = pairs.iter().map(|[name, value]| (name.as_str().into(), value.as_str().into())).collect();
    let number = u64::from(step);
    let Some(index) = step.checked_sub(1) else {
        return Ok(Content::Report { form: (!get).then_some(form), about });
    };
    let step = VoiceStep::ALL.get(index as usize);
    let step = *step.ok_or(DecodeError::Unknown { part: "step of a delivery", number })?;
    Ok(Content::Voice { step, form, about })
}

fn sixteen(bytes: Vec<u8>, part: &'static str) -> Result<[u8; 16], DecodeError> {
    <[u8; 16]>::try_from(bytes).map_err(|_| DecodeError::Missing { part })
}
