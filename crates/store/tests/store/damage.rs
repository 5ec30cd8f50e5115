//! Files that are not as they were written: found, named, never passed off as good.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use pointsman_store::{
    HistoryQuery, OpenError, Options, OutboxNumber, Position, ReadError, ReadLimit, Record, Retention, SequenceNumber,
    SqliteStore, Store,
};

use crate::samples::{
    ALL, DAY_MS, NOON_MS, Random, append, copy_directory, load, put, record, records, row, save, scratch, sid,
    snapshot, stream,
};

const DAY_FILE: &str = "history/history-2024-03-05.sqlite";

/// A store with something of everything.
fn sample(directory: &Path) {
    let store = SqliteStore::open(directory, &Options::default()).unwrap();
    let epoch = store.begin_epoch().unwrap();
    for sequence in 1..=40 {
        append(&store, epoch, &[record(1, sequence), record(2, sequence)]);
    }
    let deliveries: Vec<_> = (1..=10).map(|number| put(number, 1, 5)).collect();
    store.append(epoch, &[], &deliveries).unwrap();
    save(&store, snapshot(1, 10, 19), &["state", "after", "ten"]);
    save(&store, snapshot(1, 20, 39), &["state", "after", "twenty"]);
    let rows: Vec<_> = (1..=80).map(|number| row(number, 1, number, NOON_MS + number as i64)).collect();
    store.project(Position(80), &rows).unwrap();
}

/// Everything that can be read, or why not. A damaged store must not give any other answer than these two.
fn read_all(directory: &Path) -> Result<Vec<String>, String> {
    fn text(error: &dyn std::error::Error) -> String {
        let cause = error.source().map(text);
        cause.map_or_else(|| error.to_string(), |cause| format!("{error}: {cause}"))
    }
    let store = SqliteStore::open(directory, &Options::default()).map_err(|error| text(&error))?;
    let failed = |error: ReadError| text(&error);
    let report = store.check().map_err(failed)?;
    if let Some(damage) = report.damage.first() {
        return Err(damage.to_string());
    }
    let mut lines = Vec::new();
    for (position, record) in store.read_after(Position::ZERO, ALL).map_err(failed)? {
        lines.push(format!("{position} {record:?}"));
    }
    for snapshot in store.snapshots().map_err(failed)?.newest {
        for chunk in store.read_snapshot(snapshot).map_err(failed)? {
            lines.push(format!("{snapshot:?} {:?}", chunk.map_err(failed)?));
        }
    }
    for delivery in store.outbox_read(OutboxNumber(0), 100).map_err(failed)? {
        lines.push(format!("{:?}", delivery.entry.payload));
    }
    let page = store.history(&HistoryQuery { limit: 1_000, ..HistoryQuery::all(sid(1)) }).map_err(failed)?;
    lines.extend(page.events.iter().map(|event| format!("{event:?}")));
    Ok(lines)
}

fn flip(path: &Path, at: usize, mask: u8) {
    let mut bytes = fs::read(path).unwrap();
    bytes[at] ^= mask;
    fs::write(path, bytes).unwrap();
}

fn truncate(path: &Path, length: u64) {
    fs::OpenOptions::new().write(true).open(path).unwrap().set_len(length).unwrap();
}

/// Flips a bit in the last byte of a text, wherever it stands: free space may hold copies.
fn flip_text(path: &Path, text: &str) {
    let mut bytes = fs::read(path).unwrap();
    let places = 0..=bytes.len() - text.len();
    let found: Vec<usize> = places.filter(|&at| bytes[at..].starts_with(text.as_bytes())).collect();
    assert!(!found.is_empty());
    for at in found {
        bytes[at + text.len() - 1] ^= 1;
    }
    fs::write(path, bytes).unwrap();
}

fn open_error(directory: &Path) -> OpenError {
    SqliteStore::open(directory, &Options::default()).unwrap_err()
}

