//! A loaded policy set: verified code, manifest, and what is looked up per request, immutable.

use crate::asking;
use crate::error::LoadError;
use crate::names::{AllNames, GLOBAL, View};
use crate::target::{Target, targets};
use policy_bytecode::Stop;
use policy_bytecode::bundle::{Bundle, BundleDigest, CostCertificate, PublicKey};
use policy_bytecode::manifest::Manifest;
use policy_bytecode::verify::{HostLimits, verify_until};
use policy_vm::LoadedModule;
use std::collections::HashMap;

/// Policies ready to be activated in a [`crate::PolicyEngine`]. Immutable.
#[derive(Debug)]
pub struct Policies {
    pub(crate) module: LoadedModule,
    pub(crate) manifest: Manifest,
    pub(crate) certificate: CostCertificate,
    pub(crate) digest: Option<BundleDigest>,
    /// Differs wherever a decision could: the digest of the bundle that these policies are, or would be.
    #[cfg(feature = "cache")]
    pub(crate) identity: [u8; 32],
    /// What decisions have taken.
    #[cfg(feature = "cache")]
    pub(crate) timings: crate::timings::Timings,
    /// How responses name policies and rules.
    pub(crate) names: AllNames,
    /// The policies of each id: one in a namespace at most.
    pub(crate) policy_index: HashMap<String, Vec<usize>>,
    /// Rules of each policy.
    rule_counts: Vec<usize>,
    /// The number of each namespace; `global` is 0. Only those that a policy is of.
    pub(crate) namespaces: HashMap<String, u32>,
    /// The number of the namespace that each policy is of.
    pub(crate) namespace_of: Vec<u32>,
    /// Canonical spelling of each field's path.
    pub(crate) field_names: Vec<String>,
    /// What rules modify, by field.
    pub(crate) targets: Vec<Option<Target>>,
    /// The policies that read what a service answers; empty where none does.
    pub(crate) asking: Vec<bool>,
}

impl Policies {
    /// Loads a bundle. With `trusted` keys, one of them must have signed it; without, any or no signature is accepted.
    ///
    /// # Errors
    ///
    /// [`LoadError::Bundle`] for damaged, malformed, unsigned or wrongly signed bytes; [`LoadError::Verify`] for code
    /// that breaks a rule; [`LoadError::Vm`] for patterns that this build cannot run.
    pub fn from_bundle(bytes: &[u8], trusted: &[PublicKey]) -> Result<Self, LoadError> {
        Self::from_bundle_until(bytes, trusted, &Stop::never())
    }

    /// As [`Policies::from_bundle`], unless `stop` is asked to.
    ///
    /// # Errors
    ///
    /// As [`Policies::from_bundle`], and [`LoadError::Stopped`].
    pub fn from_bundle_until(bytes: &[u8], trusted: &[PublicKey], stop: &Stop) -> Result<Self, LoadError> {
        stop.check()?;
        let bundle = Bundle::decode(bytes)?;
        stop.check()?;
        if !trusted.is_empty() {
            bundle.signed_by(&trusted.iter().map(|k| k.0).collect::<Vec<_>>())?;
        }
        let verified = verify_until(bundle.module, &HostLimits::default(), stop)?;
        let mut policies = Self::new(
            &verified,
            bundle.manifest,
            bundle.certificate,
            bundle.digest,
            stop,
        )?;
        policies.digest = Some(bundle.digest);
        Ok(policies)
    }

    /// Loads what the compiler made, without going through bytes.
    ///
    /// # Errors
    ///
    /// [`LoadError::Vm`] for patterns that cannot be run; with the feature `cache` also [`LoadError::Bundle`] when
    /// something is too large for a bundle.
    #[cfg(feature = "compile")]
    pub fn from_compiled(compiled: policy_compiler::Compiled) -> Result<Self, LoadError> {
        Self::from_compiled_until(compiled, &Stop::never())
    }

    /// As [`Policies::from_compiled`], unless `stop` is asked to.
    ///
    /// # Errors
    ///
    /// As [`Policies::from_compiled`], and [`LoadError::Stopped`].
    #[cfg(feature = "compile")]
    pub fn from_compiled_until(compiled: policy_compiler::Compiled, stop: &Stop) -> Result<Self, LoadError> {
        stop.check()?;
        #[cfg(feature = "cache")]
        let identity = policy_bytecode::bundle::digest(policy_bytecode::bundle::Contents {
            module: &compiled.module,
            manifest: &compiled.manifest,
            source_map: &compiled.source_map,
            certificate: &compiled.certificate,
            debug: Some(&compiled.debug),
        })
        .map_err(policy_bytecode::bundle::BundleError::from)?;
        // Nothing asks for it.
        #[cfg(not(feature = "cache"))]
        let identity = BundleDigest([0; 32]);
        Self::new(
            &compiled.module,
            compiled.manifest,
            compiled.certificate,
            identity,
            stop,
        )
    }

