; parameters are written on entry
.function fn0 params=2 registers=3
    add r2, r0, r1
    ret r2
