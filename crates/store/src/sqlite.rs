//! The store on SQLite: one directory, used by one process.
//!
//! - `journal`: records, outbox, meta; every commit is synchronized before it is acknowledged.
//! - `trim`: deletes what nobody needs from the journal, with its appends.
//! - `snapshots`: plain files, each written aside and renamed into place.
//! - `history`: one database per UTC day, a projection that may fall back and is made again.
//! - `ledger`: which days of the history there are, as the journal notes it.
//! - `backup`: a whole store in one file, and back.
//! - `log`: looks for damage in the journal's write-ahead log.
//! - `directory`, `database`, `checkpoints`: what these share.

mod backup;
mod checkpoints;
mod database;
mod directory;
mod history;
mod journal;
mod ledger;
mod log;
mod outbox;
mod snapshots;
mod trim;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use jiff::civil::Date;

use crate::{
    AppendError, CheckReport, DeadLetter, Dropped, Epoch, HistoryEvent, HistoryPage, HistoryQuery, HistoryRow,
    Inspection, KeptLetters, LetterPlace, OpenError, OutboxChange, OutboxCounts, OutboxLane, OutboxNumber, Position,
    ReadError, ReadLimit, Record, Retention, SequenceNumber, Sid, Snapshot, SnapshotChunks, SnapshotList, Store,
    StreamId, WaitingDelivery, WriteError, outbox as outbox_changes,
};

pub use self::backup::{BackupError, BackupReport, backup, restore};

use self::checkpoints::Checkpoints;
use self::directory::DirectoryLock;
use self::history::History;
use self::journal::Journal;
use self::snapshots::Snapshots;

/// What can be set when a store is opened.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Options {
    /// Day files of the history that are kept open for reading.
    pub history_days_open_max: usize,
    /// Payload bytes appended before a checkpoint is begun.
    pub checkpoint_bytes: u64,
    /// Size of the journal's write-ahead log at which appends wait for a checkpoint to end.
    pub wal_bytes_max: u64,
    /// How long a trim leaves the journal to the appends after each of its pieces; it goes on by itself when none came.
    pub trim_pause: Duration,
}

impl Default for Options {
    fn default() -> Options {
        Options {
            history_days_open_max: 8,
            checkpoint_bytes: 4 << 20,
            wal_bytes_max: 128 << 20,
            trim_pause: Duration::from_millis(5),
        }
    }
}

/// The store on one machine.
#[derive(Debug)]
pub struct SqliteStore {
    // In the order in which they are to be closed; the lock last.
    checkpoints: Checkpoints,
    history: History,
    snapshots: Snapshots,
    journal: Arc<Journal>,
    directory: PathBuf,
    trim_pause: Duration,
    _lock: DirectoryLock,
}

impl SqliteStore {
    /// Opens the store in a directory, and makes both if they are not there.
    ///
    /// - Errors: [`OpenError::InUse`] when another process, or this one, has it open. A store whose files do not fit
    ///   together is refused, never mended in silence.
    pub fn open(directory: &Path, options: &Options) -> Result<SqliteStore, OpenError> {
        let opened = DirectoryLock::take(directory).and_then(|lock| SqliteStore::open_locked(lock, directory, options));
        opened.map_err(|error| match error {
            // SQLite says no more than that something went wrong with a file.
            OpenError::Database { .. } | OpenError::Write(WriteError::Failed { .. })
                if matches!(
                    directory::probe(directory, database::PAGE_BYTES as usize),
                    Err(WriteError::Full { .. })
                ) =>
            {
                OpenError::Full { path: directory.to_path_buf(), source: Box::new(error) }
            }
            error => error,
        })
    }

    /// Opens what a restoration has written, before it takes its mark away.
    fn open_restored(directory: &Path) -> Result<SqliteStore, OpenError> {
        SqliteStore::open_locked(DirectoryLock::take_any(directory)?, directory, &Options::default())
    }

