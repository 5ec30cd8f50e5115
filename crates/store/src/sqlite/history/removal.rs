//! Taking the events of some workspaces out of a day that others keep, piece by piece.
//!
//! A mark in the file comes first, and is synchronized: from then on nobody sees these events, whatever is left of
//! them, and none are added. Then the index by what they mention is gone through from end to end, because nothing else
//! tells what an event mentions; last go the events with what is left of their indexes. A removal that was cut short
//! is begun again by the next [`crate::Store::retain`].

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use rusqlite::{Connection, Transaction, TransactionBehavior, params};

use crate::{Sid, WriteError, limits};

use super::super::database::{self, write_failed};
use super::day_file::{self, KIND};
use super::descriptors::Descriptor;
use super::keys::ROLE_WORKSPACE;
use super::meta;

/// Stages of a workspace in [`removed`].
const GOING: i64 = 1;
const GONE: i64 = 2;

/// A connection of its own, which overwrites what it deletes.
pub(super) fn open(path: &Path) -> Result<Connection, WriteError> {
    let step = "open a day of the history";
    let connection = database::open_writer(path, &KIND).map_err(|source| WriteError::Failed {
        step,
        path: path.to_path_buf(),
        source: Box::new(source),
    })?;
    connection
        .execute_batch("PRAGMA secure_delete = ON; PRAGMA cache_size = -8192; PRAGMA wal_autocheckpoint = 0")
        .map_err(write_failed(step, path))?;
    Ok(connection)
}

/// The workspaces that have events in the file, and their keys in it; those of a removal that was cut short too.
pub(super) fn workspaces(connection: &Connection, path: &Path) -> Result<BTreeMap<Sid, i64>, WriteError> {
    let read = || {
        let gone = meta::removed(connection)?;
        let mut statement = connection.prepare("SELECT sid, id FROM keys WHERE role = ?1")?;
        let rows = statement.query_map([ROLE_WORKSPACE], |row| Ok((row.get(0)?, row.get(1)?)))?;
        let mut found: BTreeMap<Sid, i64> = rows.collect::<rusqlite::Result<_>>()?;
        found.retain(|sid, _| gone.get(sid) != Some(&GONE));
        Ok(found)
    };
    read().map_err(write_failed("read whose events a day of the history holds", path))
}

/// A removal under way.
pub(super) struct Removal {
    connection: Connection,
    /// Given back when the connection is closed.
    descriptor: Descriptor,
    path: PathBuf,
    /// Sids and keys of the workspaces.
    workspaces: Vec<(Sid, i64)>,
    keys: BTreeSet<i64>,
    /// The last entry of the index that has been looked at; `None` when that is done.
    looked_at: Option<(i64, i64)>,
    /// The last event of each run of the index by sid.
    runs: Vec<(i64, i64)>,
}

impl Removal {
    /// Marks the workspaces; nothing of theirs is seen from here on.
    pub(super) fn begin(
        mut connection: Connection,
        descriptor: Descriptor,
        path: &Path,
        workspaces: Vec<(Sid, i64)>,
    ) -> Result<Removal, WriteError> {
        let failed = write_failed("mark events that are no longer kept", path);
        let runs = read_runs(&connection).map_err(&failed)?;
        let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate).map_err(&failed)?;
        set_stages(&transaction, &workspaces, GOING).map_err(&failed)?;
        transaction.commit().map_err(&failed)?;
        drop(failed);
        day_file::synchronize(path, &descriptor)?;
        let keys = workspaces.iter().map(|(_, key)| *key).collect();
        let looked_at = Some((i64::MIN, i64::MIN));
        Ok(Removal { connection, descriptor, path: path.to_path_buf(), workspaces, keys, looked_at, runs })
    }

    /// Removes one piece. Returns whether it was the last; adds to `events` how many went.
    pub(super) fn step(&mut self, events: &mut u64) -> Result<bool, WriteError> {
        let failed = write_failed("remove events that are no longer kept", &self.path);
        let transaction = self.connection.transaction_with_behavior(TransactionBehavior::Immediate).map_err(&failed)?;
        let mut is_over = false;
        if let Some(after) = self.looked_at {
            self.looked_at = remove_mentions(&transaction, &self.keys, after).map_err(&failed)?;
        } else {
            let mut removed = 0;
            for &key in &self.keys {
                let left = limits::REMOVAL_SLICE_ROWS - removed;
                removed += remove_events(&transaction, key, &self.runs, left).map_err(&failed)?;
            }
            *events += removed as u64;
            is_over = removed < limits::REMOVAL_SLICE_ROWS;
        }
        if is_over {
            set_stages(&transaction, &self.workspaces, GONE).map_err(&failed)?;
        }
        transaction.commit().map_err(&failed)?;
        if is_over {
            // What was overwritten stands in the file then, and no longer in the log.
            day_file::checkpoint(&self.connection, &self.path, &self.descriptor)?;
        } else {
            day_file::checkpoint_long(&self.connection, &self.path, &self.descriptor)?;
        }
        Ok(is_over)
    }
}

