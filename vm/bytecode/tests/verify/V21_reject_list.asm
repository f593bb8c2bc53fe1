; what lies in a list is unknown where there is no list
.fields
  f0: a[0].x
  f1: b
.known
  a: list
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
