//! Who counts as whom where one person approves what another one wrote.
//!
//! A key stands for everybody who has seen a secret of it: whoever made it, and whoever rotated it, also through other
//! keys. So two subjects are one person when one of them stands behind the other, or somebody stands behind both. Keys that
//! were made on the command line, and never rotated by others, have nobody behind them: each stands for itself.
//!
//! Who stands behind a key never becomes fewer: a secret that was seen once may have been kept.

use super::Service;
use crate::auth::api_key;
use crate::error::{Code, Result, ServiceError};
use crate::identity;

/// Who may stand behind a subject at most. Nobody needs more, and each may be a question to the store.
const MOST: usize = 64;

/// A subject, and the ones that stand behind it: who made or rotated its key, who made or rotated theirs, and so on.
#[derive(Debug)]
pub(super) struct Person {
    subjects: Vec<String>,
}

impl Person {
    fn stands_for(&self, subject: &str) -> bool {
        let nobody = identity::is_nobody(subject);
        // Who is called as nobody is called is still the same as themselves.
        let seen = if nobody {
            self.subjects.get(..1)
        } else {
            Some(&*self.subjects)
        };
        seen.is_some_and(|subjects| subjects.iter().any(|own| own == subject))
    }

    /// Whether both are one person.
    pub(super) fn is(&self, other: &Self) -> bool {
        self.subjects.iter().any(|own| other.stands_for(own))
            || other.subjects.iter().any(|own| self.stands_for(own))
    }
}

impl Service {
    /// Who stands behind a subject.
    ///
    /// # Errors
    ///
    /// [`Code::Forbidden`] for a key with too many behind it, store errors.
    pub(super) async fn person(&self, subject: &str) -> Result<Person> {
        let mut subjects = vec![subject.to_owned()];
        let mut looked_at = 0;
        while let Some(next) = subjects.get(looked_at) {
            looked_at += 1;
            let Some(id) = api_key::id_in_subject(next) else {
                continue;
            };
            let Some(key) = self.store.key(id).await? else {
                continue;
            };
            for behind in std::iter::once(key.author).chain(key.rotated_by) {
                if !subjects.contains(&behind) {
                    subjects.push(behind);
                }
            }
            if subjects.len() > MOST {
                return Err(ServiceError::new(
                    Code::Forbidden,
                    format!("more than {MOST} made or rotated the key of `{subject}` and the keys behind it"),
                ));
            }
        }
        Ok(Person { subjects })
    }
}

#[cfg(test)]
mod tests {
    use super::Person;

    #[test]
    fn a_key_is_who_made_it() {
        let person = |subjects: &[&str]| Person {
            subjects: subjects.iter().map(|s| (*s).to_owned()).collect(),
        };
        let ann = person(&["ann"]);
        let bob = person(&["bob"]);
        let key = person(&["k (key 1)", "ann"]);
        let key_of_key = person(&["l (key 2)", "m (key 3)", "ann"]);
        let first = person(&["root (key 4)", "operator"]);
        let second = person(&["bob (key 5)", "operator"]);
        let operator = person(&["operator"]);
        let made_by_first = person(&["x (key 6)", "root (key 4)", "operator"]);
        let rotated = person(&["r (key 7)", "operator", "ann", "k (key 1)"]);
        let alike = [
            (&ann, &ann),
            (&ann, &key),
            (&ann, &key_of_key),
            (&key, &key_of_key),
            (&first, &made_by_first),
            (&operator, &operator),
            (&operator, &first),
            (&rotated, &ann),
            (&rotated, &key_of_key),
        ];
        let apart = [
            (&ann, &bob),
            (&bob, &key),
            (&first, &second),
            (&second, &made_by_first),
            (&ann, &first),
            (&rotated, &bob),
            (&rotated, &first),
        ];
        for (one, other) in alike {
            assert!(one.is(other) && other.is(one), "{one:?} {other:?}");
        }
        for (one, other) in apart {
            assert!(!one.is(other) && !other.is(one), "{one:?} {other:?}");
        }
    }
}
