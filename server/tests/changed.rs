//! What happens when somebody changes in the database what nobody wrote through the server: `policyd` processes as they are
//! shipped, on SQLite and on PostgreSQL.
//!
//! What has to hold: a changed text or bundle never decides, at a start nor afterwards; who looks is told which one it is;
//! a changed text is replaced and removed like any other, and hinders no other policy; `policyd audit verify` finds every change
//! of texts, versions and what is active.
//!
//! Without PostgreSQL the tests that need it say that they are skipped, and fail where `REQUIRE_SERVERS` is set.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]

#[path = "support/postgres.rs"]
mod postgres;
#[path = "support/process.rs"]
mod process;

use process::{Client, Policyd, finished, until};
use serde_json::{Value, json};
use sqlx::{AssertSqlSafe, Connection as _, Executor as _};

/// A policy that denies a model.
fn policy(id: &str, model: &str) -> Value {
    json!({
        "metadata": {"id": id, "name": id},
        "rules": [{
            "id": "model",
            "condition": {"operator": "eq", "field": "llm.model", "value": model},
            "action": {"decision": "deny", "reason": "no"},
        }],
    })
}

fn decides(client: &Client, model: &str) -> String {
    client.decide(&json!({"llm": {"model": model}}))
}

fn run(url: &str, sql: &str) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async {
        if url.starts_with("sqlite:") {
            let mut connection = sqlx::SqliteConnection::connect(url).await.unwrap();
            connection.execute("PRAGMA foreign_keys = OFF").await.unwrap();
            connection.execute(AssertSqlSafe(sql.to_owned())).await.unwrap();
            connection.close().await.unwrap();
        } else {
            let mut connection = sqlx::PgConnection::connect(url).await.unwrap();
            connection.execute(AssertSqlSafe(sql.to_owned())).await.unwrap();
            connection.close().await.unwrap();
        }
    });
}

fn reasons(policyd: &Policyd) -> String {
    policyd.admin.ready()["reasons"].to_string()
}

/// What `policyd audit verify` ends with and says.
fn verify(url: &str) -> (i32, String) {
    let directory = tempfile::tempdir().unwrap();
    let (code, stdout, stderr) = finished(&[("DATABASE_URL", url)], &["audit", "verify"], directory.path());
    (code, stdout + &stderr)
}

const CHANGE: &str = "UPDATE policy_versions SET source = replace(source, '\"bad\"', '\"none\"') WHERE id = 'p' AND version = 2";
const UNDO: &str = "UPDATE policy_versions SET source = replace(source, '\"none\"', '\"bad\"') WHERE id = 'p' AND version = 2";

/// A changed text decides nowhere, whatever the server does when it comes upon it.
fn a_changed_text_never_decides(url: &str) {
    let settings = [("DATABASE_URL", url)];
    let named = "version 2 of policy `p` was changed in the database";
    let policyd = Policyd::start(&settings);
    let client = &policyd.client;
    client
        .json("POST", "/api/v1/policies", &policy("p", "other"))
        .expect(201);
    client
        .json("PUT", "/api/v1/policies/p", &policy("p", "bad"))
        .expect(200);
    client
        .json("POST", "/api/v1/policies", &policy("q", "worse"))
        .expect(201);
    assert_eq!(verify(url).0, 0);
    run(url, CHANGE);

    // It runs, and goes on with what it read before.
    assert_eq!(decides(client, "bad"), "deny");
    for path in ["/api/v1/policies/p", "/api/v1/policies/p/versions/2"] {
        let refused = client.get(path).expect(500);
        assert_eq!(refused["code"], "text_changed", "{refused}");
        assert!(refused["detail"].as_str().unwrap().contains(named), "{refused}");
    }
    let rollback = json!({"version": 2});
    client
        .json("POST", "/api/v1/policies/p/rollback", &rollback)
        .expect(500);
    client
        .json("PATCH", "/api/v1/policies/p/status", &json!({"status": "draft"}))
        .expect(500);
    let (code, said) = verify(url);
    assert!(
        code == 1
            && said.contains("unbroken")
            && said.contains("the text of version 2 of policy `p` of namespace `default` was changed"),
        "{said}"
    );

    // Another server changes something, so that this one reads all of it again.
    run(url, "UPDATE state SET revision = revision + 1 WHERE id = 1");
    until("the server says which text was changed", || {
        reasons(&policyd).contains(named)
    });
    assert_eq!(client.ready()["status"], "degraded");
    assert_eq!(
        (decides(client, "bad"), decides(client, "worse")),
        ("deny".to_owned(), "deny".to_owned())
    );
    // It knows what was stored, so that nobody else is hindered.
    client
        .json("POST", "/api/v1/policies", &policy("r", "x"))
        .expect(201);
    assert_eq!(
        (decides(client, "x"), decides(client, "bad")),
        ("deny".to_owned(), "deny".to_owned())
    );
    assert!(reasons(&policyd).contains(named));

    // One that starts with it decides nothing.
    let second = Policyd::launch(&settings);
    until("a start says which text was changed", || {
        reasons(&second).contains(named)
    });
    assert_eq!(second.client.get("/readyz").status, 503);
    let refused = second
        .client
        .json(
            "POST",
            "/api/v1/evaluate",
            &json!({"context": {"llm": {"model": "good"}}}),
        )
        .expect(503);
    assert_eq!(refused["code"], "not_ready");

    // With the text as it was, all is well, without a restart.
    run(url, UNDO);
    for server in [&policyd, &second] {
        until("the server goes on", || server.client.is("ready"));
        assert_eq!(decides(&server.client, "bad"), "deny");
    }
    client
        .json("POST", "/api/v1/policies", &policy("s", "y"))
        .expect(201);
}

