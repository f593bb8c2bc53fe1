; presence is never an error, so the flag of the `or` is not raised before it
.fields
  f0: a
  f1: b
.constants
  k0: 1
.predicates
  p0: f0 exists
  p1: f1 lte k0
  p2: f1 eq k0
.function fn0 flags=1 guard=p1|p2
    test p0, 0, e0, L6
    test p1, 1, e0, L5
    test p2, 1, e0, L5
    br_flag e0, L7
    ret_false
    ret_true
    ret_false
    ret_error
