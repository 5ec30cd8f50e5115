//! The rules of a Workflow: its configuration, parsed and checked. Reference: routing, sections 2.1 and 2.2.

use alloc::format;
use alloc::string::{String, ToString};
use alloc::sync::Arc;
use alloc::vec::Vec;

use pointsman_expression::{Expression, JsonError, KnownWorker, OrderBy, SyntaxError, Value};

use crate::ids::{Id, Sid};
use crate::limits::{CONFIGURATION_BYTES_MAX, PRIORITY_MAX, STEP_TIMEOUT_SECONDS_MAX};
use crate::state::{Position, State, TaskQueue, Worker, Workflow};
use crate::values::Priority;

/// One version of a Workflow's rules. Tasks keep the version they started with.
#[derive(Clone, Debug, PartialEq)]
pub struct Configuration {
    pub workflow: Id<Workflow>,
    /// The text it was read from.
    pub text: Arc<str>,
    pub filters: Vec<Filter>,
    pub default_filter: Option<Target>,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Filter {
    pub friendly_name: Option<Arc<str>>,
    /// As written.
    pub text: Arc<str>,
    pub expression: Expression,
    /// At least one.
    pub targets: Vec<Target>,
}

/// One routing step.
#[derive(Clone, Debug, PartialEq)]
pub struct Target {
    pub friendly_name: Option<Arc<str>>,
    pub task_queue: Id<TaskQueue>,
    pub expression: Option<StepExpression>,
    pub priority: Option<Priority>,
    pub timeout_seconds: Option<u32>,
    pub order_by: Option<Arc<OrderBy>>,
    pub skip_if: Option<Expression>,
    pub known_worker: Option<KnownWorkerRule>,
}

#[derive(Clone, Debug, PartialEq)]
pub struct StepExpression {
    pub text: Arc<str>,
    pub expression: Expression,
}

#[derive(Clone, Debug, PartialEq)]
pub struct KnownWorkerRule {
    pub by: KnownWorkerBy,
    pub reference: KnownWorker,
}

impl KnownWorkerRule {
    /// The Worker that the rule names for a Task with these attributes, if it exists.
    pub(crate) fn find<'a>(&self, state: &'a State, task: &Value) -> Option<&'a Worker> {
        let named = self.reference.resolve(task).as_text()?;
        match self.by {
            KnownWorkerBy::Sid => state.find_worker(Sid::parse(named)?),
            KnownWorkerBy::FriendlyName => state.worker_named(named),
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KnownWorkerBy {
    Sid,
    FriendlyName,
}

/// A configuration was refused.
#[derive(Clone, Debug, PartialEq)]
pub struct ConfigurationError {
    /// Path of the offending member below `task_routing`, for example `filters[2].targets[0].queue`; empty for the
    /// whole document.
    pub path: String,
    pub problem: Problem,
}

#[derive(Clone, Debug, PartialEq)]
pub enum Problem {
    TooLarge,
    NotJson(JsonError),
    /// The member has another type than it must; says which.
    Expected(&'static str),
    /// Neither `filters` nor `default_filter`.
    NoRules,
    Missing,
    UnknownTaskQueue(String),
    NotAnInteger {
        from: u32,
        to: u32,
    },
    Expression(SyntaxError),
    OrderBy(SyntaxError),
    KnownWorker(SyntaxError),
    TwoKnownWorkers,
}

impl Configuration {
    /// Reads and checks a configuration.
    ///
    /// - `task_queue`: finds a queue of the Workspace by the text of its SID.
    /// - Errors: the first problem in document order, with its path.
    pub fn parse(
        workflow: Id<Workflow>,
        text: &str,
        task_queue: &dyn Fn(&str) -> Option<Id<TaskQueue>>,
    ) -> Result<Self, ConfigurationError> {
        let whole = |problem| ConfigurationError { path: String::new(), problem };
        if text.len() > CONFIGURATION_BYTES_MAX {
            return Err(whole(Problem::TooLarge));
        }
        let document = Value::parse_json(text).map_err(|error| whole(Problem::NotJson(error)))?;
        if !matches!(document, Value::Object(_)) {
            return Err(whole(Problem::Expected("an object")));
        }
        // A document without the wrapper is read as its content.
        let rules = document.as_object().and_then(|members| members.get("task_routing")).unwrap_or(&document);
        if !matches!(rules, Value::Object(_)) {
            return Err(ConfigurationError {
                path: "task_routing".to_string(),
                problem: Problem::Expected("an object"),
            });
        }
        let reader = Reader { task_queue };
        let filters = reader.filters(rules)?;
        let default_filter = match present(rules, "default_filter") {
            Some(target) => Some(reader.default_filter(target)?),
            None => None,
        };
        if default_filter.is_none() && present(rules, "filters").is_none() {
            return Err(whole(Problem::NoRules));
        }
        Ok(Self { workflow, text: text.into(), filters, default_filter })
    }

    /// The step at a position of this configuration.
    pub fn target(&self, position: Position) -> &Target {
        match position {
            Position::Target { filter, target } => &self.filters[filter as usize].targets[target as usize],
            Position::Default => self.default_filter.as_ref().expect("a Task is only placed in steps that exist"),
        }
    }

    /// Every queue that a Task following these rules may be sent to.
    pub fn task_queues(&self) -> impl Iterator<Item = Id<TaskQueue>> + '_ {
        let targets = self.filters.iter().flat_map(|filter| &filter.targets);
        targets.chain(&self.default_filter).map(|target| target.task_queue)
    }
}

struct Reader<'a> {
    task_queue: &'a dyn Fn(&str) -> Option<Id<TaskQueue>>,
}

/// A member that is there and not null.
fn present<'a>(object: &'a Value, name: &str) -> Option<&'a Value> {
    Some(object.member(name)).filter(|value| !value.is_null())
}

