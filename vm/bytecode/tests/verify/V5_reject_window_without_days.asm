; `f0 time_between k4` does not fit its tables
.fields
  f0: a
  f1: b
.constants
  k0: "09:00"
  k1: "17:00"
  k2: "UTC"
  k3: []
  k4: {"days": k3, "end": k1, "start": k0, "timezone": k2}
.predicates
  p0: f0 time_between k4
