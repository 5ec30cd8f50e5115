//! Workflow configurations that are known to be valid, read once more. Reference: routing, section 2.1.

use std::sync::Arc;

use pointsman_engine::{Position, Priority};
use pointsman_expression::{Expression, KnownWorker, OrderBy, Value};

use super::model::Number;

#[derive(Clone, Debug)]
pub struct Rules {
    pub text: Arc<str>,
    pub filters: Vec<Filter>,
    pub default: Option<Step>,
}

#[derive(Clone, Debug)]
pub struct Filter {
    pub name: Option<Arc<str>>,
    pub text: Arc<str>,
    pub expression: Expression,
    pub steps: Vec<Step>,
}

#[derive(Clone, Debug)]
pub struct Step {
    pub name: Option<Arc<str>>,
    pub queue: Number,
    pub expression: Option<(Arc<str>, Expression)>,
    pub priority: Option<Priority>,
    pub timeout_seconds: Option<u32>,
    pub order_by: Option<OrderBy>,
    pub skip_if: Option<Expression>,
    pub known: Option<Known>,
}

#[derive(Clone, Debug)]
pub enum Known {
    Sid(KnownWorker),
    Name(KnownWorker),
}

impl Rules {
    /// Reads a configuration; `queue` finds a queue by the text of its SID. `None` if it is not valid.
    pub fn read(text: &Arc<str>, queue: &dyn Fn(&str) -> Option<Number>) -> Option<Self> {
        let document = Value::parse_json(text).ok()?;
        let rules = document.member("task_routing");
        let mut filters = Vec::new();
        for filter in rules.member("filters").as_array().unwrap_or_default() {
            let mut steps: Vec<Step> = Vec::new();
            for target in filter.member("targets").as_array()? {
                steps.push(step(target, steps.last().map(|previous| previous.queue), queue)?);
            }
            filters.push(Filter {
                name: words(filter, "filter_friendly_name"),
                text: words(filter, "expression")?,
                expression: Expression::parse(filter.member("expression").as_text()?).ok()?,
                steps,
            });
        }
        let default = match rules.member("default_filter") {
            Value::Null => None,
            target => Some(Step { timeout_seconds: None, skip_if: None, ..step(target, None, queue)? }),
        };
        Some(Self { text: text.clone(), filters, default })
    }

    pub fn step(&self, position: Position) -> &Step {
        match position {
            Position::Target { filter, target } => &self.filters[filter as usize].steps[target as usize],
            Position::Default => self.default.as_ref().expect("placed in steps that exist"),
        }
    }

    /// Every queue that is named.
    pub fn queues(&self) -> impl Iterator<Item = Number> + '_ {
        self.filters.iter().flat_map(|filter| &filter.steps).chain(&self.default).map(|step| step.queue)
    }
}

fn words(object: &Value, name: &str) -> Option<Arc<str>> {
    object.member(name).as_text().filter(|text| !text.is_empty()).map(Arc::from)
}

fn integer(object: &Value, name: &str) -> Option<u32> {
    u32::try_from(object.member(name).as_number()?.as_i64()?).ok()
}

fn step(target: &Value, inherited: Option<Number>, queue: &dyn Fn(&str) -> Option<Number>) -> Option<Step> {
    let expression = words(target, "expression").map(|text| Some((text.clone(), Expression::parse(&text).ok()?)));
    let known = |name| words(target, name).map(|text| KnownWorker::parse(&text).ok());
    Some(Step {
        name: words(target, "target_friendly_name"),
        queue: target.member("queue").as_text().and_then(queue).or(inherited)?,
        expression: match expression {
            Some(parsed) => Some(parsed?),
            None => None,
        },
        priority: integer(target, "priority").map(Priority),
        timeout_seconds: integer(target, "timeout"),
        order_by: words(target, "order_by").map(|text| OrderBy::parse(&text).expect("orders were checked")),
        skip_if: words(target, "skip_if").map(|text| Expression::parse(&text).expect("expressions were checked")),
        known: match (known("known_worker_sid"), known("known_worker_friendly_name")) {
            (Some(reference), _) => Some(Known::Sid(reference?)),
            (None, Some(reference)) => Some(Known::Name(reference?)),
            (None, None) => None,
        },
    })
}
