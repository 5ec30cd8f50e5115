//! Public events alone: rows of the history, what they are found by, and the numbers of their kinds.

use pointsman_engine::{EventKind, PublicEvent, Sid};
use pointsman_record::public_event::{
    HistoryReference, Role, decode, encode, history_references, kind_from_number, kind_number,
};

use crate::samples;

const KINDS: u16 = 49;

fn kinds() -> impl Iterator<Item = EventKind> {
    (1..=KINDS).map(|number| kind_from_number(number).unwrap())
}

#[test]
fn every_kind_has_a_number_and_every_number_its_kind() {
    for number in 1..=KINDS {
        assert_eq!(kind_number(kind_from_number(number).unwrap()), number);
    }
    assert_eq!(kind_from_number(0), None);
    assert_eq!(kind_from_number(KINDS + 1), None);
    assert_eq!(kind_from_number(u16::MAX), None);
    assert_eq!(kind_number(EventKind::TaskCreated), 1);
    assert_eq!(kind_number(EventKind::WorkspaceDeleted), KINDS);
}

#[test]
fn every_kind_reads_back_the_same_with_all_groups_and_with_none() {
    for kind in kinds() {
        let number = u64::from(kind_number(kind));
        for event in [samples::bare_public_event(kind, number), samples::full_public_event(kind, number)] {
            assert_eq!(decode(&encode(&event)).unwrap(), event);
        }
    }
}

#[test]
fn each_group_reads_back_the_same_without_the_others() {
    let bare = samples::bare_public_event(EventKind::TaskUpdated, 1);
    let full = samples::full_public_event(EventKind::TaskUpdated, 1);
    let events = [
        PublicEvent { source_ip: full.source_ip, ..bare.clone() },
        PublicEvent { task: full.task, ..bare.clone() },
        PublicEvent { task_queue: full.task_queue, ..bare.clone() },
        PublicEvent { workflow: full.workflow, ..bare.clone() },
        PublicEvent { step: full.step, ..bare.clone() },
        PublicEvent { previous: full.previous, ..bare.clone() },
        PublicEvent { worker: full.worker, ..bare.clone() },
        PublicEvent { activity_change: full.activity_change, ..bare.clone() },
        PublicEvent { worker_channel: full.worker_channel, ..bare.clone() },
        PublicEvent { reservation: full.reservation, ..bare.clone() },
        PublicEvent { transfer: full.transfer, ..bare.clone() },
        PublicEvent { activity: full.activity, ..bare.clone() },
        PublicEvent { task_channel: full.task_channel, ..bare },
    ];
    for event in events {
        assert_eq!(decode(&encode(&event)).unwrap(), event);
    }
}

#[test]
fn an_event_is_found_by_everything_its_groups_mention() {
    let event = samples::full_public_event(EventKind::TaskUpdated, 1);
    let expected = [
        (Role::Task, 13),
        (Role::Worker, 4),
        (Role::Worker, 5),
        (Role::Worker, 7),
        (Role::Worker, 8),
        (Role::TaskQueue, 9),
        (Role::TaskQueue, 10),
        (Role::TaskQueue, 12),
        (Role::Workflow, 11),
        (Role::Reservation, 20),
        (Role::Reservation, 21),
        (Role::TaskChannel, 3),
        (Role::TaskChannel, 6),
        (Role::TaskChannel, 23),
    ]
    .map(|(role, byte)| HistoryReference { role, sid: [byte; 16] });
    assert_eq!(history_references(&event), expected);
}

#[test]
fn what_is_mentioned_twice_is_told_once() {
    let mut event = samples::full_public_event(EventKind::TaskUpdated, 1);
    let worker = Sid::from_bytes([5; 16]);
    event.task.as_mut().unwrap().known_worker = Some(worker);
    event.transfer.as_mut().unwrap().initiating_worker = worker;
    let mentioned = history_references(&event);
    assert_eq!(mentioned.iter().filter(|reference| reference.sid == worker.bytes()).count(), 1);
}

#[test]
fn an_event_without_groups_is_found_by_nothing() {
    assert_eq!(history_references(&samples::bare_public_event(EventKind::WorkspaceUpdated, 1)), []);
}
