; `f0 in_cidr k0` does not fit its tables
.fields
  f0: a
  f1: b
.constants
  k0: []
.predicates
  p0: f0 in_cidr k0
