//! The OpenAPI document, written out of the tables, and how it differs from another one.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value, json};

use crate::account::AccountCall;
use crate::parameters::{HTTP_METHODS, Kind, Spec};
use crate::routes::{self, Route};
use crate::table::{Described, EXTENSIONS, Method, Mount, NamedBy, Operation, Property, Run, Shape};

/// The document as JSON text.
pub fn document() -> String {
    value().to_string()
}

/// The document.
pub fn value() -> Value {
    let mut paths = Map::new();
    let mut schemas = Map::new();
    for route in routes::all() {
        paths.insert(route.mount.path.to_string(), path_item(route));
        schemas.insert(route.resource.schema().to_string(), schema(route.resource));
    }
    json!({
        "openapi": "3.0.1",
        "info": {
            "title": "Pointsman",
            "description": "A self-hosted task router that speaks the TaskRouter v1 API.",
            "version": env!("CARGO_PKG_VERSION"),
        },
        "servers": [{"url": "/"}],
        "security": [{"accountSid_authToken": []}],
        "paths": paths,
        "components": {
            "schemas": schemas,
            "securitySchemes": {"accountSid_authToken": {"type": "http", "scheme": "basic"}},
        },
    })
}

fn path_item(route: &Route) -> Value {
    let operations = route.mount.operations.iter();
    let operations = operations.map(|operation| {
        (operation.method.name().to_ascii_lowercase(), operation_object(route.resource, route.mount, operation))
    });
    Value::Object(operations.collect())
}

fn operation_object(resource: &dyn Described, mount: &Mount, operation: &Operation) -> Value {
    let mut parameters: Vec<Value> = variables(mount.path)
        .map(|name| {
            let schema = variable_schema(resource, name);
            json!({"name": name, "in": "path", "required": true, "schema": schema})
        })
        .collect();
    if honors_if_match(resource, operation) {
        let doc = "Proceed only if this is the current version.";
        parameters.push(json!({"name": "If-Match", "in": "header", "description": doc, "schema": {"type": "string"}}));
    }
    let published: Vec<&Spec> = operation.all_specs().filter(|spec| spec.published).collect();
    if operation.method == Method::Get {
        parameters.extend(published.iter().map(|spec| {
            let mut parameter =
                json!({"name": spec.name, "in": "query", "description": described(spec), "schema": kind_schema(spec.kind)});
            if spec.required {
                parameter["required"] = true.into();
            }
            parameter
        }));
    }
    let mut object = json!({
        "operationId": operation.id,
        "summary": operation.doc,
        "tags": [resource.name()],
        "parameters": parameters,
        "responses": responses(resource, mount, operation),
    });
    if operation.method == Method::Post {
        object["requestBody"] = body(operation, &published);
    }
    object
}

fn variables(path: &str) -> impl Iterator<Item = &str> {
    path.split('{').skip(1).map(|rest| rest.split('}').next().expect("every brace is closed"))
}

fn variable_schema(resource: &dyn Described, name: &str) -> Value {
    let own = |property: &Property| matches!((property.name, property.shape), ("sid", Shape::Sid(_)));
    match name {
        "AccountSid" => sid_schema("AC"),
        "WorkspaceSid" => sid_schema("WS"),
        "WorkerSid" => sid_schema("WK"),
        "TaskSid" => sid_schema("WT"),
        "TaskQueueSid" => sid_schema("WQ"),
        "WorkflowSid" => sid_schema("WW"),
        _ if resource.named_by() == NamedBy::SidOrName => json!({"type": "string"}),
        _ => match resource.properties().into_iter().find(own).map(|property| property.shape) {
            Some(Shape::Sid(prefix)) => sid_schema(prefix),
            other => unreachable!("{name} of {} is no SID: {other:?}", resource.name()),
        },
    }
}

/// Writes to something that has a version do.
fn honors_if_match(resource: &dyn Described, operation: &Operation) -> bool {
    resource.is_versioned() && matches!(operation.run, Run::Update(_) | Run::Delete(_))
}