#[test]
fn a_flipped_bit_in_a_record_is_found_when_it_is_read() {
    let directory = scratch();
    sample(directory.path());
    let journal = directory.path().join("journal.sqlite");
    flip_text(&journal, "record 17 of stream 2");
    let store = SqliteStore::open(directory.path(), &Options::default()).unwrap();
    let error = store.read_stream(stream(2), SequenceNumber(10), ALL).unwrap_err();
    let text = error.to_string();
    assert!(
        text.starts_with(&format!("{} is damaged at position 34: it has checksum 0x", journal.display())),
        "{text}"
    );
    assert_eq!(store.read_stream(stream(1), SequenceNumber::ZERO, ALL).unwrap().len(), 40);
    let before = ReadLimit { records: 33, bytes: usize::MAX };
    assert_eq!(store.read_after(Position::ZERO, before).unwrap().len(), 33);
    let report = store.check().unwrap();
    assert_eq!(report.damage.len(), 1);
    assert_eq!(report.damage[0].to_string(), text);
    assert_eq!(report.records, 80);
}

#[test]
fn a_flipped_bit_in_an_event_or_a_delivery_is_found_when_it_is_read() {
    let directory = scratch();
    sample(directory.path());
    let (journal, day) = (directory.path().join("journal.sqlite"), directory.path().join(DAY_FILE));
    flip_text(&journal, "delivery 7");
    flip_text(&day, "event 50");
    let store = SqliteStore::open(directory.path(), &Options::default()).unwrap();
    let text = store.outbox_read(OutboxNumber(0), 100).unwrap_err().to_string();
    assert!(text.starts_with(&format!("{} is damaged at delivery 7: it has checksum", journal.display())), "{text}");
    let text = store.history_event(sid(1), sid(1_000_050)).unwrap_err().to_string();
    assert!(text.starts_with(&format!("{} is damaged at event ", day.display())), "{text}");
    assert_eq!(store.check().unwrap().damage.len(), 2);
}

#[test]
fn no_flipped_byte_gives_a_wrong_answer() {
    let root = scratch();
    let (good, bad) = (root.path().join("good"), root.path().join("bad"));
    sample(&good);
    let expected = read_all(&good).unwrap();
    let files = snapshot_files(&good).into_iter().map(|path| path.strip_prefix(&good).unwrap().to_path_buf());
    let files: Vec<PathBuf> = files.chain(["journal.sqlite".into(), DAY_FILE.into(), "store.lock".into()]).collect();
    let mut random = Random(7);
    let mut found = 0;
    for file in files {
        let length = fs::metadata(good.join(&file)).unwrap().len();
        for _ in 0..60 {
            let (at, mask) = (random.below(length), 1 << random.below(8));
            let _ = fs::remove_dir_all(&bad);
            copy_directory(&good, &bad);
            flip(&bad.join(&file), at as usize, mask);
            match read_all(&bad) {
                Ok(answer) => assert!(answer == expected, "byte {at} of {}, mask {mask:#x}", file.display()),
                Err(_) => found += 1,
            }
        }
    }
    assert!(found > 100, "only {found} flips were noticed");
}

#[test]
fn no_cut_gives_a_wrong_answer() {
    let root = scratch();
    let (good, bad) = (root.path().join("good"), root.path().join("bad"));
    sample(&good);
    let mut random = Random(11);
    for file in ["journal.sqlite", DAY_FILE] {
        let length = fs::metadata(good.join(file)).unwrap().len();
        for round in 0..40 {
            let cut = if round == 0 { 0 } else { random.below(length) };
            let _ = fs::remove_dir_all(&bad);
            copy_directory(&good, &bad);
            truncate(&bad.join(file), cut);
            assert!(read_all(&bad).is_err(), "{file} was cut to {cut} of {length} bytes");
        }
    }
}

#[test]
fn a_journal_that_is_gone_is_missed() {
    let directory = scratch();
    sample(directory.path());
    let journal = directory.path().join("journal.sqlite");
    truncate(&journal, 0);
    assert!(matches!(open_error(directory.path()), OpenError::Missing { path } if path == journal));
    fs::remove_file(&journal).unwrap();
    assert!(matches!(open_error(directory.path()), OpenError::Missing { path } if path == journal));
}

#[test]
fn a_journal_older_than_its_history_is_refused() {
    let root = scratch();
    let (now, old) = (root.path().join("now"), root.path().join("old"));
    let store = SqliteStore::open(&now, &Options::default()).unwrap();
    let epoch = store.begin_epoch().unwrap();
    append(&store, epoch, &records(1, 1, 3));
    drop(store);
    copy_directory(&now, &old);
    let store = SqliteStore::open(&now, &Options::default()).unwrap();
    append(&store, epoch, &records(1, 4, 6));
    store.project(Position(5), &[row(5, 1, 1, NOON_MS)]).unwrap();
    drop(store);
    fs::copy(old.join("journal.sqlite"), now.join("journal.sqlite")).unwrap();
    let error = open_error(&now);
    assert!(matches!(error, OpenError::Behind { last: Position(3), later: Position(5), .. }), "{error}");
    assert!(error.to_string().contains(DAY_FILE), "{error}");
}

