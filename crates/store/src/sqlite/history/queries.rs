//! What is asked of one day: pages of events, and single ones.

use std::fmt::Write as _;
use std::path::Path;

use rusqlite::{Connection, OptionalExtension, Row, params, params_from_iter};

use crate::{Damage, HistoryEvent, HistoryKey, HistoryQuery, ReadError, Role, Sid, checksum, limits};

use super::super::database::read_failed;
use super::keys::{self, role_number};
use super::meta;

/// Adds to `events` those of a day that a query asks for, at most `wanted`, in its order.
///
/// - `passed`: identifier of the event after which they begin, when it is of this day.
pub(super) fn select(
    connection: &Connection,
    path: &Path,
    query: &HistoryQuery,
    passed: Option<i64>,
    wanted: usize,
    events: &mut Vec<HistoryEvent>,
) -> Result<(), ReadError> {
    let failed = read_failed("read the history", path);
    let Some(keys) = find_keys(connection, query).map_err(&failed)? else { return Ok(()) };
    let lag_ms = meta::number(connection, meta::LAG_MS).map_err(&failed)?;
    // Identifiers run at most `lag_ms` ahead of the instants of their events, and never behind.
    let mut id_min = query.from_ms.clamp(0, limits::HISTORY_AT_MS_MAX) << limits::HISTORY_COUNTER_BITS;
    let to_ms = query.to_ms.min(limits::HISTORY_AT_MS_MAX);
    let mut id_max = (to_ms + 1).saturating_add(lag_ms).min(i64::MAX >> limits::HISTORY_COUNTER_BITS)
        << limits::HISTORY_COUNTER_BITS;
    match passed {
        Some(passed) if query.is_ascending() => id_min = id_min.max(passed + 1),
        Some(passed) => id_max = id_max.min(passed - 1),
        None => {}
    }
    let mut sql = String::from(
        "SELECT e.id, e.at_ms, e.kind, e.checksum, e.sid, e.payload
         FROM mentions m CROSS JOIN events e ON e.id = m.event
         WHERE m.event BETWEEN ? AND ? AND e.workspace = ? AND e.at_ms BETWEEN ? AND ?",
    );
    let mut values = vec![id_min, id_max, keys.workspace, query.from_ms, query.to_ms];
    let mut one_of = |sql: &mut String, column: &str, numbers: &[i64]| {
        let marks = vec!["?"; numbers.len()].join(", ");
        write!(sql, " AND {column} IN ({marks})").expect("a string takes all");
        values.extend(numbers);
    };
    one_of(&mut sql, "m.key", &keys.leading);
    for other in &keys.others {
        sql.push_str(" AND EXISTS (SELECT 1 FROM mentions WHERE event = m.event");
        one_of(&mut sql, "key", other);
        sql.push(')');
    }
    if !keys.kinds.is_empty() {
        one_of(&mut sql, "m.kind", &keys.kinds);
    }
    write!(sql, " ORDER BY m.event {} LIMIT ?", if query.is_ascending() { "ASC" } else { "DESC" })
        .expect("a string takes all");
    values.push(wanted as i64);
    let mut statement = connection.prepare_cached(&sql).map_err(&failed)?;
    let mut rows = statement.query(params_from_iter(values)).map_err(&failed)?;
    while let Some(row) = rows.next().map_err(&failed)? {
        events.push(verified(event_of(row, query.workspace).map_err(&failed)?, path)?);
    }
    Ok(())
}

/// What a query asks for, in the numbers of one file.
struct QueryKeys {
    workspace: i64,
    /// The numbers of what the fewest events should mention; the rows looked at are those that do.
    leading: Vec<i64>,
    /// Those of each other thing.
    others: Vec<Vec<i64>>,
    kinds: Vec<i64>,
}

