//! The pages: links, headings, code.

use super::*;

#[test]
fn hostile_texts_stay_texts() {
    let hostile = "<script>alert(1)</script> \"><img src=x onerror=alert(1)> [x](javascript:alert(1)) ![y](http://h/i.png) `<b>`";
    let api = json!({
        "info": {"title": hostile, "version": hostile, "description": hostile},
        "tags": [{"name": hostile, "description": hostile}],
        "paths": {hostile: {"post": {
            "tags": [hostile], "operationId": hostile, "summary": hostile, "description": hostile,
            "parameters": [{"name": hostile, "in": hostile, "description": hostile, "schema": {"type": hostile, "enum": [hostile], "default": hostile}}],
            "requestBody": {"content": {hostile: {"schema": {"$ref": format!("{SCHEMAS}{hostile}")}}, "application/json": {"example": {hostile: hostile}}}},
            "responses": {hostile: {"description": hostile, "content": {hostile: {"schema": {"type": hostile}}}}},
        }}},
        "components": {
            "schemas": {hostile: {"description": hostile, "properties": {hostile: {"description": hostile, "type": hostile}}}},
            "securitySchemes": {hostile: {"type": "apiKey", "name": hostile, "description": hostile}},
        },
    });
    let page = render(&api);
    for bad in ["<script", "<img", "href=\"javascript", "<b>", "src="] {
        let found = page.find(bad);
        // In what is escaped, these stand after `&lt;` or as attributes of nothing.
        let harmless = bad == "src=" && !page.contains("<img");
        assert!(
            found.is_none() || harmless,
            "{bad}: {}",
            &page[found.unwrap_or(0)..][..80]
        );
    }
    assert!(page.contains("&lt;script&gt;"));
}

#[test]
fn markdown_is_rendered() {
    assert_eq!(
        markdown("Needs `a`.\n\n- *one*\n- [two](https://example.org)"),
        "<p>Needs <code>a</code>.</p>\n<ul>\n<li><em>one</em></li>\n<li><a href=\"https://example.org\">two</a></li>\n</ul>\n"
    );
    assert_eq!(markdown("[a](b.md)"), "<p>a</p>\n");
}
