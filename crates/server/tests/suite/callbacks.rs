//! Callbacks, from the event to the receiver and from its answer back to the engine.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU16, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use http_body_util::{BodyExt, Full};
use hyper::body::{Bytes, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use pointsman_server::configuration::{ClockMode, Configuration};
use pointsman_store::{AppendFault, Faults, MemoryStore, Unacknowledged};
use tokio::net::{TcpListener, TcpSocket, TcpStream};

use crate::support::{Office, World, configuration, opener};

/// Receives callbacks and answers each with the same status and JSON.
pub(crate) struct Receiver {
    pub(crate) url: String,
    /// What it answers with.
    pub(crate) status: Arc<AtomicU16>,
    /// Path and form of each callback.
    received: Arc<Mutex<Vec<(String, String)>>>,
    pub(crate) task: tokio::task::JoinHandle<()>,
}

impl Receiver {
    pub(crate) async fn start(status: u16, answer: &'static str) -> Receiver {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let received: Arc<Mutex<Vec<(String, String)>>> = Arc::default();
        let log = Arc::clone(&received);
        let status = Arc::new(AtomicU16::new(status));
        let answered = Arc::clone(&status);
        let task = tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                let (log, answered) = (Arc::clone(&log), Arc::clone(&answered));
                let service = service_fn(move |request: Request<Incoming>| {
                    let log = Arc::clone(&log);
                    let status = answered.load(Ordering::Acquire);
                    async move {
                        let path = request.uri().path().to_owned();
                        let body = request.into_body().collect().await?.to_bytes();
                        log.lock().unwrap().push((path, String::from_utf8(body.to_vec()).unwrap()));
                        let response = Response::builder().status(status).header("Content-Type", "application/json");
                        Ok::<_, hyper::Error>(response.body(Full::new(Bytes::from(answer))).unwrap())
                    }
                });
                tokio::spawn(http1::Builder::new().serve_connection(TokioIo::new(stream), service));
            }
        });
        Receiver { url, status, received, task }
    }

    pub(crate) fn forms(&self, path: &str) -> Vec<String> {
        let received = self.received.lock().unwrap();
        received.iter().filter(|(at, _)| at == path).map(|(_, form)| form.clone()).collect()
    }

    pub(crate) fn event_types(&self) -> Vec<String> {
        let forms = self.forms("/events");
        let types = forms.iter().map(|form| {
            let start = form.find("EventType=").unwrap() + "EventType=".len();
            form[start..].split('&').next().unwrap().to_owned()
        });
        types.collect()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_event_is_told_and_quiet_waits_for_it() {
    let world = World::start(ClockMode::Virtual).await;
    let receiver = Receiver::start(204, "").await;
    let office = Office::open(&world, &format!("&EventCallbackUrl={}/events", receiver.url), "").await;
    office.task(&world).await;
    world.post("/pointsman/v1/Clock", "Advance=0").await.expect(200);
    let mut told = receiver.event_types();
    let mut stored = world.events(&office.workspace).await;
    told.sort_unstable();
    stored.sort_unstable();
    assert_eq!(told, stored);
    world.server.stop().await;
    receiver.task.abort();
}

#[tokio::test(flavor = "multi_thread")]
async fn an_assignment_callback_can_accept_the_reservation() {
    let world = World::start(ClockMode::Virtual).await;
    let receiver = Receiver::start(200, r#"{"instruction":"accept"}"#).await;
    let office = Office::open(&world, "", &format!("&AssignmentCallbackUrl={}/assignment", receiver.url)).await;
    let task = office.task(&world).await;
    world.post("/pointsman/v1/Clock", "Advance=0").await.expect(200);
    assert_eq!(receiver.forms("/assignment").len(), 1);
    let task = world.get(&format!("{}/Tasks/{task}", office.workspace)).await.expect(200);
    assert_eq!(task.text("assignment_status"), "assigned");
    world.server.stop().await;
    receiver.task.abort();
}

#[tokio::test(flavor = "multi_thread")]
async fn without_an_answer_the_offer_is_withdrawn() {
    let world = World::start(ClockMode::Virtual).await;
    let receiver = Receiver::start(500, "").await;
    let form = format!(
        "&AssignmentCallbackUrl={}/assignment&FallbackAssignmentCallbackUrl={}/fallback",
        receiver.url, receiver.url
    );
    let office = Office::open(&world, "", &form).await;
    office.task(&world).await;
    world.post("/pointsman/v1/Clock", "Advance=0").await.expect(200);
    assert_eq!((receiver.forms("/assignment").len(), receiver.forms("/fallback").len()), (1, 1));
    let events = world.events(&office.workspace).await;
    assert!(events.contains(&"reservation.canceled".to_owned()), "{events:?}");
    assert!(world.get(&format!("{}/Workers/{}", office.workspace, office.worker)).await.json()["available"] == true);
    world.server.stop().await;
    receiver.task.abort();
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_not_delivered_is_delivered_after_a_restart() {
    let store = MemoryStore::new();
    let open = || opener(&store, Unacknowledged::Lost);
    // A port where nobody answers yet: connections wait in the line of the listener until somebody serves them.
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/events", listener.local_addr().unwrap());
    let world = World::start_on(configuration(ClockMode::Virtual), open()).await;
    let workspace = world.workspace(&format!("FriendlyName=a&EventCallbackUrl={url}")).await;
    world.server.stop().await;

    let (told, mut tellings) = tokio::sync::mpsc::unbounded_channel();
    let receiver = tokio::spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            let told = told.clone();
            let service = service_fn(move |request: Request<Incoming>| {
                let told = told.clone();
                async move {
                    let body = request.into_body().collect().await?.to_bytes();
                    told.send(String::from_utf8(body.to_vec()).unwrap()).unwrap();
                    Ok::<_, hyper::Error>(Response::new(Full::new(Bytes::new())))
                }
            });
            tokio::spawn(http1::Builder::new().serve_connection(TokioIo::new(stream), service));
        }
    });
    let world = World::start_on(configuration(ClockMode::Virtual), open()).await;
    world.post("/pointsman/v1/Clock", "Advance=0").await.expect(200);
    let form = tellings.recv().await.unwrap();
    assert!(form.contains("EventType=workspace.created"), "{form}");
    world.get(&workspace).await.expect(200);
    world.server.stop().await;
    receiver.abort();
}

