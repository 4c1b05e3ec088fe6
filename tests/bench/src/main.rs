//! `cargo xtask bench NAME`: whole-path benchmarks.
//!
//! Every figure stands beside its goal. Where speed is meant, the goal is a ratio of two figures of the same run: this
//! kind of machine is too noisy for anything else. Start with `adapter.rs`.

mod adapter;
mod catalog;
mod exchange;
mod languages;
mod load;
mod native;
mod neighbours;
mod place;
mod reload;
mod report;
mod stages;

use std::process::ExitCode;

use anyhow::Result;
use clap::Parser;

/// As in the program.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Measure, print figures beside their goals, and end with 1 when one is missed
#[derive(Debug, Parser)]
struct Arguments {
    #[command(subcommand)]
    bench: Bench,
    /// Print one JSON object instead of a table
    #[arg(long, global = true)]
    json: bool,
}

#[derive(Debug, clap::Subcommand)]
enum Bench {
    /// Calls through the whole server against a hand-written handler; activation; memory
    Adapter,
    /// A thousand swaps between two versions at full load
    Reload,
    /// What a fifth of hostile traffic does to the others
    Neighbours,
    /// The adapter's part of a call, alone
    Stages,
    /// Exchanges between two security servers, signed, recorded and time-stamped
    Exchange(exchange::ExchangeArguments),
    /// The people look-up in each language: size, compile time, a call, memory
    Languages,
    /// Public search, configuration and a server's refresh with 1,000 members and 10,000 services
    Catalog(catalog::CatalogArguments),
    /// Serve what `adapter` measures until interrupted, for a profiler
    Hold,
    /// Send requests and print latencies; the other benches start it as a process of its own
    #[command(hide = true)]
    Load(load::LoadArguments),
    /// Refresh a global configuration and print the memory it took; `catalog` starts it as a process of its own
    #[command(hide = true)]
    Refresh(catalog::RefreshArguments),
}

fn main() -> Result<ExitCode> {
    let arguments = Arguments::parse();
    let report = match arguments.bench {
        Bench::Adapter => adapter::run()?,
        Bench::Reload => reload::run()?,
        Bench::Neighbours => neighbours::run()?,
        Bench::Stages => stages::run()?,
        Bench::Languages => languages::run()?,
        Bench::Catalog(arguments) => catalog::run(&arguments)?,
        Bench::Exchange(arguments) => exchange::run(&arguments)?,
        Bench::Hold => {
            adapter::hold()?;
            return Ok(ExitCode::SUCCESS);
        }
        Bench::Load(arguments) => {
            load::run(&arguments)?;
            return Ok(ExitCode::SUCCESS);
        }
        Bench::Refresh(arguments) => {
            catalog::refresh(&arguments)?;
            return Ok(ExitCode::SUCCESS);
        }
    };
    println!("{}", if arguments.json { report.json() } else { report.table() });
    Ok(if report.reached() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
