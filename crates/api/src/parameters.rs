//! The vocabulary of parameters: kinds, limits and how text becomes a value. Reference: rest-contract, section 4.2.
//!
//! A [`Spec`] is what tables list and documents read; a [`Param`] is a spec together with the Rust type that its values
//! have, so that an operation can only read what it declared. Absent, empty and malformed are three different things.

use std::fmt::Display;
use std::num::IntErrorKind;
use std::sync::Arc;

use pointsman_engine::limits::{CAPACITY_MAX, CONFIGURATION_BYTES_MAX};
use pointsman_engine::{
    Account, Activity, Entity, Priority, PublicEvent, Reservation, Sid, Task, TaskQueue, Timestamp, Worker, Workflow,
};
use pointsman_expression::limits::{ATTRIBUTES_CHARS_MAX, JSON_DEPTH_MAX};
use pointsman_expression::{Attributes, AttributesError, Expression, SyntaxError};

use crate::dates;
use crate::errors::{self, ApiError};
use crate::limits::{
    FRIENDLY_NAME_CHARS_MAX, PAGE_SIZE_MAX, SPLIT_SECONDS_MAX, SPLIT_THRESHOLDS_MAX, TEXT_CHARS_MAX,
    UNIQUE_NAME_CHARS_MAX, URL_BYTES_MAX,
};

/// One parameter of an operation, as tables list it.
#[derive(Clone, Copy, Debug)]
pub struct Spec {
    /// `PascalCase`, as in requests.
    pub name: &'static str,
    pub doc: &'static str,
    pub kind: Kind,
    pub required: bool,
    pub empty: Empty,
    /// In the official OpenAPI; ours alone otherwise, accepted but not published.
    pub published: bool,
    /// Kept as text until the operation has looked at the state, whose faults come first.
    pub deferred: bool,
}

/// What an empty value means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Empty {
    /// The same as leaving it out.
    Absent,
    /// The property is cleared.
    Clears,
    /// An error of its own.
    Refused,
}

/// What values a parameter takes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Kind {
    /// A friendly name of 1 to `max` characters that are not all blank.
    Name {
        max: usize,
    },
    /// Text of at most `max` characters.
    Text {
        max: usize,
    },
    /// `true`, `1`, `yes` in any case; all else is false.
    Bool,
    /// As [`Kind::Bool`]; published as text.
    Flag,
    Integer {
        from: i64,
        to: i64,
    },
    /// Records per page: at least 1, above the maximum it counts as the maximum.
    PageSize,
    /// `Minutes` of an interval: at least 1, no upper end here (statistics, section 3.1).
    Minutes,
    /// A SID with this prefix.
    Sid(&'static str),
    /// One of several words. `published`: the official OpenAPI lists them too.
    Choice {
        words: &'static [&'static str],
        case: Case,
        published: bool,
    },
    /// Several of several words: repeated, or separated by commas or blanks.
    Choices {
        words: &'static [&'static str],
        published: bool,
    },
    Url,
    Date,
    /// A JSON object, kept as posted.
    Attributes,
    /// A Workflow configuration, kept as posted; the engine checks it.
    Configuration,
    /// Text in the expression language.
    Expression,
    /// The same, kept as posted; blank means nobody.
    TargetWorkers,
    /// SID with one of these prefixes.
    AnySid(&'static [&'static str]),
    /// A TaskChannel's unique name for creation.
    UniqueName,
    /// Whole seconds separated by commas.
    Thresholds,
    /// The JSON body of the bulk statistics.
    TaskQueueSids,
    /// `GET` or `POST`.
    HttpMethod,
    /// One of these words; published as a boolean.
    PublishedBool(&'static [&'static str]),
    /// A SID with this prefix whose faults have errors of their own: kept as text.
    DeferredSid(&'static str),
}

/// The words of [`Kind::HttpMethod`].
pub const HTTP_METHODS: &[&str] = &["GET", "POST"];

/// Whether words are compared with regard to case.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Case {
    Exact,
    Any,
}

/// A value that a request gave, checked.
#[derive(Clone, Debug)]
pub enum Value {
    Text(Arc<str>),
    Bool(bool),
    Integer(i64),
    Sid([u8; 16]),
    /// SID of one of several kinds, by the index of its prefix.
    AnySid(usize, [u8; 16]),
    /// Index of the word.
    Choice(usize),
    Choices(Vec<usize>),
    Date(Timestamp),
    Attributes(Attributes),
    Expression(Arc<Expression>),
    Thresholds(Vec<u32>),
    Sids(Vec<[u8; 16]>),
    /// Posted empty, where that clears.
    Cleared,
    /// Of a deferred parameter: as given.
    Texts(Vec<String>),
}

