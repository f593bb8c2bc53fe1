//! Who is asking, and what they may do: scopes, the roles that bundle them, namespaces as tenants.
//!
//! Made by `auth` from a token or a key, read by the service layer. Nothing here knows how an identity was proved.

use crate::hex;
use crate::shares::Address;
use sha2::{Digest as _, Sha256};
use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;

/// Calls `$consumer!` once with every scope.
macro_rules! for_each_scope {
    ($consumer:ident) => {
        $consumer! {
            /// Ask for decisions.
            Evaluate = 0, "policy:evaluate";
            /// Read policies, versions and bundles, validate and simulate.
            Read = 1, "policy:read";
            /// Write policies and bundles.
            Write = 2, "policy:write";
            /// Activate what somebody else wrote.
            Approve = 3, "policy:approve";
            /// Read the decision log and the audit trail.
            Audit = 4, "audit:read";
            /// Manage API keys.
            Keys = 5, "keys:manage";
            /// Report what an edge server runs.
            Status = 6, "status:write";
        }
    };
}

macro_rules! declare_scopes {
    ($($(#[doc = $doc:literal])+ $name:ident = $bit:literal, $text:literal;)+) => {
        /// One right.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum Scope {
            $($(#[doc = $doc])+ $name = $bit,)+
        }

        impl Scope {
            /// Every scope.
            pub const ALL: &'static [Self] = &[$(Self::$name,)+];

            /// The scope as tokens and keys spell it.
            #[must_use]
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$name => $text,)+ }
            }

            /// What it allows, in a sentence.
            #[must_use]
            pub fn help(self) -> &'static str {
                match self { $(Self::$name => concat!($($doc),+),)+ }
            }
        }
    };
}
for_each_scope!(declare_scopes);

impl Scope {
    /// The scope of this spelling.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|scope| scope.as_str() == text)
    }
}

/// A set of scopes.
#[derive(Clone, Copy, PartialEq, Eq, Default)]
pub struct Scopes(u8);

impl Scopes {
    /// No right at all.
    pub const NONE: Self = Self(0);

    /// Every right.
    #[must_use]
    pub fn all() -> Self {
        Scope::ALL.iter().copied().collect()
    }

    /// Whether the set holds a scope.
    #[must_use]
    pub fn has(self, scope: Scope) -> bool {
        self.0 & (1 << scope as u8) != 0
    }

    /// Both sets together.
    #[must_use]
    pub fn with(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// What both sets hold.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }

    /// Whether no scope is in the set.
    #[must_use]
    pub fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// The scopes of the set, in the order of the table.
    pub fn iter(self) -> impl Iterator<Item = Scope> {
        Scope::ALL.iter().copied().filter(move |scope| self.has(*scope))
    }
}

impl FromIterator<Scope> for Scopes {
    fn from_iter<T: IntoIterator<Item = Scope>>(iter: T) -> Self {
        Self(iter.into_iter().fold(0, |bits, scope| bits | 1 << scope as u8))
    }
}

impl fmt::Debug for Scopes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.iter().map(Scope::as_str)).finish()
    }
}

/// A named set of scopes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// Everything.
    Admin,
    /// Writes policies.
    Author,
    /// Activates what authors wrote.
    Approver,
    /// Reads policies.
    Viewer,
    /// Reads decisions and the audit trail.
    Auditor,
    /// Asks for decisions: what a gateway is given.
    Evaluator,
    /// Follows a central server: reads its bundle, and reports what it runs.
    Edge,
}

impl Role {
    /// Every role.
    pub const ALL: &'static [Self] = &[
        Self::Admin,
        Self::Author,
        Self::Approver,
        Self::Viewer,
        Self::Auditor,
        Self::Evaluator,
        Self::Edge,
    ];

    /// The role as tokens and keys spell it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Admin => "admin",
            Self::Author => "policy.author",
            Self::Approver => "policy.approver",
            Self::Viewer => "policy.viewer",
            Self::Auditor => "auditor",
            Self::Evaluator => "evaluator",
            Self::Edge => "edge",
        }
    }

    /// The role of this spelling.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|role| role.as_str() == text)
    }

    /// What to say of a word that is no role.
    #[must_use]
    pub fn unknown(word: &str) -> String {
        let known: Vec<&str> = Self::ALL.iter().map(|role| role.as_str()).collect();
        format!("there is no role `{word}`; roles are {}", known.join(", "))
    }

    /// What the role may do.
    #[must_use]
    pub fn scopes(self) -> Scopes {
        match self {
            Self::Admin => Scopes::all(),
            Self::Author => [Scope::Read, Scope::Write, Scope::Evaluate].into_iter().collect(),
            Self::Approver => [Scope::Read, Scope::Approve].into_iter().collect(),
            Self::Viewer => [Scope::Read].into_iter().collect(),
            Self::Auditor => [Scope::Read, Scope::Audit].into_iter().collect(),
            Self::Evaluator => [Scope::Evaluate].into_iter().collect(),
            Self::Edge => [Scope::Read, Scope::Status].into_iter().collect(),
        }
    }
}

/// Everybody, where authentication is off.
pub const ANONYMOUS: &str = "anonymous";
/// Whoever works on the command line of the server, beside its database.
pub const OPERATOR: &str = "operator";