fn error<T>(path: String, problem: Problem) -> Result<T, ConfigurationError> {
    Err(ConfigurationError { path, problem })
}

/// A text member; absent, null, empty and blank are all "none".
fn text<'a>(object: &'a Value, path: &str, name: &str) -> Result<Option<&'a str>, ConfigurationError> {
    match present(object, name) {
        None => Ok(None),
        Some(Value::Text(text)) if text.trim().is_empty() => Ok(None),
        Some(Value::Text(text)) => Ok(Some(text)),
        Some(_) => error(format!("{path}.{name}"), Problem::Expected("a string")),
    }
}

/// The name of a filter or target, under either spelling. Anything but text is ignored, as unknown members are.
fn friendly_name(object: &Value, name: &str) -> Option<Arc<str>> {
    [name, "friendly_name"]
        .into_iter()
        .find_map(|name| object.member(name).as_text())
        .filter(|name| !name.is_empty())
        .map(Arc::from)
}

/// An integer or a string of digits.
fn integer(object: &Value, path: &str, name: &str, from: u32, to: u32) -> Result<Option<u32>, ConfigurationError> {
    let parsed = match present(object, name) {
        None => return Ok(None),
        Some(Value::Number(number)) => number.written_integer().and_then(|number| u32::try_from(number).ok()),
        Some(Value::Text(text)) if text.is_empty() => return Ok(None),
        Some(Value::Text(text)) if text.bytes().all(|byte| byte.is_ascii_digit()) => text.parse().ok(),
        Some(_) => None,
    };
    match parsed {
        Some(number) if from <= number && number <= to => Ok(Some(number)),
        _ => error(format!("{path}.{name}"), Problem::NotAnInteger { from, to }),
    }
}

