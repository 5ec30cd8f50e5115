//! The command line.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};
use pointsman_server::admin::Date;
use pointsman_server::configuration::Sources;

use crate::exit;

/// Task router that speaks the TaskRouter v1 API.
///
/// Offers each task to the best available worker by attributes, capacity, priority and time.
/// The official client libraries work when only their base URL changes.
#[derive(Debug, Parser)]
#[command(
    name = "pointsman",
    version,
    after_help = "Start with:\n  pointsman serve --clock virtual --in-memory\nIt prints the address, and the account that the first start makes.",
    after_long_help = exit::TABLE,
    max_term_width = 100
)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Run the server
    ///
    /// Prints `pointsman ready on http://ADDR:PORT` on standard output when it is ready; logs go to standard error.
    /// SIGTERM and SIGINT stop it: what was accepted is finished and stored, and it exits with 0 within 10 seconds.
    ///
    /// Every option has an environment variable (`POINTSMAN_LISTEN`) and a key in the configuration file (`listen`).
    /// An option wins over the variable, the variable over the file. `pointsman config show` lists all settings.
    #[command(after_long_help = exit::TABLE)]
    Serve(Settings),
    /// Manage the accounts of a data directory
    Account {
        #[command(subcommand)]
        command: AccountCommand,
    },
    /// Back up everything into one file, while the server runs
    ///
    /// The file gets its name when it is complete. Read from the data directory; the server goes on meanwhile.
    /// What is acknowledged before the command begins is in it. Callbacks that wait at that moment are sent again by
    /// a server that is started on what was restored.
    #[command(after_long_help = exit::TABLE)]
    Backup {
        /// File to make; it must not exist
        #[arg(value_name = "FILE")]
        file: PathBuf,
        /// Print JSON
        #[arg(long)]
        json: bool,
        #[command(flatten)]
        place: Place,
    },
    /// Make a data directory out of a back-up
    ///
    /// The directory must be empty or not there. Everything that was restored is read and verified. When it fails, no
    /// server starts on the directory until it is restored again.
    #[command(after_long_help = exit::TABLE)]
    Restore {
        /// File that `pointsman backup` has made
        #[arg(value_name = "FILE")]
        file: PathBuf,
        /// Keep what was restored also when some of it is damaged
        #[arg(long)]
        accept_damage: bool,
        /// Print JSON
        #[arg(long)]
        json: bool,
        #[command(flatten)]
        place: Place,
    },
    /// Read and verify everything in a data directory
    ///
    /// Every record, snapshot, event and index; every workspace is made again and held against its invariants.
    /// Prints what is wrong and a summary. The server must not run on the data directory; of one that runs, check what
    /// a back-up restores to.
    #[command(after_long_help = exit::TABLE)]
    Check {
        /// Print JSON
        #[arg(long)]
        json: bool,
        #[command(flatten)]
        place: Place,
    },
    /// Give up days of the event history that are lost or damaged
    ///
    /// A server does not start on a history of which a day is missing, older or damaged: it would answer as if nothing
    /// had happened on that day. Restore a back-up; where there is none, this makes it start without the day. Tasks,
    /// workers and their state are not touched. What is left of the day's file is kept under another name. The server
    /// must not run on the data directory.
    #[command(after_long_help = exit::TABLE)]
    ForgetDays {
        /// Days in UTC, such as 2026-01-31
        #[arg(value_name = "DATE", required = true)]
        dates: Vec<Date>,
        /// Print JSON
        #[arg(long)]
        json: bool,
        #[command(flatten)]
        place: Place,
    },
    /// Write events as NDJSON to standard output
    ///
    /// One Event resource a line. From a data directory: oldest first, and the server must not run on it.
    /// From a running server (`--url`): newest first, as its API lists them.
    #[command(after_long_help = exit::TABLE)]
    ExportEvents(ExportEvents),
    /// Look at the configuration
    Config {
        #[command(subcommand)]
        command: ConfigCommand,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum AccountCommand {
    /// Make an account and print its sid and auth token
    ///
    /// The token is shown here only. The server must not run on the data directory.
    Create {
        /// A name for people
        #[arg(long, value_name = "NAME", default_value = "")]
        friendly_name: String,
        /// Print JSON
        #[arg(long)]
        json: bool,
        #[command(flatten)]
        place: Place,
    },
    /// List the accounts
    List {
        /// Print JSON
        #[arg(long)]
        json: bool,
        #[command(flatten)]
        place: Place,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum ConfigCommand {
    /// Print every setting, its value and where the value comes from
    Show {
        /// Print JSON
        #[arg(long)]
        json: bool,
        #[command(flatten)]
        settings: Box<Settings>,
    },
}

/// Which events to export, and from where.
#[derive(Debug, Args)]
pub(crate) struct ExportEvents {
    /// Workspace whose events are exported [default: all]
    #[arg(long, value_name = "SID")]
    pub(crate) workspace: Option<String>,
    /// First instant, such as 2026-01-31T00:00:00Z [default: the oldest event]
    #[arg(long, value_name = "DATE")]
    pub(crate) from: Option<String>,
    /// Last instant [default: the newest event]
    #[arg(long, value_name = "DATE")]
    pub(crate) to: Option<String>,
    /// Running server to ask, such as http://127.0.0.1:8420, instead of a data directory
    #[arg(long, value_name = "URL", conflicts_with_all = ["data_dir", "config"])]
    pub(crate) url: Option<String>,
    /// Account that asks the running server
    #[arg(long, value_name = "SID", env = "POINTSMAN_ACCOUNT_SID")]
    pub(crate) account_sid: Option<String>,
    /// Its token
    #[arg(long, value_name = "TOKEN", env = "POINTSMAN_AUTH_TOKEN", hide_env_values = true)]
    pub(crate) auth_token: Option<String>,
    /// Print the summary on standard error as JSON
    #[arg(long)]
    pub(crate) json: bool,
    #[command(flatten)]
    pub(crate) place: Place,
}

/// Where an account is kept.
#[derive(Debug, Args)]
pub(crate) struct Place {
    /// Directory that holds everything [default: ./pointsman-data] [env: POINTSMAN_DATA_DIR]
    #[arg(long, value_name = "DIR")]
    pub(crate) data_dir: Option<String>,
    /// Configuration file (TOML) [env: POINTSMAN_CONFIG]
    #[arg(long, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
}

/// Settings that have an option of their own; the others are set by variable or file.
#[derive(Debug, Args)]
pub(crate) struct Settings {
    /// Address and port to listen on; port 0 picks a free one [default: 127.0.0.1:8420] [env: POINTSMAN_LISTEN]
    #[arg(long, value_name = "ADDR")]
    listen: Option<String>,
    /// Directory that holds everything; made when it is not there [default: ./pointsman-data] [env:
    /// POINTSMAN_DATA_DIR]
    #[arg(long, value_name = "DIR")]
    data_dir: Option<String>,
    /// Configuration file (TOML) [env: POINTSMAN_CONFIG]
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// What `url` and `links` in answers begin with [default: what the request was sent to] [env:
    /// POINTSMAN_PUBLIC_URL]
    #[arg(long, value_name = "URL")]
    public_url: Option<String>,
    /// `system`, or `virtual`: time stands still until POST /pointsman/v1/Clock moves it [default: system] [env:
    /// POINTSMAN_CLOCK]
    #[arg(long, value_name = "MODE")]
    clock: Option<String>,
    /// Keep everything in memory and nothing on disk, for tests [env: POINTSMAN_IN_MEMORY]
    #[arg(long)]
    in_memory: bool,
    /// Form of the log on standard error: `text` or `json` [default: text] [env: POINTSMAN_LOG_FORMAT]
    #[arg(long, value_name = "FORMAT")]
    log_format: Option<String>,
    /// How much is logged: `error`, `warn`, `info`, `debug` or `trace` [default: info] [env: POINTSMAN_LOG_LEVEL]
    #[arg(long, value_name = "LEVEL")]
    log_level: Option<String>,
}

impl Settings {
    /// Everything that settings are read from.
    pub(crate) fn sources(&self) -> Sources {
        let Settings { listen, data_dir, config, public_url, clock, in_memory, log_format, log_level } = self;
        let in_memory = in_memory.then(|| "true".to_owned());
        let rows = [
            ("listen", listen),
            ("data_dir", data_dir),
            ("public_url", public_url),
            ("clock", clock),
            ("in_memory", &in_memory),
            ("log_format", log_format),
            ("log_level", log_level),
        ];
        sources(rows, config.clone())
    }
}

impl Place {
    /// Everything that settings are read from.
    pub(crate) fn sources(&self) -> Sources {
        sources([("data_dir", &self.data_dir)], self.config.clone())
    }
}

fn sources<'a>(
    options: impl IntoIterator<Item = (&'static str, &'a Option<String>)>,
    file: Option<PathBuf>,
) -> Sources {
    let given = options.into_iter().filter_map(|(key, value)| Some((key, value.clone()?)));
    // What is not UTF-8 is no setting.
    let environment =
        std::env::vars_os().filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)));
    Sources { options: given.collect(), environment: environment.collect(), file }
}
