; one more than the default host allows
.limits depth=1025
