//! The meta table of the journal: values of the store itself, under one checksum, and values of others, each with its
//! own.

use std::path::Path;

use rusqlite::{Connection, OptionalExtension, params};

use crate::{Damage, ReadError, checksum};

use super::super::database::read_failed;

pub(super) const EPOCH: &str = "epoch";
/// Last position ever, also when its record has been trimmed.
pub(super) const LAST_POSITION: &str = "last_position";
/// Records up to here are in the history for good.
pub(super) const HISTORY_POSITION: &str = "history_position";
/// Days that ended by then are dropped for good.
pub(super) const HISTORY_FROM_MS: &str = "history_from_ms";
/// Of the four above.
const CHECKSUM: &str = "checksum";
/// Before the keys of others.
const USER: &str = "user.";

/// Brings the checksum of the store's own values up to date.
pub(super) fn seal(connection: &Connection) -> rusqlite::Result<()> {
    let checksum = checksum_of(connection)?.expect("a value was just set");
    set_number(connection, CHECKSUM, checksum.into())
}

/// `None`: none of the values is there.
fn checksum_of(connection: &Connection) -> rusqlite::Result<Option<u32>> {
    let mut values = [0; 4];
    let mut is_any = false;
    for (value, key) in values.iter_mut().zip([EPOCH, LAST_POSITION, HISTORY_POSITION, HISTORY_FROM_MS]) {
        if let Some(found) = number(connection, key)? {
            *value = found;
            is_any = true;
        }
    }
    Ok(is_any.then(|| checksum::numbers(&values)))
}

/// Holds the store's own values against their checksum.
pub(super) fn verify(connection: &Connection, path: &Path) -> Result<(), ReadError> {
    let failed = read_failed("read the values of the store itself", path);
    let found = checksum_of(connection).map_err(&failed)?;
    let expected = number(connection, CHECKSUM).map_err(&failed)?;
    if found.map(i64::from) == expected {
        return Ok(());
    }
    let place = "the values of the store itself".to_owned();
    let (found, expected) = (found.unwrap_or_default(), expected.unwrap_or_default() as u32);
    Err(ReadError::Damaged(Damage::checksum(path, place, found, expected)))
}

pub(super) fn number(connection: &Connection, key: &str) -> rusqlite::Result<Option<i64>> {
    connection.prepare_cached("SELECT value FROM meta WHERE key = ?1")?.query_row([key], |row| row.get(0)).optional()
}

pub(super) fn set_number(connection: &Connection, key: &str, value: i64) -> rusqlite::Result<()> {
    connection
        .prepare_cached("INSERT OR REPLACE INTO meta (key, value) VALUES (?1, ?2)")?
        .execute(params![key, value])
        .map(|_| ())
}

/// Sets a value of others.
pub(super) fn put(connection: &Connection, key: &str, value: &[u8]) -> rusqlite::Result<()> {
    connection
        .prepare_cached("INSERT OR REPLACE INTO meta (key, value) VALUES (?1, ?2)")?
        .execute(params![format!("{USER}{key}"), [&checksum::meta(key, value).to_le_bytes(), value].concat()])
        .map(|_| ())
}

/// A value of others, as [`put`] wrote it.
pub(super) fn value(connection: &Connection, path: &Path, key: &str) -> Result<Option<Vec<u8>>, ReadError> {
    let stored: Option<Vec<u8>> = connection
        .prepare_cached("SELECT value FROM meta WHERE key = ?1")
        .and_then(|mut statement| statement.query_row([format!("{USER}{key}")], |row| row.get(0)).optional())
        .map_err(read_failed("read a meta value", path))?;
    let Some(stored) = stored else { return Ok(None) };
    let place = format!("the value {key}");
    let Some((expected, value)) = stored.split_at_checked(4) else {
        let problem = "it is too short".to_owned();
        return Err(ReadError::Damaged(Damage { path: path.to_path_buf(), place, problem }));
    };
    let expected = u32::from_le_bytes(expected.try_into().expect("four bytes were split off"));
    let found = checksum::meta(key, value);
    if found == expected {
        return Ok(Some(value.to_vec()));
    }
    Err(ReadError::Damaged(Damage::checksum(path, place, found, expected)))
}
