//! `/pointsman/v1/Workspaces/{WorkspaceSid}/Deliveries`: callbacks that failed for good. Reference: extensions, section
//! 10; events-and-callbacks, section 6.

use std::sync::Arc;

use pointsman_engine::{Entity, EventKind, PublicEvent, Sid, Task, Timestamp};

use crate::cloud_event::named_kind;
use crate::dates;
use crate::errors::{self, ApiError};
use crate::event_fields::event_type;
use crate::execute::Outcome;
use crate::extension::{DeliveriesAsk, DeliveriesRequest, LettersPage, LettersPlace, ServerRequest};
use crate::http::Answer;
use crate::json::{self, Object};
use crate::page::{self, Direction, Edge, Edges, Page, PageSetting};
use crate::parameters::{Case, Param, choice, filters, text};
use crate::request::Request;
use crate::table::{Context, Mount, NamedBy, Resource, Scalar, Shape, field, list, read, serve, url};
use crate::target::Target;

const EVENT_TYPE: Param<Arc<str>> =
    text("EventType", "Only callbacks that tell of events of this type, as callbacks or as streams spell it.");
const REPLAY: Param<usize> = choice("Replay", "`true`: it is sent again.", &["true"], Case::Exact).required();
const REPLAY_ALL: Param<usize> =
    choice("Replay", "`all`: every one is sent again, in order per key.", &["all"], Case::Exact).required();

/// A delivery that failed for good.
#[derive(Clone, Debug, PartialEq)]
pub struct DeadDelivery {
    /// Its place among the deliveries of the server.
    pub number: u64,
    pub sid: [u8; 16],
    pub kind: &'static str,
    /// Without what stands before an `@`.
    pub url: String,
    /// The event that it tells; `None` for what tells none.
    pub event: Option<Arc<PublicEvent>>,
    pub attempts: u32,
    /// Of the last answer, if there was one.
    pub status: Option<u16>,
    pub error: String,
    /// When what it tells happened.
    pub at: Timestamp,
    pub failed_at: Timestamp,
    /// It was given another chance.
    pub is_replayed: bool,
}

/// How many deliveries of a Workspace there are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DeliveryCounters {
    pub waiting: u64,
    /// Since the server started.
    pub delivered: u64,
    pub dead: u64,
}

impl DeadDelivery {
    /// Prefix of its SID: a callback that tells an event has that of the event.
    const PREFIX: &'static str = PublicEvent::PREFIX;
}

