//! From bytes to a [`Call`]: everything that needs no state. Reference: rest-contract, sections 1.3 and 4.2.
//!
//! Order of checks (section 2.2): path, method, size and media type are refused here. Faults of parameters are carried
//! along, because an unknown object (404) and `If-Match` (412) come before them.

use std::sync::Arc;

use pointsman_engine::{Account, Engine, Entity, Sid, State, Workspace};

use crate::account::AccountCall;
use crate::bulk;
use crate::errors::{self, ApiError};
use crate::extension;
use crate::form::{self, Fields};
use crate::http::HttpRequest;
use crate::limits::{BODY_BYTES_MAX, EVENTS_RETENTION_DAYS, STATISTICS_RETENTION_DAYS};
use crate::page;
use crate::parameters::{Kind, Param, Spec, Value};
use crate::resources::workspace::MULTI_TASK_ENABLED;
use crate::routes::{self, Route};
use crate::table::{Method, Mount, Operation, Run};
use crate::target::Target;

/// Where a call is decided.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CallScope {
    /// Beside the Workspaces: their list and creation, keys, the index.
    Account(AccountCall),
    /// In the turn of one Workspace. That it belongs to the caller's account is the dispatcher's check.
    Workspace(Sid<Workspace>),
}

/// What the operator set, as far as answers depend on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Settings {
    pub statistics_retention_days: u32,
    pub events_retention_days: u32,
}

impl Default for Settings {
    fn default() -> Self {
        Self { statistics_retention_days: STATISTICS_RETENTION_DAYS, events_retention_days: EVENTS_RETENTION_DAYS }
    }
}

/// A request that names an operation, its parameters read.
#[derive(Debug)]
pub struct Call {
    pub operation: &'static Operation,
    pub mount: &'static Mount,
    /// Name of the resource, as in the class names of the SDKs.
    pub resource: &'static str,
    pub scope: CallScope,
    /// As requested, for texts of errors.
    pub path: String,
    pub base_url: String,
    /// Address of the client, for `source_ip_address`.
    pub peer: Option<Arc<str>>,
    /// Set by whoever knows the configuration, before the call is executed.
    pub settings: Settings,
    /// The account has a single-tasking Workspace already, so another may become one. Set like `settings`.
    pub account_has_single_tasking: bool,
    /// Variable segments of the path after the Workspace (for keys: after the account).
    pub(crate) segments: Vec<String>,
    pub(crate) account: Option<Sid<Account>>,
    if_match: Option<String>,
    /// Where a stream that broke off goes on.
    pub(crate) last_event_id: Option<String>,
    values: Vec<(&'static str, Value)>,
    /// Filters as given, for the addresses of pages.
    pub(crate) filters: Fields,
    /// The first fault of the parameters.
    fault: Option<ApiError>,
}

/// A call in the state of its turn: what the functions of the tables see.
#[derive(Clone, Copy, Debug)]
pub struct Request<'a> {
    pub call: &'a Call,
    pub engine: &'a Engine,
    pub state: &'a State,
    pub target: Target,
}

/// Reads a request.
///
/// - Errors: unknown path (404), method (405), body too large (413), media type (415). Other faults are in the call.
/// - Needs no state, so it runs wherever the bytes arrive. Check credentials before acting on either outcome.
pub fn parse(request: &HttpRequest<'_>) -> Result<Call, ApiError> {
    let not_found = || ApiError::not_found(request.path);
    let (route, mut segments) = routes::find(request.path).ok_or_else(not_found)?;
    let operation = operation(route, request)?;
    let fields = fields(route.mount, operation, request)?;
    let mut account = None;
    let scope = match operation.run {
        Run::Account(call) => {
            if call.names_account() {
                account = Some(Sid::<Account>::parse(&segments.remove(0)).ok_or_else(not_found)?);
            }
            CallScope::Account(call)
        }
        Run::Fetch
        | Run::List(_)
        | Run::Read(_)
        | Run::Create(_)
        | Run::Update(_)
        | Run::Delete(_)
        | Run::Serve(_)
        | Run::Stream(_) => CallScope::Workspace(Sid::parse(&segments.remove(0)).ok_or_else(not_found)?),
    };
    let mut call = Call {
        operation,
        mount: route.mount,
        resource: route.resource.name(),
        scope,
        path: request.path.to_string(),
        base_url: clean_base_url(request.base_url),
        peer: request.peer.map(Arc::from),
        settings: Settings::default(),
        account_has_single_tasking: false,
        segments,
        account,
        if_match: request.if_match.map(str::to_string),
        last_event_id: request.last_event_id.map(str::to_string),
        values: Vec::new(),
        filters: Fields::new(),
        fault: None,
    };
    match fields {
        Ok(Given::Fields(fields)) => call.read(fields),
        Ok(Given::Json(sids)) => call.values.push((operation.specs[0].name, Value::Sids(sids))),
        Err(fault) => call.fault = Some(fault),
    }
    Ok(call)
}