/// A parameter together with the type of its values.
#[derive(Debug)]
pub struct Param<T> {
    pub spec: Spec,
    pub(crate) of: fn(&Value) -> T,
}

impl<T> Param<T> {
    /// Must be given.
    #[must_use]
    pub const fn required(mut self) -> Self {
        self.spec.required = true;
        self
    }

    /// An empty value is an error.
    #[must_use]
    pub const fn never_empty(mut self) -> Self {
        self.spec.empty = Empty::Refused;
        self
    }

    /// Accepted without being part of the published description.
    #[must_use]
    pub const fn unpublished(mut self) -> Self {
        self.spec.published = false;
        self
    }

    /// Its faults count only where the operation reads it.
    #[must_use]
    pub const fn deferred(mut self) -> Self {
        self.spec.deferred = true;
        self
    }
}

const fn param<T>(name: &'static str, doc: &'static str, kind: Kind, empty: Empty, of: fn(&Value) -> T) -> Param<T> {
    Param { spec: Spec { name, doc, kind, required: false, empty, published: true, deferred: false }, of }
}

/// A friendly name of up to 64 characters; empty is an error.
pub const fn name(name: &'static str, doc: &'static str) -> Param<Arc<str>> {
    long_name(name, doc, FRIENDLY_NAME_CHARS_MAX)
}

/// A friendly name that need not be given; empty is absent.
pub const fn optional_name(name: &'static str, doc: &'static str) -> Param<Arc<str>> {
    param(name, doc, Kind::Name { max: FRIENDLY_NAME_CHARS_MAX }, Empty::Absent, shared_text)
}

/// A friendly name of up to `max` characters.
pub const fn long_name(name: &'static str, doc: &'static str, max: usize) -> Param<Arc<str>> {
    param(name, doc, Kind::Name { max }, Empty::Refused, shared_text)
}

/// Text; empty is absent.
pub const fn text(name: &'static str, doc: &'static str) -> Param<Arc<str>> {
    text_up_to(name, doc, TEXT_CHARS_MAX)
}

/// Text of at most `max` characters; empty is absent.
pub const fn text_up_to(name: &'static str, doc: &'static str, max: usize) -> Param<Arc<str>> {
    param(name, doc, Kind::Text { max }, Empty::Absent, shared_text)
}

/// Text whose empty form means something.
pub const fn clearable_text(name: &'static str, doc: &'static str) -> Param<Option<Arc<str>>> {
    param(name, doc, Kind::Text { max: TEXT_CHARS_MAX }, Empty::Clears, clearable_shared_text)
}

pub const fn bool(name: &'static str, doc: &'static str) -> Param<bool> {
    param(name, doc, Kind::Bool, Empty::Absent, truth)
}

/// A boolean that the official description calls text.
pub const fn flag(name: &'static str, doc: &'static str) -> Param<bool> {
    param(name, doc, Kind::Flag, Empty::Absent, truth)
}

pub const fn integer(name: &'static str, doc: &'static str, from: u32, to: u32) -> Param<u32> {
    param(name, doc, Kind::Integer { from: from as i64, to: to as i64 }, Empty::Absent, number)
}

pub const fn priority(name: &'static str, doc: &'static str) -> Param<Priority> {
    param(name, doc, Kind::Integer { from: 0, to: 2_147_483_647 }, Empty::Absent, |value| Priority(number(value)))
}

/// Capacity of a worker channel.
pub const fn capacity(name: &'static str, doc: &'static str) -> Param<u32> {
    integer(name, doc, 0, CAPACITY_MAX)
}

pub const fn minutes(name: &'static str, doc: &'static str) -> Param<i64> {
    param(name, doc, Kind::Minutes, Empty::Absent, big_number)
}

/// SID of an object; empty is absent.
pub const fn sid<E: Entity>(name: &'static str, doc: &'static str) -> Param<Sid<E>> {
    param(name, doc, Kind::Sid(E::PREFIX), Empty::Absent, |value| Sid::from_bytes(sid_bytes(value)))
}

/// SID of an Activity that may be taken away by an empty value.
pub const fn clearable_activity(name: &'static str, doc: &'static str) -> Param<Option<Sid<Activity>>> {
    param(name, doc, Kind::Sid(Activity::PREFIX), Empty::Clears, |value| match value {
        Value::Cleared => None,
        value => Some(Sid::from_bytes(sid_bytes(value))),
    })
}

