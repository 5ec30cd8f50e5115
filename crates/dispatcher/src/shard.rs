//! The Workspaces of one engine thread.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use pointsman_api::instruction::{CallbackAnswer, Instruction, check_instruction, check_state};
use pointsman_api::{self as api, ApiError, Call, EventPlace, Outcome, Target, event_fields, rejections};
use pointsman_engine::{
    Account, Command, CreateWorkspace, Engine, Event, EventKind, Id, Limits, PublicEvent, Reservation, Sid, Snapshot,
    State, Timestamp, Turn, TurnRecord, Workspace,
};
use pointsman_record as record;
use pointsman_record::delivery::{Content, Delivery};

use crate::batch::{
    AssignmentOutcome, Batch, Input, OutboxChange, PendingRecord, Reply, Ticket, VoiceOutcome, VoiceRequest,
};
use crate::bridge::{self, Telephony, VoiceCallback};
use crate::limits::REASON_CHARS_MAX;
use crate::overrides::OverridesTold;

/// Runs the Workspaces that it was given. One thread owns it.
#[derive(Debug)]
pub struct Shard {
    limits: Limits,
    telephony: Telephony,
    workspaces: BTreeMap<Sid<Workspace>, Hosted>,
    /// The earliest timer of each Workspace that has one.
    deadlines: BTreeSet<(Timestamp, Sid<Workspace>)>,
    overrides_told: OverridesTold,
}

#[derive(Debug)]
struct Hosted {
    engine: Engine,
    /// Number of its last record.
    sequence: u64,
    /// As it stands in the shard's `deadlines`.
    deadline: Option<Timestamp>,
}

/// A Workspace could not be made again from what was stored.
#[derive(Clone, Debug, PartialEq)]
pub enum RestoreError {
    Record {
        sequence: u64,
        source: record::DecodeError,
    },
    Snapshot {
        source: record::DecodeError,
    },
    /// The first record is not that of a creation.
    NoBeginning,
}

impl std::fmt::Display for RestoreError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Record { sequence, .. } => write!(f, "failed to read record {sequence} of the workspace"),
            Self::Snapshot { .. } => write!(f, "failed to read the snapshot of the workspace"),
            Self::NoBeginning => write!(f, "the records of the workspace do not begin with its creation"),
        }
    }
}

impl std::error::Error for RestoreError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Record { source, .. } | Self::Snapshot { source } => Some(source),
            Self::NoBeginning => None,
        }
    }
}

impl Shard {
    pub fn new(limits: Limits, telephony: Telephony) -> Self {
        Self {
            limits,
            telephony,
            workspaces: BTreeMap::new(),
            deadlines: BTreeSet::new(),
            overrides_told: OverridesTold::default(),
        }
    }

    /// Runs one input at an instant and adds what came of it to the batch.
    ///
    /// - `now`: an instant before the last one counts as the last one.
    pub fn handle(&mut self, now: Timestamp, input: Input, batch: &mut Batch) {
        match input {
            Input::Call { ticket, account, call } => self.call(now, ticket, account, &call, batch),
            Input::CreateWorkspace { ticket, create, call } => self.create_workspace(now, ticket, create, &call, batch),
            Input::ListWorkspaces { ticket, account, call } => {
                let mine = self.workspaces.values().map(|hosted| hosted.engine.state());
                let mine = mine.filter(|state| state.workspace().account == account);
                let rows = mine.map(|state| api::workspace_row(&call, state)).collect();
                batch.replies.push((ticket, Reply::Workspaces(rows)));
            }
            Input::Assigned { workspace, reservation, outcome } => {
                self.assigned(now, workspace, reservation, &outcome, batch);
            }
            Input::VoiceAnswered { request, outcome } => self.voice_answered(now, &request, &outcome, batch),
            Input::Voice { ticket, callback } => self.voice(now, ticket, &callback, batch),
            Input::Tick => self.tick(now, batch),
            Input::Barrier { ticket } => {
                batch.replies.push((ticket, Reply::Barrier { next_deadline: self.next_deadline() }));
            }
        }
    }

