//! What the fuzz targets run. Each takes arbitrary bytes and panics when something is wrong; ordinary tests call the same
//! functions with a seed corpus.
//!
//! From dumb to knowing: bytes as a policy file, bytes as a bundle, bytes as a request, and bytes as the choices of the
//! generators for a whole pair.

#![expect(
    clippy::expect_used,
    clippy::panic,
    reason = "a fuzz target reports what it finds by panicking"
)]

use crate::compare::{Verdict, dump, judge, report, shrink};
use crate::engine::{Engine, Loaded, Refusal, RequestOptions, Settings, reference_answer};
use crate::generate::{Dials, Pair, pair};
use crate::product::Product;
use crate::reference::{Derive, Mode, numbers};
use crate::rng::Rng;
use policy_bytecode::FieldIdx;
use policy_bytecode::bundle;
use policy_bytecode::module::{Field, Module, PathSegment};
use policy_bytecode::verify::{HostLimits, verify};
use policy_compiler::Options;
use policy_grammar::ast::Policy;
use policy_grammar::{SourceFile, SourceMap, parse_source};
use policy_runtime::{EvaluateOptions, Policies, PolicyEngine};
use policy_vm::{AsSent, LoadedModule, Scratch};
use serde_json::Value;
use sha2::{Digest as _, Sha256};
use std::cell::RefCell;
use std::path::Path;
use std::sync::OnceLock;

