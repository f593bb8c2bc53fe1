//! Sealed secrets: values encrypted for the controller of [Sealed Secrets](https://github.com/bitnami/sealed-secrets), so that
//! a cluster's secrets can lie in git.
//!
//! A value is `base64(u16be length ‖ RSA-OAEP(session key) ‖ AES-256-GCM(value))`. OAEP uses SHA-256 for both hashes, and
//! the scope is its label: `namespace/name` for [`Scope::Strict`], `namespace` for [`Scope::NamespaceWide`], nothing for
//! [`Scope::ClusterWide`]. Each value has a session key of its own, so the nonce is zero. The controller alone has the private key;
//! [`open`] is for tests, and for whoever keeps a backup of that key.
//!
//! # Invariants
//!
//! - Sealing needs the certificate alone, and no network.
//! - Errors hold nothing of values or keys.
//! - What is read of a manifest and not understood is an error: nothing is left out of what is sealed.

pub mod check;
mod commands;
pub mod pods;

pub use commands::{commands, run};

use anyhow::{Context as _, anyhow, bail};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ring::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use ring::rand::{SecureRandom as _, SystemRandom};
use rsa::pkcs1::DecodeRsaPrivateKey as _;
use rsa::pkcs8::{DecodePrivateKey as _, DecodePublicKey as _};
use rsa::{Oaep, PrivateKey, PublicKey};
use serde_yaml::{Mapping, Value};
use sha2::Sha256;
use std::collections::BTreeMap;
use zeroize::Zeroizing;

/// Bytes of a session key.
const SESSION_KEY: usize = 32;

/// Where a sealed value may be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scope {
    /// In the secret of this name in this namespace.
    Strict,
    /// In any secret of this namespace.
    NamespaceWide,
    /// Anywhere in the cluster.
    ClusterWide,
}

impl Scope {
    /// Every scope, the narrowest first.
    pub const ALL: [Self; 3] = [Self::Strict, Self::NamespaceWide, Self::ClusterWide];

    /// Name on the command line.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Strict => "strict",
            Self::NamespaceWide => "namespace-wide",
            Self::ClusterWide => "cluster-wide",
        }
    }

    /// The annotation by which the controller knows the scope; `None` for the default.
    #[must_use]
    pub fn annotation(self) -> Option<&'static str> {
        match self {
            Self::Strict => None,
            Self::NamespaceWide => Some("sealedsecrets.bitnami.com/namespace-wide"),
            Self::ClusterWide => Some("sealedsecrets.bitnami.com/cluster-wide"),
        }
    }

    /// What the values of a secret are bound to.
    #[must_use]
    pub fn label(self, namespace: &str, name: &str) -> String {
        match self {
            Self::Strict => format!("{namespace}/{name}"),
            Self::NamespaceWide => namespace.to_owned(),
            Self::ClusterWide => String::new(),
        }
    }
}

/// The public key of a controller's certificate: the first certificate of a PEM text.
///
/// # Errors
///
/// A text without a certificate, a certificate whose time is over, and a key that is not RSA.
pub fn certificate(pem: &[u8]) -> anyhow::Result<PublicKey> {
    use rustls_pki_types::CertificateDer;
    use rustls_pki_types::pem::PemObject as _;
    let der = CertificateDer::pem_slice_iter(pem)
        .next()
        .context("there is no certificate in it")?
        .map_err(|error| anyhow!("the certificate cannot be read: {error}"))?;
    let (_, certificate) = x509_parser::parse_x509_certificate(&der)
        .map_err(|error| anyhow!("the certificate cannot be read: {error}"))?;
    let end = certificate.validity().not_after;
    if end.timestamp() < jiff::Timestamp::now().as_second() {
        bail!("the certificate ended on {end}; fetch the controller's current one");
    }
    PublicKey::from_public_key_der(certificate.public_key().raw)
        .map_err(|_| anyhow!("the key of the certificate is not RSA"))
}

