//! A process that writes is killed at a random moment, again and again on one directory: whatever it had acknowledged
//! is there, and nothing is there by half.
//!
//! The process is this test binary, told by an environment variable to run `appends_until_it_is_killed`. It prints a
//! line for each acknowledged batch; the parent kills it after a random number of them, while it goes on. Some rounds
//! kill it before it says anything: while it opens the store.
//!
//! `POINTSMAN_STORE_CRASH_ROUNDS` makes it longer, `POINTSMAN_STORE_CRASH_SEED` makes it another one.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::channel;
use std::thread;

use pointsman_store::{
    HistoryQuery, Options, OutboxChange, OutboxNumber, Position, Record, Retention, SequenceNumber, Sid, Snapshot,
    SqliteStore, Store, StreamId,
};

use crate::samples::{ALL, DAY_MS, NOON_MS, Random, load, put, record, row, save, sid, snapshot, stream};

const DIRECTORY: &str = "POINTSMAN_STORE_CRASH_DIRECTORY";
const ROUNDS: (&str, u64) = ("POINTSMAN_STORE_CRASH_ROUNDS", 20);
const SEED: (&str, u64) = ("POINTSMAN_STORE_CRASH_SEED", 2024);
const ACKNOWLEDGED: &str = "acknowledged ";
const FAILED: &str = "failed: ";
/// Its sequence numbers are the numbers of the batches.
const COUNTING_STREAM: u64 = 9;
/// Deliveries that wait at any time.
const WAITING: u64 = 5;

/// Records of one day, and days before the present one that are kept.
const DAY_RECORDS: u64 = 60;
const DAYS_KEPT: u64 = 5;

fn day_of(position: u64) -> u64 {
    position / DAY_RECORDS
}

/// How many records batch `number` has in which stream, beside the one that counts.
fn batch_shape(number: u64) -> (u64, u64) {
    (1 + number % 3, 1 + number % 4)
}

/// Last sequence number of each stream after a number of batches.
fn expected_streams(batches: u64) -> BTreeMap<StreamId, SequenceNumber> {
    let mut last: BTreeMap<StreamId, SequenceNumber> = BTreeMap::new();
    for number in 1..=batches {
        let (stream_number, count) = batch_shape(number);
        last.entry(stream(stream_number)).or_default().0 += count;
        last.insert(stream(COUNTING_STREAM), SequenceNumber(number));
    }
    last
}

#[test]
fn appends_until_it_is_killed() {
    let Some(directory) = std::env::var_os(DIRECTORY) else { return };
    let store =
        SqliteStore::open(Path::new(&directory), &Options { checkpoint_bytes: 128 << 10, ..Options::default() });
    let store = store.unwrap();
    let epoch = store.begin_epoch().unwrap();
    let mut last: BTreeMap<StreamId, SequenceNumber> = store.streams().unwrap().into_iter().collect();
    let first = last.get(&stream(COUNTING_STREAM)).map_or(1, |sequence| sequence.0 + 1);
    thread::scope(|scope| {
        let (appended, acknowledged) = channel();
        let store = &store;
        scope.spawn(move || {
            for number in acknowledged {
                tend(store, number);
            }
        });
        for number in first..first + 100_000 {
            let (stream_number, count) = batch_shape(number);
            let mut records: Vec<Record> = Vec::new();
            for _ in 0..count {
                let sequence = last.entry(stream(stream_number)).or_default();
                *sequence = sequence.next();
                records.push(record(stream_number, sequence.0));
            }
            records.push(record(COUNTING_STREAM, number));
            let mut outbox = vec![put(number, 1, 0)];
            if number > WAITING {
                outbox.push(OutboxChange::Done { sid: sid(number - WAITING) });
            }
            match store.append(epoch, &records, &outbox) {
                Ok(_) => println!("{ACKNOWLEDGED}{number}"),
                Err(error) => {
                    println!("{FAILED}{error}");
                    return;
                }
            }
            appended.send(number).unwrap();
        }
    });
}

