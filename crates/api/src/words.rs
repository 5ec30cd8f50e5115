//! The enumerations of the wire: one list of words each, in the order of the engine's variants.

use pointsman_engine::accounts::AccountStatus;
use pointsman_engine::{Ordering, ReservationStatus, RoutingCause, TaskStatus, TransferMode, TransferStatus};

pub const TASK_STATUSES: &[&str] = &["pending", "reserved", "assigned", "canceled", "completed", "wrapping"];
pub const RESERVATION_STATUSES: &[&str] =
    &["pending", "accepted", "rejected", "timeout", "canceled", "rescinded", "wrapping", "completed"];
pub const QUEUE_ORDERS: &[&str] = &["FIFO", "LIFO"];
pub const TEMPLATES: &[&str] = &["NONE", "FIFO"];

/// The statuses of Tasks in the order of [`TASK_STATUSES`].
pub(crate) const TASK_STATUS_VALUES: &[TaskStatus] = &[
    TaskStatus::Pending,
    TaskStatus::Reserved,
    TaskStatus::Assigned,
    TaskStatus::Canceled,
    TaskStatus::Completed,
    TaskStatus::Wrapping,
];

/// The statuses of reservations in the order of [`RESERVATION_STATUSES`].
pub(crate) const RESERVATION_STATUS_VALUES: &[ReservationStatus] = &[
    ReservationStatus::Pending,
    ReservationStatus::Accepted,
    ReservationStatus::Rejected,
    ReservationStatus::Timeout,
    ReservationStatus::Canceled,
    ReservationStatus::Rescinded,
    ReservationStatus::Wrapping,
    ReservationStatus::Completed,
];

pub const fn task_status(status: TaskStatus) -> &'static str {
    match status {
        TaskStatus::Pending => "pending",
        TaskStatus::Reserved => "reserved",
        TaskStatus::Assigned => "assigned",
        TaskStatus::Canceled => "canceled",
        TaskStatus::Completed => "completed",
        TaskStatus::Wrapping => "wrapping",
    }
}

pub const fn reservation_status(status: ReservationStatus) -> &'static str {
    match status {
        ReservationStatus::Pending => "pending",
        ReservationStatus::Accepted => "accepted",
        ReservationStatus::Rejected => "rejected",
        ReservationStatus::Timeout => "timeout",
        ReservationStatus::Canceled => "canceled",
        ReservationStatus::Rescinded => "rescinded",
        ReservationStatus::Wrapping => "wrapping",
        ReservationStatus::Completed => "completed",
    }
}

/// `complete`, not "completed": reference events-and-callbacks, section 2.10.
pub const fn transfer_status(status: TransferStatus) -> &'static str {
    match status {
        TransferStatus::Initiated => "initiated",
        TransferStatus::Complete => "complete",
        TransferStatus::Failed => "failed",
        TransferStatus::Canceled => "canceled",
    }
}

pub const fn transfer_mode(mode: TransferMode) -> &'static str {
    match mode {
        TransferMode::Warm => "WARM",
        TransferMode::Cold => "COLD",
    }
}

pub const fn queue_order(order: Ordering) -> &'static str {
    match order {
        Ordering::Fifo => "FIFO",
        Ordering::Lifo => "LIFO",
    }
}

/// The order at this place of [`QUEUE_ORDERS`].
pub(crate) const fn queue_order_at(index: usize) -> Ordering {
    if index == 0 { Ordering::Fifo } else { Ordering::Lifo }
}

/// Reference: events-and-callbacks, section 2.5.
pub const fn routing_cause(cause: RoutingCause) -> &'static str {
    match cause {
        RoutingCause::ReservationRejected => "reservation_rejected",
        RoutingCause::ReservationTimeout => "reservation_timeout",
        RoutingCause::ReservationCanceled => "reservation_canceled",
        RoutingCause::TargetTimeout => "target_timeout",
        RoutingCause::TargetSkipped => "target_skipped",
        RoutingCause::TaskUpdated => "task_updated",
        RoutingCause::WorkflowUpdated => "workflow_updated",
        RoutingCause::Transfer => "transfer",
    }
}

pub const fn account_status(status: AccountStatus) -> &'static str {
    match status {
        AccountStatus::Active => "active",
        AccountStatus::Suspended => "suspended",
        AccountStatus::Closed => "closed",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_and_values_go_together() {
        assert!(TASK_STATUS_VALUES.iter().copied().map(task_status).eq(TASK_STATUSES.iter().copied()));
        assert!(
            RESERVATION_STATUS_VALUES.iter().copied().map(reservation_status).eq(RESERVATION_STATUSES.iter().copied())
        );
        assert!((0..2).map(queue_order_at).map(queue_order).eq(QUEUE_ORDERS.iter().copied()));
    }
}
