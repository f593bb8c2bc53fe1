//! What several test binaries need: parsing from a string and one compact line per diagnostic.

use policy_grammar::{Diagnostic, ParseOutput, SourceFile, SourceMap, parse_source};

/// Parses `text` under `name`.
#[allow(dead_code, reason = "not every test binary uses every helper")]
pub(crate) fn parse(name: &str, text: &str) -> (SourceMap, ParseOutput) {
    let mut map = SourceMap::new();
    let file = map.add(SourceFile::new(name, text));
    let output = parse_source(&map, file);
    (map, output)
}

/// `code line:col-line:col "text" message | label | also … | help … | fix …`.
#[allow(dead_code, reason = "not every test binary uses every helper")]
pub(crate) fn render(map: &SourceMap, diagnostics: &[Diagnostic]) -> String {
    diagnostics.iter().map(|d| line(map, d) + "\n").collect()
}

fn line(map: &SourceMap, d: &Diagnostic) -> String {
    let file = map.file(d.primary.span.file).unwrap();
    let place = |span: policy_grammar::Span| {
        let (l1, c1) = file.line_column(span.start);
        let (l2, c2) = file.line_column(span.end);
        format!("{l1}:{c1}-{l2}:{c2} {:?}", file.slice(span))
    };
    let mut text = format!("{} {} {}", d.code.as_str(), place(d.primary.span), d.message);
    if !d.primary.message.is_empty() {
        text += &format!(" | {}", d.primary.message);
    }
    for label in &d.secondary {
        text += &format!("\n    also {} {}", place(label.span), label.message);
    }
    for help in &d.help {
        text += &format!("\n    help {help}");
    }
    if let Some(fix) = &d.fix {
        text += &format!("\n    fix {} -> {}", place(fix.span), fix.replacement);
    }
    text
}
