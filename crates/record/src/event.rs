//! The engine's events on the wire. A kind of event that is new needs a new format version: older programs must
//! refuse it rather than pass it over.

use pointsman_engine::Event;

use crate::field::variants;
use crate::values::{
    PlaceMessage, TargetMessage, TaskQueueDefinitionMessage, VoiceCallMessage, WorkflowDefinitionMessage,
    WorkspaceSettingsMessage,
};

variants!(wire::EventMessage for Event {
    1 TimeAdvanced { 1 at: i64 [sint64], }
    2 WorkspaceCreated {
        1 sid: u32 [uint32],
        2 number: u64 [uint64],
        3 account: u32 [uint32],
        4 seed: u32 [uint32],
        5 settings: Option<WorkspaceSettingsMessage> [message, optional],
    }
    3 WorkspaceUpdated { 1 settings: Option<WorkspaceSettingsMessage> [message, optional], }
    4 WorkspaceDeleted {}
    5 ActivityCreated { 1 id: u64 [uint64], 2 friendly_name: u32 [uint32], 3 available: bool [bool], }
    6 ActivityRenamed { 1 id: u64 [uint64], 2 friendly_name: u32 [uint32], }
    7 ActivityDeleted { 1 id: u64 [uint64], }
    8 TaskChannelCreated {
        1 id: u64 [uint64],
        2 unique_name: u32 [uint32],
        3 friendly_name: u32 [uint32],
        4 optimized_routing: bool [bool],
        5 built_in: bool [bool],
    }
    9 TaskChannelUpdated { 1 id: u64 [uint64], 2 friendly_name: u32 [uint32], 3 optimized_routing: bool [bool], }
    10 TaskChannelDeleted { 1 id: u64 [uint64], }
    11 WorkerCreated {
        1 id: u64 [uint64],
        2 friendly_name: u32 [uint32],
        3 attributes: u32 [uint32],
        4 activity: u64 [uint64],
    }
    12 WorkerChannelAdded { 1 worker: u64 [uint64], 2 task_channel: u64 [uint64], 3 id: u64 [uint64], }
    13 WorkerUpdated {
        1 id: u64 [uint64],
        2 friendly_name: u32 [uint32],
        3 attributes: u32 [uint32],
        4 version: u64 [uint64],
    }
    14 WorkerActivityChanged {
        1 id: u64 [uint64],
        2 activity: u64 [uint64],
        3 version: u64 [uint64],
        4 reservation: u64 [uint64],
    }
    15 WorkerChannelUpdated {
        1 worker: u64 [uint64],
        2 task_channel: u64 [uint64],
        3 capacity: u32 [uint32],
        4 available: bool [bool],
        5 worker_version: u64 [uint64],
    }
    16 WorkerDeleted { 1 id: u64 [uint64], }
    17 TaskQueueCreated {
        1 id: u64 [uint64],
        2 definition: Option<TaskQueueDefinitionMessage> [message, optional],
    }
    18 TaskQueueUpdated {
        1 id: u64 [uint64],
        2 definition: Option<TaskQueueDefinitionMessage> [message, optional],
    }
    19 TaskQueueDeleted { 1 id: u64 [uint64], }
    20 WorkflowCreated {
        1 id: u64 [uint64],
        2 definition: Option<WorkflowDefinitionMessage> [message, optional],
    }
    21 WorkflowUpdated {
        1 id: u64 [uint64],
        2 definition: Option<WorkflowDefinitionMessage> [message, optional],
    }
    22 WorkflowDeleted { 1 id: u64 [uint64], }
    23 TaskCreated {
        1 id: u64 [uint64],
        2 attributes: u32 [uint32],
        3 priority: u32 [uint32],
        4 task_channel: u64 [uint64],
        5 timeout_seconds: u32 [uint32],
        6 virtual_start_time: i64 [sint64],
        7 workflow: u64 [uint64],
        8 follows_workflow: bool [bool],
        9 routing_target: Option<TargetMessage> [message, optional],
        10 ignore_capacity: bool [bool],
        11 enqueue_action: u32 [uint32],
    }
    24 TaskUpdated {
        1 id: u64 [uint64],
        2 attributes: u32 [uint32],
        3 priority: u32 [uint32],
        4 task_channel: u64 [uint64],
        5 virtual_start_time: i64 [sint64],
        6 reason: u32 [uint32],
        7 version: u64 [uint64],
    }
    25 TaskPlaced {
        1 id: u64 [uint64],
        2 place: Option<PlaceMessage> [message, optional],
        3 task_queue: u64 [uint64],
        4 priority: u32 [uint32],
        5 clock_start: i64 [sint64],
        6 budget_seconds: u64 [uint64],
        7 version: u64 [uint64],
    }
    26 TaskStatusChanged {
        1 id: u64 [uint64],
        2 status: u32 [uint32],
        3 reason: u32 [uint32],
        4 version: u64 [uint64],
    }
    27 TaskConfigurationChanged { 1 id: u64 [uint64], }
    28 TaskRestartChanged { 1 id: u64 [uint64], 2 restart: u32 [uint32], }
    29 TaskHoldOffChanged { 1 id: u64 [uint64], 2 failures: u32 [uint32], 3 until: Option<i64> [sint64, optional], }
    30 TaskRemoved { 1 id: u64 [uint64], }
    31 ReservationCreated {
        1 id: u64 [uint64],
        2 task: u64 [uint64],
        3 worker: u64 [uint64],
        4 timeout_seconds: u32 [uint32],
        5 transfer: u64 [uint64],
        6 worker_version: u64 [uint64],
    }
    32 ReservationStatusChanged {
        1 id: u64 [uint64],
        2 status: u32 [uint32],
        3 reason_code: Option<u32> [uint32, optional],
        4 version: u64 [uint64],
    }
    33 ReservationHoldChanged { 1 id: u64 [uint64], 2 until: Option<i64> [sint64, optional], }
    34 TransferInitiated {
        1 id: u64 [uint64],
        2 task: u64 [uint64],
        3 initiating_reservation: u64 [uint64],
        4 target: Option<TargetMessage> [message, optional],
        5 mode: u32 [uint32],
        6 version: u64 [uint64],
    }
    35 TransferChanged {
        1 id: u64 [uint64],
        2 status: u32 [uint32],
        3 failed_reason: u32 [uint32],
        4 version: u64 [uint64],
    }
    36 ReservationCallChanged { 1 id: u64 [uint64], 2 call: Option<VoiceCallMessage> [message, optional], }
});
