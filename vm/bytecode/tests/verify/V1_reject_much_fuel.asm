; one more than the default host allows
.limits fuel=1099511627777
