; test_memo of a predicate without a cell
.memo_cells 1
.fields
  f0: a
.predicates
  p0: f0 exists memo m0
  p1: f0 exists
.function fn0 flags=1
    test_memo p1, 1, e0, done
 done:
    ret_true
