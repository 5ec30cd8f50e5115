//! Which callback is sent next. Reference: events-and-callbacks, sections 6, 7.2 and 12.
//!
//! ```text
//! add ──► its line ──► next_attempts ──► (the caller sends) ──► finished ──► done, dead, or once more
//! ```
//!
//! Deliveries of one line leave in order, one at a time. Lines go side by side as far as there are places
//! (`places.rs`), and what routing waits for (assignment callbacks, calls) has places apart from the rest, so a slow
//! receiver holds up nobody else. Waiting for an answer is real time and the caller's; here is only what follows from a
//! result.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use pointsman_api::event_fields::{assignment_callback_form, event_callback_form};
use pointsman_api::instruction::{CallbackAnswer, parse_callback_answer};
use pointsman_engine::{DurationMs, Sid, Timestamp};
use pointsman_record::delivery::{About, Content, Delivery, DeliveryFailure, Form, VoiceStep};
use pointsman_token::{CallbackUrl, signature};

use crate::batch::{AssignmentOutcome, Input, OutboxChange, VoiceOutcome, VoiceRequest, is_of_gateway};
use crate::limits::{ANSWER_BYTES_MAX, ASSIGNMENT_TIMEOUT_MS, BACK_OFF_MS_FIRST, BACK_OFF_MS_MAX, REASON_CHARS_MAX};
use crate::places::{End, LaneId, LineId, Places, Receiver};

/// Numbers of the error dictionary: a receiver that answers wrongly, one that does not, and one whose answer is not
/// called JSON.
const RETRIEVAL_FAILURE: u32 = 11_200;
const CONNECTION_FAILURE: u32 = 11_205;
const NOT_CALLED_JSON: u32 = 40_000;

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AttemptId(u64);

/// What the operator set.
#[derive(Clone, Debug)]
pub struct DeliverySettings {
    pub user_agent: String,
    /// How long after its event a callback that fails is tried again; `None` tries as documented and gives up.
    pub guaranteed: Option<DurationMs>,
    /// Value of `Authorization` in requests to the voice API.
    pub voice_authorization: Option<String>,
    /// Different for each start of the server.
    pub epoch: u64,
}

impl Default for DeliverySettings {
    fn default() -> Self {
        Self { user_agent: "TwilioProxy/1.1".to_string(), guaranteed: None, voice_authorization: None, epoch: 0 }
    }
}

/// One HTTP request to be made.
#[derive(Clone, Debug)]
pub struct Attempt {
    pub id: AttemptId,
    pub delivery: Arc<Delivery>,
    pub url: CallbackUrl,
    /// The operator chose the address: network rules are for those that applications choose.
    pub is_trusted: bool,
    pub headers: Vec<(&'static str, String)>,
    /// By POST, encoded; without one it is a GET.
    pub form: Option<String>,
    pub connect_timeout_ms: u32,
    pub read_timeout_ms: u32,
    /// For the whole attempt.
    pub total_timeout_ms: u32,
    /// Bytes of the answer's body that are wanted; 0 when it does not matter.
    pub answer_bytes_max: usize,
    /// It must not be made a second time when its connection breaks, so that is not one kept from an earlier request.
    pub is_made_once: bool,
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
    /// The answer broke off or made no sense, or the operator's network rules forbid the address.
    Broken {
        reason: String,
    },
}

impl AttemptResult {
    /// An answer with a status of success, whatever else there is to say of it.
    pub const fn is_success(&self) -> bool {
        matches!(self, Self::Answered { status: 200..=299, .. })
    }
}

/// What the caller has to do about a finished delivery.
#[derive(Debug)]
pub enum Effect {
    /// Store the change.
    Outbox(OutboxChange),
    /// Hand the end of this delivery to its Workspace's shard, which takes it off the outbox together with what follows.
    Input { delivery: Arc<Delivery>, input: Input },
    /// Tell the operator: number in the error dictionary, whom it was sent to, and what happened.
    Warn { code: u32, receiver: Receiver, delivery: Arc<Delivery>, reason: String },
}

/// The callbacks that wait or are under way.
#[derive(Debug)]
pub struct Deliveries {
    settings: DeliverySettings,
    lines: BTreeMap<LineId, VecDeque<Waiting>>,
    urgent: Places,
    usual: Places,
    running: BTreeMap<AttemptId, Running>,
    /// Lines that pause until an instant.
    paused: BTreeSet<(Timestamp, LineId)>,
    attempts_made: u64,
    outstanding: usize,
}

/// Whose places a lane takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Urgency {
    /// Routing waits for the answer.
    Urgent,
    /// Nobody waits for it.
    Usual,
}

