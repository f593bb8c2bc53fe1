; a builder that is not started
.function fn0 registers=1 builders=1
    build_end r0, b0
    ret r0
