//! The real program, and requests to it.
#![allow(dead_code, reason = "not every test program uses all of it")]

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};

use serde_json::Value;

const ACCOUNT: &str = "AC00000000000000000000000000000000";
/// `ACCOUNT:secret`
const AUTHORIZATION: &str = "QUMwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDpzZWNyZXQ=";

pub(crate) fn pointsman(arguments: &[&str], directory: Option<&Path>) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_pointsman"));
    command.args(arguments).stdin(Stdio::null());
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("POINTSMAN_") {
            command.env_remove(name);
        }
    }
    command.env("POINTSMAN_ACCOUNT_SID", ACCOUNT).env("POINTSMAN_AUTH_TOKEN", "secret");
    if let Some(directory) = directory {
        command.arg("--data-dir").arg(directory);
    }
    command
}

pub(crate) fn run(arguments: &[&str], directory: Option<&Path>) -> Output {
    pointsman(arguments, directory).output().unwrap()
}

/// Runs a command that must succeed and prints JSON.
pub(crate) fn json(arguments: &[&str], directory: Option<&Path>) -> Value {
    let output = run(arguments, directory);
    assert_eq!(output.status.code(), Some(0), "{arguments:?}: {}", error(&output));
    serde_json::from_slice(&output.stdout).unwrap()
}

pub(crate) fn error(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

pub(crate) struct Serving {
    pub(crate) child: Child,
    pub(crate) address: String,
}

impl Serving {
    pub(crate) fn on(directory: &Path) -> Serving {
        Serving::start(pointsman(&["serve", "--listen", "127.0.0.1:0"], Some(directory)))
    }

    pub(crate) fn start(mut command: Command) -> Serving {
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
        let mut ready = String::new();
        BufReader::new(child.stdout.as_mut().unwrap()).read_line(&mut ready).unwrap();
        let address = ready.trim_end().strip_prefix("pointsman ready on http://").expect("it is ready").to_owned();
        Serving { child, address }
    }

    pub(crate) fn send(&self, method: &str, path: &str, form: &str) -> (u16, Value) {
        let mut stream = TcpStream::connect(&self.address).unwrap();
        let head = format!(
            "{method} {path} HTTP/1.0\r\nHost: {}\r\nAuthorization: Basic {AUTHORIZATION}\r\n\
             Content-Type: application/x-www-form-urlencoded\r\nContent-Length: {}\r\n\r\n{form}",
            self.address,
            form.len()
        );
        stream.write_all(head.as_bytes()).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        let status = answer.split(' ').nth(1).unwrap().parse().unwrap();
        let body = answer.split_once("\r\n\r\n").unwrap().1;
        (status, serde_json::from_str(body).unwrap_or(Value::Null))
    }

    /// Makes something and returns its sid.
    pub(crate) fn make(&self, path: &str, form: &str) -> String {
        let (status, made) = self.send("POST", path, form);
        assert_eq!(status, 201, "{made}");
        made["sid"].as_str().unwrap().to_owned()
    }

    pub(crate) fn stop(mut self) {
        let sent = Command::new("kill").args(["-TERM", &self.child.id().to_string()]).status().unwrap();
        assert!(sent.success());
        assert_eq!(self.child.wait().unwrap().code(), Some(0));
    }
}

/// A test that fails leaves no server behind. After [`Serving::stop`] there is nothing left to end.
impl Drop for Serving {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A workspace with a Worker and waiting Tasks. Returns its sid.
pub(crate) fn lively(serving: &Serving, tasks: u32) -> String {
    let workspace = serving.make("/v1/Workspaces", "FriendlyName=Lively&Template=FIFO");
    let path = format!("/v1/Workspaces/{workspace}");
    serving.make(&format!("{path}/Workers"), "FriendlyName=Ada");
    for number in 0..tasks {
        serving.make(&format!("{path}/Tasks"), &format!("Attributes=%7B%22number%22%3A{number}%7D"));
    }
    workspace
}
