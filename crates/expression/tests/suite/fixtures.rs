//! The task, the worker, the queue and the time of the reference's test table. Reference: routing, section 1.9.

use pointsman_expression::{Builtin, Counter, Value, WorkerView, WorkersCount, WorkersView};

/// Tuesday 2026-02-03 08:05:00 UTC.
pub(crate) const NOW_MS: i64 = 1_770_105_900_000;

pub(crate) fn task() -> Value {
    json(
        r#"{"type":"ticket","customer_value":"Gold","lvl":3,"lang":"en","langs":["en","es"],"vip":true,"score":5.1,
            "zip":"02134","empty":"","none":null,"nums":[1,2,3],"object":{"array":["a","b","c"],"attr":"bar"},
            "rows":[{"k":"v1"},{"k":"v2"}],"preferred":["WK01"],"need":"billing","q":"it's"}"#,
    )
}

pub(crate) fn json(text: &str) -> Value {
    Value::parse_json(text).unwrap()
}

/// A worker that has these attributes and the built-in names and channels of `ann`.
pub(crate) struct Worker {
    pub(crate) attributes: Value,
}

impl Worker {
    pub(crate) fn ann() -> Worker {
        Worker::with(
            r#"{"skills":["support","billing"],"languages":["english","french"],"level":7,"email":"ann@acme.test",
                "team":"north","on_break":false,"ratings":{"finance":10},"skill-level":5}"#,
        )
    }

    pub(crate) fn with(attributes: &str) -> Worker {
        Worker { attributes: json(attributes) }
    }
}

impl WorkerView for Worker {
    fn attributes(&self) -> &Value {
        &self.attributes
    }

    fn builtin(&self, name: Builtin) -> Option<&str> {
        Some(match name {
            Builtin::Sid => "WK01",
            Builtin::FriendlyName => "ann",
            Builtin::ActivityName => "Available",
            Builtin::ActivitySid => "WA01",
        })
    }

    fn channel(&self, unique_name: &str, counter: Counter) -> Option<i64> {
        let (capacity, accepted, load) = match unique_name {
            "voice" => (1, 1, 1),
            "chat" => (3, 1, 2),
            "sms" => (0, 0, 0),
            _ => return None,
        };
        Some(match counter {
            Counter::ConfiguredCapacity => capacity,
            Counter::AssignedTasks => accepted,
            Counter::AvailableCapacityPercentage if capacity == 0 => 0,
            Counter::AvailableCapacityPercentage => 100 * (capacity - load) / capacity,
        })
    }
}

/// Four members, two of them in an available activity, one of those in WA01.
pub(crate) struct Queue;

impl WorkersView for Queue {
    fn count(&self, which: WorkersCount<'_>) -> i64 {
        match which {
            WorkersCount::Available | WorkersCount::Unavailable => 2,
            WorkersCount::Activity("WA01") => 1,
            WorkersCount::Activity(_) => 0,
        }
    }
}
