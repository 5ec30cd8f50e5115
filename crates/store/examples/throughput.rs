//! Measures the store: appends in groups, the projection, pages of history, reading the journal back.
//!
//! `cargo run --release -p pointsman-store --example throughput [DIRECTORY] [RECORDS]`; the directory must be on the disk
//! that is to be measured. Figures and what they mean: `docs/internals/store.md`.

use std::error::Error;
use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use pointsman_store::{
    HistoryOrder, HistoryQuery, HistoryRow, Options, Position, ReadLimit, Record, Reference, Role, SequenceNumber, Sid,
    SqliteStore, Store, StreamId,
};

const PAYLOAD_BYTES: usize = 400;
const GROUPS: [usize; 3] = [1, 16, 256];
const AT_MS: i64 = 1_709_640_000_000;

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let parent = PathBuf::from(arguments.next().unwrap_or_else(|| ".".to_owned()));
    let records: usize = arguments.next().map_or(Ok(200_000), |text| text.parse())?;
    let root = tempfile::tempdir_in(parent)?;
    let root = root.path();
    for group in GROUPS {
        // As many commits as fit, or as are enough for a figure.
        let commits = (records / group).clamp(1, 10_000);
        let bare = measure(|| bare_commits(&root.join("bare"), group, commits))?;
        let appended = measure(|| appends(&root.join(format!("appends-{group}")), group, commits))?;
        println!(
            "append in groups of {group:>3}: {:>8.0} records/s; bare write and sync: {:>8.0}",
            rate(commits * group, appended),
            rate(commits * group, bare),
        );
    }
    history(&root.join("history"), records)?;
    Ok(())
}

fn bare_commits(path: &Path, group: usize, commits: usize) -> Result<(), Box<dyn Error>> {
    let mut file = File::create(path)?;
    let bytes = vec![7; PAYLOAD_BYTES * group];
    for _ in 0..commits {
        file.write_all(&bytes)?;
        file.sync_data()?;
    }
    Ok(())
}

fn appends(directory: &Path, group: usize, commits: usize) -> Result<(), Box<dyn Error>> {
    let store = SqliteStore::open(directory, &Options::default())?;
    let epoch = store.begin_epoch()?;
    for commit in 0..commits {
        let batch: Vec<Record> = (0..group).map(|index| record((commit * group + index) as u64)).collect();
        store.append(epoch, &batch, &[])?;
    }
    Ok(())
}

fn history(directory: &Path, count: usize) -> Result<(), Box<dyn Error>> {
    let store = SqliteStore::open(directory, &Options::default())?;
    let epoch = store.begin_epoch()?;
    let numbers: Vec<u64> = (0..count as u64).collect();
    for part in numbers.chunks(1_024) {
        let batch: Vec<Record> = part.iter().map(|&number| record(number)).collect();
        store.append(epoch, &batch, &[])?;
    }
    let read = measure(|| {
        let mut position = Position::ZERO;
        loop {
            let records = store.read_after(position, ReadLimit::default())?;
            let Some((last, _)) = records.last() else { return Ok(()) };
            position = *last;
        }
    })?;
    println!("read the journal back: {:>8.0} records/s", rate(count, read));
    let projected = measure(|| {
        for part in numbers.chunks(4_096) {
            let rows: Vec<HistoryRow> = part.iter().map(|&number| row(number)).collect();
            store.project(Position(part[part.len() - 1] + 1), &rows)?;
        }
        Ok(())
    })?;
    println!("project, 7 mentions each: {:>8.0} events/s", rate(count, projected));
    for (name, kinds, references) in [
        ("a workspace", vec![], vec![]),
        ("a worker", vec![], vec![Reference { role: Role::Worker, sid: sid(2, 7) }]),
        ("a task", vec![], vec![Reference { role: Role::Task, sid: sid(1, count as u64 / 20) }]),
        ("a type and a queue", vec![3], vec![Reference { role: Role::TaskQueue, sid: sid(3, 7) }]),
    ] {
        const PAGES: u32 = 200;
        let query =
            HistoryQuery { kinds, references, order: HistoryOrder::NewestFirst, ..HistoryQuery::all(sid(0, 1)) };
        let taken = measure(|| {
            for _ in 0..PAGES {
                store.history(&query)?;
            }
            Ok(())
        })?;
        println!("newest page of 50 of {name}: {:?}", taken / PAGES);
    }
    Ok(())
}

/// Eight workspaces take turns.
fn record(number: u64) -> Record {
    Record {
        stream: StreamId(sid(0, 1 + number % 8)),
        sequence: SequenceNumber(1 + number / 8),
        at_ms: AT_MS + number as i64 / 50,
        payload: vec![number as u8; PAYLOAD_BYTES],
    }
}

/// Ten events a task; a hundred workers, ten queues.
fn row(number: u64) -> HistoryRow {
    let task = number / 10;
    let references = [
        (Role::Task, sid(1, task)),
        (Role::Reservation, sid(4, task)),
        (Role::Worker, sid(2, task % 100)),
        (Role::TaskQueue, sid(3, task % 10)),
        (Role::Workflow, sid(5, 1)),
        (Role::TaskChannel, sid(6, 1)),
    ];
    HistoryRow {
        position: Position(number + 1),
        workspace: sid(0, 1),
        sid: sid(7, number),
        kind: (number % 10) as u16,
        at_ms: AT_MS + number as i64 / 50,
        references: references.into_iter().map(|(role, sid)| Reference { role, sid }).collect(),
        payload: vec![number as u8; PAYLOAD_BYTES],
    }
}

/// Spread like random identifiers, the same in every run.
fn sid(class: u64, number: u64) -> Sid {
    let mut sid = [0; 16];
    let mixed = (number + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ class.wrapping_mul(0xd6e8_feb8_6659_fd93);
    sid[..8].copy_from_slice(&mixed.rotate_left(31).wrapping_mul(0xff51_afd7_ed55_8ccd).to_be_bytes());
    sid[8..].copy_from_slice(&mixed.to_be_bytes());
    sid
}

fn measure(body: impl FnOnce() -> Result<(), Box<dyn Error>>) -> Result<Duration, Box<dyn Error>> {
    #[expect(clippy::disallowed_methods, reason = "measuring time is what a benchmark is for")]
    let start = Instant::now();
    body()?;
    Ok(start.elapsed())
}

fn rate(count: usize, taken: Duration) -> f64 {
    count as f64 / taken.as_secs_f64()
}
