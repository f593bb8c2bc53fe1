//! Constants that an operator reads as something else than JSON: networks, instants, windows of time.
//!
//! What is read here when compiled is read again by the verifier and the VM, with the same functions of
//! `policy-bytecode`.

use crate::fields::nearest;
use policy_bytecode::cidr::{Network, NetworkProblem};
use policy_bytecode::predicate::{PredOp, Takes};
use policy_bytecode::time::{DAYS, Instant, WINDOW_KEYS, Window, WindowProblem, zone_names};
use policy_grammar::ast::Literal;
use policy_grammar::codes::Code;
use policy_grammar::source::Spanned;
use policy_grammar::{Diagnostic, Span};

/// What is wrong with the constant of an operator; nothing for operators that take JSON values. `suggests` says whether to
/// look for near words among many.
pub(super) fn problems(
    op: PredOp,
    value: &Spanned<Literal>,
    suggests: &mut dyn FnMut() -> bool,
) -> Vec<Diagnostic> {
    match op.takes() {
        Takes::Networks => networks(value),
        Takes::Instant => instant(op, value).into_iter().collect(),
        Takes::Window => window(value, suggests),
        Takes::Nothing
        | Takes::Json
        | Takes::List
        | Takes::Text
        | Takes::Ordered
        | Takes::Pattern
        | Takes::Body => Vec::new(),
    }
}

fn invalid(span: Span, message: impl Into<String>) -> Diagnostic {
    Diagnostic::new(Code::InvalidOperand, span, message)
}

/// A text in double quotes, as both YAML and JSON read it.
fn quoted(text: &str) -> String {
    format!("\"{text}\"")
}

fn networks(value: &Spanned<Literal>) -> Vec<Diagnostic> {
    match &value.value {
        Literal::Array(items) if items.is_empty() => vec![
            invalid(value.span, "`in_cidr` needs at least one network")
                .help("no address is in an empty list, so the condition would never be true"),
        ],
        Literal::Array(items) => items.iter().filter_map(network).collect(),
        Literal::Null | Literal::Bool(_) | Literal::Number(_) | Literal::String(_) | Literal::Object(_) => {
            network(value).into_iter().collect()
        }
    }
}

fn network(item: &Spanned<Literal>) -> Option<Diagnostic> {
    let Literal::String(text) = &item.value else {
        return Some(invalid(
            item.span,
            format!(
                "a network is a string, found a value of type {}",
                item.value.type_name()
            ),
        ));
    };
    match Network::parse(text) {
        Ok(_) => None,
        Err(NetworkProblem::HostBits(network)) => {
            let network = network.to_string();
            Some(
                invalid(
                    item.span,
                    format!("`{text}` is no network: bits behind its length are set"),
                )
                .label("an address inside a network")
                .help(format!("write `{network}` for the network, or the bare address"))
                .fix(item.span, quoted(&network)),
            )
        }
        Err(NetworkProblem::Malformed) => Some(
            invalid(item.span, format!("`{}` is no network", text.escape_debug())).help(
                "write an address and a length, such as `10.0.0.0/8` or `2001:db8::/32`, or a bare address",
            ),
        ),
    }
}

fn instant(op: PredOp, value: &Spanned<Literal>) -> Option<Diagnostic> {
    match &value.value {
        Literal::String(text) => {
            if Instant::parse(text).is_some() {
                return None;
            }
            let d = invalid(
                value.span,
                format!(
                    "`{}` is no instant that `{}` can read",
                    text.escape_debug(),
                    op.as_str()
                ),
            );
            if Instant::parse(&format!("{text}Z")).is_some() {
                return Some(
                    d.label("the offset from UTC is missing")
                        .help(format!("write `{text}Z` for UTC, or an offset such as `+01:00`")),
                );
            }
            if Instant::parse(&format!("{text}T00:00:00Z")).is_some() {
                return Some(
                    d.label("a day has no time and no offset")
                        .help(format!("write `{text}T00:00:00Z` for midnight in UTC")),
                );
            }
            Some(d.help("write it as in RFC 3339, with an offset: `2025-03-01T12:00:00+01:00`"))
        }
        Literal::Number(n) => policy_bytecode::consts::instant(&super::number(n))
            .is_none()
            .then(|| {
                invalid(
                    value.span,
                    "the number is too large for milliseconds from 1970: at most 8.64e15, either way",
                )
            }),
        Literal::Null | Literal::Bool(_) | Literal::Array(_) | Literal::Object(_) => None,
    }
}

