//! Settings below the heading "Policies".

use super::{AUTHENTICATION, Setting, of, secret};

const GROUP: &str = "Policies";

/// In the order of the reference page.
pub(super) const ROWS: &[Setting] = &[
    of(
        GROUP,
        "POLICIES",
        "",
        "DIR",
        "Directory of policies. It must exist and is watched for changes. The API cannot change policies then.",
    ),
    of(
        GROUP,
        "BUNDLE",
        "",
        "FILE|URL",
        "Bundle to run. A file is watched, a URL is polled. The API cannot change policies then. User, password and query values of a URL are never shown.",
    ).contradicts(&["POLICIES"]),
    of(
        GROUP,
        "BUNDLE_POLL",
        "10s",
        "DURATION",
        "How often a BUNDLE at a URL is asked for.",
    ).needs(&[&["BUNDLE=http"]]),
    secret(
        GROUP,
        "BUNDLE_TOKEN",
        "TEXT",
        "Token or API key that is sent as `Authorization: Bearer` to the server of a BUNDLE at a URL, and to no other. The URL must be https or on this machine, and must hold no user and password.",
    ).needs(&[&["BUNDLE=http"]]),
    of(
        GROUP,
        "STATUS_URL",
        "",
        "URL",
        "Central policyd that this server, an edge, reports to what it runs, as EDGE_ID.",
    ).needs(&[&["EDGE_ID"]]),
    secret(
        GROUP,
        "STATUS_TOKEN",
        "TEXT",
        "Token or API key that is sent as `Authorization: Bearer` with reports; it needs `status:write`. The URL must be https or on this machine.",
    ).needs(&[&["STATUS_URL"]]),
    of(
        GROUP,
        "STATUS_INTERVAL",
        "30s",
        "DURATION",
        "How often is reported; also at once when other policies decide.",
    ).needs(&[&["STATUS_URL"]]),
    of(
        GROUP,
        "EDGE_ID",
        "",
        "NAME",
        "What this server calls itself in reports: letters, digits, `.`, `_` and `-`. Each edge needs its own.",
    ).needs(&[&["STATUS_URL"]]),
    of(
        GROUP,
        "BUNDLE_KEYS",
        "",
        "FILE,…",
        "Public keys. If set, only bundles signed by one of them are active, and no policies from source text.",
    ).contradicts(&["POLICIES"]),
    of(
        GROUP,
        "DERIVE",
        "always",
        "always|missing|never",
        "Which derived fields are computed.",
    ),
    of(
        GROUP,
        "DEFAULT_DECISION",
        "allow",
        "allow|deny",
        "Decision where no rule fires.",
    ),
    of(
        GROUP,
        "UNKNOWN_NAMESPACE",
        "error",
        "error|global",
        "What happens to a request that names a namespace without active policies: `error` refuses it, `global` lets the policies of `global` decide, if there are any.",
    ),
    of(
        GROUP,
        "PRICES_FILE",
        "",
        "FILE",
        "Prices of models, YAML or JSON: added to the built-in table, or instead of it with `replace: true`.",
    ).contradicts(&["DERIVE=never"]),
    of(
        GROUP,
        "APPROVAL_REQUIRED",
        "false",
        "BOOL",
        "Whether a version becomes active only after somebody other than its author approved it.",
    ).needs(&[AUTHENTICATION])
    .contradicts(&["POLICIES", "BUNDLE"]),
    of(
        GROUP,
        "POLICY_STRICT",
        "false",
        "BOOL",
        "Treat compiler warnings as errors: in policies that are written or activated, in a directory, and in a bundle that was built with warnings. `--strict` for short.",
    ),
];
