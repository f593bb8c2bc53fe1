//! Who counts as whom where one person approves what another one wrote.
//!
//! A key stands for whoever made it, also through other keys. So two subjects are one person when one of them made the
//! other, or somebody made both. Keys that were made on the command line have nobody behind them: each stands for itself.

use super::Service;
use crate::auth::api_key;
use crate::error::{Code, Result, ServiceError};
use crate::identity::{ANONYMOUS, OPERATOR};

/// Keys behind one another at the most. Nobody needs more, and each is a question to the store.
const DEEPEST: usize = 16;

/// A subject, and the ones that stand behind it: who made its key, who made theirs, and so on.
#[derive(Debug)]
pub(super) struct Person {
    subjects: Vec<String>,
}

impl Person {
    fn stands_for(&self, subject: &str) -> bool {
        let nobody = subject == OPERATOR || subject == ANONYMOUS;
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
    /// [`Code::Forbidden`] for a key that was made by too many others, store errors.
    pub(super) async fn person(&self, subject: &str) -> Result<Person> {
        let mut subjects = vec![subject.to_owned()];
        let mut last = subject.to_owned();
        while let Some(id) = api_key::id_in_subject(&last) {
            let Some(key) = self.store.key(id).await? else {
                break;
            };
            if subjects.len() > DEEPEST {
                return Err(ServiceError::new(
                    Code::Forbidden,
                    format!(
                        "`{subject}` was made by a key that was made by a key, more than {DEEPEST} times"
                    ),
                ));
            }
            subjects.push(key.author.clone());
            last = key.author;
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
        let alike = [
            (&ann, &ann),
            (&ann, &key),
            (&ann, &key_of_key),
            (&key, &key_of_key),
            (&first, &made_by_first),
            (&operator, &operator),
            (&operator, &first),
        ];
        let apart = [
            (&ann, &bob),
            (&bob, &key),
            (&first, &second),
            (&second, &made_by_first),
            (&ann, &first),
        ];
        for (one, other) in alike {
            assert!(one.is(other) && other.is(one), "{one:?} {other:?}");
        }
        for (one, other) in apart {
            assert!(!one.is(other) && !other.is(one), "{one:?} {other:?}");
        }
    }
}
