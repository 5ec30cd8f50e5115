//! Workspaces. Reference: rest-contract, section 6.1.

use alloc::format;
use alloc::string::String;

use super::named_activity;
use crate::Engine;
use crate::command::{CreateWorkspace, Reply, Template, UpdateWorkspace};
use crate::event::Event;
use crate::ids::Id;
use crate::limits::{Limits, RESERVATION_TIMEOUT_SECONDS_DEFAULT};
use crate::public_event::EventKind;
use crate::rejection::{ActivityRole, Rejection};
use crate::state::{TaskQueueDefinition, WorkflowDefinition, WorkspaceSettings};
use crate::turn::{Turn, TurnRecord};
use crate::values::{Ordering, Tasking, Timestamp};

/// Names and availability of the Activities that a new Workspace has, in creation order.
const ACTIVITIES_MULTITASK: &[(&str, bool)] = &[("Offline", false), ("Unavailable", false), ("Available", true)];
const ACTIVITIES_SINGLE_TASK: &[(&str, bool)] =
    &[("Offline", false), ("Idle", true), ("Reserved", false), ("Busy", false)];

/// Unique and friendly names of the TaskChannels that a new Workspace has.
const TASK_CHANNELS: &[(&str, &str)] =
    &[("default", "Default"), ("voice", "Voice"), ("sms", "SMS"), ("chat", "Programmable Chat"), ("video", "Video")];

/// Makes a Workspace with everything that its template provides. Only `workspace.created` is published.
pub(crate) fn create(at: Timestamp, limits: Limits, create: CreateWorkspace) -> (Engine, TurnRecord) {
    // The Activities are the first objects made, so their ids are known: Offline is both default and timeout.
    let offline = Id::new(1);
    let first = Event::WorkspaceCreated {
        sid: create.sid,
        number: create.number,
        account: create.account,
        seed: create.seed,
        settings: WorkspaceSettings {
            friendly_name: create.friendly_name,
            event_callback_url: create.event_callback_url,
            events_filter: create.events_filter,
            tasking: create.tasking,
            prioritize_queue_order: create.prioritize_queue_order,
            default_activity: offline,
            timeout_activity: offline,
        },
    };
    let mut engine = Engine::create(at, &first, limits);
    let mut turn = Turn::new(&mut engine);
    turn.caused_by(create.source_ip);
    turn.record.events.extend([Event::TimeAdvanced { at }, first]);

    let activities = match create.tasking {
        Tasking::Multi => ACTIVITIES_MULTITASK,
        Tasking::Single => ACTIVITIES_SINGLE_TASK,
    };
    for (friendly_name, available) in activities {
        let id = turn.next_id();
        turn.emit(Event::ActivityCreated { id, friendly_name: (*friendly_name).into(), available: *available });
    }
    for (unique_name, friendly_name) in TASK_CHANNELS {
        let id = turn.next_id();
        turn.emit(Event::TaskChannelCreated {
            id,
            unique_name: (*unique_name).into(),
            friendly_name: (*friendly_name).into(),
            optimized_routing: false,
            built_in: true,
        });
    }
    if create.template == Template::Fifo {
        create_fifo_objects(&mut turn);
    }
    turn.publish_workspace(EventKind::WorkspaceCreated);
    let record = turn.finish();
    (engine, record)
}

/// One queue for everybody, and a Workflow that sends everything there.
fn create_fifo_objects(turn: &mut Turn<'_>) {
    let activity = |name: &str| turn.state().activity_named(name).map(|activity| activity.id);
    let (reservation_activity, assignment_activity) = (activity("Reserved"), activity("Busy"));
    let queue = turn.next_id();
    turn.emit(Event::TaskQueueCreated {
        id: queue,
        definition: TaskQueueDefinition {
            friendly_name: "Sample Queue".into(),
            target_workers: Some("1==1".into()),
            max_reserved_workers: 1,
            task_order: Ordering::Fifo,
            reservation_activity,
            assignment_activity,
        },
    });
    let sid = turn.state().sid(queue);
    let configuration: String = format!(
        r#"{{"task_routing":{{"filters":[{{"filter_friendly_name":"Default Fifo Filter","expression":"1==1","targets":[{{"queue":"{sid}"}}]}}],"default_filter":{{"queue":"{sid}"}}}}}}"#
    );
    let id = turn.next_id();
    turn.emit(Event::WorkflowCreated {
        id,
        definition: WorkflowDefinition {
            friendly_name: "Default Fifo Workflow".into(),
            configuration: configuration.into(),
            assignment_callback_url: None,
            fallback_assignment_callback_url: None,
            task_reservation_timeout_seconds: RESERVATION_TIMEOUT_SECONDS_DEFAULT,
        },
    });
}

pub(super) fn update(turn: &mut Turn<'_>, update: UpdateWorkspace) -> Result<Reply, Rejection> {
    let state = turn.state();
    let now = &state.workspace().settings;
    let becomes_single = update.tasking == Some(Tasking::Single) && now.tasking == Tasking::Multi;
    let default_activity = match update.default_activity {
        Some(sid) => named_activity(state, ActivityRole::Default, sid)?,
        None => now.default_activity,
    };
    let timeout_activity = match update.timeout_activity {
        Some(sid) => named_activity(state, ActivityRole::Timeout, sid)?,
        None => now.timeout_activity,
    };
    if becomes_single && !update.may_become_single_tasking {
        return Err(Rejection::CannotBecomeSingleTasking);
    }
    let settings = WorkspaceSettings {
        friendly_name: update.friendly_name.unwrap_or_else(|| now.friendly_name.clone()),
        event_callback_url: update.event_callback_url.unwrap_or_else(|| now.event_callback_url.clone()),
        events_filter: match update.events_filter {
            // Never set stays "none"; once set, clearing leaves an empty text.
            Some(filter) if filter.is_empty() && now.events_filter.is_none() => None,
            Some(filter) => Some(filter),
            None => now.events_filter.clone(),
        },
        tasking: update.tasking.unwrap_or(now.tasking),
        prioritize_queue_order: update.prioritize_queue_order.unwrap_or(now.prioritize_queue_order),
        default_activity,
        timeout_activity,
    };
    if settings != *now {
        turn.emit(Event::WorkspaceUpdated { settings });
        turn.publish_workspace(EventKind::WorkspaceUpdated);
    }
    Ok(Reply::Workspace)
}

pub(super) fn delete(turn: &mut Turn<'_>) -> Reply {
    turn.publish_workspace(EventKind::WorkspaceDeleted);
    turn.emit(Event::WorkspaceDeleted);
    Reply::Deleted
}
