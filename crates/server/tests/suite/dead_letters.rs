//! Callbacks that failed for good: shown, counted, sent again.

use std::sync::atomic::Ordering;

use pointsman_server::configuration::ClockMode;
use pointsman_store::{MemoryStore, Unacknowledged};
use serde_json::Value;

use crate::callbacks::Receiver;
use crate::support::{Office, World, configuration, opener};

fn path(workspace: &str) -> String {
    format!("/pointsman{workspace}/Deliveries")
}

async fn quiet(world: &World) {
    world.post("/pointsman/v1/Clock", "Advance=0").await.expect(200);
}

async fn list(world: &World, path: &str) -> Value {
    world.get(path).await.expect(200).json()
}

/// An office whose receiver has answered every callback with 503.
async fn failed(world: &World) -> (Office, Receiver) {
    let receiver = Receiver::start(503, "").await;
    let callback = receiver.url.replace("http://", "http://user:secret@");
    let office = Office::open(world, &format!("&EventCallbackUrl={callback}/events%23rc=0"), "").await;
    office.task(world).await;
    quiet(world).await;
    (office, receiver)
}

#[tokio::test(flavor = "multi_thread")]
async fn what_failed_for_good_is_shown_without_credentials() {
    let world = World::start(ClockMode::Virtual).await;
    let (office, receiver) = failed(&world).await;
    let events = world.events(&office.workspace).await;
    let listed = list(&world, &path(&office.workspace)).await;
    let letters = listed["deliveries"].as_array().unwrap();
    assert_eq!(letters.len(), events.len());
    let mut types: Vec<_> = letters.iter().map(|letter| letter["event_type"].as_str().unwrap()).collect();
    types.sort_unstable();
    let mut expected: Vec<_> = events.iter().map(String::as_str).collect();
    expected.sort_unstable();
    assert_eq!(types, expected);
    for letter in letters {
        assert_eq!(letter["callback_url"], format!("{}/events#rc=0", receiver.url));
        assert_eq!((letter["status"].clone(), letter["kind"].clone()), ("dead".into(), "event".into()));
        assert_eq!((letter["last_status"].clone(), letter["attempts"].clone()), (503.into(), 1.into()));
        assert_eq!(letter["last_error"], "answered with status 503");
        assert_eq!(letter["sid"], letter["event_sid"]);
        let one = world.get(letter["url"].as_str().unwrap().strip_prefix(world.url()).unwrap()).await.expect(200);
        assert_eq!(one.json(), *letter);
    }
    assert_eq!(listed["counters"], serde_json::json!({"waiting": 0, "delivered": 0, "dead": events.len()}));
    let unknown = format!("{}/EV00000000000000000000000000000001", path(&office.workspace));
    world.get(&unknown).await.expect(404);
    world.post(&unknown, "Replay=true").await.expect(404);
    world.get(&path("/v1/Workspaces/WS00000000000000000000000000000001")).await.expect(404);
    world.server.stop().await;
    receiver.task.abort();
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_and_filters_show_each_once() {
    let world = World::start(ClockMode::Virtual).await;
    let (office, receiver) = failed(&world).await;
    let task = office.task(&world).await;
    quiet(&world).await;
    let whole = list(&world, &path(&office.workspace)).await["deliveries"].as_array().unwrap().clone();
    let relative = |url: &Value| url.as_str().map(|url| url.strip_prefix(world.url()).unwrap().to_owned());
    let (mut found, mut back) = (Vec::new(), Vec::new());
    let mut next = Some(format!("{}?PageSize=3", path(&office.workspace)));
    let mut last = None;
    while let Some(page) = next {
        let page = list(&world, &page).await;
        found.extend(page["deliveries"].as_array().unwrap().clone());
        next = relative(&page["meta"]["next_page_url"]);
        last = Some(page);
    }
    assert_eq!(found, whole);
    let mut page = last.unwrap();
    loop {
        back.splice(0..0, page["deliveries"].as_array().unwrap().clone());
        let Some(previous) = relative(&page["meta"]["previous_page_url"]) else { break };
        page = list(&world, &previous).await;
    }
    assert_eq!(back, whole);
    let filtered = list(&world, &format!("{}?TaskSid={task}&EventType=task.created", path(&office.workspace))).await;
    let filtered = filtered["deliveries"].as_array().unwrap();
    assert_eq!(filtered.len(), 1);
    assert_eq!((&filtered[0]["task_sid"], &filtered[0]["event_type"]), (&task.into(), &"task.created".into()));
    world.server.stop().await;
    receiver.task.abort();
}

#[tokio::test(flavor = "multi_thread")]
async fn one_is_sent_again_under_the_same_sid() {
    let world = World::start(ClockMode::Virtual).await;
    let (office, receiver) = failed(&world).await;
    let letters = list(&world, &path(&office.workspace)).await["deliveries"].as_array().unwrap().clone();
    let (sid, count) = (letters[0]["sid"].as_str().unwrap().to_owned(), letters.len());
    let before = receiver.forms("/events").len();
    // It fails once more, and is dead once more.
    let one = format!("{}/{sid}", path(&office.workspace));
    let replayed = world.post(&one, "Replay=true").await.expect(200);
    assert_eq!((replayed.text("sid"), replayed.text("status")), (sid.clone(), "waiting".to_owned()));
    quiet(&world).await;
    let mut again = letters;
    again[0]["attempts"] = Value::from(2);
    assert_eq!(list(&world, &path(&office.workspace)).await["deliveries"], Value::from(again));
    receiver.status.store(204, Ordering::Release);
    world.post(&one, "Replay=true").await.expect(200);
    quiet(&world).await;
    world.get(&one).await.expect(404);
    let forms = receiver.forms("/events");
    assert_eq!(forms.len(), before + 2);
    assert!(forms[before..].iter().all(|form| form.contains(&format!("Sid={sid}"))), "{forms:?}");
    let counters = &list(&world, &path(&office.workspace)).await["counters"];
    assert_eq!(*counters, serde_json::json!({"waiting": 0, "delivered": 1, "dead": count - 1}));
    world.server.stop().await;
    receiver.task.abort();
}

#[tokio::test(flavor = "multi_thread")]
async fn all_are_sent_again_in_order_after_a_restart() {
    let store = MemoryStore::new();
    let open = || opener(&store, Unacknowledged::Lost);
    let world = World::start_on(configuration(ClockMode::Virtual), open()).await;
    let (office, receiver) = failed(&world).await;
    for _ in 0..30 {
        office.task(&world).await;
    }
    quiet(&world).await;
    let dead = list(&world, &format!("{}?PageSize=1000", path(&office.workspace))).await["deliveries"].clone();
    let dead = dead.as_array().unwrap();
    world.server.stop().await;
    let world = World::start_on(configuration(ClockMode::Virtual), open()).await;
    receiver.status.store(204, Ordering::Release);
    let before = receiver.forms("/events").len();
    let answer = world.post(&path(&office.workspace), "Replay=all").await.expect(200).json();
    assert_eq!(answer, serde_json::json!({"replayed": dead.len(), "truncated": false}));
    quiet(&world).await;
    let sids = |of: &str, forms: &[String]| -> Vec<String> {
        let of_task = forms.iter().filter(|form| form.contains(&format!("TaskSid={of}")));
        of_task.map(|form| form[form.find("Sid=EV").unwrap()..].split('&').next().unwrap().to_owned()).collect()
    };
    let forms = receiver.forms("/events");
    assert_eq!(forms.len() - before, dead.len());
    for letter in dead {
        let Some(task) = letter["task_sid"].as_str() else { continue };
        let expected: Vec<String> = dead
            .iter()
            .filter(|other| other["task_sid"] == letter["task_sid"])
            .map(|other| format!("Sid={}", other["sid"].as_str().unwrap()))
            .collect();
        assert_eq!(sids(task, &forms[before..]), expected, "in the order of the Task");
    }
    let left = list(&world, &path(&office.workspace)).await;
    assert_eq!(left["deliveries"], Value::from(Vec::<Value>::new()));
    assert_eq!(left["counters"], serde_json::json!({"waiting": 0, "delivered": dead.len(), "dead": 0}));
    let nothing = world.post(&path(&office.workspace), "Replay=all").await.expect(200).json();
    assert_eq!(nothing["replayed"], 0);
    world.server.stop().await;
    receiver.task.abort();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replay_must_be_asked_for() {
    let world = World::start(ClockMode::Virtual).await;
    let (office, receiver) = failed(&world).await;
    for form in ["", "Replay=true", "Replay=yes", "replay=all"] {
        world.post(&path(&office.workspace), form).await.expect(400);
    }
    let before = receiver.forms("/events").len();
    quiet(&world).await;
    assert_eq!(receiver.forms("/events").len(), before);
    world.server.stop().await;
    receiver.task.abort();
}
