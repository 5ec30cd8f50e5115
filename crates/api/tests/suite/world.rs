//! One account with one Workspace, its engine, and all events so far as the history.

use std::sync::Arc;

use pointsman_api::cloud_event::write_cloud_event;
use pointsman_api::event_fields::Place;
use pointsman_api::{
    Answer, Call, CallScope, DeadDelivery, DeliveriesAsk, DeliveriesRequest, DeliveryCounters, EventPlace,
    EventStreamRequest, FoundLetters, HistoryAnswer, HistoryOrder, HistoryQuery, HttpRequest, LettersPlace, Outcome,
    ServerRequest, StreamBegin, create_workspace_command, execute, json, parse, render_deliveries, render_delivery,
    render_replay,
};
use pointsman_engine::{Account, Command, Engine, Limits, PublicEvent, Sid, Timestamp, Workspace};

pub(crate) const BASE_URL: &str = "https://router.example.com";

/// 2024-03-05T14:07:09.250Z.
pub(crate) const START: Timestamp = Timestamp(1_709_647_629_250);

pub(crate) struct World {
    pub(crate) engine: Engine,
    pub(crate) events: Vec<PublicEvent>,
    pub(crate) now: Timestamp,
}

/// What a request says besides method, path and body.
#[derive(Clone, Debug, Default)]
pub(crate) struct Extras {
    pub(crate) content_type: Option<String>,
    pub(crate) if_match: Option<String>,
}

pub(crate) fn account() -> Sid<Account> {
    Sid::from_bytes([0xac; 16])
}

pub(crate) fn workspace() -> Sid<Workspace> {
    Sid::parse("WS00000000000000000000000000000001").unwrap()
}

fn request<'a>(method: &'a str, target: &'a str, body: &'a [u8], extras: &'a Extras) -> HttpRequest<'a> {
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let form = (!body.is_empty()).then_some("application/x-www-form-urlencoded");
    HttpRequest {
        method,
        path,
        query,
        content_type: extras.content_type.as_deref().or(form),
        if_match: extras.if_match.as_deref(),
        body,
        base_url: BASE_URL,
        peer: Some("192.0.2.10"),
        ..HttpRequest::default()
    }
}

impl World {
    /// `form`: parameters of the creation besides the name.
    pub(crate) fn new(at: Timestamp, form: &str) -> Self {
        let body = format!("FriendlyName=Support&{form}");
        let extras = Extras::default();
        let call = parse(&request("POST", "/v1/Workspaces", body.as_bytes(), &extras)).unwrap();
        let command = create_workspace_command(&call, [7; 16], workspace(), 1, account()).unwrap();
        let (engine, record) = Engine::create_workspace(at, Limits::default(), command);
        Self { engine, events: record.published, now: at }
    }

    pub(crate) fn send(&mut self, method: &str, target: &str, body: &[u8], extras: &Extras) -> Answer {
        let call = match parse(&request(method, target, body, extras)) {
            Ok(call) => call,
            Err(error) => return error.answer(),
        };
        assert!(matches!(call.scope, CallScope::Workspace(_)), "{target} is no call of the Workspace");
        self.execute(&call)
    }

    pub(crate) fn execute(&mut self, call: &Call) -> Answer {
        let mut turn = self.engine.begin(self.now);
        let outcome = execute(call, &mut turn);
        self.events.extend(turn.finish().published);
        self.engine.check_invariants();
        match outcome {
            Outcome::Answer(answer) | Outcome::Instruction { answer, .. } => answer,
            Outcome::History(request) => {
                let mut answer = HistoryAnswer::new(*request);
                for event in self.history(&answer.request().query) {
                    answer.add(event);
                }
                answer.finish()
            }
            Outcome::Server(request) => match *request {
                ServerRequest::EventStream(request) => self.stream(&request),
                ServerRequest::Deliveries(request) => self.deliveries(&request),
            },
        }
    }

