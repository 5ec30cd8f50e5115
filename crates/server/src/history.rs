//! Queries of the event history, for answers that are made of stored events.

use pointsman_api::{EventReference, HistoryCursor, HistoryOrder, HistoryQuery, HistoryRequest};
use pointsman_engine::{PublicEvent, Sid};
use pointsman_record::DecodeError;
use pointsman_record::public_event;
use pointsman_store::{HistoryEvent, ReadError, Reference, Role, Store};

/// A query could not be answered.
#[derive(Debug, thiserror::Error)]
pub(crate) enum HistoryError {
    #[error("failed to read the event history")]
    Read(#[from] ReadError),
    #[error("failed to decode a stored event")]
    Decode(#[from] DecodeError),
}

/// The events that a request asks for, in the order asked for.
///
/// - `cursor`: the event that the request's cursor means; when it is not there any more, there are no events.
pub(crate) fn read(
    store: &dyn Store,
    request: &HistoryRequest,
    cursor: Option<Sid<PublicEvent>>,
) -> Result<Vec<PublicEvent>, HistoryError> {
    let workspace = request.workspace.bytes();
    let query = &request.query;
    if let Some(sid) = query.sid {
        let found = store.history_event(workspace, sid.bytes())?;
        return found.iter().map(decode).collect();
    }
    let cursor = match cursor {
        None => pointsman_store::HistoryCursor::Start,
        Some(sid) => match store.history_event(workspace, sid.bytes())? {
            None => return Ok(Vec::new()),
            Some(event) if goes_on(query) => pointsman_store::HistoryCursor::After(event.key),
            Some(event) => pointsman_store::HistoryCursor::Before(event.key),
        },
    };
    let mut asked = stored_query(workspace, query, cursor);
    let mut events = Vec::new();
    loop {
        asked.limit = query.limit.map_or(usize::MAX, |limit| limit - events.len());
        let page = store.history(&asked)?;
        for event in &page.events {
            events.push(decode(event)?);
        }
        let is_done = query.limit.is_some_and(|limit| limit <= events.len()) || !page.more;
        match page.events.last() {
            // A walk backwards has one page; whoever asks for it sets a limit that fits.
            Some(last)
                if !is_done
                    && matches!(
                        asked.cursor,
                        pointsman_store::HistoryCursor::Start | pointsman_store::HistoryCursor::After(_)
                    ) =>
            {
                asked.cursor = pointsman_store::HistoryCursor::After(last.key);
            }
            _ => return Ok(events),
        }
    }
}

/// Whether the cursor is passed in the order asked for.
fn goes_on(query: &HistoryQuery) -> bool {
    match query.cursor {
        HistoryCursor::Start => true,
        HistoryCursor::OlderThan(_) | HistoryCursor::OlderThanSid(_) => query.order == HistoryOrder::NewestFirst,
        HistoryCursor::NewerThan(_) | HistoryCursor::NewerThanSid(_) => query.order == HistoryOrder::OldestFirst,
    }
}

fn stored_query(
    workspace: [u8; 16],
    query: &HistoryQuery,
    cursor: pointsman_store::HistoryCursor,
) -> pointsman_store::HistoryQuery {
    pointsman_store::HistoryQuery {
        workspace,
        from_ms: query.from.0,
        to_ms: query.to.0,
        kinds: query.kinds.iter().map(|kind| public_event::kind_number(*kind)).collect(),
        references: query.references.iter().map(|reference| stored_reference(*reference)).collect(),
        order: match query.order {
            HistoryOrder::OldestFirst => pointsman_store::HistoryOrder::OldestFirst,
            HistoryOrder::NewestFirst => pointsman_store::HistoryOrder::NewestFirst,
        },
        cursor,
        limit: 0,
    }
}

fn stored_reference(reference: EventReference) -> Reference {
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
