//! The settings, one row each; the rest of the program and the documents read this table.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;

use ipnet::IpNet;
use pointsman_api::resources::RESOURCES;
use pointsman_engine::{DurationMs, Sid, Workspace};
use pointsman_token::keys::AccountSid;
use serde_json::{Value, json};
use url::Url;

use super::given::Given;
use super::{ClockMode, Configuration, LogFormat};
use crate::limits;

/// One thing that can be set.
#[derive(Debug)]
pub struct Setting {
    /// Key in the file.
    pub key: &'static str,
    /// What it is for, one sentence.
    pub doc: &'static str,
    /// What it takes, after "expected".
    pub accepts: &'static str,
    /// Whether its value is never shown.
    pub secret: bool,
    /// Sets it, or gives `None` when the value is not accepted.
    pub read: fn(&mut Configuration, &Given) -> Option<()>,
    /// Its value, for people and programs.
    pub show: fn(&Configuration) -> Value,
}

impl Setting {
    /// The environment variable: `POINTSMAN_` and the key in capitals with `_` for each dot.
    pub fn variable(&self) -> String {
        format!("POINTSMAN_{}", self.key.replace('.', "_").to_ascii_uppercase())
    }

    /// The option, as `serve` would spell it.
    pub fn option(&self) -> String {
        format!("--{}", self.key.replace(['.', '_'], "-"))
    }
}

const ADDRESS: &str = "an address and a port, such as 127.0.0.1:8420, [::1]:8420 or localhost:0";
const BOOLEAN: &str = "true or false";
const NETWORKS: &str = "networks, such as 10.0.0.0/8 or ::1";
const OBJECTS: &str = "a whole number from 1 to 1000000";
const OBJECTS_RANGE: std::ops::RangeInclusive<u32> = 1..=1_000_000;
const TASKS: &str = "a whole number from 1 to 4294967295";
const SECONDS: &str = "a whole number of seconds from 1 to 31536000";
const SECONDS_RANGE: std::ops::RangeInclusive<u32> = 1..=31_536_000;
const DAYS: &str = "a whole number from 1 to 36500";
const DAYS_RANGE: std::ops::RangeInclusive<u32> = 1..=36_500;

