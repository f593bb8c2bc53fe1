; the same in the other order
.fields
  f0: a
  f1: b.c = llm.text(f0)
  f2: b = llm.pii_types(f0)
