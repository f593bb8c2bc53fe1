//! Passes.
use crate::ir::Program;
use crate::options::{BuildReport, Options};
use policy_grammar::Diagnostic;

pub(crate) fn run(_p: &mut Program, _o: &Options, _r: &mut BuildReport) -> Result<(), Diagnostic> {
    Ok(())
}
