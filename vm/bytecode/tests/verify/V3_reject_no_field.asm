; one past the end of the table
.fields
  f0: a
  f1: b = llm.text(f2)
