//! How the program ends.

use pointsman_server::StartError;
use pointsman_server::configuration::ConfigurationError;
use pointsman_store::OpenError;

/// The table of `--help`.
pub(crate) const TABLE: &str = "\
Exit codes:
  0  done; for serve: stopped by a signal, everything stored
  1  something failed that none of the others names
  2  an option, a variable or the configuration file is wrong
  3  the address to listen on cannot be had
  4  the data directory cannot be used, or another process uses it
  5  what is stored is damaged, or was written by a newer program";

pub(crate) const FAILED: u8 = 1;
pub(crate) const USAGE: u8 = 2;
pub(crate) const LISTEN: u8 = 3;
pub(crate) const DATA_DIR: u8 = 4;
pub(crate) const DAMAGED: u8 = 5;

/// The exit code of a failure.
pub(crate) fn code(error: &anyhow::Error) -> u8 {
    if error.downcast_ref::<ConfigurationError>().is_some() {
        return USAGE;
    }
    if let Some(error) = error.downcast_ref::<OpenError>() {
        return code_of_open(error);
    }
    match error.downcast_ref::<StartError>() {
        Some(StartError::Listen { .. }) => LISTEN,
        Some(StartError::Open(error)) => code_of_open(error),
        Some(StartError::Recovery(_) | StartError::Accounts(_) | StartError::Read(_)) => DAMAGED,
        Some(StartError::Callbacks(_)) => USAGE,
        Some(StartError::Begin(_)) => DATA_DIR,
        Some(StartError::Thread(_) | StartError::Overdue) | None => FAILED,
    }
}

fn code_of_open(error: &OpenError) -> u8 {
    match error {
        OpenError::Format { .. } | OpenError::Missing { .. } | OpenError::Behind { .. } | OpenError::Read(_) => DAMAGED,
        OpenError::Directory { .. }
        | OpenError::InUse { .. }
        | OpenError::Lock { .. }
        | OpenError::File { .. }
        | OpenError::Database { .. }
        | OpenError::Foreign { .. }
        | OpenError::Unfinished { .. }
        | OpenError::SqliteVersion { .. }
        | OpenError::Write(_) => DATA_DIR,
    }
}
