//! Bundles: nothing is lost, equal contents give equal bytes, and whatever is changed is refused.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "tests fail by panicking, their helpers too"
)]

#[path = "common/damage.rs"]
mod damage;

use damage::{apply, damage};
use policy_bytecode::asm::assemble;
use policy_bytecode::bundle::{
    Bundle, BundleError, Contents, CostCertificate, FORMAT_VERSION, MAGIC, PrivateKey, PublicKey, encode,
    key_id, sign,
};
use policy_bytecode::debug::{CodeRun, DebugSection, SourceMapSection, SourcePlace};
use policy_bytecode::disasm::{DisasmOptions, Places, disassemble, disassemble_with_places};
use policy_bytecode::manifest::{
    CondNode, ItemConstant, Manifest, ModificationInfo, PolicyInfo, RuleInfo, TemplatePart, ValueNode,
    VerbInfo, WarningInfo,
};
use policy_bytecode::verify::{HostLimits, verify};
use policy_bytecode::wire::DecodeError;
use policy_bytecode::{ConstIdx, FieldIdx, Module, PredIdx};
use proptest::collection::vec;
use proptest::prelude::*;
use sha2::{Digest as _, Sha256};

/// Magic, format version, section count.
const HEADER: usize = 12;
const DIGEST: usize = 32;
const SIGNATURE: usize = 32 + 64;

fn module() -> Module {
    assemble(
        "
.fields
  f0: llm.model
  f1: llm.maxTokens|max_tokens
.constants
  k0: 100
.predicates
  p0: f1 gt k0
.function fn0
    ret_test p0, 1
.rules
  rule0: policy0 modify fn0
.policies
  policy0: rule0+1
",
    )
    .unwrap()
}

fn manifest() -> Manifest {
    Manifest {
        revision: "r1".into(),
        compiler: "0.1.0".into(),
        opt_level: 2,
        files: vec!["a.yaml".into()],
        policies: vec![PolicyInfo {
            id: "cap".into(),
            name: "Cap".into(),
            version: "1.0.0".into(),
            namespace: "default".into(),
            description: String::new(),
            tags: vec!["cost".into()],
            priority: -3,
            file: 0,
        }],
        rules: vec![RuleInfo {
            id: "tokens".into(),
            qualified: false,
            name: "Tokens".into(),
            reason: Some(0),
            metadata: vec![("why".into(), 0)],
            modifications: vec![ModificationInfo {
                path: "llm.maxTokens".into(),
                field: FieldIdx(1),
                verb: VerbInfo::Cap(ConstIdx(0)),
            }],
            condition: 0,
            line: 4,
            column: 5,
        }],
        conditions: vec![CondNode::Test {
            pred: PredIdx(0),
            negated: false,
            constant: Some("let.limit".into()),
            items: vec![ItemConstant {
                way: vec![2, 0],
                name: "let.few".into(),
            }],
        }],
        templates: vec![vec![
            TemplatePart::Text("too long for ".into()),
            TemplatePart::Field(FieldIdx(0)),
        ]],
        values: vec![ValueNode::Template(0)],
        warnings: vec![WarningInfo {
            code: "W0001".into(),
            message: "odd".into(),
            file: "a.yaml".into(),
            line: 3,
            column: 7,
            help: vec!["write it anew".into()],
        }],
        more_warnings: 2,
    }
}

fn source_map() -> SourceMapSection {
    SourceMapSection {
        predicates: vec![SourcePlace {
            file: 0,
            line: 6,
            column: 9,
        }],
    }
}

fn certificate() -> CostCertificate {
    CostCertificate {
        instructions: 1,
        predicates: 1,
        ..CostCertificate::default()
    }
}

fn debug() -> DebugSection {
    let place = source_map().predicates[0];
    DebugSection {
        code: vec![vec![CodeRun {
            first: 0,
            place: Some(place),
        }]],
        conditions: vec![place],
    }
}

