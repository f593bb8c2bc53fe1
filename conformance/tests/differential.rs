//! Generated pairs: every engine configuration against the reference, and what must not change a decision.
//!
//! `DIFF_CASES` sets how many pairs (default 20,000; properties run on a fraction of that), `DIFF_SEED` where to
//! start, `DIFF_SHOW_REFUSED` prints what the compiler refuses. A disagreement is made small and, with `DUMP_CASE_DIR`, written there as a case file.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

use policy_compiler::OptLevel;
use policy_conformance::compare::{Verdict, dump, judge, judge_parsed, report, shrink};
use policy_conformance::engine::{Engine, LoadFailure, Reference, RequestOptions, parse};
use policy_conformance::generate::{Dials, Pair, contexts, pair};
use policy_conformance::metamorphic;
use policy_conformance::product::Product;
use policy_conformance::reference::{RefResponse, numbers};
use policy_conformance::rng::Rng;
use policy_grammar::ast::Decision;
use std::path::Path;

fn variable(name: &str) -> Option<u64> {
    std::env::var(name).ok().and_then(|text| text.parse().ok())
}

fn pairs() -> u64 {
    variable("DIFF_CASES").unwrap_or(20_000)
}

/// Rounds of a property that compiles twice for every pair.
fn rounds() -> u64 {
    pairs() / 50
}

fn seed() -> u64 {
    variable("DIFF_SEED").unwrap_or(1)
}

/// Shrinks, keeps and reports a disagreement.
fn fail(engine: &dyn Engine, pair: &Pair, name: &str) -> ! {
    let disagrees = |p: &Pair| matches!(judge(engine, p, &p.body()), Verdict::Disagree(_));
    let small = shrink(pair, &disagrees);
    let Verdict::Disagree(differences) = judge(engine, &small, &small.body()) else {
        panic!("{name}: not reproduced");
    };
    if let Some(directory) = std::env::var_os("DUMP_CASE_DIR") {
        let note = format!("Found by the differential test against {}.", engine.name());
        dump(Path::new(&directory), name, &note, &small).unwrap();
    }
    panic!("{name}\n{}", report(engine.name(), &small, &differences));
}

/// Contexts for one policy set: loading costs far more than deciding.
const CONTEXTS: usize = 8;

#[test]
fn engines_agree_with_the_reference() {
    let engines = Product::all();
    let everyone: Vec<&Product> = engines.iter().collect();
    // Two levels for every set, all configurations for every eighth: they differ from -O2 in ways that few sets touch.
    agree(&Dials::default(), pairs(), &[&engines[0], &engines[2]], &everyone);
}

/// Sets of up to 180 rules on four fields: rules are reached through keys, thresholds, prefixes and nodes below nodes.
#[test]
fn crowded_sets_are_decided_alike_through_the_index() {
    let (plain, indexed) = (Product::at(OptLevel::O2), Product::indexed());
    agree(
        &Dials::crowded(),
        pairs() / 2,
        &[&plain, &indexed],
        &[&plain, &indexed],
    );
}

/// Judges `pairs` pairs on some engines, and every eighth set on all of them.
fn agree(dials: &Dials, pairs: u64, usual: &[&Product], all: &[&Product]) {
    let (mut agreed, mut refused, mut fired, mut failed, mut stopped) = (0_u32, 0_u32, 0_u32, 0_u32, 0_u32);
    let (mut modified, mut overruled) = (0_u32, 0_u32);
    let sets = pairs.div_ceil(CONTEXTS as u64);
    for n in 0..sets {
        let (mut pair, contexts) = contexts(&mut Rng::seeded(seed().wrapping_add(n)), dials, CONTEXTS);
        let text = pair.policies_text();
        let Ok(policies) = parse(&text) else {
            refused += 1;
            continue;
        };
        let engines = if n % 8 == 0 { all } else { usual };
        for (i, engine) in engines.iter().copied().enumerate() {
            let loaded = match engine.load(&text, pair.settings) {
                Ok(loaded) => loaded,
                Err(LoadFailure::Refused(errors)) => {
                    refused += 1;
                    if std::env::var_os("DIFF_SHOW_REFUSED").is_some() {
                        println!("refused {}: {errors:?}", seed().wrapping_add(n));
                    }
                    break;
                }
                Err(LoadFailure::Other(_)) => {
                    fail(engine, &pair, &format!("load-{}", seed().wrapping_add(n)))
                }
            };
            for context in &contexts {
                match judge_parsed(loaded.as_ref(), &policies, &pair, &numbers::write(context)) {
                    Verdict::Agree(answer) if i == 0 => {
                        agreed += 1;
                        if let Ok(answer) = answer {
                            fired += u32::from(!answer.matched_rules.is_empty());
                            failed += u32::from(!answer.errors.is_empty());
                            stopped += u32::from(answer.decision == Decision::Deny);
                            modified += u32::from(answer.decision == Decision::Modify);
                            overruled += u32::from(answer.overruled == Some(true));
                        }
                    }
                    Verdict::Agree(_) => {}
                    Verdict::Refused(_) | Verdict::Disagree(_) => {
                        pair.context = context.clone();
                        fail(engine, &pair, &format!("differential-{}", seed().wrapping_add(n)));
                    }
                }
            }
        }
    }
    println!(
        "{agreed} pairs agree, {refused} of {sets} sets refused; {fired} with fired rules, {failed} with errors, \
         {stopped} denied, {modified} modified, {overruled} denied once modified"
    );
    // The generator is worth nothing when it only makes what is refused, or what never fires or fails.
    assert!(
        u64::from(refused) * 4 < sets,
        "{refused} of {sets} sets are refused"
    );
    assert!(fired * 3 > agreed, "only {fired} of {agreed} pairs fire a rule");
    assert!(
        failed * 20 > agreed,
        "only {failed} of {agreed} pairs have an error"
    );
    assert!(
        overruled * 500 > agreed,
        "only {overruled} of {agreed} pairs are denied once they are modified"
    );
    assert!(
        stopped * 10 > agreed,
        "only {stopped} of {agreed} pairs are denied"
    );
}