fn set_stages(transaction: &Transaction<'_>, workspaces: &[(Sid, i64)], stage: i64) -> rusqlite::Result<()> {
    for (sid, _) in workspaces {
        meta::set_number(transaction, &meta::removed_key(*sid), stage)?;
    }
    meta::seal(transaction)
}

fn read_runs(connection: &Connection) -> rusqlite::Result<Vec<(i64, i64)>> {
    let mut statement = connection.prepare("SELECT run, max(event) FROM sids GROUP BY run ORDER BY run")?;
    let rows = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?;
    rows.collect()
}

/// Looks through the entries after one and deletes those of events of these workspaces; what finds the workspaces
/// themselves stays. Returns the last entry looked at, if others may follow.
fn remove_mentions(
    transaction: &Transaction<'_>,
    keys: &BTreeSet<i64>,
    after: (i64, i64),
) -> rusqlite::Result<Option<(i64, i64)>> {
    let mut statement = transaction.prepare_cached(
        "SELECT m.key, m.event, e.workspace FROM mentions m CROSS JOIN events e ON e.id = m.event
         WHERE (m.key, m.event) > (?1, ?2) ORDER BY m.key, m.event LIMIT ?3",
    )?;
    let rows = statement.query_map(params![after.0, after.1, limits::REMOVAL_SLICE_ROWS as i64], |row| {
        Ok(((row.get(0)?, row.get(1)?), row.get(2)?))
    })?;
    let rows: Vec<((i64, i64), i64)> = rows.collect::<rusqlite::Result<_>>()?;
    let mut delete = transaction.prepare_cached("DELETE FROM mentions WHERE key = ?1 AND event = ?2")?;
    for &((key, event), workspace) in &rows {
        if keys.contains(&workspace) && key != workspace {
            delete.execute([key, event])?;
        }
    }
    Ok(rows.last().filter(|_| rows.len() == limits::REMOVAL_SLICE_ROWS).map(|(entry, _)| *entry))
}

