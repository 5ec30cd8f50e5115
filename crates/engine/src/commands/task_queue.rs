//! TaskQueues. Reference: rest-contract, section 6.7.

use super::{check_limit, check_name, named_activity};
use crate::command::{CreateTaskQueue, Reply, UpdateTaskQueue};
use crate::event::Event;
use crate::ids::{Id, Sid};
use crate::public_event::EventKind;
use crate::rejection::{ActivityRole, InUse, ObjectKind, Rejection};
use crate::state::{Activity, State, TaskQueue, TaskQueueDefinition, non_empty};
use crate::turn::Turn;
use crate::values::Ordering;

pub(super) fn create(turn: &mut Turn<'_>, create: CreateTaskQueue) -> Result<Reply, Rejection> {
    let state = turn.state();
    let reservation_activity =
        first_activity(state, ActivityRole::Reservation, "Reserved", create.reservation_activity)?;
    let assignment_activity = first_activity(state, ActivityRole::Assignment, "Busy", create.assignment_activity)?;
    let holder = state.task_queue_named(&create.friendly_name).map(|other| other.id);
    check_name(ObjectKind::TaskQueue, &create.friendly_name, holder, None)?;
    check_limit(ObjectKind::TaskQueue, state.task_queues.len(), turn.engine.limits.task_queues_max)?;
    let definition = TaskQueueDefinition {
        friendly_name: create.friendly_name,
        target_workers: match &create.target_workers {
            None => Some("1==1".into()),
            Some(text) => non_empty(text),
        },
        max_reserved_workers: create.max_reserved_workers.unwrap_or(1),
        task_order: create.task_order.unwrap_or(Ordering::Fifo),
        reservation_activity,
        assignment_activity,
    };
    let id = turn.next_id();
    turn.emit(Event::TaskQueueCreated { id, definition });
    turn.publish_task_queue(EventKind::TaskQueueCreated, id);
    Ok(Reply::TaskQueue(id))
}

pub(super) fn update(turn: &mut Turn<'_>, update: UpdateTaskQueue) -> Result<Reply, Rejection> {
    let state = turn.state();
    let id = update.id;
    let now = &state.the_task_queue(id).definition;
    let reservation_activity =
        changed_activity(state, ActivityRole::Reservation, now.reservation_activity, update.reservation_activity)?;
    let assignment_activity =
        changed_activity(state, ActivityRole::Assignment, now.assignment_activity, update.assignment_activity)?;
    if let Some(friendly_name) = &update.friendly_name {
        let holder = state.task_queue_named(friendly_name).map(|other| other.id);
        check_name(ObjectKind::TaskQueue, friendly_name, holder, Some(id))?;
    }
    let definition = TaskQueueDefinition {
        friendly_name: update.friendly_name.unwrap_or_else(|| now.friendly_name.clone()),
        target_workers: match &update.target_workers {
            None => now.target_workers.clone(),
            Some(text) => non_empty(text),
        },
        max_reserved_workers: update.max_reserved_workers.unwrap_or(now.max_reserved_workers),
        task_order: update.task_order.unwrap_or(now.task_order),
        reservation_activity,
        assignment_activity,
    };
    if definition != *now {
        let rebound = definition.target_workers != now.target_workers;
        turn.emit(Event::TaskQueueUpdated { id, definition });
        if rebound {
            turn.publish_task_queue(EventKind::TaskQueueExpressionUpdated, id);
        }
    }
    Ok(Reply::TaskQueue(id))
}

pub(super) fn delete(turn: &mut Turn<'_>, id: Id<TaskQueue>) -> Result<Reply, Rejection> {
    let state = turn.state();
    let names = |workflow: &&crate::state::Workflow| workflow.configuration.task_queues().any(|queue| queue == id);
    if let Some(workflow) = state.workflows().find(names) {
        return Err(Rejection::InUse(InUse::TaskQueueOfWorkflow { task_queue: id, workflow: workflow.id }));
    }
    // Also through an older version of its rules, or back from a transfer.
    let reaches = |task: &&crate::state::Task| {
        (task.status.is_waiting()
            && (task.task_queue == Some(id)
                || task.configuration.as_ref().is_some_and(|rules| rules.task_queues().any(|queue| queue == id))))
            || state.open_transfer(task).is_some_and(|transfer| transfer.queue_before == Some(id))
    };
    let tasks = state.tasks().filter(reaches).count();
    if tasks > 0 {
        return Err(Rejection::InUse(InUse::TaskQueueHasTasks { task_queue: id, tasks: tasks as u32 }));
    }
    turn.publish_task_queue(EventKind::TaskQueueDeleted, id);
    turn.emit(Event::TaskQueueDeleted { id });
    Ok(Reply::Deleted)
}

/// In a single-tasking Workspace a queue has both Activities: those of the usual names when none are given.
fn first_activity(
    state: &State,
    role: ActivityRole,
    usual_name: &str,
    given: Option<Sid<Activity>>,
) -> Result<Option<Id<Activity>>, Rejection> {
    match given {
        Some(sid) => named_activity(state, role, sid).map(Some),
        None if state.is_multitask() => Ok(None),
        None => match state.activity_named(usual_name) {
            Some(activity) => Ok(Some(activity.id)),
            None => Err(Rejection::ActivityRequired { parameter: role }),
        },
    }
}

#[expect(clippy::option_option, reason = "as in the command: absent, detached, named")]
fn changed_activity(
    state: &State,
    role: ActivityRole,
    now: Option<Id<Activity>>,
    given: Option<Option<Sid<Activity>>>,
) -> Result<Option<Id<Activity>>, Rejection> {
    match given {
        None => Ok(now),
        Some(None) => Ok(None),
        Some(Some(sid)) => named_activity(state, role, sid).map(Some),
    }
}