/// Where the damage is, and what, in the words of the error.
fn open_damage(directory: &Path) -> String {
    match open_error(directory) {
        OpenError::Read(ReadError::Damaged(damage)) => damage.to_string(),
        other => panic!("{other}"),
    }
}

/// Two days with two rows each, not trimmed; `between` is called when the first has one row.
fn two_days(directory: &Path, between: impl Fn()) {
    let store = SqliteStore::open(directory, &Options::default()).unwrap();
    let epoch = store.begin_epoch().unwrap();
    append(&store, epoch, &records(1, 1, 4));
    store.project(Position(1), &[row(1, 1, 1, NOON_MS)]).unwrap();
    store.trim().unwrap();
    between();
    store.project(Position(2), &[row(2, 1, 2, NOON_MS + 1)]).unwrap();
    store.project(Position(3), &[row(3, 1, 3, NOON_MS + DAY_MS)]).unwrap();
    store.project(Position(4), &[row(4, 1, 4, NOON_MS + DAY_MS + 1)]).unwrap();
}

#[test]
fn a_day_of_the_history_that_is_gone_is_missed_even_if_nothing_was_trimmed() {
    let root = scratch();
    let (good, bad) = (root.path().join("good"), root.path().join("bad"));
    two_days(&good, || {});
    for day in [DAY_FILE, "history/history-2024-03-06.sqlite"] {
        for is_empty in [false, true] {
            let _ = fs::remove_dir_all(&bad);
            copy_directory(&good, &bad);
            if is_empty {
                truncate(&bad.join(day), 0);
            } else {
                fs::remove_file(bad.join(day)).unwrap();
            }
            let text = open_damage(&bad);
            let path = bad.join(day);
            assert!(text.starts_with(&format!("{} is damaged at its name: the file is missing or", path.display())));
        }
    }
    fs::remove_dir_all(bad.join("history")).unwrap();
    let text = open_damage(&bad);
    assert!(text.contains("history-2024-03-05.sqlite is damaged at its name"), "{text}");
    assert!(text.contains("so are 1 more: 2024-03-06; restore a back-up, or give the day up"), "{text}");
}

#[test]
fn a_day_that_the_journal_does_not_know_is_noted_at_the_next_start() {
    let directory = scratch();
    two_days(directory.path(), || {});
    let journal = rusqlite::Connection::open(directory.path().join("journal.sqlite")).unwrap();
    assert_eq!(journal.execute("DELETE FROM history_days", []).unwrap(), 2);
    drop(journal);
    drop(SqliteStore::open(directory.path(), &Options::default()).unwrap());
    fs::remove_file(directory.path().join(DAY_FILE)).unwrap();
    assert!(open_damage(directory.path()).contains("the file is missing or empty"));
}

/// Of a projection that is behind by more than is kept.
#[test]
fn a_day_is_not_made_again_while_it_is_dropped() {
    const DAYS: u64 = 400;
    let directory = scratch();
    let store = SqliteStore::open(directory.path(), &Options::default()).unwrap();
    let epoch = store.begin_epoch().unwrap();
    append(&store, epoch, &records(1, 1, DAYS));
    let reached = AtomicU64::new(0);
    let journal = rusqlite::Connection::open(directory.path().join("journal.sqlite")).unwrap();
    std::thread::scope(|scope| {
        scope.spawn(|| {
            for number in 1..=DAYS {
                reached.store(number, Ordering::Release);
                let at_ms = NOON_MS + number as i64 * DAY_MS;
                store.project(Position(number), &[row(number, 1, number, at_ms)]).unwrap();
            }
        });
        while store.history_position() < Position(DAYS) {
            let next_day = reached.load(Ordering::Acquire) as i64 + 2;
            store.retain(&Retention::all(NOON_MS + next_day * DAY_MS)).unwrap();
            let noted: i64 = journal.query_row("SELECT count(*) FROM history_days", [], |row| row.get(0)).unwrap();
            let files = fs::read_dir(directory.path().join("history")).unwrap();
            let days = files.filter(|file| file.as_ref().unwrap().path().extension().unwrap() == "sqlite").count();
            assert!(noted <= days as i64, "{noted} days are noted, {days} are there");
        }
    });
}

