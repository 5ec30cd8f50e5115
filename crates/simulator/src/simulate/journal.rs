//! A store beside the engine that fails at planned turns. Each failure ends the process: the engine goes on from what is
//! stored, and must not have lost what was acknowledged nor half of what was not.
//!
//! ```text
//! turn ──► record ──► append ──┬─ acknowledged ─────────────────────► same state after a restart
//!                              └─ full, torn, not synchronized ──┬──► written: the turn counts
//!                                                                └──► lost: tried again, the same bytes
//! ```

use pointsman_dispatcher::restore_state;
use pointsman_engine::{Command, Engine, Event, Reply, State, Timestamp, TurnRecord};
use pointsman_record as record;
use pointsman_store::{
    AppendFault, CrashPlan, Epoch, Faults, MemoryStore, ReadLimit, Record, SequenceNumber, Snapshot, Store, StreamId,
    Unacknowledged,
};

use super::{Tamper, Violation, harness, picture};
use crate::limits::{TURNS_BETWEEN_CRASHES, TURNS_BETWEEN_SNAPSHOTS};
use crate::random::Random;

const STREAM: StreamId = StreamId([1; 16]);

pub(super) struct Journal {
    store: MemoryStore,
    epoch: Epoch,
    sequence: SequenceNumber,
    random: Random,
    turns: usize,
    crashes: usize,
    /// Snapshots since one was damaged: the one before the newest must be good.
    good_snapshots: usize,
    tamper: Tamper,
}

/// What becomes of one turn's append, before the process ends.
#[derive(Clone, Copy, Debug)]
struct Crash {
    fault: Option<AppendFault>,
    unacknowledged: Unacknowledged,
}

impl Crash {
    fn draw(random: &mut Random) -> Self {
        let faults = [None, Some(AppendFault::Full), Some(AppendFault::Unsynchronized), Some(AppendFault::Torn)];
        let kept = [Unacknowledged::Lost, Unacknowledged::Kept];
        Self { fault: *random.pick(&faults), unacknowledged: *random.pick(&kept) }
    }

    /// Whether the turn is there after the restart.
    fn keeps(self) -> bool {
        match self.fault {
            None => true,
            Some(AppendFault::Unsynchronized) => self.unacknowledged == Unacknowledged::Kept,
            Some(AppendFault::Full | AppendFault::Torn) => false,
        }
    }
}

impl Journal {
    /// - `record`: how the Workspace came into being.
    pub(super) fn new(start: Timestamp, record: &TurnRecord, seed: u64, tamper: Tamper) -> Self {
        let store = MemoryStore::new();
        let epoch = store.begin_epoch().expect("a new store works");
        let mut journal = Self {
            store,
            epoch,
            sequence: SequenceNumber::ZERO,
            random: Random::new(seed ^ 0x10_0b_0e),
            turns: 0,
            crashes: 0,
            good_snapshots: 0,
            tamper,
        };
        assert!(journal.append(start, record), "a new store works");
        journal
    }

    pub(super) fn turn(
        &mut self,
        engine: &mut Engine,
        at: Timestamp,
        command: Option<&Command>,
    ) -> Result<(Option<Reply>, TurnRecord), Violation> {
        self.turns += 1;
        let crash = (self.random.below(TURNS_BETWEEN_CRASHES) == 0).then(|| Crash::draw(&mut self.random));
        let before = crash.map(|_| engine.state().clone());
        let (reply, record) = harness::run(engine, at, command);
        // Nothing is written of a turn in which nothing happened.
        let (Some(crash), Some(before), false) = (crash, before, record.events.is_empty()) else {
            if !record.events.is_empty() {
                assert!(self.append(at, &record), "a store without faults works");
            }
            self.tend(engine.state());
            return Ok((reply, record));
        };
        let appends = crash.fault.map(|fault| (1, fault)).into_iter().collect();
        self.store.set_faults(Faults { appends, ..Faults::default() });
        let acknowledged = self.append(at, &record);
        self.store.set_faults(Faults::default());
        if acknowledged != crash.fault.is_none() {
            return Err(Violation::new("a fault of the store is reported", format!("{crash:?}")));
        }
        self.store.crash(CrashPlan { unacknowledged: crash.unacknowledged, loses_projection: false });
        if !crash.keeps() {
            *engine = self.restart(&before, engine)?;
            let (_, again) = harness::run(engine, at, command);
            if record::turn::encode(&again) != record::turn::encode(&record) {
                let text = format!("{crash:?}: {again:?} instead of {record:?}");
                return Err(Violation::new("a turn that is tried again gives the same bytes", text));
            }
            assert!(self.append(at, &again), "a store without faults works");
            return Ok((reply, again));
        }
        if !acknowledged {
            self.sequence = self.sequence.next();
        }
        *engine = self.restart(engine.state(), engine)?;
        Ok((reply, record))
    }