#[tokio::test(flavor = "multi_thread")]
async fn networks_that_are_denied_are_not_called() {
    let mut configuration: Configuration = configuration(ClockMode::Virtual);
    configuration.callbacks.networks_deny = Some(vec!["127.0.0.0/8".parse().unwrap(), "::1/128".parse().unwrap()]);
    let receiver = Receiver::start(204, "").await;
    let world = World::start_on(configuration.clone(), pointsman_server::opener(&configuration)).await;
    let by_name = receiver.url.replace("127.0.0.1", "localhost");
    world.workspace(&format!("FriendlyName=a&EventCallbackUrl={}/events", receiver.url)).await;
    world.workspace(&format!("FriendlyName=b&EventCallbackUrl={by_name}/events")).await;
    world.post("/pointsman/v1/Clock", "Advance=0").await.expect(200);
    assert_eq!(receiver.event_types(), Vec::<String>::new());
    world.server.stop().await;
    receiver.task.abort();
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_delivered_while_the_disk_was_full_is_not_sent_again() {
    let store = MemoryStore::new();
    let world = World::start_on(configuration(ClockMode::System), opener(&store, Unacknowledged::Lost)).await;
    let receiver = Receiver::start(204, "").await;
    let workspace = world.workspace(&format!("FriendlyName=a&EventCallbackUrl={}/events", receiver.url)).await;
    let deliveries = format!("/pointsman/v1{}/Deliveries", workspace.strip_prefix("/v1").unwrap());
    let nothing_waits = async || {
        loop {
            let listed = world.get(&deliveries).await;
            // Until the store works again requests are refused.
            if listed.status == 200 && listed.json()["counters"]["waiting"] == 0 {
                break;
            }
            tokio::task::yield_now().await;
        }
    };
    nothing_waits().await;
    // The change is stored; that its callback is over is refused twice.
    let faults = BTreeMap::from([(2, AppendFault::Full), (3, AppendFault::Full)]);
    store.set_faults(Faults { appends: faults, ..Faults::default() });
    world.post(&workspace, "FriendlyName=b").await.expect(200);
    nothing_waits().await;
    let updated = receiver.event_types().iter().filter(|kind| *kind == "workspace.updated").count();
    assert_eq!(updated, 1);
    world.server.stop().await;
    receiver.task.abort();
}

#[tokio::test(flavor = "multi_thread")]
async fn an_address_that_takes_nothing_does_not_hold_up_the_one_that_follows_it() {
    let mut configuration = configuration(ClockMode::Virtual);
    configuration.callbacks.guaranteed = true;
    let world = World::start_on(configuration, opener(&MemoryStore::new(), Unacknowledged::Lost)).await;
    let receiver = Receiver::start(404, "").await;
    let workspace = world.workspace(&format!("FriendlyName=a&EventCallbackUrl={}/wrong", receiver.url)).await;
    // More than memory takes of one address.
    for number in 0..1_200 {
        world.post(&workspace, &format!("FriendlyName={number}")).await.expect(200);
    }
    receiver.status.store(204, Ordering::Release);
    world.post(&workspace, &format!("FriendlyName=b&EventCallbackUrl={}/events", receiver.url)).await.expect(200);
    world.post("/pointsman/v1/Clock", "Advance=0").await.expect(200);
    assert_eq!(receiver.event_types(), ["workspace.updated"]);
    world.server.stop().await;
    receiver.task.abort();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_that_is_not_there_in_the_time_of_its_address_is_given_up() {
    // A listener whose line is full: the system lets whoever else connects wait.
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let listener = socket.listen(0).unwrap();
    let address = listener.local_addr().unwrap();
    let mut line = Vec::new();
    while let Ok(Ok(stream)) = tokio::time::timeout(Duration::from_millis(200), TcpStream::connect(address)).await {
        line.push(stream);
    }
    let world = World::start(ClockMode::Virtual).await;
    for timeout_ms in [100, 321] {
        let url = format!("http://{address}/%23ct={timeout_ms}%26rc=0");
        let workspace = world.workspace(&format!("FriendlyName=a&EventCallbackUrl={url}")).await;
        world.post("/pointsman/v1/Clock", "Advance=0").await.expect(200);
        let dead = world.get(&format!("/pointsman{workspace}/Deliveries")).await.expect(200).json();
        let reason = dead["deliveries"][0]["last_error"].as_str().unwrap();
        assert!(reason.ends_with(&format!("no connection within {timeout_ms} ms")), "{reason}");
    }
    world.server.stop().await;
}
