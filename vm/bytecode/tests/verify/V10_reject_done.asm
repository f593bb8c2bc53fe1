; the exit of a loop counts as well
.function fn0 registers=2 iterators=1
    load_undefined r0
    iter_begin it0, r0
    iter_next it0, r0, r1, L9
    ret_true
