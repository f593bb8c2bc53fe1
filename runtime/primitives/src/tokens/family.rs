//! Which tokenizer a model uses: from the model's name, as gateways write it, to a [`Family`].
//!
//! Pure string matching on the name; no table of models, so that a model released tomorrow is treated like its
//! siblings. Providers' prefixes (`azure/`, `openrouter/openai/`, `ft:`, Bedrock's `us.anthropic.`) are skipped.
//! Prices have their own resolution in [`crate::prices`]: a wrong tokenizer costs a few per cent, a wrong price does
//! not.

use super::Encoding;

/// Who made the tokenizer. Families whose tokenizer is not public, or not shipped here, are estimated.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum FamilyName {
    /// OpenAI models with the o200k or the cl100k vocabulary: the only ones counted exactly.
    OpenAi,
    /// OpenAI models before cl100k (davinci, curie, …).
    OpenAiLegacy,
    /// Claude up to 4.6.
    Claude,
    /// Claude Opus 4.7 and everything later, which has a new tokenizer.
    ClaudeNew,
    /// Gemini and Gemma.
    Gemini,
    /// Llama 3 and 4, and models distilled into them.
    Llama,
    /// Mistral's models with its vocabulary of 131,000, which all have had since 2025.
    Mistral,
    /// Models of 2023 and 2024 with a vocabulary of 32,000: Llama 2, Mistral 7B, Mixtral and others.
    Vocabulary32k,
    /// DeepSeek's own models.
    DeepSeek,
    /// Qwen and QwQ.
    Qwen,
    /// Command and Aya.
    Cohere,
    /// Anything else.
    Unknown,
}

/// How the tokens of a model are counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Family {
    /// Whose tokenizer it is.
    pub name: FamilyName,
    /// The vocabulary that is counted with.
    pub encoding: Encoding,
}

impl Family {
    /// Whether `encoding` is the model's own, so that counting with it is exact.
    pub fn is_exact(self) -> bool {
        matches!(self.name, FamilyName::OpenAi)
    }

    /// OpenAI's models from GPT-4o on.
    pub const O200K: Self = Self {
        name: FamilyName::OpenAi,
        encoding: Encoding::O200k,
    };

    /// GPT-4, GPT-4 Turbo, GPT-3.5 and the embedding models.
    pub const CL100K: Self = Self {
        name: FamilyName::OpenAi,
        encoding: Encoding::Cl100k,
    };

    /// A family that is estimated; `tokens/weights.rs` says how.
    const fn estimated(name: FamilyName) -> Self {
        Self {
            name,
            encoding: Encoding::O200k,
        }
    }
}

/// Words that give a family away wherever they start in a name. Order matters: a DeepSeek model distilled into
/// Llama has Llama's tokenizer.
const WORDS: [(&[u8], FamilyName); 28] = [
    (b"codellama", FamilyName::Vocabulary32k),
    (b"tinyllama", FamilyName::Vocabulary32k),
    (b"vicuna", FamilyName::Vocabulary32k),
    (b"mixtral", FamilyName::Vocabulary32k),
    (b"mathstral", FamilyName::Vocabulary32k),
    (b"llama", FamilyName::Llama),
    (b"qwen", FamilyName::Qwen),
    (b"qwq", FamilyName::Qwen),
    (b"qvq", FamilyName::Qwen),
    (b"deepseek", FamilyName::DeepSeek),
    (b"claude", FamilyName::Claude),
    (b"gemini", FamilyName::Gemini),
    (b"gemma", FamilyName::Gemini),
    (b"learnlm", FamilyName::Gemini),
    (b"mistral", FamilyName::Mistral),
    (b"open-mixtral", FamilyName::Vocabulary32k),
    (b"ministral", FamilyName::Mistral),
    (b"magistral", FamilyName::Mistral),
    (b"codestral", FamilyName::Mistral),
    (b"devstral", FamilyName::Mistral),
    (b"voxtral", FamilyName::Mistral),
    (b"pixtral", FamilyName::Mistral),
    (b"command", FamilyName::Cohere),
    (b"cohere", FamilyName::Cohere),
    (b"c4ai", FamilyName::Cohere),
    (b"aya", FamilyName::Cohere),
    (b"gpt-j", FamilyName::Unknown),
    (b"gpt-neo", FamilyName::Unknown),
];

