//! Accounts and their API keys: who may call. Which Workspaces are an account's, the Workspaces know.
//!
//! A state machine of its own beside the Workspaces, with the same discipline: commands are refused or make events,
//! and only events change it. Reference: extensions, section 7; rest-contract, section 1.2.

use alloc::collections::BTreeMap;
use alloc::sync::Arc;
use alloc::vec::Vec;

use crate::ids::{Account, ApiKey, Sid};
use crate::values::Timestamp;

/// API keys of one account.
pub const KEYS_MAX: usize = 1_000;

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Accounts {
    accounts: BTreeMap<Sid<Account>, AccountRecord>,
    keys: BTreeMap<Sid<ApiKey>, KeyRecord>,
    /// Accounts and keys ever created; the next creation number.
    created: u64,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AccountRecord {
    pub sid: Sid<Account>,
    pub friendly_name: Arc<str>,
    pub auth_token: Arc<str>,
    pub status: AccountStatus,
    pub date_created: Timestamp,
    pub date_updated: Timestamp,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AccountStatus {
    Active,
    Suspended,
    Closed,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyRecord {
    /// Place in the creation order of the account's keys.
    pub number: u64,
    pub sid: Sid<ApiKey>,
    pub account: Sid<Account>,
    pub friendly_name: Arc<str>,
    pub secret: Arc<str>,
    pub date_created: Timestamp,
    pub date_updated: Timestamp,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AccountEvent {
    /// A new account, or a new token or name for one that exists.
    AccountStored {
        at: Timestamp,
        sid: Sid<Account>,
        friendly_name: Arc<str>,
        auth_token: Arc<str>,
        status: AccountStatus,
    },
    KeyCreated {
        at: Timestamp,
        sid: Sid<ApiKey>,
        account: Sid<Account>,
        friendly_name: Arc<str>,
        secret: Arc<str>,
    },
    KeyRenamed {
        at: Timestamp,
        sid: Sid<ApiKey>,
        friendly_name: Arc<str>,
    },
    KeyDeleted {
        sid: Sid<ApiKey>,
    },
}

impl Accounts {
    pub fn account(&self, sid: Sid<Account>) -> Option<&AccountRecord> {
        self.accounts.get(&sid)
    }

    pub fn accounts(&self) -> impl Iterator<Item = &AccountRecord> {
        self.accounts.values()
    }

    pub fn key(&self, sid: Sid<ApiKey>) -> Option<&KeyRecord> {
        self.keys.get(&sid)
    }

    /// The keys of an account in creation order. Cost: O(keys of all accounts).
    pub fn keys_of(&self, account: Sid<Account>) -> Vec<&KeyRecord> {
        let mut keys: Vec<_> = self.keys.values().filter(|key| key.account == account).collect();
        keys.sort_by_key(|key| key.number);
        keys
    }

    /// Folds one event. Never fails: the event was decided on this very state.
    pub fn evolve(&mut self, event: &AccountEvent) {
        match event {
            AccountEvent::AccountStored { at, sid, friendly_name, auth_token, status } => {
                let date_created = self.accounts.get(sid).map_or(*at, |account| account.date_created);
                self.accounts.insert(
                    *sid,
                    AccountRecord {
                        sid: *sid,
                        friendly_name: friendly_name.clone(),
                        auth_token: auth_token.clone(),
                        status: *status,
                        date_created,
                        date_updated: *at,
                    },
                );
            }
            AccountEvent::KeyCreated { at, sid, account, friendly_name, secret } => {
                self.created += 1;
                self.keys.insert(
                    *sid,
                    KeyRecord {
                        number: self.created,
                        sid: *sid,
                        account: *account,
                        friendly_name: friendly_name.clone(),
                        secret: secret.clone(),
                        date_created: *at,
                        date_updated: *at,
                    },
                );
            }
            AccountEvent::KeyRenamed { at, sid, friendly_name } => {
                let key = self.keys.get_mut(sid).expect("renamed keys exist");
                key.friendly_name = friendly_name.clone();
                key.date_updated = *at;
            }
            AccountEvent::KeyDeleted { sid } => {
                self.keys.remove(sid).expect("deleted keys exist");
            }
        }
    }
}
