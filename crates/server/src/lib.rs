//! The shell of Pointsman: everything that touches sockets, threads, clocks and files.
//!
//! What is answered and what happens is decided in `api`, `engine` and `dispatcher`; here it is carried out.

pub mod configuration;
pub mod limits;
