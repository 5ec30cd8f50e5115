//! Snapshot files. Each is written aside, synchronized and renamed, so that a name stands for a whole file.
//!
//! ```text
//! header   "PMSNAP" | format u16 | stream [16] | sequence u64 | position u64 | checksum u32 of all before
//! chunk    length u32 | checksum u32 of (header checksum, index u64, payload) | payload
//! end      0xffff_ffff | chunks u64 | checksum u32 of (header checksum, chunks u64, nothing)
//! ```
//!
//! Numbers are little-endian. No SQLite: a snapshot is written and read in one go, and damage to one file must not
//! reach another.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, BufReader, BufWriter, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use crate::{
    CheckReport, Damage, OpenError, Position, ReadError, SequenceNumber, Snapshot, SnapshotChunks, SnapshotList,
    StreamId, WriteError, checksum, limits,
};

use crate::snapshot::check_chunk;

use super::database::lock;
use super::directory::synchronize_directory;

pub(super) const DIRECTORY: &str = "snapshots";
const EXTENSION: &str = "snapshot";
const EXTENSION_ASIDE: &str = "tmp";
const MAGIC: &[u8; 6] = b"PMSNAP";
const FORMAT: u16 = 1;
const HEADER_BYTES: usize = 6 + 2 + 16 + 8 + 8;
const END: u32 = u32::MAX;
const BUFFER_BYTES: usize = 256 << 10;

#[derive(Debug)]
pub(super) struct Snapshots {
    directory: PathBuf,
    /// What is there by its name, oldest first.
    kept: Mutex<BTreeMap<StreamId, Vec<Kept>>>,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Kept {
    sequence: SequenceNumber,
    content: Content,
}

/// What is known of a file's content. What was good or bad once is not trusted to stay so; reading verifies again.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Content {
    Unread,
    Good,
    Damaged,
}

impl Snapshots {
    pub(super) fn open(directory: &Path) -> Result<Snapshots, OpenError> {
        let directory = directory.join(DIRECTORY);
        let failed = |source| OpenError::File { step: "list the snapshots in", path: directory.clone(), source };
        fs::create_dir_all(&directory).map_err(|source| OpenError::Directory { path: directory.clone(), source })?;
        let mut kept: BTreeMap<StreamId, Vec<Kept>> = BTreeMap::new();
        for entry in fs::read_dir(&directory).map_err(failed)? {
            let path = entry.map_err(failed)?.path();
            if path.extension().is_some_and(|extension| extension == EXTENSION_ASIDE) {
                // Left by a crash in the middle of a save, which was not acknowledged.
                fs::remove_file(&path).map_err(failed)?;
            } else if let Some((stream, sequence)) = parse_name(&path) {
                kept.entry(stream).or_default().push(Kept { sequence, content: Content::Unread });
            }
        }
        for sequences in kept.values_mut() {
            sequences.sort_by_key(|kept| kept.sequence);
        }
        Ok(Snapshots { directory, kept: Mutex::new(kept) })
    }

    pub(super) fn save(&self, snapshot: Snapshot, chunks: &mut dyn Iterator<Item = Vec<u8>>) -> Result<(), WriteError> {
        let path = self.path(snapshot.stream, snapshot.sequence);
        let aside = path.with_extension(EXTENSION_ASIDE);
        let written = write_file(&aside, snapshot, chunks).and_then(|()| {
            let failed = |step| write_failed(step, &path);
            fs::rename(&aside, &path).map_err(failed("rename a snapshot into place"))?;
            synchronize_directory(&self.directory).map_err(failed("synchronize the directory of a snapshot"))
        });
        if let Err(error) = written {
            // The next start removes it if this does not.
            let _ = fs::remove_file(&aside);
            return Err(error);
        }
        let mut kept = lock(&self.kept);
        let of_stream = kept.entry(snapshot.stream).or_default();
        of_stream.retain(|kept| kept.sequence != snapshot.sequence);
        of_stream.push(Kept { sequence: snapshot.sequence, content: Content::Good });
        of_stream.sort_by_key(|kept| kept.sequence);
        while of_stream.len() > limits::SNAPSHOTS_KEPT {
            // A damaged one must not push out a good one.
            let surplus = of_stream.iter().position(|kept| kept.content == Content::Damaged).unwrap_or(0);
            let path = self.path(snapshot.stream, of_stream[surplus].sequence);
            fs::remove_file(&path).map_err(write_failed("remove an old snapshot", &path))?;
            of_stream.remove(surplus);
        }
        Ok(())
    }

