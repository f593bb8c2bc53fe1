//! What a name says of its value: `stripeApiKey`, `DB_PASSWORD`, `next-page-token`, `API key`.
//!
//! A name is taken apart into words at `_`, `-`, `.`, spaces and changes of case. Its last words say what it names; those
//! before them may take that back (`primary key`, `page token`), those behind them mostly do (`token count`, `key id`).

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
fn for_each_word(name: &[u8], mut visit: impl FnMut(&[u8])) {
    let letter = |byte: u8| byte.is_ascii_alphabetic() || byte >= 0x80;
    let mut start = 0;
    while start < name.len() {
        if !letter(name[start]) {
            start += 1;
            continue;
        }
        let mut end = start + 1;
        while end < name.len() && letter(name[end]) {
            let capital = name[end].is_ascii_uppercase();
            let after_small = !name[end - 1].is_ascii_uppercase();
            let before_small = name.get(end + 1).is_some_and(u8::is_ascii_lowercase);
            // `APIKeys` is `API Keys`, and `APIs` one word.
            if capital && (after_small || before_small && name.len() > end + 2) {
                break;
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
    let mut lower = [0u8; LONGEST_WORD];
    let lower = &mut lower[..word.len()];
    lower.copy_from_slice(word);
    lower.make_ascii_lowercase();
    let lower = &*lower;
    match lower {
        b"password" | b"passwd" | b"passwrd" | b"passphrase" | b"pass" | b"pwd" | b"pw" | b"pswd"
        | b"psw" | b"passwort" | b"kennwort" | b"wachtwoord" | b"senha" | b"contrasena" | b"parola"
        | b"heslo" | b"haslo" | b"sifre" | b"salasana" | b"passord" | b"passe" | b"adgangskode"
        | b"kodeord" | b"adgangsord" | b"lozinka" | b"parool" => Word::Password,
        b"secret" | b"secrets" | b"credential" | b"credentials" | b"creds" | b"cred" | b"apikey"
        | b"apitoken" | b"accesskey" | b"accesstoken" | b"secretkey" | b"authtoken" | b"auth"
        | b"authorization" | b"authkey" | b"bearer" | b"sig" | b"sas" | b"pat" | b"psk" | b"jwt"
        | b"privatekey" | b"sharedaccesskey" | b"accountkey" => Word::Secret,
        b"token" => Word::Token,
        b"key" | b"clave" | b"chave" => Word::Key,
        b"api" | b"access" | b"private" | b"signing" | b"sign" | b"encryption" | b"encrypt" | b"master"
        | b"account" | b"shared" | b"app" | b"application" | b"client" | b"service" | b"server"
        | b"admin" | b"license" | b"licence" | b"deploy" | b"ssh" | b"rest" | b"write" | b"live"
        | b"consumer" | b"subscription" | b"webhook" | b"hmac" | b"session" | b"management" | b"personal"
        | b"developer" | b"merchant" | b"integration" | b"ingest" | b"aws" | b"azure" | b"openai"
        | b"stripe" | b"gcp" => Word::Qualifies,
        b"public" | b"pub" | b"primary" | b"foreign" | b"partition" | b"sort" | b"cache" | b"map"
        | b"hash" | b"row" | b"idempotency" | b"object" | b"index" | b"composite" | b"unique" | b"search"
        | b"lookup" | b"dict" | b"json" | b"query" | b"translation" | b"locale" | b"message" | b"event"
        | b"group" | b"issue" | b"node" | b"hot" | b"shortcut" | b"arrow" | b"feature" | b"metadata"
        | b"tag" | b"label" | b"bucket" | b"blob" | b"file" | b"column" | b"field" | b"property"
        | b"attribute" | b"config" | b"setting" | b"state" | b"react" | b"item" | b"list" | b"parent"
        | b"child" | b"page" | b"next" | b"prev" | b"previous" | b"continuation" | b"sync" | b"cursor"
        | b"resume" | b"paging" | b"pagination" | b"start" | b"end" | b"eos" | b"bos" | b"pad" | b"unk"
        | b"mask" | b"sep" | b"cls" | b"special" | b"stop" | b"prompt" | b"completion" | b"max" | b"min"
        | b"num" | b"total" | b"input" | b"output" | b"change" | b"watch" | b"registry" | b"routing"
        | b"grouping" | b"dedup" | b"deduplication" | b"site" | b"publishable" | b"websocket" => {
            Word::Harmless
        }
        b"value" | b"val" | b"string" | b"str" | b"text" | b"data" | b"prod" | b"production" | b"dev"
        | b"test" | b"staging" | b"old" | b"new" | b"default" | b"env" | b"var" | b"let" | b"const"
        | b"export" | b"set" | b"my" | b"the" | b"is" | b"b" | b"x" | b"for" | b"de" | b"da" | b"do"
        | b"di" => Word::Neutral,
        b"id" | b"ids" | b"name" | b"url" | b"uri" | b"path" | b"filename" | b"type" | b"count"
        | b"limit" | b"usage" | b"size" | b"length" | b"expires" | b"expiry" | b"expiration"
        | b"endpoint" | b"hashed" | b"format" | b"version" | b"arn" | b"ref" | b"policy" | b"details"
        | b"detail" | b"info" | b"hint" | b"checksum" | b"fingerprint" | b"digest" | b"kind"
        | b"provider" | b"scope" | b"scopes" | b"header" | b"method" | b"code" | b"class" | b"error"
        | b"status" | b"pem" | b"store" | b"ring" | b"board" => Word::About,
        _ if ends_with_any(
            lower,
            &[b"password", b"passwd", b"passwort", b"kennwort", b"passphrase"],
        ) =>
        {
            Word::Password
        }
        _ if ends_with_any(
            lower,
            &[b"secret", b"apikey", b"secretkey", b"accesskey", b"credentials"],
        ) =>
        {
            Word::Secret
        }
        _ if lower.len() > 6 && lower.ends_with(b"token") => Word::Token,
        _ if lower.is_ascii() => Word::Other,
        _ => other_script(lower),
    }
}

fn ends_with_any(word: &[u8], endings: &[&[u8]]) -> bool {
    endings.iter().any(|ending| word.ends_with(ending))
}

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
