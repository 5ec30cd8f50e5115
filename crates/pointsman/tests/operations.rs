//! Back-up, restoration, check and export on the real program, with a server that runs and one that does not.

#[path = "support/server.rs"]
mod server;

use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;
use std::process::{Command, Output};

use serde_json::Value;

use server::{Serving, error, json, lively, pointsman, run};

#[test]
fn a_backup_of_a_running_server_restores_to_a_server_that_answers_the_same() {
    let root = tempfile::tempdir().unwrap();
    let (live, restored) = (root.path().join("live"), root.path().join("restored"));
    let file = root.path().join("server.backup");
    let file_name = file.to_str().unwrap();
    let serving = Serving::on(&live);
    let workspace = lively(&serving, 20);
    let made = json(&["backup", file_name, "--json"], Some(&live));
    assert_eq!(made["streams"], 2);
    assert_eq!(made["damaged"], serde_json::json!([]));
    let tasks = format!("/v1/Workspaces/{workspace}/Tasks?PageSize=100");
    let sids = |answer: (u16, Value)| -> Vec<String> {
        let tasks = answer.1["tasks"].as_array().expect("a list").clone();
        tasks.iter().map(|task| task["sid"].as_str().unwrap().to_owned()).collect()
    };
    let before = sids(serving.send("GET", &tasks, ""));
    // What comes after the back-up is not in it.
    serving.make(&format!("/v1/Workspaces/{workspace}/Tasks"), "");
    serving.stop();

    let text = run(&["restore", file_name], Some(&restored));
    assert_eq!(text.status.code(), Some(0), "{}", error(&text));
    let checked = json(&["check", "--json"], Some(&restored));
    assert_eq!(checked["problems"], serde_json::json!([]));
    assert_eq!((&checked["workspaces"], &checked["tasks"]), (&Value::from(1), &Value::from(20)));
    let serving = Serving::on(&restored);
    assert_eq!(sids(serving.send("GET", &tasks, "")), before);
    let events = serving.send("GET", &format!("/v1/Workspaces/{workspace}/Events?Minutes=60&PageSize=1000"), "");
    let created = events.1["events"].as_array().unwrap().iter().filter(|event| event["event_type"] == "task.created");
    assert_eq!(created.count(), 20);
    serving.stop();
}

#[cfg(target_os = "linux")]
#[test]
fn somebody_who_looks_into_a_day_of_the_history_takes_nothing_from_the_server() {
    let root = tempfile::tempdir().unwrap();
    let mut command = pointsman(&["serve", "--listen", "127.0.0.1:0"], Some(root.path()));
    command.env("POINTSMAN_SNAPSHOT_RECORDS", "100");
    let serving = Serving::start(command);
    let workspace = lively(&serving, 1);
    let tasks = format!("/v1/Workspaces/{workspace}/Tasks");
    // The second snapshot comes after the journal was trimmed for the first, and the history synchronized for that.
    let snapshots = root.path().join("snapshots");
    let names = || fs::read_dir(&snapshots).unwrap().map(|entry| entry.unwrap().file_name()).collect::<BTreeSet<_>>();
    let mut seen = names();
    while seen.len() < 2 {
        serving.make(&tasks, "");
        seen.extend(names());
    }
    let day = fs::read_dir(root.path().join("history")).unwrap().map(|entry| entry.unwrap().path());
    let day = day.into_iter().find(|path| path.extension().is_some_and(|extension| extension == "sqlite")).unwrap();
    // SQLite takes the log of a database away when its last user leaves; it knows its users by their locks.
    let script = "import sqlite3, sys
connection = sqlite3.connect(sys.argv[1])
connection.execute('SELECT count(*) FROM events').fetchall()
connection.close()";
    assert!(Command::new("python3").args(["-c", script]).arg(&day).status().unwrap().success());
    let task = serving.make(&tasks, "");
    let held = fs::read_dir(format!("/proc/{}/fd", serving.child.id())).unwrap();
    let held = held.filter_map(|entry| fs::read_link(entry.unwrap().path()).ok());
    let lost: Vec<_> = held.filter(|path| path.to_string_lossy().ends_with("(deleted)")).collect();
    assert_eq!(lost, Vec::<PathBuf>::new());
    let (_, listed) = serving.send("GET", &format!("/v1/Workspaces/{workspace}/Events?TaskSid={task}"), "");
    assert_eq!(listed["events"][0]["resource_sid"], task);
    serving.stop();
}

