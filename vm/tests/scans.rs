//! Scans answer what their predicates answer alone, on texts and on everything else.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod common;

use common::{TestHost, load, outcome_of};
use policy_bytecode::Outcome;
use policy_vm::{LoadedModule, Mode, Scope, Scratch};

const TABLES: &str = r####"
.fields
  f0: text
.constants
  k0: "Key #1"
  k1: "\u{212a}1"
.patterns
  x0: /(?i)\bkiss \d{2}\b/ source "test"
  x1: /AKIA[0-9A-Z]{4}/ source "test"
  x2: /\w+@\w+/ source "test"
  x3: /id-[a-z]+!/ source "test"
.predicates
  p0: f0 matches x0
  p1: f0 matches x1
  p2: f0 matches x2
  p3: f0 contains k0
  p4: f0 contains k1
  p5: f0 matches x3
"####;

const SCANS: &str = r####"
.scans
  s0: f0
    literal "kiss 00"
    literal "akia" exact "AKIA"
    literal "@"
    literal "key #0" exact "Key #1"
    literal "k0" exact "\0\u{31}"
    literal "id-" exact "id-"
  predicate p0 near 0 0 l0
  predicate p1 near 0 0 l1
  predicate p2 search l2
  predicate p3 true l3
  predicate p4 search l4
  predicate p5 near 0 0 l5
"####;

/// One rule for each predicate, with and without the scan.
fn modules() -> [LoadedModule; 2] {
    let mut code = String::new();
    let mut rules = String::from(".rules\n");
    for i in 0..6 {
        code += &format!(".function fn{i}\n  ret_test p{i}, 1\n");
        rules += &format!("  rule{i}: policy0 warn fn{i} fires_on_error\n");
    }
    let rest = format!("{code}{rules}.policies\n  policy0: rule0+6\n");
    [
        load(&format!("{TABLES}{SCANS}{rest}")),
        load(&format!("{TABLES}{rest}")),
    ]
}

fn outcomes(module: &LoadedModule, scratch: &mut Scratch, body: &str) -> Vec<Outcome> {
    let mut host = TestHost::default();
    let mut evaluation = module.begin(scratch, &mut host, body.as_bytes()).unwrap();
    let hits = evaluation.decide(Scope::All, Mode::All).to_vec();
    (0..6).map(|rule| outcome_of(&hits, rule)).collect()
}

#[test]
fn the_scan_changes_no_outcome() {
    let [scanned, alone] = modules();
    let mut scratch = Scratch::new();
    let long = "some text about nothing in particular, 1 or 2 words of it; ".repeat(20);
    let many = "id-x id-yy ".repeat(30);
    let texts = [
        "",
        "kiss 12",
        "KISS 12",
        "\u{212a}i\u{17f}\u{17f} 12",
        "kiss ١٢",
        "kiss 123",
        "xkiss 12",
        "é kiss 12 é",
        "AKIA12AB",
        "akia12ab",
        "AKIA AKIA AKIAZZZZ",
        "mail a@b",
        "@ @ @",
        "Key #1",
        "Key #2 key #1 KEY #1",
        "\u{212a}1",
        "k1",
        "K1 \u{212a}1",
        "id-a id-b id-c id-d id-e id-f id-g id-h id-i id-j id-k!",
    ];
    for text in texts {
        for body in [
            text.to_owned(),
            format!("{long}{text}"),
            format!("{text}{many}{long}"),
        ] {
            let body = format!("{{\"text\": \"{body}\"}}");
            assert_eq!(
                outcomes(&scanned, &mut scratch, &body),
                outcomes(&alone, &mut Scratch::new(), &body),
                "{body}"
            );
        }
    }
}

#[test]
fn other_values_keep_their_outcomes() {
    let [scanned, alone] = modules();
    let mut scratch = Scratch::new();
    for body in [
        "{}",
        r#"{"text": null}"#,
        r#"{"text": 5}"#,
        r#"{"text": ["Key #1", "a@b"]}"#,
        r#"{"text": {"Key #1": true}}"#,
        r#"{"text": "a@b Key #1"}"#,
    ] {
        let found = outcomes(&scanned, &mut scratch, body);
        assert_eq!(found, outcomes(&alone, &mut Scratch::new(), body), "{body}");
    }
}

/// A text made of hits takes a few passes, not one for each hit.
#[test]
fn hostile_texts_take_linear_time() {
    let [scanned, alone] = modules();
    for piece in ["id-", "AKIA", "kiss 00", "@", "Key #2", "id-a", "k0", "é@"] {
        let body = format!("{{\"text\": \"{}\"}}", piece.repeat(2_000_000 / piece.len()));
        let start = std::time::Instant::now();
        let found = outcomes(&scanned, &mut Scratch::new(), &body);
        let taken = start.elapsed();
        assert!(taken.as_secs() < 20, "{piece}: {taken:?}");
        assert_eq!(found, outcomes(&alone, &mut Scratch::new(), &body), "{piece}");
    }
}
