//! Which callback is sent next. Reference: events-and-callbacks, sections 6, 7.2 and 12.
//!
//! ```text
//! add ──► line of its key ──► next_attempts ──► (the caller sends) ──► finished ──► done, dead, or once more
//! ```
//!
//! Deliveries of one key leave in order, one at a time; keys go side by side, within bounds over all and per
//! Workspace. Waiting for an answer is real time and the caller's; here is only what follows from a result.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use pointsman_api::instruction::{CallbackAnswer, parse_callback_answer};
use pointsman_engine::{Reservation, Sid, Timestamp, Workspace};
use pointsman_token::{CallbackUrl, signature};

use crate::batch::OutboxChange;
use crate::delivery::{AssignmentOutcome, Delivery, DeliveryKind};
use crate::limits::{ANSWER_BYTES_MAX, ASSIGNMENT_TIMEOUT_MS, ATTEMPTS_MAX, ATTEMPTS_PER_WORKSPACE_MAX};

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AttemptId(u64);

/// What the operator set.
#[derive(Clone, Debug)]
pub struct DeliverySettings {
    pub user_agent: String,
}

impl Default for DeliverySettings {
    fn default() -> Self {
        Self { user_agent: "TwilioProxy/1.1".to_string() }
    }
}

/// One HTTP request to be made.
#[derive(Clone, Debug)]
pub struct Attempt {
    pub id: AttemptId,
    pub url: CallbackUrl,
    pub headers: Vec<(&'static str, String)>,
    pub body: String,
    pub connect_timeout_ms: u32,
    pub read_timeout_ms: u32,
    /// For the whole attempt.
    pub total_timeout_ms: u32,
    /// Bytes of the answer's body that are wanted; 0 when it does not matter.
    pub answer_bytes_max: usize,
}

/// What became of an attempt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AttemptResult {
    Answered {
        status: u16,
        content_type: Option<String>,
        body: Vec<u8>,
    },
    /// No connection, or the TLS handshake failed.
    ConnectFailed {
        reason: String,
    },
    TimedOut,
    /// The answer broke off or made no sense.
    Broken {
        reason: String,
    },
    /// The operator's network rules forbid the address.
    Forbidden {
        reason: String,
    },
}

/// What the caller has to do about a finished delivery.
#[derive(Clone, Debug)]
pub enum Effect {
    /// Store the change.
    Outbox(OutboxChange),
    /// Hand this to the Workspace's shard.
    Assigned { workspace: Sid<Workspace>, reservation: Sid<Reservation>, outcome: AssignmentOutcome },
    /// Tell the operator: number in the error dictionary, and what happened.
    Warn { code: u32, delivery: Arc<Delivery>, reason: String },
}

/// The callbacks that wait or are under way.
#[derive(Debug)]
pub struct Deliveries {
    settings: DeliverySettings,
    lines: BTreeMap<Line, VecDeque<Waiting>>,
    /// Lines with nothing under way, in the order in which they became so.
    ready: VecDeque<Line>,
    running: BTreeMap<AttemptId, Running>,
    running_per_workspace: BTreeMap<Sid<Workspace>, usize>,
    attempts_made: u64,
    outstanding: usize,
}

/// Assignment callbacks have lines of their own: an offer must not wait for a slow receiver of events.
type Line = (Sid<Workspace>, [u8; 16]);

#[derive(Clone, Debug)]
struct Waiting {
    delivery: Arc<Delivery>,
    /// The account's token, which signs.
    auth_token: Arc<str>,
    stage: Stage,
    retries: u16,
    elapsed_ms: u32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    First,
    Fallback,
}

#[derive(Debug)]
struct Running {
    line: Line,
    url: CallbackUrl,
}

impl Deliveries {
    pub fn new(settings: DeliverySettings) -> Self {
        Self {
            settings,
            lines: BTreeMap::new(),
            ready: VecDeque::new(),
            running: BTreeMap::new(),
            running_per_workspace: BTreeMap::new(),
            attempts_made: 0,
            outstanding: 0,
        }
    }

    /// Deliveries that wait or are under way.
    pub const fn outstanding(&self) -> usize {
        self.outstanding
    }

    /// Puts a delivery at the end of its key's line.
    ///
    /// - `auth_token`: that of the delivery's account.
    pub fn add(&mut self, delivery: Arc<Delivery>, auth_token: Arc<str>) {
        let line = match delivery.kind {
            DeliveryKind::Event { .. } => (delivery.workspace, delivery.key),
            DeliveryKind::Assignment { .. } => (delivery.workspace, delivery.sid),
        };
        let waiting = self.lines.entry(line).or_default();
        waiting.push_back(Waiting { delivery, auth_token, stage: Stage::First, retries: 0, elapsed_ms: 0 });
        self.outstanding += 1;
        if waiting.len() == 1 {
            self.ready.push_back(line);
        }
    }

