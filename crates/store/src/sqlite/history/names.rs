//! The names of the files: one UTC day each.

use std::path::{Path, PathBuf};

use jiff::ToSpan;
use jiff::civil::Date;

use crate::history::Day;

const EPOCH: Date = jiff::civil::date(1970, 1, 1);

/// `history-YYYY-MM-DD.sqlite`.
pub(in super::super) fn path(directory: &Path, day: Day) -> PathBuf {
    directory.join(format!("history-{}.sqlite", date(day)))
}

pub(in super::super) fn date(day: Day) -> Date {
    EPOCH.checked_add(day.0.days()).expect("days of the history lie before the year 2249")
}

pub(super) fn parse_path(path: &Path) -> Option<Day> {
    if path.extension()? != "sqlite" {
        return None;
    }
    let day = day_of_date(path.file_stem()?.to_str()?.strip_prefix("history-")?.parse().ok()?);
    // Dates can be written in more than one way.
    (self::path(Path::new(""), day).file_name() == path.file_name()).then_some(day)
}

pub(super) fn day_of_date(date: Date) -> Day {
    Day(i64::from(date.since(EPOCH).expect("both are dates").get_days()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::limits;

    #[test]
    fn a_day_file_has_the_date_of_its_day_in_its_name() {
        let directory = Path::new("history");
        for (day, name) in [(0, "1970-01-01"), (11_016, "2000-02-29"), (19_787, "2024-03-05"), (47_541, "2100-03-01")] {
            let path = path(directory, Day(day));
            assert_eq!(path, directory.join(format!("history-{name}.sqlite")));
            assert_eq!(parse_path(&path), Some(Day(day)));
        }
        path(directory, Day::of(limits::HISTORY_AT_MS_MAX));
    }

    #[test]
    fn a_file_of_another_name_is_not_a_day() {
        for name in ["history-2024-02-30.sqlite", "history-2024-02.sqlite", "history-20240305.sqlite", "x.sqlite"] {
            assert_eq!(parse_path(Path::new(name)), None, "{name}");
        }
    }
}
