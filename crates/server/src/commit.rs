//! The commit thread: takes all batches that wait, appends them at once, and lets out what depended on them.
//!
//! When an append fails, nothing of its batches leaves: their callers hear 503, every engine thread makes its
//! workspaces again from the store, and batches that were made on the lost state are refused by their generation.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use crossbeam_channel::{Receiver, Sender};
use pointsman_dispatcher::{Batch, Delivery, OutboxChange, PendingRecord, Reply};
use pointsman_record as record;
use pointsman_store::{AppendError, Epoch, OutboxEntry, Position, Record, SequenceNumber, StreamId, WriteError};
use tokio::sync::oneshot;

use crate::backlog;
use crate::clock;
use crate::deliveries::DeliveryMessage;
use crate::engines::{EngineHandles, Work};
use crate::health::Health;
use crate::limits;
use crate::logging::chain;
use crate::metrics::Metrics;
use crate::projector::{Projection, ProjectorHandle};
use crate::storage::Storage;

/// What a caller gets: the reply and the position of the journal that it stands on, or that nothing is known to have
/// happened.
pub(crate) type Answered = Result<(Reply, Position), Unavailable>;

/// The store cannot commit; nothing that was asked for is known to have happened.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("the store cannot commit")]
pub(crate) struct Unavailable;

/// Something to be made durable, and who waits for it.
#[derive(Debug)]
pub(crate) struct CommitRequest {
    /// That of its engine thread; older ones are refused. `None` for what depends on no workspace's state.
    pub(crate) generation: Option<u64>,
    pub(crate) batch: Batch,
    /// In the order of the batch's replies.
    pub(crate) responders: Vec<oneshot::Sender<Answered>>,
    pub(crate) done: Done,
}

/// Whom to tell that a request was committed.
#[derive(Debug)]
pub(crate) enum Done {
    /// The engine thread's count of committed batches, and what it becomes.
    Engine(Arc<AtomicU64>, u64),
    Waiting(oneshot::Sender<Result<Position, Unavailable>>),
    /// Nothing comes after this.
    Last,
}

/// Has a batch committed that depends on no workspace's state, and stops the caller's thread while the disk is behind.
///
/// - The receiver gets the position of the journal once the batch is durable; an error when that is not known.
pub(crate) fn submit(
    commits: &Sender<CommitRequest>,
    batch: Batch,
) -> oneshot::Receiver<Result<Position, Unavailable>> {
    let (waiting, done) = oneshot::channel();
    let request = CommitRequest { generation: None, batch, responders: Vec::new(), done: Done::Waiting(waiting) };
    if let Err(full) = commits.try_send(request) {
        tokio::task::block_in_place(|| drop(commits.send(full.into_inner())));
    }
    done
}

/// What the commit thread needs.
pub(crate) struct Committer {
    pub(crate) storage: Arc<Storage>,
    pub(crate) epoch: Epoch,
    pub(crate) generation: Arc<AtomicU64>,
    pub(crate) requests: Receiver<CommitRequest>,
    pub(crate) projector: ProjectorHandle,
    pub(crate) deliveries: tokio::sync::mpsc::Sender<DeliveryMessage>,
    pub(crate) deliveries_overflown: Arc<std::sync::atomic::AtomicBool>,
    pub(crate) engines: EngineHandles,
    pub(crate) health: Arc<Health>,
    pub(crate) metrics: Arc<Metrics>,
    /// The position of the last commit, for answers that need none of their own.
    pub(crate) committed: Arc<AtomicU64>,
}

impl Committer {
    /// Runs until the last request; the projector ends after it.
    pub(crate) fn run(mut self) {
        self.serve();
        self.projector.end();
    }

    fn serve(&mut self) {
        while let Ok(first) = self.requests.recv() {
            let group = self.gather(first);
            let is_last = group.iter().any(|request| matches!(request.done, Done::Last));
            if !group.is_empty() {
                self.commit(group);
            }
            if is_last {
                return;
            }
        }
    }

