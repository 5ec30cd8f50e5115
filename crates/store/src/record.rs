//! What the journal holds: records of streams, in one order of commits.

use std::fmt;

/// The sixteen bytes of a SID, without its two-letter prefix.
pub type Sid = [u8; 16];

/// One ordered sequence of records: a workspace, or [`StreamId::ACCOUNTS`].
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct StreamId(pub Sid);

impl StreamId {
    /// The stream of everything that belongs to no workspace.
    pub const ACCOUNTS: StreamId = StreamId([0; 16]);

    /// Reads what is shown of a stream: 32 hexadecimal digits.
    pub(crate) fn parse(text: &str) -> Option<StreamId> {
        if text.len() != 32 || !text.is_ascii() {
            return None;
        }
        let mut sid = [0; 16];
        for (index, byte) in sid.iter_mut().enumerate() {
            *byte = u8::from_str_radix(&text[2 * index..2 * index + 2], 16).ok()?;
        }
        Some(StreamId(sid))
    }
}

impl fmt::Display for StreamId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        for byte in self.0 {
            write!(formatter, "{byte:02x}")?;
        }
        Ok(())
    }
}

impl fmt::Debug for StreamId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "StreamId({self})")
    }
}

/// Place of a record in its stream. The first record has 1; 0 is "before the first".
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub struct SequenceNumber(pub u64);

impl SequenceNumber {
    /// Before the first record of a stream.
    pub const ZERO: SequenceNumber = SequenceNumber(0);

    /// The number after this one.
    #[must_use]
    pub fn next(self) -> SequenceNumber {
        SequenceNumber(self.0 + 1)
    }
}

impl fmt::Display for SequenceNumber {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(formatter)
    }
}

/// Place of a record in the order of commits, over all streams. The first record has 1; 0 is "before the first".
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub struct Position(pub u64);

impl Position {
    /// Before the first record of the journal.
    pub const ZERO: Position = Position(0);
}

impl fmt::Display for Position {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(formatter)
    }
}

/// The right to append: a newer one, once taken, shuts out every older one.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub struct Epoch(pub u64);

impl fmt::Display for Epoch {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(formatter)
    }
}

/// One turn of the engine, encoded by whoever appends it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Record {
    pub stream: StreamId,
    /// One more than that of the stream's record before it.
    pub sequence: SequenceNumber,
    /// Milliseconds since the Unix epoch.
    pub at_ms: i64,
    /// At most [`crate::limits::RECORD_BYTES_MAX`] bytes.
    pub payload: Vec<u8>,
}

/// How much to read at once: reading ends at whichever bound is reached first, but never before the first record.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ReadLimit {
    pub records: usize,
    pub bytes: usize,
}

impl Default for ReadLimit {
    fn default() -> ReadLimit {
        ReadLimit { records: 4_096, bytes: 8 << 20 }
    }
}
