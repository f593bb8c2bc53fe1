; one deeper
.limits call_depth=3
.function fn0 registers=1
    call r0, fn1, r0+0
    ret r0
.function fn1 registers=1
    call r0, fn2, r0+0
    ret r0
.function fn2 registers=1
    call r0, fn3, r0+0
    ret r0
.function fn3 registers=1
    call r0, fn4, r0+0
    ret r0
.function fn4
    ret_true
