//! Whether the server can do its work: what `/readyz` tells.

use std::sync::atomic::{AtomicBool, Ordering};

/// A server that is listened to has recovered already.
#[derive(Debug)]
pub(crate) struct Health {
    committing: AtomicBool,
    stopping: AtomicBool,
}

impl Health {
    pub(crate) fn new() -> Health {
        Health { committing: AtomicBool::new(true), stopping: AtomicBool::new(false) }
    }

    pub(crate) fn set_committing(&self, committing: bool) {
        self.committing.store(committing, Ordering::Release);
    }

    pub(crate) fn set_stopping(&self) {
        self.stopping.store(true, Ordering::Release);
    }

    /// Why the server is not ready, if it is not.
    pub(crate) fn problem(&self) -> Option<&'static str> {
        if self.stopping.load(Ordering::Acquire) {
            return Some("stopping");
        }
        (!self.can_commit()).then_some("the store cannot commit")
    }

    /// Whether requests can be carried out. A server that stops still finishes what it has accepted.
    pub(crate) fn can_commit(&self) -> bool {
        self.committing.load(Ordering::Acquire)
    }
}
