//! Accounts and keys of a running server: read by every request, changed one at a time.

use std::fmt;
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard};

use aws_lc_rs::rand;
use crossbeam_channel::Sender;
use pointsman_api::{Answer, ApiError, Call, FreshKey, execute_keys};
use pointsman_dispatcher::{Batch, Caller, PendingRecord};
use pointsman_engine::accounts::{AccountEvent, AccountStatus, Accounts};
use pointsman_engine::{Account, Sid, Timestamp};
use pointsman_record::DecodeError;
use pointsman_record::accounts as record;
use pointsman_store::{
    AppendError, Epoch, ReadError, ReadLimit, Record, SequenceNumber, SqliteStore, Store, StreamId, WriteError,
};
use pointsman_token::keys;
use tokio::sync::Mutex;

use crate::commit::{self, CommitRequest};
use crate::configuration::FirstAccount;
use crate::storage::Storage;

/// The accounts as they are committed, and the number of their last record.
#[derive(Debug)]
pub(crate) struct AccountsKeeper {
    accounts: RwLock<Accounts>,
    /// Held while a change is decided and committed; `None` after a failure, until it was read again.
    sequence: Mutex<Option<u64>>,
}

/// An account that was made up; its token is shown once.
#[derive(Clone, PartialEq, Eq)]
pub struct MadeAccount {
    pub sid: String,
    pub auth_token: String,
}

impl fmt::Debug for MadeAccount {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let MadeAccount { sid, auth_token: _ } = self;
        formatter.debug_struct("MadeAccount").field("sid", sid).finish_non_exhaustive()
    }
}

impl MadeAccount {
    /// The account that an event has stored.
    pub(crate) fn of(event: &AccountEvent) -> Option<MadeAccount> {
        match event {
            AccountEvent::AccountStored { sid, auth_token, .. } => {
                Some(MadeAccount { sid: sid.to_string(), auth_token: auth_token.to_string() })
            }
            AccountEvent::KeyCreated { .. } | AccountEvent::KeyRenamed { .. } | AccountEvent::KeyDeleted { .. } => None,
        }
    }
}

