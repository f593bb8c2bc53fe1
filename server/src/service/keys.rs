//! API keys: make, list, rotate, revoke. The secret is shown once, when it is made.
//!
//! # Invariants
//!
//! - `keys:manage` hands out nothing: whoever makes, rotates or revokes a key has every scope of it, and may touch every
//!   namespace of it.
//! - Keys that somebody bound to namespaces makes or rotates count as that one for limits and shares, however many they are.
//! - Whoever has seen a secret of a key is one of the persons that it counts as (`persons.rs`): its maker, and whoever
//!   rotated it.

use super::{Call, Service, Wrote};
use crate::auth::api_key;
use crate::clock::now_ms;
use crate::document;
use crate::error::{Code, Result, ServiceError};
use crate::identity::{Identity, Owner, Role, Scope, Scopes};
use crate::request_id;
use crate::storage::Store;
use crate::storage::model::{ApiKey, KeyChange, Page, Slice};
use crate::telemetry::request::{self, About};
use secrecy::SecretString;
use serde_json::json;
use std::time::Duration;

/// How long the old secret stays good after a rotation, when the caller does not say.
const OVERLAP: Duration = Duration::from_secs(24 * 3600);

/// How long anything may be good at most: what lies further away is a mistake, and soon not a time any more.
const LONGEST: Duration = Duration::from_secs(100 * 366 * 24 * 3600);

/// Namespaces of one key at most.
pub const MOST_NAMESPACES: usize = 64;

/// Bytes of a name at most, be it that of a key or of a namespace.
const LONGEST_NAME: usize = document::MAX_TEXT;

/// A key to make.
#[derive(Debug, Clone, Default)]
pub struct NewKey {
    /// What people call it.
    pub name: String,
    /// Roles.
    pub roles: Vec<String>,
    /// Scopes beside those of the roles.
    pub scopes: Vec<String>,
    /// Namespaces; `None` is all that the maker has.
    pub namespaces: Option<Vec<String>>,
    /// How long it is good, more than nothing and at most a hundred years; `None` is for ever.
    pub life: Option<Duration>,
}

fn rights(roles: &[String], scopes: &[String]) -> Result<Scopes> {
    let mut rights = Scopes::NONE;
    for role in roles {
        let role = Role::parse(role).ok_or_else(|| malformed(Role::unknown(role)))?;
        rights = rights.with(role.scopes());
    }
    for scope in scopes {
        let scope = Scope::parse(scope).ok_or_else(|| {
            let known: Vec<&str> = Scope::ALL.iter().map(|s| s.as_str()).collect();
            malformed(format!(
                "there is no scope `{scope}`; scopes are {}",
                known.join(", ")
            ))
        })?;
        rights = rights.with([scope].into_iter().collect());
    }
    if rights.is_empty() {
        return Err(malformed("a key needs a role or a scope"));
    }
    Ok(rights)
}

/// Whether a policy can be of a namespace of this name.
fn is_namespace(name: &str) -> bool {
    !name.is_empty() && name.len() <= LONGEST_NAME && !name.chars().any(char::is_control)
}

fn malformed(detail: impl Into<String>) -> ServiceError {
    ServiceError::new(Code::MalformedRequest, detail)
}

/// Whom a key counts as, for limits and shares, that an identity made or rotated: as it does itself where it is bound to
/// namespaces. Otherwise a tenant with many keys would have many shares. Who is bound to none gives shares to others.
fn heir(identity: &Identity) -> Option<String> {
    identity.namespaces.as_ref()?;
    Some(identity.owner.as_ref()?.name().to_owned())
}

/// The time that is `span` from now.
fn after(what: &str, span: Duration) -> Result<i64> {
    if span > LONGEST {
        return Err(malformed(format!("{what} is longer than a hundred years")));
    }
    let ms = i64::try_from(span.as_millis()).map_err(ServiceError::internal)?;
    Ok(now_ms().saturating_add(ms))
}

/// Until when a key is good that is made now.
fn expiry(life: Option<Duration>) -> Result<Option<i64>> {
    match life {
        Some(Duration::ZERO) => Err(malformed("the life of the key is 0: it would be of no use")),
        life => life.map(|life| after("the life of the key", life)).transpose(),
    }
}

/// The end of a key that somebody makes or rotates, if it were this. A key hands out no more time than it has: one made with it ends
/// when it does, unless that is to be sooner.
///
/// # Errors
///
/// `forbidden` for a later end.
fn within_own(call: Call<'_>, wanted: Option<i64>) -> Result<Option<i64>> {
    match (call.identity.key_ends_ms, wanted) {
        (Some(own), Some(wanted)) if wanted > own => Err(ServiceError::new(
            Code::Forbidden,
            "a key that ends makes and rotates none that ends later than itself",
        )),
        (own, wanted) => Ok(wanted.or(own)),
    }
}

