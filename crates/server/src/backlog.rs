//! Which waiting deliveries are in memory, and which only in the store.
//!
//! Deliveries wait in lanes: what one Workspace has of one urgency for one address. Memory is shared: the fuller it
//! gets the less one Workspace may have of one urgency, and the more of that is taken the less one of its lanes. So there
//! is always room for whoever has nothing in it, and for an address that works beside one that does not. What does not
//! fit is read from the store later, in order, lane by lane.
//!
//! A delivery is known from the moment at which it comes into memory until its end is in the store: until then the
//! store still shows it as waiting.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use pointsman_dispatcher::{Delivery, Urgency, destination_of};
use pointsman_record as record;
use pointsman_store::{Epoch, OutboxChange, OutboxEntry, OutboxLane, OutboxNumber, Store};

use crate::limits;
use crate::logging::chain;

#[derive(Debug, Default)]
struct Lane {
    /// Deliveries in memory.
    known: usize,
    /// The store may have others; those up to here are in memory or over.
    behind: Option<OutboxNumber>,
    /// It stands in the turns.
    in_turn: bool,
}

/// Where all deliveries of a Workspace wait in an outbox that knew no lanes.
const LANE_OF_ALL: u32 = 0;

/// A part of the store to be read.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Reading {
    pub(crate) lane: OutboxLane,
    pub(crate) after: OutboxNumber,
    /// For so many there is room in memory: at least one.
    pub(crate) room: usize,
}

#[derive(Clone, Copy, Debug)]
struct Known {
    lane: OutboxLane,
    /// It is to be sent once more, and its former end is still on its way into the store.
    again: bool,
}

/// Whose lanes share a part of memory: a Workspace, and whether routing waits for what is in them.
type Party = ([u8; 16], bool);

#[derive(Debug, Default)]
pub(crate) struct Backlog {
    lanes: BTreeMap<OutboxLane, Lane>,
    /// Deliveries in memory, if there are any.
    parties: BTreeMap<Party, usize>,
    known: BTreeMap<[u8; 16], Known>,
    /// Lanes that are behind, and how many of them are to be looked at since something has changed.
    turns: VecDeque<OutboxLane>,
    to_look_at: usize,
    /// Those that the engine has been told the end of, and stores it: the last ones, in order and by sid.
    told_engine: (VecDeque<[u8; 16]>, BTreeSet<[u8; 16]>),
}

impl Backlog {
    /// Whether the store may have something that memory has room for.
    pub(crate) const fn is_reading(&self) -> bool {
        self.to_look_at > 0
    }

    /// Whether a new delivery, which is in the store, is to come into memory as well.
    pub(crate) fn admits(&mut self, delivery: &Delivery) -> bool {
        let (sid, is_again) = (delivery.sid(), delivery.failure.is_some());
        if let Some(known) = self.known.get_mut(&sid) {
            known.again |= is_again;
            return false;
        }
        if !is_again && self.told_engine.1.contains(&sid) {
            // It was read from the store before it was handed over, and is over already.
            return false;
        }
        let id = lane_of(delivery);
        let room = self.room(id);
        let lane = self.lanes.entry(id).or_default();
        if lane.behind.is_some() {
            // Its turn comes after those in the store. One that is sent again has the number that it had.
            if is_again {
                lane.behind = Some(OutboxNumber::default());
            }
            return false;
        }
        if room <= lane.known {
            self.is_behind(id);
            return false;
        }
        self.know(sid, id);
        true
    }

    /// Lets the store be read for these lanes, from the beginning.
    pub(crate) fn read_all(&mut self, lanes: impl IntoIterator<Item = OutboxLane>) {
        for lane in lanes {
            self.is_behind(lane);
        }
        self.to_look_at = self.turns.len();
    }

    /// What is to be read next.
    pub(crate) fn next_reading(&mut self) -> Option<Reading> {
        // So that others get their turn, however many lanes there are without room.
        for _ in 0..self.to_look_at.min(limits::LANES_LOOKED_AT) {
            self.to_look_at -= 1;
            let id = self.turns.pop_front()?;
            let room = self.room(id);
            let lane = self.lanes.get_mut(&id).expect("lanes in turn are known");
            let after = lane.behind.expect("those in turn are behind");
            // Not for every single one: a page is read at once.
            if lane.known <= room / 2 && lane.known < room {
                lane.in_turn = false;
                return Some(Reading { lane: id, after, room: room - lane.known });
            }
            self.turns.push_back(id);
        }
        None
    }

