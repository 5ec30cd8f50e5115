//! What the outcome of an expression depends on, so that it is tested again when, and only when, that has changed.

use alloc::collections::BTreeSet;
use alloc::sync::Arc;

use crate::expression::{Name, Reference, Step};
use crate::scope::{Builtin, Place, Root, Segments};

/// What an expression reads at a place. By default nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Reads {
    /// Keys of the worker's attributes, outermost level only. Built-in names are among them, for an attribute hides them.
    pub worker_attributes: BTreeSet<Arc<str>>,
    /// The worker's attributes as a whole.
    pub worker_object: bool,
    /// The worker's SID or friendly name.
    pub identity: bool,
    /// The worker's activity.
    pub activity: bool,
    /// Unique names of the task channels whose counters it reads.
    pub channels: BTreeSet<Arc<str>>,
    /// The task's attributes.
    pub task: bool,
    /// The counts of workers in the step's queue.
    pub workers: bool,
    /// The time, in whole minutes.
    pub time: bool,
}

impl Reads {
    /// Whether a worker can have a say in the outcome.
    pub fn worker(&self) -> bool {
        !self.worker_attributes.is_empty() || self.worker_object
    }

    pub(crate) fn add(&mut self, reference: &Reference, place: Place) {
        match place.root(reference.prefix) {
            Root::Null => {}
            Root::Task(_) => self.task = true,
            Root::Worker(Segments::All) => self.add_worker(reference, &reference.steps),
            Root::Worker(Segments::AfterPrefix) => self.add_worker(reference, reference.stripped()),
            Root::Workers => self.workers |= reference.name != Name::Attribute,
            Root::Clock => self.time |= reference.name != Name::Attribute,
        }
    }

    fn add_worker(&mut self, reference: &Reference, steps: &[Step]) {
        match steps.first() {
            Some(Step::Key(key)) => {
                self.worker_attributes.insert(Arc::from(key.as_str()));
            }
            Some(Step::Index(_)) | None => self.worker_object = true,
        }
        match (reference.name, steps.get(1)) {
            (Name::Builtin(Builtin::Sid | Builtin::FriendlyName), _) => self.identity = true,
            (Name::Builtin(Builtin::ActivityName | Builtin::ActivitySid), _) => self.activity = true,
            (Name::Channel(_), Some(Step::Key(unique_name))) => {
                self.channels.insert(Arc::from(unique_name.as_str()));
            }
            _ => {}
        }
    }
}
