; a call that no path reaches counts as well
.function fn0 registers=1
    ret_true
    call r0, fn0, r0+0
    ret_true
