; what a loop writes is not there after no iteration
.fields
  f0: a
.function fn0 registers=3 iterators=1
    load_field r0, f0
    iter_begin it0, r0
 next:
    iter_next it0, r1, r2, done
    jump next
 done:
    ret r1
