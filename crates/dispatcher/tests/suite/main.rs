//! The dispatcher without sockets: requests, callbacks and calls as values.

mod bench;
mod bridge;
mod deliveries;
mod shard;
