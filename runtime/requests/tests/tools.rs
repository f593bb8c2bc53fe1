//! Renderings of tool definitions.

mod common;

use policy_requests::{Field, Piece, Place, read, tools};
use serde_json::{Value, json};
use std::ops::ControlFlow;

fn rendered(tool: &Value) -> String {
    let mut out = String::new();
    tools::render(tool, &mut out);
    out
}

#[test]
fn a_function_is_a_type() {
    let parameters = json!({
        "type": "object",
        "required": ["city"],
        "properties": {
            "city": {"type": "string", "description": "Where"},
            "days": {"type": "integer", "default": 3},
            "place": {"type": "object", "properties": {"x": {"type": "number"}}},
            "tags": {"type": "array", "items": {"type": "string"}},
            "unit": {"type": "string", "enum": ["celsius", "fahrenheit"]},
            "when": {"anyOf": [{"type": "string"}, {"type": "null"}]},
        }
    });
    let expected = "\
// Gets the weather
type get_weather = (_: {
// Where
city: string,
// default: 3
days?: number,
place?: {
x?: number,
},
tags?: string[],
unit?: \"celsius\" | \"fahrenheit\",
when?: string | null,
}) => any;

";
    let flat =
        |schema: &str| json!({"name": "get_weather", "description": "Gets the weather", schema: parameters});
    for tool in [
        json!({"type": "function", "function": flat("parameters")}),
        flat("parameters"),
        flat("input_schema"),
        json!({"functionDeclarations": [flat("parameters")]}),
        flat("parametersJsonSchema"),
        json!({"toolSpec": {"name": "get_weather", "description": "Gets the weather", "inputSchema": {"json": parameters}}}),
    ] {
        assert_eq!(rendered(&tool), expected, "{tool}");
    }
    assert_eq!(
        rendered(
            &json!({"name": "f", "description": "d", "parameter_definitions": {"x": {"type": "str", "description": "e", "required": true}}})
        ),
        "// d\ntype f = (_: {\n// e\nx: str,\n}) => any;\n\n"
    );
    assert_eq!(
        rendered(&json!({"type": "web_search", "user_location": {"city": "Rome"}})),
        "// type: web_search\n// user_location: city: Rome\n"
    );
    assert_eq!(rendered(&json!("a tool")), "// a tool\n");
    assert_eq!(
        rendered(
            &json!({"type": "custom", "custom": {"name": "sql", "format": {"type": "grammar", "grammar": {"definition": "a: b"}}}})
        ),
        "// format: grammar: definition: a: b, type: grammar\ntype sql = () => any;\n\n"
    );
}

/// No text of a definition is missing from its rendering, wherever somebody puts it.
#[test]
fn every_text_is_rendered() {
    let secret = "a long hidden text";
    let mut definitions = Vec::new();
    let keys = [
        "type",
        "name",
        "description",
        "parameters",
        "input_schema",
        "inputSchema",
        "json",
        "strict",
        "required",
        "enum",
        "const",
        "default",
        "items",
        "properties",
        "anyOf",
        "oneOf",
        "allOf",
        "$ref",
        "$defs",
        "title",
        "format",
        "additionalProperties",
        "examples",
        "function",
        "custom",
        "toolSpec",
        "functionDeclarations",
        "tools",
        "minimum",
        "unheard",
        "parameter_definitions",
        "cache_control",
        "nullable",
    ];
    for (i, a) in keys.into_iter().enumerate() {
        for (j, b) in keys.into_iter().enumerate() {
            for (k, c) in keys.into_iter().enumerate() {
                let leaf = match (i + j + k) % 4 {
                    0 => json!(secret),
                    1 => json!([secret]),
                    2 => json!({"x": secret}),
                    _ => json!({secret: 1}),
                };
                for name in [None, Some("n")] {
                    let mut tool = json!({a: {b: {c: leaf}}});
                    if let (Some(name), Some(tool)) = (name, tool.as_object_mut()) {
                        tool.entry("name").or_insert(json!(name));
                    }
                    definitions.push(tool);
                    let mut schema = json!({"type": "object", "enum": ["v"], "properties": {"p": {"type": "array", "items": {"type": "string"}}}});
                    schema[a] = json!({b: leaf});
                    schema["properties"]["p"][b] = json!({c: leaf});
                    definitions
                        .push(json!({"type": "function", "function": {"name": "f", "parameters": schema}}));
                }
            }
        }
    }
    for tool in definitions {
        let llm = json!({"tools": [tool]});
        let out = rendered(&tool);
        let mut sink = |piece: Piece<'_, &Value>, place: Place| {
            assert_eq!(place.field, Field::Tools);
            if let Piece::Text(text) = piece {
                assert!(out.contains(text), "{text:?} is not in {out:?} of {tool}");
            }
            ControlFlow::Continue(())
        };
        let _never = read(&llm, &mut sink);
    }
}