/// Parameters as they came.
enum Given {
    Fields(Fields),
    /// The queue SIDs of the one operation that takes JSON.
    Json(Vec<[u8; 16]>),
}

fn operation(route: &'static Route, request: &HttpRequest<'_>) -> Result<&'static Operation, ApiError> {
    let method = match request.method {
        "GET" | "HEAD" => Some(Method::Get),
        "POST" => Some(Method::Post),
        "DELETE" => Some(Method::Delete),
        _ => None,
    };
    let operations = route.mount.operations;
    operations
        .iter()
        .find(|operation| Some(operation.method) == method)
        .ok_or_else(|| method_not_allowed(request.method, request.path, &allowed(route.mount)))
}

/// The refusal of a method; `allowed`: as an `Allow` header lists them.
pub fn method_not_allowed(method: &str, path: &str, allowed: &str) -> ApiError {
    ApiError::new(&errors::METHOD_NOT_ALLOWED, &[("method", &method), ("path", &path), ("allowed", &allowed)])
        .with_allow(allowed.to_string())
}

/// Refuses a body that is too large, or encoded.
pub fn check_body(body: &[u8], content_encoding: Option<&str>) -> Result<(), ApiError> {
    if BODY_BYTES_MAX < body.len() {
        return Err(ApiError::new(&errors::BODY_TOO_LARGE, &[("limit", &BODY_BYTES_MAX)]));
    }
    let encoding = content_encoding.unwrap_or_default().trim();
    if !body.is_empty() && !encoding.is_empty() && !encoding.eq_ignore_ascii_case("identity") {
        return Err(ApiError::new(&errors::CONTENT_ENCODING, &[("given", &encoding)]));
    }
    Ok(())
}

/// The methods of a mount as an `Allow` header lists them.
fn allowed(mount: &Mount) -> String {
    let mut methods: Vec<Method> = mount.operations.iter().map(|operation| operation.method).collect();
    methods.sort_unstable();
    let mut names: Vec<&str> = methods.into_iter().map(Method::name).collect();
    if names.contains(&"GET") {
        names.insert(1, "HEAD");
    }
    names.push("OPTIONS");
    names.join(", ")
}

/// Decodes where the operation looks for parameters: the query of a GET, the body of a POST. Refused at once are size
/// and media type; a body that does not decode is a fault to be carried.
fn fields(
    mount: &Mount,
    operation: &Operation,
    request: &HttpRequest<'_>,
) -> Result<Result<Given, ApiError>, ApiError> {
    match operation.method {
        Method::Get => Ok(form::decode_urlencoded(request.query.as_bytes()).map(Given::Fields)),
        // What the body of a deletion says does not matter, but it must be one that could be read.
        Method::Delete => body(mount, operation, request).map(|_| Ok(Given::Fields(Fields::new()))),
        Method::Post => body(mount, operation, request),
    }
}

