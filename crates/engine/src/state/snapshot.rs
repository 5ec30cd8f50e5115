//! The state as plain rows, to be written down and read back.

use alloc::collections::BTreeMap;
use alloc::sync::Arc;
use alloc::vec::Vec;

use super::{Activity, Reservation, State, Table, Task, TaskChannel, TaskQueue, Transfer, Worker, Workflow, Workspace};
use super::{Row, TaskQueueDefinition, WorkflowDefinition};
use crate::configuration::Configuration;
use crate::ids::{Id, Sid};
use crate::values::Timestamp;

/// Every fact of a [`State`]. What follows from another row (SIDs, parsed expressions and configurations) is left out
/// of the encoding and made again by [`State::from_snapshot`].
#[derive(Clone, Debug, PartialEq)]
pub struct Snapshot {
    pub now: Timestamp,
    pub workspace: Workspace,
    pub deleted: bool,
    pub seed: [u8; 16],
    pub created: u64,
    pub published: u64,
    pub activities: Vec<Kept<Activity>>,
    pub task_channels: Vec<Kept<TaskChannel>>,
    pub workers: Vec<Kept<Worker>>,
    pub task_queues: Vec<Kept<TaskQueueRow>>,
    pub workflows: Vec<Kept<WorkflowRow>>,
    /// With the text of the rules that it follows, if they are not its Workflow's present ones. The field
    /// `configuration` of the Task itself is `None` here.
    pub tasks: Vec<TaskRow>,
    pub reservations: Vec<Reservation>,
    pub transfers: Vec<Transfer>,
}

/// A row, and whether it was deleted and only stays because a Task refers to it.
#[derive(Clone, Debug, PartialEq)]
pub struct Kept<E> {
    pub row: E,
    pub retired: bool,
}

#[derive(Clone, Debug, PartialEq)]
pub struct TaskQueueRow {
    pub id: Id<TaskQueue>,
    pub definition: TaskQueueDefinition,
    pub date_created: Timestamp,
    pub date_updated: Timestamp,
}

#[derive(Clone, Debug, PartialEq)]
pub struct WorkflowRow {
    pub id: Id<Workflow>,
    pub definition: WorkflowDefinition,
    pub date_created: Timestamp,
    pub date_updated: Timestamp,
}

#[derive(Clone, Debug, PartialEq)]
pub struct TaskRow {
    pub task: Task,
    pub rules: Rules,
}

/// Which rules a Task follows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Rules {
    /// None: it is routed directly.
    None,
    /// The present ones of its Workflow.
    Present,
    /// An older version.
    Older(Arc<str>),
}

fn kept<E: Row + Clone>(table: &Table<E>) -> Vec<Kept<E>> {
    let live = table.iter().map(|row| Kept { row: row.clone(), retired: false });
    live.chain(table.retired().map(|row| Kept { row: row.clone(), retired: true })).collect()
}

fn restored<E: Row>(rows: impl IntoIterator<Item = Kept<E>>) -> Table<E> {
    let mut table = Table::default();
    for Kept { row, retired } in rows {
        if retired {
            table.insert_retired(row);
        } else {
            table.insert(row);
        }
    }
    table
}

fn map<A, B>(kept: Vec<Kept<A>>, change: impl Fn(A) -> B) -> Vec<Kept<B>> {
    kept.into_iter().map(|Kept { row, retired }| Kept { row: change(row), retired }).collect()
}