/// SID of an object whose faults have errors of their own: the operation parses it.
pub const fn deferred_sid(name: &'static str, doc: &'static str, prefix: &'static str) -> Param<Arc<str>> {
    param(name, doc, Kind::DeferredSid(prefix), Empty::Absent, shared_text)
}

/// One of several words; the value is its index.
pub const fn choice(name: &'static str, doc: &'static str, words: &'static [&'static str], case: Case) -> Param<usize> {
    param(name, doc, Kind::Choice { words, case, published: true }, Empty::Absent, index)
}

/// One of several words, which the official description does not list.
pub const fn unlisted_choice(
    name: &'static str,
    doc: &'static str,
    words: &'static [&'static str],
    case: Case,
) -> Param<usize> {
    param(name, doc, Kind::Choice { words, case, published: false }, Empty::Absent, index)
}

/// Several of several words; the values are their indexes, each once, in the order of `words`.
pub const fn choices(
    name: &'static str,
    doc: &'static str,
    words: &'static [&'static str],
    published: bool,
) -> Param<Vec<usize>> {
    param(name, doc, Kind::Choices { words, published }, Empty::Absent, |value| match value {
        Value::Choices(indexes) => indexes.clone(),
        other => unreachable!("not a list of words: {other:?}"),
    })
}

/// An address; empty clears it.
pub const fn url(name: &'static str, doc: &'static str) -> Param<Option<Arc<str>>> {
    param(name, doc, Kind::Url, Empty::Clears, clearable_shared_text)
}

pub const fn date(name: &'static str, doc: &'static str) -> Param<Timestamp> {
    param(name, doc, Kind::Date, Empty::Absent, |value| match value {
        Value::Date(at) => *at,
        other => unreachable!("not a date: {other:?}"),
    })
}

pub const fn attributes(name: &'static str, doc: &'static str) -> Param<Attributes> {
    param(name, doc, Kind::Attributes, Empty::Absent, |value| match value {
        Value::Attributes(attributes) => attributes.clone(),
        other => unreachable!("not attributes: {other:?}"),
    })
}

pub const fn configuration(name: &'static str, doc: &'static str) -> Param<Arc<str>> {
    param(name, doc, Kind::Configuration, Empty::Absent, shared_text)
}

pub const fn expression(name: &'static str, doc: &'static str) -> Param<Arc<Expression>> {
    param(name, doc, Kind::Expression, Empty::Absent, |value| match value {
        Value::Expression(expression) => Arc::clone(expression),
        other => unreachable!("not an expression: {other:?}"),
    })
}

/// The expression of a TaskQueue, as posted; empty or blank is a value of its own.
pub const fn target_workers(name: &'static str, doc: &'static str) -> Param<Arc<str>> {
    param(name, doc, Kind::TargetWorkers, Empty::Clears, |value| match value {
        Value::Cleared => "".into(),
        value => shared_text(value),
    })
}

/// SID of a Worker, a TaskQueue or a Workflow.
pub const fn routing_target(name: &'static str, doc: &'static str) -> Param<AnySid> {
    param(name, doc, Kind::AnySid(ROUTING_TARGETS), Empty::Absent, any_sid)
}

pub const fn unique_name(name: &'static str, doc: &'static str) -> Param<Arc<str>> {
    param(name, doc, Kind::UniqueName, Empty::Refused, shared_text)
}

pub const fn thresholds(name: &'static str, doc: &'static str) -> Param<Vec<u32>> {
    param(name, doc, Kind::Thresholds, Empty::Absent, |value| match value {
        Value::Thresholds(seconds) => seconds.clone(),
        other => unreachable!("not thresholds: {other:?}"),
    })
}

pub const fn task_queue_sids(name: &'static str, doc: &'static str) -> Param<Vec<Sid<TaskQueue>>> {
    param(name, doc, Kind::TaskQueueSids, Empty::Absent, |value| match value {
        Value::Sids(sids) => sids.iter().map(|bytes| Sid::from_bytes(*bytes)).collect(),
        other => unreachable!("not SIDs: {other:?}"),
    })
}

/// A SID whose kind the value tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AnySid {
    Worker(Sid<Worker>),
    TaskQueue(Sid<TaskQueue>),
    Workflow(Sid<Workflow>),
}

/// Prefixes of [`AnySid`], in the order of its variants.
pub const ROUTING_TARGETS: &[&str] = &[Worker::PREFIX, TaskQueue::PREFIX, Workflow::PREFIX];

fn shared_text(value: &Value) -> Arc<str> {
    match value {
        Value::Text(text) => Arc::clone(text),
        other => unreachable!("not text: {other:?}"),
    }
}

fn clearable_shared_text(value: &Value) -> Option<Arc<str>> {
    match value {
        Value::Cleared => None,
        value => Some(shared_text(value)),
    }
}