/// Documents with mistakes are refused or not, but never panic, at any level; and all levels agree on which.
#[test]
fn invalid_policies_are_refused_alike() {
    let dials = Dials {
        invalid: 60,
        ..Dials::default()
    };
    let engines = Product::all();
    let mut refused = 0;
    for n in 0..rounds() {
        let pair = pair(&mut Rng::seeded(seed().wrapping_add(n)), &dials);
        let text = pair.policies_text();
        let outcomes: Vec<_> = engines
            .iter()
            .map(|engine| match engine.load(&text, pair.settings) {
                Ok(_) => Vec::new(),
                Err(LoadFailure::Refused(errors)) => errors,
                Err(LoadFailure::Other(error)) => panic!("{}: {error}\n{text}", engine.name()),
            })
            .collect();
        assert!(outcomes.windows(2).all(|w| w[0] == w[1]), "{outcomes:?}\n{text}");
        refused += usize::from(!outcomes[0].is_empty());
    }
    assert!(refused > 0);
}

/// The answer of one engine, when its compiler takes the policies.
fn answer(engine: &dyn Engine, pair: &Pair) -> Option<RefResponse> {
    let loaded = match engine.load(&pair.policies_text(), pair.settings) {
        Ok(loaded) => loaded,
        Err(LoadFailure::Refused(_)) => return None,
        Err(LoadFailure::Other(error)) => panic!("{error}\n{}", pair.policies_text()),
    };
    loaded.evaluate(pair.body().as_bytes(), &pair.request).ok()
}

/// Runs a metamorphic property on the reference and on the product: `change` makes another pair out of one, `check`
/// says what must hold of the two answers.
fn property(
    name: &str,
    change: impl Fn(&mut Rng, &Pair) -> Option<Pair>,
    check: impl Fn(&RefResponse, &RefResponse) -> Result<(), String>,
) {
    let product = Product::bundle();
    let mut looked_at = 0;
    for n in 0..rounds() {
        let mut rng = Rng::seeded(seed().wrapping_add(n).wrapping_mul(31));
        let mut original = pair(&mut rng, &Dials::default());
        original.request = RequestOptions {
            policies: None,
            ..original.request
        };
        let Some(changed) = change(&mut rng, &original) else {
            continue;
        };
        let engines: [&dyn Engine; 2] = [&Reference, &product];
        for engine in engines {
            let (Some(before), Some(after)) = (answer(engine, &original), answer(engine, &changed)) else {
                continue;
            };
            looked_at += 1;
            if let Err(why) = check(&before, &after) {
                panic!(
                    "{name} on {}: {why}\nbefore: {before:?}\nafter: {after:?}\ncontext: {}\n{}\nchanged context: {}\nchanged:\n{}",
                    engine.name(),
                    original.body(),
                    original.policies_text(),
                    changed.body(),
                    changed.policies_text(),
                );
            }
        }
    }
    assert!(looked_at > 0, "{name} was never looked at");
}

fn same(what: &str, left: &impl std::fmt::Debug, right: &impl std::fmt::Debug) -> Result<(), String> {
    let (left, right) = (format!("{left:?}"), format!("{right:?}"));
    if left == right {
        Ok(())
    } else {
        Err(format!("{what}: {left} and {right}"))
    }
}

fn same_answer(before: &RefResponse, after: &RefResponse) -> Result<(), String> {
    same("answer", before, after)
}

