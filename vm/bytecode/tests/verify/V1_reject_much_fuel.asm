; one more than the default host allows
.limits fuel=8000001