/// Families of OpenAI by the start of the name; the longest matching row counts.
const OPENAI: [(&[u8], Family); 27] = [
    (b"gpt-", Family::O200K),
    (b"gpt-4", Family::CL100K),
    (b"gpt-4o", Family::O200K),
    (b"gpt-4.", Family::O200K),
    (b"gpt-3", Family::CL100K),
    (b"gpt-35", Family::CL100K),
    (b"gpt-2", Family::estimated(FamilyName::OpenAiLegacy)),
    (b"gpt-j", Family::estimated(FamilyName::Unknown)),
    (b"gpt-neo", Family::estimated(FamilyName::Unknown)),
    (b"chatgpt-", Family::O200K),
    (b"chat-latest", Family::O200K),
    (b"codex-mini", Family::O200K),
    (b"computer-use-preview", Family::O200K),
    (b"daybreak-", Family::O200K),
    (b"o1", Family::O200K),
    (b"o3", Family::O200K),
    (b"o4", Family::O200K),
    (b"text-embedding-3", Family::CL100K),
    (b"text-embedding-ada-002", Family::CL100K),
    (b"davinci-002", Family::CL100K),
    (b"babbage-002", Family::CL100K),
    (b"text-davinci", Family::estimated(FamilyName::OpenAiLegacy)),
    (b"code-davinci", Family::estimated(FamilyName::OpenAiLegacy)),
    (b"davinci", Family::estimated(FamilyName::OpenAiLegacy)),
    (b"curie", Family::estimated(FamilyName::OpenAiLegacy)),
    (b"babbage", Family::estimated(FamilyName::OpenAiLegacy)),
    (b"ada", Family::estimated(FamilyName::OpenAiLegacy)),
];

/// The family of the model called `model`, in any case and with or without a provider's prefix.
///
/// Never fails: a name that says nothing is [`FamilyName::Unknown`], which is estimated on the high side. A name of
/// OpenAI's that is not known in detail is taken to use o200k, as all of theirs have since GPT-4o. Allocates nothing;
/// O(length of the name).
pub fn family_for(model: &str) -> Family {
    let name = base_name(model.trim().as_bytes());
    if let Some(family) = openai(name) {
        return family;
    }
    let found = WORDS
        .iter()
        .find_map(|&(word, family)| Some((family, find_word(name, word)?)));
    match found {
        Some((FamilyName::Claude, after)) => Family::estimated(claude(&name[after..])),
        Some((FamilyName::Llama, after)) if is_old_llama(name, &name[after..]) => {
            Family::estimated(FamilyName::Vocabulary32k)
        }
        Some((FamilyName::Mistral, _)) if is_old_mistral(name) => {
            Family::estimated(FamilyName::Vocabulary32k)
        }
        Some((family, _)) => Family::estimated(family),
        None => Family::estimated(FamilyName::Unknown),
    }
}

/// The model's own name: without path segments, `ft:` and the names of vendors and resellers that are joined on.
pub(super) fn base_name(model: &[u8]) -> &[u8] {
    let mut name = model.rsplit(|&byte| byte == b'/').next().unwrap_or(model);
    // Each strips at most once; a region may precede the vendor, never the other way round.
    for prefix in [&b"ft:"[..], b"openai.", b"openai-", b"databricks-", b"azure-"] {
        if let Some((head, rest)) = name.split_at_checked(prefix.len())
            && head.eq_ignore_ascii_case(prefix)
        {
            name = rest;
        }
    }
    // `us.openai.gpt-oss-120b`: a region before the vendor.
    match find_word(name, b"openai.") {
        Some(after) => &name[after..],
        None => name,
    }
}

