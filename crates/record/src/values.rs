//! Enumerations of the domain by number, and the small values that several messages hold.

use std::sync::Arc;

use pointsman_engine::accounts::AccountStatus;
use pointsman_engine::{
    EventKind, HoldOff, Id, Ordering, Place, Position, ReservationStatus, RestartCause, RoutingCause, RoutingTarget,
    RoutingTargetFacts, Sid, TaskQueue, TaskQueueDefinition, TaskStatus, Tasking, Timestamp, TransferMode,
    TransferStatus, TransferTarget, VoiceCall, Worker, WorkflowDefinition, WorkspaceSettings,
};

use crate::error::DecodeError;
use crate::field::{Field, message, numbers, required};
use crate::tables::{Reader, Writer};

numbers!(Ordering { 1 Fifo, 2 Lifo, });
numbers!(Tasking { 1 Single, 2 Multi, });
numbers!(TransferMode { 1 Warm, 2 Cold, });
numbers!(RestartCause { 1 TaskUpdated, 2 WorkflowUpdated, });
numbers!(AccountStatus { 1 Active, 2 Suspended, 3 Closed, });
numbers!(TransferStatus { 1 Initiated, 2 Complete, 3 Failed, 4 Canceled, });
numbers!(TaskStatus { 1 Pending, 2 Reserved, 3 Assigned, 4 Wrapping, 5 Completed, 6 Canceled, });
numbers!(ReservationStatus {
    1 Pending, 2 Accepted, 3 Rejected, 4 Timeout, 5 Canceled, 6 Rescinded, 7 Wrapping, 8 Completed,
});
numbers!(RoutingCause {
    1 ReservationRejected,
    2 ReservationTimeout,
    3 ReservationCanceled,
    4 TargetTimeout,
    5 TargetSkipped,
    6 TaskUpdated,
    7 WorkflowUpdated,
    8 Transfer,
});
numbers!(EventKind {
    1 TaskCreated,
    2 TaskUpdated,
    3 TaskCanceled,
    4 TaskWrapup,
    5 TaskCompleted,
    6 TaskDeleted,
    7 TaskSystemDeleted,
    8 TaskTransferInitiated,
    9 TaskTransferAttemptFailed,
    10 TaskTransferFailed,
    11 TaskTransferCanceled,
    12 TaskTransferCompleted,
    13 ReservationCreated,
    14 ReservationAccepted,
    15 ReservationRejected,
    16 ReservationTimeout,
    17 ReservationCanceled,
    18 ReservationRescinded,
    19 ReservationWrapup,
    20 ReservationCompleted,
    21 ReservationFailed,
    22 TaskQueueCreated,
    23 TaskQueueDeleted,
    24 TaskQueueExpressionUpdated,
    25 TaskQueueEntered,
    26 TaskQueueMoved,
    27 TaskQueueTimeout,
    28 WorkflowCreated,
    29 WorkflowUpdated,
    30 WorkflowDeleted,
    31 WorkflowEntered,
    32 WorkflowTargetMatched,
    33 WorkflowTimeout,
    34 WorkflowSkipped,
    35 WorkerCreated,
    36 WorkerDeleted,
    37 WorkerActivityUpdate,
    38 WorkerAttributesUpdate,
    39 WorkerCapacityUpdate,
    40 WorkerChannelAvailabilityUpdate,
    41 ActivityCreated,
    42 ActivityUpdated,
    43 ActivityDeleted,
    44 TaskChannelCreated,
    45 TaskChannelUpdated,
    46 TaskChannelDeleted,
    47 WorkspaceCreated,
    48 WorkspaceUpdated,
    49 WorkspaceDeleted,
});

message!(WorkspaceSettingsMessage for WorkspaceSettings {
    1 friendly_name: u32 [uint32],
    2 event_callback_url: u32 [uint32],
    3 events_filter: u32 [uint32],
    4 tasking: u32 [uint32],
    5 prioritize_queue_order: u32 [uint32],
    6 default_activity: u64 [uint64],
    7 timeout_activity: u64 [uint64],
});

