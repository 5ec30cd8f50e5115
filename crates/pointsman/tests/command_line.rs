//! The operator's contract: options, variables, the ready line, signals and exit codes of the real program.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};

/// The program with nothing of the caller's environment that could change what it does.
fn pointsman(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_pointsman"));
    command.args(arguments).stdin(Stdio::null());
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("POINTSMAN_") {
            command.env_remove(name);
        }
    }
    command
}

fn run(arguments: &[&str]) -> Output {
    pointsman(arguments).output().unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

/// A server that was started and is ready.
struct Serving {
    child: Child,
    address: String,
    ready: String,
}

impl Serving {
    fn start(command: &mut Command) -> Serving {
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let mut ready = String::new();
        BufReader::new(child.stdout.as_mut().unwrap()).read_line(&mut ready).unwrap();
        let ready = ready.trim_end().to_owned();
        let address = ready.strip_prefix("pointsman ready on http://").unwrap_or_else(|| {
            let mut log = String::new();
            child.stderr.as_mut().unwrap().read_to_string(&mut log).unwrap();
            panic!("no ready line but {ready:?}; log:\n{log}")
        });
        Serving { address: address.to_owned(), ready: ready.clone(), child }
    }

    fn in_directory(directory: &Path) -> Serving {
        Serving::start(pointsman(&["serve", "--listen", "127.0.0.1:0", "--data-dir"]).arg(directory))
    }

    /// Sends a signal and waits for the end. Returns the exit code and the log.
    fn stop(mut self, signal: &str) -> (Option<i32>, String) {
        let sent = Command::new("kill").args([signal, &self.child.id().to_string()]).status().unwrap();
        assert!(sent.success());
        let status = self.child.wait().unwrap();
        let mut log = String::new();
        self.child.stderr.take().unwrap().read_to_string(&mut log).unwrap();
        (status.code(), log)
    }

    /// A request of HTTP/1.0 and its whole answer.
    fn request(&self, line: &str, headers: &str) -> String {
        let mut stream = TcpStream::connect(&self.address).unwrap();
        write!(stream, "{line} HTTP/1.0\r\n{headers}\r\n").unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer
    }
}

/// A test that fails leaves no server behind. After [`Serving::stop`] there is nothing left to end.
impl Drop for Serving {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn both_signals_end_it_with_zero_and_a_snapshot() {
    let directory = tempfile::tempdir().unwrap();
    for signal in ["-TERM", "-INT"] {
        let serving = Serving::in_directory(directory.path());
        assert!(serving.request("GET /readyz", "").starts_with("HTTP/1.0 200 OK"));
        let (code, log) = serving.stop(signal);
        assert_eq!(code, Some(0), "{log}");
        assert!(log.contains("stopped"), "{log}");
    }
}

#[test]
fn the_ready_line_names_the_port_that_was_picked() {
    let serving = Serving::start(&mut pointsman(&["serve", "--listen", "localhost:0", "--in-memory"]));
    assert_eq!(serving.ready, format!("pointsman ready on http://{}", serving.address));
    let port: u16 = serving.address.strip_prefix("127.0.0.1:").unwrap().parse().unwrap();
    assert_ne!(port, 0);
    serving.stop("-TERM");
}

#[test]
fn an_idle_connection_does_not_hold_it_up() {
    let serving = Serving::start(&mut pointsman(&["serve", "--listen", "127.0.0.1:0", "--in-memory"]));
    let _idle = TcpStream::connect(&serving.address).unwrap();
    let (code, log) = serving.stop("-TERM");
    assert_eq!(code, Some(0), "{log}");
}

#[test]
fn the_first_account_is_told_once_on_standard_error() {
    let directory = tempfile::tempdir().unwrap();
    let (_, log) = Serving::in_directory(directory.path()).stop("-TERM");
    let token = log.lines().find_map(|line| line.trim().strip_prefix("POINTSMAN_AUTH_TOKEN=")).unwrap();
    assert_eq!(token.len(), 32);
    let (_, log) = Serving::in_directory(directory.path()).stop("-TERM");
    assert!(!log.contains("POINTSMAN_AUTH_TOKEN"), "{log}");
}

#[test]
fn the_environment_sets_the_first_account() {
    let mut command = pointsman(&["serve", "--listen", "127.0.0.1:0", "--in-memory"]);
    command.env("POINTSMAN_ACCOUNT_SID", format!("AC{}", "0".repeat(32))).env("POINTSMAN_AUTH_TOKEN", "secret");
    let serving = Serving::start(&mut command);
    // AC00000000000000000000000000000000:secret
    let authorization = "Authorization: Basic QUMwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDpzZWNyZXQ=\r\n";
    assert!(serving.request("GET /v1/Workspaces", authorization).starts_with("HTTP/1.0 200 OK"));
    let (_, log) = serving.stop("-TERM");
    assert!(!log.contains("secret"), "{log}");
}

#[test]
fn the_log_can_be_json_and_never_shows_on_standard_output() {
    let mut command = pointsman(&["serve", "--listen", "127.0.0.1:0", "--in-memory", "--log-format", "json"]);
    let mut serving = Serving::start(&mut command);
    let out = serving.child.stdout.take().unwrap();
    let (_, log) = serving.stop("-TERM");
    let json = log.lines().filter(|line| line.starts_with('{')).count();
    assert!(0 < json, "{log}");
    let mut rest = String::new();
    BufReader::new(out).read_to_string(&mut rest).unwrap();
    assert_eq!(rest, "");
}

#[test]
fn an_address_that_is_taken_ends_it_with_three() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let output = run(&["serve", "--in-memory", "--listen", &address]);
    assert_eq!(output.status.code(), Some(3));
    let error = text(&output.stderr);
    assert!(error.contains(&format!("cannot listen on {address}: Address already in use")), "{error}");
}

#[test]
fn a_data_directory_in_use_ends_it_with_four() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().to_str().unwrap();
    let serving = Serving::in_directory(directory.path());
    let output = run(&["serve", "--listen", "127.0.0.1:0", "--data-dir", path]);
    assert_eq!(output.status.code(), Some(4));
    assert!(text(&output.stderr).contains("is in use by another process"), "{}", text(&output.stderr));
    let output = run(&["account", "create", "--data-dir", path]);
    assert_eq!(output.status.code(), Some(4));
    assert!(text(&output.stderr).contains("stop the server first"), "{}", text(&output.stderr));
    serving.stop("-TERM");
}

