//! Snapshots: every row of a Workspace, in chunks that each stand alone.
//!
//! ```text
//! chunk 0   tables, header (Workspace, counters), rows
//! chunk 1   tables, rows
//! chunk n   tables, rows, last
//! ```
//!
//! What follows from other rows is not written: SIDs come from the seed and the id, parsed texts from the texts.

mod rows;

use pointsman_engine::{
    Activity, Kept, Reservation, Snapshot, TaskChannel, TaskQueueRow, TaskRow, Transfer, Worker, WorkflowRow, Workspace,
};
use prost::Message;

use self::rows::{
    ActivityMessage, ReservationMessage, TaskChannelMessage, TaskQueueRowMessage, TaskRowMessage, TransferMessage,
    WorkerMessage, WorkflowRowMessage, WorkspaceMessage,
};
use crate::error::DecodeError;
use crate::field::Field;
use crate::frame;
use crate::limits::CHUNK_BYTES;
use crate::tables::{Reader, TablesMessage, Writer};
use crate::validate;

#[derive(Clone, PartialEq, prost::Message)]
struct HeaderMessage {
    #[prost(sint64, tag = 1)]
    now: i64,
    #[prost(message, optional, tag = 2)]
    workspace: Option<WorkspaceMessage>,
    #[prost(bool, tag = 3)]
    deleted: bool,
    #[prost(uint32, tag = 4)]
    seed: u32,
    #[prost(uint64, tag = 5)]
    created: u64,
    #[prost(uint64, tag = 6)]
    published: u64,
}

#[derive(Clone, PartialEq, prost::Message)]
struct ChunkMessage {
    #[prost(message, optional, tag = 1)]
    tables: Option<TablesMessage>,
    #[prost(uint64, tag = 2)]
    number: u64,
    #[prost(bool, tag = 3)]
    last: bool,
    /// In the first chunk.
    #[prost(message, optional, tag = 4)]
    header: Option<HeaderMessage>,

    #[prost(message, repeated, tag = 5)]
    activities: Vec<ActivityMessage>,
    #[prost(message, repeated, tag = 6)]
    task_channels: Vec<TaskChannelMessage>,
    #[prost(message, repeated, tag = 7)]
    workers: Vec<WorkerMessage>,
    #[prost(message, repeated, tag = 8)]
    task_queues: Vec<TaskQueueRowMessage>,
    #[prost(message, repeated, tag = 9)]
    workflows: Vec<WorkflowRowMessage>,
    #[prost(message, repeated, tag = 10)]
    tasks: Vec<TaskRowMessage>,
    #[prost(message, repeated, tag = 11)]
    reservations: Vec<ReservationMessage>,
    #[prost(message, repeated, tag = 12)]
    transfers: Vec<TransferMessage>,

    #[prost(message, repeated, tag = 13)]
    retired_activities: Vec<ActivityMessage>,
    #[prost(message, repeated, tag = 14)]
    retired_task_channels: Vec<TaskChannelMessage>,
    #[prost(message, repeated, tag = 15)]
    retired_workers: Vec<WorkerMessage>,
    #[prost(message, repeated, tag = 16)]
    retired_task_queues: Vec<TaskQueueRowMessage>,
    #[prost(message, repeated, tag = 17)]
    retired_workflows: Vec<WorkflowRowMessage>,
}

