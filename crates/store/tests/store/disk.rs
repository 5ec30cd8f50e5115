//! The store in its directory.

use std::fs;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use pointsman_store::{
    Epoch, HistoryOrder, HistoryQuery, OpenError, Options, OutboxNumber, Position, ReadError, Record, Retention, Role,
    SequenceNumber, SqliteStore, Store, limits,
};

use crate::samples::{
    ALL, DAY_MS, NOON_MS, append, copy_directory, load, mention, put, record, records, row, save, scratch, sid,
    snapshot, stream,
};

fn open(directory: &Path) -> SqliteStore {
    SqliteStore::open(directory, &Options::default()).unwrap()
}

fn history_files(directory: &Path) -> Vec<String> {
    let entries = fs::read_dir(directory.join("history")).unwrap();
    let mut names: Vec<String> = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.retain(|name| name.ends_with(".sqlite"));
    names.sort();
    names
}

#[test]
fn everything_is_there_after_reopening() {
    let directory = scratch();
    let epoch = {
        let store = open(directory.path());
        let epoch = store.begin_epoch().unwrap();
        append(&store, epoch, &records(1, 1, 5));
        store.append(epoch, &records(2, 1, 2), &[put(1, 1, 5)]).unwrap();
        save(&store, snapshot(1, 3, 3), &["three"]);
        save(&store, snapshot(1, 4, 4), &["four"]);
        store.project(Position(6), &[row(1, 1, 1, NOON_MS), row(6, 1, 6, NOON_MS + DAY_MS)]).unwrap();
        store.meta_put("clock", b"now").unwrap();
        assert_eq!(store.trim().unwrap(), 3);
        epoch
    };
    let store = open(directory.path());
    assert_eq!(store.directory(), directory.path());
    assert_eq!(store.last_position(), Position(7));
    assert_eq!(store.streams().unwrap(), [(stream(1), SequenceNumber(5)), (stream(2), SequenceNumber(2))]);
    assert_eq!(store.read_after(Position::ZERO, ALL).unwrap().len(), 4);
    assert_eq!(store.snapshots().unwrap().newest, [snapshot(1, 4, 4)]);
    assert_eq!(load(&store, snapshot(1, 3, 3)), ["three"]);
    assert_eq!(store.history_position(), Position(6));
    assert_eq!(store.history(&HistoryQuery::all(sid(1))).unwrap().events.len(), 2);
    assert_eq!(store.outbox_read(OutboxNumber(0), 9).unwrap().len(), 1);
    assert_eq!(store.meta("clock").unwrap().as_deref(), Some(&b"now"[..]));
    assert_eq!(append(&store, epoch, &[record(1, 6)]), Position(8), "the epoch is kept");
    assert_eq!(store.begin_epoch().unwrap(), Epoch(epoch.0 + 1));
}

#[test]
fn a_trimmed_journal_goes_on_after_reopening() {
    let directory = scratch();
    {
        let store = open(directory.path());
        let epoch = store.begin_epoch().unwrap();
        append(&store, epoch, &records(1, 1, 5));
        save(&store, snapshot(1, 5, 5), &["five"]);
        append(&store, epoch, &[]);
        store.project(Position(5), &[]).unwrap();
        // Two snapshots of the same state would be one; an empty turn makes the second.
        append(&store, epoch, &[record(1, 6)]);
        save(&store, snapshot(1, 6, 6), &["six"]);
        assert_eq!(store.trim().unwrap(), 5);
    }
    {
        let store = open(directory.path());
        assert_eq!(store.history_position(), Position(5), "known although no event was ever projected");
        let epoch = store.begin_epoch().unwrap();
        append(&store, epoch, &[record(1, 7)]);
        save(&store, snapshot(1, 7, 7), &["seven"]);
        store.project(Position(7), &[]).unwrap();
        assert_eq!(store.trim().unwrap(), 1);
        store.delete_stream(stream(1)).unwrap();
    }
    let store = open(directory.path());
    let epoch = store.begin_epoch().unwrap();
    assert_eq!(append(&store, epoch, &[record(1, 1)]), Position(8));
}

