//! Estimates of tokens for families whose vocabulary is not shipped here, by the script of each piece.
//!
//! Called by [`super::encoded_until`] with what o200k makes of a piece. A family's tokens are a linear function of three
//! measures of the piece (that it is one, its tokens of o200k beyond the first, its bytes), with other factors for each
//! script ([`super::script`]): what a vocabulary has merges for follows o200k's tokens, what it spells in bytes follows the
//! bytes, and where a family splits digits each one is a token.
//!
//! # Where the numbers are from
//!
//! Fitted so that about one text in a hundred is estimated more than 10 per cent low, on 5,200 texts of 100 to 6,000
//! characters (prose in 100 languages of all these scripts, real prompts, code, JSON, logs, tables of numbers), three fifths
//! of them; then raised by 14 per cent for scripts other than Latin, and by 20 for those with few texts, because prose of
//! another kind differs more there. Of the texts that were not fitted to, at most 0.8 per cent are more than 10 per cent
//! low, by family, and the means are 14 to 20 per cent high. The counts are those of the families' own
//! tokenizers; Claude's are reconstructed from answers of its API. Neither texts nor vocabularies are here, only these
//! factors.
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
    [679, 1235, 195],    // Latin
    [2937, 0, 297],      // LatinExtended
    [1284, 2759, 0],     // Digits
    [572, 0, 105],       // Symbols
    [993, 905, 499],     // Greek
    [0, 985, 617],       // Cyrillic
    [1026, 0, 611],      // Hebrew
    [6069, 1656, 0],     // Arabic
    [935, 410, 579],     // Devanagari
    [0, 0, 1000],        // NorthIndic
    [0, 0, 1000],        // SouthIndic
    [0, 78, 1000],       // Sinhala
    [241, 19, 742],      // Thai
    [0, 78, 1000],       // Burmese
    [876, 0, 1000],      // KhmerLao
    [0, 452, 1000],      // Armenian
    [0, 0, 1000],        // Georgian
    [0, 0, 1000],        // Ethiopic
    [1884, 1147, 166],   // Kana
    [78, 0, 937],        // Hangul
    [2087, 101, 720],    // Han
    [0, 0, 1000],        // Other
];

/// Claude 3 to 4.6, by counts of its API.
#[rustfmt::skip]
static CLAUDE: Weights = [
    [980, 1634, 67],     // Latin
    [3589, 492, 0],      // LatinExtended
    [1150, 0, 0],        // Digits
    [922, 660, 86],      // Symbols
    [1493, 891, 158],    // Greek
    [0, 1423, 197],      // Cyrillic
    [104, 848, 311],     // Hebrew
    [3141, 326, 73],     // Arabic
    [250, 521, 268],     // Devanagari
    [5040, 4058, 0],     // NorthIndic
    [6840, 0, 451],      // SouthIndic
    [850, 0, 354],       // Sinhala
    [1751, 0, 340],      // Thai
    [0, 888, 288],       // Burmese
    [0, 314, 361],       // KhmerLao
    [0, 155, 358],       // Armenian
    [5161, 0, 58],       // Georgian
    [4048, 0, 323],      // Ethiopic
    [4037, 19, 221],     // Kana
    [1318, 762, 230],    // Hangul
    [1733, 755, 178],    // Han
    [0, 0, 1000],        // Other
];

/// Claude from Opus 4.7 on, by counts of its API.
#[rustfmt::skip]
static CLAUDE_NEW: Weights = [
    [683, 1383, 257],    // Latin
    [3053, 296, 135],    // LatinExtended
    [1076, 0, 0],        // Digits
    [1315, 1225, 20],    // Symbols
    [1580, 2075, 46],    // Greek
    [0, 1203, 210],      // Cyrillic
    [361, 955, 269],     // Hebrew
    [3280, 418, 48],     // Arabic
    [1092, 1154, 186],   // Devanagari
    [5043, 4045, 0],     // NorthIndic
    [6840, 0, 450],      // SouthIndic
    [899, 5, 348],       // Sinhala
    [2539, 0, 325],      // Thai
    [0, 882, 288],       // Burmese
    [0, 314, 360],       // KhmerLao
    [0, 98, 358],        // Armenian
    [5226, 0, 52],       // Georgian
    [3425, 0, 361],      // Ethiopic
    [687, 364, 209],     // Kana
    [1206, 1317, 181],   // Hangul
    [2360, 683, 177],    // Han
    [0, 0, 1000],        // Other
];

