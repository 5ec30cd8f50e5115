//! The data directory: who may use it, and whether it has been used before.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{Read, Write};
use std::path::{Path, PathBuf};

use crate::OpenError;

/// Format of the directory as a whole; each file in it has its own besides.
const FORMAT: i64 = 1;
const LOCK_FILE: &str = "store.lock";
const FORMAT_LINE: &str = "pointsman store format ";

/// Holds the directory for this process. Ends with the process, however that ends.
#[derive(Debug)]
pub(super) struct DirectoryLock {
    file: File,
    path: PathBuf,
    is_new: bool,
}

impl DirectoryLock {
    pub(super) fn take(directory: &Path) -> Result<DirectoryLock, OpenError> {
        fs::create_dir_all(directory)
            .map_err(|source| OpenError::Directory { path: directory.to_path_buf(), source })?;
        let path = directory.join(LOCK_FILE);
        let mut file = OpenOptions::new()
            .create(true)
            .truncate(false)
            .read(true)
            .write(true)
            .open(&path)
            .map_err(|source| OpenError::Lock { path: path.clone(), source })?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(OpenError::InUse { path: directory.to_path_buf() }),
            Err(TryLockError::Error(source)) => return Err(OpenError::Lock { path, source }),
        }
        let mut text = String::new();
        file.read_to_string(&mut text).map_err(|source| OpenError::Lock { path: path.clone(), source })?;
        let is_new = text.is_empty();
        if !is_new {
            let found = text.strip_prefix(FORMAT_LINE).and_then(|rest| rest.trim_end().parse::<i64>().ok());
            match found {
                Some(FORMAT) => {}
                Some(found) => return Err(OpenError::Format { path, found, known: FORMAT }),
                None => return Err(OpenError::Foreign { path }),
            }
        }
        Ok(DirectoryLock { file, path, is_new })
    }

    /// No store has been opened here before.
    pub(super) fn is_new(&self) -> bool {
        self.is_new
    }

    /// From now on a journal that is not there is a loss, not a beginning.
    pub(super) fn mark_used(&self) -> Result<(), OpenError> {
        if !self.is_new {
            return Ok(());
        }
        let failed = |source| OpenError::Lock { path: self.path.clone(), source };
        (&self.file).write_all(format!("{FORMAT_LINE}{FORMAT}\n").as_bytes()).map_err(failed)?;
        self.file.sync_all().map_err(failed)?;
        synchronize_directory(self.path.parent().expect("the lock lies in the directory")).map_err(failed)
    }
}

/// Makes the names in a directory durable.
pub(super) fn synchronize_directory(directory: &Path) -> std::io::Result<()> {
    File::open(directory)?.sync_all()
}
