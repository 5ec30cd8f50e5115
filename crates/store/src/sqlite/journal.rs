//! The journal: records of all streams in one table, with the outbox and the meta table in the same file.

mod meta;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use rusqlite::{Connection, OptionalExtension, Row, Transaction, TransactionBehavior, params};

use crate::history::Day;
use crate::{
    AppendError, CheckReport, Damage, Epoch, Inspection, OpenError, OutboxChange, Position, ReadError, ReadLimit,
    Record, Retention, SequenceNumber, Sid, StreamId, WriteError, checksum, limits,
};

use super::database::{self, FairMutex, FileKind, Readers, append_failed, read_failed, write_failed};
use super::trim::Trim;
use super::{ledger, log, outbox};

pub(super) const FILE: &str = "journal.sqlite";

pub(super) const KIND: FileKind = FileKind {
    mark: 0x504d_4a4c, // "PMJL"
    format: 3,
    oldest_format: 1,
    schema: "
        CREATE TABLE streams (
            id INTEGER PRIMARY KEY,
            stream BLOB NOT NULL UNIQUE,
            trimmed_sequence INTEGER NOT NULL DEFAULT 0,
            deleting INTEGER NOT NULL DEFAULT 0,
            checksum INTEGER NOT NULL DEFAULT 0
        );
        CREATE TABLE records (
            position INTEGER PRIMARY KEY,
            stream INTEGER NOT NULL,
            sequence INTEGER NOT NULL,
            at_ms INTEGER NOT NULL,
            checksum INTEGER NOT NULL,
            payload BLOB NOT NULL
        );
        CREATE UNIQUE INDEX records_by_stream ON records (stream, sequence);
        CREATE TABLE outbox (
            number INTEGER PRIMARY KEY AUTOINCREMENT,
            sid BLOB NOT NULL UNIQUE,
            workspace BLOB NOT NULL,
            key BLOB NOT NULL,
            is_dead INTEGER NOT NULL,
            at_ms INTEGER NOT NULL,
            checksum INTEGER NOT NULL,
            payload BLOB NOT NULL
        );
        CREATE INDEX outbox_waiting ON outbox (number) WHERE is_dead = 0;
        CREATE INDEX outbox_dead ON outbox (workspace, number) WHERE is_dead = 1;
        CREATE TABLE meta (key TEXT PRIMARY KEY, value NOT NULL) WITHOUT ROWID;
    ",
    steps: &[
        // 2: the ledger of the history, and the waiting deliveries of each workspace.
        "
        CREATE TABLE history_days (
            day INTEGER PRIMARY KEY,
            rows_position INTEGER NOT NULL,
            checksum INTEGER NOT NULL
        );
        DROP INDEX outbox_waiting;
        CREATE INDEX outbox_waiting ON outbox (workspace, number) WHERE is_dead = 0;
        ",
        // 3: those of each lane, and indexes that are enough to count.
        "
        ALTER TABLE outbox ADD COLUMN lane INTEGER NOT NULL DEFAULT 0;
        DROP INDEX outbox_waiting;
        CREATE INDEX outbox_waiting ON outbox (workspace, lane, number, is_dead) WHERE is_dead = 0;
        DROP INDEX outbox_dead;
        CREATE INDEX outbox_dead ON outbox (workspace, number, at_ms, is_dead) WHERE is_dead = 1;
        ",
    ],
    synchronous: "FULL",
    autocheckpoint_pages: 0,
    cache_kib: 16 << 10,
};

/// Columns of a record `r` and of its stream `s`, as [`record_of`] takes them.
const RECORD_COLUMNS: &str = "r.position, s.stream, r.sequence, r.at_ms, r.checksum, r.payload";

#[derive(Debug)]
pub(super) struct Journal {
    path: PathBuf,
    writer: FairMutex<Writer>,
    /// Held while a trim is under way.
    trimming: Mutex<()>,
    readers: Readers,
    last_position: AtomicU64,
}

