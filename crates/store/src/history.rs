//! The event history: rows of past events, how they are asked for, and how long they are kept.

use std::collections::BTreeMap;

use crate::{Position, Sid, WriteError, limits};

/// As what an event mentions something.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
#[repr(u8)]
pub enum Role {
    Task = 1,
    Worker = 2,
    TaskQueue = 3,
    Workflow = 4,
    Reservation = 5,
    TaskChannel = 6,
}

/// A thing that an event mentions; events are found by it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Reference {
    pub role: Role,
    pub sid: Sid,
}

/// One event, as the projection writes it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct HistoryRow {
    /// Position of the journal record that the event comes from.
    pub position: Position,
    pub workspace: Sid,
    pub sid: Sid,
    /// Number of the event's type.
    pub kind: u16,
    /// When it happened, in milliseconds since the Unix epoch; from 0 to [`limits::HISTORY_AT_MS_MAX`]. Of one
    /// workspace never less than that of the row before.
    pub at_ms: i64,
    /// Everything that a query may name, in any order; repetitions count once.
    pub references: Vec<Reference>,
    pub payload: Vec<u8>,
}

/// Place of an event in the history of its workspace: the order of keys is the order of the journal.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct HistoryKey {
    pub at_ms: i64,
    /// Grows within a UTC day; about `at_ms` shifted left by [`limits::HISTORY_COUNTER_BITS`], plus a counter.
    pub id: i64,
}

/// One event, as a query returns it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct HistoryEvent {
    pub key: HistoryKey,
    pub workspace: Sid,
    pub sid: Sid,
    pub kind: u16,
    pub payload: Vec<u8>,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum HistoryOrder {
    NewestFirst,
    OldestFirst,
}

/// Which events to return. All conditions must hold.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct HistoryQuery {
    pub workspace: Sid,
    /// First instant, inclusive.
    pub from_ms: i64,
    /// Last instant, inclusive.
    pub to_ms: i64,
    /// Types of events; empty is all.
    pub kinds: Vec<u16>,
    /// Events that mention every one of these.
    pub references: Vec<Reference>,
    pub order: HistoryOrder,
    /// The events that follow this one, in the order asked for; `None` is from the first one.
    pub cursor: Option<HistoryKey>,
    /// Most events to return; more than [`limits::HISTORY_PAGE_MAX`] counts as that.
    pub limit: usize,
}

impl HistoryQuery {
    /// Every event of a workspace, newest first, a page of 50.
    pub fn all(workspace: Sid) -> HistoryQuery {
        HistoryQuery {
            workspace,
            from_ms: 0,
            to_ms: limits::HISTORY_AT_MS_MAX,
            kinds: Vec::new(),
            references: Vec::new(),
            order: HistoryOrder::NewestFirst,
            cursor: None,
            limit: 50,
        }
    }

    pub(crate) fn is_ascending(&self) -> bool {
        self.order == HistoryOrder::OldestFirst
    }

    /// How many events a page may have.
    pub(crate) fn page_max(&self) -> usize {
        self.limit.min(limits::HISTORY_PAGE_MAX)
    }

    /// Makes the page out of what was found, which is one event more than it may have if there are more.
    pub(crate) fn page(&self, mut events: Vec<HistoryEvent>) -> HistoryPage {
        let more = events.len() > self.page_max();
        events.truncate(self.page_max());
        HistoryPage { events, more }
    }
}

/// One page of events, in the order asked for.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct HistoryPage {
    pub events: Vec<HistoryEvent>,
    /// There are further events after the last one.
    pub more: bool,
}

/// From which instant on events are kept, in milliseconds since the Unix epoch. The pieces are whole UTC days: what
/// lies in the day of the instant stays.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Retention {
    /// Of every workspace that is not in `from_ms_of`.
    pub from_ms: i64,
    /// Of some workspaces, earlier or later than the others.
    pub from_ms_of: BTreeMap<Sid, i64>,
}

impl Retention {
    /// The same for all workspaces.
    pub fn all(from_ms: i64) -> Retention {
        Retention { from_ms, from_ms_of: BTreeMap::new() }
    }

    pub fn of(&self, workspace: Sid) -> i64 {
        self.from_ms_of.get(&workspace).copied().unwrap_or(self.from_ms)
    }

    /// Before this instant nothing is kept of any workspace.
    pub(crate) fn first_ms(&self) -> i64 {
        self.from_ms_of.values().copied().fold(self.from_ms, i64::min)
    }

    /// Whether nothing that a workspace did in a day is kept.
    pub(crate) fn is_over(&self, day: Day, workspace: Sid) -> bool {
        day.end_ms() <= self.of(workspace)
    }

    /// Whether there may be a workspace of which nothing in a day is kept.
    pub(crate) fn may_be_over(&self, day: Day) -> bool {
        day.end_ms() <= self.from_ms_of.values().copied().fold(self.from_ms, i64::max)
    }
}

/// What [`crate::Store::retain`] has dropped.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Dropped {
    /// Whole days, with all that was in them.
    pub days: u64,
    /// Events out of days of which other workspaces keep theirs.
    pub events: u64,
}

/// Number of a UTC day since the Unix epoch.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) struct Day(pub(crate) i64);

impl Day {
    const MS: i64 = 86_400_000;

    pub(crate) fn of(at_ms: i64) -> Day {
        Day(at_ms.div_euclid(Day::MS))
    }

    pub(crate) fn end_ms(self) -> i64 {
        (self.0 + 1) * Day::MS
    }
}

/// Refuses rows beyond the limits or out of order; both implementations call it first.
pub(crate) fn check_rows(up_to: Position, rows: &[HistoryRow]) -> Result<(), WriteError> {
    let mut before = Position::ZERO;
    for row in rows {
        if row.position < before || row.position > up_to {
            return Err(WriteError::RowOrder { position: row.position, before, up_to });
        }
        before = row.position;
        if row.at_ms < 0 || row.at_ms > limits::HISTORY_AT_MS_MAX {
            return Err(WriteError::Instant { position: row.position, at_ms: row.at_ms });
        }
        WriteError::check_size("payload of a history row", row.payload.len(), limits::HISTORY_PAYLOAD_BYTES_MAX)?;
        WriteError::check_size("references of a history row", row.references.len(), limits::HISTORY_REFERENCES_MAX)?;
    }
    Ok(())
}
