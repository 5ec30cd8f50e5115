//! From an HTTP request to its answer: the one handler of everything.
//!
//! ```text
//! read body ─► authenticate (dispatcher) ─► parse (api) ─► engine thread, accounts, or history ─► common headers
//! ```
//!
//! Which paths and parameters there are is in the tables of `api`; here is only who carries a call out.

pub(crate) mod base_url;
mod clock_calls;
mod dead_letters;
pub(crate) mod event_stream;
mod rates;
mod route;
mod voice_calls;

use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use crossbeam_channel::Sender;
use http_body_util::{BodyExt, Either, Full};
use hyper::body::{Body, Incoming};
use hyper::header::{
    AUTHORIZATION, CONTENT_ENCODING, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue, IF_MATCH, ORIGIN,
};
use hyper::http::request::Parts;
use hyper::{Method, Request, Response, StatusCode};
use pointsman_api::{
    self as api, AccountCall, Answer, ApiError, Call, CallScope, CorsOrigins, HttpRequest, ServerRequest,
};
use pointsman_dispatcher::{Caller, Input, Reply, authenticate};
use pointsman_engine::{Entity, Sid, Workspace, derive_sid};
use pointsman_store::Position;
use tokio::sync::oneshot;

use crate::accounts::{AccountsKeeper, Shell, random};
use crate::clock::{self, Clock};
use crate::clock_control::ClockControl;
use crate::commit::{Answered, CommitRequest};
use crate::deliveries::Delivered;
use crate::engines::{self, EngineHandles, Full as EngineFull, Work};
use crate::health::Health;
use crate::history;
use crate::limits;
use crate::logging::chain;
use crate::metrics::Metrics;
use crate::projector::ProjectorHandle;
use crate::retention::Retention;
use crate::storage::Storage;

pub(crate) use self::dead_letters::Replays;
use self::event_stream::Streamed;
pub(crate) use self::event_stream::Streams;
pub(crate) use self::rates::Rates;

/// What requests are answered with.
pub(crate) struct App {
    pub(crate) base_url: base_url::BaseUrl,
    pub(crate) cors: CorsOrigins,
    pub(crate) retention: Retention,
    pub(crate) serves_metrics: bool,
    pub(crate) accounts: Arc<AccountsKeeper>,
    pub(crate) engines: EngineHandles,
    pub(crate) commits: Sender<CommitRequest>,
    pub(crate) storage: Arc<Storage>,
    pub(crate) projector: ProjectorHandle,
    pub(crate) clock: Arc<Clock>,
    pub(crate) clock_control: ClockControl,
    pub(crate) health: Arc<Health>,
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) rates: Rates,
    pub(crate) streams: Arc<Streams>,
    pub(crate) delivered: Arc<Delivered>,
    pub(crate) replays: Replays,
    /// With which the voice provider signs; `None` without one.
    pub(crate) voice_auth_token: Option<String>,
    /// What addresses that the provider is given begin with, if the operator has said so.
    pub(crate) voice_callback_url: Option<String>,
    /// Workspaces ever made here: the number of the next one.
    pub(crate) workspace_number: AtomicU64,
    pub(crate) request_seed: [u8; 16],
    pub(crate) requests: AtomicU64,
}

/// The identifier that an answer and the log have in common.
#[derive(Debug)]
enum RequestId {}

impl Entity for RequestId {
    const PREFIX: &'static str = "RQ";
}

/// The body did not arrive; the connection is closed.
#[derive(Debug, thiserror::Error)]
#[error("the body of the request did not arrive")]
pub(crate) struct BodyLost;

/// The body of an answer: whole, or written event by event.
pub(crate) type AnswerBody = Either<Full<Bytes>, Streamed>;

/// What goes back.
struct Outgoing {
    answer: Answer,
    /// What follows the head, where it is not whole.
    stream: Option<Streamed>,
}

impl From<Answer> for Outgoing {
    fn from(answer: Answer) -> Outgoing {
        Outgoing { answer, stream: None }
    }
}

/// A request whose parts have arrived.
struct Received<'a> {
    method: &'a Method,
    path: &'a str,
    query: &'a str,
    headers: &'a HeaderMap,
    body: &'a [u8],
    base_url: String,
    peer: String,
}

