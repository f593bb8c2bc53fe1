; two ways to one function are no cycle
.function fn0 registers=1
    call r0, fn1, r0+0
    call r0, fn2, r0+0
    ret r0
.function fn1 registers=1
    call r0, fn2, r0+0
    call r0, fn2, r0+0
    ret r0
.function fn2
    ret_true
