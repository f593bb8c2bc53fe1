//! The scripts of `k8s/sealed-secrets/scripts`, as people run them: each flag, each exit status, values of every kind, and the whole
//! way from random bytes to the settings that a pod starts with.
//!
//! The scripts run in a copy of `k8s/`, with nothing on their PATH but what they say that they need. Each program there first
//! writes down its arguments and its environment, so that a secret among them is found.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

#[path = "support/postgres.rs"]
mod postgres;
#[path = "support/process.rs"]
mod process;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use policy_server::sealed_secrets::pods::Pods;
use serde_yaml::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::Write as _;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// What the scripts may call.
const PROGRAMS: &[&str] = &[
    "base64", "basename", "cat", "chmod", "dirname", "env", "fold", "git", "head", "iconv", "mktemp", "mv",
    "openssl", "rm", "sort", "tr", "wc",
];

/// The three secrets: name of the template, and of the Secret.
const SECRETS: [(&str, &str); 3] = [
    ("database", "llm-policy-engine-database"),
    ("redis", "llm-policy-engine-redis"),
    ("jwt", "llm-policy-engine-jwt"),
];

fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

fn on_path(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path)
        .map(|directory| directory.join(name))
        .find(|file| file.is_file())
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let (source, target) = (entry.path(), to.join(entry.file_name()));
        if entry.file_type().unwrap().is_dir() {
            copy(&source, &target);
        } else {
            fs::copy(&source, &target).unwrap();
        }
    }
}

/// How a script ended.
struct Ended {
    code: i32,
    stdout: String,
    stderr: String,
}

/// A copy of the folder.
struct Tree {
    directory: tempfile::TempDir,
}

impl Tree {
    fn new() -> Self {
        // As people name their folders.
        let directory = tempfile::Builder::new()
            .prefix("with a blank ")
            .tempdir()
            .unwrap();
        fs::set_permissions(directory.path(), fs::Permissions::from_mode(0o755)).unwrap();
        let tree = Self { directory };
        copy(&repository().join("k8s"), &tree.path("k8s"));
        for file in fs::read_dir(tree.manifests()).unwrap() {
            let file = file.unwrap().path();
            // What somebody has sealed in this repository is not this test's.
            if file.file_name().unwrap() != "00-namespace.yaml" {
                fs::remove_file(file).unwrap();
            }
        }
        fs::create_dir(tree.path("bin")).unwrap();
        for name in PROGRAMS {
            let real = on_path(name).unwrap_or_else(|| panic!("the program {name} is needed for this test"));
            tree.program(name, &format!("exec '{}' \"$@\"", real.display()));
        }
        tree.program(
            "policyd",
            &format!("exec '{}' \"$@\"", env!("CARGO_BIN_EXE_policyd")),
        );
        // The log would tell of the shell that runs the scripts.
        symlink(on_path("bash").expect("bash is needed"), tree.path("bin/bash")).unwrap();
        tree
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    fn scripts(&self) -> PathBuf {
        self.path("k8s/sealed-secrets/scripts")
    }

    fn manifests(&self) -> PathBuf {
        self.path("k8s/sealed-secrets/manifests")
    }

    /// Puts a program on the PATH, in the place of one of this name.
    fn program(&self, name: &str, script: &str) {
        let file = self.path("bin").join(name);
        let log = self.path("argv");
        let text = format!(
            "#!/bin/sh\n{{ printf '%s\\n' \"{name} $*\"; export -p; }} >> '{}'\n{script}\n",
            log.display()
        );
        fs::write(&file, text).unwrap();
        fs::set_permissions(&file, fs::Permissions::from_mode(0o755)).unwrap();
    }

    fn without(&self, name: &str) {
        fs::remove_file(self.path("bin").join(name)).unwrap();
    }

    /// The arguments of all programs that ran, each with its environment.
    fn argv(&self) -> String {
        fs::read_to_string(self.path("argv")).unwrap_or_default()
    }

    fn command(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        command
            .env_clear()
            .env("PATH", self.path("bin"))
            .env("HOME", self.directory.path())
            .current_dir(self.scripts());
        command
    }

    /// Runs a command line in the folder of the scripts.
    fn shell(&self, line: &str, input: &str) -> Ended {
        let mut command = self.command("bash");
        command.args(["-c", line]);
        finished(&mut command, input)
    }

    fn run(&self, line: &str) -> Ended {
        self.shell(line, "")
    }

    /// Runs it, and wants this exit status and this on standard error.
    fn expect(&self, line: &str, code: i32, says: &str) -> Ended {
        let ended = self.run(line);
        assert_eq!(ended.code, code, "{line}: {}{}", ended.stderr, ended.stdout);
        assert!(ended.stderr.contains(says), "{line}: {}", ended.stderr);
        ended
    }

    fn env(&self, file: &str) -> BTreeMap<String, String> {
        lines(&fs::read_to_string(self.scripts().join(file)).unwrap())
    }

    /// A certificate and a key of a controller, as `cert.pem` and `key.pem`.
    fn controller(&self, bits: u32) {
        if bits == 2048 {
            for (from, to) in [("tls.crt", "cert.pem"), ("tls.key", "key.pem")] {
                let from = Path::new(env!("CARGO_MANIFEST_DIR"))
                    .join("tests/sealed")
                    .join(from);
                fs::copy(from, self.scripts().join(to)).unwrap();
            }
            return;
        }
        let made = self.run(&format!(
            "openssl req -x509 -newkey rsa:{bits} -nodes -days 2 -subj /CN=test -keyout key.pem -out cert.pem"
        ));
        assert_eq!(made.code, 0, "{}", made.stderr);
    }

    /// The values of a sealed secret, opened with the key.
    fn opened(&self, file: &Path) -> BTreeMap<String, Vec<u8>> {
        let mut command = self.command(env!("CARGO_BIN_EXE_policyd"));
        command.args(["unseal", "--key", "key.pem"]);
        let ended = finished(&mut command, &fs::read_to_string(file).unwrap());
        assert_eq!(ended.code, 0, "{}", ended.stderr);
        let secret: Value = serde_yaml::from_str(&ended.stdout).unwrap();
        let mut values = BTreeMap::new();
        for (key, value) in secret["data"].as_mapping().unwrap() {
            let value = STANDARD.decode(value.as_str().unwrap()).unwrap();
            values.insert(key.as_str().unwrap().to_owned(), value);
        }
        values
    }

    /// The values of the three secrets.
    fn all_opened(&self) -> BTreeMap<&'static str, BTreeMap<String, Vec<u8>>> {
        let secrets = SECRETS.iter().map(|(template, secret)| {
            let file = self.manifests().join(format!("{template}-sealedsecret.yaml"));
            (*secret, self.opened(&file))
        });
        secrets.collect()
    }

    /// Runs `policyd check-config` with these variables and no other.
    fn check_config(&self, settings: &BTreeMap<String, String>) -> Ended {
        let mut command = Command::new(env!("CARGO_BIN_EXE_policyd"));
        command
            .arg("check-config")
            .env_clear()
            .envs(settings)
            .current_dir(self.path("root"));
        finished(&mut command, "")
    }
}

fn finished(command: &mut Command, input: &str) -> Ended {
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // A program that has ended reads nothing.
    drop(child.stdin.take().unwrap().write_all(input.as_bytes()));
    let output = child.wait_with_output().unwrap();
    Ended {
        code: output.status.code().unwrap(),
        stdout: String::from_utf8(output.stdout).unwrap(),
        stderr: String::from_utf8(output.stderr).unwrap(),
    }
}

fn lines(text: &str) -> BTreeMap<String, String> {
    let lines = text
        .lines()
        .filter(|line| !line.is_empty() && !line.starts_with('#'));
    lines
        .map(|line| {
            let (name, value) = line.split_once('=').unwrap();
            (name.to_owned(), value.to_owned())
        })
        .collect()
}

/// The manifests that `kubectl apply -f k8s/` takes.
fn applied() -> Vec<(String, String)> {
    let mut files: Vec<PathBuf> = fs::read_dir(repository().join("k8s"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|ending| ending == "yaml"))
        .collect();
    files.sort();
    let read = |path: &PathBuf| (path.display().to_string(), fs::read_to_string(path).unwrap());
    files.iter().map(read).collect()
}

fn yaml(path: &Path) -> Value {
    serde_yaml::from_str(&fs::read_to_string(path).unwrap()).unwrap()
}

fn keys(value: &Value) -> BTreeSet<String> {
    let keys = value.as_mapping().unwrap().keys();
    keys.map(|key| key.as_str().unwrap().to_owned()).collect()
}

#[test]
fn the_templates_hold_what_the_pods_read_and_nothing_else() {
    let templates = repository().join("k8s/sealed-secrets/templates");
    let pods = Pods::of(&applied()).unwrap();
    let mut read = BTreeMap::new();
    for (namespace, name, by) in pods.secrets() {
        assert!(by.whole.is_none() && !by.optional, "{name}: {by:?}");
        let keys: BTreeSet<String> = by.keys.keys().cloned().collect();
        read.insert((namespace.to_owned(), name.to_owned()), keys);
    }
    let mut made = BTreeMap::new();
    for (template, secret) in SECRETS {
        let template = yaml(&templates.join(template).with_extension("yaml"));
        assert_eq!(template["metadata"]["name"], secret);
        let namespace = template["metadata"]["namespace"].as_str().unwrap().to_owned();
        made.insert((namespace, secret.to_owned()), keys(&template["stringData"]));
    }
    assert_eq!(read, made);
    // Keys instead of a secret: the same Secret with another key, which the Deployment of that component reads.
    let other = yaml(&templates.join("jwt-public-key.yaml"));
    assert_eq!(other["metadata"]["name"], "llm-policy-engine-jwt");
    assert_eq!(keys(&other["stringData"]), ["public-key".to_owned()].into());
    assert_eq!(fs::read_dir(&templates).unwrap().count(), 4);
}

