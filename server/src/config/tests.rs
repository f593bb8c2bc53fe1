//! Settings from every source, and every problem with its place.

#[path = "../../tests/support/mounted.rs"]
mod mounted;

use super::secret_files::{Look, Part, SecretFiles};
use super::{Config, Database, Raw};
use crate::active::Origin;
use crate::auth::config::JwtKeys;
use crate::decisions::config::{Archive, Sink};
use crate::settings::table::{Other, SETTINGS, Setting};
use crate::settings::{duration, names, table};
use crate::storage::config::Postgres;
use mounted::Mounted;
use secrecy::ExposeSecret as _;
use std::path::Path;

fn parse(file: &str, env: &[(&str, &str)], flags: &[(&str, &str)]) -> Result<Config, Vec<String>> {
    let find = |list: &[(&str, &str)], name: &str| {
        list.iter()
            .find(|(n, _)| *n == name)
            .map(|(_, v)| (*v).to_owned())
    };
    let raw = Raw::collect(
        Some(("policyd.toml", file)),
        |name| find(env, name),
        |name| find(flags, name),
    );
    Config::parse(&raw).map_err(|problems| problems.iter().map(ToString::to_string).collect())
}

#[test]
fn defaults_are_a_server_on_loopback() {
    let config = parse("", &[], &[]).unwrap();
    assert_eq!(config.net.http.to_string(), "127.0.0.1:3000");
    assert_eq!(config.net.grpc.to_string(), "127.0.0.1:50051");
    assert_eq!(config.net.admin.to_string(), "127.0.0.1:9090");
    assert_eq!(config.policies.origin, Origin::Store);
    assert!(!config.auth.required());
}

#[test]
fn flags_beat_the_environment_which_beats_the_file() {
    let file = "port = 1\ngrpc_port = 2\nmetrics_port = 3";
    let config = parse(file, &[("PORT", "4"), ("GRPC_PORT", "5")], &[("PORT", "6")]).unwrap();
    let ports = [config.net.http, config.net.grpc, config.net.admin].map(|a| a.port());
    assert_eq!(ports, [6, 5, 3]);
}

#[test]
fn every_problem_is_reported_with_its_source() {
    let problems = parse(
        "prot = 1\nrequest_timeout = \"soon\"",
        &[("HOST", "0.0.0.0"), ("JWT_ALGORITHM", "none")],
        &[("TLS_CERT", "cert.pem"), ("PORT", "99999")],
    )
    .unwrap_err();
    let expected = [
        "prot (policyd.toml): there is no such setting; did you mean `port`?",
        "--port (command line): expected a port, from 0 to 65535, found `99999`",
        "request_timeout (policyd.toml): expected a time such as 500ms, 30s or 5m, found `soon`",
        "JWT_ALGORITHM (environment): expected HS256|RS256|ES256|EdDSA, found `none`",
        "JWT_ALGORITHM (environment): needs JWT_SECRET, JWT_PUBLIC_KEY or JWT_JWKS",
        "HOST (environment): refusing to listen on 0.0.0.0 without authentication",
        "--tls-cert (command line): needs TLS_KEY",
    ];
    for text in expected {
        assert!(
            problems.iter().any(|p| p.starts_with(text)),
            "{text} not in {problems:#?}"
        );
    }
    assert_eq!(problems.len(), expected.len(), "{problems:#?}");
}

#[test]
fn secrets_are_never_shown() {
    let secret = "a-secret-that-must-not-be-seen-anywhere";
    let raw = Raw::collect(
        None,
        |name| {
            matches!(
                name,
                "JWT_SECRET" | "DATABASE_URL" | "REDIS_URL" | "ENCRYPTION_KEYS"
            )
            .then(|| secret.to_owned())
        },
        |_| None,
    );
    assert!(raw.shown().all(|(_, text, _)| !text.contains(secret)));
    let problems = Config::parse(&raw).unwrap_err();
    assert!(!problems.is_empty());
    assert!(
        problems.iter().all(|p| !p.to_string().contains(secret)),
        "{problems:?}"
    );
    let ok = parse("", &[("JWT_SECRET", secret)], &[]).unwrap();
    assert!(!format!("{ok:?}").contains(secret));
}

#[test]
fn redis_parts_make_a_url() {
    let env = [
        ("REDIS_HOST", "cache"),
        ("REDIS_PASSWORD", "p@ss/word"),
        ("REDIS_TLS_ENABLED", "true"),
    ];
    let config = parse("", &env, &[]).unwrap();
    assert_eq!(
        config.cache.redis.unwrap().url.expose_secret(),
        "rediss://:p%40ss%2Fword@cache:6379/0"
    );
}

#[test]
fn settings_of_tls_that_would_do_nothing_are_refused() {
    let redis = |url| [("REDIS_URL", url), ("REDIS_TLS_CA", "ca.pem")];
    let config = parse("", &redis("rediss://cache"), &[]).unwrap();
    assert_eq!(config.cache.redis.unwrap().ca.unwrap().to_str(), Some("ca.pem"));
    let cases: [&[(&str, &str)]; 4] = [
        &redis("redis://cache"),
        &[("REDIS_HOST", "cache"), ("REDIS_TLS_CA", "ca.pem")],
        &[("REDIS_URL", "redis://cache"), ("REDIS_TLS_ENABLED", "true")],
        &[
            ("DATABASE_URL", "sqlite::memory:"),
            ("DATABASE_SSL_ROOT_CERT", "ca.pem"),
        ],
    ];
    for settings in cases {
        let (name, _) = settings[1];
        let problems = parse("", settings, &[]).unwrap_err();
        assert!(
            problems[0].starts_with(name) && problems.len() == 1,
            "{problems:?}"
        );
    }
}

#[test]
fn listening_everywhere_needs_authentication_or_a_word() {
    assert!(parse("", &[("HOST", "0.0.0.0")], &[]).is_err());
    assert!(parse("", &[("HOST", "0.0.0.0")], &[("INSECURE_NO_AUTH", "true")]).is_ok());
    assert!(parse("", &[("HOST", "0.0.0.0"), ("API_KEYS_ENABLED", "true")], &[]).is_ok());
    assert!(parse("", &[("HOST", "::1")], &[]).is_ok());
    // Nobody is asked on the admin listener, whoever is on the others.
    let metrics = ("METRICS_HOST", "0.0.0.0");
    let problems = parse("", &[metrics], &[]).unwrap_err();
    assert!(
        problems[0].starts_with("METRICS_HOST (environment): refusing") && problems.len() == 1,
        "{problems:?}"
    );
    assert!(parse("", &[metrics, ("INSECURE_NO_AUTH", "true")], &[]).is_ok());
    assert!(parse("", &[metrics, ("API_KEYS_ENABLED", "true")], &[]).is_ok());
}

#[test]
fn trying_out_goes_before_the_file_and_behind_what_was_said() {
    let shown = |file: &str, env: &[(&'static str, &'static str)]| {
        let find = |name: &str| env.iter().find(|(n, _)| *n == name).map(|(_, v)| (*v).to_owned());
        let mut raw = Raw::collect(Some(("policyd.toml", file)), find, |_| None);
        raw.try_out();
        let config = Config::parse(&raw).unwrap();
        let sources = raw.shown().map(|(name, _, source)| format!("{name} {source}"));
        (sources.collect::<Vec<_>>(), config.store.database)
    };
    let file = "database_host = \"db\"\ndatabase_port = 1\ndatabase_ssl_mode = \"verify-full\"\ndatabase_password = \"p\"\n\
                log_format = \"json\"";
    let (sources, database) = shown(file, &[]);
    assert_eq!(sources, ["DATABASE_URL --dev", "LOG_FORMAT --dev"]);
    assert!(matches!(database, Database::SqliteMemory));
    let (sources, database) = shown("", &[("DATABASE_HOST", "db"), ("LOG_FORMAT", "json")]);
    assert_eq!(sources, ["DATABASE_HOST environment", "LOG_FORMAT environment"]);
    assert!(matches!(database, Database::Postgres(_)));
}

