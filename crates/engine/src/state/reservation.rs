//! An offer of a Task to a Worker, and what came of it. Reference: rest-contract, section 6.10; routing, section 4.2.

use super::activity::Activity;
use super::task::Task;
use super::task_queue::TaskQueue;
use super::transfer::Transfer;
use super::worker::Worker;
use crate::ids::{Entity, Id, Sid};
use crate::values::{ReservationStatus, Timestamp, Version};

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
    /// Where the Worker was before the engine moved it for this reservation, and where it moved it (single-tasking).
    pub previous_activity: Id<Activity>,
    pub engine_activity: Option<Id<Activity>>,
    /// Code of the telephony failure that canceled it.
    pub reason_code: Option<u32>,
    /// The transfer that it belongs to as an offer to the transferee.
    pub transfer: Option<Id<Transfer>>,
}

impl Reservation {
    /// When it times out; also while on hold, when this is not looked at.
    pub const fn due(&self) -> Timestamp {
        self.date_created.plus(crate::values::DurationMs::from_seconds(self.timeout_seconds))
    }

    pub const fn is_on_hold(&self) -> bool {
        self.on_hold_until.is_some()
    }
}

impl Entity for Reservation {
    const PREFIX: &'static str = "WR";
}
