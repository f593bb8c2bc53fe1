//! Token counts: exact for OpenAI's models, estimates for all others, and answers to "more than N?" that stop early.
//!
//! Called by the runtime when a rule that can fire reads `llm.estimatedTokens`, and by [`crate::prices`]' callers,
//! who need tokens to price a request. [`family_for`] says how a model counts; [`count`], [`Counter`] and
//! [`compare_limit`] do it.
//!
//! # Method
//!
//! A text is cut into pieces (`tokens/pieces.rs`) and each piece counted (`tokens/vocabulary.rs`). Families other
//! than OpenAI's are estimated from what o200k makes of each piece and the script it is written in
//! (`tokens/weights.rs`), leaning high, and rounded up once. Without feature `tokenizers` the
//! count itself is a heuristic on scripts (`tokens/heuristic.rs`) and every result an estimate.
//!
//! # Cost
//!
//! The vocabularies are tables in the program's read-only data, made at build time: there is nothing to load, so the
//! first count is as fast as the next, and only the pages that counts touch become resident (at most 12.5 MB for
//! o200k and 6 MB for cl100k, shared between processes). The only memory that counting allocates is the
//! [`TokenScratch`], which grows to the longest word of any text it has seen and is then reused.
//!
//! Time is linear in the text, long runs of one repeated character included.
//!
//! # Invariants
//!
//! - A part's tokens lie between ⌈bytes / [`LONGEST_TOKEN_BYTES`]⌉ and its bytes, whatever the method.
//! - Parts are counted one by one: a token never spans two of them.
//!
//! # Not done here
//!
//! Special tokens: `<|endoftext|>` in a text is counted as the text it is, as the API treats what users write.
//! Files have no text to count. Images are counted by their size: [`image`](fn@image).

use std::cmp::Ordering;

mod family;
#[cfg(any(not(feature = "tokenizers"), test))]
mod heuristic;
mod image;
#[cfg(feature = "tokenizers")]
mod pieces;
mod script;
#[cfg(feature = "tokenizers")]
mod table_format;
#[cfg(feature = "tokenizers")]
mod vocabulary;
mod weights;

pub use family::{Family, FamilyName, family_for};
pub use image::{ImageSize, image, size as image_size};

/// Bytes of the longest token of any vocabulary (a run of 128 spaces): no count is below bytes divided by this.
pub const LONGEST_TOKEN_BYTES: u64 = 128;

/// What counts are summed up in, so that estimates are rounded once.
const THOUSANDTHS: u64 = 1000;

/// A vocabulary of OpenAI's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Encoding {
    /// `o200k_base`: GPT-4o and everything since.
    O200k,
    /// `cl100k_base`: GPT-4, GPT-4 Turbo, GPT-3.5 and the embedding models.
    Cl100k,
}

/// How a count was obtained.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Method {
    /// The model's own tokenizer; the count of the text is exact.
    Exact,
    /// An estimate from another tokenizer, or a heuristic.
    Estimate,
}

impl Method {
    /// `exact` or `estimate`, as in explanations and logs.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Exact => "exact",
            Self::Estimate => "estimate",
        }
    }

    /// The method that [`count`] uses for `family`.
    pub fn of(family: Family) -> Self {
        if cfg!(feature = "tokenizers") && family.is_exact() {
            Self::Exact
        } else {
            Self::Estimate
        }
    }
}

/// A number of tokens, and how far to trust it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct TokenCount {
    /// Tokens, chat overhead included if any was added.
    pub tokens: u64,
    /// Exact or estimated.
    pub method: Method,
}

/// What a chat format adds to the tokens of the texts. [`ChatOverhead::default`] is OpenAI's rule.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct ChatOverhead {
    /// Tokens for each message.
    pub per_message: u64,
    /// Tokens for each `name` field, besides those of the name itself.
    pub per_name: u64,
    /// Tokens once per request, with which the reply is primed.
    pub reply_primer: u64,
}

impl Default for ChatOverhead {
    fn default() -> Self {
        Self {
            per_message: 3,
            per_name: 1,
            reply_primer: 3,
        }
    }
}

