//! Diagnostics as GitHub workflow commands, which become annotations of a pull request.

use super::{level, place};
use policy_grammar::{Diagnostic, SourceMap};

/// One line each.
pub(crate) fn annotations(map: &SourceMap, diagnostics: &[Diagnostic]) -> String {
    let mut out = String::new();
    for d in diagnostics {
        let place = place(map, d.primary.span);
        let mut message = d.message.clone();
        for help in &d.help {
            message.push_str("\nhelp: ");
            message.push_str(help);
        }
        // Columns mean something to GitHub only within one line.
        let columns = if place.line == place.end_line {
            format!(",col={},endColumn={}", place.column, place.end_column)
        } else {
            format!(",col={}", place.column)
        };
        out.push_str(&format!(
            "::{} file={},line={},endLine={}{columns},title={}::{}\n",
            level(d.severity),
            property(place.file),
            place.line,
            place.end_line,
            property(&format!("{} {}", d.code.as_str(), d.code.name())),
            data(&message),
        ));
    }
    out
}

fn data(text: &str) -> String {
    text.replace('%', "%25").replace('\r', "%0D").replace('\n', "%0A")
}

fn property(text: &str) -> String {
    data(text).replace(':', "%3A").replace(',', "%2C")
}