/// One row of any table.
#[derive(Clone, Copy, Debug)]
enum Row<'a> {
    Activity(&'a Kept<Activity>),
    TaskChannel(&'a Kept<TaskChannel>),
    Worker(&'a Kept<Worker>),
    TaskQueue(&'a Kept<TaskQueueRow>),
    Workflow(&'a Kept<WorkflowRow>),
    Task(&'a TaskRow),
    Reservation(&'a Reservation),
    Transfer(&'a Transfer),
}

/// Writes a snapshot down, chunk by chunk.
///
/// - Chunks of about [`CHUNK_BYTES`]; rows are never split. At least one.
pub fn encode(snapshot: &Snapshot) -> Chunks<'_> {
    let Snapshot {
        now: _,
        workspace: _,
        deleted: _,
        seed: _,
        created: _,
        published: _,
        activities,
        task_channels,
        workers,
        task_queues,
        workflows,
        tasks,
        reservations,
        transfers,
    } = snapshot;
    let rows = activities
        .iter()
        .map(Row::Activity)
        .chain(task_channels.iter().map(Row::TaskChannel))
        .chain(workers.iter().map(Row::Worker))
        .chain(task_queues.iter().map(Row::TaskQueue))
        .chain(workflows.iter().map(Row::Workflow))
        .chain(tasks.iter().map(Row::Task))
        .chain(reservations.iter().map(Row::Reservation))
        .chain(transfers.iter().map(Row::Transfer));
    let rows: Box<dyn Iterator<Item = Row<'_>> + Send> = Box::new(rows);
    Chunks { snapshot, rows: rows.peekable(), number: 0, finished: false }
}

/// The chunks of a snapshot, each written when it is asked for.
pub struct Chunks<'a> {
    snapshot: &'a Snapshot,
    rows: std::iter::Peekable<Box<dyn Iterator<Item = Row<'a>> + Send + 'a>>,
    number: u64,
    finished: bool,
}

impl std::fmt::Debug for Chunks<'_> {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "Chunks(next {})", self.number)
    }
}

impl Iterator for Chunks<'_> {
    type Item = Vec<u8>;

    fn next(&mut self) -> Option<Vec<u8>> {
        if self.finished {
            return None;
        }
        let mut writer = Writer::new(self.snapshot.now);
        let mut chunk = ChunkMessage { number: self.number, ..ChunkMessage::default() };
        if self.number == 0 {
            chunk.header = Some(header(self.snapshot, &mut writer));
        }
        let mut rows_bytes = 0;
        while rows_bytes + writer.bytes() < CHUNK_BYTES {
            let Some(row) = self.rows.next() else { break };
            rows_bytes += add_row(&mut chunk, row, &mut writer);
        }
        chunk.tables = Some(writer.finish());
        chunk.last = self.rows.peek().is_none();
        self.finished = chunk.last;
        self.number += 1;
        Some(frame::encode(&chunk))
    }
}

fn header<'a>(snapshot: &'a Snapshot, writer: &mut Writer<'a>) -> HeaderMessage {
    HeaderMessage {
        now: snapshot.now.write(writer),
        workspace: snapshot.workspace.write(writer),
        deleted: snapshot.deleted,
        seed: snapshot.seed.write(writer),
        created: snapshot.created,
        published: snapshot.published,
    }
}

/// Adds a row to its list, and tells how long it is.
fn add_row<'a>(chunk: &mut ChunkMessage, row: Row<'a>, writer: &mut Writer<'a>) -> usize {
    fn push<'a, M: Message, D: Field<M>>(list: &mut Vec<M>, row: &'a D, writer: &mut Writer<'a>) -> usize {
        let message = row.write(writer);
        // Tag and length of the row itself take two to four bytes more.
        let length = message.encoded_len() + 4;
        list.push(message);
        length
    }
    fn push_kept<'a, M: Message, D: Field<M>>(
        live: &mut Vec<M>,
        retired: &mut Vec<M>,
        kept: &'a Kept<D>,
        writer: &mut Writer<'a>,
    ) -> usize {
        push(if kept.retired { retired } else { live }, &kept.row, writer)
    }
    match row {
        Row::Activity(kept) => push_kept(&mut chunk.activities, &mut chunk.retired_activities, kept, writer),
        Row::TaskChannel(kept) => push_kept(&mut chunk.task_channels, &mut chunk.retired_task_channels, kept, writer),
        Row::Worker(kept) => push_kept(&mut chunk.workers, &mut chunk.retired_workers, kept, writer),
        Row::TaskQueue(kept) => push_kept(&mut chunk.task_queues, &mut chunk.retired_task_queues, kept, writer),
        Row::Workflow(kept) => push_kept(&mut chunk.workflows, &mut chunk.retired_workflows, kept, writer),
        Row::Task(row) => push(&mut chunk.tasks, row, writer),
        Row::Reservation(row) => push(&mut chunk.reservations, row, writer),
        Row::Transfer(row) => push(&mut chunk.transfers, row, writer),
    }
}

/// Reads the chunks that [`encode`] wrote.
///
/// - The result is fit for [`pointsman_engine::State::from_snapshot`]: texts parse, queues that rules name exist, ids
///   stand in order and once.
pub fn decode(chunks: impl IntoIterator<Item = Vec<u8>>) -> Result<Snapshot, DecodeError> {
    let mut decoder = Decoder::default();
    for chunk in chunks {
        decoder.add(&chunk)?;
    }
    decoder.finish()
}

/// Reads a snapshot chunk by chunk, as they come from the store.
#[derive(Debug, Default)]
pub struct Decoder {
    snapshot: Option<Snapshot>,
    chunks: u64,
    complete: bool,
}

