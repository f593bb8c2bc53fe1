; it takes the request alone
.fields
  f0: a
  f1: b = llm.text(f0, f0)
