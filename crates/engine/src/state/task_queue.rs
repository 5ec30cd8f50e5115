//! Where Tasks wait for Workers that match an expression. Reference: rest-contract, section 6.7.

use alloc::sync::Arc;

use pointsman_expression::Expression;

use super::activity::Activity;
use crate::ids::{Entity, Id, Sid};
use crate::values::{Ordering, Timestamp};

#[derive(Clone, Debug, PartialEq)]
pub struct TaskQueue {
    pub id: Id<TaskQueue>,
    pub sid: Sid<TaskQueue>,
    pub definition: TaskQueueDefinition,
    /// The parsed `target_workers`; `None` matches nobody.
    pub expression: Option<Arc<Expression>>,
    pub date_created: Timestamp,
    pub date_updated: Timestamp,
}

/// What an update may change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TaskQueueDefinition {
    pub friendly_name: Arc<str>,
    /// As posted; `None` when it was posted empty: no Worker ever matches.
    pub target_workers: Option<Arc<str>>,
    pub max_reserved_workers: u32,
    pub task_order: Ordering,
    pub reservation_activity: Option<Id<Activity>>,
    pub assignment_activity: Option<Id<Activity>>,
}

impl Entity for TaskQueue {
    const PREFIX: &'static str = "WQ";
}
