//! Keys drawn at random by the published formats of their issuers, and values behind names in the ways that files and
//! programs write them: nearly all are found. What only looks like them is not.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

use policy_primitives::pii::{Confidence, PiiType, PiiTypeSet, contains_any, redact, types_in};
use regex_syntax::hir::{Class, Hir, HirKind};

const SECRETS: PiiTypeSet = PiiTypeSet::EMPTY
    .with(PiiType::ApiKey)
    .with(PiiType::PrivateKey)
    .with(PiiType::Jwt);

/// Keys drawn from each format.
const SAMPLES: usize = 200;

/// Draws strings of patterns, each character of a class as likely as the others.
struct Draw(u64);

impl Draw {
    fn below(&mut self, bound: usize) -> usize {
        // Xorshift.
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 33) as usize % bound
    }

    fn string(&mut self, pattern: &str) -> String {
        let mut out = String::new();
        self.push(&regex_syntax::parse(pattern).unwrap(), &mut out);
        out
    }

    fn push(&mut self, hir: &Hir, out: &mut String) {
        match hir.kind() {
            HirKind::Literal(text) => out.push_str(std::str::from_utf8(&text.0).unwrap()),
            HirKind::Class(Class::Unicode(class)) => {
                let all: Vec<char> = class
                    .iter()
                    .flat_map(|range| range.start()..=range.end())
                    .collect();
                out.push(all[self.below(all.len())]);
            }
            HirKind::Repetition(repetition) => {
                let most = repetition.max.unwrap_or(repetition.min);
                let count = repetition.min as usize + self.below((most - repetition.min) as usize + 1);
                (0..count).for_each(|_| self.push(&repetition.sub, out));
            }
            HirKind::Capture(capture) => self.push(&capture.sub, out),
            HirKind::Concat(parts) => parts.iter().for_each(|part| self.push(part, out)),
            HirKind::Alternation(parts) => {
                let part = self.below(parts.len());
                self.push(&parts[part], out);
            }
            other => panic!("{other:?} is in no format"),
        }
    }
}

fn is_secret(text: &str) -> bool {
    contains_any(text, SECRETS, Confidence::Medium)
}

