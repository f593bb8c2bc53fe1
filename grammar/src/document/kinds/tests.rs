//! Tests of `kinds`.

use super::{FOREIGN, Holds, holds};
use crate::source::SourceFile;

fn what(name: &str, text: &str) -> Holds {
    holds(&SourceFile::new(name, text))
}

/// Each of these is a policy with a mistake, and none may be passed over.
#[test]
fn broken_policies_are_policies() {
    for text in [
        "metadata: {id: a, name: A}\nrules: []\n",
        "metadata: {id: a, name: A}\nrule: []\n",
        "Metadata: {id: a, name: A}\nRules: []\n",
        "metdata: {id: a, name: A}\nruls: []\n",
        "meta_data: {id: a}\nlines: []\n",
        "Rules: []\n",
        "rule: {id: a}\n",
        "metadata: {id: a}\n",
        "policy:\n  id: a\n",
        "policies:\n  - {id: a}\n",
        "status: activ\nid: a\n",
        "on_error: match\n",
        "- id: r\n  condition: {operator: exists, field: a}\n  action: {decision: deny}\n",
        "- metadata: {id: a}\n  rules: []\n",
        "deny_all:\n  - id: r\n    conditions: {}\n    actions: []\n",
        "stuff:\n  things:\n    - {operater: eq, field: a}\n",
        "stuff: {decison: deny}\n",
        // In another style, with rules or as a kind of policy.
        "apiVersion: v1\nkind: Policy\nmetadata: {name: a}\nrules: []\n",
        "apiVersion: llm.example/v1\nkind: LLMPolicy\nmetadata: {name: a}\nspec: {rules: []}\n",
        "apiVersion: one\nkind: Thing\nmetadata: {id: a}\n",
        "kind: definitions\nvalues: {a: 1}\n",
        "let: {a: 1}\n",
        "name: x\non: push\njobs: {}\nrules: []\n",
        "services: {}\nruls: []\n",
        "llm: {}\nrules: []\n",
        "llm: {}\nmetadata: {id: a}\n",
        "services: {}\nMetadata: {Id: a}\n",
        "apiVersion: v1\nkind: Service\nmetadata: {id: a}\nlines: []\n",
        "$schema: https://json-schema.org/x\nmetadata: {id: a}\nrules: []\n",
        // Not readable, or nothing left.
        "",
        "# nothing\n",
        "---\n",
        "{}\n",
        "[]\n",
        "version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 1\n",
        "metadata: {id: a\nrules: []\n",
        "metadata:\n\tid: a\n",
        "x: [\nmetdata: {id: a}\n",
        "{{ template }}\nrules:\n",
        "apiVersion: v1\nkind: Thing\nrules: {{ x }} {{ y }}\n",
        // The second document is one.
        "apiVersion: v1\nkind: Service\nmetadata: {}\n---\nmetadata: {id: a}\nrules: []\n",
        "a: 1\n---\nrule: []\n",
    ] {
        assert_eq!(what("a.yaml", text), Holds::Policies, "{text}");
    }
    for text in [
        "{\"metadata\": {\"id\": \"a\"}, \"rule\": []}",
        "{\"metadata\": {\"id\": \"a\"}, \"rule\": []",
        "[{\"Metadata\": {}}]",
        "{'rules': []}",
        "{} {\"rules\": []}",
    ] {
        assert_eq!(what("a.json", text), Holds::Policies, "{text}");
    }
}

#[test]
fn other_kinds_are_told() {
    for (text, expected) in [
        (
            "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: a}\nspec: {}\nstatus: {}\n",
            "a Kubernetes manifest",
        ),
        (
            "apiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\nmetadata: {name: a}\n",
            "a Kubernetes manifest",
        ),
        (
            "apiVersion: rbac.authorization.k8s.io/v1\nkind: ClusterRole\nmetadata: {name: a}\nrules: [{verbs: [get]}]\n",
            "a Kubernetes manifest",
        ),
        (
            "apiVersion: v1\nkind: Service\nmetadata:\n  name: {{ .Values.name }}\n  labels: {{- x }}\n",
            "a template of a Kubernetes manifest",
        ),
        (
            "name: ci\non: [push]\njobs: {test: {steps: []}}\n",
            "a workflow of GitHub",
        ),
        ("services:\n  web: {image: x}\n", "a Compose file"),
        (
            "openapi: 3.1.0\ninfo: {}\npaths: {a: {decision: deny}}\n",
            "an OpenAPI document",
        ),
        (
            "Resources: {a: {Type: b, Metadata: !Ref c}}\nMetadata: {}\n",
            "a CloudFormation template",
        ),
        ("llm: {model: a}\nmetadata: {x: 1}\n", "a context"),
        ("port: 8080\nroles: [a]\n", FOREIGN),
        ("- hosts: all\n  roles: [web]\n", FOREIGN),
        ("groups: [{name: a, rules: [{alert: b, expr: c}]}]\n", FOREIGN),
        ("port: [1\nhost: a\n", FOREIGN),
    ] {
        assert_eq!(what("a.yaml", text), Holds::Other(expected), "{text}");
    }
    for (text, expected) in [
        (
            "{\"name\": \"a\", \"version\": \"1.0.0\", \"dependencies\": {}}",
            "a package manifest",
        ),
        (
            "{\"$schema\": \"https://json-schema.org/draft/2020-12/schema\", \"properties\": {\"metadata\": {}, \"rules\": {}}}",
            "a JSON Schema",
        ),
        ("[{\"a\": 1}]", FOREIGN),
        ("// a comment\n{\"compilerOptions\": {}}", FOREIGN),
    ] {
        assert_eq!(what("a.json", text), Holds::Other(expected), "{text}");
    }
}
