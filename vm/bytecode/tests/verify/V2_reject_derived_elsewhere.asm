; a derived field under a path that is not its own
.fields
  f0: llm
  f1: llm.messages
  f2: llm.piiTypes2 derived llm.piiTypes
