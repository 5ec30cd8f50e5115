//! Descriptors of the day files beside those of SQLite, to synchronize through.
//!
//! When a process closes any descriptor of a file, POSIX takes all its locks on that file away, those of SQLite too.
//! Another program that opens the database then takes itself for the only one, and at its end takes the write-ahead
//! log away from under us. So a day has one descriptor of ours, which is there before its first connection is made and
//! is closed after the last one is gone.

use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::io;
use std::path::Path;
use std::sync::{Arc, Mutex};

use crate::history::Day;

use super::super::database::lock;
use super::names;

/// The descriptors that are open, one a day.
#[derive(Debug, Default)]
pub(super) struct Descriptors {
    open: Mutex<BTreeMap<Day, Arc<File>>>,
}

/// A share in the descriptor of a day. Whoever has a connection to the day has one, and gives it back later.
#[derive(Debug)]
pub(super) struct Descriptor {
    day: Day,
    /// `None` only while it is dropped.
    file: Option<Arc<File>>,
    all: Arc<Descriptors>,
}

impl Descriptors {
    /// A share in the descriptor of a day.
    ///
    /// - `is_made`: the file is made if it is not there.
    pub(super) fn of(self: &Arc<Self>, directory: &Path, day: Day, is_made: bool) -> io::Result<Descriptor> {
        let mut open = lock(&self.open);
        let file = if let Some(file) = open.get(&day) {
            Arc::clone(file)
        } else {
            let path = names::path(directory, day);
            // Whoever only reads must get on where nothing can be written.
            let file = Arc::new(OpenOptions::new().read(true).append(is_made).create(is_made).open(path)?);
            open.insert(day, Arc::clone(&file));
            file
        };
        Ok(Descriptor { day, file: Some(file), all: Arc::clone(self) })
    }

    /// Another file may get the name of a day that was removed.
    pub(super) fn forget(&self, day: Day) {
        lock(&self.open).remove(&day);
    }
}

impl Descriptor {
    pub(super) fn file(&self) -> &File {
        self.file.as_ref().expect("it is taken only when dropped")
    }
}

impl Drop for Descriptor {
    fn drop(&mut self) {
        // Closed with the list held, so that no connection is made in between.
        let mut open = lock(&self.all.open);
        let Some(file) = self.file.take() else { return };
        let is_last =
            open.get(&self.day).is_some_and(|known| Arc::ptr_eq(known, &file)) && Arc::strong_count(&file) == 2;
        if is_last {
            open.remove(&self.day);
        }
        drop(file);
        drop(open);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_only_reads_makes_no_file_of_a_day_that_was_removed() {
        let directory = tempfile::tempdir().unwrap();
        let descriptors = Arc::new(Descriptors::default());
        let error = descriptors.of(directory.path(), Day::of(0), false).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::NotFound);
        assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 0);
    }

    #[test]
    fn a_day_has_one_descriptor_as_long_as_anybody_has_a_share_in_it() {
        let directory = tempfile::tempdir().unwrap();
        let descriptors = Arc::new(Descriptors::default());
        let day = Day::of(0);
        let first = descriptors.of(directory.path(), day, true).unwrap();
        let second = descriptors.of(directory.path(), day, true).unwrap();
        assert!(Arc::ptr_eq(first.file.as_ref().unwrap(), second.file.as_ref().unwrap()));
        drop(first);
        assert_eq!(lock(&descriptors.open).len(), 1);
        drop(second);
        assert_eq!(lock(&descriptors.open).len(), 0);
    }

    #[test]
    fn a_day_that_comes_again_after_its_removal_has_another_descriptor() {
        let directory = tempfile::tempdir().unwrap();
        let descriptors = Arc::new(Descriptors::default());
        let day = Day::of(0);
        let removed = descriptors.of(directory.path(), day, true).unwrap();
        descriptors.forget(day);
        let again = descriptors.of(directory.path(), day, true).unwrap();
        assert!(!Arc::ptr_eq(removed.file.as_ref().unwrap(), again.file.as_ref().unwrap()));
        drop(removed);
        assert_eq!(lock(&descriptors.open).len(), 1);
        drop(again);
        assert_eq!(lock(&descriptors.open).len(), 0);
    }
}
