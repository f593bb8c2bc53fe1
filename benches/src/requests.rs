//! Bodies of every provider's shape in any size, for the reader of requests, and a tree to read them from.

use policy_requests::{Node, Number, View};
use serde_json::{Value, json};

/// A JSON value as the VM holds it: members in order of their names, in one piece of memory.
#[derive(Debug)]
pub enum Tree {
    /// `null`.
    Null,
    /// A boolean.
    Bool(bool),
    /// A number.
    Number(f64),
    /// A string.
    Str(String),
    /// An array.
    Array(Vec<Tree>),
    /// An object.
    Object(Vec<(String, Tree)>),
}

impl From<&Value> for Tree {
    fn from(value: &Value) -> Self {
        match value {
            Value::Null => Self::Null,
            Value::Bool(truth) => Self::Bool(*truth),
            Value::Number(number) => Self::Number(number.as_f64().unwrap_or(0.0)),
            Value::String(text) => Self::Str(text.clone()),
            Value::Array(items) => Self::Array(items.iter().map(Self::from).collect()),
            Value::Object(members) => {
                let mut members: Vec<_> = members
                    .iter()
                    .map(|(name, value)| (name.clone(), Self::from(value)))
                    .collect();
                members.sort_by(|a, b| a.0.cmp(&b.0));
                Self::Object(members)
            }
        }
    }
}

/// Members of an object.
#[derive(Debug, Clone)]
pub struct Members<'a>(std::slice::Iter<'a, (String, Tree)>);

impl<'a> Iterator for Members<'a> {
    type Item = (&'a str, &'a Tree);

    fn next(&mut self) -> Option<Self::Item> {
        self.0.next().map(|(name, value)| (name.as_str(), value))
    }
}

impl<'a> Node<'a> for &'a Tree {
    type Items = std::slice::Iter<'a, Tree>;
    type Members = Members<'a>;

    fn view(self) -> View<'a, Self> {
        match self {
            Tree::Null => View::Null,
            Tree::Bool(truth) => View::Bool(*truth),
            Tree::Number(number) => View::Number(Number::Float(*number)),
            Tree::Str(text) => View::Str(text),
            Tree::Array(items) => View::Array(items.iter()),
            Tree::Object(members) => View::Object(Members(members.iter())),
        }
    }

    fn get(self, name: &str) -> Option<Self> {
        match self {
            Tree::Object(members) => members
                .binary_search_by(|(other, _)| other.as_str().cmp(name))
                .ok()
                .and_then(|at| members.get(at))
                .map(|(_, value)| value),
            _other => None,
        }
    }
}

/// One `llm` object of each shape, of about `bytes` bytes of JSON each, and its name.
#[must_use]
pub fn bodies(bytes: usize) -> Vec<(&'static str, Value)> {
    // What a turn of people and tools holds, in bytes.
    let text = |index: usize| {
        format!(
            "Turn {index}: please look at the order of last week, find out why it was late, tell the customer what \
             happened in two friendly sentences, and offer a voucher if it was our fault. "
        )
    };
    let fill = |turn: &dyn Fn(usize) -> Vec<Value>, around: &dyn Fn(Vec<Value>) -> Value| {
        let mut turns = Vec::new();
        let mut size = around(Vec::new()).to_string().len();
        for index in 0.. {
            let more = turn(index);
            size += more.iter().map(|turn| turn.to_string().len() + 1).sum::<usize>();
            if index > 0 && size > bytes {
                break;
            }
            turns.extend(more);
        }
        around(turns)
    };
    let chat = fill(
        &|index| {
            vec![
                json!({"role": "user", "content": text(index)}),
                json!({"role": "assistant", "content": [{"type": "text", "text": text(index)}]}),
            ]
        },
        &|turns| json!({"model": "gpt-4o", "temperature": 0.5, "messages": turns}),
    );
    let tools = fill(
        &|index| {
            vec![
                json!({"role": "assistant", "content": null, "tool_calls": [{"id": format!("call_{index}"), "type": "function", "function": {"name": "find_order", "arguments": format!("{{\"order\": {index}, \"note\": \"{}\"}}", text(index))}}]}),
                json!({"role": "tool", "tool_call_id": format!("call_{index}"), "content": text(index)}),
            ]
        },
        &|turns| json!({"model": "gpt-4o", "messages": turns, "tools": [{"type": "function", "function": {"name": "find_order", "description": "Finds it", "parameters": {"type": "object", "properties": {"order": {"type": "integer"}}}}}]}),
    );
    let responses = fill(
        &|index| {
            vec![
                json!({"type": "message", "role": "user", "content": [{"type": "input_text", "text": text(index)}]}),
                json!({"type": "function_call", "id": format!("fc_{index}"), "call_id": format!("call_{index}"), "name": "find_order", "arguments": "{}", "status": "completed"}),
                json!({"type": "function_call_output", "call_id": format!("call_{index}"), "output": text(index)}),
            ]
        },
        &|turns| json!({"model": "gpt-5", "instructions": "Be brief.", "input": turns}),
    );
    let anthropic = fill(
        &|index| {
            vec![
                json!({"role": "user", "content": [{"type": "text", "text": text(index)}]}),
                json!({"role": "assistant", "content": [{"type": "tool_use", "id": format!("toolu_{index}"), "name": "find_order", "input": {"order": index, "note": text(index)}}]}),
                json!({"role": "user", "content": [{"type": "tool_result", "tool_use_id": format!("toolu_{index}"), "content": text(index)}]}),
            ]
        },
        &|turns| json!({"model": "claude-sonnet-4-5", "system": "Be brief.", "messages": turns}),
    );
    let gemini = fill(
        &|index| {
            vec![
                json!({"role": "user", "parts": [{"text": text(index)}]}),
                json!({"role": "model", "parts": [{"functionCall": {"name": "find_order", "args": {"order": index}}}]}),
                json!({"role": "user", "parts": [{"functionResponse": {"name": "find_order", "response": {"result": text(index)}}}]}),
            ]
        },
        &|turns| json!({"model": "gemini-2.5-pro", "systemInstruction": {"parts": [{"text": "Be brief."}]}, "contents": turns}),
    );
    let prompt =
        json!({"model": "gpt-3.5-turbo-instruct", "prompt": text(0).repeat(bytes / text(0).len() + 1)});
    let embeddings = fill(
        &|index| vec![json!(text(index))],
        &|turns| json!({"model": "text-embedding-3-small", "input": turns}),
    );
    let ids = json!({"model": "text-embedding-3-small", "input": (0..bytes / 6).map(|n| n % 100_000).collect::<Vec<_>>()});
    let image = json!({"model": "gpt-4o", "messages": [{"role": "user", "content": [
        {"type": "text", "text": "What is it?"},
        {"type": "image_url", "image_url": {"url": format!("data:image/png;base64,{}", "iVBORw0KGgoAAAANSUhEUg".repeat(bytes / 22 + 1))}},
    ]}]});
    vec![
        ("prompt", prompt),
        ("chat", chat),
        ("chat with tools", tools),
        ("responses", responses),
        ("anthropic", anthropic),
        ("gemini", gemini),
        ("embeddings", embeddings),
        ("token ids", ids),
        ("image", image),
    ]
}
