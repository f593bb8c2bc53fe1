; computed when it is first needed, not when rules are looked up
.fields
  f0: llm
  f1: llm.messages
  f2: llm.containsPII = llm.contains_pii(f0)
.constants
  k0: true
.predicates
  p0: f2 eq k0
.function fn0 guard=p0
    ret_test p0, 1
