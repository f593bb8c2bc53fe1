; a limit of zero
.limits call_depth=0
