; the smallest limits that make sense, and nothing else
.limits fuel=1 body_bytes=1 depth=1 arena_bytes=1 call_depth=1
