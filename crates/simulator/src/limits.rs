//! Bounds of the simulator.

/// Events of one command that a report prints on each side.
pub const REPORTED_EVENTS_MAX: usize = 40;
/// Runs that shrinking one failure may take.
pub const SHRINK_RUNS_MAX: usize = 4_000;
/// Turns after the last command of a simulation, until which time alone must have ended everything.
pub const DRAIN_TURNS_MAX: usize = 200_000;
/// Turns between two faults of the store in a simulation, on average.
pub const TURNS_BETWEEN_CRASHES: usize = 300;
/// Turns between two snapshots in a simulation.
pub const TURNS_BETWEEN_SNAPSHOTS: usize = 250;
/// Instants at which anything happens in a simulation: a very busy Workspace has fewer days than a quiet one, since a
/// check costs as much as there are Tasks.
pub const INSTANTS_MAX: usize = 10_000;
