//! Looks up the names of receivers, on threads of its own.
//!
//! The system's resolver cannot be interrupted: a lookup that nobody waits for any more goes on for as long as the
//! resolver is patient. So lookups neither take threads from those who answer requests, nor places from each other: an
//! account, and within it a workspace, has fewer places the more are taken.

use std::collections::{BTreeMap, VecDeque};
use std::fmt;
use std::io;
use std::net::{SocketAddr, ToSocketAddrs};
use std::sync::{Arc, Mutex, PoisonError};

use pointsman_engine::{Account, Sid, Workspace};
use tokio::sync::oneshot;

use crate::limits;

/// On whose behalf a name is looked up.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Asker {
    pub(crate) account: Sid<Account>,
    pub(crate) workspace: Sid<Workspace>,
}

/// Finds the addresses of a name; blocks.
type Find = dyn Fn(&str) -> io::Result<Vec<SocketAddr>> + Send + Sync;

/// The lookups under way and those that wait for a place.
#[derive(Clone)]
pub(crate) struct Lookups {
    find: Arc<Find>,
    places: Arc<Places>,
}

#[derive(Debug, Default)]
struct Places(Mutex<Taken>);

/// Lookups under way, abandoned ones included, and who waits.
#[derive(Debug, Default)]
struct Taken {
    count: usize,
    of_account: BTreeMap<Sid<Account>, usize>,
    of_workspace: BTreeMap<Sid<Workspace>, usize>,
    /// First come, first served, as far as its share allows. None of them may take a place now.
    waiting: VecDeque<(Asker, oneshot::Sender<Place>)>,
}

/// Room for one lookup; given back at its end.
#[derive(Debug)]
struct Place {
    places: Arc<Places>,
    asker: Asker,
}

impl fmt::Debug for Lookups {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Lookups")
    }
}

impl Lookups {
    /// Lookups with the system's resolver.
    pub(crate) fn new() -> Lookups {
        Lookups::with(|host| Ok((host, 0).to_socket_addrs()?.collect()))
    }

    fn with(find: impl Fn(&str) -> io::Result<Vec<SocketAddr>> + Send + Sync + 'static) -> Lookups {
        Lookups { find: Arc::new(find), places: Arc::default() }
    }

    /// Finds the addresses of a name. Waits for a place, then for the resolver, each without end.
    ///
    /// - `begun`: told when there was a place.
    pub(crate) async fn addresses(
        &self,
        asker: Asker,
        host: String,
        begun: impl FnOnce(),
    ) -> io::Result<Vec<SocketAddr>> {
        let place = self.places.take(asker).await;
        begun();
        let find = Arc::clone(&self.find);
        let (answer, found) = oneshot::channel();
        let look_up = move || {
            let addresses = find(&host);
            drop(place);
            // Whoever asked may have given up.
            let _ = answer.send(addresses);
        };
        std::thread::Builder::new().name("lookup".to_owned()).spawn(look_up)?;
        found.await.expect("a lookup does not panic")
    }
}

impl Places {
    async fn take(self: &Arc<Places>, asker: Asker) -> Place {
        let granted = {
            let mut taken = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            if taken.admits(asker) {
                taken.add(asker);
                return Place { places: Arc::clone(self), asker };
            }
            let (grant, granted) = oneshot::channel();
            taken.waiting.retain(|(_, grant)| !grant.is_closed());
            taken.waiting.push_back((asker, grant));
            granted
        };
        granted.await.expect("whoever waits is granted a place or forgotten")
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut granted = Vec::new();
        {
            let mut taken = self.places.0.lock().unwrap_or_else(PoisonError::into_inner);
            taken.remove(self.asker);
            while let Some((asker, grant)) = taken.next_waiting() {
                taken.add(asker);
                granted.push((grant, Place { places: Arc::clone(&self.places), asker }));
            }
        }
        for (grant, place) in granted {
            // Whoever has given up meanwhile leaves the place to the next: it is given back like any other.
            let _ = grant.send(place);
        }
    }
}

impl Taken {
    /// Whether somebody may take one more place. An account may have half of what is free and one more, one of its
    /// workspaces a quarter of what is left to the account and one more.
    fn admits(&self, asker: Asker) -> bool {
        let free = limits::LOOKUPS_MAX - self.count;
        let of_account = self.of_account.get(&asker.account).copied().unwrap_or_default();
        let of_workspace = self.of_workspace.get(&asker.workspace).copied().unwrap_or_default();
        let left = (1 + free / limits::LOOKUPS_SHARE_OF_ACCOUNT).saturating_sub(of_account);
        0 < free && 0 < left && of_workspace < 1 + left / limits::LOOKUPS_SHARE_OF_WORKSPACE
    }

