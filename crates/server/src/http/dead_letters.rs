//! `/pointsman/v1/Workspaces/{WorkspaceSid}/Deliveries`: callbacks that failed for good, and their replay. Reference:
//! extensions, section 10.

use std::sync::Arc;

use pointsman_api::{
    Answer, ApiError, DeadDelivery, DeliveriesAsk, DeliveriesRequest, DeliveryCounters, FoundLetters, LettersPage,
    LettersPlace, render_deliveries, render_delivery, render_replay,
};
use pointsman_dispatcher::{Batch, Delivery, OutboxChange};
use pointsman_engine::{Sid, Timestamp, Workspace};
use pointsman_record::DecodeError;
use pointsman_record::delivery;
use pointsman_store::{DeadLetter, KeptLetters, LetterPlace, OutboxNumber, ReadError, Store};
use tokio::sync::{Mutex, MutexGuard};

use super::{App, cannot_commit};
use crate::commit;
use crate::deliveries::shown_url;
use crate::limits;
use crate::logging::chain;
use crate::recovery;

/// Who sends dead letters again has those of the Workspace alone meanwhile, so that none is sent again twice.
#[derive(Default)]
pub(crate) struct Replays([Mutex<()>; limits::REPLAYS_MAX]);

impl Replays {
    /// Waits for other replays of the Workspace, and by chance for some of others.
    async fn alone(&self, workspace: Sid<Workspace>) -> MutexGuard<'_, ()> {
        self.0[recovery::place(workspace.bytes(), self.0.len())].lock().await
    }
}

