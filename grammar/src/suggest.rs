//! "Did you mean": the known name that an unknown one most likely stands for, by its spelling.
//!
//! One measure for all texts that people write: policies, tests of policies, price files, project files and requests. What
//! is said of the answer is the business of whoever asks. Pure functions over strings.

/// Characters beyond which a word is no spelling mistake. Comparing takes time that is quadratic in the length.
pub(crate) const LONGEST: usize = 40;
/// Bytes of a known name beyond which it is not compared.
const LONGEST_KNOWN: usize = 160;

/// The known name that `word` most likely stands for, if any is near: at most one edit for each three characters of the
/// longer one, and at most three. Small and capital letters are alike. Of names that are equally near the first in the
/// alphabet. Takes as long as all of `known` is.
///
/// # Examples
///
/// ```
/// let known = ["matchedRules", "reason"];
/// assert_eq!(policy_grammar::near("matchd_rules", known.into_iter()), Some("matchedRules"));
/// assert_eq!(policy_grammar::near("rows", known.into_iter()), None);
/// ```
#[must_use]
pub fn near<'k>(word: &str, known: impl Iterator<Item = &'k str>) -> Option<&'k str> {
    let length = word.chars().count();
    if length > LONGEST {
        return None;
    }
    let lower = word.to_lowercase();
    known
        .filter(|name| name.len() <= LONGEST_KNOWN)
        .map(|name| (strsim::damerau_levenshtein(&lower, &name.to_lowercase()), name))
        .filter(|(distance, name)| is_near(*distance, length, name.chars().count()))
        .min()
        .map(|(_, name)| name)
}

/// Whether so many edits between two words of these lengths, in characters, are a spelling mistake of the first.
pub(crate) fn is_near(distance: usize, length: usize, known: usize) -> bool {
    distance <= (length.max(known) / 3).clamp(1, 3) && distance < length
}
