//! Names of files: which files of a directory are policies, and which are tests of policies.
//!
//! `policyc` and `policyd` search directories each in their own way, but must agree on what counts. Nothing is read here.

/// Endings of policy files; in names they may be written in capitals too.
pub const ENDINGS: [&str; 3] = [".yaml", ".yml", ".json"];

/// The name without the ending of a policy file; `None` where it has none.
#[must_use]
pub fn stem(name: &str) -> Option<&str> {
    ENDINGS.iter().find_map(|ending| {
        let (stem, last) = name.split_at_checked(name.len().checked_sub(ending.len())?)?;
        last.eq_ignore_ascii_case(ending).then_some(stem)
    })
}

/// The name of a document that a server keeps, in diagnostics: `namespace/id.yaml`. Two documents never have one name, whatever
/// characters namespaces and ids hold.
#[must_use]
pub fn stored(namespace: &str, id: &str, format: &str) -> String {
    format!("{}{id}.{format}", stored_in(namespace))
}

/// How the names of all stored documents of a namespace begin, and of no other ones.
#[must_use]
pub fn stored_in(namespace: &str) -> String {
    let escaped = namespace.replace('%', "%25").replace('/', "%2F");
    format!("{escaped}/")
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

/// Whether a file that a search of directories passes over holds policies all the same, going by its name and its
/// first bytes: a policy with another ending (`deny.yaml.bak`, `deny`), a hidden one, one that is named like a test, or
/// one in the text DSL. Whoever searches says so, because a policy that is silently not there is an allow.
#[must_use]
pub fn looks_like_policy(name: &str, start: &[u8]) -> bool {
    let rego = name
        .get(name.len().saturating_sub(5)..)
        .is_some_and(|ending| ending.eq_ignore_ascii_case(".rego"));
    if rego {
        return !name.to_ascii_lowercase().ends_with("_test.rego");
    }
    let text = String::from_utf8_lossy(start);
    let text = text.trim_start_matches('\u{feff}').trim_start();
    if text.starts_with(['{', '[']) {
        return text.contains("\"metadata\"") && text.contains("\"rules\"");
    }
    let mut lines = text
        .lines()
        .map(|line| line.trim_end())
        .filter(|line| !line.is_empty() && !line.starts_with(['#', '%', '-']));
    let key = |line: &str| {
        let (key, _) = line.split_once(':')?;
        let key = key.trim_matches(['"', '\'']);
        ["metadata", "rules", "status", "onError"]
            .into_iter()
            .find(|known| *known == key)
    };
    let Some(first) = lines.next().and_then(key) else {
        return false;
    };
    let (mut metadata, mut rules) = (first == "metadata", first == "rules");
    for key in lines.filter_map(key) {
        metadata |= key == "metadata";
        rules |= key == "rules";
    }
    metadata && rules
}

/// Whether a search passes over files and directories of this name. Volumes of clusters keep their files below `..data`,
/// reached by links beside it.
#[must_use]
pub fn is_hidden(name: &str) -> bool {
    name.starts_with('.')
}

#[cfg(test)]
mod tests {
    use super::{is_hidden, is_policy_file, is_test_file, looks_like_policy};

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
            ("a.YAML", true, false),
            ("A.Yml", true, false),
            ("a_test.JSON", false, true),
            ("é.yaml", true, false),
            ("aéyaml", false, false),
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

    #[test]
    fn contents_say_what_is_missed() {
        let policy = "# a comment\n---\nmetadata: { id: a, name: A }\nrules: []\n";
        for (name, text, expected) in [
            ("a.yaml.bak", policy, true),
            ("a", policy, true),
            ("a.txt", "\u{feff}rules: []\r\n\"metadata\":\r\n", true),
            ("a.jsonc", "{ \"rules\": [], \"metadata\": {} }", true),
            ("a.REGO", "package a", true),
            ("a_test.rego", "package a", false),
            (
                "README.md",
                "# Policies\n\nmetadata: and rules: are keys\n",
                false,
            ),
            ("values.tpl", "metadata:\n  name: x\nspec:\n  rules: []\n", false),
            ("data.jsonl", "{\"llm\": {}}", false),
            ("empty", "", false),
        ] {
            assert_eq!(looks_like_policy(name, text.as_bytes()), expected, "{name}");
        }
    }
}
