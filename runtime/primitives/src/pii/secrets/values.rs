//! What a value looks like: drawn at random, a password that somebody thought of, or a name.

/// Different characters that a key has, at least.
pub(super) const DISTINCT: u32 = 8;

/// Counts of the characters of a value.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Shape {
    /// Bytes.
    pub(super) length: usize,
    /// Different characters.
    pub(super) distinct: u32,
    pub(super) digits: usize,
    upper: usize,
    lower: usize,
    /// Characters that are neither letters nor digits.
    pub(super) marks: usize,
    /// `_`, `-`, `.` among them, which join words.
    joints: usize,
    /// Places where one kind (digit, capital, small letter, `+` and `/`) follows another.
    changes: usize,
    /// The same, with all other marks as a kind.
    turns: usize,
    /// Longest piece without a mark.
    longest: usize,
    /// Pieces between marks that hold letters and digits, and are no word with a number behind it.
    mixed: usize,
    /// Most consonants in a row.
    consonants: usize,
    /// Only hexadecimal digits.
    hex: bool,
}

impl Shape {
    /// Counts the characters of `bytes`.
    pub(super) fn of(bytes: &[u8]) -> Shape {
        let mut shape = Shape {
            length: bytes.len(),
            hex: true,
            ..Shape::default()
        };
        let mut set = 0u128;
        let (mut last, mut piece, mut consonants) = (0u8, 0usize, 0usize);
        let mut before = u8::MAX;
        // A piece of letters that digits end is a word (`sha256`); one that goes on with letters is not.
        let (mut numbers, mut broken) = (false, false);
        for &byte in bytes {
            set |= 1 << (byte & 127);
            shape.hex &= byte.is_ascii_hexdigit();
            let kind = match byte {
                b'0'..=b'9' => 1,
                b'A'..=b'Z' => 2,
                b'a'..=b'z' => 3,
                b'+' | b'/' => 4,
                _ => 0,
            };
            match kind {
                1 => shape.digits += 1,
                2 => shape.upper += 1,
                3 => shape.lower += 1,
                _ => {
                    shape.marks += 1;
                    shape.joints += usize::from(matches!(byte, b'_' | b'-' | b'.'));
                }
            }
            shape.turns += usize::from(before != u8::MAX && kind != before);
            before = kind;
            if matches!(kind, 0 | 4) {
                shape.mixed += usize::from(broken);
                (piece, numbers, broken) = (0, false, false);
            } else {
                piece += 1;
                shape.longest = shape.longest.max(piece);
                if kind == 1 {
                    numbers = true;
                } else {
                    broken |= numbers;
                }
            }
            shape.changes += usize::from(last != 0 && kind != 0 && last != kind);
            let vowel = matches!(byte | 0x20, b'a' | b'e' | b'i' | b'o' | b'u' | b'y');
            consonants = if matches!(kind, 2 | 3) && !vowel {
                consonants + 1
            } else {
                0
            };
            shape.consonants = shape.consonants.max(consonants);
            last = kind;
        }
        shape.mixed += usize::from(broken);
        shape.distinct = set.count_ones();
        shape
    }

    /// Letters.
    fn letters(&self) -> usize {
        self.upper + self.lower
    }

    /// Whether capitals and small letters change as often as in random text: at two of three places. Identifiers change once
    /// a word.
    pub(super) fn is_jumbled(&self) -> bool {
        self.turns * 5 >= self.length * 2 && self.upper >= 2 && self.lower >= 2
    }

    /// Whether it is random even where nothing but the word `key` names it.
    pub(super) fn is_surely_random(&self) -> bool {
        self.is_random() && (self.hex || self.turns * 2 > self.length)
    }

    /// Whether they are letters, many of either case: more than the longest identifier has.
    pub(super) fn is_lettered(&self) -> bool {
        self.length >= 30 && self.upper >= 6 && self.lower >= 6
    }

    /// Whether the characters look drawn at random, whatever the words before them: digits, capitals and small letters, or a
    /// long hexadecimal number. Forty characters, an AWS secret key, may have a single digit.
    pub(super) fn is_random(&self) -> bool {
        let enough = self.digits >= 2 || self.length == 40 && self.digits == 1;
        let hex = self.hex && self.length >= 32 && self.digits >= 2 && self.letters() >= 4;
        self.distinct >= DISTINCT && (enough && self.is_jumbled() || hex)
    }

