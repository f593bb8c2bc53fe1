//! The tables of old names in `docs/migrating.md`: nothing of them is invented, and nothing is left out.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a helper of tests fails as tests do"
)]

use policy_server::config::earlier::EARLIER;
use policy_server::config::table::SETTINGS;
use std::collections::BTreeSet;

fn read(path: &str) -> String {
    std::fs::read_to_string(format!("{}/../docs/{path}", env!("CARGO_MANIFEST_DIR"))).unwrap()
}

/// Rows of the table below a heading in bold: earlier, here.
fn rows(page: &str, heading: &str) -> Vec<(String, String)> {
    let (_, below) = page.split_once(&format!("**{heading}**")).unwrap();
    let table = below.lines().skip_while(|line| !line.starts_with("|---"));
    let rows: Vec<_> = table
        .skip(1)
        .take_while(|line| line.starts_with('|'))
        .map(|line| {
            let cells: Vec<_> = line.trim_matches('|').split(" | ").map(str::trim).collect();
            let [earlier, here] = cells[..] else {
                panic!("{line}")
            };
            (earlier.to_owned(), here.to_owned())
        })
        .collect();
    assert!(!rows.is_empty(), "{heading}");
    rows
}

/// What stands between backticks.
fn quoted(text: &str) -> impl Iterator<Item = &str> {
    text.split('`').skip(1).step_by(2)
}

#[test]
fn environment_variables_are_read_or_said_to_be_not() {
    let page = read("migrating.md");
    let mut listed = BTreeSet::new();
    for (earlier, here) in rows(&page, "Environment variables") {
        let name = earlier.trim_matches('`');
        assert!(listed.insert(name.to_owned()), "{name} stands there twice");
        let is_setting = SETTINGS.iter().any(|setting| setting.name == name);
        match EARLIER.iter().find(|old| old.name == name) {
            Some(old) => {
                assert_eq!(here, old.instead, "{name}");
                assert!(!is_setting, "{name} is read");
            }
            None => assert!(is_setting && here == "the same", "{name}: {here}"),
        }
        // What is named instead is a setting.
        for instead in quoted(&here).filter(|word| word.chars().all(|c| c.is_ascii_uppercase() || c == '_')) {
            assert!(SETTINGS.iter().any(|s| s.name == instead), "{name}: {instead}");
        }
    }
    for old in EARLIER {
        assert!(listed.contains(old.name), "{} is missing", old.name);
    }
}

#[test]
fn commands_and_routes_exist() {
    let (page, commands) = (read("migrating.md"), read("cli.md"));
    for (_, here) in rows(&page, "Command line") {
        for command in quoted(&here).filter_map(|text| text.strip_prefix("policyc ")) {
            let name = command.split(' ').next().unwrap();
            let heading = format!("\n## `policyc {name}`\n");
            assert!(
                commands.contains(&heading) || name == "evaluate",
                "policyc {name}"
            );
        }
    }
    let document: serde_json::Value = serde_json::from_str(&read("openapi.json")).unwrap();
    let mut found = 0;
    for (earlier, here) in rows(&page, "REST, gRPC, ports, health") {
        let named = if here == "the same" { &earlier } else { &here };
        for route in quoted(named) {
            let Some((method, path)) = route.split_once(" /api/") else {
                continue;
            };
            let operation = &document["paths"][format!("/api/{path}")][method.to_ascii_lowercase()];
            assert!(operation.is_object(), "{route}");
            found += 1;
        }
    }
    assert!(found > 3, "{found}");
}

#[test]
fn every_name_of_the_earlier_readme_has_a_row() {
    let page = read("migrating.md");
    let (_, tables) = page.split_once("## Old names").unwrap();
    let (tables, _) = tables.split_once("\n## ").unwrap();
    let earlier: Vec<&str> = tables
        .lines()
        .filter_map(|line| line.strip_prefix("| ")?.split(" | ").next())
        .collect();
    for name in [
        "@llm-devops/policy-engine",
        "@llm-devops/policy-engine/integrations/shield",
        "PolicyEngine",
        "PolicyParser",
        "parser.parseYaml",
        "engine.addPolicy",
        "engine.evaluate",
        "response.decision.allowed",
        "LLMShieldClient",
        "validatePrompt",
        "LLM-Shield",
        "LLM-CostOps",
        "LLM-Governance",
        "LLM-Edge-Agent",
        "npm install",
        "npx llm-policy evaluate",
        "npm run start:api",
        "npm run start:grpc",
        "npm run dev",
        "npm test",
        "npm run test:coverage",
        "npm run build",
        "3000",
        "50051",
        "9090",
        "POST /api/v1/evaluate",
        "proto/policy.proto",
        "GET /health",
        "NODE_ENV",
        "PORT",
        "GRPC_PORT",
        "DATABASE_URL",
        "DATABASE_HOST",
        "DATABASE_PORT",
        "DATABASE_USERNAME",
        "DATABASE_PASSWORD",
        "DATABASE_NAME",
        "DATABASE_SSL_MODE",
        "REDIS_URL",
        "REDIS_HOST",
        "REDIS_PORT",
        "REDIS_PASSWORD",
        "REDIS_DB",
        "REDIS_TLS_ENABLED",
        "CACHE_ENABLED",
        "CACHE_TTL",
        "JWT_SECRET",
        "JWT_ALGORITHM",
        "JWT_EXPIRES_IN",
        "JWT_ISSUER",
        "JWT_AUDIENCE",
        "LOG_LEVEL",
        "METRICS_PORT",
        "TRACE_ENABLED",
        ".env.example",
        "docker build",
        "database-sealedsecret.yaml",
        "redis-sealedsecret.yaml",
        "jwt-sealedsecret.yaml",
        "generate-secrets.sh",
        "seal-secret.sh",
        "validate-sealed-secrets.sh",
        "label `llm-policy-engine`",
    ] {
        assert!(earlier.iter().any(|row| row.contains(name)), "{name}");
    }
}