fn body(operation: &Operation, specs: &[&Spec]) -> Value {
    let properties: Map<String, Value> = specs
        .iter()
        .map(|spec| {
            let mut schema = kind_schema(spec.kind);
            schema["description"] = described(spec).into();
            (spec.name.to_string(), schema)
        })
        .collect();
    let required: Vec<&str> = specs.iter().filter(|spec| spec.required).map(|spec| spec.name).collect();
    let mut schema = json!({"type": "object", "title": format!("{}Request", operation.id), "properties": properties});
    if !required.is_empty() {
        schema["required"] = required.into();
    }
    let takes_json = specs.iter().any(|spec| spec.kind == Kind::TaskQueueSids);
    let media_type = if takes_json { "application/json" } else { "application/x-www-form-urlencoded" };
    json!({"content": {media_type: {"schema": schema}}})
}

fn described(spec: &Spec) -> String {
    match spec.kind {
        Kind::Integer { from, to } if to < i64::MAX => format!("{} From {from} to {to}.", spec.doc),
        Kind::Choice { words, published: false, .. } | Kind::Choices { words, published: false } => {
            format!("{} One of {}.", spec.doc, words.join(", "))
        }
        _ => spec.doc.to_string(),
    }
}

fn responses(resource: &dyn Described, mount: &Mount, operation: &Operation) -> Value {
    let reference = json!({"$ref": format!("#/components/schemas/{}", resource.schema())});
    let (status, schema) = match operation.run {
        Run::Delete(_) | Run::Account(AccountCall::DeleteKey) => (204, None),
        Run::Create(_) | Run::Account(AccountCall::CreateWorkspace | AccountCall::CreateKey) => (201, Some(reference)),
        _ if operation.is_list() => (200, Some(list_schema(mount, operation, &reference))),
        Run::Fetch
        | Run::List(_)
        | Run::Read(_)
        | Run::Update(_)
        | Run::Serve(_)
        | Run::Stream(_)
        | Run::Account(
            AccountCall::Index
            | AccountCall::ListWorkspaces
            | AccountCall::ListKeys
            | AccountCall::FetchKey
            | AccountCall::UpdateKey
            | AccountCall::FetchClock
            | AccountCall::MoveClock,
        ) => (200, Some(reference)),
    };
    let mut response = json!({"description": if status == 201 { "Created" } else { "OK" }});
    if matches!(operation.run, Run::Stream(_)) {
        let stream = |form: &str| json!({"schema": schema.clone(), "description": form});
        response["content"] = json!({
            "application/x-ndjson": stream("One object a line."),
            "text/event-stream": stream("One object in the data of each event."),
        });
        return json!({status.to_string(): response});
    }
    if let Some(schema) = schema {
        response["content"] = json!({"application/json": {"schema": schema}});
    }
    json!({status.to_string(): response})
}

fn list_schema(mount: &Mount, operation: &Operation, item: &Value) -> Value {
    let uri = || json!({"type": "string", "format": "uri"});
    let nullable_uri = || json!({"type": "string", "format": "uri", "nullable": true});
    json!({
        "type": "object",
        "title": format!("{}Response", operation.id),
        "properties": {
            mount.list_key: {"type": "array", "items": item},
            "meta": {
                "type": "object",
                "properties": {
                    "first_page_url": uri(),
                    "key": {"type": "string"},
                    "next_page_url": nullable_uri(),
                    "page": {"type": "integer"},
                    "page_size": {"type": "integer"},
                    "previous_page_url": nullable_uri(),
                    "url": uri(),
                },
            },
        },
    })
}

fn schema(resource: &dyn Described) -> Value {
    let properties: Map<String, Value> = resource
        .properties()
        .into_iter()
        .map(|property| {
            let mut schema = shape_schema(property.shape);
            schema["description"] = property.doc.into();
            (property.name.to_string(), schema)
        })
        .collect();
    json!({"type": "object", "description": resource.doc(), "properties": properties})
}

/// Nearly everything may be null in the official schema, so clients are prepared for it.
fn shape_schema(shape: Shape) -> Value {
    let mut schema = match shape {
        Shape::Sid(prefix) => sid_schema(prefix),
        Shape::Text => json!({"type": "string"}),
        Shape::Bool => json!({"type": "boolean"}),
        Shape::Integer => return json!({"type": "integer", "default": 0}),
        Shape::BigInteger => json!({"type": "integer", "format": "int64"}),
        Shape::Date => json!({"type": "string", "format": "date-time"}),
        Shape::Url => json!({"type": "string", "format": "uri"}),
        Shape::Links => json!({"type": "object", "format": "uri-map"}),
        Shape::Words(words) => return json!({"type": "string", "enum": words}),
        Shape::Any => json!({}),
        Shape::Array => json!({"type": "array", "items": {}}),
    };
    schema["nullable"] = true.into();
    schema
}

