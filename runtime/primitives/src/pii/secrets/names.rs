//! What a name says of its value: `stripeApiKey`, `DB_PASSWORD`, `next-page-token`, `API key`.
//!
//! A name is taken apart into words at `_`, `-`, `.`, spaces and changes of case. Its last words say what it names; those
//! before them may take that back (`primary key`, `page token`), those behind them mostly do (`token count`, `key id`).

use self::Word::{About, Harmless, Key, Neutral, Password, Qualifies, Secret, Token};
use crate::pii::bytes::{ALPHA, CLASS};
use crate::pii::dictionary::Dictionary;

/// Longest word that is looked up.
const LONGEST_WORD: usize = 24;

/// How much a name says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Weight {
    /// Nothing.
    None,
    /// That it may be secret: a key of some kind.
    Weak,
    /// That it is a key or a token.
    Key,
    /// That it is a password, which people think of, or something about one.
    Password,
    /// That it is a password and nothing else: digits alone may be it.
    PlainPassword,
}

impl Weight {
    /// Whether people may have thought of the value.
    pub(super) fn is_password(self) -> bool {
        matches!(self, Weight::Password | Weight::PlainPassword)
    }
}

/// What one word of a name says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Word {
    /// A password.
    Password,
    /// A secret, a token.
    Secret,
    /// `token`, which is a word of programs about language and of lists in pages too.
    Token,
    /// A key, which of some kinds is secret.
    Key,
    /// Before `key`: it is secret.
    Qualifies,
    /// Before `key` or `token`: it is not secret.
    Harmless,
    /// Says what the value is written as, or where it is used.
    Neutral,
    /// Behind the others: it is something about a secret.
    About,
    /// Anything else.
    Other,
}

/// What `name` says of its value.
pub(super) fn weigh(name: &[u8]) -> Weight {
    let mut weight = Weight::None;
    let mut before = Word::Other;
    let mut others = 0;
    // The last word that says anything is a password; `pass` alone counts what passed.
    let (mut words, mut plain) = (0, false);
    for_each_word(name, |word| {
        let kind = kind_of(word);
        match kind {
            Word::Password => weight = Weight::Password,
            Word::Secret => weight = Weight::Key,
            Word::Token => {
                weight = match before {
                    Word::Harmless => Weight::None,
                    _ => Weight::Key,
                };
            }
            Word::Key => {
                weight = match (before, weight) {
                    (Word::Harmless, _) => Weight::None,
                    (Word::Qualifies | Word::Secret | Word::Token | Word::Password, _) => Weight::Key,
                    (_, Weight::Key | Weight::Password) => weight,
                    _ => Weight::Weak,
                };
            }
            Word::About => weight = Weight::None,
            Word::Neutral => {}
            // One word behind a secret may say whose it is (`TOKEN_GITHUB`), two are a sentence.
            // `clave API`, `ключ API`.
            Word::Qualifies if before == Word::Key && word.eq_ignore_ascii_case(b"api") => {
                weight = Weight::Key
            }
            Word::Qualifies | Word::Harmless | Word::Other => {
                if weight != Weight::None {
                    others += 1;
                    if others > 1 || before == Word::Key && weight == Weight::Weak {
                        weight = Weight::None;
                    } else if weight == Weight::Key {
                        weight = Weight::Weak;
                    }
                }
            }
        }
        if matches!(kind, Word::Password | Word::Secret | Word::Token | Word::Key) {
            others = 0;
        }
        if kind != Word::Neutral {
            before = kind;
            plain = kind == Word::Password && (words > 0 || !word.eq_ignore_ascii_case(b"pass"));
        }
        words += 1;
    });
    if plain && weight == Weight::Password {
        return Weight::PlainPassword;
    }
    weight
}

