//! `pointsman backup`: a running or stopped server's data in one file.

use std::path::Path;

use pointsman_server::admin::{self, BackupReport};
use pointsman_server::configuration::{self, Loaded};
use serde_json::json;

use crate::arguments::Place;
use crate::progress::{Progress, bytes};

/// Takes a back-up and says what is in it.
pub(crate) fn run(place: &Place, file: &Path, as_json: bool) -> anyhow::Result<()> {
    let Loaded { configuration, .. } = configuration::load(&place.sources())?;
    let mut progress = Progress::new();
    let report = admin::backup(&configuration.data_dir, file, &mut |name, copied| {
        progress.show(&format!("{name}: {}", bytes(copied)));
    })?;
    drop(progress);
    for damage in &report.damaged {
        eprintln!("pointsman: left out: {damage}");
    }
    if as_json {
        println!("{}", json(&report, &[("file", json!(file))]));
    } else {
        println!("{} holds {}", file.display(), text(&report));
    }
    Ok(())
}

/// The figures of a back-up for people.
pub(crate) fn text(report: &BackupReport) -> String {
    let BackupReport { files, bytes: size, position, streams, snapshots, history_days, damaged: _ } = report;
    format!(
        "{} (journal up to position {position}; streams: {streams}, snapshots: {snapshots}, \
         days of history: {history_days}, files: {files})",
        bytes(*size)
    )
}

/// The same for programs.
pub(crate) fn json(report: &BackupReport, more: &[(&str, serde_json::Value)]) -> serde_json::Value {
    let BackupReport { files, bytes, position, streams, snapshots, history_days, damaged } = report;
    let damaged: Vec<String> = damaged.iter().map(ToString::to_string).collect();
    let mut object = json!({
        "files": files, "bytes": bytes, "position": position.0, "streams": streams, "snapshots": snapshots,
        "history_days": history_days, "damaged": damaged,
    });
    for (name, value) in more {
        object[*name] = value.clone();
    }
    object
}
