//! Durability of Pointsman: the journal, snapshots, the event history and the outbox.
//!
//! The crate knows bytes, streams and rows; what they mean is for those who write and read them. It decides nothing,
//! reads no clock and is not async. Start with [`Store`]; the layout on disk is in `docs/internals/store.md`.

mod checksum;
mod error;
mod history;
pub mod limits;
mod memory;
mod outbox;
mod record;
mod snapshot;
mod sqlite;
mod store;

pub use error::{AppendError, Cause, Damage, OpenError, ReadError, WriteError};
pub use history::{
    Dropped, HistoryEvent, HistoryKey, HistoryOrder, HistoryPage, HistoryQuery, HistoryRow, Reference, Retention, Role,
};
pub use memory::{AppendFault, CrashPlan, Faults, MemoryStore, Unacknowledged};
pub use outbox::{
    DeadLetter, KeptLetters, LetterPlace, OutboxChange, OutboxCounts, OutboxEntry, OutboxLane, OutboxNumber,
    WaitingDelivery,
};
pub use record::{Epoch, Position, ReadLimit, Record, SequenceNumber, Sid, StreamId};
pub use snapshot::{Snapshot, SnapshotChunks, SnapshotList};
pub use sqlite::{BackupError, BackupReport, Options, SqliteStore, backup, restore};
pub use store::{CheckReport, EventInspector, Inspection, Store};