/// Every setting, in the order in which it is shown.
pub static SETTINGS: &[Setting] = &[
    Setting {
        key: "listen",
        doc: "Address and port to listen on; port 0 picks a free one.",
        accepts: ADDRESS,
        secret: false,
        read: |c, given| set(&mut c.listen, address(given)),
        show: |c| json!(c.listen.to_string()),
    },
    Setting {
        key: "data_dir",
        doc: "Directory that holds everything; made when it is not there.",
        accepts: "a path",
        secret: false,
        read: |c, given| set(&mut c.data_dir, path(given)),
        show: |c| json!(c.data_dir.display().to_string()),
    },
    Setting {
        key: "in_memory",
        doc: "Keep everything in memory and nothing on disk, for tests.",
        accepts: BOOLEAN,
        secret: false,
        read: |c, given| set(&mut c.in_memory, given.boolean()),
        show: |c| json!(c.in_memory),
    },
    Setting {
        key: "clock",
        doc: "Whether time runs with the system or moves only when told to.",
        accepts: "system or virtual",
        secret: false,
        read: |c, given| set(&mut c.clock, clock(given)),
        show: |c| match c.clock {
            ClockMode::System => json!("system"),
            ClockMode::Virtual => json!("virtual"),
        },
    },
    Setting {
        key: "public_url",
        doc: "What `url` and `links` begin with; by default what the request was sent to.",
        accepts: "an http or https URL without query and fragment",
        secret: false,
        read: |c, given| set(&mut c.public_url, public_url(given).map(Some)),
        show: |c| json!(c.public_url),
    },
    Setting {
        key: "trusted_proxies",
        doc: "Proxies whose X-Forwarded-Proto and X-Forwarded-Host count.",
        accepts: NETWORKS,
        secret: false,
        read: |c, given| set(&mut c.trusted_proxies, networks(given)),
        show: |c| show_networks(&c.trusted_proxies),
    },
    Setting {
        key: "cors_origins",
        doc: "Origins that browsers may call from; `*` is everyone.",
        accepts: "`*`, or origins such as https://agents.example.com",
        secret: false,
        read: |c, given| set(&mut c.cors_origins, origins(given)),
        show: |c| c.cors_origins.as_ref().map_or(json!("*"), |origins| json!(origins)),
    },
    Setting {
        key: "account_sid",
        doc: "Sid of the first account; made at the first start when not set.",
        accepts: "AC and 32 hexadecimal digits",
        secret: false,
        read: |c, given| set(&mut c.account.sid, account_sid(given).map(Some)),
        show: |c| json!(c.account.sid),
    },
    Setting {
        key: "auth_token",
        doc: "Auth token of the first account.",
        accepts: "1 to 128 printable characters without blanks",
        secret: true,
        read: |c, given| set(&mut c.account.auth_token, auth_token(given).map(Some)),
        show: |c| c.account.auth_token.as_ref().map_or(Value::Null, |_| json!("(hidden)")),
    },
    Setting {
        key: "threads",
        doc: "Threads that run workspaces; by default one per core, at most 16.",
        accepts: "a whole number from 1 to 256",
        secret: false,
        read: |c, given| set(&mut c.threads, given.integer(1..=limits::ENGINE_THREADS_MAX).map(Some)),
        show: |c| json!(c.threads),
    },
    Setting {
        key: "connections_max",
        doc: "Connections open at the same time; further ones wait.",
        accepts: "a whole number from 1 to 1000000",
        secret: false,
        read: |c, given| set(&mut c.connections_max, given.integer(1..=1_000_000)),
        show: |c| json!(c.connections_max),
    },
    Setting {
        key: "snapshot_records",
        doc: "Changes of a workspace after which it gets a new snapshot.",
        accepts: "a whole number from 100 to 10000000",
        secret: false,
        read: |c, given| set(&mut c.snapshot_records, given.integer(100..=10_000_000)),
        show: |c| json!(c.snapshot_records),
    },
    Setting {
        key: "limits.activities",
        doc: "Activities of a workspace.",
        accepts: OBJECTS,
        secret: false,
        read: |c, given| set(&mut c.limits.activities_max, given.integer(OBJECTS_RANGE)),
        show: |c| json!(c.limits.activities_max),
    },
    Setting {
        key: "limits.task_channels",
        doc: "Task channels of a workspace.",
        accepts: OBJECTS,
        secret: false,
        read: |c, given| set(&mut c.limits.task_channels_max, given.integer(OBJECTS_RANGE)),
        show: |c| json!(c.limits.task_channels_max),
    },
    Setting {
        key: "limits.workers",
        doc: "Workers of a workspace; unlimited by default.",
        accepts: OBJECTS,
        secret: false,
        read: |c, given| set(&mut c.limits.workers_max, given.integer(OBJECTS_RANGE).map(Some)),
        show: |c| json!(c.limits.workers_max),
    },
    Setting {
        key: "limits.task_queues",
        doc: "Task queues of a workspace; unlimited by default.",
        accepts: OBJECTS,
        secret: false,
        read: |c, given| set(&mut c.limits.task_queues_max, given.integer(OBJECTS_RANGE).map(Some)),
        show: |c| json!(c.limits.task_queues_max),
    },
    Setting {
        key: "limits.workflows",
        doc: "Workflows of a workspace; unlimited by default.",
        accepts: OBJECTS,
        secret: false,
        read: |c, given| set(&mut c.limits.workflows_max, given.integer(OBJECTS_RANGE).map(Some)),
        show: |c| json!(c.limits.workflows_max),
    },
    Setting {
        key: "limits.tasks",
        doc: "Tasks of a workspace that are not removed yet; unlimited by default.",
        accepts: TASKS,
        secret: false,
        read: |c, given| set(&mut c.limits.tasks_max, given.integer(1..=u32::MAX).map(Some)),
        show: |c| json!(c.limits.tasks_max),
    },
    Setting {
        key: "limits.task_assignments",
        doc: "Offers of a task before it is canceled.",
        accepts: OBJECTS,
        secret: false,
        read: |c, given| set(&mut c.limits.task_assignments_max, given.integer(OBJECTS_RANGE)),
        show: |c| json!(c.limits.task_assignments_max),
    },
    Setting {
        key: "limits.assigned_seconds",
        doc: "Time after which an accepted task is removed.",
        accepts: SECONDS,
        secret: false,
        read: |c, given| set(&mut c.limits.assigned_max, seconds(given)),
        show: |c| json!(c.limits.assigned_max.seconds()),
    },
    Setting {
        key: "limits.finished_seconds",
        doc: "Time after which a completed or canceled task is removed.",
        accepts: SECONDS,
        secret: false,
        read: |c, given| set(&mut c.limits.finished_retention, seconds(given)),
        show: |c| json!(c.limits.finished_retention.seconds()),
    },
    Setting {
        key: "limits.rates",
        doc: "Requests per second and workspace by resource key, such as Worker-Update = 50; off by default.",
        accepts: "a table of resource keys (resource and Create, Fetch, List, Update or Delete, such as Task-Create) and whole numbers from 1 to 1000000",
        secret: false,
        read: |c, given| {
            let rows = given.table()?.into_iter().map(|(key, rate)| {
                let rate = u32::try_from(rate).ok().filter(|rate| OBJECTS_RANGE.contains(rate))?;
                is_rate_key(&key).then_some((key, rate))
            });
            set(&mut c.rates, rows.collect())
        },
        show: |c| json!(c.rates),
    },
    Setting {
        key: "events.retention_days",
        doc: "Days that events are kept.",
        accepts: DAYS,
        secret: false,
        read: |c, given| set(&mut c.events_retention_days, given.integer(DAYS_RANGE)),
        show: |c| json!(c.events_retention_days),
    },
    Setting {
        key: "events.retention_days_of",
        doc: "The same for single workspaces that keep their events for a shorter or longer time.",
        accepts: "a table of at most 10000 workspace sids and whole numbers from 1 to 36500",
        secret: false,
        read: |c, given| set(&mut c.events_retention_days_of, days_of(given)),
        show: |c| c.events_retention_days_of.iter().map(|(workspace, days)| (workspace.to_string(), *days)).collect(),
    },
    Setting {
        key: "statistics.retention_days",
        doc: "Days that statistics reach back; no more than events are kept.",
        accepts: DAYS,
        secret: false,
        read: |c, given| set(&mut c.statistics_retention_days, given.integer(DAYS_RANGE)),
        show: |c| json!(c.statistics_retention_days),
    },
    Setting {
        key: "callbacks.user_agent",
        doc: "User-Agent of callbacks.",
        accepts: "1 to 256 printable ASCII characters",
        secret: false,
        read: |c, given| set(&mut c.callbacks.user_agent, user_agent(given)),
        show: |c| json!(c.callbacks.user_agent),
    },
    Setting {
        key: "callbacks.ca_file",
        doc: "Certificates (PEM) that callbacks trust beside those of the system.",
        accepts: "a path",
        secret: false,
        read: |c, given| set(&mut c.callbacks.ca_file, path(given).map(Some)),
        show: |c| json!(c.callbacks.ca_file.as_ref().map(|path| path.display().to_string())),
    },
    Setting {
        key: "callbacks.allow_insecure",
        doc: "Do not check certificates of callbacks; for development only.",
        accepts: BOOLEAN,
        secret: false,
        read: |c, given| set(&mut c.callbacks.allow_insecure, given.boolean()),
        show: |c| json!(c.callbacks.allow_insecure),
    },
    Setting {
        key: "callbacks.guaranteed",
        doc: "Try a failed event callback again and again, not only as its URL says.",
        accepts: BOOLEAN,
        secret: false,
        read: |c, given| set(&mut c.callbacks.guaranteed, given.boolean()),
        show: |c| json!(c.callbacks.guaranteed),
    },
    Setting {
        key: "callbacks.guaranteed_hours",
        doc: "How long after its event a guaranteed callback is tried.",
        accepts: "a whole number from 1 to 720",
        secret: false,
        read: |c, given| set(&mut c.callbacks.guaranteed_hours, given.integer(1..=720)),
        show: |c| json!(c.callbacks.guaranteed_hours),
    },
    Setting {
        key: "callbacks.networks.allow",
        doc: "Networks that callbacks may reach whatever the deny list says.",
        accepts: NETWORKS,
        secret: false,
        read: |c, given| set(&mut c.callbacks.networks_allow, networks(given)),
        show: |c| show_networks(&c.callbacks.networks_allow),
    },
    Setting {
        key: "callbacks.networks.deny",
        doc: "Networks that callbacks may not reach; by default private ones, unless the server is only reachable locally.",
        accepts: NETWORKS,
        secret: false,
        read: |c, given| set(&mut c.callbacks.networks_deny, networks(given).map(Some)),
        show: |c| c.callbacks.networks_deny.as_deref().map_or(Value::Null, show_networks),
    },
    Setting {
        key: "voice.base_url",
        doc: "Voice API that carries out instructions which need calls; without it they fail.",
        accepts: "an http or https URL without query and fragment, such as https://api.voice.example",
        secret: false,
        read: |c, given| set(&mut c.voice.base_url, public_url(given).map(Some)),
        show: |c| json!(c.voice.base_url),
    },
    Setting {
        key: "voice.account_sid",
        doc: "Account at the voice API.",
        accepts: "AC and 32 hexadecimal digits",
        secret: false,
        read: |c, given| set(&mut c.voice.account_sid, account_sid(given).map(Some)),
        show: |c| json!(c.voice.account_sid),
    },
    Setting {
        key: "voice.auth_token",
        doc: "Auth token of that account: it opens the voice API, and signs what the provider sends here.",
        accepts: "1 to 128 printable characters without blanks",
        secret: true,
        read: |c, given| set(&mut c.voice.auth_token, auth_token(given).map(Some)),
        show: |c| c.voice.auth_token.as_ref().map_or(Value::Null, |_| json!("(hidden)")),
    },
    Setting {
        key: "voice.callback_url",
        doc: "Where the voice provider reaches this server; by default public_url, else the listening address.",
        accepts: "an http or https URL without query and fragment",
        secret: false,
        read: |c, given| set(&mut c.voice.callback_url, public_url(given).map(Some)),
        show: |c| json!(c.voice.callback_url),
    },
    Setting {
        key: "voice.assume_success",
        doc: "Take instructions that need calls as carried out at once, for tests without a voice API.",
        accepts: BOOLEAN,
        secret: false,
        read: |c, given| set(&mut c.voice.assume_success, given.boolean()),
        show: |c| json!(c.voice.assume_success),
    },
    Setting {
        key: "metrics.enabled",
        doc: "Whether /metrics is served.",
        accepts: BOOLEAN,
        secret: false,
        read: |c, given| set(&mut c.metrics.enabled, given.boolean()),
        show: |c| json!(c.metrics.enabled),
    },
    Setting {
        key: "metrics.listen",
        doc: "Address and port for /metrics alone; by default it is served with everything else.",
        accepts: ADDRESS,
        secret: false,
        read: |c, given| set(&mut c.metrics.listen, address(given).map(Some)),
        show: |c| json!(c.metrics.listen.map(|address| address.to_string())),
    },
    Setting {
        key: "log_format",
        doc: "Form of the log on standard error.",
        accepts: "text or json",
        secret: false,
        read: |c, given| {
            let format = match given.text()? {
                "text" => LogFormat::Text,
                "json" => LogFormat::Json,
                _ => return None,
            };
            set(&mut c.log.format, Some(format))
        },
        show: |c| match c.log.format {
            LogFormat::Text => json!("text"),
            LogFormat::Json => json!("json"),
        },
    },
    Setting {
        key: "log_level",
        doc: "How much is logged, also by part of the program: `info`, or `warn,pointsman_server=debug`.",
        accepts: "error, warn, info, debug or trace, alone or as part=level",
        secret: false,
        read: |c, given| set(&mut c.log.level, log_level(given)),
        show: |c| json!(c.log.level),
    },
];

