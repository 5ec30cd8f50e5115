//! One day of the history: its events, and the index by everything that they mention.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use jiff::ToSpan;
use jiff::civil::Date;
use rusqlite::{Connection, OptionalExtension, Row, Transaction, TransactionBehavior, params, params_from_iter};

use crate::history::Day;
use crate::{
    CheckReport, Damage, HistoryEvent, HistoryKey, HistoryQuery, HistoryRow, Inspection, OpenError, Position,
    ReadError, Reference, Role, Sid, StreamId, WriteError, checksum, limits,
};

use super::super::database::{self, FileKind, read_failed, write_failed};
use super::super::directory::beside;
use super::descriptors::{Descriptor, Descriptors};
use super::keys::{self, KEY_RUNS, KEY_RUNS_KEY, Keys, ROLE_WORKSPACE, role_number, role_of};
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
    added: None,
    synchronous: "NORMAL",
    autocheckpoint_pages: 4_000,
    cache_kib: 64 << 10,
};

const EPOCH: Date = jiff::civil::date(1970, 1, 1);

const ROWS_POSITION: &str = "rows_position";
const PROJECTED_POSITION: &str = "projected_position";
/// By how many milliseconds at most the instant in an identifier is later than that of its event.
const LAG_MS: &str = "lag_ms";
/// How many runs the index by sid has, and the last event in it. Sids are random: put into one sorted table, each
/// would write a page of its own. So they are sorted run by run, and a search looks into each run; the events after
/// the last run are few enough to be looked through.
const SID_RUNS: &str = "sid_runs";
const SID_RUNS_EVENT: &str = "sid_runs_event";
/// Of the values above, of the format and the values of the keys from format 2 on, and of what has been removed.
const CHECKSUM: &str = "checksum";
/// With the sid of a workspace behind it: its events are gone from this day, or going.
const REMOVED: &str = "removed.";

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
    pub(super) fn open(directory: &Path, day: Day, descriptors: &Arc<Descriptors>) -> Result<DayWriter, OpenError> {
        let path = path(directory, day);
        let descriptor = descriptors.of(directory, day, true).map_err(|source| OpenError::File {
            step: "open",
            path: path.clone(),
            source,
        })?;
        let connection = database::open_writer(&path, &KIND)?;
        let failed = read_failed("read where a day of the history stands", &path);
        // A commit that did it would write all of it at once.
        connection.pragma_update(None, "wal_autocheckpoint", 0).map_err(&failed)?;
        let meta = |key| meta_number(&connection, key).map_err(&failed);
        let rows_position = meta(ROWS_POSITION)?;
        let lag_ms = meta(LAG_MS)?;
        // The last event of a run may have been removed; what comes now must still come after the run.
        let last_id: Option<i64> =
            connection.query_row("SELECT max(id) FROM events", [], |row| row.get(0)).map_err(&failed)?;
        let last_id = last_id.unwrap_or(0).max(meta(SID_RUNS_EVENT)?);
        let keys = Keys::read(&connection).map_err(&failed)?;
        let sid_runs = meta(SID_RUNS)?;
        let removed = removed(&connection).map_err(&failed)?.into_keys().collect();
        let sids_after_runs = read_sids_after(&connection, meta(SID_RUNS_EVENT)?).map_err(&failed)?;
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
        meta_set_number(&transaction, ROWS_POSITION, rows_position.0 as i64).map_err(&failed)?;
        if let Some(projected) = projected {
            meta_set_number(&transaction, PROJECTED_POSITION, projected.0 as i64).map_err(&failed)?;
        }
        if numbering.lag_ms != self.lag_ms {
            meta_set_number(&transaction, LAG_MS, numbering.lag_ms).map_err(&failed)?;
        }
        seal_meta(&transaction).map_err(&failed)?;
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
        seal_meta(&transaction).map_err(&failed)?;
        transaction.commit().map_err(&failed)?;
        checkpoint(&self.connection, &self.path, &self.descriptor)
    }
}

