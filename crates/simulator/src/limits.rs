//! Bounds of the simulator.

/// Events of one command that a report prints on each side.
pub const REPORTED_EVENTS_MAX: usize = 40;
/// Runs that shrinking one failure may take.
pub const SHRINK_RUNS_MAX: usize = 4_000;
/// Turns after the last command of a simulation, until which time alone must have ended everything.
pub const DRAIN_TURNS_MAX: usize = 200_000;
