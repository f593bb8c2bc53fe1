; aliases do not make a path another one
.fields
  f0: llm.maxTokens
  f1: llm.maxTokens|max_tokens