/// Makes a key in a store, where no more than `most` keys of one owner may be live; 0 is no limit.
///
/// # Errors
///
/// `malformed_request`, `forbidden` for more than the maker has or a later end, `quota_exceeded`, store errors.
pub async fn make_key(
    store: &dyn Store,
    maker: &Identity,
    request_id: &str,
    new: NewKey,
    most: u64,
) -> Result<(ApiKey, SecretString)> {
    let call = Call {
        identity: maker,
        request_id,
        until: None,
    };
    if new.name.trim().is_empty() {
        return Err(malformed("`name` is empty"));
    }
    // It stands in every record of what is done with the key.
    if new.name.len() > LONGEST_NAME || !request_id::is_printable(&new.name) {
        return Err(malformed(format!(
            "`name` is longer than {LONGEST_NAME} bytes or holds characters that nobody sees"
        )));
    }
    let scopes = rights(&new.roles, &new.scopes)?;
    // Nobody hands on what they do not have.
    if scopes.and(maker.scopes) != scopes {
        return Err(ServiceError::new(
            Code::Forbidden,
            "a key cannot do more than who makes it",
        ));
    }
    let namespaces = match (new.namespaces, maker.namespaces.as_deref()) {
        (Some(named), _) => {
            // Nobody who is bound to namespaces would see it again.
            if named.is_empty() && maker.namespaces.is_some() {
                return Err(malformed(
                    "`namespaces` is empty: leave it out for all of your own",
                ));
            }
            // No policy is of such a namespace, and the database does not tell it from another one.
            if !named.iter().all(|name| is_namespace(name)) {
                return Err(malformed(format!(
                    "`namespaces` holds a name that is empty, longer than {LONGEST_NAME} bytes, or has control characters"
                )));
            }
            named.iter().try_for_each(|n| call.require_namespace(n))?;
            Some(named)
        }
        (None, own) => own.map(<[String]>::to_vec),
    };
    if let Some(count) = namespaces.as_ref().map(Vec::len).filter(|n| *n > MOST_NAMESPACES) {
        return Err(malformed(format!(
            "a key is for at most {MOST_NAMESPACES} namespaces, not for {count}: name those that it needs in `namespaces`, or \
             make several keys"
        )));
    }
    let expires_ms = within_own(call, expiry(new.life)?)?;
    let generated = api_key::generate().map_err(ServiceError::internal)?;
    let key = ApiKey {
        id: generated.id,
        name: new.name,
        hash: generated.hash,
        previous: None,
        scopes,
        namespaces,
        author: maker.subject.to_string(),
        rotated_by: Vec::new(),
        owner: heir(maker),
        created_ms: now_ms(),
        expires_ms,
        revoked_ms: None,
    };
    let scopes: Vec<&str> = key.scopes.iter().map(Scope::as_str).collect();
    let detail = json!({"name": key.name, "scopes": scopes});
    let audit = call.audit("key.create", &key.id, "", &detail);
    let create = KeyChange::Create {
        key: key.clone(),
        most,
    };
    store.change_key(&create, &audit).await?;
    Ok((key, generated.secret))
}

/// Notes for the log what the request is to do with a key. Which one only once that is known: what a caller sends as an id may
/// be a secret.
fn about(action: &'static str, id: Option<&str>) {
    request::is_about(About {
        action,
        key: id.map(str::to_owned),
        ..About::default()
    });
}

fn wrote(call: Call<'_>, action: &str, id: &str) {
    call.wrote(&Wrote {
        action,
        key: Some(id),
        ..Wrote::default()
    });
}

impl Service {
    /// Makes a key; returns it with its secret, which is stored nowhere.
    ///
    /// # Errors
    ///
    /// As [`make_key`], and `forbidden`.
    pub async fn create_key(&self, call: Call<'_>, new: NewKey) -> Result<(ApiKey, SecretString)> {
        about("key.create", None);
        call.require(Scope::Keys)?;
        let most = self.limits.keys;
        let made = make_key(&*self.store, call.identity, call.request_id, new, most).await?;
        wrote(call, "key.create", &made.0.id);
        Ok(made)
    }