/// Bytes as a YAML and as a JSON document: parsing and compiling report problems and never panic; what compiles also
/// runs, at every level alike.
pub fn document(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else {
        return;
    };
    for name in ["fuzz.yaml", "fuzz.json"] {
        let mut sources = SourceMap::new();
        let file = sources.add(SourceFile::new(name, text));
        let parsed = parse_source(&sources, file);
        for diagnostic in &parsed.diagnostics {
            let span = diagnostic.primary.span;
            assert!(
                span.start <= span.end && span.end as usize <= text.len(),
                "{diagnostic:?} points outside"
            );
            assert!(
                text.is_char_boundary(span.start as usize),
                "{diagnostic:?} points into a character"
            );
            assert!(
                text.is_char_boundary(span.end as usize),
                "{diagnostic:?} points into a character"
            );
        }
        if parsed.has_errors() {
            continue;
        }
        for level in policy_compiler::OptLevel::ALL {
            let options = Options {
                opt_level: *level,
                ..Options::default()
            };
            match policy_compiler::compile(&sources, &options) {
                Ok(compiled) => {
                    let engine = PolicyEngine::builder()
                        .policies(Policies::from_compiled(compiled).expect("what compiles is loaded"))
                        .build()
                        .expect("what is loaded runs");
                    let _answer = engine.evaluate_json(br#"{"llm":{"model":"x","prompt":"y"},"a":1}"#);
                }
                Err(failed) => {
                    for diagnostic in &failed.diagnostics {
                        assert!(
                            !diagnostic.code.as_str().starts_with('B'),
                            "internal error: {diagnostic:?}"
                        );
                    }
                }
            }
        }
    }
}

/// Bytes as a bundle: refused, or verified and then run within its limits. Starts from a real bundle when the first
/// byte says so, because random bytes never get past the digest.
pub fn bundle(bytes: &[u8]) {
    if let Some((kind, edits)) = bytes.split_first()
        && kind % 2 == 1
    {
        return run_bundle(&damaged(edits));
    }
    run_bundle(bytes);
    let mut mended = bytes.to_vec();
    mend_digest(&mut mended);
    run_bundle(&mended);
}

fn run_bundle(bytes: &[u8]) {
    let Ok(policies) = Policies::from_bundle(bytes, &[]) else {
        return;
    };
    let Ok(engine) = PolicyEngine::builder().policies(policies).build() else {
        return;
    };
    for body in [
        &b"{}"[..],
        br#"{"llm":{"model":"gpt-4","maxTokens":5,"prompt":"x"},"a":[1,{"b":null}]}"#,
        b"[",
    ] {
        let _answer = engine.evaluate_json_with(
            body,
            &EvaluateOptions {
                mode: policy_runtime::Mode::All,
                trace: true,
                ..EvaluateOptions::default()
            },
        );
    }
}

/// A bundle with bytes replaced and its digest mended, so that decoding and verification are reached: each edit is
/// three bytes, a place and what is flipped there.
fn damaged(edits: &[u8]) -> Vec<u8> {
    static BASE: OnceLock<Vec<u8>> = OnceLock::new();
    let base = BASE.get_or_init(|| {
        let mut sources = SourceMap::new();
        sources.add(SourceFile::new("base.yaml", BASE_POLICIES));
        let compiled = policy_compiler::compile(&sources, &Options::default()).expect("the base compiles");
        compiled.to_bundle().expect("the base fits the format")
    });
    let mut bytes = base.clone();
    let length = bytes.len();
    for edit in edits.chunks_exact(3) {
        let at = usize::from(edit[0]) << 8 | usize::from(edit[1]);
        bytes[at % length] ^= edit[2];
    }
    mend_digest(&mut bytes);
    bytes
}

/// Puts the right digest into an unsigned bundle: it stands after magic, version and section count, covers everything
/// but itself and the signatures, of which there are none (two zero bytes at the end).
fn mend_digest(bytes: &mut [u8]) {
    const DIGEST: usize = 32;
    let header = bundle::MAGIC.len() + 4;
    let content = bytes.len().saturating_sub(2);
    if content < header + DIGEST {
        return;
    }
    let mut hash = Sha256::new();
    hash.update(&bytes[..header]);
    hash.update(&bytes[header + DIGEST..content]);
    let digest = hash.finalize();
    bytes[header..header + DIGEST].copy_from_slice(&digest);
}

const BASE_POLICIES: &str = r#"
metadata: {id: base, name: Base, priority: 3}
rules:
  - id: a
    condition:
      operator: and
      conditions:
        - {operator: in, field: llm.model, value: [gpt-4, gpt-4o]}
        - {operator: not, conditions: [{operator: matches, field: llm.prompt, value: "(?i)secret|\\d{4}"}]}
        - {operator: gt, field: llm.maxTokens, valueFrom: budget.tokens}
    action: {decision: modify, reason: "{{ llm.model }}", modifications: {llm.maxTokens: {$cap: 5}, metadata.x: {$append: "{{ a }}"}}}
  - id: b
    condition: {operator: or, conditions: [{operator: contains, field: a, value: 1}, {operator: exists, field: "a[1].b"}]}
    action: {decision: deny, metadata: {k: [1, {v: "{{ user.id }}"}]}}
"#;

/// Policies that read much of a request, for [`request`].
const READER: &str = r#"
metadata: {id: reader, name: Reader}
rules:
  - {id: model, condition: {operator: starts_with, field: llm.model, value: g}, action: {decision: warn, reason: "{{ llm.model }}|{{ a.b }}|{{ list[1] }}|{{ whole }}"}}
  - {id: tokens, condition: {operator: gte, field: llm.maxTokens, value: 5}, action: {decision: modify, modifications: {llm.maxTokens: {$cap: 10}, whole: {$append: 1}}}}
  - {id: deep, condition: {operator: eq, field: a.b.c, value: 1}, action: {decision: warn}}
  - {id: element, condition: {operator: eq, field: "list[0]", value: x}, action: {decision: warn}}
  - {id: inner, condition: {operator: exists, field: "list[1].id"}, action: {decision: warn}}
  - {id: number, condition: {operator: lt, field: n, valueFrom: m}, action: {decision: warn}}
  - {id: whole, condition: {operator: in, field: whole, value: [1, null, [], {}, {a: [1]}]}, action: {decision: warn}}
  - {id: strings, condition: {operator: contains, field: s, value: "é"}, action: {decision: warn, metadata: {s: "{{ s }}", n: "{{ n }}"}}}
"#;

/// [`READER`], loaded by the product and parsed for the reference.
struct Reader {
    loaded: Box<dyn Loaded>,
    policies: Vec<Policy>,
}

/// Bytes as a request: the product refuses what `serde_json` refuses, and otherwise says what the reference says of the
/// parsed value. A repeated key and too deep nesting may be refused by the product alone.
pub fn request(bytes: &[u8]) {
    thread_local! {
        static READERS: RefCell<Option<Reader>> = const { RefCell::new(None) };
    }
    let settings = Settings {
        derive: Derive::Never,
        ..Settings::default()
    };
    let options = RequestOptions {
        mode: Mode::All,
        ..RequestOptions::default()
    };
    READERS.with_borrow_mut(|readers| {
        let Reader { loaded, policies } = readers.get_or_insert_with(|| {
            let loaded = Product::bundle()
                .load(READER, settings)
                .expect("the reader is loaded");
            Reader {
                loaded,
                policies: crate::engine::parse(READER).expect("the reader parses"),
            }
        });
        let actual = loaded.evaluate(bytes, &options);
        let parsed = read(bytes);
        match (&parsed, &actual) {
            (Err(error), Ok(answer)) => {
                assert!(
                    error.contains("recursion limit"),
                    "{error}, but the answer is {answer:?}"
                );
            }
            (Err(_), Err(Refusal::Malformed)) => {}
            (Ok(context), Err(Refusal::Malformed)) => assert!(
                repeats_a_key(bytes)
                    || depth(context) >= 100
                    || reference_answer(policies, context, settings, &options) == Err(Refusal::Malformed),
                "{context} is refused"
            ),
            (_, Err(other)) => panic!("{other:?}"),
            (Ok(context), Ok(_)) => {
                if repeats_a_key(bytes) {
                    return;
                }
                let expected = reference_answer(policies, context, settings, &options);
                let differences = crate::compare::differences(&expected, &actual);
                assert!(differences.is_empty(), "{context}: {differences:?}");
            }
        }
    });
}

/// A body as the reference reads it.
fn read(bytes: &[u8]) -> Result<Value, String> {
    let text = std::str::from_utf8(bytes).map_err(|error| error.to_string())?;
    numbers::read(text)
}

/// Paths that [`projection`] chooses from. Spellings differ from path to path in what a reader might get wrong: their
/// length, what they share, other spellings, what has to be escaped, numbers that are also keys.
const PATHS: [&str; 16] = [
    "a",
    "a.b",
    "a.b.c",
    "a.0",
    "a.0.b",
    "a.7",
    "list.1.id",
    "b|B",
    "b|B.c|cc.d",
    "maxTokens|max_tokens",
    "max|maxTokens",
    "m.dataClassification|data_classification",
    "m.dataClassifiCation",
    "é.😀",
    "m.q\"\\\n",
    "",
];

/// `a.b|other.0`: keys with other spellings; a number is an index.
fn path(text: &str) -> Vec<PathSegment> {
    let segment = |s: &str| match (s.parse(), s.split_once('|')) {
        (Ok(n), _) => PathSegment::Index(n),
        (Err(_), spellings) => PathSegment::Key {
            name: spellings.map_or(s, |(name, _)| name).to_owned(),
            aliases: spellings.into_iter().map(|(_, alias)| alias.to_owned()).collect(),
        },
    };
    text.split('.').map(segment).collect()
}

/// A module that reads the fields of [`PATHS`] whose bits are set.
fn reads(chosen: u16) -> (Vec<Vec<PathSegment>>, LoadedModule) {
    let paths: Vec<_> = PATHS
        .iter()
        .enumerate()
        .filter(|(i, _)| chosen >> i & 1 == 1)
        .map(|(_, text)| path(text))
        .collect();
    let field = |path: &Vec<PathSegment>| Field {
        path: path.clone(),
        derived: None,
    };
    let module = Module {
        fields: paths.iter().map(field).collect(),
        ..Module::default()
    };
    let module = verify(module, &HostLimits::default()).expect("a module without code is legal");
    (paths, LoadedModule::new(&module).expect("and loads"))
}

/// What a path means, in the plainest way.
fn resolve<'v>(document: &'v Value, path: &[PathSegment]) -> Option<&'v Value> {
    path.iter().try_fold(document, |value, segment| match segment {
        PathSegment::Key { name, aliases } => {
            let spelled = || {
                std::iter::once(name)
                    .chain(aliases)
                    .filter_map(|key| value.get(key))
            };
            spelled().find(|v| !v.is_null()).or_else(|| spelled().next())
        }
        PathSegment::Index(n) => match value {
            Value::Array(items) => items.get(*n as usize),
            object => object.get(n.to_string()),
        },
        PathSegment::FromEnd(n) => {
            let items = value.as_array()?;
            items.get(items.len().checked_sub(*n as usize)?)
        }
    })
}

