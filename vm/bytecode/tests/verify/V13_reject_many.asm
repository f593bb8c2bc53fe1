; one argument too many
.function fn0 registers=1
    load_bool r0, 0
    call r0, fn1, r0+1
    ret r0
.function fn1
    ret_true