#[test]
fn a_directory_is_used_by_one_at_a_time() {
    let directory = scratch();
    let store = open(directory.path());
    let error = SqliteStore::open(directory.path(), &Options::default()).unwrap_err();
    assert!(matches!(error, OpenError::InUse { .. }));
    let expected = format!("the data directory {} is in use by another process", directory.path().display());
    assert_eq!(error.to_string(), expected);
    drop(store);
    open(directory.path());
}

#[test]
fn a_directory_that_cannot_be_made_is_named() {
    let directory = scratch();
    let path = directory.path().join("file");
    fs::write(&path, "in the way").unwrap();
    let error = SqliteStore::open(&path.join("data"), &Options::default()).unwrap_err();
    assert!(error.to_string().contains(&*path.to_string_lossy()), "{error}");
}

#[test]
fn a_deletion_that_was_cut_short_is_finished() {
    let directory = scratch();
    {
        let store = open(directory.path());
        let epoch = store.begin_epoch().unwrap();
        append(&store, epoch, &records(1, 1, 5));
        append(&store, epoch, &records(2, 1, 5));
        save(&store, snapshot(1, 3, 3), &["three"]);
    }
    let journal = rusqlite::Connection::open(directory.path().join("journal.sqlite")).unwrap();
    let row = [&1_i64.to_le_bytes()[..], &stream(1).0, &0_i64.to_le_bytes(), &1_i64.to_le_bytes()].concat();
    let update = "UPDATE streams SET deleting = 1, checksum = ?2 WHERE stream = ?1";
    journal.execute(update, rusqlite::params![stream(1).0, crc32fast::hash(&row)]).unwrap();
    journal.execute("DELETE FROM records WHERE position <= 2", []).unwrap();
    drop(journal);
    let store = open(directory.path());
    assert_eq!(store.streams().unwrap(), [(stream(2), SequenceNumber(5))]);
    assert_eq!(store.read_after(Position::ZERO, ALL).unwrap().len(), 5);
    assert!(store.snapshots().unwrap().newest.is_empty());
}

/// A store of which `count` records of the first stream are to be trimmed.
fn to_be_trimmed(directory: &Path, trim_pause: Duration, count: u64) -> (SqliteStore, Epoch) {
    let store = SqliteStore::open(directory, &Options { trim_pause, ..Options::default() }).unwrap();
    let epoch = store.begin_epoch().unwrap();
    append(&store, epoch, &records(1, 1, count / 2));
    append(&store, epoch, &records(1, count / 2 + 1, count));
    save(&store, snapshot(1, count, count), &["older"]);
    append(&store, epoch, &records(1, count + 1, count + 1));
    save(&store, snapshot(1, count + 1, count + 1), &["newer"]);
    store.project(Position(count + 1), &[]).unwrap();
    (store, epoch)
}

/// Where the first stream begins.
fn trimmed_up_to(store: &SqliteStore) -> u64 {
    match store.read_stream(stream(1), SequenceNumber::ZERO, ALL) {
        Err(ReadError::Trimmed { first_after, .. }) => first_after.0,
        other => other.map(|_| 0).unwrap(),
    }
}

#[test]
fn appends_take_a_trim_with_them() {
    let directory = scratch();
    let appends = 100;
    let slice = limits::TRIM_SLICE_RECORDS as u64;
    let count = slice + appends * limits::TRIM_CARRIED_RECORDS as u64;
    let (store, epoch) = to_be_trimmed(directory.path(), Duration::from_millis(500), count);
    thread::scope(|scope| {
        let trimming = scope.spawn(|| store.trim().unwrap());
        while trimmed_up_to(&store) < slice {
            thread::yield_now();
        }
        for number in 1..=appends {
            append(&store, epoch, &records(2, number, number));
        }
        assert_eq!(trimmed_up_to(&store), count);
        assert_eq!(trimming.join().unwrap(), count);
    });
    drop(store);
    let store = open(directory.path());
    assert_eq!(trimmed_up_to(&store), count);
    assert_eq!(store.last_position(), Position(count + 1 + appends));
}