    /// Takes what waits, up to the size of one commit; refuses what stands on lost state.
    fn gather(&self, first: CommitRequest) -> Vec<CommitRequest> {
        let mut group = Vec::new();
        let (mut records, mut bytes, mut outbox) = (0, 0, 0);
        let mut next = Some(first);
        while let Some(request) = next {
            if request.generation.is_some_and(|generation| generation < self.generation.load(Ordering::Acquire)) {
                request.refuse();
            } else {
                records += request.batch.records.len();
                bytes += request.batch.records.iter().map(|record| record.payload.len()).sum::<usize>();
                outbox += request.batch.outbox.len();
                group.push(request);
            }
            let is_full =
                limits::COMMIT_RECORDS <= records || limits::COMMIT_BYTES <= bytes || limits::COMMIT_OUTBOX <= outbox;
            next = if is_full { None } else { self.requests.try_recv().ok() };
        }
        group
    }

    fn commit(&mut self, mut group: Vec<CommitRequest>) {
        let mut records = Vec::new();
        let (mut outbox, mut sends) = (Vec::new(), Vec::new());
        let mut projection = Projection { last: Position::ZERO, records: Vec::new(), deleted: Vec::new() };
        for request in &mut group {
            for record in request.batch.records.drain(..) {
                projection.records.push((record.stream, Arc::clone(&record.published)));
                records.push(stored_record(record));
            }
            for change in request.batch.outbox.drain(..) {
                if let OutboxChange::Put(delivery) = &change {
                    sends.push(Arc::clone(delivery));
                }
                outbox.push(stored_change(change));
            }
            projection.deleted.extend(request.batch.deleted.drain(..).map(|sid| StreamId(sid.bytes())));
        }
        let started = clock::instant();
        let bytes: usize = records.iter().map(|record| record.payload.len()).sum();
        let position = if records.is_empty() && outbox.is_empty() {
            Ok(Position(self.committed.load(Ordering::Acquire)))
        } else {
            match self.storage.with(|store| store.append(self.epoch, &records, &outbox)) {
                Ok(Ok(position)) => {
                    let took = started.elapsed();
                    self.metrics.appended(bytes, took);
                    tracing::trace!(records = records.len(), bytes, took_us = took.as_micros() as u64, "committed");
                    Ok(position)
                }
                Ok(Err(error)) => Err(Some(error)),
                Err(_closed) => Err(None),
            }
        };
        match position {
            Ok(position) => self.release(group, position, projection, sends),
            Err(error) => {
                group.into_iter().for_each(CommitRequest::refuse);
                self.recover(error);
            }
        }
    }

    /// Lets everything out that depended on the commit.
    ///
    /// - `sends`: deliveries that may leave now.
    fn release(
        &self,
        group: Vec<CommitRequest>,
        position: Position,
        mut projection: Projection,
        sends: Vec<Arc<Delivery>>,
    ) {
        self.committed.store(position.0, Ordering::Release);
        if !projection.records.is_empty() {
            projection.last = position;
            self.projector.committed(projection);
        }
        // Before the replies: whoever has an answer may ask for quiet, which waits for what is handed over here.
        self.hand_over(sends);
        for request in group {
            let CommitRequest { generation: _, batch, responders, done } = request;
            for (workspace, alert) in &batch.alerts {
                tracing::warn!(workspace_sid = %workspace, code = alert.code, "alert");
            }
            assert_eq!(batch.replies.len(), responders.len(), "each reply has somebody who waits for it");
            for ((_, reply), responder) in batch.replies.into_iter().zip(responders) {
                // The caller may have given up.
                let _ = responder.send(Ok((reply, position)));
            }
            match done {
                Done::Engine(committed, number) => committed.store(number, Ordering::Release),
                Done::Waiting(waiting) => drop(waiting.send(Ok(position))),
                Done::Last => {}
            }
        }
    }

    fn hand_over(&self, deliveries: Vec<Arc<Delivery>>) {
        if !deliveries.is_empty() && self.deliveries.try_send(DeliveryMessage::Add(deliveries)).is_err() {
            self.deliveries_overflown.store(true, Ordering::Release);
        }
    }

