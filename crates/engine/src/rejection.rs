//! What the engine refuses: values without texts. The `api` crate gives each its status, code and message.

use alloc::boxed::Box;
use alloc::string::String;
use alloc::sync::Arc;

use crate::configuration::ConfigurationError;
use crate::ids::{Id, Sid};
use crate::state::{Activity, Task, TaskChannel, TaskQueue, Transfer, Worker, Workflow};
use crate::values::{ReservationStatus, TransferStatus};

/// A command was refused; nothing changed.
#[derive(Clone, Debug, PartialEq)]
pub enum Rejection {
    /// A parameter names an object that this Workspace does not have.
    Unknown(Reference),
    /// Another object has the name.
    NameTaken {
        kind: ObjectKind,
        name: Arc<str>,
    },
    /// Creating one more would exceed a limit.
    LimitReached {
        kind: ObjectKind,
        limit: u32,
    },
    /// An object cannot be deleted; says why.
    InUse(InUse),
    /// Multitask to single-task is not allowed here.
    CannotBecomeSingleTasking,
    /// A single-task queue needs both Activities and there is none of the usual name.
    ActivityRequired {
        parameter: ActivityRole,
    },
    RejectPendingWhileAvailable,
    ConfigurationInvalid(Box<ConfigurationError>),
    WorkflowRequired,
    /// `RoutingTarget` and `WorkflowSid` name different Workflows.
    RoutingTargetConflict,
    IgnoreCapacityWithoutWorker,
    VirtualStartTimeInFuture,
    TaskNotCancelable,
    TaskNotCompletable,
    TaskNotWrappable,
    SingleTasking,
    TaskChannelOfFinishedTask {
        status: &'static str,
    },
    /// The reservation is in a status that does not allow the change.
    ReservationInStatus {
        status: ReservationStatus,
        requested: ReservationStatus,
    },
    ReservationOnHold,
    /// An instruction needs a pending reservation.
    InstructionNotPending {
        instruction: Instruction,
    },
    InstructionDuringTransfer,
    TransferRefused {
        reason: TransferRefusal,
    },
    TransferNotInitiated {
        transfer: Sid<Transfer>,
        status: TransferStatus,
    },
}

/// A named object that does not exist, by the role in which it was named.
#[derive(Clone, Debug, PartialEq)]
pub enum Reference {
    Activity {
        role: ActivityRole,
        sid: Sid<Activity>,
    },
    Workflow(Sid<Workflow>),
    TaskQueue(Sid<TaskQueue>),
    RoutingTarget(String),
    /// By SID or unique name, as given.
    TaskChannel(String),
}

/// What an Activity is named for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ActivityRole {
    Worker,
    Default,
    Timeout,
    Reservation,
    Assignment,
    /// Where a rejecting Worker goes.
    Rejection,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ObjectKind {
    Activity,
    Worker,
    TaskQueue,
    Workflow,
    TaskChannel,
    Task,
}

/// Why a deletion is refused (reference: rest-contract, section 8.3).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum InUse {
    ActivityIsDefault { activity: Id<Activity> },
    ActivityIsTimeout { activity: Id<Activity> },
    ActivityHasWorkers { activity: Id<Activity>, workers: u32 },
    ActivityOfTaskQueue { activity: Id<Activity>, task_queue: Id<TaskQueue> },
    WorkerAvailable { worker: Id<Worker> },
    WorkerHasReservations { worker: Id<Worker>, reservations: u32 },
    TaskChannelBuiltIn { task_channel: Id<TaskChannel> },
    TaskChannelHasTasks { task_channel: Id<TaskChannel>, tasks: u32 },
    TaskQueueOfWorkflow { task_queue: Id<TaskQueue>, workflow: Id<Workflow> },
    TaskQueueHasTasks { task_queue: Id<TaskQueue>, tasks: u32 },
    WorkflowHasTasks { workflow: Id<Workflow>, tasks: u32 },
}

/// Assignment instructions (reference: routing, section 5).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Instruction {
    Call,
    Dequeue,
    Redirect,
    Conference,
}

/// Why a transfer cannot be initiated (reference: routing, section 6.1).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TransferRefusal {
    TaskNotAssigned { task: Id<Task> },
    ReservationNotAccepted,
    TransferUnderWay,
    TargetUnknown,
    TargetIsInitiator,
    TargetHoldsTask,
    TargetUnavailable,
    TargetWithoutCapacity,
}
