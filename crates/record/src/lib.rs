//! Durable records: what the journal, the snapshots and the history hold, as bytes that outlive this program.
//!
//! The engine knows no format, the store knows no content; this crate stands between them. Every record begins with
//! the version of its format; the rest is a Protocol Buffers message, whose numbered fields later versions may add to.
//!
//! - [`turn`]: one turn of the engine, for the journal. [`public_event`]: one event, for the history.
//!   [`snapshot`]: a whole Workspace in chunks. [`accounts`]: accounts and keys. [`delivery`]: a callback that waits.
//! - Reading never panics, whatever the bytes: it gives a [`DecodeError`].
//!
//! Where to start: `field`, which says how the declarations in the other modules are to be read. There is no file of
//! definitions beside them: the declarations are the format.

pub mod accounts;
pub mod delivery;
pub mod limits;
pub mod public_event;
pub mod snapshot;
pub mod turn;

mod error;
mod event;
mod field;
mod frame;
mod tables;
mod validate;
mod values;

pub use crate::error::DecodeError;
