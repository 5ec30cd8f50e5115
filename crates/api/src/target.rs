//! The object that a request's path names.

use pointsman_engine::{
    Activity, Id, Reply, Reservation, State, Task, TaskChannel, TaskQueue, Version, Worker, Workflow,
};

use crate::resources::WorkerChannelRow;
use crate::resources::{
    ACTIVITY, TASK, TASK_CHANNEL, TASK_QUEUE, TASK_RESERVATION, WORKER, WORKER_CHANNEL, WORKER_RESERVATION, WORKFLOW,
    WORKSPACE,
};
use crate::table::Context;

/// Found in the state of this very turn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Target {
    Workspace,
    Activity(Id<Activity>),
    TaskChannel(Id<TaskChannel>),
    TaskQueue(Id<TaskQueue>),
    Workflow(Id<Workflow>),
    Worker(Id<Worker>),
    WorkerChannel(Id<Worker>, Id<TaskChannel>),
    Task(Id<Task>),
    /// A reservation under the address of its Task.
    TaskReservation(Id<Reservation>),
    /// A reservation under the address of its Worker.
    WorkerReservation(Id<Reservation>),
}

impl Target {
    /// What a command created, as the target of its answer.
    pub(crate) fn of(reply: Reply) -> Option<Self> {
        match reply {
            Reply::Workspace => Some(Self::Workspace),
            Reply::Activity(id) => Some(Self::Activity(id)),
            Reply::TaskChannel(id) => Some(Self::TaskChannel(id)),
            Reply::Worker(id) => Some(Self::Worker(id)),
            Reply::WorkerChannel(worker, task_channel) => Some(Self::WorkerChannel(worker, task_channel)),
            Reply::TaskQueue(id) => Some(Self::TaskQueue(id)),
            Reply::Workflow(id) => Some(Self::Workflow(id)),
            Reply::Task(id) => Some(Self::Task(id)),
            Reply::Reservation(id) => Some(Self::TaskReservation(id)),
            // Transfers have no REST resource of their own.
            Reply::Transfer(_) | Reply::Deleted => None,
        }
    }

    /// The version in its `ETag`, of the resources that have one (reference: rest-contract, section 2.1).
    pub(crate) fn version(self, state: &State) -> Option<Version> {
        match self {
            Self::Worker(id) => state.worker(id).map(|worker| worker.version),
            Self::Task(id) => state.task(id).map(|task| task.version),
            Self::TaskReservation(id) | Self::WorkerReservation(id) => {
                state.reservation(id).map(|reservation| reservation.version)
            }
            Self::Workspace
            | Self::Activity(_)
            | Self::TaskChannel(_)
            | Self::TaskQueue(_)
            | Self::Workflow(_)
            | Self::WorkerChannel(..) => None,
        }
    }

    /// The JSON of the object.
    pub(crate) fn render(self, context: &Context<'_>) -> String {
        let state = context.state();
        let mut out = String::with_capacity(2_048);
        let found = "the target was found in this turn";
        match self {
            Self::Workspace => WORKSPACE.render(&mut out, state.workspace(), context),
            Self::Activity(id) => ACTIVITY.render(&mut out, state.activity(id).expect(found), context),
            Self::TaskChannel(id) => TASK_CHANNEL.render(&mut out, state.task_channel(id).expect(found), context),
            Self::TaskQueue(id) => TASK_QUEUE.render(&mut out, state.task_queue(id).expect(found), context),
            Self::Workflow(id) => WORKFLOW.render(&mut out, state.workflow(id).expect(found), context),
            Self::Worker(id) => WORKER.render(&mut out, state.worker(id).expect(found), context),
            Self::WorkerChannel(worker, task_channel) => {
                let row = WorkerChannelRow::find(state, worker, task_channel).expect(found);
                WORKER_CHANNEL.render(&mut out, &row, context);
            }
            Self::Task(id) => TASK.render(&mut out, state.task(id).expect(found), context),
            Self::TaskReservation(id) => {
                TASK_RESERVATION.render(&mut out, state.reservation(id).expect(found), context);
            }
            Self::WorkerReservation(id) => {
                WORKER_RESERVATION.render(&mut out, state.reservation(id).expect(found), context);
            }
        }
        out
    }
}
