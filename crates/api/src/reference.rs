//! The reference pages, written out of the tables: one per resource, one for errors, one for events.

use std::fmt::Write;

use crate::errors::ERRORS;
use crate::event_fields::{EVENT_FIELDS, EVENT_TYPES, Group, snake_case};
use crate::limits::TEXT_CHARS_MAX;
use crate::parameters::{Empty, Kind, Spec};
use crate::resources::RESOURCES;
use crate::table::{Described, Operation, Shape};

/// A page: the name of its file, and its Markdown.
pub type Page = (String, String);

/// Every page.
pub fn pages() -> Vec<Page> {
    let mut pages = vec![("README.md".to_string(), index())];
    pages.extend(RESOURCES.iter().map(|resource| (format!("{}.md", stem(*resource)), resource_page(*resource))));
    pages.push(("errors.md".to_string(), errors_page()));
    pages.push(("events.md".to_string(), events_page()));
    pages
}

/// The last part of the schema's name, which tells resources of one name apart.
fn stem(resource: &dyn Described) -> &'static str {
    resource.schema().rsplit('.').next().unwrap_or_default()
}

const GENERATED: &str =
    "<!-- Written out of the tables of `crates/api`; UPDATE_EXPECT=1 cargo test -p pointsman-api -->\n\n";

fn line(out: &mut String, text: impl std::fmt::Display) {
    writeln!(out, "{text}").expect("a String takes all text");
}

fn index() -> String {
    let mut out = format!("{GENERATED}# Reference\n\n");
    line(&mut out, "What can be asked for over HTTP, what it takes and what it answers.");
    line(&mut out, "See also [errors](errors.md) and [events](events.md).\n");
    line(&mut out, "| Resource | Operation | Request |\n| --- | --- | --- |");
    for resource in RESOURCES {
        for mount in resource.mounts() {
            for operation in mount.operations {
                let (stem, name, id) = (stem(*resource), resource.name(), operation.id);
                let (method, path) = (operation.method.name(), mount.path);
                line(&mut out, format_args!("| [{name}]({stem}.md) | `{id}` | `{method} {path}` |"));
            }
        }
    }
    out
}

fn resource_page(resource: &dyn Described) -> String {
    let mut out = format!("{GENERATED}# {}\n\n{}\n", resource.name(), resource.doc());
    if resource.is_versioned() {
        line(&mut out, "Its version is in the header `ETag`; writes honor `If-Match`.");
    }
    line(&mut out, "\n## Members\n\n| Member | Type | Meaning |\n| --- | --- | --- |");
    for property in resource.properties() {
        line(&mut out, format_args!("| `{}` | {} | {} |", property.name, shape(property.shape), cell(property.doc)));
    }
    if !resource.links().is_empty() {
        line(&mut out, "\n## Links\n\n| Link | Path |\n| --- | --- |");
        for link in resource.links() {
            line(&mut out, format_args!("| `{}` | `{}` |", link.name, link.path));
        }
    }
    for mount in resource.mounts() {
        for operation in mount.operations {
            line(&mut out, format_args!("\n## {}\n\n{}\n", operation.id, operation.doc));
            line(&mut out, format_args!("`{} {}`", operation.method.name(), mount.path));
            parameters(&mut out, operation);
        }
    }
    out
}

fn parameters(out: &mut String, operation: &Operation) {
    let mut specs = operation.all_specs().peekable();
    if specs.peek().is_none() {
        return;
    }
    line(out, "\n| Parameter | Type | Meaning |\n| --- | --- | --- |");
    for spec in specs {
        let notes = [
            spec.required.then_some("Required."),
            (spec.empty == Empty::Clears).then_some("Empty clears it."),
            (!spec.published).then_some("Not in the official description."),
        ];
        let meaning: Vec<String> =
            std::iter::once(cell(spec.doc)).chain(notes.into_iter().flatten().map(str::to_string)).collect();
        line(out, format_args!("| `{}` | {} | {} |", spec.name, kind(spec), meaning.join(" ")));
    }
}

/// Text as a table takes it.
fn cell(text: &str) -> String {
    text.replace('|', "\\|").replace('<', "&lt;")
}

fn shape(shape: Shape) -> String {
    match shape {
        Shape::Sid("") => "SID".to_string(),
        Shape::Sid(prefix) => format!("SID `{prefix}`"),
        Shape::Text => "text".to_string(),
        Shape::Bool => "boolean".to_string(),
        Shape::Integer | Shape::BigInteger => "integer".to_string(),
        Shape::Date => "date".to_string(),
        Shape::Url => "URL".to_string(),
        Shape::Links => "object of URLs".to_string(),
        Shape::Words(words) => list(words),
        Shape::Any => "object".to_string(),
        Shape::Array => "array of objects".to_string(),
    }
}

