//! The log: one event per line on standard error.

mod bound;

use std::io::IsTerminal;

use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{EnvFilter, Layer};

use crate::configuration::{Log, LogFormat};

use self::bound::Bound;

/// Begins to log. Only the first call of a process has an effect.
pub fn start(log: &Log) {
    let filter = EnvFilter::try_new(&log.level).expect("the configuration was checked");
    // A line that cannot be written is lost; to complain of it on the same standard error would end the process.
    let lines = tracing_subscriber::fmt::layer().log_internal_errors(false).with_writer(std::io::stderr);
    let lines = match log.format {
        LogFormat::Json => lines.json().flatten_event(true).boxed(),
        LogFormat::Text => lines.with_ansi(std::io::stderr().is_terminal()).boxed(),
    };
    // A second subscriber is refused: tests start many servers in one process.
    let _ = tracing_subscriber::registry().with(lines).with(Bound::default()).with(filter).try_init();
}

/// An error with everything that lies under it, on one line.
pub fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        source = cause.source();
    }
    text
}
