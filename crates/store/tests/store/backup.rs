//! A store in one file, taken while it is used, and back again.

use std::fs;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use pointsman_store::{
    BackupError, HistoryQuery, OpenError, Options, OutboxNumber, Position, Record, SequenceNumber, SqliteStore, Store,
    backup, restore,
};

use crate::samples::{
    ALL, DAY_MS, NOON_MS, Random, append, copy_directory, load, put, record, records, row, save, scratch, sid,
    snapshot, stream,
};

fn quiet(_: &str, _: u64) {}

fn filled(directory: &Path) -> SqliteStore {
    let store = SqliteStore::open(directory, &Options::default()).unwrap();
    let epoch = store.begin_epoch().unwrap();
    append(&store, epoch, &records(1, 1, 30));
    append(&store, epoch, &records(2, 1, 5));
    store.append(epoch, &[], &[put(7, 1, 5)]).unwrap();
    let rows: Vec<_> = (1..=35).map(|number| row(number, 1, number, NOON_MS + number as i64 * DAY_MS / 20)).collect();
    store.project(Position(35), &rows).unwrap();
    save(&store, snapshot(1, 10, 10), &["ten"]);
    save(&store, snapshot(1, 20, 20), &["twenty"]);
    assert_eq!(store.trim().unwrap(), 10);
    store
}

/// Everything that a store answers.
fn content(store: &SqliteStore) -> String {
    let records = store.read_after(Position::ZERO, ALL).unwrap();
    let snapshots: Vec<_> =
        store.snapshots().unwrap().newest.into_iter().map(|found| (found, load(store, found))).collect();
    let events = store.history(&HistoryQuery { limit: 1_000, ..HistoryQuery::all(sid(1)) }).unwrap().events;
    let outbox = store.outbox_read(OutboxNumber(0), 100).unwrap();
    format!("{:?} {records:?} {snapshots:?} {events:?} {outbox:?}", store.streams().unwrap())
}

