//! What goes into a shard and what comes out.

use std::sync::Arc;

use pointsman_api::instruction::CallbackAnswer;
use pointsman_api::{Answer, Call, HistoryRequest, ServerRequest, WorkspaceRow};
use pointsman_engine::{Account, Alert, CreateWorkspace, PublicEvent, Reservation, Sid, Timestamp, Workspace};
use pointsman_record::delivery::{About, Delivery, VoiceStep};

use crate::bridge::VoiceCallback;

/// Whom a reply is for; the caller makes them up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Ticket(pub u64);

/// Something for the Workspaces of a shard to do.
#[derive(Debug)]
pub enum Input {
    /// A call inside one Workspace.
    Call { ticket: Ticket, account: Sid<Account>, call: Box<Call> },
    /// A Workspace is to be made; `call` is the request, for its answer.
    CreateWorkspace { ticket: Ticket, create: CreateWorkspace, call: Box<Call> },
    /// The shard's part of an account's list of Workspaces.
    ListWorkspaces { ticket: Ticket, account: Sid<Account>, call: Box<Call> },
    /// An assignment callback came to an end.
    Assigned { workspace: Sid<Workspace>, reservation: Sid<Reservation>, outcome: AssignmentOutcome },
    /// The voice API answered a request, or did not.
    VoiceAnswered { request: VoiceRequest, outcome: VoiceOutcome },
    /// The voice provider asks for something.
    Voice { ticket: Ticket, callback: Box<VoiceCallback> },
    /// Let due timers fire.
    Tick,
    /// Answers when everything before it is committed.
    Barrier { ticket: Ticket },
}

/// What goes back for a ticket, once the batch is durable.
#[derive(Debug)]
pub enum Reply {
    Answer(Answer),
    /// The answer is made of stored events.
    ///
    /// - `cursor`: the SID of the event that the request's cursor names by number.
    History {
        request: Box<HistoryRequest>,
        cursor: Option<Sid<PublicEvent>>,
    },
    /// To the voice provider. `None`: the shard has nothing of what was asked about.
    Voice(Option<Answer>),
    /// The answer is made of what the server keeps beside the state.
    Server(Box<ServerRequest>),
    Workspaces(Vec<WorkspaceRow>),
    /// - `next_deadline`: the shard's earliest timer.
    Barrier {
        next_deadline: Option<Timestamp>,
    },
}

/// One turn, to be appended to the journal.
#[derive(Clone, Debug)]
pub struct PendingRecord {
    /// The Workspace's SID, without its prefix.
    pub stream: [u8; 16],
    /// One more than that of the stream's record before it.
    pub sequence: u64,
    pub at: Timestamp,
    pub payload: Vec<u8>,
    /// For the history.
    pub published: Arc<[PublicEvent]>,
}

/// How an assignment callback ended.
#[derive(Clone, Debug, PartialEq)]
pub enum AssignmentOutcome {
    Answered(CallbackAnswer),
    /// Neither the address nor its fallback answered.
    Failed,
}

/// A request to the voice API. Its Workspace may be gone when the answer comes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct VoiceRequest {
    pub workspace: Sid<Workspace>,
    pub account: Sid<Account>,
    pub step: VoiceStep,
    pub about: About,
}

/// What the voice API made of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum VoiceOutcome {
    Answered {
        status: u16,
        body: Vec<u8>,
    },
    /// It was asked and did not answer: nobody knows whether it did what it was asked for.
    Unanswered {
        reason: String,
    },
    /// It could not be reached.
    Failed {
        reason: String,
    },
}

/// Whether a status is that of a gateway which got no answer itself: nobody knows what was done behind it.
pub(crate) const fn is_of_gateway(status: u16) -> bool {
    matches!(status, 502 | 504)
}

/// A change of the stored deliveries, made together with the records.
#[derive(Clone, Debug)]
pub enum OutboxChange {
    /// It is to be sent once this is durable.
    Put(Arc<Delivery>),
    /// It was delivered, or is not wanted any more.
    Done { sid: [u8; 16] },
    /// It failed for good, as it says itself.
    Dead { delivery: Arc<Delivery>, at: Timestamp },
}

/// What a shard made of its inputs since the last commit.
#[derive(Debug, Default)]
pub struct Batch {
    pub records: Vec<PendingRecord>,
    pub outbox: Vec<OutboxChange>,
    pub replies: Vec<(Ticket, Reply)>,
    /// Workspaces that were deleted: their streams may be forgotten after the commit.
    pub deleted: Vec<Sid<Workspace>>,
    /// For the log.
    pub alerts: Vec<(Sid<Workspace>, Alert)>,
}

impl Batch {
    /// Nothing has to be durable before the replies leave.
    pub fn is_committed(&self) -> bool {
        self.records.is_empty() && self.outbox.is_empty()
    }
}