#[test]
fn a_large_append_takes_twice_its_records_with_it() {
    let directory = scratch();
    let slice = limits::TRIM_SLICE_RECORDS as u64;
    let (store, epoch) = to_be_trimmed(directory.path(), Duration::from_millis(500), slice + 2_000);
    thread::scope(|scope| {
        let trimming = scope.spawn(|| store.trim().unwrap());
        while trimmed_up_to(&store) < slice {
            thread::yield_now();
        }
        append(&store, epoch, &records(2, 1, 1_000));
        assert_eq!(trimmed_up_to(&store), slice + 2_000);
        // The next one finds nothing more, and the trim ends.
        append(&store, epoch, &records(2, 1_001, 1_001));
        assert_eq!(trimming.join().unwrap(), slice + 2_000);
    });
}

#[test]
fn a_trim_that_fails_is_no_failure_of_the_appends() {
    let directory = scratch();
    let slice = limits::TRIM_SLICE_RECORDS as u64;
    let (store, epoch) = to_be_trimmed(directory.path(), Duration::from_millis(500), 3 * slice);
    thread::scope(|scope| {
        let trimming = scope.spawn(|| store.trim());
        while trimmed_up_to(&store) < slice {
            thread::yield_now();
        }
        let journal = rusqlite::Connection::open(directory.path().join("journal.sqlite")).unwrap();
        let refuse = "CREATE TRIGGER t BEFORE DELETE ON records BEGIN SELECT raise(ABORT, 'refused'); END";
        journal.execute_batch(refuse).unwrap();
        append(&store, epoch, &records(2, 1, 9));
        let error = trimming.join().unwrap().unwrap_err();
        assert!(error.to_string().starts_with("failed to trim the journal"), "{error}");
        journal.execute_batch("DROP TRIGGER t").unwrap();
    });
    assert_eq!(trimmed_up_to(&store), slice, "the append took nothing with it");
    assert!(store.streams().unwrap().contains(&(stream(2), SequenceNumber(9))));
    assert_eq!(store.trim().unwrap(), 2 * slice);
}

#[test]
fn appends_go_on_between_the_pieces_of_a_trim() {
    let directory = scratch();
    let pieces = 100;
    let count = (pieces * limits::TRIM_SLICE_RECORDS) as u64;
    let (store, epoch) = to_be_trimmed(directory.path(), Duration::ZERO, count);
    let is_trimmed = AtomicBool::new(false);
    let appended = thread::scope(|scope| {
        let appending = scope.spawn(|| {
            let mut appended = 0;
            while !is_trimmed.load(Ordering::Acquire) {
                appended += 1;
                append(&store, epoch, &records(2, appended, appended));
            }
            appended
        });
        assert_eq!(store.trim().unwrap(), count);
        is_trimmed.store(true, Ordering::Release);
        appending.join().unwrap()
    });
    assert!(pieces as u64 / 2 <= appended, "{appended} appends beside {pieces} pieces");
}

#[test]
fn more_than_a_slice_is_trimmed_and_deleted() {
    let directory = scratch();
    let store = open(directory.path());
    let epoch = store.begin_epoch().unwrap();
    let count = 2 * limits::TRIM_SLICE_RECORDS as u64;
    append(&store, epoch, &records(1, 1, count));
    append(&store, epoch, &[record(1, count + 1), record(1, count + 2)]);
    save(&store, snapshot(1, count + 1, count + 1), &["a"]);
    save(&store, snapshot(1, count + 2, count + 2), &["b"]);
    store.project(Position(count + 2), &[]).unwrap();
    assert_eq!(store.trim().unwrap(), count + 1);
    append(&store, epoch, &records(2, 1, count));
    store.delete_stream(stream(2)).unwrap();
    assert_eq!(store.read_after(Position::ZERO, ALL).unwrap().len(), 1);
}

