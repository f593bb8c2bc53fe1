//! The bundle: one file with the module, the manifest, the source map, the cost certificate and the debug section, a digest
//! over them, and signatures over the digest.
//!
//! ```text
//! magic (8) · format version (u16) · section count (u16) · digest (32)
//! section table: id (u16) · flags (u16: bit 0 = may be skipped) · length (u32), ascending by id
//! sections, in table order, without gaps
//! signature count (u16) · signatures: public key (32) · Ed25519 signature (64)
//! ```
//!
//! All integers are little-endian. The digest is SHA-256 over everything before the signatures except itself, so equal
//! inputs give equal bytes and any flipped byte is found: in the contents by the digest, in the signatures by checking
//! each against its own key. Whether a key is trusted is the caller's question: [`Bundle::signed_by`].
//!
//! The debug section may be missing, and readers that do not know it skip it: it changes nothing that the other sections say.

use crate::debug::{DebugSection, SourceMapSection};
use crate::manifest::{Manifest, ManifestError};
use crate::module::Module;
use crate::wire::{DecodeError, Reader};
use ed25519_dalek::{Signature, Signer, SigningKey, VerifyingKey};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use std::fmt;

/// First bytes of every bundle.
pub const MAGIC: &[u8; 8] = b"LLMPOLB\0";
/// Version of the container. A reader refuses any other.
pub const FORMAT_VERSION: u16 = 4;
/// Bytes that a bundle may have at most. Decoded tables take up to about 32 times their stored size, so a host that
/// takes bundles from others should set a lower one: [`Bundle::decode_limited`].
pub const MAX_BYTES: usize = 256 << 20;

const HEADER: usize = 8 + 2 + 2;
const DIGEST: usize = 32;
const MAX_SECTIONS: usize = 64;
const MAX_SIGNATURES: usize = 16;
/// Flag of a section that readers who do not know it pass over.
const MAY_BE_SKIPPED: u16 = 1;
const SIGNATURE_CONTEXT: &[u8] = b"llm-policy-engine bundle signature v1\0";

macro_rules! sections {
    ($( $variant:ident = $id:literal, $flags:expr, $name:literal, $holds:literal; )*) => {
        /// Sections of a bundle.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        #[repr(u16)]
        enum Section { $( $variant = $id, )* }
        impl Section {
            const ALL: &'static [Self] = &[ $( Self::$variant, )* ];
            fn flags(self) -> u16 { match self { $( Self::$variant => $flags, )* } }
            fn name(self) -> &'static str { match self { $( Self::$variant => $name, )* } }
            fn holds(self) -> &'static str { match self { $( Self::$variant => $holds, )* } }
        }
    };
}

sections! {
    Module = 1, 0, "module", "code and tables";
    Manifest = 2, 0, "manifest", "reasons, metadata, modifications, condition trees";
    SourceMap = 3, 0, "source map", "the place in the policies of each predicate";
    Certificate = 4, 0, "cost certificate", "the most that one evaluation can cost";
    Debug = 5, MAY_BE_SKIPPED, "debug", "the place in the policies of each instruction and of each condition; may be missing";
}

/// Number, name and contents of every section, for the manual.
pub(crate) fn sections() -> impl Iterator<Item = (u16, &'static str, &'static str)> {
    Section::ALL.iter().map(|s| (*s as u16, s.name(), s.holds()))
}

/// SHA-256 over the contents of a bundle.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct BundleDigest(pub [u8; 32]);

impl fmt::Display for BundleDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("sha256:")?;
        self.0.iter().try_for_each(|b| write!(f, "{b:02x}"))
    }
}

impl fmt::Debug for BundleDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// One signature over the digest.
#[derive(Clone, PartialEq, Eq)]
pub struct BundleSignature {
    /// Ed25519 public key of the signer.
    pub public_key: [u8; 32],
    /// The signature.
    pub signature: [u8; 64],
}

impl fmt::Debug for BundleSignature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "BundleSignature({})", key_id(&self.public_key))
    }
}

/// Short name of a public key: the first eight bytes of its SHA-256 in hex.
#[must_use]
pub fn key_id(public_key: &[u8; 32]) -> String {
    Sha256::digest(public_key)
        .iter()
        .take(8)
        .map(|b| format!("{b:02x}"))
        .collect()
}

