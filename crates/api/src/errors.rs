//! Every error that a client may see: code, status and text, once. Reference: rest-contract, sections 7 to 9.
//!
//! A row's text has gaps in braces (`{name}`); [`ApiError::new`] fills them. Where the error dictionary gives several
//! situations the same code there are several rows, because their texts differ.

use std::fmt::{Display, Write};

use crate::http::{Answer, Header};
use crate::json;

/// One row per wire error.
#[derive(Debug, PartialEq, Eq)]
pub struct ErrorCode {
    /// Name of the row, for the reference pages.
    pub name: &'static str,
    pub code: u32,
    pub status: u16,
    /// Text with gaps in braces.
    pub message: &'static str,
}

/// A refusal with its final text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ApiError {
    pub error: &'static ErrorCode,
    pub message: String,
    /// Methods for the `Allow` header of a 405.
    allow: Option<String>,
}

/// Declares the rows, and [`ERRORS`] as the list of all of them.
macro_rules! errors {
    ($($name:ident = $code:literal, $status:literal, $message:literal;)*) => {
        $(pub static $name: ErrorCode =
            ErrorCode { name: stringify!($name), code: $code, status: $status, message: $message };)*
        /// Every row, in the order of this file.
        pub static ERRORS: &[&ErrorCode] = &[$(&$name),*];
    };
}

