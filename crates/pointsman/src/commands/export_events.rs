//! `pointsman export-events`: the event history as NDJSON, from a data directory or from a running server.

use std::io::{BufWriter, Write};

use anyhow::{Context, bail};
use pointsman_server::admin::{self, Export, HISTORY_AT_MS_MAX, Sid, Timestamp};
use pointsman_server::configuration::{self, Loaded};
use serde_json::{Value, json};

use crate::arguments::{ExportEvents, Place};
use crate::commands::account::open;
use crate::exit::Usage;
use crate::progress::Progress;

/// Events asked for at once from a running server; the most that its API gives.
const PAGE_SIZE: u32 = 1_000;

/// Writes the events to standard output, and with `--json` a summary to standard error.
pub(crate) fn run(arguments: &ExportEvents) -> anyhow::Result<()> {
    let instant = |name, text: &Option<String>, default| match text {
        None => Ok(default),
        Some(text) => pointsman_api::dates::parse(text).map(|at| at.0).ok_or_else(|| {
            Usage(format!("{name} {text:?} is not accepted: expected an instant such as 2026-01-31T12:00:00Z"))
        }),
    };
    let from_ms = instant("--from", &arguments.from, 0)?;
    let to_ms = instant("--to", &arguments.to, HISTORY_AT_MS_MAX)?;
    let mut out = BufWriter::new(std::io::stdout().lock());
    let mut progress = Progress::new();
    let mut show = |count| progress.show(&format!("{count} events"));
    let count = match &arguments.url {
        Some(url) => from_server(arguments, url, (from_ms, to_ms), &mut out, &mut show)?,
        None => from_directory(arguments, (from_ms, to_ms), &mut out, &mut show)?,
    };
    out.flush().context("failed to write the events")?;
    drop(progress);
    if arguments.json {
        eprintln!("{}", json!({ "events": count }));
    } else {
        eprintln!("{count} events");
    }
    Ok(())
}

fn from_directory(
    arguments: &ExportEvents,
    (from_ms, to_ms): (i64, i64),
    out: &mut dyn Write,
    show: &mut dyn FnMut(u64),
) -> anyhow::Result<u64> {
    let place: &Place = &arguments.place;
    let Loaded { configuration, .. } = configuration::load(&place.sources())?;
    let workspace = match &arguments.workspace {
        None => None,
        Some(text) => {
            let sid = Sid::parse(text);
            Some(sid.ok_or_else(|| {
                Usage(format!("--workspace {text:?} is not accepted: expected WS and 32 hexadecimal digits"))
            })?)
        }
    };
    let base_url = configuration.public_url.clone().unwrap_or_else(|| format!("http://{}", configuration.listen));
    let now_ms = pointsman_server::real_time().0;
    let export = Export { workspace, from_ms, to_ms, base_url: &base_url, configuration: &configuration, now_ms };
    Ok(admin::export(&open(place)?, &export, out, show)?)
}

fn from_server(
    arguments: &ExportEvents,
    url: &str,
    (from_ms, to_ms): (i64, i64),
    out: &mut dyn Write,
    show: &mut dyn FnMut(u64),
) -> anyhow::Result<u64> {
    let (Some(account), Some(token)) = (&arguments.account_sid, &arguments.auth_token) else {
        bail!(Usage("--url needs --account-sid and --auth-token, or their variables".to_owned()));
    };
    let server = Server {
        client: reqwest::Client::builder().no_proxy().build().context("failed to prepare requests")?,
        account,
        token,
    };
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_all().build().context("cannot start a runtime")?;
    let url = url.trim_end_matches('/');
    let mut workspaces: Vec<String> = arguments.workspace.iter().cloned().collect();
    if workspaces.is_empty() {
        let first = format!("{url}/v1/Workspaces?PageSize={PAGE_SIZE}");
        runtime.block_on(server.walk(first, "workspaces", &mut |workspace| {
            workspaces.push(workspace["sid"].as_str().unwrap_or_default().to_owned());
            Ok(())
        }))?;
    }
    let date = |at_ms| pointsman_api::dates::format(Timestamp(at_ms));
    let mut count = 0;
    for sid in workspaces {
        // The API knows seconds; the rest is cut here.
        let (start, end) = (date(from_ms), date(to_ms.saturating_add(999)));
        let first = format!("{url}/v1/Workspaces/{sid}/Events?StartDate={start}&EndDate={end}&PageSize={PAGE_SIZE}");
        runtime.block_on(server.walk(first, "events", &mut |event| {
            let at_ms = event["event_date_ms"].as_i64().unwrap_or(from_ms);
            if (from_ms..=to_ms).contains(&at_ms) {
                writeln!(out, "{event}").context("failed to write the events")?;
                count += 1;
                show(count);
            }
            Ok(())
        }))?;
    }
    Ok(count)
}

/// A running server, as one of its accounts sees it.
struct Server<'a> {
    client: reqwest::Client,
    account: &'a str,
    token: &'a str,
}

impl Server<'_> {
    /// Hands over each item of a list, page by page.
    async fn walk(
        &self,
        first: String,
        key: &str,
        item: &mut dyn FnMut(&Value) -> anyhow::Result<()>,
    ) -> anyhow::Result<()> {
        let mut next = Some(first);
        while let Some(url) = next {
            let asked = self.client.get(&url).basic_auth(self.account, Some(self.token));
            let answer = asked.send().await.with_context(|| format!("failed to ask {url}"))?;
            let status = answer.status();
            let text = answer.text().await.with_context(|| format!("failed to read the answer of {url}"))?;
            if !status.is_success() {
                bail!("{url} was answered with {status}: {text}");
            }
            let page: Value = serde_json::from_str(&text).with_context(|| format!("{url} was not answered in JSON"))?;
            for row in page[key].as_array().into_iter().flatten() {
                item(row)?;
            }
            next = page["meta"]["next_page_url"].as_str().map(str::to_owned);
        }
        Ok(())
    }
}