/// What one evaluation can cost at most, stated by the compiler.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct CostCertificate {
    /// Instructions, whatever the request.
    pub instructions: u64,
    /// Predicate evaluations, whatever the request.
    pub predicates: u64,
    /// Passes over the texts of the request: work units per byte.
    pub scans_per_text_byte: u64,
    /// Derived fields that may have to be computed.
    pub derived: Vec<String>,
    /// Cost units: the above weighted by the cost table of the compiler. A unit is roughly a nanosecond of one core.
    pub fixed_cost: u64,
    /// Cost units per kilobyte of text.
    pub cost_per_text_kb: u64,
}

/// A decoded bundle. Its module is not verified yet.
#[derive(Debug, Clone, PartialEq)]
pub struct Bundle {
    /// Code and tables.
    pub module: Module,
    /// Reasons, metadata, condition trees.
    pub manifest: Manifest,
    /// Source places.
    pub source_map: SourceMapSection,
    /// Cost bound.
    pub certificate: CostCertificate,
    /// Places of instructions and conditions; `None` in a bundle without the section.
    pub debug: Option<DebugSection>,
    /// Over the contents.
    pub digest: BundleDigest,
    /// Each verified against its own key.
    pub signatures: Vec<BundleSignature>,
}

/// Why bytes are not a usable bundle.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum BundleError {
    /// The bytes do not decode.
    #[error("{0}")]
    Decode(#[from] DecodeError),
    /// The manifest does not fit the module.
    #[error("{0}")]
    Manifest(#[from] ManifestError),
    /// No signature by a trusted key, but keys were given.
    #[error("{}", untrusted(signed_by))]
    Untrusted {
        /// Ids of the keys that did sign.
        signed_by: Vec<String>,
    },
    /// A key file does not hold an Ed25519 key.
    #[error("not an Ed25519 key: {detail}")]
    BadKey {
        /// What the reader said.
        detail: String,
    },
}

fn untrusted(signed_by: &[String]) -> String {
    if signed_by.is_empty() {
        return "the bundle is not signed".to_owned();
    }
    format!(
        "the bundle is signed by {}, none of which is a trusted key",
        signed_by.join(", ")
    )
}

/// What a compiler hands over to be packed.
#[derive(Debug, Clone, Copy)]
pub struct Contents<'a> {
    /// Code and tables.
    pub module: &'a Module,
    /// Reasons, metadata, condition trees.
    pub manifest: &'a Manifest,
    /// Source places.
    pub source_map: &'a SourceMapSection,
    /// Cost bound.
    pub certificate: &'a CostCertificate,
    /// Places of instructions and conditions; `None` leaves the section out.
    pub debug: Option<&'a DebugSection>,
}

/// Packs contents into an unsigned bundle. Equal contents give equal bytes.
///
/// # Errors
///
/// [`DecodeError::LimitExceeded`] when something is too large for the format.
pub fn encode(contents: Contents<'_>) -> Result<Vec<u8>, DecodeError> {
    let table = |section: Section, bytes: Result<Vec<u8>, postcard::Error>| {
        bytes.map_err(|_| DecodeError::BadTable {
            section: section.name(),
        })
    };
    let mut sections = vec![
        (Section::Module, contents.module.encode()?),
        (
            Section::Manifest,
            table(Section::Manifest, postcard::to_stdvec(contents.manifest))?,
        ),
        (
            Section::SourceMap,
            table(Section::SourceMap, postcard::to_stdvec(contents.source_map))?,
        ),
        (
            Section::Certificate,
            table(Section::Certificate, postcard::to_stdvec(contents.certificate))?,
        ),
    ];
    if let Some(debug) = contents.debug {
        sections.push((Section::Debug, table(Section::Debug, postcard::to_stdvec(debug))?));
    }
    let mut out = Vec::new();
    out.extend_from_slice(MAGIC);
    out.extend_from_slice(&FORMAT_VERSION.to_le_bytes());
    out.extend_from_slice(&(sections.len() as u16).to_le_bytes());
    out.extend_from_slice(&[0; DIGEST]);
    for (section, bytes) in &sections {
        let length = u32::try_from(bytes.len()).map_err(|_| DecodeError::LimitExceeded {
            what: "section length",
            limit: u32::MAX as usize,
            actual: bytes.len(),
        })?;
        out.extend_from_slice(&(*section as u16).to_le_bytes());
        out.extend_from_slice(&section.flags().to_le_bytes());
        out.extend_from_slice(&length.to_le_bytes());
    }
    for (_, bytes) in &sections {
        out.extend_from_slice(bytes);
    }
    let digest = content_digest(&out);
    if let Some(place) = out.get_mut(HEADER..HEADER + DIGEST) {
        place.copy_from_slice(&digest.0);
    }
    out.extend_from_slice(&0u16.to_le_bytes());
    Ok(out)
}

