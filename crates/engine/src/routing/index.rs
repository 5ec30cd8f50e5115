//! What is derived from the state so that routing costs the same however many Tasks wait and Workers exist.
//!
//! ```text
//! queue ── members            Workers for which TargetWorkers is true
//!       ├─ rankings           per (lane, order_by): open members, best first
//!       └─ classes            Tasks that wait with the same demand, in order of service
//! ```
//!
//! - A **lane** is what capacity is counted on: the TaskChannel, or the Worker as a whole in a single-tasking Workspace.
//! - A **demand class** joins the waiting Tasks that the very same Workers can serve: same queue, lane, wanted Worker,
//!   remaining predicate (the step's expression with the Task's values filled in), order and exclusions. Whether a class
//!   can be served is asked once for all its Tasks.
//! - At rest no waiting Task has an eligible Worker. So after a change only *freed* Workers and *fresh* classes can
//!   bring a match; [`Index::follow`] notes both, and matching looks at nothing else.
//!
//! Everything here is a function of the state: [`Index::build`] makes the same index that following the events did,
//! and [`Index::check`] compares the two.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::string::{String, ToString};
use alloc::sync::Arc;
use alloc::vec::Vec;

use hashbrown::HashMap;
use pointsman_expression::{Expression, Keys, OrderBy, Place as ExpressionPlace, Scope, WorkersCount, WorkersView};

use crate::configuration::KnownWorkerBy;
use crate::event::Event;
use crate::ids::{Id, Sid};
use crate::limits::Limits;
use crate::state::{Activity, Place, Reservation, State, Task, TaskChannel, TaskQueue, Worker, fold_name};
use crate::values::{DurationMs, Ordering, ReservationStatus, TaskStatus, Tasking, Timestamp, TransferMode};

/// The capacity that an offer uses: a TaskChannel's, or in a single-tasking Workspace the one that a Worker has.
pub(crate) type Lane = Option<Id<TaskChannel>>;

/// How long a Worker is idle; the smaller comes first (reference: routing, section 3.4).
pub(crate) type IdleKey = (u8, Timestamp, Id<Worker>);

#[derive(Clone, Debug)]
pub(crate) struct Index {
    limits: Limits,
    tasking: Tasking,
    prioritized: Ordering,
    queues: BTreeMap<Id<TaskQueue>, QueueEntry>,
    /// Queues whose expression reads Activities, or channel counters.
    reading_activity: BTreeSet<Id<TaskQueue>>,
    reading_counters: BTreeSet<Id<TaskQueue>>,
    // Trees, because a hash table of many that doubles takes a third of a second.
    workers: BTreeMap<Id<Worker>, WorkerEntry>,
    tasks: BTreeMap<Id<Task>, TaskEntry>,
    reservations: BTreeMap<Id<Reservation>, Deadline>,
    classes: BTreeMap<ClassId, Class>,
    class_ids: HashMap<Arc<Demand>, ClassId>,
    classes_made: u64,
    /// Classes that want one particular Worker.
    wanting: BTreeMap<Wanted, BTreeSet<ClassId>>,
    /// Classes whose predicate reads the time.
    timed: BTreeSet<ClassId>,
    /// Classes whose predicate reads counters or Activities, which an offer can change.
    reactive: BTreeSet<ClassId>,
    deadlines: BTreeSet<Deadline>,
    /// Workers that may serve more than before, and classes that nobody has looked at yet.
    pub(crate) freed: BTreeSet<Id<Worker>>,
    pub(crate) fresh: BTreeSet<ClassId>,
}

#[derive(Clone, Debug, Default, PartialEq)]
struct QueueEntry {
    members: BTreeSet<Id<Worker>>,
    members_by_activity: BTreeMap<Id<Activity>, u32>,
    rankings: BTreeMap<RankingKey, Ranking>,
    /// Classes whose Tasks wait in it.
    classes: BTreeSet<ClassId>,
    /// Those of them that do not want one particular Worker.
    pooled: BTreeSet<ClassId>,
}

type RankingKey = (Lane, Option<Arc<OrderBy>>);

