//! Cumulative figures: a pure fold over the public events of a window. Reference: statistics, sections 5, 7 and 9.
//!
//! Instants and sums are milliseconds; seconds are cut once, at the end. An event counts when it lies in the window,
//! both ends included; how long something waited is never cut to the window, a stay in an Activity is.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use pointsman_engine::{Activity, DurationMs, EventKind, PublicEvent, Sid, TaskChannel, TaskStatus, Timestamp, Worker};

use crate::interval::Interval;

/// The kinds that count for Tasks.
pub(crate) const TASK_KINDS: &[EventKind] = &[
    EventKind::TaskCreated,
    EventKind::TaskQueueEntered,
    EventKind::WorkflowEntered,
    EventKind::TaskQueueMoved,
    EventKind::WorkflowTimeout,
    EventKind::TaskCanceled,
    EventKind::TaskCompleted,
    EventKind::TaskDeleted,
    EventKind::TaskSystemDeleted,
    EventKind::ReservationCreated,
    EventKind::ReservationAccepted,
    EventKind::ReservationRejected,
    EventKind::ReservationTimeout,
    EventKind::ReservationCanceled,
    EventKind::ReservationRescinded,
];

/// The kinds that count for Workers.
pub(crate) const WORKER_KINDS: &[EventKind] = &[
    EventKind::ReservationCreated,
    EventKind::ReservationAccepted,
    EventKind::ReservationRejected,
    EventKind::ReservationTimeout,
    EventKind::ReservationCanceled,
    EventKind::ReservationRescinded,
    EventKind::WorkerActivityUpdate,
    EventKind::WorkerDeleted,
];

/// Which TaskChannel is asked about. An event belongs to the channel that its Task had at that moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ChannelFilter {
    pub(crate) sid: Sid<TaskChannel>,
    /// It is `default`, where Tasks of a single-tasking Workspace belong without showing it.
    pub(crate) is_default: bool,
}

impl ChannelFilter {
    fn keeps(self, event: &PublicEvent) -> bool {
        let channel = event.task.as_ref().and_then(|task| task.task_channel.as_ref());
        channel.map_or(self.is_default, |(sid, _)| *sid == self.sid)
    }
}

/// How long something lasted, over several.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Durations {
    count: i64,
    total_ms: i64,
    min_ms: i64,
    max_ms: i64,
}

impl Durations {
    fn add(&mut self, duration: DurationMs) {
        let ms = duration.0;
        self.min_ms = if self.count == 0 { ms } else { self.min_ms.min(ms) };
        self.max_ms = self.max_ms.max(ms);
        self.count += 1;
        self.total_ms += ms;
    }

    pub(crate) const fn average(&self) -> i64 {
        if self.count == 0 { 0 } else { self.total_ms / self.count / 1000 }
    }

    pub(crate) const fn min(&self) -> i64 {
        self.min_ms / 1000
    }

    pub(crate) const fn max(&self) -> i64 {
        self.max_ms / 1000
    }

    pub(crate) const fn total(&self) -> i64 {
        self.total_ms / 1000
    }
}

/// Outcomes of reservations.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct ReservationCounts {
    pub(crate) created: i64,
    pub(crate) accepted: i64,
    pub(crate) rejected: i64,
    pub(crate) timed_out: i64,
    pub(crate) canceled: i64,
    pub(crate) rescinded: i64,
}

impl ReservationCounts {
    pub(crate) fn add(&mut self, kind: EventKind) {
        let counter = match kind {
            EventKind::ReservationCreated => &mut self.created,
            EventKind::ReservationAccepted => &mut self.accepted,
            EventKind::ReservationRejected => &mut self.rejected,
            EventKind::ReservationTimeout => &mut self.timed_out,
            EventKind::ReservationCanceled => &mut self.canceled,
            EventKind::ReservationRescinded => &mut self.rescinded,
            _ => return,
        };
        *counter += 1;
    }
}

/// One threshold of `split_by_wait_time`; a wait of exactly the threshold is below it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Split {
    pub(crate) seconds: u32,
    pub(crate) above: SplitSide,
    pub(crate) below: SplitSide,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct SplitSide {
    pub(crate) tasks_canceled: i64,
    pub(crate) reservations_accepted: i64,
}

impl Split {
    fn side(&mut self, wait: DurationMs) -> &mut SplitSide {
        if wait <= DurationMs::from_seconds(self.seconds) { &mut self.below } else { &mut self.above }
    }
}

/// What happened to the Tasks of a scope in a window.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct TaskSums {
    pub(crate) created: i64,
    /// Entries into the queue asked about, and into the Workflow asked about.
    pub(crate) entered_queue: i64,
    pub(crate) entered_workflow: i64,
    pub(crate) canceled: i64,
    pub(crate) completed: i64,
    pub(crate) deleted: i64,
    pub(crate) moved: i64,
    pub(crate) timed_out_in_workflow: i64,
    pub(crate) reservations: ReservationCounts,
    pub(crate) until_accepted: Durations,
    pub(crate) until_canceled: Durations,
    pub(crate) in_queue_until_accepted: Durations,
    /// `None` when no split was asked for.
    pub(crate) splits: Option<Vec<Split>>,
}

