//! What a model reads of a request (1.2, `llm.text`), a second time: slowly, over `serde_json`, to be read.
//!
//! The rule: every string is a text that a model may read, unless it stands where an API has an identifier, a type, a URL
//! or encoded data, and looks like one. What holds no text is unread content of some kind. Members are looked at in the
//! order of their names; `system`, `instructions`, `prompt`, `messages`, `input` and `contents` come before all others,
//! tools after them.
//!
//! Shares nothing with `policy-requests`: tables, looks and walk are written again.

use super::{json_text, numbers};
use regex::Regex;
use serde_json::{Map, Value};
use std::sync::LazyLock;

/// Where something was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// `system`, `instructions`, `prompt`, `messages`, `input`, `contents`, `tools` or `other`.
    pub field: &'static str,
    /// Position in a list of messages, inputs or contents.
    pub turn: usize,
    /// `user`, `assistant`, `system`, `tool` or `unknown`.
    pub role: &'static str,
}

/// What was found.
#[derive(Debug, Clone, PartialEq)]
pub enum What {
    /// A message begins.
    Message {
        /// Whether it has a name.
        named: bool,
    },
    /// A role that looks like one.
    Role(String),
    /// A name that looks like one.
    Name(String),
    /// A text.
    Text(String),
    /// A number that is read.
    Number(Value),
    /// A boolean that is read.
    Bool(bool),
    /// So many token ids.
    TokenIds(u64),
    /// An image.
    Image {
        /// Its bytes in base64, where they are in the request.
        base64: Option<String>,
        /// Where they are else.
        url: Option<String>,
        /// `image/png` …
        media_type: Option<String>,
        /// `low` …
        detail: Option<String>,
    },
    /// A definition of a tool.
    Tool(Value),
    /// `audio`, `file`, `video`, `encrypted` or `unknown`.
    Unread(&'static str),
}

/// Everything that is found, in order.
pub type Found = Vec<(What, Place)>;

/// Reads an `llm` object.
#[must_use]
pub fn read(llm: &Value) -> Found {
    let mut walk = Walk::default();
    walk.llm(llm);
    walk.found
}

/// One step of a path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// A member.
    Key(String),
    /// An element.
    Index(i64),
}

/// The value at `path` of a context with other texts: `edit` gives the new ones. Numbers that are read are offered as
/// JSON writes them.
pub fn rewrite<'e>(
    value: &Value,
    path: &[Step],
    edit: &'e mut (dyn FnMut(&str) -> Option<String> + 'e),
) -> Value {
    let mut walk = Walk {
        edit: Some(edit),
        ..Walk::default()
    };
    match path {
        [Step::Key(llm)] if llm == "llm" => walk.llm(value),
        [Step::Key(llm), Step::Key(member), steps @ ..] if llm == "llm" => {
            let (mut meaning, mut around) = of_member(member);
            for step in steps {
                (meaning, around) = one_step(meaning, around, step);
            }
            if value.is_string() || numbers::is_number(value) {
                walk.data(value, &around, 0)
            } else {
                walk.value(value, meaning, &around)
            }
        }
        _ => walk.data(value, &Around::new("other", "unknown"), 0),
    }
}

/// How deep the shapes of APIs go; what is below counts as what a tool gave.
const SHAPES: usize = 48;
/// How deep anything is read.
const DEEPEST: usize = 1024;

/// What a value is, by where it stands.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Meaning {
    Messages,
    Input,
    Prompt,
    TokenIds,
    Message,
    Content,
    Anything,
    Role,
    Name,
    Identifier,
    Signature,
    TypeName,
    Url(Option<&'static str>),
    Encoded,
    Medium(&'static str),
    Document,
    Source,
    StoredFile,
    Sealed,
    StoredText,
    Data,
    DataOrContent,
    Documents,
    Variables,
    Mentions,
    CacheMark,
    Tools,
    Servers,
    Container,
    Schema,
    Schemas,
    Option,
    NobodysText,
    TextOrFormat,
    AudioOrVoice,
}

/// What is around a value.
#[derive(Debug, Clone)]
struct Around {
    place: Place,
    kind: Option<&'static str>,
    /// What is around it by its type, if that is no image: a media type inside does not change it.
    stays: Option<&'static str>,
    media_type: Option<String>,
    detail: Option<String>,
    depth: usize,
    in_message: bool,
    in_mentions: bool,
    in_tool: bool,
    beside_type_text: bool,
    /// In what a tool gave and in documents: names that say what a member is. Members of other names are data.
    named: Option<&'static str>,
}

impl Around {
    fn new(field: &'static str, role: &'static str) -> Self {
        Self {
            place: Place { field, turn: 0, role },
            kind: None,
            stays: None,
            media_type: None,
            detail: None,
            depth: 1,
            in_message: false,
            in_mentions: false,
            in_tool: false,
            beside_type_text: false,
            named: None,
        }
    }

    fn deeper(&self) -> Self {
        Self {
            depth: self.depth + 1,
            ..self.clone()
        }
    }

    /// Inside an object: what it says of its own kind counts for what is in it.
    fn inside(&self, object: &Map<String, Value>) -> Self {
        let mut inner = self.deeper();
        let type_name = text(object, "type");
        // `source: {type: file}` only says where.
        let only_where = type_name == Some("file") && self.kind.is_some();
        match type_name.and_then(kind_of_type) {
            Some("image") => inner.stays = None,
            Some(kind) if !only_where => inner.stays = Some(kind),
            _ => {}
        }
        let own = if only_where { None } else { kind_of(object) };
        inner.kind = inner.stays.or(own).or(self.kind);
        inner.media_type = media_type(object).or(self.media_type.clone());
        inner.detail = match type_name {
            Some("input_image") => text(object, "detail").map(str::to_owned),
            _ => None,
        };
        inner.beside_type_text = type_name == Some("text");
        if type_name.is_some_and(is_result) && self.place.field != "system" {
            inner.place.role = "tool";
        }
        inner
    }
}

fn text<'a>(object: &'a Map<String, Value>, name: &str) -> Option<&'a str> {
    object.get(name).and_then(Value::as_str)
}