/// Where a file stands.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(in super::super) struct Stand {
    /// Up to here it has its own rows.
    pub(in super::super) rows: Position,
    /// Up to here all files have theirs, as far as this one knows.
    pub(in super::super) projected: Position,
}

/// Where the file of a day stands, if its own values are whole and its events are of that day. `None`: it has no
/// tables, because the process that made it did not get any further.
pub(super) fn stand(directory: &Path, day: Day) -> Result<Option<Stand>, OpenError> {
    let path = path(directory, day);
    let Some(connection) = database::open_reader(&path, &KIND)? else { return Ok(None) };
    verify_meta(&connection, &path)?;
    verify_day(&connection, &path, day)?;
    Ok(Some(stand_of(&connection).map_err(read_failed("read where a day of the history stands", &path))?))
}

pub(in super::super) fn stand_of(connection: &Connection) -> rusqlite::Result<Stand> {
    let position = |key| meta_number(connection, key).map(|number| Position(number as u64));
    Ok(Stand { rows: position(ROWS_POSITION)?, projected: position(PROJECTED_POSITION)? })
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
    meta_set_number(transaction, SID_RUNS, run)?;
    meta_set_number(transaction, SID_RUNS_EVENT, last_event)
}

fn read_sids_after(connection: &Connection, event: i64) -> rusqlite::Result<Vec<(Sid, i64)>> {
    let mut statement = connection.prepare("SELECT sid, id FROM events WHERE id > ?1")?;
    let rows = statement.query_map([event], |row| Ok((row.get(0)?, row.get(1)?)))?;
    rows.collect()
}

/// Adds to `events` those of a day that a query asks for, at most `wanted`, in the direction in which it goes.
pub(super) fn select(
    connection: &Connection,
    path: &Path,
    query: &HistoryQuery,
    ascending: bool,
    bound: Option<i64>,
    wanted: usize,
    events: &mut Vec<HistoryEvent>,
) -> Result<(), ReadError> {
    let failed = read_failed("read the history", path);
    let Some(keys) = find_keys(connection, query).map_err(&failed)? else { return Ok(()) };
    let lag_ms = meta_number(connection, LAG_MS).map_err(&failed)?;
    // Identifiers run at most `lag_ms` ahead of the instants of their events, and never behind.
    let mut id_min = query.from_ms.clamp(0, limits::HISTORY_AT_MS_MAX) << limits::HISTORY_COUNTER_BITS;
    let to_ms = query.to_ms.min(limits::HISTORY_AT_MS_MAX);
    let mut id_max = (to_ms + 1).saturating_add(lag_ms).min(i64::MAX >> limits::HISTORY_COUNTER_BITS)
        << limits::HISTORY_COUNTER_BITS;
    match bound {
        Some(bound) if ascending => id_min = id_min.max(bound + 1),
        Some(bound) => id_max = id_max.min(bound - 1),
        None => {}
    }
    let mut sql = String::from(
        "SELECT e.id, e.at_ms, e.kind, e.checksum, e.sid, e.payload
         FROM mentions m CROSS JOIN events e ON e.id = m.event
         WHERE m.event BETWEEN ? AND ? AND e.workspace = ? AND e.at_ms BETWEEN ? AND ?",
    );
    let mut values = vec![id_min, id_max, keys.workspace, query.from_ms, query.to_ms];
    let mut one_of = |sql: &mut String, column: &str, numbers: &[i64]| {
        let marks = vec!["?"; numbers.len()].join(", ");
        write!(sql, " AND {column} IN ({marks})").expect("a string takes all");
        values.extend(numbers);
    };
    one_of(&mut sql, "m.key", &keys.leading);
    for other in &keys.others {
        sql.push_str(" AND EXISTS (SELECT 1 FROM mentions WHERE event = m.event");
        one_of(&mut sql, "key", other);
        sql.push(')');
    }
    if !keys.kinds.is_empty() {
        one_of(&mut sql, "m.kind", &keys.kinds);
    }
    write!(sql, " ORDER BY m.event {} LIMIT ?", if ascending { "ASC" } else { "DESC" }).expect("a string takes all");
    values.push(wanted as i64);
    let mut statement = connection.prepare_cached(&sql).map_err(&failed)?;
    let mut rows = statement.query(params_from_iter(values)).map_err(&failed)?;
    while let Some(row) = rows.next().map_err(&failed)? {
        events.push(verified(event_of(row, query.workspace).map_err(&failed)?, path)?);
    }
    Ok(())
}

