//! What waits for approval: since when, who may approve it, and its rejection.
//!
//! A version is approved by being activated ([`Service::set_policy_status`]). One that is rejected stays what the policy's newest
//! version is, does not decide, and does not become active any more, also where no approval is required by then; whoever writes the
//! policy submits it anew as a new version, with another text or the same. What is active stays active.
//!
//! Whoever may approve may reject, their own versions too; whoever wrote a version may take it back like that.

use super::persons::Person;
use super::policies::{PolicyName, Seen};
use super::{Call, Service, Wrote};
use crate::audit;
use crate::clock::now_ms;
use crate::error::{Code, Result, ServiceError};
use crate::identity::Scope;
use crate::request_id::is_printable;
use crate::storage::StoreError;
use crate::storage::model::{PolicyRecord, PolicyVersion, Rejection};
use serde_json::json;
use std::collections::HashMap;

/// Bytes of the comment of a rejection at most.
pub const MAX_COMMENT: usize = 2000;

/// What a version waits for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Waiting {
    /// Since when, in milliseconds since the epoch.
    pub since_ms: i64,
    /// The scope of those who may approve it.
    pub scope: Scope,
    /// Who wrote its text, in any version: none of them may approve it. None where no approval is required any more.
    pub authors: Vec<String>,
    /// Whether the one who asks may approve it.
    pub may_approve: bool,
}

/// Who counts as whom, each looked up once.
#[derive(Debug, Default)]
struct Persons(HashMap<String, Option<Person>>);

impl Persons {
    /// Who stands behind a subject; `None` where that are too many to tell.
    async fn of(&mut self, service: &Service, subject: &str) -> Result<Option<&Person>> {
        if !self.0.contains_key(subject) {
            let person = match service.person(subject).await {
                Ok(person) => Some(person),
                Err(error) if error.code == Code::Forbidden => None,
                Err(error) => return Err(error),
            };
            self.0.insert(subject.to_owned(), person);
        }
        Ok(self.0.get(subject).and_then(Option::as_ref))
    }

    /// Whether two subjects are certainly not one person.
    async fn apart(&mut self, service: &Service, one: &str, other: &str) -> Result<bool> {
        self.of(service, one).await?;
        self.of(service, other).await?;
        let known = |subject: &str| self.0.get(subject).and_then(Option::as_ref);
        Ok(known(one)
            .zip(known(other))
            .is_some_and(|(one, other)| !one.is(other)))
    }
}

/// # Errors
///
/// [`Code::MalformedRequest`] for a comment that says nothing, is too long, or holds what nobody sees.
fn checked(comment: &str) -> Result<&str> {
    let comment = comment.trim();
    let problem = if comment.is_empty() {
        "say why in `comment`: the author reads it".to_owned()
    } else if comment.len() > MAX_COMMENT {
        format!(
            "`comment` has {} bytes, and may have {MAX_COMMENT}",
            comment.len()
        )
    } else if !is_printable(comment) {
        "`comment` holds control characters, line breaks, or characters that nobody sees".to_owned()
    } else {
        return Ok(comment);
    };
    Err(ServiceError::new(Code::MalformedRequest, problem))
}

impl Service {
    /// # Errors
    ///
    /// [`Code::SelfApproval`] where the caller wrote any version with this text: writing it down again, as a rollback does,
    /// does not make it somebody else's.
    pub(super) async fn not_own_text(&self, call: Call<'_>, text: &PolicyVersion) -> Result<()> {
        let approver = self.person(&call.identity.subject).await?;
        for (author, number) in self.store.authors(&text.key(), &text.digest).await? {
            if self.person(&author).await?.is(&approver) {
                let detail = format!(
                    "`{author}` wrote version {number} of `{}`, which has this text",
                    text.id
                );
                return Err(Self::self_approval(call, &author, detail));
            }
        }
        Ok(())
    }

    /// The error of somebody who approves without saying what.
    pub(super) fn unnamed(detail: &str) -> ServiceError {
        ServiceError::new(Code::PreconditionRequired, detail)
    }

    /// The error of somebody who approves what is their own, with what makes it so.
    pub(super) fn self_approval(call: Call<'_>, author: &str, detail: String) -> ServiceError {
        let subject = &call.identity.subject;
        let detail = if author == &**subject {
            detail
        } else {
            format!(
                "{detail}; `{subject}` counts as the same person, because a key counts as who made it and as who \
                 rotated it"
            )
        };
        ServiceError::new(Code::SelfApproval, detail)
    }

    /// The scope of those who may activate a policy.
    pub(super) fn activating_scope(&self) -> Scope {
        if self.approval {
            Scope::Approve
        } else {
            Scope::Write
        }
    }

