//! Which waiting deliveries are in memory, and which only in the store.
//!
//! Memory is shared: what one Workspace has of one urgency is its share, and the fuller memory gets the smaller a share
//! may be, so that there is always room for whoever has nothing in it. What does not fit is read from the store later,
//! in order, share by share.
//!
//! A delivery is known from the moment at which it comes into memory until its end is in the store: until then the
//! store still shows it as waiting.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use pointsman_dispatcher::{Delivery, Urgency};
use pointsman_engine::{Sid, Workspace};
use pointsman_store::OutboxNumber;

use crate::limits;

/// What one Workspace has of one urgency.
pub(crate) type ShareId = (Sid<Workspace>, Urgency);

#[derive(Debug, Default)]
struct Share {
    /// Deliveries in memory.
    known: usize,
    /// The store may have others; those up to here are in memory or over.
    behind: Option<OutboxNumber>,
    /// It stands among those to be read.
    in_queue: bool,
}

/// A part of the store to be read.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Reading {
    pub(crate) share: ShareId,
    pub(crate) after: OutboxNumber,
    /// For so many there is room in memory.
    pub(crate) room: usize,
}

#[derive(Clone, Copy, Debug)]
struct Known {
    share: ShareId,
    /// It is to be sent once more, and its former end is still on its way into the store.
    again: bool,
}

#[derive(Debug, Default)]
pub(crate) struct Backlog {
    shares: BTreeMap<ShareId, Share>,
    known: BTreeMap<[u8; 16], Known>,
    queue: VecDeque<ShareId>,
    /// Those that the engine has been told the end of, and stores it: the last ones, in order and by sid.
    told_engine: (VecDeque<[u8; 16]>, BTreeSet<[u8; 16]>),
}

impl Backlog {
    /// Whether the store has something that memory has room for.
    pub(crate) fn is_reading(&self) -> bool {
        !self.queue.is_empty()
    }

    /// Whether a new delivery, which is in the store, is to come into memory as well.
    pub(crate) fn admits(&mut self, delivery: &Delivery) -> bool {
        if let Some(known) = self.known.get_mut(&delivery.sid()) {
            known.again |= delivery.failure.is_some();
            return false;
        }
        let id = share_of(delivery);
        let room = self.room();
        let share = self.shares.entry(id).or_default();
        if share.behind.is_some() {
            // Its turn comes after those in the store. One that is sent again has the number that it had.
            if delivery.failure.is_some() {
                share.behind = Some(OutboxNumber::default());
            }
            return false;
        }
        if room <= share.known {
            share.behind = Some(OutboxNumber::default());
            return false;
        }
        share.known += 1;
        self.known.insert(delivery.sid(), Known { share: id, again: false });
        true
    }

    /// Lets the store be read for these Workspaces, from the beginning.
    pub(crate) fn read_all(&mut self, workspaces: impl IntoIterator<Item = Sid<Workspace>>) {
        for workspace in workspaces {
            for urgency in [Urgency::Urgent, Urgency::Told] {
                self.shares.entry((workspace, urgency)).or_default().behind = Some(OutboxNumber::default());
                self.queue_if_roomy((workspace, urgency));
            }
        }
    }

    /// What is to be read next.
    pub(crate) fn next_reading(&mut self) -> Option<Reading> {
        let (share, room) = (self.queue.pop_front()?, self.room());
        let state = self.shares.get_mut(&share).expect("shares to be read are known");
        state.in_queue = false;
        let after = state.behind.expect("only those that are behind are to be read");
        Some(Reading { share, after, room: room.saturating_sub(state.known) })
    }

    /// A reading that failed comes again.
    pub(crate) fn read_again(&mut self, reading: Reading) {
        self.queue_if_roomy(reading.share);
    }

    /// Takes one delivery that was read, in order. Returns whether it is to come into memory; `None`: there is no room
    /// for it, and the reading ends before it.
    pub(crate) fn admits_read(
        &mut self,
        reading: &mut Reading,
        number: OutboxNumber,
        delivery: &Delivery,
    ) -> Option<bool> {
        let is_own = share_of(delivery) == reading.share;
        let sid = delivery.sid();
        let is_new = is_own && !self.known.contains_key(&sid) && !self.told_engine.1.contains(&sid);
        if is_new {
            let room = self.room();
            let share = self.shares.get_mut(&reading.share).expect("it is being read");
            if room <= share.known {
                return None;
            }
            share.known += 1;
            self.known.insert(sid, Known { share: reading.share, again: false });
        }
        reading.after = number;
        Some(is_new)
    }