/// The private keys of a PEM text, in PKCS#1 or PKCS#8.
///
/// # Errors
///
/// A text without a key, and one that cannot be read.
pub fn private_keys(pem: &str) -> anyhow::Result<Vec<PrivateKey>> {
    let mut keys = Vec::new();
    for block in pem.split_inclusive("-----END") {
        let Some(start) = block.find("-----BEGIN") else {
            continue;
        };
        let rest = pem.get(pem.find(block).unwrap_or(0) + start..).unwrap_or("");
        let end = rest
            .find("-----END")
            .and_then(|end| rest.get(end + 8..)?.find("-----").map(|more| end + 8 + more + 5));
        let text = end
            .and_then(|end| rest.get(..end))
            .context("a PEM block has no end")?;
        if !text.contains("PRIVATE KEY") {
            continue;
        }
        let key = if text.starts_with("-----BEGIN RSA PRIVATE KEY") {
            PrivateKey::from_pkcs1_pem(text).ok()
        } else {
            PrivateKey::from_pkcs8_pem(text).ok()
        };
        keys.push(
            key.context("a private key cannot be read: RSA in PKCS#1 or PKCS#8, without a passphrase")?,
        );
    }
    if keys.is_empty() {
        bail!("there is no private key in it");
    }
    Ok(keys)
}

fn cipher(session: &[u8]) -> anyhow::Result<(LessSafeKey, Nonce)> {
    let key = UnboundKey::new(&AES_256_GCM, session)
        .map_err(|_| anyhow!("a session key has {SESSION_KEY} bytes"))?;
    // A key is used once, so any nonce is new to it.
    Ok((
        LessSafeKey::new(key),
        Nonce::assume_unique_for_key([0; NONCE_LEN]),
    ))
}

/// Seals one value.
///
/// # Errors
///
/// A system without random bytes, and a key that is too short for a session key.
pub fn seal(key: &PublicKey, label: &str, value: &[u8]) -> anyhow::Result<String> {
    let mut session = Zeroizing::new([0u8; SESSION_KEY]);
    SystemRandom::new()
        .fill(&mut *session)
        .map_err(|_| anyhow!("the system gives no random bytes"))?;
    let wrapped = key
        .encrypt(
            &mut rsa::rand_core::UnwrapErr(getrandom::SysRng),
            Oaep::<Sha256>::new_with_label(label.as_bytes()),
            &*session,
        )
        .map_err(|error| anyhow!("the certificate's key cannot be used: {error}"))?;
    let length = u16::try_from(wrapped.len()).context("the certificate's key is too long")?;
    let (cipher, nonce) = cipher(&*session)?;
    let mut body = Zeroizing::new(value.to_vec());
    let tag = cipher
        .seal_in_place_separate_tag(nonce, Aad::empty(), &mut body)
        .map_err(|_| anyhow!("the value is too long"))?;
    let mut out = Vec::with_capacity(2 + wrapped.len() + body.len() + tag.as_ref().len());
    out.extend_from_slice(&length.to_be_bytes());
    out.extend_from_slice(&wrapped);
    out.extend_from_slice(&body);
    out.extend_from_slice(tag.as_ref());
    Ok(STANDARD.encode(out))
}

/// The parts of a sealed value: the wrapped session key, and the rest.
///
/// # Errors
///
/// What is not base64, or does not hold what its length says.
pub fn parts(sealed: &str) -> anyhow::Result<(Vec<u8>, Vec<u8>)> {
    let bytes = STANDARD
        .decode(sealed.trim())
        .map_err(|_| anyhow!("a sealed value is base64, this one is not"))?;
    let (length, rest) = bytes
        .split_at_checked(2)
        .context("a sealed value is longer than this one")?;
    let length = usize::from(u16::from_be_bytes([length[0], length[1]]));
    let (wrapped, body) = rest
        .split_at_checked(length)
        .filter(|(wrapped, body)| wrapped.len() >= 256 && body.len() >= AES_256_GCM.tag_len())
        .context("a sealed value holds a session key of at least 2048 bits and a body, this one does not")?;
    Ok((wrapped.to_vec(), body.to_vec()))
}

