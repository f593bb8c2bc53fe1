; one more than allowed
.function fn0 iterators=17
    ret_true