fn truth(value: &Value) -> bool {
    match value {
        Value::Bool(truth) => *truth,
        other => unreachable!("not a boolean: {other:?}"),
    }
}

pub(crate) fn big_number(value: &Value) -> i64 {
    match value {
        Value::Integer(number) => *number,
        other => unreachable!("not an integer: {other:?}"),
    }
}

fn number(value: &Value) -> u32 {
    u32::try_from(big_number(value)).expect("the kind bounds it")
}

fn index(value: &Value) -> usize {
    match value {
        Value::Choice(index) => *index,
        other => unreachable!("not a word: {other:?}"),
    }
}

fn sid_bytes(value: &Value) -> [u8; 16] {
    match value {
        Value::Sid(bytes) => *bytes,
        other => unreachable!("not a SID: {other:?}"),
    }
}

impl AnySid {
    /// Reads a SID of one of the kinds.
    pub fn parse(text: &str) -> Option<Self> {
        find_sid(ROUTING_TARGETS, text).as_ref().map(any_sid)
    }
}

fn find_sid(prefixes: &[&str], text: &str) -> Option<Value> {
    let mut kinds = prefixes.iter().enumerate();
    kinds.find_map(|(index, prefix)| Some(Value::AnySid(index, parse_sid(prefix, text)?)))
}

fn any_sid(value: &Value) -> AnySid {
    match value {
        Value::AnySid(0, bytes) => AnySid::Worker(Sid::from_bytes(*bytes)),
        Value::AnySid(1, bytes) => AnySid::TaskQueue(Sid::from_bytes(*bytes)),
        Value::AnySid(_, bytes) => AnySid::Workflow(Sid::from_bytes(*bytes)),
        other => unreachable!("not a SID: {other:?}"),
    }
}

impl Spec {
    /// Reads the values that a request gave under this name, in the order given.
    ///
    /// - `None`: absent, or empty where that is the same.
    /// - Of a scalar that was sent several times the last one counts.
    pub(crate) fn read(&self, given: &[&str]) -> Result<Option<Value>, ApiError> {
        let Some(last) = given.last().copied() else { return Ok(None) };
        if self.deferred {
            return Ok(Some(Value::Texts(given.iter().map(|text| (*text).to_string()).collect())));
        }
        if last.is_empty() && !matches!(self.kind, Kind::Choices { .. }) {
            return match (self.empty, self.kind) {
                (Empty::Absent, _) => Ok(None),
                (Empty::Clears, _) => Ok(Some(Value::Cleared)),
                (Empty::Refused, Kind::Name { max }) => {
                    Err(self.error(&errors::FRIENDLY_NAME_LENGTH, &[("max", &max)]))
                }
                (Empty::Refused, _) if self.required => Err(self.missing()),
                (Empty::Refused, Kind::Attributes) => self.value(given, last),
                (Empty::Refused, _) => Err(self.error(&errors::EMPTY, &[])),
            };
        }
        self.value(given, last)
    }

    /// The error of a required parameter that was not given.
    pub(crate) fn missing(&self) -> ApiError {
        self.error(&errors::MISSING_PARAMETER, &[])
    }