#[test]
fn a_day_of_the_history_put_back_from_an_older_copy_is_refused() {
    let root = scratch();
    let (now, old) = (root.path().join("now"), root.path().join("old"));
    two_days(&now, || copy_directory(&now, &old));
    for suffix in ["", "-wal"] {
        fs::copy(old.join(format!("{DAY_FILE}{suffix}")), now.join(format!("{DAY_FILE}{suffix}"))).unwrap();
    }
    let text = open_damage(&now);
    assert!(text.contains("it ends at position 1, but the journal knows that it went up to 2"), "{text}");
}

#[test]
fn days_of_the_history_with_each_others_names_are_refused() {
    let directory = scratch();
    two_days(directory.path(), || {});
    let (first, second) = (directory.path().join(DAY_FILE), directory.path().join("history/history-2024-03-06.sqlite"));
    let aside = directory.path().join("aside");
    for (from, to) in [(&first, &aside), (&second, &first), (&aside, &second)] {
        fs::rename(from, to).unwrap();
    }
    let text = open_damage(directory.path());
    assert!(text.starts_with(&format!("{} is damaged at its name: it holds an event of", first.display())), "{text}");
}

#[test]
fn a_note_of_a_day_that_was_changed_is_found_at_the_start() {
    let directory = scratch();
    two_days(directory.path(), || {});
    let journal = rusqlite::Connection::open(directory.path().join("journal.sqlite")).unwrap();
    assert_eq!(journal.execute("UPDATE history_days SET rows_position = 0 WHERE rows_position = 2", []).unwrap(), 1);
    drop(journal);
    assert!(open_damage(directory.path()).contains("is damaged at the note of day 19787 of the history"));
}

#[test]
fn a_day_that_was_dropped_because_nobody_keeps_it_is_not_missed() {
    for of_all in [true, false] {
        let directory = scratch();
        two_days(directory.path(), || {});
        let store = SqliteStore::open(directory.path(), &Options::default()).unwrap();
        let until_ms = NOON_MS + DAY_MS / 2;
        let retention = if of_all {
            Retention::all(until_ms)
        } else {
            Retention { from_ms: 0, from_ms_of: [(sid(1), until_ms)].into() }
        };
        assert_eq!(store.retain(&retention).unwrap().days, 1);
        drop(store);
        assert!(!directory.path().join(DAY_FILE).exists());
        let store = SqliteStore::open(directory.path(), &Options::default()).unwrap();
        assert_eq!(store.history(&HistoryQuery::all(sid(1))).unwrap().events.len(), 2);
    }
}

#[test]
fn a_store_opens_again_without_the_days_that_are_given_up() {
    let directory = scratch();
    two_days(directory.path(), || {});
    let (lost, damaged) = ("2024-03-05".parse().unwrap(), "2024-03-06".parse().unwrap());
    fs::remove_file(directory.path().join(DAY_FILE)).unwrap();
    assert_eq!(SqliteStore::forget_day(directory.path(), lost).unwrap(), None);
    let day = directory.path().join("history/history-2024-03-06.sqlite");
    flip(&day, 0, 1);
    open_error(directory.path());
    let kept = SqliteStore::forget_day(directory.path(), damaged).unwrap().unwrap();
    assert_eq!(kept, directory.path().join("history/history-2024-03-06.sqlite.lost-1"));
    assert!(kept.exists() && !day.exists());
    assert!(matches!(SqliteStore::forget_day(directory.path(), damaged), Err(OpenError::NoDay { .. })));
    let store = SqliteStore::open(directory.path(), &Options::default()).unwrap();
    // What the journal still has comes again, from where the history stands for good.
    assert_eq!((store.last_position(), store.history_position()), (Position(4), Position(1)));
    store.project(Position(4), &[row(4, 1, 4, NOON_MS + DAY_MS)]).unwrap();
    assert_eq!(store.history(&HistoryQuery::all(sid(1))).unwrap().events.len(), 1);
    drop(store);
    let never = SqliteStore::forget_day(directory.path(), "2024-03-01".parse().unwrap()).unwrap_err();
    assert!(matches!(never, OpenError::NoDay { .. }), "{never}");
}

