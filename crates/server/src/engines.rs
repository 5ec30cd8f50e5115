//! Engine threads: each runs the workspaces of one shard, one input after the other, and hands what came of them to
//! the commit thread in batches.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, RecvTimeoutError, Sender};
use pointsman_dispatcher::{Batch, Input, OutboxChange, Shard, Telephony, Ticket};
use pointsman_engine::{Account, Limits, Sid, Timestamp, Workspace};
use pointsman_record as record;
use pointsman_store::{Position, SequenceNumber, Snapshot, StreamId};
use tokio::sync::{mpsc, oneshot};

use crate::clock::{self, Clock};
use crate::commit::{Answered, CommitRequest, Done, Unavailable};
use crate::configuration::ClockMode;
use crate::deliveries::DeliveryMessage;
use crate::limits;
use crate::logging::chain;
use crate::recovery;
use crate::storage::Storage;

/// Something for an engine thread to do.
#[derive(Debug)]
pub(crate) enum Work {
    Input {
        input: Input,
        /// Who waits for the reply; nobody for inputs without one.
        responder: Option<oneshot::Sender<Answered>>,
        /// It counts as a waiting request.
        counted: bool,
    },
    HasSingleTasking {
        account: Sid<Account>,
        answer: oneshot::Sender<bool>,
    },
    /// The last commit failed: make all workspaces again from the store.
    ///
    /// - `frozen`: nothing can be written yet, so that reads alone are answered and time stands still.
    Rebuild {
        generation: u64,
        frozen: bool,
    },
    /// Save a snapshot of each workspace and end.
    Stop,
}

/// The inbox of an engine thread.
///
/// Requests are bounded by [`limits::REQUESTS_WAITING_MAX`]; what the server itself sends is bounded by the callbacks
/// under way and is never refused.
#[derive(Clone, Debug)]
pub(crate) struct EngineHandle {
    inbox: Sender<Work>,
    waiting: Arc<AtomicUsize>,
}

/// All of them, in the order of their numbers.
pub(crate) type EngineHandles = Arc<[EngineHandle]>;

/// The one that runs a workspace.
pub(crate) fn of(engines: &[EngineHandle], workspace: Sid<Workspace>) -> &EngineHandle {
    &engines[recovery::place(workspace.bytes(), engines.len())]
}

/// There are too many requests already.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Full;

impl EngineHandle {
    pub(crate) fn new() -> (EngineHandle, Receiver<Work>) {
        // Bounded by `waiting` for requests; a bound of the channel itself could make threads wait for each other.
        let (inbox, receiver) = crossbeam_channel::unbounded();
        (EngineHandle { inbox, waiting: Arc::default() }, receiver)
    }

    /// Sends what the server itself has to say.
    pub(crate) fn send(&self, work: Work) {
        // A thread that has ended has nothing left to do.
        let _ = self.inbox.send(work);
    }

    /// Sends a request, unless too many wait.
    pub(crate) fn request(&self, make: impl FnOnce(Ticket) -> Input) -> Result<oneshot::Receiver<Answered>, Full> {
        if limits::REQUESTS_WAITING_MAX <= self.waiting.fetch_add(1, Ordering::AcqRel) {
            self.waiting.fetch_sub(1, Ordering::AcqRel);
            return Err(Full);
        }
        Ok(self.ask(make, true))
    }

    /// Sends an input of the server itself that has a reply.
    pub(crate) fn ask_always(&self, make: impl FnOnce(Ticket) -> Input) -> oneshot::Receiver<Answered> {
        self.ask(make, false)
    }

    fn ask(&self, make: impl FnOnce(Ticket) -> Input, counted: bool) -> oneshot::Receiver<Answered> {
        let (responder, answer) = oneshot::channel();
        // Replies come in the order of inputs, so tickets need not differ.
        self.send(Work::Input { input: make(Ticket(0)), responder: Some(responder), counted });
        answer
    }

    pub(crate) fn waiting(&self) -> usize {
        self.waiting.load(Ordering::Acquire)
    }
}

/// What an engine thread needs.
pub(crate) struct EngineThread {
    pub(crate) index: usize,
    pub(crate) count: usize,
    pub(crate) shard: Shard,
    pub(crate) limits: Limits,
    pub(crate) telephony: Telephony,
    pub(crate) inbox: Receiver<Work>,
    pub(crate) handle: EngineHandle,
    pub(crate) commits: Sender<CommitRequest>,
    pub(crate) deliveries: mpsc::Sender<DeliveryMessage>,
    pub(crate) clock: Arc<Clock>,
    pub(crate) storage: Arc<Storage>,
    pub(crate) generation: u64,
    /// The position of the last commit of the server.
    pub(crate) committed_position: Arc<AtomicU64>,
    pub(crate) broken: Arc<AtomicBool>,
}