/// Deletes events of a workspace, at most `limit`, with all that finds them. Returns how many.
fn remove_events(
    transaction: &Transaction<'_>,
    workspace: i64,
    runs: &[(i64, i64)],
    limit: usize,
) -> rusqlite::Result<usize> {
    let mut statement = transaction.prepare_cached(
        "SELECT m.event, e.sid FROM mentions m CROSS JOIN events e ON e.id = m.event WHERE m.key = ?1 LIMIT ?2",
    )?;
    let rows = statement.query_map([workspace, limit as i64], |row| Ok((row.get(0)?, row.get(1)?)))?;
    let events: Vec<(i64, Sid)> = rows.collect::<rusqlite::Result<_>>()?;
    let mut delete_sid = transaction.prepare_cached("DELETE FROM sids WHERE run = ?1 AND sid = ?2 AND event = ?3")?;
    let mut delete_mention = transaction.prepare_cached("DELETE FROM mentions WHERE key = ?1 AND event = ?2")?;
    let mut delete_event = transaction.prepare_cached("DELETE FROM events WHERE id = ?1")?;
    for (event, sid) in &events {
        if let Some((run, _)) = runs.get(runs.partition_point(|(_, last)| last < event)) {
            delete_sid.execute(params![run, sid, event])?;
        }
        delete_mention.execute([workspace, *event])?;
        delete_event.execute([event])?;
    }
    Ok(events.len())
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::super::descriptors::Descriptors;
    use super::*;
    use crate::history::Day;
    use crate::{
        Dropped, HistoryQuery, HistoryRow, Options, Position, Record, Reference, Retention, Role, SequenceNumber,
        SqliteStore, Store, StreamId,
    };

    const DAY_MS: i64 = 86_400_000;
    const PAIRS: u64 = 3_000;

    /// Two workspaces that take turns in one day, and mention the same things.
    fn sample(store: &SqliteStore) {
        let epoch = store.begin_epoch().unwrap();
        let record = Record { stream: StreamId([1; 16]), sequence: SequenceNumber(1), at_ms: 0, payload: Vec::new() };
        store.append(epoch, &[record], &[]).unwrap();
        let rows: Vec<HistoryRow> = (0..2 * PAIRS)
            .map(|number| {
                let mut sid = [7; 16];
                sid[..8].copy_from_slice(&(number.wrapping_mul(0x9e37_79b9_7f4a_7c15)).to_be_bytes());
                let reference = |role, number: u64| Reference { role, sid: [number as u8; 16] };
                HistoryRow {
                    position: Position(1),
                    workspace: [1 + (number % 2) as u8; 16],
                    sid,
                    kind: 1,
                    at_ms: number as i64,
                    references: vec![reference(Role::Task, number % 100), reference(Role::Worker, number % 7)],
                    payload: b"kept for a while".to_vec(),
                }
            })
            .collect();
        // Several runs of the index by sid, and some events after the last.
        store.project(Position(1), &rows).unwrap();
    }

    fn count(store: &SqliteStore, workspace: u8) -> usize {
        let query = HistoryQuery { limit: 10_000, ..HistoryQuery::all([workspace; 16]) };
        store.history(&query).unwrap().events.len()
    }

    #[test]
    fn a_removal_that_was_cut_short_anywhere_shows_nothing_of_it_and_goes_on() {
        let retention = Retention { from_ms: 0, from_ms_of: [([1; 16], DAY_MS)].into() };
        for steps in [0, 1, 5, 9, 10, 11] {
            let directory = tempfile::tempdir().unwrap();
            let path = directory.path().join("history/history-1970-01-01.sqlite");
            let store = SqliteStore::open(directory.path(), &Options::default()).unwrap();
            sample(&store);
            let descriptors = Arc::new(Descriptors::default());
            let descriptor = descriptors.of(path.parent().unwrap(), Day::of(0), false).unwrap();
            let connection = open(&path).unwrap();
            let key = workspaces(&connection, &path).unwrap()[&[1; 16]];
            let mut removal = Removal::begin(connection, descriptor, &path, vec![([1; 16], key)]).unwrap();
            let mut events = 0;
            for _ in 0..steps {
                assert!(!removal.step(&mut events).unwrap(), "{steps}");
            }
            drop(removal);
            drop(store);
            let store = SqliteStore::open(directory.path(), &Options::default()).unwrap();
            assert_eq!([count(&store, 1), count(&store, 2)], [0, PAIRS as usize], "{steps}");
            let report = store.check().unwrap();
            assert_eq!((report.damage, report.history_events), (vec![], PAIRS), "{steps}");
            let rest = PAIRS - events;
            assert_eq!(store.retain(&retention).unwrap(), Dropped { days: 0, events: rest }, "{steps}");
            assert_eq!(store.retain(&retention).unwrap(), Dropped::default(), "{steps}");
            assert_eq!(count(&store, 2), PAIRS as usize);
            let connection = open(&path).unwrap();
            for (table, rows) in [("events", PAIRS), ("mentions", 3 * PAIRS)] {
                let sql = format!("SELECT count(*) FROM {table}");
                assert_eq!(connection.query_row(&sql, [], |row| row.get::<_, i64>(0)).unwrap(), rows as i64, "{table}");
            }
        }
    }

    #[test]
    fn a_changed_mark_is_found_at_the_start() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("history/history-1970-01-01.sqlite");
        let store = SqliteStore::open(directory.path(), &Options::default()).unwrap();
        sample(&store);
        store.retain(&Retention { from_ms: 0, from_ms_of: [([1; 16], DAY_MS)].into() }).unwrap();
        drop(store);
        let connection = Connection::open(&path).unwrap();
        let sql = "UPDATE meta SET key = 'removed.02020202020202020202020202020202' WHERE key LIKE 'removed.%'";
        assert_eq!(connection.execute(sql, []).unwrap(), 1);
        drop(connection);
        let error = SqliteStore::open(directory.path(), &Options::default()).unwrap_err();
        let text = format!("{error:?}");
        assert!(text.contains("its own values"), "{text}");
    }
}
