//! The descriptors that reflection hands out: complete, and every method and field documented in the source.

use prost::Message as _;
use prost_types::FileDescriptorSet;

#[test]
fn the_set_holds_the_service_and_everything_it_imports() {
    let set = FileDescriptorSet::decode(policy_proto::FILE_DESCRIPTOR_SET).unwrap();
    let names: Vec<&str> = set.file.iter().map(|f| f.name()).collect();
    for file in &set.file {
        for import in &file.dependency {
            assert!(names.contains(&import.as_str()), "{import} is missing");
        }
    }
    let ours = set.file.iter().find(|f| f.package() == "llmpolicy.v1").unwrap();
    let methods: Vec<&str> = ours.service[0].method.iter().map(|m| m.name()).collect();
    assert_eq!(
        methods,
        [
            "CreatePolicy",
            "GetPolicy",
            "UpdatePolicy",
            "DeletePolicy",
            "ListPolicies",
            "RejectPolicy",
            "EvaluatePolicy",
            "EvaluatePolicyStream",
            "Simulate",
            "ListDecisions"
        ]
    );
    let stream = &ours.service[0].method[7];
    assert!(stream.client_streaming() && stream.server_streaming());
}

#[test]
fn a_rule_that_says_nothing_is_told_from_a_disabled_one() {
    let silent = policy_proto::v1::Rule::default();
    let disabled = policy_proto::v1::Rule {
        enabled: Some(false),
        ..Default::default()
    };
    let read = |rule: &policy_proto::v1::Rule| {
        policy_proto::v1::Rule::decode(rule.encode_to_vec().as_slice())
            .unwrap()
            .enabled
    };
    assert_eq!((read(&silent), read(&disabled)), (None, Some(false)));
}

/// Each declaration has a comment on the line above, or above the comment's own lines.
#[test]
fn everything_in_the_proto_is_documented() {
    let text = include_str!("../policy.proto");
    let mut before = "";
    for (number, line) in text.lines().enumerate() {
        let line = line.trim();
        let declares = ["rpc ", "message ", "enum ", "service ", "oneof "]
            .iter()
            .any(|w| line.starts_with(w))
            || line.contains(" = ") && !line.starts_with("//") && !line.starts_with("syntax");
        if declares {
            assert!(before.starts_with("//"), "line {}: {line}", number + 1);
        }
        before = line;
    }
}
