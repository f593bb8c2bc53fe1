//! The debug section: it comes back as it was or is refused, it may be missing, and listings show what it says.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "tests fail by panicking, their helpers too"
)]

use policy_bytecode::asm::assemble;
use policy_bytecode::bundle::{Bundle, BundleError, Contents, CostCertificate, encode, section_sizes};
use policy_bytecode::debug::{CodeRun, DebugSection, SourceMapSection, SourcePlace};
use policy_bytecode::disasm::{DisasmOptions, Places, disassemble, disassemble_with_places};
use policy_bytecode::manifest::{CondNode, Manifest, PolicyInfo, RuleInfo};
use policy_bytecode::{FuncIdx, Module, PredIdx};
use proptest::collection::vec;
use proptest::prelude::*;

/// Magic, format version, section count, digest.
const TABLE: usize = 12 + 32;

fn module() -> Module {
    assemble(
        "
.fields
  f0: llm.model
.constants
  k0: \"o1\"
.predicates
  p0: f0 eq k0
.function fn0 flags=1
    test p0, 1, e0, L2
    ret_false
 L2:
    ret_true
.rules
  rule0: policy0 deny fn0
.policies
  policy0: rule0+1
",
    )
    .unwrap()
}

fn manifest() -> Manifest {
    Manifest {
        files: vec!["a.yaml".into()],
        policies: vec![PolicyInfo {
            id: "p".into(),
            name: "P".into(),
            version: String::new(),
            namespace: "global".into(),
            description: String::new(),
            tags: vec![],
            priority: 0,
            file: 0,
        }],
        rules: vec![RuleInfo {
            id: "r".into(),
            qualified: false,
            name: "R".into(),
            reason: None,
            metadata: vec![],
            modifications: vec![],
            condition: 0,
            line: 3,
            column: 5,
        }],
        conditions: vec![CondNode::Test {
            pred: PredIdx(0),
            negated: false,
            constant: None,
            items: vec![],
        }],
        ..Manifest::default()
    }
}

const PLACE: SourcePlace = SourcePlace {
    file: 0,
    line: 6,
    column: 9,
};
const RULE: SourcePlace = SourcePlace {
    file: 0,
    line: 5,
    column: 7,
};

fn run(first: u32, place: Option<SourcePlace>) -> CodeRun {
    CodeRun { first, place }
}

fn debug() -> DebugSection {
    DebugSection {
        code: vec![vec![run(0, Some(PLACE)), run(1, Some(RULE))]],
        conditions: vec![PLACE],
    }
}

fn packed(debug: Option<&DebugSection>) -> Vec<u8> {
    encode(Contents {
        module: &module(),
        manifest: &manifest(),
        source_map: &SourceMapSection::default(),
        certificate: &CostCertificate::default(),
        debug,
    })
    .unwrap()
}

/// The container says of the section that it may be skipped, so that readers of version 3 that do not know it decode the
/// rest.
#[test]
fn the_section_may_be_missing_and_may_be_skipped() {
    let (without, with) = (packed(None), packed(Some(&debug())));
    let bare = Bundle::decode(&without).unwrap();
    let whole = Bundle::decode(&with).unwrap();
    assert_eq!((bare.debug, whole.debug), (None, Some(debug())));
    assert_eq!((bare.module, bare.manifest), (whole.module, whole.manifest));
    // The digest covers it, and with the digest every signature.
    assert_ne!(bare.digest, whole.digest);
    let names =
        |bytes: &[u8]| -> Vec<&str> { section_sizes(bytes).unwrap().iter().map(|s| s.name).collect() };
    let required = ["module", "manifest", "source map", "cost certificate"];
    assert_eq!(names(&without), required);
    assert_eq!(names(&with), [&required[..], &["debug"]].concat());
    let entry = TABLE + 4 * 8;
    assert_eq!(with[entry..entry + 4], [5, 0, 1, 0]);
}

