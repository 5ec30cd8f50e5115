//! The delivery task: sends callbacks as the dispatcher's [`Deliveries`] decides, and stores what came of them.

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use crossbeam_channel::Sender;
use pointsman_dispatcher::{AttemptId, AttemptResult, Batch, Content, Deliveries, Delivery, Effect, OutboxChange};
use pointsman_engine::{Sid, Timestamp, Workspace};
use pointsman_record as record;
use pointsman_store::{ReadError, Store};
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinSet;
use url::Url;

use crate::accounts::AccountsKeeper;
use crate::backlog::{Backlog, Reading};
use crate::callback_client::CallbackClient;
use crate::clock::{self, Clock};
use crate::commit::{self, CommitRequest};
use crate::configuration::ClockMode;
use crate::engines::{self, EngineHandles, Work};
use crate::failing::{Failing, Failure, Said};
use crate::limits;
use crate::logging::chain;
use crate::metrics::Metrics;
use crate::storage::Storage;

/// What the delivery task is told.
#[derive(Debug)]
pub(crate) enum DeliveryMessage {
    /// These are committed and may leave.
    Add(Vec<Arc<Delivery>>),
    /// Look in the store for deliveries that are not known here.
    Reload,
    /// An engine thread was told the end of these, and lost it before it was stored.
    NotEnded(Vec<[u8; 16]>),
    /// Tell when nothing is under way or could go.
    WhenIdle(oneshot::Sender<Idle>),
    /// Tell when the next pause of a failed one ends.
    NextDeadline(oneshot::Sender<Option<Timestamp>>),
    /// Finish what is under way and end.
    Stop,
}

/// No callback is under way or could go at the present instant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Idle {
    /// How many deliveries there have ever been.
    pub(crate) added: u64,
    /// When the next pause of a failed one ends.
    pub(crate) next_deadline: Option<Timestamp>,
}

/// What the delivery task needs.
pub(crate) struct DeliveryTask {
    pub(crate) deliveries: Deliveries,
    pub(crate) messages: mpsc::Receiver<DeliveryMessage>,
    /// Set when deliveries could not be handed over in memory: they are in the store.
    pub(crate) overflown: Arc<AtomicBool>,
    pub(crate) client: CallbackClient,
    pub(crate) accounts: Arc<AccountsKeeper>,
    pub(crate) clock: Arc<Clock>,
    pub(crate) storage: Arc<Storage>,
    pub(crate) engines: EngineHandles,
    pub(crate) commits: Sender<CommitRequest>,
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) delivered: Arc<Delivered>,
}

/// How many event callbacks of each Workspace were delivered since the start.
#[derive(Debug, Default)]
pub(crate) struct Delivered(Mutex<BTreeMap<Sid<Workspace>, u64>>);

impl Delivered {
    pub(crate) fn of(&self, workspace: Sid<Workspace>) -> u64 {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).get(&workspace).copied().unwrap_or_default()
    }

    fn count(&self, workspace: Sid<Workspace>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner).entry(workspace).or_default() += 1;
    }
}

struct Finished {
    id: AttemptId,
    delivery: Arc<Delivery>,
    /// Scheme, host and port of whom it was sent to.
    receiver: String,
    result: AttemptResult,
    elapsed: Duration,
}

/// Changes of the outbox that were to be stored, and whether they were.
struct Stored {
    changes: Vec<OutboxChange>,
    is_stored: bool,
}

struct Running {
    task: DeliveryTask,
    attempts: JoinSet<Finished>,
    /// Ends of deliveries on their way into the store.
    storing: JoinSet<Stored>,
    /// Those that the store has refused, and when it is tried again. Nothing of it is sent once more meanwhile.
    refused: Vec<OutboxChange>,
    stores_again: Option<Instant>,
    backlog: Backlog,
    failing: Failing,
    /// Readings that have failed, and when they are tried again.
    resting: Vec<Reading>,
    reads_again: Option<Instant>,
    /// The store is to be asked whose deliveries wait.
    asks_store: bool,
    store_fails: bool,
    added: u64,
    waiting_for_idle: Vec<oneshot::Sender<Idle>>,
}

