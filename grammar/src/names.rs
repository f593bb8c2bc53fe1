//! Names of files: which files of a directory are policies, and which are tests of policies.
//!
//! `policyc` and `policyd` search directories each in their own way, but must agree on what counts. Nothing is read here.

/// Endings of policy files.
pub const ENDINGS: [&str; 3] = [".yaml", ".yml", ".json"];

/// The name without the ending of a policy file; `None` where it has none.
#[must_use]
pub fn stem(name: &str) -> Option<&str> {
    ENDINGS.iter().find_map(|ending| name.strip_suffix(ending))
}

/// Whether a file of this name holds tests of policies.
#[must_use]
pub fn is_test_file(name: &str) -> bool {
    stem(name).is_some_and(|stem| stem.ends_with("_test"))
}

/// Whether a file of this name is taken for policies where a directory is searched. Hidden ones and tests are not.
#[must_use]
pub fn is_policy_file(name: &str) -> bool {
    stem(name).is_some() && !is_test_file(name) && !is_hidden(name)
}

/// Whether a search passes over files and directories of this name. Volumes of clusters keep their files below `..data`,
/// reached by links beside it.
#[must_use]
pub fn is_hidden(name: &str) -> bool {
    name.starts_with('.')
}

#[cfg(test)]
mod tests {
    use super::{is_hidden, is_policy_file, is_test_file};

    #[test]
    fn names_say_what_files_hold() {
        for (name, policy, test) in [
            ("a.yaml", true, false),
            ("a.yml", true, false),
            ("a.b.json", true, false),
            ("a_test.yaml", false, true),
            ("a_test.json", false, true),
            ("a_tests.yaml", true, false),
            ("_test.b.yaml", true, false),
            ("a.YAML", false, false),
            ("a.yaml~", false, false),
            ("yaml", false, false),
            (".a.yaml", false, false),
            (".yaml", false, false),
        ] {
            assert_eq!(
                (is_policy_file(name), is_test_file(name)),
                (policy, test),
                "{name}"
            );
        }
        assert!(is_hidden("..data") && !is_hidden("a.yaml"));
    }
}
