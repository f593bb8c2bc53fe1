//! The commands of conformance: quality tables of the primitives, and the corpus for command-line runs.

use anyhow::ensure;
use clap::{Parser, Subcommand};
use policy_conformance::case::{self, Run};
use policy_conformance::engine::{Engine, Reference};
use policy_conformance::product::Product;
use policy_conformance::{fuzz_entry, pairs, tables};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// Tables and corpora that show what the product does.
#[derive(Debug, Parser)]
#[command(name = "conformance", version)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Precision and recall of personal data detection, and harmless prompts that are flagged.
    Pii {
        /// Also list what is found in flagged prompts.
        #[arg(long)]
        verbose: bool,
    },
    /// Token counts of real prompts against another implementation, both encodings.
    Tokens,
    /// Prices of well-known models.
    Prices,
    /// Write generated policy sets with contexts and the reference's answers.
    Pairs {
        /// Directory to write to.
        #[arg(long)]
        out: PathBuf,
        /// Number of (policy set, context) pairs.
        #[arg(long, default_value_t = 10_000)]
        count: usize,
        /// Where to start.
        #[arg(long, default_value_t = 1)]
        seed: u64,
    },
    /// Run case files on every engine configuration.
    Cases {
        /// Directory of case files.
        #[arg(long)]
        directory: PathBuf,
    },
    /// Write starting points for the fuzz targets.
    Seeds {
        /// Directory to write to; one folder per target.
        #[arg(long)]
        out: PathBuf,
    },
    /// Run a `policyc` over such a corpus and report every disagreement with the reference.
    Compare {
        /// Directory that `pairs` wrote.
        #[arg(long)]
        corpus: PathBuf,
        /// The program to run.
        #[arg(long, default_value = "target/release/policyc")]
        policyc: PathBuf,
        /// Most disagreements to print.
        #[arg(long, default_value_t = 20)]
        show: usize,
    },
}

fn main() -> anyhow::Result<ExitCode> {
    match Arguments::parse().command {
        Command::Pii { verbose } => tables::print_pii(verbose)?,
        Command::Tokens => tables::print_tokens()?,
        Command::Prices => tables::print_prices(),
        Command::Pairs { out, count, seed } => {
            ensure!(count > 0, "no pairs to write");
            let written = pairs::write(&out, count, seed)?;
            println!(
                "{} pairs of {} policy sets written to {} ({} generated sets are refused by the compiler)",
                written.pairs,
                written.sets,
                out.display(),
                written.refused
            );
        }
        Command::Cases { directory } => return run_cases(&directory),
        Command::Seeds { out } => println!(
            "{} files written to {}",
            fuzz_entry::write_seeds(&out)?,
            out.display()
        ),
        Command::Compare {
            corpus,
            policyc,
            show,
        } => {
            let compared = pairs::compare(&corpus, &policyc)?;
            for line in compared.disagreements.iter().take(show) {
                println!("{line}");
            }
            println!(
                "{} pairs compared, {} disagreements",
                compared.pairs,
                compared.disagreements.len()
            );
            if !compared.disagreements.is_empty() {
                return Ok(ExitCode::FAILURE);
            }
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn run_cases(directory: &Path) -> anyhow::Result<ExitCode> {
    let cases = case::load_all(directory)?;
    let mut engines: Vec<Box<dyn Engine>> = vec![Box::new(Reference)];
    engines.extend(Product::all().into_iter().map(|p| Box::new(p) as Box<dyn Engine>));
    let mut failed = 0;
    for engine in &engines {
        for case in &cases {
            if let Run::Failed(why) = case.run(engine.as_ref()) {
                println!("{}: {}\n    {why}", engine.name(), case.name);
                failed += 1;
            }
        }
    }
    println!(
        "{} cases on {} engines, {failed} runs failed",
        cases.len(),
        engines.len()
    );
    Ok(if failed == 0 {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}