    fn open_locked(lock: DirectoryLock, directory: &Path, options: &Options) -> Result<SqliteStore, OpenError> {
        database::check_library(rusqlite::version_number())?;
        directory::remove_probe(directory);
        let journal = Arc::new(Journal::open(directory, lock.is_new())?);
        let snapshots = Snapshots::open(directory)?;
        let history = History::open(directory, options, Arc::clone(&journal))?;
        if let Some(witness) = history.newest_file().filter(|_| history.position() > journal.last_position()) {
            return Err(OpenError::Behind {
                path: journal.path().to_path_buf(),
                last: journal.last_position(),
                witness,
                later: history.position(),
            });
        }
        history.note_found()?;
        for stream in journal.streams_being_deleted()? {
            snapshots.delete_stream(stream)?;
            journal.delete_stream(stream)?;
        }
        lock.mark_used()?;
        let checkpoints = Checkpoints::start(Arc::clone(&journal), options)?;
        Ok(SqliteStore {
            checkpoints,
            history,
            snapshots,
            journal,
            directory: directory.to_path_buf(),
            trim_pause: options.trim_pause,
            _lock: lock,
        })
    }

    /// Gives up a day of the history that is lost or damaged, so that a store opens without it. Nobody may use the store
    /// meanwhile.
    ///
    /// - What is left of it stays beside the other days, under a name that no store looks at; that name is returned.
    /// - Errors: [`OpenError::NoDay`] when the history has no such day.
    pub fn forget_day(directory: &Path, date: Date) -> Result<Option<PathBuf>, OpenError> {
        let lock = DirectoryLock::take(directory)?;
        let journal = Journal::open(directory, lock.is_new())?;
        history::forget_day(&directory.join(history::DIRECTORY), &journal, date)
    }

    /// What [`Store::check`] does, with somebody who looks on.
    pub fn check_with(&self, inspection: &mut Inspection<'_>) -> Result<CheckReport, ReadError> {
        let mut report = CheckReport::default();
        self.journal.check(&mut report, inspection)?;
        self.snapshots.check(|stream| self.journal.last_sequence(stream), &mut report)?;
        self.history.check(&mut report, inspection)?;
        Ok(report)
    }

    /// The directory that holds everything.
    pub fn directory(&self) -> &Path {
        &self.directory
    }
}

impl Store for SqliteStore {
    fn begin_epoch(&self) -> Result<Epoch, WriteError> {
        self.journal.begin_epoch()
    }

    fn append(&self, epoch: Epoch, records: &[Record], outbox: &[OutboxChange]) -> Result<Position, AppendError> {
        outbox_changes::check_limits(outbox)?;
        let appended = self.journal.append(epoch, records, outbox)?;
        self.checkpoints.note(appended.bytes);
        Ok(appended.last)
    }

    fn last_position(&self) -> Position {
        self.journal.last_position()
    }

    fn streams(&self) -> Result<Vec<(StreamId, SequenceNumber)>, ReadError> {
        Ok(self.journal.streams())
    }

    fn read_after(&self, after: Position, limit: ReadLimit) -> Result<Vec<(Position, Record)>, ReadError> {
        self.journal.read_after(after, limit)
    }

    fn read_stream(
        &self,
        stream: StreamId,
        after: SequenceNumber,
        limit: ReadLimit,
    ) -> Result<Vec<(Position, Record)>, ReadError> {
        self.journal.read_stream(stream, after, limit)
    }

    fn delete_stream(&self, stream: StreamId) -> Result<(), WriteError> {
        // From this mark on the deletion goes on after a crash, so that no half of a stream is ever found.
        if self.journal.mark_deleting(stream)? {
            self.snapshots.delete_stream(stream)?;
            self.journal.delete_stream(stream)?;
        }
        Ok(())
    }

    fn trim(&self) -> Result<u64, WriteError> {
        // What is deleted here exists only in the history from now on.
        let projected = self.history.note()?;
        let mut trimmed = 0;
        for (stream, sequence) in self.snapshots.older_kept() {
            trimmed += self.journal.trim(stream, sequence, projected, self.trim_pause)?;
        }
        Ok(trimmed)
    }

