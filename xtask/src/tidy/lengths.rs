//! How long files of product code are: a file that nobody reads to its end is one that nobody knows.

/// Lines that no file has more of.
const MOST: usize = 700;

/// Lines that nine files of ten stay below.
const USUAL: usize = 400;

/// Folders of crates that are not the product.
const OTHERS: &[&str] = &["benches/", "conformance/", "xtask/"];

/// Looks at the files of product code among these, each with its text.
pub(super) fn check(files: &[(String, String)], problems: &mut Vec<String>) {
    let (mut all, mut long) = (0_usize, Vec::new());
    for (name, text) in files.iter().filter(|(name, _)| is_product(name)) {
        let lines = text.lines().count();
        all += 1;
        if lines > MOST {
            problems.push(format!("{name}: {lines} lines, and no file has more than {MOST}"));
        }
        if lines > USUAL {
            long.push(name.as_str());
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

    #[test]
    fn long_files_of_the_product_are_found() {
        let with = |more: &[(&str, usize)]| {
            let short = (0..9).map(|n| (format!("vm/src/f{n}.rs"), 400));
            let more = more.iter().map(|(name, lines)| ((*name).to_owned(), *lines));
            let files: Vec<(String, String)> = short
                .chain(more)
                .map(|(name, lines)| (name, "\n".repeat(lines)))
                .collect();
            let mut problems = Vec::new();
            check(&files, &mut problems);
            problems.len()
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
