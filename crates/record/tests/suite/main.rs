//! What is written down comes back the same, whatever becomes of the bytes nothing panics, and old files still open.

mod snapshots;
mod turns;
mod world;