/// Whatever stands in a definition is in its rendering: words and numbers too, in places that hold none in an API.
#[test]
fn everything_is_rendered() {
    fn leaves<'v>(value: &'v Value, found: &mut Vec<&'v Value>) {
        match value {
            Value::Array(items) => items.iter().for_each(|item| leaves(item, found)),
            Value::Object(members) => members.values().for_each(|member| leaves(member, found)),
            _ => found.push(value),
        }
    }
    let keys = [
        "type",
        "name",
        "description",
        "parameters",
        "input_schema",
        "inputSchema",
        "json",
        "strict",
        "required",
        "enum",
        "const",
        "items",
        "properties",
        "anyOf",
        "oneOf",
        "$ref",
        "$defs",
        "format",
        "additionalProperties",
        "minimum",
        "maxLength",
        "nullable",
        "propertyOrdering",
        "parameter_definitions",
        "function",
        "unheard",
    ];
    let many: Vec<String> = (0..70).map(|n| format!("hidden_{n}")).collect();
    let hidden = [
        json!("hidden_word"),
        json!(4_111_111),
        json!(["hidden_a", "hidden_b"]),
        json!(["p", "hidden_a"]),
        json!({"x": "hidden_word", "type": "hidden_type"}),
        json!(many),
    ];
    let base = [
        json!({}),
        json!({"properties": {"p": {}}}),
        json!({"enum": ["v"]}),
        json!({"anyOf": [{"type": "string"}]}),
        json!({"type": "array"}),
        json!({"type": ["array", "null"]}),
        json!({"json": {}}),
        json!({"json": {}, "properties": {"p": {}}}),
    ];
    for value in &hidden {
        for (i, a) in keys.into_iter().enumerate() {
            for base in &base {
                for b in keys.into_iter().skip(i % 3).step_by(3) {
                    let mut schema = base.clone();
                    schema[a] = value.clone();
                    let mut below = base.clone();
                    below[b] = schema.clone();
                    for tool in [
                        json!({"type": "function", "function": {"name": "f", "parameters": below}}),
                        json!({"name": "f", "input_schema": schema, "inputSchema": below}),
                        json!({"name": "f", "parameter_definitions": below, a: value}),
                        json!({"toolSpec": {"name": "f", "inputSchema": {"json": schema, b: value}}, a: value}),
                    ] {
                        let out = rendered(&tool).to_lowercase();
                        let mut said = Vec::new();
                        leaves(&tool, &mut said);
                        for leaf in said {
                            let text = leaf.as_str().map_or_else(|| leaf.to_string(), str::to_owned);
                            if text.starts_with("hidden") || leaf.is_number() {
                                assert!(out.contains(&text), "{text} is not in {out} of {tool}");
                            }
                        }
                    }
                }
            }
        }
    }
    // Each name once, however often a list says it.
    let twice = json!({"name": "f", "parameters": {"required": ["p", "p"], "properties": {"p": {}}}});
    assert!(rendered(&twice).contains("required: p, p"));
    let known = json!({"name": "f", "parameters": {"type": "object", "required": ["p"], "additionalProperties": false, "properties": {"p": {}}}, "strict": true});
    assert_eq!(rendered(&known), "type f = (_: {\np: any,\n}) => any;\n\n");
}

#[test]
fn depth_is_no_matter() {
    let mut schema = json!({"type": "string", "description": "the deepest"});
    for _ in 0..30 {
        schema = json!({"type": "object", "properties": {"p": {"type": "array", "items": schema}}});
    }
    assert!(rendered(&json!({"name": "f", "parameters": schema})).contains("the deepest"));
}
