//! Workflows. Reference: rest-contract, section 6.8; routing, section 2.8.

use alloc::boxed::Box;
use alloc::sync::Arc;
use alloc::vec::Vec;

use super::{check_limit, check_name};
use crate::command::{CreateWorkflow, Reply, UpdateWorkflow};
use crate::configuration::Configuration;
use crate::event::Event;
use crate::ids::{Id, Sid};
use crate::limits::RESERVATION_TIMEOUT_SECONDS_DEFAULT;
use crate::public_event::EventKind;
use crate::rejection::{InUse, ObjectKind, Rejection};
use crate::state::{RestartCause, State, Task, Workflow, WorkflowDefinition};
use crate::turn::Turn;
use crate::values::TaskStatus;

pub(super) fn create(turn: &mut Turn<'_>, create: CreateWorkflow) -> Result<Reply, Rejection> {
    let id = turn.next_id();
    let state = turn.state();
    let holder = state.workflow_named(&create.friendly_name).map(|other| other.id);
    check_configuration(state, id, &create.configuration)?;
    check_name(ObjectKind::Workflow, &create.friendly_name, holder, None)?;
    check_limit(ObjectKind::Workflow, state.workflows.len(), turn.engine.limits.workflows_max)?;
    let definition = WorkflowDefinition {
        friendly_name: create.friendly_name,
        configuration: create.configuration,
        assignment_callback_url: create.assignment_callback_url,
        fallback_assignment_callback_url: create.fallback_assignment_callback_url,
        task_reservation_timeout_seconds: create
            .task_reservation_timeout_seconds
            .unwrap_or(RESERVATION_TIMEOUT_SECONDS_DEFAULT),
    };
    turn.emit(Event::WorkflowCreated { id, definition });
    turn.publish_workflow(EventKind::WorkflowCreated, id);
    Ok(Reply::Workflow(id))
}

pub(super) fn update(turn: &mut Turn<'_>, update: UpdateWorkflow) -> Result<Reply, Rejection> {
    let state = turn.state();
    let id = update.id;
    let workflow = state.workflow(id).expect("found before");
    let now = &workflow.definition;
    if let Some(configuration) = &update.configuration {
        check_configuration(state, id, configuration)?;
    }
    if let Some(friendly_name) = &update.friendly_name {
        let holder = state.workflow_named(friendly_name).map(|other| other.id);
        check_name(ObjectKind::Workflow, friendly_name, holder, Some(id))?;
    }
    let definition = WorkflowDefinition {
        friendly_name: update.friendly_name.unwrap_or_else(|| now.friendly_name.clone()),
        configuration: update.configuration.unwrap_or_else(|| now.configuration.clone()),
        assignment_callback_url: update.assignment_callback_url.unwrap_or_else(|| now.assignment_callback_url.clone()),
        fallback_assignment_callback_url: update
            .fallback_assignment_callback_url
            .unwrap_or_else(|| now.fallback_assignment_callback_url.clone()),
        task_reservation_timeout_seconds: update
            .task_reservation_timeout_seconds
            .unwrap_or(now.task_reservation_timeout_seconds),
    };
    if definition != *now {
        turn.emit(Event::WorkflowUpdated { id, definition });
        turn.publish_workflow(EventKind::WorkflowUpdated, id);
    }
    if update.re_evaluate_tasks {
        re_evaluate(turn, id);
    }
    Ok(Reply::Workflow(id))
}

/// Sends the Workflow's waiting Tasks through its present rules: pending ones now, reserved ones when they come back.
fn re_evaluate(turn: &mut Turn<'_>, id: Id<Workflow>) {
    let follows = |task: &&Task| task.workflow == Some(id) && task.configuration.is_some() && task.status.is_waiting();
    let waiting: Vec<_> = turn.state().tasks().filter(follows).map(|task| (task.id, task.status)).collect();
    for (task, status) in waiting {
        if status == TaskStatus::Pending {
            turn.restart(task, RestartCause::WorkflowUpdated);
        } else {
            turn.emit(Event::TaskRestartChanged { id: task, restart: Some(RestartCause::WorkflowUpdated) });
        }
    }
}

pub(super) fn delete(turn: &mut Turn<'_>, id: Id<Workflow>) -> Result<Reply, Rejection> {
    let waits = |task: &&Task| task.workflow == Some(id) && task.status.is_waiting();
    let tasks = turn.state().tasks().filter(waits).count();
    if tasks > 0 {
        return Err(Rejection::InUse(InUse::WorkflowHasTasks { workflow: id, tasks: tasks as u32 }));
    }
    turn.publish_workflow(EventKind::WorkflowDeleted, id);
    turn.emit(Event::WorkflowDeleted { id });
    Ok(Reply::Deleted)
}

fn check_configuration(state: &State, id: Id<Workflow>, text: &Arc<str>) -> Result<(), Rejection> {
    let queue = |sid: &str| Sid::parse(sid).and_then(|sid| state.find_task_queue(sid)).map(|queue| queue.id);
    match Configuration::parse(id, text, &queue) {
        Ok(_) => Ok(()),
        Err(error) => Err(Rejection::ConfigurationInvalid(Box::new(error))),
    }
}