#[test]
fn the_namespace_is_the_same_in_both_folders() {
    let k8s = repository().join("k8s");
    assert_eq!(
        yaml(&k8s.join("00-namespace.yaml")),
        yaml(&k8s.join("sealed-secrets/manifests/00-namespace.yaml"))
    );
}

#[test]
fn the_version_is_that_of_the_program() {
    let tree = Tree::new();
    for script in [
        "generate-secrets.sh",
        "seal-secret.sh",
        "validate-sealed-secrets.sh",
    ] {
        let version = tree.expect(&format!("./{script} --version"), 0, "");
        assert_eq!(
            version.stdout,
            format!("{script} {}\n", env!("CARGO_PKG_VERSION"))
        );
        for flag in ["--help", "-h"] {
            let help = tree.expect(&format!("./{script} {flag}"), 0, "");
            assert!(
                help.stdout.starts_with(&format!("Usage: {script} ")),
                "{}",
                help.stdout
            );
            assert!(help.stdout.contains("Exit status:"), "{}", help.stdout);
        }
    }
}

/// The commands of the project's front page, word for word, in a cluster that is played by a script.
#[test]
fn the_commands_of_the_front_page_work_as_they_are_written() {
    for (generate, validate) in [
        (
            "./generate-secrets.sh --environment production",
            "./validate-sealed-secrets.sh --all --strict",
        ),
        (
            "./generate-secrets.sh --environment production --output .env.production",
            "./validate-sealed-secrets.sh --all",
        ),
    ] {
        let tree = Tree::new();
        tree.controller(2048);
        // In a clone, as people have it.
        tree.expect("git -C ../../.. init -q", 0, "");
        let cert = tree.scripts().join("cert.pem");
        tree.program(
            "kubectl",
            &format!(
                "case \"$1 $2 $3\" in\n  'get --raw /api/v1/namespaces/kube-system/services/http:sealed-secrets-controller:/proxy/v1/cert.pem') \
                 exec cat '{}' ;;\nesac\nexit 1",
                cert.display()
            ),
        );
        tree.expect(generate, 0, "wrote");
        for (template, _) in SECRETS {
            let line = format!("./seal-secret.sh --template {template} --env-file .env.production");
            let ended = tree.expect(&line, 0, "wrote");
            // Asked once, kept then.
            assert_eq!(
                ended.stderr.contains("fetches"),
                template == "database",
                "{}",
                ended.stderr
            );
        }
        let ended = tree.expect(validate, 0, "");
        assert_eq!(
            ended
                .stdout
                .matches(": ok, llm-devops/llm-policy-engine-")
                .count(),
            3
        );
        let names: BTreeSet<String> = fs::read_dir(tree.manifests())
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        let wanted = [
            "00-namespace.yaml",
            "database-sealedsecret.yaml",
            "jwt-sealedsecret.yaml",
            "redis-sealedsecret.yaml",
        ];
        assert_eq!(names, wanted.map(str::to_owned).into());
        // Git takes what is sealed and the certificate, and nothing in the clear.
        let added = tree.expect("git -C ../../.. add -A --dry-run", 0, "");
        assert!(
            added.stdout.contains("jwt-sealedsecret.yaml") && added.stdout.contains("controller-cert.pem"),
            "{}",
            added.stdout
        );
        assert!(!added.stdout.contains(".env"), "{}", added.stdout);
    }
}

/// Generate, seal, validate, open, and start with what a pod would get.
#[test]
fn a_pod_starts_with_what_was_generated_and_sealed() {
    for bits in [2048, 4096] {
        let tree = Tree::new();
        tree.controller(bits);
        tree.expect("./generate-secrets.sh --environment production", 0, "");
        for (template, _) in SECRETS {
            let line =
                format!("./seal-secret.sh --template {template} --env-file .env.production --cert cert.pem");
            tree.expect(&line, 0, "");
        }
        tree.expect("./validate-sealed-secrets.sh --all --strict", 0, "");
        let env = tree.env(".env.production");

        // What the three hold is what was generated.
        let opened = tree.all_opened();
        for (secret, key, name) in [
            ("llm-policy-engine-database", "username", "DATABASE_USERNAME"),
            ("llm-policy-engine-database", "password", "DATABASE_PASSWORD"),
            ("llm-policy-engine-redis", "username", "REDIS_USERNAME"),
            ("llm-policy-engine-redis", "password", "REDIS_PASSWORD"),
            ("llm-policy-engine-jwt", "secret", "JWT_SECRET"),
            ("llm-policy-engine-jwt", "previous-secret", "JWT_SECRET_PREVIOUS"),
        ] {
            assert_eq!(opened[secret][key], env[name].as_bytes(), "{name}");
        }

        let pod = pod(&tree, &applied(), &opened);
        let ended = tree.check_config(&pod);
        assert_eq!((ended.code, ended.stderr.as_str()), (0, ""), "{}", ended.stdout);
        assert_eq!(ended.stdout, "the settings are fine\n");

        let mut wrong = pod.clone();
        wrong.insert("SHUTDOWN_GRACE".to_owned(), "banana".to_owned());
        let ended = tree.check_config(&wrong);
        assert!(
            ended.code == 78 && ended.stderr.contains("SHUTDOWN_GRACE"),
            "{}",
            ended.stderr
        );
        // That the files are really read: each of them is missed.
        for (name, file) in pod.iter().filter(|(name, _)| name.ends_with("_FILE")) {
            let kept = fs::read(file).unwrap();
            fs::remove_file(file).unwrap();
            let ended = tree.check_config(&pod);
            assert!(
                ended.code == 78 && ended.stderr.contains(name),
                "{name}: {}",
                ended.stderr
            );
            fs::write(file, kept).unwrap();
        }
        assert_eq!(tree.check_config(&pod).code, 0);
    }
}

/// The variables of the Deployment's container, with the volumes of its secrets below `root`.
fn pod(
    tree: &Tree,
    manifests: &[(String, String)],
    secrets: &BTreeMap<&str, BTreeMap<String, Vec<u8>>>,
) -> BTreeMap<String, String> {
    use serde::Deserialize as _;
    let mut objects = Vec::new();
    for (_, text) in manifests {
        for document in serde_yaml::Deserializer::from_str(text) {
            objects.push(Value::deserialize(document).unwrap());
        }
    }
    let of = |kind: &str, name: &str| {
        let mut found = objects
            .iter()
            .filter(|object| object["kind"] == kind && object["metadata"]["name"] == name);
        found.next().unwrap_or_else(|| panic!("no {kind} {name}")).clone()
    };
    let deployment = of("Deployment", "llm-policy-engine");
    let pod = &deployment["spec"]["template"]["spec"];
    let container = &pod["containers"][0];
    let mut settings = BTreeMap::new();
    for from in container["envFrom"].as_sequence().unwrap() {
        let map = of("ConfigMap", from["configMapRef"]["name"].as_str().unwrap());
        for (name, value) in map["data"].as_mapping().unwrap() {
            settings.insert(
                name.as_str().unwrap().to_owned(),
                value.as_str().unwrap().to_owned(),
            );
        }
    }
    for variable in container["env"].as_sequence().unwrap() {
        let (name, value) = (&variable["name"], &variable["value"]);
        settings.insert(
            name.as_str().unwrap().to_owned(),
            value.as_str().unwrap().to_owned(),
        );
    }
    let root = tree.path("root");
    let below = |path: &str| root.join(path.trim_start_matches('/'));
    for mount in container["volumeMounts"].as_sequence().unwrap() {
        let directory = below(mount["mountPath"].as_str().unwrap());
        fs::create_dir_all(&directory).unwrap();
        let volume = pod["volumes"]
            .as_sequence()
            .unwrap()
            .iter()
            .find(|volume| volume["name"] == mount["name"])
            .unwrap();
        let Some(secret) = volume["secret"]["secretName"].as_str() else {
            continue;
        };
        for (key, value) in &secrets[secret] {
            let items = volume["secret"]["items"].as_sequence();
            let path = match items {
                None => key.as_str(),
                Some(items) => {
                    let item = items.iter().find(|item| item["key"] == key.as_str());
                    item.map(|item| item["path"].as_str().unwrap()).unwrap()
                }
            };
            fs::write(directory.join(path), value).unwrap();
        }
    }
    for value in settings.values_mut().filter(|value| value.starts_with('/')) {
        *value = below(value).display().to_string();
    }
    settings
}

