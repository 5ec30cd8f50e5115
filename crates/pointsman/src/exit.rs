//! How the program ends.

use pointsman_server::StartError;
use pointsman_server::accounts::AccountsError;
use pointsman_server::admin::{BackupError, ExportError, OpenError, ReadError};
use pointsman_server::configuration::ConfigurationError;

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

/// Damage was found, and told before.
#[derive(Debug, thiserror::Error)]
#[error("{count} places are damaged")]
pub(crate) struct Damaged {
    pub(crate) count: usize,
}

/// Options that do not fit together or cannot be read.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(crate) struct Usage(pub(crate) String);

/// The exit code of a failure.
pub(crate) fn code(error: &anyhow::Error) -> u8 {
    if error.downcast_ref::<ConfigurationError>().is_some() {
        return USAGE;
    }
    if let Some(error) = error.downcast_ref::<OpenError>() {
        return code_of_open(error);
    }
    if error.downcast_ref::<Usage>().is_some() {
        return USAGE;
    }
    if error.downcast_ref::<Damaged>().is_some() || error.downcast_ref::<ReadError>().is_some() {
        return DAMAGED;
    }
    match error.downcast_ref::<BackupError>() {
        Some(BackupError::Open(error)) => return code_of_open(error),
        Some(
            BackupError::Damaged(_) | BackupError::Read(_) | BackupError::Foreign { .. } | BackupError::Format { .. },
        ) => {
            return DAMAGED;
        }
        Some(BackupError::NotEmpty { .. } | BackupError::NoStore { .. }) => return DATA_DIR,
        Some(BackupError::Exists { .. } | BackupError::File { .. } | BackupError::Overtaken { .. }) => return FAILED,
        None => {}
    }
    match error.downcast_ref::<ExportError>() {
        Some(ExportError::NoWorkspace(_)) => return USAGE,
        Some(ExportError::Recovery(_) | ExportError::Read(_) | ExportError::Decode { .. }) => return DAMAGED,
        Some(ExportError::Project(_) | ExportError::Write(_)) | None => {}
    }
    if let Some(error) = error.downcast_ref::<AccountsError>() {
        return code_of_accounts(error);
    }
    match error.downcast_ref::<StartError>() {
        Some(StartError::Listen { .. }) => LISTEN,
        Some(StartError::Open(error)) => code_of_open(error),
        Some(StartError::Accounts(error)) => code_of_accounts(error),
        Some(StartError::Recovery(_) | StartError::Read(_)) => DAMAGED,
        Some(StartError::Callbacks(_)) => USAGE,
        Some(StartError::Begin(_)) => DATA_DIR,
        Some(StartError::Thread(_) | StartError::Overdue) | None => FAILED,
    }
}

fn code_of_accounts(error: &AccountsError) -> u8 {
    match error {
        AccountsError::Read(_) | AccountsError::Decode { .. } => DAMAGED,
        AccountsError::Begin(_) | AccountsError::Append(_) => DATA_DIR,
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
        | OpenError::Full { .. }
        | OpenError::NoDay { .. }
        | OpenError::Unfinished { .. }
        | OpenError::SqliteVersion { .. }
        | OpenError::Write(_) => DATA_DIR,
    }
}
