//! What a namespace may take of the ceilings of the compiler.

use super::within_share;
use crate::error::Code;
use policy_compiler::{CompileLimits, Compiler, Options};

/// A set with these policies, each of a namespace and with so many values, where 100 are the ceiling.
fn set(policies: &[(&str, usize)]) -> Compiler {
    let mut compiler = Compiler::new(Options {
        compile_limits: CompileLimits {
            constants: 100,
            ..CompileLimits::default()
        },
        ..Options::default()
    });
    for (i, (namespace, values)) in policies.iter().enumerate() {
        // The list is a value too.
        let list: Vec<String> = (1..*values).map(|n| format!("v{n}")).collect();
        let text = format!(
            "metadata: {{id: p{i}, name: P, namespace: {namespace}}}\nrules:\n- id: r\n  condition: {{operator: in, field: \
             llm.model, value: [{}]}}\n  action: {{decision: deny}}\n",
            list.join(", ")
        );
        compiler.set(format!("{i}.yaml"), text);
    }
    compiler.build().unwrap();
    compiler
}

#[test]
fn a_namespace_takes_no_more_than_its_share_unless_it_took_more_before() {
    let within = |namespace: &str, percent, before: &[(&str, usize)], after: &[(&str, usize)]| {
        within_share(namespace, percent, &set(before), &set(after))
    };
    let others = ("other", 60);
    within("team", 30, &[others], &[others, ("team", 30)]).unwrap();
    let refused = within("team", 30, &[others], &[others, ("team", 31)]).unwrap_err();
    assert_eq!(refused.code, Code::QuotaExceeded);
    assert_eq!(
        refused.detail,
        "the policies of the namespace `team` that decide would take 31 values, and may take 30: 30 % of the 100 that all \
         namespaces have together"
    );
    // All of its policies together.
    within("team", 30, &[("team", 16)], &[("team", 16), ("team", 15)]).unwrap_err();
    within("team", 0, &[], &[("team", 90)]).unwrap();
    within("global", 30, &[], &[("global", 90)]).unwrap();
    // What is there already may stay and become less, and grow again to its share only.
    within("team", 30, &[("team", 50)], &[("team", 50)]).unwrap();
    within("team", 30, &[("team", 50)], &[("team", 40)]).unwrap();
    within("team", 30, &[("team", 50)], &[]).unwrap();
    within("team", 30, &[("team", 50)], &[("team", 51)]).unwrap_err();
    // Who stands above a share is nobody else's concern.
    within("other", 30, &[("team", 50)], &[("team", 50), ("other", 30)]).unwrap();
}