    /// The earliest timer of all Workspaces.
    pub fn next_deadline(&self) -> Option<Timestamp> {
        self.deadlines.first().map(|(deadline, _)| *deadline)
    }

    fn add(&mut self, sid: Sid<Workspace>, engine: Engine, sequence: u64) {
        self.workspaces.insert(sid, Hosted { engine, sequence, deadline: None });
        self.note_deadline(sid);
    }

    /// Keeps `deadlines` up to date after a turn.
    fn note_deadline(&mut self, sid: Sid<Workspace>) {
        let hosted = self.workspaces.get_mut(&sid).expect("its turn has just run");
        let after = hosted.engine.next_deadline();
        let before = std::mem::replace(&mut hosted.deadline, after);
        if before != after {
            self.deadlines.extend(after.map(|deadline| (deadline, sid)));
            if let Some(before) = before {
                self.deadlines.remove(&(before, sid));
            }
        }
    }

    /// The newest instant that any of its Workspaces has seen.
    pub fn newest_instant(&self) -> Option<Timestamp> {
        self.workspaces.values().map(|hosted| hosted.engine.state().now()).max()
    }

    /// Whether the account has a single-tasking Workspace here.
    pub fn has_single_tasking(&self, account: Sid<Account>) -> bool {
        let mut states = self.workspaces.values().map(|hosted| hosted.engine.state());
        states.any(|state| state.workspace().account == account && !state.is_multitask())
    }

    pub fn workspaces(&self) -> impl Iterator<Item = &State> {
        self.workspaces.values().map(|hosted| hosted.engine.state())
    }