impl Reader<'_> {
    fn filters(&self, rules: &Value) -> Result<Vec<Filter>, ConfigurationError> {
        match present(rules, "filters") {
            None => Ok(Vec::new()),
            Some(Value::Array(filters)) => {
                let numbered = filters.iter().enumerate();
                numbered.map(|(index, filter)| self.filter(filter, &format!("filters[{index}]"))).collect()
            }
            Some(_) => error("filters".to_string(), Problem::Expected("an array")),
        }
    }

    fn filter(&self, filter: &Value, path: &str) -> Result<Filter, ConfigurationError> {
        if !matches!(filter, Value::Object(_)) {
            return error(path.to_string(), Problem::Expected("an object"));
        }
        let Some(text) = text(filter, path, "expression")? else {
            return error(format!("{path}.expression"), Problem::Missing);
        };
        let expression = match Expression::parse(text) {
            Ok(expression) => expression,
            Err(syntax) => return error(format!("{path}.expression"), Problem::Expression(syntax)),
        };
        let targets = match present(filter, "targets") {
            None => return error(format!("{path}.targets"), Problem::Missing),
            Some(Value::Array(targets)) if targets.is_empty() => {
                return error(format!("{path}.targets"), Problem::Missing);
            }
            Some(Value::Array(targets)) => targets,
            Some(_) => return error(format!("{path}.targets"), Problem::Expected("an array")),
        };
        let mut parsed: Vec<Target> = Vec::with_capacity(targets.len());
        for (index, target) in targets.iter().enumerate() {
            let inherited = parsed.last().map(|previous| previous.task_queue);
            parsed.push(self.target(target, &format!("{path}.targets[{index}]"), inherited)?);
        }
        Ok(Filter {
            friendly_name: friendly_name(filter, "filter_friendly_name"),
            text: text.into(),
            expression,
            targets: parsed,
        })
    }

    fn default_filter(&self, target: &Value) -> Result<Target, ConfigurationError> {
        let mut target = self.target(target, "default_filter", None)?;
        // No time-out and no skip here, whatever is written.
        target.timeout_seconds = None;
        target.skip_if = None;
        Ok(target)
    }

    fn target(
        &self,
        target: &Value,
        path: &str,
        inherited: Option<Id<TaskQueue>>,
    ) -> Result<Target, ConfigurationError> {
        if !matches!(target, Value::Object(_)) {
            return error(path.to_string(), Problem::Expected("an object"));
        }
        Ok(Target {
            friendly_name: friendly_name(target, "target_friendly_name"),
            task_queue: self.queue(target, path, inherited)?,
            expression: match text(target, path, "expression")? {
                Some(text) => match Expression::parse(text) {
                    Ok(expression) => Some(StepExpression { text: text.into(), expression }),
                    Err(syntax) => return error(format!("{path}.expression"), Problem::Expression(syntax)),
                },
                None => None,
            },
            priority: integer(target, path, "priority", 0, PRIORITY_MAX)?.map(Priority),
            timeout_seconds: integer(target, path, "timeout", 1, STEP_TIMEOUT_SECONDS_MAX)?,
            order_by: match text(target, path, "order_by")? {
                Some(text) => match OrderBy::parse(text) {
                    Ok(order_by) => Some(Arc::new(order_by)),
                    Err(syntax) => return error(format!("{path}.order_by"), Problem::OrderBy(syntax)),
                },
                None => None,
            },
            skip_if: match text(target, path, "skip_if")? {
                Some(text) => match Expression::parse(text) {
                    Ok(expression) => Some(expression),
                    Err(syntax) => return error(format!("{path}.skip_if"), Problem::Expression(syntax)),
                },
                None => None,
            },
            known_worker: known_worker(target, path)?,
        })
    }

    fn queue(
        &self,
        target: &Value,
        path: &str,
        inherited: Option<Id<TaskQueue>>,
    ) -> Result<Id<TaskQueue>, ConfigurationError> {
        match (text(target, path, "queue")?, inherited) {
            (Some(sid), _) => match (self.task_queue)(sid) {
                Some(task_queue) => Ok(task_queue),
                None => error(format!("{path}.queue"), Problem::UnknownTaskQueue(sid.to_string())),
            },
            (None, Some(task_queue)) => Ok(task_queue),
            (None, None) => error(format!("{path}.queue"), Problem::Missing),
        }
    }
}

