//! What an operator can set: options, environment variables and keys of the file, in this order, else the default.
//!
//! Every setting is one row of [`SETTINGS`]; the environment variable of `callbacks.ca_file` is
//! `POINTSMAN_CALLBACKS_CA_FILE`. Reading goes on after a mistake, so that all of them are reported at once.

mod file;
mod given;
mod page;
mod problem;
mod settings;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use ipnet::IpNet;
use pointsman_engine::{Limits, Sid, Workspace};

pub use self::given::Given;
pub use self::page::page;
pub use self::problem::{ConfigurationError, Problem};
pub use self::settings::{SETTINGS, Setting};

/// Everything that was set, checked.
#[derive(Clone, Debug)]
pub struct Configuration {
    pub listen: SocketAddr,
    pub data_dir: PathBuf,
    pub in_memory: bool,
    pub clock: ClockMode,
    pub public_url: Option<String>,
    pub trusted_proxies: Vec<IpNet>,
    /// `None`: everyone may call from a browser.
    pub cors_origins: Option<Vec<String>>,
    pub account: FirstAccount,
    /// Engine threads; `None`: one per core, up to [`crate::limits::ENGINE_THREADS_DEFAULT_MAX`].
    pub threads: Option<u32>,
    pub connections_max: u32,
    pub snapshot_records: u32,
    pub limits: Limits,
    /// Requests per second by resource key.
    pub rates: BTreeMap<String, u32>,
    pub events_retention_days: u32,
    /// Of workspaces that differ; at most [`crate::limits::RETENTION_WORKSPACES_MAX`].
    pub events_retention_days_of: BTreeMap<Sid<Workspace>, u32>,
    pub statistics_retention_days: u32,
    pub callbacks: Callbacks,
    pub voice: Voice,
    pub metrics: Metrics,
    pub log: Log,
}

/// Whether time runs by itself or only when told to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ClockMode {
    System,
    Virtual,
}

/// The account that a new server starts with, when its operator chose it.
#[derive(Clone, Default)]
pub struct FirstAccount {
    pub sid: Option<String>,
    pub auth_token: Option<String>,
}

impl std::fmt::Debug for FirstAccount {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let FirstAccount { sid, auth_token: _ } = self;
        formatter.debug_struct("FirstAccount").field("sid", sid).finish_non_exhaustive()
    }
}

#[derive(Clone, Debug)]
pub struct Callbacks {
    pub user_agent: String,
    pub ca_file: Option<PathBuf>,
    pub allow_insecure: bool,
    pub guaranteed: bool,
    pub guaranteed_hours: u32,
    pub networks_allow: Vec<IpNet>,
    /// `None`: private and link-local ranges, unless the server itself is only reachable locally.
    pub networks_deny: Option<Vec<IpNet>>,
}

/// The voice API that carries out instructions which need calls. Address, account and token go together.
#[derive(Clone, Default)]
pub struct Voice {
    pub base_url: Option<String>,
    pub account_sid: Option<String>,
    pub auth_token: Option<String>,
    pub callback_url: Option<String>,
    pub assume_success: bool,
}

impl std::fmt::Debug for Voice {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Voice { base_url, account_sid, auth_token: _, callback_url, assume_success } = self;
        formatter
            .debug_struct("Voice")
            .field("base_url", base_url)
            .field("account_sid", account_sid)
            .field("callback_url", callback_url)
            .field("assume_success", assume_success)
            .finish_non_exhaustive()
    }
}

#[derive(Clone, Debug)]
pub struct Metrics {
    pub enabled: bool,
    /// `None`: on the listener of everything else.
    pub listen: Option<SocketAddr>,
}

