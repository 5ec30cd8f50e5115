//! How a Task moves through its Workflow. Reference: routing, sections 2.3 to 2.10.

use alloc::sync::Arc;

use pointsman_expression::Scope;

use crate::commands::task::{CANCELED_SKIP, CANCELED_WORKFLOW};
use crate::configuration::Configuration;
use crate::event::Event;
use crate::ids::Id;
use crate::public_event::{EventKind, RoutingCause};
use crate::state::{Place, Position, RestartCause, Task};
use crate::turn::Turn;
use crate::values::{DurationMs, TaskStatus, Timestamp};

/// Origin of a Task's step clock and what its earlier steps used up.
#[derive(Clone, Copy, Debug)]
struct Clock {
    start: Timestamp,
    budget_seconds: u64,
}

impl Clock {
    fn after(self, timeout_seconds: u32) -> Timestamp {
        let seconds = self.budget_seconds + u64::from(timeout_seconds);
        self.start.plus(DurationMs(i64::try_from(seconds).expect("time-outs fit").saturating_mul(1000)))
    }
}

/// A place in a Workflow where a Task can wait.
#[derive(Clone, Copy, Debug)]
struct Landing {
    position: Position,
    clock: Clock,
}

fn configuration_of(task: &Task) -> &Arc<Configuration> {
    task.configuration.as_ref().expect("a Task in a Workflow follows rules")
}

