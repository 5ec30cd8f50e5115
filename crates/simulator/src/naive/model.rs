//! What the naive router knows: plain rows, nothing derived.

use std::collections::BTreeMap;
use std::sync::Arc;

use pointsman_engine::{
    DurationMs, Instruction, Ordering, Position, Priority, ReservationStatus, RestartCause, RoutingTargetFacts,
    TaskStatus, Timestamp, TransferMode, TransferStatus, Version,
};
use pointsman_expression::{Attributes, Expression};

use super::rules::Rules;

/// Place of an object in the creation order of its Workspace.
pub type Number = u64;

#[derive(Clone, Debug)]
pub struct Activity {
    pub number: Number,
    pub name: Arc<str>,
    pub available: bool,
    pub deleted: bool,
}

#[derive(Clone, Debug)]
pub struct Channel {
    pub number: Number,
    pub unique_name: Arc<str>,
    pub name: Arc<str>,
    pub optimized: bool,
    pub built_in: bool,
    pub deleted: bool,
}

#[derive(Clone, Debug)]
pub struct Worker {
    pub number: Number,
    pub name: Arc<str>,
    pub attributes: Attributes,
    pub activity: Number,
    pub version: Version,
    pub created: Timestamp,
    pub updated: Timestamp,
    pub status_changed: Timestamp,
    pub last_reserved: Timestamp,
    /// By TaskChannel.
    pub channels: BTreeMap<Number, WorkerChannel>,
    pub deleted: bool,
}

#[derive(Clone, Debug)]
pub struct WorkerChannel {
    pub capacity: u32,
    pub available: bool,
    pub last_reserved: Timestamp,
}

#[derive(Clone, Debug)]
pub struct Queue {
    pub number: Number,
    pub name: Arc<str>,
    pub text: Option<Arc<str>>,
    pub expression: Option<Expression>,
    pub max_reserved: u32,
    pub order: Ordering,
    pub reservation_activity: Option<Number>,
    pub assignment_activity: Option<Number>,
    pub deleted: bool,
}

#[derive(Clone, Debug)]
pub struct Workflow {
    pub number: Number,
    pub name: Arc<str>,
    pub rules: Arc<Rules>,
    pub callback: Option<Arc<str>>,
    pub fallback: Option<Arc<str>>,
    pub reservation_timeout: u32,
    pub deleted: bool,
}

/// Where a Task waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    Step(Position),
    Queue,
    Worker(Number),
}

#[derive(Clone, Debug)]
pub struct Task {
    pub number: Number,
    pub attributes: Attributes,
    pub status: TaskStatus,
    pub priority: Priority,
    pub reason: Option<Arc<str>>,
    pub channel: Number,
    pub timeout_seconds: u32,
    pub virtual_start: Timestamp,
    pub created: Timestamp,
    pub updated: Timestamp,
    pub version: Version,
    pub queue: Option<Number>,
    pub queue_entered: Option<Timestamp>,
    pub workflow: Option<Number>,
    pub target: Option<RoutingTargetFacts>,
    pub ignore_capacity: bool,
    pub rules: Option<Arc<Rules>>,
    pub place: Option<Place>,
    pub clock_start: Timestamp,
    pub budget_seconds: u64,
    pub restart: Option<RestartCause>,
    pub assignments: u32,
    pub failures: u32,
    pub held_until: Option<Timestamp>,
    pub first_accepted: Option<Timestamp>,
    pub finished: Option<Timestamp>,
}

#[derive(Clone, Debug)]
pub struct Reservation {
    pub number: Number,
    pub task: Number,
    pub worker: Number,
    pub queue: Option<Number>,
    pub queue_entered: Option<Timestamp>,
    pub status: ReservationStatus,
    pub created: Timestamp,
    pub updated: Timestamp,
    pub version: Version,
    pub timeout_seconds: u32,
    pub hold: Option<(Timestamp, Instruction)>,
    pub rested: DurationMs,
    pub previous_activity: Number,
    pub engine_activity: Option<Number>,
    pub reason_code: Option<u32>,
    pub transfer: Option<Number>,
}

#[derive(Clone, Debug)]
pub struct Transfer {
    pub number: Number,
    pub task: Number,
    pub initiator: Number,
    pub initiating_worker: Number,
    pub target: RoutingTargetFacts,
    pub to_queue: bool,
    pub mode: TransferMode,
    pub status: TransferStatus,
    pub failed_reason: Option<Arc<str>>,
    pub queue_before: Option<Number>,
    pub started: Timestamp,
}

impl Reservation {
    pub fn is_pending(&self) -> bool {
        self.status == ReservationStatus::Pending
    }

    pub fn due(&self) -> Timestamp {
        self.created.plus(DurationMs::from_seconds(self.timeout_seconds)).plus(self.rested)
    }
}

impl Task {
    pub fn is_pending(&self) -> bool {
        self.status == TaskStatus::Pending
    }
}
