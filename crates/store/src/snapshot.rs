//! Snapshots: the state of one stream after one of its records, as opaque chunks.

use std::fmt;

use crate::{Damage, Position, ReadError, SequenceNumber, StreamId, WriteError, limits};

/// Which state a snapshot holds.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Snapshot {
    pub stream: StreamId,
    /// The last record whose effect is in the state.
    pub sequence: SequenceNumber,
    /// Position of that record: no record of the stream at or before it is missing from the state.
    pub position: Position,
}

/// The newest good snapshot of every stream, and what was found damaged on the way.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct SnapshotList {
    /// In order of streams, one of each.
    pub newest: Vec<Snapshot>,
    /// Snapshots that were passed over, each of which an operator should hear of.
    pub damaged: Vec<Damage>,
}

/// The chunks of one snapshot, in the order in which they were saved; each is verified as it is read.
pub struct SnapshotChunks(pub(crate) Box<dyn Iterator<Item = Result<Vec<u8>, ReadError>> + Send>);

impl Iterator for SnapshotChunks {
    type Item = Result<Vec<u8>, ReadError>;

    fn next(&mut self) -> Option<Self::Item> {
        self.0.next()
    }
}

impl fmt::Debug for SnapshotChunks {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("SnapshotChunks")
    }
}

/// Refuses a chunk beyond the limits; `before`: chunks that the snapshot has already.
pub(crate) fn check_chunk(before: u64, chunk: &[u8]) -> Result<(), WriteError> {
    WriteError::check_size("chunk of a snapshot", chunk.len(), limits::SNAPSHOT_CHUNK_BYTES_MAX)?;
    WriteError::check_size("chunks of a snapshot", before as usize + 1, limits::SNAPSHOT_CHUNKS_MAX as usize)
}