impl EngineThread {
    pub(crate) fn spawn(self) -> std::io::Result<JoinHandle<()>> {
        let name = format!("engine-{}", self.index);
        std::thread::Builder::new().name(name).spawn(move || Running::new(self).run())
    }
}

struct Running {
    thread: EngineThread,
    batch: Batch,
    responders: Vec<oneshot::Sender<Answered>>,
    /// Batches sent, and how many of them are committed.
    sent: u64,
    committed: Arc<AtomicU64>,
    /// The next timer, as of the last wait.
    deadline: Option<Timestamp>,
    next_tick: Instant,
    panics: u32,
    /// The store takes no writes.
    frozen: bool,
}

impl Running {
    fn new(thread: EngineThread) -> Running {
        Running {
            thread,
            batch: Batch::default(),
            responders: Vec::new(),
            sent: 0,
            committed: Arc::default(),
            deadline: None,
            next_tick: clock::instant(),
            panics: 0,
            frozen: false,
        }
    }

    fn run(mut self) {
        while let Some(first) = self.wait() {
            let mut next = first;
            let mut taken = 0;
            while let Some(work) = next {
                if matches!(work, Work::Stop) {
                    self.send();
                    return self.save_snapshots();
                }
                self.carry_out(work);
                taken += 1;
                let is_full = limits::INPUTS_PER_BATCH_MAX <= taken;
                next = if is_full { None } else { self.thread.inbox.try_recv().ok() };
            }
            self.tick_when_due();
            self.send();
        }
    }

    /// Waits for work or the next timer. `Some(None)`: a timer may be due. `None`: nobody can send any more.
    #[expect(clippy::option_option, reason = "ended, a timer, or work")]
    fn wait(&mut self) -> Option<Option<Work>> {
        if let Ok(work) = self.thread.inbox.try_recv() {
            return Some(Some(work));
        }
        self.deadline = match self.thread.clock.mode() {
            // Who moves the clock sends the ticks.
            ClockMode::Virtual => None,
            // Time stands still.
            ClockMode::System if self.frozen => None,
            ClockMode::System => self.thread.shard.next_deadline(),
        };
        let Some(deadline) = self.deadline else { return self.thread.inbox.recv().ok().map(Some) };
        let wait_ms = (deadline.0 - self.thread.clock.now().0).max(0) as u64;
        match self.thread.inbox.recv_timeout(Duration::from_millis(wait_ms)) {
            Ok(work) => Some(Some(work)),
            Err(RecvTimeoutError::Timeout) => Some(None),
            Err(RecvTimeoutError::Disconnected) => None,
        }
    }

    /// Fires timers when the next one was reached; under constant load, when nobody waits, now and then.
    fn tick_when_due(&mut self) {
        if self.thread.clock.mode() == ClockMode::Virtual {
            return;
        }
        let is_reached = self.deadline.is_some_and(|deadline| deadline <= self.thread.clock.now());
        if is_reached || self.next_tick <= clock::instant() {
            self.next_tick = clock::instant() + limits::TICK_INTERVAL;
            self.input(Input::Tick, None);
        }
    }

    fn carry_out(&mut self, work: Work) {
        match work {
            Work::Input { input, responder, counted } => {
                if counted {
                    self.thread.handle.waiting.fetch_sub(1, Ordering::AcqRel);
                }
                self.input(input, responder);
            }
            Work::HasSingleTasking { account, answer } => {
                let _ = answer.send(self.thread.shard.has_single_tasking(account));
            }
            Work::Rebuild { generation, frozen } => {
                self.refuse();
                self.rebuild();
                self.frozen = frozen;
                self.thread.generation = generation;
                // Nothing that was sent before counts any more.
                self.committed.store(self.sent, Ordering::Release);
            }
            Work::Stop => unreachable!("it ends the thread before it gets here"),
        }
    }

    fn input(&mut self, input: Input, responder: Option<oneshot::Sender<Answered>>) {
        if self.frozen && !is_read(&input) {
            if let Some(responder) = responder {
                let _ = responder.send(Err(Unavailable));
            }
            return;
        }
        // An instant before the last one counts as the last one: no timer fires.
        let now = if self.frozen { Timestamp(0) } else { self.thread.clock.now() };
        let (replies, outbox) = (self.batch.replies.len(), self.batch.outbox.len());
        let (shard, batch) = (&mut self.thread.shard, &mut self.batch);
        let outcome = std::panic::catch_unwind(AssertUnwindSafe(|| shard.handle(now, input, batch)));
        if outcome.is_err() {
            drop(responder);
            return self.after_panic(outbox);
        }
        if let Some(responder) = responder {
            assert_eq!(self.batch.replies.len(), replies + 1, "an input with a ticket has one reply");
            self.responders.push(responder);
        }
    }

