; a predicate that a body names is not kept
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
  p0: f1 exists
  p1: f0 any q0 memo m1
.bodies
  q0:
    pred p0
    test item exists
    and n0 n1
