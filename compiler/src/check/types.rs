//! Types: comparisons that can never work, because the field never has a type that the operator takes.
//!
//! Types of fields come from the table of known context fields and from the schema. `null` is always allowed: a request
//! may hold it anywhere.

use crate::fields::{FieldInfo, dotted, nearest};
use crate::hir::{Cond, Program, Test};
use crate::types::TypeSet;
use policy_bytecode::casefold;
use policy_bytecode::predicate::{PredOp, PredOperand, Reads, Takes};
use policy_bytecode::{Const, ConstIdx, FieldIdx};
use policy_grammar::Diagnostic;
use policy_grammar::codes::Code;

pub(super) fn check(program: &Program, diagnostics: &mut Vec<Diagnostic>) {
    for test in program.bodies.iter().flat_map(|body| &body.tests) {
        diagnostics.extend(test_types(program, test));
    }
    for rule in program.policies.iter().flat_map(|p| &p.rules) {
        walk(program, &rule.condition, diagnostics);
    }
}

fn walk(program: &Program, cond: &Cond, diagnostics: &mut Vec<Diagnostic>) {
    match cond {
        Cond::And { operands, .. } | Cond::Or { operands, .. } => {
            operands.iter().for_each(|c| walk(program, c, diagnostics));
        }
        Cond::Not { operand, .. } => walk(program, operand, diagnostics),
        Cond::Test(test) => diagnostics.extend(test_types(program, test)),
    }
}

fn test_types(program: &Program, test: &Test) -> Option<Diagnostic> {
    let predicate = program.predicates.get(test.pred.index())?;
    let field = program.fields.get(predicate.field)?;
    match predicate.operand {
        PredOperand::None => None,
        PredOperand::Const(k) => constant(program, predicate.op, field, k, test),
        PredOperand::Pattern(_) | PredOperand::Body(_) => takes(field, test, types(predicate.op.reads())),
        PredOperand::Field(other) => other_field(program, predicate.op, field, other, test),
    }
}

/// What the elements of a list can be. A provider takes messages and tools as objects only.
fn elements(field: &FieldInfo) -> TypeSet {
    match dotted(&field.field).as_deref() {
        Some("llm.messages" | "llm.contents" | "llm.tools") => TypeSet::OBJECT,
        Some(_) | None => field.items,
    }
}

/// The operator itself takes these types only.
fn takes(field: &FieldInfo, test: &Test, wanted: TypeSet) -> Option<Diagnostic> {
    if field.types.meets(wanted) {
        return None;
    }
    Some(
        Diagnostic::new(
            Code::TypeMismatch,
            test.field_span,
            format!(
                "`{}` needs {} {wanted}, but `{}` is of type {}",
                test.operator.as_str(),
                if wanted == TypeSet::ARRAY { "an" } else { "a" },
                field.path,
                field.types
            ),
        )
        .label("an error in every request that holds it"),
    )
}

fn constant(
    program: &Program,
    op: PredOp,
    field: &FieldInfo,
    k: ConstIdx,
    test: &Test,
) -> Option<Diagnostic> {
    let value = program.consts.get(k)?;
    let ty = TypeSet::of_const(value);
    match (op.takes(), op.reads()) {
        (Takes::Json, Reads::Anything) => {
            never_equal(field, value, test).or_else(|| not_listed(op, field, value, test))
        }
        (Takes::List, _) => {
            let Const::Array(items) = value else { return None };
            items
                .iter()
                .filter_map(|k| program.consts.get(*k))
                .find_map(|item| {
                    let element = field.types.meets(TypeSet::ARRAY)
                        && (elements(field).meets(TypeSet::of_const(item)) || matches!(item, Const::Null));
                    if element {
                        return None;
                    }
                    never_equal(field, item, test).or_else(|| not_listed(op, field, item, test))
                })
        }
        (Takes::Ordered, _) => {
            let problem = takes(field, test, ty)?;
            let Some(text) = value
                .as_str()
                .filter(|text| field.types == TypeSet::NUMBER && text.parse::<f64>().is_ok())
            else {
                return Some(problem);
            };
            let problem = problem.help(format!("write {text} without quotes"));
            Some(match test.constant {
                None => problem.fix(test.operand_span, text),
                // What is to change stands where the constant is defined.
                Some(_) => problem,
            })
        }
        (Takes::Json, Reads::TextOrList) => {
            let problem = takes(field, test, types(Reads::TextOrList));
            if problem.is_some() {
                return problem;
            }
            let substring = field.types.meets(TypeSet::STRING) && ty == TypeSet::STRING;
            let items = elements(field);
            let element = field.types.meets(TypeSet::ARRAY) && (items.meets(ty) || ty == TypeSet::NULL);
            if substring || element {
                return None;
            }
            let d = Diagnostic::new(
                Code::TypeMismatch,
                test.operand_span,
                format!("`{}` never contains a value of type {ty}", field.path),
            )
            .label(format!("this is of type {ty}"));
            Some(if items == TypeSet::OBJECT && ty == TypeSet::STRING {
                d.help("it is a list of objects; look into `llm.text`, which holds every text of the request")
            } else {
                d
            })
        }
        (_, reads) => takes(field, test, types(reads)),
    }
}

