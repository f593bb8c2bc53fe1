; the messages are missing
.fields
  f0: llm.containsPII derived llm.containsPII
  f1: llm.prompt
