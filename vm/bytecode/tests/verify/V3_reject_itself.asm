; a circle of one
.fields
  f0: a = llm.text(f0)
