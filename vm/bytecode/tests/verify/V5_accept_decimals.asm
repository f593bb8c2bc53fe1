; decimals have an order and stand in lists
.fields
  f0: a
.constants
  k0: decimal "1e400"
  k1: [k0]
.predicates
  p0: f0 gt k0
  p1: f0 lte k0
  p2: f0 eq k0
  p3: f0 in k1
  p4: f0 contains k0
