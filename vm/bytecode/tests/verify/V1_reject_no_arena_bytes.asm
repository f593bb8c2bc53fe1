; a limit of zero
.limits arena_bytes=0
