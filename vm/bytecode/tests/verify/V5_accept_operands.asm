; each operator with all kinds of operands that it takes
.memo_cells 1
.fields
  f0: a
  f1: b
.constants
  k0: 1
  k1: "text"
  k2: [k0]
  k3: true
  k4: "10.0.0.0/8"
  k5: "2001:db8::1"
  k6: [k4, k5]
  k7: "2025-03-01T12:00:00+01:00"
  k8: "22:00"
  k9: "06:00:30"
  k10: "Europe/Berlin"
  k11: {"end": k9, "start": k8, "timezone": k10}
  k12: "fri"
  k13: [k12]
  k14: {"days": k13, "end": k9, "start": k8, "timezone": k10}
.patterns
  x0: /a/ source "test"
.predicates
  p0: f0 eq k3 memo m0
  p1: f0 gt k0
  p2: f0 lte k1
  p3: f0 in k2
  p4: f0 in f1
  p5: f0 contains k3
  p6: f0 starts_with k1
  p7: f0 ends_with f1
  p8: f0 matches x0
  p9: f0 exists
  p10: f0 gte f0
  p11: f0 eq_fold k6
  p12: f0 in_fold k2
  p13: f0 contains_fold k0
  p14: f0 starts_with_fold k1
  p15: f0 ends_with_fold f1
  p16: f0 in_cidr k4
  p17: f0 in_cidr k6
  p18: f0 in_cidr f1
  p19: f0 before k0
  p20: f0 after k7
  p21: f0 before f1
  p22: f0 time_between k11
  p23: f0 time_between k14
