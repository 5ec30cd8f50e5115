//! The log: one event per line on standard error.

use std::io::IsTerminal;

use tracing_subscriber::EnvFilter;

use crate::configuration::{Log, LogFormat};

/// Begins to log. Only the first call of a process has an effect.
pub fn start(log: &Log) {
    let filter = EnvFilter::try_new(&log.level).expect("the configuration was checked");
    // A line that cannot be written is lost; to complain of it on the same standard error would end the process.
    let builder =
        tracing_subscriber::fmt().log_internal_errors(false).with_env_filter(filter).with_writer(std::io::stderr);
    // A second subscriber is refused: tests start many servers in one process.
    let _ = match log.format {
        LogFormat::Json => builder.json().flatten_event(true).try_init(),
        LogFormat::Text => builder.with_ansi(std::io::stderr().is_terminal()).try_init(),
    };
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
