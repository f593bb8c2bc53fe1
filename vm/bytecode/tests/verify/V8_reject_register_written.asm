; `load_bool r2, 1` names what is not there
.fields
  f0: a
.constants
  k0: 1
.predicates
  p0: f0 exists
.function fn0 registers=2 flags=1 iterators=1 builders=1
    load_bool r2, 1
    ret_true
