//! Tokens of images: by the model's rule, the image's size and the detail that is asked for.
//!
//! Providers count an image by its size, not by its bytes. [`size`] reads the size from the head of the file, out of the
//! base64 that requests carry, and [`image`] applies the rule of the model's family. Where the size is not known, an
//! image counts as the largest that the rule gives.
//!
//! # Rules
//!
//! | models | rule | at most |
//! |---|---|---|
//! | GPT-4o, GPT-4.1, GPT-4.5, GPT-4 Turbo | 85, and 170 for each tile of 512 pixels after fitting into 2048 × 2048 and the short side into 768; `low`: 85 | 1,445 |
//! | GPT-4o mini | the same with 2,833 and 5,667 | 48,169 |
//! | o1, o3 | the same with 75 and 150 | 1,275 |
//! | GPT-5 | the same with 70 and 140 | 1,190 |
//! | `computer-use-preview` | the same with 65 and 129 | 1,097 |
//! | GPT-4.1 mini, GPT-5 mini | 1.62 for each patch of 32 pixels, after fitting into 1,536 patches | 2,489 |
//! | GPT-4.1 nano, GPT-5 nano | the same with 2.46 | 3,779 |
//! | o4-mini, `codex-mini` | the same with 1.72 | 2,642 |
//! | every other model of OpenAI's | 1.62 for each patch; 2,500 patches for `low` and `high`, else 10,000 | 16,200 |
//! | Claude to 4.6 | the larger of pixels / 750 and patches of 28 pixels, after fitting into 1,568 pixels | 1,600 |
//! | later Claude | the same after fitting into 2,576 pixels | 4,784 |
//! | Gemini to 2.x, Gemma | 258 to 384 × 384 pixels; else 258 for each tile of two thirds of the short side | 4,128 |
//! | later Gemini | 1,120; 2,240 for `ultra_high` | 2,240 |
//! | Mistral | one for each patch of 16 pixels after fitting into 1,024, and one for each row | 4,160 |
//! | Llama | four tiles of 1,601 | 6,404 |
//! | Command | twelve tiles of 256 and an overview | 3,328 |
//! | Qwen | one for each patch of 28 pixels | 16,384 |
//! | others | the most of all of these but GPT-4o mini's | 16,384 |
//!
//! The rules of OpenAI's models of known size are what the API bills; all others lean high.

use super::family::base_name;
use super::{FamilyName, Method, TokenCount, family_for};

/// The size of an image in pixels.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ImageSize {
    /// Pixels in a row; never 0.
    pub width: u32,
    /// Rows; never 0.
    pub height: u32,
}

/// Tokens of one image. `detail` is what the request says, such as `low`; `size` is `None` where it is not known.
///
/// ```
/// use policy_primitives::tokens::{ImageSize, image};
///
/// let size = Some(ImageSize { width: 1024, height: 1024 });
/// assert_eq!(image("gpt-4o", Some("high"), size).tokens, 765);
/// assert_eq!(image("gpt-4o", Some("low"), None).tokens, 85);
/// ```
pub fn image(model: &str, detail: Option<&str>, size: Option<ImageSize>) -> TokenCount {
    let family = family_for(model);
    let asks = |wanted: &str| detail.is_some_and(|detail| detail.eq_ignore_ascii_case(wanted));
    let tokens = match family.name {
        FamilyName::OpenAi | FamilyName::OpenAiLegacy => {
            let rule = openai(base_name(model.trim().as_bytes()));
            let (tokens, exact) = match *rule {
                OpenAi::Tiles(base, _) if asks("low") => (base, true),
                OpenAi::Tiles(base, each) => (base + each * tiles(size), size.is_some()),
                OpenAi::Patches(per_cent) => (patches(size, 1536, per_cent), size.is_some()),
                OpenAi::Later => {
                    let most = if asks("low") || asks("high") { 2500 } else { 10_000 };
                    (patches(size, most, 162), false)
                }
            };
            return TokenCount {
                tokens,
                method: if exact { Method::Exact } else { Method::Estimate },
            };
        }
        FamilyName::Claude => claude(size, 1568, 1600),
        FamilyName::ClaudeNew => claude(size, 2576, 4784),
        FamilyName::Gemini => gemini(model, size, asks("ultra_high")),
        FamilyName::Mistral => mistral(size),
        FamilyName::Llama => 6404,
        FamilyName::Cohere => 3328,
        FamilyName::Qwen => qwen(size),
        FamilyName::DeepSeek | FamilyName::Vocabulary32k | FamilyName::Unknown => MOST,
    };
    TokenCount {
        tokens,
        method: Method::Estimate,
    }
}