impl TaskSums {
    pub(crate) fn new(thresholds: Option<&[u32]>) -> Self {
        let split = |seconds: &u32| Split { seconds: *seconds, ..Split::default() };
        Self { splits: thresholds.map(|seconds| seconds.iter().map(split).collect()), ..Self::default() }
    }

    /// Adds one event of the scope.
    pub(crate) fn add(&mut self, event: &PublicEvent) {
        let Some(task) = &event.task else { return };
        let age = event.at.since(task.date_created);
        self.reservations.add(event.kind);
        match event.kind {
            EventKind::TaskCreated => self.created += 1,
            EventKind::TaskQueueEntered => self.entered_queue += 1,
            EventKind::WorkflowEntered => self.entered_workflow += 1,
            EventKind::TaskQueueMoved => self.moved += 1,
            EventKind::WorkflowTimeout => self.timed_out_in_workflow += 1,
            EventKind::TaskCompleted => self.completed += 1,
            EventKind::TaskDeleted => self.deleted += 1,
            // The purge of a finished Task is no deletion (section 5).
            EventKind::TaskSystemDeleted => self.deleted += i64::from(!is_final(task.status)),
            EventKind::TaskCanceled => {
                self.canceled += 1;
                self.until_canceled.add(age);
                for split in self.splits.iter_mut().flatten() {
                    split.side(age).tasks_canceled += 1;
                }
            }
            EventKind::ReservationAccepted => {
                self.until_accepted.add(age);
                if let Some(entered) = event.task_queue.as_ref().and_then(|queue| queue.entered) {
                    self.in_queue_until_accepted.add(event.at.since(entered));
                }
                // What a transfer waits is in no split (section 5.1 [doc]).
                if !task.accepted_before {
                    for split in self.splits.iter_mut().flatten() {
                        split.side(age).reservations_accepted += 1;
                    }
                }
            }
            _ => {}
        }
    }
}

fn is_final(status: TaskStatus) -> bool {
    matches!(status, TaskStatus::Completed | TaskStatus::Canceled)
}

/// Whether an event is of a window and a channel.
pub(crate) fn is_within(event: &PublicEvent, interval: Interval, channel: Option<ChannelFilter>) -> bool {
    interval.start <= event.at && event.at <= interval.end && channel.is_none_or(|channel| channel.keeps(event))
}

/// One Worker's uninterrupted time in one Activity.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Stay {
    pub(crate) worker: Sid<Worker>,
    pub(crate) activity: Sid<Activity>,
    pub(crate) friendly_name: Arc<str>,
    pub(crate) from: Timestamp,
    pub(crate) to: Timestamp,
}

/// The stay that ended with an event, if one did. Running stays come from the state.
pub(crate) fn ended_stay(event: &PublicEvent) -> Option<Stay> {
    let worker = event.worker.as_ref()?;
    match event.kind {
        EventKind::WorkerActivityUpdate => {
            let change = event.activity_change.as_ref()?;
            Some(Stay {
                worker: worker.sid,
                activity: change.previous,
                friendly_name: Arc::clone(&change.previous_name),
                from: change.since,
                to: event.at,
            })
        }
        EventKind::WorkerDeleted => Some(Stay {
            worker: worker.sid,
            activity: worker.activity,
            friendly_name: Arc::clone(&worker.activity_name),
            from: worker.date_status_changed,
            to: event.at,
        }),
        _ => None,
    }
}

/// Time spent in one Activity.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ActivityDuration {
    pub(crate) sid: Sid<Activity>,
    pub(crate) friendly_name: Arc<str>,
    pub(crate) durations: Durations,
}

/// Whose stays count: everybody's, those of deleted Workers included, or those of a few.
pub(crate) type Population = Option<BTreeSet<Sid<Worker>>>;

/// Time in each Activity, stays cut to the window, added up stay by stay.
#[derive(Clone, Debug)]
pub(crate) struct ActivityTimes {
    interval: Interval,
    population: Population,
    times: BTreeMap<Sid<Activity>, (Arc<str>, Durations)>,
}

impl ActivityTimes {
    pub(crate) fn new(interval: Interval, population: Population) -> Self {
        Self { interval, population, times: BTreeMap::new() }
    }

    pub(crate) fn add(&mut self, stay: Stay) {
        let asked = self.population.as_ref().is_none_or(|population| population.contains(&stay.worker));
        let (from, to) = (stay.from.max(self.interval.start), stay.to.min(self.interval.end));
        if asked && from < to {
            let (shown, durations) = self
                .times
                .entry(stay.activity)
                .or_insert_with(|| (Arc::clone(&stay.friendly_name), Durations::default()));
            *shown = stay.friendly_name;
            durations.add(to.since(from));
        }
    }

    /// Activities of the Workspace always, deleted ones when somebody was in them; by name.
    pub(crate) fn finish(mut self, activities: &[(Sid<Activity>, Arc<str>)]) -> Vec<ActivityDuration> {
        for (sid, name) in activities {
            let (shown, _) = self.times.entry(*sid).or_insert_with(|| (Arc::clone(name), Durations::default()));
            *shown = Arc::clone(name);
        }
        let times = self.times.into_iter();
        let mut rows: Vec<ActivityDuration> =
            times.map(|(sid, (friendly_name, durations))| ActivityDuration { sid, friendly_name, durations }).collect();
        rows.sort_by(|a, b| a.friendly_name.cmp(&b.friendly_name).then(a.sid.cmp(&b.sid)));
        rows
    }
}
