//! The record of a turn read back is the record written, but for its alerts.

use std::collections::HashSet;
use std::mem::discriminant;

use pointsman_engine::{Alert, Event, Id, TurnRecord};
use pointsman_record::{public_event, turn};

use crate::samples;
use crate::world::World;

/// Kinds of events of the engine. A new one needs its line in `src/event.rs`, its sample and a new format version.
const EVENT_KINDS: usize = 36;

fn record(events: Vec<Event>) -> TurnRecord {
    TurnRecord { events, ..TurnRecord::default() }
}

#[test]
fn every_kind_of_event_reads_back_the_same() {
    let events = samples::events();
    assert_eq!(events.iter().map(discriminant).collect::<HashSet<_>>().len(), EVENT_KINDS);
    for event in &events {
        let record = record(vec![event.clone()]);
        assert_eq!(turn::decode(&turn::encode(&record)).unwrap(), record);
    }
    let record = record(events);
    assert_eq!(turn::decode(&turn::encode(&record)).unwrap(), record);
}

#[test]
fn a_record_of_nothing_reads_back_as_nothing() {
    assert!(turn::decode(&turn::encode(&TurnRecord::default())).unwrap().is_empty());
}

#[test]
fn alerts_are_not_kept() {
    let alert = Alert { code: 40_140, task: Id::new(1) };
    let record = TurnRecord { alerts: vec![alert], ..TurnRecord::default() };
    assert_eq!(turn::decode(&turn::encode(&record)).unwrap().alerts, []);
}

#[test]
fn equal_texts_stand_in_a_record_once() {
    let long = "a name that is repeated ".repeat(100);
    let renamed = |number| Event::ActivityRenamed { id: Id::new(number), friendly_name: long.as_str().into() };
    let one = turn::encode(&record(vec![renamed(1)])).len();
    let two = turn::encode(&record(vec![renamed(1), renamed(2)])).len();
    assert!(two < one + 16, "{one} and {two} bytes");
}

#[test]
fn records_of_a_lively_workspace_read_back_the_same() {
    for seed in 0..12 {
        for record in World::lively(seed, 300).records {
            let bytes = turn::encode(&record);
            assert_eq!(turn::encode(&record), bytes, "the same record gives the same bytes");
            assert_eq!(
                turn::decode(&bytes).unwrap(),
                TurnRecord { alerts: Vec::new(), abandoned_calls: Vec::new(), ..record.clone() }
            );
            for event in &record.published {
                assert_eq!(&public_event::decode(&public_event::encode(event)).unwrap(), event);
            }
        }
    }
}