/// Decodes a body.
fn body(mount: &Mount, operation: &Operation, request: &HttpRequest<'_>) -> Result<Result<Given, ApiError>, ApiError> {
    check_body(request.body, request.content_encoding)?;
    let takes_json = matches!(operation.specs, [spec] if spec.kind == Kind::TaskQueueSids);
    let content_type = request.content_type.unwrap_or_default();
    let media_type = content_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    match (request.body, media_type.as_str(), takes_json) {
        (body, "application/json", true) => Ok(bulk::read_body(body).map(Given::Json)),
        (_, _, true) => Err(media_type_error("application/json")),
        ([], _, false) => Ok(Ok(Given::Fields(Fields::new()))),
        (body, "application/x-www-form-urlencoded", false) => Ok(form::decode_urlencoded(body).map(Given::Fields)),
        (body, "multipart/form-data", false) => Ok(form::decode_multipart(content_type, body).map(Given::Fields)),
        (body, "application/json", false) if mount.is_extension() => Ok(form::decode_json(body).map(Given::Fields)),
        (_, _, false) if mount.is_extension() => {
            Err(media_type_error("application/x-www-form-urlencoded or application/json"))
        }
        (_, _, false) => Err(media_type_error("application/x-www-form-urlencoded")),
    }
}

fn media_type_error(expected: &str) -> ApiError {
    ApiError::new(&errors::MEDIA_TYPE, &[("expected", &expected)])
}

/// The base address goes into JSON as it is, so it keeps only what stands in a URL.
fn clean_base_url(base_url: &str) -> String {
    let fits = |char: &char| char.is_ascii_graphic() && !matches!(char, '"' | '\\' | '<' | '>');
    base_url.trim_end_matches('/').chars().filter(fits).collect()
}

impl Call {
    fn read(&mut self, fields: Fields) {
        if self.mount.is_extension() {
            let known: Vec<&str> = self.operation.all_specs().map(|spec| spec.name).collect();
            let unknown = fields.iter().map(|(name, _)| name).find(|name| !known.contains(&name.as_str()));
            self.fault = unknown.map(|name| extension::unknown_parameter(name, &known));
        }
        for spec in self.operation.all_specs() {
            let given: Vec<&str> =
                fields.iter().filter(|(name, _)| name == spec.name).map(|(_, value)| value.as_str()).collect();
            match spec.read(&given) {
                Ok(Some(value)) => self.values.push((spec.name, value)),
                Ok(None) if spec.required => self.fault = self.fault.take().or(Some(spec.missing())),
                Ok(None) => {}
                Err(fault) => self.fault = self.fault.take().or(Some(fault)),
            }
        }
        if self.operation.is_list() {
            if self.fault.is_none() {
                self.fault = page::absolute_paging(self);
            }
            let known = |name: &str| self.operation.specs.iter().any(|spec| spec.name == name);
            self.filters = fields.into_iter().filter(|(name, value)| known(name) && !value.is_empty()).collect();
        }
    }

    /// Whether a Workspace is to become single-tasking: it may if `account_has_single_tasking`.
    pub fn asks_for_single_tasking(&self) -> bool {
        self.operation.all_specs().any(|spec| spec.name == MULTI_TASK_ENABLED.spec.name)
            && self.get(&MULTI_TASK_ENABLED) == Some(false)
    }

    /// The value of a parameter that the operation declares.
    pub(crate) fn get<T>(&self, param: &Param<T>) -> Option<T> {
        debug_assert!(
            self.operation.all_specs().any(|spec| spec.name == param.spec.name),
            "{} does not declare {}",
            self.operation.id,
            param.spec.name
        );
        let mut values = self.values.iter().filter(|(name, _)| *name == param.spec.name);
        values.next().map(|(_, value)| (param.of)(value))
    }

    /// The value of a parameter that the operation requires.
    pub(crate) fn need<T>(&self, param: &Param<T>) -> Result<T, ApiError> {
        self.get(param).ok_or_else(|| param.spec.missing())
    }

    /// The texts given for a deferred parameter.
    pub(crate) fn texts(&self, name: &str) -> Vec<String> {
        let found = self.values.iter().find(|(known, _)| *known == name).map(|(_, value)| value);
        match found {
            Some(Value::Texts(texts)) => texts.clone(),
            Some(other) => unreachable!("{name} is deferred, not {other:?}"),
            None => Vec::new(),
        }
    }

    /// The value of a deferred parameter.
    pub(crate) fn get_deferred<T>(&self, param: &Param<T>) -> Result<Option<T>, ApiError> {
        let texts = self.texts(param.spec.name);
        let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
        let value = Spec { deferred: false, ..param.spec }.read(&texts)?;
        Ok(value.map(|value| (param.of)(&value)))
    }