fn set<T>(place: &mut T, value: Option<T>) -> Option<()> {
    *place = value?;
    Some(())
}

fn address(given: &Given) -> Option<SocketAddr> {
    let text = given.text()?.trim();
    match text.strip_prefix("localhost:") {
        Some(port) => Some(SocketAddr::from(([127, 0, 0, 1], port.parse().ok()?))),
        None => text.parse().ok(),
    }
}

fn path(given: &Given) -> Option<PathBuf> {
    given.text().filter(|text| !text.is_empty()).map(PathBuf::from)
}

fn clock(given: &Given) -> Option<ClockMode> {
    match given.text()? {
        "system" => Some(ClockMode::System),
        "virtual" => Some(ClockMode::Virtual),
        _ => None,
    }
}

fn public_url(given: &Given) -> Option<String> {
    let url = Url::parse(given.text()?.trim()).ok()?;
    let fits = matches!(url.scheme(), "http" | "https")
        && url.query().is_none()
        && url.fragment().is_none()
        && url.username().is_empty()
        && url.password().is_none();
    fits.then(|| url.as_str().trim_end_matches('/').to_owned())
}

/// An address without a length is the network of that one address.
fn networks(given: &Given) -> Option<Vec<IpNet>> {
    let parse = |text: &String| text.parse().ok().or_else(|| text.parse::<IpAddr>().ok().map(IpNet::from));
    given.list()?.iter().map(parse).collect()
}

