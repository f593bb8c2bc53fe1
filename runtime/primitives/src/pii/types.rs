//! The table of types, and the plain data that the rest of the module passes around.
//!
//! A new type is one row of `pii_types!` and a detector that emits it. Everything that lists types (names in
//! policies, placeholders, documentation) is an expansion of that table.

use std::fmt;
use std::str::FromStr;

/// How sure a detector is. Only [`Confidence::Medium`] and above count as a finding by default.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Confidence {
    /// The form fits, but ordinary text has that form too, or a checksum fails next to a telling word.
    Low,
    /// The form is telling, or a word nearby says what it is.
    Medium,
    /// A checksum or an unmistakable form.
    High,
}

impl Confidence {
    /// The spelling used in reports and settings: `low`, `medium`, `high`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Confidence::Low => "low",
            Confidence::Medium => "medium",
            Confidence::High => "high",
        }
    }
}

/// One piece of text of one type.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Match {
    /// What it is.
    pub kind: PiiType,
    /// Offset of its first byte in the text.
    pub start: usize,
    /// One past the last byte.
    pub end: usize,
    /// How sure the detector is.
    pub confidence: Confidence,
}

macro_rules! pii_types {
    ($( $variant:ident, $name:literal, $placeholder:literal, $confidence:ident, $doc:literal; )*) => {
        /// A type of personal data or secret, in table order.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[repr(u8)]
        pub enum PiiType {
            $( #[doc = $doc] $variant, )*
        }

        impl PiiType {
            /// Every type, in table order.
            pub const ALL: &'static [PiiType] = &[ $( PiiType::$variant, )* ];

            /// The names of all types, in table order.
            pub const NAMES: &'static [&'static str] = &[ $( $name, )* ];

            /// The name as policies spell it.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self { $( PiiType::$variant => $name, )* }
            }

            /// What redaction writes in its place.
            #[must_use]
            pub const fn placeholder(self) -> &'static str {
                match self { $( PiiType::$variant => $placeholder, )* }
            }

            /// The confidence of a well-formed example with no telling word around it. `Low` means that the type
            /// counts only next to such a word.
            #[must_use]
            pub const fn default_confidence(self) -> Confidence {
                match self { $( PiiType::$variant => Confidence::$confidence, )* }
            }

            /// One line for documentation and editors.
            #[must_use]
            pub const fn description(self) -> &'static str {
                match self { $( PiiType::$variant => $doc, )* }
            }
        }
    };
}

pii_types! {
    Email, "email", "[EMAIL]", High, "E-mail address with a plausible top-level domain.";
    Phone, "phone", "[PHONE]", Medium, "Telephone number: international, NANP, or a national layout.";
    Ssn, "ssn", "[SSN]", High, "US social security number with valid area, group and serial.";
    CreditCard, "credit_card", "[CREDIT_CARD]", High, "Payment card, 12 to 19 digits: issuer range and Luhn.";
    Iban, "iban", "[IBAN]", High, "International bank account number: country length and mod 97.";
    IpAddress, "ip_address", "[IP_ADDRESS]", High, "IPv4 or IPv6 address.";
    Address, "address", "[ADDRESS]", Medium, "Street address: house number, street and a street word.";
    DateOfBirth, "date_of_birth", "[DATE_OF_BIRTH]", Low, "Date next to a word such as `born` or `dob`.";
    ApiKey, "api_key", "[API_KEY]", High, "API key or access token of a known service, or assigned to a secret's name.";
    PrivateKey, "private_key", "[PRIVATE_KEY]", High, "PEM private key block.";
    Jwt, "jwt", "[JWT]", High, "JSON web token.";
    MacAddress, "mac_address", "[MAC_ADDRESS]", High, "Hardware (MAC) address.";
    CryptoWallet, "crypto_wallet", "[CRYPTO_WALLET]", High, "Bitcoin or Ethereum address.";
    UsItin, "us_itin", "[US_ITIN]", High, "US individual taxpayer identification number.";
    UkNino, "uk_nino", "[UK_NINO]", Medium, "UK national insurance number.";
    UkNhs, "uk_nhs", "[UK_NHS]", Low, "UK NHS number (mod 11) next to a word such as `nhs`.";
    CaSin, "ca_sin", "[CA_SIN]", Low, "Canadian social insurance number (Luhn) next to a word such as `sin`.";
    InAadhaar, "in_aadhaar", "[IN_AADHAAR]", Low, "Indian Aadhaar number (Verhoeff) next to a word such as `aadhaar`.";
    BrCpf, "br_cpf", "[BR_CPF]", High, "Brazilian CPF with both check digits.";
    DriverLicense, "driver_license", "[DRIVER_LICENSE]", Low, "Identifier next to the words `driver's license`.";
    Passport, "passport", "[PASSPORT]", Low, "Identifier next to the word `passport`.";
}

