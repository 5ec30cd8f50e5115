//! What the engine refuses, as clients read it. Reference: rest-contract, sections 8 and 9.

use std::fmt::Display;

use pointsman_engine::configuration::{ConfigurationError, Problem};
use pointsman_engine::limits::CONFIGURATION_BYTES_MAX;
use pointsman_engine::{
    ActivityRole, InUse, Instruction, ObjectKind, Reference, Rejection, ReservationStatus, State, TransferRefusal,
};
use pointsman_expression::JsonError;
use pointsman_expression::limits::JSON_DEPTH_MAX;

use crate::errors::{self, ApiError, ErrorCode};
use crate::parameters::expression_problem;
use crate::target::Target;
use crate::words;

/// The error of a rejection.
///
/// - `state`: in which it was refused; `target`: the object of the request's path.
pub fn error(rejection: &Rejection, state: &State, target: Target) -> ApiError {
    let (workspace, account) = (state.workspace().sid, state.workspace().account);
    let sid = SidOf { state, target };
    let refuse = |error: &'static ErrorCode, values: &[(&str, &dyn Display)]| {
        let mut all: Vec<(&str, &dyn Display)> = vec![("workspace", &workspace), ("account", &account)];
        all.extend_from_slice(values);
        ApiError::new(error, &all)
    };
    match rejection {
        Rejection::Unknown(reference) => match reference {
            Reference::Activity { role: ActivityRole::Rejection, sid } => {
                refuse(&errors::REJECT_ACTIVITY, &[("value", sid)])
            }
            Reference::Activity { role, sid } => {
                refuse(&errors::DOES_NOT_EXIST, &[("name", &activity_parameter(*role)), ("sid", sid)])
            }
            Reference::Workflow(sid) => refuse(&errors::DOES_NOT_EXIST, &[("name", &"WorkflowSid"), ("sid", sid)]),
            Reference::TaskQueue(sid) => refuse(&errors::DOES_NOT_EXIST, &[("name", &"TaskQueueSid"), ("sid", sid)]),
            Reference::RoutingTarget(sid) => {
                refuse(&errors::DOES_NOT_EXIST, &[("name", &"RoutingTarget"), ("sid", sid)])
            }
            Reference::TaskChannel(value) => refuse(&errors::TASK_CHANNEL_UNKNOWN, &[("value", value)]),
        },
        Rejection::NameTaken { kind: ObjectKind::TaskChannel, name } => {
            refuse(&errors::UNIQUE_NAME_TAKEN, &[("name", name)])
        }
        Rejection::NameTaken { kind, name } => {
            // The hosted service calls a TaskQueue "Queue" here and nowhere else (section 8.4 [seen]).
            let kind = match kind {
                ObjectKind::TaskQueue => "Queue",
                ObjectKind::Activity => "Activity",
                ObjectKind::Worker => "Worker",
                ObjectKind::Workflow => "Workflow",
                ObjectKind::TaskChannel => "Task channel",
                ObjectKind::Task => "Task",
            };
            refuse(&errors::NAME_TAKEN, &[("kind", &kind), ("name", name)])
        }
        Rejection::LimitReached { kind, limit } => {
            let (kind, kinds) = kind_names(*kind);
            refuse(&errors::LIMIT_REACHED, &[("kind", &kind), ("kinds", &kinds), ("limit", limit)])
        }
        Rejection::InUse(in_use) => {
            let (kind, sid, reason) = in_use_text(in_use, state);
            refuse(&errors::IN_USE, &[("kind", &kind), ("sid", &sid), ("reason", &reason)])
        }
        Rejection::CannotBecomeSingleTasking => refuse(&errors::SINGLE_TASKING_REFUSED, &[]),
        Rejection::ActivityRequired { parameter } => {
            let usual = if *parameter == ActivityRole::Reservation { "Reserved" } else { "Busy" };
            let name = activity_parameter(*parameter);
            refuse(&errors::ACTIVITY_REQUIRED, &[("name", &name), ("usual", &usual)])
        }
        Rejection::RejectPendingWhileAvailable => refuse(&errors::REJECT_WHILE_AVAILABLE, &[]),
        Rejection::ConfigurationInvalid(problem) => configuration_error(problem),
        Rejection::WorkflowRequired => refuse(&errors::WORKFLOW_REQUIRED, &[]),
        Rejection::RoutingTargetConflict => refuse(&errors::ROUTING_TARGET_CONFLICT, &[]),
        Rejection::IgnoreCapacityWithoutWorker => refuse(&errors::IGNORE_CAPACITY, &[]),
        Rejection::VirtualStartTimeInFuture => refuse(&errors::IN_THE_FUTURE, &[]),
        Rejection::TaskNotCancelable => refuse(&errors::TASK_NOT_CANCELABLE, &[("task", &sid)]),
        Rejection::TaskNotCompletable => refuse(&errors::TASK_NOT_COMPLETABLE, &[("task", &sid)]),
        Rejection::TaskNotWrappable => refuse(&errors::TASK_NOT_WRAPPABLE, &[("task", &sid)]),
        Rejection::SingleTasking => refuse(&errors::TASK_NOT_WRAPPABLE_SINGLE, &[("task", &sid)]),
        Rejection::TaskChannelOfFinishedTask { status } => {
            refuse(&errors::TASK_CHANNEL_OF_FINISHED, &[("task", &sid), ("status", status)])
        }
        Rejection::ReservationInStatus { status, requested } => {
            let answered = matches!(requested, ReservationStatus::Accepted | ReservationStatus::Rejected);
            let error = if answered && *status == ReservationStatus::Rescinded {
                &errors::RESERVATION_RESCINDED
            } else {
                &errors::RESERVATION_STATUS
            };
            let (status, requested) = (words::reservation_status(*status), words::reservation_status(*requested));
            refuse(error, &[("reservation", &sid), ("status", &status), ("requested", &requested)])
        }
        Rejection::ReservationOnHold => refuse(&errors::RESERVATION_ON_HOLD, &[("reservation", &sid)]),
        Rejection::InstructionNotPending { instruction } => {
            let (error, instruction) = match instruction {
                Instruction::Call => (&errors::CALL_NOT_PENDING, "Call"),
                Instruction::Dequeue => (&errors::DEQUEUE_NOT_PENDING, "Dequeue"),
                Instruction::Redirect => (&errors::REDIRECT_NOT_PENDING, "Redirect"),
                Instruction::Conference => (&errors::CONFERENCE_NOT_PENDING, "Conference"),
            };
            refuse(error, &[("instruction", &instruction), ("reservation", &sid)])
        }
        Rejection::InstructionDuringTransfer => refuse(&errors::INSTRUCTION_UNDER_TRANSFER, &[]),
        Rejection::TransferRefused { reason } => transfer_error(reason, &sid, &"its target"),
        Rejection::TransferNotInitiated { transfer, status } => {
            let status = words::transfer_status(*status);
            refuse(&errors::TRANSFER_NOT_INITIATED, &[("transfer", transfer), ("status", &status)])
        }
    }
}

