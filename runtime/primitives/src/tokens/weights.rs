//! Estimates of tokens for families whose vocabulary is not shipped here, by the script of each piece.
//!
//! Called by [`super::encoded_until`] with what o200k makes of a piece. A family's tokens are a linear function of three
//! measures of the piece (that it is one, its tokens of o200k beyond the first, its bytes), with other factors for each
//! script ([`super::script`]): what a vocabulary has merges for follows o200k's tokens, what it spells in bytes follows the
//! bytes, and where a family splits digits each one is a token.
//!
//! # Where the numbers are from
//!
//! Fitted so that at most about one text in a hundred is estimated more than 10 per cent low, on 5,200 texts of 100 to 6,000
//! characters (prose in 100 languages of all the scripts, real prompts, code, JSON, logs, tables of numbers), three fifths
//! of them; on the others, between 0.3 and 1.3 per cent were more than 10 per cent low, by family. Means were 10 to 17 per
//! cent high over all languages. The counts are those of the families' own tokenizers; Claude's are reconstructed from
//! answers of its API. Neither texts nor vocabularies are here, only these factors.
//!
//! Letters of scripts that the texts did not have count a token a byte, which no tokenizer exceeds.
//!
//! # Invariants
//!
//! A piece's tokens lie between ⌈bytes / [`LONGEST_TOKEN_BYTES`]⌉ and its bytes.

use super::script::{SCRIPTS, Script};
use super::{FamilyName, LONGEST_TOKEN_BYTES, THOUSANDTHS};

/// Thousandths of a token for a piece, for each token of o200k beyond its first, and for each byte, by script.
pub(super) type Weights = [[u32; 3]; SCRIPTS];

/// The weights of a family; `None` for those that are counted exactly.
pub(super) fn of(name: FamilyName) -> Option<&'static Weights> {
    Some(match name {
        FamilyName::OpenAi => return None,
        FamilyName::OpenAiLegacy => &OPENAI_LEGACY,
        FamilyName::Claude => &CLAUDE,
        FamilyName::ClaudeNew => &CLAUDE_NEW,
        FamilyName::Gemini => &GEMINI,
        FamilyName::Llama => &LLAMA,
        FamilyName::Mistral => &MISTRAL,
        FamilyName::Vocabulary32k => &VOCABULARY_32K,
        FamilyName::DeepSeek => &DEEPSEEK,
        FamilyName::Qwen => &QWEN,
        FamilyName::Cohere | FamilyName::Unknown => &UNKNOWN,
    })
}

/// Thousandths of tokens of a piece that is `tokens` tokens of o200k.
pub(super) fn weigh(weights: &Weights, piece: &str, tokens: u64) -> u64 {
    let bytes = piece.len() as u64;
    let [each, more, byte] = weights[Script::of(piece) as usize].map(u64::from);
    let weighed = each
        .saturating_add(more.saturating_mul(tokens.saturating_sub(1)))
        .saturating_add(byte.saturating_mul(bytes));
    weighed.clamp(
        bytes.div_ceil(LONGEST_TOKEN_BYTES) * THOUSANDTHS,
        bytes.saturating_mul(THOUSANDTHS),
    )
}

/// OpenAI before cl100k, by `p50k_base`.
#[rustfmt::skip]
static OPENAI_LEGACY: Weights = [
    [669, 1240, 197],    // Latin
    [2938, 0, 297],      // LatinExtended
    [1131, 136, 73],     // Digits
    [579, 0, 106],       // Symbols
    [875, 796, 437],     // Greek
    [0, 866, 541],       // Cyrillic
    [904, 0, 535],       // Hebrew
    [5323, 1452, 0],     // Arabic
    [823, 362, 507],     // Devanagari
    [0, 0, 942],         // NorthIndic
    [0, 0, 941],         // SouthIndic
    [202, 20, 618],      // Thai
    [708, 0, 931],       // SouthEastAsian
    [1424, 211, 827],    // Caucasian
    [0, 0, 967],         // Ethiopic
    [1656, 995, 148],    // Kana
    [71, 0, 822],        // Hangul
    [1837, 89, 632],     // Han
    [0, 0, 1000],        // Other
];

