; `+1e400` is no decimal
.constants
  k0: decimal "+1e400"