#[test]
fn what_cannot_be_backed_up_or_restored_is_refused_with_its_code() {
    let root = tempfile::tempdir().unwrap();
    let (live, file) = (root.path().join("live"), root.path().join("file"));
    let file_name = file.to_str().unwrap();
    let none = run(&["backup", file_name], Some(&live));
    assert_eq!(none.status.code(), Some(4), "{}", error(&none));
    Serving::on(&live).stop();
    assert_eq!(run(&["backup", file_name], Some(&live)).status.code(), Some(0));
    let twice = run(&["backup", file_name], Some(&live));
    assert_eq!(twice.status.code(), Some(1));
    assert!(error(&twice).contains("exists already"), "{}", error(&twice));
    let full = run(&["restore", file_name], Some(&live));
    assert_eq!(full.status.code(), Some(4));
    assert!(error(&full).contains("is not empty"), "{}", error(&full));
    let mut bytes = fs::read(&file).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(&file, bytes).unwrap();
    let bad = run(&["restore", file_name], Some(&root.path().join("new")));
    assert_eq!(bad.status.code(), Some(5));
    assert!(error(&bad).contains("is damaged at chunk"), "{}", error(&bad));
    let started = run(&["serve", "--listen", "127.0.0.1:0"], Some(&root.path().join("new")));
    assert_eq!(started.status.code(), Some(4));
    assert!(error(&started).contains("did not get to its end"), "{}", error(&started));
}

#[test]
fn a_directory_whose_name_is_misspelt_is_refused_and_not_made() {
    let root = tempfile::tempdir().unwrap();
    let nowhere = root.path().join("nowhere");
    for command in
        [&["check"][..], &["export-events"], &["account", "list"], &["backup", "file"], &["forget-days", "2026-01-31"]]
    {
        let refused = run(command, Some(&nowhere));
        assert_eq!(refused.status.code(), Some(4), "{command:?}");
        assert!(error(&refused).contains("holds no store"), "{}", error(&refused));
        assert!(!nowhere.exists(), "{command:?}");
    }
}

#[test]
fn a_check_names_the_file_and_the_place_of_damage() {
    let root = tempfile::tempdir().unwrap();
    let live = root.path().join("live");
    let serving = Serving::on(&live);
    lively(&serving, 5);
    let used = run(&["check"], Some(&live));
    assert_eq!(used.status.code(), Some(4), "a running server holds it: {}", error(&used));
    serving.stop();
    let good = run(&["check"], Some(&live));
    assert_eq!(good.status.code(), Some(0), "{}", error(&good));
    assert!(String::from_utf8_lossy(&good.stdout).ends_with("everything is as it was written\n"));

    let snapshot = fs::read_dir(live.join("snapshots")).unwrap().next().unwrap().unwrap().path();
    let mut bytes = fs::read(&snapshot).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 4;
    fs::write(&snapshot, bytes).unwrap();
    let bad = run(&["check", "--json"], Some(&live));
    assert_eq!(bad.status.code(), Some(5));
    let summary: Value = serde_json::from_slice(&bad.stdout).unwrap();
    let problem = summary["problems"][0].as_str().unwrap();
    assert!(problem.starts_with(&format!("{} is damaged at chunk 0: ", snapshot.display())), "{problem}");
    assert!(error(&bad).contains("1 places are damaged"), "{}", error(&bad));
}