fn packed(
    module: &Module,
    manifest: &Manifest,
    source_map: &SourceMapSection,
    debug: Option<&DebugSection>,
) -> Vec<u8> {
    encode(Contents {
        module,
        manifest,
        source_map,
        certificate: &certificate(),
        debug,
    })
    .unwrap()
}

fn bundle_of(module: &Module, manifest: &Manifest, source_map: &SourceMapSection) -> Vec<u8> {
    packed(module, manifest, source_map, Some(&debug()))
}

fn bundle() -> Vec<u8> {
    bundle_of(&module(), &manifest(), &source_map())
}

fn key(seed: u8) -> PrivateKey {
    PrivateKey::from_seed(&[seed; 32])
}

/// Puts the right digest into a bundle without signatures whose contents a test has changed.
fn seal(bytes: &mut [u8]) {
    let contents = bytes.len() - 2;
    let mut hash = Sha256::new();
    hash.update(&bytes[..HEADER]);
    hash.update(&bytes[HEADER + DIGEST..contents]);
    bytes[HEADER..HEADER + DIGEST].copy_from_slice(&hash.finalize());
}

/// Adds a section behind the others.
fn with_section(id: u16, flags: u16, contents: &[u8]) -> Vec<u8> {
    with_section_of(&bundle(), 5, id, flags, contents)
}

/// Adds a section behind the `count` sections of a bundle.
fn with_section_of(bundle: &[u8], count: u8, id: u16, flags: u16, contents: &[u8]) -> Vec<u8> {
    let table = HEADER + DIGEST;
    let sections_at = table + usize::from(count) * 8;
    let mut bytes = bundle[..sections_at].to_vec();
    bytes[10] = count + 1;
    bytes.extend(id.to_le_bytes());
    bytes.extend(flags.to_le_bytes());
    bytes.extend((contents.len() as u32).to_le_bytes());
    bytes.extend(&bundle[sections_at..bundle.len() - 2]);
    bytes.extend(contents);
    bytes.extend([0, 0]);
    seal(&mut bytes);
    bytes
}

fn decode_error(bytes: &[u8]) -> DecodeError {
    match Bundle::decode(bytes) {
        Err(BundleError::Decode(error)) => error,
        other => panic!("{other:?}"),
    }
}

#[test]
fn what_is_packed_comes_out() {
    let decoded = Bundle::decode(&bundle()).unwrap();
    assert_eq!(decoded.module, module());
    assert_eq!(decoded.manifest, manifest());
    assert_eq!(decoded.source_map, source_map());
    assert_eq!(decoded.certificate, certificate());
    assert_eq!(decoded.debug, Some(debug()));
    assert!(decoded.signatures.is_empty());
    assert!(decoded.digest.to_string().starts_with("sha256:"));
}

#[test]
fn equal_contents_give_equal_bytes() {
    assert_eq!(bundle(), bundle());
    let signed = sign(&bundle(), &key(1)).unwrap();
    assert_eq!(signed, sign(&bundle(), &key(1)).unwrap());
    assert_eq!(
        Bundle::decode(&signed).unwrap().digest,
        Bundle::decode(&bundle()).unwrap().digest
    );
}

fn every_flipped_bit_is_refused(bytes: &[u8]) {
    Bundle::decode(bytes).unwrap();
    for at in 0..bytes.len() {
        for bit in 0..8 {
            let mut changed = bytes.to_vec();
            changed[at] ^= 1 << bit;
            assert!(Bundle::decode(&changed).is_err(), "byte {at}, bit {bit}");
        }
    }
}

#[test]
fn every_flipped_bit_of_an_unsigned_bundle_is_refused() {
    every_flipped_bit_is_refused(&bundle());
}

#[test]
fn every_flipped_bit_of_a_signed_bundle_is_refused() {
    every_flipped_bit_is_refused(&sign(&bundle(), &key(1)).unwrap());
}

#[test]
fn every_truncation_and_every_longer_bundle_is_refused() {
    for bytes in [bundle(), sign(&bundle(), &key(1)).unwrap()] {
        for length in 0..bytes.len() {
            assert!(Bundle::decode(&bytes[..length]).is_err(), "{length} bytes");
        }
        for more in [vec![0], vec![0; SIGNATURE]] {
            assert!(Bundle::decode(&[bytes.clone(), more].concat()).is_err());
        }
    }
}

