//! `/pointsman/v1/Workspaces/{WorkspaceSid}/EventStream`: events as they happen. Reference: extensions, section 9.
//!
//! ```text
//! projector ──► history ──► page of events ──► frame ──► body ──► socket
//!      └─ news of its workspace ─┘ one at a time: a slow reader is read for later, never buffered
//! ```
//!
//! A stream reads the history and nothing else, so that what it shows is durable and in order. It keeps its place as
//! the key of the last event that it has passed; when there is nothing after it, it waits for the projector. The numbers
//! of a Workspace's events have no gaps, so that a repetition is passed over and a gap ends the stream.

use std::collections::BTreeMap;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Instant;

use bytes::Bytes;
use hyper::body::{Body, Frame};
use hyper::header::{ACCEPT, HeaderMap};
use pointsman_api::cloud_event::write_cloud_event;
use pointsman_api::event_fields::Place;
use pointsman_api::{Answer, ApiError, EventStreamRequest, Header, StreamBegin, errors};
use pointsman_dispatcher::Caller;
use pointsman_engine::{Account, EventKind, PublicEvent, Sid, Timestamp};
use pointsman_record::public_event;
use pointsman_store::{HistoryEvent, HistoryKey, HistoryOrder, HistoryPage, HistoryQuery, Position};
use tokio::sync::{mpsc, watch};

use super::App;
use crate::clock;
use crate::history::HistoryError;
use crate::limits;
use crate::listener::stopped;
use crate::logging::chain;
use crate::metrics::Metrics;
use crate::projector::{Ended, Follower};
use crate::storage::Storage;

/// The streams that are open, and when they must end.
#[derive(Debug)]
pub(crate) struct Streams {
    open: Mutex<BTreeMap<Sid<Account>, usize>>,
    metrics: Arc<Metrics>,
    stopping: watch::Receiver<bool>,
}

/// Room for one stream; gives it back at its end.
#[derive(Debug)]
struct Room {
    streams: Arc<Streams>,
    account: Sid<Account>,
}

impl Streams {
    pub(crate) fn new(metrics: Arc<Metrics>, stopping: watch::Receiver<bool>) -> Streams {
        Streams { open: Mutex::default(), metrics, stopping }
    }

    fn enter(self: &Arc<Streams>, account: Sid<Account>) -> Result<Room, ApiError> {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        let full =
            |max: usize, whose: &str| ApiError::new(&errors::TOO_MANY_STREAMS, &[("max", &max), ("whose", &whose)]);
        if limits::EVENT_STREAMS_MAX <= open.values().sum() {
            return Err(full(limits::EVENT_STREAMS_MAX, "on this server"));
        }
        let own = open.entry(account).or_default();
        if limits::EVENT_STREAMS_PER_ACCOUNT_MAX <= *own {
            return Err(full(limits::EVENT_STREAMS_PER_ACCOUNT_MAX, "of one account"));
        }
        *own += 1;
        self.metrics.event_streams_open(open.values().sum());
        Ok(Room { streams: Arc::clone(self), account })
    }
}

impl Drop for Room {
    fn drop(&mut self) {
        let mut open = self.streams.open.lock().unwrap_or_else(PoisonError::into_inner);
        let own = open.get_mut(&self.account).expect("its room is counted");
        *own -= 1;
        if *own == 0 {
            open.remove(&self.account);
        }
        self.streams.metrics.event_streams_open(open.values().sum());
    }
}

/// A body that is still being written.
#[derive(Debug)]
pub(crate) struct Streamed(pub(super) mpsc::Receiver<Result<Bytes, Broken>>);

/// The stream ends before its end: the reader connects again, and is told more.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("the stream of events broke off")]
pub(crate) struct Broken;

impl Body for Streamed {
    type Data = Bytes;
    type Error = Broken;

    fn poll_frame(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Broken>>> {
        self.0.poll_recv(context).map(|next| next.map(|piece| piece.map(Frame::data)))
    }
}

/// How events stand in the body.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Format {
    ServerSentEvents,
    Lines,
}

impl Format {
    /// Server-sent events for whoever names them.
    fn accepted(headers: &HeaderMap) -> Format {
        let mut accepted = headers.get_all(ACCEPT).iter().filter_map(|value| value.to_str().ok());
        let is_named = accepted.any(|value| value.to_ascii_lowercase().contains("text/event-stream"));
        if is_named { Format::ServerSentEvents } else { Format::Lines }
    }

