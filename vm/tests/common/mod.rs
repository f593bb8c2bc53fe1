//! Modules from assembler text, and a host whose answers the test chooses.
#![allow(dead_code, reason = "each test binary uses its own part")]

use policy_bytecode::asm::assemble;
use policy_bytecode::intrinsics::IntrinsicId;
use policy_bytecode::module::Module;
use policy_bytecode::verify::{HostLimits, verify};
use policy_bytecode::{Number, Outcome};
use policy_vm::{Array, Bump, Comparison, Hit, Host, LoadedModule, Mode, Scope, Scratch, Sent, Value};

/// Assembles, verifies and loads a module.
pub(crate) fn load(text: &str) -> LoadedModule {
    load_module(module(text))
}

pub(crate) fn module(text: &str) -> Module {
    assemble(text).unwrap_or_else(|e| panic!("{e}\n{text}"))
}

pub(crate) fn load_module(module: Module) -> LoadedModule {
    let verified = verify(module, &HostLimits::default()).unwrap_or_else(|e| panic!("{e}"));
    LoadedModule::new(&verified).unwrap()
}

/// What the host says about every intrinsic.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) enum Answer {
    /// What the caller sent, and nothing where that is not there.
    #[default]
    Sent,
    Unknown,
    Number(f64),
    /// A list of texts.
    Texts(&'static [&'static str]),
    /// A state that no host should give.
    Pending,
}

#[derive(Debug, Default)]
pub(crate) struct TestHost {
    pub(crate) answer: Answer,
    /// What comparisons are answered with, without computing.
    pub(crate) early: Option<Outcome>,
    pub(crate) derived: usize,
    pub(crate) compared: usize,
}

impl Host for TestHost {
    fn call<'a>(&mut self, id: IntrinsicId, args: &[Value<'a>], bump: &'a Bump) -> Value<'a> {
        let row = id.row().unwrap();
        assert_eq!(args.len(), row.signature.params.len(), "{}", row.name);
        self.derived += 1;
        match self.answer {
            Answer::Sent => Value::Undefined,
            Answer::Unknown => Value::Unknown,
            Answer::Number(x) => Value::Number(Number::from_f64(x).unwrap()),
            Answer::Texts(texts) => Value::Array(Array::new_in(
                bump.alloc_slice_fill_iter(texts.iter().map(|text| Value::Str(text))),
                bump,
            )),
            Answer::Pending => Value::Pending,
        }
    }

    fn call_bounded<'a>(
        &mut self,
        _: IntrinsicId,
        _: &[Value<'a>],
        _: Comparison,
        _: Number,
        _: &'a Bump,
    ) -> Option<Outcome> {
        self.compared += 1;
        self.early
    }

    fn sent(&self) -> Sent {
        match self.answer {
            Answer::Sent => Sent::Preferred,
            Answer::Unknown | Answer::Number(_) | Answer::Texts(_) | Answer::Pending => Sent::Ignored,
        }
    }
}

/// Hits of one evaluation with fresh memory.
pub(crate) fn decide(module: &LoadedModule, body: &str, mode: Mode) -> Vec<Hit> {
    decide_with(module, body, mode, &mut TestHost::default())
}

pub(crate) fn decide_with(module: &LoadedModule, body: &str, mode: Mode, host: &mut TestHost) -> Vec<Hit> {
    let mut scratch = Scratch::new();
    let mut eval = module.begin(&mut scratch, host, body.as_bytes()).unwrap();
    eval.decide(Scope::All, mode).to_vec()
}

/// Outcome of the first rule.
pub(crate) fn outcome(module: &LoadedModule, body: &str) -> Outcome {
    outcome_of(&decide(module, body, Mode::All), 0)
}

pub(crate) fn outcome_of(hits: &[Hit], rule: u32) -> Outcome {
    match hits.iter().find(|h| h.rule.0 == rule) {
        None => Outcome::False,
        Some(hit) if hit.error => Outcome::Error,
        Some(_) => Outcome::True,
    }
}

/// A module whose only rule is a deny with `code` as its condition.
pub(crate) fn one_rule(sections: &str, frame: &str, code: &str) -> String {
    format!(
        "{sections}\n.function fn0 params=0 {frame}\n{code}\n.rules\n rule0: policy0 deny fn0 fires_on_error\n\
         .policies\n policy0: rule0+1\n"
    )
}