#[test]
fn events_lie_in_the_file_of_their_utc_day() {
    let directory = scratch();
    let midnight = NOON_MS + DAY_MS / 2;
    let store =
        SqliteStore::open(directory.path(), &Options { history_days_open_max: 1, ..Options::default() }).unwrap();
    let epoch = store.begin_epoch().unwrap();
    append(&store, epoch, &records(1, 1, 9));
    let instants = [midnight - 1, midnight, midnight + DAY_MS - 1, midnight + DAY_MS, midnight + 30 * DAY_MS];
    let rows: Vec<_> = instants.iter().zip(1..).map(|(&at_ms, number)| row(number, 1, number, at_ms)).collect();
    store.project(Position(5), &rows).unwrap();
    let files = [
        "history-2024-03-05.sqlite",
        "history-2024-03-06.sqlite",
        "history-2024-03-07.sqlite",
        "history-2024-04-05.sqlite",
    ];
    assert_eq!(history_files(directory.path()), files);
    let seen = |query: HistoryQuery| {
        let page = store.history(&HistoryQuery { order: HistoryOrder::OldestFirst, ..query }).unwrap();
        page.events.iter().map(|event| event.key.at_ms).collect::<Vec<_>>()
    };
    assert_eq!(seen(HistoryQuery::all(sid(1))), instants);
    let from = HistoryQuery { from_ms: midnight, to_ms: midnight + DAY_MS, ..HistoryQuery::all(sid(1)) };
    assert_eq!(seen(from), instants[1..4]);
    assert_eq!(store.retain(&Retention::all(midnight + DAY_MS)).unwrap().days, 2);
    assert_eq!(history_files(directory.path()), files[2..]);
    assert_eq!(seen(HistoryQuery::all(sid(1))), instants[3 - 1 + 1..]);
}

#[test]
fn a_floor_of_retention_outlives_the_process() {
    let directory = scratch();
    {
        let store = open(directory.path());
        let epoch = store.begin_epoch().unwrap();
        append(&store, epoch, &records(1, 1, 9));
        store.project(Position(2), &[row(1, 1, 1, NOON_MS), row(2, 1, 2, NOON_MS)]).unwrap();
        assert_eq!(store.retain(&Retention::all(NOON_MS + DAY_MS)).unwrap().days, 1);
        assert_eq!(history_files(directory.path()), Vec::<String>::new());
    }
    let store = open(directory.path());
    assert_eq!(store.history_position(), Position(2), "kept although its file is gone");
    store.project(Position(4), &[row(3, 1, 3, NOON_MS), row(4, 1, 4, NOON_MS + DAY_MS)]).unwrap();
    assert_eq!(history_files(directory.path()), ["history-2024-03-06.sqlite"]);
}

#[test]
fn a_history_that_has_fallen_back_gets_every_row_once() {
    let root = scratch();
    let (live, old, crashed) = (root.path().join("live"), root.path().join("old"), root.path().join("crashed"));
    let midnight = NOON_MS + DAY_MS / 2;
    // Two days that take turns, as the clocks of two workspaces may have it around midnight.
    let rows: Vec<_> = (1..=40)
        .map(|number| row(number, 1 + number % 2, number, midnight - 20 + (number % 2 * 20 + number / 2) as i64))
        .collect();
    let store = open(&live);
    let epoch = store.begin_epoch().unwrap();
    append(&store, epoch, &records(1, 1, 40));
    store.project(Position(10), &rows[..10]).unwrap();
    copy_directory(&live, &old);
    store.project(Position(40), &rows[10..]).unwrap();
    drop(store);
    // The file written last falls back to what it was; the other one was synchronized before and keeps its rows.
    let newest = "history/history-2024-03-06.sqlite";
    copy_directory(&live, &crashed);
    for suffix in ["", "-wal"] {
        fs::copy(old.join(format!("{newest}{suffix}")), crashed.join(format!("{newest}{suffix}"))).unwrap();
    }
    let store = open(&crashed);
    assert_eq!(store.history_position(), Position(10));
    for part in rows.chunks(7) {
        store.project(part.last().unwrap().position, part).unwrap();
    }
    for workspace in [1, 2] {
        let page = store.history(&HistoryQuery { limit: 100, ..HistoryQuery::all(sid(workspace)) }).unwrap();
        let mut found: Vec<u64> = page
            .events
            .iter()
            .map(|event| str::from_utf8(&event.payload).unwrap().strip_prefix("event ").unwrap().parse().unwrap())
            .collect();
        found.reverse();
        let expected: Vec<u64> = (1..=40).filter(|number| 1 + number % 2 == workspace).collect();
        assert_eq!(found, expected);
    }
}

