//! The outbox table of the journal file.

use std::path::Path;

use rusqlite::{Connection, OptionalExtension, Row, ToSql, params};

use crate::{
    CheckReport, Damage, DeadLetter, KeptLetters, LetterPlace, OutboxChange, OutboxCounts, OutboxEntry, OutboxLane,
    OutboxNumber, ReadError, Sid, WaitingDelivery, checksum, limits,
};

use super::database::read_failed;

const COLUMNS: &str = "number, sid, workspace, key, lane, at_ms, checksum, payload, is_dead";

pub(super) fn change(connection: &Connection, changes: &[OutboxChange]) -> rusqlite::Result<()> {
    for change in changes {
        match change {
            OutboxChange::Put(entry) => put(connection, entry)?,
            OutboxChange::Done { sid } => {
                connection.prepare_cached("DELETE FROM outbox WHERE sid = ?1")?.execute([sid])?;
            }
            OutboxChange::Dead { sid, at_ms, payload } => bury(connection, sid, *at_ms, payload)?,
        }
    }
    Ok(())
}

fn put(connection: &Connection, entry: &OutboxEntry) -> rusqlite::Result<()> {
    let checksum = checksum::delivery(entry, false);
    let values = params![entry.sid, entry.workspace, entry.key, entry.lane, entry.at_ms, checksum, entry.payload];
    // Not an upsert: that would use up a number for a delivery that keeps its own.
    let updated = connection
        .prepare_cached(
            "UPDATE outbox SET workspace = ?2, key = ?3, lane = ?4, is_dead = 0, at_ms = ?5, checksum = ?6, payload = ?7
             WHERE sid = ?1",
        )?
        .execute(values)?;
    if updated == 0 {
        connection
            .prepare_cached(
                "INSERT INTO outbox (sid, workspace, key, lane, is_dead, at_ms, checksum, payload)
                 VALUES (?1, ?2, ?3, ?4, 0, ?5, ?6, ?7)",
            )?
            .execute(values)?;
    }
    Ok(())
}

fn bury(connection: &Connection, sid: &Sid, at_ms: i64, payload: &[u8]) -> rusqlite::Result<()> {
    let mut statement =
        connection.prepare_cached("SELECT workspace, key, lane FROM outbox WHERE sid = ?1 AND is_dead = 0")?;
    let mut rows = statement.query([sid])?;
    let Some(row) = rows.next()? else { return Ok(()) };
    let (workspace, key, lane) = (row.get(0)?, row.get(1)?, row.get(2)?);
    let entry = OutboxEntry { sid: *sid, workspace, key, lane, at_ms, payload: payload.to_vec() };
    let checksum = checksum::delivery(&entry, true);
    connection
        .prepare_cached("UPDATE outbox SET is_dead = 1, at_ms = ?2, checksum = ?3, payload = ?4 WHERE sid = ?1")?
        .execute(params![sid, at_ms, checksum, payload])?;
    Ok(())
}

/// - `lane`: `None` for all of them.
pub(super) fn waiting(
    connection: &Connection,
    path: &Path,
    lane: Option<OutboxLane>,
    after: OutboxNumber,
    limit: usize,
) -> Result<Vec<WaitingDelivery>, ReadError> {
    let failed = read_failed("read the outbox", path);
    let of = if lane.is_some() { "AND workspace = ?3 AND lane = ?4" } else { "AND ?3 IS NULL AND ?4 IS NULL" };
    let sql = format!("SELECT {COLUMNS} FROM outbox WHERE is_dead = 0 AND number > ?1 {of} ORDER BY number LIMIT ?2");
    let (workspace, number) = lane.map(|lane| (lane.workspace, lane.number)).unzip();
    let mut statement = connection.prepare_cached(&sql).map_err(&failed)?;
    let mut rows = statement.query(params![after.0 as i64, page(limit), workspace, number]).map_err(&failed)?;
    let mut deliveries = Vec::new();
    while let Some(row) = rows.next().map_err(&failed)? {
        let (number, entry, found, expected) = entry_of(row).map_err(&failed)?;
        verify(path, number, found, expected)?;
        deliveries.push(WaitingDelivery { number, entry });
    }
    Ok(deliveries)
}

pub(super) fn dead(
    connection: &Connection,
    path: &Path,
    kept: KeptLetters,
    place: LetterPlace,
    limit: usize,
) -> Result<Vec<DeadLetter>, ReadError> {
    let failed = read_failed("read the dead letters", path);
    let (number, condition, order) = match place {
        LetterPlace::After(number) => (number, ">", "ASC"),
        LetterPlace::Before(number) => (number, "<", "DESC"),
    };
    let sql = format!(
        "SELECT {COLUMNS} FROM outbox WHERE is_dead = 1 AND workspace = ?1 AND number {condition} ?2
         AND at_ms >= ?3 ORDER BY number {order} LIMIT ?4"
    );
    let number = i64::try_from(number.0).unwrap_or(i64::MAX);
    let mut statement = connection.prepare_cached(&sql).map_err(&failed)?;
    let mut rows = statement.query(params![kept.workspace, number, kept.from_ms, page(limit)]).map_err(&failed)?;
    let mut letters = Vec::new();
    while let Some(row) = rows.next().map_err(&failed)? {
        letters.push(letter_of(row, path)?);
    }
    letters.sort_by_key(|letter| letter.number);
    Ok(letters)
}