/// What a query asks for, in the numbers of one file.
struct QueryKeys {
    workspace: i64,
    /// The numbers of what the fewest events should mention; the rows looked at are those that do.
    leading: Vec<i64>,
    /// Those of each other thing.
    others: Vec<Vec<i64>>,
    kinds: Vec<i64>,
}

/// `None` when no event of the file can match.
fn find_keys(connection: &Connection, query: &HistoryQuery) -> rusqlite::Result<Option<QueryKeys>> {
    if is_removed(connection, query.workspace)? {
        return Ok(None);
    }
    let Some(workspace) = keys::find_workspace(connection, query.workspace)? else { return Ok(None) };
    let mut references = query.references.clone();
    references.sort_by_key(|reference| selectivity(reference.role));
    references.dedup();
    let mut others = Vec::with_capacity(references.len());
    for reference in references {
        let keys = keys::find(connection, reference.sid, role_number(reference.role))?;
        if keys.is_empty() {
            return Ok(None);
        }
        others.push(keys);
    }
    let mut kinds: Vec<i64> = query.kinds.iter().map(|&kind| kind.into()).collect();
    kinds.sort_unstable();
    kinds.dedup();
    let leading = if others.is_empty() { vec![workspace] } else { others.remove(0) };
    Ok(Some(QueryKeys { workspace, leading, others, kinds }))
}

/// Less is fewer events per thing.
fn selectivity(role: Role) -> u8 {
    match role {
        Role::Reservation => 0,
        Role::Task => 1,
        Role::Worker => 2,
        Role::TaskQueue => 3,
        Role::Workflow => 4,
        Role::TaskChannel => 5,
    }
}

pub(super) fn find(
    connection: &Connection,
    path: &Path,
    workspace: Sid,
    sid: Sid,
) -> Result<Option<HistoryEvent>, ReadError> {
    let failed = read_failed("look for an event in the history", path);
    let Some(workspace_key) = keys::find_workspace(connection, workspace).map_err(&failed)? else {
        return Ok(None);
    };
    if is_removed(connection, workspace).map_err(&failed)? {
        return Ok(None);
    }
    let Some(id) = find_id(connection, workspace_key, sid).map_err(&failed)? else { return Ok(None) };
    let found = connection
        .prepare_cached("SELECT id, at_ms, kind, checksum, sid, payload FROM events WHERE id = ?1")
        .and_then(|mut statement| statement.query_row([id], |row| event_of(row, workspace)))
        .map_err(&failed)?;
    Ok(Some(verified(found, path)?))
}

fn find_id(connection: &Connection, workspace: i64, sid: Sid) -> rusqlite::Result<Option<i64>> {
    let mut in_run = connection.prepare_cached(
        "SELECT e.id FROM sids s CROSS JOIN events e ON e.id = s.event
         WHERE s.run = ?1 AND s.sid = ?2 AND e.workspace = ?3",
    )?;
    for run in (1..=meta_number(connection, SID_RUNS)?).rev() {
        let found = in_run.query_row(params![run, sid, workspace], |row| row.get(0)).optional()?;
        if found.is_some() {
            return Ok(found);
        }
    }
    connection
        .prepare_cached("SELECT id FROM events WHERE id > ?1 AND sid = ?2 AND workspace = ?3")?
        .query_row(params![meta_number(connection, SID_RUNS_EVENT)?, sid, workspace], |row| row.get(0))
        .optional()
}

