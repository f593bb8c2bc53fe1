//! Tests of `explain`.

use super::{ConditionTrace, flip};

fn leaf(outcome: &'static str) -> ConditionTrace {
    node("eq", outcome, Vec::new())
}

fn node(operator: &str, outcome: &'static str, conditions: Vec<ConditionTrace>) -> ConditionTrace {
    ConditionTrace {
        operator: operator.to_owned(),
        outcome,
        field: None,
        actual: None,
        value: None,
        value_from: None,
        constant: None,
        ignore_case: false,
        conditions,
        element: None,
        condition: None,
    }
}

fn flips(node: &ConditionTrace, wanted: bool) -> Option<usize> {
    flip(node, wanted).map(|list| list.len())
}

#[test]
fn a_conjunction_breaks_at_one_place_and_mends_at_all() {
    let both = node("and", "true", vec![leaf("true"), leaf("true")]);
    assert_eq!(flips(&both, false), Some(1));
    let neither = node("and", "false", vec![leaf("false"), leaf("error"), leaf("true")]);
    assert_eq!(flips(&neither, true), Some(2));
}

#[test]
fn a_disjunction_is_the_mirror_image_and_negation_turns_it() {
    let any = node("or", "true", vec![leaf("true"), leaf("false"), leaf("true")]);
    assert_eq!(flips(&any, false), Some(2));
    let not = node("not", "false", vec![node("or", "true", vec![leaf("true")])]);
    assert_eq!(flips(&not, true), Some(1));
}

#[test]
fn the_cheapest_branch_is_taken_and_constants_cannot_change() {
    let costly = node("and", "false", vec![leaf("false"), leaf("false")]);
    let tree = node("or", "false", vec![costly, leaf("false")]);
    assert_eq!(flips(&tree, true), Some(1));
    assert_eq!(flips(&node("const", "false", Vec::new()), true), None);
    let fixed = node(
        "and",
        "false",
        vec![node("const", "false", Vec::new()), leaf("false")],
    );
    assert_eq!(flips(&fixed, true), None);
}
