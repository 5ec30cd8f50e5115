//! The ledger of the history: which days it has, and up to where each has its rows for good, as the journal notes it.
//!
//! The days are files of their own. Without a note elsewhere one that is gone would look as if nothing had happened on
//! it, and one put back from a copy as if nothing more had.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;

use rusqlite::{Connection, Transaction, params};

use crate::error::REMEDY_FOR_DAY as REMEDY;
use crate::history::Day;
use crate::{Damage, Position, ReadError, checksum, limits};

use super::database::{self, read_failed};
use super::history::meta::Stand;
use super::history::names;

/// The first format of the journal that has the table.
const SINCE_FORMAT: i64 = 2;

/// Days, and up to where each has its rows.
pub(super) type Days = BTreeMap<Day, Position>;

/// The days noted, verified.
pub(super) fn read(connection: &Connection, path: &Path) -> Result<Days, ReadError> {
    let failed = read_failed("read which days the history has", path);
    if database::format(connection).map_err(&failed)? < SINCE_FORMAT {
        return Ok(Days::new());
    }
    let mut statement = connection
        .prepare_cached("SELECT day, rows_position, checksum FROM history_days ORDER BY day")
        .map_err(&failed)?;
    let mut rows = statement.query([]).map_err(&failed)?;
    let mut days = Days::new();
    while let Some(row) = rows.next().map_err(&failed)? {
        let (day, position, expected) =
            row.get(0).and_then(|day| Ok((day, row.get(1)?, row.get::<_, u32>(2)?))).map_err(&failed)?;
        let found = checksum::numbers(&[day, position]);
        if found != expected {
            let place = format!("the note of day {day} of the history");
            return Err(ReadError::Damaged(Damage::checksum(path, place, found, expected)));
        }
        days.insert(Day(day), Position(position as u64));
    }
    Ok(days)
}

/// Notes days, new or further than before.
pub(super) fn note(transaction: &Transaction<'_>, days: &Days) -> rusqlite::Result<()> {
    let mut statement = transaction
        .prepare_cached("INSERT OR REPLACE INTO history_days (day, rows_position, checksum) VALUES (?1, ?2, ?3)")?;
    for (day, position) in days {
        let position = position.0 as i64;
        statement.execute(params![day.0, position, checksum::numbers(&[day.0, position])])?;
    }
    Ok(())
}

/// Forgets days that ended by an instant: they are about to go.
pub(super) fn forget_before(transaction: &Transaction<'_>, before_ms: i64) -> rusqlite::Result<()> {
    let first_kept = Day::of(before_ms);
    transaction.prepare_cached("DELETE FROM history_days WHERE day < ?1")?.execute([first_kept.0]).map(|_| ())
}

/// Forgets a day. Returns whether it was noted.
pub(super) fn forget(transaction: &Transaction<'_>, day: Day) -> rusqlite::Result<bool> {
    let deleted = transaction.prepare_cached("DELETE FROM history_days WHERE day = ?1")?.execute([day.0])?;
    Ok(deleted > 0)
}

/// Holds what is there against what was noted. A day further than its note is as a crash leaves it, and so is one
/// that is not noted yet.
///
/// - `directory`: that of the days.
pub(super) fn compare(noted: &Days, found: &BTreeMap<Day, Stand>, directory: &Path) -> Result<(), Damage> {
    let missing: Vec<Day> = noted.keys().copied().filter(|day| !found.contains_key(day)).collect();
    if let Some((&first, others)) = missing.split_first() {
        let mut problem = "the file is missing or empty, but the journal knows that it was there; ".to_owned();
        if !others.is_empty() {
            let named: Vec<_> =
                others.iter().take(limits::DAYS_NAMED_MAX).map(|day| names::date(*day).to_string()).collect();
            let (more, named) = (others.len(), named.join(", "));
            let rest = if more > limits::DAYS_NAMED_MAX { ", .." } else { "" };
            write!(problem, "so are {more} more: {named}{rest}; ").expect("a string takes all");
        }
        problem.push_str(REMEDY);
        return Err(Damage { path: names::path(directory, first), place: "its name".to_owned(), problem });
    }
    for (&day, &position) in noted {
        let found = found[&day].rows;
        if found < position {
            return Err(Damage {
                path: names::path(directory, day),
                place: "its own values".to_owned(),
                problem: format!(
                    "it ends at position {found}, but the journal knows that it went up to {position}, so it is an \
                     older copy; {REMEDY}"
                ),
            });
        }
    }
    Ok(())
}