    fn value(&self, given: &[&str], last: &str) -> Result<Option<Value>, ApiError> {
        let value = match self.kind {
            Kind::Name { max } => {
                if last.trim().is_empty() || max < last.chars().count() {
                    return Err(self.error(&errors::FRIENDLY_NAME_LENGTH, &[("max", &max)]));
                }
                Value::Text(last.into())
            }
            Kind::Text { max } => self.bounded_text(last, max)?,
            Kind::Bool | Kind::Flag => Value::Bool(is_true(last)),
            Kind::Integer { from, to } => match last.trim().parse() {
                Ok(number) if from <= number && number <= to => Value::Integer(number),
                _ if last.trim().is_empty() => return Ok(None),
                _ => return Err(self.error(&errors::NOT_AN_INTEGER, &[("from", &from), ("to", &to)])),
            },
            Kind::PageSize => match last.trim().parse::<i64>() {
                Ok(number) if 1 <= number => Value::Integer(number),
                Err(problem) if *problem.kind() == IntErrorKind::PosOverflow => Value::Integer(i64::MAX),
                _ if last.trim().is_empty() => return Ok(None),
                _ => return Err(self.error(&errors::NOT_AN_INTEGER, &[("from", &1), ("to", &PAGE_SIZE_MAX)])),
            },
            Kind::Minutes => match last.trim().parse::<i64>() {
                Ok(number) if 1 <= number => Value::Integer(number),
                // Digits too many for the type: far above every limit, which has an answer of its own.
                Err(problem) if *problem.kind() == IntErrorKind::PosOverflow => Value::Integer(i64::MAX),
                _ if last.trim().is_empty() => return Ok(None),
                _ => return Err(ApiError::new(&errors::MINUTES, &[])),
            },
            Kind::Sid(prefix) => match parse_sid(prefix, last) {
                Some(bytes) => Value::Sid(bytes),
                None => return Err(self.invalid(last)),
            },
            Kind::AnySid(prefixes) => find_sid(prefixes, last).ok_or_else(|| self.invalid(last))?,
            Kind::Choice { words, case, published: _ } => match find_word(words, case, last) {
                Some(index) => Value::Choice(index),
                None => return Err(self.not_a_choice(words, last)),
            },
            Kind::Choices { words, published: _ } => return self.choices(words, given),
            Kind::Url => {
                if URL_BYTES_MAX < last.len() || !is_absolute_url(last) {
                    return Err(self.error(&errors::NOT_A_URL, &[("value", &last)]));
                }
                Value::Text(last.into())
            }
            Kind::Date => match dates::parse(last) {
                Some(at) => Value::Date(at),
                None => return Err(self.error(&errors::NOT_A_DATE, &[("value", &last)])),
            },
            Kind::Attributes => {
                Value::Attributes(Attributes::parse(last).map_err(|problem| attributes_error(self.name, &problem))?)
            }
            Kind::Configuration => {
                if CONFIGURATION_BYTES_MAX < last.len() {
                    return Err(ApiError::new(&errors::CONFIGURATION_LENGTH, &[("max", &CONFIGURATION_BYTES_MAX)]));
                }
                Value::Text(last.into())
            }
            Kind::Expression => match Expression::parse(last) {
                Ok(expression) => Value::Expression(Arc::new(expression)),
                Err(problem) => return Err(expression_error(self.name, &problem)),
            },
            Kind::TargetWorkers => match Expression::parse_optional(last) {
                Ok(_) => Value::Text(last.into()),
                Err(problem) => return Err(expression_error(self.name, &problem)),
            },
            Kind::UniqueName => {
                let fits = last.chars().count() <= UNIQUE_NAME_CHARS_MAX
                    && last.chars().all(|char| !char.is_whitespace() && !char.is_control() && char != '/')
                    && parse_sid("TC", last).is_none();
                if !fits {
                    return Err(ApiError::new(&errors::UNIQUE_NAME_FORM, &[("max", &UNIQUE_NAME_CHARS_MAX)]));
                }
                Value::Text(last.into())
            }
            Kind::Thresholds => {
                let (count, max) = (SPLIT_THRESHOLDS_MAX, SPLIT_SECONDS_MAX);
                let refused = || ApiError::new(&errors::SPLIT, &[("value", &last), ("count", &count), ("max", &max)]);
                Value::Thresholds(parse_thresholds(last).ok_or_else(refused)?)
            }
            Kind::HttpMethod => match find_word(HTTP_METHODS, Case::Any, last) {
                Some(index) => Value::Choice(index),
                None => return Err(self.not_a_choice(HTTP_METHODS, last)),
            },
            Kind::PublishedBool(words) => match find_word(words, Case::Any, last) {
                Some(index) => Value::Choice(index),
                None => return Err(self.not_a_choice(words, last)),
            },
            Kind::DeferredSid(_) => Value::Text(last.into()),
            Kind::TaskQueueSids => unreachable!("read from the JSON body"),
        };
        Ok(Some(value))
    }

    fn bounded_text(&self, text: &str, max: usize) -> Result<Value, ApiError> {
        if max < text.chars().count() {
            return Err(self.error(&errors::TEXT_LENGTH, &[("max", &max)]));
        }
        Ok(Value::Text(text.into()))
    }

    fn choices(&self, words: &[&str], given: &[&str]) -> Result<Option<Value>, ApiError> {
        let mut indexes = Vec::new();
        for word in given.iter().flat_map(|value| value.split([',', ' '])).filter(|word| !word.is_empty()) {
            match find_word(words, Case::Exact, word) {
                Some(index) => indexes.push(index),
                None => return Err(self.not_a_choice(words, word)),
            }
        }
        indexes.sort_unstable();
        indexes.dedup();
        Ok((!indexes.is_empty()).then_some(Value::Choices(indexes)))
    }

    fn not_a_choice(&self, words: &[&str], value: &str) -> ApiError {
        self.error(&errors::NOT_A_CHOICE, &[("value", &value), ("expected", &or_list(words))])
    }