fn media_type(object: &Map<String, Value>) -> Option<String> {
    object
        .iter()
        .filter(|(name, _)| is_one_of(name, "media_type mediaType mime_type mimeType"))
        .find_map(|(_, value)| value.as_str())
        .map(str::to_owned)
}

fn is_one_of(name: &str, names: &str) -> bool {
    names.split_whitespace().any(|one| one == name)
}

fn is_result(type_name: &str) -> bool {
    type_name == "tool_result" || type_name.ends_with("_tool_result") || type_name.ends_with("_output")
}

/// The kind of content that an object holds: by its media type, else by its type.
fn kind_of(object: &Map<String, Value>) -> Option<&'static str> {
    let by_media = media_type(object).and_then(|media| kind_of_media(&media));
    by_media.or_else(|| kind_of_type(text(object, "type")?))
}

fn kind_of_type(name: &str) -> Option<&'static str> {
    let has = |word: &str| name.len() <= 64 && name.contains(word);
    if is_one_of(
        name,
        "document file input_file file_url file_uri container_upload",
    ) {
        Some("file")
    } else if name == "computer_screenshot" {
        Some("image")
    } else if has("encrypted") || has("redacted") || has("compaction") {
        Some("encrypted")
    } else {
        ["image", "audio", "video"].into_iter().find(|kind| has(kind))
    }
}

fn kind_of_media(media: &str) -> Option<&'static str> {
    match media.to_ascii_lowercase().split_once('/')?.0 {
        "image" => Some("image"),
        "audio" => Some("audio"),
        "video" => Some("video"),
        "text" | "application" => Some("file"),
        _ => None,
    }
}

fn role_of(name: &str) -> &'static str {
    match name.trim().to_ascii_lowercase().as_str() {
        "user" | "human" => "user",
        "assistant" | "model" | "chatbot" | "ai" | "bot" => "assistant",
        "system" | "developer" => "system",
        "tool" | "function" => "tool",
        _ => "unknown",
    }
}

fn looks_like(pattern: &LazyLock<Regex>, text: &str) -> bool {
    pattern.is_match(text)
}

fn pattern(text: &str) -> Regex {
    #[expect(clippy::unwrap_used, reason = "constants, held by the tests")]
    Regex::new(text).unwrap()
}

static IDENTIFIER: LazyLock<Regex> = LazyLock::new(|| pattern(r"\A[!-~]{0,128}\z"));
static NAME_LETTERS: LazyLock<Regex> = LazyLock::new(|| pattern(r"\A[A-Za-z_$][A-Za-z0-9_.$-]{0,63}\z"));
static TOO_MANY_CAPITALS: LazyLock<Regex> = LazyLock::new(|| pattern(r"[A-Z0-9]{16}"));
static URL: LazyLock<Regex> = LazyLock::new(|| pattern(r"\A[A-Za-z][A-Za-z0-9+.-]{0,30}://[!-~]+\z"));
static DATA_URL: LazyLock<Regex> =
    LazyLock::new(|| pattern(r"(?s)\A(?i:data:)([!-+\--~]*?)(;[!-+\--~]*)?(?i:;base64),(.*)\z"));
static BASE64: LazyLock<Regex> = LazyLock::new(|| pattern(r"\A[A-Za-z0-9+/_\r\n-]+(={0,2})[\r\n]*\z"));

fn is_identifier(text: &str) -> bool {
    looks_like(&IDENTIFIER, text)
}

/// A name that a program has, and no number of a card, no key, no address.
fn is_name(text: &str) -> bool {
    looks_like(&NAME_LETTERS, text)
        && text.chars().filter(char::is_ascii_digit).count() <= 4
        && !looks_like(&TOO_MANY_CAPITALS, text)
}

fn is_url(text: &str) -> bool {
    text.len() <= 8192 && looks_like(&URL, text)
}

fn is_base64(text: &str) -> bool {
    let body = text.trim_end_matches(['\r', '\n']);
    let body = body.strip_suffix('=').unwrap_or(body);
    let body = body.strip_suffix('=').unwrap_or(body);
    looks_like(&BASE64, text)
        && body.chars().any(|c| c.is_ascii_alphabetic())
        && body.matches('\n').count() * 60 <= body.len()
}

/// Media type and payload.
fn data_url(text: &str) -> Option<(&str, &str)> {
    let comma = text.find(',')?;
    let found = DATA_URL.captures(text)?;
    let payload = found.get(3)?.as_str();
    // The head ends at the first comma, and is short.
    let head_is_whole = payload.len() + comma + 1 == text.len() && comma < 5 + 256;
    let media = found.get(1)?.as_str().split(';').next().unwrap_or("");
    (head_is_whole && (payload.is_empty() || is_base64(payload))).then_some((media, payload))
}

