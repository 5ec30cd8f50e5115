//! What all our SQLite files have in common: how they are opened and recognized, and pools of readers.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use rusqlite::{Connection, ErrorCode, OpenFlags};

use crate::{AppendError, Damage, OpenError, Position, ReadError, WriteError, limits};

/// As SQLite makes its files unless it is told otherwise.
pub(super) const PAGE_BYTES: u64 = 4_096;

/// Older ones can lose commits when a write-ahead log starts over.
const LIBRARY_NEEDED: (i32, &str) = (3_051_003, "3.51.3");

/// One kind of file: how it is recognized, which formats there are, and the tables of the newest.
#[derive(Debug)]
pub(super) struct FileKind {
    /// Stands in the header of the file, as `application_id`.
    pub(super) mark: i32,
    /// Stands there too, as `user_version`.
    pub(super) format: i64,
    /// Files from this format on are read and written too.
    pub(super) oldest_format: i64,
    pub(super) schema: &'static str,
    /// What each format after `oldest_format` has changed since the one before it; an older file gets that when it is
    /// opened for writing. Without any it stays as it is.
    pub(super) steps: &'static [&'static str],
    /// `FULL`: durable on commit. `NORMAL`: consistent, durable on the next checkpoint.
    pub(super) synchronous: &'static str,
    /// Pages in the write-ahead log that make a commit begin a checkpoint; 0: commits never do.
    pub(super) autocheckpoint_pages: u32,
    pub(super) cache_kib: u32,
}

pub(super) fn check_library(version: i32) -> Result<(), OpenError> {
    let (needed, needed_text) = LIBRARY_NEEDED;
    if version >= needed {
        return Ok(());
    }
    let found = format!("{}.{}.{}", version / 1_000_000, version / 1_000 % 1_000, version % 1_000);
    Err(OpenError::SqliteVersion { found, needed: needed_text })
}

/// Opens a file for writing, and makes it if it is not there.
pub(super) fn open_writer(path: &Path, kind: &FileKind) -> Result<Connection, OpenError> {
    let failed = |step| move |source: rusqlite::Error| open_failed(step, path, source);
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let mut connection = Connection::open_with_flags(path, flags).map_err(failed("open"))?;
    connection.set_prepared_statement_cache_capacity(64);
    connection.busy_timeout(std::time::Duration::from_secs(10)).map_err(failed("set the lock time-out of"))?;
    let is_empty = is_empty(&connection).map_err(failed("read the tables of"))?;
    let found_format = if is_empty { kind.format } else { check_kind(&connection, path, kind)? };
    connection
        .execute_batch(&format!(
            "PRAGMA journal_mode = WAL; PRAGMA synchronous = {}; PRAGMA wal_autocheckpoint = {};
             PRAGMA cache_size = -{}; PRAGMA temp_store = MEMORY; PRAGMA foreign_keys = OFF;",
            kind.synchronous, kind.autocheckpoint_pages, kind.cache_kib
        ))
        .map_err(failed("set up"))?;
    if is_empty {
        let transaction = connection.transaction().map_err(failed("begin the tables of"))?;
        transaction
            .execute_batch(&format!(
                "PRAGMA application_id = {}; PRAGMA user_version = {}; {} {}",
                kind.mark,
                kind.format,
                kind.schema,
                kind.steps.concat()
            ))
            .map_err(failed("make the tables of"))?;
        transaction.commit().map_err(failed("commit the tables of"))?;
        let directory = path.parent().expect("our files lie in a directory");
        super::directory::synchronize_directory(directory).map_err(|source| OpenError::File {
            step: "synchronize the directory of",
            path: path.to_path_buf(),
            source,
        })?;
    }
    let passed = (found_format - kind.oldest_format) as usize;
    if let Some(steps) = kind.steps.get(passed..).filter(|steps| !steps.is_empty()) {
        let steps = steps.concat();
        connection
            .execute_batch(&format!("BEGIN; {steps} PRAGMA user_version = {}; COMMIT;", kind.format))
            .map_err(failed("bring to the newest format"))?;
    }
    Ok(connection)
}

