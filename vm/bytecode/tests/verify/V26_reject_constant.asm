; `test item eq k9` is no comparison with an element
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
.bodies
  q0:
    test item eq k9
