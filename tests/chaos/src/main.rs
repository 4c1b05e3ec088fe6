//! `cargo xtask chaos`: two security servers exchange under load while they, what they stand on and what they ask fail at
//! random moments. Afterwards their message logs are judged: what a client was told happened is proven, once and whole.
//!
//! Start with `plan.rs`, which says what fails, and `audit.rs`, which says what must hold.

mod audit;
mod link;
mod load;
mod plan;
mod report;
mod scene;
mod server_clock;

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Result;
use clap::Parser;

use crate::audit::audit;
use crate::load::Load;
use crate::plan::Plan;
use crate::report::Report;
use crate::scene::Scene;

/// Let everything fail at random under load, judge the evidence, and end with 1 when any is wrong
#[derive(Debug, Parser)]
struct Arguments {
    /// The same seed gives the same faults in the same order; random unless given
    #[arg(long, value_name = "N")]
    seed: Option<u64>,
    /// How many times something fails
    #[arg(long, value_name = "N", default_value_t = 100)]
    events: usize,
    /// The program that both servers run; target/debug/uuk unless given
    #[arg(long, value_name = "PATH")]
    program: Option<PathBuf>,
    /// Print one JSON object instead of a table
    #[arg(long)]
    json: bool,
}

#[tokio::main]
async fn main() -> Result<ExitCode> {
    let arguments = Arguments::parse();
    let seed = arguments.seed.unwrap_or_else(|| fastrand::u64(..=u64::from(u32::MAX)));
    eprintln!("chaos with --seed {seed} --events {}", arguments.events);
    let report = run(&arguments, Plan::new(seed, arguments.events)).await?;
    println!("{}", if arguments.json { report.json() } else { report.table() });
    Ok(if report.violations.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

async fn run(arguments: &Arguments, plan: Plan) -> Result<Report> {
    let mut scene = Scene::start(arguments.program.clone()).await?;
    let mut report = Report::new(&plan, &scene.impossible);
    let load = Load::start(plan.seed, scene.client());
    for (number, event) in plan.events.iter().enumerate() {
        tokio::time::sleep(event.pause).await;
        let faults = event.faults.iter().map(ToString::to_string).collect::<Vec<_>>().join(" and ");
        eprintln!("{:>4}  {faults} for {:?}", number + 1, event.hold);
        for fault in &event.faults {
            scene.strike(*fault)?;
        }
        tokio::time::sleep(event.hold).await;
        for fault in &event.faults {
            scene.mend(*fault)?;
        }
    }
    report.recovered(scene.recovers().await);
    let calls = load.end().await?;
    report.called(&calls, &scene.outages);
    audit(&mut report, &calls, &scene.end()).await?;
    Ok(report)
}
