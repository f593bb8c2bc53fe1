//! Where instructions were written, in a few words beside them.

use crate::debug::DebugSection;
use crate::ids::FuncIdx;

/// Where the instructions of a module were written.
#[derive(Debug, Clone, Copy)]
pub struct Places<'a> {
    /// By instruction.
    pub debug: &'a DebugSection,
    /// Names of the files, see [`Manifest::files`](crate::manifest::Manifest::files).
    pub files: &'a [String],
}

impl Places<'_> {
    /// File, line and column of an instruction, on one line whatever the file is called.
    pub(super) fn text(&self, function: FuncIdx, index: usize) -> Option<String> {
        let place = self.debug.instruction(function, index)?;
        let file = self.files.get(place.file as usize).map_or("?", String::as_str);
        Some(format!("{}:{}:{}", file.escape_debug(), place.line, place.column))
    }
}