#[derive(Debug)]
struct Writer {
    connection: Connection,
    epoch: Epoch,
    last_position: Position,
    streams: BTreeMap<StreamId, Stream>,
    stream_id_max: i64,
    /// Position after which an append failed with an unknown outcome.
    stopped_after: Option<Position>,
    /// Of which appends take pieces with them.
    trim: Option<Trim>,
}

#[derive(Clone, Copy, Debug)]
struct Stream {
    id: i64,
    last: SequenceNumber,
}

/// A stream as the file has it.
pub(super) struct StreamRow {
    id: i64,
    pub(super) stream: StreamId,
    /// Records up to here are gone.
    pub(super) trimmed: SequenceNumber,
    pub(super) last: SequenceNumber,
    is_deleting: bool,
}

/// Where a journal ends, as one view of it shows.
pub(super) struct Ends {
    pub(super) last_position: Position,
    /// Up to here the history is to be there, and these are its days.
    pub(super) history_floor: Position,
    pub(super) history_days: ledger::Days,
    /// Those that are not about to go.
    pub(super) streams: Vec<StreamRow>,
}

/// Where the history stands for good, as the journal knows it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct HistoryFloor {
    pub(super) position: Position,
    pub(super) from_ms: i64,
}

pub(super) struct Appended {
    pub(super) last: Position,
    pub(super) bytes: u64,
}

