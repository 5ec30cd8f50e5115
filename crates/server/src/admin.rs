//! What operators do with a data directory that no server uses: look for damage, take events out.

use std::io::Write;
use std::panic::AssertUnwindSafe;
use std::path::{Path, PathBuf};

use pointsman_api::{self as api, HistoryAnswer, HttpRequest};
use pointsman_dispatcher::{Batch, Input, Reply, Shard, Ticket};
use pointsman_engine::{Limits, Workspace};
use pointsman_record::{public_event, turn};
use pointsman_store::{
    CheckReport, HistoryEvent, HistoryOrder, HistoryQuery, Inspection, Options, ReadLimit, Reference, SequenceNumber,
    Store, StreamId,
};

// What the program needs of the crates below, so that it uses this one alone.
pub use jiff::civil::Date;
pub use pointsman_engine::{Sid, Timestamp};
pub use pointsman_store::limits::HISTORY_AT_MS_MAX;
pub use pointsman_store::{BackupError, BackupReport, OpenError, ReadError, SqliteStore, backup, restore};

use crate::configuration::Configuration;
use crate::logging::chain;
use crate::retention::Retention;
use crate::{accounts, history, limits, projector, recovery};

/// Opens the store in a directory, which no server may use meanwhile.
pub fn open(directory: &Path) -> Result<SqliteStore, OpenError> {
    SqliteStore::open(directory, &Options::default())
}

/// Gives up a day of the event history that is lost or damaged. Returns under which name what is left of it is kept.
pub fn forget_day(directory: &Path, date: Date) -> Result<Option<PathBuf>, OpenError> {
    SqliteStore::forget_day(directory, date)
}

/// Whether a directory holds a store, so that one whose name was misspelt is not made by looking at it.
pub fn holds_store(directory: &Path) -> bool {
    ["journal.sqlite", "store.lock"].iter().any(|name| directory.join(name).is_file())
}

/// What a check has read, and everything that is wrong.
#[derive(Clone, Debug, Default)]
pub struct CheckSummary {
    pub store: CheckReport,
    pub workspaces: u64,
    pub tasks: u64,
    pub workers: u64,
    pub accounts: u64,
    /// Records that are not in the history yet; the next start brings them there.
    pub records_to_project: u64,
    /// One line each: where, and what.
    pub problems: Vec<String>,
}

/// Reads and verifies everything in a store, and makes every workspace again from it.
///
/// - `progress`: told now and then what is being done.
/// - Errors: only when something cannot be read at all; damage is in the summary.
pub fn check(store: &SqliteStore, limits: Limits, progress: &mut dyn FnMut(&str)) -> Result<CheckSummary, ReadError> {
    let mut inspection = Inspection {
        progress: &mut |report: &CheckReport| {
            progress(&format!("{} records, {} events", report.records, report.history_events));
        },
        event: &mut inspect_event,
    };
    let mut summary = CheckSummary { store: store.check_with(&mut inspection)?, ..CheckSummary::default() };
    summary.problems = summary.store.damage.iter().map(ToString::to_string).collect();
    match accounts::load(store) {
        Ok((accounts, _)) => summary.accounts = accounts.accounts().count() as u64,
        Err(error) => summary.problems.push(chain(&error)),
    }
    check_outbox(store, &mut summary)?;
    summary.records_to_project = store.last_position().0.saturating_sub(store.history_position().0);
    for (stream, last) in store.streams()? {
        if stream == StreamId::ACCOUNTS {
            continue;
        }
        progress(&format!("workspace {}", workspace_sid(stream)));
        if let Err(problem) = check_records(store, stream, last) {
            summary.problems.push(format!("workspace {}: {problem}", workspace_sid(stream)));
        }
        match check_workspace(store, stream, limits) {
            Ok(Some((tasks, workers))) => {
                summary.workspaces += 1;
                summary.tasks += tasks;
                summary.workers += workers;
            }
            Ok(None) => {}
            Err(problem) => summary.problems.push(format!("workspace {}: {problem}", workspace_sid(stream))),
        }
    }
    Ok(summary)
}

