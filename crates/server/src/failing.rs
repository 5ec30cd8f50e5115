//! What the log says of receivers that fail: the first failure, then one line a minute, and one when they work again.

use std::collections::BTreeMap;
use std::time::Instant;

use pointsman_engine::{Sid, Workspace};

use crate::limits::{FAILING_LINE_INTERVAL, FAILING_RECEIVERS_MAX, FAILING_SILENCE};

/// Who fails for whom, and how: one tenant's trouble with a receiver must not hide that of another, nor one kind of
/// failure another.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) struct Failure {
    pub(crate) workspace: Sid<Workspace>,
    /// Scheme, host and port.
    pub(crate) receiver: String,
    /// In the error dictionary.
    pub(crate) code: u32,
}

/// Receivers that have failed lately.
#[derive(Debug, Default)]
pub(crate) struct Failing {
    receivers: BTreeMap<Failure, Receiver>,
    /// No line is due before.
    next_line: Option<Instant>,
}

#[derive(Debug)]
struct Receiver {
    /// Since the first failure.
    failures: u64,
    /// Since the last line.
    unreported: u64,
    last_line: Instant,
    last_failure: Instant,
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
    pub(crate) fn failed(&mut self, failure: &Failure, now: Instant) -> Said {
        if let Some(known) = self.receivers.get_mut(failure) {
            known.failures += 1;
            known.unreported += 1;
            known.last_failure = now;
            known.works = false;
            let said = known.line(now);
            let next_line = known.next_line();
            self.note(next_line);
            return said;
        }
        if FAILING_RECEIVERS_MAX <= self.receivers.len() && !self.forget_silent(now) {
            // Beyond the bound every failure has its own line.
            return Said::First;
        }
        let known = Receiver { failures: 1, unreported: 0, last_line: now, last_failure: now, works: false };
        self.receivers.insert(failure.clone(), known);
        Said::First
    }

    /// Takes down that a receiver has answered as it should. Whether it goes on so shows when a minute has passed.
    pub(crate) fn worked(&mut self, workspace: Sid<Workspace>, receiver: &str) {
        let of = |code| Failure { workspace, receiver: receiver.to_owned(), code };
        let mut next_line = None;
        for known in self.receivers.range_mut(of(0)..=of(u32::MAX)).map(|(_, known)| known) {
            known.works = true;
            next_line = next_line.into_iter().chain(known.next_line()).min();
        }
        self.note(next_line);
    }

    fn note(&mut self, next_line: Option<Instant>) {
        self.next_line = self.next_line.into_iter().chain(next_line).min();
    }

    /// Makes room by forgetting whoever has been silent for longest, and for so long that it may be gone. False when
    /// nobody has.
    fn forget_silent(&mut self, now: Instant) -> bool {
        let longest = self.receivers.iter().min_by_key(|(_, known)| known.last_failure);
        let silent = longest.filter(|(_, known)| known.last_failure + FAILING_SILENCE <= now);
        let silent = silent.map(|(failure, _)| failure.clone());
        silent.is_some_and(|failure| self.receivers.remove(&failure).is_some())
    }

    /// The lines whose time has come.
    pub(crate) fn due(&mut self, now: Instant) -> Vec<(Failure, Said)> {
        let mut lines = Vec::new();
        if self.next_line.is_none_or(|next_line| now < next_line) {
            return lines;
        }
        self.receivers.retain(|failure, known| {
            let said = known.line(now);
            if said != Said::Nothing {
                lines.push((failure.clone(), said));
            }
            !matches!(said, Said::WorksAgain { .. })
        });
        self.next_line = self.receivers.values().filter_map(Receiver::next_line).min();
        lines
    }

    /// When the next line may be due.
    pub(crate) const fn next_line(&self) -> Option<Instant> {
        self.next_line
    }
}

impl Receiver {
    /// When there may be something to say of it, as things stand.
    fn next_line(&self) -> Option<Instant> {
        (self.works || 0 < self.unreported).then(|| self.last_line + FAILING_LINE_INTERVAL)
    }

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

    const CODE: u32 = 11_200;

    fn from(receiver: &str) -> Failure {
        Failure { workspace: Sid::from_bytes([1; 16]), receiver: receiver.to_owned(), code: CODE }
    }

