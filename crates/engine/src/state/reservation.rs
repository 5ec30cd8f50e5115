//! An offer of a Task to a Worker, and what came of it. Reference: rest-contract, section 6.10; routing, section 4.2.

use alloc::boxed::Box;
use alloc::sync::Arc;

use super::activity::Activity;
use super::task::Task;
use super::task_queue::TaskQueue;
use super::transfer::Transfer;
use super::worker::Worker;
use crate::ids::{Entity, Id, Sid};
use crate::values::{DurationMs, ReservationStatus, Timestamp, Version};

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reservation {
    pub id: Id<Reservation>,
    pub sid: Sid<Reservation>,
    pub task: Id<Task>,
    pub worker: Id<Worker>,
    /// The queue that made the offer, and the Task's entry into it; later moves of the Task change neither.
    pub task_queue: Option<Id<TaskQueue>>,
    pub task_queue_entered: Option<Timestamp>,
    pub status: ReservationStatus,
    pub date_created: Timestamp,
    pub date_updated: Timestamp,
    pub version: Version,
    pub timeout_seconds: u32,
    /// While channel set-up runs the resource shows pending, and the time-out rests.
    pub on_hold_until: Option<Timestamp>,
    /// How long the time-out has rested for set-ups that are over.
    pub rested: DurationMs,
    /// Where the Worker was before the engine moved it for this reservation, and where it moved it (single-tasking).
    pub previous_activity: Id<Activity>,
    pub engine_activity: Option<Id<Activity>>,
    /// Code of the telephony failure that canceled it.
    pub reason_code: Option<u32>,
    /// The transfer that it belongs to as an offer to the transferee.
    pub transfer: Option<Id<Transfer>>,
    /// What telephony did for it, kept for whoever bridges calls. The engine itself only looks at which call of a Worker
    /// an offer that ends leaves behind (`worker_call`, unless it `is_over`).
    pub call: Option<Box<VoiceCall>>,
}

/// A telephony instruction that is or was carried out for a reservation.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct VoiceCall {
    /// The instruction in the writing of whoever bridges calls; empty when a Worker's call came without one.
    pub instruction: Arc<str>,
    /// Identifiers of the voice API, once there are such calls.
    pub worker_call: Option<Arc<str>>,
    pub customer_call: Option<Arc<str>>,
    pub conference: Option<Arc<str>>,
    /// How many requests the reservation took so far, and how many before this instruction.
    pub requests: u64,
    pub requests_before: u64,
    /// The Worker has answered, or called in. Whether the customer comes too depends on the instruction.
    pub is_answered: bool,
    /// The provider has said that the Worker's call is over, or that its conversation is. A request to hang up is not
    /// yet the end.
    pub is_over: bool,
    /// A request for the customer, to be moved or called to the Worker, is under way, and the customer is not known to
    /// have gone on from there.
    pub is_customer_sent_for: bool,
    /// The customer is in the conference, as of the report with this number.
    pub is_customer_there: bool,
    pub customer_report: u64,
    /// The customer was in the conference at some time.
    pub was_customer_there: bool,
    /// The customer was called, for an outbound Task, and nobody has told of the end of that call.
    pub is_customer_called: bool,
    /// Somebody has answered that call. With early media its sound is in the conference before.
    pub has_customer_answered: bool,
    /// Which numbers below 64 the reports of the Worker's call and of the conference had so far: one bit each.
    pub call_reports: u64,
    pub conference_reports: u64,
}

impl Reservation {
    /// When it times out; also while on hold, when this is not looked at.
    pub const fn due(&self) -> Timestamp {
        self.date_created.plus(DurationMs::from_seconds(self.timeout_seconds)).plus(self.rested)
    }

    pub const fn is_on_hold(&self) -> bool {
        self.on_hold_until.is_some()
    }
}

impl Entity for Reservation {
    const PREFIX: &'static str = "WR";
}
