//! Secrets: keys and tokens of known services, JSON web tokens, PEM private keys, passwords in URLs, and values
//! assigned to a name such as `api_key`.
//!
//! A service's key is a row of [`TOKENS`]: a prefix, the characters after it and how many. Rows are tried only for
//! words that the scanner found telling, and only when enough bytes without a space follow, which prose lacks.
//! Placeholders (`sk-xxxxxxxx`) have too few different characters and do not count.

use super::bytes::{ALPHA, DIGIT, at, class_at, is_word, run_end, slice};
use super::scan::Scanner;
use super::types::{Confidence, PiiType};

/// The characters of a token after its prefix.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Body {
    /// Letters and digits.
    Alnum,
    /// Letters, digits, `_`, `-`.
    Url,
    /// Letters, digits, `_`, `-`, `.`, `=`, `/`, `+`.
    Wide,
    /// Hexadecimal digits.
    Hex,
    /// Capital letters and digits.
    Upper,
}

impl Body {
    fn has(self, byte: u8) -> bool {
        match self {
            Body::Alnum => byte.is_ascii_alphanumeric(),
            Body::Url => byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-'),
            Body::Wide => {
                byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.' | b'=' | b'/' | b'+')
            }
            Body::Hex => byte.is_ascii_hexdigit(),
            Body::Upper => byte.is_ascii_uppercase() || byte.is_ascii_digit(),
        }
    }
}

/// The form of one kind of key.
struct Token {
    prefix: &'static [u8],
    body: Body,
    /// Fewest and most characters after the prefix.
    lengths: (usize, usize),
}

const fn token(prefix: &'static str, body: Body, shortest: usize, longest: usize) -> Token {
    Token {
        prefix: prefix.as_bytes(),
        body,
        lengths: (shortest, longest),
    }
}