    /// The first fault of the parameters, once its turn has come.
    pub(crate) fn check_parameters(&self) -> Result<(), ApiError> {
        self.fault.clone().map_or(Ok(()), Err)
    }

    /// `If-Match`, unless it is absent or blank.
    pub(crate) fn if_match(&self) -> Option<&str> {
        self.if_match.as_deref().map(str::trim).filter(|text| !text.is_empty())
    }

    pub(crate) fn not_found(&self) -> ApiError {
        ApiError::not_found(&self.path)
    }

    /// Key of the rate limit that applies (reference: rest-contract, section 10.4): `Worker-Update`, and a third part
    /// for the filters that evaluate an expression.
    pub fn rate_key(&self) -> String {
        let mut key = format!("{}-{}", self.resource, self.operation.verb());
        let costly = self.values.iter().find(|(name, _)| {
            ["EvaluateTaskAttributes", "TargetWorkersExpression", "EvaluateWorkerAttributes"].contains(name)
        });
        if let Some((name, _)) = costly {
            key.push('-');
            key.push_str(name);
        }
        key
    }

    /// The Workspace whose turn decides the call.
    pub fn workspace(&self) -> Option<Sid<Workspace>> {
        match self.scope {
            CallScope::Workspace(sid) => Some(sid),
            CallScope::Account(_) => None,
        }
    }

    /// The account in the path, for keys. It must be the caller's, else the answer is 404.
    pub fn account(&self) -> Option<Sid<Account>> {
        self.account
    }

    /// Whether it can change anything.
    pub fn is_write(&self) -> bool {
        match self.operation.run {
            Run::Fetch | Run::List(_) | Run::Read(_) | Run::Stream(_) => false,
            Run::Create(_) | Run::Update(_) | Run::Delete(_) | Run::Serve(_) => true,
            Run::Account(call) => call.is_write(),
        }
    }
}

impl Request<'_> {
    pub(crate) fn get<T>(&self, param: &Param<T>) -> Option<T> {
        self.call.get(param)
    }

    pub(crate) fn need<T>(&self, param: &Param<T>) -> Result<T, ApiError> {
        self.call.need(param)
    }
}