/// Whatever the server does when it comes upon a changed text, it can be replaced, removed and rolled back from.
fn a_changed_text_is_put_right(url: &str) {
    let settings = [("DATABASE_URL", url), ("QUOTA_BYTES", "2MB")];
    let policyd = Policyd::start(&settings);
    let client = &policyd.client;
    let put = |client: &Client, id: &str, model: &str| {
        client.json("PUT", &format!("/api/v1/policies/{id}"), &policy(id, model))
    };
    let delete = |client: &Client, id: &str| {
        let path = format!("/api/v1/policies/{id}");
        client.try_send("DELETE", &path, "application/json", "").unwrap()
    };
    // The namespace seemed to hold less than what is taken away, were it counted by the text that is there.
    let change = |id: &str, version: u32, model: &str| {
        let other = "x".repeat(10_000);
        let sql = format!(
            "UPDATE policy_versions SET source = replace(source, '\"{model}\"', '\"{other}\"') \
             WHERE id = '{id}' AND version = {version}"
        );
        run(url, &sql);
    };
    let told = |action: &str, id: &str| {
        let audit = client.get("/api/v1/audit?limit=500").expect(200);
        let records = audit["items"].as_array().unwrap();
        let last = records
            .iter()
            .rfind(|r| r["action"] == action && r["target"] == id);
        last.unwrap()["detail"].clone()
    };
    for (id, model) in [("p", "other"), ("q", "worse"), ("z", "zed")] {
        client
            .json("POST", "/api/v1/policies", &policy(id, model))
            .expect(201);
    }
    put(client, "p", "bad").expect(200);
    change("p", 2, "bad");
    change("q", 1, "worse");

    put(client, "p", "newer").expect(200);
    assert_eq!(
        (decides(client, "newer"), decides(client, "bad")),
        ("deny".to_owned(), "allow".to_owned())
    );
    assert_eq!(client.get("/api/v1/policies/p").expect(200)["version"], 3);
    assert_eq!(client.get("/api/v1/policies/p/versions/2").status, 500);
    assert_eq!(told("policy.update", "p")["textChanged"], 2);
    delete(client, "q").expect(204);
    assert_eq!(decides(client, "worse"), "allow");
    let removal = told("policy.delete", "q");
    assert_eq!(
        (&removal["textChanged"], &removal["version"]),
        (&json!(1), &json!(1))
    );
    // What nobody changed is not said to be.
    put(client, "z", "zed2").expect(200);
    assert_eq!(told("policy.update", "z")["textChanged"], Value::Null);
    let (code, said) = verify(url);
    assert!(
        code == 1
            && said.contains("the text of version 2 of policy `p` of namespace `default` was changed")
            && said.contains("the text of version 1 of policy `q` of namespace `default` was changed"),
        "{said}"
    );

    // A server that starts does not know what was stored. It can be told all the same, one policy after the other.
    change("p", 3, "newer");
    change("z", 2, "zed2");
    let second = Policyd::launch(&settings);
    until("a start says which texts were changed", || {
        reasons(&second).contains("version 3 of policy `p`, version 2 of policy `z` was changed")
    });
    let elsewhere = second
        .client
        .json("POST", "/api/v1/policies", &policy("r", "x"))
        .expect(500);
    assert_eq!(elsewhere["code"], "text_changed");
    put(&second.client, "p", "newest").expect(200);
    assert_eq!(second.client.get("/readyz").status, 503, "`z` is not known yet");
    // The one that runs knows it.
    until("the server that runs follows", || {
        decides(client, "newest") == "deny"
    });
    assert_eq!(decides(client, "zed2"), "deny");
    until("it says what it knows better", || {
        reasons(&policyd).contains("version 2 of policy `z` was changed in the database")
    });
    delete(&second.client, "z").expect(204);
    for server in [&policyd, &second] {
        until("all is well", || server.client.is("ready"));
        assert_eq!(
            (decides(&server.client, "newest"), decides(&server.client, "zed2")),
            ("deny".to_owned(), "allow".to_owned())
        );
    }
    // Back to a version that is as it was stored, and to no other one.
    change("p", 4, "newest");
    let back = |version: u32| {
        client.json(
            "POST",
            "/api/v1/policies/p/rollback",
            &json!({"version": version}),
        )
    };
    for version in [2, 3, 4] {
        assert_eq!(back(version).expect(500)["code"], "text_changed");
    }
    back(1).expect(200);
    assert_eq!(
        (decides(client, "other"), decides(client, "newest")),
        ("deny".to_owned(), "allow".to_owned())
    );
}

