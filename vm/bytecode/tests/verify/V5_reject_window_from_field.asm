; `f0 time_between f1` does not fit its tables
.fields
  f0: a
  f1: b
.constants
  k0: 1
.predicates
  p0: f0 time_between f1
