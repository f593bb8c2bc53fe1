; flags are bits of one word
.function fn0 flags=65
    ret_true
