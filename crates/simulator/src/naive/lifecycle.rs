//! The state machines of Tasks and reservations. Reference: routing, sections 3.6 to 3.8, 4.1, 4.2, 4.6 and 4.8.
//!
//! Every function here is one transition: first everything changes, then the events are made, so that their payloads
//! show the state after it.

use std::sync::Arc;

use pointsman_engine::{
    EventKind, ReservationStatus, RoutingCause, TaskStatus, Timestamp, TransferStatus, Worker as WorkerEntity,
};

use super::matching::Moved;
use super::model::{Number, Place};
use super::{Canary, Naive};

/// How a pending reservation ends without acceptance.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ending {
    Rejected,
    Timeout,
    Canceled,
    /// Canceled because its assignment callback and the fallback failed.
    CallbackFailed,
}

/// What a reservation that ended means for its Task, in events that come later in the transition.
#[derive(Clone, Debug)]
pub(super) enum Outcome {
    GoesOn,
    Direct(Number),
    AttemptFailed(Number),
    /// With the reservations that ended because nobody was left.
    TransferFailed(Number, Vec<Number>),
}

impl Ending {
    fn status(self) -> ReservationStatus {
        match self {
            Self::Rejected => ReservationStatus::Rejected,
            Self::Timeout => ReservationStatus::Timeout,
            Self::Canceled | Self::CallbackFailed => ReservationStatus::Canceled,
        }
    }

    fn kind(self) -> EventKind {
        match self {
            Self::Rejected => EventKind::ReservationRejected,
            Self::Timeout => EventKind::ReservationTimeout,
            Self::Canceled | Self::CallbackFailed => EventKind::ReservationCanceled,
        }
    }

    fn cause(self) -> RoutingCause {
        match self {
            Self::Rejected => RoutingCause::ReservationRejected,
            Self::Timeout => RoutingCause::ReservationTimeout,
            Self::Canceled | Self::CallbackFailed => RoutingCause::ReservationCanceled,
        }
    }

    fn transfer_reason(self) -> &'static str {
        match self {
            Self::Rejected => "Transfer failed because the reservation was rejected",
            Self::Timeout => "Transfer failed because the reservation timed out",
            Self::Canceled | Self::CallbackFailed => "Transfer failed because the reservation was canceled",
        }
    }

    fn attempt_reason(self) -> &'static str {
        match self {
            Self::Rejected => {
                "Transfer attempt failed on reservation reject because there are no more pending reservations"
            }
            Self::Timeout => {
                "Transfer attempt failed on reservation timeout because there are no more pending reservations"
            }
            Self::Canceled | Self::CallbackFailed => {
                "Transfer attempt failed on reservation cancel because there are no more pending reservations"
            }
        }
    }
}

impl Naive {
    pub(super) fn set_reservation(&mut self, number: Number, status: ReservationStatus) {
        let now = self.now;
        let reservation = self.reservation_mut(number);
        assert!(reservation.status.can_become(status), "{number}: {:?} to {status:?}", reservation.status);
        reservation.status = status;
        reservation.version = reservation.version.next();
        reservation.updated = now;
        reservation.hold = None;
    }

    pub(super) fn set_task(&mut self, number: Number, status: TaskStatus, reason: Option<Arc<str>>) {
        let now = self.now;
        let task = self.task_mut(number);
        task.status = status;
        task.version = task.version.next();
        task.updated = now;
        if reason.is_some() {
            task.reason = reason;
        }
        if status.is_terminal() {
            task.finished = Some(now);
        }
    }

    /// Changes the Activity of a Worker, if it is another one.
    pub(super) fn move_worker(&mut self, worker: Number, activity: Number) -> Option<Moved> {
        let now = self.now;
        let row = self.worker_mut(worker);
        if row.activity == activity {
            return None;
        }
        let moved = Moved { worker, previous: row.activity, since: row.status_changed };
        row.activity = activity;
        row.status_changed = now;
        row.version = row.version.next();
        Some(moved)
    }

    /// The Worker of a reservation that came to nothing goes back where the engine took it from (3.7).
    pub(super) fn restore_activity(&mut self, reservation: Number) -> Option<Moved> {
        let row = self.reservation(reservation);
        let (worker, engine_activity, previous) = (row.worker, row.engine_activity?, row.previous_activity);
        let still_there = self.workers[&worker].activity == engine_activity;
        let exists = !self.activities[&previous].deleted;
        if still_there && exists { self.move_worker(worker, previous) } else { None }
    }

