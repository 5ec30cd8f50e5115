//! Benchmarks. Figures are ratios within one run wherever something else is measured beside us.
//!
//! - `engine`: life cycles per second of the engine alone, on one core, and its longest turn as a Workspace grows.
//! - `cost`: what one assignment costs as waiting Tasks, Workers and queues grow; flat is the goal.
//! - `http`: durable life cycles and reads over HTTP, as a ratio to a bare form-to-JSON echo in the same run.
//! - `sustained`: latencies, memory and disk over minutes, beside what the server does in the background.

mod client;
mod cost;
mod echo;
mod engine;
mod http;
mod sustained;
mod world;

use clap::{Parser, Subcommand};

/// The same that the server runs with.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

#[derive(Parser)]
#[command(name = "pointsman-bench", about = "Measures Pointsman", version)]
struct Arguments {
    #[command(subcommand)]
    what: What,
}

#[derive(Subcommand)]
enum What {
    /// Life cycles per second of the engine alone: create, reserve, accept, complete, purge
    Engine {
        /// Life cycles per round
        #[arg(long, default_value_t = 300_000)]
        cycles: u32,
        /// Rounds; the median is shown with the extremes
        #[arg(long, default_value_t = 5)]
        rounds: u32,
        /// Tasks that are made and wait, for the longest turn; 0 for none
        #[arg(long, default_value_t = 1_000_000)]
        waiting: u32,
    },
    /// Cost of one assignment over growing numbers of waiting tasks, workers and queues
    Cost {
        /// Smaller sizes, for a quick look
        #[arg(long)]
        quick: bool,
    },
    /// Requests per second of a running server against a bare echo, both started here
    Http(http::Options),
    /// A server under a steady load for minutes, with its snapshots, trimming and projection; writes a plot
    Sustained(sustained::Options),
    /// The bare echo: answers a form as JSON. Started by `http`
    #[command(hide = true)]
    Echo,
}

fn main() -> anyhow::Result<()> {
    match Arguments::parse().what {
        What::Engine { cycles, rounds, waiting } => {
            engine::run(cycles, rounds);
            if 0 < waiting {
                engine::grow(waiting);
            }
        }
        What::Cost { quick } => cost::run(quick),
        What::Http(options) => return http::run(&options),
        What::Sustained(options) => return sustained::run(&options),
        What::Echo => return echo::run(),
    }
    Ok(())
}