/// Every change of a row shows in the check of the trail, and undone it holds again.
fn every_change_is_found(url: &str) {
    let policyd = Policyd::start(&[("DATABASE_URL", url)]);
    let client = &policyd.client;
    client
        .json("POST", "/api/v1/policies", &policy("p", "bad"))
        .expect(201);
    client
        .json("PUT", "/api/v1/policies/p", &policy("p", "worse"))
        .expect(200);
    client
        .json("PATCH", "/api/v1/policies/p/status", &json!({"status": "draft"}))
        .expect(200);
    client
        .json("PATCH", "/api/v1/policies/p/status", &json!({"status": "active"}))
        .expect(200);
    client
        .json("POST", "/api/v1/policies", &policy("q", "bad"))
        .expect(201);
    client
        .json("POST", "/api/v1/policies", &policy("gone", "bad"))
        .expect(201);
    client
        .try_send("DELETE", "/api/v1/policies/gone", "application/json", "")
        .unwrap();
    drop(policyd);
    let (code, said) = verify(url);
    assert!(
        code == 0 && said.contains("6 versions of policies and 0 bundles are as recorded"),
        "{said}"
    );
    let text_of = |version: u32| {
        let of = |column: &str| {
            format!("(SELECT o.{column} FROM policy_versions o WHERE o.id = 'p' AND o.version = {version})")
        };
        format!(
            "UPDATE policy_versions SET source = {}, digest = {} WHERE id = 'p' AND version = 2",
            of("source"),
            of("digest")
        )
    };
    let copy = |id: &str, version: u32| {
        format!(
            "INSERT INTO policy_versions SELECT namespace, '{id}', {version}, name, document_version, status, source, \
             format, digest, author, created_ms FROM policy_versions WHERE id = 'q'"
        )
    };
    let cases = [
        (
            "UPDATE policy_versions SET source = source || ' ' WHERE id = 'gone'".to_owned(),
            "UPDATE policy_versions SET source = rtrim(source) WHERE id = 'gone'".to_owned(),
            "the text of version 1 of policy `gone` of namespace `default` was changed",
        ),
        (
            // A text with its digest, as one who knows of digests would.
            text_of(1),
            text_of(3),
            "the text of version 2 of policy `p` of namespace `default` is not the one that was recorded",
        ),
        (
            "UPDATE policy_versions SET author = 'somebody' WHERE id = 'p' AND version = 2".to_owned(),
            "UPDATE policy_versions SET author = 'anonymous' WHERE id = 'p' AND version = 2".to_owned(),
            "the author of version 2 of policy `p` of namespace `default` is not",
        ),
        (
            "INSERT INTO policy_rejections VALUES ('default', 'p', 2, 'somebody', 'no', 0)".to_owned(),
            "DELETE FROM policy_rejections".to_owned(),
            "the rejection of version 2 of policy `p` of namespace `default` is not the one that was recorded",
        ),
        (
            // Neither the newest nor the one that decides, which rows refer to.
            "UPDATE policy_versions SET namespace = 'other' WHERE id = 'p' AND version = 3".to_owned(),
            "UPDATE policy_versions SET namespace = 'default' WHERE id = 'p' AND version = 3".to_owned(),
            "no record tells of version 3 of policy `p` of namespace `other`",
        ),
        (
            "UPDATE policies SET active = 1 WHERE id = 'p'".to_owned(),
            "UPDATE policies SET active = 4 WHERE id = 'p'".to_owned(),
            "version 1 of policy `p` of namespace `default` decides, and the trail says version 4",
        ),
        (
            "UPDATE policies SET active = NULL WHERE id = 'q'".to_owned(),
            "UPDATE policies SET active = 1 WHERE id = 'q'".to_owned(),
            "none of policy `q` of namespace `default` decides, and the trail says version 1",
        ),
        (
            "UPDATE policies SET latest = 2 WHERE id = 'p'".to_owned(),
            "UPDATE policies SET latest = 4 WHERE id = 'p'".to_owned(),
            "the newest version of policy `p` of namespace `default` is 2, and the trail says 4",
        ),
        (
            copy("p", 5),
            "DELETE FROM policy_versions WHERE id = 'p' AND version = 5".to_owned(),
            "no record tells of version 5 of policy `p` of namespace `default`",
        ),
        (
            "INSERT INTO policies SELECT 'default', 'gone', 1, 1, NULL, 0, 0, 0".to_owned(),
            "DELETE FROM policies WHERE id = 'gone'".to_owned(),
            "policy `gone` of namespace `default` is there, and the trail does not say so",
        ),
        (
            "UPDATE policy_versions SET version = 9 WHERE id = 'gone'".to_owned(),
            "UPDATE policy_versions SET version = 1 WHERE id = 'gone'".to_owned(),
            "version 1 of policy `gone` of namespace `default` is gone",
        ),
        (
            "DELETE FROM policies WHERE id = 'q'".to_owned(),
            "INSERT INTO policies SELECT 'default', 'q', 1, 1, NULL, 0, 0, 0".to_owned(),
            "policy `q` of namespace `default` is gone, and the trail does not say so",
        ),
    ];
    for (change, undo, expected) in cases {
        run(url, &change);
        let (code, said) = verify(url);
        assert!(code == 1 && said.contains(expected), "{change}: {said}");
        run(url, &undo);
        let (code, said) = verify(url);
        assert_eq!(code, 0, "{undo}: {said}");
    }
}

