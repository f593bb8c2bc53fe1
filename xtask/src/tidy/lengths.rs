//! How long files of product code are: a file that nobody reads to its end is one that nobody knows.

/// Lines that no file has more of.
const MOST: usize = 700;

/// Lines that nine files of ten stay below.
const USUAL: usize = 400;

/// Folders of crates that are not the product.
const OTHERS: &[&str] = &["benches/", "conformance/", "xtask/"];

/// Looks at the files of product code among these, each with its number of lines.
pub(super) fn check<'f>(files: impl Iterator<Item = (&'f str, usize)>, problems: &mut Vec<String>) {
    let (mut all, mut long) = (0_usize, Vec::new());
    for (name, lines) in files.filter(|(name, _)| is_product(name)) {
        all += 1;
        if lines > MOST {
            problems.push(format!("{name}: {lines} lines, and no file has more than {MOST}"));
        }
        if lines > USUAL {
            long.push(name);
        }
    }
    if long.len() * 10 > all {
        problems.push(format!(
            "{} of {all} files have more than {USUAL} lines, and one of ten may: {}",
            long.len(),
            long.join(", ")
        ));
    }
}

/// Whether a file is code of the product: no test, example or tool.
fn is_product(name: &str) -> bool {
    let test = name.ends_with("/tests.rs") || name.contains("/tests/") || name.contains("/examples/");
    name.ends_with(".rs")
        && name.contains("src/")
        && !test
        && !OTHERS.iter().any(|other| name.starts_with(other))
}

#[cfg(test)]
mod tests {
    use super::check;

    fn problems(files: &[(&str, usize)]) -> usize {
        let mut problems = Vec::new();
        check(files.iter().copied(), &mut problems);
        problems.len()
    }

    #[test]
    fn long_files_of_the_product_are_found() {
        let short: Vec<(String, usize)> = (0..9).map(|n| (format!("vm/src/f{n}.rs"), 400)).collect();
        let with = |more: &[(&str, usize)]| {
            let mut files: Vec<(&str, usize)> = short
                .iter()
                .map(|(name, lines)| (name.as_str(), *lines))
                .collect();
            files.extend_from_slice(more);
            problems(&files)
        };
        assert_eq!(with(&[("vm/src/long.rs", 700)]), 0);
        assert_eq!(with(&[("vm/src/long.rs", 701)]), 1);
        assert_eq!(with(&[("vm/src/a.rs", 401), ("vm/src/b.rs", 401)]), 1);
        let others = [
            ("vm/src/json/tests.rs", 900),
            ("server/tests/rest.rs", 900),
            ("conformance/src/a.rs", 900),
        ];
        assert_eq!(with(&others), 0);
    }
}
