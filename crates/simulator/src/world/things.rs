//! Names, attributes, expressions and configurations of a small world.

use std::fmt::Write as _;
use std::sync::Arc;

use pointsman_engine::{Activity, TaskQueue, Worker};
use pointsman_expression::Attributes;

use super::World;
use crate::naive::{Naive, Number};

impl World {
    pub(super) fn name(&mut self, kind: &str) -> Arc<str> {
        self.names += 1;
        format!("{kind}{}", self.names).into()
    }

    pub(super) fn activity_name(&mut self) -> Arc<str> {
        if self.random.chance(40) { "Focus".into() } else { self.name("activity") }
    }

    /// Short names, so that Tasks may know them.
    pub(super) fn worker_name(&mut self) -> Arc<str> {
        self.names += 1;
        let name = ["ann", "Bob", "cid", "Dan", "eve", "fay"][self.names % 6];
        if self.random.chance(80) { format!("{name}{}", self.names / 6).into() } else { self.name("worker") }
    }

    pub(super) fn uses(&self, channel: &str) -> bool {
        self.features.many_channels && !matches!(channel, "sms" | "video") || channel == "default"
    }

    pub(super) fn channel_name(&mut self, naive: &Naive) -> String {
        let names: Vec<Arc<str>> = naive
            .channels
            .values()
            .filter(|row| !row.deleted && self.uses(&row.unique_name))
            .map(|row| row.unique_name.clone())
            .collect();
        self.random.pick(&names).to_string()
    }

    pub(super) fn worker_attributes(&mut self) -> Attributes {
        let mut text = String::from("{");
        let skills: Vec<&str> = ["a", "b", "c"].into_iter().filter(|_| self.random.chance(55)).collect();
        let _ = write!(text, "\"skills\":{skills:?}");
        match self.random.below(12) {
            0 => {}
            1 => text.push_str(",\"lvl\":\"high\""),
            2 => text.push_str(",\"lvl\":2.5"),
            3 => text.push_str(",\"lvl\":2.0"),
            _ => {
                let _ = write!(text, ",\"lvl\":{}", self.random.below(5));
            }
        }
        if self.random.chance(70) {
            let _ = write!(text, ",\"team\":\"{}\"", self.random.pick(&["x", "y"]));
        }
        if self.random.chance(50) {
            let _ = write!(text, ",\"age\":{}", self.random.between(-2, 2));
        }
        text.push('}');
        Attributes::parse(&text).expect("written as JSON")
    }

    pub(super) fn task_attributes(&mut self, naive: &Naive) -> Attributes {
        let mut text = String::new();
        let _ = write!(text, "{{\"type\":\"{}\"", self.random.pick(&["t1", "t2", "t3"]));
        if self.random.chance(70) {
            let _ = write!(text, ",\"need\":\"{}\"", self.random.pick(&["a", "b", "c"]));
        }
        if self.random.chance(60) {
            let _ = write!(text, ",\"min\":{}", self.random.below(5));
        }
        if self.random.chance(50) {
            let _ = write!(text, ",\"team\":\"{}\"", self.random.pick(&["x", "y"]));
        }
        if self.random.chance(30) {
            let _ = write!(text, ",\"vip\":{}", self.random.chance(50));
        }
        if self.features.known_workers && self.random.chance(70) {
            let workers: Vec<Number> = naive.workers.keys().copied().collect();
            if let Some(worker) = self.random.choose(&workers) {
                let _ = write!(text, ",\"agent\":\"{}\"", naive.sid::<Worker>(worker));
                let _ = write!(text, ",\"agent_name\":\"{}\"", naive.workers[&worker].name.to_uppercase());
            }
        }
        if self.random.chance(20) {
            let workers: Vec<Number> = naive.workers.keys().copied().collect();
            if let Some(worker) = self.random.choose(&workers) {
                let _ = write!(text, ",\"absent\":[\"{}\"]", naive.sid::<Worker>(worker));
            }
        }
        text.push('}');
        Attributes::parse(&text).expect("written as JSON")
    }

    fn some_activity(&mut self, naive: &Naive) -> Number {
        let rows: Vec<Number> = naive.activities.keys().copied().collect();
        *self.random.pick(&rows)
    }

    /// One of the clauses, or two joined.
    fn joined(&mut self, clauses: &[String]) -> String {
        let first = self.random.pick(clauses).clone();
        match self.random.below(6) {
            0 => format!("{first} AND {}", self.random.pick(clauses)),
            1 => format!("{first} OR {}", self.random.pick(clauses)),
            2 if self.random.chance(40) => format!("NOT ({first})"),
            _ => first,
        }
    }

    pub(super) fn queue_expression(&mut self, naive: &Naive) -> String {
        if self.random.chance(35) {
            return "1==1".to_string();
        }
        if self.random.chance(3) {
            return " ".to_string();
        }
        let mut clauses: Vec<String> = [
            "skills HAS 'a'",
            "skills HAS 'b'",
            "lvl >= 2",
            "lvl < 3",
            "team == 'x'",
            "team != 'x'",
            "'c' IN skills",
            "friendly_name CONTAINS 'n'",
        ]
        .map(String::from)
        .into();
        if self.features.counters {
            clauses.push("worker.channel.default.assigned_tasks == 0".into());
            clauses.push("worker.channel.default.available_capacity_percentage > 40".into());
            clauses.push("worker.channel.chat.configured_capacity > 1".into());
            clauses.push("worker.channel.fax.assigned_tasks == 0".into());
        }
        if self.features.activities {
            let activity = self.some_activity(naive);
            clauses.push("worker.activity_name == 'Focus'".into());
            clauses.push(format!("activity_sid != '{}'", naive.sid::<Activity>(activity)));
        }
        self.joined(&clauses)
    }