/// The refusal of a transfer, for whoever knows its Task and target.
pub fn transfer_error(reason: &TransferRefusal, task: &dyn Display, target: &dyn Display) -> ApiError {
    let reason = match reason {
        TransferRefusal::TaskNotAssigned { task: _ } => "the task is not assigned",
        TransferRefusal::ReservationNotAccepted => "the reservation is not accepted",
        TransferRefusal::TransferUnderWay => "another transfer of it is under way",
        TransferRefusal::TargetUnknown => "the target does not exist",
        TransferRefusal::TargetIsInitiator => "the target is the worker who transfers",
        TransferRefusal::TargetHoldsTask => "the target holds the task already",
        TransferRefusal::TargetUnavailable => "the target is not available",
        TransferRefusal::TargetWithoutCapacity => "the target has no free capacity",
    };
    ApiError::new(&errors::TRANSFER_REFUSED, &[("task", task), ("target", target), ("reason", &reason)])
}

/// Prints the SID of the object that the request is about.
struct SidOf<'a> {
    state: &'a State,
    target: Target,
}

impl Display for SidOf<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let state = self.state;
        match self.target {
            Target::Workspace => state.workspace().sid.fmt(f),
            Target::Activity(id) => print(state.activity(id).map(|found| found.sid), f),
            Target::TaskChannel(id) => print(state.task_channel(id).map(|found| found.sid), f),
            Target::TaskQueue(id) => print(state.task_queue(id).map(|found| found.sid), f),
            Target::Workflow(id) => print(state.workflow(id).map(|found| found.sid), f),
            Target::Worker(id) | Target::WorkerChannel(id, _) => print(state.worker(id).map(|found| found.sid), f),
            Target::Task(id) => print(state.task(id).map(|found| found.sid), f),
            Target::TaskReservation(id) | Target::WorkerReservation(id) => {
                print(state.reservation(id).map(|found| found.sid), f)
            }
        }
    }
}

fn print(sid: Option<impl Display>, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
    sid.expect("a rejection leaves its object in place").fmt(f)
}

fn activity_parameter(role: ActivityRole) -> &'static str {
    match role {
        ActivityRole::Worker => "ActivitySid",
        ActivityRole::Default => "DefaultActivitySid",
        ActivityRole::Timeout => "TimeoutActivitySid",
        ActivityRole::Reservation => "ReservationActivitySid",
        ActivityRole::Assignment => "AssignmentActivitySid",
        ActivityRole::Rejection => "WorkerActivitySid",
    }
}

/// Singular and plural.
fn kind_names(kind: ObjectKind) -> (&'static str, &'static str) {
    match kind {
        ObjectKind::Activity => ("activity", "activities"),
        ObjectKind::Worker => ("worker", "workers"),
        ObjectKind::TaskQueue => ("task queue", "task queues"),
        ObjectKind::Workflow => ("workflow", "workflows"),
        ObjectKind::TaskChannel => ("task channel", "task channels"),
        ObjectKind::Task => ("task", "tasks"),
    }
}

