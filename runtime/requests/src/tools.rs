//! Tool definitions as a model sees them, for counting their tokens.
//!
//! OpenAI's models get functions as TypeScript types, other providers' in ways that they do not publish; one form counts
//! for all. Everything that a definition says stands in the rendering, so that its tokens cannot be evaded: what the form has
//! no place for is a comment. Left out are only words that the form itself stands for (`type: object`, a list of required
//! properties) and switches that are true or false.
//!
//! ```text
//! // Gets the weather
//! type get_weather = (_: {
//! // Where
//! city: string,
//! unit?: "celsius" | "fahrenheit",
//! }) => any;
//! ```

use crate::node::{Node, Number, View};
use crate::walk::READ_LEVELS;
use std::fmt::Write as _;

/// Names in a list of required properties that are looked through.
const LOOKED_THROUGH: usize = 64;
/// Levels of a schema that are written as types; what is below is a comment.
const TYPED_LEVELS: u32 = 32;

/// Appends the rendering of one definition, or of a group of them: OpenAI's (chat and Responses), Anthropic's, Gemini's,
/// Bedrock's and Cohere's shapes. Anything else is given as comments.
///
/// ```
/// # use policy_requests::tools;
/// # use serde_json::json;
/// # #[cfg(feature = "serde_json")] {
/// let tool = json!({"type": "function", "function": {"name": "now", "description": "Tells the time"}});
/// let mut out = String::new();
/// tools::render(&tool, &mut out);
/// assert_eq!(out, "// Tells the time\ntype now = () => any;\n\n");
/// # }
/// ```
pub fn render<'a, N: Node<'a>>(tool: N, out: &mut String) {
    definition(tool, 0, out);
}

fn definition<'a, N: Node<'a>>(tool: N, level: u32, out: &mut String) {
    let View::Object(members) = tool.view() else {
        comment(tool, out);
        return;
    };
    if level >= TYPED_LEVELS {
        comment(tool, out);
        return;
    }
    let inner = ["function", "toolSpec", "custom"]
        .into_iter()
        .find_map(|name| Some((name, tool.get(name).filter(|inner| is_object(*inner))?)));
    let function = inner.map_or(tool, |(_, inner)| inner);
    let name = function.get("name").and_then(Node::as_str);
    let Some(name) = name else {
        // A group, or a tool of the provider's.
        for (name, value) in members {
            match value.view() {
                View::Array(items) if is_list_of_tools(name) => {
                    items.for_each(|item| definition(item, level + 1, out));
                }
                _ => remark(name, value, out),
            }
        }
        return;
    };
    if let Some((inner, _)) = inner {
        for (name, value) in members.filter(|(name, _)| *name != inner) {
            if name != "type" || !is_kind_of_tool(value) {
                remark(name, value, out);
            }
        }
    }
    if let Some(text) = function.get("description").and_then(Node::as_str) {
        line("// ", text, out);
    }
    let mut schema = None;
    let mut others = false;
    if let View::Object(members) = function.view() {
        for (name, value) in members {
            match name {
                "name" => {}
                "type" if is_kind_of_tool(value) => {}
                "description" if value.as_str().is_some() => {}
                "strict" if is_switch(value) => {}
                "parameters"
                | "input_schema"
                | "inputSchema"
                | "parametersJsonSchema"
                | "parameter_definitions"
                    if schema.is_none() && is_object(value) =>
                {
                    schema = Some((name, value));
                }
                _ => match value.view() {
                    View::Array(_) if is_list_of_tools(name) => others = true,
                    _ => remark(name, value, out),
                },
            }
        }
    }
    let schema = schema.map(|(name, schema)| {
        let json = schema
            .get("json")
            .filter(|json| is_object(*json) && name != "parameter_definitions");
        if json.is_some()
            && let View::Object(members) = schema.view()
        {
            for (name, value) in members.filter(|(name, _)| *name != "json") {
                remark(name, value, out);
            }
        }
        (name, json.unwrap_or(schema))
    });
    if let Some((name, schema)) = schema
        && name != "parameter_definitions"
    {
        described(schema, out);
    }
    let _infallible = write!(out, "type {name} = (");
    match schema {
        Some(("parameter_definitions", properties)) => {
            out.push_str("_: ");
            object(None, Some(properties), level + 1, out);
        }
        Some((_, schema)) => {
            out.push_str("_: ");
            typed(schema, level + 1, out);
        }
        None => {}
    }
    out.push_str(") => any;\n\n");
    if others && let View::Object(members) = function.view() {
        for (name, value) in members {
            if let View::Array(items) = value.view()
                && is_list_of_tools(name)
            {
                items.for_each(|item| definition(item, level + 1, out));
            }
        }
    }
}

