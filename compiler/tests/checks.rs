//! One test per diagnostic of the compiler: the code, the place and the telling part of the message; and the near
//! misses that must stay silent.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test that cannot go on has failed"
)]

use policy_compiler::{ContextSchema, Options, check, compile};
use policy_grammar::{SourceFile, SourceMap};

/// A policy whose rules have these conditions, in flow style, all of them deny rules.
fn policy(conditions: &[&str]) -> String {
    let mut text = "metadata: {id: p, name: p}\nrules:\n".to_owned();
    for (i, condition) in conditions.iter().enumerate() {
        text += &format!("  - id: r{i}\n    condition: {condition}\n    action: {{decision: deny}}\n");
    }
    text
}

fn diagnostics_of(text: &str, options: &Options) -> Vec<(String, String)> {
    let mut sources = SourceMap::new();
    let id = sources.add(SourceFile::new("p.yaml", text));
    check(&sources, options)
        .into_iter()
        .map(|d| {
            let place = sources.file(id).unwrap().slice(d.primary.span).to_owned();
            (format!("{} {}", d.code.as_str(), d.message), place)
        })
        .collect()
}

/// Codes and messages for rules with these conditions.
fn found(conditions: &[&str]) -> Vec<String> {
    diagnostics_of(&policy(conditions), &Options::default())
        .into_iter()
        .map(|(text, _)| text)
        .collect()
}

fn test(op: &str, field: &str, value: &str) -> String {
    format!("{{operator: {op}, field: {field}, value: {value}}}")
}

fn all(parts: &[String]) -> String {
    format!("{{operator: and, conditions: [{}]}}", parts.join(", "))
}

fn any(parts: &[String]) -> String {
    format!("{{operator: or, conditions: [{}]}}", parts.join(", "))
}

fn not(part: &str) -> String {
    format!("{{operator: not, conditions: [{part}]}}")
}

#[track_caller]
fn one(conditions: &[String], code: &str, part: &str) {
    let conditions: Vec<&str> = conditions.iter().map(String::as_str).collect();
    // A policy of nothing but a contradiction is reported for that as well; its own test looks at it.
    let found: Vec<String> = found(&conditions)
        .into_iter()
        .filter(|d| !d.starts_with("W0108"))
        .collect();
    let [only] = found.as_slice() else {
        panic!("expected one diagnostic: {found:#?}");
    };
    assert!(only.starts_with(code) && only.contains(part), "{only}");
}

#[track_caller]
fn silent(conditions: &[String]) {
    let conditions: Vec<&str> = conditions.iter().map(String::as_str).collect();
    assert_eq!(found(&conditions), Vec::<String>::new());
}

#[test]
fn contradictory_thresholds() {
    let f = "llm.maxTokens";
    one(
        &[all(&[test("gt", f, "5"), test("lt", f, "3")])],
        "W0103",
        "never true together",
    );
    one(&[all(&[test("gte", f, "5"), test("lt", f, "5")])], "W0103", f);
    silent(&[all(&[test("gte", f, "5"), test("lte", f, "5")])]);
    silent(&[all(&[test("gt", f, "5"), test("lt", f, "6")])]);
    silent(&[any(&[test("gt", f, "5"), test("lt", f, "3")])]);
    // `not (a or b)` is a conjunction too; here of negations, which are true for a missing field.
    silent(&[not(&any(&[test("gt", f, "5"), test("lt", f, "3")]))]);
}

#[test]
fn contradictory_constants() {
    let f = "team.id";
    one(&[all(&[test("eq", f, "a"), test("eq", f, "b")])], "W0103", f);
    one(&[all(&[test("eq", f, "a"), test("ne", f, "a")])], "W0103", f);
    one(&[all(&[test("eq", f, "a"), test("in", f, "[b, c]")])], "W0103", f);
    one(
        &[all(&[test("in", f, "[a]"), test("in", f, "[b, c]")])],
        "W0103",
        f,
    );
    one(
        &[all(&[test("eq", f, "abc"), test("starts_with", f, "x")])],
        "W0103",
        f,
    );
    one(
        &[all(&[test("exists", f, "false"), test("eq", f, "a")])],
        "W0103",
        f,
    );
    one(
        &[not(&any(&[test("ne", f, "a"), test("ne", f, "b")]))],
        "W0103",
        f,
    );
    silent(&[all(&[test("ne", f, "a"), test("ne", f, "b")])]);
    silent(&[all(&[test("exists", f, "false"), test("ne", f, "a")])]);
    // An array holds elements of both lists.
    silent(&[all(&[
        test("in", "user.roles", "[a]"),
        test("in", "user.roles", "[b]"),
    ])]);
    silent(&[all(&[
        test("in", "metadata.x", "[a]"),
        test("in", "metadata.x", "[b]"),
    ])]);
    one(
        &[all(&[
            test("gt", "metadata.x", "5"),
            test("starts_with", "metadata.x", "a"),
        ])],
        "W0103",
        "metadata.x",
    );
}

#[test]
fn redundant_parts() {
    let f = "llm.maxTokens";
    one(
        &[all(&[test("gt", f, "5"), test("gt", f, "3")])],
        "W0106",
        "implied",
    );
    one(
        &[all(&[test("eq", f, "5"), test("gt", f, "3")])],
        "W0106",
        "implied",
    );
    one(
        &[all(&[test("eq", f, "5"), test("eq", f, "5")])],
        "W0106",
        "implied",
    );
    one(
        &[all(&[
            test("eq", "team.tier", "free"),
            any(&[test("gt", f, "5"), test("gt", f, "3")]),
        ])],
        "W0106",
        "covered",
    );
    silent(&[all(&[test("exists", f, "true"), test("gt", f, "3")])]);
    silent(&[all(&[test("gt", f, "5"), test("lt", f, "9")])]);
}

