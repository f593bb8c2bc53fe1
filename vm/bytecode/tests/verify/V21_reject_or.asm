; the other operand of an `or` may be true
.fields
  f0: a
  f1: b
.constants
  k0: 1
.predicates
  p0: f0 eq k0
  p1: f1 eq k0
.function fn0 flags=1 guard=p1
    test p0, 1, e0, L2
    ret_test p1, 1
    ret_true
