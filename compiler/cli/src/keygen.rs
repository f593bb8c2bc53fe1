//! `policyc keygen`: a new pair of Ed25519 keys.

use crate::exit::Exit;
use crate::{Host, atomic, output};
use anyhow::{Context as _, anyhow, bail};
use policy_bytecode::bundle::PrivateKey;
use std::ffi::OsString;
use std::io;
use std::path::{Path, PathBuf};

/// Make a pair of signing keys
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Writes PREFIX.pem (secret, readable by its owner only) and PREFIX.pub.pem, in the formats that \
                        OpenSSL reads. Existing files are never overwritten. The API keys of a \
                        server are made by `policyc keys`.\n\n\
                        Example:\n  policyc keygen -o team"
)]
pub(crate) struct Args {
    /// Where the keys go, without the ending
    #[arg(long, short, value_name = "PREFIX")]
    output: PathBuf,
}

pub(crate) fn run(args: Args, _host: Host) -> anyhow::Result<Exit> {
    let secret_path = with_ending(&args.output, ".pem");
    let public_path = with_ending(&args.output, ".pub.pem");
    for path in [&secret_path, &public_path] {
        if path.symlink_metadata().is_ok() {
            bail!(
                "`{}` exists; choose another prefix, or remove it first",
                path.display()
            );
        }
    }
    let mut seed = [0; 32];
    getrandom::fill(&mut seed).map_err(|e| anyhow!("the system has no randomness to offer: {e}"))?;
    let key = PrivateKey::from_seed(&seed);
    let public = key.public();
    create(&secret_path, key.to_pem()?.as_bytes(), true)?;
    if let Err(error) = create(&public_path, public.to_pem()?.as_bytes(), false) {
        // Half a pair is of no use; the first error is the one to tell.
        std::fs::remove_file(&secret_path).unwrap_or(());
        return Err(error);
    }
    output::summary(&format!(
        "key {}: {} (secret), {}",
        public.id(),
        secret_path.display(),
        public_path.display()
    ));
    Ok(Exit::Ok)
}

fn create(path: &Path, bytes: &[u8], secret: bool) -> anyhow::Result<()> {
    atomic::create(path, bytes, secret).or_else(|error| {
        if error.kind() == io::ErrorKind::AlreadyExists {
            bail!(
                "`{}` exists; choose another prefix, or remove it first",
                path.display()
            );
        }
        Err(error).with_context(|| format!("cannot write `{}`", path.display()))
    })
}

fn with_ending(prefix: &Path, ending: &str) -> PathBuf {
    let mut name = OsString::from(prefix);
    name.push(ending);
    PathBuf::from(name)
}
