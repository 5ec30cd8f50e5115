//! The file of a back-up: the files of a store one after the other, every piece with its place and checksum.
//!
//! ```text
//! header   "PMBACK" | format u16 | checksum u32 of all before
//! entry    name length u16 | name | checksum u32 of (entry u64, name)
//! chunk    length u32 | checksum u32 of (entry u64, chunk u64, payload) | payload
//!          length 0 | chunks u64 | checksum u32 of (entry u64, chunks u64): the entry is over
//! end      name length 0 | entries u64 | checksum u32 of (entries u64)
//! ```
//!
//! Numbers are little-endian. It is written and read from beginning to end; nothing in it is sought.

use std::fs::File;
use std::io::{self, BufReader, BufWriter, Read, Write};
use std::path::{Path, PathBuf};

use crate::{BackupError, Damage, checksum, limits};

const MAGIC: &[u8; 6] = b"PMBACK";
const FORMAT: u16 = 1;
const BUFFER_BYTES: usize = 256 << 10;

pub(super) struct ArchiveWriter {
    path: PathBuf,
    writer: BufWriter<File>,
    entries: u64,
}

impl ArchiveWriter {
    pub(super) fn create(path: &Path) -> Result<ArchiveWriter, BackupError> {
        let file = create_private(path).map_err(failed("make", path))?;
        let mut archive = ArchiveWriter {
            path: path.to_path_buf(),
            writer: BufWriter::with_capacity(BUFFER_BYTES, file),
            entries: 0,
        };
        let mut header = MAGIC.to_vec();
        header.extend(FORMAT.to_le_bytes());
        let checksum = checksum::of_parts(&[&header]);
        archive.write(&[&header, &checksum.to_le_bytes()])?;
        Ok(archive)
    }

    /// Adds a file under a name; tells after each chunk how many bytes it had.
    pub(super) fn add(&mut self, name: &str, source: &Path, progress: &mut dyn FnMut(u64)) -> Result<u64, BackupError> {
        assert!(is_name(name), "names of entries are ours");
        let read_failed = failed("read", source);
        let mut file = File::open(source).map_err(&read_failed)?;
        let entry = self.entries.to_le_bytes();
        let checksum = checksum::of_parts(&[&entry, name.as_bytes()]);
        self.write(&[&(name.len() as u16).to_le_bytes(), name.as_bytes(), &checksum.to_le_bytes()])?;
        let mut chunk = Vec::with_capacity(limits::BACKUP_CHUNK_BYTES_MAX);
        let (mut chunks, mut bytes) = (0_u64, 0);
        loop {
            chunk.clear();
            let most = limits::BACKUP_CHUNK_BYTES_MAX as u64;
            let length = Read::by_ref(&mut file).take(most).read_to_end(&mut chunk).map_err(&read_failed)?;
            if length == 0 {
                break;
            }
            let checksum = checksum::of_parts(&[&entry, &chunks.to_le_bytes(), &chunk]);
            self.write(&[&(length as u32).to_le_bytes(), &checksum.to_le_bytes(), &chunk])?;
            chunks += 1;
            bytes += length as u64;
            progress(bytes);
        }
        let checksum = checksum::of_parts(&[&entry, &chunks.to_le_bytes()]);
        self.write(&[&0_u32.to_le_bytes(), &chunks.to_le_bytes(), &checksum.to_le_bytes()])?;
        self.entries += 1;
        Ok(bytes)
    }

    /// Ends the file and makes it durable.
    pub(super) fn finish(mut self) -> Result<(), BackupError> {
        let entries = self.entries.to_le_bytes();
        let checksum = checksum::of_parts(&[&entries]);
        self.write(&[&0_u16.to_le_bytes(), &entries, &checksum.to_le_bytes()])?;
        let write_failed = failed("write", &self.path);
        let file = self.writer.into_inner().map_err(|error| write_failed(error.into_error()))?;
        file.sync_all().map_err(write_failed)
    }

    fn write(&mut self, parts: &[&[u8]]) -> Result<(), BackupError> {
        for part in parts {
            self.writer.write_all(part).map_err(failed("write", &self.path))?;
        }
        Ok(())
    }
}

pub(super) struct ArchiveReader {
    path: PathBuf,
    reader: BufReader<File>,
    entries: u64,
}

impl ArchiveReader {
    pub(super) fn open(path: &Path) -> Result<ArchiveReader, BackupError> {
        let file = File::open(path).map_err(failed("open", path))?;
        let mut archive = ArchiveReader {
            path: path.to_path_buf(),
            reader: BufReader::with_capacity(BUFFER_BYTES, file),
            entries: 0,
        };
        let header: [u8; 8] = archive.bytes("its header")?;
        let expected = u32::from_le_bytes(archive.bytes("its header")?);
        let (magic, format) = header.split_at(MAGIC.len());
        if magic != MAGIC {
            return Err(BackupError::Foreign { path: path.to_path_buf() });
        }
        let found = checksum::of_parts(&[&header]);
        if found != expected {
            return Err(Damage::checksum(path, "its header".to_owned(), found, expected).into());
        }
        let format = u16::from_le_bytes(format.try_into().expect("two bytes"));
        if format != FORMAT {
            return Err(BackupError::Format { path: path.to_path_buf(), found: format, known: FORMAT });
        }
        Ok(archive)
    }

