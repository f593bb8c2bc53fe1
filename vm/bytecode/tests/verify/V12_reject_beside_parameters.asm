; registers after the parameters are not written
.function fn0 params=1 registers=2
    ret r1
