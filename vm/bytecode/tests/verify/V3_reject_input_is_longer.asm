; a field below the input is not the input
.fields
  f0: llm.containsPII derived llm.containsPII
  f1: llm.prompt
