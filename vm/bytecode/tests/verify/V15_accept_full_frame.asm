; as much as a frame may have
.function fn0 params=2 registers=2 flags=64 iterators=16 builders=16
    raise_flag e63
    ret r1
.function fn1 memoised
    ret_true