/// Reads everything in the file, and compares the events with what finds them.
pub(super) fn check(
    connection: &Connection,
    path: &Path,
    report: &mut CheckReport,
    inspection: &mut Inspection<'_>,
) -> Result<(), ReadError> {
    database::integrity_check(connection, path, &mut report.damage)?;
    let failed = read_failed("check the history", path);
    match keys::check(connection, path, &failed, &mut report.damage) {
        Err(ReadError::Damaged(damage)) => report.damage.push(damage),
        other => other?,
    }
    let mut events = connection
        .prepare(
            "SELECT e.id, e.at_ms, e.kind, e.checksum, e.sid, e.payload, k.sid
             FROM events e LEFT JOIN keys k ON k.id = e.workspace AND k.role = ?1 ORDER BY e.id",
        )
        .map_err(&failed)?;
    let mut mentions = connection
        .prepare(
            "SELECT m.event, m.kind, k.sid, k.role FROM mentions m LEFT JOIN keys k ON k.id = m.key
             ORDER BY m.event, k.role, k.sid",
        )
        .map_err(&failed)?;
    let mut sids = connection.prepare("SELECT event, sid, run FROM sids ORDER BY event").map_err(&failed)?;
    let removed = removed(connection).map_err(&failed)?;
    let sid_runs = meta_number(connection, SID_RUNS).map_err(&failed)?;
    let sid_runs_event = meta_number(connection, SID_RUNS_EVENT).map_err(&failed)?;
    let mut rows = events.query([ROLE_WORKSPACE]).map_err(&failed)?;
    let mut mentions = Ordered::new("event", mentions.query([]).map_err(&failed)?, |row| {
        Ok((row.get(0)?, (row.get::<_, u16>(1)?, row.get::<_, Sid>(2)?, row.get::<_, u32>(3)?)))
    });
    let mut sids = Ordered::new("event", sids.query([]).map_err(&failed)?, |row| {
        Ok((row.get(0)?, (row.get::<_, Sid>(1)?, row.get::<_, i64>(2)?)))
    });
    while let Some(row) = rows.next().map_err(&failed)? {
        let event = row.get(6).and_then(|workspace| event_of(row, workspace)).map_err(&failed)?;
        let id = event.0.key.id;
        let mut problem = |problem: String| {
            report.damage.push(Damage { path: path.to_path_buf(), place: format!("event {id}"), problem });
        };
        let found = mentions.of(id, path, &failed)?;
        let in_runs = sids.of(id, path, &failed)?;
        if removed.contains_key(&event.0.workspace) {
            // Nobody sees it any more, and not all that finds it may be there.
            continue;
        }
        report.history_events += 1;
        match verified(event, path) {
            Err(damage) => report.damage.push(damage),
            Ok(event) => {
                if found.iter().any(|(kind, ..)| *kind != event.kind) {
                    problem("its mentions are of another type of event".to_owned());
                }
                let references: Option<Vec<Reference>> = found
                    .iter()
                    .filter(|(_, _, role)| *role != ROLE_WORKSPACE)
                    .map(|&(_, sid, role)| Some(Reference { role: role_of(role)?, sid }))
                    .collect();
                let by_workspace =
                    found.iter().filter(|(_, sid, role)| (*role, *sid) == (ROLE_WORKSPACE, event.workspace));
                match references {
                    _ if by_workspace.count() != 1 => problem("its workspace does not find it".to_owned()),
                    None => problem("it is mentioned in a role that is not known".to_owned()),
                    Some(references) => {
                        if let Err(text) = (inspection.event)(&event, &references) {
                            problem(text);
                        }
                    }
                }
                let is_found = match in_runs[..] {
                    [] => id > sid_runs_event,
                    [(sid, run)] => sid == event.sid && (1..=sid_runs).contains(&run),
                    _ => false,
                };
                if !is_found {
                    problem("the index by sid does not find it".to_owned());
                }
            }
        }
        if report.history_events.is_multiple_of(limits::CHECK_PROGRESS_ROWS) {
            (inspection.progress)(report);
        }
        if report.damage.len() >= limits::DAMAGE_LISTED_MAX {
            return Ok(());
        }
    }
    mentions.of(i64::MAX, path, &failed)?;
    sids.of(i64::MAX, path, &failed)?;
    Ok(())
}