impl Journal {
    pub(super) fn open(directory: &Path, is_new: bool) -> Result<Journal, OpenError> {
        let path = directory.join(FILE);
        let length = std::fs::metadata(&path).map_or(0, |metadata| metadata.len());
        if !is_new && length == 0 {
            return Err(OpenError::Missing { path });
        }
        log::verify(&path)?;
        let connection = database::open_writer(&path, &KIND)?;
        let failed = read_failed("read where the journal ends", &path);
        let epoch = meta::number(&connection, meta::EPOCH).map_err(&failed)?.unwrap_or(0);
        let last_position = read_last_position(&connection).map_err(&failed)?;
        let streams = read_streams(&connection, &path)?;
        meta::verify(&connection, &path)?;
        drop(failed);
        let stream_id_max = streams.iter().map(|row| row.id).max().unwrap_or(0);
        let streams = streams.into_iter().map(|row| (row.stream, Stream { id: row.id, last: row.last })).collect();
        let writer = Writer {
            connection,
            epoch: Epoch(epoch as u64),
            last_position,
            streams,
            stream_id_max,
            stopped_after: None,
            trim: None,
        };
        Ok(Journal {
            readers: Readers::new(&path),
            path,
            writer: FairMutex::new(writer),
            trimming: Mutex::new(()),
            last_position: AtomicU64::new(last_position.0),
        })
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    pub(super) fn last_position(&self) -> Position {
        Position(self.last_position.load(Ordering::Acquire))
    }

    /// The same, after what is being appended: a reader may have seen a commit that is not told yet.
    pub(super) fn settled_last_position(&self) -> Position {
        self.writer.lock().last_position
    }

    pub(super) fn last_sequence(&self, stream: StreamId) -> SequenceNumber {
        self.writer.lock().streams.get(&stream).map_or(SequenceNumber::ZERO, |stream| stream.last)
    }

    pub(super) fn streams(&self) -> Vec<(StreamId, SequenceNumber)> {
        self.writer.lock().streams.iter().map(|(id, stream)| (*id, stream.last)).collect()
    }

    pub(super) fn begin_epoch(&self) -> Result<Epoch, WriteError> {
        let mut writer = self.writer.lock();
        let epoch = Epoch(writer.epoch.0 + 1);
        self.write(&mut writer, "begin an epoch", |transaction| {
            meta::set_number(transaction, meta::EPOCH, epoch.0 as i64)?;
            meta::seal(transaction)
        })?;
        writer.epoch = epoch;
        Ok(epoch)
    }

    pub(super) fn append(
        &self,
        epoch: Epoch,
        records: &[Record],
        outbox: &[OutboxChange],
    ) -> Result<Appended, AppendError> {
        AppendError::check_size("records of a batch", records.len(), limits::BATCH_RECORDS_MAX)?;
        let mut guard = self.writer.lock();
        let writer = &mut *guard;
        if let Some(position) = writer.stopped_after {
            return Err(AppendError::Stopped { path: self.path.clone(), position });
        }
        if epoch != writer.epoch {
            return Err(AppendError::Fenced { presented: epoch, current: writer.epoch });
        }
        let mut bytes: usize = outbox.iter().map(OutboxChange::payload_bytes).sum();
        let mut touched: BTreeMap<StreamId, Stream> = BTreeMap::new();
        let mut stream_id_max = writer.stream_id_max;
        let mut new_streams = Vec::new();
        for record in records {
            AppendError::check_size("payload of a record", record.payload.len(), limits::RECORD_BYTES_MAX)?;
            bytes += record.payload.len();
            let stream = touched.entry(record.stream).or_insert_with(|| {
                writer.streams.get(&record.stream).copied().unwrap_or_else(|| {
                    stream_id_max += 1;
                    new_streams.push((stream_id_max, record.stream));
                    Stream { id: stream_id_max, last: SequenceNumber::ZERO }
                })
            });
            let expected = stream.last.next();
            if record.sequence != expected {
                return Err(AppendError::Sequence { stream: record.stream, found: record.sequence, expected });
            }
            stream.last = expected;
        }
        AppendError::check_size("payloads of a batch", bytes, limits::BATCH_BYTES_MAX)?;
        if records.is_empty() && outbox.is_empty() {
            return Ok(Appended { last: writer.last_position, bytes: 0 });
        }

        let before = writer.last_position;
        let result = write_batch(writer, &self.path, &new_streams, &touched, records, outbox);
        match result {
            Ok(last) => {
                writer.last_position = last;
                writer.stream_id_max = stream_id_max;
                writer.streams.append(&mut touched);
                self.last_position.store(last.0, Ordering::Release);
                Ok(Appended { last, bytes: bytes as u64 })
            }
            Err(error) => {
                if !matches!(error, AppendError::Full { .. }) {
                    writer.stopped_after = Some(before);
                }
                Err(error)
            }
        }
    }

    pub(super) fn read<T>(
        &self,
        step: &'static str,
        body: impl FnOnce(&Connection) -> Result<T, ReadError>,
    ) -> Result<T, ReadError> {
        self.readers.read(step, body)
    }

    pub(super) fn read_after(&self, after: Position, limit: ReadLimit) -> Result<Vec<(Position, Record)>, ReadError> {
        let step = "read records";
        self.read(step, |connection| {
            let failed = read_failed(step, &self.path);
            let mut statement = connection.prepare_cached(&records_after()).map_err(&failed)?;
            let rows = statement.query(params![after.0 as i64, limit.records.max(1) as i64]).map_err(&failed)?;
            self.collect(rows, limit.bytes, step)
        })
    }

    pub(super) fn read_stream(
        &self,
        stream: StreamId,
        after: SequenceNumber,
        limit: ReadLimit,
    ) -> Result<Vec<(Position, Record)>, ReadError> {
        let step = "read records of a stream";
        self.read(step, |connection| {
            let failed = read_failed(step, &self.path);
            let known: Option<(i64, i64)> = connection
                .prepare_cached("SELECT id, trimmed_sequence FROM streams WHERE stream = ?1")
                .and_then(|mut statement| {
                    statement.query_row([stream.0], |row| Ok((row.get(0)?, row.get(1)?))).optional()
                })
                .map_err(&failed)?;
            let Some((id, trimmed)) = known else { return Ok(Vec::new()) };
            let first_after = SequenceNumber(trimmed as u64);
            if after < first_after {
                return Err(ReadError::Trimmed { stream, asked_after: after, first_after });
            }
            let sql = format!(
                "SELECT {RECORD_COLUMNS} FROM records r INDEXED BY records_by_stream JOIN streams s ON s.id = r.stream
                 WHERE r.stream = ?1 AND r.sequence > ?2 ORDER BY r.sequence LIMIT ?3"
            );
            let mut statement = connection.prepare_cached(&sql).map_err(&failed)?;
            let rows = statement.query(params![id, after.0 as i64, limit.records.max(1) as i64]).map_err(&failed)?;
            let records = self.collect(rows, limit.bytes, step)?;
            let mut expected = after.next();
            for (position, record) in &records {
                if record.sequence != expected {
                    return Err(ReadError::Damaged(Damage {
                        path: self.path.clone(),
                        place: format!("position {position}"),
                        problem: format!(
                            "stream {stream} goes on with sequence number {}, expected {expected}",
                            record.sequence
                        ),
                    }));
                }
                expected = expected.next();
            }
            Ok(records)
        })
    }

    fn collect(
        &self,
        mut rows: rusqlite::Rows<'_>,
        bytes_max: usize,
        step: &'static str,
    ) -> Result<Vec<(Position, Record)>, ReadError> {
        let failed = read_failed(step, &self.path);
        let mut records = Vec::new();
        let mut bytes = 0;
        while let Some(row) = rows.next().map_err(&failed)? {
            let (position, record, expected) = record_of(row).map_err(&failed)?;
            let found = checksum::record(position, &record);
            if found != expected {
                let place = format!("position {position}");
                return Err(ReadError::Damaged(Damage::checksum(&self.path, place, found, expected)));
            }
            bytes += record.payload.len();
            records.push((position, record));
            if bytes >= bytes_max {
                break;
            }
        }
        Ok(records)
    }

    /// Notes that a stream is to go. False when there is no such stream.
    pub(super) fn mark_deleting(&self, stream: StreamId) -> Result<bool, WriteError> {
        let mut writer = self.writer.lock();
        let Some(id) = writer.streams.get(&stream).map(|stream| stream.id) else { return Ok(false) };
        self.write(&mut writer, "mark a stream as deleted", |transaction| {
            transaction.execute("UPDATE streams SET deleting = 1 WHERE id = ?1", [id])?;
            seal_stream(transaction, id)
        })?;
        Ok(true)
    }

    pub(super) fn streams_being_deleted(&self) -> Result<Vec<StreamId>, ReadError> {
        let step = "read which streams are being deleted";
        self.read(step, |connection| {
            connection
                .prepare("SELECT stream FROM streams WHERE deleting = 1 ORDER BY id")
                .and_then(|mut statement| {
                    statement.query_map([], |row| Ok(StreamId(row.get(0)?)))?.collect::<rusqlite::Result<Vec<_>>>()
                })
                .map_err(read_failed(step, &self.path))
        })
    }

    pub(super) fn delete_stream(&self, stream: StreamId) -> Result<(), WriteError> {
        let Some(id) = self.writer.lock().streams.get(&stream).map(|stream| stream.id) else { return Ok(()) };
        loop {
            let mut writer = self.writer.lock();
            let last_position = writer.last_position;
            let deleted = self.write(&mut writer, "delete a stream", |transaction| {
                let all = SequenceNumber(i64::MAX as u64);
                note_last_position(transaction, last_position)?;
                delete_slice(transaction, id, all, last_position, limits::TRIM_SLICE_RECORDS)
            })?;
            if deleted < limits::TRIM_SLICE_RECORDS {
                self.write(&mut writer, "delete a stream", |transaction| {
                    transaction.execute("DELETE FROM streams WHERE id = ?1", [id])
                })?;
                writer.streams.remove(&stream);
                if let Some(trim) = &mut writer.trim {
                    trim.end_with(stream);
                }
                return Ok(());
            }
        }
    }

    /// Deletes the records of a stream up to a sequence number and a position: with the appends while there are any.
    ///
    /// - `pause`: for the appends, after each piece.
    #[expect(clippy::disallowed_methods, reason = "there is nothing to wait for but that appends get their share")]
    pub(super) fn trim(
        &self,
        stream: StreamId,
        up_to: SequenceNumber,
        position: Position,
        pause: Duration,
    ) -> Result<u64, WriteError> {
        let _one_at_a_time = database::lock(&self.trimming);
        {
            let mut writer = self.writer.lock();
            let Some(id) = writer.streams.get(&stream).map(|stream| stream.id) else { return Ok(0) };
            writer.trim = Some(Trim::new(stream, id, up_to, position));
        }
        loop {
            let mut writer = self.writer.lock();
            let mut trim = writer.trim.take().expect("only a trim ends itself");
            if trim.done().is_none() && !trim.take_carried() {
                let last_position = writer.last_position;
                let deleted =
                    self.write(&mut writer, "trim the journal", |transaction| trim.delete(transaction, last_position))?;
                trim.note(&deleted);
            }
            if let Some(deleted) = trim.done() {
                return Ok(deleted);
            }
            writer.trim = Some(trim);
            drop(writer);
            std::thread::sleep(pause);
        }
    }

    pub(super) fn history_floor(&self) -> Result<HistoryFloor, ReadError> {
        let step = "read where the history stands";
        self.read(step, |connection| {
            let failed = read_failed(step, &self.path);
            let position = meta::number(connection, meta::HISTORY_POSITION).map_err(&failed)?.unwrap_or(0);
            let from_ms = meta::number(connection, meta::HISTORY_FROM_MS).map_err(&failed)?.unwrap_or(0);
            Ok(HistoryFloor { position: Position(position as u64), from_ms })
        })
    }

    /// The days of the history and up to where each has its rows for good, as noted.
    pub(super) fn noted_days(&self) -> Result<ledger::Days, ReadError> {
        self.read("read which days the history has", |connection| ledger::read(connection, &self.path))
    }

    /// Notes where the history stands for good: all of it, each of its days, and before which instant it is dropped.
    pub(super) fn note_history(
        &self,
        position: Position,
        from_ms: Option<i64>,
        days: &ledger::Days,
    ) -> Result<(), WriteError> {
        // Nobody else may note anything between reading and writing.
        let mut writer = self.writer.lock();
        let (floor, noted) = (self.history_floor()?, self.noted_days()?);
        let position = position.max(floor.position);
        let from_ms = from_ms.unwrap_or(0).max(floor.from_ms);
        let is_new = |&(day, position): &(&Day, &Position)| noted.get(day) != Some(position) && day.end_ms() > from_ms;
        let days: ledger::Days = days.iter().filter(is_new).map(|(day, position)| (*day, *position)).collect();
        if (HistoryFloor { position, from_ms }) == floor && days.is_empty() {
            return Ok(());
        }
        self.write(&mut writer, "note where the history stands", |transaction| {
            meta::set_number(transaction, meta::HISTORY_POSITION, position.0 as i64)?;
            meta::set_number(transaction, meta::HISTORY_FROM_MS, from_ms)?;
            ledger::note(transaction, &days)?;
            ledger::forget_before(transaction, from_ms)?;
            meta::seal(transaction)
        })
    }

    /// Notes some days of the history, beside where all of it stands.
    pub(super) fn note_days(&self, days: &ledger::Days) -> Result<(), WriteError> {
        let mut writer = self.writer.lock();
        self.write(&mut writer, "note days of the history", |transaction| ledger::note(transaction, days))
    }

    /// Forgets a day of the history that is about to go. Returns whether it was noted.
    pub(super) fn forget_day(&self, day: Day) -> Result<bool, WriteError> {
        let mut writer = self.writer.lock();
        self.write(&mut writer, "forget a day of the history", |transaction| ledger::forget(transaction, day))
    }

    pub(super) fn drop_dead_letters(&self, retention: &Retention) -> Result<(), WriteError> {
        let step = "drop old dead letters";
        let workspaces = self
            .read(step, |connection| outbox::workspaces_of_dead(connection).map_err(read_failed(step, &self.path)))?;
        for workspace in workspaces {
            let before_ms = retention.of(workspace);
            loop {
                let mut writer = self.writer.lock();
                let deleted = self.write(&mut writer, step, |transaction| {
                    outbox::drop_dead(transaction, workspace, before_ms, limits::DEAD_LETTERS_SLICE)
                })?;
                if deleted < limits::DEAD_LETTERS_SLICE {
                    break;
                }
            }
        }
        Ok(())
    }

    pub(super) fn meta_put(&self, key: &str, value: &[u8]) -> Result<(), WriteError> {
        WriteError::check_size("key of a meta value", key.len(), limits::META_KEY_BYTES_MAX)?;
        WriteError::check_size("meta value", value.len(), limits::META_VALUE_BYTES_MAX)?;
        let mut writer = self.writer.lock();
        self.write(&mut writer, "set a meta value", |transaction| meta::put(transaction, key, value))
    }

    pub(super) fn meta(&self, key: &str) -> Result<Option<Vec<u8>>, ReadError> {
        self.read("read a meta value", |connection| meta::value(connection, &self.path, key))
    }

    pub(super) fn check(&self, report: &mut CheckReport, inspection: &mut Inspection<'_>) -> Result<(), ReadError> {
        self.read("check", |connection| database::integrity_check(connection, &self.path, &mut report.damage))?;
        let mut after = Position::ZERO;
        loop {
            let step = "read records";
            let read = self.read(step, |connection| {
                let failed = read_failed(step, &self.path);
                let mut statement = connection.prepare_cached(&records_after()).map_err(&failed)?;
                let mut rows =
                    statement.query(params![after.0 as i64, limits::CHECK_RECORDS as i64]).map_err(&failed)?;
                let mut count = 0;
                while let Some(row) = rows.next().map_err(&failed)? {
                    count += 1;
                    after = Position(row.get::<_, i64>(0).map_err(&failed)? as u64);
                    let place = format!("position {after}");
                    match record_of(row) {
                        Ok((position, record, expected)) => {
                            let found = checksum::record(position, &record);
                            if found != expected {
                                report.damage.push(Damage::checksum(&self.path, place, found, expected));
                            }
                        }
                        Err(source) => {
                            report.damage.push(Damage { path: self.path.clone(), place, problem: source.to_string() });
                        }
                    }
                }
                Ok(count)
            });
            match read {
                Ok(0) => break,
                Ok(count) => {
                    report.records += count;
                    (inspection.progress)(report);
                }
                Err(ReadError::Damaged(damage)) => {
                    report.damage.push(damage);
                    break;
                }
                Err(error) => return Err(error),
            }
            if report.damage.len() >= limits::DAMAGE_LISTED_MAX {
                return Ok(());
            }
        }
        match self.read("read the outbox", |connection| outbox::check(connection, &self.path, report)) {
            Err(ReadError::Damaged(damage)) => report.damage.push(damage),
            other => other?,
        }
        Ok(())
    }

    /// Brings what is in the write-ahead log into the file. With `wait`, appends wait and the log starts over.
    ///
    /// - Returns the pages in the log, as of the end.
    pub(super) fn checkpoint(&self, connection: &Connection, wait: bool) -> rusqlite::Result<u64> {
        let _appends_wait = wait.then(|| self.writer.lock());
        let mode = if wait { "RESTART" } else { "PASSIVE" };
        let pages: i64 = connection.query_row(&format!("PRAGMA wal_checkpoint({mode})"), [], |row| row.get(1))?;
        Ok(if wait { 0 } else { pages.max(0) as u64 })
    }

    pub(super) fn open_checkpoint_connection(&self) -> Result<Connection, OpenError> {
        let connection = database::open_writer(&self.path, &KIND)?;
        // A reader that takes long must not hold up the appends that wait for the log to start over.
        let failed = read_failed("set the lock time-out of the checkpoints", &self.path);
        connection.busy_timeout(Duration::from_millis(20)).map_err(failed)?;
        Ok(connection)
    }

    fn write<T>(
        &self,
        writer: &mut Writer,
        step: &'static str,
        body: impl FnOnce(&Transaction<'_>) -> rusqlite::Result<T>,
    ) -> Result<T, WriteError> {
        let failed = write_failed(step, &self.path);
        let transaction =
            writer.connection.transaction_with_behavior(TransactionBehavior::Immediate).map_err(&failed)?;
        let result = body(&transaction).map_err(&failed)?;
        transaction.commit().map_err(&failed)?;
        Ok(result)
    }
}

fn write_batch(
    writer: &mut Writer,
    path: &Path,
    new_streams: &[(i64, StreamId)],
    touched: &BTreeMap<StreamId, Stream>,
    records: &[Record],
    outbox: &[OutboxChange],
) -> Result<Position, AppendError> {
    let before = writer.last_position;
    let failed = |step| append_failed(step, path, before);
    let mut transaction = writer
        .connection
        .transaction_with_behavior(TransactionBehavior::Immediate)
        .map_err(failed("begin a transaction"))?;
    for (id, stream) in new_streams {
        transaction
            .prepare_cached("INSERT INTO streams (id, stream) VALUES (?1, ?2)")
            .and_then(|mut statement| statement.execute(params![id, stream.0]))
            .and_then(|_| seal_stream(&transaction, *id))
            .map_err(failed("add a stream"))?;
    }
    let mut last = before;
    if !records.is_empty() {
        let mut statement = transaction
            .prepare_cached(
                "INSERT INTO records (position, stream, sequence, at_ms, checksum, payload)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
            )
            .map_err(failed("prepare an append"))?;
        for record in records {
            last = Position(last.0 + 1);
            let checksum = checksum::record(last, record);
            statement
                .execute(params![
                    last.0 as i64,
                    touched[&record.stream].id,
                    record.sequence.0 as i64,
                    record.at_ms,
                    checksum,
                    record.payload,
                ])
                .map_err(failed("append a record"))?;
        }
    }
    outbox::change(&transaction, outbox).map_err(failed("change the outbox"))?;
    let carried = match &mut writer.trim {
        Some(trim) => trim.carry(&mut transaction, last, records.len()).map_err(failed("trim beside an append"))?,
        None => None,
    };
    transaction.commit().map_err(failed("commit an append"))?;
    if let (Some(trim), Some(carried)) = (&mut writer.trim, carried) {
        trim.note_carried(&carried);
    }
    Ok(last)
}

/// Deletes the oldest records of a stream, at most `limit`. How far the journal has come is to be noted with them.
pub(super) fn delete_slice(
    connection: &Connection,
    stream: i64,
    up_to: SequenceNumber,
    position: Position,
    limit: usize,
) -> rusqlite::Result<usize> {
    connection
        .prepare_cached(
            "DELETE FROM records WHERE position IN (
                 SELECT position FROM records INDEXED BY records_by_stream
                 WHERE stream = ?1 AND sequence <= ?2 AND position <= ?3 ORDER BY sequence LIMIT ?4)",
        )?
        .execute(params![stream, up_to.0 as i64, position.0 as i64, limit as i64])
}

/// Notes how far the journal has come: the record that tells it may be deleted.
pub(super) fn note_last_position(connection: &Connection, position: Position) -> rusqlite::Result<()> {
    meta::set_number(connection, meta::LAST_POSITION, position.0 as i64)?;
    meta::seal(connection)
}

/// All records after a position, in order, at most so many.
fn records_after() -> String {
    format!(
        "SELECT {RECORD_COLUMNS} FROM records r LEFT JOIN streams s ON s.id = r.stream
         WHERE r.position > ?1 ORDER BY r.position LIMIT ?2"
    )
}

fn record_of(row: &Row<'_>) -> rusqlite::Result<(Position, Record, u32)> {
    let position = Position(row.get::<_, i64>(0)? as u64);
    let record = Record {
        stream: StreamId(row.get::<_, Sid>(1)?),
        sequence: SequenceNumber(row.get::<_, i64>(2)? as u64),
        at_ms: row.get(3)?,
        payload: row.get(5)?,
    };
    Ok((position, record, row.get(4)?))
}

/// Where the streams begin and end, verified.
fn read_streams(connection: &Connection, path: &Path) -> Result<Vec<StreamRow>, ReadError> {
    let failed = read_failed("read where the streams end", path);
    let mut statement = connection
        .prepare(
            "SELECT id, stream, coalesce((SELECT max(sequence) FROM records WHERE records.stream = streams.id),
                 trimmed_sequence), trimmed_sequence, deleting, checksum
             FROM streams",
        )
        .map_err(&failed)?;
    let mut rows = statement.query([]).map_err(&failed)?;
    let mut streams = Vec::new();
    while let Some(row) = rows.next().map_err(&failed)? {
        let parse = |row: &Row<'_>| {
            let (id, stream) = (row.get(0)?, StreamId(row.get(1)?));
            let (last, trimmed, deleting): (i64, i64, i64) = (row.get(2)?, row.get(3)?, row.get(4)?);
            let found = checksum::stream(id, &stream.0, trimmed, deleting);
            let (trimmed, last) = (SequenceNumber(trimmed as u64), SequenceNumber(last as u64));
            Ok((StreamRow { id, stream, trimmed, last, is_deleting: deleting != 0 }, found, row.get::<_, u32>(5)?))
        };
        let (row, found, expected) = parse(row).map_err(&failed)?;
        if found != expected {
            let place = format!("stream {}", row.stream);
            return Err(ReadError::Damaged(Damage::checksum(path, place, found, expected)));
        }
        streams.push(row);
    }
    Ok(streams)
}

