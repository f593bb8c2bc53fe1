//! What a request says to a model, for whoever asks somebody else about it before it is decided: a scanner, say.
//!
//! It is the text of `llm.text`, read by the same reader, of a request that was read as strictly as an evaluation reads it: a key
//! that stands twice anywhere in `llm` is refused, because the model might read the other one.

use crate::derive::{DeriveHost, DeriveMode, DeriveScratch};
use crate::error::{EvaluateError, LoadError};
use crate::request::Read;
use policy_bytecode::FieldIdx;
use policy_bytecode::context::{Holds, Known};
use policy_bytecode::module::{Field, Limits, Module, PathSegment};
use policy_bytecode::verify::{HostLimits, verify};
use policy_vm::{LoadedModule, Scratch, Value};

/// What a request says to a model.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Said {
    /// Every text in reading order, one a line, as in `llm.text`; `None` where that has more bytes than were asked for.
    pub text: Option<String>,
    /// Whether that is all that the model reads: there is no image, file or sound, nothing encrypted, no token ids, and nothing of
    /// a kind that is not known.
    pub is_all: bool,
}

/// Reads what requests say to a model.
#[derive(Debug)]
pub struct TextReader {
    module: LoadedModule,
}

impl TextReader {
    /// One reader serves all threads.
    ///
    /// # Errors
    ///
    /// None that a program could meet: the module is the same every time.
    pub fn new() -> Result<Self, LoadError> {
        let llm = PathSegment::Key {
            name: "llm".to_owned(),
            aliases: Vec::new(),
        };
        let module = Module {
            limits: Limits::default(),
            fields: vec![Field {
                path: vec![llm],
                derived: None,
            }],
            known: vec![Known {
                path: vec!["llm".to_owned()],
                holds: Holds::Object,
                answered: false,
            }],
            consts: Vec::new(),
            patterns: Vec::new(),
            predicates: Vec::new(),
            bodies: Vec::new(),
            scans: Vec::new(),
            memo_cells: 0,
            functions: Vec::new(),
            rules: Vec::new(),
            policies: Vec::new(),
        };
        let module = LoadedModule::new(&verify(module, &HostLimits::default())?)?;
        Ok(Self { module })
    }

    /// What a context says. Linear in its length.
    ///
    /// # Errors
    ///
    /// [`EvaluateError::Context`] as an evaluation that reads `llm`.
    pub fn read(&self, context: &[u8], most_bytes: usize) -> Result<Said, EvaluateError> {
        let (mut scratch, mut derive) = (Scratch::default(), DeriveScratch::default());
        let mut host = DeriveHost::new(DeriveMode::Never, None, &mut derive);
        let mut eval = self
            .module
            .begin(&mut scratch, &mut host, context)
            .map_err(EvaluateError::Context)?;
        let bump = eval.bump();
        let llm = FieldIdx::from_index(0).map_or(Value::Undefined, |field| eval.field(field));
        let read = Read::new(llm, bump);
        let mut text = String::new();
        let whole = read.join_up_to(bump, most_bytes, &mut text);
        Ok(Said {
            text: whole.then_some(text),
            is_all: read.unread().next().is_none() && read.token_ids == 0,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::{Said, TextReader};

    fn read(context: &str, most: usize) -> Said {
        TextReader::new().unwrap().read(context.as_bytes(), most).unwrap()
    }

    fn said(text: &str, is_all: bool) -> Said {
        Said {
            text: Some(text.to_owned()),
            is_all,
        }
    }

    #[test]
    fn every_text_is_read_and_what_is_none_is_told() {
        let chat = r#"{"llm": {"system": "be kind", "messages": [
            {"role": "user", "content": "one"},
            {"role": "user", "content": [{"type": "text", "text": "two"}]}]}, "user": {"id": "u"}}"#;
        assert_eq!(read(chat, 100), said("be kind\none\ntwo", true));
        assert_eq!(read(chat, 15), said("be kind\none\ntwo", true));
        assert_eq!(read(chat, 14).text, None);
        assert_eq!(read(r#"{"llm": {"prompt": [1, 2, 3]}}"#, 100), said("", false));
        let image = r#"{"llm": {"messages": [{"role": "user", "content": [{"type": "text", "text": "what is this?"},
            {"type": "image_url", "image_url": {"url": "https://example.org/a.png"}}]}]}}"#;
        assert_eq!(read(image, 100), said("what is this?", false));
        for nothing in ["{}", r#"{"llm": null}"#, r#"{"llm": {"model": "gpt-4o"}}"#] {
            assert_eq!(read(nothing, 100), said("", true), "{nothing}");
        }
    }

    #[test]
    fn a_request_that_means_two_things_is_refused() {
        let reader = TextReader::new().unwrap();
        for context in [
            r#"{"llm": {"prompt": "a", "prompt": "b"}}"#,
            r#"{"llm": {"messages": [{"role": "user", "content": "a", "content": "b"}]}}"#,
            r#"{"llm": {"prompt": "a"}, "llm": {"prompt": "b"}}"#,
            r#"{"llm": "a"}"#,
            "[]",
            r#"{"llm": {"prompt": "a"}"#,
        ] {
            assert!(reader.read(context.as_bytes(), 100).is_err(), "{context}");
        }
    }
}
