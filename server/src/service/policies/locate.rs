//! Which policy a caller means who says its id, and maybe its namespace.

use super::PolicyName;
use crate::active::Origin;
use crate::error::{Code, Result, ServiceError};
use crate::identity::GLOBAL;
use crate::service::{Call, Service};
use crate::storage::PLACES;
use crate::storage::model::{IdPlace, PolicyKey};

/// The error where an id alone does not say which policy is meant. Names only namespaces of the caller.
fn ambiguous(id: &str, namespaces: &[String]) -> ServiceError {
    let names = namespaces.join(", ");
    let more = if namespaces.len() < PLACES {
        ""
    } else {
        " and more"
    };
    ServiceError::new(
        Code::AmbiguousPolicy,
        format!("the namespaces {names}{more} have or had a policy `{id}`: name one with `namespace`"),
    )
}

impl Service {
    /// Which policy a caller means: the one in the namespace that they name; else the one of their own namespaces; else that of
    /// `global`. Policies that are there come before those of which only versions are left, unless a version is `numbered`:
    /// numbers count in each namespace by themselves, so that one who looked at a policy that is gone by now must not mean
    /// another one of its id and number.
    ///
    /// # Errors
    ///
    /// [`Code::Forbidden`] for a namespace that is not theirs to read, [`Code::NotFound`], [`Code::AmbiguousPolicy`] where
    /// several of their own namespaces have the id, or ever had it where a version is numbered.
    pub(in crate::service) async fn locate(
        &self,
        call: Call<'_>,
        name: PolicyName<'_>,
        numbered: bool,
    ) -> Result<PolicyKey> {
        let id = name.id;
        if let Some(namespace) = name.namespace {
            if !call.identity.may_read(namespace) {
                call.require_namespace(namespace)?;
            }
            return Ok(PolicyKey::new(namespace, id));
        }
        let among = call.identity.readable();
        let places = match self.origin {
            Origin::Store => self.store.places(id, among.as_deref()).await?,
            Origin::Directory(_) | Origin::BundleFile(_) | Origin::BundleUrl(_) => {
                let policies = self.active.engine()?.policies();
                let named = policies.manifest().policies.iter().filter(|p| p.id == id);
                let namespaces = named.map(|p| &p.namespace);
                namespaces
                    .filter(|n| call.identity.may_read(n))
                    .map(|n| IdPlace {
                        namespace: n.clone(),
                        exists: true,
                    })
                    .collect()
            }
        };
        let own = |places: &mut dyn Iterator<Item = &IdPlace>| -> Vec<String> {
            places
                .map(|place| &place.namespace)
                .filter(|namespace| call.identity.may_touch(namespace))
                .cloned()
                .collect()
        };
        if numbered && let several @ [_, _, ..] = own(&mut places.iter()).as_slice() {
            return Err(ambiguous(id, several));
        }
        for exists in [true, false] {
            let there = || places.iter().filter(|place| place.exists == exists);
            match own(&mut there()).as_slice() {
                [] => {}
                [only] => return Ok(PolicyKey::new(only, id)),
                several => return Err(ambiguous(id, several)),
            }
            if there().any(|place| place.namespace == GLOBAL) {
                return Ok(PolicyKey::new(GLOBAL, id));
            }
        }
        Err(ServiceError::not_found("policy", id))
    }
}
