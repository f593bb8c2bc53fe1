//! Which keys pods read.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use super::{Pods, objects};

fn deployment(container: &str, volumes: &str) -> String {
    format!(
        "apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: settings, namespace: n}}\ndata: {{PASSWORD_FILE: /s/password, PORT: '1'}}\n\
             ---\napiVersion: apps/v1\nkind: Deployment\nmetadata: {{name: d, namespace: n}}\nspec:\n  template:\n    spec:\n      \
             containers: [{{name: c, {container}}}]\n      volumes: {volumes}\n"
    )
}

fn read(manifests: &str) -> anyhow::Result<Vec<String>> {
    let pods = Pods::of(&[("m.yaml".to_owned(), manifests.to_owned())])?;
    let mut found = Vec::new();
    for (namespace, name, read) in pods.secrets() {
        if let Some(reader) = &read.whole {
            found.push(format!("{namespace}/{name} by {reader}"));
        }
        for (key, by) in &read.keys {
            let optional = if by.optional { "?" } else { "" };
            found.push(format!("{namespace}/{name} {key}{optional} by {}", by.reader));
        }
    }
    Ok(found)
}

const VOLUME: &str = "[{name: v, secret: {secretName: s}}]";

#[test]
fn every_way_to_read_a_secret_is_found() {
    for (container, volumes, finds) in [
        (
            "envFrom: [{configMapRef: {name: settings}}], volumeMounts: [{name: v, mountPath: /s/}]",
            VOLUME,
            &["n/s password by PASSWORD_FILE"][..],
        ),
        (
            "env: [{name: A_FILE, value: /s/a}, {name: B, value: /s/b}, {name: C, value: /strange/c}], \
                 volumeMounts: [{name: v, mountPath: /s}]",
            VOLUME,
            &["n/s a by A_FILE", "n/s b by B"],
        ),
        (
            "args: [--key=/s/k, /s/l], volumeMounts: [{name: v, mountPath: /s}]",
            VOLUME,
            &["n/s k by --key", "n/s l by args"],
        ),
        (
            "env: [{name: A, value: /s/here}], volumeMounts: [{name: v, mountPath: /s}]",
            "[{name: v, secret: {secretName: s, optional: true, items: [{key: there, path: here}]}}]",
            &["n/s there? by A"],
        ),
        (
            "env: [{name: A, value: /s/a}, {name: B, value: /s/sub/b}], volumeMounts: [{name: v, mountPath: /s}]",
            "[{name: v, projected: {sources: [{secret: {name: s, items: [{key: a, path: a}]}}, \
                 {secret: {name: t, items: [{key: b, path: sub/b}]}}]}}]",
            &["n/s a by A", "n/t b by B"],
        ),
        (
            "env: [{name: A, value: /etc/one}], volumeMounts: [{name: v, mountPath: /etc/one, subPath: a}]",
            VOLUME,
            &["n/s a by A"],
        ),
        (
            "env: [{name: A, valueFrom: {secretKeyRef: {name: s, key: a}}}, \
                 {name: B, valueFrom: {secretKeyRef: {name: s, key: b, optional: true}}}], envFrom: [{secretRef: {name: all}}]",
            "[]",
            &["n/all by envFrom", "n/s a by A", "n/s b? by B"],
        ),
        (
            "env: [{name: P, valueFrom: {configMapKeyRef: {name: settings, key: PASSWORD_FILE}}}], \
                 volumeMounts: [{name: v, mountPath: /s}]",
            VOLUME,
            &["n/s password by P"],
        ),
        (
            // The container's own value is the one that counts.
            "envFrom: [{configMapRef: {name: settings}}], env: [{name: PASSWORD_FILE, value: /s/other}], \
                 volumeMounts: [{name: v, mountPath: /s}]",
            VOLUME,
            &["n/s other by PASSWORD_FILE"],
        ),
    ] {
        assert_eq!(
            read(&deployment(container, volumes)).unwrap(),
            finds,
            "{container}"
        );
    }
}

#[test]
fn volumes_that_are_claimed_hold_no_secret() {
    let text = deployment(
        "env: [{name: A, value: /s/a}], volumeMounts: [{name: v, mountPath: /s}, {name: data, mountPath: /d}]",
        VOLUME,
    );
    let claims = "kind: StatefulSet\nmetadata: {name: d, namespace: n}\nspec:\n  volumeClaimTemplates: [{metadata: {name: data}}]\n";
    let text = text.replace(
        "kind: Deployment\nmetadata: {name: d, namespace: n}\nspec:\n",
        claims,
    );
    assert_eq!(read(&text).unwrap(), ["n/s a by A"]);
}

#[test]
fn what_is_not_there_is_told() {
    for (manifests, why) in [
        (
            deployment("volumeMounts: [{name: v, mountPath: /s}]", VOLUME),
            "no setting names a file of it",
        ),
        (
            deployment("volumeMounts: [{name: w, mountPath: /s}]", VOLUME),
            "`w` is not in the pod",
        ),
        (
            deployment("envFrom: [{configMapRef: {name: none}}]", "[]"),
            "ConfigMap `none`",
        ),
        (
            deployment("", "[]").replace("[{name: c, }]", "[]"),
            "has no container",
        ),
        (
            deployment("", "[]").replace("name: d, namespace: n", "name: d"),
            "names no namespace",
        ),
        (
            "kind: Service".to_owned(),
            "there is no Deployment or StatefulSet in m.yaml",
        ),
        (String::new(), "there is no Deployment"),
        ("- a".to_owned(), "not a mapping"),
        ("a: [".to_owned(), "m.yaml"),
    ] {
        let error = format!("{:#}", read(&manifests).unwrap_err());
        assert!(error.contains(why), "{error}");
    }
}

#[test]
fn lists_are_opened() {
    let text = "kind: A\n---\n---\nkind: List\nitems:\n- kind: B\n- kind: CList\n  items: [{kind: C}]\n---\nkind: D\n";
    let kinds: Vec<String> = objects(text)
        .unwrap()
        .iter()
        .map(|object| object["kind"].as_str().unwrap().to_owned())
        .collect();
    assert_eq!(kinds, ["A", "B", "C", "D"]);
}
