//! Words of other policy languages and the habits of other tools for the words of documents.
//!
//! [`suggest`] looks into these tables first and then at the spelling, as [`near`](crate::near) does. A word that negates a
//! known one never stands for it: `not_exists` is no misspelt `exists`. Pure functions over strings; the walk turns the
//! answer into a diagnostic.

use crate::suggest::{LONGEST, is_near};

/// Words of other policy languages for our operators.
const OPERATORS: &[(&str, &str)] = &[
    ("equals", "eq"),
    ("equal", "eq"),
    ("equalto", "eq"),
    ("is", "eq"),
    ("=", "eq"),
    ("==", "eq"),
    ("===", "eq"),
    ("notequals", "ne"),
    ("notequal", "ne"),
    ("isnot", "ne"),
    ("neq", "ne"),
    ("noteq", "ne"),
    ("noteqto", "ne"),
    ("!=", "ne"),
    ("!==", "ne"),
    ("<>", "ne"),
    ("greaterthan", "gt"),
    ("greater", "gt"),
    ("above", "gt"),
    (">", "gt"),
    ("greaterthanorequal", "gte"),
    ("greaterthanorequals", "gte"),
    ("greaterthanorequalto", "gte"),
    ("greaterorequal", "gte"),
    ("atleast", "gte"),
    ("ge", "gte"),
    (">=", "gte"),
    ("lessthan", "lt"),
    ("less", "lt"),
    ("below", "lt"),
    ("<", "lt"),
    ("lessthanorequal", "lte"),
    ("lessthanorequals", "lte"),
    ("lessthanorequalto", "lte"),
    ("lessorequal", "lte"),
    ("atmost", "lte"),
    ("le", "lte"),
    ("<=", "lte"),
    ("oneof", "in"),
    ("anyof", "in"),
    ("memberof", "in"),
    ("noneof", "not_in"),
    ("nin", "not_in"),
    ("includes", "contains"),
    ("has", "contains"),
    ("excludes", "not_contains"),
    ("doesnotcontain", "not_contains"),
    ("prefix", "starts_with"),
    ("hasprefix", "starts_with"),
    ("beginswith", "starts_with"),
    ("suffix", "ends_with"),
    ("hassuffix", "ends_with"),
    ("regex", "matches"),
    ("regexp", "matches"),
    ("match", "matches"),
    ("like", "matches"),
    ("notregex", "not_matches"),
    ("notlike", "not_matches"),
    ("doesnotmatch", "not_matches"),
    ("doesnotstartwith", "not_starts_with"),
    ("notprefix", "not_starts_with"),
    ("doesnotendwith", "not_ends_with"),
    ("notsuffix", "not_ends_with"),
    ("!~", "not_matches"),
    ("cidr", "in_cidr"),
    ("cidrmatch", "in_cidr"),
    ("insubnet", "in_cidr"),
    ("innetwork", "in_cidr"),
    ("ipinrange", "in_cidr"),
    ("iprange", "in_cidr"),
    ("earlier", "before"),
    ("earlierthan", "before"),
    ("later", "after"),
    ("laterthan", "after"),
    ("timeofday", "time_between"),
    ("=~", "matches"),
    ("~", "matches"),
    ("present", "exists"),
    ("defined", "exists"),
    ("isset", "exists"),
    ("all", "and"),
    ("allof", "and"),
    ("&&", "and"),
    ("any", "or"),
    ("||", "or"),
    ("none", "not"),
    ("some", "any"),
    ("every", "all"),
    ("each", "all"),
    ("foreach", "all"),
    ("forall", "all"),
    ("!", "not"),
];

/// Words for decisions.
const DECISIONS: &[(&str, &str)] = &[
    ("block", "deny"),
    ("reject", "deny"),
    ("refuse", "deny"),
    ("forbid", "deny"),
    ("denied", "deny"),
    ("permit", "allow"),
    ("accept", "allow"),
    ("pass", "allow"),
    ("allowed", "allow"),
    ("alert", "warn"),
    ("warning", "warn"),
    ("log", "warn"),
    ("audit", "warn"),
    ("allowwithwarning", "warn"),
    ("redact", "modify"),
    ("transform", "modify"),
    ("mutate", "modify"),
    ("change", "modify"),
];