/// Whether a path leads through a key whose spellings hold different values.
fn conflicts(document: &Value, path: &[PathSegment]) -> bool {
    path.iter().enumerate().any(|(steps, segment)| {
        let PathSegment::Key { name, aliases } = segment else {
            return false;
        };
        let Some(at) = resolve(document, &path[..steps]) else {
            return false;
        };
        let spelled = std::iter::once(name).chain(aliases);
        let mut values = spelled.filter_map(|key| at.get(key)).filter(|v| !v.is_null());
        values
            .next()
            .is_some_and(|first| values.any(|other| other != first))
    })
}

/// Bytes as a choice of fields (two) and the bodies of requests to one worker, each twice and with 0xFF between them: a
/// body is refused where `serde_json` refuses it, and otherwise every field is what its path leads to in the parsed
/// value, whatever the worker has read before. A repeated key, spellings that differ and too deep nesting may be refused by
/// projection alone.
pub fn projection(bytes: &[u8]) {
    let Some((chosen, bodies)) = bytes.split_first_chunk::<2>() else {
        return;
    };
    let (paths, module) = reads(u16::from_le_bytes(*chosen));
    let mut scratch = Scratch::new();
    let bodies = bodies.split(|byte| *byte == u8::MAX);
    for body in bodies.flat_map(|body| [body, body]) {
        let parsed = read(body);
        let mut host = AsSent;
        let mut read = match (module.begin(&mut scratch, &mut host, body), &parsed) {
            (Ok(read), _) => read,
            (Err(_), Err(_)) => continue,
            (Err(error), Ok(context)) => {
                assert!(
                    !context.is_object()
                        || repeats_a_key(body)
                        || depth(context) >= 100
                        || paths.iter().any(|path| conflicts(context, path)),
                    "{context} is refused: {error}"
                );
                continue;
            }
        };
        let context = match parsed {
            Ok(context) => context,
            Err(error) => {
                assert!(error.contains("recursion limit"), "{error}, but it is read");
                continue;
            }
        };
        for (index, path) in paths.iter().enumerate() {
            let value = read.field(FieldIdx::from_index(index).expect("there are few"));
            let mut text = String::new();
            value.write_json(&mut text).expect("writing to text never fails");
            let found = numbers::read(&text).expect("what is written is JSON");
            let expected = resolve(&context, path);
            assert_eq!(
                value.is_present().then_some(&found),
                expected,
                "{path:?} of {context}"
            );
        }
    }
}

