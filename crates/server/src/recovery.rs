//! Making shards again from what is stored: the newest snapshot of each workspace and the records after it.

use pointsman_dispatcher::{RestoreError, Shard, Telephony};
use pointsman_engine::Limits;
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
    owner(workspace, count) == index
}

/// The engine thread that runs a workspace. SIDs are drawn at random, so their first bytes spread evenly.
pub(crate) fn owner(workspace: [u8; 16], count: usize) -> usize {
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

/// A shard that holds one workspace as it is stored, to take a snapshot of it. `None` when it is deleted.
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
    let read_failed = |source| RecoveryError::Read { stream, source };
    let chunks = match snapshot {
        Some(snapshot) => {
            let chunks = store.read_snapshot(snapshot).map_err(read_failed)?;
            Some((snapshot.sequence, chunks.collect::<Result<Vec<_>, _>>().map_err(read_failed)?))
        }
        None => None,
    };
    let after = chunks.as_ref().map_or(SequenceNumber::ZERO, |(sequence, _)| *sequence);
    let mut tail = Tail { store, stream, after, page: Vec::new().into_iter(), error: None };
    let held = chunks.map(|(sequence, chunks)| (sequence.0, chunks));
    let restored = shard.restore(held, &mut tail);
    if let Some(source) = tail.error {
        return Err(read_failed(source));
    }
    restored.map_err(|source| RecoveryError::Restore { stream, source })
}

/// The records of a stream, read page by page. Ends early at an error, which is kept.
struct Tail<'a> {
    store: &'a dyn Store,
    stream: StreamId,
    after: SequenceNumber,
    page: std::vec::IntoIter<(u64, Vec<u8>)>,
    error: Option<ReadError>,
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