/// Gemini and Gemma, by the vocabulary of Gemma 3.
#[rustfmt::skip]
static GEMINI: Weights = [
    [1065, 1259, 0],     // Latin
    [1147, 258, 158],    // LatinExtended
    [0, 0, 1000],        // Digits
    [992, 0, 129],       // Symbols
    [666, 712, 71],      // Greek
    [0, 2067, 73],       // Cyrillic
    [0, 1761, 89],       // Hebrew
    [0, 1578, 109],      // Arabic
    [415, 412, 54],      // Devanagari
    [16, 2115, 0],       // NorthIndic
    [1341, 960, 0],      // SouthIndic
    [1499, 679, 0],      // Sinhala
    [718, 966, 0],       // Thai
    [0, 282, 112],       // Burmese
    [956, 97, 144],      // KhmerLao
    [0, 457, 263],       // Armenian
    [0, 215, 148],       // Georgian
    [1345, 0, 216],      // Ethiopic
    [0, 383, 72],        // Kana
    [978, 1016, 0],      // Hangul
    [1654, 694, 26],     // Han
    [0, 0, 1000],        // Other
];

/// Llama 3 and 4.
#[rustfmt::skip]
static LLAMA: Weights = [
    [1275, 1616, 0],     // Latin
    [715, 790, 189],     // LatinExtended
    [1151, 3645, 0],     // Digits
    [560, 578, 44],      // Symbols
    [1292, 893, 16],     // Greek
    [0, 3512, 97],       // Cyrillic
    [671, 1601, 349],    // Hebrew
    [3531, 0, 0],        // Arabic
    [823, 866, 128],     // Devanagari
    [0, 0, 669],         // NorthIndic
    [0, 49, 679],        // SouthIndic
    [656, 320, 674],     // Sinhala
    [1470, 0, 166],      // Thai
    [1580, 26, 726],     // Burmese
    [320, 241, 595],     // KhmerLao
    [0, 0, 991],         // Armenian
    [0, 0, 761],         // Georgian
    [0, 0, 1000],        // Ethiopic
    [3106, 734, 0],      // Kana
    [1546, 850, 0],      // Hangul
    [684, 748, 96],      // Han
    [0, 0, 1000],        // Other
];

/// Mistral since its vocabulary of 131,000.
#[rustfmt::skip]
static MISTRAL: Weights = [
    [1171, 1578, 0],     // Latin
    [2821, 488, 2],      // LatinExtended
    [0, 0, 1000],        // Digits
    [677, 974, 52],      // Symbols
    [933, 1411, 0],      // Greek
    [0, 1186, 153],      // Cyrillic
    [0, 701, 180],       // Hebrew
    [1316, 1123, 0],     // Arabic
    [1489, 1546, 0],     // Devanagari
    [331, 347, 195],     // NorthIndic
    [2641, 0, 108],      // SouthIndic
    [0, 182, 1000],      // Sinhala
    [1651, 0, 184],      // Thai
    [0, 145, 193],       // Burmese
    [3470, 0, 1000],     // KhmerLao
    [0, 1019, 127],      // Armenian
    [0, 307, 162],       // Georgian
    [0, 0, 1000],        // Ethiopic
    [2707, 701, 15],     // Kana
    [935, 1240, 0],      // Hangul
    [1371, 417, 220],    // Han
    [0, 0, 1000],        // Other
];