    /// A reading that failed comes again.
    pub(crate) fn read_again(&mut self, reading: Reading) {
        // Meanwhile it may have been read all the same.
        if self.lanes.get(&reading.lane).is_some_and(|lane| lane.behind.is_some()) {
            self.take_turn(reading.lane);
        }
    }

    /// Takes one delivery that was read, in order. Returns whether it is to come into memory; `None`: there is no room
    /// for it, and the reading ends before it.
    pub(crate) fn admits_read(&mut self, reading: &mut Reading, number: OutboxNumber, sid: [u8; 16]) -> Option<bool> {
        let is_new = !self.known.contains_key(&sid) && !self.told_engine.1.contains(&sid);
        if is_new {
            if self.room(reading.lane) <= self.lanes[&reading.lane].known {
                return None;
            }
            self.know(sid, reading.lane);
        }
        reading.after = number;
        Some(is_new)
    }

    /// Ends a reading.
    ///
    /// - `is_last`: the store has nothing behind what was read.
    pub(crate) fn read(&mut self, reading: Reading, is_last: bool) {
        let lane = self.lanes.get_mut(&reading.lane).expect("it was being read");
        assert!(!lane.in_turn, "nothing changes while the store is read");
        lane.behind = if is_last { None } else { Some(reading.after) };
        if is_last {
            self.forget_if_empty(reading.lane);
        } else {
            self.take_turn(reading.lane);
        }
    }

    /// The end of deliveries is in the store.
    pub(crate) fn ended(&mut self, sids: &[[u8; 16]]) {
        for sid in sids {
            let Some(Known { lane: id, again }) = self.known.remove(sid) else { continue };
            let lane = self.lanes.get_mut(&id).expect("it has a delivery in memory");
            lane.known -= 1;
            let party = self.parties.get_mut(&party_of(id)).expect("it has a delivery in memory");
            *party -= 1;
            if *party == 0 {
                self.parties.remove(&party_of(id));
            }
            if again {
                self.is_behind(id);
            }
            self.forget_if_empty(id);
        }
        // There is more room, for whoever waits for it.
        self.to_look_at = self.turns.len();
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
        self.ended(&[sid]);
    }

    /// What the engine was told may not have come into the store: it failed and was opened again.
    pub(crate) fn forget_told(&mut self) {
        self.told_engine = Default::default();
    }

    /// The engine has lost the end of these that it was told.
    pub(crate) fn forget_ends(&mut self, lost: &[[u8; 16]]) {
        let (order, sids) = &mut self.told_engine;
        order.retain(|sid| !lost.contains(sid));
        for sid in lost {
            sids.remove(sid);
        }
    }

    /// Most deliveries that a lane may have in memory now.
    fn room(&self, lane: OutboxLane) -> usize {
        let free = limits::DELIVERIES_IN_MEMORY_MAX.saturating_sub(self.known.len());
        let of_party = 1 + free / limits::PARTY_SHARE;
        let taken = self.parties.get(&party_of(lane)).copied().unwrap_or_default();
        match of_party.checked_sub(taken) {
            Some(free) => 1 + free / limits::LANE_SHARE,
            // The first of each lane, as long as there are not too many of them.
            None => usize::from(taken < of_party + limits::LANES_IN_MEMORY_MAX),
        }
    }

    fn know(&mut self, sid: [u8; 16], lane: OutboxLane) {
        self.lanes.entry(lane).or_default().known += 1;
        *self.parties.entry(party_of(lane)).or_default() += 1;
        self.known.insert(sid, Known { lane, again: false });
    }

    /// The store has something of a lane that memory has not, from the beginning on.
    fn is_behind(&mut self, id: OutboxLane) {
        self.lanes.entry(id).or_default().behind = Some(OutboxNumber::default());
        self.take_turn(id);
    }

    fn take_turn(&mut self, id: OutboxLane) {
        let lane = self.lanes.get_mut(&id).expect("it is behind");
        if !lane.in_turn {
            lane.in_turn = true;
            self.turns.push_back(id);
            self.to_look_at += 1;
        }
    }

    fn forget_if_empty(&mut self, id: OutboxLane) {
        if self.lanes.get(&id).is_some_and(|lane| lane.known == 0 && lane.behind.is_none()) {
            self.lanes.remove(&id);
        }
    }
}

