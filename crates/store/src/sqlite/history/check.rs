//! Reading all of one day, and comparing its events with what finds them.

use std::path::Path;

use rusqlite::Connection;

use crate::{CheckReport, Damage, Inspection, ReadError, Reference, Sid, limits};

use super::super::database::{self, read_failed};
use super::keys::{self, ROLE_WORKSPACE, role_of};
use super::meta;
use super::ordered::Ordered;
use super::queries::{event_of, verified};

/// Reads everything in the file, and compares the events with what finds them.
pub(super) fn check(
    connection: &Connection,
    path: &Path,
    report: &mut CheckReport,
    inspection: &mut Inspection<'_>,
) -> Result<(), ReadError> {
    database::integrity_check(connection, path, &mut report.damage)?;
    let failed = read_failed("check the history", path);
    match keys::check(connection, path, &failed, &mut report.damage) {
        Err(ReadError::Damaged(damage)) => report.damage.push(damage),
        other => other?,
    }
    let mut events = connection
        .prepare(
            "SELECT e.id, e.at_ms, e.kind, e.checksum, e.sid, e.payload, k.sid
             FROM events e LEFT JOIN keys k ON k.id = e.workspace AND k.role = ?1 ORDER BY e.id",
        )
        .map_err(&failed)?;
    let mut mentions = connection
        .prepare(
            "SELECT m.event, m.kind, k.sid, k.role FROM mentions m LEFT JOIN keys k ON k.id = m.key
             ORDER BY m.event, k.role, k.sid",
        )
        .map_err(&failed)?;
    let mut sids = connection.prepare("SELECT event, sid, run FROM sids ORDER BY event").map_err(&failed)?;
    let removed = meta::removed(connection).map_err(&failed)?;
    let sid_runs = meta::number(connection, meta::SID_RUNS).map_err(&failed)?;
    let sid_runs_event = meta::number(connection, meta::SID_RUNS_EVENT).map_err(&failed)?;
    let mut rows = events.query([ROLE_WORKSPACE]).map_err(&failed)?;
    let mut mentions = Ordered::new("event", mentions.query([]).map_err(&failed)?, |row| {
        Ok((row.get(0)?, (row.get::<_, u16>(1)?, row.get::<_, Sid>(2)?, row.get::<_, u32>(3)?)))
    });
    let mut sids = Ordered::new("event", sids.query([]).map_err(&failed)?, |row| {
        Ok((row.get(0)?, (row.get::<_, Sid>(1)?, row.get::<_, i64>(2)?)))
    });
    while let Some(row) = rows.next().map_err(&failed)? {
        let event = row.get(6).and_then(|workspace| event_of(row, workspace)).map_err(&failed)?;
        let id = event.0.key.id;
        let mut problem = |problem: String| {
            report.damage.push(Damage { path: path.to_path_buf(), place: format!("event {id}"), problem });
        };
        let found = mentions.of(id, path, &failed)?;
        let in_runs = sids.of(id, path, &failed)?;
        if removed.contains_key(&event.0.workspace) {
            // Nobody sees it any more, and not all that finds it may be there.
            continue;
        }
        report.history_events += 1;
        match verified(event, path) {
            Err(damage) => report.damage.push(damage),
            Ok(event) => {
                if found.iter().any(|(kind, ..)| *kind != event.kind) {
                    problem("its mentions are of another type of event".to_owned());
                }
                let references: Option<Vec<Reference>> = found
                    .iter()
                    .filter(|(_, _, role)| *role != ROLE_WORKSPACE)
                    .map(|&(_, sid, role)| Some(Reference { role: role_of(role)?, sid }))
                    .collect();
                let by_workspace =
                    found.iter().filter(|(_, sid, role)| (*role, *sid) == (ROLE_WORKSPACE, event.workspace));
                match references {
                    _ if by_workspace.count() != 1 => problem("its workspace does not find it".to_owned()),
                    None => problem("it is mentioned in a role that is not known".to_owned()),
                    Some(references) => {
                        if let Err(text) = (inspection.event)(&event, &references) {
                            problem(text);
                        }
                    }
                }
                let is_found = match in_runs[..] {
                    [] => id > sid_runs_event,
                    [(sid, run)] => sid == event.sid && (1..=sid_runs).contains(&run),
                    _ => false,
                };
                if !is_found {
                    problem("the index by sid does not find it".to_owned());
                }
            }
        }
        if report.history_events.is_multiple_of(limits::CHECK_PROGRESS_ROWS) {
            (inspection.progress)(report);
        }
        if report.damage.len() >= limits::DAMAGE_LISTED_MAX {
            return Ok(());
        }
    }
    mentions.of(i64::MAX, path, &failed)?;
    sids.of(i64::MAX, path, &failed)?;
    Ok(())
}