/// Opens a file that is there for reading, beside whoever writes it, also in another process.
///
/// - `None`: it has no tables yet.
pub(super) fn open_reader(path: &Path, kind: &FileKind) -> Result<Option<Connection>, OpenError> {
    let connection = connect_reader(path).map_err(|source| open_failed("open", path, source))?;
    if is_empty(&connection).map_err(|source| open_failed("read the tables of", path, source))? {
        return Ok(None);
    }
    check_kind(&connection, path, kind)?;
    Ok(Some(connection))
}

fn is_empty(connection: &Connection) -> rusqlite::Result<bool> {
    connection.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get::<_, i64>(0)).map(|tables| tables == 0)
}

fn connect_reader(path: &Path) -> rusqlite::Result<Connection> {
    // Not read-only: the first connection to a write-ahead log must be able to make its index.
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags)?;
    connection.set_prepared_statement_cache_capacity(32);
    connection.busy_timeout(std::time::Duration::from_secs(10))?;
    connection.execute_batch("PRAGMA query_only = ON; PRAGMA cache_size = -2048; PRAGMA wal_autocheckpoint = 0;")?;
    Ok(connection)
}

/// The format of a file, which must be one of ours and known to this program.
fn check_kind(connection: &Connection, path: &Path, kind: &FileKind) -> Result<i64, OpenError> {
    let failed = |source| open_failed("read the header of", path, source);
    let mark: i32 = pragma(connection, "application_id").map_err(failed)?;
    let format = format(connection).map_err(failed)?;
    if mark != kind.mark {
        return Err(OpenError::Foreign { path: path.to_path_buf() });
    }
    if !(kind.oldest_format..=kind.format).contains(&format) {
        return Err(OpenError::Format { path: path.to_path_buf(), found: format, known: kind.format });
    }
    Ok(format)
}

/// The format of a file.
pub(super) fn format(connection: &Connection) -> rusqlite::Result<i64> {
    connection.prepare_cached("PRAGMA user_version")?.query_row([], |row| row.get(0))
}

fn pragma<T: rusqlite::types::FromSql>(connection: &Connection, name: &str) -> rusqlite::Result<T> {
    connection.query_row(&format!("PRAGMA {name}"), [], |row| row.get(0))
}

fn open_failed(step: &'static str, path: &Path, source: rusqlite::Error) -> OpenError {
    if is_damage(&source) {
        return OpenError::Read(ReadError::Damaged(damage(path, step, &source)));
    }
    OpenError::Database { step, path: path.to_path_buf(), source: Box::new(source) }
}

fn is_damage(error: &rusqlite::Error) -> bool {
    matches!(error.sqlite_error_code(), Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase))
        || matches!(
            error,
            rusqlite::Error::InvalidColumnType(..)
                | rusqlite::Error::FromSqlConversionFailure(..)
                | rusqlite::Error::IntegralValueOutOfRange(..)
        )
}

fn damage(path: &Path, step: &str, error: &rusqlite::Error) -> Damage {
    Damage { path: path.to_path_buf(), place: format!("the pages read to {step}"), problem: error.to_string() }
}

/// Makes an error of SQLite one of ours, for a read.
pub(super) fn read_failed(step: &'static str, path: &Path) -> impl Fn(rusqlite::Error) -> ReadError {
    move |source| {
        if is_damage(&source) {
            return ReadError::Damaged(damage(path, step, &source));
        }
        ReadError::Failed { step, path: path.to_path_buf(), source: Box::new(source) }
    }
}

/// Makes an error of SQLite one of ours, for a write that is not an append.
pub(super) fn write_failed(step: &'static str, path: &Path) -> impl Fn(rusqlite::Error) -> WriteError {
    move |source| {
        if is_damage(&source) {
            return WriteError::Read(ReadError::Damaged(damage(path, step, &source)));
        }
        let (path, is_full) = (path.to_path_buf(), source.sqlite_error_code() == Some(ErrorCode::DiskFull));
        let source = Box::new(source);
        if is_full { WriteError::Full { step, path, source } } else { WriteError::Failed { step, path, source } }
    }
}

