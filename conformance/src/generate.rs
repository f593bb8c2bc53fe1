//! Generators of policy sets and of contexts that collide with them.
//!
//! Type-directed: operators get operands that they take, known fields get values of their type, and contexts hold the
//! constants of the policies, their neighbours, wrong types and nothing at all, so that rules fire, miss and fail in
//! about equal parts. Everything is made as JSON values and written as YAML or JSON text, so that the front end takes
//! part in every comparison. Dials say how much of what; one seed gives one pair on every platform.

use crate::engine::{RequestOptions, Settings};
use crate::reference::{Derive, Mode, numbers};
use crate::rng::Rng;
use policy_grammar::ast::{Decision, FieldPath, Segment};
use serde_json::{Map, Value, json};

/// How much of what, in per cent unless said otherwise.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Dials {
    /// Most policies of a set.
    pub max_policies: usize,
    /// Most rules of a policy.
    pub max_rules: usize,
    /// Deepest nesting of conditions.
    pub depth: usize,
    /// Different fields that the tests of a set are about; 0 for any number.
    pub max_fields: usize,
    /// Tests that repeat one of the set's earlier tests.
    pub shared: u8,
    /// Tests with `valueFrom`.
    pub value_from: u8,
    /// Tests with `any` or `all`.
    pub quantifiers: u8,
    /// Fields spelled in snake_case, in policies and in contexts.
    pub aliases: u8,
    /// Strings with `{{ path }}`.
    pub templates: u8,
    /// Modifications with a verb.
    pub verbs: u8,
    /// Tests on derived fields.
    pub derived: u8,
    /// Context values of a wrong type, or null.
    pub wrong: u8,
    /// Context values left out.
    pub missing: u8,
    /// Policies with an error that the compiler must report.
    pub invalid: u8,
    /// Sets written as JSON instead of YAML.
    pub json: u8,
}

impl Default for Dials {
    fn default() -> Self {
        Self {
            max_policies: 4,
            max_rules: 4,
            depth: 3,
            max_fields: 0,
            shared: 20,
            value_from: 12,
            quantifiers: 9,
            aliases: 20,
            templates: 40,
            verbs: 65,
            derived: 5,
            wrong: 14,
            missing: 14,
            invalid: 0,
            json: 30,
        }
    }
}

impl Dials {
    /// Many rules about few fields, as the rule index likes them: keys that several rules share, thresholds and
    /// prefixes beside each other, guards below guards.
    #[must_use]
    pub fn crowded() -> Self {
        Self {
            max_policies: 3,
            max_rules: 60,
            depth: 2,
            max_fields: 4,
            shared: 30,
            value_from: 3,
            quantifiers: 2,
            derived: 2,
            templates: 5,
            ..Self::default()
        }
    }
}

/// A policy set, a request, and the settings to decide it with.
#[derive(Debug, Clone, PartialEq)]
pub struct Pair {
    /// One JSON value per policy document.
    pub documents: Vec<Value>,
    /// Written as JSON instead of YAML.
    pub json: bool,
    /// The context.
    pub context: Value,
    /// Settings of the engine.
    pub settings: Settings,
    /// The request beside the context.
    pub request: RequestOptions,
}

impl Pair {
    /// The policy set as text.
    #[must_use]
    pub fn policies_text(&self) -> String {
        write_documents(&self.documents, self.json)
    }

    /// The context as text.
    #[must_use]
    pub fn body(&self) -> String {
        numbers::write(&self.context)
    }
}

/// Policy documents as one file.
#[must_use]
pub fn write_documents(documents: &[Value], json: bool) -> String {
    if json {
        return match documents {
            [one] => numbers::write(one),
            several => numbers::write(&Value::Array(several.to_vec())),
        };
    }
    let texts: Vec<String> = documents.iter().map(to_yaml).collect();
    texts.join("---\n")
}

/// The writer of YAML knows no numbers of any size, so it writes texts that are replaced by them.
fn to_yaml(document: &Value) -> String {
    if numbers::has_marks(document) {
        let mut marks = Vec::new();
        let text = to_yaml(&placeholders(document, &mut marks));
        return marks.iter().enumerate().fold(text, |text, (i, number)| {
            text.replacen(&placeholder(i), number, 1)
        });
    }
    serde_yaml::to_string(document).unwrap_or_else(|_| document.to_string())
}

fn placeholder(index: usize) -> String {
    format!("NUMBER-{index}-HERE")
}

