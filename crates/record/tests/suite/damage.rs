//! Bytes that are not what was written: refused by name where that can be seen, and never a panic.

use pointsman_engine::{Event, EventKind, Id, Rules, Snapshot, State, TurnRecord};
use pointsman_record::limits::FORMAT_VERSION;
use pointsman_record::{DecodeError, accounts, public_event, snapshot, turn};
use proptest::collection::vec;
use proptest::prelude::*;

use crate::samples;

/// What a decoder makes of bytes, if that is an error.
type Decoder = fn(&[u8]) -> Option<DecodeError>;

const DECODERS: [Decoder; 5] = [
    |bytes| turn::decode(bytes).err(),
    |bytes| public_event::decode(bytes).err(),
    |bytes| accounts::decode(bytes).err(),
    |bytes| accounts::decode_snapshot(bytes).err(),
    |bytes| match snapshot::decode([bytes.to_vec()]) {
        Ok(snapshot) => {
            // What was accepted must be safe to restore.
            State::from_snapshot(snapshot);
            None
        }
        Err(error) => Some(error),
    },
];

fn whole_turn() -> TurnRecord {
    TurnRecord {
        events: samples::events(),
        published: vec![samples::full_public_event(EventKind::TaskCreated, 1)],
        ..TurnRecord::default()
    }
}

/// A good record for each of the decoders.
fn good() -> [Vec<u8>; 5] {
    let mut folded = pointsman_engine::accounts::Accounts::default();
    for event in samples::account_events() {
        folded.evolve(&event);
    }
    [
        turn::encode(&whole_turn()),
        public_event::encode(&samples::full_public_event(EventKind::TaskCreated, 1)),
        accounts::encode(&samples::account_events()),
        accounts::encode_snapshot(&folded),
        snapshot::encode(&samples::snapshot()).next().unwrap(),
    ]
}

#[test]
fn good_records_are_accepted() {
    for (decode, bytes) in DECODERS.into_iter().zip(good()) {
        assert_eq!(decode(&bytes), None);
    }
}

#[test]
fn the_known_version_is_read_and_the_next_one_refused() {
    for (decode, mut bytes) in DECODERS.into_iter().zip(good()) {
        assert_eq!(bytes[0], FORMAT_VERSION);
        for found in [0, FORMAT_VERSION + 1, u8::MAX] {
            bytes[0] = found;
            assert_eq!(decode(&bytes), Some(DecodeError::Version { found, known: FORMAT_VERSION }));
        }
    }
}

#[test]
fn no_bytes_are_no_record() {
    for decode in DECODERS {
        assert_eq!(decode(&[]), Some(DecodeError::Empty));
    }
}

#[test]
fn fields_of_later_versions_are_passed_over() {
    // Field 1000, a text of three bytes.
    let later = [0xc2, 0x3e, 3, b'n', b'e', b'w'];
    for (decode, mut bytes) in DECODERS.into_iter().zip(good()) {
        bytes.extend_from_slice(&later);
        assert_eq!(decode(&bytes), None);
    }
}

#[test]
fn parts_that_are_missing_are_named() {
    let missing = |decode: Decoder, message: &[u8], part| {
        let bytes = [&[FORMAT_VERSION], message].concat();
        assert_eq!(decode(&bytes), Some(DecodeError::Missing { part }));
    };
    let [turn, public_event, events, accounts, snapshot] = DECODERS;
    // Field 2 is a message without fields.
    let empty_message = [0x12, 0];
    missing(turn, &empty_message, "event");
    // An event of kind 7, `ActivityDeleted`, without its id.
    missing(turn, &[0x12, 2, 0x3a, 0], "ActivityDeleted.id");
    missing(public_event, &[], "event");
    missing(public_event, &empty_message, "PublicEvent.id");
    missing(events, &empty_message, "account event");
    missing(accounts, &empty_message, "AccountRecord.sid");
    missing(snapshot, &[], "header of the snapshot");
    // Field 4 is the header.
    missing(snapshot, &[0x22, 0], "Workspace");
}

#[test]
fn numbers_that_stand_for_nothing_are_named() {
    // An event of kind 28, `TaskRestartChanged`, of Task 1 with the cause 99.
    let bytes = [FORMAT_VERSION, 0x12, 7, 0xe2, 0x01, 4, 0x08, 1, 0x10, 99];
    assert_eq!(turn::decode(&bytes), Err(DecodeError::Unknown { part: "TaskRestartChanged.restart", number: 99 }));
    // An event of kind 6, `ActivityRenamed`, of Activity 1, whose name is the text 5 of none.
    let bytes = [FORMAT_VERSION, 0x12, 6, 0x32, 4, 0x08, 1, 0x10, 5];
    assert_eq!(
        turn::decode(&bytes),
        Err(DecodeError::OutsideTable { part: "ActivityRenamed.friendly_name", place: 5 })
    );
}

