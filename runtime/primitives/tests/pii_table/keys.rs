//! Keys and tokens as their issuers make them, and the ways in which files and programs give a value to a name.
//!
//! Each format is the prefix, alphabet and length that its issuer publishes or that its keys show.

use policy_primitives::pii::PiiType;

use super::draw::Draw;
use super::table::{Case, Group};

/// Service and pattern of keys that say what they are. What stands before a `§` is no part of the key.
const FORMATS: &[(&str, &str)] = &[
    ("AWS access key id", "(AKIA|ASIA)[A-Z2-7]{16}"),
    ("AWS Bedrock key", "ABSK[A-Za-z0-9+/]{128}"),
    ("Google API key", "AIza[0-9A-Za-z_-]{35}"),
    ("Google OAuth secret", "GOCSPX-[0-9A-Za-z_-]{28}"),
    ("Google access token", "ya29\\.a0[0-9A-Za-z_-]{120}"),
    ("Google refresh token", "1//0[0-9A-Za-z_-]{60}"),
    ("Alibaba", "LTAI5t[0-9A-Za-z]{18}"),
    ("Tencent", "AKID[0-9A-Za-z]{32}"),
    ("GitHub classic", "ghp_[0-9A-Za-z]{36}"),
    ("GitHub OAuth", "gho_[0-9A-Za-z]{36}"),
    ("GitHub app", "(ghu|ghs)_[0-9A-Za-z]{36}"),
    ("GitHub refresh", "ghr_[0-9A-Za-z]{76}"),
    ("GitHub fine-grained", "github_pat_11[0-9A-Z]{20}_[0-9A-Za-z]{59}"),
    ("GitLab personal", "glpat-[0-9A-Za-z_-]{20}"),
    ("GitLab routable", "glpat-[0-9A-Za-z_-]{27}\\.01\\.[0-9a-z]{9}"),
    ("GitLab deploy", "gldt-[0-9A-Za-z_-]{20}"),
    ("GitLab runner", "glrt-[0-9A-Za-z_-]{20}"),
    ("GitLab trigger", "glptt-[0-9a-f]{40}"),
    ("GitLab CI job", "glcbt-[0-9a-f]{2}_[0-9A-Za-z_-]{20}"),
    ("GitLab feed", "glft-[0-9A-Za-z_-]{20}"),
    ("Bitbucket app password", "ATBB[0-9A-Za-z]{32}"),
    ("Slack bot", "xoxb-[0-9]{12}-[0-9]{13}-[0-9A-Za-z]{24}"),
    ("Slack user", "xoxp-[0-9]{12}-[0-9]{12}-[0-9]{13}-[0-9a-f]{32}"),
    ("Slack app", "xapp-1-A[0-9A-Z]{10}-[0-9]{13}-[0-9a-f]{64}"),
    (
        "Slack webhook",
        "https://§hooks\\.slack\\.com/services/T[0-9A-Z]{10}/B[0-9A-Z]{10}/[0-9A-Za-z]{24}",
    ),
    (
        "Slack trigger",
        "https://§hooks\\.slack\\.com/triggers/T[0-9A-Z]{10}/[0-9]{13}/[0-9a-f]{32}",
    ),
    (
        "Discord bot",
        "M[A-Za-z0-9]{23}\\.G[0-9A-Za-z_-]{5}\\.[0-9A-Za-z_-]{38}",
    ),
    (
        "Discord webhook",
        "https://§discord\\.com/api/webhooks/1[0-9]{17}/[0-9A-Za-z_-]{68}",
    ),
    ("Telegram bot", "[1-9][0-9]{9}:AA[0-9A-Za-z_-]{33}"),
    ("Facebook app token", "[1-9][0-9]{14}\\|[0-9A-Za-z_-]{27}"),
    ("Facebook page token", "EAA[A-Z][0-9A-Za-z]{170}"),
    (
        "OpenAI project",
        "sk-proj-[0-9A-Za-z_-]{74}T3BlbkFJ[0-9A-Za-z_-]{74}",
    ),
    ("OpenAI classic", "sk-[0-9A-Za-z]{20}T3BlbkFJ[0-9A-Za-z]{20}"),
    (
        "OpenAI service account",
        "sk-svcacct-[0-9A-Za-z_-]{58}T3BlbkFJ[0-9A-Za-z_-]{58}",
    ),
    ("Anthropic", "sk-ant-api03-[0-9A-Za-z_-]{93}AA"),
    ("Anthropic admin", "sk-ant-admin01-[0-9A-Za-z_-]{93}AA"),
    ("OpenRouter", "sk-or-v1-[0-9a-f]{64}"),
    ("DeepSeek", "sk-[0-9a-f]{32}"),
    (
        "Langfuse",
        "sk-lf-[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}",
    ),
    ("Hugging Face", "hf_[A-Za-z]{34}"),
    ("Groq", "gsk_[0-9A-Za-z]{52}"),
    ("Perplexity", "pplx-[0-9A-Za-z]{48}"),
    ("Replicate", "r8_[0-9A-Za-z]{37}"),
    ("xAI", "xai-[0-9A-Za-z]{80}"),
    ("NVIDIA", "nvapi-[0-9A-Za-z_-]{64}"),
    ("Fireworks", "fw_[0-9A-Za-z]{24}"),
    ("Cerebras", "csk-[0-9a-z]{48}"),
    ("Voyage", "pa-[0-9A-Za-z_-]{43}"),
    ("Jina", "jina_[0-9a-f]{32}[0-9A-Za-z_-]{28}"),
    ("ElevenLabs", "sk_[0-9a-f]{48}"),
    ("Tavily", "tvly-(dev-|prod-|)[0-9A-Za-z]{32}"),
    ("Pinecone", "pcsk_[0-9A-Za-z]{5,6}_[0-9A-Za-z]{63}"),
    ("LangSmith", "lsv2_(pt|sk)_[0-9a-f]{32}_[0-9a-f]{10}"),
    ("Together", "tgp_v1_[0-9A-Za-z_-]{43}"),
    ("LlamaCloud", "llx-[0-9A-Za-z]{48}"),
    ("Firecrawl", "fc-[0-9a-f]{32}"),
    ("E2B", "e2b_[0-9a-f]{40}"),
    ("RunPod", "rpa_[0-9A-Z]{40}[0-9a-z]{6}"),
    ("Brave search", "BSA[0-9A-Za-z_-]{28}"),
    ("Stripe secret", "sk_live_[0-9A-Za-z]{24}"),
    ("Stripe long", "sk_(live|test)_51[0-9A-Za-z]{97}"),
    ("Stripe restricted", "rk_live_[0-9A-Za-z]{24}"),
    ("Stripe webhook", "whsec_[0-9A-Za-z]{32}"),
    ("Square", "(sq0atp-[0-9A-Za-z_-]{22}|EAAA[0-9A-Za-z_-]{60})"),
    ("Razorpay", "rzp_live_[0-9A-Za-z]{14}"),
    (
        "Braintree",
        "access_token\\$production\\$[0-9a-z]{16}\\$[0-9a-f]{32}",
    ),
    (
        "Plaid",
        "access-production-[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}",
    ),
    ("Shopify", "(shpat|shpca|shppa|shpss)_[0-9a-f]{32}"),
    ("EasyPost", "EZAK[0-9A-Za-z]{54}"),
    ("Flutterwave", "FLWSECK_TEST-[0-9a-f]{32}-X"),
    ("SendGrid", "SG\\.[0-9A-Za-z_-]{22}\\.[0-9A-Za-z_-]{43}"),
    ("Twilio", "SK[0-9a-f]{32}"),
    ("Brevo", "xkeysib-[0-9a-f]{64}-[0-9A-Za-z]{16}"),
    ("Mailgun", "key-[0-9a-f]{32}"),
    ("Mailgun current", "[0-9a-f]{32}-[0-9a-f]{8}-[0-9a-f]{8}"),
    ("Mailchimp", "[0-9a-f]{32}-us[1-9]"),
    ("Resend", "re_[0-9A-Za-z]{8}_[0-9A-Za-z]{24}"),
    ("npm", "npm_[0-9A-Za-z]{36}"),
    ("PyPI", "pypi-AgEIcHlwaS5vcmc[0-9A-Za-z_-]{120}"),
    ("RubyGems", "rubygems_[0-9a-f]{48}"),
    ("Docker Hub", "dckr_pat_[0-9A-Za-z_-]{27}"),
    ("crates.io", "cio[0-9A-Za-z]{32}"),
    ("NuGet", "oy2[0-9a-z]{43}"),
    ("Artifactory", "AKCp[0-9A-Za-z]{69}"),
    ("SonarQube", "squ_[0-9a-f]{40}"),
    ("CircleCI", "CCIPAT_[0-9A-Za-z]{22}_[0-9a-f]{40}"),
    ("Buildkite", "bkua_[0-9a-f]{40}"),
    ("Databricks", "dapi[0-9a-f]{32}"),
    ("DigitalOcean", "dop_v1_[0-9a-f]{64}"),
    ("HashiCorp Vault", "hvs\\.[0-9A-Za-z_-]{91}"),
    ("Pulumi", "pul-[0-9a-f]{40}"),
    ("Heroku", "HRKU-AA[0-9A-Za-z_-]{58}"),
    ("Render", "rnd_[0-9A-Za-z]{32}"),
    ("Netlify", "nfp_[0-9A-Za-z]{36}"),
    ("Vercel", "vc[pia]_[0-9A-Za-z]{56}"),
    ("Fly.io", "FlyV1 §fm2_[0-9A-Za-z+/]{200}"),
    ("Terraform Cloud", "[0-9A-Za-z]{14}\\.atlasv1\\.[0-9A-Za-z]{67}"),
    ("Azure AD client secret", "[0-9A-Za-z]{3}8Q~[0-9A-Za-z_~]{34}"),
    ("Azure storage SAS", "sig=§[0-9A-Za-z]{42}%3D"),
    (
        "1Password secret key",
        "A3-[0-9A-Z]{6}-[0-9A-Z]{6}-[0-9A-Z]{5}-[0-9A-Z]{5}-[0-9A-Z]{5}-[0-9A-Z]{5}",
    ),
    ("1Password service account", "ops_eyJ[0-9A-Za-z]{300}"),
    ("Tailscale", "tskey-auth-k[0-9A-Za-z]{11}CNTRL-[0-9A-Za-z]{32}"),
    ("Supabase", "sbp_[0-9a-f]{40}"),
    ("Supabase secret", "sb_secret_[0-9A-Za-z_-]{31}"),
    ("PlanetScale", "pscale_tkn_[0-9A-Za-z_-]{43}"),
    ("Neon", "napi_[0-9a-z]{64}"),
    ("Airtable", "pat[0-9A-Za-z]{14}\\.[0-9a-f]{64}"),
    ("Contentful", "CFPAT-[0-9A-Za-z_-]{43}"),
    ("Postman", "PMAK-[0-9a-f]{24}-[0-9a-f]{34}"),
    ("Linear", "lin_api_[0-9A-Za-z]{40}"),
    ("Notion", "ntn_[0-9]{11}[0-9A-Za-z]{35}"),
    ("Notion classic", "secret_[0-9A-Za-z]{43}"),
    ("Figma", "figd_[0-9A-Za-z_-]{40}"),
    (
        "HubSpot",
        "pat-(na1|eu1)-[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}",
    ),
    ("Mapbox", "sk\\.eyJ[0-9A-Za-z]{84}\\.[0-9A-Za-z_-]{22}"),
    ("Atlassian", "ATATT3xFfGF0[0-9A-Za-z_-]{171}=[0-9A-F]{8}"),
    ("Trello", "ATTA[0-9a-f]{64}"),
    ("Asana", "[12]/1[0-9]{15}:[0-9a-f]{32}"),
    ("Grafana", "glsa_[0-9A-Za-z]{32}_[0-9a-f]{8}"),
    ("New Relic", "NRAK-[0-9A-Z]{27}"),
    ("Sentry", "sntryu_[0-9a-f]{64}"),
    ("Dynatrace", "dt0c01\\.[0-9A-Z]{24}\\.[0-9A-Z]{64}"),
    ("PostHog", "phx_[0-9A-Za-z]{43}"),
    ("Doppler", "dp\\.pt\\.[0-9A-Za-z]{43}"),
    (
        "Harness",
        "pat\\.[0-9A-Za-z_-]{22}\\.[0-9a-f]{24}\\.[0-9A-Za-z]{20}",
    ),
    ("Okta", "SSWS §00[0-9A-Za-z_-]{40}"),
    ("Octopus", "API-[0-9A-Z]{26}"),
    ("OpenShift", "sha256~[0-9A-Za-z_-]{43}"),
    ("Prefect", "pnu_[0-9A-Za-z]{36}"),
    ("ReadMe", "rdme_[0-9a-z]{70}"),
    ("Shippo", "shippo_live_[0-9a-f]{40}"),
    ("Duffel", "duffel_live_[0-9A-Za-z_-]{43}"),
    ("MaxMind", "[0-9A-Za-z]{6}_[0-9A-Za-z]{29}_mmk"),
    ("age", "AGE-SECRET-KEY-1[QPZRY9X8GF2TVDW0S3JN54KHCE6MUA7L]{58}"),
    (
        "JSON web token",
        "eyJhbGciOiJIUzI1NiJ9\\.eyJzdWIiOiI[0-9A-Za-z]{40}\\.[0-9A-Za-z_-]{43}",
    ),
];