    fn invalid(&self, value: &str) -> ApiError {
        self.error(&errors::INVALID_VALUE, &[("value", &value)])
    }

    fn error(&self, error: &'static errors::ErrorCode, values: &[(&str, &dyn Display)]) -> ApiError {
        let mut all: Vec<(&str, &dyn Display)> = vec![("name", &self.name)];
        all.extend_from_slice(values);
        ApiError::new(error, &all)
    }
}

/// `true`, `1`, `yes` in any case.
pub(crate) fn is_true(text: &str) -> bool {
    ["true", "1", "yes"].iter().any(|word| word.eq_ignore_ascii_case(text))
}

/// The 16 bytes of a SID with this prefix.
pub(crate) fn parse_sid(prefix: &str, text: &str) -> Option<[u8; 16]> {
    // The entity only lends its prefix, so any one will do once the prefix has been looked at.
    let digits = text.strip_prefix(prefix)?;
    Sid::<Account>::parse(&format!("AC{digits}")).map(Sid::bytes)
}

fn find_word(words: &[&str], case: Case, text: &str) -> Option<usize> {
    words.iter().position(|word| match case {
        Case::Exact => *word == text,
        Case::Any => word.eq_ignore_ascii_case(text),
    })
}

/// `a, b or c`.
fn or_list(words: &[&str]) -> String {
    match words {
        [] => String::new(),
        [one] => (*one).to_string(),
        [first @ .., last] => format!("{} or {last}", first.join(", ")),
    }
}

/// `http:` or `https:` with a host, by the grammar that callbacks are sent with; a fragment may hold connection
/// overrides. What that grammar mends is refused: blanks, and a path where the host belongs.
pub fn is_absolute_url(text: &str) -> bool {
    let blank = text.chars().any(|char| char.is_whitespace() || char.is_control());
    let host = text.split_once("://").is_some_and(|(_, rest)| !rest.starts_with(['/', '\\']));
    let parsed = url::Url::parse(text).ok().filter(|_| host && !blank);
    parsed.is_some_and(|url| matches!(url.scheme(), "http" | "https") && url.has_host())
}

fn parse_thresholds(text: &str) -> Option<Vec<u32>> {
    let mut seconds = Vec::new();
    for member in text.split(',') {
        let digits = member.trim_matches(' ');
        if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
            return None;
        }
        let number = digits.parse().ok().filter(|number| *number <= SPLIT_SECONDS_MAX)?;
        if !seconds.contains(&number) {
            seconds.push(number);
        }
    }
    (seconds.len() <= SPLIT_THRESHOLDS_MAX).then_some(seconds)
}

/// The error of an attributes document, with the parser's position.
pub(crate) fn attributes_error(name: &str, problem: &AttributesError) -> ApiError {
    match problem {
        AttributesError::TooLong { chars: _ } => {
            ApiError::new(&errors::ATTRIBUTES_LENGTH, &[("name", &name), ("max", &ATTRIBUTES_CHARS_MAX)])
        }
        AttributesError::TooDeep => {
            ApiError::new(&errors::ATTRIBUTES_DEPTH, &[("name", &name), ("max", &JSON_DEPTH_MAX)])
        }
        AttributesError::NotAnObject => {
            ApiError::new(&errors::ATTRIBUTES_SYNTAX, &[("name", &name), ("problem", &"it is another JSON value")])
        }
        AttributesError::Syntax { message, line, column, offset: _ } => {
            let problem = format!("{message} at line {line} column {column}");
            ApiError::new(&errors::ATTRIBUTES_SYNTAX, &[("name", &name), ("problem", &problem)])
        }
    }
}

/// The error of an expression, with line and column.
pub(crate) fn expression_error(name: &str, problem: &SyntaxError) -> ApiError {
    ApiError::new(&errors::EXPRESSION_SYNTAX, &[("name", &name), ("problem", &expression_problem(problem))])
}

/// What is wrong first, as the hosted service words it; then the place, as a number and as a picture:
///
/// ```text
/// mismatched input 'AND' expecting OPERATOR at line 1 column 3
/// a AND
///   ^
/// ```
pub(crate) fn expression_problem(problem: &SyntaxError) -> String {
    let hint = problem.hint.map_or_else(String::new, |hint| format!(" ({hint})"));
    let SyntaxError { message, line, column, excerpt, .. } = problem;
    format!("{message} at line {line} column {column}{hint}\n{excerpt}")
}

/// Filters that several lists share.
pub mod filters {
    use super::{Param, PublicEvent, Reservation, Sid, Task, TaskQueue, Worker, Workflow, sid};