impl ChatOverhead {
    /// Tokens for `messages` messages, `names` of which carry a name. Saturates.
    pub fn tokens(self, messages: u64, names: u64) -> u64 {
        let names = self.per_name.saturating_mul(names);
        self.per_message
            .saturating_mul(messages)
            .saturating_add(names)
            .saturating_add(self.reply_primer)
    }
}

/// Tokens that a request with tool definitions takes beside those of the definitions.
///
/// OpenAI's models have a frame around them, which is smaller beside a system message; Anthropic puts a system prompt of
/// 346 tokens in front (the largest of its published numbers up to Claude 4.6). Others publish none, and get OpenAI's.
pub fn tool_overhead(family: Family, system: bool) -> u64 {
    let frame = match (family.name, family.encoding) {
        (FamilyName::Claude | FamilyName::ClaudeNew, _) => return 346,
        (_, Encoding::O200k) => 6,
        (_, Encoding::Cl100k) => 7,
    };
    frame + if system { 5 } else { 9 }
}

/// Tokens that each call of a tool takes beside its name and arguments.
///
/// OpenAI's models read it as a message to `functions.` with marks around the arguments, Claude as an element in XML with one
/// for each parameter. Neither publishes how many tokens that is: these are those of the published forms.
pub fn call_overhead(family: Family) -> u64 {
    match family.name {
        FamilyName::Claude | FamilyName::ClaudeNew => 24,
        _other => 8,
    }
}

/// Working memory for counting; keep one per worker.
///
/// Starts empty and grows to about 4.2 bytes per byte of the longest piece (a word, a run of punctuation or of white
/// space) that is not a token by itself. Counting allocates nothing else.
#[derive(Debug, Default)]
pub struct TokenScratch {
    #[cfg(feature = "tokenizers")]
    inner: vocabulary::Scratch,
}

impl TokenScratch {
    /// Empty scratch; allocates nothing.
    pub fn new() -> Self {
        Self::default()
    }
}

/// Counts the tokens of one text. O(bytes); see the [module](self) for what it allocates.
///
/// ```
/// use policy_primitives::tokens::{TokenScratch, count, family_for};
///
/// let mut scratch = TokenScratch::new();
/// let counted = count("hello world", family_for("gpt-4o"), &mut scratch);
/// assert_eq!(counted.tokens, 2);
/// ```
pub fn count(text: &str, family: Family, scratch: &mut TokenScratch) -> TokenCount {
    let mut counter = Counter::new(family, scratch);
    counter.text(text);
    counter.finish()
}

/// Sums up the tokens of a request's parts: texts, messages, names. Parts are never joined.
///
/// ```
/// use policy_primitives::tokens::{ChatOverhead, Counter, Family, TokenScratch};
///
/// let mut scratch = TokenScratch::new();
/// let mut chat = Counter::new(Family::O200K, &mut scratch);
/// chat.message();
/// chat.text("system");
/// chat.text("Be brief.");
/// let counted = chat.finish_chat();
/// assert_eq!(counted.tokens, 3 + 1 + 3 + 3); // message, role, text, reply primer
/// ```
#[derive(Debug)]
pub struct Counter<'s> {
    family: Family,
    chat: ChatOverhead,
    scratch: &'s mut TokenScratch,
    /// Thousandths of tokens of the texts.
    encoded: u64,
    overhead: u64,
}

impl<'s> Counter<'s> {
    /// Starts at zero, with OpenAI's chat overhead.
    pub fn new(family: Family, scratch: &'s mut TokenScratch) -> Self {
        Self::with_overhead(family, ChatOverhead::default(), scratch)
    }

    /// Starts at zero, with the overhead of another chat format.
    pub fn with_overhead(family: Family, chat: ChatOverhead, scratch: &'s mut TokenScratch) -> Self {
        Self {
            family,
            chat,
            scratch,
            encoded: 0,
            overhead: 0,
        }
    }

    /// Adds the tokens of one text: a prompt, a role, one part of a message's content.
    pub fn text(&mut self, text: &str) {
        self.encoded = self
            .encoded
            .saturating_add(encoded(text, self.family, self.scratch));
    }

