; nothing writes the register
.function fn0 registers=1
    ret r0
