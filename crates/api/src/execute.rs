//! Carrying a call out in the turn of its Workspace.

use pointsman_engine::{Command, State, Turn, Version};

use crate::errors::{self, ApiError, ErrorCode};
use crate::extension::ServerRequest;
use crate::history::HistoryRequest;
use crate::http::Answer;
use crate::instruction::VoiceInstruction;
use crate::rejections;
use crate::request::{Call, Request};
use crate::table::{Change, Context, Run};
use crate::target::Target;

/// What a call comes to.
#[derive(Debug)]
pub enum Outcome {
    Answer(Answer),
    /// The answer needs stored public events: read them, then make a [`HistoryAnswer`](crate::HistoryAnswer).
    History(Box<HistoryRequest>),
    /// The answer is made of what the server keeps beside the state.
    Server(Box<ServerRequest>),
    /// Answer, and then see to the instruction.
    Instruction {
        answer: Answer,
        instructed: Box<Instructed>,
    },
}

/// An assignment instruction that needs telephony. It is checked, and where `held` the reservation is on hold until
/// whoever bridges calls tells how the set-up ended.
#[derive(Clone, Debug, PartialEq)]
pub struct Instructed {
    pub reservation: pointsman_engine::Id<pointsman_engine::Reservation>,
    pub instruction: VoiceInstruction,
    pub held: bool,
    /// What was given and does not count; the log is to tell.
    pub ignored: Option<&'static ErrorCode>,
}

/// Carries out a call of [`CallScope::Workspace`](crate::CallScope) in the turn of that Workspace.
///
/// - Order of checks: the objects of the path (404), `If-Match` (412), parameters (400), then the engine's.
/// - A write is rendered before the turn settles: finish the turn afterwards (reference: rest-contract, section 4.8).
pub fn execute(call: &Call, turn: &mut Turn<'_>) -> Outcome {
    run(call, turn).unwrap_or_else(|error| Outcome::Answer(error.answer()))
}

fn run(call: &Call, turn: &mut Turn<'_>) -> Result<Outcome, ApiError> {
    let state = turn.state();
    if state.is_deleted() || call.workspace() != Some(state.workspace().sid) {
        return Err(call.not_found());
    }
    let target = (call.mount.find)(state, &call.segments).ok_or_else(|| call.not_found())?;
    if matches!(call.operation.run, Run::Update(_) | Run::Delete(_))
        && let Some(version) = target.version(state)
    {
        check_if_match(call, version)?;
    }
    call.check_parameters()?;
    let request = Request { call, engine: turn.engine(), state, target };
    match call.operation.run {
        Run::Account(_) => unreachable!("{} is no call of a Workspace", call.operation.id),
        Run::Fetch => Ok(Outcome::Answer(shown(call, state, target, 200))),
        Run::List(run) | Run::Read(run) | Run::Serve(run) | Run::Stream(run) => run(&request),
        Run::Create(run) => {
            let command = run(&request)?;
            let created = apply(call, turn, target, command)?.expect("creating gives an object");
            Ok(Outcome::Answer(shown(call, turn.state(), created, 201)))
        }
        Run::Update(run) => match run(&request)? {
            Change::None => Ok(Outcome::Answer(shown(call, state, target, 200))),
            Change::Command(command) => {
                apply(call, turn, target, command)?;
                Ok(Outcome::Answer(shown(call, turn.state(), target, 200)))
            }
            Change::Instruct(instructed) => {
                if let Some(command) = instructed.command() {
                    apply(call, turn, target, command)?;
                }
                Ok(Outcome::Instruction { answer: shown(call, turn.state(), target, 200), instructed })
            }
        },
        Run::Delete(run) => {
            let command = run(&request);
            apply(call, turn, target, command)?;
            Ok(Outcome::Answer(Answer::no_content()))
        }
    }
}

fn apply(call: &Call, turn: &mut Turn<'_>, target: Target, command: Command) -> Result<Option<Target>, ApiError> {
    turn.caused_by(call.peer.clone());
    match turn.apply(command) {
        Ok(reply) => Ok(Target::of(reply)),
        Err(rejection) => Err(rejections::error(&rejection, turn.state(), target)),
    }
}

/// The object as an answer, with its version where it has one.
fn shown(call: &Call, state: &State, target: Target, status: u16) -> Answer {
    let answer = Answer::json(status, target.render(&Context::of(state, &call.base_url)));
    match target.version(state) {
        Some(version) => answer.with("ETag", format!("\"{version}\"")),
        None => answer,
    }
}

/// Compares liberally, because clients differ: bare, quoted and weak forms, lists, `*` (section 2.2).
fn check_if_match(call: &Call, version: Version) -> Result<(), ApiError> {
    let Some(given) = call.if_match() else { return Ok(()) };
    let current = version.to_string();
    let mut members = given.split(',').map(|member| {
        let member = member.trim();
        member.strip_prefix("W/").unwrap_or(member).trim_matches('"')
    });
    if members.any(|member| member == current || member == "*") {
        return Ok(());
    }
    Err(ApiError::new(&errors::PRECONDITION_FAILED, &[("given", &given), ("version", &version)]))
}
