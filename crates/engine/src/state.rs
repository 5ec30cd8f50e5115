//! The state of one Workspace: facts only, changed by events only.
//!
//! What can be computed from these facts (who may serve whom, what is due when) is not here but in the
//! [routing index](crate::routing), so that replay folds facts and nothing else.

mod activity;
mod by_sid;
mod evolve;
mod invariants;
mod reservation;
mod retired;
mod snapshot;
mod table;
mod task;
mod task_channel;
mod task_queue;
mod transfer;
mod view;
mod worker;
mod workflow;
mod workspace;

use alloc::sync::Arc;

pub(crate) use self::table::{Keep, Row, Table, fold_name};
pub use self::{
    activity::Activity,
    reservation::{Reservation, VoiceCall},
    snapshot::{Kept, Rules, Snapshot, TaskQueueRow, TaskRow, WorkflowRow},
    task::{HoldOff, Place, Position, RestartCause, RoutingTarget, Task},
    task_channel::TaskChannel,
    task_queue::{TaskQueue, TaskQueueDefinition},
    transfer::{Transfer, TransferTarget},
    view::WorkerScope,
    worker::{Worker, WorkerChannel},
    workflow::{Workflow, WorkflowDefinition},
    workspace::{Workspace, WorkspaceSettings},
};
use crate::event::Event;
use crate::ids::{Entity, Id, Sid, derive_sid};
use crate::values::{Tasking, Timestamp};

/// Everything that is true in one Workspace.
#[derive(Clone, Debug)]
pub struct State {
    pub(crate) now: Timestamp,
    pub(crate) workspace: Workspace,
    pub(crate) deleted: bool,
    pub(crate) seed: [u8; 16],
    /// The largest creation number given so far.
    pub(crate) created: u64,
    /// Public events so far.
    pub(crate) published: u64,
    pub(crate) activities: Table<Activity>,
    pub(crate) task_channels: Table<TaskChannel>,
    pub(crate) workers: Table<Worker>,
    pub(crate) task_queues: Table<TaskQueue>,
    pub(crate) workflows: Table<Workflow>,
    pub(crate) tasks: Table<Task>,
    pub(crate) reservations: Table<Reservation>,
    pub(crate) transfers: Table<Transfer>,
}

/// The accessors of one table, all alike.
macro_rules! accessors {
    ($($table:ident: $entity:ident, $get:ident, $find:ident, $after:ident, $before:ident;)*) => {
        $(
            /// By id; also one that was deleted while a Task refers to it.
            pub fn $get(&self, id: Id<$entity>) -> Option<&$entity> {
                self.$table.get(id)
            }

            /// By SID; live ones only.
            pub fn $find(&self, sid: Sid<$entity>) -> Option<&$entity> {
                self.$table.find(sid)
            }

            /// Live ones in creation order.
            pub fn $table(&self) -> impl DoubleEndedIterator<Item = &$entity> {
                self.$table.iter()
            }

            /// Live ones created after `id`, in creation order.
            pub fn $after(&self, id: Id<$entity>) -> impl DoubleEndedIterator<Item = &$entity> {
                self.$table.after(id)
            }

            /// Live ones created before `id`, in creation order.
            pub fn $before(&self, id: Id<$entity>) -> impl DoubleEndedIterator<Item = &$entity> {
                self.$table.before(id)
            }
        )*
    };
}

impl State {
    accessors! {
        activities: Activity, activity, find_activity, activities_after, activities_before;
        task_channels: TaskChannel, task_channel, find_task_channel, task_channels_after, task_channels_before;
        workers: Worker, worker, find_worker, workers_after, workers_before;
        task_queues: TaskQueue, task_queue, find_task_queue, task_queues_after, task_queues_before;
        workflows: Workflow, workflow, find_workflow, workflows_after, workflows_before;
        tasks: Task, task, find_task, tasks_after, tasks_before;
        reservations: Reservation, reservation, find_reservation, reservations_after, reservations_before;
        transfers: Transfer, transfer, find_transfer, transfers_after, transfers_before;
    }

    pub const fn now(&self) -> Timestamp {
        self.now
    }

    pub const fn workspace(&self) -> &Workspace {
        &self.workspace
    }

    /// The Workspace was deleted; nothing runs in it any more.
    pub const fn is_deleted(&self) -> bool {
        self.deleted
    }

    pub fn is_multitask(&self) -> bool {
        self.workspace.settings.tasking == Tasking::Multi
    }

    /// Public events so far; the id of the last one.
    pub const fn published(&self) -> u64 {
        self.published
    }

    /// The SID of a public event of this Workspace by its number.
    pub fn public_event_sid(&self, id: Id<crate::PublicEvent>) -> Sid<crate::PublicEvent> {
        self.sid(id)
    }

    pub fn workers_count(&self) -> usize {
        self.workers.len()
    }

    pub fn tasks_count(&self) -> usize {
        self.tasks.len()
    }

    /// By name, without regard to case.
    pub fn worker_named(&self, friendly_name: &str) -> Option<&Worker> {
        self.workers.named(friendly_name)
    }

    pub fn task_queue_named(&self, friendly_name: &str) -> Option<&TaskQueue> {
        self.task_queues.named(friendly_name)
    }

    pub fn workflow_named(&self, friendly_name: &str) -> Option<&Workflow> {
        self.workflows.named(friendly_name)
    }