/// Claude 3 to 4.6, by counts of its API.
#[rustfmt::skip]
static CLAUDE: Weights = [
    [980, 1634, 67],     // Latin
    [3589, 492, 0],      // LatinExtended
    [1150, 1431, 0],     // Digits
    [922, 660, 86],      // Symbols
    [1310, 782, 139],    // Greek
    [0, 1248, 173],      // Cyrillic
    [91, 744, 273],      // Hebrew
    [2755, 286, 64],     // Arabic
    [219, 457, 235],     // Devanagari
    [4421, 3560, 0],     // NorthIndic
    [107, 0, 605],       // SouthIndic
    [1459, 0, 283],      // Thai
    [715, 229, 301],     // SouthEastAsian
    [3344, 0, 90],       // Caucasian
    [3373, 0, 269],      // Ethiopic
    [3541, 17, 194],     // Kana
    [1156, 668, 202],    // Hangul
    [1520, 662, 156],    // Han
    [0, 0, 1000],        // Other
];

/// Claude from Opus 4.7 on, by counts of its API.
#[rustfmt::skip]
static CLAUDE_NEW: Weights = [
    [678, 1448, 249],    // Latin
    [2567, 172, 204],    // LatinExtended
    [1048, 901, 0],      // Digits
    [1209, 683, 90],     // Symbols
    [1369, 1920, 27],    // Greek
    [0, 1134, 176],      // Cyrillic
    [256, 504, 272],     // Hebrew
    [2642, 258, 73],     // Arabic
    [690, 854, 183],     // Devanagari
    [4372, 3568, 0],     // NorthIndic
    [0, 0, 607],         // SouthIndic
    [1995, 0, 271],      // Thai
    [880, 235, 292],     // SouthEastAsian
    [3218, 0, 91],       // Caucasian
    [3091, 0, 284],      // Ethiopic
    [0, 446, 165],       // Kana
    [1113, 781, 190],    // Hangul
    [1737, 560, 170],    // Han
    [0, 0, 1000],        // Other
];

/// Gemini and Gemma, by the vocabulary of Gemma 3.
#[rustfmt::skip]
static GEMINI: Weights = [
    [1065, 1259, 0],     // Latin
    [1147, 258, 158],    // LatinExtended
    [0, 0, 1000],        // Digits
    [992, 0, 129],       // Symbols
    [584, 625, 62],      // Greek
    [0, 1813, 64],       // Cyrillic
    [0, 1545, 78],       // Hebrew
    [0, 1384, 96],       // Arabic
    [364, 361, 47],      // Devanagari
    [14, 1855, 0],       // NorthIndic
    [814, 653, 32],      // SouthIndic
    [598, 805, 0],       // Thai
    [0, 76, 133],        // SouthEastAsian
    [3695, 0, 0],        // Caucasian
    [1121, 0, 180],      // Ethiopic
    [0, 336, 63],        // Kana
    [858, 891, 0],       // Hangul
    [1451, 609, 23],     // Han
    [0, 0, 1000],        // Other
];

/// Llama 3 and 4.
#[rustfmt::skip]
static LLAMA: Weights = [
    [1275, 1616, 0],     // Latin
    [715, 790, 189],     // LatinExtended
    [1151, 3645, 0],     // Digits
    [560, 578, 44],      // Symbols
    [1133, 783, 14],     // Greek
    [0, 3081, 85],       // Cyrillic
    [589, 1404, 306],    // Hebrew
    [3097, 0, 0],        // Arabic
    [722, 760, 112],     // Devanagari
    [0, 0, 587],         // NorthIndic
    [633, 314, 550],     // SouthIndic
    [1225, 0, 138],      // Thai
    [1500, 5, 603],      // SouthEastAsian
    [6000, 630, 365],    // Caucasian
    [0, 0, 931],         // Ethiopic
    [2725, 644, 0],      // Kana
    [1356, 746, 0],      // Hangul
    [600, 656, 84],      // Han
    [0, 0, 1000],        // Other
];

/// Mistral since its vocabulary of 131,000.
#[rustfmt::skip]
static MISTRAL: Weights = [
    [1171, 1578, 0],     // Latin
    [2736, 493, 12],     // LatinExtended
    [0, 0, 1000],        // Digits
    [677, 974, 52],      // Symbols
    [818, 1238, 0],      // Greek
    [0, 1040, 134],      // Cyrillic
    [0, 615, 158],       // Hebrew
    [1154, 985, 0],      // Arabic
    [1306, 1356, 0],     // Devanagari
    [290, 304, 171],     // NorthIndic
    [6000, 4135, 0],     // SouthIndic
    [1376, 0, 153],      // Thai
    [0, 0, 931],         // SouthEastAsian
    [575, 214, 112],     // Caucasian
    [0, 0, 925],         // Ethiopic
    [1968, 725, 0],      // Kana
    [820, 1088, 0],      // Hangul
    [1094, 359, 197],    // Han
    [0, 0, 1000],        // Other
];

