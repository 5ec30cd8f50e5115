//! Turns the words of a step into a command of the engine.

use std::sync::Arc;

use pointsman_engine::{
    Command, CreateTask, CreateTaskQueue, CreateWorkflow, CreateWorkspace, Entity, Id, InitiateTransfer, Instruction,
    Ordering, Priority, RequestedStatus, Reservation, RoutingTargetSid, SetupOutcome, Sid, State, Task, Tasking,
    Template, Timestamp, Transfer, TransferMode, TransferTargetSid, UpdateTask, UpdateTaskQueue, UpdateWorker,
    UpdateWorkflow, UpdateWorkspace,
};
use pointsman_expression::Attributes;

use crate::language::{Step, milliseconds, pair, split_word, words};
use crate::names::Names;

/// What a step asks for.
#[derive(Debug)]
pub(crate) enum Request {
    /// Only time passes.
    Wait,
    CreateWorkspace(CreateWorkspace),
    Run {
        command: Command,
        /// The name of what it creates.
        creates: Option<String>,
        /// The version that a Task, reservation or Worker must have.
        if_match: Option<u64>,
    },
    /// The path leads nowhere.
    NotFound,
}

/// The parameters of a command: each must be asked for once.
struct Parameters<'a> {
    names: &'a Names,
    zero: Timestamp,
    given: Vec<(String, String)>,
}

type Parsed<T> = Result<T, String>;

impl Parameters<'_> {
    fn text(&mut self, key: &str) -> Parsed<Option<Arc<str>>> {
        let found = self.given.iter().position(|(name, _)| name == key);
        let value = found.map(|index| self.given.remove(index).1);
        value.map(|value| self.names.expand(&value).map(Arc::from)).transpose()
    }

    fn number(&mut self, key: &str) -> Parsed<Option<u32>> {
        self.text(key)?.map(|text| text.parse().map_err(|_| format!("{key} is not a number"))).transpose()
    }

    fn boolean(&mut self, key: &str) -> Parsed<Option<bool>> {
        self.text(key)?.map(|text| text.parse().map_err(|_| format!("{key} is not true or false"))).transpose()
    }

    fn sid<E: Entity>(&mut self, key: &str) -> Parsed<Option<Sid<E>>> {
        self.text(key)?.map(|name| sid(self.names, &name)).transpose()
    }

    /// Empty detaches.
    #[expect(clippy::option_option, reason = "absent, empty and given are three things")]
    fn optional_sid<E: Entity>(&mut self, key: &str) -> Parsed<Option<Option<Sid<E>>>> {
        let Some(name) = self.text(key)? else { return Ok(None) };
        if name.is_empty() { Ok(Some(None)) } else { sid(self.names, &name).map(Some).map(Some) }
    }

    fn ordering(&mut self, key: &str) -> Parsed<Option<Ordering>> {
        match self.text(key)?.as_deref() {
            None => Ok(None),
            Some("FIFO") => Ok(Some(Ordering::Fifo)),
            Some("LIFO") => Ok(Some(Ordering::Lifo)),
            Some(_) => Err(format!("{key} is neither FIFO nor LIFO")),
        }
    }

    fn attributes(&mut self) -> Parsed<Option<Attributes>> {
        let Some(text) = self.text("Attributes")? else { return Ok(None) };
        Attributes::parse(&text).map(Some).map_err(|error| format!("Attributes: {error:?}"))
    }

    fn instant(&mut self, key: &str) -> Parsed<Option<Timestamp>> {
        let Some(text) = self.text(key)? else { return Ok(None) };
        let after = milliseconds(&text).ok_or_else(|| format!("{key} is not in seconds"))?;
        Ok(Some(Timestamp(self.zero.0 + after)))
    }

    fn tasking(&mut self) -> Parsed<Option<Tasking>> {
        Ok(self.boolean("MultiTaskEnabled")?.map(|multi| if multi { Tasking::Multi } else { Tasking::Single }))
    }
}

