//! Cost of a request in dollars, from its model's price and from bounds of its tokens.
//!
//! Unknown is a state, never 0: a model without a price, tools that the provider runs, a limit that is no number of tokens, a
//! number of completions that is none, or a completion without a limit give no cost, and comparisons with it are errors.

use crate::inputs::Inputs;
use crate::json::Json;
use policy_bytecode::Number;
use policy_primitives::prices::{
    CostInput, DEFAULT_COMPLETION_TOKENS, Entry, NanoDollars, Price, PriceTable, Resolution, ServiceTier,
};
use policy_primitives::tokens::{self, TokenBounds};
use policy_requests::{Count, Image, ImageSource, Media};
use policy_vm::Value;

/// What a request asks a model for, as far as it has a price.
#[derive(Debug)]
pub(crate) struct Asked<'t> {
    entry: Option<&'t Entry>,
    /// What the seller adds to each request.
    surcharge: NanoDollars,
    /// Completions; `None` where that is no count.
    choices: Option<u64>,
    /// The longest completion that the caller allows.
    limit: Count,
    /// Tokens of reasoning that the caller asks for.
    reasoning: Count,
    service: ServiceTier,
    /// What a token of the answer costs where it may be no text; `None` inside where it costs what text does.
    output: Option<Option<Price>>,
}

impl<'t> Asked<'t> {
    pub(crate) fn new(table: &'t PriceTable, inputs: &Inputs<'_>) -> Self {
        let found = inputs
            .model
            .as_str()
            .map(|model| table.resolve(inputs.provider.as_str(), model));
        let llm = Json(inputs.llm);
        let (entry, surcharge) = match found {
            Some(Resolution::Known { entry, surcharge, .. }) => (Some(entry), surcharge),
            Some(Resolution::Unknown) | None => (None, NanoDollars::default()),
        };
        let output = entry.and_then(|entry| output_price(entry, policy_requests::media(llm)?));
        Self {
            entry: entry.filter(|entry| {
                entry.is_priced_by_tokens() && (entry.is_free() || !policy_requests::provider_tools(llm))
            }),
            surcharge,
            choices: policy_requests::choices(llm),
            limit: completion_limit(&inputs.max_tokens).max(policy_requests::limit(llm)),
            reasoning: policy_requests::extra(llm),
            service: inputs
                .service_tier
                .as_str()
                .map(ServiceTier::asked)
                .unwrap_or_default(),
            output,
        }
    }

    pub(crate) fn is_priced(&self) -> bool {
        self.entry.is_some()
    }

    /// Lower and upper bound in dollars; equal where the bounds of the input's tokens are. `None` where the cost is
    /// unknown.
    ///
    /// * `max` — the longest completion instead of the expected one.
    pub(crate) fn cost(&self, max: bool, tokens: TokenBounds) -> Option<(f64, f64)> {
        let entry = self.entry?;
        let completion = match (self.limit, self.reasoning) {
            (Count::Invalid, _) | (_, Count::Invalid) => return None,
            // The APIs count reasoning within the limit.
            (Count::Known(limit), _) => limit,
            (Count::Absent | Count::Unlimited, _) if max => entry.longest_completion()?,
            (Count::Absent | Count::Unlimited, Count::Known(reasoning)) => {
                DEFAULT_COMPLETION_TOKENS.saturating_add(reasoning)
            }
            (Count::Absent | Count::Unlimited, Count::Absent | Count::Unlimited) => DEFAULT_COMPLETION_TOKENS,
        };
        let choices = self.choices?;
        let reasoning = match self.reasoning {
            _ if max && entry.reasoning_is_dearer() => completion,
            Count::Known(reasoning) => reasoning.min(completion),
            Count::Absent | Count::Unlimited | Count::Invalid => 0,
        };
        let completion = completion.saturating_mul(choices);
        let completion = TokenBounds {
            lower: completion,
            upper: completion,
        };
        let request = CostInput {
            reasoning_tokens: reasoning.saturating_mul(choices),
            service: self.service,
            surcharge: self.surcharge,
            output_price: self.output?,
            ..CostInput::default()
        };
        let bounds = entry.bounds(tokens, completion, request)?;
        Some((bounds.lower.to_dollars_f64(), bounds.upper.to_dollars_f64()))
    }
}

/// The dearest token that an answer may hold beside text. A model that makes images or speaks does so unless it is told to
/// answer in other ways. `None` where what is asked for has no price for its tokens.
fn output_price(entry: &Entry, asked: Option<Media>) -> Option<Option<Price>> {
    let (audio, image) = (entry.output_of("audio"), entry.output_of("image"));
    let asked = asked.unwrap_or(Media {
        audio: entry.speaks(),
        image: image.is_some(),
    });
    let mut dearest = None;
    for price in [asked.audio.then_some(audio), asked.image.then_some(image)]
        .into_iter()
        .flatten()
    {
        dearest = dearest.max(Some(price?));
    }
    Some(dearest)
}

/// What the caller limits the completion to. A fraction counts as the next whole token.
fn completion_limit(sent: &Value<'_>) -> Count {
    match sent {
        Value::Undefined | Value::Null => Count::Absent,
        Value::Number(Number::Int(n)) => u64::try_from(*n).map_or(Count::Invalid, Count::Known),
        Value::Number(Number::UInt(n)) => Count::Known(*n),
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "0 <= x < 2^63 is checked"
        )]
        Value::Number(Number::Float(x)) if (0.0..9.2e18).contains(x) => Count::Known(x.ceil() as u64),
        _no_count => Count::Invalid,
    }
}

/// Tokens of an image: by its size and detail where they are known, else the most that the model takes for one.
pub(crate) fn image_tokens(sent: &Image<'_>, model: &str) -> u64 {
    let size = match sent.source {
        ImageSource::Base64(data) => tokens::image_size(data),
        ImageSource::Url(_) | ImageSource::Stored => None,
    };
    tokens::image(model, sent.detail, size).tokens
}