/// The value with a text in place of each number that `serde_json` cannot hold.
fn placeholders(value: &Value, marks: &mut Vec<String>) -> Value {
    if let Some(number) = numbers::mark_of(value) {
        marks.push(number.to_owned());
        return Value::from(placeholder(marks.len() - 1));
    }
    match value {
        Value::Array(items) => items.iter().map(|item| placeholders(item, marks)).collect(),
        Value::Object(members) => Value::Object(
            members
                .iter()
                .map(|(key, member)| (key.clone(), placeholders(member, marks)))
                .collect(),
        ),
        scalar => scalar.clone(),
    }
}

/// A whole pair.
#[must_use]
pub fn pair(rng: &mut Rng, dials: &Dials) -> Pair {
    let mut generator = Generator::new(dials.clone(), rng);
    let documents = generator.documents(rng);
    let context = generator.context(rng);
    let settings = generator.settings(rng);
    let request = generator.request(rng);
    Pair {
        documents,
        json: rng.chance(dials.json),
        context,
        settings,
        request,
    }
}

/// A pair, and `count` contexts in place of its one.
#[must_use]
pub fn contexts(rng: &mut Rng, dials: &Dials, count: usize) -> (Pair, Vec<Value>) {
    let mut generator = Generator::new(dials.clone(), rng);
    let documents = generator.documents(rng);
    let settings = generator.settings(rng);
    let request = generator.request(rng);
    let contexts: Vec<Value> = (0..count).map(|_| generator.context(rng)).collect();
    let context = contexts.first().cloned().unwrap_or_else(|| json!({}));
    (
        Pair {
            documents,
            json: rng.chance(dials.json),
            context,
            settings,
            request,
        },
        contexts,
    )
}

/// Type of a field's values.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Text,
    Number,
    Bool,
    Texts,
    List,
    Object,
    Any,
}

/// Fields that tests and modifications are about: path in its canonical spelling, other spelling, type.
const FIELDS: &[(&str, Option<&str>, Kind)] = &[
    ("llm.provider", None, Kind::Text),
    ("llm.model", None, Kind::Text),
    ("llm.prompt", None, Kind::Text),
    ("llm.maxTokens", Some("llm.max_tokens"), Kind::Number),
    ("llm.temperature", None, Kind::Number),
    ("llm.tools", None, Kind::List),
    ("llm.messages", None, Kind::List),
    ("llm.messages[0].content", None, Kind::Any),
    ("llm.messages[0].role", None, Kind::Any),
    ("user.id", None, Kind::Text),
    ("user.email", None, Kind::Text),
    ("user.roles", None, Kind::Texts),
    ("user.permissions", None, Kind::Texts),
    ("team.id", None, Kind::Text),
    ("team.tier", None, Kind::Text),
    ("project.environment", None, Kind::Text),
    ("request.ipAddress", Some("request.ip_address"), Kind::Text),
    ("request.userAgent", Some("request.user_agent"), Kind::Text),
    ("request.timestamp", None, Kind::Any),
    ("metadata.text", None, Kind::Any),
    ("metadata.number", None, Kind::Any),
    ("metadata.flag", None, Kind::Any),
    ("metadata.list", None, Kind::Any),
    ("metadata.list[0]", None, Kind::Any),
    ("metadata.list[1].id", None, Kind::Any),
    ("metadata.object", None, Kind::Any),
    ("metadata.object.a", None, Kind::Any),
    ("metadata.object.0", None, Kind::Any),
    ("metadata[\"a.b\"]", None, Kind::Any),
    ("metadata.max_tokens", None, Kind::Any),
    ("metadata.maxTokens", None, Kind::Any),
    ("metadata.größe", None, Kind::Any),
    ("custom.deep.er.path", None, Kind::Any),
    ("数据[\"k e y\"]", None, Kind::Any),
    ("metadata", None, Kind::Object),
];

const DERIVED: &[(&str, Option<&str>, Kind)] = &[
    ("llm.estimatedTokens", Some("llm.estimated_tokens"), Kind::Number),
    ("llm.estimatedCost", Some("llm.estimated_cost"), Kind::Number),
    ("llm.maxCost", Some("llm.max_cost"), Kind::Number),
    ("llm.containsPII", Some("llm.contains_pii"), Kind::Bool),
    ("llm.piiTypes", Some("llm.pii_types"), Kind::Texts),
    ("llm.piiTypes[0]", Some("llm.pii_types[0]"), Kind::Text),
];

/// Paths into elements, in the conditions of `any` and `all`.
const ITEM: &[&str] = &[
    "item",
    "item",
    "item.id",
    "item.a",
    "item.b",
    "item.role",
    "item.content",
    "item[0]",
    "item.0.a",
    "item.max_tokens",
    "item[\"k e y\"]",
];

