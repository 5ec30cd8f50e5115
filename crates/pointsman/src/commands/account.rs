//! `pointsman account create` and `list`: work on the data directory of a server that does not run.

use std::path::PathBuf;

use pointsman_server::accounts::{self, AccountRow, MadeAccount};
use pointsman_server::admin::{self, BackupError, OpenError, SqliteStore};
use pointsman_server::configuration::{self, Loaded};
use pointsman_server::real_time;
use serde_json::json;

use crate::arguments::Place;

/// Makes an account and prints what is needed to use it.
pub(crate) fn create(place: &Place, friendly_name: &str, as_json: bool) -> anyhow::Result<()> {
    let MadeAccount { sid, auth_token } = accounts::create(&open_or_make(place)?, real_time(), friendly_name)?;
    if as_json {
        println!("{}", json!({ "sid": sid, "auth_token": auth_token, "friendly_name": friendly_name }));
    } else {
        println!("POINTSMAN_ACCOUNT_SID={sid}");
        println!("POINTSMAN_AUTH_TOKEN={auth_token}");
    }
    Ok(())
}

/// Prints every account, without its token.
pub(crate) fn list(place: &Place, as_json: bool) -> anyhow::Result<()> {
    let rows = accounts::list(&open(place)?)?;
    if as_json {
        let rows = rows.iter().map(|AccountRow { sid, status, friendly_name, keys }| {
            json!({ "sid": sid, "status": status, "friendly_name": friendly_name, "keys": keys })
        });
        println!("{:#}", rows.collect::<serde_json::Value>());
    } else {
        for AccountRow { sid, status, friendly_name, keys } in rows {
            println!("{sid}  {status:9}  {keys:4} keys  {friendly_name}");
        }
    }
    Ok(())
}

/// Opens the store of a server that does not run. One that is not there is not made: a name was misspelt.
pub(crate) fn open(place: &Place) -> anyhow::Result<SqliteStore> {
    admin::open(&data_dir(place)?).map_err(name_the_holder)
}

/// The data directory, which must hold a store.
pub(crate) fn data_dir(place: &Place) -> anyhow::Result<PathBuf> {
    let Loaded { configuration, .. } = configuration::load(&place.sources())?;
    if admin::holds_store(&configuration.data_dir) {
        return Ok(configuration.data_dir);
    }
    Err(BackupError::NoStore { path: configuration.data_dir }.into())
}

/// The same as [`open`], but the store is made where there is none.
fn open_or_make(place: &Place) -> anyhow::Result<SqliteStore> {
    let Loaded { configuration, .. } = configuration::load(&place.sources())?;
    admin::open(&configuration.data_dir).map_err(name_the_holder)
}

/// Says what to do when a server runs on the data directory.
pub(crate) fn name_the_holder(error: OpenError) -> anyhow::Error {
    match error {
        OpenError::InUse { .. } => {
            anyhow::Error::new(error).context("stop the server first: it holds the data directory")
        }
        error => error.into(),
    }
}
