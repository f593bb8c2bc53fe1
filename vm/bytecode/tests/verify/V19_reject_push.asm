; an element for an object
.function fn0 registers=1 builders=1
    load_bool r0, 1
    build_object b0
    build_push b0, r0
    ret r0
