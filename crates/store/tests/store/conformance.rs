//! The contract of `Store`, for every implementation.

use std::thread;

use pointsman_store::{
    AppendError, CheckReport, DeadLetter, Dropped, Epoch, HistoryOrder, HistoryPage, HistoryQuery, KeptLetters,
    LetterPlace, MemoryStore, Options, OutboxChange, OutboxCounts, OutboxEntry, OutboxLane, OutboxNumber, Position,
    ReadError, ReadLimit, Record, Retention, Role, SequenceNumber, SqliteStore, Store, WriteError, limits,
};

use crate::samples::{
    ALL, DAY_MS, NOON_MS, append, load, mention, put, record, records, row, save, scratch, sid, snapshot, stream,
};

#[test]
fn the_store_in_memory_keeps_the_contract() {
    check_store(|| Box::new(MemoryStore::new()));
}

#[test]
fn the_store_on_sqlite_keeps_the_contract() {
    let root = scratch();
    let made = std::cell::Cell::new(0);
    check_store(|| {
        made.set(made.get() + 1);
        let directory = root.path().join(made.get().to_string());
        Box::new(SqliteStore::open(&directory, &Options::default()).unwrap())
    });
}

/// What must hold, and what shows it on an empty store.
type Rule = (&'static str, fn(&dyn Store));

/// Holds an implementation to the contract; `make` makes an empty store.
fn check_store(make: impl Fn() -> Box<dyn Store>) {
    let rules: &[Rule] = &[
        ("an empty store has nothing", an_empty_store_has_nothing),
        ("records come back in both orders", records_come_back_in_both_orders),
        ("a sequence number that does not go on is refused", a_sequence_number_that_does_not_go_on_is_refused),
        ("an older epoch is fenced", an_older_epoch_is_fenced),
        ("a batch is refused as a whole", a_batch_is_refused_as_a_whole),
        ("reading ends at either limit", reading_ends_at_either_limit),
        ("sizes are bounded", sizes_are_bounded),
        ("counts are bounded", counts_are_bounded),
        ("appends are bounded", appends_are_bounded),
        ("the newest two snapshots are kept", the_newest_two_snapshots_are_kept),
        ("a snapshot cannot be ahead of its stream", a_snapshot_cannot_be_ahead_of_its_stream),
        ("trimming needs two snapshots and the history", trimming_needs_two_snapshots_and_the_history),
        ("a trimmed stream goes on", a_trimmed_stream_goes_on),
        ("a deleted stream is gone", a_deleted_stream_is_gone),
        ("projecting again adds nothing", projecting_again_adds_nothing),
        ("rows that do not fit are refused", rows_that_do_not_fit_are_refused),
        ("history is filtered by every condition", history_is_filtered_by_every_condition),
        ("history pages meet in both directions", history_pages_meet_in_both_directions),
        ("history pages are stable while rows are added", history_pages_are_stable_while_rows_are_added),
        ("an event is found by its sid in its workspace only", an_event_is_found_by_its_sid_in_its_workspace_only),
        ("events of one instant keep their order", events_of_one_instant_keep_their_order),
        ("old days are dropped for good", old_days_are_dropped_for_good),
        ("each workspace keeps its own days", each_workspace_keeps_its_own_days),
        ("deliveries wait until they are done", deliveries_wait_until_they_are_done),
        ("dead letters wait for their replay", dead_letters_wait_for_their_replay),
        ("meta values are kept", meta_values_are_kept),
        ("a probe leaves nothing behind", a_probe_leaves_nothing_behind),
        ("a check counts everything", a_check_counts_everything),
        ("reads go on beside appends", reads_go_on_beside_appends),
    ];
    for (rule, check) in rules {
        eprintln!("{rule}");
        let store = make();
        check(&*store);
    }
}

fn begin(store: &dyn Store) -> Epoch {
    store.begin_epoch().unwrap()
}

fn sequences(records: &[(Position, Record)]) -> Vec<(u64, u64)> {
    records.iter().map(|(position, record)| (position.0, record.sequence.0)).collect()
}

fn payloads(page: &HistoryPage) -> Vec<String> {
    page.events.iter().map(|event| String::from_utf8(event.payload.clone()).unwrap()).collect()
}

/// Projects rows as if each came from the record at its position.
fn fill(store: &dyn Store, up_to: u64) {
    let epoch = begin(store);
    append(store, epoch, &records(1, 1, up_to));
}

fn an_empty_store_has_nothing(store: &dyn Store) {
    assert_eq!(store.last_position(), Position::ZERO);
    assert_eq!(store.history_position(), Position::ZERO);
    assert_eq!(store.streams().unwrap(), []);
    assert_eq!(store.read_after(Position::ZERO, ALL).unwrap(), []);
    assert_eq!(store.read_stream(stream(1), SequenceNumber::ZERO, ALL).unwrap(), []);
    assert!(store.snapshots().unwrap().newest.is_empty());
    assert!(store.history(&HistoryQuery::all(sid(1))).unwrap().events.is_empty());
    assert_eq!(store.history_event(sid(1), sid(2)).unwrap(), None);
    assert_eq!(store.outbox_read(OutboxNumber(0), 10).unwrap(), []);
    assert_eq!(store.meta("clock").unwrap(), None);
    assert_eq!(store.trim().unwrap(), 0);
    assert_eq!(store.retain(&Retention::all(NOON_MS)).unwrap(), Dropped::default());
    store.delete_stream(stream(1)).unwrap();
    assert_eq!(store.check().unwrap(), CheckReport::default());
}

fn records_come_back_in_both_orders(store: &dyn Store) {
    let epoch = begin(store);
    assert_eq!(append(store, epoch, &[record(1, 1), record(2, 1), record(1, 2)]), Position(3));
    assert_eq!(append(store, epoch, &[]), Position(3));
    assert_eq!(append(store, epoch, &[record(2, 2)]), Position(4));
    let all = store.read_after(Position::ZERO, ALL).unwrap();
    assert_eq!(
        all,
        [
            (Position(1), record(1, 1)),
            (Position(2), record(2, 1)),
            (Position(3), record(1, 2)),
            (Position(4), record(2, 2))
        ]
    );
    assert_eq!(sequences(&store.read_after(Position(3), ALL).unwrap()), [(4, 2)]);
    assert_eq!(sequences(&store.read_stream(stream(2), SequenceNumber::ZERO, ALL).unwrap()), [(2, 1), (4, 2)]);
    assert_eq!(sequences(&store.read_stream(stream(2), SequenceNumber(1), ALL).unwrap()), [(4, 2)]);
    assert_eq!(store.streams().unwrap(), [(stream(1), SequenceNumber(2)), (stream(2), SequenceNumber(2))]);
    assert_eq!(store.last_position(), Position(4));
}

fn a_sequence_number_that_does_not_go_on_is_refused(store: &dyn Store) {
    let epoch = begin(store);
    append(store, epoch, &records(1, 1, 2));
    for (sequence, stream_number, expected) in [(2, 1, 3), (4, 1, 3), (0, 1, 3), (2, 2, 1)] {
        let error = store.append(epoch, &[record(stream_number, sequence)], &[]).unwrap_err();
        assert!(
            matches!(error, AppendError::Sequence { expected: SequenceNumber(number), .. } if number == expected),
            "{error}"
        );
    }
    assert_eq!(append(store, epoch, &[record(1, 3)]), Position(3));
}

fn an_older_epoch_is_fenced(store: &dyn Store) {
    assert!(matches!(store.append(Epoch(1), &[record(1, 1)], &[]), Err(AppendError::Fenced { .. })));
    let older = begin(store);
    append(store, older, &[record(1, 1)]);
    let newer = begin(store);
    assert!(newer > older);
    let error = store.append(older, &[record(1, 2)], &[]).unwrap_err();
    assert!(
        matches!(error, AppendError::Fenced { presented, current } if (presented, current) == (older, newer)),
        "{error}"
    );
    assert_eq!(store.last_position(), Position(1));
    append(store, newer, &[record(1, 2)]);
}

fn a_batch_is_refused_as_a_whole(store: &dyn Store) {
    let epoch = begin(store);
    append(store, epoch, &[record(1, 1)]);
    let batch = [record(1, 2), record(3, 1), record(1, 4)];
    store.append(epoch, &batch, &[put(1, 1, 0)]).unwrap_err();
    assert_eq!(store.last_position(), Position(1));
    assert_eq!(store.read_after(Position::ZERO, ALL).unwrap().len(), 1);
    assert_eq!(store.streams().unwrap(), [(stream(1), SequenceNumber(1))]);
    assert_eq!(store.outbox_read(OutboxNumber(0), 10).unwrap(), []);
    append(store, epoch, &[record(1, 2), record(3, 1)]);
}

fn reading_ends_at_either_limit(store: &dyn Store) {
    let epoch = begin(store);
    append(store, epoch, &records(1, 1, 10));
    let bytes = record(1, 1).payload.len();
    for (records_max, bytes_max, expected) in
        [(3, usize::MAX, 3), (100, 2 * bytes, 2), (100, 2 * bytes + 1, 3), (100, 0, 1), (0, 0, 1)]
    {
        let limit = ReadLimit { records: records_max, bytes: bytes_max };
        assert_eq!(store.read_after(Position(1), limit).unwrap().len(), expected, "{limit:?}");
        assert_eq!(store.read_stream(stream(1), SequenceNumber(1), limit).unwrap().len(), expected, "{limit:?}");
    }
}

fn appends_are_bounded(store: &dyn Store) {
    let epoch = begin(store);
    let sized = |sequence, size| Record { payload: vec![0; size], ..record(1, sequence) };
    let refused = |records: &[Record]| {
        let error = store.append(epoch, records, &[]).unwrap_err();
        assert!(matches!(error, AppendError::TooLarge { .. }), "{error}");
        assert_eq!(store.last_position(), Position::ZERO);
    };
    refused(&[sized(1, limits::RECORD_BYTES_MAX + 1)]);
    refused(&records(1, 1, limits::BATCH_RECORDS_MAX as u64 + 1));
    let half = limits::BATCH_BYTES_MAX / 2;
    assert!(half <= limits::RECORD_BYTES_MAX);
    let mut batch = vec![sized(1, half), sized(2, half), sized(3, 1)];
    refused(&batch);
    batch.pop();
    append(store, epoch, &batch);
    append(store, epoch, &records(2, 1, limits::BATCH_RECORDS_MAX as u64));
    let puts: Vec<_> = (0..=limits::BATCH_OUTBOX_MAX as u64).map(|number| put(number, 1, 0)).collect();
    assert!(matches!(store.append(epoch, &[], &puts), Err(AppendError::TooLarge { .. })));
    store.append(epoch, &[], &puts[1..]).unwrap();
    assert_eq!(store.outbox_read(OutboxNumber(0), usize::MAX).unwrap().len(), limits::OUTBOX_PAGE_MAX);
}

fn counts_are_bounded(store: &dyn Store) {
    let count = limits::HISTORY_PAGE_MAX as u64 + 1;
    fill(store, count);
    let rows: Vec<_> = (1..=count).map(|number| row(number, 1, number, NOON_MS)).collect();
    store.project(Position(count), &rows).unwrap();
    for limit in [limits::HISTORY_PAGE_MAX, usize::MAX] {
        let page = store.history(&HistoryQuery { limit, ..HistoryQuery::all(sid(1)) }).unwrap();
        assert_eq!((page.events.len(), page.more), (limits::HISTORY_PAGE_MAX, true));
    }
    let chunks = |count: u64| store.save_snapshot(snapshot(1, 1, 1), &mut (0..count).map(|_| Vec::new()));
    assert!(matches!(chunks(limits::SNAPSHOT_CHUNKS_MAX + 1), Err(WriteError::TooLarge { .. })));
    assert!(store.snapshots().unwrap().newest.is_empty());
    chunks(limits::SNAPSHOT_CHUNKS_MAX).unwrap();
}

fn sizes_are_bounded(store: &dyn Store) {
    let epoch = begin(store);
    append(store, epoch, &[record(1, 1)]);

    let delivery = |size| {
        let OutboxChange::Put(entry) = put(1, 1, 0) else { unreachable!("it is a put") };
        [OutboxChange::Put(OutboxEntry { payload: vec![7; size], ..entry })]
    };
    let size = limits::OUTBOX_PAYLOAD_BYTES_MAX;
    assert!(matches!(store.append(epoch, &[], &delivery(size + 1)), Err(AppendError::TooLarge { .. })));
    store.append(epoch, &[], &delivery(size)).unwrap();

    let key = "k".repeat(limits::META_KEY_BYTES_MAX);
    store.meta_put(&key, &vec![7; limits::META_VALUE_BYTES_MAX]).unwrap();
    for (key, value) in [(format!("{key}k"), 0), (key, limits::META_VALUE_BYTES_MAX + 1)] {
        assert!(matches!(store.meta_put(&key, &vec![7; value]), Err(WriteError::TooLarge { .. })));
    }

    let chunk = |size| store.save_snapshot(snapshot(1, 1, 1), &mut std::iter::once(vec![7; size]));
    assert!(matches!(chunk(limits::SNAPSHOT_CHUNK_BYTES_MAX + 1), Err(WriteError::TooLarge { .. })));
    assert!(store.snapshots().unwrap().newest.is_empty());
    chunk(limits::SNAPSHOT_CHUNK_BYTES_MAX).unwrap();

    let project = |position, references: usize, payload: usize| {
        let mut row = row(position, 1, position, NOON_MS);
        row.references = (0..references as u64).map(|number| mention(Role::TaskQueue, number)).collect();
        row.payload = vec![7; payload];
        store.project(Position(position), &[row])
    };
    let (references, payload) = (limits::HISTORY_REFERENCES_MAX, limits::HISTORY_PAYLOAD_BYTES_MAX);
    assert!(matches!(project(1, references + 1, 0), Err(WriteError::TooLarge { .. })));
    assert!(matches!(project(1, 0, payload + 1), Err(WriteError::TooLarge { .. })));
    project(1, references, payload).unwrap();
}

fn the_newest_two_snapshots_are_kept(store: &dyn Store) {
    let epoch = begin(store);
    append(store, epoch, &records(1, 1, 3));
    append(store, epoch, &records(2, 1, 1));
    for sequence in 1..=3 {
        save(store, snapshot(1, sequence, sequence), &["state", "after", &sequence.to_string()]);
    }
    save(store, snapshot(2, 1, 4), &[]);
    let list = store.snapshots().unwrap();
    assert_eq!(list.newest, [snapshot(1, 3, 3), snapshot(2, 1, 4)]);
    assert_eq!(list.damaged, []);
    assert_eq!(load(store, snapshot(1, 3, 3)), ["state", "after", "3"]);
    assert_eq!(load(store, snapshot(1, 2, 2)), ["state", "after", "2"]);
    assert_eq!(load(store, snapshot(2, 1, 4)), Vec::<String>::new());
    assert!(matches!(store.read_snapshot(snapshot(1, 1, 1)), Err(ReadError::NoSnapshot { .. })));
    save(store, snapshot(1, 3, 3), &["again"]);
    assert_eq!(load(store, snapshot(1, 3, 3)), ["again"]);
    assert_eq!(load(store, snapshot(1, 2, 2)), ["state", "after", "2"]);
}

fn a_snapshot_cannot_be_ahead_of_its_stream(store: &dyn Store) {
    let epoch = begin(store);
    append(store, epoch, &records(1, 1, 3));
    let error = store.save_snapshot(snapshot(1, 4, 4), &mut std::iter::empty()).unwrap_err();
    assert!(matches!(error, WriteError::SnapshotAhead { last: SequenceNumber(3), .. }), "{error}");
    assert!(store.snapshots().unwrap().newest.is_empty());
}

fn trimming_needs_two_snapshots_and_the_history(store: &dyn Store) {
    let epoch = begin(store);
    append(store, epoch, &records(1, 1, 10));
    append(store, epoch, &records(2, 1, 10));
    save(store, snapshot(1, 6, 6), &["six"]);
    store.project(Position(4), &[row(2, 1, 1, NOON_MS)]).unwrap();
    assert_eq!(store.trim().unwrap(), 0, "one snapshot could be damaged");
    save(store, snapshot(1, 8, 8), &["eight"]);
    assert_eq!(store.trim().unwrap(), 4, "what is not in the history is kept");
    store.project(Position(20), &[]).unwrap();
    assert_eq!(store.trim().unwrap(), 2, "what the older snapshot needs is kept");
    assert_eq!(store.trim().unwrap(), 0);
    assert_eq!(store.read_after(Position::ZERO, ALL).unwrap().len(), 14);
    assert_eq!(store.read_stream(stream(1), SequenceNumber(6), ALL).unwrap().len(), 4);
    let error = store.read_stream(stream(1), SequenceNumber(5), ALL).unwrap_err();
    assert!(matches!(error, ReadError::Trimmed { first_after: SequenceNumber(6), .. }), "{error}");
}

fn a_trimmed_stream_goes_on(store: &dyn Store) {
    let epoch = begin(store);
    append(store, epoch, &records(1, 1, 3));
    save(store, snapshot(1, 3, 3), &["a"]);
    append(store, epoch, &[record(2, 1)]);
    append(store, epoch, &[record(1, 4)]);
    save(store, snapshot(1, 4, 5), &["b"]);
    append(store, epoch, &[record(1, 5)]);
    save(store, snapshot(1, 5, 6), &["c"]);
    store.project(Position(6), &[]).unwrap();
    assert_eq!(store.trim().unwrap(), 4);
    assert_eq!(store.streams().unwrap(), [(stream(1), SequenceNumber(5)), (stream(2), SequenceNumber(1))]);
    assert_eq!(append(store, epoch, &[record(1, 6)]), Position(7));
    assert_eq!(sequences(&store.read_stream(stream(1), SequenceNumber(4), ALL).unwrap()), [(6, 5), (7, 6)]);
}

fn a_deleted_stream_is_gone(store: &dyn Store) {
    let epoch = begin(store);
    append(store, epoch, &records(1, 1, 3));
    append(store, epoch, &records(2, 1, 2));
    save(store, snapshot(1, 2, 2), &["a"]);
    store.delete_stream(stream(1)).unwrap();
    assert_eq!(store.streams().unwrap(), [(stream(2), SequenceNumber(2))]);
    assert_eq!(store.read_stream(stream(1), SequenceNumber::ZERO, ALL).unwrap(), []);
    assert_eq!(sequences(&store.read_after(Position::ZERO, ALL).unwrap()), [(4, 1), (5, 2)]);
    assert!(store.snapshots().unwrap().newest.is_empty());
    assert!(matches!(store.read_snapshot(snapshot(1, 2, 2)), Err(ReadError::NoSnapshot { .. })));
    store.delete_stream(stream(2)).unwrap();
    assert_eq!(append(store, epoch, &[record(3, 1)]), Position(6), "positions are never used twice");
}

fn projecting_again_adds_nothing(store: &dyn Store) {
    fill(store, 10);
    let rows: Vec<_> = (1..=6).map(|number| row(number, 1, number, NOON_MS + number as i64)).collect();
    store.project(Position(3), &rows[..3]).unwrap();
    store.project(Position(3), &rows[..3]).unwrap();
    store.project(Position(2), &rows[..2]).unwrap();
    assert_eq!(store.history_position(), Position(3));
    store.project(Position(7), &rows).unwrap();
    assert_eq!(store.history_position(), Position(7));
    store.project(Position(9), &[]).unwrap();
    assert_eq!(store.history_position(), Position(9));
    let page = store.history(&HistoryQuery::all(sid(1))).unwrap();
    assert_eq!(payloads(&page), ["event 6", "event 5", "event 4", "event 3", "event 2", "event 1"]);
    assert!(!page.more);
}

fn rows_that_do_not_fit_are_refused(store: &dyn Store) {
    fill(store, 5);
    let refused = |up_to: u64, rows: &[pointsman_store::HistoryRow]| {
        let error = store.project(Position(up_to), rows).unwrap_err();
        assert_eq!(store.history_position(), Position::ZERO);
        error
    };
    assert!(matches!(refused(6, &[]), WriteError::ProjectedAhead { .. }));
    assert!(matches!(refused(3, &[row(4, 1, 1, NOON_MS)]), WriteError::RowOrder { .. }));
    assert!(matches!(refused(3, &[row(2, 1, 1, NOON_MS), row(1, 1, 2, NOON_MS)]), WriteError::RowOrder { .. }));
    assert!(matches!(refused(3, &[row(2, 1, 1, -1)]), WriteError::Instant { .. }));
    assert!(matches!(refused(3, &[row(2, 1, 1, limits::HISTORY_AT_MS_MAX + 1)]), WriteError::Instant { .. }));
    store.project(Position(1), &[row(1, 1, 1, 0)]).unwrap();
    store.project(Position(2), &[row(2, 1, 2, limits::HISTORY_AT_MS_MAX)]).unwrap();
    assert_eq!(payloads(&store.history(&HistoryQuery::all(sid(1))).unwrap()), ["event 2", "event 1"]);
}

/// Sixty events of two workspaces, an hour apart, over two and a half days.
fn sixty_events(store: &dyn Store) {
    fill(store, 60);
    let rows: Vec<_> =
        (0..60).map(|number| row(number + 1, 1 + number % 2, number, NOON_MS + number as i64 * 3_600_000)).collect();
    for part in rows.chunks(17) {
        store.project(part.last().unwrap().position, part).unwrap();
    }
}

fn history_is_filtered_by_every_condition(store: &dyn Store) {
    sixty_events(store);
    let all = HistoryQuery { limit: 100, order: HistoryOrder::OldestFirst, ..HistoryQuery::all(sid(1)) };
    let at = |hour: i64| NOON_MS + hour * 3_600_000;
    let expect = |query: &HistoryQuery, matches: &dyn Fn(u64) -> bool| {
        let expected: Vec<String> = (0..60)
            .filter(|number| number % 2 == 0 && matches(*number))
            .map(|number| format!("event {number}"))
            .collect();
        assert_eq!(payloads(&store.history(query).unwrap()), expected, "{query:?}");
        let newest = HistoryQuery { order: HistoryOrder::NewestFirst, ..query.clone() };
        let reversed: Vec<String> = expected.into_iter().rev().collect();
        assert_eq!(payloads(&store.history(&newest).unwrap()), reversed, "{newest:?}");
    };
    expect(&all, &|_| true);
    expect(&HistoryQuery { from_ms: at(20), to_ms: at(40), ..all.clone() }, &|number| (20..=40).contains(&number));
    expect(&HistoryQuery { from_ms: at(20) + 1, to_ms: at(40) - 1, ..all.clone() }, &|number| {
        (21..40).contains(&number)
    });
    expect(&HistoryQuery { from_ms: at(40), to_ms: at(20), ..all.clone() }, &|_| false);
    expect(&HistoryQuery { from_ms: i64::MIN, to_ms: i64::MAX, ..all.clone() }, &|_| true);
    expect(&HistoryQuery { kinds: vec![1], ..all.clone() }, &|number| number % 3 == 1);
    expect(&HistoryQuery { kinds: vec![2, 1, 1], ..all.clone() }, &|number| number % 3 != 0);
    expect(&HistoryQuery { kinds: vec![9], ..all.clone() }, &|_| false);
    let task = |number| vec![mention(Role::Task, number)];
    expect(&HistoryQuery { references: task(3), ..all.clone() }, &|number| number % 5 == 3);
    expect(&HistoryQuery { references: vec![mention(Role::Worker, 3)], ..all.clone() }, &|_| false);
    expect(&HistoryQuery { references: vec![mention(Role::Worker, 100)], ..all.clone() }, &|_| true);
    expect(
        &HistoryQuery {
            references: vec![mention(Role::Worker, 100), mention(Role::Task, 2)],
            kinds: vec![0],
            from_ms: at(10),
            ..all.clone()
        },
        &|number| number % 5 == 2 && number % 3 == 0 && number >= 10,
    );
    expect(&HistoryQuery { references: vec![mention(Role::Task, 2), mention(Role::Task, 3)], ..all.clone() }, &|_| {
        false
    });
    let other = HistoryQuery { workspace: sid(9), ..all };
    assert!(store.history(&other).unwrap().events.is_empty());
}

fn history_pages_meet_in_both_directions(store: &dyn Store) {
    sixty_events(store);
    let (newest_first, oldest_first) = (HistoryOrder::NewestFirst, HistoryOrder::OldestFirst);
    for (order, back) in [(newest_first, oldest_first), (oldest_first, newest_first)] {
        for references in [vec![], vec![mention(Role::Worker, 100)]] {
            let query = HistoryQuery { limit: 100, order, references, ..HistoryQuery::all(sid(1)) };
            let whole = payloads(&store.history(&query).unwrap());
            assert_eq!(whole.len(), 30);
            let mut forward = Vec::new();
            let mut cursor = None;
            let mut pages = Vec::new();
            loop {
                let page = store.history(&HistoryQuery { limit: 7, cursor, ..query.clone() }).unwrap();
                forward.extend(payloads(&page));
                let more = page.more;
                cursor = Some(page.events.last().unwrap().key);
                pages.push(page);
                if !more {
                    break;
                }
            }
            assert_eq!(forward, whole);
            assert_eq!(pages.len(), 5);
            for (index, page) in pages.iter().enumerate().skip(1) {
                let cursor = Some(page.events[0].key);
                let before = HistoryQuery { limit: 7, order: back, cursor, ..query.clone() };
                let mut before = store.history(&before).unwrap();
                before.events.reverse();
                assert_eq!(before.events, pages[index - 1].events);
                assert_eq!(before.more, index > 1);
            }
            let end = store.history(&HistoryQuery { limit: 7, cursor, ..query.clone() }).unwrap();
            assert_eq!((end.events.len(), end.more), (0, false));
            let exact = store.history(&HistoryQuery { limit: 30, ..query }).unwrap();
            assert_eq!((exact.events.len(), exact.more), (30, false));
        }
    }
}

fn history_pages_are_stable_while_rows_are_added(store: &dyn Store) {
    const EVENTS: u64 = 400;
    fill(store, EVENTS);
    let at = |number: u64| NOON_MS + number as i64 * 1_000;
    let add = |numbers: std::ops::Range<u64>| {
        let rows: Vec<_> = numbers.clone().map(|number| row(number + 1, 1, number, at(number))).collect();
        store.project(Position(numbers.end), &rows).unwrap();
    };
    add(0..100);
    thread::scope(|scope| {
        scope.spawn(|| {
            for start in (100..EVENTS).step_by(10) {
                add(start..start + 10);
            }
        });
        // Newest first from where this reader began: what is added meanwhile is before its first page.
        for _ in 0..10 {
            let first = store.history(&HistoryQuery { limit: 9, ..HistoryQuery::all(sid(1)) }).unwrap();
            let mut seen = payloads(&first);
            let newest: u64 = seen[0].strip_prefix("event ").unwrap().parse().unwrap();
            let mut last = first.events.last().unwrap().key;
            loop {
                let cursor = Some(last);
                let page = store.history(&HistoryQuery { limit: 9, cursor, ..HistoryQuery::all(sid(1)) }).unwrap();
                seen.extend(payloads(&page));
                if !page.more {
                    break;
                }
                last = page.events.last().unwrap().key;
            }
            let expected: Vec<String> = (0..=newest).rev().map(|number| format!("event {number}")).collect();
            assert_eq!(seen, expected);
        }
    });
}

fn an_event_is_found_by_its_sid_in_its_workspace_only(store: &dyn Store) {
    sixty_events(store);
    let event = store.history_event(sid(1), sid(1_000_010)).unwrap().unwrap();
    assert_eq!(event.payload, b"event 10");
    assert_eq!((event.kind, event.key.at_ms), (1, NOON_MS + 10 * 3_600_000));
    assert_eq!((event.sid, event.workspace), (sid(1_000_010), sid(1)));
    assert_eq!(store.history_event(sid(2), sid(1_000_010)).unwrap(), None);
    assert_eq!(store.history_event(sid(1), sid(1_000_011)).unwrap(), None);
    assert_eq!(store.history_event(sid(1), sid(5)).unwrap(), None);
}

fn events_of_one_instant_keep_their_order(store: &dyn Store) {
    fill(store, 300);
    let rows: Vec<_> = (0..300).map(|number| row(number + 1, 1, number, NOON_MS)).collect();
    for part in rows.chunks(100) {
        store.project(part.last().unwrap().position, part).unwrap();
    }
    let query = HistoryQuery { limit: 1_000, from_ms: NOON_MS, to_ms: NOON_MS, ..HistoryQuery::all(sid(1)) };
    let expected: Vec<String> = (0..300).rev().map(|number| format!("event {number}")).collect();
    assert_eq!(payloads(&store.history(&query).unwrap()), expected);
}

fn old_days_are_dropped_for_good(store: &dyn Store) {
    sixty_events(store);
    let midnight = NOON_MS + DAY_MS / 2;
    assert_eq!(store.retain(&Retention::all(midnight - 1)).unwrap().days, 0, "the day is not over");
    assert_eq!(store.retain(&Retention::all(midnight)).unwrap().days, 1);
    assert_eq!(store.retain(&Retention::all(midnight)).unwrap().days, 0);
    let query = HistoryQuery { limit: 100, ..HistoryQuery::all(sid(1)) };
    assert_eq!(store.history(&query).unwrap().events.len(), 24);
    assert_eq!(store.history_event(sid(1), sid(1_000_010)).unwrap(), None);
    assert_eq!(store.history_position(), Position(60));
    let epoch = begin(store);
    append(store, epoch, &records(2, 1, 2));
    store.project(Position(62), &[row(61, 1, 61, NOON_MS), row(62, 1, 62, NOON_MS + 3 * DAY_MS)]).unwrap();
    let page = store.history(&query).unwrap();
    assert_eq!(page.events.len(), 25, "a day that is dropped does not come back");
    assert_eq!(payloads(&page)[0], "event 62");
}

/// What each of the workspaces 1 to 3 shows.
fn events_of_three(store: &dyn Store) -> [Vec<String>; 3] {
    [1, 2, 3].map(|workspace| {
        let query = HistoryQuery { limit: 100, order: HistoryOrder::OldestFirst, ..HistoryQuery::all(sid(workspace)) };
        payloads(&store.history(&query).unwrap())
    })
}

fn each_workspace_keeps_its_own_days(store: &dyn Store) {
    fill(store, 12);
    let midnight = NOON_MS + DAY_MS / 2;
    // Three workspaces, which mention the same things, on each of three days; the third has nothing on the first.
    let rows: Vec<_> = (0..9)
        .filter(|number| *number != 2)
        .map(|number| row(number + 1, 1 + number % 3, number, NOON_MS + number as i64 / 3 * DAY_MS))
        .collect();
    store.project(Position(9), &rows).unwrap();
    let shows = |expected: [&[u64]; 3]| {
        let named = expected.map(|numbers| numbers.iter().map(|number| format!("event {number}")).collect::<Vec<_>>());
        assert_eq!(events_of_three(store), named);
        let report = store.check().unwrap();
        assert_eq!(
            (report.damage, report.history_events),
            (vec![], expected.map(<[u64]>::len).iter().sum::<usize>() as u64)
        );
    };
    let retain = |others: i64, first: i64| {
        let retention = Retention { from_ms: others, from_ms_of: [(sid(1), first)].into() };
        let dropped = store.retain(&retention).unwrap();
        (dropped.days, dropped.events)
    };
    shows([&[0, 3, 6], &[1, 4, 7], &[5, 8]]);
    assert_eq!(retain(0, midnight - 1), (0, 0), "the day is not over");
    assert_eq!(retain(0, midnight), (0, 1));
    shows([&[3, 6], &[1, 4, 7], &[5, 8]]);
    assert_eq!(retain(0, midnight), (0, 0));
    assert_eq!(store.history_event(sid(1), sid(1_000_000)).unwrap(), None);
    assert!(store.history_event(sid(2), sid(1_000_001)).unwrap().is_some());
    store.project(Position(10), &[row(10, 1, 9, NOON_MS), row(10, 2, 10, NOON_MS)]).unwrap();
    shows([&[3, 6], &[1, 10, 4, 7], &[5, 8]]);
    // One that keeps its events for longer than the others.
    assert_eq!(retain(midnight + DAY_MS, 0), (1, 2), "the first day has nobody left");
    shows([&[3, 6], &[7], &[8]]);
    assert_eq!(retain(midnight + DAY_MS, midnight), (0, 0));
    store.project(Position(11), &[row(11, 2, 11, NOON_MS), row(11, 2, 12, NOON_MS + DAY_MS)]).unwrap();
    shows([&[3, 6], &[7], &[8]]);
    let query = HistoryQuery { references: vec![mention(Role::Worker, 101)], ..HistoryQuery::all(sid(1)) };
    assert_eq!(payloads(&store.history(&query).unwrap()), ["event 3"]);
    assert_eq!(retain(midnight + DAY_MS, midnight + DAY_MS), (1, 0), "so goes the last of a day");
    shows([&[6], &[7], &[8]]);
    // Dead letters go by the same instants.
    let epoch = begin(store);
    let bury = |number| OutboxChange::Dead { sid: sid(number), at_ms: 100, payload: vec![] };
    store.append(epoch, &[], &[put(1, 1, 5), put(2, 2, 5)]).unwrap();
    store.append(epoch, &[], &[bury(1), bury(2)]).unwrap();
    retain(100, 101);
    let dead =
        |workspace| store.dead_letters(letters(workspace, 0), LetterPlace::After(OutboxNumber(0)), 10).unwrap().len();
    assert_eq!([dead(1), dead(2)], [0, 1]);
}

fn deliveries_wait_until_they_are_done(store: &dyn Store) {
    let epoch = begin(store);
    let read = |after: u64, limit| {
        let waiting = store.outbox_read(OutboxNumber(after), limit).unwrap();
        waiting.into_iter().map(|delivery| (delivery.number.0, delivery.entry)).collect::<Vec<_>>()
    };
    let entry = |change: OutboxChange| match change {
        OutboxChange::Put(entry) => entry,
        other => panic!("{other:?}"),
    };
    store.append(epoch, &[record(1, 1)], &[put(11, 1, 5), put(12, 1, 6), put(13, 2, 7)]).unwrap();
    assert_eq!(read(0, 10), [(1, entry(put(11, 1, 5))), (2, entry(put(12, 1, 6))), (3, entry(put(13, 2, 7)))]);
    assert_eq!(read(0, 2).len(), 2);
    assert_eq!(read(2, 10), [(3, entry(put(13, 2, 7)))]);
    store.append(epoch, &[], &[OutboxChange::Done { sid: sid(12) }, put(11, 1, 50)]).unwrap();
    assert_eq!(read(0, 10), [(1, entry(put(11, 1, 50))), (3, entry(put(13, 2, 7)))], "the number stays");
    // Which lane is which: see `put`.
    let lane = |workspace, number| OutboxLane { workspace: sid(workspace), number };
    let read_of = |workspace, number, after, limit| -> Vec<u64> {
        let waiting = store.outbox_read_of(lane(workspace, number), OutboxNumber(after), limit).unwrap();
        waiting.iter().map(|delivery| delivery.number.0).collect()
    };
    assert_eq!(store.outbox_lanes().unwrap(), [lane(1, 2), lane(2, 1)]);
    assert_eq!([read_of(1, 2, 0, 10), read_of(2, 1, 0, 10)], [[1], [3]]);
    assert_eq!([read_of(1, 1, 0, 10), read_of(2, 2, 0, 10), read_of(3, 1, 0, 10)], [[0; 0], [], []]);
    store.append(epoch, &[], &[put(15, 1, 1), put(17, 1, 1)]).unwrap();
    assert_eq!(store.outbox_lanes().unwrap(), [lane(1, 0), lane(1, 2), lane(2, 1)]);
    assert_eq!([read_of(1, 2, 0, 10), read_of(1, 2, 0, 1), read_of(1, 2, 1, 10)], [vec![1, 5], vec![1], vec![5]]);
    // One that is put again may be in another.
    let again = OutboxEntry { lane: 7, ..entry(put(17, 1, 1)) };
    store.append(epoch, &[], &[OutboxChange::Put(again)]).unwrap();
    assert_eq!([read_of(1, 2, 0, 10), read_of(1, 7, 0, 10)], [[1], [5]]);
    store.append(epoch, &[], &[13, 15, 17].map(|number| OutboxChange::Done { sid: sid(number) })).unwrap();
    assert_eq!(store.outbox_lanes().unwrap(), [lane(1, 2)]);
    store.append(epoch, &[], &[OutboxChange::Done { sid: sid(99) }, put(14, 1, 1)]).unwrap();
    assert_eq!(read(0, 10), [(1, entry(put(11, 1, 50))), (6, entry(put(14, 1, 1)))]);
}

fn letters(workspace: u64, from_ms: i64) -> KeptLetters {
    KeptLetters { workspace: sid(workspace), from_ms }
}

fn dead_letters_wait_for_their_replay(store: &dyn Store) {
    let epoch = begin(store);
    let bury = |number, at_ms| OutboxChange::Dead { sid: sid(number), at_ms, payload: b"404".to_vec() };
    store.append(epoch, &[], &[put(1, 1, 5), put(2, 1, 6), put(3, 1, 7), put(4, 2, 8)]).unwrap();
    store.append(epoch, &[], &[bury(1, 100), bury(2, 200), bury(4, 300), bury(99, 1)]).unwrap();
    let dead = |workspace, after, limit| {
        store.dead_letters(letters(workspace, 0), LetterPlace::After(OutboxNumber(after)), limit).unwrap()
    };
    let before = |workspace, number, limit| {
        store.dead_letters(letters(workspace, 0), LetterPlace::Before(OutboxNumber(number)), limit).unwrap()
    };
    let letter = |number: u64, workspace, at_ms| DeadLetter {
        number: OutboxNumber(number),
        sid: sid(number),
        workspace: sid(workspace),
        at_ms,
        payload: b"404".to_vec(),
    };
    assert_eq!(dead(1, 0, 10), [letter(1, 1, 100), letter(2, 1, 200)]);
    assert_eq!(dead(1, 0, 1).len(), 1);
    assert_eq!(dead(1, 1, 10), [letter(2, 1, 200)]);
    assert_eq!(dead(2, 0, 10), [letter(4, 2, 300)]);
    assert_eq!(before(1, u64::MAX, 10), [letter(1, 1, 100), letter(2, 1, 200)], "in order all the same");
    assert_eq!(before(1, u64::MAX, 1), [letter(2, 1, 200)]);
    assert_eq!(before(1, 2, 10), [letter(1, 1, 100)]);
    assert_eq!(before(1, 1, 10), []);
    let counts = |workspace| store.outbox_counts(letters(workspace, 0)).unwrap();
    assert_eq!(counts(1), OutboxCounts { waiting: 1, dead: 2 });
    assert_eq!(counts(2), OutboxCounts { waiting: 0, dead: 1 });
    assert_eq!(counts(3), OutboxCounts::default());
    assert_eq!(store.dead_letter(letters(1, 0), sid(2)).unwrap(), Some(letter(2, 1, 200)));
    // What is not kept any more, though it is still there.
    for (from_ms, kept) in [(100, 2), (101, 1), (200, 1), (201, 0)] {
        let of = letters(1, from_ms);
        assert_eq!(store.outbox_counts(of).unwrap(), OutboxCounts { waiting: 1, dead: kept });
        for place in [LetterPlace::After(OutboxNumber(0)), LetterPlace::Before(OutboxNumber(u64::MAX))] {
            assert_eq!(store.dead_letters(of, place, 10).unwrap().len() as u64, kept);
        }
        assert_eq!(store.dead_letter(of, sid(2)).unwrap().is_some(), kept > 0);
    }
    for (workspace, delivery) in [(2, 2), (1, 3), (1, 99)] {
        assert_eq!(store.dead_letter(letters(workspace, 0), sid(delivery)).unwrap(), None, "{workspace} {delivery}");
    }
    assert_eq!(store.outbox_read(OutboxNumber(0), 10).unwrap().len(), 1);
    store.append(epoch, &[], &[put(2, 1, 9)]).unwrap();
    assert_eq!(dead(1, 0, 10), [letter(1, 1, 100)]);
    assert_eq!(store.outbox_read(OutboxNumber(0), 10).unwrap().len(), 2);
    store.retain(&Retention::all(100)).unwrap();
    assert_eq!(dead(1, 0, 10).len(), 1);
    store.retain(&Retention::all(101)).unwrap();
    assert_eq!(dead(1, 0, 10), []);
    assert_eq!(dead(2, 0, 10).len(), 1);
    assert_eq!(store.outbox_read(OutboxNumber(0), 10).unwrap().len(), 2, "what waits does not grow old");
}

fn meta_values_are_kept(store: &dyn Store) {
    store.meta_put("clock", b"1").unwrap();
    store.meta_put("epoch", b"mine").unwrap();
    store.meta_put("clock", b"2").unwrap();
    assert_eq!(store.meta("clock").unwrap().as_deref(), Some(&b"2"[..]));
    assert_eq!(store.meta("epoch").unwrap().as_deref(), Some(&b"mine"[..]));
    let first = begin(store);
    assert_eq!(begin(store), Epoch(first.0 + 1));
    assert_eq!(store.meta("epoch").unwrap().as_deref(), Some(&b"mine"[..]));
}

fn a_probe_leaves_nothing_behind(store: &dyn Store) {
    for bytes in [0, 1, 256 << 10] {
        store.probe(bytes).unwrap();
    }
    assert_eq!(store.check().unwrap(), CheckReport::default());
}

fn a_check_counts_everything(store: &dyn Store) {
    sixty_events(store);
    save(store, snapshot(1, 5, 5), &["a"]);
    save(store, snapshot(1, 6, 6), &["b"]);
    let epoch = begin(store);
    store.append(epoch, &[], &[put(1, 1, 1)]).unwrap();
    let report = store.check().unwrap();
    assert_eq!((report.records, report.snapshots, report.history_events, report.deliveries), (60, 2, 60, 1));
    assert_eq!(report.damage, []);
}

fn reads_go_on_beside_appends(store: &dyn Store) {
    let epoch = begin(store);
    thread::scope(|scope| {
        scope.spawn(|| {
            for sequence in 1..=300 {
                append(store, epoch, &[record(1, sequence), record(2, sequence)]);
            }
        });
        let mut position = Position::ZERO;
        let mut count = 0;
        while count < 600 {
            let acknowledged = store.last_position();
            let read = store.read_after(position, ReadLimit { records: 50, bytes: usize::MAX }).unwrap();
            for (expected, (found, _)) in (position.0 + 1..).zip(&read) {
                assert_eq!(found.0, expected);
            }
            let wanted = acknowledged.0.saturating_sub(position.0).min(50);
            assert!(read.len() as u64 >= wanted, "what is acknowledged is seen");
            position = read.last().map_or(position, |(position, _)| *position);
            count += read.len();
        }
    });
}
