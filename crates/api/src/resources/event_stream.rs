//! `/pointsman/v1/Workspaces/{WorkspaceSid}/EventStream`: what happens, as it happens. Reference: extensions, section
//! 9; events-and-callbacks, section 13.

use std::sync::Arc;

use pointsman_engine::{EventKind, PublicEvent, Sid, Timestamp};

use crate::cloud_event::named_kind;
use crate::errors::{self, ApiError};
use crate::execute::Outcome;
use crate::extension::{EventStreamRequest, ServerRequest, StreamBegin};
use crate::parameters::{Param, bool, sid, text};
use crate::request::Request;
use crate::table::{Field, Mount, NamedBy, Resource, Shape, field, stream};
use crate::target::Target;

const AFTER: Param<Sid<PublicEvent>> =
    sid("After", "Begin after this event. The header `Last-Event-ID` says the same and wins over all.");
const FROM: Param<Arc<str>> = text(
    "From",
    "Begin with the oldest event (`start`), with what happens from now on (`now`), or at an instant, as in RFC 3339. \
     By default `now`, and `start` where `Follow` is false.",
);
const EVENT_TYPES: Param<Arc<str>> =
    text("EventTypes", "Only events of these types, separated by commas, as callbacks or as streams spell them.");
const FOLLOW: Param<bool> = bool("Follow", "False ends the stream with what there is now; true by default.");

/// Written by [`crate::cloud_event`]; here is only what it looks like.
#[derive(Debug)]
pub enum CloudEvent {}

const fn member(name: &'static str, shape: Shape, doc: &'static str) -> Field<CloudEvent> {
    field(name, shape, doc, |never, _| match *never {})
}

pub static EVENT_STREAM: Resource<CloudEvent> = Resource {
    name: "EventStream",
    schema: "pointsman.v1.cloud_event",
    doc: "The events of a Workspace as CloudEvents 1.0. An extension: see docs/behaviour/extensions.md, section 9.",
    fields: &[
        member("specversion", Shape::Words(&["1.0"]), "Always `1.0`."),
        member("type", Shape::Text, "`com.twilio.taskrouter.` and the type of the event."),
        member("source", Shape::Text, "Path of what the event is about."),
        member("id", Shape::Sid("EV"), "The event's SID, which is also where a stream goes on."),
        member("dataschema", Shape::Url, "The schema of `data`."),
        member("datacontenttype", Shape::Words(&["application/json"]), "Always `application/json`."),
        member("time", Shape::Date, "When it happened, with milliseconds."),
        member("data", Shape::Any, "Whose event it is, and in `payload` its fields, typed."),
    ],
    version: None,
    named_by: NamedBy::Sid,
    mounts: &[Mount {
        path: "/pointsman/v1/Workspaces/{WorkspaceSid}/EventStream",
        list_key: "",
        find: |_, _| Some(Target::Workspace),
        operations: &[stream(
            "FetchEventStream",
            "Sends every event in order: a line of JSON each, or server-sent events where `Accept` asks for them.",
            &[AFTER.spec, FROM.spec, EVENT_TYPES.spec, FOLLOW.spec],
            event_stream,
        )],
    }],
};

fn event_stream(request: &Request<'_>) -> Result<Outcome, ApiError> {
    let workspace = request.state.workspace();
    let follow = request.get(&FOLLOW).unwrap_or(true);
    Ok(Outcome::Server(Box::new(ServerRequest::EventStream(EventStreamRequest {
        workspace: workspace.sid,
        account: workspace.account,
        kinds: kinds(&request.get(&EVENT_TYPES).unwrap_or_default())?,
        begin: begin(request, follow)?,
        follow,
    }))))
}

fn kinds(list: &str) -> Result<Vec<EventKind>, ApiError> {
    let names = list.split(',').map(str::trim).filter(|name| !name.is_empty());
    let mut kinds = names
        .map(|name| {
            named_kind(name)
                .ok_or_else(|| ApiError::new(&errors::EVENT_TYPE_UNKNOWN, &[("value", &name), ("name", &"EventTypes")]))
        })
        .collect::<Result<Vec<_>, _>>()?;
    kinds.sort_unstable();
    kinds.dedup();
    Ok(kinds)
}

/// The first whole millisecond that is not before an instant.
fn at_or_after(instant: jiff::Timestamp) -> Timestamp {
    let ms = instant.as_millisecond();
    let is_later = i128::from(ms) * 1_000_000 < instant.as_nanosecond();
    Timestamp(ms + i64::from(is_later))
}

fn begin(request: &Request<'_>, follow: bool) -> Result<StreamBegin, ApiError> {
    // A client that connects again sends the same address, and says in the header how far it came.
    if let Some(text) = request.call.last_event_id.as_deref().map(str::trim).filter(|text| !text.is_empty()) {
        let sid = Sid::parse(text)
            .ok_or_else(|| ApiError::new(&errors::INVALID_VALUE, &[("value", &text), ("name", &"Last-Event-ID")]))?;
        return Ok(StreamBegin::After(sid));
    }
    let from = request.get(&FROM);
    match (request.get(&AFTER), from.as_deref().map(str::trim)) {
        (Some(_), Some(_)) => Err(ApiError::new(&errors::STREAM_BEGIN_TWICE, &[])),
        (Some(sid), None) => Ok(StreamBegin::After(sid)),
        (None, None) if follow => Ok(StreamBegin::Now),
        (None, None | Some("start")) => Ok(StreamBegin::Start),
        (None, Some("now")) => Ok(StreamBegin::Now),
        (None, Some(text)) => match text.parse::<jiff::Timestamp>() {
            Ok(instant) => Ok(StreamBegin::At(at_or_after(instant))),
            Err(_) => Err(ApiError::new(&errors::STREAM_BEGIN, &[("value", &text)])),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_instant_within_a_millisecond_is_the_next_one() {
        for (text, expected) in [
            ("1970-01-01T00:00:01.822Z", 1_822),
            ("1970-01-01T00:00:01.822000001Z", 1_823),
            ("1970-01-01T00:00:01.8220001Z", 1_823),
            ("1970-01-01T00:00:01.8229999Z", 1_823),
            ("1970-01-01T00:00:01.9999999Z", 2_000),
            ("1969-12-31T23:59:58.9995Z", -1_000),
        ] {
            assert_eq!(at_or_after(text.parse().unwrap()), Timestamp(expected), "{text}");
        }
    }
}
