; a function that calls itself
.function fn0 registers=1
    call r0, fn0, r0+0
    ret r0