/// The digest that a bundle of these contents has.
///
/// # Errors
///
/// As [`encode`].
pub fn digest(contents: Contents<'_>) -> Result<BundleDigest, DecodeError> {
    encode(contents).map(|bundle| content_digest(bundle.get(..bundle.len().saturating_sub(2)).unwrap_or(&[])))
}

/// Digest of a bundle's contents (everything before the signatures, without the digest field).
fn content_digest(contents: &[u8]) -> BundleDigest {
    let mut hash = Sha256::new();
    hash.update(contents.get(..HEADER).unwrap_or(&[]));
    hash.update(contents.get(HEADER + DIGEST..).unwrap_or(&[]));
    BundleDigest(hash.finalize().into())
}

fn signed_message(digest: &BundleDigest) -> Vec<u8> {
    [SIGNATURE_CONTEXT, &digest.0].concat()
}

/// Shape of a bundle: where its sections and signatures are. Digest and signatures are verified.
struct Layout<'a> {
    sections: Vec<(u16, u16, &'a [u8])>,
    digest: BundleDigest,
    /// Length of the part that the digest covers, header included.
    content_len: usize,
    signatures: Vec<BundleSignature>,
}

fn layout(bytes: &[u8], max_bytes: usize) -> Result<Layout<'_>, DecodeError> {
    if bytes.len() > max_bytes {
        return Err(DecodeError::LimitExceeded {
            what: "bundle bytes",
            limit: max_bytes,
            actual: bytes.len(),
        });
    }
    let mut reader = Reader::new(bytes);
    if reader.take(MAGIC.len()).ok() != Some(MAGIC.as_slice()) {
        return Err(DecodeError::BadMagic);
    }
    let found = reader.u16()?;
    if found != FORMAT_VERSION {
        return Err(DecodeError::UnsupportedVersion {
            what: "bundle format",
            found,
            supported: FORMAT_VERSION,
        });
    }
    let count = usize::from(reader.u16()?);
    if count > MAX_SECTIONS {
        return Err(DecodeError::LimitExceeded {
            what: "sections",
            limit: MAX_SECTIONS,
            actual: count,
        });
    }
    let stored: [u8; DIGEST] = reader
        .take(DIGEST)?
        .try_into()
        .map_err(|_| DecodeError::Truncated { offset: HEADER })?;
    let mut table = Vec::with_capacity(count);
    for _ in 0..count {
        table.push((reader.u16()?, reader.u16()?, reader.u32()?));
    }
    let mut sections: Vec<(u16, u16, &[u8])> = Vec::with_capacity(count);
    for (id, flags, length) in table {
        if sections.last().is_some_and(|(last, ..)| *last >= id) {
            return Err(DecodeError::BadSection { id });
        }
        sections.push((id, flags, reader.take(length as usize)?));
    }
    let content_len = reader.offset();
    let digest = content_digest(bytes.get(..content_len).unwrap_or(&[]));
    if digest.0 != stored {
        return Err(DecodeError::DigestMismatch);
    }
    let count = usize::from(reader.u16()?);
    if count > MAX_SIGNATURES {
        return Err(DecodeError::LimitExceeded {
            what: "signatures",
            limit: MAX_SIGNATURES,
            actual: count,
        });
    }
    let message = signed_message(&digest);
    let mut signatures = Vec::with_capacity(count);
    for _ in 0..count {
        let public_key: [u8; 32] = reader
            .take(32)?
            .try_into()
            .map_err(|_| DecodeError::BadSignature)?;
        let signature: [u8; 64] = reader
            .take(64)?
            .try_into()
            .map_err(|_| DecodeError::BadSignature)?;
        VerifyingKey::from_bytes(&public_key)
            .and_then(|key| key.verify_strict(&message, &Signature::from_bytes(&signature)))
            .map_err(|_| DecodeError::BadSignature)?;
        signatures.push(BundleSignature {
            public_key,
            signature,
        });
    }
    if !reader.is_empty() {
        return Err(DecodeError::TrailingBytes {
            offset: reader.offset(),
        });
    }
    Ok(Layout {
        sections,
        digest,
        content_len,
        signatures,
    })
}