#[test]
fn secrets_are_random_and_the_users_alone() {
    let tree = Tree::new();
    let mut seen = BTreeSet::new();
    for (given, full) in [
        ("dev", "development"),
        ("development", "development"),
        ("staging", "staging"),
        ("production", "production"),
    ] {
        tree.expect(
            // Whatever files of others may be read.
            &format!("umask 000; ./generate-secrets.sh --environment {given} --output .env.{given}.first"),
            0,
            "",
        );
        tree.expect(
            &format!("umask 000; ./generate-secrets.sh --force --environment {given}"),
            0,
            "",
        );
        for file in [format!(".env.{given}.first"), format!(".env.{full}")] {
            let mode = fs::metadata(tree.scripts().join(&file))
                .unwrap()
                .permissions()
                .mode();
            assert_eq!(mode & 0o777, 0o600, "{file}");
        }
        let env = tree.env(&format!(".env.{full}"));
        for name in ["DATABASE_PASSWORD", "REDIS_PASSWORD", "JWT_SECRET"] {
            let value = &env[name];
            // 32 bytes, and nothing that a URL or a shell would read.
            assert_eq!(value.len(), 43, "{name}");
            assert!(
                value
                    .bytes()
                    .all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
            );
            assert!(seen.insert(value.clone()), "{name}");
        }
        assert_eq!(env["DATABASE_USERNAME"], "llm_policy_engine");
        assert_eq!(env["REDIS_USERNAME"], "default");
        assert_eq!(env["JWT_SECRET_PREVIOUS"], "");
    }
    assert!(seen.len() == 12);
}

#[test]
fn each_flag_of_generate_does_what_it_says() {
    let tree = Tree::new();
    let out = |line: &str| {
        let ended = tree.expect(&format!("./generate-secrets.sh --output - {line}"), 0, "");
        assert_eq!(ended.stderr, "");
        ended.stdout
    };
    let database = ["DATABASE_PASSWORD", "DATABASE_USERNAME"];
    let redis = ["REDIS_PASSWORD", "REDIS_USERNAME"];
    let jwt = ["JWT_ALGORITHM", "JWT_SECRET", "JWT_SECRET_PREVIOUS"];
    let all = [&database[..], &jwt, &redis].concat();
    for (line, names) in [
        ("--type database", &database[..]),
        ("--type redis", &redis),
        ("--type=jwt", &jwt),
        ("--type all", &all),
        ("", &all),
    ] {
        let env = lines(&out(line));
        assert_eq!(env.keys().collect::<Vec<_>>(), names, "{line}");
    }

    for (length, password, secret) in [(16, 22, 43), (31, 42, 43), (33, 44, 44), (256, 342, 342)] {
        let env = lines(&out(&format!("--length {length}")));
        assert_eq!(env["DATABASE_PASSWORD"].len(), password, "{length}");
        assert_eq!(env["REDIS_PASSWORD"].len(), password, "{length}");
        // HS256 wants 32 bytes, whatever the others have.
        assert_eq!(env["JWT_SECRET"].len(), secret, "{length}");
    }

    let named = lines(&out("--database-username app_b --redis-username policyd"));
    assert_eq!(named["DATABASE_USERNAME"], "app_b");
    assert_eq!(named["REDIS_USERNAME"], "policyd");

    let json: BTreeMap<String, String> = serde_json::from_str(&out("--format json")).unwrap();
    assert_eq!(json.keys().collect::<Vec<_>>(), all);
    assert_eq!(json["JWT_SECRET"].len(), 43);
    let yaml: BTreeMap<String, String> = serde_yaml::from_str(&out("--format yaml")).unwrap();
    assert_eq!(yaml.keys().collect::<Vec<_>>(), all);
    // A name of its own for each format, which git ignores like the first.
    for (format, file) in [("json", ".env.staging.json"), ("yaml", ".env.staging.yaml")] {
        tree.expect(
            &format!("./generate-secrets.sh --environment staging --format {format}"),
            0,
            file,
        );
        assert!(tree.scripts().join(file).is_file());
    }

    for (algorithm, head) in [("RS256", "rsaEncryption"), ("ES256", "prime256v1")] {
        let env = lines(&out(&format!("--type jwt --jwt-algorithm {algorithm}")));
        assert_eq!(env["JWT_ALGORITHM"], algorithm);
        assert!(!env.contains_key("JWT_SECRET"));
        let pem = |name: &str| String::from_utf8(STANDARD.decode(&env[name]).unwrap()).unwrap();
        let (public, private) = (pem("JWT_PUBLIC_KEY_BASE64"), pem("JWT_PRIVATE_KEY_BASE64"));
        let openssl = |arguments: &str, input: &str| {
            let ended = tree.shell(&format!("openssl {arguments}"), input);
            assert_eq!(ended.code, 0, "{}", ended.stderr);
            ended.stdout
        };
        assert_eq!(openssl("pkey -pubout", &private), public, "one is the other's");
        let shown = openssl("pkey -pubin -noout -text", &public);
        let bits = if algorithm == "RS256" { "3072 bit" } else { head };
        assert!(shown.contains(bits), "{shown}");
    }
}

#[test]
fn a_previous_secret_is_carried_over_whatever_is_in_it() {
    let tree = Tree::new();
    tree.controller(2048);
    let before = r#"a\b"c'd&e$f `g` \n ünïcode #h =i"#;
    for quoted in [format!("'{before}'"), format!("\"{before}\""), before.to_owned()] {
        fs::write(tree.scripts().join("old"), format!("JWT_SECRET={quoted}\n")).unwrap();
        let line = "./generate-secrets.sh --type jwt --previous old";
        let json = tree
            .expect(&format!("{line} --format json --output -"), 0, "")
            .stdout;
        let json: BTreeMap<String, String> = serde_json::from_str(&json).unwrap();
        assert_eq!(json["JWT_SECRET_PREVIOUS"], before);
        let yaml = tree
            .expect(&format!("{line} --format yaml --output -"), 0, "")
            .stdout;
        let yaml: BTreeMap<String, String> = serde_yaml::from_str(&yaml).unwrap();
        assert_eq!(yaml["JWT_SECRET_PREVIOUS"], before);
        // As the env file says it, it is sealed.
        tree.expect(&format!("{line} --force"), 0, "");
        let seal = "./seal-secret.sh --template jwt --env-file .env.development --cert cert.pem";
        tree.expect(seal, 0, "");
        let opened = tree.opened(&tree.manifests().join("jwt-sealedsecret.yaml"));
        assert_eq!(opened["previous-secret"], before.as_bytes());
        assert_ne!(opened["secret"], opened["previous-secret"]);
    }
    for (text, says) in [
        ("OTHER=1\n", "old has no JWT_SECRET"),
        ("JWT_SECRET=\n", "old has no JWT_SECRET"),
        ("JWT_SECRET=a\tb\n", "a control character"),
        ("JWT SECRET=a\n", "line 1 is not NAME=value"),
    ] {
        fs::write(tree.scripts().join("old"), text).unwrap();
        let ended = tree.expect(
            "./generate-secrets.sh --type jwt --previous old --output -",
            3,
            says,
        );
        assert_eq!(ended.stdout, "");
    }
    tree.expect(
        "./generate-secrets.sh --previous none --output -",
        5,
        "cannot read none",
    );
}

#[test]
fn generate_refuses_what_it_does_not_understand() {
    let tree = Tree::new();
    for line in [
        "--environment",
        "--environment ''",
        "--environment prod",
        "--environment=Production",
        "--type",
        "--type secrets",
        "--format toml",
        "--length 15",
        "--length 257",
        "--length 032",
        "--length ten",
        "--length -32",
        "--length 99999999999999999999",
        "--jwt-algorithm none",
        "--jwt-algorithm HS512",
        "--previous old --type redis",
        "--previous old --jwt-algorithm RS256",
        "--database-username 'a b'",
        "--database-username $'a\\nb'",
        "--redis-username ''",
        "--unknown",
        "production",
        "--force=yes",
    ] {
        let ended = tree.expect(&format!("./generate-secrets.sh {line}"), 2, "--help says more");
        assert_eq!(ended.stdout, "", "{line}");
    }
    assert_eq!(
        fs::read_dir(tree.scripts())
            .unwrap()
            .filter(|entry| {
                entry
                    .as_ref()
                    .unwrap()
                    .file_name()
                    .to_string_lossy()
                    .starts_with(".env")
            })
            .count(),
        0
    );
}