/// The open members of a queue on one lane, best first.
#[derive(Clone, Debug, Default, PartialEq)]
struct Ranking {
    order: BTreeSet<Rank>,
    ranks: BTreeMap<Id<Worker>, Rank>,
    /// Those with a value that spoils the order.
    unusable: BTreeSet<Id<Worker>>,
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Rank {
    keys: Option<Keys>,
    idle: IdleKey,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct WorkerEntry {
    queues: BTreeSet<Id<TaskQueue>>,
    activity: Id<Activity>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct TaskEntry {
    waiting: Option<(ClassId, OrderKey)>,
    deadlines: TaskDeadlines,
}

/// When each timer of a Task is due.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct TaskDeadlines {
    ttl: Option<Timestamp>,
    step: Option<Timestamp>,
    assigned_limit: Option<Timestamp>,
    hold_off: Option<Timestamp>,
    purge: Option<Timestamp>,
}

impl TaskDeadlines {
    fn each(self, id: Id<Task>) -> impl Iterator<Item = Deadline> {
        let timers = [
            (self.ttl, Timer::TaskTtl(id)),
            (self.step, Timer::Step(id)),
            (self.assigned_limit, Timer::AssignedLimit(id)),
            (self.hold_off, Timer::HoldOff(id)),
            (self.purge, Timer::Purge(id)),
        ];
        timers.into_iter().filter_map(|(at, timer)| Some(Deadline { at: at?, timer }))
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct ClassId(u64);

#[derive(Clone, Debug)]
pub(super) struct Class {
    pub(super) demand: Arc<Demand>,
    tasks: BTreeSet<OrderKey>,
}

/// What the Tasks of a class have in common.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Demand {
    /// `None` only for a Task that is routed to one Worker.
    pub(super) task_queue: Option<Id<TaskQueue>>,
    pub(super) lane: Lane,
    pub(super) wanted: Wanted,
    pub(super) predicate: Option<Expression>,
    pub(super) order_by: Option<Arc<OrderBy>>,
    /// Workers that hold an active reservation for the Task itself.
    pub(super) excluded: Vec<Id<Worker>>,
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Wanted {
    Anyone,
    /// A known-worker reference that names nobody.
    Nobody,
    KnownSid(Sid<Worker>),
    /// Folded name.
    KnownName(String),
    /// Directly routed.
    Direct {
        worker: Id<Worker>,
        ignore_capacity: bool,
    },
}

/// Place of a Task in the global order of service (reference: routing, section 3.5).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct OrderKey {
    band: u8,
    rank: i64,
    time: i64,
    sequence: i64,
}

impl OrderKey {
    pub(crate) fn task(self) -> Id<Task> {
        Id::new(self.sequence.unsigned_abs())
    }
}

/// A timer that is set.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Deadline {
    pub(crate) at: Timestamp,
    pub(crate) timer: Timer,
}

/// What is timed. Several that are due at once fire in this order, by kind and then by creation (reference: routing,
/// section 3.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Timer {
    ReservationTimeout(Id<Reservation>),
    TaskTtl(Id<Task>),
    Step(Id<Task>),
    AssignedLimit(Id<Task>),
    HoldOff(Id<Task>),
    OnHold(Id<Reservation>),
    Purge(Id<Task>),
}

/// Which properties of a Worker changed, and so which queue expressions may give another answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Changed {
    Anything,
    Activity,
    Counters,
}

// ---------------------------------------------------------------------------------------------------------------------
// Building and following

impl Index {
    /// Derives the index from a state, as after recovery.
    pub(crate) fn build(state: &State, limits: Limits) -> Self {
        let settings = &state.workspace().settings;
        let mut index = Self {
            limits,
            tasking: settings.tasking,
            prioritized: settings.prioritize_queue_order,
            queues: BTreeMap::new(),
            reading_activity: BTreeSet::new(),
            reading_counters: BTreeSet::new(),
            workers: BTreeMap::new(),
            tasks: BTreeMap::new(),
            reservations: BTreeMap::new(),
            classes: BTreeMap::new(),
            class_ids: HashMap::new(),
            classes_made: 0,
            wanting: BTreeMap::new(),
            timed: BTreeSet::new(),
            reactive: BTreeSet::new(),
            deadlines: BTreeSet::new(),
            freed: BTreeSet::new(),
            fresh: BTreeSet::new(),
        };
        for worker in state.workers() {
            index.add_worker(worker);
        }
        for queue in state.task_queues() {
            index.bind_task_queue(state, queue.id);
        }
        for task in state.tasks() {
            index.refresh_task(state, task.id);
        }
        for reservation in state.reservations() {
            index.refresh_reservation(state, reservation.id);
        }
        index
    }