    fn add(&mut self, asker: Asker) {
        self.count += 1;
        *self.of_account.entry(asker.account).or_default() += 1;
        *self.of_workspace.entry(asker.workspace).or_default() += 1;
    }

    fn remove(&mut self, asker: Asker) {
        self.count -= 1;
        take_one(&mut self.of_account, &asker.account);
        take_one(&mut self.of_workspace, &asker.workspace);
    }

    fn next_waiting(&mut self) -> Option<(Asker, oneshot::Sender<Place>)> {
        self.waiting.retain(|(_, grant)| !grant.is_closed());
        let next = self.waiting.iter().position(|(asker, _)| self.admits(*asker))?;
        self.waiting.remove(next)
    }
}

fn take_one<K: Ord>(counts: &mut BTreeMap<K, usize>, key: &K) {
    let count = counts.get_mut(key).expect("its place is counted");
    *count -= 1;
    if *count == 0 {
        counts.remove(key);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Condvar;

    use super::*;

    /// A resolver that answers at once, but of names that begin with "slow" only when it is let.
    fn lookups() -> (Lookups, Arc<(Mutex<bool>, Condvar)>) {
        let gate: Arc<(Mutex<bool>, Condvar)> = Arc::default();
        let find = {
            let gate = Arc::clone(&gate);
            move |host: &str| {
                if host.starts_with("slow") {
                    let is_open = gate.0.lock().unwrap();
                    drop(gate.1.wait_while(is_open, |is_open| !*is_open).unwrap());
                }
                Ok(vec!["203.0.113.5:0".parse().unwrap()])
            }
        };
        (Lookups::with(find), gate)
    }

    fn open(gate: &(Mutex<bool>, Condvar)) {
        *gate.0.lock().unwrap() = true;
        gate.1.notify_all();
    }

    fn asker(account: u8, workspace: u8) -> Asker {
        Asker { account: Sid::from_bytes([account; 16]), workspace: Sid::from_bytes([workspace; 16]) }
    }

    /// Begins lookups that do not end until none begins any more, and abandons all of them. Returns how many began.
    async fn flood(lookups: &Lookups, asker: Asker) -> usize {
        let mut begun = 0;
        for _ in 0..2 * limits::LOOKUPS_MAX {
            let (begin, mut has_begun) = oneshot::channel();
            let mut looking = Box::pin(lookups.addresses(asker, "slow".to_owned(), || begin.send(()).unwrap()));
            // The first poll takes a place if there is one.
            assert!(
                std::future::poll_fn(|context| std::task::Poll::Ready(looking.as_mut().poll(context).is_pending()))
                    .await
            );
            begun += usize::from(has_begun.try_recv().is_ok());
        }
        begun
    }

    #[tokio::test]
    async fn abandoned_lookups_of_one_leave_places_to_others() {
        let (lookups, gate) = lookups();
        let first = flood(&lookups, asker(1, 1)).await;
        assert_eq!(first, 24, "as the documents say");
        let found = lookups.addresses(asker(1, 2), "quick".to_owned(), || ()).await.unwrap();
        assert_eq!(found, ["203.0.113.5:0".parse().unwrap()]);
        for workspace in 3..60 {
            flood(&lookups, asker(1, workspace)).await;
        }
        let taken = lookups.places.0.lock().unwrap().count;
        assert!(taken < limits::LOOKUPS_MAX / 2, "{taken}");
        lookups.addresses(asker(2, 61), "quick".to_owned(), || ()).await.unwrap();
        for account in 3..=255 {
            flood(&lookups, asker(account, account)).await;
        }
        assert!(lookups.places.0.lock().unwrap().count <= limits::LOOKUPS_MAX);
        open(&gate);
    }

    #[tokio::test]
    async fn whoever_waits_gets_the_place_of_one_that_has_ended() {
        let (lookups, gate) = lookups();
        flood(&lookups, asker(1, 1)).await;
        let waits = tokio::spawn({
            let lookups = lookups.clone();
            async move { lookups.addresses(asker(1, 1), "quick".to_owned(), || ()).await }
        });
        while lookups.places.0.lock().unwrap().waiting.iter().all(|(_, grant)| grant.is_closed()) {
            tokio::task::yield_now().await;
        }
        open(&gate);
        assert_eq!(waits.await.unwrap().unwrap(), ["203.0.113.5:0".parse().unwrap()]);
        while lookups.places.0.lock().unwrap().count != 0 {
            tokio::task::yield_now().await;
        }
        let taken = lookups.places.0.lock().unwrap();
        assert!(taken.of_account.is_empty() && taken.of_workspace.is_empty() && taken.waiting.is_empty());
    }
}