/// Rows of an index in the order of what they find, taken one thing found after the other.
pub(super) struct Ordered<'a, T, F> {
    /// What is found, in a word.
    what: &'static str,
    rows: rusqlite::Rows<'a>,
    parse: F,
    next: Option<(i64, T)>,
    is_over: bool,
}

impl<'a, T, F: Fn(&Row<'_>) -> rusqlite::Result<(i64, T)>> Ordered<'a, T, F> {
    pub(super) fn new(what: &'static str, rows: rusqlite::Rows<'a>, parse: F) -> Ordered<'a, T, F> {
        Ordered { what, rows, parse, next: None, is_over: false }
    }

    /// Those of one thing; rows of one that is not there are damage.
    pub(super) fn of(
        &mut self,
        id: i64,
        path: &Path,
        failed: &impl Fn(rusqlite::Error) -> ReadError,
    ) -> Result<Vec<T>, ReadError> {
        let mut found = Vec::new();
        loop {
            if self.next.is_none() && !self.is_over {
                self.next = self.rows.next().map_err(failed)?.map(&self.parse).transpose().map_err(failed)?;
            }
            match self.next.take() {
                None => {
                    self.is_over = true;
                    return Ok(found);
                }
                Some((of, row)) if of == id => found.push(row),
                Some((of, _)) if of < id => {
                    return Err(ReadError::Damaged(Damage {
                        path: path.to_path_buf(),
                        place: format!("{} {of}", self.what),
                        problem: "it is in an index but not there".to_owned(),
                    }));
                }
                later => {
                    self.next = later;
                    return Ok(found);
                }
            }
        }
    }
}

fn event_of(row: &Row<'_>, workspace: Sid) -> rusqlite::Result<(HistoryEvent, u32)> {
    let event = HistoryEvent {
        key: HistoryKey { id: row.get(0)?, at_ms: row.get(1)? },
        workspace,
        sid: row.get(4)?,
        kind: row.get(2)?,
        payload: row.get(5)?,
    };
    Ok((event, row.get(3)?))
}

fn verified((event, expected): (HistoryEvent, u32), path: &Path) -> Result<HistoryEvent, Damage> {
    let HistoryEvent { key, workspace, sid, kind, payload } = &event;
    let found = checksum::history_event(workspace, key.id, key.at_ms, sid, *kind, payload);
    if found == expected {
        return Ok(event);
    }
    Err(Damage::checksum(path, format!("event {}", event.key.id), found, expected))
}

fn meta_checksum(connection: &Connection) -> rusqlite::Result<u32> {
    let mut values = Vec::with_capacity(8);
    for key in [ROWS_POSITION, PROJECTED_POSITION, LAG_MS, SID_RUNS, SID_RUNS_EVENT] {
        values.push(meta_number(connection, key)?);
    }
    if keys::has_runs(connection)? {
        let format = database::format(connection)?;
        values.extend([format, meta_number(connection, KEY_RUNS)?, meta_number(connection, KEY_RUNS_KEY)?]);
    }
    let removed = removed(connection)?;
    if removed.is_empty() {
        return Ok(checksum::numbers(&values));
    }
    let removed: Vec<u8> =
        removed.into_iter().flat_map(|(sid, stage)| [&sid[..], &stage.to_le_bytes()].concat()).collect();
    Ok(checksum::of_parts(&[&checksum::numbers(&values).to_le_bytes(), &removed]))
}