fn sid_schema(prefix: &str) -> Value {
    let prefix = if prefix.is_empty() { "[a-zA-Z]{2}" } else { prefix };
    json!({"type": "string", "minLength": 34, "maxLength": 34, "pattern": format!("^{prefix}[0-9a-fA-F]{{32}}$")})
}

fn kind_schema(kind: Kind) -> Value {
    match kind {
        Kind::Name { .. }
        | Kind::Text { .. }
        | Kind::Flag
        | Kind::Attributes
        | Kind::Configuration
        | Kind::Expression
        | Kind::TargetWorkers
        | Kind::AnySid(_)
        | Kind::UniqueName
        | Kind::Thresholds
        | Kind::Choice { published: false, .. } => json!({"type": "string"}),
        Kind::Bool | Kind::PublishedBool(_) => json!({"type": "boolean"}),
        Kind::Integer { from, to: i64::MAX } => json!({"type": "integer", "minimum": from}),
        Kind::Integer { .. } | Kind::Minutes => json!({"type": "integer"}),
        Kind::PageSize => {
            json!({"type": "integer", "format": "int64", "minimum": 1, "maximum": crate::limits::PAGE_SIZE_MAX})
        }
        Kind::Sid(prefix) | Kind::DeferredSid(prefix) => sid_schema(prefix),
        Kind::Choice { words, published: true, .. } => json!({"type": "string", "enum": words}),
        Kind::Choices { words, published: true } => {
            json!({"type": "array", "items": {"type": "string", "enum": words}})
        }
        Kind::Choices { published: false, .. } => json!({"type": "array", "items": {"type": "string"}}),
        Kind::Url => json!({"type": "string", "format": "uri"}),
        Kind::Date => json!({"type": "string", "format": "date-time"}),
        Kind::HttpMethod => json!({"type": "string", "format": "http-method", "enum": HTTP_METHODS}),
        Kind::TaskQueueSids => json!({"type": "array", "items": sid_schema("WQ")}),
    }
}

/// How our document differs from `official`: names, places, types, patterns, words and what is required, of every
/// parameter and every member of an answer.
///
/// - One line each, in the order of paths; nothing is said of descriptions and examples, nor of extensions.
pub fn differences(official: &Value) -> Vec<String> {
    compare(official, &value())
}

fn compare(official: &Value, ours: &Value) -> Vec<String> {
    let mut found = Vec::new();
    let operations = (operations(official), operations(ours));
    let names: BTreeSet<&String> = operations.0.keys().chain(operations.1.keys()).collect();
    for name in names {
        match (operations.0.get(name), operations.1.get(name)) {
            (Some(theirs), Some(own)) => compare_facts(&mut found, name, &facts(official, theirs), &facts(ours, own)),
            (Some(_), None) => found.push(format!("{name}: missing")),
            (None, _) => found.push(format!("{name}: not official")),
        }
    }
    found
}

fn compare_facts(
    found: &mut Vec<String>,
    name: &str,
    official: &BTreeMap<String, String>,
    ours: &BTreeMap<String, String>,
) {
    let facts: BTreeSet<&String> = official.keys().chain(ours.keys()).collect();
    for fact in facts {
        match (official.get(fact), ours.get(fact)) {
            (Some(theirs), Some(own)) if theirs == own => {}
            (Some(theirs), Some(own)) => found.push(format!("{name}: {fact}: {own}, officially {theirs}")),
            (Some(_), None) => found.push(format!("{name}: {fact}: missing")),
            (None, _) => found.push(format!("{name}: {fact}: not official")),
        }
    }
}

/// Operations by method and path.
fn operations(document: &Value) -> BTreeMap<String, &Value> {
    let mut found = BTreeMap::new();
    let paths = document["paths"].as_object().into_iter().flatten();
    for (path, item) in paths.filter(|(path, _)| !path.starts_with(EXTENSIONS)) {
        for method in ["get", "post", "delete", "put", "patch"] {
            if let Some(operation) = item.get(method) {
                found.insert(format!("{} {path}", method.to_ascii_uppercase()), operation);
            }
        }
    }
    found
}

