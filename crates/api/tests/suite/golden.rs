//! Golden transcripts: one request and one answer each. `UPDATE_EXPECT=1` rewrites the answers.
//!
//! ```text
//! # The rule, in a sentence.
//! workspace MultiTaskEnabled=false         parameters of the Workspace's creation (optional)
//! ada = POST /Workers FriendlyName=Ada     what was before; `{ada}` is the SID of the answer
//! advance 1.5                              seconds
//! transfer {task} {offer} {bob} warm       of a Task and its accepted reservation, to a Worker or a TaskQueue
//! cancel-transfer {task}
//!
//! POST /Workers/{ada}                      the request; paths are those of the Workspace unless they begin with /v1 or /pointsman
//! If-Match: 0
//!
//! FriendlyName=Ada+L.
//!
//! HTTP 200                                 the answer, SIDs shown by their names
//! ```

use std::collections::BTreeMap;
use std::fmt::Write;
use std::path::{Path, PathBuf};

use pointsman_engine::{Command, DurationMs, InitiateTransfer, Sid, TransferMode, TransferTargetSid};

use crate::world::{Extras, START, World, account, pretty, workspace};

#[test]
fn every_transcript_holds() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden");
    let update = std::env::var_os("UPDATE_EXPECT").is_some();
    let mut failures = String::new();
    let mut count = 0;
    for path in transcripts(&root) {
        let given = std::fs::read_to_string(&path).unwrap();
        let found = play(&path, &given);
        count += 1;
        if found == given {
            continue;
        }
        if update {
            std::fs::write(&path, found).unwrap();
        } else {
            writeln!(failures, "{}:\n{}", path.display(), difference(&given, &found)).unwrap();
        }
    }
    assert!(100 < count, "transcripts are found");
    assert!(failures.is_empty(), "rerun with UPDATE_EXPECT=1 and read what changes:\n{failures}");
}

fn transcripts(root: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for directory in std::fs::read_dir(root).unwrap() {
        let directory = directory.unwrap().path();
        found.extend(std::fs::read_dir(directory).unwrap().map(|file| file.unwrap().path()));
    }
    found.sort();
    found
}

/// The lines that differ, in order.
fn difference(given: &str, found: &str) -> String {
    let mut out = String::new();
    let (given, found): (Vec<_>, Vec<_>) = (given.lines().collect(), found.lines().collect());
    for index in 0..given.len().max(found.len()) {
        let (before, after) = (given.get(index), found.get(index));
        if before != after {
            for (sign, line) in [("-", before), ("+", after)] {
                if let Some(line) = line {
                    writeln!(out, "  {sign}{line}").unwrap();
                }
            }
        }
    }
    out
}

/// Names of SIDs, both ways.
struct Names(BTreeMap<String, String>);

impl Names {
    fn expand(&self, text: &str) -> String {
        self.0.iter().fold(text.to_string(), |text, (name, sid)| text.replace(&format!("{{{name}}}"), sid))
    }

    fn shorten(&self, text: &str) -> String {
        self.0.iter().fold(text.to_string(), |text, (name, sid)| text.replace(sid, &format!("{{{name}}}")))
    }
}

/// The transcript as it is when played.
fn play(path: &Path, transcript: &str) -> String {
    let head = transcript.find("\nHTTP ").map_or(transcript.trim_end(), |at| transcript[..at].trim_end());
    let (setup, request) = head.split_once("\n\n").unwrap_or_else(|| panic!("{} has no request", path.display()));
    let mut names =
        Names(BTreeMap::from([("ws".to_string(), workspace().to_string()), ("ac".to_string(), account().to_string())]));
    let mut lines = setup.lines().filter(|line| !line.starts_with('#')).peekable();
    let form = lines.next_if(|line| line.starts_with("workspace ")).map_or("", |line| &line["workspace ".len()..]);
    let mut world = World::new(START, form);
    let list = world.send("GET", &whole("/Activities"), b"", &Extras::default()).body;
    name_all(&mut names, &list, "friendly_name");
    let list = world.send("GET", &whole("/TaskChannels"), b"", &Extras::default()).body;
    name_all(&mut names, &list, "unique_name");
    for line in lines {
        set_up(path, &mut world, &mut names, line);
    }

    let (top, body) = request.split_once("\n\n").unwrap_or((request, ""));
    let mut top = top.lines();
    let (method, target) = top.next().and_then(|line| line.split_once(' ')).expect("method and path");
    let mut extras = Extras::default();
    for header in top {
        match header.split_once(": ") {
            Some(("If-Match", value)) => extras.if_match = Some(value.to_string()),
            Some(("Content-Type", value)) => extras.content_type = Some(value.to_string()),
            _ => panic!("{}: header {header}", path.display()),
        }
    }
    let (target, mut body) = (names.expand(target), names.expand(body.trim_end()));
    if extras.content_type.as_deref().is_some_and(|media_type| media_type.starts_with("multipart/")) {
        body = body.replace('\n', "\r\n");
    }
    let answer = world.send(method, &whole(&target), body.as_bytes(), &extras);

    let mut out = format!("{head}\n\nHTTP {}\n", answer.status);
    for header in answer.headers.iter().filter(|header| header.name != "Content-Type") {
        writeln!(out, "{}: {}", header.name, header.value).unwrap();
    }
    if !answer.body.is_empty() {
        writeln!(out, "\n{}", names.shorten(&pretty(&answer.body))).unwrap();
    }
    out
}

