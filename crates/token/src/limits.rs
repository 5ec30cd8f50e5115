//! Every limit of this crate.

use std::ops::RangeInclusive;

/// Longest `Authorization` header that is looked at, in bytes. Ours; an account needs 96.
pub const AUTHORIZATION_BYTES_MAX: usize = 4_096;

/// Longest address of a callback, in bytes of the text given. Ours; common servers refuse longer request lines anyway.
pub const CALLBACK_URL_BYTES_MAX: usize = 4_096;

/// Range of the connection override `ct`. Reference: events and callbacks, section 12.3, documented.
pub const CONNECT_TIMEOUT_MS: RangeInclusive<u16> = 100..=10_000;

/// Range of the connection override `rt`. Reference: events and callbacks, section 12.3, documented.
pub const READ_TIMEOUT_MS: RangeInclusive<u16> = 100..=15_000;

/// Range of the connection override `tt`. Reference: events and callbacks, section 12.3, documented.
pub const TOTAL_TIMEOUT_MS: RangeInclusive<u16> = 100..=15_000;

/// Range of the connection override `rc`. Reference: events and callbacks, section 12.3, documented.
pub const RETRIES: RangeInclusive<u16> = 0..=5;