#[test]
fn decisions_wait_on_disk_for_postgresql_and_for_nothing_else() {
    let spool = |env: &[(&str, &str)]| parse("data_dir = \"/d\"", env, &[]).unwrap().log.spool;
    let postgres = ("DATABASE_URL", "postgres://h/d");
    let own = spool(&[postgres]).unwrap();
    assert_eq!(own.directory, std::path::Path::new("/d/decisions-spool"));
    assert_eq!((own.bytes, own.required), (1 << 30, false));
    let given = spool(&[postgres, ("DECISION_LOG_SPOOL", "64MB")]).unwrap();
    assert_eq!((given.bytes, given.required), (64 << 20, true));
    assert_eq!(spool(&[postgres, ("DECISION_LOG_SPOOL", "0")]).unwrap().bytes, 0);
    for env in [
        &[] as &[(&str, &str)],
        &[("DATABASE_URL", "sqlite::memory:")],
        &[postgres, ("DECISION_LOG", "stdout")],
        &[postgres, ("DECISION_LOG", "off")],
    ] {
        assert_eq!(spool(env), None, "{env:?}");
    }
    // A number of megabytes, for which the unit was forgotten.
    let problems = parse("", &[postgres, ("DECISION_LOG_SPOOL", "1024")], &[]).unwrap_err();
    assert_eq!(
        problems,
        ["DECISION_LOG_SPOOL (environment): must be at least 1MB, or 0 for none"]
    );
}

#[test]
fn a_secret_without_a_value_is_a_problem_and_not_none() {
    for setting in SETTINGS.iter().filter(|s| s.secret) {
        for text in ["", "  "] {
            let file = format!("{} = \"{text}\"", setting.key());
            let said = |problems: Vec<String>, from: &str| {
                assert!(
                    problems.iter().any(
                        |p| p.ends_with(&format!("({from}): is empty: give it a value, or take it away"))
                    ),
                    "{}: {problems:?}",
                    setting.name
                );
                assert_eq!(problems.len(), 1, "{}: {problems:?}", setting.name);
            };
            said(
                parse("", &[(setting.name, text)], &[]).unwrap_err(),
                "environment",
            );
            said(
                parse("", &[], &[(setting.name, text)]).unwrap_err(),
                "command line",
            );
            said(parse(&file, &[], &[]).unwrap_err(), "policyd.toml");
        }
    }
    // Others are unset by that.
    assert!(parse("", &[("JWT_ISSUER", ""), ("HOST", ""), ("REDIS_HOST", "")], &[]).is_ok());
    let problems = parse("", &[("ENCRYPTION_KEYS", ",")], &[]).unwrap_err();
    assert_eq!(problems, ["ENCRYPTION_KEYS (environment): names no key"]);
}

const SECRET: &str = "a secret of the tests, with more than 32 bytes";
const OTHER: &str = "another secret of the tests, of 32 bytes and more";

#[test]
fn a_file_holds_the_value_of_every_secret_wherever_it_is_named() {
    let mounted = Mounted::new(&[]);
    let with_file: Vec<&Setting> = SETTINGS.iter().filter(|setting| setting.in_file).collect();
    assert!(SETTINGS.iter().all(|setting| setting.in_file || !setting.secret));
    for name in [
        "DATABASE_USERNAME",
        "REDIS_USERNAME",
        "BUNDLE_TOKEN",
        "ENCRYPTION_KEYS",
    ] {
        assert!(of_name(name).in_file, "{name}");
    }
    for setting in with_file {
        let value = some_value(setting);
        // One line feed is of the editor, all else is of the value.
        mounted.put(&[("value", &format!("{value}\n"))]);
        let (name, path) = (setting.file_name().unwrap(), mounted.path("value"));
        assert_eq!(name, format!("{}_FILE", setting.name));
        let said = |result: Result<Config, Vec<String>>| {
            result
                .err()
                .unwrap_or_default()
                .iter()
                .map(|problem| {
                    let (_, said) = problem.split_once("): ").unwrap();
                    said.to_owned()
                })
                .collect::<Vec<_>>()
        };
        let by_value = said(parse("", &[(setting.name, value)], &[]));
        let key = name.to_ascii_lowercase();
        for by_file in [
            parse("", &[(name.as_str(), path.as_str())], &[]),
            parse("", &[], &[(name.as_str(), path.as_str())]),
            parse(&format!("{key} = \"{path}\""), &[], &[]),
        ] {
            if let Err(problems) = &by_file {
                let spelled = [name.clone(), key.clone(), format!("--{}", key.replace('_', "-"))];
                let by_name =
                    |problem: &&String| spelled.iter().any(|name| problem.starts_with(name.as_str()));
                assert_eq!(
                    problems.iter().filter(by_name).count(),
                    by_value.len(),
                    "{problems:?}"
                );
            }
            assert_eq!(said(by_file), by_value, "{name}");
        }
    }
    let both = "hunter2\n\n";
    mounted.put(&[("password", both)]);
    let password = mounted.path("password");
    let env = [
        ("DATABASE_HOST", "db"),
        ("DATABASE_PASSWORD_FILE", password.as_str()),
    ];
    assert_eq!(postgres(&env).password.unwrap().expose_secret(), "hunter2\n");
    // What turns authentication on does so from a file.
    mounted.put(&[("secret", SECRET)]);
    let secret = mounted.path("secret");
    let env = [("HOST", "0.0.0.0"), ("JWT_SECRET_FILE", secret.as_str())];
    assert!(parse("", &env, &[]).unwrap().auth.required());
    let contradiction = [env[1], ("JWT_PUBLIC_KEY", "x.pem")];
    assert_eq!(
        parse("", &contradiction, &[]).unwrap_err(),
        ["JWT_PUBLIC_KEY (environment): contradicts JWT_SECRET_FILE (environment)"]
    );
}

#[test]
fn a_file_without_a_value_is_a_problem_and_its_text_is_never_shown() {
    let mounted = Mounted::new(&[
        ("empty", ""),
        ("blank", " \n"),
        ("good", SECRET),
        ("username", "ann"),
    ]);
    std::fs::write(mounted.path("latin"), b"pa\xdf").unwrap();
    std::fs::write(mounted.path("dos"), format!("{SECRET}\r\n")).unwrap();
    std::fs::write(mounted.path("marked"), format!("\u{feff}{SECRET}\n")).unwrap();
    std::fs::write(mounted.path("cut"), format!("{SECRET}\0policies")).unwrap();
    let one = |env: &[(&str, &str)]| {
        let problems = parse("", env, &[]).unwrap_err();
        assert_eq!(problems.len(), 1, "{problems:?}");
        problems[0].clone()
    };
    for (file, says) in [
        ("missing", "cannot read"),
        ("empty", "is empty"),
        ("blank", "is empty"),
        ("latin", "it is not UTF-8"),
        (".", "cannot read"),
        ("dos", "it holds a carriage return"),
        ("marked", "it holds a byte order mark"),
        ("cut", "it holds a NUL"),
    ] {
        let path = mounted.path(file);
        for name in ["JWT_SECRET_FILE", "ENCRYPTION_KEYS_FILE"] {
            let said = one(&[(name, &path)]);
            assert!(said.starts_with(&format!("{name} (environment): ")), "{said}");
            assert!(said.contains(says) && said.contains(&path), "{said}");
        }
        let user = [("DATABASE_HOST", "db"), ("DATABASE_USERNAME_FILE", path.as_str())];
        let said = one(&user);
        assert!(
            said.starts_with("DATABASE_USERNAME_FILE") && said.contains(says),
            "{said}"
        );
    }
    let good = mounted.path("good");
    // Both forms, in one place or in two.
    let said = one(&[("JWT_SECRET", SECRET), ("JWT_SECRET_FILE", &good)]);
    assert_eq!(
        said,
        "JWT_SECRET_FILE (environment): contradicts JWT_SECRET (environment): give one of the two"
    );
    let user = mounted.path("username");
    let env = [("DATABASE_HOST", "db"), ("DATABASE_USERNAME_FILE", user.as_str())];
    let problems = parse("database_username = \"bob\"", &env, &[]).unwrap_err();
    assert_eq!(
        problems,
        [
            "DATABASE_USERNAME_FILE (environment): contradicts database_username (policyd.toml): give one of the two"
        ]
    );
    assert_eq!(postgres(&env).user.as_deref(), Some("ann"));
    // An empty file of the second secret says that there is none; it cannot stand alone.
    let empty = mounted.path("empty");
    let previous = [
        ("JWT_SECRET_FILE", good.as_str()),
        ("JWT_SECRET_PREVIOUS_FILE", &empty),
    ];
    let config = parse("", &previous, &[]).unwrap();
    assert!(
        matches!(
            config.auth.jwt.as_ref().unwrap().keys,
            JwtKeys::Secret { previous: None, .. }
        ),
        "{config:?}"
    );
    // The log names files, and nothing prints what they hold.
    let raw = Raw::collect(
        None,
        |name| (name == "JWT_SECRET_FILE").then(|| good.clone()),
        |_| None,
    );
    let shown: Vec<_> = raw
        .shown()
        .map(|(name, text, source)| format!("{name} {text} {source}"))
        .collect();
    assert_eq!(shown, [format!("JWT_SECRET_FILE {good} environment")]);
    let config = Config::parse(&raw).unwrap();
    for printed in [
        format!("{raw:?}"),
        format!("{config:?}"),
        format!("{:?}", config.secret_files),
    ] {
        assert!(!printed.contains(SECRET), "{printed}");
    }
    let too_short = Raw::collect(
        None,
        |name| (name == "JWT_SECRET_FILE").then(|| user.clone()),
        |_| None,
    );
    let said = Config::parse(&too_short).unwrap_err()[0].to_string();
    assert_eq!(
        said,
        "JWT_SECRET_FILE (environment): 3 bytes are too few, at least 32 are needed"
    );
    // Trying out needs no database, and no file of its password.
    let file = format!(
        "database_host = \"db\"\ndatabase_password_file = \"{}\"",
        mounted.path("missing")
    );
    let mut raw = Raw::collect(Some(("policyd.toml", &file)), |_| None, |_| None);
    assert!(Config::parse(&raw).is_err());
    raw.try_out();
    assert!(Config::parse(&raw).is_ok());
    assert_eq!(
        parse("jwt_secret_file = 7", &[], &[]).unwrap_err(),
        ["jwt_secret_file (policyd.toml): expected FILE"]
    );
}

