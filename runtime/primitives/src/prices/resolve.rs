//! From the name that a request gives to the price that holds for it.
//!
//! Called through [`PriceTable::resolve`]. A wrong price is worse than none: what the table does not say is unknown.
//!
//! # Rules
//!
//! - The seller is the request's provider, else the prefix of the name, and only the seller's rows count. A name with
//!   neither is looked up as it stands. Where provider and prefix disagree, nobody knows who sells.
//! - A place stays: without a row of its own, a deployment in a place has the price of the model alone where that is the
//!   price of the place (`global` on Azure, `us-east-1` on Bedrock), or where all other places cost the same as the model
//!   alone.
//! - A date stays: a version that is not in the table has the price of the model alone only where another version is in
//!   the table and all of them cost the same. A name without a date has the price of its dated versions where they agree.
//!   `latest` is the name alone. A preview is another model.
//! - Claude's names are read with dots for dashes and with version and family in either order.
//! - A market sells the models of those makers who are their only source at the maker's price (OpenRouter does); for
//!   others it has prices of its own, which the table does not have. Its `:free` models cost nothing, and `:online` adds
//!   a search.
//!
//! All keys are concatenations of borrowed parts that are compared in place, so nothing is allocated. O(borders in the
//! name × log of the table); a place without a row is looked for among the rows of its seller.

use std::sync::LazyLock;

use super::cost::NanoDollars;
use super::entry::{Entry, Mode, Price, Rates, ServiceTier, Tier};
use super::spelling::{
    MARKETS, PROXIES, Rest, borders, contains, is_provider, is_region, known_as, swapped,
    without_tuning_owner,
};
use super::{How, PriceTable, Resolution};

/// What a market asks for the search that `:online` adds: five results at $4 for a thousand.
const ONLINE: NanoDollars = NanoDollars(20_000_000);

/// Endings that choose among servers of a model, which a model with one source has one of, or that ask for no other
/// price. `:extended` is not one of them.
const SAME_PRICE: [&str; 5] = ["beta", "nitro", "floor", "exacto", "thinking"];

/// Makers who are the only source of their models, as a market names them and as the table does, with the beginnings of
/// the names that this is true of.
const SOLE_SOURCES: [(&str, &str, &[&str]); 5] = [
    (
        "openai",
        "openai",
        &[
            "gpt-3",
            "gpt-4",
            "gpt-5",
            "gpt-6",
            "o1",
            "o3",
            "o4",
            "chatgpt-",
            "codex-",
            "text-embedding-",
        ],
    ),
    ("anthropic", "anthropic", &["claude-"]),
    ("google", "gemini", &["gemini-"]),
    ("x-ai", "xai", &["grok-"]),
    ("cohere", "cohere", &["command-"]),
];

/// Places before a maker's name on Bedrock.
const GEOS: [&str; 9] = ["us", "eu", "apac", "ap", "jp", "au", "ca", "sa", "global"];

/// A market's model that costs nothing.
static FREE: LazyLock<Entry> = LazyLock::new(|| Entry {
    name: "openrouter/:free".into(),
    provider: "openrouter".into(),
    mode: Mode::Chat,
    tiers: Box::new([Tier {
        service: ServiceTier::Standard,
        above_input_tokens: 0,
        rates: Rates {
            input: Price(0),
            output: Price(0),
            cached_input: None,
            cache_write: None,
            cache_write_1h: None,
            cache_write_12h: None,
            reasoning: None,
        },
    }]),
    units: Box::default(),
    max_input_tokens: None,
    max_output_tokens: None,
    deprecation_date: None,
    last_listed: None,
});

/// Where to look: the keys `prefix` `name`, and which seller's rows count.
#[derive(Clone, Copy)]
struct Scope<'a> {
    prefix: [&'a str; 4],
    /// If not empty, only rows of this provider count.
    seller: &'a str,
}

impl<'a> Scope<'a> {
    const BARE: Self = Self {
        prefix: [""; 4],
        seller: "",
    };

    fn under(seller: &'a str) -> Self {
        Self {
            prefix: [seller, "/", "", ""],
            seller: "",
        }
    }

    fn of(seller: &'a str) -> Self {
        Self {
            prefix: [""; 4],
            seller,
        }
    }

    fn accepts(self, entry: &Entry) -> bool {
        self.seller.is_empty() || is_provider(&entry.provider, self.seller)
    }

