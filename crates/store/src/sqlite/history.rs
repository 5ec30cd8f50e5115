//! The event history: one file per UTC day.
//!
//! The files are a projection, so none of their commits need be durable. What makes that safe:
//!
//! - each file says in the transaction that adds its rows up to which position it has its own (`rows_position`), and,
//!   when it is the last one to get rows of a call, up to which position all files have theirs
//!   (`projected_position`);
//! - a file is synchronized before any other file gets a commit, so only the one written last can fall back;
//! - the history stands at the highest `projected_position` that is found, and a projection that starts again from
//!   there passes over the rows that a file has already;
//! - the journal notes each file when it is made, and up to where it has its rows for good (`ledger`), so that one
//!   that is gone, older or another is missed.

mod check;
pub(super) mod day_file;
mod descriptors;
mod keys;
pub(super) mod meta;
pub(super) mod names;
mod ordered;
mod queries;
mod removal;
mod trickle;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};

use jiff::civil::Date;

use crate::history::{Day, check_rows};
use crate::{
    CheckReport, Dropped, HistoryEvent, HistoryPage, HistoryQuery, HistoryRow, Inspection, OpenError, Position,
    ReadError, Retention, Sid, WriteError,
};

use super::Options;
use super::database::{FairMutex, Readers, lock};
use super::directory::{beside, synchronize_directory};
use super::journal::Journal;
use super::ledger;

use self::day_file::DayWriter;
use self::descriptors::{Descriptor, Descriptors};

pub(super) const DIRECTORY: &str = "history";

#[derive(Debug)]
pub(super) struct History {
    directory: PathBuf,
    journal: Arc<Journal>,
    /// The file written last; the only one that may not be synchronized.
    writer: FairMutex<Option<DayWriter>>,
    position: AtomicU64,
    /// Days before this instant are dropped for good.
    from_ms: AtomicI64,
    /// What was asked for last; after a start nothing yet.
    retention: Mutex<Retention>,
    /// Days that have a file, and up to where each has its rows.
    days: Mutex<ledger::Days>,
    open_days: Mutex<OpenDays>,
    descriptors: Arc<Descriptors>,
    /// The day written last, unless it was synchronized since; also when its writer was lost to an error.
    unsynchronized: Mutex<Option<Day>>,
    /// A write or a synchronization has failed, and another one that works does not prove that all is there.
    is_doubtful: AtomicBool,
}

/// Files open for reading; those not used for longest are closed.
#[derive(Debug)]
struct OpenDays {
    readers: BTreeMap<Day, (Arc<DayReaders>, u64)>,
    uses: u64,
    open_max: usize,
}

#[derive(Debug)]
struct DayReaders {
    readers: Readers,
    /// Given back when the connections are closed: fields go in this order.
    _descriptor: Descriptor,
}

impl History {
    pub(super) fn open(directory: &Path, options: &Options, journal: Arc<Journal>) -> Result<History, OpenError> {
        let floor = journal.history_floor()?;
        let directory = directory.join(DIRECTORY);
        fs::create_dir_all(&directory).map_err(|source| OpenError::Directory { path: directory.clone(), source })?;
        let days = list_days(&directory).map_err(|source| OpenError::File {
            step: "list the files in",
            path: directory.clone(),
            source,
        })?;
        let descriptors = Arc::new(Descriptors::default());
        let mut stands = BTreeMap::new();
        for &day in &days {
            let path = names::path(&directory, day);
            let descriptor = descriptors.of(&directory, day, false).map_err(|source| OpenError::File {
                step: "open",
                path: path.clone(),
                source,
            })?;
            // A process that was killed may have left commits that only the page cache has.
            day_file::synchronize(&path, &descriptor)?;
            stands.extend(day_file::verified_stand(&directory, day)?.map(|stand| (day, stand)));
        }
        ledger::compare(&journal.noted_days()?, &stands, &directory).map_err(ReadError::Damaged)?;
        for &day in days.iter().filter(|day| !stands.contains_key(day)) {
            // Not noted: a crash came while it was made.
            descriptors.forget(day);
            remove_day(&directory, day).map_err(|source| OpenError::File {
                step: "remove the beginnings of",
                path: names::path(&directory, day),
                source,
            })?;
        }
        let newest = stands.iter().map(|(day, stand)| (stand.projected, *day)).max();
        let position = newest.map_or(floor.position, |(projected, _)| projected.max(floor.position));
        let history = History {
            directory,
            journal,
            writer: FairMutex::new(None),
            position: AtomicU64::new(position.0),
            from_ms: AtomicI64::new(floor.from_ms),
            retention: Mutex::new(Retention::all(floor.from_ms)),
            days: Mutex::new(stands.iter().map(|(day, stand)| (*day, stand.rows)).collect()),
            open_days: Mutex::new(OpenDays {
                readers: BTreeMap::new(),
                uses: 0,
                open_max: options.history_days_open_max.max(1),
            }),
            descriptors,
            unsynchronized: Mutex::new(None),
            is_doubtful: AtomicBool::new(false),
        };
        if let Some((_, day)) = newest {
            let writer = DayWriter::open(&history.directory, day, false, &history.descriptors)?;
            *history.writer.lock() = Some(writer);
        }
        // A crash may have come between noting the floor and removing what lies below it.
        history.drop_before(&mut history.writer.lock(), floor.from_ms)?;
        Ok(history)
    }