impl Urgency {
    pub const fn of(content: &Content) -> Self {
        Rules::of(content).urgency
    }
}

/// What the kinds of deliveries differ in.
#[expect(clippy::struct_excessive_bools, reason = "a table of what is so and what is not")]
struct Rules {
    urgency: Urgency,
    /// The operator chose the address.
    is_trusted: bool,
    /// For all attempts together, when that is less than the address says.
    total_timeout_ms_max: u32,
    /// What matters of the answer.
    answer_bytes_max: usize,
    /// If the operator wants it, it is tried again for hours before it has failed for good.
    is_guaranteed: bool,
    /// After a restart it is another webhook.
    is_asked_anew: bool,
    /// One that is dead holds up nothing that goes elsewhere.
    has_line_per_destination: bool,
}

impl Rules {
    const fn of(content: &Content) -> Self {
        match content {
            Content::Event(_) => Self {
                urgency: Urgency::Usual,
                is_trusted: false,
                total_timeout_ms_max: u32::MAX,
                answer_bytes_max: 0,
                is_guaranteed: true,
                is_asked_anew: false,
                has_line_per_destination: true,
            },
            Content::Assignment { .. } => Self {
                urgency: Urgency::Urgent,
                is_trusted: false,
                total_timeout_ms_max: ASSIGNMENT_TIMEOUT_MS,
                answer_bytes_max: ANSWER_BYTES_MAX,
                is_guaranteed: false,
                is_asked_anew: true,
                has_line_per_destination: false,
            },
            Content::Voice { .. } => Self {
                urgency: Urgency::Urgent,
                is_trusted: true,
                total_timeout_ms_max: u32::MAX,
                answer_bytes_max: ANSWER_BYTES_MAX,
                is_guaranteed: false,
                is_asked_anew: false,
                has_line_per_destination: false,
            },
            Content::Report { .. } => Self {
                urgency: Urgency::Usual,
                is_trusted: false,
                total_timeout_ms_max: u32::MAX,
                answer_bytes_max: 0,
                is_guaranteed: false,
                is_asked_anew: false,
                has_line_per_destination: false,
            },
        }
    }
}

const fn fallback_url(content: &Content) -> Option<&Arc<str>> {
    match content {
        Content::Assignment { fallback_url, .. } => fallback_url.as_ref(),
        Content::Event(_) | Content::Voice { .. } | Content::Report { .. } => None,
    }
}

#[derive(Clone, Debug)]
struct Waiting {
    delivery: Arc<Delivery>,
    /// The account's token, which signs.
    auth_token: Arc<str>,
    /// Whom its next attempt goes to.
    receiver: Receiver,
    stage: Stage,
    /// Retries of this webhook so far, and the real time that it took.
    retries: u16,
    elapsed_ms: u32,
    /// Attempts of all, those before a pause or a replay included.
    attempts: u32,
    /// Pauses so far.
    pauses: u32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    First,
    Fallback,
}

#[derive(Debug)]
struct Running {
    line: LineId,
    urgency: Urgency,
    lane: LaneId,
    url: CallbackUrl,
    total_timeout_ms: u32,
}