    /// A broken assertion: what was decided since the last batch is thrown away, and the state made again.
    ///
    /// - `outbox`: so many changes of deliveries the batch had before. Those that had ended are sent again. The one whose
    ///   end broke the assertion is not: it would do so again.
    fn after_panic(&mut self, outbox: usize) {
        self.panics += 1;
        tracing::error!(engine = self.thread.index, panics = self.panics, "an engine thread broke an assertion");
        if limits::PANICS_MAX <= self.panics {
            self.thread.broken.store(true, Ordering::Release);
        }
        let ended = self.batch.outbox[..outbox].iter().filter_map(|change| match change {
            OutboxChange::Done { sid } => Some(*sid),
            OutboxChange::Put(_) | OutboxChange::Dead { .. } => None,
        });
        let ended: Vec<_> = ended.collect();
        self.refuse();
        self.wait_for_commits();
        self.rebuild();
        if !ended.is_empty() {
            // That task never waits for an engine thread. When it has ended, the next start sends what waits.
            let _ = self.thread.deliveries.blocking_send(DeliveryMessage::NotEnded(ended));
        }
    }

    fn refuse(&mut self) {
        self.batch = Batch::default();
        for responder in self.responders.drain(..) {
            let _ = responder.send(Err(Unavailable));
        }
    }

    /// Hands the batch on, or answers at once when nothing has to be durable first.
    fn send(&mut self) {
        let batch = std::mem::take(&mut self.batch);
        let responders = std::mem::take(&mut self.responders);
        if batch.is_committed() && batch.replies.is_empty() {
            return;
        }
        if batch.is_committed() && self.sent == self.committed.load(Ordering::Acquire) {
            let position = Position(self.thread.committed_position.load(Ordering::Acquire));
            for ((_, reply), responder) in batch.replies.into_iter().zip(responders) {
                let _ = responder.send(Ok((reply, position)));
            }
            return;
        }
        self.sent += 1;
        let done = Done::Engine(Arc::clone(&self.committed), self.sent);
        let request = CommitRequest { generation: Some(self.thread.generation), batch, responders, done };
        // The commit thread ends after the engine threads.
        let _ = self.thread.commits.send(request);
    }

    /// Waits until everything that was sent is durable, or a failure was announced.
    fn wait_for_commits(&mut self) {
        let (waiting, done) = oneshot::channel();
        let request = CommitRequest {
            generation: Some(self.thread.generation),
            batch: Batch::default(),
            responders: Vec::new(),
            done: Done::Waiting(waiting),
        };
        if self.thread.commits.send(request).is_ok() {
            // Refused or done: either way nothing of this thread is under way any more.
            let _ = done.blocking_recv();
        }
    }

    /// Makes the workspaces again, trying until the store can be read.
    fn rebuild(&mut self) {
        loop {
            self.thread.shard = Shard::new(self.thread.limits, self.thread.telephony.clone());
            let (shard, place) = (&mut self.thread.shard, (self.thread.index, self.thread.count));
            let restored = self.thread.storage.with(|store| {
                let snapshots = store.snapshots().map_err(recovery::RecoveryError::List)?;
                recovery::restore(shard, store, &snapshots, place)
            });
            match restored {
                Ok(Ok(_deleted)) => return,
                Ok(Err(error)) => tracing::error!(error = chain(&error), "failed to make the workspaces again"),
                Err(closed) => tracing::warn!(error = chain(&closed), "the workspaces wait for the store"),
            }
            std::thread::park_timeout(limits::RECOVERY_PAUSE);
        }
    }

    /// Saves the state of every workspace. Everything sent so far must be durable first.
    fn save_snapshots(mut self) {
        self.wait_for_commits();
        if self.committed.load(Ordering::Acquire) != self.sent {
            tracing::warn!("no snapshots: the last changes were not committed");
            return;
        }
        let shard = &self.thread.shard;
        let position = Position(self.thread.committed_position.load(Ordering::Acquire));
        let saved = self.thread.storage.with(|store| {
            for (sid, sequence, snapshot) in shard.snapshots() {
                let about = Snapshot { stream: StreamId(sid.bytes()), sequence: SequenceNumber(sequence), position };
                let mut chunks = record::snapshot::encode(&snapshot);
                if let Err(error) = store.save_snapshot(about, &mut chunks) {
                    tracing::warn!(workspace_sid = %sid, error = chain(&error), "failed to save a snapshot");
                }
            }
        });
        if saved.is_err() {
            tracing::warn!("no snapshots: the store is closed");
        }
    }
}

