//! The worked example of the reference (statistics, section 12), driven through the engine.

use std::collections::BTreeMap;

use pointsman_api::dates;
use pointsman_engine::{Command, InitiateTransfer, Sid, TransferMode, TransferTargetSid};
use serde_json::Value;

use crate::world::{Extras, World, workspace};

/// The world at 10:00:00, and the names of everything in it.
struct Example {
    world: World,
    sids: BTreeMap<&'static str, String>,
}

fn path(rest: &str) -> String {
    format!("/v1/Workspaces/{}{rest}", workspace())
}

impl Example {
    fn at(&mut self, time: &str) {
        self.world.advance_to(dates::parse(&format!("2024-03-04T{time}Z")).unwrap());
    }

    fn expand(&self, text: &str) -> String {
        self.sids.iter().fold(text.to_string(), |text, (name, sid)| text.replace(&format!("{{{name}}}"), sid))
    }

    fn post(&mut self, target: &str, form: &str) -> Value {
        let (target, form) = (path(&self.expand(target)), self.expand(form));
        let answer = self.world.send("POST", &target, form.as_bytes(), &Extras::default());
        assert!(answer.status < 300, "{target} {form}: {}", answer.body);
        serde_json::from_str(&answer.body).unwrap()
    }

    fn create(&mut self, name: &'static str, target: &str, form: &str) {
        let sid = self.post(target, form)["sid"].as_str().unwrap().to_string();
        self.sids.insert(name, sid);
    }

    fn get(&mut self, target: &str) -> (u16, Value) {
        let target = path(&self.expand(target));
        let answer = self.world.send("GET", &target, b"", &Extras::default());
        (answer.status, serde_json::from_str(&answer.body).unwrap())
    }

    /// Answers the pending reservation of a Worker for a Task.
    fn answer(&mut self, worker: &str, task: &str, form: &str) {
        let reservation = self.reservation(worker, task, "pending");
        self.post(&format!("/Tasks/{task}/Reservations/{reservation}"), form);
    }

    fn reservation(&mut self, worker: &str, task: &str, status: &str) -> String {
        let list = format!("/Tasks/{task}/Reservations?WorkerSid={worker}&ReservationStatus={status}");
        let (_, reservations) = self.get(&list);
        reservations["reservations"][0]["sid"].as_str().unwrap_or_else(|| panic!("{list}: {reservations}")).to_string()
    }

    fn task(&mut self, name: &'static str, form: &str) {
        self.create(name, "/Tasks", form);
    }

