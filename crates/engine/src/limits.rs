//! Every bound of the engine, with its source in the reference (rest-contract, section 10; routing, section 4.7).
//! Those of expressions and attributes are in `pointsman_expression::limits`.

use crate::values::DurationMs;

/// Bytes of a Workflow configuration.
pub const CONFIGURATION_BYTES_MAX: usize = 1_038_576;
/// Workers reserved at the same time for one Task of a queue.
pub const RESERVED_WORKERS_MAX: u32 = 50;
/// Tasks of one Worker on one TaskChannel.
pub const CAPACITY_MAX: u32 = 50;
/// Seconds that a Task may wait before its first acceptance, and what applies when none are given.
pub const TASK_TIMEOUT_SECONDS_MAX: u32 = 1_209_600;
pub const TASK_TIMEOUT_SECONDS_DEFAULT: u32 = 86_400;
/// Seconds to answer a reservation, and what applies when none are given.
pub const RESERVATION_TIMEOUT_SECONDS_MAX: u32 = 86_400;
pub const RESERVATION_TIMEOUT_SECONDS_DEFAULT: u32 = 120;
/// Largest priority of a Task and longest time-out of a Workflow step.
pub const PRIORITY_MAX: u32 = 2_147_483_647;
pub const STEP_TIMEOUT_SECONDS_MAX: u32 = 2_147_483_647;
/// An instruction that waits for telephony is given up after this.
pub const ON_HOLD: DurationMs = DurationMs::from_seconds(600);
/// First and longest pause after failed assignment callbacks; it doubles in between.
pub const HOLD_OFF_SECONDS_FIRST: u32 = 1;
pub const HOLD_OFF_SECONDS_MAX: u32 = 60;

/// Bounds that an operator may change; the rest of this file is fixed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    pub activities_max: u32,
    pub task_channels_max: u32,
    /// Other objects per Workspace; `None` is unlimited.
    pub workers_max: Option<u32>,
    pub task_queues_max: Option<u32>,
    pub workflows_max: Option<u32>,
    pub tasks_max: Option<u32>,
    /// Moves of a Task from pending to reserved before it is canceled.
    pub task_assignments_max: u32,
    /// A Task that was accepted is removed after this.
    pub assigned_max: DurationMs,
    /// A completed or canceled Task is removed after this.
    pub finished_retention: DurationMs,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            activities_max: 100,
            task_channels_max: 15,
            workers_max: None,
            task_queues_max: None,
            workflows_max: None,
            tasks_max: None,
            task_assignments_max: 1_000,
            assigned_max: DurationMs::from_seconds(86_400),
            finished_retention: DurationMs::from_seconds(300),
        }
    }
}