#[test]
fn constant_conditions() {
    let none = test("in", "team.id", "[]");
    let found = found(&[&none]);
    assert!(found.iter().any(|d| d.starts_with("W0102")), "{found:?}");
    assert!(found.iter().any(|d| d.starts_with("W0108")), "{found:?}");
    one(
        &[any(&[
            test("exists", "team.id", "true"),
            test("exists", "team.id", "false"),
        ])],
        "W0101",
        "true for every request",
    );
    // Either part can be an error.
    silent(&[any(&[
        test("contains", "team.id", "a"),
        test("not_contains", "team.id", "a"),
    ])]);
    // A computed field may be an error for every operator.
    silent(&[test("in", "llm.estimatedCost", "[]")]);
}

#[test]
fn shadowed_and_unreachable_rules() {
    let tier = test("eq", "team.tier", "free");
    let model = test("eq", "llm.model", "ours");
    one(
        &[tier.clone(), all(&[tier.clone(), model.clone()])],
        "W0105",
        "`r0`",
    );
    one(&[tier.clone(), tier.clone()], "W0105", "`r0`");
    one(
        &[
            any(&[tier.clone(), model.clone()]),
            all(&[model.clone(), test("gt", "llm.maxTokens", "5")]),
        ],
        "W0105",
        "`r0`",
    );
    one(
        &[
            test("gt", "llm.maxTokens", "5"),
            test("gt", "llm.maxTokens", "10"),
        ],
        "W0105",
        "`r0`",
    );
    one(
        &[tier.clone(), model.clone(), any(&[model.clone(), tier.clone()])],
        "W0105",
        "`r1`",
    );
    silent(&[all(&[tier.clone(), model.clone()]), tier.clone()]);
    silent(&[
        test("gt", "llm.maxTokens", "10"),
        test("gt", "llm.maxTokens", "5"),
    ]);
    silent(&[tier, model.clone()]);
    let always = any(&[
        test("exists", "team.id", "true"),
        test("exists", "team.id", "false"),
    ]);
    let found = found(&[&always, &model]);
    assert!(found.iter().any(|d| d.starts_with("W0104")), "{found:?}");
}

#[test]
fn patterns_that_need_a_slow_pass_of_their_own() {
    let pattern = |field, pattern: &str| test("matches", field, &format!("'{pattern}'"));
    one(
        &[pattern("llm.prompt", r"[a-z0-9]{20,40}x[a-z0-9]{20,40}")],
        "W0110",
        "every `llm.prompt`",
    );
    // A literal, a small automaton, the start of the text, a short field.
    silent(&[pattern("llm.prompt", r"[a-z0-9]{20,40}-key-[a-z0-9]{20,40}")]);
    silent(&[pattern("llm.prompt", r"[a-z][0-9]")]);
    silent(&[pattern("llm.prompt", r"^[a-z0-9]{20,40}x[a-z0-9]{20,40}")]);
    silent(&[pattern("llm.model", r"[a-z0-9]{20,40}x[a-z0-9]{20,40}")]);
}

#[test]
fn a_pattern_is_slow_by_the_limit_that_is_set() {
    let small = policy(&[&test("matches", "llm.prompt", "'[a-z][0-9]'")]);
    let warned = |dfa_limit_bytes| {
        let options = Options {
            dfa_limit_bytes,
            ..Options::default()
        };
        let found = diagnostics_of(&small, &options);
        found.iter().any(|(text, _)| text.starts_with("W0110"))
    };
    assert!(warned(100));
    assert!(!warned(Options::default().dfa_limit_bytes));
}

#[test]
fn types_of_known_fields() {
    one(&[test("eq", "llm.maxTokens", "'5'")], "W0109", "never equals");
    one(&[test("gt", "llm.model", "5")], "W0109", "`gt` needs a number");
    one(
        &[test("matches", "llm.maxTokens", "'^5'")],
        "W0109",
        "`matches` needs a string",
    );
    one(&[test("eq", "user.roles", "admin")], "W0109", "array");
    one(&[test("contains", "user.roles", "5")], "W0109", "never contains");
    one(&[test("in", "llm.model", "[x, 5]")], "W0109", "number");
    for field in ["llm.messages", "llm.tools", "llm.contents"] {
        one(
            &[test("matches", field, "secret")],
            "W0109",
            "`matches` needs a string",
        );
        one(&[test("starts_with", field, "secret")], "W0109", "needs a string");
        one(&[test("gt", field, "secret")], "W0109", "`gt` needs a string");
        for operator in ["contains", "not_contains"] {
            one(
                &[test(operator, field, "secret")],
                "W0109",
                "never contains a value of type string",
            );
        }
        one(&[test("in", field, "[secret]")], "W0109", "never equals");
        silent(&[test("contains", field, "{role: user}")]);
    }
    let text = policy(&[&test("contains", "llm.messages", "secret")]);
    let mut sources = SourceMap::new();
    sources.add(SourceFile::new("p.yaml", text));
    assert_eq!(
        check(&sources, &Options::default())[0].help,
        ["it is a list of objects; look into `llm.text`, which holds every text of the request"]
    );
    // Their elements may be texts.
    silent(&[test("contains", "llm.input", "secret")]);
    one(
        &["{operator: gt, field: llm.maxTokens, valueFrom: llm.model}".to_owned()],
        "W0109",
        "cannot compare",
    );
    silent(&[test("eq", "llm.model", "null")]);
    silent(&[test("contains", "user.roles", "admin")]);
    silent(&[test("in", "user.roles", "[admin]")]);
    silent(&[test("gt", "request.timestamp", "5")]);
    silent(&["{operator: gt, field: llm.maxTokens, valueFrom: metadata.limit}".to_owned()]);
}

