//! What a model is called whoever sells it, and which family it belongs to.
//!
//! Called with the row that [`super::PriceTable::resolve`] found. The name is the row's, without what does not make
//! another model of it: sellers and regions before it, dates, versions and words such as `latest` behind it. So one
//! entry of a policy's list stands for every spelling that has a price.

use super::entry::Entry;
use super::spelling::{Rest, borders, is_region};

/// Makers whose name stands before the model's with a dot between, as Bedrock writes it.
const MAKERS: [&str; 20] = [
    "ai21",
    "amazon",
    "anthropic",
    "cohere",
    "deepseek",
    "google",
    "luma",
    "meta",
    "minimax",
    "mistral",
    "moonshot",
    "moonshotai",
    "nvidia",
    "openai",
    "qwen",
    "stability",
    "twelvelabs",
    "writer",
    "xai",
    "zai",
];

/// Names of the same model that no rule brings together.
const SAME: [(&str, &str); 6] = [
    ("gpt-4-1106-preview", "gpt-4-turbo"),
    ("gpt-4-0125-preview", "gpt-4-turbo"),
    ("gpt-35-turbo", "gpt-3.5-turbo"),
    ("gpt-35-turbo-16k", "gpt-3.5-turbo-16k"),
    ("gpt-35-turbo-instruct", "gpt-3.5-turbo-instruct"),
    ("chatgpt-4o", "gpt-4o"),
];

/// Families that do not begin their models' names.
const FAMILIES: [(&str, &str); 14] = [
    ("chatgpt", "gpt"),
    ("codex", "gpt"),
    ("computer", "gpt"),
    ("codestral", "mistral"),
    ("devstral", "mistral"),
    ("magistral", "mistral"),
    ("mathstral", "mistral"),
    ("ministral", "mistral"),
    ("mixtral", "mistral"),
    ("open", "mistral"),
    ("pixtral", "mistral"),
    ("voxtral", "mistral"),
    ("qvq", "qwen"),
    ("qwq", "qwen"),
];

/// Appends the canonical name of the model of `entry`: `gpt-4o` for `azure/eu/gpt-4o-2024-08-06`. O(length²) of a name.
///
/// ```
/// use policy_primitives::prices::{PriceTable, Resolution, canonical_name, family_name};
///
/// let found = PriceTable::builtin().resolve(Some("openai"), "openai/GPT-4o-2024-08-06");
/// let Resolution::Known { entry, .. } = found else { panic!("it has a price") };
/// let mut name = String::new();
/// canonical_name(entry, &mut name);
/// assert_eq!(name, "gpt-4o");
/// assert_eq!(family_name(&name), "gpt");
/// ```
pub fn canonical_name(entry: &Entry, out: &mut String) {
    let name = entry.name.rsplit('/').find(|part| !part.is_empty());
    let name = without_maker(name.unwrap_or(&entry.name));
    let name = name.strip_prefix("ft:").unwrap_or(name);
    // `:free`, `:online`: what a gateway does with it.
    let name = match name.rsplit_once(':') {
        Some((model, how)) if !model.is_empty() && how.bytes().all(|b| b.is_ascii_alphabetic()) => model,
        Some(_) | None => name,
    };
    let name = same(name).unwrap_or(name);
    let cut = borders(name)
        .filter(|&at| at > 0 && name.get(at + 1..).and_then(Rest::of).is_some())
        .last();
    let name = cut.and_then(|at| name.get(..at)).unwrap_or(name);
    let name = same(name).unwrap_or(name);
    // Anthropic writes `claude-sonnet-4-5`, some gateways `claude-sonnet-4.5`.
    let dotted =
        name.starts_with("claude-") && !name.starts_with("claude-2") && !name.starts_with("claude-instant");
    out.extend(name.chars().map(|c| if dotted && c == '.' { '-' } else { c }));
}

/// The family of a model by its canonical name: the letters that it begins with, `gpt` for `gpt-4o-mini`; models of
/// the names `o1`, `o3` and so on are of the family `o`.
pub fn family_name(canonical: &str) -> &str {
    let end = canonical
        .find(|c: char| !c.is_alphabetic())
        .unwrap_or(canonical.len());
    let word = canonical
        .get(..end)
        .filter(|word| !word.is_empty())
        .unwrap_or(canonical);
    FAMILIES
        .iter()
        .find(|(name, _)| *name == word)
        .map_or(word, |(_, family)| family)
}

