; one argument too few
.function fn0 registers=1
    call r0, fn1, r0+0
    ret r0
.function fn1 params=1 registers=1
    ret r0
