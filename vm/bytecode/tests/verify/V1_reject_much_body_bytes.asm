; one more than the default host allows
.limits body_bytes=1073741825
