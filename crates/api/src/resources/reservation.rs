//! Offers of Tasks to Workers: one object under two addresses. Reference: rest-contract, section 6.10.
//!
//! - `/v1/Workspaces/{WorkspaceSid}/Tasks/{TaskSid}/Reservations`
//! - `/v1/Workspaces/{WorkspaceSid}/Workers/{WorkerSid}/Reservations`

use std::sync::Arc;

use pointsman_engine::{Activity, Command, Id, Reservation, ReservationStatus, Sid, State, Worker};

use super::{account_sid, workspace_sid};
use crate::errors::{self, ApiError};
use crate::execute::Outcome;
use crate::instruction::{self, InstructionField, VoiceVerb, Word};
use crate::listing;
use crate::page::{Edge, Page};
use crate::parameters::{Case, Param, Spec, choice, deferred_sid, filters, text};
use crate::request::{Request, segment};
use crate::table::{
    Change, Field, Link, Mount, NamedBy, Resource, Shape, fetch, field, link, links, list, update, url,
};
use crate::target::Target;
use crate::words;

const STATUS: Param<usize> = choice(
    "ReservationStatus",
    "`accepted`, `rejected`, `wrapping` or `completed`.",
    words::RESERVATION_STATUSES,
    Case::Exact,
)
.deferred();
const WORKER_ACTIVITY_SID: Param<Arc<str>> =
    deferred_sid("WorkerActivitySid", "Activity of the Worker when it rejects.", "WA");
const INSTRUCTION: Param<Arc<str>> =
    text("Instruction", "`accept`, `reject`, `call`, `dequeue`, `redirect`, `conference` or `supervise`.");
const STATUS_FILTER: Param<usize> =
    choice("ReservationStatus", "Only reservations in this status.", words::RESERVATION_STATUSES, Case::Exact);

const OWN: [Spec; 3] = [STATUS.spec, WORKER_ACTIVITY_SID.spec, INSTRUCTION.spec];
static TASK_SPECS: [Spec; 58] = specs(&[
    &instruction::DEQUEUE,
    &instruction::CALL,
    &instruction::REDIRECT,
    &instruction::CONFERENCE,
    &instruction::SUPERVISE,
]);
static WORKER_SPECS: [Spec; 56] =
    specs(&[&instruction::DEQUEUE, &instruction::CALL, &instruction::REDIRECT, &instruction::CONFERENCE]);

/// The parameters of an update: our own and the fields of the instructions.
const fn specs<const N: usize>(tables: &[&[InstructionField]]) -> [Spec; N] {
    let mut all = [OWN[0]; N];
    let mut count = 0;
    while count < OWN.len() {
        all[count] = OWN[count];
        count += 1;
    }
    let mut table = 0;
    while table < tables.len() {
        let mut row = 0;
        while row < tables[table].len() {
            all[count] = tables[table][row].spec;
            row += 1;
            count += 1;
        }
        table += 1;
    }
    assert!(count == N, "N is the number of all parameters");
    all
}

const LINKS: &[Link] = &[
    link("task", "/v1/Workspaces/{workspace_sid}/Tasks/{task_sid}"),
    link("worker", "/v1/Workspaces/{workspace_sid}/Workers/{worker_sid}"),
    link("workspace", "/v1/Workspaces/{workspace_sid}"),
];

const fn fields(address: &'static str) -> [Field<Reservation>; 11] {
    [
        account_sid(),
        field("date_created", Shape::Date, "When it was created.", |reservation, _| reservation.date_created.into()),
        field("date_updated", Shape::Date, "When it last changed.", |reservation, _| reservation.date_updated.into()),
        field("reservation_status", Shape::Words(words::RESERVATION_STATUSES), "Its status.", |reservation, _| {
            words::reservation_status(reservation.status).into()
        }),
        field("sid", Shape::Sid("WR"), "Identifier of the Reservation.", |reservation, _| reservation.sid.into()),
        field("task_sid", Shape::Sid("WT"), "The Task.", |reservation, context| {
            context.state().task(reservation.task).expect("a reservation has its Task").sid.into()
        }),
        field("worker_name", Shape::Text, "Present name of the Worker.", |reservation, context| {
            (&*worker(reservation, context.state()).friendly_name).into()
        }),
        field("worker_sid", Shape::Sid("WK"), "The Worker.", |reservation, context| {
            worker(reservation, context.state()).sid.into()
        }),
        workspace_sid(),
        url(address),
        links(LINKS),
    ]
}

