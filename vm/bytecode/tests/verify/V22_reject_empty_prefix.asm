; the empty prefix tells nothing apart
.fields
  f0: a
  f1: b
.constants
  k0: 1
  k1: [k0]
  k2: "x"
  k3: ""

.predicates
  p0: f0 starts_with k3
.function fn0 guard=p0
    ret_test p0, 1