/// Kind, SID and reason of a refused deletion (section 8.3).
fn in_use_text(in_use: &InUse, state: &State) -> (&'static str, String, String) {
    let workspace = state.workspace().sid;
    let exists = "a refused deletion leaves everything in place";
    let activity = |id| state.activity(id).expect(exists);
    let plural = |count: u32, noun: &str| if count == 1 { format!("1 {noun}") } else { format!("{count} {noun}s") };
    let are = |count: u32| if count == 1 { "is" } else { "are" };
    match *in_use {
        InUse::ActivityIsDefault { activity: id } => {
            let reason = format!("it is the default activity of workspace {workspace}");
            ("activity", activity(id).sid.to_string(), reason)
        }
        InUse::ActivityIsTimeout { activity: id } => {
            let reason = format!("it is the timeout activity of workspace {workspace}");
            ("activity", activity(id).sid.to_string(), reason)
        }
        InUse::ActivityHasWorkers { activity: id, workers } => {
            let reason = format!("{} {} in it", plural(workers, "worker"), are(workers));
            ("activity", activity(id).sid.to_string(), reason)
        }
        InUse::ActivityOfTaskQueue { activity: id, task_queue } => {
            let task_queue = state.task_queue(task_queue).expect(exists).sid;
            ("activity", activity(id).sid.to_string(), format!("task queue {task_queue} refers to it"))
        }
        InUse::WorkerAvailable { worker } => {
            let worker = state.worker(worker).expect(exists);
            let reason = format!("its activity {} is available", activity(worker.activity).friendly_name);
            ("worker", worker.sid.to_string(), reason)
        }
        InUse::WorkerHasReservations { worker, reservations } => {
            let reason = format!("it has {}", plural(reservations, "active reservation"));
            ("worker", state.worker(worker).expect(exists).sid.to_string(), reason)
        }
        InUse::TaskChannelBuiltIn { task_channel } => {
            let sid = state.task_channel(task_channel).expect(exists).sid;
            ("task channel", sid.to_string(), "it is built in".to_string())
        }
        InUse::TaskChannelHasTasks { task_channel, tasks } => {
            let sid = state.task_channel(task_channel).expect(exists).sid;
            let verb = if tasks == 1 { "uses" } else { "use" };
            ("task channel", sid.to_string(), format!("{} {verb} it", plural(tasks, "task")))
        }
        InUse::TaskQueueOfWorkflow { task_queue, workflow } => {
            let workflow = state.workflow(workflow).expect(exists).sid;
            let sid = state.task_queue(task_queue).expect(exists).sid;
            ("task queue", sid.to_string(), format!("workflow {workflow} refers to it"))
        }
        InUse::TaskQueueHasTasks { task_queue, tasks } => {
            let sid = state.task_queue(task_queue).expect(exists).sid;
            let reason = format!("{} {} in it or can still reach it", plural(tasks, "task"), are(tasks));
            ("task queue", sid.to_string(), reason)
        }
        InUse::WorkflowHasTasks { workflow, tasks } => {
            let sid = state.workflow(workflow).expect(exists).sid;
            ("workflow", sid.to_string(), format!("{} {} pending or reserved", plural(tasks, "task"), are(tasks)))
        }
    }
}

/// The error of a Workflow configuration: the path of the offending member first, then what is wrong and where.
pub fn configuration_error(error: &ConfigurationError) -> ApiError {
    let path = match error.path.as_str() {
        "" => String::new(),
        path => format!("{path} "),
    };
    let problem = match &error.problem {
        Problem::TooLarge => {
            return ApiError::new(&errors::CONFIGURATION_LENGTH, &[("max", &CONFIGURATION_BYTES_MAX)]);
        }
        Problem::NotJson(JsonError::TooDeep) => {
            return ApiError::new(&errors::CONFIGURATION_DEPTH, &[("max", &JSON_DEPTH_MAX)]);
        }
        Problem::NotJson(JsonError::Syntax { message, line, column, offset: _ }) => {
            format!("not JSON: {message} at line {line} column {column}")
        }
        Problem::Expected(what) if path.is_empty() => format!("it must be {what}"),
        Problem::Expected(what) => format!("{path}must be {what}"),
        Problem::NoRules => "neither filters nor default_filter".to_string(),
        Problem::Missing => format!("{path}is missing"),
        Problem::UnknownTaskQueue(sid) => format!("{path}{sid} does not exist"),
        Problem::NotAnInteger { from, to } => format!("{path}must be an integer between {from} and {to}"),
        Problem::Expression(problem) | Problem::OrderBy(problem) | Problem::KnownWorker(problem) => {
            format!("{path}{}", expression_problem(problem))
        }
        Problem::TwoKnownWorkers => {
            format!("{path}has both known_worker_sid and known_worker_friendly_name")
        }
    };
    ApiError::new(&errors::CONFIGURATION, &[("problem", &problem)])
}