/// Keys of known services.
const TOKENS: &[Token] = &[
    // Amazon Web Services: access key ids.
    token("A3T", Body::Upper, 17, 17),
    token("AKIA", Body::Upper, 16, 16),
    token("ASIA", Body::Upper, 16, 16),
    token("ABIA", Body::Upper, 16, 16),
    token("ACCA", Body::Upper, 16, 16),
    // GitHub, GitLab.
    token("ghp_", Body::Alnum, 36, 255),
    token("gho_", Body::Alnum, 36, 255),
    token("ghu_", Body::Alnum, 36, 255),
    token("ghs_", Body::Alnum, 36, 255),
    token("ghr_", Body::Alnum, 36, 255),
    token("github_pat_", Body::Url, 60, 255),
    token("glpat-", Body::Wide, 20, 300),
    token("gldt-", Body::Url, 20, 64),
    token("glrt-", Body::Wide, 20, 300),
    token("glptt-", Body::Hex, 40, 40),
    token("glcbt-", Body::Url, 20, 64),
    token("glsoat-", Body::Url, 20, 64),
    // Slack.
    token("xoxb-", Body::Url, 20, 255),
    token("xoxp-", Body::Url, 20, 255),
    token("xoxa-", Body::Url, 20, 255),
    token("xoxr-", Body::Url, 20, 255),
    token("xoxs-", Body::Url, 20, 255),
    token("xoxo-", Body::Url, 20, 255),
    token("xoxe-", Body::Url, 20, 255),
    token("xoxe.xoxp-", Body::Url, 20, 255),
    token("xoxe.xoxb-", Body::Url, 20, 255),
    token("xapp-", Body::Url, 20, 255),
    token("hooks.slack.com/services/", Body::Wide, 40, 60),
    // Stripe, Square, PayPal's Braintree.
    token("sk_live_", Body::Alnum, 10, 255),
    token("rk_live_", Body::Alnum, 10, 255),
    token("sk_test_", Body::Alnum, 10, 255),
    token("rk_test_", Body::Alnum, 10, 255),
    token("sk_prod_", Body::Alnum, 10, 255),
    token("rk_prod_", Body::Alnum, 10, 255),
    token("whsec_", Body::Wide, 24, 255),
    token("sq0atp-", Body::Url, 22, 60),
    token("sq0csp-", Body::Url, 43, 60),
    // Model providers. `sk-` alone must stay after the rows that are longer.
    token("sk-ant-", Body::Url, 32, 255),
    token("sk-proj-", Body::Url, 20, 255),
    token("sk-svcacct-", Body::Url, 20, 255),
    token("sk-admin-", Body::Url, 20, 255),
    token("sk-or-v1-", Body::Hex, 64, 64),
    token("sk-", Body::Url, 20, 255),
    token("hf_", Body::Alnum, 34, 40),
    token("api_org_", Body::Alnum, 34, 34),
    token("gsk_", Body::Alnum, 40, 64),
    token("pplx-", Body::Alnum, 40, 64),
    token("r8_", Body::Alnum, 37, 40),
    token("xai-", Body::Alnum, 60, 100),
    token("nvapi-", Body::Url, 60, 80),
    // Google.
    token("AIza", Body::Url, 35, 35),
    token("GOCSPX-", Body::Url, 28, 28),
    token("ya29.", Body::Url, 40, 512),
    // Mail and messages.
    token("SG.", Body::Wide, 60, 70),
    token("SK", Body::Hex, 32, 32),
    token("xkeysib-", Body::Url, 64, 90),
    token("key-", Body::Hex, 32, 32),
    // Package registries.
    token("npm_", Body::Alnum, 36, 36),
    token("pypi-AgE", Body::Url, 50, 1000),
    token("rubygems_", Body::Hex, 48, 48),
    token("dckr_pat_", Body::Url, 24, 40),
    token("oy2", Body::Alnum, 43, 43),
    // Hosting, data, observability.
    token("dapi", Body::Hex, 32, 32),
    token("dop_v1_", Body::Hex, 64, 64),
    token("doo_v1_", Body::Hex, 64, 64),
    token("dor_v1_", Body::Hex, 64, 64),
    token("hvs.", Body::Url, 24, 160),
    token("hvb.", Body::Url, 100, 300),
    token("pul-", Body::Hex, 40, 40),
    token("glsa_", Body::Url, 41, 41),
    token("glc_", Body::Wide, 32, 400),
    token("NRAK-", Body::Upper, 27, 27),
    token("sntryu_", Body::Hex, 64, 64),
    token("sntrys_", Body::Wide, 60, 400),
    token("PMAK-", Body::Url, 59, 59),
    token("lin_api_", Body::Alnum, 40, 40),
    token("ntn_", Body::Alnum, 40, 60),
    token("figd_", Body::Url, 40, 60),
    token("shpat_", Body::Hex, 32, 32),
    token("shpca_", Body::Hex, 32, 32),
    token("shppa_", Body::Hex, 32, 32),
    token("shpss_", Body::Hex, 32, 32),
    token("tfp_", Body::Wide, 40, 80),
    token("pscale_tkn_", Body::Wide, 32, 64),
    token("pscale_pw_", Body::Wide, 32, 64),
    token("LTAI", Body::Alnum, 16, 24),
    token("EAAC", Body::Alnum, 100, 300),
    token("AKCp", Body::Alnum, 69, 69),
    token("cmVmd", Body::Alnum, 59, 59),
    token("p8e-", Body::Alnum, 32, 32),
    token("dp.pt.", Body::Alnum, 43, 43),
    token("duffel_live_", Body::Url, 43, 43),
    token("duffel_test_", Body::Url, 43, 43),
    token("dt0c01.", Body::Wide, 89, 89),
    token("EZAK", Body::Alnum, 54, 54),
    token("EZTK", Body::Alnum, 54, 54),
    token("fo1_", Body::Url, 43, 43),
    token("HRKU-AA", Body::Url, 58, 58),
    token("ico-", Body::Alnum, 32, 32),
    token("API-", Body::Upper, 26, 26),
    token("pnu_", Body::Alnum, 36, 36),
    token("rdme_", Body::Alnum, 70, 70),
    token("sgp_", Body::Url, 40, 60),
    token("shippo_live_", Body::Hex, 40, 40),
    token("shippo_test_", Body::Hex, 40, 40),
    token("sm_aat_", Body::Alnum, 16, 16),
    token("sm_pat_", Body::Alnum, 16, 16),
    token("sm_sat_", Body::Alnum, 16, 16),
    token("pscale_oauth_", Body::Wide, 32, 64),
    token("sl.", Body::Url, 130, 300),
    token("CLOJARS_", Body::Alnum, 60, 60),
    token("AGE-SECRET-KEY-1", Body::Upper, 58, 58),
];

