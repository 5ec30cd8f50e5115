//! Account events and accounts read back are the ones written.

use pointsman_engine::Sid;
use pointsman_engine::accounts::{AccountEvent, Accounts, KeyRecord};
use pointsman_record::accounts;

use crate::samples;

fn folded() -> Accounts {
    let mut folded = Accounts::default();
    for event in samples::account_events() {
        folded.evolve(&event);
    }
    folded
}

#[test]
fn every_account_event_reads_back_the_same() {
    let events = samples::account_events();
    assert_eq!(accounts::decode(&accounts::encode(&events)).unwrap(), events);
    for event in events {
        let bytes = accounts::encode(std::slice::from_ref(&event));
        assert_eq!(accounts::decode(&bytes).unwrap(), [event]);
    }
    assert_eq!(accounts::decode(&accounts::encode(&[])).unwrap(), []);
}

#[test]
fn all_accounts_read_back_the_same_but_for_the_gaps_between_keys() {
    let expected = folded();
    let read = accounts::decode_snapshot(&accounts::encode_snapshot(&expected)).unwrap();
    assert!(read.accounts().eq(expected.accounts()));
    for account in expected.accounts() {
        let without_number = |key: &KeyRecord| KeyRecord { number: 0, ..key.clone() };
        let keys: Vec<_> = read.keys_of(account.sid).into_iter().map(without_number).collect();
        let expected: Vec<_> = expected.keys_of(account.sid).into_iter().map(without_number).collect();
        assert_eq!(keys, expected);
    }
}

#[test]
fn keys_that_follow_a_snapshot_come_after_those_in_it() {
    let mut read = accounts::decode_snapshot(&accounts::encode_snapshot(&folded())).unwrap();
    let account = Sid::from_bytes([9; 16]);
    let sid = Sid::from_bytes([0; 16]);
    read.evolve(&AccountEvent::KeyCreated {
        at: pointsman_engine::Timestamp(0),
        sid,
        account,
        friendly_name: "last".into(),
        secret: "secret".into(),
    });
    assert_eq!(read.keys_of(account).last().unwrap().sid, sid);
}
