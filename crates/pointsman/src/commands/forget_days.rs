//! `pointsman forget-days`: makes a server start without days of the event history that are lost.

use pointsman_server::admin::{self, Date};
use serde_json::json;

use crate::arguments::Place;
use crate::commands::account::{data_dir, name_the_holder};

/// Gives up days, and prints what is kept of each.
pub(crate) fn run(place: &Place, dates: &[Date], as_json: bool) -> anyhow::Result<()> {
    let kept = admin::forget_days(&data_dir(place)?, dates).map_err(name_the_holder)?;
    if as_json {
        let days = dates.iter().zip(&kept).map(|(date, kept)| json!({ "date": date.to_string(), "kept_as": kept }));
        println!("{:#}", days.collect::<serde_json::Value>());
        return Ok(());
    }
    for (date, kept) in dates.iter().zip(kept) {
        match kept {
            Some(path) => println!("{date} is given up; what is left of it is {}", path.display()),
            None => println!("{date} is given up; nothing was left of it"),
        }
    }
    Ok(())
}