impl DeliveryTask {
    /// Runs until it is told to stop. Begins with what the store holds.
    pub(crate) async fn run(self) {
        let running = Running {
            task: self,
            attempts: JoinSet::new(),
            storing: JoinSet::new(),
            refused: Vec::new(),
            stores_again: None,
            backlog: Backlog::default(),
            failing: Failing::default(),
            resting: Vec::new(),
            reads_again: None,
            asks_store: true,
            store_fails: false,
            added: 0,
            waiting_for_idle: Vec::new(),
        };
        running.run().await;
    }
}

impl Running {
    async fn run(mut self) {
        loop {
            self.store_refused();
            self.load();
            self.start_attempts();
            self.tell_idle();
            for (failure, said) in self.failing.due(clock::instant()) {
                tell_of_receiver(&failure, said);
            }
            let pause = self.pause();
            tokio::select! {
                biased;
                message = self.task.messages.recv() => {
                    if self.hear(message).is_break() {
                        break;
                    }
                }
                Some(finished) = self.attempts.join_next(), if !self.attempts.is_empty() => {
                    self.finish(finished.expect("attempts do not panic and are not cancelled"));
                }
                Some(stored) = self.storing.join_next(), if !self.storing.is_empty() => {
                    // Messages first: what was handed over before the store was read must be known before it ends.
                    while let Ok(message) = self.task.messages.try_recv() {
                        if self.hear(Some(message)).is_break() {
                            return self.drain().await;
                        }
                    }
                    self.stored(stored.expect("waiting does not panic"));
                }
                () = tokio::time::sleep(pause) => {}
            }
        }
        self.drain().await;
    }

    /// Does what a message asks; breaks when nothing is to come any more.
    fn hear(&mut self, message: Option<DeliveryMessage>) -> ControlFlow<()> {
        match message {
            Some(DeliveryMessage::Add(deliveries)) => self.take(deliveries),
            Some(DeliveryMessage::Reload) => {
                self.backlog.forget_told();
                self.asks_store = true;
            }
            Some(DeliveryMessage::NotEnded(sids)) => {
                self.backlog.forget_ends(&sids);
                self.asks_store = true;
            }
            Some(DeliveryMessage::WhenIdle(idle)) => self.waiting_for_idle.push(idle),
            Some(DeliveryMessage::NextDeadline(asked)) => {
                // Whoever asked may be gone.
                let _ = asked.send(self.task.deliveries.next_deadline());
            }
            Some(DeliveryMessage::Stop) | None => return ControlFlow::Break(()),
        }
        ControlFlow::Continue(())
    }

    /// How long until a failed callback is to be tried again, or the store to be read. A virtual clock tells by a message.
    fn pause(&self) -> Duration {
        if self.asks_store {
            return if self.store_fails { limits::RECOVERY_PAUSE } else { Duration::ZERO };
        }
        if self.backlog.is_reading() {
            return Duration::ZERO;
        }
        let until = self.task.deliveries.next_deadline().filter(|_| self.task.clock.mode() == ClockMode::System);
        let pause = until.map_or(limits::DELIVERY_IDLE, |until| {
            let pause_ms = until.since(self.task.clock.now()).0.max(0);
            Duration::from_millis(pause_ms as u64).min(limits::DELIVERY_IDLE)
        });
        let others = self.failing.next_line().into_iter().chain(self.stores_again).chain(self.reads_again);
        let others = others.map(|instant| instant.saturating_duration_since(clock::instant()));
        others.fold(pause, Duration::min)
    }

    /// Gives what is under way a little time; the rest is sent again after the next start.
    async fn drain(mut self) {
        let drained = tokio::time::timeout(limits::DELIVERY_DRAIN_TIMEOUT, async {
            while let Some(finished) = self.attempts.join_next().await {
                self.finish(finished.expect("attempts do not panic"));
            }
            // What was refused may be taken now; if not, it is sent again after the next start too.
            self.stores_again = self.stores_again.map(|_| clock::instant());
            self.store_refused();
            while self.storing.join_next().await.is_some() {}
        });
        if drained.await.is_err() {
            tracing::info!("callbacks under way are sent again after the next start");
        }
    }

    fn stored(&mut self, stored: Stored) {
        let Stored { changes, is_stored } = stored;
        if !is_stored {
            self.refused.extend(changes);
            self.stores_again.get_or_insert(clock::instant() + limits::RECOVERY_PAUSE);
            return;
        }
        let ended = changes.iter().filter_map(|change| match change {
            OutboxChange::Done { sid } => Some(*sid),
            OutboxChange::Dead { delivery, .. } => Some(delivery.sid()),
            OutboxChange::Put(_) => None,
        });
        self.backlog.ended(&ended.collect::<Vec<_>>());
    }

