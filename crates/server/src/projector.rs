//! The projector thread: writes the public events of committed records into the history.
//!
//! It is handed the events of each commit; when it falls behind, or starts, it reads them from the journal. How far it
//! has come is told by a watch channel, for queries that must see what their caller has seen.

use std::sync::Arc;

use crossbeam_channel::{Receiver, RecvTimeoutError};
use pointsman_engine::PublicEvent;
use pointsman_record::public_event::{self, HistoryReference, Role};
use pointsman_record::turn;
use pointsman_store::{HistoryRow, Position, ReadLimit, Reference, Store, StreamId};
use tokio::sync::watch;

use crate::limits;
use crate::logging::chain;
use crate::metrics::Metrics;
use crate::storage::Storage;

/// What a commit has added to the journal.
#[derive(Debug)]
pub(crate) struct Projection {
    /// Position of its last record; those before it have the positions just below.
    pub(crate) last: Position,
    /// Stream and events of each record.
    pub(crate) records: Vec<([u8; 16], Arc<[PublicEvent]>)>,
    /// Streams that may be forgotten afterwards.
    pub(crate) deleted: Vec<StreamId>,
}

/// What the projector thread needs.
pub(crate) struct Projector {
    pub(crate) storage: Arc<Storage>,
    pub(crate) projections: Receiver<Projection>,
    pub(crate) position: watch::Sender<Position>,
    pub(crate) metrics: Arc<Metrics>,
}

impl Projector {
    /// Runs until nobody can send any more; the history is complete then, if the store works.
    pub(crate) fn run(self) {
        let mut behind = true;
        loop {
            if behind {
                behind = match self.catch_up() {
                    Ok(()) => false,
                    Err(problem) => {
                        tracing::warn!(error = problem, "the event history waits for the store");
                        true
                    }
                };
            }
            let received = if behind {
                self.projections.recv_timeout(limits::RECOVERY_PAUSE)
            } else {
                self.projections.recv().map_err(|_| RecvTimeoutError::Disconnected)
            };
            match received {
                Ok(first) => {
                    let mut group = vec![first];
                    let mut rows = 0;
                    while rows < limits::PROJECTED_ROWS {
                        let Ok(next) = self.projections.try_recv() else { break };
                        rows += next.records.iter().map(|(_, events)| events.len()).sum::<usize>();
                        group.push(next);
                    }
                    behind = behind || !self.project(&group);
                    let deleted = group.iter().flat_map(|projection| &projection.deleted).copied().collect();
                    if behind {
                        behind = self.catch_up().is_err();
                    }
                    if !behind {
                        self.forget(deleted);
                    }
                }
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => {
                    if behind && let Err(problem) = self.catch_up() {
                        tracing::warn!(error = problem, "the event history is completed at the next start");
                    }
                    return;
                }
            }
        }
    }

    /// Writes the events of commits that follow each other. Returns false when something lies between, or on failure.
    fn project(&self, group: &[Projection]) -> bool {
        let mut up_to = *self.position.borrow();
        let mut rows = Vec::new();
        for projection in group {
            if projection.last <= up_to {
                continue;
            }
            let before = projection.last.0 - projection.records.len() as u64;
            if before != up_to.0 {
                return false;
            }
            for (offset, (stream, events)) in projection.records.iter().enumerate() {
                let position = Position(before + 1 + offset as u64);
                rows.extend(events.iter().map(|event| row(position, *stream, event)));
                self.metrics.published(events);
            }
            up_to = projection.last;
        }
        let written = self.storage.with(|store| {
            // A store that was opened again may have less of the history than before.
            let is_continued = store.history_position() == *self.position.borrow();
            if is_continued { store.project(up_to, &rows).map(|()| true) } else { Ok(false) }
        });
        match written {
            Ok(Ok(true)) => {
                self.position.send_replace(up_to);
                true
            }
            Ok(Ok(false)) => false,
            Ok(Err(error)) => {
                tracing::warn!(error = chain(&error), "failed to write the event history");
                false
            }
            Err(_closed) => false,
        }
    }

    /// Reads from the journal what is not in the history yet.
    fn catch_up(&self) -> Result<(), String> {
        self.storage.with(|store| self.read_on(store)).map_err(|error| chain(&error))?
    }

    fn read_on(&self, store: &dyn Store) -> Result<(), String> {
        let mut up_to = store.history_position();
        loop {
            self.position.send_replace(up_to);
            let records = store.read_after(up_to, ReadLimit::default()).map_err(|error| chain(&error))?;
            let Some((last, _)) = records.last() else {
                // What was trimmed has no rows any more.
                return Ok(());
            };
            let last = *last;
            let mut rows = Vec::new();
            for (position, record) in records {
                if record.stream == StreamId::ACCOUNTS {
                    continue;
                }
                let turn = turn::decode(&record.payload)
                    .map_err(|error| format!("record at position {position}: {}", chain(&error)))?;
                rows.extend(turn.published.iter().map(|event| row(position, record.stream.0, event)));
            }
            store.project(last, &rows).map_err(|error| chain(&error))?;
            up_to = last;
        }
    }

    fn forget(&self, deleted: Vec<StreamId>) {
        for stream in deleted {
            let forgotten = self.storage.with(|store| store.delete_stream(stream));
            if let Ok(Err(error)) = forgotten {
                tracing::warn!(stream = %stream, error = chain(&error), "failed to forget a deleted workspace");
            }
        }
    }
}

/// The row of one event.
fn row(position: Position, workspace: [u8; 16], event: &PublicEvent) -> HistoryRow {
    HistoryRow {
        position,
        workspace,
        sid: event.sid.bytes(),
        kind: public_event::kind_number(event.kind),
        at_ms: event.at.0,
        references: public_event::history_references(event).into_iter().map(reference).collect(),
        payload: public_event::encode(event),
    }
}

fn reference(reference: HistoryReference) -> Reference {
    let HistoryReference { role, sid } = reference;
    let role = match role {
        Role::Task => pointsman_store::Role::Task,
        Role::Worker => pointsman_store::Role::Worker,
        Role::TaskQueue => pointsman_store::Role::TaskQueue,
        Role::Workflow => pointsman_store::Role::Workflow,
        Role::Reservation => pointsman_store::Role::Reservation,
        Role::TaskChannel => pointsman_store::Role::TaskChannel,
    };
    Reference { role, sid }
}