fn files(env: &[(&str, &str)]) -> SecretFiles {
    parse("", env, &[]).unwrap().secret_files.unwrap()
}

/// The configuration that looks at a part give, and whether it is news; why there is none else.
fn looked(files: &mut SecretFiles, part: Part) -> Option<(Result<Config, String>, bool)> {
    let look = match files.look(part) {
        // It was not there the look before.
        Look::Unsettled => files.look(part),
        look => look,
    };
    match look {
        Look::Same => None,
        Look::Unsettled => panic!("nobody writes"),
        Look::Other { candidate, news } => Some((
            candidate.map(|candidate| candidate.config).map_err(|problems| {
                problems
                    .iter()
                    .map(ToString::to_string)
                    .collect::<Vec<_>>()
                    .join("; ")
            }),
            news,
        )),
    }
}

#[test]
fn every_value_that_may_stand_in_a_file_is_looked_at_again() {
    for setting in SETTINGS {
        let parts = Part::ALL
            .iter()
            .filter(|part| part.settings().contains(&setting.name));
        assert_eq!(parts.count(), usize::from(setting.in_file), "{}", setting.name);
    }
}

#[test]
fn changed_files_are_taken_when_they_are_good_and_together() {
    let mounted = Mounted::new(&[("user", "ann"), ("password", "one"), ("secret", SECRET)]);
    let paths = ["user", "password", "secret"].map(|name| mounted.path(name));
    let env = [
        ("DATABASE_HOST", "db"),
        ("DATABASE_USERNAME_FILE", paths[0].as_str()),
        ("DATABASE_PASSWORD_FILE", paths[1].as_str()),
        ("JWT_SECRET_FILE", paths[2].as_str()),
    ];
    let mut files = files(&env);
    assert_eq!(files.parts(), [Part::Tokens, Part::Database]);
    let login = |config: &Config| match &config.store.database {
        Database::Postgres(postgres) => (
            postgres.user.clone().unwrap(),
            postgres.password.as_ref().unwrap().expose_secret().to_owned(),
        ),
        other => panic!("{other:?}"),
    };
    assert!(looked(&mut files, Part::Tokens).is_none() && looked(&mut files, Part::Database).is_none());
    // A pair, and a secret that is too short: one does not hold up the other.
    mounted.put(&[("user", "bob"), ("password", "two\n"), ("secret", "short")]);
    let (refused, news) = looked(&mut files, Part::Tokens).unwrap();
    assert!(refused.unwrap_err().contains("5 bytes are too few") && news);
    // The same again is no news, and still refused.
    assert!(matches!(looked(&mut files, Part::Tokens), Some((Err(_), false))));
    let (config, news) = looked(&mut files, Part::Database).unwrap();
    assert_eq!(
        (login(&config.unwrap()), news),
        (("bob".to_owned(), "two".to_owned()), true)
    );
    // Until somebody takes it, it is not in use.
    let Look::Other {
        candidate,
        news: false,
    } = files.look(Part::Database)
    else {
        panic!("it is the same again");
    };
    files.take(*candidate.unwrap());
    assert!(looked(&mut files, Part::Database).is_none());
    // Missing files, and then those in use again.
    mounted.put(&[("user", "bob"), ("secret", SECRET)]);
    assert!(matches!(looked(&mut files, Part::Database), Some((Err(_), true))));
    assert!(looked(&mut files, Part::Tokens).is_none());
    mounted.put(&[("user", "bob"), ("password", "two"), ("secret", SECRET)]);
    assert!(looked(&mut files, Part::Database).is_none());
    // What went and came again is news.
    mounted.put(&[("user", "bob"), ("secret", SECRET)]);
    assert!(matches!(looked(&mut files, Part::Database), Some((Err(_), true))));
}

#[test]
fn a_pair_that_is_replaced_while_it_is_read_is_never_of_two_halves() {
    use std::sync::atomic::{AtomicBool, Ordering};
    let mounted = Mounted::new(&[("user", "0"), ("password", "0")]);
    let (user, password) = (mounted.path("user"), mounted.path("password"));
    let mut files = files(&[
        ("DATABASE_HOST", "db"),
        ("DATABASE_USERNAME_FILE", &user),
        ("DATABASE_PASSWORD_FILE", &password),
    ]);
    let done = AtomicBool::new(false);
    let seen = std::thread::scope(|scope| {
        // Ends with the scope also where the test fails.
        let looks = scope.spawn(|| {
            let mut seen = 0;
            while !done.load(Ordering::SeqCst) {
                let Look::Other { candidate, .. } = files.look(Part::Database) else {
                    continue;
                };
                let candidate = candidate.unwrap();
                let Database::Postgres(postgres) = &candidate.config.store.database else {
                    panic!("another database");
                };
                let password = postgres.password.as_ref().unwrap().expose_secret();
                assert_eq!(postgres.user.as_deref(), Some(password));
                files.take(*candidate);
                seen += 1;
            }
            seen
        });
        for version in 1..=300 {
            let text = version.to_string();
            mounted.put(&[("user", &text), ("password", &text)]);
            if looks.is_finished() {
                break;
            }
            if version % 20 == 0 {
                std::thread::sleep(std::time::Duration::from_millis(2));
            }
        }
        done.store(true, Ordering::SeqCst);
        looks.join().unwrap()
    });
    assert!(seen > 0);
}