/// A member of `llm`.
fn of_member(name: &str) -> (Meaning, Around) {
    use Meaning::{
        AudioOrVoice, Content, Input, Messages, NobodysText, Option, Prompt, Schema, StoredText,
        TextOrFormat, Tools, Variables,
    };
    let (meaning, field, role) = match name {
        "system" | "systemInstruction" | "system_instruction" => (Content, "system", "system"),
        "instructions" => (Content, "instructions", "system"),
        "prompt" => (Prompt, "prompt", "user"),
        "messages" => (Messages, "messages", "user"),
        "input" => (Input, "input", "user"),
        "contents" => (Messages, "contents", "user"),
        "tools" | "functions" => (Tools, "tools", "unknown"),
        "preamble" => (Content, "other", "system"),
        "message" => (Content, "message", "user"),
        "query" | "content" | "suffix" | "texts" | "inputText" => (Content, "other", "user"),
        "text" => (TextOrFormat, "other", "user"),
        "audio" => (AudioOrVoice, "other", "user"),
        "inputs" | "prompt_token_ids" | "input_ids" | "inputIds" => (Prompt, "other", "user"),
        "chat_history" | "chatHistory" => (Messages, "other", "user"),
        "variables" | "promptVariables" | "prompt_variables" => (Variables, "other", "user"),
        "responseFormat" | "response_format" | "outputConfig" | "output_config" | "output_format" => {
            (Schema, "other", "unknown")
        }
        "mcpServers" | "mcp_servers" => (Meaning::Servers, "other", "unknown"),
        "container" => (Meaning::Container, "other", "unknown"),
        "previousResponseId"
        | "previous_response_id"
        | "conversation"
        | "conversation_id"
        | "conversationId"
        | "cachedContent"
        | "cached_content" => (StoredText, "other", "unknown"),
        "stop" | "stopSequences" | "stop_sequences" | "metadata" | "labels" | "requestMetadata" => {
            (NobodysText, "other", "unknown")
        }
        _ if OPTIONS.iter().any(|names| is_one_of(name, names)) => (Option, "other", "unknown"),
        _ => (in_content(name), "other", "unknown"),
    };
    (meaning, Around::new(field, role))
}

/// Members of `llm` that say how to call the model, and those that the engine computes.
const OPTIONS: &[&str] = &[
    "provider model modelId n bestOf best_of candidateCount candidate_count temperature seed stream streamOptions stream_options store echo",
    "maxTokens max_tokens maxCompletionTokens max_completion_tokens maxOutputTokens max_output_tokens maxNewTokens max_new_tokens",
    "topP top_p p topK top_k k minP min_p topN top_n reasoning reasoningEffort reasoning_effort thinking thinkingConfig thinking_config",
    "verbosity serviceTier service_tier user region safetyIdentifier safety_identifier promptCacheKey prompt_cache_key",
    "promptCacheRetention prompt_cache_retention presencePenalty presence_penalty frequencyPenalty frequency_penalty",
    "repetitionPenalty repetition_penalty repeat_penalty logitBias logit_bias logprobs topLogprobs top_logprobs",
    "parallelToolCalls parallel_tool_calls maxToolCalls max_tool_calls toolChoice tool_choice functionCall function_call",
    "toolConfig tool_config truncation truncate background include modalities voice encodingFormat encoding_format dimensions",
    "input_type inputType task_type taskType embedding_types return_documents max_chunks_per_doc generationConfig",
    "generation_config inferenceConfig inference_config performanceConfig safetySettings safety_settings guardrailConfig",
    "guardrail_config options parameters keep_alive format anthropic_version anthropicVersion anthropic_beta betas",
    "id object contextManagement context_management raw citationQuality citation_quality safety_mode safetyMode",
    "normalizedText normalized_text lastUserText last_user_text unreadContent unread_content canonicalModel canonical_model",
    "modelFamily model_family estimatedTokens estimated_tokens estimatedCost estimated_cost maxCost max_cost containsPII",
    "contains_pii piiTypes pii_types injectionSignals injection_signals injectionScore injection_score",
];

/// A member inside content.
fn in_content(name: &str) -> Meaning {
    in_content_by_name(name).unwrap_or_else(|| {
        let ends = |endings: &str| endings.split(' ').any(|ending| name.ends_with(ending));
        if name.starts_with("encrypted") {
            Meaning::Sealed
        } else if ends("_id Id") {
            Meaning::Identifier
        } else if ends("_url Url _uri Uri") {
            Meaning::Url(None)
        } else {
            Meaning::Anything
        }
    })
}

/// Members that may be lists of token ids.
const LISTS_OF_IDS: &str = "context tokens input_ids inputIds prompt_token_ids token_ids tokenIds";

/// Members that the APIs name.
fn in_content_by_name(name: &str) -> Option<Meaning> {
    use Meaning::{
        Content, Data, DataOrContent, Document, Documents, Encoded, Identifier, Medium, Mentions, Messages,
        Prompt, Sealed, Signature, Source, StoredFile, StoredText, Tools, Url, Variables,
    };
    let table: &[(&str, Meaning)] = &[
        (
            "content parts text thinking refusal message value transcript reasoning_content query texts",
            Content,
        ),
        (
            "id type role status detail format media_type mediaType mime_type mimeType object language outcome",
            Identifier,
        ),
        ("encoding phase bucketOwner bucket_owner", Identifier),
        (
            "signature thoughtSignature thought_signature encrypted_index",
            Signature,
        ),
        (
            "arguments args input response json parameters tool_input structuredContent structured_content",
            Data,
        ),
        ("output outputs result tool_output", DataOrContent),
        ("documents", Documents),
        ("variables", Variables),
        ("source", Source),
        (
            "data bytes b64_json base64 blob partial_image_b64 prompt_embeds",
            Encoded,
        ),
        (
            "image images image_url imageUrl image_file input_image",
            Medium("image"),
        ),
        ("audio input_audio inputAudio audio_url audioUrl", Medium("audio")),
        ("video videos video_url videoUrl input_video", Medium("video")),
        ("file_data fileData inline_data inlineData", Medium("file")),
        ("document file input_file", Document),
        (
            "file_id fileId file_ids fileIds vector_store_ids vectorStoreIds",
            StoredFile,
        ),
        (LISTS_OF_IDS, Meaning::TokenIds),
        ("file_uri fileUri file_url fileUrl", Url(Some("file"))),
        ("url uri", Url(None)),
        (
            "cache_control cacheControl cachePoint cache_point",
            Meaning::CacheMark,
        ),
        ("annotations citations results", Mentions),
        ("redactedContent redacted_content", Sealed),
        ("previous_response_id previousResponseId", StoredText),
        (
            "tools functions functionDeclarations function_declarations",
            Tools,
        ),
        ("logprobs", Meaning::Option),
        ("messages contents chat_history", Messages),
        ("prompt", Prompt),
    ];
    table
        .iter()
        .find(|(names, _)| is_one_of(name, names))
        .map(|(_, meaning)| *meaning)
}