/// Dead letters could not be read.
#[derive(Debug, thiserror::Error)]
enum LettersError {
    #[error("failed to read the dead letters")]
    Read(#[from] ReadError),
    #[error("failed to decode a dead letter")]
    Decode(#[from] DecodeError),
}

pub(super) async fn answer(app: &App, request: DeliveriesRequest) -> Answer {
    carry_out(app, &request).await.unwrap_or_else(|error| error.answer())
}

async fn carry_out(app: &App, request: &DeliveriesRequest) -> Result<Answer, ApiError> {
    if app.health.can_commit() {
        // What has failed before the request was made may still be on its way into the store.
        commit(app, Vec::new()).await?;
    }
    let workspace = request.workspace;
    // Like events: what is past its time is not shown from that instant on, though it may still be there.
    let kept =
        KeptLetters { workspace: workspace.bytes(), from_ms: app.retention.oldest(workspace, app.clock.now()).0 };
    match &request.ask {
        DeliveriesAsk::List(page) => {
            let asked = page.clone();
            let (found, counts) =
                read(app, move |store| Ok((find(store, kept, &asked)?, store.outbox_counts(kept)?))).await?;
            let delivered = app.delivered.of(workspace);
            let counters = DeliveryCounters { waiting: counts.waiting, delivered, dead: counts.dead };
            Ok(render_deliveries(request, page, &found, counters))
        }
        DeliveriesAsk::Fetch(sid) => {
            let (letter, delivery) = one(app, request, kept, *sid).await?;
            Ok(render_delivery(request, &shown(&letter, &delivery)))
        }
        DeliveriesAsk::Replay(sid) => {
            let _alone = app.replays.alone(workspace).await;
            // A replay whose client has gone may have left its commit behind.
            commit(app, Vec::new()).await?;
            let (letter, delivery) = one(app, request, kept, *sid).await?;
            let shown = DeadDelivery { is_replayed: true, ..shown(&letter, &delivery) };
            commit(app, vec![Arc::new(delivery)]).await?;
            Ok(render_delivery(request, &shown))
        }
        DeliveriesAsk::ReplayAll => {
            let _alone = app.replays.alone(workspace).await;
            commit(app, Vec::new()).await?;
            replay_all(app, kept).await
        }
    }
}

/// Sends all again that are dead now, piece by piece, so that neither memory nor other commits suffer.
async fn replay_all(app: &App, kept: KeptLetters) -> Result<Answer, ApiError> {
    let newest = LetterPlace::Before(OutboxNumber(u64::MAX));
    let newest = read(app, move |store| Ok(store.dead_letters(kept, newest, 1)?.pop())).await?;
    let Some(newest) = newest else { return Ok(render_replay(0, false)) };
    let mut after = OutboxNumber::default();
    let mut replayed = 0;
    while after < newest.number {
        if limits::REPLAYED_MAX <= replayed {
            return Ok(render_replay(replayed, true));
        }
        let limit = limits::REPLAY_PIECE.min((limits::REPLAYED_MAX - replayed) as usize);
        let letters = read(app, move |store| Ok(store.dead_letters(kept, LetterPlace::After(after), limit)?)).await?;
        let Some(last) = letters.last() else { break };
        after = last.number;
        // Those that fail again meanwhile keep their numbers, so each one is met once.
        let letters = letters.into_iter().filter(|letter| letter.number <= newest.number);
        let deliveries: Vec<Arc<Delivery>> = letters.filter_map(|letter| decoded(&letter).map(Arc::new)).collect();
        replayed += deliveries.len() as u64;
        commit(app, deliveries).await?;
    }
    Ok(render_replay(replayed, false))
}

/// One that cannot be read is told and passed over.
fn decoded(letter: &DeadLetter) -> Option<Delivery> {
    let decoded = delivery::decode(&letter.payload);
    decoded.map_err(|error| tracing::error!(error = chain(&error), "a dead letter cannot be read")).ok()
}

/// Makes deliveries wait again; returns once that is durable, and everything before it.
async fn commit(app: &App, deliveries: Vec<Arc<Delivery>>) -> Result<(), ApiError> {
    let batch = Batch { outbox: deliveries.into_iter().map(OutboxChange::Put).collect(), ..Batch::default() };
    match tokio::time::timeout(limits::ANSWER_TIMEOUT, commit::submit(&app.commits, batch)).await {
        Ok(Ok(Ok(_position))) => Ok(()),
        Ok(Ok(Err(_)) | Err(_)) => Err(cannot_commit()),
        Err(_elapsed) => Err(ApiError::unavailable()),
    }
}

async fn read<T: Send + 'static>(
    app: &App,
    read: impl FnOnce(&(dyn Store + 'static)) -> Result<T, LettersError> + Send + 'static,
) -> Result<T, ApiError> {
    let storage = Arc::clone(&app.storage);
    match super::blocking(limits::ANSWER_TIMEOUT, move || storage.with(read)).await? {
        Ok(Ok(found)) => Ok(found),
        Ok(Err(error)) => {
            tracing::error!(error = chain(&error), "failed to read dead letters");
            Err(ApiError::internal())
        }
        Err(_closed) => Err(ApiError::unavailable()),
    }
}

async fn one(
    app: &App,
    request: &DeliveriesRequest,
    kept: KeptLetters,
    sid: [u8; 16],
) -> Result<(DeadLetter, Delivery), ApiError> {
    let found = read(app, move |store| {
        let Some(letter) = store.dead_letter(kept, sid)? else { return Ok(None) };
        let delivery = delivery::decode(&letter.payload)?;
        Ok(Some((letter, delivery)))
    });
    found.await?.ok_or_else(|| request.not_found.clone())
}

/// The letters of a page. The search ends at the latest after so many that the filters let through or not; the next
/// page goes on from there.
fn find(store: &dyn Store, kept: KeptLetters, page: &LettersPage) -> Result<FoundLetters, LettersError> {
    let mut found = FoundLetters::default();
    let mut place = match page.place {
        LettersPlace::After(number) => LetterPlace::After(OutboxNumber(number)),
        LettersPlace::Before(number) => LetterPlace::Before(OutboxNumber(number)),
    };
    let mut looked_at = 0;
    'search: while looked_at < limits::DEAD_LETTERS_LOOKED_AT_MAX {
        let mut letters = store.dead_letters(kept, place, limits::DEAD_LETTERS_PIECE)?;
        if let LetterPlace::Before(_) = place {
            letters.reverse();
        }
        let Some(last) = letters.last() else {
            found.ended = None;
            break;
        };
        place = match place {
            LetterPlace::After(_) => LetterPlace::After(last.number),
            LetterPlace::Before(_) => LetterPlace::Before(last.number),
        };
        looked_at += letters.len();
        for letter in &letters {
            let Some(delivery) = decoded(letter) else { continue };
            if page.wants(delivery.event().map(|event| &**event)) {
                if found.letters.len() == page.wanted {
                    let edge = found.letters.last().expect("a page has room for one");
                    found.ended = Some((edge.number, edge.sid));
                    break 'search;
                }
                found.letters.push(shown(letter, &delivery));
            }
            found.ended = Some((letter.number.0, letter.sid));
        }
    }
    if let LettersPlace::Before(_) = page.place {
        found.letters.reverse();
    }
    Ok(found)
}

fn shown(letter: &DeadLetter, delivery: &Delivery) -> DeadDelivery {
    let failure = delivery.failure.as_ref();
    DeadDelivery {
        number: letter.number.0,
        sid: letter.sid,
        kind: delivery.kind(),
        url: shown_url(&delivery.url),
        event: delivery.event().cloned(),
        attempts: failure.map(|failure| failure.attempts).unwrap_or_default(),
        status: failure.and_then(|failure| failure.status),
        error: failure.map(|failure| failure.reason.to_string()).unwrap_or_default(),
        at: delivery.at(),
        failed_at: Timestamp(letter.at_ms),
        is_replayed: false,
    }
}