/// Where a key stands that says what it is.
const AROUND: &[&str] = &[
    "§",
    "x = \"§\",",
    "it is §, and so on",
    "export X=§\n",
    "[{\"x\": \"§\"}]",
    "curl -H 'X: §' https://example.com",
    "| x | § |",
    "https://example.com/?x=§&y=2",
    "Key (§)",
    "# § please rotate\n",
];

/// Values that only a name tells: alphabet and length.
const VALUES: &[(&str, &str)] = &[
    ("lower-case hexadecimal", "[0-9a-f]{32}"),
    ("longer hexadecimal", "[0-9a-f]{64}"),
    ("upper-case hexadecimal", "[0-9A-F]{40}"),
    (
        "UUID",
        "[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}",
    ),
    ("lower-case, 16", "[0-9a-z]{16}"),
    ("lower-case, 32", "[0-9a-z]{32}"),
    ("upper-case, 16", "[0-9A-Z]{16}"),
    ("upper-case, 32", "[0-9A-Z]{32}"),
    ("mixed, 16", "[0-9A-Za-z]{16}"),
    ("mixed, 20", "[0-9A-Za-z]{20}"),
    ("mixed, 40", "[0-9A-Za-z]{40}"),
    ("base64 for URLs", "[0-9A-Za-z_-]{43}"),
    ("base64", "[0-9A-Za-z+/]{43}="),
    ("begins with a digit", "[0-9][0-9A-Za-z]{31}"),
];

