//! Events as CloudEvents 1.0, as streams carry them. Reference: events-and-callbacks, sections 13.1 and 13.2.
//!
//! ```text
//! {"specversion", "type", "source", "id", "dataschema", "datacontenttype", "time",
//!  "data": {"sid", "name", .., "payload": {"sid", "eventtype", .., fields of the dictionary, typed}}}
//! ```
//!
//! The payload's fields are those of [`EVENT_FIELDS`], then those that only streams have. What has no value is left out.

use pointsman_engine::{EventKind, PublicEvent};

use crate::dates;
use crate::event_fields::{
    EVENT_FIELDS, EVENT_TYPES, EventField, FieldValue, Group, Place, event_type, integer, row, snake_case,
    subject_path, synonym, text,
};
use crate::json::{self, Object};

/// What the types of our CloudEvents begin with.
pub const TYPE_PREFIX: &str = "com.twilio.taskrouter.";
const SCHEMA: &str = "https://events-schemas.twilio.com/TaskRouter.WDSEvent/4";

/// What streams show besides the dictionary.
pub static STREAM_FIELDS: &[EventField] = &[
    row("TaskAgeInQueue", Group::Task, |event, _| {
        let entered = event.task_queue.as_ref().filter(|_| event.task.is_some())?.entered?;
        Some(integer(event.at.since(entered).seconds()))
    }),
    row("TaskTimeout", Group::Task, |event, _| Some(integer(event.task.as_ref()?.timeout_seconds))),
    // There are no add-ons here, and the Task resource says so in the same way.
    row("TaskAddOnAttributes", Group::Task, |event, _| event.task.as_ref().map(|_| text("{}"))),
    row("WorkerAvailable", Group::Worker, |event, _| Some(FieldValue::Bool(event.worker.as_ref()?.available))),
    row("WorkerDateCreated", Group::Worker, |event, _| Some(FieldValue::Date(event.worker.as_ref()?.date_created))),
    row("WorkerDateUpdated", Group::Worker, |event, _| Some(FieldValue::Date(event.worker.as_ref()?.date_updated))),
    row("WorkerLastStatusChange", Group::Worker, |event, _| {
        Some(FieldValue::Date(event.worker.as_ref()?.date_status_changed))
    }),
    row("WorkerChannelLastReservedDate", Group::Reservation, |event, _| {
        Some(FieldValue::Date(event.reservation.as_ref()?.channel_last_reserved))
    }),
];

/// Fields of the dictionary that the head of a payload shows under another name, or in another place.
const IN_THE_HEAD: [&str; 5] = ["Sid", "EventType", "AccountSid", "Timestamp", "TimestampMs"];

/// `type`: `com.twilio.taskrouter.task.created`.
pub fn cloud_event_type(kind: EventKind) -> String {
    format!("{TYPE_PREFIX}{}", synonym(kind))
}

/// The kind that a filter names: by its type as callbacks or as streams spell it, with or without the prefix; case does
/// not matter.
pub fn named_kind(name: &str) -> Option<EventKind> {
    let start = name.get(..TYPE_PREFIX.len()).filter(|start| start.eq_ignore_ascii_case(TYPE_PREFIX));
    let name = start.map_or(name, |start| &name[start.len()..]);
    let is_called = |kind| [event_type(kind).name, synonym(kind)].iter().any(|known| known.eq_ignore_ascii_case(name));
    EVENT_TYPES.iter().map(|known| known.kind).find(|kind| is_called(*kind))
}

/// `data.name`: `TaskQueueEntered` for `task-queue.entered`.
fn pascal_case(name: &str) -> String {
    let mut out = String::with_capacity(name.len());
    for word in name.split(['.', '-']) {
        let mut chars = word.chars();
        out.extend(chars.next().map(|first| first.to_ascii_uppercase()));
        out.push_str(chars.as_str());
    }
    out
}

