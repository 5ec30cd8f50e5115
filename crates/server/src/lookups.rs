//! Looks up the names of receivers, on threads of its own.
//!
//! The system's resolver cannot be interrupted: a lookup that nobody waits for any more goes on for as long as the
//! resolver is patient. So lookups neither take threads from those who answer requests, nor places from each other: an
//! account, and within it a workspace, has fewer places the more are taken; what routing waits for has places of its
//! own; and a name that a workspace asks for again is looked up once.

use std::collections::{BTreeMap, VecDeque};
use std::fmt;
use std::io;
use std::net::{SocketAddr, ToSocketAddrs};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use pointsman_engine::{Account, Sid, Workspace};
use tokio::sync::{oneshot, watch};

use crate::limits;

/// On whose behalf a name is looked up.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Asker {
    pub(crate) account: Sid<Account>,
    pub(crate) workspace: Sid<Workspace>,
    /// Routing waits for it.
    pub(crate) is_urgent: bool,
}

/// A name that somebody asks for.
type Question = (Sid<Workspace>, bool, String);

/// What is known of a lookup under way.
#[derive(Clone, Debug)]
enum Progress {
    WaitsForPlace,
    Begun,
    Ended(Result<Vec<SocketAddr>, (io::ErrorKind, String)>),
}

/// Finds the addresses of a name; blocks.
type Find = dyn Fn(&str) -> io::Result<Vec<SocketAddr>> + Send + Sync;