fn openai(name: &[u8]) -> Option<Family> {
    let starts = |prefix: &[u8]| {
        let rest = name
            .split_at_checked(prefix.len())
            .filter(|(head, _)| head.eq_ignore_ascii_case(prefix))?
            .1;
        // `gpt-40`, `o1x` and `adapter` are other words than `gpt-4`, `o1` and `ada`.
        let last = prefix.last().copied().unwrap_or(0);
        let goes_on = match rest.first() {
            Some(next) if last.is_ascii_digit() => next.is_ascii_alphanumeric(),
            Some(next) if last.is_ascii_alphabetic() => {
                next.is_ascii_lowercase() || next.is_ascii_uppercase()
            }
            Some(_) | None => false,
        };
        let open_ended = prefix.starts_with(b"gpt-");
        (open_ended || !goes_on).then_some(prefix.len())
    };
    OPENAI
        .iter()
        .filter_map(|&(prefix, family)| Some((starts(prefix)?, family)))
        .max_by_key(|&(length, _)| length)
        .map(|(_, family)| family)
}

/// Where `word` ends in `name`, if it occurs in any case and does not continue another word.
fn find_word(name: &[u8], word: &[u8]) -> Option<usize> {
    let at = name.windows(word.len()).enumerate().position(|(at, window)| {
        let starts = at == 0 || !name[at - 1].is_ascii_alphabetic();
        starts && window.eq_ignore_ascii_case(word)
    })?;
    Some(at + word.len())
}

/// Whether a Llama is one of the first two, from what follows the word: its first number is 2, or a size (`llama-7b`).
fn is_old_llama(name: &[u8], rest: &[u8]) -> bool {
    let number = rest
        .split(|byte| !byte.is_ascii_alphanumeric())
        .find(|part| part.first().is_some_and(u8::is_ascii_digit));
    // What is distilled into a Llama says its size only.
    let distilled = name
        .windows(7)
        .any(|window| window.eq_ignore_ascii_case(b"distill"));
    !distilled && number.is_some_and(|number| number == b"2" || matches!(number.last(), Some(b'b' | b'B')))
}

/// Whether a model of Mistral's has the vocabulary of its first ones: the 7B, and those dated up to November 2024 but for a
/// few that had the new one before.
fn is_old_mistral(name: &[u8]) -> bool {
    let has = |word: &[u8]| {
        name.windows(word.len())
            .any(|window| window.eq_ignore_ascii_case(word))
    };
    let early = [&b"nemo"[..], b"pixtral", b"ministral", b"mamba"]
        .iter()
        .any(|word| has(word));
    let dated = name.split(|byte| !byte.is_ascii_alphanumeric()).any(|part| {
        part.len() == 4 && part.iter().all(u8::is_ascii_digit) && (&b"2309"[..]..=b"2411").contains(&part)
    });
    has(b"mistral-7b") || has(b"mistral-tiny") || (dated && !early)
}

