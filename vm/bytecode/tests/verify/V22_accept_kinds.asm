; every kind that can be looked up
.fields
  f0: a
.constants
  k0: 1
  k1: "x"
  k2: true
  k3: null
  k4: [k0, k1, k2, k3]
.predicates
  p0: f0 eq k0
  p1: f0 eq k1
  p2: f0 in k4
  p3: f0 contains k1
  p4: f0 gte k0
  p5: f0 starts_with k1
  p6: f0 ends_with k1
  p7: f0 exists
.function fn0 flags=1 guard=p0 guard=p1|p2|p3|p4|p5|p6|p7
    test p0, 0, e0, L9
    test p1, 1, e0, L8
    test p2, 1, e0, L8
    test p3, 1, e0, L8
    test p4, 1, e0, L8
    test p5, 1, e0, L8
    test p6, 1, e0, L8
    ret_test p7, 1
    ret_true
    ret_false
