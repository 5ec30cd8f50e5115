//! One turn: time moves to an instant, timers that are due fire, a command is refused or makes events, and the
//! Workspace comes to rest again.
//!
//! ```text
//! engine.begin(at) ──► turn.apply(command)? ──► render the answer from turn.state() ──► turn.finish()
//!    due timers           events of the command                                          matching, record
//! ```
//!
//! The answer is rendered between `apply` and `finish`, since it shows the object after the command and before the
//! matching that it causes (reference: rest-contract, section 4.8). Every change goes through [`Turn::emit`]; what
//! clients see of it is published afterwards, so that a payload shows the state after its whole transition.

use alloc::sync::Arc;
use alloc::vec::Vec;

use crate::Engine;
use crate::command::{Command, Reply};
use crate::commands;
use crate::event::Event;
use crate::ids::{Id, Sid};
use crate::public_event::{PublicEvent, RoutingCause};
use crate::rejection::Rejection;
use crate::routing::index::Index;
use crate::state::{Reservation, State, Task};
use crate::values::{ReservationStatus, Timestamp};

/// What a turn made, to be committed as one record.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct TurnRecord {
    /// For the journal. The first one, if any, tells the time.
    pub events: Vec<Event>,
    /// For the history, callbacks and streams, in order.
    pub published: Vec<PublicEvent>,
    /// For the log; not kept.
    pub alerts: Vec<Alert>,
    /// For whoever bridges calls; not kept.
    pub abandoned_calls: Vec<AbandonedCall>,
}

impl TurnRecord {
    /// Nothing happened that would have to be kept.
    pub fn is_empty(&self) -> bool {
        self.events.is_empty() && self.published.is_empty()
    }
}

/// A diagnosis for the operator (reference: rest-contract, section 9).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Alert {
    /// Number in the error dictionary.
    pub code: u32,
    pub task: Id<Task>,
}

/// A call to a Worker whose offer has ended without acceptance: it need not ring any longer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AbandonedCall {
    pub reservation: Sid<Reservation>,
    /// Identifier of the voice API.
    pub worker_call: Arc<str>,
}

/// A turn under way. Dropping it without [`Turn::finish`] is a mistake: events would be lost.
#[must_use = "a turn ends with finish()"]
#[derive(Debug)]
pub struct Turn<'a> {
    pub(crate) engine: &'a mut Engine,
    pub(crate) record: TurnRecord,
    /// The instant that the record's last `TimeAdvanced` tells.
    stamped: Option<Timestamp>,
    source_ip: Option<Arc<str>>,
    /// Tasks that fell back to pending since the last settle, in order of return.
    pub(crate) returned: Vec<(Id<Task>, RoutingCause)>,
    /// Tasks that entered a step, or whose hold-off ended: their `skip_if` is to be tested.
    pub(crate) entered: Vec<Id<Task>>,
    /// Initiators of cold transfers who leave after the matching.
    pub(crate) leaving: Vec<Id<Reservation>>,
}

impl<'a> Turn<'a> {
    /// Moves time to `at` (never backwards) and fires what is due, each timer at its own instant.
    pub(crate) fn begin(engine: &'a mut Engine, at: Timestamp) -> Self {
        let mut turn = Self::new(engine);
        turn.advance_to(at);
        turn
    }

    pub(crate) fn new(engine: &'a mut Engine) -> Self {
        Self {
            engine,
            record: TurnRecord::default(),
            stamped: None,
            source_ip: None,
            returned: Vec::new(),
            entered: Vec::new(),
            leaving: Vec::new(),
        }
    }

    /// Events from here on were caused by a request from this address.
    pub fn caused_by(&mut self, source_ip: Option<Arc<str>>) {
        self.source_ip = source_ip;
    }

    pub fn state(&self) -> &State {
        &self.engine.state
    }

    pub fn engine(&self) -> &Engine {
        self.engine
    }

    pub(crate) fn index(&self) -> &Index {
        &self.engine.index
    }

    /// Runs one command.
    ///
    /// - Errors: a rejection, and nothing has changed.
    pub fn apply(&mut self, command: Command) -> Result<Reply, Rejection> {
        let before = (self.record.events.len(), self.record.published.len());
        let reply = commands::run(self, command);
        if reply.is_err() {
            assert_eq!(
                before,
                (self.record.events.len(), self.record.published.len()),
                "a refused command changes nothing"
            );
        }
        reply
    }

    /// Lets the Workspace come to rest and gives the record of the turn.
    pub fn finish(mut self) -> TurnRecord {
        self.settle();
        for reservation in core::mem::take(&mut self.leaving) {
            commands::transfer::leave(&mut self, reservation);
            self.settle();
        }
        assert!(self.returned.is_empty(), "every Task that fell back was looked at");
        self.record
    }

    /// The one way the state changes.
    pub(crate) fn emit(&mut self, event: Event) {
        let now = self.engine.state.now();
        if self.stamped != Some(now) {
            self.stamped = Some(now);
            self.record.events.push(Event::TimeAdvanced { at: now });
        }
        if let Event::ReservationStatusChanged { id, status, .. } = &event
            && !status.is_active()
        {
            self.abandon_call(*id);
        }
        if let Event::WorkspaceDeleted = &event {
            let offers: Vec<_> = self.engine.state.tasks().flat_map(|task| task.active.iter().copied()).collect();
            for offer in offers {
                self.abandon_call(offer);
            }
        }
        self.engine.state.evolve(&event);
        self.engine.index.follow(&self.engine.state, &event);
        self.record.events.push(event);
    }

    /// Takes down of an offer that ends that its Worker is called in vain.
    fn abandon_call(&mut self, id: Id<Reservation>) {
        let reservation = self.engine.state.the_reservation(id);
        let is_offer = reservation.status == ReservationStatus::Pending;
        if let Some(call) = reservation.call.as_ref().filter(|call| is_offer && !call.is_over)
            && let Some(worker_call) = call.worker_call.clone()
        {
            self.record.abandoned_calls.push(AbandonedCall { reservation: reservation.sid, worker_call });
        }
    }

    /// The id of the next object to be created.
    pub(crate) fn next_id<E>(&self) -> Id<E> {
        Id::new(self.state().created + 1)
    }

    /// Adds a public event to the log. Its number and address are filled in here.
    pub(crate) fn publish(&mut self, mut event: PublicEvent) {
        let state = &mut self.engine.state;
        state.published += 1;
        event.id = Id::new(state.published);
        event.sid = state.sid(event.id);
        event.source_ip.clone_from(&self.source_ip);
        self.record.published.push(event);
    }

    pub(crate) fn alert(&mut self, code: u32, task: Id<Task>) {
        self.record.alerts.push(Alert { code, task });
    }

    // Time

    fn advance_to(&mut self, at: Timestamp) {
        let at = at.max(self.state().now());
        while let Some(due) = self.index().next_deadline(self.state().now()).filter(|due| *due <= at) {
            self.move_clock(due);
            for deadline in self.index().due(due) {
                // An earlier timer of the same instant may have called this one off.
                if self.index().is_set(&deadline) {
                    commands::timer::fire(self, deadline.timer);
                }
            }
            self.settle();
        }
        self.move_clock(at);
    }

    fn move_clock(&mut self, to: Timestamp) {
        let from = self.state().now();
        // A deadline that a longer pause made due lies in the past; events do not.
        let to = to.max(from);
        self.engine.state.now = to;
        if from.next_minute() <= to {
            let timed = self.index().timed_classes();
            self.engine.index.fresh.extend(timed);
        }
    }
}