/// Every lane in which deliveries wait. Cost: a look into the index for each.
pub(super) fn lanes(connection: &Connection) -> rusqlite::Result<Vec<OutboxLane>> {
    let mut next = connection.prepare_cached(
        "SELECT workspace, lane FROM outbox WHERE is_dead = 0 AND (workspace, lane) > (?1, ?2)
         ORDER BY workspace, lane LIMIT 1",
    )?;
    let mut lanes: Vec<OutboxLane> = Vec::new();
    // The empty value comes before every sid.
    let (mut workspace, mut number) = (Vec::new(), 0);
    let lane = |row: &Row<'_>| Ok(OutboxLane { workspace: row.get(0)?, number: row.get(1)? });
    while let Some(found) = next.query_row(params![workspace, number], lane).optional()? {
        (workspace, number) = (found.workspace.to_vec(), found.number);
        lanes.push(found);
    }
    Ok(lanes)
}

/// Every workspace that has dead letters.
pub(super) fn workspaces_of_dead(connection: &Connection) -> rusqlite::Result<Vec<Sid>> {
    let mut statement = connection.prepare("SELECT DISTINCT workspace FROM outbox WHERE is_dead = 1")?;
    let rows = statement.query_map([], |row| row.get(0))?;
    rows.collect()
}

/// Deletes dead letters of a workspace from before an instant, at most `limit`.
pub(super) fn drop_dead(
    connection: &Connection,
    workspace: Sid,
    before_ms: i64,
    limit: usize,
) -> rusqlite::Result<usize> {
    connection
        .prepare_cached(
            "DELETE FROM outbox WHERE number IN (
                 SELECT number FROM outbox WHERE is_dead = 1 AND workspace = ?1 AND at_ms < ?2 LIMIT ?3)",
        )?
        .execute(params![workspace, before_ms, limit as i64])
}

pub(super) fn counts(connection: &Connection, path: &Path, kept: KeptLetters) -> Result<OutboxCounts, ReadError> {
    let count = |sql, values: &[&dyn ToSql]| -> rusqlite::Result<u64> {
        let mut statement = connection.prepare_cached(sql)?;
        statement.query_row(values, |row| row.get::<_, i64>(0)).map(|count| count as u64)
    };
    // Both are answered by an index alone.
    let waiting = "SELECT count(*) FROM outbox WHERE is_dead = 0 AND workspace = ?1";
    let dead = "SELECT count(*) FROM outbox WHERE is_dead = 1 AND workspace = ?1 AND at_ms >= ?2";
    let failed = read_failed("count the outbox", path);
    Ok(OutboxCounts {
        waiting: count(waiting, &[&kept.workspace]).map_err(&failed)?,
        dead: count(dead, &[&kept.workspace, &kept.from_ms]).map_err(&failed)?,
    })
}

pub(super) fn dead_letter(
    connection: &Connection,
    path: &Path,
    kept: KeptLetters,
    sid: Sid,
) -> Result<Option<DeadLetter>, ReadError> {
    let failed = read_failed("read a dead letter", path);
    let sql = format!("SELECT {COLUMNS} FROM outbox WHERE is_dead = 1 AND sid = ?1 AND workspace = ?2 AND at_ms >= ?3");
    let mut statement = connection.prepare_cached(&sql).map_err(&failed)?;
    let mut rows = statement.query(params![sid, kept.workspace, kept.from_ms]).map_err(&failed)?;
    rows.next().map_err(&failed)?.map(|row| letter_of(row, path)).transpose()
}

pub(super) fn check(connection: &Connection, path: &Path, report: &mut CheckReport) -> Result<(), ReadError> {
    let failed = read_failed("read the outbox", path);
    let mut statement =
        connection.prepare(&format!("SELECT {COLUMNS} FROM outbox ORDER BY number")).map_err(&failed)?;
    let mut rows = statement.query([]).map_err(&failed)?;
    while let Some(row) = rows.next().map_err(&failed)? {
        let (number, _, found, expected) = entry_of(row).map_err(&failed)?;
        report.deliveries += 1;
        if let Err(damage) = verify(path, number, found, expected) {
            report.damage.push(damage);
        }
        if report.damage.len() >= limits::DAMAGE_LISTED_MAX {
            break;
        }
    }
    Ok(())
}

fn letter_of(row: &Row<'_>, path: &Path) -> Result<DeadLetter, ReadError> {
    let (number, entry, found, expected) = entry_of(row).map_err(read_failed("read a dead letter", path))?;
    verify(path, number, found, expected)?;
    let OutboxEntry { sid, workspace, key: _, lane: _, at_ms, payload } = entry;
    Ok(DeadLetter { number, sid, workspace, at_ms, payload })
}

fn entry_of(row: &Row<'_>) -> rusqlite::Result<(OutboxNumber, OutboxEntry, u32, u32)> {
    let number = OutboxNumber(row.get::<_, i64>(0)? as u64);
    let entry = OutboxEntry {
        sid: row.get(1)?,
        workspace: row.get(2)?,
        key: row.get(3)?,
        lane: row.get(4)?,
        at_ms: row.get(5)?,
        payload: row.get(7)?,
    };
    let found = checksum::delivery(&entry, row.get(8)?);
    Ok((number, entry, found, row.get(6)?))
}

fn verify(path: &Path, number: OutboxNumber, found: u32, expected: u32) -> Result<(), Damage> {
    if found == expected {
        return Ok(());
    }
    Err(Damage::checksum(path, format!("delivery {}", number.0), found, expected))
}

fn page(limit: usize) -> i64 {
    limit.min(limits::OUTBOX_PAGE_MAX) as i64
}