/// Short, overlapping, and awkward: prefixes of each other, characters beyond the BMP, what YAML 1.1 misreads.
const TEXTS: &[&str] = &[
    "",
    "a",
    "A",
    "ab",
    "abc",
    "b",
    "gpt-4",
    "gpt-4o",
    "gpt-4o-mini",
    "claude-3-opus",
    "free",
    "pro",
    "enterprise",
    "production",
    "dev",
    "eu-west-1",
    "10.0.0.7",
    "5",
    "5.0",
    "true",
    "null",
    "no",
    "1e3",
    "~",
    "x\ny",
    "tab\there",
    "ünïcödé",
    "\u{FF5E}",
    "😀",
    "😀😀",
    "\u{FFFF}",
    "e\u{301}",
    "é",
    "ß",
    "SS",
    "-",
    " lead",
    "a: b",
    "# no comment",
    "jane.doe@example.com",
    "card 4111 1111 1111 1111",
    "{ }",
    "}}",
    "\u{0}",
    "\\",
    "\"",
];

const PATTERNS: &[(&str, &str)] = &[
    ("^gpt-4", "gpt-4o"),
    ("a+b", "xaab"),
    ("(?i)PROD", "production"),
    ("\\d{2,}", "a12"),
    ("^$", ""),
    ("", "anything"),
    ("b$", "ab"),
    ("^a.c$", "abc"),
    ("[äöüß]", "groß"),
    ("\\bdev\\b", "to dev or"),
    ("(free|pro)$", "free"),
    ("(?s)x.y", "x\ny"),
    ("x.y", "x\ny"),
    ("\\p{Greek}", "α"),
    ("😀{2}", "😀😀"),
    ("^.$", "😀"),
    ("(?m)^b$", "a\nb"),
    ("^(a|ab)(c|bcd)?$", "abcd"),
    ("\\w+@\\w+\\.com", "jane@example.com"),
    ("[^a-z]", "ABC"),
    ("(a*)*b", "aaab"),
    ("\\s$", "end "),
    ("\\x41", "A"),
    ("(?:ab){2}", "abab"),
];

/// A test as generated, with what contexts need to know to hit it.
#[derive(Debug, Clone)]
struct Seen {
    path: String,
    kind: Kind,
    operator: &'static str,
    value: Option<Value>,
    /// Of `any` and `all`: what their condition asks of an element.
    items: Vec<Seen>,
}

/// State of one generated set.
#[derive(Debug)]
struct Generator {
    dials: Dials,
    /// The fields that tests are about, where the dials limit them.
    fields: Vec<(&'static str, Option<&'static str>, Kind)>,
    seen: Vec<Seen>,
    tests: Vec<Value>,
    ids: Vec<String>,
    /// How deep inside conditions of `any` and `all` this is.
    inside: usize,
}

impl Generator {
    fn new(dials: Dials, rng: &mut Rng) -> Self {
        let fields = (0..dials.max_fields).map(|_| *rng.pick(FIELDS)).collect();
        Self {
            dials,
            fields,
            seen: Vec::new(),
            tests: Vec::new(),
            ids: Vec::new(),
            inside: 0,
        }
    }

    // ---- policies ---------------------------------------------------------------------------------------------------

    fn documents(&mut self, rng: &mut Rng) -> Vec<Value> {
        let count = 1 + rng.below(self.dials.max_policies);
        let mut names = vec!["alpha", "beta", "gamma", "a-b", "Zeta", "p10", "p9"];
        rng.shuffle(&mut names);
        names
            .into_iter()
            .take(count)
            .map(|id| {
                self.ids.push(id.to_owned());
                self.policy(rng, id)
            })
            .collect()
    }

    fn policy(&mut self, rng: &mut Rng, id: &str) -> Value {
        let mut metadata = json!({"id": id, "name": format!("Policy {id}")});
        if rng.chance(70) {
            metadata["namespace"] =
                json!(rng.pick(&["default", "default", "production", "global", "team-a"]));
        }
        if rng.chance(60) {
            metadata["priority"] = json!(rng.pick(&[-5, 0, 0, 1, 10, 10, 100]));
        }
        if rng.chance(20) {
            metadata["tags"] = json!(["generated"]);
        }
        let count = 1 + rng.below(self.dials.max_rules);
        let mut ids = ["r1", "r2", "r3", "r4", "shared", "other"]
            .map(str::to_owned)
            .to_vec();
        ids.extend(
            (5..)
                .map(|n| format!("r{n}"))
                .take(count.saturating_sub(ids.len())),
        );
        rng.shuffle(&mut ids);
        let rules: Vec<Value> = ids.iter().take(count).map(|rule| self.rule(rng, rule)).collect();
        let mut document = json!({"metadata": metadata, "rules": rules});
        if rng.chance(15) {
            document["status"] = json!(rng.pick(&["active", "active", "draft", "deprecated"]));
        }
        if rng.chance(35) {
            document["onError"] = json!(rng.pick(&["match", "skip", "skip"]));
        }
        if rng.chance(self.dials.invalid) {
            spoil(rng, &mut document);
        }
        document
    }

