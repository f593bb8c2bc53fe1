//! `policyc schema`: the JSON Schemas of policies, test files and price files, for editors.

mod prices;
mod tests;

use crate::exit::Exit;
use crate::{Host, output};
use clap::ValueEnum;
use policy_compiler::context::FIELDS;
use policy_grammar::Vocabulary;
use policy_runtime::primitives::injection::InjectionSignal;
use policy_runtime::primitives::pii::PiiType;
use serde_json::Value;

/// Print the JSON Schema of policies, test files or price files
#[derive(Debug, clap::Args)]
#[command(after_help = "Editors complete and check files with it.\n\n\
                        Example:\n  policyc schema policy > policy.schema.json")]
pub(crate) struct Args {
    /// Of which files
    #[arg(value_enum, default_value = "policy", value_name = "OF")]
    of: Of,
}

/// Files that have a schema.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Of {
    /// Policies
    Policy,
    /// Test files, `*_test.yaml`
    Test,
    /// Price files
    Prices,
}

pub(crate) fn run(args: Args, _host: Host) -> anyhow::Result<Exit> {
    let schema = match args.of {
        Of::Policy => policy_schema(),
        Of::Test => test_schema(),
        Of::Prices => prices_schema(),
    };
    output::json_pretty(&schema)?;
    Ok(Exit::Ok)
}

/// The JSON Schema of policies.
#[must_use]
pub fn policy_schema() -> Value {
    policy_grammar::json_schema(&Vocabulary {
        fields: &fields(),
        pii_types: PiiType::NAMES,
        injection_signals: InjectionSignal::NAMES,
    })
}

/// The JSON Schema of test files.
#[must_use]
pub fn test_schema() -> Value {
    tests::schema()
}

/// The JSON Schema of price files.
#[must_use]
pub fn prices_schema() -> Value {
    prices::schema()
}

/// Known fields: path, whether a caller sends it, and what it is.
fn fields() -> Vec<(&'static str, bool, &'static str)> {
    FIELDS
        .iter()
        .map(|field| (field.path, field.derived.is_none(), field.doc))
        .collect()
}
