; the outcome of one would be taken for that of the other
.memo_cells 2
.fields
  f0: a
  f1: b
.predicates
  p0: f0 exists memo m0
  p1: f1 exists memo m0
