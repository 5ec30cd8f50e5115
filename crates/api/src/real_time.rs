//! Real-time figures, out of the state as it is. Reference: statistics, section 6.

use std::collections::BTreeMap;

use pointsman_engine::{Activity, Engine, Id, Sid, State, Task, TaskChannel, TaskQueue, TaskStatus, Timestamp, Worker};

/// The keys of `tasks_by_status`, in their order. Final statuses never appear.
pub(crate) const LIVE_STATUSES: [TaskStatus; 4] =
    [TaskStatus::Pending, TaskStatus::Reserved, TaskStatus::Assigned, TaskStatus::Wrapping];

/// Tasks of a scope.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct TaskFigures {
    /// In the order of [`LIVE_STATUSES`].
    pub(crate) by_status: [i64; 4],
    pub(crate) by_priority: BTreeMap<u32, i64>,
    /// Waiting longest since its creation.
    pub(crate) longest: Option<Waiting>,
    /// Waiting longest since its entry into its queue.
    pub(crate) longest_in_queue: Option<Waiting>,
}

/// A Task that waits: the instant that counts, its place in creation order to break ties, and its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Waiting {
    pub(crate) since: Timestamp,
    number: u64,
    pub(crate) sid: Sid<Task>,
}

impl TaskFigures {
    fn add(&mut self, task: &Task) {
        let Some(status) = LIVE_STATUSES.iter().position(|status| *status == task.status) else { return };
        self.by_status[status] += 1;
        *self.by_priority.entry(task.priority.0).or_default() += 1;
        if !task.status.is_waiting() {
            return;
        }
        let waiting = |since| Waiting { since, number: task.id.number(), sid: task.sid };
        keep_longest(&mut self.longest, waiting(task.date_created));
        if let Some(entered) = task.task_queue_entered {
            keep_longest(&mut self.longest_in_queue, waiting(entered));
        }
    }

    pub(crate) fn total(&self) -> i64 {
        self.by_status.iter().sum()
    }
}

fn keep_longest(longest: &mut Option<Waiting>, waiting: Waiting) {
    if longest.is_none_or(|known| waiting < known) {
        *longest = Some(waiting);
    }
}

/// Tasks that pass a test. Cost: O(Tasks).
pub(crate) fn tasks(state: &State, channel: Option<Id<TaskChannel>>, keep: impl Fn(&Task) -> bool) -> TaskFigures {
    let mut figures = TaskFigures::default();
    let of_channel = |task: &&Task| channel.is_none_or(|channel| task.task_channel == channel);
    state.tasks().filter(of_channel).filter(|task| keep(task)).for_each(|task| figures.add(task));
    figures
}

/// Tasks of every queue at once. Cost: O(Tasks).
pub(crate) fn tasks_by_queue(state: &State, channel: Option<Id<TaskChannel>>) -> BTreeMap<Id<TaskQueue>, TaskFigures> {
    let mut figures: BTreeMap<_, TaskFigures> = BTreeMap::new();
    for task in state.tasks().filter(|task| channel.is_none_or(|channel| task.task_channel == channel)) {
        if let Some(queue) = task.task_queue {
            figures.entry(queue).or_default().add(task);
        }
    }
    figures
}

/// Workers of a population, by their Activity.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct WorkerFigures {
    pub(crate) total: i64,
    /// In an available Activity, and not switched off on the channel asked about. Busy or idle does not matter.
    pub(crate) available: i64,
    /// Every Activity of the Workspace, by SID.
    pub(crate) by_activity: Vec<ActivityWorkers>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ActivityWorkers {
    pub(crate) sid: Sid<Activity>,
    pub(crate) friendly_name: std::sync::Arc<str>,
    pub(crate) workers: i64,
}

/// Whether a Worker could ever get a Task of the channel: it has capacity there (section 3.3 [decide]).
pub(crate) fn serves(worker: &Worker, channel: Option<Id<TaskChannel>>) -> bool {
    channel.is_none_or(|channel| worker.channel(channel).is_some_and(|channel| 0 < channel.capacity))
}

/// Workers that are given, those without capacity on the channel left out.
pub(crate) fn workers<'a>(
    state: &State,
    channel: Option<Id<TaskChannel>>,
    population: impl Iterator<Item = &'a Worker>,
) -> WorkerFigures {
    let mut counts: BTreeMap<Id<Activity>, i64> = BTreeMap::new();
    let mut available = 0;
    for worker in population.filter(|worker| serves(worker, channel)) {
        *counts.entry(worker.activity).or_default() += 1;
        let on_duty = state.activity(worker.activity).is_some_and(|activity| activity.available);
        let offered = channel.is_none_or(|channel| worker.channel(channel).is_some_and(|channel| channel.available));
        available += i64::from(on_duty && offered);
    }
    figures(state, &counts, available)
}

/// The Workers eligible for a queue; nobody for a queue that does not exist.
pub(crate) fn eligible_workers(
    engine: &Engine,
    channel: Option<Id<TaskChannel>>,
    queue: Option<Id<TaskQueue>>,
) -> WorkerFigures {
    let state = engine.state();
    let Some(queue) = queue else { return workers(state, channel, std::iter::empty()) };
    if channel.is_some() {
        let members = engine.members(queue).map(|id| state.worker(id).expect("members of a queue exist"));
        return workers(state, channel, members);
    }
    // Without a channel the engine has counted already.
    let counts: BTreeMap<Id<Activity>, i64> = engine
        .members_by_activity(queue)
        .map(|counts| counts.iter().map(|(activity, count)| (*activity, i64::from(*count))).collect())
        .unwrap_or_default();
    let on_duty = |id: &Id<Activity>| state.activity(*id).is_some_and(|activity| activity.available);
    let available = counts.iter().filter(|(activity, _)| on_duty(activity)).map(|(_, count)| count).sum();
    figures(state, &counts, available)
}

fn figures(state: &State, counts: &BTreeMap<Id<Activity>, i64>, available: i64) -> WorkerFigures {
    let mut by_activity: Vec<ActivityWorkers> = state
        .activities()
        .map(|activity| ActivityWorkers {
            sid: activity.sid,
            friendly_name: activity.friendly_name.clone(),
            workers: counts.get(&activity.id).copied().unwrap_or(0),
        })
        .collect();
    by_activity.sort_by_key(|row| row.sid);
    WorkerFigures { total: counts.values().sum(), available, by_activity }
}
