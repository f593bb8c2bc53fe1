; one key with a dot in it is not two keys
.fields
  f0: llm
  f1: llm.messages
  f2: "llm.piiTypes" derived llm.piiTypes
