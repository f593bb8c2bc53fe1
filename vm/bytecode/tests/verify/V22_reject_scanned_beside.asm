; a pattern behind a scan guards alone: the scan runs when its first rule is reached, after lookups
.fields
  f0: llm.prompt
  f1: user.id
.constants
  k0: "secret"
.patterns
  x0: /secret/ source "test"
.predicates
  p0: f0 matches x0
  p1: f1 eq k0
.scans
  s0: f0
  literal "secret" exact "secret"
  predicate p0 near 0 0 l0
.function fn0 flags=1 guard=p1 guard=p0
    test p1, 0, e0, L2
    ret_test p0, 1
    ret_false