/// Formats that say what they are, with nothing around them.
const ALONE: &[(&str, &str)] = &[
    ("aws access key", "(AKIA|ASIA|ABIA|ACCA)[A-Z2-7]{16}"),
    ("aws bedrock", "ABSK[A-Za-z0-9+/]{120}"),
    ("google api key", "AIza[0-9A-Za-z_-]{35}"),
    ("google oauth secret", "GOCSPX-[0-9A-Za-z_-]{28}"),
    ("google access token", "ya29\\.[0-9A-Za-z_-]{100}"),
    ("alibaba", "LTAI5t[A-Za-z0-9]{18}"),
    ("github pat", "ghp_[0-9A-Za-z]{36}"),
    ("github app", "(gho|ghu|ghs|ghr)_[0-9A-Za-z]{36}"),
    (
        "github fine-grained",
        "github_pat_[0-9A-Za-z]{22}_[0-9A-Za-z]{59}",
    ),
    ("gitlab pat", "glpat-[0-9A-Za-z_-]{20}"),
    ("gitlab routable", "glpat-[0-9A-Za-z_-]{27}\\.01\\.[0-9a-z]{9}"),
    (
        "gitlab others",
        "(gldt|glrt|glft|glimt|glsoat|glffct)-[0-9A-Za-z_-]{20}",
    ),
    ("gitlab trigger", "glptt-[0-9a-f]{40}"),
    ("gitlab agent", "glagent-[0-9A-Za-z_-]{50}"),
    ("gitlab runner", "GR1348941[0-9A-Za-z_-]{20}"),
    ("bitbucket", "ATBB[0-9A-Za-z]{32}"),
    ("slack bot", "xoxb-[0-9]{12}-[0-9]{12}-[0-9A-Za-z]{24}"),
    ("slack user", "xoxp-[0-9]{12}-[0-9]{12}-[0-9]{12}-[0-9a-f]{32}"),
    ("slack app", "xapp-1-A[0-9A-Z]{10}-[0-9]{13}-[0-9a-f]{64}"),
    (
        "slack webhook",
        "https://hooks\\.slack\\.com/services/T[0-9A-Z]{10}/B[0-9A-Z]{10}/[0-9A-Za-z]{24}",
    ),
    (
        "slack trigger",
        "https://hooks\\.slack\\.com/triggers/T[0-9A-Z]{10}/[0-9]{13}/[0-9a-f]{32}",
    ),
    (
        "discord bot",
        "[MNO][0-9A-Za-z]{25}\\.G[0-9A-Za-z_-]{5}\\.[0-9A-Za-z_-]{38}",
    ),
    (
        "discord webhook",
        "https://discord\\.com/api/webhooks/[0-9]{18}/[0-9A-Za-z_-]{68}",
    ),
    ("telegram", "[0-9]{8,10}:AA[0-9A-Za-z_-]{33}"),
    (
        "teams webhook",
        "https://acme\\.webhook\\.office\\.com/webhookb2/[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}@[0-9a-f]{8}",
    ),
    ("facebook app", "[0-9]{15}\\|[0-9A-Za-z_-]{27}"),
    ("facebook page", "EAAC[0-9A-Za-z]{150}"),
    ("openai", "sk-proj-[0-9A-Za-z_-]{74}T3BlbkFJ[0-9A-Za-z_-]{74}"),
    ("openai old", "sk-[0-9A-Za-z]{20}T3BlbkFJ[0-9A-Za-z]{20}"),
    ("anthropic", "sk-ant-api03-[0-9A-Za-z_-]{93}AA"),
    ("openrouter", "sk-or-v1-[0-9a-f]{64}"),
    ("deepseek", "sk-[0-9a-f]{32}"),
    (
        "langfuse",
        "sk-lf-[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}",
    ),
    ("hugging face", "hf_[A-Za-z]{34}"),
    ("groq", "gsk_[0-9A-Za-z]{52}"),
    ("perplexity", "pplx-[0-9A-Za-z]{48}"),
    ("replicate", "r8_[0-9A-Za-z]{37}"),
    ("xai", "xai-[0-9A-Za-z]{80}"),
    ("nvidia", "nvapi-[0-9A-Za-z_-]{64}"),
    ("fireworks", "fw_[0-9A-Za-z]{24}"),
    ("cerebras", "csk-[0-9a-z]{48}"),
    ("voyage", "pa-[0-9A-Za-z_-]{43}"),
    ("jina", "jina_[0-9a-f]{32}[0-9A-Za-z_-]{28}"),
    ("elevenlabs", "sk_[0-9a-f]{48}"),
    ("tavily", "tvly-(dev-)?[0-9A-Za-z]{32}"),
    ("pinecone", "pcsk_[0-9A-Za-z]{6}_[0-9A-Za-z]{63}"),
    ("langsmith", "lsv2_(pt|sk)_[0-9a-f]{32}_[0-9a-f]{10}"),
    ("together", "tgp_v1_[0-9A-Za-z_-]{43}"),
    ("llamacloud", "llx-[0-9A-Za-z]{48}"),
    ("firecrawl", "fc-[0-9a-f]{32}"),
    ("stripe", "(sk|rk)_(live|test)_[0-9A-Za-z]{24}"),
    ("stripe webhook", "whsec_[0-9A-Za-z]{32}"),
    ("square", "sq0atp-[0-9A-Za-z_-]{22}"),
    ("razorpay", "rzp_live_[0-9A-Za-z]{14}"),
    (
        "braintree",
        "access_token\\$production\\$[0-9a-z]{16}\\$[0-9a-f]{32}",
    ),
    (
        "plaid",
        "access-sandbox-[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}",
    ),
    ("shopify", "shpat_[0-9a-f]{32}"),
    ("shippo", "shippo_live_[0-9a-f]{40}"),
    ("easypost", "EZAK[0-9A-Za-z]{54}"),
    ("sendgrid", "SG\\.[0-9A-Za-z_-]{22}\\.[0-9A-Za-z_-]{43}"),
    ("twilio", "SK[0-9a-f]{32}"),
    ("brevo", "xkeysib-[0-9a-f]{64}-[0-9A-Za-z]{16}"),
    ("mailgun", "key-[0-9a-f]{32}"),
    ("mailgun new", "[0-9a-f]{32}-[0-9a-f]{8}-[0-9a-f]{8}"),
    ("mailchimp", "[0-9a-f]{32}-us[1-9][0-9]"),
    ("resend", "re_[0-9A-Za-z]{8}_[0-9A-Za-z]{24}"),
    ("npm", "npm_[0-9A-Za-z]{36}"),
    ("pypi", "pypi-AgEIcHlwaS5vcmc[0-9A-Za-z_-]{80}"),
    ("rubygems", "rubygems_[0-9a-f]{48}"),
    ("docker hub", "dckr_pat_[0-9A-Za-z_-]{27}"),
    ("crates.io", "cio[0-9A-Za-z]{32}"),
    ("artifactory", "AKCp[0-9A-Za-z]{69}"),
    ("sonar", "sq[pua]_[0-9a-f]{40}"),
    ("buildkite", "bkua_[0-9a-f]{40}"),
    ("databricks", "dapi[0-9a-f]{32}"),
    ("digitalocean", "do[opr]_v1_[0-9a-f]{64}"),
    ("vault", "hvs\\.[0-9A-Za-z_-]{95}"),
    ("pulumi", "pul-[0-9a-f]{40}"),
    ("heroku", "HRKU-AA[0-9A-Za-z_-]{58}"),
    ("render", "rnd_[0-9A-Za-z]{32}"),
    ("netlify", "nfp_[0-9A-Za-z]{36}"),
    ("vercel", "vc[piark]_[0-9A-Za-z]{56}"),
    ("fly.io", "fo1_[0-9A-Za-z_-]{43}"),
    ("terraform", "[0-9A-Za-z]{14}\\.atlasv1\\.[0-9A-Za-z_-]{67}"),
    ("azure ad", "[0-9A-Za-z]{3}8Q~[0-9A-Za-z_.~-]{34}"),
    (
        "1password",
        "A3-[0-9A-Z]{6}-[0-9A-Z]{6}-[0-9A-Z]{5}-[0-9A-Z]{5}-[0-9A-Z]{5}-[0-9A-Z]{5}",
    ),
    ("1password service", "ops_eyJ[0-9A-Za-z+/]{260}"),
    ("tailscale", "tskey-auth-[0-9A-Za-z]{17}-[0-9A-Za-z]{32}"),
    ("supabase", "sbp_[0-9a-f]{40}"),
    ("supabase secret", "sb_secret_[0-9A-Za-z_-]{31}"),
    ("planetscale", "pscale_tkn_[0-9A-Za-z_-]{43}"),
    ("airtable", "pat[0-9A-Za-z]{14}\\.[0-9a-f]{64}"),
    ("contentful", "CFPAT-[0-9A-Za-z_-]{43}"),
    ("postman", "PMAK-[0-9a-f]{24}-[0-9a-f]{34}"),
    ("linear", "lin_api_[0-9A-Za-z]{40}"),
    ("notion", "ntn_[0-9]{11}[0-9A-Za-z]{35}"),
    ("notion old", "secret_[0-9A-Za-z]{43}"),
    ("figma", "figd_[0-9A-Za-z_-]{40}"),
    (
        "hubspot",
        "pat-na1-[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}",
    ),
    ("mapbox", "sk\\.eyJ[0-9A-Za-z]{80}\\.[0-9A-Za-z_-]{22}"),
    ("atlassian", "ATATT3[0-9A-Za-z_-]{186}"),
    ("asana", "1/[0-9]{16}:[0-9a-f]{32}"),
    ("trello", "ATTA[0-9a-f]{64}"),
    ("grafana", "glsa_[0-9A-Za-z]{32}_[0-9a-f]{8}"),
    ("new relic", "NRAK-[0-9A-Z]{27}"),
    ("sentry", "sntryu_[0-9a-f]{64}"),
    ("dynatrace", "dt0c01\\.[0-9A-Z]{24}\\.[0-9A-Z]{64}"),
    ("doppler", "dp\\.pt\\.[0-9A-Za-z]{43}"),
    (
        "harness",
        "pat\\.[0-9A-Za-z_-]{22}\\.[0-9a-f]{24}\\.[0-9A-Za-z]{20}",
    ),
    ("octopus", "API-[0-9A-Z]{26}"),
    ("openshift", "sha256~[0-9A-Za-z_-]{43}"),
    ("maxmind", "[0-9A-Za-z]{6}_[0-9A-Za-z]{29}_mmk"),
    ("age", "AGE-SECRET-KEY-1[QPZRY9X8GF2TVDW0S3JN54KHCE6MUA7L]{58}"),
];

