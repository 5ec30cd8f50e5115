//! What time it is: the system's, or one that moves only when told to. Reference: extensions, section 2.

use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use pointsman_engine::Timestamp;

use crate::configuration::ClockMode;
use crate::limits;

/// The clock of one server. Never goes back.
///
/// When the system's clock is set back, or what is stored is of a later time, it is ahead. It does not stand still
/// then, because timers would too: it goes on at nine tenths of real time until that has caught up.
#[derive(Debug)]
pub(crate) struct Clock {
    mode: ClockMode,
    /// System: the latest instant told. Virtual: now.
    latest_ms: AtomicI64,
    /// Since when it is ahead of the system's clock.
    ahead: Mutex<Option<Ahead>>,
}

/// The beginning of a time in which the clock is ahead.
#[derive(Clone, Copy, Debug)]
struct Ahead {
    /// What it told then.
    from: Timestamp,
    since: Instant,
}

impl Ahead {
    fn now(self) -> Timestamp {
        let elapsed_ms = i64::try_from(self.since.elapsed().as_millis()).unwrap_or(i64::MAX);
        Timestamp(self.from.0.saturating_add(elapsed_ms / 10 * 9 + elapsed_ms % 10 * 9 / 10))
    }
}

impl Clock {
    /// A clock that starts at the later of real time and `newest`, the newest instant that is stored.
    pub(crate) fn start(mode: ClockMode, newest: Option<Timestamp>) -> Clock {
        let start = newest.map_or(real_time(), |newest| newest.max(real_time()));
        Clock { mode, latest_ms: AtomicI64::new(start.0), ahead: Mutex::new(None) }
    }

    pub(crate) fn mode(&self) -> ClockMode {
        self.mode
    }

    pub(crate) fn now(&self) -> Timestamp {
        match self.mode {
            ClockMode::Virtual => Timestamp(self.latest_ms.load(Ordering::Acquire)),
            ClockMode::System => {
                let (real, latest) = (real_time(), Timestamp(self.latest_ms.load(Ordering::Acquire)));
                let now = if real < latest { self.now_ahead(real, latest) } else { real };
                Timestamp(self.latest_ms.fetch_max(now.0, Ordering::AcqRel).max(now.0))
            }
        }
    }

    fn now_ahead(&self, real: Timestamp, latest: Timestamp) -> Timestamp {
        let mut ahead = self.ahead.lock().unwrap_or_else(PoisonError::into_inner);
        // What another thread has just told is no time ahead of its own; nor is one that real time has passed since.
        let begun = ahead.filter(|ahead| real < ahead.now() && latest <= ahead.now());
        let current = begun.unwrap_or_else(|| Ahead { from: latest, since: instant() });
        if begun.is_none() && limits::CLOCK_AHEAD_TOLD <= Duration::from_millis((latest.0 - real.0) as u64) {
            tracing::warn!(
                ahead_seconds = (latest.0 - real.0) / 1_000,
                "the system's clock is behind what has happened already; time goes on from there, a tenth slower"
            );
        }
        *ahead = Some(current);
        current.now()
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
pub(crate) fn instant() -> Instant {
    Instant::now()
}

/// Milliseconds of real time that have passed.
pub(crate) fn millis_since(began: Instant) -> u64 {
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

    #[test]
    fn a_system_clock_that_is_ahead_goes_on_a_tenth_slower_until_real_time_has_caught_up() {
        let newest = Timestamp(real_time().0 + 1_000_000);
        let clock = Clock::start(ClockMode::System, Some(newest));
        clock.now();
        let past = |seconds| instant().checked_sub(Duration::from_secs(seconds)).expect("the machine runs that long");
        *clock.ahead.lock().unwrap() = Some(Ahead { from: newest, since: past(20) });
        let now = clock.now();
        assert!((18_000..19_000).contains(&now.since(newest).0), "{now:?}");
        // Real time has caught up: what is left of the time ahead does not count any more.
        let old = Timestamp(real_time().0 - 60_000);
        let clock = Clock::start(ClockMode::System, None);
        *clock.ahead.lock().unwrap() = Some(Ahead { from: old, since: instant() });
        let now = clock.now();
        assert!((0..1_000).contains(&real_time().since(now).0), "{now:?}");
        clock.latest_ms.store(now.0 + 500_000, Ordering::Release);
        assert!((500_000..501_000).contains(&clock.now().since(now).0));
    }
}
