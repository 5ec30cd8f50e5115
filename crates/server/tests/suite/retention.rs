//! Events are kept as long as their Workspace says, and everything that is made of them agrees.

use pointsman_engine::Sid;
use pointsman_server::configuration::{ClockMode, Configuration};
use pointsman_store::{MemoryStore, Unacknowledged};

use crate::support::{Office, World, configuration, opener};

const DAY_SECONDS: u32 = 86_400;

#[tokio::test(flavor = "multi_thread")]
async fn a_workspace_with_a_shorter_retention_shows_nothing_older() {
    let store = MemoryStore::new();
    let open = || opener(&store, Unacknowledged::Lost);
    let world = World::start_on(configuration(ClockMode::Virtual), open()).await;
    let short = Office::open(&world, "", "").await;
    let long = Office::open(&world, "", "").await;
    let old = events_since_2000(&world, &short.workspace).await;
    assert!(!old.is_empty());
    assert_eq!(events_since_2000(&world, &long.workspace).await.len(), old.len());
    world.server.stop().await;

    let sid = Sid::parse(short.workspace.rsplit('/').next().unwrap()).unwrap();
    let own = Configuration {
        events_retention_days_of: [(sid, 2)].into(),
        events_retention_days: 10,
        ..configuration(ClockMode::Virtual)
    };
    let world = World::start_on(own, open()).await;
    world.post("/pointsman/v1/Clock", &format!("Advance={}", 2 * DAY_SECONDS - 60)).await.expect(200);
    assert_eq!(events_since_2000(&world, &short.workspace).await, old, "two days are not over");
    let since = |days: u32| format!("/Workers/Statistics?Minutes={}", days * 1_440);
    world.get(&format!("{}{}", short.workspace, since(2))).await.expect(200);
    world.get(&format!("{}{}", short.workspace, since(3))).await.expect(400);
    world.get(&format!("{}{}", long.workspace, since(10))).await.expect(200);
    world.get(&format!("{}{}", long.workspace, since(11))).await.expect(400);

    world.post("/pointsman/v1/Clock", "Advance=120").await.expect(200);
    let task = short.task(&world).await;
    let new = events_since_2000(&world, &short.workspace).await;
    assert!(new.iter().all(|event| !old.contains(event)), "{new:?}");
    assert!(!new.is_empty(), "{task} was made just now");
    assert_eq!(events_since_2000(&world, &long.workspace).await.len(), old.len());
    let one = |workspace: &str, event: &str| format!("{workspace}/Events/{event}");
    world.get(&one(&short.workspace, &old[0])).await.expect(404);
    world.get(&one(&short.workspace, &new[0])).await.expect(200);
    let named = format!("{}/Events?Sid={}", short.workspace, old[0]);
    assert_eq!(world.get(&named).await.expect(200).json()["events"], serde_json::json!([]));
    let stream = format!("/pointsman{}/EventStream", short.workspace);
    let streamed = world.get(&format!("{stream}?Follow=false&From=start")).await.expect(200).text;
    assert_eq!(streamed.lines().count(), new.len(), "{streamed}");
    world.get(&format!("{stream}?Follow=false&After={}", old[0])).await.expect(410);
    world.server.stop().await;
}

/// Identifiers of all events that are shown.
async fn events_since_2000(world: &World, workspace: &str) -> Vec<String> {
    let page = format!("{workspace}/Events?PageSize=1000&StartDate=2000-01-01T00:00:00Z");
    let page = world.get(&page).await.expect(200).json();
    let events = page["events"].as_array().unwrap().iter();
    events.map(|event| event["sid"].as_str().unwrap().to_owned()).collect()
}
