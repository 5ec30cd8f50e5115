//! `pointsman restore`: a data directory out of a back-up.

use std::path::Path;

use pointsman_server::admin;
use pointsman_server::configuration::{self, Loaded};
use serde_json::json;

use crate::arguments::Place;
use crate::commands::backup;
use crate::exit::Damaged;
use crate::progress::{Progress, bytes};

/// Restores a back-up into an empty directory, and reads all of it.
pub(crate) fn run(place: &Place, file: &Path, accepts_damage: bool, as_json: bool) -> anyhow::Result<()> {
    let Loaded { configuration, .. } = configuration::load(&place.sources())?;
    let directory = &configuration.data_dir;
    let mut progress = Progress::new();
    let (report, checked) = admin::restore(file, directory, accepts_damage, &mut |name, written| {
        progress.show(&format!("{name}: {}", bytes(written)));
    })?;
    drop(progress);
    for damage in &checked.damage {
        eprintln!("pointsman: {damage}");
    }
    let damage: Vec<String> = checked.damage.iter().map(ToString::to_string).collect();
    if as_json {
        println!("{}", backup::json(&report, &[("data_dir", json!(directory)), ("damage", json!(damage))]));
    } else if damage.is_empty() || accepts_damage {
        println!("{} holds {}", directory.display(), backup::text(&report));
    } else {
        println!("nothing is restored; with --accept-damage what can be read is");
    }
    if damage.is_empty() { Ok(()) } else { Err(Damaged { count: damage.len() }.into()) }
}
