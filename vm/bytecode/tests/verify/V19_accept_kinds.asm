; each kind of collection, one after the other in one builder
.function fn0 registers=2 builders=1
    load_bool r0, 1
    build_array b0
    build_push b0, r0
    build_end r1, b0
    build_set b0
    build_push b0, r1
    build_end r1, b0
    build_object b0
    build_insert b0, r0, r1
    build_end r1, b0
    ret r1