    /// Whether the characters look drawn at random for a value whose name says that it is secret: of any alphabet.
    pub(super) fn is_key(&self) -> bool {
        if self.distinct < DISTINCT.min(self.length as u32 / 2) || self.letters() < 2 {
            return false;
        }
        if self.hex {
            return self.digits >= 2;
        }
        // Words that marks join are a name, whatever numbers stand behind them.
        if self.joints > 0 && self.longest < 16 && self.mixed == 0 && self.changes * 5 < self.length * 2 {
            return false;
        }
        if self.upper >= 2 && self.lower >= 2 {
            // A name in camel case changes twice a word.
            return self.changes * 5 >= self.length * 2 && (self.digits > 0 || self.length >= 20)
                || self.digits >= 3 && self.changes * 3 >= self.length;
        }
        if self.digits == 0 {
            // Nothing but consonants tells letters of one case from a word.
            return self.length >= 20 && self.marks == 0 && self.consonants >= 6;
        }
        self.digits >= 2 && self.changes * 6 >= self.length && (self.mixed > 0 || self.changes >= 3)
    }

    /// Whether they are letters and digits and nothing else, in no order: what a service hands out under the name `key`.
    pub(super) fn is_plain_key(&self) -> bool {
        self.marks == 0
            && self.length >= 24
            && self.digits >= 3
            && self.changes * 4 >= self.length
            && self.is_key()
    }

    /// Whether they are digits alone, as many as people remember.
    pub(super) fn is_number_to_remember(&self) -> bool {
        const LONGEST: usize = 12;
        self.digits == self.length && self.length <= LONGEST && self.distinct >= 3
    }

    /// Whether they are a word and a number behind it, or between: `sunflower2024`.
    pub(super) fn is_word_with_number(&self) -> bool {
        self.marks == 0 && self.digits >= 2 && self.letters() >= 3 && self.distinct >= 5
    }

    /// Whether somebody may have thought of it as a password: letters with digits or other characters, and no name. Without
    /// quotation marks around it, more is asked: what stands there in a program is a name.
    pub(super) fn is_password(&self, quoted: bool) -> bool {
        let kinds = usize::from(self.digits > 0)
            + usize::from(self.upper > 0)
            + usize::from(self.lower > 0)
            + usize::from(self.marks > self.joints);
        let distinct = self.distinct >= 5;
        if self.is_key() {
            return true;
        }
        // `user_name_1`, `v1.2.3` and the like are names.
        if self.joints > 0 && self.marks == self.joints && self.mixed == 0 {
            return false;
        }
        distinct && self.letters() > 0 && self.digits > 0 && (kinds >= 3 || quoted && kinds >= 2)
    }
}

/// Whether a value is the name of a hash or an encoding, which has a number in it: `sha512crypt`.
pub(super) fn is_algorithm(bytes: &[u8]) -> bool {
    const NAMES: [&[u8]; 9] = [
        b"sha", b"md", b"base", b"utf", b"pbkdf", b"argon", b"blake", b"aes", b"crc",
    ];
    let letters = bytes.iter().take_while(|b| b.is_ascii_alphabetic()).count();
    bytes.len() < 20
        && letters < bytes.len()
        && NAMES
            .iter()
            .any(|name| bytes[..letters].eq_ignore_ascii_case(name))
}

/// Whether `bytes` are a UUID.
pub(super) fn is_uuid(bytes: &[u8]) -> bool {
    bytes.len() == 36
        && bytes.iter().enumerate().all(|(place, byte)| {
            if matches!(place, 8 | 13 | 18 | 23) {
                *byte == b'-'
            } else {
                byte.is_ascii_hexdigit()
            }
        })
        && bytes.iter().any(|byte| *byte != b'0' && *byte != b'-')
}

