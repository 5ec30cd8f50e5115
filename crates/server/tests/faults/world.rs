//! A shard with one busy Workspace on a store, driven by random requests.

use std::sync::Arc;

use pointsman_api::{self as api, HttpRequest};
use pointsman_dispatcher::{Batch, Input, OutboxChange, PendingRecord, Shard, Telephony, Ticket};
use pointsman_engine::{Account, Limits, ReservationStatus, Sid, Timestamp, Workspace};
use pointsman_record as record;
use pointsman_store::{
    AppendError, Epoch, OutboxEntry, Position, ReadError, ReadLimit, Record, SequenceNumber, Snapshot, Store, StreamId,
};

const ACCOUNT: [u8; 16] = [1; 16];
/// 2024-03-05, noon.
const NOON_MS: i64 = 1_709_640_000_000;

/// SplitMix64.
pub(crate) struct Random(pub(crate) u64);

impl Random {
    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % bound
    }

    pub(crate) fn pick<'a, T>(&mut self, items: &'a [T]) -> Option<&'a T> {
        if items.is_empty() { None } else { items.get(self.below(items.len() as u64) as usize) }
    }
}

/// A number from the environment.
pub(crate) fn number_of(variable: &str, default: u64) -> u64 {
    std::env::var(variable).map_or(default, |text| text.parse().expect("a number"))
}

pub(crate) struct World {
    pub(crate) shard: Shard,
    pub(crate) now_ms: i64,
    workspace: Sid<Workspace>,
    made: u64,
}

impl World {
    /// A Workspace with Workers; what that takes is in the batch.
    pub(crate) fn create(number: u64, batch: &mut Batch) -> World {
        World::create_with(number, "&EventCallbackUrl=http%3A%2F%2Fexample.com%2Fevents", batch)
    }

    pub(crate) fn create_with(number: u64, more: &str, batch: &mut Batch) -> World {
        let mut sid = [9; 16];
        sid[8..].copy_from_slice(&number.to_be_bytes());
        let workspace = Sid::from_bytes(sid);
        let mut world =
            World { shard: Shard::new(Limits::default(), Telephony::None), now_ms: NOON_MS, workspace, made: 0 };
        let call = call("POST", "/v1/Workspaces", &format!("FriendlyName=Busy&Template=FIFO{more}"));
        let account = Sid::<Account>::from_bytes(ACCOUNT);
        let create = api::create_workspace_command(&call, [3; 16], workspace, number, account).unwrap();
        let input = Input::CreateWorkspace { ticket: Ticket(0), create, call: Box::new(call) };
        world.shard.handle(Timestamp(world.now_ms), input, batch);
        for name in ["Ada", "Ben", "Cleo"] {
            world.call("POST", "Workers", &format!("FriendlyName={name}"), batch);
        }
        let idle = world.state().activities().find(|activity| activity.available).expect("templates have one").sid;
        let workers: Vec<_> = world.state().workers().map(|worker| worker.sid).collect();
        for worker in workers {
            world.call("POST", &format!("Workers/{worker}"), &format!("ActivitySid={idle}"), batch);
        }
        world
    }

    pub(crate) fn state(&self) -> &pointsman_engine::State {
        self.shard.workspaces().next().expect("its Workspace is never deleted")
    }

    pub(crate) fn call(&mut self, method: &str, path: &str, form: &str, batch: &mut Batch) {
        let path = format!("/v1/Workspaces/{}/{path}", self.workspace);
        let call = Box::new(call(method, &path, form));
        let input = Input::Call { ticket: Ticket(0), account: Sid::from_bytes(ACCOUNT), call };
        self.shard.handle(Timestamp(self.now_ms), input, batch);
    }

    /// One random request, or time passes.
    pub(crate) fn step(&mut self, random: &mut Random, batch: &mut Batch) {
        self.made += 1;
        let text = self.made;
        let state = self.state();
        let tasks: Vec<_> = state.tasks().map(|task| task.sid).collect();
        let reservations: Vec<_> = state
            .reservations()
            .filter(|reservation| reservation.status == ReservationStatus::Pending)
            .map(|reservation| reservation.sid)
            .collect();
        let task_of = |reservation| {
            let task = state.find_reservation(reservation).expect("it was just listed").task;
            state.task(task).expect("it is kept while its Reservation is").sid
        };
        let (path, form) = match random.below(10) {
            0..4 => {
                let attributes = format!("%7B%22number%22%3A{text}%2C%22text%22%3A%22{}%22%7D", "z".repeat(40));
                ("Tasks".to_owned(), format!("Attributes={attributes}&Timeout={}", 60 + random.below(600)))
            }
            4 | 5 if let Some(&reservation) = random.pick(&reservations) => {
                let status = if random.below(4) == 0 { "rejected" } else { "accepted" };
                (
                    format!("Tasks/{}/Reservations/{reservation}", task_of(reservation)),
                    format!("ReservationStatus={status}"),
                )
            }
            6 if let Some(task) = random.pick(&tasks) => {
                (format!("Tasks/{task}"), "AssignmentStatus=completed&Reason=done".to_owned())
            }
            7 if let Some(task) = random.pick(&tasks) => (format!("Tasks/{task}"), format!("Priority={}", text % 100)),
            8 if let Some(task) = random.pick(&tasks) => {
                (format!("Tasks/{task}"), "AssignmentStatus=canceled&Reason=gone".to_owned())
            }
            _ => {
                self.now_ms += 1 + random.below(90_000) as i64;
                self.shard.handle(Timestamp(self.now_ms), Input::Tick, batch);
                return;
            }
        };
        self.now_ms += random.below(200) as i64;
        self.call("POST", &path, &form, batch);
    }

