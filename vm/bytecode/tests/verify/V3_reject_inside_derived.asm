; in what is computed
.fields
  f0: a
  f1: b = llm.pii_types(f0)
  f2: b[0]
  f3: c = llm.text(f2)
