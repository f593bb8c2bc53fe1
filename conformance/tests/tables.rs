//! The quality that the primitives must have on the labelled data, and the reference's own tables.

use policy_bytecode::context::{self, Shape};
use policy_bytecode::module::PathSegment;
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

/// The words that the compiler knows are those that the detectors give, and the weights in the documentation theirs.
#[test]
fn words_and_weights_are_the_detectors() {
    let types: Vec<&str> = PiiType::ALL.iter().map(|kind| kind.name()).collect();
    assert_eq!(context::PII_TYPES, types);
    let signals: Vec<&str> = InjectionSignal::ALL.iter().map(|signal| signal.name()).collect();
    assert_eq!(context::INJECTION_SIGNALS, signals);
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
    let shaped = |shape: Shape| -> Vec<String> {
        let path = |f: &&context::ContextField| -> Vec<PathSegment> {
            let key = |key: &str| PathSegment::Key {
                name: key.to_owned(),
                aliases: Vec::new(),
            };
            f.path.split('.').map(key).collect()
        };
        let fields = context::FIELDS.iter().filter(|f| Shape::of(&path(f)) == shape);
        fields.map(|f| f.path.to_owned()).collect()
    };
    let named =
        |list: &[(&str, &str)]| -> Vec<String> { list.iter().map(|(o, n)| format!("{o}.{n}")).collect() };
    assert_eq!(shaped(Shape::List), named(LISTS));
    assert_eq!(shaped(Shape::Scalar), named(SCALARS));
    let path = |text: &str| FieldPath::parse(text).unwrap();
    assert_eq!(canonical(&path("llm.max_tokens")), path("llm.maxTokens"));
    assert_eq!(
        canonical(&path("metadata.max_tokens")),
        path("metadata.max_tokens")
    );
}
