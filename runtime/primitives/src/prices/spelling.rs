//! How gateways spell models: sellers, places, dates, and the orders in which Claude's names are written.
//!
//! Called by [`super::resolve`], [`super::identify`] and [`super::names`]. Tables and pure functions over borrowed text.

/// Gateways that pass requests on with the caller's own keys: what they are called says nothing about the price.
pub(super) const PROXIES: [&str; 8] = [
    "litellm",
    "litellm_proxy",
    "litellm-proxy",
    "portkey",
    "helicone",
    "langdock",
    "kong",
    "envoy",
];

/// Gateways that sell models of many makers, from whoever serves them.
pub(super) const MARKETS: [&str; 1] = ["openrouter"];

/// Other names of providers, and the names that the table uses.
const ALIASES: [(&str, &str); 35] = [
    ("azure_openai", "azure"),
    ("azure-openai", "azure"),
    ("azureopenai", "azure"),
    ("google", "gemini"),
    ("google-ai-studio", "gemini"),
    ("googleai", "gemini"),
    ("models", "gemini"),
    ("vertex", "vertex_ai"),
    ("vertexai", "vertex_ai"),
    ("vertex-ai", "vertex_ai"),
    ("google-vertex", "vertex_ai"),
    ("aws", "bedrock"),
    ("aws-bedrock", "bedrock"),
    ("aws_bedrock", "bedrock"),
    ("amazon-bedrock", "bedrock"),
    ("amazon", "bedrock"),
    ("together", "together_ai"),
    ("togetherai", "together_ai"),
    ("fireworks", "fireworks_ai"),
    ("x-ai", "xai"),
    ("mistralai", "mistral"),
    ("moonshotai", "moonshot"),
    ("z-ai", "zai"),
    ("z.ai", "zai"),
    ("claude", "anthropic"),
    ("azure_ai_foundry", "azure_ai"),
    ("azure-ai", "azure_ai"),
    ("fireworks-ai", "fireworks_ai"),
    ("together-ai", "together_ai"),
    ("vercel", "vercel_ai_gateway"),
    ("workers-ai", "cloudflare"),
    ("perplexity-ai", "perplexity"),
    ("cohere_chat", "cohere"),
    ("text-completion-openai", "openai"),
    ("deep-infra", "deepinfra"),
];

/// Path segments and Bedrock prefixes that name a place or a kind of deployment.
const REGIONS: [&str; 19] = [
    "us",
    "eu",
    "apac",
    "ap",
    "jp",
    "au",
    "ca",
    "sa",
    "uk",
    "in",
    "us-gov",
    "global",
    "global-standard",
    "datazone",
    "us-datazone",
    "eu-datazone",
    "invoke",
    "converse",
    "regional",
];

/// Words behind a name that stand for whatever the name stands for.
const ALIAS_WORDS: [&str; 2] = ["latest", "default"];

/// Words behind a name that do not make another model of it, though the price may be another.
const WORDS: [&str; 6] = ["preview", "exp", "experimental", "beta", "stable", "ga"];

/// Positions of the separators in `name`, last first.
pub(super) fn borders(name: &str) -> impl Iterator<Item = usize> {
    name.bytes()
        .enumerate()
        .rev()
        .filter(|&(_, byte)| is_separator(byte))
        .map(|(at, _)| at)
}

fn is_separator(byte: u8) -> bool {
    matches!(byte, b'-' | b'.' | b':' | b'@' | b'_')
}

/// What stands behind a name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Rest {
    /// Dates, versions and revisions only.
    Version,
    /// Also `latest` and `default`.
    Alias,
    /// Also words such as `preview`.
    Words,
}

impl Rest {
    /// What `text` is; `None` if some part of it may make another model of the name before it.
    pub(super) fn of(text: &str) -> Option<Self> {
        let mut rest = Self::Version;
        let mut parts = text
            .split(|c: char| c.is_ascii() && is_separator(c as u8))
            .peekable();
        while let Some(part) = parts.next() {
            if contains(&ALIAS_WORDS, part) {
                rest = rest.max(Self::Alias);
            } else if contains(&WORDS, part) {
                rest = Self::Words;
                // `preview-06-05`: a month and a day.
                let mut ahead = parts.clone();
                if let (Some(month), Some(day)) = (ahead.next(), ahead.next())
                    && is_number(month, 2, 1..=12)
                    && is_number(day, 2, 1..=31)
                {
                    parts = ahead;
                }
            } else if is_number(part, 4, 2015..=2199) {
                // A year, with or without a month and a day.
                if parts.next_if(|part| is_number(part, 2, 1..=12)).is_some() {
                    parts.next_if(|part| is_number(part, 2, 1..=31));
                }
            } else if is_number(part, 2, 1..=12) {
                // `08-2024`; a number of one or two digits alone is a version of another model.
                parts.next_if(|part| is_number(part, 4, 2015..=2199))?;
            } else if part
                .strip_prefix(['v', 'V'])
                .is_some_and(|digits| is_digits(digits) && digits.len() <= 2)
            {
                // `v1:0`, a version and its revision.
                parts.next_if(|part| part.len() == 1 && is_digits(part));
            } else if !is_date(part) && !is_number(part, 3, 1..=99) {
                return None;
            }
        }
        Some(rest)
    }
}