/// How many calls of tools stand in the messages, inputs and contents of `llm`: OpenAI's `tool_calls`, `function_call` and
/// items of that type, Anthropic's and Bedrock's `tool_use`, Gemini's `functionCall`. A model reads more of a call than its
/// name and arguments, and the pieces of a reading do not say where one begins. Linear in messages and their parts.
///
/// ```
/// # use policy_requests::tools;
/// # use serde_json::json;
/// # #[cfg(feature = "serde_json")] {
/// let llm = json!({"messages": [
///     {"role": "assistant", "tool_calls": [{"function": {"name": "now", "arguments": "{}"}}]},
///     {"role": "assistant", "content": [{"type": "tool_use", "name": "now", "input": {}}]},
/// ]});
/// assert_eq!(tools::calls(&llm), 2);
/// # }
/// ```
pub fn calls<'a, N: Node<'a>>(llm: N) -> u64 {
    let listed =
        ["messages", "input", "contents"]
            .iter()
            .filter_map(|name| match llm.get(name).map(Node::view) {
                Some(View::Array(items)) => Some(items),
                _ => None,
            });
    listed.flatten().map(calls_of_message).sum()
}

fn calls_of_message<'a, N: Node<'a>>(message: N) -> u64 {
    let list = |name: &str| match message.get(name).map(Node::view) {
        Some(View::Array(items)) => Some(items),
        _ => None,
    };
    let many = list("tool_calls").into_iter().flatten().map(|_| 1).sum::<u64>();
    let parts = ["content", "parts"].into_iter().filter_map(list).flatten();
    many + is_call(message) + parts.map(is_call).sum::<u64>()
}

fn is_call<'a, N: Node<'a>>(part: N) -> u64 {
    const TYPES: [&str; 6] = [
        "function_call",
        "custom_tool_call",
        "mcp_call",
        "tool_use",
        "server_tool_use",
        "mcp_tool_use",
    ];
    let typed = part
        .get("type")
        .and_then(Node::as_str)
        .is_some_and(|name| TYPES.contains(&name));
    let held = ["functionCall", "function_call", "toolUse"]
        .into_iter()
        .any(|name| part.get(name).is_some_and(is_object));
    u64::from(typed || held)
}

