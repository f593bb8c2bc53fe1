//! What stands where: from a member's name to what its value means. The tables of the reader.
//!
//! Names are those of the providers' APIs, in the spellings that they accept. A name that is in no table holds plain
//! content: whatever strings are in it are texts.

mod kinds;
mod results;

use crate::piece::{Field, Role, UnreadKind};
pub(crate) use kinds::{MEDIA, is_part, kind_of_media, kind_of_type};
pub(crate) use results::{holds_result, is_result, is_understood, of_result, of_result_member};

/// What a value means, by where it stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Slot {
    /// A list of messages; one message alone; a text that is one.
    Turns,
    /// `input`: a text, a list of texts, of messages and other items, or token ids.
    Input,
    /// `prompt`: a text, a list of texts, token ids, or a template by its id.
    Prompt,
    /// A list of token ids, or else content.
    TokenIds,
    /// One message or item.
    Turn,
    /// A text, a list of parts, or one part; numbers are read.
    Content,
    /// One part of a content list; numbers are read.
    Part,
    /// Anything else inside content.
    Plain,
    /// The role of a message.
    Role,
    /// The name of a message.
    Name,
    /// An identifier, a type, a status.
    Id,
    /// An identifier of any length that is encoded.
    Signature,
    /// A name that refers to a definition.
    Names,
    /// A URL; of content of this kind, or only mentioned.
    Url(Option<UnreadKind>),
    /// Encoded data, of the kind that its surroundings say.
    Encoded,
    /// An object, URL or encoded data of this kind.
    Media(UnreadKind),
    /// A file, as [`Slot::Media`], but a string that is no URL is its text.
    Document,
    /// Where the data of a part is: an object, or a URL or encoded data where the part's kind is known.
    Source,
    /// The id of a stored file.
    FileRef,
    /// Data that only the provider can decrypt.
    Sealed,
    /// A reference to what the provider stores.
    Reference,
    /// What a tool was given, or gave: everything in it is read.
    Data,
    /// What a tool gave, which can be parts of content too.
    Output,
    /// Documents to answer from or to rank: everything in them is read, media are named.
    Documents,
    /// Values by names that the caller chose; each is content.
    Variables,
    /// Mentions of sources; ids of files are not content here.
    Mentions,
    /// Marks where a provider may cache; a part that holds nothing else is understood.
    Cache,
    /// A list of tool definitions.
    Tools,
    /// One tool definition.
    Tool,
    /// Servers of tools.
    Servers,
    /// Where the provider runs code, with what it stores there.
    Container,
    /// A JSON schema, or what stands around one.
    Schema,
    /// Schemas by names that the caller chose.
    Schemas,
    /// Options of the call: identifiers are not read.
    Options,
    /// Texts that no model reads, if they are short.
    Free,
    /// An object that says in what form to answer, or else content.
    TextOrFormat,
    /// An object that says in what voice to answer, or else sound.
    AudioOrVoice,
}

impl Slot {
    /// Whether a number that stands here is read.
    pub(crate) fn reads_numbers(self) -> bool {
        matches!(
            self,
            Self::Turns
                | Self::Input
                | Self::Prompt
                | Self::Turn
                | Self::Content
                | Self::Part
                | Self::Data
                | Self::Output
                | Self::Documents
                | Self::TextOrFormat
        )
    }
}

/// Order in which the known members of `llm` are read; what has no rank here comes before [`TOOLS_RANK`].
pub(crate) const RANKS: usize = 11;
/// The first rank that is read after other members.
pub(crate) const TOOLS_RANK: usize = 9;

/// The rank of a known member of `llm`.
pub(crate) fn rank(name: &str) -> Option<usize> {
    Some(match name.as_bytes() {
        b"system" => 0,
        b"systemInstruction" => 1,
        b"system_instruction" => 2,
        b"instructions" => 3,
        b"prompt" => 4,
        b"messages" => 5,
        b"input" => 6,
        b"contents" => 7,
        b"preamble" => 8,
        b"tools" => 9,
        b"functions" => 10,
        _ => return None,
    })
}

