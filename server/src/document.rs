//! One policy document of a request: read, checked on its own, and made into a version that can be stored.

mod problems;

use crate::error::{Code, Problem, Result, ServiceError};
use crate::heavy::Stop;
use crate::hex;
use crate::storage::model::{PolicyKey, PolicyStatus, PolicyVersion};
use policy_compiler::{CompileLimits, Compiled, Compiler, Options, Work};
use policy_grammar::ast::Status;
use policy_grammar::names;
pub use problems::{Sight, Warning, invalid, problems, warned, warnings_in, warnings_of, warnings_of_bundle};
use sha2::{Digest as _, Sha256};
use std::sync::Arc;

/// Language of a document.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// YAML.
    Yaml,
    /// Strict JSON.
    Json,
}

impl Format {
    /// Ending of file names.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Yaml => "yaml",
            Self::Json => "json",
        }
    }

    /// The format that a version is stored in; `None` where only another version of this program knows it.
    #[must_use]
    pub fn of_name(name: &str) -> Option<Self> {
        match name {
            "yaml" => Some(Self::Yaml),
            "json" => Some(Self::Json),
            _ => None,
        }
    }

    /// The format of a stored version.
    ///
    /// # Errors
    ///
    /// [`Code::PolicyInvalid`] where this server cannot read it: a text is never read as another language than its own.
    pub fn of_version(version: &PolicyVersion) -> Result<Self> {
        Self::of_name(&version.format).ok_or_else(|| {
            ServiceError::new(
                Code::PolicyInvalid,
                format!(
                    "{} is stored as `{}`, which this server does not read; it reads `yaml` and `json`",
                    version.named(),
                    version.format
                ),
            )
        })
    }

    /// The format of a content type, without parameters.
    #[must_use]
    pub fn of_content_type(content_type: &str) -> Option<Self> {
        match content_type.split(';').next().unwrap_or_default().trim() {
            "application/json" => Some(Self::Json),
            "application/yaml" | "application/x-yaml" | "text/yaml" | "text/x-yaml" => Some(Self::Yaml),
            _ => None,
        }
    }
}

/// Options that stored policies are compiled with: whether one is active is the store's business, not the document's.
#[must_use]
pub fn options() -> Options {
    Options {
        include_inactive: true,
        ..Options::default()
    }
}

/// Bytes of an id, a name, a namespace or a version that can be stored and looked up.
pub(crate) const MAX_TEXT: usize = 255;

/// Options that the document of a request is compiled with alone. What somebody sends is held to less than what is stored: that
/// may be from before, and goes on loading.
fn sent() -> Options {
    let options = options();
    Options {
        compile_limits: CompileLimits {
            pattern_bytes: 4 << 10,
            placeholders: 20_000,
            name_bytes: MAX_TEXT,
            ..options.compile_limits
        },
        ..options
    }
}

/// Name of the file that a policy is to the compiler.
#[must_use]
pub fn file_name(key: &PolicyKey, format: &str) -> String {
    names::stored(&key.namespace, &key.id, format)
}

/// A document that was read and compiled alone.
#[derive(Debug, Clone)]
pub struct Checked {
    /// What can be stored.
    pub version: PolicyVersion,
    /// What the compiler warns of.
    pub warnings: Vec<Problem>,
    /// What it was compiled with.
    pub alone: Alone,
}

/// The compiler of one document. Sets that the document becomes part of take what it made ([`Alone::give`]), so that it is not
/// made again.
#[derive(Debug, Clone)]
pub struct Alone {
    compiler: Compiler,
    name: String,
}

impl Alone {
    /// Gives what was made of the document to a set whose file `name` has the same text.
    pub fn give(&self, set: &mut Compiler, name: &str) -> bool {
        set.adopt(&self.compiler, &self.name, name)
    }

    /// What was done for it.
    #[must_use]
    pub fn work(&self) -> Work {
        self.compiler.work()
    }
}

/// Reads a document and compiles it alone.
///
/// # Errors
///
/// [`Code::PolicyInvalid`] with every problem, and where there is not exactly one policy; [`Code::DeadlineExceeded`] when told
/// to stop.
pub fn check(source: &str, format: Format, stop: &Stop) -> Result<Checked> {
    let name = format!("policy.{}", format.as_str());
    let mut compiler = Compiler::new(sent());
    compiler.set_stop(stop.handle().clone());
    compiler.set(&name, source);
    let parsed = compiler.parse(&name).ok_or_else(Stop::stopped)?;
    if parsed.has_errors() {
        return Err(invalid(&compiler.sources(), &parsed.diagnostics, &Sight::whole()));
    }
    let [policy] = parsed.policies.as_slice() else {
        let found = parsed.policies.len();
        return Err(ServiceError::new(
            Code::PolicyInvalid,
            format!("a request holds one policy, this one holds {found}"),
        ));
    };
    for (what, text) in [
        ("id", &policy.metadata.id.value),
        ("namespace", &policy.metadata.namespace.value),
        ("name", &policy.metadata.name.value),
        ("version", &policy.metadata.version.value),
    ] {
        if text.len() > MAX_TEXT || text.chars().any(char::is_control) {
            return Err(ServiceError::new(
                Code::PolicyInvalid,
                format!("`metadata.{what}` is longer than {MAX_TEXT} bytes or holds control characters"),
            ));
        }
    }
    let compiled = compile(&mut compiler, &Sight::whole(), stop)?;
    let warnings = problems(&compiler.sources(), &compiled.diagnostics, &Sight::whole());
    let version = PolicyVersion {
        id: policy.metadata.id.value.clone(),
        version: 0,
        namespace: policy.metadata.namespace.value.clone(),
        name: policy.metadata.name.value.clone(),
        document_version: policy.metadata.version.value.clone(),
        status: match policy.status {
            Status::Active => PolicyStatus::Active,
            Status::Draft => PolicyStatus::Draft,
            Status::Deprecated => PolicyStatus::Deprecated,
        },
        source: Arc::from(source),
        format: format.as_str().to_owned(),
        digest: digest(source),
        author: String::new(),
        created_ms: 0,
        rejection: None,
    };
    Ok(Checked {
        version,
        warnings,
        alone: Alone { compiler, name },
    })
}

/// Compiles a set, unless told to stop. Its problems are told as far as somebody sees them.
///
/// # Errors
///
/// [`Code::PolicyInvalid`] with every problem, [`Code::DeadlineExceeded`].
pub fn compile(compiler: &mut Compiler, sight: &Sight, stop: &Stop) -> Result<Compiled> {
    compiler.set_stop(stop.handle().clone());
    let built = compiler.build();
    // Whoever compiles with it next has another time.
    compiler.set_stop(policy_bytecode::Stop::never());
    let mut compiled = built.map_err(|failed| match failed.is_stopped() {
        true => Stop::stopped(),
        false => invalid(&compiler.sources(), &failed.diagnostics, sight),
    })?;
    if !compiled.diagnostics.is_empty() {
        // What a comment allows, with its reason, `policyc check` does not warn of either. Comments that allow nothing are
        // left to it.
        let warnings = std::mem::take(&mut compiled.diagnostics);
        compiled.diagnostics = policy_grammar::review(&compiler.sources(), warnings, |_| false).diagnostics;
    }
    Ok(compiled)
}

/// SHA-256 of a document, in hexadecimal.
#[must_use]
pub fn digest(source: &str) -> String {
    hex::of(&Sha256::digest(source.as_bytes()))
}

#[cfg(test)]
mod tests;
