; the whole of `llm` is missing
.fields
  f0: llm.containsPII derived llm.containsPII
  f1: user
