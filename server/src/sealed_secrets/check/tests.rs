//! What is wrong with a manifest.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use super::{Checked, Severity, missing, twice};
use crate::sealed_secrets::pods::Pods;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

/// A value as it has to be built, for a key of this many bytes.
fn value(key: usize) -> String {
    let mut bytes = u16::try_from(key).unwrap().to_be_bytes().to_vec();
    bytes.resize(2 + key + 20, 7);
    STANDARD.encode(bytes)
}

fn pods() -> Pods {
    let text = "kind: Deployment\nmetadata: {name: d, namespace: n}\nspec: {template: {spec: {containers: [{name: c, env: \
                    [{name: P, valueFrom: {secretKeyRef: {name: s, key: password}}}, \
                    {name: U, valueFrom: {secretKeyRef: {name: s, key: user, optional: true}}}]}]}}}\n";
    Pods::of(&[("pods".to_owned(), text.to_owned())]).unwrap()
}

fn sealed() -> String {
    format!(
        "apiVersion: bitnami.com/v1alpha1\nkind: SealedSecret\nmetadata: {{name: s, namespace: n, creationTimestamp: null}}\n\
             spec:\n  encryptedData:\n    password: {}\n    user: {}\n  template:\n    metadata: {{name: s, namespace: n, labels: {{}}}}\n    \
             type: Opaque\n",
        value(512),
        value(256)
    )
}

fn check(text: &str) -> Vec<String> {
    let mut checked = Checked::new("f");
    checked.manifests(text, &pods());
    let problems = checked.problems.iter();
    problems
        .map(|problem| format!("{}: {}", problem.severity.as_str(), problem.message))
        .collect()
}

#[test]
fn what_is_right_passes_whatever_the_length_of_the_key() {
    assert_eq!(check(&sealed()), [""; 0]);
    for key in [256, 384, 512, 1024] {
        let text = sealed().replace(&value(512), &value(key));
        assert_eq!(check(&text), [""; 0], "{key}");
    }
    // A template of a secret is none.
    assert_eq!(
        check("apiVersion: v1\nkind: Secret\nstringData: {password: '${DATABASE_PASSWORD}'}\n"),
        [""; 0]
    );
    assert_eq!(check("kind: Namespace\n"), [""; 0]);
}

#[test]
fn each_mistake_is_told() {
    let cut = &value(512)[..40];
    for (from, to, says) in [
        (
            value(512).as_str(),
            cut,
            "error: `password`: a sealed value holds a session key",
        ),
        (
            &value(512),
            "hunter2!",
            "error: `password`: a sealed value is base64",
        ),
        (&value(512), "5", "error: `password` is not a text"),
        (&value(512), "''", "error: `password`: a sealed value is longer"),
        ("password:", "pass word:", "error: a key of a secret has letters"),
        (
            "password:",
            "pasword:",
            "error: the key `password` is missing, which P reads",
        ),
        ("user:", "username:", "warning: no pod reads the key `username`"),
        (
            "name: s",
            "name: t",
            "error: no pod reads the secret `n/t`; they read n/s",
        ),
        (
            "namespace: n",
            "namespace: m",
            "error: no pod reads the secret `m/s`",
        ),
        ("name: s", "name: S", "error: the name of a secret has lower-case"),
        (
            "namespace: n",
            "namespace: n.n",
            "error: the namespace of a secret",
        ),
        (
            "v1alpha1",
            "v1",
            "error: a SealedSecret is of `bitnami.com/v1alpha1`, this one of",
        ),
        (
            "labels: {}",
            "labels: {a: b}",
            "error: `metadata` and `template.metadata` differ",
        ),
        (
            "creationTimestamp: null",
            "annotations: {sealedsecrets.bitnami.com/cluster-wide: 'true'}",
            "error: `metadata` says `cluster-wide`",
        ),
        (
            "labels: {}",
            "annotations: {sealedsecrets.bitnami.com/namespace-wide: true}",
            "error: `template.metadata` says `namespace-wide`",
        ),
        (
            "labels: {}",
            "annotations: {kubectl.kubernetes.io/last-applied-configuration: x}",
            "error: `template.metadata` has the annotation",
        ),
        (
            "creationTimestamp: null",
            "uid: x",
            "error: `metadata` has the key `uid`",
        ),
        ("type: Opaque", "type: kubernetes.io/tls", "warning: the `type`"),
        (
            "type: Opaque",
            "data: {a: clear}",
            "error: `template.data` lies here in the clear",
        ),
        (
            "type: Opaque",
            "stringData: {a: clear}",
            "error: `template` has the key `stringData`",
        ),
        (
            "spec:\n",
            "status: {}\nspec:\n",
            "error: the manifest has the key `status`",
        ),
        (
            "spec:\n",
            "spec:\n  data: x\n",
            "error: `spec` has the key `data`",
        ),
        ("kind: SealedSecret", "kind: Secret", "error: a plain Secret"),
        ("kind: SealedSecret\n", "", "error: the manifest has no `kind`"),
        (
            "kind: SealedSecret",
            "kind: [",
            "error: the manifest cannot be read",
        ),
    ] {
        let text = sealed().replace(from, to);
        assert_ne!(text, sealed(), "{from}");
        let found = check(&text);
        assert!(
            found.iter().any(|problem| problem.starts_with(says)),
            "{to}: {found:?}"
        );
        assert!(!found.concat().contains("hunter2"), "{found:?}");
    }
    assert_eq!(check("kind: Secret\nstringData: {password: hunter2}\n").len(), 1);
    assert_eq!(check("kind: Secret\ndata: {}\n").len(), 1);
    let applied = "kind: Secret\nmetadata: {annotations: {kubectl.kubernetes.io/last-applied-configuration: hunter2}}\n\
                       stringData: {password: '${A}'}\n";
    assert_eq!(check(applied).len(), 1);
    assert_eq!(
        check("kind: Secret\ndata: {a: aHVudGVyMg==}\nstringData: {password: '${A}'}\n").len(),
        1
    );
    assert_eq!(
        check("kind: List\nitems: [{kind: Secret, data: {a: YQ==}}]\n").len(),
        1
    );
    let empty = sealed().replace(
        &format!("    password: {}\n    user: {}\n", value(512), value(256)),
        "",
    );
    assert!(check(&empty).contains(&"error: `encryptedData` has no value".to_owned()));
    let doubled = format!("{}---\n{}", sealed(), sealed());
    assert_eq!(check(&doubled), ["error: `n/s` is there twice"]);
}

#[test]
fn what_is_missing_and_what_is_there_twice_is_told() {
    let checked = |file: &str| {
        let mut checked = Checked::new(file);
        checked.manifests(&sealed(), &pods());
        checked
    };
    assert_eq!(missing(&[checked("a")], &pods()), []);
    let none = missing(&[Checked::new("a")], &pods());
    assert!(none.len() == 1 && none[0].severity == Severity::Warning);
    assert!(none[0].message.contains("`n/s`"), "{none:?}");
    let mut both = [checked("a"), checked("b")];
    twice(&mut both);
    assert_eq!(both[0].problems, []);
    assert_eq!(both[1].problems[0].message, "`n/s` is in a as well");
}
