//! Settings below the heading "Other services".

use super::{Setting, of, secret};

const GROUP: &str = "Other services";

/// In the order of the reference page.
pub(super) const ROWS: &[Setting] = &[
    of(
        GROUP,
        "SHIELD_URL",
        "",
        "URL",
        "LLM Shield, which is asked about the texts of a request before it is decided, where a rule reads `shield`. It must hold no user, password or query. Without it nobody is asked.",
    ),
    of(
        GROUP,
        "SHIELD_TIMEOUT",
        "150ms",
        "DURATION",
        "Longest time that one request waits for Shield, all attempts together. What is not known then stays unknown.",
    ).needs(&[&["SHIELD_URL"]]),
    of(
        GROUP,
        "SHIELD_ON_FAILURE",
        "unknown",
        "unknown",
        "What rules see where Shield gives no answer: `unknown`, on which rules that deny fire. There is no other way.",
    ).needs(&[&["SHIELD_URL"]]),
    secret(
        GROUP,
        "SHIELD_TOKEN",
        "TEXT",
        "Token that is sent as `Authorization: Bearer` to SHIELD_URL, which must be https or on this machine.",
    ).needs(&[&["SHIELD_URL"]]),
    of(
        GROUP,
        "SHIELD_CA_FILE",
        "",
        "FILE",
        "PEM certificates of authorities to trust for SHIELD_URL, instead of the public ones.",
    ).needs(&[&["SHIELD_URL=https"]]),
];
