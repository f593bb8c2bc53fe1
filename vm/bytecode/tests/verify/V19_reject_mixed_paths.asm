; an object on one path only
.function fn0 registers=1 builders=1 flags=1
    load_bool r0, 1
    build_array b0
    br_flag e0, push
    build_object b0
 push:
    build_push b0, r0
    ret r0