#[test]
fn keys_of_services_are_found() {
    let mut draw = Draw(0x9E37_79B9_7F4A_7C15);
    let mut wrong = Vec::new();
    for (name, pattern) in ALONE {
        let mut found = 0;
        let mut example = String::new();
        for sample in 0..SAMPLES {
            let key = draw.string(pattern);
            let text = match sample % 5 {
                0 => key.clone(),
                1 => format!("x = \"{key}\","),
                2 => format!("it is {key}, and so on"),
                3 => format!("export X={key}\n"),
                _ => format!("[{{\"x\": \"{key}\"}}]"),
            };
            if is_secret(&text) {
                found += 1;
            } else {
                example = text;
            }
        }
        if found * 100 < SAMPLES * 95 {
            wrong.push(format!("{name}: {found} of {SAMPLES}, not {example:?}"));
        }
    }
    println!("{} of {} formats", ALONE.len() - wrong.len(), ALONE.len());
    assert!(wrong.is_empty(), "{wrong:#?}");
}

/// Values that only a name tells.
const NAMED: &[&str] = &[
    "[0-9a-f]{32}",
    "[0-9a-f]{40}",
    "[0-9a-f]{64}",
    "[0-9a-z]{16}",
    "[0-9a-z]{24}",
    "[0-9a-z]{32}",
    "[0-9A-Z]{32}",
    "[0-9A-Za-z]{20}",
    "[0-9A-Za-z]{32}",
    "[0-9A-Za-z]{40}",
    "[0-9A-Za-z_-]{43}",
    "[0-9A-Za-z+/]{86}==",
    "[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}",
    "[1-9][0-9A-Za-z]{39}",
];

