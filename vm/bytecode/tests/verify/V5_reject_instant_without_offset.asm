; `f0 before k0` does not fit its tables
.fields
  f0: a
  f1: b
.constants
  k0: "2025-03-01T12:00:00"
.predicates
  p0: f0 before k0