static TASK_FIELDS: [Field<Reservation>; 11] =
    fields("/v1/Workspaces/{workspace_sid}/Tasks/{task_sid}/Reservations/{sid}");
static WORKER_FIELDS: [Field<Reservation>; 11] =
    fields("/v1/Workspaces/{workspace_sid}/Workers/{worker_sid}/Reservations/{sid}");

pub static TASK_RESERVATION: Resource<Reservation> = Resource {
    name: "Reservation",
    schema: "taskrouter.v1.workspace.task.task_reservation",
    doc: "An offer of a Task to a Worker, under the address of the Task.",
    fields: &TASK_FIELDS,
    version: Some(|reservation| reservation.version),
    named_by: NamedBy::Sid,
    mounts: &[
        Mount {
            path: "/v1/Workspaces/{WorkspaceSid}/Tasks/{TaskSid}/Reservations",
            list_key: "reservations",
            find: |state, segments| Some(Target::Task(state.find_task(segment(segments, 0)?)?.id)),
            operations: &[list(
                "ListTaskReservation",
                "Lists the reservations of a Task.",
                &[STATUS_FILTER.spec, filters::WORKER_SID.spec],
                list_of_task,
            )],
        },
        Mount {
            path: "/v1/Workspaces/{WorkspaceSid}/Tasks/{TaskSid}/Reservations/{Sid}",
            list_key: "",
            find: find_under_task,
            operations: &[
                fetch("FetchTaskReservation", "Returns one reservation of a Task."),
                update("UpdateTaskReservation", "Answers a reservation, or ends it.", &TASK_SPECS, update_reservation),
            ],
        },
    ],
};

pub static WORKER_RESERVATION: Resource<Reservation> = Resource {
    name: "Reservation",
    schema: "taskrouter.v1.workspace.worker.worker_reservation",
    doc: "An offer of a Task to a Worker, under the address of the Worker.",
    fields: &WORKER_FIELDS,
    version: Some(|reservation| reservation.version),
    named_by: NamedBy::Sid,
    mounts: &[
        Mount {
            path: "/v1/Workspaces/{WorkspaceSid}/Workers/{WorkerSid}/Reservations",
            list_key: "reservations",
            find: |state, segments| Some(Target::Worker(state.find_worker(segment(segments, 0)?)?.id)),
            operations: &[list(
                "ListWorkerReservation",
                "Lists the reservations of a Worker.",
                &[STATUS_FILTER.spec],
                list_of_worker,
            )],
        },
        Mount {
            path: "/v1/Workspaces/{WorkspaceSid}/Workers/{WorkerSid}/Reservations/{Sid}",
            list_key: "",
            find: find_under_worker,
            operations: &[
                fetch("FetchWorkerReservation", "Returns one reservation of a Worker."),
                update(
                    "UpdateWorkerReservation",
                    "Answers a reservation, or ends it.",
                    &WORKER_SPECS,
                    update_reservation,
                ),
            ],
        },
    ],
};

/// The Worker, which may be deleted by now.
fn worker<'a>(reservation: &Reservation, state: &'a State) -> &'a Worker {
    state.worker(reservation.worker).expect("a reservation keeps its Worker")
}

/// Asked for under the wrong Task it is not there.
fn find_under_task(state: &State, segments: &[String]) -> Option<Target> {
    let task = state.find_task(segment(segments, 0)?)?;
    let reservation = state.find_reservation(segment(segments, 1)?)?;
    (reservation.task == task.id).then_some(Target::TaskReservation(reservation.id))
}

fn find_under_worker(state: &State, segments: &[String]) -> Option<Target> {
    let worker = state.find_worker(segment(segments, 0)?)?;
    let reservation = state.find_reservation(segment(segments, 1)?)?;
    (reservation.worker == worker.id).then_some(Target::WorkerReservation(reservation.id))
}

fn list_of_task(request: &Request<'_>) -> Result<Outcome, ApiError> {
    let Target::Task(id) = request.target else { unreachable!("the mount finds Tasks") };
    let task = request.state.task(id).expect("found in this turn");
    let worker_sid = request.get(&filters::WORKER_SID);
    list_some(request, &TASK_RESERVATION, &mut task.reservations.iter().copied(), |reservation| {
        worker_sid.is_none_or(|sid| worker(reservation, request.state).sid == sid)
    })
}