fn window(value: &Spanned<Literal>, suggests: &mut dyn FnMut() -> bool) -> Vec<Diagnostic> {
    let Literal::Object(members) = &value.value else {
        return Vec::new();
    };
    let mut out = Vec::new();
    // Keys that other ones most likely stand for: these are not missing.
    let mut meant = Vec::new();
    for (key, _) in members {
        if !WINDOW_KEYS.contains(&key.value.as_str()) {
            let d = invalid(
                key.span,
                format!("`{}` is no part of a window", key.value.escape_debug()),
            );
            let near = nearest(&key.value, WINDOW_KEYS.into_iter());
            meant.extend(near.clone());
            out.push(match near {
                Some(near) => d
                    .help(format!("did you mean `{near}`?"))
                    .fix(key.span, quoted(&near)),
                None => d.help("a window has `start`, `end`, `timezone` and at will `days`"),
            });
        }
    }
    let member = |name: &str| members.iter().find(|(key, _)| key.value == name).map(|(_, v)| v);
    let mut text = |name: &'static str| match member(name) {
        Some(Spanned {
            value: Literal::String(text),
            span,
        }) => Some((text.as_str(), *span)),
        Some(other) => {
            out.push(
                invalid(
                    other.span,
                    format!(
                        "`{name}` is a string, found a value of type {}",
                        other.value.type_name()
                    ),
                )
                .help("put it in quotes"),
            );
            None
        }
        None if meant.iter().any(|key| key == name) => None,
        None => {
            out.push(
                invalid(value.span, format!("the window lacks `{name}`")).help(match name {
                    "timezone" => {
                        "name the zone whose clock is meant: `timezone: Europe/Berlin`, or `timezone: UTC`"
                    }
                    _time => "write it as `HH:MM` in quotes",
                }),
            );
            None
        }
    };
    let parts = [text("start"), text("end"), text("timezone")];
    let days = match member("days") {
        None => None,
        Some(Spanned {
            value: Literal::Array(items),
            span,
        }) => Some((items.as_slice(), *span)),
        Some(other) => {
            out.push(
                invalid(
                    other.span,
                    format!(
                        "`days` is a list, found a value of type {}",
                        other.value.type_name()
                    ),
                )
                .help("write it as `[mon, tue]`"),
            );
            None
        }
    };
    for item in days.map_or(&[][..], |(items, _)| items) {
        out.extend(day(item));
    }
    if let Some((_, span)) = days.filter(|(items, _)| items.is_empty()) {
        out.push(
            invalid(span, "`days` needs at least one day")
                .help("without `days` the window is there every day"),
        );
    }
    // Each part beside sound ones, so that every problem is reported.
    if let Some((text, span)) = parts[0]
        && Window::new(text, "24:00", None, "UTC").err() == Some(WindowProblem::Start)
    {
        out.push(time("start", text, span));
    }
    if let Some((text, span)) = parts[1]
        && Window::new("00:00:01", text, None, "UTC").err() == Some(WindowProblem::End)
    {
        out.push(time("end", text, span));
    }
    if let [Some((start, _)), Some((end, span)), _] = parts
        && Window::new(start, end, None, "UTC").err() == Some(WindowProblem::Empty)
    {
        out.push(
            invalid(span, "`start` and `end` are the same time")
                .help("for a whole day write `start: \"00:00\"` and `end: \"24:00\"`"),
        );
    }
    if let Some((name, span)) = parts[2]
        && Window::new("00:00", "24:00", None, name).is_err()
    {
        out.push(zone(name, span, suggests()));
    }
    out
}

fn time(key: &str, text: &str, span: Span) -> Diagnostic {
    let d = invalid(
        span,
        format!("`{}` is no time of day for `{key}`", text.escape_debug()),
    );
    if text == "24:00" || text == "24:00:00" {
        return d.help("a window starts at `00:00`; only its `end` can be `24:00`");
    }
    d.help("write it as `HH:MM` or `HH:MM:SS`, from `00:00` to `23:59:59`, with two digits each")
}

fn day(item: &Spanned<Literal>) -> Option<Diagnostic> {
    let Literal::String(text) = &item.value else {
        return Some(invalid(
            item.span,
            format!(
                "a day is a string, found a value of type {}",
                item.value.type_name()
            ),
        ));
    };
    if DAYS.contains(&text.as_str()) {
        return None;
    }
    let d = invalid(item.span, format!("`{}` is no day", text.escape_debug()));
    let head: String = text.chars().take(3).collect::<String>().to_lowercase();
    Some(match DAYS.iter().find(|day| **day == head) {
        Some(near) => d
            .help(format!("did you mean `{near}`?"))
            .fix(item.span, quoted(near)),
        None => d.help(format!(
            "days are {}",
            DAYS.map(|day| format!("`{day}`")).join(", ")
        )),
    })
}

fn zone(name: &str, span: Span, suggests: bool) -> Diagnostic {
    let d = invalid(span, format!("there is no time zone `{}`", name.escape_debug()));
    if !suggests {
        return d;
    }
    let names = zone_names();
    let same = names.iter().find(|known| known.eq_ignore_ascii_case(name));
    // `Berlin` for `Europe/Berlin`.
    let place = || {
        let mut ends = names.iter().filter(|known| {
            known
                .rsplit('/')
                .next()
                .is_some_and(|last| last.eq_ignore_ascii_case(name))
        });
        ends.next().filter(|_| !name.is_empty())
    };
    let near = same
        .or_else(place)
        .cloned()
        .or_else(|| nearest(name, names.iter().map(String::as_str)));
    match near {
        Some(near) => d.help(format!("did you mean `{near}`?")).fix(span, quoted(&near)),
        None => d.help("it is a name such as `Europe/Berlin` or `America/New_York`, or `UTC`"),
    }
}