/// `None` when no event of the file can match.
fn find_keys(connection: &Connection, query: &HistoryQuery) -> rusqlite::Result<Option<QueryKeys>> {
    if meta::is_removed(connection, query.workspace)? {
        return Ok(None);
    }
    let Some(workspace) = keys::find_workspace(connection, query.workspace)? else { return Ok(None) };
    let mut references = query.references.clone();
    references.sort_by_key(|reference| selectivity(reference.role));
    references.dedup();
    let mut others = Vec::with_capacity(references.len());
    for reference in references {
        let keys = keys::find(connection, reference.sid, role_number(reference.role))?;
        if keys.is_empty() {
            return Ok(None);
        }
        others.push(keys);
    }
    let mut kinds: Vec<i64> = query.kinds.iter().map(|&kind| kind.into()).collect();
    kinds.sort_unstable();
    kinds.dedup();
    let leading = if others.is_empty() { vec![workspace] } else { others.remove(0) };
    Ok(Some(QueryKeys { workspace, leading, others, kinds }))
}

/// Less is fewer events per thing.
fn selectivity(role: Role) -> u8 {
    match role {
        Role::Reservation => 0,
        Role::Task => 1,
        Role::Worker => 2,
        Role::TaskQueue => 3,
        Role::Workflow => 4,
        Role::TaskChannel => 5,
    }
}

pub(super) fn find(
    connection: &Connection,
    path: &Path,
    workspace: Sid,
    sid: Sid,
) -> Result<Option<HistoryEvent>, ReadError> {
    let failed = read_failed("look for an event in the history", path);
    let Some(workspace_key) = keys::find_workspace(connection, workspace).map_err(&failed)? else {
        return Ok(None);
    };
    if meta::is_removed(connection, workspace).map_err(&failed)? {
        return Ok(None);
    }
    let Some(id) = find_id(connection, workspace_key, sid).map_err(&failed)? else { return Ok(None) };
    let found = connection
        .prepare_cached("SELECT id, at_ms, kind, checksum, sid, payload FROM events WHERE id = ?1")
        .and_then(|mut statement| statement.query_row([id], |row| event_of(row, workspace)))
        .map_err(&failed)?;
    Ok(Some(verified(found, path)?))
}

fn find_id(connection: &Connection, workspace: i64, sid: Sid) -> rusqlite::Result<Option<i64>> {
    let mut in_run = connection.prepare_cached(
        "SELECT e.id FROM sids s CROSS JOIN events e ON e.id = s.event
         WHERE s.run = ?1 AND s.sid = ?2 AND e.workspace = ?3",
    )?;
    for run in (1..=meta::number(connection, meta::SID_RUNS)?).rev() {
        let found = in_run.query_row(params![run, sid, workspace], |row| row.get(0)).optional()?;
        if found.is_some() {
            return Ok(found);
        }
    }
    connection
        .prepare_cached("SELECT id FROM events WHERE id > ?1 AND sid = ?2 AND workspace = ?3")?
        .query_row(params![meta::number(connection, meta::SID_RUNS_EVENT)?, sid, workspace], |row| row.get(0))
        .optional()
}

pub(super) fn event_of(row: &Row<'_>, workspace: Sid) -> rusqlite::Result<(HistoryEvent, u32)> {
    let event = HistoryEvent {
        key: HistoryKey { id: row.get(0)?, at_ms: row.get(1)? },
        workspace,
        sid: row.get(4)?,
        kind: row.get(2)?,
        payload: row.get(5)?,
    };
    Ok((event, row.get(3)?))
}

pub(super) fn verified((event, expected): (HistoryEvent, u32), path: &Path) -> Result<HistoryEvent, Damage> {
    let HistoryEvent { key, workspace, sid, kind, payload } = &event;
    let found = checksum::history_event(workspace, key.id, key.at_ms, sid, *kind, payload);
    if found == expected {
        return Ok(event);
    }
    Err(Damage::checksum(path, format!("event {}", event.key.id), found, expected))
}