fn known_worker(target: &Value, path: &str) -> Result<Option<KnownWorkerRule>, ConfigurationError> {
    let by_sid = text(target, path, "known_worker_sid")?;
    let by_name = text(target, path, "known_worker_friendly_name")?;
    let (name, by, text) = match (by_sid, by_name) {
        (None, None) => return Ok(None),
        (Some(_), Some(_)) => return error(path.to_string(), Problem::TwoKnownWorkers),
        (Some(text), None) => ("known_worker_sid", KnownWorkerBy::Sid, text),
        (None, Some(text)) => ("known_worker_friendly_name", KnownWorkerBy::FriendlyName, text),
    };
    match KnownWorker::parse(text) {
        Ok(reference) => Ok(Some(KnownWorkerRule { by, reference })),
        Err(refused) => error(format!("{path}.{name}"), Problem::KnownWorker(refused)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Configuration, ConfigurationError> {
        let queue = |sid: &str| (sid == "WQ1").then(|| Id::new(1));
        Configuration::parse(Id::new(2), text, &queue)
    }

    fn refused(text: &str) -> (String, Problem) {
        let error = parse(text).expect_err(text);
        (error.path, error.problem)
    }

    fn target(members: &str) -> String {
        format!(r#"{{"task_routing":{{"filters":[{{"expression":"1==1","targets":[{{"queue":"WQ1",{members}}}]}}]}}}}"#)
    }

    #[test]
    fn a_default_filter_alone_is_enough_with_and_without_the_wrapper() {
        for text in [r#"{"task_routing":{"default_filter":{"queue":"WQ1"}}}"#, r#"{"default_filter":{"queue":"WQ1"}}"#]
        {
            assert!(parse(text).unwrap().default_filter.is_some(), "{text}");
        }
    }

    #[test]
    fn later_targets_inherit_the_queue_and_nothing_else() {
        let text = r#"{"filters":[{"expression":"1==1","targets":[{"queue":"WQ1","priority":"7","timeout":30},{}]}]}"#;
        let configuration = parse(text).unwrap();
        let targets = &configuration.filters[0].targets;
        assert_eq!((targets[0].priority, targets[0].timeout_seconds), (Some(Priority(7)), Some(30)));
        assert_eq!((targets[1].task_queue, targets[1].priority, targets[1].timeout_seconds), (Id::new(1), None, None));
    }

    #[test]
    fn time_out_and_skip_of_the_default_filter_are_ignored() {
        let text = r#"{"default_filter":{"queue":"WQ1","timeout":5,"skip_if":"1==1"}}"#;
        let default = parse(text).unwrap().default_filter.unwrap();
        assert_eq!((default.timeout_seconds, default.skip_if), (None, None));
    }

    #[test]
    fn numbers_are_integers_or_digits_within_their_range() {
        for good in ["0", "\"0\"", "2147483647"] {
            assert!(parse(&target(&format!(r#""priority":{good}"#))).is_ok(), "{good}");
        }
        for bad in ["10.0", "1e1", "-1", "2147483648", "true", "\"x\"", "\"1.0\"", "[1]"] {
            let (path, problem) = refused(&target(&format!(r#""priority":{bad}"#)));
            assert_eq!(path, "filters[0].targets[0].priority", "{bad}");
            assert_eq!(problem, Problem::NotAnInteger { from: 0, to: PRIORITY_MAX }, "{bad}");
        }
        assert_eq!(refused(&target(r#""timeout":0"#)).0, "filters[0].targets[0].timeout");
    }

    #[test]
    fn a_problem_is_reported_with_its_path() {
        let cases = [
            ("[]", ""),
            ("{}", ""),
            (r#"{"task_routing":[]}"#, "task_routing"),
            (r#"{"filters":{}}"#, "filters"),
            (r#"{"filters":[1]}"#, "filters[0]"),
            (r#"{"filters":[{"targets":[{"queue":"WQ1"}]}]}"#, "filters[0].expression"),
            (r#"{"filters":[{"expression":"1=","targets":[{"queue":"WQ1"}]}]}"#, "filters[0].expression"),
            (r#"{"filters":[{"expression":"1==1"}]}"#, "filters[0].targets"),
            (r#"{"filters":[{"expression":"1==1","targets":[]}]}"#, "filters[0].targets"),
            (r#"{"filters":[{"expression":"1==1","targets":[{}]}]}"#, "filters[0].targets[0].queue"),
            (r#"{"filters":[{"expression":"1==1","targets":[{"queue":"WQ2"}]}]}"#, "filters[0].targets[0].queue"),
            (r#"{"default_filter":{}}"#, "default_filter.queue"),
        ];
        for (text, path) in cases {
            assert_eq!(refused(text).0, path, "{text}");
        }
        let two = target(r#""known_worker_sid":"task.a","known_worker_friendly_name":"task.b""#);
        assert_eq!(refused(&two), ("filters[0].targets[0]".to_string(), Problem::TwoKnownWorkers));
        assert_eq!(refused(&target(r#""order_by":"level""#)).0, "filters[0].targets[0].order_by");
        assert_eq!(refused(&target(r#""known_worker_sid":"{{task.a}}""#)).0, "filters[0].targets[0].known_worker_sid");
    }

    #[test]
    fn a_configuration_may_have_exactly_as_many_bytes_as_the_limit() {
        let text = r#"{"default_filter":{"queue":"WQ1"}}"#;
        let full = format!("{text}{}", " ".repeat(CONFIGURATION_BYTES_MAX - text.len()));
        assert!(parse(&full).is_ok());
        assert_eq!(refused(&format!("{full} ")).1, Problem::TooLarge);
    }
}
