//! From a set of files to policies that can decide.

use super::SHOWN;
use crate::document::{self, Sight, Warning};
#[cfg(doc)]
use crate::error::Code;
use crate::error::{Result, ServiceError};
use crate::heavy::Stop;
use policy_compiler::{Compiled, Compiler};
use policy_runtime::Policies;

/// Compiles and loads a set, unless told to stop.
///
/// # Errors
///
/// [`Code::PolicyInvalid`] with every problem, [`Code::DeadlineExceeded`].
pub(crate) fn build(mut compiler: Compiler, sight: &Sight, stop: &Stop) -> Result<(Compiler, Policies)> {
    let compiled = document::compile(&mut compiler, sight, stop)?;
    let policies = load(compiled, stop)?;
    Ok((compiler, policies))
}

/// A set with what the compiler warns of.
pub(crate) struct Built {
    pub(crate) compiler: Compiler,
    pub(crate) policies: Policies,
    pub(crate) warnings: Vec<Warning>,
    /// How many more there are.
    pub(crate) more: usize,
}

/// As [`build`], with what the compiler warns of, which is an error where it is `strict`.
///
/// # Errors
///
/// As [`build`].
pub(crate) fn build_warned(mut compiler: Compiler, strict: bool, stop: &Stop) -> Result<Built> {
    let compiled = document::compile(&mut compiler, &Sight::whole(), stop)?;
    let (mut warnings, all) = (Vec::new(), compiled.diagnostics.len());
    if all > 0 {
        warnings = document::warnings_in(&compiler.sources(), &compiled.diagnostics, SHOWN);
        if strict {
            let problems = warnings.into_iter().map(|warning| warning.problem).collect();
            return Err(document::warned(problems));
        }
    }
    Ok(Built {
        policies: load(compiled, stop)?,
        compiler,
        more: all - warnings.len(),
        warnings,
    })
}

fn load(compiled: Compiled, stop: &Stop) -> Result<Policies> {
    Policies::from_compiled_until(compiled, stop.handle()).map_err(|error| {
        if matches!(error, policy_runtime::LoadError::Stopped) {
            return Stop::stopped();
        }
        ServiceError::internal(error)
    })
}
