; it takes a model and a provider
.fields
  f0: a
  f1: b = llm.canonical_model(f0)