errors! {
    // General: rest-contract, section 7.2.
    NO_CREDENTIALS = 20003, 401, "Authentication Error - No credentials provided";
    WRONG_CREDENTIALS = 20003, 401, "Authenticate";
    ACCOUNT_NOT_ACTIVE = 20005, 401, "Account {account} is not active";
    ACCOUNT_SUSPENDED = 20403, 403, "Account {account} is suspended";
    ACCESS_DENIED = 20006, 403, "Access denied";
    NOT_FOUND = 20404, 404, "The requested resource {path} was not found";
    METHOD_NOT_ALLOWED = 20004, 405, "Method {method} is not allowed for {path}; allowed: {allowed}";
    PRECONDITION_FAILED = 20412, 412, "Precondition failed: If-Match {given} does not match the current version {version}";
    BODY_TOO_LARGE = 20413, 413, "The request body must be at most {limit} bytes";
    MEDIA_TYPE = 20422, 415, "Content-Type must be {expected}";
    CONTENT_ENCODING = 20422, 415, "Content-Encoding {given} is not supported: send the body as it is";
    TARGET_TOO_LONG = 20414, 414, "The path and query of a request must be at most {limit} bytes";
    HEADERS_TOO_LARGE = 20431, 431, "A request may have at most {count} headers of at most {limit} bytes in all";
    BODY_TIMEOUT = 20408, 408, "The request body did not arrive within {seconds} seconds";
    TOO_MANY_REQUESTS = 20429, 429, "Too many requests";
    INTERNAL = 20500, 500, "Internal Server Error";
    UNAVAILABLE = 20503, 503, "Service Unavailable";
    GATEWAY_TIMEOUT = 20504, 504, "{message}";
    CONFLICT = 20409, 409, "{message}";

    // Parameters: rest-contract, section 8.1.
    MISSING_PARAMETER = 20001, 400, "Missing required parameter {name} in the post body";
    FRIENDLY_NAME_LENGTH = 20002, 400, "{name} must be between 1 and {max} characters";
    TEXT_LENGTH = 20001, 400, "{name} must be at most {max} characters";
    EMPTY = 20001, 400, "{name} must not be empty";
    NOT_TEXT = 20001, 400, "{name} is not valid UTF-8 text";
    TOO_MANY_FIELDS = 20001, 400, "A request may have at most {max} parameters";
    MULTIPART_MALFORMED = 20001, 400, "The multipart body is malformed";
    ATTRIBUTES_SYNTAX = 20001, 400, "{name} is not a valid JSON object: {problem}";
    ATTRIBUTES_LENGTH = 20001, 400, "{name} must be at most {max} characters";
    ATTRIBUTES_DEPTH = 20001, 400, "{name} must not be nested deeper than {max} levels";
    INVALID_VALUE = 20001, 400, "Invalid value '{value}' for {name}";
    NOT_A_CHOICE = 20001, 400, "Invalid value '{value}' for {name}: expected {expected}";
    NOT_AN_INTEGER = 20001, 400, "{name} must be an integer between {from} and {to}";
    NOT_A_DATE = 20001, 400, "Invalid value '{value}' for {name}: expected ISO 8601";
    BEFORE_1900 = 20001, 400, "{name} cannot be before 1900";
    IN_THE_FUTURE = 20001, 400, "VirtualStartTime cannot be in the future";
    NOT_A_URL = 20001, 400, "Invalid value '{value}' for {name}: expected an absolute http or https URL";
    EXPRESSION_SYNTAX = 20001, 400, "Invalid {name} expression: {problem}";
    CONFIGURATION = 20001, 400, "Invalid Workflow configuration: {problem}";
    CONFIGURATION_LENGTH = 20001, 400, "Configuration must be at most {max} bytes";
    CONFIGURATION_DEPTH = 20001, 400, "Configuration must not be nested deeper than {max} levels";
    ROUTING_TARGET_FORMAT = 20001, 400, "Value '{value}' provided for WorkflowSid as RoutingTarget has an invalid format. WorkspaceSid: {workspace}, AccountSid: {account}";
    ROUTING_TARGET_CONFLICT = 20001, 400, "RoutingTarget and WorkflowSid name different workflows";
    IGNORE_CAPACITY = 20001, 400, "IgnoreCapacity requires a Worker as RoutingTarget";
    WORKFLOW_REQUIRED = 20001, 400, "WorkflowSid field is required";
    DOES_NOT_EXIST = 20001, 400, "{name} {sid} does not exist in workspace {workspace}";
    TASK_CHANNEL_UNKNOWN = 20001, 400, "TaskChannel '{value}' does not exist in workspace {workspace}";
    SINGLE_TASKING_REFUSED = 20001, 400, "Workspace {workspace} cannot be changed to single-tasking";
    ACTIVITY_REQUIRED = 20001, 400, "{name} is required: workspace {workspace} is not multi-tasking and has no activity named {usual}";
    UNIQUE_NAME_FORM = 20001, 400, "UniqueName must have 1 to {max} characters without blanks, '/' or control characters, and must not look like a SID";

    // Lists and intervals: rest-contract, section 8.5; statistics, section 10.
    ORDERING = 20001, 400, "Invalid value '{value}' for Ordering: {problem}";
    PAGE_TOKEN = 20001, 400, "Invalid value '{value}' for PageToken";
    ABSOLUTE_PAGING = 40153, 400, "Absolute paging is not supported; follow next_page_url or send the PageToken";
    START_AFTER_END = 20001, 400, "StartDate must not be after EndDate";
    START_TOO_OLD = 14241, 400, "start_date passed to TaskRouter statistics is older than 30 days.";
    MINUTES = 20001, 400, "Minutes must be an integer of at least 1";
    SPLIT = 20001, 400, "Invalid value '{value}' for SplitByWaitTime: expected at most {count} whole seconds from 0 to {max}, separated by commas";
    EVALUATE_WORKER_ATTRIBUTES = 20001, 400, "Invalid EvaluateWorkerAttributes expression: neither a JSON object nor an expression: {problem}";
    BULK_BODY = 20001, 400, "The body must be a JSON object with QueueSids, an array of 1 to {max} TaskQueue SIDs";
    TASK_QUEUE_NAME_UNKNOWN = 20001, 400, "TaskQueue named {value} does not exist in workspace {workspace}";

    // Extensions: extensions, sections 1, 2 and 9.
    UNKNOWN_PARAMETER = 20001, 400, "Unknown parameter {name}: expected {expected}";
    JSON_BODY = 20001, 400, "The body must be a JSON object";
    CLOCK_MOVE = 20001, 400, "{problem}";
    EVENT_TYPE_UNKNOWN = 20001, 400, "Invalid value '{value}' for {name}: no event type has this name";
    STREAM_BEGIN = 20001, 400, "Invalid value '{value}' for From: expected start, now or an instant as in RFC 3339";
    STREAM_BEGIN_TWICE = 20001, 400, "After and From are two places to begin: send one of them";
    CURSOR_GONE = 20410, 410, "Event {sid} is not known or not kept any more: begin again with From";
    TOO_MANY_STREAMS = 20429, 429, "Too many event streams are open: at most {max} {whose}";

    // State: rest-contract, section 8.2.
    TASK_NOT_CANCELABLE = 20001, 400, "Cannot cancel task {task} in workspace {workspace} for account {account} because it is not pending or reserved.";
    TASK_NOT_COMPLETABLE = 20001, 400, "Cannot complete task {task} in workspace {workspace} for account {account} because it is not currently assigned.";
    TASK_NOT_WRAPPABLE = 20001, 400, "Cannot wrap up a task {task} in workspace {workspace} for account {account} because it's not currently assigned";
    TASK_NOT_WRAPPABLE_SINGLE = 20001, 400, "Cannot wrap up a task {task} because workspace {workspace} is not multi-tasking";
    TASK_CHANNEL_OF_FINISHED = 20001, 400, "Cannot change the task channel of task {task} because it is {status}";
    RESERVATION_RESCINDED = 20410, 410, "Reservation {reservation} is already in state [{status}] and cannot be updated to [{requested}]";
    RESERVATION_STATUS = 20001, 400, "Reservation {reservation} is already in state [{status}] and cannot be updated to [{requested}]";
    RESERVATION_ON_HOLD = 20001, 400, "Reservation {reservation} not in expected state [pending] and cannot be updated to [onHold]";
    REJECT_WHILE_AVAILABLE = 20001, 400, "Unable to reject pending reservations when updating to an Available activity state.";
    TOO_MANY_ACTIVE_WORKERS = 14240, 400, "Max concurrent workers exceeded in workspace {workspace}";
    TRANSFER_NOT_INITIATED = 20001, 400, "Transfer {transfer} is already {status} . Cannot cancel transfer.";
    TRANSFER_REFUSED = 20001, 400, "Cannot transfer task {task} to {target}: {reason}";

    // Deletions, duplicates, limits: rest-contract, sections 8.3, 8.4, 8.6.
    IN_USE = 20001, 400, "Cannot delete {kind} {sid} because {reason}";
    NAME_TAKEN = 20001, 400, "{kind} named {name} already exists for workspace {workspace} for account {account}";
    UNIQUE_NAME_TAKEN = 20001, 400, "Task channel with unique name {name} already exists for workspace {workspace} for account {account}";
    LIMIT_REACHED = 20001, 400, "Cannot create {kind} because workspace {workspace} already has {limit} {kinds}";
    KEYS_LIMIT = 20001, 400, "Cannot create key because account {account} already has {limit} keys";

    // Instructions: rest-contract, section 9; events-and-callbacks, sections 8 and 9.
    INSTRUCTION_UNKNOWN = 55555, 400, "Unknown instruction '{value}'";
    REJECT_ACTIVITY = 40100, 400, "Invalid value '{value}' for WorkerActivitySid";
    CALL_TO = 40110, 400, "Call instruction: To is missing or invalid";
    CALL_FROM = 40111, 400, "Call instruction: From is missing or invalid";
    CALL_URL = 40112, 400, "Call instruction: Url is missing or invalid";
    CALL_NOT_PENDING = 40114, 400, "Unable to execute {instruction} instruction. Reservation {reservation} is not currently in a Pending state.";
    REDIRECT_URL = 40120, 400, "Redirect instruction: Url is missing or invalid";
    REDIRECT_CALL_SID = 40121, 400, "Redirect instruction: CallSid is missing or invalid";
    REDIRECT_NOT_PENDING = 40123, 400, "Unable to execute {instruction} instruction. Reservation {reservation} is not currently in a Pending state.";
    DEQUEUE_POST_WORK_ACTIVITY = 40130, 400, "Dequeue instruction: PostWorkActivitySid is invalid";
    DEQUEUE_TO = 40131, 400, "Dequeue instruction: To is missing or invalid";
    DEQUEUE_FROM = 40132, 400, "Dequeue instruction: From is missing or invalid";
    DEQUEUE_EVENTS = 40134, 400, "Dequeue instruction: StatusCallbackEvents is invalid";
    DEQUEUE_NOT_PENDING = 40135, 400, "Unable to execute {instruction} instruction. Reservation {reservation} is not currently in a Pending state.";
    CONFERENCE_NOT_PENDING = 40136, 400, "Unable to execute {instruction} instruction. Reservation {reservation} is not currently in a Pending state.";
    CONFERENCE_TO = 40137, 400, "Conference instruction: To is missing";
    CONFERENCE_FROM = 40138, 400, "Conference instruction: From is missing";
    CONFERENCE_POST_WORK_ACTIVITY = 40139, 400, "Conference instruction: PostWorkActivitySid is invalid";
    DEQUEUE_WITHOUT_CALL = 40140, 400, "The dequeue instruction can only be issued on a task that was created using the <Enqueue> TwiML verb.";
    CONFERENCE_WITHOUT_CALL = 40142, 400, "The conference instruction can only be issued on a task that was created using the <Enqueue> TwiML verb.";
    SUPERVISE_STATUS = 40146, 400, "Supervise instruction: reservation {reservation} is not accepted";
    SUPERVISE_CONTACT = 40147, 400, "Supervise instruction: Supervisor has no valid contact_uri";
    SUPERVISE_FROM = 40148, 400, "Supervise instruction: the task has no from";
    CONFERENCE_SID_MISSING = 40149, 400, "Conference instruction: the task under transfer has no conference SID";
    INSTRUCTION_UNDER_TRANSFER = 40151, 400, "This instruction is not allowed on a task under transfer; allowed: accept, reject, conference, supervise";
    DEQUEUE_STATUS_CALLBACK = 40157, 400, "Dequeue instruction: StatusCallbackUrl is invalid";
    CALL_STATUS_CALLBACK = 40158, 400, "Call instruction: StatusCallbackUrl is invalid";
    CONFERENCE_STATUS_CALLBACK = 40159, 400, "Conference instruction: StatusCallback is invalid";

    // TwiML of the voice bridge: rest-contract, section 9.
    VOICE_QUERY = 20001, 400, "{message}";
    VOICE_CANNOT_DEQUEUE = 14215, 400, "The task of reservation {reservation} has no call that waits";
    VOICE_NOT_ACCEPTABLE = 14217, 400, "Reservation {reservation} cannot be accepted any more";
    VOICE_WORKER_NOT_MOVED = 14218, 400, "Invalid value '{value}' for postWorkActivitySid: expected the SID of an activity";
    VOICE_WORKFLOW = 14220, 400, "Workflow {workflow} does not exist";
    VOICE_ATTRIBUTES = 14221, 400, "Invalid value for task: expected a JSON object: {message}";
    VOICE_NO_MATCH = 14222, 400, "No filter of workflow {workflow} matches the call";
}

