//! Check: what can be said about policies before any request. Adds warnings and errors, changes nothing.

use crate::resolve::Resolved;
use policy_grammar::Diagnostic;

pub(crate) fn check(_resolved: &Resolved, _diagnostics: &mut Vec<Diagnostic>) {}
