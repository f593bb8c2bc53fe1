; an array on one path and a set on the other
.function fn0 registers=1 builders=1 flags=1
    load_bool r0, 1
    br_flag e0, set
    build_array b0
    jump push
 set:
    build_set b0
 push:
    build_push b0, r0
    build_end r0, b0
    ret r0
