//! A snapshot read back is the state it was taken of, and the records after it lead to the same place.

use pointsman_engine::{Engine, Event, Limits, Snapshot, State, TurnRecord};
use pointsman_record::limits::CHUNK_BYTES;
use pointsman_record::{DecodeError, snapshot, turn};

use crate::samples;
use crate::world::World;

/// Fails with the first fact that differs: a whole snapshot is too long to read.
#[track_caller]
pub(crate) fn assert_same(found: &Snapshot, expected: &Snapshot) {
    if found == expected {
        return;
    }
    let (found, expected) = (format!("{found:#?}"), format!("{expected:#?}"));
    let mut lines = found.lines().zip(expected.lines());
    panic!("first difference: {:?}", lines.find(|(found, expected)| found != expected));
}

fn fold(state: &mut State, record: &TurnRecord) {
    for event in &record.events {
        state.evolve(event);
    }
    state.count_published(record.published.len() as u64);
}

#[test]
fn every_kind_of_row_reads_back_the_same() {
    let expected = samples::snapshot();
    assert_same(&snapshot::decode(snapshot::encode(&expected)).unwrap(), &expected);
    let deleted = Snapshot { deleted: true, ..expected };
    assert_same(&snapshot::decode(snapshot::encode(&deleted)).unwrap(), &deleted);
}

#[test]
fn a_snapshot_of_a_lively_workspace_reads_back_the_same_and_runs() {
    for seed in 0..24 {
        let world = World::lively(seed, 400);
        let taken = world.engine.state().snapshot();
        let read = snapshot::decode(snapshot::encode(&taken)).unwrap();
        assert_same(&read, &taken);
        let engine = Engine::restore(State::from_snapshot(read), Limits::default());
        engine.check_invariants();
        assert_same(&engine.state().snapshot(), &taken);
        assert_eq!(engine.next_deadline(), world.engine.next_deadline());
    }
}

#[test]
fn records_read_back_lead_to_the_live_state() {
    for seed in 0..24 {
        let world = World::lively(seed, 400);
        let mut records = world.records.iter().map(|record| turn::decode(&turn::encode(record)).unwrap());
        let first = records.next().unwrap();
        let [Event::TimeAdvanced { at }, created, rest @ ..] = &first.events[..] else { panic!("{first:?}") };
        let mut state = State::create(*at, created).unwrap();
        fold(&mut state, &TurnRecord { events: rest.to_vec(), ..first.clone() });
        for record in records {
            fold(&mut state, &record);
        }
        assert_same(&state.snapshot(), &world.engine.state().snapshot());
    }
}

/// A snapshot of a few chunks.
fn large() -> Snapshot {
    let mut snapshot = samples::snapshot();
    let row = snapshot.tasks.pop().unwrap();
    for number in 100..5_100 {
        let mut row = row.clone();
        row.task.id = pointsman_engine::Id::new(number);
        row.task.sid = pointsman_engine::derive_sid(samples::SEED, number);
        let text = format!(r#"{{"number":{number},"filling":"{}"}}"#, "x".repeat(500));
        row.task.attributes = pointsman_expression::Attributes::parse(&text).unwrap();
        snapshot.tasks.push(row);
    }
    snapshot
}

#[test]
fn chunks_are_full_but_for_the_last() {
    let chunks: Vec<_> = snapshot::encode(&large()).collect();
    let (last, full) = chunks.split_last().unwrap();
    assert_eq!(full.len(), 2);
    for chunk in full {
        // A few bytes per row are estimated, and the last row may go past the limit.
        assert!(CHUNK_BYTES * 95 / 100 < chunk.len(), "{}", chunk.len());
        assert!(chunk.len() < CHUNK_BYTES + 1_024, "{}", chunk.len());
    }
    assert!(last.len() < CHUNK_BYTES);
    assert_same(&snapshot::decode(chunks).unwrap(), &large());
}

#[test]
fn chunks_that_are_missing_or_out_of_order_are_refused() {
    let chunks: Vec<_> = snapshot::encode(&large()).collect();
    let refused = |order: &[usize]| snapshot::decode(order.iter().map(|&index| chunks[index].clone())).unwrap_err();
    let missing_end = DecodeError::Missing { part: "last chunk of the snapshot" };
    assert_eq!(refused(&[]), missing_end);
    assert_eq!(refused(&[0]), missing_end);
    assert_eq!(refused(&[0, 1]), missing_end);
    assert_eq!(refused(&[1, 2]), DecodeError::ChunkOrder { found: 1, expected: 0 });
    assert_eq!(refused(&[0, 2]), DecodeError::ChunkOrder { found: 2, expected: 1 });
    assert_eq!(refused(&[0, 1, 2, 2]), DecodeError::ChunkOrder { found: 2, expected: 3 });
}

#[test]
fn rows_that_stand_twice_or_out_of_order_are_refused() {
    let refused = |change: &dyn Fn(&mut Snapshot)| {
        let mut wrong = samples::snapshot();
        change(&mut wrong);
        snapshot::decode(snapshot::encode(&wrong)).unwrap_err()
    };
    assert_eq!(refused(&|wrong| wrong.tasks.reverse()), DecodeError::RowOrder { part: "Task", number: 14 });
    assert_eq!(
        refused(&|wrong| wrong.reservations.push(wrong.reservations[1].clone())),
        DecodeError::RowOrder { part: "Reservation", number: 16 }
    );
    assert_eq!(
        refused(&|wrong| wrong.activities.insert(0, wrong.activities[0].clone())),
        DecodeError::RowOrder { part: "Activity", number: 1 }
    );
}
