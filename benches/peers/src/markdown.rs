//! How numbers look in tables.

use policy_benches::machine::Machine;

/// Nanoseconds with three digits and a unit.
pub(crate) fn time(ns: f64) -> String {
    let (value, unit) = match ns {
        ns if ns < 1e3 => (ns, "ns"),
        ns if ns < 1e6 => (ns / 1e3, "µs"),
        ns if ns < 1e9 => (ns / 1e6, "ms"),
        ns => (ns / 1e9, "s"),
    };
    format!("{} {unit}", digits(value))
}

/// A ratio or a value with three digits at most.
pub(crate) fn digits(value: f64) -> String {
    match value {
        value if value < 0.0995 => format!("{value:.3}"),
        value if value < 9.995 => format!("{value:.2}"),
        value if value < 99.95 => format!("{value:.1}"),
        value => format!("{value:.0}"),
    }
}

/// The sentence above every table: on what it was measured.
pub(crate) fn machine(machine: &Machine, rounds: usize) {
    let Machine {
        cpu,
        cores,
        system,
        rustc,
        ..
    } = machine;
    println!(
        "{cpu}, {cores} cores, {system}; {rustc}; one thread, medians of at most {rounds} interleaved rounds.\n"
    );
    if let Some(caveat) = machine.caveat() {
        println!("**{caveat}.**\n");
    }
}

#[cfg(test)]
mod tests {
    use super::{digits, time};

    #[test]
    fn times_have_three_digits() {
        assert_eq!(time(3.456), "3.46 ns");
        assert_eq!(time(34_560.0), "34.6 µs");
        assert_eq!(time(345_600_000.0), "346 ms");
        assert_eq!(digits(0.0123), "0.012");
    }
}
