//! `pointsman check`: reads everything in a data directory and says what is wrong.

use pointsman_server::admin::{self, CheckSummary};
use pointsman_server::configuration::{self, Loaded};
use serde_json::json;

use crate::arguments::Place;
use crate::commands::account::open;
use crate::exit::Damaged;
use crate::progress::Progress;

/// Checks, prints what is wrong and how much was read. Ends with the code of damage when something is wrong.
pub(crate) fn run(place: &Place, as_json: bool) -> anyhow::Result<()> {
    let Loaded { configuration, .. } = configuration::load(&place.sources())?;
    let store = open(place)?;
    // A contradiction is found as a broken assertion; it is a result here and no bug to be reported.
    std::panic::set_hook(Box::new(|_| {}));
    let mut progress = Progress::new();
    let summary = admin::check(&store, configuration.limits, &mut |text| progress.show(text));
    drop(progress);
    drop(std::panic::take_hook());
    let summary = summary?;
    if as_json {
        println!("{}", json(&summary));
    } else {
        print(&summary);
    }
    if summary.is_good() { Ok(()) } else { Err(Damaged { count: summary.problems.len() }.into()) }
}

fn print(summary: &CheckSummary) {
    for problem in &summary.problems {
        println!("{problem}");
    }
    let CheckSummary { store, workspaces, tasks, workers, accounts, records_to_project, problems } = summary;
    println!("journal     {} records, {} deliveries", store.records, store.deliveries);
    println!("snapshots   {}", store.snapshots);
    println!("history     {} events, {records_to_project} records to be added at the next start", store.history_events);
    println!("workspaces  {workspaces} made again with {tasks} tasks and {workers} workers");
    println!("accounts    {accounts}");
    println!("{}", if problems.is_empty() { "everything is as it was written" } else { "there is damage" });
}

fn json(summary: &CheckSummary) -> serde_json::Value {
    let CheckSummary { store, workspaces, tasks, workers, accounts, records_to_project, problems } = summary;
    json!({
        "records": store.records, "deliveries": store.deliveries, "snapshots": store.snapshots,
        "history_events": store.history_events, "records_to_project": records_to_project,
        "workspaces": workspaces, "tasks": tasks, "workers": workers, "accounts": accounts, "problems": problems,
    })
}