/// As editors do, and whoever says `>`.
#[test]
fn a_file_that_is_emptied_and_written_anew_is_not_taken_by_halves() {
    let mounted = Mounted::new(&[("secret", SECRET), ("previous", OTHER)]);
    let (secret, previous) = (mounted.path("secret"), mounted.path("previous"));
    let mut files = files(&[
        ("JWT_SECRET_FILE", &secret),
        ("JWT_SECRET_PREVIOUS_FILE", &previous),
    ]);
    // Empty is good for the one and long enough for the other, and neither is what is meant.
    for (path, halves) in [
        (&previous, ["", OTHER]),
        (&secret, [&OTHER[..32], SECRET]),
        (&secret, ["", SECRET]),
    ] {
        std::fs::write(path, halves[0]).unwrap();
        assert!(matches!(files.look(Part::Tokens), Look::Unsettled), "{halves:?}");
        std::fs::write(path, halves[1]).unwrap();
        assert!(matches!(files.look(Part::Tokens), Look::Same), "{halves:?}");
    }
    // Each of them is of another moment.
    for half in ["", &OTHER[..32], &OTHER[..33], ""] {
        std::fs::write(&previous, half).unwrap();
        assert!(matches!(files.look(Part::Tokens), Look::Unsettled), "{half}");
    }
    let Look::Other { candidate, .. } = files.look(Part::Tokens) else {
        panic!("nobody writes any more");
    };
    files.take(*candidate.unwrap());
    assert!(matches!(files.look(Part::Tokens), Look::Same));
    // What was a file and is none is missed.
    std::fs::remove_file(&secret).unwrap();
    let made = std::process::Command::new("mkfifo")
        .arg(&secret)
        .status()
        .unwrap();
    assert!(made.success());
    let (refused, _) = looked(&mut files, Part::Tokens).unwrap();
    assert!(refused.unwrap_err().contains("is no file any more"));
}

/// As a shell makes one for `<(command)`.
#[test]
fn a_pipe_is_read_once_and_not_waited_for() {
    let folder = tempfile::tempdir().unwrap();
    let pipe = folder.path().join("pipe");
    let made = std::process::Command::new("mkfifo").arg(&pipe).status().unwrap();
    assert!(made.success());
    let path = pipe.to_str().unwrap().to_owned();
    let writer = std::thread::spawn(move || std::fs::write(pipe, SECRET).unwrap());
    let mut files = files(&[("JWT_SECRET_FILE", &path)]);
    writer.join().unwrap();
    let (say, said) = std::sync::mpsc::channel();
    std::thread::spawn(move || say.send(looked(&mut files, Part::Tokens).is_none()));
    let same = said.recv_timeout(std::time::Duration::from_secs(20));
    assert_eq!(same, Ok(true), "nobody writes any more");
}

#[test]
fn there_is_one_more_secret_of_tokens_or_none() {
    let keys = |env: &[(&str, &str)]| {
        parse("", env, &[]).map(|config| (config.auth.jwt.unwrap().keys, config.notes))
    };
    let secret = ("JWT_SECRET", SECRET);
    let (JwtKeys::Secret { current, previous }, notes) =
        keys(&[secret, ("JWT_SECRET_PREVIOUS", OTHER)]).unwrap()
    else {
        panic!("no secrets");
    };
    assert_eq!((current.expose_secret(), notes.len()), (SECRET, 0));
    assert_eq!(previous.unwrap().expose_secret(), OTHER);
    // One that is the same does nothing, which is said.
    let (_, notes) = keys(&[secret, ("JWT_SECRET_PREVIOUS", SECRET)]).unwrap();
    assert_eq!(
        notes[0].to_string(),
        "JWT_SECRET_PREVIOUS (environment): is the same as JWT_SECRET, so it does nothing"
    );
    for (env, says) in [
        (
            &[secret, ("JWT_SECRET_PREVIOUS", "short")] as &[_],
            "5 bytes are too few",
        ),
        (&[("JWT_SECRET_PREVIOUS", OTHER)], "needs JWT_SECRET"),
        (
            &[("JWT_PUBLIC_KEY", "x.pem"), ("JWT_SECRET_PREVIOUS", OTHER)],
            "needs JWT_SECRET",
        ),
    ] {
        let problems = parse("", env, &[]).unwrap_err();
        assert!(
            problems.len() == 1
                && problems[0].starts_with(&format!("JWT_SECRET_PREVIOUS (environment): {says}")),
            "{problems:?}"
        );
    }
}

#[test]
fn redis_users_stand_in_parts_or_in_the_url() {
    let redis = |env: &[(&str, &str)]| {
        parse("", env, &[]).map(|config| config.cache.redis.unwrap().url.expose_secret().to_owned())
    };
    let (host, user, password) = (
        ("REDIS_HOST", "cache"),
        ("REDIS_USERNAME", "p@licyd"),
        ("REDIS_PASSWORD", "p@ss"),
    );
    assert_eq!(
        redis(&[host, user, password]).unwrap(),
        "redis://p%40licyd:p%40ss@cache:6379/0"
    );
    let url = ("REDIS_URL", "redis://p%40licyd:p%40ss@cache:6379/0");
    assert_eq!(redis(&[url, user, password]).unwrap(), url.1);
    assert_eq!(
        redis(&[("REDIS_URL", "redis://cache:6379/0"), user, password]).unwrap(),
        url.1
    );
    // What looks like an escape is none.
    let (user, password) = (("REDIS_USERNAME", "a%41"), ("REDIS_PASSWORD", "50%25!"));
    for place in [host, ("REDIS_URL", "redis://cache:6379/0")] {
        assert_eq!(
            redis(&[place, user, password]).unwrap(),
            "redis://a%2541:50%2525%21@cache:6379/0"
        );
    }
    let problems = redis(&[url, ("REDIS_USERNAME", "other")]).unwrap_err();
    assert_eq!(
        problems,
        ["REDIS_USERNAME (environment): is `other`, and REDIS_URL (environment) says `p@licyd`"]
    );
    for env in [&[host, user] as &[_], &[("REDIS_URL", "redis://cache"), user]] {
        let problems = redis(env).unwrap_err();
        assert_eq!(
            problems,
            ["REDIS_USERNAME (environment): needs REDIS_PASSWORD: Redis logs nobody in without one"]
        );
    }
}

#[test]
fn a_token_for_bundles_goes_to_nobody_else() {
    let with = |url: &str, token: &str| parse("", &[("BUNDLE", url), ("BUNDLE_TOKEN", token)], &[]);
    for url in [
        "https://policies.example/x",
        "http://localhost:1/x",
        "http://127.0.0.1/x",
        "http://[::1]:1/x",
    ] {
        let token = with(url, "lpk_abc.def").unwrap().policies.token;
        assert_eq!(token.unwrap().expose_secret(), "lpk_abc.def", "{url}");
    }
    for (url, token, says) in [
        (
            "http://policies.example/x",
            "t",
            "would be sent without TLS to http://policies.example/x",
        ),
        ("http://localhost.example/x", "t", "would be sent without TLS"),
        (
            "https://u:pa55@policies.example/x",
            "t",
            "contradicts the user and password in BUNDLE",
        ),
        (
            "https://policies.example/x",
            "a b",
            "holds characters that a token cannot have",
        ),
        ("x.bundle", "t", "needs BUNDLE that begins with `http`"),
    ] {
        let problems = with(url, token).unwrap_err();
        assert!(problems.len() == 1 && problems[0].contains(says), "{problems:?}");
        assert!(!problems[0].contains("pa55"), "{problems:?}");
    }
}

#[test]
fn variables_that_kubernetes_sets_for_a_service_are_told() {
    let problems = parse(
        "",
        &[("REDIS_HOST", "redis"), ("REDIS_PORT", "tcp://10.0.0.1:6379")],
        &[],
    )
    .unwrap_err();
    assert_eq!(problems.len(), 1, "{problems:?}");
    assert!(
        problems[0].starts_with("REDIS_PORT (environment): expected a port, from 0 to 65535, found `tcp://")
            && problems[0].contains("Service `redis`")
            && problems[0].contains("`enableServiceLinks: false`"),
        "{problems:?}"
    );
    // Also where nobody asked for a Redis or a database.
    for (name, says) in [
        ("REDIS_PORT", "needs REDIS_HOST or REDIS_URL"),
        ("DATABASE_PORT", "needs DATABASE_HOST"),
    ] {
        let problems = parse("", &[(name, "tcp://10.0.0.1:1")], &[]).unwrap_err();
        assert!(
            problems.len() == 1
                && problems[0].contains(says)
                && problems[0].contains("`enableServiceLinks: false`"),
            "{problems:?}"
        );
    }
    let problems = parse("", &[("METRICS_PORT", "many")], &[]).unwrap_err();
    assert!(!problems[0].contains("Kubernetes"), "{problems:?}");
}

