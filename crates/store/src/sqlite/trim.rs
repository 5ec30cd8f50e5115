//! A trim of the journal under way: what nobody needs any more goes piece by piece.
//!
//! A piece that is a transaction of its own is synchronized for itself, and the append behind it waits for that. So
//! appends take small pieces with them, which cost no synchronization, and the trim deletes by itself only while
//! nothing is appended.

use rusqlite::{Connection, Transaction, params};

use crate::{Position, SequenceNumber, StreamId, limits};

use super::journal;

#[derive(Debug)]
pub(super) struct Trim {
    stream: StreamId,
    /// The number of the stream in the journal.
    id: i64,
    /// What goes: records up to both of these.
    up_to: SequenceNumber,
    position: Position,
    deleted: u64,
    /// How far the journal had come is noted, beyond all that goes.
    is_noted: bool,
    is_done: bool,
    /// Appends have taken a piece since this was last asked.
    is_carried: bool,
    /// An append could not take its piece, so none tries again.
    is_refused: bool,
}

/// What one transaction has deleted, to be noted when it is committed.
#[derive(Debug)]
pub(super) struct Piece {
    records: usize,
    is_last: bool,
}

impl Trim {
    pub(super) fn new(stream: StreamId, id: i64, up_to: SequenceNumber, position: Position) -> Trim {
        Trim {
            stream,
            id,
            up_to,
            position,
            deleted: 0,
            is_noted: false,
            is_done: false,
            is_carried: false,
            is_refused: false,
        }
    }

    /// How many records are gone, once all are.
    pub(super) fn done(&self) -> Option<u64> {
        self.is_done.then_some(self.deleted)
    }

    /// Whether appends have taken pieces since the last call.
    pub(super) fn take_carried(&mut self) -> bool {
        std::mem::take(&mut self.is_carried)
    }

    /// Nothing is left to delete: the stream itself goes.
    pub(super) fn end_with(&mut self, deleted: StreamId) {
        self.is_done |= self.stream == deleted;
    }

    /// Deletes a piece in a transaction that has nothing else to do.
    ///
    /// - `last_position`: of the journal.
    pub(super) fn delete(&self, transaction: &Transaction<'_>, last_position: Position) -> rusqlite::Result<Piece> {
        self.delete_up_to(limits::TRIM_SLICE_RECORDS, transaction, last_position)
    }

    /// Deletes a piece beside an append. `None`: there is none, or it cannot be deleted, which is not for the append to
    /// tell.
    ///
    /// - `appended`: records of the append. Twice as many go, so that a trim comes to its end under any load.
    /// - Errors: when the failure has ended the whole transaction.
    pub(super) fn carry(
        &mut self,
        transaction: &mut Transaction<'_>,
        last_position: Position,
        appended: usize,
    ) -> rusqlite::Result<Option<Piece>> {
        if self.is_done || self.is_refused {
            return Ok(None);
        }
        let limit = limits::TRIM_CARRIED_RECORDS.max(2 * appended);
        let deleted = transaction.savepoint().and_then(|savepoint| {
            let piece = self.delete_up_to(limit, &savepoint, last_position)?;
            savepoint.commit().map(|()| piece)
        });
        self.is_refused = deleted.is_err();
        match deleted {
            Ok(piece) => Ok(Some(piece)),
            Err(error) if transaction.is_autocommit() => Err(error),
            Err(_) => Ok(None),
        }
    }

    /// Notes a piece whose transaction is committed.
    pub(super) fn note(&mut self, piece: &Piece) {
        self.deleted += piece.records as u64;
        self.is_noted = true;
        self.is_done |= piece.is_last;
    }

    /// The same, for a piece that went with an append.
    pub(super) fn note_carried(&mut self, piece: &Piece) {
        self.note(piece);
        self.is_carried = true;
    }

    fn delete_up_to(&self, limit: usize, connection: &Connection, last_position: Position) -> rusqlite::Result<Piece> {
        if !self.is_noted {
            journal::note_last_position(connection, last_position)?;
        }
        let records = journal::delete_slice(connection, self.id, self.up_to, self.position, limit)?;
        connection
            .prepare_cached(
                "UPDATE streams SET trimmed_sequence = coalesce(
                     (SELECT min(sequence) - 1 FROM records WHERE stream = ?1), trimmed_sequence + ?2)
                 WHERE id = ?1",
            )?
            .execute(params![self.id, records as i64])?;
        journal::seal_stream(connection, self.id)?;
        Ok(Piece { records, is_last: records < limit })
    }
}