    fn rule(&mut self, rng: &mut Rng, id: &str) -> Value {
        let condition = self.condition(rng, self.dials.depth);
        let mut rule = json!({"id": id, "condition": condition, "action": self.action(rng)});
        if rng.chance(8) {
            rule["enabled"] = json!(rng.chance(40));
        }
        if rng.chance(10) {
            rule["name"] = json!(rng.pick(TEXTS));
        }
        rule
    }

    fn condition(&mut self, rng: &mut Rng, depth: usize) -> Value {
        if depth == 0 || rng.chance(45) {
            return self.test(rng);
        }
        match rng.weighted(&[40, 35, 25]) {
            0 => self.list(rng, "and", depth),
            1 => self.list(rng, "or", depth),
            _ => json!({"operator": "not", "conditions": [self.condition(rng, depth - 1)]}),
        }
    }

    fn list(&mut self, rng: &mut Rng, operator: &str, depth: usize) -> Value {
        let count = 1 + rng.weighted(&[10, 50, 30, 10]);
        let operands: Vec<Value> = (0..count).map(|_| self.condition(rng, depth - 1)).collect();
        json!({"operator": operator, "conditions": operands})
    }

    fn field(&self, rng: &mut Rng) -> (&'static str, String, Kind) {
        if self.inside > 0 && rng.chance(75) {
            let path = *rng.pick(ITEM);
            return (path, path.to_owned(), Kind::Any);
        }
        let table = if rng.chance(self.dials.derived) {
            DERIVED
        } else if self.fields.is_empty() {
            FIELDS
        } else {
            &self.fields
        };
        let (path, alias, kind) = rng.pick(table);
        let spelled = match alias {
            Some(alias) if rng.chance(self.dials.aliases) => *alias,
            Some(_) | None => path,
        };
        // Other spellings of the same path.
        let spelled = if rng.chance(10) {
            spelled.replace("[0]", ".0").replace("[1]", ".1")
        } else {
            spelled.to_owned()
        };
        (path, spelled, *kind)
    }

    /// A field that a field of type `kind` may be compared with; mostly, not always, one that makes sense.
    fn partner(&self, rng: &mut Rng, operator: &str, kind: Kind) -> String {
        for _ in 0..20 {
            let (_, spelled, other) = self.field(rng);
            let fits = match operator {
                "in" | "not_in" => matches!(other, Kind::List | Kind::Texts | Kind::Any),
                "contains" | "not_contains" => match kind {
                    Kind::Text | Kind::Texts => matches!(other, Kind::Text | Kind::Any),
                    _ => other == Kind::Any,
                },
                _ => {
                    other == kind || other == Kind::Any || (kind == Kind::Any && matches!(other, Kind::Text))
                }
            };
            if fits || rng.chance(15) {
                return spelled;
            }
        }
        "metadata.text".to_owned()
    }

