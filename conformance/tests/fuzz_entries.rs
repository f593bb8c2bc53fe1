//! The fuzz targets' entry points over a seed corpus, as ordinary tests.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use policy_conformance::fuzz_entry;
use policy_conformance::generate::{Dials, pair};
use policy_conformance::rng::Rng;

/// Bytes that depend on a seed.
fn noise(rng: &mut Rng, length: usize) -> Vec<u8> {
    (0..length)
        .map(|_| u8::try_from(rng.below(256)).unwrap())
        .collect()
}

/// A text with a few bytes replaced, left out or repeated.
fn damaged(rng: &mut Rng, text: &str) -> Vec<u8> {
    let mut bytes = text.as_bytes().to_vec();
    for _ in 0..=rng.below(3) {
        if bytes.is_empty() {
            break;
        }
        let at = rng.below(bytes.len());
        match rng.below(4) {
            0 => bytes[at] = *rng.pick(b"{}[]:,-\"'&*!|>%@`#\n\t 09ae.\\"),
            1 => {
                bytes.remove(at);
            }
            2 => bytes.insert(at, *rng.pick(b"{}[]:,-\"'&*\n \\")),
            _ => {
                let end = (at + 1 + rng.below(20)).min(bytes.len());
                let piece = bytes[at..end].to_vec();
                bytes.splice(at..at, piece);
            }
        }
    }
    bytes
}

const ROUNDS: u64 = 150;

#[test]
fn documents() {
    for text in [
        "",
        "\u{FEFF}",
        "---\n---\n",
        "{",
        "[]",
        "a: &a [*a]",
        "? [a]: b",
        "%YAML 1.2\n---\n",
        "\t",
        "'",
        "!!binary x",
        "<<: *x",
        "metadata: {id: a, name: 😀",
        "\u{0}",
        "- - - - -",
        "a: |\n  b\n c",
        "{\"metadata\":{\"id\":\"\\ud83d\"}}",
    ] {
        fuzz_entry::document(text.as_bytes());
    }
    for seed in 0..ROUNDS {
        let mut rng = Rng::seeded(seed);
        let text = pair(
            &mut rng,
            &Dials {
                invalid: 30,
                ..Dials::default()
            },
        )
        .policies_text();
        fuzz_entry::document(&damaged(&mut rng, &text));
    }
}

#[test]
fn bundles() {
    fuzz_entry::bundle(b"");
    fuzz_entry::bundle(&[1]);
    // A finding: damage that makes a condition loop until its budget is spent.
    fuzz_entry::bundle(&[0x11, 0xe2, 0x12, 0x05, 0xff]);
    for seed in 0..ROUNDS {
        let mut rng = Rng::seeded(seed);
        let length = rng.below(64);
        fuzz_entry::bundle(&noise(&mut rng, length));
        let mut edits = vec![1];
        let count = 3 * (1 + rng.below(4));
        edits.extend(noise(&mut rng, count));
        fuzz_entry::bundle(&edits);
    }
}

#[test]
fn requests() {
    let bodies = [
        r#"{"llm":{"model":"gpt-4","maxTokens":7},"a":{"b":{"c":1}},"list":["x",{"id":null}],"n":1,"m":2.5,"whole":{"a":[1]},"s":"né"}"#,
        r#"{"llm":{"max_tokens":99,"maxTokens":null},"list":{"0":"x","1":{"id":0}},"n":"1","m":"2","whole":[]}"#,
        r#"{"llm":[],"a":{"b":[]},"list":[[]],"n":9007199254740993,"m":9007199254740992.0,"whole":null,"s":["é"]}"#,
        r#"{"a":1,"a":2,"llm":{"max_tokens":1,"max_tokens":2}}"#,
    ];
    for body in bodies {
        fuzz_entry::request(body.as_bytes());
        for seed in 0..ROUNDS * 4 {
            fuzz_entry::request(&damaged(&mut Rng::seeded(seed), body));
        }
    }
    for depth in [50, 90, 127, 128, 129, 1000, 100_000] {
        fuzz_entry::request(format!("{{\"whole\":{}{}}}", "[".repeat(depth), "]".repeat(depth)).as_bytes());
        fuzz_entry::request(format!("{{\"other\":{}{}}}", "[".repeat(depth), "]".repeat(depth)).as_bytes());
        fuzz_entry::request("{\"a\":".repeat(depth).as_bytes());
    }
}

#[test]
fn projections() {
    for (first, second) in fuzz_entry::PROJECTION_SEEDS
        .iter()
        .zip(fuzz_entry::PROJECTION_SEEDS.iter().rev())
    {
        for seed in 0..ROUNDS {
            let mut rng = Rng::seeded(seed);
            let mut bytes = noise(&mut rng, 2);
            bytes.extend(damaged(&mut rng, first));
            bytes.push(u8::MAX);
            bytes.extend(damaged(&mut rng, second));
            fuzz_entry::projection(&bytes);
        }
    }
}

#[test]
fn evaluations() {
    fuzz_entry::evaluation(b"");
    for seed in 0..ROUNDS {
        let mut rng = Rng::seeded(seed);
        let length = rng.below(400);
        fuzz_entry::evaluation(&noise(&mut rng, length));
    }
}