/// Projects what is new; now and then drops old days, takes snapshots and trims. Failures are the disk's, and the
/// appends tell them.
fn tend(store: &SqliteStore, number: u64) {
    let Ok(read) = store.read_after(store.history_position(), ALL) else { return };
    let Some(&(up_to, _)) = read.last() else { return };
    let at_ms = |position: Position| NOON_MS + day_of(position.0) as i64 * DAY_MS;
    let rows: Vec<_> = read.iter().map(|(position, _)| row(position.0, 1, position.0, at_ms(*position))).collect();
    if store.project(up_to, &rows).is_err() {
        return;
    }
    if number.is_multiple_of(7) {
        let _ = store.retain(&Retention::all(at_ms(up_to) - DAY_MS / 2 - DAYS_KEPT as i64 * DAY_MS));
    }
    if !number.is_multiple_of(40) {
        return;
    }
    for (stream, sequence) in store.streams().unwrap() {
        let about = Snapshot { stream, sequence, position: up_to };
        let _ = store.save_snapshot(about, &mut std::iter::once(sequence.to_string().into_bytes()));
    }
    let _ = store.trim();
}

fn start(directory: &Path, shell_prefix: Option<&str>) -> Child {
    let program = std::env::current_exe().unwrap();
    let arguments = ["--exact", "crash::appends_until_it_is_killed", "--nocapture"];
    let mut command = match shell_prefix {
        None => Command::new(program),
        Some(prefix) => {
            let mut shell = Command::new("sh");
            shell.arg("-c").arg(format!("{prefix}; exec \"$0\" \"$@\"")).arg(program);
            shell
        }
    };
    command.args(arguments).env(DIRECTORY, directory).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap()
}

fn event_sid(number: u64) -> Sid {
    sid(1_000_000 + number)
}

fn number_of_event(sid: Sid) -> u64 {
    u64::from_be_bytes(sid[8..].try_into().expect("eight bytes")) - 1_000_000
}

/// Opens what a dead process has left and holds it against what it had acknowledged. Returns the batches found.
fn verify(directory: &Path, acknowledged: u64) -> u64 {
    let store = SqliteStore::open(directory, &Options::default()).unwrap();
    assert_eq!(store.check().unwrap().damage, []);
    let streams: BTreeMap<StreamId, SequenceNumber> = store.streams().unwrap().into_iter().collect();
    let batches = streams.get(&stream(COUNTING_STREAM)).map_or(0, |sequence| sequence.0);
    assert!(batches >= acknowledged, "{acknowledged} were acknowledged, {batches} are there");
    assert_eq!(streams, expected_streams(batches), "every batch is there as a whole");
    let total: u64 = (1..=batches).map(|number| batch_shape(number).1 + 1).sum();
    assert_eq!(store.last_position(), Position(total));

    let list = store.snapshots().unwrap();
    assert_eq!(list.damaged, []);
    let snapshots: BTreeMap<StreamId, Snapshot> = list.newest.into_iter().map(|found| (found.stream, found)).collect();
    for (&stream_id, &last) in &streams {
        let from = snapshots.get(&stream_id).map_or(SequenceNumber::ZERO, |found| found.sequence);
        let tail = store.read_stream(stream_id, from, ALL).unwrap();
        assert_eq!(tail.len() as u64, last.0 - from.0, "snapshot and tail make up the stream");
        for (_, found) in tail {
            let number = (1..=COUNTING_STREAM).find(|number| stream(*number) == stream_id).unwrap();
            assert_eq!(found, record(number, found.sequence.0));
        }
    }
    for found in snapshots.values() {
        assert_eq!(load(&store, *found), [found.sequence.to_string()]);
    }

    let waiting = store.outbox_read(OutboxNumber(0), 100).unwrap();
    let waiting: Vec<_> = waiting.into_iter().map(|delivery| delivery.entry.sid).collect();
    let expected: Vec<_> = (batches.saturating_sub(WAITING) + 1..=batches).map(sid).collect();
    assert_eq!(waiting, expected);

    let projected = store.history_position().0;
    let query = HistoryQuery { limit: 10_000, ..HistoryQuery::all(sid(1)) };
    let events: Vec<_> = store.history(&query).unwrap().events.iter().map(|event| event.sid).collect();
    // A call that was cut short may have left the rows of all but its last day; they come once all the same.
    let newest = events.first().map_or(projected, |sid| number_of_event(*sid).max(projected));
    let first = (newest + 1).saturating_sub(events.len() as u64).max(1);
    let expected: Vec<_> = (first..=newest).rev().map(event_sid).collect();
    assert!(events == expected, "the history has every record up to {projected}, once");
    assert!(newest <= total, "{newest} of {total}");
    // Whole days were dropped, and none that is kept.
    assert!(first == 1 || first.is_multiple_of(DAY_RECORDS), "{first}");
    assert!(first <= (day_of(total).saturating_sub(DAYS_KEPT) * DAY_RECORDS).max(1), "{first} of {total}");
    batches
}