    /// Keeps up with an event that the state has just folded.
    pub(crate) fn follow(&mut self, state: &State, event: &Event) {
        match event {
            Event::TimeAdvanced { .. }
            | Event::WorkspaceCreated { .. }
            | Event::WorkspaceDeleted
            | Event::ActivityCreated { .. }
            | Event::ActivityDeleted { .. }
            | Event::TaskChannelCreated { .. }
            | Event::ReservationCallChanged { .. }
            | Event::WorkflowCreated { .. }
            | Event::WorkflowUpdated { .. }
            | Event::WorkflowDeleted { .. }
            | Event::TaskRestartChanged { .. } => {}

            Event::WorkspaceUpdated { settings } => {
                if self.tasking != settings.tasking || self.prioritized != settings.prioritize_queue_order {
                    let workers = core::mem::take(&mut self.freed);
                    *self = Self::build(state, self.limits);
                    self.freed.extend(workers);
                }
            }
            Event::ActivityRenamed { id, .. } => {
                let there = |worker: &&Worker| worker.activity == *id;
                let workers: Vec<_> = state.workers().filter(there).map(|worker| worker.id).collect();
                for worker in workers {
                    self.worker_changed(state, worker, Changed::Activity);
                }
            }
            Event::TaskChannelUpdated { .. } => self.every_worker_changed(state),
            Event::TaskChannelDeleted { id } => {
                for queue in self.queues.values_mut() {
                    queue.rankings.retain(|(lane, _), _| *lane != Some(*id));
                }
                self.every_worker_changed(state);
            }

            Event::WorkerCreated { id, .. } => {
                self.add_worker(state.the_worker(*id));
                self.worker_changed(state, *id, Changed::Anything);
            }
            Event::WorkerUpdated { id, .. } => self.worker_changed(state, *id, Changed::Anything),
            Event::WorkerActivityChanged { id, .. } => self.worker_changed(state, *id, Changed::Activity),
            Event::WorkerChannelAdded { worker, .. } | Event::WorkerChannelUpdated { worker, .. } => {
                self.worker_changed(state, *worker, Changed::Counters);
            }
            Event::WorkerDeleted { id } => self.remove_worker(*id),

            Event::TaskQueueCreated { id, .. } => self.bind_task_queue(state, *id),
            Event::TaskQueueUpdated { id, .. } => {
                self.bind_task_queue(state, *id);
                // The order of service may have changed, and with it the band of the queue's Tasks.
                let classes: Vec<_> = self.queues[id].classes.iter().copied().collect();
                let keys = classes.iter().flat_map(|class| &self.classes[class].tasks);
                let tasks: Vec<_> = keys.map(|key| key.task()).collect();
                for task in tasks {
                    self.refresh_task(state, task);
                }
                let classes: Vec<_> = self.queues[id].classes.iter().copied().collect();
                self.fresh.extend(classes);
            }
            Event::TaskQueueDeleted { id } => self.unbind_task_queue(*id),

            Event::TaskUpdated { id, .. } => {
                self.refresh_task(state, *id);
                // Its load may have moved to another channel.
                let workers: Vec<_> =
                    state.active_reservations(state.the_task(*id)).map(|reservation| reservation.worker).collect();
                for worker in workers {
                    self.worker_changed(state, worker, Changed::Counters);
                }
            }
            Event::TaskCreated { id, .. }
            | Event::TaskPlaced { id, .. }
            | Event::TaskStatusChanged { id, .. }
            | Event::TaskConfigurationChanged { id }
            | Event::TaskHoldOffChanged { id, .. } => self.refresh_task(state, *id),
            Event::TaskRemoved { id } => self.remove_task(*id),

            Event::ReservationCreated { id, worker, .. } => {
                self.refresh_reservation(state, *id);
                self.worker_loaded(state, *worker);
            }
            Event::ReservationStatusChanged { id, .. } => {
                self.refresh_reservation(state, *id);
                let reservation = state.the_reservation(*id);
                if state.the_task(reservation.task).status == TaskStatus::Pending {
                    self.refresh_task(state, reservation.task);
                }
                if reservation.status.is_active() {
                    self.worker_loaded(state, reservation.worker);
                } else {
                    self.worker_changed(state, reservation.worker, Changed::Counters);
                }
            }
            Event::ReservationHoldChanged { id, .. } => self.refresh_reservation(state, *id),

            Event::TransferInitiated { task, .. } => self.refresh_task(state, *task),
            Event::TransferChanged { id, .. } => self.refresh_task(state, state.the_transfer(*id).task),
        }
    }

    /// Panics unless this index is the one that the state implies.
    pub(crate) fn check(&self, state: &State) {
        let other = Self::build(state, self.limits);
        assert!(self.freed.is_empty(), "nobody is freed at rest");
        assert!(self.fresh.is_empty(), "no class is fresh at rest");
        assert_eq!(self.deadlines, other.deadlines, "deadlines");
        assert_eq!(self.queues.len(), other.queues.len(), "queues");
        for (id, queue) in &self.queues {
            let expected = &other.queues[id];
            assert_eq!(queue.members, expected.members, "members of {id:?}");
            assert_eq!(queue.members_by_activity, expected.members_by_activity, "Activities of {id:?}");
            for (key, ranking) in &queue.rankings {
                assert_eq!(*ranking, self.rank_members(state, *id, key), "ranking {key:?} of {id:?}");
            }
        }
        assert_eq!(self.classes_by_demand(), other.classes_by_demand(), "demand classes");
        let readers = |index: &Self| (index.reading_activity.clone(), index.reading_counters.clone());
        assert_eq!(readers(self), readers(&other), "queues that read what changes often");
        assert_eq!(self.workers, other.workers, "Workers");
        assert_eq!(self.reservations, other.reservations, "deadlines of reservations");
        for (class, Class { demand, .. }) in &self.classes {
            assert!(
                self.choose(state, demand, None).is_empty(),
                "a Task of class {class:?} waits though somebody could take it: {demand:?}"
            );
        }
    }

    /// Each demand with its Tasks and everywhere its class is listed; what two indexes of one state have in common.
    fn classes_by_demand(&self) -> BTreeMap<&Demand, (&BTreeSet<OrderKey>, [bool; 5])> {
        let listed = |id: &ClassId, demand: &Demand| {
            let queue = demand.task_queue.map(|queue| &self.queues[&queue]);
            [
                queue.is_some_and(|queue| queue.classes.contains(id)),
                queue.is_some_and(|queue| queue.pooled.contains(id)),
                self.timed.contains(id),
                self.reactive.contains(id),
                self.wanting.get(&demand.wanted).is_some_and(|classes| classes.contains(id)),
            ]
        };
        let each = self.classes.iter();
        each.map(|(id, class)| (&*class.demand, (&class.tasks, listed(id, &class.demand)))).collect()
    }