    /// Adds the overhead of one message. Its role and texts are added by [`Counter::text`].
    pub fn message(&mut self) {
        self.overhead = self.overhead.saturating_add(self.chat.per_message);
    }

    /// Adds the tokens of a message's `name` and their overhead.
    pub fn name(&mut self, name: &str) {
        self.overhead = self.overhead.saturating_add(self.chat.per_name);
        self.text(name);
    }

    /// The sum so far.
    pub fn finish(self) -> TokenCount {
        let tokens = self.encoded.div_ceil(THOUSANDTHS).saturating_add(self.overhead);
        TokenCount {
            tokens,
            method: Method::of(self.family),
        }
    }

    /// The sum so far, plus the reply primer.
    pub fn finish_chat(mut self) -> TokenCount {
        self.overhead = self.overhead.saturating_add(self.chat.reply_primer);
        self.finish()
    }
}

/// What is known of a count from lengths alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct TokenBounds {
    /// The count is at least this.
    pub lower: u64,
    /// The count is at most this.
    pub upper: u64,
}

/// Bounds of what [`Counter`] would count for `parts` plus `overhead` tokens, from their lengths in bytes alone.
///
/// Every token has at least one byte and at most [`LONGEST_TOKEN_BYTES`], whatever the family. O(number of parts).
pub fn bounds<'a>(parts: impl IntoIterator<Item = &'a str>, _family: Family, overhead: u64) -> TokenBounds {
    let (mut lower, mut upper) = (0u64, 0u64);
    for part in parts {
        let part = encoded_bounds(part);
        lower = lower.saturating_add(part.lower);
        upper = upper.saturating_add(part.upper);
    }
    TokenBounds {
        lower: lower.saturating_add(overhead),
        upper: upper.saturating_add(overhead),
    }
}

/// Compares the tokens of `parts` plus `overhead` tokens with `limit`, counting no further than the answer needs.
///
/// The answer is always that of a full count. Where the parts' lengths decide it, no text is looked at. Otherwise
/// counting stops as soon as the tokens found and the bounds of what remains decide, so a text far above the limit
/// costs time in proportion to the limit.
pub fn compare_limit<'a, I>(
    parts: I,
    family: Family,
    overhead: u64,
    limit: u64,
    scratch: &mut TokenScratch,
) -> Ordering
where
    I: IntoIterator<Item = &'a str>,
    I::IntoIter: Clone,
{
    let Some(limit) = limit.checked_sub(overhead) else {
        return Ordering::Greater;
    };
    let thresholds = Thresholds::new(limit);
    let parts = parts.into_iter();
    let (mut lower, mut upper) = (0u64, 0u64);
    for part in parts.clone() {
        let part = encoded_bounds(part);
        lower = lower.saturating_add(part.lower);
        upper = upper.saturating_add(part.upper);
    }
    let thousandths = |bounds: TokenBounds| {
        (
            bounds.lower.saturating_mul(THOUSANDTHS),
            bounds.upper.saturating_mul(THOUSANDTHS),
        )
    };
    (lower, upper) = thousandths(TokenBounds { lower, upper });
    if let Some(decided) = thresholds.decide(lower, upper) {
        return decided;
    }
    // Part by part, a bound is replaced by what was counted.
    for part in parts {
        let (part_lower, part_upper) = thousandths(encoded_bounds(part));
        let (rest_lower, rest_upper) = (lower.saturating_sub(part_lower), upper.saturating_sub(part_upper));
        let counted = encoded_until(part, family, scratch, |counted, part_rest| {
            let (part_lower, part_upper) = thousandths(part_rest);
            let lower = rest_lower.saturating_add(counted).saturating_add(part_lower);
            let upper = rest_upper.saturating_add(counted).saturating_add(part_upper);
            thresholds.decide(lower, upper)
        });
        match counted {
            Ok(counted) => {
                lower = rest_lower.saturating_add(counted);
                upper = rest_upper.saturating_add(counted);
            }
            Err(decided) => return decided,
        }
    }
    thresholds.order(lower)
}