#[test]
fn sections_that_do_not_fit_are_refused() {
    let with = |change: &dyn Fn(&mut DebugSection)| {
        let mut debug = debug();
        change(&mut debug);
        match Bundle::decode(&packed(Some(&debug))) {
            Ok(bundle) => {
                assert_eq!(bundle.debug, Some(debug));
                "fits".to_owned()
            }
            Err(BundleError::Manifest(error)) => error.to_string(),
            Err(other) => panic!("{other:?}"),
        }
    };
    for fits in [
        with(&|d| *d = DebugSection::default()),
        with(&|d| d.code[0].clear()),
        with(&|d| d.code[0][0].place = None),
        with(&|d| d.code[0].push(run(2, Some(PLACE)))),
    ] {
        assert_eq!(fits, "fits");
    }
    let code = "manifest entry 0 of `places of code`: ";
    let outside = "a run begins outside its function, or not behind the run before";
    for refused in [
        with(&|d| d.code[0][1].first = 0),
        with(&|d| d.code[0][1].first = 3),
        with(&|d| d.code[0][0].first = 2),
        with(&|d| d.code[0].push(run(u32::MAX, None))),
    ] {
        assert_eq!(refused, format!("{code}{outside}"));
    }
    let no_file = SourcePlace { file: 1, ..PLACE };
    let no_line = SourcePlace { line: 0, ..PLACE };
    let no_column = SourcePlace { column: 0, ..PLACE };
    let file = "it names a file that does not exist";
    let zero = "it names line 0 or column 0";
    for (place, why) in [(no_file, file), (no_line, zero), (no_column, zero)] {
        assert_eq!(
            with(&|d| d.code[0][1].place = Some(place)),
            format!("{code}{why}")
        );
        assert_eq!(
            with(&|d| d.conditions[0] = place),
            format!("manifest entry 0 of `places of conditions`: {why}")
        );
    }
    assert_eq!(
        with(&|d| d.code.push(vec![])),
        "manifest entry 2 of `places of code`: there are not as many entries as functions"
    );
    assert_eq!(
        with(&|d| d.conditions.push(PLACE)),
        "manifest entry 2 of `places of conditions`: there are not as many entries as conditions"
    );
}

#[test]
fn listings_say_where_each_instruction_was_written() {
    let (module, mut files) = (module(), vec!["a.yaml".to_owned()]);
    let listing = |full, files: &[String]| {
        let places = Places {
            debug: &debug(),
            files,
        };
        disassemble_with_places(&module, &DisasmOptions { full }, places)
    };
    let text = listing(false, &files);
    let ends: Vec<&str> = text
        .lines()
        .filter_map(|line| line.split_once("  at "))
        .map(|(_, at)| at)
        .collect();
    assert_eq!(ends, ["a.yaml:6:9"], "{text}");
    assert!(
        text.contains("ret_false                       ; at a.yaml:5:7\n"),
        "{text}"
    );
    let without = disassemble(&module, &DisasmOptions { full: false });
    assert_eq!(text.lines().count(), without.lines().count());
    // A name is part of a comment, whatever is in it.
    files[0] = "a\nret_true ; .yaml".to_owned();
    assert_eq!(assemble(&listing(true, &files)).unwrap(), module);
}

prop_compose! {
    fn any_place()(file in 0u32..2, line in 0u32..3, column in prop_oneof![0u32..3, any::<u32>()]) -> SourcePlace {
        SourcePlace { file, line, column }
    }
}

proptest! {
    /// Whatever a section says is given back as it was, or refused; of what is taken, everything can be asked.
    #[test]
    fn sections_decode_to_what_was_packed_or_not_at_all(
        code in vec(vec((0u32..4, proptest::option::of(any_place())), 0..3), 0..3),
        conditions in vec(any_place(), 0..3),
    ) {
        let runs = |runs: Vec<_>| runs.into_iter().map(|(first, place)| run(first, place)).collect();
        let debug = DebugSection { code: code.into_iter().map(runs).collect(), conditions };
        if let Ok(bundle) = Bundle::decode(&packed(Some(&debug))) {
            prop_assert_eq!(bundle.debug.as_ref(), Some(&debug));
            for index in [0, 1, 2, usize::MAX] {
                for function in [0, 1, u32::MAX] {
                    let place = debug.instruction(FuncIdx(function), index);
                    prop_assert!(place.is_none_or(|place| place.file == 0 && place.line > 0));
                }
            }
        }
    }
}