    /// Gives a key a new secret. The old one stays good for `overlap`. From then on the key counts as the caller too.
    ///
    /// # Errors
    ///
    /// `not_found`, `forbidden` for a key that may do more than the caller or is to end later than the caller's own,
    /// `malformed_request` where the key would be of no use, store errors.
    pub async fn rotate_key(
        &self,
        call: Call<'_>,
        id: &str,
        overlap: Option<Duration>,
        life: Option<Duration>,
    ) -> Result<(ApiKey, SecretString)> {
        let key = self.own_key(call, id, "key.rotate").await?;
        let until = after("the time of the old secret", overlap.unwrap_or(OVERLAP))?;
        // Of a key that has no end, or a later one, no secret is handed out to one that ends, unless the key ends with it.
        let mut expires_ms = within_own(call, expiry(life)?.or(key.expires_ms))?;
        if life.is_none() && expires_ms == key.expires_ms {
            // The end that it has when it is written.
            expires_ms = None;
        }
        let now = now_ms();
        if expires_ms
            .or(key.expires_ms)
            .is_some_and(|expires| expires <= now)
        {
            return Err(malformed(
                "the key has expired: say how long it is good from now on",
            ));
        }
        let generated = api_key::generate_for(id).map_err(ServiceError::internal)?;
        // A key that counts as itself still does when it rotates itself.
        let owner = heir(call.identity).filter(|owner| owner != Owner::key(id).name());
        let change = KeyChange::Rotate {
            id: id.to_owned(),
            hash: generated.hash,
            previous_until_ms: until,
            expires_ms,
            at_ms: now,
            by: call.identity.subject.to_string(),
            owner,
            most: self.limits.keys,
        };
        let detail = json!({"previousUntil": until, "expires": expires_ms});
        let audit = call.audit("key.rotate", id, "", &detail);
        // What was written, not what was read before it; and not read again: once it is rotated, nothing may keep the secret
        // from its user.
        let key = self.store.change_key(&change, &audit).await?;
        wrote(call, "key.rotate", id);
        Ok((key, generated.secret))
    }

    /// Revokes a key.
    ///
    /// # Errors
    ///
    /// `not_found`, `forbidden` for a key that may do more than the caller, store errors.
    pub async fn revoke_key(&self, call: Call<'_>, id: &str) -> Result<()> {
        self.own_key(call, id, "key.revoke").await?;
        let change = KeyChange::Revoke {
            id: id.to_owned(),
            at_ms: now_ms(),
        };
        let audit = call.audit("key.revoke", id, "", &json!({}));
        self.store.change_key(&change, &audit).await?;
        wrote(call, "key.revoke", id);
        Ok(())
    }

    /// Keys that the caller may see: those of namespaces that are all the caller's.
    ///
    /// # Errors
    ///
    /// `forbidden`, store errors.
    pub async fn keys(&self, call: Call<'_>, page: &Page) -> Result<Slice<ApiKey>> {
        call.require(Scope::Keys)?;
        let limit = page.limit as usize;
        let mut seen: Vec<ApiKey> = Vec::new();
        // Read in large parts: most of them may be keys of others.
        let mut part = Page {
            limit: page.limit.max(500),
            ..page.clone()
        };
        // The cursor is the last key that is shown, never one that is not.
        while seen.len() <= limit {
            let slice = self.store.keys(&part).await?;
            seen.extend(slice.items.into_iter().filter(|key| sees(call, key)));
            match slice.next {
                Some(next) => part.after = Some(next),
                None => break,
            }
        }
        let more = seen.len() > limit;
        seen.truncate(limit);
        let next = seen.last().filter(|_| more).map(|key| key.id.clone());
        Ok(Slice { items: seen, next })
    }

    /// A key that the caller may change.
    async fn own_key(&self, call: Call<'_>, id: &str, action: &'static str) -> Result<ApiKey> {
        about(action, None);
        call.require(Scope::Keys)?;
        let key = self.store.key(id).await?;
        let key = key
            .filter(|key| sees(call, key) && key.revoked_ms.is_none())
            .ok_or_else(|| ServiceError::not_found("key", id))?;
        about(action, Some(id));
        let lacking: Vec<&str> = key
            .scopes
            .iter()
            .filter(|scope| !call.identity.scopes.has(*scope))
            .map(Scope::as_str)
            .collect();
        if lacking.is_empty() {
            return Ok(key);
        }
        Err(ServiceError::new(
            Code::Forbidden,
            format!(
                "the key `{id}` may do more than `{}`, who lacks {}",
                call.identity.subject,
                lacking.join(", ")
            ),
        ))
    }
}

/// Whether the namespaces of a key are all the caller's. One that is bound to none is nobody's who is bound to some.
fn sees(call: Call<'_>, key: &ApiKey) -> bool {
    match (&key.namespaces, &call.identity.namespaces) {
        (_, None) => true,
        (None, Some(_)) => false,
        (Some(of_key), Some(_)) => !of_key.is_empty() && of_key.iter().all(|n| call.identity.may_touch(n)),
    }
}