    fn filter_expression(&mut self) -> String {
        if self.random.chance(25) {
            return "1==1".to_string();
        }
        let mut clauses: Vec<String> = [
            "type == 't1'",
            "type == 't2'",
            "type != 't3'",
            "vip == true",
            "min > 2",
            "need IN ['a','b']",
            "team == null",
        ]
        .map(String::from)
        .into();
        if self.features.clock {
            clauses.push("taskrouter.currentTime < 900".into());
            clauses.push("taskrouter.currentHour >= 9".into());
        }
        self.joined(&clauses)
    }

    fn step_expression(&mut self, naive: &Naive) -> String {
        let mut clauses: Vec<String> = [
            "task.need IN worker.skills",
            "worker.lvl >= task.min",
            "worker.team == task.team",
            "worker.skills HAS 'a'",
            "worker.sid NOT IN task.absent",
            "worker.lvl > 1",
            "worker.lvl > 9",
            "task.type == 't1'",
            "worker.friendly_name != task.agent_name",
        ]
        .map(String::from)
        .into();
        if self.features.counters {
            clauses.push("worker.channel.default.assigned_tasks == 0".into());
            clauses.push("worker.channel.voice.available_capacity_percentage == 100".into());
            clauses.push("worker.channel.chat.assigned_tasks < task.min".into());
        }
        if self.features.clock {
            clauses.push("taskrouter.currentTime >= 900".into());
            clauses.push("taskrouter.currentMin < 59".into());
            clauses.push("taskrouter.currentMin IN [1, 3, 5, 7, 9, 59]".into());
        }
        if self.features.activities {
            let activity = self.some_activity(naive);
            clauses.push("worker.activity_name != 'Focus'".into());
            clauses.push(format!("worker.activity_sid == '{}'", naive.sid::<Activity>(activity)));
        }
        self.joined(&clauses)
    }

    fn skip_expression(&mut self, naive: &Naive) -> String {
        let activity = self.some_activity(naive);
        let mut clauses: Vec<String> = vec![
            "1==1".into(),
            "1==1".into(),
            "workers.available == 0".into(),
            "workers.available < 2".into(),
            "workers.unavailable > 1".into(),
            format!("workers.{} > 0", naive.sid::<Activity>(activity)),
            "task.vip == true".into(),
        ];
        if self.features.clock {
            clauses.push("taskrouter.currentTime >= 900".into());
        }
        self.joined(&clauses)
    }

    fn order(&mut self) -> &'static str {
        let most = if self.features.counters { 6 } else { 4 };
        [
            "worker.lvl DESC",
            "worker.lvl",
            "worker.age ASC, worker.lvl DESC",
            "worker.lvl DESC, worker.age desc",
            "worker.channel.default.assigned_tasks",
            "worker.channel.default.available_capacity_percentage DESC",
        ][self.random.below(most)]
    }

    pub(super) fn configuration(&mut self, naive: &Naive) -> Arc<str> {
        let mut text = String::from("{\"task_routing\":{\"filters\":[");
        let filters = self.random.below(4);
        for filter in 0..filters {
            if 0 < filter {
                text.push(',');
            }
            let expression = self.filter_expression();
            let _ =
                write!(text, "{{\"filter_friendly_name\":\"F{filter}\",\"expression\":\"{expression}\",\"targets\":[");
            let targets = 1 + self.random.below(3);
            for target in 0..targets {
                if 0 < target {
                    text.push(',');
                }
                self.target(&mut text, naive, target == 0, target + 1 == targets);
            }
            text.push_str("]}");
        }
        text.push(']');
        if filters == 0 || self.random.chance(65) {
            text.push_str(",\"default_filter\":");
            self.target(&mut text, naive, true, true);
        }
        text.push_str("}}");
        text.into()
    }

    fn target(&mut self, text: &mut String, naive: &Naive, first: bool, last: bool) {
        let mut members = Vec::new();
        if first || self.random.chance(40) {
            let queues: Vec<Number> = naive.queues.values().filter(|row| !row.deleted).map(|row| row.number).collect();
            if let Some(queue) = self.random.choose(&queues) {
                members.push(format!("\"queue\":\"{}\"", naive.sid::<TaskQueue>(queue)));
            }
        }
        if self.random.chance(55) {
            members.push(format!("\"expression\":\"{}\"", self.step_expression(naive)));
        }
        if self.features.priorities && self.random.chance(40) {
            members.push(format!("\"priority\":{}", self.priority().0));
        }
        if self.features.step_timeouts && self.random.chance(if last { 35 } else { 70 }) {
            members.push(format!("\"timeout\":{}", self.random.pick(&[1, 5, 10, 30, 30, 60])));
        }
        if self.features.skips && self.random.chance(50) {
            members.push(format!("\"skip_if\":\"{}\"", self.skip_expression(naive)));
        }
        if self.features.orders && self.random.chance(50) {
            members.push(format!("\"order_by\":\"{}\"", self.order()));
        }
        if self.features.known_workers && self.random.chance(50) {
            let by_sid = self.random.chance(60);
            members.push(if by_sid {
                "\"known_worker_sid\":\"task.agent\"".to_string()
            } else {
                "\"known_worker_friendly_name\":\"task.agent_name\"".to_string()
            });
        }
        let _ = write!(text, "{{{}}}", members.join(","));
    }
}
