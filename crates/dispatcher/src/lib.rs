//! The loop's logic without I/O: whose answer and which callback goes where, and when.
//!
//! - [`Shard`] runs the Workspaces of one engine thread: it takes [`Input`]s and fills a [`Batch`] with what is to be
//!   committed and with what may leave the process once it is. **Nothing in a batch may leave before its records are
//!   durable**: that is the caller's promise (design: section 2).
//! - [`Deliveries`] decides which callback is sent next, how often and when; the caller sends.
//! - [`Telephony`] says what becomes of instructions that need calls; the bridge works on the Shard's turns.
//! - [`authenticate`] tells who calls.
//!
//! No socket, no file, no clock and no thread is in here.

mod auth;
mod batch;
mod bridge;
mod deliveries;
pub mod limits;
mod overrides;
mod places;
mod shard;

pub use crate::auth::{Caller, authenticate};
pub use crate::batch::{
    AssignmentOutcome, Batch, Input, OutboxChange, PendingRecord, Reply, Ticket, VoiceOutcome, VoiceRequest,
};
pub use crate::bridge::{ReservationCallback, Telephony, VoiceApi, VoiceCallback, VoiceCallbackKind};
pub use crate::deliveries::{
    Attempt, AttemptId, AttemptResult, Deliveries, DeliverySettings, Effect, Urgency, destination_of,
};
pub use crate::places::Receiver;
pub use pointsman_record::delivery::{About, Content, Delivery, DeliveryFailure, Form, VoiceStep};

pub use crate::shard::{RestoreError, Shard, restore_state};