fn show_networks(networks: &[IpNet]) -> Value {
    networks.iter().map(IpNet::to_string).collect()
}

/// `Some(None)`: everyone.
#[expect(clippy::option_option, reason = "refused, everyone, or those listed")]
fn origins(given: &Given) -> Option<Option<Vec<String>>> {
    let origins = given.list()?;
    if origins.iter().any(|origin| origin == "*") {
        return Some(None);
    }
    let is_origin = |origin: &String| Url::parse(origin).is_ok_and(|url| url.origin().ascii_serialization() == *origin);
    (!origins.is_empty() && origins.iter().all(is_origin)).then_some(Some(origins))
}

fn account_sid(given: &Given) -> Option<String> {
    AccountSid::parse(given.text()?.trim()).ok().map(|sid| sid.to_string())
}

fn auth_token(given: &Given) -> Option<String> {
    let text = given.text()?;
    let fits = (1..=128).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic());
    fits.then(|| text.to_owned())
}

/// Whether some call has this key (reference: rest-contract, section 10.4).
fn is_rate_key(key: &str) -> bool {
    let mut parts = key.splitn(3, '-');
    let (name, verb, filter) = (parts.next().unwrap_or_default(), parts.next(), parts.next());
    let operations = RESOURCES.iter().filter(|resource| resource.name() == name);
    let mut operations = operations.flat_map(|resource| resource.mounts()).flat_map(|mount| mount.operations);
    operations.any(|operation| {
        let is_filter = |filter| operation.all_specs().any(|spec| spec.name == filter);
        Some(operation.verb()) == verb && filter.is_none_or(is_filter)
    })
}

