//! The values of a day's file itself: where it stands, what its indexes reach, whose events are gone from it.

use std::collections::BTreeMap;
use std::path::Path;

use rusqlite::{Connection, OptionalExtension, Transaction, params};

use crate::{Damage, Position, ReadError, Sid, StreamId, checksum};

use super::super::database::{self, read_failed};

pub(super) const ROWS_POSITION: &str = "rows_position";
pub(super) const PROJECTED_POSITION: &str = "projected_position";
/// By how many milliseconds at most the instant in an identifier is later than that of its event.
pub(super) const LAG_MS: &str = "lag_ms";
/// How many runs the index by sid has, and the last event in it. Sids are random: put into one sorted table, each
/// would write a page of its own. So they are sorted run by run, and a search looks into each run; the events after
/// the last run are few enough to be looked through.
pub(super) const SID_RUNS: &str = "sid_runs";
pub(super) const SID_RUNS_EVENT: &str = "sid_runs_event";
/// How many runs the index by sid of tasks and reservations has, and the highest number in them.
pub(super) const KEY_RUNS: &str = "key_runs";
pub(super) const KEY_RUNS_KEY: &str = "key_runs_key";
/// The first format in which they are in runs.
const FORMAT_OF_RUNS: i64 = 2;
/// Of the values above, of the format and the values of the keys from format 2 on, and of what has been removed.
const CHECKSUM: &str = "checksum";
/// With the sid of a workspace behind it: its events are gone from this day, or going.
const REMOVED: &str = "removed.";

/// Where a file stands.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(in super::super) struct Stand {
    /// Up to here it has its own rows.
    pub(in super::super) rows: Position,
    /// Up to here all files have theirs, as far as this one knows.
    pub(in super::super) projected: Position,
}

/// Where the file that a connection is to stands.
pub(in super::super) fn stand(connection: &Connection) -> rusqlite::Result<Stand> {
    let position = |key| number(connection, key).map(|number| Position(number as u64));
    Ok(Stand { rows: position(ROWS_POSITION)?, projected: position(PROJECTED_POSITION)? })
}

fn checksum_of(connection: &Connection) -> rusqlite::Result<u32> {
    let mut values = Vec::with_capacity(8);
    for key in [ROWS_POSITION, PROJECTED_POSITION, LAG_MS, SID_RUNS, SID_RUNS_EVENT] {
        values.push(number(connection, key)?);
    }
    if has_key_runs(connection)? {
        let format = database::format(connection)?;
        values.extend([format, number(connection, KEY_RUNS)?, number(connection, KEY_RUNS_KEY)?]);
    }
    let removed = removed(connection)?;
    if removed.is_empty() {
        return Ok(checksum::numbers(&values));
    }
    let removed: Vec<u8> =
        removed.into_iter().flat_map(|(sid, stage)| [&sid[..], &stage.to_le_bytes()].concat()).collect();
    Ok(checksum::of_parts(&[&checksum::numbers(&values).to_le_bytes(), &removed]))
}

pub(super) fn has_key_runs(connection: &Connection) -> rusqlite::Result<bool> {
    Ok(database::format(connection)? >= FORMAT_OF_RUNS)
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

pub(super) fn is_removed(connection: &Connection, workspace: Sid) -> rusqlite::Result<bool> {
    number(connection, &removed_key(workspace)).map(|stage| stage > 0)
}

pub(super) fn removed_key(workspace: Sid) -> String {
    format!("{REMOVED}{}", StreamId(workspace))
}

/// Brings the checksum of the file's own values up to date.
pub(super) fn seal(transaction: &Transaction<'_>) -> rusqlite::Result<()> {
    let checksum = checksum_of(transaction)?;
    set_number(transaction, CHECKSUM, checksum.into())
}

pub(super) fn verify(connection: &Connection, path: &Path) -> Result<(), ReadError> {
    let failed = read_failed("read where a day of the history stands", path);
    let count: i64 = connection.query_row("SELECT count(*) FROM meta", [], |row| row.get(0)).map_err(&failed)?;
    let found = checksum_of(connection).map_err(&failed)?;
    let expected = number(connection, CHECKSUM).map_err(&failed)? as u32;
    // A file that was just made has no values yet.
    if count == 0 || found == expected {
        return Ok(());
    }
    Err(ReadError::Damaged(Damage::checksum(path, "its own values".to_owned(), found, expected)))
}

pub(super) fn number(connection: &Connection, key: &str) -> rusqlite::Result<i64> {
    let value: Option<i64> = connection
        .prepare_cached("SELECT value FROM meta WHERE key = ?1")?
        .query_row([key], |row| row.get(0))
        .optional()?;
    Ok(value.unwrap_or(0))
}

pub(super) fn set_number(connection: &Connection, key: &str, value: i64) -> rusqlite::Result<()> {
    connection
        .prepare_cached("INSERT OR REPLACE INTO meta (key, value) VALUES (?1, ?2)")?
        .execute(params![key, value])
        .map(|_| ())
}
