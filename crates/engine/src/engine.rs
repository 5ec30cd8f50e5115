//! One Workspace, running: its state, and the routing index derived from it.

use alloc::collections::BTreeMap;

use crate::command::CreateWorkspace;
use crate::commands;
use crate::event::Event;
use crate::ids::Id;
use crate::limits::Limits;
use crate::routing::index::Index;
use crate::state::{Activity, State, TaskQueue, Worker};
use crate::turn::{Turn, TurnRecord};
use crate::values::Timestamp;

/// The engine of one Workspace.
#[derive(Clone, Debug)]
pub struct Engine {
    pub(crate) state: State,
    pub(crate) index: Index,
    pub(crate) limits: Limits,
}

impl Engine {
    /// Brings a Workspace into being. The record of that first turn is the caller's to commit.
    pub fn create_workspace(at: Timestamp, limits: Limits, create: CreateWorkspace) -> (Self, TurnRecord) {
        commands::workspace::create(at, limits, create)
    }

    pub(crate) fn create(at: Timestamp, first: &Event, limits: Limits) -> Self {
        let state = State::create(at, first).expect("a Workspace begins with its creation");
        let index = Index::build(&state, limits);
        Self { state, index, limits }
    }

    /// Runs a recovered state. No decision is made: what was at rest stays at rest.
    pub fn restore(state: State, limits: Limits) -> Self {
        let mut index = Index::build(&state, limits);
        index.freed.clear();
        index.fresh.clear();
        Self { state, index, limits }
    }

    /// Starts a turn at an instant: timers that are due fire first, each at its own.
    ///
    /// - `at`: an earlier instant than the last one counts as the last one.
    pub fn begin(&mut self, at: Timestamp) -> Turn<'_> {
        Turn::begin(self, at)
    }

    pub const fn state(&self) -> &State {
        &self.state
    }

    pub const fn limits(&self) -> &Limits {
        &self.limits
    }

    /// When the next timer is due; `None` when nothing is timed.
    pub fn next_deadline(&self) -> Option<Timestamp> {
        if self.state.is_deleted() { None } else { self.index.next_deadline(self.state.now()) }
    }

    /// Whether `TargetWorkers` of the queue is true for the Worker.
    pub fn is_member(&self, queue: Id<TaskQueue>, worker: Id<Worker>) -> bool {
        self.index.is_member(queue, worker)
    }

    /// The members of a queue in creation order.
    pub fn members(&self, queue: Id<TaskQueue>) -> impl Iterator<Item = Id<Worker>> + '_ {
        self.index.members(queue)
    }

    /// How many members of a queue are in each Activity; Activities without any are left out.
    pub fn members_by_activity(&self, queue: Id<TaskQueue>) -> Option<&BTreeMap<Id<Activity>, u32>> {
        self.index.members_by_activity(queue)
    }

    /// The queues that a Worker is a member of, in creation order.
    pub fn queues_of(&self, worker: Id<Worker>) -> impl Iterator<Item = Id<TaskQueue>> + '_ {
        self.index.queues_of(worker)
    }

    /// Panics unless state and index agree and the Workspace is at rest. Cost: that of building the index anew.
    pub fn check_invariants(&self) {
        self.state.check_invariants();
        self.index.check(&self.state);
    }
}