/// Whether the tokens of `parts` plus `overhead` are `limit` or fewer; see [`compare_limit`].
pub fn at_most<'a, I>(parts: I, family: Family, overhead: u64, limit: u64, scratch: &mut TokenScratch) -> bool
where
    I: IntoIterator<Item = &'a str>,
    I::IntoIter: Clone,
{
    // At most N is below N + 1, which an upper bound of exactly N decides too.
    match limit.checked_add(1) {
        Some(above) => compare_limit(parts, family, overhead, above, scratch).is_lt(),
        None => true,
    }
}

/// A limit on tokens, in thousandths, so that no step needs a division.
#[derive(Clone, Copy)]
struct Thresholds {
    /// The smallest sum that rounds up to the limit or above.
    reaches: u64,
    /// The largest sum that rounds up to the limit or below.
    keeps: u64,
}

impl Thresholds {
    fn new(limit: u64) -> Self {
        let keeps = |limit: u64| limit.saturating_mul(THOUSANDTHS);
        let reaches = limit
            .checked_sub(1)
            .map_or(0, |below| keeps(below).saturating_add(1));
        Self {
            reaches,
            keeps: keeps(limit),
        }
    }

    fn order(self, encoded: u64) -> Ordering {
        if encoded > self.keeps {
            Ordering::Greater
        } else if encoded < self.reaches {
            Ordering::Less
        } else {
            Ordering::Equal
        }
    }

    /// The order that all counts from `lower` to `upper` have, if it is one.
    #[inline]
    fn decide(self, lower: u64, upper: u64) -> Option<Ordering> {
        let order = self.order(lower);
        (order == self.order(upper)).then_some(order)
    }
}

fn encoded_bounds(text: &str) -> TokenBounds {
    let bytes = text.len() as u64;
    TokenBounds {
        lower: bytes.div_ceil(LONGEST_TOKEN_BYTES),
        upper: bytes,
    }
}

/// Thousandths of tokens of `text`.
fn encoded(text: &str, family: Family, scratch: &mut TokenScratch) -> u64 {
    let counted = encoded_until(text, family, scratch, |_, _| None::<std::convert::Infallible>);
    match counted {
        Ok(counted) => counted,
        Err(never) => match never {},
    }
}

/// Thousandths of tokens of `text`, unless `stop` returns a value first: it is asked after every piece, with the
/// thousandths up to there and the bounds of the tokens that remain.
#[cfg(feature = "tokenizers")]
fn encoded_until<T>(
    text: &str,
    family: Family,
    scratch: &mut TokenScratch,
    stop: impl Fn(u64, TokenBounds) -> Option<T>,
) -> Result<u64, T> {
    let vocabulary = vocabulary::Vocabulary::of(family.encoding);
    let weights = weights::of(family.name);
    let (mut counted, mut start) = (0u64, 0);
    while start < text.len() {
        let end = pieces::piece_end(text, start, family.encoding);
        debug_assert!(end > start, "pieces are not empty");
        let tokens = vocabulary.count(&text.as_bytes()[start..end], &mut scratch.inner);
        counted += match weights {
            None => tokens * THOUSANDTHS,
            Some(weights) => weights::weigh(weights, &text[start..end], tokens),
        };
        start = end;
        let rest = (text.len() - start) as u64;
        let rest = TokenBounds {
            lower: rest.div_ceil(LONGEST_TOKEN_BYTES),
            upper: rest,
        };
        if let Some(stopped) = stop(counted, rest) {
            return Err(stopped);
        }
    }
    Ok(counted)
}

/// The heuristic is as cheap as its own bounds, so it never stops early.
#[cfg(not(feature = "tokenizers"))]
fn encoded_until<T>(
    text: &str,
    family: Family,
    _scratch: &mut TokenScratch,
    _stop: impl Fn(u64, TokenBounds) -> Option<T>,
) -> Result<u64, T> {
    Ok(heuristic::count(text, weights::of(family.name)))
}

#[cfg(test)]
mod tests;
