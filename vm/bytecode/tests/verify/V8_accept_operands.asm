; the last entry of each table
.memo_cells 0
.fields
  f0: a
.constants
  k0: 1
.predicates
  p0: f0 exists
.function fn0 registers=3 flags=1 iterators=1 builders=1
    load_const r2, k0
    load_field r0, f0
    test p0, 1, e0, next
 next:
    iter_begin it0, r0
    build_array b0
    build_end r1, b0
    call r0, fn1, r1+2
    call r0, fn2, r3+0
    ret r0
.function fn1 params=2 registers=2
    ret r1
.function fn2
    ret_error
