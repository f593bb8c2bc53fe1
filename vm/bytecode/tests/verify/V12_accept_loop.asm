; what a loop body writes is read in the body only; both arms of a branch write
.fields
  f0: a
.function fn0 registers=4 iterators=1 builders=1
    load_field r0, f0
    iter_begin it0, r0
    build_set b0
 next:
    iter_next it0, r1, r2, done
    br_undefined r1, other
    mov r3, r1
    jump both
 other:
    mov r3, r2
 both:
    build_push b0, r3
    jump next
 done:
    build_end r0, b0
    build_array b0
    build_push b0, r0
    build_end r0, b0
    ret r0