/// What a member of `llm` means.
pub(crate) fn top(name: &str) -> (Slot, Field, Role) {
    let (slot, field, role) = match name.as_bytes() {
        b"system" | b"systemInstruction" | b"system_instruction" => {
            (Slot::Content, Field::System, Role::System)
        }
        b"instructions" => (Slot::Content, Field::Instructions, Role::System),
        b"prompt" => (Slot::Prompt, Field::Prompt, Role::User),
        b"messages" => (Slot::Turns, Field::Messages, Role::User),
        b"input" => (Slot::Input, Field::Input, Role::User),
        b"contents" => (Slot::Turns, Field::Contents, Role::User),
        b"tools" | b"functions" => (Slot::Tools, Field::Tools, Role::Unknown),
        // Cohere, and every API that embeds or ranks.
        b"preamble" => (Slot::Content, Field::Other, Role::System),
        b"message" => (Slot::Content, Field::Message, Role::User),
        b"query" | b"content" | b"suffix" | b"texts" | b"inputText" => {
            (Slot::Content, Field::Other, Role::User)
        }
        b"text" => (Slot::TextOrFormat, Field::Other, Role::User),
        b"audio" => (Slot::AudioOrVoice, Field::Other, Role::User),
        b"inputs" | b"prompt_token_ids" | b"input_ids" | b"inputIds" => {
            (Slot::Prompt, Field::Other, Role::User)
        }
        b"chat_history" | b"chatHistory" => (Slot::Turns, Field::Other, Role::User),
        b"variables" | b"promptVariables" | b"prompt_variables" => {
            (Slot::Variables, Field::Other, Role::User)
        }
        b"responseFormat" | b"response_format" | b"outputConfig" | b"output_config" | b"output_format" => {
            (Slot::Schema, Field::Other, Role::Unknown)
        }
        b"mcpServers" | b"mcp_servers" => (Slot::Servers, Field::Other, Role::Unknown),
        b"container" => (Slot::Container, Field::Other, Role::Unknown),
        b"previousResponseId"
        | b"previous_response_id"
        | b"conversation"
        | b"conversation_id"
        | b"conversationId"
        | b"cachedContent"
        | b"cached_content" => (Slot::Reference, Field::Other, Role::Unknown),
        b"stop" | b"stopSequences" | b"stop_sequences" | b"metadata" | b"labels" | b"requestMetadata" => {
            (Slot::Free, Field::Other, Role::Unknown)
        }
        _ if option(name) => (Slot::Options, Field::Other, Role::Unknown),
        _ => (inside(name).0, Field::Other, Role::Unknown),
    };
    (slot, field, role)
}

/// Members of `llm` that say how to call the model, or that the engine computes.
fn option(name: &str) -> bool {
    matches!(
        name.as_bytes(),
        b"provider" | b"model" | b"maxTokens" | b"max_tokens" | b"maxCompletionTokens" | b"max_completion_tokens"
        | b"maxOutputTokens" | b"max_output_tokens" | b"maxNewTokens" | b"max_new_tokens" | b"n" | b"bestOf" | b"best_of"
        | b"candidateCount" | b"candidate_count" | b"temperature" | b"topP" | b"top_p" | b"p" | b"topK" | b"top_k"
        | b"k" | b"minP" | b"min_p" | b"seed" | b"stream" | b"streamOptions" | b"stream_options" | b"store" | b"echo"
        | b"reasoning" | b"reasoningEffort" | b"reasoning_effort" | b"thinking" | b"thinkingConfig"
        | b"thinking_config" | b"verbosity" | b"serviceTier" | b"service_tier" | b"user" | b"region"
        | b"safetyIdentifier" | b"safety_identifier" | b"promptCacheKey" | b"prompt_cache_key"
        | b"promptCacheRetention" | b"prompt_cache_retention" | b"presencePenalty" | b"presence_penalty"
        | b"frequencyPenalty" | b"frequency_penalty" | b"repetitionPenalty" | b"repetition_penalty"
        | b"repeat_penalty" | b"logitBias" | b"logit_bias" | b"logprobs" | b"topLogprobs" | b"top_logprobs"
        | b"parallelToolCalls" | b"parallel_tool_calls" | b"maxToolCalls" | b"max_tool_calls" | b"toolChoice"
        | b"tool_choice" | b"functionCall" | b"function_call" | b"toolConfig" | b"tool_config" | b"truncation" | b"truncate" | b"background"
        | b"include" | b"modalities" | b"voice" | b"encodingFormat" | b"encoding_format" | b"dimensions"
        | b"input_type" | b"inputType" | b"task_type" | b"taskType" | b"embedding_types" | b"top_n" | b"topN"
        | b"return_documents" | b"max_chunks_per_doc" | b"generationConfig" | b"generation_config"
        | b"inferenceConfig" | b"inference_config" | b"performanceConfig" | b"safetySettings" | b"safety_settings"
        | b"guardrailConfig" | b"guardrail_config" | b"options" | b"parameters" | b"keep_alive" | b"format"
        | b"anthropic_version" | b"anthropicVersion" | b"anthropic_beta" | b"betas" | b"id" | b"object"
        | b"contextManagement" | b"context_management" | b"raw" | b"modelId"
        | b"citationQuality" | b"citation_quality" | b"safety_mode" | b"safetyMode"
        // Derived fields. `text` is not among them: an API may have a member of that name.
        | b"normalizedText" | b"normalized_text" | b"lastUserText" | b"last_user_text" | b"unreadContent"
        | b"unread_content" | b"canonicalModel" | b"canonical_model" | b"modelFamily" | b"model_family"
        | b"estimatedTokens" | b"estimated_tokens" | b"estimatedCost" | b"estimated_cost" | b"maxCost" | b"max_cost"
        | b"containsPII" | b"contains_pii" | b"piiTypes" | b"pii_types" | b"injectionSignals" | b"injection_signals"
        | b"injectionScore" | b"injection_score"
    )
}

