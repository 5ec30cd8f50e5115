//! How differences are told.

use std::fmt::Write as _;

use pointsman_engine::{Command, EventKind, PublicEvent, Reply, State, Timestamp};

use crate::limits::REPORTED_EVENTS_MAX;
use crate::naive::Naive;

/// Payload that the reference leaves open is not compared.
pub(super) fn blurred(mut event: PublicEvent) -> PublicEvent {
    if event.kind != EventKind::ReservationAccepted
        && let Some(task) = &mut event.task
    {
        // Only the acceptance itself is counted by it.
        task.accepted_before = false;
    }
    event
}

pub(crate) fn step(start: Timestamp, at: Timestamp, command: Option<&Command>) -> String {
    let seconds = (at.0 - start.0) as f64 / 1000.0;
    match command {
        Some(command) => format!("{seconds:>10.3}s  {}", without_values(&format!("{command:?}"))),
        None => format!("{seconds:>10.3}s  (time passes)"),
    }
}

/// Attributes are told by their text alone.
fn without_values(text: &str) -> String {
    const VALUE: &str = ", value: Object(";
    let Some((before, after)) = text.split_once(VALUE) else { return text.to_string() };
    let mut depth = 1_usize;
    let end = after.find(|letter| {
        depth = match letter {
            '(' => depth + 1,
            ')' => depth - 1,
            _ => depth,
        };
        depth == 0
    });
    format!("{before}{}", without_values(&after[end.map_or(after.len(), |end| end + 1)..]))
}

/// What the answer to a command shows: the object between the command and the matching.
pub(super) fn answer_of_engine(state: &State, reply: Reply) -> String {
    match reply {
        Reply::Task(id) => state.task(id).map_or_else(String::new, |task| {
            let queue = task.task_queue.map(pointsman_engine::Id::number);
            format!("{:?} p{} v{} queue {queue:?}", task.status, task.priority.0, task.version)
        }),
        Reply::Worker(id) => state
            .worker(id)
            .map_or_else(String::new, |worker| format!("activity #{} v{}", worker.activity.number(), worker.version)),
        Reply::Reservation(id) => {
            state.reservation(id).map_or_else(String::new, |row| format!("{:?} v{}", row.status, row.version))
        }
        Reply::Transfer(id) => state.transfer(id).map_or_else(String::new, |row| format!("{:?}", row.status)),
        Reply::Workspace
        | Reply::Activity(_)
        | Reply::TaskChannel(_)
        | Reply::WorkerChannel(..)
        | Reply::TaskQueue(_)
        | Reply::Workflow(_)
        | Reply::Deleted => String::new(),
    }
}

pub(super) fn answer_of_naive(naive: &Naive, reply: Reply) -> String {
    match reply {
        Reply::Task(id) => naive.tasks.get(&id.number()).map_or_else(String::new, |task| {
            format!("{:?} p{} v{} queue {:?}", task.status, task.priority.0, task.version, task.queue)
        }),
        Reply::Worker(id) => naive
            .workers
            .get(&id.number())
            .map_or_else(String::new, |worker| format!("activity #{} v{}", worker.activity, worker.version)),
        Reply::Reservation(id) => naive
            .reservations
            .get(&id.number())
            .map_or_else(String::new, |row| format!("{:?} v{}", row.status, row.version)),
        Reply::Transfer(id) => {
            naive.transfers.get(&id.number()).map_or_else(String::new, |row| format!("{:?}", row.status))
        }
        Reply::Workspace
        | Reply::Activity(_)
        | Reply::TaskChannel(_)
        | Reply::WorkerChannel(..)
        | Reply::TaskQueue(_)
        | Reply::Workflow(_)
        | Reply::Deleted => String::new(),
    }
}

/// One event in one line.
pub(crate) fn brief(event: &PublicEvent) -> String {
    let mut text = format!("{:?}", event.kind);
    if let Some(task) = &event.task {
        let _ = write!(text, " {} {:?} p{} v{}", task.sid, task.status, task.priority.0, task.version);
    }
    if let Some(queue) = &event.task_queue {
        let _ = write!(text, " in {}", queue.sid);
    }
    if let Some(reservation) = &event.reservation {
        let _ = write!(text, " {} {:?}", reservation.sid, reservation.status);
    }
    if let Some(worker) = &event.worker {
        let _ = write!(text, " for {} {} v{}", worker.sid, worker.activity_name, worker.version);
    }
    if let Some(step) = &event.step {
        let _ = write!(text, " {:?} {:?}", step.position, step.cause);
    }
    if let Some(transfer) = &event.transfer {
        let _ = write!(text, " {} {:?} {:?}", transfer.sid, transfer.status, transfer.failed_reason);
    }
    if let Some(reason) = event.task.as_ref().and_then(|task| task.reason.as_ref()) {
        let _ = write!(text, " {reason:?}");
    }
    text
}

pub(super) fn events(fast: &[PublicEvent], simple: &[PublicEvent]) -> String {
    let mut text = String::new();
    let both = [("engine", fast), ("naive", simple)];
    for (name, events) in both {
        let _ = writeln!(text, "{name}:");
        for event in events.iter().take(REPORTED_EVENTS_MAX) {
            let _ = writeln!(text, "    {} {}", event.at.0, brief(event));
        }
    }
    if let Some((fast, simple)) = fast.iter().zip(simple).find(|(fast, simple)| fast != simple) {
        let _ = writeln!(text, "first difference:");
        text.push_str(&lines(&split(fast), &split(simple)));
    }
    text
}

fn split(event: &PublicEvent) -> Vec<String> {
    format!("{event:#?}").lines().map(str::to_string).collect()
}

/// Lines that one side has and the other has not.
pub(super) fn lines(fast: &[String], simple: &[String]) -> String {
    let mut text = String::new();
    for line in fast.iter().filter(|line| !simple.contains(line)) {
        let _ = writeln!(text, "  engine {line}");
    }
    for line in simple.iter().filter(|line| !fast.contains(line)) {
        let _ = writeln!(text, "  naive  {line}");
    }
    text
}