/// A bundle that is not the one that was deployed is neither run nor given away.
fn a_changed_bundle_never_decides(url: &str) {
    let bundle = |model: &str| {
        let mut compiler = policy_compiler::Compiler::new(policy_compiler::Options::default());
        compiler.set("p.json", policy("p", model).to_string());
        compiler.build().unwrap().to_bundle().unwrap()
    };
    let (ours, theirs) = (bundle("bad"), bundle("none"));
    let settings = [("DATABASE_URL", url)];
    let policyd = Policyd::start(&settings);
    policyd.client.put_bytes("/api/v1/bundle", &ours);
    assert_eq!(decides(&policyd.client, "bad"), "deny");
    let (code, said) = verify(url);
    assert!(code == 0 && said.contains("1 bundles"), "{said}");
    let hex: String = theirs.iter().map(|byte| format!("{byte:02x}")).collect();
    let bytes = if url.starts_with("sqlite:") {
        format!("x'{hex}'")
    } else {
        format!("'\\x{hex}'::bytea")
    };
    run(url, &format!("UPDATE bundles SET bytes = {bytes}"));
    let (code, said) = verify(url);
    assert!(
        code == 1 && said.contains("the bytes of bundle `sha256:"),
        "{said}"
    );
    assert_eq!(
        policyd.client.get_bytes("/api/v1/bundle").expect(500)["code"],
        "text_changed"
    );
    run(url, "UPDATE state SET revision = revision + 1 WHERE id = 1");
    until("the server says that the bundle was changed", || {
        reasons(&policyd).contains("` was changed in the database")
    });
    assert_eq!(decides(&policyd.client, "bad"), "deny");
    let second = Policyd::launch(&settings);
    until("a start says that the bundle was changed", || {
        reasons(&second).contains("` was changed in the database")
    });
    assert_eq!(second.client.get("/readyz").status, 503);
}