    /// Byte for byte what the Workspace is.
    pub(crate) fn picture(&self) -> Vec<Vec<u8>> {
        picture(&self.shard)
    }

    pub(crate) fn save_snapshot(&self, store: &dyn Store) {
        let position = store.last_position();
        for (sid, sequence, snapshot) in self.shard.snapshots() {
            let about = Snapshot { stream: StreamId(sid.bytes()), sequence: SequenceNumber(sequence), position };
            store.save_snapshot(about, &mut record::snapshot::encode(&snapshot)).unwrap();
        }
    }
}

/// Without the instant: that a refused request came and changed nothing is not kept.
pub(crate) fn picture(shard: &Shard) -> Vec<Vec<u8>> {
    let mut chunks = Vec::new();
    for (_, _, mut snapshot) in shard.snapshots() {
        snapshot.now = Timestamp(0);
        chunks.extend(record::snapshot::encode(&snapshot));
    }
    chunks
}

fn call(method: &str, path: &str, form: &str) -> api::Call {
    let parsed = api::parse(&HttpRequest {
        method,
        path,
        content_type: Some("application/x-www-form-urlencoded"),
        body: form.as_bytes(),
        base_url: "http://localhost",
        ..HttpRequest::default()
    });
    parsed.unwrap_or_else(|error| panic!("{method} {path} {form}: {}", error.message))
}

/// Appends what a batch holds, as the commit thread does.
pub(crate) fn append(store: &dyn Store, epoch: Epoch, batch: &Batch) -> Result<Position, AppendError> {
    let records: Vec<Record> = batch.records.iter().map(stored_record).collect();
    let outbox: Vec<_> = batch.outbox.iter().map(stored_change).collect();
    store.append(epoch, &records, &outbox)
}

fn stored_record(record: &PendingRecord) -> Record {
    let PendingRecord { stream, sequence, at, payload, published: _ } = record;
    Record { stream: StreamId(*stream), sequence: SequenceNumber(*sequence), at_ms: at.0, payload: payload.clone() }
}

fn stored_change(change: &OutboxChange) -> pointsman_store::OutboxChange {
    match change {
        OutboxChange::Put(delivery) => pointsman_store::OutboxChange::Put(OutboxEntry {
            sid: delivery.sid(),
            workspace: delivery.workspace.bytes(),
            key: delivery.line(),
            lane: 2,
            at_ms: delivery.at().0,
            payload: record::delivery::encode(delivery),
        }),
        OutboxChange::Done { sid } => pointsman_store::OutboxChange::Done { sid: *sid },
        OutboxChange::Dead { delivery, at } => {
            let payload = record::delivery::encode(delivery);
            pointsman_store::OutboxChange::Dead { sid: delivery.sid(), at_ms: at.0, payload }
        }
    }
}

/// Makes the shard again from what is stored, as a start does.
pub(crate) fn restore(store: &dyn Store) -> Result<Shard, String> {
    let failed = |error: ReadError| error.to_string();
    let mut shard = Shard::new(Limits::default(), Telephony::None);
    let snapshots = store.snapshots().map_err(failed)?.newest;
    for (stream, _) in store.streams().map_err(failed)? {
        let held = match snapshots.iter().find(|snapshot| snapshot.stream == stream) {
            None => None,
            Some(snapshot) => {
                let chunks = store.read_snapshot(*snapshot).map_err(failed)?;
                Some((snapshot.sequence.0, chunks.collect::<Result<Vec<_>, _>>().map_err(failed)?))
            }
        };
        let after = SequenceNumber(held.as_ref().map_or(0, |(sequence, _)| *sequence));
        let all = ReadLimit { records: 1 << 40, bytes: usize::MAX };
        let tail = store.read_stream(stream, after, all).map_err(failed)?;
        let tail = tail.into_iter().map(|(_, record)| (record.sequence.0, record.payload));
        shard.restore(held, tail).map_err(|error| format!("{error}: {error:?}"))?;
    }
    Ok(shard)
}

/// Sids of what was published, for comparison with the history.
pub(crate) fn published(batch: &Batch) -> impl Iterator<Item = [u8; 16]> + '_ {
    batch
        .records
        .iter()
        .flat_map(|record| Arc::clone(&record.published).iter().map(|event| event.sid.bytes()).collect::<Vec<_>>())
}
