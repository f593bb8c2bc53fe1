//! The one table of diagnostic codes. `docs/errors.md` and the SARIF rule list are expansions of it.
//!
//! Codes are never reused. `E00xx` document shape, `E01xx` conditions, `E02xx` actions, `E03xx` compile-time meaning,
//! `E04xx` limits of a compilation, `W….` warnings, `B….` internal errors.

use crate::diagnostic::Severity;

macro_rules! codes {
    ($( $variant:ident = $code:literal, $severity:ident, $name:literal, $explanation:literal; )*) => {
        /// Stable code of a diagnostic.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Code { $( #[doc = $explanation] $variant, )* }

        impl Code {
            /// Every code, in table order.
            pub const ALL: &'static [Code] = &[ $( Code::$variant, )* ];

            /// The code as printed, such as `E0001`.
            #[must_use]
            pub fn as_str(self) -> &'static str { match self { $( Code::$variant => $code, )* } }

            /// Short kebab-case name.
            #[must_use]
            pub fn name(self) -> &'static str { match self { $( Code::$variant => $name, )* } }

            /// Severity unless raised by `--strict`.
            #[must_use]
            pub fn severity(self) -> Severity { match self { $( Code::$variant => Severity::$severity, )* } }

            /// What it means and what to do about it.
            #[must_use]
            pub fn explanation(self) -> &'static str { match self { $( Code::$variant => $explanation, )* } }
        }
    };
}