#[test]
fn a_lost_day_of_the_history_is_missed_by_every_command_until_it_is_given_up() {
    let root = tempfile::tempdir().unwrap();
    let (live, file) = (root.path().join("live"), root.path().join("server.backup"));
    let serving = Serving::on(&live);
    let workspace = lively(&serving, 5);
    serving.stop();
    let day = fs::read_dir(live.join("history")).unwrap().map(|entry| entry.unwrap().path()).next().unwrap();
    let date = day.file_stem().unwrap().to_str().unwrap().strip_prefix("history-").unwrap().to_owned();
    fs::remove_file(&day).unwrap();
    for command in [&["serve", "--listen", "127.0.0.1:0"][..], &["check"], &["backup", file.to_str().unwrap()]] {
        let refused = run(command, Some(&live));
        assert_eq!(refused.status.code(), Some(5), "{command:?}: {}", error(&refused));
        let expected = format!("{} is damaged at its name: the file is missing", day.display());
        assert!(error(&refused).contains(&expected), "{command:?}: {}", error(&refused));
    }
    let never = run(&["forget-days", "2001-02-03"], Some(&live));
    assert_eq!(never.status.code(), Some(4), "{}", error(&never));
    assert!(error(&never).contains("the history has no day"), "{}", error(&never));
    assert_eq!(run(&["forget-days", "yesterday"], Some(&live)).status.code(), Some(2));
    let given_up = json(&["forget-days", &date, "--json"], Some(&live));
    assert_eq!(given_up, serde_json::json!({ "date": date, "kept_as": null }));
    let serving = Serving::on(&live);
    let (_, tasks) = serving.send("GET", &format!("/v1/Workspaces/{workspace}/Tasks"), "");
    assert_eq!(tasks["tasks"].as_array().unwrap().len(), 5, "the state is whole");
    serving.stop();
}

#[test]
fn time_goes_on_after_a_start_with_a_system_clock_that_is_behind() {
    let root = tempfile::tempdir().unwrap();
    let serve = |clock| pointsman(&["serve", "--listen", "127.0.0.1:0", "--clock", clock], Some(root.path()));
    let serving = Serving::start(serve("virtual"));
    let workspace = lively(&serving, 1);
    let (status, _) = serving.send("POST", "/pointsman/v1/Clock", "Advance=86400");
    assert_eq!(status, 200);
    serving.make(&format!("/v1/Workspaces/{workspace}/Tasks"), "");
    serving.stop();
    let serving = Serving::start(serve("system"));
    let now = || serving.send("GET", "/pointsman/v1/Clock", "").1["now"].as_str().unwrap().to_owned();
    let first = now();
    // A task that lives for a second: its time runs out.
    let tasks = format!("/v1/Workspaces/{workspace}/Tasks");
    let task = serving.make(&tasks, "Timeout=1");
    let status = || serving.send("GET", &format!("{tasks}/{task}"), "").1["assignment_status"].clone();
    let asked = (0..100_000).find(|_| status() == "canceled");
    assert!(asked.is_some(), "its time does not run out");
    assert!(first < now());
    serving.stop();
}

#[test]
fn events_are_exported_alike_from_a_server_and_from_its_directory() {
    let root = tempfile::tempdir().unwrap();
    let live = root.path().join("live");
    let serving = Serving::on(&live);
    let workspace = lively(&serving, 3);
    let url = format!("http://{}", serving.address);
    let lines = |output: Output| -> Vec<Value> {
        assert_eq!(output.status.code(), Some(0), "{}", error(&output));
        let text = String::from_utf8(output.stdout).unwrap();
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    };
    let asked = lines(run(&["export-events", "--url", &url], None));
    serving.stop();
    let mut command = pointsman(&["export-events", "--workspace", &workspace], Some(&live));
    let mut read = lines(command.env("POINTSMAN_PUBLIC_URL", &url).output().unwrap());
    assert_eq!(read.iter().filter(|event| event["event_type"] == "task.created").count(), 3);
    read.reverse();
    assert_eq!(read, asked);
    let none = lines(run(&["export-events", "--to", "2001-01-01T00:00:00Z"], Some(&live)));
    assert_eq!(none, [] as [Value; 0]);
    let summary = run(&["export-events", "--json", "--from", "2001-01-01T00:00:00Z"], Some(&live));
    assert_eq!(error(&summary), format!("{{\"events\":{}}}\n", read.len()));

    for wrong in [
        &["export-events", "--from", "yesterday"][..],
        &["export-events", "--workspace", "WS0"],
        &["export-events", "--workspace", "WS00000000000000000000000000000000"],
    ] {
        assert_eq!(run(wrong, Some(&live)).status.code(), Some(2), "{wrong:?}");
    }
}

#[test]
fn every_command_explains_itself_and_its_exit_codes() {
    for command in ["backup", "restore", "check", "forget-days", "export-events"] {
        let help = run(&[command, "--help"], None);
        let text = String::from_utf8(help.stdout).unwrap();
        for expected in ["--data-dir", "--json", "Exit codes:"] {
            assert!(text.contains(expected), "{command}: {expected}");
        }
    }
}
