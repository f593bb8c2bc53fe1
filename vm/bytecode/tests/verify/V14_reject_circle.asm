; two functions that call each other
.function fn0 registers=1
    call r0, fn1, r0+0
    ret r0
.function fn1 registers=1
    call r0, fn0, r0+0
    ret r0
