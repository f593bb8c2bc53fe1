; a builder is gone after its end
.function fn0 registers=1 builders=1
    build_array b0
    build_end r0, b0
    build_push b0, r0
    ret r0