#[test]
fn generate_writes_nothing_where_it_must_not() {
    let tree = Tree::new();
    let line = "./generate-secrets.sh --environment production";
    tree.expect(line, 0, "");
    let before = fs::read(tree.scripts().join(".env.production")).unwrap();
    tree.expect(line, 3, "--force replaces it");
    assert_eq!(fs::read(tree.scripts().join(".env.production")).unwrap(), before);
    tree.expect(&format!("{line} --force"), 0, "");
    assert_ne!(fs::read(tree.scripts().join(".env.production")).unwrap(), before);
    tree.expect(
        &format!("{line} --output none/file"),
        3,
        "there is no directory none",
    );
    fs::create_dir(tree.scripts().join("directory")).unwrap();
    tree.expect(&format!("{line} --output directory"), 3, "no ordinary file");
    tree.expect(
        &format!("{line} --output /dev/null --force"),
        3,
        "no ordinary file",
    );
    // Names that look like flags are names; the ones that `$(…)` cuts off are none.
    fs::create_dir(tree.scripts().join("-d")).unwrap();
    for more in ["", " --force"] {
        tree.expect(&format!("{line} --output -d/x{more}"), 0, "wrote");
    }
    tree.expect(
        &format!("{line} --output $'.env.production\\n'"),
        2,
        "a control character in the value of --output",
    );
    // A link is not written through.
    symlink(tree.scripts().join("elsewhere"), tree.scripts().join(".env.link")).unwrap();
    tree.expect(&format!("{line} --output .env.link"), 3, "exists");
    tree.expect(&format!("{line} --output .env.link --force"), 0, "");
    assert!(!tree.scripts().join("elsewhere").exists());

    // Somebody who may not write here.
    if fs::metadata(tree.scripts()).unwrap().uid() == 0 {
        let setpriv = on_path("setpriv").expect("setpriv is needed for a test by root");
        let ended = tree.run(&format!(
            "exec {} --reuid=65534 --regid=65534 --clear-groups {line} --output .env.other",
            setpriv.display()
        ));
        assert_eq!(ended.code, 5, "{}", ended.stderr);
        assert!(ended.stderr.contains("no permission"), "{}", ended.stderr);
    } else {
        fs::set_permissions(tree.path("bin"), fs::Permissions::from_mode(0o555)).unwrap();
        tree.expect(
            &format!("{line} --output {}/x", tree.path("bin").display()),
            5,
            "no permission",
        );
        fs::set_permissions(tree.path("bin"), fs::Permissions::from_mode(0o755)).unwrap();
    }

    // What is missing of the machine.
    for (name, says) in [
        ("base64", "base64 is not on the PATH"),
        ("head", "head is not on"),
    ] {
        let tree = Tree::new();
        tree.without(name);
        tree.expect("./generate-secrets.sh --output -", 1, says);
    }
    let tree = Tree::new();
    tree.without("openssl");
    tree.expect(
        "./generate-secrets.sh --output - --jwt-algorithm ES256",
        1,
        "openssl is not on",
    );
    tree.expect(
        "./generate-secrets.sh --output - --jwt-algorithm ES256 --type redis",
        0,
        "",
    );
    tree.program("openssl", "exit 1");
    tree.expect(
        "./generate-secrets.sh --output - --jwt-algorithm ES256",
        4,
        "openssl makes no key",
    );
    tree.program("head", "printf abc");
    tree.expect("./generate-secrets.sh --output -", 4, "too few random bytes");
    tree.program("head", "exit 1");
    tree.expect("./generate-secrets.sh --output x", 4, "no random bytes");
    // A file that appears meanwhile, in the way of whoever may write here.
    let head = on_path("head").unwrap();
    tree.program(
        "head",
        &format!("[ -e y ] || echo theirs > y\nexec '{}' \"$@\"", head.display()),
    );
    tree.expect("./generate-secrets.sh --output y", 3, "cannot make y");
    assert_eq!(fs::read_to_string(tree.scripts().join("y")).unwrap(), "theirs\n");
    assert!(!tree.scripts().join("x").exists());
}

#[test]
fn secrets_are_not_written_where_git_would_take_them() {
    let tree = Tree::new();
    tree.expect("git -C ../../.. init -q", 0, "");
    let line = "./generate-secrets.sh --environment production";
    for file in [
        "secrets",
        "../secrets.yaml",
        "../../../k8s/.env.production",
        "../../../.env",
    ] {
        let ended = tree.expect(&format!("{line} --output {file}"), 5, "git would take");
        assert_eq!(ended.stdout, "");
        assert!(!tree.scripts().join(file).exists(), "{file}");
    }
    tree.expect(line, 0, "");
    // Ignored, and yet in the repository.
    tree.expect("git add -f .env.production", 0, "");
    tree.expect(&format!("{line} --force"), 5, "git would take");
    tree.expect("git rm -q --cached .env.production", 0, "");
    tree.expect(&format!("{line} --force"), 0, "");
    // A hook's environment says nothing of where the file is, not even one of a repository that ignores everything.
    let other = tempfile::tempdir().unwrap();
    let outside = other.path().join("secrets");
    let repository = tree.path("other");
    fs::create_dir(&repository).unwrap();
    tree.expect("git -C ../../../other init -q", 0, "");
    fs::write(repository.join(".git/info/exclude"), "*\n").unwrap();
    tree.expect(
        &format!("GIT_DIR='{}/.git' {line} --output secrets", repository.display()),
        5,
        "git would take",
    );
    tree.expect(&format!("{line} --output {}", outside.display()), 0, "");
    // Standard output is no file.
    tree.expect(&format!("{line} --output -"), 0, "");
    // Without git nobody knows what it ignores.
    tree.without("git");
    tree.expect(&format!("{line} --force"), 5, "git would take");
}

/// Values that a shell, YAML or a URL would read as something else.
const HOSTILE: &[&str] = &[
    r#"double " quote 0123456789"#,
    "single ' quote 0123456789",
    r"back \ slash \n \t \\ 01234",
    "$(touch pwned) `touch pwned` $HOME",
    "a: b # c - d {e} [f] & *g !h |i >j",
    "%s %d %n printf -v 0123456789",
    " blanks before and after 012 ",
    "ünïcödé ✓ 秘密 🔑 0123456789",
    "-n -e --help --output=0123456789",
    "1234567890123456e10",
    "=====0123456789=abcdef",
    "~ null true 0x1f 0123456789",
];

#[test]
fn values_are_sealed_as_they_are() {
    let tree = Tree::new();
    tree.controller(2048);
    let long = "0123456789abcdef".repeat(8192);
    let seal = "./seal-secret.sh --template database --env-file values --cert cert.pem";
    for value in HOSTILE.iter().copied().chain([long.as_str()]) {
        for (line, wanted) in [
            (format!("DATABASE_PASSWORD='{value}'"), value),
            (format!("export DATABASE_PASSWORD=\"{value}\"\r"), value),
            (format!("DATABASE_PASSWORD={value}"), value),
        ] {
            // Without quotes, blanks at the end count, too.
            let text = format!("# comment\n\n  DATABASE_USERNAME=me\n{line}\nOTHER=x");
            fs::write(tree.scripts().join("values"), text).unwrap();
            let ended = tree.expect(seal, 0, "wrote");
            assert!(!ended.stderr.contains("0123"), "{}", ended.stderr);
            let opened = tree.opened(&tree.manifests().join("database-sealedsecret.yaml"));
            assert_eq!(opened["password"], wanted.as_bytes());
            assert_eq!(opened["username"], b"me");
            assert_eq!(opened.len(), 2);
        }
        // Typed in.
        let typed = "./seal-secret.sh --template database --interactive --cert cert.pem --output typed";
        let ended = tree.shell(typed, &format!("me\n{value}\n"));
        assert_eq!(ended.code, 0, "{}", ended.stderr);
        let opened = tree.opened(&tree.scripts().join("typed"));
        assert_eq!(opened["password"], value.as_bytes());
    }
    // In base64 this is 1690, which YAML takes for a number; and these are 16 bytes, whatever the language of the user is.
    let text = "DATABASE_USERNAME=\u{5ef}t\nDATABASE_PASSWORD=äöüßéèêë\n";
    fs::write(tree.scripts().join("values"), text).unwrap();
    tree.expect(&format!("LC_ALL=C.UTF-8 {seal}"), 0, "wrote");
    let opened = tree.opened(&tree.manifests().join("database-sealedsecret.yaml"));
    assert_eq!(opened["username"], "\u{5ef}t".as_bytes());
    assert_eq!(opened["password"], "äöüßéèêë".as_bytes());
    assert!(!tree.scripts().join("pwned").exists());
    assert!(!tree.argv().contains("0123"), "a value was an argument");
}