impl ApiError {
    /// Fills the gaps of a row.
    ///
    /// - `values`: name and content of every gap; one that the row does not have, or a gap without content, is a bug.
    pub fn new(error: &'static ErrorCode, values: &[(&str, &dyn Display)]) -> Self {
        Self { error, message: fill(error.message, values), allow: None }
    }

    pub(crate) fn with_allow(mut self, methods: String) -> Self {
        self.allow = Some(methods);
        self
    }

    pub fn status(&self) -> u16 {
        self.error.status
    }

    pub fn code(&self) -> u32 {
        self.error.code
    }

    /// The JSON body: `{"code", "message", "more_info", "status"}`, never `type` or `title` (section 7.1).
    pub fn body(&self) -> String {
        self.body_with(|_| ())
    }

    fn body_with(&self, more: impl FnOnce(&mut String)) -> String {
        let code = self.error.code;
        let mut out = String::with_capacity(self.message.len() + 128);
        write!(out, "{{\"code\":{code},\"message\":").expect("a String takes all text");
        json::text(&mut out, &self.message);
        more(&mut out);
        write!(out, ",\"more_info\":\"https://www.twilio.com/docs/errors/{code}\",\"status\":{}}}", self.error.status)
            .expect("a String takes all text");
        out
    }

    /// The answer that carries it, with the headers that its status asks for.
    pub fn answer(&self) -> Answer {
        let mut answer = Answer::json(self.error.status, self.body());
        if let Some(methods) = &self.allow {
            answer.headers.push(Header::new("Allow", methods));
        }
        match self.error.status {
            401 => {
                answer.headers.push(Header::new("WWW-Authenticate", "Basic realm=\"TaskRouter\""));
                if self.error.name == NO_CREDENTIALS.name {
                    answer.body = self
                        .body_with(|out| out.push_str(",\"detail\":\"Your AccountSid or AuthToken was incorrect.\""));
                }
            }
            429 | 503 => answer.headers.push(Header::new("Retry-After", "1")),
            _ => {}
        }
        answer
    }