    /// Has the journal note the days that are there and that it does not know: a crash came before it did, or a
    /// program wrote them that did not yet. The journal must not be behind them.
    pub(super) fn note_found(&self) -> Result<(), OpenError> {
        let mut days = lock(&self.days).clone();
        let noted = self.journal.noted_days()?;
        days.retain(|day, _| !noted.contains_key(day));
        if !days.is_empty() {
            self.journal.note_days(&days)?;
        }
        Ok(())
    }

    pub(super) fn position(&self) -> Position {
        Position(self.position.load(Ordering::Acquire))
    }

    /// The file that says where the history stands.
    pub(super) fn newest_file(&self) -> Option<PathBuf> {
        self.writer.lock().as_ref().map(|writer| writer.path().to_path_buf())
    }

    pub(super) fn project(&self, up_to: Position, rows: &[HistoryRow]) -> Result<(), WriteError> {
        check_rows(up_to, rows)?;
        let mut current = self.writer.lock();
        let position = self.position();
        if up_to <= position {
            return Ok(());
        }
        let first_day = Day::of(self.from_ms.load(Ordering::Acquire));
        let mut by_day: BTreeMap<Day, Vec<&HistoryRow>> = BTreeMap::new();
        let retention = lock(&self.retention).clone();
        for row in rows.iter().filter(|row| row.position > position) {
            let day = Day::of(row.at_ms);
            if first_day <= day && !retention.is_over(day, row.workspace) {
                by_day.entry(day).or_default().push(row);
            }
        }
        // Without rows the file written last takes the new position; without a file the projection starts from the
        // old one again after a restart, and finds as little.
        let last_day = by_day.keys().next_back().copied().or(current.as_ref().map(DayWriter::day));
        if let Some(last_day) = last_day {
            by_day.entry(last_day).or_default();
            for (day, rows) in by_day {
                let projected = (day == last_day).then_some(up_to);
                self.write_day(&mut current, day, &rows, up_to, projected)?;
            }
        }
        self.position.store(up_to.0, Ordering::Release);
        Ok(())
    }

    fn write_day(
        &self,
        current: &mut Option<DayWriter>,
        day: Day,
        rows: &[&HistoryRow],
        rows_position: Position,
        projected: Option<Position>,
    ) -> Result<(), WriteError> {
        let mut writer = match current.take() {
            Some(writer) if writer.day() == day => writer,
            other => {
                if let Some(other) = other
                    && other.day() < day
                {
                    other.seal().inspect_err(|error| self.doubt(error))?;
                }
                self.turn_to(day)?
            }
        };
        *lock(&self.unsynchronized) = Some(day);
        // A writer whose transaction failed remembers too much; the next call opens the file again.
        writer.write(rows, rows_position, projected).inspect_err(|error| self.doubt(error))?;
        lock(&self.days).insert(day, writer.rows_position());
        *current = Some(writer);
        Ok(())
    }

    /// Opens a day to be written. The journal notes how far the one before has come, and a file that was just made:
    /// their loss must show even before the next note of all.
    fn turn_to(&self, day: Day) -> Result<DayWriter, WriteError> {
        let mut turned = ledger::Days::new();
        let before = *lock(&self.unsynchronized);
        if let Some(before) = before.filter(|before| *before != day) {
            self.synchronize_last()?;
            turned.extend(lock(&self.days).get(&before).map(|position| (before, *position)));
        }
        let is_new = !lock(&self.days).contains_key(&day);
        let opened = DayWriter::open(&self.directory, day, is_new, &self.descriptors);
        let writer = opened.map_err(|source| WriteError::Failed {
            step: "open a day of the history",
            path: names::path(&self.directory, day),
            source: Box::new(source),
        })?;
        if is_new {
            let synchronized = day_file::synchronize(writer.path(), &self.descriptor(day)?);
            synchronized.inspect_err(|error| self.doubt(error))?;
            turned.insert(day, Position::ZERO);
        }
        if !turned.is_empty() {
            self.journal.note_days(&turned)?;
        }
        if is_new {
            lock(&self.days).insert(day, Position::ZERO);
        }
        Ok(writer)
    }

