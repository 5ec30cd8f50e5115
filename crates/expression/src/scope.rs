//! What the names in an expression mean, by the place where it stands. Reference: routing, sections 1.1, 1.4, 1.6.

use crate::expression::Prefix;
use crate::value::{NULL, Value};

/// Where an expression stands. The codes X1 to X9 are those of the reference.
///
/// | place | bare name | `task.` | `worker.` | `workers.` | `taskrouter.` |
/// | --- | --- | --- | --- | --- | --- |
/// | `Worker` | worker | bare | worker | bare | null |
/// | `Filter` | task | task | null | null | time |
/// | `Target` | null | task | worker | null | time |
/// | `SkipIf` | null | task | null | counts | time |
/// | `Task` | task | task | bare | bare | null |
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Place {
    /// A task queue's `TargetWorkers` (X1), the filter of the workers list (X7) and of the task queues list (X9).
    Worker,
    /// `filters[].expression` of a workflow (X2).
    Filter,
    /// `targets[].expression` of a workflow (X3).
    Target,
    /// `targets[].skip_if` of a workflow (X4).
    SkipIf,
    /// The filter of the tasks list (X8).
    Task,
}

/// The thing that a name belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Root {
    /// Out of scope.
    Null,
    Task(Segments),
    Worker(Segments),
    Workers,
    Clock,
}

/// Which segments of a reference lead from the root to the value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Segments {
    /// All: the first is an ordinary key here.
    All,
    AfterPrefix,
}

impl Place {
    pub(crate) fn root(self, prefix: Prefix) -> Root {
        use Segments::{AfterPrefix, All};
        match (self, prefix) {
            (Place::Worker, Prefix::Bare | Prefix::Task | Prefix::Workers) => Root::Worker(All),
            (Place::Worker | Place::Target, Prefix::Worker) => Root::Worker(AfterPrefix),
            (Place::Filter, Prefix::Bare) | (Place::Task, Prefix::Bare | Prefix::Worker | Prefix::Workers) => {
                Root::Task(All)
            }
            (Place::Filter | Place::Target | Place::SkipIf | Place::Task, Prefix::Task) => Root::Task(AfterPrefix),
            (Place::SkipIf, Prefix::Workers) => Root::Workers,
            (Place::Filter | Place::Target | Place::SkipIf, Prefix::Taskrouter) => Root::Clock,
            (Place::Filter, Prefix::Worker | Prefix::Workers)
            | (Place::Target, Prefix::Bare | Prefix::Workers)
            | (Place::SkipIf, Prefix::Bare | Prefix::Worker)
            | (Place::Worker | Place::Task, Prefix::Taskrouter) => Root::Null,
        }
    }
}

/// Names that every worker has besides its attributes; an attribute of the same name that is not null wins.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Builtin {
    /// `sid`
    Sid,
    /// `friendly_name`
    FriendlyName,
    /// `activity_name`
    ActivityName,
    /// `activity_sid`
    ActivitySid,
}

/// The counters of a worker channel.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Counter {
    /// `configured_capacity`
    ConfiguredCapacity,
    /// `assigned_tasks`: reservations that are accepted; pending and wrapping ones are not counted.
    AssignedTasks,
    /// `available_capacity_percentage`: `floor(100 × (capacity − load) / capacity)`, 0 to 100; of capacity 0 it is 0.
    AvailableCapacityPercentage,
}

/// A worker as expressions see it.
pub trait WorkerView {
    /// Its attributes, an object.
    fn attributes(&self) -> &Value;

    /// A built-in name; `None` where the view has no worker behind it, only attributes.
    fn builtin(&self, name: Builtin) -> Option<&str>;

    /// A counter of the worker channel of the task channel with this unique name; `None` if there is no such task channel.
    fn channel(&self, unique_name: &str, counter: Counter) -> Option<i64>;
}

/// Attributes without a worker: all built-in names are null. For `EvaluateWorkerAttributes` (X9).
#[derive(Clone, Copy, Debug)]
pub struct AttributesOnly<'a>(pub &'a Value);

impl WorkerView for AttributesOnly<'_> {
    fn attributes(&self) -> &Value {
        self.0
    }

    fn builtin(&self, _: Builtin) -> Option<&str> {
        None
    }

    fn channel(&self, _: &str, _: Counter) -> Option<i64> {
        None
    }
}

/// Which workers of a step's queue are counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WorkersCount<'a> {
    /// `workers.available`
    Available,
    /// `workers.unavailable`
    Unavailable,
    /// `workers.WA..`: those in the activity with this SID; of an unknown one 0.
    Activity(&'a str),
}

/// The members of a step's queue, counted.
pub trait WorkersView {
    /// How many there are.
    fn count(&self, which: WorkersCount<'_>) -> i64;
}

/// Everything an evaluation can see. Made by the constructor that is named for the place.
#[derive(Clone, Copy)]
pub struct Scope<'a> {
    pub(crate) place: Place,
    pub(crate) task: &'a Value,
    pub(crate) attributes: &'a Value,
    pub(crate) worker: Option<&'a dyn WorkerView>,
    pub(crate) workers: Option<&'a dyn WorkersView>,
    pub(crate) now_ms: i64,
}

impl<'a> Scope<'a> {
    const fn empty(place: Place) -> Scope<'a> {
        Scope { place, task: &NULL, attributes: &NULL, worker: None, workers: None, now_ms: 0 }
    }

    /// [`Place::Worker`]: `TargetWorkers` and the lists of workers and task queues.
    pub fn worker(worker: &'a dyn WorkerView) -> Scope<'a> {
        Scope { attributes: worker.attributes(), worker: Some(worker), ..Scope::empty(Place::Worker) }
    }

    /// [`Place::Filter`]: a workflow's filter. `now_ms`: milliseconds since the Unix epoch, here and below.
    pub fn filter(task: &'a Value, now_ms: i64) -> Scope<'a> {
        Scope { task, now_ms, ..Scope::empty(Place::Filter) }
    }

    /// [`Place::Target`]: a workflow's target expression, for one task and one worker.
    pub fn target(task: &'a Value, worker: &'a dyn WorkerView, now_ms: i64) -> Scope<'a> {
        Scope { task, attributes: worker.attributes(), worker: Some(worker), now_ms, ..Scope::empty(Place::Target) }
    }

    /// [`Place::Target`] for the result of [`Expression::specialize`](crate::Expression::specialize): the task is no longer needed.
    pub fn remainder(worker: &'a dyn WorkerView, now_ms: i64) -> Scope<'a> {
        Scope::target(&NULL, worker, now_ms)
    }

    /// [`Place::SkipIf`]: a step's `skip_if`.
    pub fn skip_if(task: &'a Value, workers: &'a dyn WorkersView, now_ms: i64) -> Scope<'a> {
        Scope { task, workers: Some(workers), now_ms, ..Scope::empty(Place::SkipIf) }
    }

    /// [`Place::Task`]: the list of tasks.
    pub fn task(task: &'a Value) -> Scope<'a> {
        Scope { task, ..Scope::empty(Place::Task) }
    }
}

impl core::fmt::Debug for Scope<'_> {
    fn fmt(&self, formatter: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        formatter.debug_struct("Scope").field("place", &self.place).finish_non_exhaustive()
    }
}
