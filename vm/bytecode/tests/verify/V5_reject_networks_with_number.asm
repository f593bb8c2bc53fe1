; `f0 in_cidr k2` does not fit its tables
.fields
  f0: a
  f1: b
.constants
  k0: "10.0.0.0/8"
  k1: 1
  k2: [k0, k1]
.predicates
  p0: f0 in_cidr k2