#[test]
fn whatever_was_acknowledged_survives_a_kill_at_any_moment() {
    let directory = tempfile::tempdir().unwrap();
    let (rounds, seed) = (number_of(ROUNDS), number_of(SEED));
    let mut random = Random(seed);
    let mut batches = 0;
    for round in 0..rounds {
        let mut child = start(directory.path(), None);
        // One round in eight does not get further than its start.
        let kill_after = if round % 8 == 7 { 0 } else { batches + 1 + random.below(120) };
        if kill_after == 0 {
            #[expect(clippy::disallowed_methods, reason = "the moment of the kill is what is tested")]
            thread::sleep(std::time::Duration::from_micros(random.below(30_000)));
        }
        let mut acknowledged = batches;
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        while acknowledged < kill_after {
            let line = lines.next().expect("the child goes on").unwrap();
            assert!(!line.contains(FAILED), "round {round}: {line}");
            if let Some((_, number)) = line.split_once(ACKNOWLEDGED) {
                acknowledged = number.parse().unwrap();
            }
        }
        child.kill().unwrap();
        child.wait().unwrap();
        // What it had said before it died.
        for line in lines {
            if let Some((_, number)) = line.unwrap().split_once(ACKNOWLEDGED) {
                acknowledged = number.parse().unwrap_or(acknowledged);
            }
        }
        batches = verify(directory.path(), acknowledged);
    }
    println!("seed {seed}: {rounds} kills, {batches} batches");
}

fn number_of((variable, default): (&str, u64)) -> u64 {
    std::env::var(variable).map_or(default, |text| text.parse().expect("a number"))
}

#[test]
fn whatever_was_acknowledged_survives_a_disk_that_takes_no_more() {
    let directory = tempfile::tempdir().unwrap();
    // No file may grow beyond 600 blocks of 512 bytes; writes fail then, and the signal is not to kill.
    let mut child = start(directory.path(), Some("trap '' XFSZ; ulimit -f 600"));
    let lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let mut acknowledged = 0;
    let mut failure = None;
    for line in lines {
        let line = line.unwrap();
        if let Some((_, number)) = line.split_once(ACKNOWLEDGED) {
            assert!(failure.is_none(), "nothing is acknowledged after a failure");
            acknowledged = number.parse().unwrap();
        } else if let Some((_, text)) = line.split_once(FAILED) {
            failure = Some(text.to_owned());
        }
    }
    child.wait().unwrap();
    let failure = failure.expect("the disk was full at some time");
    assert!(failure.contains("journal.sqlite after position "), "{failure}");
    assert!(acknowledged > 0);
    verify(directory.path(), acknowledged);
}

#[test]
fn a_directory_that_another_process_uses_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    let mut child = start(directory.path(), None);
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    lines.find(|line| line.as_ref().unwrap().contains(ACKNOWLEDGED)).unwrap().unwrap();
    let error = SqliteStore::open(directory.path(), &Options::default()).unwrap_err();
    assert!(error.to_string().contains(&*directory.path().to_string_lossy()), "{error}");
    child.kill().unwrap();
    child.wait().unwrap();
    let store = SqliteStore::open(directory.path(), &Options::default()).unwrap();
    save(&store, snapshot(COUNTING_STREAM, 1, 1), &["usable"]);
}
