//! Where labelled data and prompts are found.

use std::path::{Path, PathBuf};

/// The folder of test data: `$POLICY_TEST_DATA`, else `../shared/data` beside the workspace.
#[must_use]
pub fn folder() -> PathBuf {
    std::env::var_os("POLICY_TEST_DATA").map_or_else(
        || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/data"),
        PathBuf::from,
    )
}

/// A file of test data, or `None` after saying that what needs it is skipped.
#[must_use]
pub fn read(needed_by: &str, file: &str) -> Option<String> {
    let text = std::fs::read_to_string(folder().join(file)).ok();
    if text.is_none() {
        println!("skipped: {needed_by} (no test data)");
    }
    text
}
