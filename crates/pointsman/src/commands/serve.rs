//! `pointsman serve`.

use std::io::Write;
use std::time::Duration;

use anyhow::{Context, bail};
use pointsman_server::configuration::{self, Loaded};
use pointsman_server::{Server, logging, open_files};
use tokio::runtime::{self, Runtime};
use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::arguments::Settings;

/// How often the health of the engine threads is looked at.
const WATCH_INTERVAL: Duration = Duration::from_millis(500);

/// Runs the server until a signal stops it.
pub(crate) fn run(settings: &Settings) -> anyhow::Result<()> {
    let sources = settings.sources();
    let Loaded { configuration, .. } = configuration::load(&sources)?;
    logging::start(&configuration.log);
    for (given, known) in configuration::misspelt_variables(&sources.environment) {
        tracing::warn!(given, known, "an environment variable has no effect; did you mean the known one?");
    }
    log_panics();
    open_files::raise(&configuration);
    let runtime = runtime::Builder::new_multi_thread().enable_all().build().context("cannot start a runtime")?;
    run_on(runtime, async {
        let mut stop = Stop::new()?;
        let server = Server::start(configuration).await?;
        if let Some(account) = server.made_account() {
            eprintln!("A first account was made; its token is shown only now:");
            eprintln!("  POINTSMAN_ACCOUNT_SID={}", account.sid);
            eprintln!("  POINTSMAN_AUTH_TOKEN={}", account.auth_token);
        }
        let mut out = std::io::stdout();
        writeln!(out, "pointsman ready on http://{}", server.address())
            .and_then(|()| out.flush())
            .context("cannot write to standard output")?;

        let signal = loop {
            match tokio::time::timeout(WATCH_INTERVAL, stop.requested()).await {
                Ok(signal) => break signal,
                Err(_) if server.is_broken() => bail!("the server breaks its own assertions again and again"),
                Err(_) => {}
            }
        };
        tracing::info!(signal, "stopping");
        tokio::select! {
            () = server.stop() => {}
            signal = stop.requested() => bail!("stopped at once by a second {signal}; what was acknowledged is stored"),
        }
        tracing::info!("stopped");
        Ok(())
    })
}

/// Runs to the end, and does not wait for threads that are still blocked then: what must be stored is stored, and
/// nobody is left whom what they read is for.
fn run_on<T>(runtime: Runtime, serving: impl Future<Output = T>) -> T {
    let outcome = runtime.block_on(serving);
    runtime.shutdown_background();
    outcome
}

/// The signals that stop the server.
struct Stop {
    terminate: Signal,
    interrupt: Signal,
}

impl Stop {
    fn new() -> anyhow::Result<Stop> {
        let on = |kind| signal(kind).context("cannot listen to signals");
        Ok(Stop { terminate: on(SignalKind::terminate())?, interrupt: on(SignalKind::interrupt())? })
    }

    async fn requested(&mut self) -> &'static str {
        tokio::select! {
            _ = self.terminate.recv() => "SIGTERM",
            _ = self.interrupt.recv() => "SIGINT",
        }
    }
}

/// A broken assertion goes to the log, on one line, with its place.
fn log_panics() {
    std::panic::set_hook(Box::new(|panic| {
        let text = panic.payload().downcast_ref::<&str>().copied();
        let message =
            text.or_else(|| panic.payload().downcast_ref::<String>().map(String::as_str)).unwrap_or("no message");
        let place = panic.location().map(ToString::to_string).unwrap_or_default();
        tracing::error!(message, place, "assertion failed: this is a bug of pointsman");
    }));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_thread_that_is_blocked_does_not_keep_the_process() {
        let runtime = runtime::Builder::new_multi_thread().build().unwrap();
        let (end, ended) = std::sync::mpsc::channel::<()>();
        let (begin, begun) = std::sync::mpsc::channel();
        run_on(runtime, async {
            tokio::task::spawn_blocking(move || {
                begin.send(()).unwrap();
                ended.recv()
            });
            begun.recv().unwrap();
        });
        drop(end);
    }
}