    fn test(&mut self, rng: &mut Rng) -> Value {
        if !self.tests.is_empty() && self.inside == 0 && rng.chance(self.dials.shared) {
            return rng.pick(&self.tests).clone();
        }
        if self.inside < 3 && rng.chance(self.dials.quantifiers) {
            return self.quantifier(rng);
        }
        let (path, spelled, kind) = self.field(rng);
        // A field of any type is treated as one type for this test; now and then a field of another type, too.
        let used = if kind == Kind::Any || rng.chance(12) {
            *rng.pick(&[
                Kind::Text,
                Kind::Number,
                Kind::Bool,
                Kind::Texts,
                Kind::List,
                Kind::Object,
            ])
        } else {
            kind
        };
        let mut operators = vec!["eq", "ne", "in", "not_in", "exists"];
        match used {
            Kind::Text => operators.extend([
                "gt",
                "gte",
                "lt",
                "lte",
                "contains",
                "contains",
                "not_contains",
                "starts_with",
                "starts_with",
                "ends_with",
                "matches",
                "matches",
                "matches",
            ]),
            Kind::Number => operators.extend(["gt", "gt", "gte", "gte", "lt", "lt", "lte", "lte"]),
            Kind::Texts | Kind::List => {
                operators.extend(["contains", "contains", "contains", "not_contains", "not_contains"]);
            }
            Kind::Bool | Kind::Object | Kind::Any => {}
        }
        let operator = *rng.pick(&operators);
        let mut test = json!({"operator": operator, "field": spelled});
        let mut value = None;
        match operator {
            "exists" => match rng.below(3) {
                0 => test["value"] = json!(true),
                1 => test["value"] = json!(false),
                _ => {}
            },
            "matches" => {
                let (pattern, sample) = rng.pick(PATTERNS);
                test["value"] = json!(pattern);
                value = Some(json!(sample));
            }
            _ if rng.chance(self.dials.value_from) => {
                test["valueFrom"] = json!(self.partner(rng, operator, kind));
            }
            "in" | "not_in" => {
                let count = rng.weighted(&[5, 25, 35, 25, 10]);
                let element = if used == Kind::Texts { Kind::Text } else { used };
                let items: Vec<Value> = (0..count).map(|_| self.value(rng, element, 2)).collect();
                value = items.first().cloned();
                test["value"] = json!(items);
            }
            "contains" | "not_contains" => {
                let element = if used == Kind::List { Kind::Any } else { Kind::Text };
                let item = self.value(rng, element, 1);
                value = Some(item.clone());
                test["value"] = item;
            }
            _ => {
                let item = self.value(rng, used, 2);
                value = Some(item.clone());
                test["value"] = item;
            }
        }
        self.seen.push(Seen {
            path: path.to_owned(),
            kind: used,
            operator,
            value,
            items: Vec::new(),
        });
        if self.inside == 0 {
            self.tests.push(test.clone());
        }
        test
    }

    /// `any` or `all`, mostly of a list.
    fn quantifier(&mut self, rng: &mut Rng) -> Value {
        let (path, spelled, kind) = loop {
            let (path, spelled, kind) = self.field(rng);
            if matches!(kind, Kind::Texts | Kind::List | Kind::Any) || rng.chance(10) {
                break (path, spelled, kind);
            }
        };
        let operator = *rng.pick(&["any", "all"]);
        let before = self.seen.len();
        self.inside += 1;
        let depth = rng.below(3);
        let condition = self.condition(rng, depth);
        self.inside -= 1;
        let (items, others) = self
            .seen
            .split_off(before)
            .into_iter()
            .partition(|seen| seen.path.starts_with("item"));
        self.seen.extend::<Vec<Seen>>(others);
        self.seen.push(Seen {
            path: path.to_owned(),
            kind,
            operator,
            value: None,
            items,
        });
        let test = json!({"operator": operator, "field": spelled, "condition": condition});
        if self.inside == 0 {
            self.tests.push(test.clone());
        }
        test
    }

    fn value(&mut self, rng: &mut Rng, kind: Kind, depth: usize) -> Value {
        match kind {
            Kind::Text => json!(rng.pick(TEXTS)),
            Kind::Number => number(rng),
            Kind::Bool => json!(rng.chance(50)),
            Kind::Texts => (0..rng.below(4)).map(|_| json!(rng.pick(TEXTS))).collect(),
            Kind::List => (0..rng.below(4))
                .map(|_| self.value(rng, Kind::Any, depth.saturating_sub(1)))
                .collect(),
            Kind::Object => {
                let mut object = Map::new();
                for _ in 0..rng.below(3) {
                    let key = *rng.pick(&["a", "b", "id", "0", "k e y", "größe"]);
                    object.insert(
                        key.to_owned(),
                        self.value(rng, Kind::Any, depth.saturating_sub(1)),
                    );
                }
                Value::Object(object)
            }
            Kind::Any => {
                let kinds = [
                    Kind::Text,
                    Kind::Number,
                    Kind::Bool,
                    Kind::Texts,
                    Kind::List,
                    Kind::Object,
                ];
                match rng.below(if depth == 0 { 4 } else { 7 }) {
                    3 => Value::Null,
                    n => {
                        let kind = kinds[if n > 3 { n - 1 } else { n }];
                        self.value(rng, kind, depth.saturating_sub(1))
                    }
                }
            }
        }
    }

    // ---- actions ----------------------------------------------------------------------------------------------------

