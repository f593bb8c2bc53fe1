; keys, aliases, indexes, a derived field with its inputs
.fields
  f0: llm.model
  f1: llm
  f2: llm.messages
  f3: llm.estimatedTokens|estimated_tokens = llm.estimated_tokens(f1, f0)
  f4: metadata."a key".list[0]
  f5: metadata."a key".list."0"
  f6: a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a