impl Bundle {
    /// Reads a bundle: digest, signatures against their own keys, sections, manifest. The module still has to be
    /// verified before it can run.
    ///
    /// # Errors
    ///
    /// [`BundleError`]; never panics, for any bytes.
    pub fn decode(bytes: &[u8]) -> Result<Self, BundleError> {
        Self::decode_limited(bytes, MAX_BYTES)
    }

    /// As [`Bundle::decode`], with a ceiling of the caller's on the bundle's size.
    ///
    /// # Errors
    ///
    /// [`BundleError`]; never panics, for any bytes.
    pub fn decode_limited(bytes: &[u8], max_bytes: usize) -> Result<Self, BundleError> {
        let layout = layout(bytes, max_bytes)?;
        for (id, flags, _) in &layout.sections {
            if !Section::ALL.iter().any(|s| *s as u16 == *id) && flags & MAY_BE_SKIPPED == 0 {
                return Err(DecodeError::BadSection { id: *id }.into());
            }
        }
        let find = |wanted: Section| {
            layout
                .sections
                .iter()
                .find(|(id, ..)| *id == wanted as u16)
                .map(|(_, _, bytes)| *bytes)
        };
        let section = |wanted: Section| {
            find(wanted).ok_or(DecodeError::MissingSection {
                section: wanted.name(),
            })
        };
        let module = Module::decode(section(Section::Module)?)?;
        let manifest: Manifest = table(section(Section::Manifest)?, Section::Manifest)?;
        manifest.check(&module).map_err(BundleError::Manifest)?;
        let source_map: SourceMapSection = table(section(Section::SourceMap)?, Section::SourceMap)?;
        source_map
            .check(&module, &manifest)
            .map_err(BundleError::Manifest)?;
        let certificate = table(section(Section::Certificate)?, Section::Certificate)?;
        let debug = match find(Section::Debug) {
            Some(bytes) => {
                let debug: DebugSection = table(bytes, Section::Debug)?;
                debug.check(&module, &manifest).map_err(BundleError::Manifest)?;
                Some(debug)
            }
            None => None,
        };
        Ok(Self {
            source_map,
            certificate,
            debug,
            module,
            manifest,
            digest: layout.digest,
            signatures: layout.signatures,
        })
    }

    /// Whether one of `trusted` signed it.
    ///
    /// # Errors
    ///
    /// [`BundleError::Untrusted`] with the ids of those who did sign.
    pub fn signed_by(&self, trusted: &[[u8; 32]]) -> Result<(), BundleError> {
        if self.signatures.iter().any(|s| trusted.contains(&s.public_key)) {
            return Ok(());
        }
        Err(BundleError::Untrusted {
            signed_by: self.signatures.iter().map(|s| key_id(&s.public_key)).collect(),
        })
    }
}

/// Size of one section of a bundle.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SectionSize {
    /// Its name; `unknown` for one that this version skips.
    pub name: &'static str,
    /// Bytes as stored.
    pub bytes: usize,
}

/// How the bytes of a bundle are spread over its sections, in file order.
///
/// # Errors
///
/// [`BundleError::Decode`] when `bytes` are not a bundle.
pub fn section_sizes(bytes: &[u8]) -> Result<Vec<SectionSize>, BundleError> {
    let name = |id: u16| {
        Section::ALL
            .iter()
            .find(|s| **s as u16 == id)
            .map_or("unknown", |s| s.name())
    };
    Ok(layout(bytes, MAX_BYTES)?
        .sections
        .iter()
        .map(|(id, _, content)| SectionSize {
            name: name(*id),
            bytes: content.len(),
        })
        .collect())
}

fn table<'a, T: Deserialize<'a>>(bytes: &'a [u8], section: Section) -> Result<T, DecodeError> {
    match postcard::take_from_bytes::<T>(bytes) {
        Ok((value, [])) => Ok(value),
        Ok(_) | Err(_) => Err(DecodeError::BadTable {
            section: section.name(),
        }),
    }
}

