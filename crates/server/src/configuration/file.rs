//! The file: TOML, flattened to keys with dots.

use toml::de::{DeTable, DeValue};

use super::given::Given;

/// One key of the file.
pub(super) struct Entry {
    pub(super) key: String,
    pub(super) line: usize,
    pub(super) given: Given,
}

/// Every key of the file, in order of lines. Errors: the line and what is wrong with it.
pub(super) fn entries(text: &str) -> Result<Vec<Entry>, (usize, String)> {
    let line_of = |offset: usize| text[..offset.min(text.len())].matches('\n').count() + 1;
    let document = DeTable::parse(text).map_err(|error| {
        let line = line_of(error.span().map_or(0, |span| span.start));
        (line, error.message().to_owned())
    })?;
    let mut entries = Vec::new();
    flatten("", document.get_ref(), &line_of, &mut entries);
    entries.sort_by_key(|entry| entry.line);
    Ok(entries)
}

/// Settings whose value is a table.
const TABLES: [&str; 2] = ["limits.rates", "events.retention_days_of"];

fn flatten(prefix: &str, table: &DeTable<'_>, line_of: &dyn Fn(usize) -> usize, entries: &mut Vec<Entry>) {
    for (name, value) in table {
        let key = format!("{prefix}{}", name.get_ref());
        match value.get_ref() {
            DeValue::Table(table) if !TABLES.contains(&&*key) => flatten(&format!("{key}."), table, line_of, entries),
            value => entries.push(Entry { line: line_of(name.span().start), given: Given::from_toml(value), key }),
        }
    }
}
