//! What a change of one policy costs, stage by stage, beside compiling the whole set.
//!
//! ```text
//! replace-one [ROUNDS] [10k-policies | tenants-10k]
//! ```

use policy_benches::workloads::{self, Tenant};
use policy_compiler::{Compiler, Options};
use policy_runtime::Policies;
use std::process::ExitCode;
use std::time::{Duration, Instant};

const MANY: usize = 10_000;

fn main() -> ExitCode {
    let mut args = std::env::args().skip(1);
    let rounds = args.next().and_then(|n| n.parse().ok()).unwrap_or(9);
    let wanted = args.next();
    let tenants = || {
        workloads::by_name("tenants-10k")
            .map(|w| w.policy.into_owned())
            .unwrap_or_default()
    };
    let sets = [
        ("10k-policies", workloads::tenant_policies(MANY)),
        ("tenants-10k", vec![("tenants.yaml".to_owned(), tenants())]),
    ];
    for (name, files) in sets {
        if wanted.as_deref().is_some_and(|w| w != name) {
            continue;
        }
        if let Err(message) = measure(name, &files, rounds) {
            eprintln!("replace-one: {message}");
            return ExitCode::FAILURE;
        }
    }
    ExitCode::SUCCESS
}

fn measure(name: &str, files: &[(String, String)], rounds: usize) -> Result<(), String> {
    let mut compiler = Compiler::new(Options::default());
    let (mut all, mut built, mut loaded) = (Vec::new(), Vec::new(), Vec::new());
    for round in 0..rounds {
        // Every other round is a full compile, so that both meet the same machine.
        let mut clean = Compiler::new(Options::default());
        for (name, text) in files {
            clean.set(name.as_str(), text.as_str());
            compiler.set(name.as_str(), text.as_str());
        }
        clean.set("edited.yaml", edited(round));
        let start = Instant::now();
        let policies = load(&mut clean)?.0;
        all.push(start.elapsed());
        drop((clean, policies));

        compiler.set("edited.yaml", edited(round));
        let (_policies, build, load) = load(&mut compiler)?;
        // The first round compiles everything.
        if round > 0 {
            built.push(build);
            loaded.push(load);
        }
    }
    let (all, built, loaded) = (median(all), median(built), median(loaded));
    println!(
        "{name}: all {all:.1?}, one replaced {:.1?} (build {built:.1?}, load {loaded:.1?}), 1/{:.1}",
        built + loaded,
        all.as_secs_f64() / (built + loaded).as_secs_f64()
    );
    Ok(())
}

fn edited(round: usize) -> String {
    let limit = 1.0 + round as f64;
    workloads::tenant_policy(
        MANY,
        Tenant {
            provider: "openai",
            limit,
        },
    )
}

fn load(compiler: &mut Compiler) -> Result<(Policies, Duration, Duration), String> {
    let start = Instant::now();
    let compiled = compiler.build().map_err(|e| e.to_string())?;
    let built = start.elapsed();
    let policies = Policies::from_compiled(compiled).map_err(|e| e.to_string())?;
    Ok((policies, built, start.elapsed() - built))
}

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort_unstable();
    times.get(times.len() / 2).copied().unwrap_or_default()
}