    fn new() -> Self {
        let start = dates::parse("2024-03-04T08:00:00Z").unwrap();
        let mut example = Self { world: World::new(start, ""), sids: BTreeMap::new() };
        for (name, shown) in [("offline", "Offline"), ("available", "Available"), ("unavailable", "Unavailable")] {
            let (_, list) = example.get(&format!("/Activities?FriendlyName={shown}"));
            example.sids.insert(name, list["activities"][0]["sid"].as_str().unwrap().to_string());
        }
        let unavailable = path(&example.expand("/Activities/{unavailable}"));
        assert_eq!(example.world.send("DELETE", &unavailable, b"", &Extras::default()).status, 204);
        example.create("break", "/Activities", "FriendlyName=Break");
        example.create("sales", "/TaskQueues", "FriendlyName=Sales&TargetWorkers=skills HAS 'sales'");
        example.create(
            "support",
            "/TaskQueues",
            "FriendlyName=Support&TargetWorkers=skills HAS 'support'&MaxReservedWorkers=2",
        );
        example.create(
            "sales_flow",
            "/Workflows",
            r#"FriendlyName=SalesFlow&TaskReservationTimeout=30&Configuration={"task_routing":{"filters":[{"expression":"1==1","targets":[{"queue":"{sales}","timeout":120},{"queue":"{support}","timeout":180}]}]}}"#,
        );
        example.create(
            "support_flow",
            "/Workflows",
            r#"FriendlyName=SupportFlow&Configuration={"task_routing":{"filters":[{"expression":"1==1","targets":[{"queue":"{support}"}]}]}}"#,
        );
        for (name, form, voice) in [
            ("ann", r#"FriendlyName=Ann&Attributes={"skills":["sales"]}"#, 1),
            ("bob", r#"FriendlyName=Bob&Attributes={"skills":["sales","support"]}"#, 1),
            ("cleo", r#"FriendlyName=Cleo&Attributes={"skills":["support"]}"#, 0),
        ] {
            example.create(name, "/Workers", form);
            example.post(&format!("/Workers/{{{name}}}/Channels/voice"), &format!("Capacity={voice}"));
            example.post(&format!("/Workers/{{{name}}}/Channels/chat"), "Capacity=2");
        }
        example.play();
        example
    }

    /// The script, row by row. Timers fire by themselves.
    fn play(&mut self) {
        const VOICE: &str = "TaskChannel=voice&WorkflowSid={sales_flow}&Priority=5";
        const CHAT: &str = "TaskChannel=chat&WorkflowSid={support_flow}";
        self.at("08:50:00");
        self.post("/Workers/{ann}", "ActivitySid={available}");
        self.at("08:58:00");
        self.task("t1", CHAT);
        self.at("09:00:00");
        self.post("/Workers/{bob}", "ActivitySid={available}");
        self.at("09:00:10");
        self.answer("{bob}", "{t1}", "ReservationStatus=accepted");
        self.at("09:05:00");
        self.task("t2", VOICE);
        self.at("09:05:20");
        self.answer("{ann}", "{t2}", "ReservationStatus=rejected&WorkerActivitySid={break}");
        self.at("09:08:00");
        self.post("/Workers/{cleo}", "ActivitySid={available}");
        self.at("09:08:20");
        self.post("/Workers/{bob}", "ActivitySid={available}");
        self.at("09:08:30");
        self.task("t3", CHAT);
        self.at("09:08:45");
        self.answer("{bob}", "{t2}", "ReservationStatus=accepted");
        self.at("09:08:50");
        self.answer("{cleo}", "{t3}", "ReservationStatus=accepted");
        self.at("09:15:00");
        self.post("/Tasks/{t1}", "AssignmentStatus=wrapping");
        self.at("09:15:30");
        self.post("/Tasks/{t1}", "AssignmentStatus=completed");
        self.at("09:20:00");
        self.task("t4", VOICE);
        self.at("09:20:15");
        self.post("/Tasks/{t4}", "AssignmentStatus=canceled");
        self.at("09:25:00");
        self.task("t5", "TaskChannel=voice&WorkflowSid={sales_flow}&Priority=10");
        self.at("09:28:00");
        self.post("/Tasks/{t2}", "AssignmentStatus=completed");
        self.at("09:28:12");
        self.post("/Tasks/{t5}", "AssignmentStatus=canceled");
        self.at("09:29:00");
        self.post("/Workers/{bob}", "ActivitySid={break}");
        self.at("09:30:00");
        self.task("t6", VOICE);
        self.at("09:39:00");
        self.post("/Workers/{ann}", "ActivitySid={available}");
        self.at("09:40:00");
        self.transfer_t3();
        self.at("09:40:25");
        self.answer("{ann}", "{t3}", "ReservationStatus=accepted");
        let first = self.reservation("{cleo}", "{t3}", "accepted");
        self.post(&format!("/Tasks/{{t3}}/Reservations/{first}"), "ReservationStatus=completed");
        self.at("09:45:00");
        self.post("/Tasks/{t3}", "AssignmentStatus=wrapping");
        self.at("09:46:00");
        self.post("/Tasks/{t3}", "AssignmentStatus=completed");
        self.at("09:50:00");
        self.task("t7", CHAT);
        self.at("09:50:05");
        self.answer("{cleo}", "{t7}", "ReservationStatus=accepted");
        self.at("09:52:00");
        self.task("t8", "TaskChannel=default&WorkflowSid={sales_flow}&Priority=1");
        self.at("09:52:08");
        let t8 = path(&self.expand("/Tasks/{t8}"));
        assert_eq!(self.world.send("DELETE", &t8, b"", &Extras::default()).status, 204);
        self.at("09:55:00");
        self.post("/Workers/{ann}", "ActivitySid={break}");
        self.at("09:56:00");
        self.task("t9", VOICE);
        self.at("09:57:00");
        self.post("/Tasks/{t7}", "AssignmentStatus=wrapping");
        self.at("09:57:30");
        self.task("t10", "TaskChannel=voice&WorkflowSid={support_flow}");
        self.at("09:58:10");
        self.task("t11", CHAT);
        self.at("09:58:20");
        self.answer("{cleo}", "{t11}", "ReservationStatus=accepted");
        self.at("09:59:40");
        self.task("t12", "TaskChannel=default&WorkflowSid={support_flow}");
        self.at("09:59:50");
        self.task("t13", "TaskChannel=voice&WorkflowSid={sales_flow}&Priority=10");
        self.at("10:00:00");
    }

    /// A warm transfer to the queue Sales; transfers have no REST operation.
    fn transfer_t3(&mut self) {
        let state = self.world.engine.state();
        let task = state.find_task(Sid::parse(&self.sids["t3"]).unwrap()).unwrap();
        let accepted = state.active_reservations(task).next().unwrap();
        let target = TransferTargetSid::TaskQueue(Sid::parse(&self.sids["sales"]).unwrap());
        let command = Command::InitiateTransfer(InitiateTransfer {
            task: task.id,
            reservation: accepted.id,
            target,
            mode: TransferMode::Warm,
            attributes: None,
            priority: None,
        });
        self.world.command(command);
    }
}

/// `-` is a member that is not there.
fn shown(value: &Value) -> String {
    match value {
        Value::Null => "-".to_string(),
        Value::Object(wait) if wait.contains_key("avg") => {
            ["avg", "min", "max", "total"].map(|name| wait[name].to_string()).join("/")
        }
        other => other.to_string(),
    }
}

const TASKS: &str = "{scope}CumulativeStatistics?{query}";
const VOICE: &str = "Minutes=60&TaskChannel=voice";
const CHAT: &str = "Minutes=60&TaskChannel=chat";
const DEFAULT: &str = "Minutes=60&TaskChannel=default";
const INTERVAL: &str = "StartDate=2024-03-04T09:07:00Z&EndDate=2024-03-04T09:28:00Z";

fn scope(name: &str) -> &'static str {
    match name {
        "Workspace" => "/",
        "Sales" => "/TaskQueues/{sales}/",
        "Support" => "/TaskQueues/{support}/",
        "SalesFlow" => "/Workflows/{sales_flow}/",
        "SupportFlow" => "/Workflows/{support_flow}/",
        other => unreachable!("{other}"),
    }
}

fn cumulative(example: &mut Example, name: &str, query: &str) -> Value {
    let target = TASKS.replace("{scope}", scope(name)).replace("{query}", query);
    let (status, answer) = example.get(&target);
    assert_eq!(status, 200, "{target}: {answer}");
    answer
}

#[test]
fn cumulative_counts_are_those_of_the_worked_example() {
    const MEMBERS: [&str; 13] = [
        "tasks_created",
        "tasks_entered",
        "tasks_canceled",
        "tasks_completed",
        "tasks_deleted",
        "tasks_moved",
        "tasks_timed_out_in_workflow",
        "reservations_created",
        "reservations_accepted",
        "reservations_rejected",
        "reservations_timed_out",
        "reservations_canceled",
        "reservations_rescinded",
    ];
    let mut example = Example::new();
    for (name, query, expected) in [
        ("Workspace", "Minutes=60", "12 - 3 3 1 5 1 12 6 1 1 2 1"),
        ("Sales", "Minutes=60", "- 8 1 1 1 4 - 4 1 1 1 1 0"),
        ("Support", "Minutes=60", "- 9 2 2 0 1 - 8 5 0 0 1 1"),
        ("SalesFlow", "Minutes=60", "- 7 3 1 1 4 1 5 1 1 1 2 0"),
        ("SupportFlow", "Minutes=60", "- 5 0 2 0 1 0 7 5 0 0 0 1"),
        ("Workspace", VOICE, "7 - 3 1 0 4 1 4 1 1 1 1 0"),
        ("Workspace", CHAT, "3 - 0 2 0 1 0 6 5 0 0 0 1"),
        ("Workspace", DEFAULT, "2 - 0 0 1 0 0 2 0 0 0 1 0"),
        ("Sales", VOICE, "- 6 1 0 0 4 - 2 0 1 1 0 0"),
        ("Support", VOICE, "- 5 2 1 0 0 - 2 1 0 0 1 0"),
        ("Workspace", "", "7 - 0 1 1 1 0 4 2 0 0 1 0"),
        ("Workspace", INTERVAL, "3 - 1 2 0 2 0 4 2 0 0 0 1"),
        ("Support", INTERVAL, "- 3 0 2 0 0 - 4 2 0 0 0 1"),
    ] {
        let answer = cumulative(&mut example, name, query);
        assert_eq!(MEMBERS.map(|member| shown(&answer[member])).join(" "), expected, "{name} {query}");
    }
}

#[test]
fn waits_are_those_of_the_worked_example() {
    const MEMBERS: [&str; 4] = [
        "avg_task_acceptance_time",
        "wait_duration_until_accepted",
        "wait_duration_in_queue_until_accepted",
        "wait_duration_until_canceled",
    ];
    let mut example = Example::new();
    for (name, query, expected) in [
        ("Workspace", "Minutes=60", "384 384/5/1915/2305 - 169/15/300/507"),
        ("Sales", "Minutes=60", "1915 1915/1915/1915/1915 25/25/25/25 15/15/15/15"),
        ("Support", "Minutes=60", "78 78/5/225/390 54/5/130/270 246/192/300/492"),
        ("SalesFlow", "Minutes=60", "225 225/225/225/225 - 169/15/300/507"),
        ("SupportFlow", "Minutes=60", "416 416/5/1915/2080 - 0/0/0/0"),
        ("Workspace", VOICE, "225 225/225/225/225 - 169/15/300/507"),
        ("Workspace", CHAT, "416 416/5/1915/2080 - 0/0/0/0"),
        ("Workspace", DEFAULT, "0 0/0/0/0 - 0/0/0/0"),
        ("Sales", VOICE, "0 0/0/0/0 0/0/0/0 15/15/15/15"),
        ("Support", VOICE, "225 225/225/225/225 105/105/105/105 246/192/300/492"),
        ("Workspace", "", "7 7/5/10/15 - 0/0/0/0"),
        ("Workspace", INTERVAL, "122 122/20/225/245 - 15/15/15/15"),
        ("Support", INTERVAL, "122 122/20/225/245 62/20/105/125 0/0/0/0"),
    ] {
        let answer = cumulative(&mut example, name, query);
        assert_eq!(MEMBERS.map(|member| shown(&answer[member])).join(" "), expected, "{name} {query}");
    }
}

#[test]
fn splits_are_those_of_the_worked_example() {
    let mut example = Example::new();
    for (name, query, expected) in [
        ("Workspace", "Minutes=60", ["2+3 / 0+3", "3+2 / 1+2", "4+1 / 2+1"]),
        ("Sales", "Minutes=60", ["0+0 / 0+1", "0+0 / 1+0", "0+0 / 1+0"]),
        ("Support", "Minutes=60", ["2+3 / 0+2", "3+2 / 0+2", "4+1 / 1+1"]),
        ("SalesFlow", "Minutes=60", ["0+1 / 0+3", "0+1 / 1+2", "0+1 / 2+1"]),
        ("SupportFlow", "Minutes=60", ["2+2 / 0+0", "3+1 / 0+0", "4+0 / 0+0"]),
        ("Workspace", VOICE, ["0+1 / 0+3", "0+1 / 1+2", "0+1 / 2+1"]),
        ("Workspace", CHAT, ["2+2 / 0+0", "3+1 / 0+0", "4+0 / 0+0"]),
        ("Workspace", DEFAULT, ["0+0 / 0+0", "0+0 / 0+0", "0+0 / 0+0"]),
        ("Sales", VOICE, ["0+0 / 0+1", "0+0 / 1+0", "0+0 / 1+0"]),
        ("Support", VOICE, ["0+1 / 0+2", "0+1 / 0+2", "0+1 / 1+1"]),
        ("Workspace", "Minutes=15", ["2+0 / 0+0", "2+0 / 0+0", "2+0 / 0+0"]),
        ("Workspace", INTERVAL, ["0+2 / 0+1", "1+1 / 1+0", "1+1 / 1+0"]),
        ("Support", INTERVAL, ["0+2 / 0+0", "1+1 / 0+0", "1+1 / 0+0"]),
    ] {
        let answer = cumulative(&mut example, name, &format!("{query}&SplitByWaitTime=10,20,200"));
        let splits = &answer["split_by_wait_time"];
        let cell = |threshold: &str| {
            let side = |side: &str, member: &str| splits[threshold][side][member].to_string();
            format!(
                "{}+{} / {}+{}",
                side("below", "reservations_accepted"),
                side("above", "reservations_accepted"),
                side("below", "tasks_canceled"),
                side("above", "tasks_canceled")
            )
        };
        assert_eq!(["10", "20", "200"].map(cell), expected, "{name} {query}");
    }
}

#[test]
fn figures_of_workers_are_those_of_the_worked_example() {
    const MEMBERS: [&str; 6] = [
        "reservations_created",
        "reservations_accepted",
        "reservations_rejected",
        "reservations_timed_out",
        "reservations_canceled",
        "reservations_rescinded",
    ];
    let mut example = Example::new();
    for (target, expected) in [
        (
            "/Workers/{ann}/Statistics?Minutes=60",
            "3 1 1 0 1 0 Available 320/640/960/1280 Break 300/1160/2020/2320 Offline 0/0/0/0",
        ),
        (
            "/Workers/{bob}/Statistics?Minutes=60",
            "5 2 0 1 1 1 Available 350/795/1240/1590 Break 1860/1860/1860/1860 Offline 150/150/150/150",
        ),
        (
            "/Workers/{cleo}/Statistics?Minutes=60",
            "4 3 0 0 0 0 Available 3120/3120/3120/3120 Break 0/0/0/0 Offline 480/480/480/480",
        ),
        (
            "/Workers/CumulativeStatistics?Minutes=60",
            "12 6 1 1 2 1 Available 320/1198/3120/5990 Break 300/1393/2020/4180 Offline 150/315/480/630",
        ),
        (
            "/Workers/Statistics?Minutes=60&TaskQueueSid={sales}&TaskQueueName=none",
            "8 3 1 1 2 1 Available 320/717/1240/2870 Break 300/1393/2020/4180 Offline 150/150/150/150",
        ),
        (
            "/Workers/Statistics?Minutes=60&TaskChannel=voice",
            "4 1 1 1 1 0 Available 320/717/1240/2870 Break 300/1393/2020/4180 Offline 150/150/150/150",
        ),
        (
            "/Workers/{bob}/Statistics?Minutes=60&TaskChannel=voice",
            "3 1 0 1 1 0 Available 350/795/1240/1590 Break 1860/1860/1860/1860 Offline 150/150/150/150",
        ),
        (
            "/Workers/CumulativeStatistics",
            "4 2 0 0 1 0 Available 600/750/900/1500 Break 300/600/900/1200 Offline 0/0/0/0",
        ),
    ] {
        let (status, answer) = example.get(target);
        assert_eq!(status, 200, "{target}: {answer}");
        let part = if answer["cumulative"].is_null() { &answer } else { &answer["cumulative"] };
        let mut found: Vec<String> = MEMBERS.iter().map(|member| part[*member].to_string()).collect();
        for row in part["activity_durations"].as_array().unwrap() {
            found.push(row["friendly_name"].as_str().unwrap().to_string());
            found.push(["min", "avg", "max", "total"].map(|name| row[name].to_string()).join("/"));
        }
        assert_eq!(found.join(" "), expected, "{target}");
    }
}

#[test]
fn real_time_figures_are_those_of_the_worked_example() {
    let mut example = Example::new();
    for (target, expected) in [
        ("/RealTimeStatistics", r#"3/1/1/1 6 {"0":4,"10":1,"5":1} 240,t9 - 3/- 0/1/2"#),
        ("/RealTimeStatistics?TaskChannel=voice", r#"3/0/0/0 3 {"0":1,"10":1,"5":1} 240,t9 - 2/- 0/0/2"#),
        ("/TaskQueues/{sales}/RealTimeStatistics", r#"1/0/0/0 1 {"10":1} 10,t13 10,t13 2/0 0/0/2"#),
        ("/TaskQueues/{support}/RealTimeStatistics", r#"2/1/1/1 5 {"0":4,"5":1} 240,t9 150,t10 2/1 0/1/1"#),
        (
            "/TaskQueues/{support}/RealTimeStatistics?TaskChannel=voice",
            r#"2/0/0/0 2 {"0":1,"5":1} 240,t9 150,t10 1/0 0/0/1"#,
        ),
        ("/TaskQueues/{support}/RealTimeStatistics?TaskChannel=chat", r#"0/0/1/1 2 {"0":2} 0,- 0,- 2/1 0/1/1"#),
        ("/Workflows/{sales_flow}/RealTimeStatistics", r#"2/0/0/0 2 {"10":1,"5":1} 240,t9 - -/- -"#),
        ("/Workflows/{support_flow}/RealTimeStatistics", r#"1/1/1/1 4 {"0":4} 150,t10 - -/- -"#),
        ("/Workers/RealTimeStatistics", "- - - -,- - 3/- 0/1/2"),
        ("/Workers/RealTimeStatistics?TaskChannel=voice", "- - - -,- - 2/- 0/0/2"),
        ("/Workers/RealTimeStatistics?TaskChannel=chat", "- - - -,- - 3/- 0/1/2"),
    ] {
        let (status, answer) = example.get(target);
        assert_eq!(status, 200, "{target}: {answer}");
        assert_eq!(real_time_row(&example, &answer), expected, "{target}");
    }
}

fn real_time_row(example: &Example, answer: &Value) -> String {
    let name = |sid: &Value| {
        let known = example.sids.iter().find(|(_, known)| Some(known.as_str()) == sid.as_str());
        known.map_or("-", |(name, _)| name)
    };
    let statuses = &answer["tasks_by_status"];
    let statuses = match statuses {
        Value::Null => "-".to_string(),
        _ => ["pending", "reserved", "assigned", "wrapping"].map(|status| statuses[status].to_string()).join("/"),
    };
    let waiting = |age: &str, sid: &str| format!("{},{}", shown(&answer[age]), name(&answer[sid]));
    let in_queue = match &answer["longest_relative_task_age_in_queue"] {
        Value::Null => "-".to_string(),
        _ => waiting("longest_relative_task_age_in_queue", "longest_relative_task_sid_in_queue"),
    };
    let total =
        if answer["total_workers"].is_null() { &answer["total_eligible_workers"] } else { &answer["total_workers"] };
    let activities = match &answer["activity_statistics"] {
        Value::Array(rows) => {
            let workers = |name: &str| {
                rows.iter().find(|row| row["friendly_name"] == name).map(|row| row["workers"].to_string()).unwrap()
            };
            ["Offline", "Available", "Break"].map(workers).join("/")
        }
        _ => "-".to_string(),
    };
    format!(
        "{statuses} {} {} {} {in_queue} {}/{} {activities}",
        shown(&answer["total_tasks"]),
        shown(&answer["tasks_by_priority"]),
        waiting("longest_task_waiting_age", "longest_task_waiting_sid"),
        shown(total),
        shown(&answer["total_available_workers"]),
    )
}

#[test]
fn boundaries_are_those_of_the_worked_example() {
    let mut example = Example::new();
    for (query, expected) in [
        ("StartDate=2024-03-04T09:00:00Z&EndDate=2024-03-04T09:00:00Z", "reservations_created=1 tasks_created=0"),
        ("StartDate=2024-03-04T09:00:00.001Z&EndDate=2024-03-04T10:00:00Z", "reservations_created=11"),
        ("StartDate=2024-03-04T09:46:00Z&EndDate=2024-03-04T09:46:00Z", "tasks_completed=1"),
        (
            "EndDate=2024-03-04T09:35:00Z&Minutes=15",
            "start_time=\"2024-03-04T09:20:00Z\" tasks_created=3 tasks_canceled=3 tasks_completed=1 tasks_moved=2 tasks_timed_out_in_workflow=1 reservations_created=1 reservations_canceled=1",
        ),
        ("StartDate=2024-02-03T10:00:00Z", "start_time=\"2024-02-03T10:00:00Z\" tasks_created=13"),
        ("Minutes=43200", "start_time=\"2024-02-03T10:00:00Z\" tasks_created=13"),
        ("StartDate=2024-02-03T09:59:30Z", "start_time=\"2024-02-03T10:00:00Z\" tasks_created=13"),
        ("StartDate=2024-02-03T09:58:59.999Z", "code=14241"),
        ("StartDate=2024-01-01T00:00:00Z", "code=14241"),
        ("EndDate=2024-02-03T09:59:59.999Z&StartDate=2024-02-03T09:59:30Z", "code=14241"),
        ("Minutes=43201", "code=14241"),
        ("Minutes=43201&StartDate=2024-03-04T09:00:00Z", "code=14241"),
        ("StartDate=2024-03-04T10:00:01Z", "code=20001"),
        ("EndDate=2024-03-05", "end_time=\"2024-03-04T10:00:00Z\""),
        ("Minutes=0", "code=20001"),
        ("Minutes=-5", "code=20001"),
        ("Minutes=abc", "code=20001"),
    ] {
        let (_, answer) = example.get(&format!("/CumulativeStatistics?{query}"));
        for pair in expected.split(' ') {
            let (member, value) = pair.split_once('=').unwrap();
            assert_eq!(answer[member].to_string(), value, "{query}: {member}");
        }
    }
}

#[test]
fn combined_and_listed_figures_are_the_separate_ones() {
    let mut example = Example::new();
    let query = "Minutes=60&SplitByWaitTime=10,20,200";
    let (_, list) = example.get(&format!("/TaskQueues/Statistics?{query}"));
    let rows = list["task_queues_statistics"].as_array().unwrap().clone();
    assert_eq!(rows.len(), 2);
    for (row, queue) in rows.iter().zip(["{sales}", "{support}"]) {
        let (_, combined) = example.get(&format!("/TaskQueues/{queue}/Statistics?{query}"));
        let (_, now) = example.get(&format!("/TaskQueues/{queue}/RealTimeStatistics"));
        let (_, sums) = example.get(&format!("/TaskQueues/{queue}/CumulativeStatistics?{query}"));
        for (part, flat) in [("realtime", &now), ("cumulative", &sums)] {
            assert_eq!(row[part], combined[part]);
            for (member, value) in combined[part].as_object().unwrap() {
                assert_eq!(value, &flat[member], "{member}");
            }
        }
        assert!(row["url"].is_null());
    }
}

/// The counters of an answer that events add to.
fn counters(answer: &Value) -> BTreeMap<String, i64> {
    let members = answer.as_object().unwrap().iter();
    let counts = members.filter(|(name, _)| name.starts_with("tasks_") || name.starts_with("reservations_"));
    let mut found: BTreeMap<String, i64> =
        counts.map(|(name, value)| (name.clone(), value.as_i64().unwrap())).collect();
    for wait in ["wait_duration_until_accepted", "wait_duration_until_canceled"] {
        found.insert(wait.to_string(), answer[wait]["total"].as_i64().unwrap());
    }
    found
}

fn add(sums: &mut BTreeMap<String, i64>, more: BTreeMap<String, i64>) {
    for (name, value) in more {
        *sums.entry(name).or_default() += value;
    }
}

fn window(from_ms: i64, to_ms: i64) -> String {
    let date = |ms| dates::format_ms(pointsman_engine::Timestamp(ms));
    format!("StartDate={}&EndDate={}", date(from_ms), date(to_ms))
}

#[test]
fn adjacent_intervals_add_up() {
    let mut example = Example::new();
    let [start, end] = ["09:00:00", "10:00:00"].map(|time| dates::parse(&format!("2024-03-04T{time}Z")).unwrap().0);
    for name in ["Workspace", "Sales", "Support", "SalesFlow", "SupportFlow"] {
        let whole = counters(&cumulative(&mut example, name, &window(start, end)));
        for split in (start..end).step_by(97_003) {
            let mut sums = counters(&cumulative(&mut example, name, &window(start, split)));
            add(&mut sums, counters(&cumulative(&mut example, name, &window(split + 1, end))));
            assert_eq!(sums, whole, "{name} {split}");
        }
    }
}

#[test]
fn the_whole_is_the_sum_of_its_parts() {
    let mut example = Example::new();
    let whole = counters(&cumulative(&mut example, "Workspace", "Minutes=60"));
    for (parts, queries) in [
        (&["SalesFlow", "SupportFlow"][..], &["Minutes=60"][..]),
        (&["Sales", "Support"][..], &["Minutes=60"][..]),
        (&["Workspace"][..], &[VOICE, CHAT, DEFAULT][..]),
    ] {
        let mut sums = BTreeMap::new();
        for name in parts {
            for query in queries {
                add(&mut sums, counters(&cumulative(&mut example, name, query)));
            }
        }
        // Each scope has counters that the others do not show.
        for (name, value) in &whole {
            if sums.contains_key(name) {
                assert_eq!(sums[name], *value, "{name} of {parts:?}");
            }
        }
        assert!(10 < sums.len());
    }
}

#[test]
fn a_worker_is_always_in_some_activity() {
    let mut example = Example::new();
    for minutes in [1, 7, 15, 60, 119] {
        for worker in ["{ann}", "{bob}", "{cleo}"] {
            let (_, answer) = example.get(&format!("/Workers/{worker}/Statistics?Minutes={minutes}"));
            let rows = answer["cumulative"]["activity_durations"].as_array().unwrap().clone();
            let total: i64 = rows.iter().map(|row| row["total"].as_i64().unwrap()).sum();
            assert!((minutes * 60 - 2..=minutes * 60).contains(&total), "{worker} {minutes}: {total}");
        }
    }
}

#[test]
fn what_was_deleted_counts_for_the_rest() {
    let mut example = Example::new();
    let before = counters_of_workers(&mut example);
    example.post("/Workers/{bob}", "ActivitySid={offline}");
    let bob = path(&example.expand("/Workers/{bob}"));
    assert_eq!(example.world.send("DELETE", &bob, b"", &Extras::default()).status, 204);
    assert_eq!(counters_of_workers(&mut example), before);
    let (status, _) = example.get("/Workers/{bob}/Statistics");
    assert_eq!(status, 404);
}

fn counters_of_workers(example: &mut Example) -> (i64, Vec<i64>) {
    let (_, answer) = example.get("/Workers/CumulativeStatistics?Minutes=60");
    let totals = answer["activity_durations"].as_array().unwrap().iter();
    (answer["reservations_created"].as_i64().unwrap(), totals.map(|row| row["total"].as_i64().unwrap()).collect())
}
