//! The rows of a snapshot on the wire.

use pointsman_engine::{
    Activity, Reservation, Rules, Sid, Task, TaskChannel, TaskQueueRow, TaskRow, Transfer, Worker, WorkerChannel,
    WorkflowRow, Workspace,
};

use crate::error::DecodeError;
use crate::field::{Field, message};
use crate::tables::{Reader, Writer};
use crate::values::{
    HoldOffMessage, PlaceMessage, TargetMessage, TaskQueueDefinitionMessage, VoiceCallMessage,
    WorkflowDefinitionMessage, WorkspaceSettingsMessage,
};

message!(WorkspaceMessage for Workspace {
    1 sid: u32 [uint32],
    2 number: u64 [uint64],
    3 account: u32 [uint32],
    4 settings: Option<WorkspaceSettingsMessage> [message, optional],
    5 date_created: i64 [sint64],
    6 date_updated: i64 [sint64],
} derived |_reader| {
    // The seed stands beside it; whoever reads the header fills this in.
    operating_unit: Sid::from_bytes([0; 16]),
});

message!(ActivityMessage for Activity {
    1 id: u64 [uint64],
    2 friendly_name: u32 [uint32],
    3 available: bool [bool],
    4 date_created: i64 [sint64],
    5 date_updated: i64 [sint64],
} derived |reader| {
    sid: reader.derived_sid(id),
});

message!(TaskChannelMessage for TaskChannel {
    1 id: u64 [uint64],
    2 unique_name: u32 [uint32],
    3 friendly_name: u32 [uint32],
    4 optimized_routing: bool [bool],
    5 built_in: bool [bool],
    6 date_created: i64 [sint64],
    7 date_updated: i64 [sint64],
} derived |reader| {
    sid: reader.derived_sid(id),
});

message!(WorkerMessage for Worker {
    1 id: u64 [uint64],
    2 friendly_name: u32 [uint32],
    3 attributes: u32 [uint32],
    4 activity: u64 [uint64],
    5 version: u64 [uint64],
    6 date_created: i64 [sint64],
    7 date_updated: i64 [sint64],
    8 date_status_changed: i64 [sint64],
    9 last_reserved: i64 [sint64],
    10 channels: Vec<WorkerChannelMessage> [message, repeated],
    11 reservations: Vec<u64> [uint64, repeated],
    12 active: Vec<u64> [uint64, repeated],
} derived |reader| {
    sid: reader.derived_sid(id),
});

message!(WorkerChannelMessage for WorkerChannel {
    1 sid: u32 [uint32],
    2 task_channel: u64 [uint64],
    3 capacity: u32 [uint32],
    4 available: bool [bool],
    5 date_created: i64 [sint64],
    6 date_updated: i64 [sint64],
    7 last_reserved: i64 [sint64],
    8 pending: u32 [uint32],
    9 accepted: u32 [uint32],
    10 wrapping: u32 [uint32],
});

message!(TaskQueueRowMessage for TaskQueueRow {
    1 id: u64 [uint64],
    2 definition: Option<TaskQueueDefinitionMessage> [message, optional],
    3 date_created: i64 [sint64],
    4 date_updated: i64 [sint64],
});

message!(WorkflowRowMessage for WorkflowRow {
    1 id: u64 [uint64],
    2 definition: Option<WorkflowDefinitionMessage> [message, optional],
    3 date_created: i64 [sint64],
    4 date_updated: i64 [sint64],
});

message!(TaskMessage for Task {
    1 id: u64 [uint64],
    2 attributes: u32 [uint32],
    3 status: u32 [uint32],
    4 priority: u32 [uint32],
    5 reason: u32 [uint32],
    6 task_channel: u64 [uint64],
    7 timeout_seconds: u32 [uint32],
    8 virtual_start_time: i64 [sint64],
    9 date_created: i64 [sint64],
    10 date_updated: i64 [sint64],
    11 version: u64 [uint64],
    12 task_queue: u64 [uint64],
    13 task_queue_entered: Option<i64> [sint64, optional],
    14 workflow: u64 [uint64],
    15 routing_target: Option<TargetMessage> [message, optional],
    16 ignore_capacity: bool [bool],
    17 place: Option<PlaceMessage> [message, optional],
    18 clock_start: i64 [sint64],
    19 budget_seconds: u64 [uint64],
    20 restart: u32 [uint32],
    21 assignments: u32 [uint32],
    22 hold_off: Option<HoldOffMessage> [message, optional],
    23 first_accepted: Option<i64> [sint64, optional],
    24 finished: Option<i64> [sint64, optional],
    25 reservations: Vec<u64> [uint64, repeated],
    26 transfers: Vec<u64> [uint64, repeated],
    27 active: Vec<u64> [uint64, repeated],
    28 acceptances: u32 [uint32],
    29 enqueue_action: u32 [uint32],
} derived |reader| {
    sid: reader.derived_sid(id),
    configuration: None,
});

message!(TaskRowMessage for TaskRow {
    1 task: Option<TaskMessage> [message, optional],
    2 rules: u32 [uint32],
});

/// 0 is none, 1 the present ones, more is one more than the place of their text.
impl Field<u32> for Rules {
    fn write<'a>(&'a self, writer: &mut Writer<'a>) -> u32 {
        match self {
            Self::None => 0,
            Self::Present => 1,
            Self::Older(text) => 1 + text.write(writer),
        }
    }

    fn read(wire: u32, part: &'static str, reader: &Reader) -> Result<Self, DecodeError> {
        match wire {
            0 => Ok(Self::None),
            1 => Ok(Self::Present),
            older => Field::read(older - 1, part, reader).map(Self::Older),
        }
    }
}

message!(ReservationMessage for Reservation {
    1 id: u64 [uint64],
    2 task: u64 [uint64],
    3 worker: u64 [uint64],
    4 task_queue: u64 [uint64],
    5 task_queue_entered: Option<i64> [sint64, optional],
    6 status: u32 [uint32],
    7 date_created: i64 [sint64],
    8 date_updated: i64 [sint64],
    9 version: u64 [uint64],
    10 timeout_seconds: u32 [uint32],
    11 on_hold_until: Option<i64> [sint64, optional],
    12 previous_activity: u64 [uint64],
    13 engine_activity: u64 [uint64],
    14 reason_code: Option<u32> [uint32, optional],
    15 transfer: u64 [uint64],
    16 call: Option<VoiceCallMessage> [message, optional],
    17 rested: i64 [sint64],
} derived |reader| {
    sid: reader.derived_sid(id),
});

message!(TransferMessage for Transfer {
    1 id: u64 [uint64],
    2 task: u64 [uint64],
    3 initiating_reservation: u64 [uint64],
    4 initiating_worker: u64 [uint64],
    5 target: Option<TargetMessage> [message, optional],
    6 mode: u32 [uint32],
    7 status: u32 [uint32],
    8 failed_reason: u32 [uint32],
    9 queue_before: u64 [uint64],
    10 date_created: i64 [sint64],
    11 date_updated: i64 [sint64],
    12 version: u64 [uint64],
} derived |reader| {
    sid: reader.derived_sid(id),
});
