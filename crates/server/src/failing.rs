//! What the log says of receivers that fail: the first failure, then one line a minute, and one when they work again.

use std::collections::BTreeMap;
use std::time::Instant;

use crate::limits::{FAILING_LINE_INTERVAL, FAILING_RECEIVERS_MAX};

/// Receivers that have failed lately, by scheme, host and port.
#[derive(Debug, Default)]
pub(crate) struct Failing {
    receivers: BTreeMap<String, Receiver>,
}

#[derive(Debug)]
struct Receiver {
    /// Since the first failure.
    failures: u64,
    /// Since the last line.
    unreported: u64,
    last_line: Instant,
    /// It has answered as it should since the last failure.
    works: bool,
}

/// What is to be said.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Said {
    /// The first failure, with all that is known of it.
    First,
    /// It goes on: so many failures since the last line.
    GoesOn {
        failures: u64,
    },
    /// It is over: so many failures in all.
    WorksAgain {
        failures: u64,
    },
    Nothing,
}

impl Failing {
    /// Takes down a failure.
    pub(crate) fn failed(&mut self, receiver: &str, now: Instant) -> Said {
        if let Some(known) = self.receivers.get_mut(receiver) {
            known.failures += 1;
            known.unreported += 1;
            known.works = false;
            return known.line(now);
        }
        if FAILING_RECEIVERS_MAX <= self.receivers.len() {
            // Beyond the bound every failure has its own line.
            return Said::First;
        }
        let known = Receiver { failures: 1, unreported: 0, last_line: now, works: false };
        self.receivers.insert(receiver.to_owned(), known);
        Said::First
    }

    /// Takes down that a receiver has answered as it should. Whether it goes on so shows when a minute has passed.
    pub(crate) fn worked(&mut self, receiver: &str) {
        if let Some(known) = self.receivers.get_mut(receiver) {
            known.works = true;
        }
    }

    /// The lines whose time has come.
    pub(crate) fn due(&mut self, now: Instant) -> Vec<(String, Said)> {
        let mut lines = Vec::new();
        self.receivers.retain(|receiver, known| {
            let said = known.line(now);
            if said != Said::Nothing {
                lines.push((receiver.clone(), said));
            }
            !matches!(said, Said::WorksAgain { .. })
        });
        lines
    }

    /// When the next line may be due.
    pub(crate) fn next_line(&self) -> Option<Instant> {
        let waiting = self.receivers.values().filter(|known| known.works || 0 < known.unreported);
        waiting.map(|known| known.last_line + FAILING_LINE_INTERVAL).min()
    }
}

impl Receiver {
    fn line(&mut self, now: Instant) -> Said {
        if now < self.last_line + FAILING_LINE_INTERVAL {
            return Said::Nothing;
        }
        let (failures, unreported) = (self.failures, std::mem::take(&mut self.unreported));
        if self.works {
            return Said::WorksAgain { failures };
        }
        if unreported == 0 {
            return Said::Nothing;
        }
        self.last_line = now;
        Said::GoesOn { failures: unreported }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::clock;

    #[test]
    fn a_receiver_that_goes_on_failing_is_summed_up() {
        let (mut failing, start) = (Failing::default(), clock::instant());
        let at = |seconds| start + Duration::from_secs(seconds);
        assert_eq!(failing.failed("http://a", at(0)), Said::First);
        assert_eq!(failing.next_line(), None, "the first failure is told");
        assert_eq!(failing.failed("http://a", at(1)), Said::Nothing);
        assert_eq!(failing.failed("http://b", at(1)), Said::First);
        assert_eq!(failing.next_line(), Some(at(60)));
        assert_eq!(failing.due(at(59)), []);
        assert_eq!(failing.failed("http://a", at(60)), Said::GoesOn { failures: 2 });
        assert_eq!(failing.due(at(119)), []);
        assert_eq!(failing.failed("http://a", at(119)), Said::Nothing);
        assert_eq!(failing.due(at(120)), [("http://a".to_owned(), Said::GoesOn { failures: 1 })]);
        assert_eq!(failing.due(at(1_000)), [], "nothing has happened since");
    }

    #[test]
    fn it_is_told_once_that_a_receiver_works_again() {
        let (mut failing, start) = (Failing::default(), clock::instant());
        let at = |seconds| start + Duration::from_secs(seconds);
        failing.worked("http://a");
        assert_eq!(failing.due(at(100)), []);
        failing.failed("http://a", at(0));
        failing.failed("http://a", at(1));
        failing.worked("http://a");
        // Now and then it works and fails: that is no line each.
        failing.failed("http://a", at(2));
        failing.worked("http://a");
        assert_eq!(failing.due(at(59)), []);
        assert_eq!(failing.due(at(60)), [("http://a".to_owned(), Said::WorksAgain { failures: 3 })]);
        assert_eq!(failing.next_line(), None);
        assert_eq!(failing.failed("http://a", at(61)), Said::First);
    }

    #[test]
    fn so_many_receivers_are_kept_and_no_more() {
        let (mut failing, now) = (Failing::default(), clock::instant());
        for number in 0..FAILING_RECEIVERS_MAX {
            assert_eq!(failing.failed(&format!("http://{number}"), now), Said::First);
        }
        assert_eq!(failing.failed("http://one-more", now), Said::First);
        assert_eq!(failing.failed("http://one-more", now), Said::First);
        assert_eq!(failing.failed("http://0", now), Said::Nothing);
    }
}
