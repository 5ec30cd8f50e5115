//! Credentials, keys and request signatures: pure functions of texts, random bytes and times that the caller passes in.
//!
//! - [`basic`]: what a caller claims to be, and whether the secret is right.
//! - [`keys`]: identifiers and secrets of accounts and API keys.
//! - [`CallbackUrl`]: what an address of a callback means: where to send, what to sign, how long to wait.
//! - [`signature`]: `X-Twilio-Signature`, made and checked.
//!
//! There is no clock, no random source and no socket here, and nothing is remembered between calls.
//! Secrets are never part of an error, and `Debug` hides them.

pub mod basic;
pub mod keys;
pub mod limits;
pub mod signature;

mod callback_url;
mod overrides;

pub use url::{Host, Url};

pub use crate::callback_url::{CallbackUrl, CallbackUrlError};
pub use crate::overrides::{ConnectionOverrides, IgnoredOverride, IgnoredReason, RetryOn};
