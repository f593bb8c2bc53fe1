; an iterator that is not started
.function fn0 registers=2 iterators=1
    iter_next it0, r0, r1, L1
    ret_true
