//! Contexts of tests: bases by name, `set` and `unset`, and numbers that `serde_json` cannot hold.

use super::{Contexts, Entries, Reader};
use policy_compiler::unknown_field;
use policy_grammar::ast::{FieldPath, Literal, Number, Segment};
use policy_grammar::codes::Code;
use policy_grammar::source::Spanned;
use policy_grammar::{Diagnostic, near};
use serde_json::Value;

/// Highest index that `set` may write to in an array.
const MAX_INDEX: usize = 10_000;

impl Reader {
    /// The contexts that a test starts from.
    pub(super) fn bases(
        &mut self,
        entries: &Entries<'_>,
        contexts: &Contexts<'_>,
    ) -> Vec<(Option<String>, Value)> {
        if let (Some(_), Some((span, _))) = (entries.get("context"), entries.get("contexts")) {
            self.report(Diagnostic::new(
                Code::ConflictingKeys,
                *span,
                "a test has either `context` or `contexts`",
            ));
        }
        if let Some((_, value)) = entries.get("contexts") {
            return match &value.value {
                Literal::Array(items) if !items.is_empty() => items
                    .iter()
                    .filter_map(|item| self.base(item, contexts))
                    .collect(),
                _ => {
                    self.wrong_type(value, "`contexts`", "a list with at least one name");
                    Vec::new()
                }
            };
        }
        match entries.get("context") {
            Some((_, value)) => self.base(value, contexts).into_iter().collect(),
            None => vec![(None, Value::Object(serde_json::Map::new()))],
        }
    }

    /// A named context, or one that is written out.
    fn base(&mut self, value: &Spanned<Literal>, contexts: &Contexts<'_>) -> Option<(Option<String>, Value)> {
        let Literal::String(name) = &value.value else {
            return self.context(value).map(|context| (None, context));
        };
        let found = contexts.get(name.as_str()).map(|(_, context)| context.clone());
        self.used.insert(name.clone());
        if found.is_none() {
            let names: Vec<&str> = contexts.keys().copied().collect();
            let diagnostic = Diagnostic::new(
                Code::InvalidValue,
                value.span,
                format!("there is no context `{name}`"),
            );
            let near = near(name, names.iter().copied());
            self.report(match near {
                Some(near) => diagnostic
                    .help(format!("did you mean `{near}`?"))
                    .fix(value.span, near),
                None if names.is_empty() => diagnostic.help("name it under `contexts`"),
                None => diagnostic.help(format!("the contexts are {}", names.join(", "))),
            });
        }
        Some((Some(name.clone()), found?))
    }

    pub(super) fn context(&mut self, value: &Spanned<Literal>) -> Option<Value> {
        self.members(&value.value, &mut Vec::new());
        match json(&value.value) {
            context @ Value::Object(_) => Some(context),
            _ => {
                self.wrong_type(value, "a context", "a mapping");
                None
            }
        }
    }

    /// Looks for misspelt names in a context. It may hold what policies do not know, as requests do.
    fn members(&mut self, value: &Literal, way: &mut Vec<Segment>) {
        let Literal::Object(members) = value else {
            return;
        };
        for (key, value) in members {
            way.push(Segment::Key(key.value.clone()));
            let path = FieldPath {
                segments: way.clone(),
            };
            match unknown_field(&Spanned::new(path, key.span), false) {
                Some(diagnostic) => self.warn(of_key(diagnostic)),
                None => self.members(&value.value, way),
            }
            way.pop();
        }
    }

    pub(super) fn set(&mut self, entries: &Entries<'_>, context: &mut Value) {
        let Some((_, value)) = entries.get("set") else {
            return;
        };
        let Literal::Object(members) = &value.value else {
            self.wrong_type(value, "`set`", "a mapping of paths to values");
            return;
        };
        for (key, value) in members {
            let Some(path) = self.path(key) else {
                continue;
            };
            if let Err(message) = set(context, &path, json(&value.value)) {
                self.report(Diagnostic::new(Code::InvalidValue, key.span, message));
            }
        }
    }

    pub(super) fn unset(&mut self, entries: &Entries<'_>, context: &mut Value) {
        let Some((_, value)) = entries.get("unset") else {
            return;
        };
        for text in self.texts(value, "`unset`") {
            if let Some(path) = self.path(&text) {
                unset(context, &path);
            }
        }
    }

    fn path(&mut self, text: &Spanned<String>) -> Option<FieldPath> {
        match FieldPath::parse(&text.value) {
            Ok(path) => {
                let path = Spanned::new(path, text.span);
                if let Some(diagnostic) = unknown_field(&path, true) {
                    self.warn(diagnostic);
                }
                Some(path.value)
            }
            Err(error) => {
                self.report_once(Diagnostic::new(Code::InvalidPath, text.span, error.message));
                None
            }
        }
    }

    /// For what is looked at once per context.
    fn report_once(&mut self, diagnostic: Diagnostic) {
        if !self.problems.contains(&diagnostic) {
            self.problems.push(diagnostic);
        }
    }
}

/// A problem of the last key of a path: what is written in its place is a key, and not the path to it.
fn of_key(mut diagnostic: Diagnostic) -> Diagnostic {
    if let Some(fix) = &mut diagnostic.fix
        && let Ok(path) = FieldPath::parse(fix.replacement.trim_matches('"'))
        && let Some(Segment::Key(key)) = path.segments.last()
    {
        fix.replacement = format!("\"{key}\"");
    }
    diagnostic
}