/// Whether a name holds a word for what is secret: no name without one has a [`Weight`].
pub(in crate::pii) fn speaks_of_secret(name: &[u8]) -> bool {
    const PARTS: [&str; 30] = [
        "key", "token", "secret", "pass", "cred", "auth", "pwd", "pw", "psw", "bearer", "sig", "sas", "pat",
        "psk", "senha", "wacht", "kennw", "contrase", "clave", "chave", "parola", "heslo", "haslo", "sifre",
        "salasana", "jwt", "adgang", "kodeord", "lozinka", "parool",
    ];
    !name.is_ascii()
        || PARTS.iter().any(|part| {
            name.windows(part.len())
                .any(|window| window.eq_ignore_ascii_case(part.as_bytes()))
        })
}

/// Calls `visit` with the words of `name`: pieces between marks, cut before a capital that follows a small letter, before
/// the last capital of several, and at digits, which are left out.
#[inline(always)]
fn for_each_word(name: &[u8], mut visit: impl FnMut(&[u8])) {
    let letter = |byte: u8| CLASS[usize::from(byte)] & ALPHA != 0 || byte >= 0x80;
    let mut start = 0;
    while start < name.len() {
        if !letter(name[start]) {
            start += 1;
            continue;
        }
        let mut end = start + 1;
        while end < name.len() && letter(name[end]) {
            if name[end].is_ascii_uppercase() {
                let after_small = !name[end - 1].is_ascii_uppercase();
                let before_small = name.get(end + 1).is_some_and(u8::is_ascii_lowercase);
                // `APIKeys` is `API Keys`, and `APIs` one word.
                if after_small || before_small && name.len() > end + 2 {
                    break;
                }
            }
            end += 1;
        }
        visit(&name[start..end]);
        start = end;
    }
}

/// What one word says.
fn kind_of(word: &[u8]) -> Word {
    if word.len() > LONGEST_WORD {
        return Word::Other;
    }
    if let Some(kind) = WORDS.find(word) {
        return kind;
    }
    let ending = &word[word.len().saturating_sub(3)..];
    let endings = ENDINGS.find(ending).unwrap_or(&[]);
    if let Some((_, kind)) = endings.iter().find(|(known, _)| ends_with(word, known))
        // A token has two letters before it at least.
        && (*kind != Token || word.len() > 6)
    {
        return *kind;
    }
    if word.is_ascii() {
        return Word::Other;
    }
    let mut lower = [0u8; LONGEST_WORD];
    let lower = &mut lower[..word.len()];
    lower.copy_from_slice(word);
    lower.make_ascii_lowercase();
    other_script(lower)
}

/// Whether `word` ends with `ending`, in any case.
fn ends_with(word: &[u8], ending: &str) -> bool {
    let from = word.len().checked_sub(ending.len());
    from.is_some_and(|from| word[from..].eq_ignore_ascii_case(ending.as_bytes()))
}