/// Ways to give a value to a telling name.
const ASSIGNED: &[(&str, &[&str])] = &[
    (
        "secret behind a name: code",
        &[
            "api_key = \"§\"",
            "apiKey: '§',",
            "const clientSecret = `§`;",
            "let token: String = \"§\".into();",
            "var authToken string = \"§\"",
            "'secret_key' => '§',",
            "fooToken := \"§\"",
            "private static final String API_KEY = \"§\";",
            "self.access_token = '§'",
            "define('AUTH_KEY', '§');",
            "os.environ[\"OPENAI_API_KEY\"] = \"§\"",
            "ENV['API_TOKEN'] = '§'",
            "os.environ.setdefault(\"API_TOKEN\", \"§\")",
            "client = Client(api_key=\"§\")",
            "#define API_KEY \"§\"",
        ],
    ),
    (
        "secret behind a name: configuration",
        &[
            "API_KEY=§",
            "export STRIPE_API_KEY=§\n",
            "STRIPE_SECRET_KEY: §\n",
            "{\"access_token\": \"§\"}",
            "{\\\"api_key\\\": \\\"§\\\"}",
            "- name: API_TOKEN\n  value: \"§\"",
            "api_key: |\n  §\n",
            "aws_secret_access_key = §",
            "secret: §",
            "//registry.npmjs.org/:_authToken=§",
            "ENV API_TOKEN §\n",
            "set API_KEY=§\r\n",
            "$env:API_KEY = \"§\"",
        ],
    ),
    (
        "secret behind a name: XML",
        &[
            "<apiKey>§</apiKey>",
            "<add key=\"ApiKey\" value=\"§\" />",
            "<fooToken>\n    §\n</fooToken>",
            "<server api-key=\"§\"/>",
            "<param name=\"token\">§</param>",
            "<string name=\"api_key\">§</string>",
        ],
    ),
    (
        "secret behind a name: command line",
        &[
            "tool --token §",
            "tool --api-key=§ run",
            "tool --api-key \"§\"",
            "curl -H \"Authorization: Bearer §\" https://x.io",
            "curl -H 'X-Api-Key: §'",
            "curl -u user:§ https://x.io",
            "curl --user admin:§ https://x.io",
            "wget --header=\"X-Auth-Token: §\" https://x.io",
        ],
    ),
    (
        "secret behind a name: headers and URLs",
        &[
            "Authorization: Bearer §",
            "Authorization: Token §",
            "Authorization: token §",
            "x-api-key: §",
            "Cookie: session_token=§; a=b",
            "https://example.com/v1?access_token=§&page=2",
            "https://example.com/v1?api_key=§",
            "https://user:§@example.com/x.git",
            "X-Vault-Token: §",
            "Private-Token: §",
        ],
    ),
    (
        "secret behind a name: connection strings, .netrc",
        &[
            "AccountName=acme;AccountKey=§;EndpointSuffix=core.windows.net",
            "Endpoint=sb://x.servicebus.windows.net/;SharedAccessKeyName=R;SharedAccessKey=§",
            "postgres://app:§@db.example.com:5432/x",
            "mongodb+srv://app:§@c.example.net/x",
            "redis://:§@cache:6379/0",
            "Server=h;Database=d;User Id=sa;Password=§;",
            "PGPASSWORD=§ psql -h db",
            "machine api.example.com login ann password §",
            "machine api.example.com\n  login ann\n  password §\n",
            "jdbc:mysql://h/d?user=app&password=§",
        ],
    ),
    (
        "secret behind a name: prose, other languages",
        &[
            "my API key is §.",
            "API key: §",
            "the token is §",
            "here is the secret: §",
            "the password is §",
            "ключ API: §",
            "API-Schlüssel: §",
            "clé API : §",
            "clave de API: §",
            "chave de API: §",
            "пароль: §",
            "密码:§",
            "パスワード:§",
            "비밀번호: §",
            "contraseña: §",
            "mot de passe : §",
            "Passwort: §",
            "wachtwoord: §",
            "hasło: §",
            "heslo: §",
            "şifre: §",
            "lösenord: §",
            "adgangskode: §",
            "salasana: §",
            "jelszó: §",
            "κωδικός: §",
            "סיסמה: §",
            "كلمة المرور: §",
            "पासवर्ड: §",
            "senha: §",
            "parola: §",
            "password: §",
        ],
    ),
    (
        "secret behind a name: columns of CSV, TSV and Markdown",
        &[
            "name,api_key,plan\nann,§,pro\nbob,,free\n",
            "user\tpassword\tplan\nann\t§\tpro\n",
            "| user | API key |\n|---|---|\n| ann | § |\n",
            "service;token;owner\nx;§;ann\n",
            "id,secret\n1,§\n2,x\n",
            "\"user\",\"access_token\"\n\"ann\",\"§\"\n",
            "| service | token | owner |\n|:--|:--|:--|\n| x | `§` | ann |\n",
        ],
    ),
];