    fn media_type(self) -> &'static str {
        match self {
            Format::ServerSentEvents => "text/event-stream",
            Format::Lines => "application/x-ndjson",
        }
    }

    /// What shows that the stream lives: a comment, or an empty line.
    fn heart_beat(self) -> Bytes {
        match self {
            Format::ServerSentEvents => Bytes::from_static(b":\n\n"),
            Format::Lines => Bytes::from_static(b"\n"),
        }
    }

    fn write(self, out: &mut String, event: &PublicEvent, place: &Place, account_name: &str) {
        if self == Format::ServerSentEvents {
            out.push_str("id: ");
            out.push_str(&event.sid.to_string());
            out.push_str("\ndata: ");
        }
        write_cloud_event(out, event, place, account_name);
        out.push_str(if self == Format::ServerSentEvents { "\n\n" } else { "\n" });
    }
}

/// Opens a stream for a request whose Workspace was found.
///
/// - `position`: what the stream must have seen of the journal before it begins.
/// - `is_head`: only the head is wanted.
pub(super) async fn open(
    app: &App,
    caller: Caller,
    request: EventStreamRequest,
    position: Position,
    headers: &HeaderMap,
    is_head: bool,
) -> Result<(Answer, Option<Streamed>), Answer> {
    let room = app.streams.enter(request.account).map_err(|error| error.answer())?;
    super::history_reaches(app, position).await?;
    let format = Format::accepted(headers);
    let place = first_place(app, &request).await?;
    let answer = Answer {
        status: 200,
        headers: vec![
            Header::new("Content-Type", format.media_type()),
            // Proxies that collect answers before they pass them on are asked not to.
            Header::new("X-Accel-Buffering", "no"),
        ],
        body: String::new(),
    };
    if is_head {
        return Ok((answer, None));
    }
    let (pieces, body) = mpsc::channel(1);
    let workspace = request.workspace;
    let stream = Stream {
        room,
        caller,
        account_name: account_name(app, request.account),
        request,
        format,
        place,
        accounts: Arc::clone(&app.accounts),
        storage: Arc::clone(&app.storage),
        clock: Arc::clone(&app.clock),
        follower: app.projector.follow(workspace.bytes()),
        stopping: app.streams.stopping.clone(),
        pieces,
        written: clock::instant(),
    };
    tokio::spawn(stream.run());
    Ok((answer, Some(Streamed(body))))
}

fn account_name(app: &App, account: Sid<Account>) -> Arc<str> {
    app.accounts.read().account(account).map(|account| Arc::clone(&account.friendly_name)).unwrap_or_default()
}

/// Where a stream stands in the history.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct StreamPlace {
    /// The last event that it has passed: its place in the history, and its number in the Workspace, which has no gaps.
    passed: Option<(HistoryKey, u64)>,
    /// Events before this instant are not shown.
    from: Timestamp,
    /// The last event of a stream that does not follow; `None` for one that does, or that has nothing to show.
    last: Option<HistoryKey>,
}

async fn first_place(app: &App, request: &EventStreamRequest) -> Result<StreamPlace, Answer> {
    let workspace = request.workspace.bytes();
    let newest = HistoryQuery { limit: 1, ..HistoryQuery::all(workspace) };
    let begin = request.begin;
    let oldest = app.retention.oldest(request.workspace, app.clock.now());
    let storage = Arc::clone(&app.storage);
    let read = super::blocking(limits::ANSWER_TIMEOUT, move || {
        storage.with(|store| {
            let newest = store.history(&newest)?.events.pop();
            let passed = match begin {
                StreamBegin::Start | StreamBegin::At(_) => None,
                StreamBegin::Now => newest.clone(),
                StreamBegin::After(sid) => match store.history_event(workspace, sid.bytes())? {
                    Some(event) if oldest.0 <= event.key.at_ms => Some(event),
                    Some(_) | None => return Ok(Err(ApiError::new(&errors::CURSOR_GONE, &[("sid", &sid)]))),
                },
            };
            let passed = match passed {
                Some(event) => Some((event.key, public_event::decode(&event.payload)?.id.number())),
                None => None,
            };
            Ok(Ok((passed, newest)))
        })
    });
    let (passed, newest) = match read.await.map_err(|error| error.answer())? {
        Ok(Ok(found)) => found.map_err(|error| error.answer())?,
        Ok(Err(error)) => return Err(failed(&error).answer()),
        Err(_closed) => return Err(ApiError::unavailable().answer()),
    };
    Ok(StreamPlace {
        passed,
        from: match begin {
            StreamBegin::At(instant) => instant.max(oldest),
            StreamBegin::Start | StreamBegin::Now | StreamBegin::After(_) => oldest,
        },
        last: newest.map(|event| event.key),
    })
}

