//! A store without files, that can be told to fail: for `--in-memory` and for simulation.
//!
//! It keeps the same contract as the store on disk, and one suite of tests holds both to it. A clone is another handle
//! to the same store, as another process would have it.

mod faults;
mod history;

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::history::check_rows;
use crate::{
    AppendError, CheckReport, Damage, DeadLetter, Dropped, Epoch, HistoryEvent, HistoryPage, HistoryQuery, HistoryRow,
    KeptLetters, LetterPlace, OutboxChange, OutboxCounts, OutboxEntry, OutboxLane, OutboxNumber, Position, ReadError,
    ReadLimit, Record, Retention, SequenceNumber, Sid, Snapshot, SnapshotChunks, SnapshotList, Store, StreamId,
    WaitingDelivery, WriteError, limits, outbox, snapshot,
};

use self::history::MemoryHistory;

pub use self::faults::{AppendFault, CrashPlan, Faults, Unacknowledged};

/// The store in memory.
#[derive(Clone, Debug, Default)]
pub struct MemoryStore {
    state: Arc<Mutex<State>>,
}

#[derive(Debug, Default)]
struct State {
    faults: Faults,
    appends: u64,
    reads: u64,
    epoch: Epoch,
    last_position: Position,
    streams: BTreeMap<StreamId, Stream>,
    /// In the order of commits.
    records: BTreeMap<Position, Record>,
    outbox: BTreeMap<OutboxNumber, Delivery>,
    outbox_numbers: BTreeMap<Sid, OutboxNumber>,
    outbox_number_max: u64,
    history: MemoryHistory,
    meta: BTreeMap<String, Vec<u8>>,
    stopped_after: Option<Position>,
    /// A batch that was written but never acknowledged.
    unacknowledged: Option<Batch>,
}

#[derive(Debug, Default)]
struct Stream {
    last: SequenceNumber,
    trimmed: SequenceNumber,
    positions: BTreeMap<SequenceNumber, Position>,
    /// Oldest first.
    snapshots: Vec<StoredSnapshot>,
}

#[derive(Debug)]
struct StoredSnapshot {
    about: Snapshot,
    chunks: Arc<Vec<Vec<u8>>>,
    is_damaged: bool,
}

#[derive(Debug)]
struct Delivery {
    entry: OutboxEntry,
    is_dead: bool,
}

#[derive(Clone, Debug)]
struct Batch {
    records: Vec<Record>,
    outbox: Vec<OutboxChange>,
}

impl MemoryStore {
    /// An empty store that never fails.
    pub fn new() -> MemoryStore {
        MemoryStore::default()
    }

    /// An empty store that fails as planned.
    pub fn with_faults(faults: Faults) -> MemoryStore {
        let store = MemoryStore::new();
        store.set_faults(faults);
        store
    }

    /// Replaces the plan; appends and reads are counted from here.
    pub fn set_faults(&self, faults: Faults) {
        let mut state = self.lock();
        state.faults = faults;
        state.appends = 0;
        state.reads = 0;
    }

    /// The process ends and the store is opened again: what was acknowledged is there, the rest as the plan says.
    pub fn crash(&self, plan: CrashPlan) {
        let mut state = self.lock();
        if let Some(batch) = state.unacknowledged.take()
            && plan.unacknowledged == Unacknowledged::Kept
        {
            state.commit(&batch);
        }
        state.stopped_after = None;
        if plan.loses_projection {
            state.history.fall_back();
        }
    }

