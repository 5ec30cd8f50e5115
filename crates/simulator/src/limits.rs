//! Bounds of the simulator.

/// Events of one command that a report prints on each side.
pub const REPORTED_EVENTS_MAX: usize = 40;
/// Runs that shrinking one failure may take.
pub const SHRINK_RUNS_MAX: usize = 4_000;
