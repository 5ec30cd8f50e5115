//! What an answer needs of the event history, and the answer once it is there.
//!
//! A call that needs stored events runs in its turn as far as the state goes, then leaves as a [`HistoryRequest`]: plain
//! data, to be finished wherever the history is read.

use pointsman_engine::{Account, EventKind, EventReference, PublicEvent, Sid, Timestamp, Workspace};

use crate::http::Answer;
use crate::resources::{events, statistics};

/// A question to the history and what becomes of its answer.
#[derive(Clone, Debug)]
pub struct HistoryRequest {
    pub workspace: Sid<Workspace>,
    pub query: HistoryQuery,
    pub(crate) account: Sid<Account>,
    pub(crate) base_url: String,
    pub(crate) now: Timestamp,
    pub(crate) finish: Finish,
}

/// Which public events are asked for. All conditions must hold.
#[derive(Clone, Debug, PartialEq)]
pub struct HistoryQuery {
    /// First and last instant, both inclusive.
    pub from: Timestamp,
    pub to: Timestamp,
    /// Empty is every kind.
    pub kinds: Vec<EventKind>,
    /// Events that mention every one of these, in whatever role their data names it.
    pub references: Vec<EventReference>,
    /// One event; the window does not apply then.
    pub sid: Option<Sid<PublicEvent>>,
    pub order: HistoryOrder,
    /// The events that follow this one, in the order asked for; `None` is from the first one.
    pub cursor: Option<EventPlace>,
    /// At most so many; `None` is all of them.
    pub limit: Option<usize>,
}

impl HistoryQuery {
    /// All events of a window, oldest first.
    pub fn of(from: Timestamp, to: Timestamp) -> Self {
        Self {
            from,
            to,
            kinds: Vec::new(),
            references: Vec::new(),
            sid: None,
            order: HistoryOrder::OldestFirst,
            cursor: None,
            limit: None,
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HistoryOrder {
    OldestFirst,
    NewestFirst,
}

/// An event by its place in the log. One that is not there any more gives no events.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EventPlace {
    /// Its number ([`PublicEvent::id`]).
    Number(u64),
    Sid(Sid<PublicEvent>),
}

/// How the answer is made.
#[derive(Clone, Debug)]
pub(crate) enum Finish {
    OneEvent(events::OneEvent),
    Events(events::EventsPage),
    Statistics(Box<statistics::Cumulation>),
}

/// An answer in the making: asks for events, takes them one by one, and never holds more than it shows.
#[derive(Debug)]
pub struct HistoryAnswer {
    request: HistoryRequest,
    /// Events that the answer shows; at most as many as the query's limit.
    events: Vec<PublicEvent>,
}

impl HistoryAnswer {
    pub const fn new(request: HistoryRequest) -> Self {
        Self { request, events: Vec::new() }
    }

    pub const fn request(&self) -> &HistoryRequest {
        &self.request
    }

    /// Takes the next event that the query asked for, in the order asked for.
    pub fn add(&mut self, event: PublicEvent) {
        match &mut self.request.finish {
            Finish::OneEvent(_) | Finish::Events(_) => self.events.push(event),
            Finish::Statistics(cumulation) => cumulation.add(&event),
        }
    }

    /// Makes the answer out of what was added.
    pub fn finish(self) -> Answer {
        let Self { request, events } = self;
        match &request.finish {
            Finish::OneEvent(one) => events::finish_one(&request, one, &events),
            Finish::Events(page) => events::finish_page(&request, page, &events),
            Finish::Statistics(cumulation) => cumulation.clone().finish(&request),
        }
    }
}
