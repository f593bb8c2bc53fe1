//! Derived fields: tokens, cost and personal data of a request, computed when a rule first needs them and kept.
//!
//! Text is `llm.prompt`, or the text parts of `llm.messages` where there is no prompt; parts are never joined. Where
//! there is no text, the caller's own value stands. A comparison of tokens or cost with a constant is answered from
//! bounds where lengths decide it, and counting stops early where they do not.

use crate::cost;
use policy_bytecode::context::Derived;
use policy_bytecode::{Number, Outcome};
use policy_primitives::pii::{self, Confidence, PiiTypeSet, Redactor};
use policy_primitives::prices::PriceTable;
use policy_primitives::tokens::{self, ChatOverhead, Family, TokenBounds, TokenScratch};
use policy_vm::{Bump, Comparison, Host, Inputs, Value};
use std::cmp::Ordering;
use std::sync::Arc;

/// Whose value of a derived field counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum DeriveMode {
    /// Ours, wherever there is text to compute it from; else the caller's.
    #[default]
    Always,
    /// The caller's where it is there; else ours.
    Missing,
    /// The caller's; nothing is computed. For gateways that count themselves.
    Never,
}

/// Memory of one worker for derived fields.
#[derive(Debug, Default)]
pub(crate) struct DeriveScratch {
    tokens: TokenScratch,
    redactor: Redactor,
    redacted: String,
}

/// Computes derived fields of one request.
#[derive(Debug)]
pub(crate) struct DeriveHost<'w> {
    mode: DeriveMode,
    prices: Option<&'w Arc<PriceTable>>,
    scratch: &'w mut DeriveScratch,
    /// Tokens of the text, once counted.
    counted: Option<u64>,
    /// Types found in the text, once scanned.
    types: Option<PiiTypeSet>,
}

impl<'w> DeriveHost<'w> {
    pub(crate) fn new(
        mode: DeriveMode,
        prices: Option<&'w Arc<PriceTable>>,
        scratch: &'w mut DeriveScratch,
    ) -> Self {
        Self {
            mode,
            prices,
            scratch,
            counted: None,
            types: None,
        }
    }

    /// For another request, with the same memory.
    pub(crate) fn again(&mut self) -> DeriveHost<'_> {
        DeriveHost::new(self.mode, self.prices, self.scratch)
    }

    fn prices(&self) -> &PriceTable {
        match self.prices {
            Some(table) => table,
            None => PriceTable::builtin(),
        }
    }

    /// The text without personal data of these types, in the arena.
    pub(crate) fn redact<'a>(&mut self, text: &'a str, types: PiiTypeSet, bump: &'a Bump) -> &'a str {
        let DeriveScratch {
            redactor, redacted, ..
        } = &mut *self.scratch;
        if redactor
            .redact(text, types, Confidence::Medium, redacted)
            .is_empty()
        {
            return text;
        }
        bump.alloc_str(redacted)
    }

    /// Whether the caller's value stands.
    fn keeps(&self, sent: &Value<'_>, inputs: &Inputs<'_>) -> bool {
        match self.mode {
            DeriveMode::Never => true,
            DeriveMode::Missing if sent.is_present() => true,
            DeriveMode::Missing | DeriveMode::Always => !Text::new(inputs).is_present(),
        }
    }

    fn family(inputs: &Inputs<'_>) -> Family {
        tokens::family_for(inputs.model.as_str().unwrap_or(""))
    }

    fn tokens(&mut self, inputs: &Inputs<'_>) -> u64 {
        if let Some(known) = self.counted {
            return known;
        }
        let text = Text::new(inputs);
        let family = Self::family(inputs);
        let chat = ChatOverhead::default();
        let mut counter = tokens::Counter::with_overhead(family, chat, &mut self.scratch.tokens);
        text.parts().for_each(|part| counter.text(part));
        // The overhead is not scaled by the family's factor: add it to the finished count.
        let counted = counter.finish().tokens.saturating_add(text.overhead());
        self.counted = Some(counted);
        counted
    }

    /// Bounds of the tokens: exact once counted, else from lengths alone.
    fn token_bounds(&self, inputs: &Inputs<'_>) -> TokenBounds {
        if let Some(known) = self.counted {
            return TokenBounds {
                lower: known,
                upper: known,
            };
        }
        let text = Text::new(inputs);
        tokens::bounds(text.parts(), Self::family(inputs), text.overhead())
    }

    fn compare_tokens(&mut self, limit: u64, inputs: &Inputs<'_>) -> Ordering {
        if let Some(known) = self.counted {
            return known.cmp(&limit);
        }
        let text = Text::new(inputs);
        let family = Self::family(inputs);
        tokens::compare_limit(
            text.parts(),
            family,
            text.overhead(),
            limit,
            &mut self.scratch.tokens,
        )
    }

    fn pii_types(&mut self, inputs: &Inputs<'_>) -> PiiTypeSet {
        match self.types {
            Some(types) => types,
            None => {
                let found = Text::new(inputs)
                    .content()
                    .map(pii::types_in)
                    .fold(PiiTypeSet::EMPTY, PiiTypeSet::union);
                self.types = Some(found);
                found
            }
        }
    }
}

