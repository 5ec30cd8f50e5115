//! Who gets the next of the places for attempts at the same time.
//!
//! ```text
//! line ──► lane: a Workspace's lines to one receiver ──► the Workspace ──► a place
//!          first come first                   lanes take turns   Workspaces take turns
//! ```
//!
//! What a lane and what a Workspace may have at the same time are shares of the places that are free, so they fall as
//! places are taken, and there is one for whoever has none. Whoever has its share goes on when an attempt of its own
//! ends; whoever has no place at all stands in the turns.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use pointsman_engine::{Sid, Workspace};

use crate::limits::{ATTEMPTS_MAX, ATTEMPTS_PER_LANE_MAX, FREE_PLACES_PER_LANE, FREE_PLACES_PER_WORKSPACE};

/// Scheme, host and port of whom an attempt goes to: what the log may show of its address.
pub type Receiver = Arc<str>;

/// Deliveries that leave one after the other.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct LineId {
    pub(crate) workspace: Sid<Workspace>,
    pub(crate) key: [u8; 16],
    /// Where the key has a line for each.
    pub(crate) destination: Option<Arc<str>>,
}

/// The lines of a Workspace to one receiver.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct LaneId {
    pub(crate) workspace: Sid<Workspace>,
    pub(crate) receiver: Receiver,
}

/// Where in its lane a line comes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    First,
    Last,
}

#[derive(Debug, Default)]
pub(crate) struct Places {
    taken: usize,
    /// Those with a line that may go or an attempt under way.
    workspaces: BTreeMap<Sid<Workspace>, Share>,
    /// Workspaces with a lane that may go and a place for it.
    turns: VecDeque<Sid<Workspace>>,
}

/// What one Workspace has.
#[derive(Debug, Default)]
struct Share {
    taken: usize,
    lanes: BTreeMap<Receiver, Lane>,
    /// Lanes with a line that may go and a place for it.
    turns: VecDeque<Receiver>,
    /// It stands in the turns of the Workspaces.
    in_turn: bool,
}

#[derive(Debug, Default)]
struct Lane {
    taken: usize,
    /// Lines with nothing under way that may go.
    ready: VecDeque<LineId>,
    /// It stands in the turns of its Workspace.
    in_turn: bool,
}

impl Places {
    const fn free(&self) -> usize {
        ATTEMPTS_MAX - self.taken
    }

    /// Whether no line may go and no attempt is under way.
    pub(crate) fn is_quiet(&self) -> bool {
        self.workspaces.is_empty()
    }

    /// Adds a line that may go.
    pub(crate) fn add(&mut self, id: &LaneId, line: LineId, end: End) {
        let share = self.workspaces.entry(id.workspace).or_default();
        let lane = share.lanes.entry(id.receiver.clone()).or_default();
        match end {
            End::First => lane.ready.push_front(line),
            End::Last => lane.ready.push_back(line),
        }
        self.give_turn(id);
    }

    /// Takes a place for the line whose turn it is.
    pub(crate) fn take(&mut self) -> Option<(LaneId, LineId)> {
        while 0 < self.free() {
            let (workspace, free) = (self.turns.pop_front()?, self.free());
            let share = self.workspaces.get_mut(&workspace).expect("Workspaces in turn are known");
            share.in_turn = false;
            // There may be fewer places than when it got its turn: then it gets another when an attempt of its own ends.
            if !share.may_go(free) {
                continue;
            }
            let receiver = share.turns.pop_front().expect("it may go");
            let lane = share.lanes.get_mut(&receiver).expect("lanes in turn are known");
            lane.in_turn = false;
            // Likewise.
            let line = if lane.may_go(free) { lane.ready.pop_front() } else { None };
            if line.is_some() {
                lane.taken += 1;
                share.taken += 1;
                self.taken += 1;
            }
            let id = LaneId { workspace, receiver };
            self.give_turn(&id);
            if let Some(line) = line {
                return Some((id, line));
            }
        }
        None
    }

    /// Gives back a place that was taken for a line of this lane.
    pub(crate) fn give_back(&mut self, id: &LaneId) {
        let share = self.workspaces.get_mut(&id.workspace).expect("it has a place");
        let lane = share.lanes.get_mut(&id.receiver).expect("it has a place");
        for taken in [&mut lane.taken, &mut share.taken, &mut self.taken] {
            *taken = taken.checked_sub(1).expect("counted when it was taken");
        }
        self.give_turn(id);
    }

    /// Lets a lane and its Workspace take their turns if they have something to send and a place to do so; forgets
    /// those that are over.
    fn give_turn(&mut self, id: &LaneId) {
        let free = self.free();
        let share = self.workspaces.get_mut(&id.workspace).expect("something of it has just changed");
        share.give_turn(&id.receiver, free);
        if !share.in_turn && share.may_go(free) {
            share.in_turn = true;
            self.turns.push_back(id.workspace);
        }
        if share.lanes.is_empty() && !share.in_turn {
            self.workspaces.remove(&id.workspace);
        }
    }
}

impl Share {
    fn may_go(&self, free: usize) -> bool {
        !self.turns.is_empty() && self.taken < 1 + free / FREE_PLACES_PER_WORKSPACE
    }

    fn give_turn(&mut self, receiver: &Receiver, free: usize) {
        let lane = self.lanes.get_mut(receiver).expect("something of it has just changed");
        if !lane.in_turn && lane.may_go(free) {
            lane.in_turn = true;
            self.turns.push_back(receiver.clone());
        }
        if lane.ready.is_empty() && lane.taken == 0 && !lane.in_turn {
            self.lanes.remove(receiver);
        }
    }
}

impl Lane {
    fn may_go(&self, free: usize) -> bool {
        let share = ATTEMPTS_PER_LANE_MAX.min(1 + free / FREE_PLACES_PER_LANE);
        !self.ready.is_empty() && self.taken < share
    }
}
