//! The small numbers that a day gives to what its events mention.
//!
//! Most things last: workers, queues, workflows. There are not many of them, and an index finds each by its sid. Tasks
//! and reservations pass: a busy day has millions, each mentioned for a while and then no more, and their sids are
//! random, so an index would write a page for every one. They are sorted run by run instead, and whoever writes does
//! not look whether one had a number before: it may have several, and a search finds them all.
//!
//! In a file of format 1 the index has everything, and there are no runs.

use std::collections::HashMap;
use std::path::Path;

use rusqlite::{Connection, OptionalExtension, Row, Transaction, params};

use crate::{Damage, ReadError, Role, Sid, limits};

use super::meta;
use super::ordered::Ordered;

pub(super) const ROLE_WORKSPACE: u32 = 0;

/// In the words of the partial index, without which SQLite does not use it.
const FIND_LASTING: &str = "SELECT id FROM keys WHERE sid = ?1 AND role = ?2 AND role NOT IN (1, 5)";
const FIND_ANY: &str = "SELECT id FROM keys WHERE sid = ?1 AND role = ?2";

pub(super) fn role_number(role: Role) -> u32 {
    role as u32
}

pub(super) fn role_of(number: u32) -> Option<Role> {
    [Role::Task, Role::Worker, Role::TaskQueue, Role::Workflow, Role::Reservation, Role::TaskChannel]
        .into_iter()
        .find(|role| role_number(*role) == number)
}

/// Whether a role is that of things that pass.
fn passes(role: u32) -> bool {
    [Role::Task, Role::Reservation].map(role_number).contains(&role)
}

/// The numbers of the file that is written.
#[derive(Debug)]
pub(super) struct Keys {
    has_runs: bool,
    id_max: i64,
    /// Those used since they were last forgotten, all at once, because there were too many.
    cached: HashMap<(Sid, u32), i64>,
    runs: i64,
    /// What is in no run yet.
    after_runs: Vec<(Sid, u32, i64)>,
}

impl Keys {
    pub(super) fn read(connection: &Connection) -> rusqlite::Result<Keys> {
        let id_max: Option<i64> = connection.query_row("SELECT max(id) FROM keys", [], |row| row.get(0))?;
        let has_runs = meta::has_key_runs(connection)?;
        let after_runs: Vec<(Sid, u32, i64)> = if has_runs {
            let mut statement =
                connection.prepare("SELECT sid, role, id FROM keys WHERE id > ?1 AND role IN (1, 5) ORDER BY id")?;
            let rows = statement.query_map([meta::number(connection, meta::KEY_RUNS_KEY)?], |row| {
                Ok((row.get(0)?, row.get(1)?, row.get(2)?))
            })?;
            rows.collect::<rusqlite::Result<_>>()?
        } else {
            Vec::new()
        };
        Ok(Keys {
            has_runs,
            id_max: id_max.unwrap_or(0),
            // A day may be opened again while it is written.
            cached: after_runs.iter().map(|&(sid, role, id)| ((sid, role), id)).collect(),
            runs: meta::number(connection, meta::KEY_RUNS)?,
            after_runs,
        })
    }

    /// The number of a thing, a new one if none is known.
    pub(super) fn number(&mut self, transaction: &Transaction<'_>, sid: Sid, role: u32) -> rusqlite::Result<i64> {
        if let Some(&id) = self.cached.get(&(sid, role)) {
            return Ok(id);
        }
        let is_in_runs = self.has_runs && passes(role);
        let known = if is_in_runs { None } else { find_one(transaction, sid, role)? };
        let id =
            if let Some(id) = known {
                id
            } else {
                self.id_max += 1;
                transaction
                    .prepare_cached("INSERT INTO keys (id, sid, role) VALUES (?1, ?2, ?3)")?
                    .execute(params![self.id_max, sid, role])?;
                if is_in_runs {
                    self.after_runs.push((sid, role, self.id_max));
                }
                self.id_max
            };
        if self.cached.len() >= limits::HISTORY_KEYS_CACHED_MAX {
            self.cached.clear();
        }
        self.cached.insert((sid, role), id);
        Ok(id)
    }

    /// Sorts what is in no run into a new one, once it is enough for that.
    pub(super) fn sort_enough(&mut self, transaction: &Transaction<'_>) -> rusqlite::Result<()> {
        if self.after_runs.len() < limits::HISTORY_KEY_RUN_KEYS { Ok(()) } else { self.sort(transaction) }
    }