pub static DELIVERY: Resource<DeadDelivery> = Resource {
    name: "Delivery",
    schema: "pointsman.v1.delivery",
    doc: "A callback that failed for good. An extension: see docs/behaviour/extensions.md, section 10.",
    fields: &[
        field("sid", Shape::Sid(""), "Identifier of the delivery: that of the event.", |letter, _| {
            Scalar::Sid(DeadDelivery::PREFIX, letter.sid)
        }),
        crate::resources::account_sid(),
        crate::resources::workspace_sid(),
        field("kind", Shape::Text, "Kind of callback: `event`.", |letter, _| letter.kind.into()),
        field(
            "status",
            Shape::Words(&["dead", "waiting"]),
            "`waiting` once it was told to be sent again.",
            |letter, _| {
                if letter.is_replayed { "waiting".into() } else { "dead".into() }
            },
        ),
        field("event_sid", Shape::Sid("EV"), "Event that it tells.", |letter, _| {
            letter.event.as_ref().map(|event| event.sid).into()
        }),
        field("event_type", Shape::Text, "Type of the event.", |letter, _| {
            letter.event.as_ref().map(|event| event_type(event.kind).name).into()
        }),
        field("task_sid", Shape::Sid("WT"), "Task of the event.", |letter, _| {
            letter.event.as_ref().and_then(|event| Some(event.task.as_ref()?.sid)).into()
        }),
        field("worker_sid", Shape::Sid("WK"), "Worker of the event.", |letter, _| {
            letter.event.as_ref().and_then(|event| Some(event.worker.as_ref()?.sid)).into()
        }),
        field("callback_url", Shape::Url, "Where it was sent, without credentials.", |letter, _| {
            let mut out = String::new();
            json::text(&mut out, &letter.url);
            Scalar::Json(out)
        }),
        field("attempts", Shape::Integer, "How often it was tried before it was given up.", |letter, _| {
            letter.attempts.into()
        }),
        field("last_status", Shape::Integer, "Status of the last answer, if there was one.", |letter, _| {
            letter.status.map(u32::from).into()
        }),
        field("last_error", Shape::Text, "What happened last.", |letter, _| letter.error.as_str().into()),
        field("date_created", Shape::Date, "When what it tells happened, with milliseconds.", |letter, _| {
            instant(letter.at)
        }),
        field("date_failed", Shape::Date, "When it was given up, with milliseconds.", |letter, _| {
            instant(letter.failed_at)
        }),
        url("/pointsman/v1/Workspaces/{workspace_sid}/Deliveries/{sid}"),
    ],
    version: None,
    named_by: NamedBy::Sid,
    mounts: &[
        Mount {
            path: "/pointsman/v1/Workspaces/{WorkspaceSid}/Deliveries",
            list_key: "deliveries",
            find: |_, _| Some(Target::Workspace),
            operations: &[
                list(
                    "ListDelivery",
                    "Lists what failed for good, oldest first, and counts what waits, was delivered and failed.",
                    &[EVENT_TYPE.spec, filters::TASK_SID.spec],
                    list_deliveries,
                ),
                serve(
                    "ReplayDeliveries",
                    "Sends again what failed for good, up to 10,000 a call; tells how many in `replayed`.",
                    &[REPLAY_ALL.spec],
                    replay_all,
                ),
            ],
        },
        Mount {
            path: "/pointsman/v1/Workspaces/{WorkspaceSid}/Deliveries/{Sid}",
            list_key: "",
            find: |_, _| Some(Target::Workspace),
            operations: &[
                read("FetchDelivery", "Returns one that failed for good.", &[], fetch_delivery),
                serve("ReplayDelivery", "Sends one again, under the same SID.", &[REPLAY.spec], replay_one),
            ],
        },
    ],
};

fn instant(at: Timestamp) -> Scalar<'static> {
    Scalar::Json(format!("\"{}\"", dates::format_ms(at)))
}

fn outcome(request: &Request<'_>, ask: DeliveriesAsk) -> Outcome {
    let workspace = request.state.workspace();
    Outcome::Server(Box::new(ServerRequest::Deliveries(DeliveriesRequest {
        workspace: workspace.sid,
        account: workspace.account,
        base_url: request.call.base_url.clone(),
        not_found: request.call.not_found(),
        ask,
    })))
}

fn list_deliveries(request: &Request<'_>) -> Result<Outcome, ApiError> {
    let call = request.call;
    let kind = match call.get(&EVENT_TYPE) {
        None => None,
        Some(name) => match named_kind(name.trim()) {
            Some(kind) => Some(kind),
            None => {
                return Err(ApiError::new(&errors::EVENT_TYPE_UNKNOWN, &[("value", &name), ("name", &"EventType")]));
            }
        },
    };
    let page = Page::of::<PublicEvent>(call)?;
    let place = match &page.token {
        None => LettersPlace::After(0),
        Some(token) => {
            let number = match token.position.as_deref() {
                Some([number]) => u64::try_from(*number).ok(),
                Some(_) | None => None,
            };
            let number = number.ok_or_else(|| Page::bad_token(call))?;
            match token.direction {
                Direction::After => LettersPlace::After(number),
                Direction::Before => LettersPlace::Before(number),
            }
        }
    };
    let wanted = page.size;
    let letters =
        LettersPage { kind, task: call.get(&filters::TASK_SID), place, wanted, page, setting: PageSetting::of(call) };
    Ok(outcome(request, DeliveriesAsk::List(Box::new(letters))))
}

