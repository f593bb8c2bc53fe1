//! The kinds of content that types and media types name.

use crate::piece::UnreadKind;

/// The kind of content that a part of this `type` holds, besides texts.
pub(crate) fn kind_of_type(name: &str) -> Option<UnreadKind> {
    match name.as_bytes() {
        // What most parts are, first.
        b"text"
        | b"input_text"
        | b"output_text"
        | b"message"
        | b"function"
        | b"tool_use"
        | b"tool_result"
        | b"function_call"
        | b"function_call_output"
        | b"thinking"
        | b"reasoning"
        | b"summary_text"
        | b"object"
        | b"base64"
        | b"url" => None,
        b"document" | b"file" | b"input_file" | b"file_url" | b"file_uri" | b"container_upload" => {
            Some(UnreadKind::File)
        }
        b"computer_screenshot" => Some(UnreadKind::Image),
        _ if name.len() > 64 => None,
        _ if name.contains("encrypted") || name.contains("redacted") || name.contains("compaction") => {
            Some(UnreadKind::Encrypted)
        }
        _ if name.contains("image") => Some(UnreadKind::Image),
        _ if name.contains("audio") => Some(UnreadKind::Audio),
        _ if name.contains("video") => Some(UnreadKind::Video),
        _ => None,
    }
}

/// The kind of content of this media type.
pub(crate) fn kind_of_media(media_type: &str) -> Option<UnreadKind> {
    let has = |head: &str| {
        media_type
            .get(..head.len())
            .is_some_and(|start| start.eq_ignore_ascii_case(head))
    };
    if has("image/") {
        Some(UnreadKind::Image)
    } else if has("audio/") {
        Some(UnreadKind::Audio)
    } else if has("video/") {
        Some(UnreadKind::Video)
    } else if has("text/") || has("application/") {
        Some(UnreadKind::File)
    } else {
        None
    }
}

/// Whether a part of this `type` is content where a tool's result may be either content or data.
pub(crate) fn is_part(name: &str) -> bool {
    matches!(
        name.as_bytes(),
        b"text"
            | b"input_text"
            | b"output_text"
            | b"image"
            | b"image_url"
            | b"input_image"
            | b"input_file"
            | b"file"
            | b"document"
            | b"input_audio"
            | b"audio"
            | b"video"
            | b"logs"
            | b"computer_screenshot"
            | b"search_result"
    )
}

/// Members of a document that hold media.
pub(crate) const MEDIA: &[&str] = &[
    "image",
    "images",
    "image_url",
    "imageUrl",
    "input_image",
    "audio",
    "audio_url",
    "audioUrl",
    "input_audio",
    "inputAudio",
    "video",
    "videos",
    "video_url",
    "videoUrl",
    "input_video",
    "file_data",
    "fileData",
    "inline_data",
    "inlineData",
];
