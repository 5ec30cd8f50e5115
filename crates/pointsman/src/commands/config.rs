//! `pointsman config show`.

use pointsman_server::configuration::{self, SETTINGS};
use serde_json::{Value, json};

use crate::arguments::Settings;

/// Prints every setting: as a table, or as a JSON object by key.
pub(crate) fn show(settings: &Settings, as_json: bool) -> anyhow::Result<()> {
    let loaded = configuration::load(&settings.sources())?;
    let rows = SETTINGS
        .iter()
        .map(|setting| (setting, (setting.show)(&loaded.configuration), loaded.origin(setting.key).to_string()));
    if as_json {
        let object: serde_json::Map<String, Value> = rows
            .map(|(setting, value, origin)| (setting.key.to_owned(), json!({ "value": value, "origin": origin })))
            .collect();
        println!("{:#}", Value::Object(object));
        return Ok(());
    }
    for (setting, value, origin) in rows {
        println!("# {} [{}]", setting.doc, setting.variable());
        println!("{} = {}  # {origin}", setting.key, toml_like(&value));
    }
    Ok(())
}

/// A value as it stands in the file; nothing for what is not set.
fn toml_like(value: &Value) -> String {
    match value {
        Value::Null => "(not set)".to_owned(),
        Value::Object(members) => {
            let members: Vec<String> = members.iter().map(|(name, value)| format!("{name:?} = {value}")).collect();
            format!("{{ {} }}", members.join(", ")).replace("{  }", "{}")
        }
        Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_) => value.to_string(),
    }
}