/// Old or new tokenizer, from what follows the word `claude`: the first number is the major version and the number
/// right behind it, if short, the minor one (`-3-5-sonnet-20241022`, `-opus-4.7`, `-sonnet-4@20250514`).
fn claude(rest: &[u8]) -> FamilyName {
    let mut parts = rest
        .split(|byte| !byte.is_ascii_alphanumeric())
        .filter(|part| !part.is_empty());
    // `claude-v2`, `claude-instant-1`: only the oldest names have these words in front.
    let old = parts.clone().next().is_some_and(|part| {
        [&b"v1"[..], b"v2", b"instant"]
            .iter()
            .any(|word| part.eq_ignore_ascii_case(word))
    });
    let short = |part: &[u8]| {
        let digits = (1..=2).contains(&part.len()) && part.iter().all(u8::is_ascii_digit);
        digits.then(|| {
            part.iter()
                .fold(0, |number, digit| number * 10 + u32::from(digit - b'0'))
        })
    };
    let major = parts
        .find(|part| part.first().is_some_and(u8::is_ascii_digit))
        .and_then(short);
    match (major, parts.next().and_then(short)) {
        _ if old => FamilyName::Claude,
        (Some(0..=3), _) | (Some(4), None | Some(0..=6)) => FamilyName::Claude,
        (Some(_), _) | (None, _) => FamilyName::ClaudeNew,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn openai_names_map_to_their_encoding() {
        for name in [
            "gpt-4o",
            "GPT-4o-mini",
            "azure/gpt-4o",
            "openai/gpt-4.1-nano",
            "ft:gpt-4o:org",
            "gpt-4.5-preview",
            "gpt-5",
            "gpt-5.1-codex",
            "gpt-6-sol",
            "o1",
            "o3-mini",
            "openrouter/openai/o4-mini",
            "chatgpt-4o-latest",
            "openai.gpt-oss-120b-1:0",
            "us.openai.gpt-oss-20b-1:0",
            "databricks-gpt-oss-20b",
            "ollama/gpt-oss:20b",
            "gradient_ai/openai-gpt-4o",
            "ft:gpt-4o-mini-2024-07-18:acme:support:7p4lURel",
            "gpt-realtime",
        ] {
            assert_eq!(family_for(name), Family::O200K, "{name}");
        }
        for name in [
            "gpt-4",
            "gpt-4-turbo",
            "gpt-4-0613",
            "openrouter/openai/gpt-4",
            "azure/gpt-35-turbo",
            "gpt-3.5-turbo-16k",
            "ft:gpt-3.5-turbo:org",
            "text-embedding-3-small",
            "text-embedding-ada-002",
            "gpt-4-1106-preview",
        ] {
            assert_eq!(family_for(name), Family::CL100K, "{name}");
        }
    }

    #[test]
    fn other_names_are_estimated() {
        use FamilyName::*;
        for (name, family) in [
            ("claude-3-5-sonnet-20241022", Claude),
            ("claude-3-opus", Claude),
            ("claude-instant-1.2", Claude),
            ("anthropic.claude-v2:1", Claude),
            ("claude-sonnet-4-20250514", Claude),
            ("us.anthropic.claude-sonnet-4-5-20250929-v1:0", Claude),
            ("vertex_ai/claude-opus-4-6@default", Claude),
            ("anthropic/claude-opus-4.7", ClaudeNew),
            ("claude-opus-4-8", ClaudeNew),
            ("claude-opus-5", ClaudeNew),
            ("us.anthropic.claude-opus-4-7-v1:0", ClaudeNew),
            ("gemini/gemini-2.5-pro", Gemini),
            ("google/gemma-3-27b-it", Gemini),
            ("meta-llama/Meta-Llama-3.1-8B-Instruct", Llama),
            ("meta.llama3-1-70b-instruct-v1:0", Llama),
            ("deepseek-r1-distill-llama-70b", Llama),
            ("deepseek/deepseek-chat", DeepSeek),
            ("DeepSeek-R1-Distill-Qwen-32B", Qwen),
            ("mistral/mistral-large-latest", Mistral),
            ("codestral-2501", Mistral),
            ("codestral-2405", Vocabulary32k),
            ("mistral-large-2407", Vocabulary32k),
            ("mistral.mistral-large-2402-v1:0", Vocabulary32k),
            ("open-mistral-nemo-2407", Mistral),
            ("open-mistral-7b", Vocabulary32k),
            ("Mistral-7B-Instruct-v0.2", Vocabulary32k),
            ("open-mixtral-8x7b", Vocabulary32k),
            ("mistral.mixtral-8x7b-instruct-v0:1", Vocabulary32k),
            ("meta.llama2-70b-chat-v1", Vocabulary32k),
            ("Llama-2-7b-chat-hf", Vocabulary32k),
            ("codellama/CodeLlama-34b-Instruct-hf", Vocabulary32k),
            ("llama-3.1-8b-instant", Llama),
            ("ollama/llama3:8b", Llama),
            ("qwen/qwen3-max", Qwen),
            ("command-r-plus", Cohere),
            ("eleutherai/gpt-neox-20b", Unknown),
            ("gpt-j-6b", Unknown),
            ("amazon.nova-pro-v1:0", Unknown),
            ("marco-o1", Unknown),
            ("adapter", Unknown),
            ("o1x", Unknown),
            ("", Unknown),
        ] {
            assert_eq!(family_for(name).name, family, "{name}");
            assert!(!family_for(name).is_exact(), "{name}");
        }
    }
}
