//! The data directory: who may use it, and whether it has been used before.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};

use crate::{OpenError, WriteError};

/// Format of the directory as a whole; each file in it has its own besides.
const FORMAT: i64 = 1;
const LOCK_FILE: &str = "store.lock";
const ASIDE_FILE: &str = "store.tmp";
const PROBE_FILE: &str = "store.probe";
const FORMAT_LINE: &str = "pointsman store format ";
const UNFINISHED_LINE: &str = "pointsman restoration that is not finished\n";

/// Holds the directory for this process. Ends with the process, however that ends.
#[derive(Debug)]
pub(super) struct DirectoryLock {
    file: File,
    path: PathBuf,
    is_new: bool,
}

/// Makes a directory that only its owner may look into: what is stored holds secrets.
///
/// - One that exists keeps the mode that its owner gave it.
pub(super) fn make_private(directory: &Path) -> std::io::Result<()> {
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(directory)
}

impl DirectoryLock {
    pub(super) fn take(directory: &Path) -> Result<DirectoryLock, OpenError> {
        let lock = DirectoryLock::take_any(directory)?;
        let text = lock.read()?;
        // A restoration that was killed before its mark had its name left the file of the mark.
        if text == UNFINISHED_LINE || directory.join(ASIDE_FILE).exists() {
            return Err(OpenError::Unfinished { path: directory.to_path_buf() });
        }
        Ok(lock)
    }

    /// The same for a restoration, which has set its mark.
    pub(super) fn take_any(directory: &Path) -> Result<DirectoryLock, OpenError> {
        make_private(directory).map_err(|source| OpenError::Directory { path: directory.to_path_buf(), source })?;
        let path = directory.join(LOCK_FILE);
        let file = OpenOptions::new()
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
        let mut lock = DirectoryLock { file, path, is_new: false };
        let text = lock.read()?;
        lock.is_new = text.is_empty();
        match check_format(&text, &lock.path) {
            Err(OpenError::Unfinished { .. }) | Ok(()) => Ok(lock),
            Err(_) if lock.is_new => Ok(lock),
            Err(error) => Err(error),
        }
    }

    fn read(&self) -> Result<String, OpenError> {
        fs::read_to_string(&self.path).map_err(|source| OpenError::Lock { path: self.path.clone(), source })
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

impl Drop for DirectoryLock {
    /// Closing the file is not enough: a process that another thread is just starting shares it until it runs its own
    /// program, and with it the lock.
    fn drop(&mut self) {
        // A lock that cannot be given back here ends with the process.
        let _ = self.file.unlock();
    }
}

fn check_format(text: &str, path: &Path) -> Result<(), OpenError> {
    let path = path.to_path_buf();
    if text == UNFINISHED_LINE {
        return Err(OpenError::Unfinished {
            path: path.parent().expect("the lock lies in the directory").to_path_buf(),
        });
    }
    match text.strip_prefix(FORMAT_LINE).and_then(|rest| rest.trim_end().parse::<i64>().ok()) {
        Some(FORMAT) => Ok(()),
        Some(found) => Err(OpenError::Format { path, found, known: FORMAT }),
        None => Err(OpenError::Foreign { path }),
    }
}

/// Whether a store has been opened in a directory before. Takes no lock.
pub(super) fn is_used(directory: &Path) -> Result<bool, OpenError> {
    let path = directory.join(LOCK_FILE);
    match fs::read_to_string(&path) {
        Ok(text) if text.is_empty() => Ok(false),
        Ok(text) => check_format(&text, &path).map(|()| true),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(false),
        Err(source) => Err(OpenError::Lock { path, source }),
    }
}

/// From now on no store opens here, until [`mark_finished`].
pub(super) fn mark_unfinished(directory: &Path) -> std::io::Result<()> {
    write_mark(directory, UNFINISHED_LINE)
}

pub(super) fn mark_finished(directory: &Path) -> std::io::Result<()> {
    write_mark(directory, &format!("{FORMAT_LINE}{FORMAT}\n"))
}

/// Whether a directory holds nothing, or nothing but the mark of a restoration that failed.
pub(super) fn is_empty_but_for_a_failure(directory: &Path) -> std::io::Result<bool> {
    for entry in fs::read_dir(directory)? {
        let entry = entry?;
        let is_mark = entry.file_name() == LOCK_FILE && fs::read_to_string(entry.path())? == UNFINISHED_LINE;
        if !is_mark && entry.file_name() != ASIDE_FILE {
            return Ok(false);
        }
    }
    Ok(true)
}

fn write_mark(directory: &Path, line: &str) -> std::io::Result<()> {
    let aside = directory.join(ASIDE_FILE);
    let mut file = File::create(&aside)?;
    file.write_all(line.as_bytes())?;
    file.sync_all()?;
    fs::rename(&aside, directory.join(LOCK_FILE))?;
    synchronize_directory(directory)
}

/// The path of a file whose name is that of another with something behind it.
pub(super) fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.to_path_buf().into_os_string();
    name.push(suffix);
    PathBuf::from(name)
}

/// Writes as many bytes into a file of their own as must find room, and removes it.
pub(super) fn probe(directory: &Path, bytes: usize) -> Result<(), WriteError> {
    let path = directory.join(PROBE_FILE);
    // Not zeros, which some file systems keep without room.
    let written = File::create(&path).and_then(|mut file| {
        file.write_all(&vec![0x5a; bytes])?;
        file.sync_all()
    });
    remove_probe(directory);
    written.map_err(|source| {
        let step = "find room for more in";
        let is_full = matches!(source.kind(), ErrorKind::StorageFull | ErrorKind::QuotaExceeded);
        let (path, source) = (directory.to_path_buf(), Box::new(source));
        if is_full { WriteError::Full { step, path, source } } else { WriteError::Failed { step, path, source } }
    })
}

/// Removes what a crash in the midst of [`probe`] has left.
pub(super) fn remove_probe(directory: &Path) {
    // Most of the time it is not there, and where it cannot be removed it does no harm.
    let _ = fs::remove_file(directory.join(PROBE_FILE));
}

/// Makes the names in a directory durable.
pub(super) fn synchronize_directory(directory: &Path) -> std::io::Result<()> {
    File::open(directory)?.sync_all()
}
