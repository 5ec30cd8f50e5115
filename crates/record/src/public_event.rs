//! Public events on the wire: inside the record of their turn, and alone as a row of the history.

use pointsman_engine::{
    ActivityChangeFacts, ActivityFacts, EventKind, PreviousFacts, PublicEvent, ReservationFacts, StepFacts,
    TaskChannelFacts, TaskFacts, TaskQueueFacts, TransferFacts, WorkerChannelFacts, WorkerFacts, WorkflowFacts,
};

use crate::error::DecodeError;
use crate::field::{Field, Numbered, message};
use crate::frame;
use crate::tables::{Reader, TablesMessage, Writer};
use crate::values::{NamedMessage, PositionMessage, TargetMessage};

message!(PublicEventMessage for PublicEvent {
    1 id: u64 [uint64],
    2 sid: u32 [uint32],
    3 kind: u32 [uint32],
    4 at: i64 [sint64],
    5 workspace_name: u32 [uint32],
    6 operating_unit: u32 [uint32],
    7 source_ip: u32 [uint32],
    8 task: Option<TaskFactsMessage> [message, optional],
    9 task_queue: Option<TaskQueueFactsMessage> [message, optional],
    10 workflow: Option<WorkflowFactsMessage> [message, optional],
    11 step: Option<StepFactsMessage> [message, optional],
    12 previous: Option<PreviousFactsMessage> [message, optional],
    13 worker: Option<WorkerFactsMessage> [message, optional],
    14 activity_change: Option<ActivityChangeFactsMessage> [message, optional],
    15 worker_channel: Option<WorkerChannelFactsMessage> [message, optional],
    16 reservation: Option<ReservationFactsMessage> [message, optional],
    17 transfer: Option<TransferFactsMessage> [message, optional],
    18 activity: Option<ActivityFactsMessage> [message, optional],
    19 task_channel: Option<TaskChannelFactsMessage> [message, optional],
});

message!(TaskFactsMessage for TaskFacts {
    1 sid: u32 [uint32],
    2 attributes: u32 [uint32],
    3 priority: u32 [uint32],
    4 status: u32 [uint32],
    5 task_channel: Option<NamedMessage> [message, optional],
    6 version: u64 [uint64],
    7 date_created: i64 [sint64],
    8 virtual_start_time: i64 [sint64],
    9 timeout_seconds: u32 [uint32],
    10 ignore_capacity: bool [bool],
    11 routing_target: Option<TargetMessage> [message, optional],
    12 reason: u32 [uint32],
    13 known_worker: u32 [uint32],
    14 accepted_before: bool [bool],
});

message!(TaskQueueFactsMessage for TaskQueueFacts {
    1 sid: u32 [uint32],
    2 friendly_name: u32 [uint32],
    3 target_workers: u32 [uint32],
    4 entered: Option<i64> [sint64, optional],
});

message!(WorkflowFactsMessage for WorkflowFacts {
    1 sid: u32 [uint32],
    2 friendly_name: u32 [uint32],
});

message!(StepFactsMessage for StepFacts {
    1 position: Option<PositionMessage> [message, optional],
    2 filter_expression: u32 [uint32],
    3 filter_name: u32 [uint32],
    4 target_expression: u32 [uint32],
    5 target_name: u32 [uint32],
    6 cause: u32 [uint32],
});

message!(PreviousFactsMessage for PreviousFacts {
    1 task_queue: Option<NamedMessage> [message, optional],
    2 priority: u32 [uint32],
    3 moved_to: u32 [uint32],
    4 cause: u32 [uint32],
});

message!(WorkerFactsMessage for WorkerFacts {
    1 sid: u32 [uint32],
    2 friendly_name: u32 [uint32],
    3 attributes: u32 [uint32],
    4 activity: u32 [uint32],
    5 activity_name: u32 [uint32],
    6 available: bool [bool],
    7 version: u64 [uint64],
    8 date_created: i64 [sint64],
    9 date_updated: i64 [sint64],
    10 date_status_changed: i64 [sint64],
});

message!(ActivityChangeFactsMessage for ActivityChangeFacts {
    1 previous: u32 [uint32],
    2 previous_name: u32 [uint32],
    3 since: i64 [sint64],
});

message!(WorkerChannelFactsMessage for WorkerChannelFacts {
    1 task_channel: u32 [uint32],
    2 unique_name: u32 [uint32],
    3 available: bool [bool],
    4 capacity: u32 [uint32],
    5 previous_capacity: u32 [uint32],
    6 available_capacity_percentage: u32 [uint32],
    7 assigned_tasks: u32 [uint32],
});

message!(ReservationFactsMessage for ReservationFacts {
    1 sid: u32 [uint32],
    2 version: u64 [uint64],
    3 status: u32 [uint32],
    4 timeout_seconds: u32 [uint32],
    5 reason_code: Option<u32> [uint32, optional],
    6 channel_capacity: u32 [uint32],
    7 channel_consumed: u32 [uint32],
    8 channel_last_reserved: i64 [sint64],
});

message!(TransferFactsMessage for TransferFacts {
    1 sid: u32 [uint32],
    2 mode: u32 [uint32],
    3 to: Option<TargetMessage> [message, optional],
    4 status: u32 [uint32],
    5 initiating_worker: u32 [uint32],
    6 initiating_reservation: u32 [uint32],
    7 started: i64 [sint64],
    8 failed_reason: u32 [uint32],
});

message!(ActivityFactsMessage for ActivityFacts {
    1 sid: u32 [uint32],
    2 friendly_name: u32 [uint32],
    3 available: bool [bool],
});

message!(TaskChannelFactsMessage for TaskChannelFacts {
    1 sid: u32 [uint32],
    2 friendly_name: u32 [uint32],
    3 unique_name: u32 [uint32],
    4 optimized_routing: bool [bool],
});

/// A row of the history.
#[derive(Clone, PartialEq, prost::Message)]
struct HistoryMessage {
    #[prost(message, optional, tag = 1)]
    tables: Option<TablesMessage>,
    #[prost(message, optional, tag = 2)]
    event: Option<PublicEventMessage>,
}

/// Writes one event down, for a row of the history.
pub fn encode(event: &PublicEvent) -> Vec<u8> {
    let mut writer = Writer::new(event.at);
    let event = event.write(&mut writer);
    frame::encode(&HistoryMessage { tables: Some(writer.finish()), event: Some(event) })
}

/// Reads what [`encode`] wrote.
pub fn decode(bytes: &[u8]) -> Result<PublicEvent, DecodeError> {
    let HistoryMessage { tables, event } = frame::decode(bytes)?;
    let reader = Reader::new(tables.unwrap_or_default());
    let event = event.ok_or(DecodeError::Missing { part: "event" })?;
    Field::read(event, "event", &reader)
}

/// The number that stands for a kind of event, for ever; from 1.
pub fn kind_number(kind: EventKind) -> u16 {
    kind.number() as u16
}

/// The kind of event that a number stands for.
pub fn kind_from_number(number: u16) -> Option<EventKind> {
    EventKind::from_number(number.into())
}
