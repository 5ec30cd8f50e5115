//! Streams of events: where they begin, that they show everything once and in order, and how they end.

use std::collections::BTreeMap;
use std::time::Duration;

use pointsman_server::configuration::ClockMode;
use pointsman_store::{AppendFault, Faults, MemoryStore, Unacknowledged};
use reqwest::{Method, Response};
use serde_json::Value;

use crate::support::{ACCOUNT_SID, AUTH_TOKEN, Office, World, configuration, opener};

fn path(workspace: &str, query: &str) -> String {
    format!("/pointsman{workspace}/EventStream{query}")
}

/// An open stream of lines.
struct Lines {
    response: Response,
    rest: Vec<u8>,
}

impl Lines {
    async fn open(world: &World, path: &str) -> Lines {
        let response = request(world, path).send().await.unwrap();
        assert_eq!(response.status(), 200);
        Lines { response, rest: Vec::new() }
    }

    /// The next line that is not empty; `None` at the end.
    async fn next(&mut self) -> Option<Value> {
        loop {
            if let Some(end) = self.rest.iter().position(|byte| *byte == b'\n') {
                let line: Vec<u8> = self.rest.drain(..=end).collect();
                if end > 0 {
                    return Some(serde_json::from_slice(&line).unwrap());
                }
                continue;
            }
            let piece = tokio::time::timeout(Duration::from_secs(30), self.response.chunk()).await;
            // A body that breaks off ends like one that is whole.
            self.rest.extend(piece.expect("something comes within 30 s").ok()??);
        }
    }

    async fn take(&mut self, count: usize) -> Vec<String> {
        let mut sids = Vec::new();
        for _ in 0..count {
            sids.push(sid(&self.next().await.expect("the stream goes on")));
        }
        sids
    }
}

fn request(world: &World, path: &str) -> reqwest::RequestBuilder {
    world.request(Method::GET, path).basic_auth(ACCOUNT_SID, Some(AUTH_TOKEN))
}

fn sid(event: &Value) -> String {
    event["id"].as_str().unwrap().to_owned()
}

