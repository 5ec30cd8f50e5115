//! What every request meets: credentials, bounds, headers, the server's own paths.

use std::collections::BTreeMap;

use pointsman_server::Server;
use pointsman_server::configuration::{ClockMode, Configuration, FirstAccount};
use reqwest::Method;

use crate::support::{ACCOUNT_SID, AUTH_TOKEN, World, configuration, opener};

#[tokio::test(flavor = "multi_thread")]
async fn a_workspace_is_made_read_listed_and_deleted() {
    let world = World::start(ClockMode::System).await;
    let paths = [world.workspace("FriendlyName=One").await, world.workspace("FriendlyName=Two").await];
    assert_eq!(world.get(&paths[0]).await.expect(200).text("friendly_name"), "One");
    let listed = world.get("/v1/Workspaces").await.expect(200).json();
    let names: Vec<_> =
        listed["workspaces"].as_array().unwrap().iter().map(|row| row["friendly_name"].clone()).collect();
    assert_eq!(names, ["One", "Two"], "of all engine threads, in the order in which they were made");
    assert_eq!(world.events(&paths[0]).await[0], "workspace.created");
    world.delete(&paths[0]).await.expect(204);
    world.get(&paths[0]).await.expect(404);
    world.get(&paths[1]).await.expect(200);
    world.server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_operators_paths_need_no_credentials() {
    let world = World::start(ClockMode::System).await;
    for path in ["/healthz", "/readyz", "/metrics", "/openapi.json"] {
        world.send(world.request(Method::GET, path)).await.expect(200);
        let refused = world.send(world.request(Method::POST, path)).await.expect(405);
        assert_eq!(refused.header("Allow"), Some("GET, HEAD, OPTIONS"));
        world.send(world.request(Method::OPTIONS, path)).await.expect(204);
    }
    let figures = world.send(world.request(Method::GET, "/metrics")).await;
    assert!(figures.text.contains("pointsman_http_request_duration_seconds_count"), "{}", figures.text);
    world.server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn everything_else_needs_them_before_anything_is_told() {
    let world = World::start(ClockMode::System).await;
    for path in ["/v1/Workspaces", "/v1/Nothing", "/pointsman/v1/Clock"] {
        world.send(world.request(Method::GET, path)).await.expect(401);
        let wrong = world.request(Method::GET, path).basic_auth(ACCOUNT_SID, Some("wrong"));
        assert_eq!(world.send(wrong).await.expect(401).text("message"), "Authenticate");
    }
    world.get("/v1/Nothing").await.expect(404);
    world.server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_answer_carries_an_identifier_of_its_own_and_is_not_stored() {
    let world = World::start(ClockMode::System).await;
    let mut seen = std::collections::BTreeSet::new();
    for path in ["/v1/Workspaces", "/v1/Nothing", "/healthz"] {
        let answer = world.get(path).await;
        let id = answer.header("Twilio-Request-Id").unwrap().to_owned();
        assert!(id.starts_with("RQ") && id.len() == 34, "{id}");
        assert!(seen.insert(id));
        assert_eq!(answer.header("Cache-Control"), Some("no-store"));
        assert_eq!(answer.header("Access-Control-Allow-Origin"), Some("*"));
    }
    world.server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn head_is_get_without_a_body() {
    let world = World::start(ClockMode::System).await;
    let head = world.request(Method::HEAD, "/v1/Workspaces").basic_auth(ACCOUNT_SID, Some(AUTH_TOKEN));
    let answer = world.send(head).await.expect(200);
    assert_eq!(answer.text, "");
    assert_ne!(answer.header("Content-Length"), Some("0"));
    world.server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_at_the_limit_is_read_and_one_past_it_is_413() {
    let world = World::start(ClockMode::System).await;
    let limit = pointsman_api::limits::BODY_BYTES_MAX;
    let form = |length: usize| format!("FriendlyName=a&X={}", "x".repeat(length - "FriendlyName=a&X=".len()));
    world.post("/v1/Workspaces", &form(limit)).await.expect(201);
    let refused = world.post("/v1/Workspaces", &form(limit + 1)).await.expect(413);
    assert_eq!(refused.json()["code"], 20413);
    world.post("/v1/Workspaces", &form(3 * limit)).await.expect(413);
    world.server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_do_everything_but_manage_keys() {
    let world = World::start(ClockMode::System).await;
    let keys = format!("/2010-04-01/Accounts/{ACCOUNT_SID}/Keys");
    let key = world.post(&format!("{keys}.json"), "FriendlyName=ci").await.expect(201);
    let (sid, secret) = (key.text("sid"), key.text("secret"));
    let with_key = |path: &str| world.request(Method::GET, path).basic_auth(&sid, Some(&secret));
    world.send(with_key("/v1/Workspaces")).await.expect(200);
    world.send(with_key(&format!("{keys}.json"))).await.expect(401);
    world.get("/2010-04-01/Accounts/ACffffffffffffffffffffffffffffffff/Keys.json").await.expect(404);
    world.delete(&format!("{keys}/{sid}.json")).await.expect(204);
    world.send(with_key("/v1/Workspaces")).await.expect(401);
    world.server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_configured_rate_is_kept_and_told() {
    let configuration = Configuration {
        rates: BTreeMap::from([("Workspace-Create".to_owned(), 1)]),
        ..configuration(ClockMode::System)
    };
    let world = World::start_on(configuration.clone(), pointsman_server::opener(&configuration)).await;
    let first = world.post("/v1/Workspaces", "FriendlyName=a").await.expect(201);
    assert_eq!(first.header("X-Rate-Limit-Config"), Some("Workspace-Create"));
    assert_eq!(first.header("X-Rate-Limit-Remaining"), Some("0"));
    let second = world.post("/v1/Workspaces", "FriendlyName=a").await.expect(429);
    assert_eq!((second.header("Retry-After"), second.json()["code"].clone()), (Some("1"), 20429.into()));
    assert_eq!(world.get("/v1/Workspaces").await.expect(200).header("X-Rate-Limit-Limit"), None);
    world.server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn addresses_begin_with_the_public_url_when_one_is_set() {
    let configuration =
        Configuration { public_url: Some("https://route.example.com".to_owned()), ..configuration(ClockMode::System) };
    let world = World::start_on(configuration.clone(), pointsman_server::opener(&configuration)).await;
    let path = world.workspace("FriendlyName=a").await;
    assert_eq!(world.get(&path).await.text("url"), format!("https://route.example.com{path}"));
    world.server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn metrics_can_have_a_listener_of_their_own() {
    let mut configuration = configuration(ClockMode::System);
    configuration.metrics.enabled = false;
    let world = World::start_on(configuration.clone(), pointsman_server::opener(&configuration)).await;
    world.send(world.request(Method::GET, "/metrics")).await.expect(404);
    world.server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_first_start_makes_an_account_and_tells_it_once() {
    let store = pointsman_store::MemoryStore::new();
    let open = || opener(&store, pointsman_store::Unacknowledged::Kept);
    let configuration = Configuration { account: FirstAccount::default(), ..configuration(ClockMode::System) };
    let first = Server::start_on(configuration.clone(), open()).await.unwrap();
    let made = first.made_account().cloned().unwrap();
    first.stop().await;
    let world = World::start_on(configuration, open()).await;
    assert_eq!(world.server.made_account(), None);
    let request = world.request(Method::GET, "/v1/Workspaces").basic_auth(&made.sid, Some(&made.auth_token));
    world.send(request).await.expect(200);
    world.server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_address_that_is_taken_is_named() {
    let world = World::start(ClockMode::System).await;
    let configuration = Configuration { listen: world.server.address(), ..configuration(ClockMode::System) };
    let error = Server::start(configuration).await.unwrap_err();
    assert_eq!(error.to_string(), format!("cannot listen on {}", world.server.address()));
    world.server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn connections_give_their_place_back() {
    let configuration = Configuration { connections_max: 1, ..configuration(ClockMode::System) };
    let world = World::start_on(configuration.clone(), pointsman_server::opener(&configuration)).await;
    for _ in 0..20 {
        let request = world.request(Method::GET, "/healthz").header("Connection", "close");
        world.send(request).await.expect(200);
    }
    world.server.stop().await;
}
