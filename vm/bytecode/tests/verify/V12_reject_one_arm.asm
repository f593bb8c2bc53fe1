; one arm of a branch does not write
.function fn0 flags=1 registers=1
    br_flag e0, skip
    load_undefined r0
 skip:
    ret r0