#[derive(Clone, Debug)]
pub struct Log {
    pub format: LogFormat,
    /// Directives as `tracing_subscriber::EnvFilter` takes them.
    pub level: String,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum LogFormat {
    Text,
    Json,
}

impl Default for Configuration {
    fn default() -> Configuration {
        Configuration {
            listen: SocketAddr::from(([127, 0, 0, 1], 8420)),
            data_dir: PathBuf::from("./pointsman-data"),
            in_memory: false,
            clock: ClockMode::System,
            public_url: None,
            trusted_proxies: Vec::new(),
            cors_origins: None,
            account: FirstAccount::default(),
            threads: None,
            connections_max: 10_000,
            snapshot_records: 10_000,
            limits: Limits::default(),
            rates: BTreeMap::new(),
            events_retention_days: 30,
            events_retention_days_of: BTreeMap::new(),
            statistics_retention_days: 30,
            callbacks: Callbacks {
                user_agent: "TwilioProxy/1.1".to_owned(),
                ca_file: None,
                allow_insecure: false,
                guaranteed: false,
                guaranteed_hours: 24,
                networks_allow: Vec::new(),
                networks_deny: None,
            },
            voice: Voice::default(),
            metrics: Metrics { enabled: true, listen: None },
            log: Log { format: LogFormat::Text, level: "info".to_owned() },
        }
    }
}

/// Where the value of a setting comes from.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Origin {
    Default,
    File { path: PathBuf, line: usize },
    Environment { variable: String },
    Option { name: String },
}

impl std::fmt::Display for Origin {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Origin::Default => formatter.write_str("default"),
            Origin::File { path, line } => write!(formatter, "{}, line {line}", path.display()),
            Origin::Environment { variable } => write!(formatter, "environment variable {variable}"),
            Origin::Option { name } => write!(formatter, "option {name}"),
        }
    }
}

/// The configuration, and the origin of each setting in the order of [`SETTINGS`].
#[derive(Clone, Debug)]
pub struct Loaded {
    pub configuration: Configuration,
    pub origins: Vec<Origin>,
}

/// Where settings are read from.
#[derive(Clone, Debug, Default)]
pub struct Sources {
    /// Key of the setting and text, as given on the command line.
    pub options: Vec<(&'static str, String)>,
    /// Name and value of each environment variable.
    pub environment: Vec<(String, String)>,
    /// The file, if one was named by option; `POINTSMAN_CONFIG` names one too.
    pub file: Option<PathBuf>,
}

/// Reads all settings.
///
/// - Errors: every mistake that was found, each with its place, what was given and what is accepted.
pub fn load(sources: &Sources) -> Result<Loaded, ConfigurationError> {
    let mut problems = Vec::new();
    let mut loaded = Loaded { configuration: Configuration::default(), origins: vec![Origin::Default; SETTINGS.len()] };

    let from_environment = || sources.environment.iter().find(|(name, _)| name == CONFIG_VARIABLE);
    let file = sources.file.clone().or_else(|| from_environment().map(|(_, value)| PathBuf::from(value)));
    if let Some(path) = file {
        read_file(&path, &mut loaded, &mut problems)?;
    }
    for (variable, text) in &sources.environment {
        let Some(index) = SETTINGS.iter().position(|setting| setting.variable() == *variable) else { continue };
        let origin = Origin::Environment { variable: variable.clone() };
        loaded.apply(index, &Given::Text(text.clone()), origin, &mut problems);
    }
    for (key, text) in &sources.options {
        let index = SETTINGS.iter().position(|setting| setting.key == *key).expect("options name settings");
        let origin = Origin::Option { name: SETTINGS[index].option() };
        loaded.apply(index, &Given::Text(text.clone()), origin, &mut problems);
    }
    let account = &loaded.configuration.account;
    if account.sid.is_some() != account.auth_token.is_some() {
        problems.push(Problem::HalfAccount);
    }
    let Voice { base_url, account_sid, auth_token, .. } = &loaded.configuration.voice;
    let given = [base_url.is_some(), account_sid.is_some(), auth_token.is_some()];
    if given.contains(&true) && given.contains(&false) {
        problems.push(Problem::HalfVoice);
    }
    if problems.is_empty() { Ok(loaded) } else { Err(ConfigurationError::Settings { problems }) }
}

/// Environment variables that look like settings and are none, with the nearest that is one.
pub fn misspelt_variables(environment: &[(String, String)]) -> Vec<(String, String)> {
    let known: Vec<String> = SETTINGS.iter().map(Setting::variable).collect();
    let unknown = environment.iter().filter(|(name, _)| {
        name.starts_with("POINTSMAN_") && name != CONFIG_VARIABLE && !known.iter().any(|variable| variable == name)
    });
    unknown.filter_map(|(name, _)| Some((name.clone(), problem::nearest(name, known.iter())?.clone()))).collect()
}

const CONFIG_VARIABLE: &str = "POINTSMAN_CONFIG";

fn read_file(path: &Path, loaded: &mut Loaded, problems: &mut Vec<Problem>) -> Result<(), ConfigurationError> {
    let text = std::fs::read_to_string(path)
        .map_err(|source| ConfigurationError::Unreadable { path: path.to_path_buf(), source })?;
    let entries = file::entries(&text).map_err(|(line, message)| ConfigurationError::Syntax {
        path: path.to_path_buf(),
        line,
        message,
    })?;
    for entry in entries {
        let origin = Origin::File { path: path.to_path_buf(), line: entry.line };
        if let Some(index) = SETTINGS.iter().position(|setting| setting.key == entry.key) {
            loaded.apply(index, &entry.given, origin, problems);
        } else {
            let nearest = problem::nearest(&entry.key, SETTINGS.iter().map(|setting| &setting.key));
            problems.push(Problem::UnknownKey { key: entry.key, origin, nearest: nearest.copied() });
        }
    }
    Ok(())
}

impl Loaded {
    fn apply(&mut self, index: usize, given: &Given, origin: Origin, problems: &mut Vec<Problem>) {
        let setting = &SETTINGS[index];
        if (setting.read)(&mut self.configuration, given).is_some() {
            self.origins[index] = origin;
        } else {
            let given = if setting.secret { "(hidden)".to_owned() } else { given.to_string() };
            problems.push(Problem::Refused { key: setting.key, origin, given, accepts: setting.accepts });
        }
    }