    fn key(self, name: [&'a str; 5]) -> [&'a str; 9] {
        let [a, b, c, d] = self.prefix;
        let [e, f, g, h, i] = name;
        [a, b, c, d, e, f, g, h, i]
    }
}

pub(super) fn resolve<'t>(table: &'t PriceTable, provider: Option<&str>, model: &str) -> Resolution<'t> {
    let provider = provider
        .map(str::trim)
        .filter(|provider| !provider.is_empty() && !contains(&PROXIES, provider));
    let model = model.trim();
    match search(table, provider, model) {
        Some((entry, how, surcharge)) if entry.has_price() => Resolution::Known {
            entry,
            how,
            surcharge,
        },
        // A row without prices: its name is known, and no relative's price is its own.
        Some(_) | None => Resolution::Unknown,
    }
}

type Found<'t> = (&'t Entry, How, NanoDollars);

fn search<'t>(table: &'t PriceTable, provider: Option<&str>, model: &str) -> Option<Found<'t>> {
    let mut name = without_tuning_owner(model);
    let mut seller = provider.map(known_as);
    let found = |(entry, how)| (entry, how, NanoDollars(0));
    let literal = table.find(&[name]).filter(|entry| match seller {
        Some(seller) => is_provider(&entry.provider, seller),
        None => true,
    });
    if let Some(entry) = literal {
        return Some((entry, How::Exact, NanoDollars(0)));
    }
    loop {
        if seller.is_some_and(|seller| contains(&MARKETS, seller)) {
            return in_market(table, name);
        }
        // `@openai/gpt-4o`, a provider of a gateway's; `@cf/…` is Cloudflare's own.
        let Some((segment, rest)) = name.split_once('/') else {
            break;
        };
        if seller.is_none() && contains(&["projects", "publishers"], segment) {
            seller = Some("vertex_ai");
            break;
        }
        let segment = segment.strip_prefix('@').unwrap_or(segment);
        if segment.is_empty() || contains(&PROXIES, segment) {
            name = rest;
        } else if let Some(seller) = seller {
            if !known_as(segment).eq_ignore_ascii_case(seller) {
                break;
            }
            // `perplexity/perplexity/…` would be another model.
            if let Some(entry) = table.find(&[seller, "/", name]) {
                return Some((entry, How::ProviderQualified, NanoDollars(0)));
            }
            name = rest;
            break;
        } else if name.starts_with("arn:") || segment.contains(':') {
            break;
        } else {
            name = rest;
            seller = Some(known_as(segment));
        }
    }
    if seller.is_some_and(|seller| contains(&MARKETS, seller)) {
        return in_market(table, name);
    }
    let seller = seller.or_else(|| on_bedrock(name).then_some("bedrock"));
    let Some(seller) = seller else {
        return look_up(table, &[Scope::BARE], name).map(found);
    };
    let ways = ["bedrock", "azure", "vertex_ai", "gemini", "fireworks_ai"];
    match ways.into_iter().find(|way| way.eq_ignore_ascii_case(seller)) {
        Some("bedrock") => bedrock(table, name).map(found),
        Some("azure") => azure(table, name).map(found),
        Some("vertex_ai") => vertex(table, name).map(found),
        Some("gemini") => {
            let name = name.strip_prefix("models/").unwrap_or(name);
            sold_by(table, "gemini", name).map(found)
        }
        Some("fireworks_ai") => sold_by(table, "fireworks_ai", name)
            .or_else(|| {
                let scope = Scope {
                    prefix: ["fireworks_ai/accounts/fireworks/models/", "", "", ""],
                    seller: "",
                };
                look_up(table, &[scope], name)
            })
            .map(found),
        Some(_) | None => sold_by(table, seller, name).map(found),
    }
}

/// What `seller` calls `name`, with its prefix or without.
fn sold_by<'t>(table: &'t PriceTable, seller: &str, name: &str) -> Option<(&'t Entry, How)> {
    look_up(table, &[Scope::under(seller), Scope::of(seller)], name)
}