/// Makes an error of SQLite one of ours, for an append. SQLite takes back what does not fit on the disk.
pub(super) fn append_failed(
    step: &'static str,
    path: &Path,
    position: Position,
) -> impl Fn(rusqlite::Error) -> AppendError {
    move |source| {
        let path = path.to_path_buf();
        if source.sqlite_error_code() == Some(ErrorCode::DiskFull) {
            return AppendError::Full { path, position, source: Box::new(source) };
        }
        AppendError::Failed { step, path, position, source: Box::new(source) }
    }
}

/// Takes a mutex, also after a panic elsewhere: what it guards is only changed after a commit.
pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A mutex that whoever waits for it gets next, also when its holder asks for it again at once. With one that is free
/// for all, a loop that works in pieces keeps the others out until its end.
#[derive(Debug, Default)]
pub(super) struct FairMutex<T> {
    /// Held while waiting.
    turn: Mutex<()>,
    inner: Mutex<T>,
}

impl<T> FairMutex<T> {
    pub(super) fn new(inner: T) -> FairMutex<T> {
        FairMutex { turn: Mutex::new(()), inner: Mutex::new(inner) }
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, T> {
        let _turn = lock(&self.turn);
        lock(&self.inner)
    }
}

/// Read connections to one file, made when they are needed.
pub(super) struct Readers {
    path: PathBuf,
    idle: Mutex<Vec<Connection>>,
}

impl Readers {
    pub(super) fn new(path: &Path) -> Readers {
        Readers { path: path.to_path_buf(), idle: Mutex::new(Vec::new()) }
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Reads in one transaction, so that all of it sees the same state.
    pub(super) fn read<T>(
        &self,
        step: &'static str,
        body: impl FnOnce(&Connection) -> Result<T, ReadError>,
    ) -> Result<T, ReadError> {
        let failed = read_failed(step, &self.path);
        let idle = lock(&self.idle).pop();
        let mut connection = match idle {
            Some(connection) => connection,
            None => connect_reader(&self.path).map_err(&failed)?,
        };
        let transaction = connection.transaction().map_err(&failed)?;
        let result = body(&transaction)?;
        transaction.finish().map_err(&failed)?;
        let mut idle = lock(&self.idle);
        if idle.len() < limits::READERS_IDLE_MAX {
            idle.push(connection);
        }
        Ok(result)
    }
}

impl fmt::Debug for Readers {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Readers").field("path", &self.path).finish_non_exhaustive()
    }
}

/// Lists what SQLite itself finds wrong with a file, its own indexes included.
pub(super) fn integrity_check(connection: &Connection, path: &Path, into: &mut Vec<Damage>) -> Result<(), ReadError> {
    let failed = read_failed("check", path);
    let mut statement = connection.prepare("PRAGMA integrity_check").map_err(&failed)?;
    let mut rows = statement.query([]).map_err(&failed)?;
    loop {
        let line = match rows.next() {
            Ok(Some(row)) => row.get::<_, String>(0),
            Ok(None) => return Ok(()),
            Err(source) => Err(source),
        };
        match line {
            Ok(line) if line == "ok" => {}
            Ok(problem) => into.push(Damage { path: path.to_path_buf(), place: "its pages".to_owned(), problem }),
            Err(source) if is_damage(&source) => {
                into.push(damage(path, "check", &source));
                return Ok(());
            }
            Err(source) => return Err(failed(source)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_library_older_than_the_one_that_keeps_its_commits_is_refused() {
        let error = check_library(3_051_002).unwrap_err();
        assert_eq!(error.to_string(), "this program is linked to SQLite 3.51.2; it needs 3.51.3 or newer");
        check_library(3_051_003).unwrap();
        check_library(rusqlite::version_number()).unwrap();
    }
}
