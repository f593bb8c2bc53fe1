//! The OpenAPI document as one HTML page: every operation with its parameters, a call by `curl` and its answers, every schema
//! with its fields, and links among them.
//!
//! **Invariants.** Every text of the document is escaped, or rendered from Markdown without its HTML. The page has no script, and
//! every link leads into the page, to this server, or to a web address that a description names.

use pulldown_cmark::{Event, Options, Parser, Tag, TagEnd, html};
use serde_json::{Map, Value, json};
use std::fmt::Write as _;

const STYLE: &str = include_str!("page.css");
/// Where schemas stand in the document.
const SCHEMAS: &str = "#/components/schemas/";
/// Methods in the order in which they are shown.
const METHODS: [&str; 5] = ["get", "post", "put", "patch", "delete"];
/// Schemas in schemas that an example goes into.
const DEEPEST: usize = 6;

/// The page for an OpenAPI document.
#[must_use]
pub fn render(api: &Value) -> String {
    let mut page = Page {
        api,
        out: String::with_capacity(256 << 10),
    };
    page.whole();
    page.out
}

struct Page<'a> {
    api: &'a Value,
    out: String,
}

/// One operation of the document.
struct Operation<'a> {
    method: &'static str,
    path: &'a str,
    value: &'a Value,
}

impl Operation<'_> {
    /// Its place in the page.
    fn anchor(&self) -> String {
        format!("op-{}", text(&self.value["operationId"]))
    }
}

/// The text of a value; nothing for what is no text.
fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

fn list(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

/// Text for HTML, also in attributes.
fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            c => out.push(c),
        }
    }
    out
}

/// Markdown as HTML. HTML in it is text, and links lead to the web or into the page only.
fn markdown(text: &str) -> String {
    let safe = |url: &str| {
        ["https://", "http://", "#"]
            .iter()
            .any(|start| url.starts_with(start))
    };
    // Whether the link that is open is left out.
    let mut dropped = false;
    let events = Parser::new_ext(text, Options::ENABLE_TABLES).filter_map(|event| match event {
        Event::Html(html) | Event::InlineHtml(html) => Some(Event::Text(html)),
        Event::Start(Tag::Link { ref dest_url, .. }) if !safe(dest_url) => {
            dropped = true;
            None
        }
        Event::End(TagEnd::Link) if dropped => {
            dropped = false;
            None
        }
        // An image would be loaded, which the page must not need.
        Event::Start(Tag::Image { .. } | Tag::HtmlBlock) | Event::End(TagEnd::Image | TagEnd::HtmlBlock) => {
            None
        }
        event => Some(event),
    });
    let mut out = String::new();
    html::push_html(&mut out, events);
    out
}

/// Texts as code, with commas between.
fn codes<'t>(texts: impl Iterator<Item = &'t str>) -> String {
    texts
        .map(|text| format!("<code>{}</code>", escape(text)))
        .collect::<Vec<_>>()
        .join(", ")
}

impl<'a> Page<'a> {
    fn push(&mut self, html: &str) {
        self.out.push_str(html);
        self.out.push('\n');
    }

