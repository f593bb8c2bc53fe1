//! `policyc sign`: a signature added to a bundle.

use crate::exit::Exit;
use crate::{Host, atomic, build, engine, output};
use anyhow::bail;
use policy_bytecode::bundle;
use std::path::PathBuf;

/// Sign a bundle
#[derive(Debug, clap::Args)]
#[command(
    after_help = "An earlier signature by the same key is replaced, those of other keys stay.\n\n\
                        Example:\n  policyc sign policies.bundle --key team.pem"
)]
pub(crate) struct Args {
    /// The bundle; `-` is standard input
    #[arg(value_name = "BUNDLE|-")]
    bundle: PathBuf,
    /// The private key
    #[arg(long, value_name = "FILE")]
    key: PathBuf,
    /// Where the signed bundle goes; `-` is standard output [default: the bundle itself]
    #[arg(long, short, value_name = "FILE|-")]
    output: Option<PathBuf>,
}

pub(crate) fn run(args: Args, _host: Host) -> anyhow::Result<Exit> {
    let key = build::private_key(&args.key)?;
    let bytes = output::read(&args.bundle)?;
    let signed = bundle::sign(&bytes, &key)
        .map_err(|error| engine::unusable(&args.bundle.display().to_string(), error))?;
    let target = match &args.output {
        Some(target) => target,
        None if args.bundle.as_os_str() == "-" || args.bundle.is_file() => &args.bundle,
        None => bail!(
            "`{}` is no file that could be replaced: say with --output where the signed bundle goes",
            args.bundle.display()
        ),
    };
    atomic::write(target, &signed)?;
    output::summary(&format!(
        "{}: signed by {}",
        atomic::name(target),
        key.public().id()
    ));
    Ok(Exit::Ok)
}