/// Ways to give a value to a name; `§` is the value.
const ASSIGNED: &[&str] = &[
    "api_key = \"§\"",
    "apiKey: '§',",
    "API_KEY=§",
    "export STRIPE_API_KEY=§\n",
    "{\"access_token\": \"§\"}",
    "{\\\"api_key\\\": \\\"§\\\"}",
    "const clientSecret = `§`;",
    "let token: String = \"§\".into();",
    "var fooToken string = \"§\"",
    "fooToken := \"§\"",
    "FOO_TOKEN ?= \"§\"",
    "'secret_key' => '§',",
    "<apiKey>§</apiKey>",
    "<fooToken>\n    §\n</fooToken>",
    "<add key=\"ApiKey\" value=\"§\" />",
    "- name: API_TOKEN\n  value: \"§\"",
    "tool --token §",
    "tool --api-key=§ run",
    "os.environ[\"OPENAI_API_KEY\"] = \"§\"",
    "System.setProperty(\"FOO_TOKEN\", \"§\")",
    "Authorization: Bearer §",
    "Authorization: Token §",
    "-H 'X-Api-Key: §'",
    "https://example.com/v1?access_token=§&page=2",
    "my API key is §.",
    "API key: §",
    "AccountName=acme;AccountKey=§;EndpointSuffix=core.windows.net",
    "//registry.npmjs.org/:_authToken=§",
    "machine api.example.com login ann password §",
    "api_key: |\n  §\n",
    "ключ API: §",
    "API-Schlüssel: §",
];

