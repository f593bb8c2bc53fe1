//! Prints every finding in files: what two revisions of the detectors have to agree about, and what is measured of them.
//!
//! ```text
//! cargo run --release --example pii_findings -- print PATH…          file, type, place, confidence and text of each finding
//! cargo run --release --example pii_findings -- mutants COUNT PATH…  the same of COUNT texts spliced out of each file's
//! valgrind --tool=callgrind --collect-atstart=no --toggle-collect='*measured*' \
//!     target/release/examples/pii_findings measure PATH…             bytes and findings; `-` for PATH: hostile texts
//! cargo run --release --example pii_findings -- time PATH…           megabytes a second, the best of 30 runs
//! ```
//!
//! Folders are read with all that is in them, in order of their names. Of JSON and JSON lines every text is looked at, of
//! other files the whole. What is not UTF-8 is left out.

use std::hint::black_box;
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::time::Instant;

use policy_primitives::pii::{Findings, scan};
use serde_json::Value;

/// A text and where it comes from.
struct Text {
    name: String,
    text: String,
}

/// What makes a detector work hard, repeated.
const HOSTILE: [&str; 36] = [
    "a",
    "1",
    "1-",
    "@",
    "1 ",
    "+1",
    ":",
    "a@a.",
    "1.",
    "(1)",
    "a-",
    "=",
    ">",
    "\"",
    "key=",
    "password:",
    "a,b,1\n",
    "|1",
    "call 1234567 ",
    "phone 12 34 56 ",
    "a1-",
    "eyJ.",
    "GB82 ",
    "1 Main ",
    "4111 1111 1111 1112 ",
    "key=a1B2",
    "password = \"a",
    "key: aaaaaaaaaaaaaaaaaaaaaa1 ",
    "-----BEGIN PRIVATE KEY-----",
    "a.a@",
    "1.1.1.1 ",
    "123-45-6789 ",
    "sk-a1",
    "://a:a@",
    "--token a1b2c3d4e5f6g7h8i9 ",
    "e\u{301}1\u{200b}",
];
/// Bytes of a hostile text.
const HOSTILE_LENGTH: usize = 100_000;

/// What mutants are spliced with.
const PIECES: &[&str] = &[
    "=",
    ": ",
    ">",
    " => ",
    "\"",
    "'",
    " ",
    "\n",
    ",",
    "|",
    "\t",
    ";",
    "-",
    "--",
    ".",
    "/",
    "@",
    "_",
    "+",
    "(",
    ")",
    "[EMAIL]",
    "password",
    "api_key",
    "token",
    "secret",
    "Bearer ",
    "sk-",
    "ghp_",
    "AKIA",
    "eyJ",
    "-----BEGIN PRIVATE KEY-----\n",
    "4111 1111 1111 1111",
    "415-555-2671",
    "ann@example.com",
    "192.168.1.10",
    "2001:db8::1",
    "00:1a:2b:3c:4d:5e",
    "078-05-1120",
    "born ",
    "phone ",
    "passport ",
    "DE89370400440532013000",
    "221B Baker Street",
    "14 March 1980",
    "Number",
    "a8F3kQ9zX2mL7pR4tV6w",
    "5f4dcc3b5aa765d61d8327deb882cf99",
    "hunter2!",
    "é",
    "\u{200b}",
    "１",
    "а",
    "密码",
    "電話",
    "0",
    "7",
    "x",
];

fn main() -> io::Result<()> {
    let mut arguments = std::env::args().skip(1);
    let mode = arguments.next().unwrap_or_default();
    let mut out = BufWriter::new(io::stdout().lock());
    match mode.as_str() {
        "print" => read_all(arguments)?
            .iter()
            .try_for_each(|text| print(&mut out, &text.name, &text.text))?,
        "mutants" => {
            let count = arguments.next().and_then(|count| count.parse().ok()).unwrap_or(1);
            for text in read_all(arguments)? {
                let mut random = Random::of(&text.name);
                for number in 0..count {
                    print(
                        &mut out,
                        &format!("{} {number}", text.name),
                        &mutant(&mut random, &text.text),
                    )?;
                }
            }
        }
        "measure" => {
            let texts = read_all(arguments)?;
            let bytes: usize = texts.iter().map(|text| text.text.len()).sum();
            writeln!(out, "{bytes} bytes, {} findings", measured(&texts))?;
        }
        "time" => {
            let texts = read_all(arguments)?;
            let bytes: usize = texts.iter().map(|text| text.text.len()).sum();
            let best = (0..30).map(|_| {
                let start = Instant::now();
                black_box(measured(&texts));
                start.elapsed()
            });
            let seconds = best.min().unwrap_or_default().as_secs_f64();
            writeln!(out, "{:.0} MB/s", bytes as f64 / seconds / 1e6)?;
        }
        _ => writeln!(
            out,
            "print PATH…, mutants COUNT PATH… measure PATH… or time PATH…"
        )?,
    }
    out.flush()
}

