//! The shell of Pointsman: everything that touches sockets, threads, clocks and files.
//!
//! What is answered and what happens is decided in `api`, `engine` and `dispatcher`; here it is carried out.
//! [`Server`] starts and stops everything and shows how the parts hang together; [`configuration`] is what can be set.

pub mod accounts;
pub mod admin;
pub mod configuration;
pub mod limits;
pub mod logging;
pub mod networks;
pub mod open_files;

mod backlog;
mod callback_client;
mod clock;
mod clock_control;
mod commit;
mod deliveries;
mod engines;
mod failing;
mod health;
mod history;
mod http;
mod listener;
mod lookups;
mod maintenance;
mod metrics;
mod patience;
mod priority;
mod projector;
mod recovery;
mod retention;
mod server;
mod storage;

pub use crate::clock::real_time;
pub use crate::recovery::RecoveryError;
pub use crate::server::{Server, StartError, opener};
pub use crate::storage::{Closed, Opener, Storage};