    /// Takes down every Workspace with the number of its last record.
    pub fn snapshots(&self) -> impl Iterator<Item = (Sid<Workspace>, u64, Snapshot)> + '_ {
        self.workspaces.iter().map(|(sid, hosted)| (*sid, hosted.sequence, hosted.engine.state().snapshot()))
    }

    /// Panics unless every Workspace is consistent. For tests and simulation.
    pub fn check_invariants(&self) {
        for hosted in self.workspaces.values() {
            hosted.engine.check_invariants();
        }
    }

    // Recovery

    /// Adds a Workspace from its newest snapshot, if there is one, and the records after it.
    ///
    /// - `snapshot`: the number of the last record that it holds, and its chunks.
    /// - Returns whether it still exists; a deleted one is not added.
    pub fn restore(
        &mut self,
        snapshot: Option<(u64, Vec<Vec<u8>>)>,
        records: impl Iterator<Item = (u64, Vec<u8>)>,
    ) -> Result<bool, RestoreError> {
        let restored = restore_state(snapshot, records)?;
        let Some((sequence, state)) = restored else { return Ok(false) };
        if state.is_deleted() {
            return Ok(false);
        }
        let sid = state.workspace().sid;
        self.add(sid, Engine::restore(state, self.limits), sequence);
        Ok(true)
    }

    /// Forgets every Workspace, to restore them from the store after a failed commit.
    pub fn clear(&mut self) {
        self.workspaces.clear();
        self.deadlines.clear();
    }

    // Calls

    fn call(&mut self, now: Timestamp, ticket: Ticket, account: Sid<Account>, call: &Call, batch: &mut Batch) {
        let mine = |hosted: &&mut Hosted| hosted.engine.state().workspace().account == account;
        let hosted = call.workspace().and_then(|sid| self.workspaces.get_mut(&sid)).filter(mine);
        let Some(hosted) = hosted else {
            batch.replies.push((ticket, Reply::Answer(ApiError::not_found(&call.path).answer())));
            return;
        };
        let mut turn = hosted.engine.begin(now);
        let mut sends = Vec::new();
        let outcome = api::execute(call, &mut turn);
        let reply = match outcome {
            Outcome::Answer(answer) => Reply::Answer(answer),
            Outcome::History(request) => {
                let cursor = request.query.cursor.map(|place| match place {
                    EventPlace::Number(number) => turn.state().public_event_sid(Id::new(number)),
                    EventPlace::Sid(sid) => sid,
                });
                Reply::History { request, cursor }
            }
            Outcome::Server(request) => Reply::Server(request),
            Outcome::Instruction { answer, instructed } => {
                sends = bridge::instruct(&mut turn, &self.telephony, &instructed);
                Reply::Answer(answer)
            }
        };
        let record = turn.finish();
        batch.replies.push((ticket, reply));
        self.keep(call.workspace().expect("it was found by it"), record, sends, batch);
    }

    fn create_workspace(
        &mut self,
        now: Timestamp,
        ticket: Ticket,
        create: CreateWorkspace,
        call: &Call,
        batch: &mut Batch,
    ) {
        let sid = create.sid;
        assert!(!self.workspaces.contains_key(&sid), "SIDs are drawn at random");
        let (engine, record) = Engine::create_workspace(now, self.limits, create);
        let answer = api::created_workspace(call, engine.state());
        self.add(sid, engine, 0);
        batch.replies.push((ticket, Reply::Answer(answer)));
        self.keep(sid, record, Vec::new(), batch);
    }

    fn tick(&mut self, now: Timestamp, batch: &mut Batch) {
        let due = self.deadlines.iter().take_while(|(deadline, _)| *deadline <= now);
        let due: Vec<_> = due.map(|(_, sid)| *sid).collect();
        for sid in due {
            let record = self.workspaces.get_mut(&sid).expect("just listed").engine.begin(now).finish();
            self.keep(sid, record, Vec::new(), batch);
        }
    }

    /// The application's answer to an offer, or that there was none.
    fn assigned(
        &mut self,
        now: Timestamp,
        workspace: Sid<Workspace>,
        reservation: Sid<Reservation>,
        outcome: &AssignmentOutcome,
        batch: &mut Batch,
    ) {
        batch.outbox.push(OutboxChange::Done { sid: reservation.bytes() });
        let Some(hosted) = self.workspaces.get_mut(&workspace) else { return };
        let mut turn = hosted.engine.begin(now);
        let id = turn.state().find_reservation(reservation).map(|reservation| reservation.id);
        let sends = id.map_or_else(Vec::new, |id| carry_out(&mut turn, &self.telephony, id, outcome));
        let record = turn.finish();
        self.keep(workspace, record, sends, batch);
    }

    /// The voice API's answer to a step of an instruction.
    fn voice_answered(&mut self, now: Timestamp, request: &VoiceRequest, outcome: &VoiceOutcome, batch: &mut Batch) {
        batch.outbox.push(OutboxChange::Done { sid: request.about.sid });
        let Some(hosted) = self.workspaces.get_mut(&request.workspace) else {
            if let Telephony::Bridged(voice_api) = &self.telephony {
                send(bridge::hang_up_late(voice_api, request, outcome, now), batch);
            }
            return;
        };
        let mut turn = hosted.engine.begin(now);
        let sends = bridge::answered(&mut turn, &self.telephony, request, outcome);
        let record = turn.finish();
        self.keep(request.workspace, record, sends, batch);
    }

    /// A request of the voice provider. Where it does not name the Workspace, the one that has what it is about.
    fn voice(&mut self, now: Timestamp, ticket: Ticket, callback: &VoiceCallback, batch: &mut Batch) {
        let hosted = match callback.workspace() {
            Some(named) => self.workspaces.get_mut(&named),
            None => self.workspaces.values_mut().find(|hosted| callback.kind.is_in(hosted.engine.state())),
        };
        let (Some(hosted), Telephony::Bridged(voice_api)) = (hosted, &self.telephony) else {
            batch.replies.push((ticket, Reply::Voice(None)));
            return;
        };
        let mut turn = hosted.engine.begin(now);
        let workspace = turn.state().workspace().sid;
        let (answer, sends) = bridge::called(&mut turn, voice_api, callback).unzip();
        let record = turn.finish();
        batch.replies.push((ticket, Reply::Voice(answer)));
        self.keep(workspace, record, sends.unwrap_or_default(), batch);
    }

    // What a turn leaves

    /// Numbers the record and works out whom its events are to be told.
    ///
    /// - `sends`: what the turn itself wants sent.
    fn keep(&mut self, sid: Sid<Workspace>, turn: TurnRecord, sends: Vec<Arc<Delivery>>, batch: &mut Batch) {
        batch.alerts.extend(turn.alerts.iter().map(|alert| (sid, *alert)));
        self.note_deadline(sid);
        if turn.is_empty() && sends.is_empty() {
            return;
        }
        let hosted = self.workspaces.get_mut(&sid).expect("its turn has just run");
        let state = hosted.engine.state();
        let mut sends = sends;
        sends.extend(deliveries(state, &turn.published));
        let decided = turn.published.iter().filter_map(decided_offer);
        batch.outbox.extend(decided.map(|reservation| OutboxChange::Done { sid: reservation.bytes() }));
        if let Telephony::Bridged(voice_api) = &self.telephony {
            sends.extend(turn.abandoned_calls.iter().map(|call| bridge::hang_up(state, voice_api, call)));
        }
        for delivery in &sends {
            self.overrides_told.tell(delivery);
        }
        send(sends, batch);
        if turn.is_empty() {
            return;
        }
        hosted.sequence += 1;
        batch.records.push(PendingRecord {
            stream: sid.bytes(),
            sequence: hosted.sequence,
            at: state.now(),
            payload: record::turn::encode(&turn),
            published: turn.published.into(),
        });
        if state.is_deleted() {
            self.workspaces.remove(&sid);
            batch.deleted.push(sid);
        }
    }
}