/// Vocabularies of 32,000, by that of Mistral 7B.
#[rustfmt::skip]
static VOCABULARY_32K: Weights = [
    [245, 1635, 225],    // Latin
    [874, 496, 305],     // LatinExtended
    [0, 0, 1000],        // Digits
    [926, 224, 86],      // Symbols
    [667, 87, 511],      // Greek
    [0, 1920, 205],      // Cyrillic
    [0, 71, 591],        // Hebrew
    [2346, 260, 306],    // Arabic
    [882, 228, 356],     // Devanagari
    [3881, 1629, 488],   // NorthIndic
    [0, 0, 830],         // SouthIndic
    [2983, 0, 550],      // Sinhala
    [866, 547, 312],     // Thai
    [0, 0, 613],         // Burmese
    [317, 1306, 224],    // KhmerLao
    [768, 0, 595],       // Armenian
    [691, 260, 365],     // Georgian
    [1002, 0, 929],      // Ethiopic
    [0, 0, 400],         // Kana
    [951, 1033, 269],    // Hangul
    [1946, 872, 163],    // Han
    [0, 0, 1000],        // Other
];

/// DeepSeek since V3.
#[rustfmt::skip]
static DEEPSEEK: Weights = [
    [1131, 1759, 0],     // Latin
    [684, 693, 221],     // LatinExtended
    [842, 5771, 110],    // Digits
    [615, 378, 104],     // Symbols
    [699, 490, 155],     // Greek
    [0, 2465, 129],      // Cyrillic
    [0, 2503, 26],       // Hebrew
    [1805, 1875, 0],     // Arabic
    [1859, 939, 85],     // Devanagari
    [2596, 108, 165],    // NorthIndic
    [0, 0, 306],         // SouthIndic
    [926, 734, 233],     // Sinhala
    [662, 0, 138],       // Thai
    [0, 0, 352],         // Burmese
    [863, 433, 406],     // KhmerLao
    [1006, 0, 238],      // Armenian
    [0, 23, 299],        // Georgian
    [0, 0, 844],         // Ethiopic
    [3930, 48, 132],     // Kana
    [1770, 983, 0],      // Hangul
    [1528, 627, 34],     // Han
    [0, 0, 1000],        // Other
];

/// Qwen, by the dearer of the vocabularies of 2.5 and 3.6.
#[rustfmt::skip]
static QWEN: Weights = [
    [1266, 1616, 0],     // Latin
    [718, 541, 221],     // LatinExtended
    [0, 0, 1000],        // Digits
    [648, 609, 82],      // Symbols
    [0, 331, 465],       // Greek
    [0, 3382, 106],      // Cyrillic
    [557, 1591, 71],     // Hebrew
    [3063, 855, 0],      // Arabic
    [665, 99, 336],      // Devanagari
    [578, 738, 504],     // NorthIndic
    [993, 1420, 370],    // SouthIndic
    [824, 0, 563],       // Sinhala
    [0, 0, 234],         // Thai
    [0, 0, 596],         // Burmese
    [44, 92, 457],       // KhmerLao
    [522, 36, 558],      // Armenian
    [238, 24, 392],      // Georgian
    [0, 0, 690],         // Ethiopic
    [5104, 450, 0],      // Kana
    [1491, 1075, 0],     // Hangul
    [602, 813, 46],      // Han
    [0, 0, 1000],        // Other
];

/// Anything else, by the dearest of those above for each text, without the newer Claude, OpenAI and the small vocabularies.
#[rustfmt::skip]
static UNKNOWN: Weights = [
    [951, 1604, 74],     // Latin
    [3595, 581, 0],      // LatinExtended
    [0, 0, 1000],        // Digits
    [752, 576, 143],     // Symbols
    [3322, 779, 170],    // Greek
    [0, 2556, 166],      // Cyrillic
    [1147, 1778, 272],   // Hebrew
    [3095, 314, 80],     // Arabic
    [592, 88, 339],      // Devanagari
    [3083, 2565, 323],   // NorthIndic
    [3373, 0, 575],      // SouthIndic
    [0, 203, 1000],      // Sinhala
    [1777, 0, 340],      // Thai
    [856, 0, 744],       // Burmese
    [932, 0, 1000],      // KhmerLao
    [0, 0, 986],         // Armenian
    [29, 36, 754],       // Georgian
    [0, 0, 1000],        // Ethiopic
    [4033, 393, 135],    // Kana
    [256, 315, 393],     // Hangul
    [1792, 744, 179],    // Han
    [0, 0, 1000],        // Other
];