/// Words for the states of a policy.
const STATUSES: &[(&str, &str)] = &[
    ("enabled", "active"),
    ("enforced", "active"),
    ("on", "active"),
    ("disabled", "draft"),
    ("inactive", "draft"),
    ("off", "draft"),
    ("retired", "deprecated"),
    ("archived", "deprecated"),
];

/// Words for what a condition that cannot be evaluated does.
const ON_ERROR: &[(&str, &str)] = &[
    ("fire", "match"),
    ("deny", "match"),
    ("closed", "match"),
    ("failclosed", "match"),
    ("ignore", "skip"),
    ("allow", "skip"),
    ("open", "skip"),
    ("failopen", "skip"),
];

/// Words for modification verbs.
const VERBS: &[(&str, &str)] = &[
    ("$max", "$cap"),
    ("$limit", "$cap"),
    ("$atmost", "$cap"),
    ("$min", "$floor"),
    ("$atleast", "$floor"),
    ("$push", "$append"),
    ("$add", "$append"),
    ("$concat", "$append"),
    ("$unset", "$remove"),
    ("$delete", "$remove"),
    ("$drop", "$remove"),
    ("$mask", "$redact"),
    ("$setdefault", "$default"),
    ("$setoninsert", "$default"),
];

/// Words for keys.
const KEYS: &[(&str, &str)] = &[
    ("op", "operator"),
    ("path", "field"),
    ("attribute", "field"),
    ("key", "field"),
    ("values", "value"),
    ("operands", "conditions"),
    ("children", "conditions"),
    ("type", "decision"),
    ("effect", "decision"),
    ("message", "reason"),
    ("changes", "modifications"),
    ("valueref", "valueFrom"),
    ("otherfield", "valueFrom"),
    ("caseinsensitive", "ignoreCase"),
    ("nocase", "ignoreCase"),
    ("labels", "tags"),
    ("title", "name"),
    ("state", "status"),
    ("if", "condition"),
    ("then", "action"),
];

/// What kind of word is unknown; decides which table of other languages' words applies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Words {
    /// A key of a mapping.
    Key,
    /// An operator.
    Operator,
    /// A decision.
    Decision,
    /// A policy status.
    Status,
    /// `match` or `skip`.
    OnError,
    /// A `$verb`.
    Verb,
}

/// The known word that `word` most likely stands for, if any is near.
pub(crate) fn suggest(word: &str, words: Words, known: &[&'static str]) -> Option<&'static str> {
    let plain = normalise(word);
    if let Some(exact) = known.iter().find(|k| normalise(k) == plain) {
        return Some(exact);
    }
    let table = match words {
        Words::Key => KEYS,
        Words::Operator => OPERATORS,
        Words::Decision => DECISIONS,
        Words::Status => STATUSES,
        Words::OnError => ON_ERROR,
        Words::Verb => VERBS,
    };
    if let Some((_, ours)) = table
        .iter()
        .find(|(theirs, ours)| *theirs == plain && known.contains(ours))
    {
        return Some(ours);
    }
    // The negation of a known word, where that has a name of its own, was found above.
    let negated = |k: &&&str| {
        let rest = plain.strip_suffix(&normalise(k));
        rest.is_some_and(|rest| NEGATIONS.contains(&rest))
    };
    if known.iter().any(|k| negated(&k)) {
        return None;
    }
    // Comparing is quadratic in the length, and a long word is no spelling mistake.
    if plain.chars().count() > LONGEST {
        return None;
    }
    known
        .iter()
        .map(|k| (strsim::damerau_levenshtein(&plain, &normalise(k)), *k))
        .filter(|(distance, k)| {
            is_near(*distance, plain.chars().count(), k.chars().count())
                && !opposite(&plain, &normalise(k), *distance)
        })
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, k)| k)
}

