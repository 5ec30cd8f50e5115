//! One file per command.

pub(crate) mod account;
pub(crate) mod config;
pub(crate) mod serve;
