//! Accounts and keys on the wire: the events of one command, and all of them at once.

use pointsman_engine::accounts::{AccountEvent, AccountRecord, Accounts, KeyRecord};

use crate::error::DecodeError;
use crate::field::{Field, message, variants};
use crate::frame;
use crate::tables::{Reader, TablesMessage, Writer};

variants!(wire::AccountEventMessage for AccountEvent {
    1 AccountStored {
        1 at: i64 [sint64],
        2 sid: u32 [uint32],
        3 friendly_name: u32 [uint32],
        4 auth_token: u32 [uint32],
        5 status: u32 [uint32],
    }
    2 KeyCreated {
        1 at: i64 [sint64],
        2 sid: u32 [uint32],
        3 account: u32 [uint32],
        4 friendly_name: u32 [uint32],
        5 secret: u32 [uint32],
    }
    3 KeyRenamed { 1 at: i64 [sint64], 2 sid: u32 [uint32], 3 friendly_name: u32 [uint32], }
    4 KeyDeleted { 1 sid: u32 [uint32], }
});

message!(AccountMessage for AccountRecord {
    1 sid: u32 [uint32],
    2 friendly_name: u32 [uint32],
    3 auth_token: u32 [uint32],
    4 status: u32 [uint32],
    5 date_created: i64 [sint64],
    6 date_updated: i64 [sint64],
});

message!(KeyMessage for KeyRecord {
    1 number: u64 [uint64],
    2 sid: u32 [uint32],
    3 account: u32 [uint32],
    4 friendly_name: u32 [uint32],
    5 secret: u32 [uint32],
    6 date_created: i64 [sint64],
    7 date_updated: i64 [sint64],
});

#[derive(Clone, PartialEq, prost::Message)]
struct AccountEventsMessage {
    #[prost(message, optional, tag = 1)]
    tables: Option<TablesMessage>,
    #[prost(message, repeated, tag = 2)]
    events: Vec<wire::AccountEventMessage>,
}

#[derive(Clone, PartialEq, prost::Message)]
struct AccountsMessage {
    #[prost(message, optional, tag = 1)]
    tables: Option<TablesMessage>,
    #[prost(message, repeated, tag = 2)]
    accounts: Vec<AccountMessage>,
    /// In creation order.
    #[prost(message, repeated, tag = 3)]
    keys: Vec<KeyMessage>,
}

/// Writes events down, for the journal.
pub fn encode(events: &[AccountEvent]) -> Vec<u8> {
    let mut writer = Writer::default();
    let events = events.iter().map(|event| event.write(&mut writer)).collect();
    frame::encode(&AccountEventsMessage { tables: Some(writer.finish()), events })
}

/// Reads what [`encode`] wrote.
pub fn decode(bytes: &[u8]) -> Result<Vec<AccountEvent>, DecodeError> {
    let AccountEventsMessage { tables, events } = frame::decode(bytes)?;
    Field::read(events, "account event", &Reader::new(tables.unwrap_or_default()))
}

/// Writes all accounts and keys down.
pub fn encode_snapshot(accounts: &Accounts) -> Vec<u8> {
    let mut keys: Vec<_> = accounts.accounts().flat_map(|account| accounts.keys_of(account.sid)).collect();
    keys.sort_by_key(|key| key.number);
    let mut writer = Writer::default();
    let accounts = accounts.accounts().map(|account| account.write(&mut writer)).collect();
    let keys = keys.into_iter().map(|key| key.write(&mut writer)).collect();
    frame::encode(&AccountsMessage { tables: Some(writer.finish()), accounts, keys })
}

/// Reads what [`encode_snapshot`] wrote.
///
/// - Keys come out in the same order, but numbered from 1 without gaps.
pub fn decode_snapshot(bytes: &[u8]) -> Result<Accounts, DecodeError> {
    let AccountsMessage { tables, accounts: account_messages, keys } = frame::decode(bytes)?;
    let reader = Reader::new(tables.unwrap_or_default());
    let mut accounts = Accounts::default();
    // The state is private to the engine and folds from events, so rows become the events that make them.
    for message in account_messages {
        let AccountRecord { sid, friendly_name, auth_token, status, date_created, date_updated } =
            Field::read(message, "Account", &reader)?;
        for at in [date_created, date_updated] {
            let (friendly_name, auth_token) = (friendly_name.clone(), auth_token.clone());
            accounts.evolve(&AccountEvent::AccountStored { at, sid, friendly_name, auth_token, status });
        }
    }
    for message in keys {
        let KeyRecord { number: _, sid, account, friendly_name, secret, date_created, date_updated } =
            Field::read(message, "Key", &reader)?;
        let name = friendly_name.clone();
        accounts.evolve(&AccountEvent::KeyCreated { at: date_created, sid, account, friendly_name, secret });
        accounts.evolve(&AccountEvent::KeyRenamed { at: date_updated, sid, friendly_name: name });
    }
    Ok(accounts)
}