#[test]
fn unknown_fields() {
    one(&[test("eq", "llm.modle", "x")], "W0002", "`llm.modle`");
    one(&[test("eq", "llm.model.name", "x")], "W0002", "leads nowhere");
    for (written, near) in [
        ("llm.maxToken", "maxTokens"),
        ("llm.maxtokens", "maxTokens"),
        ("llm.MaxTokens", "maxTokens"),
        ("llm.max-tokens", "maxTokens"),
        ("llm.estimatedcost", "estimatedCost"),
        ("user.role", "roles"),
        ("LLM.model", "llm.model"),
        ("users.roles", "user.roles"),
        ("'teams.tier'", "team.tier"),
        ("Metadata.risk", "metadata.risk"),
        ("METADATA", "metadata"),
    ] {
        let text = policy(&[&test("exists", written, "true")]);
        let mut sources = SourceMap::new();
        sources.add(SourceFile::new("p.yaml", text));
        let found = check(&sources, &Options::default());
        let [only] = found.as_slice() else {
            panic!("{written}: {found:#?}");
        };
        assert_eq!(only.code.as_str(), "W0002", "{written}");
        assert_eq!(only.help, [format!("did you mean `{near}`?")], "{written}");
    }
    one(
        &["{operator: gt, field: llm.maxTokens, valueFrom: llm.maxToken}".to_owned()],
        "W0002",
        "`llm.maxToken`",
    );
    // Roots of the gateway's own.
    for own in [
        "users.count",
        "teamId",
        "llms",
        "requests.perMinute",
        "metadata2.x",
        "item.id",
    ] {
        silent(&[test("eq", own, "5")]);
    }
    silent(&[test("eq", "llm.max_tokens", "5")]);
    silent(&[test("eq", "'metadata.anything.at[0].all'", "x")]);
    silent(&[test("eq", "something.else", "x")]);
    silent(&[test("eq", "'llm.messages[0].content'", "x")]);
}

#[test]
fn actions() {
    let with = |action: &str| {
        let text = format!(
            "metadata: {{id: p, name: p}}\nrules:\n  - id: r\n    condition: {}\n    action: {action}\n",
            test("eq", "team.id", "a")
        );
        let found = diagnostics_of(&text, &Options::default());
        found.into_iter().map(|(text, _)| text).collect::<Vec<_>>()
    };
    let code = |found: Vec<String>, code: &str| {
        assert!(found.len() == 1 && found[0].starts_with(code), "{found:?}");
    };
    code(
        with("{decision: modify, modifications: {llm.estimatedCost: 1}}"),
        "E0304",
    );
    for broken in [
        "metadata: []",
        "llm: {$append: x}",
        "user: {$cap: 1}",
        "team: {$default: x}",
        "'metadata[0]': 1",
        "metadata.0.x: 1",
        "'llm[-1]': 1",
    ] {
        code(
            with(&format!("{{decision: modify, modifications: {{{broken}}}}}")),
            "E0308",
        );
    }
    for (a, b) in [
        ("x[-1]", "x[0]"),
        ("x[-2].id", "x[1]"),
        ("x[-1]", "x[-2]"),
        ("x[-1]", "x.0.id"),
        ("x[0][-1]", "x[0][2].y"),
    ] {
        let both = format!("{{decision: modify, modifications: {{'metadata.{a}': 1, 'metadata.{b}': 2}}}}");
        let found = with(&both);
        assert!(
            !found.is_empty() && found.iter().all(|d| d.starts_with("E0309")),
            "{a} and {b}: {found:?}"
        );
    }
    for (a, b) in [
        ("x[-1].a", "x[-1].b"),
        ("x[1]", "x[0]"),
        ("x[-1]", "y[0]"),
        ("x[-1]", "x"),
    ] {
        let found = with(&format!(
            "{{decision: modify, modifications: {{'metadata.{a}': 1, 'metadata.{b}': [2]}}}}"
        ));
        assert!(found.is_empty(), "{a} and {b}: {found:?}");
    }
    for sound in [
        "metadata: {a: 1}",
        "llm: {$redact: all}",
        "user: {$remove: true}",
        "metadata.x.0: 1",
    ] {
        let found = with(&format!("{{decision: modify, modifications: {{{sound}}}}}"));
        assert!(found.is_empty(), "{sound}: {found:?}");
    }
    code(
        with("{decision: modify, modifications: {llm.maxToken: 1}}"),
        "W0002",
    );
    code(
        with("{decision: modify, modifications: {LLM.maxTokens: 1}}"),
        "W0002",
    );
    code(with("{decision: deny, reason: '{{ users.id }}'}"), "W0201");
    code(
        with("{decision: modify, modifications: {llm.prompt: {$redact: [emial]}}}"),
        "E0204",
    );
    code(with("{decision: deny, reason: 'team {{ team.nmae }}'}"), "W0201");
    code(
        with("{decision: deny, metadata: {a: ['{{ nowhere }}']}}"),
        "W0201",
    );
    assert!(with("{decision: deny, reason: 'team {{ team.name }} {{ metadata.x }}'}").is_empty());
    assert!(with("{decision: modify, modifications: {llm.topP: 1}}").is_empty());
}

