//! The projector thread: writes the public events of committed records into the history.
//!
//! It is handed the events of each commit; when it falls behind, or starts, it reads them from the journal. How far it
//! has come is told by a watch channel, for queries that must see what their caller has seen.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use crossbeam_channel::{Receiver, RecvTimeoutError, Sender};
use pointsman_engine::PublicEvent;
use pointsman_record::{public_event, turn};
use pointsman_store::{HistoryRow, Position, ReadLimit, Store, StreamId};
use tokio::sync::watch;

use crate::clock;
use crate::history;
use crate::limits;
use crate::logging::chain;
use crate::metrics::Metrics;
use crate::priority;
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

/// What the projector thread is told.
#[derive(Debug)]
pub(crate) enum ProjectorMessage {
    Committed(Projection),
    /// Somebody waits for the history, or it may have fallen back.
    Hurry,
    /// Nothing comes after this.
    Last,
}

/// The way to the projector thread; events that wait on it are bounded.
#[derive(Clone, Debug)]
pub(crate) struct ProjectorHandle {
    messages: Sender<ProjectorMessage>,
    /// Events handed over and not written yet.
    waiting: Arc<AtomicUsize>,
    position: watch::Receiver<Position>,
    followers: Arc<Followers>,
}

/// What the projector thread needs.
pub(crate) struct Projector {
    storage: Arc<Storage>,
    metrics: Arc<Metrics>,
    messages: Receiver<ProjectorMessage>,
    waiting: Arc<AtomicUsize>,
    position: watch::Sender<Position>,
    followers: Arc<Followers>,
}

/// Who waits for events of single workspaces, by workspace; `None` when nothing comes any more. Holds as many as there
/// are followers, and no workspace without one.
#[derive(Debug)]
struct Followers(Mutex<Option<BTreeMap<[u8; 16], watch::Sender<()>>>>);

/// Is told when the history may have got events of one workspace, and of no other.
#[derive(Debug)]
pub(crate) struct Follower {
    followers: Arc<Followers>,
    workspace: [u8; 16],
    news: watch::Receiver<()>,
}

/// The projector thread has ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("the projector has ended")]
pub(crate) struct Ended;

impl Projection {
    fn events_count(&self) -> usize {
        self.records.iter().map(|(_, events)| events.len()).sum()
    }
}

impl ProjectorHandle {
    /// Hands a commit over. When too many events wait, the projector reads them from the store instead.
    pub(crate) fn committed(&self, projection: Projection) {
        let count = projection.events_count();
        let fits = self.waiting.fetch_add(count, Ordering::AcqRel) < limits::PROJECTED_EVENTS_WAITING_MAX;
        if !fits || self.messages.try_send(ProjectorMessage::Committed(projection)).is_err() {
            self.waiting.fetch_sub(count, Ordering::AcqRel);
        }
    }

    /// Has the projector look where the history stands.
    pub(crate) fn hurry(&self) {
        // When its line is full it is at work already.
        let _ = self.messages.try_send(ProjectorMessage::Hurry);
    }

    /// Ends the projector after what was handed over.
    pub(crate) fn end(&self) {
        // When it has ended already there is nobody to tell.
        let _ = self.messages.send(ProjectorMessage::Last);
    }

    /// Follows one workspace: what is written from now on is told.
    pub(crate) fn follow(&self, workspace: [u8; 16]) -> Follower {
        let news = self.followers.add(workspace);
        Follower { followers: Arc::clone(&self.followers), workspace, news }
    }

    /// Waits until the history holds everything up to a position.
    pub(crate) async fn reach(&self, position: Position) -> Result<(), Ended> {
        let mut projected = self.position.clone();
        if *projected.borrow_and_update() < position {
            self.hurry();
        }
        projected.wait_for(|projected| position <= *projected).await.map(drop).map_err(|_| Ended)
    }
}

