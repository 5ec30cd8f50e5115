//! A server under a steady load for minutes: latencies, memory and disk, and what goes on in the background meanwhile.
//!
//! Life cycles arrive at a fixed rate whatever became of those before. What the server does in the background it tells
//! in its log: each line says how long something took, so it is known which requests it went beside.

mod report;

use std::io::IsTerminal;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use base64::Engine as _;
use clap::Args;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, ChildStderr, Command};

use crate::client::Connection;
use crate::http::{ACCOUNT, ATTRIBUTES, TOKEN, Work, closed, expect, set_up};

#[derive(Args)]
pub(crate) struct Options {
    /// The server to measure
    #[arg(long, default_value = "target/release/pointsman")]
    binary: PathBuf,
    /// How long
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u32).range(1..=1_440))]
    minutes: u32,
    /// Life cycles per second; by default half of what a measurement of ten seconds shows to be possible
    #[arg(long)]
    rate: Option<f64>,
    /// Connections, each with one request at a time
    #[arg(long, default_value_t = 64)]
    connections: usize,
    /// Changes after which the server takes a snapshot
    #[arg(long, default_value_t = 50_000)]
    snapshot_records: u32,
    /// Tasks that wait from the beginning to the end, so that a snapshot has something in it
    #[arg(long, default_value_t = 20_000)]
    waiting: u32,
    /// Where the data directory is made; by default where the system has its temporary files
    #[arg(long)]
    directory: Option<PathBuf>,
    /// Where sustained.csv, sustained.svg and sustained.md are written
    #[arg(long, default_value = "docs/benchmarks")]
    out: PathBuf,
}

const WAITING: &str = r#"{"waits":true,"type":"support","customer":"Ada Lovelace","language":"en"}"#;
const CAPACITY_WINDOW: Duration = Duration::from_secs(10);
/// Requests of one life cycle: create, find the offer, accept, complete.
const REQUESTS: u64 = 4;

/// One request or commit, in µs since the beginning.
#[derive(Clone, Copy)]
struct Sample {
    /// When it was due, or began.
    began: u64,
    took: u64,
}

/// What the server did in the background.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Activity {
    Snapshot,
    Trim,
    Projection,
}

impl Activity {
    const ALL: [Activity; 3] = [Activity::Snapshot, Activity::Trim, Activity::Projection];

    fn name(self) -> &'static str {
        match self {
            Activity::Snapshot => "snapshot",
            Activity::Trim => "trim",
            Activity::Projection => "projection",
        }
    }

    fn of(message: &str) -> Option<Activity> {
        match message {
            "took a snapshot" => Some(Activity::Snapshot),
            "trimmed the journal" => Some(Activity::Trim),
            "wrote to the event history" => Some(Activity::Projection),
            _ => None,
        }
    }
}

/// When it did it, in µs since the beginning.
#[derive(Clone, Copy)]
struct Span {
    activity: Activity,
    from: u64,
    to: u64,
}

/// What one second ended with, in bytes.
#[derive(Clone, Copy, Default)]
struct Sizes {
    memory: u64,
    journal: u64,
    log: u64,
    snapshots: u64,
    history: u64,
}

/// All that was measured.
struct Run {
    rate: f64,
    capacity: Option<f64>,
    waiting: u32,
    snapshot_records: u32,
    requests: Vec<Sample>,
    /// What the server itself says of its commits.
    commits: Vec<Sample>,
    spans: Vec<Span>,
    /// One for each second.
    sizes: Vec<Sizes>,
}

pub(crate) fn run(options: &Options) -> Result<()> {
    let run = tokio::runtime::Builder::new_multi_thread().enable_all().build()?.block_on(measure(options))?;
    let table = report::table(&run);
    println!("{table}");
    std::fs::create_dir_all(&options.out)?;
    for (name, text) in [
        ("sustained.csv", report::csv(&run)),
        ("sustained.svg", report::svg(&run)),
        ("sustained.md", report::page(&table)),
    ] {
        let path = options.out.join(name);
        std::fs::write(&path, text).with_context(|| format!("failed to write {}", path.display()))?;
        eprintln!("wrote {}", path.display());
    }
    Ok(())
}

