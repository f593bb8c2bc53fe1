; memo instructions with a memo cell, plain ones with and without
.memo_cells 1
.fields
  f0: a
.predicates
  p0: f0 exists memo m0
  p1: f0 exists

.function fn0 flags=1
    test_memo p0, 1, e0, done
    test p0, 1, e0, done
    test p1, 1, e0, done
 done:
    ret_test_memo p0, 0
