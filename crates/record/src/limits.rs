//! Every bound of this crate.

/// Format that this program writes, and the newest one that it reads.
pub const FORMAT_VERSION: u8 = 1;

/// A chunk of a snapshot ends with the row that makes it this long; one row may be longer than that.
pub const CHUNK_BYTES: usize = 1 << 20;