#[test]
fn values_that_are_no_secrets_are_refused() {
    let tree = Tree::new();
    tree.controller(2048);
    let good = "0123456789abcdef0123456789abcdef";
    for (template, text, says) in [
        (
            "database",
            format!("DATABASE_PASSWORD={good}\n"),
            "has no DATABASE_USERNAME",
        ),
        (
            "database",
            "DATABASE_USERNAME=a\nDATABASE_PASSWORD=\n".to_owned(),
            "DATABASE_PASSWORD is empty",
        ),
        (
            "database",
            "DATABASE_USERNAME=a\nDATABASE_PASSWORD=''\n".to_owned(),
            "DATABASE_PASSWORD is empty",
        ),
        (
            "database",
            "DATABASE_USERNAME=a\nDATABASE_PASSWORD=0123456789abcde\n".to_owned(),
            "too short: at least 16",
        ),
        (
            "database",
            "DATABASE_USERNAME=a\nDATABASE_PASSWORD=aaaaaaaaaaaaaaaaaaaaa\n".to_owned(),
            "easy to guess",
        ),
        (
            "database",
            "DATABASE_USERNAME=a\nDATABASE_PASSWORD=<sealed-secret>\n".to_owned(),
            "is a placeholder",
        ),
        (
            "database",
            "DATABASE_USERNAME=a\nDATABASE_PASSWORD=${DATABASE_PASSWORD}\n".to_owned(),
            "is a placeholder",
        ),
        (
            "database",
            "DATABASE_USERNAME=a\nDATABASE_PASSWORD=please-ChangeMe-0123\n".to_owned(),
            "is a placeholder",
        ),
        (
            "database",
            "DATABASE_USERNAME=a\nDATABASE_PASSWORD='open\n".to_owned(),
            "line 2: the quote is not closed",
        ),
        (
            "database",
            "DATABASE_USERNAME=a\nDATABASE_PASSWORD=\"\n".to_owned(),
            "line 2: the quote is not closed",
        ),
        (
            "database",
            format!("DATABASE_USERNAME=a\nDATABASE_PASSWORD={good}\nDATABASE_USERNAME=b\n"),
            "line 3: DATABASE_USERNAME is there twice",
        ),
        (
            "database",
            format!("DATABASE_USERNAME=a\nDATABASE_PASSWORD={good}\x07\n"),
            "control character",
        ),
        (
            "database",
            "DATABASE_USERNAME=a\nsome words\n".to_owned(),
            "line 2 is not NAME=value",
        ),
        (
            "redis",
            format!("REDIS_USERNAME=\nREDIS_PASSWORD={good}\n"),
            "REDIS_USERNAME is empty",
        ),
        (
            "jwt",
            "JWT_SECRET=0123456789abcdef0123456789abcde\n".to_owned(),
            "too short: at least 32",
        ),
        (
            "jwt",
            format!("JWT_SECRET={good}\nJWT_SECRET_PREVIOUS=short\n"),
            "JWT_SECRET_PREVIOUS is too short",
        ),
        (
            "jwt",
            format!("JWT_SECRET={good}\nJWT_PUBLIC_KEY_BASE64=YQ==\n"),
            "reads one of them",
        ),
        ("jwt", "JWT_PUBLIC_KEY_BASE64=%%%\n".to_owned(), "is not base64"),
        (
            "jwt",
            "JWT_PUBLIC_KEY_BASE64=YQ==\n".to_owned(),
            "is not a public key",
        ),
        (
            "jwt",
            format!(
                "JWT_PUBLIC_KEY_BASE64={}\n",
                STANDARD.encode("-----BEGIN PRIVATE KEY-----\n")
            ),
            "is not a public key",
        ),
        (
            "jwt",
            format!(
                "JWT_PUBLIC_KEY_BASE64={}\n",
                STANDARD.encode("-----BEGIN PUBLIC KEY-----\n-----BEGIN PRIVATE KEY-----\n")
            ),
            "is not a public key",
        ),
        (
            "jwt",
            "{\"JWT_SECRET\": \"x\"}\n".to_owned(),
            "line 1 is not NAME=value",
        ),
        (
            "jwt",
            "JWT_SECRET=0123456789abcdef\0 0123456789abcdef\n".to_owned(),
            "a NUL",
        ),
    ] {
        fs::write(tree.scripts().join("values"), &text).unwrap();
        let line = format!("./seal-secret.sh --template {template} --env-file values --cert cert.pem");
        let ended = tree.expect(&line, 3, says);
        assert!(
            ended.stdout.is_empty() && !ended.stderr.contains("0123"),
            "{}",
            ended.stderr
        );
    }
    fs::write(
        tree.scripts().join("values"),
        b"JWT_SECRET=\xff\xfe0123456789abcdef0123456789abcdef\n",
    )
    .unwrap();
    tree.expect(
        "./seal-secret.sh --template jwt --env-file values --cert cert.pem",
        3,
        "not UTF-8",
    );
    let typed = |input: &str, says: &str| {
        let ended = tree.shell(
            "./seal-secret.sh --template redis --interactive --cert cert.pem",
            input,
        );
        assert!(
            ended.code == 3 && ended.stderr.contains(says),
            "{} {}",
            ended.code,
            ended.stderr
        );
    };
    typed("", "no value for REDIS_USERNAME");
    typed("me\n", "no value for REDIS_PASSWORD");
    typed("me\nshort\n", "too short");
    assert_eq!(fs::read_dir(tree.manifests()).unwrap().count(), 1);
}

#[test]
fn a_public_key_is_sealed_and_the_private_one_is_not() {
    let tree = Tree::new();
    tree.controller(2048);
    for algorithm in ["RS256", "ES256"] {
        let line = format!("./generate-secrets.sh --force --environment staging --jwt-algorithm {algorithm}");
        tree.expect(&line, 0, "");
        tree.expect(
            "./seal-secret.sh --template jwt --env-file .env.staging --cert cert.pem",
            0,
            "",
        );
        let opened = tree.opened(&tree.manifests().join("jwt-sealedsecret.yaml"));
        assert_eq!(opened.keys().collect::<Vec<_>>(), ["public-key"]);
        let env = tree.env(".env.staging");
        assert_eq!(
            opened["public-key"],
            STANDARD.decode(&env["JWT_PUBLIC_KEY_BASE64"]).unwrap()
        );
        // Read by pods of the component; those of k8s/ read a secret instead.
        let ended = tree.expect(
            "./validate-sealed-secrets.sh ../manifests/jwt-sealedsecret.yaml",
            1,
            "",
        );
        assert!(
            ended.stdout.contains("the key `secret` is missing"),
            "{}",
            ended.stdout
        );
        let manifests = with_public_key(algorithm);
        let texts: Vec<&str> = manifests.iter().map(|(_, text)| text.as_str()).collect();
        let line = "./validate-sealed-secrets.sh --strict --pods - ../manifests/jwt-sealedsecret.yaml";
        let ended = tree.shell(line, &texts.join("\n---\n"));
        assert_eq!(ended.code, 0, "{}{}", ended.stdout, ended.stderr);
        // And they start with it.
        for template in ["database", "redis"] {
            let line =
                format!("./seal-secret.sh --template {template} --env-file .env.staging --cert cert.pem");
            tree.expect(&line, 0, "");
        }
        let pod = pod(&tree, &manifests, &tree.all_opened());
        let ended = tree.check_config(&pod);
        assert_eq!((ended.code, ended.stderr.as_str()), (0, ""), "{}", ended.stdout);
    }
}

/// What `kubectl apply -f k8s/` takes, as the component `jwt-public-key` changes it.
fn with_public_key(algorithm: &str) -> Vec<(String, String)> {
    let mut manifests = applied();
    for (_, text) in &mut manifests {
        let changed = text
            .replace("JWT_ALGORITHM: HS256", &format!("JWT_ALGORITHM: {algorithm}"))
            .replace("JWT_SECRET_FILE", "JWT_PUBLIC_KEY")
            .replace("/jwt/secret", "/jwt/public-key")
            .replace("key: secret", "key: public-key")
            .replace("path: secret", "path: public-key");
        let lines = changed
            .lines()
            .filter(|line| !line.contains("previous-secret") && !line.contains("JWT_SECRET_PREVIOUS"));
        *text = lines.collect::<Vec<_>>().join("\n");
    }
    manifests
}

/// That the component is what the test above takes it for.
#[test]
fn the_component_for_public_keys_reads_the_key_that_is_sealed() {
    let Some(kubectl) = on_path("kubectl") else {
        eprintln!("skipped: kubectl is not on the PATH");
        return;
    };
    let tree = Tree::new();
    let overlay = tree.path("k8s/kustomize/overlays/keys");
    fs::create_dir(&overlay).unwrap();
    fs::write(
        overlay.join("kustomization.yaml"),
        "apiVersion: kustomize.config.k8s.io/v1beta1\nkind: Kustomization\nresources: [../production]\n\
         components: [../../components/jwt-public-key]\n",
    )
    .unwrap();
    let output = Command::new(kubectl)
        .arg("kustomize")
        .arg(&overlay)
        .output()
        .unwrap();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let rendered = String::from_utf8(output.stdout).unwrap();
    let rendered = Pods::of(&[("rendered".to_owned(), rendered)]).unwrap();
    assert_eq!(rendered, Pods::of(&with_public_key("RS256")).unwrap());
}

#[test]
fn each_flag_of_seal_does_what_it_says() {
    let tree = Tree::new();
    tree.controller(2048);
    tree.expect("./generate-secrets.sh", 0, "");
    let env = tree.env(".env.development");
    let line = "./seal-secret.sh --template redis --env-file .env.development";
    let default = tree.manifests().join("redis-sealedsecret.yaml");

    // Printed, not written.
    let dry = tree.expect(&format!("{line} --cert cert.pem --dry-run"), 0, "a dry run");
    assert!(dry.stdout.contains("kind: SealedSecret") && !default.exists());
    let out = tree.expect(&format!("{line} --cert=cert.pem --output -"), 0, "");
    assert!(out.stdout.contains("kind: SealedSecret") && !default.exists());
    // A dry run asks nobody.
    tree.expect(&format!("{line} --dry-run"), 5, "--dry-run fetches none");
    let elsewhere = tree.expect(
        &format!("{line} --cert cert.pem --output sealed.yaml"),
        0,
        "wrote sealed.yaml",
    );
    assert!(elsewhere.stdout.is_empty() && !default.exists());
    let sealed = tree.scripts().join("sealed.yaml");
    assert_eq!(fs::metadata(&sealed).unwrap().permissions().mode() & 0o777, 0o644);
    assert_eq!(tree.opened(&sealed)["password"], env["REDIS_PASSWORD"].as_bytes());
    // Again replaces what was there.
    tree.expect(&format!("{line} --cert cert.pem --output sealed.yaml"), 0, "");

    // Certificates: by an environment variable; from the cluster, kept, and anew.
    tree.expect(&format!("SEALED_SECRETS_CERT=cert.pem {line}"), 0, "wrote");
    assert!(default.exists());
    tree.expect(line, 1, "kubectl is not on the PATH");
    tree.program("kubectl", "exit 1");
    tree.expect(line, 4, "gives no certificate");
    tree.program("kubectl", "echo nothing");
    tree.expect(line, 4, "is no certificate");
    tree.program(
        "kubectl",
        "case $1 in get) exec cat cert.pem ;; apply) exec cat \"$3\" ;; esac",
    );
    let named = format!("{line} --controller-name sealer --controller-namespace secrets");
    tree.expect(&named, 0, "fetches the certificate of sealer in secrets");
    assert!(
        tree.argv().contains(
            "kubectl get --raw /api/v1/namespaces/secrets/services/http:sealer:/proxy/v1/cert.pem\n"
        )
    );
    let quiet = tree.expect(line, 0, "");
    assert!(!quiet.stderr.contains("fetches"), "{}", quiet.stderr);
    tree.expect(&format!("{line} --dry-run"), 0, "");
    tree.expect(&format!("{line} --fetch-cert"), 0, "fetches");

    // To the cluster.
    let applied = tree.expect(&format!("{line} --apply --confirm"), 0, "wrote");
    assert!(applied.stdout.contains("kind: SealedSecret"));
    tree.expect(&format!("{line} --apply"), 2, "add --confirm");
    tree.program("kubectl", "exit 1");
    tree.expect(&format!("{line} --apply --confirm"), 4, "did not take");

    // What it says of its work, without a value.
    let said = tree.expect(
        &format!("{line} --cert cert.pem --verbose"),
        0,
        "seals the keys username password",
    );
    assert!(!said.stderr.contains("runs:"), "{}", said.stderr);
    tree.expect(&format!("{line} --cert cert.pem --debug"), 0, "runs: ");

    // Another sealer, where it is there.
    tree.program(
        "kubeseal",
        "case $1 in --fetch-cert) exec cat cert.pem ;; esac\n[ \"$*\" = '--cert cert.pem --scope strict --format yaml' ] || exit 9\n\
         exec policyd seal --cert cert.pem --scope strict",
    );
    tree.expect(&format!("{line} --cert cert.pem"), 0, "wrote");
    assert!(
        tree.argv()
            .contains("kubeseal --cert cert.pem --scope strict --format yaml\n")
    );
    tree.expect(&format!("{line} --fetch-cert --output -"), 3, "it was not sealed");
    assert!(
        tree.argv()
            .contains("kubeseal --fetch-cert --controller-name sealed-secrets-controller --controller-namespace kube-system\n")
    );
    tree.program("kubeseal", "cat > /dev/null; echo nothing");
    tree.expect(&format!("{line} --cert cert.pem"), 3, "is no SealedSecret");
    if let Some(kubeseal) = on_path("kubeseal") {
        tree.program("kubeseal", &format!("exec '{}' \"$@\"", kubeseal.display()));
        tree.expect(&format!("{line} --cert cert.pem"), 0, "wrote");
        assert_eq!(
            tree.opened(&default)["password"],
            env["REDIS_PASSWORD"].as_bytes()
        );
        tree.expect(
            "./validate-sealed-secrets.sh --strict ../manifests/redis-sealedsecret.yaml",
            0,
            "",
        );
    }
}

