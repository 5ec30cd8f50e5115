//! Disks that take no more, directories that cannot be written, processes that are killed: on the real program.
#![expect(clippy::disallowed_methods, reason = "a server in another process is waited for")]

#[path = "support/server.rs"]
mod server;

use std::fs;
use std::path::Path;
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use serde_json::Value;

use server::{Serving, error, json, lively, pointsman, run};

/// A server none of whose files may grow beyond so many blocks of 512 bytes, until [`lift`].
fn limited(directory: &Path, blocks: u32) -> Serving {
    let inner = pointsman(&["serve", "--listen", "127.0.0.1:0"], Some(directory));
    let mut command = Command::new("sh");
    // The signal is not to kill it, so that writes fail as they do on a full disk.
    command.arg("-c").arg(format!("trap '' XFSZ; ulimit -S -f {blocks}; exec \"$0\" \"$@\""));
    command.arg(inner.get_program()).args(inner.get_args());
    for (name, value) in inner.get_envs() {
        match value {
            Some(value) => command.env(name, value),
            None => command.env_remove(name),
        };
    }
    Serving::start(command)
}

fn lift(serving: &Serving) {
    let lifted = Command::new("prlimit").args(["--pid", &serving.child.id().to_string(), "--fsize=unlimited"]).status();
    assert!(lifted.unwrap().success());
}

/// Makes Tasks until they are refused for good: what a checkpoint frees is filled again. Returns those acknowledged.
fn fill(serving: &Serving, workspace: &str) -> Vec<String> {
    let mut made = fill_once(serving, workspace);
    loop {
        let mut is_over = false;
        // The server tries every second whether it can write again.
        let until = Instant::now() + Duration::from_secs(3);
        wait_for("three seconds pass", || {
            is_over = serving.send("GET", "/readyz", "").0 == 200;
            is_over || until < Instant::now()
        });
        if !is_over {
            return made;
        }
        made.extend(fill_once(serving, workspace));
    }
}

fn fill_once(serving: &Serving, workspace: &str) -> Vec<String> {
    let form = format!("Attributes=%7B%22text%22%3A%22{}%22%7D", "x".repeat(3_000));
    let mut made = Vec::new();
    loop {
        let (status, answer) = serving.send("POST", &format!("/v1/Workspaces/{workspace}/Tasks"), &form);
        if status != 201 {
            assert_eq!(status, 503, "{answer}");
            assert!(answer["message"].as_str().unwrap().contains("the store cannot commit"), "{answer}");
            return made;
        }
        made.push(answer["sid"].as_str().unwrap().to_owned());
        assert!(made.len() < 20_000, "the disk never fills");
    }
}

fn wait_for(what: &str, mut is_so: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(20);
    while !is_so() {
        assert!(Instant::now() < deadline, "{what}");
        thread::sleep(Duration::from_millis(5));
    }
}

/// Reads go on while writes are refused; both work again without a restart once `give_space` was called.
fn outlives_a_full_disk(serving: Serving, directory: &Path, give_space: impl FnOnce(&Serving)) {
    let workspace = lively(&serving, 3);
    let tasks = format!("/v1/Workspaces/{workspace}/Tasks");
    let made = fill(&serving, &workspace);
    assert!(made.len() > 3);
    wait_for("reads go on", || serving.send("GET", &format!("{tasks}/{}", made[0]), "").0 == 200);
    let (status, answer) = serving.send("POST", &tasks, "");
    assert_eq!(status, 503, "{answer}");
    assert_eq!(serving.send("GET", "/readyz", "").0, 503);
    assert_eq!(serving.send("GET", "/healthz", "").0, 200);
    for sid in made.iter().rev().take(20) {
        assert_eq!(serving.send("GET", &format!("{tasks}/{sid}"), "").0, 200, "what was acknowledged can be read");
    }
    assert_eq!(serving.send("GET", &format!("/v1/Workspaces/{workspace}/Workers"), "").0, 200);
    // The history may lack the last changes, and would hide them.
    let (status, answer) = serving.send("GET", &format!("/v1/Workspaces/{workspace}/Events"), "");
    assert!(matches!(status, 200 | 503), "{answer}");

    give_space(&serving);
    wait_for("writes go on", || serving.send("GET", "/readyz", "").0 == 200);
    let after = serving.make(&tasks, "");
    for sid in made.iter().chain([&after]) {
        assert_eq!(serving.send("GET", &format!("{tasks}/{sid}"), "").0, 200);
    }
    serving.stop();
    let checked = json(&["check", "--json"], Some(directory));
    assert_eq!(checked["problems"], serde_json::json!([]));
    assert_eq!(checked["tasks"], Value::from(3 + made.len() + 1));
}

#[test]
fn a_disk_whose_writes_fail_refuses_changes_and_nothing_else() {
    let root = tempfile::tempdir().unwrap();
    let directory = root.path().join("data");
    outlives_a_full_disk(limited(&directory, 6_000), &directory, lift);
}

/// A small file system of its own; nothing where that is not allowed.
struct Tmpfs(tempfile::TempDir);

impl Tmpfs {
    fn mount(options: &str) -> Option<Tmpfs> {
        let point = tempfile::tempdir().unwrap();
        let mount = Command::new("mount").args(["-t", "tmpfs", "-o", options, "tmpfs"]).arg(point.path()).output();
        mount.is_ok_and(|output| output.status.success()).then_some(Tmpfs(point))
    }
}

impl Drop for Tmpfs {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg(self.0.path()).status();
    }
}

#[test]
fn a_full_disk_refuses_changes_and_nothing_else() {
    let Some(tmpfs) = Tmpfs::mount("size=24m") else {
        println!("not allowed to mount a file system: the other test of this file stands for it");
        return;
    };
    let directory = tmpfs.0.path().join("data");
    let filler = tmpfs.0.path().join("filler");
    // Also enough for what the history has not got when the disk is full: that may take its space first.
    fs::write(&filler, vec![1; 16 << 20]).unwrap();
    outlives_a_full_disk(Serving::on(&directory), &directory, |_| fs::remove_file(&filler).unwrap());
}

#[test]
fn a_directory_that_cannot_be_written_is_refused_with_its_name() {
    let Some(tmpfs) = Tmpfs::mount("size=6m") else {
        println!("not allowed to mount a file system");
        return;
    };
    let directory = tmpfs.0.path().join("data");
    Serving::on(&directory).stop();
    let remounted = Command::new("mount").args(["-o", "remount,ro"]).arg(tmpfs.0.path()).status().unwrap();
    assert!(remounted.success());
    let output = run(&["serve", "--listen", "127.0.0.1:0"], Some(&directory));
    assert_eq!(output.status.code(), Some(4), "{}", error(&output));
    assert!(error(&output).contains(directory.to_str().unwrap()), "{}", error(&output));
}

#[test]
fn a_second_server_on_the_directory_is_refused_and_the_first_goes_on() {
    let root = tempfile::tempdir().unwrap();
    let directory = root.path().join("data");
    let serving = Serving::on(&directory);
    let output = run(&["serve", "--listen", "127.0.0.1:0"], Some(&directory));
    assert_eq!(output.status.code(), Some(4));
    assert!(error(&output).contains("is in use by another process"), "{}", error(&output));
    lively(&serving, 2);
    serving.stop();
}
