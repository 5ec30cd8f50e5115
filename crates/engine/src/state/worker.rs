//! Someone or something that handles Tasks. Reference: rest-contract, sections 6.3 to 6.5; routing, section 4.3.

use alloc::collections::BTreeSet;
use alloc::sync::Arc;
use alloc::vec::Vec;

use pointsman_expression::Attributes;

use super::activity::Activity;
use super::reservation::Reservation;
use super::task_channel::TaskChannel;
use crate::ids::{Entity, Id, Sid};
use crate::values::{ReservationStatus, Timestamp, Version};

#[derive(Clone, Debug, PartialEq)]
pub struct Worker {
    pub id: Id<Worker>,
    pub sid: Sid<Worker>,
    pub friendly_name: Arc<str>,
    pub attributes: Attributes,
    pub activity: Id<Activity>,
    pub version: Version,
    pub date_created: Timestamp,
    pub date_updated: Timestamp,
    /// Last change of Activity.
    pub date_status_changed: Timestamp,
    /// When the last reservation was created for it, on any channel; its own creation before that.
    pub last_reserved: Timestamp,
    /// One per TaskChannel of the Workspace, in the creation order of the TaskChannels.
    pub channels: Vec<WorkerChannel>,
    /// Every reservation that still exists, in creation order; those that ended stay until their Task is removed.
    pub reservations: BTreeSet<Id<Reservation>>,
    /// The ones that count as load, in creation order.
    pub active: Vec<Id<Reservation>>,
}

/// Capacity and load of one Worker on one TaskChannel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WorkerChannel {
    pub sid: Sid<WorkerChannel>,
    pub task_channel: Id<TaskChannel>,
    pub capacity: u32,
    pub available: bool,
    pub date_created: Timestamp,
    pub date_updated: Timestamp,
    pub last_reserved: Timestamp,
    /// Active reservations by status.
    pub pending: u32,
    pub accepted: u32,
    pub wrapping: u32,
}

impl Worker {
    pub fn channel(&self, task_channel: Id<TaskChannel>) -> Option<&WorkerChannel> {
        self.channels.iter().find(|channel| channel.task_channel == task_channel)
    }

    pub(crate) fn channel_mut(&mut self, task_channel: Id<TaskChannel>) -> Option<&mut WorkerChannel> {
        self.channels.iter_mut().find(|channel| channel.task_channel == task_channel)
    }
}

impl WorkerChannel {
    /// Reservations that use capacity: pending, accepted and wrapping.
    pub const fn load(&self) -> u32 {
        self.pending + self.accepted + self.wrapping
    }

    pub const fn has_capacity(&self) -> bool {
        self.load() < self.capacity
    }

    /// `floor(100 × (capacity − load) / capacity)`, 0 to 100; 0 without capacity (routing, section 1.6).
    pub const fn available_capacity_percentage(&self) -> u32 {
        if self.load() >= self.capacity { 0 } else { (self.capacity - self.load()) * 100 / self.capacity }
    }

    pub(crate) fn count_mut(&mut self, status: ReservationStatus) -> Option<&mut u32> {
        match status {
            ReservationStatus::Pending => Some(&mut self.pending),
            ReservationStatus::Accepted => Some(&mut self.accepted),
            ReservationStatus::Wrapping => Some(&mut self.wrapping),
            ReservationStatus::Rejected
            | ReservationStatus::Timeout
            | ReservationStatus::Canceled
            | ReservationStatus::Rescinded
            | ReservationStatus::Completed => None,
        }
    }
}

impl Entity for Worker {
    const PREFIX: &'static str = "WK";
}

impl Entity for WorkerChannel {
    const PREFIX: &'static str = "WC";
}