    /// Damages the newest snapshot of a stream. False when it has none.
    pub fn damage_newest_snapshot(&self, stream: StreamId) -> bool {
        let mut state = self.lock();
        let newest = state.streams.get_mut(&stream).and_then(|stream| stream.snapshots.last_mut());
        newest.map(|snapshot| snapshot.is_damaged = true).is_some()
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Counts a read, and fails it if the plan says so.
    fn begin_read(&self, step: &'static str) -> Result<MutexGuard<'_, State>, ReadError> {
        let mut state = self.lock();
        state.reads += 1;
        if state.faults.reads.contains(&state.reads) {
            return Err(ReadError::Failed { step, path: path(), source: "a planned fault".into() });
        }
        Ok(state)
    }

    fn waiting(
        &self,
        after: OutboxNumber,
        limit: usize,
        is_asked_for: impl Fn(&OutboxEntry) -> bool,
    ) -> Result<Vec<WaitingDelivery>, ReadError> {
        let state = self.begin_read("read the outbox")?;
        let waiting = state.outbox.range(OutboxNumber(after.0 + 1)..);
        let waiting = waiting.filter(|(_, delivery)| !delivery.is_dead && is_asked_for(&delivery.entry));
        Ok(waiting
            .take(limit.min(limits::OUTBOX_PAGE_MAX))
            .map(|(number, delivery)| WaitingDelivery { number: *number, entry: delivery.entry.clone() })
            .collect())
    }
}

/// What error messages name in place of a file.
fn path() -> PathBuf {
    PathBuf::from("(in memory)")
}

impl State {
    fn commit(&mut self, batch: &Batch) {
        for record in &batch.records {
            self.last_position = Position(self.last_position.0 + 1);
            let stream = self.streams.entry(record.stream).or_default();
            stream.last = record.sequence;
            stream.positions.insert(record.sequence, self.last_position);
            self.records.insert(self.last_position, record.clone());
        }
        for change in &batch.outbox {
            self.change_outbox(change);
        }
    }

    fn check_sequences(&self, records: &[Record]) -> Result<(), AppendError> {
        let mut last: BTreeMap<StreamId, SequenceNumber> = BTreeMap::new();
        for record in records {
            let stream = record.stream;
            let before = last.entry(stream).or_insert_with(|| self.last_sequence(stream));
            let expected = before.next();
            if record.sequence != expected {
                return Err(AppendError::Sequence { stream, found: record.sequence, expected });
            }
            *before = expected;
        }
        Ok(())
    }

    fn last_sequence(&self, stream: StreamId) -> SequenceNumber {
        self.streams.get(&stream).map_or(SequenceNumber::ZERO, |stream| stream.last)
    }

    fn change_outbox(&mut self, change: &OutboxChange) {
        match change {
            OutboxChange::Put(entry) => {
                let number = *self.outbox_numbers.entry(entry.sid).or_insert_with(|| {
                    self.outbox_number_max += 1;
                    OutboxNumber(self.outbox_number_max)
                });
                self.outbox.insert(number, Delivery { entry: entry.clone(), is_dead: false });
            }
            OutboxChange::Done { sid } => {
                if let Some(number) = self.outbox_numbers.remove(sid) {
                    self.outbox.remove(&number);
                }
            }
            OutboxChange::Dead { sid, at_ms, payload } => {
                let delivery = self.outbox_numbers.get(sid).and_then(|number| self.outbox.get_mut(number));
                if let Some(delivery) = delivery.filter(|delivery| !delivery.is_dead) {
                    delivery.is_dead = true;
                    delivery.entry.at_ms = *at_ms;
                    delivery.entry.payload.clone_from(payload);
                }
            }
        }
    }

    fn retain_deliveries(&mut self, keep: impl Fn(&Delivery) -> bool) {
        let numbers = &mut self.outbox_numbers;
        self.outbox.retain(|_, delivery| {
            let is_kept = keep(delivery);
            if !is_kept {
                numbers.remove(&delivery.entry.sid);
            }
            is_kept
        });
    }
}

impl Store for MemoryStore {
    fn begin_epoch(&self) -> Result<Epoch, WriteError> {
        let mut state = self.lock();
        state.epoch = Epoch(state.epoch.0 + 1);
        Ok(state.epoch)
    }

    fn append(&self, epoch: Epoch, records: &[Record], changes: &[OutboxChange]) -> Result<Position, AppendError> {
        outbox::check_limits(changes)?;
        AppendError::check_size("records of a batch", records.len(), limits::BATCH_RECORDS_MAX)?;
        let mut guard = self.lock();
        let state = &mut *guard;
        let position = state.last_position;
        if let Some(position) = state.stopped_after {
            return Err(AppendError::Stopped { path: path(), position });
        }
        if epoch != state.epoch {
            return Err(AppendError::Fenced { presented: epoch, current: state.epoch });
        }
        let mut bytes: usize = changes.iter().map(OutboxChange::payload_bytes).sum();
        for record in records {
            AppendError::check_size("payload of a record", record.payload.len(), limits::RECORD_BYTES_MAX)?;
            bytes += record.payload.len();
        }
        state.check_sequences(records)?;
        AppendError::check_size("payloads of a batch", bytes, limits::BATCH_BYTES_MAX)?;
        state.appends += 1;
        let batch = Batch { records: records.to_vec(), outbox: changes.to_vec() };
        match state.faults.appends.get(&state.appends) {
            None => {
                state.commit(&batch);
                Ok(state.last_position)
            }
            Some(AppendFault::Full) => {
                Err(AppendError::Full { path: path(), position, source: "a planned fault".into() })
            }
            Some(&fault @ (AppendFault::Unsynchronized | AppendFault::Torn)) => {
                state.stopped_after = Some(position);
                // Half a batch is never seen; a whole one that was not acknowledged may be.
                state.unacknowledged = (fault == AppendFault::Unsynchronized).then_some(batch);
                let step = "synchronize an append";
                Err(AppendError::Failed { step, path: path(), position, source: "a planned fault".into() })
            }
        }
    }

    fn last_position(&self) -> Position {
        self.lock().last_position
    }

    fn streams(&self) -> Result<Vec<(StreamId, SequenceNumber)>, ReadError> {
        let state = self.begin_read("list the streams")?;
        Ok(state.streams.iter().map(|(id, stream)| (*id, stream.last)).collect())
    }

    fn read_after(&self, after: Position, limit: ReadLimit) -> Result<Vec<(Position, Record)>, ReadError> {
        let state = self.begin_read("read records")?;
        let records = state.records.range(Position(after.0 + 1)..).map(|(position, record)| (*position, record));
        Ok(cut(records, limit))
    }

    fn read_stream(
        &self,
        stream: StreamId,
        after: SequenceNumber,
        limit: ReadLimit,
    ) -> Result<Vec<(Position, Record)>, ReadError> {
        let state = self.begin_read("read records of a stream")?;
        let Some(of_stream) = state.streams.get(&stream) else { return Ok(Vec::new()) };
        if after < of_stream.trimmed {
            return Err(ReadError::Trimmed { stream, asked_after: after, first_after: of_stream.trimmed });
        }
        let records =
            of_stream.positions.range(after.next()..).map(|(_, position)| (*position, &state.records[position]));
        Ok(cut(records, limit))
    }

    fn delete_stream(&self, stream: StreamId) -> Result<(), WriteError> {
        let mut state = self.lock();
        state.streams.remove(&stream);
        state.records.retain(|_, record| record.stream != stream);
        Ok(())
    }

    fn trim(&self) -> Result<u64, WriteError> {
        let mut guard = self.lock();
        let state = &mut *guard;
        let projected = state.history.synchronize();
        let mut trimmed = 0;
        for stream in state.streams.values_mut() {
            let [older, newest] = &stream.snapshots[..] else { continue };
            if older.is_damaged || newest.is_damaged {
                continue;
            }
            let up_to = older.about.sequence;
            while let Some(first) = stream.positions.first_entry() {
                if *first.key() > up_to || *first.get() > projected {
                    break;
                }
                stream.trimmed = *first.key();
                state.records.remove(&first.remove());
                trimmed += 1;
            }
        }
        Ok(trimmed)
    }

    fn save_snapshot(&self, about: Snapshot, chunks: &mut dyn Iterator<Item = Vec<u8>>) -> Result<(), WriteError> {
        let mut kept = Vec::new();
        for chunk in chunks {
            snapshot::check_chunk(kept.len() as u64, &chunk)?;
            kept.push(chunk);
        }
        let mut state = self.lock();
        let last = state.last_sequence(about.stream);
        if about.sequence > last {
            return Err(WriteError::SnapshotAhead { stream: about.stream, sequence: about.sequence, last });
        }
        let stream = state.streams.entry(about.stream).or_default();
        stream.snapshots.retain(|kept| kept.about.sequence != about.sequence);
        stream.snapshots.push(StoredSnapshot { about, chunks: Arc::new(kept), is_damaged: false });
        stream.snapshots.sort_by_key(|kept| kept.about.sequence);
        while stream.snapshots.len() > limits::SNAPSHOTS_KEPT {
            // A damaged one must not push out a good one.
            let surplus = stream.snapshots.iter().position(|kept| kept.is_damaged).unwrap_or(0);
            stream.snapshots.remove(surplus);
        }
        Ok(())
    }

    fn snapshots(&self) -> Result<SnapshotList, ReadError> {
        let state = self.begin_read("list the snapshots")?;
        let mut list = SnapshotList::default();
        for stream in state.streams.values() {
            for snapshot in stream.snapshots.iter().rev() {
                if !snapshot.is_damaged {
                    list.newest.push(snapshot.about);
                    break;
                }
                list.damaged.push(damage(snapshot.about));
            }
        }
        Ok(list)
    }

    fn read_snapshot(&self, snapshot: Snapshot) -> Result<SnapshotChunks, ReadError> {
        let state = self.begin_read("read a snapshot")?;
        let stored = state
            .streams
            .get(&snapshot.stream)
            .and_then(|stream| stream.snapshots.iter().find(|stored| stored.about.sequence == snapshot.sequence));
        let Some(stored) = stored else {
            return Err(ReadError::NoSnapshot { stream: snapshot.stream, sequence: snapshot.sequence });
        };
        if stored.is_damaged {
            return Err(ReadError::Damaged(damage(snapshot)));
        }
        let chunks = Arc::clone(&stored.chunks);
        Ok(SnapshotChunks(Box::new((0..chunks.len()).map(move |index| Ok(chunks[index].clone())))))
    }

    fn project(&self, up_to: Position, rows: &[HistoryRow]) -> Result<(), WriteError> {
        check_rows(up_to, rows)?;
        let mut state = self.lock();
        if up_to > state.last_position {
            return Err(WriteError::ProjectedAhead { up_to, last: state.last_position });
        }
        state.history.project(up_to, rows);
        Ok(())
    }

    fn history_position(&self) -> Position {
        self.lock().history.position()
    }

    fn history(&self, query: &HistoryQuery) -> Result<HistoryPage, ReadError> {
        let state = self.begin_read("read the history")?;
        Ok(state.history.query(query))
    }

    fn history_event(&self, workspace: Sid, sid: Sid) -> Result<Option<HistoryEvent>, ReadError> {
        let state = self.begin_read("look for an event in the history")?;
        Ok(state.history.event(workspace, sid))
    }

    fn retain(&self, retention: &Retention) -> Result<Dropped, WriteError> {
        let mut state = self.lock();
        state.retain_deliveries(|delivery| {
            !delivery.is_dead || delivery.entry.at_ms >= retention.of(delivery.entry.workspace)
        });
        state.history.synchronize();
        Ok(state.history.retain(retention))
    }

    fn outbox_read(&self, after: OutboxNumber, limit: usize) -> Result<Vec<WaitingDelivery>, ReadError> {
        self.waiting(after, limit, |_| true)
    }

    fn outbox_read_of(
        &self,
        lane: OutboxLane,
        after: OutboxNumber,
        limit: usize,
    ) -> Result<Vec<WaitingDelivery>, ReadError> {
        self.waiting(after, limit, |entry| lane_of(entry) == lane)
    }

    fn outbox_lanes(&self) -> Result<Vec<OutboxLane>, ReadError> {
        let state = self.begin_read("read the outbox")?;
        let waiting = state.outbox.values().filter(|delivery| !delivery.is_dead);
        Ok(waiting.map(|delivery| lane_of(&delivery.entry)).collect::<BTreeSet<_>>().into_iter().collect())
    }

    fn dead_letters(&self, kept: KeptLetters, place: LetterPlace, limit: usize) -> Result<Vec<DeadLetter>, ReadError> {
        let state = self.begin_read("read the dead letters")?;
        let dead = |(_, delivery): &(&OutboxNumber, &Delivery)| is_kept_letter(delivery, kept);
        let letter = |(number, delivery): (&OutboxNumber, &Delivery)| letter_of(*number, delivery);
        let limit = limit.min(limits::OUTBOX_PAGE_MAX);
        Ok(match place {
            LetterPlace::After(number) => {
                let after = (Bound::Excluded(number), Bound::Unbounded);
                state.outbox.range(after).filter(dead).take(limit).map(letter).collect()
            }
            LetterPlace::Before(number) => {
                let mut letters: Vec<_> =
                    state.outbox.range(..number).rev().filter(dead).take(limit).map(letter).collect();
                letters.reverse();
                letters
            }
        })
    }

    fn outbox_counts(&self, kept: KeptLetters) -> Result<OutboxCounts, ReadError> {
        let state = self.begin_read("count the outbox")?;
        let is_waiting = |delivery: &&Delivery| !delivery.is_dead && delivery.entry.workspace == kept.workspace;
        let waiting = state.outbox.values().filter(is_waiting).count();
        let dead = state.outbox.values().filter(|delivery| is_kept_letter(delivery, kept)).count();
        Ok(OutboxCounts { waiting: waiting as u64, dead: dead as u64 })
    }

    fn dead_letter(&self, kept: KeptLetters, sid: Sid) -> Result<Option<DeadLetter>, ReadError> {
        let state = self.begin_read("read a dead letter")?;
        let Some(&number) = state.outbox_numbers.get(&sid) else { return Ok(None) };
        let delivery = &state.outbox[&number];
        Ok(is_kept_letter(delivery, kept).then(|| letter_of(number, delivery)))
    }

    fn probe(&self, _bytes: usize) -> Result<(), WriteError> {
        Ok(())
    }

    fn meta_put(&self, key: &str, value: &[u8]) -> Result<(), WriteError> {
        WriteError::check_size("key of a meta value", key.len(), limits::META_KEY_BYTES_MAX)?;
        WriteError::check_size("meta value", value.len(), limits::META_VALUE_BYTES_MAX)?;
        self.lock().meta.insert(key.to_owned(), value.to_vec());
        Ok(())
    }

    fn meta(&self, key: &str) -> Result<Option<Vec<u8>>, ReadError> {
        let state = self.begin_read("read a meta value")?;
        Ok(state.meta.get(key).cloned())
    }

    fn check(&self) -> Result<CheckReport, ReadError> {
        let state = self.begin_read("check")?;
        let snapshots: Vec<&StoredSnapshot> = state.streams.values().flat_map(|stream| &stream.snapshots).collect();
        let damaged = snapshots.iter().filter(|snapshot| snapshot.is_damaged);
        Ok(CheckReport {
            records: state.records.len() as u64,
            snapshots: snapshots.iter().filter(|snapshot| !snapshot.is_damaged).count() as u64,
            history_events: state.history.len() as u64,
            deliveries: state.outbox.len() as u64,
            damage: damaged.map(|snapshot| damage(snapshot.about)).collect(),
        })
    }
}

fn is_kept_letter(delivery: &Delivery, kept: KeptLetters) -> bool {
    delivery.is_dead && delivery.entry.workspace == kept.workspace && kept.from_ms <= delivery.entry.at_ms
}

const fn lane_of(entry: &OutboxEntry) -> OutboxLane {
    OutboxLane { workspace: entry.workspace, number: entry.lane }
}

fn letter_of(number: OutboxNumber, delivery: &Delivery) -> DeadLetter {
    let OutboxEntry { sid, workspace, key: _, lane: _, at_ms, payload } = delivery.entry.clone();
    DeadLetter { number, sid, workspace, at_ms, payload }
}

fn cut<'a>(records: impl Iterator<Item = (Position, &'a Record)>, limit: ReadLimit) -> Vec<(Position, Record)> {
    let mut taken = Vec::new();
    let mut bytes = 0;
    for (position, record) in records.take(limit.records.max(1)) {
        bytes += record.payload.len();
        taken.push((position, record.clone()));
        if bytes >= limit.bytes {
            break;
        }
    }
    taken
}

fn damage(snapshot: Snapshot) -> Damage {
    Damage {
        path: path(),
        place: format!("the snapshot of stream {} at {}", snapshot.stream, snapshot.sequence),
        problem: "a planned fault".to_owned(),
    }
}