    fn add_worker(&mut self, worker: &Worker) {
        self.workers.insert(worker.id, WorkerEntry { queues: BTreeSet::new(), activity: worker.activity });
    }

    fn every_worker_changed(&mut self, state: &State) {
        for worker in state.workers() {
            self.worker_changed(state, worker.id, Changed::Counters);
        }
    }

    /// The Worker may be a member of other queues, stand elsewhere in their rankings, and serve other Tasks.
    fn worker_changed(&mut self, state: &State, id: Id<Worker>, changed: Changed) {
        if state.workers.live(id).is_none() {
            return;
        }
        self.bind_worker(state, id, changed);
        self.rank_worker(state, id);
        self.freed.insert(id);
    }

    /// An offer was made to the Worker or accepted by it. That can only open something to it where expressions read
    /// counters or Activities.
    fn worker_loaded(&mut self, state: &State, id: Id<Worker>) {
        if self.reactive.is_empty() && self.reading_counters.is_empty() {
            self.rank_worker(state, id);
        } else {
            self.worker_changed(state, id, Changed::Counters);
        }
    }

    fn bind_worker(&mut self, state: &State, id: Id<Worker>, changed: Changed) {
        let worker = state.the_worker(id);
        let view = state.worker_view(worker);
        let scope = Scope::worker(&view);
        let matches = |queue: &TaskQueue| queue.expression.as_ref().is_some_and(|expression| expression.eval(&scope));
        let outcome: Vec<(Id<TaskQueue>, bool)> = match changed {
            Changed::Anything => state.task_queues().map(|queue| (queue.id, matches(queue))).collect(),
            Changed::Activity => self.test(state, &self.reading_activity, matches),
            Changed::Counters => self.test(state, &self.reading_counters, matches),
        };
        for (queue, member) in outcome {
            self.set_member(state, queue, id, member);
        }
        let entry = self.workers.get_mut(&id).expect("live Workers have an entry");
        let before = core::mem::replace(&mut entry.activity, worker.activity);
        if before != worker.activity {
            for queue in &entry.queues {
                let queue = self.queues.get_mut(queue).expect("bound queues have an entry");
                count_activity(&mut queue.members_by_activity, before, -1);
                count_activity(&mut queue.members_by_activity, worker.activity, 1);
            }
        }
    }

    #[expect(clippy::unused_self, reason = "reads as a step of bind_worker")]
    fn test(
        &self,
        state: &State,
        queues: &BTreeSet<Id<TaskQueue>>,
        matches: impl Fn(&TaskQueue) -> bool,
    ) -> Vec<(Id<TaskQueue>, bool)> {
        queues.iter().map(|queue| (*queue, matches(state.the_task_queue(*queue)))).collect()
    }

    fn set_member(&mut self, state: &State, queue: Id<TaskQueue>, worker: Id<Worker>, member: bool) {
        let entry = self.workers.get_mut(&worker).expect("live Workers have an entry");
        // A queue that is about to be bound has no entry yet and asks every Worker itself.
        let Some(queue_entry) = self.queues.get_mut(&queue) else { return };
        if member {
            if entry.queues.insert(queue) {
                queue_entry.members.insert(worker);
                count_activity(&mut queue_entry.members_by_activity, entry.activity, 1);
                self.freed.insert(worker);
                self.rank_in_queue(state, queue, worker);
            }
        } else if entry.queues.remove(&queue) {
            queue_entry.members.remove(&worker);
            count_activity(&mut queue_entry.members_by_activity, entry.activity, -1);
            for ranking in queue_entry.rankings.values_mut() {
                ranking.remove(worker);
            }
        }
    }

    fn remove_worker(&mut self, id: Id<Worker>) {
        let entry = self.workers.remove(&id).expect("deleted Workers had an entry");
        for queue in &entry.queues {
            let queue = self.queues.get_mut(queue).expect("bound queues have an entry");
            queue.members.remove(&id);
            count_activity(&mut queue.members_by_activity, entry.activity, -1);
            for ranking in queue.rankings.values_mut() {
                ranking.remove(id);
            }
        }
        self.freed.remove(&id);
    }

    /// Asks every Worker whether it belongs to the queue.
    fn bind_task_queue(&mut self, state: &State, id: Id<TaskQueue>) {
        self.queues.entry(id).or_default();
        let queue = state.the_task_queue(id);
        let reads = queue.expression.as_ref().map(|expression| expression.reads(ExpressionPlace::Worker));
        let reads = reads.unwrap_or_default();
        set_contains(&mut self.reading_activity, id, reads.activity);
        set_contains(&mut self.reading_counters, id, !reads.channels.is_empty());
        for worker in state.workers() {
            let view = state.worker_view(worker);
            let member = queue.expression.as_ref().is_some_and(|expression| expression.eval(&Scope::worker(&view)));
            self.set_member(state, id, worker.id, member);
        }
    }

    fn unbind_task_queue(&mut self, id: Id<TaskQueue>) {
        let entry = self.queues.remove(&id).expect("deleted queues had an entry");
        assert!(entry.classes.is_empty(), "nothing waits in a queue that is deleted");
        for worker in &entry.members {
            self.workers.get_mut(worker).expect("members have an entry").queues.remove(&id);
        }
        self.reading_activity.remove(&id);
        self.reading_counters.remove(&id);
    }