fn same(name: &str) -> Option<&'static str> {
    SAME.iter()
        .find(|(other, _)| *other == name)
        .map(|(_, known)| *known)
}

/// `us.anthropic.claude-…` without the region and the maker.
fn without_maker(name: &str) -> &str {
    let mut rest = name;
    if let Some((region, model)) = rest.split_once('.')
        && is_region(region)
    {
        rest = model;
    }
    match rest.split_once('.') {
        Some((maker, model)) if MAKERS.contains(&maker) && model.starts_with(|c: char| c.is_alphabetic()) => {
            model
        }
        Some(_) | None => rest,
    }
}

#[cfg(test)]
mod tests {
    use super::{canonical_name, family_name};
    use crate::prices::{PriceTable, Resolution};

    fn names(provider: Option<&str>, model: &str) -> Option<(String, String)> {
        match PriceTable::builtin().resolve(provider, model) {
            Resolution::Known { entry, .. } => {
                let mut name = String::new();
                canonical_name(entry, &mut name);
                let family = family_name(&name).to_owned();
                Some((name, family))
            }
            Resolution::Unknown => None,
        }
    }

    #[test]
    fn one_model_has_one_name_whoever_sells_it() {
        let cases = [
            (None, "GPT-4o", "gpt-4o", "gpt"),
            (None, "openai/GPT-4o-2024-08-06", "gpt-4o", "gpt"),
            (Some("azure"), "azure/gpt-4o", "gpt-4o", "gpt"),
            (
                None,
                "ft:gpt-4o-mini-2024-07-18:acme::abc123",
                "gpt-4o-mini",
                "gpt",
            ),
            (None, "gpt-4-0613", "gpt-4", "gpt"),
            (None, "gpt-4-1106-preview", "gpt-4-turbo", "gpt"),
            (None, "gpt-3.5-turbo-0125", "gpt-3.5-turbo", "gpt"),
            (None, "o1-pro", "o1-pro", "o"),
            (None, "o3-mini-2025-01-31", "o3-mini", "o"),
            (None, "claude-sonnet-4-5-20250929", "claude-sonnet-4-5", "claude"),
            (
                Some("anthropic"),
                "anthropic/claude-sonnet-4-5",
                "claude-sonnet-4-5",
                "claude",
            ),
            (
                Some("vertex_ai"),
                "claude-sonnet-4-5@20250929",
                "claude-sonnet-4-5",
                "claude",
            ),
            (
                Some("bedrock"),
                "us.anthropic.claude-sonnet-4-5-20250929-v1:0",
                "claude-sonnet-4-5",
                "claude",
            ),
            (
                Some("openrouter"),
                "anthropic/claude-sonnet-4-5",
                "claude-sonnet-4-5",
                "claude",
            ),
            (
                Some("gemini"),
                "models/gemini-2.5-pro",
                "gemini-2.5-pro",
                "gemini",
            ),
            (
                Some("vertex_ai"),
                "vertex_ai/gemini-2.5-pro",
                "gemini-2.5-pro",
                "gemini",
            ),
        ];
        for (provider, model, name, family) in cases {
            assert_eq!(
                names(provider, model),
                Some((name.to_owned(), family.to_owned())),
                "{model}"
            );
        }
        assert_eq!(names(None, "brand-new-model"), None);
    }

    #[test]
    fn a_canonical_name_is_its_own() {
        let mut changed = Vec::new();
        for entry in PriceTable::builtin().entries() {
            let mut name = String::new();
            canonical_name(entry, &mut name);
            assert!(
                !name.is_empty() && !name.contains('/'),
                "{name:?} of {}",
                entry.name
            );
            let mut again = String::new();
            let mut same = entry.clone();
            same.name = name.as_str().into();
            canonical_name(&same, &mut again);
            if again != name {
                changed.push(format!("{} -> {name} -> {again}", entry.name));
            }
        }
        assert!(changed.is_empty(), "{changed:#?}");
    }
}
