//! What may be asked of a Workspace. Objects of the request's path are named by [`Id`], since they were found
//! before; objects that a parameter names are given by [`Sid`] and may turn out not to exist.

use alloc::boxed::Box;
use alloc::string::String;
use alloc::sync::Arc;

use pointsman_expression::Attributes;

use crate::ids::{Account, Id, Sid};
use crate::rejection::Instruction;
use crate::state::{
    Activity, Reservation, Task, TaskChannel, TaskQueue, Transfer, VoiceCall, Worker, Workflow, Workspace,
};
use crate::values::{Ordering, Priority, Tasking, Timestamp, TransferMode};

/// A request for one turn. `None` in an update means "leave it".
#[derive(Clone, Debug)]
pub enum Command {
    UpdateWorkspace(UpdateWorkspace),
    DeleteWorkspace,
    CreateActivity {
        friendly_name: Arc<str>,
        available: bool,
    },
    UpdateActivity {
        id: Id<Activity>,
        friendly_name: Option<Arc<str>>,
    },
    DeleteActivity {
        id: Id<Activity>,
    },
    CreateTaskChannel {
        friendly_name: Arc<str>,
        unique_name: Arc<str>,
        optimized_routing: bool,
    },
    UpdateTaskChannel {
        id: Id<TaskChannel>,
        friendly_name: Option<Arc<str>>,
        optimized_routing: Option<bool>,
    },
    DeleteTaskChannel {
        id: Id<TaskChannel>,
    },
    CreateWorker {
        friendly_name: Arc<str>,
        attributes: Attributes,
        activity: Option<Sid<Activity>>,
    },
    UpdateWorker(UpdateWorker),
    DeleteWorker {
        id: Id<Worker>,
    },
    UpdateWorkerChannel {
        worker: Id<Worker>,
        task_channel: Id<TaskChannel>,
        capacity: Option<u32>,
        available: Option<bool>,
    },
    CreateTaskQueue(CreateTaskQueue),
    UpdateTaskQueue(UpdateTaskQueue),
    DeleteTaskQueue {
        id: Id<TaskQueue>,
    },
    CreateWorkflow(CreateWorkflow),
    UpdateWorkflow(UpdateWorkflow),
    DeleteWorkflow {
        id: Id<Workflow>,
    },
    CreateTask(CreateTask),
    UpdateTask(UpdateTask),
    DeleteTask {
        id: Id<Task>,
    },
    AcceptReservation {
        id: Id<Reservation>,
    },
    /// `activity`: where the Worker goes.
    RejectReservation {
        id: Id<Reservation>,
        activity: Option<Sid<Activity>>,
    },
    WrapReservation {
        id: Id<Reservation>,
    },
    CompleteReservation {
        id: Id<Reservation>,
    },
    /// Channel set-up for an instruction begins: the reservation is on hold until its outcome.
    BeginSetup {
        reservation: Id<Reservation>,
        instruction: Instruction,
    },
    EndSetup {
        reservation: Id<Reservation>,
        outcome: SetupOutcome,
    },
    /// Takes down what telephony did. Routing does not depend on it, and clients do not see it.
    NoteCall {
        reservation: Id<Reservation>,
        call: Box<VoiceCall>,
    },
    /// The Worker's voice leg ended; in either mode it may move the Worker.
    EndLeg {
        reservation: Id<Reservation>,
        activity: Option<Sid<Activity>>,
    },
    /// The assignment callback was answered: the row of failures ends.
    AnswerCallback {
        reservation: Id<Reservation>,
    },
    /// The assignment callback and its fallback failed: the offer is withdrawn and the Task held off.
    FailCallback {
        reservation: Id<Reservation>,
    },
    /// The server itself writes Task attributes (`worker_call_sid`, `conference`).
    WriteTaskAttributes {
        id: Id<Task>,
        attributes: Attributes,
    },
    /// The customer is gone: a Task that still waits is canceled. No request of the API, so no `task.updated`.
    AbandonTask {
        id: Id<Task>,
        reason: Arc<str>,
    },
    InitiateTransfer(InitiateTransfer),
    CancelTransfer {
        id: Id<Transfer>,
    },
}

