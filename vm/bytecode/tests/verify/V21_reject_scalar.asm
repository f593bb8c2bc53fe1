; everything is an error on a list where a single value belongs
.fields
  f0: a
  f1: b
.known
  a: scalar
.constants
  k0: 1
.predicates
  p0: f0 eq k0
  p1: f1 eq k0
.function fn0 flags=1 guard=p1
    test p0, 0, e0, L3
    br_flag e0, L4
    ret_test p1, 1
    ret_false
    ret_error