/// Starts the text that stands for a number that `serde_json` cannot hold. No text of a test starts so.
const EXACT: &str = "\u{0}\u{0}number ";

/// The number that a value stands for, where it is one that `serde_json` cannot hold.
pub(in crate::test) fn exact(value: &Value) -> Option<&str> {
    value.as_str()?.strip_prefix(EXACT)
}

/// A context as it is sent.
pub(in crate::test) fn body(value: &Value, out: &mut String) {
    let separated = |first: &mut bool, out: &mut String| {
        if !std::mem::take(first) {
            out.push(',');
        }
    };
    let mut first = true;
    match value {
        Value::Array(items) => {
            out.push('[');
            for item in items {
                separated(&mut first, out);
                body(item, out);
            }
            out.push(']');
        }
        Value::Object(members) => {
            out.push('{');
            for (key, member) in members {
                separated(&mut first, out);
                out.push_str(&Value::from(key.as_str()).to_string());
                out.push(':');
                body(member, out);
            }
            out.push('}');
        }
        scalar => match exact(scalar) {
            Some(number) => out.push_str(number),
            None => out.push_str(&scalar.to_string()),
        },
    }
}

/// A literal as JSON.
pub(super) fn json(literal: &Literal) -> Value {
    match literal {
        Literal::Null => Value::Null,
        Literal::Bool(b) => Value::Bool(*b),
        Literal::Number(Number::Int(n)) => Value::from(*n),
        Literal::Number(Number::UInt(n)) => Value::from(*n),
        Literal::Number(Number::Float(x)) => Value::from(*x),
        Literal::Number(Number::Decimal(text)) => Value::String(format!("{EXACT}{text}")),
        Literal::String(s) => Value::String(s.clone()),
        Literal::Array(items) => items.iter().map(|item| json(&item.value)).collect(),
        Literal::Object(members) => Value::Object(
            members
                .iter()
                .map(|(k, v)| (k.value.clone(), json(&v.value)))
                .collect(),
        ),
    }
}

/// Writes a value at a path; objects on the way are made where they are missing.
fn set(context: &mut Value, path: &FieldPath, value: Value) -> Result<(), String> {
    let mut at = context;
    for segment in &path.segments {
        at = match (segment, at) {
            (Segment::Key(key), Value::Object(members)) => members.entry(key.as_str()).or_insert(Value::Null),
            (Segment::Index(n), Value::Object(members)) => {
                members.entry(n.to_string()).or_insert(Value::Null)
            }
            (Segment::Index(n), Value::Array(items)) => {
                let n = usize::try_from(*n).unwrap_or(usize::MAX);
                if n > MAX_INDEX {
                    return Err(format!("index {n} is above {MAX_INDEX}"));
                }
                if n >= items.len() {
                    items.resize(n + 1, Value::Null);
                }
                let Some(item) = items.get_mut(n) else {
                    return Err(format!("there is no element {n}"));
                };
                item
            }
            (Segment::FromEnd(n), Value::Array(items)) => {
                let found = items
                    .len()
                    .checked_sub(*n as usize)
                    .and_then(|at| items.get_mut(at));
                let Some(item) = found else {
                    return Err(format!("`{path}` leads before the first element"));
                };
                item
            }
            (Segment::Key(key), at @ Value::Null) => {
                *at = Value::Object(serde_json::Map::new());
                match at {
                    Value::Object(members) => members.entry(key.as_str()).or_insert(Value::Null),
                    other => other,
                }
            }
            (Segment::Key(_) | Segment::Index(_) | Segment::FromEnd(_), at) => {
                return Err(format!("`{path}` leads through {at}, which has no parts"));
            }
        };
    }
    *at = value;
    Ok(())
}

/// Removes what stands at a path, if anything.
fn unset(context: &mut Value, path: &FieldPath) {
    let Some((last, way)) = path.segments.split_last() else {
        return;
    };
    let mut at = context;
    for segment in way {
        let next = match (segment, at) {
            (Segment::Key(key), Value::Object(members)) => members.get_mut(key.as_str()),
            (Segment::Index(n), Value::Object(members)) => members.get_mut(n.to_string().as_str()),
            (Segment::Index(n), Value::Array(items)) => items.get_mut(*n as usize),
            (Segment::FromEnd(n), Value::Array(items)) => items
                .len()
                .checked_sub(*n as usize)
                .and_then(|at| items.get_mut(at)),
            (Segment::Key(_) | Segment::Index(_) | Segment::FromEnd(_), _) => None,
        };
        let Some(next) = next else {
            return;
        };
        at = next;
    }
    match (last, at) {
        (Segment::Key(key), Value::Object(members)) => drop(members.remove(key.as_str())),
        (Segment::Index(n), Value::Object(members)) => drop(members.remove(n.to_string().as_str())),
        (Segment::Index(n), Value::Array(items)) if (*n as usize) < items.len() => {
            drop(items.remove(*n as usize))
        }
        (Segment::FromEnd(n), Value::Array(items)) if (1..=items.len()).contains(&(*n as usize)) => {
            drop(items.remove(items.len() - *n as usize))
        }
        (Segment::Key(_) | Segment::Index(_) | Segment::FromEnd(_), _) => {}
    }
}
