//! What tools gave, and documents: the members that mean there what their names say.

/// The members that a part of this `type` has in what a tool gave: what else stands there is data. `None` where the part
/// is no content, but a shape of an API's own tools.
pub(crate) fn of_result(type_name: Option<&str>) -> Option<&'static [&'static str]> {
    Some(match type_name {
        Some("text" | "input_text" | "output_text") => {
            &["type", "text", "annotations", "citations", "cache_control"]
        }
        Some("image" | "image_url" | "input_image" | "computer_screenshot") => &[
            "type",
            "image",
            "image_url",
            "imageUrl",
            "source",
            "data",
            "mimeType",
            "media_type",
            "url",
            "file_id",
            "detail",
            "cache_control",
        ],
        Some("input_file" | "file" | "document") => &[
            "type",
            "file",
            "file_id",
            "file_data",
            "file_url",
            "filename",
            "document",
            "source",
            "title",
            "context",
            "citations",
            "cache_control",
        ],
        Some("input_audio" | "audio" | "video") => &[
            "type",
            "input_audio",
            "audio",
            "audio_url",
            "video",
            "video_url",
            "source",
            "data",
            "mimeType",
            "url",
        ],
        Some("logs") => &["type", "logs"],
        Some("search_result") => &["type", "source", "title", "content", "citations", "cache_control"],
        Some(name) if is_result(name) || name.ends_with("_result") || name.ends_with("_call") => return None,
        Some("tool_use" | "server_tool_use" | "mcp_tool_use" | "function" | "tool_reference") => return None,
        Some("thinking" | "redacted_thinking" | "reasoning" | "web_search_tool_result_error") => return None,
        _ => &[
            "type",
            "text",
            "json",
            "image",
            "image_url",
            "imageUrl",
            "input_image",
            "document",
            "file",
            "file_id",
            "file_data",
            "fileData",
            "inline_data",
            "inlineData",
            "video",
            "video_url",
            "audio",
            "audio_url",
            "input_audio",
            "cachePoint",
            "cache_control",
            "searchResult",
            "guardContent",
            "functionResponse",
            "function_response",
            "functionCall",
            "function_call",
            "toolResult",
            "tool_result",
            "toolUse",
            "parts",
            "content",
            "encrypted_content",
        ],
    })
}

/// The same for the object that a member of such a part holds.
pub(crate) fn of_result_member(name: &str) -> Option<&'static [&'static str]> {
    Some(match name {
        "source" => &[
            "type",
            "media_type",
            "data",
            "url",
            "file_id",
            "content",
            "bytes",
            "text",
            "s3Location",
        ],
        "s3Location" => &["uri", "bucketOwner"],
        "image_url" | "imageUrl" | "video_url" | "audio_url" => &["url", "detail"],
        "input_audio" => &["data", "format"],
        "file" => &["file_id", "file_data", "filename"],
        "image" | "video" | "audio" => &["format", "source", "url"],
        "document" => &["format", "name", "source", "title", "context", "citations"],
        "inline_data" | "inlineData" => &["mimeType", "mime_type", "data", "displayName"],
        "file_data" | "fileData" => &["mimeType", "mime_type", "fileUri", "file_uri", "displayName"],
        "searchResult" => &["source", "title", "content", "citations"],
        "annotations" | "citations" => &["type", "url", "title", "file_id", "filename"],
        "guardContent" | "functionResponse" | "function_response" | "functionCall" | "function_call"
        | "toolResult" | "tool_result" | "toolUse" => return None,
        _ => &[],
    })
}

/// Whether a part of this `type` says all that it says by being there.
pub(crate) fn is_understood(name: &str) -> bool {
    matches!(name.as_bytes(), b"mcp_approval_response" | b"compaction_trigger")
}

/// Whether a part of this `type` is what a tool gave back.
pub(crate) fn is_result(name: &str) -> bool {
    name == "tool_result" || name.ends_with("_tool_result") || name.ends_with("_output")
}

/// Whether a member of this name is what a tool gave back.
pub(crate) fn holds_result(name: &str) -> bool {
    matches!(
        name.as_bytes(),
        b"functionResponse" | b"function_response" | b"toolResult" | b"tool_result"
    )
}