/// The row for `name` in the first of `scopes` that has one: as it is spelled, then in Claude's other spellings, then by
/// what is known of its versions.
fn look_up<'t>(table: &'t PriceTable, scopes: &[Scope<'_>], name: &str) -> Option<(&'t Entry, How)> {
    if name.is_empty() {
        return None;
    }
    let find = |parts: [&str; 5]| {
        scopes.iter().find_map(|scope| {
            table
                .find(&scope.key(parts))
                .or_else(|| {
                    is_claude(name)
                        .then(|| table.find_undotted(&scope.key(parts)))
                        .flatten()
                })
                .filter(|entry| scope.accepts(entry))
        })
    };
    let whole = [name, "", "", "", ""];
    find(whole)
        .or_else(|| find(swapped(name)?))
        .map(|entry| (entry, How::ProviderQualified))
        .or_else(|| {
            scopes
                .iter()
                .find_map(|scope| of_versions(table, *scope, whole))
                .or_else(|| {
                    let swapped = swapped(name)?;
                    scopes
                        .iter()
                        .find_map(|scope| of_versions(table, *scope, swapped))
                })
        })
}

/// What the versions in the table say about a name that is not.
fn of_versions<'t>(table: &'t PriceTable, scope: Scope<'_>, name: [&str; 5]) -> Option<(&'t Entry, How)> {
    let undot = name.iter().any(|part| is_claude(part));
    let find = |name: [&str; 5]| {
        table
            .find(&scope.key(name))
            .or_else(|| undot.then(|| table.find_undotted(&scope.key(name))).flatten())
            .filter(|entry| scope.accepts(entry))
    };
    // Only the last part that is not empty has an end to take away from.
    let last = name.iter().rposition(|part| !part.is_empty())?;
    let cut = |at: usize| {
        let mut cut = name;
        if let Some(part) = cut.get_mut(last) {
            *part = part.get(..at).unwrap_or(part);
        }
        cut
    };
    let end = *name.get(last)?;
    for at in borders(end) {
        let Some(rest) = end.get(at + 1..).and_then(Rest::of) else {
            continue;
        };
        let base = cut(at);
        match rest {
            Rest::Alias => {
                let entry = find(base).or_else(|| agreed(table, scope, base, None))?;
                return Some((entry, How::Family));
            }
            Rest::Version => {
                // `-v2` alone is another model.
                let dated = end
                    .as_bytes()
                    .get(at + 1..)
                    .unwrap_or_default()
                    .windows(3)
                    .any(|digits| digits.iter().all(u8::is_ascii_digit));
                if let Some(entry) = find(base).filter(|_| dated) {
                    agreed(table, scope, base, Some(entry))?;
                    return Some((entry, How::Stripped));
                }
            }
            Rest::Words => return None,
        }
    }
    agreed(table, scope, name, None).map(|entry| (entry, How::Family))
}

/// One of the dated versions of `name`, if there are any and all cost the same, and what `alone` costs if that is given.
fn agreed<'t>(
    table: &'t PriceTable,
    scope: Scope<'_>,
    name: [&str; 5],
    alone: Option<&Entry>,
) -> Option<&'t Entry> {
    let undot = name.iter().any(|part| is_claude(part));
    let key = scope.key(name);
    let length = key.iter().map(|part| part.len()).sum::<usize>();
    let mut dated = table.starting_with(&key, undot).iter().filter(|entry| {
        let rest = entry
            .name
            .get(length..)
            .and_then(|rest| rest.strip_prefix(['-', '@', ':']));
        scope.accepts(entry) && rest.and_then(Rest::of) == Some(Rest::Version)
    });
    let mut granted = dated.next()?;
    // Where they differ in discounts only, the one that grants least.
    let cached = |entry: &Entry| {
        entry
            .rates()
            .map(|rates| rates.cached_input.unwrap_or(rates.input))
    };
    for entry in dated {
        if !cost_alike(entry, granted) {
            return None;
        }
        if cached(entry) > cached(granted) {
            granted = entry;
        }
    }
    alone
        .is_none_or(|alone| cost_alike(alone, granted))
        .then_some(granted)
}

/// Whether two rows have the same prices for input and output, whatever discounts they grant.
fn cost_alike(a: &Entry, b: &Entry) -> bool {
    let (tiers_of_a, tiers_of_b) = (
        a.tiers_of(ServiceTier::Standard),
        b.tiers_of(ServiceTier::Standard),
    );
    // Beside tokens, units are extras that a request need not use.
    let same_units =
        (!tiers_of_a.is_empty() && a.is_priced_by_tokens() && b.is_priced_by_tokens()) || a.units == b.units;
    tiers_of_a.len() == tiers_of_b.len()
        && same_units
        && tiers_of_a.iter().zip(tiers_of_b).all(|(a, b)| {
            a.above_input_tokens == b.above_input_tokens
                && a.rates.input == b.rates.input
                && a.rates.output == b.rates.output
        })
}