message!(TaskQueueDefinitionMessage for TaskQueueDefinition {
    1 friendly_name: u32 [uint32],
    2 target_workers: u32 [uint32],
    3 max_reserved_workers: u32 [uint32],
    4 task_order: u32 [uint32],
    5 reservation_activity: u64 [uint64],
    6 assignment_activity: u64 [uint64],
});

message!(WorkflowDefinitionMessage for WorkflowDefinition {
    1 friendly_name: u32 [uint32],
    2 configuration: u32 [uint32],
    3 assignment_callback_url: u32 [uint32],
    4 fallback_assignment_callback_url: u32 [uint32],
    5 task_reservation_timeout_seconds: u32 [uint32],
});

message!(HoldOffMessage for HoldOff {
    1 failures: u32 [uint32],
    2 until: Option<i64> [sint64, optional],
});

message!(VoiceCallMessage for VoiceCall {
    1 instruction: u32 [uint32],
    2 worker_call: u32 [uint32],
    3 customer_call: u32 [uint32],
    4 conference: u32 [uint32],
    5 is_answered: bool [bool],
    6 is_over: bool [bool],
    7 requests: u64 [uint64],
    8 requests_before: u64 [uint64],
    9 call_reports: u64 [uint64],
    10 conference_reports: u64 [uint64],
    11 is_customer_there: bool [bool],
    12 is_customer_sent_for: bool [bool],
    13 customer_report: u64 [uint64],
    14 was_customer_there: bool [bool],
    15 is_customer_called: bool [bool],
    16 has_customer_answered: bool [bool],
});

/// A Worker or a TaskQueue: an id, or the place of a SID.
#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct TargetMessage {
    #[prost(uint64, tag = 1)]
    worker: u64,
    #[prost(uint64, tag = 2)]
    task_queue: u64,
}

impl TargetMessage {
    fn of_worker(worker: u64) -> Self {
        Self { worker, task_queue: 0 }
    }

    fn of_task_queue(task_queue: u64) -> Self {
        Self { worker: 0, task_queue }
    }
}

impl Field<TargetMessage> for RoutingTarget {
    fn write<'a>(&'a self, writer: &mut Writer<'a>) -> TargetMessage {
        match self {
            Self::Worker(worker) => TargetMessage::of_worker(worker.write(writer)),
            Self::TaskQueue(task_queue) => TargetMessage::of_task_queue(task_queue.write(writer)),
        }
    }

    fn read(wire: TargetMessage, part: &'static str, reader: &Reader) -> Result<Self, DecodeError> {
        match Option::<Id<Worker>>::read(wire.worker, part, reader)? {
            Some(worker) => Ok(Self::Worker(worker)),
            None => Field::read(wire.task_queue, part, reader).map(Self::TaskQueue),
        }
    }
}

impl Field<TargetMessage> for TransferTarget {
    fn write<'a>(&'a self, writer: &mut Writer<'a>) -> TargetMessage {
        match self {
            Self::Worker(worker) => TargetMessage::of_worker(worker.write(writer)),
            Self::TaskQueue(task_queue) => TargetMessage::of_task_queue(task_queue.write(writer)),
        }
    }

    fn read(wire: TargetMessage, part: &'static str, reader: &Reader) -> Result<Self, DecodeError> {
        Ok(match RoutingTarget::read(wire, part, reader)? {
            RoutingTarget::Worker(worker) => Self::Worker(worker),
            RoutingTarget::TaskQueue(task_queue) => Self::TaskQueue(task_queue),
        })
    }
}
required!(TargetMessage for TransferTarget);

