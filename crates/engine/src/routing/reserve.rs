//! Making offers. Reference: routing, sections 3.6 and 3.7.

use alloc::vec::Vec;

use crate::commands::reservation::Moved;
use crate::event::Event;
use crate::ids::Id;
use crate::limits::RESERVATION_TIMEOUT_SECONDS_DEFAULT;
use crate::public_event::EventKind;
use crate::publish::ActivityLeft;
use crate::state::{Activity, Reservation, Task, Worker};
use crate::turn::Turn;
use crate::values::TaskStatus;

impl Turn<'_> {
    /// Offers the Task to these Workers: one move to reserved, one reservation each.
    pub(crate) fn reserve(&mut self, id: Id<Task>, workers: &[Id<Worker>]) {
        let made = self.make_offers(id, workers);
        for (reservation, moved) in made {
            self.publish_reservation(EventKind::ReservationCreated, reservation);
            if let Some((worker, left)) = moved {
                self.publish_activity_change(worker, left);
            }
        }
    }

    /// The events of [`Turn::reserve`] without what is published.
    pub(crate) fn make_offers(
        &mut self,
        id: Id<Task>,
        workers: &[Id<Worker>],
    ) -> Vec<(Id<Reservation>, Option<Moved>)> {
        let state = self.state();
        let task = state.the_task(id);
        assert!(!workers.is_empty(), "an offer is made to somebody");
        let workflow = task.workflow.and_then(|workflow| state.workflow(workflow));
        let timeout_seconds = workflow.map_or(RESERVATION_TIMEOUT_SECONDS_DEFAULT, |workflow| {
            workflow.definition.task_reservation_timeout_seconds
        });
        let transfer = state.open_transfer(task).map(|transfer| transfer.id);
        let reservation_activity = match (state.is_multitask(), task.task_queue) {
            (false, Some(queue)) => state.the_task_queue(queue).definition.reservation_activity,
            _ => None,
        };
        let (reason, version) = (task.reason.clone(), task.version.next());
        self.emit(Event::TaskStatusChanged { id, status: TaskStatus::Reserved, reason, version });
        let mut made = Vec::with_capacity(workers.len());
        for worker in workers {
            let reservation = self.next_id();
            let worker_version = self.state().the_worker(*worker).version.next();
            self.emit(Event::ReservationCreated {
                id: reservation,
                task: id,
                worker: *worker,
                timeout_seconds,
                transfer,
                worker_version,
            });
            let left = reservation_activity.and_then(|activity| self.move_worker(*worker, activity, Some(reservation)));
            made.push((reservation, left.map(|left| (*worker, left))));
        }
        made
    }

    /// Moves a Worker to an Activity, unless it is there. Returns what it left, for the event.
    ///
    /// - `reservation`: the one for which the engine moves it, so that the move can be undone.
    pub(crate) fn move_worker(
        &mut self,
        id: Id<Worker>,
        activity: Id<Activity>,
        reservation: Option<Id<Reservation>>,
    ) -> Option<ActivityLeft> {
        let worker = self.state().the_worker(id);
        if worker.activity == activity {
            return None;
        }
        let left = ActivityLeft { activity: worker.activity, since: worker.date_status_changed };
        let version = worker.version.next();
        self.emit(Event::WorkerActivityChanged { id, activity, version, reservation });
        Some(left)
    }

    /// Takes back the move that the engine made for a reservation, if the Worker still is where that put it.
    pub(crate) fn restore_activity(&mut self, id: Id<Reservation>) -> Option<Moved> {
        let state = self.state();
        let reservation = state.the_reservation(id);
        let worker = state.workers.live(reservation.worker)?;
        if reservation.engine_activity != Some(worker.activity) {
            return None;
        }
        let previous = state.activities.live(reservation.previous_activity)?.id;
        let worker = worker.id;
        self.move_worker(worker, previous, None).map(|left| (worker, left))
    }
}
