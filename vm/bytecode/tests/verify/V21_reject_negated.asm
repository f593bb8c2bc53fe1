; where the predicate is false, its negation is true
.fields
  f0: a
.constants
  k0: 1
.predicates
  p0: f0 eq k0
.function fn0 guard=p0
    ret_test p0, 0