    /// A pending reservation ends without acceptance, with what that means for its Task (4.1, 6.1).
    pub(super) fn end_offer(&mut self, number: Number, ending: Ending) -> Outcome {
        self.set_reservation(number, ending.status());
        let reservation = self.reservation(number);
        let (task, transfer) = (reservation.task, reservation.transfer);
        if !self.with_status(task, ReservationStatus::Pending).is_empty() {
            return Outcome::GoesOn;
        }
        let open = self.open_transfer(task).filter(|open| Some(*open) == transfer);
        let place = self.task(task).place;
        let outcome = match (open, place) {
            (Some(open), _) if self.transfers[&open].to_queue => {
                let row = self.transfers.get_mut(&open).expect("found above");
                row.failed_reason = Some(ending.attempt_reason().into());
                self.set_task(task, TaskStatus::Pending, None);
                self.returned.push((task, ending.cause()));
                Outcome::AttemptFailed(open)
            }
            (Some(open), _) => {
                let reason = Some(ending.transfer_reason().into());
                Outcome::TransferFailed(open, self.end_transfer(open, TransferStatus::Failed, reason, ending.cause()))
            }
            (None, Some(Place::Worker(target))) if ending != Ending::CallbackFailed => {
                let target = self.sid::<WorkerEntity>(target);
                let reason = format!("RoutingTarget not available for Reservation acceptance: {target}");
                self.set_task(task, TaskStatus::Canceled, Some(reason.into()));
                Outcome::Direct(task)
            }
            (None, _) => {
                self.set_task(task, TaskStatus::Pending, None);
                self.returned.push((task, ending.cause()));
                Outcome::GoesOn
            }
        };
        if ending == Ending::CallbackFailed && self.task(task).is_pending() {
            let now = self.now;
            let row = self.task_mut(task);
            row.failures += 1;
            let seconds = 1_i64.checked_shl(row.failures - 1).unwrap_or(60).min(60);
            row.held_until = Some(Timestamp(now.0 + seconds * 1000));
        }
        outcome
    }

    pub(super) fn outcome_events(&mut self, outcome: Outcome) {
        match outcome {
            Outcome::GoesOn => {}
            Outcome::Direct(task) => self.task_event(EventKind::TaskCanceled, task),
            Outcome::AttemptFailed(transfer) => {
                let task = self.transfers[&transfer].task;
                self.transfer_event(EventKind::TaskTransferAttemptFailed, transfer);
                self.task_event(EventKind::TaskUpdated, task);
            }
            Outcome::TransferFailed(transfer, ended) => {
                self.end_of_transfer_events(EventKind::TaskTransferFailed, transfer, None, &ended);
            }
        }
    }

    /// One offer ends; the Worker goes to `activity`, if any, else where `restores` says.
    pub(super) fn end_one_offer(&mut self, number: Number, ending: Ending, activity: Option<Number>) {
        let worker = self.reservation(number).worker;
        let outcome = self.end_offer(number, ending);
        let moved = match activity {
            Some(activity) => self.move_worker(worker, activity),
            None if ending == Ending::Timeout => self.timed_out_worker(number),
            None => self.restore_activity(number),
        };
        if ending == Ending::Rejected && self.canary == Canary::RejectionKeepsIdleness {
            let created = self.workers[&worker].created;
            self.worker_mut(worker).last_reserved = created;
        }
        self.reservation_event(ending.kind(), number);
        self.activity_events(moved.as_slice());
        self.outcome_events(outcome);
    }

    /// Where a Worker goes whose reservation timed out (3.8).
    fn timed_out_worker(&mut self, number: Number) -> Option<Moved> {
        let reservation = self.reservation(number);
        let (worker, engine_activity) = (reservation.worker, reservation.engine_activity);
        let row = &self.workers[&worker];
        let put_there = engine_activity == Some(row.activity);
        if self.is_available(row) || put_there { self.move_worker(worker, self.timeout_activity) } else { None }
    }

    /// A pending reservation is accepted (4.2).
    pub(super) fn accept(&mut self, number: Number) {
        let reservation = self.reservation(number);
        let (task, worker, queue, transfer) =
            (reservation.task, reservation.worker, reservation.queue, reservation.transfer);
        self.set_reservation(number, ReservationStatus::Accepted);
        let rescinded = self.with_status(task, ReservationStatus::Pending);
        for sibling in &rescinded {
            self.set_reservation(*sibling, ReservationStatus::Rescinded);
        }
        self.set_task(task, TaskStatus::Assigned, None);
        let completed = transfer.filter(|transfer| self.open_transfer(task) == Some(*transfer));
        if let Some(transfer) = completed {
            let row = self.transfers.get_mut(&transfer).expect("it is open");
            row.status = TransferStatus::Complete;
            row.failed_reason = None;
        }
        let mut moves = Vec::new();
        let assignment = queue.and_then(|queue| self.queues[&queue].assignment_activity);
        if let Some(activity) = assignment.filter(|_| self.is_single()) {
            moves.extend(self.move_worker(worker, activity));
        }
        for sibling in &rescinded {
            moves.extend(self.restore_activity(*sibling));
        }
        self.reservation_event(EventKind::ReservationAccepted, number);
        for sibling in rescinded {
            self.reservation_event(EventKind::ReservationRescinded, sibling);
        }
        if let Some(transfer) = completed {
            self.transfer_event(EventKind::TaskTransferCompleted, transfer);
        }
        self.activity_events(&moves);
        // Its own events still tell the first acceptance from later ones.
        let now = self.now;
        self.task_mut(task).first_accepted.get_or_insert(now);
    }