#[test]
fn seal_refuses_what_it_does_not_understand() {
    let tree = Tree::new();
    tree.controller(2048);
    tree.expect("./generate-secrets.sh", 0, "");
    for line in [
        "",
        "--template",
        "--template api --env-file .env.development",
        "--template jwt",
        "--template jwt --env-file",
        "--template jwt --env-file .env.development --interactive",
        "--template jwt --env-file .env.development --dry-run --apply",
        "--template jwt --env-file .env.development --dry-run --fetch-cert",
        "--template jwt --env-file .env.development --cert cert.pem --fetch-cert",
        "--template jwt --env-file .env.development --confirm",
        "--template jwt --env-file .env.development --apply --confirm --output -",
        "--template jwt --env-file .env.development --controller-name ../x",
        "--template jwt --env-file .env.development --controller-namespace 'a b'",
        "--template jwt --env-file .env.development --scope cluster-wide",
        "--template jwt --env-file .env.development more",
    ] {
        let ended = tree.expect(&format!("./seal-secret.sh {line}"), 2, "--help says more");
        assert_eq!(ended.stdout, "", "{line}");
    }
    let line = "./seal-secret.sh --template jwt --env-file .env.development";
    for (more, code, says) in [
        ("--cert none.pem", 5, "cannot read the certificate none.pem"),
        ("--cert .", 5, "cannot read the certificate"),
        ("--cert key.pem", 3, "there is no certificate in it"),
        ("--cert cert.pem --output none/x", 5, "there is no directory none"),
        ("--cert cert.pem --output /dev/null", 5, "no ordinary file"),
    ] {
        tree.expect(&format!("{line} {more}"), code, says);
    }
    tree.expect(
        "./seal-secret.sh --template jwt --env-file none --cert cert.pem",
        5,
        "cannot read none",
    );
    tree.expect(
        "./seal-secret.sh --template jwt --env-file . --cert cert.pem",
        5,
        "cannot read .",
    );
    tree.expect(
        &format!("POLICYD=nothing {line} --cert cert.pem"),
        1,
        "POLICYD names no program",
    );
    let template = tree.path("k8s/sealed-secrets/templates/jwt.yaml");
    let text = fs::read_to_string(&template).unwrap();
    fs::write(&template, text.replace("${JWT_SECRET}", "in the clear")).unwrap();
    tree.expect(&format!("{line} --cert cert.pem"), 3, "a line is not understood");
    fs::remove_file(template).unwrap();
    tree.expect(&format!("{line} --cert cert.pem"), 5, "cannot read");
    tree.without("policyd");
    tree.expect(
        "./seal-secret.sh --template redis --env-file .env.development --cert cert.pem",
        1,
        "build it with `cargo build --release -p policy-server`",
    );
    assert_eq!(fs::read_dir(tree.manifests()).unwrap().count(), 1);
}

/// Where `policyd` is looked for.
#[test]
fn policyd_is_found_in_three_places() {
    let tree = Tree::new();
    tree.controller(2048);
    tree.expect("./generate-secrets.sh", 0, "");
    let line = "./seal-secret.sh --template redis --env-file .env.development --cert cert.pem --debug";
    tree.expect(line, 0, "/bin/policyd seal");
    tree.without("policyd");
    tree.expect(
        &format!("POLICYD='{}' {line}", env!("CARGO_BIN_EXE_policyd")),
        0,
        "policyd seal",
    );
    for profile in ["debug", "release"] {
        let directory = tree.path("target").join(profile);
        fs::create_dir_all(&directory).unwrap();
        symlink(env!("CARGO_BIN_EXE_policyd"), directory.join("policyd")).unwrap();
        tree.expect(line, 0, &format!("/target/{profile}/policyd seal"));
        tree.expect(
            "./validate-sealed-secrets.sh ../manifests/redis-sealedsecret.yaml",
            0,
            "",
        );
    }
}

/// Neither arguments of programs nor what is printed holds a secret: not even for whoever asks bash for a trace.
#[test]
fn no_secret_is_an_argument_or_printed() {
    let tree = Tree::new();
    tree.controller(2048);
    let old = "OldSecret-0123456789-abcdefghijklmnop";
    fs::write(tree.scripts().join("old"), format!("JWT_SECRET={old}\n")).unwrap();
    let mut printed = String::new();
    let mut run = |line: &str| {
        let ended = tree.expect(line, 0, "");
        printed.push_str(&ended.stdout);
        printed.push_str(&ended.stderr);
    };
    run("bash -xv ./generate-secrets.sh --environment production --previous old");
    run(
        "env SHELLOPTS=xtrace:allexport bash ./generate-secrets.sh --environment staging --jwt-algorithm ES256",
    );
    run(
        "env SHELLOPTS=allexport bash ./seal-secret.sh --template jwt --env-file .env.production --cert cert.pem",
    );
    // Whoever exports a name that the scripts use.
    let exported = "env again=1 clear=1 content=1 encoded=1 env_values=1 found=1 line=1 made=1 pem=1 private=1 secret=1 \
         value=1 values=1 bash";
    for (file, options) in [
        (".env.exported", "--previous old"),
        (".env.keys", "--jwt-algorithm RS256"),
    ] {
        run(&format!(
            "{exported} ./generate-secrets.sh {options} --output {file}"
        ));
        for template in ["database", "jwt"] {
            run(&format!(
                "{exported} ./seal-secret.sh --template {template} --env-file {file} --cert cert.pem"
            ));
        }
    }
    for (template, _) in SECRETS {
        for env in ["production", "staging"] {
            run(&format!(
                "bash -xv ./seal-secret.sh --template {template} --env-file .env.{env} --cert cert.pem --debug --verbose"
            ));
            run(&format!(
                "bash -xv ./seal-secret.sh --template {template} --env-file .env.{env} --cert cert.pem --dry-run --debug"
            ));
        }
    }
    run("bash -xv ./validate-sealed-secrets.sh --all --pods ../.. || true");
    // Whoever loses patience, or the machine.
    tree.program("mv", "kill -TERM $PPID");
    let sealed = "./seal-secret.sh --template jwt --env-file .env.production --cert cert.pem; exit 7";
    assert_eq!(tree.run(sealed).code, 7);
    let generated = "./generate-secrets.sh --output .env.stopped --force; exit 7";
    assert_eq!(tree.run(generated).code, 7);
    let argv = tree.argv();
    assert!(argv.contains("policyd seal --cert cert.pem"), "{argv}");
    let mut secrets = vec![old.to_owned()];
    let files = [".env.exported", ".env.keys", ".env.production", ".env.staging"];
    for env in files {
        for (name, value) in tree.env(env) {
            let is_secret = name.contains("PASSWORD") || name.contains("SECRET") || name.contains("PRIVATE");
            if is_secret && !value.is_empty() {
                secrets.push(STANDARD.encode(&value));
                secrets.push(value);
            }
        }
    }
    assert_eq!(secrets.len(), 1 + 2 * (4 + 3 + 4 + 3));
    for secret in secrets {
        assert!(!argv.contains(&secret), "an argument");
        assert!(!printed.contains(&secret), "printed");
    }
    // Nothing is left behind but what was asked for.
    let mut left: Vec<String> = Vec::new();
    for directory in [tree.scripts(), tree.manifests()] {
        for entry in fs::read_dir(directory).unwrap() {
            left.push(entry.unwrap().file_name().into_string().unwrap());
        }
    }
    left.retain(|name| name.starts_with('.'));
    left.sort();
    assert_eq!(left, files);
}

