; the place behind the last instruction
.function fn0
    jump end
    ret_true
 end:
