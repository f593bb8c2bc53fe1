//! Tests of `image`.

use super::{ImageSize, MOST, image, size};
use crate::tokens::Method;

fn of(width: u32, height: u32) -> Option<ImageSize> {
    Some(ImageSize { width, height })
}

/// Standard base64 with padding.
fn encode(bytes: &[u8]) -> String {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::new();
    for chunk in bytes.chunks(3) {
        let bits = chunk.iter().fold(0u32, |bits, b| bits << 8 | u32::from(*b)) << (8 * (3 - chunk.len()));
        for at in 0..4 {
            let index = (bits >> (18 - 6 * at) & 63) as usize;
            text.push(if at <= chunk.len() {
                char::from(ALPHABET[index])
            } else {
                '='
            });
        }
    }
    text
}

#[test]
fn openai_as_documented() {
    for (model, detail, size, expected) in [
        ("gpt-4o", Some("high"), of(1024, 1024), 765),
        ("gpt-4o", Some("high"), of(2048, 4096), 1105),
        ("gpt-4o", Some("low"), of(4096, 8192), 85),
        ("gpt-4o", None, of(128, 64), 255),
        ("openai/gpt-4o-2024-08-06", None, None, 1445),
        ("gpt-4o-mini", Some("low"), None, 2833),
        ("gpt-4o-mini", None, of(512, 512), 8500),
        ("o1-pro", None, of(1024, 1024), 675),
        ("o3", None, of(512, 512), 225),
        ("gpt-5", None, of(512, 512), 210),
        ("gpt-5-2025-08-07", None, of(512, 512), 210),
        ("gpt-4.1-mini", None, of(1024, 1024), 1659),
        ("gpt-4.1-nano", None, of(1800, 2400), 3572),
        ("o4-mini", None, of(1800, 2400), 2498),
        ("o4-mini", None, None, 2642),
    ] {
        let counted = image(model, detail, size);
        assert_eq!(counted.tokens, expected, "{model} {detail:?} {size:?}");
        let exact = size.is_some() || detail == Some("low");
        assert_eq!(counted.method == Method::Exact, exact, "{model}");
    }
    assert_eq!(image("gpt-5.4", None, None).tokens, 16_200);
    assert_eq!(image("gpt-5.4", Some("high"), None).tokens, 4050);
    assert_eq!(image("gpt-5.4", None, of(64, 64)).tokens, 7);
}

#[test]
fn others_lean_high_and_are_bounded() {
    for (model, size, expected) in [
        ("claude-sonnet-4-5", of(200, 200), 64),
        ("claude-sonnet-4-5", of(1092, 1092), 1590),
        ("claude-sonnet-4-5", of(4000, 3000), 1600),
        ("claude-opus-4-7", of(4000, 4000), 4784),
        ("gemini-2.5-pro", of(384, 384), 258),
        ("gemini-2.5-pro", of(960, 540), 1548),
        ("gemini-3-pro", of(10, 10), 1120),
        ("pixtral-12b", of(1024, 1024), 4160),
        ("pixtral-12b", of(16, 16), 2),
        ("qwen2.5-vl", of(280, 280), 100),
        ("no-such-model", of(10, 10), MOST),
    ] {
        assert_eq!(image(model, None, size).tokens, expected, "{model} {size:?}");
        assert_eq!(image(model, None, size).method, Method::Estimate);
    }
    let models = [
        "gpt-4o",
        "gpt-4o-mini",
        "gpt-4.1",
        "o3",
        "gpt-5",
        "gpt-5-nano",
        "gpt-6",
        "o4-mini",
        "claude-3-haiku",
        "claude-opus-5",
        "gemini-2.0-flash",
        "gemini-3-pro",
        "mistral-large",
        "llama-4",
        "command-a",
        "qwen3-vl",
        "unheard",
    ];
    for model in models {
        for detail in [None, Some("low"), Some("high"), Some("original")] {
            let most = image(model, detail, None).tokens;
            for side in [1, 2, 31, 33, 511, 513, 769, 2049, 9000, 65_535, u32::MAX] {
                for other in [1, 32, 700, 768, 2048, 5000, u32::MAX] {
                    let tokens = image(model, detail, of(side, other)).tokens;
                    assert!(
                        (1..=most).contains(&tokens),
                        "{model} {detail:?} {side} x {other}: {tokens}"
                    );
                }
            }
        }
    }
}

#[test]
fn sizes_are_read_from_the_head() {
    let png = [
        &b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR"[..],
        &[0, 0, 4, 0, 0, 0, 3, 0, 8, 6],
    ]
    .concat();
    let gif = b"GIF89a\x00\x04\x00\x03\xf7\x00".to_vec();
    let lossy = [
        &b"RIFF\x10\0\0\0WEBPVP8 \x10\0\0\0\0\0\0\x9d\x01\x2a"[..],
        &[0, 4, 0, 3, 0],
    ]
    .concat();
    let bits = 1023u32 | 767 << 14;
    let lossless = [&b"RIFF\x10\0\0\0WEBPVP8L\x10\0\0\0\x2f"[..], &bits.to_le_bytes()].concat();
    let extended = b"RIFF\x10\0\0\0WEBPVP8X\x0a\0\0\0\0\0\0\0\xff\x03\0\xff\x02\0".to_vec();
    let frame = [0xff, 0xc0, 0, 17, 8, 3, 0, 4, 0, 3];
    let jpeg = [
        &[0xff, 0xd8, 0xff, 0xe0, 0, 4, 1, 2][..],
        &[0xff, 0xff],
        &frame[1..],
    ]
    .concat();
    // A preview of another size in what a camera writes, and tables.
    let preview = [
        &[0xff, 0xd8, 0xff, 0xe1, 0, 12][..],
        &[0xff, 0xc0, 0, 17, 8, 0, 1, 0, 1, 3],
        &[0xff, 0xc4, 0, 2],
        &frame,
    ]
    .concat();
    for (name, file) in [
        ("png", &png),
        ("gif", &gif),
        ("lossy", &lossy),
        ("lossless", &lossless),
        ("extended", &extended),
        ("jpeg", &jpeg),
        ("preview", &preview),
    ] {
        let text = encode(file);
        assert_eq!(size(&text), of(1024, 768), "{name}");
        let url = text.replace('+', "-").replace('/', "_");
        assert_eq!(size(url.trim_end_matches('=')), of(1024, 768), "{name}");
        let lines: String = text
            .as_bytes()
            .chunks(8)
            .flat_map(|line| [line, b"\r\n"].concat())
            .map(char::from)
            .collect();
        assert_eq!(size(&lines), of(1024, 768), "{name}");
        // Cut anywhere, it is no image or the same image.
        for end in 0..text.len() {
            assert!(
                matches!(
                    size(&text[..end]),
                    None | Some(ImageSize {
                        width: 1024,
                        height: 768
                    })
                ),
                "{name}"
            );
        }
    }
    let zero = [&b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR"[..], &[0; 8]].concat();
    for no in [
        "",
        "AAAA",
        "not base64",
        &encode(&zero),
        &encode(b"\xff\xd8\xff\xe0\0\x01"),
        &encode(b"BM123456789012345"),
    ] {
        assert_eq!(size(no), None, "{no}");
    }
}