#[test]
fn the_admin_listener_is_found_whatever_else_is_wrong() {
    let admin = |env: &[(&str, &str)]| {
        let find = |name: &str| env.iter().find(|(n, _)| *n == name).map(|(_, v)| (*v).to_owned());
        Config::admin(&Raw::collect(None, find, |_| None)).map(|address| address.to_string())
    };
    let everywhere = [
        ("METRICS_HOST", "0.0.0.0"),
        ("METRICS_PORT", "1"),
        ("PORT", "many"),
    ];
    assert_eq!(admin(&everywhere).unwrap(), "0.0.0.0:1");
    assert_eq!(admin(&[]).unwrap(), "127.0.0.1:9090");
    assert_eq!(admin(&[("METRICS_PORT", "many")]).unwrap_err().len(), 1);
}

/// The variables of clouds say who may use a bucket.
#[test]
fn variables_of_clouds_are_beside_no_setting() {
    let page = include_str!("../../../docs/segments.md");
    let letters = |c: char| !(c.is_ascii_uppercase() || c == '_');
    let named: std::collections::BTreeSet<&str> = page
        .split(letters)
        .filter(|word| {
            ["AWS_", "GOOGLE_", "AZURE_"]
                .iter()
                .any(|cloud| word.starts_with(cloud))
        })
        .collect();
    assert!(named.len() > 20, "{named:?}");
    for name in named {
        let told = Raw::strangers(std::iter::once(name.to_owned()));
        assert!(told.is_empty(), "{told:?}");
    }
}

#[test]
fn names_beside_a_setting_are_told_and_others_are_not() {
    let told = |name: &str| Raw::strangers(std::iter::once(name.to_owned()));
    for (name, meant) in [
        ("JWT_SECRT", "JWT_SECRET"),
        ("JWT_SECERT", "JWT_SECRET"),
        ("jwt_secret", "JWT_SECRET"),
        ("DATABASE_URI", "DATABASE_URL"),
        ("DATABASE_USER_NAME", "DATABASE_USERNAME"),
        ("API_KEY_ENABLED", "API_KEYS_ENABLED"),
        ("RATE-LIMIT", "RATE_LIMIT"),
        ("POLICES", "POLICIES"),
        ("HOSTS", "HOST"),
        ("APPROVALS_REQUIRED", "APPROVAL_REQUIRED"),
    ] {
        let warnings = told(name);
        assert_eq!(warnings.len(), 1, "{name}");
        assert!(
            warnings[0].contains(&format!(" {name} "))
                && warnings[0].ends_with(&format!("did you mean {meant}?")),
            "{warnings:?}"
        );
    }
    for (name, says) in [
        ("JWT_SECRT_FILE", "did you mean JWT_SECRET_FILE?"),
        ("DATABASE_PASWORD_FILE", "did you mean DATABASE_PASSWORD_FILE?"),
        ("TLS_KEY_FILE", "TLS_KEY itself names the file"),
        ("POLICIES_FILE", "POLICIES itself names the file"),
        (
            "REDIS_HOST_FILE",
            "the value of REDIS_HOST cannot stand in a file",
        ),
        ("PORT_FILE", "the value of PORT cannot stand in a file"),
    ] {
        let warnings = told(name);
        assert!(warnings.len() == 1 && warnings[0].ends_with(says), "{warnings:?}");
    }
    for name in [
        "SSL_CERT_FILE",
        "POSTGRES_PASSWORD_FILE",
        "KUBECONFIG",
        "PGPASSFILE",
        "AWS_WEB_IDENTITY_TOKEN_FILE",
        "COMPOSE_FILE",
        "DATABASE_SERVICE_PORT",
        "METRICS_SERVICE_HOST",
        "HOME",
        "PATH",
        "PWD",
        "USER",
        "TERM",
        "SHELL",
        "LANG",
        "LC_ALL",
        "HOSTNAME",
        "CONFIG",
        "NO_COLOR",
        "RUST_LOG",
        "POLICY_SERVER",
        "POLICY_TOKEN",
        "POLICY_API_KEY",
        "POLICY_GRPC_SERVER",
        "POLICYD_PORT",
        "POLICYD_SERVICE_HOST",
        "POLICYD_SERVICE_PORT",
        "REDIS_SERVICE_HOST",
        "REDIS_PORT_6379_TCP",
        "KUBERNETES_PORT",
        "HTTP_PROXY",
        "HTTPS_PROXY",
        "NO_PROXY",
        "SSL_CERT_FILE",
        "TZ",
        "TMPDIR",
        "LOGNAME",
        "MAIL",
        "OLDPWD",
        "SHLVL",
    ] {
        assert_eq!(told(name), [""; 0], "{name}");
    }
    for setting in SETTINGS {
        assert_eq!(told(setting.name), [""; 0]);
        assert!(setting.file_name().is_none_or(|name| told(&name).is_empty()));
    }
    // Names of the earlier implementation come together in one line, behind what is said of others.
    for earlier in super::earlier::EARLIER {
        let said = told(earlier.name);
        assert_eq!(said.len(), 1, "{said:?}");
        assert!(
            said[0].contains(&format!("their place): {} (", earlier.name)),
            "{}",
            said[0]
        );
    }
    let several = ["JAEGER_ENDPOINT", "HOSTS", "PATH", "NODE_ENV"].map(str::to_owned);
    assert_eq!(
        Raw::strangers(several.into_iter()),
        [
            "the environment variable HOSTS is no setting and has no effect; did you mean HOST?",
            "these environment variables are of the earlier implementation and have no effect (what takes their place): NODE_ENV \
             (nothing: there is one mode; --dev is for trying out), JAEGER_ENDPOINT (OTLP_ENDPOINT, which Jaeger takes too); see \
             docs/migrating.md",
        ]
    );
}

#[test]
fn limits_of_connections_and_bodies_are_numbers_that_can_be() {
    let config = parse("", &[], &[]).unwrap();
    assert_eq!(
        (config.net.connections, config.net.connections_per_address),
        (10_000, None)
    );
    let env = [
        ("MAX_CONNECTIONS_PER_ADDRESS", "7"),
        ("ALLOWED_HOSTS", "policy.internal, 10.0.0.1"),
    ];
    let config = parse("", &env, &[]).unwrap();
    assert_eq!(config.net.connections_per_address, Some(7));
    assert_eq!(config.net.allowed_hosts, ["policy.internal", "10.0.0.1"]);
    for (name, text) in [
        ("MAX_CONNECTIONS", "0"),
        ("MAX_CONNECTIONS_PER_ADDRESS", "-1"),
        ("HEADER_TIMEOUT", "0"),
        ("IDLE_TIMEOUT", "0s"),
        ("BODY_TIMEOUT", "0"),
        ("BODY_MEMORY", "1MB"),
        ("AUTH_FAILURES", "many"),
        ("ALLOWED_HOSTS", "http://policy.internal"),
    ] {
        let problems = parse("", &[(name, text)], &[]).unwrap_err();
        assert!(
            problems.len() == 1 && problems[0].starts_with(name),
            "{problems:?}"
        );
    }
}

/// Docker, Compose and shells read a line each in their own way; what all of them take is a name, `=`, and plain characters.
#[test]
fn the_example_of_an_environment_holds_every_setting_and_is_read_by_everybody() {
    let path = format!("{}/../.env.example", env!("CARGO_MANIFEST_DIR"));
    let text = std::fs::read_to_string(path).unwrap();
    assert_eq!(text, table::env_example(), "run `cargo xtask gen`");
    let mut names = Vec::new();
    let mut env: Vec<(&str, &str)> = Vec::new();
    for line in text.lines().filter(|line| !line.is_empty()) {
        assert!(line.starts_with('#'), "as it is, it sets nothing: {line}");
        let Some((name, value)) = line[1..].split_once('=').filter(|_| !line.starts_with("# ")) else {
            continue;
        };
        let plain = |c: char| c.is_ascii_alphanumeric() || "._-/:,".contains(c);
        assert!(value.chars().all(plain), "{line}");
        names.push(name);
        if !value.is_empty() {
            env.push((name, value));
        }
    }
    let all: Vec<String> = names::names().collect();
    assert_eq!(names, all);
    // With every default written out, it says what it said before, but for what does nothing by itself.
    let problems = parse("", &env, &[]).err().unwrap_or_default();
    assert!(
        problems.iter().all(|problem| problem.contains(": needs ")),
        "{problems:?}"
    );
    let alone: Vec<_> = env
        .iter()
        .filter(|(name, _)| of_name(name).needs.is_empty())
        .copied()
        .collect();
    assert!(alone.len() > 40 && parse("", &alone, &[]).is_ok());
    for (name, default) in alone {
        assert_eq!(of_name(name).default, Some(default));
    }
}