    fn rank_worker(&mut self, state: &State, id: Id<Worker>) {
        let Some(entry) = self.workers.get(&id) else { return };
        let queues: Vec<_> = entry.queues.iter().copied().collect();
        for queue in queues {
            self.rank_in_queue(state, queue, id);
        }
    }

    fn rank_in_queue(&mut self, state: &State, queue: Id<TaskQueue>, id: Id<Worker>) {
        let worker = state.the_worker(id);
        let queue = self.queues.get_mut(&queue).expect("bound queues have an entry");
        for ((lane, order_by), ranking) in &mut queue.rankings {
            ranking.place(state, worker, *lane, order_by.as_deref());
        }
    }

    fn rank_members(&self, state: &State, queue: Id<TaskQueue>, (lane, order_by): &RankingKey) -> Ranking {
        let mut ranking = Ranking::default();
        for member in &self.queues[&queue].members {
            ranking.place(state, state.the_worker(*member), *lane, order_by.as_deref());
        }
        ranking
    }

    // Tasks and reservations

    fn refresh_task(&mut self, state: &State, id: Id<Task>) {
        let Some(task) = state.tasks.live(id) else { return };
        let mut entry = self.tasks.get(&id).copied().unwrap_or_default();
        let deadlines = self.task_deadlines(task);
        if deadlines != entry.deadlines {
            for deadline in entry.deadlines.each(id) {
                self.deadlines.remove(&deadline);
            }
            self.deadlines.extend(deadlines.each(id));
            entry.deadlines = deadlines;
        }

        let wanted = self.demand(state, task).map(|demand| (demand, self.order_key(state, task)));
        let same = match (&wanted, entry.waiting) {
            (None, None) => true,
            (Some((demand, key)), Some((class, before))) => *key == before && *self.classes[&class].demand == *demand,
            (Some(_), None) | (None, Some(_)) => false,
        };
        if !same {
            if let Some((class, key)) = entry.waiting.take() {
                self.leave_class(class, key);
            }
            if let Some((demand, key)) = wanted {
                entry.waiting = Some((self.join_class(state, demand, key), key));
            }
        }
        self.tasks.insert(id, entry);
    }

    fn remove_task(&mut self, id: Id<Task>) {
        let Some(entry) = self.tasks.remove(&id) else { return };
        for deadline in entry.deadlines.each(id) {
            self.deadlines.remove(&deadline);
        }
        if let Some((class, key)) = entry.waiting {
            self.leave_class(class, key);
        }
    }

    fn task_deadlines(&self, task: &Task) -> TaskDeadlines {
        let pending = task.status == TaskStatus::Pending;
        let ttl = task.date_created.plus(DurationMs::from_seconds(task.timeout_seconds));
        let assigned_limit = task.first_accepted.map(|accepted| accepted.plus(self.limits.assigned_max));
        TaskDeadlines {
            ttl: (task.status.is_waiting() && task.first_accepted.is_none()).then_some(ttl),
            step: task.step_deadline().filter(|_| pending),
            assigned_limit: assigned_limit.filter(|_| !task.status.is_terminal()),
            hold_off: task.hold_off.until.filter(|_| pending),
            purge: task.finished.map(|finished| finished.plus(self.limits.finished_retention)),
        }
    }

    fn refresh_reservation(&mut self, state: &State, id: Id<Reservation>) {
        let reservation = state.the_reservation(id);
        let deadline = match (reservation.status == ReservationStatus::Pending, reservation.on_hold_until) {
            (false, _) => None,
            (true, None) => Some(Deadline { at: reservation.due(), timer: Timer::ReservationTimeout(id) }),
            (true, Some(until)) => Some(Deadline { at: until, timer: Timer::OnHold(id) }),
        };
        let before = match deadline {
            Some(deadline) => self.reservations.insert(id, deadline),
            None => self.reservations.remove(&id),
        };
        if let Some(before) = before {
            self.deadlines.remove(&before);
        }
        self.deadlines.extend(deadline);
    }

    fn join_class(&mut self, state: &State, demand: Demand, key: OrderKey) -> ClassId {
        if let Some(id) = self.class_ids.get(&demand) {
            self.classes.get_mut(id).expect("known classes exist").tasks.insert(key);
            return *id;
        }
        self.classes_made += 1;
        let id = ClassId(self.classes_made);
        let demand = Arc::new(demand);
        if let Some(predicate) = &demand.predicate {
            let reads = predicate.reads(ExpressionPlace::Target);
            if reads.time {
                self.timed.insert(id);
            }
            if reads.activity || !reads.channels.is_empty() {
                self.reactive.insert(id);
            }
        }
        if demand.wanted == Wanted::Anyone {
            let queue = demand.task_queue.expect("only a Task for one Worker has no queue");
            self.queues.get_mut(&queue).expect("placed Tasks are in live queues").pooled.insert(id);
            self.add_ranking(state, queue, (demand.lane, None));
            if demand.order_by.is_some() {
                self.add_ranking(state, queue, (demand.lane, demand.order_by.clone()));
            }
        } else {
            self.wanting.entry(demand.wanted.clone()).or_default().insert(id);
        }
        if let Some(queue) = demand.task_queue {
            self.queues.get_mut(&queue).expect("placed Tasks are in live queues").classes.insert(id);
        }
        self.class_ids.insert(demand.clone(), id);
        self.classes.insert(id, Class { demand, tasks: BTreeSet::from([key]) });
        self.fresh.insert(id);
        id
    }