/// What words that negate begin with.
const NEGATIONS: [&str; 14] = [
    "doesnot", "doesnt", "isnot", "isnt", "never", "without", "non", "not", "dis", "un", "in", "no", "n", "!",
];

/// Whether one of two normalised words is the other with a negation before it, however the rest is spelt: without the
/// negation it comes nearer. Our own words negate with `not`.
fn opposite(word: &str, known: &str, distance: usize) -> bool {
    let nearer = |negations: &[&str], negated: &str, other: &str| {
        negations.iter().any(|negation| {
            negated
                .strip_prefix(negation)
                .is_some_and(|rest| !rest.is_empty() && strsim::damerau_levenshtein(rest, other) < distance)
        })
    };
    nearer(&NEGATIONS, word, known) || nearer(&["not"], known, word)
}

/// The known operator that `word` is with a negation before it.
pub(crate) fn negates(word: &str, known: &[&'static str]) -> Option<&'static str> {
    let plain = normalise(word);
    NEGATIONS.iter().find_map(|negation| {
        let rest = plain.strip_prefix(negation)?;
        match known.iter().find(|k| normalise(k) == rest) {
            Some(exact) => Some(*exact),
            // A short rest is near to anything.
            None if rest.chars().count() > 3 => suggest(rest, Words::Operator, known),
            None => None,
        }
    })
}

/// Lower case without `_`, `-` and blanks.
fn normalise(word: &str) -> String {
    word.chars()
        .filter(|c| !matches!(c, '_' | '-' | ' '))
        .flat_map(char::to_lowercase)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn near_words() {
        let operators = &[
            "eq", "ne", "gt", "gte", "in", "not_in", "contains", "matches", "and",
        ];
        let op = |w: &str| suggest(w, Words::Operator, operators);
        assert_eq!(op("equals"), Some("eq"));
        assert_eq!(op("greater_than_or_equals"), Some("gte"));
        assert_eq!(op("EQ"), Some("eq"));
        assert_eq!(op("notIn"), Some("not_in"));
        assert_eq!(op("contians"), Some("contains"));
        assert_eq!(op(">="), Some("gte"));
        assert_eq!(op("semantic_similarity"), None);
        assert_eq!(op("x"), None);
        assert_eq!(op(&"é".repeat(100_000)), None);
        // The opposite is never offered, in either direction.
        assert_eq!(op("not_in"), Some("not_in"));
        assert_eq!(op("note_in"), Some("not_in"));
        for word in [
            "not_matches",
            "nmatches",
            "not_contians",
            "doesnt_contain",
            "does_not_match",
            "nogt",
            "not_exists",
            "notand",
        ] {
            assert_eq!(op(word), None, "{word}");
        }
        assert_eq!(negates("not_matches", operators), Some("matches"));
        assert_eq!(negates("doesnt_contain", operators), Some("contains"));
        assert_eq!(negates("not_near", operators), None);
        let words = |word: &str, kind, known: &[&'static str]| suggest(word, kind, known);
        assert_eq!(words("unactive", Words::Status, &["active", "draft"]), None);
        assert_eq!(words("nallow", Words::Decision, &["allow", "deny"]), None);
        assert_eq!(words("disallow", Words::Decision, &["allow", "deny"]), None);
        assert_eq!(words("alow", Words::Decision, &["allow", "deny"]), Some("allow"));
        // One that is there is.
        let negated = &["contains", "not_contains", "matches", "not_matches"];
        assert_eq!(
            suggest("not_contians", Words::Operator, negated),
            Some("not_contains")
        );
        assert_eq!(suggest("notmatch", Words::Operator, negated), Some("not_matches"));
        assert_eq!(suggest("contians", Words::Operator, negated), Some("contains"));
        assert_eq!(
            suggest("ot_contains", Words::Operator, negated),
            Some("not_contains")
        );
        let keys = &["id", "name", "priority", "tags"];
        assert_eq!(suggest("priorty", Words::Key, keys), Some("priority"));
        assert_eq!(suggest("labels", Words::Key, keys), Some("tags"));
        assert_eq!(suggest("message", Words::Key, keys), None);
    }
}
