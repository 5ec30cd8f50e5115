//! Figures about the server itself. Reference: statistics, section 14.

use std::fmt::Write;
use std::time::Duration;

use pointsman_api::event_fields;
use pointsman_engine::PublicEvent;
use prometheus_client::encoding::{EncodeLabelSet, text};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::metrics::info::Info;
use prometheus_client::registry::{Registry, Unit};

/// Upper bounds of the buckets of latencies, in seconds.
const LATENCY_BUCKETS: [f64; 14] =
    [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0];

/// Every family, and the registry that writes them.
#[derive(Debug)]
pub(crate) struct Metrics {
    registry: Registry,
    requests: Family<RequestLabels, Histogram, fn() -> Histogram>,
    requests_in_flight: Gauge,
    callbacks: Family<CallbackLabels, Counter>,
    callback_durations: Family<CallbackKind, Histogram, fn() -> Histogram>,
    callbacks_waiting: Gauge,
    events: Family<EventLabels, Counter>,
    appended_bytes: Counter,
    append_durations: Histogram,
    requests_waiting: Gauge,
    event_streams: Gauge,
}

#[derive(Clone, PartialEq, Eq, Hash, Debug, EncodeLabelSet)]
struct RequestLabels {
    method: &'static str,
    route: &'static str,
    code: u16,
}

#[derive(Clone, PartialEq, Eq, Hash, Debug, EncodeLabelSet)]
struct CallbackLabels {
    kind: &'static str,
    outcome: &'static str,
}

#[derive(Clone, PartialEq, Eq, Hash, Debug, EncodeLabelSet)]
struct CallbackKind {
    kind: &'static str,
}

#[derive(Clone, PartialEq, Eq, Hash, Debug, EncodeLabelSet)]
struct EventLabels {
    event_type: &'static str,
}

fn latency() -> Histogram {
    Histogram::new(LATENCY_BUCKETS)
}

impl Metrics {
    pub(crate) fn new() -> Metrics {
        let mut registry = Registry::with_prefix("pointsman");
        let metrics = Metrics {
            requests: Family::new_with_constructor(latency),
            requests_in_flight: Gauge::default(),
            callbacks: Family::default(),
            callback_durations: Family::new_with_constructor(latency),
            callbacks_waiting: Gauge::default(),
            events: Family::default(),
            appended_bytes: Counter::default(),
            append_durations: latency(),
            requests_waiting: Gauge::default(),
            event_streams: Gauge::default(),
            registry: Registry::default(),
        };
        let build = Info::new(vec![("version", env!("CARGO_PKG_VERSION"))]);
        registry.register("build", "The running program", build);
        registry.register_with_unit(
            "http_request_duration",
            "Time to answer a request",
            Unit::Seconds,
            metrics.requests.clone(),
        );
        registry.register("http_requests_in_flight", "Requests being answered", metrics.requests_in_flight.clone());
        registry.register("requests_waiting", "Requests that wait for an engine", metrics.requests_waiting.clone());
        registry.register("event_streams", "Open streams of events", metrics.event_streams.clone());
        registry.register("callbacks", "Attempts to deliver a callback", metrics.callbacks.clone());
        registry.register_with_unit(
            "callback_duration",
            "Time of an attempt to deliver a callback",
            Unit::Seconds,
            metrics.callback_durations.clone(),
        );
        registry.register("callback_queue_length", "Undelivered callbacks", metrics.callbacks_waiting.clone());
        registry.register("events", "Events emitted", metrics.events.clone());
        registry.register_with_unit(
            "log_appended",
            "Bytes of records made durable",
            Unit::Bytes,
            metrics.appended_bytes.clone(),
        );
        registry.register_with_unit(
            "log_sync_duration",
            "Time to make a group of records durable",
            Unit::Seconds,
            metrics.append_durations.clone(),
        );
        Metrics { registry, ..metrics }
    }

    pub(crate) fn request_began(&self) {
        self.requests_in_flight.inc();
    }

    /// - `route`: the template of the path, or what kind of path it was; never the path itself.
    pub(crate) fn request_ended(&self, method: &'static str, route: &'static str, code: u16, took: Duration) {
        self.requests_in_flight.dec();
        self.requests.get_or_create(&RequestLabels { method, route, code }).observe(took.as_secs_f64());
    }