/// Answers one request.
pub(crate) async fn answer<B>(
    app: Arc<App>,
    peer: SocketAddr,
    request: Request<B>,
) -> Result<Response<AnswerBody>, BodyLost>
where
    B: Body<Data = Bytes> + Unpin,
{
    let started = clock::instant();
    app.metrics.request_began();
    let number = app.requests.fetch_add(1, Ordering::Relaxed);
    let request_id = derive_sid::<RequestId>(app.request_seed, number);
    let (parts, body) = request.into_parts();
    // Nobody makes the server hold a body who may not send one.
    let unauthenticated = if body.is_end_stream() { None } else { refuse_caller(&app, &parts) };
    let kept_max = if unauthenticated.is_none() { api::limits::BODY_BYTES_MAX } else { 0 };
    let body = read_body(body, kept_max, limits::BODY_TIMEOUT).await;
    let (outgoing, route) = match &body {
        _ if let Some(refused) = refuse_head(&parts) => (refused.answer().into(), "refused"),
        ReadBody::Whole(_) if let Some(refused) = unauthenticated => (refused.answer().into(), "unauthenticated"),
        ReadBody::Whole(body) => {
            let received = Received {
                method: &parts.method,
                path: parts.uri.path(),
                query: parts.uri.query().unwrap_or_default(),
                headers: &parts.headers,
                body,
                base_url: app.base_url.of(peer.ip(), &parts),
                peer: peer.ip().to_canonical().to_string(),
            };
            carry_out(&app, &received).await
        }
        ReadBody::Late => {
            let late = ApiError::new(&api::errors::BODY_TIMEOUT, &[("seconds", &limits::BODY_TIMEOUT.as_secs())]);
            (late.answer().with("Connection", "close").into(), "body_late")
        }
        ReadBody::Lost => (Answer::default().into(), "body_lost"),
    };
    let Outgoing { mut answer, stream } = outgoing;
    let took = started.elapsed();
    app.metrics.request_ended(route::method_label(&parts.method), route, answer.status, took);
    let (method, status) = (&parts.method, answer.status);
    let path = logged_path(parts.uri.path());
    match status {
        0..400 => tracing::debug!(%request_id, %method, path, status, ?took, "request"),
        400..500 => {
            // The message may hold what the client sent; the code does not.
            let code = error_code(&answer.body);
            tracing::info!(%request_id, %method, path, status, code, ?took, "request refused");
        }
        _ => tracing::error!(%request_id, %method, path, status, ?took, "request failed"),
    }
    if let ReadBody::Lost = body {
        return Err(BodyLost);
    }
    let origin = parts.headers.get(ORIGIN).and_then(|value| value.to_str().ok());
    api::add_common_headers(&mut answer, &request_id.to_string(), origin, &app.cors);
    Ok(response(answer, stream))
}

/// What a listener for metrics alone answers.
pub(crate) fn answer_metrics_only(app: &App, request: &Request<Incoming>) -> Response<AnswerBody> {
    let answer = match (request.method(), request.uri().path()) {
        (&Method::GET | &Method::HEAD, "/metrics") => metrics(app, request.headers()),
        (_, path) => ApiError::not_found(path).answer(),
    };
    response(answer, None)
}

/// What is wrong with the head of a request that the HTTP parser has let through.
fn refuse_head(parts: &Parts) -> Option<ApiError> {
    let target = parts.uri.path_and_query().map_or(0, |target| target.as_str().len());
    if api::limits::TARGET_BYTES_MAX < target {
        return Some(ApiError::new(&api::errors::TARGET_TOO_LONG, &[("limit", &api::limits::TARGET_BYTES_MAX)]));
    }
    let bytes: usize = parts.headers.iter().map(|(name, value)| name.as_str().len() + value.len()).sum();
    let (count, limit) = (api::limits::HEADERS_MAX, api::limits::HEADER_BYTES_MAX);
    let is_too_large = count < parts.headers.len() || limit < bytes;
    is_too_large.then(|| ApiError::new(&api::errors::HEADERS_TOO_LARGE, &[("count", &count), ("limit", &limit)]))
}

/// What is wrong with the credentials of a request that needs some.
fn refuse_caller(app: &App, parts: &Parts) -> Option<ApiError> {
    let path = parts.uri.path();
    let is_open = parts.method == Method::OPTIONS || route::Own::of(path).is_some() || voice_calls::is_path(path);
    if is_open { None } else { authenticated(app, &parts.headers).err() }
}

