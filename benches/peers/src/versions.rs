//! Versions of the contenders, from the lock file that this program was built with.

const LOCK: &str = include_str!("../Cargo.lock");

/// The version of a package that this workspace depends on.
pub(crate) fn of(package: &str) -> &'static str {
    let name = format!("name = \"{package}\"");
    let mut lines = LOCK.lines().skip_while(|line| *line != name);
    lines.next();
    lines
        .next()
        .and_then(|line| line.strip_prefix("version = \"")?.strip_suffix('"'))
        .unwrap_or("?")
}

#[cfg(test)]
mod tests {
    #[test]
    fn every_contender_has_a_version() {
        for engine in &crate::contenders::ALL {
            if let Some(package) = engine.package {
                assert_ne!(super::of(package), "?", "{package}");
            }
        }
    }
}