    /// Rejects the version of a policy that waits for approval. What is active stays active.
    ///
    /// # Errors
    ///
    /// [`Code::MalformedRequest`] for the comment, [`Code::NotFound`], [`Code::NotWaiting`] where this version is not the one that
    /// waits, [`Code::Forbidden`] for who may neither approve nor wrote it, [`Code::AmbiguousPolicy`], [`Code::ReadOnly`], store
    /// errors.
    pub async fn reject_policy(
        &self,
        call: Call<'_>,
        name: PolicyName<'_>,
        version: u64,
        comment: &str,
    ) -> Result<Seen> {
        call.is_about(audit::REJECT, (name.id, name.namespace), Some(version));
        let scope = self.activating_scope();
        let may_approve = call.identity.scopes.has(scope);
        if !may_approve && !call.identity.scopes.has(Scope::Write) {
            call.require(scope)?;
        }
        self.writable()?;
        let comment = checked(comment)?;
        let key = self.locate(call, name, true).await?;
        call.is_about(audit::REJECT, (&key.id, Some(&key.namespace)), Some(version));
        let record = self.store.policy_without_text(&key).await?;
        let record = record.ok_or_else(|| ServiceError::not_found("policy", name.id))?;
        call.require_namespace(&key.namespace)?;
        let latest = &record.latest;
        if latest.version != version || !record.pending_approval {
            let asked = PolicyVersion {
                version,
                ..latest.clone()
            };
            return Err(StoreError::NotWaiting(asked.named()).into());
        }
        if !may_approve {
            let own = self.person(&latest.author).await?;
            if !own.is(&self.person(&call.identity.subject).await?) {
                return Err(ServiceError::new(
                    Code::Forbidden,
                    format!(
                        "`{}` lacks the scope `{}`, and did not write {}",
                        call.identity.subject,
                        scope.as_str(),
                        latest.named()
                    ),
                ));
            }
        }
        let rejection = Rejection {
            by: call.identity.subject.to_string(),
            comment: comment.to_owned(),
            at_ms: now_ms(),
        };
        let detail = json!({"version": version, audit::COMMENT: comment});
        let entry = call.audit(audit::REJECT, &key.id, &key.namespace, &detail);
        let record = self
            .store
            .reject_policy(&key, version, &rejection, &entry)
            .await?;
        call.wrote(&Wrote::policy(audit::REJECT, &key, &record));
        Ok(Seen {
            record: self.deciding(record),
            waiting: None,
        })
    }

    /// A policy, and what it waits for.
    pub(super) async fn seen(&self, call: Call<'_>, record: PolicyRecord) -> Result<Seen> {
        let waiting = self.waiting(call, &record, &mut Persons::default()).await?;
        Ok(Seen { record, waiting })
    }

    /// The same for the policies of a list.
    pub(super) async fn all_seen(&self, call: Call<'_>, records: Vec<PolicyRecord>) -> Result<Vec<Seen>> {
        let mut persons = Persons::default();
        let mut seen = Vec::with_capacity(records.len());
        for record in records {
            let waiting = self.waiting(call, &record, &mut persons).await?;
            seen.push(Seen { record, waiting });
        }
        Ok(seen)
    }

    async fn waiting(
        &self,
        call: Call<'_>,
        record: &PolicyRecord,
        persons: &mut Persons,
    ) -> Result<Option<Waiting>> {
        if !record.pending_approval {
            return Ok(None);
        }
        let latest = &record.latest;
        let scope = self.activating_scope();
        let mut may_approve = call.identity.scopes.has(scope) && call.identity.may_touch(&latest.namespace);
        let mut authors = Vec::new();
        if self.approval {
            let wrote = self.store.authors(&latest.key(), &latest.digest).await?;
            authors.extend(wrote.into_iter().map(|(author, _)| author));
            for author in &authors {
                may_approve = may_approve && persons.apart(self, author, &call.identity.subject).await?;
            }
        }
        Ok(Some(Waiting {
            since_ms: latest.created_ms,
            scope,
            authors,
            may_approve,
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::{MAX_COMMENT, checked};
    use crate::error::Code;

    #[test]
    fn a_comment_can_be_read() {
        assert_eq!(checked("  too dear — ü  "), Ok("too dear — ü"));
        assert!(checked(&"x".repeat(MAX_COMMENT)).is_ok());
        for wrong in [
            "",
            " \t ",
            "two\nlines",
            "\u{1b}[31mred",
            "a\0b",
            "turned \u{202e} round",
            "hid\u{200b}den",
            "x".repeat(MAX_COMMENT + 1).as_str(),
        ] {
            let error = checked(wrong).unwrap_err();
            assert_eq!(error.code, Code::MalformedRequest, "{wrong:?}");
            assert!(error.detail.contains("`comment`"), "{}", error.detail);
        }
    }

    #[test]
    fn the_interfaces_say_how_long_a_comment_may_be() {
        let said = format!("at most {MAX_COMMENT} bytes");
        for text in [
            include_str!("../../../proto/policy.proto"),
            include_str!("../http/policies.rs"),
            include_str!("../../../compiler/cli/src/reject.rs"),
        ] {
            assert!(text.contains(&said), "{said}");
        }
    }
}