#[test]
fn values_behind_telling_names_are_found() {
    let mut draw = Draw(0x9E37_79B9_7F4A_7C15);
    let mut wrong = Vec::new();
    for way in ASSIGNED {
        let (mut found, mut drawn, mut example) = (0, 0, String::new());
        for pattern in NAMED {
            for _ in 0..20 {
                let text = way.replace('§', &draw.string(pattern));
                drawn += 1;
                if is_secret(&text) {
                    found += 1;
                } else {
                    example = text;
                }
            }
        }
        if found * 100 < drawn * 90 {
            wrong.push(format!("{found} of {drawn}, not {example:?}"));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn passwords_are_found_where_they_are_set() {
    for text in [
        "Server=h;Database=d;User Id=sa;Password=Tq7vLz2Wm9xR;",
        "jdbc:postgresql://h/d?user=app&password=Tq7vLz2Wm9xR",
        "PGPASSWORD=Tq7vLz2Wm9xR psql -h db",
        "password: \"hunter2!Summer\"",
        "DB_PASSWORD='c0rrect-Horse'",
        "<password>Tq7vLz2Wm9xR</password>",
        "redis://:Tq7vLz2Wm9xR@cache:6379/0",
        "amqp://app:Tq7vLz2Wm9xR@mq/",
        "mysql --user=root --password=Tq7vLz2Wm9xR",
        "Passwort: Tq7vLz2Wm9xR",
        "пароль: Tq7vLz2Wm9xR",
        "密码: Tq7vLz2Wm9xR",
        "the password is Tq7vLz2Wm9xRq8dK4s",
        "Authorization: Basic dXNlcjpTM2NyM3RQYXNzMTIz",
        "machine h login ann password Tq7vLz2Wm9xRq8dK4s",
    ] {
        assert!(types_in(text).contains(PiiType::ApiKey), "{text:?}");
    }
}

#[test]
fn a_web_token_keeps_its_type_behind_a_scheme() {
    let token = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0In0.c2lnbmF0dXJlLXZhbHVlLTEyMzQ1Ng";
    for text in [
        format!("Authorization: Bearer {token}"),
        format!("token = \"{token}\""),
        format!("user,token\nann,{token}\n"),
        format!("curl -u ann:{token} https://example.com"),
    ] {
        let expected = PiiTypeSet::EMPTY.with(PiiType::Jwt);
        assert_eq!(types_in(&text), expected, "{text}");
    }
}

#[test]
fn what_only_looks_like_a_secret_is_none() {
    for text in [
        "nextPageToken: \"A9pvh1cSOAkzGWwqVuUjASd9zwjUfx_Uxwwfo0Rm\"",
        "\"continuation_token\": \"A9pvh1cSOAkzGWwqVuUjASd9zwjUfx0\"",
        "primaryKey: \"A9pvh1cSOAkzGWwqVuUjASd9zwjUfx0\"",
        "partition_key = \"A9pvh1cSOAkzGWwqVuUjASd9zwjUfx0\"",
        "publicKey = \"A9pvh1cSOAkzGWwqVuUjASd9zwjUfx0\"",
        "idempotency_key: 743b294a-cd03-11ec-9d64-0242ac120002",
        "password: Option<String>,",
        "password: String,",
        "let password = read_password_from_tty1()?;",
        "token = tokenizer.encode_plus_1(text)",
        "api_key = os.environ[\"OPENAI_API_KEY_2\"]",
        "api_key=${OPENAI_API_KEY_1234}",
        "api_key = \"your-api-key-goes-here-1\"",
        "API_KEY=xxxxxxxxxxxxxxxxxxxxxxxx",
        "secret: changeme123456789",
        "keyDetails === protobuf_specs_1.PublicKeyDetails.PKCS1_RSA_PKCS1V5",
        "A PKCS#8 key starts with -----BEGIN PRIVATE KEY-----",
        "-----BEGIN PRIVATE KEY----- is the first line, and the last one -----END PRIVATE KEY-----",
        "max_tokens: 4096, token_count = 123456789012345",
        "use crate::auth::TokenProviderV2Implementation;",
        "tokenUrl: https://login.example.com/oauth2/v2.0/token",
        "secretName: my-service-secret-v2-2024",
        "secretKeyRef:\n  name: app-secrets-prod-1\n  key: database-password-2",
        "password_hash = hashlib.sha256(password.encode()).hexdigest()",
        "The key: 2 + 2 = 4, and nothing else matters here at all.",
        "keyboard = \"logitech-mx-keys-2024-edition\"",
        "author: \"jane2024doe1990smith77x\"",
        "Key: Value1AndThenSomeMore2",
        "sort_key = lambda1234567890x",
    ] {
        assert!(!is_secret(text), "{text:?}: {:?}", {
            let mut out = String::new();
            redact(text, SECRETS, &mut out);
            out
        });
    }
}
