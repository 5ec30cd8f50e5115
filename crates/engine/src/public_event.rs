//! The events that clients see: Event resources, event callbacks, streams. Reference: events-and-callbacks, sections
//! 1 to 3.
//!
//! A [`PublicEvent`] keeps what its payload shows as of its moment, so a name or an attribute in an old event never
//! changes. It is typed; the `api` crate renders it as `event_data` or as form parameters. Text is shared with the
//! state, so an event costs little more than its identifiers.

use alloc::boxed::Box;
use alloc::sync::Arc;
use alloc::vec::Vec;

use crate::ids::{Entity, Id, OperatingUnit, Sid};
use crate::state::{
    Activity, Position, Reservation, Task, TaskChannel, TaskQueue, Transfer, Worker, Workflow, Workspace,
};
use crate::values::{Priority, ReservationStatus, TaskStatus, Timestamp, TransferMode, TransferStatus, Version};

/// The 49 types of the catalogue, in its order (reference: events-and-callbacks, section 3).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum EventKind {
    TaskCreated,
    TaskUpdated,
    TaskCanceled,
    TaskWrapup,
    TaskCompleted,
    TaskDeleted,
    TaskSystemDeleted,
    TaskTransferInitiated,
    TaskTransferAttemptFailed,
    TaskTransferFailed,
    TaskTransferCanceled,
    TaskTransferCompleted,
    ReservationCreated,
    ReservationAccepted,
    ReservationRejected,
    ReservationTimeout,
    ReservationCanceled,
    ReservationRescinded,
    ReservationWrapup,
    ReservationCompleted,
    ReservationFailed,
    TaskQueueCreated,
    TaskQueueDeleted,
    TaskQueueExpressionUpdated,
    TaskQueueEntered,
    TaskQueueMoved,
    TaskQueueTimeout,
    WorkflowCreated,
    WorkflowUpdated,
    WorkflowDeleted,
    WorkflowEntered,
    WorkflowTargetMatched,
    WorkflowTimeout,
    WorkflowSkipped,
    WorkerCreated,
    WorkerDeleted,
    WorkerActivityUpdate,
    WorkerAttributesUpdate,
    WorkerCapacityUpdate,
    WorkerChannelAvailabilityUpdate,
    ActivityCreated,
    ActivityUpdated,
    ActivityDeleted,
    TaskChannelCreated,
    TaskChannelUpdated,
    TaskChannelDeleted,
    WorkspaceCreated,
    WorkspaceUpdated,
    WorkspaceDeleted,
}

/// One event of the Workspace's log.
#[derive(Clone, Debug, PartialEq)]
pub struct PublicEvent {
    /// Place in the Workspace's log, from 1 without gaps.
    pub id: Id<PublicEvent>,
    pub sid: Sid<PublicEvent>,
    pub kind: EventKind,
    pub at: Timestamp,
    pub workspace_name: Arc<str>,
    pub operating_unit: Sid<OperatingUnit>,
    /// Address of the client whose request caused it; `None` for what the engine did by itself.
    pub source_ip: Option<Arc<str>>,
    pub task: Option<Box<TaskFacts>>,
    pub task_queue: Option<TaskQueueFacts>,
    pub workflow: Option<WorkflowFacts>,
    pub step: Option<Box<StepFacts>>,
    pub previous: Option<Box<PreviousFacts>>,
    pub worker: Option<Box<WorkerFacts>>,
    pub activity_change: Option<Box<ActivityChangeFacts>>,
    pub worker_channel: Option<Box<WorkerChannelFacts>>,
    pub reservation: Option<Box<ReservationFacts>>,
    pub transfer: Option<Box<TransferFacts>>,
    pub activity: Option<ActivityFacts>,
    pub task_channel: Option<TaskChannelFacts>,
}

impl Entity for PublicEvent {
    const PREFIX: &'static str = "EV";
}

/// An object that an event mentions.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum EventReference {
    Task(Sid<Task>),
    Worker(Sid<Worker>),
    TaskQueue(Sid<TaskQueue>),
    Workflow(Sid<Workflow>),
    Reservation(Sid<Reservation>),
    TaskChannel(Sid<TaskChannel>),
}