impl Followers {
    fn add(&self, workspace: [u8; 16]) -> watch::Receiver<()> {
        let mut followers = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match followers.as_mut() {
            Some(followers) => followers.entry(workspace).or_insert_with(|| watch::Sender::new(())).subscribe(),
            // Nobody holds its sender: it says that it has ended.
            None => watch::Sender::new(()).subscribe(),
        }
    }

    fn tell_all(&self) {
        let followers = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        for news in followers.iter().flat_map(BTreeMap::values) {
            news.send_replace(());
        }
    }

    fn tell(&self, workspaces: BTreeSet<[u8; 16]>) {
        let followers = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(followers) = followers.as_ref().filter(|followers| !followers.is_empty()) else { return };
        for workspace in workspaces {
            if let Some(news) = followers.get(&workspace) {
                news.send_replace(());
            }
        }
    }
}

impl Follower {
    /// What was told so far counts no longer.
    pub(crate) fn forget_news(&mut self) {
        self.news.borrow_and_update();
    }

    /// Waits until something is told that was not forgotten.
    pub(crate) async fn news(&mut self) -> Result<(), Ended> {
        self.news.changed().await.map_err(|_| Ended)
    }
}

impl Drop for Follower {
    fn drop(&mut self) {
        let mut followers = self.followers.0.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(followers) = followers.as_mut() else { return };
        // Its own receiver is the last one.
        if followers.get(&self.workspace).is_some_and(|news| news.receiver_count() <= 1) {
            followers.remove(&self.workspace);
        }
    }
}

impl Drop for Projector {
    fn drop(&mut self) {
        *self.followers.0.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }
}

impl Projector {
    /// A projector whose history stands at a position, and the way to it.
    pub(crate) fn new(
        storage: Arc<Storage>,
        metrics: Arc<Metrics>,
        position: Position,
    ) -> (Projector, ProjectorHandle) {
        let (sender, messages) = crossbeam_channel::bounded(limits::PROJECTIONS_WAITING_MAX);
        let (position, projected) = watch::channel(position);
        let waiting = Arc::new(AtomicUsize::new(0));
        let followers = Arc::new(Followers(Mutex::new(Some(BTreeMap::new()))));
        let handle = ProjectorHandle {
            messages: sender,
            waiting: Arc::clone(&waiting),
            position: projected,
            followers: Arc::clone(&followers),
        };
        (Projector { storage, metrics, messages, waiting, position, followers }, handle)
    }

    /// Runs until it is told to end; the history is complete then, if the store works.
    pub(crate) fn run(self) {
        // Nobody but those who read the history waits for it.
        priority::lower();
        // What a crash has left over comes first.
        let mut is_behind = self.catch_up().is_err();
        let mut is_last = false;
        while !is_last {
            let mut group = Vec::new();
            let hurries;
            (hurries, is_last) = self.gather(&mut group, is_behind);
            is_behind = is_behind || (hurries && group.is_empty()) || !self.project(&group);
            if is_behind {
                is_behind = match self.catch_up() {
                    Ok(()) => false,
                    Err(problem) => {
                        tracing::warn!(error = problem, "the event history waits for the store");
                        true
                    }
                };
            }
            // Whatever is not in the history by now is read from the store later.
            let written = group.iter().map(Projection::events_count).sum();
            self.waiting.fetch_sub(written, Ordering::AcqRel);
            if !is_behind {
                self.forget(group.into_iter().flat_map(|projection| projection.deleted).collect());
            }
        }
    }