/// Words that say something.
static WORDS: Dictionary<Word, 259> = Dictionary::of(&[
    ("password", Password),
    ("passwd", Password),
    ("passwrd", Password),
    ("passphrase", Password),
    ("pass", Password),
    ("pwd", Password),
    ("pw", Password),
    ("pswd", Password),
    ("psw", Password),
    ("passwort", Password),
    ("kennwort", Password),
    ("wachtwoord", Password),
    ("senha", Password),
    ("contrasena", Password),
    ("parola", Password),
    ("heslo", Password),
    ("haslo", Password),
    ("sifre", Password),
    ("salasana", Password),
    ("passord", Password),
    ("passe", Password),
    ("adgangskode", Password),
    ("kodeord", Password),
    ("adgangsord", Password),
    ("lozinka", Password),
    ("parool", Password),
    ("secret", Secret),
    ("secrets", Secret),
    ("credential", Secret),
    ("credentials", Secret),
    ("creds", Secret),
    ("cred", Secret),
    ("apikey", Secret),
    ("apitoken", Secret),
    ("accesskey", Secret),
    ("accesstoken", Secret),
    ("secretkey", Secret),
    ("authtoken", Secret),
    ("auth", Secret),
    ("authorization", Secret),
    ("authkey", Secret),
    ("bearer", Secret),
    ("sig", Secret),
    ("sas", Secret),
    ("pat", Secret),
    ("psk", Secret),
    ("jwt", Secret),
    ("privatekey", Secret),
    ("sharedaccesskey", Secret),
    ("accountkey", Secret),
    ("token", Token),
    ("key", Key),
    ("clave", Key),
    ("chave", Key),
    ("api", Qualifies),
    ("access", Qualifies),
    ("private", Qualifies),
    ("signing", Qualifies),
    ("sign", Qualifies),
    ("encryption", Qualifies),
    ("encrypt", Qualifies),
    ("master", Qualifies),
    ("account", Qualifies),
    ("shared", Qualifies),
    ("app", Qualifies),
    ("application", Qualifies),
    ("client", Qualifies),
    ("service", Qualifies),
    ("server", Qualifies),
    ("admin", Qualifies),
    ("license", Qualifies),
    ("licence", Qualifies),
    ("deploy", Qualifies),
    ("ssh", Qualifies),
    ("rest", Qualifies),
    ("write", Qualifies),
    ("live", Qualifies),
    ("consumer", Qualifies),
    ("subscription", Qualifies),
    ("webhook", Qualifies),
    ("hmac", Qualifies),
    ("session", Qualifies),
    ("management", Qualifies),
    ("personal", Qualifies),
    ("developer", Qualifies),
    ("merchant", Qualifies),
    ("integration", Qualifies),
    ("ingest", Qualifies),
    ("aws", Qualifies),
    ("azure", Qualifies),
    ("openai", Qualifies),
    ("stripe", Qualifies),
    ("gcp", Qualifies),
    ("public", Harmless),
    // What a page or a handshake shows to whoever sees it: a number used once (RFC 6455), and what a form sends back.
    ("websocket", Harmless),
    ("authenticity", Harmless),
    ("csrf", Harmless),
    ("xsrf", Harmless),
    ("antiforgery", Harmless),
    ("pub", Harmless),
    ("primary", Harmless),
    ("foreign", Harmless),
    ("partition", Harmless),
    ("sort", Harmless),
    ("cache", Harmless),
    ("map", Harmless),
    ("hash", Harmless),
    ("row", Harmless),
    ("idempotency", Harmless),
    ("object", Harmless),
    ("index", Harmless),
    ("composite", Harmless),
    ("unique", Harmless),
    ("search", Harmless),
    ("lookup", Harmless),
    ("dict", Harmless),
    ("json", Harmless),
    ("query", Harmless),
    ("translation", Harmless),
    ("locale", Harmless),
    ("message", Harmless),
    ("event", Harmless),
    ("group", Harmless),
    ("issue", Harmless),
    ("node", Harmless),
    ("hot", Harmless),
    ("shortcut", Harmless),
    ("arrow", Harmless),
    ("feature", Harmless),
    ("metadata", Harmless),
    ("tag", Harmless),
    ("label", Harmless),
    ("bucket", Harmless),
    ("blob", Harmless),
    ("file", Harmless),
    ("column", Harmless),
    ("field", Harmless),
    ("property", Harmless),
    ("attribute", Harmless),
    ("config", Harmless),
    ("setting", Harmless),
    ("state", Harmless),
    ("react", Harmless),
    ("item", Harmless),
    ("list", Harmless),
    ("parent", Harmless),
    ("child", Harmless),
    ("page", Harmless),
    ("next", Harmless),
    ("prev", Harmless),
    ("previous", Harmless),
    ("continuation", Harmless),
    ("sync", Harmless),
    ("cursor", Harmless),
    ("resume", Harmless),
    ("paging", Harmless),
    ("pagination", Harmless),
    ("start", Harmless),
    ("end", Harmless),
    ("eos", Harmless),
    ("bos", Harmless),
    ("pad", Harmless),
    ("unk", Harmless),
    ("mask", Harmless),
    ("sep", Harmless),
    ("cls", Harmless),
    ("special", Harmless),
    ("stop", Harmless),
    ("prompt", Harmless),
    ("completion", Harmless),
    ("max", Harmless),
    ("min", Harmless),
    ("num", Harmless),
    ("total", Harmless),
    ("input", Harmless),
    ("output", Harmless),
    ("change", Harmless),
    ("watch", Harmless),
    ("registry", Harmless),
    ("routing", Harmless),
    ("grouping", Harmless),
    ("dedup", Harmless),
    ("deduplication", Harmless),
    ("site", Harmless),
    ("publishable", Harmless),
    ("value", Neutral),
    ("val", Neutral),
    ("string", Neutral),
    ("str", Neutral),
    ("text", Neutral),
    ("data", Neutral),
    ("prod", Neutral),
    ("production", Neutral),
    ("dev", Neutral),
    ("test", Neutral),
    ("staging", Neutral),
    ("old", Neutral),
    ("new", Neutral),
    ("default", Neutral),
    ("env", Neutral),
    ("var", Neutral),
    ("let", Neutral),
    ("const", Neutral),
    ("export", Neutral),
    ("set", Neutral),
    ("my", Neutral),
    ("the", Neutral),
    ("is", Neutral),
    ("b", Neutral),
    ("x", Neutral),
    ("for", Neutral),
    ("de", Neutral),
    ("da", Neutral),
    ("do", Neutral),
    ("di", Neutral),
    ("id", About),
    ("ids", About),
    ("name", About),
    ("url", About),
    ("uri", About),
    ("path", About),
    ("filename", About),
    ("type", About),
    ("count", About),
    ("limit", About),
    ("usage", About),
    ("size", About),
    ("length", About),
    ("expires", About),
    ("expiry", About),
    ("expiration", About),
    ("endpoint", About),
    ("hashed", About),
    ("format", About),
    ("version", About),
    ("arn", About),
    ("ref", About),
    ("policy", About),
    ("details", About),
    ("detail", About),
    ("info", About),
    ("hint", About),
    ("checksum", About),
    ("fingerprint", About),
    ("digest", About),
    ("kind", About),
    ("provider", About),
    ("scope", About),
    ("scopes", About),
    ("header", About),
    ("method", About),
    ("code", About),
    ("class", About),
    ("error", About),
    ("status", About),
    ("pem", About),
    ("store", About),
    ("ring", About),
    ("board", About),
]);