    /// Writes nothing until the store takes writes again, then has every workspace made again.
    fn recover(&mut self, error: Option<AppendError>) {
        self.health.set_committing(false);
        let mut must_reopen = true;
        if let Some(error) = error {
            tracing::error!(error = chain(&error), "commit failed; changes are refused until the store works again");
            must_reopen = !matches!(error, AppendError::Full { .. } | AppendError::TooLarge { .. });
        }
        // Whatever the engine threads have made or are making stands on state that is not stored.
        let generation = self.generation.fetch_add(1, Ordering::AcqRel) + 1;
        let mut is_frozen = false;
        self.epoch = loop {
            match self.try_again(must_reopen) {
                Ok(epoch) => break epoch,
                Err(NotYet { problem, must_reopen: must }) => {
                    tracing::warn!(error = problem, "the store does not work yet");
                    must_reopen = must_reopen || must;
                }
            }
            let can_read = self.storage.with(|_| ()).is_ok();
            if can_read && !is_frozen {
                // What is stored can be shown meanwhile.
                self.rebuild(generation, true);
                is_frozen = true;
            }
            // Refuse what comes meanwhile, so that nobody waits for it.
            let until = clock::instant() + limits::RECOVERY_PAUSE;
            loop {
                match self.requests.recv_deadline(until) {
                    Ok(request) => request.refuse(),
                    Err(crossbeam_channel::RecvTimeoutError::Timeout) => break,
                    Err(crossbeam_channel::RecvTimeoutError::Disconnected) => return,
                }
            }
        };
        self.rebuild(generation, false);
        if self.deliveries.try_send(DeliveryMessage::Reload).is_err() {
            self.deliveries_overflown.store(true, Ordering::Release);
        }
        // The history may have fallen back.
        self.projector.hurry();
        self.health.set_committing(true);
        tracing::info!("the store works again");
    }

    fn rebuild(&self, generation: u64, frozen: bool) {
        for engine in self.engines.iter() {
            engine.send(Work::Rebuild { generation, frozen });
        }
    }

    fn try_again(&self, must_reopen: bool) -> Result<Epoch, NotYet> {
        if must_reopen {
            self.storage.reopen().map_err(|error| NotYet { problem: chain(&error), must_reopen: true })?;
        }
        // A few bytes may fit where the next commit does not, and the log of the journal may be long enough for many
        // more without the disk giving any; then all workspaces would be made again for nothing.
        let begun = self.storage.with(|store| {
            store.probe(limits::PROBE_BYTES)?;
            store.meta_put("probe", &vec![0; limits::PROBE_BYTES])?;
            store.meta_put("probe", &[])?;
            store.begin_epoch()
        });
        begun.map_err(|closed| NotYet { problem: chain(&closed), must_reopen: true })?.map_err(|error| {
            // A full disk has harmed nothing, and what is open can be read; opening again may need space.
            NotYet { problem: chain(&error), must_reopen: !matches!(error, WriteError::Full { .. }) }
        })
    }
}

/// The store takes no writes yet.
struct NotYet {
    problem: String,
    must_reopen: bool,
}

impl CommitRequest {
    /// Tells everybody who waits that nothing is known to have happened.
    fn refuse(self) {
        for responder in self.responders {
            let _ = responder.send(Err(Unavailable));
        }
        if let Done::Waiting(waiting) = self.done {
            let _ = waiting.send(Err(Unavailable));
        }
    }
}

fn stored_record(record: PendingRecord) -> Record {
    let PendingRecord { stream, sequence, at, payload, published: _ } = record;
    Record { stream: StreamId(stream), sequence: SequenceNumber(sequence), at_ms: at.0, payload }
}

fn stored_change(change: OutboxChange) -> pointsman_store::OutboxChange {
    match change {
        OutboxChange::Put(delivery) => pointsman_store::OutboxChange::Put(OutboxEntry {
            sid: delivery.sid(),
            workspace: delivery.workspace.bytes(),
            key: delivery.line(),
            lane: backlog::lane_of(&delivery).number,
            at_ms: delivery.at().0,
            payload: record::delivery::encode(&delivery),
        }),
        OutboxChange::Done { sid } => pointsman_store::OutboxChange::Done { sid },
        OutboxChange::Dead { delivery, at } => {
            let payload = record::delivery::encode(&delivery);
            pointsman_store::OutboxChange::Dead { sid: delivery.sid(), at_ms: at.0, payload }
        }
    }
}
