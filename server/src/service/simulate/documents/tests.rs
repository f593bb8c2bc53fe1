//! One document of a file, as a text of its own.

use super::keep;
use crate::document;
use policy_compiler::Compiler;
use policy_grammar::ast::Policy;

#[test]
fn what_is_kept_of_a_file_stays_where_it_was() {
    let yaml = |id: &str| {
        format!(
            "metadata: {{id: {id}, name: N}}\nrules:\n- id: {id}\n  condition: {{operator: eq, field: llm.model, value: \
                 '{id}'}}\n  action: {{decision: deny}}\n"
        )
    };
    let json = |id: &str| {
        format!(
            r#"{{"metadata": {{"id": "{id}", "name": "N"}}, "rules": [{{"id": "{id}", "condition": {{"operator": "eq", "field": "llm.model", "value": "{id}"}}, "action": {{"decision": "deny"}}}}]}}"#
        )
    };
    let mut compiler = Compiler::new(document::options());
    compiler.set(
        "a.yaml",
        format!(
            "{}---\n{}---\n# end\n{}...\n{}",
            yaml("a"),
            yaml("b"),
            yaml("c"),
            yaml("h")
        ),
    );
    compiler.set(
        "b.json",
        format!("[{},\n {}, {}]", json("d"), json("e"), json("f")),
    );
    compiler.set("sub/c.yaml", yaml("g"));
    let places = |compiler: &mut Compiler| {
        let manifest = compiler.build().unwrap().manifest;
        let mut rules: Vec<(String, u32, u32)> = manifest
            .rules
            .iter()
            .map(|rule| (rule.id.clone(), rule.line, rule.column))
            .collect();
        rules.sort();
        rules
    };
    let mut all = places(&mut compiler);
    assert_eq!(all.len(), 8);
    let wanted = |policy: &Policy| !["b", "d", "g", "h"].contains(&policy.metadata.id.value.as_str());
    keep(&mut compiler, wanted, || Ok(())).unwrap();
    all.retain(|(id, _, _)| !["b", "d", "g", "h"].contains(&id.as_str()));
    assert_eq!(places(&mut compiler), all);
}