#[test]
fn a_data_directory_that_cannot_be_made_ends_it_with_four() {
    let file = tempfile::NamedTempFile::new().unwrap();
    let path = file.path().join("below").display().to_string();
    let output = run(&["serve", "--listen", "127.0.0.1:0", "--data-dir", &path]);
    assert_eq!(output.status.code(), Some(4), "{}", text(&output.stderr));
    assert!(text(&output.stderr).contains(&path), "{}", text(&output.stderr));
}

#[test]
fn wrong_options_and_settings_end_it_with_two() {
    let output = run(&["serve", "--lisen", "x"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(text(&output.stderr).contains("--listen"), "{}", text(&output.stderr));
    let output = run(&["serve", "--clock", "fast"]);
    assert_eq!(output.status.code(), Some(2));
    assert_eq!(
        text(&output.stderr),
        "pointsman: option --clock: clock = \"fast\" is not accepted: expected system or virtual\n"
    );
    let output = run(&["serve", "--config", "/nowhere/pointsman.toml"]);
    assert_eq!(output.status.code(), Some(2));
    let error = text(&output.stderr);
    assert!(error.starts_with("pointsman: failed to read /nowhere/pointsman.toml: No such file"), "{error}");
}

#[test]
fn accounts_are_made_and_listed_while_no_server_runs() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().to_str().unwrap();
    let output = run(&["account", "create", "--data-dir", path, "--friendly-name", "Acme", "--json"]);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    let made: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let output = run(&["account", "list", "--data-dir", path, "--json"]);
    let listed: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(listed[0]["sid"], made["sid"]);
    assert_eq!(listed[0]["friendly_name"], "Acme");
    assert!(!text(&output.stdout).contains(made["auth_token"].as_str().unwrap()));
    // A server on it needs to make no account.
    let (_, log) = Serving::in_directory(directory.path()).stop("-TERM");
    assert!(!log.contains("A first account was made"), "{log}");
}

#[test]
fn config_show_tells_values_and_their_origin() {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    writeln!(file, "listen = '127.0.0.1:1'\nclock = 'virtual'").unwrap();
    let path = file.path().to_str().unwrap();
    let mut command = pointsman(&["config", "show", "--json", "--config", path, "--listen", "127.0.0.1:3"]);
    let output = command
        .env("POINTSMAN_LISTEN", "127.0.0.1:2")
        .env("POINTSMAN_AUTH_TOKEN", "secret")
        .env("POINTSMAN_ACCOUNT_SID", format!("AC{}", "0".repeat(32)))
        .output()
        .unwrap();
    let shown: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(shown["listen"], serde_json::json!({ "value": "127.0.0.1:3", "origin": "option --listen" }));
    assert_eq!(shown["clock"]["origin"], format!("{path}, line 2"));
    assert_eq!(shown["data_dir"]["origin"], "default");
    assert_eq!(shown["auth_token"]["value"], "(hidden)");
    assert!(!text(&output.stdout).contains("secret"));
    let table = text(&run(&["config", "show"]).stdout);
    assert!(table.contains("listen = \"127.0.0.1:8420\"  # default"), "{table}");
}

#[test]
fn help_and_version_answer_on_standard_output() {
    let help = run(&["--help"]);
    assert_eq!(help.status.code(), Some(0));
    for expected in ["serve", "account", "config", "Exit codes:"] {
        assert!(text(&help.stdout).contains(expected), "{expected}");
    }
    let version = text(&run(&["--version"]).stdout);
    assert_eq!(version.trim_end(), format!("pointsman {}", env!("CARGO_PKG_VERSION")));
    let serve = text(&run(&["serve", "--help"]).stdout);
    for option in ["--listen", "--data-dir", "--config", "--public-url", "--clock", "--in-memory", "POINTSMAN_LISTEN"] {
        assert!(serve.contains(option), "{option}");
    }
}
