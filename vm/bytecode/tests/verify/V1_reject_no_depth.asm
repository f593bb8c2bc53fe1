; a limit of zero
.limits depth=0