    fn schemas(&self) -> Option<&'a Map<String, Value>> {
        self.api.pointer("/components/schemas")?.as_object()
    }

    fn operations(&self, tag: &str) -> Vec<Operation<'a>> {
        let mut found = Vec::new();
        let paths = self.api["paths"].as_object();
        for (path, methods) in paths.into_iter().flatten() {
            for method in METHODS {
                let value = &methods[method];
                if list(&value["tags"]).iter().any(|own| own == tag) {
                    found.push(Operation { method, path, value });
                }
            }
        }
        found
    }

    fn whole(&mut self) {
        let info = &self.api["info"];
        let title = escape(text(&info["title"]));
        self.push("<!doctype html>\n<html lang=\"en\">\n<meta charset=\"utf-8\">");
        self.push("<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">");
        self.push(&format!("<title>{title} API</title>\n<style>\n{STYLE}</style>"));
        let version = escape(text(&info["version"]));
        self.push(&format!(
            "<header>\n<h1>{title} API</h1>\n<p>Version {version}</p>"
        ));
        self.push(&markdown(text(&info["description"])));
        self.push("<p>The document for programs: <a href=\"/openapi.json\">openapi.json</a>.</p>\n</header>");
        self.contents();
        self.push("<main>");
        self.authentication();
        for tag in list(&self.api["tags"]) {
            let name = text(&tag["name"]);
            self.push(&format!(
                "<section id=\"tag-{}\">\n<h2>{}</h2>",
                escape(&name.replace(' ', "-")),
                escape(name)
            ));
            self.push(&markdown(text(&tag["description"])));
            for operation in self.operations(name) {
                self.operation(&operation);
            }
            self.push("</section>");
        }
        self.push("<section id=\"schemas\">\n<h2>Schemas</h2>");
        for (name, schema) in self.schemas().into_iter().flatten() {
            self.schema(name, schema);
        }
        self.push("</section>\n</main>\n</html>");
    }

    fn contents(&mut self) {
        self.push("<nav>\n<ul>\n<li><a href=\"#authentication\">Authentication</a>");
        for tag in list(&self.api["tags"]) {
            let name = text(&tag["name"]);
            let place = escape(&name.replace(' ', "-"));
            self.push(&format!(
                "<li><a href=\"#tag-{place}\">{}</a>\n<ul>",
                escape(name)
            ));
            for operation in self.operations(name) {
                self.push(&format!(
                    "<li><a href=\"#{}\"><span class=\"method {}\">{}</span> <code>{}</code></a>",
                    escape(&operation.anchor()),
                    operation.method,
                    operation.method.to_uppercase(),
                    escape(operation.path),
                ));
            }
            self.push("</ul>");
        }
        self.push("<li><a href=\"#schemas\">Schemas</a>\n</ul>\n</nav>");
    }

    fn authentication(&mut self) {
        self.push("<section id=\"authentication\">\n<h2>authentication</h2>");
        self.push(&markdown(
            "In the calls below, `$POLICYD` is the address of the server, such as `http://localhost:3000`, and `$TOKEN` a token. Who \
             has a key sends that instead.",
        ));
        let schemes = self.api.pointer("/components/securitySchemes");
        for (name, scheme) in schemes.and_then(Value::as_object).into_iter().flatten() {
            self.push(&format!("<h3>{}</h3>", escape(name)));
            self.push(&markdown(text(&scheme["description"])));
            self.push(&format!("<pre>{}</pre>", escape(&credential(scheme))));
        }
        self.push("</section>");
    }

    fn operation(&mut self, operation: &Operation<'a>) {
        let Operation { method, path, value } = operation;
        self.push(&format!(
            "<article id=\"{}\">\n<h3><span class=\"method {method}\">{}</span> <code>{}</code></h3>",
            escape(&operation.anchor()),
            method.to_uppercase(),
            escape(path)
        ));
        self.push(&markdown(text(&value["summary"])));
        self.push(&markdown(text(&value["description"])));
        let parameters = list(&value["parameters"]);
        if !parameters.is_empty() {
            self.push("<h4>Parameters</h4>\n<table>\n<tr><th>name<th>in<th>type<th>what");
            for parameter in parameters {
                let required = if parameter["required"] == true {
                    ", required"
                } else {
                    ""
                };
                self.push(&format!(
                    "<tr><td><code>{}</code><td>{}{required}<td>{}<td>{}",
                    escape(text(&parameter["name"])),
                    escape(text(&parameter["in"])),
                    kind(&parameter["schema"]),
                    markdown(text(&parameter["description"])),
                ));
            }
            self.push("</table>");
        }
        let content = value["requestBody"]["content"].as_object();
        if let Some(content) = content {
            self.push("<h4>Body</h4>\n<ul>");
            for (media, body) in content {
                self.push(&format!(
                    "<li><code>{}</code>: {}",
                    escape(media),
                    kind(&body["schema"])
                ));
            }
            self.push("</ul>");
        }
        self.push("<h4>Call</h4>");
        let call = self.call(operation);
        self.push(&format!("<pre class=\"call\">{}</pre>", escape(&call)));
        self.push("<h4>Answers</h4>\n<table>\n<tr><th>status<th>what<th>body");
        for (status, answer) in value["responses"].as_object().into_iter().flatten() {
            let bodies: Vec<String> = answer["content"]
                .as_object()
                .into_iter()
                .flatten()
                .map(|(media, body)| format!("<code>{}</code>: {}", escape(media), kind(&body["schema"])))
                .collect();
            self.push(&format!(
                "<tr><td>{}<td>{}<td>{}",
                escape(if status == "default" { "any other" } else { status }),
                markdown(text(&answer["description"])),
                bodies.join("<br>"),
            ));
        }
        self.push("</table>\n</article>");
    }

    /// A call by `curl`.
    fn call(&self, operation: &Operation<'_>) -> String {
        let mut call = String::from("curl");
        if operation.method != "get" {
            write!(call, " -X {}", operation.method.to_uppercase()).unwrap_or_default();
        }
        let steps = operation.path.split('/').map(|step| {
            let name = step.strip_prefix('{').and_then(|step| step.strip_suffix('}'));
            name.map_or(step.to_owned(), |name| format!("${}", name.to_uppercase()))
        });
        let path = steps.collect::<Vec<_>>().join("/");
        write!(
            call,
            " \"$POLICYD{path}\" \\\n  -H \"Authorization: Bearer $TOKEN\""
        )
        .unwrap_or_default();
        let Some(content) = operation.value["requestBody"]["content"].as_object() else {
            return call;
        };
        if let Some(body) = content.get("application/json") {
            let example = match body.get("example") {
                Some(example) => example.clone(),
                None => self.example(&body["schema"], DEEPEST),
            };
            // In single quotes, a shell takes everything as it stands but these.
            let example = example.to_string().replace('\'', "'\\''");
            write!(
                call,
                " \\\n  -H \"Content-Type: application/json\" \\\n  -d '{example}'"
            )
            .unwrap_or_default();
        } else if let Some(media) = content.keys().next() {
            write!(
                call,
                " \\\n  -H \"Content-Type: {media}\" \\\n  --data-binary @FILE"
            )
            .unwrap_or_default();
        }
        call
    }

    /// A value with what a schema requires.
    fn example(&self, schema: &Value, depth: usize) -> Value {
        if depth == 0 {
            return Value::Null;
        }
        if let Some(name) = text(&schema["$ref"]).strip_prefix(SCHEMAS) {
            let target = self.schemas().and_then(|schemas| schemas.get(name));
            return target.map_or(Value::Null, |target| self.example(target, depth - 1));
        }
        if let Some(first) = list(&schema["enum"]).first() {
            return first.clone();
        }
        match first_type(schema) {
            "object" => {
                let required = list(&schema["required"]).iter().filter_map(Value::as_str);
                let members = required.map(|name| {
                    let value = self.example(&schema["properties"][name], depth - 1);
                    (name.to_owned(), value)
                });
                Value::Object(members.collect())
            }
            "array" => json!([self.example(&schema["items"], depth - 1)]),
            "integer" | "number" => schema.get("minimum").cloned().unwrap_or(json!(1)),
            "boolean" => json!(true),
            "string" => json!("…"),
            _ => Value::Null,
        }
    }

    fn schema(&mut self, name: &str, schema: &Value) {
        let name = escape(name);
        self.push(&format!(
            "<article id=\"schema-{name}\">\n<h3><code>{name}</code></h3>"
        ));
        self.push(&markdown(text(&schema["description"])));
        match schema["properties"].as_object() {
            Some(properties) => {
                self.push("<table>\n<tr><th>field<th>type<th>what");
                for (field, value) in properties {
                    let required = list(&schema["required"]).iter().any(|own| own == field);
                    let note = if required { "" } else { "<br>optional" };
                    self.push(&format!(
                        "<tr><td><code>{}</code>{note}<td>{}<td>{}",
                        escape(field),
                        kind(value),
                        markdown(text(&value["description"])),
                    ));
                }
                self.push("</table>");
            }
            None => self.push(&format!("<p>{}</p>", kind(schema))),
        }
        self.push("</article>");
    }
}

