; a false operand of an `and` decides, whatever the others come to; so do both operands of the nested `or` together
.fields
  f0: a
  f1: b
  f2: c
.constants
  k0: 1
.predicates
  p0: f0 gt k0
  p1: f1 eq k0
  p2: f2 eq k0
.function fn0 flags=2 guard=p0 guard=p1|p2
    test p0, 0, e0, L6
    test p1, 1, e1, L4
    test p2, 1, e1, L4
    jump L6
    br_flag e0, L7
    ret_true
    ret_false
    ret_error
.function fn1 flags=1 guard=p1
    test p2, 0, e0, L2
    ret_test p1, 1
    ret_false
.rules
  rule0: policy0 deny fn0 fires_on_error
.policies
  policy0: rule0+1
