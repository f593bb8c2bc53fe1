; more parameters than registers
.function fn0 params=2 registers=1
    ret r0