/// A member of a definition of a tool, or of a schema.
fn in_schema(name: &str) -> Meaning {
    let table: &[(&str, Meaning)] = &[
        (
            "type format $ref $schema $id $anchor id behavior verbosity syntax search_context_size",
            Meaning::Identifier,
        ),
        ("required propertyOrdering property_ordering", Meaning::TypeName),
        (
            "default const enum examples example input_examples",
            Meaning::Data,
        ),
        (
            "properties patternProperties $defs definitions dependentSchemas parameter_definitions",
            Meaning::Schemas,
        ),
        ("url uri server_url", Meaning::Url(None)),
        ("cache_control cachePoint cache_point", Meaning::Option),
        ("container", Meaning::Container),
        (
            "file_ids fileIds file_id fileId vector_store_ids vectorStoreIds fileSearchStoreNames file_search_store_names datastore ragCorpus rag_corpus",
            Meaning::StoredFile,
        ),
        (
            "tools functions functionDeclarations function_declarations",
            Meaning::Tools,
        ),
    ];
    let by_name = table.iter().find(|(names, _)| is_one_of(name, names));
    match by_name {
        Some((_, meaning)) => *meaning,
        None if ["_id", "Id", "_ids"].iter().any(|ending| name.ends_with(ending)) => Meaning::Identifier,
        None => Meaning::Schema,
    }
}

/// A member directly in a tool, or in a server of tools: how to get in is not for the model.
fn in_tool(name: &str) -> Meaning {
    if is_one_of(name, "headers authorization authorization_token") {
        Meaning::NobodysText
    } else {
        in_schema(name)
    }
}

/// A member of what stands for a machine at the provider's.
fn in_container(name: &str) -> Meaning {
    match name {
        "id" | "skills" => Meaning::StoredText,
        "file_ids" | "fileIds" | "vector_store_ids" | "vectorStoreIds" => Meaning::StoredFile,
        _ => in_options(name),
    }
}

/// A member of an object of options.
fn in_options(name: &str) -> Meaning {
    let table: &[(&str, Meaning)] = &[
        (
            "responseSchema response_schema responseJsonSchema response_json_schema json_schema jsonSchema schema",
            Meaning::Schema,
        ),
        ("responseFormat response_format grammar", Meaning::Schema),
        ("properties $defs definitions", Meaning::Schemas),
        ("stop stopSequences stop_sequences", Meaning::NobodysText),
        (
            "system systemInstruction system_instruction instructions template summary_prompt prompt prompts input inputs query question instruction message system_message systemMessage prefix suffix messages text content examples preamble negative_prompt negativePrompt",
            Meaning::Content,
        ),
        (
            "tools functions functionDeclarations function_declarations",
            Meaning::Tools,
        ),
        ("cachedContent cached_content", Meaning::StoredText),
        (LISTS_OF_IDS, Meaning::TokenIds),
        (
            "promptCacheKey prompt_cache_key promptCacheRetention prompt_cache_retention",
            Meaning::Option,
        ),
    ];
    let rest = if name.replace('P', "p").contains("prompt") {
        Meaning::Content
    } else {
        Meaning::Option
    };
    table
        .iter()
        .find(|(names, _)| is_one_of(name, names))
        .map_or(rest, |(_, meaning)| *meaning)
}

/// From a value at a path to what is one step below.
fn one_step(meaning: Meaning, mut around: Around, step: &Step) -> (Meaning, Around) {
    let next = match (step, meaning) {
        (Step::Index(index), Meaning::Messages | Meaning::Input) => {
            around.place.turn = usize::try_from(*index).unwrap_or(0);
            Meaning::Message
        }
        (Step::Index(_), Meaning::Variables | Meaning::TextOrFormat) => Meaning::Content,
        (Step::Index(_), Meaning::Schemas) => Meaning::Schema,
        (Step::Index(_), same) => same,
        (Step::Key(name), Meaning::Messages | Meaning::Message) => {
            around.in_message = true;
            match name.as_str() {
                "role" => Meaning::Role,
                "name" => Meaning::Name,
                _ => in_content(name),
            }
        }
        (Step::Key(_), Meaning::Data) => Meaning::Data,
        (Step::Key(name), Meaning::Documents | Meaning::Encoded) if !is_one_of(name, OF_DOCUMENTS) => {
            Meaning::Data
        }
        (Step::Key(_), Meaning::DataOrContent) => Meaning::DataOrContent,
        (Step::Key(_), Meaning::Variables) => Meaning::Content,
        (Step::Key(_), Meaning::Schemas) => Meaning::Schema,
        (Step::Key(_), Meaning::NobodysText) => Meaning::NobodysText,
        (Step::Key(name), Meaning::Tools | Meaning::Servers) => in_tool(name),
        (Step::Key(name), Meaning::Container) => in_container(name),
        (Step::Key(name), Meaning::Schema | Meaning::TypeName | Meaning::TextOrFormat) => in_schema(name),
        (Step::Key(name), Meaning::Option | Meaning::AudioOrVoice | Meaning::CacheMark) => in_options(name),
        (Step::Key(name), Meaning::Medium(kind)) => {
            around.kind = Some(kind);
            in_content(name)
        }
        (Step::Key(name), _) => in_content(name),
    };
    (next, around)
}

