//! The servers under load, each a process of its own on free loopback ports, ended when dropped.

use crate::constant::Constant;
use anyhow::{Context as _, bail};
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use tempfile::TempDir;

/// A running `policyd`.
#[derive(Debug)]
pub(crate) struct Policyd {
    child: Child,
    pub(crate) rest: SocketAddr,
    pub(crate) grpc: SocketAddr,
    // Removed after the process.
    _directory: TempDir,
}

/// Where decisions are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum DecisionLog {
    /// Nowhere.
    Off,
    /// To the database.
    Store,
    /// To a file.
    File,
    /// To Parquet segments.
    Segments,
}

/// Builds `policyd` with optimisation, beside this program.
pub(crate) fn build() -> anyhow::Result<PathBuf> {
    let path = std::env::current_exe()?.with_file_name("policyd");
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let status = Command::new(cargo)
        .args([
            "build",
            "--release",
            "--locked",
            "-p",
            "policy-server",
            "--bin",
            "policyd",
        ])
        .current_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("../.."))
        .status()?;
    if !status.success() {
        bail!("policyd does not build");
    }
    if !path.is_file() {
        bail!(
            "{} is not there; run this program with --release or say --policyd",
            path.display()
        );
    }
    Ok(path)
}

impl Policyd {
    /// Starts one that keeps its data in a folder that goes with it and computes no derived fields.
    pub(crate) fn start(program: &Path, log: DecisionLog, more: &[(String, String)]) -> anyhow::Result<Self> {
        let directory = tempfile::tempdir()?;
        let log = match log {
            DecisionLog::Off => "off".to_owned(),
            DecisionLog::Store => "store".to_owned(),
            DecisionLog::Segments => "segments".to_owned(),
            DecisionLog::File => format!("file:{}", directory.path().join("decisions.jsonl").display()),
        };
        let mut child = Command::new(program)
            .env_clear()
            .envs([
                ("PORT", "0"),
                ("GRPC_PORT", "0"),
                ("METRICS_PORT", "0"),
                ("DERIVE", "never"),
                ("DECISION_LOG", &log),
                ("LOG_FORMAT", "json"),
            ])
            .env("DATA_DIR", directory.path())
            .envs(more.iter().map(|(name, value)| (name, value)))
            .current_dir(directory.path())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .with_context(|| format!("cannot start {}", program.display()))?;
        let mut lines = BufReader::new(child.stderr.take().context("no stderr")?).lines();
        let mut seen = String::new();
        let (rest, grpc) = loop {
            let Some(line) = lines.next().transpose()? else {
                bail!("policyd did not start:\n{seen}");
            };
            if let Some(found) = addresses(&line) {
                break found;
            }
            seen.push_str(&line);
            seen.push('\n');
        };
        // What it logs later are problems, and shown.
        std::thread::spawn(move || {
            for line in lines.map_while(Result::ok) {
                if !line.contains("\"INFO\"") {
                    eprintln!("policyd: {line}");
                }
            }
        });
        Ok(Self {
            child,
            rest,
            grpc,
            _directory: directory,
        })
    }

    /// Bytes of memory that the process holds.
    pub(crate) fn memory(&self) -> anyhow::Result<u64> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id()))?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let kilobytes = line.and_then(|line| line.trim().strip_suffix(" kB"));
        Ok(kilobytes.context("no VmRSS")?.parse::<u64>()? << 10)
    }

    /// Seconds that the process has run on any processor.
    pub(crate) fn processor_seconds(&self) -> anyhow::Result<f64> {
        processor_seconds(self.child.id())
    }

    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }
}

fn processor_seconds(id: u32) -> anyhow::Result<f64> {
    let stat = std::fs::read_to_string(format!("/proc/{id}/stat"))?;
    let (_, rest) = stat.rsplit_once(')').context("no name in stat")?;
    let fields: Vec<&str> = rest.split_whitespace().collect();
    let ticks = |i: usize| fields.get(i).and_then(|text| text.parse::<f64>().ok());
    let (user, system) = ticks(11).zip(ticks(12)).context("no times in stat")?;
    // Linux counts in hundredths for user space, whatever the kernel does inside.
    Ok((user + system) / 100.0)
}

/// The addresses in the line that says where the server listens.
fn addresses(line: &str) -> Option<(SocketAddr, SocketAddr)> {
    let line: serde_json::Value = serde_json::from_str(line).ok()?;
    let address = |name: &str| line.get(name)?.as_str()?.parse().ok();
    Some((address("rest")?, address("grpc")?))
}

impl Drop for Policyd {
    fn drop(&mut self) {
        end(&mut self.child);
    }
}

fn end(child: &mut Child) {
    if let Err(error) = child.kill().and_then(|()| child.wait()) {
        eprintln!("cannot end process {}: {error}", child.id());
    }
}

/// A running server that answers a constant.
#[derive(Debug)]
pub(crate) struct ConstantServer {
    child: Child,
    pub(crate) rest: SocketAddr,
    pub(crate) grpc: SocketAddr,
}

impl ConstantServer {
    pub(crate) fn start(constant: &Constant) -> anyhow::Result<Self> {
        let mut child = Command::new(std::env::current_exe()?)
            .arg("constant")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let stdin = child.stdin.as_mut().context("no stdin")?;
        writeln!(stdin, "{}", serde_json::to_string(constant)?)?;
        let mut line = String::new();
        BufReader::new(child.stdout.take().context("no stdout")?).read_line(&mut line)?;
        let (rest, grpc) = line.trim().split_once(' ').context("no addresses")?;
        let (rest, grpc) = (rest.parse()?, grpc.parse()?);
        Ok(Self { child, rest, grpc })
    }

    pub(crate) fn processor_seconds(&self) -> anyhow::Result<f64> {
        processor_seconds(self.child.id())
    }
}

impl Drop for ConstantServer {
    fn drop(&mut self) {
        end(&mut self.child);
    }
}