/// Bodies for [`projection`] that hold what the fuzzed paths lead to.
pub const PROJECTION_SEEDS: [&str; 8] = [
    r#"{"a":{"b":{"c":1}},"list":[0,{"id":"x"}],"b":{"c":{"d":-0}},"maxTokens":18446744073709551615}"#,
    r#"{ "a" : [ { "b" : 1.5e3 }, 2 ], "B": {"cc": {"d": "\ud83d\ude00"}}, "max_tokens": 9223372036854775808 }"#,
    r#"{"a":{"0":{"b":[]},"7":null},"B":1,"b":{"cc":{"d":1},"c":{"d":2}},"max":0.1,"maxTokens":-1.25E-7}"#,
    r#"{"m":{"dataClassification":"c","dataClassifiCation":12345678901234567890123,"data_classification":{}}}"#,
    r#"{"é":{"😀":"na\u00efve"},"m":{"q\"\\\n":true,"\u0064ataClassification":false},"":[""]}"#,
    r#"{"x":{"y":1,"y":[{"z":[[]]}]},"a":{"b":1,"\u0062":2}}"#,
    r#"{"a":[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[1]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]}"#,
    r#"{"x":[{"k":[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[{"k":[[[[[[[[[[[[[[[[[[[[[[[[[[[[[{}]]]]]]]]]]]]]]]]]]]]]]]]]]]]]}]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]}]}"#,
];

/// Whether some object of a JSON text has a key twice.
fn repeats_a_key(bytes: &[u8]) -> bool {
    struct Strict;
    impl<'de> serde::de::DeserializeSeed<'de> for Strict {
        type Value = ();
        fn deserialize<D: serde::Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
            deserializer.deserialize_any(self)
        }
    }
    impl<'de> serde::de::Visitor<'de> for Strict {
        type Value = ();
        fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            f.write_str("JSON without repeated keys")
        }
        fn visit_unit<E>(self) -> Result<(), E> {
            Ok(())
        }
        fn visit_bool<E>(self, _: bool) -> Result<(), E> {
            Ok(())
        }
        fn visit_i64<E>(self, _: i64) -> Result<(), E> {
            Ok(())
        }
        fn visit_u64<E>(self, _: u64) -> Result<(), E> {
            Ok(())
        }
        fn visit_f64<E>(self, _: f64) -> Result<(), E> {
            Ok(())
        }
        fn visit_str<E>(self, _: &str) -> Result<(), E> {
            Ok(())
        }
        fn visit_seq<A: serde::de::SeqAccess<'de>>(self, mut seq: A) -> Result<(), A::Error> {
            while seq.next_element_seed(Strict)?.is_some() {}
            Ok(())
        }
        fn visit_map<A: serde::de::MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
            let mut keys = std::collections::BTreeSet::new();
            while let Some(key) = map.next_key::<String>()? {
                if !keys.insert(key) {
                    return Err(serde::de::Error::custom("a key twice"));
                }
                map.next_value_seed(Strict)?;
            }
            Ok(())
        }
    }
    use serde::de::DeserializeSeed as _;
    let mut deserializer = serde_json::Deserializer::from_slice(bytes);
    Strict.deserialize(&mut deserializer).is_err()
}

