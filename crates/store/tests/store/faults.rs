//! The store in memory, told to fail.

use pointsman_store::{
    AppendError, AppendFault, CrashPlan, Faults, HistoryQuery, MemoryStore, OutboxNumber, Position, ReadError, Store,
    Unacknowledged,
};

use crate::samples::{ALL, NOON_MS, append, load, put, record, records, row, save, sid, snapshot, stream};

const LOST: CrashPlan = CrashPlan { unacknowledged: Unacknowledged::Lost, loses_projection: false };
const KEPT: CrashPlan = CrashPlan { unacknowledged: Unacknowledged::Kept, loses_projection: false };

fn failing_on_append(number: u64, fault: AppendFault) -> MemoryStore {
    MemoryStore::with_faults(Faults { appends: [(number, fault)].into(), ..Faults::default() })
}

#[test]
fn an_append_that_found_no_space_can_be_made_again() {
    let store = failing_on_append(2, AppendFault::Full);
    let epoch = store.begin_epoch().unwrap();
    append(&store, epoch, &[record(1, 1)]);
    assert!(matches!(store.append(epoch, &[record(1, 2)], &[]), Err(AppendError::Full { .. })));
    assert_eq!(store.last_position(), Position(1));
    append(&store, epoch, &[record(1, 2)]);
}

#[test]
fn a_batch_that_was_not_synchronized_is_lost_or_kept_as_a_whole() {
    for (plan, expected) in [(LOST, 1), (KEPT, 3)] {
        let store = failing_on_append(2, AppendFault::Unsynchronized);
        let epoch = store.begin_epoch().unwrap();
        append(&store, epoch, &[record(1, 1)]);
        let batch = [record(1, 2), record(2, 1)];
        assert!(matches!(store.append(epoch, &batch, &[put(1, 1, 1)]), Err(AppendError::Failed { .. })));
        assert_eq!(store.last_position(), Position(1), "what is not acknowledged is not seen");
        assert!(matches!(store.append(epoch, &batch, &[]), Err(AppendError::Stopped { .. })));
        store.crash(plan);
        assert_eq!(store.last_position(), Position(expected));
        assert_eq!(store.read_after(Position::ZERO, ALL).unwrap().len() as u64, expected);
        assert_eq!(store.outbox_read(OutboxNumber(0), 10).unwrap().len() as u64, expected / 3);
        let epoch = store.begin_epoch().unwrap();
        append(&store, epoch, &[record(1, if expected == 3 { 3 } else { 2 })]);
    }
}

#[test]
fn a_torn_batch_is_never_seen() {
    let store = failing_on_append(1, AppendFault::Torn);
    let epoch = store.begin_epoch().unwrap();
    store.append(epoch, &records(1, 1, 3), &[]).unwrap_err();
    store.crash(KEPT);
    assert_eq!(store.read_after(Position::ZERO, ALL).unwrap(), []);
    append(&store, epoch, &records(1, 1, 3));
}

#[test]
fn a_planned_read_fails_once() {
    let store = MemoryStore::new();
    let epoch = store.begin_epoch().unwrap();
    append(&store, epoch, &[record(1, 1)]);
    store.set_faults(Faults { reads: [2].into(), ..Faults::default() });
    store.read_after(Position::ZERO, ALL).unwrap();
    assert!(matches!(store.read_after(Position::ZERO, ALL), Err(ReadError::Failed { .. })));
    store.read_after(Position::ZERO, ALL).unwrap();
}

#[test]
fn a_history_that_falls_back_is_projected_again() {
    let store = MemoryStore::new();
    let epoch = store.begin_epoch().unwrap();
    append(&store, epoch, &records(1, 1, 4));
    let rows: Vec<_> = (1..=4).map(|number| row(number, 1, number, NOON_MS)).collect();
    store.project(Position(2), &rows[..2]).unwrap();
    store.trim().unwrap();
    store.project(Position(4), &rows[2..]).unwrap();
    store.crash(CrashPlan { loses_projection: true, ..LOST });
    assert_eq!(store.history_position(), Position(2), "trimming has made it durable up to here");
    assert_eq!(store.history_event(sid(1), rows[2].sid).unwrap(), None);
    store.project(Position(4), &rows).unwrap();
    assert_eq!(store.history(&HistoryQuery::all(sid(1))).unwrap().events.len(), 4);
}

#[test]
fn a_damaged_snapshot_is_reported_and_the_one_before_is_used() {
    let store = MemoryStore::new();
    let epoch = store.begin_epoch().unwrap();
    append(&store, epoch, &records(1, 1, 3));
    assert!(!store.damage_newest_snapshot(stream(1)));
    save(&store, snapshot(1, 2, 2), &["two"]);
    save(&store, snapshot(1, 3, 3), &["three"]);
    assert!(store.damage_newest_snapshot(stream(1)));
    let list = store.snapshots().unwrap();
    assert_eq!(list.newest, [snapshot(1, 2, 2)]);
    assert_eq!(list.damaged.len(), 1);
    assert_eq!(load(&store, snapshot(1, 2, 2)), ["two"]);
    assert!(matches!(store.read_snapshot(snapshot(1, 3, 3)), Err(ReadError::Damaged(_))));
    store.project(Position(3), &[]).unwrap();
    assert_eq!(store.trim().unwrap(), 0, "the tail of the older one is needed");
    append(&store, epoch, &[record(1, 4)]);
    save(&store, snapshot(1, 4, 4), &["four"]);
    assert_eq!(load(&store, snapshot(1, 2, 2)), ["two"], "the damaged one goes, not the good one");
}

#[test]
fn another_handle_that_takes_an_epoch_fences_the_first() {
    let first = MemoryStore::new();
    let second = first.clone();
    let old = first.begin_epoch().unwrap();
    append(&first, old, &[record(1, 1)]);
    let new = second.begin_epoch().unwrap();
    append(&second, new, &[record(1, 2)]);
    assert!(matches!(first.append(old, &[record(1, 3)], &[]), Err(AppendError::Fenced { .. })));
    assert_eq!(first.last_position(), Position(2));
}