fn user_agent(given: &Given) -> Option<String> {
    let text = given.text()?;
    let fits = (1..=256).contains(&text.len()) && text.bytes().all(|byte| byte == b' ' || byte.is_ascii_graphic());
    fits.then(|| text.to_owned())
}

fn seconds(given: &Given) -> Option<DurationMs> {
    given.integer(SECONDS_RANGE).map(DurationMs::from_seconds)
}

/// Nothing when a workspace is named twice.
fn days_of(given: &Given) -> Option<BTreeMap<Sid<Workspace>, u32>> {
    let rows = given.table()?;
    let count = rows.len();
    let parse = |(sid, days): (String, i64)| {
        let days = u32::try_from(days).ok().filter(|days| DAYS_RANGE.contains(days))?;
        Some((Sid::parse(&sid)?, days))
    };
    let days_of: BTreeMap<_, _> = rows.into_iter().map(parse).collect::<Option<_>>()?;
    (days_of.len() == count && count <= limits::RETENTION_WORKSPACES_MAX).then_some(days_of)
}

fn log_level(given: &Given) -> Option<String> {
    let text = given.text()?;
    let is_level = |word: &str| ["off", "error", "warn", "info", "debug", "trace"].contains(&word.trim());
    // A lone word would be taken for a part of the program, and everything else would fall silent.
    let mut directives = text.split(',');
    let are_named = directives.all(|directive| is_level(directive) || directive.contains('='));
    (are_named && tracing_subscriber::EnvFilter::try_new(text).is_ok()).then(|| text.to_owned())
}
