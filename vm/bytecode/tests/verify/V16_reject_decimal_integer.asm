; `1` is no decimal
.constants
  k0: decimal "1"
