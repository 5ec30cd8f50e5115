//! Activities. Reference: rest-contract, section 6.2.

use alloc::sync::Arc;

use super::{check_limit, check_name};
use crate::command::Reply;
use crate::event::Event;
use crate::ids::Id;
use crate::public_event::EventKind;
use crate::rejection::{InUse, ObjectKind, Rejection};
use crate::state::Activity;
use crate::turn::Turn;

pub(super) fn create(turn: &mut Turn<'_>, friendly_name: Arc<str>, available: bool) -> Result<Reply, Rejection> {
    let state = turn.state();
    check_name(ObjectKind::Activity, &friendly_name, state.activity_named(&friendly_name).map(|other| other.id), None)?;
    check_limit(ObjectKind::Activity, state.activities.len(), Some(turn.engine.limits.activities_max))?;
    let id = turn.next_id();
    turn.emit(Event::ActivityCreated { id, friendly_name, available });
    turn.publish_activity(EventKind::ActivityCreated, id);
    Ok(Reply::Activity(id))
}

pub(super) fn update(
    turn: &mut Turn<'_>,
    id: Id<Activity>,
    friendly_name: Option<Arc<str>>,
) -> Result<Reply, Rejection> {
    let state = turn.state();
    let activity = state.the_activity(id);
    if let Some(friendly_name) = friendly_name.filter(|name| *name != activity.friendly_name) {
        let holder = state.activity_named(&friendly_name).map(|other| other.id);
        check_name(ObjectKind::Activity, &friendly_name, holder, Some(id))?;
        turn.emit(Event::ActivityRenamed { id, friendly_name });
        turn.publish_activity(EventKind::ActivityUpdated, id);
    }
    Ok(Reply::Activity(id))
}

pub(super) fn delete(turn: &mut Turn<'_>, id: Id<Activity>) -> Result<Reply, Rejection> {
    let state = turn.state();
    let settings = &state.workspace().settings;
    if settings.default_activity == id {
        return Err(Rejection::InUse(InUse::ActivityIsDefault { activity: id }));
    }
    if settings.timeout_activity == id {
        return Err(Rejection::InUse(InUse::ActivityIsTimeout { activity: id }));
    }
    let workers = state.workers().filter(|worker| worker.activity == id).count();
    if workers > 0 {
        return Err(Rejection::InUse(InUse::ActivityHasWorkers { activity: id, workers: workers as u32 }));
    }
    let names = |definition: &crate::state::TaskQueueDefinition| {
        definition.reservation_activity == Some(id) || definition.assignment_activity == Some(id)
    };
    if let Some(queue) = state.task_queues().find(|queue| names(&queue.definition)) {
        return Err(Rejection::InUse(InUse::ActivityOfTaskQueue { activity: id, task_queue: queue.id }));
    }
    turn.publish_activity(EventKind::ActivityDeleted, id);
    turn.emit(Event::ActivityDeleted { id });
    Ok(Reply::Deleted)
}
