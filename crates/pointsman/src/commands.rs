//! One file per command.

pub(crate) mod account;
pub(crate) mod backup;
pub(crate) mod check;
pub(crate) mod config;
pub(crate) mod export_events;
pub(crate) mod forget_days;
pub(crate) mod restore;
pub(crate) mod serve;