/// Rows of [`TOKENS`] by their first byte, in order: trying them all for every word would take longer than the rest.
struct Rows {
    first: [u8; 256],
    next: [u8; TOKENS.len()],
}

/// No row; also how many rows there can be.
const NO_ROW: u8 = u8::MAX;

static ROWS: Rows = rows();

const fn rows() -> Rows {
    assert!(TOKENS.len() < NO_ROW as usize, "rows are numbered by a byte");
    let mut rows = Rows {
        first: [NO_ROW; 256],
        next: [NO_ROW; TOKENS.len()],
    };
    let mut row = TOKENS.len();
    while row > 0 {
        row -= 1;
        let first = TOKENS[row].prefix[0] as usize;
        rows.next[row] = rows.first[first];
        rows.first[first] = row as u8;
    }
    rows
}

/// Fewest bytes without a space that any secret has.
pub(super) const SHORTEST: usize = 18;
/// Different characters that a real key has, at least.
const DISTINCT: u32 = 8;
/// Longest value assigned to a name.
const LONGEST_VALUE: usize = 4096;
/// A run that was read and is no secret is jumped over when it is longer than this: reading it again from each of its
/// words would be quadratic.
const JUMP: usize = 128;

/// Looks at the word `start..end`. Returns the end of the secret that starts there.
pub(super) fn scan_word(scanner: &mut Scanner<'_, '_>, start: usize, end: usize) -> Option<usize> {
    let text = scanner.text;
    // A word has no space.
    let missing = SHORTEST.saturating_sub(end - start);
    let solid = run_end(text, end, missing, |b| b > b' ' && b != b',' && b < 0x80);
    scanner.step(solid - end);
    if solid - start < SHORTEST {
        return None;
    }
    let rest = slice(text, start, text.len());
    if rest.starts_with(b"eyJ")
        && let Some(next) = jwt(scanner, start)
    {
        return Some(next);
    }
    let mut row = ROWS.first[usize::from(at(text, start))];
    while let Some(token) = TOKENS.get(usize::from(row)) {
        if rest.starts_with(token.prefix)
            && let Some(next) = service_token(scanner, start, token)
        {
            return Some(next);
        }
        row = ROWS.next[usize::from(row)];
    }
    assigned(scanner, start)
}

/// A token with the prefix and body of one row.
fn service_token(scanner: &mut Scanner<'_, '_>, start: usize, token: &Token) -> Option<usize> {
    let text = scanner.text;
    let body = start + token.prefix.len();
    let mut end = run_end(text, body, token.lengths.1 + 1, |b| token.body.has(b));
    scanner.step(end - start);
    // A full stop or dash after the token belongs to the sentence, unless the token would be too short without it.
    while end > body + token.lengths.0 && matches!(text[end - 1], b'.' | b'-' | b'/' | b'=') {
        end -= 1;
    }
    let length = end - body;
    if length > token.lengths.1 && length > JUMP {
        return Some(end);
    }
    if length < token.lengths.0 || length > token.lengths.1 || is_word(text, end) {
        return None;
    }
    let bytes = slice(text, body, end);
    // A short prefix followed by dashes and words is a name (`sk-loading-spinner`), unless the words look random.
    let named = token.prefix.len() <= 4
        && token.body == Body::Url
        && bytes.iter().any(|b| !b.is_ascii_alphanumeric());
    // One AWS key in 28 has no digit, and no word is written so.
    let lettered = token.body == Body::Upper || token.prefix == b"hf_" || token.prefix == b"api_org_";
    let telling = distinct(bytes) >= DISTINCT
        && (lettered || bytes.iter().any(u8::is_ascii_digit))
        && (!named || is_random(bytes));
    if !telling {
        return None;
    }
    scanner.emit(PiiType::ApiKey, start, end, Confidence::High);
    Some(end)
}

