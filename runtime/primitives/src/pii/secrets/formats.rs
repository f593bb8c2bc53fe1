//! The forms of keys that services issue: a table, and how a key is compared with it.
//!
//! A row is what a key begins with, the characters after that, how many, and what follows them. Rows are tried only at the
//! start of a word, and are found by the first three bytes of it: trying them all would take longer than everything else.
//! Forms that begin with no fixed letters ([`INNER`]) are told by the byte behind their first word.
//!
//! No checksum is asked for, although some keys have one: what was rotated, cut from a document or made before the checksum
//! came is still a key.

use super::values::{DISTINCT, Shape, is_placeholder};
use crate::pii::bytes::{CLASSES, WORD, at, is_word, run_end, slice};
use crate::pii::scan::Scanner;
use crate::pii::types::{Confidence, PiiType};

/// Characters of a part of a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Body {
    /// Digits.
    Digit,
    /// Hexadecimal digits.
    Hex,
    /// Capital letters and digits.
    Upper,
    /// Small letters and digits.
    Lower,
    /// Letters and digits.
    Alnum,
    /// Letters, digits, `_`, `-`.
    Url,
    /// Letters, digits, `+`, `/`, `=`.
    Base64,
    /// Letters, digits, `_`, `-`, `.`, `=`, `/`, `+`.
    Wide,
    /// Letters, digits, `_`, `-`, `.`, `~`.
    Tilde,
}

impl Body {
    const ALL: [Body; 9] = [Digit, Hex, Upper, Lower, Alnum, Url, Base64, Wide, Tilde];

    /// Whether `byte` is one of them.
    #[inline(always)]
    pub(super) fn has(self, byte: u8) -> bool {
        BODIES[usize::from(byte)] >> self as u32 & 1 != 0
    }

    const fn holds(self, byte: u8) -> bool {
        let alnum = byte.is_ascii_alphanumeric();
        match self {
            Body::Digit => byte.is_ascii_digit(),
            Body::Hex => byte.is_ascii_hexdigit(),
            Body::Upper => alnum && !byte.is_ascii_lowercase(),
            Body::Lower => alnum && !byte.is_ascii_uppercase(),
            Body::Alnum => alnum,
            Body::Url => alnum || matches!(byte, b'_' | b'-'),
            Body::Base64 => alnum || matches!(byte, b'+' | b'/' | b'='),
            Body::Wide => alnum || matches!(byte, b'_' | b'-' | b'.' | b'=' | b'/' | b'+'),
            Body::Tilde => alnum || matches!(byte, b'_' | b'-' | b'.' | b'~'),
        }
    }
}

/// By byte, a bit for each [`Body`] that has it.
static BODIES: [u16; 256] = bodies();

const fn bodies() -> [u16; 256] {
    let mut bodies = [0; 256];
    let mut value = 0;
    while value < bodies.len() {
        let mut index = 0;
        while index < Body::ALL.len() {
            let body = Body::ALL[index];
            if body.holds(value as u8) {
                bodies[value] |= 1 << body as u32;
            }
            index += 1;
        }
        value += 1;
    }
    bodies
}