/// Members of a document that are images, sound and the like; all others are data.
const OF_DOCUMENTS: &str = "image images image_url imageUrl input_image video videos video_url videoUrl input_video \
    audio audio_url audioUrl input_audio inputAudio inline_data inlineData file_data fileData";

/// In what a tool gave: members by which a part of this type holds something. What else it has is data. `None` for what
/// the tools of a provider give.
fn names_in_results(type_name: Option<&str>) -> Option<&'static str> {
    let parts = [
        (
            "text input_text output_text",
            "type text annotations citations cache_control",
        ),
        (
            "image image_url input_image computer_screenshot",
            "type image image_url imageUrl source data mimeType media_type url file_id detail cache_control",
        ),
        (
            "input_file file document",
            "type file file_id file_data file_url filename document source title context citations cache_control",
        ),
        (
            "input_audio audio video",
            "type input_audio audio audio_url video video_url source data mimeType url",
        ),
        ("logs", "type logs"),
        (
            "search_result",
            "type source title content citations cache_control",
        ),
    ];
    let name = type_name.unwrap_or("");
    if let Some((_, names)) = parts.iter().find(|(types, _)| is_one_of(name, types)) {
        return Some(names);
    }
    let of_a_provider = is_result(name)
        || name.ends_with("_result")
        || name.ends_with("_call")
        || is_one_of(
            name,
            "tool_use server_tool_use mcp_tool_use function tool_reference thinking redacted_thinking reasoning web_search_tool_result_error",
        );
    (!of_a_provider).then_some(
        "type text json image image_url imageUrl input_image document file file_id file_data fileData inline_data \
         inlineData video video_url audio audio_url input_audio cachePoint cache_control searchResult guardContent \
         functionResponse function_response functionCall function_call toolResult tool_result toolUse parts content \
         encrypted_content",
    )
}

/// The same below a member of such a part.
fn names_below(member: &str) -> Option<&'static str> {
    match member {
        "source" => Some("type media_type data url file_id content bytes text s3Location"),
        "s3Location" => Some("uri bucketOwner"),
        "image_url" | "imageUrl" | "video_url" | "audio_url" => Some("url detail"),
        "input_audio" => Some("data format"),
        "file" => Some("file_id file_data filename"),
        "image" | "video" | "audio" => Some("format source url"),
        "document" => Some("format name source title context citations"),
        "inline_data" | "inlineData" => Some("mimeType mime_type data displayName"),
        "file_data" | "fileData" => Some("mimeType mime_type fileUri file_uri displayName"),
        "searchResult" => Some("source title content citations"),
        "annotations" | "citations" => Some("type url title file_id filename"),
        "guardContent" | "functionResponse" | "function_response" | "functionCall" | "function_call"
        | "toolResult" | "tool_result" | "toolUse" => None,
        _ => Some(""),
    }
}

/// The members of an object, by what the object is.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Members {
    OfMessage,
    OfContent,
    OfTool,
    OfSchema,
    OfContainer,
    Options,
    All(Meaning),
}

/// New texts for old ones; `None` keeps a text.
type Edit<'e> = dyn FnMut(&str) -> Option<String> + 'e;

#[derive(Default)]
struct Walk<'e> {
    found: Found,
    /// Texts that are empty count as found, but are not.
    empty_texts: usize,
    edit: Option<&'e mut Edit<'e>>,
}

