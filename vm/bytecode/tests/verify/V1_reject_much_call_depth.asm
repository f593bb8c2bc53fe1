; one more than the default host allows
.limits call_depth=257
