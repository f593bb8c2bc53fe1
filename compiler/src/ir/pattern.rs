//! Regular expressions, and what became of them.

use crate::passes::patterns::Search;
use crate::passes::regex_dfa::Automaton;
use policy_bytecode::module;
use std::fmt;
use std::sync::Arc;

/// One regular expression.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pattern {
    /// As written in the policy; for people.
    pub source: String,
    /// The same in the engine's syntax.
    pub translated: String,
    /// How it can be searched for; shared, so that a table is cheap to copy.
    pub(crate) search: Arc<Search>,
    /// The automaton that was made before a pass asks for it.
    pub(crate) made: Option<Automaton>,
    /// How it will be run.
    pub engine: Engine,
}

/// How a pattern will be run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Engine {
    /// By a dense automaton, serialised little-endian.
    Dfa {
        /// The automaton; shared, so that a table is cheap to copy.
        bytes: Arc<[u8]>,
        /// It gives up on text that is not ASCII, where the pattern is run from its source.
        ascii_only: bool,
    },
    /// From its source, because of this.
    Source(Reason),
}

/// Why a pattern has no automaton.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reason {
    /// Nobody has tried to make one.
    Untried,
    /// Only scans ask for it, and they look at few places.
    Scanned,
    /// What came of trying: a clause.
    Refused(String),
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Untried => "not precompiled at this optimisation level",
            Self::Scanned => "a scan of the text looks for its literals first",
            Self::Refused(why) => why,
        })
    }
}

impl Pattern {
    /// As it stands in a module.
    #[must_use]
    pub fn to_module(&self) -> module::Pattern {
        module::Pattern {
            source: self.source.clone(),
            translated: self.translated.clone(),
            engine: match &self.engine {
                Engine::Dfa { bytes, ascii_only } => module::PatternEngine::Dfa {
                    bytes: Arc::clone(bytes),
                    ascii_only: *ascii_only,
                },
                Engine::Source(reason) => module::PatternEngine::Source {
                    reason: reason.to_string(),
                },
            },
        }
    }
}