#[expect(clippy::disallowed_methods, reason = "measuring is the point")]
async fn measure(options: &Options) -> Result<Run> {
    let data = match &options.directory {
        Some(directory) => tempfile::tempdir_in(directory)?,
        None => tempfile::tempdir()?,
    };
    let (mut server, address, log) = start(options, data.path()).await?;
    let started = Instant::now();
    // From the beginning: a log that nobody reads stops the server.
    let told = tokio::spawn(read_log(log, started));
    let credentials = base64::engine::general_purpose::STANDARD.encode(format!("{ACCOUNT}:{TOKEN}"));
    let authorization = format!("Basic {credentials}");
    let workspace = set_up(&address, &authorization, options.connections).await?;
    add_waiting(&address, &authorization, &workspace, options.waiting).await?;
    let (rate, capacity) = if let Some(rate) = options.rate {
        (rate, None)
    } else {
        let work = Work::LifeCycle { workspace: workspace.clone() };
        let requests = closed(options.connections, CAPACITY_WINDOW, &address, &authorization, work).await?;
        let capacity = requests / REQUESTS as f64;
        (capacity / 2.0, Some(capacity))
    };

    let began = Instant::now();
    let is_over = Arc::new(AtomicBool::new(false));
    let seconds = u64::from(options.minutes) * 60;
    let done = Arc::new(AtomicU64::new(0));
    let process = server.id().context("the server has ended")?;
    let watched = tokio::spawn(watch(
        process,
        data.path().to_path_buf(),
        began,
        seconds,
        Arc::clone(&done),
        Arc::clone(&is_over),
    ));
    let requests = load(options, rate, began, (&address, &authorization, &workspace), &done).await?;
    is_over.store(true, Ordering::Release);
    let sizes = watched.await?;
    server.kill().await?;
    let Told { commits, spans } = told.await?.since(micros(began - started));
    Ok(Run {
        rate,
        capacity,
        waiting: options.waiting,
        snapshot_records: options.snapshot_records,
        requests,
        commits,
        spans,
        sizes,
    })
}

/// A server that says in its log what it does in the background; it is killed when it is no longer needed.
async fn start(options: &Options, data: &Path) -> Result<(Child, String, ChildStderr)> {
    let mut command = Command::new(&options.binary);
    command.args(["serve", "--listen", "127.0.0.1:0", "--log-format", "json", "--data-dir"]).arg(data);
    command.args([
        "--log-level",
        "warn,pointsman_server::maintenance=debug,pointsman_server::projector=debug,pointsman_server::commit=trace",
    ]);
    command.env("POINTSMAN_ACCOUNT_SID", ACCOUNT).env("POINTSMAN_AUTH_TOKEN", TOKEN);
    command.env("POINTSMAN_SNAPSHOT_RECORDS", options.snapshot_records.to_string());
    command.stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
    let mut server = command.spawn().with_context(|| format!("failed to start {}", options.binary.display()))?;
    let mut lines = BufReader::new(server.stdout.take().context("no standard output")?).lines();
    let line = tokio::time::timeout(Duration::from_secs(20), lines.next_line()).await??;
    let line = line.context("the server ended before it was ready")?;
    let address = line.split("http://").nth(1).with_context(|| format!("no address in {line:?}"))?.trim().to_owned();
    let log = server.stderr.take().context("no standard error")?;
    Ok((server, address, log))
}