    fn store(&mut self, changes: Vec<OutboxChange>) {
        let batch = Batch { outbox: changes.clone(), ..Batch::default() };
        // When the disk is behind, nothing is to be sent until it has caught up.
        let stored = commit::submit(&self.task.commits, batch);
        self.storing.spawn(async move { Stored { changes, is_stored: matches!(stored.await, Ok(Ok(_position))) } });
    }

    /// Tries to store what was refused before, when it is time.
    fn store_refused(&mut self) {
        if self.stores_again.take_if(|again| *again <= clock::instant()).is_none() {
            return;
        }
        let mut refused = std::mem::take(&mut self.refused);
        while !refused.is_empty() {
            let later = refused.split_off(refused.len().min(limits::COMMIT_OUTBOX));
            self.store(std::mem::replace(&mut refused, later));
        }
    }

    /// New deliveries, in memory if there is room; they are in the store anyway.
    fn take(&mut self, deliveries: Vec<Arc<Delivery>>) {
        for delivery in deliveries {
            if self.backlog.admits(&delivery) {
                self.add(delivery);
            }
        }
    }

    fn add(&mut self, delivery: Arc<Delivery>) {
        self.added += 1;
        let auth_token = self.task.accounts.auth_token(delivery.account);
        self.task.deliveries.add(delivery, auth_token);
    }

    /// Reads from the store what is not in memory and has room there: a few pages, so that others get their turn.
    fn load(&mut self) {
        if self.task.overflown.swap(false, Ordering::AcqRel) {
            self.asks_store = true;
        }
        if self.reads_again.take_if(|again| *again <= clock::instant()).is_some() {
            for reading in self.resting.drain(..) {
                self.backlog.read_again(reading);
            }
        }
        if self.asks_store {
            let Some(lanes) = self.read(Store::outbox_lanes) else { return };
            self.asks_store = false;
            self.backlog.read_all(lanes);
        }
        for _ in 0..limits::DELIVERY_PAGES_AT_ONCE {
            let Some(reading) = self.backlog.next_reading() else { return };
            if !self.load_page(reading) {
                // By itself: what is wrong may be one row of this lane.
                self.resting.push(reading);
                self.reads_again.get_or_insert(clock::instant() + limits::RECOVERY_PAUSE);
            }
        }
    }

    /// False when the store could not be read.
    fn load_page(&mut self, mut reading: Reading) -> bool {
        let limit = reading.room.clamp(limits::DELIVERIES_PAGE_MIN, limits::DELIVERIES_PAGE);
        let page = self.read(|store| store.outbox_read_of(reading.lane, reading.after, limit));
        let Some(page) = page else { return false };
        let mut is_last = page.len() < limit;
        for waiting in page {
            let delivery = match record::delivery::decode(&waiting.entry.payload) {
                Ok(delivery) => Arc::new(delivery),
                Err(error) => {
                    tracing::error!(error = chain(&error), "a stored callback cannot be read");
                    reading.after = waiting.number;
                    continue;
                }
            };
            match self.backlog.admits_read(&mut reading, waiting.number, delivery.sid()) {
                Some(true) => self.add(delivery),
                Some(false) => {}
                None => {
                    is_last = false;
                    break;
                }
            }
        }
        self.backlog.read(reading, is_last);
        true
    }

