//! What a request to a model says, asks for and costs. The host computes it, because it has the vocabularies and the prices.

use super::Type::{Any, Array, Bool, Number, Text};
use super::family;

family! {
/// What the host computes of a request to a model. `request` is the whole of it, as its provider's API spells it.
Llm {
    /// Every text of the request in reading order, one a line.
    0 Text = "llm.text", (request: Any) => Text, [pure host], cost(200, 300, 1), since(4);
    /// The texts without what hides words: NFKC, no invisible characters, look-alikes as ASCII, case folded, white space as one space.
    1 NormalizedText = "llm.normalized_text", (request: Any) => Text, [pure fallible host], cost(300, 15_000, 1), since(4);
    /// Text of the last message of the user.
    2 LastUserText = "llm.last_user_text", (request: Any) => Text, [pure host], cost(200, 100, 1), since(4);
    /// Kinds of content that hold no readable text.
    3 UnreadContent = "llm.unread_content", (request: Any) => Array(&Text), [pure host], cost(200, 100, 1), since(4);
    /// The model's name without seller, region, date and version.
    4 CanonicalModel = "llm.canonical_model", (model: Any, provider: Any) => Text,
        [pure fallible host], cost(1_500, 0, 0), since(4);
    /// The family that the model belongs to.
    5 ModelFamily = "llm.model_family", (model: Any, provider: Any) => Text,
        [pure fallible host], cost(1_500, 0, 0), since(4);
    /// Tokens of everything that the model reads: texts, chat format, tools, token ids, images.
    6 EstimatedTokens = "llm.estimated_tokens", (request: Any, model: Any) => Number,
        [pure fallible host], cost(200, 20_000, 1), since(4);
    /// Dollars for the input and `n` completions of `max_tokens` (default 500) tokens.
    7 EstimatedCost = "llm.estimated_cost",
        (request: Any, model: Any, provider: Any, max_tokens: Any, service_tier: Any) => Number,
        [pure fallible host], cost(400, 20_000, 1), since(4);
    /// Dollars for the input and `n` of the longest completions that the request allows.
    8 MaxCost = "llm.max_cost",
        (request: Any, model: Any, provider: Any, max_tokens: Any, service_tier: Any) => Number,
        [pure fallible host], cost(400, 20_000, 1), since(4);
    /// Whether personal data is found with confidence medium or above.
    9 ContainsPii = "llm.contains_pii", (request: Any) => Bool, [pure host], cost(300, 5_000, 1), since(4);
    /// Types of the personal data found.
    10 PiiTypes = "llm.pii_types", (request: Any) => Array(&Text), [pure host], cost(300, 5_000, 1), since(4);
    /// Categories of the phrases of prompt injection found in the normalised text, which is a pass of its own.
    11 InjectionSignals = "llm.injection_signals", (request: Any) => Array(&Text),
        [pure fallible host], cost(1_000, 25_000, 2), since(4);
    /// What the phrases of prompt injection weigh together, from 0 to 1.
    12 InjectionScore = "llm.injection_score", (request: Any) => Number,
        [pure fallible host], cost(1_000, 25_000, 2), since(4);
}
}
