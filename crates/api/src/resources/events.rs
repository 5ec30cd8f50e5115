//! `/v1/Workspaces/{WorkspaceSid}/Events`: what happened. Reference: rest-contract, section 6.11; events-and-callbacks,
//! section 5.

use std::sync::Arc;

use pointsman_engine::{DurationMs, Entity, EventKind, EventReference, PublicEvent, Sid, Timestamp};

use super::task_channel;
use crate::errors::ApiError;
use crate::event_fields::{Place, description, event_data, event_kind, event_type, subject, subject_path, subject_sid};
use crate::execute::Outcome;
use crate::history::{EventPlace, Finish, HistoryOrder, HistoryQuery, HistoryRequest};
use crate::http::Answer;
use crate::interval::DAY_MS;
use crate::interval::{END_DATE, Interval, MINUTES, START_DATE};
use crate::json;
use crate::page::{self, Direction, Edge, Edges, Page, PageSetting};
use crate::parameters::{Param, filters, text};
use crate::request::Request;
use crate::table::{Context, Mount, NamedBy, Resource, Scalar, Shape, field, list, read, url, url_field};
use crate::target::Target;

const EVENT_TYPE: Param<Arc<str>> = text("EventType", "Only events of this type.");
const TASK_CHANNEL: Param<Arc<str>> = text("TaskChannel", "Only events of this TaskChannel, by SID or unique name.");

pub static EVENT: Resource<PublicEvent> = Resource {
    name: "Event",
    schema: "taskrouter.v1.workspace.event",
    doc: "Something that happened, as it was at that moment.",
    fields: &[
        crate::resources::account_sid(),
        field("actor_sid", Shape::Sid(""), "What caused it.", |_, context| context.workspace.into()),
        field("actor_type", Shape::Text, "Kind of what caused it.", |_, _| "workspace".into()),
        url_field("actor_url", "URL of what caused it.", "/v1/Workspaces/{workspace_sid}"),
        field("description", Shape::Text, "What happened, in words.", |event, _| quoted(&description(event))),
        field("event_data", Shape::Any, "Its data; all values are strings.", |event, context| {
            let place = Place::at(context.now, event, context.account, context.workspace);
            Scalar::Json(event_data(event, &place))
        }),
        field("event_date", Shape::Date, "When it happened.", |event, _| event.at.into()),
        field("event_date_ms", Shape::BigInteger, "The same in milliseconds.", |event, _| event.at.0.into()),
        field("event_type", Shape::Text, "Its type.", |event, _| event_type(event.kind).name.into()),
        field("resource_sid", Shape::Sid(""), "What it is about.", |event, context| {
            quoted(&subject_sid(subject(event, context.workspace)))
        }),
        field("resource_type", Shape::Text, "Kind of what it is about.", |event, _| {
            event_type(event.kind).about.resource_type().into()
        }),
        field("resource_url", Shape::Url, "URL of what it is about.", |event, context| {
            quoted(&format!("{}{}", context.base_url, subject_path(event, context.workspace)))
        }),
        field("sid", Shape::Sid("EV"), "Identifier of the Event.", |event, _| event.sid.into()),
        field("source", Shape::Text, "Always `twilio`.", |_, _| "twilio".into()),
        field("source_ip_address", Shape::Text, "Address of the client whose request caused it.", |event, _| {
            event.source_ip.as_deref().into()
        }),
        url("/v1/Workspaces/{workspace_sid}/Events/{sid}"),
        crate::resources::workspace_sid(),
    ],
    version: None,
    named_by: NamedBy::Sid,
    mounts: &[
        Mount {
            path: "/v1/Workspaces/{WorkspaceSid}/Events",
            list_key: "events",
            find: |_, _| Some(Target::Workspace),
            operations: &[list(
                "ListEvent",
                "Lists events, newest first; without parameters those of the last 15 minutes.",
                &[
                    END_DATE.spec,
                    EVENT_TYPE.spec,
                    MINUTES.spec,
                    filters::RESERVATION_SID.spec,
                    START_DATE.spec,
                    filters::TASK_QUEUE_SID.spec,
                    filters::TASK_SID.spec,
                    filters::WORKER_SID.spec,
                    filters::WORKFLOW_SID.spec,
                    TASK_CHANNEL.spec,
                    filters::EVENT_SID.spec,
                ],
                list_events,
            )],
        },
        Mount {
            path: "/v1/Workspaces/{WorkspaceSid}/Events/{Sid}",
            list_key: "",
            find: |_, _| Some(Target::Workspace),
            operations: &[read("FetchEvent", "Returns one event.", &[], fetch_event)],
        },
    ],
};

fn quoted(text: &str) -> Scalar<'static> {
    let mut out = String::with_capacity(text.len() + 2);
    json::text(&mut out, text);
    Scalar::Json(out)
}

/// The rest of a `FetchEvent` call.
#[derive(Clone, Debug)]
pub(crate) struct OneEvent {
    not_found: ApiError,
}

/// The rest of a `ListEvent` call.
#[derive(Clone, Debug)]
pub(crate) struct EventsPage {
    setting: PageSetting,
    page: Page,
}