fn sid<E: Entity>(names: &Names, name: &str) -> Parsed<Sid<E>> {
    let text = names.sid(name)?;
    Sid::parse(&text).ok_or_else(|| format!("{name} is not a {}", E::PREFIX))
}

/// Reads the command of a step.
pub(crate) fn parse(step: &Step, names: &Names, zero: Timestamp, state: Option<&State>) -> Parsed<Request> {
    let text = step.command.trim();
    if text.is_empty() || text == "tick" {
        return Ok(Request::Wait);
    }
    let (first, rest) = split_word(text);
    let engine_only = first == "engine:";
    let mut given = words(if engine_only { rest } else { text });
    let split = |word: &String| -> Option<(String, String)> {
        if word.starts_with('{') {
            return Some(("Attributes".to_string(), word.clone()));
        }
        pair(word).map(|(key, value)| (key.to_string(), value))
    };
    let pairs: Vec<_> = given.iter().filter_map(split).collect();
    given.retain(|word| split(word).is_none());
    let mut parameters = Parameters { names, zero, given: pairs };
    let given: Vec<&str> = given.iter().map(String::as_str).collect();
    let request = match (engine_only, state) {
        (true, Some(state)) => engine_command(&given, &mut parameters, state)?,
        (false, None) if given == ["create", "workspace"] => {
            Request::CreateWorkspace(create_workspace(&mut parameters)?)
        }
        (false, Some(state)) => {
            let rules = rules(step, names)?;
            command(&given, &mut parameters, rules, state)?
        }
        (_, None) => return Err("a Workspace comes first".to_string()),
    };
    match (&request, parameters.given.first()) {
        (Request::Run { .. } | Request::CreateWorkspace(_), Some((key, _))) => Err(format!("nothing reads {key}")),
        _ => Ok(request),
    }
}

fn create_workspace(parameters: &mut Parameters<'_>) -> Parsed<CreateWorkspace> {
    Ok(CreateWorkspace {
        number: 1,
        seed: [7; 16],
        sid: Sid::from_bytes([1; 16]),
        account: Sid::from_bytes([2; 16]),
        friendly_name: parameters.text("FriendlyName")?.unwrap_or_else(|| "Workspace".into()),
        event_callback_url: None,
        events_filter: None,
        tasking: parameters.tasking()?.unwrap_or_default(),
        prioritize_queue_order: parameters.ordering("PrioritizeQueueOrder")?.unwrap_or_default(),
        template: Template::None,
        source_ip: None,
    })
}

fn run(command: Command, if_match: Option<u64>) -> Request {
    Request::Run { command, creates: None, if_match }
}

fn command(given: &[&str], parameters: &mut Parameters<'_>, rules: Option<Arc<str>>, state: &State) -> Parsed<Request> {
    let if_match = parameters.number("If-Match")?.map(u64::from);
    match given {
        ["create", kind, name] => {
            let command = create(kind, name, parameters, rules)?;
            Ok(Request::Run { command, creates: Some((*name).to_string()), if_match })
        }
        ["update", "workspace"] => Ok(run(Command::UpdateWorkspace(update_workspace(parameters)?), if_match)),
        ["update", kind, name] => Ok(match update(kind, name, parameters, rules, state)? {
            Some(command) => run(command, if_match),
            None => Request::NotFound,
        }),
        ["delete", "workspace"] => Ok(run(Command::DeleteWorkspace, if_match)),
        ["delete", kind, name] => Ok(match delete(kind, name, parameters.names, state)? {
            Some(command) => run(command, if_match),
            None => Request::NotFound,
        }),
        [verb, name] if name.starts_with('R') && name.contains('(') => {
            let Some(id) = reservation(name, parameters.names, state)? else { return Ok(Request::NotFound) };
            let command = match *verb {
                "accept" => Command::AcceptReservation { id },
                "reject" => Command::RejectReservation { id, activity: parameters.sid("WorkerActivitySid")? },
                "wrap" => Command::WrapReservation { id },
                "complete" => Command::CompleteReservation { id },
                _ => return Err(format!("a reservation cannot {verb}")),
            };
            Ok(run(command, if_match))
        }
        [verb @ ("cancel" | "wrap" | "complete"), name, reason @ ..] => {
            let status = match *verb {
                "cancel" => RequestedStatus::Canceled,
                "wrap" => RequestedStatus::Wrapping,
                _ => RequestedStatus::Completed,
            };
            let Some(id) = task(name, parameters.names, state)? else { return Ok(Request::NotFound) };
            let reason = reason.first().map(|reason| crate::language::unquoted(reason).into());
            let update = UpdateTask { reason, status: Some(status), ..empty_update(id) };
            Ok(run(Command::UpdateTask(update), if_match))
        }
        _ => Err("unknown command".to_string()),
    }
}