/// How many different characters there are.
fn distinct(bytes: &[u8]) -> u32 {
    bytes
        .iter()
        .fold(0u128, |set, byte| set | 1 << (byte & 127))
        .count_ones()
}

/// Whether the characters look drawn at random: digits, capitals and small letters, or a long hexadecimal number.
/// Forty characters, an AWS secret key, may have a single digit.
fn is_random(bytes: &[u8]) -> bool {
    let digits = bytes.iter().filter(|b| b.is_ascii_digit()).count();
    let upper = bytes.iter().filter(|b| b.is_ascii_uppercase()).count();
    let lower = bytes.iter().filter(|b| b.is_ascii_lowercase()).count();
    let hex = bytes.len() >= 32 && bytes.iter().all(u8::is_ascii_hexdigit);
    let kind = |byte: u8| {
        (
            byte.is_ascii_digit(),
            byte.is_ascii_uppercase(),
            byte.is_ascii_lowercase(),
        )
    };
    let changes = bytes
        .windows(2)
        .filter(|pair| kind(pair[0]) != kind(pair[1]))
        .count();
    // Identifiers change between capitals and small letters once a word, random text at two of three places.
    let jumbled = changes * 5 >= bytes.len() * 2 && upper >= 2 && lower >= 2;
    let enough = digits >= 2 || bytes.len() == 40 && digits == 1;
    distinct(bytes) >= DISTINCT && (enough && jumbled || hex && digits >= 2 && upper + lower >= 4)
}

/// A JSON web token: `eyJ….eyJ….signature`, the signature possibly empty.
fn jwt(scanner: &mut Scanner<'_, '_>, start: usize) -> Option<usize> {
    const LONGEST_PART: usize = 16 * 1024;
    let text = scanner.text;
    let part = |from: usize| run_end(text, from, LONGEST_PART, |b| Body::Url.has(b));
    let header = part(start);
    let payload = part(header + 1);
    scanner.step(payload - start);
    let shaped = at(text, header) == b'.'
        && header - start >= 15
        && slice(text, header + 1, payload).starts_with(b"ey")
        && payload - header >= 10
        && at(text, payload) == b'.';
    if !shaped {
        return (header - start > JUMP).then_some(header);
    }
    let end = part(payload + 1);
    scanner.step(end - payload);
    scanner.emit(PiiType::Jwt, start, end, Confidence::High);
    Some(end)
}

/// A random-looking value after `name =`, `name:`, `"name": "` or `Bearer`, where the name speaks of a secret.
fn assigned(scanner: &mut Scanner<'_, '_>, start: usize) -> Option<usize> {
    const SHORTEST_VALUE: usize = 20;
    let text = scanner.text;
    let floor = scanner.barrier.end;
    let mut position = start;
    let mut assigns = false;
    while position > floor && start - position < 6 {
        match text[position - 1] {
            b'"' | b'\'' | b'`' | b' ' => {}
            b'=' | b':' => assigns = true,
            _ => break,
        }
        position -= 1;
    }
    if position == start || position == floor {
        return None;
    }
    let mut name = position;
    while name > floor && position - name < 40 && (is_word(text, name - 1) || text[name - 1] == b'-') {
        name -= 1;
    }
    scanner.step(start - name);
    if !names_secret(slice(text, name, position), assigns) {
        return None;
    }
    let mut end = run_end(text, start, LONGEST_VALUE, |b| Body::Wide.has(b));
    scanner.step(end - start);
    while end > start && matches!(text[end - 1], b'.' | b'-') {
        end -= 1;
    }
    let value = slice(text, start, end);
    if value.len() < SHORTEST_VALUE || !is_random(value) || value.contains(&b'.') && value.contains(&b'/') {
        return (value.len() > JUMP).then_some(end);
    }
    scanner.emit(PiiType::ApiKey, start, end, Confidence::Medium);
    Some(end)
}