#[test]
fn words_that_a_field_never_holds() {
    let f = "llm.piiTypes";
    one(
        &[test("contains", f, "emial")],
        "W0115",
        "`emial` is no type of personal data",
    );
    one(&[test("not_contains", f, "e-mail")], "W0115", "e-mail");
    one(&[test("contains", f, "person_name")], "W0115", "person_name");
    one(&[test("in", f, "[email, creditcard]")], "W0115", "creditcard");
    one(&[test("not_in", f, "[Email]")], "W0115", "Email");
    one(&[test("eq", f, "[email, ssnn]")], "W0115", "ssnn");
    one(
        &[test("contains", "llm.pii_types", "emial")],
        "W0115",
        "`llm.piiTypes`",
    );
    one(
        &[test("contains", "llm.unreadContent", "images")],
        "W0115",
        "`images`",
    );
    silent(&[
        test("contains", f, "email"),
        test("in", f, "[ssn, iban]"),
        test("eq", f, "[]"),
    ]);
    silent(&[test("contains", "llm.unreadContent", "image")]);
    one(
        &[test("contains", "llm.injectionSignals", "overide")],
        "W0115",
        "`overide` is no category of prompt injection",
    );
    one(
        &[test("in", "llm.injection_signals", "[persona, jailbreak]")],
        "W0115",
        "`jailbreak`",
    );
    silent(&[test("in", "llm.injectionSignals", "[override, tool_orders]")]);
    // Whatever the elements are asked.
    let any = |body: &str| format!("{{operator: any, field: {f}, condition: {body}}}");
    one(
        &[any("{operator: eq, field: item, value: emial}")],
        "W0115",
        "`emial`",
    );
    one(
        &[any("{operator: in, field: item, value: [ssn, emial]}")],
        "W0115",
        "`emial`",
    );
    one(
        &["{operator: any, field: metadata.list, condition: {operator: and, conditions: [{operator: exists, field: item}, \
           {operator: contains, field: llm.piiTypes, value: emial}]}}"
            .to_owned()],
        "W0115",
        "`emial`",
    );
    silent(&[any("{operator: in, field: item, value: [ssn, email]}")]);
    silent(&[any("{operator: starts_with, field: item, value: us_}")]);
    silent(&[test("contains", "metadata.piiTypes", "emial")]);

    let mut sources = SourceMap::new();
    sources.add(SourceFile::new(
        "p.yaml",
        policy(&[&test("contains", f, "emial")]),
    ));
    let found = check(&sources, &Options::default());
    assert_eq!(found[0].help, ["did you mean `email`?"]);
    assert_eq!(found[0].fix.as_ref().unwrap().replacement, "\"email\"");
}

#[test]
fn texts_in_a_spelling_that_the_field_never_has() {
    let f = "llm.normalizedText";
    one(
        &[test("contains", f, "Ignore Previous")],
        "W0115",
        "never holds `Ignore Previous`",
    );
    one(&[test("contains", f, "'ignore  all'")], "W0115", "never holds");
    one(&[test("not_contains", f, "DAN")], "W0115", "`DAN`");
    one(&[test("starts_with", f, "Sudo")], "W0115", "`Sudo`");
    one(
        &[test("matches", f, "'\\bIgnore (all|previous)'")],
        "W0115",
        "`Ignore ",
    );
    silent(&[
        test("contains", f, "' ignore previous '"),
        test("matches", f, "'(?i)Ignore'"),
    ]);
    silent(&[
        test("matches", f, "'[A-Za-z]{20}\\W'"),
        test("contains", "llm.text", "Ignore"),
    ]);
    silent(&[format!(
        "{{operator: contains, field: {f}, value: Ignore, ignoreCase: true}}"
    )]);
    one(
        &[test("eq", "llm.canonicalModel", "openai/gpt-4o")],
        "W0115",
        "`openai/gpt-4o`",
    );
    one(
        &[test("not_in", "llm.canonicalModel", "[gpt-4o, GPT-4o-mini]")],
        "W0115",
        "`GPT-4o-mini`",
    );
    silent(&[test("in", "llm.canonicalModel", "[gpt-4o, house-model]")]);
    one(&[test("eq", "llm.modelFamily", "GPT")], "W0115", "`GPT`");
    silent(&[
        test("eq", "llm.modelFamily", "gpt"),
        test("eq", "llm.modelFamily", "House"),
    ]);
}

#[test]
fn deny_lists_of_models_by_the_callers_spelling() {
    let f = "llm.model";
    let telling = "other spellings of `gpt-4o` pass";
    one(&[test("eq", f, "gpt-4o")], "W0112", telling);
    one(&[test("in", f, "[o1-pro-of-ours, gpt-4o]")], "W0112", telling);
    one(&[test("eq", f, "GPT-4o")], "W0112", "`GPT-4o`");
    one(&[test("starts_with", f, "gpt-")], "W0112", "`gpt-`");
    one(&[test("contains", f, "claude-opus")], "W0112", "`claude-opus`");
    one(&[not(&test("not_in", f, "[gpt-4o]"))], "W0112", telling);
    one(
        &[all(&[
            test("in", f, "[gpt-4o]"),
            test("gt", "llm.estimatedCost", "1"),
        ])],
        "W0112",
        telling,
    );
    // What is allowed: other spellings are refused.
    silent(&[test("not_in", f, "[gpt-4o]"), test("ne", f, "gpt-4o")]);
    silent(&[not(&test("in", f, "[gpt-4o, gpt-4o-mini]"))]);
    // A dated version, a seller's or a deployment's name, and prefixes are meant as they are.
    silent(&[
        test("eq", f, "gpt-4o-2024-08-06"),
        test("eq", f, "openai/gpt-4o"),
        test("in", f, "[house-model, x, dear]"),
        test("starts_with", f, "'ft:'"),
        test("starts_with", f, "eu."),
        test("contains", f, "latest"),
        test("contains", f, "preview"),
        test("matches", f, "'(?i)gpt-4'"),
    ]);
    // The author knows the difference.
    silent(&[any(&[
        test("eq", f, "gpt-4o"),
        test("eq", "llm.canonicalModel", "gpt-4o"),
    ])]);
    silent(&[all(&[
        test("eq", f, "gpt-4o"),
        test("eq", "llm.modelFamily", "gpt"),
    ])]);
    silent(&[
        test("eq", "llm.canonicalModel", "gpt-4o"),
        test("eq", "metadata.model", "gpt-4o"),
    ]);
    // Only a deny list is passed by what is not on it.
    let text = policy(&[&test("eq", f, "gpt-4o")]).replace("decision: deny", "decision: warn");
    assert!(diagnostics_of(&text, &Options::default()).is_empty());
}

/// A policy of rules, each an id, a condition and an action.
fn rules(rules: &[(&str, String, &str)]) -> String {
    let mut text = "metadata: {id: p, name: p}\nrules:\n".to_owned();
    for (id, condition, action) in rules {
        text += &format!("  - id: {id}\n    condition: {condition}\n    action: {action}\n");
    }
    text
}

