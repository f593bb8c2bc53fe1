//! The parts of a response, read as serde_json reads them.

use super::{read, string, string_into, strings, strings_into};
use proptest::prelude::*;

proptest! {
    #[test]
    fn a_list_is_what_serde_json_reads(list in prop::collection::vec("[a-z/\\[\\], ä]{0,8}|\\PC{0,8}|[\\x00-\\x7f]{0,4}", 0..4)) {
        let part = serde_json::to_string(&list).unwrap();
        prop_assert_eq!(&strings(&part), &list);
        let mut other = vec!["before".to_owned(), String::new()];
        strings_into(&part, &mut other);
        prop_assert_eq!(other, list);
        let spaced = part.replace(',', " , ");
        prop_assert_eq!(strings(&spaced), read::<Vec<String>>(&spaced));
    }

    #[test]
    fn a_text_is_what_serde_json_reads(text in "\\PC{0,8}|[\\x00-\\x7f]{0,4}") {
        let part = serde_json::to_string(&text).unwrap();
        prop_assert_eq!(&string(&part), &text);
        let mut other = "before".to_owned();
        string_into(&part, &mut other);
        prop_assert_eq!(other, text);
    }
}