/// A schema as a type.
fn typed<'a, N: Node<'a>>(schema: N, level: u32, out: &mut String) {
    let View::Object(members) = schema.view() else {
        leaves(schema, level, out);
        return;
    };
    if level >= TYPED_LEVELS {
        leaves(schema, level, out);
        return;
    }
    if let Some(View::Array(values)) = schema.get("enum").map(Node::view) {
        for (index, value) in values.enumerate() {
            out.push_str(if index > 0 { " | " } else { "" });
            literal(value, level, out);
        }
        return;
    }
    if let Some(value) = schema.get("const") {
        literal(value, level, out);
        return;
    }
    for key in ["anyOf", "oneOf", "allOf", "any_of"] {
        if let Some(View::Array(choices)) = schema.get(key).map(Node::view) {
            for (index, choice) in choices.enumerate() {
                out.push_str(if index > 0 { " | " } else { "" });
                described(choice, out);
                typed(choice, level + 1, out);
            }
            return;
        }
    }
    let has_properties = members.clone().any(|(name, _)| name == "properties");
    match schema.get("type").map(Node::view) {
        _ if has_properties => object(Some(schema), schema.get("properties"), level, out),
        Some(View::Str(name)) if name.eq_ignore_ascii_case("object") => {
            object(Some(schema), None, level, out)
        }
        Some(View::Str(name)) if name.eq_ignore_ascii_case("array") => match schema.get("items") {
            Some(items) => {
                described(items, out);
                typed(items, level + 1, out);
                out.push_str("[]");
            }
            None => out.push_str("any[]"),
        },
        Some(View::Str(name)) if name.eq_ignore_ascii_case("integer") => out.push_str("number"),
        Some(View::Str(name)) => {
            name.chars().for_each(|c| out.push(c.to_ascii_lowercase()));
        }
        Some(View::Array(names)) => {
            for (index, name) in names.enumerate() {
                out.push_str(if index > 0 { " | " } else { "" });
                leaves(name, level, out);
            }
        }
        _ => match schema.get("$ref").and_then(Node::as_str) {
            Some(reference) => out.push_str(reference),
            None => out.push_str("any"),
        },
    }
}

fn object<'a, N: Node<'a>>(schema: Option<N>, properties: Option<N>, level: u32, out: &mut String) {
    out.push_str("{\n");
    if let Some(View::Object(members)) = properties.map(Node::view) {
        for (name, property) in members {
            described(property, out);
            let required = is_required(schema, name, property);
            let _infallible = write!(out, "{name}{}: ", if required { "" } else { "?" });
            typed(property, level + 1, out);
            out.push_str(",\n");
        }
    } else if let Some(other) = properties {
        comment(other, out);
    }
    out.push('}');
}

fn is_required<'a, N: Node<'a>>(schema: Option<N>, name: &str, property: N) -> bool {
    // Cohere says it in the property.
    if let Some(View::Bool(required)) = property.get("required").map(Node::view) {
        return required;
    }
    match schema.and_then(|schema| schema.get("required")).map(Node::view) {
        // Only so many are looked through for each property, so that time stays linear; the others count as optional, which
        // is a character more.
        Some(View::Array(names)) => names
            .take(LOOKED_THROUGH)
            .any(|required| required.as_str() == Some(name)),
        _ => false,
    }
}

/// What a schema says besides its type, as comments.
fn described<'a, N: Node<'a>>(schema: N, out: &mut String) {
    let View::Object(members) = schema.view() else {
        return;
    };
    if let Some(text) = schema.get("description").and_then(Node::as_str) {
        line("// ", text, out);
    }
    // Where an alternative decides the type, the others are said as well.
    let is_list = |key: &str| matches!(schema.get(key).map(Node::view), Some(View::Array(_)));
    let is_array = schema
        .get("type")
        .and_then(Node::as_str)
        .is_some_and(|name| name.eq_ignore_ascii_case("array"));
    let has_properties = schema.get("properties").is_some();
    let choice = ["anyOf", "oneOf", "allOf", "any_of"]
        .into_iter()
        .find(|key| is_list(key));
    let by_values = is_list("enum") || schema.get("const").is_some();
    for (name, value) in members {
        let said = match name {
            "description" => value.as_str().is_some(),
            "enum" => is_list("enum"),
            "const" => !is_list("enum"),
            "anyOf" | "oneOf" | "allOf" | "any_of" => choice == Some(name) && !by_values,
            "properties" => !by_values && choice.is_none(),
            "items" => !by_values && choice.is_none() && is_array && !has_properties,
            "type" => match value.view() {
                View::Str(name) => is_usual_type(name) || (!by_values && choice.is_none() && !has_properties),
                View::Array(_) => !by_values && choice.is_none() && !has_properties,
                _ => false,
            },
            "$ref" => {
                let typed = matches!(
                    schema.get("type").map(Node::view),
                    Some(View::Str(_) | View::Array(_))
                );
                value.as_str().is_some() && !by_values && choice.is_none() && !has_properties && !typed
            }
            "required" | "propertyOrdering" => {
                is_switch(value) || (!by_values && choice.is_none() && names_properties(value, schema))
            }
            "strict" | "additionalProperties" | "nullable" => is_switch(value),
            _ => false,
        };
        if !said {
            remark(name, value, out);
        }
    }
}

