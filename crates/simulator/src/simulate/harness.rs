//! The engine with its checkers around it. Everything that leaves the engine passes here.

use std::fmt::{self, Write as _};

use pointsman_engine::{
    Command, Engine, EventKind, PublicEvent, Reply, ReservationStatus, State, Timestamp, TurnRecord,
};

use super::ledger::Ledger;
use super::rest::{self, Waiting};
use super::{Size, Tamper, Violation};
use crate::script::{Offer, Script};

pub(super) struct Harness {
    pub(super) engine: Engine,
    /// The same state, made of the events alone.
    folded: State,
    ledger: Ledger,
    digest: Digest,
    size: Size,
    tamper: Tamper,
    pub(super) turns: usize,
    pub(super) events: usize,
    pub(super) offered: usize,
    pub(super) accepted: usize,
    pub(super) restarted: bool,
    tampered: bool,
}

/// What a turn gave.
pub(super) struct Turned {
    pub(super) reply: Option<Reply>,
    pub(super) published: Vec<PublicEvent>,
}

/// FNV-1a over text, without keeping it.
struct Digest(u64);

impl fmt::Write for Digest {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for byte in text.bytes() {
            self.0 = (self.0 ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
        }
        Ok(())
    }
}

impl Harness {
    pub(super) fn new(script: &Script, size: Size, tamper: Tamper) -> Self {
        let (engine, record) = Engine::create_workspace(script.start, script.limits, script.workspace());
        let begins = |event: &&pointsman_engine::Event| !matches!(event, pointsman_engine::Event::TimeAdvanced { .. });
        let mut events = record.events.iter().filter(begins);
        let first = events.next().expect("a Workspace begins with its creation");
        let mut folded = State::create(script.start, first).expect("a Workspace begins with its creation");
        events.for_each(|event| folded.evolve(event));
        folded.count_published(record.published.len() as u64);
        let mut ledger = Ledger::new(script.limits, script.tasking);
        ledger.begin(&record.published);
        Self {
            engine,
            folded,
            ledger,
            digest: Digest(0xcbf2_9ce4_8422_2325),
            size,
            tamper,
            turns: 0,
            events: 0,
            offered: 0,
            accepted: 0,
            restarted: false,
            tampered: false,
        }
    }

    pub(super) fn turn(&mut self, at: Timestamp, command: Option<&Command>) -> Result<Turned, Violation> {
        let before = self.engine.state().now();
        let waiting = (self.size == Size::Small).then(|| Waiting::of(self.engine.state()));
        let mut turn = self.engine.begin(at);
        let reply = command.and_then(|command| turn.apply(command.clone()).ok());
        let record = turn.finish();
        self.turns += 1;
        self.events += record.published.len();
        write!(self.digest, "{record:?}").expect("writing to a digest does not fail");

        self.fold(&record);
        let published = self.seen(&record.published);
        self.ledger.follow(&published, before, at.max(before))?;
        let state = self.engine.state();
        for event in &published {
            self.offered += usize::from(event.kind == EventKind::ReservationCreated);
            self.accepted += usize::from(event.kind == EventKind::ReservationAccepted);
        }
        rest::nothing_is_overdue(state, self.engine.limits())?;
        if let Some(waiting) = waiting {
            self.engine.check_invariants();
            rest::nobody_waits_for_somebody_idle(state, self.tamper)?;
            waiting.were_served_in_order(state, &published, self.tamper)?;
        } else if self.turns.is_multiple_of(64) {
            rest::nobody_waits_for_somebody_idle(state, self.tamper)?;
        }
        if self.turns.is_multiple_of(256) {
            self.replay_equals_live()?;
        }
        Ok(Turned { reply, published: record.published })
    }

    fn fold(&mut self, record: &TurnRecord) {
        for event in &record.events {
            let worker = matches!(event, pointsman_engine::Event::WorkerChannelUpdated { .. });
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
            Tamper::None | Tamper::LostEvent | Tamper::ImaginedRoom | Tamper::YoungestFirst | Tamper::LostFact => {}
        }
        seen
    }

    /// The reservations that a turn made, by what they are.
    pub(super) fn offers(&self, published: &[PublicEvent]) -> Vec<Offer> {
        let state = self.engine.state();
        let made = published.iter().filter(|event| event.kind == EventKind::ReservationCreated);
        made.filter_map(|event| state.find_reservation(event.reservation.as_ref()?.sid))
            .map(|row| {
                let siblings = &state.task(row.task).expect("a reservation has a Task").reservations;
                let earlier = siblings.iter().filter(|other| **other < row.id);
                let same = |other: &&pointsman_engine::Id<pointsman_engine::Reservation>| {
                    state.reservation(**other).is_some_and(|other| other.worker == row.worker)
                };
                Offer {
                    reservation: row.id.number(),
                    task: row.task.number(),
                    worker: row.worker.number(),
                    nth: earlier.filter(same).count(),
                }
            })
            .collect()
    }

    fn replay_equals_live(&mut self) -> Result<(), Violation> {
        // Time also passes without events.
        self.folded.evolve(&pointsman_engine::Event::TimeAdvanced { at: self.engine.state().now() });
        let live = format!("{:#?}", self.engine.state().snapshot());
        let folded = format!("{:#?}", self.folded.snapshot());
        if live == folded {
            return Ok(());
        }
        let differing = live.lines().zip(folded.lines()).find(|(live, folded)| live != folded);
        Err(Violation::new("replaying the events gives the live state", format!("{differing:?}")))
    }

    /// Goes on from the replayed state, as after a stop.
    pub(super) fn restart(&mut self) -> Result<(), Violation> {
        self.replay_equals_live()?;
        self.restarted = true;
        self.engine = Engine::restore(self.folded.clone(), *self.engine.limits());
        self.engine.check_invariants();
        Ok(())
    }

    /// Everything must be over.
    pub(super) fn end(&mut self) -> Result<(), Violation> {
        self.replay_equals_live()?;
        self.engine.check_invariants();
        self.ledger.is_closed()
    }

    pub(super) fn digest(&self) -> u64 {
        self.digest.0
    }
}
