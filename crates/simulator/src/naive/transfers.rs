//! Transfers. Reference: routing, section 6.

use std::sync::Arc;

use pointsman_engine::{
    EventKind, InitiateTransfer, Rejection, Reply, ReservationStatus, RoutingCause, RoutingTargetFacts, TaskStatus,
    TransferMode, TransferRefusal, TransferStatus, TransferTargetSid,
};

use super::Naive;
use super::lifecycle::Ending;
use super::model::{Number, Place, Transfer};
use super::steps::Before;

impl Naive {
    pub(super) fn initiate_transfer(&mut self, request: &InitiateTransfer) -> Result<Reply, Rejection> {
        let (task, initiator) = (request.task.number(), request.reservation.number());
        let refuse = |reason| Err(Rejection::TransferRefused { reason });
        if self.open_transfer(task).is_some() {
            return refuse(TransferRefusal::TransferUnderWay);
        }
        if self.task(task).status != TaskStatus::Assigned {
            return refuse(TransferRefusal::TaskNotAssigned { task: request.task });
        }
        let reservation = self.reservation(initiator);
        if reservation.status != ReservationStatus::Accepted || reservation.task != task {
            return refuse(TransferRefusal::ReservationNotAccepted);
        }
        let initiating_worker = reservation.worker;
        let (target, queue) = match request.target {
            TransferTargetSid::Worker(sid) => {
                let named = |worker: &&super::Worker| !worker.deleted && self.sid(worker.number) == sid;
                let Some(worker) = self.workers.values().find(named) else {
                    return refuse(TransferRefusal::TargetUnknown);
                };
                if worker.number == initiating_worker {
                    return refuse(TransferRefusal::TargetIsInitiator);
                }
                let holds = |number: &Number| self.reservation(*number).worker == worker.number;
                if self.active_of(task).iter().any(holds) {
                    return refuse(TransferRefusal::TargetHoldsTask);
                }
                if !self.is_available(worker) {
                    return refuse(TransferRefusal::TargetUnavailable);
                }
                if !self.has_room(self.task(task), worker) {
                    return refuse(TransferRefusal::TargetWithoutCapacity);
                }
                (worker.number, None)
            }
            TransferTargetSid::TaskQueue(sid) => {
                let named = |queue: &&super::Queue| !queue.deleted && self.sid(queue.number) == sid;
                let Some(queue) = self.queues.values().find(named) else {
                    return refuse(TransferRefusal::TargetUnknown);
                };
                (queue.number, Some(queue.number))
            }
        };
        let number = self.next_number();
        let before = self.before(task);
        let now = self.now;
        let facts = match request.target {
            TransferTargetSid::Worker(sid) => RoutingTargetFacts::Worker(sid),
            TransferTargetSid::TaskQueue(sid) => RoutingTargetFacts::TaskQueue(sid),
        };
        self.transfers.insert(
            number,
            Transfer {
                number,
                task,
                initiator,
                initiating_worker,
                target: facts,
                to_queue: queue.is_some(),
                mode: request.mode,
                status: TransferStatus::Initiated,
                failed_reason: None,
                queue_before: before.queue,
                started: now,
            },
        );
        let row = self.task_mut(task);
        if let Some(attributes) = &request.attributes {
            row.attributes = attributes.clone();
        }
        row.priority = request.priority.unwrap_or(row.priority);
        row.restart = None;
        if request.mode == TransferMode::Cold {
            self.leaving.push(initiator);
        }
        if let Some(queue) = queue {
            self.set_task(task, TaskStatus::Pending, None);
            self.take_queue(task, queue);
            self.transfer_event(EventKind::TaskTransferInitiated, number);
            self.queue_change_events(task, before, RoutingCause::Transfer);
        } else {
            let made = self.make_reservations(task, &[target], Some(number));
            self.transfer_event(EventKind::TaskTransferInitiated, number);
            self.announce_reservations(&made);
        }
        Ok(Reply::Transfer(pointsman_engine::Id::new(number)))
    }

    /// Waits in a queue without a step.
    fn take_queue(&mut self, task: Number, queue: Number) {
        let now = self.now;
        let row = self.task_mut(task);
        row.place = Some(Place::Queue);
        // A pause that ran out while somebody had the Task is over.
        row.held_until = row.held_until.filter(|until| now < *until);
        if row.queue != Some(queue) {
            row.queue = Some(queue);
            row.queue_entered = Some(now);
        }
    }

