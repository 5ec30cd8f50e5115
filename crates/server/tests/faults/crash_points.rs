//! Random requests on a store in memory that fails as planned, a crash at every point: what was acknowledged is there
//! after the restart, what was not is there whole or not at all, and every invariant holds.
//!
//! `POINTSMAN_CRASH_POINTS` and `POINTSMAN_CRASH_SEED` change the run.

use std::collections::BTreeSet;

use pointsman_dispatcher::{Batch, OutboxChange};
use pointsman_server::admin;
use pointsman_store::{
    AppendError, AppendFault, CrashPlan, Faults, HistoryOrder, HistoryQuery, MemoryStore, OutboxNumber, Store,
    StreamId, Unacknowledged, limits,
};

use crate::world::{Random, World, append, number_of, published, restore};

const POINTS_PER_WORLD: u64 = 100;

/// What has been acknowledged.
#[derive(Clone, Default)]
struct Acknowledged {
    picture: Vec<Vec<u8>>,
    events: BTreeSet<[u8; 16]>,
    deliveries: BTreeSet<[u8; 16]>,
}

impl Acknowledged {
    fn with(&self, world: &World, batch: &Batch) -> Acknowledged {
        let mut after = Acknowledged { picture: world.picture(), ..self.clone() };
        after.events.extend(published(batch));
        for change in &batch.outbox {
            match change {
                OutboxChange::Put(delivery) => {
                    after.deliveries.insert(delivery.sid());
                }
                OutboxChange::Done { sid } => {
                    after.deliveries.remove(sid);
                }
                OutboxChange::Dead { .. } => unreachable!("nobody gives up here"),
            }
        }
        after
    }
}

#[test]
fn nothing_acknowledged_is_lost_at_any_crash_point() {
    let points = number_of("POINTSMAN_CRASH_POINTS", 400);
    let seed = number_of("POINTSMAN_CRASH_SEED", 1);
    let mut random = Random(seed);
    let mut counts = [0; 4];
    for number in 0..points.div_ceil(POINTS_PER_WORLD) {
        let store = MemoryStore::new();
        let mut epoch = store.begin_epoch().unwrap();
        let mut batch = Batch::default();
        let mut world = World::create(number, &mut batch);
        append(&store, epoch, &batch).unwrap();
        let mut acknowledged = Acknowledged::default().with(&world, &batch);
        for point in 0..POINTS_PER_WORLD.min(points - number * POINTS_PER_WORLD) {
            // Some commits go well before the one that does not.
            for _ in 0..random.below(4) {
                let mut batch = Batch::default();
                for _ in 0..=random.below(3) {
                    world.step(&mut random, &mut batch);
                }
                append(&store, epoch, &batch).unwrap();
                acknowledged = acknowledged.with(&world, &batch);
                tend(&store, &world, &mut random);
            }
            let mut batch = Batch::default();
            for _ in 0..=random.below(5) {
                world.step(&mut random, &mut batch);
            }
            let kind = random.below(4) as usize;
            counts[kind] += 1;
            let fault =
                [None, Some(AppendFault::Full), Some(AppendFault::Unsynchronized), Some(AppendFault::Torn)][kind];
            store.set_faults(Faults {
                appends: fault.map(|fault| (1, fault)).into_iter().collect(),
                ..Faults::default()
            });
            let appended = append(&store, epoch, &batch);
            store.set_faults(Faults::default());
            let written = acknowledged.with(&world, &batch);
            let is_empty = batch.is_committed();
            let keeps = random.below(2) == 0;
            match (&appended, fault) {
                (Ok(_), _) => acknowledged = written.clone(),
                (Err(AppendError::Full { .. }), Some(AppendFault::Full))
                | (Err(AppendError::Failed { .. }), Some(AppendFault::Unsynchronized | AppendFault::Torn)) => {}
                (Err(error), fault) => panic!("seed {seed}, world {number}, point {point}: {fault:?} gave {error}"),
            }
            assert!(is_empty || appended.is_ok() == fault.is_none(), "a fault is reported");
            let unacknowledged = if keeps { Unacknowledged::Kept } else { Unacknowledged::Lost };
            store.crash(CrashPlan { unacknowledged, loses_projection: random.below(2) == 0 });
            if random.below(8) == 0 {
                let streams = store.streams().unwrap();
                let has_two = store.check().unwrap().snapshots == 2;
                if has_two {
                    assert!(streams.iter().any(|(stream, _)| store.damage_newest_snapshot(*stream)));
                }
            }
            if appended.is_err() && keeps && fault == Some(AppendFault::Unsynchronized) {
                acknowledged = written;
            }

            world.shard = restore(&store).unwrap();
            world.shard.check_invariants();
            assert!(world.picture() == acknowledged.picture, "seed {seed}, world {number}, point {point}: {fault:?}");
            admin::project(&store).unwrap();
            assert!(history(&store) == acknowledged.events, "seed {seed}, world {number}, point {point}");
            let waiting = store.outbox_read(OutboxNumber(0), limits::OUTBOX_PAGE_MAX).unwrap();
            let waiting: BTreeSet<_> = waiting.into_iter().map(|delivery| delivery.entry.sid).collect();
            assert!(waiting == acknowledged.deliveries, "seed {seed}, world {number}, point {point}");
            epoch = store.begin_epoch().unwrap();
        }
    }
    println!("seed {seed}: {points} crash points (good, full, not synchronized, torn: {counts:?})");
}

/// Projects, takes snapshots and trims, now and then.
fn tend(store: &MemoryStore, world: &World, random: &mut Random) {
    if random.below(3) == 0 {
        admin::project(store).unwrap();
    }
    if random.below(10) == 0 {
        world.save_snapshot(store);
        store.trim().unwrap();
    }
}

/// Sids of all events, each once.
fn history(store: &dyn Store) -> BTreeSet<[u8; 16]> {
    let mut sids = BTreeSet::new();
    for (StreamId(workspace), _) in store.streams().unwrap() {
        let mut query = HistoryQuery {
            order: HistoryOrder::OldestFirst,
            limit: limits::HISTORY_PAGE_MAX,
            ..HistoryQuery::all(workspace)
        };
        loop {
            let page = store.history(&query).unwrap();
            for event in &page.events {
                assert!(sids.insert(event.sid), "an event is there twice");
            }
            match page.events.last() {
                Some(last) if page.more => query.cursor = Some(last.key),
                _ => break,
            }
        }
    }
    sids
}