    /// What is to be sent now, as far as the bounds allow.
    ///
    /// - Effects are those of deliveries that cannot be sent at all.
    pub fn next_attempts(&mut self, now: Timestamp) -> (Vec<Attempt>, Vec<Effect>) {
        let (mut attempts, mut effects) = (Vec::new(), Vec::new());
        let mut held_back = VecDeque::new();
        while self.running.len() < ATTEMPTS_MAX {
            let Some(line) = self.ready.pop_front() else { break };
            if self.running_per_workspace.get(&line.0).is_some_and(|running| *running >= ATTEMPTS_PER_WORKSPACE_MAX) {
                held_back.push_back(line);
                continue;
            }
            match self.start(line) {
                Ok(attempt) => attempts.push(attempt),
                Err(reason) => effects.extend(self.conclude(line, &Conclusion::Failed { code: 11_200, reason }, now)),
            }
        }
        self.ready.extend(held_back);
        (attempts, effects)
    }

    fn start(&mut self, line: Line) -> Result<Attempt, String> {
        let waiting = &self.lines[&line][0];
        let text = waiting.url();
        let url = CallbackUrl::parse(text).map_err(|error| error.to_string())?;
        let overrides = url.overrides();
        let (total, wants_answer) = match waiting.delivery.kind {
            DeliveryKind::Event { .. } => (u32::from(overrides.total_timeout_ms), false),
            DeliveryKind::Assignment { .. } => (u32::from(overrides.total_timeout_ms).min(ASSIGNMENT_TIMEOUT_MS), true),
        };
        let total_timeout_ms = total.saturating_sub(waiting.elapsed_ms).max(1);
        let parameters: Vec<(&str, &str)> =
            waiting.delivery.parameters.iter().map(|(name, value)| (&**name, value.as_str())).collect();
        let mut headers = vec![
            ("Content-Type", "application/x-www-form-urlencoded; charset=UTF-8".to_string()),
            ("Accept", "*/*".to_string()),
            ("User-Agent", self.settings.user_agent.clone()),
            (signature::HEADER, signature::sign(&waiting.auth_token, &url.signed_url(), &parameters)),
            ("I-Twilio-Idempotency-Token", waiting.idempotency_token()),
        ];
        headers.extend(url.basic_auth().map(|credentials| ("Authorization", credentials.authorization())));
        self.attempts_made += 1;
        let id = AttemptId(self.attempts_made);
        let attempt = Attempt {
            id,
            headers,
            body: form_urlencoded::Serializer::new(String::new()).extend_pairs(&parameters).finish(),
            connect_timeout_ms: u32::from(overrides.connect_timeout_ms),
            read_timeout_ms: u32::from(overrides.read_timeout_ms),
            total_timeout_ms,
            answer_bytes_max: if wants_answer { ANSWER_BYTES_MAX } else { 0 },
            url: url.clone(),
        };
        self.running.insert(id, Running { line, url });
        *self.running_per_workspace.entry(line.0).or_default() += 1;
        Ok(attempt)
    }

    /// Takes the result of an attempt.
    ///
    /// - `elapsed_ms`: how long it took, in real time.
    pub fn finished(&mut self, id: AttemptId, result: AttemptResult, elapsed_ms: u32, now: Timestamp) -> Vec<Effect> {
        let Running { line, url } = self.running.remove(&id).expect("attempts finish once");
        let running = self.running_per_workspace.get_mut(&line.0).expect("counted when it started");
        *running -= 1;
        if *running == 0 {
            self.running_per_workspace.remove(&line.0);
        }
        let waiting = self.lines.get_mut(&line).and_then(VecDeque::front_mut).expect("its delivery waits for it");
        waiting.elapsed_ms += elapsed_ms;
        let overrides = url.overrides();
        let total = match waiting.delivery.kind {
            DeliveryKind::Event { .. } => u32::from(overrides.total_timeout_ms),
            DeliveryKind::Assignment { .. } => u32::from(overrides.total_timeout_ms).min(ASSIGNMENT_TIMEOUT_MS),
        };
        let retry_on = &overrides.retry_on;
        let repeats = match &result {
            AttemptResult::Answered { status: 400..=499, .. } => retry_on.client_error,
            AttemptResult::Answered { status: 500..=599, .. } => retry_on.server_error,
            AttemptResult::ConnectFailed { .. } => retry_on.connect_failure,
            AttemptResult::TimedOut => retry_on.read_timeout,
            AttemptResult::Answered { .. } | AttemptResult::Broken { .. } | AttemptResult::Forbidden { .. } => false,
        };
        if repeats && waiting.retries < overrides.retries_max && waiting.elapsed_ms < total {
            waiting.retries += 1;
            self.ready.push_front(line);
            return Vec::new();
        }
        let conclusion = conclusion(&waiting.delivery.kind, result);
        if let (
            Conclusion::Failed { .. } | Conclusion::NotJson { .. },
            DeliveryKind::Assignment { fallback_url: Some(_), .. },
            Stage::First,
        ) = (&conclusion, &waiting.delivery.kind, waiting.stage)
        {
            let mut effects = conclusion.warning(&waiting.delivery);
            waiting.stage = Stage::Fallback;
            waiting.retries = 0;
            waiting.elapsed_ms = 0;
            self.ready.push_front(line);
            effects.truncate(1);
            return effects;
        }
        self.conclude(line, &conclusion, now)
    }