impl Deliveries {
    pub fn new(settings: DeliverySettings) -> Self {
        Self {
            settings,
            lines: BTreeMap::new(),
            urgent: Places::default(),
            usual: Places::default(),
            running: BTreeMap::new(),
            paused: BTreeSet::new(),
            attempts_made: 0,
            outstanding: 0,
        }
    }

    /// Deliveries that wait or are under way.
    pub const fn outstanding(&self) -> usize {
        self.outstanding
    }

    /// Whether nothing is under way or could go now; what pauses does not count.
    pub fn is_quiet(&self) -> bool {
        self.urgent.is_quiet() && self.usual.is_quiet()
    }

    /// When the next pause ends.
    pub fn next_deadline(&self) -> Option<Timestamp> {
        self.paused.first().map(|(until, _)| *until)
    }

    /// Puts a delivery at the end of its line.
    ///
    /// - `auth_token`: that of the delivery's account.
    pub fn add(&mut self, delivery: Arc<Delivery>, auth_token: Arc<str>) {
        let receiver = receiver_of(&delivery.url);
        let line = LineId {
            workspace: delivery.workspace,
            key: delivery.line(),
            destination: Rules::of(&delivery.content).has_line_per_destination.then(|| destination_of(&delivery.url)),
        };
        let waiting = self.lines.entry(line.clone()).or_default();
        waiting.push_back(Waiting {
            attempts: delivery.failure.as_ref().map_or(0, |failure| failure.attempts),
            delivery,
            auth_token,
            receiver,
            stage: Stage::First,
            retries: 0,
            elapsed_ms: 0,
            pauses: 0,
        });
        self.outstanding += 1;
        if waiting.len() == 1 {
            self.make_ready(line, End::Last);
        }
    }

    /// Lets a line that has something to send wait for a place.
    fn make_ready(&mut self, line: LineId, end: End) {
        let first = self.first_of(&line);
        let urgency = Urgency::of(&first.delivery.content);
        let lane = LaneId { workspace: line.workspace, receiver: first.receiver.clone() };
        self.places(urgency).add(&lane, line, end);
    }

    fn places(&mut self, urgency: Urgency) -> &mut Places {
        match urgency {
            Urgency::Urgent => &mut self.urgent,
            Urgency::Usual => &mut self.usual,
        }
    }

    /// What is to be sent now, as far as the bounds allow.
    ///
    /// - Effects are those of deliveries that cannot be sent at all.
    pub fn next_attempts(&mut self, now: Timestamp) -> (Vec<Attempt>, Vec<Effect>) {
        while self.paused.first().is_some_and(|(until, _)| *until <= now) {
            let (_, line) = self.paused.pop_first().expect("there is a first one");
            self.make_ready(line, End::Last);
        }
        let (mut attempts, mut effects) = (Vec::new(), Vec::new());
        for urgency in [Urgency::Urgent, Urgency::Usual] {
            while let Some((lane, line)) = self.places(urgency).take() {
                match self.start(urgency, &lane, &line) {
                    Ok(attempt) => attempts.push(attempt),
                    Err(reason) => {
                        self.places(urgency).give_back(&lane);
                        let conclusion =
                            Conclusion::Failed { code: RETRIEVAL_FAILURE, reason, status: None, was_asked: false };
                        effects.extend(self.conclude(line, &lane.receiver, &conclusion, now));
                    }
                }
            }
        }
        (attempts, effects)
    }

    fn first_of(&mut self, line: &LineId) -> &mut Waiting {
        let first = self.lines.get_mut(line).and_then(VecDeque::front_mut);
        first.expect("a line that is looked at has a first delivery")
    }

    fn start(&mut self, urgency: Urgency, lane: &LaneId, line: &LineId) -> Result<Attempt, String> {
        self.attempts_made += 1;
        let id = AttemptId(self.attempts_made);
        let settings = self.settings.clone();
        let waiting = self.first_of(line);
        waiting.attempts += 1;
        let attempt = waiting.attempt(id, &settings)?;
        let (url, total_timeout_ms) = (attempt.url.clone(), attempt.total_timeout_ms + waiting.elapsed_ms);
        let (line, lane) = (line.clone(), lane.clone());
        self.running.insert(id, Running { line, urgency, lane, url, total_timeout_ms });
        Ok(attempt)
    }