/// A name of Claude's, which may be written with dots for dashes.
pub(super) fn is_claude(name: &str) -> bool {
    const CLAUDE: &[u8] = b"claude-";
    name.as_bytes()
        .windows(CLAUDE.len())
        .any(|window| window.eq_ignore_ascii_case(CLAUDE))
}

/// Whether a name without a seller is one of Bedrock's: an ARN, or with a place and a maker before the model.
fn on_bedrock(name: &str) -> bool {
    let place = name.split_once('.').is_some_and(|(place, rest)| {
        is_geo(place)
            && rest
                .split_once('.')
                .is_some_and(|(maker, _)| maker.bytes().all(|byte| byte.is_ascii_alphanumeric()))
    });
    place || name.starts_with("arn:aws")
}

fn is_geo(place: &str) -> bool {
    contains(&GEOS, place) || place.eq_ignore_ascii_case("us-gov")
}

/// `us-east-1`, `eu-west-2`, `us-gov-west-1`.
fn is_aws_region(segment: &str) -> bool {
    is_region(segment) && segment.matches('-').count() >= 2
}

fn bedrock<'t>(table: &'t PriceTable, name: &str) -> Option<(&'t Entry, How)> {
    let (mut name, mut region) = (name, None);
    while let Some((segment, rest)) = name.split_once('/') {
        if segment.starts_with("arn:") {
            // `arn:aws:bedrock:us-east-1:123456789012:inference-profile/us.anthropic.…`; other resources have names of
            // their own.
            let mut parts = segment.splitn(6, ':');
            let (service, place) = (parts.nth(2)?, parts.next()?);
            let kind = parts.nth(1)?;
            if service != "bedrock" || !contains(&["inference-profile", "foundation-model"], kind) {
                return None;
            }
            (name, region) = (rest, Some(place));
        } else if contains(&["converse", "invoke", "converse_like", "bedrock"], segment) {
            name = rest;
        } else if is_aws_region(segment) && region.is_none() {
            (name, region) = (rest, Some(segment));
        } else {
            break;
        }
    }
    let seller = Scope::of("bedrock");
    let under = |place| Scope {
        prefix: ["bedrock", "/", place, "/"],
        seller: "",
    };
    let geo = name.split_once('.').filter(|(place, _)| is_geo(place));
    if let Some((place, base)) = geo {
        // A profile has its price wherever it is called from.
        return look_up(table, &[seller], name).or_else(|| {
            let (entry, _) = look_up(table, &[seller], base)?;
            let elsewhere = || {
                GEOS.iter().filter_map(|other| {
                    let parts = [*other, ".", base];
                    table
                        .find(&parts)
                        .or_else(|| is_claude(base).then(|| table.find_undotted(&parts)).flatten())
                })
            };
            let alike = elsewhere().next().is_some() && elsewhere().all(|other| cost_alike(other, entry));
            (alike && !place.eq_ignore_ascii_case("us-gov")).then_some((entry, How::Stripped))
        });
    }
    let Some(region) = region else {
        return look_up(table, &[seller, Scope::under("bedrock")], name);
    };
    look_up(table, &[under(region)], name).or_else(|| {
        let (entry, _) = look_up(table, &[seller], name)?;
        if contains(&["us-east-1", "us-west-2"], region) {
            return Some((entry, How::Stripped));
        }
        let government = |place: &str| {
            place
                .get(..6)
                .is_some_and(|start| start.eq_ignore_ascii_case("us-gov"))
        };
        let is_elsewhere = |other: &&Entry| {
            let other = other
                .name
                .strip_prefix("bedrock/")
                .and_then(|rest| rest.split_once('/'));
            other.is_some_and(|(place, model)| {
                is_aws_region(place) && !government(place) && model.eq_ignore_ascii_case(name)
            })
        };
        let geos = || {
            GEOS.iter()
                .filter(|geo| **geo != "global")
                .filter_map(|geo| table.find(&[*geo, ".", name]))
        };
        let elsewhere = || {
            table
                .starting_with(&["bedrock/"], false)
                .iter()
                .filter(is_elsewhere)
                .chain(geos())
        };
        let alike = elsewhere().next().is_some() && elsewhere().all(|other| cost_alike(other, entry));
        (alike && !government(region)).then_some((entry, How::Stripped))
    })
}