    /// The first delivery of a line is over; the next one may go.
    fn conclude(&mut self, line: Line, conclusion: &Conclusion, now: Timestamp) -> Vec<Effect> {
        let waiting = self.lines.get_mut(&line).expect("a line that is concluded exists");
        let Waiting { delivery, stage, .. } = waiting.pop_front().expect("its first delivery is concluded");
        if waiting.is_empty() {
            self.lines.remove(&line);
        } else {
            self.ready.push_back(line);
        }
        self.outstanding -= 1;
        let mut effects = conclusion.warning(&delivery);
        match (&delivery.kind, conclusion) {
            (DeliveryKind::Event { .. }, Conclusion::Answered(_) | Conclusion::NotJson { .. }) => {
                effects.push(Effect::Outbox(OutboxChange::Done { sid: delivery.sid }));
            }
            (DeliveryKind::Event { .. }, Conclusion::Failed { reason, .. }) => {
                let reason = reason.clone();
                effects.push(Effect::Outbox(OutboxChange::Dead { delivery, at: now, reason }));
            }
            // The shard takes the assignment off the outbox together with what the answer does.
            (DeliveryKind::Assignment { reservation, .. }, _) => {
                let outcome = match conclusion {
                    Conclusion::Answered(answer) => AssignmentOutcome::Answered(answer.clone()),
                    // It did answer, though not in a form that counts: the offer stays. Not so after a fallback.
                    Conclusion::NotJson { .. } if stage == Stage::First => {
                        AssignmentOutcome::Answered(CallbackAnswer::NoInstruction)
                    }
                    Conclusion::NotJson { .. } | Conclusion::Failed { .. } => AssignmentOutcome::Failed,
                };
                effects.push(Effect::Assigned { workspace: delivery.workspace, reservation: *reservation, outcome });
            }
        }
        effects
    }

    /// Forgets what waits of a Workspace that was deleted, but for what was under way.
    pub fn forget(&mut self, workspace: Sid<Workspace>) {
        let busy: BTreeSet<Line> = self.running.values().map(|running| running.line).collect();
        let lines: Vec<Line> = self.lines.keys().filter(|line| line.0 == workspace).copied().collect();
        for line in lines {
            let waiting = self.lines.get_mut(&line).expect("just listed");
            let keep = usize::from(busy.contains(&line));
            self.outstanding -= waiting.len().saturating_sub(keep);
            waiting.truncate(keep);
            if waiting.is_empty() {
                self.lines.remove(&line);
                self.ready.retain(|ready| *ready != line);
            }
        }
    }
}

impl Waiting {
    fn url(&self) -> &str {
        match (self.stage, &self.delivery.kind) {
            (Stage::Fallback, DeliveryKind::Assignment { fallback_url: Some(url), .. }) => url,
            _ => &self.delivery.url,
        }
    }

    /// The same for all attempts of one webhook; the fallback is another webhook.
    fn idempotency_token(&self) -> String {
        let mut bytes = self.delivery.sid;
        if self.stage == Stage::Fallback {
            bytes[15] ^= 1;
        }
        let hex = format!("{:032x}", u128::from_be_bytes(bytes));
        format!("{}-{}-{}-{}-{}", &hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..])
    }
}

/// How a callback went, retries aside.
#[derive(Clone, Debug, PartialEq)]
enum Conclusion {
    /// What an event callback answers does not matter: no instruction.
    Answered(CallbackAnswer),
    /// An answer with a body that is not declared as JSON.
    NotJson {
        content_type: Option<String>,
    },
    Failed {
        code: u32,
        reason: String,
    },
}

fn conclusion(kind: &DeliveryKind, result: AttemptResult) -> Conclusion {
    match result {
        AttemptResult::Answered { status: 200..=299, content_type, body } => match kind {
            DeliveryKind::Event { .. } => Conclusion::Answered(CallbackAnswer::NoInstruction),
            DeliveryKind::Assignment { .. } => match parse_callback_answer(content_type.as_deref(), &body) {
                CallbackAnswer::NotJson => Conclusion::NotJson { content_type },
                answer => Conclusion::Answered(answer),
            },
        },
        AttemptResult::Answered { status, .. } => {
            Conclusion::Failed { code: 11_200, reason: format!("answered with status {status}") }
        }
        AttemptResult::ConnectFailed { reason } => Conclusion::Failed { code: 11_205, reason },
        AttemptResult::TimedOut => Conclusion::Failed { code: 11_205, reason: "no answer in time".to_string() },
        AttemptResult::Broken { reason } | AttemptResult::Forbidden { reason } => {
            Conclusion::Failed { code: 11_200, reason }
        }
    }
}

impl Conclusion {
    fn warning(&self, delivery: &Arc<Delivery>) -> Vec<Effect> {
        let (code, reason) = match self {
            Self::Answered(_) => return Vec::new(),
            Self::NotJson { content_type } => {
                let given = content_type.as_deref().unwrap_or("no Content-Type");
                (40_000, format!("answered with {given} instead of application/json"))
            }
            Self::Failed { code, reason } => (*code, reason.clone()),
        };
        vec![Effect::Warn { code, delivery: delivery.clone(), reason }]
    }
}