    fn save_snapshot(&self, snapshot: Snapshot, chunks: &mut dyn Iterator<Item = Vec<u8>>) -> Result<(), WriteError> {
        let last = self.journal.last_sequence(snapshot.stream);
        if snapshot.sequence > last {
            return Err(WriteError::SnapshotAhead { stream: snapshot.stream, sequence: snapshot.sequence, last });
        }
        self.snapshots.save(snapshot, chunks)
    }

    fn snapshots(&self) -> Result<SnapshotList, ReadError> {
        self.snapshots.list(|stream| self.journal.last_sequence(stream))
    }

    fn read_snapshot(&self, snapshot: Snapshot) -> Result<SnapshotChunks, ReadError> {
        self.snapshots.read(snapshot)
    }

    fn project(&self, up_to: Position, rows: &[HistoryRow]) -> Result<(), WriteError> {
        let last = self.journal.last_position();
        let last = if up_to > last { self.journal.settled_last_position() } else { last };
        if up_to > last {
            return Err(WriteError::ProjectedAhead { up_to, last });
        }
        self.history.project(up_to, rows)
    }

    fn history_position(&self) -> Position {
        self.history.position()
    }

    fn history(&self, query: &HistoryQuery) -> Result<HistoryPage, ReadError> {
        self.history.query(query)
    }

    fn history_event(&self, workspace: Sid, sid: Sid) -> Result<Option<HistoryEvent>, ReadError> {
        self.history.event(workspace, sid)
    }

    fn retain(&self, retention: &Retention) -> Result<Dropped, WriteError> {
        let dropped = self.history.retain(retention)?;
        self.journal.drop_dead_letters(retention)?;
        Ok(dropped)
    }

    fn outbox_read(&self, after: OutboxNumber, limit: usize) -> Result<Vec<WaitingDelivery>, ReadError> {
        self.journal
            .read("read the outbox", |connection| outbox::waiting(connection, self.journal.path(), None, after, limit))
    }

    fn outbox_read_of(
        &self,
        lane: OutboxLane,
        after: OutboxNumber,
        limit: usize,
    ) -> Result<Vec<WaitingDelivery>, ReadError> {
        self.journal.read("read the outbox", |connection| {
            outbox::waiting(connection, self.journal.path(), Some(lane), after, limit)
        })
    }

    fn outbox_lanes(&self) -> Result<Vec<OutboxLane>, ReadError> {
        let step = "read in which lanes deliveries wait";
        self.journal.read(step, |connection| {
            outbox::lanes(connection).map_err(database::read_failed(step, self.journal.path()))
        })
    }

    fn dead_letters(&self, kept: KeptLetters, place: LetterPlace, limit: usize) -> Result<Vec<DeadLetter>, ReadError> {
        self.journal.read("read the dead letters", |connection| {
            outbox::dead(connection, self.journal.path(), kept, place, limit)
        })
    }

    fn dead_letter(&self, kept: KeptLetters, sid: Sid) -> Result<Option<DeadLetter>, ReadError> {
        self.journal
            .read("read a dead letter", |connection| outbox::dead_letter(connection, self.journal.path(), kept, sid))
    }

    fn outbox_counts(&self, kept: KeptLetters) -> Result<OutboxCounts, ReadError> {
        self.journal.read("count the outbox", |connection| outbox::counts(connection, self.journal.path(), kept))
    }

    fn probe(&self, bytes: usize) -> Result<(), WriteError> {
        directory::probe(&self.directory, bytes)
    }

    fn meta_put(&self, key: &str, value: &[u8]) -> Result<(), WriteError> {
        self.journal.meta_put(key, value)
    }

    fn meta(&self, key: &str) -> Result<Option<Vec<u8>>, ReadError> {
        self.journal.meta(key)
    }

    fn check(&self) -> Result<CheckReport, ReadError> {
        self.check_with(&mut Inspection { progress: &mut |_| {}, event: &mut |_, _| Ok(()) })
    }
}
