//! Settings from every source, and every problem with its place.

use super::{Config, Database, Origin, Raw};

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
        "--port (command line): expected PORT, found `99999`",
        "request_timeout (policyd.toml): expected DURATION, found `soon`",
        "JWT_ALGORITHM (environment): expected HS256|RS256|ES256|EdDSA, found `none`",
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
    use secrecy::ExposeSecret as _;
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
            ("DATABASE_URL", "postgres://db/p"),
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
    let (sources, database) = shown("database_host = \"db\"\nlog_format = \"json\"", &[]);
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
    let problems = parse("", &[("DECISION_LOG_SPOOL", "1024")], &[]).unwrap_err();
    assert_eq!(
        problems,
        ["DECISION_LOG_SPOOL (environment): must be at least 1MB, or 0 for none"]
    );
}

#[test]
fn a_secret_without_a_value_is_a_problem_and_not_none() {
    for setting in super::SETTINGS.iter().filter(|s| s.secret) {
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
    for name in [
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
        "NODE_ENV",
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
    for setting in super::SETTINGS {
        assert_eq!(told(setting.name), [""; 0]);
    }
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
    assert!(problems[0].starts_with("JWT_REQUIRE_NAMESPACES (environment): has no effect without tokens"));
    assert_eq!(problems.len(), 1, "{problems:#?}");
}
