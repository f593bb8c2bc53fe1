; searches that one scan answers, and no other guard
.fields
  f0: llm.prompt
  f1: user.id
.constants
  k0: "secret"
  k1: "token"
.predicates
  p0: f0 contains k0
  p1: f0 contains k1
.scans
  s0: f0
  literal "secret" exact "secret"
  literal "token" exact "token"
  predicate p0 true l0
  predicate p1 true l1
.function fn0 flags=1 guard=p0|p1
    test p0, 1, e0, L4
    test p1, 1, e0, L4
    br_flag e0, L5
    ret_false
    ret_true
    ret_error