/// What a member inside content means, and whether its name is one that an API has.
pub(crate) fn inside(name: &str) -> (Slot, bool) {
    use UnreadKind::{Audio, File, Image, Video};
    let slot = match name.as_bytes() {
        b"content" | b"parts" | b"text" | b"thinking" | b"refusal" | b"message" | b"value"
        | b"transcript" | b"reasoning_content" | b"query" | b"texts" => Slot::Content,
        b"id" | b"type" | b"role" | b"status" | b"detail" | b"format" | b"media_type" | b"mediaType"
        | b"mime_type" | b"mimeType" | b"object" | b"language" | b"outcome" | b"encoding" | b"phase"
        | b"bucketOwner" | b"bucket_owner" => Slot::Id,
        b"signature" | b"thoughtSignature" | b"thought_signature" | b"encrypted_index" => Slot::Signature,
        b"arguments"
        | b"args"
        | b"input"
        | b"response"
        | b"json"
        | b"parameters"
        | b"tool_input"
        | b"structuredContent"
        | b"structured_content" => Slot::Data,
        b"output" | b"outputs" | b"result" | b"tool_output" => Slot::Output,
        b"documents" => Slot::Documents,
        b"variables" => Slot::Variables,
        b"source" => Slot::Source,
        b"data" | b"bytes" | b"b64_json" | b"base64" | b"blob" | b"partial_image_b64" | b"prompt_embeds" => {
            Slot::Encoded
        }
        b"image" | b"images" | b"image_url" | b"imageUrl" | b"image_file" | b"input_image" => {
            Slot::Media(Image)
        }
        b"audio" | b"input_audio" | b"inputAudio" | b"audio_url" | b"audioUrl" => Slot::Media(Audio),
        b"video" | b"videos" | b"video_url" | b"videoUrl" | b"input_video" => Slot::Media(Video),
        b"file_data" | b"fileData" | b"inline_data" | b"inlineData" => Slot::Media(File),
        b"document" | b"file" | b"input_file" => Slot::Document,
        b"file_id" | b"fileId" | b"file_ids" | b"fileIds" | b"vector_store_ids" | b"vectorStoreIds" => {
            Slot::FileRef
        }
        b"file_uri" | b"fileUri" | b"file_url" | b"fileUrl" => Slot::Url(Some(File)),
        b"url" | b"uri" => Slot::Url(None),
        b"cache_control" | b"cacheControl" | b"cachePoint" | b"cache_point" => Slot::Cache,
        b"annotations" | b"citations" | b"results" => Slot::Mentions,
        b"redactedContent" | b"redacted_content" => Slot::Sealed,
        b"previous_response_id" | b"previousResponseId" => Slot::Reference,
        b"tools" | b"functions" | b"functionDeclarations" | b"function_declarations" => Slot::Tools,
        b"logprobs" => Slot::Options,
        b"context" | b"tokens" | b"input_ids" | b"inputIds" | b"prompt_token_ids" | b"token_ids"
        | b"tokenIds" => Slot::TokenIds,
        b"messages" | b"contents" | b"chat_history" => Slot::Turns,
        b"prompt" => Slot::Prompt,
        _ => return (by_ending(name), false),
    };
    (slot, true)
}

/// What a member means whose name is in no table.
fn by_ending(name: &str) -> Slot {
    let ends = |endings: [&str; 2]| endings.iter().any(|ending| name.ends_with(ending));
    if name.starts_with("encrypted") {
        Slot::Sealed
    } else if ends(["_id", "Id"]) {
        Slot::Id
    } else if ends(["_url", "Url"]) || ends(["_uri", "Uri"]) {
        Slot::Url(None)
    } else {
        Slot::Plain
    }
}