/// Opens one value with the first of `keys` that can.
///
/// # Errors
///
/// A value that is no sealed one, that none of the keys opens, or that was sealed for another secret.
pub fn open(keys: &[PrivateKey], label: &str, sealed: &str) -> anyhow::Result<Zeroizing<Vec<u8>>> {
    let (wrapped, mut body) = parts(sealed)?;
    for key in keys {
        let unwrapped = key.decrypt(Oaep::<Sha256>::new_with_label(label.as_bytes()), &wrapped);
        let Ok(session) = unwrapped.map(Zeroizing::new) else {
            continue;
        };
        let (cipher, nonce) = cipher(&session)?;
        let length = cipher
            .open_in_place(nonce, Aad::empty(), &mut body)
            .map_err(|_| anyhow!("the value was changed after it was sealed"))?
            .len();
        body.truncate(length);
        return Ok(Zeroizing::new(body));
    }
    bail!("no key opens it: it was sealed for another controller, or for another name or namespace")
}

/// A secret as a manifest says it.
#[derive(Debug)]
pub struct Secret {
    /// `metadata.name`.
    pub name: String,
    /// `metadata.namespace`.
    pub namespace: String,
    /// `type`.
    pub kind: Option<String>,
    /// `immutable`.
    pub immutable: Option<bool>,
    /// `metadata.labels` and `metadata.annotations`, without what `kubectl` keeps there of the clear text.
    pub metadata: Mapping,
    /// The values.
    pub data: BTreeMap<String, Zeroizing<Vec<u8>>>,
}

/// `kubectl apply` keeps the whole manifest here, values included.
const LAST_APPLIED: &str = "kubectl.kubernetes.io/last-applied-configuration";

fn text(map: &Mapping, key: &str, of: &str) -> anyhow::Result<Option<String>> {
    match map.get(key) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) => Ok(Some(text.clone())),
        Some(_) => bail!("{of} `{key}` is not a text"),
    }
}

fn mapping(map: &Mapping, key: &str, of: &str) -> anyhow::Result<Mapping> {
    match map.get(key) {
        None | Some(Value::Null) => Ok(Mapping::new()),
        Some(Value::Mapping(inner)) => Ok(inner.clone()),
        Some(_) => bail!("{of} `{key}` is not a mapping"),
    }
}

fn known(map: &Mapping, keys: &[&str], of: &str) -> anyhow::Result<()> {
    for (key, _) in map {
        let shown = key.as_str().unwrap_or("(not a text)");
        if !keys.contains(&shown) {
            bail!(
                "{of} has the key `{shown}`, which is not one of {}",
                keys.join(", ")
            );
        }
    }
    Ok(())
}

impl Secret {
    /// Reads a manifest of kind Secret, in YAML or JSON.
    ///
    /// # Errors
    ///
    /// What is no such manifest, and a key of it that is not known.
    pub fn parse(manifest: &str) -> anyhow::Result<Self> {
        let value: Value = serde_yaml::from_str(manifest).context("the manifest cannot be read")?;
        let Value::Mapping(map) = value else {
            bail!("the manifest is not a mapping");
        };
        let kind = text(&map, "kind", "the manifest's")?.unwrap_or_default();
        let version = text(&map, "apiVersion", "the manifest's")?.unwrap_or_default();
        if (kind.as_str(), version.as_str()) != ("Secret", "v1") {
            bail!("the manifest is `{kind}` of `{version}`, not `Secret` of `v1`");
        }
        known(
            &map,
            &[
                "apiVersion",
                "kind",
                "metadata",
                "type",
                "immutable",
                "data",
                "stringData",
            ],
            "the manifest",
        )?;
        let metadata = mapping(&map, "metadata", "the manifest's")?;
        known(
            &metadata,
            &["name", "namespace", "labels", "annotations", "creationTimestamp"],
            "`metadata`",
        )?;
        let mut kept = Mapping::new();
        for key in ["labels", "annotations"] {
            let mut inner = mapping(&metadata, key, "the metadata's")?;
            inner.remove(LAST_APPLIED);
            if !inner.is_empty() {
                kept.insert(key.into(), Value::Mapping(inner));
            }
        }
        let mut data = BTreeMap::new();
        for (key, value) in mapping(&map, "data", "the manifest's")? {
            let key = key.as_str().context("a key of `data` is not a text")?.to_owned();
            let value = value
                .as_str()
                .with_context(|| format!("`data.{key}` is not a text"))?;
            let bytes = STANDARD
                .decode(value.split_whitespace().collect::<String>())
                .map_err(|_| anyhow!("`data.{key}` is not base64; `stringData` takes texts as they are"))?;
            data.insert(key, Zeroizing::new(bytes));
        }
        // As the API server does: what stands in both is what `stringData` says.
        for (key, value) in mapping(&map, "stringData", "the manifest's")? {
            let key = key
                .as_str()
                .context("a key of `stringData` is not a text")?
                .to_owned();
            let value = value
                .as_str()
                .with_context(|| format!("`stringData.{key}` is not a text: put it in quotes"))?;
            data.insert(key, Zeroizing::new(value.as_bytes().to_vec()));
        }
        Ok(Self {
            name: text(&metadata, "name", "the metadata's")?.unwrap_or_default(),
            namespace: text(&metadata, "namespace", "the metadata's")?.unwrap_or_default(),
            kind: text(&map, "type", "the manifest's")?,
            immutable: match map.get("immutable") {
                None | Some(Value::Null) => None,
                Some(Value::Bool(immutable)) => Some(*immutable),
                Some(_) => bail!("the manifest's `immutable` is not true or false"),
            },
            metadata: kept,
            data,
        })
    }

