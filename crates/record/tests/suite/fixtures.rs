//! Files that released versions have written stay in `fixtures/` and must go on being read.
//!
//! `UPDATE_EXPECT=1` writes the files of the present version anew: only before that version is released.

use std::path::PathBuf;

use pointsman_engine::accounts::Accounts;
use pointsman_engine::{Engine, EventKind, Limits, State, TurnRecord};
use pointsman_record::{accounts, public_event, snapshot, turn};

use crate::samples;
use crate::snapshots::assert_same;

/// The content of a fixture; `present` is what this version would write.
fn fixture(name: &str, present: &[u8]) -> Vec<u8> {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("fixtures").join(name);
    if std::env::var_os("UPDATE_EXPECT").is_some() {
        std::fs::write(&path, present).unwrap();
    }
    std::fs::read(&path).unwrap()
}

#[test]
fn a_turn_of_version_1_is_read() {
    let expected = TurnRecord {
        events: samples::events(),
        published: vec![
            samples::bare_public_event(EventKind::WorkspaceUpdated, 1),
            samples::full_public_event(EventKind::TaskCreated, 2),
        ],
        ..TurnRecord::default()
    };
    assert_eq!(turn::decode(&fixture("v1-turn.bin", &turn::encode(&expected))).unwrap(), expected);
}

#[test]
fn a_public_event_of_version_1_is_read() {
    let expected = samples::full_public_event(EventKind::ReservationCreated, 3);
    let bytes = fixture("v1-public-event.bin", &public_event::encode(&expected));
    assert_eq!(public_event::decode(&bytes).unwrap(), expected);
}

#[test]
fn a_snapshot_of_version_1_is_read_and_runs() {
    let expected = samples::snapshot();
    let present = snapshot::encode(&expected).next().unwrap();
    let read = snapshot::decode([fixture("v1-snapshot.bin", &present)]).unwrap();
    assert_same(&read, &expected);
    Engine::restore(State::from_snapshot(read), Limits::default()).check_invariants();
}

#[test]
fn account_events_of_version_1_are_read() {
    let expected = samples::account_events();
    let bytes = fixture("v1-account-events.bin", &accounts::encode(&expected));
    assert_eq!(accounts::decode(&bytes).unwrap(), expected);
}

#[test]
fn accounts_of_version_1_are_read() {
    let mut expected = Accounts::default();
    for event in samples::account_events() {
        expected.evolve(&event);
    }
    let read = accounts::decode_snapshot(&fixture("v1-accounts.bin", &accounts::encode_snapshot(&expected))).unwrap();
    assert!(read.accounts().eq(expected.accounts()));
    for account in expected.accounts() {
        let keys = |accounts: &Accounts| accounts.keys_of(account.sid).iter().map(|key| key.sid).collect::<Vec<_>>();
        assert_eq!(keys(&read), keys(&expected));
    }
}
