//! The maintenance thread: snapshots while the server runs, trimming of the journal, retention of the history.
//!
//! A snapshot is made from what is stored, not from the running state, so that no engine thread pauses for it; and on a
//! thread of low priority, so that none waits for a processor; and at most a tenth of the time, since one of a large
//! workspace costs much however little has changed. Trimming has no low priority: commits wait for its pieces.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use crossbeam_channel::{Receiver, RecvTimeoutError};
use pointsman_record as record;
use pointsman_store::{Dropped, SequenceNumber, Snapshot, Store, StreamId};

use crate::clock::{self, Clock};
use crate::limits;
use crate::logging::chain;
use crate::priority;
use crate::recovery;
use crate::retention::Retention;
use crate::storage::Storage;

/// What the maintenance thread needs.
pub(crate) struct Maintenance {
    pub(crate) storage: Arc<Storage>,
    pub(crate) clock: Arc<Clock>,
    pub(crate) snapshot_records: u64,
    pub(crate) retention: Retention,
    /// The number of the last record in the newest snapshot of each stream.
    pub(crate) snapshots: BTreeMap<StreamId, SequenceNumber>,
    /// Disconnects when the server stops.
    pub(crate) stopping: Receiver<()>,
}

impl Maintenance {
    /// Runs until the server stops.
    pub(crate) fn run(mut self) {
        let mut retained_day = None;
        let mut rested = clock::instant();
        while self.pause(limits::MAINTENANCE_INTERVAL) {
            let day = self.clock.now().0.div_euclid(86_400_000);
            // What has failed is tried again after the next pause, not the next day.
            if retained_day != Some(day) && self.retain() {
                retained_day = Some(day);
            }
            if rested <= clock::instant() {
                let took = self.snapshot_streams();
                rested = clock::instant() + took * (limits::SNAPSHOT_SHARE - 1);
            }
        }
    }

    /// Returns whether to go on.
    fn pause(&self, duration: Duration) -> bool {
        matches!(self.stopping.recv_timeout(duration), Err(RecvTimeoutError::Timeout))
    }

    /// Returns whether what is too old is gone.
    fn retain(&self) -> bool {
        let retention = self.retention.stored(self.clock.now());
        match priority::lowered(|| self.storage.with(|store| store.retain(&retention))) {
            Ok(Ok(dropped)) => {
                if dropped != Dropped::default() {
                    let Dropped { days, events } = dropped;
                    tracing::info!(days, events, "dropped what is too old of the event history");
                }
                true
            }
            Ok(Err(error)) => {
                tracing::warn!(error = chain(&error), "failed to drop what is too old of the event history");
                false
            }
            Err(_closed) => false,
        }
    }

    /// Returns how long the snapshots took; the trimming after them mostly waits.
    fn snapshot_streams(&mut self) -> Duration {
        let mut took = Duration::ZERO;
        let Ok(Ok(streams)) = self.storage.with(Store::streams) else { return took };
        let is_due = |snapshots: &BTreeMap<StreamId, SequenceNumber>, (stream, last): &(StreamId, SequenceNumber)| {
            let held = snapshots.get(stream).copied().unwrap_or_default();
            *stream != StreamId::ACCOUNTS && self.snapshot_records <= last.0 - held.0
        };
        let due: Vec<_> = streams.into_iter().filter(|row| is_due(&self.snapshots, row)).collect();
        if due.is_empty() {
            return took;
        }
        for (stream, last) in due {
            let began = clock::instant();
            match priority::lowered(|| self.storage.with(|store| snapshot(store, stream))) {
                Ok(Ok(saved)) => {
                    tracing::debug!(%stream, took_ms = clock::millis_since(began), "took a snapshot");
                    self.snapshots.insert(stream, saved.unwrap_or(last));
                }
                Ok(Err(problem)) => tracing::warn!(%stream, error = problem, "failed to make a snapshot"),
                Err(_closed) => return took,
            }
            took += began.elapsed();
        }
        let began = clock::instant();
        match self.storage.with(Store::trim) {
            Ok(Ok(records)) => {
                tracing::debug!(records, took_ms = clock::millis_since(began), "trimmed the journal");
            }
            Err(_closed) => {}
            Ok(Err(error)) => tracing::warn!(error = chain(&error), "failed to trim the journal"),
        }
        took
    }
}

/// Folds what is stored of a stream into a new snapshot. Returns its last record; `None` when it is deleted.
fn snapshot(store: &dyn Store, stream: StreamId) -> Result<Option<SequenceNumber>, String> {
    // Taken before the records are read: none of the stream at or before it is missing then.
    let position = store.last_position();
    let restored = recovery::state_of(store, stream).map_err(|error| chain(&error))?;
    let Some((sequence, state)) = restored else { return Ok(None) };
    let snapshot = state.snapshot();
    // Of a large workspace this is much, and the snapshot holds all that is needed.
    drop(state);
    let mut chunks = record::snapshot::encode(&snapshot);
    store.save_snapshot(Snapshot { stream, sequence, position }, &mut chunks).map_err(|error| chain(&error))?;
    Ok(Some(sequence))
}
