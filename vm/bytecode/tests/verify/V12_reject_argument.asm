; arguments are read
.function fn0 registers=2
    load_bool r0, 1
    call r0, fn1, r0+2
    ret r0
.function fn1 params=2 registers=2
    ret r0
