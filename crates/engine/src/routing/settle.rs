//! The run to quiescence. Reference: routing, section 3.1.
//!
//! The reference walks over all waiting Tasks in their order and lets each take its Workers, until nothing changes.
//! This does the same and looks only where something can have changed: at the classes that a freed Worker could
//! serve, and at classes that are new.

use alloc::collections::{BTreeMap, BTreeSet};

use pointsman_expression::Scope;

use super::index::{ClassId, MemberCounts, OrderKey};
use crate::commands::task::{CANCELED_EXHAUSTED, cancel_task};
use crate::ids::Id;
use crate::public_event::RoutingCause;
use crate::state::{Place, Task, Worker};
use crate::turn::Turn;
use crate::values::TaskStatus;

/// Up to so many freed Workers are sorted by themselves instead of asking the rankings.
const FREED_SORTED_MAX: usize = 8;

/// How closely a class is to be looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Look {
    /// Nobody but the freed Workers can be eligible.
    AtFreed,
    AtEveryone,
}

impl Turn<'_> {
    pub(crate) fn settle(&mut self) {
        self.take_up_returned();
        loop {
            let matched = self.match_waiting();
            let skipped = self.skip_entered();
            if !matched && !skipped {
                break;
            }
        }
    }

    /// Tasks that fell back to pending go where they belong now.
    fn take_up_returned(&mut self) {
        for (id, cause) in core::mem::take(&mut self.returned) {
            let Some(task) = self.state().task(id).filter(|task| task.status == TaskStatus::Pending) else { continue };
            let exhausted = task.assignments >= self.engine.limits.task_assignments_max;
            let restart = task.restart;
            let overdue = |task: &Task, now| task.step_deadline().is_some_and(|deadline| deadline <= now);
            if exhausted {
                cancel_task(self, id, Some(CANCELED_EXHAUSTED.into()));
                continue;
            }
            if restart.is_some_and(|restart| self.restart(id, restart)) {
                continue;
            }
            if overdue(self.state().the_task(id), self.state().now()) {
                self.step_timeout(id);
            } else if matches!(self.state().the_task(id).place, Some(Place::Step { .. })) {
                self.re_enter(id, cause);
            }
        }
    }

    /// One pass over the waiting Tasks in their order. Returns whether an offer was made.
    fn match_waiting(&mut self) -> bool {
        let mut freed = core::mem::take(&mut self.engine.index.freed);
        let mut opened_in_pass = BTreeSet::new();
        let mut pass = Pass::default();
        pass.add_fresh(self, None);
        for worker in &freed {
            pass.add_freed(self, *worker, None);
        }
        let mut matched = false;
        while let Some((position, class)) = pass.next.pop_first() {
            let Some(demand) = self.index().class(class).map(|class| class.demand.clone()) else { continue };
            // Looking at everyone gives the same, since at rest nobody else was eligible; it costs less than sorting many.
            let few = freed.len() <= FREED_SORTED_MAX;
            let only = (few && pass.looks[&class] == Look::AtFreed).then_some(&freed);
            let workers = self.index().choose(self.state(), &demand, only);
            if workers.is_empty() {
                continue;
            }
            matched = true;
            self.reserve(position.task(), &workers);
            // The next Task of the class, and whatever this offer opened to Tasks further on. What it opened to
            // earlier Tasks is for the next pass: nothing joins the line during one.
            pass.add(self, class, pass.looks[&class], Some(position));
            pass.add_fresh(self, Some(position));
            for worker in core::mem::take(&mut self.engine.index.freed) {
                freed.insert(worker);
                opened_in_pass.insert(worker);
                pass.add_freed(self, worker, Some(position));
            }
        }
        self.engine.index.freed.append(&mut opened_in_pass);
        matched
    }

    /// Tests `skip_if` of the Tasks that entered a step and found nobody. Returns whether one was skipped.
    fn skip_entered(&mut self) -> bool {
        let mut skipped = false;
        // Each entry is tested once: a Task that was restarted and re-entered its step in one settle is one entry.
        let mut tested = BTreeSet::new();
        for id in core::mem::take(&mut self.entered) {
            if tested.insert(id) && self.skips(id) {
                self.step_skip(id);
                skipped = true;
            }
        }
        skipped
    }

    fn skips(&self, id: Id<Task>) -> bool {
        let state = self.state();
        let Some(task) = state.task(id) else { return false };
        let Some(Place::Step { position, .. }) = task.place else { return false };
        if task.status != TaskStatus::Pending || task.hold_off.until.is_some() {
            return false;
        }
        let target = task.configuration.as_ref().expect("a Task in a step follows rules").target(position);
        target.skip_if.as_ref().is_some_and(|skip_if| {
            let counts = MemberCounts { state, counts: self.index().members_by_activity(target.task_queue) };
            skip_if.eval(&Scope::skip_if(task.attributes.value(), &counts, state.now().0))
        })
    }
}

/// The classes that one pass has still to look at, by their next Task.
#[derive(Default)]
struct Pass {
    next: BTreeSet<(OrderKey, ClassId)>,
    looks: BTreeMap<ClassId, Look>,
}

impl Pass {
    fn add(&mut self, turn: &Turn<'_>, class: ClassId, look: Look, position: Option<OrderKey>) {
        let Some(next) = turn.index().class(class).and_then(|class| class.next_after(position)) else { return };
        self.next.insert((next, class));
        let known = self.looks.entry(class).or_insert(look);
        *known = (*known).max(look);
    }

    fn add_fresh(&mut self, turn: &mut Turn<'_>, position: Option<OrderKey>) {
        for class in core::mem::take(&mut turn.engine.index.fresh) {
            self.add(turn, class, Look::AtEveryone, position);
        }
    }

    fn add_freed(&mut self, turn: &Turn<'_>, worker: Id<Worker>, position: Option<OrderKey>) {
        for class in turn.index().classes_for(turn.state(), worker) {
            self.add(turn, class, Look::AtFreed, position);
        }
    }
}

impl Turn<'_> {
    /// The Task is in its step again after an offer came to nothing.
    fn re_enter(&mut self, id: Id<Task>, cause: RoutingCause) {
        let left = self.place_left(id);
        self.publish_entry(id, &left, Some(cause));
        self.entered.push(id);
    }
}
