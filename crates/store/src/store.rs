//! The contract that every store keeps; `tests/store/conformance.rs` is its other half.

use crate::{
    AppendError, Damage, DeadLetter, Dropped, Epoch, HistoryEvent, HistoryPage, HistoryQuery, HistoryRow, KeptLetters,
    LetterPlace, OutboxChange, OutboxCounts, OutboxLane, OutboxNumber, Position, ReadError, ReadLimit, Record,
    Reference, Retention, SequenceNumber, Sid, Snapshot, SnapshotChunks, SnapshotList, StreamId, WaitingDelivery,
    WriteError,
};

/// Where everything that must survive is kept.
///
/// - All calls block and may come from any thread. One thread appends, one projects, one snapshots; any may read, and
///   no read of records, events or deliveries waits for an append.
/// - What a call has acknowledged is there after a crash, with one exception: the history may fall back to an earlier
///   [`Store::history_position`], and the projection goes on from there.
pub trait Store: Send + Sync {
    // Journal

    /// Takes the right to append from whoever had it.
    fn begin_epoch(&self) -> Result<Epoch, WriteError>;

    /// Appends records and changes the outbox: all of it or nothing, durable on return.
    ///
    /// - `epoch`: that of the last [`Store::begin_epoch`], else the append is refused.
    /// - `records`: in the order of commits; each stream's sequence numbers go on without a gap.
    /// - Either list may be empty.
    /// - Returns the position of the last record of the journal.
    /// - Errors: see [`AppendError`], which says for each whether anything was written.
    fn append(&self, epoch: Epoch, records: &[Record], outbox: &[OutboxChange]) -> Result<Position, AppendError>;

    /// Position of the last acknowledged record. Cheap. A read may meet records after it: they are durable, and about to
    /// be acknowledged.
    fn last_position(&self) -> Position;

    /// Every stream with the sequence number of its last record, in order of streams.
    fn streams(&self) -> Result<Vec<(StreamId, SequenceNumber)>, ReadError>;

    /// Records after a position, in the order of commits, those that were trimmed left out.
    fn read_after(&self, after: Position, limit: ReadLimit) -> Result<Vec<(Position, Record)>, ReadError>;

    /// Records of one stream after a sequence number, without a gap.
    ///
    /// - Errors: [`ReadError::Trimmed`] when what follows `after` is no longer there; damage when a record is missing.
    fn read_stream(
        &self,
        stream: StreamId,
        after: SequenceNumber,
        limit: ReadLimit,
    ) -> Result<Vec<(Position, Record)>, ReadError>;

    /// Forgets a stream: its records and snapshots. Its history stays until it is too old.
    fn delete_stream(&self, stream: StreamId) -> Result<(), WriteError>;

    /// Deletes the records that nobody needs: in the history, and in the older of two snapshots of their stream.
    ///
    /// - Returns how many. Works in slices, so that no append waits for long.
    fn trim(&self) -> Result<u64, WriteError>;

    // Snapshots

    /// Saves the state of a stream; the newest two of each stream are kept.
    ///
    /// - `chunks`: each of at most [`crate::limits::SNAPSHOT_CHUNK_BYTES_MAX`] bytes.
    fn save_snapshot(&self, snapshot: Snapshot, chunks: &mut dyn Iterator<Item = Vec<u8>>) -> Result<(), WriteError>;

    /// The newest good snapshot of every stream. Reads and verifies each one, and the one before when it is damaged.
    ///
    /// - What is in [`SnapshotList::damaged`] was passed over; whoever asks must report it.
    fn snapshots(&self) -> Result<SnapshotList, ReadError>;

    /// The content of a snapshot that [`Store::snapshots`] has listed.
    fn read_snapshot(&self, snapshot: Snapshot) -> Result<SnapshotChunks, ReadError>;

    // History

    /// Adds events to the history.
    ///
    /// - `up_to`: every record after [`Store::history_position`] and up to here has its rows in `rows`.
    /// - `rows`: in order of positions; those that are in the history already are passed over, so that a projection
    ///   that starts again adds nothing twice. Rows of what [`Store::retain`] has dropped are passed over too.
    fn project(&self, up_to: Position, rows: &[HistoryRow]) -> Result<(), WriteError>;

    /// Up to where the journal is in the history. Cheap.
    fn history_position(&self) -> Position;

    /// One page of events. Cost: that of the rows looked at, which the most selective condition bounds.
    fn history(&self, query: &HistoryQuery) -> Result<HistoryPage, ReadError>;

    /// One event of a workspace.
    fn history_event(&self, workspace: Sid, sid: Sid) -> Result<Option<HistoryEvent>, ReadError>;

    /// Drops what each workspace did in UTC days that ended at or before its instant, and its dead letters from before
    /// it. A day in which nothing is left goes as a whole.
    ///
    /// - What was dropped never comes back, also when its records are projected again.
    /// - Works in pieces, so that no append and no projection waits for long.
    fn retain(&self, retention: &Retention) -> Result<Dropped, WriteError>;

    // Outbox

    /// Deliveries that wait, in order of their numbers.
    fn outbox_read(&self, after: OutboxNumber, limit: usize) -> Result<Vec<WaitingDelivery>, ReadError>;

    /// Those of one lane.
    fn outbox_read_of(
        &self,
        lane: OutboxLane,
        after: OutboxNumber,
        limit: usize,
    ) -> Result<Vec<WaitingDelivery>, ReadError>;

    /// The lanes in which deliveries wait, in order.
    fn outbox_lanes(&self) -> Result<Vec<OutboxLane>, ReadError>;

    /// Dead letters, in order of their numbers.
    fn dead_letters(&self, kept: KeptLetters, place: LetterPlace, limit: usize) -> Result<Vec<DeadLetter>, ReadError>;

    /// One dead letter.
    fn dead_letter(&self, kept: KeptLetters, sid: Sid) -> Result<Option<DeadLetter>, ReadError>;

    /// How many deliveries of a workspace wait, and how many are dead. Cost: that of all that wait.
    fn outbox_counts(&self, kept: KeptLetters) -> Result<OutboxCounts, ReadError>;

    // Meta

    /// Finds out whether there is room for so many more bytes; afterwards it is free again.
    ///
    /// - What is there already and will be written over, such as a log that starts over, does not count as room.
    fn probe(&self, bytes: usize) -> Result<(), WriteError>;

    /// Sets a value, durable on return.
    fn meta_put(&self, key: &str, value: &[u8]) -> Result<(), WriteError>;

    /// A value that was set.
    fn meta(&self, key: &str) -> Result<Option<Vec<u8>>, ReadError>;

    /// Reads everything and verifies it. May take minutes; appends go on meanwhile.
    fn check(&self) -> Result<CheckReport, ReadError>;
}

/// Says what is wrong with an event and what it is found by, if something is.
pub type EventInspector<'a> = dyn FnMut(&HistoryEvent, &[Reference]) -> Result<(), String> + 'a;

/// Who looks on while everything is read.
pub struct Inspection<'a> {
    /// Told now and then what has been read so far.
    pub progress: &'a mut dyn FnMut(&CheckReport),
    /// Shown every event of the history with all that it is found by; what it says is wrong is reported as damage.
    pub event: &'a mut EventInspector<'a>,
}

impl std::fmt::Debug for Inspection<'_> {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("Inspection")
    }
}

/// What a check has read, and what it found.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct CheckReport {
    pub records: u64,
    pub snapshots: u64,
    pub history_events: u64,
    pub deliveries: u64,
    /// At most [`crate::limits::DAMAGE_LISTED_MAX`].
    pub damage: Vec<Damage>,
}
