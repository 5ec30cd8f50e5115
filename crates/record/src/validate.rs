//! Texts that the engine parses when it folds events or restores a snapshot, where it takes them to be valid.

use std::collections::BTreeSet;

use pointsman_engine::configuration::Configuration;
use pointsman_engine::{Event, Id, Rules, Sid, Snapshot, TaskQueue, TaskQueueDefinition, derive_sid};
use pointsman_expression::Expression;

use crate::error::DecodeError;

/// Checks the texts of an event by themselves. Whether a Workflow's queues exist only its Workspace knows.
pub(crate) fn event(event: &Event) -> Result<(), DecodeError> {
    match event {
        Event::TaskQueueCreated { id: _, definition } | Event::TaskQueueUpdated { id: _, definition } => {
            target_workers(definition)
        }
        Event::WorkflowCreated { id, definition } | Event::WorkflowUpdated { id, definition } => {
            let any = |sid: &str| Sid::<TaskQueue>::parse(sid).map(|_| Id::new(1));
            let parsed = Configuration::parse(*id, &definition.configuration, &any);
            parsed.map(drop).map_err(|error| DecodeError::Configuration(Box::new(error)))
        }
        _ => Ok(()),
    }
}

/// Checks what [`pointsman_engine::State::from_snapshot`] takes to be valid.
pub(crate) fn snapshot(snapshot: &Snapshot) -> Result<(), DecodeError> {
    for task_queue in &snapshot.task_queues {
        target_workers(&task_queue.row.definition)?;
    }
    let known: BTreeSet<Sid<TaskQueue>> =
        snapshot.task_queues.iter().map(|queue| derive_sid(snapshot.seed, queue.row.id.number())).collect();
    let task_queue = |text: &str| Sid::parse(text).filter(|sid| known.contains(sid)).map(|_| Id::new(1));
    let workflows = snapshot.workflows.iter().map(|workflow| (workflow.row.id, &workflow.row.definition.configuration));
    let older = snapshot.tasks.iter().filter_map(|row| match &row.rules {
        Rules::Older(text) => row.task.workflow.map(|workflow| (workflow, text)),
        Rules::None | Rules::Present => None,
    });
    let configurations: BTreeSet<_> = workflows.chain(older).collect();
    for (workflow, text) in configurations {
        Configuration::parse(workflow, text, &task_queue)
            .map_err(|error| DecodeError::Configuration(Box::new(error)))?;
    }
    Ok(())
}

fn target_workers(definition: &TaskQueueDefinition) -> Result<(), DecodeError> {
    let text = definition.target_workers.as_deref();
    text.map_or(Ok(()), |text| Expression::parse(text).map(drop).map_err(DecodeError::Expression))
}