/// What became of the body of a request.
#[derive(Clone, PartialEq, Eq, Debug)]
enum ReadBody {
    Whole(Bytes),
    /// It did not arrive in time.
    Late,
    /// The connection broke, or what came makes no sense.
    Lost,
}

/// Reads a body, and holds it up to one byte more than `kept_max`.
async fn read_body<B: Body<Data = Bytes> + Unpin>(mut body: B, kept_max: usize, patience: Duration) -> ReadBody {
    if body.is_end_stream() {
        return ReadBody::Whole(Bytes::new());
    }
    let read = async {
        let mut all = BytesMut::new();
        let mut received = 0;
        while let Some(frame) = body.frame().await {
            let Ok(data) = frame.ok()?.into_data() else { continue };
            received += data.len();
            if received <= kept_max {
                all.extend_from_slice(&data);
            } else if received <= limits::BODY_BYTES_DISCARDED_MAX {
                // Whoever parses it sees that it is too large. The rest is read all the same: most clients look for an
                // answer only after they have sent everything.
                all.resize(kept_max + 1, 0);
            } else {
                break;
            }
        }
        Some(all.freeze())
    };
    match tokio::time::timeout(patience, read).await {
        Ok(Some(body)) => ReadBody::Whole(body),
        Ok(None) => ReadBody::Lost,
        Err(_elapsed) => ReadBody::Late,
    }
}

/// The number in the error dictionary, with which the body of every error begins.
fn error_code(body: &str) -> Option<u32> {
    body.strip_prefix("{\"code\":")?.split(',').next()?.parse().ok()
}

/// A path is whatever a caller sends, with or without credentials.
fn logged_path(path: &str) -> &str {
    path.char_indices().nth(limits::PATH_CHARS_LOGGED).map_or(path, |(end, _)| &path[..end])
}

fn response(answer: Answer, stream: Option<Streamed>) -> Response<AnswerBody> {
    let body = match stream {
        None => Either::Left(Full::new(Bytes::from(answer.body))),
        Some(stream) => Either::Right(stream),
    };
    let mut response = Response::new(body);
    *response.status_mut() = StatusCode::from_u16(answer.status).expect("answers have a status of HTTP");
    let headers = response.headers_mut();
    for header in answer.headers {
        // Texts of requests that could not stand in a header are left out of it.
        if let Ok(value) = HeaderValue::from_str(&header.value) {
            headers.append(HeaderName::from_bytes(header.name.as_bytes()).expect("header names are constants"), value);
        }
    }
    response
}

/// Finds who answers. Returns the answer and the label of the route for the metrics.
async fn carry_out(app: &App, received: &Received<'_>) -> (Outgoing, &'static str) {
    if received.method == Method::OPTIONS {
        return (route::preflight(received.path).into(), "preflight");
    }
    if let Some(own) = route::Own::of(received.path) {
        return (answer_own(app, received, own).into(), own.label());
    }
    if voice_calls::is_path(received.path) {
        return (voice_calls::answer(app, received).await.into(), "voice");
    }
    // Credentials come first: nobody else learns what there is. While the body came they may have been taken back.
    let caller = match authenticated(app, received.headers) {
        Ok(caller) => caller,
        Err(error) => return (error.answer().into(), "unauthenticated"),
    };
    match received.parse() {
        Err(error) => (error.answer().into(), "unknown"),
        Ok(call) => {
            let label = call.mount.path;
            (called(app, received, caller, call).await, label)
        }
    }
}