/// What words end with that say the same, by its last three letters.
static ENDINGS: Dictionary<&[(&str, Word)], 8> = Dictionary::of(&[
    ("ord", &[("password", Password)]),
    ("swd", &[("passwd", Password)]),
    ("ort", &[("passwort", Password), ("kennwort", Password)]),
    ("ase", &[("passphrase", Password)]),
    ("ret", &[("secret", Secret)]),
    (
        "key",
        &[("apikey", Secret), ("secretkey", Secret), ("accesskey", Secret)],
    ),
    ("als", &[("credentials", Secret)]),
    ("ken", &[("token", Token)]),
]);

/// Words with letters that are not ASCII. What is written without spaces ends with the word.
fn other_script(word: &[u8]) -> Word {
    const PASSWORDS: [&str; 20] = [
        "contraseña",
        "lösenord",
        "jelszó",
        "hasło",
        "şifre",
        "parolă",
        "пароль",
        "Пароль",
        "κωδικός",
        "סיסמה",
        "密码",
        "密碼",
        "口令",
        "パスワード",
        "비밀번호",
        "암호",
        "पासवर्ड",
        "khẩu",
        "المرور",
        "السر",
    ];
    const SECRETS: [&str; 9] = [
        "токен",
        "Токен",
        "密钥",
        "密鑰",
        "令牌",
        "トークン",
        "토큰",
        "シークレット",
        "секрет",
    ];
    const KEYS: [&str; 4] = ["schlüssel", "clé", "ключ", "キー"];
    let ends = |words: &[&str]| words.iter().any(|known| word.ends_with(known.as_bytes()));
    if ends(&PASSWORDS) {
        Word::Password
    } else if ends(&SECRETS) {
        Word::Secret
    } else if ends(&KEYS) {
        Word::Key
    } else {
        Word::Other
    }
}
