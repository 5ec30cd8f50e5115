//! One value of everything that is ever written down, with each optional part there at least once.

use std::collections::BTreeSet;
use std::sync::Arc;

use pointsman_engine::accounts::{AccountEvent, AccountStatus};
use pointsman_engine::{
    Activity, ActivityChangeFacts, ActivityFacts, DurationMs, Event, EventKind, HoldOff, Id, Kept, Ordering, Place,
    Position, PreviousFacts, Priority, PublicEvent, Reservation, ReservationFacts, ReservationStatus, RestartCause,
    RoutingCause, RoutingTarget, RoutingTargetFacts, Rules, Sid, Snapshot, StepFacts, Task, TaskChannel,
    TaskChannelFacts, TaskFacts, TaskQueueDefinition, TaskQueueFacts, TaskQueueRow, TaskRow, TaskStatus, Tasking,
    Timestamp, Transfer, TransferFacts, TransferMode, TransferStatus, TransferTarget, Version, VoiceCall, Worker,
    WorkerChannel, WorkerChannelFacts, WorkerFacts, WorkflowDefinition, WorkflowFacts, WorkflowRow, Workspace,
    WorkspaceSettings, derive_sid,
};
use pointsman_expression::Attributes;

pub(crate) const SEED: [u8; 16] = *b"sixteen bytes ok";
const NOW: i64 = 1_760_000_000_123;

fn id<E>(number: u64) -> Id<E> {
    Id::new(number)
}

fn sid<E>(byte: u8) -> Sid<E> {
    Sid::from_bytes([byte; 16])
}

fn voice_call() -> VoiceCall {
    VoiceCall {
        instruction: r#"{"instruction":"dequeue"}"#.into(),
        worker_call: Some("CA00000000000000000000000000000001".into()),
        customer_call: None,
        conference: Some("CF00000000000000000000000000000001".into()),
        is_answered: true,
        is_over: false,
        is_customer_sent_for: false,
        is_customer_there: false,
        customer_report: 0,
        was_customer_there: false,
        is_customer_called: false,
        has_customer_answered: false,
        requests: 3,
        requests_before: 1,
        call_reports: 5,
        conference_reports: 2,
    }
}

fn at(after_ms: i64) -> Timestamp {
    Timestamp(NOW + after_ms)
}

fn text(text: &str) -> Arc<str> {
    text.into()
}