    /// Adds the lines `NAME=value` of a file of environment variables.
    ///
    /// # Errors
    ///
    /// A line that is none, with its number, and a name that occurs twice.
    pub fn add_env(&mut self, lines: &str) -> anyhow::Result<()> {
        for (number, line) in (1..).zip(lines.lines()) {
            let line = line.trim_start();
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            let line = line.strip_prefix("export ").unwrap_or(line);
            let (name, value) = line
                .split_once('=')
                .filter(|(name, _)| is_key(name))
                .with_context(|| format!("line {number} is not NAME=value"))?;
            let value = match value.as_bytes() {
                [quote @ (b'"' | b'\''), inner @ .., last] if quote == last => inner,
                [b'"' | b'\'', ..] => bail!("line {number}: the quote is not closed on the line"),
                plain => plain,
            };
            if self
                .data
                .insert(name.to_owned(), Zeroizing::new(value.to_vec()))
                .is_some()
            {
                bail!("line {number}: `{name}` is there twice");
            }
        }
        Ok(())
    }

    /// The sealed manifest.
    ///
    /// # Errors
    ///
    /// A secret without a name, a namespace or a value; names that Kubernetes refuses; [`seal`].
    pub fn seal(&self, key: &PublicKey, scope: Scope) -> anyhow::Result<String> {
        for (what, name) in [("name", &self.name), ("namespace", &self.namespace)] {
            if !is_dns(name, what == "name") {
                bail!("the {what} of a secret has lower-case letters, digits and `-`, `{name}` does not");
            }
        }
        if self.data.is_empty() {
            bail!("the secret has no value");
        }
        let label = scope.label(&self.namespace, &self.name);
        let mut sealed = Mapping::new();
        for (name, value) in &self.data {
            if !is_key(name) {
                bail!("a key of a secret has letters, digits, `-`, `_` and `.`, `{name}` does not");
            }
            sealed.insert(name.as_str().into(), seal(key, &label, value)?.into());
        }
        let mut metadata = Mapping::new();
        metadata.insert("name".into(), self.name.as_str().into());
        metadata.insert("namespace".into(), self.namespace.as_str().into());
        for (key, value) in &self.metadata {
            metadata.insert(key.clone(), value.clone());
        }
        if let Some(annotation) = scope.annotation() {
            let mut annotations = mapping(&metadata, "annotations", "the metadata's")?;
            annotations.insert(annotation.into(), "true".into());
            metadata.insert("annotations".into(), Value::Mapping(annotations));
        }
        let mut template = Mapping::new();
        template.insert("metadata".into(), Value::Mapping(metadata.clone()));
        if let Some(kind) = &self.kind {
            template.insert("type".into(), kind.as_str().into());
        }
        if let Some(immutable) = self.immutable {
            template.insert("immutable".into(), immutable.into());
        }
        let mut spec = Mapping::new();
        spec.insert("encryptedData".into(), Value::Mapping(sealed));
        spec.insert("template".into(), Value::Mapping(template));
        let mut manifest = Mapping::new();
        manifest.insert("apiVersion".into(), "bitnami.com/v1alpha1".into());
        manifest.insert("kind".into(), "SealedSecret".into());
        manifest.insert("metadata".into(), Value::Mapping(metadata));
        manifest.insert("spec".into(), Value::Mapping(spec));
        Ok(serde_yaml::to_string(&manifest)?)
    }
}