/// Adds what is to be kept until it is sent.
fn send(deliveries: impl IntoIterator<Item = Arc<Delivery>>, batch: &mut Batch) {
    batch.outbox.extend(deliveries.into_iter().map(OutboxChange::Put));
}

/// Folds a snapshot and the records after it. `None` when there is neither.
///
/// - Returns the number of the last record with the state.
pub fn restore_state(
    snapshot: Option<(u64, Vec<Vec<u8>>)>,
    records: impl Iterator<Item = (u64, Vec<u8>)>,
) -> Result<Option<(u64, State)>, RestoreError> {
    let mut restored = match snapshot {
        Some((sequence, chunks)) => {
            let snapshot = record::snapshot::decode(chunks).map_err(|source| RestoreError::Snapshot { source })?;
            Some((sequence, State::from_snapshot(snapshot)))
        }
        None => None,
    };
    for (sequence, payload) in records {
        let turn = record::turn::decode(&payload).map_err(|source| RestoreError::Record { sequence, source })?;
        let mut events = turn.events.iter();
        let (before, mut state) = if let Some(restored) = restored.take() {
            restored
        } else {
            let (Some(Event::TimeAdvanced { at }), Some(first)) = (events.next(), events.next()) else {
                return Err(RestoreError::NoBeginning);
            };
            (0, State::create(*at, first).ok_or(RestoreError::NoBeginning)?)
        };
        assert!(before < sequence, "records come in order");
        for event in events {
            state.evolve(event);
        }
        state.count_published(turn.published.len() as u64);
        restored = Some((sequence, state));
    }
    Ok(restored)
}

