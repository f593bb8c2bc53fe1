; each instruction that ends a path
.fields
  f0: a
.predicates
  p0: f0 exists memo m0
.memo_cells 1
.function fn0
    ret_true
.function fn1
    ret_false
.function fn2
    ret_error
.function fn3
    ret_test p0, 1
.function fn4
    ret_test_memo p0, 0
.function fn5 registers=1
    load_undefined r0
    ret r0
.function fn6
    jump L0
