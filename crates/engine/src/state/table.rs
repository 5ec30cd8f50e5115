//! A table of entities: found by id, by SID and by name, listed in creation order.

use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use alloc::string::String;
use core::ops::Bound;

use super::by_sid::BySid;
use crate::ids::{Entity, Id, Sid};

/// What a table needs to know of its rows.
pub(crate) trait Row: Entity + Sized {
    fn id(&self) -> Id<Self>;
    fn sid(&self) -> Sid<Self>;
    /// The name that is unique in the Workspace without regard to case, if rows of this kind have one.
    fn unique_name(&self) -> Option<&str> {
        None
    }
}

/// Rows in creation order. A row that was deleted but is still referred to stays as *retired*: found by id only.
///
/// None of its parts makes anybody wait as it grows.
#[derive(Clone, Debug)]
pub(crate) struct Table<E> {
    rows: BTreeMap<Id<E>, Box<E>>,
    retired: BTreeMap<Id<E>, Box<E>>,
    by_sid: BySid<E>,
    by_name: BTreeMap<String, Id<E>>,
}

impl<E> Default for Table<E> {
    fn default() -> Self {
        Self { rows: BTreeMap::new(), retired: BTreeMap::new(), by_sid: BySid::default(), by_name: BTreeMap::new() }
    }
}

/// How names are compared: without regard to case (reference: rest-contract, section 4.4).
pub(crate) fn fold_name(name: &str) -> String {
    name.to_lowercase()
}

impl<E: Row> Table<E> {
    /// A row, live or retired.
    pub(crate) fn get(&self, id: Id<E>) -> Option<&E> {
        self.rows.get(&id).or_else(|| self.retired.get(&id)).map(|row| &**row)
    }

    pub(crate) fn live(&self, id: Id<E>) -> Option<&E> {
        self.rows.get(&id).map(|row| &**row)
    }

    /// A live row for a change that leaves its name alone.
    pub(crate) fn live_mut(&mut self, id: Id<E>) -> &mut E {
        self.rows.get_mut(&id).expect("events change live objects")
    }

    pub(crate) fn find(&self, sid: Sid<E>) -> Option<&E> {
        self.by_sid.get(sid).and_then(|id| self.live(id))
    }

    pub(crate) fn named(&self, name: &str) -> Option<&E> {
        self.by_name.get(&fold_name(name)).and_then(|id| self.live(*id))
    }

    pub(crate) fn len(&self) -> usize {
        self.rows.len()
    }

    pub(crate) fn iter(&self) -> impl DoubleEndedIterator<Item = &E> {
        self.rows.values().map(|row| &**row)
    }

    pub(crate) fn after(&self, id: Id<E>) -> impl DoubleEndedIterator<Item = &E> {
        self.rows.range((Bound::Excluded(id), Bound::Unbounded)).map(|(_, row)| &**row)
    }

    pub(crate) fn before(&self, id: Id<E>) -> impl DoubleEndedIterator<Item = &E> {
        self.rows.range(..id).map(|(_, row)| &**row)
    }

    pub(crate) fn retired(&self) -> impl Iterator<Item = &E> {
        self.retired.values().map(|row| &**row)
    }

    pub(crate) fn insert(&mut self, row: E) {
        let id = row.id();
        self.by_sid.insert(row.sid(), id);
        if let Some(name) = row.unique_name() {
            self.by_name.insert(fold_name(name), id);
        }
        let before = self.rows.insert(id, Box::new(row));
        assert!(before.is_none(), "ids are used once");
    }

    /// Changes a row in a way that may change its name.
    pub(crate) fn change(&mut self, id: Id<E>, change: impl FnOnce(&mut E)) {
        let row = self.rows.get_mut(&id).expect("events change live objects");
        let before = row.unique_name().map(fold_name);
        change(row);
        let after = row.unique_name().map(fold_name);
        if before != after {
            if let Some(name) = before {
                self.by_name.remove(&name);
            }
            if let Some(name) = after {
                self.by_name.insert(name, id);
            }
        }
    }

    /// Takes a row out of sight; `keep` holds on to it as retired.
    pub(crate) fn remove(&mut self, id: Id<E>, keep: Keep) {
        let row = self.rows.remove(&id).expect("events remove live objects");
        self.by_sid.remove(row.sid());
        if let Some(name) = row.unique_name() {
            self.by_name.remove(&fold_name(name));
        }
        if keep == Keep::Retired {
            self.retired.insert(id, row);
        }
    }

    /// Puts a row straight among the retired: for restoring a snapshot.
    pub(crate) fn insert_retired(&mut self, row: E) {
        self.retired.insert(row.id(), Box::new(row));
    }

    pub(crate) fn forget_retired(&mut self, id: Id<E>) {
        self.retired.remove(&id);
    }
}

/// What becomes of a removed row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Keep {
    /// Some Task still refers to it.
    Retired,
    Nothing,
}