fn failed(error: &HistoryError) -> ApiError {
    tracing::error!(error = chain(error), "failed to read the event history");
    ApiError::internal()
}

/// One open stream.
struct Stream {
    room: Room,
    caller: Caller,
    account_name: Arc<str>,
    request: EventStreamRequest,
    format: Format,
    place: StreamPlace,
    accounts: Arc<crate::accounts::AccountsKeeper>,
    storage: Arc<Storage>,
    clock: Arc<clock::Clock>,
    follower: Follower,
    stopping: watch::Receiver<bool>,
    pieces: mpsc::Sender<Result<Bytes, Broken>>,
    /// When something was handed over last.
    written: Instant,
}

/// Why a stream ends.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum End {
    /// All is said, the reader is gone, or the server stops.
    Complete,
    /// The reader must be told that something is missing.
    Broken,
}

/// What a stream waits for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Wait {
    Until(tokio::time::Instant),
    /// There may be something new of its Workspace; what comes in quick succession is read together.
    News {
        not_before: tokio::time::Instant,
    },
}

impl Stream {
    async fn run(mut self) {
        let (workspace_sid, account) = (self.request.workspace, self.room.account);
        tracing::debug!(%workspace_sid, %account, "event stream opened");
        if self.write_all().await == End::Broken {
            // When the reader is gone there is nobody to tell.
            let _ = self.pieces.send(Err(Broken)).await;
        }
        tracing::debug!(%workspace_sid, %account, "event stream ended");
    }

    async fn write_all(&mut self) -> End {
        loop {
            // Forgotten before the read: what is written meanwhile wakes this again.
            self.follower.forget_news();
            let began = tokio::time::Instant::from_std(clock::instant());
            let now = self.clock.now();
            let page = match self.read().await {
                Ok(page) => page,
                Err(end) => return end,
            };
            let Some(HistoryPage { events, more }) = page else {
                if !self.request.follow {
                    return End::Broken;
                }
                // The store is being opened again; nobody tells when it is.
                if let Err(end) = self.wait(Wait::Until(began + limits::RECOVERY_PAUSE)).await {
                    return end;
                }
                continue;
            };
            if let Err(end) = self.show(events, now).await {
                return end;
            }
            if more {
                continue;
            }
            if !self.request.follow {
                return End::Complete;
            }
            if let Err(end) = self.wait(Wait::News { not_before: began + limits::EVENT_STREAM_INTERVAL }).await {
                return end;
            }
        }
    }

    /// The events that follow; `None` while the store is closed.
    async fn read(&self) -> Result<Option<HistoryPage>, End> {
        let workspace = self.request.workspace.bytes();
        let place = self.place;
        // All types are read, so that the place moves on past those that are not wanted.
        let query = HistoryQuery {
            from_ms: place.from.0,
            order: HistoryOrder::OldestFirst,
            cursor: place.passed.map(|(key, _)| key),
            limit: limits::EVENT_STREAM_PAGE,
            ..HistoryQuery::all(workspace)
        };
        let storage = Arc::clone(&self.storage);
        match super::blocking(limits::ANSWER_TIMEOUT, move || storage.with(|store| store.history(&query))).await {
            Ok(Ok(Ok(page))) => Ok(Some(page)),
            Ok(Ok(Err(error))) => {
                failed(&error.into());
                Err(End::Broken)
            }
            Ok(Err(_closed)) => Ok(None),
            Err(_unavailable) => Err(End::Broken),
        }
    }

