//! Build script: turns data into lookup tables that need no loading.
//!
//! Writes into `OUT_DIR`:
//!
//! - the words and phrases of `data/injection.txt`, for `src/injection/tables.rs` (see `build/phrases.rs`);
//! - with feature `tokenizers`, for each encoding of OpenAI's, the tables that `src/tokens/vocabulary.rs` includes (see
//!   `build/vocabulary.rs`), and one table of character classes for the splitter (see `build/classes.rs`). The
//!   vocabularies come from the `tiktoken-rs` crate, which embeds them; nothing is downloaded and nothing of that crate
//!   is linked into the product.

#[cfg(feature = "tokenizers")]
#[path = "build/classes.rs"]
mod classes;
#[path = "src/injection/letters.rs"]
mod letters;
#[path = "src/normalize/look_alikes.rs"]
mod look_alikes;
#[path = "build/phrases.rs"]
mod phrases;
#[cfg(feature = "tokenizers")]
#[path = "src/tokens/table_format.rs"]
#[expect(dead_code, reason = "reading the tables is the crate's half")]
mod table_format;
#[cfg(feature = "tokenizers")]
#[path = "build/vocabulary.rs"]
mod vocabulary;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-changed=build");
    println!("cargo::rerun-if-changed=data/injection.txt");
    println!("cargo::rerun-if-changed=src/injection/letters.rs");
    println!("cargo::rerun-if-changed=src/normalize/look_alikes.rs");
    let out = std::path::PathBuf::from(std::env::var("OUT_DIR")?);
    let source = std::fs::read_to_string("data/injection.txt")?;
    std::fs::write(out.join("injection.rs"), phrases::tables(&source)?)?;
    #[cfg(feature = "tokenizers")]
    {
        println!("cargo::rerun-if-changed=src/tokens/table_format.rs");
        vocabulary::write_tables(&out.join("o200k"), &tiktoken_rs::o200k_base()?)?;
        vocabulary::write_tables(&out.join("cl100k"), &tiktoken_rs::cl100k_base()?)?;
        classes::write_table(&out)?;
    }
    Ok(())
}