/// A value that a setting takes.
fn some_value(setting: &Setting) -> &'static str {
    match setting.value {
        "BOOL" => "true",
        "PORT" | "NUMBER" | "0…1" => "1",
        "DURATION" => "1m",
        "BYTES" => "1MB",
        "URL" => match setting.name {
            "DATABASE_URL" => "postgres://h/d",
            "REDIS_URL" => "redis://h",
            _ => "http://h",
        },
        "FILE|URL" => "http://h/x",
        value if value.starts_with(char::is_lowercase) => value.split('|').next().unwrap(),
        value if value.starts_with("HS256") => "RS256",
        _ => "a text that is long enough to be a secret",
    }
}

fn of_name(name: &str) -> &'static Setting {
    SETTINGS.iter().find(|setting| setting.name == name).unwrap()
}

/// What makes another setting as a rule says it.
fn given(other: Other) -> (&'static str, &'static str) {
    let (name, text) = other.split_once(['=', '~']).unwrap_or((other, ""));
    let setting = of_name(name);
    let value = match text {
        "" | "on" => some_value(setting),
        "postgres" => "postgres://h/d",
        "sqlite" => "sqlite::memory:",
        "rediss:" => "rediss://h",
        "http" => "http://h/x",
        other => other,
    };
    (setting.name, value)
}

#[test]
fn no_setting_is_silently_without_effect() {
    let mut rules = 0;
    for setting in SETTINGS {
        let own = (setting.name, some_value(setting));
        let says = |env: &[(&str, &str)], text: &str| {
            let problems = parse("", env, &[]).err().unwrap_or_default();
            problems
                .iter()
                .any(|problem| problem.starts_with(&format!("{} (environment): {text}", setting.name)))
        };
        for needed in setting.needs {
            rules += 1;
            let missing = format!("needs {}", table::any_of(needed));
            // `store` is among the places where decisions are written unless somebody says otherwise.
            if needed.contains(&"DECISION_LOG~store") {
                assert!(says(&[own, ("DECISION_LOG", "stdout")], &missing));
            } else {
                assert!(says(&[own], &missing), "{} alone", setting.name);
            }
            for other in *needed {
                assert!(
                    !says(&[own, given(other)], &missing),
                    "{} with {other}",
                    setting.name
                );
            }
        }
        for other in setting.contradicts {
            rules += 1;
            let (name, _) = given(other);
            let contradicts = format!("contradicts {name} (environment)");
            assert!(
                says(&[own, given(other)], &contradicts),
                "{} with {other}",
                setting.name
            );
            assert!(!says(&[own], "contradicts"), "{} alone", setting.name);
        }
    }
    assert!(rules > 40, "{rules}");
    // What is switched off needs nothing, and what it switches off stays as it is.
    for env in [
        &[("RATE_LIMIT_SHARED", "false")] as &[(&str, &str)],
        &[("APPROVAL_REQUIRED", "no")],
        &[("INSECURE_NO_AUTH", "0"), ("API_KEYS_ENABLED", "true")],
        &[
            ("TRACE_ENABLED", "false"),
            ("TRACE_SAMPLE", "1"),
            ("OTLP_ENDPOINT", "http://h"),
        ],
        &[("CACHE_ENABLED", "false"), ("CACHE_TTL", "1")],
        &[("DECISION_LOG", "off"), ("DECISION_LOG_MASK", "llm.prompt")],
        &[("DECISION_LOG_SPOOL", "0")],
    ] {
        assert!(parse("", env, &[]).is_ok(), "{env:?}");
    }
    // Both places are named, as their sources spell them.
    let problems = parse("policies = \"dir\"", &[], &[("BUNDLE", "x.bundle")]).unwrap_err();
    assert_eq!(
        problems,
        ["--bundle (command line): contradicts policies (policyd.toml)"]
    );
}

fn postgres(env: &[(&str, &str)]) -> Postgres {
    match parse("", env, &[]).unwrap().store.database {
        Database::Postgres(postgres) => postgres,
        other => panic!("{other:?}"),
    }
}

#[test]
fn segments_have_a_folder_and_a_journal_that_holds_two_of_them() {
    let of = |env: &[(&str, &str)]| {
        let all = [env, &[("DECISION_LOG", "segments"), ("DATA_DIR", "/data")]].concat();
        parse("", &all, &[]).map(|config| config.log.segments.unwrap())
    };
    let default = of(&[]).unwrap();
    let folder = |path: &str| Archive::Folder(path.into());
    assert_eq!(default.archive, folder("/data/decisions"));
    assert_eq!(default.journal, Path::new("/data/decisions-journal"));
    let other = of(&[("DECISION_LOG_SEGMENTS", "/mnt/log")]).unwrap();
    assert_eq!(other.archive, folder("/mnt/log"));
    let bucket = of(&[
        ("DECISION_LOG_SEGMENTS", "s3://bucket/log"),
        ("DECISION_LOG_SEGMENTS_TLS_CA", "/etc/ca.pem"),
    ])
    .unwrap();
    assert_eq!(bucket.archive.to_string(), "s3://bucket/log");
    for (name, value, problem) in [
        ("DECISION_LOG_SPOOL", "100MB", "must be at least twice"),
        ("DECISION_LOG_SPOOL", "0", "must be at least twice"),
        ("DECISION_LOG_SEAL_BYTES", "64", "must be at least 1MB"),
        ("DECISION_LOG_SEGMENTS", "ftp://bucket/log", "a folder"),
        (
            "DECISION_LOG_SEGMENTS",
            "s3://key:S3CRET@bucket/log",
            "a password",
        ),
    ] {
        let problems = of(&[(name, value)]).unwrap_err().join("\n");
        assert!(
            problems.contains(name) && problems.contains(problem) && !problems.contains("S3CRET"),
            "{problems}"
        );
    }
    assert!(parse("", &[], &[]).unwrap().log.segments.is_none());
}

#[test]
fn a_pooler_gives_connections_away_as_it_is_told() {
    let of = |mode| postgres(&[("DATABASE_URL", "postgres://db/x"), ("DATABASE_POOL_MODE", mode)]).pooled;
    assert!(of("transaction") && !of("session"));
    assert!(postgres(&[("DATABASE_HOST", "db"), ("DATABASE_POOL_MODE", "transaction")]).pooled);
    assert!(!postgres(&[("DATABASE_HOST", "db")]).pooled);
    let wrong = |mode, url| {
        let env = [("DATABASE_URL", url), ("DATABASE_POOL_MODE", mode)];
        parse("", &env, &[]).unwrap_err().join("\n")
    };
    let said = wrong("statement", "postgres://db/x");
    assert!(said.contains("expected session|transaction"), "{said}");
    let said = wrong("transaction", "sqlite::memory:");
    assert!(said.contains("DATABASE_POOL_MODE"), "{said}");
}

#[test]
fn namespaces_of_tokens_are_asked_for_where_there_are_tokens() {
    let require = ("JWT_REQUIRE_NAMESPACES", "true");
    let secret = ("JWT_SECRET", "a secret of the tests, with more than 32 bytes");
    let config = parse("", &[secret, require], &[]).unwrap();
    assert!(config.auth.jwt.unwrap().require_namespaces);
    assert!(
        !parse("", &[secret], &[])
            .unwrap()
            .auth
            .jwt
            .unwrap()
            .require_namespaces
    );
    let problems = parse("", &[require], &[("API_KEYS_ENABLED", "true")]).unwrap_err();
    assert!(problems[0].starts_with("JWT_REQUIRE_NAMESPACES (environment): needs "));
    assert_eq!(problems.len(), 1, "{problems:#?}");
}

