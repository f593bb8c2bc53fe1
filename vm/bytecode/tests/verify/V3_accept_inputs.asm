; arguments stand where they like, and may serve several; what lies in a derived field is not derived itself
.fields
  f0: llm.maxCost = llm.max_cost(f1, f3, f4, f5, f6)
  f1: llm
  f2: llm.n
  f3: llm.model
  f4: llm.provider
  f5: llm.maxTokens|max_tokens
  f6: llm.serviceTier|service_tier
  f7: any.name = llm.text(f1)
  f8: any.name[0]
  f9: other = llm.canonical_model(f2, f2)
