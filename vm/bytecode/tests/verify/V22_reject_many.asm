; five guards
.fields
  f0: a
.predicates
  p0: f0 exists
.function fn0 guard=p0 guard=p0 guard=p0 guard=p0 guard=p0
    ret_test p0, 1