/// A piece of a key.
#[derive(Debug, Clone, Copy)]
enum Part {
    /// Exactly this.
    Text(&'static str),
    /// From so many to so many of these characters.
    Run(Body, usize, usize),
}

use Body::{Alnum, Base64, Digit, Hex, Lower, Tilde, Upper, Url, Wide};
use Part::{Run, Text};

/// The form of one kind of key.
struct Format {
    prefix: &'static [u8],
    body: Body,
    /// Fewest and most characters after the prefix.
    lengths: (usize, usize),
    /// What follows them.
    tail: &'static [Part],
}

const fn token(prefix: &'static str, body: Body, shortest: usize, longest: usize) -> Format {
    format(prefix, body, shortest, longest, &[])
}

const fn format(
    prefix: &'static str,
    body: Body,
    shortest: usize,
    longest: usize,
    tail: &'static [Part],
) -> Format {
    Format {
        prefix: prefix.as_bytes(),
        body,
        lengths: (shortest, longest),
        tail,
    }
}

/// `-xxxx-xxxx-xxxx-xxxxxxxxxxxx` of a UUID.
const UUID_TAIL: &[Part] = &[
    Text("-"),
    Run(Hex, 4, 4),
    Text("-"),
    Run(Hex, 4, 4),
    Text("-"),
    Run(Hex, 4, 4),
    Text("-"),
    Run(Hex, 12, 12),
];

const fn uuid(prefix: &'static str) -> Format {
    format(prefix, Hex, 8, 8, UUID_TAIL)
}

/// The rest of a Teams webhook after the first group of its first UUID: that one, the tenant's, the secret, the owner's.
const TEAMS: &[Part] = &[
    Text("-"),
    Run(Hex, 4, 4),
    Text("-"),
    Run(Hex, 4, 4),
    Text("-"),
    Run(Hex, 4, 4),
    Text("-"),
    Run(Hex, 12, 12),
    Text("@"),
    Run(Url, 36, 36),
    Text("/IncomingWebhook/"),
    Run(Alnum, 32, 32),
    Text("/"),
    Run(Url, 36, 36),
];

/// The groups of a 1Password secret key after the first.
const GROUPS_11: &[Part] = &[
    Text("-"),
    Run(Upper, 11, 11),
    Text("-"),
    Run(Upper, 5, 5),
    Text("-"),
    Run(Upper, 5, 5),
    Text("-"),
    Run(Upper, 5, 5),
];
const GROUPS_6_5: &[Part] = &[
    Text("-"),
    Run(Upper, 6, 6),
    Text("-"),
    Run(Upper, 5, 5),
    Text("-"),
    Run(Upper, 5, 5),
    Text("-"),
    Run(Upper, 5, 5),
    Text("-"),
    Run(Upper, 5, 5),
];

/// The rest of a Discord bot token after the user's id.
const DISCORD: &[Part] = &[Text("."), Run(Url, 6, 6), Text("."), Run(Url, 27, 38)];

/// The rest of a Harness token after its account.
const HARNESS: &[Part] = &[Text("."), Run(Alnum, 24, 24), Text("."), Run(Alnum, 20, 20)];

/// The rest of an Authress key after its client.
const AUTHRESS: &[Part] = &[
    Text("."),
    Run(Alnum, 4, 6),
    Text(".acc"),
    Run(Url, 11, 33),
    Text("."),
    Run(Wide, 30, 120),
];

/// Keys of known services. Among rows that begin alike the longer ones come first.
const FORMATS: &[Format] = &[
    // Amazon Web Services.
    token("A3T", Upper, 17, 17),
    token("AKIA", Upper, 16, 16),
    token("ASIA", Upper, 16, 16),
    token("ABIA", Upper, 16, 16),
    token("ACCA", Upper, 16, 16),
    token("ABSK", Base64, 109, 271),
    token("bedrock-api-key-", Base64, 28, 1000),
    // Google.
    token("AIza", Url, 35, 35),
    token("AQ.Ab8", Url, 40, 60),
    token("GOCSPX-", Url, 24, 32),
    token("ya29.", Url, 40, 512),
    token("1//0", Url, 38, 110),
    // Alibaba, Tencent, Yandex, DingTalk.
    token("LTAI", Alnum, 12, 24),
    token("AKID", Alnum, 32, 40),
    token("AQVN", Url, 35, 38),
    format("t1.", Wide, 40, 300, &[]),
    token("SEC", Hex, 64, 64),
    // GitHub, GitLab, Bitbucket, Sourcegraph.
    token("ghp_", Alnum, 36, 255),
    token("gho_", Alnum, 36, 255),
    token("ghu_", Alnum, 36, 255),
    token("ghs_", Alnum, 36, 255),
    token("ghr_", Alnum, 36, 255),
    token("github_pat_", Url, 60, 255),
    token("glpat-", Wide, 20, 320),
    token("gldt-", Url, 20, 64),
    token("glrt-", Wide, 20, 320),
    token("glrtr-", Wide, 20, 320),
    token("glptt-", Hex, 40, 40),
    token("glcbt-", Wide, 20, 320),
    token("glsoat-", Url, 20, 64),
    token("glft-", Url, 20, 64),
    token("glffct-", Url, 20, 64),
    token("glimt-", Url, 20, 64),
    token("glagent-", Url, 40, 80),
    token("gloas-", Url, 40, 80),
    token("glwt-", Url, 20, 64),
    token("GR1348941", Url, 20, 20),
    token("_gitlab_session=", Alnum, 32, 32),
    token("ATBB", Alnum, 32, 32),
    token("sgp_", Url, 40, 64),
    token("slk_", Hex, 64, 64),
    // Slack.
    token("xoxb-", Url, 20, 255),
    token("xoxp-", Url, 20, 255),
    token("xoxa-", Url, 10, 255),
    token("xoxr-", Url, 10, 255),
    token("xoxs-", Url, 20, 255),
    token("xoxo-", Url, 20, 255),
    token("xoxe-", Url, 20, 255),
    token("xoxc-", Url, 20, 255),
    token("xoxd-", Wide, 20, 400),
    token("xoxe.xoxp-", Url, 20, 255),
    token("xoxe.xoxb-", Url, 20, 255),
    token("xapp-", Url, 20, 255),
    token("xwfp-", Url, 20, 255),
    token("hooks.slack.com/services/", Wide, 40, 60),
    token("hooks.slack.com/workflows/", Wide, 40, 80),
    token("hooks.slack.com/triggers/", Wide, 40, 80),
    // Other messengers and their webhooks.
    format(
        "discord.com/api/webhooks/",
        Digit,
        17,
        20,
        &[Text("/"), Run(Url, 60, 80)],
    ),
    format(
        "discordapp.com/api/webhooks/",
        Digit,
        17,
        20,
        &[Text("/"), Run(Url, 60, 80)],
    ),
    format("mfa.", Url, 80, 100, &[]),
    token("EAA", Alnum, 90, 400),
    token("IGQV", Url, 80, 400),
    token("AAAAAAAAAAAAAAAAAAAAA", Wide, 60, 120),
    // Model providers, and what stands around models. `sk-` and `sk_` alone come after the rows that are longer.
    token("sk-ant-", Url, 32, 255),
    token("sk-proj-", Url, 20, 255),
    token("sk-svcacct-", Url, 20, 255),
    token("sk-admin-", Url, 20, 255),
    token("sk-or-v1-", Hex, 64, 64),
    uuid("sk-lf-"),
    token("sk-helicone-", Url, 20, 80),
    token("sk-", Url, 20, 255),
    token("sk_car_", Url, 20, 60),
    token("hf_", Alnum, 34, 40),
    token("api_org_", Alnum, 34, 34),
    token("gsk_", Alnum, 40, 64),
    token("pplx-", Alnum, 40, 64),
    token("r8_", Alnum, 37, 40),
    token("xai-", Alnum, 60, 100),
    token("nvapi-", Url, 60, 80),
    token("fw_", Alnum, 22, 24),
    token("csk-", Alnum, 40, 64),
    token("pa-", Url, 43, 43),
    token("jina_", Url, 50, 80),
    token("tvly-dev-", Url, 20, 60),
    token("tvly-prod-", Url, 20, 60),
    token("tvly-", Url, 20, 60),
    token("pcsk_", Url, 60, 80),
    token("lsv2_pt_", Url, 40, 60),
    token("lsv2_sk_", Url, 40, 60),
    token("ls__", Hex, 32, 32),
    token("tgp_v1_", Url, 40, 60),
    token("esecret_", Alnum, 24, 40),
    token("llx-", Alnum, 40, 60),
    token("fc-", Hex, 32, 32),
    token("e2b_", Hex, 40, 40),
    token("rpa_", Alnum, 40, 50),
    token("ak-", Alnum, 22, 22),
    token("as-", Alnum, 22, 22),
    token("BSA", Url, 27, 28),
    token("bb_live_", Url, 20, 60),
    token("wandb_v1_", Url, 40, 120),
    token("ops_eyJ", Base64, 250, 2000),
    // Payments and shops.
    token("sk_live_", Alnum, 10, 255),
    token("rk_live_", Alnum, 10, 255),
    token("sk_test_", Alnum, 10, 255),
    token("rk_test_", Alnum, 10, 255),
    token("sk_prod_", Alnum, 10, 255),
    token("rk_prod_", Alnum, 10, 255),
    token("sk_", Hex, 48, 48),
    token("whsec_", Wide, 24, 255),
    token("sq0atp-", Url, 22, 60),
    token("sq0csp-", Url, 43, 60),
    token("EAAA", Url, 22, 60),
    token("rzp_live_", Alnum, 14, 24),
    token("rzp_test_", Alnum, 14, 24),
    token("FLWSECK_TEST-", Wide, 12, 40),
    token("FLWSECK-", Wide, 32, 60),
    token("FLWPUBK_TEST-", Wide, 32, 40),
    format(
        "access_token$production$",
        Lower,
        16,
        16,
        &[Text("$"), Run(Hex, 32, 32)],
    ),
    format(
        "access_token$sandbox$",
        Lower,
        16,
        16,
        &[Text("$"), Run(Hex, 32, 32)],
    ),
    uuid("access-sandbox-"),
    uuid("access-development-"),
    uuid("access-production-"),
    token("live_pub_", Hex, 31, 31),
    token("test_pub_", Hex, 31, 31),
    token("live_", Url, 30, 48),
    token("test_", Url, 30, 48),
    token("shpat_", Hex, 32, 32),
    token("shpca_", Hex, 32, 32),
    token("shppa_", Hex, 32, 32),
    token("shpss_", Hex, 32, 32),
    token("shippo_live_", Hex, 40, 40),
    token("shippo_test_", Hex, 40, 40),
    token("duffel_live_", Wide, 43, 43),
    token("duffel_test_", Wide, 43, 43),
    token("EZAK", Alnum, 54, 54),
    token("EZTK", Alnum, 54, 54),
    // Mail and messages.
    token("SG.", Wide, 60, 70),
    token("xkeysib-", Url, 64, 90),
    token("xsmtpsib-", Url, 64, 90),
    token("key-", Hex, 32, 32),
    token("pubkey-", Hex, 32, 32),
    token("md-", Url, 22, 22),
    format("re_", Alnum, 8, 8, &[Text("_"), Run(Alnum, 24, 24)]),
    // Package registries, builds.
    token("npm_", Alnum, 36, 36),
    token("pypi-AgE", Url, 50, 1000),
    token("rubygems_", Hex, 48, 48),
    token("dckr_pat_", Url, 24, 40),
    token("dckr_oat_", Url, 24, 40),
    token("oy2", Alnum, 43, 43),
    token("cio", Alnum, 32, 32),
    token("CLOJARS_", Alnum, 60, 60),
    token("AKCp", Alnum, 69, 69),
    token("cmVmd", Alnum, 59, 59),
    token("sqp_", Hex, 40, 40),
    token("squ_", Hex, 40, 40),
    token("sqa_", Hex, 40, 40),
    token("bkua_", Hex, 40, 40),
    token("CCIPAT_", Url, 40, 80),
    token("CCIPRJ_", Url, 40, 80),
    token("API-", Upper, 26, 30),
    format("pat.", Url, 22, 22, HARNESS),
    format("sat.", Url, 22, 22, HARNESS),
    // Hosting and infrastructure.
    token("dapi", Hex, 32, 32),
    token("dop_v1_", Hex, 64, 64),
    token("doo_v1_", Hex, 64, 64),
    token("dor_v1_", Hex, 64, 64),
    token("hvs.", Url, 24, 160),
    token("hvb.", Url, 90, 320),
    token("hvr.", Url, 90, 320),
    token("pul-", Hex, 40, 40),
    token("HRKU-", Url, 36, 70),
    token("rnd_", Alnum, 32, 32),
    token("nfp_", Alnum, 36, 40),
    token("vcp_", Alnum, 24, 80),
    token("vci_", Alnum, 24, 80),
    token("vca_", Alnum, 24, 80),
    token("vcr_", Alnum, 24, 80),
    token("vck_", Alnum, 24, 80),
    format("vercel_blob_rw_", Alnum, 16, 16, &[Text("_"), Run(Alnum, 30, 32)]),
    token("fo1_", Url, 43, 43),
    token("fm1a_", Base64, 100, 1000),
    token("fm1r_", Base64, 100, 1000),
    token("fm2_", Base64, 100, 1000),
    format("v1.0-", Hex, 24, 24, &[Text("-"), Run(Hex, 146, 146)]),
    token("ico-", Alnum, 32, 32),
    token("tk-us-", Url, 48, 48),
    token("sha256~", Url, 43, 43),
    format("dnkey-", Wide, 26, 26, &[Text("-"), Run(Wide, 52, 52)]),
    format("A3-", Upper, 6, 6, GROUPS_11),
    format("A3-", Upper, 6, 6, GROUPS_6_5),
    token("tskey-", Url, 30, 80),
    token("ddp_", Alnum, 36, 36),
    token("ddo_", Alnum, 36, 36),
    token("napi_", Alnum, 60, 70),
    format("webhook.office.com/webhookb2/", Hex, 8, 8, TEAMS),
    format("webhook.office.com/webhookb2/", Hex, 8, 8, UUID_TAIL),
    // Data and search.
    token("sbp_", Hex, 40, 40),
    token("sb_secret_", Url, 24, 60),
    token("pscale_tkn_", Wide, 32, 64),
    token("pscale_pw_", Wide, 32, 64),
    token("pscale_oauth_", Wide, 32, 64),
    token("4b1d", Alnum, 38, 38),
    format("pat", Alnum, 14, 14, &[Text("."), Run(Hex, 64, 64)]),
    token("CFPAT-", Url, 43, 43),
    token("PMAK-", Url, 59, 59),
    token("lin_api_", Alnum, 40, 40),
    token("lin_oauth_", Alnum, 40, 64),
    token("ntn_", Alnum, 40, 60),
    token("secret_", Alnum, 43, 43),
    token("figd_", Url, 40, 60),
    token("tfp_", Wide, 40, 80),
    uuid("pat-na1-"),
    uuid("pat-eu1-"),
    uuid("pat-na2-"),
    uuid("sdk-"),
    uuid("api-"),
    format("pk.eyJ", Alnum, 50, 120, &[Text("."), Run(Url, 22, 22)]),
    format("sk.eyJ", Alnum, 50, 120, &[Text("."), Run(Url, 22, 22)]),
    token("rdme_", Alnum, 70, 70),
    token("sl.", Wide, 130, 1300),
    token("fio-u-", Wide, 64, 64),
    token("ATATT3", Wide, 150, 220),
    token("ATCTT3", Wide, 100, 220),
    token("ATTA", Hex, 64, 64),
    // Observability.
    token("glsa_", Url, 41, 41),
    token("glc_", Wide, 32, 400),
    token("eyJrIjoi", Base64, 60, 400),
    token("NRAK-", Alnum, 27, 27),
    token("NRJS-", Hex, 19, 19),
    token("NRII-", Url, 32, 32),
    token("sntryu_", Hex, 64, 64),
    token("sntrys_", Wide, 60, 500),
    token("dt0c01.", Wide, 89, 89),
    token("dt0s01.", Wide, 73, 89),
    token("hcaik_", Alnum, 58, 64),
    token("hcxik_", Alnum, 58, 64),
    token("phx_", Alnum, 40, 60),
    // Others.
    token("dp.pt.", Alnum, 40, 44),
    token("dp.st.", Wide, 40, 80),
    token("dp.ct.", Alnum, 40, 44),
    token("dp.sa.", Alnum, 40, 44),
    token("dp.scim.", Alnum, 40, 44),
    token("dp.audit.", Alnum, 40, 44),
    token("p8e-", Alnum, 32, 32),
    token("p8e_", Alnum, 32, 32),
    token("s-s4t2ud-", Hex, 64, 64),
    token("s-s4t2af-", Hex, 64, 64),
    token("pnu_", Alnum, 36, 36),
    token("pnb_", Alnum, 36, 36),
    token("sm_aat_", Alnum, 16, 16),
    token("sm_pat_", Alnum, 16, 16),
    token("sm_sat_", Alnum, 16, 16),
    format("sc_", Alnum, 5, 30, AUTHRESS),
    format("ext_", Alnum, 5, 30, AUTHRESS),
    format("scauth_", Alnum, 5, 30, AUTHRESS),
    format("authress_", Alnum, 5, 30, AUTHRESS),
    token("AGE-SECRET-KEY-1", Upper, 58, 58),
    // A JSON web token in base64, as in Kubernetes secrets.
    token("ZXlKaGJHY2lPaU", Base64, 60, 8000),
];

/// Rows of fewer letters, which are tried last.
const SHORT: &[Format] = &[
    // Yandex, Twilio, HashiCorp Vault, Discord.
    token("YC", Url, 38, 38),
    token("SK", Hex, 32, 32),
    token("s.", Alnum, 24, 24),
    format("M", Url, 23, 27, DISCORD),
    format("N", Url, 23, 27, DISCORD),
    format("O", Url, 23, 27, DISCORD),
];

/// Forms that begin with no fixed letters, by the byte behind their first word.
const INNER: &[(u8, &[Part])] = &[
    // Telegram: the bot's number, and a key that begins with `A`.
    (b':', &[Run(Digit, 5, 16), Text(":A"), Run(Url, 34, 34)]),
    // Facebook: an app's number and its secret.
    (b'|', &[Run(Digit, 15, 16), Text("|"), Run(Url, 27, 40)]),
    (b'%', &[Run(Digit, 15, 16), Text("%7C"), Run(Url, 27, 40)]),
    // Asana.
    (
        b'/',
        &[
            Run(Digit, 1, 1),
            Text("/"),
            Run(Digit, 16, 17),
            Text(":"),
            Run(Hex, 32, 32),
        ],
    ),
    (
        b'/',
        &[
            Run(Digit, 1, 1),
            Text("/"),
            Run(Digit, 16, 17),
            Text("/"),
            Run(Digit, 16, 17),
            Text(":"),
            Run(Hex, 32, 32),
        ],
    ),
    // Terraform Cloud.
    (b'.', &[Run(Alnum, 14, 14), Text(".atlasv1."), Run(Wide, 60, 70)]),
    // Azure AD, whose fourth and fifth characters are a digit and `Q`.
    (
        b'~',
        &[Run(Alnum, 3, 3), Run(Digit, 1, 1), Text("Q~"), Run(Tilde, 31, 34)],
    ),
    // Mailchimp, Mailgun.
    (b'-', &[Run(Hex, 32, 32), Text("-us"), Run(Digit, 1, 2)]),
    (
        b'-',
        &[
            Run(Hex, 32, 32),
            Text("-"),
            Run(Hex, 8, 8),
            Text("-"),
            Run(Hex, 8, 8),
        ],
    ),
];

/// By the byte behind a first word, a bit for each length that it has in [`INNER`].
static FIRST_WORDS: [u64; 256] = first_words();

const fn first_words() -> [u64; 256] {
    let mut lengths = [0; 256];
    let mut row = 0;
    while row < INNER.len() {
        let (behind, parts) = INNER[row];
        let (mut shortest, mut longest) = (0, 0);
        let mut part = 0;
        let mut ended = false;
        while part < parts.len() && !ended {
            match parts[part] {
                Run(_, fewest, most) => {
                    shortest += fewest;
                    longest += most;
                }
                Text(fixed) => {
                    let fixed = fixed.as_bytes();
                    let mut byte = 0;
                    while byte < fixed.len() && CLASSES[fixed[byte] as usize] & WORD != 0 {
                        byte += 1;
                    }
                    shortest += byte;
                    longest += byte;
                    ended = byte < fixed.len();
                    assert!(
                        !ended || fixed[byte] == behind,
                        "the byte behind the first word is another one"
                    );
                }
            }
            part += 1;
        }
        assert!(longest < 64, "lengths are bits");
        let mut length = shortest;
        while length <= longest {
            lengths[behind as usize] |= 1 << length;
            length += 1;
        }
        row += 1;
    }
    lengths
}

/// The end of `parts` at `start`, when they stand there.
fn parts_end(text: &[u8], start: usize, parts: &[Part]) -> Option<usize> {
    let mut position = start;
    for part in parts {
        match *part {
            Text(fixed) => {
                let end = position + fixed.len();
                if slice(text, position, end) != fixed.as_bytes() {
                    return None;
                }
                position = end;
            }
            Run(body, shortest, longest) => {
                let end = run_end(text, position, longest, |b| body.has(b));
                if end - position < shortest {
                    return None;
                }
                position = end;
            }
        }
    }
    Some(position)
}

/// Buckets of rows by their first three bytes.
const BUCKETS: usize = 1024;

/// The first three bytes of a key.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Beginning(u32);

impl Beginning {
    #[inline(always)]
    const fn of(first: u8, second: u8, third: u8) -> Beginning {
        Beginning((first as u32) << 16 | (second as u32) << 8 | third as u32)
    }