    pub fn activity_named(&self, friendly_name: &str) -> Option<&Activity> {
        self.activities.named(friendly_name)
    }

    /// By unique name, with regard to case.
    pub fn task_channel_by_name(&self, unique_name: &str) -> Option<&TaskChannel> {
        self.task_channels.iter().find(|channel| &*channel.unique_name == unique_name)
    }

    /// The SID of the object with this creation number.
    pub(crate) fn sid<E: Entity>(&self, id: Id<E>) -> Sid<E> {
        derive_sid(self.seed, id.number())
    }

    // Lookups along references that the state keeps whole; a miss is a broken invariant.

    pub(crate) fn the_worker(&self, id: Id<Worker>) -> &Worker {
        self.worker(id).expect("referred Workers exist")
    }

    pub(crate) fn the_task(&self, id: Id<Task>) -> &Task {
        self.task(id).expect("referred Tasks exist")
    }

    pub(crate) fn the_reservation(&self, id: Id<Reservation>) -> &Reservation {
        self.reservation(id).expect("referred reservations exist")
    }

    pub(crate) fn the_task_queue(&self, id: Id<TaskQueue>) -> &TaskQueue {
        self.task_queue(id).expect("referred queues exist")
    }

    pub(crate) fn the_activity(&self, id: Id<Activity>) -> &Activity {
        self.activity(id).expect("referred Activities exist")
    }

    pub(crate) fn the_task_channel(&self, id: Id<TaskChannel>) -> &TaskChannel {
        self.task_channel(id).expect("referred TaskChannels exist")
    }

    pub(crate) fn the_transfer(&self, id: Id<Transfer>) -> &Transfer {
        self.transfer(id).expect("referred transfers exist")
    }

    pub(crate) fn is_available(&self, worker: &Worker) -> bool {
        self.the_activity(worker.activity).available
    }

    /// The transfer of the Task that is still under way.
    pub fn open_transfer(&self, task: &Task) -> Option<&Transfer> {
        let transfer = self.the_transfer(*task.transfers.last()?);
        (transfer.status == crate::values::TransferStatus::Initiated).then_some(transfer)
    }

    /// The active reservations of a Task, in creation order.
    pub fn active_reservations<'a>(&'a self, task: &'a Task) -> impl Iterator<Item = &'a Reservation> + 'a {
        task.active.iter().map(|id| self.the_reservation(*id))
    }

    /// What expressions see of a Worker.
    pub fn worker_view<'a>(&'a self, worker: &'a Worker) -> WorkerScope<'a> {
        WorkerScope::new(self, worker)
    }

    /// Starts the state of a new Workspace from its first event.
    pub fn create(at: Timestamp, event: &Event) -> Option<Self> {
        let Event::WorkspaceCreated { sid, number, account, seed, settings } = event else { return None };
        Some(Self {
            now: at,
            workspace: Workspace {
                sid: *sid,
                number: *number,
                account: *account,
                operating_unit: derive_sid(*seed, 0),
                settings: settings.clone(),
                date_created: at,
                date_updated: at,
            },
            deleted: false,
            seed: *seed,
            created: 0,
            published: 0,
            activities: Table::default(),
            task_channels: Table::default(),
            workers: Table::default(),
            task_queues: Table::default(),
            workflows: Table::default(),
            tasks: Table::default(),
            reservations: Table::default(),
            transfers: Table::default(),
        })
    }
}

impl Row for Activity {
    fn id(&self) -> Id<Self> {
        self.id
    }
    fn sid(&self) -> Sid<Self> {
        self.sid
    }
    fn unique_name(&self) -> Option<&str> {
        Some(&self.friendly_name)
    }
}
impl Row for TaskChannel {
    fn id(&self) -> Id<Self> {
        self.id
    }
    fn sid(&self) -> Sid<Self> {
        self.sid
    }
}
impl Row for Worker {
    fn id(&self) -> Id<Self> {
        self.id
    }
    fn sid(&self) -> Sid<Self> {
        self.sid
    }
    fn unique_name(&self) -> Option<&str> {
        Some(&self.friendly_name)
    }
}
impl Row for TaskQueue {
    fn id(&self) -> Id<Self> {
        self.id
    }
    fn sid(&self) -> Sid<Self> {
        self.sid
    }
    fn unique_name(&self) -> Option<&str> {
        Some(&self.definition.friendly_name)
    }
}
impl Row for Workflow {
    fn id(&self) -> Id<Self> {
        self.id
    }
    fn sid(&self) -> Sid<Self> {
        self.sid
    }
    fn unique_name(&self) -> Option<&str> {
        Some(&self.definition.friendly_name)
    }
}
impl Row for Task {
    fn id(&self) -> Id<Self> {
        self.id
    }
    fn sid(&self) -> Sid<Self> {
        self.sid
    }
}
impl Row for Reservation {
    fn id(&self) -> Id<Self> {
        self.id
    }
    fn sid(&self) -> Sid<Self> {
        self.sid
    }
}
impl Row for Transfer {
    fn id(&self) -> Id<Self> {
        self.id
    }
    fn sid(&self) -> Sid<Self> {
        self.sid
    }
}

/// An empty text is kept as "none".
pub(crate) fn non_empty(text: &str) -> Option<Arc<str>> {
    (!text.trim().is_empty()).then(|| text.into())
}