    async fn show(&mut self, events: Vec<HistoryEvent>, now: Timestamp) -> Result<(), End> {
        let mut frame = String::new();
        for stored in events {
            if !self.request.follow && self.place.last < Some(stored.key) {
                self.hand_over(frame).await?;
                return Err(End::Complete);
            }
            let Ok(event) = public_event::decode(&stored.payload) else {
                let event_sid = Sid::<PublicEvent>::from_bytes(stored.sid);
                tracing::error!(%event_sid, "a stored event cannot be read");
                return Err(End::Broken);
            };
            let number = event.id.number();
            let before = self.place.passed.map(|(_, number)| number);
            self.place.passed = Some((stored.key, before.map_or(number, |before| before.max(number))));
            // A history that had to be made again may give an event another place.
            if before.is_some_and(|before| number <= before) {
                continue;
            }
            if before.is_some_and(|before| before + 1 < number) {
                tracing::info!(workspace_sid = %self.request.workspace, "an event stream fell behind what is kept");
                return Err(End::Broken);
            }
            if self.wants(event.kind) {
                let place = Place::at(now, &event, self.request.account, self.request.workspace);
                self.format.write(&mut frame, &event, &place, &self.account_name);
            }
            if event.kind == EventKind::WorkspaceDeleted {
                self.hand_over(frame).await?;
                return Err(End::Complete);
            }
            if limits::EVENT_STREAM_FRAME_BYTES <= frame.len() {
                self.hand_over(std::mem::take(&mut frame)).await?;
            }
        }
        self.hand_over(frame).await
    }

    fn wants(&self, kind: EventKind) -> bool {
        self.request.kinds.is_empty() || self.request.kinds.contains(&kind)
    }

    /// Gives a frame to the connection once it has taken the one before.
    async fn hand_over(&mut self, frame: String) -> Result<(), End> {
        if frame.is_empty() { Ok(()) } else { self.send(Bytes::from(frame)).await }
    }

    async fn send(&mut self, frame: Bytes) -> Result<(), End> {
        let began = clock::instant();
        tokio::select! {
            biased;
            () = stopped(&mut self.stopping) => Err(End::Complete),
            place = self.pieces.reserve() => {
                self.written = clock::instant();
                let Ok(place) = place else {
                    if limits::WRITE_TIMEOUT <= began.elapsed() {
                        let (workspace_sid, account) = (self.request.workspace, self.room.account);
                        tracing::info!(%workspace_sid, %account, "an event stream whose reader took nothing was cut");
                    }
                    return Err(End::Complete);
                };
                // The reader may have taken long: only now it shows who it still is.
                if !self.accounts.still_allows(self.caller) {
                    return Err(End::Complete);
                }
                place.send(Ok(frame));
                Ok(())
            }
        }
    }