/// Vocabularies of 32,000, by that of Mistral 7B.
#[rustfmt::skip]
static VOCABULARY_32K: Weights = [
    [245, 1635, 225],    // Latin
    [874, 496, 305],     // LatinExtended
    [0, 0, 1000],        // Digits
    [926, 224, 86],      // Symbols
    [585, 76, 448],      // Greek
    [0, 1684, 180],      // Cyrillic
    [0, 62, 518],        // Hebrew
    [2058, 228, 268],    // Arabic
    [774, 200, 312],     // Devanagari
    [3404, 1429, 428],   // NorthIndic
    [0, 0, 728],         // SouthIndic
    [722, 456, 260],     // Thai
    [5407, 893, 240],    // SouthEastAsian
    [6000, 0, 139],      // Caucasian
    [835, 0, 774],       // Ethiopic
    [0, 0, 351],         // Kana
    [834, 906, 236],     // Hangul
    [1707, 765, 143],    // Han
    [0, 0, 1000],        // Other
];

/// DeepSeek since V3.
#[rustfmt::skip]
static DEEPSEEK: Weights = [
    [1131, 1759, 0],     // Latin
    [684, 693, 221],     // LatinExtended
    [842, 1866, 110],    // Digits
    [615, 378, 104],     // Symbols
    [613, 430, 136],     // Greek
    [0, 2162, 113],      // Cyrillic
    [0, 2196, 23],       // Hebrew
    [1583, 1645, 0],     // Arabic
    [1631, 824, 75],     // Devanagari
    [1586, 183, 183],    // NorthIndic
    [1786, 317, 181],    // SouthIndic
    [552, 0, 115],       // Thai
    [719, 361, 338],     // SouthEastAsian
    [424, 24, 230],      // Caucasian
    [0, 0, 715],         // Ethiopic
    [3447, 42, 116],     // Kana
    [1553, 862, 0],      // Hangul
    [1340, 550, 30],     // Han
    [0, 0, 1000],        // Other
];

/// Qwen, by the dearer of the vocabularies of 2.5 and 3.6.
#[rustfmt::skip]
static QWEN: Weights = [
    [1266, 1616, 0],     // Latin
    [718, 541, 221],     // LatinExtended
    [0, 0, 1000],        // Digits
    [648, 609, 82],      // Symbols
    [0, 290, 408],       // Greek
    [0, 2967, 93],       // Cyrillic
    [489, 1396, 62],     // Hebrew
    [2687, 750, 0],      // Arabic
    [583, 87, 295],      // Devanagari
    [507, 647, 442],     // NorthIndic
    [56, 1455, 334],     // SouthIndic
    [0, 0, 195],         // Thai
    [6000, 0, 373],      // SouthEastAsian
    [6000, 0, 106],      // Caucasian
    [0, 0, 575],         // Ethiopic
    [4477, 395, 0],      // Kana
    [1308, 943, 0],      // Hangul
    [528, 713, 40],      // Han
    [0, 0, 1000],        // Other
];

/// Anything else, by the dearest of those above for each text, without the newer Claude, OpenAI and the small vocabularies.
#[rustfmt::skip]
static UNKNOWN: Weights = [
    [949, 1605, 74],     // Latin
    [3595, 581, 0],      // LatinExtended
    [0, 0, 1000],        // Digits
    [761, 554, 142],     // Symbols
    [2918, 687, 148],    // Greek
    [0, 2244, 145],      // Cyrillic
    [1005, 1557, 239],   // Hebrew
    [2717, 276, 69],     // Arabic
    [517, 77, 297],      // Devanagari
    [2705, 2250, 283],   // NorthIndic
    [6000, 3630, 75],    // SouthIndic
    [1480, 0, 283],      // Thai
    [760, 0, 921],       // SouthEastAsian
    [6000, 565, 365],    // Caucasian
    [0, 0, 927],         // Ethiopic
    [3529, 336, 120],    // Kana
    [211, 264, 348],     // Hangul
    [1604, 654, 156],    // Han
    [0, 0, 1000],        // Other
];