    fn new(
        module: &policy_bytecode::VerifiedModule,
        manifest: Manifest,
        certificate: CostCertificate,
        #[cfg_attr(not(feature = "cache"), expect(unused_variables, reason = "only caches ask"))]
        identity: BundleDigest,
        stop: &Stop,
    ) -> Result<Self, LoadError> {
        manifest
            .check(module)
            .map_err(policy_bytecode::bundle::BundleError::Manifest)?;
        stop.check()?;
        let loaded = LoadedModule::showing_until(module, &manifest.fields(), stop)?;
        let names = AllNames::of(&manifest, &module.policies);
        let mut rule_counts = vec![0; manifest.policies.len()];
        for rule in &module.rules {
            if let Some(count) = rule_counts.get_mut(rule.policy.index()) {
                *count += 1;
            }
        }
        let mut policy_index: HashMap<String, Vec<usize>> = HashMap::new();
        for (i, policy) in manifest.policies.iter().enumerate() {
            policy_index.entry(policy.id.clone()).or_default().push(i);
        }
        let mut namespaces: HashMap<String, u32> = HashMap::new();
        let mut next = 1;
        let namespace_of = manifest
            .policies
            .iter()
            .map(|policy| match namespaces.get(&policy.namespace) {
                Some(known) => *known,
                None => {
                    let number = if policy.namespace == GLOBAL { 0 } else { next };
                    next += u32::from(number == next);
                    namespaces.insert(policy.namespace.clone(), number);
                    number
                }
            });
        let namespace_of = namespace_of.collect();
        let field_names = module.fields.iter().map(|f| path_text(&f.path)).collect();
        let targets = targets(module, &manifest);
        let asking = asking::policies(module, &manifest);
        Ok(Self {
            module: loaded,
            certificate,
            digest: None,
            #[cfg(feature = "cache")]
            identity: identity.0,
            #[cfg(feature = "cache")]
            timings: crate::timings::Timings::default(),
            names,
            policy_index,
            rule_counts,
            namespaces,
            namespace_of,
            field_names,
            targets,
            asking,
            manifest,
        })
    }

    /// How responses name policies and rules to a request that names this namespace.
    #[inline]
    pub(crate) fn view(&self, namespace: Option<&str>) -> View<'_> {
        let (own, otherwise) = match namespace {
            None => (&self.names.all, None),
            Some(namespace) => match self.names.beside_global.get(namespace) {
                Some(own) => (own, Some(&self.names.global)),
                None => (&self.names.global, None),
            },
        };
        View {
            manifest: &self.manifest,
            own,
            otherwise,
        }
    }

    /// How responses to a request that names this namespace name a policy of the manifest.
    #[must_use]
    pub fn policy_name(&self, namespace: Option<&str>, policy: usize) -> &str {
        self.view(namespace).policy(policy)
    }

    /// How responses to a request that names this namespace name a rule of the manifest: in `matchedRules`.
    #[inline]
    #[must_use]
    pub fn rule_name(&self, namespace: Option<&str>, rule: usize) -> &str {
        self.view(namespace).rule(rule)
    }

    /// Revision that decisions report.
    #[must_use]
    pub fn revision(&self) -> &str {
        &self.manifest.revision
    }

    /// The manifest.
    #[must_use]
    pub fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    /// Rules of the policies of a namespace, letter for letter.
    #[must_use]
    pub fn rules_in(&self, namespace: &str) -> usize {
        let policies = self.manifest.policies.iter().zip(&self.rule_counts);
        let own = policies.filter(|(policy, _)| policy.namespace == namespace);
        own.map(|(_, rules)| rules).sum()
    }

    /// Cost bound stated by the compiler.
    #[must_use]
    pub fn certificate(&self) -> &CostCertificate {
        &self.certificate
    }

    /// Digest of the bundle, when it came from one.
    #[must_use]
    pub fn digest(&self) -> Option<BundleDigest> {
        self.digest
    }
}

/// Canonical spelling of a path: dots, `[n]`, and `["…"]` where a key needs quotes.
pub(crate) fn path_text(path: &[policy_bytecode::module::PathSegment]) -> String {
    use policy_bytecode::module::PathSegment;
    let mut out = String::new();
    for (i, segment) in path.iter().enumerate() {
        match segment {
            PathSegment::Index(n) => out.push_str(&format!("[{n}]")),
            PathSegment::FromEnd(n) => out.push_str(&format!("[-{n}]")),
            PathSegment::Key { name, .. } => {
                let plain = name.chars().next().is_some_and(|c| c.is_alphabetic() || c == '_')
                    && name.chars().all(|c| c.is_alphanumeric() || c == '_' || c == '-');
                if plain {
                    if i > 0 {
                        out.push('.');
                    }
                    out.push_str(name);
                } else {
                    out.push_str(&format!("[{}]", serde_json::Value::String(name.clone())));
                }
            }
        }
    }
    out
}