/// The most tokens of an image of a model that nothing is known of.
const MOST: u64 = 16_384;

/// How a model of OpenAI's counts.
#[derive(Clone, Copy)]
enum OpenAi {
    /// A base, and this many for each tile of 512 pixels.
    Tiles(u64, u64),
    /// This many hundredths for each patch of 32 pixels, 1,536 patches at most.
    Patches(u64),
    /// Patches too, with a budget by detail.
    Later,
}

/// Rules by the start of the name; the longest matching row counts.
const OPENAI: [(&[u8], OpenAi); 24] = [
    (b"gpt-4o-mini", OpenAi::Tiles(2833, 5667)),
    (b"gpt-4o", OpenAi::Tiles(85, 170)),
    (b"chatgpt-4o", OpenAi::Tiles(85, 170)),
    (b"gpt-4.1-mini", OpenAi::Patches(162)),
    (b"gpt-4.1-nano", OpenAi::Patches(246)),
    (b"gpt-4.1", OpenAi::Tiles(85, 170)),
    (b"gpt-4.5", OpenAi::Tiles(85, 170)),
    (b"gpt-4-", OpenAi::Tiles(85, 170)),
    (b"gpt-5-mini", OpenAi::Patches(162)),
    (b"gpt-5-nano", OpenAi::Patches(246)),
    (b"gpt-5-2025", OpenAi::Tiles(70, 140)),
    (b"gpt-5-chat", OpenAi::Tiles(70, 140)),
    (b"gpt-5-codex", OpenAi::Tiles(70, 140)),
    (b"gpt-5-pro", OpenAi::Tiles(70, 140)),
    (b"o1", OpenAi::Tiles(75, 150)),
    (b"o1-", OpenAi::Tiles(75, 150)),
    (b"o3", OpenAi::Tiles(75, 150)),
    (b"o3-", OpenAi::Tiles(75, 150)),
    (b"o4-mini", OpenAi::Patches(172)),
    (b"codex-mini", OpenAi::Patches(172)),
    (b"computer-use-preview", OpenAi::Tiles(65, 129)),
    (b"gpt-4", OpenAi::Later),
    (b"gpt-5", OpenAi::Later),
    (b"gpt-", OpenAi::Later),
];

fn openai(name: &[u8]) -> &'static OpenAi {
    const GPT_5: OpenAi = OpenAi::Tiles(70, 140);
    const LATER: OpenAi = OpenAi::Later;
    // The name alone, too; `gpt-5.4` is another model.
    if name.eq_ignore_ascii_case(b"gpt-5") {
        return &GPT_5;
    }
    OPENAI
        .iter()
        .filter(|(start, _)| {
            name.get(..start.len())
                .is_some_and(|head| head.eq_ignore_ascii_case(start))
        })
        .max_by_key(|(start, _)| start.len())
        .map_or(&LATER, |(_, rule)| rule)
}

/// Tiles of 512 pixels, after fitting into 2048 × 2048 and then the short side into 768. Nothing is enlarged.
fn tiles(size: Option<ImageSize>) -> u64 {
    // 2048 × 768 is the largest that is left.
    let Some(size) = size else {
        return 8;
    };
    let (mut width, mut height) = (f64::from(size.width), f64::from(size.height));
    let fit = (2048.0 / width.max(height)).min(1.0);
    (width, height) = (width * fit, height * fit);
    let fit = (768.0 / width.min(height)).min(1.0);
    let count = |side: f64| whole((side * fit / 512.0 - 1e-9).ceil()).max(1);
    count(width) * count(height)
}