    /// Makes durable what is projected, has the journal note it, and returns up to where that is.
    ///
    /// - Errors: also when something failed before, until the store is opened again: a disk tells of a failure once.
    pub(super) fn note(&self) -> Result<Position, WriteError> {
        let _nothing_is_written = self.writer.lock();
        self.note_all(None)
    }

    /// The same, with the writer held.
    ///
    /// - `from_ms`: what ended by then is about to be dropped.
    fn note_all(&self, from_ms: Option<i64>) -> Result<Position, WriteError> {
        self.synchronize_last()?;
        if self.is_doubtful.load(Ordering::Acquire) {
            return Err(WriteError::Failed {
                step: "prove what was written to",
                path: self.directory.clone(),
                source: "something failed before; the next start looks at what is there".into(),
            });
        }
        let position = self.position();
        let days = lock(&self.days).clone();
        self.journal.note_history(position, from_ms, &days)?;
        Ok(position)
    }

    /// Synchronizes the file written last. The writer is held meanwhile.
    fn synchronize_last(&self) -> Result<(), WriteError> {
        let mut unsynchronized = lock(&self.unsynchronized);
        let Some(day) = *unsynchronized else { return Ok(()) };
        let path = names::path(&self.directory, day);
        let synchronized = self.descriptor(day).and_then(|descriptor| day_file::synchronize(&path, &descriptor));
        synchronized.inspect_err(|error| self.doubt(error))?;
        *unsynchronized = None;
        Ok(())
    }

    /// A share in the descriptor of a day that is there.
    fn descriptor(&self, day: Day) -> Result<Descriptor, WriteError> {
        self.descriptors.of(&self.directory, day, false).map_err(|source| WriteError::Failed {
            step: "open a day of the history",
            path: names::path(&self.directory, day),
            source: Box::new(source),
        })
    }

    /// Notes that something failed; what does not fit is taken back, and nothing is in doubt.
    fn doubt(&self, error: &WriteError) {
        if !matches!(error, WriteError::Full { .. }) {
            self.is_doubtful.store(true, Ordering::Release);
        }
    }

    pub(super) fn query(&self, query: &HistoryQuery) -> Result<HistoryPage, ReadError> {
        let mut events = Vec::new();
        for day in self.days_of(query) {
            let wanted = query.page_max() + 1 - events.len();
            let DayReaders { readers, .. } = &*self.readers(day)?;
            readers.read("read the history", |connection| {
                let passed = query.cursor.filter(|key| Day::of(key.at_ms) == day).map(|key| key.id);
                queries::select(connection, readers.path(), query, passed, wanted, &mut events)
            })?;
            if events.len() > query.page_max() {
                break;
            }
        }
        Ok(query.page(events))
    }

    pub(super) fn event(&self, workspace: Sid, sid: Sid) -> Result<Option<HistoryEvent>, ReadError> {
        let days: Vec<Day> = lock(&self.days).keys().rev().copied().collect();
        for day in days {
            let DayReaders { readers, .. } = &*self.readers(day)?;
            let found = readers.read("look for an event in the history", |connection| {
                queries::find(connection, readers.path(), workspace, sid)
            })?;
            if found.is_some() {
                return Ok(found);
            }
        }
        Ok(None)
    }

    /// Drops what is no longer kept.
    pub(super) fn retain(&self, retention: &Retention) -> Result<Dropped, WriteError> {
        let mut current = self.writer.lock();
        lock(&self.retention).clone_from(retention);
        // Noted first: what is gone must not be made again from records that are still there. Nobody may make a day
        // that is forgotten already, so the writer is held until it is known to all.
        self.note_all(Some(retention.first_ms()))?;
        let mut dropped = Dropped { days: self.drop_before(&mut current, retention.first_ms())?, events: 0 };
        drop(current);
        let days: Vec<Day> = lock(&self.days).keys().copied().collect();
        for day in days {
            if retention.may_be_over(day) {
                self.retain_of_day(day, retention, &mut dropped).inspect_err(|error| self.doubt(error))?;
            }
        }
        Ok(dropped)
    }

