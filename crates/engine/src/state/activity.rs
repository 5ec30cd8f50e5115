//! What a Worker is doing. Reference: rest-contract, section 6.2.

use alloc::sync::Arc;

use crate::ids::{Entity, Id, Sid};
use crate::values::Timestamp;

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Activity {
    pub id: Id<Activity>,
    pub sid: Sid<Activity>,
    pub friendly_name: Arc<str>,
    /// Workers in it may be given reservations; never changes.
    pub available: bool,
    pub date_created: Timestamp,
    pub date_updated: Timestamp,
}

impl Entity for Activity {
    const PREFIX: &'static str = "WA";
}