/// Gives the deliveries of an older outbox, which knew no lanes, their own. What cannot be read stays in that of all.
///
/// - Cost: that of all which wait in such an outbox; otherwise a look into an index.
pub(crate) fn sort_older(store: &dyn Store, epoch: Epoch) -> Result<(), String> {
    let lanes = store.outbox_lanes().map_err(|error| chain(&error))?;
    for lane in lanes.into_iter().filter(|lane| lane.number == LANE_OF_ALL) {
        let mut after = OutboxNumber::default();
        loop {
            let page = store.outbox_read_of(lane, after, limits::DELIVERIES_PAGE).map_err(|error| chain(&error))?;
            let Some(last) = page.last() else { break };
            after = last.number;
            let sorted = page.iter().filter_map(|waiting| {
                let delivery = record::delivery::decode(&waiting.entry.payload).ok()?;
                let entry = OutboxEntry { lane: lane_of(&delivery).number, ..waiting.entry.clone() };
                Some(OutboxChange::Put(entry))
            });
            store.append(epoch, &[], &sorted.collect::<Vec<_>>()).map_err(|error| chain(&error))?;
        }
    }
    Ok(())
}

/// The lane of a delivery: where it goes, and whether routing waits for it. Lines, which go in order, are within lanes.
pub(crate) fn lane_of(delivery: &Delivery) -> OutboxLane {
    let destination = crc32fast::hash(destination_of(&delivery.url).as_bytes());
    let is_urgent = Urgency::of(&delivery.content) == Urgency::Urgent;
    let number = (destination << 1).max(LANE_OF_ALL + 2) | u32::from(is_urgent);
    OutboxLane { workspace: delivery.workspace.bytes(), number }
}

