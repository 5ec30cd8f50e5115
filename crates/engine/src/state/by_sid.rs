//! Which row has a SID.

use alloc::vec::Vec;

use hashbrown::HashMap;

use crate::ids::{Id, Sid};

/// Rows in the first table: few enough that nobody notices when it doubles.
const FIRST_MAX: usize = 16_384;
const SHARDS: usize = 64;

/// A hash table that grows without a pause. One of half a million rows that doubles would keep its Workspace waiting
/// for 50 ms; so beyond a size there are many, and each doubles alone.
#[derive(Clone, Debug)]
pub(super) struct BySid<E> {
    first: HashMap<[u8; 16], Id<E>>,
    /// None, or [`SHARDS`]: those that found the first table full, by the first byte of their SID.
    shards: Vec<HashMap<[u8; 16], Id<E>>>,
}

impl<E> Default for BySid<E> {
    fn default() -> Self {
        Self { first: HashMap::new(), shards: Vec::new() }
    }
}

impl<E> BySid<E> {
    pub(super) fn get(&self, sid: Sid<E>) -> Option<Id<E>> {
        let sid = sid.bytes();
        let found = self.first.get(&sid).or_else(|| self.shards.get(shard(sid))?.get(&sid));
        found.copied()
    }

    pub(super) fn insert(&mut self, sid: Sid<E>, id: Id<E>) {
        let sid = sid.bytes();
        if self.first.len() < FIRST_MAX {
            self.first.insert(sid, id);
            return;
        }
        if self.shards.is_empty() {
            self.shards.resize_with(SHARDS, HashMap::new);
        }
        self.shards[shard(sid)].insert(sid, id);
    }

    pub(super) fn remove(&mut self, sid: Sid<E>) {
        let sid = sid.bytes();
        if self.first.remove(&sid).is_none()
            && let Some(shard) = self.shards.get_mut(shard(sid))
        {
            shard.remove(&sid);
        }
    }
}

fn shard(sid: [u8; 16]) -> usize {
    usize::from(sid[0]) % SHARDS
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::derive_sid;
    use crate::state::Task;

    #[test]
    fn what_was_put_in_is_found_when_the_first_table_is_full_as_well() {
        let sid = |number: u64| derive_sid::<Task>([7; 16], number);
        let mut rows = BySid::default();
        let count = FIRST_MAX as u64 + 100;
        for number in 0..count {
            rows.insert(sid(number), Id::new(number));
            assert_eq!(rows.shards.len(), if number < FIRST_MAX as u64 { 0 } else { SHARDS });
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
