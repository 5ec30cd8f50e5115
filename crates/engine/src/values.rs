//! Quantities and small enumerations of the domain.

use core::fmt;

/// An instant: milliseconds since the Unix epoch.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(pub i64);

impl Timestamp {
    /// Whole seconds since the epoch, cut rather than rounded.
    pub const fn seconds(self) -> i64 {
        self.0.div_euclid(1000)
    }

    #[must_use]
    pub const fn plus(self, duration: DurationMs) -> Self {
        Self(self.0.saturating_add(duration.0))
    }

    /// Time from `earlier` until this instant.
    pub const fn since(self, earlier: Self) -> DurationMs {
        DurationMs(self.0.saturating_sub(earlier.0))
    }

    /// The next full minute after this instant (UTC).
    #[must_use]
    pub const fn next_minute(self) -> Self {
        Self((self.0.div_euclid(60_000) + 1) * 60_000)
    }
}

/// A span of time in milliseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DurationMs(pub i64);

impl DurationMs {
    pub const fn from_seconds(seconds: u32) -> Self {
        Self(seconds as i64 * 1000)
    }

    pub const fn seconds(self) -> i64 {
        self.0.div_euclid(1000)
    }
}

/// How often an object changed: the number in its `ETag` (reference: rest-contract, section 2).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Version(pub u64);

impl Version {
    #[must_use]
    pub const fn next(self) -> Self {
        Self(self.0 + 1)
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Urgency of a Task, 0 to 2,147,483,647; a larger number is served first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Priority(pub u32);

/// Which end of a line is served first: `TaskOrder` of a queue, `PrioritizeQueueOrder` of a Workspace.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Ordering {
    #[default]
    Fifo,
    Lifo,
}

/// Whether Workers may hold several Tasks at once, each on its channel (reference: routing, section 0.2).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Tasking {
    Single,
    #[default]
    Multi,
}

/// `assignment_status` of a Task (reference: routing, section 4.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum TaskStatus {
    Pending,
    Reserved,
    Assigned,
    Wrapping,
    Completed,
    Canceled,
}

impl TaskStatus {
    pub const fn is_terminal(self) -> bool {
        matches!(self, Self::Completed | Self::Canceled)
    }

    pub const fn is_waiting(self) -> bool {
        matches!(self, Self::Pending | Self::Reserved)
    }
}

/// `reservation_status` (reference: routing, section 4.2). The on-hold sub-state is kept beside it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ReservationStatus {
    Pending,
    Accepted,
    Rejected,
    Timeout,
    Canceled,
    Rescinded,
    Wrapping,
    Completed,
}

impl ReservationStatus {
    /// Counts as load of its Worker: pending, accepted or wrapping.
    pub const fn is_active(self) -> bool {
        matches!(self, Self::Pending | Self::Accepted | Self::Wrapping)
    }

    /// The transitions of the state machine; everything else is a broken invariant.
    pub const fn can_become(self, next: Self) -> bool {
        match self {
            Self::Pending => {
                matches!(next, Self::Accepted | Self::Rejected | Self::Timeout | Self::Canceled | Self::Rescinded)
            }
            Self::Accepted => matches!(next, Self::Wrapping | Self::Completed),
            Self::Wrapping => matches!(next, Self::Completed),
            Self::Rejected | Self::Timeout | Self::Canceled | Self::Rescinded | Self::Completed => false,
        }
    }
}

/// `transfer_status` (reference: routing, section 6.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum TransferStatus {
    Initiated,
    Complete,
    Failed,
    Canceled,
}

/// Whether the initiator stays until the transferee has accepted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum TransferMode {
    #[default]
    Warm,
    Cold,
}