/// Adds a signature by `key`, replacing an earlier one by the same key.
///
/// # Errors
///
/// [`BundleError::Decode`] when `bytes` are not a bundle or it has no room for another signature.
pub fn sign(bytes: &[u8], key: &PrivateKey) -> Result<Vec<u8>, BundleError> {
    let layout = layout(bytes, MAX_BYTES)?;
    let public_key = key.public().0;
    let mut signatures = layout.signatures;
    signatures.retain(|s| s.public_key != public_key);
    if signatures.len() == MAX_SIGNATURES {
        return Err(DecodeError::LimitExceeded {
            what: "signatures",
            limit: MAX_SIGNATURES,
            actual: MAX_SIGNATURES + 1,
        }
        .into());
    }
    let signature = key.0.sign(&signed_message(&layout.digest)).to_bytes();
    signatures.push(BundleSignature {
        public_key,
        signature,
    });
    let mut out = bytes.get(..layout.content_len).unwrap_or(&[]).to_vec();
    out.extend_from_slice(&(signatures.len() as u16).to_le_bytes());
    for s in &signatures {
        out.extend_from_slice(&s.public_key);
        out.extend_from_slice(&s.signature);
    }
    Ok(out)
}

/// An Ed25519 private key. Never printed.
pub struct PrivateKey(SigningKey);

impl fmt::Debug for PrivateKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PrivateKey({})", self.public().id())
    }
}

/// An Ed25519 public key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PublicKey(pub [u8; 32]);

impl PublicKey {
    /// Short name.
    #[must_use]
    pub fn id(&self) -> String {
        key_id(&self.0)
    }

    /// Reads a PEM file (`-----BEGIN PUBLIC KEY-----`, as OpenSSL writes it).
    ///
    /// # Errors
    ///
    /// [`BundleError::BadKey`].
    pub fn from_pem(text: &str) -> Result<Self, BundleError> {
        use ed25519_dalek::pkcs8::DecodePublicKey as _;
        VerifyingKey::from_public_key_pem(text)
            .map(|key| Self(key.to_bytes()))
            .map_err(|e| BundleError::BadKey {
                detail: e.to_string(),
            })
    }

    /// PEM text.
    ///
    /// # Errors
    ///
    /// [`BundleError::BadKey`] when the bytes are not a point of the curve.
    pub fn to_pem(&self) -> Result<String, BundleError> {
        use ed25519_dalek::pkcs8::EncodePublicKey as _;
        VerifyingKey::from_bytes(&self.0)
            .map_err(|e| BundleError::BadKey {
                detail: e.to_string(),
            })?
            .to_public_key_pem(ed25519_dalek::pkcs8::spki::der::pem::LineEnding::LF)
            .map_err(|e| BundleError::BadKey {
                detail: e.to_string(),
            })
    }
}

impl PrivateKey {
    /// The key of 32 secret bytes from a cryptographic random source.
    #[must_use]
    pub fn from_seed(seed: &[u8; 32]) -> Self {
        Self(SigningKey::from_bytes(seed))
    }

    /// Its public key.
    #[must_use]
    pub fn public(&self) -> PublicKey {
        PublicKey(self.0.verifying_key().to_bytes())
    }

    /// Reads a PEM file (`-----BEGIN PRIVATE KEY-----`, PKCS #8, as OpenSSL writes it).
    ///
    /// # Errors
    ///
    /// [`BundleError::BadKey`].
    pub fn from_pem(text: &str) -> Result<Self, BundleError> {
        use ed25519_dalek::pkcs8::DecodePrivateKey as _;
        SigningKey::from_pkcs8_pem(text)
            .map(Self)
            .map_err(|e| BundleError::BadKey {
                detail: e.to_string(),
            })
    }

    /// PEM text, PKCS #8. Secret.
    ///
    /// # Errors
    ///
    /// [`BundleError::BadKey`] when it cannot be encoded.
    pub fn to_pem(&self) -> Result<String, BundleError> {
        use ed25519_dalek::pkcs8::EncodePrivateKey as _;
        self.0
            .to_pkcs8_pem(ed25519_dalek::pkcs8::spki::der::pem::LineEnding::LF)
            .map(|pem| pem.to_string())
            .map_err(|e| BundleError::BadKey {
                detail: e.to_string(),
            })
    }
}