    pub const TASK_QUEUE_SID: Param<Sid<TaskQueue>> = sid("TaskQueueSid", "The TaskQueue.");
    pub const WORKER_SID: Param<Sid<Worker>> = sid("WorkerSid", "The Worker.");
    pub const WORKFLOW_SID: Param<Sid<Workflow>> = sid("WorkflowSid", "The Workflow.");
    pub const TASK_SID: Param<Sid<Task>> = sid("TaskSid", "The Task.");
    pub const RESERVATION_SID: Param<Sid<Reservation>> = sid("ReservationSid", "The Reservation.");
    pub const EVENT_SID: Param<Sid<PublicEvent>> = sid("Sid", "The Event.");
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `text` under `param` gives `expected`, or an error with that text.
    fn check<T>(param: &Param<T>, text: &str, expected: Result<&str, &str>) {
        let shown = param.spec.read(&[text]);
        match (shown, expected) {
            (Ok(value), Ok(expected)) => assert_eq!(format!("{value:?}"), expected, "{text}"),
            (Err(error), Err(expected)) => assert_eq!(error.message, expected, "{text}"),
            (other, expected) => panic!("{text}: {other:?}, expected {expected:?}"),
        }
    }

    #[test]
    fn a_friendly_name_has_1_to_64_characters() {
        const NAME: Param<Arc<str>> = name("FriendlyName", "");
        let refused = Err("FriendlyName must be between 1 and 64 characters");
        check(&NAME, "é", Ok("Some(Text(\"é\"))"));
        check(&NAME, &"é".repeat(64), Ok(&format!("Some(Text(\"{}\"))", "é".repeat(64))));
        check(&NAME, &"é".repeat(65), refused);
        check(&NAME, "", refused);
        check(&NAME, " \t", refused);
        assert_eq!(NAME.spec.read(&[""]).unwrap_err().code(), 20002);
    }

    #[test]
    fn only_three_words_are_true() {
        const BOOL: Param<bool> = bool("Available", "");
        for text in ["true", "TRUE", "1", "Yes"] {
            check(&BOOL, text, Ok("Some(Bool(true))"));
        }
        for text in ["false", "0", "no", "on", " true"] {
            check(&BOOL, text, Ok("Some(Bool(false))"));
        }
        check(&BOOL, "", Ok("None"));
    }

    #[test]
    fn integers_have_bounds_and_may_have_a_sign_and_blanks() {
        const COUNT: Param<u32> = integer("MaxReservedWorkers", "", 1, 50);
        check(&COUNT, " +7 ", Ok("Some(Integer(7))"));
        check(&COUNT, "1", Ok("Some(Integer(1))"));
        check(&COUNT, "50", Ok("Some(Integer(50))"));
        check(&COUNT, "  ", Ok("None"));
        for text in ["0", "51", "-1", "1.0", "x", "99999999999999999999"] {
            check(&COUNT, text, Err("MaxReservedWorkers must be an integer between 1 and 50"));
        }
    }

    #[test]
    fn minutes_start_at_one_and_have_no_upper_end_here() {
        const MINUTES: Param<i64> = minutes("Minutes", "");
        check(&MINUTES, "1", Ok("Some(Integer(1))"));
        check(&MINUTES, "99999999999999999999", Ok("Some(Integer(9223372036854775807))"));
        for text in ["0", "-5", "abc", "1.5"] {
            check(&MINUTES, text, Err("Minutes must be an integer of at least 1"));
        }
    }

    #[test]
    fn a_malformed_sid_is_shown_in_the_text() {
        const ACTIVITY: Param<Sid<Activity>> = sid("ActivitySid", "");
        check(&ACTIVITY, "WAxxx", Err("Invalid value 'WAxxx' for ActivitySid"));
        check(
            &ACTIVITY,
            "WKaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
            Err("Invalid value 'WKaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa' for ActivitySid"),
        );
        check(&ACTIVITY, "WAé", Err("Invalid value 'WAé' for ActivitySid"));
        check(&ACTIVITY, "", Ok("None"));
        assert!(matches!(ACTIVITY.spec.read(&["WA0123456789ABCDEFabcdef0123456789"]), Ok(Some(Value::Sid(_)))));
    }

    #[test]
    fn words_are_exact_or_in_any_case_as_declared() {
        const ORDER: Param<usize> = choice("TaskOrder", "", &["FIFO", "LIFO"], Case::Any);
        check(&ORDER, "lifo", Ok("Some(Choice(1))"));
        check(&ORDER, "x", Err("Invalid value 'x' for TaskOrder: expected FIFO or LIFO"));
        const STATUS: Param<usize> = choice("Status", "", &["a", "b", "c"], Case::Exact);
        check(&STATUS, "A", Err("Invalid value 'A' for Status: expected a, b or c"));
    }