proptest! {
    #[test]
    fn any_bytes_are_refused(bytes in vec(any::<u8>(), 0..256)) {
        prop_assert!(Bundle::decode(&bytes).is_err());
    }

    #[test]
    fn damage_is_refused(damages in vec(damage(), 1..4)) {
        let bytes = sign(&bundle(), &key(1)).unwrap();
        let mut changed = bytes.clone();
        damages.iter().for_each(|d| apply(d, &mut changed));
        prop_assert!(changed == bytes || Bundle::decode(&changed).is_err());
    }

    /// The digest keeps damage from the section decoders; an attacker who builds bundles has it right.
    #[test]
    fn damage_below_a_right_digest_never_panics(damages in vec(damage(), 1..4)) {
        let mut changed = bundle();
        damages.iter().for_each(|d| apply(d, &mut changed));
        if changed.len() >= HEADER + DIGEST + 2 {
            seal(&mut changed);
        }
        let _outcome = Bundle::decode(&changed).is_ok();
    }
}

#[test]
fn signatures_say_who_signed() {
    let (alice, bob) = (key(1), key(2));
    let signed = Bundle::decode(&sign(&bundle(), &alice).unwrap()).unwrap();
    assert!(signed.signed_by(&[alice.public().0]).is_ok());
    assert!(signed.signed_by(&[bob.public().0, alice.public().0]).is_ok());
    let error = signed.signed_by(&[bob.public().0]).unwrap_err();
    assert_eq!(
        error,
        BundleError::Untrusted {
            signed_by: vec![key_id(&alice.public().0)]
        }
    );
    assert!(error.to_string().contains(&alice.public().id()));
    let error = Bundle::decode(&bundle())
        .unwrap()
        .signed_by(&[bob.public().0])
        .unwrap_err();
    assert_eq!(error.to_string(), "the bundle is not signed");
}

#[test]
fn two_signers_stand_side_by_side_and_signing_again_changes_nothing() {
    let (alice, bob) = (key(1), key(2));
    let once = sign(&bundle(), &alice).unwrap();
    let both = sign(&once, &bob).unwrap();
    let decoded = Bundle::decode(&both).unwrap();
    assert_eq!(decoded.signatures.len(), 2);
    assert!(decoded.signed_by(&[alice.public().0]).is_ok());
    assert!(decoded.signed_by(&[bob.public().0]).is_ok());
    assert_eq!(sign(&once, &alice).unwrap(), once);
}

#[test]
fn a_signature_of_another_bundle_or_key_is_refused() {
    let mut other = manifest();
    other.revision = "r2".into();
    let other = sign(&bundle_of(&module(), &other, &source_map()), &key(1)).unwrap();
    let mut bytes = sign(&bundle(), &key(1)).unwrap();
    let length = bytes.len();
    bytes[length - SIGNATURE..].copy_from_slice(&other[other.len() - SIGNATURE..]);
    assert_eq!(decode_error(&bytes), DecodeError::BadSignature);
    // The right signature under somebody else's name.
    let mut bytes = sign(&bundle(), &key(1)).unwrap();
    bytes[length - SIGNATURE..length - 64].copy_from_slice(&key(2).public().0);
    assert_eq!(decode_error(&bytes), DecodeError::BadSignature);
    // A point of small order, for which signatures of anything can be made.
    let mut bytes = sign(&bundle(), &key(1)).unwrap();
    bytes[length - SIGNATURE..].fill(0);
    bytes[length - SIGNATURE] = 1;
    bytes[length - 64] = 1;
    assert_eq!(decode_error(&bytes), DecodeError::BadSignature);
}