/// Does what the application's answer says.
fn carry_out(
    turn: &mut Turn<'_>,
    telephony: &Telephony,
    id: Id<Reservation>,
    outcome: &AssignmentOutcome,
) -> Vec<Arc<Delivery>> {
    let AssignmentOutcome::Answered(answer) = outcome else {
        run(turn, Command::FailCallback { reservation: id });
        return Vec::new();
    };
    run(turn, Command::AnswerCallback { reservation: id });
    let reservation_sid = turn.state().reservation(id).expect("found before").sid;
    let refused = match answer {
        CallbackAnswer::NoInstruction | CallbackAnswer::NotJson { .. } => return Vec::new(),
        CallbackAnswer::Instruction(instruction) => match follow(turn, telephony, id, instruction) {
            Ok(sends) => return sends,
            Err(error) => (error.code(), error.message),
        },
        CallbackAnswer::FaultyField { verb, error } => {
            let error = check_state(turn.state(), id, *verb).err().unwrap_or_else(|| error.clone());
            (error.code(), error.message)
        }
        CallbackAnswer::Refused { code, message } => (*code, message.clone()),
    };
    let (code, reason) = refused;
    // It may quote what the application wrote.
    let reason: String = reason.chars().take(REASON_CHARS_MAX).collect();
    tracing::warn!(code, %reservation_sid, reason, "assignment instruction not carried out");
    Vec::new()
}

/// Follows an instruction, as a Reservation update with the same would.
fn follow(
    turn: &mut Turn<'_>,
    telephony: &Telephony,
    id: Id<Reservation>,
    instruction: &Instruction,
) -> Result<Vec<Arc<Delivery>>, ApiError> {
    let command = match instruction {
        Instruction::Accept => Command::AcceptReservation { id },
        Instruction::Reject { activity } => Command::RejectReservation { id, activity: *activity },
        Instruction::Voice(voice) => {
            let instructed = check_instruction(turn.state(), id, voice.clone())?;
            if let Some(command) = instructed.command() {
                apply(turn, id, command)?;
            }
            return Ok(bridge::instruct(turn, telephony, &instructed));
        }
    };
    apply(turn, id, command)?;
    Ok(Vec::new())
}

fn apply(turn: &mut Turn<'_>, id: Id<Reservation>, command: Command) -> Result<(), ApiError> {
    match turn.apply(command) {
        Ok(_) => Ok(()),
        Err(rejection) => Err(rejections::error(&rejection, turn.state(), Target::TaskReservation(id))),
    }
}

fn run(turn: &mut Turn<'_>, command: Command) {
    let outcome = turn.apply(command);
    assert!(outcome.is_ok(), "callbacks are never refused");
}

/// The reservation of an event that ends an offer: nobody is asked about it again after a restart (reference:
/// events-and-callbacks, section 7.2). Whether somebody was asked the Workflow no longer tells: it may have lost its
/// URL since, or be gone.
fn decided_offer(event: &PublicEvent) -> Option<Sid<Reservation>> {
    let is_end = matches!(
        event.kind,
        EventKind::ReservationAccepted
            | EventKind::ReservationRejected
            | EventKind::ReservationTimeout
            | EventKind::ReservationCanceled
            | EventKind::ReservationRescinded
    );
    event.reservation.as_ref().filter(|_| is_end).map(|reservation| reservation.sid)
}

/// The callbacks that a turn's events ask for (reference: events-and-callbacks, sections 6 and 7.1).
fn deliveries(state: &State, published: &[PublicEvent]) -> Vec<Arc<Delivery>> {
    let Workspace { sid, account, ref settings, .. } = *state.workspace();
    let filter = settings.events_filter.as_deref();
    let delivery = |content, url: &Arc<str>| {
        Arc::new(Delivery { workspace: sid, account, url: url.clone(), content, failure: None })
    };
    let mut deliveries = Vec::new();
    for event in published {
        let told = event_fields::passes_filter(filter, event.kind);
        if let Some(url) = settings.event_callback_url.as_ref().filter(|_| told) {
            deliveries.push(delivery(Content::Event(Arc::new(event.clone())), url));
        }
        let workflow = event.workflow.as_ref().filter(|_| event.kind == EventKind::ReservationCreated);
        let workflow = workflow.and_then(|workflow| state.find_workflow(workflow.sid));
        if let Some(definition) = workflow.map(|workflow| &workflow.definition)
            && let Some(url) = &definition.assignment_callback_url
        {
            let fallback_url = definition.fallback_assignment_callback_url.clone();
            deliveries.push(delivery(Content::Assignment { event: Arc::new(event.clone()), fallback_url }, url));
        }
    }
    deliveries
}