const fn party_of(lane: OutboxLane) -> Party {
    (lane.workspace, lane.number & 1 == 1)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use pointsman_dispatcher::{About, Content, DeliveryFailure};
    use pointsman_engine::{Account, Sid, Timestamp};

    use super::*;

    /// A report of a Workspace; what it says does not matter here.
    fn delivery(workspace: u8, number: u64) -> Delivery {
        delivery_to(9, workspace, number)
    }

    /// The same, to an address of its own.
    fn delivery_to(port: u16, workspace: u8, number: u64) -> Delivery {
        let mut sid = [workspace; 16];
        sid[8..].copy_from_slice(&number.to_be_bytes());
        let about = About { sid, reservation: Sid::from_bytes(sid), at: Timestamp(0) };
        Delivery {
            workspace: Sid::from_bytes([workspace; 16]),
            account: Sid::<Account>::from_bytes([1; 16]),
            url: format!("http://127.0.0.1:{port}/a?b=c").into(),
            content: Content::Report { form: None, about },
            failure: None,
        }
    }

    /// Gives a reading what the store has, in order. Returns the numbers that came into memory.
    fn read(backlog: &mut Backlog, stored: &[u64]) -> Vec<u64> {
        let mut reading = backlog.next_reading().expect("there is room");
        let (mut came, mut is_last, after) = (Vec::new(), true, reading.after.0);
        for &number in stored.iter().filter(|number| **number > after) {
            match backlog.admits_read(&mut reading, OutboxNumber(number), delivery(1, number).sid()) {
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
        assert!((700..900).contains(&first_out), "{first_out}");
        for workspace in 2..=255 {
            assert!(backlog.admits(&delivery(workspace, 1)), "{workspace}");
        }
        assert_eq!(backlog.next_reading(), None, "there is no room for what is in the store alone");
    }

    #[test]
    fn what_did_not_fit_comes_later_in_order_and_once() {
        let mut backlog = Backlog::default();
        let first_out = fill(&mut backlog);
        let stored: Vec<u64> = (1..=first_out + 10).collect();
        assert!(!backlog.admits(&delivery(1, first_out + 1)), "it stands behind the other");
        backlog.ended(&sids(1..first_out - 5));
        assert!(backlog.is_reading());
        assert_eq!(
            read(&mut backlog, &stored[first_out as usize - 6..]),
            (first_out..=first_out + 10).collect::<Vec<_>>()
        );
        assert!(!backlog.is_reading());
        assert!(backlog.admits(&delivery(1, first_out + 11)), "nothing is before it any more");
    }

    #[test]
    fn an_address_that_takes_nothing_leaves_room_for_the_others_of_its_workspace() {
        let mut backlog = Backlog::default();
        let mut total = 0;
        for port in 1..=2_000_u16 {
            let first = u64::from(port) * 10_000;
            let came =
                (first..first + 9_999).take_while(|number| backlog.admits(&delivery_to(port, 1, *number))).count();
            assert!(port > 900 || came > 0, "the first of receiver {port}");
            total += came;
        }
        assert!((3_000..3_500).contains(&total), "{total} of one workspace");
        assert!(backlog.admits(&delivery(2, 1)), "there is room for another");
        // The last one has nothing in memory; it is found when there is room for it.
        let ended: Vec<_> = backlog.known.keys().copied().collect();
        backlog.ended(&ended);
        let last = lane_of(&delivery_to(2_000, 1, 1));
        let mut readings = 0;
        while let Some(reading) = backlog.next_reading() {
            backlog.read(reading, true);
            readings += 1;
            if reading.lane == last {
                break;
            }
        }
        assert_eq!(readings, 2_000);
    }

    #[test]
    fn lanes_without_room_do_not_keep_the_others_from_theirs() {
        let mut backlog = Backlog::default();
        // Many that are full, before one that is not.
        let full = limits::LANES_LOOKED_AT as u16 + 10;
        for port in 1..=full {
            let first = u64::from(port) * 10_000;
            assert!(backlog.admits(&delivery_to(port, 1, first)));
            while backlog.admits(&delivery_to(port, 1, first + backlog.known.len() as u64)) {}
        }
        while backlog.next_reading().is_some() {}
        backlog.read_all([lane_of(&delivery(2, 1))]);
        let mut looks = 1;
        while backlog.next_reading().is_none_or(|reading| reading.lane != lane_of(&delivery(2, 1))) {
            assert!(backlog.is_reading(), "not all were looked at");
            looks += 1;
        }
        assert_eq!(looks, 2);
    }

    #[test]
    fn what_was_over_before_it_was_handed_over_does_not_come_again() {
        let mut backlog = Backlog::default();
        backlog.read_all([lane_of(&delivery(1, 7))]);
        assert_eq!(read(&mut backlog, &[7]), [7]);
        backlog.told_engine(sids([7])[0]);
        assert!(!backlog.admits(&delivery(1, 7)));
    }

    #[test]
    fn a_lane_is_a_workspace_an_urgency_and_an_address() {
        let lane = |url: &str| lane_of(&Delivery { url: url.into(), ..delivery(1, 1) });
        let number = lane("http://a.example/x?y#z").number;
        for same in ["http://a.example/x", "http://u:p@A.example:80/x", "http://u:q@a.example/x?z"] {
            assert_eq!(lane(same).number, number, "{same}");
        }
        assert_ne!(lane("http://a.example/z").number, number);
        assert_ne!(lane("https://a.example").number, number);
        assert_ne!(lane("http://a.example:81/x").number, number);
        assert_eq!(number & 1, 0, "nobody waits for reports");
        // What makes no sense as an address has a lane too.
        assert_eq!(lane("nonsense").number, lane("").number);
    }

    #[test]
    fn one_that_is_sent_again_is_found_though_its_number_was_passed() {
        let failure = Some(DeliveryFailure { attempts: 1, reason: Arc::from("503"), status: Some(503) });
        let again = Delivery { failure, ..delivery(1, 3) };
        let mut backlog = Backlog::default();
        // While the store has others before it.
        let first_out = fill(&mut backlog);
        backlog.ended(&sids(1..first_out));
        let others: Vec<u64> = (first_out..first_out + 5_000).collect();
        assert!(read(&mut backlog, &others).len() > 500);
        assert!(!backlog.admits(&again));
        backlog.ended(&sids(others.iter().copied()));
        let left: Vec<u64> = [3].into_iter().chain(others).collect();
        assert!(read(&mut backlog, &left).contains(&3));
        // While its former end is on its way into the store.
        let mut backlog = Backlog::default();
        assert!(backlog.admits(&delivery(1, 3)));
        assert!(!backlog.admits(&again));
        backlog.ended(&sids([3]));
        assert_eq!(read(&mut backlog, &[3]), [3]);
    }

    #[test]
    fn what_the_engine_was_told_does_not_come_again_unless_the_store_failed() {
        let mut backlog = Backlog::default();
        assert!(backlog.admits(&delivery(1, 1)));
        backlog.told_engine(sids([1])[0]);
        let lane = [lane_of(&delivery(1, 1))];
        backlog.read_all(lane);
        assert_eq!(read(&mut backlog, &[1]), [0_u64; 0]);
        backlog.forget_ends(&sids([2]));
        backlog.read_all(lane);
        assert_eq!(read(&mut backlog, &[1]), [0_u64; 0]);
        backlog.forget_ends(&sids([1, 2]));
        backlog.read_all(lane);
        assert_eq!(read(&mut backlog, &[1]), [1]);
        backlog.told_engine(sids([1])[0]);
        backlog.read_all(lane);
        assert_eq!(read(&mut backlog, &[1]), [0_u64; 0]);
        backlog.forget_told();
        backlog.read_all(lane);
        assert_eq!(read(&mut backlog, &[1]), [1]);
    }
}
