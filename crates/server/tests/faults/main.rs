//! What is stored survives crashes and is never read wrong: the dispatcher on both stores, without sockets.
//!
//! Each test prints its seed and takes a count from the environment, so that long runs need no other program.

mod corruption;
mod crash_points;
mod fixture;
mod large;
mod world;
