; a cell for each
.memo_cells 2
.fields
  f0: a
  f1: b
.predicates
  p0: f0 exists memo m1
  p1: f1 exists memo m0
  p2: f0 exists
