//! Rows of an index beside what they find.

use std::path::Path;

use rusqlite::Row;

use crate::{Damage, ReadError};

/// Rows of an index in the order of what they find, taken one thing found after the other.
pub(super) struct Ordered<'a, T, F> {
    /// What is found, in a word.
    what: &'static str,
    rows: rusqlite::Rows<'a>,
    parse: F,
    next: Option<(i64, T)>,
    is_over: bool,
}

impl<'a, T, F: Fn(&Row<'_>) -> rusqlite::Result<(i64, T)>> Ordered<'a, T, F> {
    pub(super) fn new(what: &'static str, rows: rusqlite::Rows<'a>, parse: F) -> Ordered<'a, T, F> {
        Ordered { what, rows, parse, next: None, is_over: false }
    }

    /// Those of one thing; rows of one that is not there are damage.
    pub(super) fn of(
        &mut self,
        id: i64,
        path: &Path,
        failed: &impl Fn(rusqlite::Error) -> ReadError,
    ) -> Result<Vec<T>, ReadError> {
        let mut found = Vec::new();
        loop {
            if self.next.is_none() && !self.is_over {
                self.next = self.rows.next().map_err(failed)?.map(&self.parse).transpose().map_err(failed)?;
            }
            match self.next.take() {
                None => {
                    self.is_over = true;
                    return Ok(found);
                }
                Some((of, row)) if of == id => found.push(row),
                Some((of, _)) if of < id => {
                    return Err(ReadError::Damaged(Damage {
                        path: path.to_path_buf(),
                        place: format!("{} {of}", self.what),
                        problem: "it is in an index but not there".to_owned(),
                    }));
                }
                later => {
                    self.next = later;
                    return Ok(found);
                }
            }
        }
    }
}