    fn read<T>(&mut self, read: impl FnOnce(&(dyn Store + 'static)) -> Result<T, ReadError>) -> Option<T> {
        let found = match self.task.storage.with(read) {
            Ok(Ok(found)) => Some(found),
            Ok(Err(error)) => {
                tracing::warn!(error = chain(&error), "failed to read waiting callbacks");
                None
            }
            // The store is being opened again.
            Err(_closed) => None,
        };
        self.store_fails = found.is_none();
        found
    }

    fn start_attempts(&mut self) {
        let (attempts, effects) = self.task.deliveries.next_attempts(self.task.clock.now());
        for attempt in attempts {
            let client = self.task.client.clone();
            self.attempts.spawn(async move {
                let started = clock::instant();
                let result = client.send(&attempt).await;
                let receiver = attempt.url.receiver();
                Finished { id: attempt.id, delivery: attempt.delivery, receiver, result, elapsed: started.elapsed() }
            });
        }
        self.carry_out(effects);
    }

    fn finish(&mut self, finished: Finished) {
        let Finished { id, delivery, receiver, result, elapsed } = finished;
        self.record(delivery.kind(), &result, elapsed);
        if result.is_success() {
            self.failing.worked(delivery.workspace, &receiver);
        }
        let effects = self.task.deliveries.finished(id, result, millis(elapsed), self.task.clock.now());
        let is_done = |effect: &Effect| matches!(effect, Effect::Outbox(OutboxChange::Done { .. }));
        if matches!(delivery.content, Content::Event(_)) && effects.iter().any(is_done) {
            self.task.delivered.count(delivery.workspace);
        }
        self.carry_out(effects);
    }

    fn warn(&mut self, receiver: String, code: u32, delivery: &Delivery, reason: &str) {
        let failure = Failure { workspace: delivery.workspace, receiver, code };
        match self.failing.failed(&failure, clock::instant()) {
            Said::First => {
                let event = delivery.event();
                let event_sid = event.map(|event| event.sid.to_string());
                let task_sid = event.and_then(|event| Some(event.task.as_ref()?.sid.to_string()));
                let (kind, workspace_sid) = (delivery.kind(), delivery.workspace);
                let receiver = failure.receiver;
                tracing::warn!(code, %workspace_sid, receiver, kind, event_sid, task_sid, reason, "callback failed");
            }
            said @ (Said::GoesOn { .. } | Said::WorksAgain { .. } | Said::Nothing) => tell_of_receiver(&failure, said),
        }
    }

    fn record(&self, kind: &'static str, result: &AttemptResult, elapsed: Duration) {
        let outcome = match result {
            result if result.is_success() => "ok",
            AttemptResult::Answered { .. } => "http_error",
            AttemptResult::TimedOut => "timeout",
            AttemptResult::ConnectFailed { .. } | AttemptResult::Broken { .. } => "error",
        };
        self.task.metrics.callback(kind, outcome, elapsed);
    }

    fn carry_out(&mut self, effects: Vec<Effect>) {
        let mut outbox = Vec::new();
        for effect in effects {
            match effect {
                Effect::Outbox(change) => outbox.push(change),
                Effect::Input { delivery, input } => {
                    self.backlog.told_engine(delivery.sid());
                    let work = Work::Input { input, responder: None, counted: false };
                    engines::of(&self.task.engines, delivery.workspace).send(work);
                }
                Effect::Warn { code, receiver, delivery, reason } => {
                    self.warn(receiver.to_string(), code, &delivery, &reason);
                }
            }
        }
        if !outbox.is_empty() {
            self.store(outbox);
        }
        self.task.metrics.callbacks_waiting(self.task.deliveries.outstanding());
    }

    fn tell_idle(&mut self) {
        // What does not fit into memory while others pause waits for them: it stands behind them.
        let is_stored = self.storing.is_empty() && self.refused.is_empty();
        let is_read = !self.asks_store && !self.backlog.is_reading() && self.resting.is_empty() && is_stored;
        if self.task.deliveries.is_quiet() && is_read {
            let idle = Idle { added: self.added, next_deadline: self.task.deliveries.next_deadline() };
            for waiting in self.waiting_for_idle.drain(..) {
                let _ = waiting.send(idle);
            }
        }
    }
}

/// Says what is to be said of a receiver that has failed before.
fn tell_of_receiver(failure: &Failure, said: Said) {
    let Failure { workspace: workspace_sid, receiver, code } = failure;
    match said {
        Said::GoesOn { failures } => {
            tracing::warn!(code, %workspace_sid, receiver, failures, "callbacks go on failing");
        }
        Said::WorksAgain { failures } => {
            tracing::info!(code, %workspace_sid, receiver, failures, "callbacks work again");
        }
        Said::First | Said::Nothing => {}
    }
}

/// An address without credentials.
pub(crate) fn shown_url(url: &str) -> String {
    let Ok(mut shown) = Url::parse(url) else { return String::new() };
    // Addresses without a host have no credentials either.
    let _ = shown.set_username("");
    let _ = shown.set_password(None);
    shown.into()
}

fn millis(duration: Duration) -> u32 {
    u32::try_from(duration.as_millis()).unwrap_or(u32::MAX)
}
