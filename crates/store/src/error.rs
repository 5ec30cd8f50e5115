//! What can go wrong. A text names the file and the place; its cause is its source.

use std::path::PathBuf;

use crate::{Epoch, Position, SequenceNumber, StreamId};

/// What lies under a failure.
pub type Cause = Box<dyn std::error::Error + Send + Sync>;

/// Something on disk that is not as it was written.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("{} is damaged at {place}: {problem}", path.display())]
pub struct Damage {
    pub path: PathBuf,
    /// Which record, chunk, row or byte.
    pub place: String,
    pub problem: String,
}

impl Damage {
    pub(crate) fn checksum(path: &std::path::Path, place: String, found: u32, expected: u32) -> Damage {
        Damage {
            path: path.to_path_buf(),
            place,
            problem: format!("it has checksum {found:#010x}, expected {expected:#010x}"),
        }
    }
}

/// What to do about a day of the history that does not fit.
pub(crate) const REMEDY_FOR_DAY: &str = "restore a back-up, or give the day up with `pointsman forget-days`";

/// The store could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    #[error("failed to make the directory {}", path.display())]
    Directory {
        path: PathBuf,
        #[source]
        source: std::io::Error,
    },
    #[error("the data directory {} is in use by another process", path.display())]
    InUse { path: PathBuf },
    #[error("failed to lock {}", path.display())]
    Lock {
        path: PathBuf,
        #[source]
        source: std::io::Error,
    },
    #[error("failed to {step} {}", path.display())]
    File {
        step: &'static str,
        path: PathBuf,
        #[source]
        source: std::io::Error,
    },
    #[error("failed to {step} {}", path.display())]
    Database {
        step: &'static str,
        path: PathBuf,
        #[source]
        source: Cause,
    },
    #[error("{} was written by store format {found}; this program reads format {known}", path.display())]
    Format { path: PathBuf, found: i64, known: i64 },
    #[error("{} is not a file of this store", path.display())]
    Foreign { path: PathBuf },
    #[error("a back-up was being restored into {} and did not get to its end; restore it again, into an empty directory", path.display())]
    Unfinished { path: PathBuf },
    #[error("no space left in {}", path.display())]
    Full {
        path: PathBuf,
        #[source]
        source: Box<OpenError>,
    },
    #[error("{} is missing or empty, though the store in its directory has been used before", path.display())]
    Missing { path: PathBuf },
    #[error("{} ends at position {last}, but {} holds what came after it, up to position {later}; {REMEDY_FOR_DAY}", path.display(), witness.display())]
    Behind { path: PathBuf, last: Position, witness: PathBuf, later: Position },
    #[error("the history has no day {}, and has not lost one", path.display())]
    NoDay { path: PathBuf },
    #[error("this program is linked to SQLite {found}; it needs {needed} or newer")]
    SqliteVersion { found: String, needed: &'static str },
    #[error("the store cannot be read as it is")]
    Read(#[from] ReadError),
    #[error("the store cannot be put in order")]
    Write(#[from] WriteError),
}

/// An append that did not happen, or of which that is not known.
#[derive(Debug, thiserror::Error)]
pub enum AppendError {
    /// Nothing was written, and with this epoch nothing will be.
    #[error("epoch {presented} may not append: the journal belongs to epoch {current}")]
    Fenced { presented: Epoch, current: Epoch },
    /// Nothing was written.
    #[error("stream {stream} was given sequence number {found}, expected {expected}")]
    Sequence { stream: StreamId, found: SequenceNumber, expected: SequenceNumber },
    /// Nothing was written.
    #[error("{what}: {size} is more than the {limit} allowed")]
    TooLarge { what: &'static str, size: usize, limit: usize },
    /// Nothing was written; the same append may succeed later.
    #[error("no space left for {} after position {position}", path.display())]
    Full {
        path: PathBuf,
        position: Position,
        #[source]
        source: Cause,
    },
    /// Whether the records are there will be known after the store is opened again; until then it takes no more.
    #[error("failed to {step} in {} after position {position}", path.display())]
    Failed {
        step: &'static str,
        path: PathBuf,
        position: Position,
        #[source]
        source: Cause,
    },
    /// An earlier append failed.
    #[error("{} takes no more records since an append after position {position} failed; open the store again", path.display())]
    Stopped { path: PathBuf, position: Position },
}

impl AppendError {
    pub(crate) fn check_size(what: &'static str, size: usize, limit: usize) -> Result<(), AppendError> {
        if size > limit { Err(AppendError::TooLarge { what, size, limit }) } else { Ok(()) }
    }
}

/// A read that failed.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    #[error("failed to {step} in {}", path.display())]
    Failed {
        step: &'static str,
        path: PathBuf,
        #[source]
        source: Cause,
    },
    #[error(transparent)]
    Damaged(#[from] Damage),
    /// The records asked for are in a snapshot by now.
    #[error("stream {stream} begins after sequence number {first_after}; what follows {asked_after} was asked for")]
    Trimmed { stream: StreamId, asked_after: SequenceNumber, first_after: SequenceNumber },
    #[error("there is no snapshot of stream {stream} at sequence number {sequence}")]
    NoSnapshot { stream: StreamId, sequence: SequenceNumber },
}

/// A change other than an append that failed. None of these loses what was acknowledged; each may be tried again.
#[derive(Debug, thiserror::Error)]
pub enum WriteError {
    #[error("no space left to {step} in {}", path.display())]
    Full {
        step: &'static str,
        path: PathBuf,
        #[source]
        source: Cause,
    },
    #[error("failed to {step} in {}", path.display())]
    Failed {
        step: &'static str,
        path: PathBuf,
        #[source]
        source: Cause,
    },
    #[error("{what}: {size} is more than the {limit} allowed")]
    TooLarge { what: &'static str, size: usize, limit: usize },
    #[error("a snapshot of stream {stream} at sequence number {sequence} cannot be: the stream ends at {last}")]
    SnapshotAhead { stream: StreamId, sequence: SequenceNumber, last: SequenceNumber },
    #[error("a history row of position {position} stands between {before} and {up_to}")]
    RowOrder { position: Position, before: Position, up_to: Position },
    #[error("a history row of position {position} is of {at_ms} ms, which no identifier can hold")]
    Instant { position: Position, at_ms: i64 },
    #[error("position {up_to} cannot be in the history: the journal ends at {last}")]
    ProjectedAhead { up_to: Position, last: Position },
    #[error(transparent)]
    Read(#[from] ReadError),
}

impl WriteError {
    pub(crate) fn check_size(what: &'static str, size: usize, limit: usize) -> Result<(), WriteError> {
        if size > limit { Err(WriteError::TooLarge { what, size, limit }) } else { Ok(()) }
    }
}