    /// Takes the result of an attempt.
    ///
    /// - `elapsed_ms`: how long it took, in real time.
    pub fn finished(&mut self, id: AttemptId, result: AttemptResult, elapsed_ms: u32, now: Timestamp) -> Vec<Effect> {
        let ended = self.running.remove(&id).expect("attempts finish once");
        self.places(ended.urgency).give_back(&ended.lane);
        let Running { line, lane: LaneId { receiver, .. }, url, total_timeout_ms, .. } = ended;
        let overrides = url.overrides();
        let waiting = self.first_of(&line);
        waiting.elapsed_ms = waiting.elapsed_ms.saturating_add(elapsed_ms);
        let retry_on = &overrides.retry_on;
        let repeats = match &result {
            AttemptResult::Answered { status, .. } if is_move(&waiting.delivery.content) && is_of_gateway(*status) => {
                false
            }
            AttemptResult::Answered { status: 400..=499, .. } => retry_on.client_error,
            AttemptResult::Answered { status: 500..=599, .. } => retry_on.server_error,
            AttemptResult::ConnectFailed { .. } => retry_on.connect_failure,
            AttemptResult::TimedOut => retry_on.read_timeout,
            AttemptResult::Answered { .. } | AttemptResult::Broken { .. } => false,
        };
        if repeats && waiting.retries < overrides.retries_max && waiting.elapsed_ms < total_timeout_ms {
            waiting.retries += 1;
            self.again(line);
            return Vec::new();
        }
        let conclusion = conclusion(&waiting.delivery.content, result);
        if waiting.stage == Stage::First
            && conclusion.is_for_fallback()
            && let Some(fallback_url) = fallback_url(&waiting.delivery.content)
        {
            let effects = conclusion.warning(&waiting.delivery, &receiver);
            waiting.receiver = receiver_of(fallback_url);
            waiting.stage = Stage::Fallback;
            waiting.retries = 0;
            waiting.elapsed_ms = 0;
            self.again(line);
            return effects;
        }
        self.conclude(line, &receiver, &conclusion, now)
    }

    /// The line goes on with the same delivery, before others of its lane.
    fn again(&mut self, line: LineId) {
        self.make_ready(line, End::First);
    }