/// How a credential of this kind is sent.
fn credential(scheme: &Value) -> String {
    match text(&scheme["type"]) {
        "apiKey" => format!(
            "curl \"$POLICYD/api/v1/policies\" -H \"{}: $KEY\"",
            text(&scheme["name"])
        ),
        _ => "curl \"$POLICYD/api/v1/policies\" -H \"Authorization: Bearer $TOKEN\"".to_owned(),
    }
}

/// The type that is not null.
fn first_type(schema: &Value) -> &str {
    match &schema["type"] {
        Value::String(one) => one,
        Value::Array(several) => several
            .iter()
            .filter_map(Value::as_str)
            .find(|name| *name != "null")
            .unwrap_or_default(),
        _ => "",
    }
}

/// The type of a schema in words, with links.
fn kind(schema: &Value) -> String {
    if let Some(name) = text(&schema["$ref"]).strip_prefix(SCHEMAS) {
        let name = escape(name);
        return format!("<a href=\"#schema-{name}\">{name}</a>");
    }
    for several in ["oneOf", "anyOf"] {
        let kinds: Vec<String> = list(&schema[several]).iter().map(kind).collect();
        if !kinds.is_empty() {
            return kinds.join(" or ");
        }
    }
    let mut words = match first_type(schema) {
        "array" => format!("list of {}", kind(&schema["items"])),
        "object" if schema["additionalProperties"].is_object() => {
            format!("object of {}", kind(&schema["additionalProperties"]))
        }
        "" => "anything".to_owned(),
        name => escape(name),
    };
    let values = list(&schema["enum"]);
    if !values.is_empty() {
        write!(words, ": {}", codes(values.iter().filter_map(Value::as_str))).unwrap_or_default();
    }
    for (key, says) in [
        ("minimum", "at least"),
        ("maximum", "at most"),
        ("maxItems", "entries at most"),
        ("default", "default"),
    ] {
        if let Some(value) = schema
            .get(key)
            .filter(|value| !(key == "minimum" && **value == json!(0)))
        {
            write!(words, ", {says} {}", escape(&value.to_string())).unwrap_or_default();
        }
    }
    if list(&schema["type"]).iter().any(|name| name == "null") {
        words.push_str(" or null");
    }
    words
}

#[cfg(test)]
mod tests;