/// Whether a value stands for a secret and is none: `${TOKEN}`, `your-api-key-1`, `xxxx`, `%s`.
pub(super) fn is_placeholder(bytes: &[u8]) -> bool {
    const WORDS: [&[u8]; 14] = [
        b"your",
        b"placeholder",
        b"changeme",
        b"change_me",
        b"change-me",
        b"replace",
        b"dummy",
        b"redacted",
        b"xxxx",
        b"....",
        b"****",
        b"undefined",
        b"process.env",
        // Rules of forms: `required|min:8`.
        b"required|",
    ];
    let stands_for = matches!(
        bytes.first(),
        None | Some(b'$' | b'{' | b'[' | b'<' | b'*' | b'%')
    );
    stands_for
        || WORDS.iter().any(|word| {
            bytes
                .windows(word.len())
                .any(|window| window.eq_ignore_ascii_case(word))
        })
}

/// Whether `bytes` begin as a URL does: `https://…`. A password in it is found from its `@`.
pub(super) fn is_address(bytes: &[u8]) -> bool {
    let scheme = bytes
        .iter()
        .take_while(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'-' | b'.'))
        .count();
    scheme >= 2 && bytes[scheme..].starts_with(b"://")
}

/// Whether `bytes` are the name of a host: small letters and digits with dots between, of which the last two words are
/// letters alone.
pub(super) fn is_host(bytes: &[u8]) -> bool {
    let mut labels = bytes.rsplit(|byte| *byte == b'.');
    let mut word = |shortest: usize| {
        let label = labels.next().unwrap_or(&[]);
        label.len() >= shortest && label.iter().all(u8::is_ascii_lowercase)
    };
    let named = word(2) && word(3);
    let plain = |byte: &u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || matches!(byte, b'.' | b'-');
    named && bytes.iter().all(plain)
}

/// Whether `bytes` end as the path of a file does: a slash, a name, a dot and up to four letters.
pub(super) fn is_file(bytes: &[u8]) -> bool {
    let name = bytes.rsplit(|byte| *byte == b'/').next().unwrap_or(bytes);
    let ending = name.rsplit(|byte| *byte == b'.').next().unwrap_or(name);
    name.len() < bytes.len()
        && name
            .iter()
            .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_'))
        && ending.len() + 1 < name.len()
        && (1..=4).contains(&ending.len())
        && ending.iter().all(u8::is_ascii_alphabetic)
}

/// Whether all of the `digits` digits of `bytes` stand in escapes of URLs: `secure%20password`.
pub(super) fn is_escaped_word(bytes: &[u8], digits: usize) -> bool {
    let mut others = digits;
    let mut rest = bytes;
    while let Some(sign) = rest.iter().position(|byte| *byte == b'%') {
        rest = &rest[sign + 1..];
        if let [first, second, behind @ ..] = rest
            && first.is_ascii_hexdigit()
            && second.is_ascii_hexdigit()
        {
            others -= usize::from(first.is_ascii_digit()) + usize::from(second.is_ascii_digit());
            rest = behind;
        }
    }
    others == 0 && digits > 0
}

/// Whether base64 text is a name and a password with a colon between, as `Authorization: Basic` has them.
pub(super) fn is_basic(value: &[u8]) -> bool {
    /// More characters than anybody's name and password have.
    const LONGEST: usize = 512;
    let data = value
        .strip_suffix(b"==")
        .or_else(|| value.strip_suffix(b"="))
        .unwrap_or(value);
    if !(8..=LONGEST).contains(&data.len()) {
        return false;
    }
    let (mut bits, mut held, mut colon) = (0u32, 0u32, false);
    for byte in data {
        let six = match byte {
            b'A'..=b'Z' => byte - b'A',
            b'a'..=b'z' => byte - b'a' + 26,
            b'0'..=b'9' => byte - b'0' + 52,
            b'+' | b'-' => 62,
            b'/' | b'_' => 63,
            _ => return false,
        };
        bits = bits << 6 | u32::from(six);
        held += 6;
        if held >= 8 {
            held -= 8;
            let plain = (bits >> held) as u8;
            bits &= (1 << held) - 1;
            if plain < b' ' || plain == 0x7F {
                return false;
            }
            colon |= plain == b':';
        }
    }
    colon
}
