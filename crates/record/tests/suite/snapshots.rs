//! A snapshot read back is the state it was taken of, and the records after it lead to the same place.

use pointsman_engine::{Engine, Event, Limits, Snapshot, State, TurnRecord};
use pointsman_record::{snapshot, turn};

use crate::world::World;

/// Snapshots have no equality of their own; their printed form shows every fact.
fn text(snapshot: &Snapshot) -> String {
    format!("{snapshot:#?}")
}

#[track_caller]
fn assert_same(found: &Snapshot, expected: &Snapshot) {
    let (found, expected) = (text(found), text(expected));
    if let Some((found, expected)) = found.lines().zip(expected.lines()).find(|(found, expected)| found != expected) {
        panic!("found {found}, expected {expected}");
    }
    assert_eq!(found.len(), expected.len());
}

fn fold(state: &mut State, record: &TurnRecord) {
    for event in &record.events {
        state.evolve(event);
    }
    state.count_published(record.published.len() as u64);
}

#[test]
fn a_snapshot_read_back_is_the_same() {
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