fn create(kind: &str, name: &str, parameters: &mut Parameters<'_>, rules: Option<Arc<str>>) -> Parsed<Command> {
    let friendly_name = parameters.text("FriendlyName")?;
    let named = friendly_name.clone().unwrap_or_else(|| name.into());
    Ok(match kind {
        "activity" => Command::CreateActivity {
            friendly_name: named,
            available: parameters.boolean("Available")?.unwrap_or(false),
        },
        "task-channel" => Command::CreateTaskChannel {
            friendly_name: named,
            unique_name: parameters.text("UniqueName")?.unwrap_or_else(|| name.into()),
            optimized_routing: parameters.boolean("ChannelOptimizedRouting")?.unwrap_or(false),
        },
        "worker" => Command::CreateWorker {
            friendly_name: named,
            attributes: parameters.attributes()?.unwrap_or_default(),
            activity: parameters.sid("ActivitySid")?,
        },
        "queue" => Command::CreateTaskQueue(CreateTaskQueue {
            friendly_name: named,
            target_workers: parameters.text("TargetWorkers")?,
            max_reserved_workers: parameters.number("MaxReservedWorkers")?,
            task_order: parameters.ordering("TaskOrder")?,
            reservation_activity: parameters.sid("ReservationActivitySid")?,
            assignment_activity: parameters.sid("AssignmentActivitySid")?,
        }),
        "workflow" => Command::CreateWorkflow(CreateWorkflow {
            friendly_name: named,
            configuration: rules.ok_or("a Workflow needs rules")?,
            assignment_callback_url: parameters.text("AssignmentCallbackUrl")?,
            fallback_assignment_callback_url: parameters.text("FallbackAssignmentCallbackUrl")?,
            task_reservation_timeout_seconds: parameters.number("TaskReservationTimeout")?,
        }),
        "task" => Command::CreateTask(create_task(parameters)?),
        _ => return Err(format!("a {kind} cannot be created")),
    })
}

fn create_task(parameters: &mut Parameters<'_>) -> Parsed<CreateTask> {
    let routing_target = match parameters.text("RoutingTarget")? {
        None => None,
        Some(name) => {
            let text = parameters.names.sid(&name)?;
            let target = Sid::parse(&text).map(RoutingTargetSid::Worker);
            let target = target.or_else(|| Sid::parse(&text).map(RoutingTargetSid::TaskQueue));
            let target = target.or_else(|| Sid::parse(&text).map(RoutingTargetSid::Workflow));
            Some(target.ok_or("RoutingTarget is no Worker, queue or Workflow")?)
        }
    };
    let ignore_capacity = parameters.text("IgnoreCapacity")?;
    Ok(CreateTask {
        attributes: parameters.attributes()?.unwrap_or_default(),
        workflow: parameters.sid("WorkflowSid")?,
        timeout_seconds: parameters.number("Timeout")?,
        priority: parameters.number("Priority")?.map(Priority),
        task_channel: parameters.text("TaskChannel")?.map(|text| text.to_string()),
        virtual_start_time: parameters.instant("VirtualStartTime")?,
        routing_target,
        ignore_capacity: ignore_capacity.map(|value| matches!(&*value, "true" | "1" | "yes")),
        task_queue: parameters.sid("TaskQueueSid")?,
        enqueue_action: None,
    })
}