fn whole(target: &str) -> String {
    let is_whole = target.starts_with("/v1") || target.starts_with("/pointsman");
    if is_whole { target.to_string() } else { format!("/v1/Workspaces/{}{target}", workspace()) }
}

/// Names the SIDs of a list after a member of its records.
fn name_all(names: &mut Names, list: &str, member: &str) {
    let document: serde_json::Value = serde_json::from_str(list).unwrap();
    let key = document["meta"]["key"].as_str().unwrap();
    for record in document[key].as_array().unwrap() {
        let name = record[member].as_str().unwrap().to_lowercase();
        names.0.insert(name, record["sid"].as_str().unwrap().to_string());
    }
}

/// A transfer, which has no REST operation.
fn transfer(world: &mut World, task: &str, reservation: &str, to: &str, mode: &str) {
    let state = world.engine.state();
    let target = Sid::parse(to).map(TransferTargetSid::Worker);
    let command = Command::InitiateTransfer(InitiateTransfer {
        task: state.find_task(Sid::parse(task).unwrap()).unwrap().id,
        reservation: state.find_reservation(Sid::parse(reservation).unwrap()).unwrap().id,
        target: target.unwrap_or_else(|| TransferTargetSid::TaskQueue(Sid::parse(to).unwrap())),
        mode: if mode == "warm" { TransferMode::Warm } else { TransferMode::Cold },
        attributes: None,
        priority: None,
    });
    world.command(command);
}

fn set_up(path: &Path, world: &mut World, names: &mut Names, line: &str) {
    if let Some(seconds) = line.strip_prefix("advance ") {
        let ms = (seconds.parse::<f64>().unwrap() * 1000.0).round() as i64;
        world.advance_to(world.now.plus(DurationMs(ms)));
        return;
    }
    let words: Vec<&str> = line.split(' ').collect();
    if let ["transfer", task, reservation, to, mode] = words[..] {
        let [task, reservation, to] = [task, reservation, to].map(|name| names.expand(name));
        return transfer(world, &task, &reservation, &to, mode);
    }
    if let ["cancel-transfer", task] = words[..] {
        let state = world.engine.state();
        let task = state.find_task(Sid::parse(&names.expand(task)).unwrap()).unwrap();
        let id = state.open_transfer(task).unwrap().id;
        return world.command(Command::CancelTransfer { id });
    }
    let (name, call) = match line.split_once(" = ") {
        Some((name, call)) if !name.contains(' ') => (Some(name), call),
        _ => (None, line),
    };
    let mut words = call.splitn(3, ' ');
    let (method, target, body) = (words.next().unwrap(), words.next().unwrap(), words.next().unwrap_or(""));
    let (target, body) = (names.expand(target), names.expand(body));
    let answer = world.send(method, &whole(&target), body.as_bytes(), &Extras::default());
    assert!(answer.status < 300, "{}: {line}: {}", path.display(), answer.body);
    let Some(name) = name else { return };
    let document: serde_json::Value = serde_json::from_str(&answer.body).unwrap();
    // Of a list the first record is named.
    let record = document["meta"]["key"].as_str().map_or(&document, |key| &document[key][0]);
    let sid = record["sid"].as_str().unwrap_or_else(|| panic!("{}: {line}: {}", path.display(), answer.body));
    names.0.insert(name.to_string(), sid.to_string());
}
