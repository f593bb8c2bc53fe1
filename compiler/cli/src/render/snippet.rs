//! Diagnostics as text with the offending source underlined, in the look of `rustc`.

use crate::output::shown;
use annotate_snippets::{Annotation, AnnotationKind, Group, Level, Origin, Patch, Renderer, Snippet};
use policy_grammar::{Diagnostic, Severity, SourceFile, SourceMap, Span};
use std::borrow::Cow;
use std::ops::Range;

/// Lines shown before and after a span at the most; what lies further away is not handed to the renderer.
const MARGIN: u32 = 3;

/// All diagnostics, styled, each followed by an empty line.
pub(crate) fn text(map: &SourceMap, diagnostics: &[Diagnostic]) -> String {
    let renderer = Renderer::styled();
    let mut out = String::new();
    for diagnostic in diagnostics {
        let diagnostic = plain(diagnostic);
        out.push_str(&renderer.render(&report(map, &diagnostic)));
        out.push_str("\n\n");
    }
    out
}

/// A diagnostic whose texts, which quote what somebody else wrote, are fit for a terminal. The renderer sees to source.
fn plain(diagnostic: &Diagnostic) -> Diagnostic {
    let mut d = diagnostic.clone();
    let labels = d.secondary.iter_mut().chain([&mut d.primary]);
    for text in labels
        .map(|label| &mut label.message)
        .chain([&mut d.message])
        .chain(&mut d.help)
    {
        if let Cow::Owned(clean) = shown(text) {
            *text = clean;
        }
    }
    d
}

fn report<'m>(map: &'m SourceMap, diagnostic: &'m Diagnostic) -> Vec<Group<'m>> {
    let level = match diagnostic.severity {
        Severity::Warning => Level::WARNING,
        Severity::Error => Level::ERROR,
        Severity::Bug => Level::ERROR.with_name("internal error"),
    };
    let title = level
        .primary_title(diagnostic.message.as_str())
        .id(diagnostic.code.as_str());
    let mut group = Group::with_title(title);
    let primary = diagnostic.primary.span;
    if let Some(file) = map.file(primary.file) {
        if file.text().is_empty() {
            group = group.element(Origin::path(shown(file.name())));
        } else {
            let mut spans = vec![(
                primary,
                AnnotationKind::Primary,
                diagnostic.primary.message.as_str(),
            )];
            spans.extend(
                diagnostic
                    .secondary
                    .iter()
                    .filter(|l| l.span.file == primary.file)
                    .map(|l| (l.span, AnnotationKind::Context, l.message.as_str())),
            );
            group = group.element(annotated(file, &spans));
        }
    }
    for label in diagnostic
        .secondary
        .iter()
        .filter(|l| l.span.file != primary.file)
    {
        if let Some(file) = map.file(label.span.file) {
            group = group.element(annotated(
                file,
                &[(label.span, AnnotationKind::Context, label.message.as_str())],
            ));
        }
    }
    let fix = diagnostic
        .fix
        .as_ref()
        .and_then(|fix| map.file(fix.span.file).map(|file| (fix, file)));
    let Some((fix, file)) = fix else {
        let help = diagnostic.help.iter().map(|h| Level::HELP.message(h.as_str()));
        return vec![group.elements(help)];
    };
    // The advice that speaks of the replacement stands above it.
    let quoted = format!("`{}`", fix.replacement);
    let titled = diagnostic.help.iter().position(|h| h.contains(&quoted));
    let title = titled
        .and_then(|i| diagnostic.help.get(i))
        .map_or("this would mend it", String::as_str);
    let advice = diagnostic
        .help
        .iter()
        .enumerate()
        .filter(|(i, _)| Some(*i) != titled);
    let group = group.elements(advice.map(|(_, h)| Level::HELP.message(h.as_str())));
    let (window, line, offset) = window(file, &[fix.span]);
    let patch = Patch::new(within(window, offset, fix.span), fix.replacement.as_str());
    let help = Level::HELP.secondary_title(title).element(
        Snippet::source(window)
            .line_start(line)
            .path(shown(file.name()))
            .patch(patch),
    );
    vec![group, help]
}

fn annotated<'m>(
    file: &'m SourceFile,
    spans: &[(Span, AnnotationKind, &'m str)],
) -> Snippet<'m, Annotation<'m>> {
    let all: Vec<Span> = spans.iter().map(|(span, ..)| *span).collect();
    let (window, line, offset) = window(file, &all);
    let mut snippet = Snippet::source(window).line_start(line).path(shown(file.name()));
    for (span, kind, label) in spans {
        let mut annotation = kind.span(within(window, offset, *span));
        if !label.is_empty() {
            annotation = annotation.label(*label);
        }
        snippet = snippet.annotation(annotation);
    }
    snippet
}

/// The lines around some spans, the number of the first of them, and its offset in the file: rendering takes time
/// linear in the source that it is given, and files are large.
fn window<'m>(file: &'m SourceFile, spans: &[Span]) -> (&'m str, usize, usize) {
    let text = file.text();
    let first = spans
        .iter()
        .map(|s| file.line_column(s.start).0)
        .min()
        .unwrap_or(1);
    let last = spans.iter().map(|s| file.line_column(s.end).0).max().unwrap_or(1);
    let from = first.saturating_sub(MARGIN).max(1);
    let start = spans.iter().map(|s| s.start).min().unwrap_or(0) as usize;
    let end = spans.iter().map(|s| s.end).max().unwrap_or(0) as usize;
    let before = text.get(..start).unwrap_or("");
    let offset = before
        .rmatch_indices('\n')
        .nth((first - from) as usize)
        .map_or(0, |(at, _)| at + 1);
    let after = text.get(end..).unwrap_or("");
    let stop = after
        .match_indices('\n')
        .nth(MARGIN as usize)
        .map_or(text.len(), |(at, _)| end + at);
    debug_assert!(first <= last);
    (text.get(offset..stop).unwrap_or(text), from as usize, offset)
}

/// A span relative to the window, on character boundaries.
fn within(window: &str, offset: usize, span: Span) -> Range<usize> {
    let clamp = |at: u32| {
        let mut at = (at as usize).saturating_sub(offset).min(window.len());
        while !window.is_char_boundary(at) {
            at -= 1;
        }
        at
    };
    let start = clamp(span.start);
    start..clamp(span.end).max(start)
}
