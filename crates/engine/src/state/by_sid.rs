//! Which row has a SID.

use alloc::vec;
use alloc::vec::Vec;

use hashbrown::HashMap;

use crate::ids::{Id, Sid};

/// Rows at which one table becomes many: few enough that nobody notices.
const SPLIT_AT: usize = 16_384;
const SHARDS: usize = 64;

/// A hash table that grows without a pause. One of half a million rows that doubles would keep its Workspace waiting
/// for 50 ms; so there are many beyond a size, and each doubles alone.
#[derive(Clone, Debug)]
pub(super) struct BySid<E> {
    /// One, or [`SHARDS`]; a row is in that of the first byte of its SID.
    shards: Vec<HashMap<[u8; 16], Id<E>>>,
}

impl<E> Default for BySid<E> {
    fn default() -> Self {
        Self { shards: vec![HashMap::new()] }
    }
}

impl<E> BySid<E> {
    pub(super) fn get(&self, sid: Sid<E>) -> Option<Id<E>> {
        let sid = sid.bytes();
        self.shards[shard(sid, self.shards.len())].get(&sid).copied()
    }

    pub(super) fn insert(&mut self, sid: Sid<E>, id: Id<E>) {
        if let [only] = &mut self.shards[..]
            && only.len() == SPLIT_AT
        {
            let rows = core::mem::take(only);
            self.shards.resize_with(SHARDS, HashMap::new);
            for (sid, id) in rows {
                self.shards[shard(sid, SHARDS)].insert(sid, id);
            }
        }
        let (sid, count) = (sid.bytes(), self.shards.len());
        self.shards[shard(sid, count)].insert(sid, id);
    }

    pub(super) fn remove(&mut self, sid: Sid<E>) {
        let (sid, count) = (sid.bytes(), self.shards.len());
        self.shards[shard(sid, count)].remove(&sid);
    }
}

fn shard(sid: [u8; 16], count: usize) -> usize {
    usize::from(sid[0]) % count
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::derive_sid;
    use crate::state::Task;

    #[test]
    fn what_was_put_in_is_found_before_and_after_the_table_is_split() {
        let sid = |number: u64| derive_sid::<Task>([7; 16], number);
        let mut rows = BySid::default();
        let count = SPLIT_AT as u64 + 100;
        for number in 0..count {
            rows.insert(sid(number), Id::new(number));
            assert_eq!(rows.shards.len(), if number < SPLIT_AT as u64 { 1 } else { SHARDS });
        }
        for number in (0..count).step_by(2) {
            rows.remove(sid(number));
        }
        for number in 0..count {
            assert_eq!(rows.get(sid(number)), (number % 2 == 1).then(|| Id::new(number)), "{number}");
        }
        assert_eq!(rows.get(sid(count)), None);
    }
}