    /// The first delivery of a line is over and the next one may go, unless it failed and pauses.
    fn conclude(&mut self, line: LineId, receiver: &Receiver, conclusion: &Conclusion, now: Timestamp) -> Vec<Effect> {
        let mut effects = conclusion.warning(&self.first_of(&line).delivery, receiver);
        if let Some(until) = self.pause(&line, conclusion, now) {
            self.paused.insert((until, line));
            return effects;
        }
        let waiting = self.lines.get_mut(&line).expect("a line that is concluded exists");
        let Waiting { delivery, stage, attempts, .. } = waiting.pop_front().expect("its first delivery is concluded");
        if waiting.is_empty() {
            self.lines.remove(&line);
        } else {
            self.make_ready(line, End::Last);
        }
        self.outstanding -= 1;
        effects.push(match (&delivery.content, conclusion) {
            (Content::Event(_), Conclusion::Failed { reason, status, .. }) => {
                let failure = Some(DeliveryFailure { attempts, reason: reason.as_str().into(), status: *status });
                let delivery = Arc::new(Delivery { failure, ..(*delivery).clone() });
                Effect::Outbox(OutboxChange::Dead { delivery, at: now })
            }
            (Content::Event(_), Conclusion::Delivered)
            | (Content::Report { .. }, Conclusion::Delivered | Conclusion::Failed { .. }) => {
                Effect::Outbox(OutboxChange::Done { sid: delivery.sid() })
            }
            (Content::Assignment { .. }, Conclusion::Answered(answer)) => {
                // An answer that is not called JSON is an answer, and the offer stays; not so after a fallback.
                let is_failure = stage == Stage::Fallback && matches!(answer, CallbackAnswer::NotJson { .. });
                let answered = AssignmentOutcome::Answered(answer.clone());
                assigned(delivery, if is_failure { AssignmentOutcome::Failed } else { answered })
            }
            (Content::Assignment { .. }, Conclusion::Failed { .. }) => assigned(delivery, AssignmentOutcome::Failed),
            (&Content::Voice { step, about, .. }, Conclusion::Voice { status, body }) => {
                let outcome = VoiceOutcome::Answered { status: *status, body: body.clone() };
                voice_answered(delivery, step, about, outcome)
            }
            (&Content::Voice { step, about, .. }, Conclusion::Failed { reason, was_asked, .. }) => {
                let reason = reason.clone();
                let outcome =
                    if *was_asked { VoiceOutcome::Unanswered { reason } } else { VoiceOutcome::Failed { reason } };
                voice_answered(delivery, step, about, outcome)
            }
            (Content::Event(_) | Content::Report { .. }, Conclusion::Answered(_) | Conclusion::Voice { .. })
            | (Content::Assignment { .. }, Conclusion::Delivered | Conclusion::Voice { .. })
            | (Content::Voice { .. }, Conclusion::Delivered | Conclusion::Answered(_)) => {
                unreachable!("what is concluded of an answer follows from what was asked")
            }
        });
        effects
    }

    /// Until when a failed delivery pauses, if it is guaranteed and its time is not over: full jitter below a bound
    /// that doubles. The jitter is drawn from the delivery, so that the same deliveries pause alike in a simulation.
    fn pause(&mut self, line: &LineId, conclusion: &Conclusion, now: Timestamp) -> Option<Timestamp> {
        let guaranteed = self.settings.guaranteed?;
        let waiting = self.first_of(line);
        let is_hopeless = !matches!(conclusion, Conclusion::Failed { .. })
            || !Rules::of(&waiting.delivery.content).is_guaranteed
            || waiting.delivery.at().plus(guaranteed) <= now;
        if is_hopeless {
            return None;
        }
        let bound =
            BACK_OFF_MS_FIRST.checked_shl(waiting.pauses.min(31)).unwrap_or(BACK_OFF_MS_MAX).min(BACK_OFF_MS_MAX);
        let drawn = jitter(waiting.delivery.sid(), waiting.pauses);
        waiting.pauses += 1;
        waiting.retries = 0;
        waiting.elapsed_ms = 0;
        let last = waiting.delivery.at().plus(guaranteed);
        Some(now.plus(DurationMs(1 + (drawn % bound) as i64)).min(last))
    }
}

fn assigned(delivery: Arc<Delivery>, outcome: AssignmentOutcome) -> Effect {
    let (workspace, reservation) = (delivery.workspace, Sid::from_bytes(delivery.sid()));
    Effect::Input { delivery, input: Input::Assigned { workspace, reservation, outcome } }
}

fn voice_answered(delivery: Arc<Delivery>, step: VoiceStep, about: About, outcome: VoiceOutcome) -> Effect {
    let request = VoiceRequest { workspace: delivery.workspace, account: delivery.account, step, about };
    Effect::Input { delivery, input: Input::VoiceAnswered { request, outcome } }
}

/// Where deliveries of one key go one after the other, and those that wait are read together: the address without
/// credentials, query and fragment.
pub fn destination_of(url: &str) -> Arc<str> {
    CallbackUrl::parse(url).map_or_else(|_| "no address".into(), |url| url.destination().into())
}

fn receiver_of(url: &str) -> Receiver {
    CallbackUrl::parse(url).map_or_else(|_| "no address".into(), |url| url.receiver().into())
}