/// Whether an event can be read and is found by everything that it mentions, and nothing else.
fn inspect_event(event: &HistoryEvent, found_by: &[Reference]) -> Result<(), String> {
    let decoded = public_event::decode(&event.payload).map_err(|error| chain(&error))?;
    if (decoded.sid.bytes(), public_event::kind_number(decoded.kind)) != (event.sid, event.kind) {
        return Err("its content is that of another event".to_owned());
    }
    let mut expected: Vec<Reference> = decoded.references().into_iter().map(history::stored_reference).collect();
    let mut found = found_by.to_vec();
    for references in [&mut expected, &mut found] {
        references.sort_unstable();
        references.dedup();
    }
    if expected == found { Ok(()) } else { Err("what it mentions does not find it, or something else does".to_owned()) }
}

fn check_outbox(store: &SqliteStore, summary: &mut CheckSummary) -> Result<(), ReadError> {
    let mut after = pointsman_store::OutboxNumber(0);
    loop {
        let page = match store.outbox_read(after, limits::DELIVERIES_PAGE) {
            Ok(page) => page,
            // The store's own check has named it.
            Err(ReadError::Damaged(_)) => return Ok(()),
            Err(error) => return Err(error),
        };
        let Some(last) = page.last() else { return Ok(()) };
        after = last.number;
        for delivery in &page {
            if let Err(error) = pointsman_record::delivery::decode(&delivery.entry.payload) {
                summary.problems.push(format!("delivery {}: {}", delivery.number.0, chain(&error)));
            }
        }
    }
}

/// Whether every record of a stream that is there can be read, one after the other up to the last.
fn check_records(store: &SqliteStore, stream: StreamId, last: SequenceNumber) -> Result<(), String> {
    let mut after = SequenceNumber::ZERO;
    loop {
        let records = match store.read_stream(stream, after, ReadLimit::default()) {
            Ok(records) => records,
            Err(ReadError::Trimmed { first_after, .. }) if after == SequenceNumber::ZERO => {
                after = first_after;
                continue;
            }
            Err(error) => return Err(chain(&error)),
        };
        if records.is_empty() {
            return if after == last { Ok(()) } else { Err(format!("it ends at {after} instead of {last}")) };
        }
        for (position, record) in records {
            turn::decode(&record.payload)
                .map_err(|error| format!("record {} at position {position}: {}", record.sequence, chain(&error)))?;
            after = record.sequence;
        }
    }
}

/// Makes a workspace again and holds it against its invariants. Returns its Tasks and Workers.
fn check_workspace(store: &SqliteStore, stream: StreamId, limits: Limits) -> Result<Option<(u64, u64)>, String> {
    let restored = std::panic::catch_unwind(AssertUnwindSafe(|| recovery::restore_one(store, stream, limits)));
    let restored = restored.map_err(|_| "its records contradict each other".to_owned())?;
    let Some(shard) = restored.map_err(|error| chain(&error))? else { return Ok(None) };
    std::panic::catch_unwind(AssertUnwindSafe(|| shard.check_invariants()))
        .map_err(|_| "its state contradicts itself".to_owned())?;
    Ok(shard.workspaces().next().map(|state| (state.tasks_count() as u64, state.workers_count() as u64)))
}

/// Brings the event history to where the journal stands, as a server does when it starts.
pub fn project(store: &dyn Store) -> Result<(), String> {
    projector::catch_up(store, &mut |_, _| {})
}

/// Which events to take out.
#[derive(Clone, Copy, Debug)]
pub struct Export<'a> {
    /// `None`: all workspaces, one after the other.
    pub workspace: Option<Sid<Workspace>>,
    /// First and last instant, in milliseconds since the Unix epoch, both inclusive.
    pub from_ms: i64,
    pub to_ms: i64,
    /// What `url` begins with.
    pub base_url: &'a str,
    /// Says how long events are kept; older ones are not taken out, though they may still be there.
    pub configuration: &'a Configuration,
    /// In milliseconds since the Unix epoch.
    pub now_ms: i64,
}

