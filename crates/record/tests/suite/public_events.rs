//! Public events alone: rows of the history, what they are found by, and the numbers of their kinds.

use pointsman_engine::{EventKind, EventReference, PublicEvent, Sid};
use pointsman_record::public_event::{decode, encode, kind_from_number, kind_number};

use crate::samples;

const KINDS: u16 = 49;

fn sid<E>(byte: u8) -> Sid<E> {
    Sid::from_bytes([byte; 16])
}

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
        EventReference::Task(sid(13)),
        EventReference::Worker(sid(4)),
        EventReference::Worker(sid(5)),
        EventReference::Worker(sid(7)),
        EventReference::Worker(sid(8)),
        EventReference::TaskQueue(sid(9)),
        EventReference::TaskQueue(sid(10)),
        EventReference::TaskQueue(sid(12)),
        EventReference::Workflow(sid(11)),
        EventReference::Reservation(sid(20)),
        EventReference::Reservation(sid(21)),
        EventReference::TaskChannel(sid(3)),
        EventReference::TaskChannel(sid(6)),
        EventReference::TaskChannel(sid(23)),
    ];
    assert_eq!(event.references(), expected);
}

#[test]
fn what_is_mentioned_twice_is_told_once() {
    let mut event = samples::full_public_event(EventKind::TaskUpdated, 1);
    let worker = Sid::from_bytes([5; 16]);
    event.task.as_mut().unwrap().known_worker = Some(worker);
    event.transfer.as_mut().unwrap().initiating_worker = worker;
    let mentioned = event.references();
    assert_eq!(mentioned.iter().filter(|reference| **reference == EventReference::Worker(worker)).count(), 1);
}

#[test]
fn an_event_without_groups_is_found_by_nothing() {
    assert_eq!(samples::bare_public_event(EventKind::WorkspaceUpdated, 1).references(), []);
}