/// A number that looks random and is the same for the same delivery and pause.
fn jitter(sid: [u8; 16], pauses: u32) -> u64 {
    let value = u128::from_be_bytes(sid) ^ u128::from(pauses).wrapping_mul(0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835);
    let mixed = value.wrapping_mul(0x2d35_8dcc_aa6c_78a5_8bb8_4b93_962e_acc9);
    (mixed >> 64) as u64
}

impl Waiting {
    /// The request to be made now.
    fn attempt(&self, id: AttemptId, settings: &DeliverySettings) -> Result<Attempt, String> {
        let url = CallbackUrl::parse(self.url()).map_err(|error| error.to_string())?;
        let overrides = url.overrides();
        let Delivery { workspace, account, ref content, .. } = *self.delivery;
        let rules = Rules::of(content);
        let texts = |form: &Form| form.iter().map(|(name, value)| (name.to_string(), value.to_string())).collect();
        let named = |form: Vec<(&'static str, String)>| {
            form.into_iter().map(|(name, value)| (name.to_string(), value)).collect()
        };
        let form: Option<Vec<(String, String)>> = match content {
            Content::Event(event) => Some(named(event_callback_form(event, account, workspace))),
            Content::Assignment { event, .. } => Some(named(assignment_callback_form(event, account, workspace))),
            Content::Voice { form, .. } => Some(texts(form)),
            Content::Report { form, .. } => form.as_ref().map(texts),
        };
        let pairs: Vec<(&str, &str)> =
            form.iter().flatten().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        let mut headers = vec![("Accept", "*/*".to_string()), ("User-Agent", settings.user_agent.clone())];
        if form.is_some() {
            headers.push(("Content-Type", "application/x-www-form-urlencoded; charset=UTF-8".to_string()));
        }
        headers.push(("I-Twilio-Idempotency-Token", self.idempotency_token(settings.epoch)));
        if rules.is_trusted {
            headers.extend(settings.voice_authorization.clone().map(|value| ("Authorization", value)));
        } else {
            headers.push((signature::HEADER, signature::sign(&self.auth_token, &url.signed_url(), &pairs)));
            headers.extend(url.basic_auth().map(|credentials| ("Authorization", credentials.authorization())));
        }
        let total_timeout_ms = u32::from(overrides.total_timeout_ms).min(rules.total_timeout_ms_max);
        let encoded = || form_urlencoded::Serializer::new(String::new()).extend_pairs(&pairs).finish();
        Ok(Attempt {
            id,
            delivery: Arc::clone(&self.delivery),
            is_trusted: rules.is_trusted,
            headers,
            form: form.is_some().then(encoded),
            connect_timeout_ms: u32::from(overrides.connect_timeout_ms),
            read_timeout_ms: u32::from(overrides.read_timeout_ms),
            total_timeout_ms: total_timeout_ms.saturating_sub(self.elapsed_ms).max(1),
            answer_bytes_max: rules.answer_bytes_max,
            is_made_once: is_move(&self.delivery.content),
            url: url.clone(),
        })
    }

    fn url(&self) -> &str {
        match self.stage {
            Stage::First => &self.delivery.url,
            Stage::Fallback => fallback_url(&self.delivery.content).expect("it has come to its fallback"),
        }
    }

    /// The same for all attempts of one webhook. The fallback is another webhook, and so is an assignment callback that
    /// is asked again after a restart (section 7.2).
    fn idempotency_token(&self, epoch: u64) -> String {
        let mut number = u128::from_be_bytes(self.delivery.sid());
        if Rules::of(&self.delivery.content).is_asked_anew {
            number ^= u128::from(epoch) << 1;
        }
        if self.stage == Stage::Fallback {
            number ^= 1;
        }
        // Version 4 and the variant of RFC 9562: consumers may keep it as a UUID.
        number = number & !(0xf << 76 | 0x3 << 62) | 0x4 << 76 | 0x2 << 62;
        let hex = format!("{number:032x}");
        format!("{}-{}-{}-{}-{}", &hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..])
    }
}