/// Whether a subject is a name that several may come under.
#[must_use]
pub fn is_nobody(subject: &str) -> bool {
    subject == ANONYMOUS || subject == OPERATOR
}

/// The namespace whose policies bind everybody.
pub const GLOBAL: &str = "global";

/// How an identity was proved.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Proof {
    /// Not at all: authentication is off. Callers are told apart by the address that they call from, where it is known.
    None(Option<Address>),
    /// A signed token.
    Token,
    /// An API key.
    Key,
}

/// Whom a token or a key counts as, where something is shared out: a name that is kept with keys, and a hash of it. Cheap to
/// clone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Owner {
    name: Arc<str>,
    hash: [u8; 32],
}

impl Owner {
    /// That of what is kept under this name.
    #[must_use]
    pub fn named(name: &str) -> Self {
        Self {
            name: Arc::from(name),
            hash: Sha256::digest(name.as_bytes()).into(),
        }
    }

    /// A key that counts as itself.
    #[must_use]
    pub fn key(id: &str) -> Self {
        Self::named(&format!("key {id}"))
    }

    /// Whoever has tokens of this subject for these namespaces.
    #[must_use]
    pub fn token(subject: &str, namespaces: Option<&[String]>) -> Self {
        let mut hash = Sha256::new();
        // Every part has its length in front, so that no two identities share one.
        let mut part = |text: &[u8]| {
            hash.update((text.len() as u64).to_be_bytes());
            hash.update(text);
        };
        part(subject.as_bytes());
        match namespaces {
            None => part(b"all"),
            Some(namespaces) => {
                part(b"some");
                let mut sorted: Vec<&str> = namespaces.iter().map(String::as_str).collect();
                sorted.sort_unstable();
                sorted.dedup();
                sorted.into_iter().for_each(|name| part(name.as_bytes()));
            }
        }
        Self::named(&format!("token {}", hex::of(&hash.finalize())))
    }

    /// Its name: of a key, `key` and its id; of a token, `token` and a hash.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }
}

/// Who is asking. Cheap to clone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// Subject of a token, or name of a key.
    pub subject: Arc<str>,
    /// How it was proved.
    pub proof: Proof,
    /// What it may do.
    pub scopes: Scopes,
    /// The namespaces that it may touch; `None` is all of them.
    pub namespaces: Option<Arc<[String]>>,
    /// Whom limits and shares count it as; `None` without authentication: they count by their addresses. What is
    /// told and kept of what it does says its subject all the same.
    pub owner: Option<Owner>,
    /// When its key ends; `None` for a key without an end, and where there is no key.
    pub key_ends_ms: Option<i64>,
}

impl Identity {
    /// Everybody, where authentication is off.
    #[must_use]
    pub fn anonymous() -> Self {
        Self {
            subject: Arc::from(ANONYMOUS),
            proof: Proof::None(None),
            scopes: Scopes::all(),
            namespaces: None,
            owner: None,
            key_ends_ms: None,
        }
    }

    /// Everybody at an address, where authentication is off.
    #[must_use]
    pub fn anonymous_at(address: Option<Address>) -> Self {
        Self {
            proof: Proof::None(address),
            ..Self::anonymous()
        }
    }

    /// Whoever works on the command line of the server.
    #[must_use]
    pub fn operator() -> Self {
        Self {
            subject: Arc::from(OPERATOR),
            ..Self::anonymous()
        }
    }

    /// What tells whom it counts as from all others, for limits and shares: the hash of its owner, or its address, which costs
    /// nothing to make for each decision.
    #[must_use]
    pub fn fingerprint(&self) -> [u8; 32] {
        let padded = |version: u8, octets: &[u8]| {
            let mut bytes = [0; 32];
            for (to, from) in bytes.iter_mut().zip(std::iter::once(&version).chain(octets)) {
                *to = *from;
            }
            bytes
        };
        match (&self.owner, self.proof) {
            (Some(owner), _) => owner.hash,
            (None, Proof::None(Some(address))) => match address.ip() {
                IpAddr::V4(address) => padded(4, &address.octets()),
                IpAddr::V6(address) => padded(6, &address.octets()),
            },
            (None, Proof::None(None) | Proof::Token | Proof::Key) => padded(0, &[]),
        }
    }

    /// Whether it may touch a namespace.
    #[must_use]
    pub fn may_touch(&self, namespace: &str) -> bool {
        self.namespaces
            .as_ref()
            .is_none_or(|own| own.iter().any(|n| n == namespace))
    }

    /// Whether it may read the policies of a namespace: its own, and `global`, which binds everybody.
    #[must_use]
    pub fn may_read(&self, namespace: &str) -> bool {
        namespace == GLOBAL || self.may_touch(namespace)
    }

    /// The namespaces whose policies it may read; `None` is all of them.
    #[must_use]
    pub fn readable(&self) -> Option<Vec<String>> {
        let own = self.namespaces.as_deref()?;
        let mut readable = own.to_vec();
        if !readable.iter().any(|namespace| namespace == GLOBAL) {
            readable.push(GLOBAL.to_owned());
        }
        Some(readable)
    }
}