    /// The older of the two snapshots of each stream, of those that have two good ones.
    pub(super) fn older_kept(&self) -> Vec<(StreamId, SequenceNumber)> {
        let kept = lock(&self.kept).clone();
        let mut older = Vec::new();
        for (stream, sequences) in kept {
            if sequences.len() < limits::SNAPSHOTS_KEPT {
                continue;
            }
            let is_good = |kept: &Kept| match kept.content {
                Content::Good => true,
                Content::Unread => self.verify(stream, kept.sequence).is_ok(),
                Content::Damaged => false,
            };
            if sequences.iter().all(is_good) {
                let sequence = sequences[sequences.len() - limits::SNAPSHOTS_KEPT].sequence;
                older.push((stream, sequence));
            }
        }
        older
    }

    pub(super) fn list(&self, last: impl Fn(StreamId) -> SequenceNumber) -> Result<SnapshotList, ReadError> {
        let kept = lock(&self.kept).clone();
        let mut list = SnapshotList::default();
        for (stream, sequences) in kept {
            for kept in sequences.iter().rev() {
                match self.verify_against(stream, kept.sequence, last(stream)) {
                    Ok(snapshot) => {
                        list.newest.push(snapshot);
                        break;
                    }
                    // One that has made room for a newer one meanwhile is not missing.
                    Err(ReadError::Damaged(_)) if !self.is_kept(stream, kept.sequence) => {}
                    Err(ReadError::Damaged(damage)) => list.damaged.push(damage),
                    Err(error) => return Err(error),
                }
            }
        }
        Ok(list)
    }

    pub(super) fn read(&self, snapshot: Snapshot) -> Result<SnapshotChunks, ReadError> {
        let Snapshot { stream, sequence, .. } = snapshot;
        if !self.is_kept(stream, sequence) {
            return Err(ReadError::NoSnapshot { stream, sequence });
        }
        let reader = FileReader::open(&self.path(stream, sequence))?;
        Ok(SnapshotChunks(Box::new(reader)))
    }

    pub(super) fn delete_stream(&self, stream: StreamId) -> Result<(), WriteError> {
        let mut kept = lock(&self.kept);
        for of_stream in kept.get(&stream).into_iter().flatten() {
            let path = self.path(stream, of_stream.sequence);
            match fs::remove_file(&path) {
                Ok(()) => {}
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(source) => return Err(write_failed("remove a snapshot", &path)(source)),
            }
        }
        kept.remove(&stream);
        synchronize_directory(&self.directory).map_err(write_failed("synchronize a directory", &self.directory))
    }

    pub(super) fn check(
        &self,
        last: impl Fn(StreamId) -> SequenceNumber,
        report: &mut CheckReport,
    ) -> Result<(), ReadError> {
        let kept = lock(&self.kept).clone();
        for (stream, sequences) in kept {
            for kept in sequences {
                match self.verify_against(stream, kept.sequence, last(stream)) {
                    Ok(_) => report.snapshots += 1,
                    Err(ReadError::Damaged(_)) if !self.is_kept(stream, kept.sequence) => {}
                    Err(ReadError::Damaged(damage)) => report.damage.push(damage),
                    Err(error) => return Err(error),
                }
            }
        }
        Ok(())
    }

    /// A snapshot of records that the journal does not have would hide that the journal has lost them.
    fn verify_against(
        &self,
        stream: StreamId,
        sequence: SequenceNumber,
        last: SequenceNumber,
    ) -> Result<Snapshot, ReadError> {
        if sequence > last {
            return Err(ReadError::Damaged(Damage {
                path: self.path(stream, sequence),
                place: format!("sequence number {sequence}"),
                problem: format!("the journal's last record of the stream is {last}"),
            }));
        }
        self.verify(stream, sequence)
    }

    fn verify(&self, stream: StreamId, sequence: SequenceNumber) -> Result<Snapshot, ReadError> {
        let verified = verify_file(&self.path(stream, sequence), stream, sequence);
        let content = match verified {
            Ok(_) => Content::Good,
            Err(ReadError::Damaged(_)) => Content::Damaged,
            Err(_) => Content::Unread,
        };
        if let Some(of_stream) = lock(&self.kept).get_mut(&stream) {
            for kept in of_stream.iter_mut().filter(|kept| kept.sequence == sequence) {
                kept.content = content;
            }
        }
        verified
    }

