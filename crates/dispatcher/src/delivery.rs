//! A callback that is to be delivered, and how it is kept until it was.

use std::borrow::Cow;
use std::sync::Arc;

use pointsman_api::event_fields;
use pointsman_api::instruction::CallbackAnswer;
use pointsman_engine::{Account, EventKind, Reservation, Sid, Timestamp, Workspace};
use prost::Message;

/// One callback: everything that is needed to send it, also after a restart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Delivery {
    /// Identifier: the event's, or the reservation's for an assignment callback.
    pub sid: [u8; 16],
    pub workspace: Sid<Workspace>,
    pub account: Sid<Account>,
    /// Deliveries of one key leave in order.
    pub key: [u8; 16],
    pub kind: DeliveryKind,
    pub url: Arc<str>,
    /// Form parameters.
    pub parameters: Vec<(Cow<'static, str>, String)>,
    /// When what it tells happened.
    pub at: Timestamp,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DeliveryKind {
    /// Tells an event.
    Event { event: EventKind },
    /// Asks what to do with an offer.
    Assignment { reservation: Sid<Reservation>, fallback_url: Option<Arc<str>> },
}

/// How an assignment callback ended.
#[derive(Clone, Debug, PartialEq)]
pub enum AssignmentOutcome {
    Answered(CallbackAnswer),
    /// Neither the address nor its fallback answered.
    Failed,
}

#[derive(Clone, PartialEq, Message)]
struct StoredDelivery {
    #[prost(bytes = "vec", tag = "1")]
    sid: Vec<u8>,
    #[prost(bytes = "vec", tag = "2")]
    workspace: Vec<u8>,
    #[prost(bytes = "vec", tag = "3")]
    account: Vec<u8>,
    #[prost(bytes = "vec", tag = "4")]
    key: Vec<u8>,
    #[prost(bytes = "vec", optional, tag = "5")]
    reservation: Option<Vec<u8>>,
    #[prost(string, optional, tag = "6")]
    fallback_url: Option<String>,
    #[prost(string, tag = "7")]
    url: String,
    /// Form-encoded.
    #[prost(string, tag = "8")]
    parameters: String,
    #[prost(sint64, tag = "9")]
    at_ms: i64,
    #[prost(string, tag = "10")]
    event_type: String,
}

/// A stored delivery could not be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeliveryDecodeError {
    /// What is missing or broken.
    pub part: &'static str,
}

impl std::fmt::Display for DeliveryDecodeError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "stored delivery without a readable {}", self.part)
    }
}

impl std::error::Error for DeliveryDecodeError {}

impl Delivery {
    /// For the outbox.
    pub fn encode(&self) -> Vec<u8> {
        let Self { sid, workspace, account, key, kind, url, parameters, at } = self;
        let (event_type, reservation, fallback_url) = match kind {
            DeliveryKind::Event { event } => (event_fields::event_type(*event).name, None, None),
            DeliveryKind::Assignment { reservation, fallback_url } => {
                ("", Some(reservation.bytes().to_vec()), fallback_url.as_deref().map(str::to_string))
            }
        };
        let stored = StoredDelivery {
            sid: sid.to_vec(),
            workspace: workspace.bytes().to_vec(),
            account: account.bytes().to_vec(),
            key: key.to_vec(),
            reservation,
            fallback_url,
            url: url.to_string(),
            parameters: form_urlencoded::Serializer::new(String::new()).extend_pairs(parameters).finish(),
            at_ms: at.0,
            event_type: event_type.to_string(),
        };
        stored.encode_to_vec()
    }

    /// Reads what [`Delivery::encode`] wrote.
    pub fn decode(bytes: &[u8]) -> Result<Self, DeliveryDecodeError> {
        let stored = StoredDelivery::decode(bytes).map_err(|_| DeliveryDecodeError { part: "message" })?;
        let sixteen = |bytes: &[u8], part| <[u8; 16]>::try_from(bytes).map_err(|_| DeliveryDecodeError { part });
        let kind = match &stored.reservation {
            Some(reservation) => DeliveryKind::Assignment {
                reservation: Sid::from_bytes(sixteen(reservation, "reservation")?),
                fallback_url: stored.fallback_url.as_deref().map(Arc::from),
            },
            None => DeliveryKind::Event {
                event: event_fields::event_kind(&stored.event_type)
                    .ok_or(DeliveryDecodeError { part: "event type" })?,
            },
        };
        let pairs = form_urlencoded::parse(stored.parameters.as_bytes());
        Ok(Self {
            sid: sixteen(&stored.sid, "sid")?,
            workspace: Sid::from_bytes(sixteen(&stored.workspace, "workspace")?),
            account: Sid::from_bytes(sixteen(&stored.account, "account")?),
            key: sixteen(&stored.key, "key")?,
            kind,
            url: stored.url.as_str().into(),
            parameters: pairs.map(|(name, value)| (Cow::Owned(name.into_owned()), value.into_owned())).collect(),
            at: Timestamp(stored.at_ms),
        })
    }
}
