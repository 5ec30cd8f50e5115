//! Whole requests: closed loops for the rate, open arrivals for latency.

use std::path::PathBuf;
use std::process::Stdio;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use base64::Engine as _;
use clap::Args;
use hdrhistogram::Histogram;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};
use tokio::sync::Mutex;

use crate::client::Connection;

#[derive(Args)]
pub(crate) struct Options {
    /// The server to measure
    #[arg(long, default_value = "target/release/pointsman")]
    binary: PathBuf,
    /// Connections, each with one request at a time
    #[arg(long, default_value_t = 64)]
    connections: usize,
    /// Seconds of each measurement
    #[arg(long, default_value_t = 5)]
    seconds: u64,
    /// Rounds; echo and server take turns, and medians are shown
    #[arg(long, default_value_t = 3)]
    rounds: usize,
}

pub(crate) const ACCOUNT: &str = "AC00000000000000000000000000000001";
pub(crate) const TOKEN: &str = "0123456789abcdef0123456789abcdef";
pub(crate) const ATTRIBUTES: &str = r#"{"type":"support","customer":"Ada Lovelace","tier":"gold","language":"en"}"#;

pub(crate) fn run(options: &Options) -> Result<()> {
    tokio::runtime::Builder::new_multi_thread().enable_all().build()?.block_on(measure(options))
}

/// A process that is stopped when it is no longer needed.
struct Served {
    child: Child,
    address: String,
}

async fn start(mut command: Command) -> Result<Served> {
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::null()).kill_on_drop(true).spawn()?;
    let stdout = child.stdout.take().context("no standard output")?;
    let mut lines = BufReader::new(stdout).lines();
    let line = tokio::time::timeout(Duration::from_secs(20), lines.next_line()).await??;
    let line = line.context("the process ended before it was ready")?;
    let address = line.split("http://").nth(1).with_context(|| format!("no address in {line:?}"))?.trim().to_string();
    Ok(Served { child, address })
}

#[expect(clippy::disallowed_methods, reason = "measuring is the point")]
async fn measure(options: &Options) -> Result<()> {
    let data = tempfile::tempdir()?;
    let mut command = Command::new(std::env::current_exe()?);
    command.arg("echo");
    let mut echo = start(command).await?;
    let mut command = Command::new(&options.binary);
    command.args(["serve", "--listen", "127.0.0.1:0", "--data-dir"]).arg(data.path());
    command.env("POINTSMAN_ACCOUNT_SID", ACCOUNT).env("POINTSMAN_AUTH_TOKEN", TOKEN);
    let mut server = start(command).await.with_context(|| format!("failed to start {}", options.binary.display()))?;
    let basic = base64::engine::general_purpose::STANDARD.encode(format!("{ACCOUNT}:{TOKEN}"));
    let authorization = format!("Basic {basic}");
    let workspace = set_up(&server.address, &authorization, options.connections).await?;

    let window = Duration::from_secs(options.seconds);
    let (mut echoes, mut cycles, mut reads) = (Vec::new(), Vec::new(), Vec::new());
    for round in 1..=options.rounds {
        let rate = closed(options.connections, window, &echo.address, &authorization, Work::Echo).await?;
        echoes.push(rate);
        let work = Work::LifeCycle { workspace: workspace.clone() };
        cycles.push(closed(options.connections, window, &server.address, &authorization, work).await?);
        let work = Work::Read { task: waiting_task(&server.address, &authorization, &workspace).await? };
        reads.push(closed(options.connections, window, &server.address, &authorization, work).await?);
        eprintln!("round {round} of {} done", options.rounds);
    }
    let (echo_rate, cycle_rate, read_rate) = (median(echoes), median(cycles), median(reads));
    println!(
        "{} connections, {} rounds of {} s, medians of requests per second",
        options.connections, options.rounds, options.seconds
    );
    println!("  bare echo                  {echo_rate:>9.0}");
    println!("  durable life cycle         {cycle_rate:>9.0}   ratio {:.2}", cycle_rate / echo_rate);
    println!("  read one task              {read_rate:>9.0}   ratio {:.2}", read_rate / echo_rate);

    let half = cycle_rate / 8.0;
    let began = Instant::now();
    let latencies = open(options.connections, window * 2, half, &server.address, &authorization, &workspace).await?;
    println!(
        "open arrivals of {half:.0} life cycles/s (half of the rate above), {} requests in {:.0} s",
        latencies.len(),
        began.elapsed().as_secs_f64()
    );
    for (name, quantile) in [("p50", 0.5), ("p90", 0.9), ("p99", 0.99), ("p99.9", 0.999), ("max", 1.0)] {
        println!("  {name:<6} {:>8.2} ms", latencies.value_at_quantile(quantile) as f64 / 1000.0);
    }
    for served in [&mut echo, &mut server] {
        served.child.kill().await?;
    }
    Ok(())
}

fn median(mut rates: Vec<f64>) -> f64 {
    rates.sort_by(f64::total_cmp);
    rates[rates.len() / 2]
}

