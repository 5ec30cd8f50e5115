//! The way of a Task through its Workflow. Reference: routing, sections 2.4 to 2.10.

use pointsman_engine::{EventKind, Position, RestartCause, RoutingCause, Timestamp};

use super::model::{Number, Place};
use super::{Naive, deadline};

/// Why a Workflow ends without success.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    Timeout,
    Skip,
}

/// What a Task had before it was placed anew.
#[derive(Clone, Copy, Debug)]
pub(super) struct Before {
    pub(super) queue: Option<Number>,
    pub(super) queue_entered: Option<Timestamp>,
    pub(super) priority: pointsman_engine::Priority,
}

const NO_FILTER: u32 = u32::MAX;

impl Naive {
    /// A Task that fell back to pending, at the next settle (3.1).
    pub(super) fn look_at_returned(&mut self, number: Number, cause: RoutingCause) {
        let Some(task) = self.tasks.get(&number) else { return };
        if !task.is_pending() {
            return;
        }
        if self.limits.task_assignments_max <= task.assignments {
            self.cancel_task(number, Some("Task TTL Exceeded or Max assignment count exceeded".into()), None);
            return;
        }
        let Some(Place::Step(position)) = task.place else { return };
        if let Some(restart) = task.restart {
            self.task_mut(number).restart = None;
            if self.restart(number, restart) {
                return;
            }
        }
        if self.step_deadline(self.task(number)).is_some_and(|deadline| deadline <= self.now) {
            self.step_timeout(number);
        } else {
            let before = self.before(number);
            self.note_entry(number);
            self.matched_events(number, position, Some(cause), before);
        }
    }

    /// The first evaluation: the place is taken, the events come with those of the creation. False: nothing matched.
    pub(super) fn first_step(&mut self, number: Number) -> Option<Position> {
        let position = self.first_match(number, NO_FILTER).or_else(|| self.default_position(number))?;
        self.place(number, position);
        Some(position)
    }

    pub(super) fn end_of_workflow_at_once(&mut self, number: Number) {
        self.end_of_workflow(number, End::Timeout);
    }

    /// The first step of the first filter below `after` that is true now.
    fn first_match(&self, number: Number, after: u32) -> Option<Position> {
        let task = self.task(number);
        let rules = task.rules.as_ref()?;
        let from = if after == NO_FILTER { 0 } else { after + 1 };
        let numbered = (0..).zip(&rules.filters);
        let mut below = numbered.filter(|(index, _)| from <= *index);
        let (filter, _) = below.find(|(_, filter)| self.filter_matches(task, &filter.expression))?;
        Some(Position::Target { filter, target: 0 })
    }

    fn default_position(&self, number: Number) -> Option<Position> {
        self.task(number).rules.as_ref()?.default.as_ref().map(|_| Position::Default)
    }

    fn next_target(&self, number: Number, position: Position) -> Option<Position> {
        let Position::Target { filter, target } = position else { return None };
        let rules = self.task(number).rules.as_ref()?;
        let more = (target as usize) + 1 < rules.filters[filter as usize].steps.len();
        if more { Some(Position::Target { filter, target: target + 1 }) } else { self.first_match(number, filter) }
    }

    fn enter_step(&mut self, number: Number, mut position: Position, cause: RoutingCause) {
        let mut cause = cause;
        loop {
            let task = self.task(number);
            let timeout = task.rules.as_ref().expect("it follows rules").step(position).timeout_seconds;
            let Some(timeout) = timeout.filter(|timeout| deadline(task, *timeout) <= self.now) else { break };
            self.task_mut(number).budget_seconds += u64::from(timeout);
            match self.next_target(number, position) {
                Some(next) => position = next,
                None => return self.end_of_workflow(number, End::Timeout),
            }
            cause = RoutingCause::TargetTimeout;
        }
        let before = self.before(number);
        let changed = self.place(number, position);
        if changed {
            let now = self.now;
            let task = self.task_mut(number);
            task.version = task.version.next();
            task.updated = now;
        }
        self.matched_events(number, position, Some(cause), before);
    }

