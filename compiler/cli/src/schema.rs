//! `policyc schema`: the JSON Schema of policy documents, for editors.

use crate::exit::Exit;
use crate::{Host, output};

/// Print the JSON Schema of policy documents
#[derive(Debug, clap::Args)]
#[command(after_help = "Editors complete and check policies with it.\n\n\
                        Example:\n  policyc schema > policy.schema.json")]
pub(crate) struct Args {}

pub(crate) fn run(_args: Args, _host: Host) -> anyhow::Result<Exit> {
    output::json_pretty(&policy_grammar::json_schema())?;
    Ok(Exit::Ok)
}
