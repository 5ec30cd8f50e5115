//! Queries of the event history, for answers that are made of stored events.

use pointsman_api::{Answer, HistoryAnswer, HistoryOrder, HistoryQuery, HistoryRequest};
use pointsman_engine::{EventReference, PublicEvent, Sid, Timestamp};
use pointsman_record::DecodeError;
use pointsman_record::public_event;
use pointsman_store::{HistoryEvent, HistoryKey, ReadError, Reference, Role, Store};

/// A query could not be answered.
#[derive(Debug, thiserror::Error)]
pub(crate) enum HistoryError {
    #[error("failed to read the event history")]
    Read(#[from] ReadError),
    #[error("failed to decode a stored event")]
    Decode(#[from] DecodeError),
}

/// Events read at once: an answer may stand on a month of them.
const PAGE: usize = 1_000;

/// Reads what a request asks for and makes its answer.
///
/// - `cursor`: the event that the request's cursor means; when it is not there any more, there are no events.
/// - `oldest`: what is older is not kept, though it may still be there.
/// - Holds a page of events at a time, whatever the request asks for.
pub(crate) fn answer(
    store: &dyn Store,
    request: HistoryRequest,
    cursor: Option<Sid<PublicEvent>>,
    oldest: Timestamp,
) -> Result<Answer, HistoryError> {
    let mut answer = HistoryAnswer::new(request);
    read(store, &mut answer, cursor, oldest)?;
    Ok(answer.finish())
}

fn read(
    store: &dyn Store,
    answer: &mut HistoryAnswer,
    cursor: Option<Sid<PublicEvent>>,
    oldest: Timestamp,
) -> Result<(), HistoryError> {
    let request = answer.request();
    let workspace = request.workspace.bytes();
    let mut query = request.query.clone();
    query.from = query.from.max(oldest);
    if let Some(sid) = query.sid {
        // The one filter that lifts the window; the others hold beside it.
        let found = store.history_event(workspace, sid.bytes())?.map(|found| decode(&found)).transpose()?;
        if let Some(found) = found.filter(|found| oldest <= found.at && passes(&query, found)) {
            answer.add(found);
        }
        return Ok(());
    }
    let cursor = match cursor {
        None => None,
        Some(sid) => match store.history_event(workspace, sid.bytes())? {
            None => return Ok(()),
            Some(event) => Some(event.key),
        },
    };
    let mut asked = stored_query(workspace, &query, cursor);
    let mut left = query.limit.unwrap_or(usize::MAX);
    loop {
        asked.limit = left.min(PAGE);
        let page = store.history(&asked)?;
        left -= page.events.len();
        for event in &page.events {
            answer.add(decode(event)?);
        }
        match page.events.last() {
            Some(last) if page.more && left > 0 => asked.cursor = Some(last.key),
            _ => return Ok(()),
        }
    }
}

fn passes(query: &HistoryQuery, event: &PublicEvent) -> bool {
    let mentioned = event.references();
    (query.kinds.is_empty() || query.kinds.contains(&event.kind))
        && query.references.iter().all(|asked| mentioned.contains(asked))
}

fn stored_query(
    workspace: [u8; 16],
    query: &HistoryQuery,
    cursor: Option<HistoryKey>,
) -> pointsman_store::HistoryQuery {
    pointsman_store::HistoryQuery {
        workspace,
        from_ms: query.from.0,
        to_ms: query.to.0,
        kinds: query.kinds.iter().map(|kind| public_event::kind_number(*kind)).collect(),
        references: query.references.iter().copied().map(stored_reference).collect(),
        order: match query.order {
            HistoryOrder::OldestFirst => pointsman_store::HistoryOrder::OldestFirst,
            HistoryOrder::NewestFirst => pointsman_store::HistoryOrder::NewestFirst,
        },
        cursor,
        limit: 0,
    }
}

/// What is mentioned, as the store has it.
pub(crate) fn stored_reference(reference: EventReference) -> Reference {
    let (role, sid) = match reference {
        EventReference::Task(sid) => (Role::Task, sid.bytes()),
        EventReference::Worker(sid) => (Role::Worker, sid.bytes()),
        EventReference::TaskQueue(sid) => (Role::TaskQueue, sid.bytes()),
        EventReference::Workflow(sid) => (Role::Workflow, sid.bytes()),
        EventReference::Reservation(sid) => (Role::Reservation, sid.bytes()),
        EventReference::TaskChannel(sid) => (Role::TaskChannel, sid.bytes()),
    };
    Reference { role, sid }
}

fn decode(event: &HistoryEvent) -> Result<PublicEvent, HistoryError> {
    Ok(public_event::decode(&event.payload)?)
}
