; a member for a set
.function fn0 registers=1 builders=1
    load_bool r0, 1
    build_set b0
    build_insert b0, r0, r0
    ret r0
