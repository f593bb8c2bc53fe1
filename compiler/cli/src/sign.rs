//! `policyc sign`: a signature added to a bundle.

use crate::exit::Exit;
use crate::{Host, atomic, build, output};
use anyhow::Context as _;
use policy_bytecode::bundle;
use std::path::PathBuf;

/// Sign a bundle
#[derive(Debug, clap::Args)]
#[command(
    after_help = "An earlier signature by the same key is replaced, those of other keys stay.\n\n\
                        Example:\n  policyc sign policies.bundle --key team.pem"
)]
pub(crate) struct Args {
    /// The bundle
    #[arg(value_name = "BUNDLE")]
    bundle: PathBuf,
    /// The private key
    #[arg(long, value_name = "FILE")]
    key: PathBuf,
    /// Where the signed bundle goes [default: the bundle itself]
    #[arg(long, short, value_name = "FILE")]
    output: Option<PathBuf>,
}

pub(crate) fn run(args: Args, _host: Host) -> anyhow::Result<Exit> {
    let key = build::private_key(&args.key)?;
    let bytes = output::read(&args.bundle)?;
    let signed = bundle::sign(&bytes, &key)
        .with_context(|| format!("`{}` is not a usable bundle", args.bundle.display()))?;
    let target = args.output.as_ref().unwrap_or(&args.bundle);
    atomic::write(target, &signed)?;
    output::note(&format!("{}: signed by {}", target.display(), key.public().id()));
    Ok(Exit::Ok)
}
