//! Calls beside the Workspaces: the index, creating and listing Workspaces, API keys. Reference: rest-contract,
//! sections 1.1 and 6.1; extensions, section 7.

use std::sync::Arc;

use pointsman_engine::accounts::{AccountEvent, Accounts, KEYS_MAX, KeyRecord};
use pointsman_engine::{Account, ApiKey, CreateWorkspace, Entity, Sid, State, Timestamp, Workspace};

use crate::errors::{self, ApiError};
use crate::http::Answer;
use crate::json::{self, Object};
use crate::listing::same_name;
use crate::page::{self, Direction, Edge, Edges, Page};
use crate::request::{Call, segment};
use crate::resources::{self, CREATE_KEY_NAME, UPDATE_KEY_NAME, WORKSPACE};
use crate::table::Context;

/// Which of the calls beside the Workspaces it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AccountCall {
    /// [`index`].
    Index,
    /// [`workspace_row`] for each Workspace of the account, then [`workspace_page`].
    ListWorkspaces,
    /// [`create_workspace_command`], then [`created_workspace`].
    CreateWorkspace,
    /// [`execute_keys`], like the rest.
    ListKeys,
    CreateKey,
    FetchKey,
    UpdateKey,
    DeleteKey,
    /// [`render_clock`](crate::render_clock).
    FetchClock,
    /// [`clock_move`](crate::clock_move), then the same.
    MoveClock,
}

impl AccountCall {
    /// Its path begins with an account, which must be the caller's.
    pub const fn names_account(self) -> bool {
        match self {
            Self::Index | Self::ListWorkspaces | Self::CreateWorkspace | Self::FetchClock | Self::MoveClock => false,
            Self::ListKeys | Self::CreateKey | Self::FetchKey | Self::UpdateKey | Self::DeleteKey => true,
        }
    }

    /// Whether the store must take writes for it. The clock says itself what is in its way.
    pub const fn is_write(self) -> bool {
        match self {
            Self::Index
            | Self::ListWorkspaces
            | Self::ListKeys
            | Self::FetchKey
            | Self::FetchClock
            | Self::MoveClock => false,
            Self::CreateWorkspace | Self::CreateKey | Self::UpdateKey | Self::DeleteKey => true,
        }
    }
}

/// The answer of `GET /` and `GET /v1`.
pub fn index(call: &Call) -> Answer {
    let mut out = String::new();
    let mut object = Object::open(&mut out);
    let mut links = Object::open(object.key("links"));
    links.text("workspaces", &format!("{}/v1/Workspaces", call.base_url));
    links.close();
    object.close();
    Answer::json(200, out)
}

/// The command that a `CreateWorkspace` call asks for.
///
/// - `seed` and `sid`: 16 random bytes each; every other SID of the Workspace follows from the seed.
/// - `number`: the next one of the server's counter of Workspaces.
pub fn create_workspace_command(
    call: &Call,
    seed: [u8; 16],
    sid: Sid<Workspace>,
    number: u64,
    account: Sid<Account>,
) -> Result<CreateWorkspace, ApiError> {
    resources::create_command(call, seed, sid, number, account)
}

/// The JSON of a Workspace.
pub fn render_workspace(state: &State, base_url: &str) -> String {
    let mut out = String::with_capacity(2_048);
    WORKSPACE.render(&mut out, state.workspace(), &Context::of(state, base_url));
    out
}

/// The answer of a `CreateWorkspace` call whose command has run.
pub fn created_workspace(call: &Call, state: &State) -> Answer {
    Answer::json(201, render_workspace(state, &call.base_url))
}

/// One Workspace of a list, made where its state lives.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WorkspaceRow {
    /// Its place in the creation order of Workspaces.
    pub number: u64,
    pub sid: Sid<Workspace>,
    pub friendly_name: Arc<str>,
    pub json: String,
}

/// Makes the row of one Workspace for a `ListWorkspace` call.
pub fn workspace_row(call: &Call, state: &State) -> WorkspaceRow {
    let workspace = state.workspace();
    WorkspaceRow {
        number: workspace.number,
        sid: workspace.sid,
        friendly_name: Arc::clone(&workspace.settings.friendly_name),
        json: render_workspace(state, &call.base_url),
    }
}

/// Assembles a page out of the rows of all Workspaces of the account, in any order.
pub fn workspace_page(call: &Call, rows: Vec<WorkspaceRow>) -> Answer {
    list_workspaces(call, rows).unwrap_or_else(|error| error.answer())
}

fn list_workspaces(call: &Call, mut rows: Vec<WorkspaceRow>) -> Result<Answer, ApiError> {
    call.check_parameters()?;
    if let Some(name) = resources::list_filter(call) {
        rows.retain(|row| same_name(&name, &row.friendly_name));
    }
    rows.sort_by_key(|row| row.number);
    let page = Page::of::<Workspace>(call)?;
    let numbered = rows.iter().map(|row| (row.sid.bytes(), row.number, row)).collect();
    let (rows, edges) = numbered_page(call, &page, numbered)?;
    let mut items = String::new();
    json::array(&mut items, rows, |out, row| out.push_str(&row.json));
    let body = page::envelope(call, Workspace::PREFIX, &page, &items, &edges);
    Ok(Answer::json(200, body))
}

