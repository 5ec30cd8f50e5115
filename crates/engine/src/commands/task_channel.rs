//! TaskChannels. Reference: rest-contract, section 6.6.

use alloc::sync::Arc;
use alloc::vec::Vec;

use super::{check_limit, check_name};
use crate::command::Reply;
use crate::event::Event;
use crate::ids::Id;
use crate::public_event::EventKind;
use crate::rejection::{InUse, ObjectKind, Rejection};
use crate::state::TaskChannel;
use crate::turn::Turn;

pub(super) fn create(
    turn: &mut Turn<'_>,
    friendly_name: Arc<str>,
    unique_name: Arc<str>,
    optimized_routing: bool,
) -> Result<Reply, Rejection> {
    let state = turn.state();
    let holder = state.task_channel_by_name(&unique_name).map(|other| other.id);
    check_name(ObjectKind::TaskChannel, &unique_name, holder, None)?;
    check_limit(ObjectKind::TaskChannel, state.task_channels.len(), Some(turn.engine.limits.task_channels_max))?;
    let id = turn.next_id();
    turn.emit(Event::TaskChannelCreated { id, unique_name, friendly_name, optimized_routing, built_in: false });
    let workers: Vec<_> = turn.state().workers().map(|worker| worker.id).collect();
    for worker in workers {
        let channel = turn.next_id();
        turn.emit(Event::WorkerChannelAdded { worker, task_channel: id, id: channel });
    }
    turn.publish_task_channel(EventKind::TaskChannelCreated, id);
    Ok(Reply::TaskChannel(id))
}

pub(super) fn update(
    turn: &mut Turn<'_>,
    id: Id<TaskChannel>,
    friendly_name: Option<Arc<str>>,
    optimized_routing: Option<bool>,
) -> Reply {
    let channel = turn.state().the_task_channel(id);
    let friendly_name = friendly_name.unwrap_or_else(|| channel.friendly_name.clone());
    let optimized_routing = optimized_routing.unwrap_or(channel.optimized_routing);
    if friendly_name != channel.friendly_name || optimized_routing != channel.optimized_routing {
        turn.emit(Event::TaskChannelUpdated { id, friendly_name, optimized_routing });
        turn.publish_task_channel(EventKind::TaskChannelUpdated, id);
    }
    Reply::TaskChannel(id)
}

pub(super) fn delete(turn: &mut Turn<'_>, id: Id<TaskChannel>) -> Result<Reply, Rejection> {
    let state = turn.state();
    if state.the_task_channel(id).built_in {
        return Err(Rejection::InUse(InUse::TaskChannelBuiltIn { task_channel: id }));
    }
    let tasks = state.tasks().filter(|task| task.task_channel == id && !task.status.is_terminal()).count();
    if tasks > 0 {
        return Err(Rejection::InUse(InUse::TaskChannelHasTasks { task_channel: id, tasks: tasks as u32 }));
    }
    turn.publish_task_channel(EventKind::TaskChannelDeleted, id);
    turn.emit(Event::TaskChannelDeleted { id });
    Ok(Reply::Deleted)
}
