//! Sealed secrets: values that the original sealed open here, what is sealed here opens here, and manifests are read whole.
//!
//! `sealed/vectors.json` was made by the original code with the test certificate beside it.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test fails by panicking"
)]

use policy_server::sealed_secrets::{Scope, Secret, certificate, open, parts, private_keys, seal, unseal};
use serde_yaml::Value;
use std::path::Path;

fn read(name: &str) -> String {
    std::fs::read_to_string(
        Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("tests/sealed")
            .join(name),
    )
    .unwrap()
}

#[derive(serde::Deserialize)]
struct Vector {
    scope: String,
    label: String,
    plaintext: String,
    ciphertext: String,
}

fn vectors() -> Vec<Vector> {
    serde_json::from_str(&read("vectors.json")).unwrap()
}

fn scope(name: &str) -> Scope {
    Scope::ALL
        .into_iter()
        .find(|scope| scope.as_str() == name)
        .unwrap()
}

#[test]
fn what_the_original_sealed_opens() {
    let keys = private_keys(&read("tls.key")).unwrap();
    let vectors = vectors();
    assert_eq!(vectors.len(), 9);
    for vector in &vectors {
        let opened = open(&keys, &vector.label, &vector.ciphertext).unwrap();
        assert_eq!(*opened, vector.plaintext.as_bytes(), "{}", vector.label);
        let label = scope(&vector.scope).label("llm-devops", "llm-policy-engine-jwt");
        assert_eq!(label, vector.label, "{}", vector.scope);
        // Bound to the label.
        assert!(open(&keys, &format!("{}x", vector.label), &vector.ciphertext).is_err());
    }
}

#[test]
fn what_is_sealed_opens_under_its_label_alone() {
    let (key, keys) = (
        certificate(read("tls.crt").as_bytes()).unwrap(),
        private_keys(&read("tls.key")).unwrap(),
    );
    for vector in vectors() {
        let sealed = seal(&key, &vector.label, vector.plaintext.as_bytes()).unwrap();
        assert_eq!(
            *open(&keys, &vector.label, &sealed).unwrap(),
            vector.plaintext.as_bytes()
        );
        assert_ne!(
            sealed,
            seal(&key, &vector.label, vector.plaintext.as_bytes()).unwrap()
        );
        // The same lengths as the original's: a value of it is as long as its text.
        let (theirs, ours) = (parts(&vector.ciphertext).unwrap(), parts(&sealed).unwrap());
        assert_eq!((theirs.0.len(), theirs.1.len()), (ours.0.len(), ours.1.len()));
    }
    let sealed = seal(&key, "a/b", b"value").unwrap();
    for wrong in [
        String::new(),
        "AgB".to_owned(),
        "not base64!".to_owned(),
        sealed[..sealed.len() - 8].to_owned(),
        format!("{}AAAA", &sealed[..sealed.len() - 4]),
    ] {
        assert!(open(&keys, "a/b", &wrong).is_err(), "{wrong}");
    }
}

const SECRET: &str = "\
apiVersion: v1
kind: Secret
metadata:
  name: llm-policy-engine-jwt
  namespace: llm-devops
  labels: { app: policyd }
  annotations:
    note: kept
    kubectl.kubernetes.io/last-applied-configuration: '{\"stringData\": {\"JWT_SECRET\": \"hunter2\"}}'
type: Opaque
data: { TOKEN: aHVudGVyMg== }
stringData: { JWT_SECRET: 'p@ss word', TOKEN: over }
";