    pub(crate) fn requests_waiting(&self, count: usize) {
        self.requests_waiting.set(i64::try_from(count).unwrap_or(i64::MAX));
    }

    pub(crate) fn event_streams_open(&self, count: usize) {
        self.event_streams.set(i64::try_from(count).unwrap_or(i64::MAX));
    }

    pub(crate) fn callback(&self, kind: &'static str, outcome: &'static str, took: Duration) {
        self.callbacks.get_or_create(&CallbackLabels { kind, outcome }).inc();
        self.callback_durations.get_or_create(&CallbackKind { kind }).observe(took.as_secs_f64());
    }

    pub(crate) fn callbacks_waiting(&self, count: usize) {
        self.callbacks_waiting.set(i64::try_from(count).unwrap_or(i64::MAX));
    }

    pub(crate) fn published(&self, events: &[PublicEvent]) {
        for event in events {
            let event_type = event_fields::event_type(event.kind).name;
            self.events.get_or_create(&EventLabels { event_type }).inc();
        }
    }

    pub(crate) fn appended(&self, bytes: usize, took: Duration) {
        self.appended_bytes.inc_by(bytes as u64);
        self.append_durations.observe(took.as_secs_f64());
    }

    /// All figures and their media type: OpenMetrics for whoever accepts it, else the older text format.
    pub(crate) fn text(&self, accept: &str) -> (&'static str, String) {
        let mut out = String::new();
        text::encode(&mut out, &self.registry).expect("a String takes all text");
        if accept.contains("application/openmetrics-text") {
            return ("application/openmetrics-text; version=1.0.0; charset=utf-8", out);
        }
        ("text/plain; version=0.0.4; charset=utf-8", older_text(&out))
    }
}

/// Rewrites the lines that differ: families of counters and infos carry the name of their samples, units are unknown.
fn older_text(open_metrics: &str) -> String {
    let mut out = String::with_capacity(open_metrics.len());
    let mut help = "";
    for line in open_metrics.lines() {
        let mut words = line.splitn(4, ' ');
        match (words.next(), words.next(), words.next(), words.next()) {
            (Some("#"), Some("HELP"), Some(_), Some(text)) => help = text,
            (Some("#"), Some("TYPE"), Some(name), Some(kind)) => {
                let (suffix, kind) = match kind {
                    "counter" => ("_total", "counter"),
                    "info" => ("_info", "gauge"),
                    kind => ("", kind),
                };
                writeln!(out, "# HELP {name}{suffix} {help}\n# TYPE {name}{suffix} {kind}")
                    .expect("a String takes all text");
            }
            (Some("#"), Some("UNIT" | "EOF"), _, _) => {}
            _ => {
                out.push_str(line);
                out.push('\n');
            }
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_formats_name_counters_and_infos_as_their_readers_expect() {
        let metrics = Metrics::new();
        metrics.appended(7, Duration::from_millis(1));
        metrics.callback("event", "ok", Duration::from_millis(3));
        let (media_type, open) = metrics.text("application/openmetrics-text; version=1.0.0");
        assert!(media_type.starts_with("application/openmetrics-text"));
        assert!(open.contains("# TYPE pointsman_callbacks counter\n"), "{open}");
        assert!(open.contains("pointsman_callbacks_total{kind=\"event\",outcome=\"ok\"} 1\n"), "{open}");
        assert!(open.contains("pointsman_log_appended_bytes_total 7\n"), "{open}");
        assert!(open.contains("# TYPE pointsman_build info\n"), "{open}");
        assert!(open.ends_with("# EOF\n"), "{open}");
        let (media_type, older) = metrics.text("*/*");
        assert!(media_type.starts_with("text/plain"));
        assert!(older.contains("# TYPE pointsman_callbacks_total counter\n"), "{older}");
        assert!(older.contains("# TYPE pointsman_build_info gauge\n"), "{older}");
        assert!(!older.contains("# UNIT") && !older.contains("# EOF"), "{older}");
    }
}
