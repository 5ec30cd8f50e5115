//! The event history in memory.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;

use crate::history::Day;
use crate::{
    Dropped, HistoryEvent, HistoryKey, HistoryPage, HistoryQuery, HistoryRow, Position, Reference, Retention, Sid,
    limits,
};

#[derive(Debug, Default)]
pub(super) struct MemoryHistory {
    workspaces: BTreeMap<Sid, Workspace>,
    last_ids: BTreeMap<Day, i64>,
    position: Position,
    /// Up to where nothing is lost in a crash.
    synchronized: Position,
    /// What workspaces did in these days is dropped for good.
    retention: Retention,
}

#[derive(Debug, Default)]
struct Workspace {
    events: BTreeMap<HistoryKey, HistoryRow>,
    keys: BTreeMap<Sid, HistoryKey>,
    mentions: BTreeSet<(Reference, HistoryKey)>,
}

impl MemoryHistory {
    pub(super) fn position(&self) -> Position {
        self.position
    }

    pub(super) fn len(&self) -> usize {
        self.workspaces.values().map(|workspace| workspace.events.len()).sum()
    }

    pub(super) fn synchronize(&mut self) -> Position {
        self.synchronized = self.position;
        self.position
    }

    pub(super) fn project(&mut self, up_to: Position, rows: &[HistoryRow]) {
        for row in rows.iter().filter(|row| row.position > self.position) {
            let day = Day::of(row.at_ms);
            if self.retention.is_over(day, row.workspace) {
                continue;
            }
            let last_id = self.last_ids.entry(day).or_default();
            *last_id = (row.at_ms << limits::HISTORY_COUNTER_BITS).max(*last_id + 1);
            let key = HistoryKey { at_ms: row.at_ms, id: *last_id };
            let workspace = self.workspaces.entry(row.workspace).or_default();
            workspace.mentions.extend(row.references.iter().map(|&reference| (reference, key)));
            workspace.keys.insert(row.sid, key);
            workspace.events.insert(key, row.clone());
        }
        self.position = self.position.max(up_to);
    }

    pub(super) fn query(&self, query: &HistoryQuery) -> HistoryPage {
        let Some(workspace) = self.workspaces.get(&query.workspace) else { return query.page(Vec::new()) };
        let ascending = query.is_ascending();
        let first = HistoryKey { at_ms: query.from_ms, id: i64::MIN };
        let last = HistoryKey { at_ms: query.to_ms, id: i64::MAX };
        let (low, high) = match query.cursor {
            Some(key) if ascending && key >= first => (Bound::Excluded(key), last),
            Some(key) if !ascending => (Bound::Included(first), last.min(HistoryKey { id: key.id - 1, ..key })),
            Some(_) | None => (Bound::Included(first), last),
        };
        if first > high || matches!(low, Bound::Excluded(key) if key >= high) {
            return query.page(Vec::new());
        }
        let events = workspace.keys_of(query.references.first(), low, high, ascending);
        let matching = events.map(|key| (key, &workspace.events[&key])).filter(|(_, row)| {
            (query.kinds.is_empty() || query.kinds.contains(&row.kind))
                && query.references.iter().all(|reference| row.references.contains(reference))
        });
        query.page(matching.take(query.page_max() + 1).map(|(key, row)| event_of(key, row)).collect())
    }

    pub(super) fn event(&self, workspace: Sid, sid: Sid) -> Option<HistoryEvent> {
        let workspace = self.workspaces.get(&workspace)?;
        let key = *workspace.keys.get(&sid)?;
        Some(event_of(key, &workspace.events[&key]))
    }

    /// Drops what is no longer kept, for good.
    pub(super) fn retain(&mut self, retention: &Retention) -> Dropped {
        self.retention = retention.clone();
        let mut gone: BTreeMap<Day, u64> = BTreeMap::new();
        self.remove(|row| {
            let day = Day::of(row.at_ms);
            let is_over = retention.is_over(day, row.workspace);
            *gone.entry(day).or_default() += u64::from(is_over);
            is_over
        });
        let rows = self.workspaces.values().flat_map(|workspace| workspace.events.values());
        let left: BTreeSet<Day> = rows.map(|row| Day::of(row.at_ms)).collect();
        let mut dropped = Dropped::default();
        self.last_ids.retain(|day, _| left.contains(day) || !retention.may_be_over(*day));
        for (day, events) in gone {
            if left.contains(&day) {
                dropped.events += events;
            } else {
                dropped.days += 1;
            }
        }
        dropped
    }

    /// Loses what was projected since the history was last synchronized.
    pub(super) fn fall_back(&mut self) {
        let synchronized = self.synchronized;
        self.remove(|row| row.position > synchronized);
        self.position = synchronized;
    }

    fn remove(&mut self, mut is_gone: impl FnMut(&HistoryRow) -> bool) {
        for workspace in self.workspaces.values_mut() {
            let gone: Vec<HistoryKey> =
                workspace.events.iter().filter(|(_, row)| is_gone(row)).map(|(key, _)| *key).collect();
            for key in gone {
                let row = workspace.events.remove(&key).expect("just listed");
                workspace.keys.remove(&row.sid);
                for reference in row.references {
                    workspace.mentions.remove(&(reference, key));
                }
            }
        }
    }
}

impl Workspace {
    /// Keys of all events, or of those that mention something.
    fn keys_of(
        &self,
        reference: Option<&Reference>,
        low: Bound<HistoryKey>,
        high: HistoryKey,
        ascending: bool,
    ) -> Box<dyn Iterator<Item = HistoryKey> + '_> {
        let Some(&reference) = reference else {
            let keys = self.events.range((low, Bound::Included(high))).map(|(key, _)| *key);
            return if ascending { Box::new(keys) } else { Box::new(keys.rev()) };
        };
        let low = low.map(|key| (reference, key));
        let keys = self.mentions.range((low, Bound::Included((reference, high)))).map(|(_, key)| *key);
        if ascending { Box::new(keys) } else { Box::new(keys.rev()) }
    }
}

fn event_of(key: HistoryKey, row: &HistoryRow) -> HistoryEvent {
    HistoryEvent { key, workspace: row.workspace, sid: row.sid, kind: row.kind, payload: row.payload.clone() }
}