impl PublicEvent {
    /// Every object that its groups mention, in order and once each: what it is found by in the history.
    ///
    /// - Source: reference/events-and-callbacks.md, section 5 (filters) [oai].
    pub fn references(&self) -> Vec<EventReference> {
        let mut references = Vec::new();
        if let Some(task) = &self.task {
            references.push(EventReference::Task(task.sid));
            references.extend(task.task_channel.as_ref().map(|(sid, _)| EventReference::TaskChannel(*sid)));
            references.extend(task.known_worker.map(EventReference::Worker));
            references.extend(task.routing_target.map(EventReference::from));
        }
        if let Some(task_queue) = &self.task_queue {
            references.push(EventReference::TaskQueue(task_queue.sid));
        }
        if let Some((task_queue, _)) = self.previous.as_ref().and_then(|previous| previous.task_queue.as_ref()) {
            references.push(EventReference::TaskQueue(*task_queue));
        }
        if let Some(workflow) = &self.workflow {
            references.push(EventReference::Workflow(workflow.sid));
        }
        if let Some(worker) = &self.worker {
            references.push(EventReference::Worker(worker.sid));
        }
        if let Some(worker_channel) = &self.worker_channel {
            references.push(EventReference::TaskChannel(worker_channel.task_channel));
        }
        if let Some(reservation) = &self.reservation {
            references.push(EventReference::Reservation(reservation.sid));
        }
        if let Some(transfer) = &self.transfer {
            references.push(transfer.to.into());
            references.push(EventReference::Worker(transfer.initiating_worker));
            references.push(EventReference::Reservation(transfer.initiating_reservation));
        }
        if let Some(task_channel) = &self.task_channel {
            references.push(EventReference::TaskChannel(task_channel.sid));
        }
        references.sort_unstable();
        references.dedup();
        references
    }
}

impl From<RoutingTargetFacts> for EventReference {
    fn from(target: RoutingTargetFacts) -> Self {
        match target {
            RoutingTargetFacts::Worker(sid) => Self::Worker(sid),
            RoutingTargetFacts::TaskQueue(sid) => Self::TaskQueue(sid),
        }
    }
}

/// Group T of the reference.
#[derive(Clone, Debug, PartialEq)]
pub struct TaskFacts {
    pub sid: Sid<Task>,
    pub attributes: Arc<str>,
    pub priority: Priority,
    pub status: TaskStatus,
    /// `None` in a single-tasking Workspace.
    pub task_channel: Option<(Sid<TaskChannel>, Arc<str>)>,
    pub version: Version,
    pub date_created: Timestamp,
    pub virtual_start_time: Timestamp,
    pub timeout_seconds: u32,
    pub ignore_capacity: bool,
    pub routing_target: Option<RoutingTargetFacts>,
    pub reason: Option<Arc<str>>,
    /// The Worker that the step's known-worker reference resolves to.
    pub known_worker: Option<Sid<Worker>>,
    /// It was accepted before this event; statistics tell first and later acceptances apart by it.
    pub accepted_before: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RoutingTargetFacts {
    Worker(Sid<Worker>),
    TaskQueue(Sid<TaskQueue>),
}

/// Group Q, and QD of a queue's own events.
#[derive(Clone, Debug, PartialEq)]
pub struct TaskQueueFacts {
    pub sid: Sid<TaskQueue>,
    pub friendly_name: Arc<str>,
    pub target_workers: Option<Arc<str>>,
    /// When the Task entered it; `None` in a queue's own events.
    pub entered: Option<Timestamp>,
}

/// Groups W and WD.
#[derive(Clone, Debug, PartialEq)]
pub struct WorkflowFacts {
    pub sid: Sid<Workflow>,
    pub friendly_name: Arc<str>,
}

/// Group F: the step that the Task entered.
#[derive(Clone, Debug, PartialEq)]
pub struct StepFacts {
    pub position: Position,
    /// `None` for the default filter.
    pub filter_expression: Option<Arc<str>>,
    pub filter_name: Option<Arc<str>>,
    pub target_expression: Option<Arc<str>>,
    pub target_name: Option<Arc<str>>,
    /// `None` at the first evaluation.
    pub cause: Option<RoutingCause>,
}

/// Why a Task was routed again (reference: events-and-callbacks, section 2.5).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum RoutingCause {
    ReservationRejected,
    ReservationTimeout,
    ReservationCanceled,
    TargetTimeout,
    TargetSkipped,
    TaskUpdated,
    WorkflowUpdated,
    Transfer,
}