impl Field<TargetMessage> for RoutingTargetFacts {
    fn write<'a>(&'a self, writer: &mut Writer<'a>) -> TargetMessage {
        match self {
            Self::Worker(worker) => TargetMessage::of_worker(worker.write(writer).into()),
            Self::TaskQueue(task_queue) => TargetMessage::of_task_queue(task_queue.write(writer).into()),
        }
    }

    fn read(wire: TargetMessage, part: &'static str, reader: &Reader) -> Result<Self, DecodeError> {
        let place = |place: u64| u32::try_from(place).map_err(|_| DecodeError::Unknown { part, number: place });
        match Option::<Sid<Worker>>::read(place(wire.worker)?, part, reader)? {
            Some(worker) => Ok(Self::Worker(worker)),
            None => Sid::<TaskQueue>::read(place(wire.task_queue)?, part, reader).map(Self::TaskQueue),
        }
    }
}
required!(TargetMessage for RoutingTargetFacts);

/// A step: the default filter, or a filter and a target of it, from 0.
#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct PositionMessage {
    #[prost(bool, tag = 1)]
    default: bool,
    #[prost(uint32, tag = 2)]
    filter: u32,
    #[prost(uint32, tag = 3)]
    target: u32,
}

impl Field<PositionMessage> for Position {
    fn write<'a>(&'a self, _: &mut Writer<'a>) -> PositionMessage {
        match *self {
            Self::Target { filter, target } => PositionMessage { default: false, filter, target },
            Self::Default => PositionMessage { default: true, filter: 0, target: 0 },
        }
    }

    fn read(wire: PositionMessage, _: &'static str, _: &Reader) -> Result<Self, DecodeError> {
        let PositionMessage { default, filter, target } = wire;
        Ok(if default { Self::Default } else { Self::Target { filter, target } })
    }
}
required!(PositionMessage for Position);

/// Where a Task waits: a step, or a Worker, or a queue and nothing more.
#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct PlaceMessage {
    #[prost(message, optional, tag = 1)]
    position: Option<PositionMessage>,
    #[prost(sint64, optional, tag = 2)]
    deadline: Option<i64>,
    #[prost(uint64, tag = 3)]
    worker: u64,
    #[prost(bool, tag = 4)]
    queue: bool,
}

impl Field<PlaceMessage> for Place {
    fn write<'a>(&'a self, writer: &mut Writer<'a>) -> PlaceMessage {
        let none = PlaceMessage { position: None, deadline: None, worker: 0, queue: false };
        match self {
            Self::Step { position, deadline } => {
                PlaceMessage { position: position.write(writer), deadline: deadline.write(writer), ..none }
            }
            Self::Queue => PlaceMessage { queue: true, ..none },
            Self::Worker(worker) => PlaceMessage { worker: worker.write(writer), ..none },
        }
    }

    fn read(wire: PlaceMessage, part: &'static str, reader: &Reader) -> Result<Self, DecodeError> {
        let PlaceMessage { position, deadline, worker, queue } = wire;
        let position: Option<Position> = Field::read(position, part, reader)?;
        let deadline: Option<Timestamp> = Field::read(deadline, part, reader)?;
        match position {
            Some(position) => Ok(Self::Step { position, deadline }),
            None if queue => Ok(Self::Queue),
            None => Field::read(worker, part, reader).map(Self::Worker),
        }
    }
}

/// A SID and the name that goes with it.
#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct NamedMessage {
    #[prost(uint32, tag = 1)]
    sid: u32,
    #[prost(uint32, tag = 2)]
    name: u32,
}

impl<E> Field<NamedMessage> for (Sid<E>, Arc<str>) {
    fn write<'a>(&'a self, writer: &mut Writer<'a>) -> NamedMessage {
        NamedMessage { sid: self.0.write(writer), name: self.1.write(writer) }
    }

    fn read(wire: NamedMessage, part: &'static str, reader: &Reader) -> Result<Self, DecodeError> {
        Ok((Field::read(wire.sid, part, reader)?, Field::read(wire.name, part, reader)?))
    }
}