/// The workspaces whose events are gone from the file (2), or going (1).
pub(super) fn removed(connection: &Connection) -> rusqlite::Result<BTreeMap<Sid, i64>> {
    let mut statement = connection.prepare_cached("SELECT key, value FROM meta WHERE key >= ?1 AND key < ?2")?;
    // What follows the last character of the prefix bounds the range.
    let rows = statement.query_map([REMOVED, "removed/"], |row| {
        let key: String = row.get(0)?;
        let sid = StreamId::parse(&key[REMOVED.len()..]);
        let sid = sid.ok_or_else(|| rusqlite::Error::InvalidColumnType(0, key, rusqlite::types::Type::Text))?;
        Ok((sid.0, row.get(1)?))
    })?;
    rows.collect()
}

fn is_removed(connection: &Connection, workspace: Sid) -> rusqlite::Result<bool> {
    meta_number(connection, &removed_key(workspace)).map(|stage| stage > 0)
}

pub(super) fn removed_key(workspace: Sid) -> String {
    format!("{REMOVED}{}", StreamId(workspace))
}

/// Brings the checksum of the file's own values up to date.
pub(super) fn seal_meta(transaction: &Transaction<'_>) -> rusqlite::Result<()> {
    let checksum = meta_checksum(transaction)?;
    meta_set_number(transaction, CHECKSUM, checksum.into())
}

fn verify_meta(connection: &Connection, path: &Path) -> Result<(), ReadError> {
    let failed = read_failed("read where a day of the history stands", path);
    let count: i64 = connection.query_row("SELECT count(*) FROM meta", [], |row| row.get(0)).map_err(&failed)?;
    let found = meta_checksum(connection).map_err(&failed)?;
    let expected = meta_number(connection, CHECKSUM).map_err(&failed)? as u32;
    // A file that was just made has no values yet.
    if count == 0 || found == expected {
        return Ok(());
    }
    Err(ReadError::Damaged(Damage::checksum(path, "its own values".to_owned(), found, expected)))
}

pub(super) fn meta_number(connection: &Connection, key: &str) -> rusqlite::Result<i64> {
    let value: Option<i64> = connection
        .prepare_cached("SELECT value FROM meta WHERE key = ?1")?
        .query_row([key], |row| row.get(0))
        .optional()?;
    Ok(value.unwrap_or(0))
}

pub(super) fn meta_set_number(connection: &Connection, key: &str, value: i64) -> rusqlite::Result<()> {
    connection
        .prepare_cached("INSERT OR REPLACE INTO meta (key, value) VALUES (?1, ?2)")?
        .execute(params![key, value])
        .map(|_| ())
}

/// `history-YYYY-MM-DD.sqlite`.
pub(in super::super) fn path(directory: &Path, day: Day) -> PathBuf {
    let date = EPOCH.checked_add(day.0.days()).expect("days of the history lie before the year 2249");
    directory.join(format!("history-{date}.sqlite"))
}

pub(super) fn parse_path(path: &Path) -> Option<Day> {
    if path.extension()? != "sqlite" {
        return None;
    }
    Some(day_of_date(path.file_stem()?.to_str()?.strip_prefix("history-")?.parse().ok()?))
}

pub(super) fn day_of_date(date: Date) -> Day {
    Day(i64::from(date.since(EPOCH).expect("both are dates").get_days()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_day_file_has_the_date_of_its_day_in_its_name() {
        let directory = Path::new("history");
        for (day, name) in [(0, "1970-01-01"), (11_016, "2000-02-29"), (19_787, "2024-03-05"), (47_541, "2100-03-01")] {
            let path = path(directory, Day(day));
            assert_eq!(path, directory.join(format!("history-{name}.sqlite")));
            assert_eq!(parse_path(&path), Some(Day(day)));
        }
        path(directory, Day::of(limits::HISTORY_AT_MS_MAX));
    }

    #[test]
    fn a_file_of_another_name_is_not_a_day() {
        for name in ["history-2024-02-30.sqlite", "history-2024-02.sqlite", "history-2024-03-05.sqlite-wal", "x.sqlite"]
        {
            assert_eq!(parse_path(Path::new(name)), None, "{name}");
        }
    }

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
