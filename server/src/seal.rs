//! Encryption at rest: what the decision log keeps of contexts, sealed with AES-256-GCM.
//!
//! The decision log seals a context before it goes to a sink and opens it when somebody with the right to asks. The text is
//! `enc:v1:<key id>:<base64 of nonce, ciphertext and tag>`; the request id is bound to it as associated data, so a context
//! cannot be moved to another decision.
//!
//! # Invariants
//!
//! - The first key seals, all keys open: a new key goes in front, the old one stays until nothing is left of it.
//! - Keys may be replaced while texts are sealed and opened: each text sees the keys before or those after.
//! - Nonces are 96 random bits. One key is good for about 2^32 contexts; change it before.
//! - What cannot be opened is an error, never the text itself.

use arc_swap::ArcSwap;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ring::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use ring::rand::{SecureRandom as _, SystemRandom};
use secrecy::{ExposeSecret as _, SecretBox};
use std::fmt;
use std::sync::Arc;

/// What sealed texts begin with.
pub const PREFIX: &str = "enc:v1:";

/// Why something could not be sealed or opened. Holds nothing of keys or texts.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SealError {
    /// There is no key.
    #[error("there is no encryption key")]
    NoKeys,
    /// Two keys have this id.
    #[error("two encryption keys have the id `{0}`")]
    DuplicateKey(String),
    /// The key of this id has sealed until now, and is not among those that are to take over.
    #[error(
        "the encryption key `{0}` is in use and not among the new ones: put the new key in front and leave it behind"
    )]
    KeyInUse(String),
    /// The key of this id is another one than before.
    #[error("the encryption key `{0}` is not what it was: give the new key an id of its own")]
    OtherKey(String),
    /// The text was sealed with a key of this id, which is not here.
    #[error("the encryption key `{0}` is not here")]
    UnknownKey(String),
    /// The text is not one that this module wrote.
    #[error("this is no encrypted text")]
    Malformed,
    /// The text, its key or its associated data is not what it was.
    #[error("the encrypted text is damaged, or belongs elsewhere")]
    Damaged,
    /// The system gives no random bytes.
    #[error("the system gives no random bytes")]
    Random,
}

/// Keys with their ids.
type Keys = Vec<(String, LessSafeKey)>;

/// Seals and opens texts.
pub struct Sealer {
    /// INVARIANT: not empty; the first seals.
    keys: ArcSwap<Keys>,
    random: SystemRandom,
}

impl fmt::Debug for Sealer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let keys = self.keys.load();
        let ids = keys.iter().map(|(id, _)| id);
        f.debug_list().entries(ids).finish()
    }
}

impl Sealer {
    /// A sealer with keys as the configuration has them: id and 32 bytes.
    ///
    /// # Errors
    ///
    /// [`SealError::NoKeys`] and [`SealError::DuplicateKey`].
    pub fn new(keys: &[(String, SecretBox<[u8; 32]>)]) -> Result<Self, SealError> {
        Ok(Self {
            keys: ArcSwap::from_pointee(Self::usable(keys)?),
            random: SystemRandom::new(),
        })
    }

    /// Takes other keys, as [`Sealer::new`].
    ///
    /// # Errors
    ///
    /// As [`Sealer::new`]; [`SealError::KeyInUse`] without the key that seals now, as what it sealed a moment ago could not be
    /// opened; [`SealError::OtherKey`]. The keys stay then.
    pub fn replace(&self, keys: &[(String, SecretBox<[u8; 32]>)]) -> Result<(), SealError> {
        let new = Self::new(keys)?;
        let (old, held) = (self.keys.load(), new.keys.load());
        if let Some((id, _)) = old.first()
            && !held.iter().any(|(other, _)| other == id)
        {
            return Err(SealError::KeyInUse(id.clone()));
        }
        for (id, key) in old.iter() {
            // Keys cannot be compared; what the one sealed tells.
            match new.open(&self.sealed(id, key, "", "")?, "") {
                Ok(_) | Err(SealError::UnknownKey(_)) => {}
                Err(_) => return Err(SealError::OtherKey(id.clone())),
            }
        }
        self.keys.store(Arc::clone(&held));
        Ok(())
    }

    fn usable(keys: &[(String, SecretBox<[u8; 32]>)]) -> Result<Keys, SealError> {
        let mut own = Keys::with_capacity(keys.len());
        for (id, key) in keys {
            if own.iter().any(|(other, _)| other == id) {
                return Err(SealError::DuplicateKey(id.clone()));
            }
            let key = UnboundKey::new(&AES_256_GCM, key.expose_secret()).map_err(|_| SealError::Damaged)?;
            own.push((id.clone(), LessSafeKey::new(key)));
        }
        if own.is_empty() {
            return Err(SealError::NoKeys);
        }
        Ok(own)
    }

    /// Seals a text with the first key, bound to `aad`.
    ///
    /// # Errors
    ///
    /// [`SealError::Random`] when the system gives no random bytes.
    pub fn seal(&self, plaintext: &str, aad: &str) -> Result<String, SealError> {
        let keys = self.keys.load();
        let (id, key) = keys.first().ok_or(SealError::NoKeys)?;
        self.sealed(id, key, plaintext, aad)
    }

    fn sealed(&self, id: &str, key: &LessSafeKey, plaintext: &str, aad: &str) -> Result<String, SealError> {
        let mut nonce = [0; NONCE_LEN];
        self.random.fill(&mut nonce).map_err(|_| SealError::Random)?;
        let mut bytes = Vec::with_capacity(NONCE_LEN + plaintext.len() + AES_256_GCM.tag_len());
        bytes.extend_from_slice(&nonce);
        bytes.extend_from_slice(plaintext.as_bytes());
        let (_, message) = bytes.split_at_mut(NONCE_LEN);
        let tag = key
            .seal_in_place_separate_tag(
                Nonce::assume_unique_for_key(nonce),
                Aad::from(aad.as_bytes()),
                message,
            )
            .map_err(|_| SealError::Damaged)?;
        bytes.extend_from_slice(tag.as_ref());
        let mut text = format!("{PREFIX}{id}:");
        STANDARD.encode_string(&bytes, &mut text);
        Ok(text)
    }

    /// Opens what [`Sealer::seal`] made with the same `aad` and a key that is still here.
    ///
    /// # Errors
    ///
    /// [`SealError::Malformed`], [`SealError::UnknownKey`], [`SealError::Damaged`].
    pub fn open(&self, text: &str, aad: &str) -> Result<String, SealError> {
        let (id, sealed) = text
            .strip_prefix(PREFIX)
            .and_then(|rest| rest.split_once(':'))
            .ok_or(SealError::Malformed)?;
        let keys = self.keys.load();
        let (_, key) = keys
            .iter()
            .find(|(own, _)| own == id)
            .ok_or_else(|| SealError::UnknownKey(id.to_owned()))?;
        let bytes = STANDARD.decode(sealed).map_err(|_| SealError::Malformed)?;
        let (nonce, message) = bytes
            .split_first_chunk::<NONCE_LEN>()
            .ok_or(SealError::Malformed)?;
        let mut message = message.to_vec();
        let plain = key
            .open_in_place(
                Nonce::assume_unique_for_key(*nonce),
                Aad::from(aad.as_bytes()),
                &mut message,
            )
            .map_err(|_| SealError::Damaged)?;
        String::from_utf8(plain.to_vec()).map_err(|_| SealError::Damaged)
    }
}

#[cfg(test)]
mod tests;