    /// Takes commits until there are many, somebody waits for them, or the first one has waited long enough: rows that
    /// are written together cost less. Returns whether somebody waits, and whether nothing comes after.
    ///
    /// - `is_behind`: the store is tried again after a pause, commits or not.
    fn gather(&self, group: &mut Vec<Projection>, is_behind: bool) -> (bool, bool) {
        let mut rows = 0;
        let mut until = is_behind.then(|| clock::instant() + limits::RECOVERY_PAUSE);
        while rows < limits::PROJECTED_ROWS {
            let message = match until {
                None => self.messages.recv().map_err(|_| RecvTimeoutError::Disconnected),
                Some(until) => self.messages.recv_deadline(until),
            };
            match message {
                Ok(ProjectorMessage::Committed(projection)) => {
                    rows += projection.events_count();
                    until = until.or_else(|| Some(clock::instant() + limits::PROJECTION_DELAY));
                    group.push(projection);
                }
                Ok(ProjectorMessage::Hurry) => return (true, false),
                Err(RecvTimeoutError::Timeout) => return (false, false),
                Ok(ProjectorMessage::Last) | Err(RecvTimeoutError::Disconnected) => return (false, true),
            }
        }
        (false, false)
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
        let began = clock::instant();
        let written = self.storage.with(|store| {
            // A store that was opened again may have less of the history than before.
            let is_continued = store.history_position() == *self.position.borrow();
            if is_continued { store.project(up_to, &rows).map(|()| true) } else { Ok(false) }
        });
        match written {
            Ok(Ok(true)) => {
                tracing::debug!(
                    events = rows.len(),
                    took_ms = clock::millis_since(began),
                    "wrote to the event history"
                );
                self.position.send_replace(up_to);
                self.followers.tell(rows.iter().map(|row| row.workspace).collect());
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
        catch_up(store, &mut |position, workspaces| {
            let is_told = self.position.send_replace(position) == position || !workspaces.is_empty();
            if is_told {
                self.followers.tell(workspaces);
            } else {
                // The history had come further than was known here.
                self.followers.tell_all();
            }
        })
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

/// Brings the history to where the journal stands; tells each position on the way, and the workspaces whose events have
/// come up to it.
pub(crate) fn catch_up(store: &dyn Store, reached: &mut dyn FnMut(Position, BTreeSet<[u8; 16]>)) -> Result<(), String> {
    let mut up_to = store.history_position();
    reached(up_to, BTreeSet::new());
    loop {
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
        reached(up_to, rows.iter().map(|row| row.workspace).collect());
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
        references: event.references().into_iter().map(history::stored_reference).collect(),
        payload: public_event::encode(event),
    }
}

#[cfg(test)]
mod tests {
    use pointsman_store::MemoryStore;

    use super::*;

    fn projector() -> (Projector, ProjectorHandle) {
        let storage = Storage::open(Box::new(|| Ok(Box::new(MemoryStore::new())))).unwrap();
        Projector::new(Arc::new(storage), Arc::new(Metrics::new()), Position::ZERO)
    }

    impl Projector {
        /// Has followers hear of workspaces.
        pub(crate) fn tell(&self, workspaces: &[[u8; 16]]) {
            self.followers.tell(workspaces.iter().copied().collect());
        }
    }

    #[tokio::test]
    async fn a_follower_hears_of_its_own_workspace_alone() {
        let (projector, handle) = projector();
        let (mut one, mut other, twin) = (handle.follow([1; 16]), handle.follow([2; 16]), handle.follow([1; 16]));
        projector.tell(&[[1; 16], [3; 16]]);
        one.news().await.unwrap();
        assert!(!other.news.has_changed().unwrap() && twin.news.has_changed().unwrap());
        drop(one);
        let followed = || projector.followers.0.lock().unwrap().as_ref().unwrap().len();
        assert_eq!(followed(), 2, "one of two that follow the same is left");
        projector.tell(&[[2; 16]]);
        other.forget_news();
        assert!(!other.news.has_changed().unwrap());
        drop((twin, other));
        assert_eq!(followed(), 0);
    }

    #[tokio::test]
    async fn followers_hear_when_nothing_comes_any_more() {
        let (projector, handle) = projector();
        let mut before = handle.follow([1; 16]);
        drop(projector);
        assert_eq!(before.news().await, Err(Ended));
        assert_eq!(handle.follow([1; 16]).news().await, Err(Ended));
    }
}