    fn is_kept(&self, stream: StreamId, sequence: SequenceNumber) -> bool {
        let kept = lock(&self.kept);
        kept.get(&stream).is_some_and(|of_stream| of_stream.iter().any(|kept| kept.sequence == sequence))
    }

    fn path(&self, stream: StreamId, sequence: SequenceNumber) -> PathBuf {
        self.directory.join(format!("{stream}-{:020}.{EXTENSION}", sequence.0))
    }
}

pub(super) fn verify_file(path: &Path, stream: StreamId, sequence: SequenceNumber) -> Result<Snapshot, ReadError> {
    let mut reader = FileReader::open(path)?;
    let snapshot = reader.snapshot;
    if (snapshot.stream, snapshot.sequence) != (stream, sequence) {
        let problem = format!("it is of stream {} at {}", snapshot.stream, snapshot.sequence);
        return Err(reader.damage("its header", &problem));
    }
    while reader.next_chunk()?.is_some() {}
    Ok(snapshot)
}

/// The snapshots in a directory by their names, those of a stream together and oldest first.
pub(super) fn list_files(directory: &Path) -> io::Result<Vec<(StreamId, SequenceNumber, PathBuf)>> {
    let mut files = Vec::new();
    for entry in fs::read_dir(directory)? {
        let path = entry?.path();
        files.extend(parse_name(&path).map(|(stream, sequence)| (stream, sequence, path)));
    }
    files.sort();
    Ok(files)
}

fn parse_name(path: &Path) -> Option<(StreamId, SequenceNumber)> {
    if path.extension()? != EXTENSION {
        return None;
    }
    let (stream, sequence) = path.file_stem()?.to_str()?.split_once('-')?;
    Some((StreamId::parse(stream)?, SequenceNumber(sequence.parse().ok()?)))
}

fn write_failed(step: &'static str, path: &Path) -> impl Fn(io::Error) -> WriteError {
    move |source| WriteError::Failed { step, path: path.to_path_buf(), source: Box::new(source) }
}

fn header_of(snapshot: Snapshot) -> [u8; HEADER_BYTES] {
    let mut header = [0; HEADER_BYTES];
    header[0..6].copy_from_slice(MAGIC);
    header[6..8].copy_from_slice(&FORMAT.to_le_bytes());
    header[8..24].copy_from_slice(&snapshot.stream.0);
    header[24..32].copy_from_slice(&snapshot.sequence.0.to_le_bytes());
    header[32..40].copy_from_slice(&snapshot.position.0.to_le_bytes());
    header
}

fn write_file(path: &Path, snapshot: Snapshot, chunks: &mut dyn Iterator<Item = Vec<u8>>) -> Result<(), WriteError> {
    let failed = write_failed("write a snapshot", path);
    let file = File::create(path).map_err(&failed)?;
    let mut writer = BufWriter::with_capacity(BUFFER_BYTES, file);
    let header = header_of(snapshot);
    let header_checksum = checksum::snapshot_header(&header);
    writer.write_all(&header).map_err(&failed)?;
    writer.write_all(&header_checksum.to_le_bytes()).map_err(&failed)?;
    let mut count = 0;
    for chunk in chunks {
        check_chunk(count, &chunk)?;
        writer.write_all(&(chunk.len() as u32).to_le_bytes()).map_err(&failed)?;
        let checksum = checksum::snapshot_chunk(header_checksum, count, &chunk);
        writer.write_all(&checksum.to_le_bytes()).map_err(&failed)?;
        writer.write_all(&chunk).map_err(&failed)?;
        count += 1;
    }
    writer.write_all(&END.to_le_bytes()).map_err(&failed)?;
    writer.write_all(&count.to_le_bytes()).map_err(&failed)?;
    writer.write_all(&checksum::snapshot_chunk(header_checksum, count, &[]).to_le_bytes()).map_err(&failed)?;
    let file = writer.into_inner().map_err(|error| failed(error.into_error()))?;
    file.sync_all().map_err(&failed)
}

/// Reads a file chunk by chunk, verifying each.
struct FileReader {
    path: PathBuf,
    reader: BufReader<File>,
    snapshot: Snapshot,
    header_checksum: u32,
    /// Chunks read so far.
    index: u64,
    is_over: bool,
}