/// The accounts could not be read or written.
#[derive(Debug, thiserror::Error)]
pub enum AccountsError {
    #[error("failed to read the accounts")]
    Read(#[from] ReadError),
    #[error("record {sequence} of the accounts cannot be decoded")]
    Decode {
        sequence: SequenceNumber,
        #[source]
        source: DecodeError,
    },
    #[error("cannot begin to write")]
    Begin(#[from] WriteError),
    #[error("failed to store the account")]
    Append(#[from] AppendError),
}

/// What is stored, and the number of the last record.
pub(crate) fn load(store: &(dyn Store + 'static)) -> Result<(Accounts, u64), AccountsError> {
    let mut accounts = Accounts::default();
    let mut after = SequenceNumber::ZERO;
    loop {
        let records = store.read_stream(StreamId::ACCOUNTS, after, ReadLimit::default())?;
        if records.is_empty() {
            return Ok((accounts, after.0));
        }
        for (_, stored) in records {
            let sequence = stored.sequence;
            let events =
                record::decode(&stored.payload).map_err(|source| AccountsError::Decode { sequence, source })?;
            for event in &events {
                accounts.evolve(event);
            }
            after = sequence;
        }
    }
}

/// Writes one event straight to the store, when nothing else does.
pub(crate) fn append(
    store: &dyn Store,
    epoch: Epoch,
    sequence: u64,
    at: Timestamp,
    event: &AccountEvent,
) -> Result<(), AccountsError> {
    let payload = record::encode(std::slice::from_ref(event));
    let stored = Record { stream: StreamId::ACCOUNTS, sequence: SequenceNumber(sequence), at_ms: at.0, payload };
    store.append(epoch, &[stored], &[])?;
    Ok(())
}

/// A new account with random sid and token.
fn fresh_account(at: Timestamp, friendly_name: &str) -> AccountEvent {
    AccountEvent::AccountStored {
        at,
        sid: Sid::from_bytes(random()),
        friendly_name: friendly_name.into(),
        auth_token: keys::auth_token(random()).into(),
        status: AccountStatus::Active,
    }
}

/// Makes an account in a store that no server uses. Returns its sid and token, which is told nowhere else.
pub fn create(store: &SqliteStore, at: Timestamp, friendly_name: &str) -> Result<MadeAccount, AccountsError> {
    let epoch = store.begin_epoch()?;
    let (_, sequence) = load(store)?;
    let event = fresh_account(at, friendly_name);
    append(store, epoch, sequence + 1, at, &event)?;
    Ok(MadeAccount::of(&event).expect("a fresh account is stored by its event"))
}

/// An account as people see it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct AccountRow {
    pub sid: String,
    pub status: &'static str,
    pub friendly_name: String,
    /// How many API keys it has.
    pub keys: usize,
}

/// Every account, in order of sids.
pub fn list(store: &SqliteStore) -> Result<Vec<AccountRow>, AccountsError> {
    let (accounts, _) = load(store)?;
    let rows = accounts.accounts().map(|account| AccountRow {
        sid: account.sid.to_string(),
        status: match account.status {
            AccountStatus::Active => "active",
            AccountStatus::Suspended => "suspended",
            AccountStatus::Closed => "closed",
        },
        friendly_name: account.friendly_name.to_string(),
        keys: accounts.keys_of(account.sid).len(),
    });
    Ok(rows.collect())
}

/// The first account of a server, if it is to be stored now.
///
/// - The operator's choice is stored when it is new or differs; without a choice an account is made once.
/// - The flag tells whether it was made up, so that it must be told once.
pub(crate) fn first_account(accounts: &Accounts, chosen: &FirstAccount, at: Timestamp) -> Option<(AccountEvent, bool)> {
    let (Some(sid), Some(auth_token)) = (&chosen.sid, &chosen.auth_token) else {
        return accounts.accounts().next().is_none().then(|| (fresh_account(at, "First account"), true));
    };
    let sid = Sid::<Account>::parse(sid).expect("the configuration was checked");
    let known = accounts.account(sid);
    if known.is_some_and(|account| *account.auth_token == **auth_token) {
        return None;
    }
    let friendly_name = known.map_or_else(|| "First account".into(), |account| Arc::clone(&account.friendly_name));
    let status = known.map_or(AccountStatus::Active, |account| account.status);
    Some((
        AccountEvent::AccountStored { at, sid, friendly_name, auth_token: auth_token.as_str().into(), status },
        false,
    ))
}

/// Random bytes from the one cryptographic source.
pub(crate) fn random<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    rand::fill(&mut bytes).expect("the system gives random bytes");
    bytes
}

impl AccountsKeeper {
    pub(crate) fn new(accounts: Accounts, sequence: u64) -> AccountsKeeper {
        AccountsKeeper { accounts: RwLock::new(accounts), sequence: Mutex::new(Some(sequence)) }
    }

    pub(crate) fn read(&self) -> RwLockReadGuard<'_, Accounts> {
        self.accounts.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether credentials that were good once still are.
    pub(crate) fn still_allows(&self, caller: Caller) -> bool {
        let accounts = self.read();
        let account = accounts.account(caller.account);
        account.is_some_and(|account| account.status == AccountStatus::Active)
            && caller.key.is_none_or(|key| accounts.key(key).is_some())
    }

    /// The token that signs an account's callbacks; accounts are never removed.
    pub(crate) fn auth_token(&self, account: Sid<Account>) -> Arc<str> {
        self.read().account(account).map_or_else(|| "".into(), |account| Arc::clone(&account.auth_token))
    }

    /// Carries out a call about keys; a change is committed before it is answered.
    pub(crate) async fn keys(&self, call: &Call, now: Timestamp, shell: &Shell<'_>) -> Answer {
        let fresh = FreshKey { sid: Sid::from_bytes(random()), secret: keys::key_secret(random()).into() };
        if !call.is_write() {
            return execute_keys(call, &self.read(), now, &fresh).answer;
        }
        let mut sequence = self.sequence.lock().await;
        let last = match *sequence {
            Some(last) => last,
            None => match self.reload(shell.storage) {
                Some(last) => last,
                None => return ApiError::unavailable().answer(),
            },
        };
        *sequence = Some(last);
        let outcome = execute_keys(call, &self.read(), now, &fresh);
        let Some(event) = outcome.event else { return outcome.answer };
        let record = PendingRecord {
            stream: StreamId::ACCOUNTS.0,
            sequence: last + 1,
            at: now,
            payload: record::encode(std::slice::from_ref(&event)),
            published: Arc::new([]),
        };
        let batch = Batch { records: vec![record], ..Batch::default() };
        if let Ok(Ok(_position)) = commit::submit(shell.commits, batch).await {
            *sequence = Some(last + 1);
            self.accounts.write().unwrap_or_else(PoisonError::into_inner).evolve(&event);
            outcome.answer
        } else {
            // Whether it was written shows when the store is read again; nothing was acknowledged.
            *sequence = None;
            ApiError::unavailable().answer()
        }
    }

    /// Reads the accounts again after a failed commit.
    fn reload(&self, storage: &Storage) -> Option<u64> {
        let (accounts, last) = storage.with(load).ok()?.ok()?;
        *self.accounts.write().unwrap_or_else(PoisonError::into_inner) = accounts;
        Some(last)
    }
}

/// What a change of the accounts needs of the server.
pub(crate) struct Shell<'a> {
    pub(crate) commits: &'a Sender<CommitRequest>,
    pub(crate) storage: &'a Storage,
}