#[test]
fn a_journal_older_than_a_snapshot_makes_the_snapshot_unusable() {
    let root = scratch();
    let (now, old) = (root.path().join("now"), root.path().join("old"));
    let store = SqliteStore::open(&now, &Options::default()).unwrap();
    let epoch = store.begin_epoch().unwrap();
    append(&store, epoch, &records(1, 1, 3));
    save(&store, snapshot(1, 2, 2), &["two"]);
    drop(store);
    copy_directory(&now, &old);
    let store = SqliteStore::open(&now, &Options::default()).unwrap();
    append(&store, epoch, &records(1, 4, 6));
    save(&store, snapshot(1, 6, 6), &["six"]);
    drop(store);
    fs::copy(old.join("journal.sqlite"), now.join("journal.sqlite")).unwrap();
    let store = SqliteStore::open(&now, &Options::default()).unwrap();
    let list = store.snapshots().unwrap();
    assert_eq!(list.newest, [snapshot(1, 2, 2)]);
    assert!(list.damaged[0].to_string().ends_with("the journal's last record of the stream is 3"), "{list:?}");
}

/// Snapshot files of stream 1, oldest first.
fn snapshot_files(directory: &Path) -> Vec<PathBuf> {
    let mut files: Vec<PathBuf> =
        fs::read_dir(directory.join("snapshots")).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    files
}

#[test]
fn a_snapshot_damaged_at_any_byte_gives_way_to_the_one_before() {
    let directory = scratch();
    sample(directory.path());
    let files = snapshot_files(directory.path());
    assert_eq!(files.len(), 2);
    let good = fs::read(&files[1]).unwrap();
    let damaged = (0..good.len()).map(|at| {
        let mut bytes = good.clone();
        bytes[at] ^= 0x10;
        bytes
    });
    let cut = (0..good.len()).map(|length| good[..length].to_vec());
    let store = SqliteStore::open(directory.path(), &Options::default()).unwrap();
    for bytes in damaged.chain(cut) {
        fs::write(&files[1], bytes).unwrap();
        let list = store.snapshots().unwrap();
        assert_eq!(list.newest, [snapshot(1, 10, 19)]);
        assert_eq!(list.damaged.len(), 1);
        assert_eq!(list.damaged[0].path, files[1]);
    }
    assert_eq!(load(&store, snapshot(1, 10, 19)), ["state", "after", "ten"]);
    fs::write(&files[1], good).unwrap();
    assert_eq!(store.snapshots().unwrap().newest, [snapshot(1, 20, 39)]);
}

#[test]
fn damage_that_comes_after_the_listing_is_found_while_reading() {
    let directory = scratch();
    sample(directory.path());
    let store = SqliteStore::open(directory.path(), &Options::default()).unwrap();
    let newest = store.snapshots().unwrap().newest[0];
    let file = &snapshot_files(directory.path())[1];
    flip_text(file, "twenty");
    let chunks: Vec<_> = store.read_snapshot(newest).unwrap().collect();
    assert_eq!(chunks.len(), 3, "nothing follows the damage");
    let text = chunks[2].as_ref().unwrap_err().to_string();
    assert!(text.contains("is damaged at chunk 2: it has checksum"), "{text}");
}

#[test]
fn the_journal_is_not_trimmed_behind_a_damaged_snapshot() {
    for index in [0, 1] {
        let directory = scratch();
        sample(directory.path());
        let file = &snapshot_files(directory.path())[index];
        flip(file, fs::metadata(file).unwrap().len() as usize / 2, 1);
        let store = SqliteStore::open(directory.path(), &Options::default()).unwrap();
        assert_eq!(store.trim().unwrap(), 0);
    }
    let directory = scratch();
    sample(directory.path());
    let store = SqliteStore::open(directory.path(), &Options::default()).unwrap();
    assert_eq!(store.trim().unwrap(), 10);
}