    /// Ends a reading.
    ///
    /// - `is_last`: the store has nothing behind what was read.
    pub(crate) fn read(&mut self, reading: Reading, is_last: bool) {
        let share = self.shares.get_mut(&reading.share).expect("it was being read");
        share.behind = if is_last { None } else { Some(reading.after) };
        self.queue_if_roomy(reading.share);
        self.forget_if_empty(reading.share);
    }

    /// The end of deliveries is in the store.
    ///
    /// - `is_stored`: false when it could not be stored: they wait again.
    pub(crate) fn ended(&mut self, sids: &[[u8; 16]], is_stored: bool) {
        for sid in sids {
            let Some(Known { share: id, again }) = self.known.remove(sid) else { continue };
            let share = self.shares.get_mut(&id).expect("it has a delivery in memory");
            share.known -= 1;
            if !is_stored || again {
                share.behind = Some(OutboxNumber::default());
            }
            // Not for every single one: a page is read at once.
            if share.known <= self.room() / 2 {
                self.queue_if_roomy(id);
            }
            self.forget_if_empty(id);
        }
    }

    /// The engine has been told the end of a delivery, and stores it with what follows from it.
    pub(crate) fn told_engine(&mut self, sid: [u8; 16]) {
        let (order, sids) = &mut self.told_engine;
        if sids.insert(sid) {
            order.push_back(sid);
        }
        if limits::DELIVERIES_TOLD_MAX < order.len() {
            sids.remove(&order.pop_front().expect("it is not empty"));
        }
        self.ended(&[sid], true);
    }

    /// What the engine was told may not have come into the store: it failed and was opened again.
    pub(crate) fn forget_told(&mut self) {
        self.told_engine = Default::default();
    }

    /// Most deliveries that one share may have in memory now.
    fn room(&self) -> usize {
        1 + limits::DELIVERIES_IN_MEMORY_MAX.saturating_sub(self.known.len()) / limits::DELIVERIES_SHARE
    }

    fn queue_if_roomy(&mut self, id: ShareId) {
        let room = self.room();
        let Some(share) = self.shares.get_mut(&id) else { return };
        if share.behind.is_some() && !share.in_queue && share.known < room {
            share.in_queue = true;
            self.queue.push_back(id);
        }
    }

    fn forget_if_empty(&mut self, id: ShareId) {
        if self.shares.get(&id).is_some_and(|share| share.known == 0 && share.behind.is_none()) {
            self.shares.remove(&id);
        }
    }
}