fn update_workspace(parameters: &mut Parameters<'_>) -> Parsed<UpdateWorkspace> {
    Ok(UpdateWorkspace {
        friendly_name: parameters.text("FriendlyName")?,
        tasking: parameters.tasking()?,
        may_become_single_tasking: true,
        prioritize_queue_order: parameters.ordering("PrioritizeQueueOrder")?,
        default_activity: parameters.sid("DefaultActivitySid")?,
        timeout_activity: parameters.sid("TimeoutActivitySid")?,
        ..UpdateWorkspace::default()
    })
}

fn update(
    kind: &str,
    name: &str,
    parameters: &mut Parameters<'_>,
    rules: Option<Arc<str>>,
    state: &State,
) -> Parsed<Option<Command>> {
    let names = parameters.names;
    let friendly_name = parameters.text("FriendlyName")?;
    Ok(match kind {
        "activity" => {
            // Immutable: a value that is given is ignored.
            parameters.boolean("Available")?;
            let found = state.find_activity(sid(names, name)?);
            found.map(|activity| Command::UpdateActivity { id: activity.id, friendly_name })
        }
        "task-channel" => {
            let optimized_routing = parameters.boolean("ChannelOptimizedRouting")?;
            let found = state.find_task_channel(sid(names, name)?);
            found.map(|channel| Command::UpdateTaskChannel { id: channel.id, friendly_name, optimized_routing })
        }
        "worker" => {
            let attributes = parameters.attributes()?;
            let activity = parameters.sid("ActivitySid")?;
            let reject_pending_reservations = parameters.boolean("RejectPendingReservations")?.unwrap_or(false);
            state.find_worker(sid(names, name)?).map(|worker| {
                let id = worker.id;
                Command::UpdateWorker(UpdateWorker {
                    id,
                    friendly_name,
                    attributes,
                    activity,
                    reject_pending_reservations,
                })
            })
        }
        "channel" => {
            let (worker, channel) = name.split_once('.').ok_or("expected Worker.channel")?;
            let (capacity, available) = (parameters.number("Capacity")?, parameters.boolean("Available")?);
            let worker = state.find_worker(sid(names, worker)?).map(|worker| worker.id);
            let task_channel = state.task_channel_by_name(channel).map(|channel| channel.id);
            worker.zip(task_channel).map(|(worker, task_channel)| Command::UpdateWorkerChannel {
                worker,
                task_channel,
                capacity,
                available,
            })
        }
        "queue" => {
            let target_workers = parameters.text("TargetWorkers")?;
            let max_reserved_workers = parameters.number("MaxReservedWorkers")?;
            let task_order = parameters.ordering("TaskOrder")?;
            let reservation_activity = parameters.optional_sid("ReservationActivitySid")?;
            let assignment_activity = parameters.optional_sid("AssignmentActivitySid")?;
            state.find_task_queue(sid(names, name)?).map(|queue| {
                Command::UpdateTaskQueue(UpdateTaskQueue {
                    id: queue.id,
                    friendly_name,
                    target_workers,
                    max_reserved_workers,
                    task_order,
                    reservation_activity,
                    assignment_activity,
                })
            })
        }
        "workflow" => {
            let assignment_callback_url = parameters.text("AssignmentCallbackUrl")?.map(Some);
            let task_reservation_timeout_seconds = parameters.number("TaskReservationTimeout")?;
            let re_evaluate_tasks = parameters.boolean("ReEvaluateTasks")?.unwrap_or(false);
            state.find_workflow(sid(names, name)?).map(|workflow| {
                Command::UpdateWorkflow(UpdateWorkflow {
                    id: workflow.id,
                    friendly_name,
                    configuration: rules,
                    assignment_callback_url,
                    fallback_assignment_callback_url: None,
                    task_reservation_timeout_seconds,
                    re_evaluate_tasks,
                })
            })
        }
        "task" => {
            let id = task(name, names, state)?;
            let attributes = parameters.attributes()?;
            let status = match parameters.text("AssignmentStatus")?.as_deref() {
                None => None,
                Some("canceled") => Some(RequestedStatus::Canceled),
                Some("wrapping") => Some(RequestedStatus::Wrapping),
                Some("completed") => Some(RequestedStatus::Completed),
                Some(other) => return Err(format!("no request sets {other}")),
            };
            let reason = parameters.text("Reason")?;
            let priority = parameters.number("Priority")?.map(Priority);
            let task_channel = parameters.text("TaskChannel")?.map(|text| text.to_string());
            let virtual_start_time = parameters.instant("VirtualStartTime")?;
            id.map(|id| {
                Command::UpdateTask(UpdateTask {
                    id,
                    attributes,
                    status,
                    reason,
                    priority,
                    task_channel,
                    virtual_start_time,
                })
            })
        }
        _ => return Err(format!("a {kind} cannot be updated")),
    })
}