    #[test]
    fn what_fails_for_one_workspace_in_one_way_hides_nothing_else() {
        let (mut failing, now) = (Failing::default(), clock::instant());
        let of_another = Failure { workspace: Sid::from_bytes([2; 16]), ..from("http://a") };
        let in_another_way = Failure { code: 40_000, ..from("http://a") };
        for failure in [from("http://a"), of_another.clone(), in_another_way] {
            assert_eq!(failing.failed(&failure, now), Said::First);
            assert_eq!(failing.failed(&failure, now), Said::Nothing);
        }
        failing.worked(Sid::from_bytes([1; 16]), "http://a");
        let said: Vec<Said> = failing.due(now + Duration::from_secs(60)).into_iter().map(|(_, said)| said).collect();
        let works = Said::WorksAgain { failures: 2 };
        assert_eq!(said, [works, works, Said::GoesOn { failures: 1 }]);
    }

    #[test]
    fn a_receiver_that_goes_on_failing_is_summed_up() {
        let (mut failing, start) = (Failing::default(), clock::instant());
        let at = |seconds| start + Duration::from_secs(seconds);
        assert_eq!(failing.failed(&from("http://a"), at(0)), Said::First);
        assert_eq!(failing.next_line(), None, "the first failure is told");
        assert_eq!(failing.failed(&from("http://a"), at(1)), Said::Nothing);
        assert_eq!(failing.failed(&from("http://b"), at(1)), Said::First);
        assert_eq!(failing.next_line(), Some(at(60)));
        assert_eq!(failing.due(at(59)), []);
        assert_eq!(failing.failed(&from("http://a"), at(60)), Said::GoesOn { failures: 2 });
        assert_eq!(failing.due(at(119)), []);
        assert_eq!(failing.failed(&from("http://a"), at(119)), Said::Nothing);
        assert_eq!(failing.due(at(120)), [(from("http://a"), Said::GoesOn { failures: 1 })]);
        assert_eq!(failing.due(at(1_000)), [], "nothing has happened since");
    }

    #[test]
    fn it_is_told_once_that_a_receiver_works_again() {
        let (mut failing, start) = (Failing::default(), clock::instant());
        let at = |seconds| start + Duration::from_secs(seconds);
        failing.worked(Sid::from_bytes([1; 16]), "http://a");
        assert_eq!(failing.due(at(100)), []);
        failing.failed(&from("http://a"), at(0));
        failing.failed(&from("http://a"), at(1));
        failing.worked(Sid::from_bytes([1; 16]), "http://a");
        // Now and then it works and fails: that is no line each.
        failing.failed(&from("http://a"), at(2));
        failing.worked(Sid::from_bytes([1; 16]), "http://a");
        assert_eq!(failing.due(at(59)), []);
        assert_eq!(failing.due(at(60)), [(from("http://a"), Said::WorksAgain { failures: 3 })]);
        assert_eq!(failing.next_line(), None);
        assert_eq!(failing.failed(&from("http://a"), at(61)), Said::First);
    }

    #[test]
    fn so_many_receivers_are_kept_and_no_more() {
        let (mut failing, now) = (Failing::default(), clock::instant());
        for number in 0..FAILING_RECEIVERS_MAX {
            assert_eq!(failing.failed(&from(&format!("http://{number}")), now), Said::First);
        }
        assert_eq!(failing.failed(&from("http://one-more"), now), Said::First);
        assert_eq!(failing.failed(&from("http://one-more"), now), Said::First);
        assert_eq!(failing.failed(&from("http://0"), now), Said::Nothing);
    }

    #[test]
    fn whoever_has_long_been_silent_makes_room_for_another() {
        let (mut failing, start) = (Failing::default(), clock::instant());
        for number in 0..FAILING_RECEIVERS_MAX {
            failing.failed(&from(&format!("http://{number}")), start + Duration::from_millis(1));
        }
        let just_before = start + FAILING_SILENCE;
        let silent = just_before + Duration::from_millis(1);
        assert_eq!(failing.failed(&from("http://1"), just_before), Said::GoesOn { failures: 1 });
        assert_eq!(failing.failed(&from("http://another"), just_before), Said::First);
        assert_eq!(failing.failed(&from("http://another"), just_before), Said::First, "there was no room for it");
        for number in 0..FAILING_RECEIVERS_MAX - 1 {
            let another = from(&format!("http://another-{number}"));
            assert_eq!(failing.failed(&another, silent), Said::First);
            assert_eq!(failing.failed(&another, silent), Said::Nothing, "{number}");
        }
        assert_eq!(failing.failed(&from("http://1"), silent), Said::Nothing, "it is one that has failed since");
        assert_eq!(failing.receivers.len(), FAILING_RECEIVERS_MAX);
        failing.failed(&from("http://one-more"), silent);
        assert_eq!(failing.failed(&from("http://one-more"), silent), Said::First, "all others have failed since");
    }
}