    /// Sorts what is in no run into a new one.
    pub(super) fn sort(&mut self, transaction: &Transaction<'_>) -> rusqlite::Result<()> {
        let Some(&(.., last)) = self.after_runs.last() else { return Ok(()) };
        self.runs += 1;
        self.after_runs.sort_unstable();
        let mut add =
            transaction.prepare_cached("INSERT INTO key_runs (run, sid, role, key) VALUES (?1, ?2, ?3, ?4)")?;
        for (sid, role, key) in self.after_runs.drain(..) {
            add.execute(params![self.runs, sid, role, key])?;
        }
        meta::set_number(transaction, meta::KEY_RUNS, self.runs)?;
        meta::set_number(transaction, meta::KEY_RUNS_KEY, last)
    }
}

/// The numbers of a thing; most have one, and those that do not pass never more.
///
/// - Cost: of things that pass a look into each run, and one at what is in none.
pub(super) fn find(connection: &Connection, sid: Sid, role: u32) -> rusqlite::Result<Vec<i64>> {
    if !passes(role) || !meta::has_key_runs(connection)? {
        return Ok(find_one(connection, sid, role)?.into_iter().collect());
    }
    let mut keys = Vec::new();
    let mut in_run = connection.prepare_cached("SELECT key FROM key_runs WHERE run = ?1 AND sid = ?2 AND role = ?3")?;
    for run in 1..=meta::number(connection, meta::KEY_RUNS)? {
        for key in in_run.query_map(params![run, sid, role], |row| row.get(0))? {
            keys.push(key?);
        }
    }
    let mut after_runs = connection.prepare_cached("SELECT id FROM keys WHERE id > ?1 AND sid = ?2 AND role = ?3")?;
    for key in
        after_runs.query_map(params![meta::number(connection, meta::KEY_RUNS_KEY)?, sid, role], |row| row.get(0))?
    {
        keys.push(key?);
    }
    Ok(keys)
}

/// The number of a workspace.
pub(super) fn find_workspace(connection: &Connection, sid: Sid) -> rusqlite::Result<Option<i64>> {
    find_one(connection, sid, ROLE_WORKSPACE)
}

/// By the index, which has everything in a file of format 1 and what lasts in the others.
fn find_one(connection: &Connection, sid: Sid, role: u32) -> rusqlite::Result<Option<i64>> {
    let sql = if passes(role) { FIND_ANY } else { FIND_LASTING };
    connection.prepare_cached(sql)?.query_row(params![sid, role], |row| row.get(0)).optional()
}

