//! `policyc inspect --disasm`: the instructions, and where they were written.

use crate::output;
use anyhow::bail;
use policy_bytecode::bundle::Bundle;
use policy_bytecode::disasm::{DisasmOptions, Places, disassemble, disassemble_with_places};
use std::io::Write as _;

/// Prints the listing of a bundle that is called `name`.
pub(super) fn show(bundle: &Bundle, name: &str, full: bool, places: bool) -> anyhow::Result<()> {
    let options = DisasmOptions { full };
    let listing = match &bundle.debug {
        Some(debug) if places => {
            let files = &bundle.manifest.files;
            disassemble_with_places(&bundle.module, &options, Places { debug, files })
        }
        None if places => {
            bail!("`{name}` does not say where its instructions were written: it has no section `debug`")
        }
        Some(_) | None => disassemble(&bundle.module, &options),
    };
    let mut out = output::machine();
    out.write_all(listing.as_bytes())?;
    out.flush()?;
    Ok(())
}