#[test]
fn a_backup_of_a_store_in_use_restores_to_the_same() {
    let root = scratch();
    let (live, file, restored) = (root.path().join("live"), root.path().join("store.backup"), root.path().join("new"));
    let store = filled(&live);
    let report = backup(&live, &file, &mut quiet).unwrap();
    assert_eq!((report.position, report.streams, report.snapshots), (Position(35), 2, 2));
    assert_eq!(report.damaged, []);
    let mode = std::os::unix::fs::PermissionsExt::mode(&fs::metadata(&file).unwrap().permissions());
    assert_eq!(mode & 0o777, 0o600, "tokens are in it");
    let (found, checked) = restore(&file, &restored, false, &mut quiet).unwrap();
    assert_eq!((found.files, found.bytes, found.position), (report.files, report.bytes, report.position));
    assert_eq!(checked.damage, []);
    let copy = SqliteStore::open(&restored, &Options::default()).unwrap();
    assert_eq!(content(&copy), content(&store));
    assert_eq!(copy.history_position(), Position(35));
    let left: Vec<_> = fs::read_dir(root.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(left.len(), 3, "nothing else is left: {left:?}");
    // The store that was copied goes on.
    let epoch = store.begin_epoch().unwrap();
    append(&store, epoch, &records(2, 6, 7));
}

#[test]
fn every_backup_under_load_is_a_whole_store_of_one_moment() {
    let root = scratch();
    let live = root.path().join("live");
    let store = SqliteStore::open(&live, &Options::default()).unwrap();
    let epoch = store.begin_epoch().unwrap();
    let is_over = AtomicBool::new(false);
    thread::scope(|scope| {
        scope.spawn(|| {
            let mut number = 0;
            while !is_over.load(Ordering::Relaxed) {
                number += 1;
                append(&store, epoch, &[record(1, number), record(2, number)]);
                let new = store.read_after(store.history_position(), ALL).unwrap();
                let day_ms = number as i64 / 50 * DAY_MS;
                let rows: Vec<_> =
                    new.iter().map(|(position, _)| row(position.0, 1, position.0, NOON_MS + day_ms)).collect();
                store.project(new.last().unwrap().0, &rows).unwrap();
                if number % 20 == 0 {
                    for of in [1, 2] {
                        save(&store, snapshot(of, number, 2 * number), &[&number.to_string()]);
                    }
                    store.trim().unwrap();
                }
            }
        });
        for round in 0..8 {
            let (file, restored) = (root.path().join(format!("{round}")), root.path().join(format!("{round}.new")));
            let report = match backup(&live, &file, &mut quiet) {
                Ok(report) => report,
                Err(BackupError::Overtaken { .. }) => continue,
                Err(error) => {
                    is_over.store(true, Ordering::Relaxed);
                    panic!("{error}");
                }
            };
            let restored_store = restore(&file, &restored, false, &mut quiet).map(|(_, checked)| {
                assert_eq!(checked.damage, []);
                SqliteStore::open(&restored, &Options::default()).unwrap()
            });
            if restored_store.is_err() {
                is_over.store(true, Ordering::Relaxed);
            }
            is_whole(&restored_store.unwrap(), report.position);
        }
        is_over.store(true, Ordering::Relaxed);
    });
}

fn is_whole(store: &SqliteStore, position: Position) {
    assert_eq!(store.last_position(), position);
    let snapshots = store.snapshots().unwrap().newest;
    for (stream, last) in store.streams().unwrap() {
        let from = snapshots.iter().find(|found| found.stream == stream).map_or(SequenceNumber::ZERO, |s| s.sequence);
        let tail: Vec<(Position, Record)> = store.read_stream(stream, from, ALL).unwrap();
        assert_eq!(tail.len() as u64, last.0 - from.0);
    }
    let query = HistoryQuery { limit: 10_000, ..HistoryQuery::all(sid(1)) };
    let events = store.history(&query).unwrap().events.len() as u64;
    assert_eq!(events, store.history_position().0.min(10_000), "the history is whole up to where it says");
}

#[test]
fn a_backup_with_any_byte_changed_or_cut_is_refused_and_no_store_opens_on_what_it_leaves() {
    let root = scratch();
    let (live, file) = (root.path().join("live"), root.path().join("store.backup"));
    drop(filled(&live));
    backup(&live, &file, &mut quiet).unwrap();
    let good = fs::read(&file).unwrap();
    let (bad_file, target) = (root.path().join("bad"), root.path().join("target"));
    let mut random = Random(5);
    for round in 0..120 {
        let at = if round < 20 { round } else { random.below(good.len() as u64) as usize };
        let mut bad = good.clone();
        if round % 2 == 0 {
            bad[at] ^= 1 << random.below(8);
        } else {
            bad.truncate(at);
        }
        fs::write(&bad_file, bad).unwrap();
        let error = restore(&bad_file, &target, false, &mut quiet).unwrap_err();
        assert!(error.to_string().contains("bad "), "byte {at}: {error}");
        let left: Vec<_> =
            fs::read_dir(&target).into_iter().flatten().map(|entry| entry.unwrap().file_name()).collect();
        assert!(left.is_empty() || left == ["store.lock"], "byte {at}: {left:?}");
    }
    // Nobody who starts a server all the same begins with nothing; another restoration may.
    let error = SqliteStore::open(&target, &Options::default()).unwrap_err();
    assert!(matches!(error, OpenError::Unfinished { .. }), "{error}");
    restore(&file, &target, false, &mut quiet).unwrap();
    SqliteStore::open(&target, &Options::default()).unwrap();
}

#[test]
fn a_backup_of_parts_that_do_not_belong_together_is_refused_and_names_them() {
    let root = scratch();
    let (live, bad, file) = (root.path().join("live"), root.path().join("bad"), root.path().join("store.backup"));
    let old_journal = root.path().join("old.sqlite");
    let store = SqliteStore::open(&live, &Options::default()).unwrap();
    let epoch = store.begin_epoch().unwrap();
    append(&store, epoch, &records(1, 1, 1));
    drop(store);
    fs::copy(live.join("journal.sqlite"), &old_journal).unwrap();
    fs::remove_dir_all(&live).unwrap();
    drop(filled(&live));
    let refused = |change: &dyn Fn()| {
        let _ = fs::remove_dir_all(&bad);
        copy_directory(&live, &bad);
        change();
        let error = backup(&bad, &file, &mut quiet).unwrap_err();
        assert!(!file.exists());
        error
    };
    let error = refused(&|| assert!(fs::copy(&old_journal, bad.join("journal.sqlite")).unwrap() > 0));
    assert!(
        matches!(error, BackupError::Open(OpenError::Behind { last: Position(1), later: Position(35), .. })),
        "{error}"
    );
    let error = refused(&|| fs::remove_dir_all(bad.join("history")).unwrap());
    assert!(error.to_string().contains("history"), "{error}");
    let error = refused(&|| fs::remove_file(bad.join("history/history-2024-03-05.sqlite")).unwrap());
    assert!(
        error.to_string().contains("history-2024-03-05.sqlite is damaged at its name: the file is missing"),
        "{error}"
    );
    let day = |of: &str| bad.join(format!("history/history-2024-03-{of}.sqlite"));
    let error = refused(&|| assert!(fs::copy(day("05"), day("09")).unwrap() > 0));
    assert!(format!("{error:?}").contains("holds an event of the instant"), "{error:?}");
    let changed = |path: &Path, sql: &str| {
        assert_eq!(rusqlite::Connection::open(path).unwrap().execute(sql, []).unwrap(), 1);
    };
    let error = refused(&|| changed(&day("05"), "UPDATE meta SET value = value + 1 WHERE key = 'rows_position'"));
    assert!(format!("{error:?}").contains("its own values"), "{error:?}");
    let error = refused(&|| changed(&bad.join("journal.sqlite"), "UPDATE meta SET value = 9 WHERE key = 'epoch'"));
    assert!(format!("{error:?}").contains("the values of the store itself"), "{error:?}");
    let error = refused(&|| {
        for entry in fs::read_dir(bad.join("snapshots")).unwrap() {
            fs::remove_file(entry.unwrap().path()).unwrap();
        }
    });
    let text = error.to_string();
    assert!(text.contains("snapshots is damaged at stream"), "{text}");
    assert!(text.ends_with("no snapshot holds what was trimmed from the journal, up to sequence number 10"), "{text}");
}

#[test]
fn a_directory_that_holds_something_is_not_restored_into() {
    let root = scratch();
    let (live, file) = (root.path().join("live"), root.path().join("store.backup"));
    drop(filled(&live));
    backup(&live, &file, &mut quiet).unwrap();
    assert!(matches!(restore(&file, &live, false, &mut quiet), Err(BackupError::NotEmpty { .. })));
    assert!(matches!(backup(&live, &file, &mut quiet), Err(BackupError::Exists { .. })));
}

#[test]
fn a_backup_needs_a_store_and_a_restoration_a_backup() {
    let root = scratch();
    let file = root.path().join("file");
    assert!(matches!(backup(root.path(), &file, &mut quiet), Err(BackupError::NoStore { .. })));
    assert!(!file.exists());
    fs::write(&file, "something else altogether").unwrap();
    assert!(matches!(restore(&file, &root.path().join("new"), false, &mut quiet), Err(BackupError::Foreign { .. })));
    let mut newer = b"PMBACK\x02\x00".to_vec();
    newer.extend(crc32fast::hash(&newer).to_le_bytes());
    fs::write(&file, newer).unwrap();
    let error = restore(&file, &root.path().join("new"), false, &mut quiet).unwrap_err();
    assert!(matches!(error, BackupError::Format { found: 2, known: 1, .. }), "{error}");
}

#[test]
fn a_store_whose_restoration_did_not_end_is_refused() {
    // The second is left when the mark has not got its name yet.
    for name in ["store.lock", "store.tmp"] {
        let directory = scratch();
        fs::write(directory.path().join(name), "pointsman restoration that is not finished\n").unwrap();
        let error = SqliteStore::open(directory.path(), &Options::default()).unwrap_err();
        assert!(matches!(error, OpenError::Unfinished { .. }), "{error}");
    }
}

#[test]
fn a_back_up_of_something_damaged_is_restored_only_by_who_accepts_that() {
    let root = scratch();
    let (live, file, target) = (root.path().join("live"), root.path().join("store.backup"), root.path().join("new"));
    drop(filled(&live));
    let day = rusqlite::Connection::open(live.join("history/history-2024-03-05.sqlite")).unwrap();
    assert!(day.execute("UPDATE events SET kind = kind + 1", []).unwrap() > 0);
    drop(day);
    backup(&live, &file, &mut quiet).unwrap();
    let (_, checked) = restore(&file, &target, false, &mut quiet).unwrap();
    assert!(!checked.damage.is_empty());
    assert!(matches!(SqliteStore::open(&target, &Options::default()), Err(OpenError::Unfinished { .. })));
    let (_, checked) = restore(&file, &target, true, &mut quiet).unwrap();
    assert!(!checked.damage.is_empty());
    SqliteStore::open(&target, &Options::default()).unwrap();
}

#[test]
fn a_damaged_snapshot_stays_out_and_is_told() {
    let root = scratch();
    let (live, file) = (root.path().join("live"), root.path().join("store.backup"));
    drop(filled(&live));
    let newest = live.join("snapshots").join(format!("{}-{:020}.snapshot", stream(1), 20));
    let mut bytes = fs::read(&newest).unwrap();
    *bytes.last_mut().unwrap() ^= 1;
    fs::write(&newest, bytes).unwrap();
    let report = backup(&live, &file, &mut quiet).unwrap();
    assert_eq!((report.snapshots, report.damaged.len()), (1, 1));
    let (_, checked) = restore(&file, &root.path().join("new"), false, &mut quiet).unwrap();
    assert_eq!(checked.damage, []);
}

#[test]
fn a_backup_without_the_snapshot_that_is_needed_is_refused() {
    let root = scratch();
    let (live, file) = (root.path().join("live"), root.path().join("store.backup"));
    drop(filled(&live));
    for path in fs::read_dir(live.join("snapshots")).unwrap() {
        let path = path.unwrap().path();
        let mut bytes = fs::read(&path).unwrap();
        *bytes.last_mut().unwrap() ^= 1;
        fs::write(&path, bytes).unwrap();
    }
    assert!(matches!(backup(&live, &file, &mut quiet), Err(BackupError::Damaged(_))));
    assert!(!file.exists());
}