    /// Drops the days that ended at or before an instant.
    fn drop_before(&self, current: &mut Option<DayWriter>, before_ms: i64) -> Result<u64, WriteError> {
        self.from_ms.fetch_max(before_ms, Ordering::AcqRel);
        let old: Vec<Day> = lock(&self.days).keys().copied().take_while(|day| day.end_ms() <= before_ms).collect();
        for &day in &old {
            self.drop_day(current, day)?;
        }
        Ok(old.len() as u64)
    }

    fn drop_day(&self, current: &mut Option<DayWriter>, day: Day) -> Result<(), WriteError> {
        if current.as_ref().is_some_and(|writer| writer.day() == day) {
            *current = None;
        }
        lock(&self.days).remove(&day);
        remove_day(&self.directory, day).map_err(|source| WriteError::Failed {
            step: "remove a day of the history",
            path: names::path(&self.directory, day),
            source: Box::new(source),
        })?;
        // Not before its name is gone: until then somebody may open it once more.
        lock(&self.open_days).readers.remove(&day);
        self.descriptors.forget(day);
        lock(&self.unsynchronized).take_if(|written| *written == day);
        Ok(())
    }

    /// Drops out of a day what some workspaces did, or the day when nothing else is in it.
    ///
    /// - The projection waits for one piece at a time.
    fn retain_of_day(&self, day: Day, retention: &Retention, dropped: &mut Dropped) -> Result<(), WriteError> {
        let path = names::path(&self.directory, day);
        let descriptor = self.descriptor(day)?;
        let connection = removal::open(&path)?;
        let mut current = self.without_writer(day)?;
        let kept = removal::workspaces(&connection, &path)?;
        let over: Vec<_> = kept.iter().filter(|(sid, _)| retention.is_over(day, **sid)).collect();
        if over.is_empty() {
            return Ok(());
        }
        if over.len() == kept.len() {
            drop(connection);
            dropped.days += 1;
            self.journal.forget_day(day)?;
            return self.drop_day(&mut current, day);
        }
        let over = over.into_iter().map(|(sid, key)| (*sid, *key)).collect();
        let mut removal = removal::Removal::begin(connection, descriptor, &path, over)?;
        drop(current);
        loop {
            let current = self.without_writer(day)?;
            let is_over = removal.step(&mut dropped.events)?;
            drop(current);
            if is_over {
                return Ok(());
            }
        }
    }

    /// Holds up the projection, and has it read a day's file again before it goes on with it.
    fn without_writer(&self, day: Day) -> Result<MutexGuard<'_, Option<DayWriter>>, WriteError> {
        let mut current = self.writer.lock();
        if current.take_if(|writer| writer.day() == day).is_some() {
            self.synchronize_last()?;
        }
        Ok(current)
    }

    pub(super) fn check(&self, report: &mut CheckReport, inspection: &mut Inspection<'_>) -> Result<(), ReadError> {
        let days: Vec<Day> = lock(&self.days).keys().copied().collect();
        for day in days {
            let DayReaders { readers, .. } = &*self.readers(day)?;
            let checked = readers
                .read("check the history", |connection| check::check(connection, readers.path(), report, inspection));
            match checked {
                Err(ReadError::Damaged(damage)) => report.damage.push(damage),
                other => other?,
            }
        }
        Ok(())
    }

    /// The days that a query may find something in, in its order.
    fn days_of(&self, query: &HistoryQuery) -> Vec<Day> {
        let mut first = Day::of(query.from_ms.max(0));
        let mut last = Day::of(query.to_ms);
        match query.cursor {
            Some(passed) if query.is_ascending() => first = first.max(Day::of(passed.at_ms)),
            Some(passed) => last = last.min(Day::of(passed.at_ms)),
            None => {}
        }
        if first > last {
            return Vec::new();
        }
        let days = lock(&self.days);
        let range = days.range(first..=last).map(|(day, _)| *day);
        if query.is_ascending() { range.collect() } else { range.rev().collect() }
    }

    fn readers(&self, day: Day) -> Result<Arc<DayReaders>, ReadError> {
        let mut open = lock(&self.open_days);
        open.uses += 1;
        let now = open.uses;
        if let Some((readers, used)) = open.readers.get_mut(&day) {
            *used = now;
            return Ok(Arc::clone(readers));
        }
        if open.readers.len() >= open.open_max {
            let oldest = open.readers.iter().min_by_key(|(_, (_, used))| *used).map(|(day, _)| *day);
            open.readers.remove(&oldest.expect("at least one is open"));
        }
        let path = names::path(&self.directory, day);
        let descriptor = self.descriptors.of(&self.directory, day, false).map_err(|source| ReadError::Failed {
            step: "open a day of the history",
            path: path.clone(),
            source: source.into(),
        })?;
        let readers = Arc::new(DayReaders { readers: Readers::new(&path), _descriptor: descriptor });
        open.readers.insert(day, (Arc::clone(&readers), now));
        Ok(readers)
    }
}

