; each operator with all kinds of operands that it takes
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
  p0: f0 eq k3 memo m0
  p1: f0 gt k0
  p2: f0 lte k1
  p3: f0 in k2
  p4: f0 in f1
  p5: f0 contains k3
  p6: f0 starts_with k1
  p7: f0 ends_with f1
  p8: f0 matches x0
  p9: f0 exists
  p10: f0 gte f0