/// A version in a language that this server does not know, as a later one may store it, is read as no other language.
fn an_unknown_language_is_refused(url: &str) {
    let settings = [("DATABASE_URL", url)];
    let said = "version 1 of policy `p` is stored as `rego`, which this server does not read";
    let policyd = Policyd::start(&settings);
    let client = &policyd.client;
    client
        .json("POST", "/api/v1/policies", &policy("p", "bad"))
        .expect(201);
    client
        .json("PUT", "/api/v1/policies/p", &policy("p", "worse"))
        .expect(200);
    run(
        url,
        "UPDATE policy_versions SET format = 'rego' WHERE id = 'p' AND version = 1",
    );
    let refused = client.json("POST", "/api/v1/policies/p/rollback", &json!({"version": 1}));
    let refused = refused.expect(422);
    assert_eq!(refused["code"], "policy_invalid");
    assert!(refused["detail"].as_str().unwrap().starts_with(said), "{refused}");
    // What decides goes on deciding, and a start refuses to decide with it.
    run(
        url,
        "UPDATE policy_versions SET format = 'rego' WHERE id = 'p' AND version = 2",
    );
    assert_eq!(decides(client, "worse"), "deny");
    let second = Policyd::launch(&settings);
    until("a start says that the language is not known", || {
        reasons(&second)
            .contains("version 2 of policy `p` is stored as `rego`, which this server does not read")
    });
    assert_eq!(second.client.get("/readyz").status, 503);
}

/// Runs a check on a database of its own.
fn on_sqlite(check: fn(&str)) {
    let directory = tempfile::tempdir().unwrap();
    check(&format!(
        "sqlite:{}",
        directory.path().join("policyd.db").display()
    ));
}

fn on_postgres(test: &str, check: fn(&str)) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let Some(database) = runtime.block_on(postgres::Database::create()) else {
        return postgres::missing(test);
    };
    check(&database.url());
    runtime.block_on(database.remove());
}

#[test]
fn a_changed_text_never_decides_on_sqlite() {
    on_sqlite(a_changed_text_never_decides);
}

#[test]
fn a_changed_text_never_decides_on_postgresql() {
    on_postgres(
        "a_changed_text_never_decides_on_postgresql",
        a_changed_text_never_decides,
    );
}

#[test]
fn a_changed_text_is_put_right_on_sqlite() {
    on_sqlite(a_changed_text_is_put_right);
}

#[test]
fn a_changed_text_is_put_right_on_postgresql() {
    on_postgres(
        "a_changed_text_is_put_right_on_postgresql",
        a_changed_text_is_put_right,
    );
}

#[test]
fn every_change_is_found_on_sqlite() {
    on_sqlite(every_change_is_found);
}

#[test]
fn every_change_is_found_on_postgresql() {
    on_postgres("every_change_is_found_on_postgresql", every_change_is_found);
}

#[test]
fn a_changed_bundle_never_decides_on_sqlite() {
    on_sqlite(a_changed_bundle_never_decides);
}

#[test]
fn a_changed_bundle_never_decides_on_postgresql() {
    on_postgres(
        "a_changed_bundle_never_decides_on_postgresql",
        a_changed_bundle_never_decides,
    );
}

#[test]
fn an_unknown_language_is_refused_on_sqlite() {
    on_sqlite(an_unknown_language_is_refused);
}

#[test]
fn an_unknown_language_is_refused_on_postgresql() {
    on_postgres(
        "an_unknown_language_is_refused_on_postgresql",
        an_unknown_language_is_refused,
    );
}
