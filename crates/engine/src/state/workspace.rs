//! The Workspace itself. Reference: rest-contract, section 6.1.

use alloc::sync::Arc;

use super::activity::Activity;
use crate::ids::{Account, Entity, Id, OperatingUnit, Sid};
use crate::values::{Ordering, Tasking, Timestamp};

/// Settings and identity of the Workspace that this engine runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Workspace {
    pub sid: Sid<Workspace>,
    /// Place in the creation order of all Workspaces.
    pub number: u64,
    pub account: Sid<Account>,
    pub operating_unit: Sid<OperatingUnit>,
    pub settings: WorkspaceSettings,
    pub date_created: Timestamp,
    pub date_updated: Timestamp,
}

/// What an update may change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WorkspaceSettings {
    pub friendly_name: Arc<str>,
    pub event_callback_url: Option<Arc<str>>,
    /// `None` until it was first set; empty once it was cleared.
    pub events_filter: Option<Arc<str>>,
    pub tasking: Tasking,
    pub prioritize_queue_order: Ordering,
    pub default_activity: Id<Activity>,
    pub timeout_activity: Id<Activity>,
}

impl Entity for Workspace {
    const PREFIX: &'static str = "WS";
}
