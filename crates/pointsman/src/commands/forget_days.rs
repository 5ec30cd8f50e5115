//! `pointsman forget-days`: makes a server start without days of the event history that are lost.

use pointsman_server::admin::{self, Date};
use serde_json::json;

use crate::arguments::Place;
use crate::commands::account::{data_dir, name_the_holder};

/// Gives up one day after the other, and prints a line for each. Ends at the first that cannot be given up.
pub(crate) fn run(place: &Place, dates: &[Date], as_json: bool) -> anyhow::Result<()> {
    let directory = data_dir(place)?;
    for &date in dates {
        let kept = admin::forget_day(&directory, date).map_err(name_the_holder)?;
        if as_json {
            println!("{}", json!({ "date": date.to_string(), "kept_as": kept }));
        } else {
            let kept = kept.map_or("nothing was left of it".to_owned(), |path| {
                format!("what is left of it is {}", path.display())
            });
            println!("{date} is given up; {kept}");
        }
    }
    Ok(())
}