#[test]
fn an_event_is_found_by_sid_in_every_run_of_the_index() {
    let directory = scratch();
    let count = 2 * limits::HISTORY_SID_RUN_EVENTS as u64 + 10;
    let find = |store: &SqliteStore, number: u64| store.history_event(sid(1), sid(1_000_000 + number)).unwrap();
    let numbers = [1, count / 3, count / 2, count - 11, count - 5, count];
    {
        let store = open(directory.path());
        let epoch = store.begin_epoch().unwrap();
        for sequences in (1..=count).collect::<Vec<_>>().chunks(4_096) {
            append(&store, epoch, &records(1, sequences[0], *sequences.last().unwrap()));
            let rows: Vec<_> =
                sequences.iter().map(|&number| row(number, 1, number, NOON_MS + number as i64)).collect();
            store.project(Position(*sequences.last().unwrap()), &rows).unwrap();
        }
        for number in numbers {
            assert_eq!(find(&store, number).unwrap().key.at_ms, NOON_MS + number as i64);
        }
        assert_eq!(find(&store, count + 1), None);
    }
    let store = open(directory.path());
    append(&store, store.begin_epoch().unwrap(), &records(2, 1, 10));
    let rows: Vec<_> = (count + 1..=count + 10)
        .map(|number| row(number, 1, number, NOON_MS + (number - count) as i64 * DAY_MS / 8))
        .collect();
    store.project(Position(count + 10), &rows).unwrap();
    for number in numbers.into_iter().chain([count + 1, count + 10]) {
        assert!(find(&store, number).is_some(), "{number}");
    }
}

#[test]
fn a_full_millisecond_runs_over_into_the_next_and_is_still_found_by_its_instant() {
    let directory = scratch();
    let store = open(directory.path());
    let epoch = store.begin_epoch().unwrap();
    append(&store, epoch, &records(1, 1, 4));
    store.project(Position(1), &[row(1, 1, 1, NOON_MS)]).unwrap();
    drop(store);
    // A million events are too slow to make here: the last one of the millisecond is moved to its end.
    let day = directory.path().join("history/history-2024-03-05.sqlite");
    let connection = rusqlite::Connection::open(day).unwrap();
    let end = ((NOON_MS + 1) << limits::HISTORY_COUNTER_BITS) - 1;
    connection
        .execute_batch(&format!(
            "UPDATE events SET id = {end}; UPDATE mentions SET event = {end};
             DELETE FROM events WHERE id = 0;"
        ))
        .unwrap();
    drop(connection);
    let store = open(directory.path());
    let rows = [row(2, 1, 2, NOON_MS), row(3, 1, 3, NOON_MS), row(4, 1, 4, NOON_MS + 1)];
    store.project(Position(4), &rows).unwrap();
    let count = |from_ms, to_ms| {
        let references = vec![mention(Role::Worker, 100)];
        let query = HistoryQuery { from_ms, to_ms, references, ..HistoryQuery::all(sid(1)) };
        let page = store.history(&query).unwrap();
        page.events.iter().map(|event| event.key.at_ms - NOON_MS).collect::<Vec<_>>()
    };
    assert_eq!(count(NOON_MS, NOON_MS), [0], "events 2 and 4 are the worker's");
    assert_eq!(count(NOON_MS + 1, NOON_MS + 1), [1]);
    assert_eq!(count(NOON_MS, NOON_MS + 1), [1, 0]);
}

#[test]
fn the_write_ahead_log_starts_over_under_load() {
    let directory = scratch();
    let options = Options { checkpoint_bytes: 256 << 10, wal_bytes_max: 1 << 20, ..Options::default() };
    let store = SqliteStore::open(directory.path(), &options).unwrap();
    let epoch = store.begin_epoch().unwrap();
    // Without pauses the log would only grow: what shows that it started over is that it is smaller than its input.
    let wal_bytes = || fs::metadata(directory.path().join("journal.sqlite-wal")).unwrap().len();
    let started_over = (1..=20_000).any(|sequence| {
        append(&store, epoch, &[Record { payload: vec![7; 64 << 10], ..record(1, sequence) }]);
        sequence * (64 << 10) > 2 * wal_bytes()
    });
    assert!(started_over, "the log has {} bytes", wal_bytes());
}
