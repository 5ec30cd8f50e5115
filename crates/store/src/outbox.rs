//! The outbox: callbacks that wait to be delivered, and dead letters.

use crate::{AppendError, Sid, limits};

/// Order in which deliveries were put; never used twice.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub struct OutboxNumber(pub u64);

/// One delivery that waits.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct OutboxEntry {
    /// Identifier of the delivery, unique in the store.
    pub sid: Sid,
    pub workspace: Sid,
    /// Deliveries of one key go out in order. Nothing here reads it: it tells whoever looks into the file what waits
    /// for what.
    pub key: Sid,
    /// Those of a workspace with the same number are read together. Which they are is the caller's business.
    pub lane: u32,
    /// When what it tells has happened, or, once it is dead, when it failed for good; milliseconds since the Unix epoch.
    pub at_ms: i64,
    /// At most [`limits::OUTBOX_PAYLOAD_BYTES_MAX`] bytes.
    pub payload: Vec<u8>,
}

/// A change of the outbox, made in the same transaction as the records that it comes with.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum OutboxChange {
    /// Adds a delivery. One that is there already, waiting or dead, keeps its number, gets the new content and waits.
    Put(OutboxEntry),
    /// The delivery is over: forgets it, waiting or dead. Nothing happens when there is none.
    Done { sid: Sid },
    /// The delivery has failed for good: a waiting one becomes a dead letter. Nothing happens when there is none.
    Dead {
        sid: Sid,
        /// When it was given up; [`crate::Store::retain`] goes by it.
        at_ms: i64,
        /// Replaces the payload: what was to be sent, and why it could not be.
        payload: Vec<u8>,
    },
}

impl OutboxChange {
    pub(crate) fn payload_bytes(&self) -> usize {
        match self {
            OutboxChange::Put(entry) => entry.payload.len(),
            OutboxChange::Dead { payload, .. } => payload.len(),
            OutboxChange::Done { .. } => 0,
        }
    }
}

/// What of the outbox is read together.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct OutboxLane {
    pub workspace: Sid,
    pub number: u32,
}

/// A delivery as read back.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct WaitingDelivery {
    pub number: OutboxNumber,
    pub entry: OutboxEntry,
}

/// A delivery that has failed for good.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct DeadLetter {
    pub number: OutboxNumber,
    pub sid: Sid,
    pub workspace: Sid,
    /// When it was given up.
    pub at_ms: i64,
    pub payload: Vec<u8>,
}

/// The dead letters of a workspace that are kept: those that were given up at an instant or after it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct KeptLetters {
    pub workspace: Sid,
    /// In milliseconds since the Unix epoch.
    pub from_ms: i64,
}

/// Which dead letters of a workspace to read.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum LetterPlace {
    /// The first ones with a larger number.
    After(OutboxNumber),
    /// The last ones with a smaller number.
    Before(OutboxNumber),
}

/// How many deliveries of a workspace there are.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct OutboxCounts {
    pub waiting: u64,
    pub dead: u64,
}

/// Refuses changes beyond the limits; both implementations call it first.
pub(crate) fn check_limits(changes: &[OutboxChange]) -> Result<(), AppendError> {
    AppendError::check_size("outbox changes of a batch", changes.len(), limits::BATCH_OUTBOX_MAX)?;
    for change in changes {
        AppendError::check_size("payload of a delivery", change.payload_bytes(), limits::OUTBOX_PAYLOAD_BYTES_MAX)?;
    }
    Ok(())
}