/// Whether a name says that its value is secret.
fn names_secret(name: &[u8], assigns: bool) -> bool {
    if !assigns {
        return name.eq_ignore_ascii_case(b"bearer");
    }
    speaks_of_secret(name) && !has(name, b"public")
}

/// Whether a name holds a word for what is secret.
pub(super) fn speaks_of_secret(name: &[u8]) -> bool {
    [&b"key"[..], b"token", b"secret", b"passw", b"credential", b"auth"]
        .iter()
        .any(|part| has(name, part))
}

/// Whether `name` holds `part`, without regard to case.
fn has(name: &[u8], part: &[u8]) -> bool {
    name.windows(part.len())
        .any(|window| window.eq_ignore_ascii_case(part))
}

/// A PEM private key from its first dash to the end line, or to where the base64 body breaks off.
pub(super) fn scan_pem(scanner: &mut Scanner<'_, '_>, start: usize) -> Option<usize> {
    const BEGIN: &[u8] = b"-----BEGIN ";
    const LABEL: &[u8] = b"PRIVATE KEY";
    const LONGEST_BODY: usize = 64 * 1024;
    let text = scanner.text;
    if !slice(text, start, text.len()).starts_with(BEGIN) {
        return None;
    }
    let label_start = start + BEGIN.len();
    let label_end = run_end(text, label_start, 40, |b| b.is_ascii_uppercase() || b == b' ');
    let label = slice(text, label_start, label_end);
    let label = label.strip_suffix(b" BLOCK").unwrap_or(label);
    if !label.ends_with(LABEL) || !slice(text, label_end, label_end + 5).starts_with(b"-----") {
        return None;
    }
    let body = label_end + 5;
    let mut end = run_end(text, body, LONGEST_BODY, |b| {
        class_at(&[b], 0) & (ALPHA | DIGIT) != 0
            || matches!(b, b'+' | b'/' | b'=' | b'\n' | b'\r' | b' ' | b'\\' | b':' | b',')
    });
    scanner.step(end - start);
    let closing = slice(text, end, text.len().min(end + 60));
    if closing.starts_with(b"-----END ") {
        let line = run_end(closing, 9, 51, |b| b.is_ascii_uppercase() || b == b' ');
        end += run_end(closing, line, 5, |b| b == b'-');
    } else {
        while end > body && matches!(text[end - 1], b' ' | b'\n' | b'\r' | b'\\') {
            end -= 1;
        }
    }
    scanner.emit(PiiType::PrivateKey, start, end, Confidence::High);
    Some(end)
}

/// The password in `scheme://user:password@host`, found from its `@`. Returns where to go on.
pub(super) fn scan_userinfo(scanner: &mut Scanner<'_, '_>, sign: usize) -> Option<usize> {
    const LONGEST: usize = 128;
    let text = scanner.text;
    let floor = scanner.barrier.end.max(sign.saturating_sub(LONGEST));
    let mut start = sign;
    let mut colon = None;
    while start > floor
        && text[start - 1].is_ascii_graphic()
        && !matches!(text[start - 1], b'/' | b'@' | b'"' | b'<' | b'>')
    {
        start -= 1;
        if text[start] == b':' {
            colon = Some(start);
        }
    }
    scanner.step(sign - start);
    let password = colon? + 1;
    let in_url = start >= floor + 3 && slice(text, start - 3, start) == b"://";
    let bytes = slice(text, password, sign);
    // `${PASSWORD}`, `[API_KEY]` and `password` stand for a secret and are none.
    let placeholder = matches!(bytes.first(), None | Some(b'$' | b'{' | b'[' | b'*' | b'%'))
        || [&b"password"[..], b"pass", b"pwd", b"passwd"]
            .iter()
            .any(|word| bytes.eq_ignore_ascii_case(word));
    if !in_url || placeholder {
        return None;
    }
    scanner.emit(PiiType::ApiKey, password, sign, Confidence::Medium);
    Some(sign + 1)
}