#[test]
fn manifests_are_sealed_and_opened_whole() {
    let (key, keys) = (
        certificate(read("tls.crt").as_bytes()).unwrap(),
        private_keys(&read("tls.key")).unwrap(),
    );
    for scope in Scope::ALL {
        let mut secret = Secret::parse(SECRET).unwrap();
        secret
            .add_env("# comment\n\nexport DATABASE_PASSWORD='a=b c'\nREDIS_PASSWORD=x\n")
            .unwrap();
        let sealed = secret.seal(&key, scope).unwrap();
        for clear in ["hunter2", "p@ss", "last-applied"] {
            assert!(!sealed.contains(clear), "{sealed}");
        }
        let value: Value = serde_yaml::from_str(&sealed).unwrap();
        assert_eq!(value["metadata"], value["spec"]["template"]["metadata"]);
        assert_eq!(value["metadata"]["annotations"]["note"], "kept");
        let opened: Value = serde_yaml::from_str(&unseal(&sealed, &keys).unwrap()).unwrap();
        assert_eq!(opened["kind"], "Secret");
        assert_eq!(opened["type"], "Opaque");
        let data = |name: &str| {
            use base64::Engine as _;
            let bytes = base64::engine::general_purpose::STANDARD
                .decode(opened["data"][name].as_str().unwrap())
                .unwrap();
            String::from_utf8(bytes).unwrap()
        };
        assert_eq!(data("JWT_SECRET"), "p@ss word");
        assert_eq!(data("TOKEN"), "over");
        assert_eq!(data("DATABASE_PASSWORD"), "a=b c");
        assert_eq!(data("REDIS_PASSWORD"), "x");
        // Another name opens only what is bound to no name.
        let moved = sealed.replace("name: llm-policy-engine-jwt", "name: other");
        assert_eq!(unseal(&moved, &keys).is_ok(), scope != Scope::Strict, "{scope:?}");
        let away = sealed.replace("namespace: llm-devops", "namespace: other");
        assert_eq!(
            unseal(&away, &keys).is_ok(),
            scope == Scope::ClusterWide,
            "{scope:?}"
        );
    }
}

#[test]
fn manifests_that_are_not_understood_are_refused() {
    let key = certificate(read("tls.crt").as_bytes()).unwrap();
    for (from, to, why) in [
        ("kind: Secret", "kind: ConfigMap", "not `Secret`"),
        ("type: Opaque", "typ: Opaque", "`typ`"),
        ("  labels: { app: policyd }", "  finalizers: [x]", "`finalizers`"),
        ("aHVudGVyMg==", "'not base64'", "not base64"),
        ("'p@ss word'", "5", "put it in quotes"),
        ("'p@ss word'", "[a]", "put it in quotes"),
    ] {
        let error = Secret::parse(&SECRET.replace(from, to)).unwrap_err();
        assert!(error.to_string().contains(why), "{error}");
    }
    for (from, to) in [
        ("name: llm-policy-engine-jwt", "name: Upper"),
        ("namespace: llm-devops", "namespace: a.b"),
        ("  namespace: llm-devops\n", ""),
        ("JWT_SECRET:", "'JWT SECRET':"),
        (
            "data: { TOKEN: aHVudGVyMg== }\nstringData: { JWT_SECRET: 'p@ss word', TOKEN: over }\n",
            "",
        ),
    ] {
        let secret = Secret::parse(&SECRET.replace(from, to)).unwrap();
        assert!(secret.seal(&key, Scope::Strict).is_err(), "{from} {to}");
    }
    let mut secret = Secret::parse(SECRET).unwrap();
    for (lines, why) in [
        ("NAME", "line 1 is not NAME=value"),
        ("\nA B=c", "line 2 is not"),
        ("A=1\nA=2", "line 2: `A` is there twice"),
        ("B='open", "not closed"),
    ] {
        let error = secret.add_env(lines).unwrap_err().to_string();
        assert!(error.contains(why), "{error}");
    }
}

#[test]
fn certificates_and_keys_are_checked() {
    assert!(certificate(b"").is_err());
    assert!(certificate(read("tls.key").as_bytes()).is_err());
    assert!(private_keys(&read("tls.crt")).is_err());
    assert!(private_keys("-----BEGIN RSA PRIVATE KEY-----\nAAAA\n").is_err());
    let of = |days: i64, rsa: bool| {
        let algorithm = if rsa {
            &rcgen::PKCS_RSA_SHA256
        } else {
            &rcgen::PKCS_ECDSA_P256_SHA256
        };
        let key = match rsa {
            true => rcgen::KeyPair::from_pkcs8_pem_and_sign_algo(&pkcs8(), algorithm).unwrap(),
            false => rcgen::KeyPair::generate_for(algorithm).unwrap(),
        };
        let mut params = rcgen::CertificateParams::new(Vec::new()).unwrap();
        let now = std::time::SystemTime::now();
        let end = if days > 0 {
            now + std::time::Duration::from_secs(86_400)
        } else {
            now - std::time::Duration::from_secs(86_400)
        };
        params.not_after = end.into();
        params.not_before = (now - std::time::Duration::from_secs(10 * 86_400)).into();
        params.self_signed(&key).unwrap().pem()
    };
    assert!(certificate(of(1, true).as_bytes()).is_ok());
    let late = certificate(of(-1, true).as_bytes()).unwrap_err();
    assert!(late.to_string().contains("ended on"), "{late}");
    let other = certificate(of(1, false).as_bytes()).unwrap_err();
    assert!(other.to_string().contains("not RSA"), "{other}");
}