    /// Commits the record of a turn. False when the store has failed.
    fn append(&mut self, at: Timestamp, turn: &TurnRecord) -> bool {
        let mut payload = record::turn::encode(turn);
        if self.tamper == Tamper::LostWrite && self.turns == 100 {
            payload = record::turn::encode(&TurnRecord::default());
        }
        let sequence = self.sequence.next();
        let appended = self.store.append(self.epoch, &[Record { stream: STREAM, sequence, at_ms: at.0, payload }], &[]);
        if appended.is_ok() {
            self.sequence = sequence;
        }
        appended.is_ok()
    }

    /// Takes snapshots and trims, now and then.
    fn tend(&mut self, state: &State) {
        if self.turns.is_multiple_of(TURNS_BETWEEN_SNAPSHOTS) {
            let about = Snapshot { stream: STREAM, sequence: self.sequence, position: self.store.last_position() };
            let snapshot = state.snapshot();
            self.store.save_snapshot(about, &mut record::snapshot::encode(&snapshot)).expect("a store without faults");
            self.store.trim().expect("a store without faults works");
            self.good_snapshots += 1;
        }
    }

    /// The engine as a new process makes it. `expected`: what it must know.
    fn restart(&mut self, expected: &State, engine: &Engine) -> Result<Engine, Violation> {
        self.crashes += 1;
        if 2 <= self.good_snapshots && self.random.chance(20) {
            assert!(self.store.damage_newest_snapshot(STREAM), "there is one");
            self.good_snapshots = 0;
        }
        self.epoch = self.store.begin_epoch().expect("a store without faults works");
        let state = self.stored(expected)?;
        let engine = Engine::restore(state, *engine.limits());
        engine.check_invariants();
        Ok(engine)
    }

    /// What is stored, which must be what was acknowledged.
    fn stored(&self, expected: &State) -> Result<State, Violation> {
        const RULE: &str = "what was acknowledged is there after a restart, and nothing else";
        let snapshots = self.store.snapshots().expect("a store without faults works");
        let snapshot = snapshots.newest.first().map(|snapshot| {
            let chunks = self.store.read_snapshot(*snapshot).expect("a store without faults works");
            (snapshot.sequence.0, chunks.map(|chunk| chunk.expect("a good snapshot")).collect::<Vec<_>>())
        });
        let mut after = snapshot.as_ref().map_or(SequenceNumber::ZERO, |(sequence, _)| SequenceNumber(*sequence));
        let mut records = Vec::new();
        loop {
            let page = self.store.read_stream(STREAM, after, ReadLimit::default()).expect("a store without faults");
            let Some((_, last)) = page.last() else { break };
            after = last.sequence;
            records.extend(page.into_iter().map(|(_, record)| (record.sequence.0, record.payload)));
        }
        let restored = restore_state(snapshot, records.into_iter()).map_err(|error| Violation::new(RULE, error))?;
        let (sequence, mut state) = restored.expect("a Workspace was created");
        if sequence != self.sequence.0 {
            return Err(Violation::new(RULE, format!("record {sequence} is the last, not {}", self.sequence)));
        }
        // Time also passes without events.
        state.evolve(&Event::TimeAdvanced { at: expected.now() });
        picture::same(expected, &state, RULE)?;
        Ok(state)
    }

    pub(super) fn end(&mut self, engine: &Engine) -> Result<(), Violation> {
        self.stored(engine.state()).map(drop)
    }

    pub(super) fn crashes(&self) -> usize {
        self.crashes
    }
}