codes! {
    Syntax = "E0001", Error, "syntax", "The text is not well-formed YAML or JSON.";
    Limit = "E0002", Error, "limit", "The document exceeds a limit: size, depth, number of nodes, or alias expansion.";
    WrongType = "E0003", Error, "wrong-type", "A value has another type than this place takes.";
    UnknownKey = "E0004", Error, "unknown-key", "A key that this place does not know; most often a spelling mistake.";
    DuplicateKey = "E0005", Error, "duplicate-key", "The same key occurs twice in one mapping.";
    MissingKey = "E0006", Error, "missing-key", "A required key is absent.";
    EmptyDocument = "E0007", Error, "empty-document", "The file holds no policy document.";
    InvalidValue = "E0008", Error, "invalid-value", "A value outside what this place takes, such as an unknown status.";
    OtherDialect = "E0009", Error, "other-dialect", "The document is written in another policy dialect; the help says how to express it here.";
    NotUtf8 = "E0010", Error, "not-utf8", "The file is not valid UTF-8.";
    NotSupportedYet = "E0011", Error, "not-supported-yet", "A construct that is part of the language but that this version does not compile yet.";
    DuplicateRuleId = "E0012", Error, "duplicate-rule-id", "Two rules of one policy share an id.";
    ConflictingKeys = "E0013", Error, "conflicting-keys", "Two keys that exclude each other, such as `condition` and `when`.";
    Unreadable = "E0014", Error, "unreadable", "The file cannot be read.";
    DuplicateTest = "E0015", Error, "duplicate-test", "Two tests of one file have the same name.";
    Import = "E0016", Error, "import", "A file that `import` names cannot be used: it is not there, it holds no definitions, it has errors, or it imports itself.";
    DuplicateConstant = "E0017", Error, "duplicate-constant", "Two constants have the same name: in `let` and in an imported file, or in two imported files.";
    UnknownConstant = "E0018", Error, "unknown-constant", "A path that starts with `let.` names no constant, or stands where no constant can: a constant is what a field is compared with (`valueFrom`), or part of a text or value of an action.";
    UnknownOperator = "E0101", Error, "unknown-operator", "The condition operator does not exist.";
    MissingOperand = "E0102", Error, "missing-operand", "An operator lacks what it needs: `field`, `value` or `conditions`.";
    UnexpectedOperand = "E0103", Error, "unexpected-operand", "An operator was given something that it does not take.";
    EmptyConditions = "E0104", Error, "empty-conditions", "`and` and `or` need at least one condition.";
    NotArity = "E0105", Error, "not-arity", "`not` takes exactly one condition.";
    InvalidRegex = "E0106", Error, "invalid-regex", "The pattern is not a valid regular expression of the linear-time dialect.";
    UnsupportedRegex = "E0107", Error, "unsupported-regex", "The pattern uses look-around or back-references, which no linear-time engine can run.";
    InvalidPath = "E0108", Error, "invalid-path", "The field path is malformed.";
    OperandType = "E0109", Error, "operand-type", "The operator can never work with an operand of this type.";
    MissingModifications = "E0201", Error, "missing-modifications", "A `modify` action needs `modifications`.";
    UnexpectedModifications = "E0202", Error, "unexpected-modifications", "Only a `modify` action takes `modifications`.";
    UnknownVerb = "E0203", Error, "unknown-verb", "The modification verb does not exist.";
    InvalidVerb = "E0204", Error, "invalid-verb", "A modification verb was given an operand that it does not take.";
    InvalidTemplate = "E0205", Error, "invalid-template", "A `{{ … }}` placeholder is malformed.";
    DuplicatePolicyId = "E0301", Error, "duplicate-policy-id", "Two policies of one namespace share an id.";
    SchemaInvalid = "E0303", Error, "schema-invalid", "The context schema given with `--schema` cannot be used.";
    ReadOnlyField = "E0304", Error, "read-only-field", "A modification of a field that is computed, not sent.";
    TooLarge = "E0305", Error, "too-large", "The policy set exceeds a limit of the bytecode format.";
    TooExpensive = "E0306", Error, "too-expensive", "One evaluation of the policy set may cost more than the limit that was given; a unit is roughly a nanosecond.";
    InvalidOperand = "E0307", Error, "invalid-operand", "A constant that the operator cannot read: what is no network, no instant, or no window of time.";
    BreaksContext = "E0308", Error, "breaks-context", "A modification that would make a part of the context that is known to be an object something else.";
    AmbiguousElement = "E0309", Error, "ambiguous-element", "Two modifications count the elements of one list from its two ends, or from the end to different places: in a short list they are one element, and neither knows of the other.";
    TooMuchSource = "E0401", Error, "too-much-source", "The files of the policy set are larger together than the limit.";
    TooManyRules = "E0402", Error, "too-many-rules", "The policy set has more rules than the limit.";
    TooManyConditions = "E0403", Error, "too-many-conditions", "The policy set has more conditions than the limit; `and`, `or`, `not` and every comparison count.";
    DeepCondition = "E0404", Error, "deep-condition", "A condition nests deeper than the limit.";
    TooManyConstants = "E0405", Error, "too-many-constants", "The values in the policy set are more than the limit; every item of a list and every member of a mapping counts.";
    LongPattern = "E0406", Error, "long-pattern", "A pattern is longer than the limit.";
    LargePatterns = "E0407", Error, "large-patterns", "The different patterns of the policy set are larger together, once compiled, than the limit.";
    TooManyPlaceholders = "E0408", Error, "too-many-placeholders", "The texts of the policy set have more `{{ … }}` placeholders than the limit.";
    LongName = "E0409", Error, "long-name", "An id, a name, a namespace, a version or a path is longer than the limit.";
    MoreProblems = "E0410", Error, "more-problems", "There are more problems than the limit of those that are reported; the rest is left out.";
    Stopped = "E0411", Error, "stopped", "The compilation was stopped before it was done: its time was over, or nobody waited for it any more. Nothing is wrong with the policies that anybody knows of.";
    LargeConstants = "E0412", Error, "large-values", "The values in the policy set take more than the limit when each is written out in full: their texts and keys count once for every list and mapping that they stand in.";
    ListInContains = "W0003", Warning, "list-in-contains", "`contains` with a list looks for that list as one element; several values need `or`.";
    NotSemver = "W0001", Warning, "not-semver", "The policy version is not a semantic version.";
    UnknownField = "W0002", Warning, "unknown-field", "A path below a known part of the context that is not a known field.";
    ItemUnused = "W0004", Warning, "item-unused", "The condition of `any` or `all` does not look at `item`, so it says the same of every element; most often `item.` is missing in front of a path.";
    UnusedConstant = "W0005", Warning, "unused-constant", "Nothing uses a constant of `let`, or anything that an imported file defines.";
    AlwaysTrue = "W0101", Warning, "always-true", "The condition is true for every request.";
    AlwaysFalse = "W0102", Warning, "always-false", "The condition is false for every request: the rule never fires.";
    Contradiction = "W0103", Warning, "contradiction", "Two parts of the condition contradict each other.";
    UnreachableRule = "W0104", Warning, "unreachable-rule", "The rule can never be reached or never changes a decision.";
    ShadowedRule = "W0105", Warning, "shadowed-rule", "Whenever this rule fires, an earlier rule has already decided.";
    RedundantCondition = "W0106", Warning, "redundant-condition", "A part of the condition is implied by another part.";
    UnindexedRule = "W0107", Warning, "unindexed-rule", "The rule has to be looked at for every request.";
    DisabledRule = "W0108", Warning, "no-active-rules", "The policy has no rule that could ever fire.";
    TypeMismatch = "W0109", Warning, "type-mismatch", "A condition compares a field with a value of a type that the field never has.";
    SlowPattern = "W0110", Warning, "slow-pattern", "No text is part of every match of this pattern, and its automaton is too large to store: unlike other patterns it takes a slow pass of its own over every prompt.";
    ControlInPattern = "W0111", Warning, "control-in-pattern", "A pattern holds a control character, most often a backspace from `\"\\b\"` in double quotes, or ends in the line break of a block: texts hardly ever hold it.";
    ModelSpelling = "W0112", Warning, "model-spelling", "A deny rule lists models by `llm.model`, which other spellings of the same model pass (`openai/gpt-4o`, `GPT-4o`, `gpt-4o-2024-08-06`); `llm.canonicalModel` is the same for all of them.";
    MixedNamespaces = "W0113", Warning, "mixed-namespaces", "Some policies are in the namespace `default` and others in named ones: a request that names a namespace meets those of `default` no more.";
    VainModification = "W0114", Warning, "vain-modification", "A deny rule refuses every request that this modification would change, so that it never takes effect.";
    UnknownWord = "W0115", Warning, "unknown-word", "A condition looks for a word that the field never holds: a misspelt type of personal data or category of injection, or capitals in `llm.normalizedText`.";
    UnknownTemplateField = "W0201", Warning, "unknown-template-field", "A `{{ path }}` whose path is not a known context field.";
    CutText = "W0202", Warning, "cut-text", "A `#` after a blank cuts a text without quotes, where what follows reads like the rest of it.";
    UnusedContext = "W0203", Warning, "unused-context", "A test file describes a context that none of its tests uses.";
    IgnoredPolicy = "W0204", Warning, "ignored-policy", "A file that looks like a policy is not read, because a `.gitignore` lists it.";
    BadSuppression = "W0205", Warning, "bad-suppression", "A comment `# policyc: allow …` that has no effect: it lacks a reason, or names no code of a warning.";
    UnusedSuppression = "W0206", Warning, "unused-suppression", "A comment `# policyc: allow …` allows a warning that is not there.";
    Internal = "B0001", Bug, "internal", "An internal error of the compiler; please report it with the policy that caused it.";
}

#[cfg(test)]
mod tests {
    use super::Code;
    use std::collections::BTreeSet;

    #[test]
    fn codes_and_names_are_unique() {
        let codes: BTreeSet<_> = Code::ALL.iter().map(|c| c.as_str()).collect();
        let names: BTreeSet<_> = Code::ALL.iter().map(|c| c.name()).collect();
        assert_eq!(codes.len(), Code::ALL.len());
        assert_eq!(names.len(), Code::ALL.len());
    }
}
