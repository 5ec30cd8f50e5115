//! `docs/configuration.md`, written out of the table of settings.

use std::fmt::Write;

use serde_json::Value;

use super::{Configuration, SETTINGS, Setting};

const HEAD: &str = "\
# Configuration

<!-- Written by the test `the_page_of_the_settings_is_up_to_date`; change crates/server/src/configuration instead. -->

Every setting has a key in the configuration file and an environment variable; those that are needed most have an option of `pointsman serve` too.
An option wins over the variable, the variable over the file, the file over the default.

```
pointsman serve --config pointsman.toml --clock virtual
POINTSMAN_CLOCK=virtual pointsman serve
pointsman config show          # every setting, its value, and where the value comes from
pointsman config show --json   # the same for programs
```

The file is TOML. `--config FILE` or `POINTSMAN_CONFIG` names it; none is read otherwise.
Keys with a dot may stand in tables:

```toml
listen = \"0.0.0.0:8420\"
public_url = \"https://route.example.com\"

[callbacks]
guaranteed = true
networks.allow = [\"10.20.0.0/16\"]

[limits.rates]
\"Worker-Update\" = 50

[events.retention_days_of]
WS00000000000000000000000000000001 = 7
```

A key that does not exist or a value that is not accepted ends the program with code 2; all mistakes are told at once, each with its file and line, what was given and what is accepted.
In a variable a list is separated by commas, and a table is written `name=number,name=number`.

## Settings

| key | variable | default | meaning |
| --- | --- | --- | --- |
";

const FOOT: &str = "
`account_sid` and `auth_token` are set together.
They are stored at the start; a token that differs from the stored one replaces it.
Without them the first start makes an account and prints it once on standard error; `pointsman account create` makes more.

Options of `pointsman serve`: `--listen`, `--data-dir`, `--config`, `--public-url`, `--clock`, `--in-memory`, `--log-format`, `--log-level`.
";

/// The page as it must stand in the repository.
pub fn page() -> String {
    let defaults = Configuration::default();
    let mut out = HEAD.to_owned();
    for setting in SETTINGS {
        let Setting { key, doc, accepts, .. } = setting;
        let default = match (setting.show)(&defaults) {
            Value::Null => "none".to_owned(),
            Value::Object(members) if members.is_empty() => "none".to_owned(),
            Value::Array(items) if items.is_empty() => "none".to_owned(),
            Value::String(text) => format!("`{text}`"),
            other => format!("`{other}`"),
        };
        writeln!(out, "| `{key}` | `{}` | {default} | {doc} Takes {accepts}. |", setting.variable())
            .expect("a String takes all text");
    }
    out.push_str(FOOT);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_of_the_settings_is_up_to_date() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/configuration.md");
        if std::env::var_os("UPDATE_EXPECT").is_some() {
            std::fs::write(path, page()).unwrap();
        }
        let found = std::fs::read_to_string(path).unwrap_or_default();
        assert!(found == page(), "docs/configuration.md is not what the table says; run the test with UPDATE_EXPECT=1");
    }
}
