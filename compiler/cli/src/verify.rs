//! `policyc verify`: whether a bundle is whole, well-formed and signed by a trusted key.

use crate::exit::Exit;
use crate::{Host, engine, output};
use policy_bytecode::bundle::{Bundle, key_id};
use policy_runtime::Policies;
use std::path::PathBuf;

/// Check that a bundle is whole, runnable, and signed by a trusted key
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Ends with 0 when one of the keys signed the bundle, else with 2.\n\n\
                        Example:\n  policyc verify policies.bundle --public-key team.pub.pem"
)]
pub(crate) struct Args {
    /// The bundle
    #[arg(value_name = "BUNDLE")]
    bundle: PathBuf,
    /// A trusted public key; may be given several times
    #[arg(long = "public-key", value_name = "FILE", required = true)]
    public_keys: Vec<PathBuf>,
}

pub(crate) fn run(args: Args, _host: Host) -> anyhow::Result<Exit> {
    let keys = engine::public_keys(&args.public_keys)?;
    let bytes = output::read(&args.bundle)?;
    let name = args.bundle.display().to_string();
    let policies = Policies::from_bundle(&bytes, &keys).map_err(|error| engine::refused(&name, error))?;
    let bundle = Bundle::decode(&bytes).map_err(|error| engine::refused(&name, error))?;
    let signers: Vec<String> = bundle
        .signatures
        .iter()
        .filter(|s| keys.iter().any(|k| k.0 == s.public_key))
        .map(|s| key_id(&s.public_key))
        .collect();
    output::summary(&format!(
        "{}: revision {}, {}, signed by {}",
        args.bundle.display(),
        policies.revision(),
        bundle.digest,
        signers.join(", ")
    ));
    Ok(Exit::Ok)
}