fn kind(spec: &Spec) -> String {
    match spec.kind {
        Kind::Name { max } => format!("text of 1 to {max} characters"),
        Kind::Text { max: TEXT_CHARS_MAX } => "text".to_string(),
        Kind::Text { max } => format!("text of up to {max} characters"),
        Kind::Bool | Kind::Flag => "boolean: `true`, `1`, `yes`".to_string(),
        Kind::Integer { from, to: i64::MAX } => format!("integer from {from}"),
        Kind::Integer { from, to } => format!("integer from {from} to {to}"),
        Kind::PageSize => "integer from 1, at most 1000 count".to_string(),
        Kind::Minutes => "integer from 1".to_string(),
        Kind::Sid(prefix) | Kind::DeferredSid(prefix) => format!("SID `{prefix}`"),
        Kind::AnySid(prefixes) => format!("SID {}", list(prefixes)),
        Kind::Choice { words, .. } | Kind::PublishedBool(words) => list(words),
        Kind::Choices { words, .. } => format!("several of {}", list(words)),
        Kind::Url => "URL, http or https".to_string(),
        Kind::Date => "date, ISO 8601".to_string(),
        Kind::Attributes => "JSON object of up to 4096 characters".to_string(),
        Kind::Configuration => "JSON object of up to 1038576 bytes".to_string(),
        Kind::Expression | Kind::TargetWorkers => "expression".to_string(),
        Kind::UniqueName => "text of 1 to 64 characters without blanks and `/`".to_string(),
        Kind::Thresholds => "up to 20 integers, separated by commas".to_string(),
        Kind::TaskQueueSids => "JSON array of 1 to 50 SIDs `WQ`".to_string(),
        Kind::HttpMethod => "`GET`, `POST`".to_string(),
    }
}

fn list(words: &[&str]) -> String {
    words.iter().map(|word| format!("`{word}`")).collect::<Vec<_>>().join(", ")
}

fn errors_page() -> String {
    let mut out = format!("{GENERATED}# Errors\n\n");
    line(&mut out, "The body of an error is `{\"code\", \"message\", \"more_info\", \"status\"}`.");
    line(&mut out, "Words in braces stand for what the request was about.\n");
    line(&mut out, "| Code | Status | Name | Message |\n| --- | --- | --- | --- |");
    let mut rows: Vec<_> = ERRORS.iter().collect();
    rows.sort_by_key(|row| row.code);
    for row in rows {
        let (code, status, name) = (row.code, row.status, row.name);
        line(&mut out, format_args!("| {code} | {status} | `{name}` | {} |", cell(row.message)));
    }
    out
}

fn events_page() -> String {
    let mut out =
        format!("{GENERATED}# Events\n\n## Types\n\n| Type | `ResourceType` | Description |\n| --- | --- | --- |\n");
    for known in EVENT_TYPES {
        let about = known.about.resource_type();
        line(&mut out, format_args!("| `{}` | `{about}` | {} |", known.name, known.description));
    }
    line(&mut out, "\n## Fields\n");
    line(
        &mut out,
        "A callback has the fields under the name on the left, the Event resource in `event_data` under the one on the right.",
    );
    line(&mut out, "What has no value is left out.\n");
    line(&mut out, "| Parameter | `event_data` | Group |\n| --- | --- | --- |");
    for field in EVENT_FIELDS {
        let data = match field.group {
            Group::Envelope => "a member of the Event itself".to_string(),
            _ => format!("`{}`", snake_case(field.name)),
        };
        line(&mut out, format_args!("| `{}` | {data} | {} |", field.name, group(field.group)));
    }
    out
}

const fn group(group: Group) -> &'static str {
    match group {
        Group::Envelope => "envelope",
        Group::Workspace => "Workspace",
        Group::Task => "Task",
        Group::TaskQueue => "TaskQueue",
        Group::Workflow => "Workflow",
        Group::Step => "step of the Workflow",
        Group::Previous => "change of queue",
        Group::Worker => "Worker",
        Group::ActivityChange => "change of Activity",
        Group::WorkerChannel => "worker channel",
        Group::Reservation => "Reservation",
        Group::Transfer => "transfer",
        Group::Activity => "Activity",
        Group::TaskChannel => "TaskChannel",
    }
}