/// What there is to compare of an operation, as names and texts.
fn facts(document: &Value, operation: &Value) -> BTreeMap<String, String> {
    let mut facts = BTreeMap::new();
    facts.insert("operation id".to_string(), operation["operationId"].to_string());
    for parameter in operation["parameters"].as_array().into_iter().flatten() {
        let text = |member: &str| parameter[member].as_str().unwrap_or_default();
        let required = if parameter["required"] == true { ", required" } else { "" };
        let schema = normal_form(document, &parameter["schema"]);
        facts.insert(format!("{} parameter {}", text("in"), text("name")), format!("{schema}{required}"));
    }
    for (media_type, content) in operation["requestBody"]["content"].as_object().into_iter().flatten() {
        facts.insert("body".to_string(), media_type.clone());
        schema_facts(document, &content["schema"], "body parameter", &mut facts);
    }
    for (status, response) in operation["responses"].as_object().into_iter().flatten() {
        let content = &response["content"]["application/json"];
        facts.insert(format!("status {status}"), content.is_object().to_string());
        if content.is_object() {
            schema_facts(document, &content["schema"], "member", &mut facts);
        }
    }
    facts
}

fn schema_facts(document: &Value, schema: &Value, what: &str, facts: &mut BTreeMap<String, String>) {
    let schema = resolve(document, schema);
    let required: Vec<&str> = schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    for (name, property) in schema["properties"].as_object().into_iter().flatten() {
        let required = if required.contains(&name.as_str()) { ", required" } else { "" };
        facts.insert(format!("{what} {name}"), format!("{}{required}", normal_form(document, property)));
    }
}

fn resolve<'a>(document: &'a Value, schema: &'a Value) -> &'a Value {
    let Some(reference) = schema["$ref"].as_str() else { return schema };
    document.pointer(reference.trim_start_matches('#')).unwrap_or(&Value::Null)
}

/// A schema without references and without prose.
fn normal_form(document: &Value, schema: &Value) -> Value {
    let schema = resolve(document, schema);
    let mut form = Map::new();
    for key in
        ["type", "format", "minLength", "maxLength", "pattern", "enum", "minimum", "maximum", "nullable", "default"]
    {
        if let Some(value) = schema.get(key) {
            form.insert(key.to_string(), value.clone());
        }
    }
    if let Some(items) = schema.get("items") {
        form.insert("items".to_string(), normal_form(document, items));
    }
    if let Some(properties) = schema["properties"].as_object() {
        let members = properties.iter().map(|(name, property)| (name.clone(), normal_form(document, property)));
        form.insert("properties".to_string(), Value::Object(members.collect()));
    }
    Value::Object(form)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_document_has_every_official_operation_once() {
        let document = value();
        let mut ids: Vec<String> = operations(&document)
            .into_iter()
            .filter(|(name, _)| name.contains("/v1/Workspaces"))
            .map(|(_, operation)| operation["operationId"].as_str().unwrap().to_string())
            .collect();
        ids.sort_unstable();
        ids.dedup();
        assert_eq!(ids.len(), 61);
    }

    #[test]
    fn a_document_does_not_differ_from_itself() {
        assert_eq!(differences(&value()), Vec::<String>::new());
    }

    #[test]
    fn extensions_are_in_the_document_and_no_difference() {
        let mut official = value();
        assert!(official["paths"]["/pointsman/v1/Clock"].is_object());
        official["paths"].as_object_mut().unwrap().retain(|path, _| !path.starts_with(EXTENSIONS));
        assert_eq!(differences(&official), Vec::<String>::new());
    }

    #[test]
    fn differences_are_told_one_by_one() {
        let mut official = value();
        let worker = "/v1/Workspaces/{WorkspaceSid}/Workers/{Sid}";
        official["paths"][worker]["post"]["parameters"][2]["schema"] = json!({"type": "integer"});
        official["paths"][worker].as_object_mut().unwrap().remove("delete");
        official["components"]["schemas"]["taskrouter.v1.workspace.worker"]["properties"]["shoe_size"] = json!({});
        let found = compare(&official, &value());
        assert!(found.contains(&format!("DELETE {worker}: not official")), "{found:#?}");
        assert!(found.contains(&format!("GET {worker}: member shoe_size: missing")), "{found:#?}");
        let changed = format!(
            "POST {worker}: header parameter If-Match: {{\"type\":\"string\"}}, officially {{\"type\":\"integer\"}}"
        );
        assert!(found.contains(&changed), "{found:#?}");
    }

    #[test]
    fn undocumented_parameters_are_not_published() {
        assert!(!document().contains("DequeueStatusCallbackEvents"));
    }
}