/// Passwords as people think of them.
const PASSWORDS: &[&str] = &[
    "[A-Z][a-z]{5,7}[0-9]{2,4}!",
    "[a-z]{4,6}[0-9]{2,4}[A-Z][a-z]{3}",
    "[A-Z][a-z]{3}@[0-9]{4}[a-z]{2}",
    "[a-z]{3}\\$[A-Z][a-z]{4}[0-9]{2}",
    "[A-Z][a-z]{4}[0-9]{2}[A-Z][a-z]{4}",
    "[a-z]{6,9}(19|20)[0-9]{2}",
];
const SET: &[&str] = &[
    "password = \"§\"",
    "DB_PASSWORD=§",
    "{\"password\": \"§\"}",
    "password: \"§\"",
    "<password>§</password>",
    "--password=§",
    "Password=§;",
    "PGPASSWORD='§'",
    "'passwd' => '§'",
    "redis://:§@cache:6379",
    "user,password\nann,§\n",
    "curl -u ann:§ https://x.io",
    "Passwort: §",
    "пароль: §",
    "mot de passe: §",
    "password: §",
    "the password is §",
    "ALTER USER ann WITH PASSWORD '§';",
    "CREATE USER 'ann'@'%' IDENTIFIED BY '§';",
    "define(\"DB_PASSWORD\", \"§\");",
    "sshpass -p '§' ssh ann@h",
    "docker login -u ann -p § x.io",
    "machine h login ann password §",
];

