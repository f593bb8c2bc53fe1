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

#[test]
fn depth_is_no_matter() {
    let mut schema = json!({"type": "string", "description": "the deepest"});
    for _ in 0..30 {
        schema = json!({"type": "object", "properties": {"p": {"type": "array", "items": schema}}});
    }
    assert!(rendered(&json!({"name": "f", "parameters": schema})).contains("the deepest"));
}