/// What an operator can be asked of.
pub(super) fn types(reads: Reads) -> TypeSet {
    match reads {
        Reads::Anything => TypeSet::ANY,
        Reads::Ordered | Reads::Instant => TypeSet::STRING.union(TypeSet::NUMBER),
        Reads::TextOrList => TypeSet::STRING.union(TypeSet::ARRAY),
        Reads::Text | Reads::Address => TypeSet::STRING,
        Reads::List => TypeSet::ARRAY,
    }
}

fn never_equal(field: &FieldInfo, value: &Const, test: &Test) -> Option<Diagnostic> {
    let ty = TypeSet::of_const(value);
    if field.types.meets(ty) || matches!(value, Const::Null) {
        return None;
    }
    let mut d = Diagnostic::new(
        Code::TypeMismatch,
        test.operand_span,
        format!(
            "`{}` is of type {} and never equals a value of type {ty}",
            field.path, field.types
        ),
    )
    .label(format!("this is of type {ty}"));
    if field.types == TypeSet::ARRAY && field.items.meets(ty) {
        d = d.help("use `contains` to look for an element");
    } else if let (Const::Str(text), true) = (value, field.types == TypeSet::NUMBER)
        && text.parse::<f64>().is_ok()
    {
        d = d
            .help(format!("write {text} without quotes"))
            .fix(test.operand_span, text.clone());
    } else if let (Const::Str(text), true) = (value, field.types == TypeSet::BOOL)
        && matches!(text.as_str(), "true" | "false")
    {
        d = d
            .help(format!("write {text} without quotes"))
            .fix(test.operand_span, text.clone());
    }
    // A list has one span for all its items, so a fix of one would replace them all.
    if test.operator == policy_grammar::ast::Operator::In
        || test.operator == policy_grammar::ast::Operator::NotIn
    {
        d.fix = None;
    }
    Some(d)
}

/// The schema lists the strings that the field can be, and this is none of them.
fn not_listed(op: PredOp, field: &FieldInfo, value: &Const, test: &Test) -> Option<Diagnostic> {
    let (Const::Str(text), Some(strings)) = (value, &field.strings) else {
        return None;
    };
    let folded = op.unfolded().1;
    if strings
        .iter()
        .any(|s| s == text || folded && casefold::eq(s, text))
    {
        return None;
    }
    let (code, outcome) = if test.negated {
        (Code::AlwaysTrue, "always")
    } else {
        (Code::AlwaysFalse, "never")
    };
    let mut d = Diagnostic::new(
        code,
        test.operand_span,
        format!(
            "`{text}` is not among the values of `{}` that the schema lists",
            field.path
        ),
    )
    .label(format!("{outcome} true"));
    if let Some(near) = nearest(text, strings.iter().map(String::as_str)) {
        d = d.help(format!("did you mean `{near}`?"));
    }
    Some(d)
}

fn other_field(
    program: &Program,
    op: PredOp,
    field: &FieldInfo,
    other: FieldIdx,
    test: &Test,
) -> Option<Diagnostic> {
    let other = program.fields.get(other)?;
    let (a, b) = (field.types, other.types);
    let both = |ty: TypeSet| a.meets(ty) && b.meets(ty);
    let fits = match (op.takes(), op.reads()) {
        (Takes::Json, Reads::TextOrList) => a.meets(TypeSet::ARRAY) || both(TypeSet::STRING),
        (Takes::Json, _) => a.meets(b),
        (Takes::List, _) => b.meets(TypeSet::ARRAY),
        (Takes::Ordered, _) => both(TypeSet::NUMBER) || both(TypeSet::STRING),
        (Takes::Text, _) => both(TypeSet::STRING),
        (Takes::Networks, reads) => a.meets(types(reads)) && b.meets(types(Reads::TextOrList)),
        (Takes::Instant, reads) => both(types(reads)),
        (Takes::Nothing | Takes::Window | Takes::Pattern | Takes::Body, _) => true,
    };
    if fits {
        return None;
    }
    Some(
        Diagnostic::new(
            Code::TypeMismatch,
            test.operand_span,
            format!(
                "`{}` cannot compare `{}` of type {a} with `{}` of type {b}",
                test.operator.as_str(),
                field.path,
                other.path
            ),
        )
        .also(test.field_span, format!("of type {a}")),
    )
}