    /// An accepted reservation starts wrapping; the Task follows when nobody works on it any more.
    pub(super) fn wrap_one(&mut self, number: Number, activity: Option<Number>) {
        self.set_reservation(number, ReservationStatus::Wrapping);
        self.leave_one(number, EventKind::ReservationWrapup, activity);
    }

    /// An accepted or wrapping reservation is completed; the Task follows when it was the last.
    pub(super) fn complete_one(&mut self, number: Number, activity: Option<Number>) {
        self.set_reservation(number, ReservationStatus::Completed);
        self.leave_one(number, EventKind::ReservationCompleted, activity);
    }

    /// The derived status of a Task that is being worked on (4.1), then the events.
    fn leave_one(&mut self, number: Number, kind: EventKind, activity: Option<Number>) {
        let reservation = self.reservation(number);
        let (task, worker) = (reservation.task, reservation.worker);
        let status = self.task(task).status;
        let works = matches!(status, TaskStatus::Assigned | TaskStatus::Wrapping);
        let next = if !self.with_status(task, ReservationStatus::Accepted).is_empty() {
            TaskStatus::Assigned
        } else if !self.with_status(task, ReservationStatus::Wrapping).is_empty() {
            TaskStatus::Wrapping
        } else {
            TaskStatus::Completed
        };
        let changes = works && next != status;
        if changes {
            let fresh = next == TaskStatus::Completed && self.task(task).reason.is_none();
            self.set_task(task, next, fresh.then(|| "All reservations were completed".into()));
        }
        let moved = activity.and_then(|activity| self.move_worker(worker, activity));
        match next {
            TaskStatus::Wrapping if changes => self.task_event(EventKind::TaskWrapup, task),
            TaskStatus::Completed if changes => self.task_event(EventKind::TaskCompleted, task),
            _ => {}
        }
        self.reservation_event(kind, number);
        self.activity_events(moved.as_slice());
    }

    /// Ends every active reservation of a Task, which is over: pending ones canceled, the others completed.
    pub(super) fn end_reservations(&mut self, task: Number) -> (Vec<(EventKind, Number)>, Vec<Moved>) {
        let mut ended = Vec::new();
        let mut moves = Vec::new();
        for number in self.active_of(task) {
            if self.reservation(number).is_pending() {
                self.set_reservation(number, ReservationStatus::Canceled);
                moves.extend(self.restore_activity(number));
                ended.push((EventKind::ReservationCanceled, number));
            } else {
                self.set_reservation(number, ReservationStatus::Completed);
                ended.push((EventKind::ReservationCompleted, number));
            }
        }
        (ended, moves)
    }

    /// The transfer of a Task that is over fails with it.
    pub(super) fn fail_transfer_of(&mut self, task: Number, reason: &'static str) -> Option<Number> {
        let open = self.open_transfer(task)?;
        let row = self.transfers.get_mut(&open).expect("found above");
        row.status = TransferStatus::Failed;
        row.failed_reason = Some(reason.into());
        Some(open)
    }

    /// A waiting Task is canceled. `first`: the event of what ended it, which comes before.
    pub(super) fn cancel_task(&mut self, task: Number, reason: Option<Arc<str>>, first: Option<EventKind>) {
        let failed = self.fail_transfer_of(task, "Transfer failed because the task was canceled");
        self.set_task(task, TaskStatus::Canceled, reason);
        let (ended, moves) = self.end_reservations(task);
        if let Some(transfer) = failed {
            self.transfer_event(EventKind::TaskTransferFailed, transfer);
        }
        if let Some(kind) = first {
            self.task_event(kind, task);
        }
        self.task_event(EventKind::TaskCanceled, task);
        for (kind, number) in ended {
            self.reservation_event(kind, number);
        }
        self.activity_events(&moves);
    }

    /// A Task is removed with everything that belongs to it.
    pub(super) fn remove_task(&mut self, task: Number, kind: EventKind) {
        let failed = self.fail_transfer_of(task, "Transfer failed because the task was deleted");
        let (ended, moves) = self.end_reservations(task);
        if let Some(transfer) = failed {
            self.transfer_event(EventKind::TaskTransferFailed, transfer);
        }
        self.task_event(kind, task);
        for (kind, number) in ended {
            self.reservation_event(kind, number);
        }
        self.activity_events(&moves);
        self.tasks.remove(&task);
        self.reservations.retain(|_, reservation| reservation.task != task);
        self.transfers.retain(|_, transfer| transfer.task != task);
    }

    /// A Task routed directly to a Worker could not be reserved in time (4.6).
    pub(super) fn fail_direct(&mut self, task: Number) {
        let reason = "RoutingTarget SLA for Reservation creation was not met";
        self.cancel_task(task, Some(reason.into()), Some(EventKind::ReservationFailed));
    }
}
