//! A shard, its clock, and everything that it gave to be stored.

use std::collections::BTreeMap;
use std::sync::Arc;

use pointsman_api::{Answer, CallScope, HttpRequest, create_workspace_command, parse};
use pointsman_dispatcher::{Batch, Delivery, Input, OutboxChange, Reply, Shard, Telephony, Ticket};
use pointsman_engine::{Account, Limits, Sid, Timestamp};

pub(crate) const MINE: Sid<Account> = Sid::from_bytes([1; 16]);
pub(crate) const THEIRS: Sid<Account> = Sid::from_bytes([2; 16]);

pub(crate) struct Bench {
    pub(crate) shard: Shard,
    pub(crate) now: i64,
    pub(crate) made: u64,
    pub(crate) batch: Batch,
    pub(crate) stored: BTreeMap<[u8; 16], Vec<(u64, Vec<u8>)>>,
}

impl Bench {
    pub(crate) fn new() -> Self {
        Self::with(Telephony::None)
    }

    pub(crate) fn with(telephony: Telephony) -> Self {
        let shard = Shard::new(Limits::default(), telephony);
        Self { shard, now: 1_760_000_000_000, made: 0, batch: Batch::default(), stored: BTreeMap::new() }
    }

    pub(crate) fn request(&mut self, account: Sid<Account>, method: &str, path: &str, body: &str) -> Answer {
        self.now += 1_000;
        let (path, query) = path.split_once('?').unwrap_or((path, ""));
        let request = HttpRequest {
            method,
            path,
            query,
            content_type: (!body.is_empty()).then_some("application/x-www-form-urlencoded"),
            body: body.as_bytes(),
            base_url: "http://router.example",
            ..HttpRequest::default()
        };
        let call = match parse(&request) {
            Ok(call) => Box::new(call),
            Err(error) => return error.answer(),
        };
        let ticket = Ticket(0);
        let input = match call.scope {
            CallScope::Workspace(_) => Input::Call { ticket, account, call },
            CallScope::Account(_) => {
                self.made += 1;
                let (seed, sid) = ([self.made as u8 + 10; 16], Sid::from_bytes([self.made as u8; 16]));
                let create = create_workspace_command(&call, seed, sid, self.made, account).unwrap();
                Input::CreateWorkspace { ticket, create, call }
            }
        };
        self.batch = Batch::default();
        self.shard.handle(Timestamp(self.now), input, &mut self.batch);
        self.store();
        self.shard.check_invariants();
        match self.batch.replies.pop() {
            Some((_, Reply::Answer(answer))) => answer,
            other => panic!("{method} {path} was answered with {other:?}"),
        }
    }

    pub(crate) fn handle(&mut self, input: Input) {
        self.batch = Batch::default();
        self.shard.handle(Timestamp(self.now), input, &mut self.batch);
        self.store();
    }

    /// What the last input wants sent.
    pub(crate) fn sends(&self) -> Vec<Arc<Delivery>> {
        let put = |change: &OutboxChange| match change {
            OutboxChange::Put(delivery) => Some(Arc::clone(delivery)),
            OutboxChange::Done { .. } | OutboxChange::Dead { .. } => None,
        };
        self.batch.outbox.iter().filter_map(put).collect()
    }

    fn store(&mut self) {
        for record in &self.batch.records {
            let stream = self.stored.entry(record.stream).or_default();
            assert_eq!(record.sequence, stream.len() as u64 + 1, "sequence numbers have no gaps");
            stream.push((record.sequence, record.payload.clone()));
        }
    }

    /// A Workspace with one available Worker; an assignment callback where given. Returns its path.
    pub(crate) fn set_up(&mut self, account: Sid<Account>, more: &str) -> String {
        let made = self.request(account, "POST", "/v1/Workspaces", &format!("FriendlyName=W&Template=FIFO{more}"));
        let path = format!("/v1/Workspaces/{}", text(&made, "sid"));
        let available = self.request(account, "GET", &format!("{path}/Activities?FriendlyName=Available"), "");
        let worker = format!("FriendlyName=Ann&ActivitySid={}", text(&available, "sid"));
        assert_eq!(self.request(account, "POST", &format!("{path}/Workers"), &worker).status, 201);
        path
    }
}

/// The first text member of that name in an answer.
pub(crate) fn text(answer: &Answer, name: &str) -> String {
    let body = answer.body.replace("\": \"", "\":\"");
    let rest = body.split(&format!("\"{name}\":\"")).nth(1);
    rest.and_then(|rest| rest.split('"').next()).unwrap_or_else(|| panic!("no {name} in {}", answer.body)).to_string()
}

/// What a shard holds, to be compared.
pub(crate) fn facts(shard: &Shard) -> Vec<String> {
    shard.snapshots().map(|(sid, sequence, snapshot)| format!("{sid} {sequence} {snapshot:?}")).collect()
}
