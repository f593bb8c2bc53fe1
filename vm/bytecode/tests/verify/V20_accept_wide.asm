; as wide as allowed
.function fn0 registers=65535
    call r0, fn1, r0+0
    ret_true
.function fn1 registers=65535
    call r0, fn2, r0+0
    ret_true
.function fn2 registers=65535
    call r0, fn3, r0+0
    ret_true
.function fn3 registers=65535
    call r0, fn4, r0+0
    ret_true
.function fn4 registers=4
    ret_true
