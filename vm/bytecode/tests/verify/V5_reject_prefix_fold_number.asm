; `f0 starts_with_fold k0` does not fit its tables
.fields
  f0: a
  f1: b
.constants
  k0: 1
.predicates
  p0: f0 starts_with_fold k0
