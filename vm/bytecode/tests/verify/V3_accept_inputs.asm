; everything that a cost is computed from
.fields
  f0: llm.maxCost derived llm.maxCost
  f1: llm
  f2: llm.n
  f3: llm.model
  f4: llm.provider
  f5: llm.maxTokens|max_tokens
  f6: llm.serviceTier|service_tier