/// Whether an input changes nothing, unless a timer fires.
fn is_read(input: &Input) -> bool {
    match input {
        Input::Call { call, .. } => !call.is_write(),
        Input::ListWorkspaces { .. } => true,
        Input::CreateWorkspace { .. }
        | Input::Assigned { .. }
        | Input::VoiceAnswered { .. }
        | Input::Voice { .. }
        | Input::Tick
        | Input::Barrier { .. } => false,
    }
}

/// The newest instant that a shard has seen, for the start of the clock.
pub(crate) fn newest_instant(shards: &[Shard]) -> Option<Timestamp> {
    shards.iter().filter_map(Shard::newest_instant).max()
}

#[cfg(test)]
mod tests {
    use pointsman_api::{HttpRequest, create_workspace_command, parse};
    use pointsman_dispatcher::AssignmentOutcome;
    use pointsman_store::MemoryStore;

    use super::*;

    #[test]
    fn requests_at_the_bound_wait_and_one_past_it_is_refused() {
        let (handle, inbox) = EngineHandle::new();
        let answers: Vec<_> = (0..limits::REQUESTS_WAITING_MAX)
            .map(|_| handle.request(|ticket| Input::Barrier { ticket }).expect("there is room"))
            .collect();
        assert_eq!(handle.request(|ticket| Input::Barrier { ticket }).err(), Some(Full));
        assert_eq!(handle.waiting(), answers.len());
        // What the server itself sends is never refused and takes nobody's place.
        let _answer = handle.ask_always(|ticket| Input::Barrier { ticket });
        assert_eq!(handle.waiting(), answers.len());
        assert_eq!(inbox.len(), answers.len() + 1);
    }

    /// A Workspace that the shard has already is a broken assertion.
    fn create(ticket: Ticket) -> Input {
        let request = HttpRequest {
            method: "POST",
            path: "/v1/Workspaces",
            content_type: Some("application/x-www-form-urlencoded"),
            body: b"FriendlyName=W",
            ..HttpRequest::default()
        };
        let call = Box::new(parse(&request).unwrap());
        let create = create_workspace_command(&call, [1; 16], Sid::from_bytes([1; 16]), 1, Sid::from_bytes([2; 16]));
        Input::CreateWorkspace { ticket, create: create.unwrap(), call }
    }

    #[test]
    fn ends_of_deliveries_that_a_broken_assertion_loses_are_asked_for_again() {
        let (handle, inbox) = EngineHandle::new();
        let (commits, requests) = crossbeam_channel::unbounded();
        let (deliveries, mut messages) = mpsc::channel(1);
        let thread = EngineThread {
            index: 0,
            count: 1,
            shard: Shard::new(Limits::default(), Telephony::None),
            limits: Limits::default(),
            telephony: Telephony::None,
            inbox,
            handle: handle.clone(),
            commits,
            deliveries,
            clock: Arc::new(Clock::start(ClockMode::Virtual, None)),
            storage: Arc::new(Storage::open(Box::new(|| Ok(Box::new(MemoryStore::new())))).unwrap()),
            generation: 0,
            committed_position: Arc::default(),
            broken: Arc::default(),
        };
        // All of it is one batch.
        let made = handle.ask_always(create);
        let (workspace, reservation) = (Sid::from_bytes([3; 16]), Sid::from_bytes([4; 16]));
        let input = Input::Assigned { workspace, reservation, outcome: AssignmentOutcome::Failed };
        handle.send(Work::Input { input, responder: None, counted: false });
        let made_again = handle.ask_always(create);
        let thread = thread.spawn().unwrap();

        let answer_wait = || {
            let request = requests.recv().unwrap();
            assert!(request.batch.outbox.is_empty(), "it is lost");
            let Done::Waiting(waiting) = request.done else { panic!("{request:?}") };
            waiting.send(Ok(Position(0))).unwrap();
        };
        answer_wait();
        let asked = messages.blocking_recv();
        assert!(matches!(&asked, Some(DeliveryMessage::NotEnded(sids)) if *sids == [[4; 16]]), "{asked:?}");
        assert_eq!(made.blocking_recv().unwrap().err(), Some(Unavailable));
        assert!(made_again.blocking_recv().is_err());
        handle.send(Work::Stop);
        answer_wait();
        thread.join().unwrap();
    }
}