/// Scans all texts. Returns the number of findings.
fn run(texts: &[Text], findings: &mut Findings) -> usize {
    texts
        .iter()
        .map(|text| {
            scan(black_box(&text.text), findings);
            findings.len()
        })
        .sum()
}

/// What is counted.
#[inline(never)]
fn measured(texts: &[Text]) -> usize {
    run(texts, &mut Findings::new())
}

fn print(out: &mut impl Write, name: &str, text: &str) -> io::Result<()> {
    const SHOWN: usize = 100;
    let mut findings = Findings::new();
    scan(text, &mut findings);
    for found in &findings {
        let shown: String = text[found.start..found.end].chars().take(SHOWN).collect();
        writeln!(
            out,
            "{name}\t{}\t{}..{}\t{}\t{shown:?}",
            found.kind,
            found.start,
            found.end,
            found.confidence.name()
        )?;
    }
    Ok(())
}

/// The texts in all files at `paths`.
fn read_all(paths: impl Iterator<Item = String>) -> io::Result<Vec<Text>> {
    let mut texts = Vec::new();
    for path in paths {
        if path == "-" {
            texts.extend(HOSTILE.iter().map(|unit| Text {
                name: format!("{unit:?}"),
                text: unit.repeat(HOSTILE_LENGTH / unit.len()),
            }));
        } else {
            read(Path::new(&path), &mut texts)?;
        }
    }
    Ok(texts)
}

fn read(path: &Path, texts: &mut Vec<Text>) -> io::Result<()> {
    if path.is_symlink() {
        return Ok(());
    }
    if path.is_dir() {
        let mut inside: Vec<PathBuf> = path
            .read_dir()?
            .map(|entry| entry.map(|entry| entry.path()))
            .collect::<io::Result<_>>()?;
        inside.sort();
        return inside.iter().try_for_each(|path| read(path, texts));
    }
    let Ok(text) = String::from_utf8(std::fs::read(path)?) else {
        return Ok(());
    };
    let name = path.display().to_string();
    match path.extension().and_then(|extension| extension.to_str()) {
        Some("json" | "jsonl") => {
            let values = serde_json::Deserializer::from_str(&text).into_iter::<Value>();
            for (number, value) in (1..).zip(values.map_while(Result::ok)) {
                strings(value, &format!("{name}:{number}"), texts);
            }
        }
        _ => texts.push(Text { name, text }),
    }
    Ok(())
}

/// Every text in `value`.
fn strings(value: Value, name: &str, texts: &mut Vec<Text>) {
    match value {
        Value::String(text) => texts.push(Text {
            name: format!("{name}#{}", texts.len()),
            text,
        }),
        Value::Array(items) => items.into_iter().for_each(|item| strings(item, name, texts)),
        Value::Object(entries) => entries
            .into_iter()
            .for_each(|(_, item)| strings(item, name, texts)),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

/// Numbers that look drawn, the same for the same name.
struct Random(u64);

impl Random {
    fn of(name: &str) -> Random {
        let hash = |hash: u64, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
        Random(name.bytes().fold(0xcbf2_9ce4_8422_2325, hash) | 1)
    }

    /// A number below `limit`, which is not 0.
    fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        ((self.0 >> 16) % limit as u64) as usize
    }
}

/// A text of pieces of `text` and of [`PIECES`].
fn mutant(random: &mut Random, text: &str) -> String {
    const CUT: usize = 80;
    let mut mutant = String::new();
    for _ in 0..1 + random.below(24) {
        if text.is_empty() || random.below(2) == 0 {
            mutant.push_str(PIECES[random.below(PIECES.len())]);
        } else {
            let start = text.floor_char_boundary(random.below(text.len()));
            let end = text.ceil_char_boundary((start + random.below(CUT)).min(text.len()));
            mutant.push_str(&text[start..end]);
        }
    }
    mutant
}