    /// A transfer ends without success; the Task goes back to whoever has it, or to its queue (6.1). Gives the
    /// reservations that end with the Task when there is neither.
    pub(super) fn end_transfer(
        &mut self,
        transfer: Number,
        status: TransferStatus,
        reason: Option<Arc<str>>,
        cause: RoutingCause,
    ) -> Vec<Number> {
        let row = self.transfers.get_mut(&transfer).expect("it was open");
        row.status = status;
        row.failed_reason.clone_from(&reason);
        let (task, to_queue) = (row.task, row.to_queue);
        let back = row.queue_before.filter(|queue| !self.queues[queue].deleted);
        if !self.with_status(task, ReservationStatus::Accepted).is_empty() {
            self.set_task(task, TaskStatus::Assigned, None);
            if let (true, Some(queue)) = (to_queue, back) {
                self.take_queue(task, queue);
            }
            return Vec::new();
        }
        let Some(queue) = back else {
            self.set_task(task, TaskStatus::Canceled, reason.or(Some("Transfer was canceled".into())));
            return self.end_reservations(task).0.into_iter().map(|(_, number)| number).collect();
        };
        let fell_back = !self.task(task).is_pending();
        if fell_back || self.task(task).queue != Some(queue) {
            self.set_task(task, TaskStatus::Pending, None);
        }
        self.take_queue(task, queue);
        if fell_back {
            self.returned.push((task, cause));
        }
        Vec::new()
    }

    /// The events of an end without success, after those of the reservations.
    ///
    /// - `left`: the queue that the Task was in before.
    /// - `ended`: reservations that were completed because the Task is over.
    pub(super) fn end_of_transfer_events(
        &mut self,
        kind: EventKind,
        transfer: Number,
        left: Option<Before>,
        ended: &[Number],
    ) {
        let task = self.transfers[&transfer].task;
        self.transfer_event(kind, transfer);
        if self.task(task).status == TaskStatus::Canceled {
            self.task_event(EventKind::TaskCanceled, task);
            for number in ended {
                self.reservation_event(EventKind::ReservationCompleted, *number);
            }
            return;
        }
        if let Some(left) = left.filter(|left| left.queue != self.task(task).queue) {
            self.queue_change_events(task, left, RoutingCause::Transfer);
        }
        self.task_event(EventKind::TaskUpdated, task);
    }

    pub(super) fn cancel_transfer(&mut self, transfer: Number) -> Result<Reply, Rejection> {
        let row = &self.transfers[&transfer];
        if row.status != TransferStatus::Initiated {
            return Err(Rejection::TransferNotInitiated { transfer: self.sid(transfer), status: row.status });
        }
        let task = row.task;
        let left = self.before(task);
        let pending = self.with_status(task, ReservationStatus::Pending);
        let mut moves = Vec::new();
        for number in &pending {
            self.set_reservation(*number, ReservationStatus::Canceled);
            moves.extend(self.restore_activity(*number));
        }
        let ended = self.end_transfer(transfer, TransferStatus::Canceled, None, RoutingCause::ReservationCanceled);
        for number in pending {
            self.reservation_event(EventKind::ReservationCanceled, number);
        }
        self.activity_events(&moves);
        self.end_of_transfer_events(EventKind::TaskTransferCanceled, transfer, Some(left), &ended);
        Ok(Reply::Transfer(pointsman_engine::Id::new(transfer)))
    }

    /// The initiator of a cold transfer leaves after the matching.
    pub(super) fn leave(&mut self, initiator: Number) {
        let accepted = |reservation: &super::Reservation| reservation.status == ReservationStatus::Accepted;
        if self.reservations.get(&initiator).is_some_and(accepted) {
            self.wrap_one(initiator, None);
        }
    }

    /// What may be asked of a reservation whose set-up failed.
    pub(super) fn fail_setup(&mut self, number: Number, reason_code: Option<u32>) {
        self.reservation_mut(number).reason_code = reason_code;
        self.end_one_offer(number, Ending::Canceled, None);
    }
}
