//! Stopping and starting on the same store.

use pointsman_server::configuration::{ClockMode, Configuration};
use pointsman_store::{MemoryStore, Store, StreamId, Unacknowledged};

use crate::support::{Office, World, configuration, opener};

async fn start(store: &MemoryStore, clock: ClockMode) -> World {
    World::start_on(configuration(clock), opener(store, Unacknowledged::Lost)).await
}

#[tokio::test(flavor = "multi_thread")]
async fn everything_is_there_after_a_restart() {
    let store = MemoryStore::new();
    let world = start(&store, ClockMode::Virtual).await;
    let office = Office::open(&world, "", "").await;
    let task = office.task(&world).await;
    let paths = [office.workspace.clone(), format!("{}/Tasks/{task}", office.workspace)];
    let mut before = Vec::new();
    for path in &paths {
        before.push(world.get(path).await.expect(200).text.replace(world.url(), ""));
    }
    let events = world.events(&office.workspace).await;
    world.server.stop().await;
    assert_eq!(store.snapshots().unwrap().newest.len(), 1, "a graceful stop takes a snapshot");

    let world = start(&store, ClockMode::Virtual).await;
    for (path, before) in paths.iter().zip(&before) {
        let after = world.get(path).await.expect(200).text.replace(world.url(), "");
        let without_age = |text: &str| text.split("\"age\":").next().unwrap().to_owned();
        assert_eq!(without_age(&after), without_age(before));
    }
    assert_eq!(world.events(&office.workspace).await, events);
    world.server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn timers_that_came_due_meanwhile_fire_before_it_is_ready() {
    let store = MemoryStore::new();
    // Its Task times out long ago as seen from the second server, whose clock is ahead.
    let world = start(&store, ClockMode::Virtual).await;
    let office = Office::open(&world, "", "&TaskReservationTimeout=1").await;
    office.task(&world).await;
    let other = world.workspace("FriendlyName=Later").await;
    world.server.stop().await;

    let world = start(&store, ClockMode::Virtual).await;
    world.post("/pointsman/v1/Clock", "Advance=5").await.expect(200);
    assert!(world.events(&office.workspace).await.contains(&"reservation.timeout".to_owned()));
    world.get(&other).await.expect(200);
    world.server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deleted_workspace_is_forgotten() {
    let store = MemoryStore::new();
    let world = start(&store, ClockMode::System).await;
    let path = world.workspace("FriendlyName=Gone").await;
    world.delete(&path).await.expect(204);
    world.server.stop().await;
    let streams: Vec<_> = store.streams().unwrap().into_iter().map(|(stream, _)| stream).collect();
    assert_eq!(streams, [StreamId::ACCOUNTS]);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_number_of_threads_may_change_between_starts() {
    let store = MemoryStore::new();
    let world = start(&store, ClockMode::System).await;
    let mut paths = Vec::new();
    for number in 0..8 {
        paths.push(world.workspace(&format!("FriendlyName={number}")).await);
    }
    world.server.stop().await;
    let configuration = Configuration { threads: Some(5), ..configuration(ClockMode::System) };
    let world = World::start_on(configuration, opener(&store, Unacknowledged::Lost)).await;
    for path in &paths {
        world.get(path).await.expect(200);
    }
    let listed = world.get("/v1/Workspaces").await.expect(200).json();
    assert_eq!(listed["workspaces"].as_array().unwrap().len(), 8);
    world.server.stop().await;
}
