; as many as the callee takes
.function fn0 registers=3
    load_bool r1, 1
    load_bool r2, 0
    call r0, fn1, r1+2
    call r0, fn2, r0+0
    ret r0
.function fn1 params=2 registers=2
    ret r0
.function fn2
    ret_false
