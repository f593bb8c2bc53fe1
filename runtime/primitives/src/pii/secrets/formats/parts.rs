//! What the rows of the table are made of: pieces of a key, and tails that several kinds of keys share.

use super::body::Body;
use Body::{Alnum, Hex, Upper, Url, Wide};
use Part::{Run, Text};

/// A piece of a key.
#[derive(Debug, Clone, Copy)]
pub(super) enum Part {
    /// Exactly this.
    Text(&'static str),
    /// From so many to so many of these characters.
    Run(Body, usize, usize),
}

/// The form of one kind of key.
pub(super) struct Format {
    pub(super) prefix: &'static [u8],
    pub(super) body: Body,
    /// Fewest and most characters after the prefix.
    pub(super) lengths: (usize, usize),
    /// What follows them.
    pub(super) tail: &'static [Part],
}

pub(super) const fn token(prefix: &'static str, body: Body, shortest: usize, longest: usize) -> Format {
    format(prefix, body, shortest, longest, &[])
}

pub(super) const fn format(
    prefix: &'static str,
    body: Body,
    shortest: usize,
    longest: usize,
    tail: &'static [Part],
) -> Format {
    Format {
        prefix: prefix.as_bytes(),
        body,
        lengths: (shortest, longest),
        tail,
    }
}

/// `-xxxx-xxxx-xxxx-xxxxxxxxxxxx` of a UUID.
pub(super) const UUID_TAIL: &[Part] = &[
    Text("-"),
    Run(Hex, 4, 4),
    Text("-"),
    Run(Hex, 4, 4),
    Text("-"),
    Run(Hex, 4, 4),
    Text("-"),
    Run(Hex, 12, 12),
];

pub(super) const fn uuid(prefix: &'static str) -> Format {
    format(prefix, Hex, 8, 8, UUID_TAIL)
}

/// The rest of a Teams webhook after the first group of its first UUID: that one, the tenant's, the secret, the owner's.
pub(super) const TEAMS: &[Part] = &[
    Text("-"),
    Run(Hex, 4, 4),
    Text("-"),
    Run(Hex, 4, 4),
    Text("-"),
    Run(Hex, 4, 4),
    Text("-"),
    Run(Hex, 12, 12),
    Text("@"),
    Run(Url, 36, 36),
    Text("/IncomingWebhook/"),
    Run(Alnum, 32, 32),
    Text("/"),
    Run(Url, 36, 36),
];

/// The groups of a 1Password secret key after the first.
pub(super) const GROUPS_11: &[Part] = &[
    Text("-"),
    Run(Upper, 11, 11),
    Text("-"),
    Run(Upper, 5, 5),
    Text("-"),
    Run(Upper, 5, 5),
    Text("-"),
    Run(Upper, 5, 5),
];
pub(super) const GROUPS_6_5: &[Part] = &[
    Text("-"),
    Run(Upper, 6, 6),
    Text("-"),
    Run(Upper, 5, 5),
    Text("-"),
    Run(Upper, 5, 5),
    Text("-"),
    Run(Upper, 5, 5),
    Text("-"),
    Run(Upper, 5, 5),
];

/// The rest of a Discord bot token after the user's id.
pub(super) const DISCORD: &[Part] = &[Text("."), Run(Url, 6, 6), Text("."), Run(Url, 27, 38)];

/// The rest of a Harness token after its account.
pub(super) const HARNESS: &[Part] = &[Text("."), Run(Alnum, 24, 24), Text("."), Run(Alnum, 20, 20)];

/// The rest of an Authress key after its client.
pub(super) const AUTHRESS: &[Part] = &[
    Text("."),
    Run(Alnum, 4, 6),
    Text(".acc"),
    Run(Url, 11, 33),
    Text("."),
    Run(Wide, 30, 120),
];
