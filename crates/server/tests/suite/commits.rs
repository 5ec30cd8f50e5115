//! A store that fails: nothing that was not stored is acknowledged, and the server goes on afterwards.

use std::collections::BTreeMap;

use pointsman_server::configuration::ClockMode;
use pointsman_store::{AppendFault, Faults, MemoryStore, Unacknowledged};
use reqwest::Method;

use crate::support::{World, configuration, opener};

async fn check(fault: AppendFault, unacknowledged: Unacknowledged, is_there: bool) {
    let store = MemoryStore::new();
    let world = World::start_on(configuration(ClockMode::System), opener(&store, unacknowledged)).await;
    let before = world.workspace("FriendlyName=Before").await;
    store.set_faults(Faults { appends: BTreeMap::from([(1, fault)]), ..Faults::default() });
    let refused = world.post("/v1/Workspaces", "FriendlyName=Lost").await.expect(503);
    assert_eq!((refused.json()["code"].clone(), refused.header("Retry-After")), (20503.into(), Some("1")));

    // Until the store works again every request is refused; then all is as it is stored.
    let listed = loop {
        let listed = world.get("/v1/Workspaces").await;
        if listed.status == 200 {
            break listed.json();
        }
        listed.expect(503);
    };
    let names: Vec<_> =
        listed["workspaces"].as_array().unwrap().iter().map(|row| row["friendly_name"].clone()).collect();
    assert_eq!(names, if is_there { vec!["Before", "Lost"] } else { vec!["Before"] });
    world.send(world.request(Method::GET, "/readyz")).await.expect(200);
    world.post(&before, "FriendlyName=After").await.expect(200);
    assert_eq!(world.events(&before).await, ["workspace.created", "workspace.updated"]);
    world.server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_refuses_and_loses_nothing() {
    check(AppendFault::Full, Unacknowledged::Lost, false).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_torn_write_is_never_seen() {
    check(AppendFault::Torn, Unacknowledged::Lost, false).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failed_sync_may_have_kept_what_was_refused() {
    check(AppendFault::Unsynchronized, Unacknowledged::Lost, false).await;
    check(AppendFault::Unsynchronized, Unacknowledged::Kept, true).await;
}
