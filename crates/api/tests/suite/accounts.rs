//! Calls beside the Workspaces.

use std::sync::Arc;

use pointsman_api::{
    Call, CallScope, FreshKey, HttpRequest, WorkspaceRow, created_workspace, execute_keys, index, parse,
    workspace_page, workspace_row,
};
use pointsman_engine::accounts::{AccountEvent, AccountStatus, Accounts, KEYS_MAX};
use pointsman_engine::{Sid, Timestamp};
use serde_json::Value;

use crate::world::{BASE_URL, START, World, account};

fn call(method: &str, target: &str, body: &str) -> Call {
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let content_type = (!body.is_empty()).then_some("application/x-www-form-urlencoded");
    let request = HttpRequest {
        method,
        path,
        query,
        content_type,
        body: body.as_bytes(),
        base_url: BASE_URL,
        ..HttpRequest::default()
    };
    let call = parse(&request).unwrap();
    assert!(matches!(call.scope, CallScope::Account(_)));
    call
}

fn json(text: &str) -> Value {
    serde_json::from_str(text).unwrap()
}

#[test]
fn the_index_tells_where_the_workspaces_are() {
    for path in ["/", "/v1", "/v1/"] {
        let answer = index(&call("GET", path, ""));
        assert_eq!(answer.body, r#"{"links":{"workspaces":"https://router.example.com/v1/Workspaces"}}"#);
    }
}

#[test]
fn a_created_workspace_is_shown_with_201() {
    let world = World::new(START, "");
    let answer = created_workspace(&call("POST", "/v1/Workspaces", "FriendlyName=x"), world.engine.state());
    assert_eq!(answer.status, 201);
    assert_eq!(json(&answer.body)["default_activity_name"], "Offline");
}

#[test]
fn workspaces_are_listed_in_creation_order_over_pages() {
    let world = World::new(START, "");
    let list = |target: &str| {
        let call = call("GET", target, "");
        let row = workspace_row(&call, world.engine.state());
        let rows = [3_u64, 1, 2].map(|number| WorkspaceRow {
            number,
            sid: Sid::from_bytes([number as u8; 16]),
            friendly_name: Arc::from(format!("Name {number}")),
            json: format!("{number}"),
        });
        assert_eq!(&*row.friendly_name, "Support");
        workspace_page(&call, rows.to_vec())
    };
    let first = json(&list("/v1/Workspaces?PageSize=2").body);
    assert_eq!(first["workspaces"], json("[1,2]"));
    let next = first["meta"]["next_page_url"].as_str().unwrap().strip_prefix(BASE_URL).unwrap().to_string();
    let second = json(&list(&next).body);
    assert_eq!(second["workspaces"], json("[3]"));
    assert_eq!(second["meta"]["next_page_url"], Value::Null);
    let back = second["meta"]["previous_page_url"].as_str().unwrap().strip_prefix(BASE_URL).unwrap().to_string();
    let again = json(&list(&back).body);
    assert_eq!(again["workspaces"], json("[1,2]"));
    assert_eq!(again["meta"]["previous_page_url"], Value::Null);
    assert_eq!(json(&list("/v1/Workspaces?FriendlyName=NAME%202").body)["workspaces"], json("[2]"));
    assert_eq!(list("/v1/Workspaces?PageSize=x").status, 400);
}

struct Keys {
    accounts: Accounts,
    now: Timestamp,
}

impl Keys {
    fn new() -> Self {
        let mut accounts = Accounts::default();
        accounts.evolve(&AccountEvent::AccountStored {
            at: START,
            sid: account(),
            friendly_name: "First".into(),
            auth_token: "token".into(),
            status: AccountStatus::Active,
        });
        Self { accounts, now: START }
    }

    fn send(&mut self, method: &str, rest: &str, body: &str, number: u16) -> (u16, String) {
        let target = format!("/2010-04-01/Accounts/{}/Keys{rest}", account());
        let mut bytes = [0; 16];
        bytes[..2].copy_from_slice(&number.to_be_bytes());
        let fresh = FreshKey { sid: Sid::from_bytes(bytes), secret: "s".repeat(32).into() };
        let outcome = execute_keys(&call(method, &target, body), &self.accounts, self.now, &fresh);
        if let Some(event) = &outcome.event {
            self.accounts.evolve(event);
        }
        (outcome.answer.status, outcome.answer.body)
    }
}

#[test]
fn the_secret_of_a_key_is_shown_once() {
    let mut keys = Keys::new();
    let (status, created) = keys.send("POST", ".json", "FriendlyName=ci", 1);
    assert_eq!(status, 201);
    let created = json(&created);
    assert_eq!(created["secret"], "s".repeat(32));
    assert_eq!(created["date_created"], "Tue, 05 Mar 2024 14:07:09 +0000");
    let one = format!("/{}.json", created["sid"].as_str().unwrap());
    let (status, fetched) = keys.send("GET", &one, "", 2);
    assert_eq!(
        (status, &json(&fetched)["secret"], &json(&fetched)["friendly_name"]),
        (200, &Value::Null, &"ci".into())
    );
    assert_eq!(json(&keys.send("POST", &one, "FriendlyName=new", 3).1)["friendly_name"], "new");
    assert_eq!(json(&keys.send("POST", &one, "", 3).1)["friendly_name"], "new");
    assert_eq!(keys.send("DELETE", &one, "", 4), (204, String::new()));
    assert_eq!(keys.send("GET", &one, "", 5).0, 404);
    assert_eq!(keys.send("DELETE", &one, "", 5).0, 404);
}

#[test]
fn keys_are_listed_in_the_older_envelope() {
    let mut keys = Keys::new();
    for number in 1..=3 {
        keys.send("POST", ".json", &format!("FriendlyName=k{number}"), number);
    }
    let page = json(&keys.send("GET", ".json?PageSize=2", "", 9).1);
    assert_eq!(page["keys"][1]["friendly_name"], "k2");
    assert_eq!((&page["start"], &page["end"], &page["page_size"]), (&0.into(), &1.into(), &2.into()));
    assert!(page["uri"].as_str().unwrap().starts_with("/2010-04-01/Accounts/"), "{page}");
    let rest = page["next_page_uri"].as_str().unwrap().split_once("Keys").unwrap().1.to_string();
    let last = json(&keys.send("GET", &rest, "", 9).1);
    assert_eq!(last["keys"][0]["friendly_name"], "k3");
    assert_eq!((&last["start"], &last["end"], &last["next_page_uri"]), (&2.into(), &2.into(), &Value::Null));
}

#[test]
fn an_account_has_at_most_a_thousand_keys() {
    let mut keys = Keys::new();
    for number in 0..KEYS_MAX {
        assert_eq!(keys.send("POST", ".json", "", number as u16).0, 201);
    }
    let (status, body) = keys.send("POST", ".json", "", u16::MAX);
    assert_eq!(status, 400);
    assert!(body.contains("already has 1000 keys"), "{body}");
}

#[test]
fn the_name_of_a_key_has_at_most_64_characters() {
    let mut keys = Keys::new();
    assert_eq!(keys.send("POST", ".json", &format!("FriendlyName={}", "x".repeat(64)), 1).0, 201);
    assert_eq!(keys.send("POST", ".json", &format!("FriendlyName={}", "x".repeat(65)), 2).0, 400);
}