#[test]
fn modifications_that_a_deny_rule_always_beats() {
    const DENY: &str = "{decision: deny}";
    let f = "llm.maxTokens";
    let found = |list: &[(&str, String, &str)]| diagnostics_of(&rules(list), &Options::default());
    let one = |list: &[(&str, String, &str)], part: &str| {
        let found = found(list);
        let [(text, place)] = found.as_slice() else {
            panic!("{found:#?}");
        };
        assert!(text.starts_with("W0114") && text.contains(part), "{text}");
        assert_eq!(place, "m");
    };
    let cap = |n: u32| format!("{{decision: modify, modifications: {{llm.maxTokens: {{$cap: {n}}}}}}}");
    let (cap_4000, cap_500) = (cap(4000), cap(500));
    let over = |n: &str| test("gt", f, n);

    // The condition of the deny rule follows from that of the modify rule.
    let vain = "whenever the rule `m` fires, the rule `d` denies the request";
    one(&[("m", over("2000"), &cap_4000), ("d", over("1000"), DENY)], vain);
    one(&[("m", over("2000"), &cap_500), ("d", over("1000"), DENY)], vain);
    one(
        &[
            (
                "m",
                all(&[over("2000"), test("eq", "team.tier", "free")]),
                &cap_500,
            ),
            ("d", all(&[test("eq", "team.tier", "free"), over("1000")]), DENY),
        ],
        vain,
    );
    one(
        &[
            ("m", over("2000"), &cap_500),
            ("d", any(&[over("1000"), test("eq", "team.tier", "free")]), DENY),
        ],
        vain,
    );
    // Of an earlier deny rule the look at shadowed rules says it.
    let earlier = found(&[("d", over("1000"), DENY), ("m", over("2000"), &cap_4000)]);
    assert_eq!(earlier.len(), 1, "{earlier:?}");
    assert!(earlier[0].0.starts_with("W0105"), "{earlier:?}");

    // What the change makes is denied.
    let makes = "the rule `d` denies what the rule `m` makes of `llm.maxTokens`";
    let always = || test("exists", "llm.model", "true");
    one(&[("m", always(), &cap_4000), ("d", over("1000"), DENY)], makes);
    one(&[("d", over("1000"), DENY), ("m", always(), &cap_4000)], makes);
    for verb in ["4000", "{$default: 4000}", "{$floor: 4000}"] {
        let action =
            format!("{{decision: modify, modifications: {{max_tokens: 1, llm.max_tokens: {verb}}}}}");
        one(&[("m", always(), &action), ("d", over("1000"), DENY)], makes);
    }
    one(
        &[
            (
                "m",
                always(),
                "{decision: modify, modifications: {team.id: {$remove: true}}}",
            ),
            ("d", test("exists", "team.id", "false"), DENY),
        ],
        "makes of `team.id`",
    );
    one(
        &[
            (
                "m",
                always(),
                "{decision: modify, modifications: {llm.provider: acme}}",
            ),
            ("d", test("not_in", "llm.provider", "[openai, azure]"), DENY),
        ],
        "makes of `llm.provider`",
    );

    // What can take effect.
    for list in [
        [("m", over("500"), cap_500.as_str()), ("d", over("1000"), DENY)],
        [("m", over("1000"), &cap_4000), ("d", over("4000"), DENY)],
        [("m", always(), &cap_500), ("d", over("1000"), DENY)],
        [
            ("m", always(), &cap_4000),
            ("d", all(&[over("1000"), test("eq", "team.tier", "free")]), DENY),
        ],
        [
            ("m", over("2000"), &cap_500),
            ("d", over("1000"), "{decision: warn}"),
        ],
        [
            ("m", over("2000"), &cap_500),
            ("d", test("gt", "llm.estimatedTokens", "1000"), DENY),
        ],
        [
            (
                "m",
                any(&[over("2000"), test("eq", "team.tier", "free")]),
                &cap_500,
            ),
            ("d", over("1000"), DENY),
        ],
        [
            (
                "m",
                always(),
                "{decision: modify, modifications: {llm.provider: '{{ team.id }}'}}",
            ),
            ("d", test("ne", "llm.provider", "openai"), DENY),
        ],
    ] {
        let found = found(&list);
        assert!(found.is_empty(), "{list:?}: {found:?}");
    }
    // Another rule changes the field too.
    let two = found(&[
        ("m", always(), &cap_4000),
        ("n", test("eq", "team.tier", "free"), &cap_500),
        ("d", over("1000"), DENY),
    ]);
    assert!(two.is_empty(), "{two:?}");
}

#[test]
fn sets_that_mix_the_default_namespace_with_others() {
    let found = |namespaces: &[&str]| {
        let mut sources = SourceMap::new();
        for (i, namespace) in namespaces.iter().enumerate() {
            let text = policy(&[&test("eq", "team.id", "a")])
                .replace("{id: p, name: p}", &format!("{{id: p{i}, name: p{namespace}}}"));
            sources.add(SourceFile::new(format!("{i}.yaml"), text));
        }
        check(&sources, &Options::default())
    };
    let mixed = found(&["", ", namespace: payments", "", ", namespace: global"]);
    let [only] = mixed.as_slice() else {
        panic!("{mixed:#?}");
    };
    assert_eq!(only.code.as_str(), "W0113");
    assert_eq!(
        only.message,
        "2 of the 4 policies are in the namespace `default`, which requests that name another one pass by"
    );
    assert_eq!((only.primary.span.file.0, only.secondary[0].span.file.0), (0, 1));
    assert_eq!(only.secondary[0].message, "in the namespace `payments`");
    assert_eq!(found(&[", namespace: a", ", namespace: default"]).len(), 1);
    for silent in [
        &["", ""][..],
        &["", ", namespace: global"],
        &[", namespace: a", ", namespace: b", ", namespace: global"],
    ] {
        assert!(found(silent).is_empty(), "{silent:?}");
    }
    // A draft decides nothing.
    let mut sources = SourceMap::new();
    let condition = test("eq", "team.id", "a");
    sources.add(SourceFile::new("a.yaml", policy(&[&condition])));
    let draft = policy(&[&condition]).replace("{id: p, name: p}", "{id: q, name: q, namespace: a}");
    sources.add(SourceFile::new("b.yaml", draft + "status: draft\n"));
    assert!(check(&sources, &Options::default()).is_empty());
}