/// How many formats there are.
pub(crate) const fn formats() -> usize {
    FORMATS.len()
}

/// Keys that say what they are, with how many formats are found nine times of ten or more.
pub(crate) fn alone(samples: usize) -> (Group, usize) {
    let mut all = Group::new("key or token of a service, by its form");
    let mut good = 0;
    for (name, pattern) in FORMATS {
        let draw = &mut Draw::new(name);
        let mut group = Group::new(name);
        for sample in 0..samples * 2 {
            let (lead, pattern) = pattern.split_once('§').unwrap_or(("", pattern));
            let around = AROUND[sample % AROUND.len()].replace('§', &(draw.string(lead) + "§"));
            let key = draw.string(pattern);
            group.push(Case::find(PiiType::ApiKey, &around, &key).of(name));
            all.push(Case::find(PiiType::ApiKey, &around, &key).of(name));
        }
        good += usize::from(group.score().permille() >= 900);
    }
    (all, good)
}

/// Values behind names, by the way they are written.
pub(crate) fn behind_names(samples: usize) -> Vec<Group> {
    let mut groups = Vec::new();
    for (name, ways) in ASSIGNED {
        let mut group = Group::new(name);
        for way in *ways {
            let draw = &mut Draw::new(way);
            for sample in 0..samples.max(VALUES.len()) {
                let (of, pattern) = VALUES[sample % VALUES.len()];
                group.push(Case::find(PiiType::ApiKey, way, &draw.string(pattern)).of(of));
            }
        }
        groups.push(group);
    }
    let mut group = Group::new("passwords that people think of");
    for way in SET {
        let draw = &mut Draw::new(way);
        for sample in 0..samples {
            let pattern = PASSWORDS[sample % PASSWORDS.len()];
            group.push(Case::find(PiiType::ApiKey, way, &draw.string(pattern)).of(pattern));
        }
    }
    groups.push(group);
    let mut group = Group::new("digits alone behind a name");
    for way in [
        "password = \"§\"",
        "DB_PASSWORD=§",
        "{\"password\": \"§\"}",
        "user,password\nann,§\n",
        "Passwort: §",
        "--password=§",
        "<password>§</password>",
    ] {
        let draw = &mut Draw::new(way);
        for _ in 0..samples {
            group.push(Case::find(PiiType::ApiKey, way, &draw.string("[0-9]{8,12}")));
        }
    }
    groups.push(group);
    let mut group = Group::new("PEM private keys");
    let draw = &mut Draw::new("pem");
    for sample in 0..samples * 3 {
        let label = [
            "RSA PRIVATE KEY",
            "PRIVATE KEY",
            "EC PRIVATE KEY",
            "OPENSSH PRIVATE KEY",
            "ENCRYPTED PRIVATE KEY",
        ][sample % 5];
        let lines: Vec<String> = (0..3 + sample % 8)
            .map(|_| draw.string("[0-9A-Za-z+/]{64}"))
            .collect();
        let joint = ["\n", "\r\n", "\\n"][sample % 3];
        let body = lines.join(joint);
        let key = format!("-----BEGIN {label}-----{joint}{body}{joint}-----END {label}-----");
        group.push(Case::find(
            PiiType::PrivateKey,
            ["§", "key: \"§\"", "here:\n§\nok"][sample / 3 % 3],
            &key,
        ));
    }
    groups.push(group);
    groups
}
