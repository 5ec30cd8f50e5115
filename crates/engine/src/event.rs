//! What happened: the only way the state changes, and what the journal keeps.
//!
//! Events are complete facts. [`State::evolve`](crate::State::evolve) decides nothing: replay needs no clock, no
//! random number and no routing rule. Identifiers, resulting versions and deadlines are carried, never recomputed.

use alloc::boxed::Box;
use alloc::sync::Arc;

use pointsman_expression::Attributes;

use crate::ids::{Account, Id, Sid};
use crate::state::{
    Activity, Place, Reservation, RestartCause, RoutingTarget, Task, TaskChannel, TaskQueue, TaskQueueDefinition,
    Transfer, TransferTarget, VoiceCall, Worker, WorkerChannel, Workflow, WorkflowDefinition, Workspace,
    WorkspaceSettings,
};
use crate::values::{Priority, ReservationStatus, TaskStatus, Timestamp, TransferMode, TransferStatus, Version};

/// One fact about one Workspace. The instant of an event is that of the last [`Event::TimeAdvanced`] before it.
#[derive(Clone, Debug, PartialEq)]
pub enum Event {
    TimeAdvanced {
        at: Timestamp,
    },

    WorkspaceCreated {
        sid: Sid<Workspace>,
        number: u64,
        account: Sid<Account>,
        seed: [u8; 16],
        settings: WorkspaceSettings,
    },
    WorkspaceUpdated {
        settings: WorkspaceSettings,
    },
    WorkspaceDeleted,

    ActivityCreated {
        id: Id<Activity>,
        friendly_name: Arc<str>,
        available: bool,
    },
    ActivityRenamed {
        id: Id<Activity>,
        friendly_name: Arc<str>,
    },
    ActivityDeleted {
        id: Id<Activity>,
    },

    TaskChannelCreated {
        id: Id<TaskChannel>,
        unique_name: Arc<str>,
        friendly_name: Arc<str>,
        optimized_routing: bool,
        built_in: bool,
    },
    TaskChannelUpdated {
        id: Id<TaskChannel>,
        friendly_name: Arc<str>,
        optimized_routing: bool,
    },
    TaskChannelDeleted {
        id: Id<TaskChannel>,
    },

    WorkerCreated {
        id: Id<Worker>,
        friendly_name: Arc<str>,
        attributes: Attributes,
        activity: Id<Activity>,
    },
    /// A Worker got its channel, because one of the two was created.
    WorkerChannelAdded {
        worker: Id<Worker>,
        task_channel: Id<TaskChannel>,
        id: Id<WorkerChannel>,
    },
    /// Name or attributes changed.
    WorkerUpdated {
        id: Id<Worker>,
        friendly_name: Arc<str>,
        attributes: Attributes,
        version: Version,
    },
    /// `reservation`: the one that made the engine move the Worker (single-tasking).
    WorkerActivityChanged {
        id: Id<Worker>,
        activity: Id<Activity>,
        version: Version,
        reservation: Option<Id<Reservation>>,
    },
    WorkerChannelUpdated {
        worker: Id<Worker>,
        task_channel: Id<TaskChannel>,
        capacity: u32,
        available: bool,
        worker_version: Version,
    },
    WorkerDeleted {
        id: Id<Worker>,
    },

    TaskQueueCreated {
        id: Id<TaskQueue>,
        definition: TaskQueueDefinition,
    },
    TaskQueueUpdated {
        id: Id<TaskQueue>,
        definition: TaskQueueDefinition,
    },
    TaskQueueDeleted {
        id: Id<TaskQueue>,
    },

    WorkflowCreated {
        id: Id<Workflow>,
        definition: WorkflowDefinition,
    },
    /// A different text is a new version of the configuration.
    WorkflowUpdated {
        id: Id<Workflow>,
        definition: WorkflowDefinition,
    },
    WorkflowDeleted {
        id: Id<Workflow>,
    },

    TaskCreated {
        id: Id<Task>,
        attributes: Attributes,
        priority: Priority,
        task_channel: Id<TaskChannel>,
        timeout_seconds: u32,
        virtual_start_time: Timestamp,
        workflow: Option<Id<Workflow>>,
        /// Follows the Workflow's present rules; false when it is routed directly.
        follows_workflow: bool,
        routing_target: Option<RoutingTarget>,
        ignore_capacity: bool,
        enqueue_action: Option<Arc<str>>,
    },
    /// Properties that a request changed.
    TaskUpdated {
        id: Id<Task>,
        attributes: Attributes,
        priority: Priority,
        task_channel: Id<TaskChannel>,
        virtual_start_time: Timestamp,
        reason: Option<Arc<str>>,
        version: Version,
    },
    /// It waits in another place, or in another queue. Leaving every place is `None`.
    TaskPlaced {
        id: Id<Task>,
        place: Option<Place>,
        task_queue: Option<Id<TaskQueue>>,
        priority: Priority,
        clock_start: Timestamp,
        budget_seconds: u64,
        version: Version,
    },
    /// A move to reserved counts as an assignment, the first to assigned starts the assigned limit.
    TaskStatusChanged {
        id: Id<Task>,
        status: TaskStatus,
        reason: Option<Arc<str>>,
        version: Version,
    },
    /// It follows the present version of its Workflow's configuration, and is nowhere until it is placed there.
    TaskConfigurationChanged {
        id: Id<Task>,
    },
    TaskRestartChanged {
        id: Id<Task>,
        restart: Option<RestartCause>,
    },
    TaskHoldOffChanged {
        id: Id<Task>,
        failures: u32,
        until: Option<Timestamp>,
    },
    /// The Task and its reservations are gone.
    TaskRemoved {
        id: Id<Task>,
    },

    ReservationCreated {
        id: Id<Reservation>,
        task: Id<Task>,
        worker: Id<Worker>,
        timeout_seconds: u32,
        transfer: Option<Id<Transfer>>,
        worker_version: Version,
    },
    ReservationStatusChanged {
        id: Id<Reservation>,
        status: ReservationStatus,
        reason_code: Option<u32>,
        version: Version,
    },
    /// Channel set-up began (`until` is when it is given up), or ended without an outcome.
    ReservationHoldChanged {
        id: Id<Reservation>,
        until: Option<Timestamp>,
    },
    /// What telephony did for it.
    ReservationCallChanged {
        id: Id<Reservation>,
        call: Option<Box<VoiceCall>>,
    },

    TransferInitiated {
        id: Id<Transfer>,
        task: Id<Task>,
        initiating_reservation: Id<Reservation>,
        target: TransferTarget,
        mode: TransferMode,
        version: Version,
    },
    TransferChanged {
        id: Id<Transfer>,
        status: TransferStatus,
        failed_reason: Option<Arc<str>>,
        version: Version,
    },
}