    #[test]
    fn lists_of_words_are_repeated_or_separated() {
        const LIST: Param<Vec<usize>> = choices("AssignmentStatus", "", &["pending", "reserved", "assigned"], false);
        let read = |given: &[&str]| format!("{:?}", LIST.spec.read(given).unwrap());
        assert_eq!(read(&["reserved", "pending"]), "Some(Choices([0, 1]))");
        assert_eq!(read(&["assigned,pending reserved"]), "Some(Choices([0, 1, 2]))");
        assert_eq!(read(&[""]), "None");
        assert!(LIST.spec.read(&["pending,lost"]).is_err());
    }

    #[test]
    fn an_address_is_absolute_and_has_a_host() {
        const URL: Param<Option<Arc<str>>> = url("EventCallbackUrl", "");
        for text in
            ["http://a", "https://a.example/x?y#rc=2&rp=all", "HTTP://u:p@a:80/", "http://[::1]:8080/x", "http://[::1]"]
        {
            check(&URL, text, Ok(&format!("Some(Text({text:?}))")));
        }
        for text in ["a.example", "ftp://a", "http://", "http:///x", "http://a:x", "http://a b", "http://[::1", "://a"]
        {
            let error = format!("Invalid value '{text}' for EventCallbackUrl: expected an absolute http or https URL");
            check(&URL, text, Err(&error));
        }
        check(&URL, "", Ok("Some(Cleared)"));
    }

    #[test]
    fn the_last_of_several_scalars_counts() {
        const COUNT: Param<u32> = integer("Priority", "", 0, 9);
        assert_eq!(format!("{:?}", COUNT.spec.read(&["x", "3"]).unwrap()), "Some(Integer(3))");
    }

    #[test]
    fn attributes_are_a_json_object_of_bounded_length_and_depth() {
        const ATTRIBUTES: Param<Attributes> = attributes("Attributes", "").never_empty();
        let error = |text: &str| ATTRIBUTES.spec.read(&[text]).unwrap_err().message;
        assert!(error("[]").starts_with("Attributes is not a valid JSON object: "));
        assert!(error("{").contains("at line 1 column"), "{}", error("{"));
        assert!(error("").starts_with("Attributes is not a valid JSON object: "), "{}", error(""));
        let object = |chars: usize| format!("{{\"a\":\"{}\"}}", "é".repeat(chars - 8));
        assert!(ATTRIBUTES.spec.read(&[&object(4096)]).is_ok());
        assert_eq!(error(&object(4097)), "Attributes must be at most 4096 characters");
        let nested = |levels: usize| format!("{}{{}}{}", "{\"a\":".repeat(levels - 1), "}".repeat(levels - 1));
        assert!(ATTRIBUTES.spec.read(&[&nested(200)]).is_ok());
        assert_eq!(error(&nested(201)), "Attributes must not be nested deeper than 200 levels");
    }

    #[test]
    fn a_unique_name_has_no_blanks_and_does_not_look_like_a_sid() {
        const NAME: Param<Arc<str>> = unique_name("UniqueName", "").required();
        assert!(NAME.spec.read(&["my-channel_2$"]).is_ok());
        assert!(NAME.spec.read(&[&"x".repeat(64)]).is_ok());
        for text in ["a b", "a/b", "a\u{7}", "TC0123456789abcdef0123456789abcdef", &"x".repeat(65)] {
            assert_eq!(NAME.spec.read(&[text]).unwrap_err().error.name, "UNIQUE_NAME_FORM", "{text}");
        }
        assert_eq!(
            NAME.spec.read(&[""]).unwrap_err().message,
            "Missing required parameter UniqueName in the post body"
        );
    }

    #[test]
    fn split_thresholds_are_whole_seconds() {
        const SPLIT: Param<Vec<u32>> = thresholds("SplitByWaitTime", "");
        check(&SPLIT, "5, 30 ,05", Ok("Some(Thresholds([5, 30]))"));
        check(&SPLIT, "1209600", Ok("Some(Thresholds([1209600]))"));
        let twenty: Vec<String> = (0..20).map(|number| number.to_string()).collect();
        assert!(SPLIT.spec.read(&[&twenty.join(",")]).is_ok());
        for text in ["1209601", "5,,6", "-1", "+5", "x", "1.5", ",", &format!("{},20", twenty.join(","))] {
            assert_eq!(SPLIT.spec.read(&[text]).unwrap_err().error.name, "SPLIT", "{text}");
        }
    }
}
