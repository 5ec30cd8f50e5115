//! `pointsman serve`.

use std::io::Write;
use std::time::Duration;

use anyhow::{Context, bail};
use pointsman_server::configuration::{self, Loaded};
use pointsman_server::{Server, logging};
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
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().context("cannot start a runtime")?;
    runtime.block_on(async {
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