fn attributes() -> Attributes {
    Attributes::parse(r#"{"language": "fr", "level": 3.50, "née": "é\u00e9"}"#).unwrap()
}

fn settings() -> WorkspaceSettings {
    WorkspaceSettings {
        friendly_name: text("Support"),
        event_callback_url: Some(text("https://example.com/events")),
        events_filter: Some(text("")),
        tasking: Tasking::Multi,
        prioritize_queue_order: Ordering::Lifo,
        default_activity: id(1),
        timeout_activity: id(1),
    }
}

fn task_queue() -> TaskQueueDefinition {
    TaskQueueDefinition {
        friendly_name: text("French"),
        target_workers: Some(text("languages HAS 'fr'")),
        max_reserved_workers: 50,
        task_order: Ordering::Fifo,
        reservation_activity: Some(id(1)),
        assignment_activity: Some(id(2)),
    }
}

fn nobody() -> TaskQueueDefinition {
    TaskQueueDefinition {
        friendly_name: text("Nobody"),
        target_workers: None,
        max_reserved_workers: 1,
        task_order: Ordering::Lifo,
        reservation_activity: None,
        assignment_activity: None,
    }
}

/// Rules that send everything to the queue with this number.
fn workflow(task_queue: u64, timeout_seconds: u32) -> WorkflowDefinition {
    let queue = derive_sid::<pointsman_engine::TaskQueue>(SEED, task_queue);
    let configuration = format!(
        r#"{{"task_routing":{{"filters":[{{"expression":"1==1","targets":[{{"queue":"{queue}","timeout":{timeout_seconds}}}]}}],"default_filter":{{"queue":"{queue}"}}}}}}"#
    );
    WorkflowDefinition {
        friendly_name: text("Everything"),
        configuration: configuration.into(),
        assignment_callback_url: Some(text("https://example.com/assign")),
        fallback_assignment_callback_url: None,
        task_reservation_timeout_seconds: 120,
    }
}

/// Every kind of event; those that have alternatives, with each of them.
pub(crate) fn events() -> Vec<Event> {
    let placed = |place, task_queue| Event::TaskPlaced {
        id: id(13),
        place,
        task_queue,
        priority: Priority(2_147_483_647),
        clock_start: at(-1),
        budget_seconds: u64::MAX,
        version: Version(u64::MAX),
    };
    let created = |routing_target, workflow: Option<u64>| Event::TaskCreated {
        id: id(13),
        attributes: attributes(),
        priority: Priority(0),
        task_channel: id(3),
        timeout_seconds: 86_400,
        virtual_start_time: Timestamp(i64::MIN),
        workflow: workflow.map(id),
        follows_workflow: workflow.is_some(),
        routing_target,
        ignore_capacity: workflow.is_none(),
        enqueue_action: workflow.map(|_| text("https://app.example/next")),
    };
    vec![
        Event::TimeAdvanced { at: at(0) },
        Event::WorkspaceCreated { sid: sid(1), number: 0, account: sid(2), seed: SEED, settings: settings() },
        Event::WorkspaceUpdated {
            settings: WorkspaceSettings {
                event_callback_url: None,
                events_filter: None,
                tasking: Tasking::Single,
                ..settings()
            },
        },
        Event::WorkspaceDeleted,
        Event::ActivityCreated { id: id(u64::MAX), friendly_name: text(""), available: true },
        Event::ActivityRenamed { id: id(2), friendly_name: text("Occupé") },
        Event::ActivityDeleted { id: id(2) },
        Event::TaskChannelCreated {
            id: id(3),
            unique_name: text("voice"),
            friendly_name: text("Voice"),
            optimized_routing: true,
            built_in: true,
        },
        Event::TaskChannelUpdated { id: id(3), friendly_name: text("Voix"), optimized_routing: false },
        Event::TaskChannelDeleted { id: id(3) },
        Event::WorkerCreated { id: id(4), friendly_name: text("alice"), attributes: attributes(), activity: id(1) },
        Event::WorkerChannelAdded { worker: id(4), task_channel: id(3), id: id(5) },
        Event::WorkerUpdated {
            id: id(4),
            friendly_name: text("bob"),
            attributes: Attributes::default(),
            version: Version(0),
        },
        Event::WorkerActivityChanged { id: id(4), activity: id(2), version: Version(1), reservation: None },
        Event::WorkerActivityChanged { id: id(4), activity: id(2), version: Version(1), reservation: Some(id(20)) },
        Event::WorkerChannelUpdated {
            worker: id(4),
            task_channel: id(3),
            capacity: 0,
            available: false,
            worker_version: Version(7),
        },
        Event::WorkerDeleted { id: id(4) },
        Event::TaskQueueCreated { id: id(9), definition: task_queue() },
        Event::TaskQueueUpdated { id: id(9), definition: nobody() },
        Event::TaskQueueDeleted { id: id(9) },
        Event::WorkflowCreated { id: id(11), definition: workflow(9, 5) },
        Event::WorkflowUpdated { id: id(11), definition: workflow(9, 6) },
        Event::WorkflowDeleted { id: id(11) },
        created(None, Some(11)),
        created(Some(RoutingTarget::Worker(id(4))), None),
        created(Some(RoutingTarget::TaskQueue(id(9))), None),
        Event::TaskUpdated {
            id: id(13),
            attributes: attributes(),
            priority: Priority(1),
            task_channel: id(3),
            virtual_start_time: Timestamp(i64::MAX),
            reason: Some(text("")),
            version: Version(3),
        },
        placed(
            Some(Place::Step { position: Position::Target { filter: 0, target: 7 }, deadline: Some(at(5)) }),
            Some(id(9)),
        ),
        placed(Some(Place::Step { position: Position::Default, deadline: None }), Some(id(9))),
        placed(Some(Place::Queue), Some(id(9))),
        placed(Some(Place::Worker(id(4))), None),
        placed(None, None),
        Event::TaskStatusChanged { id: id(13), status: TaskStatus::Pending, reason: None, version: Version(4) },
        Event::TaskStatusChanged { id: id(13), status: TaskStatus::Reserved, reason: None, version: Version(4) },
        Event::TaskStatusChanged { id: id(13), status: TaskStatus::Assigned, reason: None, version: Version(4) },
        Event::TaskStatusChanged { id: id(13), status: TaskStatus::Wrapping, reason: None, version: Version(4) },
        Event::TaskStatusChanged { id: id(13), status: TaskStatus::Completed, reason: None, version: Version(4) },
        Event::TaskStatusChanged {
            id: id(13),
            status: TaskStatus::Canceled,
            reason: Some(text("TTL")),
            version: Version(4),
        },
        Event::TaskConfigurationChanged { id: id(13) },
        Event::TaskRestartChanged { id: id(13), restart: None },
        Event::TaskRestartChanged { id: id(13), restart: Some(RestartCause::TaskUpdated) },
        Event::TaskRestartChanged { id: id(13), restart: Some(RestartCause::WorkflowUpdated) },
        Event::TaskHoldOffChanged { id: id(13), failures: 0, until: None },
        Event::TaskHoldOffChanged { id: id(13), failures: u32::MAX, until: Some(at(0)) },
        Event::TaskRemoved { id: id(13) },
        Event::ReservationCreated {
            id: id(20),
            task: id(13),
            worker: id(4),
            timeout_seconds: 120,
            transfer: None,
            worker_version: Version(9),
        },
        Event::ReservationCreated {
            id: id(21),
            task: id(13),
            worker: id(4),
            timeout_seconds: 0,
            transfer: Some(id(22)),
            worker_version: Version(9),
        },
        reservation_changed(ReservationStatus::Pending, None),
        reservation_changed(ReservationStatus::Accepted, None),
        reservation_changed(ReservationStatus::Rejected, None),
        reservation_changed(ReservationStatus::Timeout, None),
        reservation_changed(ReservationStatus::Canceled, Some(13_223)),
        reservation_changed(ReservationStatus::Rescinded, Some(0)),
        reservation_changed(ReservationStatus::Wrapping, None),
        reservation_changed(ReservationStatus::Completed, None),
        Event::ReservationHoldChanged { id: id(20), until: None },
        Event::ReservationHoldChanged { id: id(20), until: Some(at(600_000)) },
        Event::ReservationCallChanged { id: id(20), call: None },
        Event::ReservationCallChanged { id: id(20), call: Some(Box::new(voice_call())) },
        Event::TransferInitiated {
            id: id(22),
            task: id(13),
            initiating_reservation: id(20),
            target: TransferTarget::Worker(id(4)),
            mode: TransferMode::Warm,
            version: Version(0),
        },
        Event::TransferInitiated {
            id: id(22),
            task: id(13),
            initiating_reservation: id(20),
            target: TransferTarget::TaskQueue(id(9)),
            mode: TransferMode::Cold,
            version: Version(0),
        },
        transfer_changed(TransferStatus::Initiated, None),
        transfer_changed(TransferStatus::Complete, None),
        transfer_changed(TransferStatus::Failed, Some(text("rejected"))),
        transfer_changed(TransferStatus::Canceled, None),
    ]
}

fn reservation_changed(status: ReservationStatus, reason_code: Option<u32>) -> Event {
    Event::ReservationStatusChanged { id: id(20), status, reason_code, version: Version(2) }
}

fn transfer_changed(status: TransferStatus, failed_reason: Option<Arc<str>>) -> Event {
    Event::TransferChanged { id: id(22), status, failed_reason, version: Version(1) }
}

/// An event without any group.
pub(crate) fn bare_public_event(kind: EventKind, number: u64) -> PublicEvent {
    PublicEvent {
        id: id(number),
        sid: derive_sid(SEED, number),
        kind,
        at: at(number as i64),
        workspace_name: text("Support"),
        operating_unit: derive_sid(SEED, 0),
        source_ip: None,
        task: None,
        task_queue: None,
        workflow: None,
        step: None,
        previous: None,
        worker: None,
        activity_change: None,
        worker_channel: None,
        reservation: None,
        transfer: None,
        activity: None,
        task_channel: None,
    }
}

/// An event with every group, which no kind has.
pub(crate) fn full_public_event(kind: EventKind, number: u64) -> PublicEvent {
    PublicEvent {
        source_ip: Some(text("2001:db8::1")),
        task: Some(Box::new(TaskFacts {
            sid: sid(13),
            attributes: text(r#"{"language":"fr"}"#),
            priority: Priority(1),
            status: TaskStatus::Reserved,
            task_channel: Some((sid(3), text("voice"))),
            version: Version(2),
            date_created: at(-86_400_000),
            virtual_start_time: at(-86_400_001),
            timeout_seconds: 86_400,
            ignore_capacity: true,
            routing_target: Some(RoutingTargetFacts::TaskQueue(sid(9))),
            reason: Some(text("why not")),
            known_worker: Some(sid(4)),
            accepted_before: true,
        })),
        task_queue: Some(TaskQueueFacts {
            sid: sid(10),
            friendly_name: text("French"),
            target_workers: Some(text("languages HAS 'fr'")),
            entered: Some(at(-5)),
        }),
        workflow: Some(WorkflowFacts { sid: sid(11), friendly_name: text("Everything") }),
        step: Some(Box::new(StepFacts {
            position: Position::Target { filter: 3, target: 0 },
            filter_expression: Some(text("language == 'fr'")),
            filter_name: Some(text("French")),
            target_expression: Some(text("task.language IN worker.languages")),
            target_name: Some(text("speakers")),
            cause: Some(RoutingCause::TargetTimeout),
        })),
        previous: Some(Box::new(PreviousFacts {
            task_queue: Some((sid(12), text("English"))),
            priority: Priority(7),
            moved_to: Some(text("French")),
            cause: Some(RoutingCause::Transfer),
        })),
        worker: Some(Box::new(WorkerFacts {
            sid: sid(5),
            friendly_name: text("alice"),
            attributes: text(r#"{"languages":["fr"]}"#),
            activity: sid(2),
            activity_name: text("Available"),
            available: true,
            version: Version(8),
            date_created: at(-1_000_000),
            date_updated: at(-1_000),
            date_status_changed: at(-500),
        })),
        activity_change: Some(Box::new(ActivityChangeFacts {
            previous: sid(1),
            previous_name: text("Offline"),
            since: at(-1_000_000),
        })),
        worker_channel: Some(Box::new(WorkerChannelFacts {
            task_channel: sid(6),
            unique_name: text("chat"),
            available: true,
            capacity: 50,
            previous_capacity: 1,
            available_capacity_percentage: 100,
            assigned_tasks: 2,
        })),
        reservation: Some(Box::new(ReservationFacts {
            sid: sid(20),
            version: Version(1),
            status: ReservationStatus::Canceled,
            timeout_seconds: 120,
            reason_code: Some(13_223),
            channel_capacity: 3,
            channel_consumed: 2,
            channel_last_reserved: at(-9),
        })),
        transfer: Some(Box::new(TransferFacts {
            sid: sid(22),
            mode: TransferMode::Cold,
            to: RoutingTargetFacts::Worker(sid(7)),
            status: TransferStatus::Failed,
            initiating_worker: sid(8),
            initiating_reservation: sid(21),
            started: at(-50),
            failed_reason: Some(text("no answer")),
        })),
        activity: Some(ActivityFacts { sid: sid(1), friendly_name: text("Offline"), available: false }),
        task_channel: Some(TaskChannelFacts {
            sid: sid(23),
            friendly_name: text("Voice"),
            unique_name: text("voice"),
            optimized_routing: true,
        }),
        ..bare_public_event(kind, number)
    }
}

/// A row of everything, one retired of each table that keeps them, and both kinds of rules.
pub(crate) fn snapshot() -> Snapshot {
    let live = |number, name: &str| Activity {
        id: id(number),
        sid: derive_sid(SEED, number),
        friendly_name: text(name),
        available: number == 2,
        date_created: at(-100),
        date_updated: at(-99),
    };
    let task_channel = |number, name: &str| TaskChannel {
        id: id(number),
        sid: derive_sid(SEED, number),
        unique_name: text(name),
        friendly_name: text(name),
        optimized_routing: false,
        built_in: number == 4,
        date_created: at(-100),
        date_updated: at(-98),
    };
    let alice = Worker {
        id: id(6),
        sid: derive_sid(SEED, 6),
        friendly_name: text("alice"),
        attributes: attributes(),
        activity: id(2),
        version: Version(5),
        date_created: at(-90),
        date_updated: at(-89),
        date_status_changed: at(-88),
        last_reserved: at(-10),
        channels: vec![WorkerChannel {
            sid: derive_sid(SEED, 7),
            task_channel: id(4),
            capacity: 3,
            available: true,
            date_created: at(-90),
            date_updated: at(-90),
            last_reserved: at(-10),
            pending: 0,
            accepted: 1,
            wrapping: 0,
        }],
        reservations: BTreeSet::from([id(16)]),
        active: vec![id(16)],
    };
    let bob = Worker {
        id: id(8),
        sid: derive_sid(SEED, 8),
        friendly_name: text("bob"),
        attributes: Attributes::default(),
        activity: id(3),
        channels: Vec::new(),
        reservations: BTreeSet::from([id(15)]),
        active: Vec::new(),
        ..alice.clone()
    };
    let queue =
        |number, definition| TaskQueueRow { id: id(number), definition, date_created: at(-80), date_updated: at(-79) };
    let rules = |number, timeout_seconds| WorkflowRow {
        id: id(number),
        definition: workflow(9, timeout_seconds),
        date_created: at(-70),
        date_updated: at(-69),
    };
    let waiting = Task {
        id: id(13),
        sid: derive_sid(SEED, 13),
        attributes: attributes(),
        status: TaskStatus::Pending,
        priority: Priority(4),
        reason: None,
        task_channel: id(4),
        timeout_seconds: 86_400,
        virtual_start_time: at(-60),
        date_created: at(-60),
        date_updated: at(-59),
        version: Version(1),
        task_queue: Some(id(9)),
        task_queue_entered: Some(at(-60)),
        workflow: Some(id(11)),
        routing_target: None,
        ignore_capacity: false,
        enqueue_action: Some(text("https://app.example/next")),
        configuration: None,
        place: Some(Place::Step { position: Position::Target { filter: 0, target: 0 }, deadline: Some(at(5_000)) }),
        clock_start: at(-60),
        budget_seconds: 0,
        restart: None,
        assignments: 1,
        hold_off: HoldOff { failures: 2, until: Some(at(1_000)) },
        first_accepted: None,
        finished: None,
        reservations: vec![id(15)],
        active: Vec::new(),
        acceptances: 0,
        transfers: Vec::new(),
    };
    let assigned = Task {
        id: id(14),
        sid: derive_sid(SEED, 14),
        status: TaskStatus::Assigned,
        reason: Some(text("because")),
        restart: Some(RestartCause::TaskUpdated),
        hold_off: HoldOff::default(),
        first_accepted: Some(at(-9)),
        reservations: vec![id(16)],
        active: vec![id(16)],
        acceptances: 1,
        transfers: vec![id(17)],
        place: None,
        ..waiting.clone()
    };
    let over = Task {
        id: id(18),
        sid: derive_sid(SEED, 18),
        status: TaskStatus::Canceled,
        task_channel: id(5),
        task_queue: Some(id(10)),
        workflow: Some(id(12)),
        routing_target: Some(RoutingTarget::Worker(id(8))),
        ignore_capacity: true,
        enqueue_action: None,
        place: Some(Place::Worker(id(8))),
        finished: Some(at(-1)),
        reservations: Vec::new(),
        active: Vec::new(),
        acceptances: 0,
        ..waiting.clone()
    };
    let rejected = Reservation {
        id: id(15),
        sid: derive_sid(SEED, 15),
        task: id(13),
        worker: id(8),
        task_queue: Some(id(9)),
        task_queue_entered: Some(at(-60)),
        status: ReservationStatus::Rejected,
        date_created: at(-58),
        date_updated: at(-57),
        version: Version(1),
        timeout_seconds: 120,
        on_hold_until: None,
        rested: DurationMs(1_500),
        previous_activity: id(3),
        engine_activity: Some(id(1)),
        reason_code: Some(13_223),
        transfer: None,
        call: None,
    };
    let accepted = Reservation {
        id: id(16),
        sid: derive_sid(SEED, 16),
        task: id(14),
        worker: id(6),
        status: ReservationStatus::Accepted,
        on_hold_until: Some(at(600_000)),
        previous_activity: id(2),
        engine_activity: None,
        reason_code: None,
        transfer: Some(id(17)),
        call: Some(Box::new(voice_call())),
        ..rejected.clone()
    };
    let transfer = Transfer {
        id: id(17),
        sid: derive_sid(SEED, 17),
        task: id(14),
        initiating_reservation: id(16),
        initiating_worker: id(6),
        target: TransferTarget::TaskQueue(id(9)),
        mode: TransferMode::Warm,
        status: TransferStatus::Failed,
        failed_reason: Some(text("nobody")),
        queue_before: Some(id(10)),
        date_created: at(-8),
        date_updated: at(-7),
        version: Version(1),
    };
    Snapshot {
        now: at(0),
        workspace: Workspace {
            sid: sid(1),
            number: 3,
            account: sid(2),
            operating_unit: derive_sid(SEED, 0),
            settings: settings(),
            date_created: at(-1_000),
            date_updated: at(-999),
        },
        deleted: false,
        seed: SEED,
        created: 18,
        published: 77,
        activities: kept([live(1, "Offline"), live(2, "Available")], [live(3, "Busy")]),
        task_channels: kept([task_channel(4, "default")], [task_channel(5, "chat")]),
        workers: kept([alice], [bob]),
        task_queues: kept([queue(9, task_queue())], [queue(10, nobody())]),
        workflows: kept([rules(11, 60)], [rules(12, 70)]),
        tasks: vec![
            TaskRow { task: waiting, rules: Rules::Present },
            TaskRow { task: assigned, rules: Rules::Older(workflow(9, 50).configuration) },
            TaskRow { task: over, rules: Rules::None },
        ],
        reservations: vec![rejected, accepted],
        transfers: vec![transfer],
    }
}

fn kept<E>(live: impl IntoIterator<Item = E>, retired: impl IntoIterator<Item = E>) -> Vec<Kept<E>> {
    let live = live.into_iter().map(|row| Kept { row, retired: false });
    live.chain(retired.into_iter().map(|row| Kept { row, retired: true })).collect()
}

/// Every kind of account event, in an order that they can be folded in.
pub(crate) fn account_events() -> Vec<AccountEvent> {
    let stored = |after_ms, byte, name: &str, status| AccountEvent::AccountStored {
        at: at(after_ms),
        sid: sid(byte),
        friendly_name: text(name),
        auth_token: text("0123456789abcdef0123456789abcdef"),
        status,
    };
    let key = |byte, account| AccountEvent::KeyCreated {
        at: at(5),
        sid: sid(byte),
        account: sid(account),
        friendly_name: text(""),
        secret: text("secret"),
    };
    vec![
        stored(0, 9, "First", AccountStatus::Active),
        stored(1, 8, "Second", AccountStatus::Suspended),
        stored(2, 7, "Third", AccountStatus::Closed),
        stored(3, 9, "First, renamed", AccountStatus::Active),
        key(4, 9),
        key(3, 8),
        key(2, 9),
        key(1, 9),
        AccountEvent::KeyRenamed { at: at(6), sid: sid(2), friendly_name: text("Browser") },
        AccountEvent::KeyDeleted { sid: sid(4) },
    ]
}
