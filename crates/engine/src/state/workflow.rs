//! Rules that send Tasks to queues. Reference: rest-contract, section 6.8; routing, section 2.

use alloc::sync::Arc;

use crate::configuration::Configuration;
use crate::ids::{Entity, Id, Sid};
use crate::values::Timestamp;

#[derive(Clone, Debug, PartialEq)]
pub struct Workflow {
    pub id: Id<Workflow>,
    pub sid: Sid<Workflow>,
    pub definition: WorkflowDefinition,
    /// The parsed configuration that new Tasks use. Tasks in progress hold on to the one they started with.
    pub configuration: Arc<Configuration>,
    pub date_created: Timestamp,
    pub date_updated: Timestamp,
}

/// What an update may change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WorkflowDefinition {
    pub friendly_name: Arc<str>,
    /// As posted.
    pub configuration: Arc<str>,
    pub assignment_callback_url: Option<Arc<str>>,
    pub fallback_assignment_callback_url: Option<Arc<str>>,
    pub task_reservation_timeout_seconds: u32,
}

impl Entity for Workflow {
    const PREFIX: &'static str = "WW";
}
