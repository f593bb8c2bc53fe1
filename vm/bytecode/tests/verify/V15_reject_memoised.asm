; arguments would have to be part of the memo
.function fn0 params=1 registers=1 memoised
    ret r0
