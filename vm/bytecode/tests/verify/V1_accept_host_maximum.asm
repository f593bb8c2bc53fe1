; exactly what the default host allows
.limits fuel=8000000 body_bytes=1073741824 depth=1024 arena_bytes=4294967296 call_depth=256
.memo_cells 8000000
