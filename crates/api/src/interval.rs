//! The window of statistics and of the Events list. Reference: statistics, sections 3.1 and 3.2.

use pointsman_engine::{DurationMs, Timestamp};

use crate::errors::{self, ApiError};
use crate::limits::{HORIZON_GRACE_MS, MINUTES_DEFAULT};
use crate::parameters::{Param, date, minutes};
use crate::request::Call;

pub(crate) const MINUTES: Param<i64> = minutes("Minutes", "Minutes back from the end; 15 by default.");
pub(crate) const START_DATE: Param<Timestamp> = date("StartDate", "First instant, inclusive.");
pub(crate) const END_DATE: Param<Timestamp> = date("EndDate", "Last instant, inclusive; now by default.");

const MINUTE_MS: i64 = 60_000;
pub(crate) const DAY_MS: i64 = 86_400_000;

/// A window in milliseconds, both ends inclusive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Interval {
    pub(crate) start: Timestamp,
    pub(crate) end: Timestamp,
}

impl Interval {
    /// Reads the window of a call; dates win over `Minutes`. Errors: it ends before it starts.
    pub(crate) fn of(call: &Call, now: Timestamp) -> Result<Self, ApiError> {
        let end = call.get(&END_DATE).unwrap_or(now).min(now);
        let back = DurationMs(call.get(&MINUTES).unwrap_or(MINUTES_DEFAULT).saturating_mul(-MINUTE_MS));
        let start = call.get(&START_DATE).unwrap_or_else(|| end.plus(back));
        if end < start {
            return Err(ApiError::new(&errors::START_AFTER_END, &[]));
        }
        Ok(Self { start, end })
    }

    /// The oldest instant that statistics reach back to.
    pub(crate) fn horizon(call: &Call, now: Timestamp) -> Timestamp {
        now.plus(DurationMs(-i64::from(call.settings.statistics_retention_days) * DAY_MS))
    }

    /// The same for statistics, which reach back only so far.
    pub(crate) fn within_horizon(call: &Call, now: Timestamp) -> Result<Self, ApiError> {
        let interval = Self::of(call, now)?;
        let days = i64::from(call.settings.statistics_retention_days);
        let horizon = Self::horizon(call, now);
        let minutes = call.get(&MINUTES);
        let by_date = call.get(&START_DATE).is_some() || call.get(&END_DATE).is_some();
        let grace = if by_date { HORIZON_GRACE_MS } else { 0 };
        let too_old = minutes.is_some_and(|minutes| days * DAY_MS / MINUTE_MS < minutes)
            || interval.start < horizon.plus(DurationMs(-grace))
            || interval.end < horizon;
        if too_old {
            return Err(ApiError::new(&errors::START_TOO_OLD, &[]));
        }
        Ok(Self { start: interval.start.max(horizon), end: interval.end })
    }
}
