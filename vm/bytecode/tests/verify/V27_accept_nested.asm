; bodies below bodies and below predicates of bodies
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
  p0: f0 all q0 memo m0
  p1: f0 any q2 memo m1
.bodies
  q0:
    test item eq k0
  q1:
    test item any q0
  q2:
    pred p0
    test item.a any q1
    and n0 n1