/// A Workspace with as many Workers as there are connections, one queue and one Workflow.
pub(crate) async fn set_up(address: &str, authorization: &str, workers: usize) -> Result<String> {
    let mut connection = Connection::open(address, authorization).await?;
    let made = connection.post("/v1/Workspaces", &[("FriendlyName", "Bench"), ("Template", "FIFO")]).await?;
    let workspace = format!("/v1/Workspaces/{}", made.text("sid")?);
    // A life cycle that a window cut off leaves its offer behind: it must not time out and take a Worker along.
    let workflows = connection.get(&format!("{workspace}/Workflows")).await?;
    let workflow = format!("{workspace}/Workflows/{}", workflows.text("sid")?);
    let patient = connection.post(&workflow, &[("TaskReservationTimeout", "86400")]).await?;
    expect(patient.status, 200, &patient.body)?;
    let activities = connection.get(&format!("{workspace}/Activities?FriendlyName=Available")).await?;
    let available = activities.text("sid")?.to_string();
    for number in 0..workers * 2 {
        let name = format!("Worker {number}");
        let form = [("FriendlyName", name.as_str()), ("ActivitySid", available.as_str())];
        let made = connection.post(&format!("{workspace}/Workers"), &form).await?;
        if made.status != 201 {
            bail!("failed to make a worker: {}", made.body);
        }
    }
    Ok(workspace)
}

async fn waiting_task(address: &str, authorization: &str, workspace: &str) -> Result<String> {
    let mut connection = Connection::open(address, authorization).await?;
    let form = [("Attributes", ATTRIBUTES), ("TaskChannel", "video")];
    let made = connection.post(&format!("{workspace}/Tasks"), &form).await?;
    Ok(format!("{workspace}/Tasks/{}", made.text("sid")?))
}

#[derive(Clone)]
pub(crate) enum Work {
    Echo,
    LifeCycle { workspace: String },
    Read { task: String },
}

/// Requests per second with every connection always busy.
#[expect(clippy::disallowed_methods, reason = "measuring is the point")]
pub(crate) async fn closed(
    connections: usize,
    window: Duration,
    address: &str,
    authorization: &str,
    work: Work,
) -> Result<f64> {
    let began = Instant::now();
    let mut running = Vec::new();
    for _ in 0..connections {
        let mut connection = Connection::open(address, authorization).await?;
        let work = work.clone();
        running.push(tokio::spawn(async move {
            let mut requests = 0_u64;
            while began.elapsed() < window {
                requests += match &work {
                    Work::Echo => {
                        let answer = connection.post("/", &[("Attributes", ATTRIBUTES), ("Priority", "5")]).await?;
                        expect(answer.status, 200, &answer.body)?;
                        1
                    }
                    Work::LifeCycle { workspace } => life_cycle(&mut connection, workspace).await?,
                    Work::Read { task } => {
                        let answer = connection.get(task).await?;
                        expect(answer.status, 200, &answer.body)?;
                        1
                    }
                };
            }
            Ok::<u64, anyhow::Error>(requests)
        }));
    }
    let mut requests = 0;
    for task in running {
        requests += task.await??;
    }
    Ok(requests as f64 / began.elapsed().as_secs_f64())
}

/// Create, find the offer, accept, complete: four requests, each durable or read after what is durable.
async fn life_cycle(connection: &mut Connection, workspace: &str) -> Result<u64> {
    let made = connection.post(&format!("{workspace}/Tasks"), &[("Attributes", ATTRIBUTES), ("Priority", "5")]).await?;
    expect(made.status, 201, &made.body)?;
    let task = format!("{workspace}/Tasks/{}", made.text("sid")?);
    let offers = connection.get(&format!("{task}/Reservations")).await?;
    let offer = format!("{task}/Reservations/{}", offers.text("sid")?);
    let accepted = connection.post(&offer, &[("ReservationStatus", "accepted")]).await?;
    expect(accepted.status, 200, &accepted.body)?;
    let completed = connection.post(&task, &[("AssignmentStatus", "completed"), ("Reason", "done")]).await?;
    expect(completed.status, 200, &completed.body)?;
    Ok(4)
}

pub(crate) fn expect(found: u16, expected: u16, body: &str) -> Result<()> {
    if found == expected { Ok(()) } else { bail!("status {found} instead of {expected}: {body}") }
}

/// Life cycles that begin at a fixed rate whatever became of those before; µs per request, waiting included.
#[expect(clippy::disallowed_methods, reason = "measuring is the point")]
async fn open(
    connections: usize,
    window: Duration,
    rate: f64,
    address: &str,
    authorization: &str,
    workspace: &str,
) -> Result<Histogram<u64>> {
    let latencies = Arc::new(Mutex::new(Histogram::<u64>::new(3)?));
    let interval = Duration::from_secs_f64(1.0 / rate);
    let began = Instant::now();
    let arrivals = (window.as_secs_f64() * rate) as u32;
    let next = Arc::new(std::sync::atomic::AtomicU32::new(0));
    let mut running = Vec::new();
    for _ in 0..connections {
        let mut connection = Connection::open(address, authorization).await?;
        let (latencies, next, workspace) = (latencies.clone(), next.clone(), workspace.to_string());
        running.push(tokio::spawn(async move {
            loop {
                let number = next.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
                if number >= arrivals {
                    return Ok::<(), anyhow::Error>(());
                }
                let due = began + interval * number;
                tokio::time::sleep_until(due.into()).await;
                let requests = life_cycle(&mut connection, &workspace).await?;
                let each = due.elapsed().as_micros() as u64 / requests;
                latencies.lock().await.record_n(each.max(1), requests)?;
            }
        }));
    }
    for task in running {
        task.await??;
    }
    Ok(Arc::into_inner(latencies).expect("everybody has finished").into_inner())
}
