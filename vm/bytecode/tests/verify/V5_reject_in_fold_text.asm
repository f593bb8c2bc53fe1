; `f0 in_fold k0` does not fit its tables
.fields
  f0: a
  f1: b
.constants
  k0: "a"
.predicates
  p0: f0 in_fold k0
