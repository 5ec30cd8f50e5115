//! Who calls. Reference: rest-contract, sections 1.2 and 11.1.

use pointsman_api::{ApiError, errors};
use pointsman_engine::accounts::{AccountStatus, Accounts};
use pointsman_engine::{Account, ApiKey, Sid};
use pointsman_token::basic::{self, BasicError};

/// A caller whose secret was right.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Caller {
    pub account: Sid<Account>,
    /// The key that was used; `None` for the account's own token.
    pub key: Option<Sid<ApiKey>>,
}

/// Checks the `Authorization` header.
///
/// - Errors: 401/20003 without or with wrong credentials, 401/20005 for a closed account, 403/20403 for a suspended one.
/// - An unknown user and a wrong secret take the same time and answer alike; the log tells them apart, at the level debug.
pub fn authenticate(authorization: Option<&[u8]>, accounts: &Accounts) -> Result<Caller, ApiError> {
    let credentials = match basic::parse(authorization) {
        Ok(credentials) => credentials,
        Err(BasicError::Missing) => return Err(ApiError::no_credentials()),
        Err(error) => {
            tracing::debug!(%error, "credentials cannot be read");
            return Err(ApiError::wrong_credentials());
        }
    };
    let account = Sid::<Account>::parse(&credentials.username).and_then(|sid| accounts.account(sid));
    let key = Sid::<ApiKey>::parse(&credentials.username).and_then(|sid| accounts.key(sid));
    let secret = account.map(|account| &*account.auth_token).or(key.map(|key| &*key.secret));
    if !basic::verify(secret, &credentials.password) {
        // A user that is no SID may be a secret in the wrong place.
        match (Sid::<Account>::parse(&credentials.username), Sid::<ApiKey>::parse(&credentials.username)) {
            (Some(account), _) => tracing::debug!(%account, is_known = secret.is_some(), "wrong token of an account"),
            (None, Some(key)) => tracing::debug!(%key, is_known = secret.is_some(), "wrong secret of a key"),
            (None, None) => tracing::debug!("the user is neither the SID of an account nor of a key"),
        }
        return Err(ApiError::wrong_credentials());
    }
    let account = account.or_else(|| key.and_then(|key| accounts.account(key.account)));
    let account = account.expect("a secret was found, so there is an account");
    match account.status {
        AccountStatus::Active => Ok(Caller { account: account.sid, key: key.map(|key| key.sid) }),
        AccountStatus::Suspended => Err(ApiError::new(&errors::ACCOUNT_SUSPENDED, &[("account", &account.sid)])),
        AccountStatus::Closed => Err(ApiError::new(&errors::ACCOUNT_NOT_ACTIVE, &[("account", &account.sid)])),
    }
}
