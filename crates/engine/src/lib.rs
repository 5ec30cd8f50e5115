//! The task router itself: one [`Engine`] runs one Workspace.
//!
//! A [`Command`] is run in a [`Turn`]: it is refused, and nothing changes, or it makes [`Event`]s, which are folded
//! into the [`State`] at once. What clients see of a change is a [`PublicEvent`] with its payload as of that moment.
//! Both are in the [`TurnRecord`], which the caller commits before anything leaves the process.
//!
//! Nothing here reads a clock, draws a random number, opens a file or knows JSON's wire form: time and the seed of
//! identifiers are arguments, and the same commands at the same times give the same events. Reference: routing.
//!
//! Where to start: [`Engine`] and [`Turn`] for the life of a command, `commands/` for what each command does,
//! `routing/` for who gets what.
#![no_std]
#![forbid(unsafe_code)]
extern crate alloc;
#[cfg(test)]
extern crate std;

pub mod accounts;
pub mod configuration;
pub mod limits;

mod command;
mod commands;
mod engine;
mod event;
mod ids;
mod public_event;
mod publish;
mod rejection;
mod routing;
pub mod state;
mod turn;
mod values;

pub use crate::command::{
    Command, CreateTask, CreateTaskQueue, CreateWorkflow, CreateWorkspace, InitiateTransfer, Reply, RequestedStatus,
    RoutingTargetSid, SetupOutcome, Template, TransferTargetSid, UpdateTask, UpdateTaskQueue, UpdateWorker,
    UpdateWorkflow, UpdateWorkspace,
};
pub use crate::engine::Engine;
pub use crate::event::Event;
pub use crate::ids::{Account, ApiKey, Entity, Id, OperatingUnit, Sid, derive_sid};
pub use crate::limits::Limits;
pub use crate::public_event::{
    ActivityChangeFacts, ActivityFacts, EventKind, EventReference, PreviousFacts, PublicEvent, ReservationFacts,
    RoutingCause, RoutingTargetFacts, StepFacts, Subject, TaskChannelFacts, TaskFacts, TaskQueueFacts, TransferFacts,
    WorkerChannelFacts, WorkerFacts, WorkflowFacts,
};
pub use crate::rejection::{ActivityRole, InUse, Instruction, ObjectKind, Reference, Rejection, TransferRefusal};
pub use crate::state::{
    Activity, HoldOff, Kept, Place, Position, Reservation, RestartCause, RoutingTarget, Rules, Snapshot, State, Task,
    TaskChannel, TaskQueue, TaskQueueDefinition, TaskQueueRow, TaskRow, Transfer, TransferTarget, VoiceCall, Worker,
    WorkerChannel, WorkerScope, Workflow, WorkflowDefinition, WorkflowRow, Workspace, WorkspaceSettings,
};
pub use crate::turn::{AbandonedCall, Alert, Turn, TurnRecord};
pub use crate::values::{
    DurationMs, Ordering, Priority, ReservationStatus, TaskStatus, Tasking, Timestamp, TransferMode, TransferStatus,
    Version,
};
