; a limit of zero
.limits body_bytes=0