/// Patches of 32 pixels, at most `most`, in hundredths of a token each.
fn patches(size: Option<ImageSize>, most: u32, hundredths: u64) -> u64 {
    let patches = match size {
        None => u64::from(most),
        Some(size) => {
            let (width, height) = (f64::from(size.width), f64::from(size.height));
            let cover = |scale: f64| {
                let count = |side: f64| whole((side * scale / 32.0 - 1e-9).ceil()).max(1);
                count(width) * count(height)
            };
            if cover(1.0) <= u64::from(most) {
                cover(1.0)
            } else {
                // Shrunk to the budget, and then so that whole patches cover one side.
                let scale = (32.0 * 32.0 * f64::from(most) / (width * height)).sqrt();
                let whole_patches = |side: f64| {
                    let patches = side * scale / 32.0;
                    if patches < 1.0 {
                        1.0
                    } else {
                        patches.floor() / patches
                    }
                };
                cover(scale * whole_patches(width).min(whole_patches(height))).min(u64::from(most))
            }
        }
    };
    (patches * hundredths).div_ceil(100)
}

fn claude(size: Option<ImageSize>, longest: u32, most: u64) -> u64 {
    let Some(size) = size else {
        return most;
    };
    let (width, height) = fit(size, longest);
    let pixels = whole((width * height / 750.0).ceil());
    pixels.max(cover(width, height, 28.0)).min(most)
}

fn gemini(model: &str, size: Option<ImageSize>, ultra_high: bool) -> u64 {
    const TILE: u64 = 258;
    const TILES: u64 = 16;
    let name = base_name(model.trim().as_bytes());
    let version = name
        .iter()
        .position(u8::is_ascii_digit)
        .and_then(|at| name.get(at));
    let is_gemini = name.windows(6).any(|word| word.eq_ignore_ascii_case(b"gemini"));
    // `gemini-flash-latest` has no number.
    if is_gemini && !matches!(version, Some(b'0'..=b'2')) {
        return if ultra_high { 2240 } else { 1120 };
    }
    let Some(size) = size else {
        return TILE * TILES;
    };
    if size.width <= 384 && size.height <= 384 {
        return TILE;
    }
    let unit = (f64::from(size.width.min(size.height)) / 1.5).floor().max(1.0);
    let count = |side: u32| whole((f64::from(side) / unit).ceil());
    TILE * (count(size.width) * count(size.height)).min(TILES)
}

fn mistral(size: Option<ImageSize>) -> u64 {
    let Some(size) = size else {
        return 4160;
    };
    let (width, height) = fit(size, 1024);
    let rows = whole((height / 16.0).ceil()).max(1);
    (cover(width, height, 16.0) + rows).min(4160)
}

fn qwen(size: Option<ImageSize>) -> u64 {
    let Some(size) = size else {
        return MOST;
    };
    cover(f64::from(size.width), f64::from(size.height), 28.0).min(MOST)
}

/// Shrunk so that no side is longer.
fn fit(size: ImageSize, longest: u32) -> (f64, f64) {
    let (width, height) = (f64::from(size.width), f64::from(size.height));
    let scale = (f64::from(longest) / width.max(height)).min(1.0);
    (width * scale, height * scale)
}

/// How many squares cover a size.
fn cover(width: f64, height: f64, side: f64) -> u64 {
    let count = |length: f64| whole((length / side - 1e-9).ceil()).max(1);
    count(width).saturating_mul(count(height))
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "sizes are below 2^64 and not negative"
)]
fn whole(x: f64) -> u64 {
    x as u64
}

/// The size of a PNG, JPEG, GIF or WebP image out of its base64, standard or for URLs, with or without line breaks.
/// `None` for anything else.
///
/// Decodes no more than the head and allocates nothing. A JPEG says its size behind what cameras and editors put in
/// front, so time is linear in that.
pub fn size(base64: &str) -> Option<ImageSize> {
    let mut bytes = Decoder::new(base64);
    let head: [u8; 12] = bytes.head()?;
    let (width, height) = match head {
        [0x89, b'P', b'N', b'G', b'\r', b'\n', 0x1a, b'\n', ..] => {
            let [b'I', b'H', b'D', b'R', w0, w1, w2, w3, h0, h1, h2, h3] = bytes.head()? else {
                return None;
            };
            (
                u32::from_be_bytes([w0, w1, w2, w3]),
                u32::from_be_bytes([h0, h1, h2, h3]),
            )
        }
        [b'G', b'I', b'F', b'8', b'7' | b'9', b'a', w0, w1, h0, h1, ..] => (
            u32::from(u16::from_le_bytes([w0, w1])),
            u32::from(u16::from_le_bytes([h0, h1])),
        ),
        [b'R', b'I', b'F', b'F', _, _, _, _, b'W', b'E', b'B', b'P'] => webp(&mut bytes)?,
        [0xff, 0xd8, 0xff, ..] => jpeg(base64)?,
        _ => return None,
    };
    (width > 0 && height > 0).then_some(ImageSize { width, height })
}

