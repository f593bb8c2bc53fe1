; a branch at the end may not be taken
.function fn0 flags=1
    br_flag e0, L0
