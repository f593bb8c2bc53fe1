//! What a number was measured on.

use serde::Serialize;

/// Machine and compiler.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Machine {
    /// Processor, as the system names it.
    pub cpu: String,
    /// Cores that this process may use.
    pub cores: usize,
    /// Operating system and architecture.
    pub system: String,
    /// `rustc --version` of the compiler that built this program.
    pub rustc: &'static str,
    /// Processes that wanted to run in the last minute; `None` where the system does not tell.
    pub load: Option<f64>,
    /// Whether this program was built with optimisation.
    pub optimised: bool,
}

impl Machine {
    /// This machine, now.
    #[must_use]
    pub fn here() -> Self {
        let cpuinfo = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
        let cpu = cpuinfo
            .lines()
            .find_map(|line| line.strip_prefix("model name")?.split_once(':'))
            .map_or("unknown processor", |(_, name)| name.trim());
        Self {
            cpu: cpu.to_owned(),
            cores: std::thread::available_parallelism().map_or(1, usize::from),
            system: format!("{} {}", std::env::consts::OS, std::env::consts::ARCH),
            rustc: env!("BENCH_RUSTC_VERSION"),
            load: load(),
            optimised: !cfg!(debug_assertions),
        }
    }

    /// Why numbers taken now would not mean much.
    #[must_use]
    pub fn caveat(&self) -> Option<String> {
        if !self.optimised {
            return Some("built without optimisation: no number here means anything".to_owned());
        }
        // One is this process itself.
        let busy = self.load.filter(|load| *load > 1.5)?;
        Some(format!(
            "measured while {busy:.1} processes wanted to run on {} cores: compare only ratios",
            self.cores
        ))
    }
}

/// Load average of the last minute.
#[must_use]
pub fn load() -> Option<f64> {
    std::fs::read_to_string("/proc/loadavg")
        .ok()?
        .split(' ')
        .next()?
        .parse()
        .ok()
}

/// Bytes of memory that this process holds; `None` where the system does not tell.
#[must_use]
pub fn resident_bytes() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let kilobytes = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    kilobytes
        .trim()
        .strip_suffix("kB")?
        .trim()
        .parse::<u64>()
        .ok()
        .map(|kb| kb << 10)
}