impl Host for DeriveHost<'_> {
    fn computes(&self) -> bool {
        self.mode != DeriveMode::Never
    }

    fn derive<'a>(
        &mut self,
        what: Derived,
        sent: Value<'a>,
        inputs: &Inputs<'a>,
        bump: &'a Bump,
    ) -> Value<'a> {
        if self.keeps(&sent, inputs) {
            return sent;
        }
        match what {
            Derived::EstimatedTokens => Value::Number(Number::from_u64(self.tokens(inputs))),
            Derived::EstimatedCost | Derived::MaxCost => {
                let tokens = self.tokens(inputs);
                let bounds = TokenBounds {
                    lower: tokens,
                    upper: tokens,
                };
                match cost::cost(self.prices(), what, inputs, bounds) {
                    Some((_, dollars)) => Number::from_f64(dollars).map_or(Value::Unknown, Value::Number),
                    None => Value::Unknown,
                }
            }
            Derived::ContainsPii => Value::Bool(match self.types {
                Some(types) => !types.is_empty(),
                None => Text::new(inputs).content().any(pii::contains),
            }),
            Derived::PiiTypes => {
                let types = self.pii_types(inputs);
                let mut names = bumpalo::collections::Vec::with_capacity_in(types.len(), bump);
                names.extend(types.iter().map(|kind| Value::Str(kind.name())));
                Value::Array(names.into_bump_slice())
            }
        }
    }

    fn compare(
        &mut self,
        what: Derived,
        comparison: Comparison,
        constant: Number,
        sent: Value<'_>,
        inputs: &Inputs<'_>,
    ) -> Option<Outcome> {
        if self.keeps(&sent, inputs) {
            return None;
        }
        match what {
            Derived::EstimatedTokens => {
                let (comparison, limit) = match integer_limit(comparison, constant) {
                    Limit::At(comparison, limit) => (comparison, limit),
                    Limit::Decided(answer) => return Some(answer.into()),
                };
                Some(comparison.accepts(self.compare_tokens(limit, inputs)).into())
            }
            Derived::EstimatedCost | Derived::MaxCost => {
                let bounds = self.token_bounds(inputs);
                let (lower, upper) = cost::cost(self.prices(), what, inputs, bounds)?;
                let decide =
                    |dollars: f64| Number::from_f64(dollars).map(|n| comparison.accepts(n.compare(constant)));
                let (at_lower, at_upper) = (decide(lower)?, decide(upper)?);
                (at_lower == at_upper).then(|| at_lower.into())
            }
            Derived::ContainsPii | Derived::PiiTypes => None,
        }
    }
}

/// A comparison of an unsigned integer with any number, as one with an unsigned integer.
enum Limit {
    At(Comparison, u64),
    Decided(bool),
}