#[test]
fn validate_says_what_is_wrong() {
    let tree = Tree::new();
    tree.controller(2048);
    for line in [
        "",
        "--strict",
        "--all ../manifests/redis-sealedsecret.yaml",
        "--everything",
        "--pods",
        "--all --json=yes",
    ] {
        tree.expect(
            &format!("./validate-sealed-secrets.sh {line}"),
            2,
            "--help says more",
        );
    }
    tree.expect(
        "./validate-sealed-secrets.sh --all",
        3,
        "there is no SealedSecret in",
    );
    tree.expect(
        "./validate-sealed-secrets.sh none.yaml",
        3,
        "cannot read none.yaml",
    );
    tree.expect(
        "./validate-sealed-secrets.sh --all --pods none",
        3,
        "cannot read none",
    );
    tree.expect(
        "./validate-sealed-secrets.sh --all --pods ../manifests",
        3,
        "there is no Deployment or StatefulSet",
    );
    tree.expect("./generate-secrets.sh", 0, "");
    let seal = |template: &str| {
        let line =
            format!("./seal-secret.sh --template {template} --env-file .env.development --cert cert.pem");
        tree.expect(&line, 0, "");
    };
    let whole = |line: &str, code: i32| {
        let ended = tree.expect(&format!("./validate-sealed-secrets.sh {line}"), code, "");
        assert_eq!(ended.stderr, "", "{line}");
        ended.stdout
    };
    seal("redis");
    let one = "../manifests/redis-sealedsecret.yaml";
    assert_eq!(
        whole(one, 0),
        format!("{one}: ok, llm-devops/llm-policy-engine-redis\n")
    );
    assert_eq!(whole(&format!("--strict {one} {one}"), 0).lines().count(), 2);
    // Two of the three are missing: a warning, and with --strict an error.
    let warned = whole("--all", 0);
    assert_eq!(
        warned.matches("warning: no manifest is for the secret").count(),
        2,
        "{warned}"
    );
    whole("--all --strict", 1);
    seal("database");
    seal("jwt");
    whole("--all --strict", 0);

    // As machines read it.
    let report: serde_json::Value = serde_json::from_str(&whole("--all --strict --json", 0)).unwrap();
    assert_eq!(report["valid"], true);
    assert_eq!(report["files"].as_array().unwrap().len(), 3);
    assert_eq!(
        report["files"][0]["secrets"][0],
        "llm-devops/llm-policy-engine-database"
    );
    let text = fs::read_to_string(tree.manifests().join("jwt-sealedsecret.yaml")).unwrap();
    let jwt = tree.manifests().join("jwt-sealedsecret.yaml");
    fs::write(&jwt, text.replace("  name: llm-policy-engine-jwt", "  name: jwt")).unwrap();
    let report: serde_json::Value = serde_json::from_str(&whole("--all --json", 1)).unwrap();
    assert_eq!(report["valid"], false);
    let problem = &report["files"][1]["problems"][0];
    assert_eq!(problem["severity"], "error");
    let message = problem["message"].as_str().unwrap();
    assert!(
        message.starts_with("no pod reads the secret `llm-devops/jwt`; they read"),
        "{message}"
    );
    let annotated = whole("--ci ../manifests/jwt-sealedsecret.yaml", 1);
    assert_eq!(
        annotated,
        format!("::error file=../manifests/jwt-sealedsecret.yaml::{message}\n")
    );
    // At the root of the repository, as a workflow runs it, the paths are those of the repository.
    let ended = tree.run("cd ../../.. && k8s/sealed-secrets/scripts/validate-sealed-secrets.sh --all --ci");
    let found = "::error file=k8s/sealed-secrets/manifests/jwt-sealedsecret.yaml::no pod reads";
    assert!(
        ended.code == 1 && ended.stdout.contains(found),
        "{}",
        ended.stdout
    );
    let both = whole("--ci --json ../manifests/jwt-sealedsecret.yaml", 1);
    assert_eq!(both, whole("--json --ci ../manifests/jwt-sealedsecret.yaml", 1));
    assert!(both.starts_with('{'));

    // Of a value, one letter is enough; and a key that nobody reads.
    fs::write(&jwt, text.replacen("secret: A", "secret: *", 1)).unwrap();
    whole("--all", 1);
    let extra = text.replace("    previous-secret:", "    more: AAAA\n    previous-secret:");
    fs::write(&jwt, extra).unwrap();
    assert!(whole("--all", 1).contains("`more`: a sealed value holds"));
    let value = text
        .lines()
        .find_map(|line| line.strip_prefix("    secret: "))
        .unwrap();
    let extra = text.replace(
        "    previous-secret:",
        &format!("    more: {value}\n    previous-secret:"),
    );
    fs::write(&jwt, extra).unwrap();
    assert!(whole("--all", 0).contains("warning: no pod reads the key `more`"));
    whole("--all --strict", 1);
    let wide = text.replacen(
        "  namespace: llm-devops\n",
        "  namespace: llm-devops\n  annotations: {sealedsecrets.bitnami.com/cluster-wide: 'true'}\n",
        1,
    );
    fs::write(&jwt, wide).unwrap();
    assert!(whole("--all", 1).contains("says `cluster-wide`"));
    fs::write(&jwt, "a: [").unwrap();
    assert!(whole("--all", 1).contains("the manifest cannot be read"));
    fs::write(&jwt, &text).unwrap();
    whole("--all --strict", 0);

    // A secret in the clear, anywhere in the folder, in any form.
    for (file, clear) in [
        (
            "manifests/x.yaml",
            "apiVersion: v1\nkind: Secret\nstringData: {password: hunter2}\n",
        ),
        (
            "x.yml",
            "kind: List\nitems: [{kind: Secret, data: {password: aHVudGVyMg==}}]\n",
        ),
        (
            "scripts/x.json",
            "{\"kind\": \"Secret\", \"data\": {\"password\": \"aHVudGVyMg==\"}}",
        ),
        (
            "templates/redis.yaml",
            "kind: Secret\nstringData: {username: '${U}', password: hunter2}\n",
        ),
    ] {
        let file = tree.path("k8s/sealed-secrets").join(file);
        let before = fs::read(&file).ok();
        fs::write(&file, clear).unwrap();
        let said = whole("--all", 1);
        assert!(
            said.contains("a plain Secret") && !said.contains("hunter2"),
            "{said}"
        );
        match before {
            Some(before) => fs::write(&file, before).unwrap(),
            None => fs::remove_file(&file).unwrap(),
        }
    }
    // What git ignores by name is none of the folder's.
    tree.expect("./generate-secrets.sh --format json", 0, "");
    whole("--all --strict", 0);
    fs::copy(&jwt, tree.manifests().join("again.yaml")).unwrap();
    assert!(whole("--all", 1).contains("`llm-devops/llm-policy-engine-jwt` is in "));
    let namespace = whole("../manifests/00-namespace.yaml", 1);
    assert!(
        namespace.contains("there is no SealedSecret in it"),
        "{namespace}"
    );

    tree.without("policyd");
    tree.expect("./validate-sealed-secrets.sh --all", 3, "policyd is not there");
}

#[test]
fn the_controller_is_bound_to_those_who_seal_and_no_wider() {
    use serde::Deserialize as _;
    let text = fs::read_to_string(repository().join("k8s/sealed-secrets/00-controller.yaml")).unwrap();
    let objects: Vec<Value> = serde_yaml::Deserializer::from_str(&text)
        .map(|document| Value::deserialize(document).unwrap())
        .filter(|object| !object.is_null())
        .collect();
    let of = |kind: &str, name: &str| {
        let mut found = objects
            .iter()
            .filter(|object| object["kind"] == kind && object["metadata"]["name"] == name);
        found.next().unwrap_or_else(|| panic!("no {kind} {name}"))
    };
    assert!(!text.contains("system:authenticated"), "{text}");
    let proxier = of("RoleBinding", "sealed-secrets-service-proxier");
    assert_eq!(proxier["subjects"].as_sequence().unwrap().len(), 1);
    assert_eq!(proxier["subjects"][0]["kind"], "Group");
    // Every binding names a role and an account of this file, but for the group above.
    for binding in objects
        .iter()
        .filter(|object| object["kind"].as_str().unwrap().ends_with("RoleBinding"))
    {
        let role = &binding["roleRef"];
        of(role["kind"].as_str().unwrap(), role["name"].as_str().unwrap());
        for subject in binding["subjects"].as_sequence().unwrap() {
            if subject["kind"] == "ServiceAccount" {
                of("ServiceAccount", subject["name"].as_str().unwrap());
            }
        }
    }
    for object in &objects {
        for rule in object["rules"].as_sequence().into_iter().flatten() {
            assert!(!serde_yaml::to_string(rule).unwrap().contains('*'), "{rule:?}");
        }
    }
    let deployment = of("Deployment", "sealed-secrets-controller");
    let pod = &deployment["spec"]["template"]["spec"];
    let container = &pod["containers"][0];
    let tag = container["image"].as_str().unwrap().rsplit_once(':').unwrap().1;
    let version: Vec<u32> = tag.split('.').map(|part| part.parse().unwrap()).collect();
    assert!(
        version >= vec![0, 40, 0],
        "{tag}: /v1/rotate tells of values before 0.40.0"
    );
    assert_eq!(deployment["metadata"]["labels"]["app.kubernetes.io/version"], tag);
    // The restricted Pod Security Standard.
    assert_eq!(pod["securityContext"]["runAsNonRoot"], true);
    assert_eq!(pod["securityContext"]["seccompProfile"]["type"], "RuntimeDefault");
    assert_eq!(container["securityContext"]["allowPrivilegeEscalation"], false);
    assert_eq!(container["securityContext"]["readOnlyRootFilesystem"], true);
    assert_eq!(container["securityContext"]["capabilities"]["drop"][0], "ALL");
    let labels = &deployment["spec"]["template"]["metadata"]["labels"];
    let selected = |selector: &Value| {
        for (key, value) in selector.as_mapping().unwrap() {
            assert_eq!(&labels[key.as_str().unwrap()], value);
        }
    };
    selected(&deployment["spec"]["selector"]["matchLabels"]);
    for service in ["sealed-secrets-controller", "sealed-secrets-controller-metrics"] {
        let service = of("Service", service);
        selected(&service["spec"]["selector"]);
        let port = &service["spec"]["ports"][0]["targetPort"];
        let ports = container["ports"].as_sequence().unwrap();
        assert!(ports.iter().any(|known| &known["name"] == port), "{port:?}");
    }
    // The schema takes what is sealed here.
    let schema =
        &of("CustomResourceDefinition", "sealedsecrets.bitnami.com")["spec"]["versions"][0]["schema"];
    let spec = &schema["openAPIV3Schema"]["properties"]["spec"];
    assert_eq!(
        keys(&spec["properties"]),
        ["encryptedData", "template"].map(str::to_owned).into()
    );
}

