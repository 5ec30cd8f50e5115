//! A server for one test, and the requests that tests make.

use std::sync::Arc;

use pointsman_server::configuration::{ClockMode, Configuration, FirstAccount};
use pointsman_server::{Opener, Server};
use pointsman_store::{CrashPlan, MemoryStore, Unacknowledged};
use reqwest::{Client, Method, Response};
use serde_json::Value;

pub(crate) const ACCOUNT_SID: &str = "AC00000000000000000000000000000001";
pub(crate) const AUTH_TOKEN: &str = "0123456789abcdef0123456789abcdef";

/// What tests start with: a free port, two engine threads, a known account.
pub(crate) fn configuration(clock: ClockMode) -> Configuration {
    Configuration {
        listen: "127.0.0.1:0".parse().unwrap(),
        in_memory: true,
        clock,
        account: FirstAccount { sid: Some(ACCOUNT_SID.to_owned()), auth_token: Some(AUTH_TOKEN.to_owned()) },
        threads: Some(2),
        ..Configuration::default()
    }
}

/// Opens a given store again and again; what was not acknowledged is kept or lost each time.
pub(crate) fn opener(store: &MemoryStore, unacknowledged: Unacknowledged) -> Opener {
    let store = Arc::new(store.clone());
    Box::new(move || {
        store.crash(CrashPlan { unacknowledged, loses_projection: true });
        Ok(Box::new((*store).clone()))
    })
}

/// A running server and a client of its account.
pub(crate) struct World {
    pub(crate) server: Server,
    client: Client,
    url: String,
}

/// Status, headers and JSON of an answer.
#[derive(Debug)]
pub(crate) struct Answered {
    pub(crate) status: u16,
    pub(crate) headers: reqwest::header::HeaderMap,
    pub(crate) text: String,
}

impl Answered {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|_| panic!("not JSON: {:?}", self.text))
    }

    /// The text of a member.
    pub(crate) fn text(&self, name: &str) -> String {
        self.json()[name].as_str().unwrap_or_else(|| panic!("no text {name} in {}", self.text)).to_owned()
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|value| value.to_str().unwrap())
    }

    #[track_caller]
    pub(crate) fn expect(self, status: u16) -> Answered {
        assert_eq!(self.status, status, "{}", self.text);
        self
    }
}

impl World {
    pub(crate) async fn start(clock: ClockMode) -> World {
        World::of(Server::start(configuration(clock)).await.unwrap())
    }

    pub(crate) async fn start_on(configuration: Configuration, open: Opener) -> World {
        World::of(Server::start_on(configuration, open).await.unwrap())
    }

    fn of(server: Server) -> World {
        let url = format!("http://{}", server.address());
        World { server, client: Client::builder().no_proxy().build().unwrap(), url }
    }

    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    /// A request without credentials.
    pub(crate) fn request(&self, method: Method, path: &str) -> reqwest::RequestBuilder {
        self.client.request(method, format!("{}{path}", self.url))
    }

    pub(crate) async fn get(&self, path: &str) -> Answered {
        self.send(self.request(Method::GET, path).basic_auth(ACCOUNT_SID, Some(AUTH_TOKEN))).await
    }

    pub(crate) async fn delete(&self, path: &str) -> Answered {
        self.send(self.request(Method::DELETE, path).basic_auth(ACCOUNT_SID, Some(AUTH_TOKEN))).await
    }

    /// Posts a form as it would stand in a body.
    pub(crate) async fn post(&self, path: &str, form: &str) -> Answered {
        let request = self.request(Method::POST, path).basic_auth(ACCOUNT_SID, Some(AUTH_TOKEN));
        let request = request.header("Content-Type", "application/x-www-form-urlencoded").body(form.to_owned());
        self.send(request).await
    }

    pub(crate) async fn send(&self, request: reqwest::RequestBuilder) -> Answered {
        let answer: Response = request.send().await.unwrap();
        let (status, headers) = (answer.status().as_u16(), answer.headers().clone());
        Answered { status, headers, text: answer.text().await.unwrap() }
    }

    /// Makes a Workspace and returns its path.
    pub(crate) async fn workspace(&self, form: &str) -> String {
        let made = self.post("/v1/Workspaces", form).await.expect(201);
        format!("/v1/Workspaces/{}", made.text("sid"))
    }

    /// Makes an object and returns its SID.
    pub(crate) async fn make(&self, path: &str, form: &str) -> String {
        self.post(path, form).await.expect(201).text("sid")
    }

    /// The types of the events of a Workspace, oldest first.
    pub(crate) async fn events(&self, workspace: &str) -> Vec<String> {
        let page = self.get(&format!("{workspace}/Events?PageSize=1000&Minutes=20000")).await.expect(200).json();
        let events = page["events"].as_array().unwrap().iter().rev();
        events.map(|event| event["event_type"].as_str().unwrap().to_owned()).collect()
    }
}

/// One Worker who can take one Task, in a Workspace with one queue and a Workflow that leads there.
pub(crate) struct Office {
    pub(crate) workspace: String,
    pub(crate) worker: String,
    pub(crate) workflow: String,
}

impl Office {
    /// - `workspace`, `workflow`: further parameters of their forms, each beginning with `&`.
    pub(crate) async fn open(world: &World, workspace: &str, workflow: &str) -> Office {
        let workspace = world.workspace(&format!("FriendlyName=Office{workspace}")).await;
        let available = world.make(&format!("{workspace}/Activities"), "FriendlyName=Ready&Available=true").await;
        let queue = world.make(&format!("{workspace}/TaskQueues"), "FriendlyName=All").await;
        let configuration = format!(r#"{{"task_routing":{{"filters":[],"default_filter":{{"queue":"{queue}"}}}}}}"#);
        let form = format!("FriendlyName=Flow&Configuration={configuration}{workflow}");
        let workflow = world.make(&format!("{workspace}/Workflows"), &form).await;
        let form = format!("FriendlyName=ann&ActivitySid={available}");
        let worker = world.make(&format!("{workspace}/Workers"), &form).await;
        Office { workspace, worker, workflow }
    }

    pub(crate) async fn task(&self, world: &World) -> String {
        world.make(&format!("{}/Tasks", self.workspace), &format!("WorkflowSid={}", self.workflow)).await
    }
}
