//! The cost certificate holds: no evaluation does more work than the compiler said it could.
//!
//! Generated policies at every level, decided for generated contexts with every rule run. `DIFF_CASES` and `DIFF_SEED`
//! as in the differential tests. Work is counted in builds with debug assertions only.

use policy_compiler::{OptLevel, Options, compile};
use policy_conformance::generate::{Dials, contexts};
use policy_conformance::reference::numbers;
use policy_conformance::rng::Rng;
use policy_grammar::{SourceFile, SourceMap};
use policy_vm::{AsSent, LoadedModule, Mode, Scope, Scratch, Tally};

fn variable(name: &str) -> Option<u64> {
    std::env::var(name).ok().and_then(|text| text.parse().ok())
}

#[test]
fn no_evaluation_does_more_than_its_certificate_says() {
    if !cfg!(debug_assertions) {
        return;
    }
    let sets = variable("DIFF_CASES").unwrap_or(20_000) / 50;
    let seed = variable("DIFF_SEED").unwrap_or(1);
    let (mut evaluations, mut worked, mut reached, mut asked) = (0_u32, 0_u32, 0_u32, 0_u32);
    for n in 0..sets {
        let (pair, contexts) = contexts(&mut Rng::seeded(seed.wrapping_add(n)), &Dials::default(), 8);
        let mut sources = SourceMap::new();
        sources.add(SourceFile::new("policies", pair.policies_text()));
        for &opt_level in OptLevel::ALL {
            let options = Options {
                opt_level,
                dfa_limit_bytes: 0,
                ..Options::default()
            };
            // What the generator makes and the compiler refuses is the business of the differential tests.
            let Ok(compiled) = compile(&sources, &options) else {
                break;
            };
            let module = LoadedModule::new(&compiled.module).unwrap();
            let bound = &compiled.certificate;
            let mut scratch = Scratch::new();
            for context in &contexts {
                let mut host = AsSent;
                let body = numbers::write(context);
                let Ok(mut evaluation) = module.begin(&mut scratch, &mut host, body.as_bytes()) else {
                    continue;
                };
                evaluation.decide(Scope::All, Mode::All);
                let Tally {
                    instructions,
                    predicates,
                    nodes,
                } = evaluation.tally().unwrap();
                assert!(
                    instructions <= bound.instructions && predicates <= bound.predicates,
                    "{opt_level:?}: {instructions} instructions of {}, {predicates} predicates of {}, on {body}\n{}",
                    bound.instructions,
                    bound.predicates,
                    pair.policies_text()
                );
                // What bodies ask of elements grows with the request, and so does what it may cost.
                let allowed = u128::from(bound.cost_per_text_kb) * body.len() as u128 / 1024;
                assert!(
                    u128::from(nodes) <= allowed,
                    "{opt_level:?}: {nodes} nodes of {allowed}, on {body}\n{}",
                    pair.policies_text()
                );
                asked += u32::from(nodes > 0);
                evaluations += 1;
                worked += u32::from(instructions > 0);
                reached += u32::from(predicates == bound.predicates);
            }
        }
    }
    // A bound that nothing comes near, or a count that stays zero, would prove little.
    assert!(
        evaluations > 1000
            && worked > evaluations / 2
            && reached > evaluations / 20
            && asked > evaluations / 50,
        "{evaluations} evaluations, {worked} with work, {reached} that evaluate all predicates, {asked} that ask bodies"
    );
}