    /// Takes the place; whether a property of the Task changed.
    fn place(&mut self, number: Number, position: Position) -> bool {
        let now = self.now;
        let task = self.task_mut(number);
        let step = task.rules.as_ref().expect("it follows rules").step(position).clone();
        let priority = step.priority.unwrap_or(task.priority);
        let changed = task.queue != Some(step.queue) || task.priority != priority;
        if task.queue != Some(step.queue) {
            task.queue_entered = Some(now);
        }
        task.place = Some(Place::Step(position));
        task.queue = Some(step.queue);
        task.priority = priority;
        self.returned.retain(|(returned, _)| *returned != number);
        self.note_entry(number);
        changed
    }

    /// Its skip test is to be made after the next matching pass. A Task in the line keeps its place.
    pub(super) fn note_entry(&mut self, number: Number) {
        if !self.entered.contains(&number) {
            self.entered.push(number);
        }
    }

    pub(super) fn before(&self, number: Number) -> Before {
        let task = self.task(number);
        Before { queue: task.queue, queue_entered: task.queue_entered, priority: task.priority }
    }

    pub(super) fn step_timeout(&mut self, number: Number) {
        self.task_event(EventKind::TaskQueueTimeout, number);
        let task = self.task(number);
        let Some(Place::Step(position)) = task.place else { unreachable!("steps time out") };
        let timeout = self.step(task).and_then(|step| step.timeout_seconds).expect("it had a time-out");
        self.task_mut(number).budget_seconds += u64::from(timeout);
        match self.next_target(number, position) {
            Some(next) => self.enter_step(number, next, RoutingCause::TargetTimeout),
            None => self.end_of_workflow(number, End::Timeout),
        }
    }

    /// The skip test after a matching pass (2.5); whether it moved the Task.
    pub(super) fn test_skip(&mut self, number: Number) -> bool {
        let Some(task) = self.tasks.get(&number) else { return false };
        let (Some(step), Some(Place::Step(position))) = (self.step(task), task.place) else { return false };
        if !task.is_pending() || self.is_held_off(task) || !self.skips(task, &step) {
            return false;
        }
        let now = self.now;
        let task = self.task_mut(number);
        task.clock_start = now;
        task.budget_seconds = 0;
        match self.next_target(number, position).or_else(|| self.default_position(number)) {
            Some(next) => self.enter_step(number, next, RoutingCause::TargetSkipped),
            None => self.end_of_workflow(number, End::Skip),
        }
        true
    }

    fn end_of_workflow(&mut self, number: Number, end: End) {
        let (kind, reason) = match end {
            End::Timeout => (EventKind::WorkflowTimeout, "Task canceled on Workflow timeout"),
            End::Skip => (EventKind::WorkflowSkipped, "Task canceled on Workflow skip"),
        };
        self.cancel_task(number, Some(reason.into()), Some(kind));
    }

    /// Evaluates from the top (2.8); whether the Task left its step or entered it anew.
    pub(super) fn restart(&mut self, number: Number, cause: RestartCause) -> bool {
        let now = self.now;
        let (cause, same_rules) = match cause {
            RestartCause::TaskUpdated => (RoutingCause::TaskUpdated, true),
            RestartCause::WorkflowUpdated => (RoutingCause::WorkflowUpdated, false),
        };
        if !same_rules {
            let workflow = self.task(number).workflow.expect("it follows a Workflow");
            let rules = self.workflows[&workflow].rules.clone();
            let task = self.task_mut(number);
            task.rules = Some(rules);
        }
        let place = self.task(number).place;
        if !same_rules {
            // The old position means nothing in the new rules.
            self.task_mut(number).place = None;
        }
        let found = self.first_match(number, NO_FILTER).or_else(|| self.default_position(number));
        let stays = match (place, found) {
            (Some(Place::Step(Position::Target { filter, .. })), Some(Position::Target { filter: same, .. })) => {
                filter == same
            }
            (Some(Place::Step(Position::Default)), Some(Position::Default)) => true,
            _ => false,
        };
        if stays && same_rules {
            self.note_entry(number);
            return false;
        }
        let task = self.task_mut(number);
        task.clock_start = now;
        task.budget_seconds = 0;
        match found {
            Some(position) => self.enter_step(number, position, cause),
            None => self.end_of_workflow(number, End::Timeout),
        }
        true
    }
}