fn depth(value: &Value) -> usize {
    match value {
        Value::Array(items) => 1 + items.iter().map(depth).max().unwrap_or(0),
        Value::Object(members) => 1 + members.values().map(depth).max().unwrap_or(0),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => 0,
    }
}

/// Bytes as the choices of the generators: the product agrees with the reference on the pair. With `DUMP_CASE_DIR`, a
/// finding is made small and written there as a case.
pub fn evaluation(bytes: &[u8]) {
    // Small sets and no automata: building those is what most of the time would go into, and other tests do it.
    let dials = Dials {
        max_policies: 2,
        max_rules: 3,
        ..Dials::default()
    };
    let pair = pair(&mut Rng::from_bytes(bytes), &dials);
    for engine in [Product::at(policy_compiler::OptLevel::O0), Product::bare()] {
        if let Verdict::Disagree(_) = judge(&engine, &pair, &pair.body()) {
            finding(&engine, &pair);
        }
    }
}

fn finding(engine: &dyn Engine, pair: &Pair) -> ! {
    let small = shrink(pair, &|p| {
        matches!(judge(engine, p, &p.body()), Verdict::Disagree(_))
    });
    let Verdict::Disagree(differences) = judge(engine, &small, &small.body()) else {
        panic!("not reproduced");
    };
    if let Some(directory) = std::env::var_os("DUMP_CASE_DIR") {
        let name = format!(
            "fuzz-{:016x}",
            Rng::from_bytes(small.policies_text().as_bytes()).next_u64()
        );
        dump(Path::new(&directory), &name, "Found by fuzzing.", &small).expect("the finding is written");
    }
    panic!("{}", report(engine.name(), &small, &differences));
}

/// Writes starting points for the fuzz targets below `out`, one folder per target, and returns how many.
///
/// # Errors
///
/// Whatever writing files returns.
pub fn write_seeds(out: &Path) -> std::io::Result<usize> {
    const SEEDS: u64 = 40;
    let mut written = 0;
    let mut write = |target: &str, name: &str, bytes: &[u8]| -> std::io::Result<()> {
        let folder = out.join(target);
        std::fs::create_dir_all(&folder)?;
        std::fs::write(folder.join(name), bytes)?;
        written += 1;
        Ok(())
    };
    for (i, text) in [BASE_POLICIES, READER].into_iter().enumerate() {
        write("document", &format!("base-{i}"), text.as_bytes())?;
        let mut sources = SourceMap::new();
        sources.add(SourceFile::new("seed.yaml", text));
        if let Ok(compiled) = policy_compiler::compile(&sources, &Options::default())
            && let Ok(bytes) = compiled.to_bundle()
        {
            write("bundle", &format!("base-{i}"), &bytes)?;
        }
    }
    for seed in 0..SEEDS {
        let mut rng = Rng::seeded(seed);
        let dials = Dials {
            max_policies: 2,
            max_rules: 2,
            invalid: 10,
            ..Dials::default()
        };
        let pair = pair(&mut rng, &dials);
        write(
            "document",
            &format!("pair-{seed}"),
            pair.policies_text().as_bytes(),
        )?;
        let own = pair.body();
        write("request", &format!("pair-{seed}"), own.as_bytes())?;
        let place = usize::try_from(seed).unwrap_or(0) % PROJECTION_SEEDS.len();
        let bodies = [
            PROJECTION_SEEDS.get(place).copied().unwrap_or("").as_bytes(),
            own.as_bytes(),
        ];
        let chosen = u16::try_from(rng.below(1 << 16))
            .unwrap_or(u16::MAX)
            .to_le_bytes();
        let bytes = [&chosen, bodies.join(&u8::MAX).as_slice()].concat();
        write("projection", &format!("pair-{seed}"), &bytes)?;
        let choices: Vec<u8> = (0..64).flat_map(|_| rng.next_u64().to_le_bytes()).collect();
        write("evaluation", &format!("choices-{seed}"), &choices)?;
        write(
            "bundle",
            &format!("edits-{seed}"),
            &[&[1], &choices[..9]].concat(),
        )?;
    }
    Ok(written)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Otherwise the target would only ever see refused digests.
    #[test]
    fn mended_bundles_get_past_the_digest() {
        assert!(Policies::from_bundle(&damaged(&[]), &[]).is_ok());
        let refused_for = |edits: &[u8]| {
            Policies::from_bundle(&damaged(edits), &[])
                .err()
                .map(|e| e.to_string())
        };
        let reasons: std::collections::BTreeSet<String> =
            (0..200_u8).filter_map(|at| refused_for(&[1, at, 0x10])).collect();
        assert!(reasons.iter().all(|r| !r.contains("digest")), "{reasons:?}");
    }
}