    /// Rankings stay once they were needed, up to a bound: making one asks every member.
    fn add_ranking(&mut self, state: &State, queue: Id<TaskQueue>, key: RankingKey) {
        const RANKINGS_MAX: usize = 64;
        if self.queues[&queue].rankings.contains_key(&key) {
            return;
        }
        let ranking = self.rank_members(state, queue, &key);
        let rankings = &self.queues[&queue].rankings;
        if rankings.len() >= RANKINGS_MAX {
            let used: BTreeSet<_> = self.queues[&queue]
                .classes
                .iter()
                .filter_map(|class| self.classes.get(class))
                .map(|class| (class.demand.lane, class.demand.order_by.clone()))
                .collect();
            let queue = self.queues.get_mut(&queue).expect("just looked at");
            queue.rankings.retain(|key, _| key.1.is_none() || used.contains(key));
        }
        self.queues.get_mut(&queue).expect("just looked at").rankings.insert(key, ranking);
    }

    fn leave_class(&mut self, id: ClassId, key: OrderKey) {
        let class = self.classes.get_mut(&id).expect("Tasks wait in known classes");
        class.tasks.remove(&key);
        if !class.tasks.is_empty() {
            return;
        }
        let demand = self.classes.remove(&id).expect("just looked at").demand;
        self.class_ids.remove(&demand);
        self.timed.remove(&id);
        self.reactive.remove(&id);
        self.fresh.remove(&id);
        if let Some(queue) = demand.task_queue.and_then(|queue| self.queues.get_mut(&queue)) {
            queue.classes.remove(&id);
            queue.pooled.remove(&id);
        }
        if let Some(classes) = self.wanting.get_mut(&demand.wanted) {
            classes.remove(&id);
            if classes.is_empty() {
                self.wanting.remove(&demand.wanted);
            }
        }
    }
}

fn count_activity(counts: &mut BTreeMap<Id<Activity>, u32>, activity: Id<Activity>, by: i32) {
    let count = counts.entry(activity).or_default();
    *count = count.checked_add_signed(by).expect("members are counted once");
    if *count == 0 {
        counts.remove(&activity);
    }
}

fn set_contains<T: Ord>(set: &mut BTreeSet<T>, item: T, contained: bool) {
    if contained {
        set.insert(item);
    } else {
        set.remove(&item);
    }
}

impl Ranking {
    fn place(&mut self, state: &State, worker: &Worker, lane: Lane, order_by: Option<&OrderBy>) {
        let rank = is_open(state, worker, lane).then(|| Rank {
            keys: order_by.map(|order_by| order_by.keys(&state.worker_view(worker))),
            idle: idle_key(state, worker, lane),
        });
        if self.ranks.get(&worker.id) == rank.as_ref() {
            return;
        }
        self.remove(worker.id);
        if let Some(rank) = rank {
            if rank.keys.as_ref().is_some_and(|keys| !keys.is_usable()) {
                self.unusable.insert(worker.id);
            }
            self.ranks.insert(worker.id, rank.clone());
            self.order.insert(rank);
        }
    }

    fn remove(&mut self, worker: Id<Worker>) {
        if let Some(rank) = self.ranks.remove(&worker) {
            self.order.remove(&rank);
            self.unusable.remove(&worker);
        }
    }
}

// ---------------------------------------------------------------------------------------------------------------------
// Eligibility and order, straight from the reference

/// Rules 3 to 5 of section 3.2: the Worker could take something on this lane.
pub(crate) fn is_open(state: &State, worker: &Worker, lane: Lane) -> bool {
    if !state.is_available(worker) {
        return false;
    }
    match lane {
        None => worker.active.is_empty(),
        Some(task_channel) => {
            worker.channel(task_channel).is_some_and(|channel| channel.available && channel.has_capacity())
        }
    }
}

/// Section 3.4.
pub(crate) fn idle_key(state: &State, worker: &Worker, lane: Lane) -> IdleKey {
    let Some(task_channel) = lane else { return (0, worker.date_status_changed, worker.id) };
    if state.the_task_channel(task_channel).optimized_routing {
        let channel = worker.channel(task_channel).expect("open Workers have the channel");
        (u8::from(channel.load() > 0), channel.last_reserved, worker.id)
    } else {
        (0, worker.last_reserved, worker.id)
    }
}