/// Whether a caller is moved: one who was must not be taken out of the conversation by a second request.
const fn is_move(content: &Content) -> bool {
    match content {
        Content::Voice { step, .. } => match step {
            VoiceStep::MoveCaller | VoiceStep::Redirect | VoiceStep::RedirectOnly => true,
            VoiceStep::CallWorker | VoiceStep::CallCustomer | VoiceStep::Supervise | VoiceStep::HangUp => false,
        },
        Content::Event(_) | Content::Assignment { .. } | Content::Report { .. } => false,
    }
}

/// How a callback went, retries aside.
#[derive(Clone, Debug, PartialEq)]
enum Conclusion {
    /// Of an event or a report, whose answer does not matter.
    Delivered,
    /// Of an assignment callback.
    Answered(CallbackAnswer),
    /// What the voice API answered, whatever it is.
    Voice { status: u16, body: Vec<u8> },
    Failed {
        code: u32,
        reason: String,
        /// Of the answer, if there was one.
        status: Option<u16>,
        /// It may have been received, though nobody has said so.
        was_asked: bool,
    },
}

fn conclusion(content: &Content, result: AttemptResult) -> Conclusion {
    match result {
        AttemptResult::Answered { status, content_type, body } => match (content, status) {
            (Content::Voice { .. }, _) => Conclusion::Voice { status, body },
            (Content::Event(_) | Content::Report { .. }, 200..=299) => Conclusion::Delivered,
            (Content::Assignment { .. }, 200..=299) => {
                Conclusion::Answered(parse_callback_answer(content_type.as_deref(), &body))
            }
            (Content::Event(_) | Content::Report { .. } | Content::Assignment { .. }, _) => {
                let reason = format!("answered with status {status}");
                Conclusion::Failed { code: RETRIEVAL_FAILURE, reason, status: Some(status), was_asked: true }
            }
        },
        AttemptResult::ConnectFailed { reason } => {
            Conclusion::Failed { code: CONNECTION_FAILURE, reason, status: None, was_asked: false }
        }
        AttemptResult::TimedOut => Conclusion::Failed {
            code: CONNECTION_FAILURE,
            reason: "no answer in time".to_string(),
            status: None,
            was_asked: true,
        },
        AttemptResult::Broken { reason } => {
            Conclusion::Failed { code: RETRIEVAL_FAILURE, reason, status: None, was_asked: true }
        }
    }
}

impl Conclusion {
    /// Whether the fallback is to be asked, if there is one.
    const fn is_for_fallback(&self) -> bool {
        match self {
            Self::Failed { .. } | Self::Answered(CallbackAnswer::NotJson { .. }) => true,
            Self::Answered(
                CallbackAnswer::NoInstruction
                | CallbackAnswer::Instruction(_)
                | CallbackAnswer::FaultyField { .. }
                | CallbackAnswer::Refused { .. },
            )
            | Self::Delivered
            | Self::Voice { .. } => false,
        }
    }

    fn warning(&self, delivery: &Arc<Delivery>, receiver: &Receiver) -> Vec<Effect> {
        let (code, reason) = match self {
            Self::Answered(CallbackAnswer::NotJson { content_type }) => {
                let given = content_type.as_deref().unwrap_or("no Content-Type");
                let given: String = given.chars().take(REASON_CHARS_MAX).collect();
                (NOT_CALLED_JSON, format!("answered with {given} instead of application/json"))
            }
            Self::Failed { code, reason, .. } => (*code, reason.clone()),
            // What is wrong with an instruction is told when it is carried out.
            Self::Delivered | Self::Answered(_) | Self::Voice { .. } => return Vec::new(),
        };
        vec![Effect::Warn { code, receiver: receiver.clone(), delivery: delivery.clone(), reason }]
    }
}