fn empty_update(id: Id<Task>) -> UpdateTask {
    UpdateTask {
        id,
        attributes: None,
        status: None,
        reason: None,
        priority: None,
        task_channel: None,
        virtual_start_time: None,
    }
}

fn delete(kind: &str, name: &str, names: &Names, state: &State) -> Parsed<Option<Command>> {
    Ok(match kind {
        "activity" => state.find_activity(sid(names, name)?).map(|found| Command::DeleteActivity { id: found.id }),
        "task-channel" => {
            state.find_task_channel(sid(names, name)?).map(|found| Command::DeleteTaskChannel { id: found.id })
        }
        "worker" => state.find_worker(sid(names, name)?).map(|found| Command::DeleteWorker { id: found.id }),
        "queue" => state.find_task_queue(sid(names, name)?).map(|found| Command::DeleteTaskQueue { id: found.id }),
        "workflow" => state.find_workflow(sid(names, name)?).map(|found| Command::DeleteWorkflow { id: found.id }),
        "task" => task(name, names, state)?.map(|id| Command::DeleteTask { id }),
        _ => return Err(format!("a {kind} cannot be deleted")),
    })
}

fn task(name: &str, names: &Names, state: &State) -> Parsed<Option<Id<Task>>> {
    Ok(state.find_task(sid(names, name)?).map(|task| task.id))
}

fn reservation(name: &str, names: &Names, state: &State) -> Parsed<Option<Id<Reservation>>> {
    Ok(state.find_reservation(sid(names, name)?).map(|reservation| reservation.id))
}

/// What the v1 REST API has no way to say.
fn engine_command(given: &[&str], parameters: &mut Parameters<'_>, state: &State) -> Parsed<Request> {
    let [verb, name, rest @ ..] = given else { return Err("expected a verb and an object".to_string()) };
    let names = parameters.names;
    let command = match *verb {
        "cancel-transfer" => {
            let id = state.find_transfer(sid::<Transfer>(names, name)?).ok_or("the transfer is gone")?.id;
            Command::CancelTransfer { id }
        }
        "abandon" => {
            let id = task(name, names, state)?.ok_or("the Task is gone")?;
            Command::AbandonTask { id, reason: "hangup".into() }
        }
        "write-attributes" => {
            let id = task(name, names, state)?.ok_or("the Task is gone")?;
            Command::WriteTaskAttributes { id, attributes: parameters.attributes()?.ok_or("attributes are missing")? }
        }
        _ => {
            let Some(id) = reservation(name, names, state)? else { return Ok(Request::NotFound) };
            reservation_command(verb, id, rest, parameters, state)?
        }
    };
    Ok(run(command, None))
}