/// Nobody should get used to warnings, so the policies that people start from have none.
#[test]
fn the_examples_have_no_warnings() {
    let mut sources = SourceMap::new();
    let directory = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples/policies");
    let mut paths: Vec<_> = std::fs::read_dir(directory)
        .unwrap()
        .map(|e| e.unwrap().path())
        .collect();
    paths.sort();
    for path in paths {
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        if policy_grammar::names::is_policy_file(&name) {
            sources.add(SourceFile::new(name, std::fs::read_to_string(path).unwrap()));
        }
    }
    assert!(sources.iter().count() > 30);
    let found: Vec<String> = check(&sources, &Options::default())
        .into_iter()
        .map(|d| {
            let file = sources.file(d.primary.span.file).unwrap();
            let (line, _) = file.line_column(d.primary.span.start);
            format!("{}:{line}: {} {}", file.name(), d.code.as_str(), d.message)
        })
        .collect();
    assert!(found.is_empty(), "{found:#?}");
}

#[test]
fn a_schema_adds_types_names_and_values() {
    let schema = r#"{"type": "object", "properties": {"metadata": {"type": "object",
        "additionalProperties": false, "properties": {"region": {"type": "string", "enum": ["eu", "us"]},
        "risk": {"type": ["number", "null"]}}}}}"#;
    let options = Options {
        schema: Some(ContextSchema::parse(schema).unwrap()),
        ..Options::default()
    };
    let found = |condition: String| -> Vec<String> {
        diagnostics_of(&policy(&[&condition]), &options)
            .into_iter()
            .map(|(text, _)| text)
            .collect()
    };
    assert!(found(test("gt", "metadata.risk", "high"))[0].starts_with("W0109"));
    assert!(found(test("eq", "metadata.region", "ue"))[0].starts_with("W0102"));
    assert!(found(test("eq", "metadata.regoin", "eu"))[0].starts_with("W0002"));
    assert!(found(test("eq", "metadata.region", "eu")).is_empty());
    let error = ContextSchema::parse(r#"{"properties": {"a": {"oneOf": []}}}"#).unwrap_err();
    assert_eq!(error.pointer, "/properties/a");
}

#[test]
fn duplicate_policy_ids_name_both_places() {
    let mut sources = SourceMap::new();
    let text = policy(&[&test("eq", "team.id", "a")]);
    sources.add(SourceFile::new("a.yaml", text.as_str()));
    sources.add(SourceFile::new("b.yaml", text));
    let failed = compile(&sources, &Options::default()).unwrap_err();
    let [d] = failed.diagnostics.as_slice() else {
        panic!("{failed:?}");
    };
    assert_eq!(d.code.as_str(), "E0301");
    assert_eq!((d.secondary[0].span.file.0, d.primary.span.file.0), (0, 1));
}

#[test]
fn elements_are_ambiguous_in_each_namespace_by_itself() {
    let refused = |policies: &[(&str, &str)]| {
        let mut sources = SourceMap::new();
        for (i, (namespace, element)) in policies.iter().enumerate() {
            let text = format!(
                "metadata: {{id: p{i}, name: p, namespace: {namespace}}}\nrules:\n- id: r\n  condition: {}\n  action: \
                 {{decision: modify, modifications: {{'metadata.x{element}': 1}}}}\n",
                test("eq", "team.id", "a")
            );
            sources.add(SourceFile::new(format!("p{i}.yaml"), text));
        }
        let found = check(&sources, &Options::default());
        let errors = found.iter().filter(|d| d.is_error());
        let codes: Vec<&str> = errors.map(|d| d.code.as_str()).collect();
        assert!(codes.iter().all(|code| *code == "E0309"), "{codes:?}");
        !codes.is_empty()
    };
    // Every order, with a namespace before and behind that has the same path from the end and nothing else.
    for (first, second, expected) in [
        (("own", "[-1]"), ("own", "[0]"), true),
        (("own", "[-1]"), ("global", "[0]"), true),
        (("global", "[-1]"), ("own", "[0]"), true),
        (("own", "[-1]"), ("other", "[0]"), false),
        (("own", "[-1]"), ("own", "[-1]"), false),
    ] {
        let beside = ("beside", "[-1]");
        for policies in [
            vec![first, second],
            vec![second, first],
            vec![beside, first, second],
            vec![beside, second, first],
            vec![first, second, beside],
            vec![first, beside, second],
        ] {
            assert_eq!(refused(&policies), expected, "{policies:?}");
        }
    }
}

#[test]
fn each_namespace_has_its_own_policy_ids() {
    let text = |namespace: &str| {
        policy(&[&test("eq", "team.id", "a")]).replacen(
            "{id: p,",
            &format!("{{id: p, namespace: {namespace},"),
            1,
        )
    };
    let mut sources = SourceMap::new();
    for namespace in ["team", "global", "other"] {
        sources.add(SourceFile::new(format!("{namespace}.yaml"), text(namespace)));
    }
    let compiled = compile(&sources, &Options::default()).unwrap();
    // One order for all: after the priority and the id, that of the namespaces.
    let order: Vec<&str> = compiled
        .manifest
        .policies
        .iter()
        .map(|p| p.namespace.as_str())
        .collect();
    assert_eq!(order, ["global", "other", "team"]);
}

#[test]
fn drafts_and_disabled_rules_are_checked_but_not_compiled() {
    let text = policy(&[&test("eq", "llm.modle", "a")]) + "status: draft\n";
    let mut sources = SourceMap::new();
    sources.add(SourceFile::new("a.yaml", text));
    let compiled = compile(&sources, &Options::default()).unwrap();
    assert_eq!(compiled.diagnostics[0].code.as_str(), "W0002");
    assert!(compiled.module.policies.is_empty() && compiled.module.fields.is_empty());
    let options = Options {
        include_inactive: true,
        ..Options::default()
    };
    assert_eq!(compile(&sources, &options).unwrap().module.rules.len(), 1);
}

