//! regorus: Rego, in its interpreter and in its virtual machine.
//!
//! Policies with a fixed order are one rule with `else`, which stops at the first that fires; tenants are a set of
//! denials, because a chain of thousands of `else` is not what anybody writes. What people write for tenants is one rule
//! over data, and so that has rows of its own.

use crate::contender::{Contender, Decision, Engine, Unable, failed};
use crate::translations::{self, Language};
use policy_benches::workloads::Workload;
use regorus::languages::rego::compiler::Compiler;
use regorus::rvm::vm::RegoVM;
use regorus::{PolicyLengthConfig, Value};
use std::num::{NonZeroU32, NonZeroUsize};

/// Rules as rules, in the virtual machine.
pub(crate) const VM: Engine = Engine {
    name: "regorus, VM",
    package: Some("regorus"),
    load: |workload| {
        // Its registers do not suffice for a chain of a hundred.
        let set = || vm(rules(workload, Language::RegoSet)?);
        vm(rules(workload, Language::Rego)?).or_else(|refused| set().map_err(|_| refused))
    },
};

/// Rules as rules, interpreted.
pub(crate) const INTERPRETER: Engine = Engine {
    name: "regorus, interpreter",
    package: Some("regorus"),
    load: |workload| interpreter(rules(workload, Language::Rego)?),
};

/// Tenants as data, in the virtual machine.
pub(crate) const DATA_VM: Engine = Engine {
    name: "regorus, VM, rules as data",
    package: Some("regorus"),
    load: |workload| vm(data(workload)?),
};

/// Tenants as data, interpreted.
pub(crate) const DATA_INTERPRETER: Engine = Engine {
    name: "regorus, interpreter, rules as data",
    package: Some("regorus"),
    load: |workload| interpreter(data(workload)?),
};

/// What to load.
struct Source {
    rego: String,
    data: Option<String>,
    /// The rule that decides.
    entry: &'static str,
}

fn rules(workload: &Workload, form: Language) -> Result<Source, Unable> {
    let rego = translations::of(workload, form).ok_or(Unable::Inexpressible("not translated"))?;
    let entry = if rego.contains("deny contains") {
        "data.bench.deny"
    } else {
        "data.bench.decision"
    };
    Ok(Source {
        rego: rego.into_owned(),
        data: None,
        entry,
    })
}

fn data(workload: &Workload) -> Result<Source, Unable> {
    let tenants = translations::tenants_of(workload)
        .ok_or(Unable::Inexpressible("its rules differ in more than their data"))?;
    Ok(Source {
        rego: include_str!("../../translations/tenants/data.rego").to_owned(),
        data: Some(translations::tenants_as_data(&tenants)),
        entry: "data.bench.deny",
    })
}

fn engine(source: &Source) -> Result<regorus::Engine, Unable> {
    let mut engine = regorus::Engine::new();
    // Its limits for files are below tenants-10k.
    engine.set_policy_length_config(PolicyLengthConfig {
        max_col: NonZeroU32::MAX,
        max_file_bytes: NonZeroUsize::MAX,
        max_lines: NonZeroUsize::MAX,
    });
    engine
        .add_policy("policy.rego".to_owned(), source.rego.clone())
        .map_err(failed)?;
    if let Some(data) = &source.data {
        engine.add_data_json(data).map_err(failed)?;
    }
    Ok(engine)
}

fn interpreter(source: Source) -> Result<Box<dyn Contender>, Unable> {
    Ok(Box::new(Interpreter {
        engine: engine(&source)?,
        entry: source.entry,
    }))
}

fn vm(source: Source) -> Result<Box<dyn Contender>, Unable> {
    let mut engine = engine(&source)?;
    let policy = engine
        .compile_with_entrypoint(&source.entry.into())
        .map_err(failed)?;
    let program = Compiler::compile_from_policy(&policy, &[source.entry]).map_err(failed)?;
    let mut vm = RegoVM::new_with_policy(policy);
    vm.load_program(program);
    vm.set_data(engine.get_data()).map_err(failed)?;
    Ok(Box::new(Vm(vm)))
}

struct Interpreter {
    engine: regorus::Engine,
    entry: &'static str,
}

impl Contender for Interpreter {
    fn decide(&mut self, body: &[u8]) -> Result<Decision<'_>, String> {
        self.engine.set_input(input(body)?);
        let result = self
            .engine
            .eval_rule(self.entry.to_owned())
            .map_err(|e| e.to_string())?;
        decision(&result)
    }
}

struct Vm(RegoVM);

impl Contender for Vm {
    fn decide(&mut self, body: &[u8]) -> Result<Decision<'_>, String> {
        self.0.set_input(input(body)?);
        let result = self
            .0
            .execute_entry_point_by_index(0)
            .map_err(|e| e.to_string())?;
        decision(&result)
    }
}

fn input(body: &[u8]) -> Result<Value, String> {
    let text = std::str::from_utf8(body).map_err(|e| e.to_string())?;
    Value::from_json_str(text).map_err(|e| e.to_string())
}

/// The name that `else` found, or the first of the set of denials: names sort as the rules do.
fn decision(result: &Value) -> Result<Decision<'static>, String> {
    let name = match result {
        Value::Set(denials) => denials.first(),
        name => Some(name),
    };
    match name {
        None => Ok(Decision::Allow),
        Some(Value::String(name)) if &**name == "allow" => Ok(Decision::Allow),
        Some(Value::String(name)) => Ok(Decision::Deny(name.to_string().into())),
        Some(other) => Err(format!("no decision: {other}")),
    }
}
