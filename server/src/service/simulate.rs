//! Simulation: decisions with drafts, stored nowhere and counted nowhere.
//!
//! # Invariants
//!
//! - Drafts are tried on top of everything that decides. Where that cannot be compiled, there is an error and no decision.

use super::evaluate::{Results, count_contexts, numbered};
use super::{Call, Service};
use crate::active;
use crate::config::Origin;
use crate::document::{self, Format, Sight, file_name};
use crate::error::{Code, Result, ServiceError};
use crate::heavy::Stop;
use crate::identity::{GLOBAL, Scope};
use crate::limits::Route;
use crate::storage::PLACES;
use crate::storage::model::{IdPlace, PolicyKey, PolicyVersion};
use policy_compiler::Compiler;
use policy_grammar::ast::{Policy, Status};
use policy_grammar::{SourceFile, parse_source};
use policy_runtime::{EvaluateOptions, Mode, Verb};
use serde_json::value::RawValue;
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
    /// Documents, each of one policy.
    documents: Vec<PolicyVersion>,
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
        documents.any(|document| document.id == id && seen.holds(&document.namespace))
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
            let (version, _) = self.check(call, draft.source, draft.format).await?;
            call.require_namespace(&version.namespace)?;
            extra.documents.push(version);
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
                            .extend(self.store.policy(&key).await?.map(|record| record.latest));
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

/// Which policy a document is.
pub(super) fn key_of(policy: &Policy) -> PolicyKey {
    PolicyKey::new(&policy.metadata.namespace.value, &policy.metadata.id.value)
}

/// The policies that decide, with others in their place or beside them, and the names of the others.
fn with_extra(
    mut compiler: Compiler,
    origin: &Origin,
    extra: Extra,
    stop: &Stop,
) -> Result<(Compiler, Vec<String>)> {
    if let Origin::Directory(_) = origin {
        // Drafts are tried whatever their status is, so the deciding policies are chosen here and not by the compiler.
        let replaced: HashSet<PolicyKey> = extra.documents.iter().map(PolicyVersion::key).collect();
        let wanted = |policy: &Policy| {
            let key = key_of(policy);
            !replaced.contains(&key) && (policy.status == Status::Active || extra.inactive.contains(&key))
        };
        keep(&mut compiler, wanted, || stop.check())?;
        compiler.set_options(document::options());
    } else {
        for document in &extra.documents {
            for format in [Format::Yaml, Format::Json] {
                compiler.remove(&file_name(&document.key(), format.as_str()));
            }
        }
    }
    let mut drafts = Vec::with_capacity(extra.documents.len());
    for document in extra.documents {
        let mut name = file_name(&document.key(), &document.format);
        // Two drafts of one id are both kept: the compiler says what is wrong with that.
        while compiler.file(&name).is_some() {
            name = format!("{name}.{}", document.format);
        }
        compiler.set(name.clone(), &*document.source);
        drafts.push(name);
    }
    Ok((compiler, drafts))
}

/// Removes the policies that are not wanted; the places of the others in their files stay as they are.
fn keep(
    compiler: &mut Compiler,
    wanted: impl Fn(&Policy) -> bool,
    go_on: impl Fn() -> Result<()>,
) -> Result<()> {
    let sources = compiler.sources();
    for (id, file) in sources.iter() {
        go_on()?;
        let policies = parse_source(&sources, id).policies;
        if policies.iter().all(&wanted) {
            continue;
        }
        compiler.remove(file.name());
        let is_json = file.name().ends_with(".json");
        for (i, policy) in policies.iter().enumerate().filter(|(_, policy)| wanted(policy)) {
            let text = match policies.len() {
                1 => file.text().to_owned(),
                _ => only(file, policy, is_json),
            };
            let format = if is_json { Format::Json } else { Format::Yaml };
            compiler.set(format!("{}/{i}.{}", file.name(), format.as_str()), text);
        }
    }
    Ok(())
}

/// One policy of a file that holds several, at the line and column where it stands there.
pub(super) fn only(file: &SourceFile, policy: &Policy, is_json: bool) -> String {
    let start = policy.span.start;
    let (line, column) = file.line_column(start);
    let rest = file.text().get(start as usize..).unwrap_or_default();
    let text = if is_json {
        let mut values = serde_json::Deserializer::from_str(rest).into_iter::<&RawValue>();
        values.next().and_then(Result::ok).map_or(rest, RawValue::get)
    } else {
        let end = end_of_document(rest).unwrap_or(rest.len());
        rest.get(..end).unwrap_or(rest)
    };
    let (above, before) = (line.saturating_sub(1) as usize, column.saturating_sub(1) as usize);
    format!("{}{}{text}\n", "\n".repeat(above), " ".repeat(before))
}

/// Where the first YAML document of a text ends, if a line ends it: `---`, or `...`, behind which another one may stand too.
pub(super) fn end_of_document(text: &str) -> Option<usize> {
    let ends = |at: &usize| {
        let line = text.get(at + 1..).unwrap_or_default();
        let behind = line.strip_prefix("---").or_else(|| line.strip_prefix("..."));
        behind.is_some_and(|behind| behind.is_empty() || behind.starts_with(char::is_whitespace))
    };
    text.match_indices('\n').map(|(at, _)| at).find(ends)
}

#[cfg(test)]
mod tests {
    use super::keep;
    use crate::document;
    use policy_compiler::Compiler;
    use policy_grammar::ast::Policy;

    #[test]
    fn what_is_kept_of_a_file_stays_where_it_was() {
        let yaml = |id: &str| {
            format!(
                "metadata: {{id: {id}, name: N}}\nrules:\n- id: {id}\n  condition: {{operator: eq, field: llm.model, value: \
                 '{id}'}}\n  action: {{decision: deny}}\n"
            )
        };
        let json = |id: &str| {
            format!(
                r#"{{"metadata": {{"id": "{id}", "name": "N"}}, "rules": [{{"id": "{id}", "condition": {{"operator": "eq", "field": "llm.model", "value": "{id}"}}, "action": {{"decision": "deny"}}}}]}}"#
            )
        };
        let mut compiler = Compiler::new(document::options());
        compiler.set(
            "a.yaml",
            format!(
                "{}---\n{}---\n# end\n{}...\n{}",
                yaml("a"),
                yaml("b"),
                yaml("c"),
                yaml("h")
            ),
        );
        compiler.set(
            "b.json",
            format!("[{},\n {}, {}]", json("d"), json("e"), json("f")),
        );
        compiler.set("sub/c.yaml", yaml("g"));
        let places = |compiler: &mut Compiler| {
            let manifest = compiler.build().unwrap().manifest;
            let mut rules: Vec<(String, u32, u32)> = manifest
                .rules
                .iter()
                .map(|rule| (rule.id.clone(), rule.line, rule.column))
                .collect();
            rules.sort();
            rules
        };
        let mut all = places(&mut compiler);
        assert_eq!(all.len(), 8);
        let wanted = |policy: &Policy| !["b", "d", "g", "h"].contains(&policy.metadata.id.value.as_str());
        keep(&mut compiler, wanted, || Ok(())).unwrap();
        all.retain(|(id, _, _)| !["b", "d", "g", "h"].contains(&id.as_str()));
        assert_eq!(places(&mut compiler), all);
    }
}
