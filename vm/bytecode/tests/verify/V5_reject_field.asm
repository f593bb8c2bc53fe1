; `f2 exists` does not fit its tables
.memo_cells 1
.fields
  f0: a
  f1: b
.constants
  k0: 1
  k1: "text"
  k2: [k0]
  k3: true
.patterns
  x0: /a/ source "test"
.predicates
  p0: f2 exists
