//! Diagnostics as text with the offending source underlined, in the look of `rustc`.

use crate::output::shown;
use annotate_snippets::{
    Annotation, AnnotationKind, Element, Group, Level, Origin, Patch, Renderer, Snippet,
};
use policy_grammar::{Diagnostic, Severity, SourceFile, SourceMap, Span};
use std::borrow::Cow;
use std::ops::Range;

/// Lines shown before and after a span at most; what lies further away is not handed to the renderer.
const MARGIN: u32 = 3;
/// Bytes of source that are handed to the renderer at most: a line may be as long as a file. In longer ones only what
/// stands around a span is shown.
const WINDOW: usize = 4096;
/// Bytes shown before and behind a span in a long line.
const AROUND: usize = 60;
/// Bytes shown of a span in a long line.
const INSIDE: usize = 100;

/// All diagnostics, styled, each followed by an empty line.
pub(crate) fn text(map: &SourceMap, diagnostics: &[Diagnostic]) -> String {
    let renderer = Renderer::styled();
    let mut out = String::new();
    for diagnostic in diagnostics {
        let diagnostic = plain(diagnostic);
        let rendered = renderer.render(&report(map, &diagnostic));
        for line in rendered.lines().filter(|line| !is_empty_place(line)) {
            out.push_str(line);
            out.push('\n');
        }
        out.push('\n');
    }
    out
}

/// Whether a line is the place of a snippet that has none of its own, because it stands in the line above: the renderer
/// leaves its mark all the same.
fn is_empty_place(line: &str) -> bool {
    let mut shown = String::new();
    let mut rest = line;
    while let Some((before, styled)) = rest.split_once('\u{1b}') {
        shown.push_str(before);
        rest = styled.split_once('m').map_or("", |(_style, after)| after);
    }
    shown.push_str(rest);
    shown.trim() == ":::"
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
            group = group.elements(annotated(file, &spans));
        }
    }
    for label in diagnostic
        .secondary
        .iter()
        .filter(|l| l.span.file != primary.file)
    {
        if let Some(file) = map.file(label.span.file) {
            group = group.elements(annotated(
                file,
                &[(label.span, AnnotationKind::Context, label.message.as_str())],
            ));
        }
    }
    let fix = diagnostic
        .fix
        .as_ref()
        .filter(|fix| fix.replacement.len() <= WINDOW);
    let fix = fix.and_then(|fix| {
        let file = map.file(fix.span.file)?;
        Some((fix, file, window(file, &[fix.span])?))
    });
    let Some((fix, file, (window, line, offset))) = fix else {
        let help = diagnostic.help.iter().map(|h| Level::HELP.message(h.as_str()));
        return vec![group.elements(help)];
    };
    // The advice that speaks of the replacement stands above it.
    let quoted = format!("`{}`", fix.replacement);
    let titled = diagnostic.help.iter().position(|h| h.contains(&quoted));
    let title = titled
        .and_then(|i| diagnostic.help.get(i))
        .map_or("suggested fix", String::as_str);
    let advice = diagnostic
        .help
        .iter()
        .enumerate()
        .filter(|(i, _)| Some(*i) != titled);
    let group = group.elements(advice.map(|(_, h)| Level::HELP.message(h.as_str())));
    let patch = Patch::new(within(window, offset, fix.span), fix.replacement.as_str());
    let help = Level::HELP.secondary_title(title).element(
        Snippet::source(window)
            .line_start(line)
            .path(shown(file.name()))
            .patch(patch),
    );
    vec![group, help]
}