    /// A path that names nothing, or nothing of this account.
    ///
    /// - `path`: as it was requested; the text shows it without the version (section 7.1 [seen]).
    pub fn not_found(path: &str) -> Self {
        let shown = match path.strip_prefix("/v1") {
            Some(rest) if rest.starts_with('/') => rest,
            Some(_) | None => path,
        };
        Self::new(&NOT_FOUND, &[("path", &shown)])
    }

    /// No credentials at all.
    pub fn no_credentials() -> Self {
        Self::new(&NO_CREDENTIALS, &[])
    }

    /// Unknown user name or wrong password: the same answer for both.
    pub fn wrong_credentials() -> Self {
        Self::new(&WRONG_CREDENTIALS, &[])
    }

    /// An account that is closed; `account` is its SID.
    pub fn account_not_active(account: &dyn Display) -> Self {
        Self::new(&ACCOUNT_NOT_ACTIVE, &[("account", account)])
    }

    /// An account that is suspended.
    pub fn account_suspended(account: &dyn Display) -> Self {
        Self::new(&ACCOUNT_SUSPENDED, &[("account", account)])
    }

    /// A token whose policies or role do not allow the call.
    pub fn access_denied() -> Self {
        Self::new(&ACCESS_DENIED, &[])
    }

    pub fn too_many_requests() -> Self {
        Self::new(&TOO_MANY_REQUESTS, &[])
    }

