; what no path reaches is not looked at
.function fn0 registers=1
    ret_true
    ret r0