#[test]
fn there_is_room_for_sixteen_signatures() {
    let mut bytes = bundle();
    for seed in 0..16 {
        bytes = sign(&bytes, &key(seed)).unwrap();
    }
    Bundle::decode(&bytes).unwrap();
    assert!(matches!(
        sign(&bytes, &key(16)),
        Err(BundleError::Decode(DecodeError::LimitExceeded { .. }))
    ));
    assert_eq!(sign(&bytes, &key(3)).unwrap().len(), bytes.len());
}

#[test]
fn keys_survive_pem() {
    let private = key(7);
    let text = private.to_pem().unwrap();
    assert!(text.starts_with("-----BEGIN PRIVATE KEY-----"));
    assert_eq!(PrivateKey::from_pem(&text).unwrap().public(), private.public());
    let text = private.public().to_pem().unwrap();
    assert!(text.starts_with("-----BEGIN PUBLIC KEY-----"));
    assert_eq!(PublicKey::from_pem(&text).unwrap(), private.public());
    assert!(matches!(
        PublicKey::from_pem("nonsense"),
        Err(BundleError::BadKey { .. })
    ));
    assert!(matches!(
        PrivateKey::from_pem(&text),
        Err(BundleError::BadKey { .. })
    ));
    assert!(!format!("{private:?}").contains("[7, 7"));
}

/// As `openssl genpkey -algorithm ed25519` writes it: a private key without the public one.
#[test]
fn keys_written_by_openssl_are_read() {
    let text = "-----BEGIN PRIVATE KEY-----\n\
                MC4CAQAwBQYDK2VwBCIEIJ1hsZ3v/VpguoRK9JLsLMREScVpezJpGXA7rAMcrn9g\n\
                -----END PRIVATE KEY-----\n";
    let public: [u8; 32] = [
        0xd7, 0x5a, 0x98, 0x01, 0x82, 0xb1, 0x0a, 0xb7, 0xd5, 0x4b, 0xfe, 0xd3, 0xc9, 0x64, 0x07, 0x3a, 0x0e,
        0xe1, 0x72, 0xf3, 0xda, 0xa6, 0x23, 0x25, 0xaf, 0x02, 0x1a, 0x68, 0xf7, 0x07, 0x51, 0x1a,
    ];
    assert_eq!(PrivateKey::from_pem(text).unwrap().public().0, public);
}

#[test]
fn unknown_sections_are_skipped_only_where_they_say_so() {
    let decoded = Bundle::decode(&with_section(99, 1, b"for a later version")).unwrap();
    assert_eq!(decoded.module, module());
    assert_eq!(
        decode_error(&with_section(99, 0, b"for a later version")),
        DecodeError::BadSection { id: 99 }
    );
    // Sections ascend, so that none can stand twice.
    assert_eq!(
        decode_error(&with_section(5, 1, b"")),
        DecodeError::BadSection { id: 5 }
    );
}

#[test]
fn another_format_version_is_refused_by_name_and_number() {
    let mut bytes = bundle();
    bytes[8] = 7;
    assert_eq!(
        decode_error(&bytes).to_string(),
        format!("bundle format version 7 is not supported; this build reads version {FORMAT_VERSION}")
    );
    assert_eq!(decode_error(b"%PDF-1.7 or something else"), DecodeError::BadMagic);
}

#[test]
fn a_bundle_over_the_callers_limit_is_refused() {
    let bytes = bundle();
    assert!(Bundle::decode_limited(&bytes, bytes.len()).is_ok());
    assert!(matches!(
        Bundle::decode_limited(&bytes, bytes.len() - 1),
        Err(BundleError::Decode(DecodeError::LimitExceeded { .. }))
    ));
}

/// Lengths that no bundle has: refused by comparing them with what is there, before memory is taken.
#[test]
fn hostile_lengths_take_no_memory() {
    let mut bytes = bundle();
    bytes[HEADER + DIGEST + 4..HEADER + DIGEST + 8].fill(0xff);
    assert!(matches!(decode_error(&bytes), DecodeError::Truncated { .. }));

    let mut bytes = bundle();
    bytes[10..12].fill(0xff);
    assert!(matches!(decode_error(&bytes), DecodeError::LimitExceeded { .. }));

    let mut bytes = bundle();
    let length = bytes.len();
    bytes[length - 2..].fill(0xff);
    assert!(matches!(decode_error(&bytes), DecodeError::LimitExceeded { .. }));

    let mut bytes = MAGIC.to_vec();
    bytes.extend(FORMAT_VERSION.to_le_bytes());
    bytes.extend([4, 0]);
    assert!(matches!(decode_error(&bytes), DecodeError::Truncated { .. }));
}