    fn action(&mut self, rng: &mut Rng) -> Value {
        let decision = ["allow", "warn", "modify", "deny"][rng.weighted(&[15, 20, 45, 20])];
        let mut action = json!({"decision": decision});
        if rng.chance(80) {
            action["reason"] = json!(self.text(rng));
        }
        if rng.chance(45) {
            let mut metadata = Map::new();
            for _ in 0..=rng.below(2) {
                let key = *rng.pick(&["severity", "category", "hint", "κ"]);
                metadata.insert(key.to_owned(), self.action_value(rng, 2));
            }
            action["metadata"] = Value::Object(metadata);
        }
        if decision == "modify" {
            let mut modifications = Map::new();
            for _ in 0..=rng.below(3) {
                let (path, alias, kind) = *rng.pick(FIELDS);
                let spelled = match alias {
                    Some(alias) if rng.chance(self.dials.aliases) => alias,
                    Some(_) | None => path,
                };
                let change = self.modification(rng, kind);
                self.seen.push(Seen {
                    path: path.to_owned(),
                    kind,
                    operator: "modify",
                    value: None,
                    items: Vec::new(),
                });
                modifications.insert(spelled.to_owned(), change);
            }
            action["modifications"] = Value::Object(modifications);
        }
        action
    }

    fn modification(&mut self, rng: &mut Rng, kind: Kind) -> Value {
        if !rng.chance(self.dials.verbs) {
            return self.action_value(rng, 2);
        }
        let verbs: &[&str] = match kind {
            Kind::Number => &["$cap", "$cap", "$floor", "$floor", "$default", "$remove"],
            Kind::Text => &["$default", "$append", "$append", "$redact", "$redact", "$remove"],
            Kind::Texts | Kind::List => &["$append", "$append", "$default", "$redact", "$remove"],
            Kind::Bool | Kind::Object => &["$default", "$remove", "$redact"],
            Kind::Any => &[
                "$cap", "$floor", "$default", "$append", "$append", "$redact", "$remove",
            ],
        };
        let verb = *rng.pick(verbs);
        let operand = match verb {
            "$cap" | "$floor" => number(rng),
            "$remove" => json!(true),
            "$redact" => rng
                .pick(&[json!("all"), json!(["email"]), json!(["credit_card", "phone"])])
                .clone(),
            "$append" => match kind {
                Kind::Text | Kind::Texts => json!(self.text(rng)),
                Kind::Number | Kind::Bool | Kind::List | Kind::Object | Kind::Any => {
                    self.action_value(rng, 1)
                }
            },
            _ => match kind {
                Kind::Text => json!(self.text(rng)),
                Kind::Any => self.action_value(rng, 1),
                other => self.value(rng, other, 1),
            },
        };
        json!({ verb: operand })
    }

    /// A value of an action; its strings may hold templates.
    fn action_value(&mut self, rng: &mut Rng, depth: usize) -> Value {
        match rng.below(if depth == 0 { 3 } else { 5 }) {
            0 | 1 => json!(self.text(rng)),
            3 => (0..=rng.below(2))
                .map(|_| self.action_value(rng, depth - 1))
                .collect(),
            4 => json!({"a": self.action_value(rng, depth - 1), "{{ b }}": "kept"}),
            _ => self.value(rng, Kind::Any, 1),
        }
    }

    fn text(&mut self, rng: &mut Rng) -> String {
        if !rng.chance(self.dials.templates) {
            return (*rng.pick(&[
                "plain",
                "costs $1.00",
                "",
                "ünï 😀",
                "{{{{ literal }}",
                "a: b # c",
            ]))
            .to_owned();
        }
        let mut text = String::from("is ");
        for _ in 0..=rng.below(2) {
            let path = match rng.pick(
                &self
                    .seen
                    .iter()
                    .map(|s| s.path.clone())
                    .chain(["llm.model".to_owned()])
                    .collect::<Vec<_>>(),
            ) {
                path if rng.chance(70) => path.clone(),
                _ => self.field(rng).1,
            };
            text.push_str(&format!("{{{{ {path} }}}}, "));
        }
        text
    }

    // ---- contexts ---------------------------------------------------------------------------------------------------

    fn context(&mut self, rng: &mut Rng) -> Value {
        let mut context = json!({});
        let mut seen = self.seen.clone();
        rng.shuffle(&mut seen);
        for test in &seen {
            if rng.chance(self.dials.missing) {
                continue;
            }
            let value = self.context_value(rng, test);
            self.place(rng, &mut context, &test.path, value);
        }
        // What no policy asks for.
        for _ in 0..rng.below(4) {
            let (path, _, kind) = *rng.pick(FIELDS);
            let value = self.value(rng, kind, 2);
            self.place(rng, &mut context, path, value);
        }
        if rng.chance(30) {
            context["unrelated"] = self.value(rng, Kind::Any, 4);
        }
        context
    }