impl FileReader {
    fn open(path: &Path) -> Result<FileReader, ReadError> {
        let file = match File::open(path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return Err(ReadError::Damaged(Damage {
                    path: path.to_path_buf(),
                    place: "its name".to_owned(),
                    problem: "the file is gone".to_owned(),
                }));
            }
            Err(source) => {
                return Err(ReadError::Failed {
                    step: "open a snapshot",
                    path: path.to_path_buf(),
                    source: source.into(),
                });
            }
        };
        let mut reader = FileReader {
            path: path.to_path_buf(),
            reader: BufReader::with_capacity(BUFFER_BYTES, file),
            snapshot: Snapshot { stream: StreamId([0; 16]), sequence: SequenceNumber::ZERO, position: Position::ZERO },
            header_checksum: 0,
            index: 0,
            is_over: false,
        };
        let header: [u8; HEADER_BYTES] = reader.bytes("its header")?;
        let expected = u32::from_le_bytes(reader.bytes("its header")?);
        if &header[0..6] != MAGIC {
            return Err(reader.damage("its header", "it is not a snapshot"));
        }
        let format = u16::from_le_bytes(header[6..8].try_into().expect("two bytes"));
        if format != FORMAT {
            return Err(reader.damage("its header", &format!("it has format {format}, this program reads {FORMAT}")));
        }
        let found = checksum::snapshot_header(&header);
        if found != expected {
            return Err(ReadError::Damaged(Damage::checksum(path, "its header".to_owned(), found, expected)));
        }
        reader.header_checksum = found;
        reader.snapshot = Snapshot {
            stream: StreamId(header[8..24].try_into().expect("sixteen bytes")),
            sequence: SequenceNumber(u64::from_le_bytes(header[24..32].try_into().expect("eight bytes"))),
            position: Position(u64::from_le_bytes(header[32..40].try_into().expect("eight bytes"))),
        };
        Ok(reader)
    }

    fn next_chunk(&mut self) -> Result<Option<Vec<u8>>, ReadError> {
        if self.is_over {
            return Ok(None);
        }
        let place = format!("chunk {}", self.index);
        let length = u32::from_le_bytes(self.bytes(&place)?);
        if length == END {
            let count = u64::from_le_bytes(self.bytes("its end")?);
            let expected = u32::from_le_bytes(self.bytes("its end")?);
            let found = checksum::snapshot_chunk(self.header_checksum, self.index, &[]);
            if count != self.index || found != expected {
                return Err(self.damage("its end", &format!("it has {} chunks, expected {count}", self.index)));
            }
            self.is_over = true;
            return Ok(None);
        }
        if length as usize > limits::SNAPSHOT_CHUNK_BYTES_MAX {
            return Err(self.damage(&place, &format!("it claims {length} bytes")));
        }
        let expected = u32::from_le_bytes(self.bytes(&place)?);
        let mut payload = vec![0; length as usize];
        self.fill(&mut payload, &place)?;
        let found = checksum::snapshot_chunk(self.header_checksum, self.index, &payload);
        if found != expected {
            return Err(ReadError::Damaged(Damage::checksum(&self.path, place, found, expected)));
        }
        self.index += 1;
        Ok(Some(payload))
    }

    fn bytes<const N: usize>(&mut self, place: &str) -> Result<[u8; N], ReadError> {
        let mut bytes = [0; N];
        self.fill(&mut bytes, place)?;
        Ok(bytes)
    }

    fn fill(&mut self, bytes: &mut [u8], place: &str) -> Result<(), ReadError> {
        match self.reader.read_exact(bytes) {
            Ok(()) => Ok(()),
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Err(self.damage(place, "the file ends here")),
            Err(source) => {
                Err(ReadError::Failed { step: "read a snapshot", path: self.path.clone(), source: source.into() })
            }
        }
    }

    fn damage(&self, place: &str, problem: &str) -> ReadError {
        ReadError::Damaged(Damage { path: self.path.clone(), place: place.to_owned(), problem: problem.to_owned() })
    }
}

impl Iterator for FileReader {
    type Item = Result<Vec<u8>, ReadError>;

    fn next(&mut self) -> Option<Self::Item> {
        let chunk = self.next_chunk().transpose();
        if matches!(chunk, Some(Err(_))) {
            self.is_over = true;
        }
        chunk
    }
}