fn manifest_error(change: impl FnOnce(&mut Manifest)) -> String {
    let mut manifest = manifest();
    change(&mut manifest);
    match Bundle::decode(&packed(&module(), &manifest, &source_map(), None)) {
        Err(BundleError::Manifest(error)) => error.to_string(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn manifests_that_do_not_fit_are_refused() {
    let outside = "it points outside a table, or forward";
    let cases: Vec<(String, &str, &str)> = vec![
        (
            manifest_error(|m| m.policies[0].file = 1),
            "entry 0 of `policies`",
            outside,
        ),
        (
            manifest_error(|m| m.policies.clear()),
            "entry 0 of `policies`",
            "as many entries",
        ),
        (
            manifest_error(|m| m.rules.push(m.rules[0].clone())),
            "of `rules`",
            "as many entries",
        ),
        (
            manifest_error(|m| m.rules[0].reason = Some(1)),
            "of `rules`",
            outside,
        ),
        (
            manifest_error(|m| m.rules[0].condition = 1),
            "of `rules`",
            outside,
        ),
        (
            manifest_error(|m| m.rules[0].metadata[0].1 = 1),
            "of `rules`",
            outside,
        ),
        (
            manifest_error(|m| m.rules[0].modifications[0].field = FieldIdx(2)),
            "of `rules`",
            outside,
        ),
        (
            manifest_error(|m| m.rules[0].modifications[0].verb = VerbInfo::Floor(ConstIdx(1))),
            "of `rules`",
            outside,
        ),
        (
            manifest_error(|m| m.rules[0].modifications[0].verb = VerbInfo::Append(1)),
            "of `rules`",
            outside,
        ),
        (
            manifest_error(|m| m.templates[0].push(TemplatePart::Field(FieldIdx(2)))),
            "of `templates`",
            outside,
        ),
        (
            manifest_error(|m| m.conditions.push(CondNode::Not(1))),
            "entry 1 of `conditions`",
            outside,
        ),
        (
            manifest_error(|m| m.conditions.push(CondNode::And(vec![]))),
            "entry 1 of `conditions`",
            outside,
        ),
        (
            manifest_error(|m| m.values.push(ValueNode::Array(vec![1]))),
            "entry 1 of `values`",
            outside,
        ),
        (
            manifest_error(|m| (0..257).for_each(|i| m.conditions.push(CondNode::Not(i)))),
            "entry 257 of `conditions`",
            "nests too deeply",
        ),
        // Shared nodes: short to write down, too long to walk.
        (
            manifest_error(|m| (0..64).for_each(|i| m.conditions.push(CondNode::Or(vec![i, i])))),
            "entry 20 of `conditions`",
            "too large",
        ),
        (
            manifest_error(|m| (0..200).for_each(|i| m.values.push(ValueNode::Array(vec![i, i])))),
            "entry 24 of `values`",
            "too large",
        ),
    ];
    for (error, place, what) in cases {
        assert!(
            error.contains(place) && error.contains(what),
            "{error}: {place}, {what}"
        );
    }
}

#[test]
fn ids_that_occur_twice_are_refused() {
    let two_rules = assemble(
        ".function fn0\n ret_true\n.rules\n rule0: policy0 deny fn0\n rule1: policy0 deny fn0\n\
         .policies\n policy0: rule0+2",
    )
    .unwrap();
    let mut twice = manifest();
    twice.templates[0].pop();
    twice.conditions[0] = CondNode::Const(true);
    twice.rules[0].modifications.clear();
    twice.rules.push(twice.rules[0].clone());
    let error = twice.check(&two_rules).unwrap_err();
    assert_eq!((error.table, error.index), ("rules", 1));
    twice.rules[1].id = "other".into();
    twice.check(&two_rules).unwrap();
    // The same module as two policies, with one id.
    let two_policies = assemble(
        ".function fn0\n ret_true\n.rules\n rule0: policy0 deny fn0\n rule1: policy1 deny fn0\n\
         .policies\n policy0: rule0+1\n policy1: rule1+1",
    )
    .unwrap();
    twice.policies.push(twice.policies[0].clone());
    let error = twice.check(&two_policies).unwrap_err();
    assert_eq!((error.table, error.index), ("policies", 1));
    twice.policies[1].id = "other".into();
    twice.rules[1].id = twice.rules[0].id.clone();
    twice.check(&two_policies).unwrap();
}

#[test]
fn source_maps_are_parallel_to_the_predicates_or_stripped() {
    let place = source_map().predicates[0];
    let with = |predicates: Vec<SourcePlace>| {
        Bundle::decode(&bundle_of(
            &module(),
            &manifest(),
            &SourceMapSection { predicates },
        ))
    };
    assert!(with(vec![]).is_ok());
    assert!(matches!(with(vec![place; 2]), Err(BundleError::Manifest(_))));
    assert!(matches!(
        with(vec![SourcePlace { file: 1, ..place }]),
        Err(BundleError::Manifest(_))
    ));
}

proptest! {
    #[test]
    fn any_bytes_as_a_debug_section_never_panic(contents in vec(any::<u8>(), 0..64)) {
        let bytes = packed(&module(), &manifest(), &source_map(), None);
        let _outcome = Bundle::decode(&with_section_of(&bytes, 4, 5, 1, &contents)).is_ok();
    }
}

/// A bundle that was once written: it decodes, and packing it again gives its bytes.
fn once_written(name: &str, digest: &str) -> Bundle {
    let path = format!("{}/tests/formats/{name}.bundle", env!("CARGO_MANIFEST_DIR"));
    let bytes = std::fs::read(&path).expect("a new format version comes with bundles of it");
    let bundle = Bundle::decode(&bytes).unwrap();
    assert_eq!(
        bundle.digest.to_string(),
        digest,
        "a file here is never written again"
    );
    let again = encode(Contents {
        module: &bundle.module,
        manifest: &bundle.manifest,
        source_map: &bundle.source_map,
        certificate: &bundle.certificate,
        debug: bundle.debug.as_ref(),
    });
    assert!(again.unwrap() == bytes);
    verify(bundle.module.clone(), &HostLimits::default()).unwrap();
    bundle
}

/// Bundles outlive binaries: bytes that were once written stay readable as long as their format version is read, and mean what they meant.
#[test]
fn a_bundle_that_was_once_written_decodes() {
    let bundle = once_written(
        &FORMAT_VERSION.to_string(),
        "sha256:6651b0d0e7034d3eb8c93fb44b1a9c1983080176a53ffa1331efa8f36a17c7b2",
    );
    // It was written without that section.
    assert_eq!(bundle.debug, None);
    let listing = disassemble(&bundle.module, &DisasmOptions { full: false });
    insta::assert_snapshot!(format!("format_{FORMAT_VERSION}"), listing);
}

#[test]
fn a_bundle_with_places_that_was_once_written_decodes() {
    let bundle = once_written(
        &format!("{FORMAT_VERSION}.debug"),
        "sha256:e8a4e7f7dd2cb63b7e0ef615f2c7db39ad2c76f5c693d06be1a9eb1f264a5767",
    );
    let places = Places {
        debug: bundle.debug.as_ref().unwrap(),
        files: &bundle.manifest.files,
    };
    let mut listing = disassemble_with_places(&bundle.module, &DisasmOptions { full: false }, places);
    let nodes = bundle.manifest.conditions.iter().zip(&places.debug.conditions);
    for (node, place) in nodes {
        listing.push_str(&format!("{place:?} {node:?}\n"));
    }
    insta::assert_snapshot!(format!("format_{FORMAT_VERSION}_debug"), listing);
}
