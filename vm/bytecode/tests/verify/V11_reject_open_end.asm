; the last instruction goes on
.function fn0 flags=1
    ret_true
    clear_flag e0
