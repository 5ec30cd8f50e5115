//! What is written down comes back the same, whatever becomes of the bytes nothing panics, and old files still open.

mod accounts;
mod damage;
mod deliveries;
mod fixtures;
mod public_events;
mod samples;
mod snapshots;
mod turns;
mod world;