/// Opens a sealed manifest: the manifest of the Secret that the controller makes of it.
///
/// # Errors
///
/// What is no such manifest, and [`open`] with the name of the value.
pub fn unseal(manifest: &str, keys: &[PrivateKey]) -> anyhow::Result<String> {
    let value: Value = serde_yaml::from_str(manifest).context("the manifest cannot be read")?;
    let Value::Mapping(map) = value else {
        bail!("the manifest is not a mapping");
    };
    let kind = text(&map, "kind", "the manifest's")?.unwrap_or_default();
    if kind != "SealedSecret" {
        bail!("the manifest is `{kind}`, not `SealedSecret`");
    }
    let metadata = mapping(&map, "metadata", "the manifest's")?;
    let name = text(&metadata, "name", "the metadata's")?.unwrap_or_default();
    let namespace = text(&metadata, "namespace", "the metadata's")?.unwrap_or_default();
    let annotations = mapping(&metadata, "annotations", "the metadata's")?;
    let is = |scope: Scope| {
        scope
            .annotation()
            .is_some_and(|key| annotations.get(key).and_then(Value::as_str) == Some("true"))
    };
    // As the controller: the wider one counts.
    let scope = [Scope::ClusterWide, Scope::NamespaceWide]
        .into_iter()
        .find(|scope| is(*scope))
        .unwrap_or(Scope::Strict);
    let label = scope.label(&namespace, &name);
    let spec = mapping(&map, "spec", "the manifest's")?;
    let mut data = Mapping::new();
    for (key, value) in mapping(&spec, "encryptedData", "the spec's")? {
        let key = key
            .as_str()
            .context("a key of `encryptedData` is not a text")?
            .to_owned();
        let sealed = value.as_str().with_context(|| format!("`{key}` is not a text"))?;
        let opened = open(keys, &label, sealed).with_context(|| format!("`{key}`"))?;
        data.insert(key.into(), STANDARD.encode(&*opened).into());
    }
    let template = mapping(&spec, "template", "the spec's")?;
    let mut out = Mapping::new();
    out.insert("apiVersion".into(), "v1".into());
    out.insert("kind".into(), "Secret".into());
    let mut made = mapping(&template, "metadata", "the template's")?;
    made.insert("name".into(), name.into());
    made.insert("namespace".into(), namespace.into());
    out.insert("metadata".into(), Value::Mapping(made));
    for key in ["type", "immutable"] {
        if let Some(value) = template.get(key) {
            out.insert(key.into(), value.clone());
        }
    }
    out.insert("data".into(), Value::Mapping(data));
    Ok(serde_yaml::to_string(&out)?)
}

/// Whether a secret may have a value of this name.
fn is_key(name: &str) -> bool {
    (1..=253).contains(&name.len())
        && name
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.'))
        && name != "."
        && !name.starts_with("..")
}

/// Whether Kubernetes takes a name: a label, or for objects labels with dots between.
fn is_dns(name: &str, dots: bool) -> bool {
    let label = |part: &str| {
        (1..=63).contains(&part.len())
            && part
                .bytes()
                .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
            && !part.starts_with('-')
            && !part.ends_with('-')
    };
    match dots {
        true => name.len() <= 253 && name.split('.').all(label),
        false => label(name),
    }
}