#[test]
fn patterns_that_no_engine_takes() {
    one(
        &[test("matches", "llm.prompt", "'(\\w{1000}){1000}'")],
        "E0106",
        "more than 10 MiB",
    );
    silent(&[test("matches", "llm.prompt", "'[a-z]{1,20}'")]);
}

/// Shapes that would be quadratic if rules were compared with each other: one threshold each, equal parts everywhere,
/// alternatives. Only release builds are held to the time.
#[test]
fn checking_ten_thousand_rules_is_linear() {
    for shape in 0..3 {
        let conditions: Vec<String> = (0..10_000)
            .map(|i| match shape {
                0 => test("gt", "llm.maxTokens", &(20_000 - i).to_string()),
                1 => all(&[
                    test("eq", "team.tier", "free"),
                    test("eq", "llm.provider", "openai"),
                    test("gt", "llm.maxTokens", &i.to_string()),
                    test("ne", "team.id", &format!("t{}", i % 7)),
                ]),
                _ => any(&[
                    all(&[
                        test("eq", "team.id", &format!("t{i}")),
                        test("eq", "team.tier", "free"),
                    ]),
                    all(&[
                        test("eq", "user.id", &format!("u{i}")),
                        test("eq", "team.tier", "free"),
                    ]),
                ]),
            })
            .collect();
        let conditions: Vec<&str> = conditions.iter().map(String::as_str).collect();
        let mut sources = SourceMap::new();
        let id = sources.add(SourceFile::new("p.yaml", policy(&conditions)));
        let start = std::time::Instant::now();
        let parsed = policy_grammar::parse_source(&sources, id);
        assert_eq!(parsed.policies.len(), 1);
        let parsing = start.elapsed();
        let start = std::time::Instant::now();
        let found = check(&sources, &Options::default());
        let checking = start.elapsed().saturating_sub(parsing);
        eprintln!(
            "shape {shape}: {checking:?} beside the parser, {} diagnostics",
            found.len()
        );
        if !cfg!(debug_assertions) {
            assert!(checking.as_millis() < 300, "shape {shape}: {checking:?}");
        }
    }
}

#[test]
fn conditions_on_elements() {
    let any = |field: &str, body: &str| format!("{{operator: any, field: {field}, condition: {body}}}");
    let item = "{operator: eq, field: item.role, value: user}";
    one(
        &[any("llm.messages", "{operator: eq, field: role, value: user}")],
        "W0004",
        "does not look at `item`",
    );
    // Inside, comparisons with the request are looked at as anywhere.
    let mixed =
        format!("{{operator: and, conditions: [{item}, {{operator: gt, field: llm.model, value: 5}}]}}");
    one(&[any("llm.messages", &mixed)], "W0109", "needs a number");
    one(&[any("llm.model", item)], "W0109", "needs an array");
    one(&[any("user.roles", item)], "W0002", "leads nowhere");
    one(
        &[any("metadata.list", "{operator: gt, field: item, value: true}")],
        "E0109",
        "a number or a string",
    );
    // A list in an element is a list of anything.
    let nested = any("item.content", "{operator: eq, field: item.type, value: image}");
    for quiet in [
        any("llm.messages", item),
        any("llm.messages", &nested),
        any("user.roles", "{operator: starts_with, field: item, value: x}"),
        any("metadata.list", "{operator: eq, field: user.id, valueFrom: item}"),
    ] {
        assert_eq!(found(&[&quiet]), Vec::<String>::new(), "{quiet}");
    }
    // `any` needs a list, so the field is there; `all` does not.
    let gone = "{operator: exists, field: llm.messages, value: false}".to_owned();
    one(
        &[all(&[any("llm.messages", item), gone.clone()])],
        "W0103",
        "llm.messages",
    );
    let every = any("llm.messages", item).replacen("any", "all", 1);
    assert_eq!(found(&[&all(&[every, gone])]), Vec::<String>::new());
}

#[test]
fn checking_thousands_of_modifications_is_linear() {
    let list: Vec<String> = (0..4_000)
        .map(|i| {
            let action = if i % 2 == 0 {
                "{decision: deny}".to_owned()
            } else {
                format!("{{decision: modify, modifications: {{metadata.f{i}: {{$cap: 5}}}}}}")
            };
            let condition = test("gt", &format!("metadata.f{}", i | 1), &(i + 10).to_string());
            format!("  - id: r{i}\n    condition: {condition}\n    action: {action}\n")
        })
        .collect();
    let text = format!("metadata: {{id: p, name: p}}\nrules:\n{}", list.concat());
    let start = std::time::Instant::now();
    diagnostics_of(&text, &Options::default());
    let time = start.elapsed();
    eprintln!("{time:?} with the parser");
    if !cfg!(debug_assertions) {
        assert!(time.as_millis() < 300, "{time:?}");
    }
}

