//! Names of models as gateways write them, and the row that holds their seller's price, or none.
//!
//! Each line is what a request says as provider and model, and the row of the price table with the seller's own price for
//! it; `?` where nobody can know it from the name. The answer is right when the prices are those of that row, so that a
//! dated name and an alias of the same price stand for each other.

use policy_primitives::prices::{Entry, PriceTable, Resolution};

/// Provider (`-` for none), model, row.
const NAMES: &str = "
# OpenAI, by itself
- gpt-4o = gpt-4o
- GPT-4o = gpt-4o
openai gpt-4o = gpt-4o
openai openai/gpt-4o = gpt-4o
- openai/gpt-4o-2024-08-06 = gpt-4o-2024-08-06
openai gpt-4o-2024-05-13 = gpt-4o-2024-05-13
openai gpt-4o-2024-11-20 = gpt-4o-2024-11-20
openai gpt-4o-mini = gpt-4o-mini
openai gpt-4o-mini-2024-07-18 = gpt-4o-mini-2024-07-18
OpenAI gpt-4.1 = gpt-4.1
- gpt-4.1-mini-2025-04-14 = gpt-4.1-mini-2025-04-14
- gpt-4.1-nano = gpt-4.1-nano
- gpt-4-turbo = gpt-4-turbo
- gpt-4-turbo-2024-04-09 = gpt-4-turbo-2024-04-09
- gpt-4-turbo-preview = gpt-4-turbo-preview
- gpt-4-1106-preview = gpt-4-1106-preview
- gpt-4-0125-preview = gpt-4-0125-preview
- gpt-4 = gpt-4
- gpt-4-0613 = gpt-4-0613
- gpt-4-0314 = gpt-4-0314
- gpt-4-32k = gpt-4-32k
- gpt-4-32k-0613 = gpt-4-32k-0613
- gpt-3.5-turbo = gpt-3.5-turbo
- gpt-3.5-turbo-0125 = gpt-3.5-turbo-0125
- gpt-3.5-turbo-1106 = gpt-3.5-turbo-1106
- gpt-3.5-turbo-0613 = gpt-3.5-turbo-0613
- gpt-3.5-turbo-0301 = gpt-3.5-turbo-0301
openai gpt-3.5-turbo-instruct = gpt-3.5-turbo-instruct
- gpt-4.5-preview = gpt-4.5-preview
- gpt-5 = gpt-5
- gpt-5-2025-08-07 = gpt-5-2025-08-07
- gpt-5-mini = gpt-5-mini
- gpt-5-nano = gpt-5-nano
- gpt-5-pro = gpt-5-pro
- gpt-5.1 = gpt-5.1
- gpt-5.1-codex-max = gpt-5.1-codex-max
- gpt-5.2 = gpt-5.2
- gpt-5.4 = gpt-5.4
- gpt-5.4-2026-03-05 = gpt-5.4-2026-03-05
- o1 = o1
- o1-2024-12-17 = o1-2024-12-17
- o1-preview = o1-preview
- o1-mini = o1-mini
- o1-pro = o1-pro
- o3 = o3
- o3-2025-04-16 = o3-2025-04-16
- o3-mini = o3-mini
- o4-mini-2025-04-16 = o4-mini-2025-04-16
- ft:gpt-4o-mini-2024-07-18:acme::abc123 = ft:gpt-4o-mini-2024-07-18
openai ft:gpt-4o-2024-08-06:acme:support:7p4lURel = ft:gpt-4o-2024-08-06
- ft:gpt-3.5-turbo-0125:acme::x = ft:gpt-3.5-turbo-0125
- ft:gpt-4.1-2025-04-14:acme::x = ft:gpt-4.1-2025-04-14
- text-embedding-3-small = text-embedding-3-small
openai text-embedding-3-large = text-embedding-3-large
- text-embedding-ada-002 = text-embedding-ada-002
- davinci-002 = davinci-002
- text-davinci-003 = text-davinci-003
- text-davinci-004 = ?
# Dates that nobody has listed
- gpt-4o-2023-01-01 = ?
- gpt-4o-2099-01-01 = ?
- gpt-3.5-turbo-0914 = ?
- gpt-4o-mini-preview = ?
- gpt-4-turbo-2023-11-06 = gpt-4-turbo
# What is no name of a model
- gpt-4oo = ?
- gpt-4o-vision = ?
- gpt-9 = ?
- gpt = ?
- my-deployment = ?
- auto = ?
- default = ?
- ft:gpt-4o-nano:acme::x = ?
# Azure: the deployment is named after the model; data zones cost more
azure azure/gpt-4o = azure/gpt-4o
azure gpt-4o = azure/gpt-4o
- azure/gpt-4o-2024-08-06 = azure/gpt-4o-2024-08-06
azure azure/eu/gpt-4o = azure/eu/gpt-4o
- azure/eu/gpt-4o-2024-08-06 = azure/eu/gpt-4o-2024-08-06
- azure/us/gpt-4.1 = azure/us/gpt-4.1
- azure/us/o3-mini = azure/us/o3-mini
azure eu/gpt-5 = azure/eu/gpt-5
- azure/global-standard/gpt-4o-2024-08-06 = azure/global-standard/gpt-4o-2024-08-06
- azure/global/gpt-5.1 = azure/global/gpt-5.1
- azure/global/gpt-4o-mini = azure/gpt-4o-mini
- azure/global-standard/gpt-4.1 = azure/gpt-4.1
- azure/swedencentral/gpt-4o = ?
- azure/westeurope/gpt-4o-mini = ?
- azure/apac/gpt-4o = ?
azure-openai gpt-4o-mini = azure/gpt-4o-mini
azure_openai gpt-4.1-nano = azure/gpt-4.1-nano
Azure gpt-35-turbo = azure/gpt-35-turbo
- azure/gpt-35-turbo-0613 = azure/gpt-35-turbo-0613
- azure/gpt-4-32k = azure/gpt-4-32k
azure gpt-4 = azure/gpt-4
azure o1 = azure/o1
azure o3-mini-2025-01-31 = azure/o3-mini-2025-01-31
azure text-embedding-3-small = azure/text-embedding-3-small
azure my-gpt4o = ?
azure azure/prod-chat = ?
azure gpt-4o-2099-01-01 = ?
azure claude-sonnet-4-5 = ?
- azure_ai/Llama-3.3-70B-Instruct = azure_ai/llama-3.3-70b-instruct
azure_ai Phi-4 = azure_ai/phi-4
# Anthropic, by itself
- claude-sonnet-4-5 = claude-sonnet-4-5
anthropic claude-sonnet-4-5-20250929 = claude-sonnet-4-5-20250929
anthropic anthropic/claude-sonnet-4-5 = claude-sonnet-4-5
- claude-sonnet-4.5 = claude-sonnet-4-5
anthropic claude-4.5-sonnet = claude-sonnet-4-5
- claude-4-5-sonnet = claude-sonnet-4-5
- claude-sonnet-4-5-latest = claude-sonnet-4-5
anthropic claude-haiku-4-5 = claude-haiku-4-5
- claude-haiku-4.5 = claude-haiku-4-5
- claude-opus-4-5-20251101 = claude-opus-4-5-20251101
- claude-opus-4.6 = claude-opus-4-6
- claude-opus-4-7 = claude-opus-4-7
- anthropic/claude-opus-4.8 = claude-opus-4-8
- claude-sonnet-4-20250514 = claude-sonnet-4-20250514
- claude-opus-4-20250514 = claude-opus-4-20250514
- claude-opus-4-1-20250805 = claude-opus-4-1-20250805
- claude-opus-4-1 = claude-opus-4-1
- claude-3-7-sonnet-20250219 = claude-3-7-sonnet-20250219
- claude-3-7-sonnet-latest = claude-3-7-sonnet-latest
- claude-3-5-sonnet-20241022 = claude-3-5-sonnet-20241022
- claude-3-5-sonnet-20240620 = claude-3-5-sonnet-20240620
anthropic claude-3-5-sonnet-latest = claude-3-5-sonnet-latest
- claude-3.5-sonnet = claude-3-5-sonnet-20241022
anthropic anthropic/claude-3.5-sonnet = claude-3-5-sonnet-20241022
- claude-3.7-sonnet = claude-3-7-sonnet-20250219
- claude-3-5-haiku-20241022 = claude-3-5-haiku-20241022
- claude-3-opus-20240229 = claude-3-opus-20240229
- claude-3-opus = claude-3-opus-20240229
- claude-3-sonnet-20240229 = claude-3-sonnet-20240229
- claude-3-haiku-20240307 = claude-3-haiku-20240307
- anthropic/claude-3-haiku = claude-3-haiku-20240307
- claude-2.1 = claude-2.1
- claude-instant-1.2 = claude-instant-1.2
- claude-sonnet-4-99 = ?
- claude-sonnet-9 = ?
- claude = ?
- claude-3-5-opus = ?
openai claude-sonnet-4-5 = ?
# Bedrock
bedrock us.anthropic.claude-sonnet-4-5-20250929-v1:0 = us.anthropic.claude-sonnet-4-5-20250929-v1:0
- eu.anthropic.claude-sonnet-4-5-20250929-v1:0 = eu.anthropic.claude-sonnet-4-5-20250929-v1:0
- global.anthropic.claude-sonnet-4-5-20250929-v1:0 = global.anthropic.claude-sonnet-4-5-20250929-v1:0
- anthropic.claude-sonnet-4-5-20250929-v1:0 = anthropic.claude-sonnet-4-5-20250929-v1:0
- bedrock/us.anthropic.claude-sonnet-4-5-20250929-v1:0 = us.anthropic.claude-sonnet-4-5-20250929-v1:0
bedrock bedrock/converse/us.anthropic.claude-sonnet-4-5-20250929-v1:0 = us.anthropic.claude-sonnet-4-5-20250929-v1:0
- bedrock/invoke/anthropic.claude-3-5-sonnet-20240620-v1:0 = anthropic.claude-3-5-sonnet-20240620-v1:0
- bedrock/invoke/eu.anthropic.claude-3-7-sonnet-20250219-v1:0 = eu.anthropic.claude-3-7-sonnet-20250219-v1:0
bedrock arn:aws:bedrock:us-east-1:123456789012:inference-profile/us.anthropic.claude-sonnet-4-5-20250929-v1:0 = us.anthropic.claude-sonnet-4-5-20250929-v1:0
- arn:aws:bedrock:eu-west-1:123456789012:inference-profile/eu.amazon.nova-pro-v1:0 = eu.amazon.nova-pro-v1:0
- bedrock/arn:aws:bedrock:us-west-2::foundation-model/anthropic.claude-3-5-sonnet-20241022-v2:0 = anthropic.claude-3-5-sonnet-20241022-v2:0
bedrock arn:aws:bedrock:us-east-1:123456789012:application-inference-profile/a1b2c3d4e5f6 = ?
bedrock arn:aws:bedrock:us-east-1:123456789012:provisioned-model/a1b2c3 = ?
- bedrock/us-east-1/anthropic.claude-v2:1 = bedrock/us-east-1/anthropic.claude-v2:1
- bedrock/us-east-1/1-month-commitment/anthropic.claude-v2:1 = bedrock/us-east-1/1-month-commitment/anthropic.claude-v2:1
- bedrock/us-gov-west-1/anthropic.claude-3-5-sonnet-20240620-v1:0 = bedrock/us-gov-west-1/anthropic.claude-3-5-sonnet-20240620-v1:0
- bedrock/us-west-2/anthropic.claude-3-5-sonnet-20241022-v2:0 = anthropic.claude-3-5-sonnet-20241022-v2:0
- bedrock/us-east-1/us.anthropic.claude-opus-4-1-20250805-v1:0 = us.anthropic.claude-opus-4-1-20250805-v1:0
- bedrock/eu-west-1/meta.llama3-70b-instruct-v1:0 = bedrock/eu-west-1/meta.llama3-70b-instruct-v1:0
- bedrock/ap-northeast-1/deepseek.v3.2 = bedrock/ap-northeast-1/deepseek.v3.2
- bedrock/eu-west-1/amazon.nova-pro-v1:0 = ?
- ca.amazon.nova-pro-v1:0 = ?
- bedrock/ca.amazon.nova-lite-v1:0 = ?
- eu.amazon.nova-micro-v1:0 = eu.amazon.nova-micro-v1:0
- amazon.nova-pro-v1:0 = amazon.nova-pro-v1:0
bedrock amazon.nova-lite-v1:0 = amazon.nova-lite-v1:0
aws us.amazon.nova-lite-v1:0 = us.amazon.nova-lite-v1:0
amazon-bedrock us.meta.llama3-3-70b-instruct-v1:0 = us.meta.llama3-3-70b-instruct-v1:0
- us.meta.llama4-maverick-17b-instruct-v1:0 = us.meta.llama4-maverick-17b-instruct-v1:0
- us.deepseek.r1-v1:0 = us.deepseek.r1-v1:0
- apac.anthropic.claude-sonnet-4-20250514-v1:0 = apac.anthropic.claude-sonnet-4-20250514-v1:0
- us-gov.anthropic.claude-sonnet-4-5-20250929-v1:0 = us-gov.anthropic.claude-sonnet-4-5-20250929-v1:0
- jp.anthropic.claude-sonnet-4-5-20250929-v1:0 = jp.anthropic.claude-sonnet-4-5-20250929-v1:0
- us.anthropic.claude-opus-4-6-v1 = us.anthropic.claude-opus-4-6-v1
- anthropic.claude-3-haiku-20240307-v1:0 = anthropic.claude-3-haiku-20240307-v1:0
- anthropic.claude-3-opus-20240229-v1:0 = anthropic.claude-3-opus-20240229-v1:0
- amazon.titan-embed-text-v2:0 = amazon.titan-embed-text-v2:0
- cohere.embed-english-v3 = cohere.embed-english-v3
- us-gov.amazon.nova-pro-v1:0 = ?
bedrock gpt-4o = ?
bedrock claude-instant = ?
# Google
gemini models/gemini-2.5-pro = gemini/gemini-2.5-pro
- gemini/gemini-2.5-pro = gemini/gemini-2.5-pro
google gemini-2.5-flash = gemini/gemini-2.5-flash
google-ai-studio gemini-2.5-flash-lite = gemini/gemini-2.5-flash-lite
- gemini-2.5-pro = gemini-2.5-pro
- google/gemini-2.5-flash = gemini/gemini-2.5-flash
- models/gemini-2.5-flash = gemini/gemini-2.5-flash
vertex_ai gemini-2.5-pro = gemini-2.5-pro
vertex_ai vertex_ai/gemini-2.5-pro = gemini-2.5-pro
vertex gemini-2.5-flash = gemini-2.5-flash
google-vertex gemini-2.5-flash-lite = gemini-2.5-flash-lite
vertex_ai google/gemini-2.5-pro = gemini-2.5-pro
- publishers/google/models/gemini-2.5-pro = gemini-2.5-pro
vertex_ai projects/p-1/locations/us-central1/publishers/google/models/gemini-2.5-flash = gemini-2.5-flash
- gemini/gemini-1.5-pro = gemini/gemini-1.5-pro
- gemini-1.5-pro = gemini-1.5-pro
gemini gemini-1.5-flash-002 = gemini/gemini-1.5-flash-002
- gemini-1.5-flash = gemini-1.5-flash
- gemini/gemini-1.5-pro-latest = gemini/gemini-1.5-pro-latest
- gemini-2.0-flash-001 = gemini-2.0-flash-001
- gemini/gemini-2.0-flash = gemini/gemini-2.0-flash
gemini gemini-2.0-flash-lite = gemini/gemini-2.0-flash-lite
- gemini/gemini-2.5-pro-preview-05-06 = gemini/gemini-2.5-pro-preview-05-06
- gemini-2.5-flash-preview-04-17 = gemini-2.5-flash-preview-04-17
- gemini-2.5-pro-preview-12-31 = ?
- gemini-3-flash-preview = gemini-3-flash-preview
- gemini-1.0-pro = gemini-1.0-pro
- gemini-2.5 = ?
- gemini-4 = ?
openai gemini-2.5-pro = ?
gemini text-embedding-004 = ?
# Claude on Vertex
vertex_ai claude-sonnet-4-5@20250929 = vertex_ai/claude-sonnet-4-5@20250929
vertex_ai vertex_ai/claude-sonnet-4-5 = vertex_ai/claude-sonnet-4-5
- vertex_ai/claude-opus-4-6@default = vertex_ai/claude-opus-4-6@default
- vertex_ai/claude-sonnet-4-5@20990101 = vertex_ai/claude-sonnet-4-5
- vertex_ai/claude-3-5-sonnet@20240620 = vertex_ai/claude-3-5-sonnet@20240620
- vertex_ai/claude-3-haiku@20240307 = vertex_ai/claude-3-haiku@20240307
vertex_ai publishers/anthropic/models/claude-haiku-4-5 = vertex_ai/claude-haiku-4-5
vertex_ai projects/p-1/locations/global/publishers/anthropic/models/claude-sonnet-4-5 = vertex_ai/claude-sonnet-4-5
vertex_ai projects/p-1/locations/us-east5/publishers/anthropic/models/claude-sonnet-4-5 = ?
- vertex_ai/us-east5/claude-sonnet-4-5@20250929 = ?
- vertex_ai/claude-sonnet-9 = ?
vertex_ai meta/llama-3.1-405b-instruct-maas = vertex_ai/meta/llama-3.1-405b-instruct-maas
vertex_ai publishers/meta/models/llama-3.1-70b-instruct-maas = vertex_ai/meta/llama-3.1-70b-instruct-maas
# OpenRouter: makers' own prices where the maker is the only source
openrouter anthropic/claude-sonnet-4.5 = claude-sonnet-4-5
openrouter openrouter/anthropic/claude-sonnet-4.5 = claude-sonnet-4-5
- openrouter/anthropic/claude-3.5-sonnet = claude-3-5-sonnet-20241022
- openrouter/anthropic/claude-3.5-sonnet:beta = claude-3-5-sonnet-20241022
openrouter anthropic/claude-3.7-sonnet:thinking = claude-3-7-sonnet-20250219
openrouter anthropic/claude-opus-4.1 = claude-opus-4-1
openrouter anthropic/claude-haiku-4.5 = claude-haiku-4-5
openrouter openai/gpt-4o = gpt-4o
- openrouter/openai/gpt-4o-2024-08-06 = gpt-4o-2024-08-06
- openrouter/openai/gpt-4.1-mini = gpt-4.1-mini
openrouter openai/o3-mini = o3-mini
- openrouter/google/gemini-2.5-pro = gemini/gemini-2.5-pro
openrouter google/gemini-2.5-flash = gemini/gemini-2.5-flash
openrouter openai/gpt-4o:extended = ?
openrouter openai/gpt-oss-120b = ?
openrouter deepseek/deepseek-chat = ?
- openrouter/deepseek/deepseek-r1 = ?
- openrouter/meta-llama/llama-3.3-70b-instruct = ?
openrouter qwen/qwen3-coder = ?
openrouter mistralai/mistral-large = ?
openrouter google/gemma-3-27b-it = ?
openrouter anthropic/claude-sonnet-9 = ?
openrouter gpt-4o = ?
# Other sellers
- deepseek/deepseek-chat = deepseek/deepseek-chat
deepseek deepseek-reasoner = deepseek/deepseek-reasoner
- deepseek-chat = deepseek-chat
mistral mistral-large-latest = mistral/mistral-large-latest
- mistral/mistral-large-latest = mistral/mistral-large-latest
mistralai codestral-2508 = mistral/codestral-2508
mistral mistral-large-2407 = mistral/mistral-large-2407
mistral mistral-large-2411 = mistral/mistral-large-2411
mistral mistral-large-2303 = ?
mistral open-mixtral-8x7b = mistral/open-mixtral-8x7b
mistral mistral-medium-latest = mistral/mistral-medium-latest
xai grok-4.5 = xai/grok-4.5
- xai/grok-4.3-latest = xai/grok-4.3-latest
x-ai grok-code-fast-1 = xai/grok-code-fast-1
groq llama-3.3-70b-versatile = groq/llama-3.3-70b-versatile
- groq/llama-3.1-8b-instant = groq/llama-3.1-8b-instant
groq openai/gpt-oss-120b = groq/openai/gpt-oss-120b
- groq/openai/gpt-oss-20b = groq/openai/gpt-oss-20b
groq gpt-4o = ?
groq llama-3.3-70b = ?
together_ai meta-llama/Llama-3.3-70B-Instruct-Turbo = together_ai/meta-llama/llama-3.3-70b-instruct-turbo
- together_ai/meta-llama/Llama-3.3-70B-Instruct-Turbo = together_ai/meta-llama/llama-3.3-70b-instruct-turbo
together deepseek-ai/DeepSeek-V3.1 = together_ai/deepseek-ai/deepseek-v3.1
together_ai meta-llama/Llama-3.3-70B-Instruct-Turbo-Free = ?
- fireworks_ai/accounts/fireworks/models/llama-v3p1-70b-instruct = fireworks_ai/accounts/fireworks/models/llama-v3p1-70b-instruct
fireworks accounts/fireworks/models/deepseek-v3p1 = fireworks_ai/accounts/fireworks/models/deepseek-v3p1
- fireworks_ai/llama-v3p3-70b-instruct = fireworks_ai/accounts/fireworks/models/llama-v3p3-70b-instruct
cerebras llama3.1-8b = cerebras/llama3.1-8b
- cerebras/gpt-oss-120b = cerebras/gpt-oss-120b
sambanova Meta-Llama-3.3-70B-Instruct = sambanova/meta-llama-3.3-70b-instruct
perplexity sonar-pro = perplexity/sonar-pro
- perplexity/sonar = perplexity/sonar
cohere command-r-plus-08-2024 = command-r-plus-08-2024
- command-a-03-2025 = command-a-03-2025
- cohere/command-r-08-2024 = command-r-08-2024
moonshot kimi-k2.5 = moonshot/kimi-k2.5
zai glm-4.6 = zai/glm-4.6
z-ai glm-4.5-air = zai/glm-4.5-air
dashscope qwen3-max = dashscope/qwen3-max
- dashscope/qwen-plus-latest = dashscope/qwen-plus-latest
deepinfra meta-llama/Llama-3.3-70B-Instruct-Turbo = deepinfra/meta-llama/llama-3.3-70b-instruct-turbo
novita deepseek/deepseek-r1-0528 = novita/deepseek/deepseek-r1-0528
databricks databricks-claude-sonnet-4-5 = databricks/databricks-claude-sonnet-4-5
- databricks/databricks-claude-sonnet-4-5 = databricks/databricks-claude-sonnet-4-5
snowflake claude-sonnet-4-5 = snowflake/claude-sonnet-4-5
- replicate/anthropic/claude-3.5-sonnet = replicate/anthropic/claude-3.5-sonnet
replicate anthropic/claude-4.5-sonnet = replicate/anthropic/claude-4.5-sonnet
- vercel_ai_gateway/anthropic/claude-sonnet-4.5 = vercel_ai_gateway/anthropic/claude-sonnet-4.5
vercel openai/gpt-4o = vercel_ai_gateway/openai/gpt-4o
oci cohere.command-a-03-2025 = oci/cohere.command-a-03-2025
watsonx meta-llama/llama-3-3-70b-instruct = watsonx/meta-llama/llama-3-3-70b-instruct
- cloudflare/@cf/meta/llama-3.2-1b-instruct = cloudflare/@cf/meta/llama-3.2-1b-instruct
workers-ai @cf/meta/llama-3.2-1b-instruct = cloudflare/@cf/meta/llama-3.2-1b-instruct
ollama llama3 = ollama/llama3
voyage voyage-3.5 = voyage/voyage-3.5
hyperbolic deepseek-ai/DeepSeek-V3 = hyperbolic/deepseek-ai/deepseek-v3
# A proxy of the caller's own, and providers that nobody knows
litellm gpt-4o = gpt-4o
- litellm_proxy/gpt-4o = gpt-4o
- litellm/azure/gpt-4o = azure/gpt-4o
portkey @openai/gpt-4o = gpt-4o
portkey @anthropic/claude-sonnet-4-5 = claude-sonnet-4-5
- @openai-prod/gpt-4o = ?
helicone gpt-4o-mini = gpt-4o-mini
acme gpt-4o = ?
- acme/gpt-4o = ?
acme my-model = ?
- meta-llama/Llama-3.3-70B-Instruct = ?
- llama-3.3-70b-instruct = ?
- mixtral-8x7b = ?
- qwen2.5-coder-32b-instruct = ?
azure anthropic/claude-sonnet-4-5 = ?
openai azure/gpt-4o = ?
- azure_ai/gpt-4o = ?
- gemini/claude-sonnet-4-5 = ?
- anthropic/gpt-4o = ?
- openai/claude-sonnet-4-5 = ?
- deepinfra/gpt-4o = ?
- together_ai/gpt-4o = ?
- mistral/gpt-4o = ?
";