impl Index {
    /// What the Task waits for; `None` if it does not wait to be matched.
    fn demand(&self, state: &State, task: &Task) -> Option<Demand> {
        if task.status != TaskStatus::Pending || task.hold_off.until.is_some() {
            return None;
        }
        let lane = match self.tasking {
            Tasking::Multi => Some(task.task_channel),
            Tasking::Single => None,
        };
        let mut demand = Demand {
            task_queue: task.task_queue,
            lane,
            wanted: Wanted::Anyone,
            predicate: None,
            order_by: None,
            excluded: excluded(state, task),
        };
        match task.place? {
            Place::Queue => {}
            Place::Worker(worker) => {
                demand.task_queue = None;
                demand.wanted = Wanted::Direct { worker, ignore_capacity: task.ignore_capacity };
            }
            Place::Step { position, .. } => {
                let configuration = task.configuration.as_ref().expect("a Task in a step follows rules");
                let target = configuration.target(position);
                if let Some(step) = &target.expression {
                    let remainder = step.expression.specialize(task.attributes.value());
                    demand.predicate = Some(remainder).filter(|remainder| remainder.as_constant() != Some(true));
                }
                match &target.known_worker {
                    None => demand.order_by.clone_from(&target.order_by),
                    Some(rule) => {
                        let named = rule.reference.resolve(task.attributes.value()).as_text();
                        demand.wanted = match (rule.by, named) {
                            (_, None) => Wanted::Nobody,
                            (KnownWorkerBy::Sid, Some(sid)) => Sid::parse(sid).map_or(Wanted::Nobody, Wanted::KnownSid),
                            (KnownWorkerBy::FriendlyName, Some(name)) => Wanted::KnownName(fold_name(name)),
                        };
                    }
                }
            }
        }
        Some(demand)
    }

    /// Section 3.5.
    fn order_key(&self, state: &State, task: &Task) -> OrderKey {
        let order = match (task.place, task.task_queue) {
            (Some(Place::Worker(_)), _) | (_, None) => Ordering::Fifo,
            (_, Some(queue)) => state.the_task_queue(queue).definition.task_order,
        };
        let band = u8::from(order != self.prioritized);
        let start = task.virtual_start_time.0;
        let number = task.id.number() as i64;
        match order {
            Ordering::Fifo => OrderKey { band, rank: -i64::from(task.priority.0), time: start, sequence: number },
            Ordering::Lifo => OrderKey { band, rank: 0, time: -start, sequence: -number },
        }
    }

    /// The Workers for the next Task of a demand, best first, at most as many as its queue reserves at once.
    ///
    /// - `only`: look at these alone; nobody else can be eligible.
    /// - Cost: O(result) where nobody is skipped; a Worker that the step's predicate excludes costs one evaluation.
    pub(super) fn choose(
        &self,
        state: &State,
        demand: &Demand,
        only: Option<&BTreeSet<Id<Worker>>>,
    ) -> Vec<Id<Worker>> {
        let wanted = match &demand.wanted {
            Wanted::Anyone => return self.choose_anyone(state, demand, only),
            Wanted::Nobody => None,
            Wanted::KnownSid(sid) => state.find_worker(*sid).filter(|worker| self.suits(state, demand, worker)),
            Wanted::KnownName(name) => state.worker_named(name).filter(|worker| self.suits(state, demand, worker)),
            Wanted::Direct { worker, ignore_capacity } => state.workers.live(*worker).filter(|worker| {
                (*ignore_capacity || is_open(state, worker, demand.lane)) && !demand.excluded.contains(&worker.id)
            }),
        };
        wanted.map(|worker| worker.id).into_iter().collect()
    }

    fn choose_anyone(&self, state: &State, demand: &Demand, only: Option<&BTreeSet<Id<Worker>>>) -> Vec<Id<Worker>> {
        let queue = demand.task_queue.expect("only a Task for one Worker has no queue");
        let most = state.the_task_queue(queue).definition.max_reserved_workers as usize;
        if let Some(only) = only {
            let suits = only.iter().filter_map(|id| state.workers.live(*id));
            let mut suits: Vec<_> = suits.filter(|worker| self.suits(state, demand, worker)).collect();
            suits.sort_by_cached_key(|worker| idle_key(state, worker, demand.lane));
            if let Some(order_by) = &demand.order_by {
                let keys = |worker: &&Worker| order_by.keys(&state.worker_view(worker));
                if suits.iter().all(|worker| keys(worker).is_usable()) {
                    suits.sort_by_cached_key(keys);
                }
            }
            return suits.iter().take(most).map(|worker| worker.id).collect();
        }
        let rankings = &self.queues[&queue].rankings;
        let suits = |id: &Id<Worker>| self.satisfies(state, demand, state.the_worker(*id));
        let mut ranking = &rankings[&(demand.lane, demand.order_by.clone())];
        if ranking.unusable.iter().any(suits) {
            ranking = &rankings[&(demand.lane, None)];
        }
        ranking.order.iter().map(|rank| rank.idle.2).filter(suits).take(most).collect()
    }

    /// Rules 1 to 6 of section 3.2 for a demand that is not direct.
    fn suits(&self, state: &State, demand: &Demand, worker: &Worker) -> bool {
        let queue = demand.task_queue.expect("only a Task for one Worker has no queue");
        is_open(state, worker, demand.lane)
            && self.workers[&worker.id].queues.contains(&queue)
            && self.satisfies(state, demand, worker)
    }

    /// Rules 2 and 6.
    #[expect(clippy::unused_self, reason = "one of the rules of `suits`")]
    fn satisfies(&self, state: &State, demand: &Demand, worker: &Worker) -> bool {
        !demand.excluded.contains(&worker.id)
            && demand
                .predicate
                .as_ref()
                .is_none_or(|predicate| predicate.eval(&Scope::remainder(&state.worker_view(worker), state.now().0)))
    }