#[test]
fn the_order_of_operands_changes_no_outcome() {
    property(
        "operand order",
        |rng, pair| Some(metamorphic::shuffle_operands(rng, pair)),
        |before, after| {
            // Errors are listed in document order, so only their order may change.
            let (mut before, mut after) = (before.clone(), after.clone());
            for answer in [&mut before, &mut after] {
                answer.errors.sort_by_key(|e| format!("{e:?}"));
            }
            same_answer(&before, &after)
        },
    );
}

#[test]
fn the_order_of_rules_changes_no_decision() {
    property(
        "rule order",
        |rng, pair| Some(metamorphic::shuffle_rules(rng, pair)),
        |before, after| {
            // Of two values for one path the first in order wins, and one of the requests that they make may be denied.
            let modifies =
                |answer: &RefResponse| answer.matched.iter().any(|m| m.decision == Decision::Modify);
            let looked_at = |answer: &RefResponse| answer.decision >= Decision::Modify && modifies(answer);
            if looked_at(before) && looked_at(after) {
                return Ok(());
            }
            same("decision", &before.decision, &after.decision)
        },
    );
}

#[test]
fn the_order_of_documents_changes_nothing() {
    property(
        "document order",
        |rng, pair| Some(metamorphic::shuffle_documents(rng, pair)),
        same_answer,
    );
}

#[test]
fn yaml_and_json_mean_the_same() {
    property(
        "yaml and json",
        |_, pair| {
            Some(Pair {
                json: !pair.json,
                ..pair.clone()
            })
        },
        same_answer,
    );
}

#[test]
fn the_spelling_of_known_fields_in_policies_changes_nothing() {
    property(
        "spelling in policies",
        |_, pair| Some(metamorphic::respell_policies(pair)),
        same_answer,
    );
}

#[test]
fn the_spelling_of_known_fields_in_requests_changes_nothing() {
    property(
        "spelling in requests",
        |_, pair| metamorphic::respell_context(pair),
        same_answer,
    );
}

#[test]
fn an_added_rule_that_fails_never_turns_deny_into_allow() {
    property(
        "added error",
        |rng, pair| Some(metamorphic::add_failing_rule(rng, pair)),
        |before, after| {
            if before.decision == Decision::Deny && after.decision != Decision::Deny {
                return Err("a deny was lost".to_owned());
            }
            if after.decision < before.decision {
                Err("the decision became weaker".to_owned())
            } else {
                Ok(())
            }
        },
    );
}

#[test]
fn an_added_policy_that_never_fires_changes_nothing() {
    property(
        "added policy",
        |rng, pair| Some(metamorphic::add_silent_policy(rng, pair)),
        same_answer,
    );
}

#[test]
fn what_a_namespace_does_not_see_changes_nothing() {
    property(
        "foreign policies",
        |_, pair| metamorphic::add_foreign_policies(pair),
        same_answer,
    );
}

#[test]
fn both_modes_decide_alike() {
    property(
        "modes",
        |_, pair| Some(metamorphic::other_mode(pair)),
        |before, after| {
            same("decision", &before.decision, &after.decision)?;
            same("reason", &before.reason, &after.reason)
        },
    );
}

#[test]
fn double_negation_changes_nothing() {
    property(
        "double negation",
        |_, pair| Some(metamorphic::negate_twice(pair)),
        same_answer,
    );
}

#[test]
fn disabling_a_rule_that_did_not_fire_changes_nothing() {
    property(
        "removed silent rule",
        |_, pair| {
            let before = answer(&Reference, pair)?;
            // A rule may fire for the modified request alone, and keep it from a default deny.
            if before.decision == Decision::Modify && pair.settings.default_decision == Decision::Deny {
                return None;
            }
            metamorphic::disable_silent_rules(pair, &before)
        },
        |before, after| {
            // Names are qualified by what is enabled, so only the rest is compared.
            same("decision", &before.decision, &after.decision)?;
            same("reason", &before.reason, &after.reason)?;
            same("modifications", &before.modifications, &after.modifications)?;
            same("metadata", &before.metadata, &after.metadata)
        },
    );
}

#[test]
fn the_order_of_keys_in_requests_changes_nothing() {
    let product = Product::bundle();
    for n in 0..rounds() {
        let mut rng = Rng::seeded(seed().wrapping_add(n));
        let pair = pair(&mut rng, &Dials::default());
        let Ok(loaded) = product.load(&pair.policies_text(), pair.settings) else {
            continue;
        };
        let before = loaded.evaluate(pair.body().as_bytes(), &pair.request);
        let body = metamorphic::shuffled_body(&mut rng, &pair.context);
        let after = loaded.evaluate(body.as_bytes(), &pair.request);
        assert_eq!(before, after, "{}\n{body}\n{}", pair.body(), pair.policies_text());
    }
}
