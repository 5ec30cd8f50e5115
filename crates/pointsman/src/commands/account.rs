//! `pointsman account create` and `list`: work on the data directory of a server that does not run.

use anyhow::Context;
use pointsman_engine::accounts::{AccountEvent, AccountStatus};
use pointsman_server::configuration::{self, Loaded};
use pointsman_server::{accounts, real_time};
use pointsman_store::{OpenError, Options, SqliteStore, Store};
use serde_json::json;

use crate::arguments::Place;

/// Makes an account and prints what is needed to use it.
pub(crate) fn create(place: &Place, friendly_name: &str, as_json: bool) -> anyhow::Result<()> {
    let store = open(place)?;
    let epoch = store.begin_epoch().context("cannot begin to write")?;
    let (_, sequence) = accounts::load(&store)?;
    let event = accounts::fresh_account(real_time(), friendly_name);
    accounts::append(&store, epoch, sequence + 1, real_time(), &event)?;
    let AccountEvent::AccountStored { sid, auth_token, .. } = &event else {
        unreachable!("a fresh account is stored by this event")
    };
    if as_json {
        println!("{}", json!({ "sid": sid.to_string(), "auth_token": **auth_token, "friendly_name": friendly_name }));
    } else {
        println!("POINTSMAN_ACCOUNT_SID={sid}");
        println!("POINTSMAN_AUTH_TOKEN={auth_token}");
    }
    Ok(())
}

/// Prints every account, without its token.
pub(crate) fn list(place: &Place, as_json: bool) -> anyhow::Result<()> {
    let store = open(place)?;
    let (accounts, _) = accounts::load(&store)?;
    let rows = accounts.accounts().map(|account| {
        let status = match account.status {
            AccountStatus::Active => "active",
            AccountStatus::Suspended => "suspended",
            AccountStatus::Closed => "closed",
        };
        (account.sid.to_string(), status, &*account.friendly_name, accounts.keys_of(account.sid).len())
    });
    if as_json {
        let rows: Vec<_> = rows
            .map(|(sid, status, friendly_name, keys)| {
                json!({ "sid": sid, "status": status, "friendly_name": friendly_name, "keys": keys })
            })
            .collect();
        println!("{:#}", json!(rows));
    } else {
        for (sid, status, friendly_name, keys) in rows {
            println!("{sid}  {status:9}  {keys:4} keys  {friendly_name}");
        }
    }
    Ok(())
}

pub(crate) fn open(place: &Place) -> anyhow::Result<SqliteStore> {
    let Loaded { configuration, .. } = configuration::load(&place.sources())?;
    let opened = SqliteStore::open(&configuration.data_dir, &Options::default());
    opened.map_err(|error| match error {
        OpenError::InUse { .. } => {
            anyhow::Error::new(error).context("stop the server first: it holds the data directory")
        }
        error => error.into(),
    })
}