    /// The classes whose Tasks this Worker could take now.
    pub(super) fn classes_for(&self, state: &State, id: Id<Worker>) -> Vec<ClassId> {
        let (Some(worker), Some(entry)) = (state.workers.live(id), self.workers.get(&id)) else { return Vec::new() };
        let pooled = entry.queues.iter().flat_map(|queue| &self.queues[queue].pooled);
        let anyone = pooled.filter(|class| self.suits(state, &self.classes[class].demand, worker));
        let mut classes: Vec<ClassId> = if state.is_available(worker) { anyone.copied().collect() } else { Vec::new() };
        if !self.wanting.is_empty() {
            let names = [
                Wanted::KnownSid(worker.sid),
                Wanted::KnownName(fold_name(&worker.friendly_name)),
                Wanted::Direct { worker: id, ignore_capacity: false },
                Wanted::Direct { worker: id, ignore_capacity: true },
            ];
            classes.extend(names.iter().filter_map(|name| self.wanting.get(name)).flatten());
        }
        classes
    }

    pub(super) fn class(&self, id: ClassId) -> Option<&Class> {
        self.classes.get(&id)
    }

    /// Classes that a change of the minute can open.
    pub(crate) fn timed_classes(&self) -> Vec<ClassId> {
        self.timed.iter().copied().collect()
    }

    // What the rest of the engine asks.

    pub(crate) fn is_member(&self, queue: Id<TaskQueue>, worker: Id<Worker>) -> bool {
        self.workers.get(&worker).is_some_and(|entry| entry.queues.contains(&queue))
    }

    pub(crate) fn members(&self, queue: Id<TaskQueue>) -> impl Iterator<Item = Id<Worker>> + '_ {
        self.queues.get(&queue).into_iter().flat_map(|entry| entry.members.iter().copied())
    }

    pub(crate) fn members_by_activity(&self, queue: Id<TaskQueue>) -> Option<&BTreeMap<Id<Activity>, u32>> {
        self.queues.get(&queue).map(|entry| &entry.members_by_activity)
    }

    pub(crate) fn queues_of(&self, worker: Id<Worker>) -> impl Iterator<Item = Id<TaskQueue>> + '_ {
        self.workers.get(&worker).into_iter().flat_map(|entry| entry.queues.iter().copied())
    }

    /// The earliest timer, the minute boundary of time-dependent steps included.
    pub(crate) fn next_deadline(&self, now: Timestamp) -> Option<Timestamp> {
        let first = self.deadlines.first().map(|deadline| deadline.at);
        let minute = (!self.timed.is_empty()).then(|| now.next_minute());
        first.into_iter().chain(minute).min()
    }

    /// The timers due at or before `at`, in the order in which they fire.
    pub(crate) fn due(&self, at: Timestamp) -> Vec<Deadline> {
        self.deadlines.iter().take_while(|deadline| deadline.at <= at).copied().collect()
    }

    pub(crate) fn is_set(&self, deadline: &Deadline) -> bool {
        self.deadlines.contains(deadline)
    }
}

impl Class {
    /// The first Task after `position` in the order of service.
    pub(super) fn next_after(&self, position: Option<OrderKey>) -> Option<OrderKey> {
        match position {
            None => self.tasks.first().copied(),
            Some(position) => {
                let rest = (core::ops::Bound::Excluded(position), core::ops::Bound::Unbounded);
                self.tasks.range(rest).next().copied()
            }
        }
    }
}

/// Rule 6: who holds an active reservation for the Task itself, but for the initiator of a transfer to a queue that is
/// cold, or is as good as cold because the initiator has stopped working on it.
fn excluded(state: &State, task: &Task) -> Vec<Id<Worker>> {
    let returning = state.open_transfer(task).filter(|transfer| {
        let initiating = state.the_reservation(transfer.initiating_reservation);
        let leaves = transfer.mode == TransferMode::Cold || initiating.status != ReservationStatus::Accepted;
        leaves && matches!(transfer.target, crate::state::TransferTarget::TaskQueue(_))
    });
    let returning = returning.map(|transfer| transfer.initiating_reservation);
    let mut workers: Vec<_> = state
        .active_reservations(task)
        .filter(|reservation| Some(reservation.id) != returning)
        .map(|reservation| reservation.worker)
        .collect();
    workers.sort_unstable();
    workers.dedup();
    workers
}

/// The counts that `skip_if` sees: members of the step's queue by Activity.
#[derive(Debug)]
pub(crate) struct MemberCounts<'a> {
    pub(crate) state: &'a State,
    pub(crate) counts: Option<&'a BTreeMap<Id<Activity>, u32>>,
}

impl WorkersView for MemberCounts<'_> {
    fn count(&self, which: WorkersCount<'_>) -> i64 {
        let activity = |id: &Id<Activity>| self.state.the_activity(*id);
        let counts = self.counts.into_iter().flatten();
        let counted = counts.filter(|(id, _)| match which {
            WorkersCount::Available => activity(id).available,
            WorkersCount::Unavailable => !activity(id).available,
            WorkersCount::Activity(sid) => activity(id).sid.to_string() == sid,
        });
        counted.map(|(_, count)| i64::from(*count)).sum()
    }
}