/// Tasks in a queue without Workers, to which the one Workflow leads those with an attribute.
async fn add_waiting(address: &str, authorization: &str, workspace: &str, count: u32) -> Result<()> {
    let mut connection = Connection::open(address, authorization).await?;
    let queues = connection.get(&format!("{workspace}/TaskQueues")).await?;
    let workflows = connection.get(&format!("{workspace}/Workflows")).await?;
    let form = [("FriendlyName", "Nobody"), ("TargetWorkers", "1==2")];
    let nobody = connection.post(&format!("{workspace}/TaskQueues"), &form).await?;
    let (everybody, nobody) = (queues.text("sid")?, nobody.text("sid")?);
    let configuration = format!(
        r#"{{"task_routing":{{"filters":[{{"expression":"waits==true","targets":[{{"queue":"{nobody}"}}]}}],"default_filter":{{"queue":"{everybody}"}}}}}}"#
    );
    let workflow = format!("{workspace}/Workflows/{}", workflows.text("sid")?);
    let updated = connection.post(&workflow, &[("Configuration", configuration.as_str())]).await?;
    expect(updated.status, 200, &updated.body)?;
    let next = Arc::new(AtomicU32::new(0));
    let mut running = Vec::new();
    for _ in 0..16 {
        let mut connection = Connection::open(address, authorization).await?;
        let (next, path) = (Arc::clone(&next), format!("{workspace}/Tasks"));
        running.push(tokio::spawn(async move {
            let form = [("Attributes", WAITING), ("Timeout", "864000")];
            while next.fetch_add(1, Ordering::Relaxed) < count {
                let made = connection.post(&path, &form).await?;
                expect(made.status, 201, &made.body)?;
            }
            Ok::<(), anyhow::Error>(())
        }));
    }
    for task in running {
        task.await??;
    }
    Ok(())
}

async fn load(
    options: &Options,
    rate: f64,
    began: Instant,
    (address, authorization, workspace): (&str, &str, &str),
    done: &Arc<AtomicU64>,
) -> Result<Vec<Sample>> {
    let interval = Duration::from_secs_f64(1.0 / rate);
    let arrivals = (f64::from(options.minutes) * 60.0 * rate) as u32;
    let next = Arc::new(AtomicU32::new(0));
    let mut running = Vec::new();
    for _ in 0..options.connections {
        let mut connection = Connection::open(address, authorization).await?;
        let (next, done, workspace) = (Arc::clone(&next), Arc::clone(done), workspace.to_owned());
        running.push(tokio::spawn(async move {
            let mut samples = Vec::new();
            loop {
                let number = next.fetch_add(1, Ordering::Relaxed);
                if number >= arrivals {
                    return Ok::<Vec<Sample>, anyhow::Error>(samples);
                }
                let due = began + interval * number;
                tokio::time::sleep_until(due.into()).await;
                life_cycle(&mut connection, &workspace, began, due, &mut samples).await?;
                done.fetch_add(REQUESTS, Ordering::Relaxed);
            }
        }));
    }
    let mut samples = Vec::new();
    for task in running {
        samples.extend(task.await??);
    }
    samples.sort_unstable_by_key(|sample| sample.began);
    Ok(samples)
}

/// The first request counts from when it was due, so that waiting for a free connection is in it.
#[expect(clippy::disallowed_methods, reason = "measuring is the point")]
async fn life_cycle(
    connection: &mut Connection,
    workspace: &str,
    began: Instant,
    due: Instant,
    samples: &mut Vec<Sample>,
) -> Result<()> {
    let mut from = due;
    let mut note = || {
        let now = Instant::now();
        samples.push(Sample { began: micros(from - began), took: micros(now - from) });
        from = now;
    };
    let form = [("Attributes", ATTRIBUTES), ("Priority", "5")];
    let made = connection.post(&format!("{workspace}/Tasks"), &form).await?;
    note();
    expect(made.status, 201, &made.body)?;
    let task = format!("{workspace}/Tasks/{}", made.text("sid")?);
    let offers = connection.get(&format!("{task}/Reservations")).await?;
    note();
    let offer = format!("{task}/Reservations/{}", offers.text("sid")?);
    let accepted = connection.post(&offer, &[("ReservationStatus", "accepted")]).await?;
    note();
    expect(accepted.status, 200, &accepted.body)?;
    let completed = connection.post(&task, &[("AssignmentStatus", "completed"), ("Reason", "done")]).await?;
    note();
    expect(completed.status, 200, &completed.body)
}