    #[inline(always)]
    fn at(text: &[u8], start: usize) -> Beginning {
        match text.get(start..).and_then(<[u8]>::first_chunk) {
            Some([first, second, third]) => Beginning::of(*first, *second, *third),
            None => Beginning(0),
        }
    }

    #[inline(always)]
    const fn bucket(self) -> usize {
        (self.0.wrapping_mul(0x9E37_79B1) >> (u32::BITS - BUCKETS.ilog2())) as usize
    }
}

/// Rows of [`FORMATS`] by their first three bytes, in order.
struct Rows {
    first: [u16; BUCKETS],
    next: [u16; FORMATS.len()],
    beginnings: [Beginning; FORMATS.len()],
}

/// No row; also how many rows there can be.
const NO_ROW: u16 = u16::MAX;

static ROWS: Rows = rows();

const fn rows() -> Rows {
    assert!(FORMATS.len() < NO_ROW as usize, "rows are numbered by two bytes");
    let mut rows = Rows {
        first: [NO_ROW; BUCKETS],
        next: [NO_ROW; FORMATS.len()],
        beginnings: [Beginning(0); FORMATS.len()],
    };
    let mut row = FORMATS.len();
    while row > 0 {
        row -= 1;
        let prefix = FORMATS[row].prefix;
        assert!(prefix.len() >= 3, "shorter ones stand in the other table");
        let beginning = Beginning::of(prefix[0], prefix[1], prefix[2]);
        let bucket = beginning.bucket();
        rows.beginnings[row] = beginning;
        rows.next[row] = rows.first[bucket];
        rows.first[bucket] = row as u16;
    }
    rows
}

/// The bytes that rows of [`SHORT`] begin with.
static SHORT_BEGINS: [bool; 256] = short_begins();

const fn short_begins() -> [bool; 256] {
    let mut begins = [false; 256];
    let mut row = 0;
    while row < SHORT.len() {
        begins[SHORT[row].prefix[0] as usize] = true;
        row += 1;
    }
    begins
}

/// Whether a key of a known form, or a JSON web token, may begin at `start`, where the first word ends at `word_end`.
#[inline(always)]
pub(super) fn may_begin(text: &[u8], start: usize, word_end: usize) -> bool {
    let beginning = Beginning::at(text, start);
    let length = word_end - start;
    ROWS.first[beginning.bucket()] != NO_ROW
        || SHORT_BEGINS[usize::from(at(text, start))]
        || beginning == Beginning::of(b'e', b'y', b'J')
        || FIRST_WORDS[usize::from(at(text, word_end))] >> (length % 64) & 1 != 0
        || length == MAXMIND
}

/// Looks for a key of a known form at `start`, whose first word ends at `word_end`. Returns where to go on when it was one,
/// or when it was too long to be read again.
pub(super) fn scan(scanner: &mut Scanner<'_, '_>, start: usize, word_end: usize) -> Option<usize> {
    let text = scanner.text;
    let beginning = Beginning::at(text, start);
    let mut row = ROWS.first[beginning.bucket()];
    while let Some(known) = ROWS.beginnings.get(usize::from(row)) {
        if *known == beginning
            && let Some(next) = FORMATS
                .get(usize::from(row))
                .and_then(|format| keyed(scanner, start, format))
        {
            return Some(next);
        }
        row = ROWS.next[usize::from(row)];
    }
    let first = at(text, start);
    if SHORT_BEGINS[usize::from(first)] {
        let mut rows = SHORT.iter().filter(|format| format.prefix[0] == first);
        let next = rows.find_map(|format| keyed(scanner, start, format));
        if next.is_some() {
            return next;
        }
    }
    inner(scanner, start, word_end)
}

/// A key that begins as one row says.
fn keyed(scanner: &mut Scanner<'_, '_>, start: usize, format: &Format) -> Option<usize> {
    let prefix = slice(scanner.text, start, start + format.prefix.len());
    (prefix == format.prefix)
        .then(|| one(scanner, start, format))
        .flatten()
}

/// A key whose form is that of one row.
fn one(scanner: &mut Scanner<'_, '_>, start: usize, format: &Format) -> Option<usize> {
    let text = scanner.text;
    let body = start + format.prefix.len();
    let (shortest, longest) = format.lengths;
    let mut end = run_end(text, body, longest + 1, |b| format.body.has(b));
    scanner.step(end - start);
    if !format.tail.is_empty() {
        // What follows says where the body ends.
        let body_end = (shortest..=(end - body).min(longest))
            .rev()
            .find(|length| parts_end(text, body + length, format.tail).is_some())?;
        let end = parts_end(text, body + body_end, format.tail)?;
        scanner.step((end - body) * 2);
        let shape = Shape::of(slice(text, body, end));
        if is_word(text, end) || shape.distinct < DISTINCT || shape.digits == 0 && !shape.is_jumbled() {
            return None;
        }
        scanner.emit(PiiType::ApiKey, start, end, Confidence::High);
        return Some(end);
    }
    // A full stop or dash after the token belongs to the sentence, unless the token would be too short without it, or a
    // quotation mark ends it.
    let closed = matches!(at(text, end), b'"' | b'\'' | b'`');
    while end > body + shortest && !closed && matches!(text[end - 1], b'.' | b'-' | b'/' | b'=') {
        end -= 1;
    }
    let length = end - body;
    if length > longest && length > super::JUMP {
        return Some(end);
    }
    if length < shortest || length > longest || is_word(text, end) {
        return None;
    }
    let shape = Shape::of(slice(text, body, end));
    // A short prefix followed by dashes and words is a name (`sk-loading-spinner`), unless the words look random; and so is
    // a word behind three letters (`as-internationalisation`).
    let short = format.prefix.len() <= 3 && length <= 24 && matches!(format.body, Alnum | Url);
    let brief = format.prefix.len() <= 4 || format.prefix.len() == 5 && format.prefix.ends_with(b"_");
    let named = short || brief && format.body == Url && shape.marks > 0;
    // No word is so long, in whatever case its letters are.
    let long = length >= 30 && matches!(format.body, Alnum | Lower);
    // A number with letters before it is an identifier, unless keys of the form are numbers.
    let number = shape.digits == shape.length && !matches!(format.body, Body::Digit | Hex | Upper);
    // Letters that are called are a function: `test_aVeryLongName()`.
    let called = shape.digits == 0 && at(text, end) == b'(';
    let telling = !(number || called)
        && shape.distinct >= DISTINCT.min(shape.length as u32 / 2)
        && (shape.digits > 0 || shape.is_jumbled() || shape.is_lettered() || long || format.body == Upper)
        && (!named || shape.is_random() || shape.is_jumbled() && shape.is_key());
    if !telling {
        return None;
    }
    scanner.emit(PiiType::ApiKey, start, end, Confidence::High);
    Some(end)
}

/// Characters of a licence key of MaxMind.
const MAXMIND: usize = 40;

/// A key of one of the forms in [`INNER`].
fn inner(scanner: &mut Scanner<'_, '_>, start: usize, word_end: usize) -> Option<usize> {
    let text = scanner.text;
    let behind = at(text, word_end);
    let length = u32::try_from(word_end - start).unwrap_or(u32::MAX);
    let lengths = FIRST_WORDS[usize::from(behind)].checked_shr(length).unwrap_or(0);
    let may_begin = if lengths & 1 != 0 { INNER } else { &[] };
    for (_, parts) in may_begin.iter().filter(|(byte, _)| *byte == behind) {
        let Some(end) = parts_end(text, start, parts) else {
            continue;
        };
        scanner.step(end - start);
        let key = slice(text, start, end);
        if !is_word(text, end) && Shape::of(key).distinct >= DISTINCT && !is_placeholder(key) {
            scanner.emit(PiiType::ApiKey, start, end, Confidence::High);
            return Some(end);
        }
    }
    // MaxMind: a licence key says so in its last letters.
    let word = slice(text, start, word_end);
    if word.len() == MAXMIND && word.ends_with(b"_mmk") && word[6] == b'_' {
        scanner.emit(PiiType::ApiKey, start, word_end, Confidence::High);
        return Some(word_end);
    }
    None
}
