//! Who is eligible for a TaskQueue.

use pointsman_engine::{State, TaskQueue, Worker};
use pointsman_expression::Scope;

/// Whether the Worker matches the queue's `TargetWorkers`, whatever its Activity (reference: statistics, section 6).
pub(crate) fn is_member(state: &State, task_queue: &TaskQueue, worker: &Worker) -> bool {
    let expression = task_queue.expression.as_ref();
    expression.is_some_and(|expression| expression.eval(&Scope::worker(&state.worker_view(worker))))
}