    fn context_value(&mut self, rng: &mut Rng, test: &Seen) -> Value {
        if rng.chance(self.dials.wrong) {
            return match rng.below(4) {
                0 => Value::Null,
                _ => self.value(rng, Kind::Any, 2),
            };
        }
        if matches!(test.operator, "any" | "all") {
            return (0..rng.below(4))
                .map(|_| self.element(rng, &test.items))
                .collect();
        }
        let Some(constant) = &test.value else {
            return self.value(rng, test.kind, 2);
        };
        if rng.chance(20) {
            return self.value(rng, test.kind, 2);
        }
        match (constant, test.operator) {
            (Value::Number(n), _) if rng.chance(60) => neighbour(rng, n),
            (Value::String(s), "contains" | "not_contains") if test.kind == Kind::Text => {
                json!(format!("{}{s}{}", rng.pick(TEXTS), rng.pick(TEXTS)))
            }
            (Value::String(s), "starts_with") => json!(format!("{s}{}", rng.pick(TEXTS))),
            (Value::String(s), "ends_with") => json!(format!("{}{s}", rng.pick(TEXTS))),
            (Value::String(s), "matches" | "gt" | "gte" | "lt" | "lte") if rng.chance(40) => {
                json!(format!("{s}{}", rng.pick(TEXTS)))
            }
            (constant, _) if matches!(test.kind, Kind::Texts | Kind::List) && !constant.is_array() => {
                let mut items = vec![constant.clone()];
                for _ in 0..rng.below(3) {
                    items.push(self.value(rng, Kind::Any, 1));
                }
                rng.shuffle(&mut items);
                Value::Array(items)
            }
            (constant, _) => constant.clone(),
        }
    }

    /// An element of a list that `any` or `all` asks about.
    fn element(&mut self, rng: &mut Rng, items: &[Seen]) -> Value {
        if rng.chance(15) {
            return self.value(rng, Kind::Any, 2);
        }
        let mut items = items.to_vec();
        rng.shuffle(&mut items);
        let mut holder = json!({});
        for item in &items {
            if rng.chance(self.dials.missing) {
                continue;
            }
            let value = self.context_value(rng, item);
            put(rng, &mut holder, &item.path, value);
        }
        holder["item"].take()
    }

    /// Puts a value at a path, now and then in its snake_case spelling or in both.
    fn place(&self, rng: &mut Rng, context: &mut Value, path: &str, value: Value) {
        let alias = FIELDS
            .iter()
            .chain(DERIVED)
            .find(|(p, ..)| *p == path)
            .and_then(|(_, alias, _)| *alias);
        if let Some(alias) = alias
            && rng.chance(self.dials.aliases)
        {
            put(rng, context, alias, value.clone());
            if !rng.chance(20) {
                return;
            }
            // Both spellings, mostly with different values.
            let other = if rng.chance(80) { Value::from(7) } else { value };
            put(rng, context, path, other);
            return;
        }
        put(rng, context, path, value);
    }

    // ---- requests ---------------------------------------------------------------------------------------------------

    fn settings(&self, rng: &mut Rng) -> Settings {
        let derived = self
            .seen
            .iter()
            .any(|s| DERIVED.iter().any(|(p, ..)| s.path == *p));
        let derive = match rng.below(4) {
            0 | 1 if derived => Derive::Always,
            2 if derived => Derive::Missing,
            _ => *rng.pick(&[Derive::Never, Derive::Never, Derive::Always, Derive::Missing]),
        };
        let default_decision = if rng.chance(15) {
            Decision::Deny
        } else {
            Decision::Allow
        };
        Settings {
            derive,
            default_decision,
        }
    }

    fn request(&self, rng: &mut Rng) -> RequestOptions {
        let namespace = rng
            .chance(35)
            .then(|| (*rng.pick(&["default", "production", "team-a", "global", "nobody"])).to_owned());
        let policies = rng.chance(15).then(|| {
            let mut ids: Vec<String> = self.ids.iter().filter(|_| rng.chance(70)).cloned().collect();
            if rng.chance(8) {
                ids.push("no-such-policy".to_owned());
            }
            rng.shuffle(&mut ids);
            ids
        });
        let mode = if rng.chance(35) {
            Mode::All
        } else {
            Mode::FirstDeny
        };
        RequestOptions {
            namespace,
            policies,
            mode,
        }
    }
}

/// Numbers that are neither integers of 64 bits nor doubles; some are equal, most nearly so.
const DECIMALS: &[&str] = &[
    "18446744073709551616",
    "18446744073709551617",
    "18446744073709551617.0",
    "1.8446744073709551617E+19",
    "-9223372036854775809",
    "1e400",
    "10e399",
    "-1e400",
    "1e-400",
    "0.1000000000000000055",
    "0.10000000000000000550",
    "0.3000000000000000000000000000000001",
    "9007199254740992.5",
    "9007199254740993.5",
    "9223372036854775807.5",
    "100000000000000000000000000000000000000000000000000000000000000000000000000000001",
    "1e9223372036854775807",
];