    /// Waits; shows now and then that the stream lives.
    async fn wait(&mut self, until: Wait) -> Result<(), End> {
        loop {
            let next_beat = tokio::time::Instant::from_std(self.written + limits::EVENT_STREAM_HEART_BEAT);
            let Stream { stopping, pieces, follower, .. } = self;
            let awaited = async {
                match until {
                    Wait::Until(instant) => tokio::time::sleep_until(instant).await,
                    Wait::News { not_before } => {
                        tokio::time::sleep_until(not_before).await;
                        // Last, for what is heard here is not heard again.
                        follower.news().await?;
                    }
                }
                Ok(())
            };
            tokio::select! {
                biased;
                () = stopped(stopping) => return Err(End::Complete),
                () = pieces.closed() => return Err(End::Complete),
                () = tokio::time::sleep_until(next_beat) => self.send(self.format.heart_beat()).await?,
                // The projector has ended, and with it the server.
                over = awaited => return over.map_err(|Ended| End::Complete),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use pointsman_engine::accounts::Accounts;
    use pointsman_store::MemoryStore;

    use super::*;
    use crate::accounts::AccountsKeeper;
    use crate::configuration::ClockMode;
    use crate::projector::{Projector, ProjectorHandle};

    fn streams() -> Arc<Streams> {
        let (_, stopping) = watch::channel(false);
        Arc::new(Streams::new(Arc::new(Metrics::new()), stopping))
    }

    fn account(number: usize) -> Sid<Account> {
        Sid::from_bytes([number as u8; 16])
    }

    #[test]
    fn an_account_has_room_for_so_many_streams_and_no_more() {
        let streams = streams();
        let mut rooms: Vec<Room> =
            (0..limits::EVENT_STREAMS_PER_ACCOUNT_MAX).map(|_| streams.enter(account(1)).unwrap()).collect();
        assert_eq!(streams.enter(account(1)).unwrap_err().status(), 429);
        assert!(streams.enter(account(2)).is_ok());
        rooms.pop();
        assert!(streams.enter(account(1)).is_ok());
    }

    #[test]
    fn the_server_has_room_for_so_many_streams_and_no_more() {
        let streams = streams();
        let per_account = limits::EVENT_STREAMS_PER_ACCOUNT_MAX;
        let mut rooms: Vec<Room> = (0..limits::EVENT_STREAMS_MAX)
            .map(|number| streams.enter(account(number / per_account)).unwrap())
            .collect();
        let refused = streams.enter(account(255)).unwrap_err();
        assert_eq!((refused.status(), refused.message.contains("on this server")), (429, true));
        rooms.pop();
        assert!(streams.enter(account(255)).is_ok());
        drop(rooms);
        assert!(streams.open.lock().unwrap().is_empty());
    }

    /// A stream of a Workspace without events, its body, and what must live as long.
    fn stream(follow: bool) -> (Stream, Streamed, (Projector, ProjectorHandle, watch::Sender<bool>)) {
        let storage = Arc::new(Storage::open(Box::new(|| Ok(Box::new(MemoryStore::new())))).unwrap());
        let (projector, handle) = Projector::new(Arc::clone(&storage), Arc::new(Metrics::new()), Position::ZERO);
        let (stop, stopping) = watch::channel(false);
        let (pieces, body) = mpsc::channel(1);
        let workspace = Sid::from_bytes([1; 16]);
        let stream = Stream {
            room: streams().enter(account(1)).unwrap(),
            caller: Caller { account: account(1), key: None },
            account_name: Arc::default(),
            request: EventStreamRequest {
                workspace,
                account: account(1),
                kinds: Vec::new(),
                begin: StreamBegin::Start,
                follow,
            },
            format: Format::Lines,
            place: StreamPlace { passed: None, from: Timestamp(0), last: None },
            accounts: Arc::new(AccountsKeeper::new(Accounts::default(), 0)),
            storage,
            clock: Arc::new(clock::Clock::start(ClockMode::Virtual, None)),
            follower: handle.follow(workspace.bytes()),
            stopping,
            pieces,
            written: clock::instant(),
        };
        (stream, Streamed(body), (projector, handle, stop))
    }

    #[tokio::test]
    async fn a_stream_looks_again_when_there_is_news_and_not_too_often() {
        let (mut stream, _body, (projector, _handle, _stop)) = stream(true);
        let not_before = tokio::time::Instant::from_std(clock::instant() + limits::EVENT_STREAM_INTERVAL);
        projector.tell(&[stream.request.workspace.bytes()]);
        stream.wait(Wait::News { not_before }).await.unwrap();
        assert!(not_before.into_std() <= clock::instant());
        let quiet = tokio::time::timeout(limits::EVENT_STREAM_INTERVAL, stream.wait(Wait::News { not_before }));
        assert!(quiet.await.is_err(), "what was heard is not heard again");
        projector.tell(&[[2; 16]]);
        let foreign = tokio::time::timeout(limits::EVENT_STREAM_INTERVAL, stream.wait(Wait::News { not_before }));
        assert!(foreign.await.is_err(), "news of another Workspace");
        drop(projector);
        assert_eq!(stream.wait(Wait::News { not_before }).await, Err(End::Complete));
    }

    #[tokio::test]
    async fn a_stream_that_ends_with_what_there_is_looks_complete_only_when_it_is() {
        let (mut whole, _body, _kept) = stream(false);
        assert_eq!(whole.write_all().await, End::Complete);
        let (mut cut, _body, _kept) = stream(false);
        cut.storage.close();
        assert_eq!(cut.write_all().await, End::Broken);
    }

    #[tokio::test]
    async fn a_stream_that_follows_waits_for_a_store_that_is_being_opened_again() {
        let (mut stream, _body, (_projector, _handle, stop)) = stream(true);
        stream.storage.close();
        let waiting = tokio::time::timeout(limits::EVENT_STREAM_INTERVAL, stream.write_all());
        assert!(waiting.await.is_err());
        stream.storage.reopen().unwrap();
        stop.send_replace(true);
        assert_eq!(stream.write_all().await, End::Complete);
    }

    #[test]
    fn server_sent_events_are_for_whoever_names_them() {
        for (accept, expected) in [
            ("text/event-stream", Format::ServerSentEvents),
            ("application/json, Text/Event-Stream;q=0.9", Format::ServerSentEvents),
            ("application/x-ndjson", Format::Lines),
            ("*/*", Format::Lines),
        ] {
            let headers = HeaderMap::from_iter([(ACCEPT, accept.parse().unwrap())]);
            assert_eq!(Format::accepted(&headers), expected, "{accept}");
        }
        assert_eq!(Format::accepted(&HeaderMap::new()), Format::Lines);
    }
}