fn fetch_delivery(request: &Request<'_>) -> Result<Outcome, ApiError> {
    Ok(outcome(request, DeliveriesAsk::Fetch(sid_of(request)?)))
}

fn replay_one(request: &Request<'_>) -> Result<Outcome, ApiError> {
    request.need(&REPLAY)?;
    Ok(outcome(request, DeliveriesAsk::Replay(sid_of(request)?)))
}

fn replay_all(request: &Request<'_>) -> Result<Outcome, ApiError> {
    request.need(&REPLAY_ALL)?;
    Ok(outcome(request, DeliveriesAsk::ReplayAll))
}

fn sid_of(request: &Request<'_>) -> Result<[u8; 16], ApiError> {
    let sid = request.call.segments.first().and_then(|text| Sid::<PublicEvent>::parse(text));
    sid.map(Sid::bytes).ok_or_else(|| request.call.not_found())
}

fn context(request: &DeliveriesRequest) -> Context<'_> {
    Context::without_state(&request.base_url, request.account, request.workspace, Timestamp(0))
}

/// The answer that shows one.
pub fn render_delivery(request: &DeliveriesRequest, letter: &DeadDelivery) -> Answer {
    let mut out = String::new();
    DELIVERY.render(&mut out, letter, &context(request));
    Answer::json(200, out)
}

/// The answer of a replay of all.
///
/// - `truncated`: there are more, for another call.
pub fn render_replay(replayed: u64, truncated: bool) -> Answer {
    let mut out = String::new();
    let mut object = Object::open(&mut out);
    object.integer("replayed", replayed as i64);
    object.raw("truncated", if truncated { "true" } else { "false" });
    object.close();
    Answer::json(200, out)
}

/// What a list was made of.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct FoundLetters {
    /// At most as many as were wanted, oldest first.
    pub letters: Vec<DeadDelivery>,
    /// Where the search ended early, in its direction: number and SID of the last one that it looked at. There may be
    /// more beyond it.
    pub ended: Option<(u64, [u8; 16])>,
}

/// The answer that lists a page.
pub fn render_deliveries(
    request: &DeliveriesRequest,
    asked: &LettersPage,
    found: &FoundLetters,
    counters: DeliveryCounters,
) -> Answer {
    let page = &asked.page;
    let edge = |(number, sid): (u64, [u8; 16])| Edge { sid, position: vec![number as i64] };
    let place = |letter: &DeadDelivery| (letter.number, letter.sid);
    let first = found.letters.first().map(place);
    let last = found.letters.last().map(place);
    // On a page that a token names, the record of the token lies on the other side.
    let token = page.token.as_ref().and_then(|token| {
        let number = token.position.as_ref()?.first()?;
        Some((u64::try_from(*number).ok()?, token.sid))
    });
    let (previous, next) = match asked.place {
        LettersPlace::After(_) => (token.and(first.or(token)), found.ended),
        LettersPlace::Before(_) => (found.ended, last.or(token)),
    };
    let edges = Edges { previous: previous.map(edge), next: next.map(edge), interval: None };
    let context = context(request);
    let mut items = String::new();
    json::array(&mut items, &found.letters, |out, letter| DELIVERY.render(out, letter, &context));
    let mut body = page::envelope_of(&asked.setting, DeadDelivery::PREFIX, page, &items, &edges);
    body.pop();
    body.push_str(",\"counters\":");
    let mut object = Object::open(&mut body);
    object.integer("waiting", counters.waiting as i64);
    object.integer("delivered", counters.delivered as i64);
    object.integer("dead", counters.dead as i64);
    object.close();
    body.push('}');
    page::answer(body, false)
}

impl LettersPage {
    /// Whether the filters let an event pass.
    pub fn wants(&self, event: Option<&PublicEvent>) -> bool {
        let kind = |kind: EventKind| event.is_some_and(|event| event.kind == kind);
        let task = |sid: Sid<Task>| event.and_then(|event| event.task.as_ref()).is_some_and(|task| task.sid == sid);
        self.kind.is_none_or(kind) && self.task.is_none_or(task)
    }
}
