//! What the voice provider, or TwiML of the application, asks of the bridge: its addresses, and what comes with them.
//! Reference: events-and-callbacks, sections 11.1 and 11.4.

use std::sync::Arc;

use pointsman_engine::{Reservation, Sid, State, Task, Workflow, Workspace};

use super::api_answer::is_call_sid;

/// A request to the bridge, its signature checked.
#[derive(Clone, Debug)]
pub struct VoiceCallback {
    pub kind: VoiceCallbackKind,
    /// The path as sent, for errors.
    pub path: Arc<str>,
    pub query: Vec<(String, String)>,
    pub form: Vec<(String, String)>,
}

/// What is asked, and about what.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum VoiceCallbackKind {
    /// A call comes in: it becomes a Task and waits.
    Enqueue(Sid<Workflow>),
    /// The waiting is over, or given up.
    EnqueueResult(Sid<Task>),
    Reservation(Sid<Reservation>, ReservationCallback),
}

/// What is asked, or told, about a reservation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReservationCallback {
    /// The Worker answered: what is the leg to do?
    WorkerLeg,
    /// Progress of the Worker's call.
    Status,
    /// Something happened in the Task's conference.
    Conference,
    /// Progress of the call to the customer of an outbound Task.
    CustomerStatus,
    /// A Worker who called in takes the caller.
    DialReservation,
    /// Their conversation is over.
    DialResult,
}

const ENQUEUE: &str = "enqueue";
const ENQUEUE_RESULT: &str = "enqueue-result";

impl VoiceCallbackKind {
    /// What every address of the bridge begins with; a word and a SID follow.
    pub const PREFIX: &str = "/pointsman/v1/voice/";

    /// Reads a path that [`VoiceCallbackKind::path`] wrote; a single `/` at its end is tolerated.
    pub fn of(path: &str) -> Option<Self> {
        let rest = path.strip_prefix(Self::PREFIX)?;
        let (word, sid) = rest.strip_suffix('/').unwrap_or(rest).split_once('/')?;
        match word {
            ENQUEUE => Sid::parse(sid).map(Self::Enqueue),
            ENQUEUE_RESULT => Sid::parse(sid).map(Self::EnqueueResult),
            _ => {
                let about = ReservationCallback::ALL.into_iter().find(|about| about.word() == word)?;
                Sid::parse(sid).map(|sid| Self::Reservation(sid, about))
            }
        }
    }

    pub(super) fn path(self) -> String {
        let prefix = Self::PREFIX;
        match self {
            Self::Enqueue(sid) => format!("{prefix}{ENQUEUE}/{sid}"),
            Self::EnqueueResult(sid) => format!("{prefix}{ENQUEUE_RESULT}/{sid}"),
            Self::Reservation(sid, about) => format!("{prefix}{}/{sid}", about.word()),
        }
    }

    /// Whether the Workspace has what it is about.
    pub(crate) fn is_in(self, state: &State) -> bool {
        match self {
            Self::Enqueue(sid) => state.find_workflow(sid).is_some(),
            Self::EnqueueResult(sid) => state.find_task(sid).is_some(),
            Self::Reservation(sid, _) => state.find_reservation(sid).is_some(),
        }
    }
}

impl ReservationCallback {
    const ALL: [Self; 6] = [
        Self::WorkerLeg,
        Self::Status,
        Self::Conference,
        Self::CustomerStatus,
        Self::DialReservation,
        Self::DialResult,
    ];

    const fn word(self) -> &'static str {
        match self {
            Self::WorkerLeg => "worker-leg",
            Self::Status => "status",
            Self::Conference => "conference",
            Self::CustomerStatus => "customer-status",
            Self::DialReservation => "dial-reservation",
            Self::DialResult => "dial-result",
        }
    }
}

impl VoiceCallback {
    /// The Workspace, where the address names it.
    pub fn workspace(&self) -> Option<Sid<Workspace>> {
        self.query_value("workspace").and_then(Sid::parse)
    }

    /// The call that it is about.
    pub(super) fn call(&self) -> Option<&str> {
        self.value("CallSid").filter(|call| is_call_sid(call))
    }

    pub(super) fn query_value(&self, name: &str) -> Option<&str> {
        value(&self.query, name)
    }

    /// What the provider tells: in the form, or with GET in the query.
    pub(super) fn value(&self, name: &str) -> Option<&str> {
        value(&self.form, name).or_else(|| self.query_value(name))
    }
}

fn value<'a>(fields: &'a [(String, String)], name: &str) -> Option<&'a str> {
    fields.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str()).filter(|value| !value.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_address_is_read_as_what_it_was_written_for() {
        let reservation = Sid::from_bytes([7; 16]);
        let about_calls = [
            VoiceCallbackKind::Enqueue(Sid::from_bytes([1; 16])),
            VoiceCallbackKind::EnqueueResult(Sid::from_bytes([2; 16])),
        ];
        let about_reservations =
            ReservationCallback::ALL.map(|about| VoiceCallbackKind::Reservation(reservation, about));
        for kind in about_calls.into_iter().chain(about_reservations) {
            assert_eq!(VoiceCallbackKind::of(&kind.path()), Some(kind));
            assert_eq!(VoiceCallbackKind::of(&format!("{}/", kind.path())), Some(kind));
        }
        let sid = "WR00000000000000000000000000000001";
        for path in [format!("/pointsman/v1/voice/enqueue/{sid}"), format!("/pointsman/v1/voice/{sid}"), String::new()]
        {
            assert_eq!(VoiceCallbackKind::of(&path), None, "{path}");
        }
    }
}
