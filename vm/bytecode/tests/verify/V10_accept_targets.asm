; the first and the last instruction
.function fn0 registers=1
    load_undefined r0
    br_undefined r0, last
    jump L0
 last:
    ret_true
