//! The engine with something beside it: the checkers, or a store that fails. Everything that leaves the engine passes here.

use pointsman_engine::{Command, Engine, EventKind, PublicEvent, Reply, Timestamp, TurnRecord};

use super::checkers::Checkers;
use super::journal::Journal;
use super::{Beside, Figures, Violation};
use crate::script::{Offer, Script};

pub(super) struct Harness {
    pub(super) engine: Engine,
    beside: Watch,
    digest: Digest,
    figures: Figures,
}

enum Watch {
    Checkers(Box<Checkers>),
    Journal(Box<Journal>),
}

/// What a turn gave.
pub(super) struct Turned {
    pub(super) reply: Option<Reply>,
    pub(super) published: Vec<PublicEvent>,
}

/// FNV-1a, without keeping what it is of.
struct Digest(u64);

impl Digest {
    fn add(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = (self.0 ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
        }
    }
}

/// Runs a turn; a refused command leaves only what time has done.
pub(super) fn run(engine: &mut Engine, at: Timestamp, command: Option<&Command>) -> (Option<Reply>, TurnRecord) {
    let mut turn = engine.begin(at);
    let reply = command.and_then(|command| turn.apply(command.clone()).ok());
    (reply, turn.finish())
}

impl Harness {
    pub(super) fn new(script: &Script, beside: Beside) -> Self {
        let (engine, record) = Engine::create_workspace(script.start, script.limits, script.workspace());
        let beside = match beside {
            Beside::Checkers { size, tamper } => {
                Watch::Checkers(Box::new(Checkers::new(script, &record, size, tamper)))
            }
            Beside::Store { seed, tamper } => {
                Watch::Journal(Box::new(Journal::new(script.start, &record, seed, tamper)))
            }
        };
        Self { engine, beside, digest: Digest(0xcbf2_9ce4_8422_2325), figures: Figures::default() }
    }

    pub(super) fn turn(&mut self, at: Timestamp, command: Option<&Command>) -> Result<Turned, Violation> {
        let (reply, record) = match &mut self.beside {
            Watch::Checkers(checkers) => checkers.turn(&mut self.engine, at, command)?,
            Watch::Journal(journal) => journal.turn(&mut self.engine, at, command)?,
        };
        self.digest.add(&pointsman_record::turn::encode(&record));
        self.figures.turns += 1;
        self.figures.events += record.published.len();
        for event in &record.published {
            self.figures.offers += usize::from(event.kind == EventKind::ReservationCreated);
            self.figures.accepted += usize::from(event.kind == EventKind::ReservationAccepted);
        }
        Ok(Turned { reply, published: record.published })
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

    /// Everything must be over.
    pub(super) fn end(&mut self) -> Result<(), Violation> {
        self.engine.check_invariants();
        match &mut self.beside {
            Watch::Checkers(checkers) => checkers.end(&self.engine),
            Watch::Journal(journal) => journal.end(&self.engine),
        }
    }

    pub(super) fn figures(&self) -> Figures {
        let crashes = match &self.beside {
            Watch::Checkers(_) => 0,
            Watch::Journal(journal) => journal.crashes(),
        };
        Figures { crashes, digest: self.digest.0, ..self.figures }
    }
}