/// Writes one event as a CloudEvent, without line breaks.
///
/// - `account_name`: friendly name of the account; empty is left out.
pub fn write_cloud_event(out: &mut String, event: &PublicEvent, place: &Place, account_name: &str) {
    let sid = event.sid.to_string();
    let name = event_type(event.kind).name;
    let at = dates::format_ms(event.at);
    let mut object = Object::open(out);
    object.text("specversion", "1.0");
    object.text("type", &cloud_event_type(event.kind));
    object.text("source", &subject_path(event, place.workspace));
    object.text("id", &sid);
    object.text("dataschema", SCHEMA);
    object.text("datacontenttype", "application/json");
    object.text("time", &at);
    let mut data = Object::open(object.key("data"));
    data.text("sid", &sid);
    data.text("name", &pascal_case(name));
    data.text("account_sid", &place.account.to_string());
    if !account_name.is_empty() {
        data.text("account_friendly_name", account_name);
    }
    data.text("timestamp", &at);
    data.text("level", "INFO");
    data.text("group", name.split('.').next().unwrap_or_default());
    data.text("product_name", "TaskRouter");
    data.text("publisher", &event.workspace_name);
    data.text("publisher_metadata", "{}");
    data.text("payload_type", "application/json");
    let mut payload = Object::open(data.key("payload"));
    payload.text("sid", &sid);
    payload.text("eventtype", name);
    payload.text("account_sid", &place.account.to_string());
    payload.text("timestamp", &at);
    let rest = EVENT_FIELDS.iter().filter(|field| !IN_THE_HEAD.contains(&field.name));
    for field in rest.chain(STREAM_FIELDS) {
        if let Some(value) = (field.read)(event, place) {
            write_value(payload.key(&snake_case(field.name)), &value);
        }
    }
    payload.close();
    data.close();
    object.close();
}

fn write_value(out: &mut String, value: &FieldValue) {
    match value {
        FieldValue::Text(text) => json::text(out, text),
        FieldValue::Integer(number) => json::integer(out, *number),
        FieldValue::Bool(truth) => out.push_str(if *truth { "true" } else { "false" }),
        FieldValue::Date(at) => json::text(out, &dates::format_ms(*at)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types_have_a_prefix_and_one_of_them_a_hyphen() {
        assert_eq!(cloud_event_type(EventKind::TaskCreated), "com.twilio.taskrouter.task.created");
        let updated = cloud_event_type(EventKind::TaskQueueExpressionUpdated);
        assert_eq!(updated, "com.twilio.taskrouter.task-queue.expression-updated");
    }

    #[test]
    fn filters_know_both_spellings_with_and_without_the_prefix() {
        let updated = Some(EventKind::TaskQueueExpressionUpdated);
        assert_eq!(named_kind("task-queue.expression.updated"), updated);
        assert_eq!(named_kind("task-queue.expression-updated"), updated);
        assert_eq!(named_kind("com.twilio.taskrouter.task-queue.expression-updated"), updated);
        assert_eq!(named_kind("COM.Twilio.TaskRouter.Task.Created"), Some(EventKind::TaskCreated));
        assert_eq!(named_kind("task.create"), None);
        assert_eq!(named_kind(""), None);
        for known in EVENT_TYPES {
            assert_eq!(named_kind(&cloud_event_type(known.kind)), Some(known.kind), "{}", known.name);
        }
    }

    #[test]
    fn names_are_types_in_pascal_case() {
        assert_eq!(pascal_case("reservation.created"), "ReservationCreated");
        assert_eq!(pascal_case("task-queue.entered"), "TaskQueueEntered");
        assert_eq!(pascal_case("task.transfer-attempt-failed"), "TaskTransferAttemptFailed");
    }

    #[test]
    fn no_field_of_streams_stands_in_the_dictionary() {
        for field in STREAM_FIELDS {
            assert!(EVENT_FIELDS.iter().all(|known| known.name != field.name), "{}", field.name);
        }
    }
}