    /// Where a setting comes from.
    pub fn origin(&self, key: &str) -> &Origin {
        let index = SETTINGS.iter().position(|setting| setting.key == key).expect("the key names a setting");
        &self.origins[index]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sources(
        file: &str,
        environment: &[(&str, &str)],
        options: &[(&'static str, &str)],
    ) -> (Sources, tempfile::NamedTempFile) {
        use std::io::Write;
        let mut place = tempfile::NamedTempFile::new().unwrap();
        place.write_all(file.as_bytes()).unwrap();
        let own = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
        let sources = Sources {
            options: options.iter().map(|(key, text)| (*key, (*text).to_owned())).collect(),
            environment: environment.iter().map(own).collect(),
            file: Some(place.path().to_path_buf()),
        };
        (sources, place)
    }

    #[track_caller]
    fn problems(file: &str, environment: &[(&str, &str)], options: &[(&'static str, &str)], expected: &str) {
        let (sources, place) = sources(file, environment, options);
        let error = load(&sources).unwrap_err().to_string();
        assert_eq!(error.replace(&place.path().display().to_string(), "FILE"), expected);
    }

    #[test]
    fn without_anything_the_defaults_are_in_force() {
        let loaded = load(&Sources::default()).unwrap();
        assert_eq!(loaded.configuration.listen.to_string(), "127.0.0.1:8420");
        assert!(loaded.origins.iter().all(|origin| *origin == Origin::Default));
    }

    #[test]
    fn an_option_wins_over_the_environment_and_that_over_the_file() {
        let file = "listen = '127.0.0.1:1'\nclock = 'virtual'\n[callbacks]\nuser_agent = 'file'\n";
        let environment = [("POINTSMAN_LISTEN", "127.0.0.1:2"), ("POINTSMAN_CALLBACKS_USER_AGENT", "environment")];
        let (sources, _place) = sources(file, &environment, &[("listen", "127.0.0.1:3")]);
        let loaded = load(&sources).unwrap();
        assert_eq!(loaded.configuration.listen.port(), 3);
        assert_eq!(loaded.origin("listen").to_string(), "option --listen");
        assert_eq!(loaded.configuration.callbacks.user_agent, "environment");
        assert_eq!(
            loaded.origin("callbacks.user_agent").to_string(),
            "environment variable POINTSMAN_CALLBACKS_USER_AGENT"
        );
        assert_eq!(loaded.configuration.clock, ClockMode::Virtual);
        assert!(matches!(loaded.origin("clock"), Origin::File { line: 2, .. }));
    }

    #[test]
    fn the_environment_names_the_file_when_no_option_does() {
        let (mut sources, place) = sources("clock = 'virtual'", &[], &[]);
        sources.file = None;
        sources.environment.push((CONFIG_VARIABLE.to_owned(), place.path().display().to_string()));
        assert_eq!(load(&sources).unwrap().configuration.clock, ClockMode::Virtual);
    }

    #[test]
    fn every_mistake_is_reported_with_its_place_and_what_is_accepted() {
        problems(
            "lisen = 'x'\nclock = 'fast'\n\n[limits]\nactivities = 0\n",
            &[("POINTSMAN_EVENTS_RETENTION_DAYS", "many")],
            &[("listen", "nowhere")],
            "FILE, line 1: there is no setting lisen; did you mean listen?\n\
             FILE, line 2: clock = \"fast\" is not accepted: expected system or virtual\n\
             FILE, line 5: limits.activities = 0 is not accepted: expected a whole number from 1 to 1000000\n\
             environment variable POINTSMAN_EVENTS_RETENTION_DAYS: events.retention_days = \"many\" is not accepted: expected a whole number from 1 to 36500\n\
             option --listen: listen = \"nowhere\" is not accepted: expected an address and a port, such as 127.0.0.1:8420, [::1]:8420 or localhost:0",
        );
    }

    #[test]
    fn a_file_that_is_no_toml_is_refused_with_its_line() {
        problems("listen = '127.0.0.1:1'\nclock virtual\n", &[], &[], "FILE, line 2: key with no value, expected `=`");
    }

    #[test]
    fn a_file_that_is_not_there_is_named() {
        let sources = Sources { file: Some(PathBuf::from("/nowhere/pointsman.toml")), ..Sources::default() };
        assert_eq!(load(&sources).unwrap_err().to_string(), "failed to read /nowhere/pointsman.toml");
    }

    #[test]
    fn half_of_the_first_account_is_refused_and_its_token_is_never_shown() {
        let sid = "AC00000000000000000000000000000001";
        problems("", &[("POINTSMAN_ACCOUNT_SID", sid)], &[], &Problem::HalfAccount.to_string());
        problems(
            "",
            &[("POINTSMAN_ACCOUNT_SID", sid), ("POINTSMAN_AUTH_TOKEN", "")],
            &[],
            &format!(
                "environment variable POINTSMAN_AUTH_TOKEN: auth_token = (hidden) is not accepted: expected 1 to 128 printable characters without blanks\n{}",
                Problem::HalfAccount
            ),
        );
    }

    #[test]
    fn a_variable_that_is_nearly_a_setting_is_noticed() {
        let environment =
            [("POINTSMAN_LISTN", "x"), ("POINTSMAN_BINARY", "x"), ("POINTSMAN_LISTEN", "x"), ("LISTN", "x")];
        let environment = environment.map(|(name, value)| (name.to_owned(), value.to_owned()));
        assert_eq!(misspelt_variables(&environment), [("POINTSMAN_LISTN".to_owned(), "POINTSMAN_LISTEN".to_owned())]);
    }

    #[test]
    fn lists_and_tables_are_read_from_the_file_and_as_text() {
        let file = "trusted_proxies = ['10.0.0.0/8', '::1']\n[limits.rates]\n\"Worker-Update\" = 5\n";
        let (sources, _place) =
            sources(file, &[("POINTSMAN_CORS_ORIGINS", "https://a.example, https://b.example")], &[]);
        let configuration = load(&sources).unwrap().configuration;
        assert_eq!(configuration.trusted_proxies.len(), 2);
        assert_eq!(configuration.cors_origins.unwrap().len(), 2);
        assert_eq!(configuration.rates["Worker-Update"], 5);
    }

    #[test]
    fn the_retention_of_a_workspace_takes_its_sid_and_days_within_bounds() {
        let sid = |number: u32| format!("WS{number:032x}");
        let (lowest, highest) = (sid(1), sid(2));
        let file = format!(
            "[events]\nretention_days = 40\nretention_days_of.{lowest} = 1\nretention_days_of.{highest} = 36500\n"
        );
        let (given, _place) = sources(&file, &[], &[]);
        let configuration = load(&given).unwrap().configuration;
        assert_eq!(configuration.events_retention_days, 40);
        let days: Vec<u32> = configuration.events_retention_days_of.values().copied().collect();
        assert_eq!(days, [1, 36_500]);
        let text = format!("{lowest}=7, {highest}=8");
        let (given, _place) = sources(&file, &[("POINTSMAN_EVENTS_RETENTION_DAYS_OF", &text)], &[]);
        let days = load(&given).unwrap().configuration.events_retention_days_of;
        assert_eq!(days.into_values().collect::<Vec<_>>(), [7, 8], "the variable stands for the whole table");
        let refused = |text: &str| load(&sources("", &[("POINTSMAN_EVENTS_RETENTION_DAYS_OF", text)], &[]).0).is_err();
        for days in ["0", "36501", "-1", "x", ""] {
            assert!(refused(&format!("{lowest}={days}")), "{days}");
        }
        for other in ["WS1", "WK00000000000000000000000000000001", "", "Sales"] {
            assert!(refused(&format!("{other}=7")), "{other}");
        }
        assert!(refused(&format!("{lowest}=7,{lowest}=8")), "one workspace twice");
        let many =
            |count: usize| (0..count as u32).map(|number| format!("{}=7", sid(number))).collect::<Vec<_>>().join(",");
        assert!(!refused(&many(crate::limits::RETENTION_WORKSPACES_MAX)));
        assert!(refused(&many(crate::limits::RETENTION_WORKSPACES_MAX + 1)));
    }

    #[test]
    fn a_log_level_is_a_level_or_a_part_with_one() {
        for text in ["info", "off", "warn,pointsman_server=debug", "pointsman_server=trace"] {
            assert!(load(&Sources { options: vec![("log_level", text.to_owned())], ..Sources::default() }).is_ok());
        }
        for text in ["", "loud", "debugg", "warn,pointsman_server", "pointsman_server=loud"] {
            let sources = Sources { options: vec![("log_level", text.to_owned())], ..Sources::default() };
            assert!(load(&sources).is_err(), "{text}");
        }
    }

    #[test]
    fn a_rate_is_for_something_that_can_be_called() {
        let accepted = |key: &str| {
            let environment = vec![("POINTSMAN_LIMITS_RATES".to_owned(), format!("{key}=5"))];
            load(&Sources { environment, ..Sources::default() }).is_ok()
        };
        for key in ["Worker-Update", "Task-List", "Task-List-EvaluateTaskAttributes", "Workspace-Create"] {
            assert!(accepted(key), "{key}");
        }
        for key in ["Worker-Updat", "worker-update", "Worker", "Task-List-Nonsense", "Worker-Update-"] {
            assert!(!accepted(key), "{key}");
        }
    }

    #[test]
    fn keys_are_unique_and_each_default_reads_back_as_itself() {
        let mut keys: Vec<_> = SETTINGS.iter().map(|setting| setting.key).collect();
        keys.sort_unstable();
        keys.dedup();
        assert_eq!(keys.len(), SETTINGS.len());
        let defaults = Configuration::default();
        for setting in SETTINGS {
            let shown = (setting.show)(&defaults);
            let Some(given) = Given::from_json(&shown) else { continue };
            let mut configuration = Configuration::default();
            assert!((setting.read)(&mut configuration, &given).is_some(), "{}: {shown}", setting.key);
            assert_eq!((setting.show)(&configuration), shown, "{}", setting.key);
        }
    }
}