/// The lookups under way and those that wait for a place.
#[derive(Clone)]
pub(crate) struct Lookups {
    find: Arc<Find>,
    usual: Arc<Places>,
    urgent: Arc<Places>,
    /// Those that begin or wait for a place, and whom to tell.
    under_way: Arc<Mutex<BTreeMap<Question, Arc<watch::Sender<Progress>>>>>,
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
        let (usual, urgent, under_way) = Default::default();
        Lookups { find: Arc::new(find), usual, urgent, under_way }
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
        let mut progress = self.look_up(asker, host);
        let ended = "a lookup does not panic";
        progress.wait_for(|progress| !matches!(progress, Progress::WaitsForPlace)).await.expect(ended);
        begun();
        let progress = progress.wait_for(|progress| matches!(progress, Progress::Ended(_))).await.expect(ended);
        let Progress::Ended(found) = &*progress else { unreachable!("it has just been waited for") };
        found.clone().map_err(|(kind, problem)| io::Error::new(kind, problem))
    }

    /// Joins the lookup of a name, or begins it.
    fn look_up(&self, asker: Asker, host: String) -> watch::Receiver<Progress> {
        let question = (asker.workspace, asker.is_urgent, host);
        let mut under_way = self.under_way();
        if let Some(tell) = under_way.get(&question) {
            return tell.subscribe();
        }
        let (tell, progress) = watch::channel(Progress::WaitsForPlace);
        let tell = Arc::new(tell);
        under_way.insert(question.clone(), Arc::clone(&tell));
        drop(under_way);
        let places = if asker.is_urgent { &self.urgent } else { &self.usual };
        match places.take(asker) {
            Ok(place) => self.begin(&question, place, &tell),
            Err(granted) => drop(tokio::spawn(self.clone().begin_later(question, granted, tell))),
        }
        progress
    }

    /// Begins a lookup when there is a place for it, if somebody waits for it still.
    async fn begin_later(
        self,
        question: Question,
        mut granted: oneshot::Receiver<Place>,
        tell: Arc<watch::Sender<Progress>>,
    ) {
        let place = loop {
            tokio::select! {
                place = &mut granted => break place.expect("whoever waits is granted a place or forgotten"),
                () = tell.closed() => {
                    let mut under_way = self.under_way();
                    // Nobody can join any more while this is locked.
                    if tell.receiver_count() == 0 {
                        under_way.remove(&question);
                        return;
                    }
                }
            }
        };
        self.begin(&question, place, &tell);
    }

    fn begin(&self, question: &Question, place: Place, tell: &Arc<watch::Sender<Progress>>) {
        tell.send_replace(Progress::Begun);
        let look_up = {
            let (lookups, question, tell) = (self.clone(), question.clone(), Arc::clone(tell));
            move || {
                let found = (lookups.find)(&question.2);
                drop(place);
                lookups.end(&question, &tell, found);
            }
        };
        // One that the system has no thread for has failed.
        if let Err(error) = std::thread::Builder::new().name("lookup".to_owned()).spawn(look_up) {
            self.end(question, tell, Err(error));
        }
    }

    fn end(&self, question: &Question, tell: &watch::Sender<Progress>, found: io::Result<Vec<SocketAddr>>) {
        self.under_way().remove(question);
        tell.send_replace(Progress::Ended(found.map_err(|error| (error.kind(), error.to_string()))));
    }

    fn under_way(&self) -> MutexGuard<'_, BTreeMap<Question, Arc<watch::Sender<Progress>>>> {
        self.under_way.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Places {
    /// A place, or where it will come from.
    fn take(self: &Arc<Places>, asker: Asker) -> Result<Place, oneshot::Receiver<Place>> {
        let mut taken = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if taken.admits(asker) {
            taken.add(asker);
            return Ok(Place { places: Arc::clone(self), asker });
        }
        let (grant, granted) = oneshot::channel();
        taken.waiting.retain(|(_, grant)| !grant.is_closed());
        taken.waiting.push_back((asker, grant));
        Err(granted)
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
        Asker { account: Sid::from_bytes([account; 16]), workspace: Sid::from_bytes([workspace; 16]), is_urgent: false }
    }

    /// Begins lookups that do not end until none begins any more, and abandons all of them. Returns how many began.
    async fn flood(lookups: &Lookups, asker: Asker) -> usize {
        let mut begun = 0;
        for number in 0..2 * limits::LOOKUPS_MAX {
            let (begin, mut has_begun) = oneshot::channel();
            let name = format!("slow{number}");
            let mut looking = Box::pin(lookups.addresses(asker, name, || begin.send(()).unwrap()));
            // The first poll takes a place if there is one.
            assert!(
                std::future::poll_fn(|context| std::task::Poll::Ready(looking.as_mut().poll(context).is_pending()))
                    .await
            );
            begun += usize::from(has_begun.try_recv().is_ok());
        }
        // Those that found no place are forgotten.
        while lookups.usual.0.lock().unwrap().count < lookups.under_way().len() {
            tokio::task::yield_now().await;
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
        let taken = lookups.usual.0.lock().unwrap().count;
        assert!(taken < limits::LOOKUPS_MAX / 2, "{taken}");
        lookups.addresses(asker(2, 61), "quick".to_owned(), || ()).await.unwrap();
        for account in 3..=255 {
            flood(&lookups, asker(account, account)).await;
        }
        assert!(lookups.usual.0.lock().unwrap().count <= limits::LOOKUPS_MAX);
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
        while lookups.usual.0.lock().unwrap().waiting.iter().all(|(_, grant)| grant.is_closed()) {
            tokio::task::yield_now().await;
        }
        open(&gate);
        assert_eq!(waits.await.unwrap().unwrap(), ["203.0.113.5:0".parse().unwrap()]);
        while lookups.usual.0.lock().unwrap().count != 0 {
            tokio::task::yield_now().await;
        }
        let taken = lookups.usual.0.lock().unwrap();
        assert!(taken.of_account.is_empty() && taken.of_workspace.is_empty() && taken.waiting.is_empty());
    }

    #[tokio::test]
    async fn what_routing_waits_for_has_places_of_its_own() {
        let (lookups, gate) = lookups();
        flood(&lookups, asker(1, 1)).await;
        let urgent = Asker { is_urgent: true, ..asker(1, 1) };
        lookups.addresses(urgent, "quick".to_owned(), || ()).await.unwrap();
        open(&gate);
    }

    #[tokio::test]
    async fn a_name_that_is_asked_for_again_is_looked_up_once() {
        let (lookups, gate) = lookups();
        let ask = || {
            let lookups = lookups.clone();
            tokio::spawn(async move { lookups.addresses(asker(1, 1), "slow".to_owned(), || ()).await })
        };
        let asked: Vec<_> = (0..100).map(|_| ask()).collect();
        let (abandoned, waiting) = asked.split_at(50);
        let progress = || lookups.under_way().values().map(|tell| tell.receiver_count()).sum::<usize>();
        while progress() != 100 {
            tokio::task::yield_now().await;
        }
        assert_eq!(lookups.usual.0.lock().unwrap().count, 1);
        abandoned.iter().for_each(tokio::task::JoinHandle::abort);
        open(&gate);
        while !waiting.iter().all(tokio::task::JoinHandle::is_finished) {
            tokio::task::yield_now().await;
        }
        for found in asked.into_iter().skip(50) {
            found.await.unwrap().unwrap();
        }
        assert!(lookups.under_way().is_empty());
    }

    #[tokio::test]
    async fn one_who_gives_up_before_there_is_a_place_leaves_nothing() {
        let (lookups, gate) = lookups();
        flood(&lookups, asker(1, 1)).await;
        let waits = tokio::spawn({
            let lookups = lookups.clone();
            async move { lookups.addresses(asker(1, 1), "late".to_owned(), || ()).await }
        });
        let is_known = || lookups.under_way().keys().any(|(.., name)| name == "late");
        while !is_known() {
            tokio::task::yield_now().await;
        }
        waits.abort();
        while is_known() {
            tokio::task::yield_now().await;
        }
        open(&gate);
    }
}
