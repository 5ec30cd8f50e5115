//! What was deleted stays as *retired* while a Task still refers to it: an assigned Task keeps the name of its queue, a
//! past reservation that of its Worker.
//!
//! The scans here run when something is deleted, and when a Task goes that referred to something deleted; never else.

use alloc::vec::Vec;

use super::{
    Activity, Keep, Place, Reservation, RoutingTarget, State, Task, TaskChannel, TaskQueue, Transfer, TransferTarget,
    Worker, Workflow,
};
use crate::ids::Id;

/// Retired objects that a Task refers to.
#[derive(Debug, Default)]
pub(super) struct Held {
    activities: Vec<Id<Activity>>,
    task_channels: Vec<Id<TaskChannel>>,
    task_queues: Vec<Id<TaskQueue>>,
    workers: Vec<Id<Worker>>,
    workflows: Vec<Id<Workflow>>,
}

impl State {
    pub(super) fn keep_activity(&self, id: Id<Activity>) -> Keep {
        let worker = self.workers.retired().any(|worker| worker.activity == id);
        keep(worker || self.tasks.iter().any(|task| self.refers_to_activity(task, id)))
    }

    pub(super) fn keep_task_channel(&self, id: Id<TaskChannel>) -> Keep {
        keep(self.tasks.iter().any(|task| task.task_channel == id))
    }

    pub(super) fn keep_task_queue(&self, id: Id<TaskQueue>) -> Keep {
        let workflow = self.workflows.retired().any(|workflow| names(workflow, id));
        keep(workflow || self.tasks.iter().any(|task| self.refers_to_task_queue(task, id)))
    }

    pub(super) fn keep_worker(&self, id: Id<Worker>) -> Keep {
        keep(self.tasks.iter().any(|task| self.refers_to_worker(task, id)))
    }

    pub(super) fn keep_workflow(&self, id: Id<Workflow>) -> Keep {
        keep(self.tasks.iter().any(|task| task.workflow == Some(id)))
    }

    /// What may be forgotten once this Task is gone.
    pub(super) fn retired_for(&self, task: &Task) -> Held {
        let activities = self.activities.retired().map(|row| row.id);
        let task_channels = self.task_channels.retired().map(|row| row.id);
        let task_queues = self.task_queues.retired().map(|row| row.id);
        let workers = self.workers.retired().map(|row| row.id);
        let workflows = self.workflows.retired().map(|row| row.id);
        Held {
            activities: activities.filter(|id| self.refers_to_activity(task, *id)).collect(),
            task_channels: task_channels.filter(|id| task.task_channel == *id).collect(),
            task_queues: task_queues.filter(|id| self.refers_to_task_queue(task, *id)).collect(),
            workers: workers.filter(|id| self.refers_to_worker(task, *id)).collect(),
            workflows: workflows.filter(|id| task.workflow == Some(*id)).collect(),
        }
    }

    pub(super) fn forget_unless_kept(&mut self, mut held: Held) {
        for id in held.task_channels {
            if self.keep_task_channel(id) == Keep::Nothing {
                self.task_channels.forget_retired(id);
            }
        }
        // A Workflow goes before the queues that its rules name, a Worker before the Activity that it is in.
        for id in held.workflows {
            if self.keep_workflow(id) == Keep::Nothing {
                let queues = self.task_queues.retired().map(|queue| queue.id);
                let workflow = self.workflow(id).expect("still retired");
                held.task_queues.extend(queues.filter(|queue| names(workflow, *queue)));
                self.workflows.forget_retired(id);
            }
        }
        for id in held.task_queues {
            if self.keep_task_queue(id) == Keep::Nothing {
                self.task_queues.forget_retired(id);
            }
        }
        for id in held.workers {
            if self.keep_worker(id) == Keep::Nothing {
                held.activities.push(self.the_worker(id).activity);
                self.workers.forget_retired(id);
            }
        }
        for id in held.activities {
            if self.keep_activity(id) == Keep::Nothing {
                self.activities.forget_retired(id);
            }
        }
    }

    /// Reservations remember Activities that they may have to restore.
    fn refers_to_activity(&self, task: &Task, id: Id<Activity>) -> bool {
        self.reservations_of(task)
            .any(|reservation| reservation.previous_activity == id || reservation.engine_activity == Some(id))
    }

    fn refers_to_task_queue(&self, task: &Task, id: Id<TaskQueue>) -> bool {
        task.task_queue == Some(id)
            || task.routing_target == Some(RoutingTarget::TaskQueue(id))
            || task.configuration.as_ref().is_some_and(|rules| rules.task_queues().any(|queue| queue == id))
            || self.reservations_of(task).any(|reservation| reservation.task_queue == Some(id))
            || self
                .transfers_of(task)
                .any(|transfer| transfer.queue_before == Some(id) || transfer.target == TransferTarget::TaskQueue(id))
    }

    fn refers_to_worker(&self, task: &Task, id: Id<Worker>) -> bool {
        task.routing_target == Some(RoutingTarget::Worker(id))
            || task.place == Some(Place::Worker(id))
            || self.reservations_of(task).any(|reservation| reservation.worker == id)
            || self
                .transfers_of(task)
                .any(|transfer| transfer.initiating_worker == id || transfer.target == TransferTarget::Worker(id))
    }

    fn reservations_of<'a>(&'a self, task: &'a Task) -> impl Iterator<Item = &'a Reservation> + 'a {
        task.reservations.iter().map(|id| self.the_reservation(*id))
    }

    fn transfers_of<'a>(&'a self, task: &'a Task) -> impl Iterator<Item = &'a Transfer> + 'a {
        task.transfers.iter().map(|id| self.the_transfer(*id))
    }
}

fn keep(kept: bool) -> Keep {
    if kept { Keep::Retired } else { Keep::Nothing }
}

fn names(workflow: &Workflow, queue: Id<TaskQueue>) -> bool {
    workflow.configuration.task_queues().any(|named| named == queue)
}
