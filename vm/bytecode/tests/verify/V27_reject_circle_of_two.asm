; two predicates whose bodies name each other
.memo_cells 4
.fields
  f0: a
  f1: b
.constants
  k0: 1
  k1: "text"
  k2: [k0]
.patterns
  x0: /a/ source "test"
.predicates
  p0: f0 any q0 memo m0
  p1: f0 any q1 memo m1
.bodies
  q0:
    pred p1
  q1:
    pred p0
