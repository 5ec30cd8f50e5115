//! The file of one day of the history, as it is written: its tables, its rows, and how both reach the disk.

use std::collections::BTreeSet;
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rusqlite::{Connection, OptionalExtension, Row, Transaction, TransactionBehavior, params};

use crate::history::Day;
use crate::{Damage, HistoryRow, OpenError, Position, ReadError, Sid, WriteError, checksum, limits};

use super::super::database::{self, FileKind, read_failed, write_failed};
use super::super::directory::beside;
use super::descriptors::{Descriptor, Descriptors};
use super::keys::{Keys, ROLE_WORKSPACE, role_number};
use super::meta::{self, Stand};
use super::names;
use super::trickle::trickle;

pub(in super::super) const KIND: FileKind = FileKind {
    mark: 0x504d_4844, // "PMHD"
    format: 2,
    oldest_format: 1,
    schema: "
        CREATE TABLE meta (key TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID;
        CREATE TABLE keys (id INTEGER PRIMARY KEY, sid BLOB NOT NULL, role INTEGER NOT NULL);
        CREATE UNIQUE INDEX keys_by_sid ON keys (sid, role) WHERE role NOT IN (1, 5);
        CREATE TABLE key_runs (
            run INTEGER NOT NULL,
            sid BLOB NOT NULL,
            role INTEGER NOT NULL,
            key INTEGER NOT NULL,
            PRIMARY KEY (run, sid, role, key)
        ) WITHOUT ROWID;
        CREATE TABLE events (
            id INTEGER PRIMARY KEY,
            workspace INTEGER NOT NULL,
            at_ms INTEGER NOT NULL,
            kind INTEGER NOT NULL,
            checksum INTEGER NOT NULL,
            sid BLOB NOT NULL,
            payload BLOB NOT NULL
        );
        CREATE TABLE mentions (
            key INTEGER NOT NULL,
            event INTEGER NOT NULL,
            kind INTEGER NOT NULL,
            PRIMARY KEY (key, event)
        ) WITHOUT ROWID;
        CREATE TABLE sids (
            run INTEGER NOT NULL,
            sid BLOB NOT NULL,
            event INTEGER NOT NULL,
            PRIMARY KEY (run, sid, event)
        ) WITHOUT ROWID;
    ",
    steps: &[],
    synchronous: "NORMAL",
    autocheckpoint_pages: 4_000,
    cache_kib: 64 << 10,
};

#[derive(Debug)]
pub(super) struct DayWriter {
    day: Day,
    path: PathBuf,
    connection: Connection,
    /// Given back when the connection is closed: fields go in this order.
    descriptor: Descriptor,
    last_id: i64,
    lag_ms: i64,
    rows_position: Position,
    keys: Keys,
    /// Workspaces of which nothing is added any more.
    removed: BTreeSet<Sid>,
    sid_runs: i64,
    /// Events that are in no run yet.
    sids_after_runs: Vec<(Sid, i64)>,
}

impl DayWriter {
    /// - `is_new`: the file is made if it is not there.
    pub(super) fn open(
        directory: &Path,
        day: Day,
        is_new: bool,
        descriptors: &Arc<Descriptors>,
    ) -> Result<DayWriter, OpenError> {
        let path = names::path(directory, day);
        let descriptor = descriptors.of(directory, day, is_new).map_err(|source| OpenError::File {
            step: "open",
            path: path.clone(),
            source,
        })?;
        let connection = database::open_writer(&path, &KIND)?;
        let failed = read_failed("read where a day of the history stands", &path);
        // A commit that did it would write all of it at once.
        connection.pragma_update(None, "wal_autocheckpoint", 0).map_err(&failed)?;
        let meta = |key| meta::number(&connection, key).map_err(&failed);
        let rows_position = meta(meta::ROWS_POSITION)?;
        let lag_ms = meta(meta::LAG_MS)?;
        // The last event of a run may have been removed; what comes now must still come after the run.
        let last_id: Option<i64> =
            connection.query_row("SELECT max(id) FROM events", [], |row| row.get(0)).map_err(&failed)?;
        let last_id = last_id.unwrap_or(0).max(meta(meta::SID_RUNS_EVENT)?);
        let keys = Keys::read(&connection).map_err(&failed)?;
        let sid_runs = meta(meta::SID_RUNS)?;
        let removed = meta::removed(&connection).map_err(&failed)?.into_keys().collect();
        let sids_after_runs = read_sids_after(&connection, meta(meta::SID_RUNS_EVENT)?).map_err(&failed)?;
        drop(failed);
        Ok(DayWriter {
            day,
            path,
            connection,
            descriptor,
            last_id,
            lag_ms,
            rows_position: Position(rows_position as u64),
            keys,
            removed,
            sid_runs,
            sids_after_runs,
        })
    }

    pub(super) fn day(&self) -> Day {
        self.day
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    pub(super) fn rows_position(&self) -> Position {
        self.rows_position
    }

    /// Adds those rows that the file does not have, in one transaction with the new positions.
    pub(super) fn write(
        &mut self,
        rows: &[&HistoryRow],
        rows_position: Position,
        projected: Option<Position>,
    ) -> Result<(), WriteError> {
        let failed = write_failed("project events", &self.path);
        // A projection that starts again comes with positions that this file has passed already.
        let rows_position = rows_position.max(self.rows_position);
        let transaction = self.connection.transaction_with_behavior(TransactionBehavior::Immediate).map_err(&failed)?;
        let mut numbering = Numbering { last_id: self.last_id, lag_ms: self.lag_ms };
        let is_new = |row: &&HistoryRow| row.position > self.rows_position && !self.removed.contains(&row.workspace);
        let new_rows = rows.iter().copied().filter(is_new);
        insert(&transaction, new_rows, &mut numbering, &mut self.keys, &mut self.sids_after_runs).map_err(&failed)?;
        if self.sids_after_runs.len() >= limits::HISTORY_SID_RUN_EVENTS {
            add_sid_run(&transaction, self.sid_runs + 1, &mut self.sids_after_runs).map_err(&failed)?;
            self.sid_runs += 1;
        }
        self.keys.sort_enough(&transaction).map_err(&failed)?;
        meta::set_number(&transaction, meta::ROWS_POSITION, rows_position.0 as i64).map_err(&failed)?;
        if let Some(projected) = projected {
            meta::set_number(&transaction, meta::PROJECTED_POSITION, projected.0 as i64).map_err(&failed)?;
        }
        if numbering.lag_ms != self.lag_ms {
            meta::set_number(&transaction, meta::LAG_MS, numbering.lag_ms).map_err(&failed)?;
        }
        meta::seal(&transaction).map_err(&failed)?;
        let log_failed = synchronize_failed(&self.path);
        if rows.len() < limits::HISTORY_TRICKLE_ROWS {
            transaction.commit().map_err(&failed)?;
        } else {
            let log = File::open(log_path(&self.path)).map_err(&log_failed)?;
            trickle(&log, || transaction.commit()).map_err(&log_failed)?.map_err(&failed)?;
        }
        drop((failed, log_failed));
        self.last_id = numbering.last_id;
        self.lag_ms = numbering.lag_ms;
        self.rows_position = rows_position;
        checkpoint_long(&self.connection, &self.path, &self.descriptor)
    }

    /// Ends the day: sorts into the indexes what is not in them yet, and brings the log into the file, which SQLite
    /// would do in one piece when the connection is closed.
    pub(super) fn seal(mut self) -> Result<(), WriteError> {
        let failed = write_failed("seal a day of the history", &self.path);
        let transaction = self.connection.transaction_with_behavior(TransactionBehavior::Immediate).map_err(&failed)?;
        self.keys.sort(&transaction).map_err(&failed)?;
        if !self.sids_after_runs.is_empty() {
            add_sid_run(&transaction, self.sid_runs + 1, &mut self.sids_after_runs).map_err(&failed)?;
        }
        meta::seal(&transaction).map_err(&failed)?;
        transaction.commit().map_err(&failed)?;
        checkpoint(&self.connection, &self.path, &self.descriptor)
    }
}

/// Where the file of a day stands, if its own values are whole and its events are of that day. `None`: it has no
/// tables, because the process that made it did not get any further.
pub(super) fn verified_stand(directory: &Path, day: Day) -> Result<Option<Stand>, OpenError> {
    let path = names::path(directory, day);
    let Some(connection) = database::open_reader(&path, &KIND)? else { return Ok(None) };
    Ok(Some(verified_stand_of(&connection, &path, day)?))
}

/// The same, of a file that is open.
pub(in super::super) fn verified_stand_of(connection: &Connection, path: &Path, day: Day) -> Result<Stand, ReadError> {
    meta::verify(connection, path)?;
    verify_day(connection, path, day)?;
    meta::stand(connection).map_err(read_failed("read where a day of the history stands", path))
}

/// A file that was given the name of another day would be looked at for the wrong times only.
fn verify_day(connection: &Connection, path: &Path, day: Day) -> Result<(), ReadError> {
    let failed = read_failed("read the first and the last event of a day of the history", path);
    for order in ["ASC", "DESC"] {
        let sql = format!("SELECT at_ms FROM events ORDER BY id {order} LIMIT 1");
        let at_ms: Option<i64> = connection.query_row(&sql, [], |row| row.get(0)).optional().map_err(&failed)?;
        if let Some(at_ms) = at_ms.filter(|at_ms| Day::of(*at_ms) != day) {
            let problem = format!("it holds an event of the instant {at_ms} ms, which lies in another day");
            return Err(Damage { path: path.to_path_buf(), place: "its name".to_owned(), problem }.into());
        }
    }
    Ok(())
}

/// Brings the log into the file once it is long.
pub(super) fn checkpoint_long(connection: &Connection, path: &Path, descriptor: &Descriptor) -> Result<(), WriteError> {
    let pages_left = |row: &Row<'_>| Ok(row.get::<_, i64>(1)? - row.get::<_, i64>(2)?);
    let pages_left = connection.query_row("PRAGMA wal_checkpoint(NOOP)", [], pages_left);
    let pages_left = pages_left.map_err(write_failed("look at the log of a day of the history", path))?;
    if pages_left < limits::HISTORY_LOG_PAGES { Ok(()) } else { checkpoint(connection, path, descriptor) }
}

/// Brings the log into the file.
pub(super) fn checkpoint(connection: &Connection, path: &Path, descriptor: &Descriptor) -> Result<(), WriteError> {
    let run = || connection.query_row("PRAGMA wal_checkpoint(PASSIVE)", [], |_| Ok(()));
    let checkpoint = trickle(descriptor.file(), run).map_err(synchronize_failed(path))?;
    checkpoint.map_err(write_failed("bring the log into a day of the history", path))
}

/// The log first: a checkpoint may move on between the two.
pub(super) fn synchronize(path: &Path, descriptor: &Descriptor) -> Result<(), WriteError> {
    let log = match File::open(log_path(path)) {
        Ok(log) => log.sync_all(),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(error),
    };
    log.and_then(|()| descriptor.file().sync_all()).map_err(synchronize_failed(path))
}

/// SQLite has no locks on the log: it may be opened and closed at will.
fn log_path(path: &Path) -> PathBuf {
    beside(path, "-wal")
}

fn synchronize_failed(path: &Path) -> impl Fn(io::Error) -> WriteError {
    move |source| WriteError::Failed {
        step: "synchronize a day of the history",
        path: path.to_path_buf(),
        source: Box::new(source),
    }
}

/// Gives out identifiers: the instant of the event, shifted, or the one after the last, whichever is more.
struct Numbering {
    last_id: i64,
    lag_ms: i64,
}

impl Numbering {
    fn next(&mut self, at_ms: i64) -> i64 {
        let id = (at_ms << limits::HISTORY_COUNTER_BITS).max(self.last_id + 1);
        self.last_id = id;
        self.lag_ms = self.lag_ms.max((id >> limits::HISTORY_COUNTER_BITS) - at_ms);
        id
    }
}

fn insert<'a>(
    transaction: &Transaction<'_>,
    rows: impl Iterator<Item = &'a HistoryRow>,
    numbering: &mut Numbering,
    keys: &mut Keys,
    sids: &mut Vec<(Sid, i64)>,
) -> rusqlite::Result<()> {
    let mut mentions: BTreeSet<(i64, i64, u16)> = BTreeSet::new();
    let mut add_event = transaction.prepare_cached(
        "INSERT INTO events (id, workspace, at_ms, kind, checksum, sid, payload) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
    )?;
    for row in rows {
        let id = numbering.next(row.at_ms);
        let workspace = keys.number(transaction, row.workspace, ROLE_WORKSPACE)?;
        let checksum = checksum::history_event(&row.workspace, id, row.at_ms, &row.sid, row.kind, &row.payload);
        add_event.execute(params![id, workspace, row.at_ms, row.kind, checksum, row.sid, row.payload])?;
        mentions.insert((workspace, id, row.kind));
        for reference in &row.references {
            let key = keys.number(transaction, reference.sid, role_number(reference.role))?;
            mentions.insert((key, id, row.kind));
        }
        sids.push((row.sid, id));
    }
    // In order of keys, so that neighbors go to the same page at the same time.
    let mut add_mention = transaction.prepare_cached("INSERT INTO mentions (key, event, kind) VALUES (?1, ?2, ?3)")?;
    for (key, event, kind) in mentions {
        add_mention.execute(params![key, event, kind])?;
    }
    Ok(())
}

/// Moves sids into a new run of the index.
fn add_sid_run(transaction: &Transaction<'_>, run: i64, sids: &mut Vec<(Sid, i64)>) -> rusqlite::Result<()> {
    let last_event = sids.iter().map(|(_, event)| *event).max().expect("a run is not empty");
    sids.sort_unstable();
    let mut add = transaction.prepare_cached("INSERT INTO sids (run, sid, event) VALUES (?1, ?2, ?3)")?;
    for (sid, event) in sids.drain(..) {
        add.execute(params![run, sid, event])?;
    }
    meta::set_number(transaction, meta::SID_RUNS, run)?;
    meta::set_number(transaction, meta::SID_RUNS_EVENT, last_event)
}

fn read_sids_after(connection: &Connection, event: i64) -> rusqlite::Result<Vec<(Sid, i64)>> {
    let mut statement = connection.prepare("SELECT sid, id FROM events WHERE id > ?1")?;
    let rows = statement.query_map([event], |row| Ok((row.get(0)?, row.get(1)?)))?;
    rows.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn identifiers_grow_also_when_a_millisecond_is_full_or_time_goes_back() {
        let mut numbering = Numbering { last_id: (1_000 << 20) + (1 << 20) - 1, lag_ms: 0 };
        assert_eq!(numbering.next(1_000), 1_001 << 20);
        assert_eq!(numbering.lag_ms, 1);
        assert_eq!(numbering.next(990), (1_001 << 20) + 1);
        assert_eq!(numbering.lag_ms, 11);
        assert_eq!(numbering.next(2_000), 2_000 << 20);
        assert_eq!(numbering.lag_ms, 11);
    }
}