    pub fn internal() -> Self {
        Self::new(&INTERNAL, &[])
    }

    /// Starting, stopping, or the store cannot commit.
    pub fn unavailable() -> Self {
        Self::new(&UNAVAILABLE, &[])
    }
}

/// Replaces each `{name}` of a template.
pub(crate) fn fill(template: &str, values: &[(&str, &dyn Display)]) -> String {
    let mut out = String::with_capacity(template.len() + 64);
    let mut rest = template;
    while let Some((before, after)) = rest.split_once('{') {
        let (name, after) = after.split_once('}').expect("every gap is closed");
        out.push_str(before);
        let (_, value) =
            values.iter().find(|(known, _)| *known == name).expect("every gap of the template has a value");
        write!(out, "{value}").expect("a String takes all text");
        rest = after;
    }
    out.push_str(rest);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_row_has_a_known_status_and_a_name_of_its_own() {
        let mut names: Vec<_> = ERRORS.iter().map(|row| row.name).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), ERRORS.len());
        for row in ERRORS {
            assert!((400..=504).contains(&row.status), "{}", row.name);
            assert_eq!(row.message.matches('{').count(), row.message.matches('}').count(), "{}", row.name);
        }
    }

    #[test]
    fn the_body_has_the_four_members_in_order() {
        let error = ApiError::not_found("/v1/Workspaces/WS1/Workers/WK\"2");
        assert_eq!(
            error.body(),
            r#"{"code":20404,"message":"The requested resource /Workspaces/WS1/Workers/WK\"2 was not found","more_info":"https://www.twilio.com/docs/errors/20404","status":404}"#
        );
    }

    #[test]
    fn missing_credentials_are_told_with_a_detail_and_wrong_ones_without() {
        let missing = ApiError::no_credentials().answer();
        assert!(
            missing.body.contains("\"detail\":\"Your AccountSid or AuthToken was incorrect.\""),
            "{}",
            missing.body
        );
        assert_eq!(missing.header("WWW-Authenticate"), Some("Basic realm=\"TaskRouter\""));
        let wrong = ApiError::wrong_credentials().answer();
        assert!(!wrong.body.contains("detail"), "{}", wrong.body);
        assert_eq!(wrong.header("WWW-Authenticate"), Some("Basic realm=\"TaskRouter\""));
    }

    #[test]
    fn a_path_outside_the_version_is_shown_whole() {
        assert_eq!(ApiError::not_found("/v1x").message, "The requested resource /v1x was not found");
        assert_eq!(ApiError::not_found("/v1/Nothing").message, "The requested resource /Nothing was not found");
    }
}