/// The shell blocks of a section of the guide, in its order.
fn blocks(section: &str) -> Vec<String> {
    let guide = fs::read_to_string(repository().join("k8s/sealed-secrets/MIGRATION_GUIDE.md")).unwrap();
    let mut found = Vec::new();
    let (mut inside, mut block) = (false, None::<String>);
    for line in guide.lines() {
        if line.starts_with('#') && block.is_none() {
            inside = line.trim_start_matches('#').trim() == section;
        } else if line.trim() == "```sh" && inside {
            block = Some(String::new());
        } else if line.trim() == "```" {
            found.extend(block.take());
        } else if let Some(block) = &mut block {
            // Blocks in lists are indented; the ends of here documents are not.
            block.push_str(line.strip_prefix("   ").unwrap_or(line));
            block.push('\n');
        }
    }
    assert!(!found.is_empty(), "no block below {section}");
    found
}

/// Every command of the guide, against a PostgreSQL and a Redis that check passwords. The cluster is played.
#[test]
fn the_guide_moves_secrets_and_rotates_them() {
    const TEST: &str = "the_guide_moves_secrets_and_rotates_them";
    let Some(server) = postgres::Server::start() else {
        return postgres::missing(TEST);
    };
    server.ask_for_passwords();
    let Some(redis) = process::Redis::start(TEST) else {
        return;
    };
    let redis_port = redis.url().rsplit_once(':').unwrap().1.replace("/0", "");
    let redis_cli = on_path("redis-cli").expect("redis-cli comes with redis-server");
    let tree = Tree::new();
    tree.controller(2048);
    for name in ["sed", "grep"] {
        tree.program(
            name,
            &format!("exec '{}' \"$@\"", on_path(name).unwrap().display()),
        );
    }
    let psql = postgres::programs().unwrap().join("psql");
    tree.program("psql", &format!("exec '{}' -X -q \"$@\"", psql.display()));
    tree.program(
        "redis-cli",
        &format!("exec '{}' -p {redis_port} \"$@\"", redis_cli.display()),
    );
    let old = "an old secret of tokens, of 32 bytes & more";
    tree.program(
        "kubectl",
        &format!(
            "case \"$*\" in *--raw*) cat cert.pem ;; *jsonpath*) printf '%s' '{}' ;; esac",
            STANDARD.encode(old)
        ),
    );
    let run = |before: &str, blocks: &[String]| {
        let line = format!(
            "set -euo pipefail\nexport PGHOST=127.0.0.1 PGPORT={} PGUSER=postgres\n{before}\n{}",
            server.port(),
            blocks.concat()
        );
        let ended = tree.run(&line);
        assert_eq!(ended.code, 0, "{line}\n{}{}", ended.stdout, ended.stderr);
        ended.stdout
    };
    // Whether a login works.
    let logs_in = |env: &BTreeMap<String, String>| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_policyd"));
        command
            .args(["audit", "verify"])
            .env_clear()
            .env("DATABASE_HOST", "127.0.0.1")
            .env("DATABASE_PORT", server.port().to_string())
            .env("DATABASE_NAME", "llm_policy_engine")
            .env("DATABASE_SSL_MODE", "disable")
            .env("DATABASE_USERNAME", &env["DATABASE_USERNAME"])
            .env("DATABASE_PASSWORD", &env["DATABASE_PASSWORD"])
            .current_dir(tree.directory.path());
        finished(&mut command, "").code == 0
    };
    let pongs = |env: &BTreeMap<String, String>| {
        let line = format!("REDISCLI_AUTH={} redis-cli PING", env["REDIS_PASSWORD"]);
        tree.run(&line).stdout.contains("PONG")
    };

    let [value] = &blocks("Moving to sealed secrets, and changing them later")[..] else {
        panic!("one block");
    };
    tree.expect("./generate-secrets.sh --environment production", 0, "");
    let first = tree.env(".env.production");
    assert!(!logs_in(&first));
    run(value, &blocks("Tell the database and Redis"));
    assert!(logs_in(&first) && pongs(&first));
    for template in ["database", "redis", "jwt"] {
        let line = format!("./seal-secret.sh --template {template} --env-file .env.production");
        tree.expect(&line, 0, "");
    }

    // The database.
    let afterwards = blocks("Afterwards");
    run(value, &blocks("The password of the database"));
    run(value, &afterwards);
    let second = tree.env(".env.production");
    assert_eq!(second["DATABASE_USERNAME"], "policyd_b");
    assert_eq!(second["REDIS_PASSWORD"], first["REDIS_PASSWORD"]);
    assert!(logs_in(&first) && logs_in(&second));
    run("psql -c 'ALTER ROLE llm_policy_engine NOLOGIN' postgres", &[]);
    assert!(!logs_in(&first) && logs_in(&second));

    // Redis.
    let [new, gone] = &blocks("The password of Redis")[..] else {
        panic!("two blocks");
    };
    let own = format!("{value}\nexport REDISCLI_AUTH={}", first["REDIS_PASSWORD"]);
    run(&own, std::slice::from_ref(new));
    let next = tree.env(".env.production.next");
    assert!(pongs(&first) && pongs(&next));
    run(&own, std::slice::from_ref(gone));
    assert!(!pongs(&first) && pongs(&next));
    run(value, &afterwards);
    assert_eq!(
        tree.env(".env.production")["REDIS_PASSWORD"],
        next["REDIS_PASSWORD"]
    );

    // Tokens.
    let [new, gone] = &blocks("The secret of tokens")[..] else {
        panic!("two blocks");
    };
    run(value, std::slice::from_ref(new));
    let jwt = tree.manifests().join("jwt-sealedsecret.yaml");
    let opened = tree.opened(&jwt);
    assert_eq!(opened["previous-secret"], first["JWT_SECRET"].as_bytes());
    assert_ne!(opened["secret"], opened["previous-secret"]);
    run(value, std::slice::from_ref(gone));
    assert_eq!(tree.opened(&jwt)["previous-secret"], b"");
    assert_eq!(tree.opened(&jwt)["secret"], opened["secret"]);
    run(value, &afterwards);
    let last = tree.env(".env.production");
    assert_eq!(last.len(), first.len());
    assert!(logs_in(&last) && pongs(&last));
    for ((_, secret), (key, name)) in SECRETS.iter().zip([
        ("password", "DATABASE_PASSWORD"),
        ("password", "REDIS_PASSWORD"),
        ("secret", "JWT_SECRET"),
    ]) {
        assert_eq!(tree.all_opened()[secret][key], last[name].as_bytes());
    }
    tree.expect("./validate-sealed-secrets.sh --all --strict", 0, "");

    // From a plain Secret, whose JWT secret stays valid beside the new one.
    fs::remove_file(tree.scripts().join(".env.production")).unwrap();
    run(value, &blocks("From a plain Secret"));
    let moved = tree.env(".env.production");
    assert_eq!(moved["DATABASE_USERNAME"], "policyd_a");
    assert_eq!(tree.opened(&jwt)["previous-secret"], old.as_bytes());
    let mode = fs::metadata(tree.scripts().join(".env.old"))
        .unwrap()
        .permissions()
        .mode();
    assert_eq!(mode & 0o777, 0o600);

    // Nothing of it is an argument.
    let argv = tree.argv();
    assert!(argv.contains("kubectl apply -f ../manifests/\n"), "{argv}");
    assert!(argv.contains("psql -v ON_ERROR_STOP=1 postgres\n"), "{argv}");
    let arguments = argv.lines().filter(|line| !line.starts_with("export "));
    let arguments: String = arguments.collect::<Vec<_>>().join("\n");
    for env in [&first, &second, &next, &last, &moved] {
        for (name, value) in env.iter().filter(|(name, _)| !name.contains("USERNAME")) {
            let is_secret = *name != "JWT_ALGORITHM" && !value.is_empty();
            assert!(!is_secret || !arguments.contains(value.as_str()), "{name}");
        }
    }
}