fn answer_own(app: &App, received: &Received<'_>, own: route::Own) -> Answer {
    if !own.allows(received.method.as_str()) {
        return own.method_not_allowed(received.method.as_str(), received.path);
    }
    match own {
        route::Own::Health => Answer::json(200, r#"{"status":"ok"}"#.to_owned()),
        route::Own::Readiness => readiness(app),
        route::Own::Metrics if app.serves_metrics => metrics(app, received.headers),
        route::Own::Metrics => ApiError::not_found(received.path).answer(),
        route::Own::OpenApi => {
            static DOCUMENT: LazyLock<String> = LazyLock::new(api::openapi::document);
            Answer::json(200, DOCUMENT.clone())
        }
    }
}

impl Received<'_> {
    fn header(&self, name: &HeaderName) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }

    fn parse(&self) -> Result<Call, ApiError> {
        // Whoever sends nonsense must hear of it, and not get the stream from its beginning.
        let last_event_id = self.headers.get("last-event-id").map(|value| String::from_utf8_lossy(value.as_bytes()));
        api::parse(&HttpRequest {
            method: self.method.as_str(),
            path: self.path,
            query: self.query,
            content_type: self.header(&CONTENT_TYPE),
            content_encoding: self.header(&CONTENT_ENCODING),
            last_event_id: last_event_id.as_deref(),
            if_match: self.header(&IF_MATCH),
            body: self.body,
            base_url: &self.base_url,
            peer: Some(&self.peer),
        })
    }
}

fn authenticated(app: &App, headers: &HeaderMap) -> Result<Caller, ApiError> {
    let authorization = headers.get(AUTHORIZATION).map(HeaderValue::as_bytes);
    authenticate(authorization, &app.accounts.read())
}

