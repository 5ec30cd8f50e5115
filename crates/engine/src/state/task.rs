//! A piece of work. Reference: rest-contract, section 6.9; routing, sections 2 and 4.1.

use alloc::sync::Arc;
use alloc::vec::Vec;

use pointsman_expression::Attributes;

use super::reservation::Reservation;
use super::task_channel::TaskChannel;
use super::task_queue::TaskQueue;
use super::transfer::Transfer;
use super::worker::Worker;
use super::workflow::Workflow;
use crate::configuration::Configuration;
use crate::ids::{Entity, Id, Sid};
use crate::values::{Priority, TaskStatus, Timestamp, Version};

#[derive(Clone, Debug, PartialEq)]
pub struct Task {
    pub id: Id<Task>,
    pub sid: Sid<Task>,
    pub attributes: Attributes,
    pub status: TaskStatus,
    pub priority: Priority,
    pub reason: Option<Arc<str>>,
    pub task_channel: Id<TaskChannel>,
    pub timeout_seconds: u32,
    pub virtual_start_time: Timestamp,
    pub date_created: Timestamp,
    pub date_updated: Timestamp,
    pub version: Version,
    pub task_queue: Option<Id<TaskQueue>>,
    /// Entry into `task_queue`.
    pub task_queue_entered: Option<Timestamp>,
    pub workflow: Option<Id<Workflow>>,
    pub routing_target: Option<RoutingTarget>,
    pub ignore_capacity: bool,
    /// Of a call that waits: the URL at which it goes on afterwards (events-and-callbacks, section 11.4).
    pub enqueue_action: Option<Arc<str>>,
    /// The version of the Workflow's rules that it follows; `None` when it is routed directly.
    pub configuration: Option<Arc<Configuration>>,
    pub place: Option<Place>,
    /// Origin of the step clock, and the time-outs of the steps left by time-out since (routing, section 2.9).
    pub clock_start: Timestamp,
    pub budget_seconds: u64,
    /// A change that was made while it was reserved: evaluate again when it falls back to pending.
    pub restart: Option<RestartCause>,
    /// Moves to reserved so far.
    pub assignments: u32,
    pub hold_off: HoldOff,
    pub first_accepted: Option<Timestamp>,
    /// Entry into completed or canceled.
    pub finished: Option<Timestamp>,
    /// All its reservations, in creation order.
    pub reservations: Vec<Id<Reservation>>,
    /// Those that are pending, accepted or wrapping, in creation order.
    pub active: Vec<Id<Reservation>>,
    /// How often it was accepted.
    pub acceptances: u32,
    /// All its transfers, in creation order; only the last one can be under way.
    pub transfers: Vec<Id<Transfer>>,
}

/// `routing_target` of a directly routed Task.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RoutingTarget {
    /// The id may be that of a Worker deleted since.
    Worker(Id<Worker>),
    TaskQueue(Id<TaskQueue>),
}

/// Where a live Task waits, or waited when it was last pending.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// A step of its Workflow.
    Step { position: Position, deadline: Option<Timestamp> },
    /// A queue without a step: direct routing to a queue, and what a transfer leaves.
    Queue,
    /// One Worker: direct routing.
    Worker(Id<Worker>),
}

/// A step of a configuration.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Position {
    Target { filter: u32, target: u32 },
    Default,
}

/// Why a remembered restart is due.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum RestartCause {
    TaskUpdated,
    WorkflowUpdated,
}

/// The pause after failed assignment callbacks (routing, section 3.8).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct HoldOff {
    /// Failures in a row.
    pub failures: u32,
    pub until: Option<Timestamp>,
}

impl Task {
    pub const fn is_placed(&self) -> bool {
        self.place.is_some()
    }

    /// The deadline of its step, if it is in one that has a time-out.
    pub const fn step_deadline(&self) -> Option<Timestamp> {
        match self.place {
            Some(Place::Step { deadline, .. }) => deadline,
            Some(Place::Queue | Place::Worker(_)) | None => None,
        }
    }
}

impl Entity for Task {
    const PREFIX: &'static str = "WT";
}
