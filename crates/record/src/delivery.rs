//! A callback that is to be delivered: everything that is needed to send it, also after a restart.

use std::sync::Arc;

use pointsman_engine::{Account, PublicEvent, Reservation, Sid, Workspace};

use crate::error::DecodeError;
use crate::{frame, public_event};

/// One callback. What it tells is its event; how that is put into a form is decided when it is sent.
#[derive(Clone, Debug, PartialEq)]
pub struct Delivery {
    pub workspace: Sid<Workspace>,
    pub account: Sid<Account>,
    pub kind: DeliveryKind,
    pub url: Arc<str>,
    /// For an assignment callback the `reservation.created` that caused it.
    pub event: Arc<PublicEvent>,
    /// How it failed for good; `None` while there is hope.
    pub failure: Option<DeliveryFailure>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DeliveryKind {
    /// Tells an event.
    Event,
    /// Asks what to do with an offer.
    Assignment { fallback_url: Option<Arc<str>> },
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeliveryFailure {
    pub attempts: u32,
    /// What happened last.
    pub reason: Arc<str>,
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
    /// As in a row of the history.
    #[prost(bytes = "vec", tag = 6)]
    event: Vec<u8>,
    #[prost(message, optional, tag = 7)]
    failure: Option<FailureMessage>,
}

#[derive(Clone, PartialEq, prost::Message)]
struct FailureMessage {
    #[prost(uint32, tag = 1)]
    attempts: u32,
    #[prost(string, tag = 2)]
    reason: String,
}

impl Delivery {
    /// Its identifier: that of the event, or of the reservation that an assignment callback asks about.
    pub fn sid(&self) -> [u8; 16] {
        match (&self.kind, self.reservation()) {
            (DeliveryKind::Assignment { .. }, Some(reservation)) => reservation.bytes(),
            (DeliveryKind::Event | DeliveryKind::Assignment { .. }, _) => self.event.sid.bytes(),
        }
    }

    /// The line that it stands in: events of one Task leave in order, else those of one Worker, else those of the
    /// Workspace. An assignment callback waits for nobody (reference: events-and-callbacks, section 6).
    pub fn line(&self) -> [u8; 16] {
        match (&self.kind, &self.event.task, &self.event.worker) {
            (DeliveryKind::Assignment { .. }, _, _) => self.sid(),
            (DeliveryKind::Event, Some(task), _) => task.sid.bytes(),
            (DeliveryKind::Event, None, Some(worker)) => worker.sid.bytes(),
            (DeliveryKind::Event, None, None) => self.workspace.bytes(),
        }
    }

    /// The reservation that the event is about.
    pub fn reservation(&self) -> Option<Sid<Reservation>> {
        self.event.reservation.as_ref().map(|facts| facts.sid)
    }
}

/// Writes a delivery down, for the outbox.
pub fn encode(delivery: &Delivery) -> Vec<u8> {
    let Delivery { workspace, account, kind, url, event, failure } = delivery;
    let (assignment, fallback_url) = match kind {
        DeliveryKind::Event => (false, None),
        DeliveryKind::Assignment { fallback_url } => (true, fallback_url.as_deref().map(str::to_string)),
    };
    frame::encode(&DeliveryMessage {
        workspace: workspace.bytes().to_vec(),
        account: account.bytes().to_vec(),
        assignment,
        fallback_url,
        url: url.to_string(),
        event: public_event::encode(event),
        failure: failure.as_ref().map(|DeliveryFailure { attempts, reason }| FailureMessage {
            attempts: *attempts,
            reason: reason.to_string(),
        }),
    })
}

/// Reads what [`encode`] wrote.
pub fn decode(bytes: &[u8]) -> Result<Delivery, DecodeError> {
    let DeliveryMessage { workspace, account, assignment, fallback_url, url, event, failure } = frame::decode(bytes)?;
    let sixteen = |bytes: Vec<u8>, part| <[u8; 16]>::try_from(bytes).map_err(|_| DecodeError::Missing { part });
    let event = public_event::decode(&event)?;
    if assignment && event.reservation.is_none() {
        return Err(DecodeError::Missing { part: "reservation of an assignment callback" });
    }
    Ok(Delivery {
        workspace: Sid::from_bytes(sixteen(workspace, "workspace of a delivery")?),
        account: Sid::from_bytes(sixteen(account, "account of a delivery")?),
        kind: if assignment {
            DeliveryKind::Assignment { fallback_url: fallback_url.map(Arc::from) }
        } else {
            DeliveryKind::Event
        },
        url: url.into(),
        event: Arc::new(event),
        failure: failure.map(|FailureMessage { attempts, reason }| DeliveryFailure { attempts, reason: reason.into() }),
    })
}
