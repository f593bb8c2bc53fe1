//! A plot with two logarithmic axes, as SVG that reads in light and in dark.

use crate::markdown::time;
use std::fmt::Write as _;

/// One line of the plot.
pub(crate) struct Line<'a> {
    pub(crate) name: &'a str,
    /// Number of rules, nanoseconds.
    pub(crate) points: Vec<(f64, f64)>,
    pub(crate) bold: bool,
}

const WIDTH: f64 = 860.0;
const HEIGHT: f64 = 480.0;
/// The area of the lines; names stand to the right of it.
const LEFT: f64 = 70.0;
const RIGHT: f64 = 610.0;
const TOP: f64 = 40.0;
const BOTTOM: f64 = 430.0;
/// Between two names.
const LEADING: f64 = 18.0;

/// Mid tones, distinct for most eyes, with contrast on white and on near black.
const COLOURS: [&str; 9] = [
    "#d1495b", "#8a8f98", "#2e86de", "#e08e0b", "#1f9d73", "#9b59b6", "#0fa3b1", "#b5651d", "#6c7a1f",
];

const STYLE: &str = "text{font:13px system-ui,sans-serif;fill:#24292f}.axis{stroke:#24292f}.grid{stroke:#d0d7de}\
    @media(prefers-color-scheme:dark){text{fill:#e6edf3}.axis{stroke:#e6edf3}.grid{stroke:#30363d}}";

/// Draws the lines, each with its name at its end.
pub(crate) fn svg(lines: &[Line<'_>]) -> String {
    let all = || lines.iter().flat_map(|line| line.points.iter().copied());
    let decades = |of: fn(&(f64, f64)) -> f64| {
        let values = || all().map(|point| of(&point).log10());
        let low = values().fold(f64::INFINITY, f64::min).floor();
        let high = values().fold(f64::NEG_INFINITY, f64::max).ceil();
        (low, high.max(low + 1.0))
    };
    let (x_axis, y_axis) = (decades(|p| p.0), decades(|p| p.1));
    let x = |value: f64| LEFT + (value.log10() - x_axis.0) / (x_axis.1 - x_axis.0) * (RIGHT - LEFT);
    let y = |value: f64| BOTTOM - (value.log10() - y_axis.0) / (y_axis.1 - y_axis.0) * (BOTTOM - TOP);

    let mut out = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {HEIGHT}\" role=\"img\" aria-label=\"Time of one \
         decision against the number of rules\">\n<style>{STYLE}</style>\n<text x=\"{LEFT}\" y=\"22\">Time of one decision \
         against the number of rules (both logarithmic)</text>\n"
    );
    let mut push = |line: String| {
        writeln!(out, "{line}").expect("a string takes everything");
    };
    for tick in ticks(y_axis) {
        let at = y(tick);
        push(format!(
            "<path class=\"grid\" d=\"M{LEFT} {at:.1}H{RIGHT}\"/><text x=\"{:.0}\" y=\"{:.1}\" text-anchor=\"end\">{}</text>",
            LEFT - 8.0,
            at + 4.0,
            time(tick).replace(".00", "").replace(".0 ", " ")
        ));
    }
    for tick in ticks(x_axis) {
        let at = x(tick);
        push(format!(
            "<path class=\"grid\" d=\"M{at:.1} {TOP}V{BOTTOM}\"/><text x=\"{at:.1}\" y=\"{:.0}\" \
             text-anchor=\"middle\">{tick}</text>",
            BOTTOM + 20.0
        ));
    }
    push(format!(
        "<path class=\"axis\" fill=\"none\" d=\"M{LEFT} {TOP}V{BOTTOM}H{RIGHT}\"/><text x=\"{:.0}\" y=\"{:.0}\" \
         text-anchor=\"middle\">rules, of which one at most fires</text>",
        (LEFT + RIGHT) / 2.0,
        BOTTOM + 40.0
    ));
    let names = spaced(lines, |line| line.points.last().map(|(_, ns)| y(*ns)));
    for (i, line) in lines.iter().enumerate() {
        let Some(&(last_x, last_y)) = line.points.last() else {
            continue;
        };
        let colour = COLOURS[i % COLOURS.len()];
        let width = if line.bold { 3 } else { 2 };
        let path: Vec<String> = line
            .points
            .iter()
            .map(|(rules, ns)| format!("{:.1} {:.1}", x(*rules), y(*ns)))
            .collect();
        push(format!(
            "<path fill=\"none\" stroke=\"{colour}\" stroke-width=\"{width}\" d=\"M{}\"/>",
            path.join("L")
        ));
        for (rules, ns) in &line.points {
            push(format!(
                "<circle cx=\"{:.1}\" cy=\"{:.1}\" r=\"3\" fill=\"{colour}\"/>",
                x(*rules),
                y(*ns)
            ));
        }
        let weight = if line.bold { " font-weight=\"600\"" } else { "" };
        push(format!(
            "<path stroke=\"{colour}\" stroke-dasharray=\"2 3\" fill=\"none\" d=\"M{:.1} {:.1}L{:.1} {:.1}\"/>\
             <text x=\"{:.0}\" y=\"{:.1}\" style=\"fill:{colour}\"{weight}>{}</text>",
            x(last_x),
            y(last_y),
            RIGHT + 10.0,
            names[i],
            RIGHT + 14.0,
            names[i] + 4.0,
            line.name
        ));
    }
    out + "</svg>\n"
}

/// Powers of ten.
fn ticks((low, high): (f64, f64)) -> impl Iterator<Item = f64> {
    std::iter::successors(Some(low), |at| Some(at + 1.0))
        .take_while(move |at| *at <= high + 0.5)
        .map(|at| 10f64.powf(at).round().max(10f64.powf(at)))
}

/// Heights for the names, near their lines and not on top of each other.
fn spaced(lines: &[Line<'_>], height: impl Fn(&Line<'_>) -> Option<f64>) -> Vec<f64> {
    let mut order: Vec<(usize, f64)> = lines
        .iter()
        .enumerate()
        .filter_map(|(i, line)| Some((i, height(line)?)))
        .collect();
    order.sort_by(|a, b| a.1.total_cmp(&b.1));
    // What does not fit above the bottom moves up, all together.
    let mut at = TOP - LEADING;
    for entry in &mut order {
        at = entry.1.max(at + LEADING);
        entry.1 = at;
    }
    let mut limit = BOTTOM;
    for entry in order.iter_mut().rev() {
        entry.1 = entry.1.min(limit);
        limit = entry.1 - LEADING;
    }
    let mut heights = vec![0.0; lines.len()];
    for (i, height) in order {
        heights[i] = height;
    }
    heights
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_line_has_a_path_and_a_name_of_its_own_height() {
        let line = |name| Line {
            name,
            points: vec![(10.0, 500.0), (100.0, 5_000.0)],
            bold: false,
        };
        let svg = svg(&[line("one"), line("two"), line("three")]);
        for name in ["one", "two", "three"] {
            assert!(svg.contains(&format!(">{name}</text>")), "{svg}");
        }
        let lines = [line("one"), line("two"), line("three")];
        let heights = spaced(&lines, |_| Some(BOTTOM));
        assert_eq!(
            heights.iter().copied().fold(f64::INFINITY, f64::min),
            BOTTOM - 2.0 * LEADING
        );
        assert!(!svg.contains("NaN"));
    }
}