fn share_of(delivery: &Delivery) -> ShareId {
    (delivery.workspace, Urgency::of(&delivery.content))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use pointsman_dispatcher::{About, Content, DeliveryFailure, ReportMethod};
    use pointsman_engine::{Account, Timestamp};

    use super::*;

    /// A report of a Workspace; what it says does not matter here.
    fn delivery(workspace: u8, number: u64) -> Delivery {
        let mut sid = [workspace; 16];
        sid[8..].copy_from_slice(&number.to_be_bytes());
        let about = About { sid, reservation: Sid::from_bytes(sid), at: Timestamp(0) };
        Delivery {
            workspace: Sid::from_bytes([workspace; 16]),
            account: Sid::<Account>::from_bytes([1; 16]),
            url: "http://127.0.0.1:9/".into(),
            content: Content::Report { method: ReportMethod::Post, form: Vec::new(), about },
            failure: None,
        }
    }

    /// Gives a reading what the store has, in order. Returns the numbers that came into memory.
    fn read(backlog: &mut Backlog, stored: &[u64]) -> Vec<u64> {
        let mut reading = backlog.next_reading().expect("there is room");
        let (mut came, mut is_last, after) = (Vec::new(), true, reading.after.0);
        for &number in stored.iter().filter(|number| **number > after) {
            match backlog.admits_read(&mut reading, OutboxNumber(number), &delivery(1, number)) {
                Some(true) => came.push(number),
                Some(false) => {}
                None => {
                    is_last = false;
                    break;
                }
            }
        }
        backlog.read(reading, is_last);
        came
    }

    fn sids(numbers: impl IntoIterator<Item = u64>) -> Vec<[u8; 16]> {
        numbers.into_iter().map(|number| delivery(1, number).sid()).collect()
    }

    /// The first that does not come into memory, when one Workspace has many.
    fn fill(backlog: &mut Backlog) -> u64 {
        (1..1_000_000).find(|number| !backlog.admits(&delivery(1, *number))).expect("memory is bounded")
    }

    #[test]
    fn one_workspace_leaves_room_for_any_number_of_others() {
        let mut backlog = Backlog::default();
        let first_out = fill(&mut backlog);
        assert!((2_000..2_500).contains(&first_out), "{first_out}");
        for workspace in 2..=255 {
            assert!(backlog.admits(&delivery(workspace, 1)), "{workspace}");
        }
        assert!(!backlog.is_reading(), "there is no room for what is in the store alone");
    }

    #[test]
    fn what_did_not_fit_comes_later_in_order_and_once() {
        let mut backlog = Backlog::default();
        let first_out = fill(&mut backlog);
        let stored: Vec<u64> = (1..=first_out + 10).collect();
        assert!(!backlog.admits(&delivery(1, first_out + 1)), "it stands behind the other");
        backlog.ended(&sids(1..first_out - 5), true);
        assert!(backlog.is_reading());
        assert_eq!(
            read(&mut backlog, &stored[first_out as usize - 6..]),
            (first_out..=first_out + 10).collect::<Vec<_>>()
        );
        assert!(!backlog.is_reading());
        assert!(backlog.admits(&delivery(1, first_out + 11)), "nothing is before it any more");
    }

    #[test]
    fn an_end_that_was_not_stored_lets_the_delivery_come_again() {
        let mut backlog = Backlog::default();
        assert!(backlog.admits(&delivery(1, 7)));
        assert!(!backlog.admits(&delivery(1, 7)), "it is known");
        backlog.ended(&sids([7]), false);
        assert_eq!(read(&mut backlog, &[7]), [7]);
        backlog.ended(&sids([7]), true);
        assert!(!backlog.is_reading());
    }

    #[test]
    fn one_that_is_sent_again_is_found_though_its_number_was_passed() {
        let failure = Some(DeliveryFailure { attempts: 1, reason: Arc::from("503"), status: Some(503) });
        let again = Delivery { failure, ..delivery(1, 3) };
        let mut backlog = Backlog::default();
        // While the store has others before it.
        let first_out = fill(&mut backlog);
        backlog.ended(&sids(1..first_out), true);
        let others: Vec<u64> = (first_out..first_out + 5_000).collect();
        assert!(read(&mut backlog, &others).len() > 2_000);
        assert!(!backlog.admits(&again));
        backlog.ended(&sids(others.iter().copied()), true);
        let left: Vec<u64> = [3].into_iter().chain(others).collect();
        assert!(read(&mut backlog, &left).contains(&3));
        // While its former end is on its way into the store.
        let mut backlog = Backlog::default();
        assert!(backlog.admits(&delivery(1, 3)));
        assert!(!backlog.admits(&again));
        backlog.ended(&sids([3]), true);
        assert_eq!(read(&mut backlog, &[3]), [3]);
    }

    #[test]
    fn what_the_engine_was_told_does_not_come_again_unless_the_store_failed() {
        let mut backlog = Backlog::default();
        assert!(backlog.admits(&delivery(1, 1)));
        backlog.told_engine(sids([1])[0]);
        let workspace = [delivery(1, 1).workspace];
        let read_both = |backlog: &mut Backlog| [read(backlog, &[1]), read(backlog, &[1])].concat();
        backlog.read_all(workspace);
        assert_eq!(read_both(&mut backlog), [0_u64; 0]);
        backlog.forget_told();
        backlog.read_all(workspace);
        assert_eq!(read_both(&mut backlog), [1]);
    }
}
