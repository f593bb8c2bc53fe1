; `f0 after k0` does not fit its tables
.fields
  f0: a
  f1: b
.constants
  k0: 8640000000000001
.predicates
  p0: f0 after k0