    /// As if the callback of every event had failed.
    fn deliveries(&self, request: &DeliveriesRequest) -> Answer {
        let dead = |event: &PublicEvent| DeadDelivery {
            number: event.id.number(),
            sid: event.sid.bytes(),
            kind: "event",
            url: "https://app.example/events".to_string(),
            event: Some(Arc::new(event.clone())),
            attempts: 2,
            status: Some(503),
            error: "answered with status 503".to_string(),
            at: event.at,
            failed_at: Timestamp(event.at.0 + 15_000),
            is_replayed: false,
        };
        let named = |sid: &[u8; 16]| self.events.iter().find(|event| event.sid.bytes() == *sid).map(dead);
        match &request.ask {
            DeliveriesAsk::Fetch(sid) => {
                named(sid).map_or_else(|| request.not_found.answer(), |letter| render_delivery(request, &letter))
            }
            DeliveriesAsk::Replay(sid) => named(sid).map_or_else(
                || request.not_found.answer(),
                |letter| render_delivery(request, &DeadDelivery { is_replayed: true, ..letter }),
            ),
            DeliveriesAsk::ReplayAll => render_replay(self.events.len() as u64, false),
            DeliveriesAsk::List(page) => {
                let passes = |event: &&PublicEvent| {
                    page.wants(Some(event))
                        && match page.place {
                            LettersPlace::After(number) => number < event.id.number(),
                            LettersPlace::Before(number) => event.id.number() < number,
                        }
                };
                let mut letters: Vec<_> = self.events.iter().filter(passes).map(dead).collect();
                let more = page.wanted < letters.len();
                let edge = match page.place {
                    LettersPlace::After(_) => {
                        letters.truncate(page.wanted);
                        letters.last()
                    }
                    LettersPlace::Before(_) => {
                        letters.drain(..letters.len().saturating_sub(page.wanted));
                        letters.first()
                    }
                };
                let ended = edge.filter(|_| more).map(|letter| (letter.number, letter.sid));
                let counters = DeliveryCounters { waiting: 1, delivered: 2, dead: self.events.len() as u64 };
                render_deliveries(request, page, &FoundLetters { letters, ended }, counters)
            }
        }
    }

    /// What there is of a stream, as an array.
    fn stream(&self, request: &EventStreamRequest) -> Answer {
        let after = match request.begin {
            StreamBegin::After(sid) => self.events.iter().position(|event| event.sid == sid).map_or(0, |at| at + 1),
            StreamBegin::Start | StreamBegin::At(_) => 0,
            StreamBegin::Now => self.events.len(),
        };
        let place = Place { account: request.account, workspace: request.workspace, redact: false };
        let told = self.events[after..].iter();
        let told = told.filter(|event| request.kinds.is_empty() || request.kinds.contains(&event.kind));
        let mut body = String::new();
        json::array(&mut body, told, |out, event| write_cloud_event(out, event, &place, "Acme"));
        Answer::json(200, body)
    }

    /// Runs a command that has no REST operation.
    pub(crate) fn command(&mut self, command: Command) {
        let mut turn = self.engine.begin(self.now);
        turn.apply(command).unwrap();
        self.events.extend(turn.finish().published);
    }

    /// Lets time pass, in one turn.
    pub(crate) fn advance_to(&mut self, at: Timestamp) {
        self.now = at;
        let record = self.engine.begin(at).finish();
        self.events.extend(record.published);
        self.engine.check_invariants();
    }

    /// The history as its contract says, by a scan.
    fn history(&self, query: &HistoryQuery) -> Vec<PublicEvent> {
        let number = |place| match place {
            EventPlace::Number(number) => Some(number),
            EventPlace::Sid(sid) => self.events.iter().find(|event| event.sid == sid).map(|event| event.id.number()),
        };
        let passes = |event: &&PublicEvent| {
            let id = event.id.number();
            let place = query.cursor.is_none_or(|cursor| {
                number(cursor).is_some_and(|passed| match query.order {
                    HistoryOrder::OldestFirst => passed < id,
                    HistoryOrder::NewestFirst => id < passed,
                })
            });
            let window = query.sid.is_some() || (query.from <= event.at && event.at <= query.to);
            let mentioned = event.references();
            place
                && window
                && query.sid.is_none_or(|sid| sid == event.sid)
                && (query.kinds.is_empty() || query.kinds.contains(&event.kind))
                && query.references.iter().all(|reference| mentioned.contains(reference))
        };
        let mut found: Vec<PublicEvent> = self.events.iter().filter(passes).cloned().collect();
        if query.order == HistoryOrder::NewestFirst {
            found.reverse();
        }
        found.truncate(query.limit.unwrap_or(usize::MAX));
        found
    }
}

/// Spreads JSON text over lines without touching the order of its members.
pub(crate) fn pretty(json: &str) -> String {
    let mut out = String::new();
    let (mut depth, mut in_text, mut escaped) = (0_usize, false, false);
    let break_line = |out: &mut String, depth: usize| {
        out.push('\n');
        out.push_str(&"  ".repeat(depth));
    };
    let chars: Vec<char> = json.chars().collect();
    for (index, char) in chars.iter().copied().enumerate() {
        let next = chars.get(index + 1).copied();
        if in_text {
            out.push(char);
            in_text = escaped || char != '"';
            escaped = !escaped && char == '\\';
            continue;
        }
        match char {
            '"' => {
                in_text = true;
                out.push(char);
            }
            '{' | '[' => {
                out.push(char);
                depth += 1;
                if !matches!(next, Some('}' | ']')) {
                    break_line(&mut out, depth);
                }
            }
            '}' | ']' => {
                depth -= 1;
                if !matches!(chars[index - 1], '{' | '[') {
                    break_line(&mut out, depth);
                }
                out.push(char);
            }
            ',' => {
                out.push(char);
                break_line(&mut out, depth);
            }
            ':' => out.push_str(": "),
            _ => out.push(char),
        }
    }
    out
}