fn history(request: &Request<'_>, query: HistoryQuery, finish: Finish) -> Outcome {
    let workspace = request.state.workspace();
    Outcome::History(Box::new(HistoryRequest {
        workspace: workspace.sid,
        query,
        account: workspace.account,
        base_url: request.call.base_url.clone(),
        now: request.state.now(),
        finish,
    }))
}

fn fetch_event(request: &Request<'_>) -> Result<Outcome, ApiError> {
    let not_found = request.call.not_found();
    let Some(sid) = request.call.segments.first().and_then(|text| Sid::parse(text)) else { return Err(not_found) };
    let query = HistoryQuery { sid: Some(sid), ..HistoryQuery::of(retained(request), request.state.now()) };
    Ok(history(request, query, Finish::OneEvent(OneEvent { not_found })))
}

/// The oldest instant whose events are kept.
fn retained(request: &Request<'_>) -> Timestamp {
    let days = i64::from(request.call.settings.events_retention_days);
    request.state.now().plus(DurationMs(-days * DAY_MS))
}

fn list_events(request: &Request<'_>) -> Result<Outcome, ApiError> {
    let (call, state) = (request.call, request.state);
    let interval = Interval::of(call, state.now())?;
    let page = Page::of::<PublicEvent>(call)?;
    let kind = call.get(&EVENT_TYPE).map(|name| event_kind(&name));
    let channel = call.get(&TASK_CHANNEL).map(|named| task_channel::by_sid_or_name(state, &named));
    let sid = call.get(&filters::EVENT_SID);
    let mut references = Vec::new();
    references.extend(call.get(&filters::TASK_SID).map(EventReference::Task));
    references.extend(call.get(&filters::WORKER_SID).map(EventReference::Worker));
    references.extend(call.get(&filters::WORKFLOW_SID).map(EventReference::Workflow));
    references.extend(call.get(&filters::TASK_QUEUE_SID).map(EventReference::TaskQueue));
    references.extend(call.get(&filters::RESERVATION_SID).map(EventReference::Reservation));
    references.extend(channel.flatten().map(|channel| EventReference::TaskChannel(channel.sid)));
    let setting = PageSetting::of(call);
    // A type or channel that is unknown leaves nothing (section 4.5).
    if kind == Some(None) || channel.is_some_and(|channel| channel.is_none()) {
        let body = page::envelope_of(&setting, PublicEvent::PREFIX, &page, "[]", &Edges::default());
        return Ok(Outcome::Answer(page::answer(body, false)));
    }
    let (order, cursor) = cursor(&page).ok_or_else(|| Page::bad_token(call))?;
    let query = HistoryQuery {
        kinds: kind.flatten().into_iter().collect::<Vec<EventKind>>(),
        references,
        sid,
        order,
        cursor,
        limit: Some(page.size + 1),
        ..HistoryQuery::of(interval.start, interval.end)
    };
    Ok(history(request, query, Finish::Events(EventsPage { setting, page })))
}

/// Newest first; the page before one is read the other way round.
fn cursor(page: &Page) -> Option<(HistoryOrder, Option<EventPlace>)> {
    let Some(token) = &page.token else { return Some((HistoryOrder::NewestFirst, None)) };
    let place = match token.position.as_deref() {
        Some([number]) => EventPlace::Number(u64::try_from(*number).ok()?),
        Some(_) => return None,
        None => EventPlace::Sid(Sid::from_bytes(token.sid)),
    };
    let order = match token.direction {
        Direction::After => HistoryOrder::NewestFirst,
        Direction::Before => HistoryOrder::OldestFirst,
    };
    Some((order, Some(place)))
}

fn context(request: &HistoryRequest) -> Context<'_> {
    Context::without_state(&request.base_url, request.account, request.workspace, request.now)
}

pub(crate) fn finish_one(request: &HistoryRequest, one: &OneEvent, events: &[PublicEvent]) -> Answer {
    let Some(event) = events.first() else { return one.not_found.answer() };
    let mut out = String::new();
    EVENT.render(&mut out, event, &context(request));
    Answer::json(200, out)
}

pub(crate) fn finish_page(request: &HistoryRequest, asked: &EventsPage, events: &[PublicEvent]) -> Answer {
    let page = &asked.page;
    let more = page.size < events.len();
    let mut shown: Vec<&PublicEvent> = events.iter().take(page.size).collect();
    let backwards = request.query.order == HistoryOrder::OldestFirst;
    if backwards {
        shown.reverse();
    }
    // On a page that a token names, the record of the token lies on the other side.
    let passed = page.token.is_some();
    let (before, after) = if backwards { (more, passed) } else { (passed, more) };
    let edge = |event: &&PublicEvent| Edge { sid: event.sid.bytes(), position: vec![event.id.number() as i64] };
    let edges = Edges {
        previous: shown.first().filter(|_| before).map(edge),
        next: shown.last().filter(|_| after).map(edge),
        interval: None,
    };
    let context = context(request);
    let mut items = String::with_capacity(64 + shown.len() * 2_048);
    json::array(&mut items, &shown, |out, event| EVENT.render(out, event, &context));
    let body = page::envelope_of(&asked.setting, PublicEvent::PREFIX, page, &items, &edges);
    page::answer(body, false)
}
