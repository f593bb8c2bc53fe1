//! Ceilings that keep hostile or mistaken documents from costing more than they are worth.
//!
//! Used by the document parser; a host may lower or raise each one. Exceeding one is a diagnostic of code `E0002`,
//! never a hang or an exhausted stack. The defaults leave room for about 80,000 rules in one file.

/// Limits for one source file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// Size of the file, in bytes. Never more than 4 GiB − 1, whatever is set.
    pub max_bytes: usize,
    /// Nesting of lists and mappings. A level of `and`/`or` costs two.
    pub max_depth: usize,
    /// Keys, values, lists and mappings of the whole file, as written.
    pub max_nodes: usize,
    /// Nodes that all aliases of the file stand for, after expansion.
    pub max_alias_nodes: usize,
    /// Bytes of text that all aliases of the file stand for, after expansion.
    pub max_alias_bytes: usize,
    /// Values that all uses of named constants stand for; every item of a list and every member of a mapping counts.
    pub max_constant_nodes: usize,
    /// Bytes of text in them.
    pub max_constant_bytes: usize,
    /// Files that one document imports, those that these import included.
    pub max_imports: usize,
    /// Bytes of one pattern (`E0406`).
    pub max_pattern_bytes: usize,
    /// Classes of characters that Unicode names (`\p{…}`) in all patterns of the file: each stands for hundreds of ranges.
    pub max_pattern_classes: usize,
    /// Diagnostics kept for one file; one more says how many were left out.
    pub max_diagnostics: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            max_bytes: 32 << 20,
            max_depth: 128,
            max_nodes: 4_000_000,
            max_alias_nodes: 100_000,
            max_alias_bytes: 16 << 20,
            max_constant_nodes: 1_000_000,
            max_constant_bytes: 64 << 20,
            max_imports: 64,
            max_pattern_bytes: 64 << 10,
            max_pattern_classes: 10_000,
            max_diagnostics: 1_000,
        }
    }
}