fn webp(bytes: &mut Decoder<'_>) -> Option<(u32, u32)> {
    let [a, b, c, d, _, _, _, _] = bytes.head()?;
    let two = |low: u8, high: u8| u32::from(u16::from_le_bytes([low, high]));
    match &[a, b, c, d] {
        b"VP8 " => {
            let [_, _, _, 0x9d, 0x01, 0x2a, w0, w1, h0, h1] = bytes.head()? else {
                return None;
            };
            Some((two(w0, w1) & 0x3fff, two(h0, h1) & 0x3fff))
        }
        b"VP8L" => {
            let [0x2f, b0, b1, b2, b3] = bytes.head()? else {
                return None;
            };
            let bits = u32::from_le_bytes([b0, b1, b2, b3]);
            Some(((bits & 0x3fff) + 1, (bits >> 14 & 0x3fff) + 1))
        }
        b"VP8X" => {
            let [_, _, _, _, w0, w1, w2, h0, h1, h2] = bytes.head()?;
            let three = |low: u8, middle: u8, high: u8| u32::from_le_bytes([low, middle, high, 0]) + 1;
            Some((three(w0, w1, w2), three(h0, h1, h2)))
        }
        _ => None,
    }
}

fn jpeg(base64: &str) -> Option<(u32, u32)> {
    let mut bytes = Decoder::new(base64);
    let [_, _] = bytes.head()?;
    loop {
        let [mut byte] = bytes.head()?;
        if byte != 0xff {
            return None;
        }
        // Any number of fill bytes may stand before a marker.
        while byte == 0xff {
            [byte] = bytes.head()?;
        }
        match byte {
            // Markers without content.
            0x01 | 0xd0..=0xd7 => {}
            // Frames, and not the tables that share their numbers.
            0xc0..=0xcf if !matches!(byte, 0xc4 | 0xc8 | 0xcc) => {
                let [_, _, _, h0, h1, w0, w1] = bytes.head()?;
                return Some((
                    u32::from(u16::from_be_bytes([w0, w1])),
                    u32::from(u16::from_be_bytes([h0, h1])),
                ));
            }
            // The image data, or the end, before a size.
            0xda | 0xd9 | 0x00 => return None,
            _ => {
                let length = u16::from_be_bytes(bytes.head()?);
                for _ in 0..length.checked_sub(2)? {
                    bytes.next()?;
                }
            }
        }
    }
}

/// Decodes base64, byte by byte.
struct Decoder<'a> {
    text: std::slice::Iter<'a, u8>,
    bits: u32,
    held: u32,
}

impl<'a> Decoder<'a> {
    fn new(text: &'a str) -> Self {
        Self {
            text: text.as_bytes().iter(),
            bits: 0,
            held: 0,
        }
    }

    fn head<const N: usize>(&mut self) -> Option<[u8; N]> {
        let mut taken = [0; N];
        for byte in &mut taken {
            *byte = self.next()?;
        }
        Some(taken)
    }
}

impl Iterator for Decoder<'_> {
    type Item = u8;

    fn next(&mut self) -> Option<u8> {
        while self.held < 8 {
            let value = match self.text.next()? {
                c @ b'A'..=b'Z' => c - b'A',
                c @ b'a'..=b'z' => c - b'a' + 26,
                c @ b'0'..=b'9' => c - b'0' + 52,
                b'+' | b'-' => 62,
                b'/' | b'_' => 63,
                b'\r' | b'\n' => continue,
                _ => return None,
            };
            self.bits = self.bits << 6 | u32::from(value);
            self.held += 6;
        }
        self.held -= 8;
        u8::try_from(self.bits >> self.held & 0xff).ok()
    }
}

#[cfg(test)]
mod tests;