/// Everything that a stream shows which does not follow.
async fn all(world: &World, path: &str) -> Vec<Value> {
    let answer = world.get(path).await.expect(200);
    answer.text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// SIDs of all events of a Workspace, oldest first.
async fn stored(world: &World, workspace: &str) -> Vec<String> {
    let page = world.get(&format!("{workspace}/Events?PageSize=1000&Minutes=20000")).await.expect(200).json();
    let events = page["events"].as_array().unwrap().iter().rev();
    events.map(|event| event["sid"].as_str().unwrap().to_owned()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_shows_the_history_and_goes_over_to_what_happens() {
    let world = World::start(ClockMode::System).await;
    let office = Office::open(&world, "", "").await;
    for _ in 0..40 {
        office.task(&world).await;
    }
    let before = stored(&world, &office.workspace).await;
    assert!(150 < before.len(), "more than two pages of a stream");
    let mut stream = Lines::open(&world, &path(&office.workspace, "?From=start")).await;
    assert_eq!(stream.take(10).await, before[..10]);
    for _ in 0..40 {
        office.task(&world).await;
    }
    let after = stored(&world, &office.workspace).await;
    assert_eq!(stream.take(after.len() - 10).await, after[10..]);
    office.task(&world).await;
    let last = stored(&world, &office.workspace).await;
    assert_eq!(stream.take(last.len() - after.len()).await, last[after.len()..]);
    world.server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_place_to_begin_a_stream_shows_what_happens_from_now_on() {
    let world = World::start(ClockMode::System).await;
    let office = Office::open(&world, "", "").await;
    let before = stored(&world, &office.workspace).await;
    let mut stream = Lines::open(&world, &path(&office.workspace, "")).await;
    office.task(&world).await;
    let after = stored(&world, &office.workspace).await;
    assert_eq!(stream.take(after.len() - before.len()).await, after[before.len()..]);
    world.server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_that_does_not_follow_ends_with_what_there_is() {
    let world = World::start(ClockMode::Virtual).await;
    let office = Office::open(&world, "", "").await;
    let stream = path(&office.workspace, "?Follow=false");
    world.post("/pointsman/v1/Clock", "Advance=10").await.expect(200);
    office.task(&world).await;
    let events = all(&world, &stream).await;
    let expected = stored(&world, &office.workspace).await;
    assert_eq!(events.iter().map(sid).collect::<Vec<_>>(), expected);
    let (tenth, time) = (sid(&events[3]), events.last().unwrap()["time"].as_str().unwrap());
    let after = all(&world, &format!("{stream}&After={tenth}")).await;
    assert_eq!(after.iter().map(sid).collect::<Vec<_>>(), expected[4..]);
    let since = all(&world, &format!("{stream}&From={time}")).await;
    assert!(since.iter().all(|event| event["time"] == time) && since.len() < expected.len(), "{since:?}");
    assert_eq!(all(&world, &format!("{stream}&From=now")).await, Vec::<Value>::new());
    assert_eq!(all(&world, &format!("{stream}&After={}", expected.last().unwrap())).await, Vec::<Value>::new());
    world.server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn types_are_chosen_by_either_name() {
    let world = World::start(ClockMode::System).await;
    let workspace = world.workspace("FriendlyName=a").await;
    let queue = world.make(&format!("{workspace}/TaskQueues"), "FriendlyName=Q").await;
    world.post(&format!("{workspace}/TaskQueues/{queue}"), "TargetWorkers=a==1").await.expect(200);
    for name in ["task-queue.expression.updated", "com.twilio.taskrouter.task-queue.expression-updated"] {
        let query = format!("?Follow=false&EventTypes={name},workspace.created");
        let events = all(&world, &path(&workspace, &query)).await;
        let types: Vec<_> = events.iter().map(|event| event["type"].as_str().unwrap()).collect();
        let expected =
            ["com.twilio.taskrouter.workspace.created", "com.twilio.taskrouter.task-queue.expression-updated"];
        assert_eq!(types, expected);
    }
    world.server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn server_sent_events_carry_the_place_where_they_go_on() {
    let world = World::start(ClockMode::System).await;
    let workspace = world.workspace("FriendlyName=a").await;
    world.make(&format!("{workspace}/Activities"), "FriendlyName=Busy").await;
    let events = stored(&world, &workspace).await;
    let stream = path(&workspace, "?Follow=false&From=start");
    let answer = world.send(request(&world, &stream).header("Accept", "text/event-stream")).await.expect(200);
    assert_eq!(answer.header("Content-Type"), Some("text/event-stream"));
    let frames: Vec<&str> = answer.text.trim_end().split("\n\n").collect();
    assert_eq!(frames.len(), events.len());
    for (frame, event) in frames.iter().zip(&events) {
        let (id, data) = frame.split_once("\ndata: ").unwrap();
        assert_eq!(id, format!("id: {event}"));
        assert_eq!(sid(&serde_json::from_str(data).unwrap()), *event);
    }
    // A reader connects again with the same address, and the header wins.
    let again = request(&world, &stream).header("Last-Event-ID", &events[0]);
    let answer = world.send(again).await.expect(200);
    assert_eq!(answer.header("Content-Type"), Some("application/x-ndjson"));
    assert_eq!(answer.text.lines().count(), events.len() - 1);
    world.server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_place_that_is_not_known_is_refused() {
    let world = World::start(ClockMode::System).await;
    let (workspace, other) = (world.workspace("FriendlyName=a").await, world.workspace("FriendlyName=b").await);
    let foreign = &stored(&world, &other).await[0];
    for (query, status) in [
        ("?After=EV00000000000000000000000000000001".to_owned(), 410),
        (format!("?After={foreign}"), 410),
        ("?After=yesterday".to_owned(), 400),
        ("?From=yesterday".to_owned(), 400),
        (format!("?From=start&After={foreign}"), 400),
        ("?EventTypes=task.exploded".to_owned(), 400),
    ] {
        world.get(&path(&workspace, &query)).await.expect(status);
    }
    let malformed = request(&world, &path(&workspace, "")).header("Last-Event-ID", "12");
    world.send(malformed).await.expect(400);
    world.get(&path("/v1/Workspaces/WS00000000000000000000000000000001", "")).await.expect(404);
    world.send(world.request(Method::GET, &path(&workspace, ""))).await.expect(401);
    world.server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_head_has_no_events_and_opens_nothing() {
    let world = World::start(ClockMode::System).await;
    let workspace = world.workspace("FriendlyName=a").await;
    let head = world.request(Method::HEAD, &path(&workspace, "")).basic_auth(ACCOUNT_SID, Some(AUTH_TOKEN));
    let answer = world.send(head).await.expect(200);
    assert_eq!((answer.header("Content-Type"), answer.text.as_str()), (Some("application/x-ndjson"), ""));
    world.server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_ends_with_its_workspace() {
    let world = World::start(ClockMode::System).await;
    let workspace = world.workspace("FriendlyName=a").await;
    let mut stream = Lines::open(&world, &path(&workspace, "?EventTypes=task.created")).await;
    let mut whole = Lines::open(&world, &path(&workspace, "")).await;
    world.delete(&workspace).await.expect(204);
    assert_eq!(stream.next().await, None);
    assert_eq!(whole.next().await.unwrap()["type"], "com.twilio.taskrouter.workspace.deleted");
    assert_eq!(whole.next().await, None);
    world.server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn streams_end_when_the_server_stops() {
    let world = World::start(ClockMode::System).await;
    let workspace = world.workspace("FriendlyName=a").await;
    let mut streams = Vec::new();
    for _ in 0..8 {
        streams.push(Lines::open(&world, &path(&workspace, "")).await);
    }
    tokio::time::timeout(Duration::from_secs(3), world.server.stop()).await.expect("it stops at once");
    for stream in &mut streams {
        assert_eq!(stream.next().await, None);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reader_who_takes_nothing_holds_up_neither_the_server_nor_its_end() {
    let world = World::start(ClockMode::System).await;
    let office = Office::open(&world, "", "").await;
    // A socket that is never read from fills up.
    let mut lazy = Vec::new();
    for _ in 0..4 {
        lazy.push(request(&world, &path(&office.workspace, "?From=start")).send().await.unwrap());
    }
    let attributes = format!(r#"Attributes={{"text":"{}"}}&WorkflowSid={}"#, "x".repeat(4_000), office.workflow);
    for _ in 0..200 {
        world.make(&format!("{}/Tasks", office.workspace), &attributes).await;
    }
    let events = stored(&world, &office.workspace).await;
    let mut quick = Lines::open(&world, &path(&office.workspace, "?From=start")).await;
    assert_eq!(quick.take(events.len()).await, events);
    tokio::time::timeout(Duration::from_secs(3), world.server.stop()).await.expect("it stops at once");
    drop(lazy);
}

#[tokio::test(flavor = "multi_thread")]
async fn one_more_stream_than_an_account_may_have_is_refused() {
    let world = World::start(ClockMode::System).await;
    let workspace = world.workspace("FriendlyName=a").await;
    let mut streams = Vec::new();
    for _ in 0..pointsman_server::limits::EVENT_STREAMS_PER_ACCOUNT_MAX {
        streams.push(Lines::open(&world, &path(&workspace, "")).await);
    }
    let refused = world.get(&path(&workspace, "")).await.expect(429);
    assert_eq!((refused.header("Retry-After"), refused.json()["code"].clone()), (Some("1"), 20429.into()));
    let open = |figures: &str| figures.lines().any(|line| line == "pointsman_event_streams 128");
    let figures = world.send(world.request(Method::GET, "/metrics")).await.text;
    assert!(open(&figures), "{figures}");
    drop(streams);
    let given_back = async { while world.get(&path(&workspace, "?Follow=false")).await.status != 200 {} };
    tokio::time::timeout(Duration::from_secs(20), given_back).await.expect("readers that are gone give room back");
    world.server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_goes_on_after_a_restart_where_it_broke_off() {
    let store = MemoryStore::new();
    let open = || opener(&store, Unacknowledged::Lost);
    let world = World::start_on(configuration(ClockMode::System), open()).await;
    let office = Office::open(&world, "", "").await;
    let mut stream = Lines::open(&world, &path(&office.workspace, "?From=start")).await;
    let first = stream.take(3).await;
    world.server.stop().await;
    let world = World::start_on(configuration(ClockMode::System), open()).await;
    office.task(&world).await;
    let expected = stored(&world, &office.workspace).await;
    let mut stream = Lines::open(&world, &path(&office.workspace, &format!("?After={}", first[2]))).await;
    assert_eq!(stream.take(expected.len() - 3).await, expected[3..]);
    world.server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_history_that_falls_back_shows_nothing_twice_and_loses_nothing() {
    for (fault, unacknowledged) in
        [(AppendFault::Unsynchronized, Unacknowledged::Kept), (AppendFault::Torn, Unacknowledged::Lost)]
    {
        let store = MemoryStore::new();
        let world = World::start_on(configuration(ClockMode::System), opener(&store, unacknowledged)).await;
        let office = Office::open(&world, "", "").await;
        let mut stream = Lines::open(&world, &path(&office.workspace, "?From=start")).await;
        let before = stored(&world, &office.workspace).await;
        let mut seen = stream.take(before.len()).await;
        store.set_faults(Faults { appends: BTreeMap::from([(1, fault)]), ..Faults::default() });
        world.post(&format!("{}/Tasks", office.workspace), "RoutingTarget=x").await.expect(400);
        world.post(&office.workspace, "FriendlyName=Refused").await.expect(503);
        // The store is opened again, with a history that was never synchronized.
        while world.post(&office.workspace, "FriendlyName=Taken").await.status != 200 {}
        office.task(&world).await;
        let after = stored(&world, &office.workspace).await;
        while seen.len() < after.len() {
            if let Some(event) = stream.next().await {
                seen.push(sid(&event));
            } else {
                // A read that fails ends the stream; its reader comes back.
                let last = seen.last().unwrap();
                stream = Lines::open(&world, &path(&office.workspace, &format!("?After={last}"))).await;
            }
        }
        assert_eq!(seen, after);
        world.server.stop().await;
    }
}