fn readiness(app: &App) -> Answer {
    match app.health.problem() {
        None => Answer::json(200, r#"{"status":"ready"}"#.to_owned()),
        Some(problem) => {
            Answer::json(503, serde_json::json!({ "status": problem }).to_string()).with("Retry-After", "1")
        }
    }
}

fn metrics(app: &App, headers: &HeaderMap) -> Answer {
    app.metrics.requests_waiting(app.engines.iter().map(engines::EngineHandle::waiting).sum());
    let accept = headers.get("accept").and_then(|value| value.to_str().ok()).unwrap_or_default();
    let (content_type, body) = app.metrics.text(accept);
    let mut answer = Answer { status: 200, headers: Vec::new(), body };
    answer.headers.push(api::Header::new("Content-Type", content_type));
    answer
}

/// Carries a call out where it belongs.
async fn called(app: &App, received: &Received<'_>, caller: Caller, mut call: Call) -> Outgoing {
    if !app.health.can_commit() && call.is_write() {
        return cannot_commit().answer().into();
    }
    call.settings = app.retention.settings(call.scope);
    let rate = app.rates.take(&call, caller.account);
    if let Some(rate) = rate.as_ref().filter(|rate| rate.remaining.is_none()) {
        let mut refused = ApiError::too_many_requests().answer();
        rate.add_headers(&mut refused);
        return refused.into();
    }
    let mut outgoing = match call.scope {
        CallScope::Workspace(workspace) => in_workspace(app, received, caller, call, workspace).await,
        CallScope::Account(kind) => beside_workspaces(app, received, caller, call, kind).await.into(),
    };
    if let Some(rate) = rate {
        rate.add_headers(&mut outgoing.answer);
    }
    outgoing
}

/// A change is refused; what is stored can still be read.
fn cannot_commit() -> ApiError {
    let mut error = ApiError::unavailable();
    error.message.push_str(": the store cannot commit, see the log of the server");
    error
}

async fn in_workspace(
    app: &App,
    received: &Received<'_>,
    caller: Caller,
    mut call: Call,
    workspace: Sid<Workspace>,
) -> Outgoing {
    if call.asks_for_single_tasking() {
        call.account_has_single_tasking = has_single_tasking(app, caller).await;
    }
    let engine = engines::of(&app.engines, workspace);
    let call = Box::new(call);
    let asked = engine.request(|ticket| Input::Call { ticket, account: caller.account, call });
    let (request, position) = match wait(asked).await {
        Ok((Reply::Server(request), position)) => (request, position),
        Ok((reply, position)) => return replied(app, reply, position).await.into(),
        Err(answer) => return answer.into(),
    };
    match *request {
        ServerRequest::Deliveries(request) => dead_letters::answer(app, request).await.into(),
        ServerRequest::EventStream(request) => {
            let is_head = received.method == Method::HEAD;
            match event_stream::open(app, caller, request, position, received.headers, is_head).await {
                Ok((answer, stream)) => Outgoing { answer, stream },
                Err(answer) => answer.into(),
            }
        }
    }
}

async fn beside_workspaces(
    app: &App,
    received: &Received<'_>,
    caller: Caller,
    call: Call,
    kind: AccountCall,
) -> Answer {
    match kind {
        AccountCall::Index => api::index(&call),
        AccountCall::CreateWorkspace => {
            let sid = Sid::from_bytes(random());
            let number = app.workspace_number.fetch_add(1, Ordering::Relaxed);
            let create = match api::create_workspace_command(&call, random(), sid, number, caller.account) {
                Ok(create) => create,
                Err(error) => return error.answer(),
            };
            let engine = engines::of(&app.engines, sid);
            let call = Box::new(call);
            let answer = engine.request(|ticket| Input::CreateWorkspace { ticket, create, call });
            reply(app, answer).await
        }
        AccountCall::ListWorkspaces => list_workspaces(app, received, caller, &call).await,
        AccountCall::FetchClock => clock_calls::shown(app).await,
        AccountCall::MoveClock => clock_calls::moved(app, &call).await,
        AccountCall::ListKeys
        | AccountCall::CreateKey
        | AccountCall::FetchKey
        | AccountCall::UpdateKey
        | AccountCall::DeleteKey => {
            if call.account() != Some(caller.account) {
                return ApiError::not_found(received.path).answer();
            }
            if caller.key.is_some() {
                // Keys do everything but manage keys (reference: rest-contract, section 11.1).
                return ApiError::wrong_credentials().answer();
            }
            let shell = Shell { commits: &app.commits, storage: &app.storage };
            app.accounts.keys(&call, app.clock.now(), &shell).await
        }
    }
}

/// Asks every engine thread for its part of the list.
async fn list_workspaces(app: &App, received: &Received<'_>, caller: Caller, call: &Call) -> Answer {
    let mut answers = Vec::with_capacity(app.engines.len());
    for engine in app.engines.iter() {
        let call = Box::new(received.parse().expect("it was parsed before"));
        answers.push(engine.request(|ticket| Input::ListWorkspaces { ticket, account: caller.account, call }));
    }
    let mut rows = Vec::new();
    for answer in answers {
        match wait(answer).await {
            Ok((Reply::Workspaces(part), _)) => rows.extend(part),
            Ok((
                Reply::Answer(_) | Reply::History { .. } | Reply::Voice(_) | Reply::Server(_) | Reply::Barrier { .. },
                _,
            )) => {
                unreachable!("a list of Workspaces has its own reply")
            }
            Err(answer) => return answer,
        }
    }
    api::workspace_page(call, rows)
}

async fn has_single_tasking(app: &App, caller: Caller) -> bool {
    let mut answers = Vec::with_capacity(app.engines.len());
    for engine in app.engines.iter() {
        let (answer, receiver) = oneshot::channel();
        engine.send(Work::HasSingleTasking { account: caller.account, answer });
        answers.push(receiver);
    }
    for answer in answers {
        if answer.await == Ok(true) {
            return true;
        }
    }
    false
}

/// Waits for an engine thread; refusals are answers already.
async fn wait(asked: Result<oneshot::Receiver<Answered>, EngineFull>) -> Result<(Reply, Position), Answer> {
    let Ok(receiver) = asked else { return Err(ApiError::too_many_requests().answer()) };
    match tokio::time::timeout(limits::ANSWER_TIMEOUT, receiver).await {
        Ok(Ok(Ok(released))) => Ok(released),
        Ok(Ok(Err(_))) => Err(cannot_commit().answer()),
        Err(_) => Err(ApiError::unavailable().answer()),
        // The engine thread broke an assertion over this very request.
        Ok(Err(_)) => Err(ApiError::internal().answer()),
    }
}

/// Waits until the history shows what the journal has up to a position.
async fn history_reaches(app: &App, position: Position) -> Result<(), Answer> {
    let seen = app.projector.reach(position);
    // While nothing can be written, the history cannot catch up either.
    let patience = if app.health.can_commit() { limits::ANSWER_TIMEOUT } else { limits::HISTORY_TIMEOUT_FROZEN };
    match tokio::time::timeout(patience, seen).await {
        Ok(Ok(())) => Ok(()),
        Ok(Err(_)) | Err(_) => Err(ApiError::unavailable().answer()),
    }
}

async fn reply(app: &App, asked: Result<oneshot::Receiver<Answered>, EngineFull>) -> Answer {
    match wait(asked).await {
        Ok((reply, position)) => replied(app, reply, position).await,
        Err(answer) => answer,
    }
}

async fn replied(app: &App, reply: Reply, position: Position) -> Answer {
    match reply {
        Reply::Answer(answer) => answer,
        Reply::History { request, cursor } => {
            if let Err(answer) = history_reaches(app, position).await {
                return answer;
            }
            let storage = Arc::clone(&app.storage);
            let oldest = app.retention.oldest(request.workspace, app.clock.now());
            let read = move || storage.with(|store| history::answer(store, *request, cursor, oldest));
            match blocking(limits::ANSWER_TIMEOUT, read).await {
                Ok(Ok(Ok(answer))) => answer,
                Ok(Ok(Err(error))) => {
                    tracing::error!(error = chain(&error), "failed to read the event history");
                    ApiError::internal().answer()
                }
                Ok(Err(_closed)) => ApiError::unavailable().answer(),
                Err(error) => error.answer(),
            }
        }
        Reply::Workspaces(_) | Reply::Barrier { .. } | Reply::Server(_) | Reply::Voice(_) => {
            unreachable!("a call is answered or asks the history")
        }
    }
}

/// Reads the store for an answer, on a thread that may wait for the disk.
///
/// - Errors: no thread was free, or the reading took longer than `patience`; it goes on, and nobody waits for it.
async fn blocking<T: Send + 'static>(
    patience: Duration,
    read: impl FnOnce() -> T + Send + 'static,
) -> Result<T, ApiError> {
    match tokio::time::timeout(patience, tokio::task::spawn_blocking(read)).await {
        Ok(read) => Ok(read.expect("reading the store does not panic")),
        Err(_elapsed) => Err(ApiError::unavailable()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_reading_that_takes_too_long_is_an_answer_all_the_same() {
        let (end, ended) = std::sync::mpsc::channel();
        let late = blocking(Duration::from_millis(20), move || ended.recv()).await;
        assert_eq!(late.unwrap_err().status(), 503);
        end.send(()).unwrap();
        assert_eq!(blocking(limits::ANSWER_TIMEOUT, || 1).await.unwrap(), 1);
    }

    #[tokio::test]
    async fn a_body_arrives_or_is_late_or_is_lost() {
        let moment = Duration::from_millis(20);
        assert_eq!(read_body(Full::new(Bytes::from("a=b")), 3, moment).await, ReadBody::Whole(Bytes::from("a=b")));
        let (pieces, body) = tokio::sync::mpsc::channel(1);
        pieces.send(Ok(Bytes::from("a="))).await.unwrap();
        assert_eq!(read_body(Streamed(body), 3, moment).await, ReadBody::Late);
        let (pieces, body) = tokio::sync::mpsc::channel(1);
        pieces.send(Err(event_stream::Broken)).await.unwrap();
        assert_eq!(read_body(Streamed(body), 3, moment).await, ReadBody::Lost);
    }

    #[test]
    fn a_head_at_the_limit_is_taken_and_one_past_it_is_not() {
        let refused = |target: String, headers: &[(&str, String)]| {
            let mut request = Request::builder().uri(target);
            for (name, value) in headers {
                request = request.header(*name, value);
            }
            let (parts, ()) = request.body(()).unwrap().into_parts();
            refuse_head(&parts).map(|error| (error.status(), error.code()))
        };
        let target = |bytes: usize| format!("/{}", "a".repeat(bytes - 1));
        assert_eq!(refused(target(api::limits::TARGET_BYTES_MAX), &[]), None);
        assert_eq!(refused(target(api::limits::TARGET_BYTES_MAX + 1), &[]), Some((414, 20414)));
        let many = |count: usize| vec![("x", String::new()); count];
        assert_eq!(refused(target(1), &many(api::limits::HEADERS_MAX)), None);
        assert_eq!(refused(target(1), &many(api::limits::HEADERS_MAX + 1)), Some((431, 20431)));
        let large = |bytes: usize| vec![("x", "v".repeat(bytes - 1))];
        assert_eq!(refused(target(1), &large(api::limits::HEADER_BYTES_MAX)), None);
        assert_eq!(refused(target(1), &large(api::limits::HEADER_BYTES_MAX + 1)), Some((431, 20431)));
    }
}
