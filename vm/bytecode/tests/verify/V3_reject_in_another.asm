; one value in another, each computed for itself
.fields
  f0: a
  f1: b = llm.pii_types(f0)
  f2: b.c = llm.text(f0)
