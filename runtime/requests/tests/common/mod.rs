//! What the tests share: pieces as lines.

#![allow(dead_code, reason = "not every test needs all of it")]

use policy_requests::{Field, ImageSource, Number, Piece, Place, Role, read};
use serde_json::Value;
use std::ops::ControlFlow;

/// One line for each piece: field, turn, role, what it is.
pub(crate) fn lines(llm: &Value) -> Vec<String> {
    let mut lines = Vec::new();
    let mut sink = |piece: Piece<'_, &Value>, place: Place| {
        lines.push(format!("{} {}", at(place), show(&piece)));
        ControlFlow::Continue(())
    };
    let _never = read(llm, &mut sink);
    lines
}

fn at(place: Place) -> String {
    let field = match place.field {
        Field::System => "system",
        Field::Instructions => "instructions",
        Field::Prompt => "prompt",
        Field::Messages => "messages",
        Field::Input => "input",
        Field::Contents => "contents",
        Field::Message => "message",
        Field::Tools => "tools",
        Field::Other => "other",
    };
    let role = match place.role {
        Role::User => "user",
        Role::Assistant => "assistant",
        Role::System => "system",
        Role::Tool => "tool",
        Role::Unknown => "-",
    };
    format!("{field}.{} {role}", place.turn)
}

fn show(piece: &Piece<'_, &Value>) -> String {
    match piece {
        Piece::Message { named } => format!("message{}", if *named { " named" } else { "" }),
        Piece::Role(role) => format!("role {role}"),
        Piece::Name(name) => format!("name {name}"),
        Piece::Text(text) => format!("{text:?}"),
        Piece::Number(Number::Int(n)) => format!("number {n}"),
        Piece::Number(Number::UInt(n)) => format!("number {n}"),
        Piece::Number(Number::Float(x)) => format!("number {x}"),
        Piece::Number(Number::Text(text)) => format!("number {text}"),
        Piece::Bool(truth) => format!("bool {truth}"),
        Piece::TokenIds(n) => format!("ids {n}"),
        Piece::Image(image) => {
            let source = match image.source {
                ImageSource::Base64(data) => format!("base64 {data}"),
                ImageSource::Url(url) => format!("url {url}"),
                ImageSource::Stored => "stored".to_owned(),
            };
            format!(
                "image {source} {:?} {:?}",
                image.media_type.unwrap_or(""),
                image.detail.unwrap_or("")
            )
        }
        Piece::Tool(_) => "tool".to_owned(),
        Piece::Unread(kind) => format!("unread {}", kind.name()),
    }
}

/// The texts, and nothing of where they stand.
pub(crate) fn texts(llm: &Value) -> Vec<String> {
    let mut texts = Vec::new();
    let mut sink = |piece: Piece<'_, &Value>, _place: Place| {
        if let Piece::Text(text) = piece {
            texts.push(text.to_owned());
        }
        ControlFlow::Continue(())
    };
    let _never = read(llm, &mut sink);
    texts
}

/// The kinds of content that cannot be read, images among them.
pub(crate) fn unread(llm: &Value) -> Vec<&'static str> {
    let mut kinds = Vec::new();
    let mut sink = |piece: Piece<'_, &Value>, _place: Place| {
        match piece {
            Piece::Unread(kind) => kinds.push(kind.name()),
            Piece::Image(_) => kinds.push("image"),
            _ => {}
        }
        ControlFlow::Continue(())
    };
    let _never = read(llm, &mut sink);
    kinds
}

/// The texts and the numbers as JSON writes them.
pub(crate) fn texts_and_numbers(llm: &Value) -> Vec<String> {
    let mut texts = Vec::new();
    let mut sink = |piece: Piece<'_, &Value>, _place: Place| {
        match piece {
            Piece::Text(text) => texts.push(text.to_owned()),
            Piece::Number(Number::Int(n)) => texts.push(n.to_string()),
            Piece::Number(Number::UInt(n)) => texts.push(n.to_string()),
            Piece::Number(Number::Float(x)) => texts.push(Value::from(x).to_string()),
            _ => {}
        }
        ControlFlow::Continue(())
    };
    let _never = read(llm, &mut sink);
    texts
}