pub(super) fn list_days(directory: &Path) -> io::Result<BTreeSet<Day>> {
    let mut days = BTreeSet::new();
    for entry in fs::read_dir(directory)? {
        days.extend(names::parse_path(&entry?.path()));
    }
    Ok(days)
}

/// Takes a day out of the history: the journal forgets it, and its files get names that are not those of a day.
pub(super) fn forget_day(directory: &Path, journal: &Journal, date: Date) -> Result<Option<PathBuf>, OpenError> {
    let day = names::day_of_date(date);
    let path = names::path(directory, day);
    let is_noted = journal.forget_day(day)?;
    if !path.exists() {
        return if is_noted { Ok(None) } else { Err(OpenError::NoDay { path }) };
    }
    // The same day may have been given up before.
    let mut asides = (1..).map(|number| beside(&path, &format!(".lost-{number}")));
    let aside = asides.find(|aside| !aside.exists()).expect("there are more numbers than files");
    let failed = |source| OpenError::File { step: "put aside", path: path.clone(), source };
    unless_missing(fs::rename(beside(&path, "-wal"), beside(&aside, "-wal"))).map_err(failed)?;
    unless_missing(fs::remove_file(beside(&path, "-shm"))).map_err(failed)?;
    fs::rename(&path, &aside).and_then(|()| synchronize_directory(directory)).map_err(failed)?;
    Ok(Some(aside))
}

fn remove_day(directory: &Path, day: Day) -> io::Result<()> {
    let path = names::path(directory, day);
    for suffix in ["", "-wal", "-shm"] {
        unless_missing(fs::remove_file(beside(&path, suffix)))?;
    }
    synchronize_directory(directory)
}

fn unless_missing(result: io::Result<()>) -> io::Result<()> {
    match result {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use rusqlite::Connection;

    use super::*;
    use crate::{Record, SequenceNumber, SqliteStore, Store, StreamId};

    #[test]
    fn after_a_write_that_failed_nothing_is_trimmed_until_the_store_is_opened_again() {
        let directory = tempfile::tempdir().unwrap();
        let store = SqliteStore::open(directory.path(), &Options::default()).unwrap();
        let epoch = store.begin_epoch().unwrap();
        let row = |position| HistoryRow {
            position: Position(position),
            workspace: [1; 16],
            sid: [position as u8; 16],
            kind: 1,
            at_ms: 0,
            references: Vec::new(),
            payload: b"kept".to_vec(),
        };
        let append = |store: &SqliteStore, number| {
            let (stream, sequence) = (StreamId([1; 16]), SequenceNumber(number));
            store.append(epoch, &[Record { stream, sequence, at_ms: 0, payload: Vec::new() }], &[]).unwrap();
        };
        append(&store, 1);
        store.project(Position(1), &[row(1)]).unwrap();
        assert_eq!(store.trim().unwrap(), 0);
        append(&store, 2);
        // Whatever is wrong, the projection cannot go on, and its writer is given up.
        let day = Connection::open(directory.path().join("history/history-1970-01-01.sqlite")).unwrap();
        day.execute_batch("ALTER TABLE mentions RENAME TO elsewhere").unwrap();
        assert!(store.project(Position(2), &[row(2)]).is_err());
        day.execute_batch("ALTER TABLE elsewhere RENAME TO mentions").unwrap();
        drop(day);
        store.project(Position(2), &[row(2)]).unwrap();
        let error = store.trim().unwrap_err();
        assert!(error.to_string().contains("prove what was written"), "{error}");
        drop(store);
        let store = SqliteStore::open(directory.path(), &Options::default()).unwrap();
        assert_eq!((store.history_position(), store.trim().unwrap()), (Position(2), 0));
        assert_eq!(store.history(&HistoryQuery::all([1; 16])).unwrap().events.len(), 2);
    }
}