impl Walk<'_> {
    fn llm(&mut self, llm: &Value) -> Value {
        let Value::Object(members) = llm else {
            return self.value(llm, Meaning::Content, &Around::new("other", "user"));
        };
        let first = "system systemInstruction system_instruction instructions prompt messages input contents preamble";
        let last = "tools functions";
        let mut order: Vec<&str> = first.split(' ').collect();
        order.extend(
            members
                .keys()
                .map(String::as_str)
                .filter(|name| !is_one_of(name, first) && !is_one_of(name, last)),
        );
        order.extend(last.split(' '));
        let mut new = Vec::new();
        for name in order {
            if let Some(value) = members.get(name) {
                let known = is_one_of(name, first) || is_one_of(name, last);
                let new_name = if known || name.is_empty() || is_name(name) {
                    name.to_owned()
                } else {
                    self.text(name, &Around::new("other", "unknown"))
                };
                let (meaning, around) = of_member(name);
                new.push((name, new_name, self.value(value, meaning, &around)));
            }
        }
        new.sort_by_key(|(name, _, _)| *name);
        together(new.into_iter().map(|(_, name, value)| (name, value)))
    }

    /// How much content was found so far: what only says how something is sent is none.
    fn content(&self) -> usize {
        let content = |what: &What| !matches!(what, What::Message { .. } | What::Role(_) | What::Name(_));
        self.empty_texts + self.found.iter().filter(|(what, _)| content(what)).count()
    }

    fn say(&mut self, what: What, around: &Around) {
        self.found.push((what, around.place.clone()));
    }

    fn text(&mut self, text: &str, around: &Around) -> String {
        if text.is_empty() {
            self.empty_texts += 1;
            return String::new();
        }
        self.say(What::Text(text.to_owned()), around);
        let edited = self.edit.as_mut().and_then(|edit| edit(text));
        edited.unwrap_or_else(|| text.to_owned())
    }

    fn number(&mut self, number: &Value, around: &Around) -> Value {
        self.say(What::Number(number.clone()), around);
        let edited = self.edit.as_mut().and_then(|edit| edit(&json_text(number)));
        edited.map_or_else(|| number.clone(), Value::String)
    }

    fn unread(&mut self, kind: &'static str, base64: Option<&str>, url: Option<&str>, around: &Around) {
        let what = if kind == "image" {
            What::Image {
                base64: base64.map(str::to_owned),
                url: url.map(str::to_owned),
                media_type: around.media_type.clone(),
                detail: around.detail.clone(),
            }
        } else {
            What::Unread(kind)
        };
        self.say(what, around);
    }

    fn value(&mut self, value: &Value, meaning: Meaning, around: &Around) -> Value {
        match value {
            Value::Null => Value::Null,
            Value::String(text) => Value::String(self.string(text, meaning, around)),
            number if numbers::is_number(number) => match meaning {
                _ if around.named.is_some() && !matches!(meaning, Meaning::Messages | Meaning::Message) => {
                    self.number(value, around)
                }
                Meaning::Messages | Meaning::Message => {
                    self.bare_message(around);
                    self.number(value, around)
                }
                Meaning::Input
                | Meaning::Prompt
                | Meaning::Content
                | Meaning::Data
                | Meaning::DataOrContent
                | Meaning::Documents
                | Meaning::TextOrFormat => self.number(value, around),
                Meaning::StoredText => {
                    self.unread("unknown", None, None, around);
                    value.clone()
                }
                _ => value.clone(),
            },
            Value::Bool(truth) => {
                if matches!(
                    meaning,
                    Meaning::Data | Meaning::DataOrContent | Meaning::Documents
                ) {
                    self.say(What::Bool(*truth), around);
                }
                value.clone()
            }
            Value::Array(_) | Value::Object(_) if around.depth >= SHAPES => {
                self.data(value, around, around.depth)
            }
            Value::Array(items) => self.array(value, items, meaning, around),
            Value::Object(members) => self.object(value, members, meaning, around),
            Value::Number(_) => unreachable!("every number is one"),
        }
    }

    fn bare_message(&mut self, around: &Around) {
        if around.place.field != "input" && !around.in_message {
            self.say(What::Message { named: false }, around);
        }
    }

    fn string(&mut self, text: &str, meaning: Meaning, around: &Around) -> String {
        let same = || text.to_owned();
        match meaning {
            Meaning::Identifier | Meaning::Option | Meaning::CacheMark if is_identifier(text) => same(),
            Meaning::Signature if is_identifier(text) || is_base64(text) => same(),
            Meaning::TypeName if is_name(text) => same(),
            Meaning::NobodysText if text.len() <= 512 => same(),
            Meaning::Role if is_name(text) => {
                self.say(What::Role(same()), around);
                same()
            }
            Meaning::Name if is_name(text) => {
                self.say(What::Name(same()), around);
                same()
            }
            Meaning::Url(kind) => {
                let kind = around.kind.or(kind);
                let carries = if kind.is_some() { "url or-its-name" } else { "url" };
                self.carrier(text, kind, carries, around)
            }
            Meaning::Encoded if !around.beside_type_text => {
                let carries = if around.kind.is_some() {
                    "url base64"
                } else {
                    "long base64"
                };
                self.carrier(text, around.kind, carries, around)
            }
            Meaning::Medium(kind) => self.carrier(text, Some(kind), "url base64 or-its-name", around),
            Meaning::AudioOrVoice => self.carrier(text, Some("audio"), "url base64 or-its-name", around),
            Meaning::Document => self.carrier(text, Some("file"), "url", around),
            Meaning::Source if around.kind.is_some() => {
                self.carrier(text, around.kind, "url long base64", around)
            }
            Meaning::DataOrContent if around.kind == Some("image") => {
                self.carrier(text, around.kind, "url base64", around)
            }
            Meaning::StoredFile if !text.is_empty() && is_identifier(text) => {
                if around.kind.is_some() || !around.in_mentions {
                    self.unread(around.kind.unwrap_or("file"), None, None, around);
                }
                same()
            }
            Meaning::Sealed if !text.is_empty() && (is_identifier(text) || is_base64(text)) => {
                self.unread("encrypted", None, None, around);
                same()
            }
            Meaning::StoredText | Meaning::Container if !text.is_empty() => {
                self.unread("unknown", None, None, around);
                if is_identifier(text) {
                    same()
                } else {
                    self.text(text, around)
                }
            }
            Meaning::Tools => {
                let inner = self.tool_begins(&Value::String(same()), around);
                self.text(text, &inner)
            }
            Meaning::Messages | Meaning::Message => {
                self.bare_message(around);
                self.text(text, around)
            }
            _ => self.text(text, around),
        }
    }

    /// A `data:` URL, or a URL or base64 if `carries` says so; else a text.
    fn carrier(&mut self, text: &str, kind: Option<&'static str>, carries: &str, around: &Around) -> String {
        let carries = |what: &str| is_one_of(what, carries);
        let long_enough = !carries("long") || text.len() >= 64;
        if let Some((media, payload)) = data_url(text) {
            let mut around = around.clone();
            if !media.is_empty() {
                around.media_type = Some(media.to_owned());
            }
            let kind = around.stays.or(kind_of_media(media)).or(kind).unwrap_or("file");
            self.unread(kind, Some(payload), None, &around);
        } else if carries("url") && is_url(text) {
            if let Some(kind) = kind {
                self.unread(kind, None, Some(text), around);
            }
        } else if carries("base64") && long_enough && is_base64(text) {
            self.unread(kind.unwrap_or("unknown"), Some(text), None, around);
        } else {
            // Perhaps the name of something that only the provider has.
            if carries("or-its-name") && !text.is_empty() && is_identifier(text) {
                self.unread(kind.unwrap_or("unknown"), None, None, around);
            }
            return self.text(text, around);
        }
        text.to_owned()
    }

    fn array(&mut self, value: &Value, items: &[Value], meaning: Meaning, around: &Around) -> Value {
        if matches!(meaning, Meaning::Input | Meaning::Prompt | Meaning::TokenIds)
            && !items.is_empty()
            && items.iter().all(is_token_id)
        {
            self.say(What::TokenIds(items.len() as u64), around);
            return value.clone();
        }
        let each = match meaning {
            Meaning::Data => return self.data(value, around, around.depth),
            Meaning::DataOrContent if !items.iter().all(is_part) => {
                return self.data(value, around, around.depth);
            }
            Meaning::Messages if !around.in_message => Meaning::Message,
            Meaning::Input => Meaning::Message,
            Meaning::Messages
            | Meaning::Message
            | Meaning::Content
            | Meaning::TextOrFormat
            | Meaning::TokenIds
            | Meaning::Variables => Meaning::Content,
            Meaning::Schemas => Meaning::Schema,
            Meaning::AudioOrVoice => Meaning::Medium("audio"),
            same => same,
        };
        let new = items.iter().enumerate().map(|(index, item)| {
            let mut inner = around.deeper();
            if each == Meaning::Message {
                inner.place.turn = index;
            }
            let each = match meaning {
                Meaning::Input if item.is_array() => Meaning::Prompt,
                Meaning::TokenIds if item.is_array() => Meaning::TokenIds,
                _ => each,
            };
            self.value(item, each, &inner)
        });
        Value::Array(new.collect())
    }

    fn object(
        &mut self,
        value: &Value,
        object: &Map<String, Value>,
        meaning: Meaning,
        around: &Around,
    ) -> Value {
        let deeper = around.deeper();
        match meaning {
            Meaning::Messages | Meaning::Message | Meaning::Input if !around.in_message => {
                self.message(object, around)
            }
            Meaning::Messages | Meaning::Message | Meaning::Input | Meaning::Content => {
                self.part(object, around)
            }
            Meaning::Prompt if text(object, "id").is_none_or(str::is_empty) => self.part(object, around),
            Meaning::Prompt | Meaning::StoredText => {
                self.unread("unknown", None, None, around);
                self.members(object, &deeper, Members::OfContent)
            }
            Meaning::Data => self.data(value, around, around.depth),
            Meaning::DataOrContent if is_part(value) => {
                let mut result = around.clone();
                result.named = Some("");
                self.part(object, &result)
            }
            Meaning::Documents | Meaning::Encoded => {
                let mut inner = deeper;
                inner.named = Some(OF_DOCUMENTS);
                self.members(object, &inner, Members::OfContent)
            }
            Meaning::DataOrContent => self.data(value, around, around.depth),
            // Gemini's files can be of any kind.
            Meaning::Medium("file") | Meaning::Url(Some("file")) => self.medium(object, "file", around),
            Meaning::Medium(kind) | Meaning::Url(Some(kind)) => {
                let mut around = around.clone();
                around.stays = (kind != "image").then_some(kind);
                self.medium(object, kind, &around)
            }
            Meaning::Document => {
                let mut around = around.clone();
                around.stays = Some("file");
                self.medium(object, "file", &around)
            }
            Meaning::Servers => self.members(object, &deeper, Members::OfTool),
            Meaning::Container => self.members(object, &deeper, Members::OfContainer),
            Meaning::Variables => self.members(object, &deeper, Members::All(Meaning::Content)),
            Meaning::Schemas => self.members(object, &deeper, Members::All(Meaning::Schema)),
            Meaning::NobodysText => self.members(object, &deeper, Members::All(Meaning::NobodysText)),
            Meaning::Option | Meaning::AudioOrVoice => self.members(object, &deeper, Members::Options),
            Meaning::CacheMark => {
                self.empty_texts += 1;
                self.members(object, &deeper, Members::Options)
            }
            Meaning::Mentions => {
                let mut inner = around.clone();
                inner.in_mentions = true;
                inner.kind = None;
                inner.stays = None;
                self.object(value, object, Meaning::Anything, &inner)
            }
            Meaning::Tools => {
                let inner = self.tool_begins(value, around);
                self.members(object, &inner, Members::OfTool)
            }
            Meaning::Schema | Meaning::TypeName | Meaning::TextOrFormat => {
                self.members(object, &deeper, Members::OfSchema)
            }
            Meaning::Anything
            | Meaning::Role
            | Meaning::Name
            | Meaning::Identifier
            | Meaning::Signature
            | Meaning::Url(None)
            | Meaning::TokenIds
            | Meaning::Source
            | Meaning::StoredFile
            | Meaning::Sealed => {
                if text(object, "role").is_some() && !around.in_message {
                    return self.message(object, around);
                }
                let before = self.content();
                let inner = around.inside(object);
                let new = self.members(object, &inner, Members::OfContent);
                if let Some(kind) = kind_of(object) {
                    self.nothing_found(before, object, kind, &inner);
                }
                new
            }
        }
    }

    fn message(&mut self, object: &Map<String, Value>, around: &Around) -> Value {
        let mut inner = around.inside(object);
        inner.in_message = true;
        let role = text(object, "role");
        let kind = text(object, "type").unwrap_or("");
        inner.place.role = match role {
            Some(role) => role_of(role),
            None if kind == "reasoning" => "assistant",
            None if is_result(kind) => "tool",
            None if kind.ends_with("_call") => "assistant",
            None => "user",
        };
        let named = role.is_some() && text(object, "name").is_some();
        self.say(What::Message { named }, &inner);
        let before = self.content();
        let members = if role.is_some() {
            Members::OfMessage
        } else {
            Members::OfContent
        };
        let new = self.members(object, &inner, members);
        if role.is_none() {
            self.nothing_found(before, object, kind_of(object).unwrap_or("unknown"), &inner);
        }
        new
    }

    fn part(&mut self, object: &Map<String, Value>, around: &Around) -> Value {
        let before = self.content();
        let mut inner = around.inside(object);
        if around.named.is_some() || around.place.role == "tool" {
            inner.named = names_in_results(text(object, "type"));
        }
        let new = self.members(object, &inner, Members::OfContent);
        self.nothing_found(before, object, kind_of(object).unwrap_or("unknown"), &inner);
        new
    }

    fn medium(&mut self, object: &Map<String, Value>, kind: &'static str, around: &Around) -> Value {
        let before = self.content();
        let mut outer = around.clone();
        outer.kind = Some(kind);
        let mut inner = outer.inside(object);
        inner.detail = text(object, "detail").map(str::to_owned);
        let new = self.members(object, &inner, Members::OfContent);
        if self.content() == before && !object.values().all(is_empty) {
            let kind = inner.stays.or(kind_of(object)).unwrap_or(kind);
            self.unread(kind, None, None, &inner);
        }
        new
    }

    /// A part in which nothing was found is not understood, unless there is nothing in it.
    fn nothing_found(
        &mut self,
        before: usize,
        object: &Map<String, Value>,
        kind: &'static str,
        around: &Around,
    ) {
        let understood = text(object, "type")
            .is_some_and(|name| is_one_of(name, "mcp_approval_response compaction_trigger"));
        if self.content() == before && !understood && !object.values().all(is_empty) {
            let kind = if kind_of(object).is_some() {
                around.stays.unwrap_or(kind)
            } else {
                kind
            };
            self.unread(kind, None, None, around);
        }
    }

    fn tool_begins(&mut self, tool: &Value, around: &Around) -> Around {
        let mut inner = around.deeper();
        inner.place.field = "tools";
        inner.kind = None;
        inner.stays = None;
        if !around.in_tool && !is_empty(tool) {
            inner.in_tool = true;
            self.say(What::Tool(tool.clone()), &inner);
        }
        inner
    }

    fn members(&mut self, object: &Map<String, Value>, around: &Around, are: Members) -> Value {
        let mut new = Vec::new();
        for (name, value) in object {
            let meaning = match are {
                Members::OfContent if around.named.is_some_and(|named| !is_one_of(name, named)) => {
                    Meaning::Data
                }
                Members::OfMessage if name == "role" => Meaning::Role,
                Members::OfMessage if name == "name" => Meaning::Name,
                Members::OfMessage | Members::OfContent => in_content(name),
                Members::OfTool => in_tool(name),
                Members::OfSchema => in_schema(name),
                Members::OfContainer => in_container(name),
                Members::Options => in_options(name),
                Members::All(meaning) => meaning,
            };
            let nobody_reads = matches!(
                are,
                Members::Options | Members::OfContainer | Members::All(Meaning::NobodysText)
            );
            let new_name = if nobody_reads || name.is_empty() || is_name(name) {
                name.clone()
            } else {
                self.text(name, around)
            };
            let mut around = around.clone();
            around.named = around.named.and_then(|_| names_below(name));
            if matches!(are, Members::OfMessage | Members::OfContent)
                && is_one_of(name, "functionResponse function_response toolResult tool_result")
            {
                around.place.role = "tool";
            }
            new.push((new_name, self.value(value, meaning, &around)));
        }
        together(new)
    }

    /// Everything is read.
    fn data(&mut self, value: &Value, around: &Around, depth: usize) -> Value {
        match value {
            Value::Null => Value::Null,
            Value::String(text) => Value::String(self.text(text, around)),
            number if numbers::is_number(number) => self.number(value, around),
            Value::Bool(truth) => {
                self.say(What::Bool(*truth), around);
                value.clone()
            }
            Value::Array(_) | Value::Object(_) if depth >= DEEPEST => {
                self.unread("unknown", None, None, around);
                value.clone()
            }
            Value::Number(_) => unreachable!("every number is one"),
            Value::Array(items) => items
                .iter()
                .map(|item| self.data(item, around, depth + 1))
                .collect(),
            Value::Object(members) => {
                let mut new = Vec::new();
                for (name, value) in members {
                    let new_name = if name.is_empty() || is_name(name) {
                        name.clone()
                    } else {
                        self.text(name, around)
                    };
                    new.push((new_name, self.data(value, around, depth + 1)));
                }
                together(new)
            }
        }
    }
}

/// An object of these members; names that are equal get `_2`, `_3` … .
fn together(members: impl IntoIterator<Item = (String, Value)>) -> Value {
    let mut object = Map::new();
    for (name, value) in members {
        let numbered = (2..).map(|count| format!("{name}_{count}"));
        let free = std::iter::once(name.clone())
            .chain(numbered)
            .find(|free| !object.contains_key(free));
        object.insert(free.unwrap_or(name), value);
    }
    Value::Object(object)
}

fn is_empty(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::String(text) => text.is_empty(),
        Value::Array(items) => items.is_empty(),
        Value::Object(members) => members.is_empty(),
        Value::Bool(_) | Value::Number(_) => false,
    }
}

/// A whole number that a vocabulary may have.
fn is_token_id(value: &Value) -> bool {
    value
        .as_f64()
        .is_some_and(|x| (0.0..16_777_216.0).contains(&x) && x.fract() == 0.0)
}

/// What a tool gave is content where all of it are parts that the APIs name.
fn is_part(value: &Value) -> bool {
    let names = "text input_text output_text image image_url input_image input_file file document input_audio audio video logs computer_screenshot search_result";
    value
        .get("type")
        .and_then(Value::as_str)
        .is_some_and(|name| is_one_of(name, names))
}
