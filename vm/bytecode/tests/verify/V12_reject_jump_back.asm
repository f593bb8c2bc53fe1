; found only when the jump back is followed
.function fn0 registers=1 flags=1 builders=1
    build_array b0
 again:
    build_end r0, b0
    br_flag e0, again
    ret r0
