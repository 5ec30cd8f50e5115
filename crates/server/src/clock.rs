//! What time it is: the system's, or one that moves only when told to. Reference: extensions, section 2.

use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use pointsman_engine::Timestamp;

use crate::configuration::ClockMode;

/// The clock of one server. Never goes back.
#[derive(Debug)]
pub(crate) struct Clock {
    mode: ClockMode,
    /// System: the latest instant told. Virtual: now.
    latest_ms: AtomicI64,
}

impl Clock {
    /// A clock that starts at the later of real time and `newest`, the newest instant that is stored.
    pub(crate) fn start(mode: ClockMode, newest: Option<Timestamp>) -> Clock {
        let start = newest.map_or(real_time(), |newest| newest.max(real_time()));
        Clock { mode, latest_ms: AtomicI64::new(start.0) }
    }

    pub(crate) fn mode(&self) -> ClockMode {
        self.mode
    }

    pub(crate) fn now(&self) -> Timestamp {
        match self.mode {
            ClockMode::Virtual => Timestamp(self.latest_ms.load(Ordering::Acquire)),
            ClockMode::System => {
                let now = real_time();
                Timestamp(self.latest_ms.fetch_max(now.0, Ordering::AcqRel).max(now.0))
            }
        }
    }

    /// Moves a virtual clock; an instant before now leaves it where it is.
    pub(crate) fn move_to(&self, instant: Timestamp) {
        assert_eq!(self.mode, ClockMode::Virtual, "the system's time cannot be moved");
        self.latest_ms.fetch_max(instant.0, Ordering::AcqRel);
    }
}

/// The one place where the time of day is read.
#[expect(clippy::disallowed_methods, reason = "this is the server's clock")]
pub fn real_time() -> Timestamp {
    let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).expect("the system's clock is set after 1970");
    Timestamp(since_epoch.as_millis() as i64)
}

/// A stop-watch for durations of real time.
#[expect(clippy::disallowed_methods, reason = "durations are measured in the server")]
pub(crate) fn instant() -> std::time::Instant {
    std::time::Instant::now()
}

/// Milliseconds of real time that have passed.
pub(crate) fn millis_since(began: std::time::Instant) -> u64 {
    u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_virtual_clock_stands_still_until_it_is_moved_and_never_goes_back() {
        let newest = Timestamp(real_time().0 + 1_000_000);
        let clock = Clock::start(ClockMode::Virtual, Some(newest));
        assert_eq!(clock.now(), newest);
        clock.move_to(Timestamp(newest.0 + 5));
        clock.move_to(newest);
        assert_eq!(clock.now(), Timestamp(newest.0 + 5));
    }

    #[test]
    fn a_system_clock_is_never_before_what_is_stored() {
        let newest = Timestamp(real_time().0 + 1_000_000);
        assert_eq!(Clock::start(ClockMode::System, Some(newest)).now(), newest);
        assert!(Clock::start(ClockMode::System, None).now() < newest);
    }
}
