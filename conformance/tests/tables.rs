//! The quality that the primitives must have on the labelled data, and the reference's own tables.

use policy_bytecode::context::Holds;
use policy_compiler::context;
use policy_conformance::reference::{ALIASES, LISTS, SCALARS, canonical};
use policy_conformance::{data, tables};
use policy_grammar::ast::FieldPath;
use policy_primitives::injection::InjectionSignal;
use policy_primitives::pii::{PiiType, contains};

#[test]
fn personal_data_is_found_precisely() {
    let Some(labelled) = data::read("personal_data_is_found_precisely", "pii/labelled_dev.json") else {
        return;
    };
    for (kind, score) in tables::pii_scores(&labelled).unwrap() {
        let floor = match kind {
            PiiType::CreditCard | PiiType::Ssn | PiiType::Iban | PiiType::Email | PiiType::IpAddress => 0.99,
            PiiType::Phone => 0.85,
            _ => 0.0,
        };
        assert!(
            score.precision() >= floor && score.recall() >= floor,
            "{kind}: {score:?}"
        );
    }
}

#[test]
fn harmless_prompts_are_rarely_flagged() {
    let Some(lines) = data::read("harmless_prompts_are_rarely_flagged", "prompts/benign_dev.jsonl") else {
        return;
    };
    let prompts = tables::prompts(&lines).unwrap();
    let flagged = prompts.iter().filter(|text| contains(text)).count();
    assert!(
        flagged * 100 < prompts.len(),
        "{flagged} of {} prompts are flagged",
        prompts.len()
    );
}

/// The weights in the documentation are those of the detectors.
#[test]
fn weights_are_the_detectors() {
    let page = include_str!("../../docs/policy-language.md");
    for signal in InjectionSignal::ALL {
        let row = format!("| `{}` | 0.{} |", signal.name(), signal.weight() / 10);
        assert!(page.contains(&row), "{row}");
    }
}

/// The reference has its own list of spellings; the product's is a table elsewhere.
#[test]
fn the_reference_knows_every_alias() {
    let mut ours: Vec<(String, String)> = ALIASES
        .iter()
        .flat_map(|(o, c, others)| others.iter().map(move |s| (format!("{o}.{c}"), (*s).to_owned())))
        .collect();
    let mut theirs: Vec<(String, String)> = context::FIELDS
        .iter()
        .flat_map(|f| {
            f.aliases
                .iter()
                .map(|alias| (f.path.to_owned(), (*alias).to_owned()))
        })
        .collect();
    ours.sort();
    theirs.sort();
    assert_eq!(ours, theirs);
    let shaped = |holds: Holds| -> Vec<String> {
        let fields = context::FIELDS.iter().filter(|f| f.holds() == holds);
        fields.map(|f| f.path.to_owned()).collect()
    };
    let named =
        |list: &[(&str, &str)]| -> Vec<String> { list.iter().map(|(o, n)| format!("{o}.{n}")).collect() };
    assert_eq!(shaped(Holds::List), named(LISTS));
    assert_eq!(shaped(Holds::Scalar), named(SCALARS));
    let path = |text: &str| FieldPath::parse(text).unwrap();
    assert_eq!(canonical(&path("llm.max_tokens")), path("llm.maxTokens"));
    assert_eq!(
        canonical(&path("metadata.max_tokens")),
        path("metadata.max_tokens")
    );
}