/// `n > 4.5` is `n > 4`; `n >= 4.5` is `n > 4`; `n < 4.5` is `n <= 4`; `n > -1` is true.
fn integer_limit(comparison: Comparison, constant: Number) -> Limit {
    let above = matches!(comparison, Comparison::Gt | Comparison::Gte);
    match constant {
        Number::Int(n) => match u64::try_from(n) {
            Ok(limit) => Limit::At(comparison, limit),
            Err(_negative) => Limit::Decided(above),
        },
        Number::UInt(limit) => Limit::At(comparison, limit),
        Number::Float(x) if x < 0.0 => Limit::Decided(above),
        Number::Float(x) if x >= 18_446_744_073_709_551_616.0 => Limit::Decided(!above),
        Number::Float(x) => {
            #[expect(
                clippy::cast_possible_truncation,
                clippy::cast_sign_loss,
                reason = "0 <= x < 2^64"
            )]
            let floor = x as u64;
            if x.fract() == 0.0 {
                Limit::At(comparison, floor)
            } else if above {
                Limit::At(Comparison::Gt, floor)
            } else {
                Limit::At(Comparison::Lte, floor)
            }
        }
    }
}

/// The text of a request: its prompt, or the text parts of its messages.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Text<'a> {
    prompt: Option<&'a str>,
    messages: &'a [Value<'a>],
}

impl<'a> Text<'a> {
    pub(crate) fn new(inputs: &Inputs<'a>) -> Self {
        let prompt = inputs.prompt.as_str().filter(|text| !text.is_empty());
        let messages = match (prompt, inputs.messages) {
            (None, Value::Array(items)) => items,
            _none => &[],
        };
        Self { prompt, messages }
    }

    /// Whether there is any text to compute from.
    fn is_present(&self) -> bool {
        self.content().any(|part| !part.is_empty())
    }

    /// What people and tools wrote: the prompt, or the content of the messages.
    fn content(self) -> impl Iterator<Item = &'a str> + Clone {
        self.prompt
            .into_iter()
            .chain(self.messages.iter().flat_map(|message| content_parts(*message)))
    }

    /// What counts as tokens: the content, and the role and name of each message.
    fn parts(self) -> impl Iterator<Item = &'a str> + Clone {
        let labels = |message: &Value<'a>| {
            [message.get("role"), message.get("name")]
                .into_iter()
                .filter_map(text_of)
        };
        self.prompt.into_iter().chain(
            self.messages
                .iter()
                .flat_map(move |m| labels(m).chain(content_parts(*m))),
        )
    }

    /// Tokens that the chat format adds.
    fn overhead(self) -> u64 {
        if self.messages.is_empty() {
            return 0;
        }
        let names = self
            .messages
            .iter()
            .filter(|m| matches!(m.get("name"), Value::Str(_)))
            .count();
        ChatOverhead::default().tokens(self.messages.len() as u64, names as u64)
    }
}

fn text_of(value: Value<'_>) -> Option<&str> {
    value.as_str()
}

/// Text parts of one message: its content where that is text, the texts of its parts where it is a list. A message
/// that is a bare string is its own content.
fn content_parts(message: Value<'_>) -> impl Iterator<Item = &str> + Clone {
    let content = if matches!(message, Value::Str(_)) {
        message
    } else {
        message.get("content")
    };
    let items = match content {
        Value::Array(items) => items,
        _scalar => &[],
    };
    let part = |item: &Value<'_>| matches!(item, Value::Object(_));
    content
        .as_str()
        .into_iter()
        .chain(items.iter().filter_map(move |item| {
            if part(item) {
                text_of(item.get("text"))
            } else {
                text_of(*item)
            }
        }))
}

#[cfg(test)]
mod tests {
    use super::{Limit, integer_limit};
    use policy_bytecode::Number;
    use policy_vm::Comparison;

    #[test]
    fn fractional_limits_become_integer_limits_of_the_same_meaning() {
        let comparisons = [Comparison::Lt, Comparison::Lte, Comparison::Gt, Comparison::Gte];
        let constants = [-1.5, -0.0, 0.0, 0.5, 1.0, 3.999, 4.0, 1e30];
        for comparison in comparisons {
            for constant in constants {
                for n in 0..6u64 {
                    let number = Number::Float(constant);
                    let expected = comparison.accepts(Number::from_u64(n).compare(number));
                    let actual = match integer_limit(comparison, number) {
                        Limit::At(c, limit) => c.accepts(n.cmp(&limit)),
                        Limit::Decided(answer) => answer,
                    };
                    assert_eq!(actual, expected, "{n} {comparison:?} {constant}");
                }
            }
        }
    }
}