/// Numbers on which rounding, signs and types show.
fn number(rng: &mut Rng) -> Value {
    let integers = [
        0,
        1,
        -1,
        2,
        5,
        10,
        100,
        4096,
        9_007_199_254_740_992,
        9_007_199_254_740_993,
        -9_007_199_254_740_993,
        i64::MAX,
        i64::MAX - 1,
        i64::MIN,
    ];
    let doubles = [
        1.0,
        5.0,
        0.5,
        -0.0,
        0.1,
        0.3,
        0.005,
        0.02,
        1.5,
        5.000_000_000_000_001,
        1e16,
        1e21,
        1e-7,
        1e300,
        -2.5,
        9_007_199_254_740_992.0,
        9_223_372_036_854_775_807.0,
        1.797_693_134_862_315_7e308,
        5e-324,
    ];
    match rng.weighted(&[52, 28, 10, 5, 5]) {
        0 => json!(rng.pick(&integers[..8])),
        1 => json!(rng.pick(&doubles)),
        2 => json!(rng.pick(&integers)),
        3 => json!(rng.pick(&[u64::MAX, u64::MAX - 1, 1 << 63, 9_223_372_036_854_776_000])),
        _ => {
            let text: &&str = rng.pick(DECIMALS);
            numbers::marked(text)
        }
    }
}

/// The number itself, one more, one less, or the same value as another type.
fn neighbour(rng: &mut Rng, n: &serde_json::Number) -> Value {
    match (n.as_i64(), rng.below(4)) {
        (Some(n), 0) => json!(n.saturating_add(1)),
        (Some(n), 1) => json!(n.saturating_sub(1)),
        #[expect(clippy::cast_precision_loss, reason = "a neighbour is what is wanted")]
        (Some(n), 2) => json!(n as f64),
        (None, 0) => n
            .as_f64()
            .map_or(Value::Null, |x| json!(x.next_up().min(f64::MAX))),
        (None, 1) => n
            .as_f64()
            .map_or(Value::Null, |x| json!(x.next_down().max(f64::MIN))),
        _ => Value::Number(n.clone()),
    }
}

/// Puts a value at a path, making containers on the way; does nothing where a scalar is in the way.
pub fn put(rng: &mut Rng, context: &mut Value, path: &str, value: Value) {
    let Ok(path) = FieldPath::parse(path) else { return };
    let mut at = context;
    for segment in &path.segments {
        if at.is_null() {
            *at = match segment {
                Segment::Index(_) if rng.chance(85) => json!([]),
                Segment::Index(_) | Segment::Key(_) => json!({}),
            };
        }
        at = match (at, segment) {
            (Value::Object(members), Segment::Key(key)) => members.entry(key.clone()).or_insert(Value::Null),
            (Value::Object(members), Segment::Index(n)) => {
                members.entry(n.to_string()).or_insert(Value::Null)
            }
            (Value::Array(items), Segment::Index(n)) if *n < 4 => {
                let n = *n as usize;
                while items.len() <= n {
                    items.push(Value::Null);
                }
                &mut items[n]
            }
            _ => return,
        };
    }
    *at = value;
}

/// Breaks a document in one of the ways of 1.1.
fn spoil(rng: &mut Rng, document: &mut Value) {
    let rule = &mut document["rules"][0];
    match rng.below(9) {
        0 => rule["priorty"] = json!(1),
        1 => rule["condition"] = json!({"operator": "equals", "field": "a", "value": 1}),
        2 => rule["condition"] = json!({"operator": "and", "conditions": []}),
        3 => rule["condition"] = json!({"operator": "matches", "field": "a", "value": "(?<=a)b"}),
        4 => rule["condition"] = json!({"operator": "in", "field": "a", "value": "b"}),
        5 => rule["action"] = json!({"decision": "modify"}),
        6 => rule["action"] = json!({"decision": "refuse"}),
        7 => rule["condition"] = json!({"operator": "eq", "field": "a..b", "value": 1}),
        _ => document["metadata"] = json!({"name": "no id"}),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_seed_gives_one_pair() {
        let make = || pair(&mut Rng::seeded(7), &Dials::default());
        assert_eq!(make(), make());
    }

    #[test]
    fn paths_are_made_on_the_way() {
        let mut context = json!({});
        let mut rng = Rng::seeded(1);
        put(&mut rng, &mut context, "a.b[\"c.d\"]", json!(1));
        put(&mut rng, &mut context, "a.b.e", json!(2));
        put(&mut rng, &mut context, "a.b.e.f", json!(3));
        assert_eq!(context, json!({"a": {"b": {"c.d": 1, "e": 2}}}));
    }
}