/// A segment of the path as a SID of the entity that it must name.
pub(crate) fn segment<E: Entity>(segments: &[String], index: usize) -> Option<Sid<E>> {
    Sid::parse(segments.get(index)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    const WORKERS: &str = "/v1/Workspaces/WS00000000000000000000000000000001/Workers";
    const FORM: Option<&str> = Some("application/x-www-form-urlencoded; charset=UTF-8");

    fn post<'a>(path: &'a str, content_type: Option<&'a str>, body: &'a [u8]) -> HttpRequest<'a> {
        HttpRequest { method: "POST", path, content_type, body, ..HttpRequest::default() }
    }

    fn refused(request: &HttpRequest<'_>) -> (u16, u32) {
        let error = parse(request).unwrap_err();
        (error.status(), error.code())
    }

    #[test]
    fn a_body_may_have_two_mebibytes() {
        let body = |bytes: usize| format!("Ignored={}", "x".repeat(bytes - 8)).into_bytes();
        assert!(parse(&post(WORKERS, FORM, &body(BODY_BYTES_MAX))).is_ok());
        assert_eq!(refused(&post(WORKERS, FORM, &body(BODY_BYTES_MAX + 1))), (413, 20413));
    }

    #[test]
    fn only_a_body_needs_a_media_type() {
        assert!(parse(&post(WORKERS, None, b"")).is_ok());
        assert!(parse(&post(WORKERS, Some("text/plain"), b"")).is_ok());
        assert_eq!(refused(&post(WORKERS, None, b"a=b")), (415, 20422));
        assert_eq!(refused(&post(WORKERS, Some("text/plain"), b"a=b")), (415, 20422));
        let get =
            HttpRequest { method: "GET", path: WORKERS, content_type: Some("text/plain"), ..HttpRequest::default() };
        assert!(parse(&get).is_ok());
    }

    #[test]
    fn a_body_is_sent_as_it_is() {
        for (encoding, expected) in
            [("gzip", Some((415, 20422))), ("br", Some((415, 20422))), ("Identity", None), ("", None)]
        {
            let request = HttpRequest { content_encoding: Some(encoding), ..post(WORKERS, FORM, b"FriendlyName=a") };
            assert_eq!(parse(&request).err().map(|error| (error.status(), error.code())), expected, "{encoding}");
        }
        let empty = HttpRequest { content_encoding: Some("gzip"), ..post(WORKERS, FORM, b"") };
        assert!(parse(&empty).is_ok());
    }

    #[test]
    fn the_body_of_a_deletion_does_not_matter_if_it_could_be_read() {
        let worker = &format!("{WORKERS}/WK00000000000000000000000000000001");
        let delete = |content_type, body| HttpRequest { method: "DELETE", ..post(worker, content_type, body) };
        assert!(parse(&delete(None, b"")).is_ok());
        assert!(parse(&delete(FORM, b"Anything=1")).is_ok());
        assert!(parse(&delete(Some("application/json"), b"")).is_ok());
        assert_eq!(refused(&delete(Some("application/json"), b"{}")), (415, 20422));
        assert_eq!(refused(&delete(None, b"{}")), (415, 20422));
    }

    #[test]
    fn the_path_comes_before_the_method_and_the_method_before_the_body() {
        assert_eq!(refused(&post("/v1/Nothing", Some("text/plain"), b"x")), (404, 20404));
        let events = "/v1/Workspaces/WS00000000000000000000000000000001/Events";
        assert_eq!(refused(&post(events, Some("text/plain"), b"x")), (405, 20004));
    }

    #[test]
    fn faults_of_parameters_are_carried_along() {
        let call = parse(&post(WORKERS, FORM, b"FriendlyName=&ActivitySid=x")).unwrap();
        assert_eq!(call.check_parameters().unwrap_err().code(), 20002);
        let call = parse(&post(WORKERS, FORM, b"FriendlyName=x&Attributes=%ff")).unwrap();
        assert_eq!(call.check_parameters().unwrap_err().message, "Attributes is not valid UTF-8 text");
    }

    #[test]
    fn the_query_of_a_post_and_the_body_of_a_get_are_ignored() {
        let request = HttpRequest { query: "FriendlyName=x", ..post(WORKERS, None, b"") };
        assert_eq!(parse(&request).unwrap().check_parameters().unwrap_err().error.name, "MISSING_PARAMETER");
        let get = HttpRequest { method: "GET", ..post(WORKERS, FORM, b"PageSize=0") };
        assert!(parse(&get).unwrap().check_parameters().is_ok());
    }

    #[test]
    fn head_is_read_like_get() {
        let head = HttpRequest { method: "HEAD", path: WORKERS, ..HttpRequest::default() };
        assert_eq!(parse(&head).unwrap().operation.id, "ListWorker");
    }

    #[test]
    fn rate_keys_name_resource_verb_and_costly_filter() {
        let key = |method: &str, rest: &str, query: &str| {
            let path = format!("/v1/Workspaces/WS00000000000000000000000000000001{rest}");
            parse(&HttpRequest { method, path: &path, query, ..HttpRequest::default() }).unwrap().rate_key()
        };
        assert_eq!(key("POST", "/Workers/WK00000000000000000000000000000001", ""), "Worker-Update");
        assert_eq!(key("GET", "/Workers", "TargetWorkersExpression=a%3D%3D1"), "Worker-List-TargetWorkersExpression");
        assert_eq!(key("GET", "/Tasks", "EvaluateTaskAttributes=a%3D%3D1"), "Task-List-EvaluateTaskAttributes");
        assert_eq!(key("GET", "/TaskQueues/Statistics", ""), "TaskQueueStatistics-List");
        assert_eq!(key("DELETE", "/Tasks/WT00000000000000000000000000000001", ""), "Task-Delete");
        assert_eq!(key("GET", "", ""), "Workspace-Fetch");
    }

    #[test]
    fn a_base_address_keeps_only_what_stands_in_a_url() {
        assert_eq!(clean_base_url("https://a.example:8420/"), "https://a.example:8420");
        assert_eq!(clean_base_url("http://a\"\\<\n"), "http://a");
    }
}