impl PiiType {
    /// The type with this bit, for iterating sets.
    fn from_index(index: u32) -> Option<PiiType> {
        PiiType::ALL.get(index as usize).copied()
    }

    /// The type whose placeholder is exactly `text`, brackets included.
    pub(super) fn from_placeholder(text: &[u8]) -> Option<PiiType> {
        PiiType::ALL
            .iter()
            .copied()
            .find(|kind| kind.placeholder().as_bytes() == text)
    }
}

impl fmt::Display for PiiType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A name that is not in the table of types.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("unknown type of personal data")]
pub struct UnknownPiiType;

impl FromStr for PiiType {
    type Err = UnknownPiiType;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        PiiType::ALL
            .iter()
            .copied()
            .find(|kind| kind.name() == name)
            .ok_or(UnknownPiiType)
    }
}

/// A set of types; iterates in table order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct PiiTypeSet(u32);

impl PiiTypeSet {
    /// The set without any type.
    pub const EMPTY: PiiTypeSet = PiiTypeSet(0);
    /// Every type: what `$redact: all` means.
    pub const ALL: PiiTypeSet = PiiTypeSet((1 << PiiType::ALL.len()) - 1);

    /// This set and `kind`.
    #[must_use]
    pub const fn with(self, kind: PiiType) -> PiiTypeSet {
        PiiTypeSet(self.0 | 1 << kind as u32)
    }

    /// Adds `kind`; no change where the set has it.
    pub fn insert(&mut self, kind: PiiType) {
        *self = self.with(kind);
    }

    /// Whether `kind` is in the set.
    #[must_use]
    pub const fn contains(self, kind: PiiType) -> bool {
        self.0 & (1 << kind as u32) != 0
    }

    /// Whether no type is in the set.
    #[must_use]
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// How many types are in the set.
    #[must_use]
    pub const fn len(self) -> usize {
        self.0.count_ones() as usize
    }

    /// Types in either set.
    #[must_use]
    pub const fn union(self, other: PiiTypeSet) -> PiiTypeSet {
        PiiTypeSet(self.0 | other.0)
    }

    /// The types, in table order.
    #[must_use]
    pub const fn iter(self) -> PiiTypes {
        PiiTypes(self.0)
    }

    /// The names as policies spell them, in table order.
    pub fn names(self) -> impl Iterator<Item = &'static str> {
        self.iter().map(PiiType::name)
    }
}

impl FromIterator<PiiType> for PiiTypeSet {
    fn from_iter<I: IntoIterator<Item = PiiType>>(kinds: I) -> Self {
        kinds.into_iter().fold(PiiTypeSet::EMPTY, PiiTypeSet::with)
    }
}

impl IntoIterator for PiiTypeSet {
    type Item = PiiType;
    type IntoIter = PiiTypes;

    fn into_iter(self) -> PiiTypes {
        self.iter()
    }
}

/// The types of a [`PiiTypeSet`], in table order.
#[derive(Debug, Clone)]
pub struct PiiTypes(u32);

impl Iterator for PiiTypes {
    type Item = PiiType;

    fn next(&mut self) -> Option<PiiType> {
        let kind = PiiType::from_index(self.0.trailing_zeros())?;
        self.0 &= self.0 - 1;
        Some(kind)
    }
}
