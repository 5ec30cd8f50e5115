//! Kinds of work, each with its own capacity per Worker. Reference: rest-contract, section 6.6.

use alloc::sync::Arc;

use crate::ids::{Entity, Id, Sid};
use crate::values::Timestamp;

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TaskChannel {
    pub id: Id<TaskChannel>,
    pub sid: Sid<TaskChannel>,
    pub unique_name: Arc<str>,
    pub friendly_name: Arc<str>,
    /// Prefer the Worker that is idle longest on this very channel.
    pub optimized_routing: bool,
    /// Came with the Workspace and cannot be deleted.
    pub built_in: bool,
    pub date_created: Timestamp,
    pub date_updated: Timestamp,
}

impl Entity for TaskChannel {
    const PREFIX: &'static str = "TC";
}