#[test]
fn a_damaged_snapshot_does_not_push_out_the_only_good_one() {
    let directory = scratch();
    sample(directory.path());
    let file = &snapshot_files(directory.path())[1];
    flip_text(file, "twenty");
    let store = SqliteStore::open(directory.path(), &Options::default()).unwrap();
    assert_eq!(store.snapshots().unwrap().damaged.len(), 1);
    save(&store, snapshot(1, 30, 59), &["thirty"]);
    let files = snapshot_files(directory.path());
    assert_eq!(files.len(), 2);
    flip_text(&files[1], "thirty");
    assert_eq!(store.snapshots().unwrap().newest, [snapshot(1, 10, 19)]);
}

#[test]
fn what_a_crash_left_of_a_snapshot_is_removed() {
    let directory = scratch();
    sample(directory.path());
    let aside = snapshot_files(directory.path())[1].with_extension("tmp");
    fs::write(&aside, b"PMSNAP").unwrap();
    let store = SqliteStore::open(directory.path(), &Options::default()).unwrap();
    assert!(!aside.exists());
    assert_eq!(store.snapshots().unwrap().newest, [snapshot(1, 20, 39)]);
}

#[test]
fn a_file_of_a_newer_format_is_refused() {
    let root = scratch();
    for (case, (file, newest)) in [("journal.sqlite", 3), (DAY_FILE, 2)].into_iter().enumerate() {
        let directory = root.path().join(case.to_string());
        sample(&directory);
        let connection = rusqlite::Connection::open(directory.join(file)).unwrap();
        connection.execute_batch(&format!("PRAGMA user_version = {}", newest + 1)).unwrap();
        drop(connection);
        let error = open_error(&directory);
        assert!(
            matches!(error, OpenError::Format { found, known, .. } if found == newest + 1 && known == newest),
            "{error}"
        );
        assert!(error.to_string().contains(file), "{error}");
    }
    let directory = root.path().join("lock");
    sample(&directory);
    fs::write(directory.join("store.lock"), "pointsman store format 2\n").unwrap();
    let error = open_error(&directory);
    assert!(matches!(error, OpenError::Format { found: 2, known: 1, .. }), "{error}");
}

#[test]
fn a_database_of_somebody_else_is_refused() {
    let directory = scratch();
    let connection = rusqlite::Connection::open(directory.path().join("journal.sqlite")).unwrap();
    connection.execute_batch("CREATE TABLE theirs (x)").unwrap();
    drop(connection);
    assert!(matches!(open_error(directory.path()), OpenError::Foreign { .. }));
    fs::write(directory.path().join("journal.sqlite"), "not a database, but long enough to look at").unwrap();
    assert!(matches!(open_error(directory.path()), OpenError::Read(ReadError::Damaged(_))));
}

#[test]
fn a_log_cut_at_any_byte_leaves_whole_batches() {
    let root = scratch();
    let (live, crashed) = (root.path().join("live"), root.path().join("crashed"));
    let store = SqliteStore::open(&live, &Options::default()).unwrap();
    let epoch = store.begin_epoch().unwrap();
    let mut sequences = [0, 0];
    for batch in 0..30 {
        let mut records: Vec<Record> = Vec::new();
        for _ in 0..=batch % 4 {
            let stream_number = batch as usize % 2;
            sequences[stream_number] += 1;
            records.push(record(1 + stream_number as u64, sequences[stream_number]));
        }
        store.append(epoch, &records, &[put(batch, 1, 0)]).unwrap();
    }
    copy_directory(&live, &crashed);
    let wal = fs::read(crashed.join("journal.sqlite-wal")).unwrap();
    let mut random = Random(3);
    let mut positions = Vec::new();
    for _ in 0..60 {
        let _ = fs::remove_dir_all(&crashed);
        copy_directory(&live, &crashed);
        let cut = random.below(wal.len() as u64 + 1);
        fs::write(crashed.join("journal.sqlite-wal"), &wal[..cut as usize]).unwrap();
        let Ok(store) = SqliteStore::open(&crashed, &Options::default()) else {
            // The tables themselves were still in the log.
            continue;
        };
        let found = store.read_after(Position::ZERO, ALL).unwrap();
        let batches = store.outbox_read(OutboxNumber(0), 100).unwrap().len() as u64;
        let expected: u64 = (0..batches).map(|batch| 1 + batch % 4).sum();
        assert_eq!(found.len() as u64, expected, "cut at {cut}");
        assert_eq!(store.last_position(), Position(expected));
        for (stream_id, last) in store.streams().unwrap() {
            assert_eq!(store.read_stream(stream_id, SequenceNumber::ZERO, ALL).unwrap().len() as u64, last.0);
        }
        positions.push(expected);
    }
    positions.sort_unstable();
    positions.dedup();
    assert!(positions.len() > 10, "{positions:?}");
}

