//! The writing system of a piece of text, as far as tokenizers differ by it.
//!
//! Called for every piece of a text that is estimated ([`super::weights`]). The first character that is neither white
//! space nor punctuation decides; a table of ranges, and nothing but comparisons for ASCII.

/// Kinds of pieces that tokenizers treat alike. The order is that of the columns of the weights.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Script {
    /// ASCII letters.
    Latin,
    /// Letters some of which are Latin ones beyond ASCII.
    LatinExtended,
    /// Digits.
    Digits,
    /// Punctuation, symbols, white space.
    Symbols,
    Greek,
    Cyrillic,
    Hebrew,
    Arabic,
    Devanagari,
    /// Bengali, Gurmukhi, Gujarati, Oriya.
    NorthIndic,
    /// Tamil, Telugu, Kannada, Malayalam.
    SouthIndic,
    Sinhala,
    Thai,
    Burmese,
    /// Khmer, Lao, Tibetan.
    KhmerLao,
    Armenian,
    Georgian,
    Ethiopic,
    Kana,
    Hangul,
    Han,
    /// Every other letter.
    Other,
}

/// How many there are.
pub(super) const SCRIPTS: usize = Script::Other as usize + 1;

/// Ends of ranges of code points, each from the end of the one before.
const RANGES: [(u32, Script); 39] = [
    (0x0370, Script::LatinExtended),
    (0x0400, Script::Greek),
    (0x0530, Script::Cyrillic),
    (0x0590, Script::Armenian),
    (0x0600, Script::Hebrew),
    (0x0780, Script::Arabic),
    (0x08a0, Script::Other),
    (0x0900, Script::Arabic),
    (0x0980, Script::Devanagari),
    (0x0b80, Script::NorthIndic),
    (0x0d80, Script::SouthIndic),
    (0x0e00, Script::Sinhala),
    (0x0e80, Script::Thai),
    (0x1000, Script::KhmerLao),
    (0x10a0, Script::Burmese),
    (0x1100, Script::Georgian),
    (0x1200, Script::Hangul),
    (0x13a0, Script::Ethiopic),
    (0x1780, Script::Other),
    (0x1800, Script::KhmerLao),
    (0x1c80, Script::Other),
    (0x1c90, Script::Cyrillic),
    (0x1cc0, Script::Georgian),
    (0x1d00, Script::Other),
    (0x1f00, Script::LatinExtended),
    (0x2000, Script::Greek),
    (0x2c60, Script::Symbols),
    (0x2c80, Script::LatinExtended),
    (0x2e80, Script::Other),
    (0x3040, Script::Han),
    (0x3100, Script::Kana),
    (0x3130, Script::Han),
    (0x3190, Script::Hangul),
    (0xa000, Script::Han),
    (0xac00, Script::Other),
    (0xd800, Script::Hangul),
    (0xfb00, Script::Han),
    (0xfe00, Script::Arabic),
    (0xff00, Script::Arabic),
];

impl Script {
    /// The script of a piece.
    pub(super) fn of(piece: &str) -> Self {
        let bytes = piece.as_bytes();
        if bytes.is_ascii() {
            let said = bytes.iter().find(|byte| byte.is_ascii_alphanumeric());
            return match said {
                Some(byte) if byte.is_ascii_digit() => Self::Digits,
                Some(_) => Self::Latin,
                None => Self::Symbols,
            };
        }
        let said = piece
            .chars()
            .find(|c| c.is_alphanumeric() || (!c.is_ascii() && is_mark(*c)));
        match said {
            None => Self::Symbols,
            Some(c) if c.is_numeric() => Self::Digits,
            Some(c) if c.is_ascii() => Self::LatinExtended,
            Some(c) => Self::of_letter(c),
        }
    }

    fn of_letter(c: char) -> Self {
        let point = u32::from(c);
        let at = RANGES.partition_point(|(end, _)| *end <= point);
        match RANGES.get(at) {
            Some((_, script)) => *script,
            // Full-width forms are Latin, half-width ones are kana.
            None if (0xff00..0xff66).contains(&point) => Self::LatinExtended,
            None if (0xff66..0xffa0).contains(&point) => Self::Kana,
            None if (0x20000..0x40000).contains(&point) => Self::Han,
            None => Self::Other,
        }
    }
}

/// Vowel signs and the like of the scripts above, which begin a piece where a text begins with them.
fn is_mark(c: char) -> bool {
    matches!(u32::from(c), 0x0300..0x0370 | 0x0483..0x048a | 0x0591..0x05c8 | 0x0610..0x0660 | 0x0900..0x1000)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_rise() {
        assert!(RANGES.is_sorted_by(|a, b| a.0 < b.0));
    }

    #[test]
    fn pieces_have_the_script_of_what_they_say() {
        use Script::*;
        for (piece, script) in [
            (" the", Latin),
            ("über", LatinExtended),
            (" naïve", LatinExtended),
            ("123", Digits),
            (" 45", Digits),
            ("٣", Digits),
            (" (", Symbols),
            ("\n\n", Symbols),
            ("😀", Symbols),
            (" слово", Cyrillic),
            ("λόγος", Greek),
            ("שלום", Hebrew),
            (" سلام", Arabic),
            (" हिन्दी", Devanagari),
            ("বাংলা", NorthIndic),
            ("தமிழ்", SouthIndic),
            ("ภาษาไทย", Thai),
            ("ខ្មែរ", KhmerLao),
            ("မြန်မာ", Burmese),
            ("ქართული", Georgian),
            ("հայերեն", Armenian),
            ("සිංහල", Sinhala),
            ("አማርኛ", Ethiopic),
            ("ひらがな", Kana),
            ("カタカナ", Kana),
            ("한국어", Hangul),
            ("汉字", Han),
            ("ᚠᚢᚦ", Other),
        ] {
            assert_eq!(Script::of(piece), script, "{piece:?}");
        }
    }
}
