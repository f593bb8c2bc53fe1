; a target far away
.function fn0
    ret_true
    jump L4294967295
