; `f0 time_between k3` does not fit its tables
.fields
  f0: a
  f1: b
.constants
  k0: "09:00"
  k1: "17:00"
  k2: "UTC"
  k3: {"ende": k1, "start": k0, "timezone": k2}
.predicates
  p0: f0 time_between k3
