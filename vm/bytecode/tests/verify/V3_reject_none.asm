; it takes the request
.fields
  f0: a
  f1: b = llm.text()
