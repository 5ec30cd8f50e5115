//! One module per entity: what each command checks, emits and publishes.
//!
//! Every function has the same shape: refusals first, in the documented order; then events; then what clients see.

pub(crate) mod activity;
pub(crate) mod reservation;
pub(crate) mod setup;
pub(crate) mod task;
pub(crate) mod task_channel;
pub(crate) mod task_queue;
pub(crate) mod timer;
pub(crate) mod transfer;
pub(crate) mod worker;
pub(crate) mod workflow;
pub(crate) mod workspace;

use alloc::sync::Arc;

use crate::command::{Command, Reply};
use crate::ids::{Id, Sid};
use crate::rejection::{ActivityRole, ObjectKind, Reference, Rejection};
use crate::state::{Activity, State};
use crate::turn::Turn;

pub(crate) fn run(turn: &mut Turn<'_>, command: Command) -> Result<Reply, Rejection> {
    assert!(!turn.state().is_deleted(), "nothing runs in a deleted Workspace");
    match command {
        Command::UpdateWorkspace(update) => workspace::update(turn, update),
        Command::DeleteWorkspace => Ok(workspace::delete(turn)),
        Command::CreateActivity { friendly_name, available } => activity::create(turn, friendly_name, available),
        Command::UpdateActivity { id, friendly_name } => activity::update(turn, id, friendly_name),
        Command::DeleteActivity { id } => activity::delete(turn, id),
        Command::CreateTaskChannel { friendly_name, unique_name, optimized_routing } => {
            task_channel::create(turn, friendly_name, unique_name, optimized_routing)
        }
        Command::UpdateTaskChannel { id, friendly_name, optimized_routing } => {
            Ok(task_channel::update(turn, id, friendly_name, optimized_routing))
        }
        Command::DeleteTaskChannel { id } => task_channel::delete(turn, id),
        Command::CreateWorker { friendly_name, attributes, activity } => {
            worker::create(turn, friendly_name, attributes, activity)
        }
        Command::UpdateWorker(update) => worker::update(turn, update),
        Command::DeleteWorker { id } => worker::delete(turn, id),
        Command::UpdateWorkerChannel { worker, task_channel, capacity, available } => {
            Ok(worker::update_channel(turn, worker, task_channel, capacity, available))
        }
        Command::CreateTaskQueue(create) => task_queue::create(turn, create),
        Command::UpdateTaskQueue(update) => task_queue::update(turn, update),
        Command::DeleteTaskQueue { id } => task_queue::delete(turn, id),
        Command::CreateWorkflow(create) => workflow::create(turn, create),
        Command::UpdateWorkflow(update) => workflow::update(turn, update),
        Command::DeleteWorkflow { id } => workflow::delete(turn, id),
        Command::CreateTask(create) => task::create(turn, create),
        Command::UpdateTask(update) => task::update(turn, update),
        Command::DeleteTask { id } => Ok(task::delete(turn, id)),
        Command::AcceptReservation { id } => reservation::accept(turn, id),
        Command::RejectReservation { id, activity } => reservation::reject(turn, id, activity),
        Command::WrapReservation { id } => reservation::wrap(turn, id),
        Command::CompleteReservation { id } => reservation::complete(turn, id),
        Command::BeginSetup { reservation, instruction } => setup::begin(turn, reservation, instruction),
        Command::EndSetup { reservation, outcome } => Ok(setup::end(turn, reservation, outcome)),
        Command::NoteCall { reservation, call } => Ok(setup::note_call(turn, reservation, call)),
        Command::EndLeg { reservation, activity } => Ok(setup::end_leg(turn, reservation, activity)),
        Command::AnswerCallback { reservation } => Ok(reservation::answer_callback(turn, reservation)),
        Command::FailCallback { reservation } => Ok(reservation::fail_callback(turn, reservation)),
        Command::WriteTaskAttributes { id, attributes } => Ok(task::write_attributes(turn, id, attributes)),
        Command::AbandonTask { id, reason } => Ok(task::abandon(turn, id, reason)),
        Command::InitiateTransfer(initiate) => transfer::initiate(turn, initiate),
        Command::CancelTransfer { id } => transfer::cancel(turn, id),
    }
}

/// The Activity that a parameter names.
fn named_activity(state: &State, role: ActivityRole, sid: Sid<Activity>) -> Result<Id<Activity>, Rejection> {
    match state.find_activity(sid) {
        Some(activity) => Ok(activity.id),
        None => Err(Rejection::Unknown(Reference::Activity { role, sid })),
    }
}

/// Refuses a name that another object has.
fn check_name<E>(
    kind: ObjectKind,
    name: &Arc<str>,
    holder: Option<Id<E>>,
    own: Option<Id<E>>,
) -> Result<(), Rejection> {
    match holder {
        Some(holder) if Some(holder) != own => Err(Rejection::NameTaken { kind, name: name.clone() }),
        _ => Ok(()),
    }
}

/// Refuses one object too many.
fn check_limit(kind: ObjectKind, count: usize, limit: Option<u32>) -> Result<(), Rejection> {
    match limit {
        Some(limit) if count >= limit as usize => Err(Rejection::LimitReached { kind, limit }),
        _ => Ok(()),
    }
}
