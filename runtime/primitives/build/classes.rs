//! Character classes for the splitter: one byte per code point, in two levels.
//!
//! `class_blocks.bin` has one byte for each 256 code points: which block describes them. `class_bytes.bin` holds the
//! distinct blocks. The bits are those of `src/tokens/pieces.rs`; `regex-syntax` supplies the Unicode properties, the
//! same tables that the reference implementation's regexes use.

use std::collections::HashMap;
use std::error::Error;
use std::path::Path;

use regex_syntax::hir::{Class, HirKind};

const UPPER: u8 = 1;
const LOWER: u8 = 2;
const MARK: u8 = 4;
const NUMBER: u8 = 8;
const SPACE: u8 = 16;
const NEWLINE: u8 = 32;

/// Property, and the bits it sets. Letters that are neither upper nor lower case may stand on both sides of a word.
const PROPERTIES: [(&str, u8); 8] = [
    (r"[\p{Lu}\p{Lt}]", UPPER),
    (r"\p{Ll}", LOWER),
    (r"[\p{Lm}\p{Lo}]", UPPER | LOWER),
    (r"\p{M}", UPPER | LOWER | MARK),
    (r"\p{N}", NUMBER),
    (r"\s", SPACE),
    (r"[\r\n]", NEWLINE),
    // Everything else has no bit; this row checks that the letter rows above cover \p{L}.
    (r"[\p{L}--\p{Lu}\p{Lt}\p{Ll}\p{Lm}\p{Lo}]", 0xff),
];

/// Writes both levels into `out`.
pub(crate) fn write_table(out: &Path) -> Result<(), Box<dyn Error>> {
    let mut classes = vec![0u8; 0x11_0000];
    for (property, bits) in PROPERTIES {
        let hir = regex_syntax::parse(property)?;
        match hir.kind() {
            HirKind::Class(Class::Unicode(class)) => {
                for range in class.ranges() {
                    if bits == 0xff {
                        return Err("a letter belongs to no letter category".into());
                    }
                    for class in &mut classes[range.start() as usize..=range.end() as usize] {
                        *class |= bits;
                    }
                }
            }
            HirKind::Class(Class::Bytes(class)) if class.ranges().is_empty() => {}
            HirKind::Literal(_)
            | HirKind::Class(_)
            | HirKind::Empty
            | HirKind::Look(_)
            | HirKind::Repetition(_)
            | HirKind::Capture(_)
            | HirKind::Concat(_)
            | HirKind::Alternation(_) => {
                return Err(format!("{property} is not a character class").into());
            }
        }
    }
    let mut numbers = HashMap::new();
    let (mut blocks, mut bytes) = (Vec::new(), Vec::new());
    for block in classes.chunks(256) {
        let next = numbers.len();
        let number = *numbers.entry(block).or_insert_with(|| {
            bytes.extend_from_slice(block);
            next
        });
        blocks.push(u8::try_from(number)?);
    }
    std::fs::write(out.join("class_blocks.bin"), blocks)?;
    std::fs::write(out.join("class_bytes.bin"), bytes)?;
    Ok(())
}
