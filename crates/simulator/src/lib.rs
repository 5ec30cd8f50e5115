//! Proof that the engine does what the reference says, by two roads.
//!
//! - [`compare`]: the engine beside [`naive`], a second implementation that scans everything, over random small
//!   [`world`]s. Events, refusals, answers and state must agree after every command.
//! - [`simulate`]: one Workspace over days of virtual time, and checkers that know the promises and nothing else.
//!
//! Everything is drawn from a seed. A failure prints one line to reproduce it and the shortest script that shows it.
//! Internals: `docs/internals/simulation.md`.
#![forbid(unsafe_code)]

pub mod compare;
pub mod limits;
pub mod naive;
pub mod random;
pub mod script;
mod shrink;
pub mod simulate;
pub mod world;
