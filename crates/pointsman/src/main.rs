//! The program `pointsman`: its commands, and how each ends.

mod arguments;
mod commands;
mod exit;
mod progress;

use std::process::ExitCode;

use clap::Parser;

use crate::arguments::{AccountCommand, Arguments, Command, ConfigCommand};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let outcome = match arguments.command {
        Command::Serve(settings) => commands::serve::run(&settings),
        Command::Account { command: AccountCommand::Create { friendly_name, json, place } } => {
            commands::account::create(&place, &friendly_name, json)
        }
        Command::Account { command: AccountCommand::List { json, place } } => commands::account::list(&place, json),
        Command::Backup { file, json, place } => commands::backup::run(&place, &file, json),
        Command::Restore { file, accept_damage, json, place } => {
            commands::restore::run(&place, &file, accept_damage, json)
        }
        Command::Check { json, place } => commands::check::run(&place, json),
        Command::ForgetDays { dates, json, place } => commands::forget_days::run(&place, &dates, json),
        Command::ExportEvents(arguments) => commands::export_events::run(&arguments),
        Command::Config { command: ConfigCommand::Show { json, settings } } => commands::config::show(&settings, json),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("pointsman: {error:#}");
            ExitCode::from(exit::code(&error))
        }
    }
}