/// Brings a Workspace into being, with what its template provides. The only command that has no state to run on.
#[derive(Clone, Debug)]
pub struct CreateWorkspace {
    /// 16 random bytes from which every other SID of the Workspace follows.
    pub seed: [u8; 16],
    pub sid: Sid<Workspace>,
    /// Place in the creation order of all Workspaces, as one counter of the server gives it.
    pub number: u64,
    pub account: Sid<Account>,
    pub friendly_name: Arc<str>,
    pub event_callback_url: Option<Arc<str>>,
    pub events_filter: Option<Arc<str>>,
    pub tasking: Tasking,
    pub prioritize_queue_order: Ordering,
    pub template: Template,
    /// Address of the client whose request this is, for the events.
    pub source_ip: Option<Arc<str>>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Template {
    #[default]
    None,
    Fifo,
}

#[derive(Clone, Debug, Default)]
pub struct UpdateWorkspace {
    pub friendly_name: Option<Arc<str>>,
    /// `Some(None)` clears.
    pub event_callback_url: Option<Option<Arc<str>>>,
    /// Empty clears: all events again.
    pub events_filter: Option<Arc<str>>,
    pub tasking: Option<Tasking>,
    /// The account has a single-tasking Workspace, so this one may become one.
    pub may_become_single_tasking: bool,
    pub prioritize_queue_order: Option<Ordering>,
    pub default_activity: Option<Sid<Activity>>,
    pub timeout_activity: Option<Sid<Activity>>,
}

#[derive(Clone, Debug)]
pub struct UpdateWorker {
    pub id: Id<Worker>,
    pub friendly_name: Option<Arc<str>>,
    pub attributes: Option<Attributes>,
    pub activity: Option<Sid<Activity>>,
    pub reject_pending_reservations: bool,
}

#[derive(Clone, Debug)]
pub struct CreateTaskQueue {
    pub friendly_name: Arc<str>,
    /// Absent is `1==1`; empty or blank matches nobody.
    pub target_workers: Option<Arc<str>>,
    pub max_reserved_workers: Option<u32>,
    pub task_order: Option<Ordering>,
    pub reservation_activity: Option<Sid<Activity>>,
    pub assignment_activity: Option<Sid<Activity>>,
}

#[derive(Clone, Debug)]
pub struct UpdateTaskQueue {
    pub id: Id<TaskQueue>,
    pub friendly_name: Option<Arc<str>>,
    pub target_workers: Option<Arc<str>>,
    pub max_reserved_workers: Option<u32>,
    pub task_order: Option<Ordering>,
    /// `Some(None)` detaches.
    pub reservation_activity: Option<Option<Sid<Activity>>>,
    pub assignment_activity: Option<Option<Sid<Activity>>>,
}

#[derive(Clone, Debug)]
pub struct CreateWorkflow {
    pub friendly_name: Arc<str>,
    pub configuration: Arc<str>,
    pub assignment_callback_url: Option<Arc<str>>,
    pub fallback_assignment_callback_url: Option<Arc<str>>,
    pub task_reservation_timeout_seconds: Option<u32>,
}

#[derive(Clone, Debug)]
pub struct UpdateWorkflow {
    pub id: Id<Workflow>,
    pub friendly_name: Option<Arc<str>>,
    pub configuration: Option<Arc<str>>,
    /// `Some(None)` clears.
    pub assignment_callback_url: Option<Option<Arc<str>>>,
    pub fallback_assignment_callback_url: Option<Option<Arc<str>>>,
    pub task_reservation_timeout_seconds: Option<u32>,
    pub re_evaluate_tasks: bool,
}

#[derive(Clone, Debug, Default)]
pub struct CreateTask {
    pub attributes: Attributes,
    pub workflow: Option<Sid<Workflow>>,
    pub timeout_seconds: Option<u32>,
    pub priority: Option<Priority>,
    /// SID or unique name.
    pub task_channel: Option<String>,
    pub virtual_start_time: Option<Timestamp>,
    pub routing_target: Option<RoutingTargetSid>,
    pub ignore_capacity: Option<bool>,
    /// The queue that a Task for one Worker is shown under.
    pub task_queue: Option<Sid<TaskQueue>>,
    /// Of a call that waits: the URL at which it goes on afterwards.
    pub enqueue_action: Option<Arc<str>>,
}

/// Where a new Task is sent straight away.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RoutingTargetSid {
    Worker(Sid<Worker>),
    TaskQueue(Sid<TaskQueue>),
    Workflow(Sid<Workflow>),
}

#[derive(Clone, Debug)]
pub struct UpdateTask {
    pub id: Id<Task>,
    pub attributes: Option<Attributes>,
    pub status: Option<RequestedStatus>,
    pub reason: Option<Arc<str>>,
    pub priority: Option<Priority>,
    /// SID or unique name.
    pub task_channel: Option<String>,
    pub virtual_start_time: Option<Timestamp>,
}

/// The `AssignmentStatus` values that a request may set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RequestedStatus {
    Canceled,
    Wrapping,
    Completed,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SetupOutcome {
    Accepted,
    /// It came to nothing, and the reservation is an offer as before.
    Released,
    Failed {
        reason_code: Option<u32>,
    },
}

#[derive(Clone, Debug)]
pub struct InitiateTransfer {
    pub task: Id<Task>,
    pub reservation: Id<Reservation>,
    pub target: TransferTargetSid,
    pub mode: TransferMode,
    pub attributes: Option<Attributes>,
    pub priority: Option<Priority>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TransferTargetSid {
    Worker(Sid<Worker>),
    TaskQueue(Sid<TaskQueue>),
}

/// The object that a command created or changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reply {
    Workspace,
    Activity(Id<Activity>),
    TaskChannel(Id<TaskChannel>),
    Worker(Id<Worker>),
    WorkerChannel(Id<Worker>, Id<TaskChannel>),
    TaskQueue(Id<TaskQueue>),
    Workflow(Id<Workflow>),
    Task(Id<Task>),
    Reservation(Id<Reservation>),
    Transfer(Id<Transfer>),
    Deleted,
}
