//! Rate limits, where the operator has set them. Reference: rest-contract, sections 1.5 and 10.4.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use pointsman_api::{Answer, Call, add_rate_headers};
use pointsman_engine::{Account, Sid, Workspace};

use crate::{clock, limits};

/// The rate of each resource key, and a bucket for each key, account and Workspace in use.
#[derive(Debug)]
pub(crate) struct Rates {
    per_second: BTreeMap<String, u32>,
    buckets: Mutex<BTreeMap<Place, Bucket>>,
}

/// What is counted: a resource key, for an account and the Workspace that it names, whether that is its own or not.
type Place = (String, Sid<Account>, Option<Sid<Workspace>>);

/// A limit that applies to a call.
#[derive(Debug)]
pub(crate) struct Rate {
    key: String,
    /// Per second.
    allowed: u32,
    /// After this call; `None` when it is one too many.
    pub(crate) remaining: Option<u32>,
}

impl Rate {
    pub(crate) fn add_headers(&self, answer: &mut Answer) {
        add_rate_headers(answer, self.allowed, self.remaining.unwrap_or_default(), &self.key);
    }
}

#[derive(Clone, Copy, Debug)]
struct Bucket {
    /// Thousandths of requests that may come at once.
    left: u64,
    at: Instant,
}

impl Rates {
    pub(crate) fn new(per_second: BTreeMap<String, u32>) -> Rates {
        Rates { per_second, buckets: Mutex::default() }
    }

    /// Counts a call. `None` when no limit applies to it.
    pub(crate) fn take(&self, call: &Call, account: Sid<Account>) -> Option<Rate> {
        if self.per_second.is_empty() {
            return None;
        }
        let key = call.rate_key();
        let allowed = *self.per_second.get(&key)?;
        let place = (key.clone(), account, call.workspace());
        let remaining = self.take_at(place, allowed, clock::instant());
        Some(Rate { key, allowed, remaining })
    }

    /// What is left after this call; `None` when nothing was.
    fn take_at(&self, place: Place, rate: u32, now: Instant) -> Option<u32> {
        let full = u64::from(rate) * 1_000;
        let mut buckets = self.buckets.lock().unwrap_or_else(PoisonError::into_inner);
        if limits::RATE_COUNTERS_MAX <= buckets.len() && !buckets.contains_key(&place) {
            // A bucket that was left alone for a second is full again, and as good as none.
            buckets.retain(|_, bucket| now.duration_since(bucket.at).as_secs() < 1);
        }
        let bucket = buckets.entry(place).or_insert(Bucket { left: full, at: now });
        let since_ms = now.duration_since(bucket.at).as_millis().min(1_000) as u64;
        if 0 < since_ms {
            bucket.left = (bucket.left + since_ms * u64::from(rate)).min(full);
            bucket.at = now;
        }
        bucket.left = bucket.left.checked_sub(1_000)?;
        Some((bucket.left / 1_000) as u32)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn place(key: &str, account: u8, workspace: u8) -> Place {
        (key.to_owned(), Sid::from_bytes([account; 16]), Some(Sid::from_bytes([workspace; 16])))
    }

    #[test]
    fn a_second_holds_as_many_requests_as_the_rate_says() {
        let rates = Rates::new(BTreeMap::new());
        let start = clock::instant();
        let place = place("Task-Create", 1, 1);
        let take = |after_ms| rates.take_at(place.clone(), 3, start + Duration::from_millis(after_ms));
        assert_eq!([take(0), take(0), take(0), take(0)], [Some(2), Some(1), Some(0), None]);
        assert_eq!(take(333), None);
        assert_eq!(take(334), Some(0));
        assert_eq!(take(5_000), Some(2));
    }

    #[test]
    fn accounts_workspaces_and_keys_are_counted_apart() {
        let rates = Rates::new(BTreeMap::new());
        let now = clock::instant();
        for (key, account, workspace) in [("A", 1, 1), ("A", 1, 2), ("A", 2, 1), ("B", 1, 1)] {
            assert_eq!(rates.take_at(place(key, account, workspace), 1, now), Some(0));
            assert_eq!(rates.take_at(place(key, account, workspace), 1, now), None);
        }
    }
}