/// Whether a value says no more than yes, no or nothing.
fn is_switch<'a, N: Node<'a>>(value: N) -> bool {
    matches!(value.view(), View::Null | View::Bool(_))
}

/// Whether the type of a tool is one that its form shows.
fn is_kind_of_tool<'a, N: Node<'a>>(value: N) -> bool {
    matches!(value.as_str(), Some("function" | "custom"))
}

fn is_usual_type(name: &str) -> bool {
    [
        "object", "array", "string", "number", "integer", "boolean", "null",
    ]
    .iter()
    .any(|usual| name.eq_ignore_ascii_case(usual))
}

/// Whether a list holds names of the schema's properties, each once, so that the properties say all of it. Long lists are
/// not looked through, so that time stays linear.
fn names_properties<'a, N: Node<'a>>(list: N, schema: N) -> bool {
    let (View::Array(names), Some(View::Object(properties))) =
        (list.view(), schema.get("properties").map(Node::view))
    else {
        return false;
    };
    let is_new = |index: usize, name: &str| {
        !names
            .clone()
            .take(index)
            .any(|earlier| earlier.as_str() == Some(name))
    };
    names.clone().nth(LOOKED_THROUGH).is_none()
        && properties.clone().nth(LOOKED_THROUGH * 16).is_none()
        && names.clone().enumerate().all(|(index, name)| {
            name.as_str().is_some_and(|name| {
                properties.clone().any(|(property, _)| property == name) && is_new(index, name)
            })
        })
}

fn is_list_of_tools(name: &str) -> bool {
    matches!(
        name,
        "functionDeclarations" | "function_declarations" | "tools" | "functions"
    )
}

fn is_object<'a, N: Node<'a>>(node: N) -> bool {
    matches!(node.view(), View::Object(_))
}

/// A member that has no place in the form.
fn remark<'a, N: Node<'a>>(name: &str, value: N, out: &mut String) {
    let _infallible = write!(out, "// {name}: ");
    leaves(value, 0, out);
    out.push('\n');
}

fn comment<'a, N: Node<'a>>(value: N, out: &mut String) {
    out.push_str("// ");
    leaves(value, 0, out);
    out.push('\n');
}

fn line(start: &str, text: &str, out: &mut String) {
    out.push_str(start);
    out.push_str(text);
    out.push('\n');
}

fn literal<'a, N: Node<'a>>(value: N, level: u32, out: &mut String) {
    match value.as_str() {
        Some(text) => {
            out.push('"');
            out.push_str(text);
            out.push('"');
        }
        None => leaves(value, level, out),
    }
}

/// Everything in a value, in words.
fn leaves<'a, N: Node<'a>>(value: N, level: u32, out: &mut String) {
    match value.view() {
        View::Null => out.push_str("null"),
        View::Bool(truth) => out.push_str(if truth { "true" } else { "false" }),
        View::Number(number) => {
            let _infallible = match number {
                Number::Int(n) => write!(out, "{n}"),
                Number::UInt(n) => write!(out, "{n}"),
                Number::Float(x) => write!(out, "{x}"),
                Number::Text(text) => write!(out, "{text}"),
            };
        }
        View::Str(text) => out.push_str(text),
        View::Array(_) | View::Object(_) if level >= READ_LEVELS => {}
        View::Array(items) => {
            for (index, item) in items.enumerate() {
                out.push_str(if index > 0 { ", " } else { "" });
                leaves(item, level + 1, out);
            }
        }
        View::Object(members) => {
            for (index, (name, value)) in members.enumerate() {
                out.push_str(if index > 0 { ", " } else { "" });
                let _infallible = write!(out, "{name}: ");
                leaves(value, level + 1, out);
            }
        }
    }
}
