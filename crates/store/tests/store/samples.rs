//! Values that the tests are made of.

use std::fs;
use std::path::Path;

use pointsman_store::{
    Epoch, HistoryRow, OutboxChange, OutboxEntry, Position, ReadLimit, Record, Reference, Role, SequenceNumber, Sid,
    Snapshot, Store, StreamId,
};
use tempfile::TempDir;

pub(crate) const DAY_MS: i64 = 86_400_000;
/// 2024-03-05, noon.
pub(crate) const NOON_MS: i64 = 1_709_640_000_000;
pub(crate) const ALL: ReadLimit = ReadLimit { records: usize::MAX >> 1, bytes: usize::MAX };

/// A sid that is easily told from others.
pub(crate) fn sid(number: u64) -> Sid {
    let mut sid = [0x5a; 16];
    sid[8..].copy_from_slice(&number.to_be_bytes());
    sid
}

pub(crate) fn stream(number: u64) -> StreamId {
    StreamId(sid(number))
}

pub(crate) fn record(stream_number: u64, sequence: u64) -> Record {
    Record {
        stream: stream(stream_number),
        sequence: SequenceNumber(sequence),
        at_ms: NOON_MS + sequence as i64,
        payload: format!("record {sequence} of stream {stream_number}").into_bytes(),
    }
}

/// Records `first..=last` of a stream.
pub(crate) fn records(stream_number: u64, first: u64, last: u64) -> Vec<Record> {
    (first..=last).map(|sequence| record(stream_number, sequence)).collect()
}

/// Appends to a store that nobody else appends to.
pub(crate) fn append(store: &dyn Store, epoch: Epoch, records: &[Record]) -> Position {
    store.append(epoch, records, &[]).unwrap()
}

pub(crate) fn snapshot(stream_number: u64, sequence: u64, position: u64) -> Snapshot {
    Snapshot { stream: stream(stream_number), sequence: SequenceNumber(sequence), position: Position(position) }
}

pub(crate) fn save(store: &dyn Store, snapshot: Snapshot, chunks: &[&str]) {
    store.save_snapshot(snapshot, &mut chunks.iter().map(|chunk| chunk.as_bytes().to_vec())).unwrap();
}

pub(crate) fn load(store: &dyn Store, snapshot: Snapshot) -> Vec<String> {
    let chunks = store.read_snapshot(snapshot).unwrap();
    chunks.map(|chunk| String::from_utf8(chunk.unwrap()).unwrap()).collect()
}

pub(crate) fn mention(role: Role, number: u64) -> Reference {
    Reference { role, sid: sid(number) }
}

/// Event `number` of a workspace, of kind `number % 3`, about task `number % 5` and one of two workers.
pub(crate) fn row(position: u64, workspace: u64, number: u64, at_ms: i64) -> HistoryRow {
    HistoryRow {
        position: Position(position),
        workspace: sid(workspace),
        sid: sid(1_000_000 + number),
        kind: (number % 3) as u16,
        at_ms,
        references: vec![mention(Role::Task, number % 5), mention(Role::Worker, 100 + number % 2)],
        payload: format!("event {number}").into_bytes(),
    }
}

pub(crate) fn put(number: u64, workspace: u64, at_ms: i64) -> OutboxChange {
    OutboxChange::Put(OutboxEntry {
        sid: sid(number),
        workspace: sid(workspace),
        key: sid(number % 2),
        lane: (number % 3) as u32,
        at_ms,
        payload: format!("delivery {number}").into_bytes(),
    })
}

/// Numbers that look random, the same for a seed.
pub(crate) struct Random(pub(crate) u64);

impl Random {
    /// From 0 to below `bound`.
    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % bound
    }
}

/// A directory for tests that are about bytes, not about disks: in memory where the system has such a place.
pub(crate) fn scratch() -> TempDir {
    let in_memory = Path::new("/dev/shm");
    if in_memory.is_dir() { tempfile::tempdir_in(in_memory).unwrap() } else { tempfile::tempdir().unwrap() }
}

/// Copies a data directory as it is at this moment, as a crash would leave it.
pub(crate) fn copy_directory(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy_directory(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), target).unwrap();
        }
    }
}
