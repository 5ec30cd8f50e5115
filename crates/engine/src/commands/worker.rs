//! Workers and their channels. Reference: rest-contract, sections 6.3 to 6.5; routing, sections 4.3 and 4.4.

use alloc::sync::Arc;
use alloc::vec::Vec;

use pointsman_expression::Attributes;

use super::reservation::OfferEnd;
use super::task::fail_direct;
use super::{check_limit, check_name, named_activity};
use crate::command::{Reply, UpdateWorker};
use crate::event::Event;
use crate::ids::{Id, Sid};
use crate::public_event::{EventKind, RoutingCause};
use crate::publish::ActivityLeft;
use crate::rejection::{ActivityRole, InUse, ObjectKind, Rejection};
use crate::state::{Activity, Place, Reservation, State, TaskChannel, Worker};
use crate::turn::Turn;
use crate::values::{ReservationStatus, TaskStatus};

pub(super) fn create(
    turn: &mut Turn<'_>,
    friendly_name: Arc<str>,
    attributes: Attributes,
    activity: Option<Sid<Activity>>,
) -> Result<Reply, Rejection> {
    let state = turn.state();
    let activity = match activity {
        Some(sid) => named_activity(state, ActivityRole::Worker, sid)?,
        None => state.workspace().settings.default_activity,
    };
    check_name(ObjectKind::Worker, &friendly_name, state.worker_named(&friendly_name).map(|other| other.id), None)?;
    check_limit(ObjectKind::Worker, state.workers_count(), turn.engine.limits.workers_max)?;
    let id = turn.next_id();
    turn.emit(Event::WorkerCreated { id, friendly_name, attributes, activity });
    let task_channels: Vec<_> = turn.state().task_channels().map(|channel| channel.id).collect();
    for task_channel in task_channels {
        let channel = turn.next_id();
        turn.emit(Event::WorkerChannelAdded { worker: id, task_channel, id: channel });
    }
    turn.publish_worker(EventKind::WorkerCreated, id);
    Ok(Reply::Worker(id))
}

pub(super) fn update(turn: &mut Turn<'_>, update: UpdateWorker) -> Result<Reply, Rejection> {
    let state = turn.state();
    let id = update.id;
    let worker = state.the_worker(id);
    let activity = match update.activity {
        Some(sid) => named_activity(state, ActivityRole::Worker, sid)?,
        None => worker.activity,
    };
    if let Some(friendly_name) = &update.friendly_name {
        let holder = state.worker_named(friendly_name).map(|other| other.id);
        check_name(ObjectKind::Worker, friendly_name, holder, Some(id))?;
    }
    if update.reject_pending_reservations && state.the_activity(activity).available {
        return Err(Rejection::RejectPendingWhileAvailable);
    }

    // One version for the request, however many properties it changes.
    let version = worker.version.next();
    let friendly_name = update.friendly_name.filter(|name| *name != worker.friendly_name);
    let attributes = update.attributes.filter(|attributes| !attributes.same_json(&worker.attributes));
    let left = ActivityLeft { activity: worker.activity, since: worker.date_status_changed };
    let updated = friendly_name.is_some() || attributes.is_some();
    let moved = activity != worker.activity;
    if updated {
        let friendly_name = friendly_name.unwrap_or_else(|| worker.friendly_name.clone());
        let attributes = attributes.unwrap_or_else(|| worker.attributes.clone());
        turn.emit(Event::WorkerUpdated { id, friendly_name, attributes, version });
    }
    if moved {
        turn.emit(Event::WorkerActivityChanged { id, activity, version, reservation: None });
    }
    let rejected = if update.reject_pending_reservations { pending_reservations(turn.state(), id) } else { Vec::new() };
    let ends: Vec<OfferEnd> = rejected
        .iter()
        .map(|reservation| {
            OfferEnd::emit(turn, *reservation, ReservationStatus::Rejected, RoutingCause::ReservationRejected)
        })
        .collect();

    if updated {
        turn.publish_worker(EventKind::WorkerAttributesUpdate, id);
    }
    if moved {
        turn.publish_activity_change(id, left);
    }
    for end in &ends {
        end.publish_reservation(turn);
    }
    for end in ends {
        end.publish_consequences(turn);
    }
    Ok(Reply::Worker(id))
}

pub(super) fn delete(turn: &mut Turn<'_>, id: Id<Worker>) -> Result<Reply, Rejection> {
    let state = turn.state();
    let worker = state.the_worker(id);
    if state.is_available(worker) {
        return Err(Rejection::InUse(InUse::WorkerAvailable { worker: id }));
    }
    let held =
        |reservation: &&Id<Reservation>| state.the_reservation(**reservation).status != ReservationStatus::Pending;
    let reservations = worker.active.iter().filter(held).count();
    if reservations > 0 {
        return Err(Rejection::InUse(InUse::WorkerHasReservations { worker: id, reservations: reservations as u32 }));
    }
    let pending = pending_reservations(state, id);
    // Tasks that wait for this Worker alone, without an offer.
    let stranded: Vec<_> = state
        .tasks()
        .filter(|task| task.place == Some(Place::Worker(id)) && task.status == TaskStatus::Pending)
        .map(|task| task.id)
        .collect();
    let ends: Vec<OfferEnd> = pending
        .iter()
        .map(|reservation| {
            OfferEnd::emit(turn, *reservation, ReservationStatus::Canceled, RoutingCause::ReservationCanceled)
        })
        .collect();
    for end in &ends {
        end.publish_reservation(turn);
    }
    turn.publish_worker(EventKind::WorkerDeleted, id);
    turn.emit(Event::WorkerDeleted { id });
    for end in ends {
        end.publish_consequences(turn);
    }
    for task in stranded {
        fail_direct(turn, task);
    }
    Ok(Reply::Deleted)
}

pub(super) fn update_channel(
    turn: &mut Turn<'_>,
    id: Id<Worker>,
    task_channel: Id<TaskChannel>,
    capacity: Option<u32>,
    available: Option<bool>,
) -> Reply {
    let channel = turn.state().the_worker(id).channel(task_channel).expect("Workers have every TaskChannel");
    let (before, available_before) = (channel.capacity, channel.available);
    // Each change is a transition of its own, capacity first.
    if let Some(capacity) = capacity.filter(|capacity| *capacity != before) {
        change_channel(turn, id, task_channel, capacity, available_before);
        turn.publish_worker_channel(EventKind::WorkerCapacityUpdate, id, task_channel, before);
    }
    let capacity = capacity.unwrap_or(before);
    if let Some(available) = available.filter(|available| *available != available_before) {
        change_channel(turn, id, task_channel, capacity, available);
        turn.publish_worker_channel(EventKind::WorkerChannelAvailabilityUpdate, id, task_channel, capacity);
    }
    Reply::WorkerChannel(id, task_channel)
}

fn change_channel(
    turn: &mut Turn<'_>,
    worker: Id<Worker>,
    task_channel: Id<TaskChannel>,
    capacity: u32,
    available: bool,
) {
    let worker_version = turn.state().the_worker(worker).version.next();
    turn.emit(Event::WorkerChannelUpdated { worker, task_channel, capacity, available, worker_version });
}

/// The Worker's open offers in creation order.
fn pending_reservations(state: &State, id: Id<Worker>) -> Vec<Id<Reservation>> {
    let pending = |id: &&Id<Reservation>| state.the_reservation(**id).status == ReservationStatus::Pending;
    state.the_worker(id).active.iter().filter(pending).copied().collect()
}