/// One body of each shape.
pub(crate) fn bodies() -> Vec<Value> {
    use serde_json::json;
    vec![
        json!({"model": "m", "prompt": "write a poem"}),
        json!({"model": "m", "prompt": ["a", "b"], "suffix": "c"}),
        json!({"model": "m", "prompt": [[1, 2, 3], [4]]}),
        json!({"model": "gpt-4o", "messages": [
            {"role": "system", "content": "Be brief."},
            {"role": "user", "name": "bob", "content": [{"type": "text", "text": "look"}, {"type": "image_url", "image_url": {"url": "data:image/png;base64,iVBORw0=", "detail": "low"}}]},
            {"role": "assistant", "content": null, "tool_calls": [{"id": "call_1", "type": "function", "function": {"name": "pay", "arguments": "{}"}}]},
            {"role": "tool", "tool_call_id": "call_1", "content": "paid"},
        ], "tools": [{"type": "function", "function": {"name": "pay", "description": "Pays", "parameters": {"type": "object", "properties": {"n": {"type": "number", "default": 3, "description": "How much"}}, "required": ["n"]}}}]}),
        json!({"model": "gpt-5", "instructions": "Be brief.", "input": [
            {"role": "user", "content": [{"type": "input_text", "text": "a"}, {"type": "input_file", "file_id": "file-1"}]},
            {"type": "function_call", "call_id": "c", "name": "pay", "arguments": "{}"},
            {"type": "function_call_output", "call_id": "c", "output": {"n": 5, "ok": true}},
            {"type": "reasoning", "id": "rs", "summary": [], "encrypted_content": "QUJD"},
        ]}),
        json!({"model": "text-embedding-3-small", "input": ["a", "b"]}),
        json!({"model": "claude-sonnet-4-5", "system": [{"type": "text", "text": "Be brief."}], "messages": [
            {"role": "user", "content": [{"type": "document", "title": "T", "source": {"type": "base64", "media_type": "application/pdf", "data": "JVBERi0="}}, {"type": "text", "text": "a"}]},
            {"role": "assistant", "content": [{"type": "tool_use", "id": "t", "name": "pay", "input": {"to": "bob", "n": 3, "a b": [1.5]}}]},
            {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "t", "content": [{"type": "text", "text": "ok"}]}]},
        ]}),
        json!({"model": "gemini-2.5-pro", "systemInstruction": {"parts": [{"text": "Be brief."}]}, "contents": [
            {"role": "user", "parts": [{"text": "a"}, {"inlineData": {"mimeType": "audio/mp3", "data": "SUQz"}}]},
            {"role": "model", "parts": [{"functionCall": {"name": "pay", "args": {"n": 4}}}]},
            {"role": "user", "parts": [{"functionResponse": {"name": "pay", "response": {"result": "ok"}}}]},
        ]}),
        json!({"modelId": "m", "system": [{"text": "s"}], "messages": [{"role": "user", "content": [{"text": "a"}, {"toolResult": {"toolUseId": "t", "content": [{"json": {"n": 1}}]}}]}]}),
        json!({"model": "command-r", "message": "a", "preamble": "p", "chat_history": [{"role": "USER", "message": "b"}], "documents": [{"id": "d", "snippet": "s"}]}),
        json!({"inputs": "a", "parameters": {"max_new_tokens": 3}}),
    ]
}

/// Whether reading gives no number.
pub(crate) fn no_numbers(llm: &Value) -> bool {
    let mut sink = |piece: Piece<'_, &Value>, _place: Place| match piece {
        Piece::Number(_) => ControlFlow::Break(()),
        _ => ControlFlow::Continue(()),
    };
    read(llm, &mut sink).is_continue()
}