fn micros(duration: Duration) -> u64 {
    duration.as_micros() as u64
}

/// What the server says of itself.
#[derive(Default)]
struct Told {
    commits: Vec<Sample>,
    spans: Vec<Span>,
}

impl Told {
    /// What came after an instant, by its time since then.
    fn since(mut self, instant: u64) -> Told {
        self.commits.retain(|commit| instant <= commit.began);
        self.commits.iter_mut().for_each(|commit| commit.began -= instant);
        self.spans.retain(|span| instant <= span.to);
        for span in &mut self.spans {
            *span = Span { from: span.from.saturating_sub(instant), to: span.to - instant, ..*span };
        }
        self
    }
}

/// What the server did, by the lines of its log, until it ends.
async fn read_log(log: ChildStderr, began: Instant) -> Told {
    let mut lines = BufReader::new(log).lines();
    let mut told = Told::default();
    while let Ok(Some(line)) = lines.next_line().await {
        let to = micros(began.elapsed());
        let Ok(event) = serde_json::from_str::<serde_json::Value>(&line) else {
            eprintln!("{line}");
            continue;
        };
        if event["message"] == "committed" {
            let took = event["took_us"].as_u64().unwrap_or_default();
            told.commits.push(Sample { began: to.saturating_sub(took), took });
            continue;
        }
        match event["message"].as_str().and_then(Activity::of) {
            Some(activity) => {
                let took = event["took_ms"].as_u64().unwrap_or_default() * 1_000;
                told.spans.push(Span { activity, from: to.saturating_sub(took), to });
            }
            None if event["level"] != "DEBUG" => eprintln!("{line}"),
            None => {}
        }
    }
    told
}

/// Looks at the server once a second, and shows how far it is.
async fn watch(
    process: u32,
    data: PathBuf,
    began: Instant,
    seconds: u64,
    done: Arc<AtomicU64>,
    is_over: Arc<AtomicBool>,
) -> Vec<Sizes> {
    let mut sizes = Vec::new();
    let is_terminal = std::io::stderr().is_terminal();
    while !is_over.load(Ordering::Acquire) && (sizes.len() as u64) < seconds {
        let next = began + Duration::from_secs(sizes.len() as u64 + 1);
        tokio::time::sleep_until(next.into()).await;
        sizes.push(look(process, &data));
        let second = sizes.len() as u64;
        let requests = done.load(Ordering::Relaxed);
        if is_terminal {
            let full = (second * 40 / seconds) as usize;
            eprint!("\r[{}{}] {second} of {seconds} s, {requests} requests ", "#".repeat(full), ".".repeat(40 - full));
        } else if second.is_multiple_of(30) {
            eprintln!("{second} of {seconds} s, {requests} requests");
        }
    }
    if is_terminal {
        eprintln!();
    }
    sizes
}

/// What cannot be read counts as nothing: files come and go.
fn look(process: u32, data: &Path) -> Sizes {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).unwrap_or_default();
    let resident = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kib = resident.and_then(|text| text.trim().trim_end_matches(" kB").parse::<u64>().ok());
    let length = |name: &str| std::fs::metadata(data.join(name)).map_or(0, |metadata| metadata.len());
    let below = |name: &str| {
        let entries = std::fs::read_dir(data.join(name)).into_iter().flatten().flatten();
        entries.map(|entry| entry.metadata().map_or(0, |metadata| metadata.len())).sum()
    };
    Sizes {
        memory: kib.unwrap_or_default() * 1_024,
        journal: length("journal.sqlite"),
        log: length("journal.sqlite-wal"),
        snapshots: below("snapshots"),
        history: below("history"),
    }
}
