; `call r0, fn0, r1+2` names what is not there
.fields
  f0: a
.constants
  k0: 1
.predicates
  p0: f0 exists
.function fn0 registers=2 flags=1 iterators=1 builders=1
    call r0, fn0, r1+2
    ret_true