#[test]
fn a_url_and_parts_add_to_each_other_or_say_the_same() {
    let url = (
        "DATABASE_URL",
        "postgresql://ann:p%40ss@db:5432/policies?sslmode=require",
    );
    // What the URL leaves open applies.
    let open = postgres(&[
        ("DATABASE_URL", "postgresql://db"),
        ("DATABASE_PORT", "6000"),
        ("DATABASE_USERNAME", "ann"),
        ("DATABASE_PASSWORD", "secret"),
        ("DATABASE_NAME", "policies"),
        ("DATABASE_SSL_MODE", "verify-full"),
        ("DATABASE_SSL_ROOT_CERT", "ca.pem"),
        ("DATABASE_HOST", "DB"),
    ]);
    assert_eq!(
        (open.port, open.user.as_deref(), open.database.as_deref()),
        (Some(6000), Some("ann"), Some("policies"))
    );
    assert_eq!((open.ssl_mode.as_deref(), open.host), (Some("verify-full"), None));
    assert_eq!(open.ssl_root_cert.unwrap().to_str(), Some("ca.pem"));
    assert_eq!(open.password.unwrap().expose_secret(), "secret");
    // What both say is the same.
    let same = postgres(&[
        url,
        ("DATABASE_HOST", "db"),
        ("DATABASE_PORT", "5432"),
        ("DATABASE_USERNAME", "ann"),
        ("DATABASE_PASSWORD", "p@ss"),
        ("DATABASE_NAME", "policies"),
        ("DATABASE_SSL_MODE", "require"),
    ]);
    assert_eq!((same.port, same.user, same.ssl_mode), (None, None, None));
    // Where they differ, both places are named, all of them at once, and no secret.
    let problems = parse(
        "database_name = \"other\"",
        &[
            url,
            ("DATABASE_HOST", "elsewhere"),
            ("DATABASE_PORT", "1"),
            ("DATABASE_USERNAME", "bob"),
            ("DATABASE_PASSWORD", "hunter2"),
        ],
        &[("DATABASE_SSL_MODE", "verify-full")],
    )
    .unwrap_err();
    assert_eq!(
        problems,
        [
            "DATABASE_HOST (environment): is `elsewhere`, and DATABASE_URL (environment) says `db`",
            "DATABASE_PORT (environment): is `1`, and DATABASE_URL (environment) says `5432`",
            "DATABASE_USERNAME (environment): is `bob`, and DATABASE_URL (environment) says `ann`",
            "DATABASE_PASSWORD (environment): is not what DATABASE_URL (environment) says",
            "database_name (policyd.toml): is `other`, and DATABASE_URL (environment) says `policies`",
            "--database-ssl-mode (command line): is `verify-full`, and DATABASE_URL (environment) says `require`",
        ]
    );

    let redis = |env: &[(&str, &str)]| {
        parse("", env, &[]).map(|config| config.cache.redis.unwrap().url.expose_secret().to_owned())
    };
    let url = ("REDIS_URL", "rediss://:p%40ss@cache:6380/2");
    let parts = [
        ("REDIS_HOST", "cache"),
        ("REDIS_PORT", "6380"),
        ("REDIS_PASSWORD", "p@ss"),
        ("REDIS_DB", "2"),
        ("REDIS_TLS_ENABLED", "yes"),
    ];
    assert_eq!(redis(&[&[url], &parts[..]].concat()).unwrap(), url.1);
    let open = [&[("REDIS_URL", "rediss://cache")], &parts[..]].concat();
    assert_eq!(redis(&open).unwrap(), url.1);
    let problems = redis(&[
        url,
        ("REDIS_HOST", "b"),
        ("REDIS_PORT", "1"),
        ("REDIS_PASSWORD", "hunter2"),
        ("REDIS_DB", "3"),
        ("REDIS_TLS_ENABLED", "false"),
    ])
    .unwrap_err();
    assert_eq!(problems.len(), 5, "{problems:?}");
    assert!(
        problems
            .iter()
            .all(|problem| problem.contains("REDIS_URL (environment)")),
        "{problems:?}"
    );
    assert!(!problems.concat().contains("hunter2"), "{problems:?}");
    assert_eq!(
        redis(&[("REDIS_URL", "redis://cache"), ("REDIS_DB", "x")]).unwrap_err(),
        ["REDIS_DB (environment): expected a whole number, found `x`"]
    );
}

/// The names and values that the brief's block of environment variables holds.
const BLOCK: [(&str, &str); 23] = [
    ("NODE_ENV", "production"),
    ("PORT", "3000"),
    ("GRPC_PORT", "50051"),
    (
        "DATABASE_URL",
        "postgresql://user:pass@localhost:5432/llm_policy_engine",
    ),
    ("DATABASE_HOST", "postgres"),
    ("DATABASE_PORT", "5432"),
    ("DATABASE_USERNAME", "llm_policy_engine"),
    ("DATABASE_PASSWORD", "<sealed-secret>"),
    ("DATABASE_NAME", "llm_policy_engine"),
    ("DATABASE_SSL_MODE", "require"),
    ("REDIS_URL", "redis://localhost:6379"),
    ("REDIS_HOST", "redis"),
    ("REDIS_PORT", "6379"),
    ("REDIS_PASSWORD", "<sealed-secret>"),
    ("REDIS_DB", "0"),
    ("REDIS_TLS_ENABLED", "true"),
    ("CACHE_ENABLED", "true"),
    ("CACHE_TTL", "300"),
    ("JWT_SECRET", "<sealed-secret>"),
    ("JWT_ALGORITHM", "HS256"),
    ("JWT_EXPIRES_IN", "1h"),
    ("JWT_ISSUER", "llm-policy-engine"),
    ("JWT_AUDIENCE", "llm-policy-engine-api"),
];

/// Its last lines.
const REST_OF_BLOCK: [(&str, &str); 3] = [
    ("LOG_LEVEL", "info"),
    ("METRICS_PORT", "9090"),
    ("TRACE_ENABLED", "true"),
];

/// The variables that `docker-compose.yml` and the image give `policyd`.
#[test]
fn docker_compose_starts_and_names_nothing_that_is_no_setting() {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let compose = std::fs::read_to_string(root.join("docker-compose.yml")).unwrap();
    let compose: serde_yaml::Value = serde_yaml::from_str(&compose).unwrap();
    let given = compose["services"]["policyd"]["environment"]
        .as_mapping()
        .unwrap();
    let mut env: Vec<(&str, &str)> = given
        .iter()
        .map(|(name, text)| (name.as_str().unwrap(), text.as_str().unwrap()))
        .collect();
    let dockerfile = std::fs::read_to_string(root.join("Dockerfile")).unwrap();
    let (_, image) = dockerfile.split_once("\nENV HOST").unwrap();
    let (image, _) = image.split_once("\nWORKDIR").unwrap();
    let image = format!("HOST{image}").replace('\\', "");
    env.extend(image.split_whitespace().map(|word| word.split_once('=').unwrap()));
    for (name, _) in &env {
        assert!(SETTINGS.iter().any(|setting| setting.name == *name), "{name}");
    }
    let config = parse("", &env, &[]).unwrap();
    assert_eq!(config.net.http.to_string(), "0.0.0.0:3000");
    assert!(matches!(config.store.database, Database::Postgres(_)));
    assert_eq!(
        config.cache.redis.unwrap().url.expose_secret(),
        "redis://redis:6379/0"
    );
    // Docker kills what has not ended by then.
    let grace = compose["services"]["policyd"]["stop_grace_period"]
        .as_str()
        .unwrap();
    let grace = duration(grace).unwrap();
    assert!(
        grace >= config.net.shutdown_delay + config.net.shutdown_grace + std::time::Duration::from_secs(5)
    );
}

