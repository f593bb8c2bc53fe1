; what is computed is computed from what was sent
.fields
  f0: a
  f1: b = llm.text(f0)
  f2: c = llm.text(f1)
