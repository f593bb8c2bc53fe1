; every kind of node; the root is the last
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
  p0: f0 exists memo m0
  p1: f0 any q0 memo m1
.bodies
  q0:
    test item.role eq k1
    pred not p0
    not n1
    or n0 n2
    test not item exists
    and n3 n4