#[test]
fn a_bit_flipped_in_the_log_is_found_unless_it_is_in_the_last_commit() {
    let root = scratch();
    let (live, crashed) = (root.path().join("live"), root.path().join("crashed"));
    let store = SqliteStore::open(&live, &Options::default()).unwrap();
    let epoch = store.begin_epoch().unwrap();
    for sequence in 1..=60 {
        append(&store, epoch, &[record(1, sequence)]);
    }
    let wal = live.join("journal.sqlite-wal");
    let before_last = fs::metadata(&wal).unwrap().len();
    append(&store, epoch, &[record(1, 61)]);
    copy_directory(&live, &crashed);
    let log = fs::read(crashed.join("journal.sqlite-wal")).unwrap();
    drop(store);
    let open_flipped = |at: u64, mask: u8| {
        let _ = fs::remove_dir_all(&crashed);
        fs::create_dir_all(&crashed).unwrap();
        for file in ["journal.sqlite", "store.lock"] {
            fs::copy(root.path().join("image").join(file), crashed.join(file)).unwrap();
        }
        let mut bytes = log.clone();
        bytes[at as usize] ^= mask;
        fs::write(crashed.join("journal.sqlite-wal"), bytes).unwrap();
        SqliteStore::open(&crashed, &Options::default())
    };
    fs::rename(&crashed, root.path().join("image")).unwrap();
    assert_eq!(open_flipped(0, 0).unwrap().last_position(), Position(61));
    let mut random = Random(17);
    for round in 0..400 {
        let within = if round < 40 { 32 } else { before_last };
        let (at, mask) = (random.below(within), 1 << random.below(8));
        let text = match open_flipped(at, mask) {
            Ok(store) => panic!("byte {at}, mask {mask:#x}: opened at {}", store.last_position()),
            Err(error) => format!("{error:?}"),
        };
        assert!(text.contains("journal.sqlite-wal"), "{text}");
        let frame = if at < 32 { 0 } else { (at - 32) / 4_120 * 4_120 + 32 };
        assert!(text.contains(&format!("\"byte {frame}\"")), "byte {at}: {text}");
    }
    for _ in 0..40 {
        let at = before_last + random.below(log.len() as u64 - before_last);
        // As if the crash had come before this commit was whole.
        assert_eq!(open_flipped(at, 1).unwrap().last_position(), Position(60), "byte {at}");
    }
}

#[test]
fn what_is_left_over_in_a_log_that_has_started_over_is_no_damage() {
    let root = scratch();
    let (live, crashed) = (root.path().join("live"), root.path().join("crashed"));
    let options = Options { checkpoint_bytes: 1, wal_bytes_max: 64 << 10, ..Options::default() };
    let store = SqliteStore::open(&live, &options).unwrap();
    let epoch = store.begin_epoch().unwrap();
    let mut random = Random(23);
    let mut sequence = 0;
    for _ in 0..30 {
        for _ in 0..random.below(40) {
            sequence += 1;
            append(&store, epoch, &[record(1, sequence)]);
        }
        let _ = fs::remove_dir_all(&crashed);
        copy_directory(&live, &crashed);
        assert_eq!(SqliteStore::open(&crashed, &options).unwrap().last_position(), Position(sequence));
    }
}

#[test]
fn a_day_after_the_damaged_one_is_still_read() {
    let directory = scratch();
    let store = SqliteStore::open(directory.path(), &Options::default()).unwrap();
    let epoch = store.begin_epoch().unwrap();
    append(&store, epoch, &records(1, 1, 2));
    store.project(Position(2), &[row(1, 1, 1, NOON_MS), row(2, 1, 2, NOON_MS + DAY_MS)]).unwrap();
    drop(store);
    let day = directory.path().join(DAY_FILE);
    flip_text(&day, "event 1");
    let store = SqliteStore::open(directory.path(), &Options::default()).unwrap();
    let from = HistoryQuery { from_ms: NOON_MS + 1, ..HistoryQuery::all(sid(1)) };
    assert_eq!(store.history(&from).unwrap().events.len(), 1);
    assert!(store.history(&HistoryQuery::all(sid(1))).is_err());
}
