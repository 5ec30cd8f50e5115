//! The checkers beside the engine: each turn is held against the promises.

use pointsman_engine::{
    Command, Engine, Event, EventKind, PublicEvent, Reply, ReservationStatus, State, Timestamp, TurnRecord,
};

use super::ledger::Ledger;
use super::rest::{self, Waiting};
use super::{Size, Tamper, Violation, harness, picture};
use crate::script::Script;

pub(super) struct Checkers {
    /// The same state, made of the events alone.
    folded: State,
    ledger: Ledger,
    size: Size,
    tamper: Tamper,
    tampered: bool,
    turns: usize,
}

impl Checkers {
    /// - `record`: how the Workspace came into being.
    pub(super) fn new(script: &Script, record: &TurnRecord, size: Size, tamper: Tamper) -> Self {
        let begins = |event: &&Event| !matches!(event, Event::TimeAdvanced { .. });
        let mut events = record.events.iter().filter(begins);
        let first = events.next().expect("a Workspace begins with its creation");
        let mut folded = State::create(script.start, first).expect("a Workspace begins with its creation");
        events.for_each(|event| folded.evolve(event));
        folded.count_published(record.published.len() as u64);
        let mut ledger = Ledger::new(script.limits, script.tasking);
        ledger.begin(&record.published);
        Self { folded, ledger, size, tamper, tampered: false, turns: 0 }
    }

    pub(super) fn turn(
        &mut self,
        engine: &mut Engine,
        at: Timestamp,
        command: Option<&Command>,
    ) -> Result<(Option<Reply>, TurnRecord), Violation> {
        let before = engine.state().now();
        let waiting = (self.size == Size::Small).then(|| Waiting::of(engine.state()));
        let (reply, record) = harness::run(engine, at, command);
        self.turns += 1;
        self.fold(&record);
        let published = self.seen(&record.published);
        self.ledger.follow(&published, before, at.max(before))?;
        let state = engine.state();
        rest::nothing_is_overdue(state, engine.limits())?;
        if let Some(waiting) = waiting {
            // What has not changed is as good as before.
            if !record.events.is_empty() {
                engine.check_invariants();
            }
            rest::nobody_waits_for_somebody_idle(state, self.tamper)?;
            waiting.were_served_in_order(state, &published, self.tamper)?;
        } else if self.turns.is_multiple_of(64) {
            rest::nobody_waits_for_somebody_idle(state, self.tamper)?;
        }
        if self.turns.is_multiple_of(256) {
            self.replay_equals_live(engine.state())?;
        }
        Ok((reply, record))
    }

    fn fold(&mut self, record: &TurnRecord) {
        for event in &record.events {
            let worker = matches!(event, Event::WorkerChannelUpdated { .. });
            if self.tamper == Tamper::LostFact && worker && !self.tampered {
                self.tampered = true;
                continue;
            }
            self.folded.evolve(event);
        }
        self.folded.count_published(record.published.len() as u64);
    }

    /// What the checkers are told of the events.
    fn seen(&mut self, published: &[PublicEvent]) -> Vec<PublicEvent> {
        let mut seen = published.to_vec();
        if self.tampered {
            return seen;
        }
        match self.tamper {
            Tamper::LostEvent if 40 < self.turns && !seen.is_empty() => {
                seen.remove(0);
                self.tampered = true;
            }
            Tamper::SecondAcceptance => {
                if let Some(event) = seen.iter_mut().find(|event| event.kind == EventKind::ReservationRescinded) {
                    event.kind = EventKind::ReservationAccepted;
                    event.reservation.as_mut().expect("it is about one").status = ReservationStatus::Accepted;
                    self.tampered = true;
                }
            }
            Tamper::EarlyTimeout => {
                if seen.first().is_some_and(|event| event.kind == EventKind::ReservationTimeout) {
                    seen[0].at.0 -= 1000;
                    self.tampered = true;
                }
            }
            Tamper::ExtraLoad => {
                for event in seen.iter_mut().filter(|event| event.kind == EventKind::ReservationCreated) {
                    event.reservation.as_mut().expect("it is about one").channel_consumed += 1;
                    self.tampered = true;
                }
            }
            Tamper::None
            | Tamper::LostEvent
            | Tamper::ImaginedRoom
            | Tamper::YoungestFirst
            | Tamper::LostFact
            | Tamper::LostWrite => {}
        }
        seen
    }

    fn replay_equals_live(&mut self, live: &State) -> Result<(), Violation> {
        // Time also passes without events.
        self.folded.evolve(&Event::TimeAdvanced { at: live.now() });
        picture::same(live, &self.folded, "replaying the events gives the live state")
    }

    /// Everything must be over.
    pub(super) fn end(&mut self, engine: &Engine) -> Result<(), Violation> {
        self.replay_equals_live(engine.state())?;
        self.ledger.is_closed()
    }
}