/// The lines around some spans with a note about each; where lines are long, each span by itself.
fn annotated<'m>(file: &'m SourceFile, spans: &[(Span, AnnotationKind, &'m str)]) -> Vec<Element<'m>> {
    let all: Vec<Span> = spans.iter().map(|(span, ..)| *span).collect();
    let Some((window, line, offset)) = window(file, &all) else {
        let alone = spans
            .iter()
            .flat_map(|(span, kind, label)| cut(file, *span, *kind, label));
        return alone.collect();
    };
    let mut snippet = Snippet::source(window).line_start(line).path(shown(file.name()));
    for (span, kind, label) in spans {
        snippet = snippet.annotation(noted(*kind, within(window, offset, *span), label));
    }
    vec![snippet.into()]
}

fn noted<'m>(kind: AnnotationKind, range: Range<usize>, label: &'m str) -> Annotation<'m> {
    let annotation = kind.span(range);
    if label.is_empty() {
        annotation
    } else {
        annotation.label(label)
    }
}

/// What stands around a span in a line that is too long to be shown.
fn cut<'m>(file: &'m SourceFile, span: Span, kind: AnnotationKind, label: &'m str) -> [Element<'m>; 2] {
    let text = file.text();
    let start = text.floor_char_boundary(span.start as usize);
    let end = text
        .floor_char_boundary((span.end as usize).min(start + INSIDE))
        .max(start);
    let from = text.floor_char_boundary(start.saturating_sub(AROUND));
    let to = text.ceil_char_boundary(end + AROUND);
    let before = text.get(from..start).unwrap_or("");
    let inside = text.get(start..end).unwrap_or("");
    let behind = text.get(end..to).unwrap_or("");
    // Within the line.
    let (before, whole) = match before.rsplit_once('\n') {
        Some((_, before)) => (before, true),
        None => (before, from == 0),
    };
    let inside = inside.split('\n').next().unwrap_or("");
    let (behind, ends) = match behind.split_once('\n') {
        Some((behind, _)) => (behind, true),
        None => (behind, to == text.len()),
    };
    let mut source = String::new();
    if !whole {
        source.push('…');
    }
    source.push_str(before);
    let range = source.len()..source.len() + inside.len();
    source.push_str(inside);
    source.push_str(behind.trim_end_matches('\r'));
    if !ends {
        source.push('…');
    }
    let (line, column) = file.line_column(span.start);
    [
        Origin::path(shown(file.name()))
            .line(line as usize)
            .char_column(column as usize)
            .into(),
        Snippet::source(source)
            .line_start(line as usize)
            .annotation(noted(kind, range, label))
            .into(),
    ]
}

/// The lines around some spans, the number of the first of them, and its offset in the file: rendering takes time
/// linear in the source that it is given, and files are large. `None` where even that is long, because lines are.
fn window<'m>(file: &'m SourceFile, spans: &[Span]) -> Option<(&'m str, usize, usize)> {
    let text = file.text();
    let first = spans.iter().map(|s| file.line_column(s.start).0).min()?;
    let start = spans.iter().map(|s| s.start).min()? as usize;
    let end = spans.iter().map(|s| s.end).max()? as usize;
    if end.checked_sub(start)? > WINDOW {
        return None;
    }
    let near = text.floor_char_boundary(start.saturating_sub(WINDOW));
    let before = text.get(near..start)?;
    // Its own line, and some before.
    let breaks: Vec<usize> = before
        .rmatch_indices('\n')
        .take(MARGIN as usize + 1)
        .map(|(at, _)| near + at + 1)
        .collect();
    let (offset, lines) = match breaks.last() {
        Some(furthest) if near > 0 || breaks.len() > MARGIN as usize => (*furthest, breaks.len() - 1),
        // The file begins here.
        _ if near == 0 => (0, breaks.len()),
        _long => return None,
    };
    let far = text.floor_char_boundary(end.saturating_add(WINDOW));
    let after = text.get(end..far)?;
    let stop = after
        .match_indices('\n')
        .take(MARGIN as usize + 1)
        .map(|(at, _)| end + at)
        .last();
    let breaks = after.matches('\n').take(MARGIN as usize + 1).count();
    let stop = match stop {
        _ if far == text.len() && breaks <= MARGIN as usize => text.len(),
        Some(stop) => stop,
        None => return None,
    };
    let line = (first as usize).checked_sub(lines)?;
    Some((text.get(offset..stop)?, line, offset))
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
