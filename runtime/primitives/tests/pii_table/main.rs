//! How much the detectors find and how often they are wrong, on values drawn by the rules of the formats and on texts of
//! others.
//!
//! The generators are written from the public definitions of the formats and share nothing with the detectors. Drawing is
//! seeded by the name of each group: the table is the same in each run. `cargo test -p policy-primitives --test pii_table --
//! --nocapture` prints it; with `PII_TABLE_SAMPLES=n` it draws n of each instead of a few, and with `PII_TABLE_WRONG=n`
//! prints n wrong cases of each group.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod data;
mod draw;
mod harmless;
mod keys;
mod people;
mod table;

use table::Score;

/// A number from the environment.
fn setting(name: &str, default: usize) -> usize {
    std::env::var(name).map_or(default, |value| value.parse().unwrap())
}

fn print_wrong(name: &str, wrong: &[String]) {
    for case in wrong.iter().take(setting("PII_TABLE_WRONG", 0)) {
        println!("    {name}: {case}");
    }
}

/// Prints a score and says when it is under its floor.
fn check(score: &Score, floor: usize, under: &mut Vec<String>) {
    println!(
        "| {} | {} of {} | {} % |",
        score.name,
        score.right,
        score.all,
        score.per_cent()
    );
    print_wrong(score.name, &score.wrong);
    if score.permille() < floor {
        under.push(format!("{}: {} %", score.name, score.per_cent()));
    }
}

/// The page that shows the table.
const PAGE: &str = include_str!("../../../../docs/detection.md");

/// What may be missing from what the page says, in tenths of a per cent, where other values are drawn than for the page.
const SLACK: usize = 40;

/// The least that a group may have: what the page says in its last column.
fn floor(name: &str) -> usize {
    let row = PAGE.lines().find(|line| {
        line.strip_prefix("| ")
            .is_some_and(|row| row.starts_with(&format!("{name} |")))
    });
    let share = row
        .and_then(|row| row.rsplit('|').nth(1))
        .unwrap_or_else(|| panic!("{name} is on no page"));
    let share: f64 = share.trim().trim_end_matches(" %").parse().unwrap();
    let slack = if std::env::var_os("PII_TABLE_SAMPLES").is_some() {
        SLACK
    } else {
        0
    };
    (share * 10.0).round() as usize - slack
}

/// Bounds of the shares of [`data::shares`], in tenths of a per cent.
const SHARES: &[(&str, usize, usize)] = &[
    ("labelled texts, labels covered", 990, 1000),
    ("labelled texts, findings beside every label", 0, 10),
    ("a hundred more, labels covered", 990, 1000),
    ("a hundred more, findings beside every label", 0, 10),
    ("harmless prompts flagged", 0, 4),
    ("attacks and their harmless neighbours flagged", 0, 15),
];

#[test]
fn what_is_drawn_by_the_rules_is_found() {
    let samples = setting("PII_TABLE_SAMPLES", 12);
    let mut under = Vec::new();
    println!(
        "| {} locales, {} formats of keys | found | |",
        people::locales(),
        keys::formats()
    );
    for group in people::by_locale(samples)
        .into_iter()
        .chain(people::by_type(samples))
        .chain(people::disguised(samples))
    {
        check(&group.score(), floor(group.name), &mut under);
    }
    let (group, good) = keys::alone(samples);
    assert_eq!(good, keys::formats(), "formats of which too few keys are found");
    println!("| formats of keys | {good} of {} | |", keys::formats());
    check(&group.score(), floor(group.name), &mut under);
    for group in keys::behind_names(samples) {
        check(&group.score(), floor(group.name), &mut under);
    }
    assert!(under.is_empty(), "{under:#?}");
}

#[test]
fn what_only_looks_like_it_is_not() {
    let mut kinds = 0;
    let (mut alarms, mut texts) = (0, 0);
    for group in harmless::groups(setting("PII_TABLE_SAMPLES", 24)) {
        let score = group.score();
        (alarms, texts) = (alarms + score.wrong.len(), texts + score.all);
        if score.wrong.is_empty() {
            continue;
        }
        kinds += 1;
        println!("| {} | {} of {} |", score.name, score.wrong.len(), score.all);
        print_wrong(score.name, &score.wrong);
    }
    println!("| kinds of {} with a false alarm | {kinds} |", harmless::kinds());
    println!("| texts flagged | {alarms} of {texts} |");
    assert!(alarms * 1000 <= texts, "{alarms} of {texts} texts flagged");
}

#[test]
fn texts_of_others() {
    for share in data::shares(setting("PII_TABLE_SAMPLES", 12)) {
        println!("| {} | {} of {} |", share.name, share.count, share.all);
        print_wrong(share.name, &share.texts);
        if let Some((_, least, most)) = SHARES.iter().find(|(name, _, _)| *name == share.name) {
            let permille = share.count * 1000 / share.all;
            assert!(
                (*least..=*most).contains(&permille),
                "{}: {permille} of 1000",
                share.name
            );
        }
    }
}