fn reservation_command(
    verb: &str,
    reservation: Id<Reservation>,
    rest: &[&str],
    parameters: &mut Parameters<'_>,
    state: &State,
) -> Parsed<Command> {
    Ok(match verb {
        "callback-failed" => Command::FailCallback { reservation },
        "callback-answered" => Command::AnswerCallback { reservation },
        "setup-begins" => {
            let instruction = match rest {
                ["call"] => Instruction::Call,
                ["dequeue"] => Instruction::Dequeue,
                ["redirect"] => Instruction::Redirect,
                ["conference"] => Instruction::Conference,
                _ => return Err("expected call, dequeue, redirect or conference".to_string()),
            };
            Command::BeginSetup { reservation, instruction }
        }
        "setup-succeeds" => Command::EndSetup { reservation, outcome: SetupOutcome::Accepted },
        "setup-released" => Command::EndSetup { reservation, outcome: SetupOutcome::Released },
        "setup-fails" => {
            let reason_code = rest.first().map(|code| code.parse()).transpose();
            let reason_code = reason_code.map_err(|_| "expected a code".to_string())?;
            Command::EndSetup { reservation, outcome: SetupOutcome::Failed { reason_code } }
        }
        "leg-ends" => Command::EndLeg { reservation, activity: parameters.sid("ActivitySid")? },
        "transfer" => {
            let target = parameters.text("To")?.ok_or("To is missing")?;
            let text = parameters.names.sid(&target)?;
            let target = Sid::parse(&text).map(TransferTargetSid::Worker);
            let target = target.or_else(|| Sid::parse(&text).map(TransferTargetSid::TaskQueue));
            let mode = match parameters.text("Mode")?.as_deref() {
                None | Some("WARM") => TransferMode::Warm,
                Some("COLD") => TransferMode::Cold,
                Some(_) => return Err("Mode is neither WARM nor COLD".to_string()),
            };
            let own = state.reservation(reservation).expect("found before").task;
            let named = match parameters.text("TaskSid")? {
                Some(name) => task(&name, parameters.names, state)?.ok_or("the Task is gone")?,
                None => own,
            };
            Command::InitiateTransfer(InitiateTransfer {
                task: named,
                reservation,
                target: target.ok_or("To is neither a Worker nor a queue")?,
                mode,
                attributes: parameters.attributes()?,
                priority: parameters.number("Priority")?.map(Priority),
            })
        }
        _ => return Err(format!("the engine has no `{verb}`")),
    })
}

/// The configuration of a Workflow from its lines. Names of steps are filled in, so that events show them.
fn rules(step: &Step, names: &Names) -> Parsed<Option<Arc<str>>> {
    if step.rules.is_empty() {
        return Ok(None);
    }
    let mut filters: Vec<(String, Vec<String>)> = Vec::new();
    let mut filter_name = String::new();
    let mut default = None;
    for line in &step.rules {
        let (keyword, rest) = split_word(&line.text);
        match keyword {
            "configuration" => return Ok(Some(names.expand(rest)?.into())),
            "filter" => {
                let (name, expression) = split_word(rest);
                name.clone_into(&mut filter_name);
                let expression = json(&names.expand(expression)?);
                let head = format!("\"filter_friendly_name\":{},\"expression\":{expression}", json(name));
                filters.push((head, Vec::new()));
            }
            "target" => {
                let (_, targets) = filters.last_mut().ok_or("a target without a filter")?;
                let target = target(rest, Some(&format!("{filter_name}#{}", targets.len())), names)?;
                targets.push(target);
            }
            _ => default = Some(target(rest, None, names)?),
        }
    }
    let filters: Vec<_> =
        filters.iter().map(|(head, targets)| format!("{{{head},\"targets\":[{}]}}", targets.join(","))).collect();
    let default = default.map(|target| format!(",\"default_filter\":{target}")).unwrap_or_default();
    Ok(Some(format!("{{\"task_routing\":{{\"filters\":[{}]{default}}}}}", filters.join(",")).into()))
}

fn target(text: &str, name: Option<&str>, names: &Names) -> Parsed<String> {
    let mut members: Vec<String> =
        name.map(|name| format!("\"target_friendly_name\":{}", json(name))).into_iter().collect();
    for word in words(text) {
        members.push(match pair(&word) {
            Some((key @ ("timeout" | "priority"), value)) => format!("\"{key}\":{value}"),
            Some((key, value)) => format!("\"{key}\":{}", json(&names.expand(&value)?)),
            None => format!("\"queue\":{}", json(&names.sid(&word)?)),
        });
    }
    Ok(format!("{{{}}}", members.join(",")))
}

fn json(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
}
