//! What the voice provider, or TwiML of the application, asks of the bridge: its addresses, and what comes with them.
//! Reference: events-and-callbacks, sections 11.1 and 11.4.

use std::sync::Arc;

use pointsman_engine::{Reservation, Sid, State, Task, Workflow, Workspace};

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
    /// The Worker answered: what is the leg to do?
    WorkerLeg(Sid<Reservation>),
    /// Progress of the Worker's call.
    Status(Sid<Reservation>),
    /// Something happened in the Task's conference.
    Conference(Sid<Reservation>),
    /// A Worker who called in takes the caller of a reservation.
    DialReservation(Sid<Reservation>),
    /// Their conversation is over.
    DialResult(Sid<Reservation>),
}

impl VoiceCallbackKind {
    /// What every address of the bridge begins with; a word and a SID follow.
    pub const PREFIX: &str = "/pointsman/v1/voice/";

    /// Reads a path that [`VoiceCallbackKind::path`] wrote; a single `/` at its end is tolerated.
    pub fn of(path: &str) -> Option<Self> {
        let rest = path.strip_prefix(Self::PREFIX)?;
        let (word, sid) = rest.strip_suffix('/').unwrap_or(rest).split_once('/')?;
        let reservation = Sid::parse(sid);
        let kinds = [
            Sid::parse(sid).map(Self::Enqueue),
            Sid::parse(sid).map(Self::EnqueueResult),
            reservation.map(Self::WorkerLeg),
            reservation.map(Self::Status),
            reservation.map(Self::Conference),
            reservation.map(Self::DialReservation),
            reservation.map(Self::DialResult),
        ];
        kinds.into_iter().flatten().find(|kind| kind.word() == word)
    }

    pub(super) fn path(self) -> String {
        let (prefix, word) = (Self::PREFIX, self.word());
        match self {
            Self::Enqueue(sid) => format!("{prefix}{word}/{sid}"),
            Self::EnqueueResult(sid) => format!("{prefix}{word}/{sid}"),
            Self::WorkerLeg(sid)
            | Self::Status(sid)
            | Self::Conference(sid)
            | Self::DialReservation(sid)
            | Self::DialResult(sid) => format!("{prefix}{word}/{sid}"),
        }
    }

    const fn word(self) -> &'static str {
        match self {
            Self::Enqueue(_) => "enqueue",
            Self::EnqueueResult(_) => "enqueue-result",
            Self::WorkerLeg(_) => "worker-leg",
            Self::Status(_) => "status",
            Self::Conference(_) => "conference",
            Self::DialReservation(_) => "dial-reservation",
            Self::DialResult(_) => "dial-result",
        }
    }

    /// Whether the Workspace has what it is about.
    fn is_in(self, state: &State) -> bool {
        match self {
            Self::Enqueue(sid) => state.find_workflow(sid).is_some(),
            Self::EnqueueResult(sid) => state.find_task(sid).is_some(),
            Self::WorkerLeg(sid)
            | Self::Status(sid)
            | Self::Conference(sid)
            | Self::DialReservation(sid)
            | Self::DialResult(sid) => state.find_reservation(sid).is_some(),
        }
    }
}

impl VoiceCallback {
    /// The Workspace, where the address names it.
    pub fn workspace(&self) -> Option<Sid<Workspace>> {
        self.query_value("workspace").and_then(Sid::parse)
    }

    /// Whether it is this Workspace that answers.
    pub(crate) fn is_for(&self, state: &State) -> bool {
        let Some(named) = self.workspace() else { return self.kind.is_in(state) };
        // A caller goes on after a conversation that has outlived its Task.
        let is_here = matches!(self.kind, VoiceCallbackKind::EnqueueResult(_)) || self.kind.is_in(state);
        named == state.workspace().sid && is_here
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
        for kind in [
            VoiceCallbackKind::Enqueue(Sid::from_bytes([1; 16])),
            VoiceCallbackKind::EnqueueResult(Sid::from_bytes([2; 16])),
            VoiceCallbackKind::WorkerLeg(reservation),
            VoiceCallbackKind::Status(reservation),
            VoiceCallbackKind::Conference(reservation),
            VoiceCallbackKind::DialReservation(reservation),
            VoiceCallbackKind::DialResult(reservation),
        ] {
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