#[test]
fn the_block_of_the_brief_starts() {
    let block = [&BLOCK[..], &REST_OF_BLOCK[..]].concat();
    let with = |secret: &'static str| -> Vec<(&'static str, &'static str)> {
        let value = |value: &'static str| if value == "<sealed-secret>" { secret } else { value };
        block.iter().map(|(name, text)| (*name, value(text))).collect()
    };
    // With secrets in their places. Its URLs name this machine, as for development, and its parts those of production, so
    // the parts count, and it is said.
    let config = parse("", &with("0123456789abcdef0123456789abcdef"), &[]).unwrap();
    let Database::Postgres(postgres) = &config.store.database else {
        panic!("{:?}", config.store.database);
    };
    assert!(postgres.url.is_none());
    assert_eq!(
        (postgres.host.as_deref(), postgres.port),
        (Some("postgres"), Some(5432))
    );
    assert_eq!(
        (postgres.user.as_deref(), postgres.ssl_mode.as_deref()),
        (Some("llm_policy_engine"), Some("require"))
    );
    assert_eq!(
        config.cache.redis.as_ref().unwrap().url.expose_secret(),
        "rediss://:0123456789abcdef0123456789abcdef@redis:6379/0"
    );
    assert!(config.auth.required() && config.telemetry.otlp.is_some());
    let notes: Vec<String> = config.notes.iter().map(ToString::to_string).collect();
    assert_eq!(
        notes,
        [
            "DATABASE_URL (environment): names `localhost`, and DATABASE_HOST (environment) names `postgres`: the parts are \
             used, and nothing of the URL",
            "REDIS_URL (environment): names `localhost`, and REDIS_HOST (environment) names `redis`: the parts are used, and \
             nothing of the URL",
        ]
    );
    // As it is, it has a secret that everybody knows and that is too short.
    let problems = parse("", &with("<sealed-secret>"), &[]).unwrap_err();
    assert_eq!(
        problems,
        ["JWT_SECRET (environment): 15 bytes are too few, at least 32 are needed"]
    );
    // A URL of this machine that asks for more than the parts is no example that was left in place.
    for (url, name) in [
        (
            ("DATABASE_URL", "postgresql://localhost/d?sslmode=verify-full"),
            "DATABASE_HOST",
        ),
        (("REDIS_URL", "rediss://localhost"), "REDIS_HOST"),
    ] {
        let problems = parse("", &[url, (name, "elsewhere")], &[]).unwrap_err();
        assert!(problems[0].starts_with(name), "{problems:?}");
    }
}

#[test]
fn a_share_is_percent() {
    let share = |text| parse("", &[("QUOTA_SHARE", text)], &[]).map(|config| config.limits.quota.share);
    let config = parse("", &[], &[]).unwrap();
    assert_eq!((config.limits.quota.share, config.limits.keys), (10, 1000));
    assert_eq!((share("0").unwrap(), share("100").unwrap()), (0, 100));
    for text in ["101", "-1", "1.5", "10%"] {
        let said = share(text).unwrap_err().join("; ");
        assert!(said.contains("expected 0…100"), "{text}: {said}");
    }
}

#[test]
fn webhooks_need_a_receiver_and_a_secret() {
    const SECRET: (&str, &str) = (
        "WEBHOOK_SECRET",
        "whsec_MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=",
    );
    let log = (
        "DECISION_LOG",
        "store, webhook:https://siem.example.org/in?tenant=a",
    );
    let config = parse("", &[log, SECRET], &[]).unwrap().log;
    assert_eq!(config.sinks, [Sink::Store, Sink::Webhook]);
    let webhook = config.webhook.unwrap();
    assert_eq!(webhook.url.expose(), "https://siem.example.org/in?tenant=a");
    assert_eq!((webhook.secrets.len(), webhook.batch), (1, 100));
    assert!(webhook.spool.directory.ends_with("webhook-spool") && webhook.spool.required);
    let audit = webhook.audit.unwrap();
    assert!(!audit.all && audit.cursor.ends_with("webhook-audit.json"));
    for (format, audit, expected) in [
        ("governance", None, Some(false)),
        ("cloudevents", Some("all"), Some(true)),
        ("cloudevents", Some("off"), None),
        ("costops", None, None),
        ("costops", Some("off"), None),
    ] {
        let mut settings = vec![log, SECRET, ("WEBHOOK_FORMAT", format)];
        settings.extend(audit.map(|audit| ("WEBHOOK_AUDIT", audit)));
        let webhook = parse("", &settings, &[]).unwrap().log.webhook.unwrap();
        assert_eq!(
            webhook.audit.map(|audit| audit.all),
            expected,
            "{format} {audit:?}"
        );
    }
    let both = format!("{0}, {0}", SECRET.1);
    let config = parse("", &[log, ("WEBHOOK_SECRET", &both)], &[]).unwrap().log;
    assert_eq!(config.webhook.unwrap().secrets.len(), 2);

    for (env, problem) in [
        (
            &[log] as &[_],
            "DECISION_LOG (environment): `webhook:` needs a WEBHOOK_SECRET to sign with",
        ),
        (
            &[log, ("WEBHOOK_SECRET", "whsec_MDEy")],
            "WEBHOOK_SECRET (environment): entry 1: the secret is not `whsec_` and the base64 of 24 to 64 bytes",
        ),
        (
            &[("DECISION_LOG", "webhook:ftp://secret"), SECRET],
            "DECISION_LOG (environment): `webhook:` is followed by http://… or https://…, with `%2C` for a comma",
        ),
        (
            &[("DECISION_LOG", "webhook:https://a:secret@h/"), SECRET],
            "DECISION_LOG (environment): the URL of the webhook holds a user or a password; give the receiver WEBHOOK_TOKEN",
        ),
        (
            &[("DECISION_LOG", "webhook:http://a,webhook:http://b"), SECRET],
            "DECISION_LOG (environment): names two receivers of webhooks; there can be one",
        ),
        (
            &[
                ("DECISION_LOG", "webhook:http://h"),
                SECRET,
                ("WEBHOOK_TOKEN", "t"),
            ],
            "WEBHOOK_TOKEN (environment): would be sent without TLS: only https and loopback addresses get a token",
        ),
        (
            &[log, SECRET, ("WEBHOOK_BATCH", "1001")],
            "WEBHOOK_BATCH (environment): must be at most 1000",
        ),
        (
            &[
                log,
                SECRET,
                ("WEBHOOK_FORMAT", "costops"),
                ("WEBHOOK_AUDIT", "all"),
            ],
            "WEBHOOK_AUDIT (environment): `costops` sends usage, and no audit records",
        ),
        (
            &[log, SECRET, ("WEBHOOK_SPOOL", "0")],
            "WEBHOOK_SPOOL (environment): must be at least 1MB: events wait nowhere else",
        ),
        (
            &[
                log,
                SECRET,
                ("WEBHOOK_FORMAT", "costops"),
                ("DECISION_LOG_CONTEXT", "none"),
            ],
            "WEBHOOK_FORMAT (environment): `costops` reads usage from contexts, which DECISION_LOG_CONTEXT keeps from it",
        ),
        (
            &[SECRET],
            "WEBHOOK_SECRET (environment): needs `webhook:` in DECISION_LOG",
        ),
    ] {
        assert_eq!(parse("", env, &[]).unwrap_err(), [problem], "{env:?}");
    }
}

#[test]
fn reports_of_an_edge_need_a_name_and_a_server() {
    let (url, id) = (
        ("STATUS_URL", "https://central.example.org"),
        ("EDGE_ID", "edge-1"),
    );
    let status = parse("", &[url, id, ("STATUS_TOKEN", "t")], &[])
        .unwrap()
        .status
        .unwrap();
    assert_eq!((status.edge.as_str(), status.interval.as_secs()), ("edge-1", 30));
    assert!(parse("", &[], &[]).unwrap().status.is_none());
    for (env, problem) in [
        (&[url] as &[_], "STATUS_URL (environment): needs EDGE_ID"),
        (&[id], "EDGE_ID (environment): needs STATUS_URL"),
        (
            &[url, ("EDGE_ID", "a/b")],
            "EDGE_ID (environment): an id of an edge is 1 to 128 letters, digits, `.`, `_` and `-`",
        ),
        (
            &[("STATUS_URL", "https://h/?key=secret"), id],
            "STATUS_URL (environment): is the URL of a server, without user, password, query and fragment; STATUS_TOKEN proves who reports",
        ),
        (
            &[("STATUS_URL", "http://h"), id, ("STATUS_TOKEN", "t")],
            "STATUS_TOKEN (environment): would be sent without TLS to http://h/: only https and loopback addresses get a token",
        ),
    ] {
        assert_eq!(parse("", env, &[]).unwrap_err(), [problem], "{env:?}");
    }
}
