//! Simulation: decisions with drafts, stored nowhere and counted nowhere.
//!
//! # Invariants
//!
//! - Drafts are tried on top of everything that decides. Where that cannot be compiled, there is an error and no decision.

mod documents;

use self::documents::with_extra;
pub(super) use self::documents::{end_of_document, key_of, only};
use super::evaluate::{Results, count_contexts, numbered};
use super::{Call, Service};
use crate::active;
use crate::active::Origin;
use crate::document::{self, Alone, Checked, Format, Sight};
use crate::error::{Code, Result, ServiceError};
use crate::identity::{GLOBAL, Scope};
use crate::limits::Route;
use crate::storage::PLACES;
use crate::storage::model::{IdPlace, PolicyKey, PolicyVersion};
use policy_compiler::Compiler;
use policy_grammar::parse_source;
use policy_runtime::{EvaluateOptions, Mode, Verb};
use std::borrow::Cow;
use std::collections::{BTreeSet, HashSet};

/// A policy that is to be tried.
#[derive(Debug, Clone)]
pub struct Draft {
    /// The document.
    pub source: String,
    /// Its language.
    pub format: Format,
}

/// A decision that was tried.
#[derive(Debug, Clone)]
pub struct Simulated {
    /// What would be decided.
    pub verb: Verb,
    /// The response of the contract, as JSON.
    pub json: String,
}

/// Contexts as JSON.
#[derive(Debug, Clone)]
pub enum Contexts {
    /// One; its result has the id of the request.
    One(String),
    /// Several; each result has the id of the request and its number.
    Several(Vec<String>),
}

impl Contexts {
    fn as_slice(&self) -> &[String] {
        match self {
            Self::One(one) => std::slice::from_ref(one),
            Self::Several(several) => several,
        }
    }
}

/// What to try.
#[derive(Debug, Clone)]
pub struct Simulation {
    /// What is to be judged.
    pub contexts: Contexts,
    /// Policies that take the place of the deciding ones of the same ids in their namespaces, or come beside them.
    pub drafts: Vec<Draft>,
    /// Only these policies; ones that are not active are tried in their newest version.
    pub policies: Option<Vec<String>>,
    /// Only policies of this namespace and of `global`.
    pub namespace: Option<String>,
    /// Whether to explain every rule.
    pub trace: bool,
}

/// What is put on top of the policies that decide.
#[derive(Debug, Default)]
struct Extra {
    /// Documents, each of one policy, and what those of the request were compiled with alone.
    documents: Vec<(PolicyVersion, Option<Alone>)>,
    /// Inactive policies of the directory.
    inactive: HashSet<PolicyKey>,
}

/// What the namespace of a request sees.
#[derive(Debug, Clone, Copy)]
struct Seen<'n>(Option<&'n str>);

impl Seen<'_> {
    fn holds(self, namespace: &str) -> bool {
        self.0.is_none_or(|own| namespace == own || namespace == GLOBAL)
    }
}

impl Extra {
    fn is_empty(&self) -> bool {
        self.documents.is_empty() && self.inactive.is_empty()
    }

    fn holds(&self, id: &str, seen: Seen<'_>) -> bool {
        let mut documents = self.documents.iter();
        documents.any(|(document, _)| document.id == id && seen.holds(&document.namespace))
            || self
                .inactive
                .iter()
                .any(|key| key.id == id && seen.holds(&key.namespace))
    }
}

