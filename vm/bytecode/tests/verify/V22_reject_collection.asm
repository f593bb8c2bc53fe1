; an array cannot be looked up
.fields
  f0: a
  f1: b
.constants
  k0: 1
  k1: [k0]
  k2: "x"
  k3: ""

.predicates
  p0: f0 eq k1
.function fn0 guard=p0
    ret_test p0, 1
