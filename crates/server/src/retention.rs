//! How long the events of each workspace are kept, and what follows from it for answers and for the store.

use std::collections::BTreeMap;

use pointsman_api::{CallScope, Settings};
use pointsman_engine::{DurationMs, Sid, Timestamp, Workspace};

use crate::configuration::Configuration;

/// Days that events are kept; the same for reads, statistics, the stream, the export and the store.
#[derive(Clone, Debug)]
pub(crate) struct Retention {
    days: u32,
    days_of: BTreeMap<Sid<Workspace>, u32>,
    statistics_days: u32,
}

impl Retention {
    pub(crate) fn new(configuration: &Configuration) -> Retention {
        Retention {
            days: configuration.events_retention_days,
            days_of: configuration.events_retention_days_of.clone(),
            statistics_days: configuration.statistics_retention_days,
        }
    }

    fn days(&self, workspace: Sid<Workspace>) -> u32 {
        self.days_of.get(&workspace).copied().unwrap_or(self.days)
    }

    /// How long the events of a workspace are kept.
    pub(crate) fn duration(&self, workspace: Sid<Workspace>) -> DurationMs {
        duration(self.days(workspace))
    }

    /// The oldest instant whose events are kept.
    pub(crate) fn oldest(&self, workspace: Sid<Workspace>, now: Timestamp) -> Timestamp {
        Timestamp(now.0 - self.duration(workspace).0)
    }

    /// What answers depend on. Statistics reach back no further than events are kept.
    pub(crate) fn settings(&self, scope: CallScope) -> Settings {
        let days = match scope {
            CallScope::Workspace(workspace) => self.days(workspace),
            CallScope::Account(_) => self.days,
        };
        Settings { statistics_retention_days: self.statistics_days.min(days), events_retention_days: days }
    }

    /// What the store keeps.
    pub(crate) fn stored(&self, now: Timestamp) -> pointsman_store::Retention {
        let from_ms = |days| now.0 - duration(days).0;
        pointsman_store::Retention {
            from_ms: from_ms(self.days),
            from_ms_of: self.days_of.iter().map(|(workspace, days)| (workspace.bytes(), from_ms(*days))).collect(),
        }
    }
}

fn duration(days: u32) -> DurationMs {
    DurationMs::from_seconds(days.saturating_mul(86_400))
}