/// Events could not be taken out.
#[derive(Debug, thiserror::Error)]
pub enum ExportError {
    #[error("there is no workspace {0}")]
    NoWorkspace(Sid<Workspace>),
    #[error(transparent)]
    Recovery(#[from] recovery::RecoveryError),
    #[error("failed to read the event history")]
    Read(#[from] ReadError),
    #[error("event {sid} cannot be decoded")]
    Decode {
        sid: String,
        #[source]
        source: pointsman_record::DecodeError,
    },
    #[error("failed to bring the history up to date")]
    Project(String),
    #[error("failed to write the events")]
    Write(#[source] std::io::Error),
}

/// Writes events as the Events resource shows them, one JSON object a line, oldest first within a workspace.
///
/// - Events of workspaces that were deleted are not there: nobody could ask for them either.
/// - Returns how many.
pub fn export(
    store: &SqliteStore,
    export: &Export<'_>,
    out: &mut dyn Write,
    progress: &mut dyn FnMut(u64),
) -> Result<u64, ExportError> {
    project(store).map_err(ExportError::Project)?;
    let streams = store.streams()?.into_iter().map(|(stream, _)| stream);
    let wanted =
        |stream: &StreamId| *stream != StreamId::ACCOUNTS && export.workspace.is_none_or(|sid| sid.bytes() == stream.0);
    let mut count = 0;
    let mut is_known = false;
    for stream in streams.filter(wanted) {
        let Some(shard) = recovery::restore_one(store, stream, export.configuration.limits)? else { continue };
        is_known = true;
        export_workspace(store, shard, stream, export, out, &mut |added| {
            count += added;
            progress(count);
        })?;
    }
    match export.workspace {
        Some(sid) if !is_known => Err(ExportError::NoWorkspace(sid)),
        _ => Ok(count),
    }
}

fn export_workspace(
    store: &SqliteStore,
    mut shard: Shard,
    stream: StreamId,
    export: &Export<'_>,
    out: &mut dyn Write,
    written: &mut dyn FnMut(u64),
) -> Result<(), ExportError> {
    let state = shard.workspaces().next().expect("it was restored");
    let (account, now) = (state.workspace().account, state.now());
    // One request for one event is the form in which each is rendered.
    let path = format!("/v1/Workspaces/{}/Events/EV{}", workspace_sid(stream), "0".repeat(32));
    let request = HttpRequest { method: "GET", path: &path, base_url: export.base_url, ..HttpRequest::default() };
    let call = api::parse(&request).expect("the path is one of ours");
    let mut batch = Batch::default();
    shard.handle(now, Input::Call { ticket: Ticket(0), account, call: Box::new(call) }, &mut batch);
    let Some((_, Reply::History { request, cursor: _ })) = batch.replies.pop() else {
        unreachable!("an event is read from the history")
    };
    let retention = Retention::new(export.configuration);
    let oldest = retention.oldest(workspace_sid(stream), now.max(Timestamp(export.now_ms)));
    let mut query = HistoryQuery {
        from_ms: export.from_ms.max(oldest.0),
        to_ms: export.to_ms,
        order: HistoryOrder::OldestFirst,
        limit: pointsman_store::limits::HISTORY_PAGE_MAX,
        ..HistoryQuery::all(stream.0)
    };
    loop {
        let page = store.history(&query)?;
        for event in &page.events {
            let decoded = public_event::decode(&event.payload).map_err(|source| {
                let sid = Sid::<pointsman_engine::PublicEvent>::from_bytes(event.sid);
                ExportError::Decode { sid: sid.to_string(), source }
            })?;
            let mut answer = HistoryAnswer::new((*request).clone());
            answer.add(decoded);
            writeln!(out, "{}", answer.finish().body).map_err(ExportError::Write)?;
        }
        written(page.events.len() as u64);
        match page.events.last() {
            Some(last) if page.more => query.cursor = Some(last.key),
            _ => return Ok(()),
        }
    }
}

fn workspace_sid(stream: StreamId) -> Sid<Workspace> {
    Sid::from_bytes(stream.0)
}

impl CheckSummary {
    /// Whether everything is as it was written.
    pub fn is_good(&self) -> bool {
        self.problems.is_empty()
    }
}