/// Group P: what the move changed.
#[derive(Clone, Debug, PartialEq)]
pub struct PreviousFacts {
    /// The queue left; on `task-queue.moved` only the new queue's name is kept, for the description.
    pub task_queue: Option<(Sid<TaskQueue>, Arc<str>)>,
    pub priority: Priority,
    pub moved_to: Option<Arc<str>>,
    pub cause: Option<RoutingCause>,
}

/// Group K.
#[derive(Clone, Debug, PartialEq)]
pub struct WorkerFacts {
    pub sid: Sid<Worker>,
    pub friendly_name: Arc<str>,
    pub attributes: Arc<str>,
    pub activity: Sid<Activity>,
    pub activity_name: Arc<str>,
    pub available: bool,
    pub version: Version,
    pub date_created: Timestamp,
    pub date_updated: Timestamp,
    pub date_status_changed: Timestamp,
}

/// Group KA.
#[derive(Clone, Debug, PartialEq)]
pub struct ActivityChangeFacts {
    pub previous: Sid<Activity>,
    pub previous_name: Arc<str>,
    /// Entry into the previous Activity.
    pub since: Timestamp,
}

/// Group C.
#[derive(Clone, Debug, PartialEq)]
pub struct WorkerChannelFacts {
    pub task_channel: Sid<TaskChannel>,
    pub unique_name: Arc<str>,
    pub available: bool,
    pub capacity: u32,
    pub previous_capacity: u32,
    pub available_capacity_percentage: u32,
    pub assigned_tasks: u32,
}

/// Group R.
#[derive(Clone, Debug, PartialEq)]
pub struct ReservationFacts {
    pub sid: Sid<Reservation>,
    pub version: Version,
    pub status: ReservationStatus,
    pub timeout_seconds: u32,
    pub reason_code: Option<u32>,
    /// Capacity and load of the Worker on the Task's channel.
    pub channel_capacity: u32,
    pub channel_consumed: u32,
    pub channel_last_reserved: Timestamp,
}

/// Group X.
#[derive(Clone, Debug, PartialEq)]
pub struct TransferFacts {
    pub sid: Sid<Transfer>,
    pub mode: TransferMode,
    pub to: RoutingTargetFacts,
    pub status: TransferStatus,
    pub initiating_worker: Sid<Worker>,
    pub initiating_reservation: Sid<Reservation>,
    pub started: Timestamp,
    pub failed_reason: Option<Arc<str>>,
}

/// Group A.
#[derive(Clone, Debug, PartialEq)]
pub struct ActivityFacts {
    pub sid: Sid<Activity>,
    pub friendly_name: Arc<str>,
    pub available: bool,
}

/// Group H.
#[derive(Clone, Debug, PartialEq)]
pub struct TaskChannelFacts {
    pub sid: Sid<TaskChannel>,
    pub friendly_name: Arc<str>,
    pub unique_name: Arc<str>,
    pub optimized_routing: bool,
}

/// The object an event is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Subject {
    Task(Sid<Task>),
    Reservation(Sid<Reservation>),
    Transfer(Sid<Transfer>),
    Worker(Sid<Worker>),
    TaskQueue(Sid<TaskQueue>),
    Workflow(Sid<Workflow>),
    Activity(Sid<Activity>),
    TaskChannel(Sid<TaskChannel>),
    Workspace(Sid<Workspace>),
}