impl Service {
    /// Decides with the active policies, drafts in front, and asks every rule.
    ///
    /// # Errors
    ///
    /// `policy_invalid` with the problems of the drafts, `unknown_policy`, `no_policies`, `read_only` for drafts beside the
    /// policies of a bundle, which holds no source text to compile them with, `too_large` for more contexts, drafts or
    /// policies than a batch may have contexts and for results that are too long, and those of an evaluation.
    pub async fn simulate(
        &self,
        call: Call<'_>,
        mut simulation: Simulation,
    ) -> Result<Vec<Result<Simulated>>> {
        call.require(Scope::Read)?;
        let namespace = call
            .namespace(simulation.namespace.as_deref())?
            .map(str::to_owned);
        self.within_batch(&simulation)?;
        let count = simulation.contexts.as_slice().len();
        count_contexts(self, call, Route::Policies, count).await?;
        let engine = self.active.engine()?.clone();
        let sources = self.active.sources();
        let deciding = engine.policies();
        let seen = Seen(namespace.as_deref());
        let deciding = deciding.manifest().policies.iter();
        let deciding: BTreeSet<&str> = deciding
            .filter(|policy| seen.holds(&policy.namespace))
            .map(|policy| &*policy.id)
            .collect();
        let mut extra = Extra::default();
        for draft in std::mem::take(&mut simulation.drafts) {
            let Checked { version, alone, .. } = self.check(call, draft.source, draft.format).await?;
            call.require_namespace(&version.namespace)?;
            extra.documents.push((version, Some(alone)));
        }
        let wanted = simulation.policies.iter().flatten().map(String::as_str);
        let inactive: BTreeSet<&str> = wanted
            .filter(|id| !deciding.contains(id) && !extra.holds(id, seen))
            .collect();
        self.find_inactive(call, &inactive, seen, &sources.compiler, &mut extra)
            .await?;
        let base = if extra.is_empty() {
            None
        } else if !sources.bundle {
            Some(Compiler::clone(&sources.compiler))
        } else if let Some(ids) = &simulation.policies
            && ids.iter().all(|id| extra.holds(id, seen))
        {
            // None of the bundle is asked, so that it need not be compiled.
            Some(Compiler::new(document::options()))
        } else {
            return Err(ServiceError::new(
                Code::ReadOnly,
                "a bundle decides, and it holds no source text to try other policies with; name those in `policies` to \
                 try them without it",
            ));
        };
        let settings = self.active.settings().clone();
        let (request_id, origin) = (call.request_id.to_owned(), self.origin.clone());
        let identity = call.identity.clone();
        let most = self.limits.results;
        self.heavy
            .run(call.work(), move |stop| {
                let engine = match base {
                    None => engine,
                    Some(base) => {
                        let (compiler, drafts) = with_extra(base, &origin, extra, stop)?;
                        // The set holds the policies of everybody.
                        let sight = match origin {
                            Origin::Store => Sight::stored(&identity),
                            Origin::Directory(_) | Origin::BundleFile(_) | Origin::BundleUrl(_) => {
                                Sight::files(&identity, drafts)
                            }
                        };
                        let (_, policies) = active::build(compiler, &sight, stop)?;
                        settings.engine(policies).map_err(ServiceError::internal)?
                    }
                };
                let only: Option<Vec<Cow<'_, str>>> = simulation
                    .policies
                    .as_ref()
                    .map(|ids| ids.iter().map(|id| Cow::Borrowed(id.as_str())).collect());
                let options = EvaluateOptions {
                    namespace: namespace.as_deref(),
                    policies: only.as_deref(),
                    mode: Mode::All,
                    trace: simulation.trace,
                    stop: Some(stop.handle()),
                    ..EvaluateOptions::default()
                };
                let chosen = engine.choose(&options)?;
                let one = |context: &str, request_id: &str| {
                    let options = EvaluateOptions {
                        request_id: Some(request_id),
                        chosen: Some(&chosen),
                        ..options.clone()
                    };
                    let response = engine.evaluate_json_with(context.as_bytes(), &options)?;
                    let json = serde_json::to_string(&response).map_err(ServiceError::internal)?;
                    Ok(Simulated {
                        verb: response.decision.decision,
                        json,
                    })
                };
                let mut results = Results::new(most);
                let mut outcomes = Vec::with_capacity(simulation.contexts.as_slice().len());
                for (i, context) in simulation.contexts.as_slice().iter().enumerate() {
                    stop.check()?;
                    let outcome = match &simulation.contexts {
                        Contexts::One(_) => one(context, &request_id),
                        Contexts::Several(_) => one(context, &numbered(&request_id, i)),
                    };
                    if let Ok(outcome) = &outcome {
                        results.add(outcome.json.len())?;
                    }
                    outcomes.push(outcome);
                }
                Ok(outcomes)
            })
            .await?
    }

    /// # Errors
    ///
    /// `too_large` for a simulation of more than a batch may have.
    fn within_batch(&self, simulation: &Simulation) -> Result<()> {
        let most = self.limits.batch;
        for (what, count) in [
            ("contexts", simulation.contexts.as_slice().len()),
            ("drafts", simulation.drafts.len()),
            ("policies", simulation.policies.as_ref().map_or(0, Vec::len)),
        ] {
            if count > most {
                return Err(ServiceError::new(
                    Code::TooLarge,
                    format!("{count} {what}, at most {most} are taken"),
                ));
            }
        }
        Ok(())
    }

    /// Finds the policies of ids that do not decide, in the store or in the directory.
    async fn find_inactive(
        &self,
        call: Call<'_>,
        ids: &BTreeSet<&str>,
        seen: Seen<'_>,
        compiler: &Compiler,
        extra: &mut Extra,
    ) -> Result<()> {
        let unknown = |id: &str, what: &str| {
            ServiceError::new(Code::UnknownPolicy, format!("policy `{id}` is not {what}"))
        };
        let Some(first) = ids.first() else {
            return Ok(());
        };
        match self.origin {
            Origin::Store => {
                let among = seen.0.map(|own| [own.to_owned(), GLOBAL.to_owned()]);
                for id in ids {
                    let places = self
                        .store
                        .places(id, among.as_ref().map(<[String; 2]>::as_slice))
                        .await?;
                    if places.len() >= PLACES {
                        return Err(ServiceError::new(
                            Code::AmbiguousPolicy,
                            format!("many namespaces have or had a policy `{id}`: name one with `namespace`"),
                        ));
                    }
                    let before = extra.documents.len();
                    let readable =
                        |place: &&IdPlace| place.exists && call.identity.may_read(&place.namespace);
                    for place in places.iter().filter(readable) {
                        let key = PolicyKey::new(&place.namespace, id);
                        extra
                            .documents
                            .extend(self.store.policy(&key).await?.map(|record| (record.latest, None)));
                    }
                    if extra.documents.len() == before {
                        return Err(unknown(id, "stored"));
                    }
                }
            }
            Origin::Directory(_) => {
                let sources = compiler.sources();
                let wanted: BTreeSet<String> = ids.iter().map(|id| (*id).to_owned()).collect();
                let mut found = self
                    .heavy
                    .run(call.work(), move |stop| {
                        let mut found = HashSet::new();
                        for (file, _) in sources.iter() {
                            stop.check()?;
                            let policies = parse_source(&sources, file).policies;
                            let keys = policies.iter().map(key_of);
                            found.extend(keys.filter(|key| wanted.contains(&key.id)));
                        }
                        Ok::<HashSet<PolicyKey>, ServiceError>(found)
                    })
                    .await??;
                found.retain(|key| seen.holds(&key.namespace) && call.identity.may_read(&key.namespace));
                for id in ids {
                    if !found.iter().any(|key| key.id == *id) {
                        return Err(unknown(id, "in the directory"));
                    }
                }
                extra.inactive.extend(found);
            }
            Origin::BundleFile(_) | Origin::BundleUrl(_) => return Err(unknown(first, "in the bundle")),
        }
        Ok(())
    }
}
