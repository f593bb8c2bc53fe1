; one more than the default host allows
.limits arena_bytes=4294967297
