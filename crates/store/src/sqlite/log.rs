//! Looks for damage in the journal's write-ahead log, before SQLite reads it.
//!
//! SQLite takes a log up to its first frame with a wrong checksum and drops the rest, as the end of what a crash has
//! torn. The same happens to acknowledged commits behind a frame in which a bit was changed. What tells the two apart:
//! a commit is synchronized before the next one is written. So frames that were written *behind a commit* show that
//! everything up to that commit was whole once; if it is not any more, it is damaged. That a frame was written behind
//! another shows in its checksum, which goes on from that of the one before.
//!
//! ```text
//! header   magic u32 | version u32 | page bytes u32 | checkpoints u32 | salt u64 | checksum 2 x u32 of all before
//! frame    page u32 | pages of the file after a commit, else 0, u32 | salt u64 | checksum 2 x u32 | page
//! ```
//!
//! Numbers are big-endian. A frame's checksum goes on from the one before, over its first eight bytes and its page.
//! Frames with another salt are left over from before the log last started over.
//!
//! Not found: damage to the last commit of the log, or a log that was cut. Both look as if a crash had come in its
//! midst.

use std::fs::File;
use std::io::{self, BufReader, Read};
use std::path::Path;

use crate::{Damage, ReadError};

use super::directory::beside;

const HEADER_BYTES: usize = 32;
const FRAME_HEADER_BYTES: usize = 24;
/// The last bit says in which byte order checksums are formed: 1 is big-endian.
const MAGIC: u32 = 0x377f_0682;
const BUFFER_BYTES: usize = 1 << 20;

type Sums = (u32, u32);

/// Refuses a log that has lost what it once held.
///
/// - `database`: the path of the database file; its log may be missing or empty.
pub(super) fn verify(database: &Path) -> Result<(), ReadError> {
    let path = beside(database, "-wal");
    let read = match File::open(&path) {
        Ok(file) => find_damage(&mut BufReader::with_capacity(BUFFER_BYTES, file)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => Err(error),
    };
    match read {
        Ok(None) => Ok(()),
        Ok(Some((offset, problem))) => {
            Err(ReadError::Damaged(Damage { path, place: format!("byte {offset}"), problem: problem.to_owned() }))
        }
        Err(source) => Err(ReadError::Failed { step: "read the write-ahead log", path, source: source.into() }),
    }
}

/// Where the damage begins, and what is wrong.
fn find_damage(log: &mut impl Read) -> io::Result<Option<(u64, &'static str)>> {
    let mut header = [0; HEADER_BYTES];
    // A log without its header was made and never written to.
    if !fill(log, &mut header)? || header == [0; HEADER_BYTES] {
        return Ok(None);
    }
    let magic = word(&header, 0);
    let order = Order { is_big_endian: magic & 1 == 1 };
    let page_bytes = word(&header, 8);
    let is_whole = order.sums((0, 0), &header[..24]) == sums_at(&header, 24);
    if magic & !1 != MAGIC || !is_whole || !(512..=65_536).contains(&page_bytes) {
        return Ok(Some((0, "the header of the log has a wrong checksum, so nothing of what follows would be read")));
    }
    let salt = &header[16..24];
    let mut frame = vec![0; FRAME_HEADER_BYTES + page_bytes as usize];
    let mut offset = HEADER_BYTES as u64;
    let mut before = sums_at(&header, 24);
    // The frame at which SQLite stops.
    let mut stop = None;
    // After it: a commit, by the checksums that a frame behind it could go on from.
    let mut commit: Option<[Sums; 2]> = None;
    while fill(log, &mut frame)? {
        let is_of_this_log = frame[8..16] == *salt;
        let stored = sums_at(&frame, 16);
        let is_commit = word(&frame, 4) != 0;
        let sums = |before| order.sums(order.sums(before, &frame[..8]), &frame[FRAME_HEADER_BYTES..]);
        if let Some(stop) = stop {
            let goes_on = |before: &Sums| sums(*before) == stored;
            if is_of_this_log && commit.iter().flatten().any(goes_on) {
                return Ok(Some((
                    stop,
                    "a frame of the log has a wrong checksum, and commits that follow it would be lost",
                )));
            }
            commit = (is_of_this_log && is_commit).then_some([stored, stored]);
        } else {
            let found = sums(before);
            if is_of_this_log && found == stored {
                before = stored;
            } else {
                stop = Some(offset);
                // Whichever part of it was changed, a frame behind it goes on from one of these.
                commit = is_commit.then_some([stored, found]);
            }
        }
        offset += frame.len() as u64;
    }
    Ok(None)
}

/// False when the log ends first.
fn fill(log: &mut impl Read, bytes: &mut [u8]) -> io::Result<bool> {
    match log.read_exact(bytes) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(false),
        Err(error) => Err(error),
    }
}

fn word(bytes: &[u8], at: usize) -> u32 {
    u32::from_be_bytes(bytes[at..at + 4].try_into().expect("four bytes"))
}

fn sums_at(bytes: &[u8], at: usize) -> Sums {
    (word(bytes, at), word(bytes, at + 4))
}

#[derive(Clone, Copy)]
struct Order {
    is_big_endian: bool,
}

impl Order {
    fn sums(self, (mut first, mut second): Sums, bytes: &[u8]) -> Sums {
        let (pairs, rest) = bytes.as_chunks::<8>();
        assert!(rest.is_empty(), "headers and pages are made of pairs of words");
        let parse = if self.is_big_endian { u32::from_be_bytes } else { u32::from_le_bytes };
        for [a, b, c, d, e, f, g, h] in pairs {
            first = first.wrapping_add(parse([*a, *b, *c, *d])).wrapping_add(second);
            second = second.wrapping_add(parse([*e, *f, *g, *h])).wrapping_add(first);
        }
        (first, second)
    }
}
