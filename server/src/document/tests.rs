//! One document: what is read of it, and what is refused.

use super::{Checked, Format, MAX_TEXT, Result, check as check_until, options};
use crate::error::Code;
use crate::heavy::{Stop, Work};
use crate::storage::model::PolicyVersion;
use policy_compiler::{Compiler, Work as Done};

fn check(source: &str, format: Format) -> Result<Checked> {
    check_until(source, format, &Stop::of(Work::SERVER))
}

const POLICY: &str = "metadata: {id: p, name: P, namespace: team}\nrules:\n- id: r\n  condition: {operator: eq, \
                      field: llm.model, value: x}\n  action: {decision: deny}\nstatus: draft\n";

#[test]
fn a_draft_is_compiled_too() {
    let Checked {
        version, warnings, ..
    } = check(POLICY, Format::Yaml).unwrap();
    assert_eq!((version.id.as_str(), version.namespace.as_str()), ("p", "team"));
    assert_eq!(version.status.as_str(), "draft");
    assert_eq!(warnings, []);
    let broken = POLICY
        .replace("operator: eq", "operator: matches")
        .replace("value: x", "value: '('");
    let error = check(&broken, Format::Yaml).unwrap_err();
    assert_eq!(error.code, Code::PolicyInvalid);
    assert_eq!((error.diagnostics[0].line, error.diagnostics.len()), (4, 1));
}

/// A document is held to less than what is stored, and what was made of it is what the set would make.
#[test]
fn what_is_made_of_a_document_is_given_to_the_set() {
    let checked = check(POLICY, Format::Yaml).unwrap();
    let once = Done {
        parsed: 1,
        compiled: 1,
    };
    assert_eq!(checked.alone.work(), once);
    let build = |give: bool| {
        let mut set = Compiler::new(options());
        set.set("team/p.yaml", &*checked.version.source);
        assert!(!give || checked.alone.give(&mut set, "team/p.yaml"));
        let compiled = set.build().unwrap();
        (compiled.to_bundle().unwrap(), set.work())
    };
    let (taken, own) = (build(true), build(false));
    assert_eq!(taken.0, own.0);
    assert_eq!((taken.1, own.1), (Done::default(), once));
    let mut other = Compiler::new(options());
    other.set("team/p.yaml", POLICY.replace("deny", "warn"));
    assert!(!checked.alone.give(&mut other, "team/p.yaml"));
}

#[test]
fn the_proto_says_how_long_ids_may_be() {
    let proto = include_str!("../../../proto/policy.proto");
    let said = format!("Unique in its namespace. At most {MAX_TEXT} bytes, without control characters");
    assert!(proto.contains(&said), "{said}");
}

#[test]
fn one_request_holds_one_policy() {
    let two = format!("{POLICY}---\n{}", POLICY.replace("id: p", "id: q"));
    for text in ["", "[]", two.as_str()] {
        assert_eq!(
            check(text, Format::Yaml).unwrap_err().code,
            Code::PolicyInvalid,
            "{text}"
        );
    }
}

#[test]
fn a_stored_version_is_read_as_its_own_language_or_not_at_all() {
    let version = check(POLICY, Format::Yaml).unwrap().version;
    assert_eq!(Format::of_version(&version).unwrap(), Format::Yaml);
    for format in ["rego", "YAML", ""] {
        let other = PolicyVersion {
            version: 3,
            format: format.to_owned(),
            ..version.clone()
        };
        let refused = Format::of_version(&other).unwrap_err();
        assert_eq!(refused.code, Code::PolicyInvalid);
        assert_eq!(
            refused.detail,
            format!(
                "version 3 of policy `p` is stored as `{format}`, which this server does not read; it reads `yaml` and `json`"
            )
        );
    }
}
