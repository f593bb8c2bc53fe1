; a limit of zero
.limits fuel=0
