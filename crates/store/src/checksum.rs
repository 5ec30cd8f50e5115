//! CRC-32 of everything that is kept: over the content and the place, so that swapped pieces show too.

use crc32fast::Hasher;

use crate::{OutboxEntry, Position, Record, Sid};

pub(crate) fn record(position: Position, record: &Record) -> u32 {
    let mut hasher = Hasher::new();
    hasher.update(&position.0.to_le_bytes());
    hasher.update(&record.stream.0);
    hasher.update(&record.sequence.0.to_le_bytes());
    hasher.update(&record.at_ms.to_le_bytes());
    hasher.update(&record.payload);
    hasher.finalize()
}

pub(crate) fn history_event(workspace: &Sid, id: i64, at_ms: i64, sid: &Sid, kind: u16, payload: &[u8]) -> u32 {
    let mut hasher = Hasher::new();
    hasher.update(workspace);
    hasher.update(&id.to_le_bytes());
    hasher.update(&at_ms.to_le_bytes());
    hasher.update(sid);
    hasher.update(&kind.to_le_bytes());
    hasher.update(payload);
    hasher.finalize()
}

pub(crate) fn delivery(entry: &OutboxEntry, is_dead: bool) -> u32 {
    let OutboxEntry { sid, workspace, key, lane, at_ms, payload } = entry;
    // Those of the first format have no lane.
    let lane: &[u8] = if *lane == 0 { &[] } else { &lane.to_le_bytes() };
    of_parts(&[sid, workspace, key, lane, &[is_dead.into()], &at_ms.to_le_bytes(), payload])
}

pub(crate) fn snapshot_header(bytes: &[u8]) -> u32 {
    crc32fast::hash(bytes)
}

/// `header`: checksum of the snapshot's header, so that a chunk of another snapshot does not fit.
pub(crate) fn snapshot_chunk(header: u32, index: u64, payload: &[u8]) -> u32 {
    let mut hasher = Hasher::new_with_initial(header);
    hasher.update(&index.to_le_bytes());
    hasher.update(payload);
    hasher.finalize()
}

pub(crate) fn stream(id: i64, stream: &Sid, trimmed_sequence: i64, deleting: i64) -> u32 {
    of_parts(&[&id.to_le_bytes(), stream, &trimmed_sequence.to_le_bytes(), &deleting.to_le_bytes()])
}

pub(crate) fn meta(key: &str, value: &[u8]) -> u32 {
    of_parts(&[key.as_bytes(), value])
}

pub(crate) fn numbers(values: &[i64]) -> u32 {
    let mut hasher = Hasher::new();
    for value in values {
        hasher.update(&value.to_le_bytes());
    }
    hasher.finalize()
}

/// Of several parts one after the other.
pub(crate) fn of_parts(parts: &[&[u8]]) -> u32 {
    let mut hasher = Hasher::new();
    for part in parts {
        hasher.update(part);
    }
    hasher.finalize()
}
