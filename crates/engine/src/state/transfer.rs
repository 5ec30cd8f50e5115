//! Handing an accepted Task on. Reference: routing, section 6.

use alloc::sync::Arc;

use super::reservation::Reservation;
use super::task::Task;
use super::task_queue::TaskQueue;
use super::worker::Worker;
use crate::ids::{Entity, Id, Sid};
use crate::values::{Timestamp, TransferMode, TransferStatus, Version};

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Transfer {
    pub id: Id<Transfer>,
    pub sid: Sid<Transfer>,
    pub task: Id<Task>,
    pub initiating_reservation: Id<Reservation>,
    pub initiating_worker: Id<Worker>,
    pub target: TransferTarget,
    pub mode: TransferMode,
    pub status: TransferStatus,
    pub failed_reason: Option<Arc<str>>,
    /// The queue to return to when it ends without success.
    pub queue_before: Option<Id<TaskQueue>>,
    pub date_created: Timestamp,
    pub date_updated: Timestamp,
    pub version: Version,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TransferTarget {
    Worker(Id<Worker>),
    TaskQueue(Id<TaskQueue>),
}

impl Entity for Transfer {
    const PREFIX: &'static str = "TT";
}