    /// The name of the next entry; `None` when the file is whole and over.
    pub(super) fn next_name(&mut self) -> Result<Option<String>, BackupError> {
        let place = format!("the name of entry {}", self.entries);
        let length = u16::from_le_bytes(self.bytes(&place)?);
        if length == 0 {
            let entries = self.bytes::<8>("its end")?;
            let expected = u32::from_le_bytes(self.bytes("its end")?);
            self.verify(&[&entries], expected, "its end")?;
            if u64::from_le_bytes(entries) != self.entries {
                return Err(self.damage("its end", "entries are missing"));
            }
            let mut rest = [0];
            let is_over = self.reader.read(&mut rest).map_err(failed("read", &self.path))? == 0;
            return if is_over { Ok(None) } else { Err(self.damage("its end", "something follows it")) };
        }
        let mut name = vec![0; length.into()];
        self.fill(&mut name, &place)?;
        let expected = u32::from_le_bytes(self.bytes(&place)?);
        self.verify(&[&self.entries.to_le_bytes(), &name], expected, &place)?;
        match String::from_utf8(name) {
            Ok(name) if is_name(&name) => Ok(Some(name)),
            _ => Err(self.damage(&place, "it is no file of a store")),
        }
    }

    /// Writes the content of the entry whose name was read last.
    pub(super) fn extract(&mut self, target: &Path, progress: &mut dyn FnMut(u64)) -> Result<u64, BackupError> {
        let write_failed = failed("write", target);
        let mut file = create_private(target).map_err(&write_failed)?;
        let entry = self.entries.to_le_bytes();
        let (mut chunks, mut bytes) = (0_u64, 0);
        loop {
            let place = format!("chunk {chunks} of entry {}", self.entries);
            let length = u32::from_le_bytes(self.bytes(&place)?) as usize;
            if length == 0 {
                let count = self.bytes::<8>(&place)?;
                let expected = u32::from_le_bytes(self.bytes(&place)?);
                self.verify(&[&entry, &count], expected, &place)?;
                if u64::from_le_bytes(count) != chunks {
                    return Err(self.damage(&place, "chunks are missing"));
                }
                break;
            }
            if limits::BACKUP_CHUNK_BYTES_MAX < length {
                return Err(self.damage(&place, &format!("it claims {length} bytes")));
            }
            let expected = u32::from_le_bytes(self.bytes(&place)?);
            let mut chunk = vec![0; length];
            self.fill(&mut chunk, &place)?;
            self.verify(&[&entry, &chunks.to_le_bytes(), &chunk], expected, &place)?;
            file.write_all(&chunk).map_err(&write_failed)?;
            chunks += 1;
            bytes += length as u64;
            progress(bytes);
        }
        file.sync_all().map_err(write_failed)?;
        self.entries += 1;
        Ok(bytes)
    }

    fn verify(&self, parts: &[&[u8]], expected: u32, place: &str) -> Result<(), BackupError> {
        let found = checksum::of_parts(parts);
        if found == expected {
            return Ok(());
        }
        Err(Damage::checksum(&self.path, place.to_owned(), found, expected).into())
    }

    fn bytes<const N: usize>(&mut self, place: &str) -> Result<[u8; N], BackupError> {
        let mut bytes = [0; N];
        self.fill(&mut bytes, place)?;
        Ok(bytes)
    }

    fn fill(&mut self, bytes: &mut [u8], place: &str) -> Result<(), BackupError> {
        match self.reader.read_exact(bytes) {
            Ok(()) => Ok(()),
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Err(self.damage(place, "the file ends here")),
            Err(source) => Err(failed("read", &self.path)(source)),
        }
    }

    fn damage(&self, place: &str, problem: &str) -> BackupError {
        Damage { path: self.path.clone(), place: place.to_owned(), problem: problem.to_owned() }.into()
    }
}

/// Makes a file that only its owner may read: what is stored holds secrets.
pub(super) fn create_private(path: &Path) -> io::Result<File> {
    let mut options = File::options();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path)
}

/// A file of ours, directly in the directory or one below: nothing that could lead out of it.
fn is_name(name: &str) -> bool {
    let is_part = |part: &str| {
        !part.is_empty()
            && !part.starts_with('.')
            && part.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.'))
    };
    name.len() <= limits::BACKUP_NAME_BYTES_MAX && name.split('/').count() <= 2 && name.split('/').all(is_part)
}

pub(super) fn failed(step: &'static str, path: &Path) -> impl Fn(io::Error) -> BackupError {
    move |source| BackupError::File { step, path: path.to_path_buf(), source }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_lead_elsewhere_are_no_entries() {
        for name in ["journal.sqlite", "snapshots/0a-1.snapshot", "history/history-2024-03-05.sqlite"] {
            assert!(is_name(name), "{name}");
        }
        for name in ["", "/etc/passwd", "../x", "a/../b", "a/b/c", "a//b", "a\\b", "./a"] {
            assert!(!is_name(name), "{name}");
        }
        assert!(is_name(&"a".repeat(limits::BACKUP_NAME_BYTES_MAX)));
        assert!(!is_name(&"a".repeat(limits::BACKUP_NAME_BYTES_MAX + 1)));
    }
}
