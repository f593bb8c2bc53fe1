//! Tests of `push`.

use super::answers::offset;
use super::documents::split;

const ONE: &str = "metadata: { id: one, name: One }\nrules: []\n";
const TWO: &str = "metadata: { id: two, name: Two }\nrules: []\n";

#[test]
fn documents_of_a_file_keep_their_comments_and_places() {
    let text = format!("# about one\n{ONE}---\n# about two\n{TWO}...\n---\n# nothing\n");
    let parts = split(&text, &["one", "two"]).unwrap();
    assert_eq!(parts[0], (0, format!("# about one\n{ONE}")));
    assert_eq!(parts[1], (3, format!("---\n# about two\n{TWO}")));
}

#[test]
fn a_split_that_does_not_come_out_is_refused() {
    let text = format!("{ONE}---\n{TWO}");
    assert!(split(&text, &["one"]).is_none());
    assert!(split(&text, &["two", "one"]).is_none());
    assert!(split(&text, &["one", "two", "three"]).is_none());
}

#[test]
fn places_are_counted_in_characters() {
    let text = "a\nüb c\n";
    assert_eq!(offset(text, 2, 2), Some(4));
    assert_eq!(offset(text, 1, 1), Some(0));
    assert_eq!(offset(text, 0, 1), None);
}
