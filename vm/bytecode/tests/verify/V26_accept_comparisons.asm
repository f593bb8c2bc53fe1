; each kind of subject and operand
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
  p0: f0 any q1 memo m0
.bodies
  q0:
    test item eq k1
  q1:
    test item.a gt k0
    test item."a b"[0] matches x0
    test item contains f1
    test f1 contains item.word
    test item.a eq item.b
    test item in k2
    test item.parts all q0
    test item exists
    and n0 n1 n2 n3 n4 n5 n6 n7
