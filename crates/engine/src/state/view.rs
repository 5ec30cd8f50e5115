//! A Worker as expressions see it: attributes, built-in names and channel counters. Reference: routing, section 1.6.

use alloc::string::String;
use alloc::string::ToString;
use core::cell::OnceCell;

use pointsman_expression::{Builtin, Counter, Value, WorkerView};

use super::{State, Worker};

/// Borrowed for one evaluation. SIDs are printed when an expression asks for them, once.
#[derive(Debug)]
pub struct WorkerScope<'a> {
    state: &'a State,
    worker: &'a Worker,
    sid: OnceCell<String>,
    activity_sid: OnceCell<String>,
}

impl<'a> WorkerScope<'a> {
    pub(super) const fn new(state: &'a State, worker: &'a Worker) -> Self {
        Self { state, worker, sid: OnceCell::new(), activity_sid: OnceCell::new() }
    }
}

impl WorkerView for WorkerScope<'_> {
    fn attributes(&self) -> &Value {
        self.worker.attributes.value()
    }

    fn builtin(&self, name: Builtin) -> Option<&str> {
        let activity = || self.state.the_activity(self.worker.activity);
        Some(match name {
            Builtin::Sid => self.sid.get_or_init(|| self.worker.sid.to_string()),
            Builtin::FriendlyName => &self.worker.friendly_name,
            Builtin::ActivityName => &activity().friendly_name,
            Builtin::ActivitySid => self.activity_sid.get_or_init(|| activity().sid.to_string()),
        })
    }

    fn channel(&self, unique_name: &str, counter: Counter) -> Option<i64> {
        let task_channel = self.state.task_channel_by_name(unique_name)?;
        let channel = self.worker.channel(task_channel.id)?;
        Some(i64::from(match counter {
            Counter::ConfiguredCapacity => channel.capacity,
            Counter::AssignedTasks => channel.accepted,
            Counter::AvailableCapacityPercentage => channel.available_capacity_percentage(),
        }))
    }
}
