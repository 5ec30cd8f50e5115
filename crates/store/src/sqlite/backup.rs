//! One file that holds a whole store, taken while a server uses it, and the way back.
//!
//! All parts must be of one moment. SQLite gives each database file a view that stands still while it is read, so the
//! views are taken first, one right after the other: the days of the history, then the journal. The history may then
//! be a little behind the journal, never ahead of it; the projection makes up for that after the restoration. What the
//! journal had trimmed must be in that history and in a snapshot; if maintenance or midnight came between, all begins
//! again.

mod archive;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use rusqlite::Connection;
use rusqlite::backup::{Backup, StepResult};

use crate::history::Day;
use crate::{
    CheckReport, Damage, OpenError, Position, ReadError, SequenceNumber, SqliteStore, Store, StreamId, limits,
};

use super::database::{self, FileKind, read_failed};
use super::directory::{self, beside, synchronize_directory};
use super::history::meta::{self, Stand};
use super::history::{self, day_file};
use super::{journal, ledger, snapshots};

use self::archive::{ArchiveReader, ArchiveWriter, create_private, failed};

/// A back-up, or a restoration, that did not come about. Nothing that was there before has changed.
#[derive(Debug, thiserror::Error)]
pub enum BackupError {
    #[error("{} exists already", path.display())]
    Exists { path: PathBuf },
    #[error("{} is not empty", path.display())]
    NotEmpty { path: PathBuf },
    #[error("{} holds no store", path.display())]
    NoStore { path: PathBuf },
    #[error("failed to {step} {}", path.display())]
    File {
        step: &'static str,
        path: PathBuf,
        #[source]
        source: std::io::Error,
    },
    #[error("{} is not a back-up of pointsman", path.display())]
    Foreign { path: PathBuf },
    #[error("{} was written in back-up format {found}; this program reads format {known}", path.display())]
    Format { path: PathBuf, found: u16, known: u16 },
    #[error(transparent)]
    Damaged(#[from] Damage),
    #[error("failed to read the store")]
    Read(#[from] ReadError),
    #[error(transparent)]
    Open(#[from] OpenError),
    #[error("the store changed in the midst of each of {attempts} attempts; try again")]
    Overtaken { attempts: u32 },
}

/// What a back-up holds.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct BackupReport {
    pub files: u64,
    pub bytes: u64,
    /// The last record.
    pub position: Position,
    pub streams: u64,
    pub snapshots: u64,
    pub history_days: u64,
    /// Snapshots that were left out because they are damaged; what they held is in the one before and the journal.
    pub damaged: Vec<Damage>,
}

/// Takes a back-up of the store in a directory, whether a server uses it or not.
///
/// - `file`: must not exist. It gets its name when it is complete and durable.
/// - `progress`: told the file being copied and its bytes so far.
/// - Cost: reads everything once; beside the result there is space needed for a copy of the largest database.
///   Meanwhile the journal's write-ahead log cannot start over, so it grows with what is written.
pub fn backup(directory: &Path, file: &Path, progress: &mut dyn FnMut(&str, u64)) -> Result<BackupReport, BackupError> {
    if !directory::is_used(directory)? {
        return Err(BackupError::NoStore { path: directory.to_path_buf() });
    }
    if file.exists() {
        return Err(BackupError::Exists { path: file.to_path_buf() });
    }
    let aside = Aside::beside(file);
    let mut lacking = None;
    for _ in 0..limits::BACKUP_ATTEMPTS_MAX {
        match attempt(directory, &aside, progress)? {
            Attempt::Complete(report) => {
                fs::rename(&aside.archive, file).map_err(failed("rename into place", file))?;
                let parent = file.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
                synchronize_directory(parent).map_err(failed("synchronize the directory of", file))?;
                return Ok(report);
            }
            Attempt::Overtaken => lacking = None,
            Attempt::Lacking(damage) => lacking = Some(damage),
        }
    }
    Err(lacking.map_or(BackupError::Overtaken { attempts: limits::BACKUP_ATTEMPTS_MAX }, BackupError::Damaged))
}

/// Makes a store out of a back-up, and reads all of it to see that it is good.
///
/// - `directory`: must be empty, or not there, or left by a restoration that failed. Until everything is written, no
///   server starts on it, and none starts after a failure.
/// - `accepts_damage`: keep what was restored also when some of it is damaged; otherwise damage is a failure.
pub fn restore(
    file: &Path,
    directory: &Path,
    accepts_damage: bool,
    progress: &mut dyn FnMut(&str, u64),
) -> Result<(BackupReport, CheckReport), BackupError> {
    let mut archive = ArchiveReader::open(file)?;
    directory::make_private(directory).map_err(failed("make the directory", directory))?;
    if !directory::is_empty_but_for_a_failure(directory).map_err(failed("list", directory))? {
        return Err(BackupError::NotEmpty { path: directory.to_path_buf() });
    }
    directory::mark_unfinished(directory).map_err(failed("mark as unfinished", directory))?;
    let restored = extract(&mut archive, directory, progress).and_then(|report| verify(report, directory, progress));
    match &restored {
        Ok((_, checked)) if checked.damage.is_empty() || accepts_damage => {
            directory::mark_finished(directory).map_err(failed("mark as finished", directory))?;
        }
        // The mark stays: a server that is started all the same must not take the directory for a new one.
        Ok(_) | Err(_) => remove_parts(directory),
    }
    restored
}

/// Reads all that was restored.
fn verify(
    report: BackupReport,
    directory: &Path,
    progress: &mut dyn FnMut(&str, u64),
) -> Result<(BackupReport, CheckReport), BackupError> {
    progress("check", 0);
    let store = SqliteStore::open_restored(directory)?;
    let checked = store.check()?;
    let (position, streams) = (store.last_position(), store.streams()?.len() as u64);
    Ok((BackupReport { position, streams, ..report }, checked))
}

fn extract(
    archive: &mut ArchiveReader,
    directory: &Path,
    progress: &mut dyn FnMut(&str, u64),
) -> Result<BackupReport, BackupError> {
    let mut report = BackupReport::default();
    let below = [snapshots::DIRECTORY, history::DIRECTORY];
    for name in below {
        fs::create_dir(directory.join(name)).map_err(failed("make the directory", directory))?;
    }
    while let Some(name) = archive.next_name()? {
        match name.split_once('/') {
            Some((snapshots::DIRECTORY, _)) => report.snapshots += 1,
            Some((history::DIRECTORY, _)) => report.history_days += 1,
            Some(_) => return Err(BackupError::Foreign { path: directory.join(name) }),
            None => {}
        }
        report.bytes += archive.extract(&directory.join(&name), &mut |bytes| progress(&name, bytes))?;
        report.files += 1;
    }
    for name in below {
        synchronize_directory(&directory.join(name)).map_err(failed("synchronize", directory))?;
    }
    synchronize_directory(directory).map_err(failed("synchronize", directory))?;
    Ok(report)
}

/// What cannot be removed is in the way of the next restoration, which says so.
fn remove_parts(directory: &Path) {
    for name in [snapshots::DIRECTORY, history::DIRECTORY] {
        let _ = fs::remove_dir_all(directory.join(name));
    }
    let _ = fs::remove_file(directory.join(journal::FILE));
}

/// Files that exist only while a back-up is being taken.
struct Aside {
    archive: PathBuf,
    database: PathBuf,
}

impl Aside {
    fn beside(file: &Path) -> Aside {
        Aside { archive: beside(file, ".unfinished"), database: beside(file, ".unfinished-database") }
    }

    fn remove(&self) {
        // Most of the time they are not there.
        let _ = fs::remove_file(&self.archive);
        let _ = fs::remove_file(&self.database);
    }
}

impl Drop for Aside {
    fn drop(&mut self) {
        self.remove();
    }
}

/// A database as it was at one moment, for as long as the connection lives.
struct View {
    name: String,
    path: PathBuf,
    connection: Connection,
}

impl View {
    /// `None`: the file is being made and holds nothing yet.
    fn take(name: String, path: PathBuf, kind: &FileKind) -> Result<Option<View>, BackupError> {
        let Some(connection) = database::open_reader(&path, kind)? else { return Ok(None) };
        let failed = read_failed("begin a back-up", &path);
        connection.execute_batch("BEGIN").map_err(&failed)?;
        // A view begins with the first read.
        connection.query_row("SELECT count(*) FROM meta", [], |_| Ok(())).map_err(&failed)?;
        drop(failed);
        Ok(Some(View { name, path, connection }))
    }

    /// Copies what is seen into a file of its own.
    fn copy(&self, target: &Path, progress: &mut dyn FnMut(&str, u64)) -> Result<(), BackupError> {
        let failed = read_failed("copy a database", &self.path);
        let _ = fs::remove_file(target);
        create_private(target).map_err(archive::failed("make", target))?;
        let mut copy = Connection::open(target).map_err(&failed)?;
        copy.execute_batch("PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF;").map_err(&failed)?;
        let copying = Backup::new(&self.connection, &mut copy).map_err(&failed)?;
        loop {
            let step = copying.step(limits::BACKUP_PAGES_PER_STEP).map_err(&failed)?;
            let copied = copying.progress();
            progress(&self.name, (copied.pagecount - copied.remaining).max(0) as u64 * database::PAGE_BYTES);
            if step == StepResult::Done {
                break;
            }
        }
        Ok(())
    }
}

/// How an attempt to make a back-up came out.
enum Attempt {
    Complete(BackupReport),
    /// What belongs together was changed meanwhile.
    Overtaken,
    /// Something that is needed is not there. It may have been replaced just now; if not, it is lost.
    Lacking(Damage),
}

fn attempt(directory: &Path, aside: &Aside, progress: &mut dyn FnMut(&str, u64)) -> Result<Attempt, BackupError> {
    aside.remove();
    let take_journal = || {
        let view = View::take(journal::FILE.to_owned(), directory.join(journal::FILE), &journal::KIND)?;
        view.ok_or_else(|| BackupError::NoStore { path: directory.to_path_buf() })
    };
    let before = ends_of(&take_journal()?)?;
    let Some(days) = days(&directory.join(history::DIRECTORY))? else { return Ok(Attempt::Overtaken) };
    let journal = take_journal()?;
    let ends = ends_of(&journal)?;
    if (ends.history_floor, &ends.history_days) != (before.history_floor, &before.history_days) {
        // Trimmed in between: events of the records that went may be missing in the views of the days.
        return Ok(Attempt::Overtaken);
    }
    fit_together(directory, &days, &ends)?;

    let mut report = BackupReport {
        position: ends.last_position,
        streams: ends.streams.len() as u64,
        history_days: days.len() as u64,
        ..BackupReport::default()
    };
    let mut archive = ArchiveWriter::create(&aside.archive)?;
    // Snapshots first: they are the only part that may go while it is read.
    let Some(held) = add_snapshots(directory, &ends, &mut archive, &mut report, progress)? else {
        return Ok(Attempt::Overtaken);
    };
    for stream in &ends.streams {
        let is_whole = stream.trimmed == SequenceNumber::ZERO
            || held.iter().any(|&(id, sequence)| id == stream.stream && stream.trimmed <= sequence);
        if !is_whole && let Some(damage) = report.damaged.first() {
            return Err(damage.clone().into());
        }
        if !is_whole {
            return Ok(Attempt::Lacking(Damage {
                path: directory.join(snapshots::DIRECTORY),
                place: format!("stream {}", stream.stream),
                problem: format!(
                    "no snapshot holds what was trimmed from the journal, up to sequence number {}",
                    stream.trimmed
                ),
            }));
        }
    }
    for view in std::iter::once(journal).chain(days.into_values()) {
        view.copy(&aside.database, progress)?;
        report.bytes += archive.add(&view.name, &aside.database, &mut |bytes| progress(&view.name, bytes))?;
        report.files += 1;
    }
    archive.finish()?;
    Ok(Attempt::Complete(report))
}

/// Refuses parts that no server could start on, as a server would.
fn fit_together(directory: &Path, days: &BTreeMap<Day, View>, ends: &journal::Ends) -> Result<(), BackupError> {
    let mut stands = BTreeMap::new();
    for (day, view) in days {
        let stand = day_file::verified_stand_of(&view.connection, &view.path, *day)?;
        if stand.projected > ends.last_position {
            return Err(BackupError::Open(OpenError::Behind {
                path: directory.join(journal::FILE),
                last: ends.last_position,
                witness: view.path.clone(),
                later: stand.projected,
            }));
        }
        stands.insert(*day, stand);
    }
    Ok(ledger::compare(&ends.history_days, &stands, &directory.join(history::DIRECTORY))?)
}

/// Views of all days that belong together. `None`: they were changed in a way that leaves that open.
fn days(directory: &Path) -> Result<Option<BTreeMap<Day, View>>, BackupError> {
    let list = || history::list_days(directory).map_err(failed("list", directory));
    let listed = list()?;
    let paths: Vec<PathBuf> = listed.iter().map(|day| history::names::path(directory, *day)).collect();
    let stands = || paths.iter().map(|path| day_stand(path)).collect::<Result<Vec<_>, _>>();
    let before = stands();
    let views = paths.iter().map(|path| {
        let file_name = path.file_name().expect("days have names").to_string_lossy();
        View::take(format!("{}/{file_name}", history::DIRECTORY), path.clone(), &day_file::KIND)
    });
    let views: Result<Vec<Option<View>>, BackupError> = views.collect();
    let after = stands();
    if list()? != listed {
        return Ok(None);
    }
    let (before, views, after) = (before?, views?, after?);
    // When one file alone was written meanwhile, the others stand at the moment of its view.
    let changed = before.iter().zip(&after).filter(|(before, after)| before != after).count();
    let with_tables = listed.into_iter().zip(views).filter_map(|(day, view)| Some((day, view?)));
    Ok((changed <= 1).then(|| with_tables.collect()))
}

fn day_stand(path: &Path) -> Result<Stand, BackupError> {
    let Some(connection) = database::open_reader(path, &day_file::KIND)? else { return Ok(Stand::default()) };
    Ok(meta::stand(&connection).map_err(read_failed("read where a day of the history stands", path))?)
}

fn ends_of(journal: &View) -> Result<journal::Ends, BackupError> {
    Ok(journal::ends(&journal.connection, &journal.path)?)
}

/// Adds the snapshots that fit the journal. `None`: one went while it was read.
fn add_snapshots(
    directory: &Path,
    ends: &journal::Ends,
    archive: &mut ArchiveWriter,
    report: &mut BackupReport,
    progress: &mut dyn FnMut(&str, u64),
) -> Result<Option<Vec<(StreamId, SequenceNumber)>>, BackupError> {
    let directory = directory.join(snapshots::DIRECTORY);
    let mut held = Vec::new();
    let listed = snapshots::list_files(&directory).map_err(failed("list", &directory))?;
    for (stream, sequence, path) in listed {
        let fits = ends.streams.iter().any(|end| end.stream == stream && sequence <= end.last);
        if !fits {
            continue;
        }
        match snapshots::verify_file(&path, stream, sequence) {
            Ok(_) => {}
            Err(_) if !path.exists() => return Ok(None),
            Err(ReadError::Damaged(damage)) => {
                report.damaged.push(damage);
                continue;
            }
            Err(error) => return Err(error.into()),
        }
        let file_name = path.file_name().expect("snapshots have names").to_string_lossy().into_owned();
        let name = format!("{}/{file_name}", snapshots::DIRECTORY);
        match archive.add(&name, &path, &mut |bytes| progress(&name, bytes)) {
            Ok(bytes) => report.bytes += bytes,
            Err(_) if !path.exists() => return Ok(None),
            Err(error) => return Err(error),
        }
        report.files += 1;
        report.snapshots += 1;
        held.push((stream, sequence));
    }
    Ok(Some(held))
}
