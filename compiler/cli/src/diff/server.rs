//! What decides on a server: the deployed bundle, or the versions of policies that are active.
//!
//! **Invariant.** What is compared decided at one moment: where the list of active versions is another one after their texts
//! were read, everything is read again, and after a few times the command fails.

use crate::inputs::{Input, Sources};
use crate::remote::{self, Call, Server};
use crate::{output, render};
use anyhow::bail;
use policy_grammar::ast::Status;
use policy_grammar::{SourceFile, SourceMap, names};
use serde::Deserialize;

/// How often what decides is read before the command gives up.
const TRIES: usize = 4;

/// What is known of all that decides. Who is bound to namespaces may not ask.
const BUNDLE: &str = "/api/v1/bundle";

/// `GET /api/v1/bundle`, as far as it is needed.
#[derive(Debug, Deserialize)]
struct Deciding {
    digest: Option<String>,
    origin: String,
}

/// A policy of the list.
#[derive(Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Listed {
    id: String,
    namespace: String,
    active_version: Option<u64>,
    digest: String,
}

/// A version of a policy.
#[derive(Debug, Deserialize)]
struct Version {
    source: String,
    format: String,
}

/// Reads it.
///
/// # Errors
///
/// Refusals of the server; policies that change all the time; a bundle that the server gives to nobody.
pub(super) fn deciding(server: &Server) -> anyhow::Result<Input> {
    let answer = server.call(Call::get(BUNDLE))?;
    // Then only stored policies can be read, and the server says so if they cannot either.
    if answer.status() != 403 {
        let status: Deciding = answer.accepted()?.json()?;
        if let Some(digest) = status.digest {
            return bundle(server, &digest, &status.origin);
        }
    }
    for _ in 0..TRIES {
        let before = listed(server)?;
        let texts = texts(server, &before)?;
        if listed(server)? == before {
            return Ok(Input::Sources(Sources::of_texts(texts)));
        }
    }
    bail!("the server's policies changed each time while they were read; try again")
}

fn bundle(server: &Server, digest: &str, origin: &str) -> anyhow::Result<Input> {
    let answer = server.download(BUNDLE)?;
    if answer.status() == 404 {
        bail!(
            "the server's policies come from {}, and it does not hand out that bundle: compare with the bundle itself",
            remote::clean(origin)
        );
    }
    Ok(Input::Bundle {
        name: remote::clean(digest),
        bytes: answer.accepted()?.body().to_vec(),
    })
}

/// The policies that decide.
fn listed(server: &Server) -> anyhow::Result<Vec<Listed>> {
    let mut listed: Vec<Listed> = Vec::new();
    server.pages("/api/v1/policies", &[], None, |page| {
        listed.extend(page);
        Ok(())
    })?;
    listed.retain(|policy| policy.active_version.is_some());
    Ok(listed)
}

/// What they say, with names. Which policies decide the server says, whatever status stands in a text: a draft that was activated
/// decides, and a text of a directory may hold other policies beside.
fn texts(server: &Server, listed: &[Listed]) -> anyhow::Result<Vec<(String, String)>> {
    let mut texts = Vec::with_capacity(listed.len());
    for policy in listed {
        let Some(number) = policy.active_version else {
            continue;
        };
        let path = remote::policy_path(&policy.id, &format!("/versions/{number}"))?;
        let path = remote::in_namespace(&path, Some(&policy.namespace));
        let version: Version = server.get(&path)?;
        let name = names::stored(&policy.namespace, &policy.id, &version.format);
        let mut map = SourceMap::new();
        let file = map.add(SourceFile::new(name.as_str(), version.source));
        let parsed = policy_grammar::parse_source(&map, file);
        if parsed.has_errors() {
            output::stderr(&render::text(&map, &parsed.diagnostics));
            bail!(
                "this version of policyc does not understand `{}` of the server",
                remote::clean(&name)
            );
        }
        let found = parsed.policies.into_iter().find(|found| {
            found.metadata.namespace.value == policy.namespace && found.metadata.id.value == policy.id
        });
        let Some(mut found) = found else {
            bail!(
                "the text that the server has for `{}` is of another policy",
                remote::clean(&name)
            );
        };
        found.status = Status::Active;
        texts.push((
            names::stored(&policy.namespace, &policy.id, "json"),
            policy_grammar::to_json(std::slice::from_ref(&found)),
        ));
    }
    Ok(texts)
}
