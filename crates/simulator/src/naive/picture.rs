//! The state as lines of text, one per object, the same for both routers. Comparing text keeps the comparison honest
//! and its report readable.

use pointsman_engine::State;

use super::Naive;
use super::model::Place;

impl Naive {
    /// Every fact that routing depends on.
    pub fn picture(&self) -> Vec<String> {
        let mut lines = vec![format!("next deadline {:?}", self.next_deadline().map(|at| at.0))];
        for worker in self.workers.values().filter(|worker| !worker.deleted) {
            lines.push(format!(
                "worker #{} activity #{} v{} updated {} status {} reserved {} active {:?}",
                worker.number,
                worker.activity,
                worker.version,
                worker.updated.0,
                worker.status_changed.0,
                worker.last_reserved.0,
                self.reservations
                    .values()
                    .filter(|row| row.worker == worker.number && row.status.is_active())
                    .map(|row| row.number)
                    .collect::<Vec<_>>(),
            ));
            for (number, channel) in &worker.channels {
                if self.channels[number].deleted {
                    continue;
                }
                lines.push(format!(
                    "  channel #{number} capacity {} available {} reserved {} load {} accepted {}",
                    channel.capacity,
                    channel.available,
                    channel.last_reserved.0,
                    self.load(worker.number, *number),
                    self.accepted_on(worker.number, *number),
                ));
            }
        }
        for task in self.tasks.values() {
            let waits = task.status.is_waiting();
            let place = task.place.filter(|_| waits).map(|place| match place {
                Place::Step(position) => {
                    format!("{position:?} until {:?}", self.step_deadline(task).map(|at| at.0))
                }
                Place::Queue => "queue".to_string(),
                Place::Worker(worker) => format!("worker #{worker}"),
            });
            lines.push(format!(
                "task #{} {:?} p{} v{} channel #{} queue {:?} since {:?} start {} updated {} place {} assigned {} \
                 failures {} held {:?} accepted {:?} finished {:?} restart {:?} reason {:?}",
                task.number,
                task.status,
                task.priority.0,
                task.version,
                task.channel,
                task.queue,
                task.queue_entered.map(|at| at.0),
                task.virtual_start.0,
                task.updated.0,
                place.unwrap_or_default(),
                task.assignments,
                task.failures,
                task.held_until.filter(|until| self.now < *until && waits).map(|at| at.0),
                task.first_accepted.map(|at| at.0),
                task.finished.map(|at| at.0),
                task.restart.filter(|_| waits && task.first_accepted.is_none()),
                task.reason,
            ));
        }
        for row in self.reservations.values() {
            lines.push(format!(
                "reservation #{} of task #{} for worker #{} queue {:?} {:?} v{} created {} updated {} timeout {} rested {} hold {:?} transfer {:?}",
                row.number,
                row.task,
                row.worker,
                row.queue,
                row.status,
                row.version,
                row.created.0,
                row.updated.0,
                row.timeout_seconds,
                row.rested.0,
                row.hold.map(|(until, _)| until.0),
                row.transfer,
            ));
        }
        for row in self.transfers.values() {
            lines.push(format!(
                "transfer #{} of task #{} {:?} {:?} {:?}",
                row.number, row.task, row.mode, row.status, row.failed_reason
            ));
        }
        for queue in self.queues.values().filter(|queue| !queue.deleted) {
            let members = self.workers.values().filter(|worker| self.is_member(worker, queue.number));
            let members: Vec<_> = members.map(|worker| worker.number).collect();
            lines.push(format!("queue #{} members {members:?}", queue.number));
        }
        lines
    }
}

/// The same lines of the engine's state.
pub fn picture_of_engine(engine: &pointsman_engine::Engine) -> Vec<String> {
    let state: &State = engine.state();
    let mut lines = vec![format!("next deadline {:?}", engine.next_deadline().map(|at| at.0))];
    for worker in state.workers() {
        lines.push(format!(
            "worker #{} activity #{} v{} updated {} status {} reserved {} active {:?}",
            worker.id.number(),
            worker.activity.number(),
            worker.version,
            worker.date_updated.0,
            worker.date_status_changed.0,
            worker.last_reserved.0,
            worker.active.iter().map(|id| id.number()).collect::<Vec<_>>(),
        ));
        for channel in &worker.channels {
            lines.push(format!(
                "  channel #{} capacity {} available {} reserved {} load {} accepted {}",
                channel.task_channel.number(),
                channel.capacity,
                channel.available,
                channel.last_reserved.0,
                channel.load(),
                channel.accepted,
            ));
        }
    }
    for task in state.tasks() {
        let waits = task.status.is_waiting();
        let place = task.place.filter(|_| waits).map(|place| match place {
            pointsman_engine::Place::Step { position, deadline } => {
                format!("{position:?} until {:?}", deadline.map(|at| at.0))
            }
            pointsman_engine::Place::Queue => "queue".to_string(),
            pointsman_engine::Place::Worker(worker) => format!("worker #{}", worker.number()),
        });
        lines.push(format!(
            "task #{} {:?} p{} v{} channel #{} queue {:?} since {:?} start {} updated {} place {} assigned {} \
             failures {} held {:?} accepted {:?} finished {:?} restart {:?} reason {:?}",
            task.id.number(),
            task.status,
            task.priority.0,
            task.version,
            task.task_channel.number(),
            task.task_queue.map(pointsman_engine::Id::number),
            task.task_queue_entered.map(|at| at.0),
            task.virtual_start_time.0,
            task.date_updated.0,
            place.unwrap_or_default(),
            task.assignments,
            task.hold_off.failures,
            task.hold_off.until.filter(|until| state.now() < *until && waits).map(|at| at.0),
            task.first_accepted.map(|at| at.0),
            task.finished.map(|at| at.0),
            task.restart.filter(|_| waits && task.first_accepted.is_none()),
            task.reason,
        ));
    }
    for row in state.reservations() {
        lines.push(format!(
            "reservation #{} of task #{} for worker #{} queue {:?} {:?} v{} created {} updated {} timeout {} rested {} hold {:?} transfer {:?}",
            row.id.number(),
            row.task.number(),
            row.worker.number(),
            row.task_queue.map(pointsman_engine::Id::number),
            row.status,
            row.version,
            row.date_created.0,
            row.date_updated.0,
            row.timeout_seconds,
            row.rested.0,
            row.on_hold_until.map(|at| at.0),
            row.transfer.map(pointsman_engine::Id::number),
        ));
    }
    for row in state.transfers() {
        lines.push(format!(
            "transfer #{} of task #{} {:?} {:?} {:?}",
            row.id.number(),
            row.task.number(),
            row.mode,
            row.status,
            row.failed_reason
        ));
    }
    for queue in state.task_queues() {
        let members: Vec<_> = engine.members(queue.id).map(pointsman_engine::Id::number).collect();
        lines.push(format!("queue #{} members {members:?}", queue.id.number()));
    }
    lines
}
