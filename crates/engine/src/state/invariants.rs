//! Relations between entities that hold after every turn.

use alloc::collections::BTreeMap;

use super::State;
use crate::values::{ReservationStatus, TaskStatus};

impl State {
    /// Panics unless every relation holds. Cost: O(everything).
    pub fn check_invariants(&self) {
        for task in self.tasks() {
            let active: alloc::vec::Vec<_> = self.active_reservations(task).collect();
            let all = task.reservations.iter().map(|id| self.the_reservation(*id));
            let of_all = all.filter(|reservation| reservation.status.is_active()).map(|reservation| reservation.id);
            assert!(of_all.eq(task.active.iter().copied()), "{}: active reservations", task.sid);
            let accepted =
                active.iter().filter(|reservation| reservation.status == ReservationStatus::Accepted).count();
            let pending = active.iter().filter(|reservation| reservation.status == ReservationStatus::Pending).count();
            let transferring = self.open_transfer(task).is_some();
            match task.status {
                TaskStatus::Reserved => assert!(pending > 0, "{}: reserved without an offer", task.sid),
                TaskStatus::Pending => assert_eq!(pending, 0, "{}: pending with an offer", task.sid),
                TaskStatus::Assigned => {
                    assert_eq!(pending, 0, "{}: assigned with an offer", task.sid);
                    assert!(accepted > 0, "{}: assigned to nobody", task.sid);
                }
                TaskStatus::Wrapping => {
                    assert_eq!((pending, accepted), (0, 0), "{}: wrapping", task.sid);
                    assert!(!active.is_empty(), "{}: wrapping by nobody", task.sid);
                }
                TaskStatus::Completed | TaskStatus::Canceled => {
                    assert!(active.is_empty(), "{}: over, but somebody holds it", task.sid);
                    assert!(task.finished.is_some(), "{}: over, but not since when", task.sid);
                }
            }
            if transferring {
                assert!(task.status.is_waiting(), "{}: under transfer", task.sid);
            } else if task.status.is_waiting() {
                assert_eq!(accepted, 0, "{}: waits though somebody holds it", task.sid);
            }
            assert!(task.status != TaskStatus::Pending || task.is_placed(), "{}: pending, but waits nowhere", task.sid);
        }
        for task in self.tasks().filter(|task| task.status.is_waiting()) {
            if let Some(super::Place::Step { position, .. }) = task.place {
                let rules = task.configuration.as_ref().expect("a Task in a step follows rules");
                assert_eq!(Some(rules.target(position).task_queue), task.task_queue, "{}: queue of its step", task.sid);
            }
            if let Some(queue) = task.task_queue.filter(|_| task.status == TaskStatus::Pending) {
                assert!(self.task_queues.live(queue).is_some(), "{}: waits in a deleted queue", task.sid);
            }
        }
        for worker in self.workers() {
            assert_eq!(worker.channels.len(), self.task_channels.len(), "{}: channels", worker.sid);
            let mut loads = BTreeMap::new();
            for id in &worker.active {
                let reservation = self.the_reservation(*id);
                let channel = self.the_task(reservation.task).task_channel;
                *loads.entry((channel, reservation.status)).or_insert(0) += 1;
            }
            for channel in &worker.channels {
                let load = |status| loads.get(&(channel.task_channel, status)).copied().unwrap_or(0);
                assert_eq!(channel.pending, load(ReservationStatus::Pending), "{}: pending load", worker.sid);
                assert_eq!(channel.accepted, load(ReservationStatus::Accepted), "{}: accepted load", worker.sid);
                assert_eq!(channel.wrapping, load(ReservationStatus::Wrapping), "{}: wrapping load", worker.sid);
            }
            let active = worker.reservations.iter().filter(|id| self.the_reservation(**id).status.is_active());
            assert!(active.eq(worker.active.iter()), "{}: active reservations", worker.sid);
        }
        for reservation in self.reservations() {
            assert!(self.tasks.live(reservation.task).is_some(), "{}: its Task is gone", reservation.sid);
            assert!(self.worker(reservation.worker).is_some(), "{}: its Worker is unknown", reservation.sid);
        }
    }
}