#[test]
fn constants_that_are_read_as_something_else() {
    let cidr = |value: &str| test("in_cidr", "request.ipAddress", value);
    one(&[cidr("10.1.2.3/8")], "E0307", "bits behind its length");
    one(
        &[cidr("[10.0.0.0/8, 10.0.0/24]")],
        "E0307",
        "`10.0.0/24` is no network",
    );
    one(&[cidr("[]")], "E0307", "at least one network");
    one(&[cidr("[8]")], "E0307", "type number");
    silent(&[cidr(
        "[10.0.0.0/8, 192.0.2.1, '2001:db8::/32', '::ffff:10.0.0.0/104']",
    )]);
    let before = |value: &str| test("before", "request.timestamp", value);
    one(&[before("'2025-03-01T12:00:00'")], "E0307", "no instant");
    one(&[before("'2025-02-29T12:00:00Z'")], "E0307", "no instant");
    one(&[before("8640000000000001")], "E0307", "too large");
    silent(&[
        before("1740830400000"),
        test("after", "request.timestamp", "'2025-03-01 12:00:00.5+01:00'"),
    ]);
    let window = |value: &str| test("time_between", "request.timestamp", value);
    one(
        &[window("{start: '9:00', end: '17:00', timezone: UTC}")],
        "E0307",
        "for `start`",
    );
    one(
        &[window("{start: '24:00', end: '17:00', timezone: UTC}")],
        "E0307",
        "for `start`",
    );
    one(
        &[window("{start: '09:00', end: '24:01', timezone: UTC}")],
        "E0307",
        "for `end`",
    );
    one(
        &[window("{start: '09:00', end: '09:00', timezone: UTC}")],
        "E0307",
        "the same time",
    );
    one(
        &[window("{start: '09:00', end: '17:00'}")],
        "E0307",
        "lacks `timezone`",
    );
    one(
        &[window("{start: '09:00', end: '17:00', timezone: CEST}")],
        "E0307",
        "no time zone `CEST`",
    );
    one(
        &[window("{start: '09:00', end: '17:00', days: [], timezone: UTC}")],
        "E0307",
        "at least one day",
    );
    one(
        &[window("{start: '09:00', end: '17:00', days: mon, timezone: UTC}")],
        "E0307",
        "`days` is a list",
    );
    one(
        &[window("{start: 9, end: '17:00', timezone: UTC}")],
        "E0307",
        "`start` is a string",
    );
    one(
        &[window("{start: '09:00', end: '17:00', zone: UTC, timezone: UTC}")],
        "E0307",
        "`zone` is no part",
    );
    silent(&[window(
        "{start: '22:00', end: '06:00', days: [fri, sat], timezone: Europe/Berlin}",
    )]);
}

#[test]
fn constants_are_mended_where_it_is_clear_how() {
    let fix = |condition: &str| {
        let mut sources = SourceMap::new();
        let text = policy(&[condition]);
        let id = sources.add(SourceFile::new("p.yaml", text.clone()));
        let diagnostics = check(&sources, &Options::default());
        let fix = diagnostics[0].fix.clone().unwrap();
        let old = sources.file(id).unwrap().slice(fix.span).to_owned();
        let mended = text.replacen(&old, &fix.replacement, 1);
        assert_eq!(diagnostics_of(&mended, &Options::default()), []);
        (old, fix.replacement)
    };
    let fixed = |old: &str, new: &str| (old.to_owned(), new.to_owned());
    assert_eq!(
        fix(&test("in_cidr", "metadata.a", "10.1.2.3/8")),
        fixed("10.1.2.3/8", "\"10.0.0.0/8\"")
    );
    assert_eq!(
        fix(&test("in_cidr", "metadata.a", "['2001:db8::1/32']")),
        fixed("'2001:db8::1/32'", "\"2001:db8::/32\"")
    );
    let window = |more: &str| {
        test(
            "time_between",
            "metadata.a",
            &format!("{{start: '09:00', end: '17:00', {more}}}"),
        )
    };
    assert_eq!(
        fix(&window("timezone: Berlin")),
        fixed("Berlin", "\"Europe/Berlin\"")
    );
    assert_eq!(
        fix(&window("timezone: europe/berlin")),
        fixed("europe/berlin", "\"Europe/Berlin\"")
    );
    assert_eq!(
        fix(&window("timezone: Europe/Berln")),
        fixed("Europe/Berln", "\"Europe/Berlin\"")
    );
    assert_eq!(
        fix(&window("days: [Monday], timezone: UTC")),
        fixed("Monday", "\"mon\"")
    );
    assert_eq!(fix(&window("time_zone: UTC")).1, "\"timezone\"");
}

#[test]
fn new_operators_on_known_fields() {
    one(
        &[test("in_cidr", "llm.maxTokens", "10.0.0.0/8")],
        "W0109",
        "`in_cidr` needs a string",
    );
    one(
        &[test("before", "llm.containsPII", "0")],
        "W0109",
        "`before` needs a",
    );
    one(
        &[test("not_starts_with", "user.roles", "x")],
        "W0109",
        "`not_starts_with` needs a string",
    );
    one(
        &[test("not_matches", "llm.maxTokens", "x")],
        "W0109",
        "`not_matches` needs a string",
    );
    let fold = |op: &str, value: &str| {
        format!("{{operator: {op}, field: llm.model, value: {value}, ignoreCase: true}}")
    };
    one(&[fold("eq", "5")], "W0109", "never equals");
    silent(&[
        fold("eq", "GPT-4"),
        fold("in", "[a, B]"),
        fold("not_ends_with", "x"),
    ]);
    let at = |op: &str, value: &str| test(op, "request.timestamp", value);
    one(
        &[all(&[at("after", "2000"), at("before", "1000")])],
        "W0103",
        "never true together",
    );
    one(
        &[all(&[
            at("after", "'2025-01-01T00:00:00Z'"),
            at("before", "'2025-01-01T01:00:00+01:00'"),
        ])],
        "W0103",
        "never true together",
    );
    silent(&[all(&[at("after", "1000"), at("before", "2000")])]);
    let ip = |op: &str, value: &str| test(op, "request.ipAddress", value);
    one(
        &[all(&[ip("eq", "11.0.0.1"), ip("in_cidr", "10.0.0.0/8")])],
        "W0103",
        "never true together",
    );
    one(
        &[all(&[ip("eq", "10.0.0.1"), ip("in_cidr", "10.0.0.0/8")])],
        "W0106",
        "implied",
    );
    one(
        &[all(&[fold("eq", "GPT-4"), test("eq", "llm.model", "gpt-3")])],
        "W0103",
        "never true together",
    );
    one(
        &[all(&[fold("eq", "OWN-7"), test("eq", "llm.model", "own-7")])],
        "W0106",
        "implied",
    );
    one(&[fold("in", "[]")], "W0102", "false for every request");
}