/// What a member of a tool definition or a schema means.
pub(crate) fn in_schema(name: &str) -> Slot {
    match name.as_bytes() {
        b"type"
        | b"format"
        | b"$ref"
        | b"$schema"
        | b"$id"
        | b"$anchor"
        | b"id"
        | b"behavior"
        | b"verbosity"
        | b"syntax"
        | b"search_context_size" => Slot::Id,
        b"required" | b"propertyOrdering" | b"property_ordering" => Slot::Names,
        b"default" | b"const" | b"enum" | b"examples" | b"example" | b"input_examples" => Slot::Data,
        b"properties"
        | b"patternProperties"
        | b"$defs"
        | b"definitions"
        | b"dependentSchemas"
        | b"parameter_definitions" => Slot::Schemas,
        b"url" | b"uri" | b"server_url" => Slot::Url(None),
        b"cache_control" | b"cachePoint" | b"cache_point" => Slot::Options,
        b"container" => Slot::Container,
        b"file_ids"
        | b"fileIds"
        | b"file_id"
        | b"fileId"
        | b"vector_store_ids"
        | b"vectorStoreIds"
        | b"fileSearchStoreNames"
        | b"file_search_store_names"
        | b"datastore"
        | b"ragCorpus"
        | b"rag_corpus" => Slot::FileRef,
        b"tools" | b"functions" | b"functionDeclarations" | b"function_declarations" => Slot::Tools,
        _ if name.ends_with("_id") || name.ends_with("Id") || name.ends_with("_ids") => Slot::Id,
        _ => Slot::Schema,
    }
}

/// What a member that stands directly in a tool or a server of tools means.
pub(crate) fn in_tool(name: &str) -> Slot {
    match name.as_bytes() {
        b"headers" | b"authorization" | b"authorization_token" => Slot::Free,
        _ => in_schema(name),
    }
}

/// What a member of a container, where the provider runs code, means.
pub(crate) fn in_container(name: &str) -> Slot {
    match name.as_bytes() {
        b"id" | b"skills" => Slot::Reference,
        b"file_ids" | b"fileIds" | b"vector_store_ids" | b"vectorStoreIds" => Slot::FileRef,
        _ => in_options(name),
    }
}

/// What a member of an object of options means.
pub(crate) fn in_options(name: &str) -> Slot {
    match name.as_bytes() {
        b"responseSchema"
        | b"response_schema"
        | b"responseJsonSchema"
        | b"response_json_schema"
        | b"json_schema"
        | b"jsonSchema"
        | b"schema"
        | b"responseFormat"
        | b"response_format"
        | b"grammar" => Slot::Schema,
        b"properties" | b"$defs" | b"definitions" => Slot::Schemas,
        b"stop" | b"stopSequences" | b"stop_sequences" => Slot::Free,
        b"system"
        | b"systemInstruction"
        | b"system_instruction"
        | b"instructions"
        | b"template"
        | b"summary_prompt"
        | b"prompt"
        | b"prompts"
        | b"input"
        | b"inputs"
        | b"query"
        | b"question"
        | b"instruction"
        | b"message"
        | b"system_message"
        | b"systemMessage"
        | b"prefix"
        | b"suffix"
        | b"messages"
        | b"text"
        | b"content"
        | b"examples"
        | b"preamble"
        | b"negative_prompt"
        | b"negativePrompt" => Slot::Content,
        b"tools" | b"functions" | b"functionDeclarations" | b"function_declarations" => Slot::Tools,
        b"cachedContent" | b"cached_content" => Slot::Reference,
        b"context" | b"tokens" | b"input_ids" | b"inputIds" | b"prompt_token_ids" | b"token_ids"
        | b"tokenIds" => Slot::TokenIds,
        b"promptCacheKey" | b"prompt_cache_key" | b"promptCacheRetention" | b"prompt_cache_retention" => {
            Slot::Options
        }
        _ if name.contains("prompt") || name.contains("Prompt") => Slot::Content,
        _ => Slot::Options,
    }
}

/// Who a role is.
pub(crate) fn role(name: &str) -> Role {
    const ROLES: [(&str, Role); 11] = [
        ("user", Role::User),
        ("assistant", Role::Assistant),
        ("system", Role::System),
        ("tool", Role::Tool),
        ("model", Role::Assistant),
        ("developer", Role::System),
        ("function", Role::Tool),
        ("human", Role::User),
        ("chatbot", Role::Assistant),
        ("ai", Role::Assistant),
        ("bot", Role::Assistant),
    ];
    let name = name.trim();
    ROLES
        .iter()
        .find(|(known, _)| name.eq_ignore_ascii_case(known))
        .map_or(Role::Unknown, |(_, role)| *role)
}

/// Who an item without a role belongs to, by its `type`.
pub(crate) fn role_of_item(kind: Option<&str>) -> Role {
    match kind {
        Some("reasoning") => Role::Assistant,
        Some(kind) if is_result(kind) => Role::Tool,
        Some(kind) if kind.ends_with("_call") => Role::Assistant,
        _message => Role::User,
    }
}
