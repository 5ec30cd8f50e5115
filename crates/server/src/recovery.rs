//! Making shards again from what is stored: the newest snapshot of each workspace and the records after it.

use pointsman_dispatcher::{RestoreError, Shard, Telephony};
use pointsman_engine::{Limits, State};
use pointsman_store::{ReadError, ReadLimit, SequenceNumber, Snapshot, SnapshotList, Store, StreamId};

/// A workspace could not be made again.
#[derive(Debug, thiserror::Error)]
pub enum RecoveryError {
    #[error("failed to list what is stored")]
    List(#[source] ReadError),
    #[error("failed to read workspace {stream}")]
    Read {
        stream: StreamId,
        #[source]
        source: ReadError,
    },
    #[error("failed to restore workspace {stream}")]
    Restore {
        stream: StreamId,
        #[source]
        source: RestoreError,
    },
}

/// Which workspaces are whose: those of engine thread `index` of `count`.
pub(crate) fn is_owned(workspace: [u8; 16], index: usize, count: usize) -> bool {
    place(workspace, count) == index
}

/// Which of so many places a workspace has. SIDs are drawn at random, so their first bytes spread evenly.
pub(crate) fn place(workspace: [u8; 16], count: usize) -> usize {
    let (first, _) = workspace.split_at(8);
    let number = u64::from_be_bytes(first.try_into().expect("eight bytes were split off"));
    (number % count as u64) as usize
}

/// Fills an empty shard with the workspaces of one engine thread.
///
/// - `snapshots`: as the store has listed them.
/// - Returns the streams of workspaces that are deleted, to be forgotten.
pub(crate) fn restore(
    shard: &mut Shard,
    store: &dyn Store,
    snapshots: &SnapshotList,
    (index, count): (usize, usize),
) -> Result<Vec<StreamId>, RecoveryError> {
    let mut deleted = Vec::new();
    for (stream, _) in store.streams().map_err(RecoveryError::List)? {
        if stream == StreamId::ACCOUNTS || !is_owned(stream.0, index, count) {
            continue;
        }
        let snapshot = snapshots.newest.iter().find(|snapshot| snapshot.stream == stream);
        if !restore_stream(shard, store, stream, snapshot.copied())? {
            deleted.push(stream);
        }
    }
    Ok(deleted)
}

/// One workspace as it is stored, and the number of its last record, to take a snapshot of it. `None` when it is deleted.
///
/// - Nothing is made of it that only routing needs: that would be a good part of its memory again.
pub(crate) fn state_of(store: &dyn Store, stream: StreamId) -> Result<Option<(SequenceNumber, State)>, RecoveryError> {
    let snapshots = store.snapshots().map_err(RecoveryError::List)?;
    let snapshot = snapshots.newest.into_iter().find(|snapshot| snapshot.stream == stream);
    let (held, mut tail) = stored(store, stream, snapshot)?;
    let restored = pointsman_dispatcher::restore_state(held, &mut tail);
    let restored = tail.finish(restored)?;
    Ok(restored.filter(|(_, state)| !state.is_deleted()).map(|(sequence, state)| (SequenceNumber(sequence), state)))
}

/// A shard that holds one workspace as it is stored. `None` when it is deleted.
pub(crate) fn restore_one(store: &dyn Store, stream: StreamId, limits: Limits) -> Result<Option<Shard>, RecoveryError> {
    let snapshots = store.snapshots().map_err(RecoveryError::List)?;
    let snapshot = snapshots.newest.into_iter().find(|snapshot| snapshot.stream == stream);
    let mut shard = Shard::new(limits, Telephony::None);
    Ok(restore_stream(&mut shard, store, stream, snapshot)?.then_some(shard))
}

fn restore_stream(
    shard: &mut Shard,
    store: &dyn Store,
    stream: StreamId,
    snapshot: Option<Snapshot>,
) -> Result<bool, RecoveryError> {
    let (held, mut tail) = stored(store, stream, snapshot)?;
    let restored = shard.restore(held, &mut tail);
    tail.finish(restored)
}

/// The number of the last record in a snapshot, and its chunks.
type Held = (u64, Vec<Vec<u8>>);

/// What a stream is made again from.
fn stored(
    store: &dyn Store,
    stream: StreamId,
    snapshot: Option<Snapshot>,
) -> Result<(Option<Held>, Tail<'_>), RecoveryError> {
    let read_failed = |source| RecoveryError::Read { stream, source };
    let chunks = match snapshot {
        Some(snapshot) => {
            let chunks = store.read_snapshot(snapshot).map_err(read_failed)?;
            Some((snapshot.sequence, chunks.collect::<Result<Vec<_>, _>>().map_err(read_failed)?))
        }
        None => None,
    };
    let after = chunks.as_ref().map_or(SequenceNumber::ZERO, |(sequence, _)| *sequence);
    let tail = Tail { store, stream, after, page: Vec::new().into_iter(), error: None };
    Ok((chunks.map(|(sequence, chunks)| (sequence.0, chunks)), tail))
}

/// The records of a stream, read page by page. Ends early at an error, which is kept.
struct Tail<'a> {
    store: &'a dyn Store,
    stream: StreamId,
    after: SequenceNumber,
    page: std::vec::IntoIter<(u64, Vec<u8>)>,
    error: Option<ReadError>,
}

impl Tail<'_> {
    /// What was made of the records, unless some of them could not be read.
    fn finish<T>(self, restored: Result<T, RestoreError>) -> Result<T, RecoveryError> {
        let Tail { stream, error, .. } = self;
        match error {
            Some(source) => Err(RecoveryError::Read { stream, source }),
            None => restored.map_err(|source| RecoveryError::Restore { stream, source }),
        }
    }
}

impl Iterator for Tail<'_> {
    type Item = (u64, Vec<u8>);

    fn next(&mut self) -> Option<(u64, Vec<u8>)> {
        if let Some(record) = self.page.next() {
            return Some(record);
        }
        match self.store.read_stream(self.stream, self.after, ReadLimit::default()) {
            Ok(records) => {
                self.after = records.last()?.1.sequence;
                let page: Vec<_> = records.into_iter().map(|(_, record)| (record.sequence.0, record.payload)).collect();
                self.page = page.into_iter();
                self.page.next()
            }
            Err(error) => {
                self.error = Some(error);
                None
            }
        }
    }
}