/// `20241022`, `0613` (month and day) or `2407` (year and month).
fn is_date(part: &str) -> bool {
    let two = |at: usize, range| {
        part.get(at..at + 2)
            .is_some_and(|digits| is_number(digits, 2, range))
    };
    match part.len() {
        8 => is_number(part, 8, 20150101..=21991231) && two(4, 1..=12) && two(6, 1..=31),
        4 => two(0, 1..=12) && two(2, 1..=31) || two(0, 20..=99) && two(2, 1..=12),
        _ => false,
    }
}

/// Whether `part` is a number of exactly `length` digits within `range`.
fn is_number(part: &str, length: usize, range: std::ops::RangeInclusive<u32>) -> bool {
    part.len() == length && is_digits(part) && part.parse().is_ok_and(|number| range.contains(&number))
}

fn is_digits(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

/// `ft:gpt-4o-2024-08-06:acme::id` without the owner, who does not change the price. Tuned models have rows of their
/// own, so `ft:` itself stays.
pub(super) fn without_tuning_owner(model: &str) -> &str {
    let tuned = model
        .get(..3)
        .is_some_and(|prefix| prefix.eq_ignore_ascii_case("ft:"));
    let owner = model.get(3..).and_then(|rest| rest.find(':')).filter(|_| tuned);
    owner.and_then(|at| model.get(..3 + at)).unwrap_or(model)
}

/// The table's name of a provider.
pub(super) fn known_as(provider: &str) -> &str {
    let alias = ALIASES
        .iter()
        .find(|(alias, _)| alias.eq_ignore_ascii_case(provider));
    alias.map_or(provider, |(_, known)| known)
}

/// Whether a row of `seller` is one of `provider`'s: `bedrock_converse` is Bedrock, `vertex_ai-language-models` is
/// Vertex.
pub(super) fn is_provider(seller: &str, provider: &str) -> bool {
    let split = seller.split_at_checked(provider.len());
    split.is_some_and(|(head, rest)| {
        head.eq_ignore_ascii_case(provider) && (rest.is_empty() || rest.starts_with(['_', '-']))
    }) || known_as(seller).eq_ignore_ascii_case(provider)
}

/// A listed place, or a cloud's region: `us-east-1`, `westeurope`, `europe-west4`.
pub(super) fn is_region(segment: &str) -> bool {
    let numbered = segment.bytes().last().is_some_and(|byte| byte.is_ascii_digit())
        && segment.contains('-')
        && [
            "us-",
            "eu-",
            "ap-",
            "ca-",
            "sa-",
            "me-",
            "af-",
            "il-",
            "mx-",
            "europe-",
            "asia-",
            "northamerica-",
        ]
        .iter()
        .any(|start| {
            segment
                .get(..start.len())
                .is_some_and(|head| head.eq_ignore_ascii_case(start))
        });
    let azure = [
        "eastus",
        "eastus2",
        "westus",
        "westus3",
        "northcentralus",
        "southcentralus",
        "westeurope",
        "northeurope",
        "swedencentral",
        "francecentral",
        "germanywestcentral",
        "switzerlandnorth",
        "uksouth",
        "japaneast",
        "australiaeast",
        "canadaeast",
        "southindia",
        "koreacentral",
    ];
    numbered || contains(&REGIONS, segment) || contains(&azure, segment)
}

pub(super) fn contains(list: &[&str], word: &str) -> bool {
    list.iter().any(|entry| entry.eq_ignore_ascii_case(word))
}

/// The parts of a name of Claude with its version on the other side of its family: `claude-sonnet-4.5` of
/// `claude-4.5-sonnet`, and back. `None` where it is not such a name.
pub(super) fn swapped(name: &str) -> Option<[&str; 5]> {
    const CLAUDE: &str = "claude-";
    let at = name
        .as_bytes()
        .windows(CLAUDE.len())
        .position(|window| window.eq_ignore_ascii_case(CLAUDE.as_bytes()))?;
    let (head, rest) = name.split_at_checked(at + CLAUDE.len())?;
    let is_family = |word: &str| contains(&["opus", "sonnet", "haiku"], word);
    let word = |text: &'_ str| text.find('-').unwrap_or(text.len());
    if rest.starts_with(|c: char| c.is_ascii_digit()) {
        let end = version(rest)?;
        let (number, rest) = rest.split_at_checked(end)?;
        let rest = rest.strip_prefix('-')?;
        let (family, rest) = rest.split_at_checked(word(rest))?;
        is_family(family).then_some([head, family, "-", number, rest])
    } else {
        let (family, rest) = rest.split_at_checked(word(rest))?;
        let rest = rest.strip_prefix('-').filter(|_| is_family(family))?;
        let (number, rest) = rest.split_at_checked(version(rest)?)?;
        Some([head, number, "-", family, rest])
    }
}

/// Where the version ends that `text` begins with: `4`, `4.5` or `4-5`, but not the day in `4-20250514`.
fn version(text: &str) -> Option<usize> {
    let digits = |text: &str| text.bytes().take_while(u8::is_ascii_digit).count();
    let ends = |at: usize| {
        text.as_bytes()
            .get(at)
            .is_none_or(|byte| !byte.is_ascii_alphanumeric())
    };
    let major = digits(text);
    if !(1..=2).contains(&major) || !ends(major) {
        return None;
    }
    if matches!(text.as_bytes().get(major), Some(b'.' | b'-')) {
        let minor = digits(text.get(major + 1..)?);
        if (1..=2).contains(&minor) && ends(major + 1 + minor) {
            return Some(major + 1 + minor);
        }
    }
    Some(major)
}