/// Whether a search finds each thing that passes; of the others SQLite's own check of its index tells.
pub(super) fn check(
    connection: &Connection,
    path: &Path,
    failed: &impl Fn(rusqlite::Error) -> ReadError,
    damage: &mut Vec<Damage>,
) -> Result<(), ReadError> {
    if !meta::has_key_runs(connection).map_err(failed)? {
        return Ok(());
    }
    let runs = meta::number(connection, meta::KEY_RUNS).map_err(failed)?;
    let runs_key = meta::number(connection, meta::KEY_RUNS_KEY).map_err(failed)?;
    let mut keys =
        connection.prepare("SELECT id, sid, role FROM keys WHERE role IN (1, 5) ORDER BY id").map_err(failed)?;
    let mut sorted = connection.prepare("SELECT key, sid, role, run FROM key_runs ORDER BY key").map_err(failed)?;
    let key_of = |row: &Row<'_>| -> rusqlite::Result<(Sid, u32)> { Ok((row.get(1)?, row.get(2)?)) };
    let mut rows = keys.query([]).map_err(failed)?;
    let mut sorted = Ordered::new("key", sorted.query([]).map_err(failed)?, |row| {
        Ok((row.get(0)?, (key_of(row)?, row.get::<_, i64>(3)?)))
    });
    while let Some(row) = rows.next().map_err(failed)? {
        let (id, key) = row.get(0).and_then(|id: i64| Ok((id, key_of(row)?))).map_err(failed)?;
        let is_found = match sorted.of(id, path, failed)?[..] {
            [] => id > runs_key,
            [(of, run)] => of == key && (1..=runs).contains(&run),
            _ => false,
        };
        if !is_found {
            let problem = "the index by sid does not find it".to_owned();
            damage.push(Damage { path: path.to_path_buf(), place: format!("key {id}"), problem });
        }
        if damage.len() >= limits::DAMAGE_LISTED_MAX {
            return Ok(());
        }
    }
    sorted.of(i64::MAX, path, failed).map(drop)
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::super::super::database::format;
    use super::super::day_file::KIND;
    use super::*;
    use crate::{
        HistoryOrder, HistoryQuery, HistoryRow, Options, Position, Record, Reference, SequenceNumber, SqliteStore,
        Store, StreamId,
    };

    const WORKSPACE: Sid = [1; 16];
    const WORKER: Sid = [2; 16];

    /// What format 1 had other than format 2.
    const SCHEMA_OF_FORMAT_1: &str = "
        DROP TABLE key_runs;
        DROP INDEX keys_by_sid;
        CREATE UNIQUE INDEX keys_by_sid ON keys (sid, role);
        PRAGMA user_version = 1;
    ";

    struct Fixture {
        directory: tempfile::TempDir,
        store: Option<SqliteStore>,
        events: u64,
    }

    impl Fixture {
        fn new() -> Fixture {
            let mut fixture = Fixture { directory: tempfile::tempdir().unwrap(), store: None, events: 0 };
            fixture.open_again();
            fixture
        }

        fn store(&self) -> &SqliteStore {
            self.store.as_ref().unwrap()
        }

        fn open_again(&mut self) {
            self.store = None;
            self.store = Some(SqliteStore::open(self.directory.path(), &Options::default()).unwrap());
        }

        fn path(&self) -> PathBuf {
            self.directory.path().join("history/history-1970-01-01.sqlite")
        }

        fn with_file<T>(&self, body: impl FnOnce(&Connection) -> rusqlite::Result<T>) -> T {
            body(&Connection::open(self.path()).unwrap()).unwrap()
        }

        fn number(&self, sql: &str) -> i64 {
            self.with_file(|file| file.query_row(sql, [], |row| row.get(0)))
        }

        /// Projects one event for each of these things, together with one worker.
        fn mention(&mut self, things: impl IntoIterator<Item = (Role, u64)>) {
            let store = self.store.as_ref().unwrap();
            let epoch = store.begin_epoch().unwrap();
            let position = Position(store.last_position().0 + 1);
            let (stream, sequence) = (StreamId(WORKSPACE), SequenceNumber(position.0));
            store.append(epoch, &[Record { stream, sequence, at_ms: 0, payload: Vec::new() }], &[]).unwrap();
            let rows: Vec<HistoryRow> = things
                .into_iter()
                .map(|(role, thing)| {
                    self.events += 1;
                    HistoryRow {
                        position,
                        workspace: WORKSPACE,
                        sid: u128::from(self.events).to_be_bytes(),
                        kind: 1,
                        at_ms: self.events as i64,
                        references: vec![
                            Reference { role, sid: sid_of(thing) },
                            Reference { role: Role::Worker, sid: WORKER },
                        ],
                        payload: Vec::new(),
                    }
                })
                .collect();
            store.project(position, &rows).unwrap();
        }

        /// The instants of the events that mention all of these, page by page.
        fn found(&self, references: &[Reference], order: HistoryOrder) -> Vec<i64> {
            let mut query =
                HistoryQuery { references: references.to_vec(), order, limit: 2, ..HistoryQuery::all(WORKSPACE) };
            let mut found = Vec::new();
            loop {
                let page = self.store().history(&query).unwrap();
                found.extend(page.events.iter().map(|event| event.key.at_ms));
                let Some(last) = page.events.last().filter(|_| page.more) else { return found };
                query.cursor = Some(last.key);
            }
        }

        fn problems(&self) -> Vec<String> {
            self.store().check().unwrap().damage.iter().map(ToString::to_string).collect()
        }
    }

    /// Random, as sids are, and different for different numbers.
    fn sid_of(thing: u64) -> Sid {
        let mut sid = [3; 16];
        sid[..8].copy_from_slice(&thing.wrapping_mul(0x9e37_79b9_7f4a_7c15).to_be_bytes());
        sid
    }

    fn task(thing: u64) -> Reference {
        Reference { role: Role::Task, sid: sid_of(thing) }
    }

    fn tasks(things: std::ops::Range<u64>) -> impl Iterator<Item = (Role, u64)> {
        things.map(|thing| (Role::Task, thing))
    }

    #[test]
    fn a_run_begins_when_enough_came_together() {
        let enough = limits::HISTORY_KEY_RUN_KEYS as u64;
        let mut fixture = Fixture::new();
        fixture.mention(tasks(0..enough - 1));
        assert_eq!(fixture.number("SELECT count(*) FROM key_runs"), 0);
        fixture.mention(tasks(enough - 1..enough));
        assert_eq!(fixture.number("SELECT count(*) FROM key_runs"), enough as i64);
        fixture.mention(tasks(enough..enough + 1));
        for thing in [0, enough - 2, enough - 1, enough] {
            assert_eq!(fixture.found(&[task(thing)], HistoryOrder::OldestFirst), [thing as i64 + 1]);
        }
        assert_eq!(fixture.found(&[task(enough + 1)], HistoryOrder::OldestFirst), [] as [i64; 0]);
        assert_eq!(fixture.problems(), [] as [&str; 0]);
    }

    #[test]
    fn a_task_with_several_numbers_is_found_in_order_and_with_others() {
        let run = limits::HISTORY_KEY_RUN_KEYS as u64;
        let mut fixture = Fixture::new();
        let mut expected = Vec::new();
        for round in 0..3 {
            // After each start the numbers in runs are not known any more.
            fixture.mention(tasks(0..1));
            expected.push(fixture.events as i64);
            fixture.mention([(Role::Reservation, round)]);
            fixture.mention(tasks(1 + round * run..1 + (round + 1) * run));
            fixture.mention(tasks(0..1));
            expected.push(fixture.events as i64);
            fixture.open_again();
        }
        let numbers = fixture.with_file(|file| find(file, sid_of(0), role_number(Role::Task)));
        assert_eq!(numbers.len(), 3, "{numbers:?}");
        assert_eq!(fixture.found(&[task(0)], HistoryOrder::OldestFirst), expected);
        let worker = Reference { role: Role::Worker, sid: WORKER };
        assert_eq!(fixture.found(&[worker, task(0)], HistoryOrder::OldestFirst), expected);
        expected.reverse();
        assert_eq!(fixture.found(&[task(0)], HistoryOrder::NewestFirst), expected);
        // A reservation with the sid of the task is another thing.
        let reservation = Reference { role: Role::Reservation, sid: sid_of(0) };
        assert_eq!(fixture.found(&[reservation], HistoryOrder::NewestFirst), [2]);
        assert_eq!(fixture.found(&[reservation, task(0)], HistoryOrder::NewestFirst), [] as [i64; 0]);
        assert_eq!(fixture.problems(), [] as [&str; 0]);
    }

    #[test]
    fn numbers_that_are_in_no_run_yet_are_known_after_a_start() {
        let mut fixture = Fixture::new();
        fixture.mention(tasks(0..5));
        fixture.open_again();
        fixture.mention(tasks(0..5));
        // Of the workspace, the worker and the five.
        assert_eq!(fixture.number("SELECT count(*) FROM keys"), 7);
        assert_eq!(fixture.found(&[task(4)], HistoryOrder::OldestFirst), [5, 10]);
    }

    #[test]
    fn a_day_that_is_over_has_all_its_numbers_in_runs() {
        let mut fixture = Fixture::new();
        fixture.mention(tasks(0..5));
        fixture.events = 86_400_000;
        fixture.mention(tasks(5..6));
        assert_eq!(fixture.number("SELECT count(*) FROM key_runs"), 5);
        assert_eq!(fixture.found(&[task(4)], HistoryOrder::OldestFirst), [5]);
        assert_eq!(fixture.problems(), [] as [&str; 0]);
    }

    #[test]
    fn a_file_of_the_first_format_goes_on_as_it_is() {
        let mut fixture = Fixture::new();
        fixture.with_file(|file| {
            file.execute_batch(&format!("PRAGMA application_id = {}; {} {SCHEMA_OF_FORMAT_1}", KIND.mark, KIND.schema))
        });
        fixture.open_again();
        fixture.mention(tasks(0..3));
        fixture.open_again();
        fixture.mention(tasks(0..limits::HISTORY_KEY_RUN_KEYS as u64));
        assert_eq!(fixture.found(&[task(2)], HistoryOrder::OldestFirst), [3, 6]);
        assert_eq!(fixture.number("PRAGMA user_version"), 1);
        assert_eq!(fixture.number("SELECT count(*) FROM keys"), limits::HISTORY_KEY_RUN_KEYS as i64 + 2);
        assert_eq!(fixture.problems(), [] as [&str; 0]);
        // The next day is of the format of today.
        fixture.events = 86_400_000;
        fixture.mention(tasks(2..3));
        assert_eq!(fixture.found(&[task(2)], HistoryOrder::OldestFirst), [3, 6, 86_400_001]);
        let next = Connection::open(fixture.directory.path().join("history/history-1970-01-02.sqlite")).unwrap();
        assert_eq!(format(&next).unwrap(), KIND.format);
    }

    #[test]
    fn a_format_that_was_changed_is_found_at_the_start() {
        let mut fixture = Fixture::new();
        fixture.mention(tasks(0..1));
        fixture.store = None;
        fixture.with_file(|file| file.execute_batch("PRAGMA user_version = 1"));
        let error = SqliteStore::open(fixture.directory.path(), &Options::default()).unwrap_err();
        assert!(format!("{error:?}").contains("its own values"), "{error:?}");
        let mut former = Fixture::new();
        former.with_file(|file| {
            file.execute_batch(&format!("PRAGMA application_id = {}; {} {SCHEMA_OF_FORMAT_1}", KIND.mark, KIND.schema))
        });
        former.open_again();
        former.mention(tasks(0..1));
        former.store = None;
        former.with_file(|file| file.execute_batch("PRAGMA user_version = 2"));
        let error = SqliteStore::open(former.directory.path(), &Options::default()).unwrap_err();
        assert!(format!("{error:?}").contains("its own values"), "{error:?}");
    }

    #[test]
    fn a_stray_number_hides_no_other_damage_of_its_day() {
        let mut fixture = Fixture::new();
        fixture.mention(tasks(0..3));
        let sql =
            "INSERT INTO key_runs VALUES (1, zeroblob(16), 1, 0); UPDATE events SET payload = x'78' WHERE at_ms = 2";
        fixture.with_file(|file| file.execute_batch(sql));
        let problems = fixture.problems();
        assert!(problems.len() == 2 && problems[1].contains("event "), "{problems:?}");
    }

    #[test]
    fn a_number_that_cannot_be_found_any_more_is_damage() {
        for (sql, expected) in [
            ("DELETE FROM key_runs WHERE key = 7", "at key 7: the index by sid does not find it"),
            ("UPDATE key_runs SET run = 9 WHERE key = 7", "at key 7: the index by sid does not find it"),
            ("UPDATE key_runs SET role = 5 WHERE key = 7", "at key 7: the index by sid does not find it"),
            ("INSERT INTO key_runs VALUES (2, zeroblob(16), 1, 7)", "at key 7: the index by sid does not find it"),
            (
                "INSERT INTO key_runs VALUES (1, zeroblob(16), 1, 99999)",
                "at key 99999: it is in an index but not there",
            ),
        ] {
            let mut fixture = Fixture::new();
            fixture.mention(tasks(0..limits::HISTORY_KEY_RUN_KEYS as u64));
            fixture.with_file(|file| file.execute_batch(sql));
            let problems = fixture.problems();
            assert!(problems.len() == 1 && problems[0].ends_with(expected), "{sql}: {problems:?}");
        }
    }

    #[test]
    fn things_that_last_are_found_by_the_index_and_no_others() {
        let mut fixture = Fixture::new();
        let roles = [Role::Task, Role::Worker, Role::TaskQueue, Role::Workflow, Role::Reservation, Role::TaskChannel];
        fixture.mention(roles.map(|role| (role, 0)));
        for role in roles.map(role_number) {
            let found = fixture.with_file(|file| {
                let mut statement = file.prepare(FIND_LASTING)?;
                statement.query_row(params![sid_of(0), role], |row| row.get::<_, i64>(0)).optional()
            });
            assert_eq!(found.is_some(), !passes(role), "role {role}");
        }
        let plan = fixture.with_file(|file| {
            let mut statement = file.prepare(&format!("EXPLAIN QUERY PLAN {FIND_LASTING}"))?;
            statement.query_row(params![WORKER, role_number(Role::Worker)], |row| row.get::<_, String>(3))
        });
        assert!(plan.contains("USING COVERING INDEX keys_by_sid"), "{plan}");
    }
}