/// Replaces a text inside of a record by one of the same length.
fn replace(bytes: &mut [u8], from: &str, to: &str) {
    assert_eq!(from.len(), to.len());
    let places = bytes.windows(from.len()).enumerate().filter(|(_, window)| *window == from.as_bytes());
    let places: Vec<_> = places.map(|(place, _)| place).collect();
    assert!(!places.is_empty());
    for place in places {
        bytes[place..place + to.len()].copy_from_slice(to.as_bytes());
    }
}

#[test]
fn texts_that_the_engine_would_parse_must_parse() {
    let [turn, _, _, _, snapshot] = good();
    for (decode, bytes) in [(DECODERS[0], turn), (DECODERS[4], snapshot)] {
        let refused = |from, to| {
            let mut bytes = bytes.clone();
            replace(&mut bytes, from, to);
            decode(&bytes).unwrap()
        };
        assert!(matches!(refused("\"language\": ", "\"language\"; "), DecodeError::Attributes { .. }));
        assert!(matches!(refused("languages HAS 'fr'", "languages HAZ 'fr'"), DecodeError::Expression(_)));
        assert!(matches!(refused("\"task_routing\"", "\"task_routine\""), DecodeError::Configuration(_)));
    }
}

#[test]
fn rules_that_name_a_queue_which_is_gone_are_refused() {
    let refused = |change: &dyn Fn(&mut Snapshot)| {
        let mut wrong = samples::snapshot();
        change(&mut wrong);
        matches!(snapshot::decode(snapshot::encode(&wrong)), Err(DecodeError::Configuration(_)))
    };
    assert!(!refused(&|_| ()));
    assert!(refused(&|wrong| wrong.task_queues[0].row.id = Id::new(7)));
    assert!(refused(&|wrong| wrong.tasks[1].rules = Rules::Older("{}".into())));
}

#[test]
fn errors_say_what_is_wrong_without_showing_contents() {
    for (decode, bytes) in DECODERS.into_iter().zip(good()) {
        for end in 0..bytes.len() {
            let Some(error) = decode(&bytes[..end]) else { continue };
            let text = error.to_string();
            assert!(!text.is_empty() && !text.contains("secret") && !text.contains("language"), "{text}");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(2_000) })]

    #[test]
    fn any_bytes_are_read_without_a_panic(bytes in vec(any::<u8>(), 0..200)) {
        for decode in DECODERS {
            decode(&bytes);
            decode(&[&[FORMAT_VERSION], &bytes[..]].concat());
        }
    }

    #[test]
    fn changed_records_are_read_without_a_panic(
        changes in vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
        end in any::<prop::sample::Index>(),
        cut in any::<bool>(),
    ) {
        for (decode, mut bytes) in DECODERS.into_iter().zip(good()) {
            for (place, byte) in &changes {
                let place = place.index(bytes.len());
                bytes[place] = *byte;
            }
            if cut {
                bytes.truncate(end.index(bytes.len()));
            }
            decode(&bytes);
        }
    }

    #[test]
    fn any_numbers_and_texts_read_back_the_same(
        numbers in vec(1..=u64::MAX, 4),
        version in any::<u64>(),
        instants in vec(any::<i64>(), 3),
        name in ".{0,40}",
        code in any::<Option<u32>>(),
    ) {
        use pointsman_engine::{Priority, ReservationStatus, Timestamp, Version};
        let at = |index: usize| Timestamp(instants[index]);
        let record = TurnRecord {
            events: vec![
                Event::TimeAdvanced { at: at(0) },
                Event::ActivityRenamed { id: Id::new(numbers[0]), friendly_name: name.as_str().into() },
                Event::TaskHoldOffChanged { id: Id::new(numbers[1]), failures: version as u32, until: Some(at(1)) },
                Event::TaskPlaced {
                    id: Id::new(numbers[2]),
                    place: None,
                    task_queue: Some(Id::new(numbers[3])),
                    priority: Priority(version as u32),
                    clock_start: at(2),
                    budget_seconds: version,
                    version: Version(version),
                },
                Event::ReservationStatusChanged {
                    id: Id::new(numbers[1]),
                    status: ReservationStatus::Canceled,
                    reason_code: code,
                    version: Version(version),
                },
            ],
            published: Vec::new(),
            ..TurnRecord::default()
        };
        prop_assert_eq!(turn::decode(&turn::encode(&record)).unwrap(), record);
    }
}