/// Cuts a page out of records in the order of their numbers.
fn numbered_page<T>(
    call: &Call,
    page: &Page,
    mut records: Vec<([u8; 16], u64, T)>,
) -> Result<(Vec<T>, Edges), ApiError> {
    let count = records.len();
    let mut backwards = false;
    if let Some(token) = &page.token {
        let number = match token.position.as_deref() {
            Some([number]) => u64::try_from(*number).ok(),
            Some(_) => None,
            None => records.iter().find(|(sid, _, _)| *sid == token.sid).map(|(_, number, _)| *number),
        };
        let number = number.ok_or_else(|| Page::bad_token(call))?;
        backwards = token.direction == Direction::Before;
        records.retain(|(_, other, _)| if backwards { *other < number } else { number < *other });
    }
    let passed = count - records.len();
    let more = page.size < records.len();
    if backwards {
        records.drain(..records.len().saturating_sub(page.size));
    } else {
        records.truncate(page.size);
    }
    let edge = |(sid, number, _): &([u8; 16], u64, T)| Edge { sid: *sid, position: vec![*number as i64] };
    let (before, after) = if backwards { (more, 0 < passed) } else { (0 < passed, more) };
    let edges = Edges {
        previous: records.first().filter(|_| before).map(edge),
        next: records.last().filter(|_| after).map(edge),
        interval: None,
    };
    Ok((records.into_iter().map(|(_, _, record)| record).collect(), edges))
}

/// What a call about keys comes to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeysOutcome {
    pub answer: Answer,
    /// To be committed before the answer leaves.
    pub event: Option<AccountEvent>,
}

/// A key that does not exist yet; drawn for every call, used by those that create one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FreshKey {
    pub sid: Sid<ApiKey>,
    /// 32 characters.
    pub secret: Arc<str>,
}

/// Carries out a call about the keys of an account, which must be the caller's ([`Call::account`]).
pub fn execute_keys(call: &Call, accounts: &Accounts, now: Timestamp, fresh: &FreshKey) -> KeysOutcome {
    run_keys(call, accounts, now, fresh).unwrap_or_else(|error| KeysOutcome { answer: error.answer(), event: None })
}

fn run_keys(call: &Call, accounts: &Accounts, now: Timestamp, fresh: &FreshKey) -> Result<KeysOutcome, ApiError> {
    let crate::request::CallScope::Account(kind) = call.scope else { return Err(call.not_found()) };
    let account = call.account().filter(|sid| accounts.account(*sid).is_some()).ok_or_else(|| call.not_found())?;
    let named = || {
        let key = accounts.key(segment(&call.segments, 0)?)?;
        (key.account == account).then_some(key)
    };
    let found = || named().ok_or_else(|| call.not_found());
    let unchanged = |answer| Ok(KeysOutcome { answer, event: None });
    match kind {
        AccountCall::Index
        | AccountCall::ListWorkspaces
        | AccountCall::CreateWorkspace
        | AccountCall::FetchClock
        | AccountCall::MoveClock => Err(call.not_found()),
        AccountCall::ListKeys => {
            call.check_parameters()?;
            unchanged(list_keys(call, &accounts.keys_of(account))?)
        }
        AccountCall::FetchKey => unchanged(Answer::json(200, resources::render_key(found()?, None))),
        AccountCall::CreateKey => {
            call.check_parameters()?;
            if KEYS_MAX <= accounts.keys_of(account).len() {
                return Err(ApiError::new(&errors::KEYS_LIMIT, &[("account", &account), ("limit", &KEYS_MAX)]));
            }
            let friendly_name = call.get(&CREATE_KEY_NAME).unwrap_or_default();
            let key = KeyRecord {
                number: 0,
                sid: fresh.sid,
                account,
                friendly_name: Arc::clone(&friendly_name),
                secret: Arc::clone(&fresh.secret),
                date_created: now,
                date_updated: now,
            };
            let (sid, secret) = (fresh.sid, Arc::clone(&fresh.secret));
            let event = AccountEvent::KeyCreated { at: now, sid, account, friendly_name, secret };
            let answer = Answer::json(201, resources::render_key(&key, Some(&fresh.secret)));
            Ok(KeysOutcome { answer, event: Some(event) })
        }
        AccountCall::UpdateKey => {
            let mut key = found()?.clone();
            call.check_parameters()?;
            let friendly_name = match call.get(&UPDATE_KEY_NAME) {
                Some(name) if name != key.friendly_name => name,
                _ => return unchanged(Answer::json(200, resources::render_key(&key, None))),
            };
            key.friendly_name = Arc::clone(&friendly_name);
            key.date_updated = now;
            let event = AccountEvent::KeyRenamed { at: now, sid: key.sid, friendly_name };
            Ok(KeysOutcome { answer: Answer::json(200, resources::render_key(&key, None)), event: Some(event) })
        }
        AccountCall::DeleteKey => {
            let event = AccountEvent::KeyDeleted { sid: found()?.sid };
            Ok(KeysOutcome { answer: Answer::no_content(), event: Some(event) })
        }
    }
}

/// The older envelope, with addresses that have no host.
fn list_keys(call: &Call, keys: &[&KeyRecord]) -> Result<Answer, ApiError> {
    let page = Page::of::<ApiKey>(call)?;
    let numbered = keys.iter().map(|key| (key.sid.bytes(), key.number, *key)).collect();
    let (keys, edges) = numbered_page(call, &page, numbered)?;
    let addresses = page::addresses_without_host(call, ApiKey::PREFIX, &page, &edges);
    let mut out = String::new();
    let mut object = Object::open(&mut out);
    let start = page.number().saturating_mul(page.size as i64);
    json::array(object.key("keys"), &keys, |out, key| out.push_str(&resources::render_key(key, None)));
    object.integer("page", page.number());
    object.integer("page_size", page.size as i64);
    object.integer("start", start);
    object.integer("end", start.saturating_add((keys.len() as i64 - 1).max(0)));
    object.text("uri", &addresses.own);
    object.text("first_page_uri", &addresses.first);
    object.optional_text("next_page_uri", addresses.next.as_deref());
    object.optional_text("previous_page_uri", addresses.previous.as_deref());
    object.close();
    Ok(Answer::json(200, out))
}
