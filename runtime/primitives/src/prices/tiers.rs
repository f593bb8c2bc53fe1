//! Complete tiers out of the prices that a source gives.
//!
//! Sources name some prices and leave out others: a batch price without a cached one, a border for the standard service
//! only. A row needs all of them, so that a lookup is one search. What is left out is never guessed to be cheap.

use std::collections::{BTreeMap, BTreeSet};

use super::entry::{Price, Rates, ServiceTier, Tier};

/// A service and the border above which its prices hold.
pub(super) type Place = (ServiceTier, u64);

/// Prices as far as a source gives them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Known {
    pub(super) input: Option<Price>,
    pub(super) output: Option<Price>,
    pub(super) cached_input: Option<Price>,
    pub(super) cache_write: Option<Price>,
    pub(super) cache_write_1h: Option<Price>,
    pub(super) cache_write_12h: Option<Price>,
    pub(super) reasoning: Option<Price>,
}

impl Known {
    /// In full, where only input and output may be missing from what is below: what cached input costs is not carried
    /// up, so that it costs what input costs there; what costs more than input and output does so at least.
    fn over(self, reference: &Rates) -> Rates {
        let input = self.input.unwrap_or(reference.input);
        let output = self.output.unwrap_or(reference.output);
        let write = |own: Option<Price>, other: Option<Price>| own.or(other.map(|price| price.max(input)));
        Rates {
            input,
            output,
            cached_input: self.cached_input,
            cache_write: write(self.cache_write, reference.cache_write),
            cache_write_1h: write(self.cache_write_1h, reference.cache_write_1h),
            cache_write_12h: write(self.cache_write_12h, reference.cache_write_12h),
            reasoning: self
                .reasoning
                .or(reference.reasoning.map(|price| price.max(output))),
        }
    }
}

/// The dearer one of two, price by price.
fn dearer(a: &Rates, b: &Rates) -> Rates {
    let input = a.input.max(b.input);
    let output = a.output.max(b.output);
    let either = |a: Option<Price>, b: Option<Price>, ordinary: Price| match (a, b) {
        (None, None) => None,
        (a, b) => Some(a.unwrap_or(ordinary).max(b.unwrap_or(ordinary))),
    };
    Rates {
        input,
        output,
        cached_input: either(a.cached_input, b.cached_input, input),
        cache_write: either(a.cache_write, b.cache_write, input),
        cache_write_1h: either(a.cache_write_1h, b.cache_write_1h, input),
        cache_write_12h: either(a.cache_write_12h, b.cache_write_12h, input),
        reasoning: either(a.reasoning, b.reasoning, output),
    }
}

/// Tiers in full; none where the standard service has not both a price for input and one for output.
///
/// A service whose prices for long requests a source leaves out costs the dearer of its price below the border and the
/// standard price above it.
pub(super) fn complete(known: &BTreeMap<Place, Known>) -> Box<[Tier]> {
    let base = known
        .get(&(ServiceTier::Standard, 0))
        .copied()
        .unwrap_or_default();
    let (Some(input), Some(output)) = (base.input, base.output) else {
        return Box::default();
    };
    let base = base.over(&Rates {
        input,
        output,
        cached_input: None,
        cache_write: None,
        cache_write_1h: None,
        cache_write_12h: None,
        reasoning: None,
    });
    let borders: BTreeSet<u64> = known.keys().map(|(_, above)| *above).chain([0]).collect();
    let mut standard = Vec::with_capacity(borders.len());
    let mut tiers: Vec<Tier> = Vec::with_capacity(known.len());
    let mut push = |service, above_input_tokens, rates| {
        let repeats = tiers
            .last()
            .is_some_and(|last: &Tier| last.service == service && last.rates == rates);
        if !repeats {
            tiers.push(Tier {
                service,
                above_input_tokens,
                rates,
            });
        }
    };
    let mut below = base;
    for &above in &borders {
        if above > 0
            && let Some(own) = known.get(&(ServiceTier::Standard, above))
        {
            below = own.over(&below);
        }
        standard.push(below);
        push(ServiceTier::Standard, above, below);
    }
    let services: BTreeSet<ServiceTier> = known.keys().map(|(service, _)| *service).collect();
    for service in services
        .into_iter()
        .filter(|service| *service != ServiceTier::Standard)
    {
        let mut below: Option<Rates> = None;
        for (&above, ordinary) in borders.iter().zip(&standard) {
            let rates = match (known.get(&(service, above)), below) {
                (Some(own), None) => own.over(ordinary),
                (Some(own), Some(below)) => own.over(&dearer(&below, ordinary)),
                (None, None) => *ordinary,
                (None, Some(below)) if above > 0 => dearer(&below, ordinary),
                (None, Some(below)) => below,
            };
            below = Some(rates);
            push(service, above, rates);
        }
    }
    tiers.into()
}
