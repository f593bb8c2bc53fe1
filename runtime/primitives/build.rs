//! Build script: turns the published OpenAI vocabularies into lookup tables that need no loading.
//!
//! Runs only with feature `tokenizers`. Writes into `OUT_DIR`, for each encoding, the tables that
//! `src/tokens/vocabulary.rs` includes (see `build/vocabulary.rs`), and one table of character classes for the
//! splitter (see `build/classes.rs`). The vocabularies come from the `tiktoken-rs` crate, which embeds them; nothing
//! is downloaded and nothing of that crate is linked into the product.

#[cfg(feature = "tokenizers")]
#[path = "build/classes.rs"]
mod classes;
#[cfg(feature = "tokenizers")]
#[path = "src/tokens/table_format.rs"]
#[expect(dead_code, reason = "reading the tables is the crate's half")]
mod table_format;
#[cfg(feature = "tokenizers")]
#[path = "build/vocabulary.rs"]
mod vocabulary;

#[cfg(feature = "tokenizers")]
fn main() -> Result<(), Box<dyn std::error::Error>> {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-changed=build");
    println!("cargo::rerun-if-changed=src/tokens/table_format.rs");
    let out = std::path::PathBuf::from(std::env::var("OUT_DIR")?);
    vocabulary::write_tables(&out.join("o200k"), &tiktoken_rs::o200k_base()?)?;
    vocabulary::write_tables(&out.join("cl100k"), &tiktoken_rs::cl100k_base()?)?;
    classes::write_table(&out)?;
    Ok(())
}

#[cfg(not(feature = "tokenizers"))]
fn main() {
    println!("cargo::rerun-if-changed=build.rs");
}