fn pkcs8() -> String {
    use rsa::pkcs1::DecodeRsaPrivateKey as _;
    use rsa::pkcs8::{EncodePrivateKey as _, LineEnding};
    let key = rsa::PrivateKey::from_pkcs1_pem(&read("tls.key")).unwrap();
    // Also read in this form.
    let pem = key.to_pkcs8_pem(LineEnding::LF).unwrap().to_string();
    assert_eq!(
        private_keys(&pem).unwrap(),
        private_keys(&read("tls.key")).unwrap()
    );
    pem
}

fn policyd(arguments: &[&str], input: &str) -> (i32, String, String) {
    use std::io::Write as _;
    let mut child = std::process::Command::new(env!("CARGO_BIN_EXE_policyd"))
        .args(arguments)
        // No setting has a part in it, not even one that is wrong.
        .env("PORT", "none")
        .current_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/sealed"))
        .stdin(std::process::Stdio::piped())
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    // A program that has ended reads nothing.
    drop(child.stdin.take().unwrap().write_all(input.as_bytes()));
    let output = child.wait_with_output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (
        output.status.code().unwrap(),
        text(output.stdout),
        text(output.stderr),
    )
}

#[test]
fn the_commands_seal_and_open() {
    let (code, sealed, errors) = policyd(&["seal", "--cert", "tls.crt"], SECRET);
    assert_eq!((code, errors.as_str()), (0, ""));
    let (code, opened, _) = policyd(&["unseal", "--key", "tls.key"], &sealed);
    assert_eq!(code, 0);
    let (ours, again) = (Secret::parse(SECRET).unwrap(), Secret::parse(&opened).unwrap());
    assert_eq!(ours.data, again.data);

    let lines = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(lines.path(), "JWT_SECRET=0123456789abcdef\n").unwrap();
    let path = lines.path().to_str().unwrap();
    let by_env = ["seal", "--cert", "tls.crt", "--from-env-file", path];
    let (code, _, errors) = policyd(&by_env, "");
    assert!(code == 1 && errors.contains("give --name"), "{errors}");
    let named = [
        &by_env[..],
        &["--name", "jwt", "--namespace", "llm", "--scope", "namespace-wide"],
    ]
    .concat();
    let (code, sealed, errors) = policyd(&named, "");
    assert_eq!(code, 0, "{errors}");
    assert!(
        sealed.contains("sealedsecrets.bitnami.com/namespace-wide: 'true'"),
        "{sealed}"
    );
    let (code, opened, _) = policyd(&["unseal", "--key", "tls.key"], &sealed);
    assert!(
        code == 0 && opened.contains("JWT_SECRET: MDEyMzQ1Njc4OWFiY2RlZg=="),
        "{opened}"
    );

    for (arguments, input, why) in [
        (
            &["seal", "--cert", "none.pem"][..],
            SECRET,
            "cannot read none.pem",
        ),
        (&["seal", "--cert", "tls.key"], SECRET, "there is no certificate"),
        (&["seal", "--cert", "tls.crt"], "kind: Pod", "not `Secret`"),
        (
            &["seal", "--cert", "tls.crt", "--name", "x"],
            SECRET,
            "the manifest says `llm-policy-engine-jwt`",
        ),
        (
            &["unseal", "--key", "tls.crt"],
            &sealed,
            "there is no private key",
        ),
        (&["unseal", "--key", "tls.key"], SECRET, "not `SealedSecret`"),
    ] {
        let (code, out, errors) = policyd(arguments, input);
        assert!(code == 1 && out.is_empty() && errors.contains(why), "{errors}");
        assert!(!errors.contains("p@ss"), "{errors}");
    }
    assert_eq!(policyd(&["seal"], SECRET).0, 2);
}
