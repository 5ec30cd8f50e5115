//! One file per resource: a table, and a short function per operation.
#![expect(clippy::unnecessary_wraps, reason = "the operations of a table share one signature")]

mod activity;
mod clock;
mod delivery;
mod event_stream;
pub(crate) mod events;
mod index;
mod key;
mod reservation;
pub(crate) mod statistics;
mod task;
mod task_channel;
mod task_queue;
mod worker;
mod worker_channel;
mod workflow;
pub(crate) mod workspace;

pub use self::activity::ACTIVITY;
pub use self::clock::{CLOCK, ClockMove, ClockReading, clock_move, render_clock};
pub use self::delivery::{
    DELIVERY, DeadDelivery, DeliveryCounters, FoundLetters, render_deliveries, render_delivery, render_replay,
};
pub use self::event_stream::EVENT_STREAM;
pub use self::events::EVENT;
pub use self::index::INDEX;
pub use self::key::KEY;
pub(crate) use self::key::{CREATE_KEY_NAME, UPDATE_KEY_NAME, render_key};
pub use self::reservation::{TASK_RESERVATION, WORKER_RESERVATION};
pub use self::task::TASK;
pub use self::task_channel::TASK_CHANNEL;
pub use self::task_queue::TASK_QUEUE;
pub use self::worker::WORKER;
pub use self::worker_channel::WORKER_CHANNEL;
pub(crate) use self::worker_channel::WorkerChannelRow;
pub use self::workflow::WORKFLOW;
pub use self::workspace::WORKSPACE;
pub(crate) use self::workspace::{create_command, list_filter};

use crate::table::{Described, Field, Shape, field};

/// Every resource, in the order of the reference.
pub static RESOURCES: &[&dyn Described] = &[
    &INDEX,
    &WORKSPACE,
    &ACTIVITY,
    &WORKER,
    &WORKER_CHANNEL,
    &TASK_CHANNEL,
    &TASK_QUEUE,
    &WORKFLOW,
    &TASK,
    &TASK_RESERVATION,
    &WORKER_RESERVATION,
    &EVENT,
    &statistics::WORKSPACE_STATISTICS,
    &statistics::WORKSPACE_REAL_TIME_STATISTICS,
    &statistics::WORKSPACE_CUMULATIVE_STATISTICS,
    &statistics::TASK_QUEUES_STATISTICS,
    &statistics::TASK_QUEUE_BULK_REAL_TIME_STATISTICS,
    &statistics::TASK_QUEUE_STATISTICS,
    &statistics::TASK_QUEUE_REAL_TIME_STATISTICS,
    &statistics::TASK_QUEUE_CUMULATIVE_STATISTICS,
    &statistics::WORKERS_STATISTICS,
    &statistics::WORKERS_REAL_TIME_STATISTICS,
    &statistics::WORKERS_CUMULATIVE_STATISTICS,
    &statistics::WORKER_STATISTICS,
    &statistics::WORKFLOW_STATISTICS,
    &statistics::WORKFLOW_REAL_TIME_STATISTICS,
    &statistics::WORKFLOW_CUMULATIVE_STATISTICS,
    &KEY,
    &CLOCK,
    &EVENT_STREAM,
    &DELIVERY,
];

// Members that nearly every resource has.

const fn account_sid<E>() -> Field<E> {
    field("account_sid", Shape::Sid("AC"), "Account that owns the Workspace.", |_, context| context.account.into())
}

const fn workspace_sid<E>() -> Field<E> {
    field("workspace_sid", Shape::Sid("WS"), "Workspace that it belongs to.", |_, context| context.workspace.into())
}