fn row<'t>(table: &'t PriceTable, name: &str) -> Option<&'t Entry> {
    table.entries().iter().find(|entry| &*entry.name == name)
}

#[test]
fn names_have_their_sellers_price_or_none() {
    let table = PriceTable::builtin();
    let (mut total, mut known, mut wrong, mut missed) = (0, 0, Vec::new(), Vec::new());
    for line in NAMES
        .lines()
        .filter(|line| !line.is_empty() && !line.starts_with('#'))
    {
        let (asked, expected) = line.split_once(" = ").unwrap();
        let (provider, model) = asked.split_once(' ').unwrap();
        assert!(
            expected == "?" || row(table, expected).is_some(),
            "no row `{expected}`"
        );
        let found = table.resolve((provider != "-").then_some(provider), model);
        total += 1;
        match found {
            Resolution::Unknown if expected == "?" => {}
            Resolution::Unknown => missed.push(line),
            Resolution::Known { entry, .. } => {
                known += 1;
                let right = expected != "?" && {
                    let expected = row(table, expected).unwrap();
                    // Units beside tokens are extras, which not all names of a model list.
                    expected.tiers == entry.tiers
                        && (!expected.tiers.is_empty() || expected.units == entry.units)
                };
                if !right {
                    wrong.push(format!("{line}, found {}", entry.name));
                }
            }
        }
    }
    println!("{total} names, {known} known");
    assert!(total >= 250, "{total}");
    assert!(wrong.is_empty(), "wrong: {wrong:#?}");
    assert!(missed.is_empty(), "not found: {missed:#?}");
}