impl Decoder {
    /// Takes the next chunk.
    pub fn add(&mut self, chunk: &[u8]) -> Result<(), DecodeError> {
        let ChunkMessage {
            tables,
            number,
            last,
            header,
            activities,
            task_channels,
            workers,
            task_queues,
            workflows,
            tasks,
            reservations,
            transfers,
            retired_activities,
            retired_task_channels,
            retired_workers,
            retired_task_queues,
            retired_workflows,
        } = frame::decode(chunk)?;
        if number != self.chunks || self.complete {
            return Err(DecodeError::ChunkOrder { found: number, expected: self.chunks });
        }
        let mut reader = Reader::new(tables.unwrap_or_default());
        let snapshot = match &mut self.snapshot {
            Some(snapshot) => snapshot,
            empty => {
                let header = header.ok_or(DecodeError::Missing { part: "header of the snapshot" })?;
                empty.insert(empty_snapshot(header, &reader)?)
            }
        };
        reader.set_seed(snapshot.seed);
        extend_kept(&mut snapshot.activities, activities, retired_activities, &reader, "Activity")?;
        extend_kept(&mut snapshot.task_channels, task_channels, retired_task_channels, &reader, "TaskChannel")?;
        extend_kept(&mut snapshot.workers, workers, retired_workers, &reader, "Worker")?;
        extend_kept(&mut snapshot.task_queues, task_queues, retired_task_queues, &reader, "TaskQueue")?;
        extend_kept(&mut snapshot.workflows, workflows, retired_workflows, &reader, "Workflow")?;
        extend(&mut snapshot.tasks, tasks, &reader, "Task")?;
        extend(&mut snapshot.reservations, reservations, &reader, "Reservation")?;
        extend(&mut snapshot.transfers, transfers, &reader, "Transfer")?;
        self.chunks += 1;
        self.complete = last;
        Ok(())
    }

    /// Gives the snapshot, once all chunks were added.
    pub fn finish(self) -> Result<Snapshot, DecodeError> {
        let snapshot = self.snapshot.filter(|_| self.complete);
        let snapshot = snapshot.ok_or(DecodeError::Missing { part: "last chunk of the snapshot" })?;
        validate::snapshot(&snapshot)?;
        Ok(snapshot)
    }
}

fn empty_snapshot(header: HeaderMessage, reader: &Reader) -> Result<Snapshot, DecodeError> {
    let HeaderMessage { now, workspace, deleted, seed, created, published } = header;
    let mut workspace: Workspace = Field::read(workspace, "Workspace", reader)?;
    let seed = Field::read(seed, "seed", reader)?;
    workspace.operating_unit = pointsman_engine::derive_sid(seed, 0);
    Ok(Snapshot {
        now: reader.time(now),
        workspace,
        deleted,
        seed,
        created,
        published,
        activities: Vec::new(),
        task_channels: Vec::new(),
        workers: Vec::new(),
        task_queues: Vec::new(),
        workflows: Vec::new(),
        tasks: Vec::new(),
        reservations: Vec::new(),
        transfers: Vec::new(),
    })
}

/// A row that has a place in the creation order.
trait Numbered {
    fn number(&self) -> u64;
}

macro_rules! numbered {
    ($($row:ty: $($field:ident).+;)*) => {
        $(impl Numbered for $row {
            fn number(&self) -> u64 {
                self.$($field).+.number()
            }
        })*
    };
}
numbered! {
    Activity: id;
    TaskChannel: id;
    Worker: id;
    TaskQueueRow: id;
    WorkflowRow: id;
    TaskRow: task.id;
    Reservation: id;
    Transfer: id;
}

fn extend<M, D: Field<M> + Numbered>(
    rows: &mut Vec<D>,
    messages: Vec<M>,
    reader: &Reader,
    part: &'static str,
) -> Result<(), DecodeError> {
    rows.reserve(messages.len());
    for message in messages {
        let row = D::read(message, part, reader)?;
        if rows.last().is_some_and(|before| row.number() <= before.number()) {
            return Err(DecodeError::RowOrder { part, number: row.number() });
        }
        rows.push(row);
    }
    Ok(())
}

/// Live rows come before retired ones, each in creation order.
fn extend_kept<M, D: Field<M> + Numbered>(
    rows: &mut Vec<Kept<D>>,
    live: Vec<M>,
    retired: Vec<M>,
    reader: &Reader,
    part: &'static str,
) -> Result<(), DecodeError> {
    let live = live.into_iter().map(|message| (message, false));
    for (message, retired) in live.chain(retired.into_iter().map(|message| (message, true))) {
        let row = D::read(message, part, reader)?;
        let before = rows.last().map(|before| (before.retired, before.row.number()));
        if before.is_some_and(|before| (retired, row.number()) <= before) {
            return Err(DecodeError::RowOrder { part, number: row.number() });
        }
        rows.push(Kept { row, retired });
    }
    Ok(())
}
