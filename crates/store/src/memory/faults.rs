//! Faults that a simulation plans.

use std::collections::{BTreeMap, BTreeSet};

/// What is to go wrong, by the number of the call since the plan was set; the first call is 1.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Faults {
    pub appends: BTreeMap<u64, AppendFault>,
    /// Reads of any kind that fail once.
    pub reads: BTreeSet<u64>,
}

/// How an append fails.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum AppendFault {
    /// No space: nothing is written, the store goes on, the same append may succeed later.
    Full,
    /// Written, but not known to be durable: the store stops, and the next crash decides.
    Unsynchronized,
    /// Written in part: the store stops, and nothing of the batch is ever seen.
    Torn,
}

/// How a crash ends for what was not acknowledged.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct CrashPlan {
    pub unacknowledged: Unacknowledged,
    /// The history falls back to where it was last synchronized, as after a loss of power.
    pub loses_projection: bool,
}

/// What becomes of a batch that was written but not acknowledged. There is no third way.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Unacknowledged {
    Lost,
    Kept,
}