impl Turn<'_> {
    /// The first evaluation of a new Task: its first step, or the end of the Workflow. Publishes the creation, too.
    pub(crate) fn enter_workflow(&mut self, id: Id<Task>) {
        let left = self.place_left(id);
        let clock = Clock { start: self.state().now(), budget_seconds: 0 };
        let first = self.first_position(id);
        if let Some(position) = first {
            self.place(id, Landing { position, clock }, false);
        }
        self.publish_task(EventKind::TaskCreated, id);
        self.publish_task(EventKind::WorkflowEntered, id);
        match first {
            Some(_) => {
                self.publish_entry(id, &left, None);
                self.entered(id);
            }
            None => self.end_of_workflow(id, EventKind::WorkflowTimeout, CANCELED_WORKFLOW),
        }
    }

    /// Its step's deadline has passed while the Task is pending.
    pub(crate) fn step_timeout(&mut self, id: Id<Task>) {
        self.publish_task(EventKind::TaskQueueTimeout, id);
        let task = self.state().the_task(id);
        let Some(Place::Step { position, .. }) = task.place else { unreachable!("only steps time out") };
        let timeout = configuration_of(task).target(position).timeout_seconds.expect("only steps with one time out");
        let clock = Clock { start: task.clock_start, budget_seconds: task.budget_seconds + u64::from(timeout) };
        match self.position_after_timeout(id, position) {
            Some(position) => self.enter_step(id, Landing { position, clock }, RoutingCause::TargetTimeout),
            None => self.end_of_workflow(id, EventKind::WorkflowTimeout, CANCELED_WORKFLOW),
        }
    }

    /// Its step's `skip_if` was true.
    pub(crate) fn step_skip(&mut self, id: Id<Task>) {
        let task = self.state().the_task(id);
        let Some(Place::Step { position, .. }) = task.place else { unreachable!("only steps are skipped") };
        let clock = Clock { start: self.state().now(), budget_seconds: 0 };
        let default = configuration_of(task).default_filter.as_ref().map(|_| Position::Default);
        match self.position_after_timeout(id, position).or(default) {
            Some(position) => self.enter_step(id, Landing { position, clock }, RoutingCause::TargetSkipped),
            None => self.end_of_workflow(id, EventKind::WorkflowSkipped, CANCELED_SKIP),
        }
    }

    /// Evaluates the filters from the top again. Returns whether the Task left its step.
    pub(crate) fn restart(&mut self, id: Id<Task>, cause: RestartCause) -> bool {
        if self.state().the_task(id).restart.is_some() {
            self.emit(Event::TaskRestartChanged { id, restart: None });
        }
        let task = self.state().the_task(id);
        let Some(Place::Step { position: current, .. }) = task.place else { return false };
        if cause == RestartCause::WorkflowUpdated {
            self.emit(Event::TaskConfigurationChanged { id });
        }
        let found = self.first_position(id);
        let stays = cause == RestartCause::TaskUpdated && found.is_some_and(|found| same_filter(found, current));
        if stays {
            self.entered(id);
            return false;
        }
        let cause = match cause {
            RestartCause::TaskUpdated => RoutingCause::TaskUpdated,
            RestartCause::WorkflowUpdated => RoutingCause::WorkflowUpdated,
        };
        let clock = Clock { start: self.state().now(), budget_seconds: 0 };
        match found {
            Some(position) => self.enter_step(id, Landing { position, clock }, cause),
            None => self.end_of_workflow(id, EventKind::WorkflowTimeout, CANCELED_WORKFLOW),
        }
        true
    }

    /// Enters a step, passing over those whose time is over already.
    fn enter_step(&mut self, id: Id<Task>, mut landing: Landing, cause: RoutingCause) {
        loop {
            let target = configuration_of(self.state().the_task(id)).target(landing.position);
            match target.timeout_seconds {
                Some(timeout) if landing.clock.after(timeout) <= self.state().now() => {
                    landing.clock.budget_seconds += u64::from(timeout);
                    match self.position_after_timeout(id, landing.position) {
                        Some(position) => landing.position = position,
                        None => return self.end_of_workflow(id, EventKind::WorkflowTimeout, CANCELED_WORKFLOW),
                    }
                }
                Some(_) | None => break,
            }
        }
        let left = self.place_left(id);
        self.place(id, landing, true);
        self.publish_entry(id, &left, Some(cause));
        self.entered(id);
    }

    /// `raises`: a change of queue or priority is a new version; the first placement is part of the creation.
    fn place(&mut self, id: Id<Task>, landing: Landing, raises: bool) {
        let Landing { position, clock } = landing;
        let task = self.state().the_task(id);
        let target = configuration_of(task).target(position);
        let priority = target.priority.unwrap_or(task.priority);
        let changed = task.task_queue != Some(target.task_queue) || task.priority != priority;
        let event = Event::TaskPlaced {
            id,
            place: Some(Place::Step { position, deadline: target.timeout_seconds.map(|timeout| clock.after(timeout)) }),
            task_queue: Some(target.task_queue),
            priority,
            clock_start: clock.start,
            budget_seconds: clock.budget_seconds,
            version: if changed && raises { task.version.next() } else { task.version },
        };
        self.emit(event);
    }

    /// The Task has just entered a step: `skip_if` is to be tested after the matching, and an operator may want to
    /// know why a known Worker is never offered it.
    fn entered(&mut self, id: Id<Task>) {
        self.entered.push(id);
        let task = self.state().the_task(id);
        let Some(Place::Step { position, .. }) = task.place else { return };
        let target = configuration_of(task).target(position);
        let Some(rule) = &target.known_worker else { return };
        if rule.reference.resolve(task.attributes.value()).is_null() {
            return;
        }
        match self.state().known_worker(task) {
            None => self.alert(40155, id),
            Some(worker) if !self.index().is_member(target.task_queue, worker.id) => self.alert(40152, id),
            Some(_) => {}
        }
    }

    fn end_of_workflow(&mut self, id: Id<Task>, kind: EventKind, reason: &str) {
        let version = self.state().the_task(id).version.next();
        let reason = Some(Arc::from(reason));
        self.emit(Event::TaskStatusChanged { id, status: TaskStatus::Canceled, reason, version });
        self.publish_task(kind, id);
        self.publish_task(EventKind::TaskCanceled, id);
    }

    /// The first target of the first filter that is true, else the default filter.
    fn first_position(&self, id: Id<Task>) -> Option<Position> {
        let configuration = configuration_of(self.state().the_task(id));
        let default = configuration.default_filter.as_ref().map(|_| Position::Default);
        self.matching_filter(id, 0).or(default)
    }

    /// The next target of the filter, else the first of a later filter that is true. Never the default filter.
    fn position_after_timeout(&self, id: Id<Task>, position: Position) -> Option<Position> {
        let Position::Target { filter, target } = position else { return None };
        let targets = configuration_of(self.state().the_task(id)).filters[filter as usize].targets.len();
        if (target as usize) + 1 < targets {
            return Some(Position::Target { filter, target: target + 1 });
        }
        self.matching_filter(id, filter as usize + 1)
    }

    fn matching_filter(&self, id: Id<Task>, from: usize) -> Option<Position> {
        let task = self.state().the_task(id);
        let scope = Scope::filter(task.attributes.value(), self.state().now().0);
        let filters = configuration_of(task).filters.iter().enumerate().skip(from);
        let mut matching = filters.filter(|(_, filter)| filter.expression.eval(&scope));
        matching.next().map(|(filter, _)| Position::Target { filter: filter as u32, target: 0 })
    }
}

fn same_filter(found: Position, current: Position) -> bool {
    match (found, current) {
        (Position::Default, Position::Default) => true,
        (Position::Target { filter: found, .. }, Position::Target { filter: current, .. }) => found == current,
        (Position::Default, Position::Target { .. }) | (Position::Target { .. }, Position::Default) => false,
    }
}