/// The last position ever, whether its record is still there or not.
fn read_last_position(connection: &Connection) -> rusqlite::Result<Position> {
    let trimmed = meta::number(connection, meta::LAST_POSITION)?;
    let present: Option<i64> = connection.query_row("SELECT max(position) FROM records", [], |row| row.get(0))?;
    Ok(Position(trimmed.max(present).unwrap_or(0) as u64))
}

/// Brings the checksum of a stream up to date.
pub(super) fn seal_stream(connection: &Connection, id: i64) -> rusqlite::Result<()> {
    let checksum: u32 = connection
        .prepare_cached("SELECT stream, trimmed_sequence, deleting FROM streams WHERE id = ?1")?
        .query_row([id], |row| Ok(checksum::stream(id, &row.get(0)?, row.get(1)?, row.get(2)?)))?;
    connection.prepare_cached("UPDATE streams SET checksum = ?2 WHERE id = ?1")?.execute(params![id, checksum])?;
    Ok(())
}

/// Where a journal ends, if its own values and those of its streams are whole.
pub(super) fn ends(connection: &Connection, path: &Path) -> Result<Ends, ReadError> {
    meta::verify(connection, path)?;
    let mut streams = read_streams(connection, path)?;
    streams.retain(|row| !row.is_deleting);
    let history_days = ledger::read(connection, path)?;
    let failed = read_failed("read where the journal ends", path);
    let history_floor = meta::number(connection, meta::HISTORY_POSITION).map_err(&failed)?.unwrap_or(0);
    let last_position = read_last_position(connection).map_err(&failed)?;
    Ok(Ends { last_position, history_floor: Position(history_floor as u64), history_days, streams })
}