impl State {
    /// Takes down every fact. Cost: O(everything); texts are shared, not copied.
    pub fn snapshot(&self) -> Snapshot {
        Snapshot {
            now: self.now,
            workspace: self.workspace.clone(),
            deleted: self.deleted,
            seed: self.seed,
            created: self.created,
            published: self.published,
            activities: kept(&self.activities),
            task_channels: kept(&self.task_channels),
            workers: kept(&self.workers),
            task_queues: map(kept(&self.task_queues), |queue| TaskQueueRow {
                id: queue.id,
                definition: queue.definition,
                date_created: queue.date_created,
                date_updated: queue.date_updated,
            }),
            workflows: map(kept(&self.workflows), |workflow| WorkflowRow {
                id: workflow.id,
                definition: workflow.definition,
                date_created: workflow.date_created,
                date_updated: workflow.date_updated,
            }),
            tasks: self.tasks.iter().map(|task| self.task_row(task)).collect(),
            reservations: self.reservations.iter().cloned().collect(),
            transfers: self.transfers.iter().cloned().collect(),
        }
    }

    fn task_row(&self, task: &Task) -> TaskRow {
        let present =
            task.workflow.and_then(|workflow| self.workflow(workflow)).map(|workflow| &workflow.configuration);
        let rules = match (&task.configuration, present) {
            (None, _) => Rules::None,
            (Some(own), Some(present)) if Arc::ptr_eq(own, present) => Rules::Present,
            (Some(own), _) => Rules::Older(own.text.clone()),
        };
        let mut task = task.clone();
        task.configuration = None;
        TaskRow { task, rules }
    }

    /// Makes the state that a snapshot was taken of.
    pub fn from_snapshot(snapshot: Snapshot) -> Self {
        let Snapshot {
            now,
            workspace,
            deleted,
            seed,
            created,
            published,
            activities,
            task_channels,
            workers,
            task_queues,
            workflows,
            tasks,
            reservations,
            transfers,
        } = snapshot;
        let task_queues = restored(map(task_queues, |queue| TaskQueue {
            id: queue.id,
            sid: crate::ids::derive_sid(seed, queue.id.number()),
            expression: super::evolve::parse_target_workers(queue.definition.target_workers.as_deref()),
            definition: queue.definition,
            date_created: queue.date_created,
            date_updated: queue.date_updated,
        }));
        let parse = |workflow: Id<Workflow>, text: &str| {
            let find = |sid: Sid<TaskQueue>| {
                let retired = task_queues.retired().find(|queue| queue.sid == sid);
                task_queues.find(sid).or(retired).map(|queue: &TaskQueue| queue.id)
            };
            let configuration = Configuration::parse(workflow, text, &|sid| Sid::parse(sid).and_then(find));
            Arc::new(configuration.expect("only valid configurations are stored"))
        };
        let workflows = restored(map(workflows, |workflow| Workflow {
            id: workflow.id,
            sid: crate::ids::derive_sid(seed, workflow.id.number()),
            configuration: parse(workflow.id, &workflow.definition.configuration),
            definition: workflow.definition,
            date_created: workflow.date_created,
            date_updated: workflow.date_updated,
        }));
        let mut older: BTreeMap<(Id<Workflow>, Arc<str>), Arc<Configuration>> = BTreeMap::new();
        let mut task_table = Table::default();
        for TaskRow { mut task, rules } in tasks {
            task.configuration = match (rules, task.workflow) {
                (Rules::None, _) | (_, None) => None,
                (Rules::Present, Some(workflow)) => {
                    workflows.get(workflow).map(|workflow: &Workflow| workflow.configuration.clone())
                }
                (Rules::Older(text), Some(workflow)) => {
                    let key = (workflow, text.clone());
                    Some(older.entry(key).or_insert_with(|| parse(workflow, &text)).clone())
                }
            };
            task_table.insert(task);
        }
        let live = |row| Kept { row, retired: false };
        Self {
            now,
            workspace,
            deleted,
            seed,
            created,
            published,
            activities: restored(activities),
            task_channels: restored(task_channels),
            workers: restored(workers),
            tasks: task_table,
            reservations: restored(reservations.into_iter().map(live)),
            transfers: restored(transfers.into_iter().map(|row| Kept { row, retired: false })),
            task_queues,
            workflows,
        }
    }

    /// Notes public events that a recovered record published, so that later ones go on counting.
    pub fn count_published(&mut self, events: u64) {
        self.published += events;
    }
}