fn azure<'t>(table: &'t PriceTable, name: &str) -> Option<(&'t Entry, How)> {
    let Some((place, model)) = name.split_once('/') else {
        return look_up(table, &[Scope::under("azure"), Scope::of("azure")], name);
    };
    let scope = Scope {
        prefix: ["azure", "/", place, "/"],
        seller: "",
    };
    look_up(table, &[scope], model).or_else(|| {
        // What a model costs alone is what it costs at a global deployment.
        let global = contains(&["global", "global-standard", "globalstandard"], place);
        let (entry, _) = look_up(table, &[Scope::under("azure")], model).filter(|_| global)?;
        Some((entry, How::Stripped))
    })
}

fn vertex<'t>(table: &'t PriceTable, name: &str) -> Option<(&'t Entry, How)> {
    let (mut name, mut place, mut stripped) = (name, None, false);
    // `projects/p/locations/us-east5/publishers/anthropic/models/claude-…`, or some end of it.
    for (label, is_place) in [("projects/", false), ("locations/", true)] {
        if let Some(rest) = name.strip_prefix(label) {
            let (value, rest) = rest.split_once('/')?;
            (name, stripped) = (rest, true);
            place = is_place.then_some(value).or(place);
        }
    }
    if let Some((region, rest)) = name.split_once('/')
        && place.is_none()
        && (is_region(region) || region.eq_ignore_ascii_case("global"))
    {
        (name, place, stripped) = (rest, Some(region), true);
    }
    if let Some(rest) = name.strip_prefix("publishers/") {
        let (publisher, model) = rest.split_once("/models/")?;
        stripped = true;
        // Rows of other publishers have their names before the model's.
        if !contains(&["google", "anthropic", "mistralai", "ai21"], publisher) {
            let scope = Scope {
                prefix: ["vertex_ai/", publisher, "/", ""],
                seller: "",
            };
            return look_up(table, &[scope], model).filter(|_| at_no_premium(place, model));
        }
        name = model;
    }
    let name = name
        .strip_prefix("google/")
        .filter(|model| model.starts_with("gemini-"))
        .unwrap_or(name);
    let (entry, how) = sold_by(table, "vertex_ai", name).filter(|_| at_no_premium(place, name))?;
    Some((entry, if stripped { how.max(How::Stripped) } else { how }))
}

/// Whether the table's price is the one of a place on Vertex: Claude costs more outside of the global endpoint, and the
/// table does not say since which version.
fn at_no_premium(place: Option<&str>, model: &str) -> bool {
    place.is_none_or(|place| place.eq_ignore_ascii_case("global")) || !is_claude(model)
}

/// What a market sells: its own rows, models that cost nothing, models with one source at the source's price.
fn in_market<'t>(table: &'t PriceTable, name: &str) -> Option<Found<'t>> {
    const NOTHING: NanoDollars = NanoDollars(0);
    let name = name.strip_prefix("openrouter/").unwrap_or(name);
    if let Some(entry) = table.find(&["openrouter/", name]) {
        return Some((entry, How::ProviderQualified, NOTHING));
    }
    let (plain, how) = match name.rsplit_once(':') {
        Some((plain, how)) => (plain, how),
        None => (name, ""),
    };
    let (maker, model) = plain.split_once('/').filter(|(_, model)| !model.is_empty())?;
    if how.eq_ignore_ascii_case("free") {
        return Some((&FREE, How::Family, NOTHING));
    }
    let surcharge = if how.eq_ignore_ascii_case("online") {
        ONLINE
    } else {
        NOTHING
    };
    if surcharge == NOTHING && !how.is_empty() && !contains(&SAME_PRICE, how) {
        return None;
    }
    let (_, seller, starts) = SOLE_SOURCES
        .iter()
        .find(|(own, ..)| own.eq_ignore_ascii_case(maker))?;
    let sole = starts.iter().any(|start| {
        model
            .get(..start.len())
            .is_some_and(|head| head.eq_ignore_ascii_case(start))
    });
    let (entry, how) = sold_by(table, seller, model).filter(|_| sole)?;
    Some((entry, how, surcharge))
}