fn list_of_worker(request: &Request<'_>) -> Result<Outcome, ApiError> {
    let Target::Worker(id) = request.target else { unreachable!("the mount finds Workers") };
    let worker = request.state.worker(id).expect("found in this turn");
    list_some(request, &WORKER_RESERVATION, &mut worker.reservations.iter().copied(), |_| true)
}

fn list_some(
    request: &Request<'_>,
    resource: &Resource<Reservation>,
    ids: &mut dyn Iterator<Item = Id<Reservation>>,
    keep: impl Fn(&Reservation) -> bool,
) -> Result<Outcome, ApiError> {
    let status = request.get(&STATUS_FILTER).map(|index| words::RESERVATION_STATUS_VALUES[index]);
    let page = Page::of::<Reservation>(request.call)?;
    let state = request.state;
    let edge = |reservation: &Reservation| Edge {
        sid: reservation.sid.bytes(),
        position: vec![reservation.id.number() as i64],
    };
    let found = ids
        .map(|id| state.reservation(id).expect("Tasks and Workers name reservations that exist"))
        .filter(|reservation| status.is_none_or(|status| status == reservation.status) && keep(reservation))
        .map(|reservation| (edge(reservation), reservation));
    let found: Vec<_> = found.collect();
    let anchor = |sid| state.find_reservation(Sid::from_bytes(sid)).map(|reservation| edge(reservation).position);
    let slice = listing::sorted(request, &page, found, 1, anchor)?;
    Ok(listing::answer::<Reservation, _>(request, resource, &page, &slice))
}

fn update_reservation(request: &Request<'_>) -> Result<Change, ApiError> {
    let (id, supervisable) = match request.target {
        Target::TaskReservation(id) => (id, true),
        Target::WorkerReservation(id) => (id, false),
        other => unreachable!("the mounts find reservations, not {other:?}"),
    };
    // With both, the instruction counts, and nobody looks at the status (section 6.10 [decide]).
    if let Some(named) = request.get(&INSTRUCTION) {
        let unknown = || ApiError::new(&errors::INSTRUCTION_UNKNOWN, &[("value", &named)]);
        return match instruction::word(&named).ok_or_else(unknown)? {
            Word::Accept => Ok(Command::AcceptReservation { id }.into()),
            Word::Reject => reject(request, id),
            Word::Voice(VoiceVerb::Supervise) if !supervisable => Err(unknown()),
            Word::Voice(verb) => instruct(request, id, verb),
        };
    }
    let Some(status) = request.call.get_deferred(&STATUS)? else { return Ok(Change::None) };
    match words::RESERVATION_STATUS_VALUES[status] {
        ReservationStatus::Accepted => Ok(Command::AcceptReservation { id }.into()),
        ReservationStatus::Rejected => reject(request, id),
        ReservationStatus::Wrapping => Ok(Command::WrapReservation { id }.into()),
        ReservationStatus::Completed => Ok(Command::CompleteReservation { id }.into()),
        ReservationStatus::Pending
        | ReservationStatus::Timeout
        | ReservationStatus::Canceled
        | ReservationStatus::Rescinded => Err(ApiError::new(
            &errors::INVALID_VALUE,
            &[("value", &words::RESERVATION_STATUSES[status]), ("name", &STATUS.spec.name)],
        )),
    }
}

fn reject(request: &Request<'_>, id: Id<Reservation>) -> Result<Change, ApiError> {
    let activity = match request.get(&WORKER_ACTIVITY_SID) {
        None => None,
        Some(text) => match Sid::<Activity>::parse(&text) {
            Some(sid) => Some(sid),
            None => return Err(ApiError::new(&errors::REJECT_ACTIVITY, &[("value", &text)])),
        },
    };
    Ok(Command::RejectReservation { id, activity }.into())
}

/// An instruction that needs telephony. The state of the reservation is looked at before its fields are read.
fn instruct(request: &Request<'_>, id: Id<Reservation>, verb: VoiceVerb) -> Result<Change, ApiError> {
    instruction::check_state(request.state, id, verb)?;
    let read = instruction::read_fields(verb, |field| request.call.texts(field.spec.name))?;
    Ok(Change::Instruct(Box::new(instruction::check_instruction(request.state, id, read)?)))
}
