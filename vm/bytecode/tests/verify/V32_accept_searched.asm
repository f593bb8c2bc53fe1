; contains may be searched for again
.fields
  f0: a
  f1: b
  f2: llm
  f3: llm.messages
  f4: llm.containsPII = llm.contains_pii(f2)
.constants
  k0: "Key"
  k1: "###"
  k2: 1
  k3: [k0]
.patterns
  x0: /(?i)key-/ source "test"
.predicates
  p0: f0 contains k0
  p1: f0 matches x0
  p2: f0 contains k1
  p3: f1 matches x0
  p4: f0 eq k0
  p5: f0 contains k2
  p6: f0 contains f1
.scans
  s0: f0
    literal "key"
  predicate p0 search l0
